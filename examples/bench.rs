//! What every kernel costs an element: instructions on an emulated board, nanoseconds on the host.
//!
//! `cargo xtask bench --board mps2-an386`, or `cargo run --release --example bench`.
#![cfg_attr(target_os = "none", no_std, no_main)]

use scrimp_rt::{BOARD, RAM, UNIT, println};

scrimp_rt::entry!(run);

fn run() -> Result<(), core::fmt::Error> {
    println!("{BOARD}, backend {}: {UNIT} an element", scrimp::backend::name());
    scrimp_benches::walk(&mut |bench| {
        if bench.ram <= RAM {
            let peer = bench.peer.unwrap_or_default();
            println!("{} {} {:.3} {peer}", bench.kernel, bench.n, bench.run());
        }
    });
    Ok(())
}
