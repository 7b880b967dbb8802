//! Users' networks on the boards: generated code gives the bytes of the golden tensors, and what it costs.
//!
//! The models and their golden tensors lie beside the checkout, in `../shared/models`; without them there is nothing to do.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use safetensors::SafeTensors;
use scrimp::model::crc32;
use scrimp_build::{Code, Model, layout_of};
use serde::{Deserialize, Serialize};

use crate::board::{Board, HANG};
use crate::elf;
use crate::process::{self, LONG};
use crate::setup::{self, Toolchain};
use crate::{record, workspace};

/// The boards that are counted: a Cortex-M0, M4F and M55.
pub(crate) const BOARDS: [&str; 3] = ["microbit", "mps2-an386", "mps3-an547"];

/// A model that runs longer on an emulator hangs.
const LIMIT: Duration = HANG;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Models of ../shared/models by name; all by default
    model: Vec<String>,
    /// Boards; microbit, mps2-an386 and mps3-an547 by default
    #[arg(long)]
    board: Vec<String>,
    /// Only compare the outputs; do not measure sizes
    #[arg(long)]
    quick: bool,
    /// Write all records into one JSON file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Put the records into tests/expected
    #[arg(long, conflicts_with = "quick")]
    overwrite: bool,
}

/// What a network costs on a board.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Record {
    pub(crate) model: String,
    pub(crate) board: String,
    pub(crate) backend: String,
    /// The compiler it holds for.
    pub(crate) rustc: String,
    /// Of one run, the mean over the golden steps.
    pub(crate) instructions: u64,
    /// Multiply-accumulates of one run.
    pub(crate) macs: u64,
    pub(crate) arena_bytes: usize,
    /// No plan takes less.
    pub(crate) arena_lower_bound: usize,
    /// Code and constants of the whole firmware, without the file of weights and tables.
    pub(crate) flash_bytes: u64,
    /// The file of weights and tables.
    pub(crate) weights_bytes: usize,
    /// Of a run, beside the arena; with what an exception puts there.
    pub(crate) stack_bytes: usize,
    /// Instructions of each operator of the file, 0 where nothing runs.
    pub(crate) by_node: Vec<u64>,
    /// What TFLite Micro with CMSIS-NN takes there, where `../shared/models/baseline.json` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<Peer>,
}

/// Another library's figures for the same model, input and core.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Peer {
    pub(crate) instructions: u64,
    pub(crate) arena_bytes: usize,
    /// Code and constants without the model.
    #[serde(rename(deserialize = "text_data_bytes", serialize = "text_data_bytes"))]
    pub(crate) flash_bytes: u64,
}

const RECORDS: &str = "tests/expected/models.json";

/// The figures of TFLite Micro with CMSIS-NN, which somebody measured once.
fn peer(model: &str, board: &str) -> Result<Option<Peer>> {
    let text = fs::read_to_string(workspace::path("../shared/models/baseline.json"))?;
    let all: serde_json::Value = serde_json::from_str(&text)?;
    let core = match board {
        "mps2-an386" => "m4",
        "mps3-an547" => "m55",
        _ => return Ok(None),
    };
    let figures = all["models"][model].get(core).cloned();
    figures.map(serde_json::from_value).transpose().with_context(|| format!("the baseline of {model}"))
}

/// The page of all records.
pub(crate) const PAGE: &str = "docs/models.md";

/// Those of MLPerf Tiny.
const QUOTED: [&str; 4] = ["ad01_int8", "kws_ref_model", "pretrainedResnet_quant", "vww_96_int8"];

/// The models that the README shows.
pub(crate) fn quoted() -> Result<String> {
    table(|record| QUOTED.contains(&record.model.as_str()))
}

/// What a model takes on some boards, as a part of what TFLite Micro with CMSIS-NN takes.
pub(crate) fn ratios(model: &str, boards: &[Board]) -> Result<Vec<String>> {
    let records: Vec<Record> = serde_json::from_str(&fs::read_to_string(workspace::path(RECORDS))?)?;
    let ratio = |board: &Board| {
        let found = records.iter().find(|record| record.model == model && record.board == board.name);
        let peer = found.and_then(|record| Some((record.instructions, record.peer.as_ref()?.instructions)));
        let (ours, theirs) = peer.with_context(|| format!("no record of {model} on {}", board.name))?;
        Ok(format!("{:.2}", ours as f64 / theirs as f64))
    };
    boards.iter().map(ratio).collect()
}

