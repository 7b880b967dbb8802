//! From numbers to codes, back, and from one kind of code to another (TFLite's `QUANTIZE`, `DEQUANTIZE`).

use core::marker::PhantomData;

use super::code::{Code, check_any};
use super::scale::Scale;
use super::table::round;
use crate::backend::{Auto, Backend, Dispatch, InOut, Kernel};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::{Multiplier, Quantization, Rounding, requantize};

pub(crate) mod sealed {
    use super::{Dequantize, Quantize, Rescale};

    /// What [`Quantize`], [`Dequantize`] and [`Rescale`] in place do, compiled here.
    pub trait Converted: Sized {
        /// Lengths are checked.
        fn quantize(of: &Quantize<Self>, x: &[f32], y: &mut [Self]);

        /// Lengths are checked.
        fn dequantize(of: &Dequantize<Self>, x: &[Self], y: &mut [f32]);

        /// Over the input.
        fn requantize(of: &Rescale<Self, Self>, x: &mut [Self]);
    }

    /// What [`Rescale`] does, compiled here.
    pub trait FromCodes<X>: Sized {
        /// Lengths are checked.
        fn rescale(of: &Rescale<X, Self>, x: &[X], y: &mut [Self]);
    }
}

/// A type of codes that is made of floats and becomes floats: `i8`, `u8`, `i16`.
pub trait Converted: Code + sealed::Converted {}

/// A type of codes that codes of type `X` become.
pub trait FromCodes<X>: Code + sealed::FromCodes<X> {}

macro_rules! converted {
    ($($type:ty),*) => {$(
        impl sealed::Converted for $type {
            fn quantize(of: &Quantize<Self>, x: &[f32], y: &mut [Self]) {
                Auto.dispatch(ToCodes { of: of.y, row: InOut::apart(x, y) });
            }

            fn dequantize(of: &Dequantize<Self>, x: &[Self], y: &mut [f32]) {
                Auto.dispatch(ToReal { of: of.x, row: InOut::apart(x, y) });
            }

            fn requantize(of: &Rescale<Self, Self>, x: &mut [Self]) {
                Auto.dispatch(Codes { of, row: InOut::in_place(x) });
            }
        }

        impl Converted for $type {}
    )*};
}
converted!(i8, u8, i16);

macro_rules! from {
    ($($x:ty => $y:ty),*) => {$(
        impl sealed::FromCodes<$x> for $y {
            fn rescale(of: &Rescale<$x, Self>, x: &[$x], y: &mut [Self]) {
                Auto.dispatch(Codes { of, row: InOut::apart(x, y) });
            }
        }

        impl FromCodes<$x> for $y {}
    )*};
}
from!(i8 => i8, i8 => u8, i8 => i16, i8 => i32, u8 => i8, u8 => u8, i16 => i8, i16 => i16, i16 => i32, i32 => i8, i32 => i16);

/// `y = clamp(round(x / s) + z)` of f32, ties away from zero. NaN counts as 0.
///
/// # Accuracy
/// The bytes of TFLite's reference kernel, whose quotient is f32, on every backend; beyond 2^31 steps, where the reference is
/// not defined, the end of the range.
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::Quantize;
/// static INPUT: Quantize<i8> = scrimp::expect!(Quantize::new(Quantization::new(0.5, -3)));
/// let mut y = [0; 4];
/// INPUT.run(&[0.0, 1.25, -1.2, 1e9], &mut y)?;
/// assert_eq!(y, [-3, 0, -5, 127]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Quantize<Y> {
    y: Quantization,
    codes: PhantomData<Y>,
}

impl<Y: Converted> Quantize<Y> {
    /// To codes that are quantized so.
    ///
    /// # Errors
    /// `Error::Config` if the scale or zero point is not usable.
    pub const fn new(y: Quantization) -> Result<Self, Error> {
        match check_any::<Y>(y) {
            Ok(()) => Ok(Self { y, codes: PhantomData }),
            Err(error) => Err(error),
        }
    }

    /// Writes the codes to `y`.
    ///
    /// # Errors
    /// `Error::Length` if `y` has not as many elements as `x`; it is then untouched.
    pub fn run(&self, x: &[f32], y: &mut [Y]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        Y::quantize(self, x, y);
        Ok(())
    }

    /// [`Quantize::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Quantize::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[f32], y: &mut [Y]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        backend.dispatch(ToCodes { of: self.y, row: InOut::apart(x, y) });
        Ok(())
    }
}

struct ToCodes<'a, Y> {
    of: Quantization,
    row: InOut<'a, f32, Y>,
}

impl<Y: Code> Kernel for ToCodes<'_, Y> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let Quantization { scale, zero_point } = self.of;
        self.row.map(|x: f32| Y::saturate(round(x / scale).saturating_add(zero_point)));
    }
}

