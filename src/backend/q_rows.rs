//! Primitives on rows of 16- and 32-bit fixed point.

use super::{InOut, LANES};
use crate::fixedpoint::{Multiplier, exp_s16, exp2_short};

/// What a backend can speed up in rows of i16 and i32. Every backend gives the same bytes.
pub(crate) trait QRows: Copy {
    /// The largest element; `i16::MIN` for an empty slice.
    #[inline(always)]
    fn max_s16(self, x: &[i16]) -> i16 {
        let mut lanes = [i16::MIN; LANES];
        let (blocks, tail) = x.as_chunks::<LANES>();
        for block in blocks {
            for (lane, &v) in lanes.iter_mut().zip(block) {
                *lane = v.max(*lane);
            }
        }
        lanes.iter().chain(tail).fold(i16::MIN, |max, &v| v.max(max))
    }

    /// `y[i] = exp((x[i] - max) scale)` in units of 2^-15 by TFLite's table, which ends at exp(-10); gives `Σ y[i]`, which
    /// wraps beyond 65,536 elements. `scale` makes -65535 of -10; no element is larger than `max`.
    #[inline(always)]
    fn exp_s16(self, row: InOut<'_, i16>, max: i16, scale: Multiplier) -> u32 {
        let mut sum = 0u32;
        row.map(|x| {
            let y = exp_s16(table_index(i32::from(x) - i32::from(max), scale));
            sum = sum.wrapping_add(u32::from(y));
            y as i16
        });
        sum
    }

    /// `y[i] = y[i] * factor / 2^shift` to nearest, ties upwards, at most `i16::MAX`. No operand is negative, and `shift` is
    /// 1 to 30.
    #[inline(always)]
    fn scale_s16(self, y: &mut [i16], factor: i16, shift: u32) {
        let half = 1i32.wrapping_shl(shift.wrapping_sub(1));
        for v in y {
            let product = (i32::from(*v) * i32::from(factor)).wrapping_add(half).wrapping_shr(shift);
            *v = product.min(i32::from(i16::MAX)) as i16;
        }
    }

    /// `y[i] = exp((x[i] - max) s) * 2^16 - 2^15`, cut to 16 bits; gives `Σ exp((x[i] - max) s)` in units of 2^-30, of which
    /// every element is cut. `factor` is `s log2 e` in units of 2^-38, below 2^31 - 2^22; no element is larger than `max`.
    ///
    /// The offset of 2^15 makes a signed halfword of it, which more cores can multiply.
    #[inline(always)]
    fn exp_s16_u16(self, row: InOut<'_, i16, u16>, max: i16, factor: i32) -> u64 {
        let offset = exponent_offset(max, factor);
        let mut sum = 0u64;
        row.map(|x| {
            let e = exp_s16_element(x, factor, offset);
            sum += u64::from(e);
            (e >> 14) as u16 ^ 0x8000
        });
        sum
    }

    /// `y[i] = (y[i] + 2^15 + 1/2) r` to nearest, for what [`QRows::exp_s16_u16`] leaves; `r` is `reciprocal / 2^30`, below 1.
    #[inline(always)]
    fn scale_u16(self, y: &mut [u16], reciprocal: i32) {
        let offset = scale_offset(reciprocal);
        for v in y {
            let product = (i64::from(reciprocal) * i64::from(*v as i16)) >> 16;
            *v = ((product as i32).wrapping_add(offset) >> 14) as u16;
        }
    }
}

/// Index of TFLite's table for a difference that is not positive: 65535 for 0, 0 for -65535 and below.
#[inline(always)]
pub(crate) fn table_index(difference: i32, scale: Multiplier) -> u16 {
    let (left, right) = shifts(scale);
    // Left of what can be shifted lies the table's end.
    let shifted = difference.max(i32::MIN >> left) << left;
    let product = ((i64::from(shifted) * i64::from(scale.mantissa) + (1 << 30)) >> 31) as i32;
    let scaled = crate::fixedpoint::rounding_shift_right(product, right);
    scaled.wrapping_add(65_535).clamp(0, 65_535) as u16
}

/// By how much the difference is shifted to the left, and its product to the right.
#[inline(always)]
pub(crate) fn shifts(scale: Multiplier) -> (u32, u32) {
    (scale.shift.clamp(0, 30) as u32, (-scale.shift.clamp(-31, 0)) as u32)
}

/// `t[i] = offset - (factor x[i] >> 16)` is the exponent of element `i` in units of 2^-22, plus one half.
#[inline(always)]
pub(crate) fn exponent_offset(max: i16, factor: i32) -> i32 {
    (1 << 21) - times_element(factor.wrapping_neg(), max)
}

/// SMLAWB without the sum.
#[inline(always)]
fn times_element(factor: i32, x: i16) -> i32 {
    ((i64::from(factor) * i64::from(x)) >> 16) as i32
}

#[inline(always)]
pub(crate) fn exp_s16_element(x: i16, factor: i32, offset: i32) -> u32 {
    let t = times_element(factor.wrapping_neg(), x).wrapping_add(offset) as u32;
    // The nearest integer and what is left of it. Beyond 2^-31 nothing is left, as the power itself is below 2.
    let k = (t >> 22).min(31);
    let f = ((t << 10) ^ (1 << 31)) as i32;
    exp2_short(f) as u32 >> k
}

/// What is added to every product, half a unit of the result included.
#[inline(always)]
pub(crate) fn scale_offset(reciprocal: i32) -> i32 {
    (((i64::from(reciprocal) * 65_537) >> 17) as i32).wrapping_add(1 << 13)
}
