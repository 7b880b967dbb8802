//! `scrimp run`: a `.tflite` model on the host, on an input from a file.
//!
//! An input is a `.npy` array, a `.png` or `.jpg` picture of the input's size, or raw bytes in any other file (features of
//! a recording, say); or one `.safetensors` file has all of them as `in0`, `in1`, ... Real numbers in an array (f32, f64)
//! are quantized to the input's type; anything else must be of the type itself.

use core::fmt::Write as _;
use std::collections::HashMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use npyz::{NpyFile, TypeChar};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use scrimp_build::{Element, Executor, Graph, Tensor, tflite};

use crate::output;

/// Runs the model once and prints its outputs; with `out` also writes them.
///
/// # Errors
/// If a file cannot be read, an input does not fit, or the model cannot be run.
pub fn run(model: &Path, inputs: &[PathBuf], out: Option<&Path>) -> Result<()> {
    if let Some(out) = out {
        let read: Vec<&Path> = inputs.iter().map(PathBuf::as_path).chain([model]).collect();
        output::check(&[out], &read)?;
    }
    let file = fs::read(model).with_context(|| model.display().to_string())?;
    let name = model.file_stem().unwrap_or_default().to_string_lossy();
    let graph = tflite::read(&name, &file).with_context(|| model.display().to_string())?;
    let mut executor = Executor::new(&graph).with_context(|| model.display().to_string())?;
    for (k, bytes) in read_inputs(&graph, inputs)?.iter().enumerate() {
        executor.set_input(k, bytes)?;
    }
    executor.run()?;
    let mut text = String::new();
    for (k, &id) in graph.outputs.iter().enumerate() {
        describe(&mut text, k, &graph.tensors[id.0], executor.tensor(id))?;
    }
    output::print(&text)?;
    if let Some(out) = out {
        let mut arrays = Vec::new();
        for (k, &id) in graph.outputs.iter().enumerate() {
            let tensor = &graph.tensors[id.0];
            let view = TensorView::new(dtype(tensor)?, tensor.shape.clone(), executor.tensor(id))?;
            arrays.push((format!("out{k}"), view));
        }
        output::write(&[(out, &serialize(arrays, None)?)])?;
    }
    Ok(())
}

/// The bytes of all inputs of a model, from one file for each, or one for all.
///
/// # Errors
/// If a file cannot be read or does not fit.
pub(crate) fn read_inputs(graph: &Graph, files: &[PathBuf]) -> Result<Vec<Vec<u8>>> {
    let tensor = |k: usize| &graph.tensors[graph.inputs[k].0];
    if let [file] = files
        && file.extension().is_some_and(|extension| extension == "safetensors")
    {
        let bytes = fs::read(file).with_context(|| file.display().to_string())?;
        let arrays = SafeTensors::deserialize(&bytes).with_context(|| file.display().to_string())?;
        let read = |k: usize| {
            let view = arrays.tensor(&format!("in{k}"))?;
            let numbers = match view.dtype() {
                Dtype::F32 => Some(f32s(view.data())),
                _ => None,
            };
            fit(tensor(k), view.data(), numbers).with_context(|| format!("in{k}"))
        };
        return (0..graph.inputs.len()).map(read).collect::<Result<_>>().with_context(|| file.display().to_string());
    }
    ensure!(files.len() == graph.inputs.len(), "the model has {} inputs, {} given", graph.inputs.len(), files.len());
    let read = |(k, file): (usize, &PathBuf)| input(tensor(k), file).with_context(|| file.display().to_string());
    files.iter().enumerate().map(read).collect()
}

fn input(tensor: &Tensor, path: &Path) -> Result<Vec<u8>> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if matches!(extension.as_str(), "png" | "jpg" | "jpeg") {
        return picture(tensor, path);
    }
    let bytes = fs::read(path)?;
    if extension == "npy" { array(tensor, &bytes) } else { fit(tensor, &bytes, None) }
}

/// The array in the bytes of a `.npy` file.
///
/// # Errors
/// If it is none, or does not fit.
pub(crate) fn array(tensor: &Tensor, bytes: &[u8]) -> Result<Vec<u8>> {
    let npy = NpyFile::new(Cursor::new(bytes))?;
    ensure!(npy.order() == npyz::Order::C, "its array is in Fortran order; save it in C order");
    let npyz::DType::Plain(kind) = npy.dtype() else { bail!("its array is structured") };
    let numbers = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 4) => Some(npy.into_vec::<f32>()?),
        (TypeChar::Float, 8) => Some(npy.into_vec::<f64>()?.into_iter().map(|x| x as f32).collect()),
        _ => None,
    };
    let data = bytes.len().checked_sub(tensor.bytes()).and_then(|start| bytes.get(start..));
    match (numbers, data) {
        (Some(numbers), _) => fit(tensor, &[], Some(numbers)),
        (None, Some(data)) => fit(tensor, data, None),
        (None, None) => bail!("it is shorter than {tensor}"),
    }
}

