//! Operators that only move elements: each is one or several strided copies.

use anyhow::{Context as _, Result, bail, ensure};
use bytemuck::allocation::pod_collect_to_vec;
use bytemuck::{AnyBitPattern, NoUninit};
use scrimp::nn::{Move, MoveAxis, MoveElement};

use crate::emit::Emitter;
use crate::graph::{Element, Tensor, TensorId};
use crate::lower::{Cx, Lowered};
use crate::op::{Fused, Strided};
use crate::operator::{Args, Io, Operator};

/// Most axes before neighbours are joined.
const AXES: usize = 12;

/// Copies that together make an operator's outputs.
#[derive(Debug)]
struct Moves {
    /// What the `static`s are called.
    kind: &'static str,
    element: Element,
    parts: Vec<Part>,
    /// What the first output is filled with before.
    fill: Option<Fill>,
}

#[derive(Debug)]
struct Part {
    from: Source,
    to: usize,
    moved: Move<AXES>,
}

#[derive(Debug)]
enum Source {
    /// One of the step's inputs.
    Input(usize),
    Constant(Vec<u8>),
}

#[derive(Clone, Copy, Debug)]
enum Fill {
    Code(i64),
    Real(f32),
}

/// Collects what a node becomes.
struct Builder<'a> {
    cx: &'a Cx<'a>,
    moves: Moves,
    inputs: Vec<TensorId>,
}

impl<'a> Builder<'a> {
    /// For outputs of the type of input `k`.
    fn new(cx: &'a Cx<'a>, kind: &'static str, k: usize) -> Result<Self> {
        let element = cx.x(k)?.element;
        for output in 0..cx.node.outputs.len() {
            let y = cx.y(output)?;
            ensure!(y.element == element, "its output is {y}, but its input {}", cx.x(k)?);
        }
        if matches!(element, Element::I4 | Element::Resource | Element::Other(_)) {
            bail!("{} cannot be moved: int8, uint8, int16, int32, int64, bool or float32 is needed", cx.x(k)?);
        }
        Ok(Self { cx, moves: Moves { kind, element, parts: Vec::new(), fill: None }, inputs: Vec::new() })
    }

    /// Adds a copy from input `k` of the node to output `to`.
    fn part(&mut self, k: usize, to: usize, axes: Vec<MoveAxis>, x_first: usize, y_first: usize) -> Result<()> {
        let (id, x, y) = (self.cx.input(k)?, self.cx.x(k)?, self.cx.y(to)?);
        ensure!(axes.len() <= AXES, "it has more than {AXES} axes");
        let mut all = [MoveAxis { count: 1, x: 0, y: 0 }; AXES];
        all[..axes.len()].copy_from_slice(&axes);
        let moved = Move::new(all, 1, [x_first, x.elements()], [y_first, y.elements()])
            .with_context(|| format!("its output is {y}, its input {k} {x}"))?;
        let from = match &x.data {
            Some(data) if x.is_constant() => Source::Constant(data.to_vec()),
            _ => {
                self.inputs.push(id);
                Source::Input(self.inputs.len() - 1)
            }
        };
        self.moves.parts.push(Part { from, to, moved });
        Ok(())
    }

    /// `y` is the part of input `k` that begins at `begin`, `step` apart; its shape is `count`.
    fn slice(&mut self, k: usize, to: usize, begin: &[usize], step: &[isize], count: &[usize]) -> Result<()> {
        let shape = &self.cx.x(k)?.shape;
        let (x, y) = (steps(shape), steps(count));
        let axis = |i: usize| MoveAxis { count: count[i], x: step[i] * x[i].cast_signed(), y: y[i] };
        let first = begin.iter().zip(&x).map(|(b, x)| b * x).sum();
        self.part(k, to, (0..shape.len()).map(axis).collect(), first, 0)
    }

    /// Input `k`, of this shape, becomes the part of an output of shape `whole` that begins at `at`.
    fn place(&mut self, k: usize, shape: &[usize], whole: &[usize], at: &[usize]) -> Result<()> {
        let (x, y) = (steps(shape), steps(whole));
        let axis = |i: usize| MoveAxis { count: shape[i], x: x[i].cast_signed(), y: y[i] };
        let first = at.iter().zip(&y).map(|(a, y)| a * y).sum();
        self.part(k, 0, (0..shape.len()).map(axis).collect(), 0, first)
    }

