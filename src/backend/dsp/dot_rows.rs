//! Products with stored weights in the layout of this backend: activations widened once a row, then the loops of
//! `leaves_dot`. Counts are in `backend/dsp.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use core::mem::MaybeUninit;

use super::Dsp;
use super::leaves_dot::{self, BLOCK, Tables, Turn};
use crate::backend::dot_rows::{self, CHUNK, Codes, Data, DotRows, Format, LayerS8, Layout, OutputsS8};
use crate::backend::Scalar;

impl DotRows for Dsp {
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

type Leaf = unsafe extern "C" fn(*const u32, *const u32, usize, *mut i32, *const Turn);

/// The loop for weights of a format at a width.
#[derive(Clone, Copy)]
struct Loop<'a> {
    leaf: Leaf,
    words: &'a [u32],
    /// Lower plane, or the same.
    low: &'a [u32],
    /// Words of a group for two inputs: 2 of bytes, 1 of nibbles.
    words_a_pair: usize,
    /// What times the sum of activations is taken off.
    less: i32,
    half: u32,
    mask: u32,
}

impl<'a> Loop<'a> {
    #[inline(always)]
    fn of(codes: &Codes<'a>) -> Option<Self> {
        let drop = codes.drop;
        let (leaf, words, low, words_a_pair, less): (Leaf, _, _, _, _) = match codes.data {
            Data::Packed(Format::S8, Layout::Dsp, words, _) => (leaves_dot::s8, words, words, 2, 256),
            Data::Packed(Format::Raw8, Layout::Dsp, words, _) if drop == 0 => (leaves_dot::raw8, words, words, 2, 256),
            Data::Packed(Format::Raw8, Layout::Dsp, words, _) => (leaves_dot::rounded, words, words, 2, 256),
            Data::Packed(Format::S4, Layout::Dsp, words, _) => (leaves_dot::s4, words, words, 1, 16),
            Data::Packed(Format::Nest84, Layout::Dsp, words, _) if drop == 4 => (leaves_dot::nest4, words, words, 1, 256),
            Data::Packed(Format::Nest84, Layout::Dsp, words, low) if drop == 0 => (leaves_dot::nest8, words, low, 1, 16),
            Data::PackedResiduals(Layout::Dsp, low) => (leaves_dot::residuals, low, low, 1, 16),
            _ => return None,
        };
        let in_each_byte = |byte: u32| byte * 0x0101_0101;
        let (half, mask) = (in_each_byte((1 << drop) >> 1), in_each_byte((0xFF << drop) & 0xFF));
        Some(Self { leaf, words, low, words_a_pair, less, half, mask })
    }

    /// The doubled sums of outputs `first..` for the inputs of one block from `start` on.
    #[inline(always)]
    fn run(&self, depth: usize, block: &Block<'_>, start: usize, first: usize, n: usize, sums: &mut [i32; CHUNK]) {
        let pairs = depth.next_multiple_of(16) / 2;
        let group = pairs * self.words_a_pair;
        let at = first / 4 * group + start / 2 * self.words_a_pair;
        let groups = n.div_ceil(4);
        let bytes = block.pairs * self.words_a_pair * 4;
        let (Some(words), Some(low)) = (self.words.get(at..), self.low.get(at..)) else { return };
        // Of the last group, this block's words must be there.
        let last = (groups.wrapping_sub(1)).wrapping_mul(group) + bytes / 4;
        if groups == 0 || groups * 4 > CHUNK || bytes == 0 || words.len() < last || low.len() < last {
            return;
        }
        let turn = Turn {
            bytes: bytes as u32,
            skip: (group * 4 - bytes) as u32,
            less: block.sum.wrapping_mul(self.less),
            low: low.as_ptr(),
            half: self.half,
            mask: self.mask,
        };
        // SAFETY: the groups' words in both planes, the block's pairs and the sums are there, as just seen, and none is
        // empty.
        unsafe { (self.leaf)(words.as_ptr(), block.pointer(), groups, sums.as_mut_ptr(), &raw const turn) };
    }
}

/// Room for the activations of a block.
///
/// Stands alone, as LLVM clears a structure of which one field is known.
type Room = MaybeUninit<[u32; BLOCK / 2]>;

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
            let mut last = [0i8; 16];
            for (to, &from) in last.iter_mut().zip(tail) {
                *to = from;
            }
            // SAFETY: `BLOCK` is a multiple of 16, so that there is room for one more.
            let wide = unsafe { wide.add(self.pairs) };
            // SAFETY: one block.
            let sum = unsafe { leaves_dot::widen(last.as_ptr(), 1, wide) };
            self.sum = self.sum.wrapping_add(sum);
            self.pairs += 8;
        }
    }
}

