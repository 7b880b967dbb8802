//! What a caller can get wrong with LMD-ViT: an error that names it, and nothing written.

use scrimp::Error;
use scrimp::error::Arg;
use scrimp::lmdvit::{Config, Frame, LmdVit, Policy, Tile, Tiles, Workspace};
use scrimp::model::Model;

static MINI: &[u8] = scrimp::include_model!("vectors/lmdvit/mini.scrimp");
static PREDICTORS: &[u8] = scrimp::include_model!("vectors/lmdvit/mini_predictors.scrimp");
const SIDE: usize = 16;
const IMAGE: [u8; 3 * SIDE * SIDE] = [77; 3 * SIDE * SIDE];

/// How much each buffer is short of.
#[derive(Clone, Copy, Default)]
struct Short {
    features: usize,
    scratch: usize,
    cells: usize,
    out: usize,
}

fn run(model: &'static [u8], short: Short, previous: Option<Frame<'_>>, policy: Policy<'_>) -> Result<(), Error> {
    let net = LmdVit::new(&Model::from_bytes(model)?)?;
    let sizes = net.config().sizes(SIDE, SIDE)?;
    let (mut features, mut scratch) = (vec![0.0; sizes.features], vec![0.0; sizes.scratch]);
    let mut cells = vec![0; sizes.cells];
    let mut work = Workspace {
        features: &mut features[short.features..],
        scratch: &mut scratch[short.scratch..],
        cells: &mut cells[short.cells..],
    };
    let mut out = vec![0xA5; IMAGE.len() - short.out];
    let result = net.run(Frame::new(&IMAGE, SIDE, SIDE)?, previous, policy, &mut out, &mut work);
    assert!(result.is_ok() || out.iter().all(|&b| b == 0xA5), "the output was written before the error");
    result.map(drop)
}

#[test]
fn each_wrong_argument_is_named() {
    let length = |what, short: Short| match run(MINI, short, None, Policy::Own) {
        Err(Error::Length { what: named, want, got }) => {
            assert_eq!(named, what);
            assert_eq!(want, got + 1);
        }
        other => panic!("{other:?}"),
    };
    length(Arg::Features, Short { features: 1, ..Short::default() });
    length(Arg::Scratch, Short { scratch: 1, ..Short::default() });
    length(Arg::Cells, Short { cells: 1, ..Short::default() });
    length(Arg::Output, Short { out: 1, ..Short::default() });

    let none = Short::default();
    let other = Frame::new(&IMAGE, 8, 32).expect("a frame");
    let error = run(MINI, none, Some(other), Policy::All).expect_err("another size");
    assert_eq!(error.to_string(), "`previous` is 8 x 32 pixels, 16 x 16 needed");
    let same = Frame::new(&IMAGE, SIDE, SIDE).expect("a frame");
    let error = run(MINI, none, Some(same), Policy::Own).expect_err("no such net");
    assert_eq!(error.to_string(), "the model has no `mask_previous`");
    assert_eq!(run(MINI, none, Some(same), Policy::All), Ok(()));
    let error = run(MINI, none, None, Policy::Cells(&[1; 3])).expect_err("a short map");
    assert_eq!(error, Error::Length { what: Arg::Cells, want: 64, got: 3 });
    assert_eq!(run(PREDICTORS, none, None, Policy::Own), Ok(()));
}

#[test]
fn a_decision_alone_checks_the_same() {
    let decide = |model: &'static [u8], cells: usize| {
        let net = LmdVit::new(&Model::from_bytes(model)?)?;
        let sizes = net.config().sizes(SIDE, SIDE)?;
        let (mut features, mut scratch) = (vec![0.0; sizes.features], vec![0.0; sizes.scratch]);
        let mut bytes = vec![0; sizes.cells];
        let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut bytes };
        let mut map = vec![0xA5; cells];
        let result = net.decide(Frame::new(&IMAGE, SIDE, SIDE)?, None, &mut map, &mut work);
        assert!(result.is_ok() || map.iter().all(|&b| b == 0xA5));
        result.map(drop)
    };
    assert_eq!(decide(MINI, 64), Ok(()));
    assert_eq!(decide(MINI, 63), Err(Error::Length { what: Arg::Cells, want: 64, got: 63 }));
    assert_eq!(decide(PREDICTORS, 16), Err(Error::Missing { what: Arg::MaskNet }));
}

#[test]
fn frames_have_sides_and_all_their_bytes() {
    assert_eq!(Frame::new(&IMAGE, 0, 16).map(drop), Err(Error::Empty { what: Arg::Width }));
    assert_eq!(Frame::new(&IMAGE, 16, 0).map(drop), Err(Error::Empty { what: Arg::Height }));
    let large = Error::TooLarge { what: Arg::Width, max: Frame::MAX_SIDE, got: 65_536 };
    assert_eq!(Frame::new(&IMAGE, 65_536, 1).map(drop), Err(large));
    assert_eq!(Frame::new(&IMAGE, 16, 17).map(drop), Err(Error::Length { what: Arg::Image, want: 816, got: 768 }));
    let config = Config::of_model(MINI).expect("a configuration");
    for (width, height) in [(1, 1), (65_535, 1), (1, 65_535), (65_535, 65_535)] {
        assert!(config.sizes(width, height).is_ok(), "{width} x {height}");
    }
}

