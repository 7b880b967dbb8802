//! Functions of one f32, swept. By default every 97th value; `SCRIMP_EXHAUSTIVE=1` takes all (a minute or two).

use scrimp::backend::Dispatch;
use scrimp::math::{exp, ext_exp, sigmoid};

fn step() -> usize {
    if std::env::var_os("SCRIMP_EXHAUSTIVE").is_some() { 1 } else { 97 }
}

/// The distance of `y` from `reference` in units of the last place of the f32 nearest to it.
fn ulp(y: f32, reference: f64) -> f64 {
    let near = reference as f32;
    let unit = f64::from(near.next_up()) - f64::from(near);
    (f64::from(y) - reference).abs() / unit
}

struct Exp(f32);
impl scrimp::backend::Kernel for Exp {
    type Output = [f32; 2];
    fn eval<B: scrimp::backend::Backend>(self, b: B) -> [f32; 2] {
        [exp(b, self.0), sigmoid(b, self.0)]
    }
}

fn sweep<D: Dispatch>(d: D) {
    let mut worst = (0.0, 0.0);
    // -0.0 down to where the result is the smallest normal number.
    for bits in ((-0.0f32).to_bits()..=(-87.336_54f32).to_bits()).step_by(step()) {
        let x = f32::from_bits(bits);
        let error = ulp(d.dispatch(Exp(x))[0], f64::from(x).exp());
        if error > worst.0 {
            worst = (error, x);
        }
    }
    println!("exp: at most {} ULP, at {}", worst.0, worst.1);
    assert!(worst.0 <= 2.0, "exp({}) is off by {} ULP", worst.1, worst.0);

    for x in [-87.4, -100.0, -1e30, f32::MIN, f32::NEG_INFINITY] {
        assert_eq!(d.dispatch(Exp(x))[0].to_bits(), 0, "exp({x})");
    }
    assert_eq!(d.dispatch(Exp(0.0))[0].to_bits(), 1.0f32.to_bits());
    assert!(d.dispatch(Exp(f32::NAN)).iter().all(|v| v.is_nan()));

    for i in -120_000..=120_000 {
        let x = i as f32 / 1000.0;
        let reference = 1.0 / (1.0 + (-f64::from(x)).exp());
        let error = (f64::from(d.dispatch(Exp(x))[1]) - reference).abs();
        assert!(error <= 2e-7, "sigmoid({x}) is off by {error:e}");
    }
}

struct ExtExp(f32);
impl scrimp::backend::Kernel for ExtExp {
    type Output = (f32, f32);
    fn eval<B: scrimp::backend::Backend>(self, b: B) -> (f32, f32) {
        ext_exp(b, self.0)
    }
}

/// Positive and negative arguments, from the smallest that matters to where a pair is exact on every backend.
fn sweep_ext<D: Dispatch>(d: D) {
    let mut worst = (0.0, 0.0);
    for bits in (1e-9f32.to_bits()..=256.0f32.to_bits()).step_by(step()) {
        for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
            let (m, n) = d.dispatch(ExtExp(x));
            let error = ulp(m, (f64::from(x) - f64::from(n) * core::f64::consts::LN_2).exp());
            if error > worst.0 {
                worst = (error, x);
            }
            assert!((0.7..1.42).contains(&m) && (n - n.round()).abs() < 1e-6, "ext_exp({x}) = {m} 2^{n}");
        }
    }
    println!("ext_exp: at most {} ULP, at {}", worst.0, worst.1);
    assert!(worst.0 <= 2.0, "ext_exp({}) is off by {} ULP", worst.1, worst.0);
}

macro_rules! exhaustive {
    ($name:ident, $token:expr) => {
        mod $name {
            #[test]
            fn exp_and_sigmoid() {
                $token.map(super::sweep).unwrap_or_else(|| eprintln!("skipped: this CPU lacks it"));
            }
            #[test]
            fn pairs() {
                $token.map(super::sweep_ext).unwrap_or_else(|| eprintln!("skipped: this CPU lacks it"));
            }
        }
    };
}
scrimp::for_each_backend!(exhaustive);
