//! The three-pass softmax, "reload" form: maximum; exponentials, kept, and their sum; scaling.
//!
//! ```text
//! m = max x_j        e_i = exp(x_i - m)        y_i = e_i / Σ_j e_j
//! ```
//! One exponential an element and one division a row (Dukhan and Ablavatski 2020, arXiv 2001.04438, call it
//! algorithm 2). Partial sums run in blocks that are merged in f64, so that the error does not grow with the row.

use super::MaskedRow;
use super::each_row::{self, RowWork};
use crate::backend::{Auto, Backend, Dispatch, InOut};
use crate::error::Error;
use crate::shape::Rows;

/// Softmax of each row by the three-pass form, the fastest in cache: `y[r][c] = exp(x[r][c]) / Σ_j exp(x[r][j])`.
///
/// `x`, `y`: `rows x cols`, f32, dimensionless. Special values as [`softmax_f32`](super::softmax_f32).
///
/// # Accuracy
/// At most 1.5e-6 relative plus 2^-126 (against f64, `tests/accuracy.rs`).
///
/// # Cost
/// Moves 20 bytes an element, 24 where a store first reads its line.
///
/// # Errors
/// `Error::Length` if `x` or `y` is not `rows x cols`; `y` is then untouched.
///
/// # Example
/// ```
/// use scrimp::{Rows, softmax::three_pass_f32};
/// let mut y = [0.0; 4];
/// three_pass_f32(&[0.0, 0.0, f32::NEG_INFINITY, 7.0], &mut y, Rows::new(2, 2)?)?;
/// assert_eq!(y, [0.5, 0.5, 0.0, 1.0]);
/// # Ok::<(), scrimp::Error>(())
/// ```
pub fn three_pass_f32(x: &[f32], y: &mut [f32], rows: Rows) -> Result<(), Error> {
    three_pass_f32_on(Auto, x, y, rows)
}

/// [`three_pass_f32`] under a backend of your choice.
///
/// # Errors
/// As [`three_pass_f32`].
pub fn three_pass_f32_on<D: Dispatch>(backend: D, x: &[f32], y: &mut [f32], rows: Rows) -> Result<(), Error> {
    each_row::apart(backend, ThreePass, x, y, rows)
}

/// [`three_pass_f32`] that overwrites its input; the same accuracy.
///
/// # Errors
/// `Error::Length` if `x` is not `rows x cols`; it is then untouched.
pub fn three_pass_f32_in_place(x: &mut [f32], rows: Rows) -> Result<(), Error> {
    three_pass_f32_in_place_on(Auto, x, rows)
}

/// [`three_pass_f32_in_place`] under a backend of your choice.
///
/// # Errors
/// As [`three_pass_f32_in_place`].
pub fn three_pass_f32_in_place_on<D: Dispatch>(backend: D, x: &mut [f32], rows: Rows) -> Result<(), Error> {
    each_row::in_place(backend, ThreePass, x, rows)
}

struct ThreePass;

impl RowWork for ThreePass {
    #[inline(always)]
    fn run<B: Backend>(&self, b: B, _: usize, row: InOut<'_, f32>) {
        three_pass(b, row, MaskedRow::Zeros);
    }
}

/// One row.
#[inline(always)]
pub(super) fn three_pass<B: Backend>(b: B, mut row: InOut<'_, f32>, masked: MaskedRow) {
    let max = b.max_f32(row.input());
    if max == f32::NEG_INFINITY {
        // All masked, or a NaN among the masked, which the maximum skipped.
        let nan = row.input().iter().any(|v| v.is_nan());
        row.output().fill(if nan { f32::NAN } else { masked.value() });
        return;
    }
    let sum = b.exp_and_sum(row.again(), max);
    b.scale_f32(row.output(), 1.0 / sum);
}
