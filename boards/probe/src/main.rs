//! Calls every public function of the library with arguments that the compiler knows nothing about.
//!
//! On a board, the panic handler calls a function that does not exist: if a panic survives in any of the calls, the
//! program does not link, and the linker's message is ours. What links is at the same time the size report.
//!
//! One file for each module of the library. A method is called by its path, `Type::method(value)`, so that
//! `tests/probe_coverage.rs` can compare the calls with the public functions in `src/`. `Debug`, `Display` and
//! `Format` are outside the promise and not called.
#![cfg_attr(target_os = "none", no_std, no_main)]

mod backend;
mod bits;
mod elementwise;
mod fixedpoint;
#[cfg(target_os = "none")]
mod gate;
mod lmdvit;
mod math;
mod model;
mod nn;
mod nn_conv;
mod quant;
mod shape;
mod softmax;
mod softmax_q;
mod softmax_s8;
mod stablemax;
mod trace;

use core::hint::black_box;

#[cfg(target_os = "none")]
scrimp_rt::start!(main);

/// Every call. Also runs on the host, where it does nothing one can see.
fn main() {
    if cfg!(feature = "provoke") {
        // Alone, so that it is found fast.
        black_box([0u8; 4][black_box(3)]);
        return;
    }
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
    elementwise::calls();
    quant::calls();
    model::calls();
    lmdvit::calls();
    trace::calls();
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

/// A slice of unknown length.
fn slice<T>(of: &[T]) -> &[T] {
    black_box(of)
}

/// A mutable slice of unknown length.
fn slice_mut<T>(of: &mut [T]) -> &mut [T] {
    black_box(of)
}
