//! Product of two integer tensors, and the square of their difference (TFLite's `MUL`, `SQUARED_DIFFERENCE`).

use core::marker::PhantomData;

use super::activation::Activation;
use super::add::range;
use super::broadcast::Broadcast;
use super::code::{Activated, Code, check, for_activated};
use super::pairwise::{self, Pair};
use super::scale::{RoundingShift, Scale, high};
use crate::backend::{Auto, Backend, Dispatch, InOut, PairOutputs, ProductS8, SquareS8};
use crate::error::{Error, Rule};
use crate::fixedpoint::{Multiplier, Quantization};

/// `y = clamp(m(s1 s2 / s) (x1 - z1) (x2 - z2) + z)`, with broadcasting and a fused activation: [`MulS8`], [`MulS16`].
///
/// # Accuracy
/// The bytes of TFLite's reference kernel, on every backend; what leaves 32 bits on the way wraps around, as there.
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::{Activation, Broadcast, MulS8};
/// const X: Quantization = Quantization::new(0.5, 0);
/// static SHAPE: Broadcast = scrimp::expect!(Broadcast::new(&[4], &[]));
/// static MUL: MulS8 = scrimp::expect!(MulS8::new(SHAPE, X, X, X, Activation::None));
/// let mut y = [0; 4];
/// MUL.run(&[2, 3, -3, 100], &[5], &mut y)?; // 1, 1.5, -1.5, 50 times 2.5
/// assert_eq!(y, [5, 8, -7, 127]); // halves round up
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mul<T> {
    shape: Broadcast,
    multiplier: Multiplier,
    zero_points: [i16; 3],
    min: i16,
    max: i16,
    codes: PhantomData<T>,
}

/// [`Mul`] of 8-bit codes.
pub type MulS8 = Mul<i8>;
/// [`Mul`] of 16-bit codes, whose zero points are 0.
pub type MulS16 = Mul<i16>;

impl<T: Activated> Mul<T> {
    /// For operands and results that are quantized so.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable (a zero point of 16-bit codes is 0).
    pub const fn new(
        shape: Broadcast,
        first: Quantization,
        second: Quantization,
        output: Quantization,
        activation: Activation,
    ) -> Result<Self, Error> {
        let zero_points = match zero_points::<T>(first, second, output) {
            Ok(zero_points) => zero_points,
            Err(error) => return Err(error),
        };
        let Some(multiplier) = Multiplier::of_scales(first.scale, second.scale, output.scale) else {
            return Err(Error::Config { what: Rule::Scale });
        };
        let (min, max) = range::<T>(activation, output);
        Ok(Self { shape, multiplier, zero_points, min, max, codes: PhantomData })
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
        <T as sealed::EntryMul>::apart(self, first, second, y);
        Ok(())
    }

    /// [`Mul::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Mul::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, first: &[T], second: &[T], y: &mut [T]) -> Result<(), Error> {
        self.shape.check(first.len(), second.len(), y.len())?;
        mul_apart_on(backend, self, first, second, y);
        Ok(())
    }

    /// Writes the result over the first operand.
    ///
    /// # Errors
    /// `Error::Length` if a slice has not as many elements as the shapes say, or the first operand fewer than the result;
    /// nothing is written then.
    pub fn run_in_place(&self, first: &mut [T], second: &[T]) -> Result<(), Error> {
        self.shape.check(first.len(), second.len(), first.len())?;
        <T as sealed::EntryMul>::in_place(self, first, second);
        Ok(())
    }

    /// [`Mul::run_in_place`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Mul::run_in_place`].
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, first: &mut [T], second: &[T]) -> Result<(), Error> {
        self.shape.check(first.len(), second.len(), first.len())?;
        mul_in_place_on(backend, self, first, second);
        Ok(())
    }
}

macro_rules! mul {
    ($type:ty) => {
        impl sealed::EntryMul for $type {
            fn apart(of: &Mul<Self>, first: &[Self], second: &[Self], y: &mut [Self]) {
                mul_apart_on(Auto, of, first, second, y);
            }

            fn in_place(of: &Mul<Self>, first: &mut [Self], second: &[Self]) {
                mul_in_place_on(Auto, of, first, second);
            }
        }
    };
}
for_activated!(mul);

