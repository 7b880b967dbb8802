//! StableMax in fixed point: probabilities from additions and reciprocals, no exponential (Prieto et al. 2025, arXiv
//! 2501.04697).
//!
//! ```text
//! s(x) = 1 + x for x >= 0, 1 / (1 - x) for x < 0        y_i = s(x_i) / Σ_j s(x_j)
//! ```
//! With `F` fractional bits and `u = 2^F + |x|`, `s` is `u / 2^F` or `2^F / u`. What we changed: the numbers of a row share a
//! power of two that gives the largest 46 bits, so that a row of only far negative logits is as exact as any other.
//! That needs the row's maximum, but no accuracy depends on its distance to others.

use super::each_row_q::{self, RowOf};
use crate::backend::{Auto, Backend, Dispatch, InOut};
use crate::error::{Error, Rule};
use crate::fixedpoint::{Logit, Probability, reciprocal};
use crate::shape::Rows;

/// Bits of the row's largest `s`; 65,536 of them fit 62.
const TOP: i32 = 46;

/// StableMax of rows in fixed point: `y[r][c] = s(x[r][c]) / Σ_j s(x[r][j])`.
///
/// `x`: `rows x cols`, `i8`, `i16` or `i32`, with fractional bits; `y`: the same shape, `u8`, `u16` or `u32`, all of whose bits
/// are fractional.
///
/// # Accuracy
/// Less than 1 unit of `y` for `u8` and `u16`, 2^-24 for `u32`, for every input and rows of up to 65,536 columns. The same bytes
/// on every backend.
///
/// # Cost
/// Instructions an element of `i16` to `u16` at 64 / 256 / 1000 columns: 94 / 91 / 91 on Cortex-M4,
/// 48 / 45 / 45 on M55: the portable body. Every negative element costs two divisions: of 32 bits up to `i16` and `u16` with up to 15 fractional bits, else of 64.
///
/// # Example
/// ```
/// use scrimp::{Rows, StablemaxQ};
/// static STABLEMAX: StablemaxQ = scrimp::expect!(StablemaxQ::new(4)); // i8 with 4 fractional bits
/// let mut y = [0u16; 3];
/// STABLEMAX.run(&[16i8, 32, 48], &mut y, Rows::one(3)?)?;
/// assert_eq!(y, [14_564, 21_845, 29_127]); // 2/9, 3/9, 4/9
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StablemaxQ {
    fraction_bits: u32,
}

impl StablemaxQ {
    /// For logits with `fraction_bits` fractional bits.
    ///
    /// # Errors
    /// `Error::Config` if there are more than 31.
    pub const fn new(fraction_bits: u32) -> Result<Self, Error> {
        if fraction_bits > 31 {
            return Err(Error::Config { what: Rule::Scale });
        }
        Ok(Self { fraction_bits })
    }

    /// StableMax of each row.
    ///
    /// # Errors
    /// `Error::Length` if `x` or `y` is not `rows x cols`, `Error::TooLarge` beyond 65,536 columns; `y` is then untouched.
    pub fn run<X: Logit, Y: Probability>(&self, x: &[X], y: &mut [Y], rows: Rows) -> Result<(), Error> {
        self.run_on(Auto, x, y, rows)
    }

    /// [`StablemaxQ::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`StablemaxQ::run`].
    pub fn run_on<D: Dispatch, X: Logit, Y: Probability>(
        &self,
        backend: D,
        x: &[X],
        y: &mut [Y],
        rows: Rows,
    ) -> Result<(), Error> {
        each_row_q::apart(backend, *self, x, y, rows)
    }
}

impl<X: Logit, Y: Probability> RowOf<X, Y> for StablemaxQ {
    #[inline(always)]
    fn run<B: Backend>(self, _: B, row: InOut<'_, X, Y>) {
        let max = row.input().iter().fold(i32::MIN, |max, x| max.max(x.widen()));
        let s = Shape::new(self.fraction_bits, max, X::BITS <= 16 && Y::BITS <= 16);
        let mut sum = 0u64;
        for x in row.input() {
            sum = sum.wrapping_add(s.of(x.widen()));
        }
        // `sum = top * 2^(32 - zeros)`, and so `1 / sum = r * 2^(zeros - 94)`; a term keeps 32 of its 46 bits.
        let zeros = sum.leading_zeros();
        let r = u64::from(reciprocal((sum.wrapping_shl(zeros) >> 32) as u32));
        let shift = (80 - Y::BITS).wrapping_sub(zeros);
        // Beyond 63 nothing would be left of a product, and nothing is left at 63 of one that is not at the top. No `if`: LLVM 22
        // (rustc 1.95 to 1.97) loses the bound of `if shift > 63 { 63 } else { shift.max(1) }` at opt-levels 1, s and z.
        let lost = shift.saturating_sub(63);
        let most = shift.min(63);
        let shift = most.max(1);
        row.map(|x| {
            let product = ((s.of(x.widen()) >> 14) * r).wrapping_shr(lost);
            Y::saturate(product.wrapping_add(1 << (shift - 1)) >> shift)
        });
    }
}

/// `s`, in units that a row's elements share.
#[derive(Clone, Copy)]
struct Shape {
    one: u32,
    /// Left shift of `u` of an element that is not negative.
    rise: u32,
    /// Left shift of `2^63 / u` of a negative one; negative is to the right.
    fall: i32,
    /// Whether a quotient of 32 bits is exact enough.
    short: bool,
}

impl Shape {
    #[inline(always)]
    fn new(fraction_bits: u32, max: i32, narrow: bool) -> Self {
        let one = 1u32.wrapping_shl(fraction_bits);
        let mut shape = Self { one, rise: 0, fall: 0, short: narrow && fraction_bits < 16 };
        let u = shape.distance(max);
        if max >= 0 {
            let rise = TOP.wrapping_sub(length(u64::from(u)));
            shape.rise = rise as u32 & 63;
            // `2^F / u` in units of `2^-(F + rise)`.
            shape.fall = (2 * fraction_bits as i32 - 63).wrapping_add(rise);
        } else {
            shape.fall = TOP.wrapping_sub(length(shape.quotient(u)));
        }
        shape
    }

    /// `2^F + |x|`, at most 2^32 - 1 but for the one pair that gives 2^32, which counts as that.
    #[inline(always)]
    fn distance(self, x: i32) -> u32 {
        self.one.saturating_add(x.unsigned_abs())
    }

    /// `2^63 / u`.
    #[inline(always)]
    fn quotient(self, u: u32) -> u64 {
        let u = if u == 0 { 1 } else { u };
        if self.short {
            // To nearest, as there are few bits.
            let (quotient, rest) = (u32::MAX / u, u32::MAX % u);
            u64::from(quotient.saturating_add(u32::from(rest >= u >> 1))) << 31
        } else {
            (1 << 63) / u64::from(u)
        }
    }

    #[inline(always)]
    fn of(self, x: i32) -> u64 {
        let u = self.distance(x);
        if x >= 0 {
            u64::from(u) << self.rise
        } else if self.fall < 0 {
            self.quotient(u).wrapping_shr(self.fall.wrapping_neg() as u32)
        } else {
            self.quotient(u).wrapping_shl(self.fall as u32)
        }
    }
}

/// Bits up to the highest one.
#[inline(always)]
const fn length(number: u64) -> i32 {
    64 - number.leading_zeros() as i32
}
