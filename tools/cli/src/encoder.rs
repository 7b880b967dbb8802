//! Transformer blocks of any depth and width on the library's own layers, with hooks where a quantizer wants to look or to
//! take over: every linear layer, the softmax's outputs, GELU's outputs.
//!
//! ```text
//! norms first (ViT)     x + proj(attention(norm1(x)));  x + fc2(gelu(fc1(norm2(x))))
//! norms last (BERT)     norm1(x + proj(attention(x)));  norm2(x + fc2(gelu(fc1(x))))
//! ```

use core::fmt;

use anyhow::{Result, anyhow, ensure};
use safetensors::{Dtype, SafeTensors};
use scrimp::Rows;
use scrimp::nn::{LayerNorm, Linear, gelu_f32_in_place};

/// The library's norm adds this to the variance.
pub const EPSILON: f32 = 1e-5;

/// A linear layer, named as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// The small transformer's first convolution.
    Stem1,
    /// Its second.
    Stem2,
    /// Queries, keys and values of a block.
    Qkv(usize),
    /// Behind the attention.
    Proj(usize),
    /// In front of GELU.
    Fc1(usize),
    /// Behind it.
    Fc2(usize),
    /// The classifier.
    Head,
}

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
    /// A linear layer: `rows` rows of `x` to `rows` rows of `y`. The outputs of `Qkv` are queries, keys and values, each
    /// as wide as a token, before the scores.
    ///
    /// # Errors
    /// Whatever the layer refuses.
    fn linear(&self, _layer: Layer, dense: &Dense, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        dense.run(x, y, rows)
    }

    /// Scores of one head of one input, a row a query, to probabilities, in place. Heads come in their order.
    ///
    /// # Errors
    /// Whatever the function refuses.
    fn softmax(&self, _block: usize, scores: &mut [f32], rows: Rows) -> Result<()> {
        Ok(scrimp::softmax_f32_in_place(scores, rows)?)
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

    /// Reads `NAME.weight` and `NAME.bias`; or `NAME.codes` and `NAME.scale`, which mean what they do at 8 bits.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape or holds a value that is not finite.
    pub fn read(file: &SafeTensors<'_>, name: &str, (inputs, outputs): (usize, usize)) -> Result<Self> {
        let bias = floats(file, &format!("{name}.bias"), &[outputs])?;
        let (weight, coded) = (format!("{name}.weight"), format!("{name}.codes"));
        let weight = if file.tensor(&weight).is_err() && file.tensor(&coded).is_ok() {
            let codes = codes(file, &coded, (inputs, outputs))?;
            let scales = floats(file, &format!("{name}.scale"), &[outputs])?;
            codes.iter().enumerate().map(|(n, &code)| f32::from(code) * scales[n / inputs]).collect()
        } else {
            weights(file, &weight, (inputs, outputs))?
        };
        Ok(Self::new(weight, bias))
    }

    /// Inputs of a row.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.weight.len() / self.bias.len().max(1)
    }

    /// The layer in f32, on `rows` rows.
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn run(&self, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        let shape = Rows::new(self.inputs(), self.bias.len())?;
        Ok(Linear::new(&self.transposed, &self.bias, shape)?.run(x, y, rows)?)
    }
}

/// A normalisation of each token.
#[derive(Clone, Debug)]
pub struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    /// Reads `NAME.weight` and `NAME.bias`.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape or holds a value that is not finite.
    pub fn read(file: &SafeTensors<'_>, name: &str, width: usize, epsilon: f32) -> Result<Self> {
        let part = |part: &str| floats(file, &format!("{name}.{part}"), &[width]);
        Ok(Self { weight: part("weight")?, bias: part("bias")?, epsilon })
    }

    /// The normalised tokens.
    ///
    /// # Errors
    /// If they are not whole ones.
    pub fn run(&self, x: &[f32]) -> Result<Vec<f32>> {
        // The library's epsilon is fixed; tokens that are longer by `by` make it what it should be.
        let by = (EPSILON / self.epsilon).sqrt();
        let longer: Vec<f32> = x.iter().map(|x| x * by).collect();
        let mut y = vec![0.0; x.len()];
        LayerNorm::new(&self.weight, &self.bias)?.run(&longer, &mut y)?;
        Ok(y)
    }
}

/// Where the norms stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// In front of attention and `fc1`.
    NormsFirst,
    /// Behind the residual sums.
    NormsLast,
}

/// What an encoder looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Blocks.
    pub blocks: usize,
    /// Channels of a token.
    pub width: usize,
    /// Heads of the attention.
    pub heads: usize,
    /// Channels between `fc1` and `fc2`.
    pub hidden: usize,
    /// What the norms add to the variance.
    pub epsilon: f32,
    /// Where the norms stand.
    pub order: Order,
}

