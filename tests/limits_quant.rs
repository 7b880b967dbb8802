//! Limits of quantizers and of products with their codes: bits, bases, scales, columns, keys and lengths. What stands exactly
//! at a limit is taken and computed right, what stands one beyond is refused with its name and both numbers.

use scrimp::error::{Arg, Rule};
use scrimp::quant::{
    AdaLog, CodeLinear, CodeProduct, FixedCodec, GeluCodes, GeluForm, GeluLadder, GeluS8, Log2, LogCodec, LogSqrt2,
    LogitBias, LogitCodes, MASKED, PackedKeys, PackedValues, Symbols, Uniform, ValueRange, pack, packed_len, unpack,
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

const TOP: Symbols = Symbols::TopIsZero;

#[test]
fn columns_of_logit_codes() {
    let codes: LogitCodes = LogitCodes::anchored(&ADALOG, 0.1).unwrap();
    let wide = LogitCodes::<16>::normalized(&ADALOG, 0.1).unwrap();
    for codes in [codes, wide] {
        for n in [65_536usize, 65_537] {
            let (logits, bytes, mut y) = (vec![5i32; n], vec![5i8; n], vec![0xA5; packed_len(4, n)]);
            let want = if n > 65_536 { Err(too_large(Arg::Cols, 65_536, n)) } else { Ok(()) };
            assert_eq!(codes.run(&logits, &mut y, one(n)), want);
            assert_eq!(codes.run_biased(&logits, LogitBias::None, &mut y, one(n)), want);
            assert_eq!(codes.run_s8(&bytes, LogitBias::None, &mut y, one(n)), want);
            // Sixteen octaves below 1 there is only zero; anchored, all are the largest.
            let all = if n > 65_536 { 0xA5 } else { y[0] };
            assert!(y.iter().all(|&y| y == all));
            assert!(n > 65_536 || [0x00, 0xFF].contains(&all), "{all:x}");
        }
    }
}

#[test]
fn bits_bases_and_scales_of_logarithmic_quantizers() {
    let (bits, base, scale) = (Err(config(Rule::Bits)), Err(config(Rule::Base)), Err(config(Rule::Scale)));
    let (low, high) = (2f64.powi(-60), 2f64.powi(60));
    for (b, q, s, want) in [
        (2, 1, 1.0, Ok(())),
        (8, 137, 1.0, Ok(())),
        (1, 37, 1.0, bits),
        (9, 37, 1.0, bits),
        (0, 37, 1.0, bits),
        (u32::MAX, 37, 1.0, bits),
        (4, 0, 1.0, base),
        (4, 138, 1.0, base),
        (4, u32::MAX, 1.0, base),
        (4, 37, low, Ok(())),
        (4, 37, high, Ok(())),
        (4, 37, low.next_down(), scale),
        (4, 37, high.next_up(), scale),
        (4, 37, 0.0, scale),
        (4, 37, -1.0, scale),
        (4, 37, f64::NAN, scale),
        (4, 37, f64::INFINITY, scale),
    ] {
        assert_eq!(AdaLog::new(b, q, s, TOP).map(drop), want, "{b} {q} {s}");
        if q == 37 || want.is_ok() {
            assert_eq!(Log2::new(b, s, TOP).map(drop), want, "{b} {s}");
            assert_eq!(LogSqrt2::new(b, s, TOP).map(drop), want, "{b} {s}");
        }
    }
    let adalog = AdaLog::new(4, 37, 1.0, TOP).unwrap();
    let unit = |unit| {
        let all = [
            adalog.fixed_codec(unit).map(drop),
            Log2::new(4, 1.0, TOP)?.fixed_codec(unit).map(drop),
            LogSqrt2::new(4, 1.0, TOP)?.fixed_codec(unit).map(drop),
        ];
        assert!(all[0] == all[1] && all[1] == all[2]);
        all[0]
    };
    assert_eq!([0.0, -1.0, f64::NAN, f64::INFINITY].map(unit), [scale; 4]);
    assert_eq!([f64::MIN_POSITIVE, 1e-9, 1.0].map(unit), [Ok(()); 3]);
}

#[test]
fn codes_that_a_type_does_not_hold() {
    let full = AdaLog::new(8, 37, 1.0, Symbols::Full).unwrap();
    let top = AdaLog::new(8, 37, 1.0, TOP).unwrap();
    let (full_f32, top_f32): (LogCodec, LogCodec) = (full.codec(), top.codec());
    let (full_fixed, top_fixed): (FixedCodec, FixedCodec) =
        (full.fixed_codec(0.001).unwrap(), top.fixed_codec(0.001).unwrap());
    let error = Err(too_large(Arg::Codes, 255, 256));
    let mut bytes = [7u8; 2];
    assert_eq!(full_f32.encode(&[0.0, 1.0], &mut bytes), error);
    assert_eq!(full_fixed.encode(&[0u32, 1000], &mut bytes), error);
    assert_eq!(bytes, [7; 2]);
    assert_eq!(top_f32.encode(&[0.0, 1.0], &mut bytes), Ok(()));
    assert_eq!(bytes, [255, 0]);
    assert_eq!(top_fixed.encode(&[0u32, 1000], &mut bytes), Ok(()));
    assert_eq!(bytes, [255, 0]);
    let mut codes = [7u16; 2];
    assert_eq!(full_f32.encode(&[0.0, 1.0], &mut codes), Ok(()));
    assert_eq!(codes, [256, 0]);
    assert_eq!(full_fixed.encode(&[0u32, 1000], &mut codes), Ok(()));
    assert_eq!(codes, [256, 0]);
    for got in [1, 3] {
        let error = |what| Err(Error::Length { what, want: 2, got });
        assert_eq!(top_f32.encode(&[1.0; 2], &mut vec![0u8; got]), error(Arg::Codes));
        assert_eq!(top_fixed.encode(&[1u32; 2], &mut vec![0u8; got]), error(Arg::Codes));
        assert_eq!(top_f32.decode(&[1u8; 2], &mut vec![0.0; got]), error(Arg::X));
    }
    // What is no code is 0.
    let mut x = [7.0; 3];
    top_f32.decode(&[255u16, 256, u16::MAX], &mut x).unwrap();
    assert!(x.iter().all(|v| v.to_bits() == 0));
}

#[test]
fn bits_scales_and_zero_points_of_uniform_codes() {
    let of = |bits, scale, zero_point| Uniform::new(bits, scale, zero_point).map(drop);
    for (bits, want) in [(1, false), (2, true), (8, true), (9, false), (32, false), (u32::MAX, false)] {
        assert_eq!(of(bits, 1.0, 0), if want { Ok(()) } else { Err(config(Rule::Bits)) }, "{bits}");
    }
    for (scale, want) in [
        (f32::MIN_POSITIVE, true),
        (f32::MIN_POSITIVE.next_down(), false),
        (f32::MAX, true),
        (f32::INFINITY, false),
        (0.0, false),
        (-1.0, false),
        (f32::NAN, false),
    ] {
        assert_eq!(of(4, scale, 0), if want { Ok(()) } else { Err(config(Rule::Scale)) }, "{scale}");
    }
    for (bits, zero_point, want) in [(2, 3, true), (2, 4, false), (7, 127, true), (7, 128, false), (8, 255, true)] {
        assert_eq!(of(bits, 1.0, zero_point), if want { Ok(()) } else { Err(config(Rule::ZeroPoint)) }, "{zero_point}");
    }
    // Beyond both ends, infinities, and NaN, which is 0.
    let uniform = Uniform::new(8, 1e-30, 200).unwrap();
    let mut codes = [9; 6];
    uniform.encode(&[f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-30], &mut codes).unwrap();
    assert_eq!(codes, [255, 0, 255, 0, 200, 201]);
    for got in [1, 3] {
        assert_eq!(uniform.encode(&[1.0; 2], &mut vec![0; got]), Err(Error::Length { what: Arg::Codes, want: 2, got }));
        assert_eq!(uniform.decode(&[1; 2], &mut vec![0.0; got]), Err(Error::Length { what: Arg::X, want: 2, got }));
    }
}

#[test]
fn bits_and_lengths_of_packed_codes() {
    for (bits, takes) in [(1, false), (2, true), (8, true), (9, false)] {
        let want = if takes { Ok(()) } else { Err(config(Rule::Bits)) };
        let len = packed_len(bits, 3);
        assert_eq!(pack(bits, &[0; 3], &mut vec![0; len]), want);
        assert_eq!(unpack(bits, &vec![0; len], &mut [0; 3]), want);
    }
    for got in [1, 3] {
        assert_eq!(pack(4, &[0; 3], &mut vec![0; got]), Err(Error::Length { what: Arg::Y, want: 2, got }));
        assert_eq!(unpack(4, &vec![0; got], &mut [0; 3]), Err(Error::Length { what: Arg::X, want: 2, got }));
    }
}

#[test]
fn scales_of_gelu() {
    let adalog = AdaLog::new(4, 15, 3.0, TOP).unwrap();
    let full = AdaLog::new(4, 15, 3.0, Symbols::Full).unwrap();
    let (scale, symbols, number) = (config(Rule::Scale), config(Rule::Symbols), config(Rule::Number));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(GeluS8::new((bad, 0), (1.0, 0), GeluForm::Erf).map(drop), Err(scale), "{bad}");
        assert_eq!(GeluS8::new((1.0, 0), (bad, 0), GeluForm::Erf).map(drop), Err(scale), "{bad}");
        assert_eq!(GeluCodes::new(&adalog, bad, 0, 0.1, GeluForm::Erf).map(drop), Err(scale), "{bad}");
        assert_eq!(GeluLadder::<16>::new(&adalog, bad, 0.1, GeluForm::Erf).map(drop), Err(scale), "{bad}");
    }
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(GeluCodes::new(&adalog, 0.1, 0, bad, GeluForm::Erf).map(drop), Err(number));
        assert_eq!(GeluLadder::<16>::new(&adalog, 0.1, bad, GeluForm::Erf).map(drop), Err(number));
    }
    assert_eq!(GeluCodes::new(&full, 0.1, 0, 0.1, GeluForm::Erf).map(drop), Err(symbols));
    assert_eq!(GeluLadder::<16>::new(&full, 0.1, 0.1, GeluForm::Erf).map(drop), Err(symbols));
    let (low, high) = (2f64.powi(-30), 2f64.powi(30));
    for (unit, want) in [(low, Ok(())), (high, Ok(())), (low.next_down(), Err(scale)), (high.next_up(), Err(scale))] {
        assert_eq!(GeluLadder::<16>::new(&adalog, unit, 0.1, GeluForm::Erf).map(drop), want, "{unit}");
    }
    let want = Err(Error::Length { what: Arg::Table, want: 16, got: 15 });
    assert_eq!(GeluLadder::<15>::new(&adalog, 0.1, 0.1, GeluForm::Erf).map(drop), want);
}

