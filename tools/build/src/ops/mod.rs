//! Operators, one file a family: how each is lowered, run on the host and written as code.

mod batch_matmul;
mod conv;
mod depthwise;
mod fully_connected;
mod gather;
mod layer;
mod mirror_pad;
mod moves;
mod pool;
mod recurrent;
mod resize;
mod softmax;
mod transpose_conv;

use anyhow::{Result, bail};

use crate::lower::{Cx, Lowered};
use crate::op::Op;

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
