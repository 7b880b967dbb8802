//! Products with weights stored row by row: sixteen inputs of four rows at a time, which share the activations.
//!
//! `smull` and `sadalp` are eight products; two cannot share an accumulator of 16 bits, as -128 * -128 twice does not fit. Weights of
//! every format become sixteen bytes on the scale of the 8-bit code first. Counts are in `backend/neon.md`.
#![allow(unsafe_code, reason = "loads, and a token that proves NEON")]

use core::arch::aarch64::{
    int8x8_t, int8x16_t, int32x4_t, vaddvq_s32, vand_s8, vandq_s8, vcombine_s8, vdup_n_s8, vdupq_n_s8, vdupq_n_s32,
    veor_s8, vget_low_s8, vmull_high_s8, vmull_s8, vorr_s8, vpadalq_s16, vqaddq_s8, vreinterpret_s8_u8,
    vreinterpret_u8_s8, vshl_n_s8, vshr_n_s8, vshr_n_u8, vsubq_s8, vzip1_s8, vzip2_s8,
};

use core::arch::asm;

use super::Neon;
use crate::backend::dot_rows::{self, Codes, Data, DotRows, LayerS8, Rows};

impl DotRows for Neon {
    #[inline(always)]
    fn linear_s8(self, layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
        dot_rows::linear_s8_by(row_sums, layer, rows, y);
    }

    #[inline(always)]
    fn add_sums_s8(self, codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
        dot_rows::add_sums_s8_by(row_sums, codes, x, sums);
    }
}

/// Weights of 8 bits.
const BYTES: u8 = 0;
/// Weights of 8 bits, rounded on the way.
const ROUNDED: u8 = 1;
/// Nibbles that stand for themselves.
const NIBBLES: u8 = 2;
/// Unsigned nibbles less 8.
const RESIDUALS: u8 = 3;
/// Nibbles on the scale of 8 bits.
const HIGH: u8 = 4;
/// Both planes.
const BOTH: u8 = 5;
/// Both planes, rounded on the way.
const BOTH_ROUNDED: u8 = 6;

/// Inputs of a block.
const BLOCK: usize = 16;

/// Where codes are, and the width.
#[derive(Clone, Copy)]
struct Source {
    codes: *const i8,
    /// Lower plane, or the same.
    low: *const i8,
    half: i8,
    mask: i8,
}

/// [`dot_rows::row_sums`], by the loop of this file where there is one for the format.
#[inline(never)]
fn row_sums(codes: &Codes<'_>, x: &[i8], first: usize, n: usize, sums: &mut [i32]) {
    let drop = codes.dropped();
    let source = |high: &[u8], low: &[u8]| Source {
        codes: high.as_ptr().cast(),
        low: low.as_ptr().cast(),
        half: ((1u8 << drop) >> 1) as i8,
        mask: (0xFFu8 << drop) as i8,
    };
    let is_even = codes.depth().is_multiple_of(2);
    let Some(sums) = sums.get_mut(..n) else { return };
    match codes.data() {
        _ if x.len() != codes.depth() || n > codes.outputs().saturating_sub(first) => {
            dot_rows::row_sums(codes, x, first, n, sums);
        }
        Data::Bytes(bytes) => {
            let source = Source { codes: bytes.as_ptr(), low: bytes.as_ptr(), ..source(&[], &[]) };
            if drop == 0 {
                rows::<BYTES>(source, codes, x, first, sums);
            } else {
                rows::<ROUNDED>(source, codes, x, first, sums);
            }
        }
        Data::Nibbles(bytes) if is_even => rows::<NIBBLES>(source(bytes, bytes), codes, x, first, sums),
        Data::Residuals(low) if is_even => rows::<RESIDUALS>(source(low, low), codes, x, first, sums),
        Data::Planes(high, _) if is_even && drop == 4 => {
            rows::<HIGH>(source(high, high), codes, x, first, sums);
        }
        Data::Planes(high, low) if is_even && !low.is_empty() && drop == 0 => {
            rows::<BOTH>(source(high, low), codes, x, first, sums);
        }
        Data::Planes(high, low) if is_even && !low.is_empty() => {
            rows::<BOTH_ROUNDED>(source(high, low), codes, x, first, sums);
        }
        _ => dot_rows::row_sums(codes, x, first, n, sums),
    }
}

/// Adds the products of the rows from `first` on; the caller has checked that they are there, `x` is one row's.
#[inline(always)]
fn rows<const KIND: u8>(source: Source, codes: &Codes<'_>, x: &[i8], first: usize, sums: &mut [i32]) {
    let (fours, rest) = sums.as_chunks_mut::<4>();
    let mut o = first;
    for four in fours {
        // SAFETY: four rows of the weights, and one activation for each of their inputs.
        let more = unsafe { some_rows::<KIND, 4>(source, codes, x, o) };
        four.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.wrapping_add(more));
        o += 4;
    }
    for sum in rest {
        // SAFETY: one row of the weights, and one activation for each of its inputs.
        let [more] = unsafe { some_rows::<KIND, 1>(source, codes, x, o) };
        *sum = sum.wrapping_add(more);
        o += 1;
    }
}

