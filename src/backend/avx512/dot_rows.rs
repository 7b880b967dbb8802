//! Products with stored weights: VNNI where the CPU has it, four inputs of sixteen outputs in one instruction; tiles of six
//! rows and 64 outputs keep their sums in registers. Without VNNI the loops of AVX2.
//!
//! `vpdpbusd` multiplies unsigned by signed bytes. The weights are the unsigned ones: every loop adds an offset to them, which
//! times the row's sum is taken off again.

use core::arch::x86_64::{
    __m512i, __mmask16, _mm_mask_storeu_epi8, _mm_maskz_loadu_epi8, _mm512_add_epi32, _mm512_add_epi64,
    _mm512_adds_epu8, _mm512_and_si512, _mm512_cvtepi8_epi32, _mm512_cvtepi32_epi8, _mm512_dpbusd_epi32,
    _mm512_loadu_epi8, _mm512_mask_blend_epi32, _mm512_mask_storeu_epi32, _mm512_maskz_loadu_epi32, _mm512_max_epi32,
    _mm512_min_epi32, _mm512_mul_epi32, _mm512_or_si512, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_slli_epi16, _mm512_slli_epi64, _mm512_sllv_epi32, _mm512_srai_epi32,
    _mm512_srav_epi32, _mm512_srli_epi16, _mm512_srli_epi64, _mm512_sub_epi8, _mm512_sub_epi32,
};

use super::Avx512;
use crate::backend::avx2;
use crate::backend::dot_rows::{self, Codes, DotRows, LayerS8, Lines, OutputsS8, Rows};
use crate::backend::wide::{self, BOTH, BOTH_ROUNDED, BYTES, HIGH, NIBBLES, ROUNDED, Sink, Wide};

impl DotRows for Avx512 {
    #[inline(always)]
    fn linear_s8(self, layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
        match (self.vnni(), Wide::of(layer.codes())) {
            (Some(_), Some(wide)) => {
                let shape = wide.shape(layer);
                // SAFETY: the tokens prove the features.
                rows.each(shape, y, Lines::copy, |x, step, y| unsafe { linear(&wide, layer, x, step, y) });
            }
            (None, Some(wide)) => {
                let shape = wide.shape(layer);
                // SAFETY: the token proves the features.
                rows.each(shape, y, Lines::copy, |x, step, y| unsafe { avx2::linear(&wide, layer, x, step, y) });
            }
            _ => dot_rows::linear_s8(layer, rows, y),
        }
    }

    #[inline(always)]
    fn add_sums_s8(self, codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
        match (self.vnni(), Wide::of(codes)) {
            // SAFETY: the tokens prove the features.
            (Some(_), Some(wide)) => unsafe { add_sums(&wide, codes, x, sums) },
            // SAFETY: the token proves the features.
            (None, Some(wide)) => unsafe { avx2::add_sums(&wide, codes, x, sums) },
            _ => dot_rows::add_sums_s8(codes, x, sums),
        }
    }
}

