//! StableMax, its loss and gradient, and ⊥Grad, on every backend: published values, f64 oracles, special values.

use scrimp::backend::Dispatch;
use scrimp::softmax::{
    log_stablemax_f32_in_place_on, log_stablemax_f32_on, perp_grad_on, perp_grad_rescaled_on,
    stablemax_cross_entropy_on, stablemax_f32_in_place_on, stablemax_f32_on,
};
use scrimp::{Error, Rows};
use scrimp_reference::stablemax as reference;

const TINY: f64 = f32::MIN_POSITIVE as f64;
const MASKED: f32 = f32::NEG_INFINITY;

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

fn check(what: &str, y: f32, want: f64, absolute: f64) {
    let error = (f64::from(y) - want).abs();
    let same = f64::from(y).to_bits() == want.to_bits() || y.is_nan() && want.is_nan();
    assert!(same || error <= 1.5e-6 * want.abs() + absolute, "{what}: {y:e} instead of {want:e}, off by {error:e}");
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

/// Rows of every length and kind: near 1, far, and where `s` or its sum leaves the range of f32.
fn rows() -> Vec<Vec<f32>> {
    let mut rows = vec![
        vec![1.0, 2.0, 3.0],
        vec![10.0, 0.0, -10.0],
        vec![MASKED, 0.0, 5.0, MASKED],
        vec![MASKED; 3],
        vec![MASKED, -f32::MAX],
        vec![f32::MAX; 20],
        vec![-f32::MAX; 20],
        vec![f32::MAX, -f32::MAX],
        vec![-2f32.powi(99), -2f32.powi(127)],
        vec![-2f32.powi(60), -2f32.powi(124), -2f32.powi(127), -f32::MAX],
        vec![0.0, -f32::MAX, -2f32.powi(126), -2f32.powi(125), 1e-40],
        vec![2f32.powi(101), -2f32.powi(30), 3.0],
        vec![-0.0, 0.0, 1e-30, -1e-30],
    ];
    for n in (1..=40).chain([255, 256, 257, 1000, 70_000]) {
        for (scale, offset) in [(1.0, 0.0), (20.0, 0.0), (3.0, -500.0), (1e4, 0.0), (3e38, 0.0), (1e38, -2e38)] {
            rows.push(noise(n, n as u64).iter().map(|v| v * scale + offset).collect());
        }
    }
    rows
}

fn probabilities<D: Dispatch>(d: D) {
    for x in rows() {
        let what = format!("{} from {:?}", x.len(), &x[..x.len().min(4)]);
        let (shape, mut y) = (Rows::one(x.len()).unwrap(), vec![0.0; x.len()]);
        stablemax_f32_on(d, &x, &mut y, shape).unwrap();
        for (&y, want) in y.iter().zip(reference::stablemax(&wide(&x))) {
            check(&format!("stablemax of {what}"), y, want, TINY);
        }
        let mut same = x.clone();
        stablemax_f32_in_place_on(d, &mut same, shape).unwrap();
        assert!(same.iter().zip(&y).all(|(a, b)| a.to_bits() == b.to_bits()), "in place: {what}");

        log_stablemax_f32_on(d, &x, &mut y, shape).unwrap();
        for (&y, want) in y.iter().zip(reference::log_stablemax(&wide(&x))) {
            check(&format!("log_stablemax of {what}"), y, want, 5e-7);
        }
        same.copy_from_slice(&x);
        log_stablemax_f32_in_place_on(d, &mut same, shape).unwrap();
        assert!(same.iter().zip(&y).all(|(a, b)| a.to_bits() == b.to_bits()), "log in place: {what}");
    }
    for poison in [f32::NAN, f32::INFINITY] {
        for (n, rest) in [(1, 0.0), (5, 0.0), (5, MASKED), (40, f32::MAX), (300, -f32::MAX)] {
            let mut x = vec![rest; n];
            x[n / 2] = poison;
            let (shape, mut y) = (Rows::one(n).unwrap(), vec![0.0; n]);
            stablemax_f32_on(d, &x, &mut y, shape).unwrap();
            assert!(y.iter().all(|v| v.is_nan()), "{poison} among {n}");
            log_stablemax_f32_on(d, &x, &mut y, shape).unwrap();
            assert!(y.iter().all(|v| v.is_nan()), "log, {poison} among {n}");
            stablemax_cross_entropy_on(d, &x, &[0], &mut y, None, shape).unwrap();
            assert!(y.iter().all(|v| v.is_nan()), "gradient, {poison} among {n}");
        }
    }
}

fn loss<D: Dispatch>(d: D) {
    for x in rows().into_iter().filter(|x| x.len() < 2000) {
        for target in [0, x.len() / 2, x.len() - 1] {
            let what = format!("{target} of {} from {:?}", x.len(), &x[..x.len().min(4)]);
            let (mut gradient, mut loss) = (vec![0.0; x.len()], [0.0]);
            let shape = Rows::one(x.len()).unwrap();
            stablemax_cross_entropy_on(d, &x, &[target], &mut gradient, Some(&mut loss), shape).unwrap();
            if x.iter().all(|v| v.is_infinite()) {
                assert!(loss[0].is_infinite() && gradient.iter().all(|g| g.to_bits() == 0), "{what}");
                continue;
            }
            check(&format!("loss of {what}"), loss[0], reference::cross_entropy(&wide(&x), target), TINY);
            for (&g, want) in gradient.iter().zip(reference::cross_entropy_gradient(&wide(&x), target)) {
                check(&format!("gradient of {what}"), g, want, TINY);
            }
        }
    }
    // The paper's code gives NaN for a logit of exactly 1.
    published(d, &[1.0, 0.0, -1.0, 2.0], 0, 1.178_655, &[-0.346_153_85, 0.153_846_15, 0.038_461_54, 0.153_846_15]);
    published(d, &[10.0, 0.0], 1, 2.484_906_6, &[1.0 / 12.0, -11.0 / 12.0]);
    published(d, &[-1.0, 0.0, 1.0], 2, 0.559_615_8, &[1.0 / 14.0, 2.0 / 7.0, -3.0 / 14.0]);
}

fn published<D: Dispatch>(d: D, x: &[f32], target: usize, want: f32, gradients: &[f32]) {
    let (mut gradient, mut loss) = (vec![0.0; x.len()], [0.0]);
    stablemax_cross_entropy_on(d, x, &[target], &mut gradient, Some(&mut loss), Rows::one(x.len()).unwrap()).unwrap();
    check("published loss", loss[0], want.into(), 3e-7);
    gradient.iter().zip(gradients).for_each(|(&g, &want)| check("published gradient", g, want.into(), 3e-7));
}

/// Softmax's gradient in f32 is exactly 0 from a gap of 16.64 on; StableMax's never is.
fn no_collapse<D: Dispatch>(d: D) {
    for gap in [17.0f32, 100.0, 1e6, 1e9, 1e18] {
        let (x, shape) = ([gap, 0.0], Rows::one(2).unwrap());
        let softmax = 1.0 / (1.0 + (-gap).exp());
        assert_eq!((softmax - 1.0).to_bits(), 0, "softmax did not collapse at {gap}");
        let (mut gradient, mut loss) = ([0.0; 2], [0.0]);
        stablemax_cross_entropy_on(d, &x, &[0], &mut gradient, Some(&mut loss), shape).unwrap();
        assert!(gradient[0] < 0.0 && gradient[1] > 0.0 && loss[0] > 0.0, "{gradient:?} {loss:?} at {gap}");
    }
}

/// The oracle's gradient is the slope of the oracle's loss.
#[test]
fn gradients_are_slopes() {
    let x = wide(&noise(9, 3)).iter().map(|v| v * 4.0).chain([1.0]).collect::<Vec<_>>();
    for target in [0, 4, 9] {
        for (k, gradient) in reference::cross_entropy_gradient(&x, target).into_iter().enumerate() {
            let at = |step: f64| {
                let mut x = x.clone();
                x[k] += step;
                reference::cross_entropy(&x, target)
            };
            let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!((slope - gradient).abs() < 1e-8, "{slope} {gradient}");
        }
    }
}

fn perp<D: Dispatch>(d: D) {
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 3e-7);
    let mut g = [1.0, 2.0];
    perp_grad_on(d, &[3.0, 4.0], &mut g).unwrap();
    assert!(near(&g, &[-0.32, 0.24]), "{g:?}");
    g = [1.0, 2.0];
    perp_grad_rescaled_on(d, &[3.0, 4.0], &mut g).unwrap();
    assert!(near(&g, &[-1.788_854_4, 1.341_640_8]), "{g:?}");

    for n in [2, 3, 17, 64, 300, 5000] {
        for (w_scale, g_scale) in [(1.0, 1.0), (1e-3, 1e3), (1e30, 1e-30), (1e-30, 1e30), (3e38, 2e38), (1e-37, 1e-37)]
        {
            let w: Vec<f32> = noise(n, 1).iter().map(|v| v * w_scale).collect();
            let g: Vec<f32> = noise(n, 2).iter().map(|v| v * g_scale + 0.5 * g_scale).collect();
            for keep_norm in [false, true] {
                let mut got = g.clone();
                if keep_norm { perp_grad_rescaled_on(d, &w, &mut got) } else { perp_grad_on(d, &w, &mut got) }.unwrap();
                let length = wide(&g).iter().map(|g| g * g).sum::<f64>().sqrt();
                for (&got, want) in got.iter().zip(reference::perp_grad(&wide(&w), &wide(&g), keep_norm)) {
                    check(&format!("perp_grad {n} {w_scale:e} {g_scale:e}"), got, want, 1e-6 * length);
                }
            }
        }
    }
    // Along the weights, nothing is left, and rounding is not blown up; weights of zeros leave everything.
    let w = noise(100, 5);
    let mut g: Vec<f32> = w.iter().map(|v| v * 0.7).collect();
    perp_grad_rescaled_on(d, &w, &mut g).unwrap();
    assert!(g.iter().all(|v| v.abs() < 1e-6), "{g:?}");
    let mut g = [1.0, 2.0];
    perp_grad_rescaled_on(d, &[0.0, 0.0], &mut g).unwrap();
    assert!(near(&g, &[1.0, 2.0]));
    // One element has no direction but along itself.
    let mut g = [5.0];
    perp_grad_on(d, &[2.0], &mut g).unwrap();
    assert_eq!(g[0].to_bits(), 0);
}

