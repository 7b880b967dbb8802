//! StableMax: probabilities from an addition and a reciprocal, without an exponential (Prieto, Barsbey, Mediano and Birdal
//! 2025, "Grokking at the Edge of Numerical Stability", arXiv 2501.04697).
//!
//! ```text
//! s(x) = 1 + x  (x >= 0)        s(x) = 1 / (1 - x)  (x < 0)        y_i = s(x_i) / Σ_j s(x_j)
//! ```
//! What we changed: the paper's code has `1 / (1 - x + 1e-30)` in the branch that is not taken, whose gradient is NaN at
//! x = 1 in f32; here `u = 1 + |x|`, which is never 0, and `s` is `u` or `1 / u`. Sums that leave the range in which all
//! results are exact to the bound are formed again, scaled by a power of two, so that every finite f32 is a valid logit.

use crate::backend::{Auto, Backend, Dispatch, InOut, Kernel, LANES, fold};
use crate::error::{Arg, Error};
use crate::math::ln_parts;
use crate::shape::Rows;

/// StableMax of each row: `y[r][c] = s(x[r][c]) / Σ_j s(x[r][j])`, `s(x) = 1 + x` from 0 on and `1 / (1 - x)` below.
///
/// `x`, `y`: `rows x cols`, f32, dimensionless. Not a drop-in for softmax: a network must be trained with it. The order of
/// the logits is kept, so the largest stays the largest. `-inf` gives exactly 0; a row of only `-inf` gives zeros; a row
/// with a NaN or `+inf` gives NaN.
///
/// # Accuracy
/// At most 1.5e-6 relative plus 2^-126 (against f64, `tests/stablemax.rs`), for every finite input.
///
/// # Cost
/// An addition, a reciprocal and a multiplication an element, in two passes; no exponential. A row whose sum of `s` is below 1 or
/// above 2^100 is passed over twice more.
///
/// # Errors
/// `Error::Length` if `x` or `y` is not `rows x cols`; `y` is then untouched.
///
/// # Example
/// ```
/// let mut y = [0.0; 3];
/// scrimp::stablemax_f32(&[1.0, 2.0, 3.0], &mut y, scrimp::Rows::one(3)?)?;
/// assert!((y[2] - 4.0 / 9.0).abs() < 1e-6);
/// # Ok::<(), scrimp::Error>(())
/// ```
pub fn stablemax_f32(x: &[f32], y: &mut [f32], rows: Rows) -> Result<(), Error> {
    stablemax_f32_on(Auto, x, y, rows)
}

/// [`stablemax_f32`] under a backend of your choice.
///
/// # Errors
/// As [`stablemax_f32`].
pub fn stablemax_f32_on<D: Dispatch>(backend: D, x: &[f32], y: &mut [f32], rows: Rows) -> Result<(), Error> {
    rows.check(Arg::X, x.len())?;
    rows.check(Arg::Y, y.len())?;
    backend.dispatch(StableMax { rows: InOut::apart(x, y), cols: rows.cols(), log: false });
    Ok(())
}

/// [`stablemax_f32`] that overwrites its input; the same results.
///
/// # Errors
/// `Error::Length` if `x` is not `rows x cols`; it is then untouched.
pub fn stablemax_f32_in_place(x: &mut [f32], rows: Rows) -> Result<(), Error> {
    stablemax_f32_in_place_on(Auto, x, rows)
}

/// [`stablemax_f32_in_place`] under a backend of your choice.
///
/// # Errors
/// As [`stablemax_f32_in_place`].
pub fn stablemax_f32_in_place_on<D: Dispatch>(backend: D, x: &mut [f32], rows: Rows) -> Result<(), Error> {
    rows.check(Arg::X, x.len())?;
    backend.dispatch(StableMax { rows: InOut::in_place(x), cols: rows.cols(), log: false });
    Ok(())
}

/// Logarithm of StableMax of each row: `y[r][c] = ln s(x[r][c]) - ln Σ_j s(x[r][j])`.
///
/// `x`, `y`: `rows x cols`, f32; natural logarithms, at most 0. `-inf` gives `-inf`, so does each element of a row of only
/// `-inf`; a row with a NaN or `+inf` gives NaN.
///
/// # Accuracy
/// At most 1.5e-6 relative plus 5e-7 absolute (against f64, `tests/stablemax.rs`), for every finite input.
///
/// # Cost
/// What [`stablemax_f32`] costs, with a logarithm (a polynomial of degree 7) in place of the last multiplication.
///
/// # Errors
/// `Error::Length` if `x` or `y` is not `rows x cols`; `y` is then untouched.
///
/// # Example
/// ```
/// let mut y = [0.0; 3];
/// scrimp::log_stablemax_f32(&[-1.0, 0.0, 1.0], &mut y, scrimp::Rows::one(3)?)?;
/// assert!((y[2] - (4.0f32 / 7.0).ln()).abs() < 1e-6);
/// # Ok::<(), scrimp::Error>(())
/// ```
pub fn log_stablemax_f32(x: &[f32], y: &mut [f32], rows: Rows) -> Result<(), Error> {
    log_stablemax_f32_on(Auto, x, y, rows)
}

/// [`log_stablemax_f32`] under a backend of your choice.
///
/// # Errors
/// As [`log_stablemax_f32`].
pub fn log_stablemax_f32_on<D: Dispatch>(backend: D, x: &[f32], y: &mut [f32], rows: Rows) -> Result<(), Error> {
    rows.check(Arg::X, x.len())?;
    rows.check(Arg::Y, y.len())?;
    backend.dispatch(StableMax { rows: InOut::apart(x, y), cols: rows.cols(), log: true });
    Ok(())
}

