//! Log-softmax of 8-bit logits, with the bytes of TFLite's reference kernel.
//!
//! ```text
//! y_i = 16 (a_i - ln Σ_j exp(a_j)) + 127,    a_i = scale (x_i - max x)
//! ```
//! The sum is the one of softmax, by the same table (`int8`); its logarithm is taken once a row in fixed point, and each
//! output is one multiplication and one subtraction in Q5.26. From `Σ exp(x - max) = 4096` on the reference's sum
//! overflows: it is then halved until it fits, and `ln 2` added for each halving.

use super::exp_table::Distance;
use super::int8::{check, sum_q19};
use crate::backend::{Auto, Backend, Dispatch, InOut, Kernel, S8Row, Weights};
use crate::error::Error;
use crate::fixedpoint::{Multiplier, ln_of_at_least_one, rounding_shift_right, saturating_doubling_high_mul};
use crate::shape::Rows;

/// Log-softmax of i8 rows.
///
/// `x`: `rows x cols`, any zero point, `scale` the distance of one step. `y`: in units of 1/16 with zero point 127, so -15.9
/// at least. Rows of up to 65,536.
///
/// # Accuracy
/// The bytes of TFLite's reference kernel, on every backend, while `Σ exp(x - max)` is below 4096; beyond, the sum in Q12.19
/// is halved until it fits.
///
/// # Cost
/// Instructions an element for rows of 64 / 256 / 1000 full-range logits, QEMU: 54.5 / 50.4 / 20.7 on Cortex-M4,
/// 43.8 / 40.5 / 15.8 on Cortex-M55. 1 KiB for the table.
///
/// # Example
/// ```
/// use scrimp::{LogSoftmaxS8, Rows};
/// static LOG_SOFTMAX: LogSoftmaxS8 = scrimp::expect!(LogSoftmaxS8::new(1.0 / 16.0));
/// let mut y = [0; 2];
/// LOG_SOFTMAX.run(&[49, -5], &mut y, Rows::one(2)?)?;
/// assert_eq!(y, [126, 72]); // -1/16 and -55/16
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LogSoftmaxS8 {
    table: Weights,
    line: Line,
}

/// What the outputs need beside the sum.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Line {
    distance: Distance,
    /// From Q5.26 back to steps of the input.
    back: Multiplier,
}

impl LogSoftmaxS8 {
    /// The log-softmax of `scale * x`.
    ///
    /// # Errors
    /// `Error::Config` unless `scale` is above 2^-26.
    pub const fn new(scale: f64) -> Result<Self, Error> {
        match Distance::from_scale(scale, 1.0) {
            Ok(distance) => Ok(Self { table: distance.table(), line: Line::new(distance) }),
            Err(error) => Err(error),
        }
    }

    /// Log-softmax of each row.
    ///
    /// # Errors
    /// `Error::Length` if `x` or `y` is not `rows x cols`, `Error::TooLarge` for more than 65,536 columns; `y` is then
    /// untouched.
    #[inline]
    pub fn run(&self, x: &[i8], y: &mut [i8], rows: Rows) -> Result<(), Error> {
        self.run_on(Auto, x, y, rows)
    }

    /// [`LogSoftmaxS8::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`LogSoftmaxS8::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i8], y: &mut [i8], rows: Rows) -> Result<(), Error> {
        check(rows, x.len(), y.len())?;
        backend.dispatch(Log { softmax: self, matrix: InOut::apart(x, y), cols: rows.cols() });
        Ok(())
    }

    /// [`LogSoftmaxS8::run`] that overwrites its input.
    ///
    /// # Errors
    /// As [`LogSoftmaxS8::run`]; `x` is then untouched.
    #[inline]
    pub fn run_in_place(&self, x: &mut [i8], rows: Rows) -> Result<(), Error> {
        self.run_in_place_on(Auto, x, rows)
    }

    /// [`LogSoftmaxS8::run_in_place`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`LogSoftmaxS8::run_in_place`].
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [i8], rows: Rows) -> Result<(), Error> {
        check(rows, x.len(), x.len())?;
        backend.dispatch(Log { softmax: self, matrix: InOut::in_place(x), cols: rows.cols() });
        Ok(())
    }
}

struct Log<'a> {
    softmax: &'a LogSoftmaxS8,
    matrix: InOut<'a, i8>,
    cols: usize,
}

/// From this length on a row gets a table of its 256 outputs.
const TABLE_FROM: usize = 256;

impl Kernel for Log<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(mut self, b: B) {
        let LogSoftmaxS8 { table, line } = self.softmax;
        while !self.matrix.is_empty() {
            let row = S8Row::below_max(b, self.matrix.split_off_front(self.cols));
            let ln = ln_of_sum(sum_q19(b, row.values(), table));
            let least = line.least(ln);
            if row.len() >= TABLE_FROM {
                let mut below = 0u8;
                let mut outputs = [i8::MIN; 256];
                for y in outputs.iter_mut().rev() {
                    *y = line.output(below, ln, least);
                    below = below.wrapping_add(1);
                }
                row.look_up(&outputs);
            } else {
                let top = row.top() as u8;
                row.into_rows().map(|x| line.output(top.wrapping_sub(x as u8), ln, least));
            }
        }
    }
}

/// `ln` of a sum in Q12.19, in Q5.26.
const fn ln_of_sum(sum: u64) -> i32 {
    const LN_2: i32 = 46_516_320;
    let halvings = 33u32.saturating_sub(sum.leading_zeros());
    let ln = ln_of_at_least_one(sum.wrapping_shr(halvings) as i32);
    ln.wrapping_add((halvings as i32).wrapping_mul(LN_2))
}

impl Line {
    const fn new(distance: Distance) -> Self {
        // TFLite's `PreprocessLogSoftmaxScalingExp`: 2^(31 - shift) / mantissa.
        let real = (1u64 << (31 - distance.shift())) as f64 / distance.mantissa() as f64;
        let back = match Multiplier::from_real(real) {
            Some(back) => back,
            None => Multiplier { mantissa: 0, shift: 0 },
        };
        Self { distance, back }
    }

    /// The distance, not positive, from which on `a_i - ln` leaves Q5.26 or is negligible.
    #[inline(always)]
    const fn least(&self, ln: i32) -> i32 {
        let Multiplier { mantissa, shift } = self.back;
        let farthest = ln.wrapping_add(i32::MIN);
        let left = if shift > 0 { shift as u32 } else { 0 };
        let right = if shift < 0 { shift.unsigned_abs() } else { 0 };
        let steps = rounding_shift_right(saturating_doubling_high_mul(farthest.wrapping_shl(left), mantissa), right);
        let negligible = self.distance.diff_min().wrapping_sub(1);
        if steps > negligible { steps } else { negligible }
    }

    /// The output of an element that is `below` the largest.
    #[inline(always)]
    fn output(&self, below: u8, ln: i32, least: i32) -> i8 {
        if -i32::from(below) <= least {
            return i8::MIN;
        }
        let Some(exponent) = self.distance.exponent(below) else { return i8::MIN };
        let y = rounding_shift_right(exponent.wrapping_sub(ln), 22).wrapping_add(127);
        y.clamp(i8::MIN.into(), i8::MAX.into()) as i8
    }
}
