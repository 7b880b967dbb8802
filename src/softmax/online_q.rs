//! Softmax of a row that comes in pieces, in integers: a state that takes blocks and merges with others.
//!
//! The state is the running sum `Σ_j exp(x_j) = sum * 2^exponent`, both integers: the pair of Dukhan and Ablavatski 2020
//! (arXiv 2001.04438), with the merging of Milakov and Gimelshein 2018 (arXiv 1805.02867). What we changed: rescaling the sum
//! for a new largest exponent is a shift, so it costs no exponential, and 16 bits below the unit of the exponentials
//! keep what a shift would lose.

use super::SoftmaxQ;
use crate::backend::InOut;
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::{Log2Scale, Logit, Probability, reciprocal};

/// Extra bits of the sum below those of an exponential.
const GUARD: u32 = 16;
/// What the exponent of a sum of nothing is: below every other.
const NOTHING: i64 = i64::MIN / 2;

/// Running `Σ_j exp(unit x_j)` of a row: [`push`](OnlineQ::push) blocks in any number, [`merge`](OnlineQ::merge) states of
/// parts, then [`write`](OnlineQ::write) probabilities.
///
/// # Accuracy
/// As [`SoftmaxQ`]; for `u8` and `u16` at most 0.51 units. The order of blocks can move a result by one unit.
///
/// # Example
/// ```
/// use scrimp::{OnlineQ, SoftmaxQ};
/// const SOFTMAX: SoftmaxQ = scrimp::expect!(SoftmaxQ::new(8));
/// let (front, back) = ([256i16, 0], [-256i16]);
/// let mut state = OnlineQ::new(&SOFTMAX);
/// state.push(&front);
/// let mut other = OnlineQ::new(&SOFTMAX);
/// other.push(&back);
/// state.merge(&other)?;
/// let mut y = [0u16; 2];
/// state.write(&front, &mut y)?;
/// assert_eq!(y, [43_597, 16_039]); // 65536 * 0.6652, 65536 * 0.2447
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OnlineQ {
    scale: Log2Scale,
    /// In units of `2^(exponent - 30 - GUARD)`, below 2^63.
    sum: u64,
    exponent: i64,
}

impl OnlineQ {
    /// The sum of nothing, for logits of the format of `softmax`.
    #[must_use]
    pub const fn new(softmax: &SoftmaxQ) -> Self {
        Self { scale: softmax.scale, sum: 0, exponent: NOTHING }
    }

    /// Adds a block of the row.
    #[inline]
    pub fn push<X: Logit>(&mut self, x: &[X]) {
        for x in x {
            let (m, n) = self.scale.exp_pair(x.widen());
            self.add(u64::from(m) << GUARD, n);
        }
    }

    /// Adds what another state of the same format has summed.
    ///
    /// # Errors
    /// `Error::Config` if the other state is of logits with another unit; this one is then untouched.
    pub const fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if !self.scale.is(other.scale) {
            return Err(Error::Config { what: Rule::Scale });
        }
        self.add(other.sum, other.exponent);
        Ok(())
    }

    /// The share of each element: `y[i] = exp(unit x[i]) / Σ_j exp(unit x_j)`, the sum over all that was pushed. What was not
    /// pushed may come out above 1, which gives the largest number.
    ///
    /// # Errors
    /// `Error::Length` if `x` and `y` differ in length, `Error::Empty` if nothing was pushed; `y` is then untouched.
    pub fn write<X: Logit, Y: Probability>(&self, x: &[X], y: &mut [Y]) -> Result<(), Error> {
        length(Arg::Y, x.len(), y.len())?;
        if self.sum == 0 {
            return Err(Error::Empty { what: Arg::X });
        }
        self.write_row(InOut::apart(x, y));
        Ok(())
    }

    /// [`OnlineQ::write`] where nothing can be wrong.
    #[inline(always)]
    pub(super) fn write_row<X: Logit, Y: Probability>(&self, row: InOut<'_, X, Y>) {
        // `sum = top * 2^(32 - zeros)`, and so `1 / sum = r * 2^(zeros - 94)`.
        let zeros = self.sum.leading_zeros();
        let r = u64::from(reciprocal((self.sum.wrapping_shl(zeros) >> 32) as u32));
        let shift = i64::from(94 - GUARD - Y::BITS) - i64::from(zeros);
        row.map(|x| {
            let (m, n) = self.scale.exp_pair(x.widen());
            // All of the sum. Fewer bits than 32 do not show what the reciprocal lacks.
            if Y::BITS == 32 && n == self.exponent && u64::from(m) << GUARD == self.sum {
                return Y::saturate(u64::MAX);
            }
            share(u64::from(m) * r, shift.wrapping_add(self.exponent).wrapping_sub(n))
        });
    }

    /// Adds `sum * 2^(exponent - 30 - GUARD)`; the smaller exponent's bits move down.
    #[inline(always)]
    const fn add(&mut self, sum: u64, exponent: i64) {
        let above = exponent.wrapping_sub(self.exponent);
        if above > 0 {
            self.sum = down(self.sum, above);
            self.exponent = exponent;
        }
        let sum = if above < 0 { down(sum, above.wrapping_neg()) } else { sum };
        // Both are below 2^63.
        self.sum = self.sum.wrapping_add(sum);
        if self.sum >> 63 != 0 {
            self.sum >>= 1;
            self.exponent = self.exponent.wrapping_add(1);
        }
    }
}

/// `product / 2^shift`, to nearest.
#[inline(always)]
fn share<Y: Probability>(product: u64, shift: i64) -> Y {
    if shift < 1 {
        return Y::saturate(u64::MAX);
    }
    let shift = if shift > 63 { 63 } else { shift as u32 };
    Y::saturate(product.wrapping_add(1 << (shift - 1)) >> shift)
}

/// `sum / 2^by`, cut.
#[inline(always)]
const fn down(sum: u64, by: i64) -> u64 {
    if by > 63 { 0 } else { sum >> (by & 63) }
}
