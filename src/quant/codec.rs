//! Tables of a logarithmic quantizer for rows of f32 or of unsigned integers: a code is the number of limits that a value
//! does not exceed, found by bisection in integers, so that no logarithm is needed and ties are exact.

use super::grid::Grid;
use crate::error::{Arg, Error, Rule, length};
use crate::math::real;

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for u16 {}
}

/// An integer that holds a code: `u8` or `u16`.
pub trait Code: sealed::Sealed + Copy + Into<u16> {
    /// The largest code it holds.
    const MOST: u16;

    /// The code, cut to what it holds.
    fn of(code: u16) -> Self;
}

impl Code for u8 {
    const MOST: u16 = 255;

    #[inline(always)]
    fn of(code: u16) -> Self {
        code as Self
    }
}

impl Code for u16 {
    const MOST: u16 = Self::MAX;

    #[inline(always)]
    fn of(code: u16) -> Self {
        code
    }
}

/// Fails if the zero symbol does not fit.
const fn fits(codes: u16, most: u16) -> Result<(), Error> {
    if codes > most {
        return Err(Error::TooLarge { what: Arg::Codes, max: most as usize, got: codes as usize });
    }
    Ok(())
}

/// `last[j - 1]` is the largest key whose code is `j` or more.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Ladder {
    last: [u32; 256],
    codes: u16,
}

impl Ladder {
    #[inline(always)]
    fn code(&self, key: u32) -> u16 {
        let last = self.last.get(..usize::from(self.codes)).unwrap_or(&[]);
        last.partition_point(|&last| key <= last) as u16
    }
}

/// The tables of a logarithmic quantizer for f32: what [`AdaLog::codec`](super::AdaLog::codec) gives.
///
/// # Accuracy
/// The codes of real arithmetic for every f32, ties included. Values are rounded to f32.
///
/// # Cost
/// 2 KiB; `b` comparisons of integers an element.
///
/// # Example
/// ```
/// use scrimp::quant::{AdaLog, LogCodec, Symbols};
/// static CODEC: LogCodec = scrimp::expect!(AdaLog::new(3, 45, 1.0, Symbols::TopIsZero)).codec();
/// let mut codes = [0u8; 5];
/// CODEC.encode(&[1.0, 0.5, 0.1, 0.05, 0.0], &mut codes)?;
/// assert_eq!(codes, [0, 1, 3, 4, 7]);
/// let mut x = [0.0; 5];
/// CODEC.decode(&codes, &mut x)?;
/// assert_eq!(x[1], 12.0 / 14.0 / 2.0);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LogCodec {
    ladder: Ladder,
    values: [f32; 256],
}

impl LogCodec {
    pub(super) const fn new(grid: &Grid, values: [f32; 256]) -> Self {
        let mut last = [0; 256];
        let mut j = 1;
        while j <= grid.codes() && j <= 256 {
            let (edge, is_upper) = grid.boundary(j);
            // The bits of positive numbers are in order; a cast rounds to nearest, and to infinity beyond.
            let nearest = edge as f32;
            let below = if nearest as f64 > edge { nearest.to_bits() - 1 } else { nearest.to_bits() };
            let is_exact = (nearest as f64).to_bits() == edge.to_bits();
            last[j as usize - 1] = if is_exact && !is_upper { below.saturating_sub(1) } else { below };
            j += 1;
        }
        Self { ladder: Ladder { last, codes: grid.codes() }, values }
    }

    pub(super) const fn of_powers(grid: &Grid) -> Self {
        let mut values = [0.0; 256];
        let mut code = 0;
        while code < grid.codes() && code < 256 {
            values[code as usize] = grid.power(code) as f32;
            code += 1;
        }
        Self::new(grid, values)
    }

    /// The code of each element.
    ///
    /// # Errors
    /// `Error::Length` if `codes` is not as long as `x`, `Error::TooLarge` if the zero symbol does not fit its type (8 bits
    /// and `Symbols::Full` need u16); `codes` is then untouched.
    pub fn encode<C: Code>(&self, x: &[f32], codes: &mut [C]) -> Result<(), Error> {
        length(Arg::Codes, x.len(), codes.len())?;
        fits(self.ladder.codes, C::MOST)?;
        for (&x, code) in x.iter().zip(codes) {
            *code = C::of(self.ladder.code(if x > 0.0 { x.to_bits() } else { 0 }));
        }
        Ok(())
    }

    /// The value of each code; 0 for the zero symbol and for what is no code.
    ///
    /// # Errors
    /// `Error::Length` if `x` is not as long as `codes`; `x` is then untouched.
    pub fn decode<C: Code>(&self, codes: &[C], x: &mut [f32]) -> Result<(), Error> {
        length(Arg::X, codes.len(), x.len())?;
        for (&code, x) in codes.iter().zip(x) {
            *x = self.values.get(usize::from(code.into())).copied().unwrap_or(0.0);
        }
        Ok(())
    }
}

/// The table of a logarithmic quantizer for unsigned integers: what [`AdaLog::fixed_codec`](super::AdaLog::fixed_codec) gives.
///
/// # Accuracy
/// The codes of real arithmetic (f64) for every integer; 0 is the zero symbol.
///
/// # Cost
/// 1 KiB; `b` comparisons an element.
///
/// # Example
/// Probabilities as a softmax to u16 gives them:
/// ```
/// use scrimp::quant::{AdaLog, FixedCodec, Symbols};
/// const ADALOG: AdaLog = scrimp::expect!(AdaLog::new(4, 25, 1.0, Symbols::TopIsZero));
/// static CODEC: FixedCodec = scrimp::expect!(ADALOG.fixed_codec(1.0 / 65536.0));
/// let mut codes = [0u8; 4];
/// CODEC.encode(&[65535u16, 32768, 6554, 0], &mut codes)?;
/// assert_eq!(codes, [0, 1, 5, 15]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FixedCodec {
    ladder: Ladder,
}

impl FixedCodec {
    pub(super) const fn new(grid: &Grid, unit: f64) -> Result<Self, Error> {
        if !(unit > 0.0 && unit < f64::INFINITY) {
            return Err(Error::Config { what: Rule::Scale });
        }
        let mut last = [0; 256];
        let mut j = 1;
        while j <= grid.codes() && j <= 256 {
            let (edge, is_upper) = grid.boundary(j);
            let steps = edge / unit;
            // The first that is beyond, or the edge itself if it does not belong here.
            let first = real::ceil(steps);
            let is_exact = (first as f64).to_bits() == steps.to_bits();
            let below = if is_exact && is_upper { first } else { first.saturating_sub(1) };
            // An edge below the first step leaves 0, which has the zero symbol in any case.
            last[j as usize - 1] = if below > u32::MAX as i64 {
                u32::MAX
            } else if below < 0 {
                0
            } else {
                below as u32
            };
            j += 1;
        }
        Ok(Self { ladder: Ladder { last, codes: grid.codes() } })
    }

    /// The code of each element.
    ///
    /// # Errors
    /// As [`LogCodec::encode`].
    pub fn encode<X: Copy + Into<u32>, C: Code>(&self, x: &[X], codes: &mut [C]) -> Result<(), Error> {
        length(Arg::Codes, x.len(), codes.len())?;
        fits(self.ladder.codes, C::MOST)?;
        for (&x, code) in x.iter().zip(codes) {
            *code = C::of(self.ladder.code(x.into()));
        }
        Ok(())
    }
}
