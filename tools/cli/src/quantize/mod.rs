//! `scrimp quantize`: f32 weights to one nested INT8 array a layer, with integers for every width, and a ladder for the
//! `Governor`.

pub mod description;
pub mod integer;
pub mod ladder;
pub mod layer;
mod report;

use core::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use scrimp::Rows;
use scrimp::bits::{Weights, nest_planes};

use crate::encoder::{floats, tensor, weights as weights_of};
use crate::output;
use description::Description;
use integer::IntegerLayer;
use ladder::{Choice, ladder};
use layer::{Source, quantize};
use report::{LayerReport, Report, WidthReport};

/// Arguments of `scrimp quantize`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// f32 weights: NAME.weight [output, input] (a convolution unfolded), NAME.bias
    weights: PathBuf,
    /// What to do, see README
    description: PathBuf,
    /// Rows that the layers saw: NAME.x, f32; `scrimp classify --dump` writes one
    calibration: PathBuf,
    /// Nibble planes, tables and the ladder, as safetensors
    out: PathBuf,
    /// Also write the report as JSON
    #[arg(long)]
    report: Option<PathBuf>,
}

/// The command.
///
/// # Errors
/// If a file cannot be read, is not what it should be, or cannot be written.
pub fn run(options: &Options) -> Result<()> {
    let Options { weights, description, calibration, out, report } = options;
    let outputs: Vec<_> = [out.as_path()].into_iter().chain(report.as_deref()).collect();
    output::check(&outputs, &[weights, description, calibration])?;
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let text = String::from_utf8(read(description)?).with_context(|| format!("{}", description.display()))?;
    let plan = Description::parse(&text).with_context(|| format!("{}", description.display()))?;
    let (weight_bytes, calibration_bytes) = (read(weights)?, read(calibration)?);
    let weight_file = SafeTensors::deserialize(&weight_bytes).with_context(|| format!("{}", weights.display()))?;
    let rows = SafeTensors::deserialize(&calibration_bytes).with_context(|| format!("{}", calibration.display()))?;
    let (tensors, summary) = convert(&plan, &weight_file, &rows)?;
    let json = (serde_json::to_string_pretty(&summary)? + "\n").into_bytes();
    let mut files = vec![(out.as_path(), tensors.as_slice())];
    if let Some(path) = report {
        files.push((path, &json));
    }
    output::write(&files)?;
    output::print(&summary.text()?)
}

