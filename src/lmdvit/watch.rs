//! A look inside a run, for tests and debugging.

use super::layout::Grid;

/// What is told of a run on the way. `()` watches nothing and costs nothing.
pub trait Watch {
    /// Compute every feature, also those that nothing will read.
    const DENSE: bool = false;
    /// Visit the windows of each block from the last to the first; the result must be the same.
    const REVERSE: bool = false;

    /// The logits of all cells, row by row, before the threshold.
    fn cell_logits(&mut self, _logits: &[f32]) {}

    /// The features after the first convolution.
    fn in_proj(&mut self, _features: Features<'_>) {}

    /// The predictor's logits, keep and prune, at a position of stage `stage`.
    fn predictor(&mut self, _stage: usize, _predictor: usize, _y: usize, _x: usize, _logits: [f32; 2]) {}

    /// A window, row by row through the (shifted) grid unless reversed, is about to run or not.
    fn window(&mut self, _stage: usize, _block: usize, _active: bool) {}

    /// The features after a block.
    fn block(&mut self, _stage: usize, _block: usize, _features: Features<'_>) {}
}

impl Watch for () {}

/// The features of one stage.
#[derive(Clone, Copy, Debug)]
pub struct Features<'f> {
    pub(crate) grid: Grid,
    pub(crate) features: &'f [f32],
}

impl<'f> Features<'f> {
    /// Rows of positions.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.grid.height
    }

    /// Positions in a row.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.grid.width
    }

    /// The channels of a position; empty outside.
    #[must_use]
    pub fn at(&self, y: usize, x: usize) -> &'f [f32] {
        if y < self.grid.height && x < self.grid.width { self.grid.get(self.features, y, x) } else { &[] }
    }
}
