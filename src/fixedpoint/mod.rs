//! Integer arithmetic with TFLite's rounding, and multipliers that stand for real numbers.
//!
//! All of it is `const fn`, so that tables and multipliers can live in flash, and gives the same bits on every target.

mod multiplier;
mod rounding;

pub use multiplier::Multiplier;
pub use rounding::{rounding_shift_right, saturating_doubling_high_mul};
