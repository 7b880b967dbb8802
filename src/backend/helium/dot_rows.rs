//! Products with stored weights in the layout of this backend: the loops of `leaves_dot`. Counts are in
//! `backend/helium.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use core::mem::MaybeUninit;

use super::Helium;
use super::leaves_dot::{self, Tables, Turn, TurnOfTwo};
use crate::backend::dot_rows::{
    self, Codes, Data, DotRows, Folded, Format, LayerS8, Layout, Lines, OutputsS8, Rows, RunS8, rows_of,
};
use crate::backend::step_rows::StepRows;

/// Outputs at a time.
const CHUNK: usize = 128;

impl DotRows for Helium {
    #[inline(always)]
    fn linear_s8(self, layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
        layer.run_chosen(rows, y);
    }

    #[inline(always)]
    fn copy_lines_s8(self, lines: Lines, from: &[i8], to: &mut [i8]) {
        copy_lines(lines, from, to);
    }

    #[inline(always)]
    fn add_sums_s8(self, codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
        add_sums(codes, x, sums);
    }

    #[inline(always)]
    fn folded_s8(self, of: &Folded<'_>, x: &[i8], y: &mut [i32]) {
        folded(of, x, y);
    }
}

/// Lines of a picture, if all are there.
#[inline(always)]
fn copy_lines(lines: Lines, from: &[i8], to: &mut [i8]) {
    if lines.fit(from.len(), to.len()) {
        // SAFETY: there is a line, none is empty, and all of them are there.
        unsafe { leaves_dot::copy_lines(from.as_ptr(), to.as_mut_ptr(), &raw const lines) };
    }
}

type Leaf = unsafe extern "C" fn(*const i8, *const u32, *const i32, *mut i32, *const Turn);

/// Room for sums; those of the outputs there are get written.
type Sums = [MaybeUninit<i32>; CHUNK];

const ROOM: Sums = [const { MaybeUninit::uninit() }; CHUNK];

/// The loop for weights of a format at a width.
#[derive(Clone, Copy)]
struct Loop {
    leaf: Leaf,
    words: *const u32,
    /// Lower plane, or the same.
    low: *const u32,
    /// Words of a block of 16 inputs of a group: 32 of bytes, 16 of nibbles.
    words_a_block: usize,
    /// What times the sum of activations each sum is too large by.
    excess: i32,
    /// Whether the loop takes it off itself.
    is_taken_off: bool,
    /// Half a step of the width, less what the weights have added.
    half: u32,
    drop: u32,
    /// Whether there is a loop for two rows.
    has_two: bool,
}

/// The loops there are.
#[derive(Clone, Copy)]
enum Kind {
    S8,
    Rounded,
    S4,
    Nest4,
    Nest8,
    NestRounded,
    Residuals,
}

impl Kind {
    /// `None` if the weights lie otherwise, or there is no loop for the width.
    const fn of(codes: &Codes<'_>) -> Option<Self> {
        let drop = codes.dropped();
        Some(match codes.data() {
            Data::Packed(Format::S8, Layout::Helium, ..) => Self::S8,
            Data::Packed(Format::Raw8, Layout::Helium, ..) => {
                if drop == 0 {
                    Self::S8
                } else {
                    Self::Rounded
                }
            }
            Data::Packed(Format::S4, Layout::Helium, ..) => Self::S4,
            Data::Packed(Format::Nest84, Layout::Helium, ..) if drop == 4 => Self::Nest4,
            Data::Packed(Format::Nest84, Layout::Helium, _, low) if !low.is_empty() => {
                if drop == 0 {
                    Self::Nest8
                } else {
                    Self::NestRounded
                }
            }
            Data::PackedResiduals(Layout::Helium, _) => Self::Residuals,
            _ => return None,
        })
    }
}

