//! Attention in logarithmic codes: the loops of `leaves_code`. What runs once a row is never inlined: LLVM would prepare all of
//! its cases before the loop over rows, which costs more than a call.
//!
//! Counts are in `backend/helium.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use zerocopy::IntoBytes;

use super::{Helium, leaves_code};
use crate::backend::code_rows::{self, KEY_CHANNELS, KEY_GROUP, VALUE_CHANNELS, VALUE_KEYS};
use crate::backend::{CodeRows, CodeStep, LEAST_MAX, NibbleRows, Requantize};

/// Groups of channels whose sums are held at once, where there is more than one block of keys.
const CHUNK: usize = 8;

/// What is left of a row, apart, so that it costs nothing where there is nothing.
#[inline(never)]
fn tail(x: &[i32], max: i32, step: CodeStep, y: &mut [u8]) {
    code_rows::nibbles(x, max, step, y);
}

/// A product with any number of blocks of keys.
#[inline(never)]
fn blocks(codes: &[u8], packed: &[u32], table: &[i16; 16], y: &mut [i32]) -> i32 {
    let groups = y.len() / VALUE_CHANNELS;
    let mut all = 0i32;
    y.fill(0);
    // Of more words than can be counted there is no block.
    let blocks = packed.chunks_exact(groups.saturating_mul(VALUE_KEYS).max(1));
    for (codes, values) in codes.as_chunks::<{ VALUE_KEYS / 2 }>().0.iter().zip(blocks) {
        let (mut sums, mut sum) = ([0i32; CHUNK * VALUE_CHANNELS], 0);
        for (y, values) in y.chunks_mut(sums.len()).zip(values.chunks(CHUNK * VALUE_KEYS)) {
            let groups = y.len() / VALUE_CHANNELS;
            if groups > 0 {
                // SAFETY: 32 bytes of codes, 256 of values a group, and `sums` has 4 words a group.
                sum =
                    unsafe { leaves_code::product(codes.as_ptr(), table, values.as_ptr(), sums.as_mut_ptr(), groups) };
            }
            y.iter_mut().zip(&sums).for_each(|(y, &sum)| *y = y.wrapping_add(sum));
        }
        all = all.wrapping_add(sum);
    }
    all
}

impl CodeRows for Helium {
    /// Keys: groups of 8, 16 channels of each after the other. Values: blocks of 64 keys, in them groups of 4 channels, 16 keys of
    /// each channel after the other, even keys of 32 before odd ones.
    const LAYOUT: u8 = 2;

    #[inline(always)]
    fn max_s32(self, x: &[i32]) -> i32 {
        // SAFETY: `x` is valid for its length.
        unsafe { leaves_code::max(x.as_ptr(), x.len()) }
    }

