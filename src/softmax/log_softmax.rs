//! The logarithm of the softmax, without going through a softmax.
//!
//! ```text
//! m = max x_j        y_i = (x_i - m) - ln Σ_j exp(x_j - m)
//! ```
//! Both terms are negative, so nothing cancels. Where one element dominates, the logarithm is that of a number near 1, and
//! is taken of the sum of the others, `ln(1 + Σ_{j != k} exp(x_j - m))`, which keeps its relative accuracy. Two passes to
//! read, one to write; the sum and its logarithm are f64.

use super::each_row::{self, RowWork};
use crate::backend::{Auto, Backend, Dispatch, InOut, LANES};
use crate::error::Error;
use crate::shape::Rows;

/// Logarithm of the softmax of each row: `y[r][c] = x[r][c] - ln Σ_j exp(x[r][j])`.
///
/// `x`, `y`: `rows x cols`, f32; `y` in nats, at most 0. `-inf` gives `-inf`, so does a row of only `-inf`; a row with a NaN
/// or `+inf` gives NaN. A result below `-f32::MAX` is `-inf`.
///
/// # Accuracy
/// At most 1.5e-6 relative plus 2^-126 (against f64, `tests/accuracy.rs`).
///
/// # Cost
/// One exponential an element and one logarithm a row.
///
/// # Errors
/// `Error::Length` if `x` or `y` is not `rows x cols`; `y` is then untouched.
///
/// # Example
/// ```
/// use scrimp::{Rows, softmax::log_softmax_f32};
/// let mut y = [0.0; 2];
/// log_softmax_f32(&[3.0, 3.0], &mut y, Rows::one(2)?)?;
/// assert!((y[0] + core::f32::consts::LN_2).abs() < 1e-6);
/// # Ok::<(), scrimp::Error>(())
/// ```
pub fn log_softmax_f32(x: &[f32], y: &mut [f32], rows: Rows) -> Result<(), Error> {
    log_softmax_f32_on(Auto, x, y, rows)
}

/// [`log_softmax_f32`] under a backend of your choice.
///
/// # Errors
/// As [`log_softmax_f32`].
pub fn log_softmax_f32_on<D: Dispatch>(backend: D, x: &[f32], y: &mut [f32], rows: Rows) -> Result<(), Error> {
    each_row::apart(backend, LogSoftmax, x, y, rows)
}

/// [`log_softmax_f32`] that overwrites its input; the same accuracy.
///
/// # Errors
/// `Error::Length` if `x` is not `rows x cols`; it is then untouched.
pub fn log_softmax_f32_in_place(x: &mut [f32], rows: Rows) -> Result<(), Error> {
    log_softmax_f32_in_place_on(Auto, x, rows)
}

/// [`log_softmax_f32_in_place`] under a backend of your choice.
///
/// # Errors
/// As [`log_softmax_f32_in_place`].
pub fn log_softmax_f32_in_place_on<D: Dispatch>(backend: D, x: &mut [f32], rows: Rows) -> Result<(), Error> {
    each_row::in_place(backend, LogSoftmax, x, rows)
}

struct LogSoftmax;

impl RowWork for LogSoftmax {
    #[inline(always)]
    fn run<B: Backend>(&self, b: B, _: usize, mut row: InOut<'_, f32>) {
        let x = row.input();
        let max = b.max_f32(x);
        if max.is_infinite() {
            // All masked, or a NaN among the masked, which the maximum skipped; or an infinite logit.
            let nan = max > 0.0 || x.iter().any(|v| v.is_nan());
            row.output().fill(if nan { f32::NAN } else { f32::NEG_INFINITY });
            return;
        }
        let log_sum = log_sum(b, x, max);
        row.for_each_group::<LANES>(
            #[inline(always)]
            |x, y| {
                for i in 0..LANES {
                    y[i] = (x[i] - max) - log_sum;
                }
            },
        )
        .map(
            #[inline(always)]
            |x| (x - max) - log_sum,
        );
    }
}

/// Below it the sum is that of few elements, or of one.
const FEW: f64 = 2.0;

/// `ln Σ exp(x - max)`; NaN if there is one.
#[inline(always)]
fn log_sum<B: Backend>(b: B, x: &[f32], max: f32) -> f32 {
    let sum = b.sum_of_exp(x, max);
    if sum < FEW
        && let Some(at) = x.iter().position(|&v| v >= max)
        && let Some((before, after)) = x.split_at_checked(at)
    {
        let after = after.get(1..).unwrap_or_default();
        let others = b.sum_of_exp(before, max) + b.sum_of_exp(after, max);
        return libm::log1p(others) as f32;
    }
    libm::log(sum) as f32
}