/// # Safety
/// `source` is the data of `codes`; rows `o` to `o + R` are in it, each as long as `x`; of an even length where codes are nibbles.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn some_rows<const KIND: u8, const R: usize>(source: Source, codes: &Codes<'_>, x: &[i8], o: usize) -> [i32; R] {
    let depth = x.len();
    let (blocks, tail) = x.as_chunks::<BLOCK>();
    let mut sums = [vdupq_n_s32(0); R];
    for (block, x) in blocks.iter().enumerate() {
        // SAFETY: sixteen activations.
        let x = unsafe { load16(x.as_ptr()) };
        for r in 0..R {
            // SAFETY: the block is within the row.
            let w = unsafe { sixteen::<KIND>(source, (o + r) * depth + block * BLOCK) };
            sums[r] = products(sums[r], x, w);
        }
    }
    let mut all = sums.map(|sum| vaddvq_s32(sum));
    for (i, &x) in (depth - tail.len()..).zip(tail) {
        for r in 0..R {
            all[r] = all[r].wrapping_add(i32::from(x) * i32::from(codes.get(o + r, i)));
        }
    }
    all
}

#[target_feature(enable = "neon")]
#[inline]
fn products(sum: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    let sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(x), vget_low_s8(w)));
    vpadalq_s16(sum, vmull_high_s8(x, w))
}

/// The weights from the code `at` on; of nibbles it is even.
///
/// # Safety
/// Sixteen codes are there.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn sixteen<const KIND: u8>(source: Source, at: usize) -> int8x16_t {
    let rounded = |w| vandq_s8(vqaddq_s8(w, vdupq_n_s8(source.half)), vdupq_n_s8(source.mask));
    if KIND == BYTES || KIND == ROUNDED {
        // SAFETY: the caller's promise.
        let w = unsafe { load16(source.codes.wrapping_add(at)) };
        return if KIND == BYTES { w } else { rounded(w) };
    }
    // SAFETY: eight bytes are sixteen nibbles.
    let bytes = unsafe { load8(source.codes.wrapping_add(at / 2)) };
    let upper = vand_s8(bytes, vdup_n_s8(-16));
    match KIND {
        NIBBLES => zipped(vshr_n_s8::<4>(vshl_n_s8::<4>(bytes)), vshr_n_s8::<4>(bytes)),
        RESIDUALS => {
            // The highest bit turned over makes two's complement of a nibble less 8.
            let bytes = veor_s8(bytes, vdup_n_s8(0x88_u8 as i8));
            zipped(vshr_n_s8::<4>(vshl_n_s8::<4>(bytes)), vshr_n_s8::<4>(bytes))
        }
        HIGH => zipped(vshl_n_s8::<4>(bytes), upper),
        _ => {
            // SAFETY: as above, in the lower plane.
            let low = unsafe { load8(source.low.wrapping_add(at / 2)) };
            let even = vorr_s8(vshl_n_s8::<4>(bytes), vand_s8(low, vdup_n_s8(15)));
            let odd = vorr_s8(upper, vreinterpret_s8_u8(vshr_n_u8::<4>(vreinterpret_u8_s8(low))));
            let code = vsubq_s8(zipped(even, odd), vdupq_n_s8(8));
            if KIND == BOTH { code } else { rounded(code) }
        }
    }
}

#[target_feature(enable = "neon")]
#[inline]
fn zipped(even: int8x8_t, odd: int8x8_t) -> int8x16_t {
    vcombine_s8(vzip1_s8(even, odd), vzip2_s8(even, odd))
}

/// Sixteen bytes. In assembly, as bare-metal targets forbid unaligned loads (with the MMU off they fault), and LLVM then reads byte
/// by byte; `ld1` of bytes needs no alignment.
///
/// # Safety
/// They are there.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn load16(from: *const i8) -> int8x16_t {
    let to: int8x16_t;
    // SAFETY: the caller's promise.
    unsafe {
        asm!("ld1 {{{to:v}.16b}}, [{from}]", to = out(vreg) to, from = in(reg) from, options(pure, readonly, nostack, preserves_flags))
    };
    to
}

/// Eight bytes, likewise.
///
/// # Safety
/// They are there.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn load8(from: *const i8) -> int8x8_t {
    let to: int8x8_t;
    // SAFETY: the caller's promise.
    unsafe {
        asm!("ld1 {{{to:v}.8b}}, [{from}]", to = out(vreg) to, from = in(reg) from, options(pure, readonly, nostack, preserves_flags))
    };
    to
}
