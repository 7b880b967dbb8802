//! `scrimp deblur` does what its options say.

use image::{GrayImage, Luma, RgbImage};
use scrimp::lmdvit::{Frame, LmdVit, Policy, Workspace};
use scrimp_cli::blob::Bytes;

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
    let result = scrimp_cli::deblur::deblur(&net, &photo, None, &scrimp_cli::deblur::Choice::Own).expect("a run");
    assert!(folder.rgb("out.png") == result.rgb);
}

#[test]
fn seams_of_tiles_do_not_show() {
    let folder = Folder::new();
    for (width, height) in [(600, 40), (40, 600)] {
        let mut photo = scene(width, height);
        image::imageops::overlay(&mut photo, &scene(width / 2, height), 0, 0);
        folder.save("in.png", photo.clone());
        folder.ok(&["deblur", "in.png", "out.png", "--policy", "none"]);
        assert!(folder.rgb("out.png") == photo);

        folder.ok(&["deblur", "in.png", "out.png", "--policy", "all"]);
        let want = library(scrimp_cli::deblur::MODEL, &photo, None, Policy::All).0;
        let out = folder.rgb("out.png");
        let worst = out.as_raw().iter().zip(want.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(out != photo && worst <= Some(4), "{width} x {height}: {worst:?} grey levels");

        // Cells on both sides of the seam, and only those.
        let white = |x: u32, y: u32| (470..490).contains(&x.max(y)) && x.min(y) >= 16;
        folder.save("want.png", GrayImage::from_fn(width, height, |x, y| Luma([255 * u8::from(white(x, y))])));
        folder.ok(&["deblur", "in.png", "out.png", "--policy", "want.png", "--mask-out", "mask.png"]);
        let (out, mask) = (folder.rgb("out.png"), grey(&folder, "mask.png"));
        for (x, y, pixel) in mask.enumerate_pixels() {
            let active = (464..496).contains(&x.max(y)) && x.min(y) >= 16;
            assert_eq!(pixel.0[0], 255 * u8::from(active), "{x}, {y}");
            assert!(active || out.get_pixel(x, y) == photo.get_pixel(x, y), "{x}, {y}");
        }
        assert!(out != photo);
    }
}

#[test]
fn active_cells_do_not_depend_on_tiles() {
    let folder = Folder::new();
    for blob in [cells_model(), scrimp_cli::deblur::MODEL.to_vec()] {
        folder.put("m.scrimp", &blob);
        for (width, height) in [(1010, 40), (40, 601)] {
            let noise = scene(width, height);
            let photo = RgbImage::from_fn(width, height, |x, y| {
                *noise.get_pixel(if (x + y) / 24 % 2 == 0 { x / 2 } else { width / 2 + x / 2 }, y)
            });
            let previous = image::imageops::flip_vertical(&photo);
            folder.save("in.png", photo.clone());
            folder.save("before.png", previous.clone());
            let common = ["deblur", "in.png", "out.png", "--model", "m.scrimp", "--mask-out", "mask.png"];
            folder.ok(&common);
            let (_, map) = library(&blob, &photo, None, Policy::Own);
            assert!(grey(&folder, "mask.png") == picture(&map.expect("cells"), width, height));
            folder.ok(&[&common[..], &["--previous", "before.png"]].concat());
            let (_, map) = library(&blob, &photo, Some(&previous), Policy::Own);
            assert!(grey(&folder, "mask.png") == picture(&map.expect("cells"), width, height));
        }
    }
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
