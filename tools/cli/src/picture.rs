//! Photos in and out: any PNG or JPEG becomes RGB bytes, upright.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use image::{ColorType, DynamicImage, ExtendedColorType, GrayImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

/// The most pixels a file may have.
pub const MAX_PIXELS: u64 = 100_000_000;

/// A photo.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Its colours.
    pub rgb: RgbImage,
    /// Its alpha channel, if it has one.
    pub alpha: Option<GrayImage>,
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
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
        ensure!(
            matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)),
            "this is neither a PNG nor a JPEG file"
        );
        let mut limits = image::Limits::default();
        limits.max_alloc = Some(MAX_PIXELS * 16);
        reader.limits(limits);
        let mut decoder = reader.into_decoder()?;
        let (width, height) = decoder.dimensions();
        ensure!(width > 0 && height > 0, "the picture has no pixels");
        ensure!(
            u64::from(width) * u64::from(height) <= MAX_PIXELS,
            "{width} x {height} pixels are more than {} megapixels",
            MAX_PIXELS / 1_000_000
        );
        if matches!(decoder.original_color_type(), ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16) {
            bail!("the picture is CMYK; convert it to RGB first");
        }
        let mut notes = Vec::new();
        let color = decoder.color_type();
        if matches!(color, ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16) {
            notes.push("16 bits a channel become 8");
        }
        if !color.has_color() {
            notes.push("grey becomes RGB");
        }
        let orientation = decoder.orientation()?;
        if orientation != image::metadata::Orientation::NoTransforms {
            notes.push("turned upright as its EXIF data say");
        }
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        let alpha = color.has_alpha().then(|| {
            let rgba = image.to_rgba8();
            GrayImage::from_fn(rgba.width(), rgba.height(), |x, y| image::Luma([rgba.get_pixel(x, y).0[3]]))
        });
        Ok(Self { rgb: image.into_rgb8(), alpha, notes })
    }

    /// The file for `path`, PNG or JPEG by its ending; nothing is written.
    ///
    /// # Errors
    /// If the ending is another.
    pub fn encode(&self, path: &Path) -> Result<Vec<u8>> {
        match (format(path)?, &self.alpha) {
            (ImageFormat::Png, Some(alpha)) => {
                let rgba = image::RgbaImage::from_fn(self.rgb.width(), self.rgb.height(), |x, y| {
                    let [r, g, b] = self.rgb.get_pixel(x, y).0;
                    image::Rgba([r, g, b, alpha.get_pixel(x, y).0[0]])
                });
                encode(&rgba.into(), ImageFormat::Png)
            }
            (format, _) => encode(&self.rgb.clone().into(), format),
        }
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
pub fn encode(image: &DynamicImage, format: ImageFormat) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    match format {
        ImageFormat::Jpeg => {
            image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95).encode_image(image)?;
        }
        _ => image.write_to(&mut bytes, format)?,
    }
    Ok(bytes.into_inner())
}
