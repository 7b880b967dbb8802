//! Motion between two frames, and samples along it: what a restorer with [`Config::motion`] is fed with.
//!
//! Not from the paper, whose network has to find direction and length of the blur by itself, window by window. Two frames give both
//! nearly for nothing: each group of active cells that touch has moved by one displacement since the frame before, which block
//! matching finds in integers, and the exposure lasted `shutter` of the frame time. The network then sees, at each pixel, this frame
//! along the blur, the frame before along the same path one displacement back (the mover over another background), and what
//! both frames show where the mover has not been. `tools/train/motion.py` is the oracle; the integers are the same everywhere.
//!
//! Displacements are in sixteenths of a pixel, `[y, x]`, from the frame before to this one.

use super::cells::{ACTIVE, Level};
use super::config::Config;
use super::frame::Frame;
use super::layout::Layout;
use crate::backend::{Dispatch, Scalar};
use crate::math::ArithOps as _;
use crate::nn::conv::Conv;
use crate::nn::{copy, gelu_f32_in_place_on};

/// Most groups of cells that move on their own; what is beyond stands still.
pub const MAX_GROUPS: usize = 250;

/// Channels that the samples at one position become before the first convolution.
pub(crate) const WIDTH: usize = 32;
/// Farthest displacement, in pixels of half resolution.
const REACH: i32 = 22;
/// Positions looked at, at half resolution.
const SEARCHED: usize = 1200;
/// And at full resolution, four pixels each.
const REFINED: usize = 750;
/// Moving positions below which a group stands still.
const FEWEST: usize = 8;
/// Difference at which a pixel counts as wrong, whatever it is.
const CAP: i32 = 24;
/// Sixteen times the difference above which a position moves.
const MOVING: i32 = 64;

/// From which frame, by how many displacements back, at which quarter of the blur.
struct Sample {
    previous: bool,
    back: i32,
    quarters: i32,
}

const fn sample(previous: bool, back: i32, quarters: i32) -> Sample {
    Sample { previous, back, quarters }
}

/// Nine of this frame along the blur; five of the frame before along the same path; three of it where the mover has not been
/// then; one of this frame where the mover has left.
const SAMPLES: [Sample; 18] = [
    sample(false, 0, -4),
    sample(false, 0, -3),
    sample(false, 0, -2),
    sample(false, 0, -1),
    sample(false, 0, 0),
    sample(false, 0, 1),
    sample(false, 0, 2),
    sample(false, 0, 3),
    sample(false, 0, 4),
    sample(true, 1, -4),
    sample(true, 1, -2),
    sample(true, 1, 0),
    sample(true, 1, 2),
    sample(true, 1, 4),
    sample(true, 0, -4),
    sample(true, 0, 0),
    sample(true, 0, 4),
    sample(false, 1, 0),
];

/// Channels at one pixel: the samples' colours; length, cosine and sine of the blur.
pub(crate) const CHANNELS: usize = 3 * SAMPLES.len() + 3;

/// Bytes for the search in a picture: two luma pictures of half resolution, a list of positions, the displacements.
pub(crate) const fn bytes(width: usize, height: usize) -> u64 {
    let pixels = (width.div_ceil(2) as u64).saturating_mul(height.div_ceil(2) as u64);
    pixels.saturating_mul(2).saturating_add((4 * SEARCHED + 4 * MAX_GROUPS) as u64)
}

// ---------------------------------------------------------------- groups

/// Numbers the groups of active cells that touch, from 1, in the order of their first cells; `cells` holds 0 for an inactive
/// cell and anything else for an active one. Returns how many there are; the cells of those beyond [`MAX_GROUPS`] become 255, a group
/// that has no displacement and so stands still.
pub(super) fn label(cells: &mut [u8], rows: usize, cols: usize) -> usize {
    const OPEN: u8 = 255;
    for cell in cells.iter_mut() {
        *cell = if *cell == 0 { 0 } else { OPEN };
    }
    let mut groups = 0;
    while let Some(first) = cells.iter().position(|&cell| cell == OPEN) {
        if groups == MAX_GROUPS {
            break;
        }
        groups += 1;
        let group = groups as u8;
        if let Some(cell) = cells.get_mut(first) {
            *cell = group;
        }
        // Down and up again until nothing joins: as many rounds as the group has turns.
        let mut grew = true;
        while grew {
            grew = false;
            for step in 0..2 * rows {
                let row = if step < rows { step } else { 2 * rows - 1 - step };
                grew |= join(cells, rows, cols, row, group, OPEN);
            }
        }
    }
    groups
}

