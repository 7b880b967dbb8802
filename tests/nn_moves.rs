//! Operators that only move elements, against index-by-index oracles, with every type of element.

use scrimp::error::{Arg, Rule};
use scrimp::nn::{
    Align, Gather, MOST_AXES, Mirror, MirrorAxis, MirrorPad, Move, MoveAxis, MoveElement, ResizeBilinear, ResizeNearest,
};
use scrimp::{Error, backend::Dispatch};
use scrimp_reference::{moves, resize};

/// A stream of numbers that every machine makes the same.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16
    }

    /// A number from `least` to `most`.
    fn of(&mut self, least: usize, most: usize) -> usize {
        least + self.next() as usize % (most - least + 1)
    }

    fn shape<const N: usize>(&mut self, most: usize) -> [usize; N] {
        core::array::from_fn(|_| self.of(1, most))
    }
}

/// As many different elements as a type has.
fn painted(n: usize) -> Vec<i16> {
    (0..n).map(|i| (i * 7919 % 65_521) as i16).collect()
}

/// Runs it on elements of every size, and compares with what the numbers of the elements say.
fn check<const N: usize>(moved: &Move<N>, elements: usize, want: &[i16], context: &str) {
    fn one<const N: usize, T: MoveElement + PartialEq + core::fmt::Debug>(
        moved: &Move<N>,
        elements: usize,
        want: &[i16],
        of: impl Fn(i16) -> T,
        context: &str,
    ) {
        let x: Vec<T> = painted(elements).into_iter().map(&of).collect();
        let mut y = vec![of(-1); want.len()];
        moved.run(&x, &mut y).unwrap();
        let want: Vec<T> = want.iter().map(|&w| of(w)).collect();
        assert_eq!(y, want, "{context}");
    }
    one(moved, elements, want, |v| v as i8, context);
    one(moved, elements, want, |v| v as u8, context);
    one(moved, elements, want, |v| v, context);
    one(moved, elements, want, i32::from, context);
    one(moved, elements, want, i64::from, context);
    one(moved, elements, want, f32::from, context);
}

fn elements(shape: &[usize]) -> usize {
    shape.iter().product()
}

fn random_slices<const N: usize>(noise: &mut Noise) {
    for _ in 0..120 {
        let shape: [usize; N] = noise.shape(if N > 4 { 4 } else { 7 });
        let (mut begin, mut step, mut count) = ([0; N], [1isize; N], [1; N]);
        for k in 0..N {
            begin[k] = noise.of(0, shape[k] - 1);
            step[k] = [1, 1, 2, 3, -1, -2][noise.of(0, 5)];
            let room = if step[k] > 0 { shape[k] - 1 - begin[k] } else { begin[k] };
            count[k] = noise.of(1, room / step[k].unsigned_abs() + 1);
        }
        let moved = Move::slice(shape, begin, step, count).unwrap();
        let want = moves::slice(&painted(elements(&shape)), &shape, &begin, &step, &count);
        check(&moved, elements(&shape), &want, &format!("{shape:?} {begin:?} {step:?} {count:?}"));
    }
}

#[test]
fn slices_of_all_ranks() {
    let mut noise = Noise(1);
    random_slices::<1>(&mut noise);
    random_slices::<2>(&mut noise);
    random_slices::<3>(&mut noise);
    random_slices::<4>(&mut noise);
    random_slices::<5>(&mut noise);
    random_slices::<6>(&mut noise);
}

fn random_places<const N: usize>(noise: &mut Noise) {
    for _ in 0..60 {
        let shape: [usize; N] = noise.shape(5);
        let around: Vec<[usize; 2]> = (0..N).map(|_| [noise.of(0, 2), noise.of(0, 2)]).collect();
        let whole = core::array::from_fn(|k| around[k][0] + shape[k] + around[k][1]);
        let moved = Move::place(shape, whole, core::array::from_fn(|k| around[k][0])).unwrap();
        // Without a value the rest stays as it was, here -1.
        let want = moves::pad(&painted(elements(&shape)), &shape, &around, -1);
        check(&moved, elements(&shape), &want, &format!("{shape:?} {around:?}"));
        let mut y = vec![7i16; want.len()];
        moved.run_filled(-1, &painted(elements(&shape)), &mut y).unwrap();
        assert_eq!(y, want);
    }
}

