//! Operators that move elements, and resizing: each element where its index says.

use scrimp::Error;
use scrimp::backend::Dispatch;
use scrimp::nn::{Align, Gather, Mirror, MirrorAxis, MirrorPad, Move, MoveAxis, ResizeBilinear, ResizeNearest};

use crate::Failure;
use crate::buffer::Guarded;

const SHAPE: [usize; 3] = [3, 4, 5];
const ELEMENTS: usize = 60;
/// Room for the largest output, and for the canaries.
const ROOM: usize = 260;

fn unexpected(_: Error) -> Failure {
    Failure::new("a right call is an error")
}

/// An element of the input; no two are equal.
const fn element(at: usize) -> i16 {
    (at as i16) * 7 - 90
}

/// Fails unless `y` is `of` its index in every place.
fn compare(y: &[i16], of: impl Fn(usize) -> i16) -> Result<(), Failure> {
    for (at, &got) in y.iter().enumerate() {
        if got != of(at) {
            return Err(Failure::new("another element").row(y.len(), 0).element(at, of(at).into(), got.into()));
        }
    }
    Ok(())
}

/// Runs a move inside canaries.
fn moved<const N: usize>(
    moved: Result<Move<N>, Error>,
    elements: usize,
    of: impl Fn(usize) -> i16,
) -> Result<(), Failure> {
    let moved = moved.map_err(unexpected)?;
    let mut x = Guarded::<i16, 70>::new(3, ELEMENTS);
    x.row().iter_mut().enumerate().for_each(|(at, x)| *x = element(at));
    let mut y = Guarded::<i16, ROOM>::new(5, elements);
    moved.run(x.row(), y.row()).map_err(unexpected)?;
    y.check()?;
    compare(y.row(), &of)?;
    // The same on bytes.
    let bytes: [i8; ELEMENTS] = core::array::from_fn(|at| element(at) as i8);
    let mut y = Guarded::<i8, ROOM>::new(3, elements);
    moved.run(&bytes, y.row()).map_err(unexpected)?;
    y.check()?;
    match y.row().iter().enumerate().find(|&(at, &got)| got != of(at) as i8) {
        None => Ok(()),
        Some((at, &got)) => Err(Failure::new("another byte").element(at, of(at).into(), got.into())),
    }
}

/// Slices, transpositions, padding, tiles and blocks.
pub(crate) fn moves<D: Dispatch>(_: D) -> Result<(), Failure> {
    let [a, b, c] = SHAPE;
    // The last axis backwards, every second row.
    moved(Move::slice(SHAPE, [0, 1, 4], [1, 2, -1], [a, 2, c]), a * 2 * c, |at| {
        let (i, j, k) = (at / (2 * c), at / c % 2, at % c);
        element((i * b + 2 * j + 1) * c + 4 - k)
    })?;
    // One piece.
    moved(Move::slice(SHAPE, [1, 0, 0], [1; 3], [2, b, c]), 2 * b * c, |at| element(at + b * c))?;
    moved(Move::transpose(SHAPE, [2, 0, 1]), ELEMENTS, |at| {
        let (k, i, j) = (at / (a * b), at / b % a, at % b);
        element((i * b + j) * c + k)
    })?;
    moved(Move::transpose(SHAPE, [1, 0, 2]), ELEMENTS, |at| {
        let (j, i, k) = (at / (a * c), at / c % a, at % c);
        element((i * b + j) * c + k)
    })?;
    // Twice along the first and along the last axis.
    let axis = |count, x, y| MoveAxis { count, x, y };
    let twice = [axis(2, 0, 2 * ELEMENTS), axis(a * b, c as isize, 2 * c), axis(2, 0, c)];
    moved(Move::new(twice, c, [0, ELEMENTS], [0, 4 * ELEMENTS]), 4 * ELEMENTS, |at| {
        element(at % (2 * ELEMENTS) / (2 * c) * c + at % c)
    })?;
    moved(Move::space_to_depth([1, 2, 6, 5], 2), ELEMENTS, |at| {
        let (col, tap, k) = (at / 20, at / 5 % 4, at % 5);
        element((tap / 2 * 6 + 2 * col + tap % 2) * 5 + k)
    })?;
    moved(Move::depth_to_space([1, 1, 3, 20], 2), ELEMENTS, |at| {
        let (row, col, k) = (at / 30, at / 5 % 6, at % 5);
        element(col / 2 * 20 + (row * 2 + col % 2) * 5 + k)
    })?;
    padded()?;
    gathered()
}

