//! The main job: a user's network names pictures ([`network`]), then a photo with local motion blur goes through the small
//! LMD-ViT, on the host and on an emulated Cortex-M55. Pictures land in target/demo; tables say what came out and what it cost.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use image::{GrayImage, Rgb, RgbImage};
use scrimp::lmdvit::{LmdVit, Policy, Workspace};
use scrimp_cli::blob::Bytes;
use scrimp_cli::deblur::{Choice, MODEL, MOTION_MODEL, deblur};
use scrimp_cli::picture::Picture;
use serde::{Deserialize, Serialize};

use crate::board::{Board, HANG};
use crate::network;
use crate::process::Progress;
use crate::setup;
use crate::workspace;

/// Where the network runs on a board: enough RAM, and Helium.
const BOARD: &str = "mps3-an547";
/// What the board has room for.
const BOARD_SIDE: u32 = 256;
/// Sides and distance of the pictures in the README's panel.
const CLOSE: u32 = 400;
const GAP: u32 = 8;
/// The side of the picture whose RAM is promised.
const RAM_SIDE: u32 = 128;
/// 1.1 MiB.
const RAM_LIMIT: u64 = 1_153_434;
/// What the network's own windows may cost on the board when two frames decide, as a part of all windows.
const WORK_LIMIT: f64 = 0.5;
/// Frames and windows of the rows.
const RUNS: [(u32, &str, Choice); 4] =
    [(2, "own", Choice::Own), (2, "all", Choice::All), (1, "own", Choice::Own), (1, "all", Choice::All)];
/// The record that the README quotes.
const RECORD: &str = "tests/expected/demo.json";

/// Options of the demo.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Leave the network from a .tflite file out
    #[arg(long)]
    pub(crate) only_deblur: bool,
    /// Also write the record that the README quotes
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// One line of the table.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Row {
    pub(crate) scene: String,
    pub(crate) side: [u32; 2],
    /// "host" or the board.
    pub(crate) machine: String,
    pub(crate) backend: String,
    /// Bits of the weights and features.
    pub(crate) bits: String,
    /// Frames that the decision saw: 1 or 2.
    pub(crate) frames: u32,
    /// "own" or "all".
    pub(crate) windows: String,
    /// PSNR against the sharp picture in dB, where the blur is.
    pub(crate) inside_before: f64,
    pub(crate) inside: f64,
    /// The same elsewhere.
    pub(crate) outside_before: f64,
    pub(crate) outside: f64,
    pub(crate) active_cells: f64,
    pub(crate) active_windows: f64,
    pub(crate) macs: u64,
    /// Instructions on a board.
    pub(crate) instructions: Option<u64>,
    /// Milliseconds on the host.
    pub(crate) milliseconds: Option<f64>,
    /// On a board: buffers, all pictures and the stack, in bytes.
    pub(crate) ram: Option<u64>,
    /// The model in bytes.
    pub(crate) flash: u64,
}

/// What is committed.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Record {
    pub(crate) command: String,
    pub(crate) machine: String,
    pub(crate) rustc: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) ram: Ram,
}

/// RAM of a run on 128x128 pixels with every window active.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Ram {
    /// What the `const fn`s say, in bytes.
    pub(crate) buffers: u64,
    /// What was written, counted from paint.
    pub(crate) buffers_used: u64,
    /// Image in and out.
    pub(crate) image: u64,
    /// High-water mark of the stack.
    pub(crate) stack: u64,
}

/// A photo of examples/data with what it should become.
struct Scene {
    name: String,
    blurred: RgbImage,
    previous: RgbImage,
    sharp: RgbImage,
    mask: GrayImage,
}

