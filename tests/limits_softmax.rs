//! Limits of the softmax family: columns of integer rows, scales, TFLite's integers, strides, masks and targets. What stands
//! exactly at a limit is taken and computed right, what stands one beyond is refused with its name and both numbers.

use scrimp::error::{Arg, Rule};
use scrimp::softmax::{softmax_f32_in_place, stablemax_cross_entropy, two_pass_q};
use scrimp::{
    Error, LogSoftmaxS8, Mask, OnlineQ, Rows, SoftmaxF32, SoftmaxQ, SoftmaxS8, SoftmaxS8Ref, SoftmaxS16, StablemaxQ,
    StablemaxS8,
};

const fn config(what: Rule) -> Error {
    Error::Config { what }
}

const fn too_large(what: Arg, max: usize, got: usize) -> Error {
    Error::TooLarge { what, max, got }
}

fn one(cols: usize) -> Rows {
    Rows::one(cols).unwrap()
}

/// A row at the limit is computed, one beyond is refused and `y` untouched.
fn columns<X: Copy, Y: Copy + PartialEq + core::fmt::Debug>(
    x: X,
    old: Y,
    want: Y,
    run: impl Fn(&[X], &mut [Y], Rows) -> Result<(), Error>,
) {
    const MOST: usize = 65_536;
    let (x, mut y) = (vec![x; MOST + 1], vec![old; MOST + 1]);
    assert_eq!(run(&x, &mut y, one(MOST + 1)), Err(too_large(Arg::Cols, MOST, MOST + 1)));
    assert!(y.iter().all(|y| *y == old), "written before the error");
    assert_eq!(run(&x[1..], &mut y[1..], one(MOST)), Ok(()));
    assert!(y[1..].iter().all(|y| *y == want), "{:?} instead of {want:?}", y[1]);
}

/// Equal logits share 1 equally: 65,536 of them have 2^-16 each.
#[test]
fn columns_of_integer_softmax() {
    let q = SoftmaxQ::new(4).unwrap();
    columns(77i8, 9u16, 1, |x, y, rows| q.run(x, y, rows));
    columns(-77i16, 9u32, 65_536, |x, y, rows| q.run(x, y, rows));
    columns(i32::MAX, 9u16, 1, |x, y, rows| two_pass_q(&q, x, y, rows));
    let stable = StablemaxQ::new(4).unwrap();
    columns(i8::MIN, 9u16, 1, |x, y, rows| stable.run(x, y, rows));
    columns(i32::MIN, 9u32, 65_536, |x, y, rows| stable.run(x, y, rows));

    let s8 = SoftmaxS8::new(0.1, 1.0).unwrap();
    columns(-5i8, 9i16, -32_767, |x, y, rows| s8.run_s16(x, y, rows));
    columns(-5i8, 9i8, -128, |x, y, rows| s8.run(x, y, rows));
    let mut table = [0; 256];
    let s8 = SoftmaxS8Ref::build(&mut table, 0.1, 1.0).unwrap();
    columns(127i8, 9i16, -32_767, |x, y, rows| s8.run_s16(x, y, rows));
    columns(127i8, 9i8, -128, |x, y, rows| s8.run(x, y, rows));
    let stable = StablemaxS8::new(0.1).unwrap();
    columns(-128i8, 9i16, -32_767, |x, y, rows| stable.run_s16(x, y, rows));
    columns(127i8, 9i8, -128, |x, y, rows| stable.run(x, y, rows));
    // ln 65,536 is 11.09, 177 sixteenths and a half, below 127.
    let log = LogSoftmaxS8::new(0.1).unwrap();
    columns(127i8, 9i8, -50, |x, y, rows| log.run(x, y, rows));
}

/// Beyond it, an overwriting form leaves its row as it was.
#[test]
fn columns_of_rows_that_are_overwritten() {
    let error = Err(too_large(Arg::Cols, 65_536, 65_537));
    let (mut bytes, mut halves) = (vec![3i8; 65_537], vec![3i16; 65_537]);
    let rows = one(65_537);
    assert_eq!(SoftmaxS8::new(0.1, 1.0).unwrap().run_in_place(&mut bytes, rows), error);
    assert_eq!(StablemaxS8::new(0.1).unwrap().run_in_place(&mut bytes, rows), error);
    assert_eq!(LogSoftmaxS8::new(0.1).unwrap().run_in_place(&mut bytes, rows), error);
    assert!(bytes.iter().all(|&b| b == 3));
    let s16 = SoftmaxS16::new(0.001, 1.0).unwrap();
    assert_eq!(s16.run_in_place(&mut halves, rows), error);
    let mut y = vec![3i16; 65_537];
    assert_eq!(s16.run(&halves, &mut y, rows), error);
    assert!(halves.iter().chain(&y).all(|&b| b == 3));
    for run in [SoftmaxS8::run_in_place as fn(&SoftmaxS8, &mut [i8], Rows) -> Result<(), Error>, |_, x, rows| {
        StablemaxS8::new(0.1)?.run_in_place(x, rows)
    }] {
        assert_eq!(run(&SoftmaxS8::new(0.1, 1.0).unwrap(), &mut bytes[1..], one(65_536)), Ok(()));
        assert!(bytes[1..].iter().all(|&b| b == -128));
        bytes.fill(3);
    }
    assert_eq!(LogSoftmaxS8::new(0.1).unwrap().run_in_place(&mut bytes[1..], one(65_536)), Ok(()));
    assert!(bytes[1..].iter().all(|&b| b == -50));
    // TFLite's table of reciprocals ends at 1/(2^15 e): the sum of 65,536 ones is 2^31, and each has half a unit.
    assert_eq!(s16.run_in_place(&mut halves[1..], one(65_536)), Ok(()));
    assert!(halves[1..].iter().all(|&h| h == halves[1] && (0..=1).contains(&h)), "{}", halves[1]);
}

