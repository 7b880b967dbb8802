//! Operators with a memory: SVDF and UNIDIRECTIONAL_SEQUENCE_LSTM. Their states are variables of the model.

use anyhow::{Context as _, Result, bail, ensure};
use scrimp::Rows;
use scrimp::bits::Layout;
use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{FoldedS8, LstmGate, LstmGates, LstmQuant, LstmS8, LstmShape, LstmState, Svdf, SvdfOutput, SvdfState};

use super::layer::Packed;
use crate::emit::Emitter;
use crate::graph::{Element, Tensor, TensorId};
use crate::lower::{Cx, Lowered};
use crate::op::{Fused, Lstm};
use crate::operator::{Args, Io, Operator, Scratch};

/// A product with weights, zero point and bias folded.
#[derive(Debug)]
struct Folded {
    shape: Rows,
    weights: Packed,
    bias: Vec<i32>,
    multiplier: Multiplier,
}

impl Folded {
    /// Of constant int8 weights.
    fn new(
        weights: &Tensor,
        [outputs, inputs]: [usize; 2],
        bias: Option<&Tensor>,
        zero_point: i32,
        multiplier: Multiplier,
        layout: Layout,
    ) -> Result<Self> {
        ensure!(weights.shape == [outputs, inputs], "{weights} must be [{outputs}, {inputs}]");
        ensure!(weights.quantization()?.1 == 0, "{weights} has a zero point, which is not supported here");
        let shape = Rows::new(outputs, inputs).with_context(|| format!("weights {weights}"))?;
        let codes = weights.i8s()?;
        let mut folded = vec![0; outputs];
        if let Some(bias) = bias {
            ensure!(bias.elements() == outputs, "{bias} must have {outputs} elements");
            folded = bias.i32s()?;
        }
        for (folded, codes) in folded.iter_mut().zip(codes.chunks(inputs)) {
            let sum: i32 = codes.iter().map(|&code| i32::from(code)).sum();
            *folded = folded.wrapping_sub(zero_point.wrapping_mul(sum));
        }
        Ok(Self { shape, weights: Packed::pack(codes, shape, layout)?, bias: folded, multiplier })
    }

    fn product(&self) -> Result<FoldedS8<'_>> {
        Ok(FoldedS8::new(self.weights.weights(self.shape)?, &self.bias, self.multiplier)?)
    }

    /// Its constructor.
    fn emit(&self, out: &mut Emitter<'_>) -> String {
        let weights = self.weights.emit(self.shape, out);
        let bias = out.i32s(&self.bias);
        let multiplier = multiplier_text(self.multiplier);
        format!("scrimp::expect!(scrimp::nn::FoldedS8::new({weights}, {bias}, {multiplier}))")
    }
}

fn multiplier_text(Multiplier { mantissa, shift }: Multiplier) -> String {
    format!("scrimp::fixedpoint::Multiplier {{ mantissa: {mantissa}, shift: {shift} }}")
}

/// Input `k`, which must be a variable of this type and so many elements.
fn state<'a>(cx: &Cx<'a>, k: usize, elements: usize) -> Result<(TensorId, &'a Tensor)> {
    let (id, tensor) = (cx.input(k)?, cx.x(k)?);
    ensure!(tensor.is_variable, "its state {tensor} must be a variable tensor");
    ensure!(tensor.elements() == elements, "its state is {tensor}, {elements} elements are needed");
    Ok((id, tensor))
}

#[derive(Debug)]
struct SvdfLayer {
    rows: usize,
    feature: Folded,
    time: Time,
    rank: usize,
    state_zero_point: i32,
    bias: Vec<i32>,
    multiplier: Multiplier,
    zero_point: i32,
}

/// Weights over time; the state is of their type.
#[derive(Debug)]
enum Time {
    I8(Vec<i8>),
    I16(Vec<i16>),
}

