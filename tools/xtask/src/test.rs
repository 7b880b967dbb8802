//! Every test, as a list of steps; failures are collected and told at the end with what reproduces them.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::board::{Board, HANG};
use crate::newer::Qemu;
use crate::process::{self, LONG};
use crate::{
    bench, demo, difference, docs, firmware_c, hosted, models, network, newcomer, packages, panics, setup, size,
    starter, workspace,
};

/// Lanes that run side by side.
const AT_ONCE: usize = 2;

/// Where every public function is called with extreme arguments and overflow checks: one with portable loops, one with those
/// of the DSP extension. (With its checks the program does not fit the M55's memory for code.)
const SWEPT: [&str; 2] = ["mps2-an385", "mps2-an386"];

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only the steps whose name contains one of these
    filter: Vec<String>,
    /// Sweep every value instead of a part (`SCRIMP_EXHAUSTIVE=1`): some minutes more
    #[arg(long)]
    exhaustive: bool,
    /// Also the host's tests on NEON under `qemu-aarch64`, with AddressSanitizer and in Miri: they take long, or need what not every
    /// machine has. A filter that names such a step runs it too
    #[arg(long)]
    all: bool,
}

/// Runs the steps whose name contains one of the filter's; all if it is empty.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let start = Instant::now();
    let steps = Steps { options, done: Mutex::default() };
    let runs_all = steps.runs_all();
    steps.step("set-up", || setup::for_tests(runs_all));
    // Lanes side by side, as much of the work keeps one core busy: an emulator, the last crate of a build, a long test. Each
    // builds in a folder of its own.
    let mut lanes: Vec<Lane<'_>> = vec![Box::new(host), Box::new(users)];
    if runs_all {
        lanes.extend([Box::new(neon) as Lane<'_>, Box::new(sanitizers)]);
    }
    let mut targets: BTreeMap<String, Vec<Board>> = BTreeMap::new();
    for board in Board::all()? {
        targets.entry(board.target.clone()).or_default().push(board);
    }
    // The longest first, so that none is left alone at the end.
    for boards in targets.into_values().rev() {
        lanes.push(Box::new(move |steps| boards.iter().for_each(|board| on_board(steps, board))));
    }
    let queue = Mutex::new(lanes.into_iter());
    let next = || queue.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(lane) = next() {
                    lane(&steps);
                }
            });
        }
    });
    newer_emulator(&steps);
    steps.step("demo", || demo::run(&demo::Options::default()));
    Ok(steps.finish(start))
}

/// Steps one after the other.
type Lane<'a> = Box<dyn FnOnce(&Steps<'_>) + Send + 'a>;

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
    steps.step("header of C", firmware_c::check_header);
    let mut tests = workspace::cargo(["test", "--workspace", "--no-fail-fast"]);
    tests.args(["--features", "scrimp/std,scrimp/embedded-hal"]);
    if steps.options.exhaustive {
        tests.env("SCRIMP_EXHAUSTIVE", "1");
    }
    steps.cargo("tests", tests);
    let suite = ["run", "--release", "-p", "scrimp-suite", "--features", "scrimp/std", "--example", "forced"];
    let mut optimised = workspace::cargo(suite);
    optimised.args(["--", "runtime"]);
    steps.cargo("conformance, optimised", optimised);
}

/// What those do who come to the library.
fn users(steps: &Steps<'_>) {
    steps.step("newcomer", newcomer::run);
    steps.step("starter", starter::run);
    steps.step("packages", packages::run);
}

/// On an AArch64 machine the host's steps are these.
fn neon(steps: &Steps<'_>) {
    if cfg!(target_arch = "aarch64") {
        return;
    }
    steps.built("neon: tests", hosted::neon);
    steps.built("neon: conformance with dotprod and i8mm", hosted::neon_extended);
}

fn sanitizers(steps: &Steps<'_>) {
    steps.cargo("address sanitizer", hosted::address_sanitizer());
    if !steps.wants("miri") {
        return;
    }
    match hosted::miri() {
        Some(cargo) => steps.cargo("miri", cargo),
        None => println!("skipped miri: there is no nightly toolchain with it (`rustup +nightly component add miri`)"),
    }
}

