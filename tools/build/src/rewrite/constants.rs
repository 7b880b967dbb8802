//! An operator on constants alone is run now, and its output is a constant.

use anyhow::Result;

use crate::execute::Executor;
use crate::graph::{Graph, TensorId};

/// Most bytes of a constant that is made here.
const MOST_BYTES: usize = 1 << 24;

/// Runs every operator whose inputs are all constant, until there are none.
pub(super) fn fold(graph: &mut Graph) -> Result<()> {
    let mut at = 0;
    while at < graph.nodes.len() {
        match folded(graph, at)? {
            // In order, so that what reads its output is looked at later.
            Some(outputs) => {
                for (id, bytes) in outputs {
                    graph.tensors[id.0].data = Some(bytes.into());
                }
                graph.nodes.remove(at);
            }
            None => at += 1,
        }
    }
    Ok(())
}

/// A tensor and its bytes.
type Value = (TensorId, Vec<u8>);

/// What a node gives, if that is known already.
fn folded(graph: &Graph, at: usize) -> Result<Option<Vec<Value>>> {
    let node = &graph.nodes[at];
    let is_constant = |id: &TensorId| graph.tensors[id.0].is_constant();
    let is_plain = |id: &TensorId| {
        let tensor = &graph.tensors[id.0];
        !graph.outputs.contains(id) && !tensor.is_variable && tensor.bytes() <= MOST_BYTES
    };
    if node.inputs.iter().flatten().count() == 0
        || !node.inputs.iter().flatten().all(is_constant)
        || !node.outputs.iter().all(is_plain)
    {
        return Ok(None);
    }
    // Kernels take one of the inputs as an activation; which one, the operator says by not refusing.
    for &id in node.inputs.iter().flatten() {
        let mut alone = graph.clone();
        // Of the others only what the node names.
        let named: Vec<TensorId> = node.inputs.iter().flatten().chain(&node.outputs).copied().collect();
        for (i, tensor) in alone.tensors.iter_mut().enumerate() {
            if !named.contains(&TensorId(i)) {
                (tensor.shape, tensor.data) = (vec![0], None);
            }
        }
        alone.nodes = vec![node.clone()];
        alone.inputs = vec![id];
        alone.outputs.clone_from(&node.outputs);
        let Some(data) = alone.tensors[id.0].data.take() else { continue };
        let Ok(mut executor) = Executor::new(&alone) else { continue };
        executor.set_input(0, &data)?;
        executor.run()?;
        return Ok(Some(node.outputs.iter().map(|&id| (id, executor.tensor(id).to_vec())).collect()));
    }
    Ok(None)
}
