//! StableMax's cross-entropy and its gradient, for training on the device (Prieto et al. 2025, arXiv 2501.04697).
//!
//! ```text
//! L = -ln(s(x_t) / S)        dL/dx_k = s'(x_k) / S  -  [k = t] / (1 + |x_t|)        S = Σ_j s(x_j)
//! s'(x) = 1 (x >= 0), s(x)^2 (x < 0)
//! ```
//! No exponential anywhere, and no logarithm in the gradient. What we changed: the sum `O` of all logits but the target's is
//! kept apart, so that `L = ln(1 + O / s(x_t))` and the target's `dL/dx_t = -(O / S) / (1 + |x_t|)` lose no digits where
//! the probability comes near 1: neither is ever rounded to 0, which is what stops training with softmax ("softmax
//! collapse", in f32 at a gap of 16.6).

use crate::backend::{Auto, Backend, Dispatch, Kernel, LANES, fold};
use crate::error::{Arg, Error};
use crate::shape::Rows;

/// Gradient of each row's StableMax cross-entropy with respect to its logits, and on request the loss itself.
///
/// `x`, `gradient`: `rows x cols`, f32, dimensionless; `targets`: the right column of each row; `loss`: one a row, in nats.
/// Rows are not averaged: divide by their number where that is wanted. A masked logit (`-inf`) has gradient 0, and infinite
/// loss if it is the target; so has each target of a row of only `-inf`. A row with a NaN or `+inf` gives NaN.
///
/// # Accuracy
/// Both at most 1.5e-6 relative plus 2^-126 (against f64, `tests/stablemax.rs`), for every finite input.
///
/// # Cost
/// Two additions and two reciprocals an element, in two passes; the loss adds one f64 logarithm a row.
///
/// # Errors
/// `Error::Length` if a slice does not have the length above, `Error::TooLarge` for a target that is no column; nothing is
/// then written.
///
/// # Example
/// ```
/// let (mut gradient, mut loss) = ([0.0; 4], [0.0]);
/// let rows = scrimp::Rows::one(4)?;
/// scrimp::stablemax_cross_entropy(&[1.0, 0.0, -1.0, 2.0], &[0], &mut gradient, Some(&mut loss), rows)?;
/// assert!((loss[0] - 3.25f32.ln()).abs() < 1e-6); // S = 2 + 1 + 1/2 + 3
/// assert!((gradient[0] - (1.0 / 6.5 - 1.0 / 2.0)).abs() < 1e-6);
/// # Ok::<(), scrimp::Error>(())
/// ```
pub fn stablemax_cross_entropy(
    x: &[f32],
    targets: &[usize],
    gradient: &mut [f32],
    loss: Option<&mut [f32]>,
    rows: Rows,
) -> Result<(), Error> {
    stablemax_cross_entropy_on(Auto, x, targets, gradient, loss, rows)
}

/// [`stablemax_cross_entropy`] under a backend of your choice.
///
/// # Errors
/// As [`stablemax_cross_entropy`].
pub fn stablemax_cross_entropy_on<D: Dispatch>(
    backend: D,
    x: &[f32],
    targets: &[usize],
    gradient: &mut [f32],
    loss: Option<&mut [f32]>,
    rows: Rows,
) -> Result<(), Error> {
    rows.check(Arg::X, x.len())?;
    crate::error::length(Arg::Targets, rows.rows(), targets.len())?;
    rows.check(Arg::Gradient, gradient.len())?;
    if let Some(loss) = &loss {
        crate::error::length(Arg::Loss, rows.rows(), loss.len())?;
    }
    let last = rows.cols().saturating_sub(1);
    if let Some(&got) = targets.iter().find(|&&target| target > last) {
        return Err(Error::TooLarge { what: Arg::Targets, max: last, got });
    }
    backend.dispatch(CrossEntropy { x, targets, gradient, loss: loss.unwrap_or_default(), cols: rows.cols() });
    Ok(())
}

struct CrossEntropy<'a> {
    x: &'a [f32],
    targets: &'a [usize],
    gradient: &'a mut [f32],
    /// Empty if nobody wants it.
    loss: &'a mut [f32],
    cols: usize,
}

