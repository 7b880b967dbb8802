//! Limits of layers: depth, multipliers, offsets, ranges, widths and lengths. What stands exactly at a limit is taken and
//! computed right, what stands one beyond is refused with its name and both numbers.

use scrimp::bits::{Weights, Width};
use scrimp::error::{Arg, Rule};
use scrimp::fixedpoint::{Multiplier, Rounding, requantize, requantize_s64};
use scrimp::nn::{
    BatchMatMulS8, BatchMatMulS16, BatchShape, LayerNorm, Linear, LinearS8, LinearS16, QuantS8, Requant, RequantS16,
};
use scrimp::{Error, Rows};

const fn config(what: Rule) -> Error {
    Error::Config { what }
}

const fn too_large(what: Arg, max: usize, got: usize) -> Error {
    Error::TooLarge { what, max, got }
}

fn one(cols: usize) -> Rows {
    Rows::one(cols).unwrap()
}

/// A layer of two outputs, one of whose sums is as large as it gets within zero points of 8 bits: it wraps around.
#[test]
fn depth_of_linear_s8() {
    const MOST: usize = 1 << 20;
    let quant = QuantS8 { input_offset: 128, filter_offset: 128, ..QuantS8::PLAIN };
    let by = Multiplier { mantissa: 1 << 30, shift: -24 };
    for depth in [MOST, MOST + 1] {
        let shape = Rows::new(2, depth).unwrap();
        let mut codes = vec![127i8; 2 * depth];
        codes[depth..].fill(-128);
        let weights = Weights::raw8(&codes, shape).unwrap();
        let (mut bias, mut mantissa, mut shift) = ([0; 2], [0; 2], [0; 2]);
        let tables = (&mut bias[..], &mut mantissa[..], &mut shift[..]);
        let requant = Requant::build(tables, &weights, Width::W8, &quant, &[], &[by]).unwrap();
        let widths = [(Width::W8, requant)];
        let layer = LinearS8::new(weights, &widths, quant);
        if depth > MOST {
            assert_eq!(layer.map(drop), Err(too_large(Arg::Depth, MOST, depth)));
            continue;
        }
        let layer = layer.unwrap();
        let sum = (MOST as i64 * 255 * 255) as i32; // -535,822,336
        let want = [requantize(sum, by, Rounding::Double) as i8, 0];
        assert_eq!(want[0], -16);
        macro_rules! on {
            ($name:ident, $token:expr) => {
                if let Some(token) = $token {
                    let mut y = [9; 4];
                    layer.run_on(token, &vec![127; 2 * depth], &mut y, 2).unwrap();
                    assert_eq!(y, [want, want].concat()[..], "{}", stringify!($name));
                }
            };
        }
        scrimp::for_each_backend!(on);
    }
}

#[test]
fn depth_of_linear_s16() {
    const MOST: usize = 1 << 20;
    let codes = vec![-128i8; MOST + 1];
    // 2^20 * 2^15 * 2^7 is 2^42, and its bias 2^46; both times 2^-33.
    let by = (1 << 30, -32i8);
    assert!(RequantS16::new(&[0], &[by.0], &[by.1]).is_err(), "a shift beyond -31");
    let requant = RequantS16::new(&[1 << 46], &[1 << 30], &[-31]).unwrap();
    let widths = [(Width::W8, requant)];
    let over = Weights::s8(&codes, Rows::new(1, MOST + 1).unwrap()).unwrap();
    assert_eq!(LinearS16::new(over, &widths, i16::MIN, i16::MAX).map(drop), Err(too_large(Arg::Depth, MOST, MOST + 1)));
    let at = Weights::s8(&codes[1..], Rows::new(1, MOST).unwrap()).unwrap();
    let layer = LinearS16::new(at, &widths, i16::MIN, i16::MAX).unwrap();
    let x = vec![i16::MIN; MOST];
    let sum = (1i64 << 46) + (1i64 << 42);
    let want = requantize_s64(sum, Multiplier { mantissa: 1 << 30, shift: -31 }).clamp(-32_768, 32_767) as i16;
    macro_rules! on {
        ($name:ident, $token:expr) => {
            if let Some(token) = $token {
                let mut y = [9];
                layer.run_on(token, &x, &mut y, 1).unwrap();
                assert_eq!(y, [want], "{}", stringify!($name));
            }
        };
    }
    scrimp::for_each_backend!(on);
}

