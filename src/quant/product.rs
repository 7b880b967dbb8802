//! AdaLog codes times integers, by a table of pre-shifted weights (Wu et al. 2024, arXiv 2407.12951).
//!
//! ```text
//! T[c] = (m[c] 2^F + half) >> e[c]                 i16, 0 for the zero symbol
//! y_j  = Σ_k T[c_k] (v_kj - z)  =  Σ_k T[c_k] v_kj  -  z Σ_k T[c_k]
//! ```
//! The paper looks two tables up and shifts each product; here the shift is in the table, which costs nothing that can be
//! measured. The bucket form adds the values of equal codes first and multiplies once a code: the same numbers.

use super::adalog::AdaLog;
use super::grid::Symbols;
use super::pack::{Unpacked, packed_len};
use super::packed::PackedValues;
use crate::backend::{Auto, Backend, CodeRows, Dispatch, Kernel, VALUE_CHANNELS, VALUE_KEYS};
use crate::error::{Arg, Error, Rule, length};
use crate::shape::Rows;

/// What values may be: their zero point and range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ValueRange {
    /// The value that stands for 0.
    pub zero_point: i8,
    /// The smallest value.
    pub low: i8,
    /// The largest value.
    pub high: i8,
}

impl ValueRange {
    /// All of i8, around 0.
    pub const S8: Self = Self { zero_point: 0, low: -128, high: 127 };

    /// The largest `|v - zero_point|`.
    #[must_use]
    pub const fn magnitude(self) -> u32 {
        let below = (self.zero_point as i32 - self.low as i32).unsigned_abs();
        let above = (self.high as i32 - self.zero_point as i32).unsigned_abs();
        if above > below { above } else { below }
    }
}

/// Most terms whose sum stays an i32 whatever the codes are.
pub(super) const fn most_terms(first: i16, magnitude: u32) -> usize {
    match (i32::MAX as u32).checked_div(first as u32 * magnitude) {
        Some(most) => most as usize,
        None => usize::MAX,
    }
}

/// The table of weights, if all symbols have a place in it and fit `bits` bits.
pub(super) const fn weights<const N: usize>(adalog: &AdaLog, fraction_bits: u32) -> Result<[i16; N], Error> {
    if N < 1 << adalog.bits() {
        return Err(Error::Length { what: Arg::Table, want: 1 << adalog.bits(), got: N });
    }
    if !matches!(adalog.symbols(), Symbols::TopIsZero) {
        return Err(Error::Config { what: Rule::Symbols });
    }
    if fraction_bits > adalog.fraction_bits() {
        return Err(Error::TooLarge {
            what: Arg::Weights,
            max: adalog.fraction_bits() as usize,
            got: fraction_bits as usize,
        });
    }
    let mut table = [0; N];
    let mut code = 0;
    while code < adalog.codes() && (code as usize) < N {
        table[code as usize] = adalog.weight(code, fraction_bits);
        code += 1;
    }
    Ok(table)
}

/// Packed codes times values: `y = T[codes] (v - zero_point)`, i32, in units of `s s_v / (M 2^F)`. `N` is `2^bits` or more.
///
/// `codes`: a row of packed codes for each query. `v`: `keys x channels`, i8. `y`: `queries x channels`.
///
/// # Accuracy
/// Exact integers; the constructor refuses what could leave i32. Values outside the stated range may wrap, but never panic.
///
/// # Cost
/// 64 keys of 32 channels, 4 bits, packed values, instructions a multiply-accumulate, QEMU: `src/backend/dsp.md` and
/// `helium.md`. `2 N + 24` bytes.
///
/// # Example
/// ```
/// use scrimp::{Rows, quant::{AdaLog, CodeProduct, Symbols, ValueRange}};
/// const ADALOG: AdaLog = scrimp::expect!(AdaLog::new(4, 25, 1.0, Symbols::TopIsZero));
/// const RANGE: ValueRange = ValueRange { zero_point: 6, low: 0, high: 15 };
/// static PRODUCT: CodeProduct = scrimp::expect!(CodeProduct::new(&ADALOG, RANGE, 4));
/// let mut y = [0; 2];
/// PRODUCT.run(&[0x22, 0x95], &[3, 15, 7, 0, 12, 9, 1, 14], &mut y, Rows::one(4)?)?;
/// assert_eq!(y, [-9152, 49280]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CodeProduct<const N: usize = 16> {
    table: [i16; N],
    bits: u32,
    fraction_bits: u32,
    zero_point: i32,
    most_keys: usize,
}

