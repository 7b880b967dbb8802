//! Rows of f32: the loops of [`vector`](crate::backend::vector) in AVX2.
#![allow(unsafe_code, reason = "a token proves the target features that these calls need")]

use core::arch::x86_64::{
    __m128, __m256, _MM_HINT_T0, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_max_ps, _mm_max_ss, _mm_movehdup_ps,
    _mm_movehl_ps, _mm_prefetch, _mm_sfence, _mm256_add_ps, _mm256_castps_si256, _mm256_castps256_ps128,
    _mm256_castsi256_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_mul_ps,
    _mm256_set1_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_stream_ps, _mm256_sub_ps,
};

use super::Avx2;
use crate::backend::{
    F32Rows, InOut, exp_rows,
    vector::{self, Polynomial, Vector},
};
use crate::math::Ext;

impl F32Rows for Avx2 {
    #[inline(always)]
    fn max_f32(self, x: &[f32]) -> f32 {
        // SAFETY: the token proves all of the features.
        unsafe { max(self, x) }
    }

    #[inline(always)]
    fn softmax_of_plain(self, row: InOut<'_, f32>) -> bool {
        match row.len() {
            // SAFETY: the token proves all of the features.
            0..=32 => unsafe { plain_in_registers::<4>(self, row) },
            // SAFETY: as above.
            33..=64 => unsafe { plain_in_registers::<8>(self, row) },
            // SAFETY: as above.
            _ => unsafe { plain(self, row) },
        }
    }

    #[inline(always)]
    fn exp_and_sum(self, row: InOut<'_, f32>, max: f32) -> f32 {
        // SAFETY: as above.
        unsafe { exp_and_sum(self, row, max) }
    }

    #[inline(always)]
    fn scale_f32(self, y: &mut [f32], factor: f32) {
        // SAFETY: as above.
        unsafe { scale(self, y, factor) };
    }

    #[inline(always)]
    fn sum_of_exp(self, x: &[f32], max: f32) -> f64 {
        // SAFETY: as above.
        unsafe { sum_of_exp(self, x, max) }
    }

    const TWO_PASS_FROM: usize = 1 << 23;

    #[inline(always)]
    fn ext_exp_sum(self, x: &[f32]) -> Ext {
        // SAFETY: as above.
        unsafe { ext_exp_sum(self, x) }
    }

    #[inline(always)]
    fn ext_exp_scale(self, row: InOut<'_, f32>, factor: f32, n: f32) {
        // SAFETY: as above.
        unsafe { ext_exp_scale(self, row, factor, n) };
    }
}

/// Out of line, as are its neighbours: else the constants of every form are loaded before the first row, which takes longer
/// than 64 elements.
#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2")]
fn plain_in_registers<const N: usize>(token: Avx2, row: InOut<'_, f32>) -> bool {
    vector::plain_in_registers::<_, N>(token, row)
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2")]
fn plain(token: Avx2, row: InOut<'_, f32>) -> bool {
    vector::plain(token, row)
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2")]
fn exp_and_sum(token: Avx2, mut row: InOut<'_, f32>, max: f32) -> f32 {
    vector::exp_and_sum(token, row.again(), max).unwrap_or_else(|| exp_rows::exp_and_sum(token, row, max))
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2")]
fn sum_of_exp(token: Avx2, x: &[f32], max: f32) -> f64 {
    vector::sum_of_exp(token, x, max).unwrap_or_else(|| exp_rows::sum_of_exp(token, x, max))
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2")]
fn max(token: Avx2, x: &[f32]) -> f32 {
    vector::max(token, x)
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2")]
fn scale(token: Avx2, y: &mut [f32], factor: f32) {
    vector::scale(token, y, factor);
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2")]
fn ext_exp_sum(token: Avx2, x: &[f32]) -> Ext {
    vector::ext_exp_sum(token, x)
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2")]
fn ext_exp_scale(token: Avx2, row: InOut<'_, f32>, factor: f32, n: f32) {
    vector::ext_exp_scale(token, row, factor, n, Avx2::TWO_PASS_FROM);
}

/// Wraps intrinsics that work on registers alone.
macro_rules! operations {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $call:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($argument: $type),*) -> $result {
                // SAFETY: the token proves avx2 and fma, and no memory is touched.
                unsafe { $call }
            }
        )*
    };
}

impl Vector for Avx2 {
    type V = __m256;
    const WIDTH: usize = 8;

    type Exp = Polynomial<Self>;
    const LARGEST: f32 = Polynomial::<Self>::LARGEST;
    const WRAPS: bool = true;

    #[inline(always)]
    fn below(self, n: f32, factor: f32) -> Polynomial<Self> {
        Polynomial::new(self, n, factor)
    }

    #[inline(always)]
    fn exp(self, exp: Polynomial<Self>, x: __m256) -> __m256 {
        exp.exp(self, x)
    }

    #[inline(always)]
    fn add_exp(self, exp: Polynomial<Self>, x: __m256, sum: __m256) -> __m256 {
        exp.add_exp(self, x, sum)
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: __m256) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_ps(to, v) }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32, v: __m256) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_stream_ps(to, v) }
    }

    #[inline(always)]
    fn prefetch(self, from: *const f32) {
        // SAFETY: a hint; the address may be anything.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }

    operations! {
        fence() -> () = _mm_sfence();
        splat(v: f32) -> __m256 = _mm256_set1_ps(v);
        add(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
        sub(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
        mul(a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
        mul_add(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        max(a: __m256, b: __m256) -> __m256 = _mm256_max_ps(a, b);
        power(bits: __m256) -> __m256 = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(bits)));
        sum(v: __m256) -> f32 = sum(v);
        top(v: __m256) -> f32 = top(v);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum(v: __m256) -> f32 {
    let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let v: __m128 = _mm_add_ps(v, _mm_movehl_ps(v, v));
    _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn top(v: __m256) -> f32 {
    let v = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let v: __m128 = _mm_max_ps(v, _mm_movehl_ps(v, v));
    _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)))
}
