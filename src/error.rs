//! The one error type: it names the argument and carries both numbers; text exists only where it is printed.

use core::fmt;

/// What a call was given wrong.
///
/// Returned before any output was touched. `Copy` and small, so that firmware pays for a text only where it prints one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// A slice has the wrong number of elements.
    Length {
        /// The argument.
        what: Arg,
        /// Elements needed.
        want: usize,
        /// Elements given.
        got: usize,
    },
    /// Something that must not be zero is zero.
    Empty {
        /// The argument.
        what: Arg,
    },
    /// A picture has another size than the one it belongs to.
    Size {
        /// The picture.
        what: Arg,
        /// Width and height needed.
        want: [usize; 2],
        /// Width and height given.
        got: [usize; 2],
    },
    /// The model lacks something that the call needs.
    Missing {
        /// What it lacks.
        what: Arg,
    },
    /// Something is larger than the library takes.
    TooLarge {
        /// The argument.
        what: Arg,
        /// The largest value taken.
        max: usize,
        /// The value given.
        got: usize,
    },
    /// Rows overlap.
    Stride {
        /// The argument.
        what: Arg,
        /// Elements of a row.
        min: usize,
        /// Elements from row to row.
        got: usize,
    },
    /// A configuration contradicts itself.
    Config {
        /// The field or rule at fault.
        what: Rule,
    },
    /// A model blob failed a check.
    Blob {
        /// The check.
        check: Check,
        /// Byte offset in the blob.
        at: usize,
    },
    /// A network's tensor is not what its configuration asks for.
    Tensor {
        /// Position in the network's order of tensors.
        index: usize,
        /// What is wrong with it.
        fault: TensorFault,
    },
}

/// Arguments that an [`Error`] can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum Arg {
    /// `x`, the input.
    X,
    /// `y`, the output.
    Y,
    /// Number of rows.
    Rows,
    /// Number of columns.
    Cols,
    /// The image to work on.
    Image,
    /// The frame before it.
    Previous,
    /// The picture that is written.
    Output,
    /// Width of an image.
    Width,
    /// Height of an image.
    Height,
    /// Buffer for the features of all levels.
    Features,
    /// Buffer for the work on one window.
    Scratch,
    /// Buffer or map of cells.
    Cells,
    /// Overlap of neighbouring tiles.
    Overlap,
    /// Weights.
    Weights,
    /// Bias.
    Bias,
    /// A mask network.
    MaskNet,
    /// The mask network for two frames.
    PreviousNet,
    /// Longest side of a tile.
    Tile,
    /// What of a tile is run or kept.
    Kept,
    /// Samples along the motion.
    Motion,
    /// Groups of cells that move on their own.
    Groups,
    /// Right answers, one a row.
    Targets,
    /// A gradient.
    Gradient,
    /// Losses, one a row.
    Loss,
    /// A mask of a softmax.
    Mask,
    /// Codes of a quantizer.
    Codes,
    /// A table of weights or codes.
    Table,
    /// Queries of an attention.
    Queries,
    /// Keys of an attention.
    Keys,
    /// Values of an attention.
    Values,
    /// Bias of logits.
    LogitBias,
    /// Zero points.
    ZeroPoints,
    /// The lower plane of nested weights.
    LowPlane,
    /// Multipliers.
    Multiplier,
    /// Shifts of multipliers.
    Shift,
    /// Sums before they are requantized.
    Sums,
    /// Number of inputs of a layer, or of products of a sum.
    Depth,
    /// The left matrix of a product.
    Lhs,
    /// The right matrix of a product.
    Rhs,
    /// A batch axis of two matrices.
    Batch,
    /// Rows of a governor's table.
    Plans,
    /// Layers that a governor chooses widths for.
    Layers,
    /// Number of channels.
    Channels,
    /// Height or width of a window.
    Kernel,
    /// Steps of a window.
    Stride,
    /// Distance of a window's taps.
    Dilation,
    /// Rows or columns beyond the edges.
    Padding,
    /// What a layer remembers from call to call.
    State,
    /// Axes of a tensor.
    Axes,
}

