//! Products with stored weights in the layout of this backend: activations widened once a row, then the loops of
//! `leaves_dot`. Counts are in `backend/dsp.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use core::mem::MaybeUninit;

use super::Dsp;
use super::leaves_dot::{self, BLOCK, Scale, Tables, Turn, TurnOfOne, TurnOfTwo};
use crate::backend::dot_rows::{
    self, Codes, Data, DotRows, Folded, Format, LayerS8, Layout, Lines, OutputsS8, Rows, RunS8, row_term, rows_of,
};

impl DotRows for Dsp {
    #[inline(always)]
    fn linear_s8(self, layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
        if cfg!(scrimp_picked = "dsp") {
            layer.run_chosen(rows, y);
        } else {
            choose_s8(layer.codes(), layer.outputs())(layer, rows, y);
        }
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

type Leaf = unsafe extern "C" fn(*const u32, *const u32, usize, *mut i32, *const Turn);

/// A loop over two rows.
type LeafOfTwo = unsafe extern "C" fn(*const u32, *const u32, usize, *mut i32, *const TurnOfTwo);

/// The loop for weights of a format at a width.
#[derive(Clone, Copy)]
struct Loop {
    leaf: Leaf,
    /// For two rows at a time, if there is one: for the first block, and on top of sums.
    of_two: Option<(LeafOfTwo, LeafOfTwo)>,
    words: *const u32,
    /// Lower plane, or the same.
    low: *const u32,
    /// Words of a group for two inputs: 2 of bytes, 1 of nibbles.
    words_a_pair: usize,
    /// Words of a group.
    group: usize,
    /// What times the sum of activations is taken off.
    less: i32,
    drop: u32,
}

/// The loops there are.
#[derive(Clone, Copy)]
enum Kind {
    S8,
    Raw8,
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
            Data::Packed(Format::S8, Layout::Dsp, ..) => Self::S8,
            Data::Packed(Format::Raw8, Layout::Dsp, ..) if drop == 0 => Self::Raw8,
            Data::Packed(Format::Raw8, Layout::Dsp, ..) => Self::Rounded,
            Data::Packed(Format::S4, Layout::Dsp, ..) => Self::S4,
            Data::Packed(Format::Nest84, Layout::Dsp, ..) if drop == 4 => Self::Nest4,
            Data::Packed(Format::Nest84, Layout::Dsp, _, low) if !low.is_empty() => {
                if drop == 0 {
                    Self::Nest8
                } else {
                    Self::NestRounded
                }
            }
            Data::PackedResiduals(Layout::Dsp, _) => Self::Residuals,
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
                    fn run_fast(layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
                        plain(Kind::$kind, layer, rows, y, fast);
                    }
                    fn run_deep(layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
                        plain(Kind::$kind, layer, rows, y, deep);
                    }
                    fn run_slow(layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
                        each(&Loop::of(Kind::$kind, layer.codes()), layer, rows, y, slow);
                    }
                    if !outputs.is_plain {
                        run_slow
                    } else if codes.depth() <= BLOCK {
                        run_fast
                    } else {
                        run_deep
                    }
                })*
                None => dot_rows::choose_portable_s8(codes),
            }
        };
    }
    of!(S8, Raw8, Rounded, S4, Nest4, Nest8, NestRounded, Residuals)
}

