//! What is searched for a layer: the error is that of its output (plain mean of squares), as in AdaLog's own calibration.
//! Every quantizer, baselines included, is searched with its own forward function.

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use scrimp::Rows;
use scrimp::quant::GELU_SHIFT;

use super::fpcs::{percentile, search};
use super::quantizers::{Gelu, Kind, Parameters, Softmax};
use crate::encoder::Dense;

/// One head of one input.
#[derive(Debug)]
pub struct Head {
    /// `[query][key]`, before the softmax.
    pub scores: Vec<f32>,
    /// `[key][channel]`.
    pub values: Vec<f32>,
    /// Queries and keys.
    pub rows: Rows,
}

impl Head {
    fn channels(&self) -> usize {
        self.values.len() / self.rows.cols()
    }

    /// The sum of squares of `(quantized - exact) v`.
    fn error(&self, exact: &[f32], softmax: &Softmax) -> Result<f64> {
        let mut y = self.scores.clone();
        softmax.apply(&mut y, self.rows)?;
        y.iter_mut().zip(exact).for_each(|(y, e)| *y -= e);
        let channels = self.channels();
        let (none, mut out) = (vec![0.0; channels], vec![0.0; self.rows.rows() * channels]);
        let values = scrimp::nn::Linear::new(&self.values, &none, Rows::new(self.rows.cols(), channels)?)?;
        values.run(&y, &mut out, self.rows.rows())?;
        Ok(squares(&out))
    }
}

fn squares(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v) * f64::from(v)).sum()
}

/// An attention, of all inputs.
#[derive(Debug)]
pub struct Attention {
    /// All heads that it is searched on.
    pub heads: Vec<Head>,
}

/// Bases that are tried.
fn bases(kind: Kind, bits: u32) -> Vec<u32> {
    // Small bases are of use with many codes, and for codes that start at the maximum.
    let first = if kind == Kind::Ours || bits >= 6 { 1 } else { 10 };
    (first..=137).collect()
}

impl Attention {
    fn outputs(&self) -> f64 {
        self.heads.iter().map(|head| head.rows.rows() * head.channels()).sum::<usize>() as f64
    }

    fn error(&self, exact: &[Vec<f32>], parameters: &Parameters) -> f64 {
        let Ok(softmax) = Softmax::new(parameters) else { return f64::INFINITY };
        let heads = self.heads.par_iter().zip(exact);
        heads.map(|(head, exact)| head.error(exact, &softmax).unwrap_or(f64::INFINITY)).sum()
    }

    /// The error by base, for a plot: `(q, mean square error)`.
    #[must_use]
    pub fn curve(&self, kind: Kind, bits: u32) -> Vec<(f64, f64)> {
        let exact = self.exact();
        let outputs = self.outputs();
        let all: Vec<u32> = (1..=137).collect();
        all.par_iter()
            .map(|&q| {
                let parameters = Parameters { kind, bits, scale: 1.0, q, zero_point: 0 };
                (f64::from(q), self.error(&exact, &parameters) / outputs)
            })
            .collect()
    }

    fn exact(&self) -> Vec<Vec<f32>> {
        let softmax = |head: &Head| {
            let mut exact = head.scores.clone();
            // The shape is the constructor's.
            let _ = scrimp::softmax_f32_in_place(&mut exact, head.rows);
            exact
        };
        self.heads.iter().map(softmax).collect()
    }

    /// The best parameters and their mean square error.
    ///
    /// # Errors
    /// If there is nothing to search.
    pub fn search(&self, kind: Kind, bits: u32) -> Result<(Parameters, f64)> {
        ensure!(!self.heads.is_empty(), "no scores or no values");
        let exact = self.exact();
        let of = |scale, q| Parameters { kind, bits, scale, q, zero_point: 0 };
        let outputs = self.outputs();
        let (parameters, error) = match kind {
            Kind::AdaLog | Kind::Ours => {
                let all = bases(kind, bits);
                let errors = all.par_iter().map(|&q| (of(1.0, q), self.error(&exact, &of(1.0, q))));
                errors.min_by(|a, b| a.1.total_cmp(&b.1)).context("no bases")?
            }
            Kind::Uniform | Kind::Log2 | Kind::LogSqrt2 => {
                let all = exact.concat();
                let most = all.iter().copied().fold(0.0, f32::max);
                let least = percentile(&all, 99.0).max(f64::from(most) / 64.0);
                let steps = if kind == Kind::Uniform { f64::from((1u32 << bits) - 1) } else { 1.0 };
                let range = least / steps..f64::from(most) / steps;
                let found = search(&[()], range, 16, |scale, ()| self.error(&exact, &of(scale, 0)));
                let found = found.context("no scale has a finite error")?;
                (of(found.scale, 0), found.error)
            }
        };
        Ok((parameters, error / outputs))
    }
}

/// A linear layer behind a GELU.
#[derive(Debug)]
pub struct Linear {
    inputs: Vec<f32>,
    /// Without its bias.
    layer: Dense,
}

impl Linear {
    /// A layer of GELU's outputs, `[token][input]`, and weights, `[output][input]`.
    #[must_use]
    pub fn new(inputs: Vec<f32>, weights: Vec<f32>, width: usize) -> Self {
        let outputs = weights.len() / width;
        Self { inputs, layer: Dense::new(weights, vec![0.0; outputs]) }
    }

