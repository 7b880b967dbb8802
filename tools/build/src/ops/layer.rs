//! What layers with weights share: weights in a layout, tables of multipliers, ranges; and their text.

use anyhow::{Context as _, Result, bail, ensure};
use scrimp::bits::{Format, Layout, Weights, Width, packed_words};
use scrimp::fixedpoint::{Multiplier, Rounding, requantize};
use scrimp::nn::{Activation, QuantS8, Requant, RequantS16, Window2d};
use scrimp::shape::Nhwc;
use scrimp::{Quantization, Rows};

use crate::emit::Emitter;
use crate::graph::{Element, Tensor};
use crate::lower::Cx;
use crate::op::{Around, Fused};

/// Weights as a layout wants them.
#[derive(Debug)]
pub(super) enum Packed {
    Rows(Vec<i8>),
    Words(Layout, Vec<u32>),
}

impl Packed {
    pub(super) fn pack(codes: Vec<i8>, shape: Rows, layout: Layout) -> Result<Self> {
        if layout == Layout::Rows {
            return Ok(Self::Rows(codes));
        }
        let mut words = vec![0; packed_words(Format::S8, layout, shape)];
        Weights::s8(&codes, shape)?.pack_into(Format::S8, layout, Width::W8, &mut words, &mut [])?;
        Ok(Self::Words(layout, words))
    }

    pub(super) fn weights(&self, shape: Rows) -> Result<Weights<'_>> {
        Ok(match self {
            Self::Rows(codes) => Weights::s8(codes, shape)?,
            Self::Words(layout, words) => Weights::packed(Format::S8, *layout, words, &[], shape)?,
        })
    }

    /// Their constructor.
    pub(super) fn emit(&self, shape: Rows, out: &mut Emitter<'_>) -> String {
        let shape = format!("scrimp::expect!(scrimp::Rows::new({}, {}))", shape.rows(), shape.cols());
        let call = match self {
            Self::Rows(codes) => format!("s8({}, {shape})", out.i8s(codes)),
            Self::Words(layout, words) => {
                let words = out.words(words);
                format!("packed(scrimp::bits::Format::S8, scrimp::bits::Layout::{layout:?}, {words}, &[], {shape})")
            }
        };
        format!("scrimp::expect!(scrimp::bits::Weights::{call})")
    }
}

/// Bias, mantissa and shift of each output of an 8-bit layer.
#[derive(Debug)]
pub(super) struct TablesS8 {
    pub(super) bias: Vec<i32>,
    pub(super) mantissa: Vec<i32>,
    pub(super) shift: Vec<i8>,
}

impl TablesS8 {
    /// Of so many outputs, to be filled.
    pub(super) fn new(outputs: usize) -> Self {
        Self { bias: vec![0; outputs], mantissa: vec![0; outputs], shift: vec![0; outputs] }
    }

    /// Biases as they are, and multipliers, one for all or one for each.
    pub(super) fn plain(outputs: usize, bias: &[i32], multipliers: &[Multiplier]) -> Result<Self> {
        let mut tables = Self::new(outputs);
        for o in 0..outputs {
            let multiplier = multipliers.get(o).or(multipliers.first()).context("there is no multiplier")?;
            tables.bias[o] = bias.get(o).copied().unwrap_or(0);
            tables.mantissa[o] = multiplier.mantissa;
            tables.shift[o] = multiplier.shift as i8;
        }
        Ok(tables)
    }

    pub(super) fn fill(&mut self) -> (&mut [i32], &mut [i32], &mut [i8]) {
        (&mut self.bias, &mut self.mantissa, &mut self.shift)
    }

