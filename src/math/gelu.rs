//! GELU in its exact (erf) form: `gelu(x) = x * Phi(x)`, `Phi` the normal distribution function.
//!
//! `Phi(x) = 1/2 + x p(u)`, `u = 2 x^2 / 25 - 1`, with `p` of degree 12, minimax on `|x| <= 5` for the error of the
//! product; 0 and 1 beyond. No division and no exponential, which vector units of microcontrollers lack.
//! The coefficients are our own fit (reweighted least squares on Chebyshev nodes).

use super::Arith;

/// Beyond it `Phi` is 0 or 1 to within the stated error.
const EDGE: f32 = 5.0;

const P: [f32; 13] = [
    0.141_363_78,
    -0.070_296_65,
    0.051_521_42,
    -0.040_432_95,
    0.031_426_23,
    -0.023_336_738,
    0.016_497_666,
    -0.010_973_211,
    0.006_165_405_7,
    -0.002_915_697_6,
    0.002_001_889,
    -0.001_514_143_1,
    0.000_492_957_3,
];

/// `x * Phi(x)`; NaN for NaN.
///
/// # Accuracy
/// At most 2e-6 absolute (`tests/accuracy.rs`).
#[inline(always)]
#[must_use]
pub fn gelu<A: Arith>(a: A, x: f32) -> f32 {
    let u = a.fma(x * x, 2.0 / (EDGE * EDGE), -1.0);
    let mut p = P[12];
    let mut i = P.len() - 1;
    while i > 0 {
        i -= 1;
        p = a.fma(p, u, P[i]);
    }
    let inner = x * a.fma(x, p, 0.5);
    if x > EDGE {
        x
    } else if x < -EDGE {
        0.0
    } else {
        inner
    }
}
