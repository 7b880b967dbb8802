//! Weights stored once in 8 bits and read at 8, 7, 6, 5, 4, 3 or 2: Double Rounding (arXiv 2502.01199).
//!
//! ```text
//! q  = round(w / s)                                 stored, 8 bits
//! q_l = min(floor(q / 2^(8 - l) + 1/2), 2^(l-1) - 1)   read at l bits: half up, saturated
//! w ~ s 2^(8 - l) q_l
//! ```
//! The scale of a width is the 8-bit scale times a power of two, so the kernels weigh `q_l 2^(8 - l)` and everything
//! behind them stays as it is. [`Weights`] is a view that is read at any width; [`Governor`] says at which.

mod double_rounding;
mod governor;
mod nested;
mod weights;
mod width;

pub use crate::backend::{Format, Layout};
pub use double_rounding::{double_round, double_round_masked};
pub use governor::{Cost, Governor, Ladder, Pareto, Step};
pub use nested::{NEST_CAP, nest, nest_planes, pack_s4, unnest};
pub use weights::{Weights, packed_words};
pub use width::Width;