/// The blocks.
#[derive(Clone, Debug)]
pub struct Encoder {
    shape: Shape,
    /// Of each block `qkv`, `proj`, `fc1` and `fc2`.
    dense: Vec<[Dense; 4]>,
    norms: Vec<[Norm; 2]>,
}

impl Encoder {
    /// Reads `blocks.N.{norm1,qkv,proj,norm2,fc1,fc2}`.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape or holds a value that is not finite, or the heads do not divide the width.
    pub fn read(file: &SafeTensors<'_>, shape: Shape) -> Result<Self> {
        let Shape { blocks, width, heads, hidden, epsilon, .. } = shape;
        ensure!(heads > 0 && width.is_multiple_of(heads), "{width} channels cannot be shared by {heads} heads");
        ensure!(epsilon > 0.0, "an epsilon of {epsilon} is impossible");
        let (mut dense, mut norms) = (Vec::new(), Vec::new());
        for b in 0..blocks {
            let read = |layer: Layer, shape| Dense::read(file, &layer.to_string(), shape);
            dense.push([
                read(Layer::Qkv(b), (width, 3 * width))?,
                read(Layer::Proj(b), (width, width))?,
                read(Layer::Fc1(b), (width, hidden))?,
                read(Layer::Fc2(b), (hidden, width))?,
            ]);
            let norm = |n: usize| Norm::read(file, &format!("blocks.{b}.norm{n}"), width, epsilon);
            norms.push([norm(1)?, norm(2)?]);
        }
        Ok(Self { shape, dense, norms })
    }

    /// What it looks like.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Weights of a layer; `None` if it stands outside the blocks.
    #[must_use]
    pub fn dense(&self, layer: Layer) -> Option<&Dense> {
        let (block, place) = place(layer)?;
        Some(&self.dense.get(block)?[place])
    }

    /// The same, to be changed.
    pub fn dense_mut(&mut self, layer: Layer) -> Option<&mut Dense> {
        let (block, place) = place(layer)?;
        Some(&mut self.dense.get_mut(block)?[place])
    }

    /// Inputs of `tokens` tokens each, through all blocks.
    ///
    /// # Errors
    /// If the inputs are not whole ones, or a hook refuses.
    pub fn run(&self, mut x: Vec<f32>, tokens: usize, hooks: &impl Hooks) -> Result<Vec<f32>> {
        let width = self.shape.width;
        ensure!(tokens > 0 && x.len().is_multiple_of(tokens * width), "the inputs are not whole ones");
        let rows = x.len() / width;
        for (block, ([qkv, proj, fc1, fc2], [norm1, norm2])) in self.dense.iter().zip(&self.norms).enumerate() {
            let run = |layer: Layer, dense: &Dense, x: &[f32]| -> Result<Vec<f32>> {
                let mut y = vec![0.0; rows * dense.bias.len()];
                hooks.linear(layer, dense, x, &mut y, rows)?;
                Ok(y)
            };
            let attend = |x: &[f32]| -> Result<Vec<f32>> {
                let qkv = run(Layer::Qkv(block), qkv, x)?;
                let mut mixed = vec![0.0; x.len()];
                for (qkv, mixed) in qkv.chunks(tokens * 3 * width).zip(mixed.chunks_mut(tokens * width)) {
                    let shape = (width, self.shape.heads);
                    attention(qkv, mixed, shape, |scores, rows| hooks.softmax(block, scores, rows))?;
                }
                run(Layer::Proj(block), proj, &mixed)
            };
            let feed = |x: &[f32]| -> Result<Vec<f32>> {
                let mut hidden = run(Layer::Fc1(block), fc1, x)?;
                hooks.gelu(block, &mut hidden)?;
                run(Layer::Fc2(block), fc2, &hidden)
            };
            match self.shape.order {
                Order::NormsFirst => {
                    let y = attend(&norm1.run(&x)?)?;
                    add(&mut x, &y);
                    let y = feed(&norm2.run(&x)?)?;
                    add(&mut x, &y);
                }
                Order::NormsLast => {
                    let y = attend(&x)?;
                    add(&mut x, &y);
                    x = norm1.run(&x)?;
                    let y = feed(&x)?;
                    add(&mut x, &y);
                    x = norm2.run(&x)?;
                }
            }
        }
        Ok(x)
    }
}

fn place(layer: Layer) -> Option<(usize, usize)> {
    match layer {
        Layer::Qkv(b) => Some((b, 0)),
        Layer::Proj(b) => Some((b, 1)),
        Layer::Fc1(b) => Some((b, 2)),
        Layer::Fc2(b) => Some((b, 3)),
        Layer::Stem1 | Layer::Stem2 | Layer::Head => None,
    }
}