#[test]
fn places_in_something_larger() {
    let mut noise = Noise(2);
    random_places::<1>(&mut noise);
    random_places::<2>(&mut noise);
    random_places::<4>(&mut noise);
    random_places::<5>(&mut noise);
}

#[test]
fn concatenations() {
    let mut noise = Noise(3);
    for _ in 0..200 {
        let axis = noise.of(0, 3);
        let mut shape: [usize; 4] = noise.shape(4);
        let inputs: Vec<([usize; 4], Vec<i8>)> = (0..noise.of(1, 4))
            .map(|k| {
                shape[axis] = noise.of(1, 5);
                (shape, painted(elements(&shape)).iter().map(|&v| (v + 50 * k as i16) as i8).collect())
            })
            .collect();
        let views: Vec<(&[i8], &[usize])> = inputs.iter().map(|(shape, x)| (&x[..], &shape[..])).collect();
        let want = moves::concat(&views, axis);
        let mut whole = shape;
        whole[axis] = inputs.iter().map(|(shape, _)| shape[axis]).sum();
        let mut y = vec![0; want.len()];
        let mut at = [0; 4];
        for (shape, x) in &inputs {
            Move::place(*shape, whole, at).unwrap().run(x, &mut y).unwrap();
            at[axis] += shape[axis];
        }
        assert_eq!(y, want, "{inputs:?} along {axis}");
    }
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let shorter = permutations(n - 1);
    (0..n).flat_map(|at| shorter.iter().map(move |p| [&p[..at], &[n - 1], &p[at..]].concat())).collect()
}

fn all_transpositions<const N: usize>(noise: &mut Noise) {
    for order in permutations(N) {
        let shape: [usize; N] = noise.shape(5);
        let order: [usize; N] = order.try_into().unwrap();
        let moved = Move::transpose(shape, order).unwrap();
        let want = moves::transpose(&painted(elements(&shape)), &shape, &order);
        check(&moved, elements(&shape), &want, &format!("{shape:?} {order:?}"));
    }
}

#[test]
fn every_transposition_to_rank_5() {
    let mut noise = Noise(4);
    all_transpositions::<1>(&mut noise);
    all_transpositions::<2>(&mut noise);
    all_transpositions::<3>(&mut noise);
    all_transpositions::<4>(&mut noise);
    all_transpositions::<5>(&mut noise);
}

#[test]
fn tiles_take_steps_of_zero() {
    let mut noise = Noise(5);
    for _ in 0..100 {
        let shape: [usize; 4] = noise.shape(4);
        let times: [usize; 4] = noise.shape(3);
        let mut axes = [MoveAxis { count: 1, x: 0, y: 0 }; 8];
        let (mut x, mut y) = (1, 1);
        for k in (0..4).rev() {
            axes[2 * k + 1] = MoveAxis { count: shape[k], x: x as isize, y };
            axes[2 * k] = MoveAxis { count: times[k], x: 0, y: y * shape[k] };
            (x, y) = (x * shape[k], y * shape[k] * times[k]);
        }
        let moved = Move::new(axes, 1, [0, x], [0, y]).unwrap();
        let want = moves::tile(&painted(x), &shape, &times);
        check(&moved, x, &want, &format!("{shape:?} {times:?}"));
    }
}

#[test]
fn blocks_to_channels_and_back() {
    let mut noise = Noise(6);
    for _ in 0..100 {
        let block = noise.of(1, 3);
        let [n, h, w, c]: [usize; 4] = noise.shape(4);
        let wide = [n, h * block, w * block, c];
        let x = painted(elements(&wide));
        let want = moves::space_to_depth(&x, wide, block);
        check(&Move::space_to_depth(wide, block).unwrap(), x.len(), &want, &format!("{wide:?} {block}"));
        let deep = [n, h, w, c * block * block];
        assert_eq!(moves::depth_to_space(&want, deep, block), x);
        let want = moves::depth_to_space(&x, deep, block);
        check(&Move::depth_to_space(deep, block).unwrap(), x.len(), &want, &format!("{deep:?} {block}"));
    }
}

