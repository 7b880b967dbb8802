//! The LED: one bit of one register.
#![allow(unsafe_code, reason = "memory-mapped registers")]

use core::convert::Infallible;
use core::ptr;

use embedded_hal::digital::{ErrorType, OutputPin};

use super::config::{LED_BIT, LED_DIR, LED_OUT};

/// The LED of the board.
#[derive(Debug)]
#[expect(missing_copy_implementations, reason = "there is one LED")]
pub struct Led(());

/// The LED of the board, dark.
#[must_use]
pub fn led() -> Led {
    if LED_DIR != 0 {
        set(LED_DIR, true);
    }
    set(LED_OUT, false);
    Led(())
}

impl ErrorType for Led {
    type Error = Infallible;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Infallible> {
        set(LED_OUT, false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        set(LED_OUT, true);
        Ok(())
    }
}

fn set(address: usize, on: bool) {
    let register = ptr::with_exposed_provenance_mut::<u32>(address);
    // SAFETY: the board's config.toml gives the address of a 32-bit register that reads without side effects.
    let value = unsafe { register.read_volatile() };
    let value = if on { value | 1 << LED_BIT } else { value & !(1 << LED_BIT) };
    // SAFETY: as above, and nothing else of the program writes it.
    unsafe { register.write_volatile(value) };
}
