//! Runs a form over the rows of a matrix, apart or in place, packed or with strides.

use crate::backend::{Backend, Dispatch, InOut, Kernel};
use crate::error::{Arg, Error};
use crate::shape::Rows;

/// What is done to each row.
pub(super) trait RowWork {
    /// Row number `index`; `row` is never empty.
    fn run<B: Backend>(&self, b: B, index: usize, row: InOut<'_, f32>);
}

/// Packed rows, from `x` to `y`.
pub(super) fn apart<D: Dispatch>(
    backend: D,
    work: impl RowWork,
    x: &[f32],
    y: &mut [f32],
    rows: Rows,
) -> Result<(), Error> {
    rows.check(Arg::X, x.len())?;
    rows.check(Arg::Y, y.len())?;
    backend.dispatch(Apart { x, y, rows, strides: [rows.cols(); 2], work });
    Ok(())
}

/// Packed rows, overwritten.
pub(super) fn in_place<D: Dispatch>(backend: D, work: impl RowWork, x: &mut [f32], rows: Rows) -> Result<(), Error> {
    rows.check(Arg::X, x.len())?;
    backend.dispatch(InPlace { x, rows, stride: rows.cols(), work });
    Ok(())
}

/// From `x` to `y`; `strides` are the elements from the start of a row to that of the next, in `x` and in `y`.
pub(super) struct Apart<'a, W> {
    pub(super) x: &'a [f32],
    pub(super) y: &'a mut [f32],
    pub(super) rows: Rows,
    pub(super) strides: [usize; 2],
    pub(super) work: W,
}

impl<W: RowWork> Kernel for Apart<'_, W> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let (mut x, mut y, [x_stride, y_stride]) = (self.x, self.y, self.strides);
        let cols = self.rows.cols();
        for index in 0..self.rows.rows() {
            // Not `chunks`, which divides: as long as a short row takes.
            if let (Some(x), Some(y)) = (x.get(..cols), y.get_mut(..cols)) {
                self.work.run(b, index, InOut::apart(x, y));
            }
            x = x.get(x_stride..).unwrap_or_default();
            y = y.get_mut(y_stride..).unwrap_or_default();
        }
    }
}

/// Over `x` itself.
pub(super) struct InPlace<'a, W> {
    pub(super) x: &'a mut [f32],
    pub(super) rows: Rows,
    pub(super) stride: usize,
    pub(super) work: W,
}

impl<W: RowWork> Kernel for InPlace<'_, W> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let (mut x, cols) = (self.x, self.rows.cols());
        for index in 0..self.rows.rows() {
            if let Some(row) = x.get_mut(..cols) {
                self.work.run(b, index, InOut::in_place(row));
            }
            x = x.get_mut(self.stride..).unwrap_or_default();
        }
    }
}
