//! One over the square root, code by code (TFLite's `RSQRT`).

use core::marker::PhantomData;

use super::code::{Activated, check, for_activated};
use crate::backend::{Auto, Backend, Dispatch, InOut, Kernel};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::{Multiplier, Quantization, Rounding, inverse_sqrt, requantize};

/// Binary places of the root's inverse.
const PLACES: i32 = 20;

/// `y = m(1 / (sqrt(s1) s)) / sqrt(x - z1) + z`, clamped: [`RsqrtS8`], [`RsqrtS16`]. The largest code for 0 and, where the
/// reference refuses them, for negative numbers.
///
/// For a few elements: the root is found by Newton's steps for each. For many elements of 8 bits
/// [`TableS8::rsqrt`](super::TableS8::rsqrt) gives the same.
///
/// # Accuracy
/// The bytes of TFLite Micro's reference kernel, on every backend.
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::RsqrtS8;
/// let rsqrt = RsqrtS8::new(Quantization::new(0.25, -128), Quantization::new(0.0625, -128))?;
/// let mut y = [-124, -112, -128];
/// rsqrt.run_in_place(&mut y); // 1, 4, 0
/// assert_eq!(y, [-112, -120, 127]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rsqrt<T> {
    of_x: i32,
    of_y: i32,
    multiplier: Multiplier,
    codes: PhantomData<T>,
}

/// [`Rsqrt`] of 8-bit codes.
pub type RsqrtS8 = Rsqrt<i8>;
/// [`Rsqrt`] of 16-bit codes, whose zero points are 0.
pub type RsqrtS16 = Rsqrt<i16>;

impl<T: Activated> Rsqrt<T> {
    /// Of a tensor that is quantized as `x` to one quantized as `y`.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable.
    pub const fn new(x: Quantization, y: Quantization) -> Result<Self, Error> {
        if let Err(error) = check::<T>(x) {
            return Err(error);
        }
        if let Err(error) = check::<T>(y) {
            return Err(error);
        }
        // The root and the product are f32.
        let divisor = crate::math::constant::sqrt(x.scale as f64) as f32 * y.scale;
        match Multiplier::from_real(1.0 / divisor as f64) {
            Some(Multiplier { mantissa, shift }) if shift - PLACES >= -31 => {
                let multiplier = Multiplier { mantissa, shift: shift - PLACES };
                Ok(Self { of_x: x.zero_point, of_y: y.zero_point, multiplier, codes: PhantomData })
            }
            _ => Err(Error::Config { what: Rule::Scale }),
        }
    }

    /// Of one code, clamped.
    pub(super) const fn of_code(&self, code: i32) -> i32 {
        let x = code.saturating_sub(self.of_x);
        if x <= 0 {
            return T::MAX;
        }
        let inverse = inverse_sqrt(x);
        let shifted = Multiplier { mantissa: inverse.mantissa, shift: inverse.shift + PLACES };
        let root = requantize(1, shifted, Rounding::Double);
        let y = requantize(root, self.multiplier, Rounding::Double).wrapping_add(self.of_y);
        if y < T::MIN {
            T::MIN
        } else if y > T::MAX {
            T::MAX
        } else {
            y
        }
    }

    /// Writes the results to `y`.
    ///
    /// # Errors
    /// `Error::Length` if `y` has not as many elements as `x`; it is then untouched.
    pub fn run(&self, x: &[T], y: &mut [T]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        <T as sealed::Entry>::apart(self, x, y);
        Ok(())
    }

    /// [`Rsqrt::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Rsqrt::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[T], y: &mut [T]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        backend.dispatch(EachCode { rsqrt: self, row: InOut::apart(x, y) });
        Ok(())
    }

    /// Writes the results over the input.
    pub fn run_in_place(&self, x: &mut [T]) {
        <T as sealed::Entry>::in_place(self, x);
    }

    /// [`Rsqrt::run_in_place`] under a backend of your choice.
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [T]) {
        backend.dispatch(EachCode { rsqrt: self, row: InOut::in_place(x) });
    }
}

pub(crate) mod sealed {
    use super::Rsqrt;

    /// What [`Rsqrt`] does, compiled here.
    pub trait Entry: Sized {
        /// `y` of checked length.
        fn apart(of: &Rsqrt<Self>, x: &[Self], y: &mut [Self]);

        /// Over the input.
        fn in_place(of: &Rsqrt<Self>, x: &mut [Self]);
    }
}

macro_rules! entry {
    ($type:ty) => {
        impl sealed::Entry for $type {
            fn apart(of: &Rsqrt<Self>, x: &[Self], y: &mut [Self]) {
                Auto.dispatch(EachCode { rsqrt: of, row: InOut::apart(x, y) });
            }

            fn in_place(of: &Rsqrt<Self>, x: &mut [Self]) {
                Auto.dispatch(EachCode { rsqrt: of, row: InOut::in_place(x) });
            }
        }
    };
}
for_activated!(entry);

struct EachCode<'a, T> {
    rsqrt: &'a Rsqrt<T>,
    row: InOut<'a, T>,
}

impl<T: Activated> Kernel for EachCode<'_, T> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        self.row.map(|x: T| T::saturate(self.rsqrt.of_code(x.widen())));
    }
}
