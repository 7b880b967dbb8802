//! Softmax of integers: the exact probabilities in f64, and TFLite's 16-bit rule step by step.

use crate::ops;

/// `exp(unit x_i) / Σ_j exp(unit x_j)`.
#[must_use]
pub fn softmax(x: &[i64], unit: f64) -> Vec<f64> {
    // The difference is exact in integers, and would not be in f64.
    let max = x.iter().copied().max().unwrap_or(0);
    ops::softmax(&x.iter().map(|x| (x - max) as f64 * unit).collect::<Vec<_>>())
}

/// `s(unit x_i) / Σ_j s(unit x_j)` with `s(x) = 1 + x` or, below 0, `1 / (1 - x)`.
#[must_use]
pub fn stablemax(x: &[i64], unit: f64) -> Vec<f64> {
    let s = |&x: &i64| {
        let x = x as f64 * unit;
        if x >= 0.0 { 1.0 + x } else { 1.0 / (1.0 - x) }
    };
    let sum: f64 = x.iter().map(s).sum();
    x.iter().map(|x| s(x) / sum).collect()
}

/// Softmax of one row as TFLite's reference kernel for i16 computes it.
#[derive(Debug)]
pub struct TfliteS16 {
    exp: Vec<i64>,
    reciprocal: Vec<i64>,
}

impl Default for TfliteS16 {
    fn default() -> Self {
        Self { exp: table(|x| f64::from(x).exp() as f32, -10.0, 0.0), reciprocal: table(|x| 1.0 / (1.0 + x), 0.0, 1.0) }
    }
}

impl TfliteS16 {
    /// `scale * beta / (10 / 65535) = multiplier / 2^31 * 2^shift`.
    #[must_use]
    pub fn row(&self, x: &[i16], multiplier: i32, shift: i32) -> Vec<i16> {
        let max = i64::from(x.iter().copied().max().unwrap_or(0));
        let exp: Vec<i64> = x
            .iter()
            .map(|&x| {
                let shifted = i128::from(i64::from(x) - max) << shift.max(0);
                // The reference would overflow; the table ends long before.
                let shifted = shifted.max(-(1 << 31));
                let product = (shifted * i128::from(multiplier) + (1 << 30)) >> 31;
                let scaled = divide_by_power_of_two(product as i64, (-shift).max(0));
                look_up(&self.exp, (scaled + 32_767).clamp(-32_768, 32_767))
            })
            .collect();
        let sum: i64 = exp.iter().sum();
        let headroom_plus_one = (sum as u32).leading_zeros();
        let shifted_sum = ((sum << (headroom_plus_one - 1)) + (1 << 13)) >> 14;
        let symmetric = (shifted_sum - (1 << 15) - (1 << 16)).clamp(-32_768, 32_767);
        let reciprocal = look_up(&self.reciprocal, symmetric);
        let shift = 31 - headroom_plus_one;
        exp.iter().map(|e| ((e * reciprocal + (1 << (shift - 1))) >> shift).clamp(-32_768, 32_767) as i16).collect()
    }
}

/// To nearest, ties away from zero.
fn divide_by_power_of_two(x: i64, exponent: i32) -> i64 {
    let half = (1i64 << exponent) / 2;
    if x < 0 { -((-x + half) >> exponent) } else { (x + half) >> exponent }
}

fn look_up(table: &[i64], value: i64) -> i64 {
    let index = (256 + (value >> 7)) as usize;
    let slope = table[index + 1] - table[index];
    table[index] + ((slope * (value & 127) + 64) >> 7)
}

/// In f32, as the reference.
fn table(f: impl Fn(f32) -> f32, from: f32, to: f32) -> Vec<i64> {
    let step = (to - from) / 512.0;
    let mut entries: Vec<i64> = (0..512)
        .map(|i| {
            let x = from + i as f32 * step;
            let sample = (f(x) * 32_768.0).round();
            let interpolated = ((f(from + (i + 1) as f32 * step) * 32_768.0 + sample) / 2.0).round();
            let middle = (f(x + step / 2.0) * 32_768.0).round();
            (sample - ((interpolated - middle) / 2.0).round()).clamp(-32_768.0, 32_767.0) as i64
        })
        .collect();
    entries.push((f(to) * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i64);
    entries
}
