//! Softmax of rows, one file per algorithm.

mod perp_grad;
mod stable;
mod stable_loss;
mod three_pass;

pub use perp_grad::{perp_grad, perp_grad_on, perp_grad_rescaled, perp_grad_rescaled_on};
pub use stable::{
    log_stablemax_f32, log_stablemax_f32_in_place, log_stablemax_f32_in_place_on, log_stablemax_f32_on, stablemax_f32,
    stablemax_f32_in_place, stablemax_f32_in_place_on, stablemax_f32_on,
};
pub use stable_loss::{stablemax_cross_entropy, stablemax_cross_entropy_on};
pub(crate) use three_pass::row_in_place;
pub use three_pass::{softmax_f32, softmax_f32_in_place, softmax_f32_in_place_on, softmax_f32_on};