/// What runs a layer: no other loop is then linked for it.
pub(crate) const fn choose_s8(codes: &Codes<'_>, outputs: &OutputsS8<'_>) -> RunS8 {
    /// A function for each kind, which names its loop and no other.
    macro_rules! of {
        ($($kind:ident),*) => {
            match Kind::of(codes) {
                $(Some(Kind::$kind) => {
                    fn run_plain(layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
                        if matches!(Kind::$kind, Kind::S8) && is_one_row(layer, &rows, y) {
                            return one_row(layer, rows.x, y);
                        }
                        let inner = Loop::of(Kind::$kind, layer.codes());
                        let (rows, y) = pairs(&inner, layer, rows, y);
                        if !y.is_empty() {
                            each(&inner, layer, rows, y, quantize_plain);
                        }
                    }
                    fn run_any(layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
                        each(&Loop::of(Kind::$kind, layer.codes()), layer, rows, y, quantize_slowly);
                    }
                    if outputs.is_plain { run_plain } else { run_any }
                })*
                None => dot_rows::choose_portable_s8(codes),
            }
        };
    }
    of!(S8, Rounded, S4, Nest4, Nest8, NestRounded, Residuals)
}

/// Rows that lie in one piece, after patches have been put together.
#[inline(always)]
fn each(inner: &Loop, layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8], quantize: Quantize) {
    let codes = layer.codes();
    rows.each((codes.depth(), codes.outputs()), y, copy_lines, |x, step, y| linear(inner, layer, x, step, y, quantize));
}

impl Loop {
    /// The loop of a kind that the weights are of.
    #[inline(always)]
    fn of(kind: Kind, codes: &Codes<'_>) -> Self {
        let drop = codes.dropped();
        let (words, low) = match codes.data() {
            Data::Packed(Format::Nest84, _, words, low) if !low.is_empty() => (words, low),
            Data::Packed(_, _, words, _) | Data::PackedResiduals(_, words) => (words, words),
            // Of no kind.
            Data::Bytes(_) | Data::Nibbles(_) | Data::Planes(..) | Data::Residuals(_) => {
                let none: &[u32] = &[];
                (none, none)
            }
        };
        let (leaf, words_a_block, excess, is_taken_off): (Leaf, _, _, _) = match kind {
            Kind::S8 => (leaves_dot::s8, 32, 0, false),
            Kind::Rounded => (leaves_dot::rounded, 32, 0, false),
            Kind::S4 => (leaves_dot::s4, 16, 8, true),
            Kind::Nest4 => (leaves_dot::nest4, 16, 0, false),
            Kind::Nest8 => (leaves_dot::nest8, 16, 8, false),
            Kind::NestRounded => (leaves_dot::nest_rounded, 16, 0, false),
            Kind::Residuals => (leaves_dot::residuals, 16, 8, true),
        };
        // What nibbles have added goes with the half step.
        let less = if words_a_block == 16 { 8 } else { 0 };
        let half = ((1u32 << drop) >> 1).wrapping_sub(less);
        Self {
            leaf,
            words: words.as_ptr(),
            low: low.as_ptr(),
            words_a_block,
            excess,
            is_taken_off,
            half,
            drop,
            has_two: matches!(kind, Kind::S8),
        }
    }

    /// `sums = start + products` for `groups` groups of eight outputs from `first` on; `total` is the sum of `x`.
    ///
    /// The last inputs, if they are no whole block, are a second run over all groups where weights are nibbles.
    ///
    /// # Safety
    /// `x` is a row of the weights' depth, the outputs are the weights' (or padding of their last group), `start` and
    /// `sums` have eight elements a group, and there is a group.
    #[inline(always)]
    unsafe fn run(&self, x: &[i8], total: i32, first: usize, groups: usize, start: *const i32, sums: *mut i32) {
        let (whole, tail) = x.as_chunks::<16>();
        let passed = whole.len() * self.words_a_block;
        let group = x.len().div_ceil(16) * self.words_a_block;
        let at = first / 8 * group;
        let (words, low) = (self.words.wrapping_add(at), self.low.wrapping_add(at));
        if self.words_a_block == 32 {
            let turn = Turn {
                blocks: whole.len() as u32,
                skip: (group * 2) as u32,
                end: sums.wrapping_add(groups * 8),
                low,
                half: self.half,
                mask: 0xFF << self.drop,
                first: 0,
                tail: tail.len() as u32,
            };
            // SAFETY: the row, which is not empty, the groups' words, which are as long as the shape asks for, and eight elements a
            // group in `start` and `sums` are there.
            return unsafe { (self.leaf)(x.as_ptr(), words, start, sums, &raw const turn) };
        }
        let turn = Turn {
            blocks: whole.len() as u32,
            skip: ((group - passed) * 4) as u32,
            end: sums.wrapping_add(groups * 8),
            low,
            half: self.half,
            mask: 0xFF << self.drop,
            first: if self.is_taken_off { total.wrapping_mul(-self.excess) } else { 0 },
            tail: 0,
        };
        if tail.is_empty() {
            // SAFETY: the blocks of `x`, not none, the groups' words in both planes, which are as long as the shape asks for, and
            // eight elements a group in `start` and `sums` are there.
            return unsafe { (self.leaf)(x.as_ptr(), words, start, sums, &raw const turn) };
        }
        let mut from = start;
        let mut first = turn.first;
        if !whole.is_empty() {
            // SAFETY: as above.
            unsafe { (self.leaf)(x.as_ptr(), words, start, sums, &raw const turn) };
            // The whole blocks have taken off all there is.
            (from, first) = (sums, 0);
        }
        let mut last = [0i8; 16];
        for (to, &from) in last.iter_mut().zip(tail) {
            *to = from;
        }
        let low = low.wrapping_add(passed);
        let turn = Turn { blocks: 1, skip: (passed * 4) as u32, low, first, ..turn };
        // SAFETY: as above, one block; the last group ends with it, and what is skipped then is not read.
        unsafe { (self.leaf)(last.as_ptr(), words.wrapping_add(passed), from, sums, &raw const turn) };
    }
}

