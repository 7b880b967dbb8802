//! Convolutions and pools on every backend, in every layout of the weights, against the oracle: random shapes, every kind of
//! padding, stride and dilation, extreme zero points and multipliers; then what is refused, and that nothing is written then.

use scrimp::bits::{Format, Layout, Weights, Width, packed_words};
use scrimp::error::{Arg, Rule};
use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{
    Activation, AveragePool2dS8, AveragePool2dS16, Conv2dS8, Conv2dS16, DepthwiseConv2dS8, DepthwiseConv2dS16,
    MaxPool2dS8, MaxPool2dS16, QuantS8, Requant, RequantS16, RequantTable, TransposeConv2dS8, TransposeConv2dS16,
    TransposeShape2d, Window2d,
};
use scrimp::shape::Nhwc;
use scrimp::{Error, Quantization, Rows};
use scrimp_reference::conv::{self as oracle, Quant, Sums, Window};

/// A stream of numbers that every machine makes the same.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 13
    }

    fn below(&mut self, n: usize) -> usize {
        ((self.next() >> 8) % n as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Over all of the type; in some calls its ends only.
    fn codes(&mut self, n: usize, bits: u32) -> Vec<i64> {
        let ends = self.below(4) == 0;
        let code = |bytes: u64| {
            let code = (bytes as i64) << (64 - bits) >> (64 - bits);
            if !ends {
                code
            } else if code < 0 {
                -(1 << (bits - 1))
            } else {
                (1 << (bits - 1)) - 1
            }
        };
        (0..n).map(|_| code(self.next())).collect()
    }
}

fn narrow<T: TryFrom<i64>>(codes: &[i64]) -> Vec<T> {
    codes.iter().map(|&code| T::try_from(code).ok().unwrap()).collect()
}

fn wide<T: Copy + Into<i64>>(codes: &[T]) -> Vec<i64> {
    codes.iter().map(|&code| code.into()).collect()
}

/// A window, a picture, and both as the library has them.
struct Case {
    window: Window,
    shape: [usize; 4],
    library: Window2d,
}

fn case(noise: &mut Noise, dilated: bool, channels: usize) -> Case {
    loop {
        let kernel = noise.pick(&[[1, 1], [3, 3], [1, 4], [5, 1], [2, 3], [7, 2]]);
        let window = Window {
            same: noise.below(2) == 0,
            kernel,
            stride: noise.pick(&[[1, 1], [1, 1], [2, 2], [1, 3], [4, 2]]),
            dilation: if dilated { noise.pick(&[[1, 1], [1, 1], [2, 1], [3, 2]]) } else { [1, 1] },
        };
        let width = 1 + noise.below(9);
        let size = [1 + noise.below(9), noise.pick(&[1, kernel[1], width])];
        if (0..2).any(|axis| window.outputs(axis, size[axis]) == 0) {
            continue;
        }
        let shape = [noise.pick(&[1, 1, 2, 3]), size[0], size[1], channels];
        let input = Nhwc::new(shape[0], shape[1], shape[2], shape[3]).unwrap();
        let make = if window.same { Window2d::same } else { Window2d::valid };
        let library = make(input, window.kernel, window.stride, window.dilation).unwrap();
        assert_eq!(library.output_size(), [window.outputs(0, size[0]), window.outputs(1, size[1])]);
        assert_eq!(library.before(), [window.before(0, size[0]), window.before(1, size[1])]);
        return Case { window, shape, library };
    }
}

/// Multipliers that make most sums fill the type, some far beyond or nothing at all.
fn multiplier(noise: &mut Noise, depth: usize, bits: u32) -> Multiplier {
    let mantissa = (1 << 30) + noise.below(1 << 30) as i32;
    let usual = -(6 + i32::from(bits as u16 - 8) + (usize::BITS - depth.leading_zeros()) as i32 / 2);
    let usual = if bits == 16 { usual + 8 } else { usual };
    let shift = match noise.below(12) {
        0 => 3,
        1 => -30,
        2 => 0,
        _ => usual + noise.below(3) as i32,
    };
    Multiplier { mantissa, shift }
}

/// Tables of `n` outputs.
struct Tables {
    bias: Vec<i64>,
    mantissa: Vec<i32>,
    shift: Vec<i32>,
}

impl Tables {
    fn new(noise: &mut Noise, n: usize, depth: usize, bits: u32) -> Self {
        let bias = (0..n).map(|_| noise.next() as i64 % 5000).collect();
        let multipliers: Vec<_> = (0..n).map(|_| multiplier(noise, depth, bits)).collect();
        let (mantissa, shift) = multipliers.iter().map(|m| (m.mantissa, m.shift)).unzip();
        Self { bias, mantissa, shift }
    }

    fn multipliers(&self) -> Vec<Multiplier> {
        let both = self.mantissa.iter().zip(&self.shift);
        both.map(|(&mantissa, &shift)| Multiplier { mantissa, shift }).collect()
    }

    fn by_ref(&self) -> oracle::Tables<'_> {
        (&self.bias, &self.mantissa, &self.shift)
    }
}

