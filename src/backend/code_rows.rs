//! Primitives of attention in logarithmic codes: logits from 8-bit keys, 4-bit codes from logits, codes times 8-bit values.
//!
//! Keys and values are packed once, when they are written, in the order in which a backend reads them; every backend gives the
//! same numbers.

use zerocopy::IntoBytes;

use crate::error::{Arg, Error, length};
use crate::shape::Rows;

/// `code = (distance * factor + 2^(shift - 1)) >> shift`, at most 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct CodeStep {
    /// Not negative.
    pub(crate) factor: i32,
    /// 1 to 31; at 31 the factor is below 2^30.
    pub(crate) shift: u32,
}

impl CodeStep {
    /// The code, not yet cut to 15, of a distance that is not negative.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn code(self, distance: i32) -> u32 {
        let half = 1i64.wrapping_shl(self.shift.wrapping_sub(1));
        ((distance as i64 * self.factor as i64).wrapping_add(half).wrapping_shr(self.shift)) as u32
    }
}

impl CodeStep {
    /// Whether a distance of 16 bits reaches every code, or one of 20 bits and the factor has no more.
    #[allow(dead_code, reason = "for cores without a product of 64 bits")]
    pub(crate) const fn is_short(self) -> bool {
        self.shift == 31 && self.factor >= 15 << 11 && self.factor < 1 << 30
    }

    /// The factor times `2^(32 - shift)`, with which a code is the upper half of a product, if it has 32 bits.
    #[allow(dead_code, reason = "for cores without a product of 64 bits")]
    pub(crate) fn upper(self) -> Option<u32> {
        u32::try_from((self.factor as u64).wrapping_shl(32u32.wrapping_sub(self.shift))).ok()
    }
}

/// `y = ((x - offset) factor / 2^31 to nearest) / 2^shift to nearest + zero_point`, cut to i8; ties upwards both times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Requantize {
    /// Is taken off first, modulo 2^32.
    pub(crate) offset: i32,
    /// Not negative.
    pub(crate) factor: i32,
    /// 1 to 31.
    pub(crate) shift: u32,
    /// Is added last.
    pub(crate) zero_point: i8,
}

impl Requantize {
    #[inline(always)]
    pub(crate) fn of(self, x: i32) -> i8 {
        // Below 2^31, as the factor is.
        let product = ((i64::from(x.wrapping_sub(self.offset)) * i64::from(self.factor) + (1 << 30)) >> 31) as i32;
        let doubled = product.wrapping_shr(self.shift.wrapping_sub(1));
        let y = (doubled.wrapping_add(1) >> 1).wrapping_add(i32::from(self.zero_point));
        y.clamp(-128, 127) as i8
    }
}

/// Rows of logits and the bytes that their 4-bit codes go to.
///
/// Having one tells you that there are `rows x cols` logits, half as many bytes for each row, rounded up, and no more than 65,536
/// columns.
#[derive(Debug)]
pub(crate) struct NibbleRows<'a> {
    x: &'a [i32],
    y: &'a mut [u8],
    rows: Rows,
}

impl<'a> NibbleRows<'a> {
    /// The longest row: the sum of exponentials has room for this many.
    pub(crate) const MOST_COLS: usize = 65_536;

    /// As [`LogitCodes::run`](crate::quant::LogitCodes::run) has it.
    #[inline(always)]
    pub(crate) fn new(x: &'a [i32], rows: Rows, y: &'a mut [u8]) -> Result<Self, Error> {
        if rows.cols() > Self::MOST_COLS {
            return Err(Error::TooLarge { what: Arg::Cols, max: Self::MOST_COLS, got: rows.cols() });
        }
        rows.check(Arg::X, x.len())?;
        // An odd row has half a byte more. So many logits are there, so that the sum fits.
        let halves = rows.elements().wrapping_add(if rows.cols().is_multiple_of(2) { 0 } else { rows.rows() });
        length(Arg::Codes, halves / 2, y.len())?;
        Ok(Self { x, y, rows })
    }

    /// One row, of at most 65,536 logits, and the first bytes of `y`; `None` if they are too few.
    #[inline(always)]
    pub(crate) fn one(x: &'a [i32], y: &'a mut [u8]) -> Option<Self> {
        let rows = Rows::one(x.len()).ok().filter(|rows| rows.cols() <= Self::MOST_COLS)?;
        let y = y.get_mut(..x.len().div_ceil(2))?;
        Some(Self { x, y, rows })
    }

