//! From a graph to steps: each node becomes a kernel of the library, or nothing.

use anyhow::{Context as _, Result, bail, ensure};
use scrimp::bits::Layout;

use crate::graph::{Element, Graph, Node, Tensor, TensorId};
use crate::operator::Operator;
use crate::ops;

/// A kernel and the tensors it works on.
#[derive(Debug)]
pub(crate) struct Step {
    /// Index of the node in the graph's list.
    pub(crate) node: usize,
    pub(crate) operator: Box<dyn Operator>,
    /// Activations and variables that are read only.
    pub(crate) inputs: Vec<TensorId>,
    pub(crate) outputs: Vec<TensorId>,
    /// Variables that are read and written.
    pub(crate) states: Vec<TensorId>,
}

/// What a node becomes.
#[derive(Debug)]
pub(crate) enum Lowered {
    /// A kernel, the activations that it reads (constants are inside it), and the variables that it changes; it writes the
    /// node's outputs.
    Kernel { operator: Box<dyn Operator>, inputs: Vec<TensorId>, states: Vec<TensorId> },
    /// The output has the bytes of this activation: RESHAPE and its kin.
    Alias(TensorId),
}

impl Lowered {
    /// A kernel without variables.
    pub(crate) fn kernel(operator: impl Operator + 'static, inputs: Vec<TensorId>) -> Self {
        Self::Kernel { operator: Box::new(operator), inputs, states: Vec::new() }
    }
}

/// One step or alias of a model, in the order they run.
#[derive(Debug)]
pub(crate) enum Work {
    Step(Step),
    Alias { node: usize, from: TensorId, to: TensorId },
}

/// What lowering a node can look at, and helpers whose errors say what is wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cx<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) node: &'a Node,
    /// In what order weights are packed.
    pub(crate) layout: Layout,
}

impl<'a> Cx<'a> {
    /// Input `k`'s index.
    pub(crate) fn input(&self, k: usize) -> Result<TensorId> {
        self.optional(k).with_context(|| format!("input {k} is missing"))
    }

    /// Input `k`'s index, if it is there.
    pub(crate) fn optional(&self, k: usize) -> Option<TensorId> {
        self.node.inputs.get(k).copied().flatten()
    }

    /// Input `k`.
    pub(crate) fn x(&self, k: usize) -> Result<&'a Tensor> {
        Ok(self.tensor(self.input(k)?))
    }

    /// Input `k`, if it is there.
    pub(crate) fn optional_x(&self, k: usize) -> Option<&'a Tensor> {
        self.optional(k).map(|id| self.tensor(id))
    }

    /// Output `k`.
    pub(crate) fn y(&self, k: usize) -> Result<&'a Tensor> {
        let id = self.node.outputs.get(k).with_context(|| format!("output {k} is missing"))?;
        Ok(self.tensor(*id))
    }

    pub(crate) fn tensor(&self, id: TensorId) -> &'a Tensor {
        &self.graph.tensors[id.0]
    }

    /// Input `k`, which must be an activation of this type.
    pub(crate) fn activation(&self, k: usize, element: Element) -> Result<(TensorId, &'a Tensor)> {
        let (id, tensor) = (self.input(k)?, self.x(k)?);
        ensure!(tensor.element == element, "input {k} is {tensor}; {element} is needed here");
        ensure!(!tensor.is_constant(), "input {k} ({tensor}) is constant, which is not supported here");
        Ok((id, tensor))
    }

    /// `Ok` if the node has so many inputs (absent ones at the end may be left out) and outputs.
    pub(crate) fn counts(&self, inputs: core::ops::RangeInclusive<usize>, outputs: usize) -> Result<()> {
        let Node { inputs: has, outputs: writes, .. } = self.node;
        ensure!(inputs.contains(&has.len()), "it has {} inputs, {inputs:?} possible", has.len());
        ensure!(writes.len() == outputs, "it has {} outputs, {outputs} needed", writes.len());
        Ok(())
    }
}

/// Makes steps of a graph.
///
/// # Errors
/// For an operator that cannot be run: its index, its name, and what would help.
pub(crate) fn lower(graph: &Graph, layout: Layout) -> Result<Vec<Work>> {
    (0..graph.nodes.len()).map(|node| lower_node(graph, node, layout)).collect()
}

/// Makes a step of one node.
pub(crate) fn lower_node(graph: &Graph, index: usize, layout: Layout) -> Result<Work> {
    let node = &graph.nodes[index];
    let cx = Cx { graph, node, layout };
    let work = || -> Result<Work> {
        for &id in node.inputs.iter().flatten().chain(&node.outputs) {
            check_size(cx.tensor(id))?;
        }
        Ok(match ops::lower(&cx)? {
            Lowered::Kernel { operator, inputs, states } => {
                Work::Step(Step { node: index, operator, inputs, outputs: node.outputs.clone(), states })
            }
            Lowered::Alias(from) => {
                let &[to] = node.outputs.as_slice() else { bail!("it has {} outputs, 1 needed", node.outputs.len()) };
                let (x, y) = (cx.tensor(from), cx.tensor(to));
                ensure!(x.element == y.element && x.elements() == y.elements(), "{x} cannot become {y} by renaming");
                Work::Alias { node: index, from, to }
            }
        })
    };
    work().with_context(|| node.to_string())
}

fn check_size(tensor: &Tensor) -> Result<()> {
    if let Element::Other(_) = tensor.element {
        bail!("{tensor} is of a type that no kernel here computes with: convert with full integer quantization");
    }
    Ok(())
}

/// Why operators of a graph cannot be run, a line each; empty if all can.
#[must_use]
pub fn refusals(graph: &Graph) -> Vec<String> {
    let refused = |node| lower_node(graph, node, Layout::BEST).err().map(|error| format!("{error:#}"));
    (0..graph.nodes.len()).filter_map(refused).collect()
}