#[test]
fn what_is_in_one_piece_is_copied_in_one_piece() {
    let all = Move::place([2, 3, 4], [2, 3, 4], [0, 0, 0]).unwrap();
    assert_eq!((all.axes().len(), all.piece(), all.first()), (0, 24, [0, 0]));
    let rows = Move::slice([5, 3, 4], [1, 0, 0], [1, 1, 1], [2, 3, 4]).unwrap();
    assert_eq!((rows.axes().len(), rows.piece(), rows.first()), (0, 24, [12, 0]));
    let inside = Move::slice([2, 5, 3, 4], [0, 1, 0, 0], [1, 1, 1, 1], [2, 2, 3, 4]).unwrap();
    assert_eq!((inside.axes(), inside.piece()), (&[MoveAxis { count: 2, x: 60, y: 24 }][..], 24));
    let turned = Move::transpose([2, 3, 4, 5], [0, 3, 1, 2]).unwrap();
    let axes =
        [MoveAxis { count: 2, x: 60, y: 60 }, MoveAxis { count: 5, x: 1, y: 12 }, MoveAxis { count: 12, x: 5, y: 1 }];
    assert_eq!((turned.axes(), turned.piece()), (&axes[..], 1));
}

#[test]
fn moves_at_their_limits_and_beyond() {
    let axis = |count, x, y| MoveAxis { count, x, y };
    let too_large = |what, max, got| Error::TooLarge { what, max, got };
    // The last elements that there are, and one more.
    assert!(Move::new([axis(3, 2, 1)], 1, [0, 5], [0, 3]).is_ok());
    assert_eq!(Move::new([axis(3, 2, 1)], 1, [0, 4], [0, 3]).unwrap_err(), too_large(Arg::X, 4, 4));
    assert_eq!(Move::new([axis(3, 2, 1)], 1, [0, 5], [0, 2]).unwrap_err(), too_large(Arg::Y, 2, 2));
    assert!(Move::new([axis(3, -2, 1)], 1, [4, 5], [0, 3]).is_ok());
    assert_eq!(Move::new([axis(3, -2, 1)], 1, [3, 5], [0, 3]).unwrap_err(), too_large(Arg::X, 3, 4));
    assert_eq!(Move::new([axis(3, -2, 1)], 2, [4, 5], [0, 4]).unwrap_err(), too_large(Arg::X, 5, 5));
    assert_eq!(Move::new([axis(0, 1, 1)], 1, [0, 1], [0, 1]).unwrap_err(), Error::Empty { what: Arg::Rows });
    assert_eq!(Move::new([axis(1, 1, 1)], 0, [0, 1], [0, 1]).unwrap_err(), Error::Empty { what: Arg::Cols });
    let twice = Error::Stride { what: Arg::Y, min: 1, got: 0 };
    assert_eq!(Move::new([axis(2, 1, 0)], 1, [0, 2], [0, 1]).unwrap_err(), twice);
    for (count, x, y) in [(usize::MAX, 1, 1), (2, isize::MIN, 1), (2, 1, usize::MAX), (usize::MAX, isize::MAX, 1)] {
        assert!(Move::new([axis(count, x, y); 3], 1, [9, usize::MAX], [9, usize::MAX]).is_err());
        assert!(Move::new([axis(count, x, y)], usize::MAX, [0, 9], [0, 9]).is_err());
    }
    // Eight axes that cannot be joined, and nine.
    let apart = |k: usize| axis(2, 3isize.pow(k as u32), 3usize.pow(8 - k as u32));
    let eight: [MoveAxis; MOST_AXES] = core::array::from_fn(apart);
    let nine: [MoveAxis; MOST_AXES + 1] = core::array::from_fn(apart);
    assert!(Move::new(eight, 1, [0, 99_999], [0, 99_999]).is_ok());
    assert_eq!(Move::new(nine, 1, [0, 99_999], [0, 99_999]).unwrap_err(), too_large(Arg::Rows, 8, 9));

    assert_eq!(Move::slice([3], [3], [1], [1]).unwrap_err(), too_large(Arg::X, 3, 3));
    assert_eq!(Move::slice([3], [0], [1], [4]).unwrap_err(), too_large(Arg::Y, 3, 4));
    assert_eq!(Move::slice([3], [1], [2], [2]).unwrap_err(), too_large(Arg::X, 3, 3));
    assert_eq!(Move::slice([3], [1], [-1], [3]).unwrap_err(), too_large(Arg::X, 3, 1));
    assert_eq!(Move::slice([3], [1], [1], [0]).unwrap_err(), Error::Empty { what: Arg::Rows });
    for huge in [usize::MAX, isize::MAX as usize, 1 << 40] {
        assert!(Move::slice([huge, huge], [0, 0], [1, 1], [huge, huge]).is_err());
        // A step that is never taken, and one that goes nowhere.
        assert_eq!(Move::slice([1, 1], [0, 0], [isize::MIN, 0], [1, huge]).is_err(), huge == usize::MAX);
        assert!(Move::place([huge, huge], [huge, huge], [1, 1]).is_err());
        assert!(Move::transpose([huge, huge], [1, 0]).is_err());
        assert!(Move::space_to_depth([1, huge, 2, huge], 2).is_err());
        assert!(Move::depth_to_space([1, 2, 2, 4], huge).is_err());
    }
    assert_eq!(Move::place([3], [4], [2]).unwrap_err(), too_large(Arg::Y, 4, 5));
    assert_eq!(Move::transpose([2, 2], [0, 0]).unwrap_err(), too_large(Arg::Cols, 2, 0));
    assert_eq!(Move::transpose([2, 2], [0, 2]).unwrap_err(), too_large(Arg::Cols, 2, 2));
    assert_eq!(Move::transpose([2, 0], [0, 1]).unwrap_err(), Error::Empty { what: Arg::Rows });

    let odd = |got| Error::Stride { what: Arg::Cells, min: 2, got };
    assert_eq!(Move::space_to_depth([1, 3, 2, 1], 2).unwrap_err(), odd(3));
    assert_eq!(Move::space_to_depth([1, 2, 5, 1], 2).unwrap_err(), odd(5));
    assert_eq!(Move::space_to_depth([1, 2, 2, 0], 2).unwrap_err(), Error::Empty { what: Arg::X });
    assert_eq!(Move::space_to_depth([1, 2, 2, 1], 0).unwrap_err(), Error::Empty { what: Arg::Cells });
    assert_eq!(Move::depth_to_space([1, 2, 2, 6], 2).unwrap_err(), Error::Stride { what: Arg::Cells, min: 4, got: 6 });
    assert_eq!(Move::depth_to_space([1, 2, 2, 4], 0).unwrap_err(), Error::Empty { what: Arg::Cells });
}

