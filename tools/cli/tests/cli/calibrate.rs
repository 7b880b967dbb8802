//! `scrimp calibrate`.

use safetensors::tensor::{Dtype, TensorView};

use crate::Folder;

/// A dump with one attention and one layer behind a GELU, all of it noise.
fn dump(change: impl FnOnce(&mut Vec<(&'static str, Vec<usize>, Vec<f32>)>)) -> Vec<u8> {
    let mut state = 1u32;
    let mut noise = |n: usize, spread: f32| -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
        };
        (0..n).map(|_| spread * (next() + next() + next())).collect()
    };
    let mut tensors = vec![
        ("block.scores", vec![3, 12, 12], noise(432, 2.0)),
        ("block.values", vec![3, 12, 4], noise(144, 1.0)),
        ("fc2.gelu", vec![20, 16], noise(320, 1.0)),
        ("fc2.weight", vec![5, 16], noise(80, 0.1)),
    ];
    let gelu = |x: &mut f32| *x = *x * 0.5 * (1.0 + (1.6 * *x).tanh());
    tensors[2].2.iter_mut().for_each(gelu);
    change(&mut tensors);
    let bytes: Vec<(&str, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, shape, values)| (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a tensor")));
    safetensors::serialize(views, None).expect("safetensors")
}

#[test]
fn parameters_constants_and_plots() {
    let folder = Folder::new();
    folder.put("dump.safetensors", dump(|_| ()));
    let run = folder.run(&[
        "calibrate",
        "dump.safetensors",
        "q.toml",
        "--bits",
        "3",
        "--rust",
        "q.rs",
        "--plot",
        "curve.svg",
        "--plot",
        "curve.png",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let text = String::from_utf8(folder.get("q.toml")).expect("UTF-8");
    let parsed: toml::Table = text.parse().expect("TOML");
    let all = parsed["quantizer"].as_array().expect("quantizers");
    assert_eq!(all.len(), 10);
    let error = |layer: &str, kind: &str| {
        let same = |q: &&toml::Value| q["layer"].as_str() == Some(layer) && q["kind"].as_str() == Some(kind);
        all.iter().find(same).expect(kind)["mean_square_error"].as_float().expect("a number")
    };
    // Every base is a candidate, so AdaLog cannot be worse than base 2 but for its scale and its rounded mantissas.
    assert!(error("block", "AdaLog, ours") < error("block", "log2"));
    assert!(error("fc2", "AdaLog, ours") < 1.1 * error("fc2", "log2"));
    assert!(all.iter().all(|q| q["mean_square_error"].as_float().is_some_and(|e| e > 0.0 && e < 1.0)));
    let rust = String::from_utf8(folder.get("q.rs")).expect("UTF-8");
    assert!(rust.contains("pub const BLOCK_ADALOG_OURS: AdaLog = scrimp::expect!(AdaLog::new(3, "), "{rust}");
    assert!(String::from_utf8(folder.get("curve.svg")).expect("UTF-8").contains("anchored codes, 3 bits"));
    assert_eq!(folder.rgb("curve.png").dimensions(), (860, 460));
    // The same again gives the same.
    folder.ok(&["calibrate", "dump.safetensors", "again.toml", "--bits", "3"]);
    assert_eq!(String::from_utf8(folder.get("again.toml")).expect("UTF-8"), text);
}

#[test]
fn what_is_no_dump_is_refused() {
    let folder = Folder::new();
    folder.put("good", dump(|_| ()));
    folder.put(
        "none",
        dump(|tensors| {
            tensors.truncate(1);
            tensors[0].0 = "x";
        }),
    );
    folder.put("lone", dump(|tensors| drop(tensors.remove(1))));
    folder.put("nan", dump(|tensors| tensors[0].2[5] = f32::NAN));
    folder.put("shape", dump(|tensors| tensors[3].1 = vec![16, 5]));
    folder.put("text", "no tensors");
    for (file, word) in [
        ("none", "NAME.scores"),
        ("lone", "block.values is missing"),
        ("nan", "not finite"),
        ("shape", "do not fit"),
        ("text", "text"),
        ("missing", "missing"),
    ] {
        folder.refuses(&["calibrate", file, "q.toml"], &[word]);
    }
    folder.refuses(&["calibrate", "good", "q.toml", "--plot", "q.gif"], &[".svg or .png"]);
    folder.refuses(&["calibrate", "good", "good"], &["named twice"]);
}
