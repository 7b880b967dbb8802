//! Every kind of picture goes in, and the right thing comes out.

use image::buffer::ConvertBuffer;
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageReader, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};

use crate::{Folder, jpeg, png, scene, with_segment, zlib};

fn none(folder: &Folder, from: &str, to: &str) -> String {
    folder.ok(&["deblur", from, to, "--policy", "none"])
}

#[test]
fn every_pixel_format_arrives() {
    let folder = Folder::new();
    let rgb = scene(37, 21);
    let grey = DynamicImage::from(rgb.clone()).into_luma8();
    let rgba: RgbaImage = ImageBuffer::from_fn(37, 21, |x, y| {
        let [r, g, b] = rgb.get_pixel(x, y).0;
        Rgba([r, g, b, (x * 7) as u8])
    });
    let grey_alpha: ImageBuffer<LumaA<u8>, Vec<u8>> =
        ImageBuffer::from_fn(37, 21, |x, y| LumaA([grey.get_pixel(x, y).0[0], (y * 9) as u8]));
    let grey_rgb: RgbImage = grey.convert();
    let (wide, bleak) = ("16 bits a channel become 8", "grey becomes RGB");

    let grey16: ImageBuffer<Luma<u16>, Vec<u16>> = grey.convert();
    let rgb16: ImageBuffer<Rgb<u16>, Vec<u16>> = rgb.convert();
    let rgba16: ImageBuffer<Rgba<u16>, Vec<u16>> = rgba.convert();
    let grey_alpha16: ImageBuffer<LumaA<u16>, Vec<u16>> = grey_alpha.convert();
    let cases: [(&str, DynamicImage, &RgbImage, &[&str]); 8] = [
        ("rgb8", rgb.clone().into(), &rgb, &[]),
        ("rgb16", rgb16.into(), &rgb, &[wide]),
        ("rgba8", rgba.clone().into(), &rgb, &[]),
        ("rgba16", rgba16.into(), &rgb, &[wide]),
        ("grey8", grey.into(), &grey_rgb, &[bleak]),
        ("grey16", grey16.into(), &grey_rgb, &[wide, bleak]),
        ("grey8 and alpha", grey_alpha.into(), &grey_rgb, &[bleak]),
        ("grey16 and alpha", grey_alpha16.into(), &grey_rgb, &[wide, bleak]),
    ];
    for (name, image, want, notes) in cases {
        folder.save("in.png", image.clone());
        let said = none(&folder, "in.png", "out.png");
        assert_eq!(said.lines().count(), notes.len(), "{name}: {said}");
        for note in notes {
            assert!(said.contains(&format!("in.png: {note}")), "{name}: {said}");
        }
        assert!(folder.rgb("out.png") == *want, "{name}");
        let out = image::open(folder.path().join("out.png")).expect(name);
        assert_eq!(out.color().has_alpha(), image.color().has_alpha(), "{name}");
        assert!(out.color().bits_per_pixel() / u16::from(out.color().channel_count()) == 8, "{name}");
        if image.color().has_alpha() {
            let alpha = |image: &DynamicImage| image.to_rgba8().pixels().map(|p| p.0[3]).collect::<Vec<_>>();
            assert!(alpha(&out) == alpha(&image), "{name}");
        }
    }
}

#[test]
fn jpeg_drops_alpha_and_says_so() {
    let folder = Folder::new();
    folder.save("in.png", RgbaImage::from_pixel(20, 30, Rgba([200, 100, 50, 7])));
    let said = none(&folder, "in.png", "out.jpeg");
    assert_eq!(said, "out.jpeg: JPEG has no alpha channel, it is dropped\n");
    let out = folder.rgb("out.jpeg");
    assert_eq!(out.dimensions(), (20, 30));
    assert!(out.pixels().all(|p| p.0.iter().zip([200, 100, 50]).all(|(&a, b)| a.abs_diff(b) < 4)));
    assert_eq!(&folder.get("out.jpeg")[..2], [0xFF, 0xD8]);
}

#[test]
fn palettes_of_every_depth_arrive() {
    let palette: [u8; 12] = [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7];
    let folder = Folder::new();
    for depth in [1u8, 2, 4, 8] {
        let colors = if depth == 1 { 2 } else { 4 };
        let (width, height) = (5usize, 3usize);
        let index = |x: usize, y: usize| (x + 2 * y) % colors;
        let mut lines = Vec::new();
        for y in 0..height {
            let mut line = vec![0u8; (width * usize::from(depth)).div_ceil(8)];
            for x in 0..width {
                let bit = x * usize::from(depth);
                line[bit / 8] |= (index(x, y) as u8) << (8 - bit % 8 - usize::from(depth));
            }
            lines.push(0); // no filter
            lines.extend(line);
        }
        for alpha in [false, true] {
            let mut chunks: Vec<(&[u8; 4], &[u8])> = vec![(b"PLTE", &palette[..3 * colors])];
            if alpha {
                chunks.push((b"tRNS", &[40, 255]));
            }
            let data = zlib(&lines);
            chunks.extend([(b"IDAT", &data[..]), (b"IEND", &[])]);
            folder.put("in.png", png(5, 3, depth, 3, &chunks));
            assert_eq!(none(&folder, "in.png", "out.png"), "");
            let out = image::open(folder.path().join("out.png")).expect("a picture");
            assert_eq!(out.color().has_alpha(), alpha);
            for (x, y, pixel) in out.to_rgba8().enumerate_pixels() {
                let i = index(x as usize, y as usize);
                let want = [palette[3 * i], palette[3 * i + 1], palette[3 * i + 2]];
                assert_eq!(pixel.0[..3], want, "depth {depth}");
                assert_eq!(pixel.0[3], if alpha && i == 0 { 40 } else { 255 }, "depth {depth}");
            }
        }
    }
}