    /// Gives outputs that come out the same whatever goes in other entries with the same outcome, with which the layer's fast
    /// loops hold. Training leaves such channels behind: scales next to nothing, biases of 2^30. `sums` are the least and
    /// the largest sum of each output without its bias, `depth` its inputs.
    pub(super) fn settle(&mut self, sums: &[[i64; 2]], depth: usize, quant: &QuantS8) {
        // No sum of products is larger, for all that a layer knows.
        let most = depth as i64 * 128 * 128;
        if quant.rounding != Rounding::Double || quant.filter_offset != 0 || most >= 1 << 29 {
            return;
        }
        for (o, sums) in sums.iter().enumerate() {
            let entry = (self.bias[o], Multiplier { mantissa: self.mantissa[o], shift: self.shift[o].into() });
            let is_plain = (-22..=-1).contains(&entry.1.shift) && i64::from(entry.0).abs() + most < 1 << 30;
            if is_plain || entry.1.shift > 0 {
                continue;
            }
            if let Some(output) = only_output(entry, sums, quant)
                && let Some((bias, multiplier)) = plain_entry(output, sums, most, quant)
            {
                (self.bias[o], self.mantissa[o], self.shift[o]) = (bias, multiplier.mantissa, multiplier.shift as i8);
            }
        }
    }

    pub(super) fn requant(&self) -> Result<Requant<'_>> {
        Ok(Requant::new(&self.bias, &self.mantissa, &self.shift)?)
    }

    /// Their constructor.
    pub(super) fn emit(&self, out: &mut Emitter<'_>) -> String {
        let (bias, mantissa, shift) = (out.i32s(&self.bias), out.i32s(&self.mantissa), out.i8s(&self.shift));
        format!("scrimp::expect!(scrimp::nn::Requant::new({bias}, {mantissa}, {shift}))")
    }

    /// The table of the widths, of which there is one.
    pub(super) fn emit_widths(&self, out: &mut Emitter<'_>) -> String {
        let requant = self.emit(out);
        let value = format!("[(scrimp::bits::Width::W8, {requant})]");
        out.table("WIDTHS", "[(scrimp::bits::Width, scrimp::nn::Requant<'static>); 1]", &value)
    }
}

/// The least and the largest sum of each row of weights, whatever the activations.
pub(super) fn sums_of(codes: &[i8], depth: usize) -> Vec<[i64; 2]> {
    let of = |row: &[i8]| {
        let ends = |w: &i8| [i64::from(*w) * -128, i64::from(*w) * 127];
        row.iter().map(ends).fold([0, 0], |[least, most], [a, b]| [least + a.min(b), most + a.max(b)])
    };
    codes.chunks_exact(depth.max(1)).map(of).collect()
}

/// The output of all sums between two, if it is one. Outputs do not fall as sums rise.
fn only_output((bias, multiplier): (i32, Multiplier), sums: &[i64; 2], quant: &QuantS8) -> Option<i8> {
    let of = |sum: i64| {
        let sum = i32::try_from(sum + i64::from(bias)).ok()?;
        let output = requantize(sum, multiplier, quant.rounding).saturating_add(quant.output_offset);
        Some(output.clamp(quant.min.into(), quant.max.into()) as i8)
    };
    let [least, most] = sums.map(of);
    least.filter(|_| least == most && multiplier.mantissa >= 0)
}

/// An entry with which all of these sums come out as one output and the fast loops hold: a large bias that the sums hardly move.
fn plain_entry(output: i8, sums: &[i64; 2], most: i64, quant: &QuantS8) -> Option<(i32, Multiplier)> {
    let above = i32::from(output) - quant.output_offset;
    let large = (1i64 << 30) - 1 - most;
    let large = large * i64::from(above.signum());
    let entry = (1..=22).rev().find_map(|right| {
        let mantissa = if above == 0 { 0 } else { (i64::from(above) << (31 + right)) / large };
        let multiplier = Multiplier { mantissa: i32::try_from(mantissa).ok()?, shift: -right };
        Some((i32::try_from(large).ok()?, multiplier))
    })?;
    (only_output(entry, sums, quant) == Some(output)).then_some(entry)
}

/// The same of a 16-bit layer.
#[derive(Debug)]
pub(super) struct TablesS16 {
    bias: BiasS16,
    mantissa: Vec<i32>,
    shift: Vec<i8>,
}

/// How wide sums are.
#[derive(Debug)]
enum BiasS16 {
    Wide(Vec<i64>),
    Narrow(Vec<i32>),
}

