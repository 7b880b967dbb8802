//! Runs a piece of work on each row of integers.

use crate::backend::{Backend, Dispatch, InOut, Kernel};
use crate::error::{Arg, Error};
use crate::shape::Rows;

/// The longest row of the integer forms: their sums have room for this many.
pub(super) const MOST_COLS: usize = 65_536;

/// What is done with one row, in place or not.
pub(super) trait RowOf<X, Y>: Copy {
    /// Reads the row's input and writes its output.
    fn run<B: Backend>(self, b: B, row: InOut<'_, X, Y>);
}

/// From `x` to `y`.
pub(super) fn apart<D: Dispatch, X: Copy, Y: Copy>(
    backend: D,
    work: impl RowOf<X, Y>,
    x: &[X],
    y: &mut [Y],
    rows: Rows,
) -> Result<(), Error> {
    check_cols(rows)?;
    rows.check(Arg::X, x.len())?;
    rows.check(Arg::Y, y.len())?;
    backend.dispatch(EachRow { work, all: InOut::apart(x, y), cols: rows.cols() });
    Ok(())
}

/// From `x` to itself.
pub(super) fn in_place<D: Dispatch, X: Copy>(
    backend: D,
    work: impl RowOf<X, X>,
    x: &mut [X],
    rows: Rows,
) -> Result<(), Error> {
    check_cols(rows)?;
    rows.check(Arg::X, x.len())?;
    backend.dispatch(EachRow { work, all: InOut::in_place(x), cols: rows.cols() });
    Ok(())
}

const fn check_cols(rows: Rows) -> Result<(), Error> {
    if rows.cols() > MOST_COLS {
        return Err(Error::TooLarge { what: Arg::Cols, max: MOST_COLS, got: rows.cols() });
    }
    Ok(())
}

struct EachRow<'a, W, X, Y> {
    work: W,
    all: InOut<'a, X, Y>,
    cols: usize,
}

impl<X: Copy, Y: Copy, W: RowOf<X, Y>> Kernel for EachRow<'_, W, X, Y> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(mut self, b: B) {
        while !self.all.is_empty() && self.cols > 0 {
            self.work.run(b, self.all.split_off_front(self.cols));
        }
    }
}
