//! Trained transformers as `tools/train/dump_models.py` writes them: an [`Encoder`] between embeddings of pictures or of words
//! and a linear classifier of the pooled tokens.
//!
//! A file says what it is in its metadata (`model`, `input`, `heads`, `epsilon`, `order`) and brings tokens and features that
//! Python computed for the first test inputs; [`Pretrained::check`] compares.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::SafeTensors;
use scrimp::Rows;
use scrimp::nn::Linear;

use crate::dataset::{Dataset, PIXELS, Split};
use crate::encoder::{Dense, Encoder, Float, Hooks, Norm, Order, Shape, floats, integers, tensor};

/// Pixels a side, before and after pictures are enlarged.
const SIDES: (usize, usize) = (28, 112);
/// Pixels a side of a patch.
const PATCH: usize = 14;
/// What a token may differ by from Python's.
const TOLERANCE: f32 = 1e-3;

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Grey levels, or words.
    pub data: Data,
    /// Its class.
    pub label: u8,
    /// The classifier that has not seen it.
    pub fold: usize,
}

/// What an input is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Grey levels of 28 x 28 pixels.
    Picture(Vec<u8>),
    /// Rows of the table of words.
    Text(Vec<usize>),
}

#[derive(Debug)]
enum Front {
    Pictures { resize: Vec<f32>, patch: Dense, class_token: Vec<f32>, norm: Norm },
    Texts { words: Vec<f32>, norm: Norm, tested: Vec<Input>, calibration: Vec<Input> },
}

/// A transformer.
#[derive(Debug)]
pub struct Pretrained {
    /// Model and data.
    pub name: String,
    encoder: Encoder,
    front: Front,
    position: Vec<f32>,
    classifiers: Vec<Dense>,
    tokens: Vec<f32>,
    features: Vec<f32>,
}

/// What the file says it is; `None` of other files.
///
/// # Errors
/// If it is no safetensors file.
pub fn metadata(bytes: &[u8]) -> Result<Option<HashMap<String, String>>> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    Ok(header.metadata().clone().filter(|metadata| metadata.contains_key("model")))
}