/// The fused activation has no effect in the reference: outputs are clamped to their type, and a zero point of -128 does the
/// rest.
pub(crate) fn svdf(cx: &Cx<'_>, rank: i32) -> Result<Lowered> {
    cx.counts(5..=5, 1)?;
    let (id, x) = cx.activation(0, Element::I8)?;
    let (feature, time, y) = (cx.x(1)?, cx.x(2)?, cx.y(0)?);
    ensure!(y.element == Element::I8, "its output is {y}; int8 is needed");
    let (&[batch, inputs], &[filters, memory]) = (x.shape.as_slice(), time.shape.as_slice()) else {
        bail!("its input is {x}, its weights over time {time}; two axes are needed");
    };
    let rank = usize::try_from(rank).ok().filter(|&rank| rank > 0 && filters.is_multiple_of(rank));
    let rank = rank.with_context(|| format!("its rank does not divide the {filters} filters of {time}"))?;
    ensure!(y.shape == [batch, filters / rank], "its output is {y}, {batch} rows of {} come out", filters / rank);
    let elements = batch.checked_mul(filters).and_then(|n| n.checked_mul(memory)).context("its state is too large")?;
    let (state_id, state) = state(cx, 4, elements)?;
    ensure!(state.element == time.element, "its state is {state}, but its weights over time {time}");

    let (of_x, of_state, of_y) = (x.quantization()?, state.quantization()?, y.quantization()?);
    ensure!(time.quantization()?.1 == 0, "{time} has a zero point, which is not supported here");
    // All in f32, as TFLite's kernel computes them.
    let multiplier = |real: f32| Multiplier::from_real(real.into()).with_context(|| format!("absurd scales: {real}"));
    let to_state = multiplier(of_x.0 * feature.quantization()?.0 / of_state.0)?;
    let to_output = multiplier(of_state.0 * time.quantization()?.0 / of_y.0)?;
    let bias = match cx.optional_x(3) {
        Some(bias) => {
            ensure!(bias.elements() == filters / rank, "its bias is {bias}, but there are {} units", filters / rank);
            bias.i32s()?
        }
        None => Vec::new(),
    };
    let layer = SvdfLayer {
        rows: batch,
        feature: Folded::new(feature, [filters, inputs], None, of_x.1, to_state, cx.layout)?,
        time: match time.element {
            Element::I8 => Time::I8(time.i8s()?),
            Element::I16 => {
                ensure!(of_state.1 == 0, "its state {state} of int16 has a zero point");
                Time::I16(time.i16s()?)
            }
            _ => bail!("its weights over time are {time}; int8 or int16 is needed"),
        },
        rank,
        state_zero_point: of_state.1,
        bias,
        multiplier: to_output,
        zero_point: of_y.1,
    };
    match &layer.time {
        Time::I8(time) => layer.layer(time).map(|_| ())?,
        Time::I16(time) => layer.layer(time).map(|_| ())?,
    }
    Ok(Lowered::Kernel { operator: Box::new(layer), inputs: vec![id], states: vec![state_id] })
}

impl SvdfLayer {
    fn layer<'a, T>(&'a self, time: &'a [T]) -> Result<Svdf<'a, T>> {
        let output = SvdfOutput { bias: &self.bias, multiplier: self.multiplier, zero_point: self.zero_point };
        Ok(Svdf::new(self.feature.product()?, time, self.rank, self.state_zero_point, output)?)
    }

    fn step<T: SvdfState + bytemuck::AnyBitPattern + bytemuck::NoUninit>(
        &self,
        time: &[T],
        io: &mut Io<'_>,
    ) -> Result<()> {
        let state = bytemuck::cast_slice_mut(io.states[0]);
        let y = bytemuck::cast_slice_mut(io.outputs[0]);
        let x = bytemuck::cast_slice(io.inputs[0]);
        Ok(self.layer(time)?.run(x, state, y, bytemuck::cast_slice_mut(io.scratch))?)
    }
}