impl TablesS16 {
    /// From TFLite's bias, int64, absent, or where `may_be_narrow` int32.
    pub(super) fn new(
        outputs: usize,
        bias: Option<&Tensor>,
        multipliers: &[Multiplier],
        may_be_narrow: bool,
    ) -> Result<Self> {
        let bias = match bias {
            None => BiasS16::Wide(vec![0; outputs]),
            Some(bias) => {
                ensure!(bias.elements() == outputs, "its bias is {bias}, but there are {outputs} outputs");
                match bias.element {
                    Element::I64 => BiasS16::Wide(bias.integers()?),
                    Element::I32 if may_be_narrow => BiasS16::Narrow(bias.i32s()?),
                    _ => bail!("its bias is {bias}; int64 is needed where activations are int16"),
                }
            }
        };
        let TablesS8 { mantissa, shift, .. } = TablesS8::plain(outputs, &[], multipliers)?;
        Ok(Self { bias, mantissa, shift })
    }

    pub(super) fn requant(&self) -> Result<RequantS16<'_>> {
        let made = match &self.bias {
            BiasS16::Wide(bias) => RequantS16::new(bias, &self.mantissa, &self.shift),
            BiasS16::Narrow(bias) => RequantS16::narrow(bias, &self.mantissa, &self.shift),
        };
        made.context("its scales or biases are absurd: convert the model again with full integer quantization")
    }

    /// Their constructor.
    pub(super) fn emit(&self, out: &mut Emitter<'_>) -> String {
        let (name, bias) = match &self.bias {
            BiasS16::Wide(bias) => ("new", out.i64s(bias)),
            BiasS16::Narrow(bias) => ("narrow", out.i32s(bias)),
        };
        let (mantissa, shift) = (out.i32s(&self.mantissa), out.i8s(&self.shift));
        format!("scrimp::expect!(scrimp::nn::RequantS16::{name}({bias}, {mantissa}, {shift}))")
    }

    /// The table of the widths, of which there is one.
    pub(super) fn emit_widths(&self, out: &mut Emitter<'_>) -> String {
        let requant = self.emit(out);
        let value = format!("[(scrimp::bits::Width::W8, {requant})]");
        out.table("WIDTHS", "[(scrimp::bits::Width, scrimp::nn::RequantS16<'static>); 1]", &value)
    }
}

/// The biases of an 8-bit layer; none where they are absent.
pub(super) fn bias_s8(bias: Option<&Tensor>, outputs: usize) -> Result<Vec<i32>> {
    let Some(bias) = bias else { return Ok(Vec::new()) };
    ensure!(bias.elements() == outputs, "its bias is {bias}, but there are {outputs} outputs");
    bias.i32s()
}

/// What is common to the outputs of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quant {
    pub(super) input: Quantization,
    /// Zero point of the weights.
    pub(super) filter: i32,
    pub(super) output: Quantization,
    pub(super) activation: Activation,
}

impl Quant {
    /// Of a layer from `x` to `y`.
    pub(super) fn new(x: &Tensor, y: &Tensor, activation: Fused) -> Result<Self> {
        let quant = Self {
            input: quantization(x)?,
            filter: 0,
            output: quantization(y)?,
            activation: activation_of(activation)?,
        };
        ensure!(x.element == y.element, "its input is {x}, but its output {y}");
        if x.element == Element::I16 {
            for (tensor, zero_point) in [(x, quant.input.zero_point), (y, quant.output.zero_point)] {
                ensure!(zero_point == 0, "{tensor} has zero point {zero_point}; int16 has none");
            }
        }
        Ok(quant)
    }

    pub(super) fn s8(&self) -> Result<QuantS8> {
        Ok(QuantS8 { filter_offset: -self.filter, ..QuantS8::new(self.input, self.output, self.activation)? })
    }

    /// Least and largest output.
    pub(super) fn range_s16(&self) -> (i16, i16) {
        self.activation.range_s16(self.output)
    }