    /// A renaming if all is one piece, else a kernel.
    fn finish(self) -> Result<Lowered> {
        if let ([Part { from: Source::Input(0), moved, .. }], [id], None) =
            (self.moves.parts.as_slice(), self.inputs.as_slice(), self.moves.fill)
            && moved.axes().is_empty()
            && moved.piece() == self.cx.tensor(*id).elements()
            && moved.piece() == self.cx.y(0)?.elements()
        {
            return Ok(Lowered::Alias(*id));
        }
        ensure!(!self.inputs.is_empty(), "all of its inputs are constant, which is not supported here");
        Ok(Lowered::kernel(self.moves, self.inputs))
    }
}

/// From one element of each axis to the next.
fn steps(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|k| shape[k + 1..].iter().product()).collect()
}

/// An axis counted from either end.
pub(super) fn axis_of(axis: i64, rank: usize) -> Result<usize> {
    let from_start = if axis < 0 { axis + i64::try_from(rank)? } else { axis };
    match usize::try_from(from_start) {
        Ok(inside) if inside < rank => Ok(inside),
        _ => bail!("its axis is {axis}, of a tensor with {rank} axes"),
    }
}

/// A constant of so many integers, all counts.
fn counts<const N: usize>(tensor: &Tensor) -> Result<Vec<[usize; N]>> {
    let list = tensor.integers()?;
    ensure!(list.len().is_multiple_of(N), "{tensor} must have rows of {N}");
    let row = |row: &[i64]| -> Result<[usize; N]> {
        let mut counts = [0; N];
        for (count, &number) in counts.iter_mut().zip(row) {
            *count =
                usize::try_from(number).ok().with_context(|| format!("{tensor} has {number}, which is no count"))?;
        }
        Ok(counts)
    };
    list.chunks(N).map(row).collect()
}

/// Codes are copied, so their meaning must stay.
pub(super) fn same_quantization(x: &Tensor, y: &Tensor) -> Result<()> {
    if matches!(x.element, Element::I8 | Element::U8 | Element::I16) && x.quant.is_some() && y.quant.is_some() {
        let (of_x, of_y) = (x.quantization()?, y.quantization()?);
        ensure!(
            of_x.0.to_bits() == of_y.0.to_bits() && of_x.1 == of_y.1,
            "{x} has scale and zero point {of_x:?}, but its output {of_y:?}: convert again, so that a QUANTIZE stands between"
        );
    }
    Ok(())
}

pub(crate) fn concatenation(cx: &Cx<'_>, axis: i32, activation: Fused) -> Result<Lowered> {
    ensure!(activation == Fused::None, "its fused activation ({activation:?}) is not supported");
    let y = cx.y(0)?;
    let mut of = Builder::new(cx, "CONCAT", 0)?;
    let axis = axis_of(axis.into(), y.shape.len())?;
    let mut at = vec![0; y.shape.len()];
    for k in 0..cx.node.inputs.len() {
        let x = cx.x(k)?;
        let others = |shape: &[usize]| [&shape[..axis], &shape[axis + 1..]].concat();
        let fits = x.shape.len() == y.shape.len() && x.element == y.element && others(&x.shape) == others(&y.shape);
        ensure!(fits, "input {k} is {x}, but its output {y}");
        same_quantization(x, y)?;
        of.place(k, &x.shape, &y.shape, &at)?;
        at[axis] += x.shape[axis];
    }
    ensure!(at[axis] == y.shape[axis], "its output is {y}, but its inputs have {} along axis {axis}", at[axis]);
    of.finish()
}

pub(crate) fn pack(cx: &Cx<'_>, axis: i32) -> Result<Lowered> {
    let (y, count) = (cx.y(0)?, cx.node.inputs.len());
    let mut of = Builder::new(cx, "PACK", 0)?;
    let axis = axis_of(axis.into(), y.shape.len())?;
    ensure!(y.shape[axis] == count, "its output is {y}, but it has {count} inputs");
    let mut one = y.shape.clone();
    one[axis] = 1;
    for k in 0..count {
        let x = cx.x(k)?;
        ensure!(
            x.element == y.element && x.elements() == one.iter().product::<usize>(),
            "input {k} is {x}, its output {y}"
        );
        same_quantization(x, y)?;
        let mut at = vec![0; one.len()];
        at[axis] = k;
        of.place(k, &one, &y.shape, &at)?;
    }
    of.finish()
}

