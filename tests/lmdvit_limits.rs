//! Limits of LMD-ViT's configuration, frames and tiles: what stands exactly at a limit is taken, what stands one beyond is
//! refused by the rule that it breaks.

use scrimp::Error;
use scrimp::error::{Arg, Rule};
use scrimp::lmdvit::{
    CellNet, Cells, Config, Decision, Frame, MAX_LEVELS, MAX_MASK_LAYERS, MAX_STAGES, MaskLayer, Padding, Skip, Tiles,
};

const fn conv(kernel: usize, stride: usize, dilation: usize, outputs: usize) -> MaskLayer {
    MaskLayer { kernel, stride, dilation, outputs }
}

/// A mask net of these layers.
fn net(of: &[MaskLayer]) -> CellNet {
    let mut layers = [MaskLayer::default(); MAX_MASK_LAYERS];
    layers[..of.len()].copy_from_slice(of);
    CellNet { threshold: 0.0, dilate: 0, layers, count: of.len() }
}

/// Two levels, three stages, windows of 4x4, cells of 2x2 pixels.
fn config() -> Config {
    let single = net(&[conv(2, 2, 1, 1)]);
    Config {
        space_to_depth: 1,
        levels: 2,
        widths: [4, 8, 0, 0, 0],
        depths: [1, 1, 1, 0, 0, 0, 0, 0, 0],
        heads: [1, 2, 1, 0, 0, 0, 0, 0, 0],
        window: 4,
        ffn_ratio: 1,
        skip: Skip::Add,
        down_kernel: 2,
        in_slope: 0.5,
        leff_padding: Padding::Zero,
        modulator: false,
        gate: false,
        motion: false,
        decision: Decision::Cells(Cells { single: Some(single), previous: None }),
    }
}

fn checked(change: impl FnOnce(&mut Config)) -> Result<(), Error> {
    let mut config = config();
    change(&mut config);
    let result = config.check();
    if result.is_ok() {
        assert_eq!(Config::from_bytes(&config.to_bytes()), Ok(config), "it does not survive its bytes");
    }
    result
}

#[track_caller]
fn taken(change: impl FnOnce(&mut Config)) {
    assert_eq!(checked(change), Ok(()));
}

#[track_caller]
fn refused(what: Rule, change: impl FnOnce(&mut Config)) {
    assert_eq!(checked(change), Err(Error::Config { what }));
}

#[test]
fn numbers_of_the_network() {
    taken(|_| ());
    taken(|c| {
        c.space_to_depth = 2;
        c.decision = Decision::Cells(Cells { single: Some(net(&[conv(4, 4, 1, 1)])), previous: None });
    });
    for bad in [0, 3, usize::MAX] {
        refused(Rule::SpaceToDepth, |c| c.space_to_depth = bad);
    }
    for bad in [0, MAX_LEVELS + 1, usize::MAX] {
        refused(Rule::Levels, |c| c.levels = bad);
    }
    taken(|c| {
        c.levels = MAX_LEVELS;
        c.widths = [4; MAX_LEVELS];
        c.depths = [1; MAX_STAGES];
        c.heads = [1; MAX_STAGES];
    });
    taken(|c| {
        c.levels = 1;
        c.widths = [4, 0, 0, 0, 0];
        c.depths = [1, 0, 0, 0, 0, 0, 0, 0, 0];
        c.heads = [1, 0, 0, 0, 0, 0, 0, 0, 0];
    });
    let windows = |c: &mut Config, window| {
        c.window = window;
        let side = window / 2;
        c.decision = Decision::Cells(Cells { single: Some(net(&[conv(side, side, 1, 1)])), previous: None });
    };
    for window in [2, 4, 16] {
        taken(|c| windows(c, window));
    }
    for window in [0, 1, 3, 15, 17, 18, usize::MAX] {
        refused(Rule::Window, |c| windows(c, window));
    }
    for ratio in [1, 8] {
        taken(|c| c.ffn_ratio = ratio);
    }
    for ratio in [0, 9, usize::MAX] {
        refused(Rule::FfnRatio, |c| c.ffn_ratio = ratio);
    }
    for kernel in [2, 4] {
        taken(|c| c.down_kernel = kernel);
    }
    for kernel in [0, 1, 3, 5, usize::MAX] {
        refused(Rule::DownKernel, |c| c.down_kernel = kernel);
    }
    for slope in [f32::MAX, -f32::MAX, 0.0] {
        taken(|c| c.in_slope = slope);
    }
    for slope in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        refused(Rule::Number, |c| c.in_slope = slope);
    }
}

