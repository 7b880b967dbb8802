//! MIRROR_PAD.

use anyhow::{Context as _, Result};
use bytemuck::{AnyBitPattern, NoUninit};
use scrimp::nn::{Mirror, MirrorAxis, MirrorPad, MoveElement};

use super::moves::{around, for_type, same_quantization};
use crate::emit::Emitter;
use crate::graph::Element;
use crate::lower::{Cx, Lowered};
use crate::operator::{Args, Io, Operator};

/// Axes that a tensor may have.
const AXES: usize = 6;

#[derive(Debug)]
struct Pad {
    element: Element,
    axes: Vec<MirrorAxis>,
    mirror: Mirror,
    pad: MirrorPad<AXES>,
}

pub(crate) fn lower(cx: &Cx<'_>, symmetric: bool) -> Result<Lowered> {
    cx.counts(2..=2, 1)?;
    let y = cx.y(0)?;
    let (id, x) = cx.activation(0, y.element)?;
    same_quantization(x, y)?;
    let around = around(cx.x(1)?, x, y)?;
    if around.iter().all(|&edges| edges == [0, 0]) {
        return Ok(Lowered::Alias(id));
    }
    let axis = |(&count, &[before, after]): (&usize, &[usize; 2])| MirrorAxis { count, before, after };
    let axes = x.shape.iter().zip(&around).map(axis);
    // Axes of one element in front are no axes.
    let axes: Vec<_> = axes.skip_while(|&axis| axis == MirrorAxis { count: 1, before: 0, after: 0 }).collect();
    let mut all = [MirrorAxis { count: 1, before: 0, after: 0 }; AXES];
    let last = AXES.checked_sub(axes.len()).with_context(|| format!("{x} has more than {AXES} axes"))?;
    all[last..].copy_from_slice(&axes);
    let mirror = if symmetric { Mirror::Symmetric } else { Mirror::Reflect };
    let pad = MirrorPad::new(all, mirror).with_context(|| format!("{x} mirrored by {around:?}"))?;
    for_type!(x.element, nothing()).with_context(|| format!("{x} cannot be moved"))?;
    Ok(Lowered::kernel(Pad { element: x.element, axes, mirror, pad }, vec![id]))
}

fn nothing<T>() {}

fn run<T: MoveElement + AnyBitPattern + NoUninit>(pad: &MirrorPad<AXES>, io: &mut Io<'_>) -> Result<()> {
    Ok(pad.run(io.x::<T>(0), io.y(0))?)
}

impl Operator for Pad {
    fn kernel(&self) -> &'static str {
        "MirrorPad"
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        for_type!(self.element, run(&self.pad, io)).context("it has no type")?
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let Self { axes, mirror, .. } = self;
        let axis = |&MirrorAxis { count, before, after }: &MirrorAxis| {
            format!("scrimp::nn::MirrorAxis {{ count: {count}, before: {before}, after: {after} }}")
        };
        let list: Vec<String> = axes.iter().map(axis).collect();
        let name = out.layer(
            "MIRROR_PAD",
            &format!("scrimp::nn::MirrorPad<{}>", axes.len()),
            &format!("scrimp::nn::MirrorPad::new([{}], scrimp::nn::Mirror::{mirror:?})", list.join(", ")),
        );
        format!("{name}.run({}, {})", args.x[0], args.y[0])
    }
}
