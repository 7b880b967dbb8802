//! safetensors and a description to a model, and back.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use scrimp::lmdvit::{Config, LmdVit, Orientation, TensorSpec};
use scrimp::model::{MAGIC, Model};

use crate::blob::{self, Bytes, Entry};
use crate::description::Description;
use crate::output;

/// The command: the direction follows from what `from` is.
///
/// # Errors
/// If a file cannot be read, is not what it should be, or cannot be written.
pub fn run(from: &Path, second: &Path, third: &Path, prefix: &str) -> Result<()> {
    let bytes = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if bytes.starts_with(&MAGIC) {
        ensure!(third.extension().is_some_and(|e| e == "toml"), "{}: the name must end in .toml", third.display());
        output::check(&[second, third], &[from])?;
        let bytes = Bytes::new(&bytes);
        let name = from.file_stem().unwrap_or_default().to_string_lossy();
        let unpacked = bytes.model().map_err(Into::into).and_then(|model| unpack(&model, &name, prefix));
        let (weights, description) = unpacked.with_context(|| format!("{}", from.display()))?;
        return output::write(&[(second, &weights), (third, description.as_bytes())]);
    }
    output::check(&[third], &[from, second])?;
    let weights = SafeTensors::deserialize(&bytes)
        .with_context(|| format!("{} is neither a scrimp model nor a safetensors file", from.display()))?;
    let text = std::fs::read_to_string(second).with_context(|| format!("cannot read {}", second.display()))?;
    let config = Description::parse(&text)
        .and_then(|description| description.config())
        .with_context(|| format!("{}", second.display()))?;
    let model = pack(&config, &weights, prefix).with_context(|| format!("{}", from.display()))?;
    output::write(&[(third, &model)])
}

/// The model of a configuration and PyTorch's tensors; `prefix` stands before each name.
///
/// # Errors
/// If a tensor is missing, surplus, of another shape or not finite.
pub fn pack(config: &Config, weights: &SafeTensors<'_>, prefix: &str) -> Result<Vec<u8>> {
    let mut entries = Vec::new();
    for spec in config.tensors() {
        let name = spec.to_string();
        let full = format!("{prefix}{name}");
        let view = weights.tensor(&full).map_err(|_| anyhow!("{full} is missing"))?;
        ensure!(view.dtype() == Dtype::F32, "{name} is {:?}, F32 needed", view.dtype());
        let shape = torch_shape(&spec);
        ensure!(view.shape() == shape, "{name} has shape {:?}, {shape:?} needed", view.shape());
        let values = floats(view.data());
        ensure!(values.iter().all(|v| v.is_finite()), "{name} holds a value that is not finite");
        let data = orient(&spec, &values, Direction::ToDevice);
        entries.push(Entry { name, shape: spec.shape().to_vec(), data });
    }
    let ours = |name: &str| name.strip_prefix(prefix).map(|n| entries.iter().any(|e| e.name == n));
    for name in weights.names() {
        if ours(name) == Some(false) {
            bail!("{name} is not part of the network");
        }
    }
    let blob = blob::write(&config.to_bytes(), &entries)?;
    LmdVit::new(&Bytes::new(&blob).model()?)?;
    Ok(blob)
}

/// PyTorch's tensors and the description of a model; `prefix` stands before each name.
///
/// # Errors
/// If the model is not a network this version knows.
pub fn unpack(model: &Model<'_>, name: &str, prefix: &str) -> Result<(Vec<u8>, String)> {
    let net = LmdVit::new(model)?;
    let mut tensors = Vec::new();
    for (spec, tensor) in net.config().tensors().zip(model.tensors()) {
        let device = tensor.as_f32().context("a tensor is not f32")?;
        let values = orient(&spec, device, Direction::ToTorch);
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        tensors.push((format!("{prefix}{spec}"), torch_shape(&spec), bytes));
    }
    let views: Vec<(String, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<_>>()?;
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    let weights = safetensors::serialize(views, Some(metadata))?;
    Ok((weights, Description::of(net.config(), name).to_text()?))
}

/// The elements of a tensor's bytes.
#[must_use]
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

#[derive(Clone, Copy)]
enum Direction {
    ToDevice,
    ToTorch,
}

/// PyTorch's shape of a tensor.
fn torch_shape(spec: &TensorSpec) -> Vec<usize> {
    match (spec.orientation(), spec.shape()) {
        (Orientation::Linear | Orientation::PositionBias, &[a, b]) => vec![b, a],
        (Orientation::Conv, &[kh, kw, i, o]) => vec![o, i, kh, kw],
        (Orientation::Up, &[kh, kw, i, o]) => vec![i, o, kh, kw],
        (Orientation::Depthwise, &[kh, kw, c]) => vec![c, 1, kh, kw],
        (_, shape) => shape.to_vec(),
    }
}

/// Reorders the elements from PyTorch's layout to the device's or back.
fn orient(spec: &TensorSpec, from: &[f32], direction: Direction) -> Vec<f32> {
    let (torch, device) = (torch_shape(spec), spec.shape());
    let mut to = vec![0.0; from.len()];
    // For each element of the device's layout, where PyTorch has it.
    for at in 0..from.len() {
        let index = unravel(at, device);
        let there = match (spec.orientation(), index.as_slice()) {
            (Orientation::Linear, &[i, o]) => vec![o, i],
            (Orientation::PositionBias, &[h, p]) => vec![device[1] - 1 - p, h],
            (Orientation::Conv, &[y, x, i, o]) => vec![o, i, y, x],
            (Orientation::Up, &[y, x, i, o]) => vec![i, o, y, x],
            (Orientation::Depthwise, &[y, x, c]) => vec![c, 0, y, x],
            (_, index) => index.to_vec(),
        };
        let there = there.iter().zip(&torch).fold(0, |sum, (&i, &extent)| sum * extent + i);
        match direction {
            Direction::ToDevice => to[at] = from[there],
            Direction::ToTorch => to[there] = from[at],
        }
    }
    to
}

fn unravel(at: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = at;
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&extent| {
            let i = rest % extent;
            rest /= extent;
            i
        })
        .collect();
    index.reverse();
    index
}
