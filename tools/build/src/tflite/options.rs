//! An operator's attributes, from the table of options that goes with its kind.

use anyhow::{Result, bail};

use super::table::Table;
use crate::op::{Around, Conv, Fused, Lstm, Op, Pool, Resize, Strided};

/// An operator with its attributes, and what only the reader needs.
pub(super) struct Options {
    pub(super) op: Op,
    /// The variable that a `VAR_HANDLE` names.
    pub(super) handle: Option<String>,
    /// The subgraph that a `CALL_ONCE` calls.
    pub(super) init: Option<i32>,
}

/// The options of one node; an absent table has every field at its default.
struct Fields<'a>(Option<Table<'a>>);

impl Fields<'_> {
    /// Extents, strides and the like, where absent is 1.
    fn one(&self, field: usize, name: &'static str) -> Result<i32> {
        self.0.map_or(Ok(1), |table| table.i32(field, name, 1))
    }

    fn i32(&self, field: usize, name: &'static str) -> Result<i32> {
        self.0.map_or(Ok(0), |table| table.i32(field, name, 0))
    }

    fn f32(&self, field: usize, name: &'static str) -> Result<f32> {
        self.0.map_or(Ok(0.0), |table| table.f32(field, name))
    }

    fn bool(&self, field: usize, name: &'static str) -> Result<bool> {
        self.0.map_or(Ok(false), |table| table.bool(field, name))
    }

    fn text(&self, field: usize, name: &'static str) -> Result<String> {
        self.0.map_or(Ok(String::new()), |table| table.text(field, name))
    }

    fn i8(&self, field: usize, name: &'static str) -> Result<i8> {
        self.0.map_or(Ok(0), |table| table.i8(field, name))
    }

    fn fused(&self, field: usize) -> Result<Fused> {
        Ok(match self.i8(field, "fused_activation_function")? {
            0 => Fused::None,
            1 => Fused::Relu,
            2 => Fused::ReluN1To1,
            3 => Fused::Relu6,
            4 => Fused::Tanh,
            5 => Fused::SignBit,
            other => Fused::Other(other),
        })
    }

    /// Whether the padding is SAME.
    fn same(&self) -> Result<bool> {
        match self.i8(0, "padding")? {
            0 => Ok(true),
            1 => Ok(false),
            other => bail!("padding {other} is neither SAME (0) nor VALID (1)"),
        }
    }

    fn pool(&self) -> Result<Pool> {
        Ok(Pool {
            same: self.same()?,
            stride_w: self.one(1, "stride_w")?,
            stride_h: self.one(2, "stride_h")?,
            filter_w: self.one(3, "filter_width")?,
            filter_h: self.one(4, "filter_height")?,
            activation: self.fused(5)?,
        })
    }

    /// Padding and strides, which all convolutions begin with.
    fn conv(&self, activation: usize, dilation: Option<usize>) -> Result<Conv> {
        let dilation = |offset| dilation.map_or(Ok(1), |field| self.one(field + offset, "dilation"));
        Ok(Conv {
            same: self.same()?,
            around: Around::default(),
            stride_w: self.one(1, "stride_w")?,
            stride_h: self.one(2, "stride_h")?,
            dilation_w: dilation(0)?,
            dilation_h: dilation(1)?,
            activation: self.fused(activation)?,
        })
    }

    /// From two fields that stand side by side.
    fn resize(&self, first: usize) -> Result<Resize> {
        Ok(Resize {
            align_corners: self.bool(first, "align_corners")?,
            half_pixel_centers: self.bool(first + 1, "half_pixel_centers")?,
        })
    }

    fn strided(&self) -> Result<Strided> {
        Ok(Strided {
            begin_mask: self.i32(0, "begin_mask")?,
            end_mask: self.i32(1, "end_mask")?,
            ellipsis_mask: self.i32(2, "ellipsis_mask")?,
            new_axis_mask: self.i32(3, "new_axis_mask")?,
            shrink_axis_mask: self.i32(4, "shrink_axis_mask")?,
            offset: self.bool(5, "offset")?,
        })
    }
}

/// Which kind of options an operator has; 0 where it has none that we read.
const fn kind(builtin: i32) -> u8 {
    match builtin {
        0 => 11,                 // ADD
        1 | 17 => 5,             // pools
        2 => 10,                 // CONCATENATION
        3 => 1,                  // CONV_2D
        4 => 2,                  // DEPTHWISE_CONV_2D
        5 => 94,                 // DEPTH_TO_SPACE
        9 => 8,                  // FULLY_CONNECTED
        11 => 12,                // L2_NORMALIZATION
        18 => 21,                // MUL
        23 => 15,                // RESIZE_BILINEAR
        25 => 9,                 // SOFTMAX
        26 => 19,                // SPACE_TO_DEPTH
        27 => 6,                 // SVDF
        36 => 23,                // GATHER
        40 | 74 | 82 | 89 => 27, // reductions
        41 => 28,                // SUB
        44 => 71,                // UNIDIRECTIONAL_SEQUENCE_LSTM
        45 => 32,                // STRIDED_SLICE
        67 => 49,                // TRANSPOSE_CONV
        83 => 59,                // PACK
        88 => 64,                // UNPACK
        97 => 74,                // RESIZE_NEAREST_NEIGHBOR
        98 => 75,                // LEAKY_RELU
        100 => 77,               // MIRROR_PAD
        126 => 101,              // BATCH_MATMUL
        129 => 103,              // CALL_ONCE
        142 => 111,              // VAR_HANDLE
        150 => 116,              // GELU
        _ => 0,
    }
}

