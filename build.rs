//! Picks the backend for a target whose instruction set stable rustc does not show, and publishes it: the build script of a
//! crate that depends on this one sees `DEP_SCRIMP_BACKEND`, and the layout of weights as `DEP_SCRIMP_LAYOUT`.
//!
//! Emits exactly one `scrimp_picked="..."` for bare metal (and for a forced choice), and `scrimp_has="..."` for
//! what the flags say the CPU can do, so that `src/backend/mod.rs` can refuse an impossible force by name.

use std::env;

const BACKENDS: [&str; 6] = ["scalar", "dsp", "helium", "neon", "avx2", "avx512"];

fn main() {
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!(
        "cargo::rustc-check-cfg=cfg(scrimp_picked, values(\"scalar\", \"dsp\", \"helium\", \"neon\", \"avx2\", \"avx512\", \"runtime\"))"
    );
    println!(
        "cargo::rustc-check-cfg=cfg(scrimp_has, values(\"dsp\", \"helium\", \"helium_fp\", \"neon\", \"thumb2\", \"x86\"))"
    );
    println!("cargo::rustc-check-cfg=cfg(scrimp_layout, values(\"Dsp\", \"Helium\", \"Wide\", \"Rows\"))");

    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let cpu = Cpu::of(&target, &flags);
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let has = |list: &[&str]| list.iter().all(|f| features.split(',').any(|g| g == *f));
    // Targets with software floats have neither: there no vector register may be touched.
    let (x86, neon) = (target.starts_with("x86_64") && has(&["sse2"]), target.starts_with("aarch64") && has(&["neon"]));
    for (name, there) in [
        ("helium", cpu.helium),
        ("helium_fp", cpu.helium_fp),
        ("dsp", cpu.dsp),
        ("thumb2", cpu.thumb2),
        ("x86", x86),
        ("neon", neon),
    ] {
        if there {
            println!("cargo::rustc-cfg=scrimp_has=\"{name}\"");
        }
    }

    let forced = env::var("CARGO_CFG_SCRIMP_BACKEND").ok();
    let picked = match forced.as_deref() {
        Some(name) => {
            if !BACKENDS.contains(&name) {
                println!("cargo::error=scrimp_backend=\"{name}\" is unknown: there are {}", BACKENDS.join(", "));
            }
            name
        }
        None if x86 => {
            if env::var_os("CARGO_FEATURE_STD").is_some() {
                "runtime"
            } else if has(&["avx2", "fma", "bmi2", "avx512f", "avx512bw", "avx512dq", "avx512vl"]) {
                "avx512"
            } else if has(&["avx2", "fma", "bmi2"]) {
                "avx2"
            } else {
                "scalar"
            }
        }
        None if neon => "neon",
        None if cpu.helium => "helium",
        None if cpu.dsp => "dsp",
        None => "scalar",
    };
    println!("cargo::rustc-cfg=scrimp_picked=\"{picked}\"");
    // `Layout::BEST` of the library, which generated code compares.
    let layout = match picked {
        "helium" => "Helium",
        "dsp" => "Dsp",
        "avx2" | "avx512" | "runtime" => "Wide",
        _ => "Rows",
    };
    println!("cargo::rustc-cfg=scrimp_layout=\"{layout}\"");
    println!("cargo::metadata=backend={picked}");
    println!("cargo::metadata=layout={layout}");
}

/// What the target and the code generation flags say about an Arm M-profile CPU.
struct Cpu {
    /// The instructions of Armv7-M, which Armv6-M and Armv8-M Baseline lack.
    thumb2: bool,
    dsp: bool,
    /// MVE of integers.
    helium: bool,
    /// MVE of floats as well.
    helium_fp: bool,
}

impl Cpu {
    fn of(target: &str, flags: &str) -> Self {
        if !target.starts_with("thumb") {
            return Self { thumb2: false, dsp: false, helium: false, helium_fp: false };
        }
        let mut name = "";
        let mut dsp = None;
        let (mut mve, mut mve_fp) = (None, None);
        // Flags come as `-Ctarget-cpu=x` or as `-C`, `target-cpu=x`, separated by 0x1f.
        for flag in flags.split('\x1f') {
            let flag = flag.trim_start_matches("-C").trim_start();
            if let Some(cpu) = flag.strip_prefix("target-cpu=") {
                name = cpu;
            } else if let Some(list) = flag.strip_prefix("target-feature=") {
                for feature in list.split(',') {
                    match feature {
                        "+dsp" => dsp = Some(true),
                        "-dsp" => dsp = Some(false),
                        "+mve" => mve = Some(true),
                        "+mve.fp" => (mve, mve_fp) = (Some(true), Some(true)),
                        "-mve" => (mve, mve_fp) = (Some(false), Some(false)),
                        "-mve.fp" => mve_fp = Some(false),
                        _ => {}
                    }
                }
            }
        }
        let has_mve_by_name = matches!(name, "cortex-m52" | "cortex-m55" | "cortex-m85");
        let has_dsp_by_name =
            has_mve_by_name || matches!(name, "cortex-m4" | "cortex-m7" | "cortex-m33" | "cortex-m35p");
        let dsp = dsp.unwrap_or(has_dsp_by_name || target.starts_with("thumbv7em"));
        let thumb2 = ["thumbv7m", "thumbv7em", "thumbv8m.main"].iter().any(|family| target.starts_with(family));
        let helium = mve.unwrap_or(has_mve_by_name);
        Self { thumb2, dsp, helium, helium_fp: helium && mve_fp.unwrap_or(has_mve_by_name) }
    }
}
