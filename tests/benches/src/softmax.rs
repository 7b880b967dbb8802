//! Rows of random full-range logits.

use core::hint::black_box;

use scrimp::{Rows, softmax_f32};

use crate::{Meter, Noise, ROWS};

/// Longest row.
const MOST: usize = 1000;

pub(crate) fn f32(n: usize, meter: &mut Meter) {
    let (mut x, mut y) = ([0.0f32; MOST], [0.0f32; MOST]);
    let (Some(x), Some(y), Ok(rows)) = (x.get_mut(..n), y.get_mut(..n), Rows::one(n)) else { return };
    for row in 0..ROWS {
        let mut noise = Noise::new(row as u32);
        x.fill_with(|| 10.0 * noise.unit());
        meter.count(&mut || {
            let _ = black_box(softmax_f32(black_box(x), black_box(y), rows));
        });
    }
}