pub(crate) fn unpack(cx: &Cx<'_>, axis: i32) -> Result<Lowered> {
    cx.counts(1..=1, cx.node.outputs.len())?;
    let x = cx.x(0)?;
    let axis = axis_of(axis.into(), x.shape.len())?;
    let outputs = cx.node.outputs.len();
    ensure!(x.shape[axis] == outputs, "its input is {x}, but it has {outputs} outputs");
    let mut one = x.shape.clone();
    one[axis] = 1;
    pieces(cx, "UNPACK", 0, axis, &vec![one; outputs])
}

pub(crate) fn split(cx: &Cx<'_>) -> Result<Lowered> {
    cx.counts(2..=2, cx.node.outputs.len())?;
    let &[axis] = cx.x(0)?.integers()?.as_slice() else { bail!("its axis is {}", cx.x(0)?) };
    let x = cx.x(1)?;
    let axis = axis_of(axis, x.shape.len())?;
    let shapes: Vec<_> = (0..cx.node.outputs.len()).map(|k| Ok(cx.y(k)?.shape.clone())).collect::<Result<_>>()?;
    ensure!(shapes.iter().all(|shape| *shape == shapes[0]), "its outputs are of several shapes");
    pieces(cx, "SPLIT", 1, axis, &shapes)
}

/// The outputs know their sizes, also the one that the list leaves open.
pub(crate) fn split_v(cx: &Cx<'_>) -> Result<Lowered> {
    cx.counts(3..=3, cx.node.outputs.len())?;
    let &[axis] = cx.x(2)?.integers()?.as_slice() else { bail!("its axis is {}", cx.x(2)?) };
    let axis = axis_of(axis, cx.x(0)?.shape.len())?;
    let shapes: Vec<_> = (0..cx.node.outputs.len()).map(|k| Ok(cx.y(k)?.shape.clone())).collect::<Result<_>>()?;
    let sizes = cx.x(1)?.integers()?;
    ensure!(sizes.len() == shapes.len(), "it has {} sizes, but {} outputs", sizes.len(), shapes.len());
    for (k, (&size, shape)) in sizes.iter().zip(&shapes).enumerate() {
        let is_size = size < 0 || shape.get(axis).is_some_and(|&n| i64::try_from(n) == Ok(size));
        ensure!(is_size, "its sizes say {size} for output {k}, which is {}", cx.y(k)?);
    }
    pieces(cx, "SPLIT", 0, axis, &shapes)
}

/// Outputs of these shapes lie one behind the other along an axis of input `k`.
fn pieces(cx: &Cx<'_>, kind: &'static str, k: usize, axis: usize, shapes: &[Vec<usize>]) -> Result<Lowered> {
    let x = cx.x(k)?;
    let mut of = Builder::new(cx, kind, k)?;
    let mut begin = vec![0; x.shape.len()];
    for (to, shape) in shapes.iter().enumerate() {
        let y = cx.y(to)?;
        let others = |shape: &[usize]| [&shape[..axis], &shape[axis + 1..]].concat();
        let fits = shape.len() == x.shape.len()
            && others(shape) == others(&x.shape)
            && y.elements() == shape.iter().product::<usize>();
        ensure!(fits, "output {to} is {y}, its input {x}");
        of.slice(k, to, &begin, &vec![1; shape.len()], shape)?;
        begin[axis] += shape[axis];
    }
    ensure!(begin[axis] == x.shape[axis], "its outputs have {} along axis {axis} of {x}", begin[axis]);
    of.finish()
}

pub(crate) fn slice(cx: &Cx<'_>) -> Result<Lowered> {
    cx.counts(3..=3, 1)?;
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    let (begin, size) = (counts::<1>(cx.x(1)?)?.concat(), cx.x(2)?.integers()?);
    let rank = x.shape.len();
    ensure!(begin.len() == rank && size.len() == rank && y.shape.len() == rank, "{x} cannot be sliced into {y}");
    for k in 0..rank {
        let end = begin[k] + y.shape[k];
        let is_size = if size[k] == -1 { end == x.shape[k] } else { usize::try_from(size[k]) == Ok(y.shape[k]) };
        ensure!(is_size && end <= x.shape[k], "it takes {} from {} on of axis {k}: {x} to {y}", size[k], begin[k]);
    }
    let mut of = Builder::new(cx, "SLICE", 0)?;
    of.slice(0, 0, &begin, &vec![1; rank], &y.shape)?;
    of.finish()
}

