//! `scrimp::fixedpoint`.

use core::hint::black_box;

use scrimp::fixedpoint::{
    Multiplier, exp_on_negative_values, ln_of_at_least_one, one_over_one_plus_x, reciprocal, rounded_reciprocal,
    rounding_shift_right, saturating_doubling_high_mul,
};

pub(crate) fn calls() {
    black_box(Multiplier::from_real(black_box(0.3)));
    black_box(exp_on_negative_values(black_box(-5)));
    black_box(one_over_one_plus_x(black_box(5)));
    black_box(ln_of_at_least_one(black_box(1 << 20)));
    black_box(rounded_reciprocal(black_box(1 << 31)));
    black_box(reciprocal(black_box(7)));
    black_box(rounding_shift_right(black_box(5), black_box(2)));
    black_box(saturating_doubling_high_mul(black_box(5), black_box(2)));
}
