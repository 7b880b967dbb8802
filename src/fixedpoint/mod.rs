//! Integer arithmetic with TFLite's rounding, and multipliers that stand for real numbers.
//!
//! All of it is `const fn`, so that tables and multipliers can live in flash, and gives the same bits on every target.

mod gemmlowp;
mod multiplier;
mod reciprocal;
mod rounding;

pub use gemmlowp::{exp_on_negative_values, ln_of_at_least_one, one_over_one_plus_x};
pub use multiplier::Multiplier;
pub use reciprocal::rounded_reciprocal;
pub use rounding::{rounding_shift_right, saturating_doubling_high_mul};
