//! `scrimp check`, `run`, `compile` and `inspect` of `.tflite` models.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView, serialize};
use scrimp_build::{Executor, tflite};

use crate::Folder;

/// A perceptron: FULLY_CONNECTED, RESHAPE, FULLY_CONNECTED, SOFTMAX; 12 codes in, 2 x 3 out.
const MODEL: &[u8] = include_bytes!("../../../../tests/vectors/tflite/perceptron.tflite");

/// Two steps.
const INPUTS: [[i8; 12]; 2] =
    [[3, -128, 127, 0, 9, -20, 40, 60, -3, -90, 12, 1], [-50, 5, 8, 127, -7, 3, 0, 0, 99, 1, -1, 64]];

/// Arrays of a golden file: whole tensors at step 0, checksums at each, outputs.
struct Golden {
    arrays: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
}

impl Golden {
    fn new() -> Self {
        let graph = tflite::read("net", MODEL).expect("a model");
        let mut executor = Executor::new(&graph).expect("supported");
        let (mut tensors, mut crcs, mut inputs, mut outputs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut arrays = Vec::new();
        for (step, input) in INPUTS.iter().enumerate() {
            let bytes: Vec<u8> = input.iter().map(|x| x.cast_unsigned()).collect();
            executor.set_input(0, &bytes).expect("fits");
            executor.run().expect("runs");
            inputs.extend(bytes);
            for id in graph.nodes.iter().flat_map(|node| &node.outputs) {
                let bytes = executor.tensor(*id);
                crcs.extend(scrimp::model::crc32(bytes).to_le_bytes());
                if step == 0 {
                    tensors.extend((id.0 as i32).to_le_bytes());
                    let shape = graph.tensors[id.0].shape.clone();
                    arrays.push((format!("t{}", id.0), Dtype::I8, shape, bytes.to_vec()));
                }
            }
            outputs.extend_from_slice(executor.tensor(graph.outputs[0]));
        }
        arrays.push(("tensors".into(), Dtype::I32, vec![4], tensors));
        arrays.push(("crc".into(), Dtype::U32, vec![2, 4], crcs));
        arrays.push(("in0".into(), Dtype::I8, vec![2, 1, 12], inputs));
        arrays.push(("out0".into(), Dtype::I8, vec![2, 2, 3], outputs));
        Self { arrays }
    }

    fn array(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.arrays.iter_mut().find(|(there, ..)| there == name).expect(name).3
    }

    fn file(&self) -> Vec<u8> {
        let views = self.arrays.iter().map(|(name, dtype, shape, bytes)| {
            (name.clone(), TensorView::new(*dtype, shape.clone(), bytes).expect("its shape"))
        });
        let metadata = HashMap::from([("steps".to_owned(), "[\"yes\", \"no\"]".to_owned())]);
        serialize(views, Some(metadata)).expect("safetensors")
    }
}

/// Runs `check` on a golden file.
fn check(golden: &Golden) -> (Option<i32>, String) {
    let folder = Folder::new();
    folder.put("net.tflite", MODEL);
    folder.put("net.safetensors", golden.file());
    let run = folder.run(&["check", "net.tflite", "net.safetensors"]);
    (run.code, run.stdout + &run.stderr)
}

#[test]
fn what_agrees_passes() {
    let (code, text) = check(&Golden::new());
    assert_eq!((code, text.as_str()), (Some(0), "2 steps, 10 tensors compared\n2 passed, 0 failed\n"));
}

#[test]
fn the_first_difference_is_named_with_both_values() {
    let mut golden = Golden::new();
    let there = golden.array("t7")[4].cast_signed();
    golden.array("t7")[4] ^= 1;
    let wrong = golden.array("t7")[4].cast_signed();
    let (code, text) = check(&golden);
    assert_eq!(code, Some(1), "{text}");
    let place = format!(
        "FAILED step 0 (yes): operator 2 (FULLY_CONNECTED), tensor #7 (int8[2, 3] \"logits\"), index 4 [1, 1]: {there}, \
         {wrong} expected\n"
    );
    assert!(text.starts_with(&place) && text.ends_with("1 passed, 1 failed\n"), "{text}");
}

#[test]
fn a_checksum_that_differs_is_named() {
    let mut golden = Golden::new();
    // The second step's first tensor.
    golden.array("crc")[16] ^= 1;
    let (code, text) = check(&golden);
    assert_eq!(code, Some(1));
    assert!(text.contains("FAILED step 1 (no): operator 0 (FULLY_CONNECTED), tensor #3"), "{text}");
    assert!(text.contains("CRC-32") && text.contains("expected") && text.ends_with("1 passed, 1 failed\n"), "{text}");
}

#[test]
fn an_output_that_differs_is_named_with_both_values() {
    let mut golden = Golden::new();
    golden.array("out0")[6 + 2] ^= 3;
    let (code, text) = check(&golden);
    assert_eq!(code, Some(1));
    assert!(text.contains("step 1 (no): operator 3 (SOFTMAX), output 0, tensor #8"), "{text}");
    assert!(text.contains("index 2 [0, 2]: "), "{text}");
}

#[test]
fn a_golden_file_of_another_model_is_refused() {
    let folder = Folder::new();
    folder.put("net.tflite", MODEL);
    let mut golden = Golden::new();
    golden.arrays.retain(|(name, ..)| name != "in0");
    folder.put("net.safetensors", golden.file());
    folder.refuses(&["check", "net.tflite", "net.safetensors"], &["net.safetensors", "`in0`"]);
    folder.put("net.safetensors", b"nothing");
    folder.refuses(&["check", "net.tflite", "net.safetensors"], &["net.safetensors"]);
    folder.put("net.tflite", &MODEL[..200]);
    folder.refuses(&["check", "net.tflite", "net.safetensors"], &["net.tflite", "FlatBuffer"]);
}

#[test]
fn cases_are_counted_and_the_failing_one_is_named() {
    let golden = Golden::new();
    let array = |name: &str| golden.arrays.iter().find(|(there, ..)| there == name).expect(name).3.clone();
    let mut arrays = Vec::new();
    for (case, is_wrong) in [("good", false), ("bad", true)] {
        arrays.push((format!("{case}.model"), Dtype::U8, vec![MODEL.len()], MODEL.to_vec()));
        arrays.push((format!("{case}.in0"), Dtype::I8, vec![2, 1, 12], array("in0")));
        let mut out = array("out0");
        out[0] ^= u8::from(is_wrong);
        arrays.push((format!("{case}.out0"), Dtype::I8, vec![2, 2, 3], out));
    }
    let folder = Folder::new();
    folder.put("cases.safetensors", Golden { arrays }.file());
    let run = folder.run(&["check", "--cases", "cases.safetensors"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stdout.starts_with("FAILED bad: step 0: operator 3 (SOFTMAX), output 0"), "{}", run.stdout);
    assert!(run.stdout.ends_with("1 passed, 1 failed\n"), "{}", run.stdout);
}

#[test]
fn a_model_runs_on_raw_bytes_and_on_arrays() {
    let folder = Folder::new();
    folder.put("net.tflite", MODEL);
    let codes: Vec<u8> = INPUTS[0].iter().map(|x| x.cast_unsigned()).collect();
    folder.put("x.bin", &codes);
    folder.put("x.npy", npy("|i1", &codes));
    // The input's scale is 0.05 and its zero point -3.
    let real: Vec<u8> = INPUTS[0].iter().flat_map(|&x| (0.05 * (f32::from(x) + 3.0)).to_le_bytes()).collect();
    folder.put("real.npy", npy("<f4", &real));
    let outputs: Vec<String> = ["x.bin", "x.npy", "real.npy"]
        .iter()
        .map(|input| {
            let run = folder.run(&["run", "net.tflite", input, "-o", "out.safetensors"]);
            assert_eq!(run.code, Some(0), "{input}: {}", run.stderr);
            run.stdout
        })
        .collect();
    assert!(outputs[0].starts_with("output 0: int8[2, 3] \"scores\"\n"), "{}", outputs[0]);
    assert!(outputs.iter().all(|output| *output == outputs[0]), "{outputs:?}");
    let written = folder.get("out.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&written).expect("safetensors");
    assert_eq!(tensors.tensor("out0").expect("out0").data(), &Golden::new().array("out0")[..6]);
}

/// A NumPy file of one axis.
fn npy(descr: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (12,), }}");
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut file = b"\x93NUMPY\x01\0".to_vec();
    file.extend((length as u16).to_le_bytes());
    file.extend(format!("{header:<width$}\n", width = length - 1).bytes());
    file.extend(data);
    file
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let folder = Folder::new();
    folder.put("net.tflite", MODEL);
    folder.put("x.bin", [0; 11]);
    folder.refuses(&["run", "net.tflite", "x.bin"], &["x.bin", "12 bytes", "11 given"]);
    folder.put("x.bin", [0; 12]);
    folder.refuses(&["run", "net.tflite", "x.bin", "x.bin"], &["1 inputs", "2 given"]);
    folder.refuses(&["run", "net.tflite", "y.bin"], &["y.bin"]);
    folder.refuses(&["run", "net.tflite", "x.bin", "-o", "no/out.safetensors"], &["no/out.safetensors"]);
    folder.save("x.png", image::GrayImage::new(3, 4));
    folder.refuses(&["run", "net.tflite", "x.png"], &["x.png", "no picture"]);
}

#[test]
fn a_model_compiles_to_two_files() {
    let folder = Folder::new();
    folder.put("net.tflite", MODEL);
    let run = folder.run(&["compile", "net.tflite", "--map", "--target", "thumbv7em-none-eabihf"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("arena: 32 bytes, at least 32 needed"), "{}", run.stdout);
    assert!(run.stdout.contains("FULLY_CONNECTED") && run.stdout.contains("<- peak"), "{}", run.stdout);
    let rust = String::from_utf8(folder.get("net.rs")).expect("UTF-8");
    assert!(rust.contains("Layout::Dsp") && rust.contains("include_bytes!(\"net.bin\")"), "{rust}");
    assert!(!folder.get("net.bin").is_empty());
    // Under another name, and the same bytes again.
    folder.ok(&["compile", "net.tflite", "-o", "small_net.rs"]);
    let again = folder.get("small_net.rs");
    assert!(String::from_utf8_lossy(&again).contains("pub struct SmallNet<'a>"));
    folder.ok(&["compile", "net.tflite", "-o", "small_net.rs"]);
    assert!(again == folder.get("small_net.rs"));
}

#[test]
fn what_cannot_be_compiled_is_refused() {
    let folder = Folder::new();
    folder.put("net.tflite", MODEL);
    folder.refuses(&["compile", "net.tflite", "--max-arena", "31"], &["net.tflite", "32 bytes", "at most 31"]);
    folder.refuses(&["compile", "net.tflite", "--target", "z80"], &["z80", "helium"]);
    folder.refuses(&["compile", "net.tflite", "-o", "net.txt"], &["net.txt", ".rs"]);
    folder.refuses(&["compile", "net.tflite", "-o", "no/net.rs"], &["no/net.rs"]);
    folder.refuses(&["compile", "nix.tflite"], &["nix.tflite"]);
}

#[test]
fn a_listing_names_operators_and_kernels() {
    let folder = Folder::new();
    folder.put("net.tflite", MODEL);
    let run = folder.run(&["inspect", "net.tflite"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for part in
        ["4 operators", "input  #0 int8[1, 12](0.05, -3)", "120 multiply-accumulates", "LinearS8", "all operators"]
    {
        assert!(run.stdout.contains(part), "{part:?} is not in {}", run.stdout);
    }
}
