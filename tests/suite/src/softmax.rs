//! Softmax of f32 rows against an f64 oracle.

use scrimp::softmax::softmax_f32_on;
use scrimp::{Error, Rows, backend::Dispatch};

use crate::Failure;
use crate::buffer::{Guarded, paint};

const MAX_LEN: usize = 67;
const OFFSETS: usize = 16;
const ROOM: usize = MAX_LEN + 2 * OFFSETS;

/// The bound of [`softmax_f32_on`].
fn close(got: f32, want: f64) -> bool {
    (f64::from(got) - want).abs() <= 1.5e-6 * want + f64::from(f32::MIN_POSITIVE)
}

/// All lengths and offsets with painted data.
pub(crate) fn f32<D: Dispatch>(backend: D) -> Result<(), Failure> {
    for len in 1..=MAX_LEN {
        let mut want = [0.0; MAX_LEN];
        let want = &mut want[..len];
        oracle(want, |i| paint(i + len));
        for offset in 0..OFFSETS {
            let mut x = Guarded::<f32, ROOM>::new(offset, len);
            let mut y = Guarded::<f32, ROOM>::new(OFFSETS - offset, len);
            for (i, x) in x.row().iter_mut().enumerate() {
                *x = paint(i + len);
            }
            run(backend, x.row(), y.row())?;
            x.check()?;
            y.check()?;
            compare(want, y.row()).map_err(|failure| failure.row(len, offset))?;
        }
    }
    several_rows(backend)?;
    wrong_length(backend)
}

/// Several rows at once give what each gives alone.
fn several_rows<D: Dispatch>(backend: D) -> Result<(), Failure> {
    const COLS: usize = 21;
    let x: [f32; 3 * COLS] = core::array::from_fn(paint);
    let mut y = [0.0; 3 * COLS];
    call(backend, &x, &mut y, Rows::new(3, COLS))?;
    for (x, y) in x.chunks_exact(COLS).zip(y.chunks_exact(COLS)) {
        let mut alone = [0.0; COLS];
        run(backend, x, &mut alone)?;
        if alone.iter().zip(y).any(|(a, b)| a.to_bits() != b.to_bits()) {
            return Err(Failure::new("a row among rows differs from the row alone").row(COLS, 0));
        }
    }
    Ok(())
}

/// A wrong length is an error and leaves the output alone.
fn wrong_length<D: Dispatch>(backend: D) -> Result<(), Failure> {
    for (x_len, y_len) in [(5, 6), (6, 5), (7, 6), (6, 7), (0, 6), (6, 0)] {
        let x = [1.0; 7];
        let mut y = Guarded::<f32, 8>::new(0, y_len);
        if call(backend, &x[..x_len], y.row(), Rows::one(6)).is_ok() {
            return Err(Failure::new("a wrong length is taken").row(x_len, 0));
        }
        y.check_untouched()?;
    }
    Ok(())
}

/// Extremes of f32 and the values of the design's table.
pub(crate) fn f32_special<D: Dispatch>(backend: D) -> Result<(), Failure> {
    const INFINITY: f32 = f32::INFINITY;
    const MAX: f32 = f32::MAX;
    const MASKED: f32 = f32::NEG_INFINITY;
    for len in 1..=MAX_LEN {
        for hot in [0, len / 2, len - 1] {
            // One element against the rest.
            for (rest, one) in [(-MAX, MAX), (MAX, -MAX), (0.0, 80.0), (0.0, MASKED), (MASKED, -3.0)] {
                let value = |i| if i == hot { one } else { rest };
                let mut want = [0.0; MAX_LEN];
                oracle(&mut want[..len], value);
                check(backend, &want[..len], value)?;
            }
            // One element poisons the whole row, even among masked ones.
            for (rest, one) in [(0.0, f32::NAN), (MASKED, f32::NAN), (0.0, INFINITY), (MASKED, INFINITY)] {
                check(backend, &[f64::NAN; MAX_LEN][..len], |i| if i == hot { one } else { rest })?;
            }
        }
        for all in [0.0, 1.0e-40, -MAX, MAX] {
            #[expect(clippy::cast_precision_loss, reason = "at most 67")]
            check(backend, &[1.0 / len as f64; MAX_LEN][..len], |_| all)?;
        }
        check(backend, &[0.0; MAX_LEN][..len], |_| MASKED)?;
    }
    Ok(())
}

fn check<D: Dispatch>(backend: D, want: &[f64], value: impl Fn(usize) -> f32) -> Result<(), Failure> {
    let x: [f32; MAX_LEN] = core::array::from_fn(value);
    let mut y = [0.0; MAX_LEN];
    let len = want.len();
    run(backend, &x[..len], &mut y[..len])?;
    compare(want, &y[..len]).map_err(|failure| failure.row(len, 0))
}

fn compare(want: &[f64], got: &[f32]) -> Result<(), Failure> {
    for (i, (&want, &got)) in want.iter().zip(got).enumerate() {
        if !(close(got, want) || want.is_nan() && got.is_nan()) {
            return Err(Failure::new("outside the bound").element(i, want, got.into()));
        }
    }
    Ok(())
}

fn run<D: Dispatch>(backend: D, x: &[f32], y: &mut [f32]) -> Result<(), Failure> {
    call(backend, x, y, Rows::one(x.len()))
}

fn call<D: Dispatch>(backend: D, x: &[f32], y: &mut [f32], rows: Result<Rows, Error>) -> Result<(), Failure> {
    rows.and_then(|rows| softmax_f32_on(backend, x, y, rows)).map_err(|_| Failure::new("an error"))
}

fn oracle(y: &mut [f64], x: impl Fn(usize) -> f32) {
    let max = (0..y.len()).map(&x).fold(f32::NEG_INFINITY, f32::max);
    if max == f32::NEG_INFINITY {
        y.fill(0.0); // fully masked
        return;
    }
    let mut sum = 0.0;
    for (i, y) in y.iter_mut().enumerate() {
        *y = libm::exp(f64::from(x(i)) - f64::from(max));
        sum += *y;
    }
    for y in y {
        *y /= sum;
    }
}