#[test]
fn no_accessor_panics_whatever_a_configuration_holds() {
    let mut config = Config::of_model(MINI).expect("a configuration");
    for bad in [0, 1, 3, 5, 255, usize::MAX] {
        config.levels = bad;
        config.window = bad;
        config.space_to_depth = bad;
        config.widths = [bad; 5];
        config.depths = [bad; 9];
        config.heads = [bad; 9];
        config.ffn_ratio = bad;
        assert!(config.check().is_err());
        assert!(config.sizes(5, 5).is_err() && config.all_macs(5, 5).is_err());
        assert_eq!(config.tensors().count(), 0);
        for k in [0, 1, 8, 9, usize::MAX] {
            let _ = (config.level(k), config.width(k), config.is_decoder(k));
        }
        let _ = (config.stages(), config.cell(), config.unit(), config.reach(), config.tokens(), config.cells(7, 7));
        let _ = (config.in_channels(), config.out_channels(), config.to_bytes());
    }
}

#[test]
fn tiles_cover_every_pixel_once() {
    for (width, height, side, overlap) in [
        (1, 1, 1, 0),
        (7, 5, 1, 0),
        (100, 33, 33, 16),
        (34, 33, 33, 16),
        (300, 200, 128, 16),
        (129, 1, 128, 63),
        (9, 9, 8, 3),
    ] {
        let mut kept = vec![0; width * height];
        let image: Vec<u8> = (0..3 * width * height).map(|i| (i % 251) as u8).collect();
        let frame = Frame::new(&image, width, height).expect("a frame");
        let mut out = vec![0; image.len()];
        let tiles = Tiles::new(width, height, side, overlap).expect("tiles");
        let count = tiles.len();
        assert_eq!(tiles.clone().count(), count);
        for tile in tiles {
            assert!(tile.width <= side && tile.height <= side, "{tile:?}");
            let inner =
                |keep: usize, start: usize, edge| keep == start && start == 0 || keep - start >= overlap || edge;
            assert!(inner(tile.keep_x, tile.x, false) && inner(tile.keep_y, tile.y, false), "{tile:?}");
            for y in tile.keep_y..tile.keep_y + tile.keep_height {
                for x in tile.keep_x..tile.keep_x + tile.keep_width {
                    kept[y * width + x] += 1;
                }
            }
            let mut rgb = vec![0; 3 * tile.width * tile.height];
            tile.read(&frame, &mut rgb).expect("inside");
            tile.write(&rgb, &mut out, width).expect("inside");
        }
        assert!(kept.iter().all(|&times| times == 1), "{width} x {height}, {side}, {overlap}");
        assert_eq!(out, image);
    }
    assert_eq!(Tiles::new(9, 9, 0, 0).map(drop), Err(Error::Empty { what: Arg::Tile }));
    assert_eq!(Tiles::new(9, 9, 8, 4).map(drop), Err(Error::TooLarge { what: Arg::Overlap, max: 3, got: 4 }));
}

#[test]
fn a_tile_that_does_not_fit_is_refused() {
    let frame = Frame::new(&IMAGE, SIDE, SIDE).expect("a frame");
    let tile = Tile { x: 8, y: 0, width: 8, height: 4, keep_x: 9, keep_y: 1, keep_width: 7, keep_height: 3 };
    let mut rgb = [0xA5; 96];
    let mut out = [0xA5; 3 * SIDE * SIDE];
    assert_eq!(tile.read(&frame, &mut rgb), Ok(()));
    assert_eq!(tile.write(&rgb, &mut out, SIDE), Ok(()));
    let mut rgb = [0xA5; 96];
    let mut out = [0xA5; 3 * SIDE * SIDE];
    for bad in [Tile { x: 9, ..tile }, Tile { y: 13, ..tile }, Tile { width: usize::MAX, ..tile }] {
        assert!(bad.read(&frame, &mut rgb).is_err(), "{bad:?}");
    }
    for bad in [
        Tile { keep_x: 7, ..tile },
        Tile { keep_width: 8, ..tile },
        Tile { keep_height: 4, ..tile },
        Tile { keep_height: usize::MAX, ..tile },
        Tile { width: 7, ..tile },
    ] {
        assert!(bad.write(&rgb, &mut out, SIDE).is_err(), "{bad:?}");
    }
    assert!(tile.write(&rgb, &mut out[..96], SIDE).is_err(), "too few rows");
    assert!(tile.write(&rgb, &mut out[..97], SIDE).is_err(), "no whole rows");
    assert!(tile.write(&rgb, &mut out, 15).is_err(), "no whole rows");
    assert!(rgb.iter().chain(&out).all(|&b| b == 0xA5), "written before an error");
}
