//! One linear layer to one INT8 array that is read at several widths: scales per output channel, refitted factors and
//! corrected biases per width (Double Rounding, arXiv 2502.01199; floor and mid-rise are AdaBits', arXiv 1912.09666).
//!
//! ```text
//! code    q = clamp(round(W / s), -128, 119)                                  s per output channel, may be negative
//! read    v_l = D_l(q) 2^(8-l)   in units of s
//! refit   a_l = cov(y, p) / var(p), y = W x + b, p = s v_l x                  least squares, per channel and width
//! bias    b_l = mean(y) - a_l mean(p)                                         both over the calibration rows
//! ```
//! The refit is of outputs, not of weights (`<W, v> / <v, v>`): what floor takes off every weight is, behind a layer norm,
//! nearly constant in the outputs. It belongs to the bias; as a factor it would shrink what the layer says.
//! Codes stop at 119 so that two nibble planes hold them (16 * 7 + 7). A channel whose longest weight is positive is stored
//! with the other sign where that makes its step finer: then its scale, hence its multiplier, is negative. The step of a channel
//! whose weights are tiny beside its bias is raised until the bias fits an integer: those weights say little, or nothing.

use anyhow::{Result, ensure};
use scrimp::bits::{NEST_CAP, Width, double_round_masked};
use serde::{Deserialize, Serialize};

/// How a code is read at a lower width.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Double Rounding, half up: what the library's kernels do.
    #[default]
    Round,
    /// The lower bits are dropped.
    Floor,
    /// The lower bits are dropped and half a step is added.
    MidRise,
}

impl Rule {
    /// What `code` stands for at a width, in units of the 8-bit step.
    #[must_use]
    pub fn value(self, code: i8, width: Width) -> i8 {
        let dropped = width.dropped();
        let floor = code >> dropped << dropped;
        match self {
            Self::Round => double_round_masked(code, width),
            Self::Floor => floor,
            Self::MidRise => floor + ((1i16 << dropped) >> 1) as i8,
        }
    }

    /// Whether reading `code` at a width met the end of the range.
    fn clips(self, code: i8, width: Width) -> bool {
        let half = (1i16 << width.dropped()) >> 1;
        self == Self::Round && i16::from(code) + half > i16::from(i8::MAX)
    }
}

/// How the step of a channel is chosen.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// The longest weight is the last code.
    #[default]
    Absmax,
    /// So many standard deviations are 128 codes, at most the longest weight.
    Sigma(f32),
    /// The share of the longest weight with the best mean SQNR (in dB) over the widths.
    Search,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Widths, the highest first.
    pub widths: Vec<Width>,
    /// How codes are read.
    pub rule: Rule,
    /// How steps are chosen.
    pub scale: Scale,
    /// Whether a channel may be stored with the other sign.
    pub flip: bool,
    /// Whether each width gets factors of its own.
    pub refit: bool,
    /// Whether each width gets biases of its own.
    pub correct_bias: bool,
}

/// `real = scale * (code - zero)`, codes of 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Affine {
    /// The step.
    pub scale: f32,
    /// The code of 0.
    pub zero: i32,
}

impl Affine {
    /// Covers `values` less a share of them on either side, and 0.
    #[must_use]
    pub fn cover(values: &[f32], cut: f64) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        let drop = (sorted.len() as f64 * cut) as usize;
        let low = sorted.get(drop).copied().unwrap_or(0.0).min(0.0);
        let high = sorted.get((sorted.len().max(1) - 1).saturating_sub(drop)).copied().unwrap_or(0.0).max(0.0);
        let scale = if high > low { (high - low) / 255.0 } else { 1.0 };
        Self { scale, zero: (-128.0 - low / scale).round_ties_even() as i32 }
    }

    /// The code of a real number, ties to even.
    #[must_use]
    #[inline]
    pub fn encode(self, real: f32) -> i8 {
        let zero = self.zero as f32;
        // Adding 1.5 * 2^23 rounds, and unlike `round_ties_even` it is one instruction on every x86.
        const ROUND: f32 = 12_582_912.0;
        (((real / self.scale).clamp(-128.0 - zero, 127.0 - zero) + ROUND) - ROUND + zero) as i8
    }

    /// The real number of a code.
    #[must_use]
    #[inline]
    pub fn decode(self, code: i8) -> f32 {
        self.scale * (i32::from(code) - self.zero) as f32
    }
}

