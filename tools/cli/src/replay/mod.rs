//! `scrimp replay`: runs cases that other implementations wrote (`kernel-vectors/1`) through the library.

mod bits;
mod ops;
mod vectors;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::output;
use vectors::{Case, File, Output, Tensor, Tolerance};

/// Runs every case of every file, names the first difference of each failing one, and says whether all passed.
///
/// # Errors
/// If a file cannot be read or is not in the format.
pub fn run(files: &[PathBuf]) -> Result<bool> {
    let (mut passed, mut failed) = (0, 0);
    for path in files {
        for case in read(path)?.cases {
            match check(&case) {
                Ok(()) => passed += 1,
                Err(error) => {
                    output::print(&format!("FAILED {} {}: {error:#}\n", path.display(), case.name))?;
                    failed += 1;
                }
            }
        }
    }
    output::print(&format!("{passed} passed, {failed} failed\n"))?;
    Ok(failed == 0)
}

fn read(path: &Path) -> Result<File> {
    let name = || path.display().to_string();
    let text = fs::read_to_string(path).with_context(name)?;
    let file: File = serde_json::from_str(&text).with_context(name)?;
    ensure!(file.schema == "kernel-vectors/1", "{}: schema {:?} is unknown", name(), file.schema);
    ensure!(!file.cases.is_empty(), "{}: no cases", name());
    Ok(file)
}

fn check(case: &Case) -> Result<()> {
    let unknown: Vec<_> = case.unknown.keys().cloned().collect();
    ensure!(unknown.is_empty(), "unknown field {}", unknown.join(", "));
    for tensor in case.inputs.values().chain(case.outputs.values()) {
        tensor.check()?;
    }
    let outputs = ops::run(case)?;
    ensure!(outputs.len() == case.outputs.len(), "{} outputs, {} expected", outputs.len(), case.outputs.len());
    for (name, got) in outputs {
        let want = case.outputs.get(name).with_context(|| format!("the case has no output {name}"))?;
        compare(name, want, &got, case.tolerance)?;
    }
    Ok(())
}

fn compare(name: &str, want: &Tensor, got: &Output, tolerance: Tolerance) -> Result<()> {
    let Output { values: got, shape } = got;
    ensure!(want.kind == got.kind(), "{name} is {}, {} expected", got.kind(), want.kind);
    ensure!(want.shape == *shape, "{name} has shape {shape:?}, {:?} expected", want.shape);
    ensure!(want.data.len() == got.len(), "{name} has {} elements, {} expected", got.len(), want.data.len());
    for i in 0..got.len() {
        let (want, got) = (want.data[i].0, got.at(i));
        let allowed = match tolerance {
            Tolerance { lsb: Some(lsb), abs: None, rel: None } => lsb,
            Tolerance { lsb: None, abs: None, rel: None } => anyhow::bail!("the case has no tolerance"),
            Tolerance { lsb: None, abs, rel } => abs.unwrap_or(0.0) + rel.unwrap_or(0.0) * want.abs(),
            Tolerance { .. } => anyhow::bail!("`lsb` does not go with `abs` and `rel`"),
        };
        // Infinities and NaN must be met exactly.
        let fits = if want.is_finite() { (got - want).abs() <= allowed } else { got.total_cmp(&want).is_eq() };
        let fits = fits || (want.is_nan() && got.is_nan());
        ensure!(fits, "{name}[{i}] is {got}, {want} expected");
    }
    Ok(())
}
