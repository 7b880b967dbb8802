//! f32 kernels against the f64 oracles, on every backend, under one table of allowed error.

use scrimp::Rows;
use scrimp::backend::Dispatch;
use scrimp::nn::{LayerNorm, Linear, gelu_f32_in_place_on};
use scrimp::softmax::{OnlineSoftmax, log_softmax_f32_on, softmax_f32_on, three_pass_f32_on, two_pass_f32_on};
use scrimp_reference::ops;

/// Allowed error: `|y - ref| <= relative * |ref| + absolute`.
struct Bound {
    relative: f64,
    absolute: f64,
}

const SOFTMAX: Bound = Bound { relative: 1.5e-6, absolute: TINY };
const GELU: Bound = Bound { relative: 0.0, absolute: 2e-6 };
const LAYER_NORM: Bound = Bound { relative: 2e-6, absolute: 2e-6 };
/// Times the sum of the absolute products.
const LINEAR: Bound = Bound { relative: 2e-6, absolute: 0.0 };

/// 2^-126: below it Helium flushes to zero.
const TINY: f64 = 1.1754943508222875e-38;

fn check(what: impl Fn() -> String, bound: &Bound, y: f32, reference: f64, scale: f64) {
    let allowed = bound.relative * scale + bound.absolute;
    let error = (f64::from(y) - reference).abs();
    assert!(error <= allowed, "{}: {y} instead of {reference}, off by {error:e}, {allowed:e} allowed", what());
}

/// Noise from -1 to 1 that every machine makes the same.
fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

type Form<D> = fn(D, &[f32], &mut [f32], Rows) -> Result<(), scrimp::Error>;

fn online<D: Dispatch>(d: D, x: &[f32], y: &mut [f32], _: Rows) -> Result<(), scrimp::Error> {
    let (mut state, mut other) = (OnlineSoftmax::new(), OnlineSoftmax::new());
    let (first, second) = x.split_at(x.len() / 3);
    other.push_on(d, second);
    state.push_on(d, first);
    state.merge(&other);
    state.write_on(d, x, y)
}

/// Row lengths; 16M and 64M where `SCRIMP_EXHAUSTIVE` is set.
fn lengths() -> Vec<usize> {
    let mut all = vec![1, 2, 15, 16, 17, 64, 255, 256, 257, 1000, 4096, 65_537, 1 << 20];
    if std::env::var_os("SCRIMP_EXHAUSTIVE").is_some() {
        all.extend([1 << 22, 1 << 24, 1 << 26]);
    }
    all
}

fn softmax<D: Dispatch>(d: D) {
    let forms: [(&str, Form<D>); 4] = [
        ("softmax", softmax_f32_on),
        ("three_pass", three_pass_f32_on),
        ("two_pass", two_pass_f32_on),
        ("online", online),
    ];
    for n in lengths() {
        for (spread, offset) in [(1.0, 0.0), (10.0, 0.0), (80.0, 0.0), (10.0, 1e6), (1e-3, -3e4), (3e38, 0.0)] {
            if n > 1 << 20 && spread > 10.0 {
                continue;
            }
            let x: Vec<f32> = noise(n, n as u64).iter().map(|v| v * spread + offset).collect();
            let reference = ops::softmax(&wide(&x));
            let log_reference = if n > 1 << 20 { Vec::new() } else { ops::log_softmax(&wide(&x)) };
            let (mut y, rows) = (vec![0.0; n], Rows::one(n).expect("not empty"));
            for (name, form) in forms {
                form(d, &x, &mut y, rows).expect("the lengths are right");
                for (&y, &reference) in y.iter().zip(&reference) {
                    check(|| format!("{name} of {n} in +-{spread} at {offset}"), &SOFTMAX, y, reference, reference);
                }
            }
            log_softmax_f32_on(d, &x, &mut y, rows).expect("the lengths are right");
            for (&y, &reference) in y.iter().zip(&log_reference) {
                if reference < -f64::from(f32::MAX) {
                    assert!(y < -3e38, "log_softmax: {y} instead of {reference}");
                } else {
                    check(|| format!("log_softmax of {n} in +-{spread}"), &SOFTMAX, y, reference, reference.abs());
                }
            }
        }
    }
}