/// A layer in f32 with rows that it saw.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// `[output][input]`.
    pub weight: &'a [f32],
    /// One an output.
    pub bias: &'a [f32],
    /// Rows of inputs.
    pub x: &'a [f32],
}

/// What one width reads.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The width.
    pub width: Width,
    /// Factor of each channel, beside its scale; 1 without refit.
    pub gain: Vec<f32>,
    /// Bias of each channel.
    pub bias: Vec<f32>,
}

/// A layer as it is stored.
#[derive(Clone, Debug)]
pub struct QuantizedLayer {
    /// `[output][input]`.
    pub codes: Vec<i8>,
    /// Step of each output channel, negative where the channel is stored with the other sign.
    pub scale: Vec<f32>,
    /// Input codes.
    pub input: Affine,
    /// Output codes.
    pub output: Affine,
    /// How codes are read.
    pub rule: Rule,
    /// One a width, as they were asked for.
    pub readings: Vec<Reading>,
}

/// Share of the input values beyond the range on either side.
pub const CUT: f64 = 1e-4;

/// Quantizes a layer. `input` overrides what the rows would give.
///
/// # Errors
/// If lengths do not match, there is no row, or a value is not finite.
pub fn quantize(source: Source<'_>, settings: &Settings, input: Option<Affine>) -> Result<QuantizedLayer> {
    let Source { weight, bias, x } = source;
    let inputs = check(source)?;
    let input = input.unwrap_or_else(|| Affine::cover(x, CUT));
    let output = cover_outputs(source)?;
    let (mut codes, mut scale) = (Vec::with_capacity(weight.len()), Vec::with_capacity(bias.len()));
    for row in weight.chunks(inputs) {
        let step = step(row, settings);
        codes.extend(row.iter().map(|&w| encode(w, step)));
        scale.push(step);
    }
    let mut layer = QuantizedLayer { codes, scale, input, output, rule: settings.rule, readings: Vec::new() };
    loop {
        for &width in &settings.widths {
            layer.read(source, width, settings.refit, settings.correct_bias);
        }
        let coarse = layer.raised();
        if coarse.is_empty() {
            return Ok(layer);
        }
        layer.readings.clear();
        for (o, step) in coarse {
            ensure!(step.is_finite(), "no step is so large that a bias of {} fits", bias[o]);
            layer.scale[o] = step;
            let row = o * inputs..(o + 1) * inputs;
            for (code, &w) in layer.codes[row.clone()].iter_mut().zip(&weight[row]) {
                *code = encode(w, step);
            }
        }
    }
}

/// Whether a bias in units of a step leaves half of the range to the sums.
pub(super) fn fits(bias: f32, step: f64) -> bool {
    (f64::from(bias) / step).round().abs() < f64::from(1 << 30)
}

/// Output codes of a layer: everything that it puts out for its rows.
///
/// # Errors
/// As [`quantize`].
pub fn cover_outputs(source: Source<'_>) -> Result<Affine> {
    let inputs = check(source)?;
    Ok(Affine::cover(&products(source.weight, source.bias, source.x, inputs), 0.0))
}

fn check(source: Source<'_>) -> Result<usize> {
    let Source { weight, bias, x } = source;
    ensure!(
        !bias.is_empty() && !weight.is_empty() && weight.len().is_multiple_of(bias.len()),
        "weight and bias do not match"
    );
    let inputs = weight.len() / bias.len();
    ensure!(!x.is_empty() && x.len().is_multiple_of(inputs), "the calibration rows are not whole rows of {inputs}");
    ensure!([weight, bias, x].into_iter().flatten().all(|v| v.is_finite()), "a value is not finite");
    Ok(inputs)
}

