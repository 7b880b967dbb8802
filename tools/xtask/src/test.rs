//! Every test, as a list of steps; failures are collected and told at the end with what reproduces them.

use core::time::Duration;
use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::board::Board;
use crate::process::{self, LONG};
use crate::{bench, demo, docs, models, network, newcomer, panics, setup, size, workspace};

/// A board that takes longer than this for one example hangs.
const BOARD_LIMIT: Duration = Duration::from_secs(300);

/// Targets whose boards run side by side.
const AT_ONCE: usize = 2;

/// Runs the steps whose name contains one of `filter`; all if there are none.
pub(crate) fn run(filter: &[String]) -> Result<ExitCode> {
    let start = Instant::now();
    let steps = Steps { filter, done: Mutex::default() };
    steps.step("set-up", setup::run);
    host(&steps);
    on_boards(&steps, Board::all()?);
    steps.step("newcomer", newcomer::run);
    steps.step("demo", || demo::run(&demo::Options::default()));
    Ok(steps.finish(start))
}

fn host(steps: &Steps<'_>) {
    steps.cargo("fmt", workspace::cargo(["fmt", "--all", "--check"]));
    let warnings = ["--", "-D", "warnings"];
    let mut clippy = workspace::cargo(["clippy", "--workspace", "--all-targets", "--all-features"]);
    clippy.args(warnings);
    steps.cargo("clippy", clippy);
    // Alone, so that no other package's features are switched on: no `std`.
    let mut no_std = workspace::cargo(["clippy", "-p", "scrimp", "--lib"]);
    no_std.args(warnings);
    steps.cargo("clippy without std", no_std);
    let mut rustdoc = workspace::cargo(["doc", "--no-deps", "--features", "scrimp/std,scrimp/embedded-hal"]);
    rustdoc.args(["-p", "scrimp", "-p", "scrimp-rt", "-p", "scrimp-suite", "-p", "scrimp-reference"]);
    rustdoc.env("RUSTDOCFLAGS", "-D warnings");
    steps.cargo("docs", rustdoc);
    steps.step("figures of the README", || docs::run(true));
    steps.cargo("tests", workspace::cargo(["test", "--workspace", "--features", "scrimp/std,scrimp/embedded-hal"]));
    let suite = ["run", "--release", "-p", "scrimp-suite", "--features", "scrimp/std", "--example", "forced"];
    let mut optimised = workspace::cargo(suite);
    optimised.args(["--", "runtime"]);
    steps.cargo("conformance, optimised", optimised);
}

/// Boards of different targets side by side, as an emulator keeps one core busy; those that share a build directory one after
/// the other.
fn on_boards(steps: &Steps<'_>, boards: Vec<Board>) {
    let mut targets: BTreeMap<String, Vec<Board>> = BTreeMap::new();
    for board in boards {
        targets.entry(board.target.clone()).or_default().push(board);
    }
    let queue = Mutex::new(targets.into_values());
    let next = || queue.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(boards) = next() {
                    boards.iter().for_each(|board| on_board(steps, board));
                }
            });
        }
    });
}

fn on_board(steps: &Steps<'_>, board: &Board) {
    let name = &board.name;
    let Ok(examples) = board.examples() else { return };
    steps.step(&format!("{name}: build"), || board.build_examples());
    // The bench is a step of its own, with its figures compared.
    let is_counted = examples.iter().any(|example| example == "bench");
    for example in examples.into_iter().filter(|example| example != "bench") {
        steps.step(&format!("{name}: {example}"), || {
            for program in board.build_parts(&example)? {
                let run = board.run(&program, &[""; 0], BOARD_LIMIT)?.check()?;
                let last = run.stdout.lines().last().unwrap_or_default();
                ensure!(
                    example != "conformance" || last.ends_with(" passed, 0 failed"),
                    "no closing line:\n{}",
                    run.stdout
                );
                println!("        {name}: {last}");
            }
            Ok(())
        });
    }
    steps.step(&format!("{name}: panics"), || panics::gate(board));
    if models::BOARDS.contains(&name.as_str()) {
        steps.step(&format!("{name}: networks from .tflite"), || network::check(board));
        steps.step(&format!("{name}: models"), || models::check(board));
    }
    if is_counted {
        steps.step(&format!("{name}: bench"), || bench::check(board));
    }
    steps.step(&format!("{name}: size"), || size::check(board));
}

struct Steps<'a> {
    filter: &'a [String],
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    passed: usize,
    /// Name, what reproduces it, and what went wrong.
    failures: Vec<(String, String, String)>,
}

impl Steps<'_> {
    /// Runs one step of our own; it is reproduced by its name.
    fn step(&self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.record(name, format!("cargo xtask test '{name}'"), work);
    }

    /// Runs cargo; it is reproduced by the command.
    fn cargo(&self, name: &str, mut command: Command) {
        self.record(name, process::describe(&command), move || {
            process::run(name, &mut command, LONG)?.check().map(drop)
        });
    }

    fn record(&self, name: &str, reproduce: String, work: impl FnOnce() -> Result<()>) {
        if !self.filter.is_empty() && !self.filter.iter().any(|part| name.contains(part.as_str())) {
            return;
        }
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                println!("ok      {name} ({seconds:.1} s)");
                done.passed += 1;
            }
            Err(error) => {
                println!("FAILED  {name} ({seconds:.1} s)");
                done.failures.push((name.to_owned(), reproduce, format!("{error:#}")));
            }
        }
    }

    /// Tells the failures and the sum.
    fn finish(self, start: Instant) -> ExitCode {
        let Done { passed, failures } = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (name, reproduce, text) in &failures {
            println!("\n---- {name}\n{}\nreproduce: {reproduce}", text.trim_end());
        }
        println!("\n{:.0} s", start.elapsed().as_secs_f64());
        println!("{passed} passed, {} failed", failures.len());
        if failures.is_empty() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
