//! A QEMU newer than the machine's, in a folder of its own beside it. From 10.1 on QEMU raises UNALIGNED where an MVE access is
//! not aligned to its elements, as the Cortex-M55 does; Debian 12 has 7.2, which lets it pass.
//!
//! Debian's packages for it, with all they need down to the C library, are downloaded by `apt-get` with a configuration of its
//! own, unpacked and started by their own dynamic loader: nothing is installed, and root is not needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::{self, LONG};
use crate::setup::{on_path, stdout_of};
use crate::workspace;

/// Where the packages come from; their QEMU is 11.
const SUITES: [&str; 2] = ["trixie", "trixie-backports"];
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The first version that checks the alignment of MVE accesses.
const CHECKS_MVE: [u32; 2] = [10, 1];

/// An emulator, and how it is started.
pub(crate) struct Qemu {
    /// As it calls itself.
    pub(crate) version: String,
    /// Whether it raises UNALIGNED for MVE.
    pub(crate) checks_mve: bool,
    /// The loader and its arguments; empty for the one of the machine.
    loader: Vec<String>,
    /// The folder of the emulators; empty for the one of the machine.
    folder: PathBuf,
}

impl Qemu {
    /// The one on the `PATH`.
    pub(crate) fn of_machine() -> Result<Self> {
        Self::ask(Vec::new(), PathBuf::new())
    }

    /// One that is newer than the machine's, or why there is none here.
    pub(crate) fn newer() -> Result<Result<Self, String>> {
        let of_machine = Self::of_machine()?;
        if of_machine.checks_mve {
            return Ok(Ok(of_machine));
        }
        let folder = workspace::path("target/qemu");
        if !folder.join("done").exists() {
            if !on_path("apt-get") || !on_path("dpkg-deb") || !Path::new(KEYS).exists() {
                return Ok(Err("this is no Debian, and its own QEMU is older than 10.1".into()));
            }
            if let Err(error) = download(&folder) {
                return Ok(Err(format!("Debian's packages of a newer QEMU cannot be had: {error:#}")));
            }
        }
        Self::unpacked(&folder.join("root")).map(Ok)
    }

    fn unpacked(root: &Path) -> Result<Self> {
        let loader = ["usr/lib64", "usr/lib"].iter().find_map(|folder| {
            let files = fs::read_dir(root.join(folder)).ok()?;
            let mut files = files.filter_map(|file| Some(file.ok()?.path()));
            files.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux")))
        });
        let loader = loader.context("the packages have no dynamic loader")?;
        let libraries = root.join("usr/lib");
        let triple = fs::read_dir(&libraries)?.filter_map(|entry| Some(entry.ok()?.path()));
        let triple = triple.filter(|path| path.to_string_lossy().ends_with("-linux-gnu")).collect::<Vec<_>>();
        let libraries = triple.first().context("the packages have no libraries")?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        Self::ask(vec![text(&loader), "--library-path".into(), text(libraries)], root.join("usr/bin"))
    }

    fn ask(loader: Vec<String>, folder: PathBuf) -> Result<Self> {
        let mut qemu = Self { version: String::new(), checks_mve: false, loader, folder };
        let command = qemu.start(&["qemu-system-arm".into(), "--version".into()])?;
        let (program, args) = command.split_first().context("a command")?;
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let text = stdout_of(program, &args).with_context(|| format!("{} does not run", command.join(" ")))?;
        // "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"
        let version = text.split_whitespace().nth(3).with_context(|| format!("no version in {text}"))?;
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        qemu.checks_mve = [parts.next().unwrap_or(0), parts.next().unwrap_or(0)] >= CHECKS_MVE;
        qemu.version = version.to_owned();
        Ok(qemu)
    }

    /// A runner with this emulator in the place of the machine's.
    pub(crate) fn start(&self, runner: &[String]) -> Result<Vec<String>> {
        let (emulator, options) = runner.split_first().context("the runner is empty")?;
        let emulator = self.folder.join(emulator).to_string_lossy().into_owned();
        Ok([&self.loader[..], &[emulator], options].concat())
    }
}

/// Downloads and unpacks to `root` below the folder.
fn download(folder: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(folder);
    let root = folder.join("root");
    for below in ["root", "apt/lists/partial", "apt/cache/archives/partial", "apt/etc/preferences.d"] {
        fs::create_dir_all(folder.join(below))?;
    }
    let apt = folder.join("apt");
    let sources =
        SUITES.map(|suite| format!("deb [signed-by={KEYS}] http://deb.debian.org/debian {suite} main\n")).concat();
    fs::write(apt.join("etc/sources.list"), sources)?;
    fs::write(apt.join("status"), "")?;
    let architecture = stdout_of("dpkg", &["--print-architecture"]).context("dpkg does not run")?;
    let configuration = format!(
        "Dir::State \"{0}\";\nDir::State::status \"{0}/status\";\nDir::State::lists \"{0}/lists\";\n\
         Dir::Cache \"{0}/cache\";\nDir::Etc \"{0}/etc\";\nDir::Etc::sourceparts \"-\";\n\
         APT::Architecture \"{1}\";\nAPT::Architectures \"{1}\";\n",
        apt.display(),
        architecture.trim()
    );
    fs::write(apt.join("conf"), configuration)?;
    for args in [
        &["update"][..],
        &["install", "-y", "--no-install-recommends", "--download-only", "-t", SUITES[1], "qemu-system-arm"],
    ] {
        let mut command = Command::new("apt-get");
        command.args(args).env("APT_CONFIG", apt.join("conf")).env("DEBIAN_FRONTEND", "noninteractive");
        process::run(&format!("download a newer QEMU: apt-get {}", args[0]), &mut command, LONG)?.check()?;
    }
    let packages = fs::read_dir(apt.join("cache/archives"))?.filter_map(|entry| Some(entry.ok()?.path()));
    let packages: Vec<_> = packages.filter(|path| path.extension().is_some_and(|e| e == "deb")).collect();
    ensure!(!packages.is_empty(), "apt-get downloaded nothing");
    for package in packages {
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("-x").arg(&package).arg(&root);
        process::run(&format!("unpack {}", package.display()), &mut unpack, LONG)?.check()?;
    }
    fs::remove_dir_all(&apt)?;
    fs::write(folder.join("done"), "")?;
    Ok(())
}
