//! Primitives on rows of f32 for StableMax.

use super::{F32Rows, InOut, LANES, fold};

/// What a backend can speed up in StableMax.
pub(crate) trait StableRows: F32Rows {
    /// `y[i] = s(x[i])`, `s(x) = 1 + x` from 0 on and `1 / (1 - x)` below; gives `Σ y[i]`, infinite where it overflows.
    /// NaN gives NaN, `-inf` gives 0.
    ///
    /// Partial sums run in blocks that are merged in f64, so that the error does not grow with the row.
    #[inline(always)]
    fn stable_and_sum(self, mut row: InOut<'_, f32>) -> f32 {
        if row.len() <= BLOCK {
            return stable_and_sum_block(row);
        }
        let mut sum = 0.0f64;
        while !row.is_empty() {
            sum += f64::from(stable_and_sum_block(row.split_off_front(BLOCK)));
        }
        sum as f32
    }

    /// `y[i] = s(x[i]) / Σ s(x[j])` at once, for rows that fit into registers or are out of cache; `false`, with nothing written,
    /// if this one is neither, or if `fits` refuses its sum.
    #[inline(always)]
    fn stable_whole(self, _row: InOut<'_, f32>, _fits: fn(f32) -> bool) -> bool {
        false
    }
}

/// Elements whose partial sums stay in f32.
const BLOCK: usize = 16 * LANES;

/// The same for at most [`BLOCK`] elements.
#[inline(always)]
pub(super) fn stable_and_sum_block(block: InOut<'_, f32>) -> f32 {
    let mut lanes = [0.0; LANES];
    let rest = block.for_each_group::<LANES>(|x, y| {
        for i in 0..LANES {
            y[i] = stable(x[i]);
            lanes[i] += y[i];
        }
    });
    let mut lane = 0;
    rest.map(|x| {
        let y = stable(x);
        if let Some(sum) = lanes.get_mut(lane) {
            *sum += y;
        }
        lane += 1;
        y
    });
    fold(lanes)
}

/// `u = 1 + |x|`, which is never 0: then `s` is `u` or `1 / u`. The sign is read as a bit, as LLVM (rustc 1.95, 1.96) compiles
/// `x < constant` for Helium to a comparison that is true for NaN.
#[inline(always)]
fn stable(x: f32) -> f32 {
    let u = 1.0 + x.abs();
    if x.is_sign_negative() { 1.0 / u } else { u }
}
