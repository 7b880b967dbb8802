//! `scrimp quantize` on a small network with known answers.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use scrimp::Rows;
use scrimp::bits::{Weights, Width};
use scrimp::nn::{LinearS8, QuantS8, Requant};
use scrimp_cli::encoder::some_floats;
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

fn file(tensors: &[(&str, Vec<f32>)]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(_, v)| v.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, values), bytes)| (*name, TensorView::new(Dtype::F32, vec![values.len()], bytes).unwrap()));
    serialize(views, None).unwrap()
}

fn folder() -> Folder {
    let folder = Folder::new();
    let weights = [
        ("first.weight", noise(1, 24 * 16)),
        ("first.bias", noise(2, 24)),
        ("last.weight", noise(3, 4 * 24)),
        ("last.bias", noise(4, 4)),
    ];
    folder.put("weights.safetensors", file(&weights));
    folder.put("rows.safetensors", file(&[("first.x", noise(5, 100 * 16)), ("last.x", noise(6, 100 * 24))]));
    folder.put("plan.toml", DESCRIPTION);
    folder
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
    let single = |name: &str| some_floats(&out, name).unwrap()[0];
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
    ] {
        folder.put("plan.toml", DESCRIPTION.replace(from, to));
        let run = folder.run(&COMMAND);
        assert_eq!(run.code, Some(2), "{to}");
        assert!(run.stderr.contains(message), "{to}: {}", run.stderr);
        assert!(!folder.path().join("out.safetensors").exists(), "{to}");
    }
    folder.put("plan.toml", DESCRIPTION);
    folder.put("rows.safetensors", file(&[("first.x", vec![f32::NAN; 16]), ("last.x", noise(6, 24))]));
    let run = folder.run(&COMMAND);
    assert!(run.stderr.contains("not finite"), "{}", run.stderr);
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
