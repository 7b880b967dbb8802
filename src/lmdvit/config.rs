//! What an LMD-ViT looks like, and its 196 bytes in a model's configuration section.
//!
//! ```text
//!  0 "LMDV"                                     12 f32 in_slope
//!  4 u8 space_to_depth, levels, window, ratio   16 u8 decision (0 cells, 1 predictors), 3 x 0
//!  8 u8 skip (0 add, 1 concat)                  20 f32 beta
//!  9 u8 down_kernel                             24 u16 x 5 widths, 0 beyond the last
//! 10 u8 leff_padding (0 zero, 1 reflect)        34 u8 x 9 depths
//! 11 u8 flags (1 modulator, 2 gate, 4 motion)             43 u8 x 9 heads
//! 52 mask net for one image, 124 mask net for two frames (72 bytes each; no layers = absent):
//!     0 f32 threshold   4 u8 dilate, u8 layers, 2 x 0   8 layers of u8 kernel, stride, dilation, 0, u16 outputs, 2 x 0
//! ```

use super::motion;
use crate::error::{self, Error};
use crate::model::{HEADER, SECTION, SECTIONS};
use crate::nn::Padding;

/// Most levels of resolution.
pub const MAX_LEVELS: usize = 5;
/// Most stages: encoders, bottleneck, decoders.
pub const MAX_STAGES: usize = 2 * MAX_LEVELS - 1;
/// Most layers of a mask net.
pub const MAX_MASK_LAYERS: usize = 8;
/// Length of a configuration in a model.
pub const CONFIG_BYTES: usize = 196;

const KIND: [u8; 4] = *b"LMDV";
const NETS: [usize; 2] = [52, 124];

/// The shape of the network. Make one by hand, from a model ([`Config::of_model`], also at compile time), or from
/// [`LmdVit::config`](super::LmdVit::config).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Config {
    /// Pixels a side that become channels before the first layer: 1 or 2.
    pub space_to_depth: usize,
    /// Levels of resolution, each half as wide as the one above.
    pub levels: usize,
    /// Channels of the encoder at each level, 0 beyond the last.
    pub widths: [usize; MAX_LEVELS],
    /// Blocks of each stage: encoders from the top, bottleneck, decoders from the bottom; 0 beyond the last.
    pub depths: [usize; MAX_STAGES],
    /// Heads of each stage, 0 beyond the last.
    pub heads: [usize; MAX_STAGES],
    /// Side of a window in positions of its level; even.
    pub window: usize,
    /// Hidden channels of the feed-forward part, as a multiple of the width.
    pub ffn_ratio: usize,
    /// How a decoder meets the encoder of its level.
    pub skip: Skip,
    /// Side of the strided convolutions: 2, or 4 with a border of one zero.
    pub down_kernel: usize,
    /// Slope of the leaky ReLU after the first convolution; 1 for none.
    pub in_slope: f32,
    /// What the depthwise convolution sees beyond its window.
    pub leff_padding: Padding,
    /// Whether decoder blocks add a learned vector for each position of the window.
    pub modulator: bool,
    /// Whether the residual is multiplied by `max(sigmoid(g), 0.1)`.
    pub gate: bool,
    /// Whether the first convolution also sees samples along the motion since the frame before; every run that restores something
    /// then needs that frame.
    pub motion: bool,
    /// Who says which windows run.
    pub decision: Decision,
}

/// How a decoder meets the encoder of its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Skip {
    /// Added: the decoder is as wide as the encoder.
    Add,
    /// Behind the decoder's channels: it is twice as wide. The paper's.
    Concat,
}

/// Who says which windows run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[expect(clippy::large_enum_variant, reason = "one exists for a network; a box would need a heap")]
pub enum Decision {
    /// A mask net, once, for cells of half a window at the top level.
    Cells(Cells),
    /// A confidence predictor for each grid of each stage.
    Predictors {
        /// A window runs if the softmax of its mean logits is above it.
        beta: f32,
    },
}

