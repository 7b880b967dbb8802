//! Products with stored weights in the layout of this backend: the loops of `leaves_dot`. Counts are in
//! `backend/helium.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use core::mem::MaybeUninit;

use super::Helium;
use super::leaves_dot::{self, Tables, Turn};
use crate::backend::Scalar;
use crate::backend::dot_rows::{Codes, Data, DotRows, Format, LayerS8, Layout};

/// Outputs at a time.
const CHUNK: usize = 128;

impl DotRows for Helium {
    #[inline(always)]
    fn linear_s8(self, layer: &LayerS8<'_>, x: &[i8], y: &mut [i8]) {
        match Loop::of(&layer.codes) {
            Some(inner) => linear(inner, layer, x, y),
            None => portable(layer, x, y),
        }
    }

    #[inline(always)]
    fn add_sums_s8(self, codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
        match Loop::of(codes) {
            Some(inner) => add_sums(inner, codes, x, sums),
            None => portable_sums(codes, x, sums),
        }
    }
}

#[inline(never)]
fn portable(layer: &LayerS8<'_>, x: &[i8], y: &mut [i8]) {
    Scalar.linear_s8(layer, x, y);
}

#[inline(never)]
fn portable_sums(codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
    Scalar.add_sums_s8(codes, x, sums);
}

type Leaf = unsafe extern "C" fn(*const i8, *const u32, *const i32, *mut i32, *const Turn);

/// The loop for weights of a format at a width.
#[derive(Clone, Copy)]
struct Loop<'a> {
    leaf: Leaf,
    words: &'a [u32],
    /// Lower plane, or the same.
    low: &'a [u32],
    /// Words of a block of 16 inputs of a group: 32 of bytes, 16 of nibbles.
    words_a_block: usize,
    /// What times the sum of activations each sum is too large by.
    excess: i32,
    /// Whether the loop takes it off itself.
    is_taken_off: bool,
    half: u32,
    mask: u32,
}

impl<'a> Loop<'a> {
    #[inline(always)]
    fn of(codes: &Codes<'a>) -> Option<Self> {
        let drop = codes.drop;
        let (leaf, words, low, words_a_block, excess, is_taken_off): (Leaf, _, _, _, _, _) = match codes.data {
            Data::Packed(Format::S8, Layout::Helium, words, _) => (leaves_dot::s8, words, words, 32, 0, false),
            Data::Packed(Format::Raw8, Layout::Helium, words, _) if drop == 0 => {
                (leaves_dot::s8, words, words, 32, 0, false)
            }
            Data::Packed(Format::Raw8, Layout::Helium, words, _) => (leaves_dot::rounded, words, words, 32, 0, false),
            Data::Packed(Format::S4, Layout::Helium, words, _) => (leaves_dot::s4, words, words, 16, 8, true),
            Data::Packed(Format::Nest84, Layout::Helium, words, _) if drop == 4 => {
                (leaves_dot::nest4, words, words, 16, 0, false)
            }
            Data::Packed(Format::Nest84, Layout::Helium, words, low) if drop == 0 => {
                (leaves_dot::nest8, words, low, 16, 8, false)
            }
            Data::PackedResiduals(Layout::Helium, low) => (leaves_dot::residuals, low, low, 16, 8, true),
            _ => return None,
        };
        Some(Self { leaf, words, low, words_a_block, excess, is_taken_off, half: (1 << drop) >> 1, mask: 0xFF << drop })
    }

    /// `sums = start + products` for outputs from `first` on, as many groups of eight as `start` has; `total` is the sum of `x`.
    ///
    /// The last inputs, if they are no whole block, are a second run over all groups.
    #[inline(always)]
    fn run(&self, x: &[i8], total: i32, first: usize, start: &[i32], sums: &mut [i32; CHUNK]) {
        let (whole, tail) = x.as_chunks::<16>();
        let blocks = x.len().div_ceil(16);
        let at = first / 8 * blocks * self.words_a_block;
        let mut from = start.as_ptr();
        let groups = (start.len() / 8).min(CHUNK / 8);
        let (Some(words), Some(low)) = (self.words.get(at..), self.low.get(at..)) else { return };
        let all = groups * blocks * self.words_a_block;
        if groups == 0 || words.len() < all || low.len() < all {
            return;
        }
        let to = sums.as_mut_ptr();
        let less = if self.is_taken_off { total.wrapping_mul(-self.excess) } else { 0 };
        let mut turn = Turn {
            blocks: whole.len() as u32,
            skip: ((blocks - whole.len()) * self.words_a_block * 4) as u32,
            // SAFETY: at most `CHUNK` elements from its start.
            end: unsafe { to.add(groups * 8) },
            low: low.as_ptr(),
            half: self.half,
            mask: self.mask,
            first: less,
        };
        if !whole.is_empty() {
            // SAFETY: the blocks of `x`, not none, the groups' words in both planes, and eight elements a group in `from` and
            // `sums` are there, as just seen.
            unsafe { (self.leaf)(whole.as_ptr().cast(), words.as_ptr(), from, to, &raw const turn) };
            from = to;
            // The whole blocks have taken off all there is.
            turn.first = 0;
        }
        if !tail.is_empty() {
            let mut last = [0i8; 16];
            for (to, &from) in last.iter_mut().zip(tail) {
                *to = from;
            }
            let passed = whole.len() * self.words_a_block;
            let (Some(words), Some(low)) = (words.get(passed..), low.get(passed..)) else { return };
            turn.blocks = 1;
            turn.skip = (passed * 4) as u32;
            turn.low = low.as_ptr();
            // SAFETY: as above, one block; the last group ends with it, and what is skipped then is not read.
            unsafe { (self.leaf)(last.as_ptr(), words.as_ptr(), from, to, &raw const turn) };
        }
    }
}

