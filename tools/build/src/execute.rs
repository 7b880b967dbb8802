//! Runs a graph on the host, node by node, by the library's kernels; every tensor stays to be looked at.

use aligned_vec::{AVec, ConstAlign};
use anyhow::{Context as _, Result, ensure};
use scrimp::bits::Layout;

use crate::graph::{Element, Graph, TensorId};
use crate::lower::{Step, Work, lower};
use crate::operator::Io;

/// Most bytes of all tensors of a model that is run here.
const MOST_BYTES: usize = 1 << 30;

/// Bytes aligned as those of an arena.
type Buffer = AVec<u8, ConstAlign<16>>;

/// A model on the host: its kernels, and a buffer for each tensor.
#[derive(Debug)]
pub struct Executor {
    graph: Graph,
    work: Vec<Work>,
    tensors: Vec<Buffer>,
}

impl Executor {
    /// Lowers a graph and allocates its tensors, with variables at their start.
    ///
    /// # Errors
    /// For an operator that cannot be run: its index, its name, and what would help.
    pub fn new(graph: &Graph) -> Result<Self> {
        let bytes: usize = graph.tensors.iter().map(|tensor| tensor.bytes()).sum();
        ensure!(bytes <= MOST_BYTES, "its tensors take {bytes} bytes, at most {MOST_BYTES} possible here");
        let work = lower(graph, Layout::BEST)?;
        let buffer = |bytes: usize| Buffer::from_iter(16, core::iter::repeat_n(0, bytes));
        let tensors = graph.tensors.iter().map(|tensor| buffer(tensor.bytes())).collect();
        let mut executor = Self { graph: graph.clone(), work, tensors };
        for (tensor, bytes) in graph.tensors.iter().zip(&mut executor.tensors) {
            if let Some(data) = &tensor.data {
                ensure!(bytes.len() == data.len(), "{tensor} has {} bytes of data", data.len());
                bytes.copy_from_slice(data);
            }
        }
        executor.reset();
        Ok(executor)
    }

    /// The graph that runs.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Sets variables back to what they start with.
    pub fn reset(&mut self) {
        for (tensor, bytes) in self.graph.tensors.iter().zip(&mut self.tensors) {
            if tensor.is_variable {
                bytes.copy_from_slice(&tensor.initial());
            }
        }
    }

    /// Fills input `k`.
    ///
    /// # Errors
    /// If there is no such input, or it has another number of bytes.
    pub fn set_input(&mut self, k: usize, bytes: &[u8]) -> Result<()> {
        let id =
            *self.graph.inputs.get(k).with_context(|| format!("the model has {} inputs", self.graph.inputs.len()))?;
        let tensor = &self.graph.tensors[id.0];
        ensure!(
            bytes.len() == tensor.bytes(),
            "input {k} is {tensor}, which is {} bytes; {} given",
            tensor.bytes(),
            bytes.len()
        );
        self.tensors[id.0].copy_from_slice(bytes);
        Ok(())
    }

    /// The bytes of a tensor as the last run left them.
    #[must_use]
    pub fn tensor(&self, id: TensorId) -> &[u8] {
        &self.tensors[id.0]
    }

    /// Runs all operators in order.
    ///
    /// # Errors
    /// If a kernel refuses its call; lowering has checked it, so none should.
    pub fn run(&mut self) -> Result<()> {
        for i in 0..self.work.len() {
            match &self.work[i] {
                &Work::Alias { from, to, .. } => {
                    let bytes = self.tensors[from.0].clone();
                    self.tensors[to.0].copy_from_slice(&bytes);
                }
                Work::Step(step) => run_step(step, &mut self.tensors)
                    .with_context(|| format!("{} did not run", self.graph.nodes[step.node]))?,
            }
        }
        Ok(())
    }

    /// A line for each step: its node, its kernel and its multiply-accumulates.
    #[must_use]
    pub fn steps(&self) -> Vec<StepInfo> {
        let info = |work: &Work| match work {
            &Work::Alias { node, .. } => StepInfo { node, kernel: "", macs: 0, scratch_bytes: 0 },
            Work::Step(step) => StepInfo {
                node: step.node,
                kernel: step.operator.kernel(),
                macs: step.operator.macs(),
                scratch_bytes: step.operator.scratch().bytes(),
            },
        };
        self.work.iter().map(info).collect()
    }
}

/// What is known of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepInfo {
    /// Index of the node in the graph's list.
    pub node: usize,
    /// The library's type or function; empty if nothing runs.
    pub kernel: &'static str,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes that it wants beside its inputs and outputs.
    pub scratch_bytes: usize,
}

fn run_step(step: &Step, tensors: &mut [Buffer]) -> Result<()> {
    // What is written is taken out of the list, so that everything else can be read.
    let mut take = |ids: &[TensorId]| -> Vec<Buffer> {
        ids.iter().map(|id| core::mem::replace(&mut tensors[id.0], Buffer::new(16))).collect()
    };
    let (mut outputs, mut states) = (take(&step.outputs), take(&step.states));
    let scratch = step.operator.scratch();
    // Of any contents: a kernel that trusts zeros is found out.
    let mut scratch = Buffer::from_iter(16, core::iter::repeat_n(0xA5, scratch.bytes()));
    let mut io = Io {
        inputs: step.inputs.iter().map(|id| tensors[id.0].as_slice()).collect(),
        outputs: outputs.iter_mut().map(|buffer| buffer.as_mut_slice()).collect(),
        states: states.iter_mut().map(|buffer| buffer.as_mut_slice()).collect(),
        scratch: &mut scratch,
        in_place: None,
        is_shifted: false,
    };
    let result = step.operator.run(&mut io);
    for (id, buffer) in step.outputs.iter().zip(outputs).chain(step.states.iter().zip(states)) {
        tensors[id.0] = buffer;
    }
    result
}

impl crate::graph::Tensor {
    /// What a variable starts with: what is assigned to it at first, or its zero point if it is int8, or zeros.
    pub(crate) fn initial(&self) -> Vec<u8> {
        if let Some(data) = &self.data {
            return data.to_vec();
        }
        let fill = match (&self.element, &self.quant) {
            (Element::I8, Some(quant)) => quant.zero_points.first().map_or(0, |&zero_point| zero_point as u8),
            _ => 0,
        };
        vec![fill; self.bytes()]
    }
}
