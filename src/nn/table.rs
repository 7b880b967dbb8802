//! Functions of one 8-bit code: a table of the 256 results (TFLite's `LOGISTIC`, `TANH`, `GELU`, `HARD_SWISH`, `RELU`,
//! `LEAKY_RELU`, `ELU`, `EXP`, `LOG`, `SQRT`, `RSQRT`, `ABS`, and `QUANTIZE` between 8-bit codes).
//!
//! Each constructor works its function out the way TFLite's reference kernel does, rounding by rounding: some are fixed point
//! with gemmlowp's functions, some f32. All of them are `const fn`, so that a table lives in flash.

use super::activation::Activation;
use super::code::check;
use super::rsqrt::Rsqrt;
use super::slopes::Slopes;
use crate::backend::{Auto, Backend, Dispatch, InOut, Kernel};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::{
    self, Multiplier, Quantization, Rounding, requantize, rounding_shift_right, saturating_doubling_high_mul,
};
use crate::math::constant;

/// A function of i8 codes: `y[i] = table[x[i]]`.
///
/// # Accuracy
/// The bytes of TFLite Micro's reference kernels, and of LiteRT's for what TFLite Micro has not (`gelu`, `exp`, `log`,
/// `sqrt`), on every backend.
///
/// # Cost
/// 256 bytes; a load, a look-up and a store an element.
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::TableS8;
/// static SIGMOID: TableS8 = scrimp::expect!(TableS8::logistic(Quantization::new(0.1, 0), TableS8::LOGISTIC));
/// let mut y = [0, 10, -10, 127];
/// SIGMOID.run_in_place(&mut y);
/// assert_eq!(y, [0, 59, -59, 127]); // 1/2, 0.73, 0.27, 1, in units of 1/256 from -128 on
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TableS8 {
    /// At a code's place as u8.
    table: [i8; 256],
}

impl TableS8 {
    /// How the output of [`TableS8::logistic`] is quantized.
    pub const LOGISTIC: Quantization = Quantization::new(1.0 / 256.0, -128);
    /// How the output of [`TableS8::tanh`] is quantized.
    pub const TANH: Quantization = Quantization::new(1.0 / 128.0, 0);

    /// From the results of the codes 0 to 127 and then -128 to -1.
    #[must_use]
    pub const fn from_table(table: [i8; 256]) -> Self {
        Self { table }
    }

    /// The results of the codes 0 to 127 and then -128 to -1.
    #[must_use]
    pub const fn table(&self) -> &[i8; 256] {
        &self.table
    }

    /// `1 / (1 + e^-x)`, in Q4.27.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable, or `y` is not [`TableS8::LOGISTIC`].
    pub const fn logistic(x: Quantization, y: Quantization) -> Result<Self, Error> {
        // Any scale is taken for 1/256, as the reference does; only the zero point is looked at.
        match Sigmoid::new(x, y, Self::LOGISTIC) {
            Ok(sigmoid) => {
                let (mut table, mut code) = ([0; 256], -128);
                while code < 128 {
                    let y = match sigmoid.argument(code) {
                        Ok(x) => rounding_shift_right(fixedpoint::logistic(x), 23) - 128,
                        Err(end) => end,
                    };
                    table[place(code)] = saturate(y);
                    code += 1;
                }
                Ok(Self { table })
            }
            Err(error) => Err(error),
        }
    }

    /// `tanh x`, in Q4.27.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable, or `y` is not [`TableS8::TANH`].
    pub const fn tanh(x: Quantization, y: Quantization) -> Result<Self, Error> {
        match Sigmoid::new(x, y, Self::TANH) {
            Ok(sigmoid) => {
                let (mut table, mut code) = ([0; 256], -128);
                while code < 128 {
                    let y = match sigmoid.argument(code) {
                        Ok(x) => rounding_shift_right(fixedpoint::tanh(x), 24),
                        Err(end) => end,
                    };
                    table[place(code)] = saturate(y);
                    code += 1;
                }
                Ok(Self { table })
            }
            Err(error) => Err(error),
        }
    }

