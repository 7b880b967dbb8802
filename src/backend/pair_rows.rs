//! Rows of two 8-bit operands: sums, differences and products, as TFLite rounds them.
//!
//! ```text
//! y = clamp(RDPOT(SRDHM(v, mantissa), right) + zero_point)
//! ```
//! where `v` is the product of two codes less their zero points, or the sum of two such numbers on a common scale. Of the two
//! operands of a sum the one with the larger scale gets there by a plain shift, as half of its scale to itself is exact.

#![cfg_attr(not(target_arch = "arm"), allow(dead_code, reason = "only devices have loops of their own"))]

use super::InOut;
use crate::fixedpoint::{Multiplier, Rounding, requantize};

/// From `v` to a code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outputs {
    pub(crate) mantissa: i32,
    /// 1 to 22.
    pub(crate) right: u32,
    pub(crate) zero_point: i32,
    pub(crate) min: i8,
    pub(crate) max: i8,
}

/// From a code to the scale of a sum: `sign RDPOT(SRDHM((x - zero_point) 2^20, mantissa), right)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    pub(crate) zero_point: i32,
    pub(crate) mantissa: i32,
    /// 1 to 31; or 0 with a mantissa of a half, so that nothing is rounded.
    pub(crate) right: u32,
    pub(crate) sign: i32,
}

impl Term {
    /// Whether it is a plain shift by 19.
    #[inline(always)]
    pub(crate) const fn is_exact(&self) -> bool {
        self.right == 0
    }

    const fn is_plain(&self) -> bool {
        self.right <= 31 && (self.right > 0 || self.mantissa == 1 << 30)
    }

    /// On the scale of the sum.
    pub(crate) const fn of(&self, code: i8) -> i32 {
        let multiplier = Multiplier { mantissa: self.mantissa, shift: (self.right as i32).wrapping_neg() };
        let shifted = (code as i32).wrapping_sub(self.zero_point) << 20;
        requantize(shifted, multiplier, Rounding::Double).wrapping_mul(self.sign)
    }
}

/// A second operand: a code for each of the first, or one for all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Other<'a> {
    Each(&'a [i8]),
    One(i8),
}

/// A sum of two terms, one of which is exact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SumS8 {
    pub(crate) first: Term,
    pub(crate) second: Term,
    pub(crate) outputs: Outputs,
}

impl SumS8 {
    /// `None` if a number is outside of what loops take.
    #[inline(always)]
    pub(crate) const fn new(first: Term, second: Term, outputs: Outputs) -> Option<Self> {
        let is_plain = first.is_plain() && second.is_plain() && outputs.is_plain();
        if is_plain && (first.is_exact() || second.is_exact()) { Some(Self { first, second, outputs }) } else { None }
    }
}

/// `v = (x - zero_points[0]) (other - zero_points[1])`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProductS8 {
    pub(crate) zero_points: [i32; 2],
    pub(crate) outputs: Outputs,
}

impl ProductS8 {
    /// `None` if a number is outside of what loops take.
    #[inline(always)]
    pub(crate) const fn new(zero_points: [i32; 2], outputs: Outputs) -> Option<Self> {
        if outputs.is_plain() { Some(Self { zero_points, outputs }) } else { None }
    }
}

/// `v = (x k + c)²`: a square of the difference to one code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SquareS8 {
    pub(crate) k: i32,
    pub(crate) c: i32,
    pub(crate) outputs: Outputs,
}

impl SquareS8 {
    /// `None` if a number is outside of what loops take.
    #[inline(always)]
    pub(crate) const fn new(k: i32, c: i32, outputs: Outputs) -> Option<Self> {
        if outputs.is_plain() { Some(Self { k, c, outputs }) } else { None }
    }
}

impl Outputs {
    const fn is_plain(&self) -> bool {
        self.right >= 1 && self.right <= 22 && self.mantissa >= 0
    }
}

/// What a backend can speed up with two operands. Every backend gives the same bytes.
pub(crate) trait PairRows: Copy {
    /// Whether there are loops; without them no other method does anything.
    const HAS_PAIR_LOOPS: bool = false;

    /// A row of sums.
    #[inline(always)]
    fn add_pairs_s8(self, _of: &SumS8, _row: InOut<'_, i8>, _other: Other<'_>) {}

    /// A row of products.
    #[inline(always)]
    fn multiply_pairs_s8(self, _of: &ProductS8, _row: InOut<'_, i8>, _other: Other<'_>) {}

    /// A row of squares, none of which reaches 2^30.
    #[inline(always)]
    fn square_s8(self, _of: &SquareS8, _row: InOut<'_, i8>) {}
}
