//! The Rust forward pass of the small transformer against PyTorch's logits (`tools/train/golden_vit.py`).

use std::path::Path;

use safetensors::SafeTensors;
use scrimp_cli::transformer::{Float, Transformer, classes, floats};

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