    /// `x min(max(x + 3, 0), 6) / 6`, in 16 bits.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable, or `y`'s scale is 1/128 of `x`'s or less.
    pub const fn hard_swish(x: Quantization, y: Quantization) -> Result<Self, Error> {
        if let Err(error) = both(x, y) {
            return Err(error);
        }
        let fine = x.scale * (1.0 / 128.0);
        let to_output = Multiplier::from_real((fine / y.scale) as f64);
        let to_relu = Multiplier::from_real((fine / (3.0 / 32_768.0)) as f64);
        let (Some(to_output), Some(to_relu)) = (to_output, to_relu) else {
            return Err(Error::Config { what: Rule::Scale });
        };
        if to_output.shift > 0 {
            return Err(Error::Config { what: Rule::Scale });
        }
        let (mut table, mut code) = ([0; 256], -128);
        while code < 128 {
            let y_code = hard_swish(code - x.zero_point, to_output, to_relu) + y.zero_point;
            table[place(code)] = saturate(y_code);
            code += 1;
        }
        Ok(Self { table })
    }

    /// ReLU and a change of the scale, or another activation: `Activation::Relu6`, `Activation::ReluN1To1`.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable.
    pub const fn relu(x: Quantization, y: Quantization, activation: Activation) -> Result<Self, Error> {
        Self::of_slopes(Slopes::relu::<i8>(x, y, activation))
    }

    /// The codes of an activation's range, the others clamped to it; the scale stays. TFLite Micro's `RELU6` is this, not
    /// [`TableS8::relu`].
    ///
    /// # Errors
    /// `Error::Config` if the scale or zero point is not usable.
    pub const fn clamp(x: Quantization, activation: Activation) -> Result<Self, Error> {
        if let Err(error) = check::<i8>(x) {
            return Err(error);
        }
        let (min, max) = activation.range_s8(x);
        let (mut table, mut code) = ([0; 256], -128);
        while code < 128 {
            let clamped = if code < min as i32 {
                min
            } else if code > max as i32 {
                max
            } else {
                code as i8
            };
            table[place(code)] = clamped;
            code += 1;
        }
        Ok(Self { table })
    }

    /// `x` where it is positive, else `slope x`.
    ///
    /// # Errors
    /// `Error::Config` if a scale, a zero point or the slope is not usable.
    pub const fn leaky_relu(x: Quantization, y: Quantization, slope: f32) -> Result<Self, Error> {
        Self::of_slopes(Slopes::leaky_relu::<i8>(x, y, slope))
    }

    /// `|x|`.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable.
    pub const fn abs(x: Quantization, y: Quantization) -> Result<Self, Error> {
        Self::of_slopes(Slopes::abs::<i8>(x, y))
    }

    /// `1 / sqrt x`; the largest code for 0 and, where the reference refuses them, for negative numbers.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable.
    pub const fn rsqrt(x: Quantization, y: Quantization) -> Result<Self, Error> {
        match Rsqrt::<i8>::new(x, y) {
            Ok(rsqrt) => {
                let (mut table, mut code) = ([0; 256], -128);
                while code < 128 {
                    table[place(code)] = saturate(rsqrt.of_code(code));
                    code += 1;
                }
                Ok(Self { table })
            }
            Err(error) => Err(error),
        }
    }

    /// The same number in another quantization: `clamp(m(s1/s) (x - z1) + z)`.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable.
    pub const fn requantize(x: Quantization, y: Quantization) -> Result<Self, Error> {
        if let Err(error) = both(x, y) {
            return Err(error);
        }
        let Some(multiplier) = Multiplier::from_real(x.scale as f64 / y.scale as f64) else {
            return Err(Error::Config { what: Rule::Scale });
        };
        let (mut table, mut code) = ([0; 256], -128);
        while code < 128 {
            let scaled = requantize(code - x.zero_point, multiplier, Rounding::Double);
            table[place(code)] = saturate(scaled.wrapping_add(y.zero_point));
            code += 1;
        }
        Ok(Self { table })
    }

