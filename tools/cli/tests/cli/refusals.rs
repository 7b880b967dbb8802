//! Bad input: exit code 2, one line that names the thing, nothing written.

use std::process::Command;

use image::{GrayImage, Luma, RgbImage};
use scrimp_cli::blob::seal;
use scrimp_cli::picture::Picture;

use crate::{Folder, cells_model, jpeg, jpeg_header, model, png, scene, zlib};

/// A folder with a photo `in.png` and a mask that would be right.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.save("in.png", scene(40, 30));
    folder.save("white.png", GrayImage::from_pixel(40, 30, Luma([255])));
    folder
}

/// The file is refused wherever a picture is expected.
fn refused(folder: &Folder, name: &str, words: &[&str]) {
    let words = &[words, &[name]].concat();
    let outputs = ["out.png", "--mask-out", "mask.png"];
    folder.refuses(&[&["deblur", name], &outputs[..]].concat(), words);
    folder.refuses(&[&["deblur", "in.png"], &outputs[..], &["--previous", name]].concat(), words);
    folder.refuses(&[&["deblur", "in.png"], &outputs[..], &["--policy", name]].concat(), words);
}

#[test]
fn files_that_are_no_pictures() {
    let folder = folder();
    refused(&folder, "missing.png", &["cannot read", "No such file"]);
    folder.put("text.png", "Dear diary,\n");
    refused(&folder, "text.png", &["neither a PNG nor a JPEG"]);
    folder.put("empty.png", "");
    refused(&folder, "empty.png", &["neither a PNG nor a JPEG"]);
    folder.put("model.scrimp", cells_model());
    refused(&folder, "model.scrimp", &["scrimp model, not a picture"]);
    folder.put("photo.webp", b"RIFF\x20\0\0\0WEBPVP8 ");
    refused(&folder, "photo.webp", &["WEBP", "only PNG and JPEG"]);
    std::fs::create_dir(folder.path().join("folder.png")).expect("a folder");
    refused(&folder, "folder.png", &["cannot read"]);
}

#[test]
fn damaged_pictures() {
    let folder = folder();
    let good = folder.get("in.png");
    for cut in [9, 20, 40, good.len() / 2] {
        folder.put("cut.png", &good[..cut]);
        refused(&folder, "cut.png", &[]);
    }
    for at in [18, 30, good.len() / 2] {
        let mut bad = good.clone();
        bad[at] ^= 4;
        folder.put("flipped.png", bad);
        refused(&folder, "flipped.png", &[]);
    }

    let good = jpeg(&scene(64, 48));
    for cut in [3, 30, good.len() / 2, good.len() - 1] {
        folder.put("cut.jpg", &good[..cut]);
        refused(&folder, "cut.jpg", &["truncated"]);
    }
    let tables = good.windows(2).position(|w| w == [0xFF, 0xC4]).expect("Huffman tables");
    let mut bad = good;
    bad[tables + 5..tables + 21].fill(0xEE);
    folder.put("tables.jpg", bad);
    refused(&folder, "tables.jpg", &[]);
}

