//! Functions of two slopes that meet at 0 (TFLite's `RELU`, `RELU_N1_TO_1`, `LEAKY_RELU`, `ABS`), of one number and for rows
//! of 16-bit codes. For 8-bit codes a table is made of them ([`TableS8`](super::TableS8)).

use super::activation::Activation;
use super::code::{Activated, check};
use super::scale::Scale;
use crate::backend::{Auto, Backend, Dispatch, InOut, Kernel};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::{Multiplier, Quantization, Rounding, requantize};

/// `m x'`, with one `m` for each sign of `x' = x - z1`, plus `z`, clamped.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Slopes {
    of_x: i32,
    of_y: i32,
    positive: Multiplier,
    negative: Multiplier,
    /// Whether the sign turns over below 0, and whether it does before the multiplication.
    turns: Turn,
    min: i32,
    max: i32,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Turn {
    Never,
    Before,
    After,
}

impl Slopes {
    const fn new<T: Activated>(x: Quantization, y: Quantization, negative: f32) -> Result<Self, Error> {
        if let Err(error) = check::<T>(x) {
            return Err(error);
        }
        if let Err(error) = check::<T>(y) {
            return Err(error);
        }
        // The reference takes both quotients in f32, and multiplies by the slope first.
        let positive = Multiplier::from_real((x.scale / y.scale) as f64);
        let slope = x.scale * negative / y.scale;
        let turns = if slope < 0.0 { Turn::After } else { Turn::Never };
        let negative = Multiplier::from_non_negative(if slope < 0.0 { -slope } else { slope } as f64);
        match (positive, negative) {
            (Some(positive), Some(negative)) => {
                Ok(Self { of_x: x.zero_point, of_y: y.zero_point, positive, negative, turns, min: T::MIN, max: T::MAX })
            }
            _ => Err(Error::Config { what: Rule::Scale }),
        }
    }

    /// `max(x, 0)`, or another range.
    pub(super) const fn relu<T: Activated>(
        x: Quantization,
        y: Quantization,
        activation: Activation,
    ) -> Result<Self, Error> {
        match Self::new::<T>(x, y, 1.0) {
            Ok(mut slopes) => {
                let (min, max) = super::add::range::<T>(activation, y);
                slopes.min = min as i32;
                slopes.max = max as i32;
                Ok(slopes)
            }
            Err(error) => Err(error),
        }
    }

    /// `x` where it is positive, else `slope x`; the slope may be negative, too.
    pub(super) const fn leaky_relu<T: Activated>(x: Quantization, y: Quantization, slope: f32) -> Result<Self, Error> {
        Self::new::<T>(x, y, slope)
    }

    /// `|x|`.
    pub(super) const fn abs<T: Activated>(x: Quantization, y: Quantization) -> Result<Self, Error> {
        match Self::new::<T>(x, y, 1.0) {
            Ok(slopes) => Ok(Self { turns: Turn::Before, ..slopes }),
            Err(error) => Err(error),
        }
    }

    /// Of one code.
    pub(super) const fn of(&self, code: i32) -> i32 {
        let x = code.saturating_sub(self.of_x);
        let scaled = match (x < 0, self.turns) {
            (false, _) => requantize(x, self.positive, Rounding::Double),
            (true, Turn::Never) => requantize(x, self.negative, Rounding::Double),
            (true, Turn::Before) => requantize(x.saturating_neg(), self.negative, Rounding::Double),
            (true, Turn::After) => requantize(x, self.negative, Rounding::Double).wrapping_neg(),
        };
        let y = scaled.wrapping_add(self.of_y);
        if y < self.min {
            self.min
        } else if y > self.max {
            self.max
        } else {
            y
        }
    }
}

/// ReLU, leaky ReLU and absolute value of 16-bit codes, whose zero points are 0: `y = clamp(m(s1/s) x)`, with another `m`
/// below zero.
///
/// # Accuracy
/// The bytes of TFLite's reference kernels, on every backend.
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::SlopesS16;
/// const X: Quantization = Quantization::new(0.5, 0);
/// static LEAKY: SlopesS16 = scrimp::expect!(SlopesS16::leaky_relu(X, X, 0.25));
/// let mut y = [1000, -1000];
/// LEAKY.run_in_place(&mut y);
/// assert_eq!(y, [1000, -250]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SlopesS16 {
    slopes: Slopes,
}

impl SlopesS16 {
    /// ReLU of a tensor that is quantized as `x` to one quantized as `y`, or another activation: `Activation::ReluN1To1`,
    /// `Activation::Relu6`, `Activation::None`, which only changes the scale.
    ///
    /// # Errors
    /// `Error::Config` if a scale is not usable or a zero point is not 0.
    pub const fn relu(x: Quantization, y: Quantization, activation: Activation) -> Result<Self, Error> {
        Self::build(Slopes::relu::<i16>(x, y, activation))
    }

    /// `x` where it is positive, else `slope x`.
    ///
    /// # Errors
    /// As [`SlopesS16::relu`], and if the slope is not a usable number.
    pub const fn leaky_relu(x: Quantization, y: Quantization, slope: f32) -> Result<Self, Error> {
        Self::build(Slopes::leaky_relu::<i16>(x, y, slope))
    }

    /// `|x|`.
    ///
    /// # Errors
    /// As [`SlopesS16::relu`].
    pub const fn abs(x: Quantization, y: Quantization) -> Result<Self, Error> {
        Self::build(Slopes::abs::<i16>(x, y))
    }

    const fn build(slopes: Result<Slopes, Error>) -> Result<Self, Error> {
        match slopes {
            Ok(slopes) => Ok(Self { slopes }),
            Err(error) => Err(error),
        }
    }

    /// Writes the result to `y`.
    ///
    /// # Errors
    /// `Error::Length` if `y` has not as many elements as `x`; it is then untouched.
    pub fn run(&self, x: &[i16], y: &mut [i16]) -> Result<(), Error> {
        self.run_on(Auto, x, y)
    }

    /// [`SlopesS16::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SlopesS16::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i16], y: &mut [i16]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        backend.dispatch(EachCode { slopes: &self.slopes, row: InOut::apart(x, y) });
        Ok(())
    }

    /// Writes the result over the input.
    pub fn run_in_place(&self, x: &mut [i16]) {
        self.run_in_place_on(Auto, x);
    }

    /// [`SlopesS16::run_in_place`] under a backend of your choice.
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [i16]) {
        backend.dispatch(EachCode { slopes: &self.slopes, row: InOut::in_place(x) });
    }
}

struct EachCode<'a> {
    slopes: &'a Slopes,
    row: InOut<'a, i16>,
}

impl Kernel for EachCode<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let Slopes { positive, negative, turns, min, max, .. } = *self.slopes;
        let (before, after) = match turns {
            Turn::Never => (1, 1),
            Turn::Before => (-1, 1),
            Turn::After => (1, -1),
        };
        let (positive, negative) = (Scale::new(positive), Scale::new(negative));
        self.row.map(|x| {
            let x = i32::from(x);
            let scaled = if x < 0 { negative.of(x * before).wrapping_mul(after) } else { positive.of(x) };
            scaled.max(min).min(max) as i16
        });
    }
}
