//! Limits of shapes, widths and stored weights: what stands exactly at a limit is taken, what stands one beyond is refused
//! with its name and both numbers.

use scrimp::bits::{Format, Layout, NEST_CAP, Weights, Width, double_round_masked, nest_planes, pack_s4, packed_words};
use scrimp::error::{Arg, Rule};
use scrimp::{Error, Rows};

const fn config(what: Rule) -> Error {
    Error::Config { what }
}

const fn too_large(what: Arg, max: usize, got: usize) -> Error {
    Error::TooLarge { what, max, got }
}

#[test]
fn rows() {
    assert_eq!(Rows::new(0, 1), Err(Error::Empty { what: Arg::Rows }));
    assert_eq!(Rows::new(1, 0), Err(Error::Empty { what: Arg::Cols }));
    assert_eq!(Rows::one(0), Err(Error::Empty { what: Arg::Cols }));
    let most = usize::MAX;
    assert_eq!(Rows::new(most, 1).map(Rows::elements), Ok(most));
    assert_eq!(Rows::new(most / 3, 3).map(Rows::elements), Ok(most / 3 * 3));
    assert_eq!(Rows::new(most / 3 + 1, 3), Err(too_large(Arg::Rows, most / 3, most / 3 + 1)));
    let rows = Rows::new(2, 3).unwrap();
    assert_eq!((rows.rows(), rows.cols(), rows.elements()), (2, 3, 6));
    for got in [0, 5, 7] {
        assert_eq!(rows.check(Arg::Mask, got), Err(Error::Length { what: Arg::Mask, want: 6, got }));
    }
    assert_eq!(rows.check(Arg::Mask, 6), Ok(()));
}

