//! A copy in several axes, each with a step of its own in the input and in the output.

use super::super::at_least_one;
use super::{MoveElement, copy};
use crate::error::{Arg, Error, length};

/// Most axes of a [`Move`] that remain once neighbours are joined.
pub const MOST_AXES: usize = 8;

/// Most elements of `x` or `y`: as many as a slice of bytes can have.
const MOST_ELEMENTS: usize = isize::MAX as usize;

/// One axis of a [`Move`], steps in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MoveAxis {
    /// How often.
    pub count: usize,
    /// From one to the next in the input; 0 repeats, and below 0 goes backwards.
    pub x: isize,
    /// From one to the next in the output.
    pub y: usize,
}

impl MoveAxis {
    const ONE: Self = Self { count: 1, x: 0, y: 0 };

    /// Whether `inner` and then this one are one axis.
    const fn joins(&self, inner: &Self) -> bool {
        match (inner.x.checked_mul(inner.count as isize), inner.y.checked_mul(inner.count)) {
            (Some(x), Some(y)) => self.x == x && self.y == y,
            _ => false,
        }
    }
}

/// Copies pieces of consecutive elements along up to `N` axes, the last one innermost:
/// `y[y_first + Σ_k i_k axes[k].y + p] = x[x_first + Σ_k i_k axes[k].x + p]` for all `i_k < axes[k].count` and `p < piece`.
///
/// What of `y` no index reaches stays as it was, so that several moves fill one output (a concatenation).
///
/// # Cost
/// Axes that follow on from each other are joined when it is built: what is in one piece is one plain copy. 24 bytes of
/// flash and 12 an axis.
///
/// # Example
/// The second of three columns goes to the front, and a picture is turned over:
/// ```
/// use scrimp::nn::Move;
/// static SECOND: Move<2> = scrimp::expect!(Move::slice([2, 3], [0, 1], [1, 1], [2, 1]));
/// let mut y = [0i8; 2];
/// SECOND.run(&[1, 2, 3, 4, 5, 6], &mut y)?;
/// assert_eq!(y, [2, 5]);
/// static TURNED: Move<2> = scrimp::expect!(Move::transpose([2, 3], [1, 0]));
/// let mut y = [0i16; 6];
/// TURNED.run(&[1, 2, 3, 4, 5, 6], &mut y)?;
/// assert_eq!(y, [1, 4, 2, 5, 3, 6]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Move<const N: usize> {
    /// The first `rank` count.
    axes: [MoveAxis; N],
    rank: usize,
    piece: usize,
    /// Where the first element is, and how many there are.
    x: [usize; 2],
    y: [usize; 2],
}

impl<const N: usize> Move<N> {
    /// Along axes of any steps; `x` and `y` are each the position of the first element and the number of elements there
    /// are.
    ///
    /// # Errors
    /// `Error::Empty` if a count or `piece` is zero; `Error::Stride` if an axis writes one place several times;
    /// `Error::TooLarge` if something lies outside `x` or `y`, or more than [`MOST_AXES`] axes remain.
    pub const fn new(axes: [MoveAxis; N], piece: usize, x: [usize; 2], y: [usize; 2]) -> Result<Self, Error> {
        if piece == 0 {
            return Err(Error::Empty { what: Arg::Cols });
        }
        let (mut below, mut above, mut y_above) =
            (0usize, x[0].saturating_add(piece - 1), y[0].saturating_add(piece - 1));
        let mut k = 0;
        while k < N {
            if axes[k].count == 0 {
                return Err(Error::Empty { what: Arg::Rows });
            }
            k += 1;
        }
        let mut k = 0;
        while k < N {
            let MoveAxis { count, x, y } = axes[k];
            if count > 1 && y == 0 {
                return Err(Error::Stride { what: Arg::Y, min: 1, got: 0 });
            }
            let side = if x < 0 { &mut below } else { &mut above };
            *side = side.saturating_add((count - 1).saturating_mul(x.unsigned_abs()));
            y_above = y_above.saturating_add((count - 1).saturating_mul(y));
            k += 1;
        }
        if below > x[0] {
            return Err(Error::TooLarge { what: Arg::X, max: x[0], got: below });
        }
        if above >= x[1] || x[1] > MOST_ELEMENTS {
            return Err(Error::TooLarge { what: Arg::X, max: at_most(x[1]), got: above });
        }
        if y_above >= y[1] || y[1] > MOST_ELEMENTS {
            return Err(Error::TooLarge { what: Arg::Y, max: at_most(y[1]), got: y_above });
        }
        let joined = Self { axes, rank: N, piece, x, y }.join();
        if joined.rank > MOST_AXES {
            return Err(Error::TooLarge { what: Arg::Rows, max: MOST_AXES, got: joined.rank });
        }
        Ok(joined)
    }