/// 4 bits: the largest weight is 30 << 10.
const ADALOG: AdaLog = scrimp::expect!(AdaLog::new(4, 37, 1.0, TOP));
const WEIGHT: i32 = 30 << 10;

#[test]
fn keys_of_code_products() {
    assert_eq!(i32::from(ADALOG.weight(0, ADALOG.fraction_bits())), WEIGHT);
    let ranges = [
        (ValueRange::S8, 128),
        (ValueRange { zero_point: -128, low: -128, high: 127 }, 255),
        (ValueRange { zero_point: 127, low: -128, high: 127 }, 255),
        (ValueRange { zero_point: 3, low: -2, high: 5 }, 5),
    ];
    for (values, magnitude) in ranges {
        assert_eq!(values.magnitude(), magnitude);
        let most = (i32::MAX / (WEIGHT * magnitude as i32)) as usize;
        let of = |keys| CodeProduct::<16>::new(&ADALOG, values, keys);
        assert_eq!(of(0).map(drop), Err(Error::Empty { what: Arg::Keys }));
        assert_eq!(of(most + 1).map(drop), Err(too_large(Arg::Keys, most, most + 1)));
        // The largest sums there are, of each sign, in each form.
        let product = of(most).unwrap();
        let codes = vec![0; packed_len(4, most)];
        for value in [values.low, values.high] {
            let v = vec![value; most];
            let want = (most as i64 * i64::from(WEIGHT) * (i64::from(value) - i64::from(values.zero_point))) as i32;
            let shape = Rows::new(most, 1).unwrap();
            macro_rules! on {
                ($name:ident, $token:expr) => {
                    if let Some(token) = $token {
                        let mut y = [[7]; 3];
                        product.run_on(token, &codes, &v, &mut y[0], one(most)).unwrap();
                        product.run_buckets_on(token, &codes, &v, &mut y[1], one(most)).unwrap();
                        let mut words = vec![0; PackedValues::words(shape)];
                        let packed = PackedValues::pack_on(token, &v, &mut words, shape).unwrap();
                        let mut scratch = vec![0; CodeProduct::scratch_words(shape)];
                        product.run_packed_on(token, &codes, &packed, &mut y[2], &mut scratch).unwrap();
                        assert_eq!(y, [[want]; 3], "{} {value} of {values:?}", stringify!($name));
                    }
                };
            }
            scrimp::for_each_backend!(on);
        }
        // More keys than it was made for.
        let product = of(most - 1).unwrap();
        let error = Err(too_large(Arg::Keys, most - 1, most));
        let mut y = [7];
        let v = vec![values.high; most];
        assert_eq!(product.run(&codes, &v, &mut y, one(most)), error);
        assert_eq!(product.run_buckets(&codes, &v, &mut y, one(most)), error);
        assert_eq!(product.sums(&codes, &mut y, one(most)), error);
        assert_eq!(y, [7]);
    }
    // Values that are all the zero point make no sum, so any number fits.
    let none = ValueRange { zero_point: 5, low: 5, high: 5 };
    assert!(CodeProduct::<16>::new(&ADALOG, none, usize::MAX).is_ok());
}

