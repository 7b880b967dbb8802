//! Deblurs a photo with the LMD-ViT that comes with scrimp, on the host and on a board with 3 MiB of RAM.
//!
//! Frames are raw RGB files, which stand in for a camera: `deblur FRAME WIDTH HEIGHT OUT POLICY [PREVIOUS]`, with the
//! policy `own` or `all`; at most 256 x 256 pixels. With the frame before it the network that follows the motion runs. Without arguments it paints itself a frame of 64 x 64.
//! `cargo xtask demo` makes files of a photo, runs this and shows the result.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::fmt;

use scrimp::lmdvit::{Config, Frame, LmdVit, Policy, Sizes, Workspace};
use scrimp::model::Model;
use scrimp_rt::{BOARD, FileError, Ticks, UNIT, println};

/// In flash, read where they lie: for one frame, and for a frame and the one before it.
static MODEL: &[u8] = scrimp::include_model!("data/lmdvit-t16.scrimp");
static MOTION_MODEL: &[u8] = scrimp::include_model!("data/lmdvit-t16-motion.scrimp");
const CONFIG: Config = scrimp::expect!(Config::of_model(include_bytes!("data/lmdvit-t16.scrimp")));
const MOTION_CONFIG: Config = scrimp::expect!(Config::of_model(include_bytes!("data/lmdvit-t16-motion.scrimp")));

/// The largest frame, and what it needs: known when the firmware is built.
const SIDE: usize = 256;
const SIZES: Sizes = {
    let (one, two) = (scrimp::expect!(CONFIG.sizes(SIDE, SIDE)), scrimp::expect!(MOTION_CONFIG.sizes(SIDE, SIDE)));
    Sizes {
        features: larger(one.features, two.features),
        scratch: larger(one.scratch, two.scratch),
        cells: larger(one.cells, two.cells),
    }
};
const BYTES: usize = 3 * SIDE * SIDE;

/// What buffers hold before the run, so that it shows how much of them was written.
const PAINT: f32 = -0.0;
const PAINT_BYTE: u8 = 0xA5;

scrimp_rt::entry!(run);

fn run() -> Result<(), Problem> {
    let args = scrimp_rt::args();
    let [frame, width, height, out, policy] = [0, 1, 2, 3, 4].map(|i| args.get(i).unwrap_or_default());
    let painted = frame.is_empty();
    let (width, height) = if painted { (64, 64) } else { (number(width)?, number(height)?) };
    if width.max(height) > SIDE {
        return Err(Problem::Usage);
    }
    let length = 3 * width * height;

    let model = Model::from_bytes(if args.get(5).is_some() { MOTION_MODEL } else { MODEL })?;
    let net = LmdVit::new(&model)?;
    let sizes = net.config().sizes(width, height)?;
    let mut work = Workspace {
        features: scrimp_rt::buffer!([f32; SIZES.features]).ok_or(Problem::Buffer)?,
        scratch: scrimp_rt::buffer!([f32; SIZES.scratch]).ok_or(Problem::Buffer)?,
        cells: scrimp_rt::buffer!([u8; SIZES.cells]).ok_or(Problem::Buffer)?,
    };
    work.features.fill(PAINT);
    work.scratch.fill(PAINT);
    work.cells.fill(PAINT_BYTE);

    let image = scrimp_rt::buffer!([u8; BYTES]);
    let image = if painted { paint(image, length)? } else { read(frame, image, length)? };
    let result = scrimp_rt::buffer!([u8; BYTES]).ok_or(Problem::Buffer)?;
    let result = &mut result[..length];
    let previous = match args.get(5) {
        None => None,
        Some(path) => Some(Frame::new(read(path, scrimp_rt::buffer!([u8; BYTES]), length)?, width, height)?),
    };
    let policy = match policy {
        "own" => Policy::Own,
        "all" => Policy::All,
        "" if painted => Policy::All,
        _ => return Err(Problem::Usage),
    };

    let start = Ticks::now();
    let stats = net.run(Frame::new(image, width, height)?, previous, policy, result, &mut work)?;
    let cost = start.elapsed();
    if !painted {
        scrimp_rt::write_file(out, result)?;
    }

    println!("board {BOARD}");
    println!("backend {}", scrimp::backend::name());
    println!("cells {}", stats.cells);
    println!("active_cells {}", stats.active_cells);
    println!("windows {}", stats.windows);
    println!("active_windows {}", stats.active_windows);
    println!("macs {}", stats.macs());
    println!("cost {cost} {UNIT}");
    println!("flash_model {}", model.size());
    println!("ram_buffers {}", sizes.bytes());
    println!("ram_buffers_used {}", used(&work));
    println!("ram_image {}", length * if args.get(5).is_some() { 3 } else { 2 });
    println!("ram_stack {}", scrimp_rt::stack_high_water());
    Ok(())
}

fn read(path: &str, buffer: Option<&'static mut [u8; BYTES]>, length: usize) -> Result<&'static [u8], Problem> {
    let buffer = buffer.ok_or(Problem::Buffer)?;
    if scrimp_rt::read_file(path, buffer)? == length { Ok(&buffer[..length]) } else { Err(Problem::Size) }
}

/// Stripes of period 251 bytes.
fn paint(buffer: Option<&'static mut [u8; BYTES]>, length: usize) -> Result<&'static [u8], Problem> {
    let buffer = buffer.ok_or(Problem::Buffer)?;
    for (i, byte) in buffer.iter_mut().enumerate() {
        *byte = (i % 251) as u8;
    }
    Ok(&buffer[..length])
}

fn number(text: &str) -> Result<usize, Problem> {
    text.parse().map_err(|_| Problem::Usage)
}

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// Bytes up to the last one written in each buffer.
fn used(work: &Workspace<'_>) -> usize {
    let floats = |f: &[f32]| f.iter().rposition(|v| v.to_bits() != PAINT.to_bits()).map_or(0, |i| i + 1);
    let cells = work.cells.iter().rposition(|&c| c != PAINT_BYTE).map_or(0, |i| i + 1);
    4 * (floats(work.features) + floats(work.scratch)) + cells
}

/// Why nothing came out.
#[derive(Debug)]
enum Problem {
    Usage,
    Buffer,
    Size,
    File(FileError),
    Scrimp(scrimp::Error),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage => write!(f, "usage: deblur FRAME WIDTH HEIGHT OUT own|all [PREVIOUS], up to {SIDE} x {SIDE}"),
            Self::Buffer => f.write_str("a buffer was taken twice"),
            Self::Size => f.write_str("a frame is not 3 * width * height bytes"),
            Self::File(e) => e.fmt(f),
            Self::Scrimp(e) => e.fmt(f),
        }
    }
}

impl From<FileError> for Problem {
    fn from(e: FileError) -> Self {
        Self::File(e)
    }
}

impl From<scrimp::Error> for Problem {
    fn from(e: scrimp::Error) -> Self {
        Self::Scrimp(e)
    }
}
