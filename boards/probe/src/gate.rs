//! The panic handler that must not be linked.
#![allow(unsafe_code, reason = "a function that does not exist")]

use core::panic::PanicInfo;

unsafe extern "C" {
    #[cfg(not(feature = "explain"))]
    #[link_name = "\n\nerror: a public function of scrimp can panic; `cargo xtask panics --why` says where\n\n"]
    safe fn scrimp_probe_panicked() -> !;
}

/// Where every panic ends, so that the callers can be found.
#[cfg(feature = "explain")]
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn scrimp_probe_panicked() -> ! {
    scrimp_rt::exit(1)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    scrimp_probe_panicked()
}