/// Rows of a tile.
const ROWS: usize = 6;
/// Groups of a tile.
const GROUPS: usize = 4;

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn linear(wide: &Wide, layer: &LayerS8<'_>, x: &[i8], step: usize, y: &mut [i8]) {
    let outputs = layer.codes().outputs();
    if step == wide.depth {
        return run(wide, outputs, x, &mut Sink::Outputs(layer, y));
    }
    for (x, y) in dot_rows::rows_of(x, step, wide.depth).zip(y.chunks_exact_mut(outputs.max(1))) {
        run(wide, outputs, x, &mut Sink::Outputs(layer, y));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn add_sums(wide: &Wide, codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
    run(wide, codes.outputs(), x, &mut Sink::Sums(sums));
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn run(wide: &Wide, outputs: usize, x: &[i8], sink: &mut Sink<'_>) {
    match wide.kind {
        BYTES => panels::<BYTES>(wide, outputs, x, sink),
        ROUNDED => panels::<ROUNDED>(wide, outputs, x, sink),
        NIBBLES => panels::<NIBBLES>(wide, outputs, x, sink),
        HIGH => panels::<HIGH>(wide, outputs, x, sink),
        BOTH => panels::<BOTH>(wide, outputs, x, sink),
        _ => panels::<BOTH_ROUNDED>(wide, outputs, x, sink),
    }
}

/// All rows meet a panel of groups while its weights are in the cache.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
fn panels<const KIND: u8>(wide: &Wide, outputs: usize, x: &[i8], sink: &mut Sink<'_>) {
    let mut group = 0;
    while group < wide.groups {
        if wide.groups - group >= GROUPS {
            panel::<KIND, GROUPS>(wide, outputs, group, x, sink);
            group += GROUPS;
        } else {
            panel::<KIND, 1>(wide, outputs, group, x, sink);
            group += 1;
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
fn panel<const KIND: u8, const G: usize>(wide: &Wide, outputs: usize, group: usize, x: &[i8], sink: &mut Sink<'_>) {
    let mut rows = x.chunks_exact(wide.depth.max(1));
    let mut row = 0;
    while rows.len() >= ROWS {
        let x: [&[i8]; ROWS] = core::array::from_fn(|_| rows.next().unwrap_or(&[]));
        strip::<KIND, ROWS, G>(wide, outputs, group, row, x, sink);
        row += ROWS;
    }
    while rows.len() >= 2 {
        let x: [&[i8]; 2] = core::array::from_fn(|_| rows.next().unwrap_or(&[]));
        strip::<KIND, 2, G>(wide, outputs, group, row, x, sink);
        row += 2;
    }
    if let Some(x) = rows.next() {
        strip::<KIND, 1, G>(wide, outputs, group, row, [x], sink);
    }
}

/// `R` rows by `G` groups: their sums, and where these go.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
fn strip<const KIND: u8, const R: usize, const G: usize>(
    wide: &Wide,
    outputs: usize,
    group: usize,
    row: usize,
    x: [&[i8]; R],
    sink: &mut Sink<'_>,
) {
    if x.iter().any(|x| x.len() != wide.depth) {
        return;
    }
    let mut tile = [[_mm512_setzero_si512(); G]; R];
    // SAFETY: the rows have the weights' depth, and the groups are the weights'.
    unsafe { add_tile::<KIND, R, G>(wide, group, x, &mut tile) };
    for r in 0..R {
        let sum = wide::sum(x[r]);
        for g in 0..G {
            let first = (group + g) * 16;
            let n = outputs.saturating_sub(first).min(16);
            let from = (row + r).wrapping_mul(outputs).wrapping_add(first);
            match sink {
                Sink::Outputs(layer, y) => {
                    let term = sum.wrapping_mul(layer.filter_offset().wrapping_sub(wide.offset));
                    let sums = _mm512_add_epi32(tile[r][g], _mm512_set1_epi32(term));
                    if let Some(y) = y.get_mut(from..).and_then(|y| y.get_mut(..n)) {
                        quantize(layer.outputs(), first, sums, y);
                    }
                }
                Sink::Sums(all) => {
                    let term = sum.wrapping_mul(-wide.offset);
                    let sums = _mm512_add_epi32(tile[r][g], _mm512_set1_epi32(term));
                    if let Some(to) = all.get_mut(from..).and_then(|to| to.get_mut(..n)) {
                        let mask = first_lanes(n);
                        // SAFETY: `n` elements of `to`.
                        let before = unsafe { _mm512_maskz_loadu_epi32(mask, to.as_ptr()) };
                        let after = _mm512_add_epi32(before, sums);
                        // SAFETY: as above.
                        unsafe { _mm512_mask_storeu_epi32(to.as_mut_ptr(), mask, after) };
                    }
                }
            }
        }
    }
}

#[inline(always)]
const fn first_lanes(n: usize) -> __mmask16 {
    ((1u32 << if n < 16 { n } else { 16 }) - 1) as __mmask16
}

/// # Safety
/// Each row has `wide.depth` elements, and the groups are the weights'.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
unsafe fn add_tile<const KIND: u8, const R: usize, const G: usize>(
    wide: &Wide,
    group: usize,
    x: [&[i8]; R],
    all: &mut [[__m512i; G]; R],
) {
    // A copy: what the caller sees would be stored in every turn.
    let mut sums = *all;
    let eights = wide.eights();
    for eight in 0..wide.depth / 8 {
        for odd in 0..2 {
            let mut w = [_mm512_setzero_si512(); G];
            for g in 0..G {
                // SAFETY: within the groups.
                w[g] = unsafe { weights::<KIND>(wide, (group + g) * eights + eight, odd == 1) };
            }
            for r in 0..R {
                let at = x[r].as_ptr().wrapping_add(eight * 8 + odd * 4).cast::<i32>();
                // SAFETY: within the row, as `eight` is a whole one.
                let x = _mm512_set1_epi32(unsafe { at.read_unaligned() });
                for g in 0..G {
                    sums[r][g] = _mm512_dpbusd_epi32(sums[r][g], w[g], x);
                }
            }
        }
    }
    if eights > wide.depth / 8 {
        let tails = x.map(wide::tail);
        for odd in 0..2 {
            for g in 0..G {
                // SAFETY: within the groups.
                let w = unsafe { weights::<KIND>(wide, (group + g) * eights + eights - 1, odd == 1) };
                for r in 0..R {
                    sums[r][g] = _mm512_dpbusd_epi32(sums[r][g], w, _mm512_set1_epi32(tails[r][odd]));
                }
            }
        }
    }
    *all = sums;
}

/// Four inputs of sixteen outputs, `wide.offset` added: the first or the second half of an eight.
///
/// # Safety
/// `eight` is one of the weights'.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
unsafe fn weights<const KIND: u8>(wide: &Wide, eight: usize, odd: bool) -> __m512i {
    let at = eight * wide.words_an_eight() + if KIND < NIBBLES && odd { 16 } else { 0 };
    let nibble = _mm512_set1_epi8(0x0F);
    // SAFETY: 64 bytes of the eight.
    let w = unsafe { _mm512_loadu_epi8(wide.words.wrapping_add(at).cast()) };
    match KIND {
        BYTES => w,
        ROUNDED => _mm512_and_si512(_mm512_adds_epu8(w, _mm512_set1_epi8(wide.half)), _mm512_set1_epi8(wide.mask)),
        NIBBLES if odd => _mm512_and_si512(_mm512_srli_epi16::<4>(w), nibble),
        NIBBLES => _mm512_and_si512(w, nibble),
        HIGH if odd => _mm512_and_si512(w, _mm512_set1_epi8(0xF0_u8 as i8)),
        HIGH => _mm512_slli_epi16::<4>(_mm512_and_si512(w, nibble)),
        _ => {
            // SAFETY: 64 bytes of the eight in the lower plane.
            let low = unsafe { _mm512_loadu_epi8(wide.low.wrapping_add(at).cast()) };
            let both = if odd {
                let low = _mm512_and_si512(_mm512_srli_epi16::<4>(low), nibble);
                _mm512_or_si512(_mm512_and_si512(w, _mm512_set1_epi8(0xF0_u8 as i8)), low)
            } else {
                let high = _mm512_slli_epi16::<4>(_mm512_and_si512(w, nibble));
                _mm512_or_si512(high, _mm512_and_si512(low, nibble))
            };
            if KIND == BOTH {
                return both;
            }
            // Nibbles have 8 added; without them nothing is below 0.
            let code = _mm512_sub_epi8(both, _mm512_set1_epi8(8));
            _mm512_and_si512(_mm512_adds_epu8(code, _mm512_set1_epi8(wide.half)), _mm512_set1_epi8(wide.mask))
        }
    }
}

/// Up to sixteen outputs from `first` on, of sums without bias.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
#[inline]
fn quantize(outputs: &OutputsS8<'_>, first: usize, sums: __m512i, y: &mut [i8]) {
    let n = y.len();
    let mask = first_lanes(n);
    if !outputs.is_plain {
        let mut all = [0; 16];
        // SAFETY: sixteen elements.
        unsafe { _mm512_mask_storeu_epi32(all.as_mut_ptr(), mask, sums) };
        for ((o, &sum), y) in (first..).zip(&all).zip(y) {
            *y = outputs.of(o, sum);
        }
        return;
    }
    let range = first..first + n;
    let (Some(bias), Some(mantissa), Some(shift)) =
        (outputs.bias.get(range.clone()), outputs.mantissa.get(range.clone()), outputs.shift.get(range))
    else {
        return;
    };
    // SAFETY: `n` elements of each.
    let bias = unsafe { _mm512_maskz_loadu_epi32(mask, bias.as_ptr()) };
    // SAFETY: as above.
    let mantissa = unsafe { _mm512_maskz_loadu_epi32(mask, mantissa.as_ptr()) };
    // SAFETY: as above.
    let shift = unsafe { _mm_maskz_loadu_epi8(mask, shift.as_ptr()) };
    let right = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_cvtepi8_epi32(shift));
    let sums = _mm512_add_epi32(sums, bias);
    // SRDHM: the high half of the doubled product, half up; even elements, then odd ones.
    let nudge = _mm512_set1_epi64(1 << 30);
    let even = _mm512_add_epi64(_mm512_mul_epi32(sums, mantissa), nudge);
    let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(sums), _mm512_srli_epi64::<32>(mantissa));
    let odd = _mm512_slli_epi64::<1>(_mm512_add_epi64(odd, nudge));
    let high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64::<31>(even), odd);
    // RDPOT: half a unit is added, less 1 to negative numbers.
    let one = _mm512_set1_epi32(1);
    let half = _mm512_sllv_epi32(one, _mm512_sub_epi32(right, one));
    let y32 = _mm512_add_epi32(_mm512_add_epi32(high, _mm512_srai_epi32::<31>(high)), half);
    let y32 = _mm512_add_epi32(_mm512_srav_epi32(y32, right), _mm512_set1_epi32(outputs.offset));
    let y32 = _mm512_max_epi32(y32, _mm512_set1_epi32(outputs.min.into()));
    let y32 = _mm512_min_epi32(y32, _mm512_set1_epi32(outputs.max.into()));
    let y8 = _mm512_cvtepi32_epi8(y32);
    // SAFETY: `n` elements of `y`.
    unsafe { _mm_mask_storeu_epi8(y.as_mut_ptr(), mask, y8) };
}
