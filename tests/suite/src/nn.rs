//! Linear layer, layer normalisation and GELU of f32 tokens against f64.

use scrimp::backend::Dispatch;
use scrimp::nn::{LayerNorm, Linear, gelu_f32_in_place_on};
use scrimp::{Error, Rows};

use crate::Failure;
use crate::buffer::{Guarded, paint};

const MAX_LEN: usize = 37;
const OFFSETS: usize = 8;
const ROOM: usize = MAX_LEN + 2 * OFFSETS;
const TOKENS: usize = 5;
const INPUTS: usize = 11;

fn unexpected(_: Error) -> Failure {
    Failure::new("an error")
}

/// Every tile width of the product, with tokens that fill a block of four and one more.
pub(crate) fn linear<D: Dispatch>(backend: D) -> Result<(), Failure> {
    let x: [f32; TOKENS * INPUTS] = core::array::from_fn(|i| paint(i) / 16.0);
    let weight: [f32; INPUTS * MAX_LEN] = core::array::from_fn(|i| paint(3 * i) / 16.0);
    let bias: [f32; MAX_LEN] = core::array::from_fn(|i| paint(7 * i));
    for outputs in 1..=MAX_LEN {
        let (weight, bias) = (&weight[..INPUTS * outputs], &bias[..outputs]);
        let shape = Rows::new(INPUTS, outputs).map_err(unexpected)?;
        let layer = Linear::new(weight, bias, shape).map_err(unexpected)?;
        let mut y = Guarded::<f32, { TOKENS * MAX_LEN + OFFSETS }>::new(outputs % OFFSETS, TOKENS * outputs);
        layer.run_on(backend, &x, y.row(), TOKENS).map_err(unexpected)?;
        y.check()?;
        for (i, &got) in y.row().iter().enumerate() {
            let (token, o) = (i / outputs, i % outputs);
            let mut want = f64::from(bias[o]);
            let mut scale = want.abs();
            for k in 0..INPUTS {
                let product = f64::from(x[token * INPUTS + k]) * f64::from(weight[k * outputs + o]);
                want += product;
                scale += product.abs();
            }
            if (f64::from(got) - want).abs() > 2e-6 * scale {
                return Err(Failure::new("outside the bound").row(outputs, 0).element(i, want, got.into()));
            }
        }
        if layer.run_on(backend, &x, &mut y.row()[1..], TOKENS).is_ok() {
            return Err(Failure::new("a wrong length is taken").row(outputs, 0));
        }
    }
    Ok(())
}

/// All widths of a token, at all offsets.
pub(crate) fn layer_norm<D: Dispatch>(backend: D) -> Result<(), Failure> {
    let weight: [f32; MAX_LEN] = core::array::from_fn(|i| paint(3 * i) / 8.0);
    let bias: [f32; MAX_LEN] = core::array::from_fn(|i| paint(7 * i));
    for len in 1..=MAX_LEN {
        let norm = LayerNorm::new(&weight[..len], &bias[..len]).map_err(unexpected)?;
        for offset in 0..OFFSETS {
            let mut x = Guarded::<f32, ROOM>::new(offset, len);
            let mut y = Guarded::<f32, ROOM>::new(OFFSETS - offset, len);
            // Small beside its mean, the token is what is left of a difference.
            let mean = [0.0, 300.0, -40_000.0][offset % 3];
            for (i, x) in x.row().iter_mut().enumerate() {
                *x = mean + paint(i + len);
            }
            norm.run_on(backend, x.row(), y.row()).map_err(unexpected)?;
            x.check()?;
            y.check()?;
            let n = len as f64;
            let mean = x.row().iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let variance = x.row().iter().map(|&v| (f64::from(v) - mean) * (f64::from(v) - mean)).sum::<f64>() / n;
            for i in 0..len {
                let scaled = (f64::from(x.row()[i]) - mean) / libm::sqrt(variance + 1e-5) * f64::from(weight[i]);
                let (want, got) = (scaled + f64::from(bias[i]), y.row()[i]);
                if (f64::from(got) - want).abs() > 4e-6 * (scaled.abs() + f64::from(bias[i]).abs() + 1.0) {
                    return Err(Failure::new("outside the bound").row(len, offset).element(i, want, got.into()));
                }
            }
        }
    }
    Ok(())
}

/// All lengths and offsets, and what is infinite or not a number.
pub(crate) fn gelu<D: Dispatch>(backend: D) -> Result<(), Failure> {
    for len in 0..=MAX_LEN {
        for offset in 0..OFFSETS {
            let mut x = Guarded::<f32, ROOM>::new(offset, len);
            for (i, x) in x.row().iter_mut().enumerate() {
                *x = paint(i + len) / 2.0;
            }
            gelu_f32_in_place_on(backend, x.row());
            x.check()?;
            for (i, &got) in x.row().iter().enumerate() {
                let at = f64::from(paint(i + len) / 2.0);
                let want = at * 0.5 * libm::erfc(-at / core::f64::consts::SQRT_2);
                if (f64::from(got) - want).abs() > 2e-6 {
                    return Err(Failure::new("outside the bound").row(len, offset).element(i, want, got.into()));
                }
            }
        }
    }
    let mut special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN];
    gelu_f32_in_place_on(backend, &mut special);
    let [nan, infinite, zero, max, min] = special.map(f32::to_bits);
    let right = f32::from_bits(nan).is_nan()
        && infinite == f32::INFINITY.to_bits()
        && zero == 0
        && max == f32::MAX.to_bits()
        && min == 0;
    if right { Ok(()) } else { Err(Failure::new("a special value is wrong")) }
}
