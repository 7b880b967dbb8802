//! Stored weights as a view that is read at any of its widths, without a copy.

use super::nested::nest;
use super::width::Width;
use crate::backend::{Codes, Data, Format, Layout};
use crate::error::{Arg, Error, Rule, length};
use crate::shape::Rows;

/// Weights `w[output][input]` where they lie in flash or RAM, to be read at any width that their format has.
///
/// [`Format::S8`] has 8 bits and [`Format::S4`] 4; [`Format::Raw8`] has every width, always reading 8 bits; and
/// [`Format::Nest84`] has every width, reading half as much at 4 bits. Every backend runs every [`Layout`] with the same
/// results; [`Layout::BEST`] is the fast one of this build, made by [`Weights::pack_into`], on the host or when the program
/// is built.
///
/// # Example
/// ```
/// use scrimp::Rows;
/// use scrimp::bits::{Weights, Width};
/// let weights = Weights::raw8(&[100, -3, 8, 127], Rows::new(2, 2)?)?;
/// assert_eq!(weights.code(Width::W4, 0, 0), Some(6));
/// assert_eq!(weights.code(Width::W2, 1, 1), Some(1));
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    codes: Codes<'a>,
    format: Format,
    shape: Rows,
}

impl<'a> Weights<'a> {
    /// 8-bit weights, `shape.rows()` outputs of `shape.cols()` inputs, each output's weights in a row.
    ///
    /// # Errors
    /// `Error::Length` if `codes` is not of this shape.
    pub const fn s8(codes: &'a [i8], shape: Rows) -> Result<Self, Error> {
        Self::bytes(codes, Format::S8, shape)
    }

    /// 8-bit codes that are read at any width.
    ///
    /// # Errors
    /// As [`Weights::s8`].
    pub const fn raw8(codes: &'a [i8], shape: Rows) -> Result<Self, Error> {
        Self::bytes(codes, Format::Raw8, shape)
    }

    /// Of data whose length was checked.
    const fn of(data: Data<'a>, format: Format, shape: Rows) -> Result<Self, Error> {
        match Codes::new(data, shape.rows(), shape.cols()) {
            Some(codes) => Ok(Self { codes, format, shape }),
            None => Err(Error::TooLarge { what: Arg::Weights, max: usize::MAX, got: shape.elements() }),
        }
    }

    const fn bytes(codes: &'a [i8], format: Format, shape: Rows) -> Result<Self, Error> {
        match shape.check(Arg::Weights, codes.len()) {
            Ok(()) => Self::of(Data::Bytes(codes), format, shape),
            Err(error) => Err(error),
        }
    }

    /// 4-bit weights in two's complement, two in a byte, the even index low, rows not padded.
    ///
    /// # Errors
    /// As [`Weights::s8`].
    pub const fn s4(packed: &'a [u8], shape: Rows) -> Result<Self, Error> {
        match length(Arg::Weights, shape.elements().div_ceil(2), packed.len()) {
            Ok(()) => Self::of(Data::Nibbles(packed), Format::S4, shape),
            Err(error) => Err(error),
        }
    }

    /// Nested weights, as [`nest_planes`](super::nest_planes) makes them. Without the lower plane (`&[]`), while it is not
    /// paged in, they have 4 bits only.
    ///
    /// # Errors
    /// As [`Weights::s8`], for either plane.
    pub const fn nest(high: &'a [u8], low: &'a [u8], shape: Rows) -> Result<Self, Error> {
        let bytes = shape.elements().div_ceil(2);
        if let Err(error) = length(Arg::Weights, bytes, high.len()) {
            return Err(error);
        }
        if !low.is_empty()
            && let Err(error) = length(Arg::LowPlane, bytes, low.len())
        {
            return Err(error);
        }
        Self::of(Data::Planes(high, low), Format::Nest84, shape)
    }

    /// Weights packed by [`Weights::pack_into`]; `low` is the lower plane of nested ones, or empty.
    ///
    /// # Errors
    /// `Error::Config` for [`Layout::Rows`], which is not packed; `Error::Length` unless both are [`packed_words`] long.
    pub const fn packed(
        format: Format,
        layout: Layout,
        words: &'a [u32],
        low: &'a [u32],
        shape: Rows,
    ) -> Result<Self, Error> {
        if matches!(layout, Layout::Rows) {
            return Err(Error::Config { what: Rule::Layout });
        }
        let want = packed_words(format, layout, shape);
        if let Err(error) = length(Arg::Weights, want, words.len()) {
            return Err(error);
        }
        if !low.is_empty() {
            let want = if matches!(format, Format::Nest84) { want } else { 0 };
            if let Err(error) = length(Arg::LowPlane, want, low.len()) {
                return Err(error);
            }
        }
        Self::of(Data::Packed(format, layout, words, low), format, shape)
    }

