//! `scrimp compile`: a `.tflite` model to a Rust module and the file of its constants; with `--c` to a crate that becomes an
//! archive for a C program, and a header.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use scrimp_build::{Model, layout_of};

use crate::{compile_c, output};

/// What the command is given.
#[derive(Args, Debug)]
pub struct Options {
    /// The model; with --c there may be several
    #[arg(required = true, value_name = "MODEL.tflite")]
    models: Vec<PathBuf>,
    /// The module; its constants go beside it, as .bin. By default the model's name with .rs, here. With --c the folder
    #[arg(short, long, value_name = "FILE.rs|FOLDER", required_if_eq("c", "true"))]
    output: Option<PathBuf>,
    /// A backend (scalar, dsp, helium, neon, avx2, avx512), a CPU (cortex-m4) or a target triple that the code is for; this
    /// machine by default
    #[arg(long, default_value = "host")]
    target: String,
    /// For firmware in C: writes a folder in which `cargo build --release` makes one archive with all models, and a header
    /// for each in include/
    #[arg(long)]
    c: bool,
    /// With --c: a checkout of scrimp, or a version; by default the checkout that this program was built from
    #[arg(long, value_name = "PATH|VERSION", requires = "c")]
    scrimp: Option<String>,
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
    let Options { models, output, target, max_arena, map, c, scrimp } = options;
    if *c {
        let folder = output.as_deref().context("--c needs a folder: -o")?;
        return compile_c::run(models, folder, target, scrimp.as_deref(), *max_arena);
    }
    let [path] = models.as_slice() else { bail!("one model at a time makes a module; --c takes several") };
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
