//! The tensors of a network in the order in which a model holds them: mask nets, projection of the samples along the motion, first
//! convolution, stages (each with
//! the convolution that leads to it, its predictors, its blocks), last convolution.

use core::fmt;

use super::config::{CellNet, Config, Decision};
use super::motion;

/// How PyTorch's layout of a tensor becomes the device's, where outputs lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Orientation {
    /// The same.
    Same,
    /// Linear weights: `[out][in]` becomes `[in][out]`.
    Linear,
    /// Convolution: `[out][in][k][k]` becomes `[k][k][in][out]`.
    Conv,
    /// Transposed convolution: `[in][out][2][2]` becomes `[2][2][in][out]`.
    Up,
    /// Depthwise convolution: `[c][1][3][3]` becomes `[3][3][c]`.
    Depthwise,
    /// Position bias: `[(2M-1)^2][heads]`, query minus key, becomes `[heads][(2M-1)^2]`, key minus query, so that a
    /// query's entries lie in the order of its keys.
    PositionBias,
}

/// What a network expects at one place of its model. `Display` prints its name, PyTorch's.
#[derive(Clone, Copy, Debug)]
pub struct TensorSpec {
    place: Place,
    leaf: &'static str,
    shape: [usize; 4],
    rank: usize,
    orientation: Orientation,
}

impl TensorSpec {
    /// The shape on the device, outermost extent first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.shape.get(..self.rank).unwrap_or(&self.shape)
    }

    /// How the device's layout follows from PyTorch's.
    #[must_use]
    pub const fn orientation(&self) -> Orientation {
        self.orientation
    }
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Mask { previous: bool, layer: usize },
    Motion,
    In,
    Down { level: usize },
    Up { level: usize },
    Predictor { stage: usize, predictor: usize },
    Block { stage: usize, block: usize },
    Out,
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Mask { previous: false, layer } => write!(f, "mask.layers.{layer}."),
            Place::Mask { previous: true, layer } => write!(f, "mask_previous.layers.{layer}."),
            Place::Motion => f.write_str("motion_proj."),
            Place::In => f.write_str("in_proj."),
            Place::Down { level } => write!(f, "downs.{level}."),
            Place::Up { level } => write!(f, "ups.{level}."),
            Place::Predictor { stage, predictor } => write!(f, "stages.{stage}.predictors.{predictor}."),
            Place::Block { stage, block } => write!(f, "stages.{stage}.blocks.{block}."),
            Place::Out => f.write_str("out_proj."),
        }?;
        f.write_str(self.leaf)
    }
}

/// Tensors of a predictor.
pub(super) const PREDICTOR: usize = 12;
/// Tensors of a convolution.
const CONV: usize = 2;