#[test]
fn wrong_lengths_touch_nothing() {
    let length = |what, want, got| Err(Error::Length { what, want, got });
    let mut y = [9i8; 6];
    let moved = Move::transpose([2, 3], [1, 0]).unwrap();
    assert_eq!(moved.run(&[1; 5], &mut y), length(Arg::X, 6, 5));
    assert_eq!(moved.run(&[1; 6], &mut y[..5]), length(Arg::Y, 6, 5));
    assert_eq!(moved.run_filled(0, &[1; 7], &mut y), length(Arg::X, 6, 7));
    assert_eq!(moved.run_filled(0, &[1; 6], &mut y[..5]), length(Arg::Y, 6, 5));
    let pad = MirrorPad::new([MirrorAxis { count: 3, before: 2, after: 1 }], Mirror::Reflect).unwrap();
    assert_eq!(pad.run(&[1; 2], &mut y), length(Arg::X, 3, 2));
    assert_eq!(pad.run(&[1; 3], &mut y[..5]), length(Arg::Y, 6, 5));
    let gather = Gather::new(1, 1, 2, 3, 2).unwrap();
    assert_eq!(gather.run(&[1; 3], &[0; 3], &mut y), length(Arg::X, 4, 3));
    assert_eq!(gather.run(&[1; 4], &[0; 2], &mut y), length(Arg::Table, 3, 2));
    assert_eq!(gather.run(&[1; 4], &[0; 3], &mut y[..5]), length(Arg::Y, 6, 5));
    let nearest = ResizeNearest::new([1, 1, 2, 1], [2, 3], Align::default()).unwrap();
    assert_eq!(nearest.run(&[1; 3], &mut y), length(Arg::X, 2, 3));
    assert_eq!(nearest.run(&[1; 2], &mut y[..5]), length(Arg::Y, 6, 5));
    let bilinear = ResizeBilinear::new([1, 1, 2, 1], [2, 3], Align::default()).unwrap();
    assert_eq!(bilinear.run(&[1; 3], &mut y), length(Arg::X, 2, 3));
    assert_eq!(bilinear.run(&[1; 2], &mut y[..5]), length(Arg::Y, 6, 5));
    assert_eq!(y, [9; 6]);
}

