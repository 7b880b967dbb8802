//! The exponentials of 8-bit softmax: a table of 256 entries for a scale of the input.
//!
//! A row's elements enter softmax only as distances from its largest, and of those there are 256. TFLite's optimized
//! kernels have used a 256-entry table of exponentials for years (f32, or split into bytes), and XNNPACK has one of `u32`
//! for 8-bit softmax. What is ours: the entries are the very Q0.31 numbers that TFLite's *reference* arrives at, so that
//! its bytes are kept; they are made in `const fn`, so that the table can live in flash; they ascend, so that a signed
//! element is the index; and each has 2048 added, half a unit of the Q12.19 they are summed in, so that rounding is one
//! shift.

use crate::backend::{HALF_Q19, Weights};
use crate::error::{Error, Rule};
use crate::fixedpoint::{Multiplier, exp_on_negative_values, saturating_doubling_high_mul};

/// How a distance from the largest element becomes an exponent in Q5.26: `(d << shift) * mantissa / 2^31`, and negligible
/// below `diff_min`. TFLite's three integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Distance {
    mantissa: i32,
    shift: u32,
    diff_min: i32,
}

const BAD: Error = Error::Config { what: Rule::Scale };

impl Distance {
    /// For a distance of `scale * beta` a step, as TFLite's `PreprocessSoftmaxScaling` has it.
    pub(crate) const fn from_scale(scale: f64, beta: f64) -> Result<Self, Error> {
        const MOST: f64 = 2_147_483_647.0;
        if !(scale > 0.0 && beta > 0.0) {
            return Err(BAD);
        }
        let real = beta * scale * (1u64 << 26) as f64;
        // The reference takes no multiplier up to 1 either; an infinite product is cut to the largest.
        if real <= 1.0 {
            return Err(BAD);
        }
        let real = if real < MOST { real } else { MOST };
        // Half of it, as `Multiplier` ends below 2^30.
        let Some(half) = Multiplier::from_real(real / 2.0) else { return Err(BAD) };
        let shift = (half.shift + 1) as u32 & 31;
        Ok(Self { mantissa: half.mantissa, shift, diff_min: -((31i64 << 26 >> shift) as i32) })
    }

    /// From TFLite's integers.
    pub(crate) const fn from_multiplier(mantissa: i32, shift: i32, diff_min: i32) -> Result<Self, Error> {
        if mantissa <= 0 || shift < 0 || shift > 31 || diff_min > 0 {
            return Err(BAD);
        }
        let farthest = if diff_min < -255 { -255 } else { diff_min };
        if (farthest as i64) << shift < i32::MIN as i64 {
            return Err(BAD); // beyond Q5.26
        }
        Ok(Self { mantissa, shift: shift as u32, diff_min })
    }

    /// The exponent, in Q5.26, of an element `below` the largest; `None` if it is negligible.
    pub(crate) const fn exponent(self, below: u8) -> Option<i32> {
        let difference = -(below as i32);
        if difference < self.diff_min {
            return None;
        }
        Some(saturating_doubling_high_mul(difference.wrapping_shl(self.shift), self.mantissa))
    }

    /// Fills the table.
    pub(crate) const fn fill(self, table: &mut Weights) {
        let mut below = 0;
        while below < 256 {
            table[255 - below] = HALF_Q19
                + match self.exponent(below as u8) {
                    Some(exponent) => exp_on_negative_values(exponent) as u32,
                    None => 0,
                };
            below += 1;
        }
    }

    /// A table.
    pub(crate) const fn table(self) -> Weights {
        let mut table = [0; 256];
        self.fill(&mut table);
        table
    }

    pub(crate) const fn mantissa(self) -> i32 {
        self.mantissa
    }

    pub(crate) const fn shift(self) -> u32 {
        self.shift
    }

    pub(crate) const fn diff_min(self) -> i32 {
        self.diff_min
    }
}