#[test]
fn widths() {
    assert_eq!([0, 1, 9, 255, u32::MAX].map(Width::from_bits), [None; 5]);
    assert_eq!([2, 3, 4, 5, 6, 7, 8].map(Width::from_bits), Width::ALL.map(Some));
    assert_eq!(Width::ALL.map(Width::bits), [2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(Width::ALL.map(Width::dropped), [6, 5, 4, 3, 2, 1, 0]);
}

#[test]
fn lengths_and_codes_of_weights() {
    let shape = Rows::new(3, 3).unwrap();
    let (codes, bytes) = ([0i8; 10], [0u8; 6]);
    let error = |what, want, got| Some(Error::Length { what, want, got });
    for got in [8, 10] {
        assert_eq!(Weights::s8(&codes[..got], shape).err(), error(Arg::Weights, 9, got));
        assert_eq!(Weights::raw8(&codes[..got], shape).err(), error(Arg::Weights, 9, got));
    }
    for got in [4, 6] {
        assert_eq!(Weights::s4(&bytes[..got], shape).err(), error(Arg::Weights, 5, got));
        assert_eq!(Weights::nest(&bytes[..got], &bytes[..5], shape).err(), error(Arg::Weights, 5, got));
        assert_eq!(Weights::nest(&bytes[..5], &bytes[..got], shape).err(), error(Arg::LowPlane, 5, got));
    }
    assert!(Weights::s4(&bytes[..5], shape).is_ok());
    assert!(Weights::nest(&bytes[..5], &[], shape).is_ok() && Weights::nest(&bytes[..5], &bytes[..5], shape).is_ok());

    let words = packed_words(Format::Nest84, Layout::Wide, shape);
    let of = |words: &[u32], low: &[u32], format, layout| Weights::packed(format, layout, words, low, shape).err();
    let held = vec![0u32; words + 1];
    assert_eq!(of(&held[..words], &held[..words], Format::Nest84, Layout::Wide), None);
    assert_eq!(of(&held[..words], &[], Format::Nest84, Layout::Wide), None);
    assert_eq!(of(&held[..words], &[], Format::Nest84, Layout::Rows), Some(config(Rule::Layout)));
    for got in [words - 1, words + 1] {
        assert_eq!(of(&held[..got], &[], Format::Nest84, Layout::Wide), error(Arg::Weights, words, got));
        assert_eq!(of(&held[..words], &held[..got], Format::Nest84, Layout::Wide), error(Arg::LowPlane, words, got));
    }
    // A lower plane of what has none.
    let words = packed_words(Format::S8, Layout::Dsp, shape);
    assert_eq!(of(&vec![0; words], &[0], Format::S8, Layout::Dsp), error(Arg::LowPlane, 0, 1));

    // The largest code that nests, and one above.
    let mut planes = ([7u8; 1], [7u8; 1]);
    assert_eq!(nest_planes(&[NEST_CAP, -128], &mut planes.0, &mut planes.1), Ok(()));
    let mut planes = ([7u8; 1], [7u8; 1]);
    assert_eq!(nest_planes(&[NEST_CAP, NEST_CAP + 1], &mut planes.0, &mut planes.1), Err(config(Rule::NestCap)));
    assert_eq!(planes, ([7], [7]));
    for (high, low, what) in [(0, 1, Arg::Weights), (2, 1, Arg::Weights), (1, 0, Arg::LowPlane), (1, 2, Arg::LowPlane)]
    {
        let (mut a, mut b) = (vec![7; high], vec![7; low]);
        let got = if what == Arg::Weights { high } else { low };
        assert_eq!(nest_planes(&[1, 2], &mut a, &mut b).err(), error(what, 1, got));
    }
    for got in [0, 2] {
        assert_eq!(pack_s4(&[1, 2], &mut vec![0; got]).err(), error(Arg::Weights, 1, got));
    }

    let shape = Rows::new(1, 2).unwrap();
    let words = packed_words(Format::Nest84, Layout::Dsp, shape);
    for (code, takes) in [(NEST_CAP, true), (NEST_CAP + 1, false), (127, false)] {
        let codes = [0, code];
        let raw = Weights::raw8(&codes, shape).unwrap();
        let (mut high, mut low) = (vec![7; words], vec![7; words]);
        let result = raw.pack_into(Format::Nest84, Layout::Dsp, Width::W8, &mut high, &mut low).map(drop);
        assert_eq!(result, if takes { Ok(()) } else { Err(config(Rule::NestCap)) }, "{code}");
        assert!(takes || high.iter().chain(&low).all(|&w| w == 7));
    }
    // Each width into each format that does not hold it, and a missing lower plane.
    let codes = [3i8, -3];
    let raw = Weights::raw8(&codes, shape).unwrap();
    for width in Width::ALL {
        let packs = |format, width| {
            let words = packed_words(format, Layout::Dsp, shape);
            let low = if format == Format::Nest84 { words } else { 0 };
            raw.pack_into(format, Layout::Dsp, width, &mut vec![0; words], &mut vec![0; low]).is_ok()
        };
        assert!(packs(Format::S8, width) && packs(Format::Raw8, width));
        assert_eq!(packs(Format::S4, width), width == Width::W4);
        assert_eq!(packs(Format::Nest84, width), width == Width::W8);
    }
    let error = raw.pack_into(Format::Nest84, Layout::Dsp, Width::W8, &mut vec![0; words], &mut []).err();
    assert_eq!(error, Some(Error::Length { what: Arg::LowPlane, want: words, got: 0 }));
    let s8 = Weights::s8(&codes, shape).unwrap();
    let words = packed_words(Format::S8, Layout::Dsp, shape);
    let error = s8.pack_into(Format::S8, Layout::Dsp, Width::W4, &mut vec![0; words], &mut []).err();
    assert_eq!(error, Some(config(Rule::BitWidth)));
    // Into RAM.
    for got in [1, 3] {
        let error = raw.switch_into(Width::W4, &mut vec![7; got]).err();
        assert_eq!(error, Some(Error::Length { what: Arg::Weights, want: 2, got }));
    }
    let mut ram = [7; 2];
    assert_eq!(s8.switch_into(Width::W4, &mut ram).err(), Some(config(Rule::BitWidth)));
    assert_eq!(ram, [7; 2]);
    // Outside the shape there is nothing.
    assert_eq!(
        [raw.code(Width::W8, 0, 1), raw.code(Width::W8, 0, 2), raw.code(Width::W8, 1, 0)],
        [Some(-3), None, None]
    );
    assert_eq!((s8.code(Width::W4, 0, 0), s8.sum(Width::W4, 0), s8.bytes_read(Width::W4)), (None, 0, 0));
    assert_eq!((raw.sum(Width::W8, 0), raw.sum(Width::W8, 1)), (0, 0));
    assert_eq!(
        raw.sum(Width::W6, 0),
        (i32::from(double_round_masked(3, Width::W6)) + i32::from(double_round_masked(-3, Width::W6)))
    );
}
