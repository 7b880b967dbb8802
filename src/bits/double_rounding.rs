//! Double Rounding (arXiv 2502.01199, Eq. 1 to 3): what a width makes of an 8-bit code.
//!
//! The paper rounds `q / 2^s` and clips it to the width. Here it is half up, which is one saturating add and one shift, with
//! the clip for free; the authors' code rounds halves to even, which differs for `2^(7 - s)` of the 256 codes, each of them
//! a tie, and would need all eight bits for every width.

use super::width::Width;
use crate::backend::masked;

/// The code of a width: `min(floor(code / 2^s + 1/2), 2^(7 - s) - 1)` with `s = 8 - width`.
///
/// ```
/// use scrimp::bits::{Width, double_round};
/// assert_eq!(double_round(-120, Width::W4), -7); // a tie: up
/// assert_eq!(double_round(127, Width::W4), 7); // saturated
/// ```
#[inline(always)]
#[must_use]
pub const fn double_round(code: i8, width: Width) -> i8 {
    let s = width.dropped();
    let half = ((1u8 << s) >> 1) as i8;
    code.saturating_add(half) >> s
}

/// The code of a width on the scale of the 8-bit code: `double_round(code, width) * 2^s`.
///
/// A kernel for 8 bits that is given these weights computes what the width's kernel does, bit for bit.
///
/// ```
/// use scrimp::bits::{Width, double_round_masked};
/// assert_eq!([-128, -9, 104, 127].map(|q| double_round_masked(q, Width::W4)), [-128, -16, 112, 112]);
/// ```
#[inline(always)]
#[must_use]
pub const fn double_round_masked(code: i8, width: Width) -> i8 {
    masked(code, width.dropped())
}
