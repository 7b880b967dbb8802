//! Functions of f32 elements, for what a converter leaves in float between `DEQUANTIZE` and `QUANTIZE` (TFLite's `ABS`, `ELU`,
//! `EXP`, `GELU`, `HARD_SWISH`, `LEAKY_RELU`, `LOG`, `LOGISTIC`, `NEG`, `RELU` and its kin, `RSQRT`, `SQRT`, `SQUARE`, `TANH`).

use super::activation::Activation;
use crate::backend::{Auto, Backend, Dispatch, InOut, Kernel};
use crate::error::{Arg, Error, length};

/// A function of each element: `y[i] = f(x[i])`, by libm; the same bits on every target.
///
/// # Accuracy
/// TFLite's reference kernels, whose functions come from the C library of the machine they run on, to a unit or two of the last
/// place; what is exact there (`abs`, `neg`, `square`, `sqrt`, the ReLUs) bit for bit.
///
/// # Cost
/// That of the function in software: a table of 8-bit codes ([`TableS8`](super::TableS8)) is far cheaper where it can be had.
///
/// # Example
/// ```
/// use scrimp::nn::MapF32;
/// static SQUARE: MapF32 = MapF32::square();
/// let mut y = [1.5, -2.0];
/// SQUARE.run_in_place(&mut y);
/// assert_eq!(y, [2.25, 4.0]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MapF32 {
    function: fn(f32, [f32; 2]) -> f32,
    /// What the function is given beside the element.
    parameters: [f32; 2],
}

#[cfg(feature = "defmt")]
impl defmt::Format for MapF32 {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "MapF32 {{ parameters: {} }}", self.parameters);
    }
}

impl MapF32 {
    const fn new(function: fn(f32, [f32; 2]) -> f32) -> Self {
        Self { function, parameters: [0.0; 2] }
    }

    /// `|x|`.
    #[must_use]
    pub const fn abs() -> Self {
        Self::new(|x, _| f32::from_bits(x.to_bits() & 0x7FFF_FFFF))
    }

    /// `-x`.
    #[must_use]
    pub const fn neg() -> Self {
        Self::new(|x, _| -x)
    }

    /// `x²`.
    #[must_use]
    pub const fn square() -> Self {
        Self::new(|x, _| x * x)
    }

    /// The square root.
    #[must_use]
    pub const fn sqrt() -> Self {
        Self::new(|x, _| libm::sqrtf(x))
    }

    /// `1 / sqrt x`.
    #[must_use]
    pub const fn rsqrt() -> Self {
        Self::new(|x, _| 1.0 / libm::sqrtf(x))
    }

    /// `e^x`.
    #[must_use]
    pub const fn exp() -> Self {
        Self::new(|x, _| exp(x))
    }

    /// `ln x`.
    #[must_use]
    pub const fn log() -> Self {
        Self::new(|x, _| libm::log(x.into()) as f32)
    }

    /// `x` where it is positive, else `e^x - 1`.
    #[must_use]
    pub const fn elu() -> Self {
        Self::new(|x, _| if x < 0.0 { libm::expm1f(x) } else { x })
    }

    /// `tanh x`.
    #[must_use]
    pub const fn tanh() -> Self {
        Self::new(|x, _| libm::tanhf(x))
    }

    /// `1 / (1 + e^-x)`; TFLite takes `e^x` from -9 down.
    #[must_use]
    pub const fn logistic() -> Self {
        Self::new(|x, _| {
            if x > 16.619_047 {
                1.0
            } else if x < -9.0 {
                exp(x)
            } else {
                1.0 / (1.0 + exp(-x))
            }
        })
    }

    /// `x min(max(x + 3, 0), 6) / 6`.
    #[must_use]
    pub const fn hard_swish() -> Self {
        Self::new(|x, _| x * within(x + 3.0, 0.0, 6.0) / 6.0)
    }

