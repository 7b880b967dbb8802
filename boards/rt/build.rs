//! Lets the linker find the `memory.x` of the board that `boards/<board>/config.toml` names.
//!
//! A search path from here, not from the board's rustflags, keeps those equal for boards of one target, which then
//! share one build of `core`.

use std::{env, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=SCRIMP_BOARD");
    if let (Ok(board), Some(here)) = (env::var("SCRIMP_BOARD"), env::var_os("CARGO_MANIFEST_DIR")) {
        let folder = PathBuf::from(here).join("..").join(board);
        println!("cargo::rerun-if-changed={}", folder.join("memory.x").display());
        println!("cargo::rustc-link-search={}", folder.display());
    }
}
