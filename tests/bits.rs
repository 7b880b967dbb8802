//! Double Rounding, formats, layouts, and the integer layers at every width, on every backend: against the oracle, which for
//! every width is the 8-bit kernel run on masked weights.

use proptest::prelude::*;
use scrimp::backend::Dispatch;
use scrimp::bits::{
    Cost, Format, Governor, Ladder, Layout, NEST_CAP, Pareto, Step, Weights, Width, double_round, double_round_masked,
    nest, nest_planes, pack_s4, packed_words, unnest,
};
use scrimp::error::{Arg, Rule};
use scrimp::fixedpoint::{Multiplier, Rounding, requantize, requantize_s64};
use scrimp::nn::{
    BatchMatMulS8, BatchMatMulS16, BatchShape, LinearS8, LinearS16, QuantS8, Requant, RequantS16, RequantTable,
};
use scrimp::{Error, Rows};
use scrimp_reference::bits as oracle;

#[test]
fn every_code_at_every_width() {
    for q in i8::MIN..=i8::MAX {
        for width in Width::ALL {
            let (l, s) = (width.bits(), width.dropped());
            let want = oracle::double_round(q, l);
            assert_eq!(double_round(q, width), want, "{q} at {l}");
            assert_eq!(double_round_masked(q, width), oracle::masked(q, l), "{q} at {l}");
            assert_eq!(Width::from_bits(l), Some(width));
            if s > 0 {
                // Only l + 1 bits of the code decide.
                let most = (1i32 << (l - 1)) - 1;
                let planes = ((i32::from(q) >> s) + (i32::from(q) >> (s - 1) & 1)).min(most);
                assert_eq!(i32::from(want), planes, "{q} at {l}");
            }
            if q <= NEST_CAP {
                let (high, low) = nest(q);
                assert_eq!(unnest(high, low, width), want, "{q} at {l}");
                assert_eq!(16 * i32::from(high) + i32::from(low) - 8, i32::from(q));
            }
        }
    }
    assert_eq!((Width::from_bits(1), Width::from_bits(9)), (None, None));
    assert_eq!(nest(127), nest(119));
}

#[test]
fn as_many_codes_saturate_and_differ_as_there_should() {
    for width in Width::ALL {
        let s = width.dropped();
        if s == 0 {
            continue;
        }
        let codes = || i8::MIN..=i8::MAX;
        let most = (1 << (width.bits() - 1)) - 1;
        let above = |q: i8| (i32::from(q) + (1 << (s - 1))) >> s > most;
        assert_eq!(codes().filter(|&q| above(q)).count(), 1 << (s - 1));
        let ties = codes().filter(|&q| double_round(q, width) != oracle::double_round_even(q, width.bits()));
        assert_eq!(ties.count(), 1 << (7 - s));
    }
}

/// A stream of numbers that every machine makes the same.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 13
    }

    fn s8(&mut self) -> i8 {
        self.next() as i8
    }

    fn below(&mut self, n: i64) -> i64 {
        (self.next() >> 8) as i64 % n
    }
}

/// 256 codes as a matrix, in every format and layout, decoded at every width.
#[test]
fn every_code_in_every_format_and_layout() {
    let codes: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    for (outputs, depth) in [(16, 16), (2, 128), (128, 2), (256, 1), (1, 256)] {
        let shape = Rows::new(outputs, depth).unwrap();
        let capped: Vec<i8> = codes.iter().map(|&q| q.min(NEST_CAP)).collect();
        let raw = Weights::raw8(&codes, shape).unwrap();
        let (mut high, mut low) = (vec![0; 128], vec![0; 128]);
        nest_planes(&capped, &mut high, &mut low).unwrap();
        let nested = Weights::nest(&high, &low, shape).unwrap();
        for width in Width::ALL {
            let mut ram = vec![0; 256];
            let switched = raw.switch_into(width, &mut ram).unwrap();
            for (at, &q) in codes.iter().enumerate() {
                let (o, i) = (at / depth, at % depth);
                let want = Some(oracle::double_round(q, width.bits()));
                assert_eq!(raw.code(width, o, i), want);
                assert_eq!(nested.code(width, o, i), Some(oracle::double_round(capped[at], width.bits())));
                assert_eq!(switched.code(Width::W8, o, i), Some(oracle::masked(q, width.bits())));
            }
            for layout in [Layout::Dsp, Layout::Helium, Layout::Wide] {
                check_packed(&raw, Format::Raw8, layout, Width::W8, width, |q| q);
                check_packed(&nested, Format::Nest84, layout, Width::W8, width, |q| q.min(NEST_CAP));
                check_packed(&raw, Format::S8, layout, width, Width::W8, |q| oracle::masked(q, width.bits()));
            }
        }
        for layout in [Layout::Dsp, Layout::Helium, Layout::Wide] {
            let codes_of_4 = |q| oracle::double_round(q, 4);
            check_packed(&raw, Format::S4, layout, Width::W4, Width::W4, |q| codes_of_4(q) << 4);
        }
    }
}

