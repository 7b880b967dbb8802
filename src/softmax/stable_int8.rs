//! StableMax of 8-bit logits (Prieto et al. 2025, arXiv 2501.04697): no exponential, no maximum.
//!
//! ```text
//! s(x) = 1 + x  for x >= 0,  1 / (1 - x)  below       y_i = s(x_i) / Σ_j s(x_j)
//! ```
//! The paper has it in floating point. Here `s` is a table of 256 entries in units of 2^-16, the sum is exact, and
//! ```text
//! h = bits of the sum S      R = round(2^(h + 30) / S)      y = (s R + half) >> (h + 30 - B)
//! ```
//! with outputs of `B` bits: one division a row, one multiplication an element, every input valid.

use super::int8::check;
use crate::backend::{Auto, Backend, Dispatch, InOut, Kernel, Quotient, S8Row, Weights};
use crate::error::{Error, Rule};
use crate::fixedpoint::rounded_reciprocal;
use crate::shape::Rows;

/// StableMax of i8 rows to i8 or i16.
///
/// `x`: `rows x cols`, zero point 0, `scale` the distance of one step. `y`: as i8 in units of 1/256 with zero point -128, or
/// as i16 in units of 1/65536 with zero point -32768. Rows of up to 65,536. Not shift-invariant: a network must be trained
/// with it.
///
/// # Accuracy
/// Against real StableMax at most one unit of the output to i8; to i16 at most four up to scale 1/16, and more above, where
/// `s` of the smallest logits has few bits. Monotone; 1 comes out as 255/256 or 65535/65536. The same bytes on every
/// backend.
///
/// # Cost
/// Instructions an element for rows of 64 / 256 / 1000 full-range logits, QEMU: to i8 13.3 / 10.7 / 6.9 on Cortex-M4,
/// 5.0 / 2.8 / 1.4 on Cortex-M55. 1 KiB for the table.
///
/// # Example
/// ```
/// use scrimp::{Rows, StablemaxS8};
/// static STABLEMAX: StablemaxS8 = scrimp::expect!(StablemaxS8::new(1.0 / 16.0));
/// let mut y = [0; 3];
/// STABLEMAX.run(&[-16, 0, 16], &mut y, Rows::one(3)?)?;
/// assert_eq!(y, [-91, -55, 18]); // 37, 73 and 146 of 256: 1/7, 2/7, 4/7
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StablemaxS8 {
    table: Weights,
    /// Elements whose sum fits 32 bits whatever they are.
    group: usize,
}

/// Units of `s` in 1.
const ONE: f64 = 65_536.0;

/// Largest scale: `s` stays below 2^27.
const MOST: f64 = 16.0;

