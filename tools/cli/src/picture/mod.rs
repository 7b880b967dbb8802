//! Photos in and out: any PNG or JPEG becomes RGB bytes, upright.

mod jpeg;
mod png;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use exif::{In, Tag};
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, GrayImage, ImageEncoder, ImageFormat, RgbImage};
use scrimp::lmdvit::Frame;
use scrimp::model::MAGIC;

/// The most pixels a file may have.
pub const MAX_PIXELS: u64 = 100_000_000;

/// The most bytes of a colour profile that is kept; libpng's limit.
pub const MAX_PROFILE: usize = 8 << 20;

/// A photo.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Its colours.
    pub rgb: RgbImage,
    /// Its alpha channel, if it has one.
    pub alpha: Option<GrayImage>,
    /// What its colours mean, if the file says so.
    pub icc_profile: Option<Vec<u8>>,
    /// What its colours mean as whole chunks of a PNG file (gAMA, cHRM, sRGB, cICP).
    pub colour_chunks: Vec<u8>,
    /// What of the file does not survive, in words.
    pub notes: Vec<&'static str>,
}

/// What is in a file, not turned yet.
struct Contents {
    image: DynamicImage,
    exif: Option<Vec<u8>>,
    profile: Profile,
    /// Chunks of PNG that say how colours are meant.
    colour: Vec<u8>,
    notes: Vec<&'static str>,
}

/// What a file says its colours are.
enum Profile {
    None,
    Whole(Vec<u8>),
    Damaged,
    TooLarge,
}

impl Profile {
    fn of(bytes: Vec<u8>) -> Self {
        if bytes.len() > MAX_PROFILE { Self::TooLarge } else { Self::Whole(bytes) }
    }
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
        let Contents { mut image, exif, profile, colour, mut notes } = match image::guess_format(&bytes) {
            Ok(ImageFormat::Png) => png::decode(&bytes)?,
            Ok(ImageFormat::Jpeg) => jpeg::decode(&bytes)?,
            Ok(other) => bail!("this is a {} file, only PNG and JPEG are read", format!("{other:?}").to_uppercase()),
            Err(_) => bail!("this is neither a PNG nor a JPEG file"),
        };
        let color = image.color();
        if matches!(color, ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16) {
            notes.push("16 bits a channel become 8");
        }
        if !color.has_color() {
            notes.push("grey becomes RGB");
        }
        let orientation = exif.as_deref().map_or(Orientation::NoTransforms, orientation);
        if orientation != Orientation::NoTransforms {
            notes.push("turned upright as its EXIF data say");
        }
        if exif.is_some() {
            notes.push("its EXIF data are not kept");
        }
        let icc_profile = match profile {
            Profile::None => None,
            // The profile of a grey picture does not fit an RGB one.
            Profile::Whole(profile) if !color.has_color() || is_grey(&profile) => {
                notes.push("its colour profile is for grey levels and not kept");
                None
            }
            Profile::Whole(profile) => Some(profile),
            Profile::Damaged => {
                notes.push("its colour profile is damaged and not kept");
                None
            }
            Profile::TooLarge => {
                notes.push("its colour profile is larger than 8 MiB and not kept");
                None
            }
        };
        image.apply_orientation(orientation);
        let alpha = color.has_alpha().then(|| {
            let rgba = image.to_rgba8();
            GrayImage::from_fn(rgba.width(), rgba.height(), |x, y| image::Luma([rgba.get_pixel(x, y).0[3]]))
        });
        Ok(Self { rgb: image.into_rgb8(), alpha, icc_profile, colour_chunks: colour, notes })
    }

    /// What a file of this format cannot hold of the picture, in words.
    #[must_use]
    pub fn lost_in(&self, format: ImageFormat) -> Vec<&'static str> {
        let mut lost = Vec::new();
        if format != ImageFormat::Jpeg {
            return lost;
        }
        if self.alpha.is_some() {
            lost.push("JPEG has no alpha channel, it is dropped");
        }
        let says = |kind: &[u8]| png::kinds(&self.colour_chunks).any(|there| there == kind);
        // sRGB is what a JPEG file without a word about it is taken for.
        if says(b"cICP") || !says(b"sRGB") && (says(b"gAMA") || says(b"cHRM")) {
            lost.push(
                "JPEG has no place for what the PNG file says about its colours (gAMA, cHRM, cICP), it is dropped",
            );
        }
        lost
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
        let file = encode(&image, format, self.icc_profile.as_deref())?;
        Ok(if format == ImageFormat::Png { png::with_chunks(&file, &self.colour_chunks) } else { file })
    }
}

/// How the camera was held: by the first picture's directory, whatever type of number it is stored as.
fn orientation(exif: &[u8]) -> Orientation {
    let read = exif::Reader::new().read_raw(exif.to_vec()).ok();
    let value = read.and_then(|read| read.get_field(Tag::Orientation, In::PRIMARY)?.value.get_uint(0));
    let turned = value.and_then(|value| Orientation::from_exif(u8::try_from(value).ok()?));
    turned.unwrap_or(Orientation::NoTransforms)
}

/// Whether a colour profile says that it is for grey levels.
fn is_grey(profile: &[u8]) -> bool {
    profile.get(16..20) == Some(b"GRAY")
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
