//! AdaLog: codes from logits, products and attention, the same numbers as plain code written out here, and the same bytes on
//! every machine.

use scrimp::Rows;
use scrimp::backend::Dispatch;
use scrimp::nn::{AttentionAdaLog, AttentionScales, CodeForm, attend_adalog_on};
use scrimp::quant::{
    AdaLog, CodeLinear, CodeProduct, GELU_SHIFT, GeluCodes, GeluForm, LogitBias, LogitCodes, MASKED, PackedKeys,
    PackedValues, Symbols, ValueRange,
};

use crate::Failure;
use crate::buffer::Guarded;
use crate::digest::Digest;

const ADALOG: AdaLog = scrimp::expect!(AdaLog::new(4, 25, 1.0, Symbols::TopIsZero));
static CODES: LogitCodes = scrimp::expect!(LogitCodes::anchored(&ADALOG, 0.002));
static NORMALIZED: LogitCodes = scrimp::expect!(LogitCodes::normalized(&ADALOG, 0.002));

/// The specification's thresholds and weights for these.
const THRESHOLDS: [i32; 15] = [118, 352, 586, 820, 1054, 1288, 1523, 1757, 1991, 2225, 2459, 2693, 2928, 3162, 3396];
const WEIGHTS: [i32; 16] = [30720, 19456, 12288, 7424, 4608, 2944, 1856, 1152, 736, 448, 288, 176, 112, 68, 44, 0];

/// Most logits of a row, and most bytes of their codes.
const MOST: usize = 150;
const BYTES: usize = MOST / 2 + 8;

fn unexpected<E>(_: E) -> Failure {
    Failure::new("a right call is an error")
}

/// Bits that do not look alike.
const fn mix(i: usize, seed: u32) -> u32 {
    let x = (i as u32).wrapping_mul(0x9E37_79B9).wrapping_add(seed.wrapping_mul(0x85EB_CA6B));
    let x = (x ^ x >> 15).wrapping_mul(0x2C1B_3C6D);
    x ^ x >> 13
}

fn code(distance: i32) -> u8 {
    THRESHOLDS.iter().filter(|&&first| distance >= first).count() as u8
}

/// All short lengths, long ones, and rows with masks and far logits.
pub(crate) fn codes<D: Dispatch>(d: D, at: usize, all: &mut Digest<'_>) -> Result<(), Failure> {
    let mut logits = [0; MOST];
    for len in (1..=34).chain([63, 64, 65, MOST]) {
        for kind in 0..4 {
            let row = &mut logits[..len];
            for (i, logit) in row.iter_mut().enumerate() {
                let noise = (mix(i + 7 * len, kind) >> 19) as i32 - 4096;
                *logit = match kind {
                    0 => noise / 4,
                    1 if i % 3 == 0 => MASKED,
                    2 => noise << 18,
                    3 => noise / 64 - 2_000_000_000,
                    _ => noise,
                };
            }
            let max = row.iter().copied().max().unwrap_or(0);
            let rows = Rows::one(len).map_err(unexpected)?;
            let mut y = Guarded::<u8, BYTES>::new(at, CODES.packed_len(len));
            CODES.run_on(d, row, y.row(), rows).map_err(unexpected)?;
            y.check()?;
            for (i, &logit) in row.iter().enumerate() {
                let got = y.row()[i / 2] >> (i % 2 * 4) & 15;
                let want = if logit == MASKED { 15 } else { code(max.saturating_sub(logit)) };
                if got != want {
                    return Err(Failure::new("another code").row(len, 0).element(i, want.into(), got.into()));
                }
            }
            if len % 2 == 1 && y.row()[len / 2] >> 4 != 15 {
                return Err(Failure::new("the last byte is not filled up").row(len, 0));
            }
            let mut other = Guarded::<u8, BYTES>::new(7 - at, CODES.packed_len(len));
            CODES.run_biased_on(d, row, LogitBias::None, other.row(), rows).map_err(unexpected)?;
            Failure::first("another path, other codes", y.row(), other.row()).map_err(|failure| failure.row(len, 0))?;
            NORMALIZED.run_on(d, row, other.row(), rows).map_err(unexpected)?;
            all.row(len, kind as usize);
            other.row().iter().for_each(|&byte| all.add(byte.into()));
            if CODES.run_on(d, row, &mut y.row()[1..], rows).is_ok() {
                return Err(Failure::new("a wrong length is taken").row(len, 0));
            }
        }
    }
    all.is(0x90C4_1226)
}

