//! What there is to do in this workspace: `cargo xtask --help`.

mod accuracy;
mod bench;
mod board;
mod demo;
mod difference;
mod docs;
mod elf;
mod evidence;
mod firmware_c;
mod hosted;
mod models;
mod network;
mod newcomer;
mod newer;
mod packages;
mod panics;
mod plot;
mod process;
mod profile;
mod quality;
mod record;
mod setup;
mod size;
mod starter;
mod switching;
mod test;
mod workspace;

use core::time::Duration;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::board::{Board, HANG};
use crate::setup::Toolchain;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set-up, tests, boards and the demo of scrimp")]
struct Cli {
    /// Who builds for the boards; by default rustup's toolchain if it has the targets, else Debian's. `SCRIMP_TOOLCHAIN`
    /// means the same
    #[arg(long, global = true)]
    toolchain: Option<Toolchain>,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Deblur a photo on the host and on an emulated Cortex-M55; pictures land in target/demo
    Demo(demo::Options),
    /// Run every test: host, forced backends, boards under QEMU, panic gate, sizes
    Test(test::Options),
    /// Build an example and run it on an emulated board
    Board {
        /// A folder of boards/
        name: String,
        /// A file of examples/
        example: String,
        /// Seconds after which the board counts as hung; stands before the name
        #[arg(long, default_value_t = HANG.as_secs())]
        limit: u64,
        /// Arguments of the example; they cannot contain blanks
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// List the boards
    Boards,
    /// Flash and RAM of the probe (every public function) on every board, compared with tests/expected
    Size {
        /// Boards to look at; all by default
        boards: Vec<String>,
        /// Write tests/expected instead
        #[arg(long)]
        overwrite: bool,
    },
    /// Link the probe on every board: fails if any public function can panic
    Panics {
        /// Boards to look at; all by default
        boards: Vec<String>,
        /// Say where the panics are
        #[arg(long)]
        why: bool,
    },
    /// Instructions an element of every kernel on every board, compared with tests/expected; or times on the host
    Bench(bench::Options),
    /// Measure everything on the boards anew, with each compiler that can be had: counts, sizes, the demo, the README's tables
    Records,
    /// The error of every f32 softmax against f64, by the spread of its input
    Accuracy {
        /// Write tests/expected
        #[arg(long)]
        overwrite: bool,
    },
    /// Users' networks (../shared/models) on boards: bytes of the golden tensors, instructions, arena, flash, stack
    Models(models::Options),
    /// What a .tflite model costs on an emulated board: instructions, multiply-accumulates, flash, RAM, by operator
    Profile(profile::Options),
    /// The README's "Run your own model" in a crate outside this repository, on the host and on a Cortex-M4F
    Newcomer,
    /// Pack the crates as the registry would get them, look into them, run the packed library's examples; uploads nothing
    Packages,
    /// Draw tools/capi/include/scrimp.h from the sources of tools/capi
    Header,
    /// `scrimp new` for every board: its project under QEMU and on the host
    Starter,
    /// Bit switching on the small Fashion-MNIST transformer, every method and width; needs the data set (tools/train)
    Switching {
        /// Write tests/expected
        #[arg(long)]
        overwrite: bool,
        /// Go on with the answers of a run that was stopped (target/switching)
        #[arg(long)]
        resume: bool,
        /// Only these methods; by default all
        #[arg(long)]
        only: Vec<String>,
    },
    /// Put the figures of tests/expected into the README
    Docs {
        /// Fail instead if they are not there yet
        #[arg(long)]
        check: bool,
    },
    /// Look for what the tasks need, and install it where that is possible
    Setup,
}

fn main() -> ExitCode {
    let Cli { toolchain, task } = Cli::parse();
    match Toolchain::force(toolchain).and_then(|()| run(task)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Demo(options) => demo::run(&options)?,
        Task::Test(options) => return test::run(&options),
        Task::Board { name, example, args, limit } => {
            setup::run()?;
            let board = Board::find(&name)?;
            for program in board.build_parts(&example)? {
                board.run_attached(&program, &args, Duration::from_secs(limit))?;
            }
        }
        Task::Boards => {
            for board in Board::all()? {
                let Board { name, target, backend, about, .. } = board;
                println!("{name:12} {target:28} {backend:8} {about}");
            }
        }
        Task::Size { boards, overwrite } => {
            setup::run()?;
            for board in Board::some(&boards)? {
                size::run(&board, overwrite)?;
            }
        }
        Task::Panics { boards, why } => {
            setup::run()?;
            for board in Board::some(&boards)? {
                if why { panics::explain(&board)? } else { panics::gate(&board)? }
            }
        }
        Task::Bench(options) => bench::run(&options)?,
        Task::Records => redraw()?,
        Task::Accuracy { overwrite } => accuracy::run(overwrite)?,
        Task::Models(options) => models::run(&options)?,
        Task::Profile(options) => profile::run(&options)?,
        Task::Newcomer => {
            setup::run()?;
            newcomer::run()?;
        }
        Task::Packages => packages::run()?,
        Task::Header => firmware_c::write_header()?,
        Task::Starter => {
            setup::run()?;
            starter::run()?;
        }
        Task::Switching { overwrite, resume, only } => switching::run(overwrite, resume, only)?,
        Task::Docs { check } => docs::run(check)?,
        Task::Setup => setup::run()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the records of every compiler that builds here, then what the README shows.
fn redraw() -> Result<()> {
    for toolchain in [Toolchain::Debian, Toolchain::Rustup] {
        Toolchain::force(Some(toolchain))?;
        if let Err(error) = setup::run() {
            println!("no records of {}: {error:#}", toolchain.name());
            continue;
        }
        for board in Board::all()? {
            bench::overwrite(&board)?;
            size::run(&board, true)?;
        }
    }
    // The last one is the one that the README quotes.
    demo::run(&demo::Options { overwrite: true, only_deblur: false })?;
    docs::run(false)
}
