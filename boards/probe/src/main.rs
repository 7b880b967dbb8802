//! The panic gate, and the sweep on boards.
//!
//! On a board, the panic handler calls a function that does not exist: if a panic survives in any of the calls, the
//! program does not link, and the linker's message is ours. What links is at the same time the size report.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(all(target_os = "none", not(feature = "sweep")))]
mod gate;

#[cfg(target_os = "none")]
scrimp_rt::start!(main);

/// Every call. Also runs on the host, where it does nothing one can see.
#[cfg(not(feature = "sweep"))]
fn main() {
    if cfg!(feature = "provoke") {
        // Alone, so that it is found fast.
        core::hint::black_box([0u8; 4][core::hint::black_box(3)]);
        return;
    }
    scrimp_probe::calls();
}

/// Iterations of the sweep on a board.
#[cfg(feature = "sweep")]
const ITERATIONS: u32 = 200;

/// Every call many times; an overflow ends it with the place in the source.
#[cfg(feature = "sweep")]
fn main() {
    if cfg!(feature = "provoke") {
        // Is there anything that checks?
        core::hint::black_box(core::hint::black_box(u32::MAX) + 1);
    }
    for seed in 0..ITERATIONS {
        scrimp_probe::sweep(seed);
    }
    scrimp_rt::println!("{ITERATIONS} iterations");
    scrimp_rt::exit(0);
}
