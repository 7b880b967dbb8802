#![doc = include_str!("../README.md")]
#![no_std]

#[cfg(feature = "std")]
extern crate std;

pub mod backend;
#[forbid(unsafe_code)]
pub mod error;
#[forbid(unsafe_code)]
pub mod math;
#[forbid(unsafe_code)]
pub mod nn;
#[forbid(unsafe_code)]
pub mod shape;
#[forbid(unsafe_code)]
pub mod softmax;

pub use error::Error;
pub use shape::Rows;
pub use softmax::{softmax_f32, softmax_f32_in_place};