pub(crate) fn strided_slice(cx: &Cx<'_>, masks: Strided) -> Result<Lowered> {
    cx.counts(4..=4, 1)?;
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    let list = |k: usize| cx.x(k)?.integers();
    let spec = bounds(&x.shape, &list(1)?, &list(2)?, &list(3)?, masks)?;
    let count: Vec<usize> = spec.iter().map(|&(.., count)| count).collect();
    ensure!(
        y.elements() == count.iter().product::<usize>(),
        "its output is {y}, but {count:?} elements of {x} are asked for"
    );
    let (begin, step): (Vec<usize>, Vec<isize>) = spec.iter().map(|&(begin, step, _)| (begin, step)).unzip();
    let mut of = Builder::new(cx, "SLICE", 0)?;
    of.slice(0, 0, &begin, &step, &count)?;
    of.finish()
}

/// Begin, step and count along each axis of the input.
fn bounds(
    shape: &[usize],
    begin: &[i64],
    end: &[i64],
    stride: &[i64],
    masks: Strided,
) -> Result<Vec<(usize, isize, usize)>> {
    ensure!(begin.len() == end.len() && end.len() == stride.len(), "its begin, end and strides differ in length");
    let has = |mask: i32, i: usize| i < 31 && mask >> i & 1 == 1;
    let entries = begin.len();
    // Axes of the input that the entries beside an ellipsis speak of.
    let named = (0..entries).filter(|&i| !has(masks.new_axis_mask, i) && !has(masks.ellipsis_mask, i)).count();
    ensure!(named <= shape.len(), "it speaks of {named} axes of a tensor with {}", shape.len());
    let all = |n: usize| (0, 1, n);
    let mut spec = Vec::new();
    for i in 0..entries {
        if has(masks.ellipsis_mask, i) {
            let rest = shape.len() - named;
            let left = shape.get(spec.len()..spec.len() + rest).context("it has several ellipses")?;
            spec.extend(left.iter().map(|&n| all(n)));
            continue;
        }
        if has(masks.new_axis_mask, i) {
            continue;
        }
        let n = i64::try_from(*shape.get(spec.len()).context("it has more entries than axes")?)?;
        let step = stride[i];
        ensure!(step != 0, "a stride is zero");
        // Backwards, -1 is the place before the first element.
        let (least, most) = if step > 0 { (0, n) } else { (-1, n - 1) };
        let inside = |at: i64| (if at < 0 { at.saturating_add(n) } else { at }).clamp(least, most);
        let from = if has(masks.begin_mask, i) { if step > 0 { 0 } else { n - 1 } } else { inside(begin[i]) };
        let to = if has(masks.shrink_axis_mask, i) {
            from + 1
        } else if has(masks.end_mask, i) {
            if step > 0 { n } else { -1 }
        } else {
            inside(if masks.offset { end[i].saturating_add(from) } else { end[i] })
        };
        let step = if has(masks.shrink_axis_mask, i) { 1 } else { step };
        let (span, size) = if step > 0 { (to - from, step) } else { (from - to, step.saturating_neg()) };
        let count = span.max(0).saturating_add(size - 1) / size;
        ensure!(count > 0 && (0..n).contains(&from), "it takes nothing of axis {} of {shape:?}", spec.len());
        spec.push((usize::try_from(from)?, isize::try_from(step)?, usize::try_from(count)?));
    }
    // Axes that no entry speaks of stay whole.
    spec.extend(shape[spec.len().min(shape.len())..].iter().map(|&n| all(n)));
    Ok(spec)
}

pub(crate) fn pad(cx: &Cx<'_>) -> Result<Lowered> {
    cx.counts(2..=3, 1)?;
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    let around = around(cx.x(1)?, x, y)?;
    same_quantization(x, y)?;
    let fill = match (cx.optional_x(2), y.element) {
        (Some(value), Element::F32) => Fill::Real(real(value)?),
        (None, Element::F32) => Fill::Real(0.0),
        (Some(value), _) => {
            ensure!(value.element == y.element, "it pads {y} with {value}");
            let &[code] = value.integers()?.as_slice() else { bail!("it pads with {value}, one element is needed") };
            Fill::Code(code)
        }
        (None, _) => Fill::Code(if y.quant.is_some() { y.quantization()?.1.into() } else { 0 }),
    };
    let mut of = Builder::new(cx, "PAD", 0)?;
    let before: Vec<usize> = around.iter().map(|&[before, _]| before).collect();
    of.place(0, &x.shape, &y.shape, &before)?;
    if around.iter().any(|&edges| edges != [0, 0]) {
        of.moves.fill = Some(fill);
    }
    of.finish()
}

