//! GELU of integers: to AdaLog codes by a table or by thresholds, and to i8 by a table as TFLite.
//!
//! ```text
//! c(x) = code(GELU(x) + delta)
//! ```
//! GELU, shift, logarithm and quantization are one look-up of 256 entries for i8. For i32 the codes are counts of thresholds: GELU
//! falls down to x* = -0.7518 and rises from there, so there are two ladders. Post-GELU quantization is AdaLog's (Wu et al. 2024,
//! arXiv 2407.12951); table and ladders are ours.

use super::adalog::AdaLog;
use super::grid::Symbols;
use super::pack::{packed_len, stream};
use crate::error::{Arg, Error, Rule, length};
use crate::math::real;
use crate::shape::Rows;

/// Where GELU is smallest.
const LOWEST: f64 = -0.751_791_524_693_564_5;

/// The two forms of GELU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum GeluForm {
    /// `x Phi(x)`.
    #[default]
    Erf,
    /// The approximation by a hyperbolic tangent.
    Tanh,
}

impl GeluForm {
    const fn of(self, x: f64) -> f64 {
        match self {
            Self::Erf => real::gelu(x),
            Self::Tanh => real::gelu_tanh(x),
        }
    }
}

const fn check_scale(scale: f64) -> Result<(), Error> {
    if scale > 0.0 && scale < f64::INFINITY { Ok(()) } else { Err(Error::Config { what: Rule::Scale }) }
}

const fn check_symbols(adalog: &AdaLog) -> Result<(), Error> {
    if matches!(adalog.symbols(), Symbols::TopIsZero) { Ok(()) } else { Err(Error::Config { what: Rule::Symbols }) }
}

fn check_rows(bits: u32, x: usize, codes: usize, rows: Rows) -> Result<(), Error> {
    rows.check(Arg::X, x)?;
    length(Arg::Codes, rows.rows().saturating_mul(packed_len(bits, rows.cols())), codes)
}

/// i8 to i8: `y = GELU(scale_x (x - z_x)) / scale_y + z_y`.
///
/// # Accuracy
/// TFLite's bytes: to nearest, ties away from zero, cut to i8.
///
/// # Cost
/// One look-up an element; 256 bytes.
///
/// # Example
/// ```
/// use scrimp::quant::{GeluForm, GeluS8};
/// static GELU: GeluS8 = scrimp::expect!(GeluS8::new((0.1, -128), (0.1, -128), GeluForm::Erf));
/// let mut y = [0; 3];
/// GELU.run(&[-128, -108, 127], &mut y)?;
/// assert_eq!(y, [-128, -108, 127]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GeluS8 {
    table: [i8; 256],
}

impl GeluS8 {
    /// For scale and zero point of input and output.
    ///
    /// # Errors
    /// `Error::Config` unless both scales are positive and finite.
    pub const fn new(x: (f64, i8), y: (f64, i8), form: GeluForm) -> Result<Self, Error> {
        if let (Err(error), _) | (_, Err(error)) = (check_scale(x.0), check_scale(y.0)) {
            return Err(error);
        }
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            // In f32 and by the reciprocal, as TFLite: ties depend on it.
            let real_x = x.0 as f32 * (i - 128 - x.1 as i32) as f32;
            let quotient = form.of(real_x as f64) as f32 * (1.0 / y.0 as f32);
            let steps = if quotient < 0.0 { -real::round(-quotient as f64) } else { real::round(quotient as f64) };
            let sum = steps.saturating_add(y.1 as i64);
            table[i as usize] = if sum < -128 {
                -128
            } else if sum > 127 {
                127
            } else {
                sum as i8
            };
            i += 1;
        }
        Ok(Self { table })
    }

    /// GELU of each element.
    ///
    /// # Errors
    /// `Error::Length` if `y` is not as long as `x`; `y` is then untouched.
    pub fn run(&self, x: &[i8], y: &mut [i8]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        for (&x, y) in x.iter().zip(y) {
            *y = self.table[usize::from(x as u8 ^ 0x80)];
        }
        Ok(())
    }
}

