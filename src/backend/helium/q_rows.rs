//! Rows of 16- and 32-bit fixed point: four elements a vector, the loops of `leaves_q`. Counts are in `backend/helium.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use super::{Helium, leaves_q};
use crate::backend::q_rows::{exponent_offset, scale_offset, shifts};
use crate::backend::{InOut, QRows};
use crate::fixedpoint::{EXP_S16, Multiplier, ONE, SHORT};

impl QRows for Helium {
    #[inline(always)]
    fn max_s16(self, x: &[i16]) -> i16 {
        // SAFETY: `x` is valid for its length.
        unsafe { leaves_q::max(x.as_ptr(), x.len()) as i16 }
    }

    #[inline(always)]
    fn exp_s16(self, mut row: InOut<'_, i16>, max: i16, scale: Multiplier) -> u32 {
        let (left, right) = shifts(scale);
        // Ties of what is shifted right go away from zero, which is down: one less than half.
        let half = ((1u32.wrapping_shl(right) >> 1) as i32).wrapping_sub(i32::from(right > 0));
        let constants = [i32::from(max), left as i32, scale.mantissa, half, -(right as i32)];
        let n = row.len();
        let (x, y) = row.pointers();
        // SAFETY: both are valid for `n` elements, each is read before it is written, and the table has an entry for each of
        // 16 bits shifted by 7.
        unsafe { leaves_q::exp_s16(x, y, n, EXP_S16.as_ptr(), &raw const constants) }
    }

    #[inline(always)]
    fn scale_s16(self, y: &mut [i16], factor: i16, shift: u32) {
        // SAFETY: `y` is valid for its length.
        unsafe { leaves_q::scale_s16(y.as_mut_ptr(), y.len(), i32::from(factor), (shift as i32).wrapping_neg()) };
    }

    #[inline(always)]
    fn exp_s16_u16(self, mut row: InOut<'_, i16, u16>, max: i16, factor: i32) -> u64 {
        let [c1, c2, c34] = SHORT;
        let constants =
            [exponent_offset(max, factor), i32::MIN, c34, c2, c1, ONE, factor.wrapping_neg(), c34.wrapping_shl(16)];
        let n = row.len();
        let (x, y) = row.pointers();
        // SAFETY: both are valid for `n` elements, and each is read before it is written.
        unsafe { leaves_q::exp_s16_u16(x, y, n, &raw const constants) }
    }

    #[inline(always)]
    fn scale_u16(self, y: &mut [u16], reciprocal: i32) {
        // SAFETY: `y` is valid for its length.
        unsafe { leaves_q::scale_u16(y.as_mut_ptr(), y.len(), reciprocal, scale_offset(reciprocal)) };
    }
}