fn mul_apart_on<D: Dispatch, T: Code>(backend: D, of: &Mul<T>, first: &[T], second: &[T], y: &mut [T]) {
    let pair = Product::new(of);
    if of.shape.walks_first() {
        pairwise::apart(backend, &of.shape, pair, first, second, y);
    } else {
        pairwise::apart(backend, &of.shape.swapped(), pair.swapped(), second, first, y);
    }
}

fn mul_in_place_on<D: Dispatch, T: Code>(backend: D, of: &Mul<T>, first: &mut [T], second: &[T]) {
    pairwise::in_place(backend, &of.shape, Product::new(of), first, second);
}

pub(crate) mod sealed {
    use super::{Mul, SquaredDifference};

    /// What [`Mul`] does, compiled here.
    pub trait EntryMul: Sized {
        /// `y` of checked lengths.
        fn apart(of: &Mul<Self>, first: &[Self], second: &[Self], y: &mut [Self]);

        /// Over the first operand, lengths checked.
        fn in_place(of: &Mul<Self>, first: &mut [Self], second: &[Self]);
    }

    /// What [`SquaredDifference`] does, compiled here.
    pub trait EntrySquare: Sized {
        /// `y` of checked lengths.
        fn apart(of: &SquaredDifference<Self>, first: &[Self], second: &[Self], y: &mut [Self]);

        /// Over the first operand, lengths checked.
        fn in_place(of: &SquaredDifference<Self>, first: &mut [Self], second: &[Self]);
    }
}

/// Zero points of both operands and the output, or what is wrong with one of them.
const fn zero_points<T: Code>(
    first: Quantization,
    second: Quantization,
    output: Quantization,
) -> Result<[i16; 3], Error> {
    let (of, mut zero_points, mut k) = ([first, second, output], [0; 3], 0);
    while k < 3 {
        if let Err(error) = check::<T>(of[k]) {
            return Err(error);
        }
        zero_points[k] = of[k].zero_point as i16;
        k += 1;
    }
    Ok(zero_points)
}

#[derive(Clone, Copy)]
struct Product {
    first: i32,
    second: i32,
    scale: Scale,
    zero_point: i32,
    min: i32,
    max: i32,
    /// The same for loops of a backend on 8 bits.
    loops: Option<ProductS8>,
}

impl Product {
    #[inline(always)]
    fn new<T>(of: &Mul<T>) -> Self {
        let [first, second, zero_point] = of.zero_points.map(i32::from);
        let scale = Scale::new(of.multiplier);
        let Multiplier { mantissa, shift } = of.multiplier;
        let right = if shift < 0 { shift.unsigned_abs() } else { 0 };
        let outputs = PairOutputs { mantissa, right, zero_point, min: of.min as i8, max: of.max as i8 };
        let loops = ProductS8::new([first, second], outputs);
        Self { first, second, scale, zero_point, min: of.min.into(), max: of.max.into(), loops }
    }

    #[inline(always)]
    fn swapped(self) -> Self {
        let loops = self.loops.map(|of| ProductS8 { zero_points: [self.second, self.first], ..of });
        Self { first: self.second, second: self.first, loops, ..self }
    }
}

impl<T: Code> Pair<T, T> for Product {
    #[inline(always)]
    fn of(self, x: T, other: T) -> T {
        let product = x.widen().wrapping_sub(self.first).wrapping_mul(other.widen().wrapping_sub(self.second));
        T::saturate(self.scale.of(product).wrapping_add(self.zero_point).max(self.min).min(self.max))
    }

    #[inline(always)]
    fn row<B: Backend>(self, b: B, row: InOut<'_, T>, other: &[T], is_each: bool) {
        match self.loops {
            Some(of) if B::HAS_PAIR_LOOPS => match T::bytes(row, other) {
                Ok((row, other)) => {
                    if let Some(other) = pairwise::other(other, is_each) {
                        b.multiply_pairs_s8(&of, row, other);
                    }
                }
                Err(row) => pairwise::in_rust(self, row, other, is_each),
            },
            _ => pairwise::in_rust(self, row, other, is_each),
        }
    }
}

