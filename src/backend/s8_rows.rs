//! Primitives on rows of 8-bit integers: sums and quotients of what a table of 256 entries gives for each element.

use super::InOut;

/// What every value of an i8 weighs: entry `255 - d` belongs to the element that is `d` below the largest.
///
/// Ascending, so that a signed element is itself the index, from the entry of 0 on.
pub(crate) type Weights = [u32; 256];

/// A row of i8 and a bound that none of its elements exceeds, so that an element can be an index without a check.
#[derive(Debug)]
pub(crate) struct S8Row<'a, Y> {
    row: InOut<'a, i8, Y>,
    top: i8,
}

impl<'a, Y: Copy> S8Row<'a, Y> {
    /// The bound is the row's largest element.
    #[inline(always)]
    #[must_use]
    pub(crate) fn below_max<B: S8Rows>(backend: B, row: InOut<'a, i8, Y>) -> Self {
        let top = backend.max_s8(row.input());
        Self { row, top }
    }

    /// The bound is 127: entry `x + 128` belongs to `x`.
    #[inline(always)]
    #[must_use]
    pub(crate) fn unbounded(row: InOut<'a, i8, Y>) -> Self {
        Self { row, top: i8::MAX }
    }

    /// The bound.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn top(&self) -> i8 {
        self.top
    }

    /// Number of elements.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn len(&self) -> usize {
        self.row.len()
    }

    /// The elements, while the output is left alone.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn values(&self) -> S8Values<'_> {
        S8Values { x: self.row.input(), top: self.top }
    }

    /// The rows, for a pass that writes.
    #[inline(always)]
    #[must_use]
    pub(crate) fn into_rows(self) -> InOut<'a, i8, Y> {
        self.row
    }

    /// `y[i] = of[entry of x[i]]`.
    #[inline(always)]
    pub(crate) fn look_up(self, of: &[Y; 256]) {
        let top = self.top;
        self.row.map(|x| of[index(x, top)]);
    }
}

/// The elements of an [`S8Row`] or some of them, to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct S8Values<'a> {
    x: &'a [i8],
    top: i8,
}

impl<'a> S8Values<'a> {
    /// The elements.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn x(self) -> &'a [i8] {
        self.x
    }

    /// What none of them exceeds.
    #[inline(always)]
    #[must_use]
    #[allow(dead_code, reason = "backends use what they need")]
    pub(crate) const fn top(self) -> i8 {
        self.top
    }

    /// Groups of at most `n` elements.
    #[inline(always)]
    pub(crate) fn groups(self, n: usize) -> impl Iterator<Item = Self> {
        self.x.chunks(n.max(1)).map(move |x| Self { x, top: self.top })
    }

    /// The weight of each element.
    #[inline(always)]
    pub(crate) fn weights(self, weights: &Weights) -> impl Iterator<Item = u32> {
        self.x.iter().map(move |&x| weights[index(x, self.top)])
    }
}

/// Where the entry of `x` stands.
#[inline(always)]
pub(crate) const fn index(x: i8, top: i8) -> usize {
    // 255 - (top - x), modulo 256
    (x as u8).wrapping_sub(top as u8).wrapping_sub(1) as usize
}

/// How a weight becomes an output: times the reciprocal of the row's sum, rounded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quotient {
    /// TFLite's two roundings: `(w - 2048) * factor / 2^31`, and then `/ 2^shift` with `shift` 1 to 31. Weights are
    /// exponentials in Q0.31 with 2048 added.
    Twice {
        /// The reciprocal in Q0.31, below 2^31.
        factor: u32,
        /// The second shift.
        shift: u32,
    },
    /// One rounding, half up: `w * factor / 2^shift` with `shift` 1 to 63. No product reaches 2^63.
    Once {
        /// The reciprocal.
        factor: u32,
        /// The shift.
        shift: u32,
    },
}

impl Quotient {
    /// The quotient, at most `most`.
    #[inline(always)]
    pub(crate) const fn of(self, weight: u32, most: u32) -> u32 {
        let q = match self.as_multiply_add() {
            Some((factor, addend, shift)) => {
                let product = (weight as u64).wrapping_mul(factor as u64).wrapping_add(addend);
                ((product >> 32) as u32).wrapping_shr(shift)
            }
            None => match self {
                Self::Twice { factor, shift } | Self::Once { factor, shift } => {
                    let half = 1u64.wrapping_shl(shift.wrapping_sub(1));
                    let q = (weight as u64).wrapping_mul(factor as u64).wrapping_add(half).wrapping_shr(shift);
                    if q > most as u64 { most } else { q as u32 }
                }
            },
        };
        if q > most { most } else { q }
    }

