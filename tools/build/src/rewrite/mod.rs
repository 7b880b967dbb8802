//! Changes of a graph that leave every byte of its outputs as it is: fewer operators, less memory.
//!
//! Tensors keep their indices. What costs nothing by then (RESHAPE and its kin, variables) and what can be done in place is
//! the planner's to see.

mod activation;
mod constants;
mod dead;
mod pad;
mod tables;

use anyhow::Result;

use crate::graph::{Graph, TensorId};

/// All rewrites, in an order in which each finds what those before it have left.
///
/// # Errors
/// If constants cannot be folded because a kernel refuses to run.
pub fn rewrite(graph: &Graph) -> Result<Graph> {
    let mut graph = graph.clone();
    constants::fold(&mut graph)?;
    activation::fuse(&mut graph);
    pad::fold(&mut graph);
    tables::join(&mut graph)?;
    dead::remove(&mut graph);
    Ok(graph)
}

/// The one node that reads a tensor, if it is read once and the caller does not see it.
fn only_reader(graph: &Graph, tensor: TensorId) -> Option<usize> {
    if graph.outputs.contains(&tensor) {
        return None;
    }
    let reads = |node: usize| graph.nodes[node].inputs.iter().filter(|&&input| input == Some(tensor)).count();
    let mut readers = (0..graph.nodes.len()).filter(|&node| reads(node) > 0);
    let reader = readers.next()?;
    (readers.next().is_none() && reads(reader) == 1).then_some(reader)
}

/// The node that writes a tensor.
fn writer(graph: &Graph, tensor: TensorId) -> Option<usize> {
    graph.nodes.iter().position(|node| node.outputs.contains(&tensor))
}
