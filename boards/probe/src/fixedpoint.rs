//! `scrimp::fixedpoint`.

use core::hint::black_box;

use scrimp::fixedpoint::{
    Multiplier, Quantization, SigmoidS16, exp_on_negative_values, ln_of_at_least_one, one_over_one_plus_x, reciprocal,
    rounded_reciprocal, rounding_shift_right, saturating_doubling_high_mul,
};

use crate::any::any;

pub(crate) fn calls() {
    black_box(Multiplier::from_real(any(0.3)));
    black_box(Multiplier::from_non_negative(any(0.0)));
    black_box(Multiplier::of_scales(any(0.1), any(0.2), any(0.3)));
    black_box(Multiplier::of_scales_f32(any(0.1), any(0.2), any(0.3)));
    let tensor = Quantization::new(any(0.1), any(3));
    black_box(Quantization::dequantize(tensor, any(7)));
    black_box(Quantization::quantize_s8(tensor, any(0.5)));
    black_box((Quantization::has_usable_scale(tensor), Quantization::fits_s8(tensor), Quantization::fits_s16(tensor)));
    black_box(exp_on_negative_values(any(-5)));
    black_box(one_over_one_plus_x(any(5)));
    black_box(ln_of_at_least_one(any(1 << 20)));
    black_box(rounded_reciprocal(any(1 << 31)));
    black_box(reciprocal(any(7)));
    black_box(rounding_shift_right(any(5), any(2)));
    black_box(saturating_doubling_high_mul(any(5), any(2)));
    for curve in [SigmoidS16::new(any(0.1)), SigmoidS16::from_power(any(-11))].into_iter().flatten() {
        black_box((SigmoidS16::logistic(curve, any(5)), SigmoidS16::tanh(curve, any(5))));
    }
}
