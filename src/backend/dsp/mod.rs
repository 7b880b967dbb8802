//! The DSP extension: Cortex-M4, M7, M33 and M35P.
//!
//! The whole crate is compiled for it by the build's flags, which `build.rs` reads; the token only says so.

mod code_rows;
mod depth_rows;
mod dot_rows;
mod f32_rows;
#[cfg(target_abi = "eabihf")]
mod fpu;
mod leaves_code;
mod leaves_depth;
mod leaves_dot;
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
#[cfg(scrimp_picked = "dsp")]
pub(crate) use depth_rows::has_depth_loop;
#[cfg(scrimp_picked = "dsp")]
pub(super) use dot_rows::choose_s8;

/// Proof of the DSP extension.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dsp(());

impl Dsp {
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

impl ArithOps for Dsp {}

impl Backend for Dsp {
    const NAME: &'static str = "dsp";
}

impl Dispatch for Dsp {
    #[inline]
    fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.eval(self)
    }
}
