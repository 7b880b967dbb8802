//! Functions of one code, or of one float: LOGISTIC, TANH, GELU, HARD_SWISH, RELU and its kin, LEAKY_RELU, ELU, EXP, LOG, ABS, NEG,
//! RSQRT, SQRT, SQUARE.

use anyhow::{Context as _, Result, bail, ensure};
use scrimp::Quantization;
use scrimp::nn::{Activation, LogisticS16, MapF32, RsqrtS8, RsqrtS16, SlopesS16, TableS8, TableS16, TanhS16};

use crate::emit::Emitter;
use crate::graph::Element;
use crate::lower::{Cx, Lowered};
use crate::op::Op;
use crate::operator::{Args, Io, Operator, Overlay};
use crate::ops::{quantization, quantization_text};

/// So few elements that a root for each is smaller than a table.
const FEW: usize = 512;

#[derive(Debug)]
struct Unary {
    layer: Layer,
    /// The constructor.
    text: String,
    is_of_codes: bool,
}

#[derive(Debug)]
enum Layer {
    TableS8(Box<TableS8>),
    TableS16(Box<TableS16>),
    SlopesS16(SlopesS16),
    RsqrtS8(RsqrtS8),
    RsqrtS16(RsqrtS16),
    LogisticS16(LogisticS16),
    TanhS16(TanhS16),
    MapF32(MapF32),
}

pub(crate) fn lower(cx: &Cx<'_>) -> Result<Lowered> {
    cx.counts(1..=1, 1)?;
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    let (id, _) = cx.activation(0, y.element)?;
    ensure!(x.elements() == y.elements(), "its output is {y}, but its input {x}");
    let (layer, function, arguments) = match y.element {
        Element::I8 => of_8(cx, quantization(x)?, quantization(y)?, x.elements())?,
        Element::I16 => of_16(cx, quantization(x)?, quantization(y)?)?,
        Element::F32 => of_f32(cx)?,
        _ => bail!("its output is {y}; int8, int16 or float32 is needed"),
    };
    let text = format!("scrimp::nn::{}::{function}({arguments})", layer.name());
    // A constructor that cannot fail.
    let text = if let Layer::MapF32(_) = layer { format!("Ok::<_, scrimp::Error>({text})") } else { text };
    let is_of_codes = matches!(cx.node.op, Op::Table(_));
    Ok(Lowered::kernel(Unary { layer, text, is_of_codes }, vec![id]))
}