/// What runs rows that lie in one piece.
type Run = fn(&Loop, &LayerS8<'_>, &[i8], usize, &mut [i8]);

/// Rows that lie in one piece, after patches have been put together.
#[inline(always)]
fn each(
    inner: &Loop,
    layer: &LayerS8<'_>,
    rows: Rows<'_, i8>,
    y: &mut [i8],
    run: impl Fn(&Loop, &LayerS8<'_>, &[i8], usize, &mut [i8]),
) {
    let codes = layer.codes();
    rows.each((codes.depth(), codes.outputs()), y, copy_lines, |x, step, y| run(inner, layer, x, step, y));
}

/// A plain layer: two rows at a time where there is a loop for them, patches without a copy where their lines allow it; the rest
/// by `one`.
#[inline(always)]
fn plain(kind: Kind, layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8], one: Run) {
    let codes = layer.codes();
    if matches!(kind, Kind::S8)
        && rows.gather.is_none()
        && y.len() == codes.outputs()
        && rows.x.len() >= codes.depth()
        && codes.depth() <= BLOCK
        && layer.filter_offset() == 0
    {
        return one_row(layer, rows.x, y);
    }
    let inner = Loop::of(kind, codes);
    if inner.of_two.is_none() {
        return each(&inner, layer, rows, y, one);
    }
    let (rows, y) = pairs(&inner, layer, rows, y);
    each(&inner, layer, rows, y, |inner, layer, x, step, y| {
        let (rows, y) = pairs(inner, layer, Rows::of(x, step), y);
        if !y.is_empty() {
            one(inner, layer, rows.x, step, y);
        }
    });
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
        let (leaf, words_a_pair, less): (Leaf, _, _) = match kind {
            Kind::S8 => (leaves_dot::s8, 2, 256),
            Kind::Raw8 => (leaves_dot::raw8, 2, 256),
            Kind::Rounded => (leaves_dot::rounded, 2, 256),
            Kind::S4 => (leaves_dot::s4, 1, 16),
            Kind::Nest4 => (leaves_dot::nest4, 1, 256),
            Kind::Nest8 => (leaves_dot::nest8, 1, 16),
            Kind::NestRounded => (leaves_dot::nest_rounded, 1, 256),
            Kind::Residuals => (leaves_dot::residuals, 1, 16),
        };
        let of_two: Option<(LeafOfTwo, LeafOfTwo)> = match kind {
            Kind::S8 => Some((leaves_dot::s8_two, leaves_dot::add_s8_two)),
            _ => None,
        };
        let group = codes.depth().div_ceil(16) * 8 * words_a_pair;
        Self { leaf, of_two, words: words.as_ptr(), low: low.as_ptr(), words_a_pair, group, less, drop }
    }

    /// The doubled sums of the outputs from `first`, a multiple of 4, on, for the inputs of one block from `start` on.
    ///
    /// # Safety
    /// The outputs and inputs are the weights', `n` is not 0, and `sums` has room for as many, rounded up to four.
    #[inline(always)]
    unsafe fn run(&self, block: &Block<'_>, start: usize, first: usize, n: usize, sums: *mut i32) {
        let at = first / 4 * self.group + start / 2 * self.words_a_pair;
        let bytes = block.pairs * self.words_a_pair * 4;
        let in_each_byte = |byte: u32| byte.wrapping_mul(0x0101_0101);
        let turn = Turn {
            bytes: bytes as u32,
            skip: (self.group * 4).wrapping_sub(bytes) as u32,
            less: block.sum.wrapping_mul(self.less),
            low: self.low.wrapping_add(at),
            // What nibbles have added goes with the half step.
            half: in_each_byte(
                ((1u32 << self.drop) >> 1).wrapping_sub(if self.words_a_pair == 1 { 8 } else { 0 }) & 0xFF,
            ),
            mask: in_each_byte((0xFF << self.drop) & 0xFF),
        };
        // SAFETY: the groups lie within the planes, which are as long as the shape asks for; the block's pairs and the sums are
        // there, and none is empty.
        unsafe {
            (self.leaf)(self.words.wrapping_add(at), block.pointer(), n.div_ceil(4), sums, &raw const turn);
        }
    }
}

/// Room for the activations of a block.
///
/// Stands alone, as LLVM clears a structure of which one field is known.
type Room = MaybeUninit<[u32; BLOCK / 2]>;

/// The same for two rows.
type RoomOfTwo = MaybeUninit<[u32; BLOCK]>;

/// Sums of two rows.
type SumsOfTwo = MaybeUninit<[i32; 2 * CHUNK]>;

/// Room for sums; those of the outputs there are get written.
type Sums<const N: usize> = MaybeUninit<[i32; N]>;

/// Outputs at a time: few, so that the stack stays small.
const CHUNK: usize = 32;

/// Activations of at most [`BLOCK`] inputs as pairs of halfwords, zeros behind the last one.
struct Block<'a> {
    wide: &'a mut Room,
    pairs: usize,
    sum: i32,
}

impl<'a> Block<'a> {
    #[inline(always)]
    const fn new(wide: &'a mut Room) -> Self {
        Self { wide, pairs: 0, sum: 0 }
    }

    #[inline(always)]
    const fn pointer(&self) -> *const u32 {
        self.wide.as_ptr().cast()
    }

