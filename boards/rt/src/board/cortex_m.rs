//! Cortex-M: reset, faults, the SysTick counter and the stack. `cortex-m-rt` switches the FPU (and with it Helium)
//! on before `main`.
#![allow(unsafe_code, reason = "exceptions, core registers and linker symbols")]

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::Peripherals;
use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use cortex_m_rt::{ExceptionFrame, STACK_PAINT_VALUE, exception};

unsafe extern "Rust" {
    /// What `start!` defines.
    safe fn scrimp_main();
}

#[unsafe(export_name = "main")]
extern "C" fn main() -> ! {
    // SAFETY: called once, after reset, and nobody else takes the peripherals.
    let mut core = unsafe { Peripherals::steal() };
    core.SYST.set_clock_source(SystClkSource::Core);
    core.SYST.set_reload(RELOAD);
    core.SYST.clear_current();
    core.SYST.enable_interrupt();
    core.SYST.enable_counter();
    scrimp_main();
    super::exit(0)
}

/// SysTick counts down from here: 24 bits.
const RELOAD: u32 = 0xFF_FFFF;

/// How often SysTick went through zero: the upper bits of the counter.
static ROUNDS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    // A load and a store, because the M0 has no more; only this exception writes.
    ROUNDS.store(ROUNDS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// Ticks since reset.
pub(crate) fn counter() -> u64 {
    loop {
        let rounds = ROUNDS.load(Ordering::Relaxed);
        let down = SYST::get_current();
        // A round that ended but is not counted yet would make the time jump back.
        if !SCB::is_pendst_pending() && ROUNDS.load(Ordering::Relaxed) == rounds {
            // At 0 the exception has come already: 0 is the first tick of a round, not the last.
            let in_round = down.wrapping_neg() & RELOAD;
            return u64::from(rounds) * u64::from(RELOAD + 1) + u64::from(in_round);
        }
    }
}

#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    super::fault("hard fault")
}

#[exception]
unsafe fn DefaultHandler(_: i16) -> ! {
    super::fault("unexpected exception")
}

/// Bytes of stack used so far at most.
#[must_use]
pub fn stack_high_water() -> usize {
    unsafe extern "C" {
        static _stack_end: u32;
        static _stack_start: u32;
    }
    let (mut low, high) = (&raw const _stack_end, &raw const _stack_start);
    // SAFETY: `cortex-m-rt` painted the words between both symbols before anything used the stack.
    while low < high && unsafe { low.read_volatile() } == STACK_PAINT_VALUE {
        low = low.wrapping_add(1);
    }
    high.addr() - low.addr()
}

/// Whether the stack has reached the lowest word it may have.
pub(crate) fn stack_is_full() -> bool {
    unsafe extern "C" {
        static _stack_end: u32;
    }
    // SAFETY: as in `stack_high_water`.
    unsafe { (&raw const _stack_end).read_volatile() != STACK_PAINT_VALUE }
}

/// Bytes of stack in use now.
#[must_use]
pub fn stack_depth() -> usize {
    unsafe extern "C" {
        static _stack_start: u32;
    }
    (&raw const _stack_start).addr() - cortex_m::register::msp::read() as usize
}
