//! The zero-copy reader: checks everything once, then hands out slices.

use core::fmt;

use zerocopy::{FromBytes, Immutable};

use super::{ALIGNMENT, HEADER, MAGIC, RECORD, SECTION, SECTIONS, VERSION, crc32};
use crate::error::{Check, Error};

/// A model in memory.
///
/// Having one tells you that every record in it is sound: names are ASCII, data lie inside, are aligned and as long as
/// their shape asks for. So reading a tensor cannot fail.
#[derive(Clone, Copy)]
pub struct Model<'m> {
    config: &'m [u8],
    records: &'m [u8],
    names: &'m [u8],
    data: &'m [u8],
    size: usize,
}

impl fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("bytes", &self.size).field("tensors", &self.len()).finish_non_exhaustive()
    }
}

impl<'m> Model<'m> {
    /// Reads a blob in place. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// `Error::Blob` with the check that failed and where.
    ///
    /// # Example
    /// ```
    /// # use scrimp::{Error, error::Check, model::Model};
    /// let error = Model::from_bytes(&[0; 8]).unwrap_err();
    /// assert_eq!(error, Error::Blob { check: Check::Truncated, at: 8 });
    /// ```
    pub fn from_bytes(bytes: &'m [u8]) -> Result<Self, Error> {
        let model = Self::from_bytes_trusted(bytes)?;
        let stored = u32_at(bytes, 16).unwrap_or(0);
        if crc32(bytes.get(20..).unwrap_or(&[])) != stored {
            return Err(blob(Check::Crc, 16));
        }
        Ok(model)
    }

    /// [`from_bytes`](Self::from_bytes) without the checksum, for flash that was verified before: as safe, as it makes
    /// all other checks, but a flipped bit of a weight goes unseen.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes), `Check::Crc` excepted.
    pub fn from_bytes_trusted(bytes: &'m [u8]) -> Result<Self, Error> {
        if bytes.len() < HEADER {
            return Err(blob(Check::Truncated, bytes.len()));
        }
        if bytes.get(..8) != Some(&MAGIC) {
            return Err(blob(Check::Magic, 0));
        }
        if u32_at(bytes, 8) != Some(VERSION) {
            return Err(blob(Check::Version, 8));
        }
        if usize_at(bytes, 12) != Some(bytes.len()) {
            return Err(blob(Check::Length, 12));
        }
        if !bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return Err(blob(Check::Alignment, 0));
        }
        if usize_at(bytes, 20) != Some(SECTIONS.len()) {
            return Err(blob(Check::SectionMissing, 20));
        }
        let mut sections: [&[u8]; SECTIONS.len()] = [&[]; SECTIONS.len()];
        let mut end = HEADER + SECTION * SECTIONS.len();
        let mut at = HEADER;
        for (section, kind) in sections.iter_mut().zip(SECTIONS) {
            if bytes.get(at..at + 4) != Some(&kind) {
                return Err(blob(Check::SectionMissing, at));
            }
            let bad = blob(Check::Section, at);
            let offset = usize_at(bytes, at + 4).ok_or(bad)?;
            let length = usize_at(bytes, at + 8).ok_or(bad)?;
            if offset < end || offset % ALIGNMENT != 0 {
                return Err(bad);
            }
            end = offset.checked_add(length).ok_or(bad)?;
            *section = bytes.get(offset..end).ok_or(bad)?;
            at += SECTION;
        }
        let [config, records, names, data] = sections;
        let model = Self { config, records, names, data, size: bytes.len() };
        if records.len() % RECORD != 0 {
            return Err(blob(Check::Section, HEADER + SECTION));
        }
        let first = usize_at(bytes, HEADER + SECTION + 4).unwrap_or(0);
        for (i, record) in records.chunks_exact(RECORD).enumerate() {
            model.tensor_of(record).map_err(|check| blob(check, first + i * RECORD))?;
        }
        Ok(model)
    }

    /// The section that describes the network; its reader is the network's.
    #[must_use]
    pub const fn config(&self) -> &'m [u8] {
        self.config
    }

    /// Number of tensors.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len() / RECORD
    }

    /// Whether there is no tensor.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length of the whole blob in bytes: what it takes of the flash.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Tensor number `index`.
    #[must_use]
    pub fn tensor(&self, index: usize) -> Option<Tensor<'m>> {
        let start = index.checked_mul(RECORD)?;
        self.tensor_of(self.records.get(start..start.checked_add(RECORD)?)?).ok()
    }

    /// All tensors, in order.
    #[must_use]
    pub const fn tensors(&self) -> Tensors<'m> {
        Tensors { model: *self, next: 0 }
    }

    fn tensor_of(&self, record: &'m [u8]) -> Result<Tensor<'m>, Check> {
        let name_at = usize_at(record, 0).ok_or(Check::Name)?;
        let name_length = usize::from(u16_at(record, 4).ok_or(Check::Name)?);
        let name = slice(self.names, name_at, name_length).ok_or(Check::Name)?;
        let name = core::str::from_utf8(name).ok().filter(|n| n.is_ascii()).ok_or(Check::Name)?;

        let element = record.get(6).and_then(|&e| Element::from_code(e)).ok_or(Check::Element)?;
        let rank = record.get(7).copied().filter(|r| (1..=4).contains(r)).ok_or(Check::Shape)?;
        let mut shape = [1; 4];
        let mut elements = 1usize;
        for (i, extent) in shape.iter_mut().enumerate() {
            *extent = usize_at(record, 8 + 4 * i).ok_or(Check::Shape)?;
            if *extent == 0 || (i >= usize::from(rank) && *extent != 1) {
                return Err(Check::Shape);
            }
            elements = elements.checked_mul(*extent).ok_or(Check::Shape)?;
        }
        let bytes = element.bytes(elements).ok_or(Check::Shape)?;

        let data_at = usize_at(record, 24).ok_or(Check::Data)?;
        if usize_at(record, 28) != Some(bytes) || data_at % ALIGNMENT != 0 {
            return Err(Check::Data);
        }
        let data = slice(self.data, data_at, bytes).ok_or(Check::Data)?;

        let scale_count = usize_at(record, 36).ok_or(Check::Quantization)?;
        let last = shape.get(usize::from(rank) - 1).copied().unwrap_or(1);
        if !(scale_count == 0 || scale_count == 1 || scale_count == last)
            || (element == Element::F32 && scale_count > 0)
        {
            return Err(Check::Quantization);
        }
        let scales_at = usize_at(record, 32).ok_or(Check::Quantization)?;
        let scales = slice(self.data, scales_at, scale_count.checked_mul(4).ok_or(Check::Quantization)?)
            .and_then(cast::<f32>)
            .ok_or(Check::Quantization)?;
        let widths = record.get(40).copied().ok_or(Check::Quantization)?;
        if widths != 0 && !matches!(element, Element::I8 | Element::Nested) {
            return Err(Check::Quantization);
        }
        if record.get(41..RECORD).is_none_or(|zeros| zeros.iter().any(|&z| z != 0)) {
            return Err(Check::Quantization);
        }
        Ok(Tensor { name, element, rank, shape, data, scales, widths })
    }
}