#[test]
fn mirrored_edges() {
    let mut noise = Noise(7);
    for mirror in [Mirror::Reflect, Mirror::Symmetric] {
        for _ in 0..150 {
            let shape: [usize; 4] = noise.shape(5);
            let around: [[usize; 2]; 4] = core::array::from_fn(|k| {
                let most = if mirror == Mirror::Reflect { shape[k] - 1 } else { shape[k] };
                [0, 1].map(|_| if noise.of(0, 2) == 0 { most } else { noise.of(0, most) })
            });
            let axes: [MirrorAxis; 4] = core::array::from_fn(|k| {
                let [before, after] = around[k];
                MirrorAxis { count: shape[k], before, after }
            });
            let pad = MirrorPad::new(axes, mirror).unwrap();
            let x = painted(elements(&shape));
            let want = moves::mirror_pad(&x, &shape, &around, mirror == Mirror::Reflect);
            let mut y = vec![0; want.len()];
            pad.run(&x, &mut y).unwrap();
            assert_eq!(y, want, "{shape:?} {around:?} {mirror:?}");
        }
    }
    let axis = |count, before, after| [MirrorAxis { count, before, after }];
    let edge = |max, got| Error::TooLarge { what: Arg::Overlap, max, got };
    assert_eq!(MirrorPad::new(axis(3, 3, 0), Mirror::Reflect).unwrap_err(), edge(2, 3));
    assert_eq!(MirrorPad::new(axis(3, 0, 4), Mirror::Symmetric).unwrap_err(), edge(3, 4));
    assert_eq!(MirrorPad::new(axis(0, 0, 0), Mirror::Symmetric).unwrap_err(), Error::Empty { what: Arg::X });
    let huge = MirrorAxis { count: usize::MAX / 2, before: usize::MAX / 2, after: 1 };
    assert!(MirrorPad::new([huge; 2], Mirror::Symmetric).is_err());
}

