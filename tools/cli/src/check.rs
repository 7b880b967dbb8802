//! `scrimp check`: runs a `.tflite` model on the host, tensor by tensor, beside what a reference gave.
//!
//! A golden file is safetensors: `in<k>` and `out<k>`, `[steps, ...]`; `tensors`, the indices of tensors that operators
//! write, and `crc`, `[steps, tensors]`, the CRC-32 of their bytes; `t<index>`, whole tensors at step 0. Its metadata says
//! whether variables are reset before every step (`mode` is `independent`) or kept (`stream`). A file of cases has
//! `<case>.model`, `<case>.in<k>` and `<case>.out<k>`.

use core::fmt::Write as _;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::SafeTensors;
use scrimp::model::crc32;
use scrimp_build::{ArenaExecutor, Element, Executor, Tensor, TensorId, tflite};

/// Checks one model and prints what differs; says whether nothing does.
///
/// # Errors
/// If a file cannot be read, is not in its format, or the model cannot be run.
pub fn model(model: &Path, golden: &Path) -> Result<bool> {
    let file = fs::read(model).with_context(|| model.display().to_string())?;
    let bytes = fs::read(golden).with_context(|| golden.display().to_string())?;
    let name = model.file_stem().unwrap_or_default().to_string_lossy();
    let graph = tflite::read(&name, &file).with_context(|| model.display().to_string())?;
    let mut executor = Executor::new(&graph).with_context(|| model.display().to_string())?;
    let report = against(&mut executor, &bytes).with_context(|| golden.display().to_string())?;
    for line in &report.failures {
        println!("FAILED {line}");
    }
    println!("{} steps, {} tensors compared", report.steps, report.compared);
    println!("{} passed, {} failed", report.steps - report.failures.len(), report.failures.len());
    Ok(report.failures.is_empty())
}

/// What a golden file has shown.
#[derive(Debug)]
pub struct Report {
    /// Steps that ran.
    pub steps: usize,
    /// Tensors that were compared, over all steps.
    pub compared: usize,
    /// The first difference of each step that has one.
    pub failures: Vec<String>,
}

/// Runs every step of a golden file.
///
/// # Errors
/// If the file is not in the format, does not fit the model, or a kernel refuses to run.
pub fn against(executor: &mut Executor, golden: &[u8]) -> Result<Report> {
    let (_, metadata) = SafeTensors::read_metadata(golden)?;
    let metadata = metadata.metadata().clone().unwrap_or_default();
    let golden = Golden::new(SafeTensors::deserialize(golden)?)?;
    let is_stream = match metadata.get("mode").map_or("independent", String::as_str) {
        "independent" => false,
        "stream" => true,
        other => bail!("mode {other:?} is neither `independent` nor `stream`"),
    };
    let names: Vec<String> = metadata.get("steps").and_then(|s| serde_json::from_str(s).ok()).unwrap_or_default();
    let inputs = executor.graph().inputs.clone();
    let steps = golden.steps("in", &inputs, executor)?;
    let mut report = Report { steps, compared: 0, failures: Vec::new() };
    let mut in_arena = ArenaExecutor::new(executor.graph())?;
    executor.reset();
    for step in 0..steps {
        if !is_stream {
            executor.reset();
            in_arena.reset();
        }
        for k in 0..inputs.len() {
            let bytes = golden.step(&format!("in{k}"), step, steps)?;
            executor.set_input(k, bytes)?;
            in_arena.set_input(k, bytes)?;
        }
        executor.run()?;
        beside(executor, &mut in_arena).with_context(|| format!("step {step}"))?;
        match golden.difference(executor, step, steps)? {
            (compared, None) => report.compared += compared,
            (compared, Some(difference)) => {
                report.compared += compared;
                let name = names.get(step).map_or_else(String::new, |name| format!(" ({name})"));
                report.failures.push(format!("step {step}{name}: {difference}"));
            }
        }
    }
    Ok(report)
}

