//! `--cfg scrimp_backend="..."` forces a backend, and one that the build cannot have is refused by name.
//!
//! Each test builds `tests/suite/examples/forced.rs` with other flags, in a target folder of its own.
#![cfg(target_arch = "x86_64")]

use std::process::Command;

const AVX2: &str = "-Ctarget-feature=+avx2,+fma,+bmi2";
const AVX512: &str = "-Ctarget-feature=+bmi2,+avx512f,+avx512bw,+avx512dq,+avx512vl";

#[test]
fn scalar_is_forced() {
    force("scalar", "", true);
}

#[test]
fn avx2_is_forced() {
    force("avx2", AVX2, std::is_x86_feature_detected!("avx2"));
}

#[test]
fn avx512_is_forced() {
    force("avx512", AVX512, std::is_x86_feature_detected!("avx512vl"));
}

#[test]
fn impossible_backends_are_refused() {
    for (backend, message) in [
        ("avx2", "needs x86_64 with target features avx2, fma and bmi2"),
        ("avx512", "needs x86_64 with target features bmi2, avx512f, avx512bw, avx512dq and avx512vl"),
        ("neon", "needs target_arch aarch64"),
        ("helium", "needs a thumbv8m.main target with MVE"),
        ("dsp", "needs an Arm M-profile target with the DSP extension"),
    ] {
        // Flags for this crate alone, so that nothing else is built again.
        let mut build = cargo("rustc", "scrimp");
        build.args(["--lib", "--", "--cfg", &cfg(backend)]);
        assert_refused(&mut build, backend, message);
    }
    // AVX-512 brings AVX2 and FMA with it, but not BMI2, without which the token does not exist.
    let mut build = cargo("rustc", "scrimp");
    let features = "-Ctarget-feature=+avx512f,+avx512bw,+avx512dq,+avx512vl";
    build.args(["--lib", "--", "--cfg", &cfg("avx512"), features]);
    assert_refused(&mut build, "avx512", "needs x86_64 with target features bmi2");
    // This one the build script refuses, which sees only the flags of the whole build.
    let mut build = cargo("check", "scrimp");
    build.env("CARGO_ENCODED_RUSTFLAGS", format!("--cfg\u{1f}{}", cfg("sse9")));
    assert_refused(&mut build, "sse9", "is unknown: there are scalar, dsp");
}

fn assert_refused(cargo: &mut Command, backend: &str, message: &str) {
    let output = cargo.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{backend} was taken");
    assert!(text.contains(&cfg(backend)) && text.contains(message), "{backend} is refused with:\n{text}");
}

/// Builds under the backend and, if this CPU has it, runs every case.
fn force(backend: &str, features: &str, run: bool) {
    let mut cargo = cargo(if run { "run" } else { "build" }, "scrimp-suite");
    cargo.args(["--example", "forced"]);
    let flags = format!("{features}\u{1f}--cfg\u{1f}{}", cfg(backend));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.trim_start_matches('\u{1f}'));
    if run {
        cargo.args(["--", backend]);
    } else {
        println!("{backend}: built, not run, as this CPU lacks it");
    }
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn cfg(backend: &str) -> String {
    format!("scrimp_backend=\"{backend}\"")
}

fn cargo(subcommand: &str, package: &str) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // A named target keeps the flags away from build scripts, which must run on this CPU.
    cargo.args([subcommand, "-p", package, "--target", "host-tuple", "--target-dir", "target/forced"]);
    cargo
}
