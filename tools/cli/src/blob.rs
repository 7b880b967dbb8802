//! Writes the model format that `scrimp::model` reads, and holds one in aligned memory.

use std::path::Path;

use aligned_vec::{AVec, ConstAlign};
use anyhow::{Context, Result, ensure};
use scrimp::model::{ALIGNMENT, Element, HEADER, MAGIC, Model, RECORD, SECTION, SECTIONS, VERSION, crc32};

/// A tensor that is to be written.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its extents, one to four.
    pub shape: Vec<usize>,
    /// Its elements.
    pub data: Vec<f32>,
}

/// The bytes of a model with this configuration section and these tensors.
///
/// # Errors
/// If a name, a shape or the whole is too large for the format.
pub fn write(config: &[u8], entries: &[Entry]) -> Result<Vec<u8>> {
    let (mut records, mut names, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        let elements: usize = entry.shape.iter().product();
        ensure!(
            (1..=4).contains(&entry.shape.len()) && elements == entry.data.len() && elements > 0,
            "{} has an impossible shape {:?}",
            entry.name,
            entry.shape
        );
        align(&mut data);
        let start = records.len();
        records.extend(u32::try_from(names.len())?.to_le_bytes());
        records.extend(u16::try_from(entry.name.len()).context("a name is too long")?.to_le_bytes());
        records.extend([Element::F32 as u8, u8::try_from(entry.shape.len())?]);
        for i in 0..4 {
            records.extend(u32::try_from(entry.shape.get(i).copied().unwrap_or(1))?.to_le_bytes());
        }
        records.extend(u32::try_from(data.len())?.to_le_bytes());
        records.extend(u32::try_from(4 * elements)?.to_le_bytes());
        records.resize(start + RECORD, 0); // no scales, no widths
        names.extend(entry.name.as_bytes());
        data.extend(entry.data.iter().flat_map(|v| v.to_le_bytes()));
    }

    let mut table = Vec::new();
    let mut body = Vec::new();
    let first = HEADER + SECTION * SECTIONS.len();
    for (kind, bytes) in SECTIONS.iter().zip([config, &records, &names, &data]) {
        align(&mut body);
        table.extend(kind);
        table.extend(u32::try_from(first + body.len())?.to_le_bytes());
        table.extend(u32::try_from(bytes.len())?.to_le_bytes());
        table.extend([0; 4]);
        body.extend(bytes);
    }
    let length = u32::try_from(first + body.len()).context("the model is larger than 4 GiB")?;

    let mut blob = Vec::new();
    blob.extend(MAGIC);
    blob.extend(VERSION.to_le_bytes());
    blob.extend(length.to_le_bytes());
    blob.extend([0; 4]); // the checksum, when all after it is there
    blob.extend(u32::try_from(SECTIONS.len())?.to_le_bytes());
    blob.extend([0; 8]);
    blob.extend(table);
    blob.extend(body);
    seal(&mut blob);
    Ok(blob)
}

/// Puts the right checksum into a model.
pub fn seal(blob: &mut [u8]) {
    let crc = crc32(blob.get(20..).unwrap_or(&[]));
    if let Some(field) = blob.get_mut(16..20) {
        field.copy_from_slice(&crc.to_le_bytes());
    }
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

/// A model's bytes where [`Model::from_bytes`] can read them: at a multiple of 16.
#[derive(Clone, Debug)]
pub struct Bytes(AVec<u8, ConstAlign<ALIGNMENT>>);

impl Bytes {
    /// Copies `bytes` to an aligned place.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(AVec::from_slice(ALIGNMENT, bytes))
    }

    /// Reads a file to an aligned place.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self::new(&bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to change.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// The model in them.
    ///
    /// # Errors
    /// As [`Model::from_bytes`].
    pub fn model(&self) -> Result<Model<'_>, scrimp::Error> {
        Model::from_bytes(&self.0)
    }
}