#[test]
fn depth_of_batch_products() {
    const MOST: usize = 1 << 20;
    let shape = |depth| BatchShape::new([1, 1, 1, depth], [1, 1, depth, 1], false, false);
    assert_eq!(shape(MOST + 1), Err(too_large(Arg::Depth, MOST, MOST + 1)));
    assert_eq!(shape(0), Err(Error::Empty { what: Arg::Depth }));
    let shape = shape(MOST).unwrap();
    let by = Multiplier { mantissa: 1 << 30, shift: -24 };
    let product = BatchMatMulS8::new(by, [-127, 128], 0).unwrap();
    let mut y = [9];
    product.run(&vec![-128; MOST], &vec![127; MOST], &mut y, &shape, &mut vec![0; shape.scratch()]).unwrap();
    let sum = (-(MOST as i64) * 255 * 255) as i32; // wraps around
    assert_eq!(y, [requantize(sum, by, Rounding::Double) as i8]);
    let by = Multiplier { mantissa: 1 << 30, shift: -31 };
    let mut y = [9];
    let product = BatchMatMulS16::new(by, i16::MIN, i16::MAX).unwrap();
    product.run(&vec![i16::MIN; MOST], &vec![i16::MIN; MOST], &mut y, &shape).unwrap();
    let sum = 1i64 << 50; // 18 bits beyond a result of 32
    assert_eq!(y, [requantize_s64(sum, by).clamp(-32_768, 32_767) as i16]);
    assert_eq!(y, [0]); // all of it is beyond 32 bits
}

#[test]
fn axes_of_batch_products() {
    let of = |lhs, rhs| BatchShape::new(lhs, rhs, false, false);
    let empty = |what| Err(Error::Empty { what });
    assert_eq!(of([1, 1, 0, 2], [1, 1, 2, 1]), empty(Arg::Rows));
    assert_eq!(of([1, 1, 1, 2], [1, 1, 2, 0]), empty(Arg::Cols));
    for axis in 0..2 {
        for side in 0..2 {
            let mut batches = [[2, 2, 3, 4], [2, 2, 4, 5]];
            batches[side][axis] = 0;
            assert_eq!(of(batches[0], batches[1]), empty(Arg::Batch));
            batches[side][axis] = 1; // stretched
            assert_eq!(of(batches[0], batches[1]).map(|s| s.output()), Ok([2, 2, 3, 5]));
            batches[side][axis] = 3;
            let (want, got) = (batches[0][axis], batches[1][axis]);
            assert_eq!(of(batches[0], batches[1]), Err(Error::Length { what: Arg::Batch, want, got }));
        }
    }
    assert_eq!(of([1, 1, 3, 4], [1, 1, 5, 2]), Err(Error::Length { what: Arg::Depth, want: 4, got: 5 }));
    // Transposed, rows and depth change places.
    assert_eq!(BatchShape::new([1, 1, 4, 3], [1, 1, 2, 4], true, true).map(|s| s.output()), Ok([1, 1, 3, 2]));
    // Products that no usize holds: of the left, the right, and of what comes out.
    let big = 1 << (usize::BITS - 2);
    for (lhs, rhs) in [
        ([1, 1, big, 4], [1, 1, 4, 1]),
        ([1, 1, 1, 4], [1, 1, 4, big]),
        ([big, 1, 1, 1], [1, 1, 1, 4]),
        ([big, 4, 1, 1], [1, 1, 1, 1]),
    ] {
        let max = usize::MAX / lhs[3];
        assert_eq!(of(lhs, rhs), Err(too_large(Arg::Rows, max, lhs[2])), "{lhs:?} {rhs:?}");
    }
    assert!(of([1, 1, big, 2], [1, 1, 2, 1]).is_ok());
}