/// The mask nets, at least one of them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cells {
    /// From one image.
    pub single: Option<CellNet>,
    /// From an image and its absolute difference to the frame before.
    pub previous: Option<CellNet>,
}

/// A mask net: convolutions with ReLU between them; the last gives one logit a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CellNet {
    /// A cell is active if its logit is above it.
    pub threshold: f32,
    /// Cells by which the active ones then grow on all sides.
    pub dilate: usize,
    /// Its layers, zeros beyond the last.
    pub layers: [MaskLayer; MAX_MASK_LAYERS],
    /// Number of layers.
    pub count: usize,
}

/// A convolution of a mask net. Zeros stand beyond the image: `dilation * (kernel - 1) / 2` on each side if `kernel` is
/// odd, none if it is even.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MaskLayer {
    /// Side of the kernel.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Distance of neighbouring taps.
    pub dilation: usize,
    /// Output channels.
    pub outputs: usize,
}

impl MaskLayer {
    /// Zeros before the first pixel of a row.
    #[must_use]
    pub const fn pad(self) -> usize {
        if self.kernel % 2 == 1 { self.dilation.saturating_mul(self.kernel / 2) } else { 0 }
    }
}

impl CellNet {
    /// Layer `i`; zeros beyond the last.
    pub(super) const fn layer(&self, i: usize) -> MaskLayer {
        if i < MAX_MASK_LAYERS { self.layers[i] } else { MaskLayer { kernel: 0, stride: 0, dilation: 0, outputs: 0 } }
    }

    const fn check(&self, cell: usize) -> Result<(), Error> {
        if !self.threshold.is_finite() || self.dilate > 8 {
            return config(error::Rule::Number);
        }
        if self.count == 0 || self.count > MAX_MASK_LAYERS {
            return config(error::Rule::MaskLayer);
        }
        let mut stride = 1;
        let mut i = 0;
        while i < self.count {
            let l = self.layer(i);
            let odd = l.kernel % 2 == 1 && l.kernel <= 7 && l.stride >= 1 && l.stride <= l.kernel && l.stride <= 4;
            let patchify = l.kernel == l.stride && l.kernel >= 1 && l.kernel <= 16 && l.dilation == 1;
            if !(odd || patchify) || l.dilation == 0 || l.dilation > 16 || l.outputs == 0 || l.outputs > 1024 {
                return config(error::Rule::MaskLayer);
            }
            stride = l.stride.saturating_mul(stride);
            i += 1;
        }
        if self.layer(self.count - 1).outputs != 1 {
            return config(error::Rule::MaskLayer);
        }
        if stride != cell { config(error::Rule::CellSize) } else { Ok(()) }
    }
}

impl Config {
    /// The configuration in the bytes of a model, at compile time too:
    /// `const CONFIG: Config = scrimp::expect!(Config::of_model(MODEL));`
    ///
    /// It looks at the configuration alone; the rest is for [`Model::from_bytes`](crate::model::Model::from_bytes).
    ///
    /// # Errors
    /// `Error::Config` if there is none or it contradicts itself.
    pub const fn of_model(model: &[u8]) -> Result<Self, Error> {
        let at = HEADER; // the configuration is the first section
        if model.len() < HEADER + SECTION * SECTIONS.len() {
            return Err(missing());
        }
        if u32_at(model, at + 8) as usize != CONFIG_BYTES {
            return Err(missing());
        }
        let Some((_, rest)) = model.split_at_checked(u32_at(model, at + 4) as usize) else { return Err(missing()) };
        let Some((bytes, _)) = rest.split_at_checked(CONFIG_BYTES) else { return Err(missing()) };
        Self::from_bytes(bytes)
    }