#[test]
fn no_damage_makes_the_reader_panic() {
    let folder = folder();
    folder.save("small.png", scene(9, 7));
    let path = folder.path().join("bad");
    let mut state = 7u32;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let (mut read, mut refused) = (0, 0);
    for good in [folder.get("small.png"), jpeg(&scene(9, 7))] {
        for _ in 0..300 {
            let mut bad = good.clone();
            for _ in 0..=next(3) {
                let at = next(bad.len());
                bad[at] = next(256) as u8;
            }
            bad.truncate(bad.len() - if next(4) == 0 { next(bad.len()) } else { 0 });
            std::fs::write(&path, bad).expect("a file");
            match Picture::open(&path) {
                Ok(_) => read += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(read > 20 && refused > 300, "{read} read, {refused} refused");
}

#[test]
fn cmyk() {
    let folder = folder();
    folder.put("print.jpg", jpeg_header(40, 30, 4));
    refused(&folder, "print.jpg", &["CMYK"]);
}

#[test]
fn impossible_sizes() {
    let folder = folder();
    folder.put("zero.png", png(0, 30, 8, 2, &[(b"IDAT", &zlib(&[])), (b"IEND", &[])]));
    refused(&folder, "zero.png", &["no pixels"]);
    folder.put("zero.jpg", jpeg_header(40, 0, 3));
    refused(&folder, "zero.jpg", &["no pixels"]);
    folder.put("huge.png", png(20_000, 20_000, 8, 2, &[]));
    refused(&folder, "huge.png", &["20000 x 20000", "100 megapixels"]);
    folder.put("most.png", png(u32::MAX, u32::MAX, 8, 2, &[]));
    refused(&folder, "most.png", &["4294967295 x 4294967295"]);
    folder.put("huge.jpg", jpeg_header(65_535, 65_535, 3));
    refused(&folder, "huge.jpg", &["65535 x 65535", "100 megapixels"]);
    folder.put("long.png", png(70_000, 2, 8, 2, &[(b"IDAT", &zlib(&[])), (b"IEND", &[])]));
    refused(&folder, "long.png", &["70000 x 2", "65535"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_huge_picture_is_refused_without_memory_for_it() {
    let folder = folder();
    // The first lines are there, so that a decoder would start.
    let data = zlib(&[0; 60_000]);
    folder.put("huge.png", png(20_000, 20_000, 8, 2, &[(b"IDAT", &data), (b"IEND", &[])]));
    let line = format!("ulimit -v 400000; exec {} deblur huge.png out.png", env!("CARGO_BIN_EXE_scrimp"));
    let run = || folder.command(Command::new("sh").args(["-c", &line]));
    folder.check_refused("400 MB", &["huge.png", "20000 x 20000"], run);
}

#[test]
fn pictures_of_another_size() {
    let folder = folder();
    folder.put("m.scrimp", cells_model());
    folder.save("other.png", RgbImage::new(30, 40));
    let sizes = ["other.png", "30 x 40", "40 x 30"];
    for option in ["--previous", "--policy"] {
        folder.refuses(&["deblur", "in.png", "out.png", "--model", "m.scrimp", option, "other.png"], &sizes);
    }
}

#[test]
fn outputs_that_cannot_be() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("folder.png")).expect("a folder");
    folder.put("m.scrimp", cells_model());
    let run = |args: &[&str], words: &[&str]| folder.refuses(&[&["deblur", "in.png"], args].concat(), words);
    run(&["out.gif"], &["out.gif", ".png, .jpg or .jpeg"]);
    run(&["out"], &["out", ".png, .jpg or .jpeg"]);
    run(&["out.png", "--mask-out", "mask.txt"], &["mask.txt", ".png, .jpg or .jpeg"]);
    run(&["missing/out.png"], &["cannot write missing/out.png"]);
    run(&["in.png/out.png"], &["cannot write in.png/out.png"]);
    run(&["folder.png"], &["cannot write folder.png"]);
    run(&["out.png", "--mask-out", "missing/mask.png"], &["cannot write missing/mask.png"]);
    run(&["out.png", "--mask-out", "folder.png"], &["cannot write folder.png"]);
    run(&["out.png", "--mask-out", "out.png"], &["out.png is named twice"]);
    run(&["out.png", "--mask-out", "folder.png/../out.png"], &["out.png is named twice"]);
    run(&["out.png", "--mask-out", "in.png"], &["in.png is named twice"]);
    run(&["white.png", "--policy", "white.png"], &["white.png is named twice"]);
    run(&["out.png", "--policy", "white.png", "--mask-out", "white.png"], &["white.png is named twice"]);
    run(&["white.png", "--model", "m.scrimp", "--previous", "white.png"], &["white.png is named twice"]);
    let absolute = folder.path().join("in.png");
    run(&["out.png", "--mask-out", absolute.to_str().expect("UTF-8")], &["in.png is named twice"]);
}

#[test]
fn models_that_lack_what_is_asked() {
    let folder = folder();
    folder.put("single.scrimp", model("mini", |_| ()));
    folder.put("predictors.scrimp", model("mini_predictors", |_| ()));
    let run = |args: &[&str], words: &[&str]| folder.refuses(&[&["deblur", "in.png", "out.png"], args].concat(), words);
    for name in ["single.scrimp", "predictors.scrimp"] {
        run(&["--model", name, "--previous", "in.png"], &[name, "--previous needs a model with a mask net"]);
    }
    run(&["--model", "predictors.scrimp", "--mask-out", "mask.png"], &["predictors.scrimp", "--mask-out needs"]);
}

#[test]
fn bad_models() {
    let folder = folder();
    let good = model("mini", |_| ());
    let bad = |words: &[&str]| {
        let words = &[words, &["bad.scrimp"]].concat();
        folder.refuses(&["deblur", "in.png", "out.png", "--model", "bad.scrimp", "--mask-out", "mask.png"], words);
        folder.refuses(&["inspect", "bad.scrimp"], words);
        folder.refuses(&["convert", "bad.scrimp", "out.safetensors", "out.toml"], words);
    };
    bad(&["cannot read", "No such file"]);
    let changed = |change: &dyn Fn(&mut Vec<u8>), words: &[&str]| {
        let mut blob = good.clone();
        change(&mut blob);
        folder.put("bad.scrimp", blob);
        bad(words);
    };
    changed(&|b| b.truncate(b.len() - 1), &["length differs"]);
    changed(&|b| b.truncate(good.len() / 2), &["length differs"]);
    changed(&|b| b.truncate(20), &["truncated"]);
    changed(&|b| b.extend([0; 16]), &["length differs"]);
    for at in [25, 100, good.len() / 2, good.len() - 1] {
        changed(&|b| b[at] ^= 1, &["checksum"]);
    }
    changed(&|b| b[8] = 2, &["version"]);
    let config = good.windows(4).position(|w| w == b"LMDV").expect("the configuration");
    let sealed = |at: usize, value: u8, words: &[&str]| {
        changed(
            &|b| {
                b[at] = value;
                seal(b);
            },
            words,
        );
    };
    sealed(config, b'X', &["another kind of network"]);
    sealed(config + 6, 3, &["window"]);
    sealed(config + 24, 4, &["tensor", "shape"]);
    let name = good.windows(7).position(|w| w == b"in_proj").expect("a name");
    sealed(name, b'I', &["tensor", "another name"]);
}

#[test]
fn files_that_are_no_models() {
    let folder = folder();
    let mut flipped = cells_model();
    flipped[0] ^= 1;
    folder.put("flipped.scrimp", flipped);
    folder.put("text.scrimp", "a text that is longer than a header of thirty-two bytes");
    folder.put("empty.scrimp", "");
    for (name, reason) in [
        ("in.png", "not a scrimp model"),
        ("flipped.scrimp", "not a scrimp model"),
        ("text.scrimp", "not a scrimp model"),
        ("empty.scrimp", ""),
    ] {
        folder.refuses(&["deblur", "in.png", "out.png", "--model", name], &[name, reason]);
        folder.refuses(&["inspect", name], &[name, reason]);
        folder.refuses(&["convert", name, "a.toml", "b.scrimp"], &[name, "neither a scrimp model nor a safetensors"]);
    }
    folder.refuses(&["inspect", "."], &["cannot read ."]);
}

#[test]
fn bad_command_lines() {
    let folder = folder();
    for args in [
        &[][..],
        &["sharpen"],
        &["deblur"],
        &["deblur", "in.png"],
        &["deblur", "in.png", "out.png", "--sharper"],
        &["deblur", "in.png", "out.png", "more.png"],
        &["deblur", "in.png", "out.png", "--mask-out"],
        &["convert", "a", "b"],
        &["convert", "a", "b", "c", "d"],
        &["inspect"],
    ] {
        let before = folder.listing();
        let run = folder.run(args);
        assert_eq!(run.code, Some(2), "{args:?}");
        assert!(run.stdout.is_empty() && run.stderr.contains("--help"), "{args:?}: {}", run.stderr);
        assert!(folder.listing() == before);
    }
    for args in [&["--help"][..], &["--version"], &["deblur", "--help"], &["help", "convert"]] {
        assert_eq!(folder.ok(args), "");
    }
}
