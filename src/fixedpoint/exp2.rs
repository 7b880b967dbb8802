//! Powers of two with a fractional exponent: polynomials whose every step is one multiplication that keeps the high word.
//!
//! An exponent is split as `t = k + f` with `k` the nearest integer, so that `-1/2 <= f < 1/2` uses all 32 bits of a signed
//! word (unit 2^-32). Results have the unit 2^-30 and are exactly `ONE` at `f = 0`.

/// `2^0` in the unit 2^-30: one less than 2^30, so that one is the largest value of its 16 upper bits, not one too many.
pub(crate) const ONE: i32 = (1 << 30) - 1;

/// Coefficients of `f`, `f^2` and, in one word, of `f^3` (upper half) and `f^4` (lower half).
///
/// The lower half is noise in the coefficient above it; the others were fitted with that noise in place, so that a core with
/// few registers holds five coefficients in four.
pub(crate) const SHORT: [i32; 3] = [-744_249_813, 257_969_218, -59_965_284];

/// Coefficients of `f` to `f^6`: interpolation at the zeros of the Chebyshev polynomial of degree 7, one of which is 0.
const LONG: [i32; 6] = [-744_261_146, 257_941_250, -59_596_185, 10_327_310, -1_438_860, 166_016];

/// `2^-f`, relative error below 2^-17.7.
#[inline(always)]
#[must_use]
pub(crate) const fn exp2_short(f: i32) -> i32 {
    let [c1, c2, c34] = SHORT;
    // SMLAWB: the lower half of `c34` is a factor, the whole of it a summand.
    let mut p = ((f as i64 * (c34 as i16) as i64) >> 16) as i32 + c34;
    p = c2 + high(f, p);
    p = c1 + high(f, p);
    ONE + high(f, p)
}

/// `2^-f`, relative error below 2^-27.
#[inline(always)]
#[must_use]
pub(crate) const fn exp2_long(f: i32) -> i32 {
    let [c1, c2, c3, c4, c5, c6] = LONG;
    let mut p = c5 + high(f, c6);
    p = c4 + high(f, p);
    p = c3 + high(f, p);
    p = c2 + high(f, p);
    p = c1 + high(f, p);
    ONE + high(f, p)
}

/// `a * b / 2^32`, to nearest, ties upwards: SMMULR, VRMULH.
#[inline(always)]
const fn high(a: i32, b: i32) -> i32 {
    ((a as i64 * b as i64 + (1 << 31)) >> 32) as i32
}

#[cfg(test)]
mod tests {
    use super::{ONE, exp2_long, exp2_short};

    fn relative(got: i32, f: i32) -> f64 {
        let exact = libm::exp2(-(f64::from(f) / 4_294_967_296.0));
        (f64::from(got) / 1_073_741_824.0 / exact - 1.0).abs()
    }

    #[test]
    fn error_over_all_16_bit_fractions() {
        let (mut short, mut long) = (0.0f64, 0.0f64);
        for f in i16::MIN..=i16::MAX {
            for low in [0, 0x5A5A, 0xFFFF] {
                let f = i32::from(f) << 16 | low;
                short = short.max(relative(exp2_short(f), f));
                long = long.max(relative(exp2_long(f), f));
            }
        }
        assert!(short < 4.6e-6, "short: {short:e}");
        assert!(long < 5.5e-9, "long: {long:e}");
        assert_eq!((exp2_short(0), exp2_long(0)), (ONE, ONE));
    }

    #[test]
    fn nothing_is_above_one_left_of_zero() {
        for f in 0..=i32::MAX >> 8 {
            assert!(exp2_short(f << 8 & i32::MAX) <= ONE);
        }
    }
}
