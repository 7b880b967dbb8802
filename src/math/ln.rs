//! The natural logarithm in two parts, so that differences of logarithms keep their digits.
//!
//! `v = 2^e m`, `sqrt(1/2) <= m < sqrt(2)`, `t = m - 1`, `ln m = t + t^2 p(t)` with `p` of degree 7, minimax for the
//! absolute error (6.5e-9 before rounding); our own fit (reweighted least squares on Chebyshev nodes).

use super::Arith;

/// sqrt(1/2), rounded down.
const LOWEST: u32 = 0x3F35_04F3;
const ONE: u32 = 1.0f32.to_bits();
const P: [f32; 8] = [
    f32::from_bits(0xBEFF_FFFA),
    f32::from_bits(0x3EAA_ABD6),
    f32::from_bits(0xBE80_0344),
    f32::from_bits(0x3E4C_5333),
    f32::from_bits(0xBE29_7EF4),
    f32::from_bits(0x3E19_634D),
    f32::from_bits(0xBE13_E27F),
    f32::from_bits(0x3DB2_DD54),
];

/// `e` and `ln m` of a positive finite `v`, denormal or not; `ln v = e ln 2 + ln m`.
///
/// # Accuracy
/// `ln m` is off by at most 4e-8.
#[inline(always)]
#[must_use]
pub(crate) fn ln_parts<A: Arith>(a: A, v: f32) -> (f32, f32) {
    // A denormal is its bits times 2^-149; as an integer, so that nothing flushes it.
    let is_denormal = v.to_bits() < f32::MIN_POSITIVE.to_bits();
    let bits = if is_denormal { (v.to_bits() as f32).to_bits() } else { v.to_bits() };
    let bias = if is_denormal { 127 + 149 } else { 127 };
    let shifted = bits.wrapping_add(ONE - LOWEST);
    let e = (shifted >> 23).cast_signed().wrapping_sub(bias);
    let m = f32::from_bits((shifted & 0x007F_FFFF) + LOWEST);
    let t = m - 1.0;
    let mut p = P[7];
    p = a.fma(p, t, P[6]);
    p = a.fma(p, t, P[5]);
    p = a.fma(p, t, P[4]);
    p = a.fma(p, t, P[3]);
    p = a.fma(p, t, P[2]);
    p = a.fma(p, t, P[1]);
    p = a.fma(p, t, P[0]);
    (e as f32, a.fma(t * t, p, t))
}
