//! Layers in f32, tokens in rows: `x[token][channel]`, weights `[input][output]`, one file per layer; attention also in integers
//! with AdaLog codes.

pub(crate) mod attention;
mod attention_adalog;
pub(crate) mod conv;
pub(crate) mod depthwise;
mod gelu;
mod linear;
pub(crate) mod matmul;
mod norm;

pub use attention_adalog::{AttentionAdaLog, AttentionScales, CodeForm, attend_adalog, attend_adalog_on};
pub use depthwise::Padding;
pub use gelu::{gelu_f32_in_place, gelu_f32_in_place_on};
pub use linear::Linear;
pub use norm::LayerNorm;

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
