//! Where features lie, and how large every buffer is: `const fn` of the configuration and the image size.
//!
//! All levels lie one behind another in one buffer. With concatenated skips a level is stored at twice the encoder's
//! width, the encoder in the upper half, where the decoder will want it.

use super::config::{CellNet, Config, Decision, Skip, at_least_1};
use super::frame::side;
use super::motion;
use crate::error::{Arg, Error};
use crate::nn::attention::QUERIES;
use crate::nn::conv::{Conv, PATCHES};

/// Lengths of the buffers of a [`Workspace`](super::Workspace), in elements; the same on every backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sizes {
    /// f32 elements for the features of all levels.
    pub features: usize,
    /// f32 elements for the work on one window.
    pub scratch: usize,
    /// Bytes for cells and decisions.
    pub cells: usize,
}

impl Sizes {
    /// Bytes of all three together.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.features.saturating_add(self.scratch).saturating_mul(4).saturating_add(self.cells)
    }
}

/// Positions of one level: where they lie in the features buffer, and which channels of what is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) start: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Channels stored for a position.
    pub(crate) stride: usize,
    /// First channel meant.
    pub(crate) first: usize,
    pub(crate) channels: usize,
}

impl Grid {
    pub(crate) const fn positions(&self) -> usize {
        self.height * self.width
    }

    /// Where the channels of a position start.
    #[inline(always)]
    pub(crate) const fn at(&self, y: usize, x: usize) -> usize {
        self.start + (y * self.width + x) * self.stride + self.first
    }

    /// The channels of a position.
    #[inline(always)]
    pub(crate) fn get<'f>(&self, features: &'f [f32], y: usize, x: usize) -> &'f [f32] {
        features.get(self.at(y, x)..).and_then(|f| f.get(..self.channels)).unwrap_or(&[])
    }

    /// The channels of a position.
    #[inline(always)]
    pub(crate) fn get_mut<'f>(&self, features: &'f mut [f32], y: usize, x: usize) -> &'f mut [f32] {
        features.get_mut(self.at(y, x)..).and_then(|f| f.get_mut(..self.channels)).unwrap_or(&mut [])
    }

    /// All positions, row by row.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let width = self.width;
        (0..self.height).flat_map(move |y| (0..width).map(move |x| (y, x)))
    }
}

/// An image size and what follows from it. Having one tells you that nothing in it overflows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) config: Config,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) sizes: Sizes,
}

impl Config {
    /// The buffers for an image of this size.
    ///
    /// # Errors
    /// `Error::Empty` or `Error::TooLarge` if a side is zero or too long for this machine's `usize`; `Error::Config` if
    /// the configuration contradicts itself.
    ///
    /// # Example
    /// Sizes at compile time:
    /// ```
    /// use scrimp::lmdvit::{Config, Sizes};
    /// const CONFIG: Config = scrimp::expect!(Config::of_model(include_bytes!("../../tests/vectors/lmdvit/mini.scrimp")));
    /// const SIZES: Sizes = scrimp::expect!(CONFIG.sizes(16, 16));
    /// let features = [0.0f32; SIZES.features];
    /// assert_eq!(features.len(), SIZES.features);
    /// ```
    pub const fn sizes(&self, width: usize, height: usize) -> Result<Sizes, Error> {
        match Layout::new(self, width, height) {
            Ok(layout) => Ok(layout.sizes),
            Err(e) => Err(e),
        }
    }

    /// Bytes that [`LmdVit::motion`](super::LmdVit::motion) works in, for an image of this size; half a byte a pixel and 6 KiB.
    #[must_use]
    pub const fn motion_bytes(&self, width: usize, height: usize) -> usize {
        let bytes = motion::bytes(width, height);
        if bytes > usize::MAX as u64 { usize::MAX } else { bytes as usize }
    }

