//! The small Fashion-MNIST transformer of `tools/train/vit.py` on the library's own layers, with hooks where a quantizer
//! wants to look or to take over: every linear layer, the softmax's outputs, GELU's outputs.
//!
//! ```text
//! stem   3x3 stride 2, 1 -> 24, ReLU; 3x3 stride 2, 24 -> 64 (both as linear layers on unfolded pixels); position table;
//!        class token in front
//! block  x + proj(attention(norm1(x)));  x + fc2(gelu(fc1(norm2(x))))
//! head   norm of the class token, linear 64 -> 10
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use scrimp::Rows;
use scrimp::nn::{LayerNorm, Linear, gelu_f32_in_place};

use crate::dataset::{CLASSES, PIXELS};

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
const HEAD: usize = WIDTH / HEADS;
const STEM: usize = 24;
/// Pictures that go through the layers together.
const BATCH: usize = 20;
const MEAN: f32 = 0.2860;
const DEVIATION: f32 = 0.3530;

/// A linear layer of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// The first convolution, 9 pixels -> 24.
    Stem1,
    /// The second, 24 * 9 -> 64.
    Stem2,
    /// Queries, keys and values of a block, 64 -> 192.
    Qkv(usize),
    /// Behind the attention, 64 -> 64.
    Proj(usize),
    /// 64 -> 128.
    Fc1(usize),
    /// 128 -> 64.
    Fc2(usize),
    /// 64 -> 10.
    Head,
}

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

/// As PyTorch names it.
impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stem1 => write!(f, "stem1"),
            Self::Stem2 => write!(f, "stem2"),
            Self::Qkv(b) => write!(f, "blocks.{b}.qkv"),
            Self::Proj(b) => write!(f, "blocks.{b}.proj"),
            Self::Fc1(b) => write!(f, "blocks.{b}.fc1"),
            Self::Fc2(b) => write!(f, "blocks.{b}.fc2"),
            Self::Head => write!(f, "head"),
        }
    }
}

/// What a quantizer changes; the defaults are the network in f32. Several threads call at once.
pub trait Hooks: Sync {
    /// A linear layer: `rows` rows of `x` to `rows` rows of `y`. The outputs of `Qkv` are queries, keys and values, 64
    /// channels each, before the scores.
    ///
    /// # Errors
    /// Whatever the layer refuses.
    fn linear(&self, net: &Transformer, layer: Layer, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        net.linear(layer, x, y, rows)
    }

    /// Scores of one head of one picture, [`TOKENS`] rows and columns, to probabilities, in place.
    ///
    /// # Errors
    /// Whatever the function refuses.
    fn softmax(&self, _block: usize, scores: &mut [f32]) -> Result<()> {
        Ok(scrimp::softmax_f32_in_place(scores, Rows::new(TOKENS, TOKENS)?)?)
    }

    /// Outputs of `Fc1` to inputs of `Fc2`, in place.
    ///
    /// # Errors
    /// Whatever the function refuses.
    fn gelu(&self, _block: usize, x: &mut [f32]) -> Result<()> {
        gelu_f32_in_place(x);
        Ok(())
    }
}

/// The network in f32.
#[derive(Clone, Copy, Debug)]
pub struct Float;

impl Hooks for Float {}

/// One linear layer.
#[derive(Clone, Debug)]
pub struct Dense {
    /// `[output][input]`, as PyTorch has it; a convolution's inputs are `[channel][y][x]`.
    pub weight: Vec<f32>,
    /// One an output.
    pub bias: Vec<f32>,
    /// `[input][output]`, as the library's f32 layer reads it.
    transposed: Vec<f32>,
}

impl Dense {
    /// A layer from PyTorch's weights.
    #[must_use]
    pub fn new(weight: Vec<f32>, bias: Vec<f32>) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs.max(1);
        let transposed = (0..weight.len()).map(|n| weight[n % outputs * inputs + n / outputs]).collect();
        Self { weight, bias, transposed }
    }
}

