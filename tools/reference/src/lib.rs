//! Plain f64 oracles of the kernels: no SIMD, no cleverness, written to be read and believed.

pub mod adalog;
pub mod bits;
pub mod conv;
pub mod elementwise;
pub mod lmdvit;
pub mod moves;
pub mod ops;
pub mod recurrent;
pub mod resize;
pub mod softmax_q;
pub mod softmax_s8;
pub mod stablemax;
