//! Integer arithmetic with TFLite's rounding, and multipliers that stand for real numbers.
//!
//! All of it is `const fn`, so that tables and multipliers can live in flash, and gives the same bits on every target.

mod element;
mod exp2;
mod gemmlowp;
mod inverse_sqrt;
mod log2_scale;
mod multiplier;
mod quantization;
mod reciprocal;
mod requantize;
mod rounding;
mod sigmoid_s16;
mod tables_s16;

pub use element::{Logit, Probability};
#[cfg(any(scrimp_has = "dsp", scrimp_has = "helium"))]
pub(crate) use exp2::SHORT;
pub(crate) use exp2::{ONE, exp2_long, exp2_short};
pub use gemmlowp::{exp_on_negative_values, ln_of_at_least_one, one_over_one_plus_x};
pub(crate) use gemmlowp::{logistic, tanh};
pub(crate) use inverse_sqrt::inverse_sqrt;
pub(crate) use log2_scale::Log2Scale;
pub use multiplier::Multiplier;
pub use quantization::Quantization;
pub use reciprocal::{reciprocal, rounded_reciprocal};
pub use requantize::{Rounding, requantize, requantize_s64};
pub use rounding::{rounding_shift_right, saturating_doubling_high_mul};
#[cfg(all(target_arch = "arm", scrimp_has = "helium"))]
pub(crate) use sigmoid_s16::SIGMOID as SIGMOID_S16;
pub use sigmoid_s16::SigmoidS16;
#[cfg(any(scrimp_has = "dsp", scrimp_has = "helium"))]
pub(crate) use tables_s16::EXP as EXP_S16;
pub(crate) use tables_s16::{exp_s16, reciprocal_s16};
