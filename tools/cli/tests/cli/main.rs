//! The built `scrimp` binary, run as a user runs it, in a folder of its own.

mod calibrate;
mod cases;
mod convert;
mod deblur;
mod evaluate;
mod jpeg_variants;
mod models;
mod new;
#[cfg(unix)]
mod output;
mod pictures;
mod quantize;
mod refusals;
mod replay;
mod tflite;
mod transformer;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use image::{Rgb, RgbImage};
use safetensors::SafeTensors;
use scrimp::lmdvit::{Config, Decision};
use scrimp_cli::convert::pack;
use scrimp_cli::description::Description;
use tempfile::TempDir;

/// A folder in which the binary runs; it goes when the test is over.
struct Folder(TempDir);

struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), bytes).expect(name);
    }

    fn get(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).expect(name)
    }

    fn rgb(&self, name: &str) -> RgbImage {
        image::open(self.path().join(name)).expect(name).into_rgb8()
    }

    fn save(&self, name: &str, image: impl Into<image::DynamicImage>) {
        image.into().save(self.path().join(name)).expect(name);
    }

    fn run(&self, args: &[&str]) -> Run {
        self.command(Command::new(env!("CARGO_BIN_EXE_scrimp")).args(args))
    }

    fn command(&self, command: &mut Command) -> Run {
        let Output { status, stdout, stderr } = command.current_dir(self.path()).output().expect("the binary");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Run { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Runs what must succeed; gives what stood on stderr.
    fn ok(&self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
        run.stderr
    }

    /// Runs what must be refused: exit code 2, one line on stderr that has all `words`, no file added or changed.
    fn refuses(&self, args: &[&str], words: &[&str]) {
        self.check_refused(&format!("{args:?}"), words, || self.run(args));
    }

    fn check_refused(&self, what: &str, words: &[&str], run: impl FnOnce() -> Run) {
        let before = self.listing();
        let run = run();
        assert_eq!(run.code, Some(2), "{what}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{what}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{what}");
        for word in words {
            assert!(run.stderr.contains(word), "{what}: {word:?} is not in {:?}", run.stderr);
        }
        assert!(before == self.listing(), "{what}: files were changed");
    }

    fn listing(&self) -> BTreeMap<std::ffi::OsString, Option<Vec<u8>>> {
        let entries = std::fs::read_dir(self.path()).expect("the folder").map(|e| e.expect("an entry"));
        entries.map(|e| (e.file_name(), std::fs::read(e.path()).ok())).collect()
    }
}

/// The description and the weights (with the prefix `net/`) of a network of the golden files.
fn golden(name: &str) -> (String, Vec<u8>) {
    let path = |ending| format!("{}/../../tests/vectors/lmdvit/{name}.{ending}", env!("CARGO_MANIFEST_DIR"));
    let description = std::fs::read_to_string(path("toml")).expect(name);
    (description, std::fs::read(path("safetensors")).expect(name))
}

/// A network of the golden files as a model, after a change.
fn model(name: &str, change: impl FnOnce(&mut Config)) -> Vec<u8> {
    let (description, weights) = golden(name);
    let mut config = Description::parse(&description).and_then(|d| d.config()).expect("a description");
    change(&mut config);
    pack(&config, &SafeTensors::deserialize(&weights).expect("safetensors"), "net/").expect("a model")
}

/// The network `cells` with a threshold that makes about half of the cells of a [`scene`] active.
fn cells_model() -> Vec<u8> {
    model("cells", |config| {
        if let Decision::Cells(cells) = &mut config.decision {
            cells.single.as_mut().expect("a net for one image").threshold = 0.1;
        }
    })
}

/// Smooth on the left, noise on the right.
fn scene(width: u32, height: u32) -> RgbImage {
    let mut state = 1u32;
    RgbImage::from_fn(width, height, |x, y| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let smooth = [x * 3 % 256, y * 5 % 256, (x + y) % 256].map(|v| v as u8);
        let noise = [state >> 24, state >> 16 & 255, state >> 8 & 255].map(|v| v as u8);
        Rgb(if x < width / 2 { smooth } else { noise })
    })
}

/// A PNG file chunk by chunk, its checksum right.
fn png(width: u32, height: u32, depth: u8, color: u8, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let [w, h] = [width.to_be_bytes(), height.to_be_bytes()];
    let header = [&w[..], &h, &[depth, color, 0, 0, 0]].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let first: (&[u8; 4], &[u8]) = (b"IHDR", &header);
    for (kind, data) in core::iter::once(&first).chain(chunks) {
        let body = [&kind[..], data].concat();
        file.extend(u32::try_from(data.len()).expect("short").to_be_bytes());
        file.extend(&body);
        file.extend(scrimp::model::crc32(&body).to_be_bytes());
    }
    file
}

/// Scanlines as a zlib stream that compresses nothing.
fn zlib(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("one block");
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in data {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    let [len, not] = [length.to_le_bytes(), (!length).to_le_bytes()];
    [&[0x78, 0x01, 1][..], &len, &not, data, &(b << 16 | a).to_be_bytes()].concat()
}

/// A JPEG file with this segment behind the start.
fn with_segment(jpeg: &[u8], marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).expect("short").to_be_bytes();
    [&jpeg[..2], &[0xFF, marker], &length, body, &jpeg[2..]].concat()
}

/// Only the start and the frame header of a JPEG file.
fn jpeg_header(width: u16, height: u16, components: u8) -> Vec<u8> {
    let [w, h] = [width.to_be_bytes(), height.to_be_bytes()];
    let mut body = [&[8][..], &h, &w, &[components]].concat();
    for component in 1..=components {
        body.extend([component, 0x11, 0]);
    }
    with_segment(&[0xFF, 0xD8], 0xC0, &body)
}

fn jpeg(image: &RgbImage) -> Vec<u8> {
    scrimp_cli::picture::encode(&image.clone().into(), image::ImageFormat::Jpeg, None).expect("a JPEG file")
}