    /// Number of rows and columns.
    #[inline(always)]
    #[allow(dead_code, reason = "for backends with a loop over rows")]
    pub(crate) const fn rows(&self) -> Rows {
        self.rows
    }

    /// Where to read and where to write, for assembly.
    #[inline(always)]
    #[allow(dead_code, reason = "for backends with a loop over rows")]
    pub(crate) const fn pointers(&mut self) -> (*const i32, *mut u8) {
        (self.x.as_ptr(), self.y.as_mut_ptr())
    }

    /// Shows each row.
    #[inline(always)]
    pub(crate) fn for_each(self, mut f: impl FnMut(&[i32], &mut [u8])) {
        let (cols, bytes) = (self.rows.cols(), self.rows.cols().div_ceil(2));
        let (mut x, mut y) = (self.x, self.y);
        while let (Some((row, next)), Some((to, rest))) = (x.split_at_checked(cols), y.split_at_mut_checked(bytes)) {
            f(row, to);
            (x, y) = (next, rest);
            if x.is_empty() {
                break;
            }
        }
    }
}

/// Below this maximum the distance of a masked logit, `i32::MIN`, no longer says so.
pub(crate) const LEAST_MAX: i32 = -(1 << 30);

/// Keys in multiples of this many.
pub(crate) const KEY_GROUP: usize = 8;
/// Channels of a key in multiples of this many.
pub(crate) const KEY_CHANNELS: usize = 16;
/// Keys whose values stand together.
pub(crate) const VALUE_KEYS: usize = 64;
/// Channels of a value in multiples of this many.
pub(crate) const VALUE_CHANNELS: usize = 4;

/// Words of packed keys, on every backend.
pub(crate) const fn keys_words(keys: usize, width: usize) -> usize {
    let rows = keys.div_ceil(KEY_GROUP).saturating_mul(KEY_GROUP);
    rows.saturating_mul(width.div_ceil(KEY_CHANNELS).saturating_mul(KEY_CHANNELS / 4))
}

/// Words of packed values, on every backend.
pub(crate) const fn values_words(keys: usize, width: usize) -> usize {
    let rows = keys.div_ceil(VALUE_KEYS).saturating_mul(VALUE_KEYS);
    rows.saturating_mul(width.div_ceil(VALUE_CHANNELS))
}

/// The layout of the portable bodies: row by row, padded to whole words; values with their sign bit inverted.
pub(crate) const PLAIN: u8 = 0;

/// What a backend can speed up in attention by codes. Every backend gives the same numbers.
pub(crate) trait CodeRows: Copy {
    /// The order of packed keys and values.
    const LAYOUT: u8 = PLAIN;

    /// The largest element; `i32::MIN` for an empty slice.
    #[inline(always)]
    fn max_s32(self, x: &[i32]) -> i32 {
        x.iter().fold(i32::MIN, |max, &v| if v > max { v } else { max })
    }

    /// The code of `max - x[i]`, which saturates, at most 15, two a byte, the first one low; what is left of the last byte is
    /// set. No element is larger than `max`.
    #[inline(always)]
    fn nibbles_s32(self, x: &[i32], max: i32, step: CodeStep, y: &mut [u8]) {
        nibbles(x, max, step, y);
    }

    /// The largest element, and by it the codes of all as [`CodeRows::nibbles_s32`]; none if it is below [`LEAST_MAX`].
    #[inline(always)]
    fn row_nibbles_s32(self, x: &[i32], step: CodeStep, y: &mut [u8]) -> i32 {
        let max = self.max_s32(x);
        if max >= LEAST_MAX {
            self.nibbles_s32(x, max, step, y);
        }
        max
    }

