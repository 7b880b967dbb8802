//! The portable backend: plain Rust, what every other one falls back to; and loops for what every core with Thumb-2 has.

use super::{
    ArithOps, Backend, CodeRows, CodeStep, DepthRows, Dispatch, F32Rows, Kernel, PairRows, PoolRows, QRows, S8Rows,
    StableRows, StepRows, code_rows,
};

/// Plain Rust; may be used everywhere.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scalar;

impl ArithOps for Scalar {}

impl F32Rows for Scalar {}

impl S8Rows for Scalar {}

impl QRows for Scalar {}

impl StableRows for Scalar {}

impl DepthRows for Scalar {}

impl PairRows for Scalar {}

impl PoolRows for Scalar {}

impl StepRows for Scalar {}

impl CodeRows for Scalar {
    /// A Cortex-M0 has no product of 64 bits: two short ones where they suffice, or four.
    #[inline(always)]
    fn nibbles_s32(self, x: &[i32], max: i32, step: CodeStep, y: &mut [u8]) {
        match step.upper() {
            _ if cfg!(target_arch = "arm") && step.is_short() => code_rows::short_nibbles(x, max, step, y),
            Some(factor) if cfg!(target_arch = "arm") => code_rows::nibbles_by_halves(x, max, factor, y),
            _ => code_rows::nibbles(x, max, step, y),
        }
    }

    /// Cores of this backend on bare metal, Cortex-M0 and M3, have no vector multiplication, and the first no fast one.
    #[inline(always)]
    fn product_nibbles(
        self,
        codes: &[u8],
        packed: &[u32],
        table: &[i16; 16],
        y: &mut [i32],
        _spare: &mut [u32],
    ) -> i32 {
        if cfg!(target_arch = "arm") {
            code_rows::product_by_buckets(codes, packed, table, y)
        } else {
            code_rows::product(codes, packed, table, y)
        }
    }
}

#[cfg(all(target_arch = "arm", scrimp_has = "thumb2"))]
mod dot_rows;
#[cfg(all(target_arch = "arm", scrimp_has = "thumb2"))]
mod mat_rows;
#[cfg(all(target_arch = "arm", scrimp_has = "thumb2", scrimp_picked = "scalar"))]
pub(super) use dot_rows::choose_s8;

#[cfg(not(target_arch = "arm"))]
impl super::DotRows for Scalar {}

#[cfg(not(all(target_arch = "arm", scrimp_has = "thumb2")))]
impl super::MatRows for Scalar {}

#[cfg(all(target_arch = "arm", not(scrimp_has = "thumb2")))]
impl super::DotRows for Scalar {
    #[inline(always)]
    fn linear_s8(self, layer: &super::LayerS8<'_>, rows: super::Rows<'_, i8>, y: &mut [i8]) {
        layer.run_chosen(rows, y);
    }
}

impl Backend for Scalar {
    const NAME: &'static str = "scalar";
}

impl Dispatch for Scalar {
    #[inline]
    fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.eval(self)
    }
}
