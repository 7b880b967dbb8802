//! A RELU of its own becomes the fused activation of the operator before it, where both outputs have one scale: then it only
//! clamps, and that is what a fused one does.

use super::{only_reader, writer};
use crate::graph::{Graph, Node};
use crate::op::{Fused, Op};

/// Fuses every activation that can be.
pub(super) fn fuse(graph: &mut Graph) {
    let mut at = 0;
    while at < graph.nodes.len() {
        match fusable(graph, at) {
            Some((before, activation)) => {
                let output = graph.nodes[at].outputs[0];
                if let Some(fused) = graph.nodes[before].op.activation_mut() {
                    *fused = activation;
                }
                graph.nodes[before].outputs = vec![output];
                graph.nodes.remove(at);
            }
            None => at += 1,
        }
    }
}

/// The producer that this activation can be fused into.
fn fusable(graph: &Graph, at: usize) -> Option<(usize, Fused)> {
    let Node { op, inputs, outputs, .. } = &graph.nodes[at];
    let activation = match op {
        Op::Relu => Fused::Relu,
        Op::Relu6 => Fused::Relu6,
        Op::ReluN1To1 => Fused::ReluN1To1,
        _ => return None,
    };
    let (&[Some(x)], &[y]) = (inputs.as_slice(), outputs.as_slice()) else { return None };
    let (from, to) = (&graph.tensors[x.0], &graph.tensors[y.0]);
    let same = from.quant == to.quant && from.element == to.element && from.shape == to.shape;
    if !same || from.quant.is_none() || only_reader(graph, x) != Some(at) {
        return None;
    }
    let before = writer(graph, x)?;
    let mut producer = graph.nodes[before].clone();
    let is_free = producer.op.activation_mut().is_some_and(|fused| *fused == Fused::None);
    (is_free && producer.outputs == [x]).then_some((before, activation))
}