    /// The constructor of the `QuantS8`.
    pub(super) fn text_s8(&self) -> String {
        let (input, output) = (quantization_text(self.input), quantization_text(self.output));
        let activation = self.activation;
        let new = format!(
            "scrimp::expect!(scrimp::nn::QuantS8::new({input}, {output}, scrimp::nn::Activation::{activation:?}))"
        );
        match -self.filter {
            0 => new,
            offset => format!("scrimp::nn::QuantS8 {{ filter_offset: {offset}, ..{new} }}"),
        }
    }

    /// The range as two arguments.
    pub(super) fn text_s16(&self) -> String {
        match self.range_s16() {
            (i16::MIN, i16::MAX) => "i16::MIN, i16::MAX".to_owned(),
            (min, i16::MAX) => format!("{min}, i16::MAX"),
            (min, max) => format!("{min}, {max}"),
        }
    }
}

/// Scale and zero point of a tensor.
pub(super) fn quantization(tensor: &Tensor) -> Result<Quantization> {
    let (scale, zero_point) = tensor.quantization()?;
    Ok(Quantization::new(scale, zero_point))
}

/// The constructor of a `Quantization`.
pub(super) fn quantization_text(Quantization { scale, zero_point }: Quantization) -> String {
    format!("scrimp::Quantization::new({scale:?}, {zero_point})")
}

/// A `Multiplier`.
pub(super) fn multiplier_text(Multiplier { mantissa, shift }: Multiplier) -> String {
    format!("scrimp::fixedpoint::Multiplier {{ mantissa: {mantissa}, shift: {shift} }}")
}

/// The library's name of a fused activation.
pub(super) fn activation_of(fused: Fused) -> Result<Activation> {
    Ok(match fused {
        Fused::None => Activation::None,
        Fused::Relu => Activation::Relu,
        Fused::Relu6 => Activation::Relu6,
        Fused::ReluN1To1 => Activation::ReluN1To1,
        Fused::Tanh | Fused::SignBit | Fused::Other(_) => {
            bail!("its fused activation ({fused:?}) is not supported: make it an operator of its own")
        }
    })
}

/// The multipliers of all outputs, from scales in f64, as convolutions and layers with a scale for each channel have them.
pub(super) fn multipliers(quant: &Quant, weights: &Tensor, outputs: usize) -> Result<Vec<Multiplier>> {
    let of = |&scale: &f32| {
        Multiplier::of_scales(quant.input.scale, scale, quant.output.scale)
            .with_context(|| format!("{weights} has an absurd scale, {scale}"))
    };
    weights.scales(outputs)?.iter().map(of).collect()
}

/// A shape of four axes.
pub(super) fn nhwc(tensor: &Tensor) -> Result<Nhwc> {
    let &[batch, height, width, channels] = tensor.shape.as_slice() else { bail!("{tensor} must have four axes") };
    Nhwc::new(batch, height, width, channels).with_context(|| tensor.to_string())
}

/// The constructor of an `Nhwc`.
pub(super) fn nhwc_text(shape: Nhwc) -> String {
    let (batch, height, width, channels) = (shape.batch(), shape.height(), shape.width(), shape.channels());
    format!("scrimp::expect!(scrimp::shape::Nhwc::new({batch}, {height}, {width}, {channels}))")
}

/// How a window moves, as the file says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moves {
    pub(super) same: bool,
    pub(super) around: Around,
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
}

/// A positive number of the file.
pub(super) fn positive(number: i32, name: &str) -> Result<usize> {
    ensure!(number > 0, "its {name} is {number}");
    Ok(number as usize)
}

impl Moves {
    /// Over a picture; the constructor checks it.
    pub(super) fn window(&self, input: Nhwc) -> Result<Window2d> {
        let Self { same, kernel, stride, dilation, .. } = *self;
        let window = if same {
            Window2d::same(input, kernel, stride, dilation)
        } else {
            let [before, after] = self.amounts()?;
            Window2d::padded(input, kernel, stride, dilation, before, after)
        };
        window.with_context(|| format!("a kernel of {kernel:?}, stride {stride:?}, dilation {dilation:?}"))
    }