impl Pretrained {
    /// Reads a file.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape or holds a value that is not finite, or the metadata are not understood.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let metadata = metadata(bytes)?.context("the metadata name no model")?;
        let says = |key: &str| metadata.get(key).with_context(|| format!("the metadata have no {key:?}"));
        let file = SafeTensors::deserialize(bytes)?;
        let length = |name: &str| Ok::<_, anyhow::Error>(tensor(&file, name)?.1.len());
        let width = length("blocks.0.proj.bias")?;
        let order = match says("order")?.as_str() {
            "pre" => Order::NormsFirst,
            "post" => Order::NormsLast,
            other => bail!("order is {other:?}, \"pre\" or \"post\" needed"),
        };
        let shape = Shape {
            blocks: file.names().iter().filter(|name| name.ends_with(".qkv.weight")).count(),
            width,
            heads: says("heads")?.parse().context("heads")?,
            hidden: length("blocks.0.fc1.bias")?,
            epsilon: says("epsilon")?.parse().context("epsilon")?,
            order,
        };
        let encoder = Encoder::read(&file, shape)?;
        let (front, pooled) = match says("input")?.as_str() {
            "pictures" => {
                let front = Front::Pictures {
                    resize: floats(&file, "resize", &[SIDES.1, SIDES.0])?,
                    patch: Dense::read(&file, "patch", (PATCH * PATCH, width))?,
                    class_token: floats(&file, "class_token", &[width])?,
                    norm: Norm::read(&file, "norm", width, shape.epsilon)?,
                };
                (front, 2 * width)
            }
            "texts" => {
                let (count, words) = table(&file, "words", width)?;
                let tested = texts(&file, "texts", count)?;
                let labels = integers(&file, "texts.labels")?;
                let folds = integers(&file, "texts.fold")?;
                ensure!(
                    labels.len() == tested.len() && folds.len() == tested.len(),
                    "texts.labels, texts.fold and texts.lengths differ in length"
                );
                let marked = tested.into_iter().zip(labels.into_iter().zip(folds));
                let marked = marked.map(|(input, (label, fold))| Input { label: label as u8, fold, ..input });
                let front = Front::Texts {
                    words,
                    norm: Norm::read(&file, "embedding.norm", width, shape.epsilon)?,
                    tested: marked.collect(),
                    calibration: texts(&file, "calibration", count)?,
                };
                (front, width)
            }
            other => bail!("input is {other:?}, \"pictures\" or \"texts\" needed"),
        };
        let (shape, biases) = tensor(&file, "probe.bias")?;
        let &[folds, classes] = shape.as_slice() else { bail!("probe.bias has {} axes, 2 needed", shape.len()) };
        ensure!(classes > 0, "probe.bias has no classes");
        let weights = floats(&file, "probe.weight", &[folds, classes, pooled])?;
        let classifiers = weights.chunks(classes * pooled).zip(biases.chunks(classes));
        let this = Self {
            name: says("model")?.clone(),
            encoder,
            front,
            position: table(&file, "position", width)?.1,
            classifiers: classifiers.map(|(w, b)| Dense::new(w.to_vec(), b.to_vec())).collect(),
            tokens: tensor(&file, "reference.tokens")?.1,
            features: tensor(&file, "reference.features")?.1,
        };
        if let Front::Texts { tested, .. } = &this.front {
            ensure!(tested.iter().all(|text| text.fold < folds), "texts.fold names a classifier that is not there");
        }
        Ok(this)
    }

    /// The blocks.
    #[must_use]
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Inputs to test on, the first ones only, and `calibration` other inputs. Pictures come from `data`.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn inputs(&self, data: &Path, test: usize, calibration: usize) -> Result<(Vec<Input>, Vec<Input>)> {
        let (mut tested, mut seen) = match &self.front {
            Front::Pictures { .. } => {
                let pictures = |split, count| -> Result<Vec<Input>> {
                    let set = Dataset::load(data, split)?.first(count);
                    let each = set.pictures.chunks(PIXELS).zip(&set.labels);
                    Ok(each.map(|(p, &label)| Input { data: Data::Picture(p.to_vec()), label, fold: 0 }).collect())
                };
                (pictures(Split::Test, test)?, pictures(Split::Train, calibration)?)
            }
            Front::Texts { tested, calibration, .. } => (tested.clone(), calibration.clone()),
        };
        tested.truncate(test);
        seen.truncate(calibration);
        Ok((tested, seen))
    }

    /// The last tokens of one input.
    ///
    /// # Errors
    /// If it is of the other kind or too long, or a hook refuses.
    pub fn tokens(&self, input: &Data, hooks: &impl Hooks) -> Result<Vec<f32>> {
        let width = self.encoder.shape().width;
        let mut x = match (&self.front, input) {
            (Front::Pictures { resize, patch, class_token, .. }, Data::Picture(pixels)) => {
                let patches = patches(&enlarge(resize, pixels)?);
                let count = patches.len() / (PATCH * PATCH);
                let mut x = class_token.clone();
                x.resize((1 + count) * width, 0.0);
                patch.run(&patches, &mut x[width..], count)?;
                x[width..].iter_mut().zip(&self.position).for_each(|(x, place)| *x += place);
                x
            }
            (Front::Texts { words, norm, .. }, Data::Text(text)) => {
                ensure!(text.len() * width <= self.position.len(), "a text of {} words is too long", text.len());
                let x = text.iter().flat_map(|&word| &words[word * width..(word + 1) * width]);
                norm.run(&x.zip(&self.position).map(|(x, place)| x + place).collect::<Vec<_>>())?
            }
            _ => bail!("a text for a network of pictures, or the other way round"),
        };
        let tokens = x.len() / width;
        x = self.encoder.run(x, tokens, hooks)?;
        match &self.front {
            Front::Pictures { norm, .. } => norm.run(&x),
            Front::Texts { .. } => Ok(x),
        }
    }

    /// What is classified: the mean token, of pictures behind the class token; its length is 1.
    #[must_use]
    pub fn features(&self, tokens: &[f32]) -> Vec<f32> {
        let width = self.encoder.shape().width;
        let (mut features, rest) = match self.front {
            Front::Pictures { .. } => (tokens[..width].to_vec(), &tokens[width..]),
            Front::Texts { .. } => (Vec::new(), tokens),
        };
        let count = (rest.len() / width).max(1) as f32;
        features.extend((0..width).map(|c| rest.iter().skip(c).step_by(width).sum::<f32>() / count));
        let length = features.iter().map(|f| f * f).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        features.iter_mut().for_each(|f| *f /= length);
        features
    }

    /// The class of one input.
    ///
    /// # Errors
    /// As [`tokens`](Self::tokens), or if no classifier is there for it.
    pub fn class(&self, input: &Input, hooks: &impl Hooks) -> Result<u8> {
        let features = self.features(&self.tokens(&input.data, hooks)?);
        let classifier = self.classifiers.get(input.fold).context("no classifier for this input")?;
        let mut logits = vec![0.0; classifier.bias.len()];
        classifier.run(&features, &mut logits, 1)?;
        ensure!(!logits.iter().any(|logit| logit.is_nan()), "an answer of the network is not a number");
        let best = (1..logits.len()).fold(0, |best, n| if logits[n] > logits[best] { n } else { best });
        Ok(best as u8)
    }

    /// Runs the first test inputs in f32; gives the largest difference of a token to what Python computed.
    ///
    /// # Errors
    /// If it is above 1e-3, or the inputs do not fit.
    pub fn check(&self, tested: &[Input]) -> Result<f32> {
        let (mut tokens, mut features) = (self.tokens.as_slice(), self.features.as_slice());
        let mut worst = 0.0f32;
        for input in tested {
            let got = self.tokens(&input.data, &Float)?;
            let Some((want, rest)) = tokens.split_at_checked(got.len()).filter(|(want, _)| !want.is_empty()) else {
                break;
            };
            tokens = rest;
            worst = worse(worst, difference(&got, want));
            let got = self.features(&got);
            let (want, rest) = features.split_at_checked(got.len()).context("reference.features is too short")?;
            features = rest;
            worst = worse(worst, difference(&got, want));
        }
        ensure!(worst < TOLERANCE, "tokens differ from Python's by {worst:e}, {TOLERANCE:e} allowed");
        Ok(worst)
    }
}

