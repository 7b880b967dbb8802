//! `exp` as a pair `(m, n)` that means `m 2^n`, so that nothing overflows and no maximum has to be known before
//! (Dukhan and Ablavatski 2020, arXiv 2001.04438, section 4: "ExtExp").
//!
//! ```text
//! n = round(x log2 e)     t = x - n ln 2     m = p(t) in [sqrt(1/2), sqrt 2]
//! (a, i) + (b, j) = (a 2^(i-k) + b 2^(j-k), k)     k = max(i, j)
//! ```
//! What we changed: the identity is `(0, -1e30)` and not `(0, -inf)`, which would make `-inf + inf`; sums have an f64
//! mantissa, so that their error does not grow with the row; the polynomial is our own fit, and so is the range in which
//! `n` and `t` are taken for exact ([`Ext::is_exact`]), beyond which a kernel takes the row's maximum off instead.

use super::Arith;
use super::exp::{LN2_HI, LN2_LO, LOG2_E, ROUND, polynomial_of_exp};

/// A number `m 2^n`; `n` is an integer.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ext {
    /// Mantissa.
    pub m: f64,
    /// Exponent, far beyond that of an f64.
    pub n: f32,
}

impl Ext {
    /// The identity of [`Ext::plus`].
    pub const ZERO: Self = Self { m: 0.0, n: -1e30 };

    /// The sum; scaling by powers of two is exact, so only the addition rounds.
    #[inline(always)]
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let n = if self.n > other.n { self.n } else { other.n };
        Self { m: self.m * power_of_two(self.n - n) + other.m * power_of_two(other.n - n), n }
    }

    /// Whether a sum of exponentials is as exact as the arithmetic `A` makes it: it is a positive number, and the largest
    /// of its terms lies where `x - n ln 2` is exact.
    #[inline(always)]
    #[must_use]
    pub fn is_exact<A: Arith>(self) -> bool {
        self.m > 0.0 && self.m < 1e300 && self.n.abs() <= largest_exponent::<A>()
    }
}

/// `n ln 2`'s first part is exact up to here: a fused multiply-add takes any product, others one of 24 bits.
pub(crate) const fn largest_exponent<A: Arith>() -> f32 {
    if A::FUSED { 131_072.0 } else { 370.0 }
}

/// `2^d` for an integer `d <= 0`; 0 where an f64 has no such normal number.
#[inline(always)]
fn power_of_two(d: f32) -> f64 {
    if d < -1022.0 { 0.0 } else { f64::from_bits(((1023 + d as i64) as u64) << 52) }
}

/// `e^t`, `|t| <= ln2/2`, degree 5 with `p(0) = 1`, minimax for the error in ULP: 1.07 before rounding, 1.91 after it (all
/// arguments up to 256, `tests/exhaustive.rs`).
const P: [f32; 6] = [
    1.0,
    f32::from_bits(0x3F7F_FFF7),
    f32::from_bits(0x3EFF_FEE1),
    f32::from_bits(0x3E2A_AEA2),
    f32::from_bits(0x3D2B_9DC7),
    f32::from_bits(0x3C07_5D1E),
];

/// `log2 e`, minus the two parts of `ln 2`, and the polynomial from its constant upwards, for hand-written loops.
#[inline(always)]
#[allow(dead_code, reason = "for hand-written loops")]
pub(crate) const fn ext_coefficients() -> [f32; 9] {
    [LOG2_E, -LN2_HI, -LN2_LO, P[0], P[1], P[2], P[3], P[4], P[5]]
}

/// The least argument that is looked at: what lies below is as far from a sum that [`Ext::is_exact`] as makes it 0.
const LOWEST: f32 = -2.5e6;

