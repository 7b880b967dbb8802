//! SOFTMAX over the last axis.

use anyhow::{Context as _, Result, ensure};
use scrimp::{Rows, SoftmaxS8};

use crate::emit::Emitter;
use crate::graph::Element;
use crate::lower::{Cx, Lowered};
use crate::operator::{Args, Io, Operator, Overlay};

#[derive(Debug)]
struct Softmax {
    scale: f32,
    beta: f32,
    softmax: SoftmaxS8,
    rows: Rows,
    is_s16: bool,
}

pub(crate) fn lower(cx: &Cx<'_>, beta: f32) -> Result<Lowered> {
    cx.counts(1..=1, 1)?;
    let (id, x) = cx.activation(0, Element::I8)?;
    let y = cx.y(0)?;
    ensure!(x.shape == y.shape, "its output is {y}, but its input {x}");
    let (want, is_s16) = match y.element {
        Element::I8 => ((1.0 / 256.0, -128), false),
        Element::I16 => ((1.0 / 65536.0, -32768), true),
        _ => anyhow::bail!("its output is {y}; int8 or int16 is needed"),
    };
    let (scale, zero_point) = y.quantization()?;
    ensure!(
        (scale / want.0 - 1.0).abs() < 1e-3 && zero_point == want.1,
        "its output {y} has scale {scale} and zero point {zero_point}; softmax gives {} and {}",
        want.0,
        want.1
    );
    let cols = *x.shape.last().context("a scalar has no row")?;
    let rows = Rows::new(x.elements().checked_div(cols).unwrap_or(0), cols)?;
    let scale = x.quantization()?.0;
    let softmax = SoftmaxS8::new(scale.into(), beta.into()).with_context(|| format!("beta {beta}, scale {scale}"))?;
    Ok(Lowered::kernel(Softmax { scale, beta, softmax, rows, is_s16 }, vec![id]))
}

impl Operator for Softmax {
    fn kernel(&self) -> &'static str {
        "SoftmaxS8"
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        match (self.is_s16, io.in_place) {
            (true, _) => self.softmax.run_s16(io.x(0), io.y(0), self.rows)?,
            (false, None) => self.softmax.run(io.x(0), io.y(0), self.rows)?,
            (false, Some(_)) => self.softmax.run_in_place(io.y(0), self.rows)?,
        }
        Ok(())
    }

    fn overlay(&self) -> Overlay {
        if self.is_s16 { Overlay::None } else { Overlay::Exact(&[0]) }
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let Self { scale, beta, rows, .. } = self;
        let name = out.layer(
            "SOFTMAX",
            "scrimp::SoftmaxS8",
            &format!("scrimp::SoftmaxS8::new({scale:?}_f32 as f64, {beta:?}_f32 as f64)"),
        );
        let rows = format!("scrimp::expect!(scrimp::Rows::new({}, {}))", rows.rows(), rows.cols());
        let rows = out.constant("ROWS", "scrimp::Rows", &rows);
        match (self.is_s16, args.in_place) {
            (true, _) => format!("{name}.run_s16({}, {}, {rows})", args.x[0], args.y[0]),
            (false, None) => format!("{name}.run({}, {}, {rows})", args.x[0], args.y[0]),
            (false, Some(_)) => format!("{name}.run_in_place({}, {rows})", args.y[0]),
        }
    }
}
