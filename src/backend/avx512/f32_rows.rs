//! Rows of f32: the loops of [`vector`](crate::backend::vector) in AVX-512, with exponentials from a table.
//!
//! ```text
//! n = x log2 e, rounded to 1/32        t = x - n ln 2 in [-ln2/64, ln2/64]
//! e^x = 2^(n mod 1) (1 + t (c1 + c2 t)) 2^floor(n)
//! ```
//! The 32 powers `2^(i/32)` stand in two registers, `VPERMT2PS` picks by the low five bits of the rounded sum, and
//! `VSCALEF` takes the floor and multiplies, denormal results included.
#![allow(unsafe_code, reason = "a token proves the target features that these calls need")]

use core::arch::x86_64::{
    __m512, __mmask16, _MM_HINT_T0, _mm_prefetch, _mm_sfence, _mm512_add_ps, _mm512_castps_si512, _mm512_castsi512_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_loadu_ps, _mm512_mask_storeu_ps, _mm512_max_ps, _mm512_mul_ps,
    _mm512_permutex2var_ps, _mm512_reduce_add_ps, _mm512_reduce_max_ps, _mm512_scalef_ps, _mm512_set1_ps,
    _mm512_slli_epi32, _mm512_storeu_ps, _mm512_stream_ps, _mm512_sub_ps,
};

use core::f32::consts::LN_2;

use super::Avx512;
use crate::backend::{F32Rows, InOut, exp_rows, vector, vector::Vector};
use crate::math::{Ext, ext_coefficients};

impl F32Rows for Avx512 {
    #[inline(always)]
    fn max_f32(self, x: &[f32]) -> f32 {
        // SAFETY: the token proves all of the features.
        unsafe { max(self, x) }
    }

