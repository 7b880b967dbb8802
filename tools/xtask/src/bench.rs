//! What every kernel costs an element: instruction counts on the boards, against the records in `tests/expected/`; times
//! on the host beside other libraries, which are never compared with a record.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::board::{Board, HANG};
use crate::plot::{self, Chart, Curve};
use crate::process::{self, LONG};
use crate::record::{self, Found, Kind};
use crate::{setup, workspace};

/// A count may grow by this factor before a run fails.
const ALLOWED: f64 = 1.02;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Boards to count on; by default all that Cargo.toml lists for `bench`
    #[arg(long)]
    board: Vec<String>,
    /// Time the host instead, beside other libraries (tools/bench)
    #[arg(long, conflicts_with_all = ["board", "overwrite"])]
    host: bool,
    /// Write all records into one JSON file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write tests/expected instead of comparing with it
    #[arg(long)]
    overwrite: bool,
}

/// One figure.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Record {
    /// The public function or type, in snake case.
    pub(crate) kernel: String,
    pub(crate) board: String,
    pub(crate) backend: String,
    /// Elements of a row.
    pub(crate) n: usize,
    pub(crate) unit: String,
    pub(crate) value: f64,
    /// The library, if it is not ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<String>,
    /// The compiler it holds for.
    pub(crate) rustc: String,
    /// How it was made.
    pub(crate) command: String,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.host {
        return host(options);
    }
    setup::run()?;
    let mut all = Vec::new();
    let mut worse = Vec::new();
    for board in Board::some(&options.board)? {
        // The gate counts on the boards of the list; whoever names a board gets it.
        if options.board.is_empty() && !board.examples()?.iter().any(|example| example == "bench") {
            continue;
        }
        let records = count(&board)?;
        println!("{} ({}), instructions an element:", board.name, board.backend);
        print!("{}", table(&records));
        if options.overwrite {
            record::write(&board, Kind::Bench, &records)?;
        } else if let Err(error) = compare(&board, &records) {
            worse.push(format!("{error:#}"));
        }
        all.extend(records);
    }
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_string_pretty(&all)? + "\n").with_context(|| file.display().to_string())?;
    }
    ensure!(worse.is_empty(), "{}", worse.join("\n"));
    Ok(())
}

/// Counts on one board and writes that down.
pub(crate) fn overwrite(board: &Board) -> Result<()> {
    let records = count(board)?;
    println!("{} ({}), instructions an element:\n{}", board.name, board.backend, table(&records));
    record::write(board, Kind::Bench, &records)
}

/// Counts on one board and compares with its record.
pub(crate) fn check(board: &Board) -> Result<()> {
    let records = count(board)?;
    println!("        {}: {} figures", board.name, records.len());
    compare(board, &records)
}

fn count(board: &Board) -> Result<Vec<Record>> {
    let program = board.build_any("bench", "")?;
    let run = board.run(&program, &[""; 0], HANG)?.check()?;
    let rustc = board.toolchain()?.version()?;
    let command = Kind::Bench.command(board);
    // The first line says what runs; every other is `kernel n value`, or `kernel n value peer ...`.
    let figures = run.stdout.lines().skip(1).map(|line| {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().with_context(|| format!("not a figure: {line}"));
        let kernel = word()?.to_owned();
        // Layers are counted a multiply-accumulate.
        let unit = if ["linear_", "batch_matmul", "svdf", "lstm"].iter().any(|part| kernel.starts_with(part)) {
            "instructions/MAC"
        } else {
            "instructions/element"
        };
        Ok(Record {
            kernel,
            board: board.name.clone(),
            backend: board.backend.clone(),
            n: word()?.parse().with_context(|| line.to_owned())?,
            unit: unit.into(),
            value: word()?.parse().with_context(|| line.to_owned())?,
            peer: word().ok().filter(|peer| !peer.is_empty()).map(str::to_owned),
            rustc: rustc.clone(),
            command: command.clone(),
        })
    });
    let records: Vec<_> = figures.collect::<Result<_>>()?;
    ensure!(!records.is_empty(), "no figures from {}", board.name);
    Ok(records)
}

