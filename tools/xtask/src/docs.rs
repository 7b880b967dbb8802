//! The figures and plots of the README, and the page of models: every one stands in a committed record, and this puts it there or
//! draws it.
//!
//! A block starts with `<!-- begin NAME -->` and ends with `<!-- end NAME -->`; what lies between is generated.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::board::Board;
use crate::{accuracy, bench, demo, evidence, models, quality, record, size, switching, workspace};

const README: &str = "README.md";

/// Rewrites the blocks, or with `check` fails if that would change anything.
pub(crate) fn run(check: bool) -> Result<()> {
    let path = workspace::path(README);
    let before = fs::read_to_string(&path)?;
    let record = demo::record()?;
    let mut text = before.clone();
    for (name, block) in [
        ("demo", demo::table(&record.rows) + &record::built_with([record.rustc.as_str()].into_iter())),
        ("saved", demo::saved(&record.rows)?.join("\n") + "\n"),
        ("ram", demo::ram_line(&record.ram) + "\n"),
        ("quality", quality::table()?),
        ("switching", switching::table()?),
        ("models", models::quoted()?),
        ("counts", bench::counts()?),
        ("host softmax", bench::host_table()?),
        ("bits counts", bench::bits()?),
        ("host linear", bench::linear_table()?),
        ("adalog counts", bench::adalog()?),
        ("adalog evidence", evidence::table()?),
        ("sizes", size::table(&Board::all()?)?),
    ] {
        text = replace(&text, name, &block)?;
    }
    for (path, text) in [
        (accuracy::PLOT, accuracy::svg()?),
        (bench::HOST_PLOT, bench::host_svg()?),
        (switching::PLOT, switching::svg()?),
        (models::PAGE, models::page()?),
    ] {
        if check {
            let there = fs::read_to_string(workspace::path(path)).unwrap_or_default();
            ensure!(there == text, "{path} does not show its record; mend it with `cargo xtask docs`");
        } else {
            fs::write(workspace::path(path), text)?;
        }
    }
    if check {
        ensure!(text == before, "{README} does not show what tests/expected holds; mend it with `cargo xtask docs`");
    } else {
        fs::write(&path, text)?;
    }
    Ok(())
}

fn replace(text: &str, name: &str, block: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let missing = || format!("{README} has no block {name}");
    let (head, rest) = text.split_once(&begin).with_context(missing)?;
    let (_, tail) = rest.split_once(&end).with_context(missing)?;
    Ok(format!("{head}{begin}{block}{end}{tail}"))
}
