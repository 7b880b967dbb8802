//! Generated code is for reading: as `rustfmt` lays it out, the same each time, without `unsafe` and without a panic of its
//! own.

mod common;

use std::path::Path;
use std::process::Command;

use common::{perceptron, tflite};
use scrimp::bits::Layout;
use scrimp_build::Model;

/// Our own model, and those of `../shared` where they are at hand.
fn models() -> Vec<(String, Vec<u8>)> {
    let mut models = vec![("perceptron".to_owned(), tflite(&perceptron().0))];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models");
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("skipped: no ../shared");
        return models;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "tflite") {
            models.push((path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()));
        }
    }
    models.sort();
    models
}

#[test]
fn code_is_formatted_deterministic_and_safe() {
    let folder = tempfile::tempdir().unwrap();
    let has_rustfmt = Command::new("rustfmt").arg("--version").output().is_ok_and(|output| output.status.success());
    for (name, file) in models() {
        for layout in [Layout::Rows, Layout::Dsp, Layout::Helium, Layout::Wide] {
            let model = Model::from_tflite(&name, &file).unwrap().layout(layout);
            let code = model.code().unwrap_or_else(|error| panic!("{name}: {error:#}"));
            assert!(code.rust == model.code().unwrap().rust, "{name}");
            for word in ["unsafe", "panic!", "unwrap(", "expect("] {
                assert!(!code.rust.contains(word), "{name}: {word}");
            }
            assert!(code.rust.contains(&format!("Layout::{layout:?}")), "{name}");
            code.write(folder.path(), &name).unwrap();
            if has_rustfmt && layout == Layout::Dsp {
                let mut rustfmt = Command::new("rustfmt");
                rustfmt.current_dir(folder.path()).args(["--edition", "2024", "--check", &format!("{name}.rs")]);
                let output = rustfmt.output().unwrap();
                assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
            }
        }
    }
}

#[test]
fn names_of_files_become_names_of_types() {
    let file = tflite(&perceptron().0);
    for (stem, name) in [
        ("keyword", "Keyword"),
        ("kws_ref-model.v2", "KwsRefModelV2"),
        ("3d", "Model3d"),
        ("self", "ModelSelf"),
        ("memory", "ModelMemory"),
        ("t0", "ModelT0"),
        ("weights", "Weights"),
        ("", "Model"),
    ] {
        let code = Model::from_tflite(stem, &file).unwrap().code().unwrap();
        assert!(code.rust.contains(&format!("pub struct {name}<'a>")), "{stem}: {}", code.rust);
        // A type of ours that has the name of one of the library's: that one is then written in full.
        assert_eq!(code.rust.contains("scrimp::bits::Weights::packed("), stem == "weights", "{stem}");
    }
}
