//! The uniform quantizer with a zero point, as AdaLog uses it for everything that is not logarithmic.
//!
//! ```text
//! u = clamp(round(x / s) + z, 0, 2^b - 1)      x^ = (u - z) s
//! ```
//! Ties of the rounding go to the even number, before the zero point is added.

use crate::error::{Arg, Error, Rule, length};

/// A uniform quantizer of 2 to 8 bits with unsigned codes.
///
/// # Accuracy
/// The quotient is rounded to f32 first, as in PyTorch.
///
/// # Example
/// ```
/// use scrimp::quant::Uniform;
/// const UNIFORM: Uniform = scrimp::expect!(Uniform::new(4, 0.5, 6));
/// let mut codes = [0; 4];
/// UNIFORM.encode(&[-9.0, 0.0, 0.75, 9.0], &mut codes)?;
/// assert_eq!(codes, [0, 6, 8, 15]);
/// let mut x = [0.0; 4];
/// UNIFORM.decode(&codes, &mut x)?;
/// assert_eq!(x, [-3.0, 0.0, 1.0, 4.5]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Uniform {
    bits: u32,
    scale: f32,
    zero_point: u8,
}

impl Uniform {
    /// A quantizer of `bits` bits; `zero_point` is the code of 0.
    ///
    /// # Errors
    /// `Error::Config` unless `bits` is 2 to 8, `scale` positive and finite, and `zero_point` below `2^bits`.
    pub const fn new(bits: u32, scale: f32, zero_point: u8) -> Result<Self, Error> {
        if bits < 2 || bits > 8 {
            return Err(Error::Config { what: Rule::Bits });
        }
        if !(scale >= f32::MIN_POSITIVE && scale <= f32::MAX) {
            return Err(Error::Config { what: Rule::Scale });
        }
        if zero_point as u32 >= 1 << bits {
            return Err(Error::Config { what: Rule::ZeroPoint });
        }
        Ok(Self { bits, scale, zero_point })
    }

    /// The code of each element; NaN gets the zero point.
    ///
    /// # Errors
    /// `Error::Length` if `codes` is not as long as `x`; `codes` is then untouched.
    pub fn encode(&self, x: &[f32], codes: &mut [u8]) -> Result<(), Error> {
        length(Arg::Codes, x.len(), codes.len())?;
        let most = (1i32 << self.bits) - 1;
        for (&x, code) in x.iter().zip(codes) {
            // A cast saturates, and makes 0 of NaN.
            let steps = libm::rintf(x / self.scale) as i32;
            *code = steps.saturating_add(i32::from(self.zero_point)).min(most).max(0) as u8;
        }
        Ok(())
    }

    /// The value of each code.
    ///
    /// # Errors
    /// `Error::Length` if `x` is not as long as `codes`; `x` is then untouched.
    pub fn decode(&self, codes: &[u8], x: &mut [f32]) -> Result<(), Error> {
        length(Arg::X, codes.len(), x.len())?;
        for (&code, x) in codes.iter().zip(x) {
            *x = f32::from(i16::from(code) - i16::from(self.zero_point)) * self.scale;
        }
        Ok(())
    }
}
