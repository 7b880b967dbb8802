//! FULLY_CONNECTED: weights `[outputs][depth]`, over all of the input's leading axes; constant, or activations themselves.

use anyhow::{Context as _, Result, bail, ensure};
use scrimp::Rows;
use scrimp::bits::Width;
use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{DynamicLinearS8, LinearS8, LinearS16, Requant};

use super::layer::{Packed, Quant, TablesS8, TablesS16, bias_s8, input, multipliers, sums_of};
use crate::emit::Emitter;
use crate::graph::{Element, Tensor, TensorId};
use crate::lower::{Cx, Lowered};
use crate::op::Fused;
use crate::operator::{Args, Io, Operator, Scratch};

#[derive(Debug)]
struct Linear {
    rows: usize,
    shape: Rows,
    weights: Packed,
    tables: Tables,
    quant: Quant,
}

#[derive(Debug)]
enum Tables {
    S8(TablesS8),
    S16(TablesS16),
}

pub(crate) fn lower(cx: &Cx<'_>, activation: Fused, shuffled: bool) -> Result<Lowered> {
    cx.counts(2..=3, 1)?;
    ensure!(!shuffled, "shuffled weights are not supported: convert for the reference format");
    let (id, x) = input(cx, 0)?;
    let (w, y) = (cx.x(1)?, cx.y(0)?);
    let &[outputs, depth] = w.shape.as_slice() else { bail!("its weights are {w}, two axes are needed") };
    let shape = Rows::new(outputs, depth).with_context(|| format!("weights {w}"))?;
    ensure!(x.elements().is_multiple_of(depth), "{x} does not divide into rows of {depth}");
    let rows = x.elements() / depth;
    ensure!(y.elements() == rows * outputs, "its output is {y}, but {rows} rows of {outputs} come out");
    let is_one_scale = w.scales(outputs)?.len() == 1;
    let mut quant = Quant::new(x, y, activation)?;
    if is_one_scale {
        quant.filter = w.quantization()?.1;
    }
    let multipliers = if is_one_scale { vec![multiplier(&quant, w)?] } else { multipliers(&quant, w, outputs)? };
    let bias = cx.optional_x(2);
    if !w.is_constant() {
        return lower_dynamic(cx, (id, rows, shape), &quant, multipliers[0]);
    }
    let codes = w.i8s()?;
    let sums = sums_of(&codes, depth);
    let weights = Packed::pack(codes, shape, cx.layout)?;
    let tables = if x.element == Element::I8 {
        let mut tables = TablesS8::new(outputs);
        let (quant, bias) = (quant.s8()?, bias_s8(bias, outputs)?);
        Requant::build(tables.fill(), &weights.weights(shape)?, Width::W8, &quant, &bias, &multipliers)?;
        tables.settle(&sums, depth, &quant);
        Tables::S8(tables)
    } else {
        ensure!(quant.filter == 0, "its weights are {w} with zero point {}; with int16 they have none", quant.filter);
        Tables::S16(TablesS16::new(outputs, bias, &multipliers, true)?)
    };
    let linear = Linear { rows, shape, weights, tables, quant };
    // Everything that the constructor refuses is refused here, not when it runs.
    match linear.tables {
        Tables::S8(_) => linear.with_s8(|_| Ok(()))?,
        Tables::S16(_) => linear.with_s16(|_| Ok(()))?,
    }
    Ok(Lowered::kernel(linear, vec![id]))
}

/// The multiplier of weights with one scale. Its product with the input's is f64, as TFLite Micro's program has it, though its
/// source reads as f32; LiteRT 1.2 rounds the product to f32 ([`Multiplier::of_scales_f32`]), which shows in few bytes
/// (`tools/vectors/ties.py` looks for them).
pub(super) fn multiplier(quant: &Quant, weights: &Tensor) -> Result<Multiplier> {
    let (scale, _) = weights.quantization()?;
    Multiplier::of_scales(quant.input.scale, scale, quant.output.scale)
        .with_context(|| format!("{weights} has an absurd scale, {scale}"))
}

