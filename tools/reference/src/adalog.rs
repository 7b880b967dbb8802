//! AdaLog (arXiv 2407.12951) in f64, straight from its definition: codes, tables, attention with codes, GELU codes.

/// The denominator of the base's exponent.
const R: f64 = 37.0;

/// A quantizer of `bits` bits with base `2^(q/37)`.
#[derive(Clone, Copy, Debug)]
pub struct AdaLog {
    /// Bits of a code.
    pub bits: u32,
    /// The numerator of the base's exponent.
    pub q: u32,
    /// The value of code 0.
    pub scale: f64,
    /// Whether there are `2^bits` codes besides zero, or one less.
    pub full: bool,
}

impl AdaLog {
    /// The zero symbol.
    #[must_use]
    pub fn zero(&self) -> u32 {
        (1 << self.bits) - u32::from(!self.full)
    }

    /// `-log_B(x / s)`, before it is rounded.
    #[must_use]
    pub fn level(&self, x: f64) -> f64 {
        -(x / self.scale).min(1.0).log2() * R / f64::from(self.q)
    }

    /// The code, ties to even.
    #[must_use]
    pub fn code(&self, x: f64) -> u32 {
        if x > 0.0 { self.limit(self.level(x).round_ties_even()) } else { self.zero() }
    }

    fn limit(&self, level: f64) -> u32 {
        if level >= f64::from(self.zero()) { self.zero() } else { level.max(0.0) as u32 }
    }

    /// The mantissa of 1.
    #[must_use]
    pub fn largest_mantissa(&self) -> u32 {
        (1 << (self.bits + 1)) - 2
    }

    /// The shift of a code.
    #[must_use]
    pub fn shift(&self, code: u32) -> u32 {
        code * self.q / 37
    }

    /// The mantissa of a code.
    #[must_use]
    pub fn mantissa(&self, code: u32) -> u32 {
        (f64::from(self.largest_mantissa()) * (-f64::from(code * self.q % 37) / R).exp2()).round() as u32
    }

    /// The pre-shifted weight of a code.
    #[must_use]
    pub fn weight(&self, code: u32, fraction_bits: u32) -> i64 {
        if code >= self.zero() {
            return 0;
        }
        let shift = self.shift(code);
        // A u128 has room for every mantissa; beyond, nothing is left.
        let half = if shift == 0 { 0 } else { 1u128.checked_shl(shift - 1).unwrap_or(0) };
        let sum = (u128::from(self.mantissa(code)) << fraction_bits) + half;
        sum.checked_shr(shift).unwrap_or(0) as i64
    }

    /// The value of a code.
    #[must_use]
    pub fn value(&self, code: u32) -> f64 {
        if code >= self.zero() {
            return 0.0;
        }
        let mantissa = f64::from(self.mantissa(code)) / f64::from(self.largest_mantissa());
        self.scale * mantissa * (-f64::from(self.shift(code))).exp2()
    }

    /// Max-anchored codes of a row of logits, ties upwards; `None` is masked.
    #[must_use]
    pub fn anchored(&self, logits: &[Option<i64>], unit: f64) -> Vec<u32> {
        let Some(max) = logits.iter().flatten().max() else { return vec![self.zero(); logits.len()] };
        let kappa = unit * core::f64::consts::LOG2_E * R / f64::from(self.q);
        let code = |l: &i64| self.limit((kappa * (max - l) as f64 + 0.5).floor());
        logits.iter().map(|l| l.as_ref().map_or(self.zero(), code)).collect()
    }

    /// The paper's codes of a row's softmax, before they are rounded; `None` is masked.
    #[must_use]
    pub fn softmax_levels(&self, logits: &[Option<i64>], unit: f64) -> Vec<Option<f64>> {
        let max = logits.iter().flatten().max().copied().unwrap_or(0);
        let exp = |l: i64| (unit * (l - max) as f64).exp();
        let sum: f64 = logits.iter().flatten().map(|&l| exp(l)).sum();
        // In logarithms, as an exponential may be too small.
        let octaves = |l: i64| unit * (max - l) as f64 * core::f64::consts::LOG2_E + sum.log2() + self.scale.log2();
        logits.iter().map(|l| l.map(|l| octaves(l) * R / f64::from(self.q))).collect()
    }
}

/// `x Phi(x)`.
#[must_use]
pub fn gelu(x: f64) -> f64 {
    0.5 * x * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2)
}