    /// Multiply-accumulates of a run with every window active, padding included (the last convolution leaves it out); a
    /// decision is not among them.
    ///
    /// A block costs `4 C^2 + 2 M^2 C + 2 r C^2 + 9 r C` a position.
    ///
    /// # Errors
    /// As [`sizes`](Self::sizes).
    pub const fn all_macs(&self, width: usize, height: usize) -> Result<u64, Error> {
        let layout = match Layout::new(self, width, height) {
            Ok(layout) => layout,
            Err(e) => return Err(e),
        };
        let (first, last) = (self.level_width(0), self.width(self.stages().saturating_sub(1)));
        let s = at_least_1(self.space_to_depth);
        let mut macs = layout.positions(0) * (9 * self.in_channels() * first) as u64;
        if self.motion {
            macs += layout.positions(0) * (motion::CHANNELS * s * s * motion::WIDTH) as u64;
        }
        macs += height.div_ceil(s) as u64 * width.div_ceil(s) as u64 * (9 * last * self.out_channels()) as u64;
        let mut k = 0;
        while k < self.stages() {
            let positions = layout.positions(self.level(k));
            let (c, r) = (self.width(k), self.ffn_ratio);
            let block = 4 * c * c + 2 * self.tokens() * c + 2 * r * c * c + 9 * r * c;
            macs = macs.saturating_add(positions.saturating_mul(self.depth(k) as u64).saturating_mul(block as u64));
            if k > 0 {
                let level = self.width(k - 1) * self.level_width(self.level(k));
                let taps = if self.is_decoder(k) { 1 } else { self.down_kernel * self.down_kernel };
                macs = macs.saturating_add(positions.saturating_mul((taps * level) as u64));
            }
            k += 1;
        }
        Ok(macs)
    }

    /// Channels stored for a position of level `l`.
    const fn stored(&self, l: usize) -> usize {
        let double = matches!(self.skip, Skip::Concat) && l + 1 < self.levels;
        if double { 2 * self.level_width(l) } else { self.level_width(l) }
    }

    /// Scratch elements: the most that any step needs.
    const fn scratch(&self) -> usize {
        let s2 = self.space_to_depth * self.space_to_depth;
        let mut most = Conv::scratch(9 * 3 * s2, self.level_width(0));
        let last = self.width(self.stages().saturating_sub(1));
        most = max(most, Conv::scratch(9 * last, self.out_channels()));
        let mut l = 0;
        while l + 1 < self.levels {
            most = max(
                most,
                Conv::scratch(self.down_kernel * self.down_kernel * self.level_width(l), self.level_width(l + 1)),
            );
            // The four matrices of an up convolution run one after another.
            most = max(most, Conv::scratch(self.width(2 * self.levels - 3 - l), self.level_width(l)));
            l += 1;
        }
        let mut k = 0;
        while k < self.stages() {
            most = max(most, window_scratch(self.tokens(), self.width(k), self.ffn_ratio));
            if matches!(self.decision, Decision::Predictors { .. }) {
                most = max(most, predictor_scratch(self.width(k)));
            }
            k += 1;
        }
        if let Decision::Cells(cells) = &self.decision {
            if let Some(single) = &cells.single {
                most = max(most, mask_scratch(single, 3));
            }
            if let Some(previous) = &cells.previous {
                most = max(most, mask_scratch(previous, 4));
            }
        }
        most
    }
}

impl Layout {
    pub(crate) const fn new(config: &Config, width: usize, height: usize) -> Result<Self, Error> {
        if let Err(e) = config.check() {
            return Err(e);
        }
        if let Err(e) = side(Arg::Width, width) {
            return Err(e);
        }
        if let Err(e) = side(Arg::Height, height) {
            return Err(e);
        }
        let mut this = Self { config: *config, width, height, sizes: Sizes { features: 0, scratch: 0, cells: 0 } };
        // In u64 nothing overflows: 2^34 positions of at most 2^13 channels at 5 levels, in bytes below 2^52.
        let positions = this.positions(0);
        let (mut net, mut predictor, mut cells, mut shifted) = (0, 0, 0, 0);
        let mut l = 0;
        while l < config.levels {
            net += (positions >> (2 * l)) * config.stored(l) as u64;
            cells += this.cells_at(l);
            l += 1;
        }
        let mut mask = 0;
        match &config.decision {
            Decision::Predictors { .. } => {
                let mut k = 0;
                while k < config.stages() {
                    let at = positions >> (2 * config.level(k));
                    let local = at * (config.width(k) / 2) as u64 + at / config.tokens() as u64;
                    predictor = if local > predictor { local } else { predictor };
                    let windows = at / config.tokens() as u64;
                    shifted = if config.depth(k) > 1 && windows > shifted { windows } else { shifted };
                    k += 1;
                }
                cells += positions / config.tokens() as u64 + shifted;
            }
            Decision::Cells(nets) => {
                if let Some(single) = &nets.single {
                    mask = this.mask_features(single);
                }
                if let Some(previous) = &nets.previous {
                    let more = this.mask_features(previous);
                    mask = if more > mask { more } else { mask };
                }
            }
        }
        net += predictor;
        let mut scratch = config.scratch() as u64;
        if config.motion {
            let (rows, cols) = config.cells(width, height);
            cells += rows as u64 * cols as u64 + motion::bytes(width, height);
            let first = motion::scratch(config, this.padded().1 / at_least_1(config.space_to_depth));
            scratch = if first > scratch { first } else { scratch };
        }
        let features = if net > mask { net } else { mask };
        let most = (usize::MAX / 16) as u64;
        if features > most || cells > most {
            let (what, got) = if features > most { (Arg::Features, features) } else { (Arg::Cells, cells) };
            let got = if got > usize::MAX as u64 { usize::MAX } else { got as usize };
            return Err(Error::TooLarge { what, max: usize::MAX / 16, got });
        }
        this.sizes = Sizes { features: features as usize, scratch: scratch as usize, cells: cells as usize };
        Ok(this)
    }