/// All models, as a page.
pub(crate) fn page() -> Result<String> {
    let about = "# Models that people use, beside TFLite Micro\n\n\
                 int8 models from `.tflite` files, compiled by `scrimp-build`, on emulated boards: instructions of one run (not cycles), \
                 the mean over the inputs that come with them; every output byte is the reference's. TFLite Micro with CMSIS-NN was \
                 measured once on the same cores and inputs, built with `-O3`. Flash is code and constants of a whole firmware without \
                 the weights; stack is what a run takes beside the arena. `cargo xtask models --overwrite` repeats our figures where the \
                 models are at hand, `cargo xtask docs` writes this page.\n\n";
    Ok(about.to_owned() + &table(|_| true)?)
}

/// Records as a table.
fn table(is_shown: impl Fn(&Record) -> bool) -> Result<String> {
    let mut records: Vec<Record> = serde_json::from_str(&fs::read_to_string(workspace::path(RECORDS))?)?;
    records.retain(is_shown);
    let mut table = String::from(
        "| model | board | MMACs | million instructions | TFLM + CMSIS-NN | ratio | arena (bytes) | TFLM's | flash without weights | TFLM's | stack |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let millions = |count: u64| format!("{:.2}", count as f64 / 1e6);
    for of in &records {
        let (mut theirs, mut ratio, mut arena, mut flash) = ("-".into(), "-".into(), "-".into(), "-".into());
        if let Some(peer) = &of.peer {
            theirs = millions(peer.instructions);
            ratio = format!("{:.2}", of.instructions as f64 / peer.instructions as f64);
            (arena, flash) = (peer.arena_bytes.to_string(), peer.flash_bytes.to_string());
        }
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {theirs} | {ratio} | {} | {arena} | {} | {flash} | {} |",
            of.model,
            of.board,
            millions(of.macs),
            millions(of.instructions),
            of.arena_bytes,
            of.flash_bytes,
            of.stack_bytes
        );
    }
    Ok(table + &record::built_with(records.iter().map(|of| of.rustc.as_str())))
}

/// Puts new records in the place of the old ones of the same model and board.
fn merge(new: &[Record]) -> Result<()> {
    let path = workspace::path(RECORDS);
    let mut all: Vec<Record> = match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => Vec::new(),
    };
    all.retain(|old| !new.iter().any(|new| (&new.model, &new.board) == (&old.model, &old.board)));
    all.extend_from_slice(new);
    all.sort_by(|a, b| (&a.model, &a.board).cmp(&(&b.model, &b.board)));
    fs::write(path, serde_json::to_string_pretty(&all)? + "\n")?;
    Ok(())
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Some(models) = models(&options.model)? else {
        println!("skipped: no ../shared/models");
        return Ok(());
    };
    setup::run()?;
    let mut records = Vec::new();
    let names: Vec<String> =
        if options.board.is_empty() { BOARDS.map(str::to_owned).to_vec() } else { options.board.clone() };
    let mut wrong = Vec::new();
    for board in Board::some(&names)? {
        for model in &models {
            match on_board(&board, model, !options.quick) {
                Ok(Some(record)) => records.push(record),
                Ok(None) => {}
                Err(error) => {
                    println!("FAILED {} on {}: {error:#}", model.name, board.name);
                    wrong.push(format!("{} on {}", model.name, board.name));
                }
            }
        }
    }
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_string_pretty(&records)? + "\n").with_context(|| file.display().to_string())?;
    }
    println!("{} passed, {} failed", records.len(), wrong.len());
    ensure!(wrong.is_empty(), "{}", wrong.join(", "));
    if options.overwrite { merge(&records) } else { Ok(()) }
}