    /// The codes of all rows, each by its largest element, with a step of `factor / 2^31`; what is left of a row's last byte is
    /// set. `i32::MIN` gets 15 whatever its row's maximum is, if the factor reaches 15 at all. Gives the rows back, untouched, if the
    /// backend has no loop for them.
    #[inline(always)]
    fn rows_nibbles_s32(self, rows: NibbleRows<'_>, _factor: i32) -> Option<NibbleRows<'_>> {
        Some(rows)
    }

    /// Packs keys of `width` channels; `packed` has as many words as its user says, and starts as zeros.
    #[inline(always)]
    fn pack_keys_s8(self, keys: &[i8], width: usize, packed: &mut [u32]) {
        let words = width.div_ceil(KEY_CHANNELS).saturating_mul(KEY_CHANNELS / 4);
        pack_rows(keys, width, packed, words, 0);
    }

    /// `y[k] = Σ_i query[i] key[k][i]`, `y` as many as packed keys, a multiple of 8; `spare` holds half a word a channel, padded
    /// to 16 channels.
    #[inline(always)]
    fn logits_s8(self, query: &[i8], packed: &[u32], y: &mut [i32], _spare: &mut [u32]) {
        let words = query.len().div_ceil(KEY_CHANNELS) * (KEY_CHANNELS / 4);
        if words == 0 {
            return;
        }
        for (key, y) in packed.chunks_exact(words).zip(y) {
            *y = key.as_bytes().iter().zip(query).map(|(&k, &q)| i32::from(k as i8) * i32::from(q)).sum::<i32>();
        }
    }

    /// Packs values of `width` channels; `packed` has as many words as its user says, and starts as zeros.
    #[inline(always)]
    fn pack_values_s8(self, values: &[i8], width: usize, packed: &mut [u32]) {
        pack_rows(values, width, packed, width.div_ceil(VALUE_CHANNELS), 0x80);
    }

    /// `y[j] = Σ_k table[code k] value[k][j]`; gives `Σ_k table[code k]`, all modulo 2^32. `codes` are two a byte, for a multiple of 64
    /// keys; `y` as many as channels, padded to 4; `spare` holds half a word a key. Table entries are 0 to 32639.
    #[inline(always)]
    fn product_nibbles(
        self,
        codes: &[u8],
        packed: &[u32],
        table: &[i16; 16],
        y: &mut [i32],
        _spare: &mut [u32],
    ) -> i32 {
        product(codes, packed, table, y)
    }

    /// `y[i]` by [`Requantize`].
    #[inline(always)]
    fn requantize_s8(self, x: &[i32], by: Requantize, y: &mut [i8]) {
        for (&x, y) in x.iter().zip(y) {
            *y = by.of(x);
        }
    }
}

#[inline(always)]
fn pack_rows(rows: &[i8], width: usize, packed: &mut [u32], words: usize, flip: u8) {
    if width == 0 || words == 0 {
        return;
    }
    for (row, to) in rows.chunks_exact(width).zip(packed.chunks_exact_mut(words)) {
        for (&x, to) in row.iter().zip(to.as_mut_bytes()) {
            *to = x as u8 ^ flip;
        }
    }
}

/// The portable body of [`CodeRows::nibbles_s32`], also for what a backend leaves over.
#[inline(always)]
pub(crate) fn nibbles(x: &[i32], max: i32, step: CodeStep, y: &mut [u8]) {
    pairs(x, y, |x| step.code(max.saturating_sub(x)).min(15) as u8);
}

/// As [`nibbles`], with products of 32 bits, for a step that is short.
#[inline(always)]
#[allow(dead_code, reason = "for cores without a product of 64 bits")]
pub(crate) fn short_nibbles(x: &[i32], max: i32, step: CodeStep, y: &mut [u8]) {
    let factor = step.factor as u32;
    // Of the distance 16 or 20 bits are needed.
    let (split, most) = if factor >= 15 << 15 { (15, 0xFFFF) } else { (11, 0xF_FFFF) };
    let (high, low) = (factor >> split, factor & ((1 << split) - 1));
    pairs(
        x,
        y,
        #[inline(always)]
        |x| {
            // Beyond, the code is 15 in any case.
            let distance = (max.saturating_sub(x) as u32).min(most);
            let product = distance.wrapping_mul(high).wrapping_add(distance.wrapping_mul(low) >> split);
            (product.wrapping_add(1 << (30 - split)) >> (31 - split)).min(15) as u8
        },
    );
}

/// As [`nibbles`], by [`CodeStep::upper`] and products of 16 bits.
#[inline(always)]
#[allow(dead_code, reason = "for cores without a product of 64 bits")]
pub(crate) fn nibbles_by_halves(x: &[i32], max: i32, factor: u32, y: &mut [u8]) {
    pairs(
        x,
        y,
        #[inline(always)]
        |x| upper_half(max.saturating_sub(x) as u32, factor).min(15) as u8,
    );
}

/// The upper 32 bits of `d factor + 2^31`, `d < 2^31`.
#[inline(always)]
const fn upper_half(d: u32, factor: u32) -> u32 {
    let (d_high, d_low) = (d >> 16, d & 0xFFFF);
    let (f_high, f_low) = (factor >> 16, factor & 0xFFFF);
    let middle = d_high * f_low + ((d_low * f_low) >> 16);
    let other = d_low * f_high + (middle & 0xFFFF) + 0x8000;
    d_high * f_high + (middle >> 16) + (other >> 16)
}

/// As [`nibbles`] with a step of `factor / 2^31`, for a row in which `i32::MIN` need not be far from the largest element.
#[allow(dead_code, reason = "for backends with a loop over rows")]
pub(crate) fn masked_nibbles(x: &[i32], factor: i32, y: &mut [u8]) {
    let step = CodeStep { factor, shift: 31 };
    let max = x.iter().fold(i32::MIN, |max, &v| max.max(v));
    let distance = |x| if x == i32::MIN { i32::MAX } else { max.saturating_sub(x) };
    pairs(x, y, |x| step.code(distance(x)).min(15) as u8);
}

#[inline(always)]
fn pairs(x: &[i32], y: &mut [u8], code: impl Fn(i32) -> u8) {
    let (pairs, last) = x.as_chunks::<2>();
    let mut y = y.iter_mut();
    for (&[low, high], y) in pairs.iter().zip(&mut y) {
        *y = code(low) | code(high) << 4;
    }
    if let (&[low], Some(y)) = (last, y.next()) {
        *y = code(low) | 0xF0;
    }
}

/// The portable body of [`CodeRows::product_nibbles`]: a multiplication for each code and value, none for codes of weight 0.
#[inline(always)]
pub(crate) fn product(codes: &[u8], packed: &[u32], table: &[i16; 16], y: &mut [i32]) -> i32 {
    y.fill(0);
    let words = y.len() / VALUE_CHANNELS;
    if words == 0 {
        return 0;
    }
    let mut sum = 0i32;
    let mut rows = packed.chunks_exact(words);
    for &pair in codes {
        for code in [pair & 15, pair >> 4] {
            let Some(row) = rows.next() else { return sum };
            let weight = i32::from(table[usize::from(code & 15)]);
            if weight == 0 {
                continue;
            }
            sum = sum.wrapping_add(weight);
            for (&v, y) in row.as_bytes().iter().zip(y.iter_mut()) {
                *y = y.wrapping_add(weight * i32::from((v ^ 0x80) as i8));
            }
        }
    }
    sum
}

/// Words of values whose sums by code are held at once: 32 channels.
const TILE: usize = 8;
/// Keys after which a sum of values from 0 to 255 may leave 16 bits.
const BUCKET_KEYS: usize = 256;

/// As [`product`], but values of equal codes are added first, four by two additions, and each sum is multiplied once.
#[inline(always)]
#[allow(dead_code, reason = "for cores without a fast multiplier")]
pub(crate) fn product_by_buckets(codes: &[u8], packed: &[u32], table: &[i16; 16], y: &mut [i32]) -> i32 {
    y.fill(0);
    let words = y.len() / VALUE_CHANNELS;
    if words == 0 {
        return 0;
    }
    let mut sum = 0i32;
    for (block, rows) in codes.chunks(BUCKET_KEYS / 2).zip(packed.chunks((BUCKET_KEYS * words).max(1))) {
        for &pair in block {
            sum = sum
                .wrapping_add(table[usize::from(pair & 15)].into())
                .wrapping_add(table[usize::from(pair >> 4)].into());
        }
        let mut from = 0;
        for y in y.chunks_mut(4 * TILE) {
            bucket_tile(block, rows, words, from, table, y);
            from += TILE;
        }
    }
    // Values came with their sign bit inverted: 128 more than they are.
    let surplus = sum.wrapping_mul(128);
    y.iter_mut().for_each(|y| *y = y.wrapping_sub(surplus));
    sum
}

/// Adds four values to two pairs of sums.
#[inline(always)]
fn add_word(word: u32, sums: &mut [u32]) {
    if let [even, odd] = sums {
        *even = even.wrapping_add(word & 0x00FF_00FF);
        *odd = odd.wrapping_add(word >> 8 & 0x00FF_00FF);
    }
}

/// One tile of at most 32 channels.
#[inline(always)]
fn bucket_tile(codes: &[u8], packed: &[u32], words: usize, from: usize, table: &[i16; 16], y: &mut [i32]) {
    // Word 2 w holds channels 4 w and 4 w + 2 as halfwords, the next one the two between.
    let mut buckets = [[0u32; 2 * TILE]; 16];
    let mut rows = packed.chunks_exact(words);
    for &pair in codes {
        for code in [pair & 15, pair >> 4] {
            let Some(row) = rows.next() else { break };
            if table[usize::from(code & 15)] == 0 {
                continue;
            }
            let sums = &mut buckets[usize::from(code & 15)];
            let row = row.get(from..).unwrap_or(&[]);
            // A whole tile without a loop: on an M0 that is a quarter of it.
            if let Some(row) = row.first_chunk::<TILE>() {
                for i in 0..TILE {
                    add_word(row[i], &mut sums[2 * i..][..2]);
                }
            } else {
                for (&word, sums) in row.iter().zip(sums.chunks_exact_mut(2)) {
                    add_word(word, sums);
                }
            }
        }
    }
    for (sums, &weight) in buckets.iter().zip(table) {
        if weight == 0 {
            continue;
        }
        let weight = u32::from(weight as u16);
        for (sums, y) in sums.as_chunks::<2>().0.iter().zip(y.as_chunks_mut::<4>().0) {
            let [even, odd] = *sums;
            for (y, sum) in y.iter_mut().zip([even & 0xFFFF, odd & 0xFFFF, even >> 16, odd >> 16]) {
                *y = y.wrapping_add(weight.wrapping_mul(sum) as i32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;

    use super::{CodeStep, nibbles, nibbles_by_halves, product, product_by_buckets, short_nibbles, upper_half};

    /// Nor does one split its products.
    #[test]
    fn halves_are_the_whole() {
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state ^ state >> 15
        };
        for i in 0..100_000 {
            let (d, factor) = (noise() >> (1 + i % 31), noise() >> (i % 29));
            let want = (u64::from(d) * u64::from(factor) + (1 << 31)) >> 32;
            assert_eq!(u64::from(upper_half(d, factor)), want, "{d} {factor}");
        }
        assert_eq!(upper_half(i32::MAX as u32, u32::MAX), i32::MAX as u32);
        for (factor, shift) in
            [(458_000, 31), (491_521, 31), (18_341_130, 31), ((1 << 30) - 1, 31), (3, 7), (1 << 14, 17)]
        {
            let step = CodeStep { factor, shift };
            let x: vec::Vec<i32> = (0..1_100_001).map(|d| 5 - d).chain([i32::MIN, -2_000_000_000]).collect();
            let (mut one, mut other) = (vec![0; 550_002], vec![0; 550_002]);
            nibbles(&x, 5, step, &mut one);
            nibbles_by_halves(&x, 5, step.upper().unwrap(), &mut other);
            assert_eq!(one, other, "{factor} {shift}");
            if step.is_short() {
                short_nibbles(&x, 5, step, &mut other);
                assert_eq!(one, other, "{factor} {shift}");
            }
        }
        assert_eq!(CodeStep { factor: 1 << 30, shift: 20 }.upper(), None);
    }

    /// No host backend takes the bucket form.
    #[test]
    fn both_products_are_one() {
        let table = [30720, 19456, 12288, 7424, 4608, 2944, 1856, 1152, 736, 448, 288, 176, 112, 68, 44, 0];
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state ^ state >> 15
        };
        for keys in [64, 128, 256, 320, 512, 576] {
            for words in [1, 2, 7, 8, 9, 16, 17] {
                let codes: vec::Vec<u8> = (0..keys / 2).map(|_| noise() as u8).collect();
                let packed: vec::Vec<u32> = (0..keys * words).map(|_| noise()).collect();
                let (mut one, mut other) = (vec![1; 4 * words], vec![2; 4 * words]);
                let sums = product(&codes, &packed, &table, &mut one);
                assert_eq!(product_by_buckets(&codes, &packed, &table, &mut other), sums);
                assert_eq!(one, other, "{keys} {words}");
            }
        }
    }
}