fn real(value: &Tensor) -> Result<f32> {
    match (&value.data, value.element) {
        (Some(data), Element::F32) if value.is_constant() => match data.as_chunks() {
            ([bytes], []) => Ok(f32::from_le_bytes(*bytes)),
            _ => bail!("{value} must be one number"),
        },
        _ => bail!("{value} must be a constant float32"),
    }
}

/// How many elements are put before and behind each axis.
pub(super) fn around(paddings: &Tensor, x: &Tensor, y: &Tensor) -> Result<Vec<[usize; 2]>> {
    let around = counts::<2>(paddings)?;
    let fits = around.len() == x.shape.len()
        && y.shape.len() == x.shape.len()
        && (0..around.len()).all(|k| {
            let [before, after] = around[k];
            before.saturating_add(x.shape[k]).saturating_add(after) == y.shape[k]
        });
    ensure!(fits, "{x} padded by {around:?} is not {y}");
    Ok(around)
}

pub(crate) fn transpose(cx: &Cx<'_>) -> Result<Lowered> {
    cx.counts(2..=2, 1)?;
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    let rank = x.shape.len();
    let order = cx.x(1)?.integers()?.iter().map(|&axis| axis_of(axis, rank)).collect::<Result<Vec<_>>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    ensure!(sorted.into_iter().eq(0..rank), "it puts the axes of {x} in the order {order:?}");
    let turned: Vec<usize> = order.iter().map(|&axis| x.shape[axis]).collect();
    ensure!(turned == y.shape, "{x} in the order {order:?} is not {y}");
    let (of_x, of_y) = (steps(&x.shape), steps(&y.shape));
    let axis = |k: usize| MoveAxis { count: y.shape[k], x: of_x[order[k]].cast_signed(), y: of_y[k] };
    let mut of = Builder::new(cx, "TRANSPOSE", 0)?;
    of.part(0, 0, (0..rank).map(axis).collect(), 0, 0)?;
    of.finish()
}

pub(crate) fn tile(cx: &Cx<'_>) -> Result<Lowered> {
    cx.counts(2..=2, 1)?;
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    let times = counts::<1>(cx.x(1)?)?.concat();
    let fits = times.len() == x.shape.len()
        && y.shape.len() == x.shape.len()
        && (0..times.len()).all(|k| x.shape[k].saturating_mul(times[k]) == y.shape[k]);
    ensure!(fits, "{x} repeated {times:?} is not {y}");
    let (of_x, of_y) = (steps(&x.shape), steps(&y.shape));
    let axes = (0..times.len()).flat_map(|k| {
        let again = MoveAxis { count: times[k], x: 0, y: of_y[k] * x.shape[k] };
        [again, MoveAxis { count: x.shape[k], x: of_x[k].cast_signed(), y: of_y[k] }]
    });
    // Axes that are not repeated are one.
    let axes = axes.filter(|axis| axis.count > 1).collect();
    let mut of = Builder::new(cx, "TILE", 0)?;
    of.part(0, 0, axes, 0, 0)?;
    of.finish()
}

pub(crate) fn broadcast_to(cx: &Cx<'_>) -> Result<Lowered> {
    cx.counts(2..=2, 1)?;
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    let missing = y.shape.len().checked_sub(x.shape.len()).with_context(|| format!("{x} cannot become {y}"))?;
    let shape = [vec![1; missing], x.shape.clone()].concat();
    ensure!(shape.iter().zip(&y.shape).all(|(&a, &b)| a == b || a == 1), "{x} cannot become {y}");
    let (of_x, of_y) = (steps(&shape), steps(&y.shape));
    let axis = |k: usize| {
        let step = if shape[k] == 1 { 0 } else { of_x[k].cast_signed() };
        MoveAxis { count: y.shape[k], x: step, y: of_y[k] }
    };
    let mut of = Builder::new(cx, "BROADCAST", 0)?;
    of.part(0, 0, (0..shape.len()).map(axis).collect(), 0, 0)?;
    of.finish()
}

