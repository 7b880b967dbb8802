//! `scrimp deblur`: a photo through the network, tile by tile, on all cores.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use image::{GrayImage, Luma, RgbImage};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use scrimp::lmdvit::{Config, Decision, Frame, LmdVit, MAX_GROUPS, Policy, Stats, Tile, Tiles, Workspace};

use crate::blob::Bytes;
use crate::output;
use crate::picture::{self, Picture};
use crate::video;

/// The model that comes with the tool for a photo alone.
pub const MODEL: &[u8] = include_bytes!("lmdvit-t16.scrimp");
/// And for a photo and the frame before it.
pub const MOTION_MODEL: &[u8] = include_bytes!("lmdvit-t16-motion.scrimp");

/// Longest side of what is run at once, in pixels; [`Cut`] may need more. A thread needs about 40 bytes a pixel of it.
const TILE: usize = 1600;
/// What tiles may cost of the whole picture's work, in tenths, where [`TILE`] allows it.
const WORK: usize = 11;

/// The command's arguments.
#[derive(Args, Debug)]
pub struct Options {
    /// The blurred photo and where the result goes, PNG or JPEG, may be the same; with --out-dir the frames of a film, or a folder
    /// of them
    #[arg(required = true, value_name = "INPUT OUTPUT | FRAMES")]
    files: Vec<PathBuf>,
    /// Deblur a film: each frame with the one before it, into files of the same names there
    #[arg(long, value_name = "DIR", conflicts_with_all = ["previous", "policy", "mask_out"])]
    out_dir: Option<PathBuf>,
    /// The frame before it: finds what moves much better than one photo alone
    #[arg(long, value_name = "FRAME")]
    previous: Option<PathBuf>,
    /// Which windows run: own, all, none, or a picture that is white where they should
    #[arg(long, default_value = "own", value_name = "own|all|none|FILE.png")]
    policy: PathBuf,
    /// Also write the active cells, white on black
    #[arg(long, value_name = "FILE.png")]
    mask_out: Option<PathBuf>,
    /// Exposure time over the time between frames, above 0 and at most 1
    #[arg(long, value_name = "SHARE")]
    shutter: Option<f32>,
    /// Another model than those that come with this tool
    #[arg(long, value_name = "FILE.scrimp")]
    model: Option<PathBuf>,
}

/// The command.
///
/// # Errors
/// For whatever is wrong with a file; nothing is written then.
pub fn run(options: &Options) -> Result<()> {
    let [input, output] = match (&options.out_dir, options.files.as_slice()) {
        (None, [input, output]) => [input, output],
        (None, files) => {
            bail!(
                "a photo and its result are 2 files, {} given; for a film add --out-dir: see scrimp deblur --help",
                files.len()
            )
        }
        (Some(out_dir), frames) => return film(options, frames, out_dir),
    };
    let format = picture::format(output)?;
    let mask_format = options.mask_out.as_deref().map(picture::format).transpose()?;
    let mut outputs = vec![output.as_path()];
    let mut inputs = vec![options.policy.as_path()];
    inputs.extend([&options.previous, &options.model].into_iter().flatten().map(PathBuf::as_path));
    output::check(&outputs, &inputs)?;
    if let Some(mask) = &options.mask_out {
        outputs.push(mask);
        inputs.push(input);
        output::check(&[mask], &[&inputs[..], &[output.as_path()]].concat())?;
    }

    let bytes = match &options.model {
        Some(path) => Bytes::open(path)?,
        None if options.previous.is_some() => Bytes::new(MOTION_MODEL),
        None => Bytes::new(MODEL),
    };
    let name = options.model.as_deref().unwrap_or(Path::new("the built-in model")).display();
    let model = bytes.model().with_context(|| format!("{name}"))?;
    let net = LmdVit::new(&model).with_context(|| format!("{name}"))?;
    ensure!(
        options.previous.is_some() || !net.config().motion,
        "{name}: it follows the motion since the frame before, so --previous is needed"
    );
    let net = with_shutter(net, options, &name.to_string())?;
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

    let photo = Picture::open(input)?;
    let size = photo.rgb.dimensions();
    let previous = match &options.previous {
        None => None,
        Some(path) => {
            let previous = Picture::open(path)?;
            same_size(path, previous.rgb.dimensions(), size)?;
            Some(previous.rgb)
        }
    };
    let choice = match options.policy.to_str() {
        Some("own") => Choice::Own,
        Some("all") => Choice::All,
        Some("none") => Choice::None,
        _ => {
            let path = options.policy.as_path();
            let mask = Picture::open(path).context("the policy is own, all, none or a picture")?;
            same_size(path, mask.rgb.dimensions(), size)?;
            Choice::Mask(image::DynamicImage::from(mask.rgb).into_luma8())
        }
    };

    let start = Instant::now();
    let result = deblur(&net, &photo.rgb, previous.as_ref(), &choice)?;
    let time = start.elapsed();

    let out = Picture { rgb: result.rgb, ..photo };
    let mut files = vec![out.encode(output)?];
    if let Some(format) = mask_format {
        files.push(picture::encode(&result.mask.into(), format, None)?);
    }
    let files: Vec<(&Path, &[u8])> = outputs.into_iter().zip(files.iter().map(Vec::as_slice)).collect();
    output::write(&files)?;

    for note in &out.notes {
        output::note(&format!("{}: {note}", input.display()));
    }
    for lost in out.lost_in(format) {
        output::note(&format!("{}: {lost}", output.display()));
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
    ))
}

