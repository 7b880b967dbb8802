//! Primitives on rows of f32.

use super::{InOut, LANES, fold, larger};
use crate::math::{Arith, exp_of_difference};

/// What a backend can speed up in rows of f32.
pub trait F32Rows: Arith {
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

    /// `y[i] = k exp(x[i] - max)`; gives `k Σ y[i]`. `k` is a power of two of the backend's choice, which cancels when the
    /// row is divided by its sum. `max` is finite and no element is larger; NaN gives NaN, `-inf` gives 0.
    ///
    /// Partial sums run in blocks that are merged in f64, so that the error does not grow with the row.
    #[inline(always)]
    fn exp_and_sum(self, mut row: InOut<'_, f32>, max: f32) -> f32 {
        if row.len() <= BLOCK {
            return exp_and_sum_block(self, row, max);
        }
        let mut sum = 0.0f64;
        while !row.is_empty() {
            sum += f64::from(exp_and_sum_block(self, row.split_off_front(BLOCK), max));
        }
        sum as f32
    }

    /// `y[i] *= factor`.
    #[inline(always)]
    fn scale_f32(self, y: &mut [f32], factor: f32) {
        for v in y {
            *v *= factor;
        }
    }
}

/// Elements whose partial sums stay in f32.
const BLOCK: usize = 16 * LANES;

#[inline(always)]
fn exp_and_sum_block<A: Arith>(a: A, block: InOut<'_, f32>, max: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let rest = block.for_each_group::<LANES>(|x, y| {
        for i in 0..LANES {
            y[i] = exp_of_difference(a, x[i], max);
            lanes[i] += y[i];
        }
    });
    let mut lane = 0;
    rest.map(|x| {
        let y = exp_of_difference(a, x, max);
        if let Some(sum) = lanes.get_mut(lane) {
            *sum += y;
        }
        lane += 1;
        y
    });
    fold(lanes)
}
