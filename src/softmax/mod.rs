//! Softmax of rows, one file per algorithm.

mod each_row_q;
#[cfg(feature = "fixed")]
mod fixed_shell;
mod int16;
mod online_q;
mod q;
mod stable_q;
mod three_pass;
mod two_pass_q;

#[cfg(feature = "fixed")]
pub use fixed_shell::{FixedLogit, FixedProbability, softmax_q};
pub use int16::SoftmaxS16;
pub use online_q::OnlineQ;
pub use q::SoftmaxQ;
pub use stable_q::StablemaxQ;
pub(crate) use three_pass::row_in_place;
pub use three_pass::{softmax_f32, softmax_f32_in_place, softmax_f32_in_place_on, softmax_f32_on};
pub use two_pass_q::{two_pass_q, two_pass_q_on};
