//! Large images in tiles, so that the buffers depend on the tile and not on the image.
//!
//! Each tile runs as an image of its own, and `overlap` pixels are thrown away at its inner borders. With an overlap of
//! [`Config::reach`] or more and tiles that start where windows start (`side - 2 overlap` is a multiple of [`Config::unit`]), what
//! is kept is what the whole image would give, but for windows that wrap round the image's own border: a tile has its other end
//! there, which is felt as far. The work grows by `(side / (side - 2 overlap))^2`.

use super::config::{CellNet, Config, Decision, MAX_STAGES, at_least_1};
use super::frame::{Frame, side as check_side};
use crate::error::{Arg, Error, length};
use crate::nn::copy;

/// The tiles of an image, row by row.
///
/// Having one tells you that the tiles cover the image, and that what they keep does not overlap.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tiles {
    width: usize,
    height: usize,
    side: usize,
    overlap: usize,
    next: usize,
}

/// One tile: the part of the image that is run, and the part of that which is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tile {
    /// Left edge of what is run, in pixels of the image.
    pub x: usize,
    /// Its top edge.
    pub y: usize,
    /// Its width.
    pub width: usize,
    /// Its height.
    pub height: usize,
    /// Left edge of what is kept.
    pub keep_x: usize,
    /// Its top edge.
    pub keep_y: usize,
    /// Its width.
    pub keep_width: usize,
    /// Its height.
    pub keep_height: usize,
}

impl Tiles {
    /// Tiles of at most `side x side` pixels. An image that fits in one is one tile without borders.
    ///
    /// # Errors
    /// `Error::Empty` or `Error::TooLarge` for a side of the image or the tile; `Error::TooLarge` if `overlap` is not
    /// below half of `side`.
    ///
    /// # Example
    /// ```
    /// let tiles = scrimp::lmdvit::Tiles::new(300, 100, 128, 16)?;
    /// let kept: Vec<_> = tiles.map(|t| t.keep_width).collect();
    /// assert_eq!(kept, [112, 96, 92]);
    /// # Ok::<(), scrimp::Error>(())
    /// ```
    pub const fn new(width: usize, height: usize, side: usize, overlap: usize) -> Result<Self, Error> {
        if let Err(e) = check_side(Arg::Width, width) {
            return Err(e);
        }
        if let Err(e) = check_side(Arg::Height, height) {
            return Err(e);
        }
        if let Err(e) = check_side(Arg::Tile, side) {
            return Err(e);
        }
        if overlap >= side.div_ceil(2) {
            return Err(Error::TooLarge { what: Arg::Overlap, max: (side - 1) / 2, got: overlap });
        }
        Ok(Self { width, height, side, overlap, next: 0 })
    }

    const fn step(&self) -> usize {
        let step = self.side.saturating_sub(2 * self.overlap);
        if step == 0 { 1 } else { step }
    }

    const fn spans(&self, length: usize) -> usize {
        if length <= self.side {
            1
        } else {
            // The first and the last tile lack one border.
            (length - 2 * self.overlap).div_ceil(self.step())
        }
    }

    /// Start and length of what is run, and of what is kept, of span `i` along an axis.
    fn span(&self, length: usize, i: usize) -> [usize; 4] {
        if length <= self.side {
            return [0, length, 0, length];
        }
        let last = i + 1 == self.spans(length);
        let start = i * self.step();
        let end = if last { length } else { start + self.side };
        let keep = if i == 0 { 0 } else { start + self.overlap };
        let keep_end = if last { length } else { end - self.overlap };
        [start, end.saturating_sub(start), keep, keep_end.saturating_sub(keep)]
    }
}

impl Iterator for Tiles {
    type Item = Tile;

