//! Softmax of rows, one file per algorithm.

mod three_pass;

pub(crate) use three_pass::row_in_place;
pub use three_pass::{softmax_f32, softmax_f32_in_place, softmax_f32_in_place_on, softmax_f32_on};