impl QuantizedLayer {
    /// Inputs of the layer.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.codes.len() / self.scale.len().max(1)
    }

    /// Adds a width: what the codes mean there, against `source`.
    pub fn read(&mut self, source: Source<'_>, width: Width, refit: bool, correct_bias: bool) {
        let outputs = self.scale.len();
        let mut reading = Reading { width, gain: vec![1.0; outputs], bias: source.bias.to_vec() };
        if refit || correct_bias {
            let y = products(source.weight, source.bias, source.x, self.inputs());
            let p = products(&self.weights(&reading), &vec![0.0; outputs], source.x, self.inputs());
            let (mean_y, mean_p) = (mean_row(&y, outputs), mean_row(&p, outputs));
            let (mut cross, mut own) = (vec![0.0; outputs], vec![0.0; outputs]);
            for (y, p) in y.chunks(outputs).zip(p.chunks(outputs)) {
                for o in 0..outputs {
                    let (y, p) = (f64::from(y[o]) - mean_y[o], f64::from(p[o]) - mean_p[o]);
                    cross[o] += y * p;
                    own[o] += p * p;
                }
            }
            for o in 0..outputs {
                // A factor that is not positive can only come from a channel that says nothing any more.
                if refit && cross[o] > 0.0 {
                    reading.gain[o] = (cross[o] / own[o]) as f32;
                }
                if correct_bias {
                    reading.bias[o] = (mean_y[o] - f64::from(reading.gain[o]) * mean_p[o]) as f32;
                }
            }
        }
        self.readings.push(reading);
    }

    /// Channels with a bias that does not fit, and a step for each that is at least twice as large.
    fn raised(&self) -> Vec<(usize, f32)> {
        let raised = |o: usize| {
            let scale = self.scale[o];
            let step = |reading: &Reading| f64::from(self.input.scale) * f64::from(scale) * f64::from(reading.gain[o]);
            // How many times the bias is too large.
            let times = self.readings.iter().filter(|reading| !fits(reading.bias[o], step(reading)));
            let times = times.map(|reading| (f64::from(reading.bias[o]) / step(reading)).abs() / f64::from(1 << 30));
            times.reduce(f64::max).map(|times| (o, (f64::from(scale) * times.max(1.0) * 2.0) as f32))
        };
        (0..self.scale.len()).filter_map(raised).collect()
    }

    /// The reading of a width.
    #[must_use]
    pub fn reading(&self, width: Width) -> Option<&Reading> {
        self.readings.iter().find(|reading| reading.width == width)
    }

    /// What the weights are at a width, in f32.
    #[must_use]
    pub fn weights(&self, reading: &Reading) -> Vec<f32> {
        let inputs = self.inputs();
        let scales = self.scale.iter().zip(&reading.gain).map(|(scale, gain)| scale * gain);
        let rows = self.codes.chunks(inputs).zip(scales);
        rows.flat_map(|(row, scale)| row.iter().map(move |&q| scale * f32::from(self.rule.value(q, reading.width))))
            .collect()
    }

    /// Squared error of the weights at a width.
    #[must_use]
    pub fn weight_error(&self, weight: &[f32], reading: &Reading) -> f64 {
        error(weight, &self.weights(reading))
    }

    /// How good a width is.
    ///
    /// # Errors
    /// As [`quantize`].
    pub fn quality(&self, source: Source<'_>, reading: &Reading) -> Result<Quality> {
        let inputs = check(source)?;
        let weights = self.weights(reading);
        let exact = products(source.weight, source.bias, source.x, inputs);
        let got = products(&weights, &reading.bias, source.x, inputs);
        let saturated = if reading.width == Width::W8 {
            let ratios =
                source.weight.chunks(inputs).zip(&self.scale).flat_map(|(row, s)| row.iter().map(move |w| w / s));
            ratios.filter(|r| !(-128.5..=f32::from(NEST_CAP) + 0.5).contains(r)).count()
        } else {
            self.codes.iter().filter(|&&q| self.rule.clips(q, reading.width)).count()
        };
        let outputs = self.scale.len();
        let mean = mean_row(&exact, outputs);
        let varying: f64 =
            exact.chunks(outputs).flat_map(|row| row.iter().zip(&mean)).map(|(&y, m)| (f64::from(y) - m).powi(2)).sum();
        Ok(Quality {
            sqnr_db: decibels(energy(source.weight), error(source.weight, &weights)),
            output_db: decibels(varying, error(&exact, &got)),
            output_error: error(&exact, &got) / varying.max(f64::MIN_POSITIVE),
            saturated: saturated as f64 / self.codes.len().max(1) as f64,
        })
    }
}