#[test]
fn scales_of_softmax() {
    let scale = Err(config(Rule::Scale));
    for bad in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
        assert_eq!(SoftmaxQ::from_scale(bad).map(drop), scale, "{bad}");
        assert_eq!(SoftmaxS8::new(bad, 1.0).map(drop), scale, "{bad}");
        assert_eq!(SoftmaxS8::new(1.0, bad).map(drop), scale, "{bad}");
        assert_eq!(SoftmaxS8Ref::build(&mut [0; 256], bad, 1.0).map(drop), scale, "{bad}");
        assert_eq!(SoftmaxS16::new(bad, 1.0).map(drop), scale, "{bad}");
        assert_eq!(SoftmaxS16::new(1.0, bad).map(drop), scale, "{bad}");
        assert_eq!(LogSoftmaxS8::new(bad).map(drop), scale, "{bad}");
        assert_eq!(StablemaxS8::new(bad).map(drop), scale, "{bad}");
    }
    assert_eq!(SoftmaxQ::from_scale(f64::INFINITY).map(drop), scale);
    assert_eq!((SoftmaxQ::new(31).map(drop), SoftmaxQ::new(32).map(drop)), (Ok(()), scale));
    assert_eq!((SoftmaxQ::new(0).map(drop), SoftmaxQ::new(u32::MAX).map(drop)), (Ok(()), scale));
    assert_eq!((StablemaxQ::new(31).map(drop), StablemaxQ::new(32).map(drop)), (Ok(()), scale));
    assert_eq!((StablemaxS8::new(16.0).map(drop), StablemaxS8::new(16f64.next_up()).map(drop)), (Ok(()), scale));
    // A step of more than 2^-26; infinite is cut.
    let least = 2f64.powi(-26);
    for (value, want) in [(least, scale), (least.next_up(), Ok(())), (f64::INFINITY, Ok(())), (1e300, Ok(()))] {
        assert_eq!(SoftmaxS8::new(value, 1.0).map(drop), want, "{value}");
        assert_eq!(SoftmaxS8::new(1.0, value).map(drop), want, "{value}");
        assert_eq!(LogSoftmaxS8::new(value).map(drop), want, "{value}");
    }
    // 2^31 steps of the table.
    let step = 10.0 / 65_535.0;
    assert_eq!(SoftmaxS16::new(2f64.powi(31) * step * 1.000_001, 1.0).map(drop), scale);
    assert_eq!(SoftmaxS16::new(2f64.powi(31) * step * 0.999_999, 1.0).map(drop), Ok(()));
}

#[test]
fn integers_of_tflites_softmax() {
    let s8 = |mantissa, shift, diff_min| {
        let built = SoftmaxS8::from_multiplier(mantissa, shift, diff_min).map(drop);
        let mut table = [0; 256];
        assert_eq!(SoftmaxS8Ref::from_multiplier(&mut table, mantissa, shift, diff_min).map(drop), built);
        built == Ok(())
    };
    assert!(s8(1, 0, 0) && s8(i32::MAX, 23, i32::MIN));
    for (mantissa, shift, diff_min, takes) in [
        (0, 0, 0, false),
        (-1, 0, 0, false),
        (i32::MIN, 0, 0, false),
        (1 << 30, -1, 0, false),
        (1 << 30, 31, 0, true),
        (1 << 30, 32, 0, false),
        (1 << 30, 0, 1, false),
        // Within Q5.26: the farthest of 255 steps, or of those that count.
        (1 << 30, 23, -255, true),
        (1 << 30, 24, -255, false),
        (1 << 30, 24, -256, false),
        (1 << 30, 24, -128, true),
        (1 << 30, 24, -129, false),
        (1 << 30, 31, -1, true),
        (1 << 30, 31, -2, false),
        (1 << 30, 23, i32::MIN, true),
    ] {
        assert_eq!(s8(mantissa, shift, diff_min), takes, "{mantissa} {shift} {diff_min}");
    }
    for (mantissa, shift, takes) in [
        (0, 0, true),
        (-1, 0, false),
        (i32::MAX, 30, true),
        (i32::MAX, 31, false),
        (1 << 30, -31, true),
        (1 << 30, -32, false),
    ] {
        assert_eq!(SoftmaxS16::from_multiplier(mantissa, shift).is_ok(), takes, "{mantissa} {shift}");
    }
}

