//! Rows of random full-range i8 logits, scale 1/16.

use core::hint::black_box;

use scrimp::{LogSoftmaxS8, Rows, SoftmaxS8, StablemaxS8};

use crate::{Meter, Noise, ROWS};

/// Longest row.
const MOST: usize = 1000;

static SOFTMAX: SoftmaxS8 = scrimp::expect!(SoftmaxS8::new(1.0 / 16.0, 1.0));
static LOG_SOFTMAX: LogSoftmaxS8 = scrimp::expect!(LogSoftmaxS8::new(1.0 / 16.0));
static STABLEMAX: StablemaxS8 = scrimp::expect!(StablemaxS8::new(1.0 / 16.0));

pub(crate) fn softmax(n: usize, meter: &mut Meter) {
    rows::<i8>(n, meter, |x, y, rows| _ = black_box(black_box(&SOFTMAX).run(x, y, rows)));
}

pub(crate) fn softmax_s16(n: usize, meter: &mut Meter) {
    rows::<i16>(n, meter, |x, y, rows| _ = black_box(black_box(&SOFTMAX).run_s16(x, y, rows)));
}

pub(crate) fn log_softmax(n: usize, meter: &mut Meter) {
    rows::<i8>(n, meter, |x, y, rows| _ = black_box(black_box(&LOG_SOFTMAX).run(x, y, rows)));
}

pub(crate) fn stablemax(n: usize, meter: &mut Meter) {
    rows::<i8>(n, meter, |x, y, rows| _ = black_box(black_box(&STABLEMAX).run(x, y, rows)));
}

pub(crate) fn stablemax_s16(n: usize, meter: &mut Meter) {
    rows::<i16>(n, meter, |x, y, rows| _ = black_box(black_box(&STABLEMAX).run_s16(x, y, rows)));
}

pub(crate) fn rows<Y: Copy + Default>(n: usize, meter: &mut Meter, run: impl Fn(&[i8], &mut [Y], Rows)) {
    let (mut x, mut y) = ([0i8; MOST], [Y::default(); MOST]);
    let (Some(x), Some(y), Ok(rows)) = (x.get_mut(..n), y.get_mut(..n), Rows::one(n)) else { return };
    for row in 0..ROWS {
        let mut noise = Noise::new(row as u32);
        x.fill_with(|| noise.s8());
        meter.count(&mut || run(black_box(x), black_box(y), rows));
    }
}