/// Zero points and range of an 8-bit layer, for the oracle and the library.
fn quant_s8(noise: &mut Noise) -> (Quant, QuantS8) {
    let zero = |noise: &mut Noise| noise.pick(&[0, -128, 127, 5, -40]);
    let (input, output) = (zero(noise), zero(noise));
    let activation = noise.pick(&[Activation::None, Activation::Relu, Activation::Relu6, Activation::ReluN1To1]);
    let output = Quantization::new(0.09, output);
    let (min, max) = activation.range_s8(output);
    let quant = Quant {
        input: input.into(),
        output: output.zero_point.into(),
        min: min.into(),
        max: max.into(),
        sums: Sums::Bits32,
    };
    (quant, QuantS8::new(Quantization::new(0.1, input), output, activation).unwrap())
}

/// Range of a 16-bit layer.
fn quant_s16(noise: &mut Noise) -> Quant {
    let (min, max) = noise.pick(&[(-32768, 32767), (0, 32767), (0, 6000)]);
    Quant { input: 0, output: 0, min, max, sums: noise.pick(&[Sums::Bits32, Sums::Bits64]) }
}

/// On the backend of the call and every other, into a buffer of garbage.
macro_rules! on_each {
    ($want:expr, $context:expr, |$backend:ident, $y:ident| $run:expr) => {
        macro_rules! on {
            ($name:ident, $token:expr) => {
                if let Some($backend) = $token {
                    let mut y = vec![85; $want.len()];
                    {
                        let $y = y.as_mut_slice();
                        $run.unwrap();
                    }
                    assert_eq!(wide(&y), $want, "{} {}", stringify!($name), $context);
                }
            };
        }
        on!(auto, Some(scrimp::backend::Auto));
        scrimp::for_each_backend!(on);
    };
}

#[test]
fn convolutions_are_the_oracles() {
    let mut noise = Noise(1);
    for round in 0..700 {
        let groups = noise.pick(&[1, 1, 1, 2, 3]);
        let (seen, outputs) = (1 + noise.below(9), groups * (1 + noise.below(if round % 10 == 0 { 40 } else { 7 })));
        let Case { window, shape, library } = case(&mut noise, true, seen * groups);
        let depth = window.kernel[0] * window.kernel[1] * seen;
        let w = noise.codes(outputs * depth, 8);
        let rows = Rows::new(outputs, depth).unwrap();
        let codes: Vec<i8> = narrow(&w);
        let weights = Weights::s8(&codes, rows).unwrap();
        let layout = if groups > 1 {
            Layout::Rows
        } else {
            noise.pick(&[Layout::Rows, Layout::Dsp, Layout::Helium, Layout::Wide])
        };
        let mut words = vec![0; packed_words(Format::S8, layout, rows)];
        let weights = match layout {
            Layout::Rows => weights,
            _ => weights.pack_into(Format::S8, layout, Width::W8, &mut words, &mut []).unwrap(),
        };
        let context = || format!("{window:?} {shape:?} {outputs} outputs, {groups} groups, {layout:?}");

        let (quant, library_quant) = quant_s8(&mut noise);
        let tables = Tables::new(&mut noise, outputs, depth, 8);
        let x = noise.codes(shape.iter().product(), 8);
        let want = oracle::conv_2d(window, quant, &x, shape, &w, tables.by_ref());
        let x: Vec<i8> = narrow(&x);
        let (mut bias, mut mantissa, mut shift) = (vec![0; outputs], vec![0; outputs], vec![0; outputs]);
        let to = (bias.as_mut_slice(), mantissa.as_mut_slice(), shift.as_mut_slice());
        let requant = Requant::build(
            to,
            &weights,
            Width::W8,
            &library_quant,
            &narrow::<i32>(&tables.bias),
            &tables.multipliers(),
        )
        .unwrap();
        let widths = [(Width::W8, requant)];
        let conv = Conv2dS8::new(library, weights, &widths, library_quant).unwrap();
        assert_eq!(conv.output().unwrap().elements(), want.len());
        let mut scratch = vec![99; conv.scratch()];
        on_each!(want, context(), |backend, y| conv.run_on(backend, &x, y, &mut scratch));

        let quant = quant_s16(&mut noise);
        let tables = Tables::new(&mut noise, outputs, depth, 16);
        let x = noise.codes(shape.iter().product(), 16);
        let want = oracle::conv_2d(window, quant, &x, shape, &w, tables.by_ref());
        let x: Vec<i16> = narrow(&x);
        let shift: Vec<i8> = tables.shift.iter().map(|&shift| shift as i8).collect();
        let narrow_bias = narrow::<i32>(&tables.bias);
        let requant = match quant.sums {
            Sums::Bits64 => RequantS16::new(&tables.bias, &tables.mantissa, &shift),
            Sums::Bits32 => RequantS16::narrow(&narrow_bias, &tables.mantissa, &shift),
        };
        let widths = [(Width::W8, requant.unwrap())];
        let conv = Conv2dS16::new(library, weights, &widths, quant.min as i16, quant.max as i16).unwrap();
        let mut scratch = vec![99; conv.scratch()];
        on_each!(want, context(), |backend, y| conv.run_on(backend, &x, y, &mut scratch));
    }
}

