//! Convolutions as matrix products over patches: whoever knows the input fills the patch, four output pixels at a time.

use super::matmul::{MatMul, Start};
use crate::backend::Dispatch;

/// Output pixels whose patches are held at once.
pub(crate) const PATCHES: usize = 4;

/// A convolution's weights `[kernel][kernel][input][output]` and bias.
#[derive(Clone, Copy)]
pub(crate) struct Conv<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    /// Elements of a patch: `kernel * kernel * inputs`.
    pub(crate) patch: usize,
    pub(crate) outputs: usize,
}

impl Conv<'_> {
    /// Scratch for the patches and results of [`PATCHES`] pixels.
    pub(crate) const fn scratch(patch: usize, outputs: usize) -> usize {
        PATCHES * (patch + outputs)
    }

    /// Computes the pixels that `pixels` yields: `fill(pixel, patch)` gathers the input, `take(pixel, outputs)` uses
    /// the result. Returns the multiply-accumulates done.
    pub(crate) fn run<D: Dispatch>(
        &self,
        d: D,
        scratch: &mut [f32],
        pixels: impl Iterator<Item = (usize, usize)>,
        mut fill: impl FnMut((usize, usize), &mut [f32]),
        mut take: impl FnMut((usize, usize), &mut [f32]),
    ) -> u64 {
        let (patch, outputs) = (self.patch.max(1), self.outputs.max(1));
        let Some((patches, results)) = scratch.split_at_mut_checked(PATCHES * patch) else { return 0 };
        let mut at = [(0, 0); PATCHES];
        let mut macs = 0;
        let mut pixels = pixels.fuse();
        loop {
            let mut held = 0;
            for ((at, patch), pixel) in at.iter_mut().zip(patches.chunks_exact_mut(patch)).zip(&mut pixels) {
                *at = pixel;
                fill(pixel, patch);
                held += 1;
            }
            if held == 0 {
                return macs;
            }
            d.dispatch(MatMul {
                x: patches,
                x_stride: patch,
                w: self.weight,
                w_stride: outputs,
                start: Start::Bias(self.bias),
                y: results,
                y_stride: outputs,
                rows: held,
                inputs: patch,
                outputs,
            });
            macs += (held * patch * outputs) as u64;
            for (&pixel, result) in at.iter().zip(results.chunks_exact_mut(outputs)).take(held) {
                take(pixel, result);
            }
        }
    }
}
