//! The conformance suite on the host or on a board: every case under every backend that is there.
//!
//! `cargo run --example conformance`, or `cargo xtask board mps3-an547 conformance`. With the names of a case and a backend as
//! arguments it prints the numbers of which that case knows only a checksum.
#![cfg_attr(target_os = "none", no_std, no_main)]

use scrimp_rt::{BACKEND, BOARD, RAM, args, println, stack_high_water};
use scrimp_suite::Value;

scrimp_rt::entry!(run);

fn run() -> Result<(), &'static str> {
    let asked = args();
    if let (Some(name), Some(backend)) = (asked.get(0), asked.get(1)) {
        show(name, backend);
        return Ok(());
    }
    let (mut passed, mut failed, mut ram) = (0, 0, 0);
    println!("{BOARD}, backend {}", scrimp::backend::name());
    if BACKEND.is_some_and(|backend| backend != scrimp::backend::NAME) {
        return Err("this is not the backend of the board: its config.toml was not applied");
    }
    scrimp_suite::for_each(&mut |case| {
        let (name, backend) = (case.name, case.backend);
        if case.ram > RAM {
            println!("skipped {name} on {backend}: needs {} bytes of RAM, {BOARD} has {RAM}", case.ram);
            return;
        }
        ram = ram.max(case.ram);
        match case.run() {
            Some(_) if stack_high_water() > ram => {
                println!("FAILED {name} on {backend}: says {ram} bytes of RAM, took {}", stack_high_water());
                failed += 1;
                ram = stack_high_water();
            }
            None => println!("skipped {name} on {backend}: this CPU lacks it"),
            Some(Ok(())) => {
                println!("ok {name} on {backend}");
                passed += 1;
            }
            Some(Err(failure)) => {
                println!("FAILED {name} on {backend}: {failure}");
                failed += 1;
            }
        }
    });
    println!("{passed} passed, {failed} failed");
    if failed == 0 { Ok(()) } else { Err("the conformance suite found a difference") }
}

fn show(name: &str, backend: &str) {
    scrimp_suite::for_each(&mut |case| {
        if case.name == name && case.backend == backend {
            case.values(&mut |&Value { len, kind, index, bits }| println!("{len} {kind} {index} {bits}"));
        }
    });
}