/// Fails if a figure is missing in the record of the same compiler, or more than 2 % above it.
fn compare(board: &Board, records: &[Record]) -> Result<()> {
    let (old, other) = match record::find::<Vec<Record>>(board, Kind::Bench)? {
        Found::Same(old) => (old, None),
        Found::Other(old, whose) => (old, Some(whose)),
        Found::None => return Ok(()),
    };
    let mut worse = Vec::new();
    for new in records {
        let same = |old: &&Record| old.kernel == new.kernel && old.n == new.n && old.peer == new.peer;
        match old.iter().find(same) {
            None => worse.push(format!("{} {} is new", new.kernel, new.n)),
            Some(old) if new.value > old.value * ALLOWED => {
                worse.push(format!("{} {}: {:.2} -> {:.2}", new.kernel, new.n, old.value, new.value));
            }
            Some(_) => {}
        }
    }
    let worse = worse.join(", ");
    match other {
        _ if worse.is_empty() => Ok(()),
        Some(whose) => {
            println!("        {}: differs from {whose}, which fails nothing: {worse}", board.name);
            Ok(())
        }
        None => {
            let mend = Kind::Bench.command(board);
            bail!("{} costs more than its record: {worse}; if that is meant: `{mend}`", board.name)
        }
    }
}

/// The committed figures of a board that the README shows.
pub(crate) fn committed(board: &Board) -> Result<Vec<Record>> {
    record::quoted(board, Kind::Bench)
}

/// The compilers of some records, as the line under a table.
fn built_with(records: &[Vec<Record>]) -> String {
    record::built_with(records.iter().flatten().map(|record| record.rustc.as_str()))
}

/// Kernels down, row lengths across.
fn table(records: &[Record]) -> String {
    let mut sizes: Vec<_> = records.iter().map(|record| record.n).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut lines: BTreeMap<(String, &str), BTreeMap<usize, f64>> = BTreeMap::new();
    for record in records {
        let peer = record.peer.clone().unwrap_or_default();
        lines.entry((peer, &record.kernel)).or_default().insert(record.n, record.value);
    }
    let mut table = format!("    {:28}", "n");
    sizes.iter().for_each(|n| table += &format!("{n:>9}"));
    for ((peer, kernel), values) in lines {
        table += &format!("\n    {:28}", format!("{kernel} {peer}"));
        for n in &sizes {
            table += &values.get(n).map_or_else(|| format!("{:>9}", "-"), |value| format!("{value:>9.2}"));
        }
    }
    table + "\n"
}

const HOST: &str = "tests/expected/host_softmax.json";
const HOST_LINEAR: &str = "tests/expected/host_linear.json";
const HOST_AVX2: &str = "tests/expected/host_softmax_avx2.json";
pub(crate) const HOST_PLOT: &str = "tests/expected/host_softmax.svg";

/// The committed counts of some boards side by side, kernels down, for the README.
pub(crate) fn counts() -> Result<String> {
    const SIZES: [usize; 3] = [64, 256, 1000];
    let boards = ["microbit", "mps2-an386", "mps3-an547"].map(Board::find);
    let boards = boards.into_iter().collect::<Result<Vec<_>>>()?;
    let records = boards.iter().map(committed).collect::<Result<Vec<_>>>()?;
    let mut text = String::from("| kernel |");
    boards.iter().for_each(|board| text += &format!(" {} ({}) |", board.name, board.backend));
    text += "\n| --- | --- | --- | --- |\n";
    let mut done = Vec::new();
    for of in records.iter().flatten().filter(|record| record.n == 64) {
        // Others have a table of their own.
        let is_here = ["softmax", "stablemax", "two_pass_q"].iter().any(|part| of.kernel.contains(part));
        if !is_here || done.contains(&(&of.kernel, &of.peer)) {
            continue;
        }
        done.push((&of.kernel, &of.peer));
        let whose = of.peer.as_ref().map_or(String::new(), |peer| format!(" of {peer}"));
        text += &format!("| `{}`{whose} |", of.kernel);
        for records in &records {
            let value = |n| records.iter().find(|r| r.kernel == of.kernel && r.n == n && r.peer == of.peer);
            let cells = SIZES.map(|n| value(n).map_or("-".into(), |record| format!("{:.1}", record.value)));
            text += &format!(" {} |", cells.join(" / "));
        }
        text += "\n";
    }
    Ok(text + &built_with(&records))
}