    fn amounts(&self) -> Result<[[usize; 2]; 2]> {
        let Around { top, bottom, left, right } = self.around;
        let side = |amount: i32| usize::try_from(amount).context("a negative padding");
        Ok([[side(top)?, side(left)?], [side(bottom)?, side(right)?]])
    }

    /// The constructor of the window.
    pub(super) fn text(&self, input: Nhwc) -> String {
        let Self { same, around, kernel, stride, dilation } = *self;
        let input = nhwc_text(input);
        let name = match (same, around == Around::default()) {
            (true, _) => "same",
            (false, true) => "valid",
            (false, false) => "padded",
        };
        let around = match name {
            "padded" => {
                let Around { top, bottom, left, right } = around;
                format!(", [{top}, {left}], [{bottom}, {right}]")
            }
            _ => String::new(),
        };
        format!("scrimp::expect!(scrimp::nn::Window2d::{name}({input}, {kernel:?}, {stride:?}, {dilation:?}{around}))")
    }
}

/// `Ok` if a tensor has this shape.
pub(super) fn comes_out(y: &Tensor, shape: Nhwc) -> Result<()> {
    let shape = [shape.batch(), shape.height(), shape.width(), shape.channels()];
    ensure!(y.shape == shape, "its output is {y}, but {shape:?} comes out");
    Ok(())
}

/// An input of 8 or 16 bits that is no constant.
pub(super) fn input<'a>(cx: &Cx<'a>, k: usize) -> Result<(crate::graph::TensorId, &'a Tensor)> {
    let element = cx.x(k)?.element;
    ensure!(
        matches!(element, Element::I8 | Element::I16),
        "input {k} is {}; int8 or int16 is needed here: convert with full integer quantization",
        cx.x(k)?
    );
    cx.activation(k, element)
}

#[cfg(test)]
mod tests {
    use super::{Multiplier, TablesS8, only_output, sums_of};
    use scrimp::Quantization;
    use scrimp::nn::{Activation, QuantS8};

    /// Outputs that never change get plain entries with the same outcome; others stay as they are.
    #[test]
    fn constant_outputs_become_plain() {
        let relu = QuantS8::new(Quantization::new(1.0, -128), Quantization::new(1.0, -128), Activation::Relu).unwrap();
        let plain = QuantS8 { output_offset: 7, ..QuantS8::PLAIN };
        let weights = [127i8; 64].map(|w| w / 3);
        let (depth, n) = (64, 9);
        let sums = vec![sums_of(&weights, depth)[0]; n];
        // Biases of 2^30 up and down, multipliers of next to nothing and of 0, and two that live.
        let bias = [1 << 30, -(1 << 30), 1 << 30, -(1 << 30), 5, 1 << 30, 3, 1 << 29, -1000];
        let shift = [-28, -28, -25, -31, 0, -23, -8, -30, -22];
        let mantissa =
            [1_500_000_000, 1_500_000_000, 1 << 30, 2_000_000_000, 0, 1_200_000_000, 1 << 30, 1 << 30, 1 << 30];
        for quant in [relu, plain] {
            let mut tables = TablesS8 { bias: bias.to_vec(), mantissa: mantissa.to_vec(), shift: shift.to_vec() };
            tables.settle(&sums, depth, &quant);
            let mut changed = 0;
            for o in 0..n {
                let entry = |tables: &TablesS8| {
                    (tables.bias[o], Multiplier { mantissa: tables.mantissa[o], shift: tables.shift[o].into() })
                };
                let before = TablesS8 { bias: bias.to_vec(), mantissa: mantissa.to_vec(), shift: shift.to_vec() };
                let (before, after) = (entry(&before), entry(&tables));
                assert_eq!(only_output(before, &sums[o], &quant), only_output(after, &sums[o], &quant));
                if before != after {
                    changed += 1;
                    assert!((-22..=-1).contains(&after.1.shift) && after.0.unsigned_abs() < 1 << 30);
                }
            }
            assert_eq!(changed, 7);
            assert_eq!(tables.bias[6], 3);
        }
    }
}