    fn error(&self, parameters: &Parameters) -> f64 {
        let Ok(gelu) = Gelu::new(parameters) else { return f64::INFINITY };
        let (width, outputs) = (self.layer.inputs(), self.layer.bias.len());
        let error = |x: &[f32]| -> Result<f64> {
            let (mut y, rows) = (x.to_vec(), x.len() / width);
            gelu.apply(&mut y)?;
            y.iter_mut().zip(x).for_each(|(y, x)| *y -= x);
            let mut out = vec![0.0; rows * outputs];
            self.layer.run(&y, &mut out, rows)?;
            Ok(squares(&out))
        };
        self.inputs.par_chunks(32 * width).map(|x| error(x).unwrap_or(f64::INFINITY)).sum()
    }

    /// The best parameters and their mean square error.
    ///
    /// # Errors
    /// If there is nothing to search.
    pub fn search(&self, kind: Kind, bits: u32) -> Result<(Parameters, f64)> {
        ensure!(!self.inputs.is_empty() && !self.layer.bias.is_empty(), "no inputs or no weights");
        let outputs = (self.inputs.len() / self.layer.inputs() * self.layer.bias.len()) as f64;
        let positive: Vec<f32> = self.inputs.iter().copied().filter(|&x| x > 0.0).collect();
        let most = percentile(&positive, 100.0).max(1e-3);
        // Large outliers may be worth clipping: down to the 90th percentile of what is positive.
        let least = percentile(&positive, 90.0).clamp(most / 64.0, most);
        let shifted = least + GELU_SHIFT..most + GELU_SHIFT;
        let of = |scale, q, zero_point| Parameters { kind, bits, scale, q, zero_point };
        let found = match kind {
            Kind::Uniform => {
                let steps = f64::from((1u32 << bits) - 1);
                let zero =
                    |scale: f64, off: i32| ((GELU_SHIFT / scale).round() as i32 + off).clamp(0, (1 << bits) - 1) as u8;
                let range = shifted.start / steps..shifted.end / steps;
                let found = search(&[-1, 0, 1], range, 16, |scale, off| self.error(&of(scale, 0, zero(scale, off))));
                found.map(|found| (of(found.scale, 0, zero(found.scale, found.x)), found.error))
            }
            Kind::Log2 | Kind::LogSqrt2 => {
                let found = search(&[()], shifted, 32, |scale, ()| self.error(&of(scale, 0, 0)));
                found.map(|found| (of(found.scale, 0, 0), found.error))
            }
            Kind::AdaLog | Kind::Ours => {
                // The best eight bases at the largest scale first, then both together.
                let all = bases(Kind::AdaLog, bits);
                let errors = all.par_iter().map(|&q| (self.error(&of(shifted.end, q, 0)), q));
                let mut errors: Vec<_> = errors.collect();
                errors.sort_by(|a, b| a.0.total_cmp(&b.0));
                let mut few: Vec<u32> = errors.iter().take(8).map(|&(_, q)| q).collect();
                let mut best = None;
                for _ in 0..2 {
                    let found = search(&few, shifted.clone(), 32, |scale, q| self.error(&of(scale, q, 0)));
                    let Some(found) = found else { break };
                    if best.is_none_or(|(_, error)| found.error < error) {
                        best = Some((of(found.scale, found.x, 0), found.error));
                    }
                    // Once more with the bases that are best at that scale.
                    let errors = all.par_iter().map(|&q| (self.error(&of(found.scale, q, 0)), q));
                    let mut errors: Vec<_> = errors.collect();
                    errors.sort_by(|a, b| a.0.total_cmp(&b.0));
                    few = errors.iter().take(8).map(|&(_, q)| q).collect();
                }
                best
            }
        };
        let (parameters, error) = found.context("no candidate has a finite error")?;
        Ok((parameters, error / outputs))
    }
}

/// A uniform quantizer for a tensor by its own mean square error; gives scale and zero point.
///
/// # Errors
/// If the tensor has no range.
pub fn own_error(values: &[f32], bits: u32) -> Result<(f64, u8)> {
    uniform(values, bits, |_| 1.0)
}

/// As [`own_error`] with a weight for each element, by its index.
///
/// # Errors
/// If the tensor has no range.
pub fn uniform(values: &[f32], bits: u32, weight: impl Fn(usize) -> f64 + Sync) -> Result<(f64, u8)> {
    let steps = f64::from((1u32 << bits) - 1);
    let (low, high) = (percentile(values, 0.0), percentile(values, 100.0));
    ensure!(high > low, "a tensor is constant");
    let least = (percentile(values, 90.0) - percentile(values, 10.0)).max((high - low) / 16.0);
    let middle = 1 << (bits - 1);
    let half = (middle / 2).min(8);
    let zero_points: Vec<u8> = (middle - half..middle + half).map(|z| z as u8).collect();
    let most = (1i32 << bits) - 1;
    let error = |scale: f64, zero: u8| {
        let quantized = |v: f32| {
            let code = ((f64::from(v) / scale).round_ties_even() as i32 + i32::from(zero)).clamp(0, most);
            f64::from(code - i32::from(zero)) * scale
        };
        values.iter().enumerate().map(|(i, &v)| weight(i) * (quantized(v) - f64::from(v)).powi(2)).sum::<f64>()
    };
    let found = search(&zero_points, least / steps..(high - low) / steps, 16, error).context("no candidate")?;
    Ok((found.scale, found.x))
}
