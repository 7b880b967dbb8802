//! `scrimp replay`.

use crate::Folder;

/// One case of two rows; `{...}` is what a test changes.
fn file(op: &str, params: &str, y: &str) -> String {
    format!(
        r#"{{"schema": "kernel-vectors/1", "origin": "by hand", "license": "CC0-1.0", "cases": [{{"name": "one",
            "op": "{op}", "params": {params}, "inputs": {{"x": {{"type": "f32", "shape": [2, 2],
            "data": [0.0, 0.0, "-inf", 7.0]}}}}, "outputs": {{"y": {{"type": "f32", "shape": [2, 2], "data": {y}}}}},
            "tolerance": {{"rel": 1e-6}}}}]}}"#
    )
}

fn replay(text: &str) -> (Option<i32>, String, String) {
    let folder = Folder::new();
    folder.put("cases.json", text);
    let run = folder.run(&["replay", "cases.json"]);
    (run.code, run.stdout, run.stderr)
}

#[test]
fn what_agrees_passes() {
    let (code, stdout, _) = replay(&file("softmax_f32", "{}", "[0.5, 0.5, 0.0, 1.0]"));
    assert_eq!((code, stdout.as_str()), (Some(0), "1 passed, 0 failed\n"));
}

#[test]
fn the_first_difference_is_named() {
    let (code, stdout, _) = replay(&file("softmax_f32", "{}", "[0.5, 0.25, 0.0, 2.0]"));
    assert_eq!(code, Some(1));
    assert_eq!(stdout, "FAILED cases.json one: y[1] is 0.5, 0.25 expected\n0 passed, 1 failed\n");
}

#[test]
fn infinities_are_no_numbers_of_any_tolerance() {
    let (code, stdout, _) = replay(&file("softmax_f32", "{}", r#"[0.5, 0.5, "-inf", 1.0]"#));
    assert_eq!(code, Some(1));
    assert!(stdout.contains("y[2] is 0, -inf expected"), "{stdout}");
}

#[test]
fn what_is_unknown_is_never_skipped() {
    let good = "[0.5, 0.5, 0.0, 1.0]";
    for (op, params, named) in
        [("softmax_f99", "{}", "operator softmax_f99"), ("softmax_f32", r#"{"beta": 2}"#, "parameter beta")]
    {
        let (code, stdout, _) = replay(&file(op, params, good));
        assert_eq!(code, Some(1));
        assert!(stdout.contains(named) && stdout.ends_with("0 passed, 1 failed\n"), "{stdout}");
    }
}

#[test]
fn a_bad_file_is_refused() {
    let good = file("softmax_f32", "{}", "[0.5, 0.5, 0.0, 1.0]");
    for (text, named) in [
        (good.replace("vectors/1", "vectors/2"), "kernel-vectors/2"),
        (good.replace("-inf", "minus"), "not a number"),
        (good.replace("tolerance", "tolerances"), "tolerance"),
        (good[..100].to_owned(), "cases.json"),
    ] {
        let (code, stdout, stderr) = replay(&text);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(stderr.contains(named), "{stderr}");
    }
}

#[test]
fn the_vectors_of_the_integer_layers_pass() {
    let vectors = |file: &str| format!("{}/../../tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    for (file, passed) in [
        ("bits/double_round", 6),
        ("cmsis-nn/fully_connected_s8", 4),
        ("cmsis-nn/fully_connected_s4", 3),
        ("cmsis-nn/fully_connected_s16", 1),
        ("cmsis-nn/batch_matmul_s8", 3),
        ("cmsis-nn/batch_matmul_s16", 3),
    ] {
        let run = Folder::new().run(&["replay", &vectors(file)]);
        assert_eq!((run.code, run.stdout), (Some(0), format!("{passed} passed, 0 failed\n")), "{file}");
    }
}

#[test]
fn a_layer_with_a_parameter_too_many_is_refused() {
    let text = r#"{"schema": "kernel-vectors/1", "origin": "by hand", "license": "CC0-1.0", "cases": [{"name": "one",
        "op": "double_round", "params": {"from": 8, "to": 4, "half": "even"}, "inputs": {"x": {"type": "i8", "shape": [1],
        "data": [8]}}, "outputs": {"y": {"type": "i8", "shape": [1], "data": [1]}}, "tolerance": {"lsb": 0}}]}"#;
    let (code, stdout, _) = replay(text);
    assert_eq!(code, Some(1));
    assert!(stdout.contains("unknown parameter half"), "{stdout}");
    let (code, stdout, _) = replay(&text.replace(r#", "half": "even""#, ""));
    assert_eq!((code, stdout.as_str()), (Some(0), "1 passed, 0 failed\n"));
}