#[test]
fn multipliers_of_layers() {
    let s8 = |mantissa, shift| Requant::new(&[0], &[mantissa], &[shift]).map(drop);
    let s16 = |mantissa, shift| RequantS16::new(&[0], &[mantissa], &[shift]).map(drop);
    let by = |mantissa, shift: i8| Multiplier { mantissa, shift: shift.into() };
    let batch = |mantissa, shift| BatchMatMulS8::new(by(mantissa, shift), [0; 2], 0).map(drop);
    let batch16 = |mantissa, shift| BatchMatMulS16::new(by(mantissa, shift), -1, 1).map(drop);
    let codes = [1i8];
    let weights = Weights::s8(&codes, one(1)).unwrap();
    let built = |mantissa, shift| {
        let tables = (&mut [0; 1][..], &mut [0; 1][..], &mut [0; 1][..]);
        Requant::build(tables, &weights, Width::W8, &QuantS8::PLAIN, &[], &[by(mantissa, shift)]).map(drop)
    };
    for (mantissa, shift, s8_takes, s16_takes) in [
        (1 << 30, -31, true, true),
        (1 << 30, -32, false, false),
        (1 << 30, -128, false, false),
        (1 << 30, 14, true, true),
        (1 << 30, 15, true, false),
        (1 << 30, 30, true, false),
        (1 << 30, 31, false, false),
        (1 << 30, 127, false, false),
        (i32::MAX, 0, true, true),
        (0, 0, true, true),
        (-1, 0, true, true),
        (i32::MIN + 1, 0, true, true),
        (i32::MIN, 0, false, false),
    ] {
        let result = |takes| if takes { Ok(()) } else { Err(config(Rule::Scale)) };
        assert_eq!(s8(mantissa, shift), result(s8_takes), "{mantissa} {shift}");
        assert_eq!(batch(mantissa, shift), result(s8_takes), "{mantissa} {shift}");
        assert_eq!(built(mantissa, shift), result(s8_takes), "{mantissa} {shift}");
        assert_eq!(s16(mantissa, shift), result(s16_takes), "{mantissa} {shift}");
        assert_eq!(batch16(mantissa, shift), result(s16_takes), "{mantissa} {shift}");
    }
    // The second of two is looked at as well.
    assert_eq!(Requant::new(&[0; 2], &[1, i32::MIN], &[0; 2]).map(drop), Err(config(Rule::Scale)));
    assert_eq!(Requant::new(&[0; 2], &[1, 1], &[0, 31]).map(drop), Err(config(Rule::Scale)));
    assert_eq!(RequantS16::new(&[0; 2], &[1, 1], &[0, 15]).map(drop), Err(config(Rule::Scale)));
    // A bias of 47 bits.
    for (bias, takes) in [(1i64 << 46, true), (-(1i64 << 46), true), ((1 << 46) + 1, false), (-(1 << 46) - 1, false)] {
        assert_eq!(RequantS16::new(&[bias], &[1], &[0]).is_ok(), takes, "{bias}");
        assert_eq!(RequantS16::new(&[0, bias], &[1; 2], &[0; 2]).is_ok(), takes, "{bias}");
    }
    let error = |what, got| Err(Error::Length { what, want: 2, got });
    for got in [1, 3] {
        assert_eq!(Requant::new(&[0; 2], &vec![1; got], &[0; 2]).map(drop), error(Arg::Multiplier, got));
        assert_eq!(Requant::new(&[0; 2], &[1; 2], &vec![0; got]).map(drop), error(Arg::Shift, got));
        assert_eq!(RequantS16::new(&[0; 2], &vec![1; got], &[0; 2]).map(drop), error(Arg::Multiplier, got));
        assert_eq!(RequantS16::new(&[0; 2], &[1; 2], &vec![0; got]).map(drop), error(Arg::Shift, got));
    }
}

