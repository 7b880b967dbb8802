//! RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR: the size is the output's.

use anyhow::{Context as _, Result, bail, ensure};
use bytemuck::{AnyBitPattern, NoUninit};
use scrimp::nn::{Align, MoveElement, ResizeBilinear, ResizeNearest};

use super::moves::{for_type, same_quantization};
use crate::emit::Emitter;
use crate::graph::{Element, TensorId};
use crate::lower::{Cx, Lowered};
use crate::op::Resize;
use crate::operator::{Args, Io, Operator};

#[derive(Debug)]
struct Resized {
    element: Element,
    shape: [usize; 4],
    size: [usize; 2],
    align: Align,
    by: By,
}

#[derive(Debug)]
enum By {
    Nearest(ResizeNearest),
    Bilinear(ResizeBilinear),
}

pub(crate) fn nearest(cx: &Cx<'_>, resize: Resize) -> Result<Lowered> {
    lower(cx, resize, |shape, size, align| Ok(By::Nearest(ResizeNearest::new(shape, size, align)?)))
}

pub(crate) fn bilinear(cx: &Cx<'_>, resize: Resize) -> Result<Lowered> {
    let x = cx.x(0)?;
    ensure!(matches!(x.element, Element::I8 | Element::I16), "its input is {x}; int8 or int16 is needed");
    lower(cx, resize, |shape, size, align| Ok(By::Bilinear(ResizeBilinear::new(shape, size, align)?)))
}

fn lower(
    cx: &Cx<'_>,
    resize: Resize,
    new: impl Fn([usize; 4], [usize; 2], Align) -> Result<By, scrimp::Error>,
) -> Result<Lowered> {
    cx.counts(2..=2, 1)?;
    let y = cx.y(0)?;
    let (id, x): (TensorId, _) = cx.activation(0, y.element)?;
    same_quantization(x, y)?;
    let (&[n, h, w, c], &[batch, rows, cols, channels]) = (x.shape.as_slice(), y.shape.as_slice()) else {
        bail!("its input is {x}, its output {y}; four axes are needed");
    };
    ensure!((n, c) == (batch, channels), "its input is {x}, its output {y}");
    let size = cx.x(1)?;
    if size.is_constant() {
        let wanted = size.integers()?;
        let fits =
            matches!(wanted.as_slice(), &[a, b] if usize::try_from(a) == Ok(rows) && usize::try_from(b) == Ok(cols));
        ensure!(fits, "it resizes to {wanted:?}, but its output is {y}");
    }
    for_type!(x.element, nothing()).with_context(|| format!("{x} cannot be resized"))?;
    let align = Align { corners: resize.align_corners, half_pixel_centers: resize.half_pixel_centers };
    let by = new([n, h, w, c], [rows, cols], align).with_context(|| format!("{x} to {y}"))?;
    Ok(Lowered::kernel(Resized { element: x.element, shape: [n, h, w, c], size: [rows, cols], align, by }, vec![id]))
}

fn nothing<T>() {}

fn run<T: MoveElement + AnyBitPattern + NoUninit>(by: &ResizeNearest, io: &mut Io<'_>) -> Result<()> {
    Ok(by.run(io.x::<T>(0), io.y(0))?)
}

impl Operator for Resized {
    fn kernel(&self) -> &'static str {
        match self.by {
            By::Nearest(_) => "ResizeNearest",
            By::Bilinear(_) => "ResizeBilinear",
        }
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        match &self.by {
            By::Nearest(by) => for_type!(self.element, run(by, io)).context("it has no type")?,
            By::Bilinear(by) if self.element == Element::I16 => Ok(by.run(io.x::<i16>(0), io.y(0))?),
            By::Bilinear(by) => Ok(by.run(io.x::<i8>(0), io.y(0))?),
        }
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let Self { shape, size, align: Align { corners, half_pixel_centers }, .. } = self;
        let ty = format!("scrimp::nn::{}", self.kernel());
        let align = format!("scrimp::nn::Align {{ corners: {corners}, half_pixel_centers: {half_pixel_centers} }}");
        let name = out.layer("RESIZE", &ty, &format!("{ty}::new({shape:?}, {size:?}, {align})"));
        format!("{name}.run({}, {})", args.x[0], args.y[0])
    }
}
