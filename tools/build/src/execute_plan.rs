//! Runs a plan on the host in one arena, as generated code does on a device: what a plan lays over something that is still
//! needed shows as wrong bytes.

use aligned_vec::{AVec, ConstAlign};
use anyhow::{Context as _, Result, ensure};
use scrimp::bits::Layout;

use crate::graph::{Graph, TensorId};
use crate::lower::{Step, Work, lower};
use crate::operator::Io;
use crate::plan::{Kind, Plan, Planned, plan};
use crate::rewrite::rewrite;

type Buffer = AVec<u8, ConstAlign<16>>;

/// A model in its arena.
#[derive(Debug)]
pub struct ArenaExecutor {
    graph: Graph,
    work: Vec<Work>,
    plan: Plan,
    arena: Buffer,
}

impl ArenaExecutor {
    /// Rewrites a graph, lowers it, plans its memory, and sets variables to their start; everything else is noise.
    ///
    /// # Errors
    /// For an operator that cannot be run: its index, its name, and what would help.
    pub fn new(graph: &Graph) -> Result<Self> {
        let graph = rewrite(graph)?;
        let work = lower(&graph, Layout::BEST)?;
        let plan = plan(&graph, &work)?;
        let noise = (0..plan.arena).map(|i| (i * 37 + 11) as u8);
        let arena = Buffer::from_iter(16, noise);
        let mut executor = Self { graph, work, plan, arena };
        executor.reset();
        Ok(executor)
    }

    /// Bytes of the arena, and the least that any plan could take.
    #[must_use]
    pub const fn sizes(&self) -> (usize, usize) {
        (self.plan.arena, self.plan.lower_bound)
    }

    /// A drawing of the arena, a line for each operator.
    #[must_use]
    pub fn drawing(&self) -> String {
        self.plan.drawing(&self.graph, &self.work)
    }

    /// Sets variables back to what they start with.
    pub fn reset(&mut self) {
        for i in 0..self.graph.tensors.len() {
            if self.graph.tensors[i].is_variable && self.plan.offsets[i].is_some() {
                let initial = self.graph.tensors[i].initial();
                self.arena[self.plan.range(&self.graph, TensorId(i))].copy_from_slice(&initial);
            }
        }
    }

    /// Fills input `k`.
    ///
    /// # Errors
    /// If there is no such input, or it has another number of bytes.
    pub fn set_input(&mut self, k: usize, bytes: &[u8]) -> Result<()> {
        let id = *self.graph.inputs.get(k).with_context(|| format!("there is no input {k}"))?;
        let range = self.plan.range(&self.graph, id);
        ensure!(range.len() == bytes.len(), "input {k} has {} bytes, {} given", range.len(), bytes.len());
        self.arena[range].copy_from_slice(bytes);
        Ok(())
    }

    /// Runs all operators in order; `look` sees each output as it is written.
    ///
    /// # Errors
    /// If a kernel refuses its call, or `look` fails.
    pub fn run(&mut self, mut look: impl FnMut(TensorId, &[u8]) -> Result<()>) -> Result<()> {
        for i in 0..self.work.len() {
            let planned = self.plan.steps[i];
            match &self.work[i] {
                &Work::Alias { from, to, .. } => {
                    let bytes = self.arena[self.plan.range(&self.graph, from)].to_vec();
                    self.arena[self.plan.range(&self.graph, to)].copy_from_slice(&bytes);
                    look(to, &bytes)?;
                }
                Work::Step(step) => {
                    run_step(&self.graph, &self.plan, &mut self.arena, step, planned)
                        .with_context(|| format!("{} did not run", self.graph.nodes[step.node]))?;
                    for &y in &step.outputs {
                        if self.plan.offsets[y.0].is_some() {
                            look(y, &self.arena[self.plan.range(&self.graph, y)])?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The bytes of output `k` as the last run left them.
    ///
    /// # Errors
    /// If there is no such output.
    pub fn output(&self, k: usize) -> Result<&[u8]> {
        let id = *self.graph.outputs.get(k).with_context(|| format!("there is no output {k}"))?;
        Ok(&self.arena[self.plan.range(&self.graph, id)])
    }
}

/// Runs a kernel on copies of what it reads, and puts what it wrote, its scratch too, into the arena.
fn run_step(graph: &Graph, plan: &Plan, arena: &mut Buffer, step: &Step, planned: Planned) -> Result<()> {
    let scratch_at = planned.scratch;
    let copy = |range: core::ops::Range<usize>| Buffer::from_iter(16, arena[range].iter().copied());
    let range = |&id: &TensorId| plan.range(graph, id);
    let inputs: Vec<Buffer> = step.inputs.iter().map(|id| copy(range(id))).collect();
    let mut outputs: Vec<Buffer> = step.outputs.iter().map(|id| copy(range(id))).collect();
    let mut states: Vec<Buffer> = step.states.iter().map(|id| copy(range(id))).collect();
    let scratch_bytes = step.operator.scratch().bytes();
    let mut scratch = copy(scratch_at..scratch_at + scratch_bytes);
    let mut write_at: Vec<usize> = step.outputs.iter().map(|id| range(id).start).collect();
    let (mut in_place, mut is_shifted) = (None, false);
    match planned.kind {
        Kind::Kernel { in_place: k } => in_place = k,
        Kind::Shifted => {
            let (y, x) = (range(&step.outputs[0]), range(&step.inputs[0]));
            outputs[0] = copy(y.start..y.end.max(x.end));
            write_at[0] = y.start;
            is_shifted = true;
        }
        Kind::Nothing | Kind::Copy { .. } => {}
    }
    let empty = |k: usize| in_place == Some(k) || (is_shifted && k == 0);
    let mut io = Io {
        inputs: inputs.iter().enumerate().map(|(k, x)| if empty(k) { &[][..] } else { x.as_slice() }).collect(),
        outputs: outputs.iter_mut().map(|y| y.as_mut_slice()).collect(),
        states: states.iter_mut().map(|state| state.as_mut_slice()).collect(),
        scratch: &mut scratch,
        in_place,
        is_shifted,
    };
    step.operator.run(&mut io)?;
    arena[scratch_at..scratch_at + scratch_bytes].copy_from_slice(&scratch);
    for (&at, y) in write_at.iter().zip(&outputs) {
        arena[at..at + y.len()].copy_from_slice(y);
    }
    for (id, state) in step.states.iter().zip(&states) {
        arena[plan.range(graph, *id)].copy_from_slice(state);
    }
    Ok(())
}
