//! The small Fashion-MNIST transformer of `tools/train/vit.py`: a stem and a head round an [`Encoder`].
//!
//! ```text
//! stem   3x3 stride 2, 1 -> 24, ReLU; 3x3 stride 2, 24 -> 64 (both as linear layers on unfolded pixels); position table;
//!        class token in front
//! head   norm of the class token, linear 64 -> 10
//! ```

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use safetensors::SafeTensors;

use crate::dataset::{CLASSES, PIXELS};
use crate::encoder::{Dense, EPSILON, Encoder, Hooks, Layer, Norm, Order, Shape, floats};

/// Channels of a token.
pub const WIDTH: usize = 64;
/// Heads of the attention.
pub const HEADS: usize = 4;
/// Blocks.
pub const BLOCKS: usize = 4;
/// Channels between `fc1` and `fc2`.
pub const HIDDEN: usize = 128;
/// The class token and 7 x 7 patches.
pub const TOKENS: usize = 50;
/// Linear layers, the stem and the head included.
pub const LAYERS: usize = 3 + 4 * BLOCKS;
const STEM: usize = 24;
/// Pictures that go through the layers together.
const BATCH: usize = 20;
const MEAN: f32 = 0.2860;
const DEVIATION: f32 = 0.3530;

/// What the layers are in this network.
impl Layer {
    /// All, in the order in which they run.
    #[must_use]
    pub fn all() -> [Self; LAYERS] {
        let blocks = (0..BLOCKS).flat_map(|b| [Self::Qkv(b), Self::Proj(b), Self::Fc1(b), Self::Fc2(b)]);
        let mut layers = [Self::Stem1, Self::Stem2].into_iter().chain(blocks).chain([Self::Head]);
        core::array::from_fn(|_| layers.next().unwrap_or(Self::Head))
    }

    /// Its place in [`all`](Self::all).
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Stem1 => 0,
            Self::Stem2 => 1,
            Self::Qkv(b) => 2 + 4 * b,
            Self::Proj(b) => 3 + 4 * b,
            Self::Fc1(b) => 4 + 4 * b,
            Self::Fc2(b) => 5 + 4 * b,
            Self::Head => LAYERS - 1,
        }
    }

    /// Inputs and outputs.
    #[must_use]
    pub fn shape(self) -> (usize, usize) {
        match self {
            Self::Stem1 => (9, STEM),
            Self::Stem2 => (9 * STEM, WIDTH),
            Self::Qkv(_) => (WIDTH, 3 * WIDTH),
            Self::Proj(_) => (WIDTH, WIDTH),
            Self::Fc1(_) => (WIDTH, HIDDEN),
            Self::Fc2(_) => (HIDDEN, WIDTH),
            Self::Head => (WIDTH, CLASSES),
        }
    }

    /// Rows that it runs for one picture.
    #[must_use]
    pub fn rows(self) -> usize {
        match self {
            Self::Stem1 => 14 * 14,
            Self::Stem2 => 7 * 7,
            Self::Head => 1,
            _ => TOKENS,
        }
    }
}

/// The network.
#[derive(Debug)]
pub struct Transformer {
    stem: [Dense; 2],
    class_token: Vec<f32>,
    position: Vec<f32>,
    encoder: Encoder,
    norm: Norm,
    head: Dense,
}