    /// Widens the first elements of `x`.
    #[inline(always)]
    fn fill(&mut self, x: &[i8]) {
        let x = x.get(..BLOCK).unwrap_or(x);
        let (blocks, tail) = x.as_chunks::<16>();
        let wide: *mut u32 = self.wide.as_mut_ptr().cast();
        self.pairs = blocks.len() * 8;
        self.sum = 0;
        if !blocks.is_empty() {
            // SAFETY: that many blocks of `x`, not none, and there are at most `BLOCK` elements.
            self.sum = unsafe { leaves_dot::widen(blocks.as_ptr().cast(), blocks.len(), wide) };
        }
        if !tail.is_empty() {
            self.fill_tail(tail, wide.wrapping_add(self.pairs));
        }
    }

    /// Adds a block of fewer than 16 elements.
    #[inline(never)]
    fn fill_tail(&mut self, tail: &[i8], wide: *mut u32) {
        let mut last = [0i8; 16];
        for (to, &from) in last.iter_mut().zip(tail) {
            *to = from;
        }
        // SAFETY: one block; `BLOCK` is a multiple of 16, so that there is room for it.
        let sum = unsafe { leaves_dot::widen(last.as_ptr(), 1, wide) };
        self.sum = self.sum.wrapping_add(sum);
        self.pairs += 8;
    }
}

/// Rows two by two, which share the weights, of plain outputs; gives what is left.
#[inline(always)]
fn pairs<'x, 'y>(
    inner: &Loop,
    layer: &LayerS8<'_>,
    mut rows: Rows<'x, i8>,
    y: &'y mut [i8],
) -> (Rows<'x, i8>, &'y mut [i8]) {
    let (depth, outputs) = (layer.codes().depth(), layer.codes().outputs().max(1));
    let patches = y.len() / outputs & !1;
    let lines = match &rows.gather {
        // Patches are widened line by line: no four inputs may reach over an end, and no block.
        Some((lines, _)) if !lines.len.is_multiple_of(4) || lines.len != lines.to_step || depth > BLOCK => {
            return (rows, y);
        }
        Some((lines, _)) => *lines,
        None => Lines { from_step: 0, to_step: 0, len: depth, n: 1, patches: 1, from_patch: 0, to_patch: 0 },
    };
    let lines = Lines { patches, from_patch: rows.step, to_patch: 0, ..lines };
    if layer.filter_offset() != 0 || !lines.fit(rows.x.len(), depth) {
        return (rows, y);
    }
    let (Some(leaves), Some((y, last))) = (inner.of_two, y.split_at_mut_checked(patches * outputs)) else {
        return (rows, &mut []);
    };
    some_pairs(inner, leaves, layer, &lines, rows.x, y);
    rows.x = rows.x.get(patches.saturating_mul(rows.step)..).unwrap_or(&[]);
    (rows, last)
}

/// The same where every row has another one: all of their lines are in `x`, and `y` is whole pairs of rows.
#[inline(never)]
fn some_pairs(
    inner: &Loop,
    leaves: (LeafOfTwo, LeafOfTwo),
    layer: &LayerS8<'_>,
    lines: &Lines,
    x: &[i8],
    y: &mut [i8],
) {
    let (depth, all, outputs) = (layer.codes().depth(), layer.codes().outputs().max(1), layer.outputs());
    let outputs_leaf =
        if i32::from(outputs.min) >= outputs.offset { leaves_dot::outputs_two_above } else { leaves_dot::outputs_two };
    let (mut room, mut sums) = (RoomOfTwo::uninit(), SumsOfTwo::uninit());
    let (wide, sums) = (room.as_mut_ptr().cast(), sums.as_mut_ptr().cast());
    let mut from = x.as_ptr();
    for y in y.chunks_exact_mut((2 * all).max(1)) {
        let mut first = 0;
        let mut less = [0; 2];
        while first < all {
            let n = (all - first).min(CHUNK);
            let mut start = 0;
            let mut leaf = leaves.0;
            while start < depth {
                let inputs = (depth - start).min(BLOCK);
                // Deeper rows are widened anew for each few outputs, which is little beside their products.
                if first == 0 || depth > BLOCK {
                    let x0 = from.wrapping_add(start);
                    let block = Lines { len: inputs, ..*lines };
                    let block = if depth > BLOCK { &raw const block } else { &raw const *lines };
                    // SAFETY: all lines of both rows are there, as the caller says, or the part of one, at most `BLOCK` inputs.
                    let both = unsafe { leaves_dot::widen_two(x0, x0.wrapping_add(lines.from_patch), block, wide) };
                    less = [(both as i32).wrapping_mul(inner.less), ((both >> 32) as i32).wrapping_mul(inner.less)];
                }
                let fours = inputs.div_ceil(4);
                let turn = TurnOfTwo { fours: fours as u32, skip: (inner.group - fours * 4) as u32 * 4, less };
                let at = first / 4 * inner.group + start / 2 * inner.words_a_pair;
                // SAFETY: the outputs are the weights', `n` of them and not none; the block's pairs are there, and the sums have
                // room for `CHUNK` outputs of two rows.
                unsafe { leaf(inner.words.wrapping_add(at), wide, n.div_ceil(4), sums, &raw const turn) };
                start += BLOCK;
                leaf = leaves.1;
            }
            let tables = Tables {
                bias: outputs.bias.as_ptr().wrapping_add(first),
                mantissa: outputs.mantissa.as_ptr().wrapping_add(first),
                shift: outputs.shift.as_ptr().wrapping_add(first),
                twice_offset: 2 * outputs.offset + 1,
            };
            let to = y.as_mut_ptr().wrapping_add(first);
            // SAFETY: the sums of both rows, their outputs and the tables, which have an entry for each output, are valid for
            // `n`; `is_plain` says that shifts and sums are within bounds.
            unsafe { outputs_leaf(sums, to, to.wrapping_add(all), n, &raw const tables) };
            first += n;
        }
        clamp(outputs, y);
        from = from.wrapping_add(2 * lines.from_patch);
    }
}

