//! What the tasks need besides rustup, git and a C linker: emulators, and a `core` for every board.
//!
//! A rustup toolchain gets the boards' targets by `rustup target add`. Where that is impossible, Debian's `rustc-web`
//! builds `core` from `rust-web-src`, and `ld.lld` links.

use core::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{env, fs};

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;

use crate::board::Board;
use crate::process::{self, LONG};

/// Who builds for a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Toolchain {
    /// The default toolchain, which has the target.
    Rustup,
    /// Debian's compiler, which builds `core` itself.
    Debian,
}

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/core/src/lib.rs";
const DEBIAN_NEON: &str = "/usr/lib/rustlib/aarch64-unknown-linux-gnu";
/// What hosted AArch64 programs are linked with.
const CROSS_LIBC: &str = "/usr/aarch64-linux-gnu/lib/libc.so.6";
/// What firmware in C is linked with.
const ARM_LIBC: &str = "/usr/lib/arm-none-eabi/newlib/libc.a";
/// The target of the host's suites on NEON.
pub(crate) const NEON_TARGET: &str = "aarch64-unknown-linux-gnu";
/// Minor version that the workspace's `rust-version` asks for.
const MINOR: u32 = 95;

/// The one that builds, whatever else could.
static FORCED: Mutex<Option<Toolchain>> = Mutex::new(None);

impl Toolchain {
    /// From here on this one builds for the boards; with `None` the first that can, as `SCRIMP_TOOLCHAIN` does not name one.
    pub(crate) fn force(toolchain: Option<Self>) -> Result<()> {
        let of_environment = || {
            let name = env::var("SCRIMP_TOOLCHAIN").ok().filter(|name| !name.is_empty())?;
            let unknown = || anyhow!("SCRIMP_TOOLCHAIN is {name}; there are rustup and debian");
            Some(Self::from_str(&name, true).map_err(|_| unknown()))
        };
        let toolchain = if toolchain.is_some() { toolchain } else { of_environment().transpose()? };
        *FORCED.lock().unwrap_or_else(PoisonError::into_inner) = toolchain;
        Ok(())
    }

    fn forced() -> Option<Self> {
        *FORCED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that can build for `target`.
    pub(crate) fn for_target(target: &str) -> Result<Self> {
        let can = |toolchain| match toolchain {
            Self::Rustup => rustup_has(target),
            // It has the one hosted target as a package, and builds `core` for the others.
            Self::Debian => debian_is_usable() && (target != NEON_TARGET || Path::new(DEBIAN_NEON).exists()),
        };
        let asked = Self::forced().map_or(vec![Self::Rustup, Self::Debian], |one| vec![one]);
        let found = asked.iter().copied().find(|&toolchain| can(toolchain));
        let names = || asked.iter().map(|one| one.name()).collect::<Vec<_>>().join(" or ");
        found.with_context(|| format!("nothing of {} here can build for {target}: run `cargo xtask setup`", names()))
    }

    /// As `--toolchain` takes it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rustup => "rustup",
            Self::Debian => "debian",
        }
    }

    /// The folder of its records. Debian's compiler has an LLVM of its own and builds `core` itself, so that its code differs
    /// from rustup's of the same version.
    pub(crate) fn key(self) -> Result<String> {
        let version = self.version()?;
        let number = version.split(' ').nth(1).with_context(|| version.clone())?;
        Ok(if self == Self::Debian { format!("rustc-{number}-debian") } else { format!("rustc-{number}") })
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
    provide(&targets()?, false)
}

/// As [`run`], and what only the tests need: a C compiler for the boards, and for all of them the host's suites as AArch64
/// programs.
pub(crate) fn for_tests(are_all: bool) -> Result<()> {
    let mut all = targets()?;
    if are_all && cfg!(not(target_arch = "aarch64")) {
        all.push(NEON_TARGET.into());
    }
    provide(&all, true)
}

/// Makes cargo build hosted AArch64 programs.
pub(crate) fn for_neon(cargo: &mut Command) -> Result<()> {
    if Toolchain::for_target(NEON_TARGET)? == Toolchain::Debian {
        cargo.env("RUSTC", DEBIAN_RUSTC);
    }
    Ok(())
}

