//! Rows of length one (TFLite's `L2_NORMALIZATION`).

use super::code::check;
use super::scale::Scale;
use crate::backend::{Auto, Backend, Dispatch, InOut, Kernel};
use crate::error::{Arg, Error};
use crate::fixedpoint::{Multiplier, Quantization, inverse_sqrt};
use crate::shape::Rows;

/// Most elements of a row: their squares fit 31 bits.
const MOST_COLS: usize = 1 << 15;

/// `y = x / sqrt(Σ x²)` of each row of i8, in units of 1/128: `clamp(m(2^7 / sqrt(Σ x'²)) x')` with `x' = x - z1`.
///
/// # Accuracy
/// The bytes of TFLite's reference kernel, on every backend, up to 32,768 columns. A row of zeros stays one.
///
/// # Example
/// ```
/// use scrimp::{Quantization, Rows};
/// use scrimp::nn::L2NormS8;
/// static NORM: L2NormS8 = scrimp::expect!(L2NormS8::new(Quantization::new(0.1, -1)));
/// let mut y = [2, 3];
/// NORM.run_in_place(&mut y, Rows::one(2)?)?; // 3, 4
/// assert_eq!(y, [77, 102]); // 3/5, 4/5
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct L2NormS8 {
    zero_point: i32,
}

impl L2NormS8 {
    /// Of a tensor that is quantized so; only the zero point counts.
    ///
    /// # Errors
    /// `Error::Config` if the scale or zero point is not usable.
    pub const fn new(x: Quantization) -> Result<Self, Error> {
        match check::<i8>(x) {
            Ok(()) => Ok(Self { zero_point: x.zero_point }),
            Err(error) => Err(error),
        }
    }

    /// Writes the rows to `y`.
    ///
    /// # Errors
    /// `Error::Length` if `x` or `y` is not `rows x cols`, `Error::TooLarge` beyond 32,768 columns; `y` is then untouched.
    pub fn run(&self, x: &[i8], y: &mut [i8], rows: Rows) -> Result<(), Error> {
        self.run_on(Auto, x, y, rows)
    }

    /// [`L2NormS8::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`L2NormS8::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i8], y: &mut [i8], rows: Rows) -> Result<(), Error> {
        check_rows(rows, x.len(), y.len())?;
        backend.dispatch(EachRow { zero_point: self.zero_point, cols: rows.cols(), all: InOut::apart(x, y) });
        Ok(())
    }

    /// Writes the rows over the input.
    ///
    /// # Errors
    /// As [`L2NormS8::run`]; `x` is then untouched.
    pub fn run_in_place(&self, x: &mut [i8], rows: Rows) -> Result<(), Error> {
        self.run_in_place_on(Auto, x, rows)
    }

    /// [`L2NormS8::run_in_place`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`L2NormS8::run`]; `x` is then untouched.
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [i8], rows: Rows) -> Result<(), Error> {
        check_rows(rows, x.len(), x.len())?;
        backend.dispatch(EachRow { zero_point: self.zero_point, cols: rows.cols(), all: InOut::in_place(x) });
        Ok(())
    }
}

fn check_rows(rows: Rows, x: usize, y: usize) -> Result<(), Error> {
    rows.check(Arg::X, x)?;
    rows.check(Arg::Y, y)?;
    if rows.cols() > MOST_COLS {
        return Err(Error::TooLarge { what: Arg::Cols, max: MOST_COLS, got: rows.cols() });
    }
    Ok(())
}

struct EachRow<'a> {
    zero_point: i32,
    cols: usize,
    all: InOut<'a, i8>,
}

impl Kernel for EachRow<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(mut self, _: B) {
        while !self.all.is_empty() && self.cols > 0 {
            let row = self.all.split_off_front(self.cols);
            let above = |x: i8| i32::from(x).wrapping_sub(self.zero_point);
            let sum = row.input().iter().fold(0i32, |sum, &x| {
                let x = above(x);
                sum.wrapping_add(x.wrapping_mul(x))
            });
            let inverse = inverse_sqrt(sum);
            let scale = Scale::new(Multiplier { mantissa: inverse.mantissa, shift: inverse.shift + 7 });
            row.map(|x| scale.of(above(x)).clamp(-128, 127) as i8);
        }
    }
}