/// Lets the open cells of a row that touch the group join it.
fn join(cells: &mut [u8], rows: usize, cols: usize, row: usize, group: u8, open: u8) -> bool {
    let mut grew = false;
    for step in 0..2 * cols {
        let col = if step < cols { step } else { 2 * cols - 1 - step };
        if cells.get(row * cols + col) != Some(&open) {
            continue;
        }
        let touches = (row.saturating_sub(1)..=(row + 1).min(rows - 1)).any(|r| {
            (col.saturating_sub(1)..=(col + 1).min(cols - 1)).any(|c| cells.get(r * cols + c) == Some(&group))
        });
        if let (true, Some(cell)) = (touches, cells.get_mut(row * cols + col)) {
            *cell = group;
            grew = true;
        }
    }
    grew
}

// ---------------------------------------------------------------- block matching

/// Where displacements stand: [`MAX_GROUPS`] of them as bytes in a workspace, or a caller's.
#[derive(Clone, Copy)]
pub(super) enum Vectors<'a> {
    Bytes(&'a [u8]),
    Given(&'a [[i16; 2]]),
}

impl Vectors<'_> {
    /// Of group 1 and on; group 0 and what there is none of stand still.
    pub(super) fn get(&self, group: u8) -> [i32; 2] {
        let Some(index) = usize::from(group).checked_sub(1) else { return [0; 2] };
        match self {
            Self::Bytes(bytes) => match bytes.as_chunks::<4>().0.get(index) {
                Some(&[a, b, c, d]) => [i16::from_le_bytes([a, b]).into(), i16::from_le_bytes([c, d]).into()],
                None => [0; 2],
            },
            Self::Given(vectors) => vectors.get(index).map_or([0; 2], |&[y, x]| [y.into(), x.into()]),
        }
    }
}

/// A luma picture of half resolution.
#[derive(Clone, Copy)]
struct Half<'a> {
    luma: &'a [u8],
    width: usize,
    height: usize,
}

impl Half<'_> {
    /// Beyond an edge the last row or column once more.
    #[inline(always)]
    fn get(&self, y: i32, x: i32) -> i32 {
        let clamp = |at: i32, length: usize| (at.max(0) as usize).min(length.saturating_sub(1));
        let at = clamp(y, self.height) * self.width + clamp(x, self.width);
        self.luma.get(at).copied().unwrap_or(0).into()
    }
}

/// 77/256 red, 150/256 green, 29/256 blue, rounded half up.
#[inline(always)]
fn luma([r, g, b]: [u8; 3]) -> i32 {
    (77 * i32::from(r) + 150 * i32::from(g) + 29 * i32::from(b) + 128) >> 8
}

/// Means of 2x2, rounded half up; an odd edge repeats its last row or column.
fn halve(frame: &Frame<'_>, out: &mut [u8]) {
    let width = frame.width().div_ceil(2);
    for (y, row) in out.chunks_exact_mut(width.max(1)).enumerate() {
        for (x, out) in row.iter_mut().enumerate() {
            let pixel = |dy: usize, dx: usize| luma(frame.pixel(2 * y + dy, 2 * x + dx));
            *out = ((pixel(0, 0) + pixel(0, 1) + pixel(1, 0) + pixel(1, 1) + 2) >> 2) as u8;
        }
    }
}

/// Whether two pictures differ at a position, after a binomial 3x3 filter.
fn moves(current: &Half<'_>, previous: &Half<'_>, y: usize, x: usize) -> bool {
    let difference = |dy: i32, dx: i32| {
        let (y, x) = (y as i32 + dy, x as i32 + dx);
        current.get(y, x) - previous.get(y, x)
    };
    let row = |dy: i32| difference(dy, -1) + 2 * difference(dy, 0) + difference(dy, 1);
    (row(-1) + 2 * row(0) + row(1)).abs() > MOVING
}

/// The frames as the search sees them.
struct Search<'a> {
    frame: &'a Frame<'a>,
    previous: &'a Frame<'a>,
    current_half: Half<'a>,
    previous_half: Half<'a>,
    /// Sides of a cell in positions of half resolution, and cells in a row.
    side: usize,
    cols: usize,
}

