//! `scrimp::fixedpoint`.

use core::hint::black_box;

use scrimp::fixedpoint::{
    Multiplier, Quantization, SigmoidS16, exp_on_negative_values, ln_of_at_least_one, one_over_one_plus_x, reciprocal,
    rounded_reciprocal, rounding_shift_right, saturating_doubling_high_mul,
};

pub(crate) fn calls() {
    black_box(Multiplier::from_real(black_box(0.3)));
    black_box(Multiplier::from_non_negative(black_box(0.0)));
    black_box(Multiplier::of_scales(black_box(0.1), black_box(0.2), black_box(0.3)));
    black_box(Multiplier::of_scales_f32(black_box(0.1), black_box(0.2), black_box(0.3)));
    let tensor = Quantization::new(black_box(0.1), black_box(3));
    black_box(Quantization::dequantize(tensor, black_box(7)));
    black_box((Quantization::has_usable_scale(tensor), Quantization::fits_s8(tensor), Quantization::fits_s16(tensor)));
    black_box(exp_on_negative_values(black_box(-5)));
    black_box(one_over_one_plus_x(black_box(5)));
    black_box(ln_of_at_least_one(black_box(1 << 20)));
    black_box(rounded_reciprocal(black_box(1 << 31)));
    black_box(reciprocal(black_box(7)));
    black_box(rounding_shift_right(black_box(5), black_box(2)));
    black_box(saturating_doubling_high_mul(black_box(5), black_box(2)));
    for curve in [SigmoidS16::new(black_box(0.1)), SigmoidS16::from_power(black_box(-11))].into_iter().flatten() {
        black_box((SigmoidS16::logistic(curve, black_box(5)), SigmoidS16::tanh(curve, black_box(5))));
    }
}