/// A tensor to be written.
struct Entry {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Quantizes every layer of a description: the file, and what it says about it.
///
/// # Errors
/// If a tensor is missing, has another type or shape, or a number does not fit.
pub fn convert(plan: &Description, weights: &SafeTensors<'_>, rows: &SafeTensors<'_>) -> Result<(Vec<u8>, Report)> {
    let (mut entries, mut layers, mut choices) = (Vec::new(), Vec::new(), Vec::new());
    for entry in &plan.layers {
        let name = &entry.name;
        let full = format!("{name}.weight");
        let (shape, _) = tensor(weights, &full)?;
        let inputs = shape.iter().skip(1).product();
        let (shape, bias) = tensor(weights, &format!("{name}.bias"))?;
        ensure!(shape.len() == 1, "{name}.bias has shape {shape:?}, [outputs] needed");
        let weight = weights_of(weights, &full, (inputs, bias.len()))?;
        let full = format!("{name}.x");
        let (shape, _) = tensor(rows, &full)?;
        let x = floats(rows, &full, &[shape.first().copied().unwrap_or(0), inputs])?;
        let source = Source { weight: &weight, bias: &bias, x: &x };
        let settings = plan.settings(entry.pinned)?;
        let quantized = quantize(source, &settings, entry.input()).with_context(|| name.clone())?;
        let integer = IntegerLayer::new(quantized).with_context(|| name.clone())?;
        let quantized = integer.layer();

        let shape = Rows::new(quantized.scale.len(), quantized.inputs())?;
        let half = shape.elements().div_ceil(2);
        let (mut high, mut low) = (vec![0; half], vec![0; half]);
        nest_planes(&quantized.codes, &mut high, &mut low)?;
        let view = Weights::nest(&high, &low, shape)?;
        let (mut widths, mut points) = (Vec::new(), Vec::new());
        for reading in &quantized.readings {
            let width = reading.width;
            let quality = quantized.quality(source, reading)?;
            let flash_bytes = view.bytes_read(width);
            let macs = (entry.rows * shape.elements()) as f64;
            let cost = plan.instructions(width).map_or(flash_bytes as f64, |each| each * macs);
            let lost = quantized.weight_error(&weight, reading);
            let error = entry.trace.map_or(quality.output_error, |trace| trace * lost);
            points.push(Choice { width, cost, error });
            widths.push(WidthReport { bits: width.bits(), quality, flash_bytes, cost, error });
            let integers = integer.integers(width).context("made above")?;
            let bits = width.bits();
            entries.push(ints(format!("{name}.bias.{bits}"), &integers.bias));
            entries.push(ints(format!("{name}.mantissa.{bits}"), &integers.mantissa));
            entries.push(bytes(
                format!("{name}.shift.{bits}"),
                Dtype::I8,
                integers.shift.iter().map(|s| s.cast_unsigned()),
            ));
        }
        for (part, affine) in [("input", quantized.input), ("output", quantized.output)] {
            entries.push(singles(format!("{name}.{part}.scale"), &[affine.scale]));
            entries.push(ints(format!("{name}.{part}.zero"), &[affine.zero]));
        }
        entries.push(singles(format!("{name}.scale"), &quantized.scale));
        let flipped = quantized.scale.iter().filter(|&&s| s < 0.0).count();
        entries.push(bytes(format!("{name}.high"), Dtype::U8, high));
        entries.push(bytes(format!("{name}.low"), Dtype::U8, low));
        layers.push(LayerReport { name: name.clone(), outputs: shape.rows(), inputs: shape.cols(), flipped, widths });
        choices.push(points);
    }
    let steps = ladder(&choices);
    ensure!(layers.len() <= 1 << 16, "{} layers are more than a ladder's {}", layers.len(), 1 << 16);
    entries.push(bytes("ladder.layer".into(), Dtype::U16, steps.iter().flat_map(|s| (s.layer as u16).to_le_bytes())));
    entries.push(bytes("ladder.from".into(), Dtype::U8, steps.iter().map(|s| s.from.bits() as u8)));
    entries.push(bytes("ladder.to".into(), Dtype::U8, steps.iter().map(|s| s.to.bits() as u8)));
    let unit = if plan.instructions(scrimp::bits::Width::W8).is_some() { "instructions" } else { "flash bytes" };
    let mut saved = Vec::new();
    for step in &steps {
        let whole = step.saved.round();
        let layer = &layers[step.layer].name;
        ensure!(
            whole <= f64::from(i32::MAX),
            "{layer}: a step saves {whole} {unit}, more than the file's {}",
            i32::MAX
        );
        saved.push(whole as i32);
    }
    entries.push(ints("ladder.saved".into(), &saved));
    Ok((write(&entries)?, Report { layers, ladder: steps, unit }))
}

fn ints(name: String, values: &[i32]) -> Entry {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Entry { name, dtype: Dtype::I32, shape: vec![values.len()], bytes }
}

fn singles(name: String, values: &[f32]) -> Entry {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Entry { name, dtype: Dtype::F32, shape: vec![values.len()], bytes }
}

fn bytes(name: String, dtype: Dtype, values: impl IntoIterator<Item = u8>) -> Entry {
    let bytes: Vec<u8> = values.into_iter().collect();
    let size = if dtype == Dtype::U16 { 2 } else { 1 };
    Entry { name, dtype, shape: vec![bytes.len() / size], bytes }
}

fn write(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut views = Vec::new();
    for entry in entries {
        views.push((&entry.name, TensorView::new(entry.dtype, entry.shape.clone(), &entry.bytes)?));
    }
    Ok(serialize(views, None)?)
}

impl Report {
    /// One line a layer and width, then the ladder.
    fn text(&self) -> Result<String> {
        let mut text =
            String::from("layer                shape      bits  SQNR [dB]  outputs [dB]  saturated  flash bytes\n");
        for layer in &self.layers {
            for (n, width) in layer.widths.iter().enumerate() {
                let (name, shape) = (layer.name.as_str(), format!("{}x{}", layer.outputs, layer.inputs));
                let (name, shape) = if n == 0 { (name, shape.as_str()) } else { ("", "") };
                let q = &width.quality;
                let saturated = 100.0 * q.saturated;
                writeln!(
                    text,
                    "{name:20} {shape:10} {:4} {:10.1} {:13.1} {saturated:8.2} % {:12}",
                    width.bits, q.sqnr_db, q.output_db, width.flash_bytes
                )?;
            }
        }
        let flipped: usize = self.layers.iter().map(|l| l.flipped).sum();
        let channels: usize = self.layers.iter().map(|l| l.outputs).sum();
        writeln!(text, "\n{flipped} of {channels} channels are stored with the other sign")?;
        writeln!(text, "\nstep  layer                width   saves [{}]   error", self.unit)?;
        for (n, step) in self.ladder.iter().enumerate() {
            let name = &self.layers[step.layer].name;
            let widths = format!("{} -> {}", step.from.bits(), step.to.bits());
            writeln!(text, "{:4}  {name:20} {widths:8} {:12.0}   {:+.2e}", n + 1, step.saved, step.error)?;
        }
        Ok(text)
    }
}
