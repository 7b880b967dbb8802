//! Some hundred kinds of JPEG files, made by libjpeg-turbo's `cjpeg` and read by its `djpeg` and by us: every sampling, scans of
//! all sorts, restarts, progressive and not. A file is read as `djpeg` reads it, or refused in words that fit.
//!
//! `cargo test -p scrimp-cli --test cli jpeg_variants -- --nocapture` says how many of each there were; `cjpeg` and `djpeg` are in
//! Debian's `libjpeg-turbo-progs`.

use std::path::Path;
use std::process::Command;

use image::{Rgb, RgbImage};
use scrimp_cli::picture::Picture;

use crate::Folder;

/// Levels that rounding and another way to sample up may differ by.
const ALLOWED: u8 = 4;

const SIZES: [(u32, u32); 4] = [(8, 8), (35, 27), (61, 37), (64, 48)];

const SAMPLINGS: [&str; 31] = [
    "1x1",
    "2x1",
    "1x2",
    "2x2",
    "4x1",
    "1x4",
    "4x2",
    "2x4",
    "4x4",
    "3x1",
    "1x3",
    "3x3",
    "3x2",
    "2x3",
    "4x3",
    "1x1,2x2,2x2",
    "1x1,2x1,2x1",
    "1x1,1x2,1x2",
    "2x1,1x1,2x1",
    "2x2,1x2,2x1",
    "2x2,2x1,2x1",
    "2x2,1x2,1x2",
    "1x1,2x1,1x2",
    "4x1,2x1,1x1",
    "4x2,1x1,2x1",
    "2x1,2x1,2x1",
    "2x2,2x2,2x2",
    "2x2,2x2,1x1",
    "1x2,2x1,1x1",
    "3x1,2x1,1x1",
    "1x1,2x1,2x1",
];

/// Scans as `cjpeg -scans` takes them.
const SCANS: [(&str, &str); 4] = [
    ("alone", "0;\n1;\n2;\n"),
    ("pair", "0 1;\n2;\n"),
    (
        "refined",
        "0,1,2: 0-0, 0, 1;\n0: 1-5, 0, 2;\n2: 1-63, 0, 1;\n1: 1-63, 0, 1;\n0: 6-63, 0, 2;\n0: 1-63, 2, 1;\n0,1,2: 0-0, 1, 0;\n\
         2: 1-63, 1, 0;\n1: 1-63, 1, 0;\n0: 1-63, 1, 0;\n",
    ),
    ("bands", "0: 0-0;\n1: 0-0;\n2: 0-0;\n0: 1-9;\n0: 10-63;\n1: 1-63;\n2: 1-63;\n"),
];

const MODES: [&[&str]; 10] = [
    &[],
    &["-optimize"],
    &["-progressive"],
    &["-restart", "1"],
    &["-restart", "3B"],
    &["-progressive", "-restart", "1"],
    &["-scans", "alone"],
    &["-scans", "alone", "-restart", "2B"],
    &["-scans", "refined"],
    &["-scans", "bands"],
];

/// What is not about sampling.
const OTHERS: [&[&str]; 12] = [
    &["-grayscale"],
    &["-grayscale", "-progressive"],
    &["-grayscale", "-sample", "2x2"],
    &["-rgb"],
    &["-rgb", "-progressive"],
    &["-rgb", "-scans", "alone"],
    &["-scans", "pair"],
    &["-quality", "1"],
    &["-quality", "100"],
    &["-quality", "90,20"],
    &["-quality", "2", "-baseline"],
    &["-arithmetic"],
];

/// Waves, edges and a pattern, so that nothing out of place looks right.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (fx, fy) = (f64::from(x), f64::from(y));
        let r = 128.0 + 100.0 * (fx / 7.3 + fy / 19.0).sin() + 20.0 * (fx * fy / 50.0).sin();
        let g = 128.0 + 90.0 * (fy / 6.1 - fx / 23.0).cos();
        Rgb([r.clamp(0.0, 255.0) as u8, g.clamp(0.0, 255.0) as u8, if (x / 9 + y / 7) % 2 == 0 { 0 } else { 255 }])
    })
}