/// What of the activation's range is left to do.
#[inline(always)]
fn clamp(outputs: &OutputsS8<'_>, y: &mut [i8]) {
    if outputs.min > i8::MIN || outputs.max < i8::MAX {
        for y in y {
            *y = (*y).min(outputs.max).max(outputs.min);
        }
    }
}

/// One row of at most [`BLOCK`] inputs through a plain layer of bytes: what [`fast`] does, with less around the loops.
#[inline(never)]
fn one_row(layer: &LayerS8<'_>, x: &[i8], y: &mut [i8]) {
    let (codes, outputs) = (layer.codes(), layer.outputs());
    let Data::Packed(_, _, words, _) = codes.data() else { return };
    let depth = codes.depth();
    let (mut room, mut sums) = (Room::uninit(), Sums::<CHUNK>::uninit());
    let (wide, sums): (*mut u32, *mut i32) = (room.as_mut_ptr().cast(), sums.as_mut_ptr().cast());
    // SAFETY: a row, which is not empty, of at most `BLOCK` elements, for which there is room.
    let sum = unsafe { leaves_dot::widen_row(x.as_ptr(), depth, wide) };
    let fours = depth.div_ceil(4);
    let group = depth.div_ceil(16) * 16;
    let turn = TurnOfOne { fours: fours as u32, skip: (group - 4 * fours) as u32 * 4, less: sum.wrapping_mul(256) };
    let one = layer.one_multiplier().filter(|&(mantissa, _)| mantissa > 0).map(|(mantissa, shift)| {
        let right = u32::from(shift.unsigned_abs());
        let half = (2 * outputs.offset + 1).wrapping_shl(right.wrapping_sub(1));
        leaves_dot::One { mantissa, half, right }
    });
    let (all, mut first) = (y.len(), 0);
    while first < all {
        let n = (all - first).min(CHUNK);
        let at = words.as_ptr().wrapping_add(first / 4 * group);
        // The last one or two outputs of a layer by a loop that leaves out the others of their group.
        let pair = matches!(n % 4, 1 | 2);
        let groups = if pair { n / 4 } else { n.div_ceil(4) };
        if groups > 0 {
            // SAFETY: so many groups of the layer's outputs, and room for their sums; all inputs are widened.
            unsafe { leaves_dot::s8_one(at, wide, groups, sums, &raw const turn) };
        }
        if pair {
            let (at, sums) = (at.wrapping_add(groups * group), sums.wrapping_add(4 * groups));
            // SAFETY: as above, one group.
            unsafe { leaves_dot::s8_one_pair(at, wide, 1, sums, &raw const turn) };
        }
        let bias = outputs.bias.as_ptr().wrapping_add(first);
        let to = y.as_mut_ptr().wrapping_add(first);
        if let Some(one) = &one {
            // SAFETY: sums, biases and outputs are valid for `n`; the layer is plain.
            unsafe { leaves_dot::outputs_one(sums, bias, to, n, &raw const *one) };
        } else {
            plain_outputs(outputs, first, sums, 0, y.get_mut(first..first + n).unwrap_or(&mut []));
        }
        first += n;
    }
}