fn errors<D: Dispatch>(d: D) {
    let (x, shape) = ([1.0; 6], Rows::new(2, 3).unwrap());
    let mut y = [9.0; 6];
    assert!(stablemax_f32_on(d, &x[..5], &mut y, shape).is_err());
    assert!(stablemax_f32_on(d, &x, &mut y[..5], shape).is_err());
    assert!(log_stablemax_f32_on(d, &x, &mut y[..5], shape).is_err());
    assert!(stablemax_cross_entropy_on(d, &x, &[0], &mut y, None, shape).is_err());
    assert!(stablemax_cross_entropy_on(d, &x, &[0, 2], &mut y[..5], None, shape).is_err());
    assert!(stablemax_cross_entropy_on(d, &x, &[0, 2], &mut y, Some(&mut [0.0]), shape).is_err());
    let result = stablemax_cross_entropy_on(d, &x, &[0, 3], &mut y, None, shape);
    assert!(matches!(result, Err(Error::TooLarge { max: 2, got: 3, .. })), "{result:?}");
    assert!(perp_grad_on(d, &x, &mut y[..5]).is_err());
    assert!(perp_grad_on(d, &[], &mut []).is_err());
    assert!(y.iter().all(|v| v.to_bits() == 9f32.to_bits()));
}

macro_rules! stablemax {
    ($name:ident, $token:expr) => {
        mod $name {
            #[test]
            fn probabilities() {
                $token.map(super::probabilities).unwrap_or_else(|| eprintln!("skipped: this CPU lacks it"));
            }
            #[test]
            fn loss_and_gradient() {
                $token.map(super::loss).unwrap_or_else(|| eprintln!("skipped: this CPU lacks it"));
            }
            #[test]
            fn no_collapse() {
                $token.map(super::no_collapse).unwrap_or_else(|| eprintln!("skipped: this CPU lacks it"));
            }
            #[test]
            fn perp_grad() {
                $token.map(super::perp).unwrap_or_else(|| eprintln!("skipped: this CPU lacks it"));
            }
            #[test]
            fn errors() {
                $token.map(super::errors).unwrap_or_else(|| eprintln!("skipped: this CPU lacks it"));
            }
        }
    };
}
scrimp::for_each_backend!(stablemax);
