//! Codes of 2 to 8 bits as a stream of bits: the first code lies lowest, and what is left of the last byte is set, so that it
//! reads as zero symbols.

use crate::error::{Arg, Error, Rule, length};

/// Bytes of `codes` codes of `bits` bits.
///
/// ```
/// use scrimp::quant::packed_len;
/// assert_eq!([2, 3, 4, 6, 8].map(|bits| packed_len(bits, 5)), [2, 2, 3, 4, 5]);
/// ```
#[must_use]
pub const fn packed_len(bits: u32, codes: usize) -> usize {
    // `codes * bits / 8` without the product, which may not fit; nor does the rest for bits that no code has.
    let rest = (codes % 8).saturating_mul(bits as usize).div_ceil(8);
    (codes / 8).saturating_mul(bits as usize).saturating_add(rest)
}

const fn check(bits: u32) -> Result<(), Error> {
    if bits < 2 || bits > 8 { Err(Error::Config { what: Rule::Bits }) } else { Ok(()) }
}

/// Packs codes; bits of a code beyond `bits` are left out.
///
/// # Errors
/// `Error::Config` unless `bits` is 2 to 8, `Error::Length` if `packed` is not [`packed_len`] long; `packed` is then
/// untouched.
///
/// # Example
/// ```
/// use scrimp::quant::{pack, unpack};
/// let mut packed = [0; 2];
/// pack(4, &[1, 2, 3], &mut packed)?;
/// assert_eq!(packed, [0x21, 0xF3]);
/// let mut codes = [0; 3];
/// unpack(4, &packed, &mut codes)?;
/// assert_eq!(codes, [1, 2, 3]);
/// # Ok::<(), scrimp::Error>(())
/// ```
pub fn pack(bits: u32, codes: &[u8], packed: &mut [u8]) -> Result<(), Error> {
    check(bits)?;
    length(Arg::Y, packed_len(bits, codes.len()), packed.len())?;
    let mask = (1u32 << bits) - 1;
    stream(bits, codes.iter().map(|&code| u32::from(code) & mask), packed);
    Ok(())
}

/// Unpacks codes.
///
/// # Errors
/// `Error::Config` unless `bits` is 2 to 8, `Error::Length` if `packed` is not [`packed_len`] long; `codes` is then
/// untouched.
pub fn unpack(bits: u32, packed: &[u8], codes: &mut [u8]) -> Result<(), Error> {
    check(bits)?;
    length(Arg::X, packed_len(bits, codes.len()), packed.len())?;
    for (code, of) in codes.iter_mut().zip(Unpacked::new(bits, packed)) {
        *code = of as u8;
    }
    Ok(())
}

/// Writes codes that fit `bits` bits, as many as fill `packed`.
#[inline(always)]
pub(super) fn stream(bits: u32, mut codes: impl Iterator<Item = u32>, packed: &mut [u8]) {
    let (mut held, mut count) = (0u32, 0);
    for byte in packed {
        while count < 8 {
            held |= codes.next().unwrap_or(u32::MAX >> 24).wrapping_shl(count);
            count += bits;
        }
        *byte = held as u8;
        held >>= 8;
        count -= 8;
    }
}

/// The codes in a stream of bits.
#[derive(Clone)]
pub(super) struct Unpacked<'a> {
    bits: u32,
    bytes: core::slice::Iter<'a, u8>,
    held: u32,
    count: u32,
}

impl<'a> Unpacked<'a> {
    #[inline(always)]
    pub(super) fn new(bits: u32, packed: &'a [u8]) -> Self {
        Self { bits, bytes: packed.iter(), held: 0, count: 0 }
    }
}

impl Iterator for Unpacked<'_> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.count < self.bits {
            self.held |= u32::from(*self.bytes.next()?).wrapping_shl(self.count);
            self.count += 8;
        }
        let code = self.held & (1u32.wrapping_shl(self.bits)).wrapping_sub(1);
        self.held = self.held.wrapping_shr(self.bits);
        self.count -= self.bits;
        Some(code as usize)
    }
}