#[test]
fn a_convolution_runs_at_every_width() {
    let window = Window { same: true, kernel: [3, 3], stride: [1, 1], dilation: [1, 1] };
    let shape = [1, 4, 5, 3];
    let library = Window2d::same(Nhwc::new(1, 4, 5, 3).unwrap(), [3, 3], [1, 1], [1, 1]).unwrap();
    let mut noise = Noise(2);
    let (quant, library_quant) = quant_s8(&mut noise);
    let (w, x) = (noise.codes(5 * 27, 8), noise.codes(60, 8));
    let (codes, narrow_x): (Vec<i8>, Vec<i8>) = (narrow(&w), narrow(&x));
    let tables = Tables::new(&mut noise, 5, 27, 8);
    let weights = Weights::raw8(&codes, Rows::new(5, 27).unwrap()).unwrap();
    let of = |width| {
        let bias: Vec<i32> = narrow(&tables.bias);
        RequantTable::<5>::new(&weights, width, &library_quant, &bias, &tables.multipliers()).unwrap()
    };
    let (at_8, at_3) = (of(Width::W8), of(Width::W3));
    let widths = [(Width::W8, at_8.by_ref()), (Width::W3, at_3.by_ref())];
    let mut conv = Conv2dS8::new(library, weights, &widths, library_quant).unwrap();
    let mut scratch = vec![0; conv.scratch()];
    for width in [Width::W8, Width::W3] {
        conv.set_width(width).unwrap();
        assert_eq!(conv.width(), width);
        let masked: Vec<i64> = codes.iter().map(|&w| scrimp::bits::double_round_masked(w, width).into()).collect();
        let want = oracle::conv_2d(window, quant, &x, shape, &masked, tables.by_ref());
        on_each!(want, "a width", |backend, y| conv.run_on(backend, &narrow_x, y, &mut scratch));
    }
    assert_eq!(conv.set_width(Width::W4), Err(Error::Config { what: Rule::BitWidth }));
}

#[test]
fn padding_that_was_folded_is_that_of_a_padded_picture() {
    // One tap right of the edge and none to the left: neither SAME nor VALID.
    let input = Nhwc::new(1, 2, 3, 1).unwrap();
    let library = Window2d::padded(input, [1, 2], [1, 1], [1, 1], [1, 0], [0, 2]).unwrap();
    assert_eq!(library.output_size(), [3, 4]);
    let quant = QuantS8::new(Quantization::new(1.0, 7), Quantization::new(1.0, 0), Activation::None).unwrap();
    let weights = Weights::s8(&[1, 10], Rows::new(1, 2).unwrap()).unwrap();
    let one = [Multiplier { mantissa: 1 << 30, shift: 1 }];
    let table = RequantTable::<1>::new(&weights, Width::W8, &quant, &[], &one).unwrap();
    let widths = [(Width::W8, table.by_ref())];
    let conv = Conv2dS8::new(library, weights, &widths, quant).unwrap();
    let x = [8, 9, 10, 11, 12, 13];
    let want = wide(&[0, 0, 0, 0, 21, 32, 3, 0, 54, 65, 6, 0i8]);
    let mut scratch = vec![0; conv.scratch()];
    on_each!(want, "conv", |backend, y| conv.run_on(backend, &x, y, &mut scratch));
    let table = RequantTable::<1>::depthwise(&[1, 10], &quant, &[], &one).unwrap();
    let conv = DepthwiseConv2dS8::new(library, &[1, 10], table.by_ref(), quant).unwrap();
    on_each!(want, "depthwise", |backend, y| conv.run_on(backend, &x, y));
}

