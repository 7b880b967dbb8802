//! Layers, tokens in rows: `x[token][channel]`, one file per layer; weights `[input][output]` in f32, `[output][input]` in
//! integers; attention also in integers, with AdaLog codes.

mod activation;
mod add;
mod arg_max;
pub(crate) mod attention;
mod attention_adalog;
mod batch_matmul;
mod broadcast;
mod code;
pub(crate) mod conv;
mod conv_2d;
pub(crate) mod depthwise;
mod depthwise_conv_2d;
mod element;
mod folded;
mod gelu;
mod l2_norm;
mod linear;
mod linear_s16;
mod linear_s8;
mod lstm;
mod map_f32;
pub(crate) mod matmul;
mod min_max;
mod moves;
mod mul;
mod norm;
mod pairwise;
mod pool_2d;
mod prelu;
mod quantize;
mod reduce;
mod requant;
mod resize;
mod rsqrt;
mod scale;
mod sigmoid_s16;
mod slopes;
mod svdf;
mod table;
mod table_s16;
mod transpose_conv_2d;
mod window;

pub use activation::Activation;
pub use add::{Add, AddS8, AddS16};
pub use arg_max::{ArgMax, Index};
pub use attention_adalog::{AttentionAdaLog, AttentionScales, CodeForm, attend_adalog, attend_adalog_on};
pub use batch_matmul::{BatchMatMulS8, BatchMatMulS16, BatchShape, DynamicLinearS8};
pub use broadcast::Broadcast;
pub use code::{Activated, Code};
pub use conv_2d::{Conv2dS8, Conv2dS16};
pub use depthwise::Padding;
pub use depthwise_conv_2d::{DepthwiseConv2dS8, DepthwiseConv2dS16};
pub use folded::{FoldedS8, fold_bias};
pub use gelu::{gelu_f32_in_place, gelu_f32_in_place_on};
pub use l2_norm::L2NormS8;
pub use linear::Linear;
pub use linear_s8::LinearS8;
pub use linear_s16::{LinearS16, RequantS16};
pub use lstm::{LstmGate, LstmGates, LstmQuant, LstmS8, LstmShape, LstmState};
pub use map_f32::MapF32;
pub use min_max::{MinMax, MinMaxS8, MinMaxS16};
pub use moves::{Gather, MOST_AXES, Mirror, MirrorAxis, MirrorPad, Move, MoveAxis, MoveElement};
pub use mul::{Mul, MulS8, MulS16, SquaredDifference, SquaredDifferenceS8, SquaredDifferenceS16};
pub use norm::LayerNorm;
pub use pool_2d::{AveragePool2dS8, AveragePool2dS16, MaxPool2dS8, MaxPool2dS16};
pub use prelu::{Prelu, PreluS8, PreluS16};
pub use quantize::{Converted, Dequantize, FromCodes, Quantize, Rescale};
pub use reduce::{Mean, MeanS8, MeanS16, Reduce, ReduceS8, ReduceS16, Reduction};
pub use requant::{QuantS8, Requant, RequantTable};
pub use resize::{Align, BilinearPixel, ResizeBilinear, ResizeNearest};
pub use rsqrt::{Rsqrt, RsqrtS8, RsqrtS16};
pub use sigmoid_s16::{LogisticS16, TanhS16};
pub use slopes::SlopesS16;
pub use svdf::{Svdf, SvdfOutput, SvdfState};
pub use table::TableS8;
pub use table_s16::TableS16;
pub use transpose_conv_2d::{TransposeConv2dS8, TransposeConv2dS16, TransposeShape2d};
pub use window::Window2d;

/// A divisor that cannot be zero, where it never is: so that no panic is linked for it.
pub(crate) const fn at_least_one(n: usize) -> usize {
    if n == 0 { 1 } else { n }
}

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
