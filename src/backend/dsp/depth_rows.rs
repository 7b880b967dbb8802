//! Depthwise convolutions: the loops of `leaves_depth`. Counts are in `backend/dsp.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use core::mem::MaybeUninit;

use super::Dsp;
use super::leaves_depth::{self, AnyTable, Copy, Job, Shape, Table};
use crate::backend::depth_rows::{DepthRows, DepthS8, Part, Tile};
use crate::backend::dot_rows::OutputsS8;

/// Channels of a word.
const LANES: usize = 4;

/// Room for a tile, in words.
const PLACES: usize = 256;

/// Most words of weights of four channels, which lie on the stack: 64 taps.
const WORDS: usize = 128;

impl DepthRows for Dsp {
    #[inline(always)]
    fn has_depth_loop(self, of: &DepthS8<'_>) -> bool {
        has_depth_loop(of)
    }

    #[inline(always)]
    fn depthwise_s8(self, of: &DepthS8<'_>, x: &[i8], y: &mut [i8]) {
        run(of, x, y);
    }
}

/// Whether there is a loop for a layer: one of few taps, with a word of channels and no multiplier below zero.
pub(crate) const fn has_depth_loop(of: &DepthS8<'_>) -> bool {
    let mantissas = of.outputs().mantissa;
    let mut i = 0;
    while i < mantissas.len() {
        if mantissas[i] < 0 {
            return false;
        }
        i += 1;
    }
    has_room(of)
}

const fn has_room(of: &DepthS8<'_>) -> bool {
    let [taps, rows] = taps(of);
    let words = (taps / 2).saturating_mul(4).saturating_add(taps % 2 * 2).saturating_mul(rows);
    of.channels() >= LANES && words <= WORDS && (of.stays_inside() || tile(of).is_some())
}

const fn tile(of: &DepthS8<'_>) -> Option<Tile> {
    Tile::new(of.axes(), PLACES, 1)
}

/// Taps of a row, and rows of them; a column of taps is taken for a row.
const fn taps(of: &DepthS8<'_>) -> [usize; 2] {
    let [rows, cols] = of.axes();
    if cols.kernel == 1 { [rows.kernel, 1] } else { [cols.kernel, rows.kernel] }
}

/// Room for a tile, and for the weights of four channels.
type Room = MaybeUninit<[u32; PLACES]>;
type Words = MaybeUninit<[u32; WORDS]>;

#[inline(never)]
fn run(of: &DepthS8<'_>, x: &[i8], y: &mut [i8]) {
    if !has_room(of) {
        return;
    }
    let [x_picture, y_picture] = of.pictures();
    for (x, y) in x.chunks_exact(x_picture.max(1)).zip(y.chunks_exact_mut(y_picture.max(1))) {
        if of.stays_inside() {
            in_place(of, x, y);
        } else {
            by_tiles(of, x, y);
        }
    }
    let outputs = of.outputs();
    if outputs.min > i8::MIN || outputs.max < i8::MAX {
        for y in y {
            *y = (*y).min(outputs.max).max(outputs.min);
        }
    }
}

fn in_place(of: &DepthS8<'_>, x: &[i8], y: &mut [i8]) {
    let channels = of.channels();
    let [rows, cols] = of.axes();
    let mut words = Words::uninit();
    let mut job = job_of(of, &[Part::whole(rows), Part::whole(cols)], channels, cols.input * channels);
    let mut c = 0;
    while c < channels {
        // The last few overlap those before them.
        let at = c.min(channels - LANES);
        job.x = x.as_ptr().wrapping_add(at);
        job.y = y.as_mut_ptr().wrapping_add(at);
        // SAFETY: all windows lie inside of `x`, all outputs inside of `y`, and four channels from `at` on in each pixel.
        unsafe { block(of, at, &mut job, &mut words) };
        c += LANES;
    }
}

#[inline(never)]
fn by_tiles(of: &DepthS8<'_>, x: &[i8], y: &mut [i8]) {
    let Some(tile) = tile(of) else { return };
    let (channels, [_, cols]) = (of.channels(), of.axes());
    let (mut room, mut words) = (Room::uninit(), Words::uninit());
    let room: *mut u32 = room.as_mut_ptr().cast();
    for parts in tile.parts(of.axes()) {
        let [rows, columns] = &parts;
        if rows.inside < rows.places || columns.inside < columns.places {
            // SAFETY: the tile fits the room; what lies outside stays this while the channels go by.
            unsafe { room.write_bytes(of.pad() as u8, rows.places * columns.places) };
        }
        let copy = Copy {
            pixels: columns.inside as u32,
            from_pixel: channels,
            rows: rows.inside as u32,
            from_row: cols.input * channels,
            to_row: columns.places * LANES,
        };
        let first = room.wrapping_add(rows.before * columns.places + columns.before);
        let mut job = job_of(of, &parts, LANES, columns.places * LANES);
        job.x = room.cast();
        let from = (rows.at * cols.input + columns.at) * channels;
        let to = (rows.out * cols.output + columns.out) * channels;
        let mut c = 0;
        while c < channels {
            let at = c.min(channels - LANES);
            if rows.inside > 0 && columns.inside > 0 {
                // SAFETY: the pixels lie inside of `x`, and inside of the tile, for which there is room.
                unsafe { leaves_depth::copy(x.as_ptr().wrapping_add(from + at), first, &raw const copy) };
            }
            job.y = y.as_mut_ptr().wrapping_add(to + at);
            // SAFETY: all windows lie inside of the room, and all outputs inside of `y`.
            unsafe { block(of, at, &mut job, &mut words) };
            c += LANES;
        }
    }
}

