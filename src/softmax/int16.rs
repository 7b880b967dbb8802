//! The 16-bit softmax of TFLite, TFLite Micro and CMSIS-NN, bit for bit.
//!
//! ```text
//! e_i = exp((x_i - max x) scale beta)        y_i = e_i / Σ_j e_j
//! ```
//! Exponential and reciprocal come from two tables of 513 entries with linear interpolation. The first ends at exp(-10):
//! whatever lies below counts as exp(-10), 2 units of 2^-15, so that many masked elements take a visible share away from
//! the others. That is the rule, and we keep it; [`SoftmaxQ`](super::SoftmaxQ) is the accurate form. What we changed: base
//! and slope of an interval stand in one word, and the exponentials wait for their sum in the output row.

use super::each_row_q::{self, RowOf};
use crate::backend::{Auto, Backend, Dispatch, InOut};
use crate::error::{Error, Rule};
use crate::fixedpoint::{Multiplier, reciprocal_s16};
use crate::shape::Rows;

/// Softmax of rows of i16 by TFLite's rule: `y[r][c] = exp(s x[r][c]) / Σ_j exp(s x[r][j])`, with `s = scale * beta`.
///
/// `x`: `rows x cols`, i16 in units of `scale`, any zero point; `y`: the same shape, i16 in units of 2^-15.
///
/// # Accuracy
/// TFLite's reference kernel bit for bit, for rows of up to 65,536 columns. Against the exact softmax that is up to 477
/// units of 2^-15 at 256 columns; see [`SoftmaxQ`](super::SoftmaxQ).
///
/// # Cost
/// Instructions an element at 64 / 256 / 1000 columns: 20.5 / 18.5 / 18.1 on Cortex-M4,
/// 8.9 / 7.4 / 7.0 on M55 (Helium).
///
/// # Example
/// ```
/// use scrimp::{Rows, SoftmaxS16};
/// static SOFTMAX: SoftmaxS16 = scrimp::expect!(SoftmaxS16::new(1.0 / 2048.0, 1.0));
/// let mut y = [0; 4];
/// SOFTMAX.run(&[4096, 2048, 0, -2048], &mut y, Rows::one(4)?)?;
/// assert_eq!(y, [21_098, 7_763, 2_855, 1_051]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SoftmaxS16 {
    /// From a difference to the table's 65,535 steps.
    scale: Multiplier,
}

impl SoftmaxS16 {
    /// For logits in units of `scale`, multiplied by `beta`.
    ///
    /// # Errors
    /// `Error::Config` unless `scale * beta` is positive and below 2^31 * 10/65535. The upper half of that range counts
    /// as its middle, as in TFLite.
    pub const fn new(scale: f64, beta: f64) -> Result<Self, Error> {
        match Multiplier::from_real(scale * beta / (10.0 / 65_535.0)) {
            Some(Multiplier { mantissa, shift }) => Self::from_multiplier(mantissa, shift),
            None => Err(Error::Config { what: Rule::Scale }),
        }
    }

    /// From TFLite's integers: `scale * beta / (10/65535) = multiplier / 2^31 * 2^shift`; a positive `shift` is one to the
    /// left.
    ///
    /// # Errors
    /// `Error::Config` if `multiplier` is negative or `shift` outside -31 to 30.
    pub const fn from_multiplier(multiplier: i32, shift: i32) -> Result<Self, Error> {
        if multiplier < 0 || shift < -31 || shift > 30 {
            return Err(Error::Config { what: Rule::Scale });
        }
        Ok(Self { scale: Multiplier { mantissa: multiplier, shift } })
    }

    /// Softmax of each row.
    ///
    /// # Errors
    /// `Error::Length` if `x` or `y` is not `rows x cols`, `Error::TooLarge` beyond 65,536 columns; `y` is then untouched.
    pub fn run(&self, x: &[i16], y: &mut [i16], rows: Rows) -> Result<(), Error> {
        self.run_on(Auto, x, y, rows)
    }

    /// [`SoftmaxS16::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SoftmaxS16::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i16], y: &mut [i16], rows: Rows) -> Result<(), Error> {
        each_row_q::apart(backend, *self, x, y, rows)
    }

    /// [`SoftmaxS16::run`] that overwrites its input.
    ///
    /// # Errors
    /// As [`SoftmaxS16::run`]; `x` is then untouched.
    pub fn run_in_place(&self, x: &mut [i16], rows: Rows) -> Result<(), Error> {
        self.run_in_place_on(Auto, x, rows)
    }

    /// [`SoftmaxS16::run_in_place`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SoftmaxS16::run_in_place`].
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [i16], rows: Rows) -> Result<(), Error> {
        each_row_q::in_place(backend, *self, x, rows)
    }
}

impl RowOf<i16, i16> for SoftmaxS16 {
    #[inline(always)]
    fn run<B: Backend>(self, b: B, mut row: InOut<'_, i16>) {
        let max = b.max_s16(row.input());
        let sum = b.exp_s16(row.again(), max, self.scale);
        // The largest element alone is 32762, so there are 17 leading zeros at most; 65,536 of them leave one.
        let zeros = sum.leading_zeros();
        let shifted = (u64::from(sum) << (zeros.wrapping_sub(1) & 31)).wrapping_add(1 << 13) >> 14;
        // From 1 to 2, of which the table takes what is above 1.
        let index = shifted.saturating_sub(1 << 16).min(65_535) as u16;
        b.scale_s16(row.output(), reciprocal_s16(index), 31u32.wrapping_sub(zeros));
    }
}