/// Several rows at once of lengths for which backends have one loop; between usual rows one that is masked as a whole, one with
/// masks among far logits, and one whose distances leave i32.
pub(crate) fn rows_of_codes<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    for cols in [16, 32, 48, 64, 80] {
        let mut logits = [0; 5 * 80];
        let logits = &mut logits[..5 * cols];
        for (i, logit) in logits.iter_mut().enumerate() {
            let noise = (mix(i, 3) >> 19) as i32 - 4096;
            *logit = match i / cols {
                1 => MASKED,
                2 if i % 3 == 0 => MASKED,
                2 => noise / 4 - 2_147_480_000,
                3 => noise << 18,
                _ if i % 5 == 0 => MASKED,
                _ => noise / 4,
            };
        }
        let rows = Rows::new(5, cols).map_err(unexpected)?;
        let mut y = Guarded::<u8, 256>::new(at, 5 * cols / 2);
        CODES.run_on(d, logits, y.row(), rows).map_err(unexpected)?;
        y.check()?;
        for (i, &logit) in logits.iter().enumerate() {
            let max = logits[i / cols * cols..][..cols].iter().copied().max().unwrap_or(0);
            let got = y.row()[i / 2] >> (i % 2 * 4) & 15;
            let want = if logit == MASKED { 15 } else { code(max.saturating_sub(logit)) };
            if got != want {
                return Err(Failure::new("another code").row(cols, i / cols).element(
                    i % cols,
                    want.into(),
                    got.into(),
                ));
            }
        }
    }
    Ok(())
}

/// Keys and channels of the heads that are tried.
const SHAPES: [(usize, usize); 8] = [(1, 1), (5, 3), (8, 4), (16, 16), (33, 20), (64, 8), (65, 9), (40, 32)];
/// Room for the largest of them.
const KEYS: usize = 40 * 32 + 8;
const WORDS: usize = 512;

struct Head<const N: usize = KEYS> {
    keys: usize,
    width: usize,
    shape: Rows,
    k: Guarded<i8, N>,
    v: Guarded<i8, N>,
}

impl<const N: usize> Head<N> {
    #[inline(always)]
    const fn new() -> Self {
        let shape = scrimp::expect!(Rows::new(1, 1));
        Self { keys: 1, width: 1, shape, k: Guarded::new(0, 1), v: Guarded::new(0, 1) }
    }

    /// Keys start `at` bytes behind a word, values as many before the next.
    fn fill(&mut self, keys: usize, width: usize, at: usize) -> Result<(), Failure> {
        (self.keys, self.width) = (keys, width);
        self.shape = Rows::new(keys, width).map_err(unexpected)?;
        let noise = |i, seed| (mix(i, seed + keys as u32) >> 24) as i8;
        self.k.fill(at, keys * width, |i| noise(i, 1));
        self.v.fill(4 - at, keys * width, |i| noise(i, 2));
        Ok(())
    }
}

static PRODUCT: CodeProduct =
    scrimp::expect!(CodeProduct::new(&ADALOG, ValueRange { zero_point: 3, low: -128, high: 127 }, 128));

/// All forms of the product.
pub(crate) fn product<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    let mut head = Head::<KEYS>::new();
    for (keys, width) in SHAPES {
        head.fill(keys, width, at)?;
        let bytes = keys.div_ceil(2);
        let mut codes = Guarded::<u8, { 2 * BYTES }>::filled(at, 2 * bytes, |i| (mix(i, 9) >> 11) as u8);
        let codes = &*codes.row();
        let queries = Rows::new(2, keys).map_err(unexpected)?;
        let v = &*head.v.row();
        let mut words = [0; WORDS];
        let words = &mut words[..PackedValues::words(head.shape)];
        let packed = PackedValues::pack_on(d, v, words, head.shape).map_err(unexpected)?;
        let mut scratch = [0; 96];
        for form in 0..3 {
            let mut y = Guarded::<i32, 72>::new(form, 2 * width);
            match form {
                0 => PRODUCT.run_on(d, codes, v, y.row(), queries),
                1 => PRODUCT.run_buckets_on(d, codes, v, y.row(), queries),
                _ => PRODUCT.run_packed_on(d, codes, &packed, y.row(), &mut scratch),
            }
            .map_err(unexpected)?;
            y.check()?;
            for (i, &got) in y.row().iter().enumerate() {
                let (row, j) = (i / width, i % width);
                let weight = |k: usize| WEIGHTS[usize::from(codes[row * bytes + k / 2] >> (k % 2 * 4) & 15)];
                let want: i32 = (0..keys).map(|k| weight(k) * (i32::from(v[k * width + j]) - 3)).sum::<i32>();
                if got != want {
                    return Err(Failure::new("another sum").row(keys, form).element(i, want.into(), got.into()));
                }
            }
        }
    }
    Ok(())
}