pub(crate) fn reverse(cx: &Cx<'_>) -> Result<Lowered> {
    cx.counts(2..=2, 1)?;
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    ensure!(x.shape == y.shape, "its output is {y}, its input {x}");
    let rank = x.shape.len();
    let (mut begin, mut step) = (vec![0; rank], vec![1; rank]);
    for &axis in &cx.x(1)?.integers()? {
        let axis = axis_of(axis, rank)?;
        (begin[axis], step[axis]) = (x.shape[axis].saturating_sub(1), -1);
    }
    let mut of = Builder::new(cx, "REVERSE", 0)?;
    of.slice(0, 0, &begin, &step, &x.shape)?;
    of.finish()
}

pub(crate) fn space_to_depth(cx: &Cx<'_>, block: i32) -> Result<Lowered> {
    let of = Builder::new(cx, "BLOCKS", 0)?;
    blocks(cx, of, block, Move::space_to_depth)
}

pub(crate) fn depth_to_space(cx: &Cx<'_>, block: i32) -> Result<Lowered> {
    let of = Builder::new(cx, "BLOCKS", 0)?;
    blocks(cx, of, block, Move::depth_to_space)
}

fn blocks(
    cx: &Cx<'_>,
    mut of: Builder<'_>,
    block: i32,
    new: impl Fn([usize; 4], usize) -> Result<Move<4>, scrimp::Error>,
) -> Result<Lowered> {
    cx.counts(1..=1, 1)?;
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    let &[n, h, w, c] = x.shape.as_slice() else { bail!("its input is {x}; four axes are needed") };
    let block = usize::try_from(block).ok().with_context(|| format!("its block is {block}"))?;
    let moved = new([n, h, w, c], block).with_context(|| format!("{x} in blocks of {block}"))?;
    ensure!(x.elements() == y.elements(), "its output is {y}, its input {x}");
    let mut axes = moved.axes().to_vec();
    axes.push(MoveAxis { count: moved.piece(), x: 1, y: 1 });
    of.part(0, 0, axes, 0, 0)?;
    of.finish()
}

/// SPACE_TO_BATCH_ND: each place of a block becomes a picture of its own.
pub(crate) fn space_to_batch(cx: &Cx<'_>) -> Result<Lowered> {
    cx.counts(3..=3, 1)?;
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    let (block, around) = (counts::<1>(cx.x(1)?)?.concat(), counts::<2>(cx.x(2)?)?);
    same_quantization(x, y)?;
    let of = Builder::new(cx, "BATCH", 0)?;
    taps(of, &x.shape, &y.shape, &block, &around, false)
}

/// BATCH_TO_SPACE_ND: the way back.
pub(crate) fn batch_to_space(cx: &Cx<'_>) -> Result<Lowered> {
    cx.counts(3..=3, 1)?;
    let (x, y) = (cx.x(0)?, cx.y(0)?);
    let (block, crops) = (counts::<1>(cx.x(1)?)?.concat(), counts::<2>(cx.x(2)?)?);
    same_quantization(x, y)?;
    let of = Builder::new(cx, "BATCH", 0)?;
    taps(of, &y.shape, &x.shape, &block, &crops, true)
}

