//! The portable backend: plain Rust, what every other one falls back to.

use super::{Arith, Backend, Dispatch, DotRows, F32Rows, Kernel, QRows, S8Rows, StableRows, sealed::Sealed};

/// Plain Rust; may be used everywhere.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scalar;

impl Sealed for Scalar {}

impl Arith for Scalar {}

impl F32Rows for Scalar {}

impl S8Rows for Scalar {}

impl QRows for Scalar {}

impl StableRows for Scalar {}

impl DotRows for Scalar {}

impl Backend for Scalar {
    const NAME: &'static str = "scalar";
}

impl Dispatch for Scalar {
    #[inline]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
}