/// Packs as `format` from width `from`, and reads at width `at` what should be the width's code of `of(q)`.
fn check_packed(weights: &Weights, format: Format, layout: Layout, from: Width, at: Width, of: impl Fn(i8) -> i8) {
    let shape = weights.shape();
    let words = packed_words(format, layout, shape);
    let (mut words, mut low) = (vec![9; words], vec![9; if format == Format::Nest84 { words } else { 0 }]);
    let packed = weights.pack_into(format, layout, from, &mut words, &mut low).unwrap();
    assert_eq!((packed.format(), packed.layout(), packed.shape()), (format, layout, shape));
    for o in 0..shape.rows() {
        for i in 0..shape.cols() {
            let q = (o * shape.cols() + i) as u8 ^ 0x80;
            let want = Some(oracle::double_round(of(q as i8), at.bits()));
            assert_eq!(packed.code(at, o, i), want, "{format:?} {layout:?} from {from:?} at {at:?}");
        }
    }
}

#[test]
fn four_bits_read_half_of_the_bytes() {
    let shape = Rows::new(6, 10).unwrap();
    let codes = [1i8; 60];
    let (mut high, mut low) = ([0; 30], [0; 30]);
    nest_planes(&codes, &mut high, &mut low).unwrap();
    let nested = Weights::nest(&high, &low, shape).unwrap();
    assert_eq!(nested.bytes_read(Width::W8), 60);
    assert_eq!(nested.bytes_read(Width::W4), 30);
    assert_eq!(Weights::raw8(&codes, shape).unwrap().bytes_read(Width::W4), 60);
    assert_eq!(Weights::s8(&codes, shape).unwrap().bytes_read(Width::W4), 0);
    let alone = Weights::nest(&high, &[], shape).unwrap();
    assert_eq!(Width::ALL.map(|width| alone.has(width)), Width::ALL.map(|width| width == Width::W4));
    let words = packed_words(Format::Nest84, Layout::Dsp, shape);
    let (mut words, mut low) = (vec![0; words], vec![0; words]);
    let packed = nested.pack_into(Format::Nest84, Layout::Dsp, Width::W8, &mut words, &mut low).unwrap();
    assert_eq!(packed.bytes_read(Width::W8), 2 * packed.bytes_read(Width::W4));
}

/// Mostly what fits the output's type; else around the end of what the fast loops take, and as large as it gets.
fn output_offset(noise: &mut Noise) -> i32 {
    const OTHERS: [i32; 12] = [128, -129, 254, 255, 256, -254, -255, -256, 1000, -70_000, i32::MAX, i32::MIN];
    if noise.below(2) == 0 { noise.s8().into() } else { OTHERS[noise.below(OTHERS.len() as i64) as usize] }
}

/// A layer with everything in it, owned.
struct Owned {
    shape: Rows,
    codes: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<Multiplier>,
    quant: QuantS8,
}

impl Owned {
    fn new(noise: &mut Noise, outputs: usize, depth: usize, plain: bool) -> Self {
        let shape = Rows::new(outputs, depth).unwrap();
        let kind = noise.below(4);
        let codes = (0..outputs * depth).map(|_| if kind == 0 { -128 } else { noise.s8() }).collect();
        let bits = usize::BITS - depth.leading_zeros();
        let multipliers = (0..if noise.below(2) == 0 { 1 } else { outputs }).map(|_| {
            let mantissa = (1 << 30) + noise.below(1 << 30) as i32;
            let mantissa = if noise.below(3) == 0 { -mantissa } else { mantissa };
            let shift = if plain { -6 - noise.below(bits as i64 + 2) as i32 } else { noise.below(62) as i32 - 31 };
            Multiplier { mantissa, shift }
        });
        let multipliers = multipliers.collect();
        let bias = (0..outputs).map(|_| noise.below(1 << 12) as i32 - (1 << 11)).collect();
        let (a, b) = (noise.s8(), noise.s8());
        let full = noise.below(2) == 0;
        let offset = |noise: &mut Noise| if noise.below(2) == 0 { 0 } else { noise.below(257) as i32 - 128 };
        let quant = QuantS8 {
            input_offset: offset(noise),
            filter_offset: if noise.below(3) == 0 { offset(noise) } else { 0 },
            output_offset: output_offset(noise),
            min: if full { -128 } else { a.min(b) },
            max: if full { 127 } else { a.max(b) },
            rounding: if plain || noise.below(2) == 0 { Rounding::Double } else { Rounding::Single },
        };
        Self { shape, codes, bias, multipliers, quant }
    }

