//! The library for firmware in C. `include/scrimp.h` declares what the modules export; crates that
//! `scrimp compile --c` writes stand on [`Status`], [`shared`] and [`exclusive`].
//!
//! No function panics, allocates or keeps state: memory is the caller's, and what is wrong with a call comes back as a
//! [`Status`] before any output is touched.
#![cfg_attr(target_os = "none", no_std)]
#![allow(unsafe_code, reason = "pointers of C become slices here, and nowhere else")]

mod pointer;
mod status;

#[cfg(feature = "kernels")]
pub mod layers;
#[cfg(feature = "kernels")]
pub mod pictures;
#[cfg(feature = "kernels")]
pub mod softmax;

pub use pointer::{exclusive, shared, slice, slice_mut};
pub use status::Status;

/// Never reached from what is exported: a test looks for it in programs that are linked.
#[cfg(all(target_os = "none", feature = "panic-handler"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
