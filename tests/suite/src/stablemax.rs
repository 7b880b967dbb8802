//! StableMax against f64: every length, rows anywhere in memory, the edges of f32.

use scrimp::Rows;
use scrimp::backend::Dispatch;
use scrimp::softmax::{
    log_stablemax_f32_on, perp_grad_rescaled_on, stablemax_cross_entropy_on, stablemax_f32_in_place_on,
    stablemax_f32_on,
};

use crate::Failure;
use crate::buffer::{Guarded, paint};

const MAX_LEN: usize = 67;
const OFFSETS: usize = 4;
const ROOM: usize = MAX_LEN + 2 * OFFSETS;
const MASKED: f32 = f32::NEG_INFINITY;

fn s(x: f32) -> f64 {
    let u = 1.0 + f64::from(x.abs());
    if x < 0.0 { 1.0 / u } else { u }
}

/// All lengths and offsets with painted data, apart and in place, and the edges of f32.
pub(crate) fn f32<D: Dispatch>(backend: D) -> Result<(), Failure> {
    for len in 1..=MAX_LEN {
        for offset in 0..OFFSETS {
            let mut x = Guarded::<f32, ROOM>::new(offset, len);
            let mut y = Guarded::<f32, ROOM>::new(OFFSETS - offset, len);
            for (i, x) in x.row().iter_mut().enumerate() {
                *x = paint(i + len);
            }
            check(backend, x.row(), y.row())?;
            x.check()?;
            y.check()?;
        }
    }
    let big = f32::MAX;
    let mut y = [0.0; 5];
    for x in [
        [big; 5],
        [-big; 5],
        [big, -big, 0.0, 1.0, -1.0],
        [-2e38, -1e38, MASKED, -big, -1e30],
        [0.0, -big, -1e38, 1e-40, MASKED],
        [MASKED, MASKED, -big, MASKED, MASKED],
        [MASKED; 5],
    ] {
        check(backend, &x, &mut y)?;
    }
    for poison in [f32::NAN, f32::INFINITY] {
        for rest in [MASKED, 0.0, -big] {
            let x = [rest, rest, rest, poison, rest];
            run(stablemax_f32_on(backend, &x, &mut y, Rows::one(5).map_err(|_| ERROR)?))?;
            // In bits: for Helium LLVM (rustc 1.96) makes `all(is_nan)` false here, although every element is one.
            if !y.iter().all(|v| v.to_bits() << 1 > f32::INFINITY.to_bits() << 1) {
                return Err(Failure::new("a NaN did not poison its row"));
            }
        }
    }
    Ok(())
}

const ERROR: Failure = Failure::new("an error");

fn run(result: Result<(), scrimp::Error>) -> Result<(), Failure> {
    result.map_err(|_| ERROR)
}

fn check<D: Dispatch>(backend: D, x: &[f32], y: &mut [f32]) -> Result<(), Failure> {
    let rows = Rows::one(x.len()).map_err(|_| ERROR)?;
    let sum: f64 = x.iter().map(|&v| s(v)).sum();
    let all_masked = sum <= 0.0;
    run(stablemax_f32_on(backend, x, y, rows))?;
    for (i, (&x, &y)) in x.iter().zip(&*y).enumerate() {
        let want = if all_masked { 0.0 } else { s(x) / sum };
        let close = (f64::from(y) - want).abs() <= 1.5e-6 * want + f64::from(f32::MIN_POSITIVE);
        let exact = x > MASKED || y.to_bits() == 0;
        if !(close && exact) {
            return Err(Failure::new("stablemax outside the bound").element(i, want, y.into()));
        }
    }
    let mut row = [0.0; MAX_LEN];
    let row = row.get_mut(..x.len()).unwrap_or_default();
    row.copy_from_slice(x);
    run(stablemax_f32_in_place_on(backend, row, rows))?;
    if row.iter().zip(&*y).any(|(a, b)| a.to_bits() != b.to_bits()) {
        return Err(Failure::new("in place differs"));
    }
    run(log_stablemax_f32_on(backend, x, y, rows))?;
    for (i, (&x, &y)) in x.iter().zip(&*y).enumerate() {
        let want = if all_masked || x.is_infinite() { f64::NEG_INFINITY } else { libm::log(s(x) / sum) };
        let both_infinite = want.is_infinite() && y.is_infinite() && y < 0.0;
        let close = (f64::from(y) - want).abs() <= 1.5e-6 * want.abs() + 5e-7;
        if !(close || both_infinite) {
            return Err(Failure::new("log_stablemax outside the bound").element(i, want, y.into()));
        }
    }
    Ok(())
}

/// The spec's values.
pub(crate) fn training<D: Dispatch>(backend: D) -> Result<(), Failure> {
    const WANT: [f32; 4] = [-0.346_153_85, 0.153_846_15, 0.038_461_54, 0.153_846_15];
    let (mut gradient, mut loss) = ([0.0; 4], [0.0]);
    let rows = Rows::one(4).map_err(|_| ERROR)?;
    run(stablemax_cross_entropy_on(backend, &[1.0, 0.0, -1.0, 2.0], &[0], &mut gradient, Some(&mut loss), rows))?;
    let mut perp = [1.0, 2.0];
    run(perp_grad_rescaled_on(backend, &[3.0, 4.0], &mut perp))?;
    let got = gradient.iter().chain(&loss).chain(&perp);
    for (i, (&got, &want)) in got.zip(WANT.iter().chain(&[1.178_655, -1.788_854_4, 1.341_640_8])).enumerate() {
        let close = (got - want).abs() < 5e-7;
        if !close {
            return Err(Failure::new("not the published value").element(i, want.into(), got.into()));
        }
    }
    Ok(())
}
