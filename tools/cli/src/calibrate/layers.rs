//! What is searched for a layer: the error is that of its output (plain mean of squares), as in AdaLog's own calibration.
//! Every quantizer, baselines included, is searched with its own forward function.

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use scrimp::Rows;
use scrimp::quant::GELU_SHIFT;

use super::fpcs::{percentile, search};
use super::quantizers::{Gelu, Kind, Parameters, Softmax};

/// Heads of an attention: scores and values.
#[derive(Debug)]
pub struct Attention {
    /// `[head][query][key]`, before the softmax.
    pub scores: Vec<f32>,
    /// `[head][key][channel]`.
    pub values: Vec<f32>,
    /// Queries and keys of a head.
    pub rows: Rows,
}

/// Bases that are tried.
fn bases(kind: Kind, bits: u32) -> Vec<u32> {
    // Small bases are of use with many codes, and for codes that start at the maximum.
    let first = if kind == Kind::Ours || bits >= 6 { 1 } else { 10 };
    (first..=137).collect()
}

impl Attention {
    fn heads(&self) -> usize {
        self.scores.len() / self.rows.elements()
    }

    fn channels(&self) -> usize {
        self.values.len() / (self.heads() * self.rows.cols())
    }

    /// The sum of squares of `(quantized - exact) v`.
    fn error(&self, exact: &[f32], parameters: &Parameters) -> f64 {
        let Ok(softmax) = Softmax::new(parameters) else { return f64::INFINITY };
        let (cols, channels) = (self.rows.cols(), self.channels());
        let heads = self.scores.par_chunks(self.rows.elements()).zip(exact.par_chunks(self.rows.elements()));
        heads
            .zip(self.values.par_chunks(cols * channels))
            .map(|((scores, exact), values)| {
                let mut y = scores.to_vec();
                if softmax.apply(&mut y, self.rows).is_err() {
                    return f64::INFINITY;
                }
                y.iter_mut().zip(exact).for_each(|(y, e)| *y -= e);
                let mut sum = 0.0;
                for row in y.chunks(cols) {
                    let mut out = vec![0.0f32; channels];
                    for (&y, v) in row.iter().zip(values.chunks(channels)) {
                        if y.to_bits() << 1 != 0 {
                            out.iter_mut().zip(v).for_each(|(out, v)| *out += y * v);
                        }
                    }
                    sum += out.iter().map(|&out| f64::from(out) * f64::from(out)).sum::<f64>();
                }
                sum
            })
            .sum::<f64>()
    }

    /// The error by base, for a plot: `(q, mean square error)`.
    #[must_use]
    pub fn curve(&self, kind: Kind, bits: u32) -> Vec<(f64, f64)> {
        let exact = self.exact();
        let outputs = (self.heads() * self.rows.rows() * self.channels()) as f64;
        let all: Vec<u32> = (1..=137).collect();
        all.par_iter()
            .map(|&q| {
                let parameters = Parameters { kind, bits, scale: 1.0, q, zero_point: 0 };
                (f64::from(q), self.error(&exact, &parameters) / outputs)
            })
            .collect()
    }

    fn exact(&self) -> Vec<f32> {
        let mut exact = self.scores.clone();
        for head in exact.chunks_mut(self.rows.elements()) {
            // The shape is the constructor's.
            let _ = scrimp::softmax_f32_in_place(head, self.rows);
        }
        exact
    }

    /// The best parameters and their mean square error.
    ///
    /// # Errors
    /// If there is nothing to search.
    pub fn search(&self, kind: Kind, bits: u32) -> Result<(Parameters, f64)> {
        ensure!(!self.scores.is_empty() && !self.values.is_empty(), "no scores or no values");
        let exact = self.exact();
        let of = |scale, q| Parameters { kind, bits, scale, q, zero_point: 0 };
        let outputs = (self.heads() * self.rows.rows() * self.channels()) as f64;
        let (parameters, error) = match kind {
            Kind::AdaLog | Kind::Ours => {
                let all = bases(kind, bits);
                let errors = all.par_iter().map(|&q| (of(1.0, q), self.error(&exact, &of(1.0, q))));
                errors.min_by(|a, b| a.1.total_cmp(&b.1)).context("no bases")?
            }
            Kind::Uniform | Kind::Log2 | Kind::LogSqrt2 => {
                let most = exact.iter().copied().fold(0.0, f32::max);
                let least = percentile(&exact, 99.0).max(f64::from(most) / 64.0);
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
    /// Outputs of GELU, `[token][input]`.
    pub inputs: Vec<f32>,
    /// `[output][input]`.
    pub weights: Vec<f32>,
    /// Number of inputs.
    pub width: usize,
}

impl Linear {
    fn error(&self, parameters: &Parameters) -> f64 {
        let Ok(gelu) = Gelu::new(parameters) else { return f64::INFINITY };
        self.inputs
            .par_chunks(self.width)
            .map(|x| {
                let mut y = x.to_vec();
                if gelu.apply(&mut y).is_err() {
                    return f64::INFINITY;
                }
                y.iter_mut().zip(x).for_each(|(y, x)| *y -= x);
                let dot = |w: &[f32]| w.iter().zip(&y).map(|(w, y)| w * y).sum::<f32>();
                self.weights.chunks(self.width).map(|w| f64::from(dot(w)).powi(2)).sum::<f64>()
            })
            .sum()
    }

    /// The best parameters and their mean square error.
    ///
    /// # Errors
    /// If there is nothing to search.
    pub fn search(&self, kind: Kind, bits: u32) -> Result<(Parameters, f64)> {
        ensure!(!self.inputs.is_empty() && !self.weights.is_empty(), "no inputs or no weights");
        let outputs = (self.inputs.len() / self.width * (self.weights.len() / self.width)) as f64;
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
