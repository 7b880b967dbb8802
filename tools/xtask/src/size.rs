//! Flash and RAM of the probe on each board, against the records in `tests/expected/`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::board::Board;
use crate::elf::{self, Sizes, Symbol};
use crate::panics;
use crate::setup::Toolchain;
use crate::workspace;

/// Symbols that are worth a line.
const LARGEST: usize = 10;

/// A committed measurement.
#[derive(Deserialize, Serialize)]
struct Record {
    /// The compiler it holds for.
    rustc: String,
    /// How it was made.
    command: String,
    /// The probe's sizes in bytes.
    sizes: Sizes,
    /// Its largest functions and constants.
    largest: Vec<Symbol>,
}

/// Measures the probe, prints it with its largest symbols, and compares it with the record or writes that.
pub(crate) fn run(board: &Board, overwrite: bool) -> Result<()> {
    let (sizes, largest) = measure(board)?;
    for Symbol { name, size } in &largest {
        println!("    {size:7} {name}");
    }
    let rustc = Toolchain::for_target(&board.target)?.version()?;
    if overwrite {
        let command = format!("cargo xtask size --overwrite {}", board.name);
        let record = Record { rustc, command, sizes, largest };
        fs::create_dir_all(workspace::path("tests/expected"))?;
        fs::write(path(board), serde_json::to_string_pretty(&record)? + "\n")?;
        return Ok(());
    }
    compare(board, &rustc, sizes)
}

/// Measures the probe, prints it in one line, and compares it with the record.
pub(crate) fn check(board: &Board) -> Result<()> {
    let (sizes, _) = measure(board)?;
    compare(board, &Toolchain::for_target(&board.target)?.version()?, sizes)
}

fn measure(board: &Board) -> Result<(Sizes, Vec<Symbol>)> {
    let (sizes, largest) = elf::measure(&panics::probe(board)?, LARGEST)?;
    let Sizes { text, rodata, data, bss } = sizes;
    println!("{:12} text {text:7}  rodata {rodata:6}  data {data:5}  bss {bss:6}", board.name);
    Ok((sizes, largest))
}

/// Fails if the same compiler made something more than 2 % larger than it is in the record.
fn compare(board: &Board, rustc: &str, sizes: Sizes) -> Result<()> {
    let record = record(board)?;
    let (old, new) = (record.sizes, sizes);
    let mut worse = Vec::new();
    for (what, old, new) in [
        ("text", old.text, new.text),
        ("rodata", old.rodata, new.rodata),
        ("data", old.data, new.data),
        ("bss", old.bss, new.bss),
    ] {
        if new * 100 > old * 102 {
            worse.push(format!("{what} {old} -> {new}"));
        }
    }
    if worse.is_empty() {
        return Ok(());
    }
    let worse = format!("larger than in the record: {}", worse.join(", "));
    if record.rustc == rustc {
        bail!("{worse}; if that is meant: `{}`", record.command);
    }
    println!("{worse} (not compared strictly: recorded with {}, built with {rustc})", record.rustc);
    Ok(())
}

/// The records of all boards, as a table for the README.
pub(crate) fn table(boards: &[Board]) -> Result<String> {
    let mut table = String::from("| board | text | rodata | data | bss |\n| --- | --- | --- | --- | --- |\n");
    for board in boards {
        let Sizes { text, rodata, data, bss } = record(board)?.sizes;
        table += &format!("| {} | {text} | {rodata} | {data} | {bss} |\n", board.name);
    }
    Ok(table)
}

fn record(board: &Board) -> Result<Record> {
    let text = fs::read_to_string(path(board)).with_context(|| format!("{} has no record", board.name))?;
    serde_json::from_str(&text).with_context(|| board.name.clone())
}

fn path(board: &Board) -> PathBuf {
    workspace::path(format!("tests/expected/{}.size.json", board.name))
}