    fn next(&mut self) -> Option<Tile> {
        let across = self.spans(self.width).max(1);
        let (row, col) = (self.next / across, self.next % across);
        if row >= self.spans(self.height) {
            return None;
        }
        self.next += 1;
        let [x, width, keep_x, keep_width] = self.span(self.width, col);
        let [y, height, keep_y, keep_height] = self.span(self.height, row);
        Some(Tile { x, y, width, height, keep_x, keep_y, keep_width, keep_height })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.spans(self.width) * self.spans(self.height)).saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Tiles {}

impl Config {
    /// How far in pixels the inner border of a tile can be felt: pixels and active cells that lie deeper are those of the whole
    /// image. Predictors see all of an image at once; of their decisions nothing can be said.
    ///
    /// A convolution brings in what is beyond the border, and a window hands what it has to all of its tokens; a shifted grid of
    /// windows starts half a window further.
    ///
    /// # Example
    /// Tiles of 512 pixels that start at multiples of the unit:
    /// ```
    /// use scrimp::lmdvit::{Config, Tiles};
    /// const MODEL: &[u8] = include_bytes!("../../examples/data/lmdvit-t16.scrimp");
    /// const CONFIG: Config = scrimp::expect!(Config::of_model(MODEL));
    /// assert_eq!((CONFIG.reach(), CONFIG.unit()), (90, 64));
    /// let overlap = CONFIG.reach().next_multiple_of(CONFIG.unit() / 2);
    /// let starts: Vec<_> = Tiles::new(1000, 400, 512, overlap)?.map(|tile| tile.x).collect();
    /// assert_eq!(starts, [0, 320, 640]);
    /// # Ok::<(), scrimp::Error>(())
    /// ```
    #[must_use]
    pub const fn reach(&self) -> usize {
        let pixels = self.space_to_depth;
        let mut wrong = pixels; // of the first convolution
        let mut k = 0;
        while k < self.stages() && k < MAX_STAGES {
            let mut position = pixels;
            let mut l = 0;
            while l < self.level(k) {
                position = position.saturating_mul(2);
                l += 1;
            }
            let window = at_least_1(position.saturating_mul(self.window));
            if k > 0 && !self.is_decoder(k) && self.down_kernel > 2 {
                wrong = wrong.saturating_add(position / 2);
            }
            // To the end of a window in the plain grid, and from there half a window for each further block.
            let further = self.depth(k).saturating_sub(1).saturating_mul(window / 2);
            wrong = wrong.div_ceil(window).saturating_mul(window).saturating_add(further);
            k += 1;
        }
        wrong = wrong.saturating_add(pixels); // of the last
        if let Decision::Cells(cells) = &self.decision {
            if let Some(single) = &cells.single {
                wrong = larger(wrong, sight(single, self.cell()));
            }
            if let Some(previous) = &cells.previous {
                wrong = larger(wrong, sight(previous, self.cell()));
            }
        }
        wrong
    }
}

/// How far a mask net sees, and grows what it found.
const fn sight(net: &CellNet, cell: usize) -> usize {
    let mut sight = net.dilate.saturating_mul(cell);
    let (mut stride, mut i) = (1usize, 0);
    while i < net.count && i < net.layers.len() {
        sight = sight.saturating_add(net.layer(i).pad().saturating_mul(stride));
        stride = stride.saturating_mul(net.layer(i).stride);
        i += 1;
    }
    sight
}

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

// Its fields are public and may hold anything, so the arithmetic saturates.
impl Tile {
    const fn bytes(&self) -> usize {
        self.width.saturating_mul(self.height).saturating_mul(3)
    }

    /// Copies what is run out of the image into `rgb`, `3 * width * height` bytes.
    ///
    /// # Errors
    /// `Error::Length` if `rgb` has another length, `Error::Size` if the tile is not inside the frame; `rgb` is then
    /// untouched.
    pub fn read(&self, frame: &Frame<'_>, rgb: &mut [u8]) -> Result<(), Error> {
        let end = [self.x.saturating_add(self.width), self.y.saturating_add(self.height)];
        if end[0] > frame.width() || end[1] > frame.height() {
            return Err(Error::Size { what: Arg::Image, want: end, got: [frame.width(), frame.height()] });
        }
        length(Arg::Output, self.bytes(), rgb.len())?;
        let part = frame.tile(self)?;
        for (to, from) in rgb.chunks_exact_mut(self.width.saturating_mul(3).max(1)).zip(part.rows()) {
            copy(from, to);
        }
        Ok(())
    }

    /// Copies what is kept of the result `rgb` into the image `out`, `out_width` pixels wide.
    ///
    /// # Errors
    /// `Error::Length` if `rgb` has another length than what is run or `out` has no whole rows, `Error::Size` if what is
    /// kept is not inside what is run or not inside `out`; `out` is then untouched.
    pub fn write(&self, rgb: &[u8], out: &mut [u8], out_width: usize) -> Result<(), Error> {
        let row = out_width.saturating_mul(3).max(1);
        length(Arg::Output, out.len() / row * row, out.len())?;
        let out_size = [out_width, out.len() / row];
        let end = [self.keep_x.saturating_add(self.keep_width), self.keep_y.saturating_add(self.keep_height)];
        if end[0] > out_size[0] || end[1] > out_size[1] {
            return Err(Error::Size { what: Arg::Output, want: end, got: out_size });
        }
        let run_end = [self.x.saturating_add(self.width), self.y.saturating_add(self.height)];
        if self.keep_x < self.x || self.keep_y < self.y || end[0] > run_end[0] || end[1] > run_end[1] {
            return Err(Error::Size { what: Arg::Kept, want: run_end, got: end });
        }
        length(Arg::Image, self.bytes(), rgb.len())?;
        for row in self.keep_y..self.keep_y.saturating_add(self.keep_height) {
            let from = byte(row.saturating_sub(self.y), self.keep_x.saturating_sub(self.x), self.width);
            let to = byte(row, self.keep_x, out_width);
            let (Some(from), Some(to)) = (rgb.get(from..), out.get_mut(to..)) else { continue };
            for (to, &from) in to.iter_mut().take(self.keep_width.saturating_mul(3)).zip(from) {
                *to = from;
            }
        }
        Ok(())
    }
}

/// Where the pixel at `y`, `x` starts in rows of `width` pixels.
const fn byte(y: usize, x: usize, width: usize) -> usize {
    y.saturating_mul(width).saturating_add(x).saturating_mul(3)
}