    /// Joins what is in one piece. No product is more than the elements of `y`, so none overflows.
    const fn join(mut self) -> Self {
        let axes = self.axes;
        let mut rank = 0;
        let mut k = 0;
        while k < N {
            let axis = axes[k];
            if axis.count > 1 {
                if rank > 0 && rank <= N && self.axes[rank - 1].joins(&axis) {
                    let count = self.axes[rank - 1].count.wrapping_mul(axis.count);
                    self.axes[rank - 1] = MoveAxis { count, ..axis };
                } else if rank < N {
                    self.axes[rank] = axis;
                    rank += 1;
                }
            }
            k += 1;
        }
        while rank > 0 && rank <= N {
            let MoveAxis { count, x, y } = self.axes[rank - 1];
            if x != self.piece as isize || y != self.piece {
                break;
            }
            rank -= 1;
            self.piece = self.piece.wrapping_mul(count);
        }
        let mut k = rank;
        while k < N {
            self.axes[k] = MoveAxis::ONE;
            k += 1;
        }
        self.rank = rank;
        self
    }

    /// `y` is the part of an `x` of `shape` that begins at `begin` and takes `count` elements of each axis, `step` apart:
    /// slices and splits.
    ///
    /// # Errors
    /// As [`Move::new`].
    pub const fn slice(
        shape: [usize; N],
        begin: [usize; N],
        step: [isize; N],
        count: [usize; N],
    ) -> Result<Self, Error> {
        let (mut axes, mut first) = ([MoveAxis::ONE; N], 0usize);
        let (mut x, mut y) = (1usize, 1usize);
        let mut k = N;
        while k > 0 {
            k -= 1;
            if begin[k] >= shape[k] {
                return Err(Error::TooLarge { what: Arg::X, max: shape[k], got: begin[k] });
            }
            if step[k] != 0 && count[k] > shape[k] {
                return Err(Error::TooLarge { what: Arg::Y, max: shape[k], got: count[k] });
            }
            let last = (begin[k] as isize).saturating_add(step[k].saturating_mul(count[k].saturating_sub(1) as isize));
            if last < 0 || last as usize >= shape[k] {
                return Err(Error::TooLarge { what: Arg::X, max: shape[k], got: last.unsigned_abs() });
            }
            axes[k] = MoveAxis { count: count[k], x: step[k].wrapping_mul(x as isize), y };
            first = first.wrapping_add(begin[k].wrapping_mul(x));
            (x, y) = match (x.checked_mul(shape[k]), y.checked_mul(count[k])) {
                (Some(x), Some(y)) => (x, y),
                _ => return Err(Error::TooLarge { what: Arg::Rows, max: MOST_ELEMENTS, got: shape[k] }),
            };
        }
        Self::new(axes, 1, [first, x], [0, y])
    }

    /// `x` of `shape` becomes the part of a `y` of shape `whole` that begins at `at`: concatenations, and padding by
    /// [`Move::run_filled`].
    ///
    /// # Errors
    /// As [`Move::new`].
    pub const fn place(shape: [usize; N], whole: [usize; N], at: [usize; N]) -> Result<Self, Error> {
        let (mut axes, mut first) = ([MoveAxis::ONE; N], 0usize);
        let (mut x, mut y) = (1usize, 1usize);
        let mut k = N;
        while k > 0 {
            k -= 1;
            let end = at[k].saturating_add(shape[k]);
            if end > whole[k] {
                return Err(Error::TooLarge { what: Arg::Y, max: whole[k], got: end });
            }
            axes[k] = MoveAxis { count: shape[k], x: x as isize, y };
            first = first.wrapping_add(at[k].wrapping_mul(y));
            (x, y) = match (x.checked_mul(shape[k]), y.checked_mul(whole[k])) {
                (Some(x), Some(y)) => (x, y),
                _ => return Err(Error::TooLarge { what: Arg::Rows, max: MOST_ELEMENTS, got: whole[k] }),
            };
        }
        Self::new(axes, 1, [0, x], [first, y])
    }

