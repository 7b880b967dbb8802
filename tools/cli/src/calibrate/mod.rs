//! `scrimp calibrate`: parameters of quantizers from activations that were dumped, by the search of AdaLog.
//!
//! A dump is a safetensors file of f32. Layer `NAME` is there as
//! ```text
//! NAME.scores [heads, queries, keys] and NAME.values [heads, keys, channels]     an attention (heads of all inputs)
//! NAME.gelu   [tokens, inputs]       and NAME.weight [outputs, inputs]           a linear layer behind a GELU
//! ```
//! with the scores before the softmax and GELU's outputs before any shift.

pub mod fpcs;
pub mod layers;
pub mod plot;
pub mod quantizers;

use core::time::Duration;
use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use image::ImageFormat;
use indicatif::{ProgressBar, ProgressStyle};
use safetensors::{Dtype, SafeTensors};
use scrimp::Rows;

use self::layers::{Attention, Head, Linear};
use self::plot::Curve;
use self::quantizers::{Kind, Parameters};
use crate::output;

/// Which quantizers are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// AdaLog's codes as the paper has them
    Paper,
    /// Max-anchored codes, and GELU codes with the self-consistent shift
    Ours,
    /// Both, and uniform, log2 and log-sqrt2 codes beside them, each with its own search
    All,
}

/// Arguments of `scrimp calibrate`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The dumped activations
    dump: PathBuf,
    /// Where the parameters go
    out: PathBuf,
    /// Bits of a code
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=8))]
    bits: u32,
    /// Which quantizers to search
    #[arg(long, value_enum, default_value_t = Which::All)]
    which: Which,
    /// Also write them as Rust constants
    #[arg(long)]
    rust: Option<PathBuf>,
    /// Also draw the error against the base, for each attention: a .svg, or a .png without text
    #[arg(long)]
    plot: Vec<PathBuf>,
}

enum Layer {
    Attention(Attention),
    Linear(Linear),
}

