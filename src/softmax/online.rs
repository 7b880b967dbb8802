//! The online softmax: a state that takes a row in pieces, in any order, and can be merged.
//!
//! ```text
//! (M, d) + block x:   m = max x_j     (M, d) + (m, Σ_j exp(x_j - m))
//! (M1, d1) + (M2, d2) = (M, d1 exp(M1 - M) + d2 exp(M2 - M))      M = max(M1, M2)
//! ```
//! Milakov and Gimelshein 2018 (arXiv 1805.02867). What we changed: the maximum is that of a block, so there is one rescaling
//! a block and no second exponential an element; sums are merged in f64.

use super::MaskedRow;
use super::each_row::{self, RowWork};
use crate::backend::{Auto, Backend, Dispatch, InOut, Kernel};
use crate::error::Error;
use crate::shape::Rows;

/// Maximum and sum of exponentials of what was pushed so far.
///
/// # Accuracy
/// Of [`OnlineSoftmax::write`]: at most 1.5e-6 relative plus 2^-126, however long the row (against f64,
/// `tests/accuracy.rs`).
///
/// # Cost
/// A push takes one exponential an element and, for each [`OnlineSoftmax::BLOCK`], one or two in f64.
///
/// # Example
/// A row that arrives in two halves, of which each could have been pushed by another core:
/// ```
/// use scrimp::softmax::OnlineSoftmax;
/// let (mut first, mut second) = (OnlineSoftmax::new(), OnlineSoftmax::new());
/// first.push(&[1.0, 2.0]);
/// second.push(&[2.0, 1.0]);
/// first.merge(&second);
/// let mut y = [0.0; 4];
/// first.write(&[1.0, 2.0, 2.0, 1.0], &mut y)?;
/// assert!((y[1] - 0.365_529_3).abs() < 3e-7);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OnlineSoftmax {
    max: f32,
    sum: f64,
    masked: MaskedRow,
}

impl Default for OnlineSoftmax {
    fn default() -> Self {
        Self::new()
    }
}

impl OnlineSoftmax {
    /// Elements that share a maximum.
    pub const BLOCK: usize = 1024;

    /// Nothing pushed.
    #[must_use]
    pub const fn new() -> Self {
        Self { max: f32::NEG_INFINITY, sum: 0.0, masked: MaskedRow::Zeros }
    }

    /// The same with another result for a row of only `-inf`.
    #[must_use]
    pub const fn with_masked_row(self, masked: MaskedRow) -> Self {
        Self { masked, ..self }
    }

    /// Takes some elements of the row; none is fine.
    pub fn push(&mut self, x: &[f32]) {
        self.push_on(Auto, x);
    }

    /// [`OnlineSoftmax::push`] under a backend of your choice.
    pub fn push_on<D: Dispatch>(&mut self, backend: D, x: &[f32]) {
        backend.dispatch(Push { state: self, x });
    }

    /// Takes what another state was pushed.
    pub fn merge(&mut self, other: &Self) {
        let max = if other.max > self.max { other.max } else { self.max };
        self.sum = share(self, max) + share(other, max);
        self.max = max;
    }

    /// `ln Σ exp(x)` over all that was pushed, in nats; `-inf` if that is nothing or only `-inf`, NaN after a NaN or `+inf`.
    #[must_use]
    pub fn log_sum_exp(&self) -> f32 {
        if self.max == f32::NEG_INFINITY && !self.sum.is_nan() {
            return f32::NEG_INFINITY;
        }
        (f64::from(self.max) + libm::log(self.sum)) as f32
    }

    /// Softmax of elements that were pushed: `y[i] = exp(x[i]) / Σ_j exp(x[j])`, the sum over all that was pushed.
    ///
    /// # Errors
    /// `Error::Length` if `y` is not as long as `x`, `Error::Empty` if there are none; `y` is then untouched.
    pub fn write(&self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        self.write_on(Auto, x, y)
    }

    /// [`OnlineSoftmax::write`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`OnlineSoftmax::write`].
    pub fn write_on<D: Dispatch>(&self, backend: D, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        each_row::apart(backend, *self, x, y, Rows::one(x.len())?)
    }

    /// [`OnlineSoftmax::write`] that overwrites its input.
    ///
    /// # Errors
    /// `Error::Empty` if there are no elements.
    pub fn write_in_place(&self, x: &mut [f32]) -> Result<(), Error> {
        self.write_in_place_on(Auto, x)
    }

    /// [`OnlineSoftmax::write_in_place`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`OnlineSoftmax::write_in_place`].
    pub fn write_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [f32]) -> Result<(), Error> {
        let rows = Rows::one(x.len())?;
        each_row::in_place(backend, *self, x, rows)
    }
}

/// A state's sum under a larger maximum; NaN stays.
fn share(state: &OnlineSoftmax, max: f32) -> f64 {
    if state.max >= max {
        state.sum // also where both are infinite
    } else {
        state.sum * libm::exp(f64::from(state.max) - f64::from(max))
    }
}

struct Push<'a> {
    state: &'a mut OnlineSoftmax,
    x: &'a [f32],
}

impl Kernel for Push<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        for block in self.x.chunks(OnlineSoftmax::BLOCK) {
            let max = b.max_f32(block);
            let sum = if max == f32::NEG_INFINITY {
                // All masked, or a NaN among the masked, which the maximum skipped.
                if block.iter().any(|v| v.is_nan()) { f64::NAN } else { 0.0 }
            } else if max == f32::INFINITY {
                f64::NAN
            } else {
                b.sum_of_exp(block, max)
            };
            self.state.merge(&OnlineSoftmax { max, sum, ..OnlineSoftmax::new() });
        }
    }
}

impl RowWork for OnlineSoftmax {
    #[inline(always)]
    fn run<B: Backend>(&self, b: B, _: usize, mut row: InOut<'_, f32>) {
        if self.sum.is_nan() {
            row.output().fill(f32::NAN);
        } else if self.max == f32::NEG_INFINITY {
            row.output().fill(self.masked.value());
        } else {
            b.exp_times(row, self.max, (1.0 / self.sum) as f32);
        }
    }
}
