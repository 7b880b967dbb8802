//! Rows of f32.
//!
//! Overridden where the ABI proves a single-precision FPU (`eabihf`); counts are in `backend/dsp.md`.

use super::Dsp;
use crate::backend::F32Rows;

#[cfg(not(target_abi = "eabihf"))]
impl F32Rows for Dsp {}

#[cfg(target_abi = "eabihf")]
impl F32Rows for Dsp {
    #[inline(always)]
    fn max_f32(self, x: &[f32]) -> f32 {
        super::fpu::max(x)
    }

    #[inline(always)]
    fn exp_and_sum(self, row: crate::backend::InOut<'_, f32>, max: f32) -> f32 {
        super::fpu::exp_and_sum(row, max)
    }

    #[inline(always)]
    fn scale_f32(self, y: &mut [f32], factor: f32) {
        super::fpu::scale(y, factor);
    }
}
