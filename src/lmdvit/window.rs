//! Windows of a grid: gathered from the features and scattered back.

use super::layout::Grid;
use crate::nn::attention::Seam;
use crate::nn::copy;

/// A window: its place in the (perhaps shifted) grid of windows of a level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) y: usize,
    pub(crate) x: usize,
    /// Windows start half a window further down and right, and wrap round.
    pub(crate) shifted: bool,
    pub(crate) side: usize,
}

impl Window {
    /// Positions of its tokens in the grid.
    #[inline(always)]
    pub(crate) fn positions(self, grid: &Grid) -> impl Iterator<Item = (usize, usize)> + use<> {
        let shift = if self.shifted { self.side / 2 } else { 0 };
        let (top, left) = (self.y * self.side + shift, self.x * self.side + shift);
        let (height, width, side) = (grid.height, grid.width, self.side);
        (0..side).flat_map(move |ty| {
            let y = top + ty;
            let y = if y >= height { y - height } else { y };
            (0..side).map(move |tx| {
                let x = left + tx;
                (y, if x >= width { x - width } else { x })
            })
        })
    }

    /// Where it wraps round the image.
    pub(crate) fn seam(self, grid: &Grid) -> Seam {
        let cut = |at: usize, windows: usize| if self.shifted && at + 1 == windows { self.side / 2 } else { self.side };
        Seam { row: cut(self.y, grid.height / self.side.max(1)), col: cut(self.x, grid.width / self.side.max(1)) }
    }

    pub(crate) fn gather(self, grid: &Grid, features: &[f32], tokens: &mut [f32]) {
        for ((y, x), token) in self.positions(grid).zip(tokens.chunks_exact_mut(grid.channels.max(1))) {
            copy(grid.get(features, y, x), token);
        }
    }

    pub(crate) fn scatter(self, grid: &Grid, tokens: &[f32], features: &mut [f32]) {
        for ((y, x), token) in self.positions(grid).zip(tokens.chunks_exact(grid.channels.max(1))) {
            copy(token, grid.get_mut(features, y, x));
        }
    }
}