    /// The oracle's rows for weights of `width` bits made of `codes`.
    fn oracle(&self, x: &[i8], w: &[i8]) -> Vec<i8> {
        let of = |o: usize| self.multipliers[if self.multipliers.len() == 1 { 0 } else { o }];
        let outputs = self.shape.rows();
        let mantissa: Vec<_> = (0..outputs).map(|o| of(o).mantissa).collect();
        let shift: Vec<_> = (0..outputs).map(|o| of(o).shift).collect();
        let QuantS8 { input_offset, filter_offset, output_offset, min, max, rounding } = self.quant;
        let layer = oracle::Layer {
            input_offset,
            filter_offset,
            output_offset,
            min: min.into(),
            max: max.into(),
            single: rounding == Rounding::Single,
        };
        x.chunks(self.shape.cols())
            .flat_map(|x| oracle::linear_s8(x, w, &self.bias, &mantissa, &shift, layer))
            .collect()
    }

    /// Runs `weights` at `width` on every backend.
    fn check(&self, weights: Weights, width: Width, x: &[i8], want: &[i8]) {
        let outputs = self.shape.rows();
        let (mut bias, mut mantissa, mut shift) = (vec![0; outputs], vec![0; outputs], vec![0; outputs]);
        let tables = (&mut bias[..], &mut mantissa[..], &mut shift[..]);
        let requant = Requant::build(tables, &weights, width, &self.quant, &self.bias, &self.multipliers).unwrap();
        let widths = [(width, requant)];
        let layer = LinearS8::new(weights, &widths, self.quant).unwrap();
        let rows = x.len() / self.shape.cols();
        let name = format!("{:?} {:?} {:?} {width:?} {:?}", weights.format(), weights.layout(), self.shape, self.quant);
        macro_rules! on {
            ($backend:ident, $token:expr) => {
                if let Some(token) = $token {
                    let mut y = vec![99; want.len()];
                    layer.run_on(token, x, &mut y, rows).unwrap();
                    assert_eq!(y, want, "{} {name}", stringify!($backend));
                    check_sums(token, &layer, x, want, rows);
                }
            };
        }
        scrimp::for_each_backend!(on);
        let mut y = vec![99; want.len()];
        layer.run(x, &mut y, rows).unwrap();
        assert_eq!(y, want, "auto {name}");
    }
}

/// Sums, then outputs: nothing else; and at 4 bits of nested weights, then refined.
fn check_sums<D: Dispatch>(token: D, layer: &LinearS8, x: &[i8], want: &[i8], rows: usize) {
    let (mut sums, mut y) = (vec![7; want.len()], vec![99; want.len()]);
    layer.sums_on(token, x, &mut sums, rows).unwrap();
    layer.finish_on(token, &sums, &mut y, rows).unwrap();
    assert_eq!(y, want);
    let before = sums.clone();
    if layer.width() == Width::W4 && layer.refine_on(token, x, &mut sums, rows).is_ok() {
        let weights = layer.weights();
        let depth = weights.shape().cols();
        for (at, &sum) in sums.iter().enumerate() {
            let (r, o) = (at / weights.shape().rows(), at % weights.shape().rows());
            let residual = |i| {
                let code = |width: Width| i32::from(weights.code(width, o, i).unwrap()) << width.dropped();
                (code(Width::W8) - code(Width::W4)) * i32::from(x[r * depth + i])
            };
            assert_eq!(sum, before[at] + (0..depth).map(residual).sum::<i32>());
        }
    }
}

