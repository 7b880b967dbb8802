//! QUANTIZE and DEQUANTIZE: between floats and codes, and between codes.

use anyhow::{Context as _, Result, bail, ensure};
use scrimp::Quantization;
use scrimp::nn::{Dequantize, Quantize, Rescale};

use crate::emit::Emitter;
use crate::graph::Element;
use crate::lower::{Cx, Lowered};
use crate::operator::{Args, Io, Operator, Overlay};
use crate::ops::{quantization, quantization_text};

/// Does `$what!(X, Y)` for the pair of types that is there.
macro_rules! with_types {
    ($self:expr, $what:ident, $or:expr) => {
        match ($self.from, $self.to) {
            (Element::I8, Element::I8) => $what!(Rescale, i8, i8),
            (Element::I8, Element::U8) => $what!(Rescale, i8, u8),
            (Element::U8, Element::I8) => $what!(Rescale, u8, i8),
            (Element::U8, Element::U8) => $what!(Rescale, u8, u8),
            (Element::I8, Element::I16) => $what!(Rescale, i8, i16),
            (Element::I8, Element::I32) => $what!(Rescale, i8, i32),
            (Element::I16, Element::I8) => $what!(Rescale, i16, i8),
            (Element::I16, Element::I16) => $what!(Rescale, i16, i16),
            (Element::I16, Element::I32) => $what!(Rescale, i16, i32),
            (Element::I32, Element::I8) => $what!(Rescale, i32, i8),
            (Element::I32, Element::I16) => $what!(Rescale, i32, i16),
            (Element::F32, Element::I8) => $what!(Quantize, f32, i8),
            (Element::F32, Element::U8) => $what!(Quantize, f32, u8),
            (Element::F32, Element::I16) => $what!(Quantize, f32, i16),
            (Element::I8, Element::F32) => $what!(Dequantize, i8, f32),
            (Element::U8, Element::F32) => $what!(Dequantize, u8, f32),
            (Element::I16, Element::F32) => $what!(Dequantize, i16, f32),
            _ => $or,
        }
    };
}

#[derive(Debug)]
struct Convert {
    from: Element,
    to: Element,
    x: Quantization,
    y: Quantization,
}

pub(crate) fn lower(cx: &Cx<'_>) -> Result<Lowered> {
    cx.counts(1..=1, 1)?;
    let (id, x, y) = (cx.input(0)?, cx.x(0)?, cx.y(0)?);
    ensure!(!x.is_constant(), "its input ({x}) is constant, which is not supported here: fold it when converting");
    ensure!(x.elements() == y.elements(), "its output is {y}, but its input {x}");
    let of = |tensor: &crate::graph::Tensor| match tensor.element {
        Element::F32 => Ok(Quantization::new(1.0, 0)),
        _ => quantization(tensor),
    };
    let convert = Convert { from: x.element, to: y.element, x: of(x)?, y: of(y)? };
    macro_rules! check {
        (Rescale, $x:ty, $y:ty) => {
            Rescale::<$x, $y>::new(convert.x, convert.y).map(drop)
        };
        (Quantize, $x:ty, $y:ty) => {
            Quantize::<$y>::new(convert.y).map(drop)
        };
        (Dequantize, $x:ty, $y:ty) => {
            Dequantize::<$x>::new(convert.x).map(drop)
        };
    }
    with_types!(convert, check, bail!("{x} to {y} is not supported"))
        .with_context(|| format!("scales and zero points of {x} and {y}"))?;
    Ok(Lowered::kernel(convert, vec![id]))
}

impl Convert {
    /// One over the other takes a form in place, which there is for equal types.
    fn is_in_place(&self) -> bool {
        self.from == self.to
    }
}

impl Operator for Convert {
    fn kernel(&self) -> &'static str {
        match (self.from, self.to) {
            (Element::F32, _) => "Quantize",
            (_, Element::F32) => "Dequantize",
            _ => "Rescale",
        }
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        if io.in_place.is_some() {
            match self.from {
                Element::I8 => Rescale::<i8, i8>::new(self.x, self.y)?.run_in_place(io.y(0)),
                Element::U8 => Rescale::<u8, u8>::new(self.x, self.y)?.run_in_place(io.y(0)),
                Element::I16 => Rescale::<i16, i16>::new(self.x, self.y)?.run_in_place(io.y(0)),
                _ => bail!("no form in place"),
            }
            return Ok(());
        }
        macro_rules! run {
            (Rescale, $x:ty, $y:ty) => {
                Rescale::<$x, $y>::new(self.x, self.y)?.run(io.x(0), io.y(0))?
            };
            (Quantize, $x:ty, $y:ty) => {
                Quantize::<$y>::new(self.y)?.run(io.x(0), io.y(0))?
            };
            (Dequantize, $x:ty, $y:ty) => {
                Dequantize::<$x>::new(self.x)?.run(io.x(0), io.y(0))?
            };
        }
        with_types!(self, run, bail!("no such types"));
        Ok(())
    }

    fn overlay(&self) -> Overlay {
        if self.is_in_place() { Overlay::Exact(&[0]) } else { Overlay::None }
    }

    fn is_total(&self, args: &Args) -> bool {
        args.in_place.is_some()
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let (x, y) = (self.from.rust(), self.to.rust());
        let (kind, ty, arguments) = match self.kernel() {
            "Quantize" => ("QUANTIZE", format!("Quantize<{y}>"), quantization_text(self.y)),
            "Dequantize" => ("DEQUANTIZE", format!("Dequantize<{x}>"), quantization_text(self.x)),
            _ => {
                let both = format!("{}, {}", quantization_text(self.x), quantization_text(self.y));
                ("RESCALE", format!("Rescale<{x}, {y}>"), both)
            }
        };
        let constructor = format!("scrimp::nn::{}::new({arguments})", self.kernel());
        let name = out.layer(kind, &format!("scrimp::nn::{ty}"), &constructor);
        match args.in_place {
            None => format!("{name}.run({}, {})", args.x[0], args.y[0]),
            Some(_) => format!("{name}.run_in_place({})", args.y[0]),
        }
    }
}