/// The two boards whose vector units read and write memory most freely once more under an emulator that is newer than the
/// machine's, and stricter: it raises UNALIGNED as the M55 does.
fn newer_emulator(steps: &Steps<'_>) {
    for name in ["mps3-an547", "virt-a53"] {
        steps.step(&format!("{name}: conformance, newer QEMU"), || {
            let qemu = match Qemu::newer()? {
                Ok(qemu) => qemu,
                Err(why) => {
                    println!("        skipped: {why}; the alignment of MVE accesses is not checked by this run");
                    return Ok(());
                }
            };
            let checks = if qemu.checks_mve { "checks" } else { "does not check" };
            println!("        QEMU {} {checks} the alignment of MVE accesses", qemu.version);
            conformance(&Board::find(name)?.under(&qemu)?)
        });
    }
}

/// Runs the conformance suite, and looks into what fails.
fn conformance(board: &Board) -> Result<()> {
    for program in board.build_parts("conformance")? {
        let run = board.run(&program, &[""; 0], HANG)?;
        if !run.success() {
            let why = difference::explain(board, &program, &run.stdout)?;
            return run.check().map(drop).context(why);
        }
        let last = run.stdout.lines().last().unwrap_or_default();
        ensure!(last.ends_with(" passed, 0 failed"), "no closing line:\n{}", run.stdout);
        println!("        {}: {last}", board.name);
    }
    Ok(())
}

fn on_board(steps: &Steps<'_>, board: &Board) {
    let name = &board.name;
    let Ok(examples) = board.examples() else { return };
    steps.step(&format!("{name}: build"), || board.build_examples());
    // The bench is a step of its own, with its figures compared.
    let is_counted = examples.iter().any(|example| example == "bench");
    for example in examples.into_iter().filter(|example| example != "bench") {
        steps.step(&format!("{name}: {example}"), || {
            if example == "conformance" {
                return conformance(board);
            }
            let run = board.run(&board.build_example(&example)?, &[""; 0], HANG)?.check()?;
            println!("        {name}: {}", run.stdout.lines().last().unwrap_or_default());
            Ok(())
        });
    }
    steps.step(&format!("{name}: panics"), || panics::gate(board));
    if SWEPT.contains(&name.as_str()) {
        steps.step(&format!("{name}: overflow checks"), || panics::sweep(board));
    }
    if models::BOARDS.contains(&name.as_str()) {
        steps.step(&format!("{name}: networks from .tflite"), || network::check(&board.for_results()));
        steps.step(&format!("{name}: models"), || models::check(board));
    }
    if firmware_c::BOARDS_OF_C.contains(&name.as_str()) {
        steps.step(&format!("{name}: firmware in C"), || firmware_c::check(board));
    }
    if is_counted {
        steps.step(&format!("{name}: bench"), || bench::check(board));
    }
    steps.step(&format!("{name}: size"), || size::check(board));
}

struct Steps<'a> {
    options: &'a Options,
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    passed: usize,
    /// Name, what reproduces it, and what went wrong.
    failures: Vec<(String, String, String)>,
}

impl Steps<'_> {
    /// Whether the steps that take long, or need what not every machine has, run too.
    const fn runs_all(&self) -> bool {
        self.options.all || !self.options.filter.is_empty()
    }

    /// Whether the filter lets a step through.
    fn wants(&self, name: &str) -> bool {
        let filter = &self.options.filter;
        filter.is_empty() || filter.iter().any(|part| name.contains(part.as_str()))
    }

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

    /// Runs cargo with what a function puts together; it is reproduced by the step's name.
    fn built(&self, name: &str, command: impl FnOnce() -> Result<Command>) {
        self.step(name, || process::run(name, &mut command()?, LONG)?.check().map(drop));
    }

    fn record(&self, name: &str, reproduce: String, work: impl FnOnce() -> Result<()>) {
        if !self.wants(name) {
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
