//! MEAN, SUM, REDUCE_MAX, REDUCE_MIN, ARG_MAX, ARG_MIN and L2_NORMALIZATION.

use anyhow::{Context as _, Result, bail, ensure};
use bytemuck::{AnyBitPattern, NoUninit};
use scrimp::nn::{Activated, ArgMax, Index, L2NormS8, Mean, Reduce, Reduction};
use scrimp::{Quantization, Rows};

use crate::emit::Emitter;
use crate::graph::{Element, Tensor};
use crate::lower::{Cx, Lowered};
use crate::op::{Fused, Op};
use crate::operator::{Args, Io, Operator, Overlay};
use crate::ops::{quantization, quantization_text};

#[derive(Debug)]
struct Combined {
    op: Op,
    element: Element,
    shape: Vec<usize>,
    axes: Vec<usize>,
    x: Quantization,
    y: Quantization,
}

/// Axes of a constant tensor, counted from the front, in order and once each.
fn axes(of: &Tensor, rank: usize) -> Result<Vec<usize>> {
    let mut axes = Vec::new();
    for axis in of.integers()? {
        axes.push(self::axis(axis, rank)?);
    }
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

fn axis(axis: i64, rank: usize) -> Result<usize> {
    let from_front = if axis < 0 { axis + rank as i64 } else { axis };
    let inside = usize::try_from(from_front).ok().filter(|&axis| axis < rank);
    inside.with_context(|| format!("axis {axis} of a tensor with {rank} axes"))
}

pub(crate) fn lower(cx: &Cx<'_>) -> Result<Lowered> {
    cx.counts(2..=2, 1)?;
    let y = cx.y(0)?;
    let (id, x) = cx.activation(0, y.element)?;
    let axes = axes(cx.x(1)?, x.shape.len())?;
    let shape = Reduction::new(&x.shape, &axes).with_context(|| format!("{x} along {axes:?}"))?;
    ensure!(shape.output() == y.elements(), "its output is {y}, but {} elements come out", shape.output());
    let (of_x, of_y) = (quantization(x)?, quantization(y)?);
    let keeps_codes = matches!(cx.node.op, Op::ReduceMax { .. } | Op::ReduceMin { .. });
    ensure!(!keeps_codes || of_x == of_y, "{x} and {y} are quantized otherwise, which this operator cannot change");
    let combined =
        Combined { op: cx.node.op.clone(), element: y.element, shape: x.shape.clone(), axes, x: of_x, y: of_y };
    match y.element {
        Element::I8 => combined.check::<i8>()?,
        Element::I16 => combined.check::<i16>()?,
        _ => bail!("its output is {y}; int8 or int16 is needed"),
    }
    Ok(Lowered::kernel(combined, vec![id]))
}

impl Combined {
    fn reduction(&self) -> Result<Reduction> {
        Ok(Reduction::new(&self.shape, &self.axes)?)
    }

    fn mean<T: Activated>(&self) -> Result<Mean<T>> {
        let shape = self.reduction()?;
        Ok(match self.op {
            Op::Mean { .. } => Mean::new(shape, self.x, self.y)?,
            _ => Mean::sum(shape, self.x, self.y)?,
        })
    }

    fn check<T: Activated>(&self) -> Result<()> {
        if let Op::Mean { .. } | Op::Sum { .. } = self.op {
            self.mean::<T>().context("its scales and zero points")?;
        }
        Ok(())
    }

    fn run_as<T: Activated + AnyBitPattern + NoUninit>(&self, io: &mut Io<'_>) -> Result<()> {
        let x = io.x::<T>(0);
        match self.op {
            Op::ReduceMax { .. } => Reduce::max(self.reduction()?).run(x, io.y(0))?,
            Op::ReduceMin { .. } => Reduce::min(self.reduction()?).run(x, io.y(0))?,
            _ => self.mean::<T>()?.run(x, io.y(0))?,
        }
        Ok(())
    }
}

impl Operator for Combined {
    fn kernel(&self) -> &'static str {
        match (&self.op, self.element) {
            (Op::Mean { .. } | Op::Sum { .. }, Element::I8) => "MeanS8",
            (Op::Mean { .. } | Op::Sum { .. }, _) => "MeanS16",
            (_, Element::I8) => "ReduceS8",
            _ => "ReduceS16",
        }
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        match self.element {
            Element::I8 => self.run_as::<i8>(io),
            _ => self.run_as::<i16>(io),
        }
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let ty = format!("scrimp::nn::{}", self.kernel());
        let Self { shape, axes, .. } = self;
        let shape = format!("scrimp::expect!(scrimp::nn::Reduction::new(&{shape:?}, &{axes:?}))");
        let quants = format!("{}, {}", quantization_text(self.x), quantization_text(self.y));
        let (kind, constructor) = match self.op {
            Op::Mean { .. } => ("MEAN", format!("{ty}::new({shape}, {quants})")),
            Op::Sum { .. } => ("SUM", format!("{ty}::sum({shape}, {quants})")),
            Op::ReduceMax { .. } => ("REDUCE_MAX", format!("Ok::<_, scrimp::Error>({ty}::max({shape}))")),
            _ => ("REDUCE_MIN", format!("Ok::<_, scrimp::Error>({ty}::min({shape}))")),
        };
        let name = out.layer(kind, &ty, &constructor);
        format!("{name}.run({}, {})", args.x[0], args.y[0])
    }
}

