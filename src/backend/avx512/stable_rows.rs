//! Rows of f32 for StableMax: the reciprocal from the CPU's estimate (2^-14) and one step of Newton's.
#![allow(unsafe_code, reason = "a token proves the target features that these calls need")]

use core::arch::x86_64::{
    __m512, _mm512_abs_ps, _mm512_add_ps, _mm512_castps_si512, _mm512_fnmadd_ps, _mm512_mask_mul_ps, _mm512_min_ps,
    _mm512_movepi32_mask, _mm512_rcp14_ps, _mm512_set1_ps,
};

use super::Avx512;
use crate::backend::stable_vector::{self, StableVector};
use crate::backend::vector;
use crate::backend::{F32Rows, InOut, StableRows};

impl StableRows for Avx512 {
    #[inline(always)]
    fn stable_and_sum(self, row: InOut<'_, f32>) -> f32 {
        // SAFETY: the token proves all of the features.
        unsafe { stable_and_sum(self, row) }
    }

    #[inline(always)]
    fn stable_whole(self, row: InOut<'_, f32>, fits: fn(f32) -> bool) -> bool {
        if row.len() <= 64 {
            // SAFETY: the token proves all of the features.
            unsafe { in_registers(self, row, fits) }
        } else if row.len() >= Self::TWO_PASS_FROM {
            // SAFETY: as above.
            unsafe { two_pass(self, row, fits) }
        } else {
            false
        }
    }
}

/// Out of line, as are its neighbours, so that their constants are not loaded before the first row.
#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
fn in_registers(token: Avx512, row: InOut<'_, f32>, fits: fn(f32) -> bool) -> bool {
    stable_vector::in_registers::<_, 4>(token, row, fits)
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
fn two_pass(token: Avx512, row: InOut<'_, f32>, fits: fn(f32) -> bool) -> bool {
    stable_vector::two_pass(token, row, fits)
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
fn stable_and_sum(token: Avx512, row: InOut<'_, f32>) -> f32 {
    vector::blocks_and_sum(
        token,
        row,
        #[inline(always)]
        |_, x| token.stable(x),
    )
}

impl StableVector for Avx512 {
    #[inline(always)]
    fn stable(self, x: __m512) -> __m512 {
        // SAFETY: the token proves avx512f and avx512dq.
        unsafe { stable(x) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn stable(x: __m512) -> __m512 {
    let two = _mm512_set1_ps(2.0);
    let u = _mm512_add_ps(_mm512_set1_ps(1.0), _mm512_abs_ps(x));
    let r = _mm512_rcp14_ps(u);
    // For an infinite `u`, `r` is 0 and the rest NaN, which the minimum makes 2.
    let rest = _mm512_min_ps(_mm512_fnmadd_ps(u, r, two), two);
    _mm512_mask_mul_ps(u, _mm512_movepi32_mask(_mm512_castps_si512(x)), r, rest)
}