/// i8 to packed AdaLog codes of `GELU(scale (x - zero_point)) + delta`.
///
/// # Accuracy
/// The codes of real arithmetic (f64).
///
/// # Cost
/// One look-up an element and the packing; 260 bytes.
///
/// # Example
/// ```
/// use scrimp::{Rows, quant::{AdaLog, GELU_SHIFT, GeluCodes, GeluForm, Symbols}};
/// const ADALOG: AdaLog = scrimp::expect!(AdaLog::new(4, 15, 3.0, Symbols::TopIsZero));
/// static CODES: GeluCodes = scrimp::expect!(GeluCodes::new(&ADALOG, 0.1, 0, GELU_SHIFT, GeluForm::Erf));
/// let mut codes = [0; 2];
/// CODES.run(&[0, 10, 20, 30], &mut codes, Rows::one(4)?)?;
/// assert_eq!(codes, [0x4A, 0x01]); // 10 4 1 0
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GeluCodes {
    table: [u8; 256],
    bits: u32,
}

impl GeluCodes {
    /// For inputs of `scale` and `zero_point`, and `delta` added to their GELU.
    ///
    /// # Errors
    /// `Error::Config` unless `scale` is positive and finite, `delta` finite, and the symbols fit the bits.
    pub const fn new(adalog: &AdaLog, scale: f64, zero_point: i8, delta: f64, form: GeluForm) -> Result<Self, Error> {
        if let (Err(error), _) | (_, Err(error)) = (check_scale(scale), check_symbols(adalog)) {
            return Err(error);
        }
        if !delta.is_finite() {
            return Err(Error::Config { what: Rule::Number });
        }
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let x = scale * (i - 128 - zero_point as i32) as f64;
            table[i as usize] = adalog.code_of(form.of(x) + delta) as u8;
            i += 1;
        }
        Ok(Self { table, bits: adalog.bits() })
    }

    /// The codes of each row.
    ///
    /// # Errors
    /// `Error::Length` if `x` is not `rows x cols` or `codes` not `rows` times [`packed_len`]; `codes` is then untouched.
    pub fn run(&self, x: &[i8], codes: &mut [u8], rows: Rows) -> Result<(), Error> {
        check_rows(self.bits, x.len(), codes.len(), rows)?;
        let bytes = packed_len(self.bits, rows.cols()).max(1);
        for (x, codes) in x.chunks_exact(rows.cols().max(1)).zip(codes.chunks_exact_mut(bytes)) {
            stream(self.bits, x.iter().map(|&x| self.table[usize::from(x as u8 ^ 0x80)].into()), codes);
        }
        Ok(())
    }
}

/// i32 to packed AdaLog codes of `GELU(scale x) + delta`, by thresholds. `N` is `2^bits` or more.
///
/// # Accuracy
/// The codes of real arithmetic (f64) for every i32.
///
/// # Cost
/// `bits` comparisons an element and the packing; `8 N + 16` bytes.
///
/// # Example
/// ```
/// use scrimp::{Rows, quant::{AdaLog, GELU_SHIFT, GeluForm, GeluLadder, Symbols}};
/// const ADALOG: AdaLog = scrimp::expect!(AdaLog::new(4, 15, 3.0, Symbols::TopIsZero));
/// static CODES: GeluLadder = scrimp::expect!(GeluLadder::new(&ADALOG, 0.001, GELU_SHIFT, GeluForm::Erf));
/// let mut codes = [0; 3];
/// CODES.run(&[-10_000, -2_000, -300, 0, 500, 3_000], &mut codes, Rows::one(6)?)?;
/// assert_eq!(codes, [0xBA, 0xAE, 0x06]); // 10 11 14 10 6 0
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GeluLadder<const N: usize = 16> {
    /// Entry `j - 1` is the smallest x from `lowest` on whose code is below `j`.
    right: [i64; N],
    /// The largest x up to `lowest` whose code is below `j`.
    left: [i64; N],
    lowest: i32,
    codes: u32,
    bits: u32,
}

