#![doc = include_str!("../README.md")]
#![no_std]

#[cfg(feature = "std")]
extern crate std;

#[cfg(target_endian = "big")]
compile_error!("scrimp reads little-endian models in place and so needs a little-endian target");

pub mod backend;
#[forbid(unsafe_code)]
pub mod bits;
#[forbid(unsafe_code)]
pub mod error;
#[forbid(unsafe_code)]
pub mod fixedpoint;
#[forbid(unsafe_code)]
pub mod lmdvit;
#[forbid(unsafe_code)]
pub mod math;
#[forbid(unsafe_code)]
pub mod model;
#[forbid(unsafe_code)]
pub mod nn;
#[forbid(unsafe_code)]
pub mod quant;
#[forbid(unsafe_code)]
pub mod shape;
#[forbid(unsafe_code)]
pub mod softmax;
#[cfg(feature = "embedded-hal")]
#[forbid(unsafe_code)]
pub mod trace;

pub use error::Error;
pub use fixedpoint::Quantization;
pub use shape::Rows;
#[cfg(feature = "fixed")]
pub use softmax::softmax_q;
pub use softmax::{LogSoftmaxS8, SoftmaxS8, SoftmaxS8Ref, StablemaxS8};
pub use softmax::{Mask, MaskedRow, OnlineSoftmax, SoftmaxF32, softmax_f32, softmax_f32_in_place};
pub use softmax::{OnlineQ, SoftmaxQ, SoftmaxS16, StablemaxQ, two_pass_q};
pub use softmax::{log_stablemax_f32, log_stablemax_f32_in_place, stablemax_f32, stablemax_f32_in_place};
pub use softmax::{perp_grad, perp_grad_rescaled, stablemax_cross_entropy};

/// The value of a `Result` in a constant; an error stops the build.
///
/// ```
/// const ROWS: scrimp::Rows = scrimp::expect!(scrimp::Rows::new(2, 3));
/// ```
#[macro_export]
macro_rules! expect {
    ($result:expr) => {
        match $result {
            ::core::result::Result::Ok(value) => value,
            ::core::result::Result::Err(_) => ::core::panic!("scrimp: this constant cannot exist"),
        }
    };
}

/// The pages of `docs` that have examples: they are tested as those of the README are.
#[cfg(doctest)]
#[forbid(unsafe_code)]
mod pages {
    #[doc = include_str!("../docs/adalog.md")]
    struct AdaLog;
    #[doc = include_str!("../docs/bit-switching.md")]
    struct BitSwitching;
    #[doc = include_str!("../docs/softmax.md")]
    struct Softmax;
}