#[test]
fn strides_and_masks_of_softmax() {
    let rows = Rows::new(2, 3).unwrap();
    let softmax = SoftmaxF32::new().with_strides(5, 4);
    for (x, y, want) in [
        (8, 7, Ok(())),
        (9, 9, Ok(())),
        (7, 7, Err(Error::Length { what: Arg::X, want: 8, got: 7 })),
        (8, 6, Err(Error::Length { what: Arg::Y, want: 7, got: 6 })),
    ] {
        let mut out = vec![7.0; y];
        assert_eq!(softmax.run(&vec![1.0; x], &mut out, rows, Mask::None), want);
        let third = 1.0f32 / 3.0;
        let row = [third, third, third, 7.0, third, third, third, 7.0, 7.0];
        let near = out.iter().zip(row).all(|(a, b)| (a - if want.is_ok() { b } else { 7.0 }).abs() < 1e-6);
        assert!(near, "{out:?}");
    }
    for (strides, what, got) in [((2, 3), Arg::X, 2), ((3, 2), Arg::Y, 2), ((1, 1), Arg::X, 1)] {
        let softmax = SoftmaxF32::new().with_strides(strides.0, strides.1);
        let want = Err(Error::Stride { what, min: 3, got });
        assert_eq!(softmax.run(&[1.0; 9], &mut [0.0; 9], rows, Mask::None), want);
    }
    assert_eq!(SoftmaxF32::new().with_strides(3, 3).run(&[1.0; 6], &mut [0.0; 6], rows, Mask::None), Ok(()));
    assert!(SoftmaxF32::new().with_strides(usize::MAX, 3).run(&[1.0; 6], &mut [0.0; 6], rows, Mask::None).is_err());
    let in_place = SoftmaxF32::new().with_strides(4, 0);
    assert_eq!(in_place.run_in_place(&mut [1.0; 7], rows, Mask::None), Ok(()));
    let error = Err(Error::Length { what: Arg::X, want: 7, got: 6 });
    assert_eq!(in_place.run_in_place(&mut [1.0; 6], rows, Mask::None), error);
    let plain = SoftmaxF32::new();
    let (add, bools) = ([0.0; 7], [true; 7]);
    for (len, takes) in [(3, true), (6, true), (0, false), (2, false), (4, false), (5, false), (7, false)] {
        let want = if takes { Ok(()) } else { Err(Error::Length { what: Arg::Mask, want: 6, got: len }) };
        assert_eq!(plain.run(&[1.0; 6], &mut [0.0; 6], rows, Mask::Additive(&add[..len])), want);
        assert_eq!(plain.run(&[1.0; 6], &mut [0.0; 6], rows, Mask::Boolean(&bools[..len])), want);
        assert_eq!(plain.run_in_place(&mut [1.0; 6], rows, Mask::Additive(&add[..len])), want);
    }
    assert_eq!(plain.run(&[1.0; 6], &mut [0.0; 6], rows, Mask::Causal { past: usize::MAX }), Ok(()));
    assert!(softmax_f32_in_place(&mut [1.0; 5], rows).is_err());
}

#[test]
fn targets_of_cross_entropy() {
    let rows = Rows::new(2, 3).unwrap();
    for (targets, want) in [
        ([0, 2], Ok(())),
        ([3, 0], Err(too_large(Arg::Targets, 2, 3))),
        ([0, 3], Err(too_large(Arg::Targets, 2, 3))),
        ([0, usize::MAX], Err(too_large(Arg::Targets, 2, usize::MAX))),
    ] {
        let mut gradient = [7.0; 6];
        assert_eq!(stablemax_cross_entropy(&[1.0; 6], &targets, &mut gradient, None, rows), want);
        assert_eq!(gradient.iter().all(|g| g.to_bits() == 7f32.to_bits()), want.is_err());
    }
}

#[test]
fn a_state_of_nothing_has_no_shares() {
    let softmax = SoftmaxQ::new(8).unwrap();
    let mut state = OnlineQ::new(&softmax);
    let mut y = [7u16; 2];
    assert_eq!(state.write(&[1i16, 2], &mut y), Err(Error::Empty { what: Arg::X }));
    state.push(&[1i16]);
    for got in [1, 3] {
        let error = Err(Error::Length { what: Arg::Y, want: 2, got });
        assert_eq!(state.write(&[1i16, 2], &mut vec![7u16; got]), error);
    }
    assert_eq!(y, [7; 2]);
    // What was not pushed may be above all that was: the largest number.
    assert_eq!(state.write(&[1i16, i16::MAX], &mut y), Ok(()));
    assert_eq!(y, [u16::MAX; 2]);
}
