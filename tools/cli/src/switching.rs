//! Bit switching on the small Fashion-MNIST transformer: every method at every width, with the library's integer kernels in
//! all linear layers, on the whole test split. Attention, norms and residual sums are f32.
//!
//! Nothing is chosen here: the methods are fixed, and the weights were trained without the test split.

use core::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use safetensors::SafeTensors;
use scrimp::Rows;
use scrimp::bits::{Weights, Width, nest_planes};
use serde::{Deserialize, Serialize};

use crate::calibration::{self, record};
use crate::dataset::{Dataset, FOLDER, Split};
use crate::encoder::{Dense, Float, Hooks, Layer, codes, floats};
use crate::kept::Kept;
use crate::output;
use crate::paired::paired;
use crate::quantize::integer::IntegerLayer;
use crate::quantize::ladder::{Choice, hull, ladder};
use crate::quantize::layer::{Affine, QuantizedLayer, Rule, Scale, Settings, Source, cover_outputs, quantize};
use crate::transformer::{LAYERS, Transformer, classes};

/// Widths that are measured.
pub const WIDTHS: [Width; 5] = [Width::W8, Width::W6, Width::W4, Width::W3, Width::W2];
/// Training pictures that ranges, refits and biases are taken from.
const CALIBRATION: usize = 100;
/// Mean bits of the mixed plans.
const MIXES: [f64; 4] = [6.0, 5.0, 4.0, 3.0];
/// The pixels are codes already: `(p - 73) / (255 * 0.3530)`, 73 the rounded mean.
const PIXEL_CODES: Affine = Affine { scale: 1.0 / (255.0 * 0.3530), zero: 73 - 128 };

/// Arguments of `scrimp switching`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Folder of vit-fashion.safetensors and the vit-bits-*.safetensors
    #[arg(long, default_value = "tools/train/weights")]
    pub weights: PathBuf,
    /// Folder of the IDX files
    #[arg(long, default_value = FOLDER)]
    pub data: PathBuf,
    /// The 5,000 validation pictures instead of the test split
    #[arg(long)]
    pub validation: bool,
    /// Only this method; may be given several times
    #[arg(long, value_name = "METHOD")]
    pub only: Vec<String>,
    /// Keep the answers here, and take them from here where the weights are the same: a run that was stopped goes on
    #[arg(long, value_name = "FOLDER")]
    pub resume: Option<PathBuf>,
}

/// What was measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Measured {
    /// Pictures.
    pub pictures: usize,
    /// Accuracy in f32, in per cent.
    pub float: f64,
    /// Method by method.
    pub rows: Vec<Row>,
    /// Methods against each other.
    pub pairs: Vec<Pair>,
}

/// A method at a width.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Row {
    /// The method.
    pub method: String,
    /// Bits of the switched layers, the mean over their weights where they differ.
    pub bits: f64,
    /// In per cent.
    pub accuracy: f64,
    /// To f32, in points.
    pub difference: f64,
    /// Standard error of the difference, from the pictures that only one of both has right.
    pub error: f64,
    /// Bytes of weights that an inference reads with the library's formats (two nibble planes; 4 bits read one).
    pub flash_bytes: usize,
    /// Bytes of weights if each layer were packed at its own width.
    pub packed_bytes: usize,
}

/// Two methods at the same width.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Pair {
    /// Bits.
    pub bits: u32,
    /// The one.
    pub first: String,
    /// The other.
    pub second: String,
    /// First less second, in points.
    pub difference: f64,
    /// Standard error of the difference.
    pub error: f64,
    /// Less than two standard errors.
    pub tie: bool,
}

