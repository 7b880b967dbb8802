//! f64 functions that run when the program is built: the tables of integer kernels come from them, so they must give the same
//! bits on every target, and use nothing but the four operations.

use core::f64::consts::{LN_2, LOG2_E};

/// `2^x`, relative error below 1e-15; 0 below 2^-1022.
pub(crate) const fn exp2(x: f64) -> f64 {
    if x < -1022.0 {
        return 0.0;
    }
    let x = if x > 1023.0 { 1023.0 } else { x };
    let n = (x + if x < 0.0 { -0.5 } else { 0.5 }) as i64;
    let r = (x - n as f64) * LN_2;
    let mut sum = 1.0;
    let mut k = 20;
    while k > 0 {
        sum = 1.0 + sum * r / k as f64;
        k -= 1;
    }
    // `n` may be -1022, with a sum below 1: two steps then.
    sum * f64::from_bits(((n + 1) as u64).wrapping_add(1023) << 52) * 0.5
}

/// `e^x`.
pub(crate) const fn exp(x: f64) -> f64 {
    exp2(x * LOG2_E)
}

/// `log2 x` of a positive normal number, absolute error below 1e-15 near 1.
pub(crate) const fn log2(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7FF) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > core::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let mut sum = 0.0;
    let mut k = 31;
    while k > 0 {
        sum = sum * z * z + 1.0 / k as f64;
        k -= 2;
    }
    exponent as f64 + 2.0 * z * sum * LOG2_E
}

/// `x Phi(x)`, the exact GELU; absolute error below 1e-13.
pub(crate) const fn gelu(x: f64) -> f64 {
    if x > 9.0 {
        return x;
    }
    if x < -9.0 {
        return 0.0;
    }
    // Phi(x) = 1/2 + exp(-x^2/2) / sqrt(2 pi) (x + x^3/3 + x^5/15 + ..)
    let square = x * x;
    let mut term = x;
    let mut sum = x;
    let mut k = 3.0;
    while k < 600.0 && term * term > sum * sum * 1e-36 {
        term *= square / k;
        sum += term;
        k += 2.0;
    }
    const INVERSE_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
    x * (0.5 + exp(-0.5 * square) * INVERSE_SQRT_2PI * sum)
}

/// GELU by a hyperbolic tangent.
pub(crate) const fn gelu_tanh(x: f64) -> f64 {
    const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
    let u = SQRT_2_OVER_PI * (x + 0.044_715 * x * x * x);
    x - x / (1.0 + exp(2.0 * u))
}

/// To nearest, ties upwards, as an integer; saturates.
pub(crate) const fn round(x: f64) -> i64 {
    let down = x as i64;
    let down = if (down as f64) > x { down - 1 } else { down };
    if x - down as f64 >= 0.5 { down.saturating_add(1) } else { down }
}

/// The smallest integer that is not below `x`; saturates.
pub(crate) const fn ceil(x: f64) -> i64 {
    let down = x as i64;
    if (down as f64) < x { down.saturating_add(1) } else { down }
}

#[cfg(test)]
mod tests {
    use super::{ceil, exp, exp2, gelu, gelu_tanh, log2, round};

    #[test]
    fn they_are_those_of_libm() {
        for i in -400_000..400_000 {
            let x = f64::from(i) / 20_000.0;
            assert!((exp2(x) / libm::exp2(x) - 1.0).abs() < 2e-15, "{x}");
            assert!((exp(x) / libm::exp(x) - 1.0).abs() < 1e-14, "{x}");
            assert!((gelu(x) - 0.5 * x * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2)).abs() < 1e-13, "{x}");
            let u = 0.797_884_560_802_865_4 * (x + 0.044_715 * x * x * x);
            assert!((gelu_tanh(x) - 0.5 * x * (1.0 + libm::tanh(u))).abs() < 4e-15, "{x}");
            assert!(i <= 0 || (log2(x) - libm::log2(x)).abs() < 4e-15, "{x}");
        }
        assert!((exp2(-1022.0) / f64::MIN_POSITIVE - 1.0).abs() < 1e-15 && exp2(-1023.0).to_bits() == 0);
        assert!((log2(1e300) - 996.578_428_466_208_7).abs() < 1e-12);
        assert_eq!([-1.5, -0.5, 0.5, 1.4, 1.5].map(round), [-1, 0, 1, 1, 2]);
        assert_eq!([-1.5, -1.0, 0.5, 1.0].map(ceil), [-1, -1, 1, 1]);
    }
}
