//! Answers of an earlier run, one file a setting, so that a measurement that was stopped goes on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::output;

/// A folder of answers, or none.
#[derive(Debug)]
pub struct Kept(Option<PathBuf>);

impl Kept {
    /// Makes the folder.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(folder: Option<&Path>) -> Result<Self> {
        if let Some(folder) = folder {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(Self(folder.map(Path::to_owned)))
    }

    /// The answers under this name for these weights, or those of `run`, which are then kept.
    ///
    /// # Errors
    /// As `run`, or if a file cannot be read or written.
    pub fn get(&self, name: &str, weights: &Path, run: impl FnOnce() -> Result<Vec<bool>>) -> Result<Vec<bool>> {
        let Some(folder) = &self.0 else { return run() };
        let bytes = fs::read(weights).with_context(|| format!("cannot read {}", weights.display()))?;
        // FNV-1a: another file, another name.
        let hash =
            bytes.iter().fold(0xCBF2_9CE4_8422_2325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3));
        let path = folder.join(format!("{}-{hash:016x}", name.replace([' ', ','], "_")));
        if let Ok(there) = fs::read(&path) {
            return Ok(there.iter().map(|&b| b == 1).collect());
        }
        let answers = run()?;
        let bytes: Vec<u8> = answers.iter().map(|&b| u8::from(b)).collect();
        output::write(&[(&path, &bytes)])?;
        Ok(answers)
    }
}
