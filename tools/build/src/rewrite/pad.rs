//! A PAD of rows and columns goes into the VALID convolution that reads it: PAD fills with the zero point, which is what a
//! convolution takes for a missing input.

use super::{only_reader, writer};
use crate::graph::Graph;
use crate::op::{Around, Conv, Op};

/// Folds every PAD that can be.
pub(super) fn fold(graph: &mut Graph) {
    let mut at = 0;
    while at < graph.nodes.len() {
        match foldable(graph, at) {
            Some((reader, around)) => {
                let input = graph.nodes[at].inputs[0];
                if let Some(conv) = conv_mut(&mut graph.nodes[reader].op) {
                    conv.around = around;
                }
                graph.nodes[reader].inputs[0] = input;
                graph.nodes.remove(at);
            }
            None => at += 1,
        }
    }
}

fn conv_mut(op: &mut Op) -> Option<&mut Conv> {
    match op {
        Op::Conv2d(conv) | Op::DepthwiseConv2d { conv, .. } => Some(conv),
        _ => None,
    }
}

/// The convolution that this PAD can go into, and what it pads.
fn foldable(graph: &Graph, at: usize) -> Option<(usize, Around)> {
    let node = &graph.nodes[at];
    let (Op::Pad, &[Some(x), Some(amounts)], &[y]) = (&node.op, node.inputs.as_slice(), node.outputs.as_slice()) else {
        return None;
    };
    let (from, to) = (&graph.tensors[x.0], &graph.tensors[y.0]);
    if from.quant != to.quant || from.shape.len() != 4 || from.element != to.element {
        return None;
    }
    let amounts = graph.tensors[amounts.0].integers().ok()?;
    let &[0, 0, top, bottom, left, right, 0, 0] = amounts.as_slice() else { return None };
    let side = |amount: i64| i32::try_from(amount).ok().filter(|&amount| amount >= 0);
    let around = Around { top: side(top)?, bottom: side(bottom)?, left: side(left)?, right: side(right)? };
    let reader = only_reader(graph, y)?;
    let mut op = graph.nodes[reader].op.clone();
    let conv = conv_mut(&mut op)?;
    let is_valid = !conv.same && conv.around == Around::default();
    (is_valid && graph.nodes[reader].inputs.first() == Some(&Some(y)) && writer(graph, y) == Some(at))
        .then_some((reader, around))
}