/// The layer, its constructor's name and arguments.
type Made = (Layer, &'static str, String);

fn of_8(cx: &Cx<'_>, x: Quantization, y: Quantization, elements: usize) -> Result<Made> {
    let both = format!("{}, {}", quantization_text(x), quantization_text(y));
    let (table, function, arguments) = match cx.node.op {
        Op::Table(ref codes) => (Ok(TableS8::from_table(**codes)), "from_table", String::new()),
        Op::Logistic => (TableS8::logistic(x, y), "logistic", both),
        Op::Tanh => (TableS8::tanh(x, y), "tanh", both),
        Op::HardSwish => (TableS8::hard_swish(x, y), "hard_swish", both),
        Op::Gelu { approximate: false } => (TableS8::gelu(x, y), "gelu", both),
        Op::Gelu { approximate: true } => (TableS8::gelu_tanh(x, y), "gelu_tanh", both),
        Op::Elu => (TableS8::elu(x, y), "elu", both),
        Op::Exp => (TableS8::exp(x, y), "exp", both),
        Op::Log => (TableS8::log(x, y), "log", both),
        Op::Abs => (TableS8::abs(x, y), "abs", both),
        Op::LeakyRelu { alpha } => (TableS8::leaky_relu(x, y, alpha), "leaky_relu", format!("{both}, {alpha:?}")),
        Op::Relu => (TableS8::relu(x, y, Activation::Relu), "relu", format!("{both}, scrimp::nn::Activation::Relu")),
        Op::ReluN1To1 => {
            let arguments = format!("{both}, scrimp::nn::Activation::ReluN1To1");
            (TableS8::relu(x, y, Activation::ReluN1To1), "relu", arguments)
        }
        // TFLite Micro's clamps codes, whatever the output's scale.
        Op::Relu6 => {
            let arguments = format!("{}, scrimp::nn::Activation::Relu6", quantization_text(x));
            (TableS8::clamp(x, Activation::Relu6), "clamp", arguments)
        }
        Op::Rsqrt if elements < FEW => {
            let rsqrt = RsqrtS8::new(x, y).context("its scales and zero points")?;
            return Ok((Layer::RsqrtS8(rsqrt), "new", both));
        }
        Op::Rsqrt => (TableS8::rsqrt(x, y), "rsqrt", both),
        _ => bail!("this operator is not supported for int8: leave it in float between DEQUANTIZE and QUANTIZE"),
    };
    let table = table.context("its scales and zero points")?;
    Ok((Layer::TableS8(Box::new(table)), function, arguments))
}

fn of_16(cx: &Cx<'_>, x: Quantization, y: Quantization) -> Result<Made> {
    let both = format!("{}, {}", quantization_text(x), quantization_text(y));
    let table = |table: Result<TableS16, scrimp::Error>, function| -> Result<Made> {
        let table = table.context("its scales and zero points")?;
        Ok((Layer::TableS16(Box::new(table)), function, both.clone()))
    };
    let slopes = |slopes: Result<SlopesS16, scrimp::Error>, function, arguments| -> Result<Made> {
        Ok((Layer::SlopesS16(slopes.context("its scales and zero points")?), function, arguments))
    };
    let is_unit = (y.scale * 32_768.0 - 1.0).abs() < 1e-3 && y.zero_point == 0;
    match cx.node.op {
        Op::Logistic => {
            ensure!(is_unit, "its output has scale {}; 1/32768 is needed", y.scale);
            let layer = LogisticS16::new(x).context("its scale and zero point")?;
            Ok((Layer::LogisticS16(layer), "new", quantization_text(x)))
        }
        Op::Tanh => {
            ensure!(is_unit, "its output has scale {}; 1/32768 is needed", y.scale);
            let layer = TanhS16::new(x).context("its scale and zero point")?;
            Ok((Layer::TanhS16(layer), "new", quantization_text(x)))
        }
        Op::Gelu { approximate: false } => table(TableS16::gelu(x, y), "gelu"),
        Op::Gelu { approximate: true } => table(TableS16::gelu_tanh(x, y), "gelu_tanh"),
        Op::Exp => table(TableS16::exp(x, y), "exp"),
        Op::Log => table(TableS16::log(x, y), "log"),
        Op::Rsqrt => {
            let rsqrt = RsqrtS16::new(x, y).context("its scales and zero points")?;
            Ok((Layer::RsqrtS16(rsqrt), "new", both))
        }
        Op::Abs => slopes(SlopesS16::abs(x, y), "abs", both),
        Op::LeakyRelu { alpha } => {
            slopes(SlopesS16::leaky_relu(x, y, alpha), "leaky_relu", format!("{both}, {alpha:?}"))
        }
        Op::Relu => {
            slopes(SlopesS16::relu(x, y, Activation::Relu), "relu", format!("{both}, scrimp::nn::Activation::Relu"))
        }
        Op::ReluN1To1 => slopes(
            SlopesS16::relu(x, y, Activation::ReluN1To1),
            "relu",
            format!("{both}, scrimp::nn::Activation::ReluN1To1"),
        ),
        // Codes are clamped, whatever the output's scale.
        Op::Relu6 => {
            let arguments = format!("{0}, {0}, scrimp::nn::Activation::Relu6", quantization_text(x));
            slopes(SlopesS16::relu(x, x, Activation::Relu6), "relu", arguments)
        }
        _ => bail!("this operator is not supported for int16: leave it in float between DEQUANTIZE and QUANTIZE"),
    }
}

fn of_f32(cx: &Cx<'_>) -> Result<Made> {
    let relu =
        |activation: Activation| (MapF32::relu(activation), "relu", format!("scrimp::nn::Activation::{activation:?}"));
    let plain = |map: MapF32, function: &'static str| (map, function, String::new());
    let (map, function, arguments) = match cx.node.op {
        Op::Abs => plain(MapF32::abs(), "abs"),
        Op::Elu => plain(MapF32::elu(), "elu"),
        Op::Exp => plain(MapF32::exp(), "exp"),
        Op::Gelu { approximate: false } => plain(MapF32::gelu(), "gelu"),
        Op::Gelu { approximate: true } => plain(MapF32::gelu_tanh(), "gelu_tanh"),
        Op::HardSwish => plain(MapF32::hard_swish(), "hard_swish"),
        Op::LeakyRelu { alpha } => (MapF32::leaky_relu(alpha), "leaky_relu", format!("{alpha:?}")),
        Op::Log => plain(MapF32::log(), "log"),
        Op::Logistic => plain(MapF32::logistic(), "logistic"),
        Op::Neg => plain(MapF32::neg(), "neg"),
        Op::Relu => relu(Activation::Relu),
        Op::Relu6 => relu(Activation::Relu6),
        Op::ReluN1To1 => relu(Activation::ReluN1To1),
        Op::Rsqrt => plain(MapF32::rsqrt(), "rsqrt"),
        Op::Sqrt => plain(MapF32::sqrt(), "sqrt"),
        Op::Square => plain(MapF32::square(), "square"),
        Op::Tanh => plain(MapF32::tanh(), "tanh"),
        _ => bail!("this operator is not supported for float32: convert with full integer quantization"),
    };
    Ok((Layer::MapF32(map), function, arguments))
}

/// Does the same with whichever layer it is.
macro_rules! each {
    ($layer:expr, $name:ident => $call:expr) => {
        match $layer {
            Layer::TableS8($name) => $call,
            Layer::TableS16($name) => $call,
            Layer::SlopesS16($name) => $call,
            Layer::RsqrtS8($name) => $call,
            Layer::RsqrtS16($name) => $call,
            Layer::LogisticS16($name) => $call,
            Layer::TanhS16($name) => $call,
            Layer::MapF32($name) => $call,
        }
    };
}

impl Layer {
    const fn name(&self) -> &'static str {
        match self {
            Self::TableS8(_) => "TableS8",
            Self::TableS16(_) => "TableS16",
            Self::SlopesS16(_) => "SlopesS16",
            Self::RsqrtS8(_) => "RsqrtS8",
            Self::RsqrtS16(_) => "RsqrtS16",
            Self::LogisticS16(_) => "LogisticS16",
            Self::TanhS16(_) => "TanhS16",
            Self::MapF32(_) => "MapF32",
        }
    }
}