/// A table of rows of `width`, and how many.
fn table(file: &SafeTensors<'_>, name: &str, width: usize) -> Result<(usize, Vec<f32>)> {
    let (shape, values) = tensor(file, name)?;
    let rows = match shape.as_slice() {
        &[rows, columns] if columns == width => rows,
        _ => bail!("{name} has shape {shape:?}, [rows, {width}] needed"),
    };
    Ok((rows, values))
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, worse)
}

/// The larger one; not a number is worst.
fn worse(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

fn texts(file: &SafeTensors<'_>, name: &str, words: usize) -> Result<Vec<Input>> {
    let tokens = integers(file, &format!("{name}.tokens"))?;
    let mut rest = tokens.as_slice();
    ensure!(tokens.iter().all(|&word| word < words), "{name}.tokens has a word that is not in the table");
    let mut all = Vec::new();
    for length in integers(file, &format!("{name}.lengths"))? {
        let (text, after) = rest.split_at_checked(length).with_context(|| format!("{name}.tokens is too short"))?;
        ensure!(!text.is_empty(), "{name} has an empty text");
        all.push(Input { data: Data::Text(text.to_vec()), label: 0, fold: 0 });
        rest = after;
    }
    ensure!(rest.is_empty(), "{name}.tokens is too long");
    Ok(all)
}

/// `resize x picture x resize'`, of grey levels from 0 to 1.
fn enlarge(resize: &[f32], pixels: &[u8]) -> Result<Vec<f32>> {
    let (from, to) = SIDES;
    ensure!(pixels.len() == from * from, "a picture of {} pixels, {} needed", pixels.len(), from * from);
    let grey: Vec<f32> = pixels.iter().map(|&p| f32::from(p) / 255.0).collect();
    let none = vec![0.0; to];
    let mut wide = vec![0.0; from * to];
    let transposed: Vec<f32> = (0..resize.len()).map(|n| resize[n % to * from + n / to]).collect();
    Linear::new(&transposed, &none, Rows::new(from, to)?)?.run(&grey, &mut wide, from)?;
    let mut large = vec![0.0; to * to];
    Linear::new(&wide, &none, Rows::new(from, to)?)?.run(resize, &mut large, to)?;
    Ok(large)
}

/// Rows of pixels of each patch.
fn patches(large: &[f32]) -> Vec<f32> {
    let side = SIDES.1;
    let mut rows = Vec::with_capacity(large.len());
    for top in (0..side).step_by(PATCH) {
        for left in (0..side).step_by(PATCH) {
            for y in top..top + PATCH {
                rows.extend_from_slice(&large[y * side + left..][..PATCH]);
            }
        }
    }
    rows
}