/// Finds the displacement of each of the `groups` that `labels` has; `area` is [`bytes`] long and keeps them at its end, where
/// [`found`] sees them.
pub(super) fn search(
    config: &Config,
    frame: &Frame<'_>,
    previous: &Frame<'_>,
    labels: &[u8],
    groups: usize,
    area: &mut [u8],
) {
    let (width, height) = (frame.width().div_ceil(2), frame.height().div_ceil(2));
    let Some((now, rest)) = area.split_at_mut_checked(width * height) else { return };
    let Some((before, rest)) = rest.split_at_mut_checked(width * height) else { return };
    let Some((list, vectors)) = rest.split_at_mut_checked(4 * SEARCHED) else { return };
    halve(frame, now);
    halve(previous, before);
    let search = Search {
        frame,
        previous,
        current_half: Half { luma: now, width, height },
        previous_half: Half { luma: before, width, height },
        side: (config.cell() / 2).max(1),
        cols: config.cells(frame.width(), frame.height()).1,
    };
    for (group, to) in (1..=groups).zip(vectors.as_chunks_mut::<4>().0) {
        let [y, x] = search.displacement(labels, group as u8, list);
        let ([a, b], [c, d]) = (y.to_le_bytes(), x.to_le_bytes());
        *to = [a, b, c, d];
    }
}

/// The displacements that [`search`] left.
pub(super) fn found<'a>(frame: &Frame<'_>, area: &'a [u8]) -> &'a [u8] {
    let start = 2 * frame.width().div_ceil(2) * frame.height().div_ceil(2) + 4 * SEARCHED;
    area.get(start..).unwrap_or(&[])
}

impl Search<'_> {
    /// The moving positions of a group, cell by cell.
    fn positions<'s>(&'s self, labels: &'s [u8], group: u8) -> impl Iterator<Item = (usize, usize)> + 's {
        let side = self.side;
        let cells = labels.iter().enumerate().filter(move |(_, label)| **label == group);
        let all = cells.flat_map(move |(cell, _)| {
            let cols = self.cols.max(1);
            let (top, left) = (cell / cols * side, cell % cols * side);
            (top..top + side).flat_map(move |y| (left..left + side).map(move |x| (y, x)))
        });
        let inside = |&(y, x): &(usize, usize)| y < self.current_half.height && x < self.current_half.width;
        all.filter(inside).filter(|&(y, x)| moves(&self.current_half, &self.previous_half, y, x))
    }

    /// At most `most` of a group's `count` moving positions, evenly, as bytes in `list`.
    fn fill<'l>(&self, labels: &[u8], group: u8, (count, most): (usize, usize), list: &'l mut [u8]) -> &'l [[u8; 4]] {
        let list = list.as_chunks_mut::<4>().0;
        let step = count.div_ceil(most.max(1)).max(1);
        let mut filled = 0;
        for (to, (y, x)) in list.iter_mut().zip(self.positions(labels, group).step_by(step)) {
            let ([a, b], [c, d]) = ((y as u16).to_le_bytes(), (x as u16).to_le_bytes());
            *to = [a, b, c, d];
            filled += 1;
        }
        list.get(..filled).unwrap_or(&[])
    }

    /// Of one group, by the least capped absolute difference: half resolution, full resolution, parabola.
    fn displacement(&self, labels: &[u8], group: u8, list: &mut [u8]) -> [i16; 2] {
        let count = self.positions(labels, group).count();
        if count < FEWEST {
            return [0; 2];
        }
        let chosen = self.fill(labels, group, (count, SEARCHED), list);
        let mut best = (i32::MAX, 0, 0);
        for dy in -REACH..=REACH {
            for dx in -REACH..=REACH {
                if (2..=REACH * REACH).contains(&(dy * dy + dx * dx)) {
                    let cost = self.half_cost(chosen, dy, dx, best.0);
                    if cost < best.0 {
                        best = (cost, dy, dx);
                    }
                }
            }
        }
        let coarse = (2 * best.1, 2 * best.2);
        let chosen = self.fill(labels, group, (count, REFINED), list);
        let mut best = (i32::MAX, 0, 0);
        for dy in coarse.0 - 2..=coarse.0 + 2 {
            for dx in coarse.1 - 2..=coarse.1 + 2 {
                let cost = self.full_cost(chosen, dy, dx);
                if cost < best.0 {
                    best = (cost, dy, dx);
                }
            }
        }
        let (middle, dy, dx) = best;
        let y = parabola(self.full_cost(chosen, dy - 1, dx), middle, self.full_cost(chosen, dy + 1, dx));
        let x = parabola(self.full_cost(chosen, dy, dx - 1), middle, self.full_cost(chosen, dy, dx + 1));
        [(16 * dy + y) as i16, (16 * dx + x) as i16]
    }

    /// The sum of capped differences for one displacement at half resolution; what is not below `best` may be cut short.
    fn half_cost(&self, chosen: &[[u8; 4]], dy: i32, dx: i32, best: i32) -> i32 {
        let mut sum = 0;
        for part in chosen.chunks(64) {
            for &[a, b, c, d] in part {
                let (y, x) = (i32::from(u16::from_le_bytes([a, b])), i32::from(u16::from_le_bytes([c, d])));
                let difference = self.current_half.get(y, x) - self.previous_half.get(y - dy, x - dx);
                sum += difference.abs().min(CAP);
            }
            if sum >= best {
                break;
            }
        }
        sum
    }

    /// The same at full resolution, for the four pixels of each position.
    fn full_cost(&self, chosen: &[[u8; 4]], dy: i32, dx: i32) -> i32 {
        let mut sum = 0;
        for &[a, b, c, d] in chosen {
            let (y, x) = (2 * i32::from(u16::from_le_bytes([a, b])), 2 * i32::from(u16::from_le_bytes([c, d])));
            for (y, x) in [(y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1)] {
                let difference = luma(self.frame.clamped(y, x)) - luma(self.previous.clamped(y - dy, x - dx));
                sum += difference.abs().min(CAP);
            }
        }
        sum
    }
}

