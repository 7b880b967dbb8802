//! `scrimp::fixedpoint`.

use core::hint::black_box;

use scrimp::fixedpoint::{Multiplier, reciprocal, rounding_shift_right, saturating_doubling_high_mul};

pub(crate) fn calls() {
    black_box(Multiplier::from_real(black_box(0.3)));
    black_box(reciprocal(black_box(7)));
    black_box(rounding_shift_right(black_box(5), black_box(2)));
    black_box(saturating_doubling_high_mul(black_box(5), black_box(2)));
}