#[test]
fn depthwise_convolutions_are_the_oracles() {
    let mut noise = Noise(3);
    for _ in 0..900 {
        let (channels, multiplier) = (1 + noise.below(19), noise.pick(&[1, 1, 1, 2, 8]));
        let Case { window, shape, library } = case(&mut noise, true, channels);
        let (outputs, taps) = (channels * multiplier, window.kernel[0] * window.kernel[1]);
        let w = noise.codes(outputs * taps, 8);
        let codes: Vec<i8> = narrow(&w);
        let context = || format!("{window:?} {shape:?} multiplier {multiplier}");

        let (quant, library_quant) = quant_s8(&mut noise);
        let tables = Tables::new(&mut noise, outputs, taps, 8);
        let x = noise.codes(shape.iter().product(), 8);
        let want = oracle::depthwise(window, quant, &x, shape, &w, tables.by_ref());
        let x: Vec<i8> = narrow(&x);
        let (mut bias, mut mantissa, mut shift) = (vec![0; outputs], vec![0; outputs], vec![0; outputs]);
        let to = (bias.as_mut_slice(), mantissa.as_mut_slice(), shift.as_mut_slice());
        let biases: Vec<i32> = narrow(&tables.bias);
        let requant = Requant::build_depthwise(to, &codes, &library_quant, &biases, &tables.multipliers()).unwrap();
        let conv = DepthwiseConv2dS8::new(library, &codes, requant, library_quant).unwrap();
        assert_eq!(conv.output().unwrap().elements(), want.len());
        on_each!(want, context(), |backend, y| conv.run_on(backend, &x, y));

        let quant = quant_s16(&mut noise);
        let tables = Tables::new(&mut noise, outputs, taps, 16);
        let x = noise.codes(shape.iter().product(), 16);
        let want = oracle::depthwise(window, quant, &x, shape, &w, tables.by_ref());
        let x: Vec<i16> = narrow(&x);
        let shift: Vec<i8> = tables.shift.iter().map(|&shift| shift as i8).collect();
        let narrow_bias = narrow::<i32>(&tables.bias);
        let requant = match quant.sums {
            Sums::Bits64 => RequantS16::new(&tables.bias, &tables.mantissa, &shift),
            Sums::Bits32 => RequantS16::narrow(&narrow_bias, &tables.mantissa, &shift),
        };
        let conv =
            DepthwiseConv2dS16::new(library, &codes, requant.unwrap(), quant.min as i16, quant.max as i16).unwrap();
        on_each!(want, context(), |backend, y| conv.run_on(backend, &x, y));
    }
}