/// Sixteenths from the middle to the vertex, rounded half up, at most half a step.
fn parabola(before: i32, middle: i32, after: i32) -> i32 {
    let bend = 2 * (before - 2 * middle + after);
    if bend <= 0 {
        return 0;
    }
    (32 * (before - after) + bend).checked_div_euclid(2 * bend).unwrap_or(0).clamp(-8, 8)
}

// ---------------------------------------------------------------- samples

/// What the first convolution needs to know of a run.
#[derive(Clone, Copy)]
pub(super) struct Moving<'a> {
    pub(super) previous: &'a Frame<'a>,
    /// Groups of the image's cells, row by row; `rows` and `cols` of them.
    pub(super) labels: &'a [u8],
    pub(super) cells: (usize, usize),
    pub(super) vectors: Vectors<'a>,
    /// In 1/256 of a frame time.
    pub(super) shutter: i32,
}

impl Moving<'_> {
    /// Displacement of a cell of the padded image, if it is active.
    fn of_cell(&self, level: &Level, cells: &[u8], row: usize, col: usize) -> Option<[i32; 2]> {
        if level.get(cells, row, col) & ACTIVE == 0 {
            return None;
        }
        let (rows, cols) = self.cells;
        let label = self.labels.get(row.min(rows.saturating_sub(1)) * cols + col.min(cols.saturating_sub(1)));
        Some(self.vectors.get(label.copied().unwrap_or(0)))
    }
}

/// Scratch elements of [`in_proj`] for a grid this wide.
pub(crate) const fn scratch(config: &Config, width: usize) -> u64 {
    let s2 = config.space_to_depth.saturating_mul(config.space_to_depth);
    let project = Conv::scratch(CHANNELS * s2, WIDTH);
    let still = 3 * 2 * s2 * WIDTH + WIDTH;
    let first = Conv::scratch(9 * config.in_channels(), config.level_width(0));
    (3 * WIDTH) as u64 * width as u64 + (if project > first { project } else { first } + still) as u64
}

