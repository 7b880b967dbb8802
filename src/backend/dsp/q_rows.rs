//! Rows of 16- and 32-bit fixed point: two elements a word, the loops of `leaves_q`. Counts are in `backend/dsp.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use super::{Dsp, leaves_q};
use crate::backend::q_rows::{exp_s16_element, exponent_offset, scale_offset, shifts, table_index};
use crate::backend::{InOut, QRows};
use crate::fixedpoint::{EXP_S16, Multiplier, ONE, SHORT, exp_s16};

impl QRows for Dsp {
    #[inline(always)]
    fn max_s16(self, x: &[i16]) -> i16 {
        let (blocks, tail) = x.as_chunks::<{ leaves_q::MAX }>();
        let mut max = i16::MIN;
        if !blocks.is_empty() {
            // SAFETY: `blocks` is that many blocks, and not none.
            max = unsafe { leaves_q::max(blocks.as_ptr().cast(), blocks.len()) } as i16;
        }
        tail.iter().fold(max, |max, &v| v.max(max))
    }

    #[inline(always)]
    fn exp_s16(self, mut row: InOut<'_, i16>, max: i16, scale: Multiplier) -> u32 {
        let (left, right) = shifts(scale);
        let mut sum = 0;
        // Beyond, 32 bits are too few for what is shifted.
        if left < 14 && right < 15 {
            let blocks = row.len() / leaves_q::EXP;
            let mut front = row.split_off_front(blocks * leaves_q::EXP);
            // The difference, one bit further left, as a high word is half of a doubled product.
            let factor = 2 << left;
            // Ties of what is shifted right go away from zero, which is down: one less than half.
            let end = (65_535 << right) + (if right > 0 { (1 << (right - 1)) - 1 } else { 0 });
            let constants = [factor, -(i32::from(max) * factor), scale.mantissa, end, right as i32];
            let (x, y) = front.pointers();
            if blocks > 0 {
                // SAFETY: both are valid for that many blocks, not none, each word is read before it is written, and the
                // table has an entry for each of 16 bits shifted by 7.
                sum = unsafe { leaves_q::exp_s16(x, y, blocks, EXP_S16.as_ptr(), &raw const constants) };
            }
        }
        row.map(|x| {
            let y = exp_s16(table_index(i32::from(x) - i32::from(max), scale));
            sum = sum.wrapping_add(u32::from(y));
            y as i16
        });
        sum
    }

    #[inline(always)]
    fn scale_s16(self, y: &mut [i16], factor: i16, shift: u32) {
        // With a smaller shift, a result could be above the largest number.
        let (blocks, tail) = y.as_chunks_mut::<{ leaves_q::SCALE }>();
        if (15..=31).contains(&shift) && !blocks.is_empty() {
            // SAFETY: `blocks` is that many blocks, and not none.
            unsafe {
                leaves_q::scale_s16(
                    blocks.as_mut_ptr().cast(),
                    blocks.len(),
                    i32::from(factor) << (31 - shift),
                    1 << 14,
                );
            }
            super::super::Scalar.scale_s16(tail, factor, shift);
        } else {
            super::super::Scalar.scale_s16(y, factor, shift);
        }
    }

    #[inline(always)]
    fn exp_s16_u16(self, mut row: InOut<'_, i16, u16>, max: i16, factor: i32) -> u64 {
        let offset = exponent_offset(max, factor);
        let blocks = row.len() / leaves_q::EXP;
        let mut front = row.split_off_front(blocks * leaves_q::EXP);
        let [c1, c2, c34] = SHORT;
        let constants = [factor.wrapping_neg(), offset, c34, c2, c1, ONE];
        let (x, y) = front.pointers();
        let mut sum = 0;
        if blocks > 0 {
            // SAFETY: both are valid for that many blocks, not none, and each word is read before it is written.
            sum = unsafe { leaves_q::exp_s16_u16(x, y, blocks, &raw const constants) };
        }
        row.map(|x| {
            let e = exp_s16_element(x, factor, offset);
            sum += u64::from(e);
            (e >> 14) as u16 ^ 0x8000
        });
        sum
    }

    #[inline(always)]
    fn scale_u16(self, y: &mut [u16], reciprocal: i32) {
        let (blocks, tail) = y.as_chunks_mut::<{ leaves_q::SCALE }>();
        if !blocks.is_empty() {
            // SAFETY: `blocks` is that many blocks, and not none.
            unsafe {
                leaves_q::scale_u16(blocks.as_mut_ptr().cast(), blocks.len(), reciprocal, scale_offset(reciprocal));
            }
        }
        super::super::Scalar.scale_u16(tail, reciprocal);
    }
}
