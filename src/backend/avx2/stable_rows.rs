//! Rows of f32 for StableMax: the reciprocal from the CPU's estimate and one step of Newton's, 2.5e-7 in all.
//!
//! In a prototype of this loop the pass alone took 0.139 / 0.124 / 0.118 ns an element at n = 256 / 1024 / 4096 with it, and
//! 0.163 / 0.143 / 0.137 ns with a division; at 65,536 it was slower, 0.132 against 0.128 (EPYC, Zen 3, rustc 1.95, minima of 60
//! interleaved runs on a busy machine).

use core::arch::x86_64::{
    __m256, _CMP_GE_OQ, _CMP_NLT_UQ, _mm256_add_ps, _mm256_and_ps, _mm256_andnot_ps, _mm256_blendv_ps, _mm256_cmp_ps,
    _mm256_div_ps, _mm256_fnmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_movemask_ps, _mm256_mul_ps, _mm256_rcp_ps,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::Avx2;
use crate::backend::stable_rows::stable_and_sum_block;
use crate::backend::stable_vector::{self, StableVector};
use crate::backend::{F32Rows, InOut, LANES, StableRows, fold};

impl StableRows for Avx2 {
    #[inline(always)]
    fn stable_and_sum(self, row: InOut<'_, f32>) -> f32 {
        // SAFETY: the token proves both features.
        unsafe { stable_and_sum(row) }
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
#[target_feature(enable = "avx2,fma,bmi2")]
fn in_registers(token: Avx2, row: InOut<'_, f32>, fits: fn(f32) -> bool) -> bool {
    stable_vector::in_registers::<_, 8>(token, row, fits)
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2")]
fn two_pass(token: Avx2, row: InOut<'_, f32>, fits: fn(f32) -> bool) -> bool {
    stable_vector::two_pass(token, row, fits)
}

impl StableVector for Avx2 {
    #[inline(always)]
    fn stable(self, x: __m256) -> __m256 {
        // SAFETY: the token proves avx2 and fma.
        unsafe { stable(x) }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn stable(x: __m256) -> __m256 {
    /// From here on the estimate's result is 0, which stays; Newton's step would make it NaN for infinity.
    const WIDE: f32 = f32::from_bits((127 + 126) << 23);
    let magnitude = _mm256_set1_ps(f32::from_bits(0x7FFF_FFFF));
    let u = _mm256_add_ps(_mm256_set1_ps(1.0), _mm256_and_ps(x, magnitude));
    let is_wide = _mm256_cmp_ps::<_CMP_GE_OQ>(u, _mm256_set1_ps(WIDE));
    _mm256_blendv_ps(u, _mm256_andnot_ps(is_wide, reciprocal(u)), x)
}

/// Elements of a register, of the four that are worked on together, and of a block whose partial sums stay in f32.
const WIDTH: usize = 8;
const GROUP: usize = 4 * WIDTH;
const BLOCK: usize = 8 * GROUP;

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn stable_and_sum(mut row: InOut<'_, f32>) -> f32 {
    let mut sum = 0.0f64;
    while row.len() >= GROUP {
        let whole = row.len() - row.len() % GROUP;
        let block = row.split_off_front(if whole < BLOCK { whole } else { BLOCK });
        sum += f64::from(groups_and_sum(block));
    }
    if !row.is_empty() {
        sum += f64::from(stable_and_sum_block(row));
    }
    sum as f32
}

/// `block` is a multiple of [`GROUP`].
#[inline]
#[target_feature(enable = "avx2,fma")]
fn groups_and_sum(mut block: InOut<'_, f32>) -> f32 {
    /// From 2^125 on, and for infinity and NaN, the estimate's result is not a normal number.
    const WIDE: f32 = f32::from_bits((127 + 125) << 23);
    let one = _mm256_set1_ps(1.0);
    let magnitude = _mm256_set1_ps(f32::from_bits(0x7FFF_FFFF));
    let mut sums = [_mm256_setzero_ps(); 4];
    while block.len() >= GROUP {
        let (x, y) = block.split_off_front(GROUP).pointers();
        let (mut v, mut u) = ([one; 4], [one; 4]);
        for k in 0..4 {
            // SAFETY: the group has 4 registers of elements.
            let at = unsafe { x.add(k * WIDTH) };
            // SAFETY: as above.
            v[k] = unsafe { _mm256_loadu_ps(at) };
            u[k] = _mm256_add_ps(one, _mm256_and_ps(v[k], magnitude));
        }
        let largest = _mm256_max_ps(_mm256_max_ps(u[0], u[1]), _mm256_max_ps(u[2], u[3]));
        // A NaN can hide in a maximum, which does no harm: the short way gives NaN for it too.
        let is_wide = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(largest, _mm256_set1_ps(WIDE))) != 0;
        for k in 0..4 {
            let r = if is_wide { _mm256_div_ps(one, u[k]) } else { reciprocal(u[k]) };
            let s = _mm256_blendv_ps(u[k], r, v[k]);
            // SAFETY: as above.
            let at = unsafe { y.add(k * WIDTH) };
            // SAFETY: as above.
            unsafe { _mm256_storeu_ps(at, s) };
            sums[k] = _mm256_add_ps(sums[k], s);
        }
    }
    let (left, right) = (_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
    let mut lanes = [0.0; LANES];
    let (low, high) = lanes.split_at_mut(WIDTH);
    // SAFETY: half of the lanes are one register.
    unsafe { _mm256_storeu_ps(low.as_mut_ptr(), left) };
    // SAFETY: as above.
    unsafe { _mm256_storeu_ps(high.as_mut_ptr(), right) };
    fold(lanes)
}

/// `1 / u`: the estimate's error of 1.5 * 2^-12 is squared.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn reciprocal(u: __m256) -> __m256 {
    let r = _mm256_rcp_ps(u);
    _mm256_mul_ps(r, _mm256_fnmadd_ps(u, r, _mm256_set1_ps(2.0)))
}