fn padded() -> Result<(), Failure> {
    let x: [i16; 6] = core::array::from_fn(element);
    let mut y = Guarded::<i16, ROOM>::new(7, 4 * 5);
    let place = Move::place([2, 3], [4, 5], [1, 2]).map_err(unexpected)?;
    place.run_filled(-1, &x, y.row()).map_err(unexpected)?;
    y.check()?;
    compare(y.row(), |at| {
        let (row, col) = (at / 5, at % 5);
        if (1..3).contains(&row) && col >= 2 { element((row - 1) * 3 + col - 2) } else { -1 }
    })?;
    for (mirror, want) in [(Mirror::Reflect, [2, 1, 0, 1, 2, 1, 0]), (Mirror::Symmetric, [1, 0, 0, 1, 2, 2, 1])] {
        let axes = [MirrorAxis { count: 2, before: 1, after: 0 }, MirrorAxis { count: 3, before: 2, after: 2 }];
        let pad = MirrorPad::new(axes, mirror).map_err(unexpected)?;
        let mut y = Guarded::<i16, ROOM>::new(1, 3 * 7);
        pad.run(&x, y.row()).map_err(unexpected)?;
        y.check()?;
        let above = usize::from(mirror == Mirror::Reflect);
        compare(y.row(), |at| {
            let row = if at < 7 { above } else { at / 7 - 1 };
            element(row * 3 + want[at % 7])
        })?;
    }
    Ok(())
}

fn gathered() -> Result<(), Failure> {
    let x: [i16; 24] = core::array::from_fn(element);
    let gather = Gather::new(2, 2, 3, 2, 2).map_err(unexpected)?;
    let mut y = Guarded::<i16, ROOM>::new(2, 16);
    gather.run(&x, &[2, -5, 1, 9], y.row()).map_err(unexpected)?;
    y.check()?;
    let places = [2, 0, 1, 2];
    compare(y.row(), |at| {
        let (batch, outer, index, inner) = (at / 8, at / 4 % 2, at / 2 % 2, at % 2);
        element((batch * 2 + outer) * 6 + places[batch * 2 + index] * 2 + inner)
    })
}

/// Nearest pixels and means of four.
pub(crate) fn resize<D: Dispatch>(d: D) -> Result<(), Failure> {
    let centers = Align { corners: false, half_pixel_centers: true };
    let x: [i16; 24] = core::array::from_fn(element);
    let nearest = ResizeNearest::new([1, 3, 4, 2], [5, 7], centers).map_err(unexpected)?;
    let mut y = Guarded::<i16, ROOM>::new(3, 70);
    nearest.run(&x, y.row()).map_err(unexpected)?;
    y.check()?;
    let (rows, cols) = ([0, 0, 1, 2, 2], [0, 0, 1, 2, 2, 3, 3]);
    compare(y.row(), |at| element(rows[at / 14] * 8 + cols[at / 2 % 7] * 2 + at % 2))?;
    // 41 * f32(2 / 82) is less than 1.
    let nearest = ResizeNearest::new([1, 1, 2, 1], [1, 82], Align::default()).map_err(unexpected)?;
    let mut y = Guarded::<i16, ROOM>::new(1, 82);
    nearest.run(&x[..2], y.row()).map_err(unexpected)?;
    compare(y.row(), |at| element(usize::from(at > 41)))?;

    let corners = Align { corners: true, half_pixel_centers: false };
    for (align, want) in [(centers, [0, 16, 48, 80, 111, 127]), (corners, [0, 26, 51, 77, 102, 127])] {
        let bilinear = ResizeBilinear::new([1, 1, 3, 1], [2, 6], align).map_err(unexpected)?;
        let mut y = Guarded::<i8, ROOM>::new(5, 12);
        bilinear.run_on(d, &[0, 64, 127], y.row()).map_err(unexpected)?;
        y.check()?;
        for (at, &got) in y.row().iter().enumerate() {
            let want = want[at % 6];
            if got != want {
                return Err(Failure::new("another mean").element(at, want.into(), got.into()));
            }
        }
        let wide = [0, 64 << 8, 127 << 8];
        let mut y = Guarded::<i16, ROOM>::new(5, 12);
        bilinear.run_on(d, &wide, y.row()).map_err(unexpected)?;
        y.check()?;
        for (at, &got) in y.row().iter().enumerate() {
            if (got - (i16::from(want[at % 6]) << 8)).abs() > 128 {
                return Err(Failure::new("another mean of i16").element(at, want[at % 6].into(), got.into()));
            }
        }
    }
    Ok(())
}
