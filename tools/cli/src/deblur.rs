//! `scrimp deblur`: a photo through the network, tile by tile, on all cores.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use image::{GrayImage, ImageFormat, Luma, RgbImage};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use scrimp::lmdvit::{CellNet, Config, Decision, Frame, LmdVit, Policy, Stats, Tile, Tiles, Workspace};

use crate::blob::Bytes;
use crate::output;
use crate::picture::{self, Picture};

/// The model that comes with the tool.
pub const MODEL: &[u8] = include_bytes!("../../../examples/data/lmdvit-t16.scrimp");

/// Longest side of what is run at once, in pixels; [`tile_size`] may need more.
const TILE: usize = 512;
/// What is thrown away at inner borders of tiles, at least.
const OVERLAP: usize = 32;

/// The command's arguments.
#[derive(Args, Debug)]
pub struct Options {
    /// The blurred photo, PNG or JPEG
    input: PathBuf,
    /// Where the result goes, PNG or JPEG; may be the photo itself
    output: PathBuf,
    /// The frame before it: finds what moves much better than one photo alone
    #[arg(long, value_name = "FRAME")]
    previous: Option<PathBuf>,
    /// Which windows run: own, all, none, or a picture that is white where they should
    #[arg(long, default_value = "own", value_name = "own|all|none|FILE.png")]
    policy: String,
    /// Also write the active cells, white on black
    #[arg(long, value_name = "FILE.png")]
    mask_out: Option<PathBuf>,
    /// Another model than the one that comes with this tool
    #[arg(long, value_name = "FILE.scrimp")]
    model: Option<PathBuf>,
}

/// The command.
///
/// # Errors
/// For whatever is wrong with a file; nothing is written then.
pub fn run(options: &Options) -> Result<()> {
    let format = picture::format(&options.output)?;
    let mask_format = options.mask_out.as_deref().map(picture::format).transpose()?;
    let mut outputs = vec![options.output.as_path()];
    let mut inputs = vec![Path::new(&options.policy)];
    inputs.extend([&options.previous, &options.model].into_iter().flatten().map(PathBuf::as_path));
    output::check(&outputs, &inputs)?;
    if let Some(mask) = &options.mask_out {
        outputs.push(mask);
        inputs.push(&options.input);
        output::check(&[mask], &[&inputs[..], &[&options.output]].concat())?;
    }

    let bytes = match &options.model {
        Some(path) => Bytes::open(path)?,
        None => Bytes::new(MODEL),
    };
    let name = options.model.as_deref().unwrap_or(Path::new("the built-in model")).display();
    let model = bytes.model().with_context(|| format!("{name}"))?;
    let net = LmdVit::new(&model).with_context(|| format!("{name}"))?;
    let (cells, two_frames) = match &net.config().decision {
        Decision::Cells(cells) => (true, cells.previous.is_some()),
        Decision::Predictors { .. } => (false, false),
    };
    ensure!(
        options.previous.is_none() || two_frames,
        "{name}: --previous needs a model with a mask net for two frames"
    );
    ensure!(
        options.mask_out.is_none() || cells,
        "{name}: --mask-out needs a model that decides on cells, not predictors"
    );

    let photo = Picture::open(&options.input)?;
    let size = photo.rgb.dimensions();
    let previous = match &options.previous {
        None => None,
        Some(path) => {
            let previous = Picture::open(path)?;
            same_size(path, previous.rgb.dimensions(), size)?;
            Some(previous.rgb)
        }
    };
    let choice = match options.policy.as_str() {
        "own" => Choice::Own,
        "all" => Choice::All,
        "none" => Choice::None,
        path => {
            let path = Path::new(path);
            let mask = Picture::open(path).context("the policy is own, all, none or a picture")?;
            same_size(path, mask.rgb.dimensions(), size)?;
            Choice::Mask(image::DynamicImage::from(mask.rgb).into_luma8())
        }
    };

    let start = Instant::now();
    let result = deblur(&net, &photo.rgb, previous.as_ref(), &choice)?;
    let time = start.elapsed();

    let out = Picture { rgb: result.rgb, ..photo };
    let mut files = vec![out.encode(&options.output)?];
    if let Some(format) = mask_format {
        files.push(picture::encode(&result.mask.into(), format, None)?);
    }
    let files: Vec<(&Path, &[u8])> = outputs.into_iter().zip(files.iter().map(Vec::as_slice)).collect();
    output::write(&files)?;

    for note in &out.notes {
        eprintln!("{}: {note}", options.input.display());
    }
    if out.alpha.is_some() && format == ImageFormat::Jpeg {
        eprintln!("{}: JPEG has no alpha channel, it is dropped", options.output.display());
    }
    let s = &result.stats;
    let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
    let active_cells = match cells {
        true => format!("{:.1} % of cells and ", percent(s.active_cells, s.cells)),
        false => String::new(), // predictors decide on windows
    };
    output::print(&format!(
        "{active_cells}{:.1} % of windows active, {:.1} million multiply-accumulates, {:.2} s\n",
        percent(s.active_windows, s.windows),
        s.macs() as f64 / 1e6,
        time.as_secs_f64()
    ));
    Ok(())
}