/// One committed time of the host.
#[derive(Deserialize)]
struct Time {
    kernel: String,
    backend: String,
    peer: Option<String>,
    n: f64,
    value: f64,
    ratio: Option<f64>,
}

/// The times in a record of the host, whose first entry says how they were measured.
fn times(path: &str) -> Result<Vec<Time>> {
    let text = fs::read_to_string(workspace::path(path)).with_context(|| path.to_owned())?;
    let records: Vec<serde_json::Value> = serde_json::from_str(&text).with_context(|| path.to_owned())?;
    let times = records.into_iter().skip(1).map(|record| Ok(serde_json::from_value(record)?));
    times.collect()
}

/// The committed counts of square layers side by side, for the README.
pub(crate) fn bits() -> Result<String> {
    let boards = ["microbit", "mps2-an385", "mps2-an386", "mps3-an547", "virt-a53"].map(Board::find);
    let boards = boards.into_iter().collect::<Result<Vec<_>>>()?;
    let records = boards.iter().map(committed).collect::<Result<Vec<_>>>()?;
    let mut text = String::from("| weights |");
    boards.iter().for_each(|board| text += &format!(" {} ({}) |", board.name, board.backend));
    text += "\n| --- | --- | --- | --- | --- | --- |\n";
    for (weights, kernel) in [
        ("8 bits", "linear_s8"),
        ("4 bits", "linear_s4"),
        ("4 bits, the upper plane of nested ones", "linear_nest4"),
        ("8 bits from both planes", "linear_nest8"),
        ("2, 3, 5, 6, 7 bits, rounded from both planes", "linear_nest3"),
        ("2 to 7 bits, rounded on the way", "linear_raw3"),
    ] {
        text += &format!("| {weights} |");
        for records in &records {
            let value = |n| records.iter().find(|record| record.kernel == kernel && record.n == n);
            let cell = |n| value(n).map_or("-".into(), |record| format!("{:.3}", record.value));
            // The smallest board has room for 32 x 32 only.
            let cells = match value(32) {
                Some(small) if value(64).is_none() => format!("{:.2} (32 x 32)", small.value),
                _ => [64, 256].map(cell).join(" / "),
            };
            text += &format!(" {cells} |");
        }
        text += "\n";
    }
    Ok(text + &built_with(&records))
}

/// The committed times of 8-bit layers beside the rival's, for the README.
pub(crate) fn linear_table() -> Result<String> {
    let times = times(HOST_LINEAR)?;
    // Sizes are whole numbers.
    let find = |is_rival: bool, kernel: &str, n: u64| {
        times.iter().find(|t| t.peer.is_some() == is_rival && t.kernel == kernel && t.n as u64 == n)
    };
    let ours = times.iter().filter(|time| time.kernel == "linear_s8" && time.peer.is_none());
    let sizes: Vec<u64> = ours.map(|time| time.n as u64).collect();
    let mut text = String::from("| | |");
    sizes.iter().for_each(|n| text += &format!(" {n} |"));
    text += &format!("\n| --- | --- |{}\n", " --- |".repeat(sizes.len()));
    for (rows, suffix) in [("as many rows", ""), ("one row", "_vector")] {
        for (what, kernel) in [("to 8 bits", "linear_s8"), ("to the sums", "linear_s8_sums")] {
            text += &format!("| {rows} | {what} |");
            for &n in &sizes {
                let ours = find(false, &format!("{kernel}{suffix}"), n);
                let theirs = find(true, &format!("linear_s8{suffix}"), n);
                let (ours, theirs) = ours.zip(theirs).with_context(|| format!("{HOST_LINEAR} has not all of {n}"))?;
                text += &format!(" {:.2} |", theirs.value / ours.value);
            }
            text += "\n";
        }
    }
    Ok(text)
}