    /// `x/2 erfc(-x / sqrt 2)`.
    #[must_use]
    pub const fn gelu() -> Self {
        Self::new(|x, _| 0.5 * x * libm::erfcf(x * -core::f32::consts::FRAC_1_SQRT_2))
    }

    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³)))`.
    #[must_use]
    pub const fn gelu_tanh() -> Self {
        Self::new(|x, _| 0.5 * x * (1.0 + libm::tanhf(0.797_884_6 * (x + 0.044_715 * x * x * x))))
    }

    /// `x` where it is positive, else `slope x`.
    #[must_use]
    pub const fn leaky_relu(slope: f32) -> Self {
        Self { function: |x, [slope, _]| if x > 0.0 { x } else { x * slope }, parameters: [slope, 0.0] }
    }

    /// Clamped to an activation's range.
    #[must_use]
    pub const fn relu(activation: Activation) -> Self {
        let parameters = match activation {
            Activation::None => [f32::NEG_INFINITY, f32::INFINITY],
            Activation::Relu => [0.0, f32::INFINITY],
            Activation::Relu6 => [0.0, 6.0],
            Activation::ReluN1To1 => [-1.0, 1.0],
        };
        Self { function: |x, [min, max]| within(x, min, max), parameters }
    }

    /// Writes the results to `y`.
    ///
    /// # Errors
    /// `Error::Length` if `y` has not as many elements as `x`; it is then untouched.
    pub fn run(&self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        self.run_on(Auto, x, y)
    }

    /// [`MapF32::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`MapF32::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        backend.dispatch(Map { of: self, row: InOut::apart(x, y) });
        Ok(())
    }

    /// Writes the results over the input.
    pub fn run_in_place(&self, x: &mut [f32]) {
        self.run_in_place_on(Auto, x);
    }

    /// [`MapF32::run_in_place`] under a backend of your choice.
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [f32]) {
        backend.dispatch(Map { of: self, row: InOut::in_place(x) });
    }
}

struct Map<'a> {
    of: &'a MapF32,
    row: InOut<'a, f32>,
}

impl Kernel for Map<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let MapF32 { function, parameters } = *self.of;
        self.row.map(|x| function(x, parameters));
    }
}

/// By way of f64, so that it is nearly always the nearest f32.
fn exp(x: f32) -> f32 {
    libm::exp(x.into()) as f32
}

/// NaN stays.
fn within(x: f32, min: f32, max: f32) -> f32 {
    if x > max {
        max
    } else if x < min {
        min
    } else {
        x
    }
}

#[cfg(test)]
mod tests {
    use super::{Activation, MapF32};

    #[test]
    fn each_function_at_some_points() {
        let at = |map: MapF32, x: f32| {
            let mut y = [x];
            map.run_in_place(&mut y);
            f64::from(y[0])
        };
        let near = |got: f64, want: f64| assert!((got - want).abs() <= 1e-6 * want.abs().max(1e-3), "{got} {want}");
        for x in [-20.0f32, -9.5, -3.0, -1.0, -0.3, 0.0, 0.2, 1.0, 2.5, 8.0, 17.0] {
            let r = f64::from(x);
            near(at(MapF32::abs(), x), r.abs());
            near(at(MapF32::neg(), x), -r);
            near(at(MapF32::square(), x), r * r);
            near(at(MapF32::exp(), x), libm::exp(r));
            near(at(MapF32::elu(), x), if r < 0.0 { libm::expm1(r) } else { r });
            near(at(MapF32::tanh(), x), libm::tanh(r));
            // Below -9 TFLite takes the exponential for it.
            near(at(MapF32::logistic(), x), if r < -9.0 { libm::exp(r) } else { 1.0 / (1.0 + libm::exp(-r)) });
            near(at(MapF32::hard_swish(), x), r * (r + 3.0).clamp(0.0, 6.0) / 6.0);
            near(at(MapF32::gelu(), x), 0.5 * r * libm::erfc(-r / core::f64::consts::SQRT_2));
            let inner = 0.797_884_608_028_654 * (r + 0.044_715 * r * r * r);
            let error = at(MapF32::gelu_tanh(), x) - 0.5 * r * (1.0 + libm::tanh(inner));
            assert!(error.abs() < 1e-5, "{x}: {error}");
            near(at(MapF32::leaky_relu(0.25), x), if r > 0.0 { r } else { 0.25 * r });
            near(at(MapF32::relu(Activation::Relu6), x), r.clamp(0.0, 6.0));
            near(at(MapF32::relu(Activation::ReluN1To1), x), r.clamp(-1.0, 1.0));
            near(at(MapF32::relu(Activation::Relu), x), r.max(0.0));
            near(at(MapF32::relu(Activation::None), x), r);
            if x > 0.0 {
                near(at(MapF32::sqrt(), x), libm::sqrt(r));
                near(at(MapF32::rsqrt(), x), 1.0 / libm::sqrt(r));
                near(at(MapF32::log(), x), libm::log(r));
            }
        }
        assert!(at(MapF32::relu(Activation::Relu), f32::NAN).is_nan());
    }
}
