//! 8-bit softmax and its kin: the same bytes as portable code written out here.

use scrimp::backend::Dispatch;
use scrimp::fixedpoint::{
    exp_on_negative_values, one_over_one_plus_x, rounding_shift_right, saturating_doubling_high_mul,
};
use scrimp::{Error, LogSoftmaxS8, Rows, SoftmaxS8, StablemaxS8};

use crate::Failure;
use crate::buffer::{Element, Guarded};

const MOST: usize = 600;
const ROOM: usize = MOST + 8;

/// TFLite's integers for scale 1/16, and for others.
const SHIFT: i32 = 23;
static SOFTMAX: SoftmaxS8 = scrimp::expect!(SoftmaxS8::from_multiplier(1 << 30, SHIFT, -248));
static STABLEMAX: StablemaxS8 = scrimp::expect!(StablemaxS8::new(1.0 / 16.0));
static LOG_SOFTMAX: LogSoftmaxS8 = scrimp::expect!(LogSoftmaxS8::new(1.0 / 16.0));

/// Looks at a row and where it starts in its word.
type Check<'a> = dyn FnMut(&[i8], usize) -> Result<(), Failure> + 'a;

/// A public function from rows to rows.
type Call<'a, Y> = dyn Fn(&[i8], &mut [Y], Rows) -> Result<(), Error> + 'a;

/// All short lengths and some long ones, of the kinds of rows that take different paths; at all places of a word when called for each
/// `at`.
fn rows(at: usize, check: &mut Check<'_>) -> Result<(), Failure> {
    for len in (1..=40).chain([63, 64, 65, 95, 96, 97, 159, 160, 161, 279, 281, 319, 321, 511, 513, MOST]) {
        for kind in 0..5 {
            let offset = (len + kind + at) % 4;
            let mut x = Guarded::<i8, ROOM>::filled(offset, len, |i| {
                let noise = ((i * 89 + len * 31 + kind * 7) % 251) as i32 - 125;
                let x = match kind {
                    0 => noise,
                    1 => noise / 16,
                    2 => -7,
                    3 => noise / 2 - 64,
                    _ => {
                        if i == len / 3 {
                            127
                        } else {
                            noise / 3 - 80
                        }
                    }
                };
                x as i8
            });
            check(x.row(), offset).map_err(|failure| failure.row(len, offset))?;
        }
    }
    Ok(())
}

/// Runs `kernel` inside canaries and compares what it writes.
fn compare<Y: Element + Into<i32>>(
    x: &[i8],
    offset: usize,
    kernel: &Call<'_, Y>,
    want: &dyn Fn(i8) -> i32,
) -> Result<(), Failure> {
    let mut y = Guarded::<Y, ROOM>::new(3 - offset, x.len());
    if Rows::one(x.len()).and_then(|rows| kernel(x, y.row(), rows)).is_err() {
        return Err(Failure::new("a right call is an error"));
    }
    y.check()?;
    for (i, (&x, &y)) in x.iter().zip(y.row().iter()).enumerate() {
        if y.into() != want(x) {
            return Err(Failure::new("other bytes").element(i, want(x).into(), y.into().into()));
        }
    }
    Ok(())
}

/// An exponential of `SOFTMAX`.
fn exp(below: i32) -> i32 {
    if below > 248 { 0 } else { exp_on_negative_values(saturating_doubling_high_mul(-below << SHIFT, 1 << 30)) }
}

/// The reference, for a row whose sum is within it.
fn reference(x: &[i8], bits: u32) -> impl Fn(i8) -> i32 {
    let max = x.iter().copied().fold(i8::MIN, i8::max);
    let below = move |x: i8| i32::from(max) - i32::from(x);
    let sum: i32 = x.iter().map(|&x| rounding_shift_right(exp(below(x)), 12)).sum();
    let zeros = sum.leading_zeros();
    let factor = one_over_one_plus_x((sum << zeros) & i32::MAX);
    move |x| {
        let high = saturating_doubling_high_mul(factor, exp(below(x)));
        rounding_shift_right(high, 43 - bits - zeros).min((1 << bits) - 1) - (1 << (bits - 1))
    }
}

pub(crate) fn softmax<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    rows(at, &mut |x, offset| {
        if x.len() > 511 && x.iter().all(|&v| v == x[0]) {
            return Ok(()); // beyond the reference
        }
        let want = reference(x, 8);
        compare::<i8>(x, offset, &|x, y, rows| SOFTMAX.run_on(d, x, y, rows), &want)?;
        let in_place = |x: &[i8], y: &mut [i8], rows| {
            y.copy_from_slice(x);
            SOFTMAX.run_in_place_on(d, y, rows)
        };
        compare::<i8>(x, offset, &in_place, &want)
    })
}

pub(crate) fn softmax_s16<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    rows(at, &mut |x, offset| {
        compare::<i16>(x, offset, &|x, y, rows| SOFTMAX.run_s16_on(d, x, y, rows), &reference(x, 16))
    })
}

/// The rule of StableMax at scale 1/16.
fn stable(x: &[i8], bits: u32) -> impl Fn(i8) -> i32 {
    let s = |x: i8| {
        let magnitude = 16 + u64::from(x.unsigned_abs());
        if x >= 0 { magnitude << 12 } else { ((1 << 21) / magnitude).div_ceil(2) }
    };
    let sum: u64 = x.iter().map(|&x| s(x)).sum();
    let h = 64 - sum.leading_zeros();
    let factor = ((1u64 << (h + 30)) + sum / 2) / sum;
    let shift = h + 30 - bits;
    move |x| (((s(x) * factor + (1 << (shift - 1))) >> shift) as i32).min((1 << bits) - 1) - (1 << (bits - 1))
}

pub(crate) fn stablemax<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    rows(at, &mut |x, offset| {
        compare::<i8>(x, offset, &|x, y, rows| STABLEMAX.run_on(d, x, y, rows), &stable(x, 8))?;
        compare::<i16>(x, offset, &|x, y, rows| STABLEMAX.run_s16_on(d, x, y, rows), &stable(x, 16))
    })
}

/// Within half a unit of the real logarithm.
pub(crate) fn log_softmax<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    rows(at, &mut |x, offset| {
        let mut y = Guarded::<i8, ROOM>::new(offset, x.len());
        if Rows::one(x.len()).and_then(|rows| LOG_SOFTMAX.run_on(d, x, y.row(), rows)).is_err() {
            return Err(Failure::new("a right call is an error"));
        }
        y.check()?;
        let max = f64::from(x.iter().copied().fold(i8::MIN, i8::max));
        let ln = libm::log(x.iter().map(|&x| libm::exp((f64::from(x) - max) / 16.0)).sum());
        for (i, (&x, &y)) in x.iter().zip(y.row().iter()).enumerate() {
            let want = (f64::from(x) - max - 16.0 * ln + 127.0).max(-128.0);
            if (f64::from(y) - want).abs() > 0.51 {
                return Err(Failure::new("outside the bound").element(i, want, y.into()));
            }
        }
        Ok(())
    })
}