#[test]
fn lists_of_slices() {
    let mut noise = Noise(8);
    for _ in 0..200 {
        let shape: [usize; 4] = noise.shape(5);
        let axis = noise.of(0, 3);
        let batch_axes = noise.of(0, axis);
        let batch: usize = shape[..batch_axes].iter().product();
        let each = noise.of(1, 6);
        let indices: Vec<i32> = (0..batch * each)
            .map(|_| match noise.of(0, 9) {
                0 => -1,
                1 => i32::MAX,
                2 => shape[axis] as i32,
                _ => noise.of(0, shape[axis] - 1) as i32,
            })
            .collect();
        let outer = shape[batch_axes..axis].iter().product();
        let inner = shape[axis + 1..].iter().product();
        let gather = Gather::new(batch, outer, shape[axis], each, inner).unwrap();
        let x = painted(elements(&shape));
        let want = moves::gather(&x, &shape, &indices, axis, batch_axes);
        let mut y = vec![0; want.len()];
        gather.run(&x, &indices, &mut y).unwrap();
        assert_eq!(y, want, "{shape:?} {axis} {batch_axes} {indices:?}");
    }
    assert_eq!(Gather::new(1, 0, 1, 1, 1).unwrap_err(), Error::Empty { what: Arg::X });
    assert_eq!(Gather::new(1, 1, 0, 1, 1).unwrap_err(), Error::Empty { what: Arg::Rows });
    assert_eq!(Gather::new(1, 1, 1, 0, 1).unwrap_err(), Error::Empty { what: Arg::Table });
    assert!(Gather::new(1 << 40, 1 << 40, 1, 1, 1).is_err());
}

const ALIGNS: [Align; 4] = [
    Align { corners: false, half_pixel_centers: false },
    Align { corners: false, half_pixel_centers: true },
    Align { corners: true, half_pixel_centers: false },
    Align { corners: true, half_pixel_centers: true },
];

fn of_oracle(align: Align) -> resize::Align {
    resize::Align { corners: align.corners, half_pixel_centers: align.half_pixel_centers }
}

/// Every pair of sizes to 130 in one dimension, where the f32 of the rule rounds this way and that.
#[test]
fn nearest_pixels_of_every_small_size() {
    let mut differ_from_exact = 0;
    for align in ALIGNS {
        for input in 1..=130 {
            let x: Vec<u8> = (0..input as u8).collect();
            for output in 1..=130 {
                let mut y = vec![0; output];
                ResizeNearest::new([1, 1, input, 1], [1, output], align).unwrap().run(&x, &mut y).unwrap();
                for (i, &y) in y.iter().enumerate() {
                    let want = resize::nearest(i, input, output, of_oracle(align));
                    assert_eq!(usize::from(y), want, "{align:?} {input} to {output}, pixel {i}");
                    if !align.corners && !align.half_pixel_centers {
                        differ_from_exact += usize::from(want != i * input / output);
                    }
                }
            }
        }
    }
    // The rule that one would write differs, so the test sees the rounding.
    assert!(differ_from_exact > 100, "{differ_from_exact}");
}

#[test]
fn nearest_pixels_of_pictures() {
    let mut noise = Noise(9);
    for _ in 0..200 {
        let shape: [usize; 4] = noise.shape(6);
        let size = [noise.of(1, 13), noise.of(1, 13)];
        let align = ALIGNS[noise.of(0, 3)];
        let x = painted(elements(&shape));
        let want = resize::resize_nearest(&x, shape, size, of_oracle(align));
        let mut y = vec![0; want.len()];
        let resized = ResizeNearest::new(shape, size, align).unwrap();
        resized.run(&x, &mut y).unwrap();
        assert_eq!(y, want, "{shape:?} {size:?} {align:?}");
        let bytes: Vec<i8> = x.iter().map(|&v| v as i8).collect();
        let mut y = vec![0; want.len()];
        resized.run(&bytes, &mut y).unwrap();
        assert!(y.iter().zip(&want).all(|(&y, &want)| y == want as i8));
    }
    // The longest side that there may be.
    for align in ALIGNS {
        for (input, output) in [(65_536, 1), (65_536, 65_536), (65_535, 65_536), (3, 65_536), (65_536, 7)] {
            let x: Vec<i32> = (0..input).collect();
            let mut y = vec![0; output];
            ResizeNearest::new([1, 1, input as usize, 1], [1, output], align).unwrap().run(&x, &mut y).unwrap();
            for (i, &y) in y.iter().enumerate() {
                assert_eq!(y as usize, resize::nearest(i, input as usize, output, of_oracle(align)), "{align:?} {i}");
            }
        }
    }
}