/// How good one width of one layer is.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Quality {
    /// Weights: energy over squared error.
    pub sqnr_db: f64,
    /// Outputs on the calibration rows: variance over squared error.
    pub output_db: f64,
    /// The same as a ratio: squared error over variance.
    pub output_error: f64,
    /// Share of the weights beyond the range of the codes (8 bits), or of the codes clamped by the second rounding.
    pub saturated: f64,
}

fn decibels(signal: f64, noise: f64) -> f64 {
    10.0 * (signal / noise.max(f64::MIN_POSITIVE)).log10()
}

fn energy(x: &[f32]) -> f64 {
    x.iter().map(|&v| f64::from(v).powi(2)).sum()
}

fn error(x: &[f32], y: &[f32]) -> f64 {
    x.iter().zip(y).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum()
}

fn mean_row(x: &[f32], columns: usize) -> Vec<f64> {
    let mut mean = vec![0.0; columns];
    for row in x.chunks(columns) {
        for (mean, &v) in mean.iter_mut().zip(row) {
            *mean += f64::from(v);
        }
    }
    let rows = (x.len() / columns.max(1)).max(1) as f64;
    mean.iter_mut().for_each(|m| *m /= rows);
    mean
}

/// `x W' + b`.
fn products(weight: &[f32], bias: &[f32], x: &[f32], inputs: usize) -> Vec<f32> {
    let outputs = bias.len();
    // `[input][output]`, so that the inner loop is one of vectors.
    let across: Vec<f32> = (0..weight.len()).map(|n| weight[n % outputs * inputs + n / outputs]).collect();
    let mut y = Vec::with_capacity(x.len() / inputs * outputs);
    for row in x.chunks(inputs) {
        let from = y.len();
        y.extend_from_slice(bias);
        for (&x, w) in row.iter().zip(across.chunks(outputs)) {
            for (y, w) in y[from..].iter_mut().zip(w) {
                *y += x * w;
            }
        }
    }
    y
}

fn encode(w: f32, step: f32) -> i8 {
    (w / step).round_ties_even().clamp(-128.0, f32::from(NEST_CAP)) as i8
}

/// The step of a channel.
fn step(row: &[f32], settings: &Settings) -> f32 {
    let (low, high) = row.iter().fold((0.0f32, 0.0f32), |(low, high), &w| (low.min(w), high.max(w)));
    // As it is, and with the other sign.
    let (plain, flipped) = ((-low / 128.0).max(high / 119.0), (high / 128.0).max(-low / 119.0));
    let absmax = if settings.flip && flipped < plain { -flipped } else { plain };
    if absmax.abs() < f32::MIN_POSITIVE {
        return 1.0;
    }
    match settings.scale {
        Scale::Absmax => absmax,
        Scale::Sigma(sigmas) => {
            let mean = row.iter().sum::<f32>() / row.len() as f32;
            let deviation = (row.iter().map(|w| (w - mean) * (w - mean)).sum::<f32>() / row.len() as f32).sqrt();
            absmax.signum() * (sigmas * deviation / 128.0).min(absmax.abs()).max(f32::MIN_POSITIVE)
        }
        Scale::Search => {
            let score = |share: f32| {
                let step = absmax * share;
                let widths = settings.widths.iter();
                widths.map(|&width| decibels(energy(row), best_error(row, step, width, settings))).sum::<f64>()
            };
            let shares = (12..=24).rev().map(|n| n as f32 / 24.0);
            let scored = shares.map(|share| (score(share), share));
            let best = scored.fold((f64::NEG_INFINITY, 1.0), |best, this| if this.0 > best.0 { this } else { best });
            absmax * best.1
        }
    }
}

/// Squared error of a channel at a width, refitted if that is wanted.
fn best_error(row: &[f32], step: f32, width: Width, settings: &Settings) -> f64 {
    let values: Vec<f32> = row.iter().map(|&w| step * f32::from(settings.rule.value(encode(w, step), width))).collect();
    let plain = error(row, &values);
    let cross: f64 = row.iter().zip(&values).map(|(&w, &v)| f64::from(w) * f64::from(v)).sum();
    let own = energy(&values);
    if settings.refit && own > 0.0 && cross > 0.0 { energy(row) - cross * cross / own } else { plain }
}
