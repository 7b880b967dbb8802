//! What the tasks need besides rustup, git and a C linker: emulators, and a `core` for every board.
//!
//! A rustup toolchain gets the boards' targets by `rustup target add`. Where that is impossible, Debian's `rustc-web`
//! builds `core` from `rust-web-src`, and `ld.lld` links.

use core::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::board::Board;
use crate::process::{self, LONG};

/// Who builds for a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The default toolchain, which has the target.
    Rustup,
    /// Debian's compiler, which builds `core` itself.
    Debian,
}

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/core/src/lib.rs";
/// Minor version that the workspace's `rust-version` asks for.
const MINOR: u32 = 95;

impl Toolchain {
    /// The one that can build for `target`.
    pub(crate) fn for_target(target: &str) -> Result<Self> {
        if rustup_has(target) {
            Ok(Self::Rustup)
        } else if debian_is_usable() {
            Ok(Self::Debian)
        } else {
            bail!("nothing here can build for {target}: run `cargo xtask setup`")
        }
    }

    /// Makes cargo use it.
    pub(crate) fn apply(self, cargo: &mut Command, target: &str) {
        if self == Self::Debian {
            let linker = format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace(['-', '.'], "_"));
            cargo.arg("-Zbuild-std=core").env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").env(linker, "ld.lld");
        }
    }

    /// The line that `rustc -V` prints.
    pub(crate) fn version(self) -> Result<String> {
        let rustc = if self == Self::Debian { DEBIAN_RUSTC } else { "rustc" };
        let version = stdout_of(rustc, &["-V"]).with_context(|| format!("{rustc} does not run"))?;
        Ok(version.trim().to_owned())
    }
}

/// What the processor calls itself, for records.
pub(crate) fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        line.split_once(": ").map(|(_, value)| value.trim().to_owned())
    };
    match (value("model name"), value("cpu family"), value("model\t")) {
        (Some(name), Some(family), Some(model)) => format!("{name} (family {family} model {model})"),
        _ => env::consts::ARCH.to_owned(),
    }
}

/// The compiler of host programs, as `rustc -V` prints it.
pub(crate) fn host_rustc() -> Result<String> {
    Toolchain::Rustup.version()
}

/// Looks for everything, installs what is missing where that is possible, and otherwise says what to install.
pub(crate) fn run() -> Result<()> {
    let targets = targets()?;
    if targets.iter().all(|target| Toolchain::for_target(target).is_ok()) && missing_packages(&targets).is_empty() {
        return Ok(());
    }
    let lacking: Vec<_> = targets.iter().filter(|target| !rustup_has(target)).map(String::as_str).collect();
    if !lacking.is_empty() && on_path("rustup") {
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add"]).args(&lacking);
        // Offline, or a toolchain that has no such targets: then Debian's compiler is asked next.
        let _ = process::run("rustup target add", &mut rustup, LONG)?;
    }
    let packages = missing_packages(&targets);
    if !packages.is_empty() && on_path("apt-get") && is_root() {
        for args in [vec!["update"], [&["install", "-y", "--no-install-recommends"], &packages[..]].concat()] {
            let mut apt = Command::new("apt-get");
            apt.args(&args).env("DEBIAN_FRONTEND", "noninteractive");
            process::run(&format!("apt-get {}", args.join(" ")), &mut apt, LONG)?.check()?;
        }
    }
    verdict(&targets)
}

/// Fails with what to install by hand, if anything is missing still.
fn verdict(targets: &[String]) -> Result<()> {
    let packages = missing_packages(targets);
    if packages.is_empty() && targets.iter().all(|target| Toolchain::for_target(target).is_ok()) {
        return Ok(());
    }
    let mut text = String::from("something is missing that cannot be installed from here.\n");
    if targets.iter().any(|target| Toolchain::for_target(target).is_err()) {
        let _ = writeln!(text, "A `core` for the boards: `rustup target add {}`,", targets.join(" "));
        let _ = writeln!(text, "or on Debian, as root: `apt-get install rustc-web rust-web-src lld`.");
    }
    if !packages.is_empty() {
        let _ = writeln!(text, "On Debian, as root: `apt-get install {}`.", packages.join(" "));
        let _ =
            writeln!(text, "Elsewhere: QEMU 7.2 or later with qemu-system-arm and qemu-system-aarch64 on the PATH.");
    }
    bail!(text)
}

/// Debian's packages for what is missing.
fn missing_packages(targets: &[String]) -> Vec<&'static str> {
    let mut packages = Vec::new();
    if !on_path("qemu-system-arm") || !on_path("qemu-system-aarch64") {
        packages.push("qemu-system-arm");
    }
    if targets.iter().all(|target| rustup_has(target)) {
        return packages;
    }
    if !debian_is_usable() {
        packages.extend(["rustc-web", "rust-web-src"]);
    }
    if !on_path("ld.lld") {
        packages.push("lld");
    }
    packages
}

fn targets() -> Result<Vec<String>> {
    let mut targets: Vec<_> = Board::all()?.into_iter().map(|board| board.target).collect();
    targets.sort_unstable();
    targets.dedup();
    Ok(targets)
}

/// Whether the default toolchain has a `core` for `target`.
fn rustup_has(target: &str) -> bool {
    static SYSROOT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let ask = || Some(PathBuf::from(stdout_of("rustc", &["--print", "sysroot"])?.trim()));
    let sysroot = SYSROOT.get_or_init(ask);
    sysroot.as_ref().is_some_and(|sysroot| sysroot.join("lib/rustlib").join(target).join("lib").exists())
}

/// Whether Debian's compiler is there, new enough and with its sources.
fn debian_is_usable() -> bool {
    let minor = |version: String| version.split('.').nth(1)?.parse::<u32>().ok();
    Path::new(DEBIAN_SOURCES).exists()
        && Path::new(DEBIAN_RUSTC).exists()
        && stdout_of(DEBIAN_RUSTC, &["-V"]).and_then(minor).is_some_and(|minor| minor >= MINOR)
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| fs::metadata(folder.join(program)).is_ok_and(|file| file.is_file()))
}

fn is_root() -> bool {
    stdout_of("id", &["-u"]).is_some_and(|id| id.trim() == "0")
}

fn stdout_of(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()
}
