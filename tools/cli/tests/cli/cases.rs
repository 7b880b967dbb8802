//! The inputs of `tests/cases`: what each of them must give.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::metadata::Orientation;
use image::{ImageDecoder, ImageReader, RgbImage};
use safetensors::SafeTensors;

use crate::{Folder, jpeg, png, scene, with_segment, zlib};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}

/// A folder with these cases in it.
fn folder(names: &[&str]) -> Folder {
    let folder = Folder::new();
    for name in names {
        let path = case(name);
        let file = path.file_name().and_then(|name| name.to_str()).expect("a name");
        folder.put(file, std::fs::read(&path).expect(name));
    }
    folder
}

fn none(folder: &Folder, from: &str, to: &str) -> String {
    folder.ok(&["deblur", from, to, "--policy", "none"])
}

fn worst(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().expect("pixels")
}

#[test]
fn jpeg_structures_are_read_as_libjpeg_does() {
    for name in ["noninterleaved-420", "chroma-sampled-higher-8x8-panics", "jfif-and-adobe-transform-0"] {
        let file = format!("{name}.jpg");
        let folder = folder(&[&format!("jpeg/{file}"), &format!("jpeg/{name}.expected.png")]);
        assert_eq!(none(&folder, &file, "out.png"), "", "{name}");
        let worst = worst(&folder.rgb("out.png"), &folder.rgb(&format!("{name}.expected.png")));
        assert!(worst <= 4, "{name}: {worst} levels off");
    }
}

#[test]
fn jpeg_files_that_say_too_little_are_refused() {
    for (name, word) in [("two-components.jpg", "2 components"), ("scan-cut-with-eoi.jpg", "truncated")] {
        let folder = folder(&[&format!("jpeg/{name}")]);
        folder.refuses(&["deblur", name, "out.png", "--policy", "none"], &[name, word]);
    }
}

#[test]
fn exif_orientation_of_any_type_and_the_first_block() {
    for name in ["exif-orientation-long-le.jpg", "exif-twice-6-then-3.jpg"] {
        let folder = folder(&[&format!("jpeg/{name}")]);
        assert!(none(&folder, name, "out.png").contains("turned upright"), "{name}");
        assert_eq!(folder.rgb("out.png").dimensions(), (24, 40), "{name}");
    }
}

#[test]
fn what_a_file_says_of_its_colours_is_kept_or_its_loss_is_told() {
    let folder = folder(&["jpeg/grey-with-icc.jpg", "png/gama-1.0.png", "png/iccp-of-48-mib.png"]);
    let said = none(&folder, "grey-with-icc.jpg", "out.png");
    assert!(said.contains("its colour profile is for grey levels and not kept"), "{said}");

    assert_eq!(none(&folder, "gama-1.0.png", "out.png"), "");
    let chunk = |file: &[u8]| {
        let at = file.windows(4).position(|kind| kind == b"gAMA")?;
        Some(file[at - 4..at + 12].to_vec())
    };
    let (from, to) = (folder.get("gama-1.0.png"), folder.get("out.png"));
    assert!(chunk(&to).is_some() && chunk(&to) == chunk(&from));
    assert!(folder.rgb("out.png") == folder.rgb("gama-1.0.png"));
    assert_eq!(none(&folder, "out.png", "again.png"), "");
    assert_eq!(chunk(&folder.get("again.png")), chunk(&from));
    let said = none(&folder, "gama-1.0.png", "out.jpg");
    assert!(said.contains("out.jpg: JPEG has no place for what the PNG file says about its colours"), "{said}");

    let said = none(&folder, "iccp-of-48-mib.png", "out.png");
    assert!(said.contains("its colour profile is larger than 8 MiB and not kept"), "{said}");
    assert_eq!(folder.rgb("out.png").dimensions(), (20, 10));
}