/// The sum of a row.
#[inline(always)]
fn total(x: &[i8]) -> i32 {
    // SAFETY: the row.
    unsafe { leaves_dot::sum(x.as_ptr(), x.len()) }
}

#[inline(never)]
fn linear(inner: Loop<'_>, layer: &LayerS8<'_>, x: &[i8], y: &mut [i8]) {
    let LayerS8 { codes, filter_offset, outputs } = *layer;
    let mut room = MaybeUninit::<[i32; CHUNK]>::uninit();
    // SAFETY: integers may have any value, and each that is looked at was written by the loop.
    let sums = unsafe { &mut *room.as_mut_ptr() };
    for (x, y) in x.chunks_exact(codes.depth.max(1)).zip(y.chunks_exact_mut(codes.outputs.max(1))) {
        let sum = if inner.excess != 0 || filter_offset != 0 { total(x) } else { 0 };
        // What is the same for all outputs of the row.
        let excess = if inner.is_taken_off { 0 } else { inner.excess };
        let term = sum.wrapping_mul(filter_offset.wrapping_sub(excess));
        let mut first = 0;
        for y in y.chunks_mut(CHUNK) {
            let n = y.len();
            let (Some(bias), Some(mantissa), Some(shift)) =
                (outputs.bias.get(first..), outputs.mantissa.get(first..), outputs.shift.get(first..))
            else {
                return;
            };
            if bias.len() < n || mantissa.len() < n || shift.len() < n {
                return;
            }
            if let (0, 0, Some(bias)) = (term, n % 8, bias.get(..n)) {
                inner.run(x, sum, first, bias, sums);
            } else {
                let mut start = [0; CHUNK];
                for (start, &bias) in start.iter_mut().zip(bias).take(n) {
                    *start = bias.wrapping_add(term);
                }
                inner.run(x, sum, first, start.get(..n.next_multiple_of(8)).unwrap_or(&start), sums);
            }
            if outputs.is_plain {
                let tables = Tables {
                    mantissa: mantissa.as_ptr(),
                    shift: shift.as_ptr(),
                    offset: outputs.offset,
                    min: outputs.min.into(),
                    max: outputs.max.into(),
                };
                // SAFETY: all are valid for `n` elements, as just seen, and `is_plain` says that shifts are within bounds.
                unsafe { leaves_dot::outputs(sums.as_ptr(), y.as_mut_ptr(), n, &raw const tables) };
            } else {
                for (((&sum, &mantissa), &shift), y) in sums.iter().zip(mantissa).zip(shift).zip(y) {
                    *y = outputs.quantize(sum, mantissa, shift);
                }
            }
            first += CHUNK;
        }
    }
}

#[inline(never)]
fn add_sums(inner: Loop<'_>, codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
    let mut room = MaybeUninit::<[i32; CHUNK]>::uninit();
    // SAFETY: as in `linear`.
    let from = unsafe { &mut *room.as_mut_ptr() };
    for (x, sums) in x.chunks_exact(codes.depth.max(1)).zip(sums.chunks_exact_mut(codes.outputs.max(1))) {
        let sum = if inner.excess != 0 { total(x) } else { 0 };
        let term = if inner.is_taken_off { 0 } else { sum.wrapping_mul(-inner.excess) };
        let mut first = 0;
        for sums in sums.chunks_mut(CHUNK) {
            let mut start = [0; CHUNK];
            for (start, &sum) in start.iter_mut().zip(sums.iter()) {
                *start = sum.wrapping_add(term);
            }
            inner.run(x, sum, first, start.get(..sums.len().next_multiple_of(8)).unwrap_or(&start), from);
            for (sum, &from) in sums.iter_mut().zip(from.iter()) {
                *sum = from;
            }
            first += CHUNK;
        }
    }
}
