//! Products with stored weights: bytes widened to 16 bits, four inputs of four outputs in one `vpmaddwd`; tiles of three rows
//! and 16 outputs keep their sums in registers.
//!
//! The weights are unsigned bytes with an offset, which times the row's sum is taken off again, so that the loops of VNNI and
//! these read the same layout.

use core::arch::x86_64::{
    __m128i, __m256i, _mm_adds_epu8, _mm_and_si128, _mm_loadu_si128, _mm_or_si128, _mm_set1_epi8, _mm_set1_epi32,
    _mm_slli_epi16, _mm_srli_epi16, _mm_sub_epi8, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16,
    _mm256_hadd_epi32, _mm256_madd_epi16, _mm256_permute4x64_epi64, _mm256_setzero_si256, _mm256_storeu_si256,
};

use super::Avx2;
use crate::backend::dot_rows::{self, Codes, DotRows, LayerS8, Lines, Rows};
use crate::backend::wide::{self, BOTH, BOTH_ROUNDED, BYTES, HIGH, NIBBLES, ROUNDED, Sink, Wide};

impl DotRows for Avx2 {
    #[inline(always)]
    fn linear_s8(self, layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
        match Wide::of(layer.codes()) {
            Some(wide) => {
                let shape = wide.shape(layer);
                // SAFETY: the token proves the features.
                rows.each(shape, y, Lines::copy, |x, step, y| unsafe { linear(&wide, layer, x, step, y) });
            }
            None => dot_rows::linear_s8(layer, rows, y),
        }
    }

    #[inline(always)]
    fn add_sums_s8(self, codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
        match Wide::of(codes) {
            // SAFETY: the token proves the features.
            Some(wide) => unsafe { add_sums(&wide, codes, x, sums) },
            None => dot_rows::add_sums_s8(codes, x, sums),
        }
    }
}

/// Rows of a tile.
const ROWS: usize = 3;

#[target_feature(enable = "avx2,fma,bmi2")]
pub(in crate::backend) fn linear(wide: &Wide, layer: &LayerS8<'_>, x: &[i8], step: usize, y: &mut [i8]) {
    let outputs = layer.codes().outputs();
    if step == wide.depth {
        return run(wide, outputs, x, &mut Sink::Outputs(layer, y));
    }
    for (x, y) in dot_rows::rows_of(x, step, wide.depth).zip(y.chunks_exact_mut(outputs.max(1))) {
        run(wide, outputs, x, &mut Sink::Outputs(layer, y));
    }
}

#[target_feature(enable = "avx2,fma,bmi2")]
pub(in crate::backend) fn add_sums(wide: &Wide, codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
    run(wide, codes.outputs(), x, &mut Sink::Sums(sums));
}

#[target_feature(enable = "avx2,fma,bmi2")]
fn run(wide: &Wide, outputs: usize, x: &[i8], sink: &mut Sink<'_>) {
    match wide.kind {
        BYTES => groups::<BYTES>(wide, outputs, x, sink),
        ROUNDED => groups::<ROUNDED>(wide, outputs, x, sink),
        NIBBLES => groups::<NIBBLES>(wide, outputs, x, sink),
        HIGH => groups::<HIGH>(wide, outputs, x, sink),
        BOTH => groups::<BOTH>(wide, outputs, x, sink),
        _ => groups::<BOTH_ROUNDED>(wide, outputs, x, sink),
    }
}

/// All rows meet a group while its weights are in the cache.
#[target_feature(enable = "avx2,fma,bmi2")]
#[inline]
fn groups<const KIND: u8>(wide: &Wide, outputs: usize, x: &[i8], sink: &mut Sink<'_>) {
    for group in 0..wide.groups {
        let mut rows = x.chunks_exact(wide.depth.max(1));
        let mut row = 0;
        while rows.len() >= ROWS {
            let x: [&[i8]; ROWS] = core::array::from_fn(|_| rows.next().unwrap_or(&[]));
            strip::<KIND, ROWS>(wide, outputs, group, row, x, sink);
            row += ROWS;
        }
        for x in rows {
            strip::<KIND, 1>(wide, outputs, group, row, [x], sink);
            row += 1;
        }
    }
}

/// `R` rows of a group: their sums, and where these go.
#[target_feature(enable = "avx2,fma,bmi2")]
#[inline]
fn strip<const KIND: u8, const R: usize>(
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
    // SAFETY: the rows have the weights' depth, and the group is one of the weights'.
    let tile = unsafe { tile::<KIND, R>(wide, group, x) };
    let first = group * 16;
    let n = outputs.saturating_sub(first).min(16);
    for r in 0..R {
        let sum = wide::sum(x[r]);
        let from = (row + r).wrapping_mul(outputs).wrapping_add(first);
        match sink {
            Sink::Outputs(layer, y) => {
                let term = sum.wrapping_mul(layer.filter_offset().wrapping_sub(wide.offset));
                let y = y.get_mut(from..).and_then(|y| y.get_mut(..n)).unwrap_or(&mut []);
                for ((o, &sum), y) in (first..).zip(&tile[r]).zip(y) {
                    *y = layer.outputs().of(o, sum.wrapping_add(term));
                }
            }
            Sink::Sums(all) => {
                let term = sum.wrapping_mul(-wide.offset);
                let all = all.get_mut(from..).and_then(|all| all.get_mut(..n)).unwrap_or(&mut []);
                for (to, &sum) in all.iter_mut().zip(&tile[r]) {
                    *to = to.wrapping_add(sum.wrapping_add(term));
                }
            }
        }
    }
}