/// Bytes of the input's own type, or real numbers that are quantized to it.
fn fit(tensor: &Tensor, bytes: &[u8], numbers: Option<Vec<f32>>) -> Result<Vec<u8>> {
    let Some(numbers) = numbers else {
        ensure!(bytes.len() == tensor.bytes(), "{tensor} is {} bytes, {} given", tensor.bytes(), bytes.len());
        return Ok(bytes.to_vec());
    };
    ensure!(numbers.len() == tensor.elements(), "{tensor} is {} numbers, {} given", tensor.elements(), numbers.len());
    if tensor.element == Element::F32 {
        return Ok(numbers.iter().flat_map(|x| x.to_le_bytes()).collect());
    }
    let (scale, zero_point) = tensor.quantization()?;
    let code = |x: f32| f64::from((x / scale).round()) + f64::from(zero_point);
    // A cast from float saturates, which is the clamp.
    Ok(match tensor.element {
        Element::I8 => numbers.iter().map(|&x| (code(x) as i8).cast_unsigned()).collect(),
        Element::U8 => numbers.iter().map(|&x| code(x) as u8).collect(),
        Element::I16 => numbers.iter().flat_map(|&x| (code(x) as i16).to_le_bytes()).collect(),
        element => bail!("real numbers cannot become {element}"),
    })
}

/// A picture's pixels: bytes as they are for uint8, less 128 for int8, and divided by 255 for real numbers.
fn picture(tensor: &Tensor, path: &Path) -> Result<Vec<u8>> {
    let &[1, height, width, channels] = tensor.shape.as_slice() else { bail!("{tensor} is no picture") };
    let image = image::open(path)?;
    ensure!(
        (image.width() as usize, image.height() as usize) == (width, height),
        "it has {} x {} pixels, {width} x {height} needed",
        image.width(),
        image.height()
    );
    let pixels = match channels {
        1 => image.into_luma8().into_raw(),
        3 => image.into_rgb8().into_raw(),
        _ => bail!("{tensor} has {channels} channels; a picture has 1 or 3"),
    };
    Ok(match tensor.element {
        Element::U8 => pixels,
        Element::I8 => pixels.iter().map(|&pixel| pixel ^ 0x80).collect(),
        Element::F32 => pixels.iter().flat_map(|&pixel| (f32::from(pixel) / 255.0).to_le_bytes()).collect(),
        element => bail!("a picture cannot become {element}"),
    })
}

fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

/// Codes of a tensor's elements.
fn codes(tensor: &Tensor, bytes: &[u8]) -> Vec<f64> {
    match tensor.element {
        Element::I8 => bytes.iter().map(|&b| b.cast_signed().into()).collect(),
        Element::I16 => bytes.as_chunks().0.iter().map(|&b| i16::from_le_bytes(b).into()).collect(),
        Element::I32 => bytes.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect(),
        Element::I64 => bytes.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b) as f64).collect(),
        Element::F32 => f32s(bytes).into_iter().map(f64::from).collect(),
        _ => bytes.iter().map(|&b| b.into()).collect(),
    }
}

/// An output: all of a short one, else what is largest.
fn describe(text: &mut String, k: usize, tensor: &Tensor, bytes: &[u8]) -> Result<()> {
    writeln!(text, "output {k}: {tensor}")?;
    let codes = codes(tensor, bytes);
    let quantization = tensor.quantization().ok();
    let mut order: Vec<usize> = (0..codes.len()).collect();
    if codes.len() > 16 {
        order.sort_by(|&a, &b| codes[b].total_cmp(&codes[a]).then(a.cmp(&b)));
        order.truncate(5);
        writeln!(text, "  the largest of {}:", codes.len())?;
    }
    for i in order {
        match quantization {
            Some((scale, zero_point)) => {
                let real = f64::from(scale) * (codes[i] - f64::from(zero_point));
                writeln!(text, "  {i:4}: {:6}  = {real}", codes[i])?;
            }
            None => writeln!(text, "  {i:4}: {}", codes[i])?,
        }
    }
    Ok(())
}

fn dtype(tensor: &Tensor) -> Result<Dtype> {
    let types: HashMap<&str, Dtype> = HashMap::from([
        ("i8", Dtype::I8),
        ("u8", Dtype::U8),
        ("i16", Dtype::I16),
        ("i32", Dtype::I32),
        ("i64", Dtype::I64),
        ("f32", Dtype::F32),
    ]);
    types.get(tensor.element.rust()).copied().with_context(|| format!("{tensor} cannot be written"))
}