#[test]
fn offsets_and_ranges_of_layers() {
    let codes = [1i8];
    let weights = Weights::s8(&codes, one(1)).unwrap();
    let requant = Requant::new(&[0], &[1], &[0]).unwrap();
    let widths = [(Width::W8, requant)];
    let layer = |quant| LinearS8::new(weights, &widths, quant).map(drop);
    let build = |quant: QuantS8| {
        let tables = (&mut [0; 1][..], &mut [0; 1][..], &mut [0; 1][..]);
        Requant::build(tables, &weights, Width::W8, &quant, &[], &[Multiplier { mantissa: 1, shift: 0 }]).map(drop)
    };
    let by = Multiplier { mantissa: 1, shift: 0 };
    for (offset, want) in [
        (-255, Ok(())),
        (255, Ok(())),
        (-256, Err(config(Rule::ZeroPoint))),
        (256, Err(config(Rule::ZeroPoint))),
        (i32::MIN, Err(config(Rule::ZeroPoint))),
        (i32::MAX, Err(config(Rule::ZeroPoint))),
    ] {
        for quant in
            [QuantS8 { input_offset: offset, ..QuantS8::PLAIN }, QuantS8 { filter_offset: offset, ..QuantS8::PLAIN }]
        {
            assert_eq!((layer(quant), build(quant)), (want, want), "{quant:?}");
        }
        assert_eq!(BatchMatMulS8::new(by, [offset, 0], 0).map(drop), want, "{offset}");
        assert_eq!(BatchMatMulS8::new(by, [0, offset], 0).map(drop), want, "{offset}");
    }
    let range = Err(config(Rule::OutputRange));
    for (min, max, want) in [(5, 5, Ok(())), (6, 5, range), (127, -128, range), (-128, -128, Ok(()))] {
        let quant = QuantS8 { min, max, ..QuantS8::PLAIN };
        assert_eq!((layer(quant), build(quant)), (want, want), "{min} {max}");
        assert_eq!(BatchMatMulS8::new(by, [0; 2], 0).unwrap().with_range(min, max).map(drop), want);
        let (min, max) = (i16::from(min), i16::from(max));
        assert_eq!(BatchMatMulS16::new(by, min, max).map(drop), want);
        let requant = RequantS16::new(&[0], &[1], &[0]).unwrap();
        assert_eq!(LinearS16::new(weights, &[(Width::W8, requant)], min, max).map(drop), want);
    }
}

