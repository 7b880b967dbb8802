//! ADD, SUB, MUL, SQUARED_DIFFERENCE, MAXIMUM, MINIMUM, PRELU: two operands, of which one may be constant and the smaller one
//! is repeated.

use anyhow::{Context as _, Result, bail, ensure};
use bytemuck::{AnyBitPattern, NoUninit};
use scrimp::Quantization;
use scrimp::nn::{Activated, Activation, Add, Broadcast, MinMax, Mul, Prelu, SquaredDifference};

use crate::emit::Emitter;
use crate::graph::{Element, Tensor};
use crate::lower::{Cx, Lowered};
use crate::op::Fused;
use crate::operator::{Args, Io, Operator, Overlay};
use crate::ops::{activation, quantization, quantization_text};

/// What is done with two codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Add,
    Sub,
    /// The second operand less the first.
    ReverseSub,
    Mul,
    SquaredDifference,
    Maximum,
    Minimum,
    Prelu,
}

#[derive(Clone, Debug)]
struct Pairwise {
    kind: Kind,
    /// Of operands and output; the slopes of a PRELU are int8 all the same.
    element: Element,
    shapes: [Vec<usize>; 2],
    /// Of operands and output.
    quants: [Quantization; 3],
    activation: Activation,
    constants: [Option<Constant>; 2],
    /// Inputs whose place the output may take.
    overlay: &'static [usize],
}

#[derive(Clone, Debug)]
enum Constant {
    S8(Vec<i8>),
    S16(Vec<i16>),
}

/// A library layer.
enum Layer<T> {
    Add(Add<T>),
    Mul(Mul<T>),
    SquaredDifference(SquaredDifference<T>),
    MinMax(MinMax<T>),
    Prelu(Prelu<T>),
}

pub(crate) fn lower(cx: &Cx<'_>, kind: Kind, fused: Fused) -> Result<Lowered> {
    cx.counts(2..=2, 1)?;
    let (tensors, y) = ([cx.x(0)?, cx.x(1)?], cx.y(0)?);
    let element = y.element;
    ensure!(matches!(element, Element::I8 | Element::I16), "its output is {y}; int8 or int16 is needed");
    for (k, &x) in tensors.iter().enumerate() {
        let want = if kind == Kind::Prelu && k == 1 { Element::I8 } else { element };
        ensure!(x.element == want, "input {k} is {x}; {want} is needed here");
    }
    let constants = [constant(tensors[0])?, constant(tensors[1])?];
    let shapes = tensors.map(|x| x.shape.clone());
    let shape = Broadcast::new(&shapes[0], &shapes[1])
        .with_context(|| format!("{} and {} do not go together", tensors[0], tensors[1]))?;
    ensure!(shape.output() == y.elements(), "its output is {y}, but {} elements come out", shape.output());
    let quants = [quantization(tensors[0])?, quantization(tensors[1])?, quantization(y)?];
    let activation = activation(fused)?;

    let (ids, ids_of) = inputs(cx, &constants)?;
    let is_whole = |side: usize| tensors[side].elements() == y.elements() && tensors[side].element == element;
    let overlay: &'static [usize] = match (ids_of, kind) {
        // Both are the same tensor.
        ([Some(_), Some(_)], _) if ids[0] == ids[1] => &[],
        ([first, second], _) => {
            let may = |side: usize| is_whole(side) && !(kind == Kind::Prelu && side == 1);
            match (first.filter(|_| may(0)), second.filter(|_| may(1))) {
                (Some(0), Some(1)) => &[0, 1],
                (Some(_), None) => &[0],
                (None, Some(0)) => &[0],
                (None, Some(_)) => &[1],
                _ => &[],
            }
        }
    };
    let layer = Pairwise { kind, element, shapes, quants, activation, constants, overlay };
    // Everything that the constructor refuses is refused here, not when it runs.
    match element {
        Element::I8 => layer.layer::<i8>().map(|_| ())?,
        _ => layer.layer::<i16>().map(|_| ())?,
    }
    Ok(Lowered::kernel(layer, ids))
}

/// The operands that are activations, and the place that each has among them.
fn inputs(cx: &Cx<'_>, constants: &[Option<Constant>; 2]) -> Result<(Vec<crate::graph::TensorId>, [Option<usize>; 2])> {
    let (mut ids, mut places) = (Vec::new(), [None; 2]);
    for side in 0..2 {
        if constants[side].is_none() {
            places[side] = Some(ids.len());
            ids.push(cx.input(side)?);
        }
    }
    ensure!(
        !ids.is_empty(),
        "both of its inputs are constant, so that nothing is left to compute: fold it when converting"
    );
    Ok((ids, places))
}

