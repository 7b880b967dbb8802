//! What is in a model, as text.

use std::path::Path;

use anyhow::{Context, Result};
use scrimp::lmdvit::LmdVit;

use crate::blob::Bytes;
use crate::description::Description;

/// The command.
///
/// # Errors
/// If the file is no model.
pub fn run(path: &Path, tensors: bool) -> Result<()> {
    let bytes = Bytes::open(path)?;
    let model = bytes.model().with_context(|| format!("{}", path.display()))?;
    let net = LmdVit::new(&model).with_context(|| format!("{}", path.display()))?;
    let config = net.config();
    let parameters: usize = model.tensors().map(|t| t.shape().iter().product::<usize>()).sum();
    println!("{} bytes, {} tensors, {parameters} parameters\n", model.bytes(), model.len());
    print!("{}", Description::of(config, &path.file_stem().unwrap_or_default().to_string_lossy()).to_text()?);
    println!("\nimage        RAM [KiB]   all windows [million multiply-accumulates]");
    for side in [64, 128, 256, 512] {
        let sizes = config.sizes(side, side)?;
        let macs = config.all_macs(side, side)?;
        println!("{side:4} x {side:<4}  {:9.1}   {:.1}", sizes.bytes() as f64 / 1024.0, macs as f64 / 1e6);
    }
    if tensors {
        println!();
        for t in model.tensors() {
            println!("{:32} {:?} {:?}", t.name(), t.element(), t.shape());
        }
    }
    Ok(())
}