    /// `x/2 erfc(-x / sqrt 2)`, in f32.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable.
    pub const fn gelu(x: Quantization, y: Quantization) -> Result<Self, Error> {
        Self::of_f32(x, y, Real::Gelu)
    }

    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³)))`, in f32.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable.
    pub const fn gelu_tanh(x: Quantization, y: Quantization) -> Result<Self, Error> {
        Self::of_f32(x, y, Real::GeluTanh)
    }

    /// `x` where it is positive, else `e^x - 1`, in f32.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable.
    pub const fn elu(x: Quantization, y: Quantization) -> Result<Self, Error> {
        Self::of_f32(x, y, Real::Elu)
    }

    /// `e^x`, in f32.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable.
    pub const fn exp(x: Quantization, y: Quantization) -> Result<Self, Error> {
        Self::of_f32(x, y, Real::Exp)
    }

    /// `ln x`, in f32; the least code where `x` is not positive.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable.
    pub const fn log(x: Quantization, y: Quantization) -> Result<Self, Error> {
        Self::of_f32(x, y, Real::Log)
    }

    const fn of_slopes(slopes: Result<Slopes, Error>) -> Result<Self, Error> {
        match slopes {
            Ok(slopes) => {
                let (mut table, mut code) = ([0; 256], -128);
                while code < 128 {
                    table[place(code)] = slopes.of(code) as i8;
                    code += 1;
                }
                Ok(Self { table })
            }
            Err(error) => Err(error),
        }
    }

    const fn of_f32(x: Quantization, y: Quantization, function: Real) -> Result<Self, Error> {
        if let Err(error) = both(x, y) {
            return Err(error);
        }
        // TFLite multiplies by the rounded reciprocal.
        let to_output = 1.0 / y.scale;
        let (mut table, mut code) = ([0; 256], -128);
        while code < 128 {
            let real = x.scale * (code - x.zero_point) as f32;
            table[place(code)] = match function.of(real) {
                Some(value) => saturate(round(value * to_output).saturating_add(y.zero_point)),
                None => i8::MIN,
            };
            code += 1;
        }
        Ok(Self { table })
    }

    /// Writes the results to `y`.
    ///
    /// # Errors
    /// `Error::Length` if `y` has not as many elements as `x`; it is then untouched.
    pub fn run(&self, x: &[i8], y: &mut [i8]) -> Result<(), Error> {
        self.run_on(Auto, x, y)
    }

    /// [`TableS8::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`TableS8::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i8], y: &mut [i8]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        backend.dispatch(LookUp { table: &self.table, row: InOut::apart(x, y) });
        Ok(())
    }

    /// Writes the results over the input.
    pub fn run_in_place(&self, x: &mut [i8]) {
        self.run_in_place_on(Auto, x);
    }

    /// [`TableS8::run_in_place`] under a backend of your choice.
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [i8]) {
        backend.dispatch(LookUp { table: &self.table, row: InOut::in_place(x) });
    }
}

struct LookUp<'a> {
    table: &'a [i8; 256],
    row: InOut<'a, i8>,
}

impl Kernel for LookUp<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        self.row.map(|x| self.table[usize::from(x as u8)]);
    }
}

const fn both(x: Quantization, y: Quantization) -> Result<(), Error> {
    match check::<i8>(x) {
        Ok(()) => check::<i8>(y),
        Err(error) => Err(error),
    }
}

const fn place(code: i32) -> usize {
    code as u8 as usize
}

const fn saturate(code: i32) -> i8 {
    if code < -128 {
        -128
    } else if code > 127 {
        127
    } else {
        code as i8
    }
}

/// To nearest, ties away from zero; the ends of `i32` beyond them.
#[inline(always)]
pub(super) const fn round(x: f32) -> i32 {
    // Truncated; what is cut off is exact.
    let whole = x as i32;
    let rest = x - whole as f32;
    whole.saturating_add((rest >= 0.5) as i32).saturating_sub((rest <= -0.5) as i32)
}

/// What comes before the logistic function and tanh: the argument in Q4.27, or the end that a code lies beyond.
struct Sigmoid {
    zero_point: i32,
    multiplier: Multiplier,
    radius: i32,
}

impl Sigmoid {
    const fn new(x: Quantization, y: Quantization, fixed: Quantization) -> Result<Self, Error> {
        if let Err(error) = both(x, y) {
            return Err(error);
        }
        if y.zero_point != fixed.zero_point {
            return Err(Error::Config { what: Rule::ZeroPoint });
        }
        let real = x.scale as f64 * (1u32 << 27) as f64;
        let multiplier = match Multiplier::from_real(real) {
            Some(multiplier) if real < (1u32 << 30) as f64 => multiplier,
            // From a scale of 8 on TFLite's radius is 0, and every code is an end.
            _ => return Ok(Self { zero_point: x.zero_point, multiplier: Multiplier::ZERO, radius: 0 }),
        };
        if multiplier.shift < 0 {
            return Err(Error::Config { what: Rule::Scale });
        }
        Ok(Self { zero_point: x.zero_point, multiplier, radius: ((15i64 << 27) >> multiplier.shift) as i32 })
    }

    const fn argument(&self, code: i32) -> Result<i32, i32> {
        let x = code - self.zero_point;
        if x <= -self.radius {
            Err(-128)
        } else if x >= self.radius {
            Err(127)
        } else {
            Ok(requantize(x, self.multiplier, Rounding::Double))
        }
    }
}

/// Of a code less its zero point, less the output's zero point.
const fn hard_swish(x: i32, to_output: Multiplier, to_relu: Multiplier) -> i32 {
    let fine = clamp_16(x * 128);
    let value = high_16(fine, half_of(to_output.mantissa));
    // From [-3, 3] to [-1, 1] in Q0.15, saturated, then to [0, 1].
    let mut relu = fine;
    if to_relu.shift > 0 {
        relu = shift_left_16(relu, to_relu.shift - 1);
    }
    relu = high_16(relu, half_of(to_relu.mantissa));
    if to_relu.shift > 0 {
        relu = shift_left_16(relu, 1);
    } else {
        relu = rounding_shift_right(relu, to_relu.shift.unsigned_abs());
    }
    let relu = (relu + (1 << 15)) >> 1;
    // Truncated on purpose, against the bias of the two roundings above.
    let product = relu * value / (1 << 15);
    rounding_shift_right(product, to_output.shift.unsigned_abs())
}

/// A mantissa of 16 bits.
const fn half_of(mantissa: i32) -> i32 {
    let rounded = (mantissa as i64 + (1 << 15)) >> 16;
    if rounded > 0x7FFF { 0x7FFF } else { rounded as i32 }
}

/// `a b / 2^15`, to nearest, ties upwards; not for two times -2^15.
const fn high_16(a: i32, b: i32) -> i32 {
    saturating_doubling_high_mul(a << 16, b)
}

const fn shift_left_16(x: i32, by: i32) -> i32 {
    let by = if by > 16 { 16 } else { by };
    clamp_16(x << by)
}

const fn clamp_16(x: i32) -> i32 {
    if x < -32_768 {
        -32_768
    } else if x > 32_767 {
        32_767
    } else {
        x
    }
}

/// Functions that TFLite works out in f32: those of its C library, whose results are nearly always the nearest f32; so are
/// these, by way of f64.
#[derive(Clone, Copy)]
pub(super) enum Real {
    Gelu,
    GeluTanh,
    Elu,
    Exp,
    Log,
}

impl Real {
    /// `None` where the function has no value.
    pub(super) const fn of(self, x: f32) -> Option<f32> {
        Some(match self {
            Self::Gelu => 0.5 * x * constant::erfc((x * -core::f32::consts::FRAC_1_SQRT_2) as f64) as f32,
            Self::GeluTanh => {
                const ROOT_OF_TWO_OVER_PI: f32 = 0.797_884_6;
                let argument = ROOT_OF_TWO_OVER_PI * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + constant::tanh(argument as f64) as f32)
            }
            Self::Elu => {
                if x < 0.0 {
                    constant::exp(x as f64) as f32 - 1.0
                } else {
                    x
                }
            }
            Self::Exp => constant::exp(x as f64) as f32,
            Self::Log => {
                if x <= 0.0 {
                    return None;
                }
                constant::ln(x as f64) as f32
            }
        })
    }
}
