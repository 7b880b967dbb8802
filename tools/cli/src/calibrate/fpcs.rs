//! The search of AdaLog (Wu et al. 2024, arXiv 2407.12951): a coarse grid over (scale, x), where x is a zero point or a base,
//! and then a beam whose scales are refined.
//!
//! Ours: the beam's own members stay candidates, so that the error never rises from step to step.

use core::ops::Range;

use rayon::prelude::*;

/// Candidates of a step.
pub const CANDIDATES: usize = 128;
/// Steps, the grid included.
pub const STEPS: usize = 6;

/// What the search found.
#[derive(Clone, Copy, Debug)]
pub struct Found<X> {
    /// The scale.
    pub scale: f64,
    /// Zero point or base.
    pub x: X,
    /// Its error.
    pub error: f64,
}

/// Searches scales in `scales` and all of `xs`; `beam` candidates survive a step. `None` if there is nothing to search.
pub fn search<X: Copy + Send + Sync>(
    xs: &[X],
    scales: Range<f64>,
    beam: usize,
    error: impl Fn(f64, X) -> f64 + Sync,
) -> Option<Found<X>> {
    let count = (CANDIDATES / xs.len().max(1)).max(1);
    let spacing = (scales.end - scales.start) / (count.max(2) - 1) as f64;
    let grid = xs.iter().flat_map(|&x| (0..count).map(move |i| (i, x)));
    let grid: Vec<_> = grid.map(|(i, x)| (scales.start + spacing * i as f64, x)).collect();
    let mut kept = best(grid, beam, &error);
    let mut spacing = spacing;
    for _ in 1..STEPS {
        let width = (CANDIDATES / beam).max(2);
        let offsets: Vec<f64> = (0..width).map(|i| spacing * (i as f64 / (width - 1) as f64 - 0.5)).collect();
        let refined: Vec<_> = kept
            .iter()
            .flat_map(|found| offsets.iter().map(|offset| (found.scale + offset, found.x)))
            .filter(|(scale, _)| *scale > 0.0)
            .collect();
        kept.extend(best(refined, beam, &error));
        kept.sort_by(|a, b| a.error.total_cmp(&b.error));
        kept.truncate(beam);
        spacing /= width as f64 - 0.5;
    }
    kept.first().copied()
}

fn best<X: Copy + Send + Sync>(
    candidates: Vec<(f64, X)>,
    keep: usize,
    error: &(impl Fn(f64, X) -> f64 + Sync),
) -> Vec<Found<X>> {
    let mut all: Vec<_> =
        candidates.into_par_iter().map(|(scale, x)| Found { scale, x, error: error(scale, x) }).collect();
    all.retain(|found| found.error.is_finite());
    all.sort_by(|a, b| a.error.total_cmp(&b.error));
    all.truncate(keep);
    all
}

/// The value below which `percent` of `values` lie.
#[must_use]
pub fn percentile(values: &[f32], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    let at = ((sorted.len().max(1) - 1) as f64 * percent / 100.0).round() as usize;
    if sorted.is_empty() {
        return 0.0;
    }
    let (_, value, _) = sorted.select_nth_unstable_by(at, f32::total_cmp);
    f64::from(*value)
}

#[cfg(test)]
mod tests {
    use super::{percentile, search};

    #[test]
    fn it_finds_a_minimum() {
        let found = search(&[1.0, 2.0, 3.0], 0.5..4.5, 16, |scale, x: f64| (scale - 1.234).powi(2) + (x - 2.0).powi(2));
        let found = found.expect("there are candidates");
        assert!((found.scale - 1.234).abs() < 1e-4 && (found.x - 2.0).abs() < 1e-9, "{found:?}");
        let none: [f64; 0] = [];
        assert!(search(&none, 0.0..1.0, 16, |_, _| 0.0).is_none());
    }

    #[test]
    fn percentiles() {
        let values: Vec<f32> = (0..=100).rev().map(|i| i as f32).collect();
        for percent in [0.0, 10.0, 90.0, 100.0] {
            assert!((percentile(&values, percent) - percent).abs() < 1e-9);
        }
    }
}
