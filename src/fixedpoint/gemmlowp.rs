//! Exponential, reciprocal and logarithm in 32-bit fixed point, bit for bit as gemmlowp and TFLite's reference have them.
//!
//! `Qm.n` is a number with `n` fractional bits in an `i32`. Softmax in 8 bits is defined by these functions, so that they
//! are reproduced down to each rounding; none of them is fast, and no kernel calls one for an element.

use super::{rounding_shift_right, saturating_doubling_high_mul as mul};

/// `e^a` for `a <= 0` in Q5.26, in Q0.31: at most 2.2e-7 off; `i32::MAX` for 0, and 0 from about -21.5 on.
///
/// A Taylor polynomial round -1/8 in the last quarter, then a product for every set bit of the quarters above it. A
/// positive `a` gives something of no use.
///
/// ```
/// use scrimp::fixedpoint::exp_on_negative_values;
/// assert_eq!(exp_on_negative_values(-1 << 26), 790_015_308); // 0.3679 * 2^31
/// ```
#[must_use]
pub const fn exp_on_negative_values(a: i32) -> i32 {
    exp_negative(a, 5)
}

/// [`exp_on_negative_values`] with that many integer bits, 4 or 5.
const fn exp_negative(a: i32, integer_bits: u32) -> i32 {
    /// `e^-(2^k)` in Q0.31 for k = -2 to 4.
    const POWERS: [i32; 7] = [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    if a == 0 {
        return i32::MAX;
    }
    let quarter = 1i32 << (29 - integer_bits);
    let last = (a & (quarter - 1)) - quarter;
    let mut e = exp_of_last_quarter(last << integer_bits);
    let quarters = last.wrapping_sub(a);
    let mut k = 0;
    while k < POWERS.len() && k < integer_bits as usize + 2 {
        if quarters & (quarter << k) != 0 {
            e = mul(e, POWERS[k]);
        }
        k += 1;
    }
    e
}

/// `1 / (1 + e^-a)` of Q4.27, in Q0.31; exactly a half for 0.
pub(crate) const fn logistic(a: i32) -> i32 {
    if a == 0 {
        return 1 << 30;
    }
    let of_size = one_over_one_plus_x(exp_negative(negative_size(a), 4));
    if a > 0 { of_size } else { i32::MAX - of_size }
}

/// `tanh a` of Q4.27, in Q0.31; 0 for 0.
pub(crate) const fn tanh(a: i32) -> i32 {
    if a == 0 {
        return 0;
    }
    // The same word read as Q5.26 is twice the number.
    let of_size = one_minus_x_over_one_plus_x(exp_negative(negative_size(a), 5));
    if a > 0 { of_size } else { -of_size }
}

const fn negative_size(a: i32) -> i32 {
    if a > 0 { -a } else { a }
}

/// `e^a` for `a` from -1/4 up to 0, Q0.31 in and out.
const fn exp_of_last_quarter(a: i32) -> i32 {
    const EXP_OF_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = a + (1 << 28);
    let x2 = mul(x, x);
    let x3 = mul(x2, x);
    let x4 = mul(x2, x2);
    // (x^4 / 4 + x^3) / 3 + x^2, all of it halved
    let high = rounding_shift_right(mul(rounding_shift_right(x4, 2) + x3, THIRD) + x2, 1);
    EXP_OF_MINUS_EIGHTH + mul(EXP_OF_MINUS_EIGHTH, x + high)
}

/// `1 / (1 + x)` for `x` in `[0, 1)`, Q0.31 in and out: at most 2.7e-9 off; `i32::MAX` for 0.
///
/// Three Newton steps from `48/17 - 32/17 d` with `d = (1 + x) / 2`.
///
/// ```
/// use scrimp::fixedpoint::one_over_one_plus_x;
/// assert_eq!(one_over_one_plus_x(1 << 30), 1_431_655_762); // 2/3 * 2^31
/// ```
#[inline(always)]
#[must_use]
pub const fn one_over_one_plus_x(x: i32) -> i32 {
    let y = two_over_one_plus_x(x);
    if y >= 1 << 30 { i32::MAX } else { y << 1 }
}

/// `(1 - x) / (1 + x)` for `x` in `[0, 1)`, Q0.31 in and out.
const fn one_minus_x_over_one_plus_x(x: i32) -> i32 {
    shift_left_saturating(two_over_one_plus_x(x) - (1 << 29), 2)
}

/// `2 / (1 + x)` for `x` in `[0, 1)` of Q0.31, in Q2.29.
#[inline(always)]
const fn two_over_one_plus_x(x: i32) -> i32 {
    // Q2.29
    const A: i32 = 1_515_870_810;
    const B: i32 = -1_010_580_540;
    // Rounded half up, as the sum is not negative.
    let d = ((x as i64 + (1 << 31)) >> 1) as i32;
    let mut y = A.wrapping_add(high_mul(d, B));
    let mut step = 0;
    while step < 3 {
        let error = (1i32 << 29).wrapping_sub(high_mul(d, y));
        // Neither this shift nor the sum leaves 32 bits.
        y = y.wrapping_add(high_mul(y, error) << 2);
        step += 1;
    }
    y
}

/// `a b / 2^31`, ties upwards, where not both are `i32::MIN`.
#[inline(always)]
const fn high_mul(a: i32, b: i32) -> i32 {
    ((a as i64 * b as i64 + (1 << 30)) >> 31) as i32
}

/// `ln x` for `x >= 1` in Q12.19, in Q5.26.
///
/// ```
/// use scrimp::fixedpoint::ln_of_at_least_one;
/// let ln = f64::from(ln_of_at_least_one(10 << 19)) / f64::from(1 << 26);
/// assert!((ln - 10f64.ln()).abs() < 1e-6);
/// ```
#[must_use]
pub const fn ln_of_at_least_one(x: i32) -> i32 {
    // Q0.31
    const LN_2: i32 = 1_488_522_236;
    const ROOT_4_OF_HALF: i32 = 1_805_811_301;
    const ROOT_OF_HALF: i32 = 1_518_500_250;
    /// `11/240 2^(1/4)`, `1/20 2^(1/4)`, `2 / 2^(1/4) - 2^(1/4)` and `1/4 2^(1/4)`: coefficients of the quotient.
    const N: i32 = 117_049_297;
    const D: i32 = 127_690_142;
    const I: i32 = 1_057_819_769;
    const F: i32 = 638_450_708;
    /// 1/4 in Q6.25.
    const QUARTER: i32 = 1 << 23;

    // x = r 2^k with r within 2^(1/4) of the fourth root of a half: with a quarter power more or less, whichever fits.
    let zeros = x.leading_zeros();
    let r_a = shift_left_saturating(mul(shift_left_saturating(x, zeros.saturating_sub(1)), ROOT_OF_HALF), 1);
    let power_a = (12i32.wrapping_sub(zeros as i32) << 25).wrapping_add(QUARTER);
    let headroom = mul(x, ROOT_OF_HALF).leading_zeros().saturating_sub(1);
    let r_b = shift_left_saturating(x, headroom);
    let power_b = (12i32.wrapping_sub(headroom as i32) << 25).wrapping_sub(QUARTER);
    let r = if r_a < r_b { r_a } else { r_b };
    let power = if power_a > power_b { power_a } else { power_b };

    // ln r, less its quarter power, as a quotient of polynomials.
    let p = ((r as i64 + ROOT_4_OF_HALF as i64 + 1) >> 1) as i32;
    let q = r.wrapping_sub(ROOT_4_OF_HALF).wrapping_mul(2);
    let q2 = mul(q, q);
    let numerator = mul(q, r).wrapping_add(mul(mul(q, q2), N));
    let linear = I.wrapping_add(q).wrapping_add(mul(D, q2));
    let denominator_less_one = mul(p, linear).wrapping_add(mul(F, q));
    let fraction = mul(rounding_shift_right(numerator, 6), one_over_one_plus_x(denominator_less_one));
    shift_left_saturating(mul(power, LN_2).wrapping_add(fraction), 1)
}

/// `x 2^shift`, at the ends of `i32` if it lies beyond them; `shift` below 32.
#[inline(always)]
const fn shift_left_saturating(x: i32, shift: u32) -> i32 {
    let exact = (x as i64) << (shift & 31);
    if exact > i32::MAX as i64 {
        i32::MAX
    } else if exact < i32::MIN as i64 {
        i32::MIN
    } else {
        exact as i32
    }
}