/// Layers of one block of inputs, and plain outputs.
#[inline(never)]
fn fast(inner: &Loop, layer: &LayerS8<'_>, x: &[i8], step: usize, y: &mut [i8]) {
    let codes = layer.codes();
    let (depth, outputs) = (codes.depth().max(1), codes.outputs().max(1));
    let (mut room, mut sums) = (Room::uninit(), Sums::<CHUNK>::uninit());
    let sums = sums.as_mut_ptr().cast();
    let mut block = Block::new(&mut room);
    for (x, y) in rows_of(x, step, depth).zip(y.chunks_exact_mut(outputs)) {
        block.fill(x);
        let term = block.sum.wrapping_mul(layer.filter_offset());
        let mut first = 0;
        for y in y.chunks_mut(CHUNK) {
            // SAFETY: the outputs of `y` are the layer's, at most `CHUNK`, and all inputs are one block.
            unsafe { inner.run(&block, 0, first, y.len(), sums) };
            plain_outputs(layer.outputs(), first, sums, term, y);
            first += CHUNK;
        }
    }
}

/// Deeper layers with plain outputs: the blocks are widened anew for each few outputs, which is little beside their products.
#[inline(never)]
fn deep(inner: &Loop, layer: &LayerS8<'_>, x: &[i8], step: usize, y: &mut [i8]) {
    let codes = layer.codes();
    let mut sums = Sums::<CHUNK>::uninit();
    let sums: *mut i32 = sums.as_mut_ptr().cast();
    for (x, y) in rows_of(x, step, codes.depth()).zip(y.chunks_exact_mut(codes.outputs().max(1))) {
        let term = row_term(x, layer.filter_offset());
        let mut first = 0;
        for y in y.chunks_mut(CHUNK) {
            // SAFETY: room for `CHUNK` sums, and integers may have any value.
            let all = unsafe { core::slice::from_raw_parts_mut(sums, y.len()) };
            all.fill(0);
            add_blocks(inner, x, first, all, 0);
            plain_outputs(layer.outputs(), first, sums, term, y);
            first += CHUNK;
        }
    }
}

/// Outputs from `first` on, of doubled sums that are plain.
#[inline(always)]
fn plain_outputs(outputs: &OutputsS8<'_>, first: usize, sums: *mut i32, term: i32, y: &mut [i8]) {
    let whole = y.len() / 4;
    let n = y.len();
    if term != 0 {
        // SAFETY: the loop has written the sums of all `n` outputs.
        let sums = unsafe { core::slice::from_raw_parts_mut(sums, n) };
        sums.iter_mut().for_each(|sum| *sum = sum.wrapping_add(term.wrapping_mul(2)));
    }
    let tables = Tables {
        bias: outputs.bias.as_ptr().wrapping_add(first),
        mantissa: outputs.mantissa.as_ptr().wrapping_add(first),
        shift: outputs.shift.as_ptr().wrapping_add(first),
        twice_offset: 2 * outputs.offset + 1,
    };
    if whole > 0 {
        // SAFETY: sums, outputs and tables, which have an entry for each output, are valid for `whole` fours, not none;
        // `is_plain` says that shifts and sums are within bounds.
        unsafe { leaves_dot::outputs(sums, y.as_mut_ptr(), whole, &raw const tables) };
    }
    if !n.is_multiple_of(4) {
        // SAFETY: the loop has written the sums of all `n` outputs.
        let sums = unsafe { core::slice::from_raw_parts(sums, n) };
        last_outputs(outputs, first, sums, y);
    }
    clamp(outputs, y);
}

/// Those behind the last whole four.
#[inline(never)]
fn last_outputs(outputs: &OutputsS8<'_>, first: usize, sums: &[i32], y: &mut [i8]) {
    for ((o, &sum), y) in (first..).zip(sums).zip(y).skip(sums.len() & !3) {
        *y = outputs.of(o, sum >> 1);
    }
}

