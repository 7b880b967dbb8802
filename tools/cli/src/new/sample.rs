//! `src/sample.rs` of a project: inputs and outputs of one run, as arrays of Rust.

use core::fmt::Write as _;

use anyhow::{Result, bail};
use scrimp_build::{Element, Executor, Graph, TensorId};

/// Columns of a line.
const WIDTH: usize = 100;

/// Numbers that differ from each other and mean nothing, as bytes of a tensor.
///
/// # Errors
/// If its type is none that a project can be given.
pub(super) fn ramp(graph: &Graph, id: TensorId) -> Result<Vec<u8>> {
    let tensor = &graph.tensors[id.0];
    let numbers = 0..tensor.elements();
    Ok(match tensor.element {
        Element::I8 | Element::U8 => numbers.map(|i| (i * 37 % 256) as u8).collect(),
        Element::I16 => numbers.flat_map(|i| ((i * 9973 % 65536) as u16).to_le_bytes()).collect(),
        Element::F32 => numbers.flat_map(|i| ((i % 17) as f32 / 16.0).to_le_bytes()).collect(),
        // Indices, counts: 0 is always one.
        Element::I32 | Element::I64 | Element::Bool => vec![0; tensor.bytes()],
        element => bail!("an input of type {element} needs a file: --input"),
    })
}

/// The file.
///
/// # Errors
/// If an input or output is of a type without numbers.
pub(super) fn module(executor: &Executor, inputs: &[Vec<u8>]) -> Result<String> {
    let graph = executor.graph();
    let mut text = String::from("//! One run of the model: what it was given, and what came out on the host.\n");
    for (k, (&id, bytes)) in graph.inputs.iter().zip(inputs).enumerate() {
        array(&mut text, graph, id, "INPUT", (graph.inputs.len(), k), bytes)?;
    }
    for (k, &id) in graph.outputs.iter().enumerate() {
        array(&mut text, graph, id, "OUTPUT", (graph.outputs.len(), k), executor.tensor(id))?;
    }
    Ok(text)
}

fn array(text: &mut String, graph: &Graph, id: TensorId, name: &str, of: (usize, usize), bytes: &[u8]) -> Result<()> {
    let tensor = &graph.tensors[id.0];
    let name = if of.0 == 1 { name.to_owned() } else { format!("{name}_{}", of.1) };
    let real = |x: f32| if x.is_finite() { format!("{x:?}") } else { format!("f32::from_bits({:#x})", x.to_bits()) };
    let numbers: Vec<String> = match tensor.element {
        Element::I8 => bytes.iter().map(|x| x.cast_signed().to_string()).collect(),
        Element::U8 | Element::Bool | Element::I4 => bytes.iter().map(u8::to_string).collect(),
        Element::I16 => bytes.as_chunks().0.iter().map(|&x| i16::from_le_bytes(x).to_string()).collect(),
        Element::I32 => bytes.as_chunks().0.iter().map(|&x| i32::from_le_bytes(x).to_string()).collect(),
        Element::I64 => bytes.as_chunks().0.iter().map(|&x| i64::from_le_bytes(x).to_string()).collect(),
        Element::F32 => bytes.as_chunks().0.iter().map(|&x| real(f32::from_le_bytes(x))).collect(),
        element => bail!("{tensor} is of type {element}, which a project cannot have"),
    };
    let about = match tensor.quantization() {
        Ok((scale, zero_point)) => format!("; a code stands for {scale:?} * (code - {zero_point})"),
        Err(_) => String::new(),
    };
    writeln!(text, "\n/// `{}{:?}`{about}.", tensor.element, tensor.shape)?;
    writeln!(text, "#[rustfmt::skip]\npub static {name}: [{}; {}] = [", tensor.element.rust(), numbers.len())?;
    let mut line = String::from("   ");
    for number in numbers {
        if line.len() + number.len() + 2 > WIDTH {
            *text += &line;
            text.push('\n');
            line = String::from("   ");
        }
        write!(line, " {number},")?;
    }
    *text += &line;
    *text += "\n];\n";
    Ok(())
}
