//! Bare-metal AArch64 at EL1: page table, faults, the generic timer and the stack.
#![allow(unsafe_code, reason = "system registers, linker symbols and the entry point")]

use core::arch::asm;

use aarch64_rt::{ExceptionHandlers, InitialPagetable, RegisterStateRef, entry, exception_handlers, initial_pagetable};

unsafe extern "Rust" {
    /// What `start!` defines.
    safe fn scrimp_main();
}

/// Pages of 4 KiB.
const STACK_PAGES: usize = 64;

entry!(begin, STACK_PAGES);

fn begin(_: u64, _: u64, _: u64, _: u64) -> ! {
    paint_stack();
    scrimp_main();
    super::exit(0)
}

// NEON's unaligned loads fault while the MMU is off: map the first GiB as device, the second as normal memory.
initial_pagetable!({
    const BLOCK: usize = 0b01;
    const ACCESSED: usize = 1 << 10;
    const NORMAL: usize = 1 << 2;
    const INNER_SHAREABLE: usize = 0b11 << 8;
    const NO_EXECUTE: usize = 0b11 << 53;
    let mut table = [0; 512];
    table[0] = BLOCK | ACCESSED | NO_EXECUTE;
    table[1] = 0x4000_0000 | BLOCK | ACCESSED | NORMAL | INNER_SHAREABLE;
    InitialPagetable(table)
});

/// Ticks since reset.
pub(crate) fn counter() -> u64 {
    let ticks;
    // SAFETY: reading the virtual counter changes nothing.
    unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) ticks, options(nostack, preserves_flags)) };
    ticks
}

struct Faults;

macro_rules! faults {
    ($($name:ident)*) => {
        impl ExceptionHandlers for Faults {
            $(extern "C" fn $name(_: RegisterStateRef<'_>) {
                super::fault(stringify!($name))
            })*
        }
    };
}
faults!(sync_current irq_current fiq_current serror_current sync_lower irq_lower fiq_lower serror_lower);
exception_handlers!(Faults);

/// What an unused word of the stack holds.
const PAINT: u32 = 0xCCCC_CCCC;

unsafe extern "C" {
    static boot_stack_begin: u32;
    static boot_stack_end: u32;
}

/// Paints the stack below the caller.
fn paint_stack() {
    let sp: usize;
    // SAFETY: reading the stack pointer changes nothing.
    unsafe { asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    let mut word = (&raw const boot_stack_begin).cast_mut();
    // This function's own frame is far smaller than the margin.
    while word.addr() < sp - 1024 {
        // SAFETY: inside the boot stack and below everything in use.
        unsafe { word.write_volatile(PAINT) };
        word = word.wrapping_add(1);
    }
}

/// Bytes of stack used so far at most.
#[must_use]
pub fn stack_high_water() -> usize {
    let (mut low, high) = (&raw const boot_stack_begin, &raw const boot_stack_end);
    // SAFETY: inside the boot stack, which `paint_stack` wrote.
    while low < high && unsafe { low.read_volatile() } == PAINT {
        low = low.wrapping_add(1);
    }
    high.addr() - low.addr()
}

/// Whether the stack has reached the lowest word it may have.
pub(crate) fn stack_is_full() -> bool {
    // SAFETY: as in `stack_high_water`.
    unsafe { (&raw const boot_stack_begin).read_volatile() != PAINT }
}

/// Bytes of stack in use now.
#[must_use]
pub fn stack_depth() -> usize {
    let here = 0u8;
    (&raw const boot_stack_end).addr() - (&raw const here).addr()
}
