//! `scrimp new`, as a user has it: a project for every board, run under QEMU by its own `cargo run` and tested on the host
//! by its own `cargo test-host`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use scrimp_cli::chip::{BOARDS, Board};
use scrimp_cli::new::{self, Options};

use crate::board::HANG;
use crate::process::{self, LONG};
use crate::setup::Toolchain;
use crate::workspace;

/// A quick build of a project for `target`: kernels are not optimised, what comes out is the same. (A Cortex-M0 of 16 KiB has no
/// room for the stack of such code.)
pub(crate) fn quick(cargo: &mut Command, target: &str) {
    let level = if target.starts_with("thumbv6m") { 1 } else { 0 };
    cargo.args(["--config", "profile.dev.debug=false", "--config", "profile.dev.incremental=false"]);
    cargo.args(["--config", &format!("profile.dev.package.\"*\".opt-level={level}"), "--target-dir"]);
    cargo.arg(workspace::path("target/starter"));
}

/// Makes, runs and tests a project for every board.
pub(crate) fn run() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("scrimp-starter-{}", std::process::id()));
    let result = BOARDS.iter().try_for_each(|board| one(&folder, board).with_context(|| board.name.to_owned()));
    let _ = fs::remove_dir_all(&folder);
    result
}

fn one(parent: &Path, board: &Board) -> Result<()> {
    fs::create_dir_all(parent)?;
    let folder = parent.join(format!("on-{}", board.name));
    new::run(&Options::new(&folder, board.name))?;
    // The versions of other crates that are here already.
    fs::copy(workspace::path("Cargo.lock"), folder.join("Cargo.lock"))?;
    let mut fmt = workspace::cargo(["fmt", "--check"]);
    process::run("look at its layout", fmt.current_dir(&folder), LONG)?.check()?;

    let mut run = cargo(&folder, "run", board.chip.target);
    Toolchain::for_target(board.chip.target)?.apply(&mut run, board.chip.target);
    // The emulator has no limit of its own, so cargo has one that builds do not reach.
    let said = process::run(&format!("run a project on {}", board.name), &mut run, HANG)?.check()?.stdout;
    let expected = format!("output {:?}", expected(&folder)?);
    ensure!(said.lines().any(|line| line == expected), "the executor gives {expected}, the board says:\n{said}");
    for line in [format!("backend {}", board.chip.backend), "heard: beeps, 100 %".to_owned()] {
        ensure!(said.lines().any(|there| there == line), "no line {line}:\n{said}");
    }
    // Of a processor without a board the same code is tested.
    if !board.is_generic() {
        let tested = process::run("test it on the host", &mut cargo(&folder, "test-host", ""), LONG)?.check()?.stdout;
        ensure!(tested.contains("test result: ok. 1 passed"), "its test does not run on the host:\n{tested}");
    }
    println!("        {}: {expected}", board.name);
    Ok(())
}

fn cargo(folder: &Path, command: &str, target: &str) -> Command {
    let mut cargo = workspace::cargo([command]);
    quick(cargo.current_dir(folder), target);
    cargo
}

/// What the executor makes of the input in the project.
fn expected(folder: &Path) -> Result<Vec<i8>> {
    let samples = fs::read_to_string(folder.join("src/sample.rs"))?;
    let numbers = samples.split("INPUT: [i8; 490] = [").nth(1).and_then(|rest| rest.split(']').next());
    let numbers =
        numbers.context("the project has no input")?.split(',').map(str::trim).filter(|text| !text.is_empty());
    let input: Vec<u8> = numbers.map(|text| Ok(text.parse::<i8>()?.cast_unsigned())).collect::<Result<_>>()?;
    keyword(&input)
}

/// What the executor makes of an input of the keyword model.
pub(crate) fn keyword(input: &[u8]) -> Result<Vec<i8>> {
    let model = scrimp_build::Model::tflite(workspace::path("examples/data/keyword.tflite"))?;
    let mut executor = scrimp_build::Executor::new(model.graph())?;
    executor.set_input(0, input)?;
    executor.run()?;
    let output = model.graph().outputs.first().map(|&id| executor.tensor(id)).context("an output")?;
    Ok(output.iter().map(|code| code.cast_signed()).collect())
}
