//! FULLY_CONNECTED: weights `[outputs][depth]`, over all of the input's leading axes.

use anyhow::{Context as _, Result, ensure};
use scrimp::Rows;
use scrimp::bits::{Format, Layout, Weights, Width, packed_words};
use scrimp::fixedpoint::{Multiplier, Rounding};
use scrimp::nn::{LinearS8, QuantS8, Requant};

use crate::emit::Emitter;
use crate::graph::{Element, Tensor};
use crate::lower::{Cx, Lowered};
use crate::op::Fused;
use crate::operator::{Args, Io, Operator};
use crate::ops::activation_range;

#[derive(Debug)]
struct Linear {
    rows: usize,
    shape: Rows,
    weights: Packed,
    bias: Vec<i32>,
    mantissa: Vec<i32>,
    shift: Vec<i8>,
    quant: QuantS8,
}

/// Weights as a layout wants them.
#[derive(Debug)]
enum Packed {
    Rows(Vec<i8>),
    Words(Layout, Vec<u32>),
}

impl Packed {
    fn pack(codes: Vec<i8>, shape: Rows, layout: Layout) -> Result<Self> {
        if layout == Layout::Rows {
            return Ok(Self::Rows(codes));
        }
        let mut words = vec![0; packed_words(Format::S8, layout, shape)];
        Weights::s8(&codes, shape)?.pack_into(Format::S8, layout, Width::W8, &mut words, &mut [])?;
        Ok(Self::Words(layout, words))
    }

    fn weights(&self, shape: Rows) -> Result<Weights<'_>> {
        Ok(match self {
            Self::Rows(codes) => Weights::s8(codes, shape)?,
            Self::Words(layout, words) => Weights::packed(Format::S8, *layout, words, &[], shape)?,
        })
    }
}

pub(crate) fn lower(cx: &Cx<'_>, activation: Fused, shuffled: bool) -> Result<Lowered> {
    cx.counts(2..=3, 1)?;
    ensure!(!shuffled, "shuffled weights are not supported: convert for the reference format");
    let (id, x) = cx.activation(0, Element::I8)?;
    let (w, y) = (cx.x(1)?, cx.y(0)?);
    ensure!(w.is_constant(), "weights that are computed ({w}) are not supported yet");
    ensure!(y.element == Element::I8, "its output is {y}; int8 is needed");
    let &[outputs, depth] = w.shape.as_slice() else { anyhow::bail!("its weights are {w}, two axes are needed") };
    let shape = Rows::new(outputs, depth).with_context(|| format!("weights {w}"))?;
    ensure!(x.elements().is_multiple_of(depth), "{x} does not divide into rows of {depth}");
    let rows = x.elements() / depth;
    ensure!(y.elements() == rows * outputs, "its output is {y}, but {rows} rows of {outputs} come out");

    let (input, output) = (x.quantization()?, y.quantization()?);
    let filter_zero = if w.scales(outputs)?.len() == 1 { w.quantization()?.1 } else { 0 };
    let (min, max) = activation_range(activation, output, -128, 127)?;
    let quant = QuantS8 {
        input_offset: -input.1,
        filter_offset: -filter_zero,
        output_offset: output.1,
        min: min as i8,
        max: max as i8,
        rounding: Rounding::Double,
    };
    let multipliers = multipliers(input.0, w, outputs, output.0)?;
    let bias = match cx.optional_x(2) {
        Some(bias) => {
            ensure!(bias.elements() == outputs, "its bias is {bias}, but there are {outputs} outputs");
            bias.i32s()?
        }
        None => Vec::new(),
    };
    let weights = Packed::pack(w.i8s()?, shape, cx.layout)?;
    let (mut folded, mut mantissa, mut shift) = (vec![0; outputs], vec![0; outputs], vec![0; outputs]);
    let tables = (folded.as_mut_slice(), mantissa.as_mut_slice(), shift.as_mut_slice());
    Requant::build(tables, &weights.weights(shape)?, Width::W8, &quant, &bias, &multipliers)?;
    let linear = Linear { rows, shape, weights, bias: folded, mantissa, shift, quant };
    // Everything that the constructor refuses is refused here, not when it runs.
    linear.with(|_| Ok(()))?;
    Ok(Lowered::kernel(linear, vec![id]))
}

/// The multipliers of all outputs. One scale for all is multiplied with the input's in f32, as TFLite's kernel does; scales
/// of channels in f64.
fn multipliers(input: f32, weights: &Tensor, outputs: usize, output: f32) -> Result<Vec<Multiplier>> {
    let scales = weights.scales(outputs)?;
    let real = |&scale: &f32| {
        if scales.len() == 1 {
            f64::from(input * scale) / f64::from(output)
        } else {
            f64::from(input) * f64::from(scale) / f64::from(output)
        }
    };
    let of =
        |scale| Multiplier::from_real(real(scale)).with_context(|| format!("{weights} has an absurd scale, {scale}"));
    scales.iter().map(of).collect()
}

impl Linear {
    /// The library's layer, and what to do with it.
    fn with<T>(&self, use_it: impl FnOnce(&LinearS8<'_>) -> Result<T>) -> Result<T> {
        let requant = Requant::new(&self.bias, &self.mantissa, &self.shift)?;
        let widths = [(Width::W8, requant)];
        use_it(&LinearS8::new(self.weights.weights(self.shape)?, &widths, self.quant)?)
    }
}

impl Operator for Linear {
    fn kernel(&self) -> &'static str {
        "LinearS8"
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        let x = io.x(0);
        self.with(|layer| Ok(layer.run(x, io.y(0), self.rows)?))
    }

    fn macs(&self) -> u64 {
        self.rows as u64 * self.shape.elements() as u64
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let Self { rows, shape, weights, bias, mantissa, shift, quant } = self;
        let rows_of = format!("scrimp::expect!(scrimp::Rows::new({}, {}))", shape.rows(), shape.cols());
        let weights = match weights {
            Packed::Rows(codes) => format!("Weights::s8({}, {rows_of})", out.i8s(codes)),
            Packed::Words(layout, words) => {
                let words = out.words(words);
                format!(
                    "Weights::packed(scrimp::bits::Format::S8, scrimp::bits::Layout::{layout:?}, {words}, &[], {rows_of})"
                )
            }
        };
        let (bias, mantissa, shift) = (out.i32s(bias), out.i32s(mantissa), out.i8s(shift));
        let requant = format!("scrimp::expect!(scrimp::nn::Requant::new({bias}, {mantissa}, {shift}))");
        let widths = out.table(
            "WIDTHS",
            "[(scrimp::bits::Width, scrimp::nn::Requant<'static>); 1]",
            &format!("[(scrimp::bits::Width::W8, {requant})]"),
        );
        let name = out.layer(
            "LINEAR",
            "scrimp::nn::LinearS8<'static>",
            &format!(
                "scrimp::nn::LinearS8::new(scrimp::expect!(scrimp::bits::{weights}), &{widths}, {})",
                quant_s8(quant)
            ),
        );
        format!("{name}.run({}, {}, {rows})", args.x[0], args.y[0])
    }
}

fn quant_s8(quant: &QuantS8) -> String {
    let QuantS8 { input_offset, filter_offset, output_offset, min, max, .. } = quant;
    format!(
        "scrimp::nn::QuantS8 {{ input_offset: {input_offset}, filter_offset: {filter_offset}, output_offset: {output_offset}, min: {min}, max: {max}, rounding: scrimp::fixedpoint::Rounding::Double }}"
    )
}