fn bilinear_on<D: Dispatch>(backend: D) {
    let mut noise = Noise(10);
    for round in 0..200 {
        let shape: [usize; 4] = if round < 150 { noise.shape(6) } else { [1, noise.of(1, 40), 1, noise.of(1, 40)] };
        let size = [noise.of(1, 13), noise.of(1, 13)];
        let align = ALIGNS[noise.of(0, 2)];
        let wide: Vec<i64> = (0..elements(&shape))
            .map(|_| [i64::from(i16::MIN), i64::from(i16::MAX), noise.next() as i16 as i64][noise.of(0, 2)])
            .collect();
        let resized = ResizeBilinear::new(shape, size, align).unwrap();
        let want = resize::resize_bilinear(&wide, shape, size, of_oracle(align));
        let x: Vec<i16> = wide.iter().map(|&v| v as i16).collect();
        let mut y = vec![0i16; want.len()];
        resized.run_on(backend, &x, &mut y).unwrap();
        assert!(y.iter().zip(&want).all(|(&y, &want)| i64::from(y) == want), "{shape:?} {size:?} {align:?}");
        let narrow: Vec<i64> = wide.iter().map(|&v| v >> 8).collect();
        let want = resize::resize_bilinear(&narrow, shape, size, of_oracle(align));
        let x: Vec<i8> = narrow.iter().map(|&v| v as i8).collect();
        let mut y = vec![0i8; want.len()];
        resized.run_on(backend, &x, &mut y).unwrap();
        assert!(y.iter().zip(&want).all(|(&y, &want)| i64::from(y) == want), "{shape:?} {size:?} {align:?}");
    }
}

#[test]
fn means_of_four_pixels_on_every_backend() {
    macro_rules! backend {
        ($name:ident, $token:expr) => {
            if let Some(token) = $token {
                bilinear_on(token);
            }
        };
    }
    scrimp::for_each_backend!(backend);
}

#[test]
fn sizes_at_their_limits_and_beyond() {
    let side = |what, got| Error::TooLarge { what, max: 65_536, got };
    let plain = Align::default();
    let both = [
        |shape, size| ResizeNearest::new(shape, size, Align::default()).map(|_| ()),
        |shape, size| ResizeBilinear::new(shape, size, Align::default()).map(|_| ()),
    ];
    for new in both {
        assert!(new([1, 65_536, 65_536, 1], [65_536, 65_536]).is_ok());
        assert_eq!(new([1, 65_537, 1, 1], [1, 1]), Err(side(Arg::Height, 65_537)));
        assert_eq!(new([1, 1, 65_537, 1], [1, 1]), Err(side(Arg::Width, 65_537)));
        assert_eq!(new([1, 1, 1, 1], [65_537, 1]), Err(side(Arg::Height, 65_537)));
        assert_eq!(new([1, 1, 1, 1], [1, 65_537]), Err(side(Arg::Width, 65_537)));
        assert_eq!(new([0, 1, 1, 1], [1, 1]), Err(Error::Empty { what: Arg::X }));
        assert_eq!(new([1, 1, 1, 0], [1, 1]), Err(Error::Empty { what: Arg::X }));
        assert_eq!(new([1, 0, 1, 1], [1, 1]), Err(Error::Empty { what: Arg::Height }));
        assert_eq!(new([1, 1, 1, 1], [1, 0]), Err(Error::Empty { what: Arg::Width }));
        assert!(new([usize::MAX, 1, 1, 2], [1, 1]).is_err());
    }
    let aligned = Align { corners: true, half_pixel_centers: true };
    assert_eq!(ResizeBilinear::new([1; 4], [1; 2], aligned), Err(Error::Config { what: Rule::Align }));
    // Where TFLite's scale leads out of the picture the edge goes on.
    let mut y = vec![0i8; 4000];
    ResizeBilinear::new([1, 1, 3, 1], [1, 4000], plain).unwrap().run(&[10, 20, 30], &mut y).unwrap();
    assert_eq!((y[3999], y[3072]), (30, 30));
}
