//! The host's suites in other clothes: as AArch64 programs under an emulator of the CPU, under AddressSanitizer, and in Miri.

use std::process::Command;

use anyhow::Result;

use crate::setup::{self, NEON_TARGET, on_path, stdout_of};
use crate::workspace;

const FEATURES: [&str; 2] = ["--features", "scrimp/std,scrimp/embedded-hal"];

/// Every test of the library as an AArch64 program, so that NEON sees what the backends of the host see. The CPU has nothing
/// beyond NEON.
pub(crate) fn neon() -> Result<Command> {
    let mut cargo = for_neon("test", "cortex-a53", "")?;
    cargo.args(["-p", "scrimp", "--tests", "--no-fail-fast"]).args(FEATURES);
    Ok(cargo)
}

/// The conformance suite with the extensions to NEON that the library has tokens for.
pub(crate) fn neon_extended() -> Result<Command> {
    let mut cargo = for_neon("run", "max", "-Ctarget-feature=+dotprod,+i8mm")?;
    cargo.args(["--release", "-p", "scrimp-suite", "--example", "forced", "--", "neon"]);
    Ok(cargo)
}

fn for_neon(subcommand: &str, cpu: &str, flags: &str) -> Result<Command> {
    let mut cargo = workspace::cargo([subcommand, "--target", NEON_TARGET, "--target-dir", "target/neon"]);
    setup::for_neon(&mut cargo)?;
    let runner = format!("qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu {cpu}");
    for (name, value) in [("LINKER", "aarch64-linux-gnu-gcc"), ("RUNNER", &runner), ("RUSTFLAGS", flags)] {
        cargo.env(format!("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_{name}"), value);
    }
    Ok(cargo)
}

/// The tests whose kernels read and write slices of their own length on the heap, where AddressSanitizer sees each access
/// beyond the end, on every backend of this CPU.
pub(crate) fn address_sanitizer() -> Command {
    let mut cargo = workspace::cargo(["test", "--target", "host-tuple", "--target-dir", "target/asan"]);
    // The switch is a nightly one, the runtime comes with every toolchain.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
    cargo.args(["-p", "scrimp", "--no-fail-fast"]).args(FEATURES);
    for test in ["conformance", "adalog", "bits", "lmdvit_calls", "softmax_q", "softmax_s8", "stablemax"] {
        cargo.args(["--test", test]);
    }
    cargo
}

/// The conformance suite of portable code in Miri; `None` if there is no nightly toolchain that has it.
pub(crate) fn miri() -> Option<Command> {
    if !has_miri() && on_path("rustup") {
        // Where there is a nightly toolchain, it may lack only this.
        let parts = ["component", "add", "--toolchain", "nightly", "miri", "rust-src"];
        let _ = Command::new("rustup").args(parts).output();
    }
    has_miri().then(|| {
        let mut cargo = workspace::cargo(["+nightly", "miri", "run", "--target-dir", "target/miri"]);
        cargo.args(["-p", "scrimp-suite", "--example", "forced", "--", "scalar"]);
        cargo.env("RUSTFLAGS", "--cfg scrimp_backend=\"scalar\"").env("MIRIFLAGS", "-Zmiri-strict-provenance");
        cargo
    })
}

fn has_miri() -> bool {
    stdout_of("cargo", &["+nightly", "miri", "--version"]).is_some_and(|text| text.starts_with("miri"))
}