/// `y = s (x - z)` in f32, rounded once.
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::Dequantize;
/// static OUTPUT: Dequantize<i8> = scrimp::expect!(Dequantize::new(Quantization::new(0.5, -3)));
/// let mut y = [0.0; 2];
/// OUTPUT.run(&[-3, 1], &mut y)?;
/// assert_eq!(y, [0.0, 2.0]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dequantize<X> {
    x: Quantization,
    codes: PhantomData<X>,
}

impl<X: Converted> Dequantize<X> {
    /// Of codes that are quantized so.
    ///
    /// # Errors
    /// `Error::Config` if the scale or zero point is not usable.
    pub const fn new(x: Quantization) -> Result<Self, Error> {
        match check_any::<X>(x) {
            Ok(()) => Ok(Self { x, codes: PhantomData }),
            Err(error) => Err(error),
        }
    }

    /// Writes the numbers to `y`.
    ///
    /// # Errors
    /// `Error::Length` if `y` has not as many elements as `x`; it is then untouched.
    pub fn run(&self, x: &[X], y: &mut [f32]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        X::dequantize(self, x, y);
        Ok(())
    }

    /// [`Dequantize::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Dequantize::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[X], y: &mut [f32]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        backend.dispatch(ToReal { of: self.x, row: InOut::apart(x, y) });
        Ok(())
    }
}

struct ToReal<'a, X> {
    of: Quantization,
    row: InOut<'a, X, f32>,
}

impl<X: Code> Kernel for ToReal<'_, X> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let Quantization { scale, zero_point } = self.of;
        // The difference of up to 24 bits is exact in f32, so that the product is rounded once, as one of f64 would be.
        self.row.map(|x: X| scale * x.widen().wrapping_sub(zero_point) as f32);
    }
}

/// `y = clamp(m(s1/s) (x - z1) + z)`, from codes to codes of the same or another type.
///
/// # Accuracy
/// The bytes of TFLite's reference kernel, on every backend; what leaves 32 bits on the way wraps around, as there.
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::Rescale;
/// const S8: Quantization = Quantization::new(0.5, -128);
/// const U8: Quantization = Quantization::new(0.5, 0);
/// static TO_U8: Rescale<i8, u8> = scrimp::expect!(Rescale::new(S8, U8));
/// let mut y = [0; 3];
/// TO_U8.run(&[-128, 0, 127], &mut y)?;
/// assert_eq!(y, [0, 128, 255]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rescale<X, Y> {
    of_x: i32,
    of_y: i32,
    multiplier: Multiplier,
    codes: PhantomData<(X, Y)>,
}

impl<X: Code, Y: FromCodes<X>> Rescale<X, Y> {
    /// From codes that are quantized as `x` to such as are quantized as `y`.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable.
    pub const fn new(x: Quantization, y: Quantization) -> Result<Self, Error> {
        if let Err(error) = check_any::<X>(x) {
            return Err(error);
        }
        if let Err(error) = check_any::<Y>(y) {
            return Err(error);
        }
        match Multiplier::from_real(x.scale as f64 / y.scale as f64) {
            Some(multiplier) => Ok(Self { of_x: x.zero_point, of_y: y.zero_point, multiplier, codes: PhantomData }),
            None => Err(Error::Config { what: Rule::Scale }),
        }
    }

    /// Writes the result to `y`.
    ///
    /// # Errors
    /// `Error::Length` if `y` has not as many elements as `x`; it is then untouched.
    pub fn run(&self, x: &[X], y: &mut [Y]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        Y::rescale(self, x, y);
        Ok(())
    }

    /// [`Rescale::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Rescale::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[X], y: &mut [Y]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        backend.dispatch(Codes { of: self, row: InOut::apart(x, y) });
        Ok(())
    }
}

impl<X: Converted> Rescale<X, X> {
    /// Writes the result over the input.
    pub fn run_in_place(&self, x: &mut [X]) {
        X::requantize(self, x);
    }

    /// [`Rescale::run_in_place`] under a backend of your choice.
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [X]) {
        backend.dispatch(Codes { of: self, row: InOut::in_place(x) });
    }
}

struct Codes<'a, X, Y> {
    of: &'a Rescale<X, Y>,
    row: InOut<'a, X, Y>,
}

impl<X: Code, Y: Code> Kernel for Codes<'_, X, Y> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let Rescale { of_x, of_y, multiplier, .. } = *self.of;
        let are_short = X::MAX < i32::MAX && Y::MAX < i32::MAX;
        let scale = Scale::new(multiplier);
        self.row.map(|x: X| {
            let x = x.widen().wrapping_sub(of_x);
            let scaled = if are_short { scale.of(x) } else { requantize(x, multiplier, Rounding::Double) };
            Y::saturate(scaled.wrapping_add(of_y))
        });
    }
}
