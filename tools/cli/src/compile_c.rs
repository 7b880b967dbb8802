//! `scrimp compile --c`: models as a crate whose archive a C program links, with a header for each.
//!
//! The weights and the straight-line code are Rust, as for firmware in Rust: one build of the kernels that the models use,
//! optimised together, and all operators that there are. What C sees is a header without anything else in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use scrimp_build::{Model, layout_of};

use crate::chip::{CHIPS, Chip};
use crate::new::{Scrimp, module_name, package_name, write};
use crate::output;

/// Writes the crate.
///
/// # Errors
/// If the folder is there, a model cannot be run or is too large, or a file cannot be written.
pub fn run(
    models: &[PathBuf],
    folder: &Path,
    target: &str,
    scrimp: Option<&str>,
    max_arena: Option<usize>,
) -> Result<()> {
    let chip = match target {
        "host" => None,
        name => {
            let found = CHIPS.iter().find(|chip| chip.name == name);
            let names: Vec<&str> = CHIPS.iter().map(|chip| chip.name).collect();
            Some(found.with_context(|| format!("--c needs a --target of {}, or host", names.join(", ")))?)
        }
    };
    let package = package_name(folder)?;
    ensure!(!folder.exists(), "{} is there already; --c writes a folder of its own", folder.display());
    let layout = layout_of(chip.map_or("scalar", |chip| chip.backend))?;
    let mut files = Vec::new();
    let (mut modules, mut about) = (String::new(), String::new());
    for path in models {
        let file = fs::read(path).with_context(|| path.display().to_string())?;
        let name = module_name(&path.file_stem().unwrap_or_default().to_string_lossy());
        ensure!(!modules.contains(&format!("mod {name};")), "two models are named {name}: rename one");
        let mut model = Model::from_tflite(&name, &file).with_context(|| path.display().to_string())?.layout(layout);
        if let Some(max) = max_arena {
            model = model.max_arena(max);
        }
        let made = model.c_code().with_context(|| path.display().to_string())?;
        modules += &format!("mod {name};\nmod {name}_c;\n");
        about +=
            &format!("include/{name}.h: arena {} bytes, constants {}\n", made.code.arena_bytes, made.code.data.len());
        files.push((format!("include/{name}.h"), made.header.into_bytes()));
        files.push((format!("src/{name}.rs"), made.code.rust.into_bytes()));
        files.push((format!("src/{name}.bin"), made.code.data));
        files.push((format!("src/{name}_c.rs"), made.functions.into_bytes()));
    }
    let head = "//! Models for firmware in C, by `scrimp compile --c`.\n#![cfg_attr(target_os = \"none\", no_std)]\n\n";
    files.push(("src/lib.rs".into(), format!("{head}{modules}").into_bytes()));
    let scrimp = Scrimp::find(scrimp)?;
    let capi = match scrimp.crate_at("tools/capi")?.trim_matches(['{', '}', ' ']) {
        path if path.starts_with("path") => path.to_owned(),
        version => format!("version = {version}"),
    };
    let archive = package.replace('-', "_");
    let manifest = include_str!("compile_c.toml.in")
        .replace("{{package}}", &package)
        .replace("{{crate}}", &archive)
        .replace("{{scrimp}}", &scrimp.crate_at("")?)
        .replace("{{capi}}", &capi);
    files.push(("Cargo.toml".into(), manifest.into_bytes()));
    if let Some(chip) = chip {
        files.push((".cargo/config.toml".into(), config(chip).into_bytes()));
    }
    files.push((".gitignore".into(), b"/target\n".to_vec()));
    write(folder, &files).inspect_err(|_| {
        // The folder is ours, and half a crate is none.
        let _ = fs::remove_dir_all(folder);
    })?;
    let place = chip.map_or_else(|| "target/release".to_owned(), |chip| format!("target/{}/release", chip.target));
    let flags = chip.map_or_else(String::new, |chip| format!("; C is compiled with {}", chip.gcc));
    let text = format!("`cargo build --release` in {} makes {place}/lib{archive}.a{flags}\n", folder.display());
    output::print(&format!("{about}{text}"))
}

fn config(chip: &Chip) -> String {
    let mut text = format!("# C: {}\n[build]\ntarget = \"{}\"\n", chip.gcc, chip.target);
    if !chip.rustflags.is_empty() {
        let flags: Vec<String> = chip.rustflags.iter().map(|flag| format!("\"{flag}\"")).collect();
        text += &format!("\n[target.{}]\nrustflags = [{}]\n", chip.target, flags.join(", "));
    }
    text
}
