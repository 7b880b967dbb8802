//! Operators whose outputs are functions of one 8-bit code become one table: a GELU that is written out as products, sums and a
//! TANH, a sum with one number, a chain of activations.
//!
//! A tensor is followed back to the one that its elements are functions of, through operators that work element by element on
//! it, on other functions of it and on single numbers. The function is what the kernels give for all 256 codes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::execute::Executor;
use crate::graph::{Element, Graph, Node, TensorId};
use crate::op::{Fused, Op};

/// Fewest elements for which one operator of two operands becomes a table, which is 256 bytes.
const LEAST_ELEMENTS: usize = 256;

/// What a tensor is a function of.
#[derive(Clone, Debug)]
struct Function {
    of: TensorId,
    /// Results of the codes 0 to 127 and -128 to -1.
    codes: [i8; 256],
    /// Where the operators stand that make it.
    nodes: BTreeSet<usize>,
}

/// Replaces them, unless more memory would be in use.
pub(super) fn join(graph: &mut Graph) -> Result<()> {
    let joined = joined(graph)?;
    if most_live(&joined) <= most_live(graph) {
        *graph = joined;
    }
    Ok(())
}

fn joined(graph: &Graph) -> Result<Graph> {
    let mut functions: BTreeMap<TensorId, Function> = BTreeMap::new();
    for at in 0..graph.nodes.len() {
        if let Some((y, function)) = function(graph, at, &functions)? {
            functions.insert(y, function);
        }
    }
    // What somebody else reads, in the place of the first operator that it takes: memory of one of those in between is free.
    let mut tables: BTreeMap<usize, Vec<Node>> = BTreeMap::new();
    let mut kept = BTreeSet::new();
    let is_joined = |node: &Node| node.outputs.first().is_some_and(|y| functions.contains_key(y));
    for (&y, function) in &functions {
        let is_read = graph.nodes.iter().any(|node| node.inputs.contains(&Some(y)) && !is_joined(node));
        if !is_read && !graph.outputs.contains(&y) {
            continue;
        }
        let (Some(&first), Some(&last)) = (function.nodes.first(), function.nodes.last()) else { continue };
        let is_one = function.nodes.len() == 1;
        if is_one && (graph.nodes[last].inputs.len() < 2 || graph.tensors[y.0].elements() < LEAST_ELEMENTS) {
            kept.insert(last);
            continue;
        }
        tables.entry(first).or_default().push(Node {
            op: Op::Table(Box::new(function.codes)),
            index: graph.nodes[first].index,
            version: 1,
            inputs: vec![Some(function.of)],
            outputs: vec![y],
        });
    }
    let mut joined = graph.clone();
    joined.nodes.clear();
    for (at, node) in graph.nodes.iter().enumerate() {
        joined.nodes.extend(tables.remove(&at).unwrap_or_default());
        if kept.contains(&at) || !is_joined(node) {
            joined.nodes.push(node.clone());
        }
    }
    Ok(joined)
}

/// What a node's output is a function of.
fn function(
    graph: &Graph,
    at: usize,
    functions: &BTreeMap<TensorId, Function>,
) -> Result<Option<(TensorId, Function)>> {
    let node = &graph.nodes[at];
    let (&[y], true) = (node.outputs.as_slice(), is_by_element(&node.op)) else { return Ok(None) };
    let output = &graph.tensors[y.0];
    let mut varying: Vec<TensorId> = Vec::new();
    for &input in &node.inputs {
        let Some(id) = input else { return Ok(None) };
        let tensor = &graph.tensors[id.0];
        if tensor.is_constant() && tensor.elements() == 1 {
            continue;
        }
        if tensor.is_constant() || tensor.is_variable || tensor.element != Element::I8 || tensor.shape != output.shape {
            return Ok(None);
        }
        if !varying.contains(&id) {
            varying.push(id);
        }
    }
    if output.is_variable || output.element != Element::I8 || output.quant.is_none() {
        return Ok(None);
    }
    let root = |id: TensorId| functions.get(&id).map_or(id, |function| function.of);
    let Some(of) = varying.first().map(|&id| root(id)) else { return Ok(None) };
    if varying.iter().any(|&id| root(id) != of) {
        return Ok(None);
    }
    // The node alone, on all codes.
    let mut alone = graph.clone();
    for (i, tensor) in alone.tensors.iter_mut().enumerate() {
        let id = TensorId(i);
        if varying.contains(&id) || id == y {
            tensor.shape = vec![256];
        } else if !node.inputs.contains(&Some(id)) {
            (tensor.shape, tensor.data) = (vec![0], None);
        }
    }
    alone.nodes = vec![node.clone()];
    alone.inputs.clone_from(&varying);
    alone.outputs = vec![y];
    let Ok(mut executor) = Executor::new(&alone) else { return Ok(None) };
    let mut nodes = BTreeSet::from([at]);
    for (k, &id) in varying.iter().enumerate() {
        let identity: [i8; 256] = core::array::from_fn(|code| (code as u8).cast_signed());
        let codes = functions.get(&id).map_or(identity, |function| function.codes);
        executor.set_input(k, &codes.map(i8::cast_unsigned))?;
        nodes.extend(functions.get(&id).iter().flat_map(|function| &function.nodes));
    }
    executor.run()?;
    let results = executor.tensor(y);
    let codes = core::array::from_fn(|code| results.get(code).copied().unwrap_or(0).cast_signed());
    Ok(Some((y, Function { of, codes, nodes })))
}

