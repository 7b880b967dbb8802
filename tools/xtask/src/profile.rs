//! What one model costs on an emulated board, operator by operator: as a table, as JSON, and as a page of its own.

use core::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use scrimp_build::{Code, Model};
use serde::Serialize;

use crate::board::Board;
use crate::models::{self, Record};
use crate::setup;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// The model
    model: PathBuf,
    /// A folder of boards/
    #[arg(long, default_value = "mps3-an547")]
    board: String,
    /// Bytes of all inputs, side by side; zeros by default
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Write everything as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with bars and a map of the arena
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What is written as JSON.
#[derive(Serialize)]
struct Profile {
    #[serde(flatten)]
    record: Record,
    operators: Vec<Line>,
}

/// An operator.
#[derive(Serialize)]
struct Line {
    index: usize,
    name: String,
    kernel: String,
    macs: u64,
    instructions: u64,
    /// Of all instructions, in percent.
    share: f64,
    /// Bytes of the arena that are in use meanwhile.
    live_bytes: usize,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { model: path, board, input, json, html } = options;
    setup::run()?;
    let board = Board::find(board)?;
    let path = path.canonicalize().with_context(|| path.display().to_string())?;
    let code = models::code(&board, &path)?;
    ensure!(
        models::fits(&board, &code),
        "{} has no room for it: an arena of {} bytes, {} of weights",
        board.name,
        code.arena_bytes,
        code.data.len()
    );
    let model = Model::tflite(&path)?;
    let graph = model.graph();
    let bytes: usize = graph.inputs.iter().map(|id| graph.tensors[id.0].bytes()).sum();
    let inputs = match input {
        Some(file) => fs::read(file).with_context(|| file.display().to_string())?,
        None => vec![0; bytes],
    };
    ensure!(inputs.len() == bytes, "the model's inputs are {bytes} bytes, {} given", inputs.len());
    let (record, _) = models::measure(&board, &path, &code, &inputs, false, true)?;
    let lines = lines(&code, &record);
    print!("{}", table(&record, &lines));
    if let Some(file) = html {
        fs::write(file, page(&code, &record, &lines)).with_context(|| file.display().to_string())?;
    }
    if let Some(file) = json {
        let profile = Profile { record, operators: lines };
        fs::write(file, serde_json::to_string_pretty(&profile)? + "\n").with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn lines(code: &Code, record: &Record) -> Vec<Line> {
    let sum: u64 = record.by_node.iter().sum();
    let line = |operator: &scrimp_build::Operator| {
        let instructions = record.by_node.get(operator.index).copied().unwrap_or(0);
        Line {
            index: operator.index,
            name: operator.name.clone(),
            kernel: operator.kernel.clone(),
            macs: operator.macs,
            instructions,
            share: 100.0 * instructions as f64 / sum.max(1) as f64,
            live_bytes: operator.live_bytes,
        }
    };
    code.operators.iter().map(line).collect()
}

fn summary(record: &Record) -> String {
    let Record { model, board, instructions, macs, arena_bytes, flash_bytes, weights_bytes, stack_bytes, .. } = record;
    format!(
        "{model} on {board}: {instructions} instructions, {macs} multiply-accumulates; arena {arena_bytes} bytes, stack \
         {stack_bytes}, flash {flash_bytes} and {weights_bytes} of weights and tables"
    )
}

fn table(record: &Record, lines: &[Line]) -> String {
    let mut text = summary(record) + "\n\n";
    text += "   # operator                     kernel                 instructions  share       MACs  instr./MAC\n";
    for line in lines {
        let Line { index, name, kernel, macs, instructions, share, .. } = line;
        let _ = write!(text, "{index:4} {name:28} {kernel:22} {instructions:12} {share:5.1}% {macs:10}");
        if *macs > 0 {
            let _ = write!(text, "  {:10.2}", *instructions as f64 / *macs as f64);
        }
        text += "\n";
    }
    text
}

/// The page: no scripts, nothing from elsewhere.
fn page(code: &Code, record: &Record, lines: &[Line]) -> String {
    let title = format!("{} on {}", escaped(&record.model), escaped(&record.board));
    let mut bars = String::new();
    let most = lines.iter().map(|line| line.share).fold(0.0, f64::max).max(1e-9);
    for line in lines {
        let Line { index, name, kernel, macs, instructions, share, .. } = line;
        let each = if *macs > 0 { format!("{:.2}", *instructions as f64 / *macs as f64) } else { String::new() };
        let width = share / most * 100.0;
        let _ = writeln!(
            bars,
            "<tr><td>{index}</td><td>{}</td><td>{}</td><td class=n>{instructions}</td><td class=n>{share:.1}</td>\
             <td class=b><div style=\"width:{width:.1}%\"></div></td><td class=n>{macs}</td><td class=n>{each}</td></tr>",
            escaped(name),
            escaped(kernel)
        );
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>\n\
         body {{ font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222 }}\n\
         table {{ border-collapse: collapse }}\ntd, th {{ padding: 1px 8px; text-align: left; white-space: nowrap }}\n\
         .n {{ text-align: right; font-variant-numeric: tabular-nums }}\n.b {{ width: 20em }}\n\
         .b div {{ background: #37a; height: 0.9em }}\nsvg {{ border: 1px solid #999; background: #fafafa }}\n\
         rect {{ stroke: #fff; stroke-width: 0.5 }}\n</style></head><body>\n<h1>{title}</h1>\n<p>{}.</p>\n\
         <h2>Operators</h2>\n<table>\n<tr><th>#</th><th>operator</th><th>kernel</th><th class=n>instructions</th>\
         <th class=n>%</th><th></th><th class=n>MACs</th><th class=n>instr./MAC</th></tr>\n{bars}</table>\n\
         <h2>The arena</h2>\n<p>From left to right the operators, from top to bottom the {} bytes; at least {} are needed. \
         Point at a block to see what lies there.</p>\n{}\n</body></html>\n",
        escaped(&summary(record)),
        code.arena_bytes,
        code.lower_bound,
        map(code)
    )
}

/// The arena over time.
fn map(code: &Code) -> String {
    const WIDTH: f64 = 960.0;
    const HEIGHT: f64 = 420.0;
    let columns = code.operators.len().max(1) as f64;
    let rows = code.arena_bytes.max(1) as f64;
    let mut svg = format!("<svg width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\">\n");
    for (i, block) in code.blocks.iter().enumerate() {
        let (first, last) = block.operators;
        let x = first as f64 / columns * WIDTH;
        let width = (last + 1 - first.min(last)) as f64 / columns * WIDTH;
        let (y, height) = (block.offset as f64 / rows * HEIGHT, block.bytes as f64 / rows * HEIGHT);
        // Neighbours in the list are neighbours in time: the golden angle keeps their colours apart.
        let hue = (i * 137) % 360;
        let light = if block.label == "scratch" { 85 } else { 60 };
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"hsl({hue} 45% {light}%)\">\
             <title>{} bytes from {}: {}</title></rect>",
            block.bytes,
            block.offset,
            escaped(&block.label)
        );
    }
    svg + "</svg>"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
