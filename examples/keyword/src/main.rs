//! Says which of six made-up sounds each file of features holds (NumPy, f32 `[49, 10]`): `keyword FEATURES...`.
//!
//! The model is `examples/data/keyword.tflite`, trained by `tools/train/train_keyword.py` on a task that is made up: no
//! recordings of speech were at hand. What it takes is what keyword spotters take, 49 frames of 10 cepstral coefficients.
//! `cargo run -p keyword -- examples/data/keyword/beeps.npy`, or on a board
//! `cargo xtask board mps2-an386 keyword examples/data/keyword/beeps.npy`.
#![cfg_attr(target_os = "none", no_std, no_main)]

use scrimp_rt::{BOARD, Ticks, UNIT, args, println, read_file};

#[expect(unreachable_pub, reason = "a user may put the module into a library")]
mod keyword {
    include!(concat!(env!("OUT_DIR"), "/keyword.rs"));
}

/// What the model's outputs stand for.
const SOUNDS: [&str; 6] = ["silence", "noise", "rising", "falling", "beeps", "warble"];
/// Bytes of a NumPy file before its numbers.
const HEADER: usize = 128;
const FEATURES: usize = 49 * 10;

scrimp_rt::entry!(run);

fn run() -> Result<(), &'static str> {
    let mut net = keyword::Keyword::take().ok_or("the network is taken")?;
    println!("{BOARD}, backend {}: arena {} bytes", scrimp::backend::name(), size_of::<keyword::Memory>());
    for path in args().iter() {
        read_features(path, net.input())?;
        let start = Ticks::now();
        let scores = net.run_in_place();
        let cost = start.elapsed();

        let (score, sound) = scores.iter().zip(SOUNDS).max_by_key(|(score, _)| **score).unwrap_or((&0, ""));
        let percent = 100.0 * keyword::OUTPUT.dequantize(i32::from(*score));
        println!("{path}: {sound}, {percent:.0} %, {scores:?}, {cost} {UNIT}");
    }
    Ok(())
}

/// Not inlined, so that the file is off the stack while the network runs: a Cortex-M0 has 16 KiB for all.
#[inline(never)]
fn read_features(path: &str, input: &mut [i8; FEATURES]) -> Result<(), &'static str> {
    let mut file = [0; HEADER + 4 * FEATURES];
    if read_file(path, &mut file) != Ok(file.len()) || !file.starts_with(b"\x93NUMPY") {
        return Err("features cannot be read, or are no NumPy file of 49 x 10 numbers");
    }
    let (_, numbers) = file.split_at(HEADER);
    for (code, bytes) in input.iter_mut().zip(numbers.as_chunks().0) {
        *code = keyword::INPUT.quantize_s8(f32::from_le_bytes(*bytes));
    }
    Ok(())
}