impl Operator for Unary {
    fn kernel(&self) -> &'static str {
        self.layer.name()
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        each!(&self.layer, layer => match io.in_place {
            None => layer.run(io.x(0), io.y(0))?,
            Some(_) => layer.run_in_place(io.y(0)),
        });
        Ok(())
    }

    fn overlay(&self) -> Overlay {
        Overlay::Exact(&[0])
    }

    fn is_total(&self, args: &Args) -> bool {
        args.in_place.is_some()
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let kind = match self.layer {
            Layer::TableS8(_) | Layer::TableS16(_) => "TABLE",
            Layer::SlopesS16(_) => "SLOPES",
            Layer::RsqrtS8(_) | Layer::RsqrtS16(_) => "RSQRT",
            Layer::LogisticS16(_) => "LOGISTIC",
            Layer::TanhS16(_) => "TANH",
            Layer::MapF32(_) => "MAP",
        };
        let ty = format!("scrimp::nn::{}", self.layer.name());
        let name = match &self.layer {
            // Made by a rewrite: nothing but its codes says what it is.
            Layer::TableS8(table) if self.is_of_codes => {
                let codes = out.constant("CODES", "[i8; 256]", &format!("{:?}", table.table()));
                out.layer(kind, &ty, &format!("Ok::<_, scrimp::Error>({ty}::from_table({codes}))"))
            }
            _ => out.layer(kind, &ty, &self.text),
        };
        match args.in_place {
            None => format!("{name}.run({}, {})", args.x[0], args.y[0]),
            Some(_) => format!("{name}.run_in_place({})", args.y[0]),
        }
    }
}
