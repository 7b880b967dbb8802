//! `scrimp convert`: there and back, and what it refuses.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::{Folder, golden};

#[test]
fn there_and_back_gives_the_same_bytes() {
    for name in ["paper", "cells", "odd", "mini", "mini_predictors"] {
        let folder = Folder::new();
        let (description, weights) = golden(name);
        folder.put("a.toml", description);
        folder.put("a.safetensors", weights);
        folder.ok(&["convert", "a.safetensors", "a.toml", "a.scrimp", "--prefix", "net/"]);
        folder.ok(&["convert", "a.scrimp", "b.safetensors", "b.toml"]);
        folder.ok(&["convert", "b.safetensors", "b.toml", "b.scrimp"]);
        assert!(folder.get("a.scrimp") == folder.get("b.scrimp"), "{name}");
        folder.ok(&["convert", "a.scrimp", "c.safetensors", "c.toml", "--prefix", "net/"]);
        folder.ok(&["convert", "c.safetensors", "c.toml", "c.scrimp", "--prefix", "net/"]);
        assert!(folder.get("a.scrimp") == folder.get("c.scrimp"), "{name}");

        // PyTorch's tensors come back as they were.
        let [before, after] = ["a.safetensors", "c.safetensors"].map(|file| folder.get(file));
        let before = SafeTensors::deserialize(&before).expect("safetensors");
        let after = SafeTensors::deserialize(&after).expect("safetensors");
        for (tensor, view) in after.iter() {
            let old = before.tensor(tensor).expect(tensor);
            assert!(old.shape() == view.shape() && old.data() == view.data(), "{name}: {tensor}");
        }
        let ours = before.names().iter().filter(|n| n.starts_with("net/")).count();
        assert_eq!(ours, after.len(), "{name}");
    }
}

struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

/// The weights of `mini` after a change.
fn mini(change: impl FnOnce(&mut Vec<Tensor>)) -> Vec<u8> {
    let (_, weights) = golden("mini");
    let weights = SafeTensors::deserialize(&weights).expect("safetensors");
    let ours = weights.iter().filter(|(name, _)| name.starts_with("net/")).map(|(name, view)| Tensor {
        name: name.trim_start_matches("net/").to_string(),
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        data: view.data().to_vec(),
    });
    let mut tensors: Vec<_> = ours.collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    change(&mut tensors);
    let views = tensors.iter().map(|t| {
        let view = TensorView::new(t.dtype, t.shape.clone(), &t.data).expect("a tensor");
        (t.name.clone(), view)
    });
    safetensors::serialize(views, None).expect("safetensors")
}

fn find<'t>(tensors: &'t mut [Tensor], name: &str) -> &'t mut Tensor {
    tensors.iter_mut().find(|t| t.name == name).expect(name)
}

#[test]
fn bad_weights() {
    let folder = Folder::new();
    folder.put("m.toml", golden("mini").0);
    let convert = ["convert", "m.safetensors", "m.toml", "m.scrimp"];
    let check = |weights: Vec<u8>, words: &[&str]| {
        folder.put("m.safetensors", weights);
        folder.refuses(&convert, &[words, &["m.safetensors"]].concat());
    };
    check(mini(|t| t.retain(|t| t.name != "in_proj.bias")), &["in_proj.bias is missing"]);
    check(
        mini(|t| {
            t.push(Tensor { name: "extra.weight".into(), dtype: Dtype::F32, shape: vec![1], data: vec![0; 4] });
        }),
        &["extra.weight is not part of the network"],
    );
    check(
        mini(|t| {
            let t = find(t, "in_proj.weight");
            let last = t.shape.len() - 1;
            t.shape.swap(0, last);
            t.shape[0] = t.data.len() / 4 / t.shape[1..].iter().product::<usize>();
            t.shape.push(1);
        }),
        &["in_proj.weight has shape", "needed"],
    );
    check(mini(|t| find(t, "in_proj.bias").dtype = Dtype::I32), &["in_proj.bias is I32", "F32 needed"]);
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        check(
            mini(|t| find(t, "in_proj.bias").data[4..8].copy_from_slice(&value.to_le_bytes())),
            &["in_proj.bias", "not finite"],
        );
    }
    let good = mini(|_| ());
    check(good[..good.len() - 5].to_vec(), &["neither a scrimp model nor a safetensors file"]);
    check(b"text".to_vec(), &["neither a scrimp model nor a safetensors file"]);

    folder.put("m.safetensors", &good);
    folder.refuses(&[&convert[..], &["--prefix", "net/"]].concat(), &["net/", "is missing"]);
    folder.ok(&convert);
}