#[test]
fn tables_and_symbols_of_code_products() {
    let of = |adalog: &AdaLog| CodeProduct::<15>::new(adalog, ValueRange::S8, 4).map(drop);
    assert_eq!(of(&ADALOG), Err(Error::Length { what: Arg::Table, want: 16, got: 15 }));
    let full = AdaLog::new(4, 37, 1.0, Symbols::Full).unwrap();
    let symbols = Err(config(Rule::Symbols));
    assert_eq!(CodeProduct::<16>::new(&full, ValueRange::S8, 4).map(drop), symbols);
    assert_eq!(LogitCodes::<16>::anchored(&full, 0.1).map(drop), symbols);
    assert_eq!(LogitCodes::<16>::normalized(&full, 0.1).map(drop), symbols);
    assert_eq!(CodeLinear::<16>::new(&full, 4, 8).map(drop), symbols);
    let want = Err(Error::Length { what: Arg::Table, want: 16, got: 15 });
    assert_eq!(LogitCodes::<15>::anchored(&ADALOG, 0.1).map(drop), want);
    assert_eq!(CodeLinear::<15>::new(&ADALOG, 4, 8).map(drop), want);
    let bits = |bits| CodeProduct::<16>::with_fraction_bits(&ADALOG, ValueRange::S8, 4, bits).map(drop);
    assert_eq!((bits(0), bits(10), bits(11)), (Ok(()), Ok(()), Err(too_large(Arg::Weights, 10, 11))));
    // Packed values are of 4-bit codes.
    let three = AdaLog::new(3, 37, 1.0, TOP).unwrap();
    let product = CodeProduct::<16>::new(&three, ValueRange::S8, 4).unwrap();
    let shape = Rows::new(4, 1).unwrap();
    let mut words = vec![0; PackedValues::words(shape)];
    let packed = PackedValues::pack(&[1; 4], &mut words, shape).unwrap();
    let mut scratch = vec![0; CodeProduct::scratch_words(shape)];
    let error = product.run_packed(&[0; 2], &packed, &mut [0], &mut scratch);
    assert_eq!(error, Err(config(Rule::Bits)));
}

