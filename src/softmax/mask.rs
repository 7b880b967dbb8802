//! Softmax with a scale, a mask and strides, as attention needs it.
//!
//! ```text
//! z = fl(x scale) + mask        y = softmax(z)
//! ```
//! The first pass writes `z` to `y`; the plain softmax of `y` in place follows, so that the result is exactly that of `z`.

use super::auto::fastest;
use super::each_row::{Apart, InPlace, RowWork};
use crate::backend::{Auto, Backend, Dispatch, InOut, LANES};
use crate::error::{Arg, Error};
use crate::shape::Rows;

/// What a row of only `-inf` gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MaskedRow {
    /// Probability 0 everywhere.
    #[default]
    Zeros,
    /// NaN everywhere, as PyTorch.
    Nan,
}

impl MaskedRow {
    #[inline(always)]
    pub(super) const fn value(self) -> f32 {
        match self {
            Self::Zeros => 0.0,
            Self::Nan => f32::NAN,
        }
    }
}

/// Which elements take part.
///
/// The slices hold `rows x cols` elements, packed, or `cols` that serve every row.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mask<'a> {
    /// All.
    #[default]
    None,
    /// Is added to the scaled input; `-inf` masks.
    Additive(&'a [f32]),
    /// `true` takes part; where it is `false` the result is 0, whatever the input is there, and also where the elements that
    /// take part give NaN.
    Boolean(&'a [bool]),
    /// Row `r` sees its first `past + r + 1` columns; the others give 0, whatever the input is.
    Causal {
        /// Columns that the first row sees before its own.
        past: usize,
    },
}

/// Softmax of each row with a scale, a mask and strides: `y = softmax(x * scale + mask)`.
///
/// `x`, `y`: `rows x cols`, f32, dimensionless, each with a stride of its own. Special values of `z = x * scale + mask` as
/// [`softmax_f32`](super::softmax_f32).
///
/// # Accuracy
/// At most 1.5e-6 relative plus 2^-126 against the softmax of `z` as f32 makes it: one rounding for the product, one for
/// the sum, on every backend.
///
/// # Cost
/// One more pass than [`softmax_f32`](super::softmax_f32) where there is a scale or a mask; a causal mask alone needs none.
///
/// # Example
/// Attention of two queries over three keys of 16 channels:
/// ```
/// use scrimp::{Rows, softmax::{Mask, SoftmaxF32}};
/// const SOFTMAX: SoftmaxF32 = SoftmaxF32::new().with_scale(0.25);
/// let scores = [4.0, 4.0, 9.0, 4.0, 8.0, 4.0];
/// let mut y = [0.0; 6];
/// SOFTMAX.run(&scores, &mut y, Rows::new(2, 3)?, Mask::Causal { past: 1 })?;
/// assert_eq!(y[..3], [0.5, 0.5, 0.0]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SoftmaxF32 {
    scale: f32,
    masked: MaskedRow,
    /// Elements from row to row of `x` and of `y`; 0: packed.
    strides: [usize; 2],
}

impl Default for SoftmaxF32 {
    fn default() -> Self {
        Self::new()
    }
}

impl SoftmaxF32 {
    /// Scale 1, packed rows, zeros for a masked row.
    #[must_use]
    pub const fn new() -> Self {
        Self { scale: 1.0, masked: MaskedRow::Zeros, strides: [0; 2] }
    }

    /// With this factor on the input: `1/sqrt d` for attention over `d` channels.
    #[must_use]
    pub const fn with_scale(self, scale: f32) -> Self {
        Self { scale, ..self }
    }

    /// With this result for a row of only `-inf`.
    #[must_use]
    pub const fn with_masked_row(self, masked: MaskedRow) -> Self {
        Self { masked, ..self }
    }

    /// With rows that begin every `x` elements of the input and every `y` elements of the output; 0 for packed rows.
    #[must_use]
    pub const fn with_strides(self, x: usize, y: usize) -> Self {
        Self { strides: [x, y], ..self }
    }

    /// Softmax from `x` to `y`.
    ///
    /// # Errors
    /// `Error::Length` if `x`, `y` or the mask has the wrong length (with a stride, a slice ends with its last row's last
    /// element or later), `Error::Stride` if rows overlap; `y` is then untouched.
    pub fn run(&self, x: &[f32], y: &mut [f32], rows: Rows, mask: Mask<'_>) -> Result<(), Error> {
        self.run_on(Auto, x, y, rows, mask)
    }

    /// [`SoftmaxF32::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SoftmaxF32::run`].
    pub fn run_on<D: Dispatch>(
        &self,
        backend: D,
        x: &[f32],
        y: &mut [f32],
        rows: Rows,
        mask: Mask<'_>,
    ) -> Result<(), Error> {
        let strides =
            [stride(Arg::X, self.strides[0], x.len(), rows)?, stride(Arg::Y, self.strides[1], y.len(), rows)?];
        mask.check(rows)?;
        backend.dispatch(Apart { x, y, rows, strides, work: self.work(mask) });
        Ok(())
    }

    /// Softmax over `x` itself, with the stride of `x`.
    ///
    /// # Errors
    /// As [`SoftmaxF32::run`].
    pub fn run_in_place(&self, x: &mut [f32], rows: Rows, mask: Mask<'_>) -> Result<(), Error> {
        self.run_in_place_on(Auto, x, rows, mask)
    }

