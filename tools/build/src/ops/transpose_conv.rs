//! TRANSPOSE_CONV: inputs are the output's shape, weights `[output][kernel row][kernel column][channel]`, the picture, a bias.

use anyhow::{Context as _, Result, bail, ensure};
use scrimp::nn::{TransposeConv2dS8, TransposeConv2dS16, TransposeShape2d};

use super::layer::{Quant, TablesS8, TablesS16, bias_s8, input, multipliers, nhwc, nhwc_text, positive};
use crate::emit::Emitter;
use crate::graph::Element;
use crate::lower::{Cx, Lowered};
use crate::op;
use crate::operator::{Args, Io, Operator};

#[derive(Debug)]
struct TransposeConv {
    same: bool,
    shape: TransposeShape2d,
    kernel: [usize; 2],
    stride: [usize; 2],
    weights: Vec<i8>,
    tables: Tables,
    quant: Quant,
}

#[derive(Debug)]
enum Tables {
    S8(TablesS8),
    S16(TablesS16),
}

pub(crate) fn lower(cx: &Cx<'_>, conv: &op::Conv) -> Result<Lowered> {
    cx.counts(3..=4, 1)?;
    // The output's shape is the tensor's; input 0, which says it again, is not looked at.
    let (id, x) = input(cx, 2)?;
    let (w, y) = (cx.x(1)?, cx.y(0)?);
    let &[outputs, height, width, channels] = w.shape.as_slice() else {
        bail!("its weights are {w}, four axes are needed")
    };
    let (from, to) = (nhwc(x)?, nhwc(y)?);
    ensure!(channels == from.channels(), "its weights are {w}, but its input {x} has {} channels", from.channels());
    ensure!(outputs == to.channels(), "its weights are {w}, but its output {y} has {} channels", to.channels());
    let kernel = [height, width];
    let stride = [positive(conv.stride_h, "stride")?, positive(conv.stride_w, "stride")?];
    let make = if conv.same { TransposeShape2d::same } else { TransposeShape2d::valid };
    let shape = make(from, to, kernel, stride).with_context(|| format!("from {x} to {y}"))?;
    let quant = Quant::new(x, y, conv.activation)?;
    let multipliers = multipliers(&quant, w, outputs)?;
    let bias = cx.optional_x(3);
    let tables = if x.element == Element::I8 {
        Tables::S8(TablesS8::plain(outputs, &bias_s8(bias, outputs)?, &multipliers)?)
    } else {
        Tables::S16(TablesS16::new(outputs, bias, &multipliers, false)?)
    };
    let conv = TransposeConv { same: conv.same, shape, kernel, stride, weights: w.i8s()?, tables, quant };
    // Everything that the constructor refuses is refused here, not when it runs.
    match conv.tables {
        Tables::S8(_) => conv.with_s8(|_| Ok(()))?,
        Tables::S16(_) => conv.with_s16(|_| Ok(()))?,
    }
    Ok(Lowered::kernel(conv, vec![id]))
}

impl TransposeConv {
    fn with_s8<T>(&self, use_it: impl FnOnce(&TransposeConv2dS8<'_>) -> Result<T>) -> Result<T> {
        let Tables::S8(tables) = &self.tables else { bail!("it is one of 16 bits") };
        use_it(&TransposeConv2dS8::new(self.shape, &self.weights, tables.requant()?, self.quant.s8()?)?)
    }

    fn with_s16<T>(&self, use_it: impl FnOnce(&TransposeConv2dS16<'_>) -> Result<T>) -> Result<T> {
        let Tables::S16(tables) = &self.tables else { bail!("it is one of 8 bits") };
        let (min, max) = self.quant.range_s16();
        use_it(&TransposeConv2dS16::new(self.shape, &self.weights, tables.requant()?, min, max)?)
    }
}

impl Operator for TransposeConv {
    fn kernel(&self) -> &'static str {
        match self.tables {
            Tables::S8(_) => "TransposeConv2dS8",
            Tables::S16(_) => "TransposeConv2dS16",
        }
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        match self.tables {
            Tables::S8(_) => self.with_s8(|conv| Ok(conv.run(io.x(0), io.y(0))?)),
            Tables::S16(_) => self.with_s16(|conv| Ok(conv.run(io.x(0), io.y(0))?)),
        }
    }

    /// As for a convolution of the output's gradient: each input meets each weight, some of them beyond the edges.
    fn macs(&self) -> u64 {
        let pixels = self.shape.input().elements() / self.shape.input().channels();
        pixels as u64 * self.weights.len() as u64
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let Self { same, shape, kernel, stride, .. } = self;
        let weights = out.i8s(&self.weights);
        let (from, to) = (nhwc_text(shape.input()), nhwc_text(shape.output()));
        let make = if *same { "same" } else { "valid" };
        let shape =
            format!("scrimp::expect!(scrimp::nn::TransposeShape2d::{make}({from}, {to}, {kernel:?}, {stride:?}))");
        let (name, requant, rest) = match &self.tables {
            Tables::S8(tables) => ("TransposeConv2dS8", tables.emit(out), self.quant.text_s8()),
            Tables::S16(tables) => ("TransposeConv2dS16", tables.emit(out), self.quant.text_s16()),
        };
        let name = out.layer(
            "TRANSPOSE_CONV",
            &format!("scrimp::nn::{name}<'static>"),
            &format!("scrimp::nn::{name}::new({shape}, {weights}, {requant}, {rest})"),
        );
        format!("{name}.run({}, {})", args.x[0], args.y[0])
    }
}
