//! The Rust forward pass of the small transformer against PyTorch's logits (`tools/train/golden_vit.py`).

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{TensorView, serialize};
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
    let expected = floats(&golden, "logits", &[4, 10]).unwrap();
    let net = Transformer::load(&workspace().join("tools/train/weights/vit-fashion.safetensors")).unwrap();
    let logits = net.logits(golden.tensor("pictures").unwrap().data(), &Float).unwrap();
    assert_eq!(logits.len(), expected.len());
    for (got, want) in logits.iter().zip(&expected) {
        assert!((got - want).abs() < 2e-4, "{got} instead of {want}");
    }
    assert_eq!(classes(&logits).unwrap(), [9, 2, 1, 1]);
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
            assert_eq!(classes(&logits).unwrap(), classes(&float).unwrap(), "{rule:?}, {width:?}");
        }
    }
}

#[test]
fn trained_codes_are_read_as_weights() {
    let weights = workspace().join("tools/train/weights/vit-bits-joint.safetensors");
    let net = Transformer::load(&weights).unwrap();
    let bytes = std::fs::read(&weights).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let scales = floats(&file, "blocks.2.fc1.scale", &[128]).unwrap();
    let code = file.tensor("blocks.2.fc1.codes").unwrap().data()[5 * 64 + 7].cast_signed();
    let weight = net.dense(Layer::Fc1(2)).weight[5 * 64 + 7];
    assert!((weight - scales[5] * f32::from(code)).abs() < 1e-9);
}

/// A network that cannot answer must not be counted as one that answers with the first class.
#[test]
fn networks_that_are_no_numbers_are_refused() {
    let weights = workspace().join("tools/train/weights/vit-fashion.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    let good = SafeTensors::deserialize(&bytes).unwrap();
    let folder = crate::Folder::new();
    let refused = |name: &str, change: &dyn Fn(&mut Vec<usize>, &mut Vec<u8>), words: &[&str]| {
        let mut parts: Vec<_> = good
            .tensors()
            .into_iter()
            .map(|(name, view)| (name, view.dtype(), view.shape().to_vec(), view.data().to_vec()))
            .collect();
        let part = parts.iter_mut().find(|part| part.0 == name).unwrap();
        change(&mut part.2, &mut part.3);
        let views = parts.iter().map(|(n, t, s, b)| (n.as_str(), TensorView::new(*t, s.clone(), b).unwrap()));
        folder.put("bad.safetensors", serialize(views, None).unwrap());
        for command in ["classify", "evaluate"] {
            folder.refuses(&[command, "bad.safetensors"], &[words, &["bad.safetensors", name]].concat());
        }
    };
    let put = |at: usize, value: f32| {
        move |_: &mut Vec<usize>, bytes: &mut Vec<u8>| bytes[4 * at..][..4].copy_from_slice(&value.to_le_bytes())
    };
    for name in ["blocks.3.fc2.weight", "head.bias", "norm.weight", "position", "class_token", "stem1.weight"] {
        refused(name, &put(3, f32::NAN), &["not finite"]);
    }
    refused("blocks.0.qkv.bias", &put(0, f32::INFINITY), &["not finite"]);
    let shaped = |to: &'static [usize]| move |shape: &mut Vec<usize>, _: &mut Vec<u8>| *shape = to.to_vec();
    refused("blocks.1.fc1.weight", &shaped(&[64, 128]), &["[64, 128]", "[128, 64]"]);
    refused("blocks.1.fc1.weight", &shaped(&[8192]), &["[8192]"]);
    refused("stem2.weight", &shaped(&[24, 64, 3, 3]), &["[24, 64, 3, 3]"]);
    refused("position", &shaped(&[64, 50]), &["[64, 50]"]);
    refused("norm.bias", &shaped(&[8, 8]), &["[8, 8]"]);
    assert!(classes(&[0.0, 1.0, f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).is_err());
}