const SCALES: AttentionScales = AttentionScales {
    logit: 0.002,
    value: 0.02,
    values: ValueRange { zero_point: 3, low: -128, high: 127 },
    output: 0.01,
    output_zero_point: -9,
};
static ATTENTION: AttentionAdaLog = scrimp::expect!(AttentionAdaLog::new(&ADALOG, CodeForm::Anchored, &SCALES, 128));
static PAPERS: AttentionAdaLog = scrimp::expect!(AttentionAdaLog::new(&ADALOG, CodeForm::Normalized, &SCALES, 128));

/// Heads with and without a bias; the paper's codes by their bytes alone.
pub(crate) fn attention<D: Dispatch>(d: D, at: usize, all: &mut Digest<'_>) -> Result<(), Failure> {
    let mut head = Head::<KEYS>::new();
    for (keys, width) in SHAPES {
        head.fill(keys, width, at)?;
        let mut q = Guarded::<i8, 72>::filled(at, 2 * width, |i| (mix(i, 5) >> 24) as i8 / 8);
        let q = &*q.row();
        let bias: [i32; 130] = core::array::from_fn(|i| if i % 3 == 1 { MASKED } else { (mix(i, 6) >> 20) as i32 });
        let (mut k, mut v) = ([0; WORDS / 2 + 100], [0; WORDS]);
        let k = &mut k[..PackedKeys::words(head.shape)];
        let k = PackedKeys::pack_on(d, head.k.row(), k, head.shape).map_err(unexpected)?;
        let v = &mut v[..PackedValues::words(head.shape)];
        let v = PackedValues::pack_on(d, head.v.row(), v, head.shape).map_err(unexpected)?;
        let mut scratch = [0; 200];
        for biased in [false, true] {
            let added = if biased { LogitBias::Add(&bias[..2 * keys]) } else { LogitBias::None };
            let mut y = Guarded::<i8, 72>::new(at, 2 * width);
            attend_adalog_on(d, &PAPERS, q, &k, &v, added, y.row(), &mut scratch).map_err(unexpected)?;
            all.row(keys, usize::from(biased));
            y.row().iter().for_each(|&y| all.add((y as u8).into()));
            attend_adalog_on(d, &ATTENTION, q, &k, &v, added, y.row(), &mut scratch).map_err(unexpected)?;
            y.check()?;
            all.row(keys, 2 + usize::from(biased));
            y.row().iter().for_each(|&y| all.add((y as u8).into()));
            for (query, (q, y)) in q.chunks(width).zip(y.row().chunks(width)).enumerate() {
                let bias = if biased { &bias[query * keys..] } else { &[] };
                anchored(&mut head, q, bias, y)?;
            }
        }
    }
    all.is(0x1373_2CF3)
}