/// Where a method's weights come from.
#[derive(Clone, Copy)]
enum Origin {
    /// Quantized here, with or without refit and bias correction.
    PostTraining { better: bool },
    /// Trained at all widths, with or without refit and bias correction against the 8-bit weights.
    Joint { file: &'static str, better: bool },
    /// Trained at one width, one file each.
    Alone,
}

/// Name, origin, how codes are read.
const METHODS: [(&str, Origin, Rule); 12] = [
    ("post-training", Origin::PostTraining { better: true }, Rule::Round),
    ("post-training, plain", Origin::PostTraining { better: false }, Rule::Round),
    ("post-training floor", Origin::PostTraining { better: true }, Rule::Floor),
    ("post-training floor, plain", Origin::PostTraining { better: false }, Rule::Floor),
    ("post-training mid-rise", Origin::PostTraining { better: true }, Rule::MidRise),
    ("joint", Origin::Joint { file: "joint", better: false }, Rule::Round),
    ("joint, HASB", Origin::Joint { file: "hasb", better: false }, Rule::Round),
    ("joint without ALRS", Origin::Joint { file: "joint-no-alrs", better: false }, Rule::Round),
    ("separate", Origin::Alone, Rule::Round),
    ("joint floor", Origin::Joint { file: "floor", better: false }, Rule::Floor),
    ("joint floor, refitted", Origin::Joint { file: "floor", better: true }, Rule::Floor),
    ("joint mid-rise", Origin::Joint { file: "midrise", better: false }, Rule::MidRise),
];

/// What is compared with what.
const PAIRS: [(&str, &str); 11] = [
    ("post-training", "post-training floor"),
    ("post-training, plain", "post-training floor, plain"),
    ("post-training", "post-training mid-rise"),
    ("joint", "separate"),
    ("joint, HASB", "joint"),
    ("joint, HASB", "separate"),
    ("joint", "joint without ALRS"),
    ("joint", "joint floor"),
    ("joint", "joint floor, refitted"),
    ("joint", "joint mid-rise"),
    ("joint", "post-training"),
];

/// The command: prints the tables.
///
/// # Errors
/// As [`measure`].
pub fn run(options: &Options) -> Result<()> {
    let measured = measure(options)?;
    output::print(&measured.text())
}

/// Runs every method at every width.
///
/// # Errors
/// If a file is missing or not what it should be.
pub fn measure(options: &Options) -> Result<Measured> {
    let test = Dataset::load(&options.data, if options.validation { Split::Validation } else { Split::Test })?;
    let seen = Dataset::load(&options.data, Split::Train)?.first(CALIBRATION);
    let float = Transformer::load(&options.weights.join("vit-fashion.safetensors"))?;
    let kept = Kept::new(options.resume.as_deref())?;
    let get = |method: &str, origin, bits: f64, run: &dyn Fn() -> Result<Vec<bool>>| {
        let weights = match origin {
            Origin::PostTraining { .. } => "vit-fashion".to_owned(),
            Origin::Joint { file, .. } => format!("vit-bits-{file}"),
            Origin::Alone => format!("vit-bits-separate-{bits}"),
        };
        let split = if options.validation { "validation" } else { "test" };
        let weights = options.weights.join(format!("{weights}.safetensors"));
        kept.get(&format!("{split}-{method}-{bits}"), &weights, run)
    };
    let base = right(&float, &Float, &test)?;
    let mut all: Vec<(String, u32, Vec<bool>)> = Vec::new();
    let mut measured = Measured { pictures: base.len(), float: share(&base), rows: Vec::new(), pairs: Vec::new() };
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    for (name, origin, rule) in METHODS.into_iter().filter(|(name, ..)| wanted(name)) {
        let shared = match origin {
            Origin::PostTraining { better } => Some((None, post_training(&float, &seen.pictures, rule, better)?)),
            Origin::Joint { file, better } => {
                let (net, layers) = trained(&options.weights, &seen.pictures, file, rule, better)?;
                Some((Some(net), layers))
            }
            Origin::Alone => None,
        };
        for width in WIDTHS {
            let own = if shared.is_none() && width != Width::W3 {
                let (net, layers) = trained(&options.weights, &seen.pictures, &alone(width), rule, false)?;
                Some((Some(net), layers))
            } else {
                None
            };
            let Some((net, layers)) = shared.as_ref().or(own.as_ref()) else { continue };
            let net = net.as_ref().unwrap_or(&float);
            let plan = Plan::even(layers, kernel_width(origin, width));
            let answers = get(name, origin, width.bits().into(), &|| right(net, &plan, &test))?;
            let bytes = match origin {
                Origin::Alone => plan.alone(width),
                _ => plan.bytes(rule)?,
            };
            measured.push(name, f64::from(width.bits()), &answers, &base, bytes);
            all.push((name.into(), width.bits(), answers));
        }
        if let ("joint" | "joint, HASB", Some((Some(net), layers))) = (name, &shared) {
            for (widths, bits) in mixes(net, layers, &seen.pictures)? {
                let plan = Plan { layers, widths };
                let mixed = format!("{name}, mixed");
                let answers = get(&mixed, origin, bits, &|| right(net, &plan, &test))?;
                measured.push(&mixed, bits, &answers, &base, plan.bytes(rule)?);
            }
        }
    }
    let find = |name: &str, bits| all.iter().find(|(n, b, _)| n == name && *b == bits).map(|(.., answers)| answers);
    for (first, second) in PAIRS {
        for width in WIDTHS {
            let bits = width.bits();
            let (Some(a), Some(b)) = (find(first, bits), find(second, bits)) else { continue };
            let (difference, error) = in_points(a, b);
            let tie = difference.abs() < 2.0 * error || difference == 0.0;
            measured.pairs.push(Pair { bits, first: first.into(), second: second.into(), difference, error, tie });
        }
    }
    Ok(measured)
}

impl Measured {
    fn push(&mut self, method: &str, bits: f64, answers: &[bool], base: &[bool], (flash, packed): (usize, usize)) {
        let (difference, error) = in_points(answers, base);
        let accuracy = share(answers);
        output::note(&format!(
            "{method:28} {bits:4.1} bits {accuracy:6.2} % {difference:+.2} +- {error:.2} {flash} B ({packed} B)"
        ));
        self.rows.push(Row {
            method: method.into(),
            bits,
            accuracy,
            difference,
            error,
            flash_bytes: flash,
            packed_bytes: packed,
        });
    }

