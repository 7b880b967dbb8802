//! Models of one operator with odd shapes and extreme numbers, run tensor by tensor on the host: the bytes that TFLM and
//! LiteRT gave for them. `tools/vectors/cases.py all --committed` makes the files.

use std::fs;
use std::path::Path;

#[test]
fn every_case_has_the_references_bytes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/tflite");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "safetensors"));
    files.sort();
    assert!(files.iter().any(|file| file.ends_with("conv.safetensors")), "{files:?}");
    for file in files {
        assert!(scrimp_cli::check::cases(&file).unwrap(), "{}: see above", file.display());
    }
}