fn constant(x: &Tensor) -> Result<Option<Constant>> {
    Ok(match x.element {
        _ if !x.is_constant() => None,
        Element::I8 => Some(Constant::S8(x.i8s()?)),
        _ => Some(Constant::S16(x.i16s()?)),
    })
}

/// Types whose constants are kept.
trait Codes: Activated + AnyBitPattern + NoUninit {
    fn of(constant: &Constant) -> Option<&[Self]>;
}

impl Codes for i8 {
    fn of(constant: &Constant) -> Option<&[Self]> {
        if let Constant::S8(codes) = constant { Some(codes) } else { None }
    }
}

impl Codes for i16 {
    fn of(constant: &Constant) -> Option<&[Self]> {
        if let Constant::S16(codes) = constant { Some(codes) } else { None }
    }
}

impl Pairwise {
    /// The same with its operands exchanged.
    fn swapped(&self) -> Result<Self> {
        let kind = match self.kind {
            Kind::Sub => Kind::ReverseSub,
            Kind::ReverseSub => Kind::Sub,
            Kind::Prelu => bail!("the slopes cannot be overwritten"),
            kind => kind,
        };
        let Self { shapes: [a, b], quants: [qa, qb, q], constants: [ca, cb], .. } = self.clone();
        Ok(Self { kind, shapes: [b, a], quants: [qb, qa, q], constants: [cb, ca], ..self.clone() })
    }

    fn layer<T: Activated>(&self) -> Result<Layer<T>> {
        let shape = Broadcast::new(&self.shapes[0], &self.shapes[1])?;
        let ([a, b, q], activation) = (self.quants, self.activation);
        Ok(match self.kind {
            Kind::Add => Layer::Add(Add::new(shape, a, b, q, activation)?),
            Kind::Sub => Layer::Add(Add::sub(shape, a, b, q, activation)?),
            Kind::ReverseSub => Layer::Add(Add::reverse_sub(shape, a, b, q, activation)?),
            Kind::Mul => Layer::Mul(Mul::new(shape, a, b, q, activation)?),
            Kind::SquaredDifference => Layer::SquaredDifference(SquaredDifference::new(shape, a, b, q)?),
            Kind::Maximum => Layer::MinMax(MinMax::maximum(shape)),
            Kind::Minimum => Layer::MinMax(MinMax::minimum(shape)),
            Kind::Prelu => Layer::Prelu(Prelu::new(shape, a, b, q)?),
        })
    }

    /// The place of a side among the activations.
    fn place(&self, side: usize) -> usize {
        if side == 1 && self.constants[0].is_none() { 1 } else { 0 }
    }

    /// An operand, constant or not.
    fn operand<'a, T: Codes>(&'a self, io: &Io<'a>, side: usize) -> Result<&'a [T]> {
        match &self.constants[side] {
            Some(constant) => T::of(constant).context("a constant of another type"),
            None => Ok(io.x(self.place(side))),
        }
    }

    /// Whether the output lies over the second operand.
    fn is_over_second(&self, in_place: Option<usize>) -> bool {
        in_place.is_some_and(|place| self.constants[1].is_none() && place == self.place(1))
    }

    fn run_as<T: Codes>(&self, io: &mut Io<'_>) -> Result<()> {
        if self.is_over_second(io.in_place) {
            let swapped = self.swapped()?;
            let other = self.operand::<T>(io, 0)?;
            return swapped.layer::<T>()?.run_in_place(io.y(0), other);
        }
        let layer = self.layer::<T>()?;
        if let Layer::Prelu(prelu) = &layer {
            let slopes = self.operand::<i8>(io, 1)?;
            match io.in_place {
                Some(_) => prelu.run_in_place(io.y(0), slopes)?,
                None => prelu.run(self.operand::<T>(io, 0)?, slopes, io.y(0))?,
            }
            return Ok(());
        }
        let second = self.operand::<T>(io, 1)?;
        if io.in_place.is_some() {
            return layer.run_in_place(io.y(0), second);
        }
        let first = self.operand::<T>(io, 0)?;
        layer.run(first, second, io.y(0))
    }

