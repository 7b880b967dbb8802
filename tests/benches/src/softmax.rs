//! Rows of random full-range logits.

use core::hint::black_box;

use scrimp::softmax::{Mask, OnlineSoftmax, SoftmaxF32, log_softmax_f32, softmax_f32, three_pass_f32, two_pass_f32};
use scrimp::{Error, Rows};

use crate::{Meter, Noise, ROWS};

/// Longest row.
const MOST: usize = 1000;

pub(crate) fn f32(n: usize, meter: &mut Meter) {
    rows(n, meter, softmax_f32);
}

pub(crate) fn three_pass(n: usize, meter: &mut Meter) {
    rows(n, meter, three_pass_f32);
}

pub(crate) fn two_pass(n: usize, meter: &mut Meter) {
    rows(n, meter, two_pass_f32);
}

pub(crate) fn log_softmax(n: usize, meter: &mut Meter) {
    rows(n, meter, log_softmax_f32);
}

/// One push, one write.
pub(crate) fn online(n: usize, meter: &mut Meter) {
    rows(n, meter, |x, y, _| {
        let mut state = OnlineSoftmax::new();
        state.push(x);
        state.write(x, y)
    });
}

/// A scale and a causal mask that hides nothing.
pub(crate) fn scaled(n: usize, meter: &mut Meter) {
    const SOFTMAX: SoftmaxF32 = SoftmaxF32::new().with_scale(0.125);
    rows(n, meter, |x, y, rows| SOFTMAX.run(x, y, rows, Mask::Causal { past: x.len() }));
}

type Form = fn(&[f32], &mut [f32], Rows) -> Result<(), Error>;

pub(crate) fn rows(n: usize, meter: &mut Meter, form: Form) {
    let (mut x, mut y) = ([0.0f32; MOST], [0.0f32; MOST]);
    let (Some(x), Some(y), Ok(rows)) = (x.get_mut(..n), y.get_mut(..n), Rows::one(n)) else { return };
    for row in 0..ROWS {
        let mut noise = Noise::new(row as u32);
        x.fill_with(|| 10.0 * noise.unit());
        meter.count(&mut || {
            let _ = black_box(form(black_box(x), black_box(y), rows));
        });
    }
}
