//! `scrimp deblur` does what its options say.

use image::{GrayImage, Luma, RgbImage};
use scrimp::backend::Auto;
use scrimp::lmdvit::{Frame, LmdVit, Policy, Stats, Tile, Tiles, Workspace};
use scrimp_cli::blob::Bytes;
use scrimp_cli::deblur::{Choice, Cut, deblur, deblur_in};

use crate::{Folder, cells_model, model, scene};

/// What the library makes of a photo in one piece, and its active cells if it decides itself.
fn library(
    blob: &[u8],
    photo: &RgbImage,
    previous: Option<&RgbImage>,
    policy: Policy<'_>,
) -> (RgbImage, Option<Vec<u8>>) {
    let blob = Bytes::new(blob);
    let net = LmdVit::new(&blob.model().expect("a model")).expect("a network");
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let frame = Frame::new(photo, width, height).expect("a frame");
    let previous = previous.map(|p| Frame::new(p, width, height).expect("a frame"));
    let sizes = net.config().sizes(width, height).expect("sizes");
    let (mut features, mut scratch) = (vec![0.0; sizes.features], vec![0.0; sizes.scratch]);
    let mut cells = vec![0; sizes.cells];
    let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut cells };
    let (rows, cols) = net.config().cells(width, height);
    let mut map = vec![0; rows * cols];
    let own = matches!(policy, Policy::Own);
    let map = own.then(|| net.decide(frame, previous, &mut map, &mut work).map(|_| map).expect("a decision"));
    let mut out = vec![0; photo.as_raw().len()];
    net.run(frame, previous, policy, &mut out, &mut work).expect("a run");
    (RgbImage::from_raw(photo.width(), photo.height(), out).expect("a picture"), map)
}

/// What the library counts for a photo in one piece.
fn stats(blob: &[u8], photo: &RgbImage, policy: Policy<'_>) -> Stats {
    let blob = Bytes::new(blob);
    let net = LmdVit::new(&blob.model().expect("a model")).expect("a network");
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let frame = Frame::new(photo, width, height).expect("a frame");
    let sizes = net.config().sizes(width, height).expect("sizes");
    let (mut features, mut scratch) = (vec![0.0; sizes.features], vec![0.0; sizes.scratch]);
    let mut cells = vec![0; sizes.cells];
    let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut cells };
    net.run(frame, None, policy, &mut vec![0; photo.as_raw().len()], &mut work).expect("a run")
}

/// Cells of 8 pixels as a picture.
fn picture(map: &[u8], width: u32, height: u32) -> GrayImage {
    let cols = width.div_ceil(8);
    GrayImage::from_fn(width, height, |x, y| Luma([255 * map[(y / 8 * cols + x / 8) as usize]]))
}

fn grey(folder: &Folder, name: &str) -> GrayImage {
    let image = image::open(folder.path().join(name)).expect(name);
    assert_eq!(image.color(), image::ColorType::L8, "{name}");
    image.into_luma8()
}

#[test]
fn all_sizes_run_under_all_policies() {
    let folder = Folder::new();
    for (width, height) in [(1, 1), (1, 7), (17, 1), (2, 2), (33, 19), (5, 70), (64, 64)] {
        let photo = scene(width, height);
        folder.save("in.png", photo.clone());
        for policy in ["own", "all", "none"] {
            let said = folder.ok(&["deblur", "in.png", "out.png", "--policy", policy, "--mask-out", "mask.png"]);
            assert_eq!(said, "");
            let (out, mask) = (folder.rgb("out.png"), grey(&folder, "mask.png"));
            assert_eq!((out.dimensions(), mask.dimensions()), ((width, height), (width, height)), "{policy}");
            for ((a, b), m) in out.pixels().zip(photo.pixels()).zip(mask.pixels()) {
                assert!(m.0[0] == 255 || a == b, "{policy}: a pixel outside the active cells differs");
            }
            match policy {
                "all" => assert!(mask.pixels().all(|p| p.0[0] == 255)),
                "none" => assert!(mask.pixels().all(|p| p.0[0] == 0) && out == photo),
                _ => {}
            }
        }
    }
}