impl Operator for SvdfLayer {
    fn kernel(&self) -> &'static str {
        "Svdf"
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        match &self.time {
            Time::I8(time) => self.step(time, io),
            Time::I16(time) => self.step(time, io),
        }
    }

    fn scratch(&self) -> Scratch {
        Scratch { element: Element::I32, len: self.feature.shape.rows() }
    }

    fn macs(&self) -> u64 {
        let time = match &self.time {
            Time::I8(time) => time.len(),
            Time::I16(time) => time.len(),
        };
        self.rows as u64 * (self.feature.shape.elements() + time) as u64
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let feature = self.feature.emit(out);
        let (time, ty) = match &self.time {
            Time::I8(time) => (out.i8s(time), "i8"),
            Time::I16(time) => (out.i16s(time), "i16"),
        };
        let Self { rank, state_zero_point, zero_point, .. } = self;
        let bias = out.i32s(&self.bias);
        let multiplier = multiplier_text(self.multiplier);
        let output =
            format!("scrimp::nn::SvdfOutput {{ bias: {bias}, multiplier: {multiplier}, zero_point: {zero_point} }}");
        let name = out.layer(
            "SVDF",
            &format!("scrimp::nn::Svdf<'static, {ty}>"),
            &format!("scrimp::nn::Svdf::new({feature}, {time}, {rank}, {state_zero_point}, {output})"),
        );
        format!("{name}.run({}, {}, {}, {})", args.x[0], args.state[0], args.y[0], args.scratch)
    }
}

#[derive(Debug)]
struct LstmLayer {
    /// Input, forget, cell, output: each the product with the input and that with the hidden state.
    gates: [[Folded; 2]; 4],
    quant: LstmQuant,
    shape: LstmShape,
}

pub(crate) fn lstm(cx: &Cx<'_>, lstm: Lstm) -> Result<Lowered> {
    cx.counts(20..=24, 1)?;
    ensure!(
        lstm.activation == Fused::Tanh,
        "its activation is {:?}; only TANH is supported (and sigmoid at the gates)",
        lstm.activation
    );
    for k in [9, 10, 11, 16, 17, 20, 21, 22, 23] {
        ensure!(cx.optional(k).is_none(), "input {k} (a peephole, projection or normalization) is not supported");
    }
    let (id, x) = cx.activation(0, Element::I8)?;
    let y = cx.y(0)?;
    let &[first, second, inputs] = x.shape.as_slice() else { bail!("its input is {x}; three axes are needed") };
    let (steps, batch) = if lstm.time_major { (first, second) } else { (second, first) };
    let &[.., units] = cx.x(5)?.shape.as_slice() else { bail!("its recurrent weights are {}", cx.x(5)?) };
    ensure!(y.element == Element::I8, "its output is {y}; int8 is needed");
    ensure!(y.shape == [first, second, units], "its output is {y}, [{first}, {second}, {units}] comes out");
    let elements = batch.checked_mul(units).context("its states are too large")?;
    let (hidden_id, hidden) = state(cx, 18, elements)?;
    let (cell_id, cell) = state(cx, 19, elements)?;
    ensure!(hidden.element == Element::I8, "its output state is {hidden}; int8 is needed");
    ensure!(cell.element == Element::I16, "its cell state is {cell}; int16 is needed");

    let (of_x, of_hidden, of_cell) = (x.quantization()?, hidden.quantization()?, cell.quantization()?);
    ensure!(of_cell.1 == 0, "its cell state {cell} has a zero point");
    let product = |k: usize, inputs: usize, bias: Option<&Tensor>, (scale, zero_point): (f32, i32)| -> Result<Folded> {
        let weights = cx.x(k)?;
        // To units of 2^-12.
        let multiplier = Multiplier::of_scales(scale, weights.quantization()?.0, 1.0 / 4096.0);
        let multiplier = multiplier.with_context(|| format!("{weights} has an absurd scale"))?;
        Folded::new(weights, [units, inputs], bias, zero_point, multiplier, cx.layout)
    };
    let gate = |g: usize| -> Result<[Folded; 2]> {
        let input = product(1 + g, inputs, cx.optional_x(12 + g), of_x)?;
        Ok([input, product(5 + g, units, None, of_hidden)?])
    };
    let layer = LstmLayer {
        gates: [gate(0)?, gate(1)?, gate(2)?, gate(3)?],
        quant: LstmQuant {
            cell_scale: of_cell.0,
            cell_clip: lstm.cell_clip,
            hidden_scale: of_hidden.0,
            hidden_zero_point: of_hidden.1,
        },
        shape: LstmShape { batch, steps, time_major: lstm.time_major },
    };
    layer.layer()?;
    Ok(Lowered::Kernel { operator: Box::new(layer), inputs: vec![id], states: vec![hidden_id, cell_id] })
}

