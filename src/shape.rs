//! Shapes that are checked once, at the edge, so that nothing behind them can fail.

use crate::error::{Arg, Error};

/// A matrix of `rows` rows of `cols` elements each.
///
/// Having one tells you that neither number is zero and that `rows * cols` fits a `usize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rows {
    rows: usize,
    cols: usize,
}

impl Rows {
    /// `rows` rows of `cols` elements.
    ///
    /// # Errors
    /// `Error::Empty` if either is zero, `Error::TooLarge` if the product overflows.
    pub const fn new(rows: usize, cols: usize) -> Result<Self, Error> {
        if rows == 0 {
            return Err(Error::Empty { what: Arg::Rows });
        }
        if cols == 0 {
            return Err(Error::Empty { what: Arg::Cols });
        }
        if rows.checked_mul(cols).is_none() {
            return Err(Error::TooLarge { what: Arg::Rows, max: usize::MAX / cols, got: rows });
        }
        Ok(Self { rows, cols })
    }

    /// One row of `cols` elements.
    ///
    /// # Errors
    /// `Error::Empty` if `cols` is zero.
    pub const fn one(cols: usize) -> Result<Self, Error> {
        Self::new(1, cols)
    }

    /// Number of rows, at least 1.
    #[must_use]
    pub const fn rows(self) -> usize {
        self.rows
    }

    /// Elements of a row, at least 1.
    #[must_use]
    pub const fn cols(self) -> usize {
        self.cols
    }

    /// Elements of the whole matrix.
    #[must_use]
    pub const fn elements(self) -> usize {
        self.rows * self.cols
    }

    /// `Ok` if `got` elements are a matrix of this shape.
    ///
    /// # Errors
    /// `Error::Length` that names `what`.
    pub const fn check(self, what: Arg, got: usize) -> Result<(), Error> {
        crate::error::length(what, self.elements(), got)
    }
}
