//! What is in a `.tflite` model, as text: operators, shapes, quantization, and what cannot be run.

use core::fmt::Write as _;

use anyhow::Result;
use scrimp_build::{Executor, Graph, Tensor, TensorId, tflite};

/// A model's listing.
///
/// # Errors
/// If it is no `.tflite` model.
pub fn text(name: &str, file: &[u8]) -> Result<String> {
    let graph = tflite::read(name, file)?;
    let constants: usize = graph.tensors.iter().filter(|t| t.is_constant()).map(Tensor::bytes).sum();
    let mut text = format!(
        "{} bytes, {} operators, {} tensors, {constants} bytes of constants\n",
        file.len(),
        graph.nodes.len(),
        graph.tensors.len()
    );
    for (what, ids) in [("input ", &graph.inputs), ("output", &graph.outputs)] {
        for &id in ids {
            writeln!(text, "{what} {}", described(&graph, id))?;
        }
    }
    for (id, tensor) in graph.tensors.iter().enumerate().filter(|(_, t)| t.is_variable) {
        writeln!(text, "state  {} \"{}\"", described(&graph, TensorId(id)), tensor.name.replace('\u{1f}', "/"))?;
    }
    let executor = Executor::new(&graph);
    let steps = executor.as_ref().map(Executor::steps).unwrap_or_default();
    let macs: u64 = steps.iter().map(|step| step.macs).sum();
    if macs > 0 {
        writeln!(text, "{macs} multiply-accumulates")?;
    }
    text += "\n";
    for (i, node) in graph.nodes.iter().enumerate() {
        write!(text, "{:4} {}", node.index, node.op.name())?;
        for (k, input) in node.inputs.iter().enumerate() {
            text += if k == 0 { " " } else { ", " };
            match input {
                Some(id) => text += &described(&graph, *id),
                None => text += "-",
            }
        }
        let outputs: Vec<String> = node.outputs.iter().map(|&id| described(&graph, id)).collect();
        write!(text, " -> {}", outputs.join(", "))?;
        if let Some(step) = steps.iter().find(|step| step.node == i) {
            if step.macs > 0 {
                write!(text, "; {} multiply-accumulates", step.macs)?;
            }
            if !step.kernel.is_empty() {
                write!(text, "; {}", step.kernel)?;
            }
        }
        text += "\n";
    }
    let refusals = scrimp_build::refusals(&graph);
    if refusals.is_empty() {
        text += "\nall operators can be run\n";
    } else {
        text += "\nwhat cannot be run:\n";
        for refusal in refusals {
            writeln!(text, "  {refusal}")?;
        }
    }
    Ok(text)
}

/// `#3 int8[1, 4](0.5, -128)`.
fn described(graph: &Graph, id: TensorId) -> String {
    let tensor = &graph.tensors[id.0];
    let mut text = format!("{id} {}{:?}", tensor.element, tensor.shape);
    match &tensor.quant {
        Some(quant) if quant.scales.len() == 1 => {
            let zero_point = quant.zero_points.first().copied().unwrap_or(0);
            text += &format!("({}, {zero_point})", quant.scales[0]);
        }
        Some(quant) => text += &format!("({} scales)", quant.scales.len()),
        None => {}
    }
    if tensor.is_constant() {
        text += " constant";
    }
    text
}