#[test]
fn the_result_is_the_librarys() {
    let folder = Folder::new();
    let blob = cells_model();
    folder.put("m.scrimp", &blob);
    let (width, height) = (90, 61);
    let photo = scene(width, height);
    let previous = image::imageops::flip_horizontal(&photo);
    folder.save("in.png", photo.clone());
    folder.save("before.png", previous.clone());
    let common = ["deblur", "in.png", "out.png", "--model", "m.scrimp", "--mask-out", "mask.png"];

    let run = folder.run(&common);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let (want, map) = library(&blob, &photo, None, Policy::Own);
    let single = picture(&map.expect("cells"), width, height);
    assert!(single.pixels().any(|p| p.0[0] == 0) && single.pixels().any(|p| p.0[0] == 255), "a poor test picture");
    assert!(want != photo && folder.rgb("out.png") == want && grey(&folder, "mask.png") == single);
    let active = single.pixels().filter(|p| p.0[0] == 255).count();
    assert!(active > 0 && run.stdout.contains("% of cells and ") && run.stdout.contains("% of windows active"));
    for ((a, b), m) in want.pixels().zip(photo.pixels()).zip(single.pixels()) {
        assert!(m.0[0] == 255 || a == b);
    }

    folder.ok(&[&common[..], &["--previous", "before.png"]].concat());
    let (want, map) = library(&blob, &photo, Some(&previous), Policy::Own);
    let double = picture(&map.expect("cells"), width, height);
    assert!(double != single, "a poor test picture");
    assert!(folder.rgb("out.png") == want && grey(&folder, "mask.png") == double);

    folder.ok(&[&common[..], &["--policy", "all"]].concat());
    assert!(folder.rgb("out.png") == library(&blob, &photo, None, Policy::All).0);

    // One white pixel makes its cell active; nearly white counts, nearly black does not.
    let mut map = vec![0; 12 * 8];
    map[3 * 12 + 5] = 1;
    let cell = picture(&map, width, height);
    let mut mask = GrayImage::from_pixel(width, height, Luma([100]));
    mask.put_pixel(47, 24, Luma([130]));
    for mask in [image::DynamicImage::from(mask.clone()), image::DynamicImage::from(mask).into_rgba16().into()] {
        folder.save("want.png", mask);
        folder.ok(&[&common[..], &["--policy", "want.png"]].concat());
        assert!(folder.rgb("out.png") == library(&blob, &photo, None, Policy::Cells(&map)).0);
        assert!(grey(&folder, "mask.png") == cell);
    }
}

