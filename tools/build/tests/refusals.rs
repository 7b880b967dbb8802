//! Files that cannot be run: each is refused with a text that says where and what would help, and nothing is written.

mod common;

use std::path::Path;

use common::{Net, Random, perceptron, tflite};
use scrimp_build::{Element, Executor, Fused, Model, Op, Quant, TensorId};

/// The error of a file.
fn refusal(file: &[u8]) -> String {
    let model = Model::from_tflite("net", file);
    let error = match model {
        Ok(model) => match model.code() {
            Ok(_) => panic!("it compiles"),
            Err(error) => error,
        },
        Err(error) => error,
    };
    format!("{error:#}")
}

/// The error of a perceptron that was changed.
fn refused(change: impl FnOnce(&mut Net)) -> String {
    let mut net = perceptron();
    change(&mut net);
    refusal(&tflite(&net.0))
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

/// The perceptron's second layer: operator 2.
const SECOND: &str = "operator 2 (FULLY_CONNECTED)";

#[test]
fn the_perceptron_compiles_and_runs() {
    let file = tflite(&perceptron().0);
    let model = Model::from_tflite("net", &file).unwrap();
    let code = model.code().unwrap();
    assert!(code.rust.contains("pub struct Net<'a>") && code.arena_bytes == 32, "{}", code.rust);
    let mut executor = Executor::new(model.graph()).unwrap();
    executor.set_input(0, &[3; 12]).unwrap();
    executor.run().unwrap();
    let scores = executor.tensor(*model.graph().outputs.last().unwrap());
    let sum: i32 = scores.iter().map(|&score| i32::from(score as i8) + 128).sum();
    assert!((510..=514).contains(&sum), "two rows of probabilities sum to {sum}/256");
}

/// The file that `cargo xtask newcomer` runs is this model; `SCRIMP_OVERWRITE=1` writes it.
#[test]
fn the_committed_model_is_the_perceptron() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/tflite/perceptron.tflite");
    let file = tflite(&perceptron().0);
    if std::env::var_os("SCRIMP_OVERWRITE").is_some() {
        std::fs::write(&path, &file).unwrap();
    }
    assert!(std::fs::read(&path).unwrap() == file, "write it with SCRIMP_OVERWRITE=1");
}

#[test]
fn a_file_that_is_no_model() {
    assert_says(&refusal(b""), &["not a .tflite file"]);
    assert_says(&refusal(b"GIF89a, a picture"), &["not a .tflite file", "TFL3"]);
    assert_says(&refusal(b"\x08\0\0\0TFL3"), &["no FlatBuffer"]);
    assert_says(&refusal(b"\xff\xff\xff\xffTFL3\0\0\0\0"), &["no FlatBuffer"]);
}

#[test]
fn a_truncated_file() {
    let file = tflite(&perceptron().0);
    for length in 0..file.len() {
        // Only zeros at the end may go without a trace.
        if let Ok(model) = Model::from_tflite("net", &file[..length]) {
            assert!(file[length..].iter().all(|&byte| byte == 0) || model.code().is_ok());
        }
    }
    assert_says(&refusal(&file[..file.len() / 2]), &["FlatBuffer"]);
}

#[test]
fn another_version_of_the_format() {
    let mut file = tflite(&perceptron().0);
    // The root table's first field is the version; it is the only 3 that is a version of the model.
    let at = (8..file.len() - 4).find(|&at| {
        let mut changed = file.clone();
        changed[at] = 9;
        file[at..at + 4] == [3, 0, 0, 0] && refusal_or_none(&changed).is_some_and(|text| text.contains("version 9"))
    });
    file[at.expect("the version stands somewhere")] = 9;
    assert_says(&refusal(&file), &["version 9 of the format"]);
}

fn refusal_or_none(file: &[u8]) -> Option<String> {
    Model::from_tflite("net", file).err().map(|error| format!("{error:#}"))
}

