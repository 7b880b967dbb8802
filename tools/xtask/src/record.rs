//! Where the counts and sizes of a compiler are kept: `tests/expected/rustc-VERSION/BOARD.KIND.json`, one folder for each rustc
//! that set-up can end with. A figure is compared with the record of the rustc that made it and no other.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::board::Board;
use crate::workspace;

/// The compiler whose figures the README shows.
pub(crate) const QUOTED: &str = "rustc-1.95.0";

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Instructions.
    Bench,
    /// Bytes.
    Size,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Bench => "bench",
            Self::Size => "size",
        }
    }

    /// The command that makes the record of a board.
    pub(crate) fn command(self, board: &Board) -> String {
        match self {
            Self::Bench => format!("cargo xtask bench --overwrite --board {}", board.name),
            Self::Size => format!("cargo xtask size --overwrite {}", board.name),
        }
    }
}

fn path(compiler: &str, board: &Board, kind: Kind) -> PathBuf {
    workspace::path(format!("tests/expected/{compiler}/{}.{}.json", board.name, kind.name()))
}

fn read<T: DeserializeOwned>(path: PathBuf) -> Result<T> {
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// What the README shows of a board.
pub(crate) fn quoted<T: DeserializeOwned>(board: &Board, kind: Kind) -> Result<T> {
    read(path(QUOTED, board, kind))
}

/// The line under a table that says which compiler its figures are of.
pub(crate) fn built_with<'a>(compilers: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = compilers.collect();
    names.sort_unstable();
    names.dedup();
    format!("\nBuilt with {}.\n", names.join("; "))
}

/// Writes the record of the compiler that builds for the board.
pub(crate) fn write(board: &Board, kind: Kind, record: &impl Serialize) -> Result<()> {
    let path = path(&board.toolchain()?.key()?, board, kind);
    fs::create_dir_all(path.parent().unwrap_or(&path))?;
    fs::write(path, serde_json::to_string_pretty(record)? + "\n")?;
    Ok(())
}

/// What a run is compared with.
pub(crate) enum Found<T> {
    /// The record of the same compiler: being worse than it is a failure.
    Same(T),
    /// That of another, which is named: differences are told and fail nothing.
    Other(T, &'static str),
    /// Nothing.
    None,
}

/// The record to compare a run with: that of this very compiler, or else of another, which then fails nothing; but for a run in CI,
/// which must compare. `cargo xtask records` makes those of all boards and compilers.
pub(crate) fn find<T: DeserializeOwned>(board: &Board, kind: Kind) -> Result<Found<T>> {
    let toolchain = board.toolchain()?;
    let compiler = toolchain.key()?;
    let own = path(&compiler, board, kind);
    if own.exists() {
        return Ok(Found::Same(read(own)?));
    }
    let (name, mend) = (&board.name, kind.command(board));
    let text = format!("{name}: no {} record of {compiler}; `{mend}` makes it", kind.name());
    ensure!(std::env::var_os("CI").is_none(), text);
    println!("        {text}");
    let other = path(QUOTED, board, kind);
    Ok(if other.exists() { Found::Other(read(other)?, QUOTED) } else { Found::None })
}
