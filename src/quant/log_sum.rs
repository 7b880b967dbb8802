//! The logarithm of a row's sum of exponentials, with a table of 16 powers and no exponential: the one number by which
//! AdaLog's codes of a softmax differ from a uniform quantization of its logits.
//!
//! ```text
//! S = Σ_k 2^(-log2(e) unit D_k)      Lambda = (r / q) (log2 S + log2 s)
//! ```
//! Exponents are rounded to sixteenths: of `S` that is 2.2 % a term and mostly averages out.

use crate::error::{Error, Rule};
use crate::math::real;

/// `2^(-i/16)` in units of 2^-15.
const POWERS: [u16; 16] = powers();
/// `log2(1 + i/32)` in units of 2^-16.
const LOGARITHMS: [u32; 33] = logarithms();

const fn powers() -> [u16; 16] {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        table[i] = real::round(32_768.0 * real::exp2(-(i as f64) / 16.0)) as u16;
        i += 1;
    }
    table
}

const fn logarithms() -> [u32; 33] {
    let mut table = [0; 33];
    let mut i = 0;
    while i < 33 {
        table[i] = real::round(65_536.0 * real::log2(1.0 + i as f64 / 32.0)) as u32;
        i += 1;
    }
    table
}

/// Sums up exponentials and takes their logarithm.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct LogSum {
    /// Sixteenths of an octave of a distance: `(distance * factor + half) >> shift`.
    factor: i32,
    shift: u32,
    /// Units of the code's product in 2^-16 octaves, in units of 2^-16.
    an_octave: i64,
    /// `log2 s` in units of 2^-16.
    log2_scale: i64,
}

impl LogSum {
    /// For logits of `octaves = unit log2 e` a step, and codes whose products have `1 << code_shift` in one.
    pub(super) const fn new(octaves: f64, q: u32, scale: f64, code_shift: u32) -> Result<Self, Error> {
        let mut shift = 31;
        while shift > 1 && 16.0 * octaves * (1u64 << shift) as f64 >= (1u64 << 30) as f64 {
            shift -= 1;
        }
        let factor = real::round(16.0 * octaves * (1u64 << shift) as f64);
        if factor < 1 || factor > i32::MAX as i64 {
            return Err(Error::Config { what: Rule::Scale });
        }
        Ok(Self {
            factor: factor as i32,
            shift,
            an_octave: real::round(37.0 / q as f64 * (1u64 << code_shift) as f64),
            log2_scale: real::round(real::log2(scale) * 65_536.0),
        })
    }

    /// `2^(-octaves distance)` in units of 2^-15.
    #[inline(always)]
    pub(super) fn term(&self, distance: i32) -> u32 {
        let half = 1i64.wrapping_shl(self.shift.wrapping_sub(1));
        let product = i64::from(distance).wrapping_mul(i64::from(self.factor)).wrapping_add(half);
        let sixteenths = product.wrapping_shr(self.shift) as u64;
        if sixteenths >= 256 {
            return 0;
        }
        u32::from(POWERS[(sixteenths & 15) as usize]).wrapping_shr((sixteenths >> 4) as u32)
    }

    /// Lambda in units of the code's product, for a sum of terms that is not zero.
    #[inline(always)]
    pub(super) fn lambda(&self, sum: u32) -> i64 {
        let sum = sum.max(1);
        let zeros = sum.leading_zeros();
        // 1.f, with five bits of f in the index and eleven between two entries.
        let fraction = sum.wrapping_shl(zeros) << 1 >> 16;
        let at = (fraction >> 11 & 31) as usize;
        let rest = fraction & 0x7FF;
        let (low, high) = (LOGARITHMS[at], LOGARITHMS[at + 1]);
        let log2 = i64::from(31 - zeros as i32 - 15) * 65_536 + i64::from(low + (((high - low) * rest) >> 11));
        (log2 + self.log2_scale).wrapping_mul(self.an_octave) >> 16
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "53 bits are enough")]
mod tests {
    use super::LogSum;

    #[test]
    fn terms_and_logarithms() {
        let sum = LogSum::new(0.01, 37, 1.0, 31).unwrap();
        for d in 0..4000 {
            let exact = 32_768.0 * libm::exp2(-0.01 * f64::from(d));
            assert!((f64::from(sum.term(d)) - exact).abs() < 0.022 * exact + 1.0, "{d}");
        }
        assert_eq!((sum.term(0), sum.term(i32::MAX)), (32_768, 0));
        for s in (32_768..u32::MAX).step_by(65_537) {
            let exact = libm::log2(f64::from(s)) - 15.0;
            assert!((sum.lambda(s) as f64 / (1u64 << 31) as f64 - exact).abs() < 3e-4, "{s}");
        }
    }
}
