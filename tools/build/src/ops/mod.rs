//! Operators, one file a family: how each is lowered, run on the host and written as code.

mod batch_matmul;
mod conv;
mod depthwise;
mod fully_connected;
mod gather;
mod layer;
mod mirror_pad;
mod moves;
mod pairwise;
mod pool;
mod quantize;
mod recurrent;
mod reduce;
mod resize;
mod softmax;
mod transpose_conv;
mod unary;

use anyhow::{Result, bail};
use scrimp::nn::Activation;
use scrimp::{Quantization, Rows};

use crate::emit::Emitter;
use crate::graph::Tensor;
use crate::lower::{Cx, Lowered};
use crate::op::{Fused, Op};
use pairwise::Kind;

/// Makes a kernel of a node.
///
/// # Errors
/// If it is one that we do not run, or its tensors are not what it needs.
pub(crate) fn lower(cx: &Cx<'_>) -> Result<Lowered> {
    let (version, newest) = (cx.node.version, newest(&cx.node.op));
    if version < 1 || version > newest {
        bail!("version {version} of the operator is unknown, at most {newest} is: convert with an older converter");
    }
    match &cx.node.op {
        Op::AveragePool2d(pool) => pool::lower(cx, pool, true),
        Op::BatchMatmul { adj_x, adj_y } => batch_matmul::lower(cx, *adj_x, *adj_y),
        Op::BatchToSpaceNd => moves::batch_to_space(cx),
        Op::BroadcastTo => moves::broadcast_to(cx),
        Op::Concatenation { axis, activation } => moves::concatenation(cx, *axis, *activation),
        Op::Conv2d(conv) => conv::lower(cx, conv),
        Op::DepthToSpace { block } => moves::depth_to_space(cx, *block),
        Op::DepthwiseConv2d { conv, multiplier } => depthwise::lower(cx, conv, *multiplier),
        Op::FullyConnected { activation, shuffled } => fully_connected::lower(cx, *activation, *shuffled),
        Op::Gather { axis, batch_dims } => gather::lower(cx, *axis, *batch_dims),
        Op::MaxPool2d(pool) => pool::lower(cx, pool, false),
        Op::MirrorPad { symmetric } => mirror_pad::lower(cx, *symmetric),
        Op::Pack { axis } => moves::pack(cx, *axis),
        Op::Pad | Op::PadV2 => moves::pad(cx),
        Op::ResizeBilinear(resize) => resize::bilinear(cx, *resize),
        Op::ResizeNearestNeighbor(resize) => resize::nearest(cx, *resize),
        Op::ReverseV2 => moves::reverse(cx),
        Op::Slice => moves::slice(cx),
        Op::Softmax { beta } => softmax::lower(cx, *beta),
        Op::SpaceToBatchNd => moves::space_to_batch(cx),
        Op::SpaceToDepth { block } => moves::space_to_depth(cx, *block),
        Op::Split => moves::split(cx),
        Op::SplitV => moves::split_v(cx),
        Op::StridedSlice(masks) => moves::strided_slice(cx, *masks),
        Op::Svdf { rank, .. } => recurrent::svdf(cx, *rank),
        Op::Tile => moves::tile(cx),
        Op::Transpose => moves::transpose(cx),
        Op::UnidirectionalSequenceLstm(lstm) => recurrent::lstm(cx, *lstm),
        Op::Unpack { axis } => moves::unpack(cx, *axis),
        Op::TransposeConv(conv) => transpose_conv::lower(cx, conv),
        Op::LogSoftmax => softmax::lower_log(cx),
        Op::Add { activation } => pairwise::lower(cx, Kind::Add, *activation),
        Op::Sub { activation } => pairwise::lower(cx, Kind::Sub, *activation),
        Op::Mul { activation } => pairwise::lower(cx, Kind::Mul, *activation),
        Op::SquaredDifference => pairwise::lower(cx, Kind::SquaredDifference, Fused::None),
        Op::Maximum => pairwise::lower(cx, Kind::Maximum, Fused::None),
        Op::Minimum => pairwise::lower(cx, Kind::Minimum, Fused::None),
        Op::Prelu => pairwise::lower(cx, Kind::Prelu, Fused::None),
        Op::Quantize | Op::Dequantize => quantize::lower(cx),
        Op::Mean { .. } | Op::Sum { .. } | Op::ReduceMax { .. } | Op::ReduceMin { .. } => reduce::lower(cx),
        Op::ArgMax => reduce::lower_arg(cx, true),
        Op::ArgMin => reduce::lower_arg(cx, false),
        Op::L2Normalization { activation } => reduce::lower_l2(cx, *activation),
        Op::Abs
        | Op::Elu
        | Op::Exp
        | Op::Gelu { .. }
        | Op::HardSwish
        | Op::LeakyRelu { .. }
        | Op::Log
        | Op::Logistic
        | Op::Neg
        | Op::Relu
        | Op::Relu6
        | Op::ReluN1To1
        | Op::Rsqrt
        | Op::Sqrt
        | Op::Square
        | Op::Table(_)
        | Op::Tanh => unary::lower(cx),
        // The shape is the output's; the shape input, which may be stale or absent, is not looked at.
        Op::Reshape | Op::Squeeze | Op::ExpandDims => Ok(Lowered::Alias(cx.input(0)?)),
        // A variable is a tensor like any other by now: the planner sees where a copy is needed.
        Op::ReadVariable | Op::AssignVariable => Ok(Lowered::Alias(cx.input(0)?)),
        Op::Other { code, .. } => bail!("{}", unsupported(*code)),
        _ => bail!("this operator is not supported yet"),
    }
}

