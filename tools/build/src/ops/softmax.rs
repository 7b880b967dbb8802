//! SOFTMAX and LOG_SOFTMAX over the last axis.

use anyhow::{Context as _, Result, bail, ensure};
use scrimp::{LogSoftmaxS8, Rows, SoftmaxS8, SoftmaxS16};

use crate::emit::Emitter;
use crate::graph::{Element, Tensor};
use crate::lower::{Cx, Lowered};
use crate::operator::{Args, Io, Operator, Overlay};
use crate::ops::rows_constant;

#[derive(Debug)]
struct Softmax {
    layer: Layer,
    /// The constructor's arguments.
    arguments: String,
    rows: Rows,
}

#[derive(Debug)]
enum Layer {
    S8(SoftmaxS8),
    /// From 8 bits to 16.
    S8S16(SoftmaxS8),
    S16(SoftmaxS16),
    Log(LogSoftmaxS8),
}

pub(crate) fn lower(cx: &Cx<'_>, beta: f32) -> Result<Lowered> {
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    let scale = x.quantization()?.0;
    let made =
        |softmax: Result<SoftmaxS8, scrimp::Error>| softmax.with_context(|| format!("beta {beta}, scale {scale}"));
    let layer = match (x.element, y.element) {
        (Element::I8, Element::I8) => {
            output(y, 1.0 / 256.0, -128)?;
            Layer::S8(made(SoftmaxS8::new(scale.into(), beta.into()))?)
        }
        (Element::I8, Element::I16) => {
            output(y, 1.0 / 65_536.0, -32_768)?;
            Layer::S8S16(made(SoftmaxS8::new(scale.into(), beta.into()))?)
        }
        (Element::I16, Element::I16) => {
            output(y, 1.0 / 32_768.0, 0)?;
            let softmax = SoftmaxS16::new(scale.into(), beta.into());
            Layer::S16(softmax.with_context(|| format!("beta {beta}, scale {scale}"))?)
        }
        _ => bail!("{x} to {y} is not supported: int8 to int8 or int16, and int16 to int16 are"),
    };
    build(cx, layer, format!("{scale:?}_f32 as f64, {beta:?}_f32 as f64"))
}

pub(crate) fn lower_log(cx: &Cx<'_>) -> Result<Lowered> {
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    ensure!(x.element == Element::I8 && y.element == Element::I8, "{x} to {y} is not supported: int8 to int8 is");
    output(y, 1.0 / 16.0, 127)?;
    let scale = x.quantization()?.0;
    let log = LogSoftmaxS8::new(scale.into()).with_context(|| format!("scale {scale}"))?;
    build(cx, Layer::Log(log), format!("{scale:?}_f32 as f64"))
}

/// `Ok` if the output is quantized so.
fn output(y: &Tensor, scale: f32, zero_point: i32) -> Result<()> {
    let (got, got_zero) = y.quantization()?;
    ensure!(
        (got / scale - 1.0).abs() < 1e-3 && got_zero == zero_point,
        "its output {y} has scale {got} and zero point {got_zero}; this operator gives {scale} and {zero_point}"
    );
    Ok(())
}

fn build(cx: &Cx<'_>, layer: Layer, arguments: String) -> Result<Lowered> {
    cx.counts(1..=1, 1)?;
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    let (id, _) = cx.activation(0, x.element)?;
    ensure!(x.shape == y.shape, "its output is {y}, but its input {x}");
    let cols = *x.shape.last().context("a scalar has no row")?;
    let rows = Rows::new(x.elements().checked_div(cols).unwrap_or(0), cols)?;
    ensure!(cols <= 1 << 16, "{x} has rows of {cols}, at most 65536 are possible");
    Ok(Lowered::kernel(Softmax { layer, arguments, rows }, vec![id]))
}

impl Operator for Softmax {
    fn kernel(&self) -> &'static str {
        match self.layer {
            Layer::S8(_) | Layer::S8S16(_) => "SoftmaxS8",
            Layer::S16(_) => "SoftmaxS16",
            Layer::Log(_) => "LogSoftmaxS8",
        }
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        let (rows, in_place) = (self.rows, io.in_place.is_some());
        match &self.layer {
            Layer::S8S16(softmax) => softmax.run_s16(io.x(0), io.y(0), rows)?,
            Layer::S8(softmax) if in_place => softmax.run_in_place(io.y(0), rows)?,
            Layer::S8(softmax) => softmax.run(io.x(0), io.y(0), rows)?,
            Layer::S16(softmax) if in_place => softmax.run_in_place(io.y(0), rows)?,
            Layer::S16(softmax) => softmax.run(io.x(0), io.y(0), rows)?,
            Layer::Log(softmax) if in_place => softmax.run_in_place(io.y(0), rows)?,
            Layer::Log(softmax) => softmax.run(io.x(0), io.y(0), rows)?,
        }
        Ok(())
    }

    fn overlay(&self) -> Overlay {
        if let Layer::S8S16(_) = self.layer { Overlay::None } else { Overlay::Exact(&[0]) }
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let ty = format!("scrimp::{}", self.kernel());
        let kind = if let Layer::Log(_) = self.layer { "LOG_SOFTMAX" } else { "SOFTMAX" };
        let name = out.layer(kind, &ty, &format!("{ty}::new({})", self.arguments));
        let rows = rows_constant(out, self.rows);
        match (&self.layer, args.in_place) {
            (Layer::S8S16(_), _) => format!("{name}.run_s16({}, {}, {rows})", args.x[0], args.y[0]),
            (_, None) => format!("{name}.run({}, {}, {rows})", args.x[0], args.y[0]),
            (_, Some(_)) => format!("{name}.run_in_place({}, {rows})", args.y[0]),
        }
    }
}
