//! Depthwise convolutions: the loops of `leaves_depth`. Counts are in `backend/helium.md`.
//!
//! Sixteen channels are one vector; where there are fewer and a row of outputs allows it, several pixels.
#![allow(unsafe_code, reason = "leaves in assembly")]

use core::mem::MaybeUninit;

use super::Helium;
use super::leaves_depth::{self, Copy, Job};
use crate::backend::depth_rows::{DepthRows, DepthS8, Part, Tile};
use crate::backend::dot_rows::OutputsS8;

/// Bytes of a vector.
const LANES: usize = 16;

/// Room for a tile, in vectors.
const PLACES: usize = 128;

/// Most taps whose weights are copied.
const TAPS: usize = 25;

impl DepthRows for Helium {
    #[inline(always)]
    fn has_depth_loop(self, of: &DepthS8<'_>) -> bool {
        has_depth_loop(of)
    }

    #[inline(always)]
    fn depthwise_s8(self, of: &DepthS8<'_>, x: &[i8], y: &mut [i8]) {
        run(of, x, y);
    }
}

/// Whether there is a loop for a layer: one whose products fit 16 bits two by two.
pub(crate) const fn has_depth_loop(of: &DepthS8<'_>) -> bool {
    let mut i = 0;
    while i < of.weights().len() {
        if of.weights()[i] == i8::MIN {
            return false;
        }
        i += 1;
    }
    let is_narrow = of.channels() < LANES;
    let reads_in_place = of.stays_inside() && !is_narrow;
    (reads_in_place || tile(of).is_some()) && (of.taps() <= TAPS || !is_narrow)
}

/// Pixels that lie in a vector.
const fn pixels(of: &DepthS8<'_>) -> usize {
    let [_, cols] = of.axes();
    let pixels = match of.channels() {
        1 => 16,
        2 => 8,
        4 => 4,
        8 => 2,
        _ => 1,
    };
    if cols.stride == 1 && cols.output.is_multiple_of(pixels) { pixels } else { 1 }
}

/// How a picture is divided.
const fn tile(of: &DepthS8<'_>) -> Option<Tile> {
    let pixels = pixels(of);
    Tile::new(of.axes(), PLACES * pixels, pixels)
}

/// Room for a tile.
type Room = MaybeUninit<[i8; PLACES * LANES]>;

/// Room for weights, a vector a tap.
type Packed = MaybeUninit<[i8; TAPS * LANES]>;

#[inline(never)]
fn run(of: &DepthS8<'_>, x: &[i8], y: &mut [i8]) {
    let [x_picture, y_picture] = of.pictures();
    for (x, y) in x.chunks_exact(x_picture.max(1)).zip(y.chunks_exact_mut(y_picture.max(1))) {
        if of.stays_inside() && of.channels() >= LANES {
            in_place(of, x, y);
        } else {
            by_tiles(of, x, y);
        }
    }
}

fn in_place(of: &DepthS8<'_>, x: &[i8], y: &mut [i8]) {
    let channels = of.channels();
    let [rows, cols] = of.axes();
    let whole = [Part::whole(rows), Part::whole(cols)];
    let mut job = job_of(of, &whole, channels, cols.input * channels, 1);
    let mut packed = Packed::uninit();
    let mut c = 0;
    while c < channels {
        // The last few overlap those before them.
        let at = c.min(channels - LANES);
        job.x = x.as_ptr().wrapping_add(at);
        job.y = y.as_mut_ptr().wrapping_add(at);
        // SAFETY: all windows lie inside of `x`, all outputs inside of `y`, and sixteen channels from `at` on in each pixel.
        unsafe { block(of, at, &mut job, 1, &mut packed) };
        c += LANES;
    }
}

#[inline(never)]
fn by_tiles(of: &DepthS8<'_>, x: &[i8], y: &mut [i8]) {
    let Some(tile) = tile(of) else { return };
    if of.channels() < LANES && of.taps() > TAPS {
        return;
    }
    let (channels, [_, cols]) = (of.channels(), of.axes());
    let pixels = pixels(of);
    let pixel = if pixels > 1 { channels } else { LANES };
    let lanes = channels.min(LANES);
    let (mut room, mut packed) = (Room::uninit(), Packed::uninit());
    let room: *mut i8 = room.as_mut_ptr().cast();
    for parts in tile.parts(of.axes()) {
        let [rows, columns] = &parts;
        let row = columns.places * pixel;
        if rows.inside < rows.places || columns.inside < columns.places {
            // SAFETY: the tile fits the room; what lies outside stays this while the channels go by.
            unsafe { room.write_bytes(of.pad() as u8, rows.places * row) };
        }
        let mut copy = Copy {
            from: x.as_ptr(),
            to: room.wrapping_add(rows.before * row + columns.before * pixel),
            pixels: columns.inside as u32,
            from_pixel: channels,
            to_pixel: pixel,
            rows: rows.inside as u32,
            from_row: cols.input * channels,
            to_row: row,
            lanes: lanes as u32,
        };
        let mut job = job_of(of, &parts, pixel, row, pixels);
        job.x = room;
        let from = (rows.at * cols.input + columns.at) * channels;
        let to = (rows.out * cols.output + columns.out) * channels;
        let mut c = 0;
        while c < channels {
            let at = c.min(channels - lanes);
            if rows.inside > 0 && columns.inside > 0 {
                copy.from = x.as_ptr().wrapping_add(from + at);
                // SAFETY: the pixels lie inside of `x`, and inside of the tile, for which there is room.
                unsafe {
                    if lanes == LANES {
                        leaves_depth::copy_whole(&raw const copy)
                    } else {
                        leaves_depth::copy(&raw const copy)
                    }
                };
            }
            job.y = y.as_mut_ptr().wrapping_add(to + at);
            // SAFETY: all windows lie inside of the room, and all outputs inside of `y`.
            unsafe { block(of, at, &mut job, pixels, &mut packed) };
            c += LANES;
        }
    }
}

