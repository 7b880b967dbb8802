//! NEST8/4: an 8-bit code as two nibbles of which the upper one is its 4-bit code, so that a run at 4 bits reads half the
//! bytes.
//!
//! ```text
//! code + 8 = 16 high + low        high = double_round(code, 4), low = 0..15
//! ```
//! The rounding is in the stored sum, so there is none left to do at 4 bits. Codes above 119 would round to 8, which a nibble
//! cannot hold: a scale of max(max w / 119, -min w / 128) avoids them, and so does turning a channel's sign over
//! (with a negative multiplier) where its largest weight is positive.

use super::width::Width;
use crate::backend::masked;
use crate::error::{Arg, Error, Rule, length};

/// The largest code that two nibbles hold.
pub const NEST_CAP: i8 = 119;

/// Both nibbles of a code, the upper one signed; a code above [`NEST_CAP`] is taken for it.
///
/// ```
/// use scrimp::bits::nest;
/// assert_eq!(nest(-121), (-8, 15));
/// assert_eq!(nest(8), (1, 0));
/// ```
#[inline(always)]
#[must_use]
pub const fn nest(code: i8) -> (i8, u8) {
    let sum = if code > NEST_CAP { NEST_CAP } else { code } + 8;
    (sum >> 4, sum as u8 & 15)
}

/// The code of a width from both nibbles; `low` is taken modulo 16.
///
/// ```
/// use scrimp::bits::{Width, unnest};
/// assert_eq!(unnest(1, 0, Width::W8), 8);
/// assert_eq!(unnest(1, 0, Width::W6), 2);
/// ```
#[inline(always)]
#[must_use]
pub const fn unnest(high: i8, low: u8, width: Width) -> i8 {
    if matches!(width, Width::W4) {
        return (high << 4) >> 4;
    }
    let code = ((high << 4) as u8 | (low & 15)).wrapping_sub(8) as i8;
    masked(code, width.dropped()) >> width.dropped()
}

/// Splits codes into two planes of nibbles, two in a byte, the even index low.
///
/// # Errors
/// `Error::Length` if a plane is not half as long as `codes`, rounded up; `Error::Config` if a code is above
/// [`NEST_CAP`]. The planes are then untouched.
///
/// # Example
/// ```
/// use scrimp::bits::nest_planes;
/// let (mut high, mut low) = ([0; 2], [0; 2]);
/// nest_planes(&[-128, 7, 119], &mut high, &mut low)?;
/// assert_eq!((high, low), ([0x08, 0x07], [0xF8, 0x0F]));
/// # Ok::<(), scrimp::Error>(())
/// ```
pub fn nest_planes(codes: &[i8], high: &mut [u8], low: &mut [u8]) -> Result<(), Error> {
    length(Arg::Weights, codes.len().div_ceil(2), high.len())?;
    length(Arg::LowPlane, codes.len().div_ceil(2), low.len())?;
    if codes.iter().any(|&code| code > NEST_CAP) {
        return Err(Error::Config { what: Rule::NestCap });
    }
    for ((pair, high), low) in codes.chunks(2).zip(high).zip(low) {
        let nibbles = |i| pair.get(i).map_or((0, 0), |&code| nest(code));
        let (even, odd) = (nibbles(0), nibbles(1));
        *high = (even.0 as u8 & 15) | (odd.0 as u8) << 4;
        *low = even.1 | odd.1 << 4;
    }
    Ok(())
}

/// Packs 4-bit codes two in a byte, the even index low, as TFLite does; of each code the lower four bits are taken.
///
/// # Errors
/// `Error::Length` if `packed` is not half as long as `codes`, rounded up.
///
/// # Example
/// ```
/// use scrimp::bits::pack_s4;
/// let mut packed = [0; 3];
/// pack_s4(&[-8, 7, 0, -1, 3, -4], &mut packed)?;
/// assert_eq!(packed, [0x78, 0xF0, 0xC3]);
/// # Ok::<(), scrimp::Error>(())
/// ```
pub fn pack_s4(codes: &[i8], packed: &mut [u8]) -> Result<(), Error> {
    length(Arg::Weights, codes.len().div_ceil(2), packed.len())?;
    for (pair, byte) in codes.chunks(2).zip(packed) {
        let nibble = |i| pair.get(i).map_or(0, |&code: &i8| code as u8 & 15);
        *byte = nibble(0) | nibble(1) << 4;
    }
    Ok(())
}