/// Runs the demo.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run()?;
    if !options.only_deblur {
        network::run()?;
    }
    let folder = workspace::path("target/demo");
    fs::create_dir_all(&folder)?;
    let scenes = ["spoon", "dandelion", "rocket"].map(Scene::open).into_iter().collect::<Result<Vec<_>>>()?;

    let mut rows = Vec::new();
    for scene in &scenes {
        let _progress = Progress::start(&format!("deblur {} on the host", scene.name));
        rows.extend(scene.on_host(&folder)?);
    }

    really_blurred(&folder)?;

    let board = Board::find(BOARD)?;
    let program = board.build_example("deblur")?;
    for scene in scenes.iter().filter(|scene| scene.blurred.width().max(scene.blurred.height()) <= BOARD_SIDE) {
        for (frames, windows, _) in RUNS {
            rows.push(scene.on_board(&board, &program, &folder, frames, windows)?);
        }
    }
    let ram = ram(&board, &program, &folder, &scenes[0])?;

    closely(&folder, &scenes)?;
    println!("{}", table(&rows));
    println!("{}", ram_line(&ram));
    println!("pictures: {}", folder.display());
    compare(&rows)?;
    for line in saved(&rows)? {
        println!("{line}");
    }
    let record = Record {
        command: "cargo xtask demo --overwrite".into(),
        machine: format!("{BOARD} under QEMU with -icount; host {}", scrimp::backend::name()),
        rustc: board.toolchain()?.version()?,
        rows,
        ram,
    };
    if options.overwrite {
        fs::write(workspace::path(RECORD), serde_json::to_string_pretty(&record)? + "\n")?;
        let panel = folder.join("demo.png");
        fs::copy(&panel, workspace::path("examples/data/demo.png")).with_context(|| format!("{}", panel.display()))?;
    }
    Ok(())
}

/// What the README shows: for each photo the input, the result of two frames and what is sharp, where the blur is, twice as large.
/// The first photo's result is the board's.
fn closely(folder: &Path, scenes: &[Scene]) -> Result<()> {
    let mut panel = RgbImage::from_pixel(3 * CLOSE + 2 * GAP, scenes.len() as u32 * (CLOSE + GAP) - GAP, Rgb([255; 3]));
    for (i, scene) in scenes.iter().enumerate() {
        let machine = if i == 0 { BOARD.to_owned() } else { "host_2".to_owned() };
        let result = Picture::open(&folder.join(format!("{}_{machine}_output.png", scene.name)))?.rgb;
        let blurred = scene.mask.enumerate_pixels().filter(|(_, _, mask)| mask.0[0] >= 128);
        let (count, x, y) =
            blurred.fold((0, 0, 0), |(n, sx, sy), (x, y, _)| (n + 1, sx + u64::from(x), sy + u64::from(y)));
        let side = CLOSE / 2;
        let from = |sum: u64, length: u32| ((sum / count.max(1)) as u32).saturating_sub(side / 2).min(length - side);
        let (x, y) = (from(x, result.width()), from(y, result.height()));
        for (j, picture) in [&scene.blurred, &result, &scene.sharp].into_iter().enumerate() {
            let part = image::imageops::crop_imm(picture, x, y, side, side).to_image();
            let large = image::imageops::resize(&part, CLOSE, CLOSE, image::imageops::FilterType::CatmullRom);
            let at = |n: usize| i64::from((CLOSE + GAP) * n as u32);
            image::imageops::replace(&mut panel, &large, at(j), at(i));
        }
    }
    panel.save(folder.join("demo.png"))?;
    Ok(())
}

/// A photo that a moving camera really blurred, all over; there is nothing to measure it against.
fn really_blurred(folder: &Path) -> Result<()> {
    let bytes = Bytes::new(MODEL);
    let model = bytes.model()?;
    let blurred = Picture::open(&workspace::path("examples/data/clock_motion.png"))?.rgb;
    let result = deblur(&LmdVit::new(&model)?, &blurred, None, &Choice::All)?;
    pictures(folder, "clock_motion_host", &blurred, &result.rgb, &result.mask)
}

/// The committed record.
pub(crate) fn record() -> Result<Record> {
    let text = fs::read_to_string(workspace::path(RECORD)).with_context(|| RECORD)?;
    serde_json::from_str(&text).with_context(|| RECORD)
}

impl Scene {
    fn open(name: &str) -> Result<Self> {
        let file = |suffix: &str| Picture::open(&workspace::path(format!("examples/data/{name}{suffix}.png")));
        Ok(Self {
            name: name.to_owned(),
            blurred: file("")?.rgb,
            previous: file("_previous")?.rgb,
            sharp: file("_sharp")?.rgb,
            mask: image::DynamicImage::from(file("_mask")?.rgb).into_luma8(),
        })
    }

