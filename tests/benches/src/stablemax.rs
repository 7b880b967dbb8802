//! StableMax and what trains with it, on rows of random logits.

use core::hint::black_box;

use scrimp::{Rows, log_stablemax_f32, perp_grad, stablemax_cross_entropy, stablemax_f32};

use crate::{Meter, Noise, ROWS};

/// Longest row.
const MOST: usize = 1000;

type Call<'a> = dyn FnMut(&[f32], &mut [f32], Rows) -> bool + 'a;

pub(crate) fn f32(n: usize, meter: &mut Meter) {
    rows(n, meter, &mut |x, y, rows| stablemax_f32(x, y, rows).is_ok());
}

pub(crate) fn log(n: usize, meter: &mut Meter) {
    rows(n, meter, &mut |x, y, rows| log_stablemax_f32(x, y, rows).is_ok());
}

/// The gradient alone, without the loss.
pub(crate) fn gradient(n: usize, meter: &mut Meter) {
    rows(n, meter, &mut |x, y, rows| stablemax_cross_entropy(x, black_box(&[n / 2]), y, None, rows).is_ok());
}

pub(crate) fn perp(n: usize, meter: &mut Meter) {
    rows(n, meter, &mut |x, y, _| {
        // A gradient of zeros would take the path for rare ranges.
        y.fill(0.5);
        perp_grad(x, y).is_ok()
    });
}

fn rows(n: usize, meter: &mut Meter, call: &mut Call<'_>) {
    let (mut x, mut y) = ([0.0f32; MOST], [0.0f32; MOST]);
    let (Some(x), Some(y), Ok(rows)) = (x.get_mut(..n), y.get_mut(..n), Rows::one(n)) else { return };
    for row in 0..ROWS {
        let mut noise = Noise::new(row as u32);
        x.fill_with(|| 10.0 * noise.unit());
        meter.count(&mut || {
            black_box(call(black_box(x), black_box(y), rows));
        });
    }
}