/// The network.
#[derive(Debug)]
pub struct Transformer {
    dense: Vec<Dense>,
    rest: BTreeMap<String, Vec<f32>>,
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
        let mut dense = Vec::new();
        for layer in Layer::all() {
            let (inputs, outputs) = layer.shape();
            let bias = floats(file, &format!("{layer}.bias"), outputs)?;
            let weight = match floats(file, &format!("{layer}.weight"), inputs * outputs) {
                Ok(weight) => weight,
                Err(error) => {
                    let codes = codes(file, &format!("{layer}.codes"), inputs * outputs).map_err(|_| error)?;
                    let scales = floats(file, &format!("{layer}.scale"), outputs)?;
                    codes.iter().enumerate().map(|(n, &code)| f32::from(code) * scales[n / inputs]).collect()
                }
            };
            dense.push(Dense::new(weight, bias));
        }
        let mut rest = BTreeMap::new();
        let norms = (0..BLOCKS).flat_map(|b| [format!("blocks.{b}.norm1"), format!("blocks.{b}.norm2")]);
        for norm in norms.chain(["norm".into()]) {
            for part in ["weight", "bias"] {
                let name = format!("{norm}.{part}");
                rest.insert(name.clone(), floats(file, &name, WIDTH)?);
            }
        }
        rest.insert("class_token".into(), floats(file, "class_token", WIDTH)?);
        rest.insert("position".into(), floats(file, "position", TOKENS * WIDTH)?);
        Ok(Self { dense, rest })
    }

    /// Weights of a layer.
    #[must_use]
    pub fn dense(&self, layer: Layer) -> &Dense {
        &self.dense[layer.index()]
    }

    /// Replaces the weights of a layer.
    pub fn set_dense(&mut self, layer: Layer, dense: Dense) {
        self.dense[layer.index()] = dense;
    }

    /// A linear layer in f32.
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn linear(&self, layer: Layer, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        let (inputs, outputs) = layer.shape();
        let dense = self.dense(layer);
        Ok(Linear::new(&dense.transposed, &dense.bias, Rows::new(inputs, outputs)?)?.run(x, y, rows)?)
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
            hooks.linear(self, layer, x, &mut y, rows)?;
            Ok(y)
        };
        let grey: Vec<f32> = pictures.iter().map(|&p| (f32::from(p) / 255.0 - MEAN) / DEVIATION).collect();
        let mut stem = run(Layer::Stem1, &unfold::<1, 28>(&grey))?;
        stem.iter_mut().for_each(|v| *v = v.max(0.0));
        let patches = run(Layer::Stem2, &unfold::<STEM, 14>(&stem))?;

        let position = &self.rest["position"];
        let mut x = Vec::with_capacity(count * TOKENS * WIDTH);
        for patches in patches.chunks(49 * WIDTH) {
            let tokens = self.rest["class_token"].iter().chain(patches);
            x.extend(tokens.zip(position).map(|(&token, &place)| token + place));
        }
        for block in 0..BLOCKS {
            let qkv = run(Layer::Qkv(block), &self.norm(&format!("blocks.{block}.norm1"), &x)?)?;
            let mut mixed = vec![0.0; x.len()];
            for (qkv, mixed) in qkv.chunks(TOKENS * 3 * WIDTH).zip(mixed.chunks_mut(TOKENS * WIDTH)) {
                for head in 0..HEADS {
                    attention(qkv, head, mixed, |scores| hooks.softmax(block, scores))?;
                }
            }
            add(&mut x, &run(Layer::Proj(block), &mixed)?);
            let mut hidden = run(Layer::Fc1(block), &self.norm(&format!("blocks.{block}.norm2"), &x)?)?;
            hooks.gelu(block, &mut hidden)?;
            add(&mut x, &run(Layer::Fc2(block), &hidden)?);
        }
        let first: Vec<f32> = x.chunks(TOKENS * WIDTH).flat_map(|tokens| &tokens[..WIDTH]).copied().collect();
        run(Layer::Head, &self.norm("norm", &first)?)
    }

    fn norm(&self, name: &str, x: &[f32]) -> Result<Vec<f32>> {
        let mut y = vec![0.0; x.len()];
        let part = |part: &str| self.rest.get(&format!("{name}.{part}")).ok_or_else(|| anyhow!("{name} is missing"));
        LayerNorm::new(part("weight")?, part("bias")?)?.run(x, &mut y)?;
        Ok(y)
    }
}