/// Rules of a network configuration that an [`Error`] can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum Rule {
    /// The section is missing or has the wrong length.
    Missing,
    /// The blob describes another kind of network.
    Kind,
    /// `space_to_depth` is neither 1 nor 2.
    SpaceToDepth,
    /// 1 to 5 levels are possible.
    Levels,
    /// A width is zero or too large.
    Width,
    /// A depth is zero or too large.
    Depth,
    /// The heads do not divide the width.
    Heads,
    /// The window is odd, zero or too large.
    Window,
    /// The feed-forward ratio is zero or too large.
    FfnRatio,
    /// Unknown kind of skip connection.
    Skip,
    /// The down convolution is neither 2 nor 4 wide.
    DownKernel,
    /// Unknown padding of the feed-forward convolution.
    LeffPadding,
    /// Unknown kind of decision.
    Decision,
    /// A layer of a mask network is impossible.
    MaskLayer,
    /// The strides of a mask network do not multiply to the cell size.
    CellSize,
    /// A threshold, slope or beta is not a usable number.
    Number,
    /// A flag that this version does not know.
    Flags,
    /// A scale, or the multiplier that stands for it, is not a usable number.
    Scale,
    /// A bit width that the quantizer or kernel does not take.
    Bits,
    /// The base of a logarithmic quantizer is out of range.
    Base,
    /// The symbols of a quantizer do not fit its bits.
    Symbols,
    /// A zero point outside its range.
    ZeroPoint,
    /// Keys, values or weights are packed in a way that this backend or format does not take.
    Layout,
    /// The weights, or the tables with them, have not got this width.
    BitWidth,
    /// A code is above 119, which two nibble planes cannot hold.
    NestCap,
    /// The least output is above the largest.
    OutputRange,
    /// A ladder of widths takes a step that is none.
    Ladder,
    /// The groups of a convolution do not divide its channels.
    Groups,
    /// A window lies wholly beyond the edges, so that there is nothing to pool.
    EmptyWindow,
    /// Corners and centres of half a pixel cannot both be aligned.
    Align,
    /// Samples along the motion need a mask network for two frames and cells of an even side.
    Motion,
}

/// Checks of a model blob that an [`Error`] can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum Check {
    /// Shorter than a header.
    Truncated,
    /// The first bytes are not a model's.
    Magic,
    /// Written by another version of the format.
    Version,
    /// The length in the header is not the length of the bytes.
    Length,
    /// The bytes do not start at a multiple of 16.
    Alignment,
    /// The checksum does not match.
    Crc,
    /// A section lies outside the blob, overlaps another or is misaligned.
    Section,
    /// A section that is needed is missing or is there twice.
    SectionMissing,
    /// Unknown element type.
    Element,
    /// Rank above 4, a zero extent, or a shape too large to count.
    Shape,
    /// Data outside the data section, misaligned, or not the length the shape asks for.
    Data,
    /// A name outside the name section, or not ASCII.
    Name,
    /// Scales or widths that the element type cannot have.
    Quantization,
}

/// What can be wrong with a tensor of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum TensorFault {
    /// The model ends before it.
    Missing,
    /// Another name stands at its place.
    Name,
    /// Not the element type the network reads.
    Element,
    /// Not the shape the configuration asks for.
    Shape,
    /// The model goes on after the last one.
    Surplus,
}

/// `Ok` if `got == want`.
pub(crate) const fn length(what: Arg, want: usize, got: usize) -> Result<(), Error> {
    if want == got { Ok(()) } else { Err(Error::Length { what, want, got }) }
}

impl Arg {
    const fn text(self) -> &'static str {
        match self {
            Self::X => "x",
            Self::Y => "y",
            Self::Rows => "rows",
            Self::Cols => "cols",
            Self::Image => "image",
            Self::Previous => "previous",
            Self::Output => "output",
            Self::Width => "width",
            Self::Height => "height",
            Self::Features => "features",
            Self::Scratch => "scratch",
            Self::Cells => "cells",
            Self::Overlap => "overlap",
            Self::Weights => "weights",
            Self::Bias => "bias",
            Self::MaskNet => "mask",
            Self::PreviousNet => "mask_previous",
            Self::Tile => "tile",
            Self::Kept => "kept part of the tile",
            Self::Motion => "motion",
            Self::Groups => "groups",
            Self::Targets => "targets",
            Self::Gradient => "gradient",
            Self::Loss => "loss",
            Self::Mask => "mask",
            Self::Codes => "codes",
            Self::Table => "table",
            Self::Queries => "queries",
            Self::Keys => "keys",
            Self::Values => "values",
            Self::LogitBias => "bias of the logits",
            Self::ZeroPoints => "zero points",
            Self::LowPlane => "low plane",
            Self::Multiplier => "multiplier",
            Self::Shift => "shift",
            Self::Sums => "sums",
            Self::Depth => "depth",
            Self::Lhs => "lhs",
            Self::Rhs => "rhs",
            Self::Batch => "batch",
            Self::Plans => "plans",
            Self::Layers => "layers",
            Self::Channels => "channels",
            Self::Kernel => "kernel",
            Self::Stride => "stride",
            Self::Dilation => "dilation",
            Self::Padding => "padding",
            Self::State => "state",
            Self::Axes => "axes",
        }
    }
}

impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the configuration is missing or has the wrong length",
            Self::Kind => "this is another kind of network",
            Self::SpaceToDepth => "`space_to_depth` must be 1 or 2",
            Self::Levels => "there must be 1 to 5 levels, with 2 * levels - 1 depths and heads",
            Self::Width => "every width must be 1 to 4096",
            Self::Depth => "every depth must be 1 to 255",
            Self::Heads => "the heads must divide the width of their stage",
            Self::Window => "`window` must be even, 2 to 16",
            Self::FfnRatio => "`ffn_ratio` must be 1 to 8",
            Self::Skip => "unknown kind of skip connection",
            Self::DownKernel => "`down_kernel` must be 2 or 4",
            Self::LeffPadding => "unknown `leff_padding`",
            Self::Decision => "unknown kind of decision",
            Self::MaskLayer => "a mask network has an impossible layer",
            Self::CellSize => "the strides of a mask network must multiply to the cell size",
            Self::Flags => "the network uses something that this version does not know",
            Self::Number => "a threshold, slope or beta is not a usable number",
            Self::Scale => "a scale or multiplier is not a usable number",
            Self::Bits => "this bit width is not possible here",
            Self::Base => "`q` must be 1 to 137",
            Self::Symbols => "the symbols must fit the bits: `Symbols::TopIsZero`",
            Self::ZeroPoint => "a zero point is out of range",
            Self::Layout => "packed in a way that this backend or format does not take",
            Self::BitWidth => "the weights or their tables have not got this width",
            Self::NestCap => "a code is above 119, which nested weights cannot hold",
            Self::OutputRange => "the least output is above the largest",
            Self::Ladder => "a step of the ladder does not lead one width down",
            Self::Groups => "the groups of a convolution must divide its inputs and outputs",
            Self::EmptyWindow => "a window lies wholly beyond the edges",
            Self::Align => "corners and centres of half a pixel cannot both be aligned",
            Self::Motion => "samples along the motion need a mask network for two frames and cells of an even side",
        })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the model is truncated",
            Self::Magic => "this is not a scrimp model",
            Self::Version => "the model has another format version",
            Self::Length => "the model's length differs from its header",
            Self::Alignment => "the model is not aligned to 16 bytes",
            Self::Crc => "the model's checksum does not match",
            Self::Section => "a section is out of place",
            Self::SectionMissing => "a section is missing or doubled",
            Self::Element => "unknown element type",
            Self::Shape => "impossible shape",
            Self::Data => "a tensor's data is out of place",
            Self::Name => "a tensor's name is out of place or not ASCII",
            Self::Quantization => "impossible scales or widths",
        })
    }
}

impl fmt::Display for TensorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Name => "has another name than the network expects",
            Self::Element => "has an element type the network does not read",
            Self::Shape => "has another shape than the configuration asks for",
            Self::Surplus => "is one too many",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { what, want, got } => write!(f, "`{what}` has {got} elements, {want} needed"),
            Self::Empty { what } => write!(f, "`{what}` is zero"),
            Self::Size { what, want, got } => {
                write!(f, "`{what}` is {} x {} pixels, {} x {} needed", got[0], got[1], want[0], want[1])
            }
            Self::Missing { what } => write!(f, "the model has no `{what}`"),
            Self::TooLarge { what, max, got } => write!(f, "`{what}` is {got}, at most {max} possible"),
            Self::Stride { what, min, got } => write!(f, "`{what}` has a stride of {got}, at least {min} needed"),
            Self::Config { what } => what.fmt(f),
            Self::Blob { check, at } => write!(f, "{check} (byte {at})"),
            Self::Tensor { index, fault } => write!(f, "tensor {index} {fault}"),
        }
    }
}

impl core::error::Error for Error {}