impl LstmLayer {
    fn layer(&self) -> Result<LstmS8<'_>> {
        let gate = |g: usize| -> Result<LstmGate<'_>> {
            let [input, recurrent] = &self.gates[g];
            Ok(LstmGate { input: input.product()?, recurrent: recurrent.product()? })
        };
        let gates = LstmGates { input: gate(0)?, forget: gate(1)?, cell: gate(2)?, output: gate(3)? };
        Ok(LstmS8::new(gates, self.quant, self.shape)?)
    }
}

impl Operator for LstmLayer {
    fn kernel(&self) -> &'static str {
        "LstmS8"
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        let [hidden, cell] = io.states.as_mut_slice() else { bail!("it has {} states", io.states.len()) };
        let mut state = LstmState { hidden: bytemuck::cast_slice_mut(hidden), cell: bytemuck::cast_slice_mut(cell) };
        let x = bytemuck::cast_slice(io.inputs[0]);
        let y = bytemuck::cast_slice_mut(io.outputs[0]);
        Ok(self.layer()?.run(x, &mut state, y, bytemuck::cast_slice_mut(io.scratch))?)
    }

    fn scratch(&self) -> Scratch {
        Scratch { element: Element::I32, len: 2 * self.gates[0][0].shape.rows() }
    }

    fn macs(&self) -> u64 {
        let weights: usize = self.gates.iter().flatten().map(|product| product.shape.elements()).sum();
        (self.shape.batch * self.shape.steps) as u64 * weights as u64
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let gates: Vec<String> = ["input", "forget", "cell", "output"]
            .iter()
            .zip(&self.gates)
            .map(|(name, [input, recurrent])| {
                let (input, recurrent) = (input.emit(out), recurrent.emit(out));
                format!("{name}: scrimp::nn::LstmGate {{ input: {input}, recurrent: {recurrent} }}")
            })
            .collect();
        let LstmQuant { cell_scale, cell_clip, hidden_scale, hidden_zero_point } = self.quant;
        let LstmShape { batch, steps, time_major } = self.shape;
        let name = out.layer(
            "LSTM",
            "scrimp::nn::LstmS8<'static>",
            &format!(
                "scrimp::nn::LstmS8::new(scrimp::nn::LstmGates {{ {} }}, scrimp::nn::LstmQuant {{ cell_scale: {cell_scale:?}, cell_clip: {cell_clip:?}, hidden_scale: {hidden_scale:?}, hidden_zero_point: {hidden_zero_point} }}, scrimp::nn::LstmShape {{ batch: {batch}, steps: {steps}, time_major: {time_major} }})",
                gates.join(", ")
            ),
        );
        let state = format!("&mut scrimp::nn::LstmState {{ hidden: {}, cell: {} }}", args.state[0], args.state[1]);
        format!("{name}.run({}, {state}, {}, {})", args.x[0], args.y[0], args.scratch)
    }
}
