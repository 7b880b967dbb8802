//! Operators whose outputs nobody reads are dropped.

use crate::graph::Graph;

/// Drops them, from the end, so that what only they read goes too.
pub(super) fn remove(graph: &mut Graph) {
    for at in (0..graph.nodes.len()).rev() {
        let is_read = graph.nodes[at].outputs.iter().any(|output| {
            let read = |node: &crate::graph::Node| node.inputs.contains(&Some(*output));
            graph.outputs.contains(output)
                || graph.tensors[output.0].is_variable
                || graph.nodes[at + 1..].iter().any(read)
        });
        // Kernels with variables (an LSTM, say) do something even if nobody looks.
        let has_state = graph.nodes[at].inputs.iter().flatten().any(|input| graph.tensors[input.0].is_variable);
        if !is_read && !has_state {
            graph.nodes.remove(at);
        }
    }
}