/// The class of each picture: the first of the largest logits.
#[must_use]
pub fn classes(logits: &[f32]) -> Vec<u8> {
    let best = |row: &[f32]| (1..row.len()).fold(0, |best, n| if row[n] > row[best] { n } else { best }) as u8;
    logits.chunks(CLASSES).map(best).collect()
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

/// One head of one picture: `softmax(q k' / 4) v` into its channels of `mixed`.
fn attention(
    qkv: &[f32],
    head: usize,
    mixed: &mut [f32],
    softmax: impl FnOnce(&mut [f32]) -> Result<()>,
) -> Result<()> {
    let part = |token: usize, which: usize| {
        let from = token * 3 * WIDTH + which * WIDTH + head * HEAD;
        &qkv[from..from + HEAD]
    };
    // Keys by channel, so that a row of scores is a sum of rows.
    let mut keys = [[0.0; TOKENS]; HEAD];
    for token in 0..TOKENS {
        for (row, &k) in keys.iter_mut().zip(part(token, 1)) {
            row[token] = k / (HEAD as f32).sqrt();
        }
    }
    let mut scores = [0.0; TOKENS * TOKENS];
    for (query, row) in scores.chunks_mut(TOKENS).enumerate() {
        for (&q, keys) in part(query, 0).iter().zip(&keys) {
            for (score, k) in row.iter_mut().zip(keys) {
                *score += q * k;
            }
        }
    }
    softmax(&mut scores)?;
    for (row, out) in scores.chunks(TOKENS).zip(mixed.chunks_mut(WIDTH)) {
        let out = &mut out[head * HEAD..(head + 1) * HEAD];
        for (key, &weight) in row.iter().enumerate() {
            for (out, v) in out.iter_mut().zip(part(key, 2)) {
                *out += weight * v;
            }
        }
    }
    Ok(())
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// An f32 tensor of a file.
///
/// # Errors
/// If it is not there, or of another type.
pub fn some_floats(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>> {
    let view = file.tensor(name).map_err(|_| anyhow!("{name} is missing"))?;
    ensure!(view.dtype() == Dtype::F32, "{name} is {:?}, F32 needed", view.dtype());
    Ok(view.data().chunks_exact(4).map(|b| f32::from_le_bytes(core::array::from_fn(|n| b[n]))).collect())
}

/// The same with a length.
///
/// # Errors
/// As [`some_floats`], or if it has another length.
pub fn floats(file: &SafeTensors<'_>, name: &str, count: usize) -> Result<Vec<f32>> {
    let values = some_floats(file, name)?;
    ensure!(values.len() == count, "{name} has {} elements, {count} needed", values.len());
    Ok(values)
}

/// An i8 tensor of a file.
///
/// # Errors
/// If it is not there, of another type or of another length.
pub fn codes(file: &SafeTensors<'_>, name: &str, count: usize) -> Result<Vec<i8>> {
    let view = file.tensor(name).map_err(|_| anyhow!("{name} is missing"))?;
    ensure!(view.dtype() == Dtype::I8, "{name} is {:?}, I8 needed", view.dtype());
    ensure!(view.data().len() == count, "{name} has {} elements, {count} needed", view.data().len());
    Ok(view.data().iter().map(|&b| b.cast_signed()).collect())
}