/// The committed counts of AdaLog, for the README: a logit, a multiply-accumulate, a whole row.
pub(crate) fn adalog() -> Result<String> {
    let boards = ["microbit", "mps2-an386", "mps3-an547"].map(Board::find);
    let boards = boards.into_iter().collect::<Result<Vec<_>>>()?;
    let records = boards.iter().map(committed).collect::<Result<Vec<_>>>()?;
    let mut text = String::from("| work |");
    boards.iter().for_each(|board| text += &format!(" {} ({}) |", board.name, board.backend));
    text += "\n| --- | --- | --- | --- |\n";
    // Kernel, row lengths, what a figure is multiplied by, digits.
    for (work, kernel, sizes, factor, digits) in [
        ("logits to 4-bit codes, a logit, rows of 64 / 256", "adalog_codes", &[64, 256][..], 1.0, 2),
        ("codes x values, a multiply-accumulate, 64 keys of 32 channels", "adalog_product", &[64], 1.0, 2),
        ("a row of attention, 64 keys of 32 channels", "attend_adalog", &[64], 64.0, 0),
    ] {
        text += &format!("| {work} |");
        for records in &records {
            let value = |n: &usize| records.iter().find(|record| record.kernel == kernel && record.n == *n);
            let cell = |n| value(n).map_or("-".into(), |record| format!("{:.digits$}", record.value * factor));
            text += &format!(" {} |", sizes.iter().map(cell).collect::<Vec<_>>().join(" / "));
        }
        text += "\n";
    }
    Ok(text + &built_with(&records))
}

/// The committed times of the host, drawn.
pub(crate) fn host_svg() -> Result<String> {
    let mut curves: Vec<Curve> = Vec::new();
    for Time { kernel, peer, n, value, .. } in times(HOST)? {
        let dashed = peer.is_some();
        let name = peer.map_or(kernel.clone(), |peer| format!("{peer} ({kernel})"));
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.points.push((n, value)),
            None => curves.push(Curve { name, points: vec![(n, value)], dashed }),
        }
    }
    let chart =
        Chart { title: "Softmax on one thread, AVX-512", x: "elements of a row", y: "ns an element", bound: None };
    plot::svg(&chart, &curves)
}

/// The committed times of the host in each instruction set, beside the rival's, for the README.
pub(crate) fn host_table() -> Result<String> {
    let mut text = String::new();
    for path in [HOST, HOST_AVX2] {
        let times = times(path)?;
        let rival = times.iter().find(|time| time.ratio.is_some()).context("a record without a rival")?;
        let (rival, kernel) = (rival.peer.clone(), rival.kernel.clone());
        let sizes: Vec<f64> =
            times.iter().filter(|time| time.peer == rival && time.kernel == kernel).map(|t| t.n).collect();
        if text.is_empty() {
            text += "| kernel |";
            sizes.iter().for_each(|n| text += &format!(" {} |", length(*n as usize)));
            text += &("\n|".to_owned() + &" --- |".repeat(sizes.len() + 1) + "\n");
        }
        let value = |name: &str, peer: &Option<String>, n: f64| {
            let found = times.iter().find(|t| t.kernel == name && t.peer == *peer && (t.n - n).abs() < 0.5);
            found.map(|time| time.value).with_context(|| format!("{path} has no {name} at {n}"))
        };
        let backend =
            times.iter().find(|time| time.peer.is_none()).map(|time| time.backend.clone()).unwrap_or_default();
        for name in ["softmax_f32", "stablemax_f32"] {
            text += &format!("| `{name}`, {backend} |");
            for &n in &sizes {
                let (ours, theirs) = (value(name, &None, n)?, value(&kernel, &rival, n)?);
                text += &format!(" {ours:.2} [{:.2}] |", ours / theirs);
            }
            text += "\n";
        }
    }
    Ok(text)
}

/// `64`, `4k`, `16M`.
fn length(n: usize) -> String {
    match n {
        n if n % (1 << 20) == 0 => format!("{}M", n >> 20),
        n if n % (1 << 10) == 0 => format!("{}k", n >> 10),
        n => n.to_string(),
    }
}

/// The host's table is made by a workspace of its own, so that the other libraries stay out of this one.
fn host(options: &Options) -> Result<()> {
    let manifest = workspace::path("tools/bench/Cargo.toml");
    let mut cargo = workspace::cargo(["run", "--release", "--manifest-path"]);
    cargo.arg(manifest).args(["--", "softmax"]);
    if let Some(file) = &options.json {
        cargo.arg("--json").arg(std::path::absolute(file)?);
    }
    let run = process::run("time the host", &mut cargo, LONG)?.check()?;
    print!("{}", run.stdout);
    Ok(())
}
