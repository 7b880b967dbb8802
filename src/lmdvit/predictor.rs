//! The paper's confidence predictor: two logits a position, averaged over windows.
//!
//! ```text
//! h = fc2(LN(gelu(fc1(x))))                 split in a local half and one averaged over the whole map
//! l = fc5(gelu(fc4(gelu(fc3([local, mean])))))
//! keep the window iff mean(l0 - l1) > ln(beta / (1 - beta))
//! ```

use super::block::linear;
use super::config::Config;
use super::layout::Grid;
use super::weights::Weights;
use crate::backend::Dispatch;
use crate::nn::conv::PATCHES;
use crate::nn::matmul::Start;
use crate::nn::{LayerNorm, copy, gelu_f32_in_place_on};

/// The weights of a predictor.
pub(crate) struct Predictor<'m> {
    channels: usize,
    norm: LayerNorm<'m>,
    fc1: (&'m [f32], &'m [f32]),
    fc2: (&'m [f32], &'m [f32]),
    fc3: (&'m [f32], &'m [f32]),
    fc4: (&'m [f32], &'m [f32]),
    fc5: (&'m [f32], &'m [f32]),
}

impl<'m> Predictor<'m> {
    /// Predictor `b` of stage `k`; `None` never happens after the weights were checked.
    pub(crate) fn new(config: &Config, weights: &Weights<'m>, k: usize, b: usize) -> Option<Self> {
        let start = config.predictor_start(k, b);
        let pair = |i: usize| (weights.get(start + i), weights.get(start + i + 1));
        Some(Self {
            channels: config.width(k),
            norm: weights.norm(start + 2)?,
            fc1: pair(0),
            fc2: pair(4),
            fc3: pair(6),
            fc4: pair(8),
            fc5: pair(10),
        })
    }

    /// Gives `logits(y, x, [keep, prune])` for each position of the grid and returns the multiply-accumulates done.
    ///
    /// `local`: `positions x channels / 2` elements of room.
    pub(crate) fn run<D: Dispatch>(
        &self,
        d: D,
        grid: &Grid,
        features: &[f32],
        local: &mut [f32],
        scratch: &mut [f32],
        mut logits: impl FnMut(usize, usize, [f32; 2]),
    ) -> Option<u64> {
        let c = self.channels;
        let (half, quarter) = (c / 2, c / 4);
        if half == 0 {
            return None; // never: the configuration was checked
        }
        let (a, rest) = scratch.split_at_mut_checked(PATCHES * c)?;
        let (b, rest) = rest.split_at_mut_checked(PATCHES * c)?;
        let mean = rest.get_mut(..c - half)?;
        mean.fill(0.0);
        let mut macs = 0;

        let mut positions = grid.iter();
        let mut locals = local.chunks_exact_mut(half);
        loop {
            let mut held = 0;
            for (token, (y, x)) in a.chunks_exact_mut(c.max(1)).zip(&mut positions) {
                copy(grid.get(features, y, x), token);
                held += 1;
            }
            if held == 0 {
                break;
            }
            let (a, b) = (a.get_mut(..held * c)?, b.get_mut(..held * c)?);
            macs += linear(d, held, (a, c), (self.fc1.0, c), Start::Bias(self.fc1.1), (b, c));
            gelu_f32_in_place_on(d, b);
            self.norm.run_on(d, b, a).ok()?;
            macs += linear(d, held, (a, c), (self.fc2.0, c), Start::Bias(self.fc2.1), (b, c));
            for (token, local) in b.chunks_exact(c.max(1)).zip(&mut locals) {
                let (near, far) = token.split_at_checked(half)?;
                copy(near, local);
                for (mean, &v) in mean.iter_mut().zip(far) {
                    *mean += v;
                }
            }
        }
        let share = 1.0 / grid.positions() as f32;
        for mean in mean.iter_mut() {
            *mean *= share;
        }

        let mut positions = grid.iter();
        let mut locals = local.chunks_exact(half);
        loop {
            let mut held = 0;
            for (token, local) in a.chunks_exact_mut(c.max(1)).zip(&mut locals) {
                let (near, far) = token.split_at_mut_checked(half)?;
                copy(local, near);
                copy(mean, far);
                held += 1;
            }
            if held == 0 {
                return Some(macs);
            }
            macs += linear(d, held, (a, c), (self.fc3.0, half), Start::Bias(self.fc3.1), (b, half));
            gelu_f32_in_place_on(d, b.get_mut(..held * half)?);
            macs += linear(d, held, (b, half), (self.fc4.0, quarter), Start::Bias(self.fc4.1), (a, quarter));
            gelu_f32_in_place_on(d, a.get_mut(..held * quarter)?);
            macs += linear(d, held, (a, quarter), (self.fc5.0, 2), Start::Bias(self.fc5.1), (b, 2));
            for (pair, (y, x)) in b.chunks_exact(2).take(held).zip(&mut positions) {
                logits(y, x, *pair.first_chunk()?);
            }
        }
    }
}