/// Runs all models on one board and compares their outputs; what they cost is not measured.
/// Without `../shared/models` there is nothing to do.
pub(crate) fn check(board: &Board) -> Result<()> {
    let Some(models) = models(&[])? else {
        println!("        skipped: no ../shared/models");
        return Ok(());
    };
    let board = board.for_results();
    let mut ran = 0;
    for model in &models {
        ran += usize::from(on_board(&board, model, false).with_context(|| model.name.clone())?.is_some());
    }
    let small = models.len() - ran;
    println!("        {}: {ran} models give the golden bytes, {small} do not fit", board.name);
    ensure!(ran > 0, "no model fits");
    Ok(())
}

/// A model and its golden tensors.
struct Pair {
    name: String,
    model: PathBuf,
    golden: PathBuf,
}

/// The models of `../shared`, those of `names` if there are any; `None` without `../shared`.
fn models(names: &[String]) -> Result<Option<Vec<Pair>>> {
    let folder = workspace::path("../shared/models");
    if !folder.exists() {
        return Ok(None);
    }
    let folder = folder.canonicalize()?;
    let mut models = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let model = entry?.path();
        let name = model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let golden = folder.join("golden").join(format!("{name}.safetensors"));
        let is_model = model.extension().is_some_and(|extension| extension == "tflite") && golden.exists();
        if is_model && (names.is_empty() || names.contains(&name)) {
            models.push(Pair { name, model, golden });
        }
    }
    models.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(!models.is_empty(), "no such model in {}", folder.display());
    Ok(Some(models))
}

/// Builds and runs one model on one board; `None` if the board is too small for it.
fn on_board(board: &Board, pair: &Pair, measures: bool) -> Result<Option<Record>> {
    let code = code(board, &pair.model)?;
    let golden = fs::read(&pair.golden)?;
    let golden = Golden::read(&golden, &pair.model)?;
    if !fits(board, &code) {
        println!("{:12} {}: too large", board.name, pair.name);
        return Ok(None);
    }
    let most = if board.name == "microbit" { (200usize << 10).saturating_sub(code.data.len()) } else { 1 << 20 };
    let steps = (most / golden.step_bytes).clamp(1, golden.steps);
    let inputs = &golden.inputs[..steps * golden.step_bytes];
    let (mut record, outputs) = measure(board, &pair.model, &code, inputs, golden.is_stream, measures)?;
    record.model.clone_from(&pair.name);
    record.peer = peer(&pair.name, &board.name)?;
    ensure!(outputs.len() == steps * golden.outputs, "{} outputs, {} expected", outputs.len(), steps * golden.outputs);
    for ((step, k), crc) in outputs {
        let want = *golden.crcs.get(&(step, k)).context("an output that the golden file has not")?;
        ensure!(crc == want, "step {step}, output {k}: CRC-32 {crc:08x}, {want:08x} expected");
    }
    println!(
        "{:12} {:26} {steps} steps equal; {} instructions, arena {} (least {}), flash {} + {} of weights, stack {}",
        board.name,
        pair.name,
        record.instructions,
        record.arena_bytes,
        record.arena_lower_bound,
        record.flash_bytes,
        record.weights_bytes,
        record.stack_bytes
    );
    Ok(Some(record))
}

/// The code of a model for a board.
pub(crate) fn code(board: &Board, model: &Path) -> Result<Code> {
    Model::tflite(model)?.layout(layout_of(&board.backend)?).code().with_context(|| model.display().to_string())
}

/// Whether a board has room for a model.
pub(crate) fn fits(board: &Board, code: &Code) -> bool {
    // What is left of 16 KiB of RAM for the arena, and of 256 KiB of flash for weights beside the code.
    board.name != "microbit" || (code.arena_bytes <= 13 << 10 && code.data.len() <= 170 << 10)
}

/// CRC-32 of each output of each step.
type Outputs = BTreeMap<(usize, usize), u32>;

