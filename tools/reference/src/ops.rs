//! The single operations.

/// `exp(x_i) / Σ_j exp(x_j)`; zeros for a row of only `-inf`, NaN for a row with a NaN or `+inf`.
#[must_use]
pub fn softmax(x: &[f64]) -> Vec<f64> {
    if x.iter().any(|v| v.is_nan() || (v.is_infinite() && *v > 0.0)) {
        return vec![f64::NAN; x.len()];
    }
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max.is_infinite() {
        return vec![0.0; x.len()];
    }
    let e: Vec<f64> = x.iter().map(|v| (v - max).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|e| e / sum).collect()
}

/// `ln softmax(x)`, relative accuracy also where one element dominates; `-inf` for a row of only `-inf`, NaN for a row with a
/// NaN or `+inf`.
#[must_use]
pub fn log_softmax(x: &[f64]) -> Vec<f64> {
    if x.iter().any(|v| v.is_nan() || (v.is_infinite() && *v > 0.0)) {
        return vec![f64::NAN; x.len()];
    }
    let largest = (0..x.len()).fold(0, |best, i| if x[i] > x[best] { i } else { best });
    let max = x[largest];
    if max.is_infinite() {
        return vec![max; x.len()];
    }
    let others: f64 = (0..x.len()).filter(|&i| i != largest).map(|i| (x[i] - max).exp()).sum();
    x.iter().map(|v| (v - max) - others.ln_1p()).collect()
}

/// `x * Phi(x)` with the normal distribution function `Phi`.
#[must_use]
pub fn gelu(x: f64) -> f64 {
    x * 0.5 * libm::erfc(-x / core::f64::consts::SQRT_2)
}

/// `1 / (1 + e^-x)`.
#[must_use]
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `(x - mean) / sqrt(variance + 1e-5) * weight + bias`, the variance biased.
#[must_use]
pub fn layer_norm(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let n = x.len() as f64;
    // From the first element on: of equal elements nothing is left, however large they are.
    let x: Vec<f64> = x.iter().map(|v| v - x[0]).collect();
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / (variance + 1e-5).sqrt();
    x.iter().zip(weight).zip(bias).map(|((v, w), b)| (v - mean) * scale * w + b).collect()
}

/// `y_o = bias_o + Σ_i x_i weight[i][o]`.
#[must_use]
pub fn linear(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let mut y = bias.to_vec();
    for (i, x) in x.iter().enumerate() {
        for (o, y) in y.iter_mut().enumerate() {
            *y += x * weight[i * bias.len() + o];
        }
    }
    y
}