    fn row(&self, out: &RgbImage) -> Row {
        Row {
            scene: self.name.clone(),
            side: [self.blurred.width(), self.blurred.height()],
            machine: "host".into(),
            backend: scrimp::backend::name().into(),
            bits: "f32".into(),
            frames: 1,
            windows: "own".into(),
            inside_before: self.psnr(&self.blurred, true),
            inside: self.psnr(out, true),
            outside_before: self.psnr(&self.blurred, false),
            outside: self.psnr(out, false),
            active_cells: 0.0,
            active_windows: 0.0,
            macs: 0,
            instructions: None,
            milliseconds: None,
            ram: None,
            flash: MODEL.len() as u64,
        }
    }

    /// The frame before, if two frames are asked for, and the model for so many.
    fn with(&self, frames: u32) -> (Option<&RgbImage>, &'static [u8]) {
        if frames == 2 { (Some(&self.previous), MOTION_MODEL) } else { (None, MODEL) }
    }

    /// `-10 log10` of the mean squared error over the pixels inside or outside the blur, colours from 0 to 1.
    fn psnr(&self, picture: &RgbImage, inside: bool) -> f64 {
        let (mut sum, mut count) = (0.0, 0u32);
        for ((a, b), mask) in picture.pixels().zip(self.sharp.pixels()).zip(self.mask.pixels()) {
            if (mask.0[0] >= 128) == inside {
                let squares = a.0.iter().zip(b.0).map(|(&a, b)| (f64::from(a) - f64::from(b)).powi(2));
                sum += squares.sum::<f64>();
                count += 3;
            }
        }
        -10.0 * (sum / f64::from(count) / (255.0 * 255.0)).log10()
    }

    fn on_host(&self, folder: &Path) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for (frames, windows, choice) in RUNS {
            let (previous, blob) = self.with(frames);
            let bytes = Bytes::new(blob);
            let model = bytes.model()?;
            let net = LmdVit::new(&model)?;
            let start = Instant::now();
            let result = deblur(&net, &self.blurred, previous, &choice)?;
            let time = start.elapsed();
            let stats = &result.stats;
            if windows == "own" {
                let name = format!("{}_host_{frames}", self.name);
                pictures(folder, &name, &self.blurred, &result.rgb, &result.mask)?;
            }
            rows.push(Row {
                frames,
                windows: windows.into(),
                active_cells: share(stats.active_cells, stats.cells),
                active_windows: share(stats.active_windows, stats.windows),
                macs: stats.macs(),
                milliseconds: Some(time.as_secs_f64() * 1e3),
                flash: blob.len() as u64,
                ..self.row(&result.rgb)
            });
        }
        Ok(rows)
    }

    fn on_board(&self, board: &Board, program: &Path, folder: &Path, frames: u32, windows: &str) -> Result<Row> {
        let out = raw(folder, &self.name, "out");
        let (width, height) = (self.blurred.width(), self.blurred.height());
        let frame = write_raw(folder, &self.name, "frame", &self.blurred)?;
        let mut args = vec![frame, width.to_string(), height.to_string(), out.clone(), windows.to_owned()];
        if frames == 2 {
            args.push(write_raw(folder, &self.name, "previous", &self.previous)?);
        }
        let said = Said::parse(&board.run(program, &args, HANG)?.check()?.stdout)?;
        let bytes = fs::read(workspace::path(&out))?;
        let picture = RgbImage::from_raw(width, height, bytes).context("the board wrote another size")?;
        if windows == "own" && frames == 2 {
            let mask = self.cells()?;
            pictures(folder, &format!("{}_{BOARD}", self.name), &self.blurred, &picture, &mask)?;
        }
        let number = |key| said.number(key);
        Ok(Row {
            machine: BOARD.into(),
            backend: said.text("backend")?.to_owned(),
            frames,
            windows: windows.into(),
            active_cells: share(number("active_cells")? as usize, number("cells")? as usize),
            active_windows: share(number("active_windows")? as usize, number("windows")? as usize),
            macs: number("macs")?,
            instructions: Some(number("cost")?),
            ram: Some(number("ram_buffers")? + number("ram_image")? + number("ram_stack")?),
            flash: number("flash_model")?,
            ..self.row(&picture)
        })
    }

    /// The cells that the network decides on with both frames, white; host and board decide alike.
    fn cells(&self) -> Result<GrayImage> {
        let (previous, blob) = self.with(2);
        let bytes = Bytes::new(blob);
        let model = bytes.model()?;
        Ok(deblur(&LmdVit::new(&model)?, &self.blurred, previous, &Choice::Own)?.mask)
    }
}