/// All heads of one input: `softmax(q k' / sqrt(channels)) v` into their channels of `mixed`.
fn attention(
    qkv: &[f32],
    mixed: &mut [f32],
    (width, heads): (usize, usize),
    softmax: impl Fn(&mut [f32], Rows) -> Result<()>,
) -> Result<()> {
    let (tokens, channels) = (mixed.len() / width, width / heads);
    let rows = Rows::new(tokens, tokens)?;
    let none = vec![0.0; tokens.max(channels)];
    for head in 0..heads {
        let part = |which: usize| {
            let from = which * width + head * channels;
            qkv.chunks(3 * width).map(move |token| &token[from..from + channels])
        };
        let queries: Vec<f32> = part(0).flatten().copied().collect();
        let values: Vec<f32> = part(2).flatten().copied().collect();
        // By channel, as the library's layer reads weights.
        let mut keys = vec![0.0; channels * tokens];
        for (token, key) in part(1).enumerate() {
            for (channel, k) in key.iter().enumerate() {
                keys[channel * tokens + token] = k / (channels as f32).sqrt();
            }
        }
        let mut scores = vec![0.0; tokens * tokens];
        Linear::new(&keys, &none[..tokens], Rows::new(channels, tokens)?)?.run(&queries, &mut scores, tokens)?;
        softmax(&mut scores, rows)?;
        let mut out = vec![0.0; tokens * channels];
        Linear::new(&values, &none[..channels], Rows::new(tokens, channels)?)?.run(&scores, &mut out, tokens)?;
        for (mixed, out) in mixed.chunks_mut(width).zip(out.chunks(channels)) {
            mixed[head * channels..][..channels].copy_from_slice(out);
        }
    }
    Ok(())
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// An f32 tensor of a file, and its shape.
///
/// # Errors
/// If it is not there, of another type, or holds a value that is not finite.
pub fn tensor(file: &SafeTensors<'_>, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
    let view = file.tensor(name).map_err(|_| anyhow!("{name} is missing"))?;
    ensure!(view.dtype() == Dtype::F32, "{name} is {:?}, F32 needed", view.dtype());
    let values: Vec<f32> =
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes(core::array::from_fn(|n| b[n]))).collect();
    ensure!(values.iter().all(|v| v.is_finite()), "{name} holds a value that is not finite");
    Ok((view.shape().to_vec(), values))
}

/// An f32 tensor of a known shape; axes of length 1 do not count.
///
/// # Errors
/// As [`tensor`], or if it has another shape.
pub fn floats(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let (got, values) = tensor(file, name)?;
    let long = |shape: &[usize]| shape.iter().copied().filter(|&axis| axis != 1).collect::<Vec<_>>();
    ensure!(long(&got) == long(shape), "{name} has shape {got:?}, {shape:?} needed");
    Ok(values)
}

/// Weights of a linear layer, `[output, input]`; of a convolution the axes behind the first are its inputs.
///
/// # Errors
/// As [`tensor`], or if they have another shape.
pub fn weights(file: &SafeTensors<'_>, name: &str, (inputs, outputs): (usize, usize)) -> Result<Vec<f32>> {
    let (shape, values) = tensor(file, name)?;
    check_weights(name, &shape, (inputs, outputs))?;
    Ok(values)
}

fn check_weights(name: &str, shape: &[usize], (inputs, outputs): (usize, usize)) -> Result<()> {
    let fits = shape.len() > 1 && shape[0] == outputs && shape[1..].iter().product::<usize>() == inputs;
    ensure!(fits, "{name} has shape {shape:?}, [{outputs}, {inputs}] needed");
    Ok(())
}

/// Codes of a linear layer, in the shape of [`weights`].
///
/// # Errors
/// If they are not there, of another type or of another shape.
pub fn codes(file: &SafeTensors<'_>, name: &str, shape: (usize, usize)) -> Result<Vec<i8>> {
    let view = file.tensor(name).map_err(|_| anyhow!("{name} is missing"))?;
    ensure!(view.dtype() == Dtype::I8, "{name} is {:?}, I8 needed", view.dtype());
    check_weights(name, view.shape(), shape)?;
    Ok(view.data().iter().map(|&b| b.cast_signed()).collect())
}

/// Whole numbers of a file, I32 or U8, none below 0.
///
/// # Errors
/// If they are not there, of another type, or one is negative.
pub fn integers(file: &SafeTensors<'_>, name: &str) -> Result<Vec<usize>> {
    let view = file.tensor(name).map_err(|_| anyhow!("{name} is missing"))?;
    let of = |b: &[u8]| i32::from_le_bytes(core::array::from_fn(|n| b[n]));
    match view.dtype() {
        Dtype::U8 => Ok(view.data().iter().map(|&b| b.into()).collect()),
        Dtype::I32 => {
            let all = view.data().chunks_exact(4).map(|b| usize::try_from(of(b)));
            all.collect::<Result<_, _>>().map_err(|_| anyhow!("{name} has a number below 0"))
        }
        other => Err(anyhow!("{name} is {other:?}, I32 or U8 needed")),
    }
}