impl<const N: usize> CodeProduct<N> {
    /// For rows of up to `keys` keys, with as many fraction bits as fit.
    ///
    /// # Errors
    /// `Error::TooLarge` if a sum over `keys` keys could leave i32, `Error::Config` if the symbols do not fit the bits,
    /// `Error::Length` if `N` is below `2^bits`, `Error::Empty` for no keys.
    pub const fn new(adalog: &AdaLog, values: ValueRange, keys: usize) -> Result<Self, Error> {
        Self::with_fraction_bits(adalog, values, keys, adalog.fraction_bits())
    }

    /// With fewer fraction bits, so that longer rows fit.
    ///
    /// # Errors
    /// As [`CodeProduct::new`]; also `Error::TooLarge` for more fraction bits than [`AdaLog::fraction_bits`].
    pub const fn with_fraction_bits(
        adalog: &AdaLog,
        values: ValueRange,
        keys: usize,
        fraction_bits: u32,
    ) -> Result<Self, Error> {
        let table = match weights(adalog, fraction_bits) {
            Ok(table) => table,
            Err(error) => return Err(error),
        };
        let most_keys = most_terms(adalog.weight(0, fraction_bits), values.magnitude());
        if keys == 0 {
            return Err(Error::Empty { what: Arg::Keys });
        }
        if keys > most_keys {
            return Err(Error::TooLarge { what: Arg::Keys, max: most_keys, got: keys });
        }
        Ok(Self { table, bits: adalog.bits(), fraction_bits, zero_point: values.zero_point as i32, most_keys: keys })
    }

    /// The weight of each code.
    #[must_use]
    pub const fn table(&self) -> &[i16; N] {
        &self.table
    }

    /// `F` of the module's formula.
    #[must_use]
    pub const fn fraction_bits(&self) -> u32 {
        self.fraction_bits
    }

    /// The product, value by value; nothing is done for zero symbols.
    ///
    /// # Errors
    /// `Error::Length` if `codes` is not `queries` rows of packed codes, or `y` and `v` do not have the same number of channels,
    /// `Error::TooLarge` for more keys than the constructor allows, `Error::Empty` if `y` is; `y` is then untouched.
    #[inline]
    pub fn run(&self, codes: &[u8], v: &[i8], y: &mut [i32], queries: Rows) -> Result<(), Error> {
        self.run_on(Auto, codes, v, y, queries)
    }

    /// [`CodeProduct::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`CodeProduct::run`].
    pub fn run_on<D: Dispatch>(
        &self,
        backend: D,
        codes: &[u8],
        v: &[i8],
        y: &mut [i32],
        queries: Rows,
    ) -> Result<(), Error> {
        let width = self.check(codes, v.len(), y.len(), queries)?;
        backend.dispatch(Plain { product: self, codes, v, y, keys: queries.cols(), width, by_buckets: false });
        Ok(())
    }

    /// As [`CodeProduct::run`], but values of equal codes are added first: `2^bits` multiplications a channel instead of one a key.
    /// For cores without a fast multiplier.
    ///
    /// # Errors
    /// As [`CodeProduct::run`].
    #[inline]
    pub fn run_buckets(&self, codes: &[u8], v: &[i8], y: &mut [i32], queries: Rows) -> Result<(), Error> {
        self.run_buckets_on(Auto, codes, v, y, queries)
    }

    /// [`CodeProduct::run_buckets`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`CodeProduct::run`].
    pub fn run_buckets_on<D: Dispatch>(
        &self,
        backend: D,
        codes: &[u8],
        v: &[i8],
        y: &mut [i32],
        queries: Rows,
    ) -> Result<(), Error> {
        let width = self.check(codes, v.len(), y.len(), queries)?;
        backend.dispatch(Plain { product: self, codes, v, y, keys: queries.cols(), width, by_buckets: true });
        Ok(())
    }

    /// The sum of a row's weights, for each query: what [`LogitCodes::anchored`](super::LogitCodes::anchored) codes are divided
    /// by.
    ///
    /// # Errors
    /// `Error::Length` if `codes` is not `queries` rows of packed codes or `y` not `queries` long; `y` is then untouched.
    pub fn sums(&self, codes: &[u8], y: &mut [i32], queries: Rows) -> Result<(), Error> {
        self.check_codes(codes, queries)?;
        length(Arg::Y, queries.rows(), y.len())?;
        let bytes = packed_len(self.bits, queries.cols()).max(1);
        for (codes, y) in codes.chunks_exact(bytes).zip(y) {
            *y = self.row_sum(codes, queries.cols());
        }
        Ok(())
    }

