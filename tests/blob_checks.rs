//! Every refusal of the blob reader by itself: a blob of one tensor, made here by hand from the format's table in
//! `scrimp::model`, with one field changed. What stands at a limit is read; what stands one beyond is refused with the check
//! and the place.

use scrimp::Error;
use scrimp::error::Check;
use scrimp::model::{Aligned, Element, HEADER, Model, RECORD, SECTION, crc32};

/// Offsets of the blob below.
const TABLE: usize = HEADER;
const CONF: usize = TABLE + 4 * SECTION;
const TENS: usize = CONF + 16;
const NAME: usize = TENS + RECORD;
const DATA: usize = NAME + 16;
const END: usize = DATA + 32;

/// Fields of a record.
const NAME_AT: usize = TENS;
const NAME_LENGTH: usize = TENS + 4;
const ELEMENT: usize = TENS + 6;
const RANK: usize = TENS + 7;
const SHAPE: usize = TENS + 8;
const DATA_AT: usize = TENS + 24;
const DATA_LENGTH: usize = TENS + 28;
const SCALES_AT: usize = TENS + 32;
const SCALES: usize = TENS + 36;
const WIDTHS: usize = TENS + 40;
const ZEROS: usize = TENS + 41;

/// Fields of a section's entry in the table.
const fn offset_of(section: usize) -> usize {
    TABLE + section * SECTION + 4
}

const fn length_of(section: usize) -> usize {
    TABLE + section * SECTION + 8
}

/// Room for a blob, aligned, and one byte more.
type Room = Aligned<[u8; END + 64]>;

/// One tensor "net/w" of 2 x 3 signed bytes with three scales, readable at 8 and 4 bits.
#[derive(Clone)]
struct Blob {
    room: Box<Room>,
    length: usize,
}

impl Blob {
    fn new() -> Self {
        let mut blob = Self { room: Box::new(Aligned([0; END + 64])), length: END };
        blob.bytes()[..8].copy_from_slice(b"scrimp\x1a\n");
        blob.put(8, 1);
        blob.put(12, END as u32);
        blob.put(20, 4);
        for (i, (kind, offset, length)) in
            [(*b"CONF", CONF, 16), (*b"TENS", TENS, RECORD), (*b"NAME", NAME, 5), (*b"DATA", DATA, 32)]
                .into_iter()
                .enumerate()
        {
            let at = TABLE + i * SECTION;
            blob.bytes()[at..at + 4].copy_from_slice(&kind);
            blob.put(at + 4, offset as u32);
            blob.put(at + 8, length as u32);
        }
        blob.bytes()[NAME_LENGTH] = 5;
        blob.bytes()[ELEMENT] = Element::I8 as u8;
        blob.bytes()[RANK] = 2;
        for (i, extent) in [2, 3, 1, 1].into_iter().enumerate() {
            blob.put(SHAPE + 4 * i, extent);
        }
        blob.put(DATA_LENGTH, 6);
        blob.put(SCALES_AT, 16);
        blob.put(SCALES, 3);
        blob.bytes()[WIDTHS] = 0b1000_1000;
        blob.bytes()[NAME..NAME + 5].copy_from_slice(b"net/w");
        blob.bytes()[DATA..DATA + 6].copy_from_slice(&[1, 2, 3, 4, 5, 0xFA]);
        for (i, scale) in [0.5f32, 1.0, 2.0].into_iter().enumerate() {
            blob.put(DATA + 16 + 4 * i, scale.to_bits());
        }
        blob
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.room.0
    }