impl Kernel for CrossEntropy<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let Self { x, targets, gradient, loss, cols } = self;
        let mut loss = loss.iter_mut();
        let rows = x.chunks_exact(cols.max(1)).zip(gradient.chunks_exact_mut(cols.max(1)));
        for ((x, gradient), &target) in rows.zip(targets) {
            let sums = Sums::of(b, x, target);
            sums.gradient(x, gradient, target);
            if let Some(loss) = loss.next() {
                *loss = sums.loss();
            }
        }
    }
}

/// What a row adds up to, times `scale`, a power of two.
#[derive(Clone, Copy)]
struct Sums {
    /// Of all but the target.
    others: f64,
    /// Of the target.
    own: f64,
    scale: f32,
}

impl Sums {
    #[inline(always)]
    fn of<B: Backend>(b: B, x: &[f32], target: usize) -> Self {
        /// 2^64
        const UP: f32 = f32::from_bits((127 + 64) << 23);
        const DOWN: f32 = 1.0 / UP;
        let sums = Self::scaled(b, x, target, 1.0);
        let total = sums.total();
        if (f64::from(DOWN)..=f64::from(UP)).contains(&total) {
            sums
        } else {
            Self::scaled(b, x, target, if total < 1.0 { UP } else { DOWN })
        }
    }

    #[inline(always)]
    fn scaled<B: Backend>(b: B, x: &[f32], target: usize, scale: f32) -> Self {
        let (left, rest) = x.split_at_checked(target).unwrap_or_default();
        let (own, right) = rest.split_first().map_or((f32::NEG_INFINITY, rest), |(&own, right)| (own, right));
        let mut others = 0.0;
        for part in [left, right] {
            others += sum(b, part, scale);
        }
        // In f64, as the target alone may be far below the sum.
        let u = 1.0 + f64::from(own.abs());
        let s = if own < 0.0 { 1.0 / u } else { u };
        Self { others, own: s * f64::from(scale), scale }
    }

    #[inline(always)]
    fn total(self) -> f64 {
        self.others + self.own
    }

    #[inline(always)]
    fn loss(self) -> f32 {
        if self.own > 0.0 {
            libm::log1p(self.others / self.own) as f32
        } else if self.total().is_nan() {
            f32::NAN
        } else {
            f32::INFINITY
        }
    }

    #[inline(always)]
    fn gradient(self, x: &[f32], gradient: &mut [f32], target: usize) {
        let total = self.total() as f32;
        if total.to_bits() == 0 {
            gradient.fill(0.0); // all masked
            return;
        }
        if !total.is_finite() {
            gradient.fill(f32::NAN);
            return;
        }
        let factor = 1.0 / total;
        let one = self.scale * factor;
        for (g, &x) in gradient.iter_mut().zip(x) {
            let u = 1.0 + x.abs();
            let r = 1.0 / u;
            *g = if x.is_sign_negative() { r * self.scale * factor * r } else { one };
        }
        if let (Some(g), Some(&x)) = (gradient.get_mut(target), x.get(target)) {
            *g = -(self.others as f32 * factor) / (1.0 + x.abs());
        }
    }
}

/// `s(x) * scale`. The sign is read as a bit: for Helium, LLVM's `x < 0.0` is true for NaN.
#[inline(always)]
fn stable(x: f32, scale: f32) -> f32 {
    let u = 1.0 + x.abs();
    if x.is_sign_negative() { scale / u } else { scale * u }
}

/// `scale Σ s(x[i])`, in blocks that are merged in f64.
#[inline(always)]
fn sum<B: Backend>(_: B, x: &[f32], scale: f32) -> f64 {
    let mut sum = 0.0;
    for block in x.chunks(16 * LANES) {
        let mut lanes = [0.0; LANES];
        let (groups, rest) = block.as_chunks::<LANES>();
        for group in groups {
            for i in 0..LANES {
                lanes[i] += stable(group[i], scale);
            }
        }
        for (lane, &v) in lanes.iter_mut().zip(rest) {
            *lane += stable(v, scale);
        }
        sum += f64::from(fold(lanes));
    }
    sum
}