/// `y = clamp(m(t² / (2^2L s)) (a - b)² + z)`, with both operands brought to the common scale `t = 2 max(s1, s2)` as
/// [`Add`](super::Add) does it, `L` 7 for 8 bits and 0 for 16: [`SquaredDifferenceS8`], [`SquaredDifferenceS16`].
///
/// # Accuracy
/// The bytes of TFLite Micro's reference kernel, on every backend.
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::{Broadcast, SquaredDifferenceS8};
/// const X: Quantization = Quantization::new(0.5, 0);
/// static SHAPE: Broadcast = scrimp::expect!(Broadcast::new(&[3], &[1]));
/// static SQUARE: SquaredDifferenceS8 = scrimp::expect!(SquaredDifferenceS8::new(SHAPE, X, X, X));
/// let mut y = [0; 3];
/// SQUARE.run(&[2, 4, 6], &[10], &mut y)?; // (1 - 5)², (2 - 5)², (3 - 5)²
/// assert_eq!(y, [32, 18, 8]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SquaredDifference<T> {
    shape: Broadcast,
    first: Multiplier,
    second: Multiplier,
    output: Multiplier,
    zero_points: [i16; 3],
    codes: PhantomData<T>,
}

/// [`SquaredDifference`] of 8-bit codes.
pub type SquaredDifferenceS8 = SquaredDifference<i8>;
/// [`SquaredDifference`] of 16-bit codes, whose zero points are 0.
pub type SquaredDifferenceS16 = SquaredDifference<i16>;

/// Binary places in front of the common scale.
const fn places<T: Code>() -> u32 {
    if T::MAX > i8::MAX as i32 { 0 } else { 7 }
}

impl<T: Activated> SquaredDifference<T> {
    /// For operands and results that are quantized so.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable (a zero point of 16-bit codes is 0).
    pub const fn new(
        shape: Broadcast,
        first: Quantization,
        second: Quantization,
        output: Quantization,
    ) -> Result<Self, Error> {
        let zero_points = match zero_points::<T>(first, second, output) {
            Ok(zero_points) => zero_points,
            Err(error) => return Err(error),
        };
        let (s1, s2) = (first.scale as f64, second.scale as f64);
        let twice = 2.0 * if s1 > s2 { s1 } else { s2 };
        // The one product that the reference rounds to f32.
        let divisor = (1u32 << (2 * places::<T>())) as f32 * output.scale;
        let (first, second) = (Multiplier::from_real(s1 / twice), Multiplier::from_real(s2 / twice));
        let output = Multiplier::from_non_negative(twice * twice / divisor as f64);
        match (first, second, output) {
            (Some(first), Some(second), Some(output)) => {
                Ok(Self { shape, first, second, output, zero_points, codes: PhantomData })
            }
            _ => Err(Error::Config { what: Rule::Scale }),
        }
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
        <T as sealed::EntrySquare>::apart(self, first, second, y);
        Ok(())
    }

    /// [`SquaredDifference::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SquaredDifference::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, first: &[T], second: &[T], y: &mut [T]) -> Result<(), Error> {
        self.shape.check(first.len(), second.len(), y.len())?;
        square_apart_on(backend, self, first, second, y);
        Ok(())
    }

    /// Writes the result over the first operand.
    ///
    /// # Errors
    /// `Error::Length` if a slice has not as many elements as the shapes say, or the first operand fewer than the result;
    /// nothing is written then.
    pub fn run_in_place(&self, first: &mut [T], second: &[T]) -> Result<(), Error> {
        self.shape.check(first.len(), second.len(), first.len())?;
        <T as sealed::EntrySquare>::in_place(self, first, second);
        Ok(())
    }

    /// [`SquaredDifference::run_in_place`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SquaredDifference::run_in_place`].
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, first: &mut [T], second: &[T]) -> Result<(), Error> {
        self.shape.check(first.len(), second.len(), first.len())?;
        square_in_place_on(backend, self, first, second);
        Ok(())
    }
}

