//! The two-pass softmax in integers.
//!
//! ```text
//! exp(x_i) = m_i 2^(n_i)        (M, N) = Σ_j (m_j, n_j)        y_i = m_i / M * 2^(n_i - N)
//! ```
//! Algorithm 3 of Dukhan and Ablavatski 2020 (arXiv 2001.04438): a pair of mantissa and exponent cannot overflow, so there
//! is no pass for the maximum. What we changed: mantissa and exponent are integers, and so is the sum of pairs
//! ([`OnlineQ`](super::OnlineQ)).

use super::each_row_q::{self, RowOf};
use super::{OnlineQ, SoftmaxQ};
use crate::backend::{Auto, Backend, Dispatch, InOut};
use crate::error::Error;
use crate::fixedpoint::{Logit, Probability};
use crate::shape::Rows;

/// Softmax of each row in two passes: `y[r][c] = exp(unit x[r][c]) / Σ_j exp(unit x[r][j])`, with the formats of `softmax`.
///
/// It reads `x` twice and writes `y` once, and nothing waits in `y`: two exponentials an element, no maximum, one reciprocal
/// a row.
///
/// # Accuracy
/// As [`SoftmaxQ`]; for `u8` and `u16` at most 0.51 units.
///
/// # Cost
/// Instructions an element of `i16` to `u16` at 64 / 256 / 1000 columns: 193 / 191 / 191 on Cortex-M4,
/// 158 / 157 / 156 on M55: the portable body, with 64-bit shifts. [`SoftmaxQ`] is the fast one there.
///
/// # Errors
/// `Error::Length` if `x` or `y` is not `rows x cols`, `Error::TooLarge` beyond 65,536 columns; `y` is then untouched.
///
/// # Example
/// ```
/// use scrimp::{Rows, SoftmaxQ, two_pass_q};
/// const SOFTMAX: SoftmaxQ = scrimp::expect!(SoftmaxQ::new(16)); // i32 with 16 fractional bits
/// let mut y = [0u8; 2];
/// two_pass_q(&SOFTMAX, &[65_536i32, 0], &mut y, Rows::one(2)?)?;
/// assert_eq!(y, [187, 69]);
/// # Ok::<(), scrimp::Error>(())
/// ```
pub fn two_pass_q<X: Logit, Y: Probability>(softmax: &SoftmaxQ, x: &[X], y: &mut [Y], rows: Rows) -> Result<(), Error> {
    two_pass_q_on(Auto, softmax, x, y, rows)
}

/// [`two_pass_q`] under a backend of your choice.
///
/// # Errors
/// As [`two_pass_q`].
pub fn two_pass_q_on<D: Dispatch, X: Logit, Y: Probability>(
    backend: D,
    softmax: &SoftmaxQ,
    x: &[X],
    y: &mut [Y],
    rows: Rows,
) -> Result<(), Error> {
    each_row_q::apart(backend, TwoPass(*softmax), x, y, rows)
}

#[derive(Clone, Copy)]
struct TwoPass(SoftmaxQ);

impl<X: Logit, Y: Probability> RowOf<X, Y> for TwoPass {
    #[inline(always)]
    fn run<B: Backend>(self, _: B, mut row: InOut<'_, X, Y>) {
        let mut state = OnlineQ::new(&self.0);
        state.push(row.input());
        state.write_row(row.again());
    }
}
