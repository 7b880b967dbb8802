//! AdaLog: codes of random logits, their product with random values, and a whole row of attention.

use core::hint::black_box;

use scrimp::Rows;
use scrimp::nn::{AttentionAdaLog, AttentionScales, CodeForm, attend_adalog};
use scrimp::quant::{AdaLog, CodeProduct, LogitBias, LogitCodes, PackedKeys, PackedValues, Symbols, ValueRange};

use crate::{Meter, Noise, ROWS};

/// Most logits.
const MOST: usize = 256;
/// Keys and channels of the head.
const KEYS: usize = 64;
pub(crate) const CHANNELS: usize = 32;
const SHAPE: Rows = scrimp::expect!(Rows::new(KEYS, CHANNELS));

const ADALOG: AdaLog = scrimp::expect!(AdaLog::new(4, 25, 1.0, Symbols::TopIsZero));
static CODES: LogitCodes = scrimp::expect!(LogitCodes::anchored(&ADALOG, 0.002));
static PRODUCT: CodeProduct = scrimp::expect!(CodeProduct::new(&ADALOG, ValueRange::S8, KEYS));
const SCALES: AttentionScales =
    AttentionScales { logit: 0.0001, value: 0.02, values: ValueRange::S8, output: 0.01, output_zero_point: -9 };
static ATTENTION: AttentionAdaLog = scrimp::expect!(AttentionAdaLog::new(&ADALOG, CodeForm::Anchored, &SCALES, KEYS));

/// Logits whose distances reach over all codes.
pub(crate) fn codes(n: usize, meter: &mut Meter) {
    let (mut x, mut y) = ([0i32; MOST], [0u8; MOST / 2]);
    let (Some(x), Some(y), Ok(rows)) = (x.get_mut(..n), y.get_mut(..n / 2), Rows::one(n)) else { return };
    for row in 0..ROWS {
        let mut noise = Noise::new(row as u32);
        x.fill_with(|| (noise.bits() >> 20) as i32 - (noise.bits() >> 20) as i32);
        meter.count(&mut || {
            let _ = black_box(black_box(&CODES).run(black_box(x), black_box(y), rows));
        });
    }
}

/// 64 keys of 32 channels, values packed before.
pub(crate) fn product(_: usize, meter: &mut Meter) {
    let (mut v, mut words) = ([0i8; KEYS * CHANNELS], [0; PackedValues::words(SHAPE)]);
    let (mut codes, mut y) = ([0u8; KEYS / 2], [0i32; CHANNELS]);
    let mut scratch = [0; CodeProduct::scratch_words(SHAPE)];
    for row in 0..ROWS {
        let mut noise = Noise::new(row as u32);
        v.fill_with(|| noise.s8());
        codes.fill_with(|| (noise.bits() >> 24) as u8);
        let Ok(v) = PackedValues::pack(&v, &mut words, SHAPE) else { return };
        meter.count(&mut || {
            let (v, y) = (black_box(&v), black_box(&mut y));
            let _ = black_box(black_box(&PRODUCT).run_packed(black_box(&codes), v, y, black_box(&mut scratch)));
        });
    }
}

/// One query over 64 keys of 32 channels: 64 times the figure is the row.
pub(crate) fn attend(_: usize, meter: &mut Meter) {
    let mut plain = [0i8; KEYS * CHANNELS];
    let (mut keys, mut values) = ([0; PackedKeys::words(SHAPE)], [0; PackedValues::words(SHAPE)]);
    let (mut q, mut y) = ([0i8; CHANNELS], [0i8; CHANNELS]);
    let mut scratch = [0; AttentionAdaLog::scratch_words(SHAPE)];
    for row in 0..ROWS {
        let mut noise = Noise::new(row as u32);
        plain.fill_with(|| noise.s8());
        let Ok(k) = PackedKeys::pack(&plain, &mut keys, SHAPE) else { return };
        plain.fill_with(|| noise.s8());
        let Ok(v) = PackedValues::pack(&plain, &mut values, SHAPE) else { return };
        q.fill_with(|| noise.s8());
        meter.count(&mut || {
            let (q, y, scratch) = (black_box(&q), black_box(&mut y), black_box(&mut scratch));
            let _ = black_box(attend_adalog(black_box(&ATTENTION), q, &k, &v, LogitBias::None, y, scratch));
        });
    }
}
