//! AdaLog: a logarithmic quantizer of any base (Wu et al. 2024, arXiv 2407.12951).
//!
//! ```text
//! r = 37      B = 2^(q/r)      M = 2^(b+1) - 2
//! c  = round(-log2(x / s) r / q), zero from the last code on
//! x^ = s m[c] / M 2^-e[c]      e[c] = floor(c q / r)      m[c] = round(M 2^-((c q mod r) / r))
//! ```
//! Two small tables and a shift give the value back. We changed: `q` from 1 on (the paper searches 10 to 137; from 6 bits on
//! smaller bases are better), zero itself is always the zero symbol (the paper's floor of 1e-15 makes it a code where the base
//! is large), and which symbol gives way so that `b` bits suffice is explicit.

use super::codec::{FixedCodec, LogCodec};
use super::grid::{Grid, Symbols, Ties};
use crate::error::{Error, Rule};
use crate::math::real;

/// The denominator `r` of the base's exponent.
const R: u32 = 37;

/// What the paper adds to GELU's output, whose minimum is -0.16997, so that none is negative.
pub const GELU_SHIFT: f64 = 0.169_971_242_547_035_22;

/// What is taken off again after a sum over shifted inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Shift {
    /// The shift itself, as the paper.
    Paper,
    /// The value of the code that the shift gets: the most frequent input, 0, then leaves no error.
    #[default]
    SelfConsistent,
}

/// A logarithmic quantizer: bits, base `2^(q/37)`, scale, symbols.
///
/// Values above `scale` get code 0, which is `scale`; 0, negative numbers and NaN get the zero symbol.
///
/// # Accuracy
/// Codes are those of real arithmetic. A value that is not clamped is off by at most a factor of `2^(q/74)`, and `1 + 2^-b` for
/// the rounded mantissa.
///
/// # Cost
/// 32 bytes. Tables are made from it by [`AdaLog::codec`] and the kernels' constructors.
///
/// # Example
/// ```
/// use scrimp::quant::{AdaLog, Symbols};
/// const ADALOG: AdaLog = scrimp::expect!(AdaLog::new(4, 25, 1.0, Symbols::TopIsZero));
/// assert_eq!((ADALOG.shift(5), ADALOG.mantissa(5)), (3, 23));
/// assert_eq!(ADALOG.code_of(0.1), 5);
/// assert_eq!(ADALOG.value(5), 23.0 / 30.0 / 8.0);
/// assert_eq!(ADALOG.weight(5, ADALOG.fraction_bits()), 2944);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AdaLog {
    grid: Grid,
    q: u32,
}

impl AdaLog {
    /// A quantizer of `bits` bits with base `2^(q/37)`.
    ///
    /// # Errors
    /// `Error::Config` unless `bits` is 2 to 8, `q` 1 to 137 and `scale` 2^-60 to 2^60.
    pub const fn new(bits: u32, q: u32, scale: f64, symbols: Symbols) -> Result<Self, Error> {
        if q < 1 || q > 137 {
            return Err(Error::Config { what: Rule::Base });
        }
        match Grid::new(q, R, bits, scale, symbols) {
            Ok(grid) => Ok(Self { grid, q }),
            Err(error) => Err(error),
        }
    }

    /// The same with another rule for ties.
    #[must_use]
    pub const fn with_ties(mut self, ties: Ties) -> Self {
        self.grid.ties = ties;
        self
    }

    /// Bits of a code.
    #[must_use]
    pub const fn bits(&self) -> u32 {
        self.grid.bits
    }

    /// The numerator of the base's exponent.
    #[must_use]
    pub const fn q(&self) -> u32 {
        self.q
    }

    /// The value of code 0.
    #[must_use]
    pub const fn scale(&self) -> f64 {
        self.grid.scale
    }

    /// Which symbols there are.
    #[must_use]
    pub const fn symbols(&self) -> Symbols {
        self.grid.symbols
    }

    /// Number of codes that are not zero, and so the symbol of zero.
    #[must_use]
    pub const fn codes(&self) -> u16 {
        self.grid.codes()
    }

    /// `e[c]`: by how much the mantissa of a code is shifted.
    #[must_use]
    pub const fn shift(&self, code: u16) -> u32 {
        code as u32 * self.q / R
    }

    /// `m[c]`: the mantissa of a code, of `b + 1` bits.
    #[must_use]
    pub const fn mantissa(&self, code: u16) -> u32 {
        let residue = code as u32 * self.q % R;
        real::round(self.largest_mantissa() as f64 * real::exp2(-(residue as f64 / R as f64))) as u32
    }

    /// `M`: the mantissa of 1.
    #[must_use]
    pub const fn largest_mantissa(&self) -> u32 {
        (2 << self.grid.bits) - 2
    }

    /// Fraction bits with which the largest weight still fits an i16.
    #[must_use]
    pub const fn fraction_bits(&self) -> u32 {
        match (i16::MAX as u32).checked_div(self.largest_mantissa()) {
            Some(factor) if factor > 0 => factor.ilog2(),
            _ => 0, // not reached
        }
    }

    /// `T[c]`: the value of a code in units of `s / (M 2^fraction_bits)`, ties upwards; 0 for the zero symbol. Cut to i16 with more
    /// than [`AdaLog::fraction_bits`].
    #[must_use]
    pub const fn weight(&self, code: u16, fraction_bits: u32) -> i16 {
        let shift = self.shift(code);
        if code >= self.codes() || shift > 31 {
            return 0;
        }
        let mantissa = (self.mantissa(code) as u64) << (fraction_bits & 31);
        let weight = (mantissa + ((1 << shift) >> 1)) >> shift;
        if weight > i16::MAX as u64 { i16::MAX } else { weight as i16 }
    }

    /// `s m[c] / M 2^-e[c]`; 0 for the zero symbol.
    #[must_use]
    pub const fn value(&self, code: u16) -> f64 {
        if code >= self.codes() {
            return 0.0;
        }
        let mantissa = self.mantissa(code) as f64 / self.largest_mantissa() as f64;
        self.grid.scale * mantissa * real::exp2(-(self.shift(code) as f64))
    }

    /// Where code `j` begins, and whether that value itself is a `j`.
    pub(super) const fn boundary(&self, j: u16) -> (f64, bool) {
        self.grid.boundary(j)
    }

    /// The code of a real number.
    #[must_use]
    pub const fn code_of(&self, x: f64) -> u16 {
        self.grid.code_of(x)
    }

    /// What is to be taken off for each input that was quantized as `x + shift`.
    #[must_use]
    pub const fn taken_off(&self, shift: f64, how: Shift) -> f64 {
        match how {
            Shift::Paper => shift,
            Shift::SelfConsistent => self.value(self.code_of(shift)),
        }
    }

    /// Its tables for rows of f32, 2 KiB.
    #[must_use]
    pub const fn codec(&self) -> LogCodec {
        let mut values = [0.0; 256];
        let mut code = 0;
        while code < self.codes() && code < 256 {
            values[code as usize] = self.value(code) as f32;
            code += 1;
        }
        LogCodec::new(&self.grid, values)
    }

    /// Its table for rows of unsigned integers in units of `unit`, 1 KiB.
    ///
    /// # Errors
    /// `Error::Config` unless `unit` is positive and finite.
    pub const fn fixed_codec(&self, unit: f64) -> Result<FixedCodec, Error> {
        FixedCodec::new(&self.grid, unit)
    }
}