    /// The methods that are there, in order.
    #[must_use]
    pub fn methods(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !names.contains(&row.method.as_str()) {
                names.push(&row.method);
            }
        }
        names
    }

    /// All of it, for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("f32: {:.2} % of {} pictures; points against it:\n", self.float, self.pictures);
        for name in self.methods() {
            let _ = write!(text, "{name:28}");
            for row in self.rows.iter().filter(|row| row.method == name) {
                let _ = write!(text, "  {:.1}: {:+.2} +- {:.2}", row.bits, row.difference, row.error);
            }
            text.push('\n');
        }
        for Pair { bits, first, second, difference, error, tie } in &self.pairs {
            let tie = if *tie { " (tie)" } else { "" };
            let _ = writeln!(text, "{bits} bits: {first} - {second} = {difference:+.2} +- {error:.2}{tie}");
        }
        text
    }
}

fn share(right: &[bool]) -> f64 {
    100.0 * right.iter().filter(|&&r| r).count() as f64 / right.len().max(1) as f64
}

/// [`paired`] in points.
fn in_points(a: &[bool], b: &[bool]) -> (f64, f64) {
    let (mean, error) = paired(a, b);
    (100.0 * mean, 100.0 * error)
}

fn right(net: &Transformer, hooks: &impl Hooks, test: &Dataset) -> Result<Vec<bool>> {
    let answers = classes(&net.logits(&test.pictures, hooks)?)?;
    Ok(answers.iter().zip(&test.labels).map(|(a, b)| a == b).collect())
}

/// Layers, each at a width, in place of the network's own.
#[derive(Debug)]
pub struct Plan<'a> {
    layers: &'a [IntegerLayer],
    widths: Vec<Width>,
}

impl<'a> Plan<'a> {
    /// One width for all switched layers.
    #[must_use]
    pub fn even(layers: &'a [IntegerLayer], width: Width) -> Self {
        let widths = Layer::all().map(|layer| if is_pinned(layer) { Width::W8 } else { width }).to_vec();
        Self { layers, widths }
    }

    /// Bytes read from nibble planes, and bytes if every layer were packed at its width.
    fn bytes(&self, rule: Rule) -> Result<(usize, usize)> {
        let (mut flash, mut packed) = (0, 0);
        for (layer, &width) in self.layers.iter().zip(&self.widths) {
            let codes = &layer.layer().codes;
            let half = codes.len().div_ceil(2);
            let (mut high, mut low) = (vec![0; half], vec![0; half]);
            nest_planes(codes, &mut high, &mut low)?;
            let view = Weights::nest(&high, &low, Rows::one(codes.len())?)?;
            // Floor and mid-rise at 4 bits and less need the upper nibble only.
            let prefix = rule != Rule::Round && width.bits() <= 4;
            flash += view.bytes_read(if prefix { Width::W4 } else { width });
            packed += (codes.len() * width.bits() as usize).div_ceil(8);
        }
        Ok((flash, packed))
    }

    /// The same of a network that has one width only: codes of up to 4 bits fit nibbles.
    fn alone(&self, width: Width) -> (usize, usize) {
        let (mut flash, mut packed) = (0, 0);
        for (layer, integer) in Layer::all().iter().zip(self.layers) {
            let count = integer.layer().codes.len();
            let bits = if is_pinned(*layer) { 8 } else { width.bits() as usize };
            flash += if bits <= 4 { count.div_ceil(2) } else { count };
            packed += (count * bits).div_ceil(8);
        }
        (flash, packed)
    }
}

impl Hooks for Plan<'_> {
    fn linear(&self, layer: Layer, _dense: &Dense, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        let n = layer.index();
        self.layers[n].run(self.widths[n], x, y, rows).with_context(|| layer.to_string())
    }
}

/// The ends of the network stay at 8 bits.
fn is_pinned(layer: Layer) -> bool {
    matches!(layer, Layer::Stem1 | Layer::Head)
}

