//! A network as every front end makes it and everything behind reads it: tensors, and nodes in the order they run.

use std::fmt;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use crate::op::Op;

/// Most elements of a tensor: beyond any device that this is for, and far from overflow.
pub(crate) const MOST_ELEMENTS: usize = 1 << 26;

/// A network.
#[derive(Clone, Debug)]
pub struct Graph {
    /// What it is called; from the file's name.
    pub name: String,
    /// Every tensor. A tensor's index is the file's; variables that the file only names by a handle come after.
    pub tensors: Vec<Tensor>,
    /// The operators, in the order that they run.
    pub nodes: Vec<Node>,
    /// What the caller fills.
    pub inputs: Vec<TensorId>,
    /// What the caller reads.
    pub outputs: Vec<TensorId>,
}

/// Index of a tensor in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub usize);

impl fmt::Display for TensorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A tensor: row-major, the last axis innermost.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// The model's name for it.
    pub name: String,
    /// Extents; none for a scalar.
    pub shape: Vec<usize>,
    /// Type of its elements.
    pub element: Element,
    /// How codes stand for numbers, if it is quantized.
    pub quant: Option<Quant>,
    /// Its bytes, if it is constant; of a variable what it starts with.
    pub data: Option<Arc<[u8]>>,
    /// Whether it keeps its contents from one run to the next.
    pub is_variable: bool,
}

/// Scales and zero points as the file has them: one of each, or one for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Quant {
    /// Real numbers per step.
    pub scales: Vec<f32>,
    /// Codes that stand for zero; as many as scales, or none for zeros.
    pub zero_points: Vec<i64>,
    /// The axis that they go along. Old files have nonsense here on biases, and nobody reads it there.
    pub axis: i32,
}

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 32-bit integer.
    I32,
    /// Unsigned byte.
    U8,
    /// 64-bit integer.
    I64,
    /// A byte that is 0 or 1.
    Bool,
    /// 16-bit integer.
    I16,
    /// Signed byte.
    I8,
    /// Two in a byte, the even index low.
    I4,
    /// A handle of a variable; it has no bytes.
    Resource,
    /// What we cannot compute with, by its number in the file's format.
    Other(i8),
}

impl Element {
    /// Bytes of so many elements.
    #[must_use]
    pub const fn bytes(self, elements: usize) -> usize {
        match self {
            Self::F32 | Self::I32 => 4 * elements,
            Self::I64 => 8 * elements,
            Self::I16 => 2 * elements,
            Self::U8 | Self::Bool | Self::I8 => elements,
            Self::I4 => elements.div_ceil(2),
            Self::Resource | Self::Other(_) => 0,
        }
    }

    /// Its name in Rust.
    #[must_use]
    pub const fn rust(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::I32 => "i32",
            Self::U8 | Self::Bool | Self::I4 => "u8",
            Self::I64 => "i64",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::Resource | Self::Other(_) => "()",
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "float32",
            Self::I32 => "int32",
            Self::U8 => "uint8",
            Self::I64 => "int64",
            Self::Bool => "bool",
            Self::I16 => "int16",
            Self::I8 => "int8",
            Self::I4 => "int4",
            Self::Resource => "resource",
            Self::Other(1) => "float16",
            Self::Other(5) => "string",
            Self::Other(10) => "float64",
            Self::Other(number) => return write!(f, "type {number}"),
        })
    }
}

