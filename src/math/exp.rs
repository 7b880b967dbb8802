//! `exp` for the arguments that a softmax has: never above 0, as the row's maximum was taken off.
//!
//! `x = n ln 2 + t`, `|t| <= ln2/2`, `exp(x) = 2^n p(t)`. `n` is rounded by adding 1.5 * 2^23, `ln 2` is taken off in two
//! parts of which the first has nine trailing zero bits, so that `n * hi` is exact without a fused multiply-add (Cody and
//! Waite 1980); `p` starts with exactly `1 + t`, so that only its small terms are rounded; `2^n` is put together from bits.

use super::Arith;

pub(super) const LOG2_E: f32 = core::f32::consts::LOG2_E;
/// 0x1.62E400p-1
pub(super) const LN2_HI: f32 = f32::from_bits(0x3F31_7200);
/// 0x1.7F7D1Cp-20
pub(super) const LN2_LO: f32 = f32::from_bits(0x35BF_BE8E);
/// Adding it leaves the nearest integer in the low mantissa bits.
pub(super) const ROUND: f32 = 12_582_912.0;
/// Below it the result would be denormal and is 0; -0x1.5D589Ep6.
pub(crate) const LOWEST: f32 = f32::from_bits(0xC2AE_AC4F);
/// `1 + t + t^2 (...)`, degree 6, minimax for the relative error (1.06 * 2^-28 before rounding); our own fit.
const P: [f32; 7] = [
    1.0,
    1.0,
    f32::from_bits(0x3EFF_FFFE),
    f32::from_bits(0x3E2A_AA49),
    f32::from_bits(0x3D2A_AC79),
    f32::from_bits(0x3C09_1D10),
    f32::from_bits(0x3AB5_11E7),
];

/// `e^x` for `x <= 0`; NaN for NaN, 0 for `-inf` and wherever the result would be denormal.
///
/// # Accuracy
/// At most 2 ULP (`tests/exhaustive.rs`, every f32 in `[-87.34, 0]`).
#[inline(always)]
#[must_use]
pub fn exp<A: Arith>(a: A, x: f32) -> f32 {
    exp_of_sum(a, x, 0.0)
}

/// `e^(x - y)` for `x <= y`, without the rounding of the difference: of `x - y = -80` alone it would cost 4e-6.
///
/// # Accuracy
/// As [`exp`]. The part that the subtraction lost (Knuth's TwoSum) joins the reduced argument.
#[inline(always)]
#[must_use]
pub fn exp_of_difference<A: Arith>(a: A, x: f32, y: f32) -> f32 {
    let d = x - y;
    let back = d - x;
    let lost = (x - (d - back)) - (y + back);
    exp_of_sum(a, d, lost)
}

/// `e^(x + tail)`, the tail less than an ulp of `x`; where the result is 0 the tail may be anything.
#[inline(always)]
fn exp_of_sum<A: Arith>(a: A, x: f32, tail: f32) -> f32 {
    let shifted = a.fma(x, LOG2_E, ROUND);
    let n = shifted - ROUND;
    let t = a.fma(n, -LN2_LO, a.fma(n, -LN2_HI, x)) + tail;
    let p = polynomial_of_exp(a, t);
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if is_below_lowest(x) { 0.0 } else { p * power }
}

/// `e^t` for `|t| <= ln2/2`.
#[inline(always)]
pub(super) fn polynomial_of_exp<A: Arith>(a: A, t: f32) -> f32 {
    let mut p = P[6];
    p = a.fma(p, t, P[5]);
    p = a.fma(p, t, P[4]);
    p = a.fma(p, t, P[3]);
    p = a.fma(p, t, P[2]);
    p = a.fma(p, t, P[1]);
    p = a.fma(p, t, P[0]);
    p
}

/// `x < LOWEST`, and false for NaN. In bits, as LLVM (rustc 1.95, 1.96) compiles `x < constant` for Helium to a comparison
/// that is true for NaN.
#[inline(always)]
fn is_below_lowest(x: f32) -> bool {
    const FIRST: u32 = LOWEST.to_bits() + 1;
    const LAST: u32 = f32::NEG_INFINITY.to_bits();
    x.to_bits().wrapping_sub(FIRST) <= LAST - FIRST
}

/// `1 / (1 + e^-x)`; NaN for NaN.
#[inline(always)]
#[must_use]
pub fn sigmoid<A: Arith>(a: A, x: f32) -> f32 {
    let e = exp(a, -x.abs());
    let small = e / (1.0 + e);
    if x < 0.0 { small } else { 1.0 - small }
}