/// Every format and layout at every width.
fn check_layer(noise: &mut Noise, outputs: usize, depth: usize, rows: usize, plain: bool) {
    let layer = Owned::new(noise, outputs, depth, plain);
    let kind = noise.below(4);
    let x: Vec<i8> = (0..rows * depth).map(|_| if kind == 0 { -128 } else { noise.s8() }).collect();
    let raw = Weights::raw8(&layer.codes, layer.shape).unwrap();
    let capped: Vec<i8> = layer.codes.iter().map(|&q| q.min(NEST_CAP)).collect();
    let (mut high, mut low) = (vec![0; capped.len().div_ceil(2)], vec![0; capped.len().div_ceil(2)]);
    nest_planes(&capped, &mut high, &mut low).unwrap();
    let nested = Weights::nest(&high, &low, layer.shape).unwrap();
    let codes_of_4: Vec<i8> = layer.codes.iter().map(|&q| q >> 4).collect();
    let mut packed = vec![0; codes_of_4.len().div_ceil(2)];
    pack_s4(&codes_of_4, &mut packed).unwrap();
    let s4 = Weights::s4(&packed, layer.shape).unwrap();
    let at_4 = layer.oracle(&x, &codes_of_4);
    layer.check(s4, Width::W4, &x, &at_4);
    let alone = Weights::nest(&high, &[], layer.shape).unwrap();
    for width in Width::ALL {
        let of = |codes: &[i8]| codes.iter().map(|&q| oracle::masked(q, width.bits())).collect::<Vec<_>>();
        let (of_raw, of_nested) = (layer.oracle(&x, &of(&layer.codes)), layer.oracle(&x, &of(&capped)));
        layer.check(raw, width, &x, &of_raw);
        layer.check(nested, width, &x, &of_nested);
        if width == Width::W4 {
            layer.check(alone, width, &x, &of_nested);
        }
        for layout in [Layout::Dsp, Layout::Helium, Layout::Wide] {
            let words = |format| packed_words(format, layout, layer.shape);
            let mut bytes = vec![0; words(Format::Raw8)];
            layer.check(
                raw.pack_into(Format::Raw8, layout, Width::W8, &mut bytes, &mut []).unwrap(),
                width,
                &x,
                &of_raw,
            );
            let switched = raw.pack_into(Format::S8, layout, width, &mut bytes, &mut []).unwrap();
            layer.check(switched, Width::W8, &x, &of_raw);
            let (mut high, mut low) = (vec![0; words(Format::Nest84)], vec![0; words(Format::Nest84)]);
            let packed = nested.pack_into(Format::Nest84, layout, Width::W8, &mut high, &mut low).unwrap();
            layer.check(packed, width, &x, &of_nested);
            if width == Width::W4 {
                let mut nibbles = vec![0; words(Format::S4)];
                let packed = s4.pack_into(Format::S4, layout, width, &mut nibbles, &mut []).unwrap();
                layer.check(packed, width, &x, &at_4);
                let alone = Weights::packed(Format::Nest84, layout, &high, &[], layer.shape).unwrap();
                layer.check(alone, width, &x, &of_nested);
            }
        }
    }
}

#[test]
fn small_and_odd_layers() {
    let mut noise = Noise(1);
    for depth in [1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 48, 67] {
        for outputs in [1, 2, 3, 4, 5, 8, 9, 15, 16, 17] {
            let rows = 1 + (depth + outputs) % 3;
            check_layer(&mut noise, outputs, depth, rows, true);
        }
    }
}

#[test]
fn large_layers() {
    let mut noise = Noise(2);
    for (outputs, depth, rows) in
        [(33, 64, 7), (65, 496, 1), (9, 497, 2), (70, 512, 1), (5, 1003, 1), (129, 100, 13), (40, 24, 30)]
    {
        check_layer(&mut noise, outputs, depth, rows, true);
    }
}

