//! Slices of one axis in the order of a list.

use super::{MoveElement, copy};
use crate::error::{Arg, Error, length};

/// `y[b][o][j] = x[b][o][indices[b][j]]`, each a piece of `inner` elements: TFLite's `GATHER`, with `batch_dims` where `b` is
/// more than one.
///
/// An index below zero counts as the first, one beyond the axis as the last (an error in TFLite), so that indices that come
/// from a network cannot make it fail.
///
/// # Example
/// ```
/// use scrimp::nn::Gather;
/// let rows = Gather::new(1, 1, 3, 2, 2)?; // two of three rows of two
/// let mut y = [0i8; 4];
/// rows.run(&[1, 2, 3, 4, 5, 6], &[2, 0], &mut y)?;
/// assert_eq!(y, [5, 6, 1, 2]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gather {
    batch: usize,
    outer: usize,
    axis: usize,
    indices: usize,
    inner: usize,
}

impl Gather {
    /// `x` is `[batch][outer][axis][inner]`, the list `[batch][indices]`, `y` `[batch][outer][indices][inner]`.
    ///
    /// # Errors
    /// `Error::Empty` if one of them is zero; `Error::TooLarge` if `x` or `y` has more elements than can be counted.
    pub const fn new(batch: usize, outer: usize, axis: usize, indices: usize, inner: usize) -> Result<Self, Error> {
        if batch == 0 || outer == 0 || inner == 0 {
            return Err(Error::Empty { what: Arg::X });
        }
        if axis == 0 {
            return Err(Error::Empty { what: Arg::Rows });
        }
        if indices == 0 {
            return Err(Error::Empty { what: Arg::Table });
        }
        let around = batch.saturating_mul(outer).saturating_mul(inner);
        let larger = if axis > indices { axis } else { indices };
        let all = around.saturating_mul(larger);
        if all > isize::MAX as usize {
            return Err(Error::TooLarge { what: Arg::X, max: isize::MAX as usize, got: all });
        }
        Ok(Self { batch, outer, axis, indices, inner })
    }

    /// Copies.
    ///
    /// # Errors
    /// `Error::Length` if a slice has not its length; `y` is then untouched.
    #[inline]
    pub fn run<T: MoveElement>(&self, x: &[T], indices: &[i32], y: &mut [T]) -> Result<(), Error> {
        let around = self.batch.wrapping_mul(self.outer).wrapping_mul(self.inner);
        length(Arg::X, around.wrapping_mul(self.axis), x.len())?;
        length(Arg::Table, self.batch.wrapping_mul(self.indices), indices.len())?;
        length(Arg::Y, around.wrapping_mul(self.indices), y.len())?;
        T::run_gather(self, x, indices, y);
        Ok(())
    }
}

pub(super) fn run<T: Copy>(of: &Gather, x: &[T], indices: &[i32], y: &mut [T]) {
    let Gather { outer, axis, inner, .. } = *of;
    let inner = inner.max(1);
    let mut blocks = x.chunks_exact(axis.wrapping_mul(inner).max(1));
    let mut y = y.chunks_exact_mut(inner);
    for indices in indices.chunks_exact(of.indices.max(1)) {
        for block in blocks.by_ref().take(outer) {
            for (&index, y) in indices.iter().zip(y.by_ref()) {
                let index = (index.max(0) as usize).min(axis.wrapping_sub(1));
                copy(block.get(index.wrapping_mul(inner)..).unwrap_or(&[]), y);
            }
        }
    }
}