fn provide(targets: &[String], wants_c: bool) -> Result<()> {
    if is_complete(targets, wants_c) {
        return Ok(());
    }
    let lacking: Vec<_> = targets.iter().filter(|target| !rustup_has(target)).map(String::as_str).collect();
    let is_asked = Toolchain::forced() != Some(Toolchain::Debian);
    if is_asked && !lacking.is_empty() && on_path("rustup") {
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add"]).args(&lacking);
        // Offline, or a toolchain that has no such targets: then Debian's compiler is asked next.
        let _ = process::run("rustup target add", &mut rustup, LONG)?;
    }
    let packages = missing_packages(targets, wants_c);
    if !packages.is_empty() && on_path("apt-get") && is_root() {
        if packages.iter().any(|package| package.ends_with(":arm64")) {
            process::run("dpkg", Command::new("dpkg").args(["--add-architecture", "arm64"]), LONG)?.check()?;
        }
        for args in [vec!["update"], [&["install", "-y", "--no-install-recommends"], &packages[..]].concat()] {
            let mut apt = Command::new("apt-get");
            apt.args(&args).env("DEBIAN_FRONTEND", "noninteractive");
            process::run(&format!("apt-get {}", args.join(" ")), &mut apt, LONG)?.check()?;
        }
    }
    verdict(targets, wants_c)
}

fn is_complete(targets: &[String], wants_c: bool) -> bool {
    missing_packages(targets, wants_c).is_empty() && targets.iter().all(|target| Toolchain::for_target(target).is_ok())
}

/// Fails with what to install by hand, if anything is missing still.
fn verdict(targets: &[String], wants_c: bool) -> Result<()> {
    if is_complete(targets, wants_c) {
        return Ok(());
    }
    let packages = missing_packages(targets, wants_c);
    let mut text = String::from("something is missing that cannot be installed from here.\n");
    if targets.iter().any(|target| Toolchain::for_target(target).is_err()) {
        let _ = writeln!(text, "A `core` for the boards: `rustup target add {}`,", targets.join(" "));
        let _ = writeln!(text, "or on Debian, as root: `apt-get install rustc-web rust-web-src lld`.");
    }
    if !packages.is_empty() {
        let _ = writeln!(text, "On Debian, as root: `apt-get install {}`.", packages.join(" "));
        let _ = writeln!(
            text,
            "Elsewhere: QEMU 7.2 or later with qemu-system-arm and qemu-system-aarch64 on the PATH; for the tests also \
             qemu-aarch64, qemu-x86_64, aarch64-linux-gnu-gcc and arm-none-eabi-gcc."
        );
    }
    bail!(text)
}

/// Debian's packages for what is missing.
fn missing_packages(targets: &[String], wants_c: bool) -> Vec<&'static str> {
    let mut packages = Vec::new();
    if !on_path("qemu-system-arm") || !on_path("qemu-system-aarch64") {
        packages.push("qemu-system-arm");
    }
    let is_hosted = targets.iter().any(|target| target == NEON_TARGET);
    if is_hosted && (!on_path("qemu-aarch64") || !on_path("qemu-x86_64")) {
        packages.push("qemu-user");
    }
    if is_hosted && (!on_path("aarch64-linux-gnu-gcc") || !Path::new(CROSS_LIBC).exists()) {
        packages.extend(["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]);
    }
    if wants_c && (!on_path("arm-none-eabi-gcc") || !Path::new(ARM_LIBC).exists()) {
        packages.extend(["gcc-arm-none-eabi", "libnewlib-arm-none-eabi"]);
    }
    let is_enough = match Toolchain::forced() {
        None => targets.iter().all(|target| rustup_has(target)),
        Some(forced) => forced == Toolchain::Rustup,
    };
    if is_enough {
        return packages;
    }
    if !debian_is_usable() {
        packages.extend(["rustc-web", "rust-web-src"]);
    }
    if !on_path("ld.lld") {
        packages.push("lld");
    }
    if is_hosted && !Path::new(DEBIAN_NEON).exists() {
        packages.push("libstd-rust-web-dev:arm64");
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

pub(crate) fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| fs::metadata(folder.join(program)).is_ok_and(|file| file.is_file()))
}

fn is_root() -> bool {
    stdout_of("id", &["-u"]).is_some_and(|id| id.trim() == "0")
}

pub(crate) fn stdout_of(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()
}