#[test]
fn any_multiplier_and_one_rounding() {
    let mut noise = Noise(3);
    for i in 0..60 {
        check_layer(&mut noise, 1 + i % 7, 1 + i, 1 + i % 2, false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn random_layers(seed in 1u64.., outputs in 1usize..40, depth in 1usize..90, rows in 1usize..6) {
        check_layer(&mut Noise(seed), outputs, depth, rows, !seed.is_multiple_of(3));
    }
}

#[test]
fn sixteen_bits() {
    let mut noise = Noise(4);
    for (outputs, depth) in [(1, 1), (3, 5), (7, 33), (16, 64), (5, 600), (2, 1031)] {
        let shape = Rows::new(outputs, depth).unwrap();
        let codes: Vec<i8> = (0..outputs * depth).map(|_| noise.s8().min(NEST_CAP)).collect();
        let bias: Vec<i64> = (0..outputs).map(|_| noise.below(1 << 30) - (1 << 29)).collect();
        let mantissa: Vec<i32> = (0..outputs).map(|_| i32::MAX - noise.below(1 << 30) as i32).collect();
        let shift: Vec<i8> = (0..outputs).map(|_| -2 - noise.below(20) as i8).collect();
        let shifts: Vec<i32> = shift.iter().map(|&s| s.into()).collect();
        let requant = RequantS16::new(&bias, &mantissa, &shift).unwrap();
        let (mut high, mut low) = (vec![0; codes.len().div_ceil(2)], vec![0; codes.len().div_ceil(2)]);
        nest_planes(&codes, &mut high, &mut low).unwrap();
        let x: Vec<i16> = (0..3 * depth).map(|_| noise.next() as i16).collect();
        for width in Width::ALL {
            let w: Vec<i8> = codes.iter().map(|&q| oracle::masked(q, width.bits())).collect();
            let want: Vec<i16> =
                x.chunks(depth).flat_map(|x| oracle::linear_s16(x, &w, &bias, &mantissa, &shifts)).collect();
            let widths = [(width, requant)];
            for weights in [Weights::raw8(&codes, shape).unwrap(), Weights::nest(&high, &low, shape).unwrap()] {
                let layer = LinearS16::new(weights, &widths, i16::MIN, i16::MAX).unwrap();
                macro_rules! on {
                    ($backend:ident, $token:expr) => {
                        if let Some(token) = $token {
                            let mut y = vec![0; 3 * outputs];
                            layer.run_on(token, &x, &mut y, 3).unwrap();
                            assert_eq!(y, want, "{}", stringify!($backend));
                        }
                    };
                }
                scrimp::for_each_backend!(on);
            }
        }
    }
}

#[test]
fn products_of_batches() {
    let mut noise = Noise(5);
    for i in 0..200usize {
        let (rows, depth, cols) = (1 + i % 5, 1 + i % 19, 1 + i * 7 % 37);
        let (l, r) = ([1 + i % 2 * 2, 1 + i / 2 % 2], [1 + i / 4 % 2 * 2, 1 + i / 8 % 2]);
        let (l_t, r_t) = (i.is_multiple_of(3), i % 4 < 2);
        let lhs_shape = if l_t { [l[0], l[1], depth, rows] } else { [l[0], l[1], rows, depth] };
        let rhs_shape = if r_t { [r[0], r[1], cols, depth] } else { [r[0], r[1], depth, cols] };
        let shape = BatchShape::new(lhs_shape, rhs_shape, l_t, r_t).unwrap();
        let [b0, b1, ..] = shape.output();
        let lhs: Vec<i16> = (0..lhs_shape.iter().product()).map(|_| noise.next() as i16).collect();
        let rhs: Vec<i16> = (0..rhs_shape.iter().product()).map(|_| noise.next() as i16).collect();
        let at = |batch: [usize; 2], i0, i1| (i0 % batch[0]) * batch[1] + i1 % batch[1];
        let of = |offsets: [i64; 2], lhs: &dyn Fn(usize) -> i64, rhs: &dyn Fn(usize) -> i64| -> Vec<i64> {
            let mut sums = Vec::new();
            for (i0, i1) in (0..b0).flat_map(|i0| (0..b1).map(move |i1| (i0, i1))) {
                let (l0, r0) = (at(l, i0, i1) * rows * depth, at(r, i0, i1) * cols * depth);
                for (row, col) in (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col))) {
                    let product = |k| {
                        let l = lhs(l0 + if l_t { k * rows + row } else { row * depth + k });
                        let r = rhs(r0 + if r_t { col * depth + k } else { k * cols + col });
                        (l + offsets[0]) * (r + offsets[1])
                    };
                    sums.push((0..depth).map(product).sum());
                }
            }
            sums
        };
        let multiplier = Multiplier { mantissa: (1 << 30) + noise.below(1 << 30) as i32, shift: -9 };
        let sums = of([0, 0], &|i| lhs[i].into(), &|i| rhs[i].into());
        let want: Vec<i16> = sums.iter().map(|&s| oracle::requantize_s64(s, multiplier.mantissa, -9)).collect();
        let mut y = vec![0; want.len()];
        BatchMatMulS16::new(multiplier, i16::MIN, i16::MAX).unwrap().run(&lhs, &rhs, &mut y, &shape).unwrap();
        assert_eq!(y, want, "{shape:?}");
        let (lhs, rhs): (Vec<i8>, Vec<i8>) =
            (lhs.iter().map(|&v| v as i8).collect(), rhs.iter().map(|&v| v as i8).collect());
        let sums = of([128, -3], &|i| lhs[i].into(), &|i| rhs[i].into());
        for (rounding, offset) in [Rounding::Double, Rounding::Single]
            .into_iter()
            .flat_map(|rounding| [-5, 128, 300, -1000, i32::MAX, i32::MIN].map(|offset| (rounding, offset)))
        {
            let product = BatchMatMulS8::new(multiplier, [128, -3], offset).unwrap();
            let product = product.with_range(-100, 90).unwrap().with_rounding(rounding);
            let single = rounding == Rounding::Single;
            let requantized = |s| oracle::requantize(s, multiplier.mantissa, -9, single);
            let of = |&s: &i64| (requantized(s) + i64::from(offset)).clamp(-100, 90) as i8;
            let want: Vec<i8> = sums.iter().map(of).collect();
            macro_rules! on {
                ($backend:ident, $token:expr) => {
                    if let Some(token) = $token {
                        let mut y = vec![0; want.len()];
                        product.run_on(token, &lhs, &rhs, &mut y, &shape, &mut vec![0; shape.scratch()]).unwrap();
                        assert_eq!(y, want, "{} {shape:?}", stringify!($backend));
                    }
                };
            }
            scrimp::for_each_backend!(on);
        }
    }
}

