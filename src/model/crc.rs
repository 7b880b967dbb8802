//! CRC-32 as in IEEE 802.3, zip and PNG: polynomial 0x04C11DB7 reflected, start and end inverted.

/// Sixteen entries, one a nibble: 64 bytes of flash instead of 1,024.
const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        let mut c = i as u32;
        let mut bit = 0;
        while bit < 4 {
            c = if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 };
            bit += 1;
        }
        table[i] = c;
        i += 1;
    }
    table
};

/// CRC-32 of `bytes`.
///
/// # Example
/// ```
/// assert_eq!(scrimp::model::crc32(b"123456789"), 0xCBF4_3926);
/// ```
#[must_use]
pub const fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0;
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        crc ^= *first as u32;
        crc = TABLE[(crc & 15) as usize] ^ (crc >> 4);
        crc = TABLE[(crc & 15) as usize] ^ (crc >> 4);
        rest = tail;
    }
    !crc
}
