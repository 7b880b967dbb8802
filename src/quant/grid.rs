//! A grid of powers: what all logarithmic quantizers share.
//!
//! ```text
//! B = 2^(num / den)      c = round(-log_B(x / s)), at least 0      c is the zero symbol from `codes` on
//! ```

use crate::error::{Error, Rule};
use crate::math::real;

/// Which symbols there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Symbols {
    /// `2^b` codes and a symbol for zero: `2^b + 1` symbols, as in the paper's code. They do not fit `b` bits.
    Full,
    /// `2^b - 1` codes; the top symbol stands for zero. It fits `b` bits.
    #[default]
    TopIsZero,
}

/// How a value half way between two codes is rounded. Such values exist only where a power of the base is one of 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ties {
    /// To the even code, as the paper's code.
    #[default]
    Even,
    /// To the larger code, as integer thresholds do.
    Up,
}

/// Smallest and largest scale: products with powers of the base stay in f64's normal range or are negligible.
const SCALES: (f64, f64) = (1.0 / (1u64 << 60) as f64, (1u64 << 60) as f64);

/// Base, scale and symbols.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Grid {
    /// The base is `2^(num / den)`.
    num: u32,
    den: u32,
    pub(super) scale: f64,
    pub(super) bits: u32,
    pub(super) symbols: Symbols,
    pub(super) ties: Ties,
}

impl Grid {
    pub(super) const fn new(num: u32, den: u32, bits: u32, scale: f64, symbols: Symbols) -> Result<Self, Error> {
        if bits < 2 || bits > 8 {
            return Err(Error::Config { what: Rule::Bits });
        }
        if !(scale >= SCALES.0 && scale <= SCALES.1) {
            return Err(Error::Config { what: Rule::Scale });
        }
        Ok(Self { num, den, scale, bits, symbols, ties: Ties::Even })
    }

    /// Number of codes that are not zero, and the symbol of zero.
    pub(super) const fn codes(&self) -> u16 {
        match self.symbols {
            Symbols::Full => 1 << self.bits,
            Symbols::TopIsZero => (1 << self.bits) - 1,
        }
    }

    /// Where code `j - 1` ends and `j` begins, for `j >= 1`: `s B^-(j - 1/2)`, and whether the value itself is a `j`.
    pub(super) const fn boundary(&self, j: u16) -> (f64, bool) {
        let (num, den) = ((2 * j as u32 - 1) * self.num, 2 * self.den);
        // Only where the exponent is a whole number can a value be half way.
        let whole = match (num.checked_rem(den), num.checked_div(den)) {
            (Some(0), Some(whole)) => whole,
            _ => return (self.scale * real::exp2(-(num as f64 / den as f64)), false),
        };
        let is_upper = match self.ties {
            Ties::Even => j.is_multiple_of(2),
            Ties::Up => true,
        };
        (self.scale * real::exp2(-(whole as f64)), is_upper)
    }

    /// `s B^-c`; 0 for the zero symbol.
    pub(super) const fn power(&self, code: u16) -> f64 {
        if code >= self.codes() {
            return 0.0;
        }
        self.scale * real::exp2(-((code as u32 * self.num) as f64 / self.den as f64))
    }

    /// The code of a real number; the zero symbol for what is not positive.
    pub(super) const fn code_of(&self, x: f64) -> u16 {
        if x <= 0.0 || x.is_nan() {
            return self.codes();
        }
        let mut code = 0;
        while code < self.codes() {
            let (edge, belongs) = self.boundary(code + 1);
            if x > edge || (x >= edge && !belongs) {
                break;
            }
            code += 1;
        }
        code
    }
}
