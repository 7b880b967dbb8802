//! Where every tensor of a model lies in one arena.
//!
//! A step's place in the order is its time; inputs are there at time 0, outputs and variables to the end. Tensors that hold
//! the same bytes share a *storage*: what RESHAPE renames, an output that a kernel writes over its input, what is assigned to
//! a variable. Storages that live at the same time lie apart ([`place`]).

mod draw;
pub(crate) mod place;
mod storage;

use anyhow::Result;

use crate::graph::{Graph, TensorId};
use crate::lower::Work;
use crate::operator::Overlay;
use place::{ALIGNMENT, Block, Placement, Shift};
use storage::Storages;

/// A model whose memory is laid out.
#[derive(Debug)]
pub(crate) struct Plan {
    /// One for each piece of work.
    pub(crate) steps: Vec<Planned>,
    /// Byte offset of each tensor that lies in the arena.
    pub(crate) offsets: Vec<Option<usize>>,
    /// Bytes of the arena.
    pub(crate) arena: usize,
    /// No plan takes less than this, with these overlays.
    pub(crate) lower_bound: usize,
    /// Index of the work at which most lives.
    pub(crate) peak: usize,
    /// What lives there, for a drawing: tensors, offset, bytes, times.
    pub(crate) blocks: Vec<Placed>,
}

impl Plan {
    /// The bytes of a tensor in the arena; empty if it has no place there.
    pub(crate) fn range(&self, graph: &Graph, tensor: TensorId) -> core::ops::Range<usize> {
        match self.offsets[tensor.0] {
            Some(at) => at..at + graph.tensors[tensor.0].bytes(),
            None => 0..0,
        }
    }
}

/// How a piece of work runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) kind: Kind,
    /// Offset of the scratch.
    pub(crate) scratch: usize,
}

impl Planned {
    /// Whether it is an alias whose bytes are copied.
    pub(crate) const fn is_copy(&self) -> bool {
        matches!(self.kind, Kind::Copy { .. })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An alias that costs nothing.
    Nothing,
    /// An alias whose bytes are copied.
    Copy { from: TensorId, to: TensorId },
    /// A kernel; `in_place` is the input that lies where output 0 does.
    Kernel { in_place: Option<usize> },
    /// A kernel on one slice that begins with output 0 and ends with input 0.
    Shifted,
}

/// A storage, or a scratch, at its place.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) tensors: Vec<TensorId>,
    pub(crate) offset: usize,
    pub(crate) block: Block,
}

/// Lays out the memory of lowered work.
///
/// # Errors
/// If a step reads a tensor that nothing has written.
pub(crate) fn plan(graph: &Graph, work: &[Work]) -> Result<Plan> {
    let storages = Storages::new(graph, work)?;
    let mut blocks = storages.blocks();
    let count = blocks.len();
    let mut shifts = Vec::new();
    let mut scratch_blocks = vec![None; work.len()];
    for (i, work) in work.iter().enumerate() {
        let Work::Step(step) = work else { continue };
        let bytes = step.operator.scratch().bytes();
        if bytes > 0 {
            scratch_blocks[i] = Some(blocks.len());
            blocks.push(Block { size: bytes.next_multiple_of(ALIGNMENT), start: i + 1, end: i + 1 });
        }
        if let Overlay::Shifted(before) = step.operator.overlay()
            && let (Some(&x), Some(&y)) = (step.inputs.first(), step.outputs.first())
            && let (Some(under), Some(over)) = (storages.of(x), storages.of(y))
            && storages.ends_at(under, i + 1)
            && storages.begins_at(over, i + 1)
        {
            shifts.push(Shift { over, under, before: before.next_multiple_of(ALIGNMENT) });
        }
    }
    let Placement { offsets, total } = place::place(&blocks, &shifts);
    let (lower_bound, time) = place::lower_bound(&blocks, &shifts);
    let steps = work
        .iter()
        .enumerate()
        .map(|(i, work)| Planned {
            kind: kind(work, &storages, &shifts, &blocks, &offsets),
            scratch: scratch_blocks[i].map_or(0, |block| offsets[block]),
        })
        .collect();
    let of = |tensor: usize| storages.of(TensorId(tensor)).map(|storage| offsets[storage]);
    let placed = blocks.iter().zip(&offsets).enumerate().map(|(i, (&block, &offset))| Placed {
        tensors: if i < count { storages.tensors(i) } else { Vec::new() },
        offset,
        block,
    });
    Ok(Plan {
        steps,
        offsets: (0..graph.tensors.len()).map(of).collect(),
        arena: total,
        lower_bound,
        peak: time.saturating_sub(1).min(work.len().saturating_sub(1)),
        blocks: placed.collect(),
    })
}

fn kind(work: &Work, storages: &Storages, shifts: &[Shift], blocks: &[Block], offsets: &[usize]) -> Kind {
    match work {
        &Work::Alias { from, to, .. } if storages.of(from) == storages.of(to) => Kind::Nothing,
        &Work::Alias { from, to, .. } => Kind::Copy { from, to },
        Work::Step(step) => {
            let Some(over) = step.outputs.first().and_then(|&y| storages.of(y)) else {
                return Kind::Kernel { in_place: None };
            };
            let in_place = step.inputs.iter().position(|&x| storages.of(x) == Some(over));
            let under = step.inputs.first().and_then(|&x| storages.of(x));
            let is_shifted = shifts.iter().any(|s| {
                s.over == over && Some(s.under) == under && {
                    let (at, other) = (offsets[s.over], offsets[s.under]);
                    at + blocks[s.over].size > other && other + blocks[s.under].size > at
                }
            });
            if is_shifted { Kind::Shifted } else { Kind::Kernel { in_place } }
        }
    }
}
