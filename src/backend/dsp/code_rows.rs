//! Attention in logarithmic codes: the loops of `leaves_code`. What runs once a row is never inlined: LLVM would prepare all of
//! its cases before the loop over rows, which costs more than a call.
//!
//! Counts are in `backend/dsp.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use zerocopy::IntoBytes;

use super::{Dsp, leaves_code};
use crate::backend::code_rows::{self, KEY_CHANNELS, KEY_GROUP, VALUE_CHANNELS, VALUE_KEYS};
use crate::backend::{CodeRows, CodeStep, LEAST_MAX, NibbleRows};

/// Groups of channels whose sums are held at once, where there is more than one block of keys.
const CHUNK: usize = 8;

/// What is left of a row, apart, so that it costs nothing where there is nothing.
#[inline(never)]
fn tail(x: &[i32], max: i32, step: CodeStep, y: &mut [u8]) {
    code_rows::nibbles(x, max, step, y);
}

#[inline(never)]
fn max_of_tail(max: i32, tail: &[i32]) -> i32 {
    tail.iter().fold(max, |max, &v| if v > max { v } else { max })
}

/// Widens the last channels, fewer than 4, to two words; gives their sum.
#[inline(never)]
fn widen_tail(tail: &[i8], to: &mut [u32]) -> i32 {
    let mut last = [0i8; 4];
    last.iter_mut().zip(tail).for_each(|(to, &from)| *to = from);
    if to.len() < 2 {
        return 0;
    }
    // SAFETY: one word, and room for two.
    unsafe { leaves_code::widen(last.as_ptr(), 1, to.as_mut_ptr()) }
}

/// Adds the products with further blocks of keys; gives the sum of their weights.
#[inline(never)]
fn further_blocks(codes: &[u8], packed: &[u32], table: &[i16; 16], y: &mut [i32], spare: &mut [u32]) -> i32 {
    let groups = y.len() / VALUE_CHANNELS;
    let mut all = 0i32;
    if groups == 0 {
        return 0;
    }
    let blocks = packed.chunks(groups.saturating_mul(leaves_code::MOST_KEYS));
    for (codes, values) in codes.chunks(leaves_code::MOST_KEYS / 2).zip(blocks) {
        // At most 256 bytes of codes; the words for all groups may be too many to count.
        if codes.len() < 4 || spare.len() < codes.len() || values.len() / 2 / codes.len() < groups {
            break;
        }
        // SAFETY: an even number of bytes, not none, and a word in `spare` for each.
        let sum = unsafe { leaves_code::weights(codes.as_ptr(), codes.len(), table, spare.as_mut_ptr()) };
        all = all.wrapping_add(sum);
        let (eights, surplus) = (codes.len() / 4, sum << 7);
        let mut sums = [0i32; CHUNK * VALUE_CHANNELS];
        for (y, values) in y.chunks_mut(sums.len()).zip(values.chunks((CHUNK * 8 * eights).max(1))) {
            let groups = y.len() / VALUE_CHANNELS;
            if groups > 0 {
                // SAFETY: weights of all keys, at most 512, a word of values for each key and group, and `sums` has 4 words a
                // group.
                unsafe {
                    leaves_code::product(spare.as_ptr(), values.as_ptr(), eights, sums.as_mut_ptr(), groups, surplus);
                }
            }
            y.iter_mut().zip(&sums).for_each(|(y, &sum)| *y = y.wrapping_add(sum));
        }
    }
    all
}

impl CodeRows for Dsp {
    /// Keys: groups of 4, of which two lie in a halfword, four channels after four. Values: blocks of 512 keys, in them groups of 4
    /// channels, of which two lie in a halfword, two keys after two.
    const LAYOUT: u8 = 1;

    /// 3.4 instructions an element; portable 4.6.
    #[inline(always)]
    fn max_s32(self, x: &[i32]) -> i32 {
        let (blocks, tail) = x.as_chunks::<{ leaves_code::BLOCK }>();
        let mut max = i32::MIN;
        if !blocks.is_empty() {
            // SAFETY: `blocks` is that many blocks, and not none.
            max = unsafe { leaves_code::max(blocks.as_ptr().cast(), blocks.len()) };
        }
        if tail.is_empty() { max } else { max_of_tail(max, tail) }
    }

    /// 4.3 instructions an element; portable 9.
    #[inline(always)]
    fn nibbles_s32(self, x: &[i32], max: i32, step: CodeStep, y: &mut [u8]) {
        let whole = if step.shift == 31 { x.len() / leaves_code::BLOCK } else { 0 };
        let (front, x) = x.split_at_checked(whole * leaves_code::BLOCK).unwrap_or((&[], x));
        let Some((y, rest)) = y.split_at_mut_checked(front.len() / 2) else { return };
        if whole > 0 {
            // A high word is half of what the shift of 31 gives. A public caller may have a larger factor: it wraps.
            let factor = step.factor.wrapping_mul(2);
            // SAFETY: `front` is that many blocks, not none, and `y` has half as many bytes.
            unsafe { leaves_code::nibbles(front.as_ptr(), whole, max, factor, y.as_mut_ptr()) };
        }
        if !x.is_empty() {
            tail(x, max, step, rest);
        }
    }

    /// For rows of any length.
    #[inline(never)]
    fn row_nibbles_s32(self, x: &[i32], step: CodeStep, y: &mut [u8]) -> i32 {
        let max = self.max_s32(x);
        if max >= LEAST_MAX {
            self.nibbles_s32(x, max, step, y);
        }
        max
    }

