//! Reads a `.tflite` file: everything is checked before it is used, and what comes out is a [`Graph`].
//!
//! What is read is the part of the format that a network of integers needs, by field numbers, from the format's
//! documentation: operators of the first subgraph, the constants that a `CALL_ONCE` assigns to variables, and nothing of
//! signatures or metadata.

mod names;
mod options;
mod table;

use std::collections::HashMap;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::graph::{Element, Graph, MOST_ELEMENTS, Node, Quant, Tensor, TensorId};
use crate::op::Op;
use table::{Budget, Table};

/// Most axes of a tensor that we can think of.
const MOST_AXES: usize = 8;

/// Reads a model.
///
/// # Errors
/// If the file is no `.tflite` model, or one that contradicts itself; the text says where and what would help.
pub fn read(name: &str, file: &[u8]) -> Result<Graph> {
    ensure!(file.get(4..8) == Some(b"TFL3"), "not a .tflite file: the mark \"TFL3\" is missing at byte 4");
    let budget = Budget::for_file(file.len());
    let model = Table::root(file, &budget)?;
    let version = model.u32(0, "version")?;
    ensure!(version == 3, "version {version} of the format; 3 is what converters write");
    let reader = Reader {
        file,
        codes: model.tables(1, "operator_codes")?.into_iter().map(|code| Code::read(&code)).collect::<Result<_>>()?,
        buffers: model.tables(4, "buffers")?,
    };
    let subgraphs = model.tables(2, "subgraphs")?;
    let main = subgraphs.first().context("the file has no subgraph")?;
    reader.graph(name, main, &subgraphs)
}

/// What an operator code stands for.
struct Code {
    builtin: i32,
    custom: String,
    version: i32,
}

impl Code {
    fn read(code: &Table<'_>) -> Result<Self> {
        // The first field was of 8 bits and stays at 127 where the newer one holds more.
        let builtin = i32::from(code.i8(0, "deprecated_builtin_code")?).max(code.i32(3, "builtin_code", 0)?);
        Ok(Self { builtin, custom: code.text(1, "custom_code")?, version: code.i32(2, "version", 1)? })
    }
}

struct Reader<'a> {
    file: &'a [u8],
    codes: Vec<Code>,
    buffers: Vec<Table<'a>>,
}

/// A node, and the name of the variable that its handle stands for.
struct Parsed {
    node: Node,
    handle: Option<String>,
    /// The subgraph that a `CALL_ONCE` runs.
    init: Option<i32>,
}