fn profile_chunk(profile: &[u8]) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(b"a name\0\0".to_vec(), Compression::fast());
    packed.write_all(profile).expect("memory");
    packed.finish().expect("memory")
}

fn profile_of(folder: &Folder, name: &str) -> Option<Vec<u8>> {
    let mut decoder = ImageReader::open(folder.path().join(name)).expect(name).into_decoder().expect(name);
    assert_eq!(decoder.orientation().expect(name), Orientation::NoTransforms);
    decoder.icc_profile().expect(name)
}

#[test]
fn profiles_have_a_limit_and_damaged_ones_are_told() {
    let folder = Folder::new();
    let lines = zlib(&[0, 1, 2, 3, 4, 5, 6]);
    let with =
        |chunks: &[(&[u8; 4], &[u8])]| png(2, 1, 8, 2, &[chunks, &[(b"IDAT", &lines[..]), (b"IEND", &[])]].concat());
    // At the limit and one beyond.
    for (length, kept) in [(8 << 20, true), ((8 << 20) + 1, false)] {
        folder.put("in.png", with(&[(b"iCCP", &profile_chunk(&vec![7; length]))]));
        let said = none(&folder, "in.png", "out.png");
        assert_eq!(said.contains("larger than 8 MiB"), !kept, "{said}");
        assert_eq!(profile_of(&folder, "out.png").map(|profile| profile.len()), kept.then_some(length));
    }
    for damaged in [&b"a name"[..], b"a name\0\x01abc", b"a name\0\0abc"] {
        folder.put("in.png", with(&[(b"iCCP", damaged)]));
        assert!(none(&folder, "in.png", "out.png").contains("its colour profile is damaged and not kept"));
    }
    // A profile and chunks beside each other, all kept; twice the same, the first counts.
    let (gamma, other) = (100_000u32.to_be_bytes(), 45_455u32.to_be_bytes());
    let profile = profile_chunk(b"not a real profile");
    folder.put("in.png", with(&[(b"gAMA", &gamma), (b"iCCP", &profile), (b"sRGB", &[0]), (b"gAMA", &other)]));
    assert_eq!(none(&folder, "in.png", "out.png"), "");
    let file = folder.get("out.png");
    let count = |kind: &[u8]| file.windows(4).filter(|window| *window == kind).count();
    assert_eq!((count(b"gAMA"), count(b"sRGB"), count(b"iCCP")), (1, 1, 1));
    assert!(file.windows(8).any(|window| window == [&b"gAMA"[..], &gamma].concat()));
    // sRGB is what a JPEG file is taken for.
    assert_eq!(none(&folder, "in.png", "out.jpg"), "");
    let mut bad = with(&[(b"gAMA", &gamma)]);
    let at = bad.windows(4).position(|kind| kind == b"gAMA").expect("the chunk");
    bad[at + 4] ^= 1;
    folder.put("in.png", bad);
    assert!(none(&folder, "in.png", "out.png").contains("what it says about its colours is damaged"));
    assert!(!folder.get("out.png").windows(4).any(|kind| kind == b"gAMA"));

    // Parts of a JPEG file's profile: each once, as many as they say.
    let part = |number: u8, count: u8, bytes: &[u8]| [b"ICC_PROFILE\0", &[number, count][..], bytes].concat();
    let file =
        |parts: &[Vec<u8>]| parts.iter().fold(jpeg(&scene(20, 10)), |file, body| with_segment(&file, 0xE2, body));
    // `with_segment` puts each in front of the others.
    folder.put("in.jpg", file(&[part(1, 2, b"first"), part(2, 2, b"second")]));
    assert_eq!(none(&folder, "in.jpg", "out.jpg"), "");
    assert_eq!(profile_of(&folder, "out.jpg").as_deref(), Some(&b"firstsecond"[..]));
    for parts in [vec![part(1, 2, b"first")], vec![part(1, 2, b"a"), part(1, 2, b"b")], vec![part(0, 1, b"a")]] {
        folder.put("in.jpg", file(&parts));
        assert!(none(&folder, "in.jpg", "out.jpg").contains("its colour profile is damaged and not kept"));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_profile_that_unpacks_to_much_takes_little_memory() {
    let folder = folder(&["png/iccp-of-48-mib.png"]);
    let bomb = profile_chunk(&vec![0; 256 << 20]);
    let lines = zlib(&[0, 1, 2, 3, 4, 5, 6]);
    folder.put("bomb.png", png(2, 1, 8, 2, &[(b"iCCP", &bomb), (b"zTXt", &bomb), (b"IDAT", &lines), (b"IEND", &[])]));
    for name in ["iccp-of-48-mib.png", "bomb.png"] {
        let limited = format!("ulimit -v 200000; exec \"$0\" deblur {name} out.png --policy none");
        let mut run = Command::new("sh");
        run.args(["-c", &limited, env!("CARGO_BIN_EXE_scrimp")]);
        // What is only reserved counts too: no heaps for threads.
        let run = folder.command(run.env("RAYON_NUM_THREADS", "1").env("MALLOC_ARENA_MAX", "1"));
        assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
        assert!(run.stderr.contains("larger than 8 MiB"), "{name}: {}", run.stderr);
    }
}

#[test]
fn replay_takes_reals_as_json_says_and_checks_all_that_a_case_says() {
    let folder = folder(&["replay/reals-as-json-says.json", "replay/must-be-refused.json"]);
    let run = folder.run(&["replay", "reals-as-json-says.json"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "7 passed, 0 failed\n"));
    let run = folder.run(&["replay", "must-be-refused.json"]);
    assert_eq!(run.code, Some(1));
    for words in ["y is i8, f32 expected", "y has shape [1, 2], [2, 1] expected", "unknown field axis"] {
        assert!(run.stdout.contains(words), "{}", run.stdout);
    }
    assert!(run.stdout.ends_with("0 passed, 3 failed\n"), "{}", run.stdout);
}

/// LiteRT makes a table in f64 that TFLite Micro makes in f32; our bytes are the latter's (see `SoftmaxS16`).
#[test]
fn softmax_s16_differs_from_litert_by_one_where_its_table_does() {
    let folder = folder(&["replay/softmax_s16-litert-table.json"]);
    let run = folder.run(&["replay", "softmax_s16-litert-table.json"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.ends_with("0 passed, 4 failed\n"), "{}", run.stdout);
    let text = String::from_utf8(folder.get("softmax_s16-litert-table.json")).expect("UTF-8");
    folder.put("near.json", text.replace("\"lsb\": 0", "\"lsb\": 1"));
    assert_eq!(folder.run(&["replay", "near.json"]).stdout, "4 passed, 0 failed\n");
}

#[test]
fn layer_norm_keeps_its_bound_for_any_mean() {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/nn/layer_norm_f32.json");
    let run = Folder::new().run(&["replay", vectors]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "11 passed, 0 failed\n"));
}

const QUANTIZE: [&str; 2] = ["rows.safetensors", "out.safetensors"];

#[test]
fn quantize_refuses_weights_of_another_shape_and_plans_with_impossible_numbers() {
    let folder = folder(&[
        "quantize/rows.safetensors",
        "quantize/plan.toml",
        "quantize/weights-in-by-out.safetensors",
        "quantize/weights-good.safetensors",
        "quantize/plan-many-rows.toml",
        "quantize/plan-trace-nan.toml",
    ]);
    let run = |weights: &str, plan: &str, words: &[&str]| {
        folder.refuses(&["quantize", weights, plan, QUANTIZE[0], QUANTIZE[1]], words);
    };
    run("weights-in-by-out.safetensors", "plan.toml", &["a.weight", "[10, 6]", "[6, "]);
    run("weights-good.safetensors", "plan-many-rows.toml", &["2160000000", "2147483647"]);
    run("weights-good.safetensors", "plan-trace-nan.toml", &["plan-trace-nan.toml", "a: trace"]);
    folder.ok(&["quantize", "weights-good.safetensors", "plan.toml", QUANTIZE[0], QUANTIZE[1]]);
}

#[test]
fn a_tiny_channel_gets_a_step_that_its_bias_fits() {
    let names = ["rows.safetensors", "plan.toml", "weights-one-tiny-channel.safetensors", "weights-good.safetensors"];
    let folder = folder(&names.map(|name| format!("quantize/{name}")).each_ref().map(String::as_str));
    let quantized = |weights: &str| {
        folder.ok(&["quantize", weights, "plan.toml", QUANTIZE[0], QUANTIZE[1]]);
        folder.get("out.safetensors")
    };
    let (tiny, good) = (quantized("weights-one-tiny-channel.safetensors"), quantized("weights-good.safetensors"));
    let (tiny, good) =
        (SafeTensors::deserialize(&tiny).expect("tensors"), SafeTensors::deserialize(&good).expect("tensors"));
    let ints = |file: &SafeTensors<'_>, name: &str| -> Vec<i32> {
        let bytes = file.tensor(name).expect(name).data().to_vec();
        bytes.chunks(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    let scale = |file: &SafeTensors<'_>| -> Vec<f32> {
        let bytes = file.tensor("a.scale").expect("scales").data().to_vec();
        bytes.chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    // The bias of 0.5 is still there, in units of the raised step; the other channels are as they were.
    let input = ints(&tiny, "a.input.zero");
    assert_eq!(input, ints(&good, "a.input.zero"));
    for bits in [8, 4, 2] {
        let (tiny, good) = (ints(&tiny, &format!("a.bias.{bits}")), ints(&good, &format!("a.bias.{bits}")));
        for o in [0, 1, 3, 4, 5] {
            assert_eq!(tiny[o], good[o], "{bits} bits, {o}");
        }
        assert!((1 << 26..1 << 30).contains(&tiny[2].abs()), "{bits} bits: {}", tiny[2]);
    }
    let scales = scale(&tiny);
    assert!(scales[2].abs() < 1e-6 && scales[2].abs() > 1e-9, "{scales:?}");
}

/// Compiles against stand-ins of the library's types.
fn compiles(folder: &Folder, constants: &str) {
    let types = "pub mod quant {
        pub enum Symbols { TopIsZero }
        pub struct AdaLog; impl AdaLog { pub const fn new(_: u32, _: u32, _: f64, _: Symbols) -> Self { Self } }
        pub struct Log2; impl Log2 { pub const fn new(_: u32, _: f64, _: Symbols) -> Self { Self } }
        pub struct LogSqrt2; impl LogSqrt2 { pub const fn new(_: u32, _: f64, _: Symbols) -> Self { Self } }
        pub struct Uniform; impl Uniform { pub const fn new(_: u32, _: f32, _: u8) -> Self { Self } }
    }
    #[macro_export] macro_rules! expect { ($e:expr) => { $e } }";
    folder.put("scrimp.rs", types);
    folder.put("use.rs", format!("#![deny(warnings)]\n#![allow(dead_code)]\n{constants}"));
    let rustc = |args: &[&str]| {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let run =
            folder.command(rustc.args(["--edition", "2024", "--crate-type", "rlib", "--emit", "metadata"]).args(args));
        assert_eq!(run.code, Some(0), "{}\n{constants}", run.stderr);
    };
    rustc(&["scrimp.rs"]);
    rustc(&["use.rs", "--extern", "scrimp=libscrimp.rmeta"]);
}

#[test]
fn calibrate_writes_rust_that_compiles_for_any_name() {
    let folder = folder(&["calibrate/name-0.attn.safetensors"]);
    let args = ["--bits", "3", "--rust", "q.rs", "--which"];
    folder.ok(&[&["calibrate", "name-0.attn.safetensors", "q.toml"], &args[..], &["ours"]].concat());
    let text = |name: &str| String::from_utf8(folder.get(name)).expect("UTF-8");
    assert!(text("q.rs").contains("pub const _0_ATTN_ADALOG_OURS: AdaLog = "), "{}", text("q.rs"));
    compiles(&folder, &text("q.rs"));

    // Names that would end a comment or a string, that turn text round, and that differ in what Rust does not allow.
    let names = ["a.b", "a_b", "A-B", "a.b_adalog", "", "ü", "o", "self", "x\ny\r\"\\", "\u{202e}end", "*/", "`"];
    let bytes = std::fs::read(case("calibrate/scores.safetensors")).expect("a case");
    let file = SafeTensors::deserialize(&bytes).expect("tensors");
    let mut views = Vec::new();
    for name in names {
        for part in ["scores", "values"] {
            views.push((format!("{name}.{part}"), file.tensor(&format!("b.{part}")).expect("a tensor")));
        }
    }
    folder.put("names", safetensors::serialize(views, None).expect("tensors"));
    folder.ok(&[&["calibrate", "names", "q.toml"], &args[..], &["all"]].concat());
    compiles(&folder, &text("q.rs"));
    let table: toml::Table = text("q.toml").parse().expect("TOML");
    let layers = table["quantizer"].as_array().expect("quantizers").iter();
    let mut layers: Vec<_> = layers.map(|q| q["layer"].as_str().expect("a name").to_owned()).collect();
    layers.dedup();
    let mut sorted = names;
    sorted.sort_unstable();
    layers.sort_unstable();
    assert_eq!(layers, sorted);
}

#[test]
fn calibrate_does_not_mind_where_scores_lie() {
    let folder = folder(&["calibrate/scores.safetensors", "calibrate/scores-plus-1e6.safetensors"]);
    let errors = |name: &str| -> Vec<f64> {
        folder.ok(&["calibrate", name, "q.toml", "--bits", "3"]);
        let table: toml::Table = String::from_utf8(folder.get("q.toml")).expect("UTF-8").parse().expect("TOML");
        let all = table["quantizer"].as_array().expect("quantizers").clone();
        all.iter().map(|q| q["mean_square_error"].as_float().expect("a number")).collect()
    };
    let (plain, far) = (errors("scores.safetensors"), errors("scores-plus-1e6.safetensors"));
    assert_eq!(plain.len(), 5);
    // An f32 at a million has steps of 1/16, which is what differs.
    for (plain, far) in plain.iter().zip(&far) {
        assert!((far / plain - 1.0).abs() < 0.5, "{plain} and {far}");
    }
    // Where nothing is lost, the very same errors.
    let bytes = std::fs::read(case("calibrate/scores.safetensors")).expect("a case");
    let file = SafeTensors::deserialize(&bytes).expect("tensors");
    let moved = |by: f32| {
        let view = file.tensor("b.scores").expect("scores");
        let scores = view.data().chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        // Coarse enough for both.
        let bytes: Vec<u8> = scores.flat_map(|s| ((s * 16.0).round() / 16.0 + by).to_le_bytes()).collect();
        let scores = safetensors::tensor::TensorView::new(view.dtype(), view.shape().to_vec(), &bytes).expect("scores");
        safetensors::serialize([("b.scores", scores), ("b.values", file.tensor("b.values").expect("values"))], None)
            .expect("tensors")
    };
    folder.put("near", moved(0.0));
    folder.put("above", moved(524_288.0));
    folder.put("below", moved(-524_288.0));
    let near = errors("near");
    for name in ["above", "below"] {
        // The f32 softmax takes another way there, within its bound.
        for (near, far) in near.iter().zip(errors(name)) {
            assert!((far / near - 1.0).abs() < 1e-3, "{name}: {near} and {far}");
        }
    }
}