/// Runs a model on a board on these inputs, step after step: what it costs, and what came out.
pub(crate) fn measure(
    board: &Board,
    model: &Path,
    code: &Code,
    inputs: &[u8],
    is_stream: bool,
    measures: bool,
) -> Result<(Record, Outputs)> {
    let name = model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let file = workspace::path("target/models").join(format!("{}-{name}.in", board.name));
    fs::create_dir_all(file.parent().context("a folder")?)?;
    fs::write(&file, inputs)?;
    let mut cargo = cargo(board, model, "messages")?;
    cargo.env("SCRIMP_INPUTS", &file);
    if is_stream {
        cargo.env("SCRIMP_STREAM", "1");
    }
    process::run(&format!("build {name} for {}", board.name), &mut cargo, LONG)?.check()?;
    let program = board.keep("scrimp-net", &name)?;
    let run = board.run(&program, &[""; 0], LIMIT)?.check()?;
    let mut record = Record {
        model: name.clone(),
        board: board.name.clone(),
        backend: board.backend.clone(),
        rustc: Toolchain::for_target(&board.target)?.version()?,
        instructions: 0,
        macs: code.macs,
        arena_bytes: code.arena_bytes,
        arena_lower_bound: code.lower_bound,
        flash_bytes: 0,
        weights_bytes: code.data.len(),
        stack_bytes: 0,
        by_node: Vec::new(),
        peer: None,
    };
    let outputs = parse(&run.stdout, &mut record)?;
    if measures {
        let mut cargo = self::cargo(board, model, "bare")?;
        process::run(&format!("build {name} bare for {}", board.name), &mut cargo, LONG)?.check()?;
        let program = board.keep("scrimp-net", &format!("{name}-bare"))?;
        let (sizes, _) = elf::measure(&program, 0)?;
        record.flash_bytes = (sizes.text + sizes.rodata + sizes.data).saturating_sub(code.data.len() as u64);
    }
    Ok((record, outputs))
}

fn cargo(board: &Board, model: &Path, feature: &str) -> Result<std::process::Command> {
    let mut cargo = board.cargo("build")?;
    cargo.args(["-p", "scrimp-net", "--features", feature]).env("SCRIMP_MODEL", model);
    Ok(cargo)
}

/// What a program printed: checksums, and what it counted.
fn parse(stdout: &str, record: &mut Record) -> Result<Outputs> {
    let mut outputs = Outputs::new();
    for line in stdout.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["memory", bytes] => {
                ensure!(
                    *bytes == record.arena_bytes.to_string(),
                    "the arena is {bytes}, planned {}",
                    record.arena_bytes
                );
            }
            ["output", step, k, crc] => {
                outputs.insert((step.parse()?, k.parse()?), u32::from_str_radix(crc, 16)?);
            }
            ["stack", bytes] => record.stack_bytes = bytes.parse()?,
            ["instructions", count] => record.instructions = count.parse()?,
            ["operator", _, count] => record.by_node.push(count.parse()?),
            _ => bail!("not understood: {line}"),
        }
    }
    Ok(outputs)
}

/// What a golden file has: inputs of all steps side by side, checksums of the outputs.
struct Golden {
    steps: usize,
    step_bytes: usize,
    inputs: Vec<u8>,
    outputs: usize,
    crcs: Outputs,
    is_stream: bool,
}

impl Golden {
    fn read(bytes: &[u8], model: &Path) -> Result<Self> {
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let is_stream = metadata.metadata().as_ref().and_then(|m| m.get("mode")).is_some_and(|mode| mode == "stream");
        let file = SafeTensors::deserialize(bytes)?;
        let model = Model::tflite(model)?;
        let graph = model.graph();
        let array = |kind: &str, k: usize| file.tensor(&format!("{kind}{k}")).map(|view| view.data());
        let size = |id: &scrimp_build::TensorId| graph.tensors[id.0].bytes();
        let first = graph.inputs.first().context("the model has no input")?;
        let steps = array("in", 0)?.len() / size(first);
        let mut inputs = Vec::new();
        let mut crcs = Outputs::new();
        for step in 0..steps {
            for (k, id) in graph.inputs.iter().enumerate() {
                let bytes = size(id);
                inputs.extend_from_slice(array("in", k)?.get(step * bytes..(step + 1) * bytes).context("too short")?);
            }
            for (k, id) in graph.outputs.iter().enumerate() {
                let bytes = size(id);
                let output = array("out", k)?.get(step * bytes..(step + 1) * bytes).context("too short")?;
                crcs.insert((step, k), crc32(output));
            }
        }
        let step_bytes = graph.inputs.iter().map(size).sum();
        Ok(Self { steps, step_bytes, inputs, outputs: graph.outputs.len(), crcs, is_stream })
    }
}
