//! Quantizers for attention and GELU outputs, and what is computed with their codes: one file per quantizer or kernel.
//!
//! [`AdaLog`] (Wu et al. 2024, arXiv 2407.12951) has codes on a logarithmic grid of any base `2^(q/37)`. Its codes come
//! straight from integer logits ([`LogitCodes`]) or from GELU inputs ([`GeluCodes`], [`GeluLadder`]), and are multiplied with
//! integers by a table and shifts ([`CodeProduct`], [`CodeLinear`]). Everything on the device is integer arithmetic and gives
//! the same bytes on every backend.

mod adalog;
mod bias;
mod codec;
mod fused;
mod gelu;
mod grid;
mod linear;
mod log2;
mod log_sqrt2;
mod log_sum;
mod pack;
mod packed;
mod product;
mod uniform;

pub use adalog::{AdaLog, GELU_SHIFT, Shift};
pub use bias::{LogitBias, MASKED};
pub use codec::{Code, FixedCodec, LogCodec};
pub use fused::LogitCodes;
pub use gelu::{GeluCodes, GeluForm, GeluLadder, GeluS8};
pub use grid::{Symbols, Ties};
pub use linear::CodeLinear;
pub use log_sqrt2::LogSqrt2;
pub use log2::Log2;
pub use pack::{pack, packed_len, unpack};
pub use packed::{PackedKeys, PackedValues};
pub use product::{CodeProduct, ValueRange};
pub use uniform::Uniform;
