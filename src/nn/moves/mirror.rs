//! Padding by what lies inside, mirrored.

use super::{MoveElement, copy};
use crate::error::{Arg, Error, length};

/// Where the mirror stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mirror {
    /// On the edge element, which is not repeated: `c b | a b c | b a`.
    Reflect,
    /// Behind the edge element: `b a | a b c | c b`.
    Symmetric,
}

/// One axis of a [`MirrorPad`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MirrorAxis {
    /// Elements of the input.
    pub count: usize,
    /// Elements put before them.
    pub before: usize,
    /// Elements put after them.
    pub after: usize,
}

impl MirrorAxis {
    /// The element of the input that stands at `at` of the output, with `edge` elements of it not repeated.
    #[inline(always)]
    fn source(&self, edge: usize, at: usize) -> usize {
        let Self { count, before, .. } = *self;
        if at < before {
            before.wrapping_sub(at).wrapping_sub(1).wrapping_add(edge)
        } else {
            let inside = at.wrapping_sub(before);
            if inside < count { inside } else { count.wrapping_mul(2).wrapping_sub(inside).wrapping_sub(1 + edge) }
        }
    }
}

/// Puts a mirrored edge round each of `N` axes: TFLite's `MIRROR_PAD`.
///
/// # Example
/// ```
/// use scrimp::nn::{Mirror, MirrorAxis, MirrorPad};
/// let pad = MirrorPad::new([MirrorAxis { count: 3, before: 2, after: 1 }], Mirror::Reflect)?;
/// let mut y = [0i8; 6];
/// pad.run(&[1, 2, 3], &mut y)?;
/// assert_eq!(y, [3, 2, 1, 2, 3, 2]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MirrorPad<const N: usize> {
    axes: [MirrorAxis; N],
    mirror: Mirror,
    x: usize,
    y: usize,
}

impl<const N: usize> MirrorPad<N> {
    /// With the edges of each axis, the last one innermost.
    ///
    /// # Errors
    /// `Error::Empty` if an axis has no element; `Error::TooLarge` if an edge is longer than what there is to mirror, or the
    /// output has more elements than can be counted.
    pub const fn new(axes: [MirrorAxis; N], mirror: Mirror) -> Result<Self, Error> {
        let (mut x, mut y) = (1usize, 1usize);
        let mut k = 0;
        while k < N {
            let MirrorAxis { count, before, after } = axes[k];
            if count == 0 {
                return Err(Error::Empty { what: Arg::X });
            }
            let most = if matches!(mirror, Mirror::Reflect) { count - 1 } else { count };
            let edge = if before > after { before } else { after };
            if edge > most {
                return Err(Error::TooLarge { what: Arg::Overlap, max: most, got: edge });
            }
            x = x.saturating_mul(count);
            y = y.saturating_mul(count.saturating_add(before).saturating_add(after));
            k += 1;
        }
        if y > isize::MAX as usize {
            return Err(Error::TooLarge { what: Arg::Y, max: isize::MAX as usize, got: y });
        }
        Ok(Self { axes, mirror, x, y })
    }

    /// Copies.
    ///
    /// # Errors
    /// `Error::Length` if `x` or `y` has not its length; `y` is then untouched.
    #[inline]
    pub fn run<T: MoveElement>(&self, x: &[T], y: &mut [T]) -> Result<(), Error> {
        length(Arg::X, self.x, x.len())?;
        length(Arg::Y, self.y, y.len())?;
        // Axes without an edge that stand last are one piece.
        let (mut axes, mut piece) = (&self.axes[..], 1usize);
        while let Some((&MirrorAxis { count, before: 0, after: 0 }, outer)) = axes.split_last() {
            (axes, piece) = (outer, piece.wrapping_mul(count));
        }
        T::run_mirror(axes, matches!(self.mirror, Mirror::Reflect).into(), piece, x, y);
        Ok(())
    }
}

pub(super) fn run<T: Copy>(axes: &[MirrorAxis], edge: usize, piece: usize, x: &[T], y: &mut [T]) {
    for (index, y) in y.chunks_exact_mut(piece.max(1)).enumerate() {
        // The place in the input, axis by axis from the last one.
        let (mut rest, mut from, mut step) = (index, 0usize, piece);
        for axis in axes.iter().rev() {
            let all = axis.count.wrapping_add(axis.before).wrapping_add(axis.after).max(1);
            from = from.wrapping_add(axis.source(edge, rest % all).wrapping_mul(step));
            rest /= all;
            step = step.wrapping_mul(axis.count);
        }
        copy(x.get(from..).unwrap_or(&[]), y);
    }
}