    /// 1.1 instructions an element.
    #[inline(always)]
    fn nibbles_s32(self, x: &[i32], max: i32, step: CodeStep, y: &mut [u8]) {
        let whole = if step.shift == 31 { x.len() / leaves_code::BLOCK } else { 0 };
        let (front, x) = x.split_at_checked(whole * leaves_code::BLOCK).unwrap_or((&[], x));
        let Some((y, rest)) = y.split_at_mut_checked(front.len() / 2) else { return };
        if whole > 0 {
            // SAFETY: `front` is that many blocks, not none, and `y` has half as many bytes.
            unsafe { leaves_code::nibbles(front.as_ptr(), whole, max, step.factor, y.as_mut_ptr()) };
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

    /// 1.4 instructions an element.
    #[inline(always)]
    fn rows_nibbles_s32(self, mut rows: NibbleRows<'_>, factor: i32) -> Option<NibbleRows<'_>> {
        let (number, cols) = (rows.rows().rows(), rows.rows().cols());
        if cols & leaves_code::COLS != cols {
            return Some(rows);
        }
        let (x, y) = rows.pointers();
        // SAFETY: so many rows, not none, of a multiple of 16 elements, not none, and half as many bytes.
        unsafe { leaves_code::rows(x, cols, y, factor, number) };
        None
    }

    fn pack_keys_s8(self, keys: &[i8], width: usize, packed: &mut [u32]) {
        let chunks = width.div_ceil(KEY_CHANNELS);
        if width == 0 {
            return;
        }
        let groups = packed.chunks_exact_mut(chunks.saturating_mul(KEY_GROUP * (KEY_CHANNELS / 4)).max(1));
        for (keys, group) in keys.chunks(width.saturating_mul(KEY_GROUP).max(1)).zip(groups) {
            let bytes = group.as_mut_bytes();
            for (lane, key) in keys.chunks_exact(width).enumerate() {
                for (i, &x) in key.iter().enumerate() {
                    let at = (i / KEY_CHANNELS * KEY_GROUP + lane) * KEY_CHANNELS + i % KEY_CHANNELS;
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = x as u8;
                    }
                }
            }
        }
    }

    /// 0.18 instructions a product; portable 0.29.
    #[inline(never)]
    fn logits_s8(self, query: &[i8], packed: &[u32], y: &mut [i32], spare: &mut [u32]) {
        let chunks = query.len().div_ceil(KEY_CHANNELS);
        let groups = y.len() / KEY_GROUP;
        if chunks == 0 || groups == 0 {
            return;
        }
        // Divided, as the product may not fit; bytes of a query, which are counted, are more than words of a group.
        let fits = packed.len() / (KEY_GROUP * KEY_CHANNELS / 4) / chunks >= groups
            && spare.len() / (KEY_CHANNELS / 4) >= chunks;
        if !fits {
            return;
        }
        let mut from = query.as_ptr();
        if !query.len().is_multiple_of(KEY_CHANNELS) {
            spare.fill(0);
            let bytes = spare.as_mut_bytes();
            bytes.iter_mut().zip(query).for_each(|(to, &from)| *to = from as u8);
            from = bytes.as_ptr().cast();
        }
        // SAFETY: the query or its copy has 16 bytes a block, `packed` 128 a block and group, `y` 8 words a group; no count is zero.
        unsafe { leaves_code::logits(from, packed.as_ptr(), groups, y.as_mut_ptr(), chunks - 1) };
    }

    fn pack_values_s8(self, values: &[i8], width: usize, packed: &mut [u32]) {
        let groups = width.div_ceil(VALUE_CHANNELS);
        if width == 0 {
            return;
        }
        let blocks = packed.chunks_mut(groups.saturating_mul(VALUE_KEYS).max(1));
        for (values, block) in values.chunks(width.saturating_mul(VALUE_KEYS).max(1)).zip(blocks) {
            let bytes = block.as_mut_bytes();
            for (k, value) in values.chunks_exact(width).enumerate() {
                let (chunk, lane) = (k / 32 * 2 + k % 2, k % 32 / 2);
                for (j, &v) in value.iter().enumerate() {
                    let at = ((j / 4 * 4 + chunk) * 4 + j % 4) * 16 + lane;
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = v as u8;
                    }
                }
            }
        }
    }

    /// 0.25 instructions a product; portable 1.
    #[inline(always)]
    fn product_nibbles(
        self,
        codes: &[u8],
        packed: &[u32],
        table: &[i16; 16],
        y: &mut [i32],
        _spare: &mut [u32],
    ) -> i32 {
        let groups = y.len() / VALUE_CHANNELS;
        if codes.len() != VALUE_KEYS / 2 || groups == 0 || packed.len() / VALUE_KEYS < groups {
            return blocks(codes, packed, table, y);
        }
        // SAFETY: 32 bytes of codes, 256 of values a group, and `y` has 4 words a group, of which there is one.
        unsafe { leaves_code::product(codes.as_ptr(), table, packed.as_ptr(), y.as_mut_ptr(), groups) }
    }

    #[inline(never)]
    fn requantize_s8(self, x: &[i32], by: Requantize, y: &mut [i8]) {
        let constants = [by.offset, by.factor, (by.shift as i32).wrapping_neg(), i32::from(by.zero_point)];
        let n = x.len().min(y.len());
        // SAFETY: both are valid for `n` elements.
        unsafe { leaves_code::requantize(x.as_ptr(), y.as_mut_ptr(), n, &raw const constants) };
    }
}
