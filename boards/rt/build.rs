//! Lets the linker find the `memory.x` of the board that `boards/<board>/config.toml` names.
//!
//! A search path from here, not from the board's rustflags, keeps those equal for boards of one target, which then
//! share one build of `core`. With `SCRIMP_LINK_ONLY` the flash is larger than the board's: the probe holds every public
//! function several times, is linked and measured but never run, and need not fit a micro:bit or the M55's ITCM.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=SCRIMP_BOARD");
    println!("cargo::rerun-if-env-changed=SCRIMP_LINK_ONLY");
    let (Ok(board), Some(here)) = (env::var("SCRIMP_BOARD"), env::var_os("CARGO_MANIFEST_DIR")) else { return };
    let mut folder = PathBuf::from(here).join("..").join(board);
    let memory = folder.join("memory.x");
    println!("cargo::rerun-if-changed={}", memory.display());
    if env::var_os("SCRIMP_LINK_ONLY").is_some() {
        let text = fs::read_to_string(&memory).unwrap_or_default().replace("LENGTH = 256K", "LENGTH = 4M");
        let text = text.replacen("LENGTH = 512K", "LENGTH = 4M", 1);
        folder = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
        if let Err(error) = fs::write(folder.join("memory.x"), text) {
            println!("cargo::error=memory.x: {error}");
        }
    }
    println!("cargo::rustc-link-search={}", folder.display());
}