impl Linear {
    /// The library's layer, and what to do with it.
    fn with_s8<T>(&self, use_it: impl FnOnce(&LinearS8<'_>) -> Result<T>) -> Result<T> {
        let Tables::S8(tables) = &self.tables else { bail!("it is one of 16 bits") };
        let widths = [(Width::W8, tables.requant()?)];
        use_it(&LinearS8::new(self.weights.weights(self.shape)?, &widths, self.quant.s8()?)?)
    }

    fn with_s16<T>(&self, use_it: impl FnOnce(&LinearS16<'_>) -> Result<T>) -> Result<T> {
        let Tables::S16(tables) = &self.tables else { bail!("it is one of 8 bits") };
        let (widths, (min, max)) = ([(Width::W8, tables.requant()?)], self.quant.range_s16());
        use_it(&LinearS16::new(self.weights.weights(self.shape)?, &widths, min, max)?)
    }
}

impl Operator for Linear {
    fn kernel(&self) -> &'static str {
        match self.tables {
            Tables::S8(_) => "LinearS8",
            Tables::S16(_) => "LinearS16",
        }
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        match self.tables {
            Tables::S8(_) => self.with_s8(|layer| Ok(layer.run(io.x(0), io.y(0), self.rows)?)),
            Tables::S16(_) => self.with_s16(|layer| Ok(layer.run(io.x(0), io.y(0), self.rows)?)),
        }
    }

    fn macs(&self) -> u64 {
        self.rows as u64 * self.shape.elements() as u64
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let weights = self.weights.emit(self.shape, out);
        let (kernel, widths, rest) = match &self.tables {
            Tables::S8(tables) => ("LinearS8", tables.emit_widths(out), self.quant.text_s8()),
            Tables::S16(tables) => ("LinearS16", tables.emit_widths(out), self.quant.text_s16()),
        };
        let name = out.layer(
            "LINEAR",
            &format!("scrimp::nn::{kernel}<'static>"),
            &format!("scrimp::nn::{kernel}::new({weights}, &{widths}, {rest})"),
        );
        format!("{name}.run({}, {}, {})", args.x[0], args.y[0], self.rows)
    }
}

/// A layer whose weights are an activation.
#[derive(Debug)]
struct Dynamic {
    rows: usize,
    shape: Rows,
    bias: Vec<i32>,
    multiplier: Multiplier,
    quant: Quant,
}

fn lower_dynamic(
    cx: &Cx<'_>,
    (id, rows, shape): (TensorId, usize, Rows),
    quant: &Quant,
    multiplier: Multiplier,
) -> Result<Lowered> {
    let (weights, w) = cx.activation(1, Element::I8)?;
    ensure!(cx.x(0)?.element == Element::I8, "its weights are computed ({w}): then its input must be int8");
    ensure!(w.scales(shape.rows())?.len() == 1, "{w} must have one scale, as its values are computed");
    let bias = bias_s8(cx.optional_x(2), shape.rows())?;
    let dynamic = Dynamic { rows, shape, bias, multiplier, quant: *quant };
    dynamic.kernel()?;
    Ok(Lowered::kernel(dynamic, vec![id, weights]))
}

impl Dynamic {
    fn kernel(&self) -> Result<DynamicLinearS8<'_>> {
        Ok(DynamicLinearS8::new(self.rows, self.shape, &self.bias, self.multiplier, self.quant.s8()?)?)
    }
}

impl Operator for Dynamic {
    fn kernel(&self) -> &'static str {
        "DynamicLinearS8"
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        let (x, weights) = (io.x(0), io.x(1));
        let (y, scratch) = io.y_scratch(0);
        Ok(self.kernel()?.run(x, weights, y, scratch)?)
    }

    fn scratch(&self) -> Scratch {
        Scratch { element: Element::I32, len: self.kernel().map_or(0, |kernel| kernel.scratch()) }
    }

    fn macs(&self) -> u64 {
        self.rows as u64 * self.shape.elements() as u64
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let Self { rows, shape, bias, multiplier, quant } = self;
        let bias = out.i32s(bias);
        let name = out.layer(
            "LINEAR",
            "scrimp::nn::DynamicLinearS8<'static>",
            &format!(
                "scrimp::nn::DynamicLinearS8::new({rows}, scrimp::expect!(scrimp::Rows::new({}, {})), {bias}, {}, {})",
                shape.rows(),
                shape.cols(),
                super::layer::multiplier_text(*multiplier),
                quant.text_s8()
            ),
        );
        format!("{name}.run({}, {}, {}, {})", args.x[0], args.x[1], args.y[0], args.scratch)
    }
}
