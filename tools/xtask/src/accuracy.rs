//! How far each f32 softmax and StableMax is from f64, against the spread of its input, on this machine's best backend.

use std::fs;

use anyhow::{Context, Result, ensure};
use scrimp::softmax::{self, OnlineSoftmax};
use scrimp::{Error, Rows};
use scrimp_reference::{ops, stablemax};
use serde::{Deserialize, Serialize};

use crate::plot::{self, Chart, Curve};
use crate::{setup, workspace};

const RECORD: &str = "tests/expected/softmax_error.json";
pub(crate) const PLOT: &str = "tests/expected/softmax_error.svg";
/// What the functions promise, relative.
const BOUND: f64 = 1.5e-6;
/// Below it the promise is absolute: 2^-126.
const TINY: f64 = 1.1754943508222875e-38;
const N: usize = 1024;
const ROWS: usize = 32;

/// A function from f32 rows to f32 rows.
type Float = fn(&[f32], &mut [f32], Rows) -> Result<(), Error>;

/// The same in f64, one row.
type Oracle = fn(&[f64]) -> Vec<f64>;

/// What is measured, and its oracle.
const VARIANTS: [(&str, Float, Oracle); 5] = [
    ("softmax_f32", softmax::softmax_f32, ops::softmax),
    ("three_pass_f32", softmax::three_pass_f32, ops::softmax),
    ("two_pass_f32", softmax::two_pass_f32, ops::softmax),
    ("OnlineSoftmax", online, ops::softmax),
    ("stablemax_f32", softmax::stablemax_f32, stablemax::stablemax),
];

fn online(x: &[f32], y: &mut [f32], _: Rows) -> Result<(), Error> {
    let mut state = OnlineSoftmax::new();
    state.push(x);
    state.write(x, y)
}

#[derive(Deserialize, Serialize)]
struct Record {
    machine: String,
    rustc: String,
    command: String,
    backend: String,
    /// Elements of a row; each error is the largest of `rows` rows.
    n: usize,
    rows: usize,
    figures: Vec<Figure>,
}

#[derive(Deserialize, Serialize)]
struct Figure {
    variant: String,
    /// Inputs are uniform from -spread to spread.
    spread: f64,
    /// The largest relative error.
    error: f64,
}

/// Measures, prints, and writes the record if asked to.
pub(crate) fn run(overwrite: bool) -> Result<()> {
    let mut figures = Vec::new();
    for (variant, function, oracle) in VARIANTS {
        for power in -6..=36 {
            let spread = 2f64.powf(f64::from(power) / 2.0);
            let error = worst(function, oracle, spread as f32)?;
            println!("{variant:18} {spread:12.4} {error:.2e}");
            figures.push(Figure { variant: variant.to_owned(), spread, error });
        }
    }
    let record = Record {
        machine: setup::machine(),
        rustc: setup::host_rustc()?,
        command: "cargo xtask accuracy --overwrite".into(),
        backend: scrimp::backend::name().into(),
        n: N,
        rows: ROWS,
        figures,
    };
    check(&record)?;
    if overwrite {
        fs::write(workspace::path(RECORD), serde_json::to_string_pretty(&record)? + "\n")?;
    }
    Ok(())
}

fn worst(function: Float, oracle: Oracle, spread: f32) -> Result<f64> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    let mut worst = 0.0f64;
    for _ in 0..ROWS {
        let x: Vec<f32> = (0..N).map(|_| spread * noise()).collect();
        let mut y = vec![0.0; N];
        function(&x, &mut y, Rows::one(N)?)?;
        let wide: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        for (y, reference) in y.into_iter().zip(oracle(&wide)) {
            let error = (f64::from(y) - reference).abs() - TINY;
            worst = worst.max(error / reference.max(f64::MIN_POSITIVE));
        }
    }
    Ok(worst)
}

fn check(record: &Record) -> Result<()> {
    let over = record.figures.iter().find(|figure| figure.error > BOUND);
    let text = |f: &Figure| format!("{} is off by {:.2e} at a spread of {}", f.variant, f.error, f.spread);
    ensure!(over.is_none(), "{}", over.map(text).unwrap_or_default());
    Ok(())
}

/// The committed figures, drawn.
pub(crate) fn svg() -> Result<String> {
    let text = fs::read_to_string(workspace::path(RECORD)).with_context(|| RECORD)?;
    let record: Record = serde_json::from_str(&text).with_context(|| RECORD)?;
    let mut curves: Vec<Curve> = Vec::new();
    for Figure { variant, spread, error } in record.figures {
        if curves.last().is_none_or(|curve| curve.name != variant) {
            curves.push(Curve { name: variant, points: Vec::new(), dashed: false });
        }
        let last = curves.last_mut().context("just pushed")?;
        last.points.push((spread, error.max(1e-9)));
    }
    let chart = Chart {
        title: "Largest relative error against f64, rows of 1024",
        x: "spread s of the input, uniform in [-s, s]",
        y: "relative error",
        bound: Some(("promised", BOUND)),
    };
    plot::svg(&chart, &curves)
}