#[test]
fn widths_of_layers() {
    let (codes, nibbles) = ([1i8; 4], [0u8; 2]);
    let shape = Rows::new(2, 2).unwrap();
    let requant = Requant::new(&[0; 2], &[1; 2], &[0; 2]).unwrap();
    let short = Requant::new(&[0; 1], &[1; 1], &[0; 1]).unwrap();
    let s16 = RequantS16::new(&[0; 2], &[1; 2], &[0; 2]).unwrap();
    let (low, width) = (Err(config(Rule::BitWidth)), Width::W8);
    let empty = Err(Error::Empty { what: Arg::Multiplier });
    let s8 = Weights::s8(&codes, shape).unwrap();
    let s4 = Weights::s4(&nibbles, shape).unwrap();
    let plain = QuantS8::PLAIN;
    assert_eq!(LinearS8::new(s8, &[], plain).map(drop), empty);
    assert_eq!(LinearS16::new(s8, &[], -1, 1).map(drop), empty);
    assert_eq!(LinearS8::new(s8, &[(width, requant)], plain).map(drop), Ok(()));
    // The second of two is looked at as well.
    assert_eq!(LinearS8::new(s8, &[(width, requant), (Width::W4, requant)], plain).map(drop), low);
    assert_eq!(LinearS16::new(s8, &[(width, s16), (Width::W4, s16)], -1, 1).map(drop), low);
    assert_eq!(LinearS8::new(s4, &[(width, requant)], plain).map(drop), low);
    let error = Err(Error::Length { what: Arg::Multiplier, want: 2, got: 1 });
    assert_eq!(LinearS8::new(s8, &[(width, requant), (width, short)], plain).map(drop), error);
    let short = RequantS16::new(&[0; 1], &[1; 1], &[0; 1]).unwrap();
    assert_eq!(LinearS16::new(s8, &[(width, s16), (width, short)], -1, 1).map(drop), error);
    // Only the widths that were given can be chosen.
    let raw = Weights::raw8(&codes, shape).unwrap();
    let widths = [(Width::W6, requant), (Width::W3, requant)];
    let mut layer = LinearS8::new(raw, &widths, plain).unwrap();
    let widths = [(Width::W6, s16), (Width::W3, s16)];
    let layer16 = LinearS16::new(raw, &widths, -1, 1).unwrap();
    assert_eq!((layer.width(), layer16.width()), (Width::W6, Width::W6));
    for width in Width::ALL {
        let there = [Width::W6, Width::W3].contains(&width);
        let want = if there { Ok(width) } else { Err(config(Rule::BitWidth)) };
        assert_eq!(layer.with_width(width).map(|l| l.width()), want);
        assert_eq!(layer16.with_width(width).map(|l| l.width()), want);
        let before = layer.width();
        assert_eq!(layer.set_width(width).is_ok(), there);
        assert_eq!(layer.width(), if there { width } else { before });
    }
}

#[test]
fn lengths_of_requant_tables() {
    let codes = [1i8; 6];
    let weights = Weights::raw8(&codes, Rows::new(3, 2).unwrap()).unwrap();
    let by = Multiplier { mantissa: 1 << 30, shift: -1 };
    let build = |lengths: [usize; 3], bias: &[i32], by: &[Multiplier]| {
        let (mut a, mut b, mut c) = (vec![7; lengths[0]], vec![7; lengths[1]], vec![7; lengths[2]]);
        let tables = (&mut a[..], &mut b[..], &mut c[..]);
        let result = Requant::build(tables, &weights, Width::W8, &QuantS8::PLAIN, bias, by).map(|r| r.outputs());
        let untouched = a.iter().chain(&b).all(|&v| v == 7) && c.iter().all(|&v| v == 7);
        assert_eq!(untouched, result.is_err());
        result
    };
    assert_eq!(build([3; 3], &[], &[by]), Ok(3));
    assert_eq!(build([3; 3], &[1, 2, 3], &[by; 3]), Ok(3));
    let error = |what, got| Err(Error::Length { what, want: 3, got });
    for got in [2, 4] {
        assert_eq!(build([got, 3, 3], &[], &[by]), error(Arg::Bias, got));
        assert_eq!(build([3, got, 3], &[], &[by]), error(Arg::Multiplier, got));
        assert_eq!(build([3, 3, got], &[], &[by]), error(Arg::Shift, got));
        assert_eq!(build([3; 3], &vec![0; got], &[by]), error(Arg::Bias, got));
        assert_eq!(build([3; 3], &[], &vec![by; got]), error(Arg::Multiplier, got));
    }
    assert_eq!(build([3; 3], &[], &[]), error(Arg::Multiplier, 0));
}

