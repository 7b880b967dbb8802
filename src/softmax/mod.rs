//! Softmax of rows, one file per algorithm.

mod auto;
mod each_row;
mod each_row_q;
mod exp_table;
#[cfg(feature = "fixed")]
mod fixed_shell;
mod int16;
mod int8;
mod log_int8;
mod log_softmax;
mod mask;
mod online;
mod online_q;
mod perp_grad;
mod q;
mod stable;
mod stable_int8;
mod stable_loss;
mod stable_q;
mod three_pass;
mod two_pass;
mod two_pass_q;

pub(crate) use auto::row_in_place;
pub use auto::{softmax_f32, softmax_f32_in_place, softmax_f32_in_place_on, softmax_f32_on};
#[cfg(feature = "fixed")]
pub use fixed_shell::{FixedLogit, FixedProbability, softmax_q};
pub use int8::{SoftmaxS8, SoftmaxS8Ref};
pub use int16::SoftmaxS16;
pub use log_int8::LogSoftmaxS8;
pub use log_softmax::{log_softmax_f32, log_softmax_f32_in_place, log_softmax_f32_in_place_on, log_softmax_f32_on};
pub use mask::{Mask, MaskedRow, SoftmaxF32};
pub use online::OnlineSoftmax;
pub use online_q::OnlineQ;
pub use perp_grad::{perp_grad, perp_grad_on, perp_grad_rescaled, perp_grad_rescaled_on};
pub use q::SoftmaxQ;
pub use stable::{
    log_stablemax_f32, log_stablemax_f32_in_place, log_stablemax_f32_in_place_on, log_stablemax_f32_on, stablemax_f32,
    stablemax_f32_in_place, stablemax_f32_in_place_on, stablemax_f32_on,
};
pub use stable_int8::StablemaxS8;
pub use stable_loss::{stablemax_cross_entropy, stablemax_cross_entropy_on};
pub use stable_q::StablemaxQ;
pub use three_pass::{three_pass_f32, three_pass_f32_in_place, three_pass_f32_in_place_on, three_pass_f32_on};
pub use two_pass::{two_pass_f32, two_pass_f32_in_place, two_pass_f32_in_place_on, two_pass_f32_on};
pub use two_pass_q::{two_pass_q, two_pass_q_on};