/// The sum of a row.
#[inline(always)]
fn total(x: &[i8]) -> i32 {
    // SAFETY: the row.
    unsafe { leaves_dot::sum(x.as_ptr(), x.len()) }
}

/// From sums with their bias, from the given output on, and one number more, to outputs.
type Quantize = fn(&OutputsS8<'_>, usize, *const i32, i32, &mut [i8]);

/// Outputs at a time of two rows.
const CHUNK_OF_TWO: usize = CHUNK / 2;

/// Rows two by two, which share the weights, of a plain layer; gives what is left, a row or none.
#[inline(always)]
fn pairs<'x, 'y>(
    inner: &Loop,
    layer: &LayerS8<'_>,
    mut rows: Rows<'x, i8>,
    y: &'y mut [i8],
) -> (Rows<'x, i8>, &'y mut [i8]) {
    let (depth, outputs) = (layer.codes().depth(), layer.codes().outputs().max(1));
    let whole = (y.len() / outputs & !1) * outputs;
    if whole == 0 || !inner.has_two || layer.filter_offset() != 0 {
        return (rows, y);
    }
    // Where rows are put together, two must have room.
    if rows.gather.as_ref().is_some_and(|(_, scratch)| scratch.len() < 2 * depth) {
        return (rows, y);
    }
    let Some((y, last)) = y.split_at_mut_checked(whole) else { return (rows, &mut []) };
    some_pairs(inner, layer, &mut rows, y);
    rows.x = rows.x.get(whole / outputs * rows.step..).unwrap_or(&[]);
    (rows, last)
}

/// The same where every row has another one; `y` is whole pairs of them.
#[inline(never)]
fn some_pairs(inner: &Loop, layer: &LayerS8<'_>, rows: &mut Rows<'_, i8>, y: &mut [i8]) {
    let (codes, outputs) = (layer.codes(), layer.outputs());
    let (depth, all) = (codes.depth(), codes.outputs().max(1));
    let pairs = y.len() / all / 2;
    let (x, step) = (rows.x, rows.step);
    // Two patches, and where they go.
    let mut gather = None;
    let is_there = if let Some((lines, scratch)) = &mut rows.gather {
        let lines = Lines { patches: 2, from_patch: step, to_patch: depth, ..*lines };
        let all = Lines { patches: 2 * pairs, to_patch: 0, ..lines };
        gather = Some((lines, scratch.as_mut_ptr()));
        all.fit(x.len(), depth) && lines.fit(x.len(), scratch.len())
    } else {
        (2 * pairs).wrapping_sub(1).saturating_mul(step).saturating_add(depth) <= x.len()
    };
    if !is_there {
        return;
    }
    let leaf =
        if i32::from(outputs.min) >= outputs.offset { leaves_dot::outputs_two_above } else { leaves_dot::outputs_two };
    let (mut room, mut biases) = (ROOM, ROOM);
    let sums: *mut i32 = room.as_mut_ptr().cast();
    for (first, bias) in (0..).step_by(CHUNK_OF_TWO).zip(outputs.bias.chunks(CHUNK_OF_TWO)) {
        let n = bias.len();
        let mut start = bias.as_ptr();
        if !n.is_multiple_of(4) {
            // Biases that are no whole four are copied.
            for (to, from) in biases.iter_mut().zip(bias.iter().copied().chain([0; 3])) {
                *to = MaybeUninit::new(from);
            }
            start = biases.as_ptr().cast();
        }
        let mut from = x.as_ptr();
        let rows = if let Some((_, patches)) = gather {
            [patches.cast_const(), patches.cast_const().wrapping_add(depth)]
        } else {
            [from, from.wrapping_add(step)]
        };
        let (blocks, tail) = ((depth / 16) as u32, (depth % 16) as u32);
        let mut turn = TurnOfTwo { x: rows, blocks, tail, end: sums.wrapping_add(n.div_ceil(4) * 8) };
        let tables = Tables {
            mantissa: outputs.mantissa.as_ptr().wrapping_add(first),
            term: 0,
            shift: outputs.shift.as_ptr().wrapping_add(first),
            offset: outputs.offset,
            min: outputs.min.into(),
            max: outputs.max.into(),
        };
        let words = inner.words.wrapping_add(first * depth.div_ceil(16) * 4);
        let mut to = y.as_mut_ptr().wrapping_add(first);
        for _ in 0..pairs {
            if let Some((lines, patches)) = &gather {
                // SAFETY: the lines of all pairs are in `x`, and two patches have room, as was checked.
                unsafe { leaves_dot::copy_lines(from, *patches, lines) };
                from = from.wrapping_add(2 * step);
            }
            // SAFETY: both rows are in `x`, as was checked, and not empty; the words of `n` outputs, rounded up to four, are there, as
            // many biases, and room for two sums of each of at most `CHUNK_OF_TWO`.
            unsafe { leaves_dot::s8_two(words, start, sums, &raw const turn) };
            // SAFETY: the sums, both rows of outputs, which are in `y`, and the tables, which have an entry for each output, are
            // valid for `n`; the layer is plain, so shifts are within bounds.
            unsafe { leaf(sums, to, to.wrapping_add(all), n, &raw const tables) };
            if gather.is_none() {
                turn.x = turn.x.map(|row| row.wrapping_add(2 * step));
            }
            to = to.wrapping_add(2 * all);
        }
    }
}

/// Whether [`one_row`] does it.
#[inline(always)]
fn is_one_row(layer: &LayerS8<'_>, rows: &Rows<'_, i8>, y: &[i8]) -> bool {
    let codes = layer.codes();
    y.len() == codes.outputs() && rows.gather.is_none() && rows.x.len() >= codes.depth() && layer.filter_offset() == 0
}

/// One row through a plain layer of bytes: what [`linear`] does, with less around the loops.
#[inline(never)]
fn one_row(layer: &LayerS8<'_>, x: &[i8], y: &mut [i8]) {
    let (codes, outputs) = (layer.codes(), layer.outputs());
    let Data::Packed(_, _, words, _) = codes.data() else { return };
    let depth = codes.depth();
    let group = depth.div_ceil(16) * 32;
    let mut room = ROOM;
    let sums: *mut i32 = room.as_mut_ptr().cast();
    let mut turn = Turn {
        blocks: (depth / 16) as u32,
        skip: (group * 2) as u32,
        end: sums,
        low: core::ptr::null(),
        half: 0,
        mask: 0,
        first: 0,
        tail: (depth % 16) as u32,
    };
    let one = layer.one_multiplier().map(|(mantissa, shift)| {
        let right = u32::from(shift.unsigned_abs());
        let half = (2 * outputs.offset + 1).wrapping_shl(right.wrapping_sub(1));
        leaves_dot::One { mantissa, half, left: 24i32.wrapping_sub(right as i32) }
    });
    let (all, to) = (y.len(), y.as_mut_ptr());
    let mut first = 0;
    while first < all {
        let n = (all - first).min(CHUNK);
        let (whole, some) = (n & !7, n & 7);
        let words = words.as_ptr().wrapping_add(first / 8 * group);
        let bias = outputs.bias.as_ptr().wrapping_add(first);
        if whole > 0 {
            turn.end = sums.wrapping_add(whole);
            // SAFETY: the row, which is not empty, the groups' words, a bias and room for a sum of each of `whole` outputs.
            unsafe { leaves_dot::s8(x.as_ptr(), words, bias, sums, &raw const turn) };
        }
        if some > 0 {
            let last = outputs.bias.get(first + whole..).unwrap_or(&[]);
            let (words, sums) = (words.wrapping_add(whole / 8 * group), sums.wrapping_add(whole));
            turn.end = sums.wrapping_add(8);
            // Biases that are not there stand for nothing.
            let of = |o: usize| last.get(o).copied().unwrap_or(0);
            let last = [of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7)];
            // SAFETY: as above; the last group's words are there, padding too, and `CHUNK` is a multiple of 8.
            unsafe {
                match some {
                    1 | 2 => leaves_dot::s8_two_outputs(x.as_ptr(), words, last.as_ptr(), sums, depth),
                    3 | 4 => leaves_dot::s8_four(x.as_ptr(), words, last.as_ptr(), sums, depth),
                    _ => leaves_dot::s8(x.as_ptr(), words, last.as_ptr(), sums, &raw const turn),
                }
            }
        }
        let y = to.wrapping_add(first);
        if let Some(one) = &one {
            let leaf = if outputs.offset == -128 { leaves_dot::outputs_one_above } else { leaves_dot::outputs_one };
            // SAFETY: `n` sums and outputs.
            unsafe { leaf(sums, y, n, &raw const *one) };
        } else {
            let tables = Tables {
                mantissa: outputs.mantissa.as_ptr().wrapping_add(first),
                term: 0,
                shift: outputs.shift.as_ptr().wrapping_add(first),
                offset: outputs.offset,
                min: outputs.min.into(),
                max: outputs.max.into(),
            };
            // SAFETY: `n` sums and outputs, and the tables have an entry for each output; the layer is plain, so shifts are within
            // bounds.
            unsafe { leaves_dot::outputs(sums, y, n, &raw const tables) };
        }
        first += n;
    }
}

