//! Calls every public function of the library, each with arguments that the compiler knows nothing about.
//!
//! One file for each module of the library. A method is called by its path, `Type::method(value)`, so that
//! `tests/probe_coverage.rs` can compare the calls with the public functions in `src/`. `Debug`, `Display` and
//! `Format` are outside the promise and not called.
//!
//! The program links only if no panic is left in them (`main.rs`). With feature `sweep` arguments are also extreme ones, and the
//! calls are made many times, with overflow checks on: on the host by `tests/sweep.rs`, on boards by the program.
#![no_std]

mod any;
mod backend;
mod bits;
mod elementwise;
mod fixedpoint;
mod lmdvit;
mod math;
mod model;
mod moves;
mod nn;
mod nn_conv;
mod quant;
mod shape;
mod softmax;
mod softmax_q;
mod softmax_s8;
mod stablemax;
mod trace;

/// Every call.
pub fn calls() {
    backend::calls();
    shape::calls();
    fixedpoint::calls();
    math::calls();
    softmax::calls();
    softmax_s8::calls();
    stablemax::calls();
    softmax_q::calls();
    bits::calls();
    nn::calls();
    nn_conv::calls();
    moves::calls();
    elementwise::calls();
    quant::calls();
    model::calls();
    lmdvit::calls();
    trace::calls();
}

/// Every call, with arguments that follow from the seed. One thread at a time.
#[cfg(feature = "sweep")]
pub fn sweep(seed: u32) {
    any::start(seed);
    calls();
}

const AUTO_IS_SCALAR: bool = matches!(scrimp::backend::NAME.as_bytes(), b"scalar");

/// Runs `$on(token)` for the token that plain functions take and for each backend of this target.
macro_rules! on_each_backend {
    ($on:ident) => {
        macro_rules! backend {
            ($name:ident, $token:expr) => {
                if let Some(token) = $token {
                    $on(token);
                }
            };
        }
        // Where it is the portable backend, the list below has it: twice would not fit the micro:bit.
        if !$crate::AUTO_IS_SCALAR {
            $on(scrimp::backend::Auto);
        }
        scrimp::for_each_backend!(backend);
    };
}
use on_each_backend;
