//! StableMax for the instruction sets of [`vector`](super::vector): short rows stay in registers, and rows out of cache take two
//! passes, so that fewer bytes move.
//!
//! ```text
//! S = Σ s(x_j)        y_i = s(x_i) / S, past the caches
//! ```
//! There `s` is computed twice and nothing is written between.
#![allow(unsafe_code, reason = "`stream` stores past the caches")]

use super::InOut;
use super::vector::{self, Vector};

/// What StableMax needs of a register.
pub(super) trait StableVector: Vector {
    /// `s(x)`: `1 + x` from 0 on and `1 / (1 - x)` below, which may be 0 where it is less than `2^-126`; 0 for `-inf`, NaN for
    /// NaN.
    fn stable(self, x: Self::V) -> Self::V;
}

/// [`StableRows::stable_whole`](super::StableRows::stable_whole) of a row that fills at most `N` registers.
#[inline(always)]
pub(super) fn in_registers<S: StableVector, const N: usize>(s: S, row: InOut<'_, f32>, fits: fn(f32) -> bool) -> bool {
    vector::in_registers::<S, N>(
        s,
        row,
        #[inline(always)]
        |_, x| s.stable(x),
        fits,
    )
}

/// [`StableRows::stable_whole`](super::StableRows::stable_whole) of a row that is out of cache; not in place, where the lines
/// are in the caches when they are written.
#[inline(always)]
pub(super) fn two_pass<S: StableVector>(s: S, row: InOut<'_, f32>, fits: fn(f32) -> bool) -> bool {
    if row.is_in_place() {
        return false;
    }
    let sum = vector::sum_of(
        s,
        row.input(),
        #[inline(always)]
        |x| s.stable(x),
    );
    if !fits(sum) {
        return false;
    }
    let factor = s.splat(1.0 / sum);
    vector::stream(
        s,
        row,
        #[inline(always)]
        |x| s.mul(s.stable(x), factor),
    );
    true
}