/// Checks every case of a file of single-operator models, and says whether all pass.
///
/// # Errors
/// If the file cannot be read or is not in its format.
pub fn cases(path: &Path) -> Result<bool> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let tensors = SafeTensors::deserialize(&bytes).with_context(|| path.display().to_string())?;
    let mut names: Vec<&str> = tensors.names().into_iter().filter_map(|name| name.strip_suffix(".model")).collect();
    names.sort_unstable();
    ensure!(!names.is_empty(), "{}: no cases: there is no `<case>.model`", path.display());
    let (mut passed, mut failed) = (0, 0);
    for name in names {
        match case(&tensors, name) {
            Ok(()) => passed += 1,
            Err(error) => {
                println!("FAILED {name}: {error:#}");
                failed += 1;
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

fn case(tensors: &SafeTensors<'_>, name: &str) -> Result<()> {
    let graph = tflite::read(name, tensors.tensor(&format!("{name}.model"))?.data())?;
    let mut executor = Executor::new(&graph)?;
    let prefix = format!("{name}.");
    let own = tensors.iter().filter_map(|(key, view)| Some((key.strip_prefix(&prefix)?.to_owned(), view.data())));
    let golden = Golden { arrays: own.collect(), crc: None };
    let steps = golden.steps("in", &graph.inputs, &executor)?;
    let mut in_arena = ArenaExecutor::new(&graph)?;
    for step in 0..steps {
        executor.reset();
        in_arena.reset();
        for k in 0..graph.inputs.len() {
            let bytes = golden.step(&format!("in{k}"), step, steps)?;
            executor.set_input(k, bytes)?;
            in_arena.set_input(k, bytes)?;
        }
        executor.run()?;
        beside(&executor, &mut in_arena).with_context(|| format!("step {step}"))?;
        if let (_, Some(difference)) = golden.difference(&executor, step, steps)? {
            bail!("step {step}: {difference}");
        }
    }
    Ok(())
}

/// Runs the model in one arena too, as generated code does, and holds every tensor against the one that had memory of its
/// own.
fn beside(executor: &Executor, in_arena: &mut ArenaExecutor) -> Result<()> {
    let graph = executor.graph();
    let same = |id: TensorId, bytes: &[u8]| {
        let tensor = &graph.tensors[id.0];
        // What is assigned to a variable may be there before its time, by plan.
        if tensor.is_variable {
            return Ok(());
        }
        match first_difference(tensor, bytes, executor.tensor(id))? {
            None => Ok(()),
            Some(difference) => bail!("in the arena tensor {id} ({tensor}){difference}"),
        }
    };
    in_arena.run(same)?;
    for (k, &id) in graph.outputs.iter().enumerate() {
        same(id, in_arena.output(k)?).with_context(|| format!("output {k} does not last"))?;
    }
    Ok(())
}

/// Arrays of a golden file, and the CRC-32 of each tensor at each step.
struct Golden<'a> {
    arrays: BTreeMap<String, &'a [u8]>,
    crc: Option<Crc>,
}

struct Crc {
    /// The column of a tensor.
    columns: HashMap<usize, usize>,
    values: Vec<u32>,
}

impl<'a> Golden<'a> {
    fn new(file: SafeTensors<'a>) -> Result<Self> {
        let arrays: BTreeMap<String, &'a [u8]> =
            file.iter().map(|(name, view)| (name.to_owned(), view.data())).collect();
        let mut crc = None;
        if let (Some(tensors), Some(values)) = (arrays.get("tensors"), arrays.get("crc")) {
            let words = |bytes: &[u8]| bytes.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect::<Vec<_>>();
            let columns: HashMap<_, _> =
                words(tensors).into_iter().enumerate().map(|(column, tensor)| (tensor as usize, column)).collect();
            crc = Some(Crc { columns, values: words(values) });
        }
        Ok(Self { arrays, crc })
    }

    /// How many steps there are: what the arrays hold of each tensor.
    fn steps(&self, prefix: &str, ids: &[TensorId], executor: &Executor) -> Result<usize> {
        let mut steps = None;
        for (k, &id) in ids.iter().enumerate() {
            let tensor = &executor.graph().tensors[id.0];
            let array = self.array(&format!("{prefix}{k}"))?;
            let fits = tensor.bytes() > 0 && array.len().is_multiple_of(tensor.bytes());
            ensure!(fits, "{prefix}{k} has {} bytes, but a step of {tensor} has {}", array.len(), tensor.bytes());
            let here = array.len() / tensor.bytes();
            ensure!(steps.is_none_or(|steps| steps == here), "{prefix}{k} has {here} steps, others {steps:?}");
            steps = Some(here);
        }
        steps.context("the model has no input, so there are no steps")
    }

    fn array(&self, name: &str) -> Result<&'a [u8]> {
        self.arrays.get(name).copied().with_context(|| format!("there is no `{name}`"))
    }

    fn step(&self, name: &str, step: usize, steps: usize) -> Result<&'a [u8]> {
        let array = self.array(name)?;
        ensure!(array.len().is_multiple_of(steps), "`{name}` has {} bytes, but there are {steps} steps", array.len());
        let bytes = array.len() / steps;
        array.get(step * bytes..(step + 1) * bytes).with_context(|| format!("`{name}` has no step {step}"))
    }

    /// How many tensors were compared, and the first difference in the order that operators run.
    fn difference(&self, executor: &Executor, step: usize, steps: usize) -> Result<(usize, Option<String>)> {
        let graph = executor.graph();
        let mut compared = 0;
        for node in &graph.nodes {
            for &id in &node.outputs {
                let tensor = &graph.tensors[id.0];
                let bytes = executor.tensor(id);
                let place = || format!("{node}, tensor {id} ({tensor})");
                if step == 0
                    && let Some(want) = self.arrays.get(&format!("t{}", id.0))
                {
                    compared += 1;
                    if let Some(difference) = first_difference(tensor, bytes, want)? {
                        return Ok((compared, Some(format!("{}{difference}", place()))));
                    }
                    continue;
                }
                if let Some(crc) = &self.crc
                    && let Some(&column) = crc.columns.get(&id.0)
                    && tensor.element != Element::Resource
                {
                    let at = step * crc.columns.len() + column;
                    let want = *crc.values.get(at).with_context(|| format!("`crc` has no step {step}"))?;
                    let got = crc32(bytes);
                    compared += 1;
                    if got != want {
                        let more = self.output_difference(executor, step, steps, id)?;
                        let place = place();
                        return Ok((compared, Some(format!("{place}{more}: CRC-32 {got:08x}, {want:08x} expected"))));
                    }
                }
            }
        }
        for (k, &id) in graph.outputs.iter().enumerate() {
            let tensor = &graph.tensors[id.0];
            compared += 1;
            let want = self.step(&format!("out{k}"), step, steps)?;
            if let Some(difference) = first_difference(tensor, executor.tensor(id), want)? {
                let writer = graph.nodes.iter().find(|node| node.outputs.contains(&id));
                let writer = writer.map_or_else(String::new, |node| format!("{node}, "));
                return Ok((compared, Some(format!("{writer}output {k}, tensor {id} ({tensor}){difference}"))));
            }
        }
        Ok((compared, None))
    }

    /// Where a tensor that is an output of the model differs.
    fn output_difference(&self, executor: &Executor, step: usize, steps: usize, id: TensorId) -> Result<String> {
        let Some(k) = executor.graph().outputs.iter().position(|&output| output == id) else {
            return Ok(String::new());
        };
        let want = self.step(&format!("out{k}"), step, steps)?;
        let tensor = &executor.graph().tensors[id.0];
        Ok(first_difference(tensor, executor.tensor(id), want)?.unwrap_or_default())
    }
}

