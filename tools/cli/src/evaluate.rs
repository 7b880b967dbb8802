//! `scrimp evaluate`: what quantizers cost the small transformer, by its accuracy on Fashion-MNIST's 10,000 test pictures.
//!
//! Everything is post-training: 32 pictures of the training split, f32 activations, no labels. All contenders share the same
//! weights and uniform quantizers (per output channel, per tensor, per head) and differ in the codes of softmax and GELU, which
//! the library's own kernels make. The paired difference is over pictures.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use scrimp::Rows;
use scrimp::quant::Uniform;
use serde::{Deserialize, Serialize};

use crate::calibrate::layers::{Attention, Linear, own_error};
use crate::calibrate::quantizers::{Gelu, Kind, Softmax};
use crate::dataset::{Dataset, FOLDER, PIXELS, Split};
use crate::output;
use crate::transformer::{BLOCKS, Dense, HEADS, HIDDEN, Hooks, Layer, TOKENS, Transformer, WIDTH, classes};

const HEAD: usize = WIDTH / HEADS;
/// Pictures to calibrate on.
const CALIBRATION: usize = 32;
/// Of them, every such picture's heads, and every such token before `fc2`, are searched on.
const THINNING: usize = 4;

/// Arguments of `scrimp evaluate`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Weights as tools/train writes them
    weights: PathBuf,
    /// Folder of the IDX files
    #[arg(long, default_value = FOLDER)]
    data: PathBuf,
    /// Pictures to test on
    #[arg(long, default_value_t = 10_000)]
    test: usize,
    /// What is quantized, and to how many bits
    #[arg(long, value_delimiter = ',', default_value = "all-4,softmax-4,softmax-3,softmax-2")]
    parts: Vec<String>,
    /// Where the figures go, one after the other as they are found
    #[arg(long)]
    json: Option<PathBuf>,
}

/// `softmax-4` as its two halves.
fn setting(text: &str) -> Result<(&'static str, u32)> {
    let (part, bits) = text.split_once('-').with_context(|| format!("{text} is not PART-BITS"))?;
    let part = match part {
        "softmax" => "softmax",
        "gelu" => "GELU",
        "all" => "all",
        _ => bail!("{part} is none of softmax, gelu and all"),
    };
    let bits = bits.parse().with_context(|| text.to_owned())?;
    ensure!((2..=8).contains(&bits), "{text}: 2 to 8 bits are possible");
    Ok((part, bits))
}

/// One figure.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    /// Model and data.
    pub model: String,
    /// What is quantized.
    pub part: String,
    /// Bits of its codes.
    pub bits: u32,
    /// The quantizer.
    pub quantizer: String,
    /// Inputs tested on.
    pub inputs: usize,
    /// Accuracy in percent.
    pub accuracy: f64,
    /// Its standard error.
    pub error: f64,
    /// Difference to f32 in points, input by input.
    pub difference: f64,
    /// The standard error of that difference.
    pub difference_error: f64,
    /// The command that made it.
    pub command: String,
}

/// What is dumped on the way of the calibration pictures.
#[derive(Default)]
struct Seen {
    scores: [Mutex<Vec<f32>>; BLOCKS],
    qkv: [Mutex<Vec<f32>>; BLOCKS],
    gelu: [Mutex<Vec<f32>>; BLOCKS],
    inputs: Vec<(Layer, Mutex<Vec<f32>>)>,
}

fn keep(into: &Mutex<Vec<f32>>, values: &[f32]) {
    if let Ok(mut all) = into.lock() {
        all.extend(values);
    }
}

impl Hooks for Seen {
    fn linear(&self, net: &Transformer, layer: Layer, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        if let Some((_, inputs)) = self.inputs.iter().find(|(of, _)| *of == layer) {
            keep(inputs, x);
        }
        net.linear(layer, x, y, rows)?;
        if let Layer::Qkv(block) = layer {
            keep(&self.qkv[block], y);
        }
        Ok(())
    }

    fn softmax(&self, block: usize, scores: &mut [f32]) -> Result<()> {
        keep(&self.scores[block], scores);
        Ok(scrimp::softmax_f32_in_place(scores, Rows::new(TOKENS, TOKENS)?)?)
    }

    fn gelu(&self, block: usize, x: &mut [f32]) -> Result<()> {
        scrimp::nn::gelu_f32_in_place(x);
        keep(&self.gelu[block], x);
        Ok(())
    }
}

fn taken(of: &Mutex<Vec<f32>>) -> Vec<f32> {
    of.lock().map(|mut all| core::mem::take(&mut *all)).unwrap_or_default()
}

