//! What an operator does: one variant for each that we can run, with its attributes.

/// An operator's kind and attributes.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are the format's, and its documentation describes them")]
pub enum Op {
    Abs,
    Add {
        activation: Fused,
    },
    ArgMax,
    ArgMin,
    AssignVariable,
    AveragePool2d(Pool),
    BatchMatmul {
        adj_x: bool,
        adj_y: bool,
    },
    BatchToSpaceNd,
    BroadcastTo,
    /// Runs another subgraph once; the reader has taken from it what the variables start with.
    CallOnce,
    Cast,
    Concatenation {
        axis: i32,
        activation: Fused,
    },
    Conv2d(Conv),
    DepthToSpace {
        block: i32,
    },
    DepthwiseConv2d {
        conv: Conv,
        multiplier: i32,
    },
    Dequantize,
    Elu,
    Exp,
    ExpandDims,
    FullyConnected {
        activation: Fused,
        shuffled: bool,
    },
    Gather {
        axis: i32,
        batch_dims: i32,
    },
    Gelu {
        approximate: bool,
    },
    HardSwish,
    L2Normalization {
        activation: Fused,
    },
    LeakyRelu {
        alpha: f32,
    },
    Log,
    Logistic,
    LogSoftmax,
    MaxPool2d(Pool),
    Maximum,
    Mean {
        keep_dims: bool,
    },
    Minimum,
    MirrorPad {
        symmetric: bool,
    },
    Mul {
        activation: Fused,
    },
    Neg,
    Pack {
        axis: i32,
    },
    Pad,
    PadV2,
    Prelu,
    Quantize,
    ReadVariable,
    ReduceMax {
        keep_dims: bool,
    },
    ReduceMin {
        keep_dims: bool,
    },
    Relu,
    Relu0To1,
    Relu6,
    ReluN1To1,
    Reshape,
    ResizeBilinear(Resize),
    ResizeNearestNeighbor(Resize),
    ReverseV2,
    Rsqrt,
    Slice,
    Softmax {
        beta: f32,
    },
    SpaceToBatchNd,
    SpaceToDepth {
        block: i32,
    },
    Split,
    SplitV,
    Sqrt,
    Square,
    SquaredDifference,
    Squeeze,
    StridedSlice(Strided),
    Sub {
        activation: Fused,
    },
    Sum {
        keep_dims: bool,
    },
    Svdf {
        rank: i32,
        activation: Fused,
    },
    /// A function of one 8-bit code, by its results of 0 to 127 and -128 to -1; in no file, but what a rewrite makes.
    Table(Box<[i8; 256]>),
    Tanh,
    Tile,
    Transpose,
    TransposeConv(Conv),
    UnidirectionalSequenceLstm(Lstm),
    Unpack {
        axis: i32,
    },
    /// Names a variable; the reader has resolved the handle.
    VarHandle,
    ZerosLike,
    /// One that we cannot run, or whose attributes we do not know.
    Other {
        name: String,
        code: i32,
    },
}

/// An activation that a producer applies to its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Fused {
    None,
    Relu,
    ReluN1To1,
    Relu6,
    Tanh,
    SignBit,
    Other(i8),
}

/// What a convolution does at the edges, how it moves, and what comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub struct Conv {
    pub same: bool,
    /// What a PAD before it did, which is VALID then.
    pub around: Around,
    pub stride_h: i32,
    pub stride_w: i32,
    pub dilation_h: i32,
    pub dilation_w: i32,
    pub activation: Fused,
}

/// Rows and columns of zero points round a picture; none in a file, but a PAD that is folded into a convolution leaves them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub struct Around {
    pub top: i32,
    pub bottom: i32,
    pub left: i32,
    pub right: i32,
}

/// A pool's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub struct Pool {
    pub same: bool,
    pub stride_h: i32,
    pub stride_w: i32,
    pub filter_h: i32,
    pub filter_w: i32,
    pub activation: Fused,
}

/// How an image is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub struct Resize {
    pub align_corners: bool,
    pub half_pixel_centers: bool,
}

/// The masks of a strided slice: bit i speaks of axis i.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub struct Strided {
    pub begin_mask: i32,
    pub end_mask: i32,
    pub ellipsis_mask: i32,
    pub new_axis_mask: i32,
    pub shrink_axis_mask: i32,
    pub offset: bool,
}

/// An LSTM's attributes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "their names say it")]
pub struct Lstm {
    pub activation: Fused,
    pub cell_clip: f32,
    pub proj_clip: f32,
    pub time_major: bool,
}