/// The first element that differs: its index and both values.
fn first_difference(tensor: &Tensor, got: &[u8], want: &[u8]) -> Result<Option<String>> {
    ensure!(got.len() == want.len(), "{tensor} has {} bytes, but the file has {} for it", got.len(), want.len());
    let Some(at) = got.iter().zip(want).position(|(got, want)| got != want) else { return Ok(None) };
    let size = tensor.element.bytes(1).max(1);
    let mut flat = at / size;
    let mut text = String::new();
    write!(text, ", index {flat}")?;
    let mut index = Vec::new();
    for &extent in tensor.shape.iter().rev() {
        index.push(flat % extent);
        flat /= extent;
    }
    index.reverse();
    let start = at / size * size;
    let (got, want) = (value(tensor.element, &got[start..]), value(tensor.element, &want[start..]));
    write!(text, " {index:?}: {got}, {want} expected")?;
    Ok(Some(text))
}

/// The first element of some bytes, as text.
fn value(element: Element, bytes: &[u8]) -> String {
    let Some(&byte) = bytes.first() else { return String::new() };
    let word = || bytes.first_chunk().copied().unwrap_or_default();
    match element {
        Element::I8 => byte.cast_signed().to_string(),
        Element::I16 => i16::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default()).to_string(),
        Element::I32 => i32::from_le_bytes(word()).to_string(),
        Element::F32 => f32::from_le_bytes(word()).to_string(),
        Element::I64 => i64::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default()).to_string(),
        _ => byte.to_string(),
    }
}
