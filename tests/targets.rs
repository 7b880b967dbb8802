//! What `build.rs` makes of a target and its flags: the backend, the layout of weights, and that the library compiles.
//!
//! Boards have the usual ones; here are those that must do without something: vectors of integers only, software floats.

use std::process::Command;

use serde_json::Value;

struct Case {
    target: &'static str,
    flags: &'static [&'static str],
    picked: &'static str,
    layout: &'static str,
    /// What of "dsp", "helium", "helium_fp", "neon", "thumb2", "x86" there is.
    has: &'static [&'static str],
}

const M33: &str = "-Ctarget-cpu=cortex-m33";
const M55: &str = "-Ctarget-cpu=cortex-m55";
const CASES: [Case; 12] = [
    case("thumbv6m-none-eabi", &[], "scalar", "Rows", &[]),
    case("thumbv7m-none-eabi", &[], "scalar", "Rows", &["thumb2"]),
    case("thumbv7em-none-eabihf", &[], "dsp", "Dsp", &["dsp", "thumb2"]),
    case(V8M, &[M33], "dsp", "Dsp", &["dsp", "thumb2"]),
    case(V8M, &[M33, "-Ctarget-feature=+mve.fp,+lob"], "helium", "Helium", &["dsp", "helium", "helium_fp", "thumb2"]),
    // MVE of integers alone: not one float in a vector.
    case(V8M, &[M33, "-Ctarget-feature=+mve,+lob"], "helium", "Helium", &["dsp", "helium", "thumb2"]),
    case(V8M, &[M55, "-Ctarget-feature=-mve.fp"], "helium", "Helium", &["dsp", "helium", "thumb2"]),
    case(V8M, &[M55, "-Ctarget-feature=-mve"], "dsp", "Dsp", &["dsp", "thumb2"]),
    case("aarch64-unknown-none", &[], "neon", "Rows", &["neon"]),
    // Software floats: no vector register may be touched.
    case("aarch64-unknown-none-softfloat", &[], "scalar", "Rows", &[]),
    case("x86_64-unknown-none", &[], "scalar", "Rows", &[]),
    // Without `std` nobody asks the CPU, so `Auto` is scalar.
    case("x86_64-unknown-linux-gnu", &[], "scalar", "Rows", &["x86"]),
];

const V8M: &str = "thumbv8m.main-none-eabihf";

const fn case(
    target: &'static str,
    flags: &'static [&'static str],
    picked: &'static str,
    layout: &'static str,
    has: &'static [&'static str],
) -> Case {
    Case { target, flags, picked, layout, has }
}

#[test]
fn every_target_gets_what_it_can_run() {
    let mut seen = 0;
    for Case { target, flags, picked, layout, has } in CASES {
        let output = Command::new(env!("CARGO"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["check", "-p", "scrimp", "--lib", "--message-format=json", "--target", target])
            .args(["--target-dir", "target/targets"])
            .env_remove("RUSTFLAGS")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let lines = String::from_utf8(output.stdout).unwrap();
        if lines.contains("can't find crate for `core`") {
            println!("skipped {target}: `rustup target add {target}`");
            continue;
        }
        assert!(output.status.success(), "{target} {flags:?}: {errors}\n{lines}");
        let cfgs = lines.lines().find_map(|line| {
            let message: Value = serde_json::from_str(line).unwrap();
            let ours =
                message["reason"] == "build-script-executed" && message["package_id"].as_str()?.contains("scrimp");
            ours.then(|| message["cfgs"].as_array().unwrap().clone())
        });
        let cfgs = cfgs.expect("the build script tells");
        let mut want = vec![format!("scrimp_picked=\"{picked}\""), format!("scrimp_layout=\"{layout}\"")];
        want.extend(has.iter().map(|has| format!("scrimp_has=\"{has}\"")));
        want.sort();
        let mut got: Vec<_> = cfgs.iter().map(|cfg| cfg.as_str().unwrap().to_owned()).collect();
        got.sort();
        assert_eq!(got, want, "{target} {flags:?}");
        seen += 1;
    }
    assert!(seen > 0, "no target is installed");
}