#[test]
fn requantization_of_any_number() {
    let mut noise = Noise(6);
    for i in 0..300_000 {
        let x = (noise.next() as i32) >> (i % 31);
        let mantissa = noise.next() as i32 | 1;
        let shift = noise.below(62) as i32 - 31;
        let multiplier = Multiplier { mantissa, shift };
        let limited = |x: i64| x.clamp(i32::MIN.into(), i32::MAX.into());
        for (rounding, single) in [(Rounding::Double, false), (Rounding::Single, true)] {
            let want = limited(oracle::requantize(x.into(), mantissa, shift, single));
            assert_eq!(i64::from(requantize(x, multiplier, rounding)), want, "{x} {multiplier:?}");
        }
        let wide = (noise.next() as i64) << 20 >> (20 + i % 40);
        let multiplier = Multiplier { mantissa, shift: shift.min(14) };
        let got = requantize_s64(wide, multiplier).clamp(i16::MIN.into(), i16::MAX.into());
        assert_eq!(got, i32::from(oracle::requantize_s64(wide, mantissa, shift.min(14))), "{wide} {multiplier:?}");
    }
}

#[test]
fn what_is_wrong_is_refused() {
    let shape = Rows::new(2, 3).unwrap();
    let codes = [1i8, 2, 3, 4, 5, 120];
    let length = |what, want, got| Some(Error::Length { what, want, got });
    let config = |what| Some(Error::Config { what });
    assert_eq!(Weights::s8(&codes[1..], shape).err(), length(Arg::Weights, 6, 5));
    assert_eq!(Weights::s4(&[0; 4], shape).err(), length(Arg::Weights, 3, 4));
    assert_eq!(Weights::nest(&[0; 3], &[0; 2], shape).err(), length(Arg::LowPlane, 3, 2));
    assert_eq!(Weights::packed(Format::S8, Layout::Rows, &[], &[], shape).err(), config(Rule::Layout));
    assert_eq!(Weights::packed(Format::S8, Layout::Dsp, &[0; 3], &[], shape).err(), length(Arg::Weights, 16, 3));
    assert_eq!(nest_planes(&codes, &mut [0; 3], &mut [0; 3]).err(), config(Rule::NestCap));
    assert_eq!(pack_s4(&codes, &mut [0; 2]).err(), length(Arg::Weights, 3, 2));
    let weights = Weights::raw8(&codes, shape).unwrap();
    let (mut words, mut low) = ([0; 16], [7; 8]);
    let nested = weights.pack_into(Format::Nest84, Layout::Dsp, Width::W8, &mut words[..8], &mut low);
    assert_eq!(nested.err(), config(Rule::NestCap));
    assert_eq!(low, [7; 8]);
    assert_eq!(
        weights.pack_into(Format::Nest84, Layout::Dsp, Width::W8, &mut words[..8], &mut []).err(),
        length(Arg::LowPlane, 8, 0)
    );
    assert_eq!(
        weights.pack_into(Format::S4, Layout::Dsp, Width::W8, &mut words[..8], &mut []).err(),
        config(Rule::BitWidth)
    );
    let s8 = Weights::s8(&codes, shape).unwrap();
    assert_eq!(s8.switch_into(Width::W4, &mut [0; 6]).err(), config(Rule::BitWidth));
    assert_eq!((s8.code(Width::W8, 2, 0), s8.code(Width::W8, 0, 3), s8.code(Width::W4, 0, 0)), (None, None, None));

    let scale = [Multiplier { mantissa: 1 << 30, shift: -6 }];
    let table = RequantTable::<2>::new(&weights, Width::W8, &QuantS8::PLAIN, &[], &scale).unwrap();
    assert!(RequantTable::<3>::new(&weights, Width::W8, &QuantS8::PLAIN, &[], &scale).is_err());
    let bad = [Multiplier { mantissa: 1, shift: 31 }];
    assert_eq!(RequantTable::<2>::new(&weights, Width::W8, &QuantS8::PLAIN, &[], &bad).err(), config(Rule::Scale));
    assert_eq!(Requant::new(&[0], &[i32::MIN], &[0]).err(), config(Rule::Scale));
    assert_eq!(Requant::new(&[0], &[0], &[]).err(), length(Arg::Shift, 1, 0));
    let widths = [(Width::W8, table.by_ref())];
    assert_eq!(LinearS8::new(weights, &[], QuantS8::PLAIN).err(), Some(Error::Empty { what: Arg::Multiplier }));
    for (quant, rule) in [
        (QuantS8 { input_offset: 256, ..QuantS8::PLAIN }, Rule::ZeroPoint),
        (QuantS8 { input_offset: -256, ..QuantS8::PLAIN }, Rule::ZeroPoint),
        (QuantS8 { filter_offset: 256, ..QuantS8::PLAIN }, Rule::ZeroPoint),
        (QuantS8 { filter_offset: -256, ..QuantS8::PLAIN }, Rule::ZeroPoint),
        (QuantS8 { min: 1, max: 0, ..QuantS8::PLAIN }, Rule::OutputRange),
    ] {
        assert_eq!(LinearS8::new(weights, &widths, quant).err(), config(rule));
    }
    let layer = LinearS8::new(weights, &widths, QuantS8::PLAIN).unwrap();
    assert_eq!(layer.with_width(Width::W4).err(), config(Rule::BitWidth));
    let at_4 = [(Width::W4, table.by_ref())];
    assert_eq!(LinearS8::new(s8, &at_4, QuantS8::PLAIN).err(), config(Rule::BitWidth));
    let mut y = [9; 4];
    assert_eq!(layer.run(&[0; 5], &mut y, 2).err(), length(Arg::X, 6, 5));
    assert_eq!(layer.run(&[0; 6], &mut y[1..], 2).err(), length(Arg::Y, 4, 3));
    assert_eq!(layer.run(&[0; 6], &mut y, usize::MAX).err(), length(Arg::X, usize::MAX, 6));
    assert_eq!(layer.refine(&[0; 6], &mut [0; 4], 2).err(), Some(Error::Missing { what: Arg::LowPlane }));
    assert_eq!(layer.sums(&[0; 6], &mut [0; 3], 2).err(), length(Arg::Sums, 4, 3));
    assert_eq!(layer.finish(&[0; 3], &mut y, 2).err(), length(Arg::Sums, 4, 3));
    assert_eq!(y, [9; 4]);
    layer.run(&[], &mut [], 0).unwrap();
    const DEPTH: usize = (1 << 20) + 1;
    let long = vec![0; DEPTH];
    let deep = Weights::raw8(&long, Rows::one(DEPTH).unwrap()).unwrap();
    assert!(matches!(LinearS8::new(deep, &widths, QuantS8::PLAIN).err(), Some(Error::TooLarge { .. })));

    for (lhs, rhs, error) in [
        ([1, 1, 0, 2], [1, 1, 2, 2], Error::Empty { what: Arg::Rows }),
        ([1, 1, 2, 0], [1, 1, 0, 2], Error::Empty { what: Arg::Depth }),
        ([1, 1, 2, 2], [1, 1, 2, 0], Error::Empty { what: Arg::Cols }),
        ([0, 1, 2, 2], [1, 1, 2, 2], Error::Empty { what: Arg::Batch }),
        ([2, 1, 2, 2], [3, 1, 2, 2], Error::Length { what: Arg::Batch, want: 2, got: 3 }),
        ([1, 1, 2, 2], [1, 1, 3, 2], Error::Length { what: Arg::Depth, want: 2, got: 3 }),
    ] {
        assert_eq!(BatchShape::new(lhs, rhs, false, false).err(), Some(error));
    }
    let shape = BatchShape::new([1, 1, 2, 2], [1, 1, 2, 2], false, false).unwrap();
    let product = BatchMatMulS8::new(scale[0], [0, 0], 0).unwrap();
    let want = shape.scratch();
    let mut scratch = vec![0; want];
    assert_eq!(product.run(&[0; 4], &[0; 3], &mut [0; 4], &shape, &mut scratch).err(), length(Arg::Rhs, 4, 3));
    let mut y = [9; 4];
    let short = product.run(&[0; 4], &[0; 4], &mut y, &shape, &mut scratch[1..]);
    assert_eq!((short.err(), y), (length(Arg::Scratch, want, want - 1), [9; 4]));
    for offsets in [[0, 256], [0, -256], [256, 0], [-256, 0]] {
        assert_eq!(BatchMatMulS8::new(scale[0], offsets, 0).err(), config(Rule::ZeroPoint));
    }
    assert!(BatchMatMulS16::new(Multiplier { mantissa: 1, shift: 15 }, 0, 1).is_err());
    assert!(RequantS16::new(&[1 << 47], &[1], &[0]).is_err());
}

