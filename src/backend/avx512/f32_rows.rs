//! Rows of f32: the loops of [`vector`](crate::backend::vector) in AVX-512.
#![allow(unsafe_code, reason = "a token proves the target features that these calls need")]

use core::arch::x86_64::{
    __m512, _MM_HINT_T0, _mm_prefetch, _mm_sfence, _mm512_add_ps, _mm512_castps_si512, _mm512_castsi512_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_max_ps, _mm512_mul_ps, _mm512_reduce_add_ps, _mm512_reduce_max_ps,
    _mm512_set1_ps, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_stream_ps, _mm512_sub_ps,
};

use super::Avx512;
use crate::backend::{F32Rows, InOut, exp_rows, vector, vector::Vector};
use crate::math::Ext;

impl F32Rows for Avx512 {
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

    const TWO_PASS_FROM: usize = 1 << 22;

    #[inline(always)]
    fn ext_exp_sum(self, x: &[f32]) -> Ext {
        vector::ext_exp_sum(self, x)
    }

    #[inline(always)]
    fn ext_exp_scale(self, row: InOut<'_, f32>, factor: f32, n: f32) {
        vector::ext_exp_scale(self, row, factor, n, Self::TWO_PASS_FROM);
    }
}

/// Wraps intrinsics that work on registers alone.
macro_rules! operations {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $call:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($argument: $type),*) -> $result {
                // SAFETY: the token proves avx512f, and no memory is touched.
                unsafe { $call }
            }
        )*
    };
}

impl Vector for Avx512 {
    type V = __m512;
    const WIDTH: usize = 16;

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: __m512) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_ps(to, v) }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32, v: __m512) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_stream_ps(to, v) }
    }

    #[inline(always)]
    fn prefetch(self, from: *const f32) {
        // SAFETY: a hint; the address may be anything.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }

    operations! {
        fence() -> () = _mm_sfence();
        splat(v: f32) -> __m512 = _mm512_set1_ps(v);
        add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
        sub(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps(a, b);
        mul(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
        mul_add(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        max(a: __m512, b: __m512) -> __m512 = _mm512_max_ps(a, b);
        power(bits: __m512) -> __m512 = _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(bits)));
        sum(v: __m512) -> f32 = _mm512_reduce_add_ps(v);
        top(v: __m512) -> f32 = _mm512_reduce_max_ps(v);
    }
}