/// A width that was trained alone has codes of its own; the kernel reads them as they are.
fn kernel_width(origin: Origin, width: Width) -> Width {
    if matches!(origin, Origin::Alone) { Width::W8 } else { width }
}

type Net = (Transformer, Vec<IntegerLayer>);

/// The weights of a width that was trained alone.
fn alone(width: Width) -> String {
    format!("separate-{}", width.bits())
}

/// Every layer of a network, quantized with what it sees of some pictures; `better`: refit, bias correction, signs.
///
/// # Errors
/// If a number does not fit.
pub fn post_training(net: &Transformer, seen: &[u8], rule: Rule, better: bool) -> Result<Vec<IntegerLayer>> {
    let rows = record(net, seen)?;
    let layers = Layer::all().into_iter().zip(&rows).map(|(layer, x)| {
        let pinned = is_pinned(layer);
        let settings = Settings {
            widths: if pinned { vec![Width::W8] } else { WIDTHS.to_vec() },
            rule: if pinned { Rule::Round } else { rule },
            scale: Scale::Absmax,
            flip: better,
            refit: better,
            correct_bias: better,
        };
        let dense = net.dense(layer);
        let source = Source { weight: &dense.weight, bias: &dense.bias, x };
        let input = (layer == Layer::Stem1).then_some(PIXEL_CODES);
        IntegerLayer::new(quantize(source, &settings, input)?)
    });
    layers.collect()
}

/// A network that `tools/train/train_bits.py` wrote.
fn trained(folder: &Path, seen: &[u8], file: &str, rule: Rule, better: bool) -> Result<Net> {
    let path = folder.join(format!("vit-bits-{file}.safetensors"));
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let tensors = SafeTensors::deserialize(&bytes).with_context(|| format!("{}", path.display()))?;
    let net = Transformer::from_tensors(&tensors).with_context(|| format!("{}", path.display()))?;
    let rows = record(&net, seen)?;
    let mut layers = Vec::with_capacity(LAYERS);
    for (layer, x) in Layer::all().into_iter().zip(&rows) {
        let (inputs, outputs) = layer.shape();
        let dense = net.dense(layer);
        let source = Source { weight: &dense.weight, bias: &dense.bias, x };
        let input = floats(&tensors, &format!("{layer}.input"), &[2])?;
        let pinned = is_pinned(layer);
        let mut quantized = QuantizedLayer {
            codes: codes(&tensors, &format!("{layer}.codes"), (inputs, outputs))?,
            scale: floats(&tensors, &format!("{layer}.scale"), &[outputs])?,
            input: Affine { scale: input[0], zero: input[1] as i32 },
            output: cover_outputs(source)?,
            rule: if pinned { Rule::Round } else { rule },
            readings: Vec::new(),
        };
        for &width in if pinned { &WIDTHS[..1] } else { &WIDTHS[..] } {
            quantized.read(source, width, better, better);
        }
        layers.push(IntegerLayer::new(quantized)?);
    }
    Ok((net, layers))
}

/// Plans with a mean width, down the ladder by the measured error of the outputs.
fn mixes(net: &Transformer, layers: &[IntegerLayer], seen: &[u8]) -> Result<Vec<(Vec<Width>, f64)>> {
    let rows: calibration::Rows = record(net, seen)?;
    let mut choices = Vec::new();
    for ((layer, integer), x) in Layer::all().into_iter().zip(layers).zip(&rows) {
        let dense = net.dense(layer);
        let source = Source { weight: &dense.weight, bias: &dense.bias, x };
        let quantized = integer.layer();
        let mut points = Vec::new();
        for reading in &quantized.readings {
            let cost = (quantized.codes.len() * reading.width.bits() as usize) as f64 / 8.0;
            points.push(Choice { width: reading.width, cost, error: quantized.quality(source, reading)?.output_error });
        }
        choices.push(points);
    }
    let mut widths: Vec<Width> = choices.iter().map(|c| hull(c).first().map_or(Width::W8, |c| c.width)).collect();
    let weights = |n: usize| layers[n].layer().codes.len() as f64;
    let switched: Vec<usize> = Layer::all().into_iter().filter(|l| !is_pinned(*l)).map(Layer::index).collect();
    let total: f64 = switched.iter().map(|&n| weights(n)).sum();
    let mean =
        |widths: &[Width]| switched.iter().map(|&n| weights(n) * f64::from(widths[n].bits())).sum::<f64>() / total;
    let mut plans = Vec::new();
    for rung in ladder(&choices) {
        widths[rung.layer] = rung.to;
        if plans.len() < MIXES.len() && mean(&widths) <= MIXES[plans.len()] {
            plans.push((widths.clone(), (mean(&widths) * 100.0).round() / 100.0));
        }
    }
    Ok(plans)
}