#[test]
fn lengths_of_calls_of_layers() {
    let codes = [1i8; 6];
    let weights = Weights::raw8(&codes, Rows::new(2, 3).unwrap()).unwrap();
    let widths = [(Width::W8, Requant::new(&[0; 2], &[1 << 30; 2], &[1; 2]).unwrap())];
    let layer = LinearS8::new(weights, &widths, QuantS8::PLAIN).unwrap();
    let widths = [(Width::W8, RequantS16::new(&[0; 2], &[1 << 30; 2], &[1; 2]).unwrap())];
    let layer16 = LinearS16::new(weights, &widths, i16::MIN, i16::MAX).unwrap();
    // Two rows, so 6 inputs and 4 outputs.
    for (inputs, outputs) in [(6, 4), (5, 4), (7, 4), (6, 3), (6, 5)] {
        let error = |x, y| match (inputs, outputs) {
            (6, 4) => Ok(()),
            (6, got) => Err(Error::Length { what: y, want: 4, got }),
            (got, _) => Err(Error::Length { what: x, want: 6, got }),
        };
        let (mut y, mut y16, mut sums) = (vec![9i8; outputs], vec![9i16; outputs], vec![9i32; outputs]);
        assert_eq!(layer.run(&vec![1; inputs], &mut y, 2), error(Arg::X, Arg::Y));
        assert_eq!(layer16.run(&vec![1; inputs], &mut y16, 2), error(Arg::X, Arg::Y));
        assert_eq!(layer.sums(&vec![1; inputs], &mut sums, 2), error(Arg::X, Arg::Sums));
        let value = if (inputs, outputs) == (6, 4) { 3 } else { 9 };
        assert!(y.iter().all(|&y| i32::from(y) == value) && sums.iter().all(|&s| s == value), "{y:?} {sums:?}");
        assert!(y16.iter().all(|&y| i32::from(y) == value), "{y16:?}");
    }
    let mut sums = [9; 4];
    assert_eq!(layer.refine(&[1; 6], &mut sums, 2), Err(Error::Missing { what: Arg::LowPlane }));
    for (got, outputs, want) in [
        (4, 4, Ok(())),
        (3, 4, Err(Error::Length { what: Arg::Sums, want: 4, got: 3 })),
        (5, 4, Err(Error::Length { what: Arg::Sums, want: 4, got: 5 })),
        (4, 3, Err(Error::Length { what: Arg::Y, want: 4, got: 3 })),
        (4, 5, Err(Error::Length { what: Arg::Y, want: 4, got: 5 })),
    ] {
        assert_eq!(layer.finish(&vec![5; got], &mut vec![9; outputs], 2), want);
    }
    // A number of rows that no length has.
    assert!(layer.run(&[1; 6], &mut [0; 4], usize::MAX).is_err());
    assert!(layer16.run(&[1; 6], &mut [0; 4], usize::MAX).is_err());
    // f32
    let linear = Linear::new(&[1.0; 6], &[0.0; 2], Rows::new(3, 2).unwrap()).unwrap();
    for (inputs, outputs, takes) in [(6, 4, true), (5, 4, false), (7, 4, false), (6, 3, false), (6, 5, false)] {
        assert_eq!(linear.run(&vec![1.0; inputs], &mut vec![0.0; outputs], 2).is_ok(), takes, "{inputs} {outputs}");
    }
    assert_eq!(
        Linear::new(&[1.0; 5], &[0.0; 2], Rows::new(3, 2).unwrap()).map(drop),
        Err(Error::Length { what: Arg::Weights, want: 6, got: 5 })
    );
    assert_eq!(
        Linear::new(&[1.0; 6], &[0.0; 3], Rows::new(3, 2).unwrap()).map(drop),
        Err(Error::Length { what: Arg::Bias, want: 2, got: 3 })
    );
    assert_eq!(LayerNorm::new(&[], &[]).map(drop), Err(Error::Empty { what: Arg::Weights }));
    assert_eq!(LayerNorm::new(&[1.0; 2], &[0.0]).map(drop), Err(Error::Length { what: Arg::Bias, want: 2, got: 1 }));
    let norm = LayerNorm::new(&[1.0; 2], &[0.0; 2]).unwrap();
    for (inputs, outputs, takes) in [(4, 4, true), (5, 5, false), (4, 3, false), (4, 5, false), (0, 0, true)] {
        assert_eq!(norm.run(&vec![1.0; inputs], &mut vec![0.0; outputs]).is_ok(), takes, "{inputs} {outputs}");
    }
}