/// The first convolution over samples and picture: `take` gets each position that `needed` names and its outputs.
/// Returns the multiply-accumulates done.
#[expect(clippy::too_many_arguments, reason = "the state of a run")]
pub(super) fn in_proj<D: Dispatch>(
    d: D,
    layout: &Layout,
    (project, first): (Conv<'_>, Conv<'_>),
    frame: &Frame<'_>,
    moving: &Moving<'_>,
    cells: &[u8],
    scratch: &mut [f32],
    needed: impl Fn(usize, usize) -> bool,
    mut take: impl FnMut((usize, usize), &mut [f32]),
) -> Option<u64> {
    let grid = layout.grid(0);
    let s = layout.config.space_to_depth;
    let s2 = s * s;
    let half = (layout.config.window / 2).max(1);
    let level = Level::of(layout, 0);
    let row_length = grid.width * WIDTH;
    let (ring, rest) = scratch.split_at_mut_checked(3 * row_length)?;
    let (still, scratch) = rest.split_at_mut_checked(6 * s2 * WIDTH + WIDTH)?;
    let (still_weight, still_bias) = still.split_at_mut_checked(6 * s2 * WIDTH)?;
    where_nothing_moves(&project, s2, still_weight, still_bias);
    let still = Conv { weight: still_weight, bias: still_bias, patch: 6 * s2, outputs: WIDTH };

    let vector = |y: usize, x: usize| moving.of_cell(&level, cells, y / half, x / half);
    let read = |y: usize, x: usize| {
        // The 3x3 neighbourhood of a needed position.
        let across = |x: usize| x.saturating_sub(1)..(x + 2).min(grid.width);
        (y.saturating_sub(1)..(y + 2).min(grid.height)).any(|y| across(x).any(|x| needed(y, x)))
    };
    let mut macs = 0;
    for y in 0..=grid.height {
        // Row `y` of the projected samples, one ahead of the convolution's.
        if y < grid.height {
            let row = ring.get_mut(y % 3 * row_length..)?.get_mut(..row_length)?;
            let mut put = |(_, x): (usize, usize), result: &mut [f32]| {
                gelu_f32_in_place_on(d, result);
                copy(result, row.get_mut(x * WIDTH..).unwrap_or(&mut []));
            };
            let moves = |x: usize| vector(y, x).is_some_and(|v| v != [0; 2]);
            let places = || (0..grid.width).filter(|&x| read(y, x)).map(|x| (y, x));
            let previous = moving.previous;
            macs += project.run(
                d,
                scratch,
                places().filter(|&(_, x)| moves(x)),
                |(y, x), patch| {
                    let vector = vector(y, x).unwrap_or([0; 2]);
                    samples(frame, previous, vector, moving.shutter, (y * s, x * s), s, patch);
                },
                &mut put,
            );
            macs += still.run(
                d,
                scratch,
                places().filter(|&(_, x)| !moves(x)),
                |(y, x), patch| still_samples(frame, previous, (y * s, x * s), s, patch),
                &mut put,
            );
        }
        let Some(y) = y.checked_sub(1) else { continue };
        let inputs = layout.config.in_channels();
        macs += first.run(
            d,
            scratch,
            (0..grid.width).filter(|&x| needed(y, x)).map(|x| (y, x)),
            |(y, x), patch| {
                for (i, tap) in patch.chunks_exact_mut(inputs.max(1)).enumerate() {
                    let (ty, tx) = (y + i / 3, x + i % 3); // one further than the position, so that nothing is negative
                    if !(1..=grid.height).contains(&ty) || !(1..=grid.width).contains(&tx) {
                        tap.fill(0.0);
                        continue;
                    }
                    let (ty, tx) = (ty - 1, tx - 1);
                    let Some((moved, picture)) = tap.split_at_mut_checked(WIDTH) else { return };
                    copy(ring.get(ty % 3 * row_length + tx * WIDTH..).unwrap_or(&[]), moved);
                    unshuffle(frame, s, ty, tx, picture);
                }
            },
            &mut take,
        );
    }
    Some(macs)
}

/// The pixels of a position of the space-to-depth image, 0 to 1: all of one colour side by side.
#[inline(always)]
pub(super) fn unshuffle(frame: &Frame<'_>, s: usize, y: usize, x: usize, to: &mut [f32]) {
    for (i, (dy, dx)) in (0..s).flat_map(|dy| (0..s).map(move |dx| (dy, dx))).enumerate() {
        let pixel = frame.pixel(y * s + dy, x * s + dx);
        for (to, value) in to.iter_mut().skip(i).step_by((s * s).max(1)).zip(pixel) {
            *to = f32::from(value) / 255.0;
        }
    }
}