/// # Safety
/// Each row has `wide.depth` elements, and the group is one of the weights'.
#[target_feature(enable = "avx2,fma,bmi2")]
#[inline]
unsafe fn tile<const KIND: u8, const R: usize>(wide: &Wide, group: usize, x: [&[i8]; R]) -> [[i32; 16]; R] {
    // Four outputs a vector, two partial sums each.
    let mut sums = [[_mm256_setzero_si256(); 4]; R];
    let eights = wide.eights();
    let tails = x.map(wide::tail);
    for eight in 0..eights {
        for odd in 0..2 {
            let mut four = [_mm256_setzero_si256(); R];
            for r in 0..R {
                let bytes = if eight < wide.depth / 8 {
                    let at = x[r].as_ptr().wrapping_add(eight * 8 + odd * 4).cast::<i32>();
                    // SAFETY: within the row, as `eight` is a whole one.
                    unsafe { at.read_unaligned() }
                } else {
                    tails[r][odd]
                };
                four[r] = _mm256_cvtepi8_epi16(_mm_set1_epi32(bytes));
            }
            for quarter in 0..4 {
                // SAFETY: within the group.
                let w = unsafe { weights::<KIND>(wide, group * eights + eight, odd == 1, quarter) };
                let w = _mm256_cvtepu8_epi16(w);
                for r in 0..R {
                    sums[r][quarter] = _mm256_add_epi32(sums[r][quarter], _mm256_madd_epi16(w, four[r]));
                }
            }
        }
    }
    sums.map(|[a, b, c, d]| {
        let mut all = [0; 16];
        let (front, back) = all.split_at_mut(8);
        let (ab, cd) = (pairs(a, b), pairs(c, d));
        // SAFETY: eight elements each.
        unsafe { _mm256_storeu_si256(front.as_mut_ptr().cast(), ab) };
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(back.as_mut_ptr().cast(), cd) };
        all
    })
}

/// The eight sums of two vectors of partial ones.
#[target_feature(enable = "avx2")]
#[inline]
fn pairs(a: __m256i, b: __m256i) -> __m256i {
    _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(a, b))
}

/// Four inputs of four outputs, `wide.offset` added.
///
/// # Safety
/// `eight` is one of the weights', `quarter` below 4.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn weights<const KIND: u8>(wide: &Wide, eight: usize, odd: bool, quarter: usize) -> __m128i {
    let at = eight * wide.words_an_eight() + if KIND < NIBBLES && odd { 16 } else { 0 } + 4 * quarter;
    let nibble = _mm_set1_epi8(0x0F);
    // SAFETY: 16 bytes of the eight.
    let w = unsafe { _mm_loadu_si128(wide.words.wrapping_add(at).cast()) };
    match KIND {
        BYTES => w,
        ROUNDED => _mm_and_si128(_mm_adds_epu8(w, _mm_set1_epi8(wide.half)), _mm_set1_epi8(wide.mask)),
        NIBBLES if odd => _mm_and_si128(_mm_srli_epi16::<4>(w), nibble),
        NIBBLES => _mm_and_si128(w, nibble),
        HIGH if odd => _mm_and_si128(w, _mm_set1_epi8(0xF0_u8 as i8)),
        HIGH => _mm_slli_epi16::<4>(_mm_and_si128(w, nibble)),
        _ => {
            // SAFETY: 16 bytes of the eight in the lower plane.
            let low = unsafe { _mm_loadu_si128(wide.low.wrapping_add(at).cast()) };
            let both = if odd {
                let low = _mm_and_si128(_mm_srli_epi16::<4>(low), nibble);
                _mm_or_si128(_mm_and_si128(w, _mm_set1_epi8(0xF0_u8 as i8)), low)
            } else {
                _mm_or_si128(_mm_slli_epi16::<4>(_mm_and_si128(w, nibble)), _mm_and_si128(low, nibble))
            };
            if KIND == BOTH {
                return both;
            }
            // Nibbles have 8 added; without them nothing is below 0.
            let code = _mm_sub_epi8(both, _mm_set1_epi8(8));
            _mm_and_si128(_mm_adds_epu8(code, _mm_set1_epi8(wide.half)), _mm_set1_epi8(wide.mask))
        }
    }
}