/// Reads the operator of a node.
pub(super) fn read(builtin: i32, name: &str, node: &Table<'_>) -> Result<Options> {
    let (want, got) = (kind(builtin), node.u8(3, "builtin_options_type")?);
    if want != 0 && got != 0 && want != got {
        bail!("its options are those of another operator (kind {got}, {want} needed)");
    }
    let fields = Fields(if want != 0 && got != 0 { node.table(4, "builtin_options")? } else { None });
    let (mut handle, mut init) = (None, None);
    if builtin == 142 {
        // A separator that no name contains.
        handle = Some(format!("{}\u{1f}{}", fields.text(0, "container")?, fields.text(1, "shared_name")?));
    }
    if builtin == 129 {
        init = Some(fields.i32(0, "init_subgraph_index")?);
    }
    Ok(Options { op: op(builtin, name, &fields)?, handle, init })
}

fn op(builtin: i32, name: &str, fields: &Fields<'_>) -> Result<Op> {
    Ok(match builtin {
        0 => Op::Add { activation: fields.fused(0)? },
        1 => Op::AveragePool2d(fields.pool()?),
        2 => Op::Concatenation { axis: fields.i32(0, "axis")?, activation: fields.fused(1)? },
        3 => Op::Conv2d(fields.conv(3, Some(4))?),
        4 => Op::DepthwiseConv2d { conv: fields.conv(4, Some(5))?, multiplier: fields.one(3, "depth_multiplier")? },
        5 => Op::DepthToSpace { block: fields.i32(0, "block_size")? },
        6 => Op::Dequantize,
        9 => Op::FullyConnected { activation: fields.fused(0)?, shuffled: fields.i8(1, "weights_format")? != 0 },
        11 => Op::L2Normalization { activation: fields.fused(0)? },
        14 => Op::Logistic,
        17 => Op::MaxPool2d(fields.pool()?),
        18 => Op::Mul { activation: fields.fused(0)? },
        19 => Op::Relu,
        20 => Op::ReluN1To1,
        21 => Op::Relu6,
        22 => Op::Reshape,
        23 => Op::ResizeBilinear(fields.resize(2)?),
        25 => Op::Softmax { beta: fields.f32(0, "beta")? },
        26 => Op::SpaceToDepth { block: fields.i32(0, "block_size")? },
        27 => Op::Svdf { rank: fields.i32(0, "rank")?, activation: fields.fused(1)? },
        28 => Op::Tanh,
        34 => Op::Pad,
        36 => Op::Gather { axis: fields.i32(0, "axis")?, batch_dims: fields.i32(1, "batch_dims")? },
        37 => Op::BatchToSpaceNd,
        38 => Op::SpaceToBatchNd,
        39 => Op::Transpose,
        40 => Op::Mean { keep_dims: fields.bool(0, "keep_dims")? },
        41 => Op::Sub { activation: fields.fused(0)? },
        43 => Op::Squeeze,
        44 => Op::UnidirectionalSequenceLstm(Lstm {
            activation: fields.fused(0)?,
            cell_clip: fields.f32(1, "cell_clip")?,
            proj_clip: fields.f32(2, "proj_clip")?,
            time_major: fields.bool(3, "time_major")?,
        }),
        45 => Op::StridedSlice(fields.strided()?),
        47 => Op::Exp,
        49 => Op::Split,
        50 => Op::LogSoftmax,
        53 => Op::Cast,
        54 => Op::Prelu,
        55 => Op::Maximum,
        56 => Op::ArgMax,
        57 => Op::Minimum,
        59 => Op::Neg,
        60 => Op::PadV2,
        65 => Op::Slice,
        67 => Op::TransposeConv(fields.conv(3, None)?),
        69 => Op::Tile,
        70 => Op::ExpandDims,
        73 => Op::Log,
        74 => Op::Sum { keep_dims: fields.bool(0, "keep_dims")? },
        75 => Op::Sqrt,
        76 => Op::Rsqrt,
        79 => Op::ArgMin,
        82 => Op::ReduceMax { keep_dims: fields.bool(0, "keep_dims")? },
        83 => Op::Pack { axis: fields.i32(1, "axis")? },
        88 => Op::Unpack { axis: fields.i32(1, "axis")? },
        89 => Op::ReduceMin { keep_dims: fields.bool(0, "keep_dims")? },
        92 => Op::Square,
        93 => Op::ZerosLike,
        97 => Op::ResizeNearestNeighbor(fields.resize(0)?),
        98 => Op::LeakyRelu { alpha: fields.f32(0, "alpha")? },
        99 => Op::SquaredDifference,
        100 => Op::MirrorPad { symmetric: fields.i8(0, "mode")? == 1 },
        101 => Op::Abs,
        102 => Op::SplitV,
        105 => Op::ReverseV2,
        111 => Op::Elu,
        114 => Op::Quantize,
        117 => Op::HardSwish,
        126 => Op::BatchMatmul { adj_x: fields.bool(0, "adj_x")?, adj_y: fields.bool(1, "adj_y")? },
        129 => Op::CallOnce,
        130 => Op::BroadcastTo,
        142 => Op::VarHandle,
        143 => Op::ReadVariable,
        144 => Op::AssignVariable,
        150 => Op::Gelu { approximate: fields.bool(0, "approximate")? },
        152 => Op::Relu0To1,
        code => Op::Other { name: name.to_owned(), code },
    })
}
