//! Asserts that this build's backend is the one named by the argument (`runtime`: whatever the CPU has), and runs every
//! case. `tests/forced_backend.rs` builds it once for each backend.

fn main() {
    let want = std::env::args().nth(1).unwrap_or_default();
    assert_eq!(scrimp::backend::NAME, want, "the choice of the build");
    if want != "runtime" {
        assert_eq!(scrimp::backend::name(), want, "what kernels run under");
    }
    #[cfg(target_arch = "aarch64")]
    tokens();
    scrimp_suite::for_each(&mut |case| {
        if let Some(Err(failure)) = case.run() {
            panic!("{} on {}: {failure}", case.name, case.backend);
        }
    });
}

/// The tokens for what an AArch64 build can have beyond NEON are there exactly where it has it.
#[cfg(target_arch = "aarch64")]
fn tokens() {
    let neon = scrimp::backend::Neon::new().expect("AArch64 has NEON");
    assert_eq!(neon.dotprod().is_some(), cfg!(target_feature = "dotprod"));
    assert_eq!(neon.i8mm().is_some(), cfg!(target_feature = "i8mm"));
}
