//! NEON (Advanced SIMD): every AArch64 CPU.
#![allow(unsafe_code, reason = "a token proves the target features that these calls need")]

mod code_rows;
mod depth_rows;
mod dot_rows;
mod f32_rows;
mod mat_rows;
mod pair_rows;
mod pool_rows;
mod q_rows;
mod s8_rows;
mod stable_rows;
mod step_rows;

use core::arch::aarch64::{vdup_n_f32, vfma_f32, vget_lane_f32};

use super::{ArithOps, Backend, Dispatch, Kernel};

/// Proof of NEON, which AArch64 always has.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Neon(());

impl Neon {
    /// The token; always there.
    #[inline]
    #[must_use]
    pub fn new() -> Option<Self> {
        Some(Self::token())
    }

    #[inline]
    pub(super) const fn token() -> Self {
        Self(())
    }

    /// The further token for the byte dot products, if this build has `dotprod`.
    #[inline]
    #[must_use]
    pub fn dotprod(self) -> Option<NeonDotprod> {
        cfg!(target_feature = "dotprod").then_some(NeonDotprod(self))
    }

    /// The further token for the byte matrix products, if this build has `i8mm`.
    #[inline]
    #[must_use]
    pub fn i8mm(self) -> Option<NeonI8mm> {
        cfg!(target_feature = "i8mm").then_some(NeonI8mm(self))
    }
}

/// Proof of `dotprod` on top of [`Neon`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NeonDotprod(Neon);

impl NeonDotprod {
    /// What it stands on.
    #[must_use]
    pub fn neon(self) -> Neon {
        self.0
    }
}

/// Proof of `i8mm` on top of [`Neon`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NeonI8mm(Neon);

impl NeonI8mm {
    /// What it stands on.
    #[must_use]
    pub fn neon(self) -> Neon {
        self.0
    }
}

impl ArithOps for Neon {
    const FUSED: bool = true;

    #[inline(always)]
    fn fma(self, a: f32, b: f32, c: f32) -> f32 {
        // SAFETY: the token proves NEON.
        unsafe { fma(a, b, c) }
    }
}

impl Backend for Neon {
    const NAME: &'static str = "neon";
}

impl Dispatch for Neon {
    #[inline]
    fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.eval(self)
    }
}

/// One fused multiply-add; the vectoriser widens it like any other operation.
#[inline]
#[target_feature(enable = "neon")]
fn fma(a: f32, b: f32, c: f32) -> f32 {
    vget_lane_f32::<0>(vfma_f32(vdup_n_f32(c), vdup_n_f32(a), vdup_n_f32(b)))
}
