//! The picture that goes in.

use super::tile::Tile;
use crate::error::{Arg, Error, length};

/// An RGB image of one byte a colour, rows from the top, pixels from the left.
///
/// Having one tells you that neither side is zero or above [`Frame::MAX_SIDE`], and that the bytes are `3 * width * height` of the
/// whole picture.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    rgb: &'a [u8],
    width: usize,
    height: usize,
    /// What is seen of the picture starts here,
    top: usize,
    left: usize,
    /// and the picture has these sides.
    whole_width: usize,
    whole_height: usize,
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
            Ok(()) => Ok(Self { rgb, width, height, top: 0, left: 0, whole_width: width, whole_height: height }),
            Err(e) => Err(e),
        }
    }

    /// What a tile runs of this frame, without a copy. Samples along the motion see the picture beyond the tile's edges, as they
    /// would without tiles; everything else sees an image of the tile's size.
    ///
    /// # Errors
    /// `Error::Empty` for a tile without pixels, `Error::Size` if it is not inside the frame.
    ///
    /// # Example
    /// ```
    /// use scrimp::lmdvit::{Frame, Tiles};
    /// let photo = [200u8; 100 * 60 * 3];
    /// let frame = Frame::new(&photo, 100, 60)?;
    /// for tile in Tiles::new(100, 60, 64, 8)? {
    ///     let part = frame.tile(&tile)?;
    ///     assert_eq!((part.width(), part.height()), (tile.width, tile.height));
    /// }
    /// # Ok::<(), scrimp::Error>(())
    /// ```
    pub const fn tile(&self, tile: &Tile) -> Result<Self, Error> {
        if let Err(e) = side(Arg::Width, tile.width) {
            return Err(e);
        }
        if let Err(e) = side(Arg::Height, tile.height) {
            return Err(e);
        }
        let end = [tile.x.saturating_add(tile.width), tile.y.saturating_add(tile.height)];
        if end[0] > self.width || end[1] > self.height {
            return Err(Error::Size { what: Arg::Image, want: end, got: [self.width, self.height] });
        }
        let (top, left) = (self.top.saturating_add(tile.y), self.left.saturating_add(tile.x));
        Ok(Self { width: tile.width, height: tile.height, top, left, ..*self })
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

    /// Bytes of the whole picture, of which this may be a part.
    #[must_use]
    pub const fn rgb(&self) -> &'a [u8] {
        self.rgb
    }

    /// Bytes of a picture of this size.
    pub(crate) const fn bytes(&self) -> usize {
        self.width * self.height * 3
    }

    /// The bytes of its rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let Self { rgb, width, height, top, left, whole_width, .. } = *self;
        let row = move |y: usize| rgb.get(((top + y) * whole_width + left) * 3..).and_then(|row| row.get(..width * 3));
        (0..height).map(move |y| row(y).unwrap_or(&[]))
    }

    /// The pixel at `y`, `x`; beyond the right or bottom edge the last one once more.
    #[inline(always)]
    pub(crate) fn pixel(&self, y: usize, x: usize) -> [u8; 3] {
        self.at(self.top + y.min(self.height - 1), self.left + x.min(self.width - 1))
    }

    /// The pixel at `y`, `x`, which may lie anywhere; beyond an edge of the whole picture the last one once more.
    #[inline(always)]
    pub(crate) fn clamped(&self, y: i32, x: i32) -> [u8; 3] {
        let clamp = |at: i32, start: usize, length: usize| ((at + start as i32).max(0) as usize).min(length - 1);
        self.at(clamp(y, self.top, self.whole_height), clamp(x, self.left, self.whole_width))
    }

    #[inline(always)]
    fn at(&self, y: usize, x: usize) -> [u8; 3] {
        let at = (y * self.whole_width + x) * 3;
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