#[test]
fn lengths_of_code_products() {
    let product = CodeProduct::<16>::new(&ADALOG, ValueRange::S8, 8).unwrap();
    // Two queries of three keys, four channels.
    let queries = Rows::new(2, 3).unwrap();
    for (codes, v, y, want) in [
        (4, 12, 8, Ok(())),
        (3, 12, 8, Err(Error::Length { what: Arg::Codes, want: 4, got: 3 })),
        (5, 12, 8, Err(Error::Length { what: Arg::Codes, want: 4, got: 5 })),
        (4, 11, 8, Err(Error::Length { what: Arg::Values, want: 12, got: 11 })),
        (4, 13, 8, Err(Error::Length { what: Arg::Values, want: 12, got: 13 })),
        (4, 12, 9, Err(Error::Length { what: Arg::Y, want: 8, got: 9 })),
        (4, 12, 1, Err(Error::Empty { what: Arg::Y })),
    ] {
        let (codes, v) = (vec![0; codes], vec![1; v]);
        assert_eq!(product.run(&codes, &v, &mut vec![7; y], queries), want);
        assert_eq!(product.run_buckets(&codes, &v, &mut vec![7; y], queries), want);
    }
    for got in [1, 3] {
        assert_eq!(
            product.sums(&[0; 4], &mut vec![7; got], queries),
            Err(Error::Length { what: Arg::Y, want: 2, got })
        );
    }
    let shape = Rows::new(3, 4).unwrap();
    let mut words = vec![0; PackedValues::words(shape)];
    let packed = PackedValues::pack(&[1; 12], &mut words, shape).unwrap();
    let need = CodeProduct::scratch_words(shape);
    for (codes, y, scratch, want) in [
        (4, 8, need, Ok(())),
        (4, 8, need + 1, Ok(())),
        (4, 8, need - 1, Err(Error::Length { what: Arg::Scratch, want: need, got: need - 1 })),
        (4, 7, need, Err(Error::Length { what: Arg::Y, want: 8, got: 7 })),
        (4, 9, need, Err(Error::Length { what: Arg::Y, want: 8, got: 9 })),
        (5, 8, need, Err(Error::Length { what: Arg::Codes, want: 4, got: 5 })),
        (1, 8, need, Err(Error::Empty { what: Arg::Rows })),
    ] {
        let mut y = vec![7; y];
        let got = product.run_packed(&vec![0; codes], &packed, &mut y, &mut vec![0; scratch]);
        assert_eq!(got, want);
        assert!(y.iter().all(|&y| y == if want.is_ok() { 3 * WEIGHT } else { 7 }), "{y:?}");
    }
}

