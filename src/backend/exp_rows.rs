//! Portable bodies of the passes of softmax over rows of f32 that take exponentials.
//!
//! Two ways to `exp(x - max)`. Where multiply and add fuse, `exp(x)` as `m 2^n` is exact for any `x` that a network has,
//! and dividing it by the maximum's power of two takes no subtraction (`math::ext`). Elsewhere, and for huge `x`, the
//! difference is taken, with what its rounding lost (`math::exp_of_difference`).

use super::{InOut, LANES, fold};
use crate::math::{Arith, Below, exp_of_difference, ext_exp, largest_exponent};

/// Elements whose partial sums stay in f32.
pub(super) const BLOCK: usize = 16 * LANES;

/// `y = k exp(x - max)`, `k Σ y`.
#[inline(always)]
pub(super) fn exp_and_sum<A: Arith>(a: A, row: InOut<'_, f32>, max: f32) -> f32 {
    if A::FUSED {
        let (_, n) = ext_exp(a, max);
        if is_exact::<A>(n) {
            let below = Below::new(n);
            return blocks(
                row,
                #[inline(always)]
                |block| {
                    sum_and_store(
                        block,
                        #[inline(always)]
                        |x| {
                            let (m, power) = below.exp(a, x);
                            m * power
                        },
                    )
                },
            );
        }
    }
    blocks(
        row,
        #[inline(always)]
        |block| {
            sum_and_store(
                block,
                #[inline(always)]
                |x| exp_of_difference(a, x, max),
            )
        },
    )
}

/// `Σ exp(x - max)`.
#[inline(always)]
pub(super) fn sum_of_exp<A: Arith>(a: A, x: &[f32], max: f32) -> f64 {
    let mut sum = 0.0;
    if A::FUSED {
        let (m, n) = ext_exp(a, max);
        if is_exact::<A>(n) {
            for block in x.chunks(BLOCK) {
                sum += f64::from(ext_sum(a, block, n));
            }
            return sum / f64::from(m);
        }
    }
    for block in x.chunks(BLOCK) {
        sum += f64::from(sum_block(
            block,
            #[inline(always)]
            |x| exp_of_difference(a, x, max),
        ));
    }
    sum
}

/// `y = factor exp(x - max)`.
#[inline(always)]
pub(super) fn exp_times<A: Arith>(a: A, row: InOut<'_, f32>, max: f32, factor: f32) {
    if A::FUSED {
        let (m, n) = ext_exp(a, max);
        if is_exact::<A>(n) {
            return ext_scale(a, row, factor / m, n);
        }
    }
    store(
        row,
        #[inline(always)]
        |x| factor * exp_of_difference(a, x, max),
    );
}

/// `Σ exp(x) 2^-n` of one block, in f32.
#[inline(always)]
pub(super) fn ext_sum<A: Arith>(a: A, block: &[f32], n: f32) -> f32 {
    let below = Below::new(n);
    sum_block(
        block,
        #[inline(always)]
        |x| {
            let (m, power) = below.exp(a, x);
            m * power
        },
    )
}

/// `y = factor exp(x) 2^-n`.
#[inline(always)]
pub(super) fn ext_scale<A: Arith>(a: A, row: InOut<'_, f32>, factor: f32, n: f32) {
    let below = Below::new(n);
    store(
        row,
        #[inline(always)]
        |x| {
            let (m, power) = below.exp(a, x);
            (m * factor) * power
        },
    );
}

#[inline(always)]
fn is_exact<A: Arith>(n: f32) -> bool {
    n.abs() <= largest_exponent::<A>()
}

/// Shows the row's blocks and adds what they give.
#[inline(always)]
fn blocks(mut row: InOut<'_, f32>, f: impl Fn(InOut<'_, f32>) -> f32) -> f32 {
    if row.len() <= BLOCK {
        return f(row);
    }
    let mut sum = 0.0;
    while !row.is_empty() {
        sum += f64::from(f(row.split_off_front(BLOCK)));
    }
    sum as f32
}

#[inline(always)]
fn store(row: InOut<'_, f32>, f: impl Fn(f32) -> f32) {
    row.for_each_group::<LANES>(
        #[inline(always)]
        |x, y| {
            for i in 0..LANES {
                y[i] = f(x[i]);
            }
        },
    )
    .map(f);
}

#[inline(always)]
fn sum_and_store(block: InOut<'_, f32>, f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let rest = block.for_each_group::<LANES>(
        #[inline(always)]
        |x, y| {
            for i in 0..LANES {
                y[i] = f(x[i]);
                lanes[i] += y[i];
            }
        },
    );
    let mut lane = 0;
    rest.map(
        #[inline(always)]
        |x| {
            let y = f(x);
            if let Some(sum) = lanes.get_mut(lane) {
                *sum += y;
            }
            lane += 1;
            y
        },
    );
    fold(lanes)
}

#[inline(always)]
fn sum_block(block: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (groups, rest) = block.as_chunks::<LANES>();
    for x in groups {
        for i in 0..LANES {
            lanes[i] += f(x[i]);
        }
    }
    for (sum, &x) in lanes.iter_mut().zip(rest) {
        *sum += f(x);
    }
    fold(lanes)
}
