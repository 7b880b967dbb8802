//! The two roundings of TFLite's integer kernels (gemmlowp's `SaturatingRoundingDoublingHighMul` and
//! `RoundingDivideByPOT`).

/// `a * b / 2^31`, to nearest, ties upwards; the one product that does not fit, of `i32::MIN` with itself, gives
/// `i32::MAX`.
///
/// ```
/// use scrimp::fixedpoint::saturating_doubling_high_mul;
/// assert_eq!(saturating_doubling_high_mul(1 << 30, 6), 3);
/// assert_eq!(saturating_doubling_high_mul(i32::MIN, i32::MIN), i32::MAX);
/// ```
#[inline(always)]
#[must_use]
pub const fn saturating_doubling_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    // gemmlowp nudges by 2^30, or 1 - 2^30 below zero, and truncates: that is a floor after adding 2^30.
    ((a as i64 * b as i64 + (1 << 30)) >> 31) as i32
}

/// `x / 2^shift`, to nearest, ties away from zero; `shift` is taken modulo 32.
///
/// ```
/// use scrimp::fixedpoint::rounding_shift_right;
/// assert_eq!([5, 6, 7, -5, -6, -7].map(|x| rounding_shift_right(x, 2)), [1, 2, 2, -1, -2, -2]);
/// ```
#[inline(always)]
#[must_use]
pub const fn rounding_shift_right(x: i32, shift: u32) -> i32 {
    let mask = 1i32.wrapping_shl(shift).wrapping_sub(1);
    let threshold = (mask >> 1) + (x < 0) as i32;
    x.wrapping_shr(shift) + ((x & mask) > threshold) as i32
}
