//! The picture that goes in.

use crate::error::{Arg, Error, length};

/// An RGB image of one byte a colour, rows from the top, pixels from the left.
///
/// Having one tells you that neither side is zero or above [`Frame::MAX_SIDE`], and that the bytes are `3 * width * height`.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    rgb: &'a [u8],
    width: usize,
    height: usize,
}

impl<'a> Frame<'a> {
    /// The longest side in pixels: products of sides and channels then fit 64 bits.
    pub const MAX_SIDE: usize = 65_535;

    /// A frame over `rgb`.
    ///
    /// # Errors
    /// `Error::Empty` or `Error::TooLarge` for a side, `Error::Length` for `rgb`.
    pub const fn new(rgb: &'a [u8], width: usize, height: usize) -> Result<Self, Error> {
        if let Err(e) = side(Arg::Width, width) {
            return Err(e);
        }
        if let Err(e) = side(Arg::Height, height) {
            return Err(e);
        }
        let bytes = match width.checked_mul(height) {
            Some(pixels) => pixels.checked_mul(3),
            None => None,
        };
        let Some(bytes) = bytes else {
            return Err(Error::TooLarge { what: Arg::Image, max: usize::MAX / 3, got: width.saturating_mul(height) });
        };
        match length(Arg::Image, bytes, rgb.len()) {
            Ok(()) => Ok(Self { rgb, width, height }),
            Err(e) => Err(e),
        }
    }

    /// Pixels in a row.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.height
    }

    /// All bytes.
    #[must_use]
    pub const fn rgb(&self) -> &'a [u8] {
        self.rgb
    }

    /// The pixel at `y`, `x`; beyond the right or bottom edge the last one once more.
    #[inline(always)]
    pub(crate) fn pixel(&self, y: usize, x: usize) -> [u8; 3] {
        let at = (y.min(self.height - 1) * self.width + x.min(self.width - 1)) * 3;
        self.rgb.get(at..).and_then(|p| p.first_chunk()).copied().unwrap_or([0; 3])
    }
}

pub(crate) const fn side(what: Arg, pixels: usize) -> Result<(), Error> {
    if pixels == 0 {
        Err(Error::Empty { what })
    } else if pixels > Frame::MAX_SIDE {
        Err(Error::TooLarge { what, max: Frame::MAX_SIDE, got: pixels })
    } else {
        Ok(())
    }
}