/// [`log_stablemax_f32`] that overwrites its input; the same results.
///
/// # Errors
/// `Error::Length` if `x` is not `rows x cols`; it is then untouched.
pub fn log_stablemax_f32_in_place(x: &mut [f32], rows: Rows) -> Result<(), Error> {
    log_stablemax_f32_in_place_on(Auto, x, rows)
}

/// [`log_stablemax_f32_in_place`] under a backend of your choice.
///
/// # Errors
/// As [`log_stablemax_f32_in_place`].
pub fn log_stablemax_f32_in_place_on<D: Dispatch>(backend: D, x: &mut [f32], rows: Rows) -> Result<(), Error> {
    rows.check(Arg::X, x.len())?;
    backend.dispatch(StableMax { rows: InOut::in_place(x), cols: rows.cols(), log: true });
    Ok(())
}

struct StableMax<'a> {
    rows: InOut<'a, f32>,
    cols: usize,
    log: bool,
}

impl Kernel for StableMax<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let Self { mut rows, cols, log } = self;
        while !rows.is_empty() {
            let row = rows.split_off_front(cols.max(1));
            if log { log_row(b, row) } else { one_row(b, row) }
        }
    }
}

#[inline(always)]
fn one_row<B: Backend>(b: B, mut row: InOut<'_, f32>) {
    if b.stable_whole(row.again(), is_plain) {
        return;
    }
    let sum = b.stable_and_sum(row.again());
    let y = row.output();
    if is_plain(sum) { b.scale_f32(y, 1.0 / sum) } else { scale_rare(y, sum) }
}

#[inline(always)]
fn log_row<B: Backend>(b: B, mut row: InOut<'_, f32>) {
    let sum = b.stable_and_sum(row.again());
    let y = row.output();
    let (sum, exponent) = if is_plain(sum) { (sum, 0.0) } else { sum_rare(y, sum) };
    if sum.to_bits() == 0 {
        y.fill(f32::NEG_INFINITY); // all masked
    } else if sum.is_finite() {
        let (e, ln_m) = ln_parts(b, sum);
        let e = e + exponent;
        for v in y {
            *v = ln_of_quotient(b, *v, e, ln_m);
        }
    } else {
        y.fill(f32::NAN);
    }
}

/// `ln (v / (2^e m))`; what rounding leaves above 0 is 0.
#[inline(always)]
fn ln_of_quotient<B: Backend>(b: B, v: f32, e: f32, ln_m: f32) -> f32 {
    let (ve, v_ln_m) = ln_parts(b, v);
    let y = b.fma(ve - e, core::f32::consts::LN_2, v_ln_m - ln_m);
    let y = if y > 0.0 { 0.0 } else { y };
    if v.to_bits() == 0 { f32::NEG_INFINITY } else { y }
}

/// Whether the sum neither overflowed nor is so small that one of the results could come from a denormal number.
#[inline(always)]
pub(crate) fn is_plain(sum: f32) -> bool {
    const HIGHEST: f32 = f32::from_bits((127 + 100) << 23);
    (1.0..=HIGHEST).contains(&sum)
}

/// Exponent of the power of two by which rare rows are scaled.
const LIFT: f32 = 64.0;
const UP: f32 = f32::from_bits((127 + 64) << 23);
const DOWN: f32 = f32::from_bits((127 - 64) << 23);

/// Divides `s(x)` by its sum where that is not [plain](is_plain).
#[cold]
#[inline(never)]
fn scale_rare(y: &mut [f32], sum: f32) {
    let is_low = sum < 1.0;
    let (sum, _) = sum_rare(y, sum);
    let factor = 1.0 / sum;
    if sum.to_bits() == 0 {
        y.fill(0.0); // all masked
    } else if !sum.is_finite() {
        y.fill(f32::NAN);
    } else if is_low {
        y.iter_mut().for_each(|v| *v = lift(*v) * factor);
    } else {
        y.iter_mut().for_each(|v| *v = *v * DOWN * factor);
    }
}

/// The sum of `s(x)` once more, and the exponent of the power of two by which it is to be multiplied.
#[cold]
#[inline(never)]
fn sum_rare(y: &[f32], sum: f32) -> (f32, f32) {
    if sum < 1.0 { (sum_of(y, lift), -LIFT) } else { (sum_of(y, |v| v * DOWN), LIFT) }
}

/// `v * 2^64` for `0 <= v <= 1`, denormal or not; as an integer, so that nothing flushes it.
#[inline(always)]
fn lift(v: f32) -> f32 {
    const DENORMAL: f32 = f32::from_bits((127 + 64 - 149) << 23);
    if v.to_bits() < f32::MIN_POSITIVE.to_bits() { v.to_bits() as f32 * DENORMAL } else { v * UP }
}

/// `Σ f(y[i])`, in blocks that are merged in f64.
#[inline(always)]
fn sum_of(y: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sum = 0.0f64;
    for block in y.chunks(16 * LANES) {
        let mut lanes = [0.0; LANES];
        for part in block.chunks(LANES) {
            for (lane, &v) in lanes.iter_mut().zip(part) {
                *lane += f(v);
            }
        }
        sum += f64::from(fold(lanes));
    }
    sum as f32
}
