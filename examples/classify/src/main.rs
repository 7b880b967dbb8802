//! Names the piece of clothing on each picture (PGM, 28 x 28 grey pixels): `classify PICTURE...`.
//!
//! The model is `examples/data/classify.tflite`, trained by `tools/train/train_classify.py`; `build.rs` makes Rust of it.
//! `cargo run -p classify -- examples/data/classify/bag_1.pgm`, or on a board
//! `cargo xtask board mps2-an386 classify examples/data/classify/bag_1.pgm`.
#![cfg_attr(target_os = "none", no_std, no_main)]

use scrimp_rt::{BOARD, Ticks, UNIT, args, println, read_file};

#[expect(unreachable_pub, reason = "a user may put the module into a library")]
mod classify {
    include!(concat!(env!("OUT_DIR"), "/classify.rs"));
}

/// What the model's ten outputs stand for.
const KINDS: [&str; 10] =
    ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"];
const HEADER: &[u8] = b"P5\n28 28\n255\n";
const PIXELS: usize = 28 * 28;

scrimp_rt::entry!(run);

fn run() -> Result<(), &'static str> {
    let mut net = classify::Classify::take().ok_or("the network is taken")?;
    println!("{BOARD}, backend {}: arena {} bytes", scrimp::backend::name(), size_of::<classify::Memory>());
    for path in args().iter() {
        read_picture(path, net.input())?;
        let start = Ticks::now();
        let scores = net.run_in_place();
        let cost = start.elapsed();

        let (score, kind) = scores.iter().zip(KINDS).max_by_key(|(score, _)| **score).unwrap_or((&0, ""));
        let percent = 100.0 * classify::OUTPUT.dequantize(i32::from(*score));
        println!("{path}: {kind}, {percent:.0} %, {scores:?}, {cost} {UNIT}");
    }
    Ok(())
}

/// Not inlined, so that the file is off the stack while the network runs: a Cortex-M0 has 16 KiB for all.
#[inline(never)]
fn read_picture(path: &str, input: &mut [i8; PIXELS]) -> Result<(), &'static str> {
    let mut file = [0; HEADER.len() + PIXELS];
    if read_file(path, &mut file) != Ok(file.len()) {
        return Err("a picture cannot be read, or is not 28 x 28");
    }
    let pixels = file.strip_prefix(HEADER).ok_or("a picture is no PGM of 28 x 28 grey pixels")?;
    // The network was trained on 0 to 1.
    for (code, &pixel) in input.iter_mut().zip(pixels) {
        *code = classify::INPUT.quantize_s8(f32::from(pixel) / 255.0);
    }
    Ok(())
}