/// Heads in which nothing needs padding, for which backends have ways of their own.
pub(crate) fn whole_heads<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    for (keys, width) in [(64, 16), (64, 32), (128, 16)] {
        let mut head = Head::<2064>::new();
        head.fill(keys, width, at)?;
        let (mut k, mut v, mut scratch) = ([0; 512], [0; 512], [0; 200]);
        let k = &mut k[..PackedKeys::words(head.shape)];
        let k = PackedKeys::pack_on(d, head.k.row(), k, head.shape).map_err(unexpected)?;
        let v = &mut v[..PackedValues::words(head.shape)];
        let v = PackedValues::pack_on(d, head.v.row(), v, head.shape).map_err(unexpected)?;
        for queries in [1, 3] {
            let mut q = Guarded::<i8, 112>::filled(at, queries * width, |i| (mix(i, 5) >> 24) as i8 / 8);
            let q = &*q.row();
            let mut y = Guarded::<i8, 112>::new(4 - at, queries * width);
            attend_adalog_on(d, &ATTENTION, q, &k, &v, LogitBias::None, y.row(), &mut scratch).map_err(unexpected)?;
            y.check()?;
            for (q, y) in q.chunks(width).zip(y.row().chunks(width)) {
                anchored(&mut head, q, &[], y)?;
            }
            let mut codes = Guarded::<u8, 208>::filled(at, queries * keys / 2, |i| (mix(i, 9) >> 11) as u8);
            let codes = &*codes.row();
            let mut y = Guarded::<i32, 112>::new(queries, queries * width);
            PRODUCT.run_packed_on(d, codes, &v, y.row(), &mut scratch).map_err(unexpected)?;
            y.check()?;
            for (i, &got) in y.row().iter().enumerate() {
                let codes = &codes[i / width * keys / 2..];
                let weight = |k: usize| WEIGHTS[usize::from(codes[k / 2] >> (k % 2 * 4) & 15)];
                let v = &*head.v.row();
                let value = |k: usize| i32::from(v[k * width + i % width]) - 3;
                let want: i32 = (0..keys).map(|k| weight(k) * value(k)).sum::<i32>();
                if got != want {
                    return Err(Failure::new("another sum").row(keys, queries).element(i, want.into(), got.into()));
                }
            }
        }
    }
    Ok(())
}

/// One query in plain code.
fn anchored<const N: usize>(head: &mut Head<N>, q: &[i8], bias: &[i32], y: &[i8]) -> Result<(), Failure> {
    let (keys, width) = (head.keys, head.width);
    let (k_row, v_row) = (&*head.k.row(), &*head.v.row());
    let mut logits = [MASKED; 128];
    for (k, logit) in logits.iter_mut().enumerate().take(keys) {
        let key = &k_row[k * width..];
        let dot = q.iter().zip(key).map(|(&q, &k)| i32::from(q) * i32::from(k)).sum::<i32>();
        *logit = match bias.get(k) {
            Some(&MASKED) => MASKED,
            Some(bias) => dot + bias,
            None => dot,
        };
    }
    let max = logits.iter().copied().max().unwrap_or(0);
    let weight = |logit: i32| if logit == MASKED { 0 } else { WEIGHTS[usize::from(code(max - logit))] };
    let sum: i32 = logits.iter().map(|&logit| weight(logit)).sum::<i32>();
    for (j, &got) in y.iter().enumerate() {
        let total: i32 = (0..keys).map(|k| weight(logits[k]) * (i32::from(v_row[k * width + j]) - 3)).sum::<i32>();
        let want = if sum == 0 { -9.0 } else { f64::from(total) / f64::from(sum) * 2.0 - 9.0 };
        if (want.clamp(-128.0, 127.0) - f64::from(got)).abs() > 0.51 {
            return Err(Failure::new("another output").row(keys, width).element(j, want, got.into()));
        }
    }
    Ok(())
}

const GELU: AdaLog = scrimp::expect!(AdaLog::new(4, 15, 3.0, Symbols::TopIsZero));
static GELU_CODES: GeluCodes = scrimp::expect!(GeluCodes::new(&GELU, 0.03, 4, GELU_SHIFT, GeluForm::Erf));
static LINEAR: CodeLinear = scrimp::expect!(CodeLinear::new(&GELU, 70, 255));

/// GELU codes and the layer behind them, by their bytes.
pub(crate) fn gelu<D: Dispatch>(d: D, at: usize, all: &mut Digest<'_>) -> Result<(), Failure> {
    let mut x = Guarded::<i8, 148>::filled(at, 140, |i| (mix(i, 3) >> 24) as i8);
    let mut w = Guarded::<i8, 218>::filled(4 - at, 210, |i| (mix(i, 4) >> 24) as i8);
    let tokens = Rows::new(2, 70).map_err(unexpected)?;
    let mut codes = Guarded::<u8, 80>::new(4 + at, 70);
    GELU_CODES.run(x.row(), codes.row(), tokens).map_err(unexpected)?;
    codes.check()?;
    let mut y = Guarded::<i32, 10>::new(2, 6);
    LINEAR.run_on(d, codes.row(), w.row(), &[1, -2, 3], &[5, 6, 7], y.row(), tokens).map_err(unexpected)?;
    y.check()?;
    all.row(70, 0);
    codes.row().iter().for_each(|&byte| all.add(byte.into()));
    all.row(6, 1);
    y.row().iter().flat_map(|y| y.to_le_bytes()).for_each(|byte| all.add(byte.into()));
    all.is(0x979_5D8A)
}
