//! Rows of random full-range 16-bit logits.

use core::hint::black_box;

use scrimp::{Rows, SoftmaxQ, SoftmaxS16, StablemaxQ, two_pass_q};

use crate::{Meter, Noise, ROWS};

/// Longest row.
const MOST: usize = 1000;

/// Full range is -1 to 1.
static SOFTMAX_S16: SoftmaxS16 = scrimp::expect!(SoftmaxS16::new(1.0 / 32_768.0, 1.0));
/// Full range is -128 to 128.
static SOFTMAX_Q: SoftmaxQ = scrimp::expect!(SoftmaxQ::new(8));
static STABLEMAX_Q: StablemaxQ = scrimp::expect!(StablemaxQ::new(8));

pub(crate) fn s16(n: usize, meter: &mut Meter) {
    run(n, meter, |x, y: &mut [i16], rows| {
        let _ = black_box(SOFTMAX_S16.run(x, y, rows));
    });
}

pub(crate) fn q(n: usize, meter: &mut Meter) {
    run(n, meter, |x, y: &mut [u16], rows| {
        let _ = black_box(SOFTMAX_Q.run(x, y, rows));
    });
}

pub(crate) fn two_pass(n: usize, meter: &mut Meter) {
    run(n, meter, |x, y: &mut [u16], rows| {
        let _ = black_box(two_pass_q(&SOFTMAX_Q, x, y, rows));
    });
}

pub(crate) fn stable(n: usize, meter: &mut Meter) {
    run(n, meter, |x, y: &mut [u16], rows| {
        let _ = black_box(STABLEMAX_Q.run(x, y, rows));
    });
}

fn run<Y: Copy + Default>(n: usize, meter: &mut Meter, call: fn(&[i16], &mut [Y], Rows)) {
    let (mut x, mut y) = ([0i16; MOST], [Y::default(); MOST]);
    let (Some(x), Some(y), Ok(rows)) = (x.get_mut(..n), y.get_mut(..n), Rows::one(n)) else { return };
    for row in 0..ROWS {
        let mut noise = Noise::new(row as u32);
        x.fill_with(|| noise.s16());
        meter.count(&mut || call(black_box(x), black_box(y), rows));
    }
}
