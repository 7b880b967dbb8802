//! `scrimp quantize` on a small network with known answers.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use scrimp::Rows;
use scrimp::bits::{Weights, Width};
use scrimp::nn::{LinearS8, QuantS8, Requant};
use scrimp_cli::encoder::tensor;
use scrimp_cli::quantize::integer::IntegerLayer;
use scrimp_cli::quantize::layer::{Affine, Rule, Scale, Settings, Source, quantize};

use crate::Folder;

const DESCRIPTION: &str = r#"
kind = "quantize"
widths = [8, 6, 4, 3, 2]

[[layer]]
name = "first"
rows = 3

[[layer]]
name = "last"
pinned = true
"#;

/// Repeatable numbers in [-1, 1).
fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn file(tensors: &[(&str, &[usize], Vec<f32>)]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(.., v)| v.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()));
    serialize(views, None).unwrap()
}

fn folder() -> Folder {
    let folder = Folder::new();
    let weights: [(&str, &[usize], _); 4] = [
        ("first.weight", &[24, 16], noise(1, 24 * 16)),
        ("first.bias", &[24], noise(2, 24)),
        // A convolution's.
        ("last.weight", &[4, 6, 2, 2], noise(3, 4 * 24)),
        ("last.bias", &[4], noise(4, 4)),
    ];
    folder.put("weights.safetensors", file(&weights));
    folder.put("rows.safetensors", rows(noise(5, 100 * 16), &[100, 24], noise(6, 100 * 24)));
    folder.put("plan.toml", DESCRIPTION);
    folder
}

fn rows(first: Vec<f32>, shape: &[usize], last: Vec<f32>) -> Vec<u8> {
    file(&[("first.x", &[first.len() / 16, 16], first), ("last.x", shape, last)])
}

const COMMAND: [&str; 5] = ["quantize", "weights.safetensors", "plan.toml", "rows.safetensors", "out.safetensors"];

