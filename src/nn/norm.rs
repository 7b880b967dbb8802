//! Layer normalisation over the channels of each token (Ba, Kiros and Hinton 2016, arXiv 1607.06450).

use crate::backend::{Auto, Backend, Dispatch, Kernel};
use crate::error::{Arg, Error, length};
use crate::math::ArithOps;

/// What is added to the variance, as in PyTorch.
const EPSILON: f32 = 1e-5;

/// Times the mean is longer than the deviation before the mean is taken once more, of what it left.
const LONG_MEAN: f32 = 4.0;
/// Times that at most: an error of the first mean is beyond the rounding of the elements only for many of them.
const MEANS: usize = 3;

/// `y = (x - mean) / sqrt(variance + 1e-5) * weight + bias`, the variance biased, token by token.
///
/// # Accuracy
/// At most 2e-6 relative plus 2e-6 (against f64, `tests/accuracy.rs`), whatever the mean is: a token of equal elements gives
/// the bias. That holds as long as the squares of `x - mean` and their sum are finite in f32, so for elements up to about 1e18.
///
/// # Cost
/// Where the mean is beyond four deviations, three passes more: what it left has a mean of its own, the rounding of the first.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<'a> {
    weight: &'a [f32],
    bias: &'a [f32],
}

impl<'a> LayerNorm<'a> {
    /// A normalisation over `weight.len()` channels.
    ///
    /// # Errors
    /// `Error::Empty` if there are none, `Error::Length` if `bias` has another number.
    pub const fn new(weight: &'a [f32], bias: &'a [f32]) -> Result<Self, Error> {
        if weight.is_empty() {
            return Err(Error::Empty { what: Arg::Weights });
        }
        match length(Arg::Bias, weight.len(), bias.len()) {
            Ok(()) => Ok(Self { weight, bias }),
            Err(e) => Err(e),
        }
    }

    /// Normalises each token of `x` into `y`.
    ///
    /// # Errors
    /// `Error::Length` if `x` is not whole tokens, or `y` not as long as `x`; `y` is then untouched.
    ///
    /// # Example
    /// One token of two channels:
    /// ```
    /// let norm = scrimp::nn::LayerNorm::new(&[1.0, 1.0], &[0.0, 5.0])?;
    /// let mut y = [0.0; 2];
    /// norm.run(&[10.0, 30.0], &mut y)?;
    /// assert!((y[0] + 1.0).abs() < 1e-6 && (y[1] - 6.0).abs() < 1e-6);
    /// # Ok::<(), scrimp::Error>(())
    /// ```
    pub fn run(&self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        self.run_on(Auto, x, y)
    }

    /// [`run`](Self::run) under a backend of your choice.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        let channels = self.weight.len();
        length(Arg::X, x.len() / channels.max(1) * channels, x.len())?;
        length(Arg::Y, x.len(), y.len())?;
        backend.dispatch(Norm { norm: *self, x, y });
        Ok(())
    }
}

struct Norm<'a, 'w> {
    norm: LayerNorm<'w>,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Norm<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let channels = self.norm.weight.len().max(1);
        for (x, y) in self.x.chunks_exact(channels).zip(self.y.chunks_exact_mut(channels)) {
            token(b, &self.norm, x, y);
        }
    }
}

#[inline(always)]
fn token<B: Backend>(b: B, norm: &LayerNorm<'_>, x: &[f32], y: &mut [f32]) {
    let share = 1.0 / x.len() as f32;
    let mean = b.sum_f32(x) * share;
    for (y, &x) in y.iter_mut().zip(x) {
        *y = x - mean;
    }
    let mut variance = b.dot(y, y) * share;
    let mut left = mean;
    let mut times = 0;
    while times < MEANS && left * left > LONG_MEAN * LONG_MEAN * (variance + EPSILON) {
        times += 1;
        // Divided, as a share is rounded: what equal elements leave is a small number of units each, and all of it goes.
        left = b.sum_f32(y) / x.len() as f32;
        for y in y.iter_mut() {
            *y -= left;
        }
        variance = b.dot(y, y) * share;
    }
    let scale = 1.0 / ArithOps::sqrt(b, variance + EPSILON);
    for ((y, &w), &bias) in y.iter_mut().zip(norm.weight).zip(norm.bias) {
        *y = b.fma(*y * scale, w, bias);
    }
}
