//! Numbers that do not fit: multipliers from real numbers at the ends of their range, and requantization of extremes
//! against wide arithmetic.

use scrimp::fixedpoint::{
    Multiplier, Rounding, requantize, requantize_s64, rounding_shift_right, saturating_doubling_high_mul,
};

const fn multiplier(mantissa: i32, shift: i32) -> Multiplier {
    Multiplier { mantissa, shift }
}

#[test]
fn a_multiplier_is_the_nearest_one_or_none() {
    for real in [0.0, -0.0, -1.0, -1e-300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2f64.powi(31), 1e300] {
        assert_eq!(Multiplier::from_real(real), None, "{real}");
    }
    let zero = Some(multiplier(0, 0));
    let one = 1 << 30; // a half, in the mantissa's units
    for (real, want) in [
        // Too small to count: denormal, below 2^-32.
        (5e-324, zero),
        (f64::MIN_POSITIVE.next_down(), zero),
        (f64::MIN_POSITIVE, zero),
        (2f64.powi(-33), zero),
        // Rounds up to 2^-32, or not.
        (2f64.powi(-32) * (1.0 - 2f64.powi(-33)), Some(multiplier(one, -31))),
        (2f64.powi(-32) * (1.0 - 2f64.powi(-31)), zero),
        (2f64.powi(-32), Some(multiplier(one, -31))),
        (2f64.powi(-31), Some(multiplier(one, -30))),
        (0.5, Some(multiplier(one, 0))),
        (0.75, Some(multiplier(3 << 29, 0))),
        (1.0, Some(multiplier(one, 1))),
        // To the nearest mantissa; half goes away from zero, also where that is a power of two.
        (1.0 + 2f64.powi(-30), Some(multiplier(one + 1, 1))),
        (1.0 + 2f64.powi(-31), Some(multiplier(one + 1, 1))),
        ((1.0 + 2f64.powi(-31)).next_down(), Some(multiplier(one, 1))),
        (1.0 - 2f64.powi(-31), Some(multiplier(i32::MAX, 0))),
        (1.0 - 2f64.powi(-32), Some(multiplier(one, 1))),
        (1.0 - 3.0 * 2f64.powi(-33), Some(multiplier(i32::MAX, 0))),
        // The largest that there is, and what is cut to it.
        (2f64.powi(30) - 0.5, Some(multiplier(i32::MAX, 30))),
        (2f64.powi(29), Some(multiplier(one, 30))),
        (2f64.powi(30) - 2f64.powi(-2), Some(multiplier(i32::MAX, 30))),
        (2f64.powi(30), Some(multiplier(i32::MAX, 30))),
        (2f64.powi(31) - 1.0, Some(multiplier(i32::MAX, 30))),
        (2f64.powi(31).next_down(), Some(multiplier(i32::MAX, 30))),
    ] {
        assert_eq!(Multiplier::from_real(real), want, "{real:e}");
    }
}

/// Ends of i32, ends of halves, and what is next to them.
const NUMBERS: [i32; 22] = [
    i32::MIN,
    i32::MIN + 1,
    -(1 << 30) - 1,
    -(1 << 30),
    -(1 << 30) + 1,
    -65_537,
    -32_768,
    -3,
    -2,
    -1,
    0,
    1,
    2,
    3,
    4,
    5,
    32_767,
    65_536,
    (1 << 30) - 1,
    1 << 30,
    (1 << 30) + 1,
    i32::MAX,
];

fn cut(x: i128) -> i32 {
    x.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

/// `x / 2^by`, half up.
fn half_up(x: i128, by: u32) -> i128 {
    if by == 0 { x } else { (x + (1 << (by - 1))) >> by }
}

/// `x / 2^by`, half away from zero.
fn half_away(x: i128, by: u32) -> i128 {
    if x < 0 { -half_up(-x, by) } else { half_up(x, by) }
}

#[test]
fn every_pair_of_extremes_is_requantized_as_in_wide_arithmetic() {
    for x in NUMBERS {
        for m in NUMBERS {
            // Only the product of the two least numbers does not fit.
            let product = half_up(i128::from(x) * i128::from(m), 31);
            assert_eq!(saturating_doubling_high_mul(x, m), cut(product), "{x} {m}");
            for shift in -31..=30i32 {
                let by = multiplier(m, shift);
                let wide = i128::from(x) * i128::from(m);
                let single = cut(half_up(wide, (31 - shift) as u32));
                assert_eq!(requantize(x, by, Rounding::Single), single, "{x} {m} {shift} single");
                let left = x.wrapping_shl(shift.max(0) as u32); // as the references do
                let high = cut(half_up(i128::from(left) * i128::from(m), 31));
                let double = half_away(high.into(), (-shift).max(0) as u32) as i32;
                assert_eq!(requantize(x, by, Rounding::Double), double, "{x} {m} {shift} double");
            }
        }
        for shift in 0..=31 {
            assert_eq!(i128::from(rounding_shift_right(x, shift)), half_away(x.into(), shift), "{x} {shift}");
        }
    }
}

#[test]
fn sums_of_64_bits_are_requantized_as_in_wide_arithmetic() {
    let most = 1i64 << 46;
    for x in [-most, -most + 1, -(1 << 40), -65_535, -1, 0, 1, 2, 65_536, 1 << 40, most - 1, most] {
        for m in NUMBERS.into_iter().filter(|&m| m != i32::MIN) {
            let reduced = ((i128::from(m) + (1 << 15)) >> 16).min(0x7FFF);
            for shift in -31..=14i32 {
                let want = half_up(i128::from(x) * reduced, (15 - shift) as u32) as i32; // wraps, as the references do
                assert_eq!(requantize_s64(x, multiplier(m, shift)), want, "{x} {m} {shift}");
            }
        }
    }
}
