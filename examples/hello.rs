//! Softmax of one row on the host and on every board, with the board's LED lit while it runs.
//!
//! `cargo run --example hello`, or `cargo xtask board mps3-an547 hello`.
#![cfg_attr(target_os = "none", no_std, no_main)]

use embedded_hal::{delay::DelayNs, digital::OutputPin};
use scrimp::{Error, Rows, softmax_f32, trace::Marker};
use scrimp_rt::{BOARD, Delay, Ticks, UNIT, led, println};

scrimp_rt::entry!(run);

fn run() -> Result<(), Error> {
    let scores = [1.0, 2.0, 4.0, f32::NEG_INFINITY];
    let mut probabilities = [0.0; 4];
    let rows = Rows::one(scores.len())?;

    let mut marker = Marker::new(led());
    let start = Ticks::now();
    marker.around(|| softmax_f32(&scores, &mut probabilities, rows))?;
    let cost = start.elapsed();

    println!("{scores:?} -> {probabilities:.3?}");
    println!("{BOARD}, backend {}: {cost} {UNIT}", scrimp::backend::name());

    // One blink says that the board has come this far.
    let Ok(()) = marker.into_pin().set_high();
    Delay.delay_ms(10);
    let Ok(()) = led().set_low();
    Ok(())
}
