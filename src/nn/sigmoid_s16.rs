//! Logistic function and tanh of rows of 16-bit codes (TFLite's `LOGISTIC` and `TANH` of int16).

use crate::backend::{Auto, Backend, Dispatch, InOut, Kernel};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::{Quantization, SigmoidS16};
use crate::math::constant;

/// `1 / (1 + e^-x)` of i16, in units of 2^-15.
///
/// # Accuracy
/// The bytes of TFLite's reference kernel, on every backend: see [`SigmoidS16`].
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::LogisticS16;
/// static LOGISTIC: LogisticS16 = scrimp::expect!(LogisticS16::new(Quantization::new(1.0 / 4096.0, 0)));
/// let mut y = [0, 4096];
/// LOGISTIC.run_in_place(&mut y);
/// assert_eq!(y, [1 << 14, 23_956]); // 1/2, 0.73
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LogisticS16 {
    of: SigmoidS16,
}

/// `tanh x` of i16, in units of 2^-15.
///
/// # Accuracy
/// The bytes of TFLite's reference kernel, on every backend: see [`SigmoidS16`].
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::TanhS16;
/// static TANH: TanhS16 = scrimp::expect!(TanhS16::new(Quantization::new(1.0 / 4096.0, 0)));
/// let mut y = [0, -4096];
/// TANH.run_in_place(&mut y);
/// assert_eq!(y, [0, -24_956]); // 0, -0.76
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TanhS16 {
    of: SigmoidS16,
}

/// A scale that is nearly a power of two, of those that the reference then takes for it.
const fn of_scale(x: Quantization, powers: &[i32]) -> Result<SigmoidS16, Error> {
    if !x.has_usable_scale() {
        return Err(Error::Config { what: Rule::Scale });
    }
    if x.zero_point != 0 {
        return Err(Error::Config { what: Rule::ZeroPoint });
    }
    let log2 = (constant::ln(x.scale as f64) / core::f64::consts::LN_2) as f32;
    let mut k = 0;
    while k < powers.len() {
        let off = log2 - powers[k] as f32;
        if off < 1e-3 && off > -1e-3 {
            return SigmoidS16::from_power(powers[k]);
        }
        k += 1;
    }
    SigmoidS16::new(x.scale)
}

impl LogisticS16 {
    /// Of codes in units of `x.scale`.
    ///
    /// # Errors
    /// `Error::Config` unless the scale is positive and at most 16, and the zero point 0.
    pub const fn new(x: Quantization) -> Result<Self, Error> {
        match of_scale(x, &[-12]) {
            Ok(of) => Ok(Self { of }),
            Err(error) => Err(error),
        }
    }

    /// Writes the results to `y`.
    ///
    /// # Errors
    /// `Error::Length` if `y` has not as many elements as `x`; it is then untouched.
    pub fn run(&self, x: &[i16], y: &mut [i16]) -> Result<(), Error> {
        self.run_on(Auto, x, y)
    }

    /// [`LogisticS16::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`LogisticS16::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i16], y: &mut [i16]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        backend.dispatch(EachLogistic(self.of, InOut::apart(x, y)));
        Ok(())
    }

    /// Writes the results over the input.
    pub fn run_in_place(&self, x: &mut [i16]) {
        self.run_in_place_on(Auto, x);
    }

    /// [`LogisticS16::run_in_place`] under a backend of your choice.
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [i16]) {
        backend.dispatch(EachLogistic(self.of, InOut::in_place(x)));
    }
}

impl TanhS16 {
    /// Of codes in units of `x.scale`.
    ///
    /// # Errors
    /// `Error::Config` unless the scale is positive and at most 16, and the zero point 0.
    pub const fn new(x: Quantization) -> Result<Self, Error> {
        match of_scale(x, &[-12, -11]) {
            Ok(of) => Ok(Self { of }),
            Err(error) => Err(error),
        }
    }

    /// Writes the results to `y`.
    ///
    /// # Errors
    /// `Error::Length` if `y` has not as many elements as `x`; it is then untouched.
    pub fn run(&self, x: &[i16], y: &mut [i16]) -> Result<(), Error> {
        self.run_on(Auto, x, y)
    }

    /// [`TanhS16::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`TanhS16::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i16], y: &mut [i16]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        backend.dispatch(EachTanh(self.of, InOut::apart(x, y)));
        Ok(())
    }

    /// Writes the results over the input.
    pub fn run_in_place(&self, x: &mut [i16]) {
        self.run_in_place_on(Auto, x);
    }

    /// [`TanhS16::run_in_place`] under a backend of your choice.
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [i16]) {
        backend.dispatch(EachTanh(self.of, InOut::in_place(x)));
    }
}

struct EachLogistic<'a>(SigmoidS16, InOut<'a, i16>);

impl Kernel for EachLogistic<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        self.1.map(|x| self.0.logistic(x));
    }
}

struct EachTanh<'a>(SigmoidS16, InOut<'a, i16>);

impl Kernel for EachTanh<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        self.1.map(|x| self.0.tanh(x));
    }
}
