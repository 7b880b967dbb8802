//! Codes of base sqrt 2 (RepQ-ViT, Li et al. 2023, arXiv 2212.08254): a shift, and a factor for odd codes.
//!
//! ```text
//! c = round(-2 log2(x / s)), zero from the last code on      x^ = s 2^(-c/2)
//! ```
//! The scale is the caller's (RepQ-ViT takes one of three percentiles).

use super::codec::{FixedCodec, LogCodec};
use super::grid::{Grid, Symbols};
use crate::error::Error;

/// The quantizer of base sqrt 2.
///
/// # Example
/// ```
/// use scrimp::quant::{LogSqrt2, Symbols};
/// static CODEC: scrimp::quant::LogCodec = scrimp::expect!(LogSqrt2::new(4, 1.0, Symbols::TopIsZero)).codec();
/// let mut codes = [0u8; 4];
/// CODEC.encode(&[1.0, 0.3, 0.01, 0.0], &mut codes)?;
/// assert_eq!(codes, [0, 3, 13, 15]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LogSqrt2(Grid);

impl LogSqrt2 {
    /// A quantizer of `bits` bits.
    ///
    /// # Errors
    /// `Error::Config` unless `bits` is 2 to 8 and `scale` 2^-60 to 2^60.
    pub const fn new(bits: u32, scale: f64, symbols: Symbols) -> Result<Self, Error> {
        match Grid::new(1, 2, bits, scale, symbols) {
            Ok(grid) => Ok(Self(grid)),
            Err(error) => Err(error),
        }
    }

    /// `s 2^(-c/2)`; 0 for the zero symbol.
    #[must_use]
    pub const fn value(&self, code: u16) -> f64 {
        self.0.power(code)
    }

    /// Its tables for rows of f32, 2 KiB.
    #[must_use]
    pub const fn codec(&self) -> LogCodec {
        LogCodec::of_powers(&self.0)
    }

    /// Its table for rows of unsigned integers in units of `unit`, 1 KiB.
    ///
    /// # Errors
    /// `Error::Config` unless `unit` is positive and finite.
    pub const fn fixed_codec(&self, unit: f64) -> Result<FixedCodec, Error> {
        FixedCodec::new(&self.0, unit)
    }
}