impl<'a> Reader<'a> {
    fn graph(&self, name: &str, main: &Table<'a>, subgraphs: &[Table<'a>]) -> Result<Graph> {
        let mut tensors = self.tensors(main)?;
        let parsed = self.nodes(main, tensors.len())?;
        let ids = |field, name| -> Result<Vec<TensorId>> {
            let indices = main.numbers::<i32>(field, name)?;
            indices.into_iter().map(|i| id(i, tensors.len()).with_context(|| format!("{name} of the model"))).collect()
        };
        let (inputs, outputs) = (ids(1, "inputs")?, ids(2, "outputs")?);
        ensure!(!outputs.is_empty(), "the model has no output");
        let mut nodes = self.with_variables(parsed, &mut tensors, subgraphs)?;
        check_order(&tensors, &nodes, &inputs, &outputs)?;
        nodes.retain(|node| !matches!(node.op, Op::VarHandle | Op::CallOnce));
        Ok(Graph { name: name.to_owned(), tensors, nodes, inputs, outputs })
    }

    fn tensors(&self, subgraph: &Table<'a>) -> Result<Vec<Tensor>> {
        let tables = subgraph.tables(0, "tensors")?;
        tables.iter().enumerate().map(|(i, t)| self.tensor(t).with_context(|| format!("tensor #{i}"))).collect()
    }

    fn tensor(&self, table: &Table<'a>) -> Result<Tensor> {
        let name = table.text(3, "name")?;
        self.tensor_named(table, &name).with_context(|| format!("\"{name}\""))
    }

    fn tensor_named(&self, table: &Table<'a>, name: &str) -> Result<Tensor> {
        let extents = table.numbers::<i32>(0, "shape")?;
        ensure!(extents.len() <= MOST_AXES, "{} axes, at most {MOST_AXES} possible", extents.len());
        let mut shape = Vec::new();
        let mut elements = 1usize;
        for extent in extents {
            let extent = usize::try_from(extent).map_err(|_| {
                anyhow!("its shape is dynamic (an extent of {extent}): convert the model with a fixed input shape")
            })?;
            elements = match elements.checked_mul(extent) {
                Some(elements) if elements <= MOST_ELEMENTS => elements,
                _ => bail!("more than {MOST_ELEMENTS} elements"),
            };
            shape.push(extent);
        }
        ensure!(table.table(6, "sparsity")?.is_none(), "sparse tensors are not supported: convert without sparsity");
        let element = element(table.i8(1, "type")?);
        let is_variable = table.bool(5, "is_variable")?;
        let quant = match table.table(4, "quantization")? {
            Some(quant) => quantization(&quant)?,
            None => None,
        };
        let data = if is_variable { None } else { self.data(table.u32(2, "buffer")?)? };
        let mut tensor = Tensor { name: name.to_owned(), shape, element, quant, data: None, is_variable };
        if let Some(data) = data
            && !matches!(element, Element::Other(_) | Element::Resource)
        {
            ensure!(
                data.len() == tensor.bytes(),
                "its constant has {} bytes, but {element}{:?} needs {}",
                data.len(),
                tensor.shape,
                tensor.bytes()
            );
            tensor.data = Some(data.into());
        }
        Ok(tensor)
    }

    /// The bytes of a buffer; `None` if it is empty, as those of activations are.
    fn data(&self, index: u32) -> Result<Option<&'a [u8]>> {
        if index == 0 {
            return Ok(None);
        }
        let Some(buffer) = self.buffers.get(index as usize) else {
            bail!("it is in buffer {index}, but there are {}", self.buffers.len())
        };
        if let Some(data) = buffer.bytes(0, "data")?
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
        // Files beyond 2 GiB keep their data behind the FlatBuffer.
        let (offset, size) = (buffer.u64(1, "offset")?, buffer.u64(2, "size")?);
        if offset <= 1 || size == 0 {
            return Ok(None);
        }
        let end = offset.checked_add(size).context("its buffer wraps round")?;
        let data = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
        let data = data.and_then(|(offset, end)| self.file.get(offset..end));
        data.map(Some).with_context(|| format!("buffer {index} lies at {offset}..{end}, beyond the file"))
    }

    fn nodes(&self, subgraph: &Table<'a>, tensors: usize) -> Result<Vec<Parsed>> {
        let tables = subgraph.tables(3, "operators")?;
        tables.iter().enumerate().map(|(i, table)| self.node(i, table, tensors)).collect()
    }

    fn node(&self, index: usize, table: &Table<'a>, tensors: usize) -> Result<Parsed> {
        let code_index = table.u32(0, "opcode_index")?;
        let Some(code) = self.codes.get(code_index as usize) else {
            bail!("operator {index} has code {code_index}, but there are {}", self.codes.len())
        };
        let name = names::of(code.builtin, &code.custom);
        self.node_of(index, table, tensors, code, &name).with_context(|| format!("operator {index} ({name})"))
    }

    fn node_of(&self, index: usize, table: &Table<'a>, tensors: usize, code: &Code, name: &str) -> Result<Parsed> {
        let optional = |i: i32| if i == -1 { Ok(None) } else { id(i, tensors).map(Some) };
        let inputs = table.numbers::<i32>(1, "inputs")?.into_iter().map(optional).collect::<Result<Vec<_>>>()?;
        let outputs = table.numbers::<i32>(2, "outputs")?;
        let outputs = outputs.into_iter().map(|i| id(i, tensors)).collect::<Result<Vec<_>>>()?;
        let options = options::read(code.builtin, name, table)?;
        let node = Node { op: options.op, index, version: code.version, inputs, outputs };
        Ok(Parsed { node, handle: options.handle, init: options.init })
    }

    /// Resolves handles: each variable becomes a tensor of its own, which is read and written like any other.
    fn with_variables(
        &self,
        parsed: Vec<Parsed>,
        tensors: &mut Vec<Tensor>,
        subgraphs: &[Table<'a>],
    ) -> Result<Vec<Node>> {
        let mut variables = Variables::default();
        for Parsed { node, handle, init } in &parsed {
            variables.note(node, handle.as_deref());
            let Some(init) = *init else { continue };
            let subgraph = usize::try_from(init).ok().filter(|&i| i > 0).and_then(|i| subgraphs.get(i));
            let subgraph = subgraph.with_context(|| format!("{node}: there is no subgraph {init} to call"))?;
            self.initial(subgraph, &mut variables).with_context(|| format!("{node}, subgraph {init}"))?;
        }
        let mut nodes = Vec::new();
        for Parsed { mut node, .. } in parsed {
            variables.resolve(&mut node, tensors).with_context(|| node.to_string())?;
            nodes.push(node);
        }
        Ok(nodes)
    }

    /// What a subgraph assigns to variables, which must be constants.
    fn initial(&self, subgraph: &Table<'a>, variables: &mut Variables) -> Result<()> {
        let tensors = self.tensors(subgraph)?;
        let mut handles = HashMap::new();
        for Parsed { node, handle, .. } in self.nodes(subgraph, tensors.len())? {
            match (&node.op, node.inputs.as_slice(), node.outputs.as_slice()) {
                (Op::VarHandle, _, &[handle_id]) => {
                    handles.insert(handle_id, handle.unwrap_or_default());
                }
                (Op::AssignVariable, &[Some(handle), Some(value)], _) => {
                    let name = handles.get(&handle).with_context(|| format!("{node}: its handle is unknown"))?;
                    let value = &tensors[value.0];
                    ensure!(value.is_constant(), "{node}: only constants can be assigned here, and {value} is none");
                    variables.initial.insert(name.clone(), value.clone());
                }
                _ => bail!("{node}: a subgraph called once may only assign constants to variables"),
            }
        }
        Ok(())
    }
}