impl<const N: usize> GeluLadder<N> {
    /// For inputs in steps of `scale`, and `delta` added to their GELU. A constant of 8 bits takes the compiler long.
    ///
    /// # Errors
    /// `Error::Config` unless `scale` is from 2^-30 to 2^30, `delta` finite, and the symbols fit the bits; `Error::Length` if `N` is
    /// below `2^bits`.
    pub const fn new(adalog: &AdaLog, scale: f64, delta: f64, form: GeluForm) -> Result<Self, Error> {
        if N < 1 << adalog.bits() {
            return Err(Error::Length { what: Arg::Table, want: 1 << adalog.bits(), got: N });
        }
        if let Err(error) = check_symbols(adalog) {
            return Err(error);
        }
        if !(scale >= 1.0 / (1u32 << 30) as f64 && scale <= (1u32 << 30) as f64) {
            return Err(Error::Config { what: Rule::Scale });
        }
        if !delta.is_finite() {
            return Err(Error::Config { what: Rule::Number });
        }
        let curve = Curve { adalog, scale, delta, form };
        let lowest = curve.lowest();
        let (mut right, mut left) = ([0; N], [0; N]);
        let mut j = 1;
        while j <= adalog.codes() && j as usize <= N {
            right[j as usize - 1] = curve.first_below(lowest, 1, j);
            left[j as usize - 1] = curve.first_below(lowest, -1, j);
            j += 1;
        }
        Ok(Self { right, left, lowest: lowest as i32, codes: adalog.codes() as u32, bits: adalog.bits() })
    }

    /// The codes of each row.
    ///
    /// # Errors
    /// As [`GeluCodes::run`].
    pub fn run(&self, x: &[i32], codes: &mut [u8], rows: Rows) -> Result<(), Error> {
        check_rows(self.bits, x.len(), codes.len(), rows)?;
        let bytes = packed_len(self.bits, rows.cols()).max(1);
        let right = self.right.get(..self.codes as usize).unwrap_or(&[]);
        let left = self.left.get(..self.codes as usize).unwrap_or(&[]);
        for (x, codes) in x.chunks_exact(rows.cols().max(1)).zip(codes.chunks_exact_mut(bytes)) {
            let code = |&x: &i32| {
                if x >= self.lowest {
                    right.partition_point(|&first| i64::from(x) < first) as u32
                } else {
                    left.partition_point(|&first| i64::from(x) > first) as u32
                }
            };
            stream(self.bits, x.iter().map(code), codes);
        }
        Ok(())
    }
}

/// The code as a function of an integer.
struct Curve<'a> {
    adalog: &'a AdaLog,
    scale: f64,
    delta: f64,
    form: GeluForm,
}

impl Curve<'_> {
    const fn y(&self, x: i64) -> f64 {
        self.form.of(x as f64 * self.scale) + self.delta
    }

    /// The integer where GELU is smallest.
    const fn lowest(&self) -> i64 {
        let below = real::ceil(LOWEST / self.scale) - 1;
        if self.y(below) < self.y(below + 1) { below } else { below + 1 }
    }

    /// The integer nearest to `lowest` in direction `way` whose code is below `j`; one beyond i32 if there is none.
    const fn first_below(&self, lowest: i64, way: i64, j: u16) -> i64 {
        let (edge, belongs) = self.adalog.boundary(j);
        let (mut near, mut far) = (-1, 1i64 << 32);
        while far - near > 1 {
            let middle = (near + far) / 2;
            let y = self.y(lowest + way * middle);
            // Positive, as code j - 1 is no zero symbol.
            if y > edge || (y >= edge && !belongs) {
                far = middle;
            } else {
                near = middle;
            }
        }
        lowest + way * far
    }
}
