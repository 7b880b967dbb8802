//! The two-pass softmax (Dukhan and Ablavatski 2020, arXiv 2001.04438, algorithm 3).
//!
//! ```text
//! (m_i, n_i) = exp(x_i)        (s, e) = Σ_i (m_i, n_i)        y_i = m_i / s * 2^(n_i - e)
//! ```
//! Numbers are pairs `(m, n)` that mean `m 2^n`, which cannot overflow, so there is no pass for the maximum: the row is read
//! twice and written once, 12 bytes an element instead of the 20 of three passes. It pays where memory is what limits.
//!
//! What we changed: one exponent serves a block of the row and not each lane; blocks are merged in f64; rows that a pair
//! does not hold exactly (beyond about 9e4, or 250 without a fused multiply-add; NaN; infinities) take three passes.

use super::MaskedRow;
use super::each_row::{self, RowWork};
use super::three_pass::three_pass;
use crate::backend::{Auto, Backend, Dispatch, InOut};
use crate::error::Error;
use crate::shape::Rows;

/// Softmax of each row by the two-pass form, the fastest out of cache: `y[r][c] = exp(x[r][c]) / Σ_j exp(x[r][j])`.
///
/// `x`, `y`: `rows x cols`, f32, dimensionless. Special values as [`softmax_f32`](super::softmax_f32).
///
/// # Accuracy
/// At most 1.5e-6 relative plus 2^-126 (against f64, `tests/accuracy.rs`).
///
/// # Cost
/// Two exponentials an element. Moves 12 bytes an element, 16 where a store first reads its line.
///
/// # Errors
/// `Error::Length` if `x` or `y` is not `rows x cols`; `y` is then untouched.
///
/// # Example
/// ```
/// use scrimp::{Rows, softmax::two_pass_f32};
/// let mut y = [0.0; 3];
/// two_pass_f32(&[1.0, 2.0, 3.0], &mut y, Rows::one(3)?)?;
/// assert!((y[2] - 0.665_240_96).abs() < 3e-7);
/// # Ok::<(), scrimp::Error>(())
/// ```
pub fn two_pass_f32(x: &[f32], y: &mut [f32], rows: Rows) -> Result<(), Error> {
    two_pass_f32_on(Auto, x, y, rows)
}

/// [`two_pass_f32`] under a backend of your choice.
///
/// # Errors
/// As [`two_pass_f32`].
pub fn two_pass_f32_on<D: Dispatch>(backend: D, x: &[f32], y: &mut [f32], rows: Rows) -> Result<(), Error> {
    each_row::apart(backend, TwoPass, x, y, rows)
}

/// [`two_pass_f32`] that overwrites its input; the same accuracy.
///
/// # Errors
/// `Error::Length` if `x` is not `rows x cols`; it is then untouched.
pub fn two_pass_f32_in_place(x: &mut [f32], rows: Rows) -> Result<(), Error> {
    two_pass_f32_in_place_on(Auto, x, rows)
}

/// [`two_pass_f32_in_place`] under a backend of your choice.
///
/// # Errors
/// As [`two_pass_f32_in_place`].
pub fn two_pass_f32_in_place_on<D: Dispatch>(backend: D, x: &mut [f32], rows: Rows) -> Result<(), Error> {
    each_row::in_place(backend, TwoPass, x, rows)
}

struct TwoPass;

impl RowWork for TwoPass {
    #[inline(always)]
    fn run<B: Backend>(&self, b: B, _: usize, row: InOut<'_, f32>) {
        two_pass(b, row, MaskedRow::Zeros);
    }
}

/// One row.
#[inline(always)]
pub(super) fn two_pass<B: Backend>(b: B, row: InOut<'_, f32>, masked: MaskedRow) {
    let sum = b.ext_exp_sum(row.input());
    if sum.is_exact::<B>() {
        b.ext_exp_scale(row, (1.0 / sum.m) as f32, sum.n);
    } else {
        three_pass(b, row, masked);
    }
}
