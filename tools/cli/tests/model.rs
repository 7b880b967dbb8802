//! The model reader: every check by itself, then a million mutated blobs of a miniature network.

use std::collections::BTreeMap;

use scrimp::Error;
use scrimp::error::{Check, TensorFault};
use scrimp::lmdvit::{
    CONFIG_BYTES, CellNet, Cells, Config, Decision, Frame, LmdVit, MaskLayer, Padding, Policy, Skip, Workspace,
};
use scrimp::model::{Element, HEADER, Model, RECORD, SECTION, crc32};
use scrimp_cli::blob::{Bytes, Entry, seal, write};

/// A small generator of its own, so that a failure can be repeated (xorshift, Marsaglia 2003).
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0.wrapping_mul(0x9E37_79B1)
    }

    fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.next()) * n as u64) >> 32) as usize
    }
}

/// One level of two channels, windows of 2x2, one block: all parts of the network in less than 4 KiB.
fn tiny() -> Config {
    let mut layers = [MaskLayer::default(); 8];
    layers[0] = MaskLayer { kernel: 1, stride: 1, dilation: 1, outputs: 1 };
    let single = CellNet { threshold: 0.0, dilate: 0, layers, count: 1 };
    Config {
        space_to_depth: 1,
        levels: 1,
        widths: [2, 0, 0, 0, 0],
        depths: [1, 0, 0, 0, 0, 0, 0, 0, 0],
        heads: [1, 0, 0, 0, 0, 0, 0, 0, 0],
        window: 2,
        ffn_ratio: 1,
        skip: Skip::Add,
        down_kernel: 2,
        in_slope: 1.0,
        leff_padding: Padding::Zero,
        modulator: false,
        gate: false,
        motion: false,
        decision: Decision::Cells(Cells { single: Some(single), previous: None }),
    }
}

fn tiny_blob() -> Vec<u8> {
    let mut random = Random(1);
    let config = tiny();
    let entries: Vec<Entry> = config
        .tensors()
        .map(|spec| {
            let elements = spec.shape().iter().product();
            let data = (0..elements).map(|_| random.next() as f32 / 4e9 - 0.5).collect();
            Entry { name: spec.to_string(), shape: spec.shape().to_vec(), data }
        })
        .collect();
    write(&config.to_bytes(), &entries).expect("a small model")
}

fn error(blob: &[u8]) -> Error {
    Bytes::new(blob).model().map(drop).expect_err("it is broken")
}

