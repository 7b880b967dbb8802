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

/// A batch of pictures, channels innermost: the element of picture `b`, row `y`, column `x` and channel `c` is
/// `[((b * height + y) * width + x) * channels + c]`, as in TFLite.
///
/// Having one tells you that no axis is zero and that the number of elements fits a `usize`.
///
/// ```
/// use scrimp::shape::Nhwc;
/// let picture = Nhwc::new(1, 96, 64, 3)?;
/// assert_eq!(picture.elements(), 96 * 64 * 3);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Nhwc {
    batch: usize,
    height: usize,
    width: usize,
    channels: usize,
}

impl Nhwc {
    /// `batch` pictures of `height x width` pixels of `channels`.
    ///
    /// # Errors
    /// `Error::Empty` that names an axis of zero, `Error::TooLarge` if the product overflows.
    pub const fn new(batch: usize, height: usize, width: usize, channels: usize) -> Result<Self, Error> {
        let axes = [(Arg::Batch, batch), (Arg::Height, height), (Arg::Width, width), (Arg::Channels, channels)];
        let (mut elements, mut i) = (1usize, 0);
        while i < axes.len() {
            let (what, axis) = axes[i];
            if axis == 0 {
                return Err(Error::Empty { what });
            }
            match elements.checked_mul(axis) {
                Some(product) => elements = product,
                None => {
                    // `elements` is not zero, but the compiler does not see it everywhere.
                    let max = match usize::MAX.checked_div(elements) {
                        Some(max) => max,
                        None => usize::MAX,
                    };
                    return Err(Error::TooLarge { what, max, got: axis });
                }
            }
            i += 1;
        }
        Ok(Self { batch, height, width, channels })
    }

    /// Number of pictures, at least 1.
    #[must_use]
    pub const fn batch(self) -> usize {
        self.batch
    }

    /// Rows of a picture, at least 1.
    #[must_use]
    pub const fn height(self) -> usize {
        self.height
    }

    /// Columns of a picture, at least 1.
    #[must_use]
    pub const fn width(self) -> usize {
        self.width
    }

    /// Channels of a pixel, at least 1.
    #[must_use]
    pub const fn channels(self) -> usize {
        self.channels
    }

    /// Elements of all pictures.
    #[must_use]
    pub const fn elements(self) -> usize {
        self.batch * self.height * self.width * self.channels
    }

    /// `Ok` if `got` elements are a batch of this shape.
    ///
    /// # Errors
    /// `Error::Length` that names `what`.
    pub const fn check(self, what: Arg, got: usize) -> Result<(), Error> {
        crate::error::length(what, self.elements(), got)
    }
}

#[cfg(test)]
mod tests {
    use super::{Arg, Error, Nhwc};

    #[test]
    fn every_axis_and_the_product_are_checked() {
        let big = 1 << (usize::BITS / 2);
        for (axes, what) in [
            ([0, 1, 1, 1], Arg::Batch),
            ([1, 0, 1, 1], Arg::Height),
            ([1, 1, 0, 1], Arg::Width),
            ([1, 1, 1, 0], Arg::Channels),
        ] {
            let [b, h, w, c] = axes;
            assert_eq!(Nhwc::new(b, h, w, c), Err(Error::Empty { what }));
        }
        assert!(Nhwc::new(big / 2, 1, big, 1).is_ok());
        assert_eq!(
            Nhwc::new(1, big, 1, big),
            Err(Error::TooLarge { what: Arg::Channels, max: usize::MAX / big, got: big })
        );
    }
}