    /// Reads a model's configuration section.
    ///
    /// # Errors
    /// `Error::Config` if it is not one of this network or contradicts itself.
    pub const fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != CONFIG_BYTES {
            return Err(missing());
        }
        if u32_at(bytes, 0) != u32::from_le_bytes(KIND) {
            return config(error::Rule::Kind);
        }
        let mut widths = [0; MAX_LEVELS];
        let mut i = 0;
        while i < MAX_LEVELS {
            widths[i] = u16_at(bytes, 24 + 2 * i) as usize;
            i += 1;
        }
        let (mut depths, mut heads) = ([0; MAX_STAGES], [0; MAX_STAGES]);
        i = 0;
        while i < MAX_STAGES {
            depths[i] = u8_at(bytes, 34 + i) as usize;
            heads[i] = u8_at(bytes, 43 + i) as usize;
            i += 1;
        }
        let skip = match u8_at(bytes, 8) {
            0 => Skip::Add,
            1 => Skip::Concat,
            _ => return config(error::Rule::Skip),
        };
        let leff_padding = match u8_at(bytes, 10) {
            0 => Padding::Zero,
            1 => Padding::Reflect,
            _ => return config(error::Rule::LeffPadding),
        };
        let decision = match u8_at(bytes, 16) {
            0 => Decision::Cells(Cells { single: cell_net(bytes, NETS[0]), previous: cell_net(bytes, NETS[1]) }),
            1 => Decision::Predictors { beta: f32_at(bytes, 20) },
            _ => return config(error::Rule::Decision),
        };
        let flags = u8_at(bytes, 11);
        if flags > 7 {
            return config(error::Rule::Flags);
        }
        let this = Self {
            space_to_depth: u8_at(bytes, 4) as usize,
            levels: u8_at(bytes, 5) as usize,
            widths,
            depths,
            heads,
            window: u8_at(bytes, 6) as usize,
            ffn_ratio: u8_at(bytes, 7) as usize,
            skip,
            down_kernel: u8_at(bytes, 9) as usize,
            in_slope: f32_at(bytes, 12),
            leff_padding,
            modulator: flags & 1 != 0,
            gate: flags & 2 != 0,
            motion: flags & 4 != 0,
            decision,
        };
        match this.check() {
            Ok(()) => Ok(this),
            Err(e) => Err(e),
        }
    }

    /// The bytes that [`from_bytes`](Self::from_bytes) reads, for a configuration that [`check`](Self::check) took.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; CONFIG_BYTES] {
        let mut bytes = [0; CONFIG_BYTES];
        let mut put = |at: usize, what: &[u8]| {
            for (byte, &b) in bytes.iter_mut().skip(at).zip(what) {
                *byte = b;
            }
        };
        put(0, &KIND);
        put(4, &[self.space_to_depth as u8, self.levels as u8, self.window as u8, self.ffn_ratio as u8]);
        let flags = u8::from(self.modulator) | u8::from(self.gate) << 1 | u8::from(self.motion) << 2;
        let skip = u8::from(self.skip == Skip::Concat);
        put(8, &[skip, self.down_kernel as u8, u8::from(self.leff_padding == Padding::Reflect), flags]);
        put(12, &self.in_slope.to_le_bytes());
        for (i, width) in self.widths.iter().enumerate() {
            put(24 + 2 * i, &(*width as u16).to_le_bytes());
        }
        for (i, (&depth, &heads)) in self.depths.iter().zip(&self.heads).enumerate() {
            put(34 + i, &[depth as u8]);
            put(43 + i, &[heads as u8]);
        }
        match self.decision {
            Decision::Predictors { beta } => {
                put(16, &[1]);
                put(20, &beta.to_le_bytes());
            }
            Decision::Cells(cells) => {
                for (at, net) in NETS.into_iter().zip([cells.single, cells.previous]) {
                    let Some(net) = net else { continue };
                    put(at, &net.threshold.to_le_bytes());
                    put(at + 4, &[net.dilate as u8, net.count as u8]);
                    for (i, l) in net.layers.iter().take(net.count).enumerate() {
                        let [low, high] = (l.outputs as u16).to_le_bytes();
                        put(at + 8 + 8 * i, &[l.kernel as u8, l.stride as u8, l.dilation as u8, 0, low, high]);
                    }
                }
            }
        }
        bytes
    }

    /// `Ok` if the network can exist.
    ///
    /// # Errors
    /// `Error::Config` that names the first rule it breaks.
    pub const fn check(&self) -> Result<(), Error> {
        if self.space_to_depth != 1 && self.space_to_depth != 2 {
            return config(error::Rule::SpaceToDepth);
        }
        if self.levels == 0 || self.levels > MAX_LEVELS {
            return config(error::Rule::Levels);
        }
        if self.window < 2 || self.window > 16 || self.window % 2 == 1 {
            return config(error::Rule::Window);
        }
        if self.ffn_ratio == 0 || self.ffn_ratio > 8 {
            return config(error::Rule::FfnRatio);
        }
        if self.down_kernel != 2 && self.down_kernel != 4 {
            return config(error::Rule::DownKernel);
        }
        if !self.in_slope.is_finite() {
            return config(error::Rule::Number);
        }
        let mut l = 0;
        while l < MAX_LEVELS {
            let width = at(&self.widths, l);
            if (l < self.levels) != (width > 0) || width > 4096 {
                return config(error::Rule::Width);
            }
            l += 1;
        }
        let mut k = 0;
        while k < MAX_STAGES {
            let (depth, heads) = (self.depth(k), self.heads(k));
            if (k < self.stages()) != (depth > 0) || depth > 255 {
                return config(error::Rule::Depth);
            }
            if (k < self.stages()) != (heads > 0) || heads > 255 {
                return config(error::Rule::Heads);
            }
            if k < self.stages() && !self.width(k).is_multiple_of(at_least_1(heads)) {
                return config(error::Rule::Heads);
            }
            k += 1;
        }
        if self.motion {
            // The search looks at cells in positions of half resolution.
            let two_frames = matches!(&self.decision, Decision::Cells(Cells { previous: Some(_), .. }));
            if !two_frames || self.cell() % 2 == 1 {
                return config(error::Rule::Motion);
            }
        }
        match &self.decision {
            Decision::Predictors { beta } => {
                if !(*beta > 0.0 && *beta < 1.0) {
                    return config(error::Rule::Number);
                }
                // The predictor's last hidden layer has a quarter of the width.
                let mut k = 0;
                while k < self.stages() {
                    if self.width(k) < 4 {
                        return config(error::Rule::Width);
                    }
                    k += 1;
                }
                Ok(())
            }
            Decision::Cells(cells) => match (&cells.single, &cells.previous) {
                (None, None) => config(error::Rule::MaskLayer),
                (Some(net), None) | (None, Some(net)) => net.check(self.cell()),
                (Some(single), Some(previous)) => match single.check(self.cell()) {
                    Ok(()) => previous.check(self.cell()),
                    Err(e) => Err(e),
                },
            },
        }
    }

    // No accessor panics, whatever the fields hold: a configuration can be written by hand and never checked.

    /// Number of stages.
    #[must_use]
    pub const fn stages(&self) -> usize {
        self.levels.saturating_mul(2).saturating_sub(1)
    }

    /// Level at which stage `k` works.
    #[must_use]
    pub const fn level(&self, k: usize) -> usize {
        if k < self.levels { k } else { self.stages().saturating_sub(1).saturating_sub(k) }
    }

    /// Whether stage `k` is a decoder.
    #[must_use]
    pub const fn is_decoder(&self, k: usize) -> bool {
        k >= self.levels
    }

    /// Channels of stage `k`.
    #[must_use]
    pub const fn width(&self, k: usize) -> usize {
        let width = self.level_width(self.level(k));
        if self.is_decoder(k) && matches!(self.skip, Skip::Concat) { width.saturating_mul(2) } else { width }
    }

    /// Pixels on a side of a cell: half a window of the top level.
    #[must_use]
    pub const fn cell(&self) -> usize {
        at_least_1(self.space_to_depth.saturating_mul(self.window) / 2)
    }

    /// Images are padded to a multiple of this many pixels.
    #[must_use]
    pub const fn unit(&self) -> usize {
        let mut unit = self.space_to_depth.saturating_mul(self.window);
        let mut l = 1;
        while l < self.levels && l < MAX_LEVELS {
            unit = unit.saturating_mul(2);
            l += 1;
        }
        at_least_1(unit)
    }

    /// Rows and columns of the cells that an image of this size has.
    #[must_use]
    pub const fn cells(&self, width: usize, height: usize) -> (usize, usize) {
        (height.div_ceil(self.cell()), width.div_ceil(self.cell()))
    }

    /// Tokens of a window.
    #[must_use]
    pub const fn tokens(&self) -> usize {
        at_least_1(self.window.saturating_mul(self.window))
    }

    /// Channels that the last convolution gives for one position: three colours, and a gate if there is one, for each
    /// pixel of it.
    #[must_use]
    pub const fn out_channels(&self) -> usize {
        (3 + self.gate as usize).saturating_mul(self.space_to_depth).saturating_mul(self.space_to_depth)
    }

    /// Channels that the first convolution reads at one position.
    #[must_use]
    pub const fn in_channels(&self) -> usize {
        let picture = self.space_to_depth.saturating_mul(self.space_to_depth).saturating_mul(3);
        if self.motion { picture.saturating_add(motion::WIDTH) } else { picture }
    }

    /// Channels of the encoder at level `l`; 0 beyond the last.
    pub(super) const fn level_width(&self, l: usize) -> usize {
        at(&self.widths, l)
    }

    /// Blocks of stage `k`; 0 beyond the last.
    pub(super) const fn depth(&self, k: usize) -> usize {
        at(&self.depths, k)
    }

    /// Heads of stage `k`; 0 beyond the last.
    pub(super) const fn heads(&self, k: usize) -> usize {
        at(&self.heads, k)
    }
}