#[test]
fn widths_depths_and_heads() {
    taken(|c| c.widths = [4096, 4096, 0, 0, 0]);
    taken(|c| c.widths = [1, 2, 0, 0, 0]);
    for widths in
        [[4097, 8, 0, 0, 0], [4, 4098, 0, 0, 0], [0, 8, 0, 0, 0], [4, 0, 0, 0, 0], [4, 8, 1, 0, 0], [4, 8, 0, 0, 8]]
    {
        refused(Rule::Width, |c| c.widths = widths);
    }
    for stage in 0..3 {
        taken(|c| c.depths[stage] = 255);
        for bad in [0, 256] {
            refused(Rule::Depth, |c| c.depths[stage] = bad);
        }
        for bad in [0, 256] {
            refused(Rule::Heads, |c| c.heads[stage] = bad);
        }
    }
    for stage in 3..MAX_STAGES {
        refused(Rule::Depth, |c| c.depths[stage] = 1);
        refused(Rule::Heads, |c| c.heads[stage] = 1);
    }
    taken(|c| {
        c.widths = [510, 8, 0, 0, 0];
        c.heads = [255, 8, 255, 0, 0, 0, 0, 0, 0];
    });
    // Heads divide the width of their stage; that of a decoder is twice as wide where the skip is put behind it.
    refused(Rule::Heads, |c| c.heads[0] = 3);
    refused(Rule::Heads, |c| c.heads[1] = 3);
    refused(Rule::Heads, |c| c.heads[2] = 8);
    taken(|c| {
        c.skip = Skip::Concat;
        c.heads[2] = 8;
    });
}

#[test]
fn numbers_of_decisions() {
    let predictors = |beta| move |c: &mut Config| c.decision = Decision::Predictors { beta };
    for beta in [f32::MIN_POSITIVE, 0.5, 1f32.next_down()] {
        taken(predictors(beta));
    }
    for beta in [0.0, -0.5, 1.0, f32::NAN, f32::INFINITY] {
        refused(Rule::Number, predictors(beta));
    }
    // A quarter of the width is at least 1, at every stage.
    for widths in [[3, 8, 0, 0, 0], [4, 2, 0, 0, 0]] {
        refused(Rule::Width, |c| {
            c.widths = widths;
            c.heads = [1, 1, 1, 0, 0, 0, 0, 0, 0];
            predictors(0.5)(c);
        });
    }
    taken(|c| {
        c.widths = [4, 4, 0, 0, 0];
        predictors(0.5)(c);
    });
}

/// A change of a mask net is looked at in both of them.
#[track_caller]
fn nets(of: &CellNet, want: Result<(), Rule>) {
    let want = want.map_err(|what| Error::Config { what });
    let good = net(&[conv(2, 2, 1, 1)]);
    let single = checked(|c| c.decision = Decision::Cells(Cells { single: Some(*of), previous: None }));
    let previous = checked(|c| c.decision = Decision::Cells(Cells { single: Some(good), previous: Some(*of) }));
    assert_eq!((single, previous), (want, want), "{of:?}");
}

