//! What all boards share: the numbers of their `config.toml`, semihosting, LED and delay.

mod config;

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod cpu;
#[cfg(target_arch = "arm")]
#[path = "cortex_m.rs"]
mod cpu;

mod led;
mod semi;

use embedded_hal::delay::DelayNs;

pub use config::{BACKEND, BOARD, RAM};
pub(crate) use cpu::counter;
pub use cpu::{stack_depth, stack_high_water};
pub use led::{Led, led};
pub use semi::{eprint, exit, print};
pub(crate) use semi::{for_each_arg, read_file, write_file};

/// What [`Ticks`](crate::Ticks) counts.
pub const UNIT: &str = "instructions";

/// Instructions in that many ticks of the counter: with `-icount shift=0` the emulator runs one in a nanosecond.
pub(crate) fn units(ticks: u64) -> u64 {
    const NS: u64 = 1_000_000_000;
    const COMMON: u64 = config::gcd(NS, config::CLOCK_HZ);
    const { assert!(COMMON != 0) };
    ticks.wrapping_mul(NS / COMMON) / (config::CLOCK_HZ / COMMON)
}

/// Waits by counting ticks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delay;

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        let start = counter();
        while units(counter().wrapping_sub(start)) < u64::from(ns) {}
    }
}

/// Ends a program that cannot go on.
fn fault(name: &str) -> ! {
    #[cfg(feature = "messages")]
    crate::eprintln!("error: {name} on {BOARD}");
    #[cfg(not(feature = "messages"))]
    let _ = name;
    exit(1)
}

#[cfg(feature = "messages")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    crate::eprintln!("{info}");
    exit(1)
}
