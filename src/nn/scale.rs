//! Multiplications by a [`Multiplier`] with TFLite's two roundings, for loops: what can be known before is.

use crate::fixedpoint::Multiplier;

/// `a b / 2^32`, to nearest, ties upwards: one instruction (SMMULR) where there is one. `a` twice the number, it is TFLite's
/// `SaturatingRoundingDoublingHighMul`.
#[inline(always)]
pub(super) const fn high(a: i32, b: i32) -> i32 {
    ((a as i64 * b as i64).wrapping_add(1 << 31) >> 32) as i32
}

/// A shift to the right by 0 to 31, to nearest, ties away from zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoundingShift {
    /// All but the last bit, so that half a step can be added without an overflow.
    before: u32,
    /// The last bit: 1, or 0 if nothing is shifted.
    last: u32,
    /// All ones if anything is shifted out: below zero a tie then goes downwards.
    sign: i32,
}

impl RoundingShift {
    #[inline(always)]
    pub(super) const fn new(by: u32) -> Self {
        let by = by & 31;
        let is_shift = if by == 0 { 0 } else { 1 };
        Self { before: by - is_shift, last: is_shift, sign: -(is_shift as i32) }
    }

    /// Whether nothing is shifted.
    #[inline(always)]
    pub(super) const fn is_none(&self) -> bool {
        self.last == 0
    }

    /// For `|x|` up to 2^30.
    #[inline(always)]
    pub(super) const fn of(self, x: i32) -> i32 {
        let doubled = x.wrapping_add(x >> 31 & self.sign) >> self.before;
        doubled.wrapping_add(self.last as i32) >> self.last
    }
}

/// `x m` as TFLite rounds it, for `|x|` up to 2^30; a shift to the left wraps around at 32 bits, as the reference's does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    left: u32,
    mantissa: i32,
    right: RoundingShift,
}

impl Scale {
    #[inline(always)]
    pub(super) const fn new(multiplier: Multiplier) -> Self {
        let Multiplier { mantissa, shift } = multiplier;
        let (left, right) = if shift > 0 { (shift as u32, 0) } else { (0, shift.unsigned_abs()) };
        Self { left: left & 31, mantissa, right: RoundingShift::new(right) }
    }

    #[inline(always)]
    pub(super) const fn of(self, x: i32) -> i32 {
        let product = ((x << self.left) as i64 * self.mantissa as i64).wrapping_add(1 << 30) >> 31;
        self.right.of(product as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::{RoundingShift, Scale, high};
    use crate::fixedpoint::{Multiplier, Rounding, requantize, rounding_shift_right, saturating_doubling_high_mul};

    #[test]
    fn shifts_and_products_are_the_plain_ones() {
        let numbers = [0, 1, 2, 3, 5, 127, 128, 1 << 15, (1 << 16) - 1, 65_025, (1 << 29) + 7, (1 << 30) - 1, 1 << 30];
        for x in numbers.into_iter().flat_map(|x: i32| [x, -x]) {
            for by in 0..32 {
                assert_eq!(RoundingShift::new(by).of(x), rounding_shift_right(x, by), "{x} >> {by}");
            }
            if x.abs() < 1 << 30 {
                for m in [0, 1 << 30, i32::MAX, 1_234_567_890] {
                    assert_eq!(high(2 * x, m), saturating_doubling_high_mul(x, m), "{x} {m}");
                }
            }
            for shift in -31..=30 {
                for mantissa in [0, 1 << 30, i32::MAX, 1_234_567_890] {
                    let m = Multiplier { mantissa, shift };
                    assert_eq!(Scale::new(m).of(x), requantize(x, m, Rounding::Double), "{x} {m:?}");
                }
            }
        }
    }
}