#[test]
fn writes_layers_that_run_at_every_width() {
    let folder = folder();
    let run = folder.run(&[&COMMAND[..], &["--report", "report.json"]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("channels are stored with the other sign"), "{}", run.stdout);

    let bytes = folder.get("out.safetensors");
    let out = SafeTensors::deserialize(&bytes).unwrap();
    let raw = |name: &str| out.tensor(name).unwrap().data().to_vec();
    let ints = |name: &str| -> Vec<i32> {
        raw(name).chunks(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    let single = |name: &str| tensor(&out, name).unwrap().1[0];
    let input = Affine { scale: single("first.input.scale"), zero: ints("first.input.zero")[0] };
    let output = Affine { scale: single("first.output.scale"), zero: ints("first.output.zero")[0] };
    let (high, low) = (raw("first.high"), raw("first.low"));
    let weights = Weights::nest(&high, &low, Rows::new(24, 16).unwrap()).unwrap();
    let quant = QuantS8 { input_offset: -input.zero, output_offset: output.zero, ..QuantS8::PLAIN };
    let (w, b, x) = (noise(1, 24 * 16), noise(2, 24), noise(5, 100 * 16));
    let codes: Vec<i8> = x.iter().map(|&v| input.encode(v)).collect();
    // The error of the outputs in f32 steps, generous for 2 bits.
    for (width, most) in [(Width::W8, 0.02), (Width::W6, 0.08), (Width::W4, 0.3), (Width::W3, 0.6), (Width::W2, 1.2)] {
        let bits = width.bits();
        let (bias, mantissa) = (ints(&format!("first.bias.{bits}")), ints(&format!("first.mantissa.{bits}")));
        let shift: Vec<i8> = raw(&format!("first.shift.{bits}")).iter().map(|&s| s.cast_signed()).collect();
        let widths = [(width, Requant::new(&bias, &mantissa, &shift).unwrap())];
        let mut y = vec![0; 100 * 24];
        LinearS8::new(weights, &widths, quant).unwrap().run(&codes, &mut y, 100).unwrap();
        let mut squares = 0.0;
        for (x, y) in x.chunks(16).zip(y.chunks(24)) {
            for (o, &y) in y.iter().enumerate() {
                let exact = b[o] + x.iter().zip(&w[o * 16..]).map(|(x, w)| x * w).sum::<f32>();
                squares += (output.decode(y) - exact).powi(2);
            }
        }
        let error = (squares / 2400.0).sqrt();
        assert!(error < most, "{bits} bits: {error}");
    }
    // The pinned layer has 8 bits only.
    assert!(out.tensor("last.bias.8").is_ok() && out.tensor("last.bias.4").is_err());

    let report: serde_json::Value = serde_json::from_slice(&folder.get("report.json")).unwrap();
    let widths = report["layers"][0]["widths"].as_array().unwrap();
    assert_eq!(
        widths.iter().map(|w| w["flash_bytes"].as_u64().unwrap()).collect::<Vec<_>>(),
        [384, 384, 192, 384, 384]
    );
    // 4 bits read half; 6, 3 and 2 bits save nothing, so the ladder has one step.
    assert_eq!(report["ladder"].as_array().unwrap().len(), 1);
    assert_eq!((&report["ladder"][0]["from"], &report["ladder"][0]["to"]), (&8.into(), &4.into()));
}

#[test]
fn with_instructions_the_ladder_goes_all_the_way() {
    let folder = folder();
    let costs = "\n[instructions]\n8 = 1.9\n6 = 1.8\n4 = 1.05\n3 = 1.0\n2 = 0.9\n";
    folder.put("plan.toml", DESCRIPTION.replacen("[[layer]]", &format!("{costs}\n[[layer]]"), 1));
    let run = folder.run(&[&COMMAND[..], &["--report", "report.json"]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let report: serde_json::Value = serde_json::from_slice(&folder.get("report.json")).unwrap();
    let ladder = report["ladder"].as_array().unwrap();
    assert_eq!(ladder.last().unwrap()["to"], 2);
    for pair in ladder.windows(2) {
        let slope = |step: &serde_json::Value| step["error"].as_f64().unwrap() / step["saved"].as_f64().unwrap();
        assert!(slope(&pair[0]) <= slope(&pair[1]));
    }
}

#[test]
fn refuses_what_it_cannot_do() {
    let folder = folder();
    for (from, to, message) in [
        ("kind = \"quantize\"", "kind = \"convert\"", "kind is \"convert\""),
        ("[8, 6, 4, 3, 2]", "[6, 4]", "widths must start with 8"),
        ("[8, 6, 4, 3, 2]", "[8, 9]", "none of 2 to 8"),
        ("name = \"last\"", "name = \"lost\"", "lost.weight is missing"),
        ("name = \"last\"", "name = \"first\"", "first is there twice"),
        ("pinned = true", "pinned = 1", "pinned"),
        ("rows = 3", "input = [0.0, 0]", "input must be"),
        ("rows = 3", "colour = 3", "colour"),
        ("rows = 3", "input = [nan, 0]", "input must be"),
        ("rows = 3", "input = [1e39, 0]", "input must be"),
        ("rows = 3", "input = [0.1, 128]", "input must be"),
        ("rows = 3", "rows = 0", "rows must be at least 1"),
        ("rows = 3", "trace = nan", "first: trace"),
        ("rows = 3", "trace = inf", "first: trace"),
        ("rows = 3", "trace = -0.5", "first: trace"),
        ("[8, 6, 4, 3, 2]", "[8]\nscale = { sigma = nan }", "sigma"),
        ("[8, 6, 4, 3, 2]", "[8]\n[instructions]\n8 = nan", "[instructions]: 8"),
        ("[8, 6, 4, 3, 2]", "[8]\n[instructions]\n8 = inf", "[instructions]: 8"),
        ("[8, 6, 4, 3, 2]", "[8]\n[instructions]\n8 = 0.0", "[instructions]: 8"),
        ("[8, 6, 4, 3, 2]", "[8]\n[instructions]\n8 = 1.0\n08 = 1.0", "08 is none"),
        ("[8, 6, 4, 3, 2]", "[8]\n[instructions]\n8 = 1.0\n16 = 1.0", "16 is none"),
    ] {
        folder.put("plan.toml", DESCRIPTION.replace(from, to));
        let run = folder.run(&COMMAND);
        assert_eq!(run.code, Some(2), "{to}");
        assert!(run.stderr.contains(message), "{to}: {}", run.stderr);
        assert!(!folder.path().join("out.safetensors").exists(), "{to}");
    }
    folder.put("plan.toml", DESCRIPTION);
    for (bytes, words) in [
        (rows(vec![f32::NAN; 16], &[1, 24], noise(6, 24)), &["first.x", "not finite"][..]),
        (rows(noise(5, 16), &[24, 1], noise(6, 24)), &["last.x", "[24, 1]"]),
        (rows(noise(5, 16), &[1, 12], noise(6, 12)), &["last.x", "[1, 12]"]),
        (rows(noise(5, 16), &[0, 24], Vec::new()), &["last"]),
    ] {
        folder.put("rows.safetensors", bytes);
        folder.refuses(&COMMAND, words);
    }
    folder.put("rows.safetensors", rows(noise(5, 16), &[1, 24], noise(6, 24)));
    folder.ok(&COMMAND);
    let weights = |shape: &[usize], bias: &[usize], value: f32| {
        let mut weight = noise(1, 24 * 16);
        weight[77] = value;
        let last: [(&str, &[usize], _); 2] =
            [("last.weight", &[4, 24], noise(3, 96)), ("last.bias", &[4], noise(4, 4))];
        let first = [("first.weight", shape, weight), ("first.bias", bias, noise(2, bias.iter().product()))];
        file(&[&first[..], &last[..]].concat())
    };
    for (bytes, words) in [
        (weights(&[24, 16], &[24], f32::NEG_INFINITY), &["first.weight", "not finite"][..]),
        (weights(&[16, 24], &[24], 0.5), &["first.weight", "[16, 24]", "[24, "]),
        (weights(&[384], &[24], 0.5), &["first.weight", "[384]"]),
        (weights(&[24, 16], &[2, 12], 0.5), &["first.bias", "[2, 12]"]),
        (weights(&[24, 16], &[16], 0.5), &["first.weight", "[24, 16]", "[16, "]),
    ] {
        folder.put("weights.safetensors", bytes);
        std::fs::remove_file(folder.path().join("out.safetensors")).ok();
        folder.refuses(&COMMAND, words);
    }
}

/// Just what a file can hold, and one more.
#[test]
fn a_ladder_saves_at_most_what_the_file_holds() {
    let folder = folder();
    for (rows, good) in [(5_592_405i32, true), (5_592_406, false)] {
        // 384 products a row, one instruction saved for each.
        let plan = format!(
            "kind = \"quantize\"\nwidths = [8, 4]\n[instructions]\n8 = 2.0\n4 = 1.0\n[[layer]]\nname = \"first\"\nrows = {rows}\n"
        );
        folder.put("plan.toml", plan);
        if good {
            folder.ok(&COMMAND);
            let bytes = folder.get("out.safetensors");
            let out = SafeTensors::deserialize(&bytes).unwrap();
            let saved = out.tensor("ladder.saved").unwrap().data().to_vec();
            assert_eq!(saved, (384 * rows).to_le_bytes());
            std::fs::remove_file(folder.path().join("out.safetensors")).unwrap();
        } else {
            folder.refuses(&COMMAND, &["first", "2147483904", "2147483647"]);
        }
    }
}

/// Whatever a channel's weights are beside its bias, the layer is quantized and the bias is in the outputs.
#[test]
fn tiny_channels_of_any_size() {
    for (weight, bias) in [(1e-7, 0.5), (1e-12, 3.0), (1e-30, -1.0), (1e-40, 1e6), (0.0, 2.0), (1e-6, 1e-6)] {
        let weights: Vec<f32> = [vec![0.5, -0.25, 0.125], vec![weight, -weight, weight / 3.0]].concat();
        let x = noise(9, 3 * 50);
        let source = Source { weight: &weights, bias: &[0.1, bias], x: &x };
        for better in [true, false] {
            let layer = quantize(source, &settings(Rule::Round, Scale::Absmax, better), None).unwrap();
            // The other channel is as it would be alone.
            assert_eq!(layer.codes[0], if better { -128 } else { 119 });
            let (input, output) = (layer.input, layer.output);
            let integer = IntegerLayer::new(layer).unwrap();
            for width in [Width::W8, Width::W4, Width::W2] {
                let mut y = vec![0.0; 100];
                integer.run(width, &x, &mut y, 50).unwrap();
                for y in y.chunks(2) {
                    assert!((y[1] - bias).abs() <= output.scale, "{weight}, {bias}, {width:?}: {}, {input:?}", y[1]);
                }
            }
        }
    }
}

fn settings(rule: Rule, scale: Scale, better: bool) -> Settings {
    let widths = vec![Width::W8, Width::W6, Width::W4, Width::W3, Width::W2];
    Settings { widths, rule, scale, flip: better, refit: better, correct_bias: better }
}

/// SQNR of Gaussian weights, 512 a channel, against the table of the method's analysis (in dB).
#[test]
fn signal_to_noise_is_what_the_analysis_says() {
    let uniform = noise(7, 2 * 64 * 512);
    let gauss = |u: &[f32]| (-2.0 * (0.5 * u[0] + 0.5).max(1e-9).ln()).sqrt() * (core::f32::consts::PI * u[1]).cos();
    let weight: Vec<f32> = uniform.chunks(2).map(gauss).collect();
    // So many inputs that a refit by outputs is one by weights.
    let (bias, x) = (vec![0.0; 64], noise(8, 512 * 600));
    let source = Source { weight: &weight, bias: &bias, x: &x };
    for (rule, scale, better, wanted) in [
        (Rule::Round, Scale::Absmax, false, [42.1, 29.6, 18.3, 12.3, 6.2]),
        (Rule::Floor, Scale::Absmax, false, [42.1, 26.0, 12.7, 6.5, 0.5]),
        (Rule::MidRise, Scale::Absmax, false, [42.1, 29.6, 18.4, 12.3, 6.3]),
        (Rule::Round, Scale::Absmax, true, [42.4, 29.7, 18.4, 12.5, 6.9]),
        (Rule::Floor, Scale::Absmax, true, [42.4, 26.1, 13.1, 7.4, 3.3]),
        // 33.3 without the cap at 119.
        (Rule::Round, Scale::Sigma(3.0), false, [32.4, 28.7, 19.0, 13.1, 7.0]),
    ] {
        let layer = quantize(source, &settings(rule, scale, better), None).unwrap();
        for (reading, wanted) in layer.readings.iter().zip(wanted) {
            let got = layer.quality(source, reading).unwrap().sqnr_db;
            assert!((got - wanted).abs() < 0.75, "{rule:?} {scale:?} {better} {:?}: {got}", reading.width);
        }
    }
}

#[test]
fn a_channel_is_turned_over_where_that_makes_its_step_finer() {
    let weight = [1.0, -0.2, 0.1, -1.0, 0.2, -0.1];
    let source = Source { weight: &weight, bias: &[0.0, 0.0], x: &[1.0, 1.0, 1.0] };
    let layer = quantize(source, &settings(Rule::Round, Scale::Absmax, true), None).unwrap();
    assert_eq!(layer.codes, [-128, 26, -13, -128, 26, -13]);
    assert_eq!(layer.scale, [-1.0 / 128.0, 1.0 / 128.0]);
    let plain = quantize(source, &settings(Rule::Round, Scale::Absmax, false), None).unwrap();
    assert_eq!(plain.codes[0], 119);
}