impl StablemaxS8 {
    /// The StableMax of `scale * x`.
    ///
    /// # Errors
    /// `Error::Config` unless `scale` is positive and at most 16.
    pub const fn new(scale: f64) -> Result<Self, Error> {
        if !(scale > 0.0 && scale <= MOST) {
            return Err(Error::Config { what: Rule::Scale });
        }
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let x = scale * (i as f64 - 128.0);
            let s = if x >= 0.0 { ONE * (1.0 + x) } else { ONE / (1.0 - x) };
            table[i] = (s + 0.5) as u32; // half up
            i += 1;
        }
        let group = match u32::MAX.checked_div(table[255]) {
            Some(group) => group as usize,
            None => 1, // not reached: no `s` is below 1/2049
        };
        Ok(Self { table, group })
    }

    /// StableMax of each row, to i8.
    ///
    /// # Errors
    /// `Error::Length` if `x` or `y` is not `rows x cols`, `Error::TooLarge` for more than 65,536 columns; `y` is then
    /// untouched.
    #[inline]
    pub fn run(&self, x: &[i8], y: &mut [i8], rows: Rows) -> Result<(), Error> {
        self.run_on(Auto, x, y, rows)
    }

    /// [`StablemaxS8::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`StablemaxS8::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i8], y: &mut [i8], rows: Rows) -> Result<(), Error> {
        check(rows, x.len(), y.len())?;
        backend.dispatch(ToS8 { stablemax: self, matrix: InOut::apart(x, y), cols: rows.cols() });
        Ok(())
    }

    /// [`StablemaxS8::run`] that overwrites its input.
    ///
    /// # Errors
    /// As [`StablemaxS8::run`]; `x` is then untouched.
    #[inline]
    pub fn run_in_place(&self, x: &mut [i8], rows: Rows) -> Result<(), Error> {
        self.run_in_place_on(Auto, x, rows)
    }

    /// [`StablemaxS8::run_in_place`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`StablemaxS8::run_in_place`].
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [i8], rows: Rows) -> Result<(), Error> {
        check(rows, x.len(), x.len())?;
        backend.dispatch(ToS8 { stablemax: self, matrix: InOut::in_place(x), cols: rows.cols() });
        Ok(())
    }

    /// StableMax of each row, to i16.
    ///
    /// # Errors
    /// As [`StablemaxS8::run`].
    #[inline]
    pub fn run_s16(&self, x: &[i8], y: &mut [i16], rows: Rows) -> Result<(), Error> {
        self.run_s16_on(Auto, x, y, rows)
    }

    /// [`StablemaxS8::run_s16`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`StablemaxS8::run`].
    pub fn run_s16_on<D: Dispatch>(&self, backend: D, x: &[i8], y: &mut [i16], rows: Rows) -> Result<(), Error> {
        check(rows, x.len(), y.len())?;
        backend.dispatch(ToS16 { stablemax: self, matrix: InOut::apart(x, y), cols: rows.cols() });
        Ok(())
    }

    #[inline(always)]
    fn quotient<B: Backend, Y: Copy>(&self, b: B, row: &S8Row<'_, Y>, bits: u32) -> Quotient {
        let sum = if row.len() <= self.group {
            u64::from(b.sum_s8(row.values(), &self.table))
        } else {
            row.values().groups(self.group).map(|group| u64::from(b.sum_s8(group, &self.table))).sum()
        };
        reciprocal(sum, bits)
    }
}

struct ToS8<'a> {
    stablemax: &'a StablemaxS8,
    matrix: InOut<'a, i8>,
    cols: usize,
}

impl Kernel for ToS8<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(mut self, b: B) {
        while !self.matrix.is_empty() {
            let row = S8Row::unbounded(self.matrix.split_off_front(self.cols));
            let quotient = self.stablemax.quotient(b, &row, 8);
            b.quotients_s8(row, &self.stablemax.table, quotient);
        }
    }
}

struct ToS16<'a> {
    stablemax: &'a StablemaxS8,
    matrix: InOut<'a, i8, i16>,
    cols: usize,
}

impl Kernel for ToS16<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(mut self, b: B) {
        while !self.matrix.is_empty() {
            let row = S8Row::unbounded(self.matrix.split_off_front(self.cols));
            let quotient = self.stablemax.quotient(b, &row, 16);
            b.quotients_s16(row, &self.stablemax.table, quotient);
        }
    }
}

/// The quotient for a sum of 2^5 to 2^43 and outputs of 8 or 16 bits.
#[inline(always)]
const fn reciprocal(sum: u64, bits: u32) -> Quotient {
    let h = 64 - sum.leading_zeros();
    let factor = if h <= 32 {
        Some(rounded_reciprocal((sum as u32).wrapping_shl(32 - h)) as u64)
    } else {
        long_division(sum, h)
    };
    let shift = h + 30 - bits;
    match factor {
        Some(factor) if shift < 64 => Quotient::Once { factor: factor as u32, shift },
        // s R is below 2^58, so that every output is 0. And no sum is 0.
        _ => Quotient::Once { factor: 0, shift: 63 },
    }
}

/// `round(2^(h + 30) / S)` where the dividend leaves 64 bits.
#[cold]
#[inline(never)]
const fn long_division(sum: u64, h: u32) -> Option<u64> {
    let more = (h - 33) & 15;
    match ((1u64 << 63).checked_div(sum), (1u64 << 63).checked_rem(sum)) {
        (Some(high), Some(rest)) => match ((rest << more) + (sum >> 1)).checked_div(sum) {
            Some(low) => Some((high << more) + low),
            None => None,
        },
        _ => None,
    }
}