impl Config {
    /// All tensors, in the order of the model; none if the configuration contradicts itself.
    #[must_use]
    pub const fn tensors(&self) -> TensorSpecs<'_> {
        TensorSpecs { config: self, sound: self.check().is_ok(), next: 0 }
    }

    pub(super) const fn mask_net(&self, previous: bool) -> Option<&CellNet> {
        match &self.decision {
            Decision::Cells(cells) => {
                if previous {
                    cells.previous.as_ref()
                } else {
                    cells.single.as_ref()
                }
            }
            Decision::Predictors { .. } => None,
        }
    }

    const fn mask_tensors(&self, previous: bool) -> usize {
        match self.mask_net(previous) {
            Some(net) => CONV * net.count,
            None => 0,
        }
    }

    /// First tensor of a mask net.
    pub(super) const fn mask_start(&self, previous: bool) -> usize {
        if previous { self.mask_tensors(false) } else { 0 }
    }

    /// First tensor of the projection of samples along the motion.
    pub(super) const fn motion_start(&self) -> usize {
        self.mask_tensors(false) + self.mask_tensors(true)
    }

    /// First tensor of the first convolution.
    pub(super) const fn in_start(&self) -> usize {
        self.motion_start() + if self.motion { CONV } else { 0 }
    }

    /// First tensor of stage `k`; of the last convolution if `k` is the number of stages.
    pub(super) fn stage_start(&self, k: usize) -> usize {
        let before = (0..k).map(|k| self.stage_tensors(k)).sum::<usize>();
        self.in_start() + CONV + before
    }

    fn stage_tensors(&self, k: usize) -> usize {
        let conv = if k == 0 { 0 } else { CONV };
        conv + self.predictors(k) * PREDICTOR + self.depth(k) * self.block_tensors(k)
    }

    /// First tensor of block `b` of stage `k`.
    pub(super) fn block_start(&self, k: usize, b: usize) -> usize {
        self.predictor_start(k, self.predictors(k)) + b * self.block_tensors(k)
    }

    /// First tensor of a predictor of stage `k`.
    pub(super) fn predictor_start(&self, k: usize, predictor: usize) -> usize {
        self.stage_start(k) + if k == 0 { 0 } else { CONV } + predictor * PREDICTOR
    }

    /// Predictors of stage `k`: one for each grid that it uses.
    pub(super) fn predictors(&self, k: usize) -> usize {
        match self.decision {
            Decision::Predictors { .. } => self.depth(k).min(2),
            Decision::Cells(_) => 0,
        }
    }

    /// Whether the blocks of stage `k` have a modulator.
    pub(super) const fn modulated(&self, k: usize) -> bool {
        self.modulator && self.is_decoder(k)
    }

    const fn block_tensors(&self, k: usize) -> usize {
        17 + self.modulated(k) as usize
    }

    fn tensor(&self, index: usize) -> Option<TensorSpec> {
        for previous in [false, true] {
            let start = self.mask_start(previous);
            if (start..start + self.mask_tensors(previous)).contains(&index) {
                return self.mask_tensor(previous, index - start);
            }
        }
        if index < self.in_start() {
            let inputs = motion::CHANNELS * self.space_to_depth * self.space_to_depth;
            return conv(Place::Motion, index - self.motion_start(), [1, 1, inputs, motion::WIDTH], Orientation::Conv);
        }
        if index < self.stage_start(0) {
            let shape = [3, 3, self.in_channels(), self.level_width(0)];
            return conv(Place::In, index - self.in_start(), shape, Orientation::Conv);
        }
        for k in 0..self.stages() {
            let start = self.stage_start(k);
            if (start..start + self.stage_tensors(k)).contains(&index) {
                return self.stage_tensor(k, index - start);
            }
        }
        let last = self.width(self.stages().saturating_sub(1));
        conv(Place::Out, index - self.stage_start(self.stages()), [3, 3, last, self.out_channels()], Orientation::Conv)
    }

    fn mask_tensor(&self, previous: bool, index: usize) -> Option<TensorSpec> {
        let net = self.mask_net(previous)?;
        let number = index / CONV;
        let layer = net.layers.get(number)?;
        let inputs = match number.checked_sub(1) {
            Some(before) => net.layers.get(before)?.outputs,
            None => 3 + usize::from(previous),
        };
        let shape = [layer.kernel, layer.kernel, inputs, layer.outputs];
        conv(Place::Mask { previous, layer: number }, index % CONV, shape, Orientation::Conv)
    }

    fn stage_tensor(&self, k: usize, index: usize) -> Option<TensorSpec> {
        let mut index = index;
        let level = self.level(k);
        if k > 0 {
            if index < CONV {
                let inputs = self.width(k - 1);
                let outputs = self.level_width(level);
                return if self.is_decoder(k) {
                    conv(Place::Up { level }, index, [2, 2, inputs, outputs], Orientation::Up)
                } else {
                    let side = self.down_kernel;
                    conv(Place::Down { level: level - 1 }, index, [side, side, inputs, outputs], Orientation::Conv)
                };
            }
            index -= CONV;
        }
        let c = self.width(k);
        if index < self.predictors(k) * PREDICTOR {
            let place = Place::Predictor { stage: k, predictor: index / PREDICTOR };
            return Some(match index % PREDICTOR {
                0 => linear(place, "fc1.weight", c, c),
                1 => vector(place, "fc1.bias", c),
                2 => vector(place, "norm.weight", c),
                3 => vector(place, "norm.bias", c),
                4 => linear(place, "fc2.weight", c, c),
                5 => vector(place, "fc2.bias", c),
                6 => linear(place, "fc3.weight", c, c / 2),
                7 => vector(place, "fc3.bias", c / 2),
                8 => linear(place, "fc4.weight", c / 2, c / 4),
                9 => vector(place, "fc4.bias", c / 4),
                10 => linear(place, "fc5.weight", c / 4, 2),
                _ => vector(place, "fc5.bias", 2),
            });
        }
        index -= self.predictors(k) * PREDICTOR;
        let place = Place::Block { stage: k, block: index / self.block_tensors(k) };
        let mut leaf = index % self.block_tensors(k);
        if self.modulated(k) && leaf >= 2 {
            if leaf == 2 {
                return Some(spec(place, "modulator", &[self.tokens(), c], Orientation::Same));
            }
            leaf -= 1;
        }
        let hidden = self.ffn_ratio * c;
        let table = (2 * self.window - 1) * (2 * self.window - 1);
        let heads = self.heads(k);
        Some(match leaf {
            0 => vector(place, "norm1.weight", c),
            1 => vector(place, "norm1.bias", c),
            2 => linear(place, "q.weight", c, c),
            3 => vector(place, "q.bias", c),
            4 => linear(place, "kv.weight", c, 2 * c),
            5 => vector(place, "kv.bias", 2 * c),
            6 => spec(place, "position_bias", &[heads, table], Orientation::PositionBias),
            7 => linear(place, "proj.weight", c, c),
            8 => vector(place, "proj.bias", c),
            9 => vector(place, "norm2.weight", c),
            10 => vector(place, "norm2.bias", c),
            11 => linear(place, "fc1.weight", c, hidden),
            12 => vector(place, "fc1.bias", hidden),
            13 => spec(place, "depthwise.weight", &[3, 3, hidden], Orientation::Depthwise),
            14 => vector(place, "depthwise.bias", hidden),
            15 => linear(place, "fc2.weight", hidden, c),
            _ => vector(place, "fc2.bias", c),
        })
    }
}

