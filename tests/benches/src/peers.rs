//! What users would take instead, on the same rows: `embedded-nn` 0.2.3.

use core::hint::black_box;

use embedded_nn::{float_ops, softmax};

use crate::{Meter, softmax as ours, softmax_s8};

/// Its name and version, for the records.
pub(crate) const EMBEDDED_NN: &str = "embedded-nn 0.2.3";

/// TFLite's integers for a scale of 1/16.
const MULTIPLIER: i32 = 1 << 30;
const SHIFT: i32 = 23;
const DIFF_MIN: i32 = -248;

pub(crate) fn s8(n: usize, meter: &mut Meter) {
    softmax_s8::rows::<i8>(n, meter, |x, y, _| {
        _ = black_box(softmax::softmax_s8(x, 1, x.len(), black_box(MULTIPLIER), SHIFT, DIFF_MIN, y));
    });
}

pub(crate) fn f32(n: usize, meter: &mut Meter) {
    ours::rows(n, meter, |x, y, _| {
        _ = black_box(float_ops::softmax_f32(x, 1, x.len(), y));
        Ok(())
    });
}
