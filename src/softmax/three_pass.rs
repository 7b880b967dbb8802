//! The three-pass softmax, "reload" form: maximum; exponentials, kept, and their sum; scaling.
//!
//! ```text
//! m = max x_j        e_i = exp(x_i - m)        y_i = e_i / Σ_j e_j
//! ```
//! One exponential an element and one division a row (Dukhan and Ablavatski 2020, arXiv 2001.04438, call it
//! algorithm 2). Partial sums run in blocks that are merged in f64, so that the error does not grow with the row.

use crate::backend::{Auto, Backend, Dispatch, InOut, Kernel};
use crate::error::{Arg, Error};
use crate::shape::Rows;

/// Softmax of each row: `y[r][c] = exp(x[r][c]) / Σ_j exp(x[r][j])`.
///
/// `x`, `y`: `rows x cols`, f32, dimensionless. `-inf` gives exactly 0; a row of only `-inf` gives zeros; a row with a
/// NaN or `+inf` gives NaN.
///
/// # Accuracy
/// At most 1.5e-6 relative plus 2^-126 (against f64, `tests/accuracy.rs`).
///
/// # Errors
/// `Error::Length` if `x` or `y` is not `rows x cols`; `y` is then untouched.
///
/// # Example
/// Two rows of two:
/// ```
/// let mut y = [0.0; 4];
/// scrimp::softmax_f32(&[0.0, 0.0, f32::NEG_INFINITY, 7.0], &mut y, scrimp::Rows::new(2, 2)?)?;
/// assert_eq!(y, [0.5, 0.5, 0.0, 1.0]);
/// # Ok::<(), scrimp::Error>(())
/// ```
pub fn softmax_f32(x: &[f32], y: &mut [f32], rows: Rows) -> Result<(), Error> {
    softmax_f32_on(Auto, x, y, rows)
}

/// [`softmax_f32`] under a backend of your choice.
///
/// # Errors
/// As [`softmax_f32`].
pub fn softmax_f32_on<D: Dispatch>(backend: D, x: &[f32], y: &mut [f32], rows: Rows) -> Result<(), Error> {
    rows.check(Arg::X, x.len())?;
    rows.check(Arg::Y, y.len())?;
    backend.run(ThreePass { rows: InOut::apart(x, y), cols: rows.cols() });
    Ok(())
}

/// [`softmax_f32`] that overwrites its input; the same accuracy.
///
/// # Errors
/// `Error::Length` if `x` is not `rows x cols`; it is then untouched.
pub fn softmax_f32_in_place(x: &mut [f32], rows: Rows) -> Result<(), Error> {
    softmax_f32_in_place_on(Auto, x, rows)
}

/// [`softmax_f32_in_place`] under a backend of your choice.
///
/// # Errors
/// As [`softmax_f32_in_place`].
pub fn softmax_f32_in_place_on<D: Dispatch>(backend: D, x: &mut [f32], rows: Rows) -> Result<(), Error> {
    rows.check(Arg::X, x.len())?;
    backend.run(ThreePass { rows: InOut::in_place(x), cols: rows.cols() });
    Ok(())
}

struct ThreePass<'a> {
    rows: InOut<'a, f32>,
    cols: usize,
}

impl Kernel for ThreePass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<B: Backend>(self, b: B) {
        let Self { mut rows, cols } = self;
        while !rows.is_empty() {
            one_row(b, rows.split_off_front(cols.max(1)));
        }
    }
}

/// Softmax of one row.
#[inline(always)]
pub(crate) fn row_in_place<B: Backend>(b: B, row: &mut [f32]) {
    one_row(b, InOut::in_place(row));
}

#[inline(always)]
fn one_row<B: Backend>(b: B, mut row: InOut<'_, f32>) {
    let max = b.max_f32(row.input());
    if max == f32::NEG_INFINITY {
        // All masked, or a NaN among the masked, which the maximum skipped.
        let nan = row.input().iter().any(|v| v.is_nan());
        row.output().fill(if nan { f32::NAN } else { 0.0 });
        return;
    }
    let sum = b.exp_and_sum(row.again(), max);
    b.scale_f32(row.output(), 1.0 / sum);
}
