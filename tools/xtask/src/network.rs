//! A user's network, from its `.tflite` file: the example `classify` names real pictures on the host and on emulated boards,
//! with the same bytes, and one table says what it costs there, layer by layer.

use core::time::Duration;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use scrimp::Quantization;
use scrimp_build::Model;

use crate::board::Board;
use crate::models::{self, Record};
use crate::process::{self, LONG};
use crate::workspace;

/// The boards of the demo: a Cortex-M4F and an M55 with Helium.
const BOARDS: [&str; 2] = ["mps2-an386", "mps3-an547"];
const MODEL: &str = "examples/data/classify.tflite";
const PICTURES: &str = "examples/data/classify";
/// Semihosting has room for the names of so many pictures.
const AT_ONCE: usize = 8;
const BOARD_LIMIT: Duration = Duration::from_secs(300);
/// How many of the twenty pictures the network may get wrong: it knows nine out of ten.
const MOST_WRONG: usize = 5;

/// Names all pictures on the host and on the boards; prints what came out and what it cost.
pub(crate) fn run() -> Result<()> {
    let pictures = pictures()?;
    let answers = on_host("classify", &pictures)?;
    let wrong: Vec<&str> = answers.iter().map(|line| line.text.as_str()).filter(|text| !is_right(text)).collect();
    println!("classify.tflite: {} of {} pictures named right; wrong:", pictures.len() - wrong.len(), pictures.len());
    wrong.iter().for_each(|text| println!("    {text}"));
    ensure!(wrong.len() <= MOST_WRONG, "{} of {} pictures are named wrong", wrong.len(), pictures.len());

    let mut records = Vec::new();
    for name in BOARDS {
        let board = Board::find(name)?;
        same_on(&board, "classify", &pictures, &answers)?;
        records.push(cost(&board, &pictures[0])?);
    }
    println!("the same scores on {}\n", BOARDS.join(" and "));
    println!("{}", table(&records)?);
    Ok(())
}

/// Runs both examples on the host and on one board, and compares what they say.
pub(crate) fn check(board: &Board) -> Result<()> {
    for (example, files) in [("classify", pictures()?), ("keyword", files("examples/data/keyword", "npy")?)] {
        let files = &files[..files.len().min(AT_ONCE)];
        let answers = on_host(example, files)?;
        same_on(board, example, files, &answers)?;
    }
    Ok(())
}

fn pictures() -> Result<Vec<String>> {
    files(PICTURES, "pgm")
}

/// The files of a folder, by name.
fn files(folder: &str, extension: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(workspace::path(folder)).with_context(|| folder.to_owned())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|there| there == extension) {
            files.push(format!("{folder}/{name}"));
        }
    }
    files.sort_unstable();
    ensure!(!files.is_empty(), "{folder} is empty");
    Ok(files)
}

/// A line of an example.
struct Answer {
    /// The file, what it is, and all scores.
    text: String,
}

/// The lines that name a file, without what they cost.
fn answers(stdout: &str) -> Vec<Answer> {
    let lines = stdout.lines().filter(|line| line.starts_with("examples/"));
    lines.map(|line| Answer { text: line.rsplit_once(", ").map_or(line, |(text, _)| text).to_owned() }).collect()
}

/// Whether the file is named after what it is said to be.
fn is_right(text: &str) -> bool {
    let Some((path, said)) = text.split_once(": ") else { return false };
    let name = path.rsplit('/').next().unwrap_or_default();
    said.split_once(',').is_some_and(|(kind, _)| name.starts_with(&format!("{kind}_")))
}

fn on_host(example: &str, files: &[String]) -> Result<Vec<Answer>> {
    let mut all = Vec::new();
    for files in files.chunks(AT_ONCE) {
        let mut cargo = workspace::cargo(["run", "-q", "--release", "-p", example, "--"]);
        cargo.args(files);
        let run = process::run(&format!("{example} on the host"), &mut cargo, LONG)?.check()?;
        all.extend(answers(&run.stdout));
    }
    ensure!(all.len() == files.len(), "{example} named {} of {} files", all.len(), files.len());
    Ok(all)
}

/// Fails unless the example says the same on a board.
fn same_on(board: &Board, example: &str, files: &[String], expected: &[Answer]) -> Result<()> {
    let program = board.build_package(example)?;
    let mut all = Vec::new();
    for files in files.chunks(AT_ONCE) {
        all.extend(answers(&board.run(&program, files, BOARD_LIMIT)?.check()?.stdout));
    }
    ensure!(all.len() == expected.len(), "{}: {} lines of {}", board.name, all.len(), expected.len());
    for (board_says, host_says) in all.iter().zip(expected) {
        ensure!(
            board_says.text == host_says.text,
            "{} says `{}`, the host `{}`",
            board.name,
            board_says.text,
            host_says.text
        );
    }
    Ok(())
}

/// What one inference costs on a board.
fn cost(board: &Board, picture: &str) -> Result<Record> {
    let path = workspace::path(MODEL).canonicalize()?;
    let model = Model::tflite(&path)?;
    let input = &model.graph().tensors[model.graph().inputs[0].0];
    let quant = input.quant.as_ref().context("the model's input has no scale")?;
    let quant = Quantization::new(quant.scales[0], i32::try_from(quant.zero_points[0])?);
    let file = fs::read(workspace::path(picture))?;
    let pixels = &file[file.len() - input.bytes()..];
    let codes: Vec<u8> = pixels.iter().map(|&pixel| quant.quantize_s8(f32::from(pixel) / 255.0) as u8).collect();
    let code = models::code(board, &path)?;
    Ok(models::measure(board, &path, &code, &codes, false, true)?.0)
}

/// A row for each operator, a column for each board, and the sums.
fn table(records: &[Record]) -> Result<String> {
    let code = Model::tflite(workspace::path(MODEL))?.code()?;
    let mut rows = vec![["operator", "kernel", "MACs"].map(str::to_owned).to_vec(), vec!["---".to_owned(); 3]];
    for operator in &code.operators {
        rows.push(vec![
            format!("{} {}", operator.index, operator.name),
            operator.kernel.clone(),
            operator.macs.to_string(),
        ]);
    }
    for (name, of) in [
        ("instructions an inference", (|record| record.instructions) as fn(&Record) -> u64),
        ("arena, bytes", |record| record.arena_bytes as u64),
        ("stack, bytes", |record| record.stack_bytes as u64),
        ("flash without weights, bytes", |record| record.flash_bytes),
        ("weights and tables, bytes", |record| record.weights_bytes as u64),
    ] {
        let mut row = vec![name.to_owned(), String::new(), String::new()];
        row.extend(records.iter().map(|record| of(record).to_string()));
        rows.push(row);
    }
    for record in records {
        rows[0].push(format!("{}, instructions", record.board));
        rows[1].push("---".to_owned());
        for (row, operator) in rows[2..].iter_mut().zip(&code.operators) {
            row.push(record.by_node.get(operator.index).copied().unwrap_or(0).to_string());
        }
    }
    Ok(rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect())
}