    fn put(&mut self, at: usize, value: u32) {
        self.bytes()[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// Sealed with the right checksum.
    fn sealed(mut self) -> Self {
        let crc = crc32(self.room.0.get(20..self.length).unwrap_or(&[]));
        self.put(16, crc);
        self
    }

    fn read(&self) -> Result<Model<'_>, Error> {
        Model::from_bytes(&self.room.0[..self.length])
    }
}

/// The blob with a change, sealed.
fn with(change: impl FnOnce(&mut Blob)) -> Blob {
    let mut blob = Blob::new();
    change(&mut blob);
    blob.sealed()
}

/// It is refused, with or without the checksum.
#[track_caller]
fn refused(check: Check, at: usize, change: impl FnOnce(&mut Blob)) {
    let blob = with(change);
    let error = Some(Error::Blob { check, at });
    assert_eq!(blob.read().err(), error);
    assert_eq!(Model::from_bytes_trusted(&blob.room.0[..blob.length]).err(), error, "without the checksum");
}

#[track_caller]
fn taken(change: impl FnOnce(&mut Blob)) {
    with(change).read().expect("nothing is wrong with it");
}

#[test]
fn the_blob_itself_is_read() {
    let blob = Blob::new().sealed();
    let model = blob.read().unwrap();
    assert_eq!((model.len(), model.is_empty(), model.size()), (1, false, END));
    assert_eq!(model.config(), [0; 16]);
    let tensor = model.tensor(0).unwrap();
    assert_eq!((tensor.name(), tensor.element(), tensor.shape()), ("net/w", Element::I8, &[2, 3][..]));
    assert_eq!(tensor.as_i8(), Some(&[1, 2, 3, 4, 5, -6][..]));
    assert_eq!((tensor.as_f32(), tensor.bytes().len()), (None, 6));
    assert_eq!(tensor.scales().iter().map(|s| s.to_bits()).collect::<Vec<_>>(), [0.5f32, 1.0, 2.0].map(f32::to_bits));
    assert_eq!(
        [0, 1, 3, 4, 5, 7, 8, 9, 255].map(|bits| tensor.reads_at(bits)),
        [false, false, false, true, false, false, true, false, false]
    );
    assert!(model.tensor(1).is_none() && model.tensor(usize::MAX).is_none());
    assert_eq!(model.tensors().map(|t| t.name()).collect::<Vec<_>>(), ["net/w"]);
    assert!(format!("{model:?}").contains("tensors: 1"));
}

#[test]
fn truncated() {
    for length in 0..HEADER {
        refused(Check::Truncated, length, |b| b.length = length);
    }
    // A header alone is long enough for this check; the next says what is wrong.
    refused(Check::Length, 12, |b| b.length = HEADER);
}

#[test]
fn magic() {
    for i in 0..8 {
        refused(Check::Magic, 0, |b| b.bytes()[i] ^= 0x20);
    }
}

#[test]
fn version() {
    for version in [0, 2, 0x101, 0x0100_0000] {
        refused(Check::Version, 8, |b| b.put(8, version));
    }
}

#[test]
fn length() {
    for length in [END as u32 - 1, END as u32 + 1, 0, u32::MAX] {
        refused(Check::Length, 12, |b| b.put(12, length));
    }
    refused(Check::Length, 12, |b| b.length -= 1);
    refused(Check::Length, 12, |b| b.length += 1);
}

#[test]
fn alignment() {
    let blob = Blob::new().sealed();
    let mut shifted = Box::new(Aligned([0u8; END + 64]));
    for by in 1..32 {
        shifted.0[by..by + END].copy_from_slice(&blob.room.0[..END]);
        let got = Model::from_bytes(&shifted.0[by..by + END]).map(|model| model.len());
        let want = if by == 16 { Ok(1) } else { Err(Error::Blob { check: Check::Alignment, at: 0 }) };
        assert_eq!(got, want, "{by} bytes off");
    }
}

#[test]
fn crc() {
    // Any flipped bit behind the checksum, and any of the checksum.
    let good = Blob::new().sealed();
    for at in (16..20).chain([20, CONF, END - 1]) {
        for bit in 0..8 {
            let mut blob = good.clone();
            blob.bytes()[at] ^= 1 << bit;
            let want = if at == 20 { Check::SectionMissing } else { Check::Crc };
            let place = if at == 20 { 20 } else { 16 };
            assert_eq!(blob.read().err(), Some(Error::Blob { check: want, at: place }), "byte {at}, bit {bit}");
            // Nobody sees it without the checksum, as it is none of the structure.
            assert_eq!(Model::from_bytes_trusted(&blob.room.0[..END]).is_ok(), at != 20);
        }
    }
    // The bytes in front of it have their own checks; bytes 24 to 31 are only summed.
    let mut blob = good;
    blob.bytes()[31] = 1;
    assert_eq!(blob.read().err(), Some(Error::Blob { check: Check::Crc, at: 16 }));
}

#[test]
fn sections_missing() {
    for count in [0, 3, 5, u32::MAX] {
        refused(Check::SectionMissing, 20, |b| b.put(20, count));
    }
    for section in 0..4 {
        let at = TABLE + section * SECTION;
        for i in 0..4 {
            refused(Check::SectionMissing, at, |b| b.bytes()[at + i] ^= 1);
        }
    }
    // There twice.
    refused(Check::SectionMissing, TABLE + SECTION, |b| b.bytes()[TABLE + SECTION..][..4].copy_from_slice(b"CONF"));
}

#[test]
fn sections() {
    for section in 0..4 {
        let at = TABLE + section * SECTION;
        // Not at a multiple of 16.
        for by in [1, 4, 8, 15] {
            refused(Check::Section, at, |b| {
                let offset = [CONF, TENS, NAME, DATA][section] as u32;
                b.put(offset_of(section), offset + by);
                b.put(length_of(section), 0);
            });
        }
        // Over the one in front of it, or over the table.
        let before = [TABLE + 3 * SECTION, CONF, TENS + 32, NAME][section] as u32;
        refused(Check::Section, at, |b| b.put(offset_of(section), before));
        // Beyond the end, or beyond all numbers.
        refused(Check::Section, at, |b| b.put(length_of(section), (END + 1) as u32));
        refused(Check::Section, at, |b| b.put(length_of(section), u32::MAX));
        refused(Check::Section, at, |b| b.put(offset_of(section), END as u32 + 16));
        refused(Check::Section, at, |b| {
            b.put(offset_of(section), !15u32);
            b.put(length_of(section), u32::MAX);
        });
    }
    // Up to the last byte, and one beyond.
    taken(|b| b.put(length_of(3), 32));
    refused(Check::Section, TABLE + 3 * SECTION, |b| b.put(length_of(3), 33));
    // A section may be empty and stand at the end.
    taken(|b| {
        b.put(SCALES, 0);
        b.put(DATA_LENGTH, 6);
        b.put(offset_of(0), CONF as u32);
        b.put(length_of(0), 0);
    });
    // No whole number of records.
    for length in [1, RECORD as u32 - 1] {
        refused(Check::Section, TABLE + SECTION, |b| b.put(length_of(1), length));
    }
    taken(|b| b.put(length_of(1), 0));
}

#[test]
fn the_second_record_has_its_own_place() {
    // The same record twice, the second in what were the names; those follow.
    let two = |b: &mut Blob| {
        b.room.0.copy_within(NAME..END, NAME + RECORD);
        b.room.0.copy_within(TENS..NAME, NAME);
        b.length = END + RECORD;
        b.put(12, (END + RECORD) as u32);
        b.put(length_of(1), 2 * RECORD as u32);
        b.put(offset_of(2), (NAME + RECORD) as u32);
        b.put(offset_of(3), (DATA + RECORD) as u32);
    };
    assert_eq!(with(two).read().unwrap().tensors().count(), 2);
    refused(Check::Shape, TENS + RECORD, |b| {
        two(b);
        b.bytes()[RANK + RECORD] = 0;
    });
}

#[test]
fn elements() {
    for code in [7, 8, 127, 255] {
        refused(Check::Element, TENS, |b| b.bytes()[ELEMENT] = code);
    }
    // Bytes of 2 x 3 elements of each kind; one more or less is refused.
    for (element, bytes) in [
        (Element::F32, 24),
        (Element::I8, 6),
        (Element::U8, 6),
        (Element::I16, 12),
        (Element::I32, 24),
        (Element::I4, 3),
        (Element::Nested, 6),
    ] {
        assert_eq!(element.bytes(6), Some(bytes));
        let change = |b: &mut Blob, bytes: usize| {
            b.bytes()[ELEMENT] = element as u8;
            b.bytes()[WIDTHS] = 0;
            b.put(SCALES, 0);
            b.put(DATA_LENGTH, bytes as u32);
        };
        let blob = with(|b| change(b, bytes));
        let tensor = blob.read().unwrap().tensor(0).unwrap();
        assert_eq!((tensor.element(), tensor.bytes().len()), (element, bytes));
        assert_eq!(tensor.as_f32().is_some(), element == Element::F32);
        assert_eq!(tensor.as_i8().is_some(), element == Element::I8);
        refused(Check::Data, TENS, |b| change(b, bytes - 1));
        refused(Check::Data, TENS, |b| change(b, bytes + 1));
    }
    // Odd numbers of nibbles are rounded up, each plane by itself.
    assert_eq!((Element::I4.bytes(5), Element::Nested.bytes(5)), (Some(3), Some(6)));
    assert_eq!((Element::I4.bytes(0), Element::Nested.bytes(0)), (Some(0), Some(0)));
    let most = usize::MAX;
    assert_eq!(Element::F32.bytes(most / 4), Some(most & !3));
    assert_eq!((Element::F32.bytes(most / 4 + 1), Element::I32.bytes(most / 4 + 1)), (None, None));
    assert_eq!((Element::I16.bytes(most / 2), Element::I16.bytes(most / 2 + 1)), (Some(most - 1), None));
    assert_eq!((Element::I8.bytes(most), Element::U8.bytes(most)), (Some(most), Some(most)));
    assert_eq!((Element::I4.bytes(most), Element::Nested.bytes(most)), (Some(most / 2 + 1), None));
    assert_eq!(Element::Nested.bytes(most - 1), Some(most - 1));
}

#[test]
fn shapes() {
    for rank in [0, 5, 255] {
        refused(Check::Shape, TENS, |b| b.bytes()[RANK] = rank);
    }
    for axis in 0..4 {
        refused(Check::Shape, TENS, |b| b.put(SHAPE + 4 * axis, 0));
    }
    // Beyond the rank stand ones.
    refused(Check::Shape, TENS, |b| b.put(SHAPE + 8, 2));
    refused(Check::Shape, TENS, |b| b.put(SHAPE + 12, 2));
    refused(Check::Shape, TENS, |b| b.bytes()[RANK] = 1);
    // Each rank, with the same six elements.
    for (rank, shape) in [(1, [6, 1, 1, 1]), (2, [2, 3, 1, 1]), (3, [1, 2, 3, 1]), (4, [1, 2, 1, 3])] {
        let blob = with(|b| {
            b.bytes()[RANK] = rank;
            b.put(SCALES, 1);
            for (i, extent) in shape.into_iter().enumerate() {
                b.put(SHAPE + 4 * i, extent);
            }
        });
        let model = blob.read().unwrap();
        let tensor = model.tensor(0).unwrap();
        assert_eq!(tensor.shape(), shape[..usize::from(rank)].iter().map(|&e| e as usize).collect::<Vec<_>>());
    }
    // More elements, or bytes, than there are numbers for.
    let wide = |b: &mut Blob, extents: [u32; 4]| {
        b.bytes()[RANK] = 4;
        b.bytes()[WIDTHS] = 0;
        b.put(SCALES, 0);
        for (i, extent) in extents.into_iter().enumerate() {
            b.put(SHAPE + 4 * i, extent);
        }
    };
    refused(Check::Shape, TENS, |b| wide(b, [u32::MAX; 4]));
    refused(Check::Shape, TENS, |b| {
        wide(b, [u32::MAX, u32::MAX, 1, 1]);
        b.bytes()[ELEMENT] = Element::F32 as u8;
    });
}

#[test]
fn names() {
    // Up to the end of the names, and one beyond.
    refused(Check::Name, TENS, |b| b.bytes()[NAME_LENGTH] = 6);
    refused(Check::Name, TENS, |b| b.put(NAME_AT, 1));
    refused(Check::Name, TENS, |b| b.put(NAME_AT, 6));
    refused(Check::Name, TENS, |b| b.put(NAME_AT, u32::MAX));
    refused(Check::Name, TENS, |b| b.bytes()[NAME_LENGTH + 1] = 1);
    taken(|b| {
        b.put(NAME_AT, 5);
        b.bytes()[NAME_LENGTH] = 0;
    });
    let blob = with(|b| {
        b.put(NAME_AT, 4);
        b.bytes()[NAME_LENGTH] = 1;
    });
    assert_eq!(blob.read().unwrap().tensor(0).unwrap().name(), "w");
    // No UTF-8, and UTF-8 that is no ASCII.
    refused(Check::Name, TENS, |b| b.bytes()[NAME] = 0xFF);
    refused(Check::Name, TENS, |b| b.bytes()[NAME..NAME + 2].copy_from_slice("é".as_bytes()));
}

#[test]
fn data() {
    for by in [1, 4, 8, 15] {
        refused(Check::Data, TENS, |b| b.put(DATA_AT, by));
    }
    // Where it still fits, and beyond.
    taken(|b| b.put(DATA_AT, 16));
    refused(Check::Data, TENS, |b| b.put(DATA_AT, 32));
    refused(Check::Data, TENS, |b| b.put(DATA_AT, !15u32));
    let ends_at = |b: &mut Blob, rows: u32| {
        b.put(DATA_AT, 16);
        b.put(SHAPE, rows);
        b.put(DATA_LENGTH, 4 * rows);
        b.put(SHAPE + 4, 4);
        b.put(SCALES, 1);
    };
    taken(|b| ends_at(b, 4));
    refused(Check::Data, TENS, |b| ends_at(b, 5));
    for length in [0, 5, 7, u32::MAX] {
        refused(Check::Data, TENS, |b| b.put(DATA_LENGTH, length));
    }
}

#[test]
fn quantization() {
    // None, one, or one for each of the last axis.
    for count in [0, 1, 3] {
        let blob = with(|b| b.put(SCALES, count));
        assert_eq!(blob.read().unwrap().tensor(0).unwrap().scales().len(), count as usize);
    }
    for count in [2, 4, u32::MAX, 0x4000_0000, 0x4000_0001] {
        refused(Check::Quantization, TENS, |b| b.put(SCALES, count));
    }
    // The last of the rank, not the last of four.
    refused(Check::Quantization, TENS, |b| {
        b.bytes()[RANK] = 3;
    });
    // Scales are inside and aligned to an f32.
    taken(|b| b.put(SCALES_AT, 20));
    refused(Check::Quantization, TENS, |b| b.put(SCALES_AT, 24));
    for at in [17, 18, 19, u32::MAX, u32::MAX - 3] {
        refused(Check::Quantization, TENS, |b| b.put(SCALES_AT, at));
    }
    // f32 has none, and no widths.
    let f32s = |b: &mut Blob| {
        b.bytes()[ELEMENT] = Element::F32 as u8;
        b.bytes()[WIDTHS] = 0;
        b.put(SCALES, 0);
        b.put(DATA_LENGTH, 24);
    };
    taken(f32s);
    refused(Check::Quantization, TENS, |b| {
        f32s(b);
        b.put(SCALES, 1);
    });
    // Only signed bytes and nested nibbles are read at widths.
    for (element, bytes) in
        [(Element::F32, 24), (Element::U8, 6), (Element::I16, 12), (Element::I32, 24), (Element::I4, 3)]
    {
        refused(Check::Quantization, TENS, |b| {
            f32s(b);
            b.bytes()[ELEMENT] = element as u8;
            b.put(DATA_LENGTH, bytes);
            b.bytes()[WIDTHS] = 1 << 7;
        });
    }
    taken(|b| b.bytes()[ELEMENT] = Element::Nested as u8);
    for at in ZEROS..TENS + RECORD {
        refused(Check::Quantization, TENS, |b| b.bytes()[at] = 1);
    }
}
