//! GATHER.

use anyhow::{Context as _, Result, ensure};
use bytemuck::{AnyBitPattern, NoUninit};
use scrimp::nn::{Gather, MoveElement};

use super::moves::{axis_of, for_type, same_quantization};
use crate::emit::Emitter;
use crate::graph::Element;
use crate::lower::{Cx, Lowered};
use crate::operator::{Args, Io, Operator};

#[derive(Debug)]
struct Gathered {
    element: Element,
    /// Batch, outer, axis, indices, inner.
    sizes: [usize; 5],
    gather: Gather,
    /// The list, if it is constant; else it is the second input.
    indices: Option<Vec<i32>>,
}

pub(crate) fn lower(cx: &Cx<'_>, axis: i32, batch_dims: i32) -> Result<Lowered> {
    cx.counts(2..=2, 1)?;
    let (y, list) = (cx.y(0)?, cx.x(1)?);
    let (id, x) = cx.activation(0, y.element)?;
    same_quantization(x, y)?;
    let axis = axis_of(axis.into(), x.shape.len())?;
    let batch_axes =
        if batch_dims < 0 { i64::try_from(list.shape.len())? + i64::from(batch_dims) } else { batch_dims.into() };
    let batch_axes = usize::try_from(batch_axes).ok().filter(|&n| n <= axis && n <= list.shape.len());
    let batch_axes = batch_axes.with_context(|| format!("its batch_dims are {batch_dims}, its axis {axis}"))?;
    ensure!(
        x.shape[..batch_axes] == list.shape[..batch_axes],
        "the first {batch_axes} axes of {x} are not those of {list}"
    );
    let product = |axes: &[usize]| axes.iter().product::<usize>();
    let sizes @ [batch, outer, length, indices, inner] = [
        product(&x.shape[..batch_axes]),
        product(&x.shape[batch_axes..axis]),
        x.shape[axis],
        product(&list.shape[batch_axes..]),
        product(&x.shape[axis + 1..]),
    ];
    let want = [&x.shape[..axis], &list.shape[batch_axes..], &x.shape[axis + 1..]].concat();
    ensure!(want == y.shape, "{x} by {list} is {want:?}, but its output {y}");
    let gather = Gather::new(batch, outer, length, indices, inner).with_context(|| format!("{x} by {list}"))?;
    for_type!(x.element, nothing()).with_context(|| format!("{x} cannot be moved"))?;
    let gathered = |indices| Gathered { element: x.element, sizes, gather, indices };
    if !list.is_constant() {
        ensure!(list.element == Element::I32, "{list} must be int32, as it is computed");
        return Ok(Lowered::kernel(gathered(None), vec![id, cx.input(1)?]));
    }
    let inside = |&index: &i64| {
        let at = usize::try_from(index).ok().filter(|&at| at < length);
        at.and_then(|at| i32::try_from(at).ok()).with_context(|| format!("index {index} is outside axis {axis} of {x}"))
    };
    let indices = list.integers()?.iter().map(inside).collect::<Result<Vec<_>>>()?;
    Ok(Lowered::kernel(gathered(Some(indices)), vec![id]))
}

fn nothing<T>() {}

fn run<T: MoveElement + AnyBitPattern + NoUninit>(of: &Gathered, io: &mut Io<'_>) -> Result<()> {
    let indices = match &of.indices {
        Some(indices) => indices,
        None => io.x::<i32>(1),
    };
    Ok(of.gather.run(io.x::<T>(0), indices, io.y(0))?)
}

impl Operator for Gathered {
    fn kernel(&self) -> &'static str {
        "Gather"
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        for_type!(self.element, run(self, io)).context("it has no type")?
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let [batch, outer, axis, indices, inner] = self.sizes;
        let name = out.layer(
            "GATHER",
            "scrimp::nn::Gather",
            &format!("scrimp::nn::Gather::new({batch}, {outer}, {axis}, {indices}, {inner})"),
        );
        let list = match &self.indices {
            Some(indices) => {
                let data = out.i32s(indices);
                out.table("INDICES", "&[i32]", &data)
            }
            None => args.x[1].clone(),
        };
        format!("{name}.run({}, {list}, {})", args.x[0], args.y[0])
    }
}