    /// The type and the constructor of the library's layer.
    fn text(&self) -> (String, String) {
        let (ty, function) = match self.kind {
            Kind::Add => ("Add", "new"),
            Kind::Sub => ("Add", "sub"),
            Kind::ReverseSub => ("Add", "reverse_sub"),
            Kind::Mul => ("Mul", "new"),
            Kind::SquaredDifference => ("SquaredDifference", "new"),
            Kind::Maximum => ("MinMax", "maximum"),
            Kind::Minimum => ("MinMax", "minimum"),
            Kind::Prelu => ("Prelu", "new"),
        };
        let ty = format!("scrimp::nn::{ty}S{}", if self.element == Element::I8 { 8 } else { 16 });
        let [a, b] = &self.shapes;
        let shape = format!("scrimp::expect!(scrimp::nn::Broadcast::new(&{a:?}, &{b:?}))");
        let quants = self.quants.map(quantization_text).join(", ");
        let constructor = match self.kind {
            Kind::Maximum | Kind::Minimum => format!("Ok::<_, scrimp::Error>({ty}::{function}({shape}))"),
            Kind::SquaredDifference | Kind::Prelu => format!("{ty}::{function}({shape}, {quants})"),
            _ => format!("{ty}::{function}({shape}, {quants}, scrimp::nn::Activation::{:?})", self.activation),
        };
        (ty, constructor)
    }

    /// Where the call finds an operand.
    fn argument(&self, out: &mut Emitter<'_>, args: &Args, side: usize) -> String {
        match &self.constants[side] {
            Some(Constant::S8(codes)) => out.i8s(codes),
            Some(Constant::S16(codes)) => out.i16s(codes),
            None => args.x[self.place(side)].clone(),
        }
    }
}

impl<T: Activated> Layer<T> {
    fn run(&self, first: &[T], second: &[T], y: &mut [T]) -> Result<()> {
        match self {
            Self::Add(layer) => layer.run(first, second, y)?,
            Self::Mul(layer) => layer.run(first, second, y)?,
            Self::SquaredDifference(layer) => layer.run(first, second, y)?,
            Self::MinMax(layer) => layer.run(first, second, y)?,
            Self::Prelu(_) => bail!("slopes are of 8 bits"),
        }
        Ok(())
    }

    fn run_in_place(&self, first: &mut [T], second: &[T]) -> Result<()> {
        match self {
            Self::Add(layer) => layer.run_in_place(first, second)?,
            Self::Mul(layer) => layer.run_in_place(first, second)?,
            Self::SquaredDifference(layer) => layer.run_in_place(first, second)?,
            Self::MinMax(layer) => layer.run_in_place(first, second)?,
            Self::Prelu(_) => bail!("slopes are of 8 bits"),
        }
        Ok(())
    }
}

impl Operator for Pairwise {
    fn kernel(&self) -> &'static str {
        let is_s8 = self.element == Element::I8;
        match self.kind {
            Kind::Add | Kind::Sub | Kind::ReverseSub => {
                if is_s8 {
                    "AddS8"
                } else {
                    "AddS16"
                }
            }
            Kind::Mul => {
                if is_s8 {
                    "MulS8"
                } else {
                    "MulS16"
                }
            }
            Kind::SquaredDifference => {
                if is_s8 {
                    "SquaredDifferenceS8"
                } else {
                    "SquaredDifferenceS16"
                }
            }
            Kind::Maximum | Kind::Minimum => {
                if is_s8 {
                    "MinMaxS8"
                } else {
                    "MinMaxS16"
                }
            }
            Kind::Prelu => {
                if is_s8 {
                    "PreluS8"
                } else {
                    "PreluS16"
                }
            }
        }
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        match self.element {
            Element::I8 => self.run_as::<i8>(io),
            _ => self.run_as::<i16>(io),
        }
    }

    fn overlay(&self) -> Overlay {
        if self.overlay.is_empty() { Overlay::None } else { Overlay::Exact(self.overlay) }
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let kind = match self.kind {
            Kind::Add => "ADD",
            Kind::Sub | Kind::ReverseSub => "SUB",
            Kind::Mul => "MUL",
            Kind::SquaredDifference => "SQUARED_DIFFERENCE",
            Kind::Maximum => "MAXIMUM",
            Kind::Minimum => "MINIMUM",
            Kind::Prelu => "PRELU",
        };
        let swapped = if self.is_over_second(args.in_place) { self.swapped().ok() } else { None };
        let (ty, constructor) = swapped.as_ref().unwrap_or(self).text();
        let name = out.layer(kind, &ty, &constructor);
        let y = &args.y[0];
        match (swapped, args.in_place) {
            (Some(_), _) => format!("{name}.run_in_place({y}, {})", self.argument(out, args, 0)),
            (None, Some(_)) => format!("{name}.run_in_place({y}, {})", self.argument(out, args, 1)),
            (None, None) => {
                let (first, second) = (self.argument(out, args, 0), self.argument(out, args, 1));
                format!("{name}.run({first}, {second}, {y})")
            }
        }
    }
}
