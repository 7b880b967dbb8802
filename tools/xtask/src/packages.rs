//! What the registry would get: the three crates packed together, and looked into. Nothing is uploaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::{self, LONG};
use crate::workspace;

/// Each crate and its folder in the checkout; a later one may depend on the earlier ones.
const CRATES: [(&str, &str); 3] = [("scrimp", "."), ("scrimp-build", "tools/build"), ("scrimp-cli", "tools/cli")];

/// Packs the crates, checks that each has the files that its sources and README name, and runs the examples in the
/// documentation of the packed library.
pub(crate) fn run() -> Result<()> {
    let target = workspace::path("target/packages");
    let mut cargo = workspace::cargo(["package", "--no-verify", "--allow-dirty", "--target-dir"]);
    cargo.arg(&target);
    for (name, _) in CRATES {
        cargo.args(["-p", name]);
    }
    process::run("pack the crates", &mut cargo, LONG)?.check()?;
    // Outside, as cargo would take them for parts of this workspace.
    let unpacked = std::env::temp_dir().join(format!("scrimp-packages-{}", std::process::id()));
    fs::create_dir_all(&unpacked)?;
    let result = look(&target, &unpacked);
    let _ = fs::remove_dir_all(&unpacked);
    result
}

fn look(target: &Path, unpacked: &Path) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    for (name, folder) in CRATES {
        let file = target.join(format!("package/{name}-{version}.crate"));
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&file).arg("-C").arg(unpacked);
        process::run("unpack", &mut tar, LONG)?.check()?;
        let package = unpacked.join(format!("{name}-{version}"));
        let (mut sources, mut included) = (Vec::new(), 0);
        list(&package.join("src"), &mut sources)?;
        for source in &sources {
            included += includes(source).with_context(|| source.display().to_string())?;
        }
        let links = links(&package.join("README.md"), &workspace::path(folder))?;
        let bytes = fs::metadata(&file)?.len();
        println!("        {name} {version}: {bytes} bytes packed, {included} files included in code, {links} links");
    }
    let mut tests = workspace::cargo(["test", "--doc", "--config", "profile.dev.package.\"*\".opt-level=0"]);
    tests.args(["--config", "profile.dev.package.scrimp.opt-level=0", "--config", "profile.dev.debug=false"]);
    tests.current_dir(unpacked.join(format!("scrimp-{version}"))).arg("--target-dir").arg(target.join("test"));
    let said = process::run("run the examples of the packed library", &mut tests, LONG)?.check()?.stdout;
    ensure!(said.contains("test result: ok."), "no example ran:\n{said}");
    Ok(())
}

fn list(folder: &Path, to: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, to)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            to.push(path);
        }
    }
    Ok(())
}

/// Files that `include_str!` and its kin name in code and in its examples: there must be as many in the package.
fn includes(source: &Path) -> Result<usize> {
    let text = fs::read_to_string(source)?;
    let mut count = 0;
    for kind in ["include_str!(\"", "include_bytes!(\"", "include_model!(\""] {
        for rest in text.split(kind).skip(1) {
            let name = rest.split('"').next().unwrap_or_default();
            // Generated code names what it is generated with, and one example a file of the reader's.
            if name.contains(['{', '\\']) || name == "net.scrimp" {
                continue;
            }
            let folder = source.parent().context("a folder")?;
            ensure!(folder.join(name).is_file(), "{name} is not in the package");
            count += 1;
        }
    }
    Ok(count)
}

/// Relative links of a README: the registry looks them up in the repository, from the crate's folder on.
fn links(readme: &Path, folder: &Path) -> Result<usize> {
    let text = fs::read_to_string(readme)?;
    let mut count = 0;
    for rest in text.split("](").skip(1) {
        let link = rest.split([')', '#']).next().unwrap_or_default();
        if link.is_empty() || link.starts_with("https://") {
            continue;
        }
        ensure!(folder.join(link).exists(), "{}: nothing is at {link}", readme.display());
        count += 1;
    }
    Ok(count)
}