impl Op {
    /// The fused activation of an operator that can have one.
    pub(crate) const fn activation_mut(&mut self) -> Option<&mut Fused> {
        match self {
            Self::Conv2d(conv) | Self::DepthwiseConv2d { conv, .. } | Self::TransposeConv(conv) => {
                Some(&mut conv.activation)
            }
            Self::AveragePool2d(pool) | Self::MaxPool2d(pool) => Some(&mut pool.activation),
            Self::FullyConnected { activation, .. }
            | Self::Add { activation }
            | Self::Sub { activation }
            | Self::Mul { activation } => Some(activation),
            _ => None,
        }
    }

    /// The format's name of it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Abs => "ABS",
            Self::Add { .. } => "ADD",
            Self::ArgMax => "ARG_MAX",
            Self::ArgMin => "ARG_MIN",
            Self::AssignVariable => "ASSIGN_VARIABLE",
            Self::AveragePool2d(_) => "AVERAGE_POOL_2D",
            Self::BatchMatmul { .. } => "BATCH_MATMUL",
            Self::BatchToSpaceNd => "BATCH_TO_SPACE_ND",
            Self::BroadcastTo => "BROADCAST_TO",
            Self::CallOnce => "CALL_ONCE",
            Self::Cast => "CAST",
            Self::Concatenation { .. } => "CONCATENATION",
            Self::Conv2d(_) => "CONV_2D",
            Self::DepthToSpace { .. } => "DEPTH_TO_SPACE",
            Self::DepthwiseConv2d { .. } => "DEPTHWISE_CONV_2D",
            Self::Dequantize => "DEQUANTIZE",
            Self::Elu => "ELU",
            Self::Exp => "EXP",
            Self::ExpandDims => "EXPAND_DIMS",
            Self::FullyConnected { .. } => "FULLY_CONNECTED",
            Self::Gather { .. } => "GATHER",
            Self::Gelu { .. } => "GELU",
            Self::HardSwish => "HARD_SWISH",
            Self::L2Normalization { .. } => "L2_NORMALIZATION",
            Self::LeakyRelu { .. } => "LEAKY_RELU",
            Self::Log => "LOG",
            Self::Logistic => "LOGISTIC",
            Self::LogSoftmax => "LOG_SOFTMAX",
            Self::MaxPool2d(_) => "MAX_POOL_2D",
            Self::Maximum => "MAXIMUM",
            Self::Mean { .. } => "MEAN",
            Self::Minimum => "MINIMUM",
            Self::MirrorPad { .. } => "MIRROR_PAD",
            Self::Mul { .. } => "MUL",
            Self::Neg => "NEG",
            Self::Pack { .. } => "PACK",
            Self::Pad => "PAD",
            Self::PadV2 => "PADV2",
            Self::Prelu => "PRELU",
            Self::Quantize => "QUANTIZE",
            Self::ReadVariable => "READ_VARIABLE",
            Self::ReduceMax { .. } => "REDUCE_MAX",
            Self::ReduceMin { .. } => "REDUCE_MIN",
            Self::Relu => "RELU",
            Self::Relu0To1 => "RELU_0_TO_1",
            Self::Relu6 => "RELU6",
            Self::ReluN1To1 => "RELU_N1_TO_1",
            Self::Reshape => "RESHAPE",
            Self::ResizeBilinear(_) => "RESIZE_BILINEAR",
            Self::ResizeNearestNeighbor(_) => "RESIZE_NEAREST_NEIGHBOR",
            Self::ReverseV2 => "REVERSE_V2",
            Self::Rsqrt => "RSQRT",
            Self::Slice => "SLICE",
            Self::Softmax { .. } => "SOFTMAX",
            Self::SpaceToBatchNd => "SPACE_TO_BATCH_ND",
            Self::SpaceToDepth { .. } => "SPACE_TO_DEPTH",
            Self::Split => "SPLIT",
            Self::SplitV => "SPLIT_V",
            Self::Sqrt => "SQRT",
            Self::Square => "SQUARE",
            Self::SquaredDifference => "SQUARED_DIFFERENCE",
            Self::Squeeze => "SQUEEZE",
            Self::StridedSlice(_) => "STRIDED_SLICE",
            Self::Sub { .. } => "SUB",
            Self::Sum { .. } => "SUM",
            Self::Svdf { .. } => "SVDF",
            Self::Table(_) => "TABLE",
            Self::Tanh => "TANH",
            Self::Tile => "TILE",
            Self::Transpose => "TRANSPOSE",
            Self::TransposeConv(_) => "TRANSPOSE_CONV",
            Self::UnidirectionalSequenceLstm(_) => "UNIDIRECTIONAL_SEQUENCE_LSTM",
            Self::Unpack { .. } => "UNPACK",
            Self::VarHandle => "VAR_HANDLE",
            Self::ZerosLike => "ZEROS_LIKE",
            Self::Other { name, .. } => name,
        }
    }
}