/// The command.
///
/// # Errors
/// If a file cannot be read or written, or is no dump.
pub fn run(options: &Options) -> Result<()> {
    let outputs: Vec<_> = [&options.out].into_iter().chain(&options.rust).chain(&options.plot).collect();
    let outputs: Vec<_> = outputs.into_iter().map(PathBuf::as_path).collect();
    for path in &options.plot {
        let known = path.extension().is_some_and(|e| e == "svg" || e == "png");
        ensure!(known, "{}: a plot is .svg or .png", path.display());
    }
    output::check(&outputs, &[&options.dump])?;
    let layers = read(&options.dump)?;
    let kinds: &[Kind] = match options.which {
        Which::Paper => &[Kind::AdaLog],
        Which::Ours => &[Kind::Ours],
        Which::All => &Kind::ALL,
    };
    let bar = ProgressBar::new((layers.len() * kinds.len()) as u64);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {elapsed}, about {eta} left")?;
    bar.set_style(style);
    bar.enable_steady_tick(Duration::from_millis(500));
    let mut found = Vec::new();
    for (name, layer) in &layers {
        for &kind in kinds {
            bar.set_message(format!("{name}: {kind}"));
            let (parameters, error) = match layer {
                Layer::Attention(layer) => layer.search(kind, options.bits),
                Layer::Linear(layer) => layer.search(kind, options.bits),
            }
            .with_context(|| name.clone())?;
            found.push((name.as_str(), parameters, error));
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let mut files = vec![(options.out.as_path(), toml(&found).into_bytes())];
    if let Some(path) = &options.rust {
        files.push((path, rust(&found).into_bytes()));
    }
    let curves = if options.plot.is_empty() { Vec::new() } else { curves(&layers, options.bits) };
    for path in &options.plot {
        let bytes = if path.extension().is_some_and(|e| e == "svg") {
            plot::svg(&curves)?.into_bytes()
        } else {
            let mut bytes = Cursor::new(Vec::new());
            plot::picture(&curves)?.write_to(&mut bytes, ImageFormat::Png)?;
            bytes.into_inner()
        };
        files.push((path, bytes));
    }
    let files: Vec<_> = files.iter().map(|(path, bytes)| (*path, bytes.as_slice())).collect();
    output::write(&files)?;
    for (name, parameters, error) in &found {
        let Parameters { kind, bits, scale, q, zero_point } = parameters;
        let more = match kind {
            Kind::Uniform => format!("zero point {zero_point}"),
            Kind::AdaLog | Kind::Ours => format!("q {q}"),
            Kind::Log2 | Kind::LogSqrt2 => String::new(),
        };
        output::print(&format!(
            "{name}: {kind}, {bits} bits, scale {scale:.6} {more}: mean square error {error:.4e}\n"
        ))?;
    }
    Ok(())
}

fn curves(layers: &[(String, Layer)], bits: u32) -> Vec<Curve> {
    let attentions = layers.iter().filter_map(|(_, layer)| match layer {
        Layer::Attention(layer) => Some(layer),
        Layer::Linear(_) => None,
    });
    attentions
        .flat_map(|layer| {
            [(Kind::AdaLog, "the paper's codes"), (Kind::Ours, "anchored codes")]
                .map(|(kind, words)| Curve { name: format!("{words}, {bits} bits"), points: layer.curve(kind, bits) })
        })
        .collect()
}

/// One table a layer and kind; what `scrimp convert` and people read.
fn toml(found: &[(&str, Parameters, f64)]) -> String {
    let mut text = String::from("# Written by `scrimp calibrate`.\n");
    for (name, parameters, error) in found {
        let Parameters { kind, bits, scale, q, zero_point } = parameters;
        text += &format!(
            "\n[[quantizer]]\nlayer = {}\nkind = {:?}\nbits = {bits}\nscale = {scale:?}\n",
            toml::Value::from(*name),
            kind.to_string()
        );
        match kind {
            Kind::Uniform => text += &format!("zero_point = {zero_point}\n"),
            Kind::AdaLog | Kind::Ours => text += &format!("q = {q}\nsymbols = \"top_is_zero\"\n"),
            Kind::Log2 | Kind::LogSqrt2 => text += "symbols = \"top_is_zero\"\n",
        }
        text += &format!("mean_square_error = {error:?}\n");
    }
    text
}

/// Constants under the layers' names, as far as Rust allows; where two would have one name, a number is added.
fn rust(found: &[(&str, Parameters, f64)]) -> String {
    let mut used: BTreeSet<&str> = found.iter().map(|(_, parameters, _)| parameters.rust_type()).collect();
    if used.iter().any(|name| *name != "Uniform") {
        used.insert("Symbols");
    }
    let used = used.into_iter().collect::<Vec<_>>().join(", ");
    let mut text = format!("// Written by `scrimp calibrate`.\nuse scrimp::quant::{{{used}}};\n");
    let mut names = BTreeSet::new();
    for (name, parameters, error) in found {
        let kind = match parameters.kind {
            Kind::Uniform => "UNIFORM",
            Kind::Log2 => "LOG2",
            Kind::LogSqrt2 => "LOG_SQRT2",
            Kind::AdaLog => "ADALOG",
            Kind::Ours => "ADALOG_OURS",
        };
        let constant = constant(name, kind, &mut names);
        text += &format!(
            "\n/// {}: {}, mean square error {error:.4e}.\npub const {constant}: {} = {};\n",
            name.escape_debug(), // nothing that could end the comment
            parameters.kind,
            parameters.rust_type(),
            parameters.rust()
        );
    }
    text
}

/// A name for a constant that none of `taken` has, which it joins.
fn constant(layer: &str, kind: &str, taken: &mut BTreeSet<String>) -> String {
    let mut plain: String =
        layer.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    if plain.starts_with(|c: char| c.is_ascii_digit()) {
        plain.insert(0, '_');
    }
    let mut name = format!("{plain}_{kind}");
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{plain}_{kind}_{number}");
        number += 1;
    }
    name
}

fn read(path: &PathBuf) -> Result<Vec<(String, Layer)>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = SafeTensors::deserialize(&bytes).with_context(|| format!("{}", path.display()))?;
    let tensor = |name: &str| -> Result<(Vec<usize>, Vec<f32>)> {
        let view = file.tensor(name).map_err(|_| anyhow!("{}: {name} is missing", path.display()))?;
        ensure!(view.dtype() == Dtype::F32, "{name} is {:?}, F32 needed", view.dtype());
        let values: Vec<f32> =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes(core::array::from_fn(|n| b[n]))).collect();
        ensure!(values.iter().all(|v| v.is_finite()), "{name} has a value that is not finite");
        ensure!(!values.is_empty(), "{name} is empty");
        Ok((view.shape().to_vec(), values))
    };
    let mut layers = Vec::new();
    let names: BTreeSet<&str> = file.names().into_iter().collect();
    for full in names {
        if let Some(name) = full.strip_suffix(".scores") {
            let ((shape, scores), (value_shape, values)) = (tensor(full)?, tensor(&format!("{name}.values"))?);
            let ([heads, queries, keys], [value_heads, value_keys, _]) = (shape.as_slice(), value_shape.as_slice())
            else {
                return Err(anyhow!("{name}: scores and values must have three axes"));
            };
            ensure!(heads == value_heads && keys == value_keys, "{name}: scores and values do not fit each other");
            let rows = Rows::new(*queries, *keys)?;
            let heads = scores.chunks(rows.elements()).zip(values.chunks(values.len() / heads));
            let heads = heads.map(|(scores, values)| Head { scores: scores.to_vec(), values: values.to_vec(), rows });
            layers.push((name.to_owned(), Layer::Attention(Attention { heads: heads.collect() })));
        } else if let Some(name) = full.strip_suffix(".gelu") {
            let ((shape, inputs), (weight_shape, weights)) = (tensor(full)?, tensor(&format!("{name}.weight"))?);
            let ([_, width], [_, inner]) = (shape.as_slice(), weight_shape.as_slice()) else {
                return Err(anyhow!("{name}: inputs and weights must have two axes"));
            };
            ensure!(width == inner, "{name}: inputs and weights do not fit each other");
            layers.push((name.to_owned(), Layer::Linear(Linear::new(inputs, weights, *width))));
        }
    }
    ensure!(!layers.is_empty(), "{}: no tensor is named NAME.scores or NAME.gelu", path.display());
    Ok(layers)
}
