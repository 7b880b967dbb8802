//! The Rust forward pass of the small transformer against PyTorch's logits (`tools/train/golden_vit.py`).

use std::path::Path;

use safetensors::SafeTensors;
use scrimp::bits::Width;
use scrimp_cli::encoder::{Float, Layer, floats};
use scrimp_cli::quantize::layer::Rule;
use scrimp_cli::switching::{Plan, post_training};
use scrimp_cli::transformer::{Transformer, classes};

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn logits_are_those_of_pytorch() {
    let bytes = std::fs::read(workspace().join("tests/vectors/vit/fashion.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let expected = floats(&golden, "logits", 40).unwrap();
    let net = Transformer::load(&workspace().join("tools/train/weights/vit-fashion.safetensors")).unwrap();
    let logits = net.logits(golden.tensor("pictures").unwrap().data(), &Float).unwrap();
    assert_eq!(logits.len(), expected.len());
    for (got, want) in logits.iter().zip(&expected) {
        assert!((got - want).abs() < 2e-4, "{got} instead of {want}");
    }
    assert_eq!(classes(&logits), [9, 2, 1, 1]);
}

#[test]
fn integer_layers_answer_as_f32_does() {
    let bytes = std::fs::read(workspace().join("tests/vectors/vit/fashion.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let pictures = golden.tensor("pictures").unwrap().data().to_vec();
    let net = Transformer::load(&workspace().join("tools/train/weights/vit-fashion.safetensors")).unwrap();
    let float = net.logits(&pictures, &Float).unwrap();
    for rule in [Rule::Round, Rule::Floor, Rule::MidRise] {
        let layers = post_training(&net, &pictures, rule, true).unwrap();
        for (width, most) in [(Width::W8, 0.4), (Width::W6, 0.6), (Width::W4, 2.0)] {
            let logits = net.logits(&pictures, &Plan::even(&layers, width)).unwrap();
            let error = logits.iter().zip(&float).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error < most, "{rule:?}, {width:?}: {error}");
            assert_eq!(classes(&logits), classes(&float), "{rule:?}, {width:?}");
        }
    }
}

#[test]
fn trained_codes_are_read_as_weights() {
    let weights = workspace().join("tools/train/weights/vit-bits-joint.safetensors");
    let net = Transformer::load(&weights).unwrap();
    let bytes = std::fs::read(&weights).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let scales = floats(&file, "blocks.2.fc1.scale", 128).unwrap();
    let code = file.tensor("blocks.2.fc1.codes").unwrap().data()[5 * 64 + 7].cast_signed();
    let weight = net.dense(Layer::Fc1(2)).weight[5 * 64 + 7];
    assert!((weight - scales[5] * f32::from(code)).abs() < 1e-9);
}
