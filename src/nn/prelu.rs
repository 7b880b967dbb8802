//! Leaky ReLU with a slope for each channel, or each element (TFLite's `PRELU`).

use core::marker::PhantomData;

use super::broadcast::Broadcast;
use super::code::{Activated, Code, check, for_activated};
use super::pairwise::{self, Pair};
use super::scale::Scale;
use crate::backend::{Auto, Dispatch};
use crate::error::{Arg, Error, Rule};
use crate::fixedpoint::{Multiplier, Quantization};

/// `y = m(s1/s) x'` where `x' = x - z1` is not negative, else `m(s1 sa/s) x' (a - za)`, plus `z`: [`PreluS8`], [`PreluS16`].
///
/// `x` and `y`: of one shape; slopes `a`: i8, broadcast to it.
///
/// # Accuracy
/// The bytes of TFLite's reference kernel, on every backend.
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::{Broadcast, PreluS8};
/// const X: Quantization = Quantization::new(0.5, 0);
/// const SLOPES: Quantization = Quantization::new(0.25, 0);
/// static SHAPE: Broadcast = scrimp::expect!(Broadcast::new(&[2, 2], &[2]));
/// static PRELU: PreluS8 = scrimp::expect!(PreluS8::new(SHAPE, X, SLOPES, X));
/// let mut y = [8, -8, -8, 8];
/// PRELU.run_in_place(&mut y, &[1, 2])?; // 1/4 and 1/2
/// assert_eq!(y, [8, -4, -2, 8]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Prelu<T> {
    shape: Broadcast,
    positive: Multiplier,
    negative: Multiplier,
    /// Of `x`, of the slopes and of `y`.
    zero_points: [i16; 3],
    codes: PhantomData<T>,
}

/// [`Prelu`] of 8-bit codes.
pub type PreluS8 = Prelu<i8>;
/// [`Prelu`] of 16-bit codes, whose zero points are 0, with slopes of 8 bits.
pub type PreluS16 = Prelu<i16>;

impl<T: Activated> Prelu<T> {
    /// For tensors that are quantized so; `shape` is that of `x` and the slopes.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable; `Error::Length` if the slopes are of a larger shape than `x`.
    pub const fn new(shape: Broadcast, x: Quantization, slopes: Quantization, y: Quantization) -> Result<Self, Error> {
        if let Err(error) = check::<T>(x) {
            return Err(error);
        }
        if let Err(error) = check::<i8>(slopes) {
            return Err(error);
        }
        if let Err(error) = check::<T>(y) {
            return Err(error);
        }
        if !shape.is_first_whole() {
            return Err(Error::Length { what: Arg::X, want: shape.output(), got: shape.first() });
        }
        let positive = Multiplier::from_real(x.scale as f64 / y.scale as f64);
        let negative = Multiplier::of_scales(x.scale, slopes.scale, y.scale);
        let (Some(positive), Some(negative)) = (positive, negative) else {
            return Err(Error::Config { what: Rule::Scale });
        };
        let zero_points = [x.zero_point as i16, slopes.zero_point as i16, y.zero_point as i16];
        Ok(Self { shape, positive, negative, zero_points, codes: PhantomData })
    }

    /// The shapes of `x` and the slopes.
    #[must_use]
    pub const fn shape(&self) -> &Broadcast {
        &self.shape
    }

    /// Writes the result to `y`.
    ///
    /// # Errors
    /// `Error::Length` if a slice has not as many elements as the shapes say; `y` is then untouched.
    pub fn run(&self, x: &[T], slopes: &[i8], y: &mut [T]) -> Result<(), Error> {
        self.shape.check(x.len(), slopes.len(), y.len())?;
        <T as sealed::Entry>::apart(self, x, slopes, y);
        Ok(())
    }

    /// [`Prelu::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Prelu::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[T], slopes: &[i8], y: &mut [T]) -> Result<(), Error> {
        self.shape.check(x.len(), slopes.len(), y.len())?;
        pairwise::apart(backend, &self.shape, Slopes::new(self), x, slopes, y);
        Ok(())
    }

    /// Writes the result over `x`.
    ///
    /// # Errors
    /// As [`Prelu::run`]; `x` is then untouched.
    pub fn run_in_place(&self, x: &mut [T], slopes: &[i8]) -> Result<(), Error> {
        self.shape.check(x.len(), slopes.len(), x.len())?;
        <T as sealed::Entry>::in_place(self, x, slopes);
        Ok(())
    }

    /// [`Prelu::run_in_place`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Prelu::run_in_place`].
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [T], slopes: &[i8]) -> Result<(), Error> {
        self.shape.check(x.len(), slopes.len(), x.len())?;
        pairwise::in_place(backend, &self.shape, Slopes::new(self), x, slopes);
        Ok(())
    }
}

pub(crate) mod sealed {
    use super::Prelu;

    /// What [`Prelu`] does, compiled here.
    pub trait Entry: Sized {
        /// `y` of checked lengths.
        fn apart(of: &Prelu<Self>, x: &[Self], slopes: &[i8], y: &mut [Self]);

        /// Over `x`, lengths checked.
        fn in_place(of: &Prelu<Self>, x: &mut [Self], slopes: &[i8]);
    }
}

macro_rules! entry {
    ($type:ty) => {
        impl sealed::Entry for $type {
            fn apart(of: &Prelu<Self>, x: &[Self], slopes: &[i8], y: &mut [Self]) {
                pairwise::apart(Auto, &of.shape, Slopes::new(of), x, slopes, y);
            }

            fn in_place(of: &Prelu<Self>, x: &mut [Self], slopes: &[i8]) {
                pairwise::in_place(Auto, &of.shape, Slopes::new(of), x, slopes);
            }
        }
    };
}
for_activated!(entry);

#[derive(Clone, Copy)]
struct Slopes {
    zero_points: [i32; 3],
    positive: Scale,
    negative: Scale,
}

impl Slopes {
    #[inline(always)]
    fn new<T>(of: &Prelu<T>) -> Self {
        let zero_points = of.zero_points.map(i32::from);
        Self { zero_points, positive: Scale::new(of.positive), negative: Scale::new(of.negative) }
    }
}

impl<T: Code> Pair<T, i8> for Slopes {
    #[inline(always)]
    fn of(self, x: T, slope: i8) -> T {
        let [of_x, of_slope, of_y] = self.zero_points;
        let x = x.widen().wrapping_sub(of_x);
        // At most 255 * 255 or 2^15 * 255.
        let scaled = if x >= 0 {
            self.positive.of(x)
        } else {
            self.negative.of(x.wrapping_mul(i32::from(slope).wrapping_sub(of_slope)))
        };
        T::saturate(scaled.wrapping_add(of_y))
    }
}