    #[inline(always)]
    fn softmax_of_plain(self, row: InOut<'_, f32>) -> bool {
        match row.len() {
            // SAFETY: the token proves all of the features.
            0..=64 => unsafe { plain_in_registers::<4>(self, row) },
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

    const TWO_PASS_FROM: usize = 1 << 22;

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

    type Exp = Table;
    const LARGEST: f32 = 65_536.0;
    const WRAPS: bool = false;

    #[inline(always)]
    fn below(self, n: f32, factor: f32) -> Table {
        // SAFETY: the token proves avx512f.
        unsafe { Table::below(n, factor) }
    }

    #[inline(always)]
    fn exp(self, exp: Table, x: __m512) -> __m512 {
        // SAFETY: the token proves avx512f.
        unsafe { exp.of(x) }
    }

    #[inline(always)]
    unsafe fn load_part(self, from: *const f32, n: usize, pad: f32) -> __m512 {
        let pad = self.splat(pad);
        // SAFETY: the first `n` lanes are read, the caller's promise.
        unsafe { _mm512_mask_loadu_ps(pad, first_lanes(n), from) }
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, n: usize, v: __m512) {
        // SAFETY: the first `n` lanes are written, the caller's promise.
        unsafe { _mm512_mask_storeu_ps(to, first_lanes(n), v) }
    }

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

/// Out of line, as are its neighbours: else the constants of every form are loaded before the first row, which takes longer
/// than 64 elements.
#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
fn plain_in_registers<const N: usize>(token: Avx512, row: InOut<'_, f32>) -> bool {
    vector::plain_in_registers::<_, N>(token, row)
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
fn plain(token: Avx512, row: InOut<'_, f32>) -> bool {
    vector::plain(token, row)
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
fn exp_and_sum(token: Avx512, mut row: InOut<'_, f32>, max: f32) -> f32 {
    vector::exp_and_sum(token, row.again(), max).unwrap_or_else(|| exp_rows::exp_and_sum(token, row, max))
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
fn sum_of_exp(token: Avx512, x: &[f32], max: f32) -> f64 {
    vector::sum_of_exp(token, x, max).unwrap_or_else(|| exp_rows::sum_of_exp(token, x, max))
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
fn max(token: Avx512, x: &[f32]) -> f32 {
    vector::max(token, x)
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
fn scale(token: Avx512, y: &mut [f32], factor: f32) {
    vector::scale(token, y, factor);
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
fn ext_exp_sum(token: Avx512, x: &[f32]) -> Ext {
    vector::ext_exp_sum(token, x)
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
fn ext_exp_scale(token: Avx512, row: InOut<'_, f32>, factor: f32, n: f32) {
    vector::ext_exp_scale(token, row, factor, n, Avx512::TWO_PASS_FROM);
}

/// The first `n` of 16 lanes.
#[inline(always)]
const fn first_lanes(n: usize) -> __mmask16 {
    if n < 16 { (1 << n) - 1 } else { !0 }
}

/// Exponentials as multiples of `2^n`.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend) struct Table {
    /// `factor 2^(i/32)`, `i` from 0 to 15.
    low: __m512,
    /// The same from 16 to 31.
    high: __m512,
    /// What is taken off the rounded sum to leave `n_x - n`.
    shift: __m512,
    lowest: __m512,
}

/// Adding it rounds to 1/32 and leaves the fraction in the low five bits, while `|n| <= 2^17`.
const ROUND: f32 = 1.5 * (1u32 << 18) as f32;

/// Bits of `2^(i/32)`.
static POWERS: [u32; 32] = [
    0x3F80_0000,
    0x3F82_CD87,
    0x3F85_AAC3,
    0x3F88_980F,
    0x3F8B_95C2,
    0x3F8E_A43A,
    0x3F91_C3D3,
    0x3F94_F4F0,
    0x3F98_37F0,
    0x3F9B_8D3A,
    0x3F9E_F532,
    0x3FA2_7043,
    0x3FA5_FED7,
    0x3FA9_A15B,
    0x3FAD_583F,
    0x3FB1_23F6,
    0x3FB5_04F3,
    0x3FB8_FBAF,
    0x3FBD_08A4,
    0x3FC1_2C4D,
    0x3FC5_672A,
    0x3FC9_B9BE,
    0x3FCE_248C,
    0x3FD2_A81E,
    0x3FD7_44FD,
    0x3FDB_FBB8,
    0x3FE0_CCDF,
    0x3FE5_B907,
    0x3FEA_C0C7,
    0x3FEF_E4BA,
    0x3FF5_257D,
    0x3FFA_83B3,
];

impl Table {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn below(n: f32, factor: f32) -> Self {
        let powers = POWERS.as_ptr().cast::<f32>();
        // SAFETY: 32 elements.
        let low = unsafe { _mm512_loadu_ps(powers) };
        // SAFETY: as above.
        let high = unsafe { _mm512_loadu_ps(powers.wrapping_add(16)) };
        let factor = _mm512_set1_ps(factor);
        Self {
            low: _mm512_mul_ps(low, factor),
            high: _mm512_mul_ps(high, factor),
            shift: _mm512_set1_ps(ROUND + n),
            // 2^-160: not even a denormal number.
            lowest: _mm512_set1_ps((n - 160.0) * LN_2),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn of(self, x: __m512) -> __m512 {
        let round = _mm512_set1_ps(ROUND);
        let [log2_e, minus_hi, minus_lo, ..] = ext_coefficients();
        let x = _mm512_max_ps(self.lowest, x);
        let shifted = _mm512_fmadd_ps(x, _mm512_set1_ps(log2_e), round);
        let n = _mm512_sub_ps(shifted, round);
        let t = _mm512_fmadd_ps(n, _mm512_set1_ps(minus_hi), x);
        let t = _mm512_fmadd_ps(n, _mm512_set1_ps(minus_lo), t);
        let power = _mm512_permutex2var_ps(self.low, _mm512_castps_si512(shifted), self.high);
        let p = _mm512_mul_ps(t, _mm512_fmadd_ps(t, _mm512_set1_ps(C2), _mm512_set1_ps(C1)));
        let m = _mm512_fmadd_ps(power, p, power);
        _mm512_scalef_ps(m, _mm512_sub_ps(shifted, self.shift))
    }
}

/// Minimax for the relative error of `1 + t (C1 + C2 t)`: 5.3e-8.
const C1: f32 = f32::from_bits(0x3F80_007B);
const C2: f32 = f32::from_bits(0x3F00_0044);
