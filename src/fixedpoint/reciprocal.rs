//! The reciprocal of a 32-bit integer from one short division and one Newton step: nearly exact, or correctly rounded.

/// `2^62 / d` for `d >= 2^31`, so from 2^30 to 2^31; relative error below 2^-28. A smaller `d` gives a meaningless number.
///
/// A 32-bit division, which most cores have, gives 15 bits; the step `r (2 - d r)` doubles them.
///
/// ```
/// use scrimp::fixedpoint::reciprocal;
/// assert!(reciprocal(1 << 31).abs_diff(1 << 31) < 8);
/// assert!(reciprocal(3 << 30).abs_diff(0x5555_5555) < 8);
/// ```
#[inline]
#[must_use]
pub const fn reciprocal(d: u32) -> u32 {
    // 2^16 < divisor < 2^17.
    let guess = u32::MAX / ((d >> 15) | 1);
    let r = (guess as u64) << 15;
    // 2^62 - d r, in units of 2^32: at most 2^16 in size.
    let product = (d as u64).wrapping_mul(r) >> 32;
    let error = (1i64 << 30).wrapping_sub(product as i64);
    let r = r.wrapping_add(((r as i64).wrapping_mul(error) >> 30) as u64);
    if r > 1 << 31 { 1 << 31 } else { r as u32 }
}

/// `2^62 / d`, to nearest, ties upwards, for `d` of 2^31 and more; a smaller `d` is taken with its top bit set.
///
/// A quotient of 16 bits, one Newton step to 30, and what is then left is at most a few units.
///
/// ```
/// use scrimp::fixedpoint::rounded_reciprocal;
/// assert_eq!(rounded_reciprocal(1 << 31), 1 << 31);
/// assert_eq!(rounded_reciprocal(3 << 30), 1_431_655_765); // 2/3 * 2^31
/// ```
#[inline(always)]
#[must_use]
pub const fn rounded_reciprocal(d: u32) -> u32 {
    let d = d | 1 << 31;
    // 2^48 / d, less than 2^-15 of it too large; its product with d then is up to 2^15 units of 2^32 beyond 2^62.
    let first = ((u32::MAX / (d >> 16)) << 14) as u64;
    let error = (1i64 << 62) - (first * d as u64) as i64;
    let mut r = first as i64 + (((error >> 17) * first as i64) >> 45);
    let mut rest = (1i64 << 62) + (d >> 1) as i64 - r * d as i64;
    while rest < 0 {
        r -= 1;
        rest += d as i64;
    }
    while rest >= d as i64 {
        r += 1;
        rest -= d as i64;
    }
    r as u32
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "53 bits are enough")]
mod tests {
    use super::reciprocal;

    #[test]
    fn all_16_bit_divisors() {
        let mut worst = 0.0f64;
        for top in 1u32 << 15..1 << 16 {
            for low in [0, 1, 0x7FFF, 0x8000, 0xFFFF] {
                let d = top << 16 | low;
                let exact = (1u64 << 62) as f64 / f64::from(d);
                worst = worst.max((f64::from(reciprocal(d)) / exact - 1.0).abs());
            }
        }
        assert!(worst < 3.7e-9, "{worst:e}");
    }

    #[test]
    fn no_divisor_overflows() {
        for d in (0..=u32::MAX).step_by(65_521) {
            let _ = reciprocal(d);
        }
    }
}