#[test]
fn predictors_decide_too() {
    let folder = Folder::new();
    let blob = model("mini_predictors", |_| ());
    folder.put("m.scrimp", &blob);
    let photo = scene(40, 30);
    folder.save("in.png", photo.clone());
    let run = folder.run(&["deblur", "in.png", "out.png", "--model", "m.scrimp"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(!run.stdout.contains("cells"), "predictors know no cells: {}", run.stdout);
    let net = Bytes::new(&blob);
    let net = LmdVit::new(&net.model().expect("a model")).expect("a network");
    let result = deblur(&net, &photo, None, &Choice::Own).expect("a run");
    assert!(folder.rgb("out.png") == result.rgb);
}

/// The largest difference of two pictures in the pixels that `counts`.
fn worst(a: &RgbImage, b: &RgbImage, counts: impl Fn(u32, u32) -> bool) -> u8 {
    let of = |(x, y, a): (u32, u32, &image::Rgb<u8>)| {
        let differences = a.0.iter().zip(b.get_pixel(x, y).0).map(|(a, b)| a.abs_diff(b));
        if counts(x, y) { differences.max().unwrap_or(0) } else { 0 }
    };
    a.enumerate_pixels().map(of).max().unwrap_or(0)
}

/// Seven kinds of surface side by side, so that the picture's left has nothing of its right.
fn patchwork(width: u32, height: u32) -> RgbImage {
    let noise = scene(width, height);
    RgbImage::from_fn(width, height, |x, y| {
        let wide = *noise.get_pixel(if (x + y) / 24 % 2 == 0 { x / 2 } else { width / 2 + x / 2 }, y);
        if x.max(y) / 300 % 2 == 0 { wide } else { *noise.get_pixel(x / 8, y / 2) }
    })
}

/// The smallest tiles that the shipped model's pictures may be cut into.
fn small_tiles(cut: Cut, photo: &RgbImage) -> Vec<Tile> {
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let tiles: Vec<Tile> = Tiles::new(width, height, cut.unit + 2 * cut.overlap, cut.overlap).expect("tiles").collect();
    assert!(tiles.len() > 1);
    tiles
}

#[test]
fn tiles_give_what_the_whole_picture_gives() {
    let blob = Bytes::new(scrimp_cli::deblur::MODEL);
    let net = LmdVit::new(&blob.model().expect("a model")).expect("a network");
    let cut = Cut::new(net.config());
    assert_eq!((cut.unit, cut.overlap), (64, 96));
    for (width, height) in [(500, 40), (33, 420), (330, 270)] {
        let photo = patchwork(width, height);
        let tiles = small_tiles(cut, &photo);
        // Where windows wrap round the picture's own ends, a tile has its other end, and nothing else would do.
        let near = |at: u32, side: u32| side > 256 && (at < 96 || at + 96 >= side);
        let inner = |x: u32, y: u32| !near(x, width) && !near(y, height);
        for choice in [Choice::All, Choice::Own] {
            let policy = if matches!(choice, Choice::All) { Policy::All } else { Policy::Own };
            let (want, _) = library(scrimp_cli::deblur::MODEL, &photo, None, policy);
            let got = deblur_in(&net, &photo, None, &choice, &tiles).expect("a run");
            assert!(want != photo, "a poor test picture");
            let (inside, ends) = (worst(&got.rgb, &want, inner), worst(&got.rgb, &want, |x, y| !inner(x, y)));
            println!("{width} x {height}, {choice:?}: {inside} levels inside, {ends} at the ends");
            assert!(inside <= 1, "{width} x {height}, {choice:?}: {inside} levels");
            // At the ends a cell may also be decided otherwise: measured 40 levels with the network's own choice.
            assert!(
                ends <= if matches!(choice, Choice::All) { 8 } else { 64 },
                "{width} x {height}, {choice:?}: {ends} levels"
            );
        }
    }
}

/// A patchwork before which a square of noise has moved, and the frame before.
fn moving(width: u32, height: u32) -> (RgbImage, RgbImage) {
    let (back, square) = (patchwork(width, height), scene(width / 3, height / 2));
    let with = |x: i64, y: i64| {
        let mut picture = back.clone();
        image::imageops::replace(&mut picture, &square, x, y);
        picture
    };
    let (x, y) = (i64::from(width / 3), i64::from(height / 4));
    (with(x, y), with(x - 9, y + 5))
}

#[test]
fn tiles_see_the_motion_of_the_whole_picture() {
    let blob = Bytes::new(scrimp_cli::deblur::MOTION_MODEL);
    let net = LmdVit::new(&blob.model().expect("a model")).expect("a network");
    for (width, height) in [(500, 60), (330, 270)] {
        let (photo, previous) = moving(width, height);
        let tiles = small_tiles(Cut::new(net.config()), &photo);
        let near = |at: u32, side: u32| side > 256 && (at < 96 || at + 96 >= side);
        let inner = |x: u32, y: u32| !near(x, width) && !near(y, height);
        for choice in [Choice::All, Choice::Own] {
            let policy = if matches!(choice, Choice::All) { Policy::All } else { Policy::Own };
            let (want, _) = library(scrimp_cli::deblur::MOTION_MODEL, &photo, Some(&previous), policy);
            let got = deblur_in(&net, &photo, Some(&previous), &choice, &tiles).expect("a run");
            assert!(want != photo, "a poor test picture");
            let inside = worst(&got.rgb, &want, inner);
            assert!(inside <= 1, "{width} x {height}, {choice:?}: {inside} levels");
        }
    }
}

#[test]
fn motion_needs_the_frame_before_and_takes_a_shutter() {
    let folder = Folder::new();
    let (photo, previous) = moving(90, 70);
    folder.save("in.png", photo.clone());
    folder.save("before.png", previous.clone());
    folder.put("m.scrimp", scrimp_cli::deblur::MOTION_MODEL);
    folder.ok(&["deblur", "in.png", "out.png", "--previous", "before.png"]);
    let (want, _) = library(scrimp_cli::deblur::MOTION_MODEL, &photo, Some(&previous), Policy::Own);
    assert!(want != photo && folder.rgb("out.png") == want);
    folder.ok(&["deblur", "in.png", "out.png", "--previous", "before.png", "--shutter", "0.5"]);
    assert!(folder.rgb("out.png") == want, "0.5 is the default");
    folder.ok(&["deblur", "in.png", "out.png", "--previous", "before.png", "--shutter", "0.9"]);
    assert!(folder.rgb("out.png") != want, "the shutter changes nothing");
    for shutter in ["0", "1.1", "NaN"] {
        folder.refuses(
            &["deblur", "in.png", "no.png", "--previous", "before.png", "--shutter", shutter],
            &["--shutter", shutter],
        );
    }
    folder.refuses(&["deblur", "in.png", "no.png", "--shutter", "0.5"], &["--shutter", "motion"]);
    folder.refuses(&["deblur", "in.png", "no.png", "--model", "m.scrimp"], &["m.scrimp", "--previous"]);
}

#[test]
fn a_film_goes_frame_by_frame() {
    let folder = Folder::new();
    let (photo, previous) = moving(90, 70);
    std::fs::create_dir(folder.path().join("film")).expect("a folder");
    folder.save("film/a.png", previous.clone());
    folder.save("film/b.png", photo.clone());
    folder.save("film/c.png", photo.clone());
    folder.put("film/notes.txt", b"no frame");
    let run = folder.run(&["deblur", "film", "--out-dir", "sharp/new"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(run.stdout.starts_with("3 frames, "), "{}", run.stdout);
    let of = |frame: &RgbImage, before: &RgbImage| {
        library(scrimp_cli::deblur::MOTION_MODEL, frame, Some(before), Policy::Own).0
    };
    assert!(folder.rgb("sharp/new/a.png") == of(&previous, &photo), "the first frame is seen with the second");
    assert!(folder.rgb("sharp/new/b.png") == of(&photo, &previous));
    assert!(folder.rgb("sharp/new/c.png") == photo, "nothing moves");
    assert!(!folder.path().join("sharp/new/notes.txt").exists());

    folder.save("small.png", scene(20, 20));
    folder.refuses(&["deblur", "film", "--out-dir", "film"], &["named twice"]);
    folder.refuses(&["deblur", "film/a.png", "--out-dir", "sharp/new"], &["at least two frames"]);
    folder.refuses(&["deblur", "film/a.png", "small.png", "--out-dir", "sharp/new"], &["small.png", "20 x 20"]);
    folder.refuses(&["deblur", "film/a.png", "film/b.png", "no.png"], &["2 files", "--out-dir"]);
    std::fs::create_dir(folder.path().join("empty")).expect("a folder");
    folder.refuses(&["deblur", "empty", "--out-dir", "sharp/new"], &["empty", "no PNG"]);
}

#[test]
fn nothing_is_counted_twice() {
    let blob = Bytes::new(scrimp_cli::deblur::MODEL);
    let net = LmdVit::new(&blob.model().expect("a model")).expect("a network");
    for (width, height) in [(500, 40), (33, 420), (330, 270)] {
        let photo = patchwork(width, height);
        let tiles = small_tiles(Cut::new(net.config()), &photo);
        for (choice, policy) in [(Choice::Own, Policy::Own), (Choice::All, Policy::All), (Choice::None, Policy::None)] {
            let got = deblur_in(&net, &photo, None, &choice, &tiles).expect("a run").stats;
            let want = stats(scrimp_cli::deblur::MODEL, &photo, policy);
            let counts = |s: Stats| (s.cells, s.active_cells, s.windows, s.active_windows);
            assert_eq!(counts(got), counts(want), "{width} x {height}, {choice:?}");
            assert!(got.macs() >= want.macs(), "overlaps are work");
        }
    }
}

/// A run in f32, every window active.
fn floats(net: &LmdVit<'_>, photo: &RgbImage) -> Vec<f32> {
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let sizes = net.config().sizes(width, height).expect("sizes");
    let (mut features, mut scratch) = (vec![0.0; sizes.features], vec![0.0; sizes.scratch]);
    let mut cells = vec![0; sizes.cells];
    let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut cells };
    let mut out = vec![0.0; photo.as_raw().len()];
    let frame = Frame::new(photo, width, height).expect("a frame");
    net.run_f32_on(Auto, frame, None, Policy::All, &mut out, &mut work, &mut ()).expect("a run");
    out
}

/// Networks of every kind: strided and overlapping steps down, both skips, shifted windows and none.
#[test]
fn a_border_is_felt_as_far_as_the_reach_and_no_further() {
    for name in ["mini", "mini_predictors", "cells", "odd", "paper"] {
        let blob = model(name, |_| ());
        let bytes = Bytes::new(&blob);
        let net = LmdVit::new(&bytes.model().expect("a model")).expect(name);
        let (unit, reach) = (net.config().unit() as u32, net.config().reach() as u32);
        let margin = reach.next_multiple_of(unit);
        let (start, length) = (margin, 3 * margin + unit);
        let photo = patchwork(length + 2 * margin, unit);
        let tile = image::imageops::crop_imm(&photo, start, 0, length, unit).to_image();
        let (whole, part) = (floats(&net, &photo), floats(&net, &tile));
        let mut furthest = 0;
        for y in 0..unit {
            for x in 0..length {
                let value = |all: &[f32], x: u32, width: u32, c: u32| all[(3 * (y * width + x) + c) as usize];
                let differs = (0..3).any(|c| {
                    let (a, b) = (value(&whole, start + x, photo.width(), c), value(&part, x, length, c));
                    (a - b).abs() > 1e-5
                });
                if differs {
                    furthest = furthest.max(x.min(length - 1 - x) + 1);
                }
            }
        }
        println!("{name}: felt {furthest} pixels from the border, the reach is {reach}");
        assert!(furthest <= reach, "{name}: {furthest} pixels from the border, the reach is {reach}");
        assert!(2 * furthest > reach, "{name}: {furthest} pixels from the border, {reach} is too much");
    }
}

/// At most a tenth more work where a tile may be large enough; of 1920x1080 pixels it is.
#[test]
fn tiles_cost_little() {
    let blob = Bytes::new(scrimp_cli::deblur::MODEL);
    let net = LmdVit::new(&blob.model().expect("a model")).expect("a network");
    let cut = Cut::new(net.config());
    for (width, height, most) in [
        (1, 1, 10),
        (560, 315, 10),
        (640, 480, 10),
        (1600, 1600, 11),
        (1920, 1080, 11),
        (1080, 1920, 11),
        (3840, 2160, 12),
        (6000, 4000, 13),
        (65_535, 1000, 12),
    ] {
        let tiles = cut.tiles(width, height).expect("tiles");
        let work: usize = tiles.iter().map(|tile| tile.width * tile.height).sum();
        assert!(10 * work <= most * width * height, "{width} x {height}: {} tiles, {work}", tiles.len());
        for tile in tiles {
            assert!(tile.x % 64 == 0 && tile.y % 64 == 0 && tile.width <= 1600 && tile.height <= 1600, "{tile:?}");
        }
    }
}

#[test]
fn cells_on_both_sides_of_a_seam() {
    let blob = Bytes::new(scrimp_cli::deblur::MODEL);
    let net = LmdVit::new(&blob.model().expect("a model")).expect("a network");
    for (width, height) in [(500, 40), (40, 500)] {
        let photo = patchwork(width, height);
        let tiles = small_tiles(Cut::new(net.config()), &photo);
        let run = |choice| deblur_in(&net, &photo, None, &choice, &tiles).expect("a run");
        assert!(run(Choice::None).rgb == photo);
        // What the first tile keeps ends at 160.
        assert_eq!(tiles[0].keep_width.max(tiles[0].keep_height), 160);
        let white = |x: u32, y: u32| (150..170).contains(&x.max(y)) && x.min(y) >= 16;
        let result = run(Choice::Mask(GrayImage::from_fn(width, height, |x, y| Luma([255 * u8::from(white(x, y))]))));
        for (x, y, pixel) in result.mask.enumerate_pixels() {
            let active = (144..176).contains(&x.max(y)) && x.min(y) >= 16;
            assert_eq!(pixel.0[0], 255 * u8::from(active), "{x}, {y}");
            assert!(active || result.rgb.get_pixel(x, y) == photo.get_pixel(x, y), "{x}, {y}");
        }
        assert!(result.rgb != photo);
    }
}

#[test]
fn active_cells_do_not_depend_on_tiles() {
    for blob in [cells_model(), scrimp_cli::deblur::MODEL.to_vec()] {
        let bytes = Bytes::new(&blob);
        let net = LmdVit::new(&bytes.model().expect("a model")).expect("a network");
        for (width, height) in [(600, 40), (40, 401)] {
            let photo = patchwork(width, height);
            let before = image::imageops::flip_vertical(&photo);
            let tiles = small_tiles(Cut::new(net.config()), &photo);
            for previous in [None, Some(&before)] {
                let got = deblur_in(&net, &photo, previous, &Choice::Own, &tiles).expect("a run").mask;
                let (_, map) = library(&blob, &photo, previous, Policy::Own);
                assert!(got == picture(&map.expect("cells"), width, height));
            }
        }
    }
}

/// A photo that is cut: the command gives what the function does.
#[test]
fn a_long_photo_is_cut() {
    let folder = Folder::new();
    let photo = patchwork(2000, 24);
    folder.save("in.png", photo.clone());
    folder.ok(&["deblur", "in.png", "out.png"]);
    let blob = Bytes::new(scrimp_cli::deblur::MODEL);
    let net = LmdVit::new(&blob.model().expect("a model")).expect("a network");
    assert!(Cut::new(net.config()).tiles(2000, 24).expect("tiles").len() > 1);
    let want = deblur(&net, &photo, None, &Choice::Own).expect("a run").rgb;
    assert!(folder.rgb("out.png") == want && want != photo);
}

#[test]
fn the_photo_may_be_replaced_and_other_files_as_well() {
    let folder = Folder::new();
    folder.save("in.png", scene(20, 20));
    folder.put("mask.png", "an old file");
    folder.ok(&["deblur", "in.png", "in.png", "--policy", "none", "--mask-out", "mask.png"]);
    assert!(folder.rgb("in.png") == scene(20, 20));
    assert_eq!(grey(&folder, "mask.png").dimensions(), (20, 20));
    assert_eq!(folder.listing().len(), 2, "a temporary file stayed");
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link() {
    let folder = Folder::new();
    folder.save("in.png", scene(20, 20));
    folder.put("real.png", "an old file");
    std::os::unix::fs::symlink("real.png", folder.path().join("link.png")).expect("a link");
    folder.ok(&["deblur", "in.png", "link.png", "--policy", "none"]);
    assert!(folder.rgb("real.png") == scene(20, 20));
    assert!(folder.path().join("link.png").is_symlink());
}

#[test]
fn all_files_are_written_or_none() {
    let folder = Folder::new();
    folder.put("old", "old");
    let before = folder.listing();
    let path = |name: &str| folder.path().join(name);
    let failed =
        scrimp_cli::output::write(&[(&path("old"), b"new"), (&path("new"), b"new"), (&path("folder/missing"), b"new")]);
    let error = format!("{:#}", failed.expect_err("the folder is missing"));
    assert!(error.contains("cannot write") && error.contains("folder/missing"), "{error}");
    assert!(folder.listing() == before);
}