#[test]
fn bad_descriptions() {
    let folder = Folder::new();
    folder.put("m.safetensors", mini(|_| ()));
    let (good, _) = golden("mini");
    let check = |from: &str, to: &str, words: &[&str]| {
        assert!(good.contains(from), "{from}");
        folder.put("m.toml", good.replacen(from, to, 1));
        folder.refuses(&["convert", "m.safetensors", "m.toml", "m.scrimp"], &[words, &["m.toml"]].concat());
    };
    check("window = 4", "window = 4\ncolour = 3", &["line 10", "colour"]);
    check("[cells]", "colour = 3\n[cells]", &["colour"]);
    check("window = 4\n", "", &["window"]);
    check("window = 4", "window = \"four\"", &["line 9", "string \"four\""]);
    check("window = 4", "window = -4", &["line 9", "-4"]);
    check("window = 4", "window = 5", &["window"]);
    check("window = 4", "window 4", &["line 9"]);
    check("kind = \"lmdvit\"", "kind = \"yolo\"", &["yolo", "lmdvit"]);
    check("skip = \"add\"", "skip = \"jump\"", &["jump", "concat"]);
    check("decision = \"cells\"", "decision = \"predictors\"", &["[predictors]", "no [cells]"]);
    check("[cells]", "[predictors]\nbeta = 0.5\n[cells]", &["[cells]", "no [predictors]"]);
    check("widths = [3]", "widths = [3, 6]", &["2 * widths - 1"]);
    check("widths = [3]", "widths = []", &["1 to 5 widths"]);
    check("heads = [1]", "heads = [2]", &["heads", "width"]);
    check("depths = [2]", "depths = [0]", &["depth"]);
    check("dilate = 0", "dilate = 0\nthreshold_previous = 0.5", &["layers_previous"]);
    check("threshold = -0.04", "threshold = nan", &["threshold"]);
    check("[[2, 2, 1, 2], [3, 1, 1, 1]]", "[[2, 2, 1, 2], [3, 2, 1, 1]]", &["strides", "cell"]);
    check("[[2, 2, 1, 2], [3, 1, 1, 1]]", "[]", &["mask net"]);
    check("[3, 1, 1, 1]]", "[3, 1, 1]]", &["line"]);
    check(
        "layers = ",
        "layers = [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]\n# ",
        &["at most 8 layers"],
    );
    folder.put("m.toml", [0xFF, 0xFE, 0]);
    folder.refuses(&["convert", "m.safetensors", "m.toml", "m.scrimp"], &["cannot read m.toml"]);
}

#[test]
fn files_that_cannot_be() {
    let folder = Folder::new();
    folder.put("m.safetensors", mini(|_| ()));
    folder.put("m.toml", golden("mini").0);
    folder.refuses(&["convert", "m.safetensors", "missing.toml", "m.scrimp"], &["cannot read missing.toml"]);
    folder.refuses(&["convert", "missing.safetensors", "m.toml", "m.scrimp"], &["cannot read missing.safetensors"]);
    folder.refuses(&["convert", "m.safetensors", "m.toml", "missing/m.scrimp"], &["cannot write missing/m.scrimp"]);
    folder.refuses(&["convert", "m.safetensors", "m.toml", "m.toml"], &["m.toml is named twice"]);
    folder.refuses(&["convert", "m.safetensors", "m.toml", "m.safetensors"], &["m.safetensors is named twice"]);
    folder.ok(&["convert", "m.safetensors", "m.toml", "m.scrimp"]);
    folder.refuses(&["convert", "m.scrimp", "out.safetensors", "missing/out.toml"], &["cannot write missing/out.toml"]);
    folder.refuses(&["convert", "m.scrimp", "out.toml", "out.toml"], &["out.toml is named twice"]);
    folder.refuses(&["convert", "m.scrimp", "m.scrimp", "out.toml"], &["m.scrimp is named twice"]);
    folder.refuses(&["convert", "m.scrimp", "out.toml", "out.safetensors"], &["out.safetensors", ".toml"]);
}
