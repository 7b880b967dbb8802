//! The plain softmax: the fastest form for this length on this backend.
//!
//! Rows that are out of cache take two passes ([`F32Rows::TWO_PASS_FROM`]); others do without a maximum where a backend has
//! such a form and their exponentials fit an f32 as they are ([`F32Rows::softmax_of_plain`]), and three passes where not. The
//! measured crossovers stand in `backend/<name>.md`.
//!
//! [`F32Rows::TWO_PASS_FROM`]: crate::backend::F32Rows::TWO_PASS_FROM
//! [`F32Rows::softmax_of_plain`]: crate::backend::F32Rows::softmax_of_plain

use super::MaskedRow;
use super::each_row::{self, RowWork};
use super::three_pass::three_pass;
use super::two_pass::two_pass;
use crate::backend::{Auto, Backend, Dispatch, InOut};
use crate::error::Error;
use crate::shape::Rows;

/// Softmax of each row: `y[r][c] = exp(x[r][c]) / Σ_j exp(x[r][j])`.
///
/// `x`, `y`: `rows x cols`, f32, dimensionless. `-inf` gives exactly 0; a row of only `-inf` gives zeros; a row with a
/// NaN or `+inf` gives NaN. Scale, mask and strides: [`SoftmaxF32`](super::SoftmaxF32).
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
    each_row::apart(backend, Fastest, x, y, rows)
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
    each_row::in_place(backend, Fastest, x, rows)
}

struct Fastest;

impl RowWork for Fastest {
    #[inline(always)]
    fn run<B: Backend>(&self, b: B, _: usize, row: InOut<'_, f32>) {
        fastest(b, row, MaskedRow::Zeros);
    }
}

/// One row.
#[inline(always)]
pub(super) fn fastest<B: Backend>(b: B, mut row: InOut<'_, f32>, masked: MaskedRow) {
    if row.len() >= B::TWO_PASS_FROM {
        two_pass(b, row, masked);
    } else if !b.softmax_of_plain(row.again()) {
        three_pass(b, row, masked);
    }
}

/// Softmax of one row.
#[inline(always)]
pub(crate) fn row_in_place<B: Backend>(b: B, row: &mut [f32]) {
    fastest(b, InOut::in_place(row), MaskedRow::Zeros);
}