/// Shows `n` sums of outputs from `first` on, for all outputs of a row; `true` if they are doubled.
#[inline(always)]
fn row(
    inner: &Loop<'_>,
    depth: usize,
    outputs: usize,
    x: &[i8],
    block: &mut Block<'_>,
    mut each: impl FnMut(usize, usize, &mut [i32; CHUNK], bool),
) {
    let mut sums = MaybeUninit::<[i32; CHUNK]>::uninit();
    // SAFETY: integers may have any value, and each that is looked at was written by the loop.
    let sums = unsafe { &mut *sums.as_mut_ptr() };
    let fits = depth <= BLOCK;
    if fits {
        block.fill(x);
    }
    let mut first = 0;
    while first < outputs {
        let n = (outputs - first).min(CHUNK);
        if fits {
            inner.run(depth, block, 0, first, n, sums);
            each(first, n, sums, true);
        } else {
            let mut all = [0i32; CHUNK];
            let mut start = 0;
            for x in x.chunks(BLOCK) {
                block.fill(x);
                inner.run(depth, block, start, first, n, sums);
                for (all, &sum) in all.iter_mut().zip(sums.iter()).take(n) {
                    *all = all.wrapping_add(sum >> 1);
                }
                start += BLOCK;
            }
            each(first, n, &mut all, false);
        }
        first += CHUNK;
    }
}

#[inline(never)]
fn linear(inner: Loop<'_>, layer: &LayerS8<'_>, x: &[i8], y: &mut [i8]) {
    let LayerS8 { codes, filter_offset, outputs } = layer;
    let mut room = Room::uninit();
    let mut block = Block::new(&mut room);
    for (x, y) in x.chunks_exact(codes.depth.max(1)).zip(y.chunks_exact_mut(codes.outputs.max(1))) {
        let term = dot_rows::row_term(x, *filter_offset);
        row(&inner, codes.depth, codes.outputs, x, &mut block, |first, n, sums, are_doubled| {
            let Some(y) = y.get_mut(first..).and_then(|y| y.get_mut(..n)) else { return };
            if outputs.is_plain {
                if !are_doubled {
                    sums.iter_mut().take(n).for_each(|sum| *sum = sum.wrapping_mul(2));
                }
                if term != 0 {
                    let term = term.wrapping_mul(2);
                    sums.iter_mut().take(n).for_each(|sum| *sum = sum.wrapping_add(term));
                }
                plain_outputs(outputs, first, sums, y);
            } else {
                // A doubled sum could lose its highest bit.
                for ((o, &sum), y) in (first..).zip(sums.iter()).zip(y) {
                    let sum = if are_doubled { sum >> 1 } else { sum };
                    *y = outputs.of(o, sum.wrapping_add(term));
                }
            }
        });
    }
}

/// Outputs from `first` on, of doubled sums that are plain.
#[inline(always)]
fn plain_outputs(outputs: &OutputsS8<'_>, first: usize, sums: &[i32; CHUNK], y: &mut [i8]) {
    let whole = y.len() / 4;
    let Some((front, rest)) = y.split_at_mut_checked(whole * 4) else { return };
    let (Some(bias), Some(mantissa), Some(shift)) =
        (outputs.bias.get(first..), outputs.mantissa.get(first..), outputs.shift.get(first..))
    else {
        return;
    };
    let are_there = bias.len() >= front.len() && mantissa.len() >= front.len() && shift.len() >= front.len();
    if whole > 0 && are_there && front.len() <= CHUNK {
        let tables = Tables {
            bias: bias.as_ptr(),
            mantissa: mantissa.as_ptr(),
            shift: shift.as_ptr(),
            twice_offset: 2 * outputs.offset + 1,
        };
        // SAFETY: all are valid for `whole` fours, not none; `is_plain` says that shifts and sums are within bounds.
        unsafe { leaves_dot::outputs(sums.as_ptr(), front.as_mut_ptr(), whole, &raw const tables) };
        if outputs.min > i8::MIN || outputs.max < i8::MAX {
            for y in front {
                *y = (*y).min(outputs.max).max(outputs.min);
            }
        }
    }
    for ((o, &sum), y) in (first + whole * 4..).zip(sums.iter().skip(whole * 4)).zip(rest) {
        *y = outputs.of(o, sum >> 1);
    }
}

#[inline(never)]
fn add_sums(inner: Loop<'_>, codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
    let mut room = Room::uninit();
    let mut block = Block::new(&mut room);
    for (x, to) in x.chunks_exact(codes.depth.max(1)).zip(sums.chunks_exact_mut(codes.outputs.max(1))) {
        row(&inner, codes.depth, codes.outputs, x, &mut block, |first, n, sums, are_doubled| {
            let to = to.get_mut(first..).unwrap_or(&mut []);
            for (to, &sum) in to.iter_mut().zip(sums.iter()).take(n) {
                *to = to.wrapping_add(if are_doubled { sum >> 1 } else { sum });
            }
        });
    }
}
