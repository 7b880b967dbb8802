//! Softmax of rows, one file per algorithm.

mod exp_table;
mod int8;
mod log_int8;
mod stable_int8;
mod three_pass;

pub use int8::{SoftmaxS8, SoftmaxS8Ref};
pub use log_int8::LogSoftmaxS8;
pub use stable_int8::StablemaxS8;
pub(crate) use three_pass::row_in_place;
pub use three_pass::{softmax_f32, softmax_f32_in_place, softmax_f32_in_place_on, softmax_f32_on};