    /// 7.3 instructions an element.
    #[inline(always)]
    fn rows_nibbles_s32(self, mut rows: NibbleRows<'_>, factor: i32) -> Option<NibbleRows<'_>> {
        let (number, cols) = (rows.rows().rows(), rows.rows().cols());
        if cols & leaves_code::COLS != cols {
            return Some(rows);
        }
        let (x, y) = rows.pointers();
        // SAFETY: so many rows, not none, of these blocks, not none, and half as many bytes.
        unsafe { leaves_code::rows(x, cols / leaves_code::BLOCK, factor, y, number) };
        None
    }

    fn pack_keys_s8(self, keys: &[i8], width: usize, packed: &mut [u32]) {
        let words = width.div_ceil(KEY_CHANNELS).saturating_mul(KEY_CHANNELS);
        if width == 0 {
            return;
        }
        for (keys, group) in keys.chunks(width.saturating_mul(4).max(1)).zip(packed.chunks_exact_mut(words.max(1))) {
            let bytes = group.as_mut_bytes();
            for (lane, key) in keys.chunks_exact(width).enumerate() {
                let flip = if lane % 2 == 0 { 0x80 } else { 0 };
                for (i, &x) in key.iter().enumerate() {
                    let word = i / 4 * 4 + i % 2 * 2 + lane / 2;
                    if let Some(byte) = bytes.get_mut(4 * word + i % 4 / 2 * 2 + lane % 2) {
                        *byte = x as u8 ^ flip;
                    }
                }
            }
        }
    }

    /// 1.0 instruction a product; portable 3.3.
    #[inline(never)]
    fn logits_s8(self, query: &[i8], packed: &[u32], y: &mut [i32], spare: &mut [u32]) {
        let blocks = query.len().div_ceil(KEY_CHANNELS);
        let groups = y.len() / KEY_GROUP * 2;
        if blocks == 0 || groups == 0 {
            return;
        }
        // Divided, as the product may not fit.
        let fits = packed.len() / KEY_CHANNELS / blocks >= groups && spare.len() / (KEY_CHANNELS / 2) >= blocks;
        if !fits {
            return;
        }
        let (words, tail) = query.as_chunks::<4>();
        let mut sum = 0;
        if !query.len().is_multiple_of(KEY_CHANNELS) {
            spare.fill(0);
        }
        if !words.is_empty() {
            // SAFETY: `words` is that many, not none, and `spare` has two for each.
            sum = unsafe { leaves_code::widen(words.as_ptr().cast(), words.len(), spare.as_mut_ptr()) };
        }
        if !tail.is_empty() {
            sum += widen_tail(tail, spare.get_mut(2 * words.len()..).unwrap_or_default());
        }
        // SAFETY: `packed` has 16 words a block and group, `spare` 8 a block, `y` 4 a group, and no count is zero.
        unsafe { leaves_code::logits(packed.as_ptr(), spare.as_ptr(), groups, y.as_mut_ptr(), blocks, sum << 7) };
    }

    fn pack_values_s8(self, values: &[i8], width: usize, packed: &mut [u32]) {
        let groups = width.div_ceil(VALUE_CHANNELS);
        if width == 0 {
            return;
        }
        let blocks = packed.chunks_mut(groups.saturating_mul(leaves_code::MOST_KEYS).max(1));
        for (values, block) in values.chunks(width.saturating_mul(leaves_code::MOST_KEYS).max(1)).zip(blocks) {
            let keys = block.len() / groups.max(1);
            let bytes = block.as_mut_bytes();
            for (k, value) in values.chunks_exact(width).enumerate() {
                for (j, &v) in value.iter().enumerate() {
                    let word = j / 4 * keys + k / 2 * 2 + j % 4 / 2;
                    let flip = if j % 2 == 0 { 0x80 } else { 0 };
                    if let Some(byte) = bytes.get_mut(4 * word + k % 2 * 2 + j % 2) {
                        *byte = v as u8 ^ flip;
                    }
                }
            }
        }
    }

    /// 1.25 instructions a product; portable 4.
    #[inline(never)]
    fn product_nibbles(self, codes: &[u8], packed: &[u32], table: &[i16; 16], y: &mut [i32], spare: &mut [u32]) -> i32 {
        let groups = y.len() / VALUE_CHANNELS;
        let held = codes.len().min(leaves_code::MOST_KEYS / 2);
        if groups == 0 || codes.is_empty() || !codes.len().is_multiple_of(VALUE_KEYS / 2) {
            return 0;
        }
        // Divided, as the product may not fit: two words for a byte of codes and a group.
        if packed.len() / 2 / codes.len() < groups || spare.len() < held {
            return 0;
        }
        let (first, codes) = codes.split_at_checked(held).unwrap_or_default();
        // SAFETY: an even number of bytes, not none, and a word in `spare` for each.
        let sum = unsafe { leaves_code::weights(first.as_ptr(), held, table, spare.as_mut_ptr()) };
        // SAFETY: weights of all keys, at most 512, a word of values for each key and group, and `y` has 4 words a group.
        unsafe {
            leaves_code::product(spare.as_ptr(), packed.as_ptr(), held / 4, y.as_mut_ptr(), groups, sum << 7);
        }
        if codes.is_empty() {
            return sum;
        }
        let packed = packed.get(2 * held * groups..).unwrap_or(&[]);
        sum.wrapping_add(further_blocks(codes, packed, table, y, spare))
    }
}