    /// Axis `k` of `y` is axis `order[k]` of an `x` of `shape`.
    ///
    /// # Errors
    /// As [`Move::new`], and `Error::TooLarge` if `order` has an axis twice or one that there is not.
    pub const fn transpose(shape: [usize; N], order: [usize; N]) -> Result<Self, Error> {
        let mut steps = [0isize; N];
        let (mut all, mut k) = (1usize, N);
        while k > 0 {
            k -= 1;
            steps[k] = all as isize;
            all = match all.checked_mul(shape[k]) {
                Some(all) => all,
                None => return Err(Error::TooLarge { what: Arg::Rows, max: MOST_ELEMENTS, got: shape[k] }),
            };
        }
        let (mut axes, mut seen) = ([MoveAxis::ONE; N], [false; N]);
        let (mut y, mut k) = (1usize, N);
        while k > 0 {
            k -= 1;
            let from = order[k];
            if from >= N || seen[from] {
                return Err(Error::TooLarge { what: Arg::Cols, max: N, got: from });
            }
            seen[from] = true;
            axes[k] = MoveAxis { count: shape[from], x: steps[from], y };
            y = y.wrapping_mul(shape[from]);
        }
        Self::new(axes, 1, [0, all], [0, all])
    }

    /// The axes that remain.
    #[must_use]
    pub const fn axes(&self) -> &[MoveAxis] {
        match self.axes.split_at_checked(self.rank) {
            Some((axes, _)) => axes,
            None => &[],
        }
    }

    /// Consecutive elements that are copied at a time.
    #[must_use]
    pub const fn piece(&self) -> usize {
        self.piece
    }

    /// Positions of the first element in `x` and in `y`.
    #[must_use]
    pub const fn first(&self) -> [usize; 2] {
        [self.x[0], self.y[0]]
    }

    /// Elements of `x` and of `y`.
    #[must_use]
    pub const fn elements(&self) -> [usize; 2] {
        [self.x[1], self.y[1]]
    }

    /// Copies.
    ///
    /// # Errors
    /// `Error::Length` if `x` or `y` has not the length that it was built for; `y` is then untouched.
    #[inline]
    pub fn run<T: MoveElement>(&self, x: &[T], y: &mut [T]) -> Result<(), Error> {
        length(Arg::X, self.x[1], x.len())?;
        length(Arg::Y, self.y[1], y.len())?;
        T::run_move(self.axes(), self.piece, self.first(), x, y);
        Ok(())
    }

    /// Fills `y` and then copies: padding.
    ///
    /// # Errors
    /// As [`Move::run`].
    ///
    /// # Example
    /// ```
    /// use scrimp::nn::Move;
    /// let inside = Move::place([2, 2], [3, 4], [1, 1])?;
    /// let mut y = [0i8; 12];
    /// inside.run_filled(-9, &[1, 2, 3, 4], &mut y)?;
    /// assert_eq!(y, [-9, -9, -9, -9, -9, 1, 2, -9, -9, 3, 4, -9]);
    /// # Ok::<(), scrimp::Error>(())
    /// ```
    #[inline]
    pub fn run_filled<T: MoveElement>(&self, value: T, x: &[T], y: &mut [T]) -> Result<(), Error> {
        length(Arg::X, self.x[1], x.len())?;
        length(Arg::Y, self.y[1], y.len())?;
        y.fill(value);
        T::run_move(self.axes(), self.piece, self.first(), x, y);
        Ok(())
    }
}

impl Move<4> {
    /// Blocks of `block x block` pixels of an NHWC picture become the channels of one: `SPACE_TO_DEPTH`.
    ///
    /// # Errors
    /// As [`Move::new`], and `Error::Stride` if the block does not divide the height and the width.
    pub const fn space_to_depth(shape: [usize; 4], block: usize) -> Result<Self, Error> {
        let [batch, height, width, channels] = shape;
        if block == 0 {
            return Err(Error::Empty { what: Arg::Cells });
        }
        let all = match product(shape) {
            Ok(all) => all,
            Err(error) => return Err(error),
        };
        if !height.is_multiple_of(block) || !width.is_multiple_of(block) {
            let got = if height.is_multiple_of(block) { width } else { height };
            return Err(Error::Stride { what: Arg::Cells, min: block, got });
        }
        let piece = block * channels;
        let axes = [
            MoveAxis {
                count: batch * (height / at_least_one(block)),
                x: (block * width * channels) as isize,
                y: width * piece,
            },
            MoveAxis { count: width / at_least_one(block), x: piece as isize, y: block * piece },
            MoveAxis { count: block, x: (width * channels) as isize, y: piece },
            MoveAxis::ONE,
        ];
        Self::new(axes, piece, [0, all], [0, all])
    }

