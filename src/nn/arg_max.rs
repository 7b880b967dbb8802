//! Where the largest or the smallest code is along an axis (TFLite's `ARG_MAX`, `ARG_MIN`).

use core::marker::PhantomData;

use super::code::{Activated, Code};
use crate::backend::{Auto, Backend, Dispatch, Kernel};
use crate::error::{Arg, Error, length};

pub(crate) mod sealed {
    use super::ArgMax;

    /// A type that an index is written as.
    pub trait Index: Copy {
        /// The index as this type.
        fn of(at: u32) -> Self;

        /// What [`ArgMax`] does with 8-bit codes, lengths checked.
        fn of_s8(of: &ArgMax<i8, Self>, x: &[i8], y: &mut [Self]);

        /// The same with 16-bit codes.
        fn of_s16(of: &ArgMax<i16, Self>, x: &[i16], y: &mut [Self]);
    }

    /// Which of both it is.
    pub trait Entry: Sized {
        /// Lengths are checked.
        fn arg_max<Y: Index>(of: &ArgMax<Self, Y>, x: &[Self], y: &mut [Y]);
    }
}

macro_rules! of_codes {
    () => {
        fn of_s8(of: &ArgMax<i8, Self>, x: &[i8], y: &mut [Self]) {
            Auto.dispatch(Run { of, x, y });
        }

        fn of_s16(of: &ArgMax<i16, Self>, x: &[i16], y: &mut [Self]) {
            Auto.dispatch(Run { of, x, y });
        }
    };
}

impl sealed::Entry for i8 {
    #[inline]
    fn arg_max<Y: sealed::Index>(of: &ArgMax<Self, Y>, x: &[Self], y: &mut [Y]) {
        Y::of_s8(of, x, y);
    }
}

impl sealed::Entry for i16 {
    #[inline]
    fn arg_max<Y: sealed::Index>(of: &ArgMax<Self, Y>, x: &[Self], y: &mut [Y]) {
        Y::of_s16(of, x, y);
    }
}

/// A type of indices: `i32` or `i64`.
pub trait Index: sealed::Index {}

impl sealed::Index for i32 {
    #[inline(always)]
    fn of(at: u32) -> Self {
        at as Self
    }

    of_codes!();
}

impl sealed::Index for i64 {
    #[inline(always)]
    fn of(at: u32) -> Self {
        at.into()
    }

    of_codes!();
}

impl Index for i32 {}
impl Index for i64 {}

/// The place of the largest or the smallest code along an axis, the first one of equals.
///
/// `x`: `outer x axis x inner`; `y`: `outer x inner`, `i32` or `i64`.
///
/// # Example
/// ```
/// use scrimp::nn::ArgMax;
/// static ARG_MAX: ArgMax<i8, i32> = scrimp::expect!(ArgMax::max([1, 4, 1]));
/// let mut y = [0];
/// ARG_MAX.run(&[3, 9, -1, 9], &mut y)?;
/// assert_eq!(y, [1]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArgMax<X, Y> {
    outer: u32,
    axis: u32,
    inner: u32,
    /// All bits turn over for the smallest one.
    flip: i32,
    codes: PhantomData<(X, Y)>,
}

impl<X: Activated, Y: Index> ArgMax<X, Y> {
    /// Of the largest one; `shape` is outer axes, the axis, inner axes.
    ///
    /// # Errors
    /// `Error::Empty` if one of them is zero, `Error::TooLarge` for 2^31 elements or more.
    pub const fn max(shape: [usize; 3]) -> Result<Self, Error> {
        Self::build(shape, 0)
    }

    /// Of the smallest one.
    ///
    /// # Errors
    /// As [`ArgMax::max`].
    pub const fn min(shape: [usize; 3]) -> Result<Self, Error> {
        Self::build(shape, -1)
    }

    const fn build(shape: [usize; 3], flip: i32) -> Result<Self, Error> {
        let (mut elements, mut k) = (1usize, 0);
        while k < 3 {
            if shape[k] == 0 {
                return Err(Error::Empty { what: Arg::Axes });
            }
            elements = match elements.checked_mul(shape[k]) {
                Some(elements) if elements < 1 << 31 => elements,
                _ => return Err(Error::TooLarge { what: Arg::Axes, max: (1 << 31) - 1, got: shape[k] }),
            };
            k += 1;
        }
        let [outer, axis, inner] = [shape[0] as u32, shape[1] as u32, shape[2] as u32];
        Ok(Self { outer, axis, inner, flip, codes: PhantomData })
    }

    /// Writes the places to `y`.
    ///
    /// # Errors
    /// `Error::Length` if a slice has not as many elements as the shape says; `y` is then untouched.
    pub fn run(&self, x: &[X], y: &mut [Y]) -> Result<(), Error> {
        self.check(x.len(), y.len())?;
        <X as sealed::Entry>::arg_max(self, x, y);
        Ok(())
    }

    /// [`ArgMax::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`ArgMax::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[X], y: &mut [Y]) -> Result<(), Error> {
        self.check(x.len(), y.len())?;
        backend.dispatch(Run { of: self, x, y });
        Ok(())
    }

    fn check(&self, x: usize, y: usize) -> Result<(), Error> {
        let [outer, axis, inner] = [self.outer, self.axis, self.inner].map(|extent| extent as usize);
        length(Arg::X, outer * axis * inner, x)?;
        length(Arg::Y, outer * inner, y)
    }
}

struct Run<'a, X, Y> {
    of: &'a ArgMax<X, Y>,
    x: &'a [X],
    y: &'a mut [Y],
}

impl<X: Code, Y: Index> Kernel for Run<'_, X, Y> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let ArgMax { axis, inner, flip, .. } = *self.of;
        let (axis, inner) = ((axis as usize).max(1), (inner as usize).max(1));
        let planes = self.x.chunks_exact(axis.saturating_mul(inner).max(1));
        for (x, y) in planes.zip(self.y.chunks_exact_mut(inner)) {
            for (i, y) in y.iter_mut().enumerate() {
                let column = x.get(i..).unwrap_or_default().iter().step_by(inner);
                let (mut best, mut at) = (i32::MIN, 0);
                for (k, x) in column.enumerate() {
                    let x = x.widen() ^ flip;
                    if x > best {
                        best = x;
                        at = k as u32;
                    }
                }
                *y = Y::of(at);
            }
        }
    }
}