#[derive(Debug)]
struct Place {
    is_max: bool,
    from: Element,
    to: Element,
    shape: [usize; 3],
}

pub(crate) fn lower_arg(cx: &Cx<'_>, is_max: bool) -> Result<Lowered> {
    cx.counts(2..=2, 1)?;
    let (id, x, y) = (cx.input(0)?, cx.x(0)?, cx.y(0)?);
    ensure!(!x.is_constant(), "its input ({x}) is constant, which is not supported here");
    ensure!(matches!(x.element, Element::I8 | Element::I16), "its input is {x}; int8 or int16 is needed");
    ensure!(matches!(y.element, Element::I32 | Element::I64), "its output is {y}; int32 or int64 is needed");
    let &[axis] = cx.x(1)?.integers()?.as_slice() else { bail!("its axis is {}, one is needed", cx.x(1)?) };
    let axis = self::axis(axis, x.shape.len())?;
    let shape = [x.shape[..axis].iter().product(), x.shape[axis], x.shape[axis + 1..].iter().product()];
    let place = Place { is_max, from: x.element, to: y.element, shape };
    ensure!(shape[0] * shape[2] == y.elements(), "its output is {y}, but {} places come out", shape[0] * shape[2]);
    ArgMax::<i8, i32>::max(shape).with_context(|| x.to_string())?;
    Ok(Lowered::kernel(place, vec![id]))
}

impl Place {
    fn run_as<X, Y>(&self, io: &mut Io<'_>) -> Result<()>
    where
        X: Activated + AnyBitPattern + NoUninit,
        Y: Index + AnyBitPattern + NoUninit,
    {
        let layer = if self.is_max { ArgMax::<X, Y>::max(self.shape)? } else { ArgMax::<X, Y>::min(self.shape)? };
        Ok(layer.run(io.x(0), io.y(0))?)
    }
}

impl Operator for Place {
    fn kernel(&self) -> &'static str {
        "ArgMax"
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        match (self.from, self.to) {
            (Element::I8, Element::I32) => self.run_as::<i8, i32>(io),
            (Element::I8, _) => self.run_as::<i8, i64>(io),
            (_, Element::I32) => self.run_as::<i16, i32>(io),
            _ => self.run_as::<i16, i64>(io),
        }
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let ty = format!("scrimp::nn::ArgMax<{}, {}>", self.from.rust(), self.to.rust());
        let (kind, function) = if self.is_max { ("ARG_MAX", "max") } else { ("ARG_MIN", "min") };
        let name = out.layer(kind, &ty, &format!("scrimp::nn::ArgMax::{function}({:?})", self.shape));
        format!("{name}.run({}, {})", args.x[0], args.y[0])
    }
}

#[derive(Debug)]
struct Norm {
    x: Quantization,
    layer: L2NormS8,
    rows: Rows,
}

pub(crate) fn lower_l2(cx: &Cx<'_>, activation: Fused) -> Result<Lowered> {
    cx.counts(1..=1, 1)?;
    ensure!(activation == Fused::None, "its fused activation ({activation:?}) is not supported");
    let (id, x) = cx.activation(0, Element::I8)?;
    let y = cx.y(0)?;
    ensure!(y.element == Element::I8 && y.elements() == x.elements(), "its output is {y}, but its input {x}");
    let of_y = quantization(y)?;
    ensure!(
        (of_y.scale * 128.0 - 1.0).abs() < 1e-3 && of_y.zero_point == 0,
        "its output has scale {} and zero point {}; this operator gives 1/128 and 0",
        of_y.scale,
        of_y.zero_point
    );
    let cols = *x.shape.last().context("a scalar has no row")?;
    let rows = Rows::new(x.elements().checked_div(cols).unwrap_or(0), cols)?;
    ensure!(cols <= 1 << 15, "{x} has rows of {cols}, at most 32768 are possible");
    let of_x = quantization(x)?;
    Ok(Lowered::kernel(Norm { x: of_x, layer: L2NormS8::new(of_x)?, rows }, vec![id]))
}

impl Operator for Norm {
    fn kernel(&self) -> &'static str {
        "L2NormS8"
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        match io.in_place {
            None => self.layer.run(io.x(0), io.y(0), self.rows)?,
            Some(_) => self.layer.run_in_place(io.y(0), self.rows)?,
        }
        Ok(())
    }

    fn overlay(&self) -> Overlay {
        Overlay::Exact(&[0])
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let constructor = format!("scrimp::nn::L2NormS8::new({})", quantization_text(self.x));
        let name = out.layer("L2_NORM", "scrimp::nn::L2NormS8", &constructor);
        let rows = crate::ops::rows_constant(out, self.rows);
        match args.in_place {
            None => format!("{name}.run({}, {}, {rows})", args.x[0], args.y[0]),
            Some(_) => format!("{name}.run_in_place({}, {rows})", args.y[0]),
        }
    }
}