const fn cost(cycles: u32, bytes: u32) -> Cost {
    Cost { cycles, bytes, energy: 0 }
}

#[test]
fn a_table_of_plans() {
    use Width::{W2, W4, W8};
    let widths = [W8, W8, W8, W4, W4, W2];
    let costs = [cost(100, 80), cost(70, 60), cost(40, 30)];
    let pareto = Pareto::new(2, &widths, &costs).unwrap();
    let mut governor = Governor::with_pareto(pareto);
    let widths_of = |governor: &Governor| [governor.width(0), governor.width(1), governor.width(2)];
    assert_eq!(widths_of(&governor), [Some(W8), Some(W8), None]);
    assert!(governor.choose(cost(99, 80).with_energy(9)));
    assert_eq!((widths_of(&governor), governor.position()), ([Some(W8), Some(W4), None], 1));
    assert!(governor.choose(cost(200, 50).with_energy(9)));
    assert_eq!(widths_of(&governor), [Some(W4), Some(W2), None]);
    assert!(!governor.choose(cost(39, 99).with_energy(9)));
    assert_eq!(governor.position(), 2);
    // Twice as slow as predicted.
    governor.measured_cycles(80);
    assert_eq!(governor.cost(), cost(80, 30));
    assert!(governor.choose(cost(140, 99).with_energy(9)));
    assert_eq!(governor.position(), 1);
    assert_eq!((governor.step_down(), governor.step_up()), (None, None));
    assert!(Pareto::new(0, &[], &costs).is_err() && Pareto::new(2, &widths, &[]).is_err());
    assert!(Pareto::new(2, &widths[1..], &costs).is_err());
}