/// Copies between pictures (`[batch, space.., rest..]`) and, for each place of a block, pictures of the pixels that stand
/// there; `around` pads the former.
fn taps(
    mut of: Builder<'_>,
    pictures: &[usize],
    parts: &[usize],
    block: &[usize],
    around: &[[usize; 2]],
    is_back: bool,
) -> Result<Lowered> {
    let space = block.len();
    let taps: usize = block.iter().product();
    let fits = around.len() == space
        && pictures.len() > space
        && parts.len() == pictures.len()
        && parts[space + 1..] == pictures[space + 1..]
        && pictures[0].checked_mul(taps) == Some(parts[0])
        && (0..space).all(|k| around[k][0] + pictures[k + 1] + around[k][1] == parts[k + 1] * block[k] && block[k] > 0);
    ensure!(fits, "{pictures:?} in blocks {block:?} with {around:?} around are not {parts:?}");
    let rest: usize = pictures[space + 1..].iter().product();
    let (of_pictures, of_parts) = (steps(&pictures[..space + 1]), steps(&parts[..space + 1]));
    for tap in 0..taps {
        let (mut left, mut at) = (tap, vec![0; space]);
        for k in (0..space).rev() {
            (left, at[k]) = (left / block[k], left % block[k]);
        }
        // The pixels of each axis that stand there: the first part, and the picture's pixel that it is.
        let mut axes = vec![(pictures[0], of_pictures[0] * rest, of_parts[0] * rest)];
        let (mut picture, mut part, mut is_empty) = (0, tap * pictures[0] * of_parts[0] * rest, false);
        for k in 0..space {
            let first = around[k][0].saturating_sub(at[k]).div_ceil(block[k]);
            let end = (around[k][0] + pictures[k + 1]).saturating_sub(at[k]).div_ceil(block[k]).min(parts[k + 1]);
            is_empty |= end <= first;
            axes.push((end.saturating_sub(first), of_pictures[k + 1] * rest * block[k], of_parts[k + 1] * rest));
            picture += (first * block[k] + at[k]).saturating_sub(around[k][0]) * of_pictures[k + 1] * rest;
            part += first * of_parts[k + 1] * rest;
        }
        if is_empty {
            continue;
        }
        axes.push((rest, 1, 1));
        let axis = |&(count, picture, part): &(usize, usize, usize)| {
            let (x, y) = if is_back { (part, picture) } else { (picture, part) };
            MoveAxis { count, x: x.cast_signed(), y }
        };
        let (x, y) = if is_back { (part, picture) } else { (picture, part) };
        of.part(0, 0, axes.iter().map(axis).collect(), x, y)?;
    }
    if !is_back && around.iter().any(|&edges| edges != [0, 0]) {
        let y = of.cx.y(0)?;
        of.moves.fill = Some(match y.element {
            Element::F32 => Fill::Real(0.0),
            _ => Fill::Code(if y.quant.is_some() { y.quantization()?.1.into() } else { 0 }),
        });
    }
    of.finish()
}

/// Does something for the Rust type of an element; `None` for those that are no slice.
macro_rules! for_type {
    ($element:expr, $do:ident($($arg:expr),*)) => {
        match $element {
            Element::I8 => Some($do::<i8>($($arg),*)),
            Element::U8 | Element::Bool => Some($do::<u8>($($arg),*)),
            Element::I16 => Some($do::<i16>($($arg),*)),
            Element::I32 => Some($do::<i32>($($arg),*)),
            Element::I64 => Some($do::<i64>($($arg),*)),
            Element::F32 => Some($do::<f32>($($arg),*)),
            Element::I4 | Element::Resource | Element::Other(_) => None,
        }
    };
}
pub(super) use for_type;

/// A type that a code can be turned into.
trait Typed: MoveElement + AnyBitPattern + NoUninit {
    fn of(fill: Fill) -> Self;
}

macro_rules! typed {
    ($($type:ty),*) => {$(
        impl Typed for $type {
            fn of(fill: Fill) -> Self {
                match fill {
                    Fill::Code(code) => code as Self,
                    Fill::Real(real) => real as Self,
                }
            }
        }
    )*};
}
typed!(i8, u8, i16, i32, i64, f32);

fn run<T: Typed>(moves: &Moves, io: &mut Io<'_>) -> Result<()> {
    for (k, Part { from, to, moved }) in moves.parts.iter().enumerate() {
        let constant;
        let x = match from {
            Source::Input(k) => io.x::<T>(*k),
            Source::Constant(bytes) => {
                constant = pod_collect_to_vec::<u8, T>(bytes);
                &constant
            }
        };
        match moves.fill {
            Some(fill) if k == 0 => moved.run_filled(T::of(fill), x, io.y(*to))?,
            _ => moved.run(x, io.y(*to))?,
        }
    }
    Ok(())
}

impl Operator for Moves {
    fn kernel(&self) -> &'static str {
        "Move"
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        for_type!(self.element, run(self, io)).context("it has no type")?
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let mut calls = Vec::new();
        let mut is_first = true;
        for Part { from, to, moved } in &self.parts {
            let ([x_first, y_first], [x_len, y_len]) = (moved.first(), moved.elements());
            let axis = |&MoveAxis { count, x, y }: &MoveAxis| {
                format!("scrimp::nn::MoveAxis {{ count: {count}, x: {x}, y: {y} }}")
            };
            let axes: Vec<String> = moved.axes().iter().map(axis).collect();
            let name = out.layer(
                self.kind,
                &format!("scrimp::nn::Move<{}>", axes.len()),
                &format!(
                    "scrimp::nn::Move::new([{}], {}, [{x_first}, {x_len}], [{y_first}, {y_len}])",
                    axes.join(", "),
                    moved.piece()
                ),
            );
            let x = match from {
                Source::Input(k) => args.x[*k].clone(),
                Source::Constant(bytes) => {
                    let data = constant(out, self.element, bytes);
                    out.table("PART", &format!("&[{}]", self.element.rust()), &data)
                }
            };
            let y = &args.y[*to];
            calls.push(match self.fill {
                Some(fill) if is_first => {
                    let fill = match fill {
                        Fill::Code(code) => code.to_string(),
                        Fill::Real(real) => format!("{real:?}"),
                    };
                    format!("{name}.run_filled({fill}, {x}, {y})")
                }
                _ => format!("{name}.run({x}, {y})"),
            });
            is_first = false;
        }
        calls.join("\n")
    }
}