    /// The channels of a pixel of an NHWC picture become a block of `block x block` pixels: `DEPTH_TO_SPACE`.
    ///
    /// # Errors
    /// As [`Move::new`], and `Error::Stride` if the square of the block does not divide the channels.
    pub const fn depth_to_space(shape: [usize; 4], block: usize) -> Result<Self, Error> {
        let [batch, height, width, channels] = shape;
        let all = match product(shape) {
            Ok(all) => all,
            Err(error) => return Err(error),
        };
        let square = block.saturating_mul(block);
        if square == 0 {
            return Err(Error::Empty { what: Arg::Cells });
        }
        if !channels.is_multiple_of(square) {
            return Err(Error::Stride { what: Arg::Cells, min: square, got: channels });
        }
        let piece = channels / at_least_one(block);
        let axes = [
            MoveAxis { count: batch * height, x: (width * channels) as isize, y: width * channels },
            MoveAxis { count: block, x: piece as isize, y: width * piece },
            MoveAxis { count: width, x: channels as isize, y: piece },
            MoveAxis::ONE,
        ];
        Self::new(axes, piece, [0, all], [0, all])
    }
}

/// Elements of a shape without a zero.
const fn product(shape: [usize; 4]) -> Result<usize, Error> {
    let (mut all, mut k) = (1usize, 0);
    while k < 4 {
        if shape[k] == 0 {
            return Err(Error::Empty { what: Arg::X });
        }
        all = all.saturating_mul(shape[k]);
        k += 1;
    }
    if all > MOST_ELEMENTS { Err(Error::TooLarge { what: Arg::X, max: MOST_ELEMENTS, got: all }) } else { Ok(all) }
}

const fn at_most(elements: usize) -> usize {
    if elements > MOST_ELEMENTS { MOST_ELEMENTS } else { elements }
}

/// From `first[0]` of `x` to `first[1]` of `y`.
pub(super) fn run<T: Copy>(axes: &[MoveAxis], piece: usize, first: [usize; 2], x: &[T], y: &mut [T]) {
    let [mut from, mut to] = first;
    let Some((inner, outer)) = axes.split_last() else {
        return one(piece, from, to, x, y);
    };
    let mut at = [0usize; MOST_AXES];
    loop {
        line(inner, piece, from, to, x, y);
        let mut goes_on = false;
        for (axis, at) in outer.iter().rev().zip(&mut at) {
            *at = at.wrapping_add(1);
            if *at < axis.count {
                from = from.wrapping_add(axis.x as usize);
                to = to.wrapping_add(axis.y);
                goes_on = true;
                break;
            }
            *at = 0;
            let back = axis.count.wrapping_sub(1);
            from = from.wrapping_sub((axis.x as usize).wrapping_mul(back));
            to = to.wrapping_sub(axis.y.wrapping_mul(back));
        }
        if !goes_on {
            return;
        }
    }
}

/// One piece.
#[inline(always)]
fn one<T: Copy>(piece: usize, from: usize, to: usize, x: &[T], y: &mut [T]) {
    let (Some(x), Some(y)) = (x.get(from..), y.get_mut(to..)) else { return };
    if let (Some(x), Some(y)) = (x.get(..piece), y.get_mut(..piece)) {
        copy(x, y);
    }
}

/// The pieces along the innermost axis.
#[inline(always)]
fn line<T: Copy>(axis: &MoveAxis, piece: usize, mut from: usize, mut to: usize, x: &[T], y: &mut [T]) {
    if piece == 1 && axis.y == 1 && axis.x > 0 {
        // A column becomes a row.
        let (Some(x), Some(y)) = (x.get(from..), y.get_mut(to..)) else { return };
        for (y, &x) in y.iter_mut().take(axis.count).zip(x.iter().step_by(axis.x.unsigned_abs().max(1))) {
            *y = x;
        }
        return;
    }
    for _ in 0..axis.count {
        if piece == 1 {
            if let (Some(&x), Some(y)) = (x.get(from), y.get_mut(to)) {
                *y = x;
            }
        } else {
            one(piece, from, to, x, y);
        }
        from = from.wrapping_add(axis.x as usize);
        to = to.wrapping_add(axis.y);
    }
}