#[inline(never)]
fn linear(inner: &Loop, layer: &LayerS8<'_>, x: &[i8], step: usize, y: &mut [i8], quantize: Quantize) {
    let codes = layer.codes();
    let outputs = layer.outputs();
    let excess = if inner.is_taken_off { 0 } else { inner.excess };
    let factor = layer.filter_offset().wrapping_sub(excess);
    let mut room = ROOM;
    let sums: *mut i32 = room.as_mut_ptr().cast();
    for (x, y) in rows_of(x, step, codes.depth()).zip(y.chunks_exact_mut(codes.outputs().max(1))) {
        let sum = if inner.is_taken_off || factor != 0 { total(x) } else { 0 };
        // What is the same for all outputs of the row.
        let term = sum.wrapping_mul(factor);
        let mut first = 0;
        for y in y.chunks_mut(CHUNK) {
            let groups = y.len() / 8;
            let bias = outputs.bias.as_ptr().wrapping_add(first);
            if y.len().is_multiple_of(8) {
                // SAFETY: `x` is a row, the outputs of `y` are the layer's, and there is a bias for each of them.
                unsafe { inner.run(x, sum, first, groups, bias, sums) };
            } else {
                // SAFETY: as above.
                let bias = unsafe { core::slice::from_raw_parts(bias, y.len()) };
                with_term(inner, x, sum, first, bias, 0, sums);
            }
            quantize(outputs, first, sums, term, y);
            first += CHUNK;
        }
    }
}

