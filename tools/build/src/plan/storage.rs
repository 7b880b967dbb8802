//! Which tensors share memory, and from when to when.

use anyhow::{Result, ensure};

use super::place::{ALIGNMENT, Block};
use crate::graph::{Graph, TensorId};
use crate::lower::{Step, Work};
use crate::operator::Overlay;

/// Memory of one or several tensors that hold the same bytes, or follow each other in place.
#[derive(Clone, Debug)]
struct Storage {
    tensors: Vec<TensorId>,
    bytes: usize,
    /// Time at which it is first written.
    start: usize,
    /// Time at which it is last read.
    end: usize,
    /// Whether it keeps what it holds from run to run.
    is_variable: bool,
}

/// The storages of a model.
#[derive(Debug)]
pub(super) struct Storages {
    list: Vec<Storage>,
    /// The storage of each tensor that has one.
    of: Vec<Option<usize>>,
}

/// When a tensor is written and read; times are indices of work, plus 1.
#[derive(Clone, Debug, Default)]
struct Life {
    writes: Vec<usize>,
    reads: Vec<usize>,
}

impl Storages {
    pub(super) fn new(graph: &Graph, work: &[Work]) -> Result<Self> {
        let lives = lives(graph, work)?;
        let mut storages = Self { list: Vec::new(), of: vec![None; graph.tensors.len()] };
        for (i, (tensor, life)) in graph.tensors.iter().zip(&lives).enumerate() {
            let is_used = !life.writes.is_empty() || !life.reads.is_empty();
            if !is_used || tensor.is_constant() {
                continue;
            }
            storages.of[i] = Some(storages.list.len());
            let times = life.writes.iter().chain(&life.reads);
            storages.list.push(Storage {
                tensors: vec![TensorId(i)],
                bytes: tensor.bytes(),
                start: if tensor.is_variable { 0 } else { times.clone().copied().min().unwrap_or(0) },
                end: if tensor.is_variable { work.len() + 1 } else { times.copied().max().unwrap_or(0) },
                is_variable: tensor.is_variable,
            });
        }
        // First what costs nothing at all, then what is assigned, then kernels in place.
        for (i, work) in work.iter().enumerate() {
            if let &Work::Alias { from, to, .. } = work
                && !graph.tensors[to.0].is_variable
                && storages.can_rename(graph, &lives, from, to, i + 1)
            {
                storages.merge(from, to);
            }
        }
        for (i, alias) in work.iter().enumerate() {
            if let &Work::Alias { from, to, .. } = alias
                && graph.tensors[to.0].is_variable
                && storages.can_assign(graph, &lives, work, from, to, i + 1)
            {
                storages.merge(to, from);
            }
        }
        for (i, work) in work.iter().enumerate() {
            if let Work::Step(step) = work
                && let Some((x, y)) = storages.can_overwrite(graph, step, i + 1)
            {
                storages.merge(x, y);
            }
        }
        storages.tidy();
        Ok(storages)
    }

    /// The storage of a tensor.
    pub(super) fn of(&self, tensor: TensorId) -> Option<usize> {
        self.of[tensor.0]
    }

    /// The tensors of a storage.
    pub(super) fn tensors(&self, storage: usize) -> Vec<TensorId> {
        self.list[storage].tensors.clone()
    }

    pub(super) fn ends_at(&self, storage: usize, time: usize) -> bool {
        self.list[storage].end == time && !self.list[storage].is_variable
    }

    pub(super) fn begins_at(&self, storage: usize, time: usize) -> bool {
        self.list[storage].start == time && !self.list[storage].is_variable
    }