/// Multipliers and roundings that the fast outputs do not know, of any depth.
#[inline(never)]
fn slow(inner: &Loop, layer: &LayerS8<'_>, x: &[i8], step: usize, y: &mut [i8]) {
    let codes = layer.codes();
    for (x, y) in rows_of(x, step, codes.depth()).zip(y.chunks_exact_mut(codes.outputs().max(1))) {
        let term = row_term(x, layer.filter_offset());
        let mut first = 0;
        for y in y.chunks_mut(CHUNK) {
            let mut sums = [0; CHUNK];
            let sums = sums.get_mut(..y.len()).unwrap_or(&mut []);
            add_blocks(inner, x, first, sums, 1);
            for ((o, &mut sum), y) in (first..).zip(sums).zip(y) {
                *y = layer.outputs().of(o, sum.wrapping_add(term));
            }
            first += CHUNK;
        }
    }
}

/// Adds the doubled products of at most [`CHUNK`] outputs from `first` on, shifted right by `halve`, block by block.
#[inline(always)]
fn add_blocks(inner: &Loop, x: &[i8], first: usize, all: &mut [i32], halve: u32) {
    if all.is_empty() {
        return;
    }
    let (mut room, mut sums) = (Room::uninit(), Sums::<CHUNK>::uninit());
    let sums: *mut i32 = sums.as_mut_ptr().cast();
    let mut block = Block::new(&mut room);
    let mut start = 0;
    for x in x.chunks(BLOCK) {
        block.fill(x);
        // SAFETY: the outputs are the weights', 1 to `CHUNK`, and so are the inputs.
        unsafe { inner.run(&block, start, first, all.len(), sums) };
        // SAFETY: the loop has written the sums of all of them.
        let sums = unsafe { core::slice::from_raw_parts(sums, all.len()) };
        for (all, &sum) in all.iter_mut().zip(sums) {
            *all = all.wrapping_add(sum >> halve);
        }
        start += BLOCK;
    }
}

#[inline(never)]
fn add_sums(codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
    let Some(kind) = Kind::of(codes) else { return portable_sums(codes, x, sums) };
    let inner = Loop::of(kind, codes);
    for (x, sums) in x.chunks_exact(codes.depth().max(1)).zip(sums.chunks_exact_mut(codes.outputs().max(1))) {
        let mut first = 0;
        for sums in sums.chunks_mut(CHUNK) {
            add_blocks(&inner, x, first, sums, 1);
            first += CHUNK;
        }
    }
}

/// [`DotRows::folded_s8`], by loops if no sum is too large for them.
#[inline(never)]
fn folded(of: &Folded<'_>, x: &[i8], y: &mut [i32]) {
    let Folded { codes, bias, multiplier, is_plain } = of;
    let Some(kind) = Kind::of(codes).filter(|_| *is_plain && x.len() == codes.depth() && y.len() == bias.len()) else {
        return portable_folded(of, x, y);
    };
    let inner = Loop::of(kind, codes);
    let right = multiplier.shift.min(0).unsigned_abs();
    let scale = Scale {
        mantissa: multiplier.mantissa,
        left: multiplier.shift.max(0).cast_unsigned(),
        half: (1 << right) >> 1,
        right,
        nudge: if right > 0 { -1 } else { 0 },
    };
    let is_one = x.len() <= BLOCK;
    let (mut room, mut sums) = (Room::uninit(), Sums::<CHUNK>::uninit());
    let sums: *mut i32 = sums.as_mut_ptr().cast();
    let mut block = Block::new(&mut room);
    if is_one {
        block.fill(x);
    }
    for ((first, y), bias) in (0..).step_by(CHUNK).zip(y.chunks_mut(CHUNK)).zip(bias.chunks(CHUNK)) {
        if is_one {
            // SAFETY: the outputs of `y` are the layer's, at most `CHUNK`, and all inputs are one block.
            unsafe { inner.run(&block, 0, first, y.len(), sums) };
        } else {
            // SAFETY: room for `CHUNK` sums, and integers may have any value.
            let all = unsafe { core::slice::from_raw_parts_mut(sums, y.len()) };
            all.fill(0);
            add_blocks(&inner, x, first, all, 0);
        }
        // SAFETY: sums of as many outputs as there are in `y`, and their biases; the product is plain.
        unsafe { leaves_dot::scaled(sums, bias.as_ptr(), y.as_mut_ptr(), y.len(), &raw const scale) };
    }
}

#[inline(never)]
fn portable_folded(of: &Folded<'_>, x: &[i8], y: &mut [i32]) {
    dot_rows::folded_s8_by(add_sums, of, x, y);
}

#[inline(never)]
fn portable_sums(codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
    dot_rows::add_sums_s8(codes, x, sums);
}