/// Outputs from `first` on, of sums with their bias and without `term`, of a plain layer.
fn quantize_plain(outputs: &OutputsS8<'_>, first: usize, sums: *const i32, term: i32, y: &mut [i8]) {
    let tables = Tables {
        mantissa: outputs.mantissa.as_ptr().wrapping_add(first),
        term,
        shift: outputs.shift.as_ptr().wrapping_add(first),
        offset: outputs.offset,
        min: outputs.min.into(),
        max: outputs.max.into(),
    };
    // SAFETY: sums, outputs and tables, which have an entry for each output, are valid for all of `y`; the layer is plain, so
    // shifts are within bounds.
    unsafe { leaves_dot::outputs(sums, y.as_mut_ptr(), y.len(), &raw const tables) };
}

/// With multipliers and roundings that the fast outputs do not know.
fn quantize_slowly(outputs: &OutputsS8<'_>, first: usize, sums: *const i32, term: i32, y: &mut [i8]) {
    // SAFETY: the loop has written a sum for each output.
    let sums = unsafe { core::slice::from_raw_parts(sums, y.len()) };
    let tables = outputs.mantissa.iter().zip(outputs.shift).skip(first);
    for ((&sum, y), (&mantissa, &shift)) in sums.iter().zip(y).zip(tables) {
        *y = outputs.quantize(sum.wrapping_add(term), mantissa, shift);
    }
}

