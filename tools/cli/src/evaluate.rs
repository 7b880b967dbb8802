//! `scrimp evaluate`: what quantizers cost a trained transformer, by its accuracy: the small one on Fashion-MNIST's test
//! pictures, or one that `tools/train/dump_models.py` wrote on the inputs of its file.
//!
//! Everything is post-training: 32 training inputs, f32 activations, no labels. All contenders share the same weights and, for
//! `all`, uniform quantizers (per output channel, per tensor, per head), and differ in the codes of softmax and GELU, which
//! the library's own kernels make. Differences are paired, input by input.

use core::fmt;
use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use scrimp::Rows;
use scrimp::quant::Uniform;
use serde::{Deserialize, Serialize};

use crate::calibrate::layers::{Attention, Head, Linear, own_error};
use crate::calibrate::quantizers::{Gelu, Kind, Softmax};
use crate::dataset::{Dataset, FOLDER, PIXELS, Split};
use crate::encoder::{Dense, Encoder, Hooks, Layer};
use crate::kept::Kept;
use crate::output;
use crate::paired::paired;
use crate::pretrained::{self, Input, Pretrained};
use crate::transformer::{Transformer, classes};

/// Inputs to calibrate on.
const CALIBRATION: usize = 32;
/// Of them, every such input's heads, and every such token before `fc2`, are searched on.
const THINNING: usize = 4;
/// Of the larger models, every such query of a head.
const QUERIES: usize = 4;
const PARTS: &str = "all-4,softmax-4,softmax-3,softmax-2";

/// Arguments of `scrimp evaluate`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Weights as tools/train writes them: the small transformer, or a file of dump_models.py
    weights: PathBuf,
    /// Folder of the IDX files
    #[arg(long, default_value = FOLDER)]
    data: PathBuf,
    /// The first inputs to test on; all without it
    #[arg(long)]
    test: Option<usize>,
    /// What is quantized, and to how many bits: softmax-B, gelu-B, or all-B of the small transformer
    #[arg(long, value_delimiter = ',', default_value = PARTS)]
    parts: Vec<String>,
    /// Where the figures go, one after the other as they are found, in place of those of the same setting
    #[arg(long)]
    json: Option<PathBuf>,
    /// Keep the answers here, and take them from here where the weights are the same: a run that was stopped goes on
    #[arg(long, value_name = "FOLDER")]
    resume: Option<PathBuf>,
}

impl Options {
    /// The command that repeats the figures of these settings.
    fn command(&self) -> String {
        let mut text = format!("scrimp evaluate {}", self.weights.display());
        if let Some(test) = self.test {
            text += &format!(" --test {test}");
        }
        let parts = self.parts.join(",");
        if parts != PARTS {
            text += &format!(" --parts {parts}");
        }
        if let Some(path) = &self.json {
            text += &format!(" --json {}", path.display());
        }
        text
    }
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
    /// Difference to `AdaLog, ours` at the same setting, the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ours: Option<f64>,
    /// The standard error of that difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ours_error: Option<f64>,
    /// The command that made it.
    pub command: String,
}

/// Of one head of one input.
type Scores = (Rows, Vec<f32>);

/// What is kept on the way of the calibration inputs, by block.
struct Seen {
    scores: Vec<Mutex<Vec<Scores>>>,
    qkv: Vec<Mutex<Vec<Vec<f32>>>>,
    gelu: Vec<Mutex<Vec<f32>>>,
    inputs: Vec<(Layer, Mutex<Vec<f32>>)>,
}

impl Seen {
    fn new(blocks: usize, inputs: &[Layer]) -> Self {
        fn empty<T>(blocks: usize) -> Vec<Mutex<Vec<T>>> {
            (0..blocks).map(|_| Mutex::new(Vec::new())).collect()
        }
        let inputs = inputs.iter().map(|&layer| (layer, Mutex::default())).collect();
        Self { scores: empty(blocks), qkv: empty(blocks), gelu: empty(blocks), inputs }
    }
}

fn keep<T: Clone>(into: &Mutex<Vec<T>>, values: &[T]) {
    if let Ok(mut all) = into.lock() {
        all.extend_from_slice(values);
    }
}

