//! From a sum of products to a quantized output: times a real number that a [`Multiplier`] stands for, rounded.

use super::{Multiplier, rounding_shift_right, saturating_doubling_high_mul};

/// How often a requantization rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rounding {
    /// TFLite's default: the high half of the product is rounded, and what is shifted out of it once more.
    #[default]
    Double,
    /// TFLite's `TFLITE_SINGLE_ROUNDING`: one shift of the whole product, half up.
    Single,
}

/// `x * multiplier`, rounded, for a mantissa of either sign and a shift of -31 to 30.
///
/// A left shift wraps around at 32 bits, as it does in TFLite's reference kernels and CMSIS-NN; with [`Rounding::Single`]
/// what does not fit is saturated.
///
/// ```
/// use scrimp::fixedpoint::{Multiplier, Rounding, requantize};
/// let half = Multiplier { mantissa: 1 << 30, shift: -1 }; // 1/4
/// assert_eq!(requantize(-6, half, Rounding::Double), -2);
/// assert_eq!(requantize(-6, half, Rounding::Single), -1);
/// ```
#[inline(always)]
#[must_use]
pub const fn requantize(x: i32, multiplier: Multiplier, rounding: Rounding) -> i32 {
    let Multiplier { mantissa, shift } = multiplier;
    match rounding {
        Rounding::Double => {
            let (left, right) = if shift > 0 { (shift as u32, 0) } else { (0, shift.unsigned_abs()) };
            rounding_shift_right(saturating_doubling_high_mul(x.wrapping_shl(left), mantissa), right)
        }
        Rounding::Single => {
            let total = 31i32.wrapping_sub(shift) as u32;
            let half = 1i64.wrapping_shl(total.wrapping_sub(1));
            saturated((x as i64).wrapping_mul(mantissa as i64).wrapping_add(half).wrapping_shr(total))
        }
    }
}

/// `x * multiplier`, rounded, as TFLite and CMSIS-NN do it for 16-bit activations: the mantissa is first rounded to 16 bits,
/// and the 64-bit product shifted once, half up. For a shift of -31 to 14, and `x` of 47 bits; a result beyond 32 bits wraps
/// around, as theirs does.
///
/// ```
/// use scrimp::fixedpoint::{Multiplier, requantize_s64};
/// assert_eq!(requantize_s64(-6, Multiplier { mantissa: 1 << 30, shift: -1 }), -1);
/// ```
#[inline(always)]
#[must_use]
pub const fn requantize_s64(x: i64, multiplier: Multiplier) -> i32 {
    let Multiplier { mantissa, shift } = multiplier;
    let rounded = (mantissa as i64 + (1 << 15)) >> 16;
    let reduced = if rounded > 0x7FFF { 0x7FFF } else { rounded };
    let total = 15i32.wrapping_sub(shift) as u32;
    let half = 1i64.wrapping_shl(total.wrapping_sub(1));
    x.wrapping_mul(reduced).wrapping_add(half).wrapping_shr(total) as i32
}

#[inline(always)]
const fn saturated(x: i64) -> i32 {
    if x > i32::MAX as i64 {
        i32::MAX
    } else if x < i32::MIN as i64 {
        i32::MIN
    } else {
        x as i32
    }
}
