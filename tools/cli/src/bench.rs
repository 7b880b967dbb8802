//! Times kernels beside other crates: runs `tools/bench`, a workspace of its own so that the rivals stay out of this one.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// `scrimp bench ARGUMENTS`, as the tool itself takes them.
///
/// # Errors
/// If the tool is not there, does not build or fails.
pub fn run(arguments: &[String]) -> Result<()> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/Cargo.toml");
    if !manifest.exists() {
        bail!("the bench is part of the repository, in tools/bench, and not of this installation");
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--release", "--manifest-path"]).arg(&manifest).arg("--").args(arguments);
    let status = cargo.status().context("cargo, which builds tools/bench")?;
    if !status.success() {
        bail!("tools/bench failed");
    }
    Ok(())
}