fn ran(command: &mut Command) -> Option<Vec<u8>> {
    let run = command.output().ok()?;
    run.status.success().then_some(run.stdout)
}

/// What `djpeg` makes of a file; `None` if it does not read it.
fn libjpeg(file: &Path, options: &[&str]) -> Option<RgbImage> {
    let bytes = ran(Command::new("djpeg").args(["-dct", "int"]).args(options).arg(file))?;
    let mut lines = bytes.splitn(4, |&b| b == b'\n');
    let (kind, size, _, pixels) = (lines.next()?, lines.next()?, lines.next()?, lines.next()?);
    let mut sides = core::str::from_utf8(size).ok()?.split(' ').map(|side| side.parse().ok());
    let (width, height) = (sides.next()??, sides.next()??);
    let grey = |pixels: &[u8]| pixels.iter().flat_map(|&p| [p; 3]).collect();
    RgbImage::from_raw(width, height, if kind == b"P5" { grey(pixels) } else { pixels.to_vec() })
}

fn worst(a: &RgbImage, b: &RgbImage) -> u8 {
    if a.dimensions() != b.dimensions() {
        return u8::MAX;
    }
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(u8::MAX)
}

#[test]
fn files_of_cjpeg_are_read_as_djpeg_reads_them_or_refused() {
    if Command::new("cjpeg").arg("-version").output().is_err() {
        println!("skipped: no cjpeg");
        return;
    }
    let folder = Folder::new();
    for (name, scans) in SCANS {
        folder.put(name, scans);
    }
    let (mut read, mut refused) = (0, Vec::new());
    let mut check = |(width, height): (u32, u32), options: &[&str]| {
        let name = format!("{width}x{height} {}", options.join(" "));
        let from = format!("{width}x{height}.ppm");
        let header = format!("P6\n{width} {height}\n255\n");
        folder.put(&from, [header.as_bytes(), picture(width, height).as_raw()].concat());
        let mut cjpeg = Command::new("cjpeg");
        cjpeg.current_dir(folder.path()).args(["-quality", "85"]).args(options).arg(from);
        // A combination that the format does not allow.
        let Some(file) = ran(&mut cjpeg) else { return };
        folder.put("in.jpg", file);
        let path = folder.path().join("in.jpg");
        let (smooth, plain) = (libjpeg(&path, &[]), libjpeg(&path, &["-nosmooth"]));
        let (smooth, plain) = smooth.zip(plain).expect("djpeg reads what cjpeg wrote");
        match Picture::open(&path) {
            Ok(ours) => {
                let worst = worst(&ours.rgb, &smooth).min(worst(&ours.rgb, &plain));
                assert!(worst <= ALLOWED, "{name}: {worst} levels off");
                read += 1;
            }
            Err(error) => {
                let error = format!("{error:#}");
                let told = ["samples its colours in a way", "coded arithmetically"].iter().any(|t| error.contains(t));
                assert!(told, "{name}: {error}");
                refused.push(name);
            }
        }
    };
    for (n, sampling) in SAMPLINGS.iter().enumerate() {
        for (m, mode) in MODES.iter().enumerate() {
            check(SIZES[(n + m) % SIZES.len()], &[&["-sample", sampling], *mode].concat());
        }
    }
    for options in OTHERS {
        for size in [(1, 1), (17, 9), (100, 3), (61, 37)] {
            check(size, options);
        }
    }
    println!("{read} files read as djpeg does, {} refused: {refused:?}", refused.len());
    assert!(read > 250, "{read} read");
    // Some of the samplings with three and four blocks, in scans of one component; and what is coded arithmetically.
    assert!(refused.len() < 10, "{refused:?}");
}
