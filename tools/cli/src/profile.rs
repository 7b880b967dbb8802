//! `scrimp profile`: what a model costs on an emulated board. Boards, emulators and toolchains are xtask's business.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

/// What the command is given.
#[derive(Args, Debug)]
pub struct Options {
    /// The model, .tflite
    model: PathBuf,
    /// A folder of boards/
    #[arg(long, default_value = "mps3-an547")]
    board: String,
    /// Bytes of all inputs, side by side; zeros by default
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Write everything as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with bars and a map of the arena
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Builds the model's firmware and runs it under QEMU.
///
/// # Errors
/// If this is no checkout, the board is unknown, or the model does not fit it.
pub fn run(options: &Options) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !root.join("boards").exists() {
        bail!("boards are part of the repository, and not of this installation");
    }
    let here = std::env::current_dir()?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&root).args(["run", "--quiet", "-p", "xtask", "--", "profile"]);
    cargo.arg(here.join(&options.model)).args(["--board", &options.board]);
    for (name, file) in [("--input", &options.input), ("--json", &options.json), ("--html", &options.html)] {
        if let Some(file) = file {
            cargo.arg(name).arg(here.join(file));
        }
    }
    let status = cargo.status().context("cargo, which builds the firmware")?;
    if !status.success() {
        bail!("the profile was not made");
    }
    Ok(())
}