/// Where nothing moves all samples of a frame are one: sums of their weights, with the bias that the missing half of every
/// channel makes. Inputs are this frame's pixels, then those of the one before, colour by colour.
fn where_nothing_moves(project: &Conv<'_>, s2: usize, weight: &mut [f32], bias: &mut [f32]) {
    weight.fill(0.0);
    copy(project.bias, bias);
    for (input, row) in project.weight.chunks_exact(WIDTH).enumerate() {
        let (channel, pixel) = (input / s2.max(1), input % s2.max(1));
        for (bias, w) in bias.iter_mut().zip(row) {
            *bias -= 0.5 * w;
        }
        let Some(sample) = SAMPLES.get(channel / 3) else { continue };
        let at = ((3 * usize::from(sample.previous) + channel % 3) * s2 + pixel) * WIDTH;
        for (sum, w) in weight.iter_mut().skip(at).zip(row) {
            *sum += w;
        }
    }
}

fn still_samples(frame: &Frame<'_>, previous: &Frame<'_>, (y, x): (usize, usize), s: usize, patch: &mut [f32]) {
    let s = s.max(1);
    let Some((now, before)) = patch.split_at_mut_checked(3 * s * s) else { return };
    unshuffle(frame, s, y / s, x / s, now);
    unshuffle(previous, s, y / s, x / s, before);
}

/// Fills in the samples of the `s x s` pixels from `y`, `x` on, less 0.5, channel by channel.
fn samples(
    frame: &Frame<'_>,
    previous: &Frame<'_>,
    vector: [i32; 2],
    shutter: i32,
    (y, x): (usize, usize),
    s: usize,
    patch: &mut [f32],
) {
    let s2 = (s * s).max(1);
    let mut channels = patch.chunks_exact_mut(s2);
    for sample in &SAMPLES {
        let from = if sample.previous { previous } else { frame };
        let offset = vector.map(|v| -sample.back * v + ((v * shutter * sample.quarters + 512) >> 10));
        let (Some(r), Some(g), Some(b)) = (channels.next(), channels.next(), channels.next()) else { return };
        let colours = r.iter_mut().zip(g.iter_mut()).zip(b.iter_mut());
        for (i, ((r, g), b)) in colours.enumerate() {
            let (y, x) = (16 * (y + i / s.max(1)) as i32 + offset[0], 16 * (x + i % s.max(1)) as i32 + offset[1]);
            let found = bilinear(from, y, x);
            [*r, *g, *b] = found.map(|sum| sum as f32 / 65_280.0 - 0.5);
        }
    }
    let [y, x] = vector.map(|v| (v * shutter) as f32 / 4096.0);
    let square = y * y + x * x;
    let numbers = if square > 0.0 {
        [Scalar.sqrt(square) / 16.0, (x * x - y * y) / square, 2.0 * y * x / square]
    } else {
        [0.0; 3]
    };
    for (channel, number) in channels.zip(numbers) {
        channel.fill(number - 0.5);
    }
}

/// 256 times the colour at a place in sixteenths of a pixel.
#[inline(always)]
fn bilinear(frame: &Frame<'_>, y: i32, x: i32) -> [u32; 3] {
    let (iy, ix, fy, fx) = (y >> 4, x >> 4, (y & 15) as u32, (x & 15) as u32);
    let corners = [
        (frame.clamped(iy, ix), (16 - fy) * (16 - fx)),
        (frame.clamped(iy, ix + 1), (16 - fy) * fx),
        (frame.clamped(iy + 1, ix), fy * (16 - fx)),
        (frame.clamped(iy + 1, ix + 1), fy * fx),
    ];
    let mut sum = [0; 3];
    for (colours, weight) in corners {
        for (sum, colour) in sum.iter_mut().zip(colours) {
            *sum += weight * u32::from(colour);
        }
    }
    sum
}

/// The cells of all levels, the groups of the image's cells, and what [`search`] works in.
pub(super) fn area<'c>(layout: &Layout, cells: &'c mut [u8]) -> Option<(&'c mut [u8], &'c mut [u8], &'c mut [u8])> {
    let end = Level::of(layout, layout.config.levels.saturating_sub(1)).end();
    let (rows, cols) = layout.config.cells(layout.width, layout.height);
    let (levels, rest) = cells.split_at_mut_checked(end)?;
    let (labels, rest) = rest.split_at_mut_checked(rows * cols)?;
    Some((levels, labels, rest))
}