const fn config<T>(what: error::Rule) -> Result<T, Error> {
    Err(Error::Config { what })
}

const fn missing() -> Error {
    Error::Config { what: error::Rule::Missing }
}

const fn cell_net(bytes: &[u8], at: usize) -> Option<CellNet> {
    let mut layers = [MaskLayer { kernel: 0, stride: 0, dilation: 0, outputs: 0 }; MAX_MASK_LAYERS];
    let count = u8_at(bytes, at + 5) as usize;
    if count == 0 {
        return None;
    }
    let mut i = 0;
    while i < MAX_MASK_LAYERS {
        let from = at + 8 + 8 * i;
        if i < count {
            layers[i] = MaskLayer {
                kernel: u8_at(bytes, from) as usize,
                stride: u8_at(bytes, from + 1) as usize,
                dilation: u8_at(bytes, from + 2) as usize,
                outputs: u16_at(bytes, from + 4) as usize,
            };
        }
        i += 1;
    }
    Some(CellNet { threshold: f32_at(bytes, at), dilate: u8_at(bytes, at + 4) as usize, layers, count })
}

/// What a divisor is made of: never 0.
pub(super) const fn at_least_1(n: usize) -> usize {
    if n == 0 { 1 } else { n }
}

// `get` is not yet `const`; a read beyond the end gives 0 here and never happens after the length checks.
const fn at(values: &[usize], i: usize) -> usize {
    if i < values.len() { values[i] } else { 0 }
}

const fn u8_at(bytes: &[u8], at: usize) -> u8 {
    if at < bytes.len() { bytes[at] } else { 0 }
}

const fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([u8_at(bytes, at), u8_at(bytes, at + 1)])
}

const fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([u8_at(bytes, at), u8_at(bytes, at + 1), u8_at(bytes, at + 2), u8_at(bytes, at + 3)])
}

const fn f32_at(bytes: &[u8], at: usize) -> f32 {
    f32::from_bits(u32_at(bytes, at))
}
