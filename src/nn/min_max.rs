//! The larger or the smaller of two codes (TFLite's `MAXIMUM`, `MINIMUM`).

use core::marker::PhantomData;

use super::broadcast::Broadcast;
use super::code::{Activated, Code, for_activated};
use super::pairwise::{self, Pair};
use crate::backend::{Auto, Dispatch};
use crate::error::Error;

/// `y = max(x1, x2)` or `min(x1, x2)` of codes, with broadcasting: [`MinMaxS8`], [`MinMaxS16`]. All three tensors are
/// quantized alike.
///
/// # Example
/// ```
/// use scrimp::nn::{Broadcast, MinMaxS8};
/// static MAX: MinMaxS8 = MinMaxS8::maximum(scrimp::expect!(Broadcast::new(&[3], &[1])));
/// let mut y = [5, -3, 9];
/// MAX.run_in_place(&mut y, &[4])?;
/// assert_eq!(y, [5, 4, 9]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MinMax<T> {
    shape: Broadcast,
    /// All bits turn over on the way in and out for a minimum, 0 for a maximum.
    flip: i16,
    codes: PhantomData<T>,
}

/// [`MinMax`] of 8-bit codes.
pub type MinMaxS8 = MinMax<i8>;
/// [`MinMax`] of 16-bit codes.
pub type MinMaxS16 = MinMax<i16>;

impl<T: Activated> MinMax<T> {
    /// The larger one.
    #[must_use]
    pub const fn maximum(shape: Broadcast) -> Self {
        Self { shape, flip: 0, codes: PhantomData }
    }

    /// The smaller one.
    #[must_use]
    pub const fn minimum(shape: Broadcast) -> Self {
        Self { shape, flip: -1, codes: PhantomData }
    }

    /// The shapes of operands and result.
    #[must_use]
    pub const fn shape(&self) -> &Broadcast {
        &self.shape
    }

    /// Writes the result to `y`.
    ///
    /// # Errors
    /// `Error::Length` if a slice has not as many elements as the shapes say; `y` is then untouched.
    pub fn run(&self, first: &[T], second: &[T], y: &mut [T]) -> Result<(), Error> {
        self.shape.check(first.len(), second.len(), y.len())?;
        <T as sealed::Entry>::apart(self, first, second, y);
        Ok(())
    }

    /// [`MinMax::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`MinMax::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, first: &[T], second: &[T], y: &mut [T]) -> Result<(), Error> {
        self.shape.check(first.len(), second.len(), y.len())?;
        entry_apart_on(backend, self, first, second, y);
        Ok(())
    }

    /// Writes the result over the first operand.
    ///
    /// # Errors
    /// `Error::Length` if a slice has not as many elements as the shapes say, or the first operand fewer than the result;
    /// nothing is written then.
    pub fn run_in_place(&self, first: &mut [T], second: &[T]) -> Result<(), Error> {
        self.shape.check(first.len(), second.len(), first.len())?;
        <T as sealed::Entry>::in_place(self, first, second);
        Ok(())
    }

    /// [`MinMax::run_in_place`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`MinMax::run_in_place`].
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, first: &mut [T], second: &[T]) -> Result<(), Error> {
        self.shape.check(first.len(), second.len(), first.len())?;
        entry_in_place_on(backend, self, first, second);
        Ok(())
    }
}

pub(crate) mod sealed {
    use super::MinMax;

    /// What [`MinMax`] does, compiled here.
    pub trait Entry: Sized {
        /// `y` of checked lengths.
        fn apart(of: &MinMax<Self>, first: &[Self], second: &[Self], y: &mut [Self]);

        /// Over the first operand, lengths checked.
        fn in_place(of: &MinMax<Self>, first: &mut [Self], second: &[Self]);
    }
}

macro_rules! entry {
    ($type:ty) => {
        impl sealed::Entry for $type {
            fn apart(of: &MinMax<Self>, first: &[Self], second: &[Self], y: &mut [Self]) {
                entry_apart_on(Auto, of, first, second, y);
            }

            fn in_place(of: &MinMax<Self>, first: &mut [Self], second: &[Self]) {
                entry_in_place_on(Auto, of, first, second);
            }
        }
    };
}
for_activated!(entry);

fn entry_apart_on<D: Dispatch, T: Code>(backend: D, of: &MinMax<T>, first: &[T], second: &[T], y: &mut [T]) {
    let pair = Larger { flip: of.flip.into() };
    if of.shape.walks_first() {
        pairwise::apart(backend, &of.shape, pair, first, second, y);
    } else {
        pairwise::apart(backend, &of.shape.swapped(), pair, second, first, y);
    }
}

fn entry_in_place_on<D: Dispatch, T: Code>(backend: D, of: &MinMax<T>, first: &mut [T], second: &[T]) {
    pairwise::in_place(backend, &of.shape, Larger { flip: of.flip.into() }, first, second);
}

#[derive(Clone, Copy)]
struct Larger {
    flip: i32,
}

impl<T: Code> Pair<T, T> for Larger {
    #[inline(always)]
    fn of(self, x: T, other: T) -> T {
        T::saturate((x.widen() ^ self.flip).max(other.widen() ^ self.flip) ^ self.flip)
    }
}