/// Starts from the biases and one number more; the last group may have fewer than eight outputs.
#[inline(never)]
fn with_term(inner: &Loop, x: &[i8], sum: i32, first: usize, bias: &[i32], term: i32, sums: *mut i32) {
    let mut start = ROOM;
    let groups = bias.len().div_ceil(8).min(CHUNK / 8);
    let all = start.get_mut(..groups * 8).unwrap_or_default();
    for (start, &bias) in all.iter_mut().zip(bias) {
        *start = MaybeUninit::new(bias.wrapping_add(term));
    }
    if let Some(padding) = all.get_mut(bias.len()..) {
        padding.fill(MaybeUninit::new(0));
    }
    let from: *const i32 = start.as_ptr().cast();
    if groups > 0 {
        // SAFETY: `x` is a row of the weights' depth, the outputs are those of `bias` and the padding of their last group, for
        // which `start` and `sums` have room.
        unsafe { inner.run(x, sum, first, groups, from, sums) };
    }
}

#[inline(never)]
fn add_sums(codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
    let Some(kind) = Kind::of(codes) else { return portable_sums(codes, x, sums) };
    let inner = Loop::of(kind, codes);
    let mut room = ROOM;
    let from: *mut i32 = room.as_mut_ptr().cast();
    for (x, sums) in x.chunks_exact(codes.depth().max(1)).zip(sums.chunks_exact_mut(codes.outputs().max(1))) {
        let sum = if inner.excess != 0 { total(x) } else { 0 };
        let term = if inner.is_taken_off { 0 } else { sum.wrapping_mul(-inner.excess) };
        let mut first = 0;
        for sums in sums.chunks_mut(CHUNK) {
            with_term(&inner, x, sum, first, sums, term, from);
            // SAFETY: the loop has written a sum for each output.
            let from = unsafe { core::slice::from_raw_parts(from, sums.len()) };
            for (sum, &from) in sums.iter_mut().zip(from) {
                *sum = from;
            }
            first += CHUNK;
        }
    }
}

/// [`DotRows::folded_s8`]: the loops start from the biases, and leave their sums in `y`.
#[inline(never)]
fn folded(of: &Folded<'_>, x: &[i8], y: &mut [i32]) {
    let Folded { codes, bias, multiplier, .. } = of;
    let kind = Kind::of(codes).filter(|_| {
        x.len() == codes.depth() && y.len() == bias.len() && y.len() == codes.outputs() && multiplier.mantissa > 0
    });
    let Some(kind) = kind else { return portable_folded(of, x, y) };
    let inner = Loop::of(kind, codes);
    let sum = if inner.excess != 0 { total(x) } else { 0 };
    let term = if inner.is_taken_off { 0 } else { sum.wrapping_mul(-inner.excess) };
    let whole = if term == 0 { y.len() / 8 } else { 0 };
    if whole > 0 {
        // SAFETY: `x` is a row, so many groups of outputs are the layer's, and there is a bias and room for each of them.
        unsafe { inner.run(x, sum, 0, whole, bias.as_ptr(), y.as_mut_ptr()) };
    }
    let (mut first, mut room) = (8 * whole, ROOM);
    let from: *mut i32 = room.as_mut_ptr().cast();
    while let (Some(some), Some(bias)) = (y.get_mut(first..), bias.get(first..))
        && !some.is_empty()
    {
        let n = some.len().min(CHUNK);
        with_term(&inner, x, sum, first, bias.get(..n).unwrap_or(&[]), term, from);
        // SAFETY: the loop has written a sum for each output.
        let from = unsafe { core::slice::from_raw_parts(from, n) };
        for (y, &from) in some.iter_mut().zip(from) {
            *y = from;
        }
        first += n;
    }
    Helium::token().requantize_s32(y, *multiplier);
}

#[inline(never)]
fn portable_folded(of: &Folded<'_>, x: &[i8], y: &mut [i32]) {
    dot_rows::folded_s8_by(add_sums, of, x, y);
}

#[inline(never)]
fn portable_sums(codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
    dot_rows::add_sums_s8(codes, x, sums);
}
