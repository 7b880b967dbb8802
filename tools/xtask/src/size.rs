//! Flash and RAM of the probe on each board, against the records in `tests/expected/`.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::board::Board;
use crate::elf::{self, Sizes, Symbol};
use crate::panics;
use crate::record::{self, Found, Kind};

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
    if overwrite {
        let (rustc, command) = (board.toolchain()?.version()?, Kind::Size.command(board));
        return record::write(board, Kind::Size, &Record { rustc, command, sizes, largest });
    }
    compare(board, sizes)
}

/// Measures the probe, prints it in one line, and compares it with the record.
pub(crate) fn check(board: &Board) -> Result<()> {
    let (sizes, _) = measure(board)?;
    compare(board, sizes)
}

fn measure(board: &Board) -> Result<(Sizes, Vec<Symbol>)> {
    let (sizes, largest) = elf::measure(&panics::probe(board)?, LARGEST)?;
    let Sizes { text, rodata, data, bss } = sizes;
    println!("{:12} text {text:7}  rodata {rodata:6}  data {data:5}  bss {bss:6}", board.name);
    Ok((sizes, largest))
}

/// Fails if something is more than 2 % larger than in the record of the same compiler.
fn compare(board: &Board, new: Sizes) -> Result<()> {
    let (old, other) = match record::find::<Record>(board, Kind::Size)? {
        Found::Same(old) => (old.sizes, None),
        Found::Other(old, whose) => (old.sizes, Some(whose)),
        Found::None => return Ok(()),
    };
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
    let worse = worse.join(", ");
    match other {
        _ if worse.is_empty() => Ok(()),
        Some(whose) => {
            println!("        {}: larger than with {whose}, which fails nothing: {worse}", board.name);
            Ok(())
        }
        None => bail!("larger than in the record: {worse}; if that is meant: `{}`", Kind::Size.command(board)),
    }
}

/// The records of all boards, as a table for the README.
pub(crate) fn table(boards: &[Board]) -> Result<String> {
    let mut table = String::from("| board | text | rodata | data | bss |\n| --- | --- | --- | --- | --- |\n");
    let mut compilers = Vec::new();
    for board in boards {
        let Record { rustc, sizes: Sizes { text, rodata, data, bss }, .. } = record::quoted(board, Kind::Size)?;
        table += &format!("| {} | {text} | {rodata} | {data} | {bss} |\n", board.name);
        compilers.push(rustc);
    }
    Ok(table + &record::built_with(compilers.iter().map(String::as_str)))
}