#[test]
fn mask_nets() {
    let one = conv(1, 1, 1, 3);
    let last = conv(2, 2, 1, 1);
    let layer = Err(Rule::MaskLayer);
    for (threshold, want) in
        [(f32::MAX, Ok(())), (-f32::MAX, Ok(())), (f32::NAN, Err(Rule::Number)), (f32::INFINITY, Err(Rule::Number))]
    {
        nets(&CellNet { threshold, ..net(&[last]) }, want);
    }
    for (dilate, want) in [(8, Ok(())), (9, Err(Rule::Number)), (usize::MAX, Err(Rule::Number))] {
        nets(&CellNet { dilate, ..net(&[last]) }, want);
    }
    // As many layers as there is room for.
    let mut all = [one; MAX_MASK_LAYERS];
    all[MAX_MASK_LAYERS - 1] = last;
    nets(&net(&all), Ok(()));
    nets(&CellNet { count: MAX_MASK_LAYERS + 1, ..net(&all) }, layer);
    assert_eq!(
        checked(
            |c| c.decision = Decision::Cells(Cells { single: Some(CellNet { count: 0, ..net(&all) }), previous: None })
        ),
        Err(Error::Config { what: Rule::MaskLayer })
    );
    // Odd kernels up to 7, that step at most as far as they see and as 4; and kernels side by side up to 16.
    for (first, want) in [
        (conv(7, 1, 1, 3), Ok(())),
        (conv(9, 1, 1, 3), layer),
        (conv(3, 1, 16, 3), Ok(())),
        (conv(3, 1, 17, 3), layer),
        (conv(3, 1, 0, 3), layer),
        (conv(3, 1, 1, 1024), Ok(())),
        (conv(3, 1, 1, 1025), layer),
        (conv(3, 1, 1, 0), layer),
        (conv(2, 1, 1, 3), layer),
        (conv(0, 0, 1, 3), layer),
        (conv(3, 0, 1, 3), layer),
        (conv(1, 1, 2, 3), Ok(())),
    ] {
        nets(&net(&[first, last]), want);
    }
    // The strides make the side of a cell, which is 2 here.
    for (layers, want) in [
        (vec![conv(2, 2, 1, 1)], Ok(())),
        (vec![conv(3, 2, 1, 1)], Ok(())),
        (vec![conv(3, 1, 1, 1)], Err(Rule::CellSize)),
        (vec![conv(3, 3, 1, 1)], Err(Rule::CellSize)),
        (vec![conv(2, 2, 1, 3), conv(2, 2, 1, 1)], Err(Rule::CellSize)),
        (vec![conv(2, 2, 2, 1)], layer),
        (vec![conv(1, 2, 1, 1)], layer),
        (vec![conv(2, 2, 1, 2)], layer),
    ] {
        nets(&net(&layers), want);
    }
    // Larger cells: steps of 4 and 16.
    let cells_of = |side: usize, layers: &[MaskLayer]| {
        checked(|c| {
            c.window = 2 * side;
            c.decision = Decision::Cells(Cells { single: Some(net(layers)), previous: None });
        })
    };
    assert_eq!(cells_of(4, &[conv(5, 4, 1, 1)]), Ok(()));
    assert_eq!(cells_of(5, &[conv(5, 5, 1, 1)]), Ok(()), "side by side");
    assert_eq!(cells_of(5, &[conv(7, 5, 1, 1)]), Err(Error::Config { what: Rule::MaskLayer }));
    let wide = |side| {
        checked(|c| {
            c.space_to_depth = 2;
            c.window = 16;
            c.decision = Decision::Cells(Cells { single: Some(net(&[conv(side, side, 1, 1)])), previous: None });
        })
    };
    assert_eq!((wide(16), wide(17)), (Ok(()), Err(Error::Config { what: Rule::MaskLayer })));
}

#[test]
fn sides_of_frames() {
    const MOST: usize = Frame::MAX_SIDE;
    let bytes = vec![0u8; 3 * (MOST + 1)];
    let of = |width, height, length| Frame::new(&bytes[..length], width, height).map(drop);
    assert_eq!((of(MOST, 1, 3 * MOST), of(1, MOST, 3 * MOST)), (Ok(()), Ok(())));
    let error = |what| Err(Error::TooLarge { what, max: MOST, got: MOST + 1 });
    assert_eq!(of(MOST + 1, 1, 3 * (MOST + 1)), error(Arg::Width));
    assert_eq!(of(1, MOST + 1, 3 * (MOST + 1)), error(Arg::Height));
    for got in [3 * MOST - 1, 3 * MOST + 1] {
        assert_eq!(of(MOST, 1, got), Err(Error::Length { what: Arg::Image, want: 3 * MOST, got }));
    }
}

#[test]
fn sides_and_overlaps_of_tiles() {
    const MOST: usize = Frame::MAX_SIDE;
    let of = |width, height, side, overlap| Tiles::new(width, height, side, overlap).map(drop);
    assert_eq!(of(MOST, MOST, MOST, (MOST - 1) / 2), Ok(()));
    let error = |what| Err(Error::TooLarge { what, max: MOST, got: MOST + 1 });
    assert_eq!(of(MOST + 1, 1, 8, 0), error(Arg::Width));
    assert_eq!(of(1, MOST + 1, 8, 0), error(Arg::Height));
    assert_eq!(of(1, 1, MOST + 1, 0), error(Arg::Tile));
    for (side, most) in [(1, 0), (2, 0), (3, 1), (8, 3), (9, 4), (MOST, MOST / 2)] {
        assert_eq!(of(9, 9, side, most), Ok(()), "{side}");
        let error = Error::TooLarge { what: Arg::Overlap, max: most, got: most + 1 };
        assert_eq!(of(9, 9, side, most + 1), Err(error), "{side}");
    }
    assert_eq!(of(0, 9, 8, 0), Err(Error::Empty { what: Arg::Width }));
    assert_eq!(of(9, 0, 8, 0), Err(Error::Empty { what: Arg::Height }));
    assert_eq!(of(9, 9, 0, 0), Err(Error::Empty { what: Arg::Tile }));
}
