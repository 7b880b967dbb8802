//! Helium (M-profile vector extension, MVE): Cortex-M52, M55, M85.
//!
//! The whole crate is compiled for it by the build's flags, which `build.rs` reads; the token only says so.

mod code_rows;
mod depth_rows;
mod dot_rows;
#[cfg(scrimp_has = "helium_fp")]
mod f32_rows;
mod leaves_code;
mod leaves_depth;
mod leaves_dot;
mod leaves_mat;
mod leaves_pair;
mod leaves_q;
mod mat_rows;
mod pair_rows;
mod pool_rows;
mod q_rows;
mod s8_rows;
mod stable_rows;
mod step_rows;

use super::{ArithOps, Backend, Dispatch, Kernel};
#[cfg(scrimp_picked = "helium")]
pub(crate) use depth_rows::has_depth_loop;
pub(super) use dot_rows::choose_s8;

/// Proof of MVE.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Helium(());

impl Helium {
    /// The token; there in every build that has this type.
    #[inline]
    #[must_use]
    pub fn new() -> Option<Self> {
        Some(Self::token())
    }

    #[inline]
    pub(super) const fn token() -> Self {
        Self(())
    }
}

impl ArithOps for Helium {}

/// MVE without floats (`+mve` alone) leaves them to the portable bodies.
#[cfg(not(scrimp_has = "helium_fp"))]
impl super::F32Rows for Helium {}

impl Backend for Helium {
    const NAME: &'static str = "helium";
}

impl Dispatch for Helium {
    #[inline]
    fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.eval(self)
    }
}