/// Input, active windows, output and difference, each by itself and side by side.
fn pictures(folder: &Path, name: &str, blurred: &RgbImage, out: &RgbImage, active: &GrayImage) -> Result<()> {
    let (width, height) = out.dimensions();
    let windows = RgbImage::from_fn(width, height, |x, y| {
        let pixel = *blurred.get_pixel(x, y);
        if active.get_pixel(x, y).0[0] > 0 { pixel } else { Rgb(pixel.0.map(|v| v / 4)) }
    });
    let difference = RgbImage::from_fn(width, height, |x, y| {
        let (a, b) = (out.get_pixel(x, y), blurred.get_pixel(x, y));
        Rgb([0, 1, 2].map(|i| a.0[i].abs_diff(b.0[i]).saturating_mul(4)))
    });
    let mut panel = RgbImage::new(4 * width, height);
    let all = [("input", blurred), ("windows", &windows), ("output", out), ("difference", &difference)];
    for (i, (what, picture)) in all.into_iter().enumerate() {
        picture.save(folder.join(format!("{name}_{what}.png")))?;
        image::imageops::replace(&mut panel, picture, i as i64 * i64::from(width), 0);
    }
    panel.save(folder.join(format!("{name}.png")))?;
    Ok(())
}

/// RAM on the board for 128x128 pixels with every window active, from its paint.
fn ram(board: &Board, program: &Path, folder: &Path, scene: &Scene) -> Result<Ram> {
    let corner = |side: u32| (side - RAM_SIDE) / 2;
    let (x, y) = (corner(scene.blurred.width()), corner(scene.blurred.height()));
    let crop = image::imageops::crop_imm(&scene.blurred, x, y, RAM_SIDE, RAM_SIDE).to_image();
    let frame = write_raw(folder, &scene.name, "crop", &crop)?;
    let side = RAM_SIDE.to_string();
    let args = [frame, side.clone(), side, raw(folder, &scene.name, "crop_out"), "all".into()];
    let said = Said::parse(&board.run(program, &args, HANG)?.check()?.stdout)?;
    let ram = Ram {
        buffers: said.number("ram_buffers")?,
        buffers_used: said.number("ram_buffers_used")?,
        image: said.number("ram_image")?,
        stack: said.number("ram_stack")?,
    };
    ensure!(
        ram.buffers == ram.buffers_used,
        "the buffers are {} bytes, but {} were used",
        ram.buffers,
        ram.buffers_used
    );
    let all = ram.buffers + ram.image + ram.stack;
    ensure!(all <= RAM_LIMIT, "{RAM_SIDE}x{RAM_SIDE} pixels take {all} bytes of RAM, {RAM_LIMIT} are promised");
    // The same `const fn`s on the host, and the promise that an exact buffer is enough.
    let bytes = Bytes::new(MODEL);
    let model = bytes.model()?;
    let net = LmdVit::new(&model)?;
    let sizes = net.config().sizes(RAM_SIDE as usize, RAM_SIDE as usize)?;
    ensure!(sizes.bytes() as u64 == ram.buffers, "the board says {}, the host {}", ram.buffers, sizes.bytes());
    let (mut features, mut scratch) = (vec![0.0; sizes.features], vec![0.0; sizes.scratch]);
    let mut cells = vec![0; sizes.cells];
    let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut cells };
    let frame = scrimp::lmdvit::Frame::new(&crop, RAM_SIDE as usize, RAM_SIDE as usize)?;
    net.run(frame, None, Policy::All, &mut vec![0; crop.len()], &mut work)?;
    Ok(ram)
}

/// Host and board must agree: the same decisions, and pictures of the same quality.
fn compare(rows: &[Row]) -> Result<()> {
    for board in rows.iter().filter(|row| row.machine != "host") {
        let same = |row: &&Row| {
            row.machine == "host"
                && (&row.scene, row.frames, &row.windows) == (&board.scene, board.frames, &board.windows)
        };
        let host = rows.iter().find(same).context("the host ran everything")?;
        let close = (host.inside - board.inside).abs() < 0.01 && (host.outside - board.outside).abs() < 0.01;
        if !close || host.macs != board.macs {
            bail!("host and board differ: {host:?} {board:?}");
        }
    }
    Ok(())
}

