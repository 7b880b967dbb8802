//! Photos in and out: any PNG or JPEG becomes RGB bytes, upright.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, GrayImage, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, RgbImage};
use scrimp::lmdvit::Frame;
use scrimp::model::MAGIC;

/// The most pixels a file may have.
pub const MAX_PIXELS: u64 = 100_000_000;

/// A photo.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Its colours.
    pub rgb: RgbImage,
    /// Its alpha channel, if it has one.
    pub alpha: Option<GrayImage>,
    /// What its colours mean, if the file says so.
    pub icc_profile: Option<Vec<u8>>,
    /// What of the file does not survive, in words.
    pub notes: Vec<&'static str>,
}

impl Picture {
    /// Reads a PNG or JPEG file.
    ///
    /// # Errors
    /// If it cannot be read, is CMYK, or has more than [`MAX_PIXELS`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::decode(path).with_context(|| format!("{}", path.display()))
    }

    fn decode(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).context("cannot read the file")?;
        ensure!(!bytes.starts_with(&MAGIC), "this is a scrimp model, not a picture");
        let format = match image::guess_format(&bytes) {
            Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
            Ok(other) => bail!("this is a {} file, only PNG and JPEG are read", format!("{other:?}").to_uppercase()),
            Err(_) => bail!("this is neither a PNG nor a JPEG file"),
        };
        match format {
            ImageFormat::Png => check_png(&bytes)?,
            _ => check_jpeg(&bytes)?,
        }
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = image::Limits::default();
        limits.max_alloc = Some(MAX_PIXELS * 16);
        reader.limits(limits);
        let mut decoder = reader.into_decoder()?;
        let mut notes = Vec::new();
        let color = decoder.color_type();
        if matches!(color, ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16) {
            notes.push("16 bits a channel become 8");
        }
        if !color.has_color() {
            notes.push("grey becomes RGB");
        }
        let orientation = decoder.orientation()?;
        if orientation != Orientation::NoTransforms {
            notes.push("turned upright as its EXIF data say");
        }
        if decoder.exif_metadata()?.is_some() {
            notes.push("its EXIF data are not kept");
        }
        // The profile of a grey picture does not fit an RGB one.
        let icc_profile = decoder.icc_profile()?.filter(|_| color.has_color());
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        let alpha = color.has_alpha().then(|| {
            let rgba = image.to_rgba8();
            GrayImage::from_fn(rgba.width(), rgba.height(), |x, y| image::Luma([rgba.get_pixel(x, y).0[3]]))
        });
        Ok(Self { rgb: image.into_rgb8(), alpha, icc_profile, notes })
    }

    /// The file for `path`, PNG or JPEG by its ending; nothing is written.
    ///
    /// # Errors
    /// If the ending is another.
    pub fn encode(&self, path: &Path) -> Result<Vec<u8>> {
        let format = format(path)?;
        let image = match &self.alpha {
            Some(alpha) if format == ImageFormat::Png => {
                let rgba = image::RgbaImage::from_fn(self.rgb.width(), self.rgb.height(), |x, y| {
                    let [r, g, b] = self.rgb.get_pixel(x, y).0;
                    image::Rgba([r, g, b, alpha.get_pixel(x, y).0[0]])
                });
                rgba.into()
            }
            _ => self.rgb.clone().into(),
        };
        encode(&image, format, self.icc_profile.as_deref())
    }
}

/// Refuses what cannot be a picture for us by its size, before anything is decoded.
fn check_size(width: usize, height: usize) -> Result<()> {
    ensure!(width > 0 && height > 0, "the picture has no pixels");
    ensure!(
        width as u64 * height as u64 <= MAX_PIXELS,
        "{width} x {height} pixels are more than {} megapixels",
        MAX_PIXELS / 1_000_000
    );
    let side = Frame::MAX_SIDE;
    ensure!(width <= side && height <= side, "{width} x {height} pixels: no side may be longer than {side}");
    Ok(())
}

fn check_png(bytes: &[u8]) -> Result<()> {
    let number = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    match (bytes.get(12..16), number(16), number(20)) {
        (Some(b"IHDR"), Some(width), Some(height)) => check_size(width, height),
        _ => bail!("the PNG header is damaged"),
    }
}

/// Walks over the segments: the decoder converts CMYK without a word, and fills up a truncated file with grey.
fn check_jpeg(bytes: &[u8]) -> Result<()> {
    let mut rest = bytes;
    loop {
        // Markers only: neither stuffed bytes, restarts, fill bytes nor the start of the image.
        let marker = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 1 | 0xD0..=0xD8 | 0xFF);
        let at = rest.windows(2).position(marker).context("the JPEG file is truncated")?;
        let (kind, segment) = (rest[at + 1], &rest[at + 2..]);
        if kind == 0xD9 {
            return Ok(());
        }
        let number = |at: usize| segment.get(at..at + 2).map(|b| usize::from(b[0]) << 8 | usize::from(b[1]));
        let length = number(0).context("the JPEG file is truncated")?;
        if matches!(kind, 0xC0..=0xCF) && !matches!(kind, 0xC4 | 0xC8 | 0xCC) {
            let (height, width) = number(3).zip(number(5)).context("the JPEG file is truncated")?;
            check_size(width, height)?;
            ensure!(segment.get(7) != Some(&4), "the picture is CMYK; convert it to RGB first");
        }
        rest = segment.get(length..).context("the JPEG file is truncated")?;
    }
}

/// PNG or JPEG, by the ending of the name.
///
/// # Errors
/// If the ending is another.
pub fn format(path: &Path) -> Result<ImageFormat> {
    match ImageFormat::from_path(path) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => Ok(format),
        _ => bail!("{}: the name must end in .png, .jpg or .jpeg", path.display()),
    }
}

/// A picture as a file's bytes.
///
/// # Errors
/// If the encoder fails.
pub fn encode(image: &DynamicImage, format: ImageFormat, icc_profile: Option<&[u8]>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match format {
        ImageFormat::Jpeg => encode_with(JpegEncoder::new_with_quality(&mut bytes, 95), image, icc_profile)?,
        _ => encode_with(PngEncoder::new(&mut bytes), image, icc_profile)?,
    }
    Ok(bytes)
}

fn encode_with(mut encoder: impl ImageEncoder, image: &DynamicImage, icc_profile: Option<&[u8]>) -> Result<()> {
    if let Some(profile) = icc_profile {
        encoder.set_icc_profile(profile.to_vec())?;
    }
    Ok(image.write_with_encoder(encoder)?)
}
