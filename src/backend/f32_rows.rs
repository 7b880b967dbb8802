//! Primitives on rows of f32.

use super::exp_rows::{self, BLOCK};
use super::{InOut, LANES, fold, larger};
use crate::math::{Arith, Ext, ext_exp};

/// What a backend can speed up in rows of f32.
pub(crate) trait F32Rows: Arith {
    /// The largest element; `-inf` for an empty slice. A NaN is skipped: whoever needs it must meet it again.
    #[inline(always)]
    fn max_f32(self, x: &[f32]) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; LANES];
        let (blocks, tail) = x.as_chunks::<LANES>();
        for block in blocks {
            for (lane, &v) in lanes.iter_mut().zip(block) {
                *lane = larger(v, *lane);
            }
        }
        let mut max = f32::NEG_INFINITY;
        for &v in lanes.iter().chain(tail) {
            max = larger(v, max);
        }
        max
    }

    /// `Σ x[i]`, in [`LANES`] partial sums.
    #[inline(always)]
    fn sum_f32(self, x: &[f32]) -> f32 {
        let mut lanes = [0.0; LANES];
        let (blocks, tail) = x.as_chunks::<LANES>();
        for block in blocks {
            for i in 0..LANES {
                lanes[i] += block[i];
            }
        }
        for (lane, &v) in lanes.iter_mut().zip(tail) {
            *lane += v;
        }
        fold(lanes)
    }

    /// `Σ x[i] * y[i]`, in [`LANES`] partial sums.
    #[inline(always)]
    fn dot(self, x: &[f32], y: &[f32]) -> f32 {
        let mut lanes = [0.0; LANES];
        let (xs, x_tail) = x.as_chunks::<LANES>();
        let (ys, y_tail) = y.as_chunks::<LANES>();
        for (x, y) in xs.iter().zip(ys) {
            for i in 0..LANES {
                lanes[i] = self.fma(x[i], y[i], lanes[i]);
            }
        }
        for ((lane, &x), &y) in lanes.iter_mut().zip(x_tail).zip(y_tail) {
            *lane = self.fma(x, y, *lane);
        }
        fold(lanes)
    }

    /// The whole softmax without a look for the maximum, where exponentials of the elements themselves neither overflow nor
    /// vanish; `false` if they do, or this row is better off with its maximum: then `y` holds anything, unless it is `x`.
    #[inline(always)]
    fn softmax_of_plain(self, _row: InOut<'_, f32>) -> bool {
        false
    }

    /// `y[i] = k exp(x[i] - max)`; gives `k Σ y[i]`. `k > 0` is the backend's choice and near 1, or a power of two: it cancels
    /// when the row is divided by its sum. `max` is finite and no element is larger; NaN gives NaN, `-inf` gives 0.
    ///
    /// Partial sums run in blocks that are merged in f64, so that the error does not grow with the row.
    #[inline(always)]
    fn exp_and_sum(self, row: InOut<'_, f32>, max: f32) -> f32 {
        exp_rows::exp_and_sum(self, row, max)
    }

    /// `Σ exp(x[i] - max)`, blocks merged in f64. `max` is finite and no element is larger; NaN gives NaN.
    #[inline(always)]
    fn sum_of_exp(self, x: &[f32], max: f32) -> f64 {
        exp_rows::sum_of_exp(self, x, max)
    }

    /// `y[i] = factor exp(x[i] - max)`, for a factor from 0 to 1. `max` is finite and no element is larger; NaN gives NaN,
    /// `-inf` gives 0.
    #[inline(always)]
    fn exp_times(self, row: InOut<'_, f32>, max: f32, factor: f32) {
        exp_rows::exp_times(self, row, max, factor);
    }

    /// Rows of this length and more are out of cache, where moving fewer bytes wins: they take the two-pass form.
    const TWO_PASS_FROM: usize = usize::MAX;

    /// `Σ exp(x[i])`, first pass of the two-pass softmax; not [`Ext::is_exact`] if it may be wrong: NaN, infinities, and
    /// where all are too large or too small.
    ///
    /// One exponent serves a block, that of its maximum, which is looked for while the block is in the first cache.
    #[inline(always)]
    fn ext_exp_sum(self, x: &[f32]) -> Ext {
        let mut sum = Ext::ZERO;
        for block in x.chunks(BLOCK) {
            let (_, n) = ext_exp(self, self.max_f32(block));
            sum = sum.plus(Ext { m: f64::from(exp_rows::ext_sum(self, block, n)), n });
        }
        sum
    }

    /// `y[i] = factor exp(x[i]) 2^-n`, second pass of the two-pass softmax, for a factor from 0 to 1. No exponent is above
    /// `n`, an integer below 2^20.
    #[inline(always)]
    fn ext_exp_scale(self, row: InOut<'_, f32>, factor: f32, n: f32) {
        exp_rows::ext_scale(self, row, factor, n);
    }

    /// `y[i] *= factor`.
    #[inline(always)]
    fn scale_f32(self, y: &mut [f32], factor: f32) {
        for v in y {
            *v *= factor;
        }
    }
}