/// The newest version of an operator whose meaning we know; newer ones may mean something else.
const fn newest(op: &Op) -> i32 {
    match op {
        Op::FullyConnected { .. } => 14,
        Op::Conv2d(_) | Op::Cast => 8,
        Op::DepthwiseConv2d { .. } | Op::Mul { .. } | Op::Transpose | Op::Dequantize | Op::Slice => 7,
        Op::Gather { .. } => 6,
        Op::Add { .. } | Op::Sub { .. } | Op::Concatenation { .. } | Op::TransposeConv(_) => 5,
        Op::Svdf { .. }
        | Op::SpaceToBatchNd
        | Op::BatchToSpaceNd
        | Op::Pad
        | Op::PadV2
        | Op::ResizeBilinear(_)
        | Op::ResizeNearestNeighbor(_)
        | Op::Split
        | Op::StridedSlice(_)
        | Op::Maximum
        | Op::Minimum
        | Op::Quantize
        | Op::Unpack { .. } => 4,
        Op::Abs
        | Op::Relu
        | Op::Relu6
        | Op::Tanh
        | Op::Logistic
        | Op::AveragePool2d(_)
        | Op::MaxPool2d(_)
        | Op::Softmax { .. }
        | Op::BroadcastTo
        | Op::UnidirectionalSequenceLstm(_)
        | Op::Mean { .. }
        | Op::ReduceMax { .. }
        | Op::ReduceMin { .. }
        | Op::Rsqrt
        | Op::Pack { .. }
        | Op::MirrorPad { .. }
        | Op::ReverseV2
        | Op::Tile
        | Op::BatchMatmul { .. } => 3,
        Op::Other { .. } => i32::MAX,
        _ => 2,
    }
}

/// Why, and what would help.
fn unsupported(code: i32) -> &'static str {
    match code {
        // IF, WHILE, CALL.
        118 | 119 | 31 => "control flow is not supported: convert a model whose graph is fixed",
        32 => "custom operators are not supported: compute it outside the model, or replace it by built-in operators",
        7 | 10 | 16 | 24 | 35 | 46 | 52 => {
            "this recurrent or look-up operator is not supported: unroll it, or use UNIDIRECTIONAL_SEQUENCE_LSTM"
        }
        _ => "this operator is not supported: replace it in the model, or end the model before it",
    }
}

/// An activation as the library has it.
///
/// # Errors
/// If it is no clamp.
fn activation(fused: Fused) -> Result<Activation> {
    Ok(match fused {
        Fused::None => Activation::None,
        Fused::Relu => Activation::Relu,
        Fused::Relu6 => Activation::Relu6,
        Fused::ReluN1To1 => Activation::ReluN1To1,
        Fused::Tanh | Fused::SignBit | Fused::Other(_) => {
            bail!("its fused activation ({fused:?}) is not supported")
        }
    })
}

/// The one scale and zero point of a tensor.
fn quantization(tensor: &Tensor) -> Result<Quantization> {
    let (scale, zero_point) = tensor.quantization()?;
    Ok(Quantization::new(scale, zero_point))
}

/// The constructor of a scale and a zero point; `{:?}` gives the digits that lead back to the same f32.
fn quantization_text(of: Quantization) -> String {
    format!("scrimp::Quantization::new({:?}, {})", of.scale, of.zero_point)
}

/// A constant for the rows of a call; its name.
fn rows_constant(out: &mut Emitter<'_>, rows: Rows) -> String {
    let rows = format!("scrimp::expect!(scrimp::Rows::new({}, {}))", rows.rows(), rows.cols());
    out.constant("ROWS", "scrimp::Rows", &rows)
}