/// The bytes of a constant in the weights file.
fn constant(out: &mut Emitter<'_>, element: Element, bytes: &[u8]) -> String {
    match element {
        Element::I8 => out.i8s(bytemuck::cast_slice(bytes)),
        Element::I16 => out.i16s(&pod_collect_to_vec::<u8, i16>(bytes)),
        Element::I32 => out.i32s(&pod_collect_to_vec::<u8, i32>(bytes)),
        Element::I64 => out.i64s(&pod_collect_to_vec::<u8, i64>(bytes)),
        Element::F32 => out.f32s(&pod_collect_to_vec::<u8, f32>(bytes)),
        _ => out.u8s(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::bounds;
    use crate::op::Strided;

    const NONE: Strided =
        Strided { begin_mask: 0, end_mask: 0, ellipsis_mask: 0, new_axis_mask: 0, shrink_axis_mask: 0, offset: false };

    #[test]
    fn bounds_of_one_axis() {
        let of = |begin, end, step| bounds(&[7], &[begin], &[end], &[step], NONE).ok().map(|spec| spec[0]);
        assert_eq!(of(1, 5, 1), Some((1, 1, 4)));
        assert_eq!(of(1, 6, 2), Some((1, 2, 3)));
        assert_eq!(of(-3, 100, 1), Some((4, 1, 3)));
        assert_eq!(of(-100, -5, 1), Some((0, 1, 2)));
        assert_eq!(of(100, 0, -1), Some((6, -1, 6)));
        assert_eq!(of(5, -100, -2), Some((5, -2, 3)));
        assert_eq!(of(5, 0, -2), Some((5, -2, 3)));
        assert_eq!(of(5, 1, -2), Some((5, -2, 2)));
        assert_eq!((of(3, 3, 1), of(3, 5, -1), of(7, 9, 1), of(0, 7, 0)), (None, None, None, None));
    }

    #[test]
    fn masks() {
        let of = |masks: Strided| bounds(&[7], &[2], &[4], &[1], masks).unwrap();
        assert_eq!(of(Strided { begin_mask: 1, ..NONE }), [(0, 1, 4)]);
        assert_eq!(of(Strided { end_mask: 1, ..NONE }), [(2, 1, 5)]);
        assert_eq!(of(Strided { shrink_axis_mask: 1, end_mask: 1, ..NONE }), [(2, 1, 1)]);
        assert_eq!(of(Strided { offset: true, ..NONE }), [(2, 1, 4)]);
        let back = |masks: Strided| bounds(&[7], &[2], &[4], &[-1], masks).unwrap();
        assert_eq!(back(Strided { begin_mask: 1, ..NONE }), [(6, -1, 2)]);
        assert_eq!(back(Strided { end_mask: 1, ..NONE }), [(2, -1, 3)]);
        assert_eq!(back(Strided { shrink_axis_mask: 1, ..NONE }), [(2, 1, 1)]);
        // A new axis, an ellipsis, and axes that no entry speaks of.
        let ellipsis = Strided { ellipsis_mask: 2, new_axis_mask: 1, ..NONE };
        let spec = bounds(&[2, 3, 4, 5], &[0, 0, 1], &[0, 0, 3], &[1, 1, 1], ellipsis).unwrap();
        assert_eq!(spec, [(0, 1, 2), (0, 1, 3), (0, 1, 4), (1, 1, 2)]);
        assert_eq!(bounds(&[2, 3], &[1], &[2], &[1], NONE).unwrap(), [(1, 1, 1), (0, 1, 3)]);
        assert!(bounds(&[2], &[0, 0], &[1, 1], &[1, 1], NONE).is_err());
        assert!(bounds(&[2, 2], &[0, 0], &[1, 1], &[1, 1], Strided { ellipsis_mask: 3, ..NONE }).is_err());
    }
}