    /// `((w * factor + addend) >> 32) >> shift` is the same for every weight; `None` if `shift` would be negative.
    ///
    /// The two roundings are one, as floors nest: `(w - 2048) * factor + 2^30 + 2^(30 + shift)`, then a floor.
    #[inline(always)]
    pub(crate) const fn as_multiply_add(self) -> Option<(u32, u64, u32)> {
        match self {
            Self::Twice { factor, shift } => {
                let shift = shift & 31;
                let addend = (1u64 << 30) + (1u64 << (30 + shift));
                let addend = addend.wrapping_sub(factor as u64 * HALF_Q19 as u64);
                Some((factor, addend, shift.wrapping_sub(1) & 31))
            }
            Self::Once { factor, shift } if shift >= 32 => {
                Some((factor, 1u64 << ((shift - 1) & 63), (shift - 32) & 31))
            }
            Self::Once { .. } => None,
        }
    }

    /// The quotients of all weights, less `2^7`.
    #[inline(always)]
    pub(crate) fn table_s8(self, weights: &Weights) -> [i8; 256] {
        let mut table = [i8::MIN; 256];
        for (y, &w) in table.iter_mut().zip(weights).rev() {
            let q = self.of(w, 255);
            if q == 0 {
                break; // and so are all below
            }
            *y = (q as u8 ^ 0x80) as i8;
        }
        table
    }

    /// The quotients of all weights, less `2^15`.
    #[inline(always)]
    pub(crate) fn table_s16(self, weights: &Weights) -> [i16; 256] {
        let mut table = [i16::MIN; 256];
        for (y, &w) in table.iter_mut().zip(weights).rev() {
            let q = self.of(w, 65_535);
            if q == 0 {
                break;
            }
            *y = (q as u16 ^ 0x8000) as i16;
        }
        table
    }
}

/// Half a unit of Q12.19 in Q0.31.
pub(crate) const HALF_Q19: u32 = 2048;

/// From this length on the portable bodies make a table of outputs for each row.
const TABLE_FROM: usize = 96;

/// What a backend can speed up in rows of i8. Every backend gives the same bytes.
///
/// Weights must ascend: a quotient of zero ends the outputs that are worked out.
pub(crate) trait S8Rows: Copy {
    /// The largest element; -128 for an empty slice.
    #[inline(always)]
    fn max_s8(self, x: &[i8]) -> i8 {
        x.iter().copied().fold(i8::MIN, Ord::max)
    }

    /// `Σ w[x[i]]`, modulo 2^32.
    #[inline(always)]
    fn sum_s8(self, x: S8Values<'_>, weights: &Weights) -> u32 {
        x.weights(weights).fold(0, u32::wrapping_add)
    }

    /// `Σ (w[x[i]] >> 12)`, modulo 2^32.
    #[inline(always)]
    fn sum_q19_s8(self, x: S8Values<'_>, weights: &Weights) -> u32 {
        x.weights(weights).fold(0, |sum, w| sum.wrapping_add(w >> 12))
    }

    /// `y[i] = min(q(w[x[i]]), 255) - 128`.
    #[inline(always)]
    fn quotients_s8(self, row: S8Row<'_, i8>, weights: &Weights, quotient: Quotient) {
        quotients_s8(row, weights, quotient);
    }

    /// `y[i] = min(q(w[x[i]]), 65535) - 32768`.
    #[inline(always)]
    fn quotients_s16(self, row: S8Row<'_, i16>, weights: &Weights, quotient: Quotient) {
        quotients_s16(row, weights, quotient);
    }
}

/// The portable body, for what a backend leaves over.
#[inline(always)]
pub(crate) fn quotients_s8(row: S8Row<'_, i8>, weights: &Weights, quotient: Quotient) {
    if row.len() >= TABLE_FROM {
        return row.look_up(&quotient.table_s8(weights));
    }
    let top = row.top();
    row.into_rows().map(|x| (quotient.of(weights[index(x, top)], 255) as u8 ^ 0x80) as i8);
}

/// The portable body, for what a backend leaves over.
#[inline(always)]
pub(crate) fn quotients_s16(row: S8Row<'_, i16>, weights: &Weights, quotient: Quotient) {
    if row.len() >= TABLE_FROM {
        return row.look_up(&quotient.table_s16(weights));
    }
    let top = row.top();
    row.into_rows().map(|x| (quotient.of(weights[index(x, top)], 65_535) as u16 ^ 0x8000) as i16);
}