/// The network with the shutter that was asked for.
fn with_shutter<'m>(net: LmdVit<'m>, options: &Options, name: &str) -> Result<LmdVit<'m>> {
    let Some(shutter) = options.shutter else { return Ok(net) };
    ensure!(net.config().motion, "{name}: --shutter needs a model that follows the motion, and --previous");
    net.with_shutter(shutter).with_context(|| format!("--shutter is {shutter}; it is above 0 and at most 1"))
}

fn film(options: &Options, frames: &[PathBuf], out_dir: &Path) -> Result<()> {
    let bytes = options.model.as_ref().map_or_else(|| Ok(Bytes::new(MOTION_MODEL)), |path| Bytes::open(path))?;
    let name = options.model.as_deref().unwrap_or(Path::new("the built-in model")).display().to_string();
    let model = bytes.model().with_context(|| name.clone())?;
    let net = LmdVit::new(&model).with_context(|| name.clone())?;
    let two_frames = matches!(&net.config().decision, Decision::Cells(cells) if cells.previous.is_some());
    ensure!(two_frames, "{name}: a film needs a model with a mask net for two frames");
    video::run(&with_shutter(net, options, &name)?, frames, out_dir)
}

pub(crate) fn same_size(path: &Path, got: (u32, u32), want: (u32, u32)) -> Result<()> {
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

/// Runs a photo through the network, tile by tile.
///
/// Tiles start where windows start, and what is kept of one lies so far from its inner borders that nothing there can be felt;
/// cells are decided on before, for the whole picture. So the result is that of one run over the whole picture, with one
/// exception: windows that wrap round the picture's own border see what lies across it at the tile's other end.
///
/// # Errors
/// If the model has no mask net for two frames and there are two.
pub fn deblur(net: &LmdVit<'_>, photo: &RgbImage, previous: Option<&RgbImage>, choice: &Choice) -> Result<Deblurred> {
    let tiles = Cut::new(net.config()).tiles(photo.width() as usize, photo.height() as usize)?;
    deblur_in(net, photo, previous, choice, &tiles)
}

/// [`deblur`] in tiles of your choice, which must be of the photo and overlap as those of [`Cut`] do.
///
/// # Errors
/// As [`deblur`], or if a tile is not inside the photo.
pub fn deblur_in(
    net: &LmdVit<'_>,
    photo: &RgbImage,
    previous: Option<&RgbImage>,
    choice: &Choice,
    tiles: &[Tile],
) -> Result<Deblurred> {
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let config = net.config();
    let frame = Frame::new(photo, width, height)?;
    let previous = previous.map(|p| Frame::new(p, width, height)).transpose()?;
    let (rows, cols) = config.cells(width, height);
    let own = matches!(choice, Choice::Own);
    let decides = own && matches!(config.decision, Decision::Cells(_));
    let bar = progress(tiles.len() * (1 + usize::from(decides)));

    let mut decided = Stats::default();
    let cells: Vec<u8> = match choice {
        Choice::Own if decides => {
            let all = Mutex::new((vec![0; rows * cols], Stats::default()));
            tiles.par_iter().try_for_each(|tile| {
                let (cells, stats) = decide_tile(net, &frame, previous.as_ref(), tile)?;
                let mut all = all.lock().map_err(|_| anyhow::anyhow!("a tile failed"))?;
                let tile_cols = config.cells(tile.width, tile.height).1;
                for (row, col) in kept_cells(config, tile) {
                    let at = (row - tile.y / config.cell()) * tile_cols + col - tile.x / config.cell();
                    all.0[row * cols + col] = cells[at];
                }
                all.1.add(&stats);
                bar.inc(1);
                anyhow::Ok(())
            })?;
            let (cells, stats) = all.into_inner().map_err(|_| anyhow::anyhow!("a tile failed"))?;
            decided = stats;
            cells
        }
        Choice::Own | Choice::None => vec![0; rows * cols],
        Choice::All => vec![1; rows * cols],
        Choice::Mask(mask) => marked(config, mask),
    };

    let (cells, vectors) = match &previous {
        Some(previous) if config.motion => groups(net, &frame, previous, cells)?,
        _ => (cells, Vec::new()),
    };

    // The sink is locked only while a tile is copied into it.
    let sum = Mutex::new((photo.as_raw().clone(), Stats::default()));
    tiles.par_iter().try_for_each(|tile| {
        let here = cells_of(config, &cells, cols, tile);
        let policy = match choice {
            _ if config.motion => Policy::Groups { cells: &here, vectors: &vectors },
            Choice::Own if !decides => Policy::Own,
            Choice::All => Policy::All,
            Choice::None => Policy::None,
            Choice::Own | Choice::Mask(_) => Policy::Cells(&here),
        };
        let (rgb, stats) = run_tile(net, &frame, previous.as_ref(), policy, tile)?;
        let mut sum = sum.lock().map_err(|_| anyhow::anyhow!("a tile failed"))?;
        tile.write(&rgb, &mut sum.0, width)?;
        sum.1.add(&stats);
        bar.inc(1);
        anyhow::Ok(())
    })?;
    bar.finish_and_clear();
    let (rgb, mut stats) = sum.into_inner().map_err(|_| anyhow::anyhow!("a tile failed"))?;
    // Of the picture, in which tiles overlap; the work is what was done.
    stats.mask_macs = decided.mask_macs;
    stats.cells = rows * cols;
    if !own || decides {
        stats.active_cells = cells.iter().filter(|&&cell| cell != 0).count();
        (stats.windows, stats.active_windows) = windows(config, &cells, (rows, cols), matches!(choice, Choice::All));
    }
    let (cell, side) = (config.cell(), (photo.width(), photo.height()));
    let active = |x: u32, y: u32| cells[y as usize / cell * cols + x as usize / cell] != 0;
    Ok(Deblurred {
        rgb: RgbImage::from_raw(side.0, side.1, rgb).context("the sizes are the photo's")?,
        mask: GrayImage::from_fn(side.0, side.1, |x, y| Luma([if active(x, y) { 255 } else { 0 }])),
        stats,
    })
}

/// How a network's pictures are cut into tiles.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Tiles start at multiples of this, as windows do.
    pub unit: usize,
    /// What is thrown away at their inner borders.
    pub overlap: usize,
}

