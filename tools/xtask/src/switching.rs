//! Bit switching on the small Fashion-MNIST transformer: `scrimp switching` into a record, its table and its plot.

use std::fs;

use anyhow::{Context, Result};
use scrimp_cli::dataset;
use scrimp_cli::switching::{Measured, Options, Row, measure};
use serde::{Deserialize, Serialize};

use crate::plot::{self, Chart, Curve};
use crate::{setup, workspace};

const RECORD: &str = "tests/expected/bits.json";
pub(crate) const PLOT: &str = "tests/expected/switching.svg";
/// Curves of the plot; the table has all methods.
const DRAWN: [&str; 7] =
    ["joint", "separate", "joint floor", "post-training", "post-training floor, plain", "joint, mixed", "joint, HASB"];
const WIDTHS: [u32; 5] = [8, 6, 4, 3, 2];

#[derive(Deserialize, Serialize)]
struct Record {
    machine: String,
    rustc: String,
    command: String,
    #[serde(flatten)]
    measured: Measured,
}

/// Measures, prints, and writes the record if asked to.
pub(crate) fn run(overwrite: bool, resume: bool, only: Vec<String>) -> Result<()> {
    let options = Options {
        weights: workspace::path("tools/train/weights"),
        data: workspace::path(dataset::FOLDER),
        validation: false,
        only: only.clone(),
        resume: resume.then(|| workspace::path("target/switching")),
    };
    let measured = measure(&options)?;
    print!("{}", measured.text());
    if overwrite {
        let record = Record {
            machine: setup::machine(),
            rustc: setup::host_rustc()?,
            command: only
                .iter()
                .fold("cargo xtask switching --overwrite".into(), |all, name| all + " --only '" + name + "'"),
            measured,
        };
        fs::write(workspace::path(RECORD), serde_json::to_string_pretty(&record)? + "\n")?;
    }
    Ok(())
}

fn record() -> Result<Measured> {
    let text = fs::read_to_string(workspace::path(RECORD)).with_context(|| RECORD)?;
    Ok(serde_json::from_str::<Record>(&text).with_context(|| RECORD)?.measured)
}

/// Points against f32, one line a method, then what is compared.
pub(crate) fn table() -> Result<String> {
    let measured = record()?;
    let mut table = format!(
        "f32: {:.2} % of {} test pictures. Points against it, with the standard error of the paired difference:\n\n\
         | method | 8 bits | 6 bits | 4 bits | 3 bits | 2 bits |\n| --- | --- | --- | --- | --- | --- |\n",
        measured.float, measured.pictures
    );
    let mut mixed = Vec::new();
    for name in measured.methods() {
        let rows: Vec<&Row> = measured.rows.iter().filter(|row| row.method == name).collect();
        if name.ends_with("mixed") {
            mixed.extend(rows);
            continue;
        }
        let cell = |bits: u32| {
            let row = rows.iter().find(|row| (row.bits - f64::from(bits)).abs() < 1e-6);
            row.map_or("-".into(), |row| points(row.difference, row.error))
        };
        table += &format!("| {name} | {} |\n", WIDTHS.map(cell).join(" | "));
    }
    table += "\n| layers at their own widths | mean bits | points |\n| --- | --- | --- |\n";
    for row in mixed {
        table += &format!("| {} | {:.2} | {} |\n", row.method, row.bits, points(row.difference, row.error));
    }
    table += "\n| difference of two methods, points | 8 bits | 6 bits | 4 bits | 3 bits | 2 bits |\n\
              | --- | --- | --- | --- | --- | --- |\n";
    let mut seen = Vec::new();
    for pair in &measured.pairs {
        let names = (&pair.first, &pair.second);
        if seen.contains(&names) {
            continue;
        }
        seen.push(names);
        let cell = |bits: u32| {
            let same = measured.pairs.iter().find(|p| (&p.first, &p.second) == names && p.bits == bits);
            same.map_or("-".into(), |p| points(p.difference, p.error) + if p.tie { ", tie" } else { "" })
        };
        table += &format!("| {} - {} | {} |\n", pair.first, pair.second, WIDTHS.map(cell).join(" | "));
    }
    let bytes = |bits: f64| {
        let row = measured.rows.iter().find(|row| row.method == "joint" && (row.bits - bits).abs() < 1e-6);
        row.map(|row| row.flash_bytes).context("the record lacks the joint method")
    };
    let (all, half) = (bytes(8.0)?, bytes(4.0)?);
    table += &format!(
        "\nBytes of weights that an inference reads from the two nibble planes: {all} at 8 bits, {half} at 4 ({:.1} %; the \
         first convolution and the head stay at 8).\n",
        100.0 * half as f64 / all as f64
    );
    Ok(table)
}

fn points(difference: f64, error: f64) -> String {
    format!("{difference:+.2} ± {error:.2}")
}

/// Accuracy against the bytes of the weights at their width.
pub(crate) fn svg() -> Result<String> {
    let measured = record()?;
    let curve = |name: &&str| {
        let points = measured.rows.iter().filter(|row| row.method == *name);
        let points = points.map(|row| (row.packed_bytes as f64 / 1024.0, row.accuracy)).collect();
        Curve { name: (*name).to_owned(), points, dashed: name.contains("floor") }
    };
    let chart = Chart {
        title: "Fashion-MNIST transformer: test accuracy against flash bytes",
        x: "weights of an inference, KiB, each layer packed at its width (8, 6, 4, 3, 2 bits)",
        y: "per cent right",
        bound: Some(("f32", measured.float)),
    };
    plot::svg(&chart, &DRAWN.iter().map(curve).collect::<Vec<_>>())
}