macro_rules! square {
    ($type:ty) => {
        impl sealed::EntrySquare for $type {
            fn apart(of: &SquaredDifference<Self>, first: &[Self], second: &[Self], y: &mut [Self]) {
                square_apart_on(Auto, of, first, second, y);
            }

            fn in_place(of: &SquaredDifference<Self>, first: &mut [Self], second: &[Self]) {
                square_in_place_on(Auto, of, first, second);
            }
        }
    };
}
for_activated!(square);

fn square_apart_on<D: Dispatch, T: Code>(
    backend: D,
    of: &SquaredDifference<T>,
    first: &[T],
    second: &[T],
    y: &mut [T],
) {
    let pair = Square::new(of);
    if of.shape.walks_first() {
        pairwise::apart(backend, &of.shape, pair, first, second, y);
    } else {
        pairwise::apart(backend, &of.shape.swapped(), pair.swapped(), second, first, y);
    }
}

fn square_in_place_on<D: Dispatch, T: Code>(backend: D, of: &SquaredDifference<T>, first: &mut [T], second: &[T]) {
    pairwise::in_place(backend, &of.shape, Square::new(of), first, second);
}

#[derive(Clone, Copy)]
struct Square {
    first: Side,
    second: Side,
    scale: Scale,
    zero_point: i32,
    multiplier: Multiplier,
}

#[derive(Clone, Copy)]
struct Side {
    zero_point: i32,
    mantissa: i32,
    right: RoundingShift,
}

impl Side {
    /// Whether it is a half, and with that nothing is rounded.
    #[inline(always)]
    const fn is_exact(&self) -> bool {
        self.mantissa == 1 << 30 && self.right.is_none()
    }

    #[inline(always)]
    fn new(zero_point: i32, multiplier: Multiplier) -> Self {
        // At most a half, so that nothing is shifted to the left.
        let Multiplier { mantissa, shift } = multiplier;
        Self { zero_point, mantissa, right: RoundingShift::new(shift.unsigned_abs()) }
    }

    #[inline(always)]
    fn of<T: Code>(self, x: T) -> i32 {
        let shifted = x.widen().wrapping_sub(self.zero_point) << (places::<T>() + 1);
        self.right.of(high(shifted, self.mantissa))
    }
}

impl Square {
    /// The square of the difference to one code for loops of a backend on 8 bits: half of the first operand is exact.
    #[inline(always)]
    fn of_one<T: Code>(&self, other: T) -> Option<SquareS8> {
        let Multiplier { mantissa, shift } = self.multiplier;
        let k = 1 << places::<T>() >> 1;
        let c = (k * self.first.zero_point).wrapping_add(self.second.of(other)).wrapping_neg();
        let right = if shift < 0 { shift.unsigned_abs() } else { 0 };
        let zero_point = self.zero_point;
        SquareS8::new(k, c, PairOutputs { mantissa, right, zero_point, min: i8::MIN, max: i8::MAX })
    }

    #[inline(always)]
    fn new<T>(of: &SquaredDifference<T>) -> Self {
        let [first, second, zero_point] = of.zero_points.map(i32::from);
        let (first, second) = (Side::new(first, of.first), Side::new(second, of.second));
        Self { first, second, scale: Scale::new(of.output), zero_point, multiplier: of.output }
    }

    #[inline(always)]
    fn swapped(self) -> Self {
        Self { first: self.second, second: self.first, ..self }
    }
}

impl<T: Code> Pair<T, T> for Square {
    #[inline(always)]
    fn of(self, x: T, other: T) -> T {
        let difference = self.first.of(x).wrapping_sub(self.second.of(other));
        let square = difference.wrapping_mul(difference);
        T::saturate(self.scale.of(square).wrapping_add(self.zero_point))
    }

    #[inline(always)]
    fn row<B: Backend>(self, b: B, row: InOut<'_, T>, other: &[T], is_each: bool) {
        let of = match other.first() {
            // 8 bits: `bytes` tells.
            Some(&other) if B::HAS_PAIR_LOOPS && !is_each && self.first.is_exact() => self.of_one(other),
            _ => None,
        };
        match of {
            Some(of) => match T::bytes(row, other) {
                Ok((row, _)) => b.square_s8(&of, row),
                Err(row) => pairwise::in_rust(self, row, other, is_each),
            },
            None => pairwise::in_rust(self, row, other, is_each),
        }
    }
}