/// What is the same for all channels of a part, in a picture of so many bytes a pixel and a row. `pixels` lie in a vector.
#[inline(always)]
fn job_of(of: &DepthS8<'_>, [lines, places]: &[Part; 2], pixel: usize, row: usize, pixels: usize) -> Job {
    let [rows, cols] = of.axes();
    let channels = of.channels();
    // A column of taps is taken for a row.
    let is_column = cols.kernel == 1;
    let (row_of_taps, rows_of_taps) = if is_column { (rows.kernel, 1) } else { (cols.kernel, rows.kernel) };
    let (x_tap, x_row) = (cols.dilation.wrapping_mul(pixel), rows.dilation.wrapping_mul(row));
    let x_tap = if is_column { x_row } else { x_tap };
    let behind = if is_three_by_three(of) { 0 } else { row_of_taps.wrapping_mul(x_tap) };
    let n = places.n / pixels.max(1);
    let (x_output, y_output) = (cols.stride.wrapping_mul(pixel).wrapping_mul(pixels), channels * pixels);
    let y_row = cols.output * channels;
    let outputs = of.outputs();
    Job {
        x: core::ptr::null(),
        y: core::ptr::null_mut(),
        w: core::ptr::null(),
        bias: core::ptr::null(),
        mantissa: core::ptr::null(),
        shift: core::ptr::null(),
        pairs: (row_of_taps / 2) as u32,
        odd: (row_of_taps % 2) as u32,
        rows: rows_of_taps as u32,
        x_tap,
        w_tap: channels,
        x_row: x_row.wrapping_sub(behind),
        lanes: if pixels > 1 { LANES } else { channels.min(LANES) } as u32,
        outputs: n as u32,
        x_output,
        y_output,
        lines: lines.n as u32,
        x_line: rows.stride.wrapping_mul(row).wrapping_sub(n.wrapping_mul(x_output)),
        y_line: y_row.wrapping_sub(n.wrapping_mul(y_output)),
        offset: outputs.offset,
        min: outputs.min.into(),
        max: outputs.max.into(),
    }
}

/// Whether the loops of 3 x 3 taps do, which need all shifts below zero.
#[inline(always)]
const fn is_three_by_three(of: &DepthS8<'_>) -> bool {
    let [rows, cols] = of.axes();
    rows.kernel == 3 && cols.kernel == 3 && of.outputs().is_plain
}

/// Outputs of sixteen channels, or of all there are, from `c` on.
///
/// # Safety
/// All windows of `job` lie inside of its picture, with a vector in each pixel or `pixels` in a vector, and all outputs inside
/// of its `y`.
#[inline(always)]
unsafe fn block(of: &DepthS8<'_>, c: usize, job: &mut Job, pixels: usize, packed: &mut Packed) {
    let OutputsS8 { bias, mantissa, shift, .. } = of.outputs();
    let channels = of.channels();
    let mut tables = MaybeUninit::uninit();
    job.bias = bias.as_ptr().wrapping_add(c);
    job.mantissa = mantissa.as_ptr().wrapping_add(c);
    job.shift = shift.as_ptr().wrapping_add(c);
    if channels < LANES {
        let tables: &Tables = tables.write(Tables::of(of, pixels));
        (job.bias, job.mantissa, job.shift) = (tables.bias.as_ptr(), tables.mantissa.as_ptr(), tables.shift.as_ptr());
    }
    job.w = of.weights().as_ptr().wrapping_add(c);
    if channels < LANES || is_three_by_three(of) {
        let to: *mut i8 = packed.as_mut_ptr().cast();
        for pixel in 0..pixels {
            let copy = Copy {
                from: job.w,
                to: to.wrapping_add(pixel * channels),
                pixels: of.taps() as u32,
                from_pixel: channels,
                to_pixel: LANES,
                rows: 1,
                from_row: 0,
                to_row: 0,
                lanes: channels.min(LANES) as u32,
            };
            // SAFETY: the weights of all taps, for which there is room.
            unsafe {
                if channels >= LANES {
                    leaves_depth::copy_whole(&raw const copy)
                } else {
                    leaves_depth::copy(&raw const copy)
                }
            };
        }
        (job.w, job.w_tap) = (to, LANES);
    }
    // SAFETY: as above; weights and tables have sixteen lanes.
    unsafe {
        if !of.outputs().is_plain {
            leaves_depth::taps_and_no_shift(job);
        } else if !is_three_by_three(of) {
            leaves_depth::taps(job);
        } else if job.x_tap == LANES {
            leaves_depth::three_by_three_dense(job);
        } else {
            leaves_depth::three_by_three(job);
        }
    }
}

/// What outputs are made with where layers have less than a vector of it.
struct Tables {
    bias: [i32; LANES],
    mantissa: [i32; LANES],
    shift: [i8; LANES],
}

impl Tables {
    /// All channels of a layer, over again for each pixel.
    #[inline(never)]
    fn of(of: &DepthS8<'_>, pixels: usize) -> Self {
        let mut tables = Self { bias: [0; LANES], mantissa: [0; LANES], shift: [-1; LANES] };
        let OutputsS8 { bias, mantissa, shift, .. } = *of.outputs();
        let n = of.channels().max(1);
        for (to, from) in [(&mut tables.bias, bias), (&mut tables.mantissa, mantissa)] {
            for to in to.chunks_mut(n).take(pixels) {
                to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
            }
        }
        for to in tables.shift.chunks_mut(n).take(pixels) {
            to.iter_mut().zip(shift).for_each(|(to, &from)| *to = from);
        }
        tables
    }
}