#[test]
fn tensors_that_are_not_there() {
    let text = refused(|net| net.0.nodes[2].inputs[0] = Some(TensorId(99)));
    assert_says(&text, &[SECOND, "tensor 99 is named, but there are"]);
    let text = refused(|net| net.0.nodes[2].outputs[0] = TensorId(1000));
    assert_says(&text, &[SECOND, "tensor 1000"]);
    let text = refused(|net| net.0.inputs[0] = TensorId(77));
    assert_says(&text, &["inputs of the model", "tensor 77"]);
}

#[test]
fn a_cycle() {
    // The first layer reads what the last one writes.
    let text = refused(|net| {
        let scores = net.0.outputs[0];
        net.0.nodes[0].inputs[0] = Some(scores);
    });
    assert_says(&text, &["operator 0 (FULLY_CONNECTED)", "nothing has written yet"]);
}

#[test]
fn a_tensor_that_is_written_twice() {
    let text = refused(|net| net.0.nodes[3].outputs[0] = net.0.nodes[2].outputs[0]);
    assert_says(&text, &["operator 3 (SOFTMAX)", "has a value already"]);
}

#[test]
fn no_output() {
    assert_says(&refused(|net| net.0.outputs.clear()), &["no output"]);
}

#[test]
fn sizes_that_contradict_each_other() {
    // A constant that is shorter than its shape.
    let text = refused(|net| net.0.tensors[1].shape = vec![8, 13]);
    assert_says(&text, &["tensor #1", "\"weights\"", "96 bytes", "needs 104"]);
    // Rows that do not fit the weights.
    let text = refused(|net| net.0.tensors[0].shape = vec![1, 13]);
    assert_says(&text, &["operator 0 (FULLY_CONNECTED)", "[1, 13]", "12"]);
    // An output of another size.
    let text = refused(|net| net.0.tensors[7].shape = vec![2, 4]);
    assert_says(&text, &[SECOND, "[2, 4]", "2 rows of 3"]);
    // RESHAPE that loses an element.
    let text = refused(|net| net.0.tensors[4].shape = vec![1, 7]);
    assert_says(&text, &["operator 1 (RESHAPE)"]);
    // A bias of another length.
    let text = refused(|net| {
        net.0.tensors[2].shape = vec![7];
        net.0.tensors[2].data = Some(vec![0; 28].into());
    });
    assert_says(&text, &["operator 0 (FULLY_CONNECTED)", "bias", "8 outputs"]);
}