    /// [`SoftmaxF32::run_in_place`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SoftmaxF32::run`].
    pub fn run_in_place_on<D: Dispatch>(
        &self,
        backend: D,
        x: &mut [f32],
        rows: Rows,
        mask: Mask<'_>,
    ) -> Result<(), Error> {
        let stride = stride(Arg::X, self.strides[0], x.len(), rows)?;
        mask.check(rows)?;
        backend.dispatch(InPlace { x, rows, stride, work: self.work(mask) });
        Ok(())
    }

    const fn work<'a>(&self, mask: Mask<'a>) -> Masked<'a> {
        Masked { scale: self.scale, masked: self.masked, mask }
    }
}

/// Elements from row to row, if a slice of `len` holds the rows.
const fn stride(what: Arg, stride: usize, len: usize, rows: Rows) -> Result<usize, Error> {
    if stride == 0 {
        return match rows.check(what, len) {
            Ok(()) => Ok(rows.cols()),
            Err(error) => Err(error),
        };
    }
    if stride < rows.cols() {
        return Err(Error::Stride { what, min: rows.cols(), got: stride });
    }
    let want = stride.saturating_mul(rows.rows() - 1).saturating_add(rows.cols());
    if len < want { Err(Error::Length { what, want, got: len }) } else { Ok(stride) }
}

impl<'a> Mask<'a> {
    fn check(self, rows: Rows) -> Result<(), Error> {
        let len = match self {
            Self::None | Self::Causal { .. } => return Ok(()),
            Self::Additive(mask) => mask.len(),
            Self::Boolean(mask) => mask.len(),
        };
        if len == rows.cols() { Ok(()) } else { rows.check(Arg::Mask, len) }
    }
}

/// A mask's row; the only one serves every row.
#[inline(always)]
fn mask_row<T>(mask: &[T], cols: usize, index: usize) -> &[T] {
    let index = if mask.len() == cols { 0 } else { index };
    mask.chunks(cols.max(1)).nth(index).unwrap_or_default()
}

struct Masked<'a> {
    scale: f32,
    masked: MaskedRow,
    mask: Mask<'a>,
}

impl RowWork for Masked<'_> {
    #[inline(always)]
    fn run<B: Backend>(&self, b: B, index: usize, mut row: InOut<'_, f32>) {
        let (scale, cols) = (self.scale, row.len());
        let mut seen = row.again();
        match self.mask {
            Mask::None => scaled(&mut seen, scale),
            Mask::Additive(mask) => with(
                seen.again(),
                mask_row(mask, cols, index),
                #[inline(always)]
                |x, mask| x * scale + mask,
            ),
            Mask::Boolean(mask) => with(
                seen.again(),
                mask_row(mask, cols, index),
                #[inline(always)]
                |x, takes_part| {
                    if takes_part { x * scale } else { f32::NEG_INFINITY }
                },
            ),
            Mask::Causal { past } => {
                let mut rest = row.again();
                seen = rest.split_off_front(past.saturating_add(index).saturating_add(1));
                rest.output().fill(0.0);
                scaled(&mut seen, scale);
            }
        }
        let unchanged = scale.to_bits() == 1.0f32.to_bits() && matches!(self.mask, Mask::None | Mask::Causal { .. });
        if unchanged {
            fastest(b, seen, self.masked);
        } else {
            fastest(b, InOut::in_place(seen.output()), self.masked);
            if let Mask::Boolean(mask) = self.mask {
                clear_hidden(seen.output(), mask_row(mask, cols, index));
            }
        }
    }
}

/// In a row that one of its elements made NaN: 0 where that element is not seen from. A row that is masked as a whole has the
/// value that it was given.
#[inline(always)]
fn clear_hidden(y: &mut [f32], mask: &[bool]) {
    if y.first().is_some_and(|y| y.is_nan()) && mask.contains(&true) {
        for (y, &takes_part) in y.iter_mut().zip(mask) {
            if !takes_part {
                *y = 0.0;
            }
        }
    }
}

/// `y = x scale`, unless the scale is 1.
#[inline(always)]
fn scaled(row: &mut InOut<'_, f32>, scale: f32) {
    if scale.to_bits() != 1.0f32.to_bits() {
        row.again()
            .for_each_group::<LANES>(
                #[inline(always)]
                |x, y| {
                    for i in 0..LANES {
                        y[i] = x[i] * scale;
                    }
                },
            )
            .map(
                #[inline(always)]
                |x| x * scale,
            );
    }
}

/// `y = f(x, mask)`.
#[inline(always)]
fn with<T: Copy>(row: InOut<'_, f32>, mask: &[T], f: impl Fn(f32, T) -> f32) {
    let (groups, rest) = mask.as_chunks::<LANES>();
    let mut groups = groups.iter();
    let tail = row.for_each_group::<LANES>(
        #[inline(always)]
        |x, y| {
            if let Some(mask) = groups.next() {
                for i in 0..LANES {
                    y[i] = f(x[i], mask[i]);
                }
            }
        },
    );
    let mut rest = rest.iter();
    tail.map(
        #[inline(always)]
        |x| rest.next().map_or(x, |&mask| f(x, mask)),
    );
}
