//! Single-operator `.tflite` models beside what TFLM's and LiteRT's reference kernels make of them: `tests/vectors/tflite`, made by
//! `tools/vectors/cases.py`, replayed as `scrimp check --cases` does.

use std::fs;
use std::path::Path;

#[test]
fn every_file_of_cases_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/tflite");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|kind| kind == "safetensors")).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        // What differs is printed.
        assert!(scrimp_cli::check::cases(&file).unwrap(), "{}", file.display());
    }
}
