//! Pictures of another size: the nearest pixel, or a weighted mean of four.

mod bilinear;
mod nearest;

pub use bilinear::{BilinearPixel, ResizeBilinear};
pub use nearest::ResizeNearest;
pub(super) use nearest::run as run_nearest;

use crate::error::{Arg, Error};

/// Most pixels of a side: positions of half a pixel are then exact in f32, as TFLite computes them.
const MOST_SIDE: usize = 1 << 16;

/// How the pixels of a row or column of the output lie on those of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Align {
    /// The first and the last pixels lie on each other.
    pub corners: bool,
    /// The centres are mapped, not the corners of pixels.
    pub half_pixel_centers: bool,
}

/// An NHWC picture, and the height and width that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Sizes {
    pub(super) x: [usize; 2],
    pub(super) y: [usize; 2],
    pub(super) channels: usize,
    pub(super) batch: usize,
}

impl Sizes {
    const fn new(shape: [usize; 4], size: [usize; 2]) -> Result<Self, Error> {
        let [batch, height, width, channels] = shape;
        if batch == 0 || channels == 0 {
            return Err(Error::Empty { what: Arg::X });
        }
        let sides = [(Arg::Height, height), (Arg::Width, width), (Arg::Height, size[0]), (Arg::Width, size[1])];
        let mut k = 0;
        while k < 4 {
            let (what, side) = sides[k];
            if side == 0 {
                return Err(Error::Empty { what });
            }
            if side > MOST_SIDE {
                return Err(Error::TooLarge { what, max: MOST_SIDE, got: side });
            }
            k += 1;
        }
        let around = batch.saturating_mul(channels);
        let x = around.saturating_mul(height).saturating_mul(width);
        let y = around.saturating_mul(size[0]).saturating_mul(size[1]);
        let larger = if x > y { x } else { y };
        if larger > isize::MAX as usize {
            return Err(Error::TooLarge { what: Arg::Image, max: isize::MAX as usize, got: larger });
        }
        Ok(Self { x: [height, width], y: size, channels, batch })
    }

    /// Elements of the input and of the output.
    const fn elements(&self) -> [usize; 2] {
        let around = self.batch.wrapping_mul(self.channels);
        [around.wrapping_mul(self.x[0]).wrapping_mul(self.x[1]), around.wrapping_mul(self.y[0]).wrapping_mul(self.y[1])]
    }
}
