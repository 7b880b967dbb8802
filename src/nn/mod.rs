//! Layers, tokens in rows: `x[token][channel]`, one file per layer; weights `[input][output]` in f32, `[output][input]` in
//! integers; attention also in integers, with AdaLog codes.

mod activation;
pub(crate) mod attention;
mod attention_adalog;
mod batch_matmul;
pub(crate) mod conv;
mod conv_2d;
pub(crate) mod depthwise;
mod depthwise_conv_2d;
mod element;
mod folded;
mod gelu;
mod linear;
mod linear_s16;
mod linear_s8;
mod lstm;
pub(crate) mod matmul;
mod moves;
mod norm;
mod pool_2d;
mod requant;
mod resize;
mod svdf;
mod transpose_conv_2d;
mod window;

pub use activation::Activation;
pub use attention_adalog::{AttentionAdaLog, AttentionScales, CodeForm, attend_adalog, attend_adalog_on};
pub use batch_matmul::{BatchMatMulS8, BatchMatMulS16, BatchShape, DynamicLinearS8};
pub use conv_2d::{Conv2dS8, Conv2dS16};
pub use depthwise::Padding;
pub use depthwise_conv_2d::{DepthwiseConv2dS8, DepthwiseConv2dS16};
pub use folded::{FoldedS8, fold_bias};
pub use gelu::{gelu_f32_in_place, gelu_f32_in_place_on};
pub use linear::Linear;
pub use linear_s8::LinearS8;
pub use linear_s16::{LinearS16, RequantS16};
pub use lstm::{LstmGate, LstmGates, LstmQuant, LstmS8, LstmShape, LstmState};
pub use moves::{Gather, MOST_AXES, Mirror, MirrorAxis, MirrorPad, Move, MoveAxis, MoveElement};
pub use norm::LayerNorm;
pub use pool_2d::{AveragePool2dS8, AveragePool2dS16, MaxPool2dS8, MaxPool2dS16};
pub use requant::{QuantS8, Requant, RequantTable};
pub use resize::{Align, BilinearPixel, ResizeBilinear, ResizeNearest};
pub use svdf::{Svdf, SvdfOutput, SvdfState};
pub use transpose_conv_2d::{TransposeConv2dS8, TransposeConv2dS16, TransposeShape2d};
pub use window::Window2d;

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