#[test]
fn channels_of_packed_keys_and_values() {
    for (cols, want) in [(256, Ok(())), (257, Err(too_large(Arg::Cols, 256, 257)))] {
        let shape = Rows::new(3, cols).unwrap();
        let data = vec![1i8; 3 * cols];
        let mut words = vec![7; PackedKeys::words(shape)];
        assert_eq!(PackedKeys::pack(&data, &mut words, shape).map(drop), want);
        assert_eq!(words[0] == 7, want.is_err());
        let mut words = vec![7; PackedValues::words(shape)];
        assert_eq!(PackedValues::pack(&data, &mut words, shape).map(drop), want);
        assert_eq!(words[0] == 7, want.is_err());
    }
    let shape = Rows::new(3, 5).unwrap();
    let (keys, values) = (PackedKeys::words(shape), PackedValues::words(shape));
    for got in [14, 16] {
        let error = |what| Some(Error::Length { what, want: 15, got });
        assert_eq!(PackedKeys::pack(&vec![1; got], &mut vec![0; keys], shape).err(), error(Arg::Keys));
        assert_eq!(PackedValues::pack(&vec![1; got], &mut vec![0; values], shape).err(), error(Arg::Values));
    }
    for by in [-1isize, 1] {
        let (k, v) = (keys.wrapping_add_signed(by), values.wrapping_add_signed(by));
        let error = |want, got| Some(Error::Length { what: Arg::Scratch, want, got });
        assert_eq!(PackedKeys::pack(&[1; 15], &mut vec![0; k], shape).err(), error(keys, k));
        assert_eq!(PackedValues::pack(&[1; 15], &mut vec![0; v], shape).err(), error(values, v));
    }
}

