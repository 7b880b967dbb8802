//! Rows of f32 for StableMax: what AVX2 does, on its registers.

use super::Avx512;
use crate::backend::{InOut, StableRows, avx2};

impl StableRows for Avx512 {
    #[inline(always)]
    fn stable_and_sum(self, row: InOut<'_, f32>) -> f32 {
        // SAFETY: the token proves avx2 and fma too.
        unsafe { avx2::stable_and_sum(row) }
    }
}
