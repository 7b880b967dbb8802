//! The conformance suite on the host: one test for each case under each backend.

use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let mut trials = Vec::new();
    scrimp_suite::for_each(&mut |case| {
        let (name, backend, there) = (case.name, case.backend, case.exists());
        let trial = Trial::test(format!("{name}::{backend}"), move || run(name, backend));
        trials.push(trial.with_ignored_flag(!there));
    });
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Runs the one case; the suite lends cases out only while it walks its list.
fn run(name: &str, backend: &str) -> Result<(), Failed> {
    let mut result = Ok(());
    scrimp_suite::for_each(&mut |case| {
        if case.name == name && case.backend == backend {
            result = case.run().unwrap_or(Ok(()));
        }
    });
    Ok(result?)
}
