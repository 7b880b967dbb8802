//! Functions of f64 that run when the program is built: for tables of integer kernels, which must not depend on a target's
//! mathematics. Within a few units of the last place of f64, so that what is rounded from them to f32 is as good as always
//! the nearest one; slow, and no kernel calls one for an element.

const LN_2: f64 = core::f64::consts::LN_2;
/// ln 2 in two parts; the first one times an exponent is exact.
const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// `e^x`.
pub(crate) const fn exp(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x > 709.78 {
        return f64::INFINITY;
    }
    if x < -745.0 {
        return 0.0;
    }
    let n = (x / LN_2 + if x < 0.0 { -0.5 } else { 0.5 }) as i32;
    let t = (x - n as f64 * LN_2_HIGH) - n as f64 * LN_2_LOW;
    let (mut sum, mut k) = (1.0, 18);
    while k > 0 {
        sum = 1.0 + sum * t / k as f64;
        k -= 1;
    }
    // In two halves, as 2^n alone may be too small for a normal number.
    sum * power_of_two(n / 2) * power_of_two(n - n / 2)
}

/// `e^x - 1`, also near 0.
const fn exp_minus_one(x: f64) -> f64 {
    if x > 0.5 || x < -0.5 {
        return exp(x) - 1.0;
    }
    let (mut sum, mut k) = (1.0, 18);
    while k > 1 {
        sum = 1.0 + sum * x / k as f64;
        k -= 1;
    }
    sum * x
}

/// `tanh x`.
pub(crate) const fn tanh(x: f64) -> f64 {
    if x > 20.0 {
        return 1.0;
    }
    if x < -20.0 {
        return -1.0;
    }
    let e = exp_minus_one(2.0 * x);
    e / (e + 2.0)
}

/// `ln x` of a positive, normal, finite number.
pub(crate) const fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut n = (bits >> 52) as i32 - 1023;
    let mut m = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if m > core::f64::consts::SQRT_2 {
        m *= 0.5;
        n += 1;
    }
    // ln m = 2 artanh s
    let s = (m - 1.0) / (m + 1.0);
    let (mut sum, mut k) = (0.0, 25);
    while k > 0 {
        sum = sum * s * s + 1.0 / k as f64;
        k -= 2;
    }
    n as f64 * LN_2_HIGH + (2.0 * s * sum + n as f64 * LN_2_LOW)
}

/// The complementary error function, `2/sqrt(pi) ∫ e^(-t²) dt` from `x` on.
pub(crate) const fn erfc(x: f64) -> f64 {
    const ROOT_OF_PI: f64 = 1.772_453_850_905_516;
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x > 27.0 {
        return 0.0;
    }
    let square = x * x;
    if x < 2.5 {
        // erf x = 2/sqrt(pi) e^(-x²) x Σ (2x²)^n / (2n + 1)!!, all of whose terms are positive.
        let (mut sum, mut k) = (1.0, 60);
        while k > 0 {
            sum = 1.0 + sum * 2.0 * square / (2 * k + 1) as f64;
            k -= 1;
        }
        return 1.0 - 2.0 / ROOT_OF_PI * exp(-square) * x * sum;
    }
    // A continued fraction: 1/(x + 1/2/(x + 2/2/(x + 3/2/(x + ...)))).
    let (mut fraction, mut k) = (x, 60);
    while k > 0 {
        fraction = x + 0.5 * k as f64 / fraction;
        k -= 1;
    }
    exp(-square) / (ROOT_OF_PI * fraction)
}

/// The square root of a non-negative, finite number, by Newton's steps from above.
pub(crate) const fn sqrt(x: f64) -> f64 {
    if x < f64::MIN_POSITIVE {
        return 0.0;
    }
    // Half the exponent is within a factor of two.
    let mut y = f64::from_bits((x.to_bits() >> 1) + (1023 << 51));
    let mut step = 0;
    while step < 6 {
        y = 0.5 * (y + x / y);
        step += 1;
    }
    y
}

/// `2^n` for a normal one.
const fn power_of_two(n: i32) -> f64 {
    f64::from_bits(((1023 + n) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::{erfc, exp, ln, sqrt, tanh};

    fn compare(name: &str, at: f64, got: f64, want: f64, bound: f64) {
        if got.to_bits() == want.to_bits() {
            return; // also two infinities
        }
        let error = (got - want).abs() / want.abs().max(f64::MIN_POSITIVE);
        assert!(error < bound, "{name}({at}) = {got:e}, {want:e} by libm");
    }

    #[test]
    fn they_are_those_of_libm() {
        for i in -40_000..=40_000 {
            let x = f64::from(i) / 1000.0;
            compare("exp", x, exp(x), libm::exp(x), 1e-15);
            compare("exp", 18.0 * x, exp(18.0 * x), libm::exp(18.0 * x), if i < -39_000 { 1e-2 } else { 1e-15 });
            compare("tanh", x / 4.0, tanh(x / 4.0), libm::tanh(x / 4.0), 1e-15);
            compare("erfc", x / 4.0, erfc(x / 4.0), libm::erfc(x / 4.0), 1e-11);
        }
        for i in 1..=100_000 {
            let x = f64::from(i) * f64::from(i) / 1e4;
            if i != 100 {
                compare("ln", x, ln(x), libm::log(x), 1e-15);
            }
            compare("sqrt", x, sqrt(x), libm::sqrt(x), 3e-16);
            compare("sqrt", 1e-12 * x, sqrt(1e-12 * x), libm::sqrt(1e-12 * x), 3e-16);
        }
    }

    #[test]
    fn ends() {
        let exact = |got: f64, want: f64| assert_eq!(got.to_bits(), want.to_bits(), "{got:e} {want:e}");
        exact(exp(0.0), 1.0);
        exact(exp(710.0), f64::INFINITY);
        exact(exp(-746.0), 0.0);
        exact(tanh(0.0), 0.0);
        exact(tanh(30.0), 1.0);
        exact(tanh(-30.0), -1.0);
        exact(ln(1.0), 0.0);
        exact(erfc(0.0), 1.0);
        exact(erfc(28.0), 0.0);
        exact(erfc(-28.0), 2.0);
        exact(sqrt(0.0), 0.0);
        exact(sqrt(4.0), 2.0);
        exact(sqrt(f64::from(f32::MAX)), libm::sqrt(f64::from(f32::MAX)));
    }
}
