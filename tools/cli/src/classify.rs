//! The small transformer in f32 on Fashion-MNIST's test split.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use crate::calibration::{dump, record};
use crate::dataset::{Dataset, FOLDER, Split};
use crate::encoder::Float;
use crate::output;
use crate::transformer::{Transformer, classes};

/// Arguments of `scrimp classify`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Weights as tools/train writes them
    weights: PathBuf,
    /// Folder of the IDX files
    #[arg(long, default_value = FOLDER)]
    data: PathBuf,
    /// Instead write what the layers see, for `scrimp quantize`
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    /// Training pictures of the dump
    #[arg(long, default_value_t = 50)]
    pictures: usize,
}

/// The command.
///
/// # Errors
/// If a file cannot be read.
pub fn run(options: &Options) -> Result<()> {
    let net = Transformer::load(&options.weights)?;
    if let Some(path) = &options.dump {
        output::check(&[path], &[&options.weights])?;
        let seen = Dataset::load(&options.data, Split::Train)?.first(options.pictures);
        return output::write(&[(path, &dump(&record(&net, &seen.pictures)?)?)]);
    }
    let test = Dataset::load(&options.data, Split::Test)?;
    let accuracy = accuracy(&classes(&net.logits(&test.pictures, &Float)?)?, &test.labels);
    output::print(&format!("{}: {accuracy:.2} % of {}\n", name(&options.weights), test.labels.len()))
}

/// Percentage of right answers.
#[must_use]
pub fn accuracy(answers: &[u8], labels: &[u8]) -> f64 {
    let right = answers.iter().zip(labels).filter(|(a, b)| a == b).count();
    100.0 * right as f64 / labels.len().max(1) as f64
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