    /// Their memory.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let block = |s: &Storage| Block { size: s.bytes.next_multiple_of(ALIGNMENT), start: s.start, end: s.end };
        self.list.iter().map(block).collect()
    }

    /// Whether `to` can be another name of `from`: always, unless a variable changes while `to` is still read.
    fn can_rename(&self, graph: &Graph, lives: &[Life], from: TensorId, to: TensorId, time: usize) -> bool {
        let Some((source, target)) = self.of(from).zip(self.of(to)) else { return false };
        if source == target {
            return false;
        }
        let last_read = self.list[target].end;
        let changes = |&tensor: &TensorId| {
            let is_variable = graph.tensors[tensor.0].is_variable;
            is_variable && lives[tensor.0].writes.iter().any(|&write| write > time && write <= last_read)
        };
        !self.list[target].is_variable && !self.list[source].tensors.iter().any(changes)
    }

    /// Whether the kernel that makes `value` can write it to the variable at once: nothing reads what the variable held any
    /// more.
    fn can_assign(
        &self,
        graph: &Graph,
        lives: &[Life],
        work: &[Work],
        value: TensorId,
        variable: TensorId,
        time: usize,
    ) -> bool {
        let Some((source, target)) = self.of(value).zip(self.of(variable)) else { return false };
        let (from, to) = (&self.list[source], &self.list[target]);
        if source == target || from.is_variable || from.bytes != to.bytes || graph.inputs.contains(&value) {
            return false;
        }
        // What is renamed from the variable is in its storage by now. One assignment a run, or there are two new values.
        let writes: Vec<usize> = to.tensors.iter().flat_map(|t| &lives[t.0].writes).copied().collect();
        let assignments = to.tensors.iter().filter(|t| graph.tensors[t.0].is_variable);
        if assignments.flat_map(|t| &lives[t.0].writes).count() != 1 || from.start == 0 {
            return false;
        }
        let reads = to.tensors.iter().flat_map(|t| &lives[t.0].reads).chain(&writes);
        let last_old = reads.copied().filter(|&read| read < time).max().unwrap_or(0);
        let is_read_later = to.tensors.iter().any(|t| {
            // A name of the old value that is read after the new one is there.
            !graph.tensors[t.0].is_variable && lives[t.0].reads.iter().any(|&read| read > from.start)
        });
        if is_read_later {
            return false;
        }
        if last_old < from.start {
            return true;
        }
        // The kernel that makes the value is the last to read the old one: in place, if it has such a form.
        let Some(Work::Step(step)) = work.get(from.start - 1) else { return false };
        let Overlay::Exact(over) = step.operator.overlay() else { return false };
        last_old == from.start
            && step.outputs.first() == Some(&value)
            && self.one_input(step, target).is_some_and(|k| over.contains(&k))
    }

    /// The input and the output of a kernel that can run in place, if nobody else wants that input.
    fn can_overwrite(&self, graph: &Graph, step: &Step, time: usize) -> Option<(TensorId, TensorId)> {
        let Overlay::Exact(over) = step.operator.overlay() else { return None };
        let &y = step.outputs.first()?;
        let target = self.of(y)?;
        for &k in over {
            let Some(&x) = step.inputs.get(k) else { continue };
            let Some(source) = self.of(x) else { continue };
            let (from, to) = (&self.list[source], &self.list[target]);
            let is_free = source != target
                && !from.is_variable
                && !to.is_variable
                && from.end == time
                && to.start == time
                && from.bytes == to.bytes
                && from.tensors.iter().all(|t| !graph.outputs.contains(t))
                && self.one_input(step, source) == Some(k)
                && step.states.iter().all(|&state| self.of(state) != Some(source));
            if is_free {
                return Some((x, y));
            }
        }
        None
    }

    /// The one input of a step that is in a storage; `None` if there are none or several.
    fn one_input(&self, step: &Step, storage: usize) -> Option<usize> {
        let mut there = step.inputs.iter().enumerate().filter(|&(_, &x)| self.of(x) == Some(storage));
        let (k, _) = there.next()?;
        there.next().is_none().then_some(k)
    }

    /// Moves all of `second`'s storage to that of `first`.
    fn merge(&mut self, first: TensorId, second: TensorId) {
        let Some((to, from)) = self.of(first).zip(self.of(second)) else { return };
        let storage = self.list[from].clone();
        for tensor in &storage.tensors {
            self.of[tensor.0] = Some(to);
        }
        let kept = &mut self.list[to];
        kept.tensors.extend(&storage.tensors);
        kept.bytes = kept.bytes.max(storage.bytes);
        kept.start = kept.start.min(storage.start);
        kept.end = kept.end.max(storage.end);
        kept.is_variable |= storage.is_variable;
        self.list[from].tensors.clear();
    }

    /// Forgets storages that were merged into others.
    fn tidy(&mut self) {
        let mut kept = Vec::new();
        for storage in core::mem::take(&mut self.list) {
            if storage.tensors.is_empty() {
                continue;
            }
            for tensor in &storage.tensors {
                self.of[tensor.0] = Some(kept.len());
            }
            kept.push(storage);
        }
        self.list = kept;
    }
}

fn lives(graph: &Graph, work: &[Work]) -> Result<Vec<Life>> {
    let mut lives = vec![Life::default(); graph.tensors.len()];
    for &input in &graph.inputs {
        lives[input.0].writes.push(0);
    }
    for (i, work) in work.iter().enumerate() {
        let time = i + 1;
        let (inputs, outputs, states): (&[TensorId], &[TensorId], &[TensorId]) = match work {
            Work::Alias { from, to, .. } => (core::slice::from_ref(from), core::slice::from_ref(to), &[]),
            Work::Step(step) => (&step.inputs, &step.outputs, &step.states),
        };
        for &x in inputs.iter().chain(states) {
            let tensor = &graph.tensors[x.0];
            ensure!(!tensor.is_constant(), "{x} ({tensor}) is constant, and constants have no place in the arena");
            let is_there = tensor.is_variable || !lives[x.0].writes.is_empty();
            ensure!(is_there, "{x} ({tensor}) is read before anything has written it");
            lives[x.0].reads.push(time);
        }
        for &y in outputs.iter().chain(states) {
            lives[y.0].writes.push(time);
        }
    }
    for &output in &graph.outputs {
        lives[output.0].reads.push(work.len() + 1);
    }
    Ok(lives)
}
