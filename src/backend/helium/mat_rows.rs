//! Products of matrices: the right one packed as weights are, then a loop over two rows as `leaves_dot` has. Counts are in
//! `backend/helium.md`.
//!
//! Offsets do not fit a byte, so they go by sums:
//! `Σ (l + a) (r + b) = Σ l r + b Σ l + a (Σ r + depth b)`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use core::mem::MaybeUninit;

use super::Helium;
use super::leaves_mat::{self, Columns, Pairs};
use crate::backend::mat_rows::{MatRows, MatS8};

/// Columns of a tile, at most.
const COLUMNS: usize = 64;

/// Room for the sums of two rows.
type Sums = MaybeUninit<[i32; 2 * COLUMNS]>;

impl MatRows for Helium {
    #[inline(always)]
    fn product_s8(self, of: &MatS8, lhs: &[i8], rhs: &[i8], y: &mut [i8], scratch: &mut [i32]) -> bool {
        product(of, lhs, rhs, y, scratch)
    }
}

#[inline(never)]
fn product(of: &MatS8, lhs: &[i8], rhs: &[i8], y: &mut [i8], scratch: &mut [i32]) -> bool {
    let MatS8 { rows, depth, cols, offsets, .. } = *of;
    if !of.is_plain() || !of.fits(lhs, rhs, y) || (!of.rhs_is_transposed && cols > 0xFFFF / 7) {
        return false;
    }
    // Words of four columns: their bytes, and a sum each; and of two rows, which are copied if they are transposed.
    let column = depth.next_multiple_of(16);
    let Some((x, scratch)) = scratch.split_at_mut_checked(column / 2) else { return false };
    let groups = (scratch.len() / (column + 4)).min(COLUMNS / 4);
    let Some((starts, words)) = scratch.split_at_mut_checked(4 * groups) else { return false };
    if groups == 0 || x.len() * 2 < depth {
        return false;
    }
    let mut sums = Sums::uninit();
    let sums: *mut i32 = sums.as_mut_ptr().cast();
    let all = offsets[0].wrapping_mul(offsets[1]).wrapping_mul(depth as i32);
    let mut first = 0;
    while first < cols {
        let n = (cols - first).min(4 * groups);
        let to: *mut i8 = words.as_mut_ptr().cast();
        let mut columns = Columns { depth, column: depth, input: 1, sums: starts.as_mut_ptr(), group: 4 * column - 64 };
        if of.rhs_is_transposed {
            let from = rhs.as_ptr().wrapping_add(first * depth);
            // SAFETY: `n` columns, not none, are in `rhs`, and their groups and sums have room.
            unsafe { leaves_mat::pack_columns(from, to, n, &raw const columns) };
        } else {
            (columns.column, columns.input) = (1, cols);
            let from = rhs.as_ptr().wrapping_add(first);
            // SAFETY: as above, and the steps of a gather fit 16 bits.
            unsafe { leaves_mat::pack_rows(from, to, n, &raw const columns) };
        }
        for start in starts.iter_mut().take(n) {
            *start = start.wrapping_mul(offsets[0]).wrapping_add(all);
        }
        let mut pairs = Pairs {
            x: [lhs.as_ptr(), lhs.as_ptr().wrapping_add(depth)],
            blocks: (depth / 16) as u32,
            tail: (depth % 16) as u32,
            words: words.as_ptr(),
            starts: starts.as_ptr(),
            sums,
            end: sums.wrapping_add(n.div_ceil(4) * 8),
            y: [first, first + cols].map(|at| y.as_mut_ptr().wrapping_add(at)),
            n,
            depth,
            mantissa: of.multiplier.mantissa,
            shift: of.multiplier.shift,
            offset: of.output_offset,
            rhs_offset: offsets[1],
            min: of.min.into(),
            max: of.max.into(),
            x_step: 2 * depth,
            y_step: 2 * cols,
            pairs: rows / 2,
            terms: [0; 2],
        };
        if of.lhs_is_transposed {
            for r in (0..rows).step_by(2) {
                let both = [r, (r + 1).min(rows - 1)];
                pairs.x = copies(of, lhs, both, x);
                pairs.y = both.map(|r| y.as_mut_ptr().wrapping_add(r * cols + first));
                pairs.pairs = 1;
                // SAFETY: both rows were copied; `n` columns are packed and have starts, and their sums have room; their outputs are in
                // `y`. Shifts are within bounds, as the product is plain.
                unsafe { leaves_mat::rows_by_columns(&raw mut pairs) };
            }
        } else {
            if rows > 1 {
                // SAFETY: as above, of so many pairs of rows.
                unsafe { leaves_mat::rows_by_columns(&raw mut pairs) };
            }
            if !rows.is_multiple_of(2) {
                // The last row goes with itself.
                pairs.x = [lhs.as_ptr().wrapping_add((rows - 1) * depth); 2];
                pairs.y = [y.as_mut_ptr().wrapping_add((rows - 1) * cols + first); 2];
                pairs.pairs = 1;
                // SAFETY: as above.
                unsafe { leaves_mat::rows_by_columns(&raw mut pairs) };
            }
        }
        first += n;
    }
    true
}

/// Two rows of a matrix that is stored transposed.
#[inline(never)]
fn copies(of: &MatS8, lhs: &[i8], rows: [usize; 2], to: &mut [i32]) -> [*const i8; 2] {
    let to: *mut i8 = to.as_mut_ptr().cast();
    for k in 0..of.depth {
        for (line, r) in rows.into_iter().enumerate() {
            // SAFETY: room for two rows, as was checked.
            unsafe { to.wrapping_add(line * of.depth + k).write(of.left(lhs, r, k)) };
        }
    }
    [to, to.wrapping_add(of.depth)].map(<*mut i8>::cast_const)
}