/// The quantized network's hooks; `None` leaves a part in f32.
#[derive(Default)]
struct Quantized {
    inputs: Vec<(Layer, Uniform)>,
    /// By block; of each, queries, keys and values of each head.
    qkv: Vec<Vec<Uniform>>,
    softmax: Vec<Softmax>,
    gelu: Vec<Gelu>,
}

fn there_and_back(uniform: &Uniform, x: &mut [f32]) -> Result<()> {
    let mut codes = vec![0; x.len()];
    uniform.encode(x, &mut codes)?;
    Ok(uniform.decode(&codes, x)?)
}

impl Hooks for Quantized {
    fn linear(&self, net: &Transformer, layer: Layer, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        match self.inputs.iter().find(|(of, _)| *of == layer) {
            Some((_, uniform)) => {
                let mut x = x.to_vec();
                there_and_back(uniform, &mut x)?;
                net.linear(layer, &x, y, rows)?;
            }
            None => net.linear(layer, x, y, rows)?,
        }
        if let Layer::Qkv(block) = layer
            && let Some(uniforms) = self.qkv.get(block)
        {
            for row in y.chunks_mut(3 * WIDTH) {
                for (part, uniform) in row.chunks_mut(HEAD).zip(uniforms) {
                    there_and_back(uniform, part)?;
                }
            }
        }
        Ok(())
    }

    fn softmax(&self, block: usize, scores: &mut [f32]) -> Result<()> {
        let rows = Rows::new(TOKENS, TOKENS)?;
        match self.softmax.get(block) {
            Some(softmax) => softmax.apply(scores, rows),
            None => Ok(scrimp::softmax_f32_in_place(scores, rows)?),
        }
    }

    fn gelu(&self, block: usize, x: &mut [f32]) -> Result<()> {
        scrimp::nn::gelu_f32_in_place(x);
        match self.gelu.get(block) {
            Some(gelu) => gelu.apply(x),
            None => Ok(()),
        }
    }
}

struct Calibration {
    attentions: Vec<Attention>,
    linears: Vec<Linear>,
    qkv: Vec<Vec<f32>>,
    inputs: Vec<(Layer, Vec<f32>)>,
}

impl Calibration {
    fn new(net: &Transformer, pictures: &[u8]) -> Result<Self> {
        let uniform = |layer: &Layer| !matches!(layer, Layer::Stem1 | Layer::Fc2(_));
        let inputs = Layer::all().into_iter().filter(uniform).map(|layer| (layer, Mutex::default())).collect();
        let seen = Seen { inputs, ..Seen::default() };
        // One picture after the other, so that what belongs together stays together.
        for picture in pictures.chunks(PIXELS) {
            net.logits(picture, &seen)?;
        }
        let mut calibration = Self { attentions: Vec::new(), linears: Vec::new(), qkv: Vec::new(), inputs: Vec::new() };
        for block in 0..BLOCKS {
            let qkv = taken(&seen.qkv[block]);
            let mut values = Vec::new();
            for picture in qkv.chunks(TOKENS * 3 * WIDTH).step_by(THINNING) {
                for head in 0..HEADS {
                    for token in picture.chunks(3 * WIDTH) {
                        values.extend(&token[2 * WIDTH + head * HEAD..][..HEAD]);
                    }
                }
            }
            let rows = Rows::new(TOKENS, TOKENS)?;
            let scores = taken(&seen.scores[block]);
            let scores = scores.chunks(HEADS * rows.elements()).step_by(THINNING).flatten().copied().collect();
            calibration.attentions.push(Attention { scores, values, rows });
            calibration.qkv.push(qkv);
            let weights = net.dense(Layer::Fc2(block)).weight.clone();
            let inputs = taken(&seen.gelu[block]);
            let inputs = inputs.chunks(HIDDEN).step_by(THINNING).flatten().copied().collect();
            calibration.linears.push(Linear { inputs, weights, width: HIDDEN });
        }
        calibration.inputs = seen.inputs.iter().map(|(layer, inputs)| (*layer, taken(inputs))).collect();
        Ok(calibration)
    }