impl Cut {
    /// The cut of a network.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let unit = config.unit();
        // Twice the overlap is whole units, so that the step between tiles is.
        Self { unit, overlap: config.reach().next_multiple_of((unit / 2).max(1)) }
    }

    /// Tiles for a picture: the smallest that cost at most a tenth more than it, so that there are many for many cores; or else
    /// those that cost least.
    ///
    /// # Errors
    /// If the picture has no pixels or too many.
    pub fn tiles(&self, width: usize, height: usize) -> Result<Vec<Tile>> {
        let most = TILE.max(4 * self.overlap);
        let sides = (1..).map(|n| 2 * self.overlap + n * self.unit).take_while(|&side| side <= most.max(2 * self.unit));
        let mut best: Option<(usize, Vec<Tile>)> = None;
        for side in sides {
            let tiles: Vec<Tile> = Tiles::new(width, height, side, self.overlap)?.collect();
            let work = tiles.iter().map(|tile| tile.width * tile.height).sum();
            if 10 * work <= WORK * width * height {
                return Ok(tiles);
            }
            if best.as_ref().is_none_or(|(least, _)| work < *least) {
                best = Some((work, tiles));
            }
        }
        Ok(best.context("a window is larger than any picture")?.1)
    }
}

/// How the groups of active cells moved, for the whole picture at once.
fn groups(
    net: &LmdVit<'_>,
    frame: &Frame<'_>,
    previous: &Frame<'_>,
    mut cells: Vec<u8>,
) -> Result<(Vec<u8>, Vec<[i16; 2]>)> {
    let mut vectors = vec![[0; 2]; MAX_GROUPS];
    let mut work = vec![0; net.config().motion_bytes(frame.width(), frame.height())];
    let count = net.motion(*frame, *previous, &mut cells, &mut vectors, &mut work)?;
    vectors.truncate(count);
    Ok((cells, vectors))
}

/// Buffers for a tile.
struct Buffers {
    features: Vec<f32>,
    scratch: Vec<f32>,
    cells: Vec<u8>,
}

impl Buffers {
    fn new(config: &Config, tile: &Tile) -> Result<Self> {
        let sizes = config.sizes(tile.width, tile.height)?;
        Ok(Self { features: vec![0.0; sizes.features], scratch: vec![0.0; sizes.scratch], cells: vec![0; sizes.cells] })
    }

