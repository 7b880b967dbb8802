//! Where things are, and cargo with an environment that changes nothing by accident.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// A file or folder of the checkout.
pub(crate) fn path(below: impl AsRef<Path>) -> PathBuf {
    root().join(below)
}

/// Cargo in the root of the checkout, without the caller's flags.
pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(args);
    for flags in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "RUSTDOCFLAGS"] {
        cargo.env_remove(flags);
    }
    cargo
}