trait WithEnergy {
    fn with_energy(self, energy: u32) -> Self;
}

impl WithEnergy for Cost {
    fn with_energy(self, energy: u32) -> Self {
        Self { energy, ..self }
    }
}

#[test]
fn a_ladder_of_steps() {
    use Width::{W4, W6, W8};
    let step = |layer, from, to, cycles| Step { layer, from, to, saved: cost(cycles, 1) };
    let steps = [step(1, W8, W6, 10), step(0, W8, W4, 30), step(1, W6, W4, 5)];
    let ladder = Ladder::new(&[W8, W8], cost(100, 10), &steps).unwrap();
    let mut governor = Governor::with_ladder(ladder);
    let mut by_steps = governor;
    for most in (0..=110).rev() {
        let met = governor.choose(Cost { cycles: most, ..Cost::UNLIMITED });
        assert_eq!(met, most >= 55);
        let want = if most >= 100 { 0 } else { 1 + usize::from(most < 90) + usize::from(most < 60) };
        assert_eq!(governor.position(), want, "{most}");
        while by_steps.position() < want {
            let (layer, width) = by_steps.step_down().unwrap();
            assert_eq!(by_steps.width(layer), Some(width));
        }
        assert_eq!((by_steps.cost(), by_steps.width(1)), (governor.cost(), governor.width(1)));
    }
    assert_eq!(by_steps.step_down(), None);
    assert_eq!(by_steps.step_up(), Some((1, W6)));
    assert_eq!(by_steps.step_up(), Some((0, W8)));
    assert_eq!(by_steps.step_up(), Some((1, W8)));
    assert_eq!((by_steps.step_up(), by_steps.cost()), (None, cost(100, 10)));
    by_steps.measured_energy(5); // nothing was predicted
    by_steps.measured_cycles(0);
    assert_eq!(by_steps.cost(), cost(0, 10));
    for wrong in [step(2, W8, W4, 1), step(0, W6, W4, 1), step(0, W8, W8, 1), step(0, W4, W8, 1)] {
        assert_eq!(Ladder::new(&[W8, W8], cost(1, 1), &[wrong]).err(), Some(Error::Config { what: Rule::Ladder }));
    }
    assert!(Ladder::new(&[], cost(1, 1), &[]).is_err());
}