    fn workspace(&mut self) -> Workspace<'_> {
        Workspace { features: &mut self.features, scratch: &mut self.scratch, cells: &mut self.cells }
    }
}

/// Active cells of a tile.
fn decide_tile(
    net: &LmdVit<'_>,
    frame: &Frame<'_>,
    previous: Option<&Frame<'_>>,
    tile: &Tile,
) -> Result<(Vec<u8>, Stats)> {
    let previous = previous.map(|previous| previous.tile(tile)).transpose()?;
    let (rows, cols) = net.config().cells(tile.width, tile.height);
    let mut cells = vec![0; rows * cols];
    let mut buffers = Buffers::new(net.config(), tile)?;
    let stats = net.decide(frame.tile(tile)?, previous, &mut cells, &mut buffers.workspace())?;
    Ok((cells, stats))
}

fn run_tile(
    net: &LmdVit<'_>,
    frame: &Frame<'_>,
    previous: Option<&Frame<'_>>,
    policy: Policy<'_>,
    tile: &Tile,
) -> Result<(Vec<u8>, Stats)> {
    let previous = previous.map(|previous| previous.tile(tile)).transpose()?;
    let mut out = vec![0; 3 * tile.width * tile.height];
    let mut buffers = Buffers::new(net.config(), tile)?;
    let stats = net.run(frame.tile(tile)?, previous, policy, &mut out, &mut buffers.workspace())?;
    Ok((out, stats))
}

/// The picture's cells that a tile keeps, by row and column.
fn kept_cells(config: &Config, tile: &Tile) -> impl Iterator<Item = (usize, usize)> + use<> {
    let span = |start: usize, length: usize| start / config.cell()..(start + length).div_ceil(config.cell());
    let (rows, cols) = (span(tile.keep_y, tile.keep_height), span(tile.keep_x, tile.keep_width));
    rows.flat_map(move |row| cols.clone().map(move |col| (row, col)))
}

/// A tile's part of the picture's cells.
fn cells_of(config: &Config, all: &[u8], all_cols: usize, tile: &Tile) -> Vec<u8> {
    let (rows, cols) = config.cells(tile.width, tile.height);
    let (top, left) = (tile.y / config.cell(), tile.x / config.cell());
    (top..top + rows).flat_map(|row| all[row * all_cols + left..][..cols].iter().copied()).collect()
}

/// The cells that have a white pixel.
fn marked(config: &Config, mask: &GrayImage) -> Vec<u8> {
    let (rows, cols) = config.cells(mask.width() as usize, mask.height() as usize);
    let mut cells = vec![0; rows * cols];
    for (x, y, &Luma([value])) in mask.enumerate_pixels() {
        cells[y as usize / config.cell() * cols + x as usize / config.cell()] |= u8::from(value >= 128);
    }
    cells
}

/// Windows of all blocks, and those of them that touch an active cell: what a run over the whole picture would count.
fn windows(config: &Config, cells: &[u8], (rows, cols): (usize, usize), all: bool) -> (usize, usize) {
    let padded = |cells: usize| (cells * config.cell()).next_multiple_of(config.unit()) / config.cell();
    let (mut height, mut width) = (padded(rows), padded(cols));
    let mut level = vec![0; height * width];
    for (to, from) in level.chunks_mut(width).zip(cells.chunks(cols)) {
        to[..cols].copy_from_slice(from);
    }
    let (mut count, mut active) = (0, 0);
    for l in 0..config.levels {
        for shift in [0, 1] {
            let blocks: usize = (0..config.stages())
                .filter(|&k| config.level(k) == l)
                .map(|k| (config.depths[k] + 1 - shift) / 2)
                .sum();
            let touched = |row: usize, col: usize| {
                let at =
                    |down: usize, right: usize| (row + shift + down) % height * width + (col + shift + right) % width;
                [at(0, 0), at(0, 1), at(1, 0), at(1, 1)].into_iter().any(|cell| level[cell] != 0)
            };
            let grid = (0..height).step_by(2).flat_map(|row| (0..width).step_by(2).map(move |col| (row, col)));
            let here = grid.clone().count();
            count += blocks * here;
            active += blocks * if all { here } else { grid.filter(|&(row, col)| touched(row, col)).count() };
        }
        // A cell of the level below is active if one of its four is.
        let below = |row: usize, col: usize| {
            let at = 2 * row * width + 2 * col;
            level[at] | level[at + 1] | level[at + width] | level[at + width + 1]
        };
        if l + 1 < config.levels {
            level = (0..height / 2)
                .flat_map(|row| (0..width / 2).map(move |col| (row, col)))
                .map(|(r, c)| below(r, c))
                .collect();
            (height, width) = (height / 2, width / 2);
        }
    }
    (count, active)
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
