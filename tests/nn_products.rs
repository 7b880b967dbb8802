//! Products of activations: layers whose weights come with the call, a third batch axis; and sums that wrap around.

use scrimp::backend::Auto;
use scrimp::bits::{Format, Layout, Weights, Width, packed_words};
use scrimp::error::{Arg, Rule};
use scrimp::fixedpoint::{Multiplier, Rounding};
use scrimp::nn::{BatchMatMulS8, BatchShape, DynamicLinearS8, LinearS8, QuantS8, RequantTable};
use scrimp::{Error, Rows};
use scrimp_reference::bits as oracle;

/// A stream of numbers that every machine makes the same.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 13
    }

    fn codes(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| self.next() as i8).collect()
    }
}

#[test]
fn layers_whose_weights_are_activations() {
    let mut noise = Noise(1);
    for i in 0..150usize {
        let (rows, outputs, depth) = (1 + i % 4, 1 + i * 5 % 23, 1 + i * 7 % 41);
        let quant = QuantS8 {
            input_offset: [0, 128, -127, 9][i % 4],
            filter_offset: [0, -5, 128][i % 3],
            output_offset: [0, -128, 127][i / 2 % 3],
            min: [-128, -20][i % 2],
            max: [127, 60][i / 3 % 2],
            rounding: if i % 5 == 0 { Rounding::Single } else { Rounding::Double },
        };
        let multiplier =
            Multiplier { mantissa: (1 << 30) + noise.next() as u32 as i32 / 4, shift: [-9, -12, 2, -4][i % 4] };
        let bias: Vec<i32> =
            if i % 3 == 0 { vec![] } else { (0..outputs).map(|_| noise.next() as i16 as i32).collect() };
        let (x, w) = (noise.codes(rows * depth), noise.codes(outputs * depth));
        let layer = oracle::Layer {
            input_offset: quant.input_offset,
            filter_offset: quant.filter_offset,
            output_offset: quant.output_offset,
            min: quant.min.into(),
            max: quant.max.into(),
            single: quant.rounding == Rounding::Single,
        };
        let full = if bias.is_empty() { vec![0; outputs] } else { bias.clone() };
        let (mantissa, shift) = (vec![multiplier.mantissa; outputs], vec![multiplier.shift; outputs]);
        let want: Vec<i8> =
            x.chunks(depth).flat_map(|x| oracle::linear_s8(x, &w, &full, &mantissa, &shift, layer)).collect();
        let layer = DynamicLinearS8::new(rows, Rows::new(outputs, depth).unwrap(), &bias, multiplier, quant).unwrap();
        macro_rules! on {
            ($name:ident, $token:expr) => {
                if let Some(token) = $token {
                    let mut y = vec![85; want.len()];
                    layer.run_on(token, &x, &w, &mut y, &mut vec![0; layer.scratch()]).unwrap();
                    assert_eq!(y, want, "{} {rows} x {outputs} x {depth} {quant:?}", stringify!($name));
                }
            };
        }
        on!(auto, Some(Auto));
        scrimp::for_each_backend!(on);
    }
}

#[test]
fn a_third_batch_axis_is_the_outermost() {
    let mut noise = Noise(2);
    let product = BatchMatMulS8::new(Multiplier { mantissa: 1 << 30, shift: -6 }, [3, -7], 1).unwrap();
    for (outer_l, outer_r) in [(1, 1), (3, 3), (1, 2), (4, 1)] {
        // A batch axis of each kind inside.
        let inner = BatchShape::new([2, 1, 3, 5], [2, 4, 5, 2], false, false).unwrap();
        let shape = inner.with_outer(outer_l, outer_r).unwrap();
        assert_eq!(shape.output(), [2, 4, 3, 2]);
        let (lhs, rhs) = (noise.codes(outer_l * 30), noise.codes(outer_r * 80));
        let mut scratch = vec![0; shape.scratch()];
        let outer = outer_l.max(outer_r);
        let mut want = Vec::new();
        for o in 0..outer {
            let lhs = &lhs[if outer_l == 1 { 0 } else { o } * 30..][..30];
            let rhs = &rhs[if outer_r == 1 { 0 } else { o } * 80..][..80];
            let mut y = [0; 48];
            product.run(lhs, rhs, &mut y, &inner, &mut scratch).unwrap();
            want.extend(y);
        }
        let mut y = vec![0; want.len()];
        product.run(&lhs, &rhs, &mut y, &shape, &mut scratch).unwrap();
        assert_eq!(y, want, "{outer_l} {outer_r}");
        assert!(product.run(&lhs[1..], &rhs, &mut y, &shape, &mut scratch).is_err());
        assert!(product.run(&lhs, &rhs[1..], &mut y, &shape, &mut scratch).is_err());
        assert!(product.run(&lhs, &rhs, &mut y[1..], &shape, &mut scratch).is_err());
    }
    let inner = BatchShape::new([1, 1, 1, 1], [1, 1, 1, 1], false, false).unwrap();
    assert_eq!(inner.with_outer(0, 1), Err(Error::Empty { what: Arg::Batch }));
    assert_eq!(inner.with_outer(2, 3), Err(Error::Length { what: Arg::Batch, want: 2, got: 3 }));
    assert!(inner.with_outer(usize::MAX, 1).is_ok());
    let two = BatchShape::new([2, 1, 1, 1], [1, 1, 1, 1], false, false).unwrap();
    assert_eq!(two.with_outer(usize::MAX, 1), Err(Error::TooLarge { what: Arg::Rows, max: usize::MAX, got: 1 }));
}

