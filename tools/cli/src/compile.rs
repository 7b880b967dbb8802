//! `scrimp compile`: a `.tflite` model to a Rust module and the file of its constants.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use scrimp_build::{Model, layout_of};

use crate::output;

/// What the command is given.
#[derive(Args, Debug)]
pub struct Options {
    /// The model
    model: PathBuf,
    /// The module; its constants go beside it, as .bin. By default the model's name with .rs, here
    #[arg(short, long, value_name = "FILE.rs")]
    output: Option<PathBuf>,
    /// A backend (scalar, dsp, helium, neon, avx2, avx512), a CPU (cortex-m4) or a target triple that the code is for; this
    /// machine by default
    #[arg(long, default_value = "host")]
    target: String,
    /// Fail if the arena needs more bytes
    #[arg(long, value_name = "BYTES")]
    max_arena: Option<usize>,
    /// Also draw the arena, a line for each operator
    #[arg(long)]
    map: bool,
}

/// Compiles a model.
///
/// # Errors
/// If it cannot be read, cannot be run, needs too much memory, or a file cannot be written.
pub fn run(options: &Options) -> Result<()> {
    let Options { model: path, output, target, max_arena, map } = options;
    let default = Path::new(path.file_name().unwrap_or_default()).with_extension("rs");
    let rust = output.as_ref().unwrap_or(&default);
    ensure!(rust.extension().is_some_and(|e| e == "rs"), "{}: the module's name must end in .rs", rust.display());
    let data = rust.with_extension("bin");
    output::check(&[rust, &data], &[path])?;
    let stem = rust.file_stem().unwrap_or_default().to_str().context("the module's name is not UTF-8")?;
    let mut model = Model::tflite(path)?.name(stem).layout(layout_of(target)?);
    if let Some(max) = *max_arena {
        model = model.max_arena(max);
    }
    let code = model.code().with_context(|| path.display().to_string())?;
    output::write(&[(rust, code.rust.as_bytes()), (&data, &code.data)])?;
    let mut text = format!(
        "{}: {} bytes of constants, {} multiply-accumulates\narena: {} bytes, at least {} needed\n",
        rust.display(),
        code.data.len(),
        code.macs,
        code.arena_bytes,
        code.lower_bound
    );
    if *map {
        text += &code.drawing;
    }
    output::print(&text)
}