/// Whether an element of the output depends on one element of each input alone.
const fn is_by_element(op: &Op) -> bool {
    matches!(
        op,
        Op::Abs
            | Op::Add { activation: Fused::None | Fused::Relu | Fused::Relu6 | Fused::ReluN1To1 }
            | Op::Elu
            | Op::Exp
            | Op::Gelu { .. }
            | Op::HardSwish
            | Op::LeakyRelu { .. }
            | Op::Log
            | Op::Logistic
            | Op::Maximum
            | Op::Minimum
            | Op::Mul { activation: Fused::None | Fused::Relu | Fused::Relu6 | Fused::ReluN1To1 }
            | Op::Quantize
            | Op::Relu
            | Op::Relu6
            | Op::ReluN1To1
            | Op::Rsqrt
            | Op::SquaredDifference
            | Op::Sub { activation: Fused::None | Fused::Relu | Fused::Relu6 | Fused::ReluN1To1 }
            | Op::Tanh
    )
}

/// Most bytes of activations that live at a time, in place or not.
fn most_live(graph: &Graph) -> usize {
    let is_activation = |id: &TensorId| !graph.tensors[id.0].is_constant() && !graph.tensors[id.0].is_variable;
    let mut last: BTreeMap<TensorId, usize> = BTreeMap::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        for id in node.inputs.iter().flatten().chain(&node.outputs).filter(|id| is_activation(id)) {
            last.insert(*id, at);
        }
    }
    for id in &graph.outputs {
        last.insert(*id, graph.nodes.len());
    }
    let mut live: BTreeSet<TensorId> = graph.inputs.iter().copied().filter(is_activation).collect();
    let mut most = 0;
    for (at, node) in graph.nodes.iter().enumerate() {
        live.extend(node.outputs.iter().filter(|id| is_activation(id)));
        most = most.max(live.iter().map(|id| graph.tensors[id.0].bytes()).sum());
        live.retain(|id| last.get(id).is_some_and(|&end| end > at));
    }
    most
}

#[cfg(test)]
mod tests {
    use super::{Element, Executor, Fused, Graph, Node, Op, TensorId, join};
    use crate::graph::{Quant, Tensor};

    fn tensor(shape: &[usize], scale: f32, zero_point: i64, data: Option<&[i8]>) -> Tensor {
        Tensor {
            name: String::new(),
            shape: shape.to_vec(),
            element: Element::I8,
            quant: Some(Quant { scales: vec![scale], zero_points: vec![zero_point], axis: 0 }),
            data: data.map(|data| data.iter().map(|code| code.cast_unsigned()).collect()),
            is_variable: false,
        }
    }

    fn node(index: usize, op: Op, inputs: &[usize], output: usize) -> Node {
        let inputs = inputs.iter().map(|&id| Some(TensorId(id))).collect();
        Node { op, index, version: 1, inputs, outputs: vec![TensorId(output)] }
    }

    /// `x (tanh(0.5 x²) + one)`, and `x` plus a row.
    fn graph() -> Graph {
        let (mul, add) = (Op::Mul { activation: Fused::None }, Op::Add { activation: Fused::None });
        Graph {
            name: String::new(),
            tensors: vec![
                tensor(&[3, 100], 0.03, 5, None),
                tensor(&[], 0.005, -128, Some(&[-28])),
                tensor(&[3, 100], 0.06, -128, None),
                tensor(&[3, 100], 0.03, -128, None),
                tensor(&[3, 100], 1.0 / 128.0, 0, None),
                tensor(&[3, 100], 0.015, -10, None),
                tensor(&[3, 100], 0.05, 0, None),
                tensor(&[100], 0.02, 1, Some(&[7; 100])),
                tensor(&[3, 100], 0.05, 2, None),
            ],
            nodes: vec![
                node(0, mul.clone(), &[0, 0], 2),
                node(1, mul.clone(), &[2, 1], 3),
                node(2, Op::Tanh, &[3], 4),
                node(3, add.clone(), &[4, 1], 5),
                node(4, mul, &[0, 5], 6),
                node(5, add, &[6, 7], 8),
            ],
            inputs: vec![TensorId(0)],
            outputs: vec![TensorId(8)],
        }
    }

    #[test]
    fn a_chain_is_one_table_of_the_same_results() {
        let (before, mut after) = (graph(), graph());
        join(&mut after).unwrap();
        let names: Vec<&str> = after.nodes.iter().map(|node| node.op.name()).collect();
        assert_eq!(names, ["TABLE", "ADD"]);
        let x: Vec<u8> = (0..300).map(|i| (i * 7) as u8).collect();
        let [want, got] = [before, after].map(|graph| {
            let mut executor = Executor::new(&graph).unwrap();
            executor.set_input(0, &x).unwrap();
            executor.run().unwrap();
            executor.tensor(TensorId(8)).to_vec()
        });
        assert_eq!(want, got);
    }

    #[test]
    fn what_others_read_stays() {
        let mut graph = graph();
        graph.outputs.push(TensorId(4));
        join(&mut graph).unwrap();
        let names: Vec<&str> = graph.nodes.iter().map(|node| node.op.name()).collect();
        assert_eq!(names, ["TABLE", "TABLE", "ADD"]);
        assert_eq!(graph.nodes[0].outputs, [TensorId(4)]);
    }

    #[test]
    fn one_activation_of_its_own_or_few_elements_stay() {
        let mut graph = graph();
        graph.nodes.truncate(1);
        graph.outputs = vec![TensorId(2)];
        let mut small = graph.clone();
        join(&mut graph).unwrap();
        assert_eq!(graph.nodes[0].op.name(), "TABLE");
        for id in [0, 2] {
            small.tensors[id].shape = vec![10];
        }
        join(&mut small).unwrap();
        assert_eq!(small.nodes[0].op.name(), "MUL");
    }
}
