//! Fully connected layer.

use super::matmul::{MatMul, Start};
use crate::backend::{Auto, Dispatch};
use crate::error::{Arg, Error, length};
use crate::shape::Rows;

/// A fully connected layer: `y[t][o] = bias[o] + Σ_i x[t][i] weight[i][o]`.
///
/// # Accuracy
/// At most 2e-6 of the sum of the absolute products (against f64, `tests/accuracy.rs`).
///
/// Having one tells you that the weights are `inputs x outputs` and the bias is `outputs` long.
#[derive(Clone, Copy, Debug)]
pub struct Linear<'a> {
    weight: &'a [f32],
    bias: &'a [f32],
    shape: Rows,
}

impl<'a> Linear<'a> {
    /// A layer of `shape.rows()` inputs and `shape.cols()` outputs. Weights are stored `[input][output]`, the transpose
    /// of PyTorch's.
    ///
    /// # Errors
    /// `Error::Length` if `weight` is not `inputs x outputs` or `bias` not `outputs` long.
    pub const fn new(weight: &'a [f32], bias: &'a [f32], shape: Rows) -> Result<Self, Error> {
        if let Err(e) = shape.check(Arg::Weights, weight.len()) {
            return Err(e);
        }
        if let Err(e) = length(Arg::Bias, shape.cols(), bias.len()) {
            return Err(e);
        }
        Ok(Self { weight, bias, shape })
    }

    /// Runs the layer on `tokens` rows of `x`.
    ///
    /// # Errors
    /// `Error::Length` if `x` is not `tokens x inputs` or `y` not `tokens x outputs`; `y` is then untouched.
    ///
    /// # Example
    /// One token, two inputs, one output:
    /// ```
    /// use scrimp::{Rows, nn::Linear};
    /// let layer = Linear::new(&[2.0, 3.0], &[1.0], Rows::new(2, 1)?)?;
    /// let mut y = [0.0];
    /// layer.run(&[10.0, 100.0], &mut y, 1)?;
    /// assert_eq!(y, [321.0]);
    /// # Ok::<(), scrimp::Error>(())
    /// ```
    pub fn run(&self, x: &[f32], y: &mut [f32], tokens: usize) -> Result<(), Error> {
        self.run_on(Auto, x, y, tokens)
    }

    /// [`run`](Self::run) under a backend of your choice.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[f32], y: &mut [f32], tokens: usize) -> Result<(), Error> {
        length(Arg::X, tokens.saturating_mul(self.shape.rows()), x.len())?;
        length(Arg::Y, tokens.saturating_mul(self.shape.cols()), y.len())?;
        backend.dispatch(MatMul {
            x,
            x_stride: self.shape.rows(),
            w: self.weight,
            w_stride: self.shape.cols(),
            start: Start::Bias(self.bias),
            y,
            y_stride: self.shape.cols(),
            rows: tokens,
            inputs: self.shape.rows(),
            outputs: self.shape.cols(),
        });
        Ok(())
    }
}