/// Iterator over the tensors that a [`Config`] asks for.
#[derive(Clone, Debug)]
pub struct TensorSpecs<'c> {
    config: &'c Config,
    sound: bool,
    next: usize,
}

impl Iterator for TensorSpecs<'_> {
    type Item = TensorSpec;

    fn next(&mut self) -> Option<TensorSpec> {
        if !self.sound {
            return None;
        }
        let spec = self.config.tensor(self.next)?;
        self.next += 1;
        Some(spec)
    }
}

fn spec(place: Place, leaf: &'static str, extents: &[usize], orientation: Orientation) -> TensorSpec {
    let mut shape = [1; 4];
    for (to, &from) in shape.iter_mut().zip(extents) {
        *to = from;
    }
    TensorSpec { place, leaf, shape, rank: extents.len(), orientation }
}

fn vector(place: Place, leaf: &'static str, n: usize) -> TensorSpec {
    spec(place, leaf, &[n], Orientation::Same)
}

fn linear(place: Place, leaf: &'static str, inputs: usize, outputs: usize) -> TensorSpec {
    spec(place, leaf, &[inputs, outputs], Orientation::Linear)
}

/// Weight (0) or bias (1) of a convolution; `None` beyond.
fn conv(place: Place, index: usize, shape: [usize; 4], orientation: Orientation) -> Option<TensorSpec> {
    match index {
        0 => Some(spec(place, "weight", &shape, orientation)),
        1 => Some(vector(place, "bias", shape[3])),
        _ => None,
    }
}
