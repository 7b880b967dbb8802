//! Keys and values of an attention, packed once, when they are written, in the order in which the backend reads them.

use crate::backend::{Auto, Backend, CodeRows, Dispatch, KEY_GROUP, Kernel, VALUE_CHANNELS, VALUE_KEYS};
use crate::backend::{keys_words, values_words};
use crate::error::{Arg, Error, Rule, length};
use crate::shape::Rows;

/// Most channels of a head: sums of two products in one word stay exact.
const MOST_CHANNELS: usize = 256;

const fn check(rows: Rows, what: Arg, got: usize) -> Result<(), Error> {
    if rows.cols() > MOST_CHANNELS {
        return Err(Error::TooLarge { what: Arg::Cols, max: MOST_CHANNELS, got: rows.cols() });
    }
    rows.check(what, got)
}

/// Packed keys of one head: `keys x channels`, i8, any zero point.
///
/// # Example
/// ```
/// use scrimp::{Rows, quant::PackedKeys};
/// const SHAPE: Rows = scrimp::expect!(Rows::new(3, 4));
/// let mut words = [0; PackedKeys::words(SHAPE)];
/// let keys = PackedKeys::pack(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], &mut words, SHAPE)?;
/// assert_eq!(keys.shape(), SHAPE);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PackedKeys<'a> {
    words: &'a [u32],
    shape: Rows,
    layout: u8,
}

impl<'a> PackedKeys<'a> {
    /// Words that `keys x channels` take: keys in multiples of 8, channels of 16.
    #[must_use]
    pub const fn words(shape: Rows) -> usize {
        keys_words(shape.rows(), shape.cols())
    }

    /// Packs keys.
    ///
    /// # Errors
    /// `Error::Length` if `keys` is not of the shape or `words` not [`PackedKeys::words`] long, `Error::TooLarge` for more than
    /// 256 channels; `words` is then untouched.
    #[inline]
    pub fn pack(keys: &[i8], words: &'a mut [u32], shape: Rows) -> Result<Self, Error> {
        Self::pack_on(Auto, keys, words, shape)
    }

    /// [`PackedKeys::pack`] for a backend of your choice, which must also be the one that reads them.
    ///
    /// # Errors
    /// As [`PackedKeys::pack`].
    pub fn pack_on<D: Dispatch>(backend: D, keys: &[i8], words: &'a mut [u32], shape: Rows) -> Result<Self, Error> {
        check(shape, Arg::Keys, keys.len())?;
        length(Arg::Scratch, Self::words(shape), words.len())?;
        words.fill(0);
        let layout = backend.dispatch(Pack { from: keys, width: shape.cols(), to: words, is_keys: true });
        Ok(Self { words, shape, layout })
    }

    /// Number of keys and channels.
    #[must_use]
    pub const fn shape(&self) -> Rows {
        self.shape
    }

    /// Keys with those that pad them.
    pub(crate) const fn padded(&self) -> usize {
        self.shape.rows().div_ceil(KEY_GROUP).saturating_mul(KEY_GROUP)
    }

    /// The words, if this backend can read them.
    #[inline(always)]
    pub(crate) fn for_layout(&self, layout: u8) -> Result<&'a [u32], Error> {
        if self.layout == layout { Ok(self.words) } else { Err(Error::Config { what: Rule::Layout }) }
    }
}

/// Packed values of one head: `keys x channels`, i8, any zero point.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PackedValues<'a> {
    words: &'a [u32],
    shape: Rows,
    layout: u8,
}

impl<'a> PackedValues<'a> {
    /// Words that `keys x channels` take: keys in multiples of 64, channels of 4.
    #[must_use]
    pub const fn words(shape: Rows) -> usize {
        values_words(shape.rows(), shape.cols())
    }

    /// Packs values.
    ///
    /// # Errors
    /// As [`PackedKeys::pack`].
    #[inline]
    pub fn pack(values: &[i8], words: &'a mut [u32], shape: Rows) -> Result<Self, Error> {
        Self::pack_on(Auto, values, words, shape)
    }

    /// [`PackedValues::pack`] for a backend of your choice, which must also be the one that reads them.
    ///
    /// # Errors
    /// As [`PackedKeys::pack`].
    pub fn pack_on<D: Dispatch>(backend: D, values: &[i8], words: &'a mut [u32], shape: Rows) -> Result<Self, Error> {
        check(shape, Arg::Values, values.len())?;
        length(Arg::Scratch, Self::words(shape), words.len())?;
        words.fill(0);
        let layout = backend.dispatch(Pack { from: values, width: shape.cols(), to: words, is_keys: false });
        Ok(Self { words, shape, layout })
    }

    /// Number of keys and channels.
    #[must_use]
    pub const fn shape(&self) -> Rows {
        self.shape
    }

    /// Keys with those that pad them.
    pub(crate) const fn padded_keys(keys: usize) -> usize {
        keys.div_ceil(VALUE_KEYS).saturating_mul(VALUE_KEYS)
    }

    /// Channels with those that pad them.
    pub(crate) const fn padded_channels(channels: usize) -> usize {
        channels.div_ceil(VALUE_CHANNELS).saturating_mul(VALUE_CHANNELS)
    }

    /// The words, if this backend can read them.
    #[inline(always)]
    pub(crate) fn for_layout(&self, layout: u8) -> Result<&'a [u32], Error> {
        if self.layout == layout { Ok(self.words) } else { Err(Error::Config { what: Rule::Layout }) }
    }
}

struct Pack<'a> {
    from: &'a [i8],
    width: usize,
    to: &'a mut [u32],
    is_keys: bool,
}

impl Kernel for Pack<'_> {
    /// The layout.
    type Output = u8;

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) -> u8 {
        if self.is_keys {
            b.pack_keys_s8(self.from, self.width, self.to);
        } else {
            b.pack_values_s8(self.from, self.width, self.to);
        }
        <B as CodeRows>::LAYOUT
    }
}
