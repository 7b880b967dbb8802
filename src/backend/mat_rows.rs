//! Products of two matrices of 8-bit activations, of which the right one is packed once a call, some columns at a time.
//!
//! ```text
//! y[r][c] = clamp(offset + requantize(Σ_k (lhs[r][k] + offsets[0]) (rhs[k][c] + offsets[1])))
//! ```

use crate::fixedpoint::{Multiplier, Rounding};

/// Words of scratch for a product: two rows, a tile of columns as words, and a word for each of those. The tile is 16 columns, of
/// deep matrices 12: more made the arena of a keyword transformer larger. As 16-bit numbers it has twice as many, as bytes four
/// times. It is packed, then all rows pass it.
pub(crate) const fn scratch(depth: usize, cols: usize) -> usize {
    // Far from what would overflow, as a depth is at most 2^20.
    let depth = depth.next_multiple_of(4);
    let most = if depth <= 64 || cols <= 16 { 16 } else { 12 };
    let sums = if cols > 4 * most { 4 * most } else { cols.next_multiple_of(4) };
    (2 + if cols > most { most } else { sums }) * depth + sums
}

/// One product, checked.
///
/// Having one tells you that no side is 0.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "arm"), allow(dead_code, reason = "only devices have loops"))]
pub(crate) struct MatS8 {
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    pub(crate) cols: usize,
    /// Whether the left matrix is stored `[depth][rows]`.
    pub(crate) lhs_is_transposed: bool,
    /// Whether the right matrix is stored `[cols][depth]`.
    pub(crate) rhs_is_transposed: bool,
    pub(crate) offsets: [i32; 2],
    pub(crate) multiplier: Multiplier,
    pub(crate) output_offset: i32,
    pub(crate) min: i8,
    pub(crate) max: i8,
    pub(crate) rounding: Rounding,
}

#[cfg_attr(not(target_arch = "arm"), allow(dead_code, reason = "only devices have loops"))]
impl MatS8 {
    /// Whether the loops' outputs hold: both roundings, a shift of -22 to -1, an output offset of -255 to 255, and no sum that
    /// reaches 2^30. Their entry wants a depth of 2 or more.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        let Multiplier { mantissa, shift } = self.multiplier;
        let most = |offset: i32| offset.wrapping_add(127).max(128i32.wrapping_sub(offset)).cast_unsigned();
        let product = most(self.offsets[0]).wrapping_mul(most(self.offsets[1]));
        matches!(self.rounding, Rounding::Double)
            && mantissa > 0
            && (-22..=-1).contains(&shift)
            && (-255..=255).contains(&self.output_offset)
            && self.depth >= 2
            // Neither factor is above 383, and no depth above 2^20: the product fits 38 bits.
            && u64::from(product).wrapping_mul(self.depth as u64) < 1 << 30
    }

    /// Whether the slices are of this shape.
    #[inline(always)]
    pub(crate) fn fits(&self, lhs: &[i8], rhs: &[i8], y: &[i8]) -> bool {
        let Self { rows, depth, cols, .. } = *self;
        rows.checked_mul(depth) == Some(lhs.len())
            && depth.checked_mul(cols) == Some(rhs.len())
            && rows.checked_mul(cols) == Some(y.len())
    }

    /// An element of the left matrix, its offset not added.
    #[inline(always)]
    pub(crate) fn left(&self, lhs: &[i8], r: usize, k: usize) -> i8 {
        let at = if self.lhs_is_transposed { k * self.rows + r } else { r * self.depth + k };
        lhs.get(at).copied().unwrap_or(0)
    }

    /// An element of the right matrix, its offset not added.
    #[inline(always)]
    pub(crate) fn right(&self, rhs: &[i8], k: usize, c: usize) -> i8 {
        let at = if self.rhs_is_transposed { c * self.depth + k } else { k * self.cols + c };
        rhs.get(at).copied().unwrap_or(0)
    }

    /// What of the outputs' range is left to do, as loops saturate to i8.
    #[inline(always)]
    pub(crate) fn clamp(&self, y: &mut [i8]) {
        if self.min > i8::MIN || self.max < i8::MAX {
            for y in y {
                *y = (*y).min(self.max).max(self.min);
            }
        }
    }
}

/// What a backend can speed up in products of matrices. Every backend gives the same bytes.
pub(crate) trait MatRows: Copy {
    /// The product, with [`scratch`] words of scratch or any other number of them; false, and nothing done, if there is no loop
    /// for it.
    #[inline(always)]
    fn product_s8(self, _of: &MatS8, _lhs: &[i8], _rhs: &[i8], _y: &mut [i8], _scratch: &mut [i32]) -> bool {
        false
    }
}