/// Variables by name, and the handles that stand for them.
#[derive(Default)]
struct Variables {
    handles: HashMap<TensorId, String>,
    initial: HashMap<String, Tensor>,
    tensors: HashMap<String, TensorId>,
}

impl Variables {
    fn note(&mut self, node: &Node, handle: Option<&str>) {
        if let (Op::VarHandle, Some(name), &[id]) = (&node.op, handle, node.outputs.as_slice()) {
            self.handles.insert(id, name.to_owned());
        }
    }

    /// Puts the variable's tensor in place of its handle.
    fn resolve(&mut self, node: &mut Node, tensors: &mut Vec<Tensor>) -> Result<()> {
        match (&node.op, node.inputs.as_slice(), node.outputs.as_slice()) {
            (Op::ReadVariable, &[Some(handle)], &[value]) => {
                node.inputs = vec![Some(self.variable(handle, value, tensors)?)];
            }
            (Op::AssignVariable, &[Some(handle), Some(value)], _) => {
                node.outputs = vec![self.variable(handle, value, tensors)?];
                node.inputs = vec![Some(value)];
            }
            (Op::ReadVariable | Op::AssignVariable, ..) => bail!("it needs a handle and a value"),
            _ => {}
        }
        Ok(())
    }

    /// The tensor of a handle's variable, which looks like `value`.
    fn variable(&mut self, handle: TensorId, value: TensorId, tensors: &mut Vec<Tensor>) -> Result<TensorId> {
        let name = self.handles.get(&handle).context("its handle is not from a VAR_HANDLE")?;
        let value = &tensors[value.0];
        if let Some(&id) = self.tensors.get(name) {
            let variable = &tensors[id.0];
            ensure!(
                variable.shape == value.shape && variable.element == value.element,
                "variable \"{name}\" is {variable} elsewhere, and {value} here"
            );
            return Ok(id);
        }
        let initial = self.initial.get(name);
        if let Some(initial) = initial {
            ensure!(
                initial.shape == value.shape && initial.element == value.element,
                "variable \"{name}\" starts with {initial}, but is {value}"
            );
        }
        let data = initial.and_then(|initial| initial.data.clone());
        let tensor = Tensor { name: name.clone(), data, is_variable: true, ..value.clone() };
        let id = TensorId(tensors.len());
        tensors.push(tensor);
        self.tensors.insert(name.clone(), id);
        Ok(id)
    }
}

/// Every tensor is written once, before it is read.
fn check_order(tensors: &[Tensor], nodes: &[Node], inputs: &[TensorId], outputs: &[TensorId]) -> Result<()> {
    let mut is_there: Vec<bool> =
        tensors.iter().map(|t| t.data.is_some() || t.is_variable || t.element == Element::Resource).collect();
    for &input in inputs {
        ensure!(!is_there[input.0], "input {input} of the model is a constant, a variable, or given twice");
        is_there[input.0] = true;
    }
    for node in nodes {
        for &input in node.inputs.iter().flatten() {
            ensure!(is_there[input.0], "{node} reads {input} ({}), which nothing has written yet", tensors[input.0]);
        }
        for &output in &node.outputs {
            let tensor = &tensors[output.0];
            if tensor.element == Element::Resource || (tensor.is_variable && node.op == Op::AssignVariable) {
                continue;
            }
            ensure!(!is_there[output.0], "{node} writes {output} ({tensor}), which has a value already");
            is_there[output.0] = true;
        }
    }
    for &output in outputs {
        ensure!(is_there[output.0], "output {output} of the model ({}) is never written", tensors[output.0]);
    }
    Ok(())
}

fn id(index: i32, tensors: usize) -> Result<TensorId> {
    match usize::try_from(index) {
        Ok(index) if index < tensors => Ok(TensorId(index)),
        _ => bail!("tensor {index} is named, but there are {tensors}"),
    }
}

fn element(number: i8) -> Element {
    match number {
        0 => Element::F32,
        2 => Element::I32,
        3 => Element::U8,
        4 => Element::I64,
        6 => Element::Bool,
        7 => Element::I16,
        9 => Element::I8,
        13 => Element::Resource,
        17 => Element::I4,
        other => Element::Other(other),
    }
}

fn quantization(table: &Table<'_>) -> Result<Option<Quant>> {
    let scales = table.numbers::<f32>(2, "scale")?;
    if scales.is_empty() {
        return Ok(None);
    }
    let details = table.u8(4, "details_type")?;
    ensure!(details == 0, "its quantization is of a kind ({details}) that we do not know: one scale, or one a channel");
    let zero_points = table.numbers::<i64>(3, "zero_point")?;
    ensure!(
        zero_points.is_empty() || zero_points.len() == scales.len(),
        "{} scales, but {} zero points",
        scales.len(),
        zero_points.len()
    );
    Ok(Some(Quant { scales, zero_points, axis: table.i32(6, "quantized_dimension", 0)? }))
}
