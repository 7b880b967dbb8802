//! Asserts that this build's backend is the one named by the argument (`runtime`: whatever the CPU has), and runs every
//! case. `tests/forced_backend.rs` builds it once for each backend.

fn main() {
    let want = std::env::args().nth(1).unwrap_or_default();
    assert_eq!(scrimp::backend::NAME, want, "the choice of the build");
    if want != "runtime" {
        assert_eq!(scrimp::backend::name(), want, "what kernels run under");
    }
    scrimp_suite::for_each(&mut |case| {
        if let Some(Err(failure)) = case.run() {
            panic!("{} on {}: {failure}", case.name, case.backend);
        }
    });
}