/// 200,000 products of -128 with -128 are 3.3e9: the sum wraps around at 32 bits, as TFLite's does, on every backend.
#[test]
fn deep_sums_wrap_around() {
    const DEPTH: usize = 200_000;
    let (x, w) = (vec![-128; DEPTH], vec![-128; 2 * DEPTH]);
    let shape = Rows::new(2, DEPTH).unwrap();
    let scale = [Multiplier { mantissa: 1_500_000_000, shift: -24 }];
    let quant = QuantS8 { input_offset: 128, ..QuantS8::PLAIN };
    let rows = Weights::s8(&w, shape).unwrap();
    for (bias, quant) in [([0, 77], QuantS8::PLAIN), ([-5, 1 << 30], quant)] {
        let table = RequantTable::<2>::new(&rows, Width::W8, &quant, &bias, &scale).unwrap();
        let layer = oracle::Layer {
            input_offset: quant.input_offset,
            filter_offset: 0,
            output_offset: 0,
            min: -128,
            max: 127,
            single: false,
        };
        let want = oracle::linear_s8(&x, &w, &bias, &[scale[0].mantissa; 2], &[-24; 2], layer);
        assert!(want.iter().any(|y| y.unsigned_abs() > 1), "{want:?}");
        for layout in [Layout::Rows, Layout::Dsp, Layout::Helium, Layout::Wide] {
            let mut words = vec![0; packed_words(Format::S8, layout, shape)];
            let weights = match layout {
                Layout::Rows => rows,
                _ => rows.pack_into(Format::S8, layout, Width::W8, &mut words, &mut []).unwrap(),
            };
            let widths = [(Width::W8, table.by_ref())];
            let layer = LinearS8::new(weights, &widths, quant).unwrap();
            macro_rules! on {
                ($name:ident, $token:expr) => {
                    if let Some(token) = $token {
                        let mut y = [85; 2];
                        layer.run_on(token, &x, &mut y, 1).unwrap();
                        assert_eq!(y.as_slice(), want, "{} {layout:?}", stringify!($name));
                    }
                };
            }
            scrimp::for_each_backend!(on);
        }
    }
}

#[test]
fn what_is_wrong_is_refused() {
    let shape = Rows::new(2, 3).unwrap();
    let one = Multiplier { mantissa: 1 << 30, shift: 1 };
    let new = |rows, bias, multiplier, quant| DynamicLinearS8::new(rows, shape, bias, multiplier, quant).err();
    let config = |what| Some(Error::Config { what });
    assert_eq!(new(0, &[], one, QuantS8::PLAIN), Some(Error::Empty { what: Arg::Rows }));
    assert_eq!(new(1, &[1], one, QuantS8::PLAIN), Some(Error::Length { what: Arg::Bias, want: 2, got: 1 }));
    assert_eq!(new(1, &[], Multiplier { shift: 31, ..one }, QuantS8::PLAIN), config(Rule::Scale));
    assert_eq!(new(1, &[], one, QuantS8 { filter_offset: 256, ..QuantS8::PLAIN }), config(Rule::ZeroPoint));
    assert_eq!(new(1, &[], one, QuantS8 { min: 1, max: 0, ..QuantS8::PLAIN }), config(Rule::OutputRange));
    let most = 1 << 20;
    assert!(DynamicLinearS8::new(1, Rows::new(1, most).unwrap(), &[], one, QuantS8::PLAIN).is_ok());
    let deep = Rows::new(1, most + 1).unwrap();
    let too_large = Some(Error::TooLarge { what: Arg::Depth, max: most, got: most + 1 });
    assert_eq!(DynamicLinearS8::new(1, deep, &[], one, QuantS8::PLAIN).err(), too_large);
    let codes = vec![0; most + 1];
    let weights = Weights::s8(&codes, deep).unwrap();
    let table = RequantTable::<1>::new(&weights, Width::W8, &QuantS8::PLAIN, &[], &[one]).unwrap();
    assert_eq!(LinearS8::new(weights, &[(Width::W8, table.by_ref())], QuantS8::PLAIN).err(), too_large);
    let weights = Weights::s8(&codes[1..], Rows::new(1, most).unwrap()).unwrap();
    assert!(LinearS8::new(weights, &[(Width::W8, table.by_ref())], QuantS8::PLAIN).is_ok());

    let layer = DynamicLinearS8::new(2, shape, &[], one, QuantS8::PLAIN).unwrap();
    let (mut y, mut scratch) = ([9; 4], vec![0; layer.scratch()]);
    let want = scratch.len();
    let length = |what, want, got| Err(Error::Length { what, want, got });
    assert_eq!(layer.run(&[1; 5], &[1; 6], &mut y, &mut scratch), length(Arg::Lhs, 6, 5));
    assert_eq!(layer.run(&[1; 6], &[1; 7], &mut y, &mut scratch), length(Arg::Rhs, 6, 7));
    assert_eq!(layer.run(&[1; 6], &[1; 6], &mut y[1..], &mut scratch), length(Arg::Y, 4, 3));
    let short = layer.run(&[1; 6], &[1; 6], &mut y, &mut scratch[1..]);
    assert_eq!(short, length(Arg::Scratch, want, want - 1));
    assert_eq!(y, [9; 4]);
}
