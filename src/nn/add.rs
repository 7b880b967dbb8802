//! Sum and difference of two integer tensors (TFLite's `ADD` and `SUB`).
//!
//! ```text
//! t = 2 max(s1, s2)     a = m(s1 / t) ((x1 - z1) 2^L)     b = m(s2 / t) ((x2 - z2) 2^L)
//! y = clamp(m(t / (2^L s)) (a ± b) + z)
//! ```
//! with `L` 20 for 8 bits and 15 for 16, and a rounding at each `m`. Both operands are brought to a common scale that leaves
//! room for the sum; the quotients are f64.

use core::marker::PhantomData;

use super::activation::Activation;
use super::broadcast::Broadcast;
use super::code::{Activated, Code, check, for_activated};
use super::pairwise::{self, Pair};
use super::scale::{RoundingShift, high};
use crate::backend::{self, Auto, Backend, Dispatch, InOut, PairOutputs, SumS8};
use crate::error::{Error, Rule};
use crate::fixedpoint::{Multiplier, Quantization};

/// `y = x1 + x2` or a difference, with broadcasting and a fused activation: [`AddS8`], [`AddS16`].
///
/// # Accuracy
/// The bytes of TFLite Micro's reference kernels (`ADD`, `SUB`), on every backend.
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::{Activation, AddS8, Broadcast};
/// const X: Quantization = Quantization::new(0.5, 0);
/// const Y: Quantization = Quantization::new(1.0, -10);
/// static SHAPE: Broadcast = scrimp::expect!(Broadcast::new(&[2, 3], &[3]));
/// static ADD: AddS8 = scrimp::expect!(AddS8::new(SHAPE, X, X, Y, Activation::Relu));
/// let mut y = [0; 6];
/// ADD.run(&[2, 4, 6, -2, -4, -6], &[1, 0, 1], &mut y)?; // 1 + 0.5, 2 + 0, ...
/// assert_eq!(y, [-8, -8, -6, -10, -10, -10]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Add<T> {
    shape: Broadcast,
    first: Term,
    second: Term,
    output: Term,
    min: i16,
    max: i16,
    codes: PhantomData<T>,
}

/// [`Add`] of 8-bit codes.
pub type AddS8 = Add<i8>;
/// [`Add`] of 16-bit codes, whose zero points are 0.
pub type AddS16 = Add<i16>;

/// A zero point and a multiplier below 1.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Term {
    mantissa: i32,
    zero_point: i16,
    right: u8,
    /// 1, or -1 for what is taken off.
    sign: i8,
}

impl Term {
    const fn new(real: f64, zero_point: i32, sign: i8) -> Result<Self, Error> {
        match Multiplier::from_real(real) {
            Some(Multiplier { mantissa, shift }) if shift <= 0 => {
                Ok(Self { mantissa, zero_point: zero_point as i16, right: shift.unsigned_abs() as u8, sign })
            }
            _ => Err(Error::Config { what: Rule::Scale }),
        }
    }
}

/// Binary places in front of the common scale.
const fn places<T: Code>() -> u32 {
    if T::MAX > i8::MAX as i32 { 15 } else { 20 }
}

impl<T: Activated> Add<T> {
    /// `x1 + x2` for operands and results that are quantized so.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable (a zero point of 16-bit codes is 0), or the larger scale of the
    /// operands is 2^19 times that of the output or more, 2^14 times with 16 bits.
    pub const fn new(
        shape: Broadcast,
        first: Quantization,
        second: Quantization,
        output: Quantization,
        activation: Activation,
    ) -> Result<Self, Error> {
        Self::build(shape, [first, second, output], [1, 1], activation)
    }

    /// `x1 - x2`.
    ///
    /// # Errors
    /// As [`Add::new`].
    pub const fn sub(
        shape: Broadcast,
        first: Quantization,
        second: Quantization,
        output: Quantization,
        activation: Activation,
    ) -> Result<Self, Error> {
        Self::build(shape, [first, second, output], [1, -1], activation)
    }

    /// `x2 - x1`, for a difference that overwrites what is taken off.
    ///
    /// # Errors
    /// As [`Add::new`].
    pub const fn reverse_sub(
        shape: Broadcast,
        first: Quantization,
        second: Quantization,
        output: Quantization,
        activation: Activation,
    ) -> Result<Self, Error> {
        Self::build(shape, [first, second, output], [-1, 1], activation)
    }

    const fn build(
        shape: Broadcast,
        of: [Quantization; 3],
        signs: [i8; 2],
        activation: Activation,
    ) -> Result<Self, Error> {
        let [s1, s2, s] = [of[0].scale as f64, of[1].scale as f64, of[2].scale as f64];
        let twice = 2.0 * if s1 > s2 { s1 } else { s2 };
        let factors = [s1 / twice, s2 / twice, twice / ((1u32 << places::<T>()) as f64 * s)];
        let mut terms = [Term { mantissa: 0, zero_point: 0, right: 0, sign: 0 }; 3];
        let signs = [signs[0], signs[1], 1];
        let mut k = 0;
        while k < 3 {
            if let Err(error) = check::<T>(of[k]) {
                return Err(error);
            }
            terms[k] = match Term::new(factors[k], of[k].zero_point, signs[k]) {
                Ok(term) => term,
                Err(error) => return Err(error),
            };
            k += 1;
        }
        let (min, max) = range::<T>(activation, of[2]);
        let [first, second, output] = terms;
        Ok(Self { shape, first, second, output, min, max, codes: PhantomData })
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

    /// [`Add::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Add::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, first: &[T], second: &[T], y: &mut [T]) -> Result<(), Error> {
        self.shape.check(first.len(), second.len(), y.len())?;
        apart_on(backend, self, first, second, y);
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

    /// [`Add::run_in_place`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Add::run_in_place`].
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, first: &mut [T], second: &[T]) -> Result<(), Error> {
        self.shape.check(first.len(), second.len(), first.len())?;
        in_place_on(backend, self, first, second);
        Ok(())
    }
}