    /// Outputs and inputs.
    #[must_use]
    pub const fn shape(&self) -> Rows {
        self.shape
    }

    /// What is stored for a weight.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The order that they are stored in.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        match self.codes.data() {
            Data::Packed(_, layout, ..) => layout,
            _ => Layout::Rows,
        }
    }

    /// Whether they can be read at this width.
    #[must_use]
    pub const fn has(&self, width: Width) -> bool {
        match self.format {
            Format::S8 => matches!(width, Width::W8),
            Format::S4 => matches!(width, Width::W4),
            Format::Raw8 => true,
            Format::Nest84 => matches!(width, Width::W4) || self.has_low_plane(),
        }
    }

    const fn has_low_plane(&self) -> bool {
        match self.codes.data() {
            Data::Planes(_, low) => !low.is_empty(),
            Data::Packed(_, _, _, low) => !low.is_empty(),
            _ => false,
        }
    }

    /// One weight's code at a width; `None` outside the shape, or if there is no such width.
    #[must_use]
    pub const fn code(&self, width: Width, output: usize, input: usize) -> Option<i8> {
        match self.codes(width) {
            Some(codes) if output < codes.outputs() && input < codes.depth() => {
                Some(codes.get(output, input) >> codes.dropped())
            }
            _ => None,
        }
    }

    /// The sum of an output's weights as kernels weigh them: codes on the scale of 8 bits, those of [`Format::S4`] as they
    /// are. A zero point of the input multiplies it. 0 outside the shape, or if there is no such width.
    #[must_use]
    pub const fn sum(&self, width: Width, output: usize) -> i32 {
        let Some(codes) = self.codes(width) else { return 0 };
        let (mut sum, mut i) = (0i32, 0);
        while i < codes.depth() {
            sum = sum.wrapping_add(codes.get(output, i) as i32);
            i += 1;
        }
        sum
    }

    /// Bytes that a run at this width reads; 0 if there is no such width.
    #[must_use]
    pub const fn bytes_read(&self, width: Width) -> usize {
        if !self.has(width) {
            return 0;
        }
        let plane = match self.codes.data() {
            Data::Bytes(codes) => codes.len(),
            Data::Nibbles(bytes) | Data::Planes(bytes, _) | Data::Residuals(bytes) => bytes.len(),
            Data::Packed(_, _, words, _) | Data::PackedResiduals(_, words) => size_of_val(words),
        };
        if matches!(self.format, Format::Nest84) && !matches!(width, Width::W4) { 2 * plane } else { plane }
    }

    /// What kernels read at a width.
    #[inline(always)]
    pub(crate) const fn codes(&self, width: Width) -> Option<Codes<'a>> {
        if !self.has(width) {
            return None;
        }
        let drop = if matches!(self.format, Format::S4) { 0 } else { width.dropped() };
        Some(self.codes.at(drop))
    }

    /// The lower plane of nested weights as weights of its own, less 8.
    #[inline(always)]
    pub(crate) const fn residuals(&self) -> Option<Codes<'a>> {
        let data = match self.codes.data() {
            Data::Planes(_, low) if !low.is_empty() => Data::Residuals(low),
            Data::Packed(Format::Nest84, layout, _, low) if !low.is_empty() => Data::PackedResiduals(layout, low),
            _ => return None,
        };
        Codes::new(data, self.shape.rows(), self.shape.cols())
    }

    /// Copies the weights at a width into RAM, in a row an output, on the scale of 8 bits (those of [`Format::S4`] as they
    /// are): from then on they run at the speed of 8-bit weights.
    ///
    /// # Errors
    /// `Error::Length` if `codes` is not as long as the weights, `Error::Config` if there is no such width; `codes` is then
    /// untouched.
    ///
    /// # Example
    /// ```
    /// use scrimp::Rows;
    /// use scrimp::bits::{Weights, Width};
    /// let mut ram = [0; 4];
    /// let weights = Weights::raw8(&[100, -3, 8, 127], Rows::new(2, 2)?)?.switch_into(Width::W4, &mut ram)?;
    /// assert_eq!(weights.code(Width::W8, 0, 0), Some(96));
    /// # Ok::<(), scrimp::Error>(())
    /// ```
    pub const fn switch_into<'b>(&self, width: Width, codes: &'b mut [i8]) -> Result<Weights<'b>, Error> {
        if let Err(error) = self.shape.check(Arg::Weights, codes.len()) {
            return Err(error);
        }
        let Some(from) = self.codes(width) else { return Err(Error::Config { what: Rule::BitWidth }) };
        let (mut o, mut at) = (0, 0);
        while o < from.outputs() {
            let mut i = 0;
            while i < from.depth() && at < codes.len() {
                codes[at] = from.get(o, i);
                at += 1;
                i += 1;
            }
            o += 1;
        }
        Weights::s8(codes, self.shape)
    }

    /// Packs the weights at a width for a backend's fast loop, as another format if asked for.
    ///
    /// To `S8` and `Raw8` go codes on the scale of 8 bits, to `S4` the codes of 4 bits, to `Nest84` all 8 bits. `low` is for
    /// the lower plane of `Nest84`, else empty.
    ///
    /// # Errors
    /// `Error::Config` if the weights have no such width, the format does not hold it, a code is above 119 for `Nest84`, or
    /// `layout` is `Rows`; `Error::Length` unless `words` (and `low`) are [`packed_words`] long. Both are then untouched.
    ///
    /// # Example
    /// ```
    /// use scrimp::Rows;
    /// use scrimp::bits::{Format, Layout, Weights, Width, packed_words};
    /// const SHAPE: Rows = scrimp::expect!(Rows::new(2, 2));
    /// // For a Cortex-M4, whatever builds it.
    /// let mut words = [0; packed_words(Format::Raw8, Layout::Dsp, SHAPE)];
    /// let weights = Weights::raw8(&[100, -3, 8, 127], SHAPE)?;
    /// let packed = weights.pack_into(Format::Raw8, Layout::Dsp, Width::W8, &mut words, &mut [])?;
    /// assert_eq!(packed.code(Width::W4, 0, 0), Some(6));
    /// # Ok::<(), scrimp::Error>(())
    /// ```
    pub const fn pack_into<'b>(
        &self,
        format: Format,
        layout: Layout,
        width: Width,
        words: &'b mut [u32],
        low: &'b mut [u32],
    ) -> Result<Weights<'b>, Error> {
        let holds = match format {
            Format::S8 | Format::Raw8 => true,
            Format::S4 => matches!(width, Width::W4),
            Format::Nest84 => matches!(width, Width::W8),
        };
        let from = match self.codes(width) {
            Some(codes) if holds => codes,
            _ => return Err(Error::Config { what: Rule::BitWidth }),
        };
        // The checks of what comes out.
        if let Err(error) = Weights::packed(format, layout, words, low, self.shape) {
            return Err(error);
        }
        let nests = matches!(format, Format::Nest84);
        if nests && let Err(error) = length(Arg::LowPlane, words.len(), low.len()) {
            return Err(error);
        }
        if nests && from.has_more_than(super::NEST_CAP) {
            return Err(Error::Config { what: Rule::NestCap });
        }
        let mut at = 0;
        while at < words.len() {
            words[at] = 0;
            at += 1;
        }
        at = 0;
        while at < low.len() {
            low[at] = 0;
            at += 1;
        }
        // Padding too, as code 0.
        let outputs = from.outputs().next_multiple_of(layout.group());
        let depth = from.depth().next_multiple_of(layout.padding());
        let mut o = 0;
        while o < outputs {
            let mut i = 0;
            while i < depth {
                let code = from.get(o, i);
                let place = layout.place(format, false, from.depth(), o, i);
                let bits = match format {
                    Format::S8 | Format::Raw8 => code as u8 ^ place.xor,
                    Format::S4 => ((code >> from.dropped()) as u8 & 15) ^ place.xor,
                    Format::Nest84 => (nest(code).0 as u8 & 15) ^ place.xor,
                };
                if place.word < words.len() {
                    words[place.word] |= (bits as u32) << (place.shift & 31);
                }
                if nests {
                    let place = layout.place(format, true, from.depth(), o, i);
                    if place.word < low.len() {
                        low[place.word] |= (nest(code).1 as u32) << (place.shift & 31);
                    }
                }
                i += 1;
            }
            o += 1;
        }
        Weights::packed(format, layout, words, low, self.shape)
    }
}

/// Words of packed weights, of one plane; 0 for [`Layout::Rows`], which is not packed.
#[must_use]
pub const fn packed_words(format: Format, layout: Layout, shape: Rows) -> usize {
    if matches!(layout, Layout::Rows) {
        return 0;
    }
    match layout.words(format, shape.rows(), shape.cols()) {
        Some(words) => words,
        None => usize::MAX,
    }
}
