//! Rows of f32: the loops of [`vector`](crate::backend::vector) in NEON.
#![allow(unsafe_code, reason = "a token proves the target features that these calls need")]

use core::arch::aarch64::{
    float32x4_t, vaddq_f32, vaddvq_f32, vbslq_f32, vcgtq_f32, vdupq_n_f32, vfmaq_f32, vld1q_f32, vmaxvq_f32, vmulq_f32,
    vreinterpretq_f32_u32, vreinterpretq_u32_f32, vshlq_n_u32, vst1q_f32, vsubq_f32,
};

use super::Neon;
use crate::backend::{
    F32Rows, InOut, exp_rows,
    vector::{self, Polynomial, Vector},
};
use crate::math::Ext;

impl F32Rows for Neon {
    #[inline(always)]
    fn max_f32(self, x: &[f32]) -> f32 {
        vector::max(self, x)
    }

    #[inline(always)]
    fn exp_and_sum(self, mut row: InOut<'_, f32>, max: f32) -> f32 {
        vector::exp_and_sum(self, row.again(), max).unwrap_or_else(|| exp_rows::exp_and_sum(self, row, max))
    }

    #[inline(always)]
    fn scale_f32(self, y: &mut [f32], factor: f32) {
        vector::scale(self, y, factor);
    }

    #[inline(always)]
    fn sum_of_exp(self, x: &[f32], max: f32) -> f64 {
        vector::sum_of_exp(self, x, max).unwrap_or_else(|| exp_rows::sum_of_exp(self, x, max))
    }

    #[inline(always)]
    fn ext_exp_sum(self, x: &[f32]) -> Ext {
        vector::ext_exp_sum(self, x)
    }

    #[inline(always)]
    fn ext_exp_scale(self, row: InOut<'_, f32>, factor: f32, n: f32) {
        vector::ext_exp_scale(self, row, factor, n, usize::MAX);
    }
}

/// Wraps intrinsics that work on registers alone.
macro_rules! operations {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $call:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($argument: $type),*) -> $result {
                // SAFETY: the token proves NEON, and no memory is touched.
                unsafe { $call }
            }
        )*
    };
}

impl Vector for Neon {
    type V = float32x4_t;
    const WIDTH: usize = 4;

    type Exp = Polynomial<Self>;
    const LARGEST: f32 = Polynomial::<Self>::LARGEST;
    const WRAPS: bool = true;

    #[inline(always)]
    fn below(self, n: f32, factor: f32) -> Polynomial<Self> {
        Polynomial::new(self, n, factor)
    }

    #[inline(always)]
    fn exp(self, exp: Polynomial<Self>, x: float32x4_t) -> float32x4_t {
        exp.exp(self, x)
    }

    #[inline(always)]
    fn add_exp(self, exp: Polynomial<Self>, x: float32x4_t, sum: float32x4_t) -> float32x4_t {
        exp.add_exp(self, x, sum)
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        // SAFETY: the caller's promise.
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: float32x4_t) {
        // SAFETY: the caller's promise.
        unsafe { vst1q_f32(to, v) }
    }

    /// A plain store: NEON has no other in `core::arch`.
    #[inline(always)]
    unsafe fn stream(self, to: *mut f32, v: float32x4_t) {
        // SAFETY: the caller's promise.
        unsafe { vst1q_f32(to, v) }
    }

    #[inline(always)]
    fn fence(self) {}

    #[inline(always)]
    fn prefetch(self, _: *const f32) {}

    operations! {
        splat(v: f32) -> float32x4_t = vdupq_n_f32(v);
        add(a: float32x4_t, b: float32x4_t) -> float32x4_t = vaddq_f32(a, b);
        sub(a: float32x4_t, b: float32x4_t) -> float32x4_t = vsubq_f32(a, b);
        mul(a: float32x4_t, b: float32x4_t) -> float32x4_t = vmulq_f32(a, b);
        mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t = vfmaq_f32(c, a, b);
        max(a: float32x4_t, b: float32x4_t) -> float32x4_t = select_larger(a, b);
        power(bits: float32x4_t) -> float32x4_t = vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(bits)));
        sum(v: float32x4_t) -> f32 = vaddvq_f32(v);
        top(v: float32x4_t) -> f32 = vmaxvq_f32(v);
    }
}

/// `FMAX` gives NaN if either is, `FMAXNM` neither: this gives `b`.
#[inline]
#[target_feature(enable = "neon")]
fn select_larger(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vbslq_f32(vcgtq_f32(a, b), a, b)
}
