//! PNG files: what they say about themselves, and their pixels.
//!
//! The decoder gets the chunks that pixels are made of only; a profile is unpacked here, to a limit, and what says how
//! colours are meant is kept as it is.

use std::io::{Cursor, Read};

use anyhow::{Context, Result, bail};
use flate2::Crc;
use flate2::read::ZlibDecoder;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::{Contents, MAX_PIXELS, MAX_PROFILE, Profile, check_size};

const SIGNATURE: usize = 8;
/// Length, kind and checksum of a chunk.
const AROUND: usize = 12;
/// Signature and first chunk.
const HEADER: usize = SIGNATURE + AROUND + 13;

/// Chunks that say how colours are meant, and how long they are.
const COLOUR: [(&[u8; 4], usize); 4] = [(b"gAMA", 4), (b"cHRM", 32), (b"sRGB", 1), (b"cICP", 4)];

/// Decodes a file.
pub(super) fn decode(bytes: &[u8]) -> Result<Contents> {
    let number = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    match (bytes.get(12..16), number(16), number(20)) {
        (Some(b"IHDR"), Some(width), Some(height)) => check_size(width, height)?,
        _ => bail!("the PNG header is damaged"),
    }
    let mut pixels = bytes.get(..HEADER).context("the PNG header is damaged")?.to_vec();
    let (mut exif, mut profile, mut colour, mut notes) = (None, Profile::None, Vec::new(), Vec::new());
    let mut rest = &bytes[HEADER..];
    while let Some((chunk, after)) = split(rest) {
        let (kind, data) = (&chunk[4..8], &chunk[8..chunk.len() - 4]);
        match kind {
            b"eXIf" if exif.is_none() => exif = Some(data.to_vec()),
            b"iCCP" if matches!(profile, Profile::None) => profile = unpack(data),
            b"acTL" => notes.push("its animation is not kept"),
            _ if COLOUR.contains(&(kind.first_chunk().unwrap_or(b"IDAT"), data.len())) => {
                let is_right = {
                    let mut crc = Crc::new();
                    crc.update(&chunk[4..chunk.len() - 4]);
                    crc.sum().to_be_bytes() == chunk[chunk.len() - 4..]
                };
                if is_right && !kinds(&colour).any(|there| there == kind) {
                    colour.extend(chunk);
                } else if !is_right {
                    notes.push("what it says about its colours is damaged and not kept");
                }
            }
            // All that a decoder must know, and what is transparent.
            _ if kind[0].is_ascii_uppercase() || kind == b"tRNS" => pixels.extend(chunk),
            _ => (),
        }
        rest = after;
    }
    pixels.extend(rest); // nothing, or what the decoder shall complain of
    let mut reader = ImageReader::with_format(Cursor::new(pixels), ImageFormat::Png);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * 16);
    reader.limits(limits);
    let decoder = reader.into_decoder()?;
    check_size(decoder.dimensions().0 as usize, decoder.dimensions().1 as usize)?;
    Ok(Contents { image: DynamicImage::from_decoder(decoder)?, exif, profile, colour, notes })
}

/// The file with these chunks behind its header.
pub(super) fn with_chunks(file: &[u8], chunks: &[u8]) -> Vec<u8> {
    let (header, rest) = file.split_at(HEADER.min(file.len()));
    [header, chunks, rest].concat()
}

/// Kinds of whole chunks.
pub(super) fn kinds(mut chunks: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let (chunk, rest) = split(chunks)?;
        chunks = rest;
        Some(&chunk[4..8])
    })
}

/// The first chunk, and what is behind it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    bytes.split_at_checked(length.checked_add(AROUND)?)
}

/// The profile of an `iCCP` chunk: a name, the kind of packing, the packed bytes.
fn unpack(data: &[u8]) -> Profile {
    let packed = data.iter().position(|&b| b == 0).and_then(|end| data.get(end + 1..));
    let Some([0, packed @ ..]) = packed else { return Profile::Damaged };
    let mut profile = Vec::new();
    match ZlibDecoder::new(packed).take(MAX_PROFILE as u64 + 1).read_to_end(&mut profile) {
        Ok(_) => Profile::of(profile),
        Err(_) => Profile::Damaged,
    }
}