    fn row_sum(&self, codes: &[u8], keys: usize) -> i32 {
        Unpacked::new(self.bits, codes).take(keys).fold(0i32, |sum, code| sum.wrapping_add(self.weight(code)))
    }

    #[inline(always)]
    fn weight(&self, code: usize) -> i32 {
        self.table.get(code).map_or(0, |&weight| i32::from(weight))
    }

    fn check_codes(&self, codes: &[u8], queries: Rows) -> Result<(), Error> {
        if queries.cols() > self.most_keys {
            return Err(Error::TooLarge { what: Arg::Keys, max: self.most_keys, got: queries.cols() });
        }
        let want = queries.rows().saturating_mul(packed_len(self.bits, queries.cols()));
        length(Arg::Codes, want, codes.len())
    }

    /// Checks lengths; gives the number of channels.
    fn check(&self, codes: &[u8], v: usize, y: usize, queries: Rows) -> Result<usize, Error> {
        self.check_codes(codes, queries)?;
        let width = y.checked_div(queries.rows()).unwrap_or(0);
        if width == 0 {
            return Err(Error::Empty { what: Arg::Y });
        }
        length(Arg::Y, queries.rows().saturating_mul(width), y)?;
        length(Arg::Values, queries.cols().saturating_mul(width), v)?;
        Ok(width)
    }
}

impl CodeProduct<16> {
    /// Words of scratch of [`CodeProduct::run_packed`]; `usize::MAX` if they are too many to count.
    #[must_use]
    pub const fn scratch_words(values: Rows) -> usize {
        // Codes, weights and a row of sums, all padded.
        let keys = PackedValues::padded_keys(values.rows());
        (keys / 8 + keys / 2).saturating_add(PackedValues::padded_channels(values.cols()))
    }

    /// The product with packed values, of 4-bit codes.
    ///
    /// # Errors
    /// `Error::Config` if the codes are not of 4 bits, or the values were packed for another backend; `Error::Length` if `codes` is
    /// not rows of as many packed codes as there are keys, `y` as many rows of channels, or `scratch` shorter than
    /// [`CodeProduct::scratch_words`]; `Error::TooLarge` for more keys than the constructor allows. `y` is then untouched.
    #[inline]
    pub fn run_packed(
        &self,
        codes: &[u8],
        v: &PackedValues<'_>,
        y: &mut [i32],
        scratch: &mut [u32],
    ) -> Result<(), Error> {
        self.run_packed_on(Auto, codes, v, y, scratch)
    }

    /// [`CodeProduct::run_packed`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`CodeProduct::run_packed`].
    pub fn run_packed_on<D: Dispatch>(
        &self,
        backend: D,
        codes: &[u8],
        v: &PackedValues<'_>,
        y: &mut [i32],
        scratch: &mut [u32],
    ) -> Result<(), Error> {
        if self.bits != 4 {
            return Err(Error::Config { what: Rule::Bits });
        }
        let (keys, width) = (v.shape().rows(), v.shape().cols());
        let queries = Rows::new(codes.len().checked_div(packed_len(4, keys)).unwrap_or(0), keys)?;
        self.check_codes(codes, queries)?;
        length(Arg::Y, queries.rows().saturating_mul(width), y.len())?;
        let want = Self::scratch_words(v.shape());
        let got = scratch.len();
        let scratch = scratch.get_mut(..want).ok_or(Error::Length { what: Arg::Scratch, want, got })?;
        backend.dispatch(Packed { product: self, codes, v, y, scratch })
    }

    /// A row for which nothing needs padding.
    #[inline(always)]
    fn row_on<B: Backend>(&self, b: B, codes: &[u8], words: &[u32], y: &mut [i32], scratch: &mut [u32]) {
        let sum = b.product_nibbles(codes, words, &self.table, y, scratch);
        if self.zero_point != 0 {
            let offset = self.zero_point.wrapping_mul(sum);
            y.iter_mut().for_each(|y| *y = y.wrapping_sub(offset));
        }
    }

    /// The zero point of the values.
    pub(crate) const fn zero_point(&self) -> i32 {
        self.zero_point
    }
}

struct Plain<'a, const N: usize> {
    product: &'a CodeProduct<N>,
    codes: &'a [u8],
    v: &'a [i8],
    y: &'a mut [i32],
    keys: usize,
    width: usize,
    by_buckets: bool,
}