#[test]
fn inputs_of_code_linear() {
    // Without a fraction bit the largest weight is 30.
    for magnitude in [255u8, 8, 1] {
        let most = (i32::MAX / (30 * i32::from(magnitude))) as usize;
        let of = |inputs| CodeLinear::<16>::new(&ADALOG, inputs, magnitude);
        assert_eq!(of(most + 1).map(drop), Err(too_large(Arg::Cols, most, most + 1)));
        assert!((of(most).unwrap().unit() * 30.0 - 1.0).abs() < 1e-12, "no fraction bit is left");
        // Where one bit less is needed, the unit doubles.
        let all = (i32::MAX / (WEIGHT * i32::from(magnitude))) as usize;
        assert!((of(all).unwrap().unit() * f64::from(WEIGHT) - 1.0).abs() < 1e-12);
        assert!((of(all + 1).unwrap().unit() * f64::from(WEIGHT) - 2.0).abs() < 1e-12);
        assert_eq!(of(0).map(drop), Err(Error::Empty { what: Arg::Cols }));
    }
    // Two tokens of three inputs, two outputs.
    let linear = CodeLinear::<16>::new(&ADALOG, 3, 128).unwrap();
    let tokens = Rows::new(2, 3).unwrap();
    let length = |what, want, got| Err(Error::Length { what, want, got });
    for (codes, w, zero_points, y, cols, want) in [
        (4, 6, 1, 4, 3, Ok(())),
        (4, 6, 2, 4, 3, Ok(())),
        (3, 6, 1, 4, 3, length(Arg::Codes, 4, 3)),
        (5, 6, 1, 4, 3, length(Arg::Codes, 4, 5)),
        (4, 5, 1, 4, 3, length(Arg::Weights, 6, 5)),
        (4, 7, 1, 4, 3, length(Arg::Weights, 6, 7)),
        (4, 6, 0, 4, 3, length(Arg::ZeroPoints, 2, 0)),
        (4, 6, 3, 4, 3, length(Arg::ZeroPoints, 2, 3)),
        (4, 6, 1, 3, 3, length(Arg::Y, 4, 3)),
        (4, 6, 1, 5, 3, length(Arg::Y, 4, 5)),
        (4, 6, 1, 4, 4, length(Arg::Cols, 3, 4)),
    ] {
        let rows = if cols == 3 { tokens } else { Rows::new(2, cols).unwrap() };
        let mut y = vec![7; y];
        let got = linear.run(&vec![0; codes], &vec![2; w], &vec![1; zero_points], &[10, 20], &mut y, rows);
        assert_eq!(got, want);
        if want.is_ok() {
            assert_eq!(y, [10 + 3 * WEIGHT, 20 + 3 * WEIGHT, 10 + 3 * WEIGHT, 20 + 3 * WEIGHT]);
        } else {
            assert!(y.iter().all(|&y| y == 7));
        }
    }
    // The folded bias at both ends of i32, in a unit of 2^-10.
    let of_thirty = AdaLog::new(4, 37, 30.0, TOP).unwrap();
    let linear = CodeLinear::<16>::new(&of_thirty, 3, 128).unwrap();
    let unit = linear.unit();
    assert_eq!(unit.to_bits(), 2f64.powi(-10).to_bits());
    for (steps, takes) in [
        (f64::from(i32::MAX), true),
        (f64::from(i32::MIN), true),
        (f64::from(i32::MAX) + 1.0, false),
        (f64::from(i32::MIN) - 1.0, false),
        (f64::NAN, false),
        (f64::INFINITY, false),
    ] {
        let got = linear.fold(steps * unit, 1.0, 0, 0.0);
        assert_eq!(got, if takes { Ok(steps as i32) } else { Err(config(Rule::Scale)) }, "{steps}");
    }
    assert_eq!(linear.fold(0.0, 1.0, 3, 5.0 * unit), Ok(-15));
}

/// The distance that the last code covers is below 2^29 logits.
#[test]
fn units_of_logit_codes() {
    let least = 14.5 / f64::from(1u32 << 29) * core::f64::consts::LN_2;
    for of in [LogitCodes::<16>::anchored, LogitCodes::<16>::normalized] {
        let of = |unit: f64| of(&ADALOG, unit).map(drop);
        assert_eq!(of(least * 1.000_001), Ok(()));
        assert_eq!(of(least * 0.999_999), Err(config(Rule::Scale)));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(of(bad), Err(config(Rule::Scale)), "{bad}");
        }
        assert_eq!(of(1e300), Ok(()));
    }
    // With the largest unit each logit below the first is zero.
    let codes: LogitCodes = LogitCodes::anchored(&ADALOG, 1e300).unwrap();
    let mut packed = [0; 2];
    codes.run(&[5, 4, i32::MIN + 1, MASKED], &mut packed, one(4)).unwrap();
    assert_eq!(packed, [0xF0, 0xFF]);
    // With the least, the last code ends within 2^29.
    let codes = LogitCodes::<16>::anchored(&ADALOG, least * 1.000_001).unwrap().with_thresholds();
    let top = 1_000_000_000;
    codes.run(&[top, top - (1 << 29) + 1000, top - (1 << 29), top - i32::MAX], &mut packed, one(4)).unwrap();
    assert_eq!(packed, [0xE0, 0xFF]);
}

#[test]
fn lengths_of_codes_saturate() {
    let most = usize::MAX;
    assert_eq!(packed_len(8, most), most);
    assert_eq!(packed_len(7, most), most / 8 * 7 + 7);
    assert_eq!(packed_len(u32::MAX, most), most);
}
