//! AVX-512 F, BW, DQ and VL: x86 since Skylake-X (2017) and Zen 4 (2022).
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

use super::{ArithOps, Backend, Dispatch, Kernel, avx2};

/// Proof of avx512f, avx512bw, avx512dq, avx512vl, and of what [`Avx2`](super::Avx2) proves.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Avx512(());

impl Avx512 {
    /// The token, if this CPU (feature `std`) or this build has the instruction set.
    #[inline]
    #[must_use]
    pub fn new() -> Option<Self> {
        #[cfg(feature = "std")]
        let there = super::Avx2::new().is_some()
            && std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512dq")
            && std::is_x86_feature_detected!("avx512vl");
        #[cfg(not(feature = "std"))]
        let there = super::Avx2::new().is_some()
            && cfg!(all(
                target_feature = "avx512f",
                target_feature = "avx512bw",
                target_feature = "avx512dq",
                target_feature = "avx512vl"
            ));
        there.then_some(Self(()))
    }

    /// The further token for the byte dot products of VNNI.
    #[inline]
    #[must_use]
    pub fn vnni(self) -> Option<Avx512Vnni> {
        #[cfg(feature = "std")]
        let there = std::is_x86_feature_detected!("avx512vnni");
        #[cfg(not(feature = "std"))]
        let there = cfg!(target_feature = "avx512vnni");
        there.then_some(Avx512Vnni(self))
    }
}

/// Proof of avx512vnni on top of [`Avx512`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Avx512Vnni(Avx512);

impl Avx512Vnni {
    /// What it stands on.
    #[must_use]
    pub fn avx512(self) -> Avx512 {
        self.0
    }
}

impl ArithOps for Avx512 {
    const FUSED: bool = true;

    #[inline(always)]
    fn fma(self, a: f32, b: f32, c: f32) -> f32 {
        // SAFETY: the token proves `fma`.
        unsafe { avx2::fma(a, b, c) }
    }

    #[inline(always)]
    fn sqrt(self, x: f32) -> f32 {
        avx2::sqrt(x)
    }
}

impl Backend for Avx512 {
    const NAME: &'static str = "avx512";
}

impl Dispatch for Avx512 {
    #[inline]
    fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
        fn inner<K: Kernel>(token: Avx512, kernel: K) -> K::Output {
            kernel.eval(token)
        }
        // SAFETY: the token proves all of these features.
        unsafe { inner(self, kernel) }
    }
}