impl<const N: usize> Kernel for Plain<'_, N> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let Self { product, codes, v, y, keys, width, by_buckets } = self;
        let bytes = packed_len(product.bits, keys).max(1);
        for (codes, y) in codes.chunks_exact(bytes).zip(y.chunks_exact_mut(width.max(1))) {
            let codes = Unpacked::new(product.bits, codes).take(keys);
            let sum = codes.clone().fold(0i32, |sum, code| sum.wrapping_add(product.weight(code)));
            y.fill(product.zero_point.wrapping_mul(sum).wrapping_neg());
            if by_buckets {
                for (i, y) in y.chunks_mut(TILE).enumerate() {
                    product.bucket_tile(codes.clone(), v, width, i * TILE, y);
                }
                continue;
            }
            for (code, row) in codes.zip(v.chunks_exact(width.max(1))) {
                let weight = product.weight(code);
                if weight != 0 {
                    for (y, &v) in y.iter_mut().zip(row) {
                        *y = y.wrapping_add(weight * i32::from(v));
                    }
                }
            }
        }
    }
}

/// Channels whose buckets are held at once.
const TILE: usize = 4;

impl<const N: usize> CodeProduct<N> {
    #[inline(always)]
    fn bucket_tile(&self, codes: impl Iterator<Item = usize>, v: &[i8], width: usize, from: usize, y: &mut [i32]) {
        let mut buckets = [[0i32; TILE]; N];
        for (code, row) in codes.zip(v.chunks_exact(width.max(1))) {
            let Some(bucket) = buckets.get_mut(code) else { continue };
            for (sum, &v) in bucket.iter_mut().zip(row.get(from..).unwrap_or(&[])) {
                *sum = sum.wrapping_add(i32::from(v));
            }
        }
        for (bucket, &weight) in buckets.iter().zip(&self.table) {
            for (y, &sum) in y.iter_mut().zip(bucket) {
                *y = y.wrapping_add(sum.wrapping_mul(i32::from(weight)));
            }
        }
    }
}

/// A product with packed values, checked: rows of codes for all keys, as many rows of sums, and all the scratch it takes.
struct Packed<'a> {
    product: &'a CodeProduct<16>,
    codes: &'a [u8],
    v: &'a PackedValues<'a>,
    y: &'a mut [i32],
    scratch: &'a mut [u32],
}

impl Kernel for Packed<'_> {
    type Output = Result<(), Error>;

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) -> Result<(), Error> {
        let words = self.v.for_layout(<B as CodeRows>::LAYOUT)?;
        let (keys, width) = (self.v.shape().rows(), self.v.shape().cols());
        if !keys.is_multiple_of(VALUE_KEYS) || !width.is_multiple_of(VALUE_CHANNELS) {
            self.padded(b, words);
            return Ok(());
        }
        let Self { product, mut codes, mut y, scratch, .. } = self;
        while let (Some((row, next)), Some((to, rest))) =
            (codes.split_at_checked(keys / 2), y.split_at_mut_checked(width))
        {
            product.row_on(b, row, words, to, scratch);
            (codes, y) = (next, rest);
        }
        Ok(())
    }
}

impl Packed<'_> {
    /// With codes and sums copied to where there is room for what pads them. Apart on a core, so that what it needs is not prepared
    /// for others.
    #[cfg_attr(target_arch = "arm", inline(never))]
    #[cfg_attr(not(target_arch = "arm"), inline(always))]
    fn padded<B: Backend>(self, b: B, words: &[u32]) {
        use zerocopy::IntoBytes;
        let Self { product, codes, v, y, scratch } = self;
        let (keys, width) = (v.shape().rows(), v.shape().cols());
        let padded = PackedValues::padded_keys(keys);
        let (held, rest) = scratch.split_at_mut_checked(padded / 8).unwrap_or_default();
        let (spare, sums) = rest.split_at_mut_checked(padded / 2).unwrap_or_default();
        let sums = zerocopy::transmute_mut!(sums);
        let bytes = packed_len(4, keys).max(1);
        for (codes, y) in codes.chunks_exact(bytes).zip(y.chunks_exact_mut(width.max(1))) {
            let held = held.as_mut_bytes();
            held.fill(0xFF);
            held.iter_mut().zip(codes).for_each(|(to, &from)| *to = from);
            if let (true, Some(last)) = (keys % 2 == 1, held.get_mut(bytes - 1)) {
                *last |= 0xF0; // whatever the caller left there
            }
            let sum = b.product_nibbles(held, words, &product.table, sums, spare);
            let offset = product.zero_point.wrapping_mul(sum);
            for (y, &sum) in y.iter_mut().zip(sums.iter()) {
                *y = sum.wrapping_sub(offset);
            }
        }
    }
}