/// `e^x` as `(m, n)`.
///
/// # Accuracy
/// `m 2^n` is within 2 ULP of `e^x` while `|n| <= 131072` (370 where `fma` rounds twice); below -2.5e6 it is some
/// number that small, NaN and `+inf` give NaN for `m`.
#[inline(always)]
#[must_use]
pub fn ext_exp<A: Arith>(a: A, x: f32) -> (f32, f32) {
    let x = if x < LOWEST { LOWEST } else { x };
    let n = a.fma(x, LOG2_E, ROUND) - ROUND;
    (mantissa(a, x, n), n)
}

#[inline(always)]
fn mantissa<A: Arith>(a: A, x: f32, n: f32) -> f32 {
    let t = a.fma(n, -LN2_LO, a.fma(n, -LN2_HI, x));
    if !A::FUSED {
        // Two roundings a step leave no room for the error of degree 5: it came to 2.2 ULP.
        return polynomial_of_exp(a, t);
    }
    let mut p = P[5];
    p = a.fma(p, t, P[4]);
    p = a.fma(p, t, P[3]);
    p = a.fma(p, t, P[2]);
    p = a.fma(p, t, P[1]);
    a.fma(p, t, P[0])
}

/// Exponentials as multiples of one power of two `2^n`: `e^x / 2^n` where no `x` has an exponent above `n`.
///
/// Adding `shift` to `x log2 e` rounds it and leaves `n_x - n + 127`, the bits of `2^(n_x - n)`, in the low mantissa.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Below {
    shift: f32,
    lowest: f32,
}

impl Below {
    /// What is added to `x log2 e`.
    #[inline(always)]
    #[allow(dead_code, reason = "for hand-written loops")]
    pub(crate) const fn shift(self) -> f32 {
        self.shift
    }

    /// What smaller arguments are taken for.
    #[inline(always)]
    #[allow(dead_code, reason = "for hand-written loops")]
    pub(crate) const fn lowest(self) -> f32 {
        self.lowest
    }

    /// `n` from `-2^21` to `2^21`.
    #[inline(always)]
    pub(crate) fn new(n: f32) -> Self {
        Self { shift: ROUND + 127.0 - n, lowest: (n - 127.0) * core::f32::consts::LN_2 }
    }

    /// `(m, 2^(n_x - n))`, whose product is `e^x / 2^n`; the power is 0 from `2^-127` on downwards. `m` is NaN for NaN.
    #[inline(always)]
    pub(crate) fn exp<A: Arith>(self, a: A, x: f32) -> (f32, f32) {
        let x = if self.lowest > x { self.lowest } else { x };
        let shifted = a.fma(x, LOG2_E, self.shift);
        (mantissa(a, x, shifted - self.shift), f32::from_bits(shifted.to_bits() << 23))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::ArithOps;

    #[derive(Clone, Copy)]
    struct Plain;
    impl ArithOps for Plain {}

    #[test]
    fn pairs_of_the_paper() {
        for (x, m, n) in [
            (0.0, 1.0, 0),
            (1.0, 1.359_140_9, 1),
            (2.0, 0.923_632, 3),
            (3.0, 1.255_346_3, 4),
            (5.0, 1.159_477_8, 7),
            (-1.0, 0.735_758_9, -1),
        ] {
            let (got, exponent) = ext_exp(Plain, x);
            assert!(
                (got - m).abs() <= 3e-7 && exponent.to_bits() == (n as f32).to_bits(),
                "exp({x}): {got} 2^{exponent}"
            );
        }
        assert!(ext_exp(Plain, f32::NAN).0.is_nan() && ext_exp(Plain, f32::INFINITY).0.is_nan());
    }

    #[test]
    fn sums() {
        let sum = Ext { m: 1.5, n: 3.0 }.plus(Ext { m: 1.25, n: 5.0 });
        assert_eq!(sum, Ext { m: 1.625, n: 5.0 });
        assert_eq!(sum.plus(Ext::ZERO), sum);
        assert_eq!(Ext::ZERO.plus(sum), sum);
        assert_eq!(Ext::ZERO.plus(Ext::ZERO), Ext::ZERO);
    }
}