impl Tensor {
    /// How many elements it has.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.element.bytes(self.elements())
    }

    /// Whether its value is known when the program is built.
    #[must_use]
    pub const fn is_constant(&self) -> bool {
        self.data.is_some() && !self.is_variable
    }

    fn constant(&self) -> Result<&[u8]> {
        match &self.data {
            Some(data) if !self.is_variable => Ok(data),
            _ => bail!("{self} must be constant"),
        }
    }

    /// The elements of an int8 constant.
    ///
    /// # Errors
    /// If it is none.
    pub fn i8s(&self) -> Result<Vec<i8>> {
        ensure!(self.element == Element::I8, "{self} must be int8");
        Ok(self.constant()?.iter().map(|&byte| byte.cast_signed()).collect())
    }

    /// The elements of an int16 constant.
    ///
    /// # Errors
    /// If it is none.
    pub fn i16s(&self) -> Result<Vec<i16>> {
        ensure!(self.element == Element::I16, "{self} must be int16");
        Ok(self.constant()?.as_chunks().0.iter().map(|&bytes| i16::from_le_bytes(bytes)).collect())
    }

    /// The elements of an int32 constant.
    ///
    /// # Errors
    /// If it is none.
    pub fn i32s(&self) -> Result<Vec<i32>> {
        ensure!(self.element == Element::I32, "{self} must be int32");
        Ok(self.constant()?.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect())
    }

    /// The elements of a constant of any integer type: axes, shapes, paddings.
    ///
    /// # Errors
    /// If it is none.
    pub fn integers(&self) -> Result<Vec<i64>> {
        let data = self.constant()?;
        Ok(match self.element {
            Element::I8 => data.iter().map(|&byte| byte.cast_signed().into()).collect(),
            Element::U8 => data.iter().map(|&byte| byte.into()).collect(),
            Element::I16 => data.as_chunks().0.iter().map(|&bytes| i16::from_le_bytes(bytes).into()).collect(),
            Element::I32 => data.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes).into()).collect(),
            Element::I64 => data.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect(),
            _ => bail!("{self} must be of integers"),
        })
    }

    /// The one scale and zero point of a tensor that is quantized as a whole.
    ///
    /// # Errors
    /// If it is not quantized, by channels, or absurdly.
    pub fn quantization(&self) -> Result<(f32, i32)> {
        let Some(Quant { scales, zero_points, .. }) = &self.quant else { bail!("{self} must be quantized") };
        let &[scale] = scales.as_slice() else { bail!("{self} has {} scales, one is needed", scales.len()) };
        let zero_point = zero_points.first().copied().unwrap_or(0);
        Ok((self.scale(scale)?, self.zero_point(zero_point)?))
    }

    /// The scales of constant weights, one or one for each channel.
    ///
    /// # Errors
    /// If it is not quantized, if there are as many as neither, or if one is absurd.
    pub fn scales(&self, channels: usize) -> Result<&[f32]> {
        let Some(Quant { scales, .. }) = &self.quant else { bail!("{self} must be quantized") };
        ensure!(
            scales.len() == 1 || scales.len() == channels,
            "{self} has {} scales, but {channels} channels",
            scales.len()
        );
        for &scale in scales {
            self.scale(scale)?;
        }
        Ok(scales)
    }

    fn scale(&self, scale: f32) -> Result<f32> {
        ensure!(
            scale.is_finite() && scale > 0.0,
            "{self} has a scale of {scale}: convert the model again with full integer quantization"
        );
        Ok(scale)
    }

    fn zero_point(&self, zero_point: i64) -> Result<i32> {
        let range = match self.element {
            Element::I8 => -128..=127,
            Element::U8 => 0..=255,
            Element::I16 => -32768..=32767,
            Element::I4 => -8..=7,
            _ => i32::MIN.into()..=i32::MAX.into(),
        };
        match i32::try_from(zero_point) {
            Ok(inside) if range.contains(&zero_point) => Ok(inside),
            _ => bail!("{self} has a zero point of {zero_point}, outside its type"),
        }
    }
}

/// `int8[1, 4] "name"`.
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?} \"{}\"", self.element, self.shape, self.name)
    }
}

/// An operator and what it works on.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it does.
    pub op: Op,
    /// Its place in the file.
    pub index: usize,
    /// The version that the file asks for.
    pub version: i32,
    /// Its inputs; an optional one may be absent.
    pub inputs: Vec<Option<TensorId>>,
    /// Its outputs.
    pub outputs: Vec<TensorId>,
}

/// `operator 3 (CONV_2D)`.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operator {} ({})", self.index, self.op.name())
    }
}
