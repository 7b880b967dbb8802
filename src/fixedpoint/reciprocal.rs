//! The reciprocal of a 32-bit integer, correctly rounded, by one short division.

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