fn gelu<D: Dispatch>(d: D) {
    let x: Vec<f32> = (-400_000..=400_000).map(|i| i as f32 / 50_000.0).chain([1e30, -1e30, f32::MAX]).collect();
    let mut y = x.clone();
    gelu_f32_in_place_on(d, &mut y);
    for (&y, &x) in y.iter().zip(&x) {
        check(|| format!("gelu of {x}"), &GELU, y, ops::gelu(f64::from(x)), 1.0);
    }
    let mut nan = [f32::NAN, f32::INFINITY];
    gelu_f32_in_place_on(d, &mut nan);
    assert!(nan[0].is_nan() && nan[1].is_infinite());
}

fn layer_norm<D: Dispatch>(d: D) {
    for channels in [1, 2, 8, 16, 20, 32, 64, 250] {
        let (weight, bias) = (noise(channels, 1), noise(channels, 2));
        let near = |mean: f32, spread: f32| noise(3 * channels, 3).into_iter().map(move |v| v * spread + mean);
        // Means that are far from the spread; what f32 makes of such a token is what counts.
        let mut x: Vec<f32> = near(0.5, 3.0).collect();
        for (mean, spread) in [(2000.0, 1.0), (-1e5, 1.0), (1e6, 0.2), (3e7, 5.0), (-1e15, 1e13), (0.013, 1e-6)] {
            x.extend(near(mean, spread));
        }
        for constant in [0.0, 0.1, 0.011, 123.456, -100_000.3, 1.7e9, 1e18, f32::MIN_POSITIVE] {
            x.extend(vec![constant; channels]);
            // All but one, at either end: one unit of the last place is all that there is.
            let odd = constant.next_up();
            x.extend((0..channels).map(|i| if i == 0 { odd } else { constant }));
            x.extend((0..channels).map(|i| if i + 1 == channels { odd } else { constant }));
        }
        // A mean that is long by one element alone.
        x.extend((0..channels).map(|i| if i == 0 { 1e6 } else { i as f32 / 1000.0 }));
        let mut y = vec![0.0; x.len()];
        LayerNorm::new(&weight, &bias).and_then(|norm| norm.run_on(d, &x, &mut y)).expect("the lengths are right");
        for (y, x) in y.chunks(channels).zip(x.chunks(channels)) {
            let reference = ops::layer_norm(&wide(x), &wide(&weight), &wide(&bias));
            for (&y, reference) in y.iter().zip(reference) {
                check(|| format!("layer_norm of {channels}"), &LAYER_NORM, y, reference, reference.abs());
            }
        }
    }
}

fn linear<D: Dispatch>(d: D) {
    // Every tile width and every tail of rows.
    for (tokens, inputs, outputs) in (1..10).flat_map(|t| (1..40).map(move |o| (t, 3 * o % 29 + 1, o))) {
        let (weight, bias) = (noise(inputs * outputs, 4), noise(outputs, 5));
        let x = noise(tokens * inputs, 6);
        let mut y = vec![0.0; tokens * outputs];
        let shape = Rows::new(inputs, outputs).expect("not empty");
        Linear::new(&weight, &bias, shape)
            .and_then(|l| l.run_on(d, &x, &mut y, tokens))
            .expect("the lengths are right");
        for (y, x) in y.chunks(outputs).zip(x.chunks(inputs)) {
            let absolute = |v: &[f32]| v.iter().map(|&v| f64::from(v.abs())).collect::<Vec<_>>();
            let reference = ops::linear(&wide(x), &wide(&weight), &wide(&bias));
            let scale = ops::linear(&absolute(x), &absolute(&weight), &absolute(&bias));
            for ((&y, reference), scale) in y.iter().zip(reference).zip(scale) {
                check(|| format!("linear {tokens} x {inputs} x {outputs}"), &LINEAR, y, reference, scale);
            }
        }
    }
}

macro_rules! accuracy {
    ($name:ident, $token:expr) => {
        mod $name {
            #[test]
            fn softmax() {
                $token.map(super::softmax).unwrap_or_else(|| eprintln!("skipped: this CPU lacks it"));
            }
            #[test]
            fn gelu() {
                $token.map(super::gelu).unwrap_or_else(|| eprintln!("skipped: this CPU lacks it"));
            }
            #[test]
            fn layer_norm() {
                $token.map(super::layer_norm).unwrap_or_else(|| eprintln!("skipped: this CPU lacks it"));
            }
            #[test]
            fn linear() {
                $token.map(super::linear).unwrap_or_else(|| eprintln!("skipped: this CPU lacks it"));
            }
        }
    };
}
scrimp::for_each_backend!(accuracy);