pub(crate) mod sealed {
    use super::Add;

    /// What [`Add`] does, compiled here.
    pub trait Entry: Sized {
        /// `y` of checked lengths.
        fn apart(of: &Add<Self>, first: &[Self], second: &[Self], y: &mut [Self]);

        /// Over the first operand, lengths checked.
        fn in_place(of: &Add<Self>, first: &mut [Self], second: &[Self]);
    }
}

macro_rules! entry {
    ($type:ty) => {
        impl sealed::Entry for $type {
            fn apart(of: &Add<Self>, first: &[Self], second: &[Self], y: &mut [Self]) {
                apart_on(Auto, of, first, second, y);
            }

            fn in_place(of: &Add<Self>, first: &mut [Self], second: &[Self]) {
                in_place_on(Auto, of, first, second);
            }
        }
    };
}
for_activated!(entry);

fn apart_on<D: Dispatch, T: Code>(backend: D, of: &Add<T>, first: &[T], second: &[T], y: &mut [T]) {
    if of.shape.walks_first() {
        pairwise::apart(backend, &of.shape, Sum::new(of, &of.first, &of.second), first, second, y);
    } else {
        let swapped = Sum::new(of, &of.second, &of.first);
        pairwise::apart(backend, &of.shape.swapped(), swapped, second, first, y);
    }
}

fn in_place_on<D: Dispatch, T: Code>(backend: D, of: &Add<T>, first: &mut [T], second: &[T]) {
    pairwise::in_place(backend, &of.shape, Sum::new(of, &of.first, &of.second), first, second);
}

/// The range of codes of an activation, of either type.
pub(super) const fn range<T: Code>(activation: Activation, output: Quantization) -> (i16, i16) {
    if T::MAX > i8::MAX as i32 {
        activation.range_s16(output)
    } else {
        let (min, max) = activation.range_s8(output);
        (min as i16, max as i16)
    }
}

/// What one element takes, spread out for a loop.
#[derive(Clone, Copy)]
struct Sum {
    first: Shifted,
    second: Shifted,
    mantissa: i32,
    right: RoundingShift,
    zero_point: i32,
    min: i32,
    max: i32,
    /// The same for loops of a backend on 8 bits.
    loops: Option<SumS8>,
}

impl Sum {
    #[inline(always)]
    fn new<T: Code>(of: &Add<T>, first: &Term, second: &Term) -> Self {
        let term = |Term { mantissa, zero_point, right, sign }: Term| backend::Term {
            zero_point: zero_point.into(),
            mantissa,
            right: right.into(),
            sign: sign.into(),
        };
        let outputs = PairOutputs {
            mantissa: of.output.mantissa,
            right: of.output.right.into(),
            zero_point: of.output.zero_point.into(),
            min: of.min as i8,
            max: of.max as i8,
        };
        Self {
            first: Shifted::new::<T>(first),
            second: Shifted::new::<T>(second),
            mantissa: of.output.mantissa,
            right: RoundingShift::new(of.output.right.into()),
            zero_point: of.output.zero_point.into(),
            min: of.min.into(),
            max: of.max.into(),
            loops: SumS8::new(term(*first), term(*second), outputs),
        }
    }
}

impl<T: Code> Pair<T, T> for Sum {
    #[inline(always)]
    fn of(self, x: T, other: T) -> T {
        let sum = self.first.of(x.widen()).wrapping_add(self.second.of(other.widen()));
        // At most 2^30, and 2^30 itself only below zero.
        let y = self.right.of(high(sum << 1, self.mantissa)).wrapping_add(self.zero_point);
        T::saturate(y.max(self.min).min(self.max))
    }

    #[inline(always)]
    fn row<B: Backend>(self, b: B, row: InOut<'_, T>, other: &[T], is_each: bool) {
        match self.loops {
            Some(of) if B::HAS_PAIR_LOOPS => match T::bytes(row, other) {
                Ok((row, other)) => {
                    if let Some(other) = pairwise::other(other, is_each) {
                        b.add_pairs_s8(&of, row, other);
                    }
                }
                Err(row) => pairwise::in_rust(self, row, other, is_each),
            },
            _ => pairwise::in_rust(self, row, other, is_each),
        }
    }
}

/// From a code to the common scale.
#[derive(Clone, Copy)]
struct Shifted {
    zero_point: i32,
    /// One more than the places, for [`high`].
    left: u32,
    mantissa: i32,
    right: RoundingShift,
    sign: i32,
}

impl Shifted {
    #[inline(always)]
    fn new<T: Code>(term: &Term) -> Self {
        let Term { mantissa, zero_point, right, sign } = *term;
        Self {
            zero_point: zero_point.into(),
            left: places::<T>() + 1,
            mantissa,
            right: RoundingShift::new(right.into()),
            sign: sign.into(),
        }
    }

    #[inline(always)]
    fn of(self, x: i32) -> i32 {
        let shifted = x.wrapping_sub(self.zero_point) << (self.left & 31);
        self.right.of(high(shifted, self.mantissa)).wrapping_mul(self.sign)
    }
}