fn same_size(path: &Path, got: (u32, u32), want: (u32, u32)) -> Result<()> {
    ensure!(
        got == want,
        "{} is {} x {} pixels, but the photo is {} x {}",
        path.display(),
        got.0,
        got.1,
        want.0,
        want.1
    );
    Ok(())
}

/// Which windows run.
#[derive(Debug)]
pub enum Choice {
    /// Those the network decides on.
    Own,
    /// Every one.
    All,
    /// None.
    None,
    /// Those with a pixel of at least 128 here.
    Mask(GrayImage),
}

/// What [`deblur`] gives.
#[derive(Debug)]
pub struct Deblurred {
    /// The picture.
    pub rgb: RgbImage,
    /// White where cells were active; black throughout with predictors.
    pub mask: GrayImage,
    /// What was done, summed over the tiles.
    pub stats: Stats,
}

/// Runs a photo through the network.
///
/// # Errors
/// If the model has no mask net for two frames and there are two.
pub fn deblur(net: &LmdVit<'_>, photo: &RgbImage, previous: Option<&RgbImage>, choice: &Choice) -> Result<Deblurred> {
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let frame = Frame::new(photo, width, height)?;
    let previous = previous.map(|p| Frame::new(p, width, height)).transpose()?;
    let (side, overlap) = tile_size(net.config());
    let tiles = Tiles::new(width, height, side, overlap)?;
    let bar = progress(tiles.len());
    // The sink is locked only while a tile is copied into it.
    let sum = Mutex::new((photo.as_raw().clone(), vec![0u8; width * height], Stats::default()));
    tiles.collect::<Vec<_>>().into_par_iter().try_for_each(|tile| {
        let done = run_tile(net, &frame, previous.as_ref(), choice, &tile)?;
        let mut sum = sum.lock().map_err(|_| anyhow::anyhow!("a tile failed"))?;
        let (rgb, mask, stats) = &mut *sum;
        tile.write(&done.rgb, rgb, width)?;
        let (cell, (_, cols)) = (net.config().cell(), net.config().cells(tile.width, tile.height));
        for (y, x) in kept(&tile) {
            if done.cells[(y - tile.y) / cell * cols + (x - tile.x) / cell] != 0 {
                mask[y * width + x] = 255;
            }
        }
        stats.add(&done.stats);
        bar.inc(1);
        anyhow::Ok(())
    })?;
    bar.finish_and_clear();
    let (rgb, mask, stats) = sum.into_inner().map_err(|_| anyhow::anyhow!("a tile failed"))?;
    Ok(Deblurred {
        rgb: RgbImage::from_raw(photo.width(), photo.height(), rgb).context("the sizes are the photo's")?,
        mask: GrayImage::from_raw(photo.width(), photo.height(), mask).context("the sizes are the photo's")?,
        stats,
    })
}