/// Iterator over the tensors of a [`Model`].
#[derive(Clone, Debug)]
pub struct Tensors<'m> {
    model: Model<'m>,
    next: usize,
}

impl<'m> Iterator for Tensors<'m> {
    type Item = Tensor<'m>;

    fn next(&mut self) -> Option<Tensor<'m>> {
        let tensor = self.model.tensor(self.next)?;
        self.next += 1;
        Some(tensor)
    }
}

/// How a tensor's elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum Element {
    /// IEEE single precision.
    F32 = 0,
    /// Signed bytes.
    I8 = 1,
    /// Unsigned bytes.
    U8 = 2,
    /// Signed 16-bit integers.
    I16 = 3,
    /// Signed 32-bit integers.
    I32 = 4,
    /// Signed nibbles, two a byte, low one first, no padding between rows.
    I4 = 5,
    /// Two nibble planes of signed bytes, high plane first.
    Nested = 6,
}

impl Element {
    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::F32,
            1 => Self::I8,
            2 => Self::U8,
            3 => Self::I16,
            4 => Self::I32,
            5 => Self::I4,
            6 => Self::Nested,
            _ => return None,
        })
    }

    /// Bytes that `elements` of them take, if that fits a `usize`.
    #[must_use]
    pub const fn bytes(self, elements: usize) -> Option<usize> {
        match self {
            Self::F32 | Self::I32 => elements.checked_mul(4),
            Self::I16 => elements.checked_mul(2),
            Self::I8 | Self::U8 => Some(elements),
            Self::I4 => Some(elements.div_ceil(2)),
            Self::Nested => match elements.div_ceil(2).checked_mul(2) {
                Some(bytes) => Some(bytes),
                None => None,
            },
        }
    }
}

/// A tensor of a [`Model`]: a view, nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'m> {
    name: &'m str,
    element: Element,
    rank: u8,
    shape: [usize; 4],
    data: &'m [u8],
    scales: &'m [f32],
    widths: u8,
}

impl<'m> Tensor<'m> {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'m str {
        self.name
    }

    /// How its elements are stored.
    #[must_use]
    pub const fn element(&self) -> Element {
        self.element
    }

    /// Its extents, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.shape.get(..usize::from(self.rank)).unwrap_or(&self.shape)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'m [u8] {
        self.data
    }

    /// Its elements, if they are f32.
    #[must_use]
    pub fn as_f32(&self) -> Option<&'m [f32]> {
        if self.element == Element::F32 { cast(self.data) } else { None }
    }

    /// Its elements, if they are signed bytes.
    #[must_use]
    pub fn as_i8(&self) -> Option<&'m [i8]> {
        if self.element == Element::I8 { cast(self.data) } else { None }
    }

    /// Its scales: none, one, or one for each element of the last axis.
    #[must_use]
    pub const fn scales(&self) -> &'m [f32] {
        self.scales
    }

    /// Whether the data may be read at `bits` bits (1 to 8).
    #[must_use]
    pub const fn reads_at(&self, bits: u8) -> bool {
        bits >= 1 && bits <= 8 && (self.widths >> (bits - 1)) & 1 == 1
    }
}

const fn blob(check: Check, at: usize) -> Error {
    Error::Blob { check, at }
}

fn slice(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

/// The bytes as elements; `None` if they are misaligned or no whole number of elements.
fn cast<T: FromBytes + Immutable>(bytes: &[u8]) -> Option<&[T]> {
    <[T]>::ref_from_bytes(bytes).ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_at(bytes, at)?).ok()
}
