//! Tables of a FlatBuffer, read with every access checked.
//!
//! A table is a list of fields by number, any of which may be absent. `planus` checks each access against the file's
//! bounds; offsets point forward only, and our tables nest a fixed number of times, so a hostile file cannot make a cycle.
//! It can make many vectors share one part of the file, though: [`Budget`] bounds what is read in all.

use core::cell::Cell;

use anyhow::{Result, bail};
use planus::errors::ErrorKind;
use planus::table_reader::Table as Raw;
use planus::{SliceWithStartOffset, TableRead, Vector, VectorRead};

/// How much may still be read: a file that says it holds far more than its bytes is refused.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Budget {
    /// For a file of so many bytes. Sharing a part is legal and rare; sharing everything many times over is not.
    pub(super) fn for_file(bytes: usize) -> Self {
        Self(Cell::new(bytes.saturating_mul(16).saturating_add(1 << 12)))
    }

    fn take(&self, amount: usize) -> Result<()> {
        match self.0.get().checked_sub(amount) {
            Some(left) => self.0.set(left),
            None => bail!("it says that it holds far more than its bytes"),
        }
        Ok(())
    }
}

/// A table, and the budget it is read on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    raw: Raw<'a>,
    budget: &'a Budget,
}

/// A table as `planus` finds it behind a field.
struct One<'a>(Raw<'a>);

impl<'a> TableRead<'a> for One<'a> {
    fn from_buffer(buffer: SliceWithStartOffset<'a>, offset: usize) -> core::result::Result<Self, ErrorKind> {
        Raw::from_buffer(buffer, offset).map(Self)
    }
}

/// A vector of tables: where its offsets begin, and how many there are.
struct Many<'a>(SliceWithStartOffset<'a>, usize);

impl<'a> TableRead<'a> for Many<'a> {
    fn from_buffer(buffer: SliceWithStartOffset<'a>, offset: usize) -> core::result::Result<Self, ErrorKind> {
        let at = offset
            .checked_add(<u32 as TableRead>::from_buffer(buffer, offset)? as usize)
            .ok_or(ErrorKind::InvalidOffset)?;
        let vector = buffer.advance(at)?;
        let len = <u32 as TableRead>::from_buffer(vector, 0)? as usize;
        let offsets = vector.advance(4)?;
        if len > offsets.len() / 4 {
            return Err(ErrorKind::InvalidLength);
        }
        Ok(Self(offsets, len))
    }
}

impl<'a> Table<'a> {
    /// The root table of a file.
    pub(super) fn root(file: &'a [u8], budget: &'a Budget) -> Result<Self> {
        let buffer = SliceWithStartOffset { buffer: file, offset_from_start: 0 };
        match Raw::from_buffer(buffer, 0) {
            Ok(raw) => Ok(Self { raw, budget }),
            Err(error) => bail!("no FlatBuffer: {error}"),
        }
    }

    fn get<T: TableRead<'a>>(&self, field: usize, name: &'static str) -> Result<Option<T>> {
        self.budget.take(1)?;
        match self.raw.access(field, "field", name) {
            Ok(value) => Ok(value),
            Err(error) => bail!("no valid FlatBuffer: {error}"),
        }
    }

    pub(super) fn i8(&self, field: usize, name: &'static str) -> Result<i8> {
        Ok(self.get(field, name)?.unwrap_or(0))
    }

    pub(super) fn u8(&self, field: usize, name: &'static str) -> Result<u8> {
        Ok(self.get(field, name)?.unwrap_or(0))
    }

    pub(super) fn bool(&self, field: usize, name: &'static str) -> Result<bool> {
        Ok(self.u8(field, name)? != 0)
    }

    pub(super) fn i32(&self, field: usize, name: &'static str, default: i32) -> Result<i32> {
        Ok(self.get(field, name)?.unwrap_or(default))
    }

    pub(super) fn u32(&self, field: usize, name: &'static str) -> Result<u32> {
        Ok(self.get(field, name)?.unwrap_or(0))
    }

    pub(super) fn u64(&self, field: usize, name: &'static str) -> Result<u64> {
        Ok(self.get(field, name)?.unwrap_or(0))
    }

    pub(super) fn f32(&self, field: usize, name: &'static str) -> Result<f32> {
        Ok(self.get(field, name)?.unwrap_or(0.0))
    }

    /// Text; what is not UTF-8 is made so, as names are for reading only.
    pub(super) fn text(&self, field: usize, name: &'static str) -> Result<String> {
        let bytes = self.bytes(field, name)?.unwrap_or_default();
        self.budget.take(bytes.len())?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Bytes where they lie in the file.
    pub(super) fn bytes(&self, field: usize, name: &'static str) -> Result<Option<&'a [u8]>> {
        self.get(field, name)
    }

    /// A vector of numbers, empty if it is absent.
    pub(super) fn numbers<T: VectorRead<'a>>(&self, field: usize, name: &'static str) -> Result<Vec<T>> {
        let Some(vector) = self.get::<Vector<'a, T>>(field, name)? else { return Ok(Vec::new()) };
        self.budget.take(vector.len())?;
        Ok(vector.iter().collect())
    }

    pub(super) fn table(&self, field: usize, name: &'static str) -> Result<Option<Self>> {
        let one = self.get::<One<'a>>(field, name)?;
        Ok(one.map(|One(raw)| Self { raw, budget: self.budget }))
    }

    pub(super) fn tables(&self, field: usize, name: &'static str) -> Result<Vec<Self>> {
        let Some(Many(offsets, len)) = self.get::<Many<'a>>(field, name)? else { return Ok(Vec::new()) };
        self.budget.take(len)?;
        let table = |i: usize| match Raw::from_buffer(offsets, 4 * i) {
            Ok(raw) => Ok(Self { raw, budget: self.budget }),
            Err(error) => bail!("no valid FlatBuffer: entry {i} of {name}: {error}"),
        };
        (0..len).map(table).collect()
    }
}