/// Side and overlap of tiles: they start where windows start, so that all have the same grid, and overlap by as much as
/// a mask net sees, so that the active cells do not depend on them.
fn tile_size(config: &Config) -> (usize, usize) {
    let reach = |net: &CellNet| {
        let (mut reach, mut stride) = (net.dilate * config.cell(), 1);
        for layer in &net.layers[..net.count] {
            reach += layer.pad() * stride;
            stride *= layer.stride;
        }
        reach
    };
    let reach = match &config.decision {
        Decision::Cells(cells) => reach(&cells.single).max(cells.previous.as_ref().map_or(0, reach)),
        Decision::Predictors { .. } => 0,
    };
    let overlap = OVERLAP.max(reach).next_multiple_of(config.unit());
    (TILE.max(4 * overlap).next_multiple_of(config.unit()), overlap)
}

struct Done {
    rgb: Vec<u8>,
    cells: Vec<u8>,
    stats: Stats,
}

fn run_tile(
    net: &LmdVit<'_>,
    frame: &Frame<'_>,
    previous: Option<&Frame<'_>>,
    choice: &Choice,
    tile: &Tile,
) -> Result<Done> {
    let config = net.config();
    let (rows, cols) = config.cells(tile.width, tile.height);
    let read = |frame: &Frame<'_>| {
        let mut rgb = vec![0; 3 * tile.width * tile.height];
        tile.read(frame, &mut rgb).map(|()| rgb)
    };
    let rgb = read(frame)?;
    let before = previous.map(read).transpose()?;
    let frame = Frame::new(&rgb, tile.width, tile.height)?;
    let previous = before.as_ref().map(|b| Frame::new(b, tile.width, tile.height)).transpose()?;

    let sizes = config.sizes(tile.width, tile.height)?;
    let (mut features, mut scratch) = (vec![0.0; sizes.features], vec![0.0; sizes.scratch]);
    let mut bytes = vec![0; sizes.cells];
    let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut bytes };

    let mut cells = vec![0; rows * cols];
    let mut decided = Stats::default();
    let policy = match (choice, config.decision) {
        (Choice::Own, Decision::Cells(_)) => {
            decided = net.decide(frame, previous, &mut cells, &mut work)?;
            Policy::Cells(&cells)
        }
        (Choice::Own, Decision::Predictors { .. }) => Policy::Own,
        (Choice::All, _) => {
            cells.fill(1);
            Policy::All
        }
        (Choice::None, _) => Policy::None,
        (Choice::Mask(mask), _) => {
            mark(config, mask, tile, &mut cells);
            Policy::Cells(&cells)
        }
    };
    let mut out = vec![0; rgb.len()];
    let mut stats = net.run(frame, previous, policy, &mut out, &mut work)?;
    stats.mask_macs += decided.mask_macs;
    Ok(Done { rgb: out, cells, stats })
}

/// Marks the cells of a tile that have a white pixel.
fn mark(config: &Config, mask: &GrayImage, tile: &Tile, cells: &mut [u8]) {
    let (_, cols) = config.cells(tile.width, tile.height);
    for y in 0..tile.height {
        for x in 0..tile.width {
            let Luma([value]) = *mask.get_pixel((tile.x + x) as u32, (tile.y + y) as u32);
            cells[y / config.cell() * cols + x / config.cell()] |= u8::from(value >= 128);
        }
    }
}

fn kept(tile: &Tile) -> impl Iterator<Item = (usize, usize)> + use<> {
    let (left, right) = (tile.keep_x, tile.keep_x + tile.keep_width);
    (tile.keep_y..tile.keep_y + tile.keep_height).flat_map(move |y| (left..right).map(move |x| (y, x)))
}

/// A bar on stderr, hidden when that is no terminal.
fn progress(tiles: usize) -> ProgressBar {
    let bar = ProgressBar::new(tiles as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} tiles, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