    /// Padded sides in pixels.
    pub(crate) const fn padded(&self) -> (usize, usize) {
        let unit = self.config.unit();
        (self.height.div_ceil(unit) * unit, self.width.div_ceil(unit) * unit)
    }

    const fn positions(&self, l: usize) -> u64 {
        let (height, width) = self.padded();
        let s = at_least_1(self.config.space_to_depth);
        ((height / s) as u64 * (width / s) as u64) >> (2 * l)
    }

    /// Cells of level `l`.
    const fn cells_at(&self, l: usize) -> u64 {
        self.positions(l) / at_least_1(self.config.tokens() / 4) as u64
    }

    /// Rows and columns of cells at level `l`.
    pub(crate) const fn cell_grid(&self, l: usize) -> (usize, usize) {
        let (height, width) = self.padded();
        ((height / self.config.cell()) >> l, (width / self.config.cell()) >> l)
    }

    /// The positions of a level as stage `k` sees them.
    pub(crate) const fn grid(&self, k: usize) -> Grid {
        let config = &self.config;
        let level = config.level(k);
        let mut start = 0;
        let mut l = 0;
        while l < level {
            start += self.positions(l) as usize * config.stored(l);
            l += 1;
        }
        let (height, width) = self.padded();
        let stride = config.stored(level);
        let channels = config.width(k);
        let s = at_least_1(config.space_to_depth);
        Grid {
            start,
            height: (height / s) >> level,
            width: (width / s) >> level,
            stride,
            // An encoder under concatenated skips fills the upper half.
            first: if config.is_decoder(k) { 0 } else { stride - channels },
            channels,
        }
    }

    /// Where the predictor's own part of the features buffer starts.
    pub(crate) const fn features_end(&self) -> usize {
        let mut end = 0;
        let mut l = 0;
        while l < self.config.levels {
            end += self.positions(l) as usize * self.config.stored(l);
            l += 1;
        }
        end
    }

    /// Features a mask net needs: the largest pair of neighbouring layers.
    const fn mask_features(&self, net: &CellNet) -> u64 {
        let (height, width) = self.padded();
        let (mut most, mut before) = (0, 0);
        let mut stride = 1;
        let mut i = 0;
        while i < net.count {
            stride = at_least_1(stride * net.layer(i).stride);
            let now = (height / stride) as u64 * (width / stride) as u64 * net.layer(i).outputs as u64;
            most = if before + now > most { before + now } else { most };
            before = now;
            i += 1;
        }
        most
    }
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// Input, normalised input or attention output; then q, k, v and scores, or twice the hidden layer.
const fn window_scratch(tokens: usize, channels: usize, ratio: usize) -> usize {
    let attention = 3 * tokens * channels + QUERIES * tokens;
    let hidden = 2 * tokens * ratio * channels;
    2 * tokens * channels + max(attention, hidden)
}

/// Two buffers for the layers of [`PATCHES`] positions, and the mean.
const fn predictor_scratch(channels: usize) -> usize {
    (2 * PATCHES + 1) * channels
}

const fn mask_scratch(net: &CellNet, inputs: usize) -> usize {
    let (mut most, mut inputs) = (0, inputs);
    let mut i = 0;
    while i < net.count {
        let layer = net.layer(i);
        most = max(most, Conv::scratch(layer.kernel * layer.kernel * inputs, layer.outputs));
        inputs = layer.outputs;
        i += 1;
    }
    most
}
