//! A user's network on a board (`SCRIMP_MODEL`): what `cargo xtask models` and `scrimp profile` build and run.
//!
//! With feature `messages` it runs every step of `SCRIMP_INPUTS` (inputs side by side, step after step) and prints the CRC-32
//! of each output, the instructions of each operator, and the stack that a run takes. With `bare` it is the network and
//! nothing else: what its firmware weighs; it links only if no panic is left in it.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(all(target_os = "none", feature = "bare"))]
mod gate;
#[cfg(scrimp_model)]
#[expect(unreachable_pub, reason = "a user may put the module into a library")]
mod net {
    include!(concat!(env!("OUT_DIR"), "/net.rs"));
}
#[cfg(all(scrimp_model, feature = "messages"))]
mod steps;

#[cfg(target_os = "none")]
scrimp_rt::start!(main);

#[cfg(not(all(scrimp_model, any(feature = "messages", feature = "bare"))))]
fn main() {}

#[cfg(all(scrimp_model, feature = "bare"))]
fn main() {
    use core::hint::black_box;
    let Some(mut net) = net::Net::take() else { return };
    black_box(net.input());
    black_box(net.run_in_place());
}

#[cfg(all(scrimp_model, feature = "messages"))]
use steps::main;
