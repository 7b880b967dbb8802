//! The panic gate: `boards/probe` calls every public function, and links only if no panic is left in them.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use addr2line::Loader;
use anyhow::{Context, Result, anyhow, ensure};
use object::{File, Object, ObjectSection, ObjectSymbol, RelocationTarget, SymbolKind};

use crate::board::{Board, HANG};
use crate::elf::demangled;
use crate::process::{self, LONG};
use crate::workspace;

/// What the probe's undefined symbol says; the same text stands in `boards/probe`.
const MESSAGE: &str = "error: a public function of scrimp can panic";

/// The function that the panic handler calls when the probe is built with feature `explain`.
const HANDLER: &str = "scrimp_probe_panicked";

/// Links the probe; gives its path.
pub(crate) fn probe(board: &Board) -> Result<PathBuf> {
    let mut cargo = link_only(board, "build")?;
    cargo.args(["-p", "scrimp-probe"]);
    process::run(&format!("link the probe for {}", board.name), &mut cargo, LONG)?.check()?;
    board.keep("scrimp-probe", "")
}

/// Cargo for the probe, which may be larger than the board's flash.
fn link_only(board: &Board, subcommand: &str) -> Result<Command> {
    let mut cargo = board.cargo(subcommand)?;
    cargo.env("SCRIMP_LINK_ONLY", "1");
    Ok(cargo)
}

/// Passes if the probe links, and with a panic planted in it does not.
pub(crate) fn gate(board: &Board) -> Result<()> {
    probe(board)?;
    let mut cargo = link_only(board, "build")?;
    cargo.args(["-p", "scrimp-probe", "--features", "provoke"]);
    let planted = process::run(&format!("provoke the panic gate for {}", board.name), &mut cargo, LONG)?;
    ensure!(!planted.success(), "the probe links although a panic was planted in it");
    if !planted.stderr.contains(MESSAGE) {
        return Err(anyhow!(planted.stderr).context("the probe fails for another reason than the planted panic"));
    }
    println!("{}: no public function can panic, and a planted panic is found", board.name);
    Ok(())
}

/// Runs the probe with extreme arguments on a board, built with overflow checks and debug assertions; then once more with an
/// overflow planted in it, which must be found.
pub(crate) fn sweep(board: &Board) -> Result<()> {
    let board = board.for_results();
    let run = |features: &str| -> Result<process::Finished> {
        let mut cargo = board.cargo("build")?;
        cargo.args(["-p", "scrimp-probe", "--features", features]);
        for check in ["OVERFLOW_CHECKS", "DEBUG_ASSERTIONS"] {
            cargo.env(format!("CARGO_PROFILE_RESULTS_{check}"), "true");
        }
        process::run(&format!("build the sweep for {}: {features}", board.name), &mut cargo, LONG)?.check()?;
        board.run(&board.keep("scrimp-probe", "sweep")?, &[""; 0], HANG)
    };
    let swept = run("sweep")?.check()?;
    println!("        {}: {}", board.name, swept.stdout.trim_end());
    let planted = run("sweep,provoke")?;
    ensure!(
        !planted.success() && planted.stderr.contains("overflow"),
        "a planted overflow is not found:\n{}",
        planted.stderr
    );
    Ok(())
}

/// Prints each place where the library's code calls a panic.
pub(crate) fn explain(board: &Board) -> Result<()> {
    let mut cargo = link_only(board, "rustc")?;
    cargo.args([
        "-p",
        "scrimp-probe",
        "--bin",
        "scrimp-probe",
        "--features",
        "explain",
        "--",
        "-Clink-arg=--emit-relocs",
    ]);
    process::run(&format!("link the probe with its panics for {}", board.name), &mut cargo, LONG)?.check()?;
    let program = board.keep("scrimp-probe", "")?;
    let places = places(&program)?;
    println!("{}: {} places call a panic", board.name, places.len());
    for place in places {
        println!("{place}");
    }
    Ok(())
}

/// A function of the program.
struct Function {
    start: u64,
    end: u64,
    name: String,
}

/// A call or any other mention of one function in another.
struct Mention {
    from: usize,
    to: usize,
    at: u64,
}

fn places(program: &Path) -> Result<BTreeSet<String>> {
    let bytes = fs::read(program)?;
    let file = File::parse(&*bytes)?;
    let functions = functions(&file)?;
    let mentions = mentions(&file, &functions);

    // Everything of `core` that ends in the panic handler is part of the panic.
    let handler = functions.iter().position(|function| function.name == HANDLER);
    let handler = handler.context("the probe's panic handler is not in the program")?;
    let mut panics = HashSet::from([handler]);
    loop {
        let known = panics.len();
        let more = mentions.iter().filter(|m| panics.contains(&m.to) && is_core(&functions[m.from].name));
        let more: Vec<_> = more.map(|m| m.from).collect();
        panics.extend(more);
        if panics.len() == known {
            break;
        }
    }

    let loader = Loader::new(program).map_err(|error| anyhow!("{error}"))?;
    let mut places = BTreeSet::new();
    for mention in mentions.iter().filter(|m| panics.contains(&m.to) && !panics.contains(&m.from)) {
        let mut place = format!("{} in {}", functions[mention.to].name, functions[mention.from].name);
        let mut frames = loader.find_frames(mention.at).map_err(|error| anyhow!("{error}"))?;
        while let Some(frame) = frames.next()? {
            let Some(location) = frame.location else { continue };
            if let (Some(file), Some(line)) = (location.file, location.line) {
                let file = Path::new(file);
                let file = file.strip_prefix(workspace::path("").canonicalize()?).unwrap_or(file);
                place += &format!("\n    {}:{line}", file.display());
            }
        }
        places.insert(place);
    }
    Ok(places)
}

/// Whether a function belongs to `core` or to the compiler's way into the panic handler.
fn is_core(name: &str) -> bool {
    let in_core = name.starts_with("core::") || name.starts_with('<') && !name.contains("scrimp");
    in_core || name.contains("rust_begin_unwind") || name.contains("panic_handler")
}

fn functions(file: &File<'_>) -> Result<Vec<Function>> {
    let mut functions = Vec::new();
    for symbol in file.symbols() {
        if symbol.kind() == SymbolKind::Text && symbol.size() > 0 {
            let start = symbol.address() & !1; // bit 0 says Thumb
            functions.push(Function { start, end: start + symbol.size(), name: demangled(symbol.name()?) });
        }
    }
    functions.sort_by_key(|function| function.start);
    Ok(functions)
}

fn mentions(file: &File<'_>, functions: &[Function]) -> Vec<Mention> {
    let function_at = |address: u64| {
        let after = functions.partition_point(|function| function.start <= address);
        (0..after).rev().take(2).find(|&i| address < functions[i].end)
    };
    let mut mentions = Vec::new();
    for section in file.sections().filter(|section| section.kind() == object::SectionKind::Text) {
        for (at, relocation) in section.relocations() {
            let RelocationTarget::Symbol(index) = relocation.target() else { continue };
            let Ok(symbol) = file.symbol_by_index(index) else { continue };
            // Only a section's own symbol needs the addend; calls carry a pipeline offset there.
            let is_section = symbol.kind() == SymbolKind::Section;
            let addend = if is_section { relocation.addend().cast_unsigned() } else { 0 };
            let target = symbol.address().wrapping_add(addend) & !1;
            if let (Some(from), Some(to)) = (function_at(at), function_at(target)) {
                mentions.push(Mention { from, to, at });
            }
        }
    }
    mentions
}
