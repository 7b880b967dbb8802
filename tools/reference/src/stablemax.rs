//! StableMax, its loss and gradient, and ⊥Grad (Prieto et al. 2025, arXiv 2501.04697).

/// `1 + x` from 0 on, `1 / (1 - x)` below.
#[must_use]
pub fn s(x: f64) -> f64 {
    if x < 0.0 { 1.0 / (1.0 - x) } else { 1.0 + x }
}

/// `s(x_i) / Σ_j s(x_j)`; zeros for a row of only `-inf`, NaN for a row with a NaN or `+inf`.
#[must_use]
pub fn stablemax(x: &[f64]) -> Vec<f64> {
    if x.iter().any(|v| v.is_nan() || (v.is_infinite() && *v > 0.0)) {
        return vec![f64::NAN; x.len()];
    }
    let sum: f64 = x.iter().map(|&v| s(v)).sum();
    x.iter().map(|&v| if sum > 0.0 { s(v) / sum } else { 0.0 }).collect()
}

/// `ln` of [`stablemax`], `-inf` for 0.
#[must_use]
pub fn log_stablemax(x: &[f64]) -> Vec<f64> {
    stablemax(x).into_iter().map(f64::ln).collect()
}

/// `-ln stablemax(x)_target`.
#[must_use]
pub fn cross_entropy(x: &[f64], target: usize) -> f64 {
    // ln (1 + others / s) keeps what a quotient near 1 would lose.
    let others: f64 = x.iter().enumerate().filter(|(i, _)| *i != target).map(|(_, &v)| s(v)).sum();
    (others / s(x[target])).ln_1p()
}

/// The derivative of [`cross_entropy`] with respect to each logit: `s'(x_k) / S - [k = target] / (1 + |x_k|)`.
#[must_use]
pub fn cross_entropy_gradient(x: &[f64], target: usize) -> Vec<f64> {
    let sum: f64 = x.iter().map(|&v| s(v)).sum();
    let others: f64 = x.iter().enumerate().filter(|(i, _)| *i != target).map(|(_, &v)| s(v)).sum();
    let slope = |v: f64| if v < 0.0 { s(v) * s(v) } else { 1.0 };
    let one = |(k, &v): (usize, &f64)| {
        // s' / S - s' / s is -(s' / s) (S - s) / S
        if k == target { -others / sum / (1.0 + v.abs()) } else { slope(v) / sum }
    };
    x.iter().enumerate().map(one).collect()
}

/// `g - (w·g / w·w) w`; with `keep_norm` as long as `g` was.
#[must_use]
pub fn perp_grad(w: &[f64], g: &[f64], keep_norm: bool) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let part = if dot(w, w) > 0.0 { dot(w, g) / dot(w, w) } else { 0.0 };
    let perp: Vec<f64> = w.iter().zip(g).map(|(w, g)| g - part * w).collect();
    let scale = if keep_norm { (dot(g, g) / dot(&perp, &perp)).sqrt() } else { 1.0 };
    perp.iter().map(|v| v * scale).collect()
}