/// What the network's own windows save on the board, in instructions; an error if that is too little.
pub(crate) fn saved(rows: &[Row]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for own in rows.iter().filter(|row| row.windows == "own" && row.instructions.is_some()) {
        let dense = |row: &&Row| {
            row.windows == "all" && row.instructions.is_some() && (&row.scene, row.frames) == (&own.scene, own.frames)
        };
        let all = rows.iter().find(dense);
        let cost = |row: &Row| row.instructions.unwrap_or_default() as f64;
        let ratio = cost(own) / cost(all.context("the board ran all windows too")?);
        ensure!(
            own.frames == 1 || ratio <= WORK_LIMIT,
            "{} takes {ratio:.2} of the work of all windows, {WORK_LIMIT} are promised",
            own.scene
        );
        let frames = if own.frames == 2 { "two frames" } else { "one frame" };
        lines.push(format!(
            "{} on {}, decision from {frames}: {ratio:.2} of the instructions of all windows.",
            own.scene, own.machine
        ));
    }
    Ok(lines)
}

/// The `key value` lines of the example.
struct Said(BTreeMap<String, String>);

impl Said {
    fn parse(text: &str) -> Result<Self> {
        let pair = |line: &str| line.split_once(' ').map(|(key, value)| (key.to_owned(), value.to_owned()));
        Ok(Self(text.lines().filter_map(pair).collect()))
    }

    fn text(&self, key: &str) -> Result<&str> {
        self.0.get(key).map(String::as_str).with_context(|| format!("the example did not say {key}"))
    }

    fn number(&self, key: &str) -> Result<u64> {
        let text = self.text(key)?;
        let first = text.split(' ').next().unwrap_or_default();
        first.parse().with_context(|| format!("{key} is {text}"))
    }
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Paths are relative to the root, where the emulator runs, so that they hold no blank of a home directory.
fn raw(folder: &Path, scene: &str, what: &str) -> String {
    let name = format!("{scene}_{what}.rgb");
    let folder = folder.strip_prefix(workspace::root()).map_or_else(|_| folder.to_owned(), PathBuf::from);
    folder.join(name).to_string_lossy().into_owned()
}

fn write_raw(folder: &Path, scene: &str, what: &str, picture: &RgbImage) -> Result<String> {
    let path = raw(folder, scene, what);
    fs::write(workspace::path(&path), picture.as_raw())?;
    Ok(path)
}

/// The table, as Markdown: it is printed and stands in the README.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| photo | machine | windows | decision from | PSNR in the blur (dB) | elsewhere (dB) | active cells | active windows | \
         million MACs | million instructions | RAM (KiB) | model (KiB) | bits |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let instructions = row.instructions.map_or("-".into(), |n| format!("{:.0}", n as f64 / 1e6));
        let ram = row.ram.map_or("-".into(), |n| format!("{:.0}", n as f64 / 1024.0));
        let decision = match (row.windows.as_str(), row.frames) {
            ("all", 2) => "none, motion from two frames",
            ("all", _) => "none",
            (_, 2) => "two frames",
            _ => "one frame",
        };
        text += &format!(
            "| {} {}x{} | {} ({}) | {} | {decision} | {:.2} -> {:.2} | {:.2} -> {:.2} | {:.1} % | {:.1} % | {:.0} | {instructions} | {ram} | {:.0} | {} |\n",
            row.scene,
            row.side[0],
            row.side[1],
            row.machine,
            row.backend,
            row.windows,
            row.inside_before,
            row.inside,
            row.outside_before,
            row.outside,
            100.0 * row.active_cells,
            100.0 * row.active_windows,
            row.macs as f64 / 1e6,
            row.flash as f64 / 1024.0,
            row.bits,
        );
    }
    text
}

/// RAM for 128x128 in a sentence.
pub(crate) fn ram_line(ram: &Ram) -> String {
    let kib = |bytes: u64| bytes as f64 / 1024.0;
    format!(
        "RAM for {RAM_SIDE}x{RAM_SIDE} pixels in f32, every window active: {:.0} KiB of buffers (all of them used), {:.0} KiB of image in and out, {:.1} KiB of stack: {:.2} MiB.",
        kib(ram.buffers),
        kib(ram.image),
        kib(ram.stack),
        kib(ram.buffers + ram.image + ram.stack) / 1024.0
    )
}