/// An APP1 segment or eXIf chunk that says only how the camera was held.
fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x01".to_vec(); // one entry:
    tiff.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]);
    tiff
}

#[test]
fn rotated_jpeg_comes_out_upright() {
    // Red top left, green top right, blue bottom left, white bottom right.
    let quarters = RgbImage::from_fn(64, 32, |x, y| match (x < 32, y < 16) {
        (true, true) => Rgb([255, 0, 0]),
        (false, true) => Rgb([0, 255, 0]),
        (true, false) => Rgb([0, 0, 255]),
        (false, false) => Rgb([255, 255, 255]),
    });
    let folder = Folder::new();
    let app1 = |o| [&b"Exif\0\0"[..], &exif(o)].concat();
    // What stands top left and top right when the picture is upright.
    let corners = [(1, "rg"), (2, "gr"), (3, "wb"), (4, "bw"), (5, "rb"), (6, "br"), (7, "wg"), (8, "gw")];
    for (orientation, corners) in corners {
        folder.put("in.jpg", with_segment(&jpeg(&quarters), 0xE1, &app1(orientation)));
        let said = none(&folder, "in.jpg", "out.png");
        assert_eq!(said.contains("in.jpg: turned upright"), orientation != 1, "{said}");
        assert!(said.contains("in.jpg: its EXIF data are not kept"), "{said}");
        let out = folder.rgb("out.png");
        assert_eq!(out.dimensions(), if orientation < 5 { (64, 32) } else { (32, 64) }, "{orientation}");
        let color = |x, y| match out.get_pixel(x, y).0.map(|v| v > 128) {
            [true, false, false] => 'r',
            [false, true, false] => 'g',
            [false, false, true] => 'b',
            _ => 'w',
        };
        assert_eq!([color(4, 4), color(out.width() - 5, 4)].iter().collect::<String>(), corners, "{orientation}");

        // A second run finds nothing left to turn.
        assert_eq!(none(&folder, "out.png", "again.png"), "");
        assert!(folder.rgb("again.png") == out);
    }
}

#[test]
fn rotated_png_comes_out_upright() {
    let lines: Vec<u8> = (0..3).flat_map(|y: u8| [0, 10 * y, 10 * y + 1]).collect();
    let (data, exif) = (zlib(&lines), exif(6));
    let folder = Folder::new();
    folder.put("in.png", png(2, 3, 8, 0, &[(b"eXIf", &exif), (b"IDAT", &data), (b"IEND", &[])]));
    assert!(none(&folder, "in.png", "out.png").contains("turned upright"));
    let out = folder.rgb("out.png");
    assert_eq!(out.dimensions(), (3, 2));
    assert_eq!(out.pixels().map(|p| p.0[0]).collect::<Vec<_>>(), [20, 10, 0, 21, 11, 1]);
}

#[test]
fn a_damaged_exif_segment_does_no_harm() {
    let folder = Folder::new();
    for body in [&b"Exif\0\0"[..], b"Exif\0\0MM\0\x2a\xFF\xFF\xFF\xFF", b"Exif\0\0II"] {
        folder.put("in.jpg", with_segment(&jpeg(&scene(20, 10)), 0xE1, body));
        assert!(!none(&folder, "in.jpg", "out.png").contains("turned"));
        assert_eq!(folder.rgb("out.png").dimensions(), (20, 10));
    }
}

#[test]
fn a_colour_profile_is_kept() {
    let folder = Folder::new();
    let profile = [&[0; 128][..], b"not a real profile"].concat();
    let app2 = [&b"ICC_PROFILE\0\x01\x01"[..], &profile].concat();
    folder.put("in.jpg", with_segment(&jpeg(&scene(20, 10)), 0xE2, &app2));
    for name in ["out.png", "out.jpg"] {
        assert_eq!(none(&folder, "in.jpg", name), "");
        let mut decoder = ImageReader::open(folder.path().join(name)).expect(name).into_decoder().expect(name);
        assert_eq!(decoder.icc_profile().expect(name).expect("a profile"), profile, "{name}");
        assert_eq!(decoder.orientation().expect(name), Orientation::NoTransforms);
    }
}

#[test]
fn what_stands_behind_a_jpeg_or_between_its_segments_is_skipped() {
    let folder = Folder::new();
    let file = jpeg(&scene(40, 30));
    folder.put("plain.jpg", &file);
    none(&folder, "plain.jpg", "plain.png");
    folder.put("tail.jpg", [&file[..], b"a video, as phones append it \xFF\xD8\xFF"].concat());
    folder.put("fill.jpg", [&file[..2], &[0xFF; 5], &file[2..]].concat());
    // A thumbnail inside a segment ends before the picture does.
    folder.put("thumbnail.jpg", with_segment(&file, 0xE5, &jpeg(&scene(8, 8))));
    for name in ["tail", "fill", "thumbnail"] {
        none(&folder, &format!("{name}.jpg"), "out.png");
        assert!(folder.rgb("out.png") == folder.rgb("plain.png"), "{name}");
    }
}

#[test]
fn the_content_says_what_a_file_is_and_the_output_name_what_it_becomes() {
    let folder = Folder::new();
    folder.save("in.png", scene(9, 9));
    std::fs::rename(folder.path().join("in.png"), folder.path().join("photo.jpg")).expect("a new name");
    none(&folder, "photo.jpg", "OUT.PNG");
    assert!(folder.rgb("OUT.PNG") == scene(9, 9));
}