fn put(blob: &mut [u8], at: usize, value: u32) {
    blob[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn get(blob: &[u8], at: usize) -> usize {
    u32::from_le_bytes(blob[at..at + 4].try_into().expect("four bytes")) as usize
}

#[test]
fn each_check_names_itself_and_its_place() {
    let good = tiny_blob();
    assert!(good.len() < 4096, "{} bytes", good.len());
    Bytes::new(&good).model().expect("it is sound");
    let records = get(&good, HEADER + SECTION + 4);
    // Each change is sealed with a right checksum, but for the last.
    type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);
    let cases: [(Damage<'_>, Check, usize); 15] = [
        (&|b| b.truncate(31), Check::Truncated, 31),
        (&|b| b[0] ^= 1, Check::Magic, 0),
        (&|b| put(b, 8, 2), Check::Version, 8),
        (&|b| b.truncate(1000), Check::Length, 12),
        (&|b| put(b, 20, 3), Check::SectionMissing, 20),
        (&|b| b[HEADER + SECTION] = b'X', Check::SectionMissing, HEADER + SECTION),
        (&|b| put(b, HEADER + 4, 8), Check::Section, HEADER),
        (&|b| put(b, HEADER + 8, u32::MAX), Check::Section, HEADER),
        (&|b| put(b, records, u32::MAX), Check::Name, records),
        (&|b| b[records + 6] = 200, Check::Element, records),
        (&|b| b[records + 7] = 5, Check::Shape, records),
        (&|b| put(b, records + 8, 0), Check::Shape, records),
        (&|b| put(b, records + 24, 8), Check::Data, records),
        (&|b| put(b, records + 36, 1), Check::Quantization, records),
        (&|b| put(b, records + RECORD + 28, 3), Check::Data, records + RECORD),
    ];
    for (i, (change, check, at)) in cases.iter().enumerate() {
        let mut blob = good.clone();
        change(&mut blob);
        seal(&mut blob);
        assert_eq!(error(&blob), Error::Blob { check: *check, at: *at }, "case {i}");
    }
    let mut flipped = good.clone();
    *flipped.last_mut().expect("not empty") ^= 0x10;
    assert_eq!(error(&flipped), Error::Blob { check: Check::Crc, at: 16 });
    let aligned = Bytes::new(&flipped);
    Model::from_bytes_trusted(aligned.bytes()).expect("without the checksum nobody sees it");

    let shifted = Bytes::new(&[&[0; 4], &good[..]].concat());
    let error = Model::from_bytes(&shifted.bytes()[4..]).map(drop).expect_err("misaligned");
    assert_eq!(error, Error::Blob { check: Check::Alignment, at: 0 });
    assert_eq!(error.to_string(), "the model is not aligned to 16 bytes (byte 0)");
}

#[test]
fn a_network_takes_only_its_own_tensors() {
    let config = tiny();
    let entries: Vec<Entry> = config
        .tensors()
        .map(|spec| {
            let elements = spec.shape().iter().product();
            Entry { name: spec.to_string(), shape: spec.shape().to_vec(), data: vec![0.5; elements] }
        })
        .collect();
    let fault = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = entries.clone();
        change(&mut entries);
        let bytes = Bytes::new(&write(&config.to_bytes(), &entries).expect("a model"));
        LmdVit::new(&bytes.model().expect("a model")).map(drop)
    };
    let tensor = |index, fault| Err(Error::Tensor { index, fault });
    let last = entries.len();
    assert_eq!(fault(&|_| ()), Ok(()));
    assert_eq!(fault(&|e| drop(e.pop())), tensor(last - 1, TensorFault::Missing));
    assert_eq!(fault(&|e| e.push(e[0].clone())), tensor(last, TensorFault::Surplus));
    assert_eq!(fault(&|e| e.swap(2, 3)), tensor(2, TensorFault::Name));
    assert_eq!(fault(&|e| e[1].name.push('x')), tensor(1, TensorFault::Name));
    assert_eq!(fault(&|e| assert!(e[1].name.pop().is_some())), tensor(1, TensorFault::Name));
    assert_eq!(fault(&|e| e[0].shape = vec![3]), tensor(0, TensorFault::Shape));
}

#[test]
fn a_configuration_survives_its_bytes() {
    let config = tiny();
    assert_eq!(Config::from_bytes(&config.to_bytes()), Ok(config));
    let blob = tiny_blob();
    assert_eq!(Config::of_model(&blob), Ok(config));
    for length in 0..HEADER + 4 * SECTION + CONFIG_BYTES {
        assert!(Config::of_model(&blob[..length]).is_err());
    }
}

#[test]
fn widths_and_scales_of_integers_are_read() {
    // The writer has only f32 yet; an i8 tensor with two scales by hand: 2x2, widths 8 and 4.
    let floats = Entry { name: "a".into(), shape: vec![2, 2], data: vec![0.0, 0.25, 4.0, 8.0] };
    let mut blob = write(&[], &[floats]).expect("a model");
    let record = get(&blob, HEADER + SECTION + 4);
    blob[record + 6] = Element::I8 as u8;
    put(&mut blob, record + 28, 4);
    put(&mut blob, record + 32, 8); // the scales are the third and fourth float
    put(&mut blob, record + 36, 2);
    blob[record + 40] = 0b1000_1000;
    seal(&mut blob);
    let bytes = Bytes::new(&blob);
    let tensor = bytes.model().expect("a model").tensor(0).expect("one tensor");
    assert_eq!((tensor.as_i8(), tensor.as_f32()), (Some(&[0i8; 4][..]), None));
    assert_eq!(tensor.scales(), [4.0, 8.0]);
    assert!(tensor.reads_at(8) && tensor.reads_at(4) && !tensor.reads_at(6));
}

/// Blobs tried; a million is what the promise says.
const TRIES: usize = 1_000_000;

#[test]
fn a_million_mutated_blobs_are_refused_or_run() {
    let good = tiny_blob();
    let mut random = Random(0x5C21_3B77);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut image = [0; 3 * 3 * 3];
    let mut buffer = Bytes::new(&[0; 4096 + 16]);
    for _ in 0..TRIES {
        let mut blob = good.clone();
        for _ in 0..=random.below(3) {
            mutate(&mut blob, &mut random);
        }
        if random.below(10) > 0 && blob.len() >= 20 {
            let length = blob.len() as u32;
            put(&mut blob, 12, length);
            seal(&mut blob);
        }
        // Now and then at an odd address.
        let offset = if random.below(50) == 0 { 1 + random.below(15) } else { 0 };
        let place = buffer.bytes_mut();
        place[offset..offset + blob.len()].copy_from_slice(&blob);
        let bytes = &buffer.bytes()[offset..offset + blob.len()];
        let outcome = match Model::from_bytes(bytes) {
            Err(Error::Blob { check, .. }) => format!("{check:?}"),
            Err(other) => format!("reader: {other:?}"),
            Ok(model) => match LmdVit::new(&model) {
                Err(Error::Tensor { fault, .. }) => format!("tensor {fault:?}"),
                Err(Error::Config { what }) => format!("config {what:?}"),
                Err(other) => format!("network: {other:?}"),
                Ok(net) => {
                    for byte in &mut image {
                        *byte = random.next() as u8;
                    }
                    run(&net, &image);
                    "ran".into()
                }
            },
        };
        *seen.entry(outcome).or_default() += 1;
    }
    println!("{seen:#?}");
    let all = [
        "Truncated",
        "Magic",
        "Version",
        "Length",
        "Alignment",
        "Crc",
        "Section",
        "SectionMissing",
        "Element",
        "Shape",
        "Data",
        "Name",
        "Quantization",
        "ran",
    ];
    for outcome in all {
        assert!(seen.contains_key(outcome), "{outcome} was never seen: {seen:#?}");
    }
}

fn mutate(blob: &mut Vec<u8>, random: &mut Random) {
    if blob.len() < 8 {
        return;
    }
    // Half of the changes go where structure is: header, table, configuration, records.
    let front = blob.len().min(HEADER + 4 * SECTION + 208 + 23 * RECORD);
    let span = if random.below(2) == 0 { front } else { blob.len() };
    let at = random.below(span);
    match random.below(8) {
        0 => blob[at] ^= 1 << random.below(8),
        1 => blob[at] = random.next() as u8,
        2 | 3 => {
            let values = [0, 1, 3, 5, 15, 16, 255, 4095, 0x7FFF_FFFF, 0x8000_0000, u32::MAX, random.next()];
            let at = (at & !3).min(blob.len() - 4);
            put(blob, at, values[random.below(values.len())]);
        }
        4 => {
            // A field of a record becomes that of another.
            let first = HEADER + 4 * SECTION + 208;
            let record = |r: usize| first + r * RECORD;
            let (a, b, field) = (random.below(23), random.below(23), 4 * random.below(RECORD / 4));
            if record(23) <= blob.len() {
                let value = get(blob, record(a) + field) as u32;
                put(blob, record(b) + field, value);
            }
        }
        5 if random.below(20) == 0 => blob.truncate(at),
        6 => blob.extend((0..random.below(32)).map(|i| i as u8)),
        _ => blob[at] = blob[at].wrapping_add(1),
    }
    blob.truncate(4096);
}

fn run(net: &LmdVit<'_>, image: &[u8]) {
    let frame = Frame::new(image, 3, 3).expect("a frame");
    let sizes = net.config().sizes(3, 3).expect("sizes");
    let (mut features, mut scratch) = (vec![0.0; sizes.features], vec![0.0; sizes.scratch]);
    let mut cells = vec![0; sizes.cells];
    let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut cells };
    let mut out = vec![0; image.len()];
    for policy in [Policy::Own, Policy::All] {
        net.run(frame, None, policy, &mut out, &mut work).expect("after `new` only lengths can be wrong");
    }
}

#[test]
fn the_checksum_is_the_one_of_zip() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(crc32(b""), 0);
}
