//! The fixed-point softmax: three passes, "reload" form, as exact as its output format.
//!
//! ```text
//! m = max x_j        e_i = exp((x_i - m) unit)        y_i = e_i / Σ_j e_j
//! ```
//! The algorithm is algorithm 2 of Dukhan and Ablavatski 2020 (arXiv 2001.04438) in integers: `e_i = 2^-t` with the integer
//! part of `t` a shift and its fraction a polynomial; the sum has room for 65,536 elements of 46 bits; one reciprocal a row.
//! The exponentials wait for their sum in the output row, cut to its width. Cutting puts them in the middle of a known
//! unit, which is what the last pass multiplies.

use super::each_row_q::{self, RowOf};
use crate::backend::{Auto, Backend, Dispatch, InOut};
use crate::error::{Error, Rule};
use crate::fixedpoint::{Log2Scale, Logit, ONE, Probability, reciprocal};
use crate::shape::Rows;

/// Longest row whose sum may be made of elements cut to 30 bits: all cuts together are below 2^-20 of the sum.
const SHORT_ROW: usize = 1024;

/// Softmax of rows in fixed point: `y[r][c] = exp(unit x[r][c]) / Σ_j exp(unit x[r][j])`.
///
/// `x`: `rows x cols`, `i8`, `i16` or `i32`, in units of `unit`; `y`: the same shape, `u8`, `u16` or `u32`, all of whose bits
/// are fractional.
///
/// # Accuracy
/// Less than 1 unit of `y` for `u8` and `u16`, 2^-24 for `u32`, for every input and rows of up to 65,536 columns; a
/// probability of 1 gives the largest number. The same bytes on every backend.
///
/// # Cost
/// Instructions an element of `i16` to `u16` at 64 / 256 / 1000 columns: 21.5 / 19.3 / 18.9 on Cortex-M4,
/// 10.4 / 8.5 / 8.0 on M55 (Helium). That is for a `unit` of 2^-8 or less and rows of up to 1,024 columns; other formats take a general form.
///
/// # Example
/// ```
/// use scrimp::{Rows, SoftmaxQ};
/// static SOFTMAX: SoftmaxQ = scrimp::expect!(SoftmaxQ::new(8)); // i16 with 8 fractional bits
/// let mut y = [0u16; 2];
/// SOFTMAX.run(&[256i16, 0], &mut y, Rows::one(2)?)?;
/// assert_eq!(y, [47_910, 17_625]); // of 65536: 47910.7 and 17625.3
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SoftmaxQ {
    pub(super) scale: Log2Scale,
}

impl SoftmaxQ {
    /// For logits with `fraction_bits` fractional bits.
    ///
    /// # Errors
    /// `Error::Config` if there are more than 31.
    pub const fn new(fraction_bits: u32) -> Result<Self, Error> {
        if fraction_bits > 31 {
            return Err(Error::Config { what: Rule::Scale });
        }
        Self::from_scale(1.0 / (1u64 << fraction_bits) as f64)
    }

    /// For logits in units of `unit`, any real number: a quantized tensor's scale times beta.
    ///
    /// # Errors
    /// `Error::Config` unless `unit` is positive and finite.
    pub const fn from_scale(unit: f64) -> Result<Self, Error> {
        match Log2Scale::new(unit) {
            Some(scale) => Ok(Self { scale }),
            None => Err(Error::Config { what: Rule::Scale }),
        }
    }

    /// Softmax of each row.
    ///
    /// # Errors
    /// `Error::Length` if `x` or `y` is not `rows x cols`, `Error::TooLarge` beyond 65,536 columns; `y` is then untouched.
    pub fn run<X: Logit, Y: Probability>(&self, x: &[X], y: &mut [Y], rows: Rows) -> Result<(), Error> {
        self.run_on(Auto, x, y, rows)
    }

    /// [`SoftmaxQ::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SoftmaxQ::run`].
    pub fn run_on<D: Dispatch, X: Logit, Y: Probability>(
        &self,
        backend: D,
        x: &[X],
        y: &mut [Y],
        rows: Rows,
    ) -> Result<(), Error> {
        if rows.cols() <= SHORT_ROW
            && let Some(factor) = self.scale.short()
            && let (Some(x), Some(y)) = (X::as_s16(x), Y::as_u16(y))
        {
            return each_row_q::apart(backend, Short { factor }, x, y, rows);
        }
        each_row_q::apart(backend, *self, x, y, rows)
    }
}

/// Every pair of formats and every row.
impl<X: Logit, Y: Probability> RowOf<X, Y> for SoftmaxQ {
    #[inline(always)]
    fn run<B: Backend>(self, _: B, mut row: InOut<'_, X, Y>) {
        let max = row.input().iter().fold(i32::MIN, |max, x| max.max(x.widen()));
        let mut sum = 0u64;
        row.again().map(|x| {
            let e = self.scale.exp_of_difference(max.wrapping_sub(x.widen()) as u32);
            sum = sum.wrapping_add(e);
            Y::from_top((e >> 14) as u32)
        });
        // `Σ e = top * 2^(32 - zeros)` in units of 2^-46.
        let zeros = sum.leading_zeros();
        let r = reciprocal((sum.wrapping_shl(zeros) >> 32) as u32);
        // A sum of just one would make one of the half unit that 0 stands for.
        let r = u64::from(if zeros > 17 { r.min(ONE as u32) } else { r });
        // `1 / Σ e = r / 2^shift`, at most 18 zeros, and none only if the row is longer than it can be.
        let shift = 48u32.wrapping_sub(zeros) & 63;
        let offset = (r >> 1).wrapping_add((1u64 << shift) >> 1);
        // One element alone, the others too small to count. Only 32 bits are so many that the product shows what `ONE` lacks.
        let is_alone = Y::BITS == 32 && sum == self.scale.exp_of_difference(0);
        for y in row.output() {
            let product = (u64::from(y.widen()) * r).wrapping_add(offset);
            *y = Y::saturate(if is_alone && y.widen() > 0 { u64::MAX } else { product >> shift });
        }
    }
}

/// i16 to u16 where 32-bit arithmetic is enough.
#[derive(Clone, Copy)]
struct Short {
    factor: i32,
}

impl RowOf<i16, u16> for Short {
    #[inline(always)]
    fn run<B: Backend>(self, b: B, mut row: InOut<'_, i16, u16>) {
        let max = b.max_s16(row.input());
        let sum = b.exp_s16_u16(row.again(), max, self.factor);
        // `Σ e = top * 2^(32 - zeros)` in units of 2^-30; the largest element alone leaves 34 zeros.
        let zeros = sum.leading_zeros();
        let r = reciprocal((sum.wrapping_shl(zeros) >> 32) as u32);
        // A sum of just one would give 2^30.
        let r = r.wrapping_shr(34u32.wrapping_sub(zeros)).min(ONE as u32);
        b.scale_u16(row.output(), r as i32);
    }
}
