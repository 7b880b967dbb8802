//! Fashion-MNIST (MIT) in the IDX files of Debian's package `dataset-fashion-mnist`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::read::MultiGzDecoder;

/// Pixels of a picture, 28 x 28.
pub const PIXELS: usize = 28 * 28;
/// Classes.
pub const CLASSES: usize = 10;
/// Where `tools/train/fetch_data.py` unpacks the package.
pub const FOLDER: &str = "target/train-data/dataset-fashion-mnist/usr/share/datasets/fashion-mnist";
const TRAIN: usize = 55_000;

/// The parts, as `tools/train/fashion.py` cuts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The first 55,000 pictures of the training files.
    Train,
    /// The last 5,000 of them: everything is chosen on these.
    Validation,
    /// The 10,000 test pictures.
    Test,
}

/// Pictures and their classes.
#[derive(Debug)]
pub struct Dataset {
    /// Grey levels, [`PIXELS`] a picture.
    pub pictures: Vec<u8>,
    /// The class of each picture.
    pub labels: Vec<u8>,
}

impl Dataset {
    /// Reads a split.
    ///
    /// # Errors
    /// If the files are not there or not what they should be.
    pub fn load(folder: &Path, split: Split) -> Result<Self> {
        let stem = if split == Split::Test { "t10k" } else { "train" };
        let mut pictures = idx(folder.join(format!("{stem}-images-idx3-ubyte.gz")), 16)?;
        let mut labels = idx(folder.join(format!("{stem}-labels-idx1-ubyte.gz")), 8)?;
        ensure!(pictures.len() == labels.len() * PIXELS, "{}: pictures and labels do not match", folder.display());
        match split {
            Split::Test => {}
            Split::Train => {
                pictures.truncate(TRAIN * PIXELS);
                labels.truncate(TRAIN);
            }
            Split::Validation => {
                pictures = pictures.split_off((TRAIN * PIXELS).min(pictures.len()));
                labels = labels.split_off(TRAIN.min(labels.len()));
            }
        }
        Ok(Self { pictures, labels })
    }

    /// The first pictures only.
    #[must_use]
    pub fn first(mut self, count: usize) -> Self {
        self.pictures.truncate(count.saturating_mul(PIXELS));
        self.labels.truncate(count);
        self
    }
}

fn idx(path: PathBuf, header: usize) -> Result<Vec<u8>> {
    let missing = || {
        format!("cannot read {} (`apt-get download dataset-fashion-mnist`, `dpkg -x`, see tools/train)", path.display())
    };
    let mut bytes = Vec::new();
    // A gzip file may have several parts, as `cat a.gz b.gz` makes them.
    MultiGzDecoder::new(File::open(&path).with_context(missing)?).read_to_end(&mut bytes).with_context(missing)?;
    ensure!(bytes.len() >= header, "{} is too short", path.display());
    Ok(bytes.split_off(header))
}