/// What is the same for all channels of a part, in a picture of so many bytes a pixel and a row.
#[inline(always)]
fn job_of(of: &DepthS8<'_>, [lines, places]: &[Part; 2], pixel: usize, row: usize) -> Job {
    let [rows, cols] = of.axes();
    let channels = of.channels();
    let [row_of_taps, rows_of_taps] = taps(of);
    let (x_tap, x_row) = (cols.dilation.wrapping_mul(pixel), rows.dilation.wrapping_mul(row));
    let x_tap = if cols.kernel == 1 { x_row } else { x_tap };
    let behind = if is_three_by_three(of) { 0 } else { row_of_taps.wrapping_mul(x_tap) };
    let (x_output, y_output) = (cols.stride.wrapping_mul(pixel), channels);
    let y_row = cols.output * channels;
    Job {
        x: core::ptr::null(),
        y: core::ptr::null_mut(),
        bias: core::ptr::null(),
        w: core::ptr::null(),
        tables: core::ptr::null(),
        pairs: (row_of_taps / 2) as u32,
        odd: (row_of_taps % 2) as u32,
        rows: rows_of_taps as u32,
        x_tap,
        x_row: x_row.wrapping_sub(behind),
        outputs: places.n as u32,
        x_output,
        y_output,
        lines: lines.n as u32,
        x_line: rows.stride.wrapping_mul(row).wrapping_sub(places.n.wrapping_mul(x_output)),
        y_line: y_row.wrapping_sub(places.n.wrapping_mul(y_output)),
    }
}

/// Whether the loop of 3 x 3 taps does, which needs all shifts below zero.
#[inline(always)]
const fn is_three_by_three(of: &DepthS8<'_>) -> bool {
    matches!(taps(of), [3, 3]) && of.outputs().is_plain
}

/// Outputs of four channels from `c` on.
///
/// # Safety
/// All windows of `job` lie inside of its picture, with four channels in each pixel, and all outputs inside of its `y`.
#[inline(always)]
unsafe fn block(of: &DepthS8<'_>, c: usize, job: &mut Job, words: &mut Words) {
    let OutputsS8 { bias, mantissa, shift, offset, .. } = *of.outputs();
    let (Some(bias), Some(mantissa), Some(shift)) = (four(bias, c), four(mantissa, c), four(shift, c)) else { return };
    let tables: [Table; LANES] = core::array::from_fn(|j| {
        let right = i32::from(shift[j]).wrapping_neg().wrapping_sub(1);
        Table { mantissa: mantissa[j], half: (2 * offset + 1).wrapping_shl(right as u32), right }
    });
    let bias = bias.map(|bias| bias.wrapping_mul(2));
    let shape = Shape { pairs: job.pairs, odd: job.odd, rows: job.rows };
    let words: *mut u32 = words.as_mut_ptr().cast();
    job.bias = bias.as_ptr();
    job.tables = tables.as_ptr().cast();
    job.w = words;
    // SAFETY: as above; there are weights for all taps, and room for their words.
    unsafe {
        leaves_depth::pack(of.weights().as_ptr().wrapping_add(c), of.channels(), words, &shape);
        if !of.outputs().is_plain {
            let tables = any_tables(mantissa, shift, offset);
            job.tables = tables.as_ptr().cast();
            leaves_depth::taps_and_no_shift(job);
        } else if is_three_by_three(of) {
            leaves_depth::three_by_three(job);
        } else {
            leaves_depth::taps(job);
        }
    }
}

#[inline(always)]
fn four<T>(from: &[T], at: usize) -> Option<&[T; LANES]> {
    from.get(at..)?.first_chunk()
}

fn any_tables(mantissa: &[i32; LANES], shift: &[i8; LANES], offset: i32) -> [AnyTable; LANES] {
    core::array::from_fn(|j| {
        let right = u32::from(shift[j].unsigned_abs());
        let half = offset.wrapping_shl(right).wrapping_add(1i32.wrapping_shl(right) >> 1);
        AnyTable { mantissa: mantissa[j], half, right: right as i32, sign: if right == 0 { 0 } else { i32::MIN } }
    })
}