#[test]
fn scales_and_zero_points_that_are_none() {
    for (scale, shown) in [(0.0, "0"), (-1.0, "-1"), (f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let text = refused(|net| net.0.tensors[7].quant.as_mut().unwrap().scales = vec![scale]);
        assert_says(&text, &[SECOND, "a scale of", shown, "full integer quantization"]);
    }
    let text = refused(|net| net.0.tensors[7].quant.as_mut().unwrap().scales = vec![1e-38]);
    assert_says(&text, &[SECOND, "absurd"]);
    let text = refused(|net| net.0.tensors[7].quant.as_mut().unwrap().zero_points = vec![128]);
    assert_says(&text, &[SECOND, "zero point of 128"]);
    let text = refused(|net| net.0.tensors[7].quant = None);
    assert_says(&text, &[SECOND, "must be quantized"]);
    let text = refused(|net| net.0.tensors[1].quant.as_mut().unwrap().scales.truncate(3));
    assert_says(&text, &["tensor #1", "3 scales, but 8 zero points"]);
    let text = refused(|net| {
        net.0.tensors[1].quant = Some(Quant { scales: vec![0.1; 3], zero_points: vec![0; 3], axis: 0 });
    });
    assert_says(&text, &["operator 0 (FULLY_CONNECTED)", "3 scales, but 8 channels"]);
}

#[test]
fn an_impossible_dimension_on_a_bias_is_accepted() {
    // Old files have them.
    let mut net = perceptron();
    net.0.tensors[2].quant = Some(Quant { scales: vec![0.1; 8], zero_points: vec![0; 8], axis: 3 });
    assert!(Model::from_tflite("net", &tflite(&net.0)).unwrap().code().is_ok());
}

#[test]
fn constants_without_data() {
    let text = refused(|net| net.0.tensors[1].data = None);
    assert_says(&text, &["operator 0 (FULLY_CONNECTED)", "nothing has written yet"]);
}

#[test]
fn operators_versions_and_types_that_are_not_supported() {
    let other = |code: i32| Op::Other { name: String::new(), code };
    let text = refused(|net| net.0.nodes[3].op = other(47 + 1000));
    assert_says(&text, &["operator 3 (BUILTIN 1047)", "not supported"]);
    let text = refused(|net| net.0.nodes[3].op = other(48));
    assert_says(&text, &["operator 3 (TOPK_V2)", "replace it in the model"]);
    let text = refused(|net| net.0.nodes[3].op = other(32));
    assert_says(&text, &["operator 3 (CUSTOM \"\")", "custom operators"]);
    for code in [118, 119] {
        let text = refused(|net| net.0.nodes[3].op = other(code));
        assert_says(&text, &["operator 3", "control flow is not supported"]);
    }
    let text = refused(|net| net.0.nodes[2].version = 15);
    assert_says(&text, &[SECOND, "version 15", "at most 14"]);
    let text = refused(|net| net.0.nodes[2].version = 0);
    assert_says(&text, &[SECOND, "version 0"]);
    let text = refused(|net| net.0.tensors[7].element = Element::Other(10));
    assert_says(&text, &[SECOND, "float64"]);
    let text = refused(|net| net.0.tensors[7].element = Element::F32);
    assert_says(&text, &[SECOND, "float32"]);
    let text = refused(|net| net.0.nodes[2].op = Op::FullyConnected { activation: Fused::SignBit, shuffled: false });
    assert_says(&text, &[SECOND, "SignBit"]);
}

#[test]
fn too_few_inputs() {
    let text = refused(|net| net.0.nodes[2].inputs.truncate(1));
    assert_says(&text, &[SECOND, "1 inputs"]);
    let text = refused(|net| net.0.nodes[2].inputs[1] = None);
    assert_says(&text, &[SECOND, "input 1 is missing"]);
}

#[test]
fn dynamic_shapes() {
    let text = refused(|net| net.0.tensors[0].shape = vec![usize::MAX, 12]);
    assert_says(&text, &["tensor #0", "\"input\"", "dynamic", "fixed input shape"]);
}

#[test]
fn a_tensor_beyond_any_device() {
    let text = refused(|net| net.0.tensors[0].shape = vec![1 << 20, 1 << 10]);
    assert_says(&text, &["tensor #0", "elements"]);
    let text = refused(|net| net.0.tensors[0].shape = vec![1; 9]);
    assert_says(&text, &["tensor #0", "9 axes"]);
}

#[test]
fn an_arena_beyond_what_is_allowed() {
    let model = || Model::from_tflite("net", &tflite(&perceptron().0)).unwrap();
    assert!(model().max_arena(32).code().is_ok());
    let text = format!("{:#}", model().max_arena(31).code().unwrap_err());
    assert_says(&text, &["32 bytes", "at most 31", "operator 0 (FULLY_CONNECTED)", "smaller input"]);
}

#[test]
fn a_file_that_is_not_there() {
    let error = Model::tflite("no/such/model.tflite").unwrap_err();
    assert_says(&error.to_string(), &["no/such/model.tflite"]);
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[test]
fn a_small_file_that_says_it_is_huge() {
    // Every entry of a long vector of operators is one and the same table, with long vectors of its own.
    let mut f = flatbuffers::FlatBufferBuilder::new();
    let long = vec![0i32; 20_000];
    let ids = f.create_vector(&long);
    let start = f.start_table();
    f.push_slot_always(6, ids);
    f.push_slot_always(8, ids);
    let operator = f.end_table(start);
    let operators = f.create_vector(&vec![operator; 20_000]);
    let start = f.start_table();
    let code = f.end_table(start);
    let codes = f.create_vector(&[code]);
    let start = f.start_table();
    f.push_slot_always(10, operators);
    let subgraph = f.end_table(start);
    let subgraphs = f.create_vector(&[subgraph]);
    let start = f.start_table();
    f.push_slot_always(4, 3u32);
    f.push_slot_always(6, codes);
    f.push_slot_always(8, subgraphs);
    let model = f.end_table(start);
    f.finish(model, Some("TFL3"));
    let file = f.finished_data().to_vec();
    let start = std::time::Instant::now();
    let text = refusal(&file);
    assert!(text.contains("far more than its bytes") || text.contains("tensor 0 is named"), "{text}");
    assert!(start.elapsed().as_secs() < 5);
}

/// Rounds of mutation: a million with `SCRIMP_MUTATIONS=1000000`, a few thousand by default.
fn rounds() -> usize {
    std::env::var("SCRIMP_MUTATIONS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5_000)
}

#[test]
fn mutated_files_are_refused_or_run() {
    let folder = tempfile::tempdir().unwrap();
    let models = seeds();
    let mut random = Random(42);
    let (mut compiled, mut slowest) = (0, core::time::Duration::ZERO);
    for round in 0..rounds() {
        let file = mutated(&models[round % models.len()], &mut random);
        let start = std::time::Instant::now();
        // Panics fail the test; they name the round.
        let result = std::panic::catch_unwind(|| {
            let model = Model::from_tflite("net", &file)?;
            // Larger arenas are as good as refused: they only take the time to run them here.
            let code = model.max_arena(1 << 20).code()?;
            code.write(folder.path(), "net")
        });
        match result {
            Ok(Ok(())) => compiled += 1,
            Ok(Err(_)) => assert!(is_empty(folder.path()), "round {round} was refused and has written"),
            Err(_) => {
                std::fs::write(std::env::temp_dir().join("scrimp-mutation.tflite"), &file).unwrap();
                panic!("round {round} panicked");
            }
        }
        slowest = slowest.max(start.elapsed());
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    assert!(compiled > 0, "weights may change without harm");
    assert!(slowest.as_secs() < 10, "a round took {slowest:?}");
    println!("{} rounds, {compiled} compiled, the slowest took {slowest:?}", rounds());
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// Files that are mutated: of ours, and where they are at hand single operators of all kinds.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![tflite(&perceptron().0)];
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models/ops/operators.safetensors");
    if let Ok(file) = std::fs::read(cases) {
        let cases = safetensors::SafeTensors::deserialize(&file).unwrap();
        let models = cases.iter().filter(|(name, _)| name.ends_with(".model"));
        seeds.extend(models.map(|(_, view)| view.data().to_vec()));
    } else {
        println!("skipped: no ../shared");
    }
    seeds
}

/// A file with one to four changes: bits, bytes, words, numbers of other places, pieces moved, the end cut off.
fn mutated(file: &[u8], random: &mut Random) -> Vec<u8> {
    let mut file = file.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(file.len().saturating_sub(8).max(1));
        let word = at / 4 * 4;
        match random.below(8) {
            0 => file[at] ^= 1 << random.below(8),
            1 => file[at] = random.below(256) as u8,
            2 => file[at] = [0, 1, 0x7F, 0x80, 0xFF][random.below(5)],
            3 => {
                let extreme = [0, 1, -1, i32::MAX, i32::MIN, 1 << 16, 1 << 28, 127, 128, -128];
                file[word..word + 4].copy_from_slice(&extreme[random.below(extreme.len())].to_le_bytes());
            }
            4 => {
                let from = random.below(file.len() - 8) / 4 * 4;
                file.copy_within(from..from + 4, word);
            }
            5 => {
                let number = f32::from_bits(random.below(1 << 31) as u32 ^ (random.below(2) as u32) << 31);
                file[word..word + 4].copy_from_slice(&number.to_le_bytes());
            }
            6 => {
                let length = random.below(64).min(file.len() - at);
                let from = random.below(file.len() - length);
                file.copy_within(from..from + length, at);
            }
            _ => {
                if random.below(4) == 0 {
                    file.truncate(16 + random.below(file.len() - 16).max(1));
                }
            }
        }
        if file.len() < 32 {
            break;
        }
    }
    file
}
