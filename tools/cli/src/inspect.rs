//! What is in a model, as text.

use core::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use scrimp::lmdvit::LmdVit;

use crate::blob::Bytes;
use crate::description::Description;
use crate::{inspect_tflite, output};

/// The command.
///
/// # Errors
/// If the file is no model.
pub fn run(path: &Path, tensors: bool) -> Result<()> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    if path.extension().is_some_and(|extension| extension == "tflite") {
        let file = std::fs::read(path).with_context(|| path.display().to_string())?;
        return output::print(&inspect_tflite::text(&name, &file).with_context(|| path.display().to_string())?);
    }
    let bytes = Bytes::open(path)?;
    let text = text(&bytes, &name, tensors);
    output::print(&text.with_context(|| format!("{}", path.display()))?)
}

fn text(bytes: &Bytes, name: &str, tensors: bool) -> Result<String> {
    let model = bytes.model()?;
    let net = LmdVit::new(&model)?;
    let config = net.config();
    let parameters: usize = model.tensors().map(|t| t.shape().iter().product::<usize>()).sum();
    let mut text = format!("{} bytes, {} tensors, {parameters} parameters\n\n", model.size(), model.len());
    text += &Description::of(config, name).to_text()?;
    text += "\nimage        RAM [KiB]   all windows [million multiply-accumulates]\n";
    for side in [64, 128, 256, 512] {
        let sizes = config.sizes(side, side)?;
        let macs = config.all_macs(side, side)?;
        writeln!(text, "{side:4} x {side:<4}  {:9.1}   {:.1}", sizes.bytes() as f64 / 1024.0, macs as f64 / 1e6)?;
    }
    if tensors {
        text += "\n";
        for t in model.tensors() {
            writeln!(text, "{:32} {:?} {:?}", t.name(), t.element(), t.shape())?;
        }
    }
    Ok(text)
}
