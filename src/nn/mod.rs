//! Layers, tokens in rows: `x[token][channel]`, one file per layer; weights `[input][output]` in f32, `[output][input]` in
//! integers; attention also in integers, with AdaLog codes.

mod activation;
pub(crate) mod attention;
mod attention_adalog;
mod batch_matmul;
pub(crate) mod conv;
pub(crate) mod depthwise;
mod gelu;
mod linear;
mod linear_s16;
mod linear_s8;
pub(crate) mod matmul;
mod norm;
mod requant;

pub use activation::Activation;
pub use attention_adalog::{AttentionAdaLog, AttentionScales, CodeForm, attend_adalog, attend_adalog_on};
pub use batch_matmul::{BatchMatMulS8, BatchMatMulS16, BatchShape};
pub use depthwise::Padding;
pub use gelu::{gelu_f32_in_place, gelu_f32_in_place_on};
pub use linear::Linear;
pub use linear_s8::LinearS8;
pub use linear_s16::{LinearS16, RequantS16};
pub use norm::LayerNorm;
pub use requant::{QuantS8, Requant, RequantTable};

/// Copies as many elements as both have; unlike `copy_from_slice` it cannot panic.
#[inline(always)]
pub(crate) fn copy<T: Copy>(from: &[T], to: &mut [T]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from;
    }
}

/// Adds as many elements as both have.
#[inline(always)]
pub(crate) fn add(from: &[f32], to: &mut [f32]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to += from;
    }
}
