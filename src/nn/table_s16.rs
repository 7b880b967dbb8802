//! Functions of one 16-bit code: 512 intervals with linear interpolation (LiteRT's `GELU`, `EXP`, `LOG` of int16, which TFLite
//! Micro has not).
//!
//! An entry is the function's value less half of the interpolation's error in the middle of the interval, all of it rounded, in
//! f32 (`LUTPopulate`).

use super::code::check;
use super::table::{Real, round};
use crate::backend::{Auto, Backend, Dispatch, InOut, Kernel};
use crate::error::{Arg, Error, length};
use crate::fixedpoint::Quantization;

const INTERVALS: usize = 512;

/// A function of i16 codes, whose zero points are 0, from a table with interpolation.
///
/// # Accuracy
/// The bytes of LiteRT's reference kernels, on every backend.
///
/// # Cost
/// 1026 bytes; two look-ups and a multiplication an element.
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::TableS16;
/// const X: Quantization = Quantization::new(1.0 / 4096.0, 0);
/// static EXP: TableS16 = scrimp::expect!(TableS16::exp(X, X));
/// let mut y = [0, 4096];
/// EXP.run_in_place(&mut y);
/// assert_eq!(y, [4095, 11_132]); // 1, 2.718, but for what interpolation leaves
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TableS16 {
    table: [i16; INTERVALS + 1],
}

impl TableS16 {
    /// `x/2 erfc(-x / sqrt 2)`.
    ///
    /// # Errors
    /// `Error::Config` if a scale is not usable or a zero point not 0.
    pub const fn gelu(x: Quantization, y: Quantization) -> Result<Self, Error> {
        Self::build(x, y, Real::Gelu)
    }

    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³)))`.
    ///
    /// # Errors
    /// As [`TableS16::gelu`].
    pub const fn gelu_tanh(x: Quantization, y: Quantization) -> Result<Self, Error> {
        Self::build(x, y, Real::GeluTanh)
    }

    /// `e^x`.
    ///
    /// # Errors
    /// As [`TableS16::gelu`].
    pub const fn exp(x: Quantization, y: Quantization) -> Result<Self, Error> {
        Self::build(x, y, Real::Exp)
    }

    /// `ln x`; the least output where `x` is not positive.
    ///
    /// # Errors
    /// As [`TableS16::gelu`].
    pub const fn log(x: Quantization, y: Quantization) -> Result<Self, Error> {
        Self::build(x, y, Real::Log)
    }

    const fn build(x: Quantization, y: Quantization, function: Real) -> Result<Self, Error> {
        if let Err(error) = check::<i16>(x) {
            return Err(error);
        }
        if let Err(error) = check::<i16>(y) {
            return Err(error);
        }
        let (least, most) = (x.scale * -32_768.0, x.scale * 32_767.0);
        let (least_y, most_y) = (y.scale * -32_768.0, y.scale * 32_767.0);
        let step = (most - least) / INTERVALS as f32;
        let half = step / 2.0;
        let to_output = 65_536.0 / (most_y - least_y);
        let mut table = [0; INTERVALS + 1];
        let mut i = 0;
        while i < INTERVALS {
            let start = least + i as f32 * step;
            let value = value(function, start, least_y) * to_output;
            let middle = self::value(function, start + half, least_y) * to_output;
            let next = self::value(function, least + (i + 1) as f32 * step, least_y) * to_output;
            let sample = rounded(value);
            let interpolated = rounded((next + sample) / 2.0);
            let bias = rounded((interpolated - rounded(middle)) / 2.0);
            table[i] = saturate(sample - bias);
            i += 1;
        }
        table[INTERVALS] = saturate(rounded(value(function, most, least_y) * to_output));
        Ok(Self { table })
    }

    /// Writes the results to `y`.
    ///
    /// # Errors
    /// `Error::Length` if `y` has not as many elements as `x`; it is then untouched.
    pub fn run(&self, x: &[i16], y: &mut [i16]) -> Result<(), Error> {
        self.run_on(Auto, x, y)
    }

    /// [`TableS16::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`TableS16::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i16], y: &mut [i16]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        backend.dispatch(LookUp { table: &self.table, row: InOut::apart(x, y) });
        Ok(())
    }

    /// Writes the results over the input.
    pub fn run_in_place(&self, x: &mut [i16]) {
        self.run_in_place_on(Auto, x);
    }

    /// [`TableS16::run_in_place`] under a backend of your choice.
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [i16]) {
        backend.dispatch(LookUp { table: &self.table, row: InOut::in_place(x) });
    }
}

struct LookUp<'a> {
    table: &'a [i16; INTERVALS + 1],
    row: InOut<'a, i16>,
}

impl Kernel for LookUp<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        self.row.map(|x| {
            let at = (256 + (i32::from(x) >> 7)) as usize;
            let entry = |at: usize| self.table.get(at).copied().map_or(0, i32::from);
            let (base, next) = (entry(at), entry(at + 1));
            // The slope wraps in the reference, too.
            let slope = i32::from((next - base) as i16);
            (base + ((slope * (i32::from(x) & 0x7F) + 64) >> 7)) as i16
        });
    }
}

const fn value(function: Real, x: f32, least: f32) -> f32 {
    match function.of(x) {
        Some(value) => value,
        None => least,
    }
}

/// To nearest, ties away from zero; what is beyond `i32` stays so large that it is clamped.
const fn rounded(x: f32) -> f32 {
    if x > 1e9 || x < -1e9 { x } else { round(x) as f32 }
}

const fn saturate(x: f32) -> i16 {
    // Conversions truncate and saturate.
    x as i16
}