#[test]
fn transposed_convolutions_are_the_oracles() {
    let mut noise = Noise(4);
    for _ in 0..500 {
        let window = Window {
            same: noise.below(2) == 0,
            kernel: [1 + noise.below(5), 1 + noise.below(5)],
            stride: [1 + noise.below(3), 1 + noise.below(3)],
            dilation: [1, 1],
        };
        let (channels, outputs) = (1 + noise.below(9), 1 + noise.below(7));
        // Every output that the forward convolution leads to this input from; in some cases one more or less.
        let out = |axis: usize, size: usize, noise: &mut Noise| {
            let spare = noise.below(window.stride[axis]);
            let whole = if window.same {
                size * window.stride[axis] - spare
            } else {
                (size - 1) * window.stride[axis] + window.kernel[axis] + spare
            };
            if noise.below(8) == 0 { whole + 1 } else { whole }
        };
        let batch = 1 + noise.below(2);
        let (h, w) = (1 + noise.below(5), 1 + noise.below(5));
        let (shape, to) = ([batch, h, w, channels], [batch, out(0, h, &mut noise), out(1, w, &mut noise), outputs]);
        let nhwc = |[b, h, w, c]: [usize; 4]| Nhwc::new(b, h, w, c).unwrap();
        let make = if window.same { TransposeShape2d::same } else { TransposeShape2d::valid };
        let library = make(nhwc(shape), nhwc(to), window.kernel, window.stride).unwrap();
        if window.same {
            assert_eq!(library.before(), [window.before(0, to[1]), window.before(1, to[2])]);
        }
        // VALID has none, whatever its formula says of an output that is too small.
        let depth = window.kernel[0] * window.kernel[1] * channels;
        let w = noise.codes(outputs * depth, 8);
        let codes: Vec<i8> = narrow(&w);
        let context = || format!("{window:?} {shape:?} {to:?}");

        let (quant, library_quant) = quant_s8(&mut noise);
        let tables = Tables::new(&mut noise, outputs, depth, 8);
        let x = noise.codes(shape.iter().product(), 8);
        let want = oracle::transpose_conv(window, quant, &x, [shape, to], &w, tables.by_ref());
        let x: Vec<i8> = narrow(&x);
        let (bias, shift): (Vec<i32>, Vec<i8>) =
            (narrow(&tables.bias), tables.shift.iter().map(|&shift| shift as i8).collect());
        let requant = Requant::new(&bias, &tables.mantissa, &shift).unwrap();
        let conv = TransposeConv2dS8::new(library, &codes, requant, library_quant).unwrap();
        on_each!(want, context(), |backend, y| conv.run_on(backend, &x, y));

        let quant = Quant { sums: Sums::Bits64, ..quant_s16(&mut noise) };
        let tables = Tables::new(&mut noise, outputs, depth, 16);
        let x = noise.codes(shape.iter().product(), 16);
        let want = oracle::transpose_conv(window, quant, &x, [shape, to], &w, tables.by_ref());
        let x: Vec<i16> = narrow(&x);
        let shift: Vec<i8> = tables.shift.iter().map(|&shift| shift as i8).collect();
        let requant = RequantS16::new(&tables.bias, &tables.mantissa, &shift).unwrap();
        let conv = TransposeConv2dS16::new(library, &codes, requant, quant.min as i16, quant.max as i16).unwrap();
        on_each!(want, context(), |backend, y| conv.run_on(backend, &x, y));
    }
}

#[test]
fn pools_are_the_oracles() {
    let mut noise = Noise(5);
    for _ in 0..600 {
        let channels = 1 + noise.below(19);
        let Case { window, shape, library } = case(&mut noise, false, channels);
        let activation = noise.pick(&[Activation::None, Activation::Relu, Activation::Relu6, Activation::ReluN1To1]);
        let context = || format!("{window:?} {shape:?} {activation:?}");

        let codes = Quantization::new(0.07, noise.pick(&[0, -128, 127, -9]));
        let (min, max) = activation.range_s8(codes);
        let x = noise.codes(shape.iter().product(), 8);
        let narrow_x: Vec<i8> = narrow(&x);
        let want = oracle::average_pool(window, &x, shape, min.into(), max.into());
        let pool = AveragePool2dS8::new(library, codes, activation).unwrap();
        on_each!(want, context(), |backend, y| pool.run_on(backend, &narrow_x, y));
        let want = oracle::max_pool(window, &x, shape, min.into(), max.into());
        let pool = MaxPool2dS8::new(library, codes, activation).unwrap();
        on_each!(want, context(), |backend, y| pool.run_on(backend, &narrow_x, y));

        let codes = Quantization::new(0.001, 0);
        let (min, max) = activation.range_s16(codes);
        let x = noise.codes(shape.iter().product(), 16);
        let narrow_x: Vec<i16> = narrow(&x);
        let want = oracle::average_pool(window, &x, shape, min.into(), max.into());
        let pool = AveragePool2dS16::new(library, codes, activation).unwrap();
        on_each!(want, context(), |backend, y| pool.run_on(backend, &narrow_x, y));
        let want = oracle::max_pool(window, &x, shape, min.into(), max.into());
        let pool = MaxPool2dS16::new(library, codes, activation).unwrap();
        on_each!(want, context(), |backend, y| pool.run_on(backend, &narrow_x, y));
    }
}

