//! AVX2 with FMA and BMI2: x86 since Haswell (2013) and Zen (2017).
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

pub(super) use dot_rows::{add_sums, linear};

use core::arch::x86_64::{_mm_cvtss_f32, _mm_fmadd_ss, _mm_set_ss, _mm_sqrt_ss};

use super::{ArithOps, Backend, Dispatch, Kernel};

/// Proof of avx2, fma and bmi2.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Avx2(());

impl Avx2 {
    /// The token, if this CPU (feature `std`) or this build has the instruction set.
    #[inline]
    #[must_use]
    pub fn new() -> Option<Self> {
        #[cfg(feature = "std")]
        let there = std::is_x86_feature_detected!("avx2")
            && std::is_x86_feature_detected!("fma")
            && std::is_x86_feature_detected!("bmi2");
        #[cfg(not(feature = "std"))]
        let there = cfg!(all(target_feature = "avx2", target_feature = "fma", target_feature = "bmi2"));
        there.then_some(Self(()))
    }
}

impl ArithOps for Avx2 {
    const FUSED: bool = true;

    #[inline(always)]
    fn fma(self, a: f32, b: f32, c: f32) -> f32 {
        // SAFETY: the token proves `fma`.
        unsafe { fma(a, b, c) }
    }

    #[inline(always)]
    fn sqrt(self, x: f32) -> f32 {
        sqrt(x)
    }
}

impl Backend for Avx2 {
    const NAME: &'static str = "avx2";
}

impl Dispatch for Avx2 {
    #[inline]
    fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,bmi2")]
        fn inner<K: Kernel>(token: Avx2, kernel: K) -> K::Output {
            kernel.eval(token)
        }
        // SAFETY: the token proves the three features.
        unsafe { inner(self, kernel) }
    }
}

/// One fused multiply-add; the vectoriser widens it like any other operation.
#[inline]
#[target_feature(enable = "fma")]
pub(super) fn fma(a: f32, b: f32, c: f32) -> f32 {
    _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)))
}

/// Square root of one element.
#[inline(always)]
pub(super) fn sqrt(x: f32) -> f32 {
    #[inline]
    #[target_feature(enable = "sse")]
    fn inner(x: f32) -> f32 {
        _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)))
    }
    // SAFETY: SSE is part of x86_64.
    unsafe { inner(x) }
}
