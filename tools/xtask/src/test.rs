//! Every test, as a list of steps; failures are collected and told at the end with what reproduces them.

use core::time::Duration;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::board::Board;
use crate::process::{self, LONG};
use crate::{bench, demo, docs, panics, setup, size, workspace};

/// A board that takes longer than this for one example hangs.
const BOARD_LIMIT: Duration = Duration::from_secs(300);

/// Runs the steps whose name contains one of `filter`; all if there are none.
pub(crate) fn run(filter: &[String]) -> Result<ExitCode> {
    let start = Instant::now();
    let mut steps = Steps { filter, passed: 0, failures: Vec::new() };
    steps.step("set-up", setup::run);
    host(&mut steps);
    for board in Board::all()? {
        on_board(&mut steps, &board);
    }
    steps.step("demo", || demo::run(&demo::Options::default()));
    Ok(steps.finish(start))
}

fn host(steps: &mut Steps<'_>) {
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

fn on_board(steps: &mut Steps<'_>, board: &Board) {
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
    if is_counted {
        steps.step(&format!("{name}: bench"), || bench::check(board));
    }
    steps.step(&format!("{name}: size"), || size::check(board));
}

struct Steps<'a> {
    filter: &'a [String],
    passed: usize,
    /// Name, what reproduces it, and what went wrong.
    failures: Vec<(String, String, String)>,
}

impl Steps<'_> {
    /// Runs one step of our own; it is reproduced by its name.
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.record(name, format!("cargo xtask test '{name}'"), work);
    }

    /// Runs cargo; it is reproduced by the command.
    fn cargo(&mut self, name: &str, mut command: Command) {
        self.record(name, process::describe(&command), move || {
            process::run(name, &mut command, LONG)?.check().map(drop)
        });
    }

    fn record(&mut self, name: &str, reproduce: String, work: impl FnOnce() -> Result<()>) {
        if !self.filter.is_empty() && !self.filter.iter().any(|part| name.contains(part.as_str())) {
            return;
        }
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                println!("ok      {name} ({seconds:.1} s)");
                self.passed += 1;
            }
            Err(error) => {
                println!("FAILED  {name} ({seconds:.1} s)");
                self.failures.push((name.to_owned(), reproduce, format!("{error:#}")));
            }
        }
    }

    /// Tells the failures and the sum.
    fn finish(self, start: Instant) -> ExitCode {
        for (name, reproduce, text) in &self.failures {
            println!("\n---- {name}\n{}\nreproduce: {reproduce}", text.trim_end());
        }
        println!("\n{:.0} s", start.elapsed().as_secs_f64());
        println!("{} passed, {} failed", self.passed, self.failures.len());
        if self.failures.is_empty() && self.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
