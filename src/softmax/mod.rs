//! Softmax of rows, one file per algorithm.

mod exp_table;
mod int8;
mod log_int8;
mod perp_grad;
mod stable;
mod stable_int8;
mod stable_loss;
mod three_pass;

pub use int8::{SoftmaxS8, SoftmaxS8Ref};
pub use log_int8::LogSoftmaxS8;
pub use perp_grad::{perp_grad, perp_grad_on, perp_grad_rescaled, perp_grad_rescaled_on};
pub use stable::{
    log_stablemax_f32, log_stablemax_f32_in_place, log_stablemax_f32_in_place_on, log_stablemax_f32_on, stablemax_f32,
    stablemax_f32_in_place, stablemax_f32_in_place_on, stablemax_f32_on,
};
pub use stable_int8::StablemaxS8;
pub use stable_loss::{stablemax_cross_entropy, stablemax_cross_entropy_on};
pub(crate) use three_pass::row_in_place;
pub use three_pass::{softmax_f32, softmax_f32_in_place, softmax_f32_in_place_on, softmax_f32_on};