impl Hooks for Seen {
    fn linear(&self, layer: Layer, dense: &Dense, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        if let Some((_, inputs)) = self.inputs.iter().find(|(of, _)| *of == layer) {
            keep(inputs, x);
        }
        dense.run(x, y, rows)?;
        if let Layer::Qkv(block) = layer {
            keep(&self.qkv[block], &[y.to_vec()]);
        }
        Ok(())
    }

    fn softmax(&self, block: usize, scores: &mut [f32], rows: Rows) -> Result<()> {
        keep(&self.scores[block], &[(rows, scores.to_vec())]);
        Ok(scrimp::softmax_f32_in_place(scores, rows)?)
    }

    fn gelu(&self, block: usize, x: &mut [f32]) -> Result<()> {
        scrimp::nn::gelu_f32_in_place(x);
        keep(&self.gelu[block], x);
        Ok(())
    }
}

fn taken<T>(of: &Mutex<Vec<T>>) -> Vec<T> {
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
    fn linear(&self, layer: Layer, dense: &Dense, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        match self.inputs.iter().find(|(of, _)| *of == layer) {
            Some((_, uniform)) => {
                let mut x = x.to_vec();
                there_and_back(uniform, &mut x)?;
                dense.run(&x, y, rows)?;
            }
            None => dense.run(x, y, rows)?,
        }
        if let Layer::Qkv(block) = layer
            && let Some(uniforms) = self.qkv.get(block)
        {
            let channels = y.len() / rows / uniforms.len();
            for row in y.chunks_mut(channels * uniforms.len()) {
                for (part, uniform) in row.chunks_mut(channels).zip(uniforms) {
                    there_and_back(uniform, part)?;
                }
            }
        }
        Ok(())
    }

    fn softmax(&self, block: usize, scores: &mut [f32], rows: Rows) -> Result<()> {
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

/// A network, what it is tested on and what it is calibrated on.
enum Subject {
    Small { net: Transformer, test: Dataset, seen: Dataset },
    Large { net: Pretrained, test: Vec<Input>, seen: Vec<Input> },
}

impl Subject {
    fn load(options: &Options) -> Result<Self> {
        let path = &options.weights;
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let count = options.test.unwrap_or(usize::MAX);
        let large = pretrained::metadata(&bytes).with_context(|| path.display().to_string())?.is_some();
        if !large {
            let net = Transformer::load(path)?;
            let test = Dataset::load(&options.data, Split::Test)?.first(count);
            let seen = Dataset::load(&options.data, Split::Train)?.first(CALIBRATION);
            return Ok(Self::Small { net, test, seen });
        }
        let net = Pretrained::read(&bytes).with_context(|| path.display().to_string())?;
        let (test, seen) = net.inputs(&options.data, count, CALIBRATION)?;
        Ok(Self::Large { net, test, seen })
    }

    fn name(&self) -> &str {
        match self {
            Self::Small { .. } => "small Fashion-MNIST transformer",
            Self::Large { net, .. } => &net.name,
        }
    }

    fn encoder(&self) -> &Encoder {
        match self {
            Self::Small { net, .. } => net.encoder(),
            Self::Large { net, .. } => net.encoder(),
        }
    }

    fn inputs(&self) -> usize {
        match self {
            Self::Small { test, .. } => test.labels.len(),
            Self::Large { test, .. } => test.len(),
        }
    }

    /// Runs the calibration inputs one after the other, so that what belongs together stays together.
    fn calibrate(&self, hooks: &Seen) -> Result<()> {
        match self {
            Self::Small { net, seen, .. } => {
                seen.pictures.chunks(PIXELS).try_for_each(|p| net.logits(p, hooks).map(drop))
            }
            Self::Large { net, seen, .. } => seen.iter().try_for_each(|input| net.tokens(&input.data, hooks).map(drop)),
        }
    }

    /// Which answers are right; the bar counts inputs.
    fn right(&self, hooks: &Quantized, bar: &ProgressBar) -> Result<Vec<bool>> {
        match self {
            Self::Small { net, test, .. } => right(net, test, hooks),
            Self::Large { net, test, .. } => test
                .par_iter()
                .map(|input| {
                    let right = net.class(input, hooks)? == input.label;
                    bar.inc(1);
                    Ok(right)
                })
                .collect(),
        }
    }
}

fn right(net: &Transformer, test: &Dataset, hooks: &Quantized) -> Result<Vec<bool>> {
    let answers = classes(&net.logits(&test.pictures, hooks)?)?;
    Ok(answers.iter().zip(&test.labels).map(|(a, b)| a == b).collect())
}

struct Calibration {
    attentions: Vec<Attention>,
    linears: Vec<Linear>,
    qkv: Vec<Vec<f32>>,
    inputs: Vec<(Layer, Vec<f32>)>,
    heads: usize,
}

impl Calibration {
    fn new(subject: &Subject) -> Result<Self> {
        let uniform = |layer: &Layer| !matches!(layer, Layer::Stem1 | Layer::Fc2(_));
        let (layers, thin) = match subject {
            Subject::Small { .. } => (Layer::all().into_iter().filter(uniform).collect(), 1),
            Subject::Large { .. } => (Vec::new(), QUERIES),
        };
        let encoder = subject.encoder();
        let shape = encoder.shape();
        let seen = Seen::new(shape.blocks, &layers);
        subject.calibrate(&seen)?;
        let (mut attentions, mut linears, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for block in 0..shape.blocks {
            let (qkv, scores) = (taken(&seen.qkv[block]), taken(&seen.scores[block]));
            let channels = shape.width / shape.heads;
            let mut heads = Vec::new();
            for (qkv, scores) in qkv.iter().zip(scores.chunks(shape.heads)).step_by(THINNING) {
                for (head, (rows, scores)) in scores.iter().enumerate() {
                    let values =
                        qkv.chunks(3 * shape.width).flat_map(|t| &t[2 * shape.width + head * channels..][..channels]);
                    let scores: Vec<f32> = scores.chunks(rows.cols()).step_by(thin).flatten().copied().collect();
                    let rows = Rows::new(scores.len() / rows.cols(), rows.cols())?;
                    heads.push(Head { values: values.copied().collect(), scores, rows });
                }
            }
            attentions.push(Attention { heads });
            all.push(qkv.concat());
            let dense = encoder.dense(Layer::Fc2(block)).context("no fc2")?;
            let inputs = taken(&seen.gelu[block]);
            let inputs = inputs.chunks(shape.hidden).step_by(THINNING).flatten().copied().collect();
            linears.push(Linear::new(inputs, dense.weight.clone(), shape.hidden));
        }
        let inputs = seen.inputs.iter().map(|(layer, inputs)| (*layer, taken(inputs))).collect();
        Ok(Self { attentions, linears, qkv: all, inputs, heads: shape.heads })
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
        let channels = net.encoder().shape().width / self.heads;
        for qkv in &self.qkv {
            let part = |part: usize| {
                let channels = qkv.chunks(channels).skip(part).step_by(3 * self.heads);
                new(own_error(&channels.flatten().copied().collect::<Vec<_>>(), bits)?)
            };
            quantized.qkv.push((0..3 * self.heads).map(part).collect::<Result<_>>()?);
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
    let settings: Vec<_> = options.parts.iter().map(|text| setting(text)).collect::<Result<_>>()?;
    let mut records = match &options.json {
        Some(path) => {
            output::check(&[path], &[&options.weights])?;
            there(path)?
        }
        None => Vec::new(),
    };
    let subject = Subject::load(options)?;
    let inputs = subject.inputs();
    ensure!(inputs > 0, "nothing to test on");
    if let Subject::Large { net, test, .. } = &subject {
        ensure!(settings.iter().all(|(part, _)| *part != "all"), "all-B is for the small transformer only");
        let worst = net.check(test).with_context(|| options.weights.display().to_string())?;
        output::print(&format!("{}: {worst:.1e} is the largest difference to Python's f32\n", net.name))?;
    }
    let kept = Kept::new(options.resume.as_deref())?;
    let bar = ProgressBar::new(((1 + settings.len() * Kind::ALL.len()) * inputs) as u64);
    bar.set_style(ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {elapsed}, about {eta} left")?);
    bar.enable_steady_tick(Duration::from_millis(500));
    let get = |name: &str, run: &dyn Fn() -> Result<Vec<bool>>| {
        let model = options.weights.file_stem().unwrap_or_default().display();
        kept.get(&format!("{model}-{name}-{inputs}"), &options.weights, run)
    };
    let float = get("f32", &|| subject.right(&Quantized::default(), &bar))?;
    let mut done = 1;
    let mut write = |new: Record| -> Result<()> {
        let text = if new.to_ours.is_none() { new.to_string() + "\n" } else { String::new() };
        bar.suspend(|| output::print(&text))?;
        match records.iter_mut().find(|r| r.setting() == new.setting()) {
            Some(old) => *old = new,
            None => records.push(new),
        }
        let Some(path) = &options.json else { return Ok(()) };
        output::write(&[(path, (serde_json::to_string_pretty(&records)? + "\n").as_bytes())])
    };
    let record = |part: &str, bits, quantizer: &str, right: &[bool]| Record {
        model: subject.name().into(),
        command: options.command(),
        ..Record::new(part, bits, quantizer, right, &float)
    };
    write(record("none", 32, "f32", &float))?;
    let calibration = Calibration::new(&subject)?;
    for (part, bits) in settings {
        let mut group = Vec::new();
        for kind in Kind::ALL {
            bar.set_message(format!("{part}, {bits} bits, {kind}"));
            let answers = get(&format!("{part}-{bits}-{kind}"), &|| {
                let softmax = if part == "GELU" { Vec::new() } else { calibration.softmax(kind, bits)? };
                let gelu = if part == "softmax" { Vec::new() } else { calibration.gelu(kind, bits)? };
                match &subject {
                    Subject::Small { test, .. } if part == "all" => {
                        let mut changed = Transformer::load(&options.weights)?;
                        let uniform = calibration.uniform(&mut changed, bits)?;
                        right(&changed, test, &Quantized { softmax, gelu, ..uniform })
                    }
                    _ => subject.right(&Quantized { softmax, gelu, ..Quantized::default() }, &bar),
                }
            })?;
            done += 1;
            bar.set_position((done * inputs) as u64);
            write(record(part, bits, &kind.to_string(), &answers))?;
            group.push((kind, answers));
        }
        let Some((_, ours)) = group.iter().find(|(kind, _)| *kind == Kind::Ours) else { continue };
        for (kind, answers) in &group {
            let (difference, error) = paired(answers, ours);
            let (to_ours, to_ours_error) = (Some(percent(difference)), Some(percent(error)));
            write(Record { to_ours, to_ours_error, ..record(part, bits, &kind.to_string(), answers) })?;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Records of earlier runs, none if there is no file.
fn there(path: &Path) -> Result<Vec<Record>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} holds no figures of evaluate", path.display()))
}

fn percent(share: f64) -> f64 {
    (share * 1e4).round() / 100.0
}

impl Record {
    fn new(part: &str, bits: u32, quantizer: &str, right: &[bool], float: &[bool]) -> Self {
        let n = right.len().max(1) as f64;
        let share = right.iter().filter(|&&r| r).count() as f64 / n;
        let (difference, difference_error) = paired(right, float);
        Self {
            model: String::new(),
            part: part.into(),
            bits,
            quantizer: quantizer.into(),
            inputs: right.len(),
            accuracy: percent(share),
            error: percent((share * (1.0 - share) / n).sqrt()),
            difference: percent(difference),
            difference_error: percent(difference_error),
            to_ours: None,
            to_ours_error: None,
            command: String::new(),
        }
    }

    /// What two figures of one setting have in common.
    fn setting(&self) -> (&str, &str, u32, &str) {
        (&self.model, &self.part, self.bits, &self.quantizer)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, bits, quantizer, accuracy, error, difference, difference_error, .. } = self;
        write!(
            f,
            "{part} {bits} bits {quantizer}: {accuracy:.2} % +- {error:.2}, {difference:+.2} +- {difference_error:.2} to f32"
        )
    }
}