impl Transformer {
    /// Reads the weights that `tools/train` wrote: f32 layers, or codes and scales (then the layers are what the codes
    /// mean at 8 bits).
    ///
    /// # Errors
    /// If the file cannot be read, or a tensor is missing or has another shape.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = SafeTensors::deserialize(&bytes).with_context(|| format!("{}", path.display()))?;
        Self::from_tensors(&file).with_context(|| format!("{}", path.display()))
    }

    /// The same from a file in memory.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn from_tensors(file: &SafeTensors<'_>) -> Result<Self> {
        let dense = |layer: Layer| Dense::read(file, &layer.to_string(), layer.shape());
        let order = Order::NormsFirst;
        let shape = Shape { blocks: BLOCKS, width: WIDTH, heads: HEADS, hidden: HIDDEN, epsilon: EPSILON, order };
        Ok(Self {
            stem: [dense(Layer::Stem1)?, dense(Layer::Stem2)?],
            class_token: floats(file, "class_token", &[WIDTH])?,
            position: floats(file, "position", &[TOKENS, WIDTH])?,
            encoder: Encoder::read(file, shape)?,
            norm: Norm::read(file, "norm", WIDTH, EPSILON)?,
            head: dense(Layer::Head)?,
        })
    }

    /// The blocks.
    #[must_use]
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Weights of a layer.
    #[must_use]
    pub fn dense(&self, layer: Layer) -> &Dense {
        match layer {
            Layer::Stem1 => &self.stem[0],
            Layer::Stem2 => &self.stem[1],
            inner => self.encoder.dense(inner).unwrap_or(&self.head),
        }
    }

    /// Replaces the weights of a layer.
    pub fn set_dense(&mut self, layer: Layer, dense: Dense) {
        *match layer {
            Layer::Stem1 => &mut self.stem[0],
            Layer::Stem2 => &mut self.stem[1],
            inner => self.encoder.dense_mut(inner).unwrap_or(&mut self.head),
        } = dense;
    }

    /// Logits, [`CLASSES`] a picture, of grey pictures of [`PIXELS`] pixels; on all cores.
    ///
    /// # Errors
    /// If the pictures are not whole ones, or a hook refuses.
    pub fn logits(&self, pictures: &[u8], hooks: &impl Hooks) -> Result<Vec<f32>> {
        ensure!(pictures.len().is_multiple_of(PIXELS), "the pictures are not whole ones");
        let parts: Result<Vec<_>> = pictures.par_chunks(BATCH * PIXELS).map(|batch| self.batch(batch, hooks)).collect();
        Ok(parts?.concat())
    }

    fn batch(&self, pictures: &[u8], hooks: &impl Hooks) -> Result<Vec<f32>> {
        let count = pictures.len() / PIXELS;
        let run = |layer: Layer, x: &[f32]| -> Result<Vec<f32>> {
            let rows = count * layer.rows();
            let mut y = vec![0.0; rows * layer.shape().1];
            hooks.linear(layer, self.dense(layer), x, &mut y, rows)?;
            Ok(y)
        };
        let grey: Vec<f32> = pictures.iter().map(|&p| (f32::from(p) / 255.0 - MEAN) / DEVIATION).collect();
        let mut stem = run(Layer::Stem1, &unfold::<1, 28>(&grey))?;
        stem.iter_mut().for_each(|v| *v = v.max(0.0));
        let patches = run(Layer::Stem2, &unfold::<STEM, 14>(&stem))?;

        let mut x = Vec::with_capacity(count * TOKENS * WIDTH);
        for patches in patches.chunks(49 * WIDTH) {
            let tokens = self.class_token.iter().chain(patches);
            x.extend(tokens.zip(&self.position).map(|(&token, &place)| token + place));
        }
        let x = self.encoder.run(x, TOKENS, hooks)?;
        let first: Vec<f32> = x.chunks(TOKENS * WIDTH).flat_map(|tokens| &tokens[..WIDTH]).copied().collect();
        run(Layer::Head, &self.norm.run(&first)?)
    }
}

/// The class of each picture: the first of the largest logits.
///
/// # Errors
/// If a logit is not a number: then there is no largest one.
pub fn classes(logits: &[f32]) -> Result<Vec<u8>> {
    ensure!(!logits.iter().any(|logit| logit.is_nan()), "an answer of the network is not a number");
    let best = |row: &[f32]| (1..row.len()).fold(0, |best, n| if row[n] > row[best] { n } else { best }) as u8;
    Ok(logits.chunks(CLASSES).map(best).collect())
}

/// Inputs of a 3x3 convolution of stride 2 and padding 1: rows of `[channel][y][x]`. `x` is `[picture][y][x][channel]`.
fn unfold<const CHANNELS: usize, const SIZE: usize>(x: &[f32]) -> Vec<f32> {
    let mut rows = Vec::with_capacity(x.len() / 4 * 9);
    for picture in x.chunks(SIZE * SIZE * CHANNELS) {
        for place in 0..SIZE * SIZE / 4 {
            let (top, left) = (place / (SIZE / 2) * 2, place % (SIZE / 2) * 2);
            for channel in 0..CHANNELS {
                for tap in 0..9 {
                    let (y, x) = (top + tap / 3, left + tap % 3);
                    let inside = (1..=SIZE).contains(&y) && (1..=SIZE).contains(&x);
                    rows.push(if inside { picture[((y - 1) * SIZE + x - 1) * CHANNELS + channel] } else { 0.0 });
                }
            }
        }
    }
    rows
}