    /// Uniform quantizers of `bits` bits for everything but softmax and GELU; the network's weights are replaced.
    fn uniform(&self, net: &mut Transformer, bits: u32) -> Result<Quantized> {
        let new =
            |(scale, zero_point): (f64, u8)| Ok::<_, anyhow::Error>(Uniform::new(bits, scale as f32, zero_point)?);
        for layer in Layer::all() {
            let (inputs, _) = layer.shape();
            let Dense { weight, bias, .. } = net.dense(layer).clone();
            let rows: Result<Vec<_>> = weight
                .par_chunks(inputs)
                .map(|row| {
                    let mut row = row.to_vec();
                    there_and_back(&new(own_error(&row, bits)?)?, &mut row)?;
                    Ok(row)
                })
                .collect();
            net.set_dense(layer, Dense::new(rows?.concat(), bias));
        }
        let mut quantized = Quantized::default();
        for (layer, x) in &self.inputs {
            quantized.inputs.push((*layer, new(own_error(x, bits)?)?));
        }
        for qkv in &self.qkv {
            let part = |part: usize| {
                let channels = qkv.chunks(HEAD).skip(part).step_by(3 * HEADS);
                new(own_error(&channels.flatten().copied().collect::<Vec<_>>(), bits)?)
            };
            quantized.qkv.push((0..3 * HEADS).map(part).collect::<Result<_>>()?);
        }
        Ok(quantized)
    }

    fn softmax(&self, kind: Kind, bits: u32) -> Result<Vec<Softmax>> {
        self.attentions.iter().map(|layer| Softmax::new(&layer.search(kind, bits)?.0)).collect()
    }

    fn gelu(&self, kind: Kind, bits: u32) -> Result<Vec<Gelu>> {
        self.linears.iter().map(|layer| Gelu::new(&layer.search(kind, bits)?.0)).collect()
    }
}

/// The command.
///
/// # Errors
/// If a file cannot be read or written.
pub fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.json {
        output::check(&[path], &[&options.weights])?;
    }
    let net = Transformer::load(&options.weights)?;
    let test = Dataset::load(&options.data, Split::Test)?.first(options.test);
    let train = Dataset::load(&options.data, Split::Train)?.first(CALIBRATION);
    let calibration = Calibration::new(&net, &train.pictures)?;
    let right = |net: &Transformer, hooks: &Quantized| -> Result<Vec<bool>> {
        let answers = classes(&net.logits(&test.pictures, hooks)?);
        Ok(answers.iter().zip(&test.labels).map(|(a, b)| a == b).collect())
    };
    let float = right(&net, &Quantized::default())?;
    let mut records = vec![record("none", 32, "f32", &float, &float)];
    let settings: Result<Vec<_>> = options.parts.iter().map(|text| setting(text)).collect();
    let settings: Vec<_> =
        settings?.into_iter().flat_map(|(part, bits)| Kind::ALL.map(|kind| (part, bits, kind))).collect();
    let bar = ProgressBar::new(settings.len() as u64);
    bar.set_style(ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {elapsed}, about {eta} left")?);
    for (part, bits, kind) in settings {
        bar.set_message(format!("{part}, {bits} bits, {kind}"));
        let answers = match part {
            "softmax" => right(&net, &Quantized { softmax: calibration.softmax(kind, bits)?, ..Quantized::default() }),
            "GELU" => right(&net, &Quantized { gelu: calibration.gelu(kind, bits)?, ..Quantized::default() }),
            _ => {
                let mut changed = Transformer::load(&options.weights)?;
                let uniform = calibration.uniform(&mut changed, bits)?;
                let (softmax, gelu) = (calibration.softmax(kind, bits)?, calibration.gelu(kind, bits)?);
                right(&changed, &Quantized { softmax, gelu, ..uniform })
            }
        }?;
        let r = record(part, bits, &kind.to_string(), &answers, &float);
        bar.suspend(|| {
            output::print(&format!(
                "{} {} bits {}: {:.2} % +- {:.2}, {:+.2} +- {:.2} to f32\n",
                r.part, r.bits, r.quantizer, r.accuracy, r.error, r.difference, r.difference_error
            ));
        });
        records.push(r);
        if let Some(path) = &options.json {
            let text = serde_json::to_string_pretty(&records)? + "\n";
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn record(part: &str, bits: u32, quantizer: &str, right: &[bool], float: &[bool]) -> Record {
    let n = right.len().max(1) as f64;
    let share = right.iter().filter(|&&r| r).count() as f64 / n;
    let differences = || right.iter().zip(float).map(|(&r, &f)| f64::from(i8::from(r) - i8::from(f)));
    let mean = differences().sum::<f64>() / n;
    let variance = differences().map(|d| (d - mean).powi(2)).sum::<f64>() / n;
    let percent = |share: f64| (share * 1e4).round() / 100.0;
    Record {
        model: "small Fashion-MNIST transformer".into(),
        part: part.into(),
        bits,
        quantizer: quantizer.into(),
        inputs: right.len(),
        accuracy: percent(share),
        error: percent((share * (1.0 - share) / n).sqrt()),
        difference: percent(mean),
        difference_error: percent((variance / n).sqrt()),
        command: "scrimp evaluate tools/train/weights/vit-fashion.safetensors --json tests/expected/adalog.json".into(),
    }
}