#[test]
fn what_is_wrong_is_refused_and_nothing_written() {
    let length = |what, want, got| Some(Error::Length { what, want, got });
    let config = |what| Some(Error::Config { what });
    let input = Nhwc::new(1, 4, 4, 2).unwrap();
    let window = Window2d::same(input, [2, 2], [1, 1], [1, 1]).unwrap();
    let quant = QuantS8::PLAIN;
    let codes = [1i8; 24];
    let weights = |outputs, depth| Weights::s8(&codes[..outputs * depth], Rows::new(outputs, depth).unwrap()).unwrap();
    let one = [Multiplier { mantissa: 1 << 30, shift: -3 }];
    let table = |w: &Weights<'_>| RequantTable::<3>::new(w, Width::W8, &quant, &[], &one).unwrap();
    let three = table(&weights(3, 8));
    let widths = [(Width::W8, three.by_ref())];

    // Convolution: depth, groups, layout of groups, tables, offsets.
    assert_eq!(Conv2dS8::new(window, weights(3, 7), &widths, quant).err(), length(Arg::Depth, 8, 7));
    assert_eq!(Conv2dS8::new(window, weights(3, 3), &widths, quant).err(), length(Arg::Depth, 8, 3));
    // Twelve inputs are three channels of two.
    assert_eq!(Conv2dS8::new(window, weights(2, 12), &widths, quant).err(), config(Rule::Groups));
    // Two groups do not divide three outputs.
    assert_eq!(Conv2dS8::new(window, weights(3, 4), &widths, quant).err(), config(Rule::Groups));
    let mut words = [0; 256];
    let rows = Rows::new(4, 4).unwrap();
    let n = packed_words(Format::S8, Layout::Dsp, rows);
    let grouped = weights(4, 4).pack_into(Format::S8, Layout::Dsp, Width::W8, &mut words[..n], &mut []).unwrap();
    assert_eq!(Conv2dS8::new(window, grouped, &widths, quant).err(), config(Rule::Layout));
    assert_eq!(Conv2dS8::new(window, weights(2, 8), &widths, quant).err(), length(Arg::Multiplier, 2, 3));
    let offset = |input_offset| QuantS8 { input_offset, ..quant };
    assert!(Conv2dS8::new(window, weights(3, 8), &widths, offset(128)).is_ok());
    assert_eq!(Conv2dS8::new(window, weights(3, 8), &widths, offset(129)).err(), config(Rule::ZeroPoint));
    assert!(Conv2dS8::new(window, weights(3, 8), &widths, offset(-127)).is_ok());
    assert_eq!(Conv2dS8::new(window, weights(3, 8), &widths, offset(-128)).err(), config(Rule::ZeroPoint));
    assert_eq!(Conv2dS8::new(window, weights(3, 8), &[], quant).err(), Some(Error::Empty { what: Arg::Multiplier }));
    let conv = Conv2dS8::new(window, weights(3, 8), &widths, quant).unwrap();
    let (mut y, mut scratch) = ([9i8; 48], [0i8; 32]);
    assert_eq!(conv.scratch(), 32);
    assert_eq!(conv.run(&[1; 31], &mut y, &mut scratch).err(), length(Arg::X, 32, 31));
    assert_eq!(conv.run(&[1; 32], &mut y[..47], &mut scratch).err(), length(Arg::Y, 48, 47));
    assert_eq!(conv.run(&[1; 32], &mut y, &mut scratch[..31]).err(), length(Arg::Scratch, 32, 31));
    assert_eq!(y, [9; 48]);
    assert!(conv.run(&[1; 32], &mut y, &mut [0; 40]).is_ok());

    let s16 = RequantS16::new(&[0; 3], &[1 << 30; 3], &[0; 3]).unwrap();
    let s16_widths = [(Width::W8, s16)];
    assert_eq!(Conv2dS16::new(window, weights(3, 8), &s16_widths, 1, 0).err(), config(Rule::OutputRange));
    assert_eq!(Conv2dS16::new(window, weights(3, 7), &s16_widths, 0, 1).err(), length(Arg::Depth, 8, 7));
    let conv = Conv2dS16::new(window, weights(3, 8), &s16_widths, -9, 9).unwrap();
    let (mut wide_y, mut wide_scratch) = ([7i16; 48], [0i16; 32]);
    assert_eq!(conv.run(&[1; 31], &mut wide_y, &mut wide_scratch).err(), length(Arg::X, 32, 31));
    assert_eq!(conv.run(&[1; 32], &mut wide_y, &mut []).err(), length(Arg::Scratch, 32, 0));
    assert_eq!(wide_y, [7; 48]);

    // Tables.
    assert_eq!(RequantS16::narrow(&[0; 3], &[1; 2], &[0; 3]).err(), length(Arg::Multiplier, 3, 2));
    assert_eq!(RequantS16::narrow(&[0; 3], &[1; 3], &[0; 2]).err(), length(Arg::Shift, 3, 2));
    assert!(RequantS16::narrow(&[0], &[1], &[30]).is_ok());
    assert_eq!(RequantS16::narrow(&[0], &[1], &[31]).err(), config(Rule::Scale));
    assert_eq!(RequantS16::new(&[0], &[1], &[15]).err(), config(Rule::Scale));
    let (mut bias, mut mantissa, mut shift) = ([0; 2], [0; 2], [0; 2]);
    let mut build = |w: &[i8], quant: &QuantS8, biases: &[i32], multipliers: &[Multiplier]| {
        Requant::build_depthwise((&mut bias, &mut mantissa, &mut shift), w, quant, biases, multipliers).err()
    };
    assert_eq!(build(&[1; 7], &quant, &[], &one), length(Arg::Weights, 6, 7));
    assert_eq!(build(&[1; 8], &quant, &[1; 3], &one), length(Arg::Bias, 2, 3));
    assert_eq!(build(&[1; 8], &quant, &[], &[one[0]; 3]), length(Arg::Multiplier, 2, 3));
    assert_eq!(build(&[1; 8], &QuantS8 { filter_offset: 1, ..quant }, &[], &one), config(Rule::ZeroPoint));
    assert_eq!(build(&[1; 8], &QuantS8 { input_offset: 256, ..quant }, &[], &one), config(Rule::ZeroPoint));
    let bad = [Multiplier { mantissa: 1, shift: 31 }];
    assert_eq!(build(&[1; 8], &quant, &[], &bad), config(Rule::Scale));
    assert_eq!((bias, mantissa, shift), ([0; 2], [0; 2], [0; 2]));
    assert_eq!(RequantTable::<0>::depthwise(&[], &quant, &[], &one).err(), Some(Error::Empty { what: Arg::Bias }));

    // Depthwise.
    let two = RequantTable::<2>::depthwise(&codes[..8], &quant, &[], &one).unwrap();
    let dw = |w: usize, requant, quant| DepthwiseConv2dS8::new(window, &codes[..w], requant, quant).err();
    assert_eq!(dw(7, two.by_ref(), quant), length(Arg::Weights, 8, 7));
    assert_eq!(dw(12, three.by_ref(), quant), config(Rule::Groups));
    assert_eq!(dw(8, two.by_ref(), QuantS8 { filter_offset: 1, ..quant }), config(Rule::ZeroPoint));
    assert_eq!(dw(8, two.by_ref(), offset(129)), config(Rule::ZeroPoint));
    assert_eq!(dw(8, two.by_ref(), QuantS8 { min: 1, max: 0, ..quant }), config(Rule::OutputRange));
    let many = Window2d::same(input, [1 << 20, 2], [1, 1], [1, 1]).unwrap();
    let too_large = Some(Error::TooLarge { what: Arg::Kernel, max: 1 << 20, got: 1 << 21 });
    assert_eq!(DepthwiseConv2dS8::new(many, &codes, two.by_ref(), quant).err(), too_large);
    let conv = DepthwiseConv2dS8::new(window, &codes[..8], two.by_ref(), quant).unwrap();
    let mut y = [9i8; 32];
    assert_eq!(conv.run(&[1; 31], &mut y).err(), length(Arg::X, 32, 31));
    assert_eq!(conv.run(&[1; 32], &mut y[1..]).err(), length(Arg::Y, 32, 31));
    assert_eq!(y, [9; 32]);
    let s16_two = RequantS16::new(&[0; 2], &[1 << 30; 2], &[0; 2]).unwrap();
    assert_eq!(DepthwiseConv2dS16::new(window, &codes[..8], s16_two, 1, 0).err(), config(Rule::OutputRange));
    assert_eq!(DepthwiseConv2dS16::new(window, &codes[..8], s16, 0, 0).err(), config(Rule::Groups));
    let conv = DepthwiseConv2dS16::new(window, &codes[..8], s16_two, 0, 0).unwrap();
    let mut wide_y = [9i16; 32];
    assert_eq!(conv.run(&[1; 31], &mut wide_y).err(), length(Arg::X, 32, 31));
    assert_eq!(conv.run(&[1; 32], &mut wide_y[1..]).err(), length(Arg::Y, 32, 31));
    assert_eq!(wide_y, [9; 32]);

    // Transposed.
    let out = Nhwc::new(1, 8, 8, 3).unwrap();
    assert_eq!(TransposeShape2d::same(input, out, [2, 2], [0, 2]).err(), Some(Error::Empty { what: Arg::Stride }));
    assert_eq!(TransposeShape2d::valid(input, out, [2, 0], [2, 2]).err(), Some(Error::Empty { what: Arg::Kernel }));
    let most = 1 << 30;
    assert_eq!(
        TransposeShape2d::valid(input, out, [2, most + 1], [2, 2]).err(),
        Some(Error::TooLarge { what: Arg::Kernel, max: most, got: most + 1 })
    );
    assert_eq!(
        TransposeShape2d::padded(input, out, [2, 2], [2, 2], [0, most]).err(),
        Some(Error::TooLarge { what: Arg::Padding, max: most, got: most + 1 })
    );
    let batches = Nhwc::new(2, 8, 8, 3).unwrap();
    assert_eq!(TransposeShape2d::valid(input, batches, [2, 2], [2, 2]).err(), length(Arg::Batch, 1, 2));
    let shape = TransposeShape2d::same(input, out, [2, 2], [2, 2]).unwrap();
    let t = |w: usize, requant, quant| TransposeConv2dS8::new(shape, &codes[..w], requant, quant).err();
    assert_eq!(t(23, three.by_ref(), quant), length(Arg::Weights, 24, 23));
    assert_eq!(t(16, two.by_ref(), quant), length(Arg::Channels, 2, 3));
    assert_eq!(t(24, three.by_ref(), QuantS8 { filter_offset: 1, ..quant }), config(Rule::ZeroPoint));
    assert_eq!(t(24, three.by_ref(), QuantS8 { min: 1, max: 0, ..quant }), config(Rule::OutputRange));
    let deep = TransposeShape2d::same(input, out, [1 << 19, 2], [2, 2]).unwrap();
    let too_large = Some(Error::TooLarge { what: Arg::Depth, max: 1 << 20, got: 1 << 21 });
    assert_eq!(TransposeConv2dS8::new(deep, &codes, three.by_ref(), quant).err(), too_large);
    let conv = TransposeConv2dS8::new(shape, &codes, three.by_ref(), quant).unwrap();
    let mut y = [9i8; 192];
    assert_eq!(conv.run(&[1; 31], &mut y).err(), length(Arg::X, 32, 31));
    assert_eq!(conv.run(&[1; 32], &mut y[1..]).err(), length(Arg::Y, 192, 191));
    assert_eq!(y, [9; 192]);
    assert_eq!(TransposeConv2dS16::new(shape, &codes, s16, 1, 0).err(), config(Rule::OutputRange));
    assert_eq!(TransposeConv2dS16::new(shape, &codes, s16_two, 0, 0).err(), length(Arg::Channels, 2, 3));
    let conv = TransposeConv2dS16::new(shape, &codes, s16, 0, 0).unwrap();
    let mut wide_y = [9i16; 192];
    assert_eq!(conv.run(&[1; 31], &mut wide_y).err(), length(Arg::X, 32, 31));
    assert_eq!(wide_y, [9; 192]);

    // Pools.
    let codes = Quantization::new(0.1, 0);
    let many = Window2d::same(input, [1 << 15, 4], [1, 1], [1, 1]).unwrap();
    let too_large = Some(Error::TooLarge { what: Arg::Kernel, max: 1 << 16, got: 1 << 17 });
    assert_eq!(AveragePool2dS8::new(many, codes, Activation::None).err(), too_large);
    let empty = Window2d::padded(input, [2, 2], [1, 1], [1, 1], [2, 0], [0, 0]).unwrap();
    assert_eq!(MaxPool2dS8::new(empty, codes, Activation::None).err(), config(Rule::EmptyWindow));
    for (scale, zero_point, rule) in [(0.0, 0, Rule::Scale), (f32::NAN, 0, Rule::Scale), (0.1, 128, Rule::ZeroPoint)] {
        let codes = Quantization::new(scale, zero_point);
        assert_eq!(AveragePool2dS8::new(window, codes, Activation::Relu).err(), config(rule));
        assert_eq!(MaxPool2dS16::new(window, codes, Activation::Relu).err(), config(rule));
    }
    assert_eq!(
        AveragePool2dS16::new(window, Quantization::new(0.1, 1), Activation::None).err(),
        config(Rule::ZeroPoint)
    );
    let mut y = [9i8; 32];
    let pool = AveragePool2dS8::new(window, codes, Activation::None).unwrap();
    assert_eq!(pool.run(&[1; 31], &mut y).err(), length(Arg::X, 32, 31));
    assert_eq!(pool.run(&[1; 32], &mut y[1..]).err(), length(Arg::Y, 32, 31));
    assert_eq!(y, [9; 32]);

    // Quantization.
    let of = |input, output| QuantS8::new(input, output, Activation::None).err();
    assert_eq!(of(Quantization::new(f32::INFINITY, 0), codes), config(Rule::Scale));
    assert_eq!(of(codes, Quantization::new(-1.0, 0)), config(Rule::Scale));
    assert_eq!(of(Quantization::new(1.0, -129), codes), config(Rule::ZeroPoint));
    assert_eq!(of(codes, Quantization::new(1.0, 128)), config(Rule::ZeroPoint));
}
