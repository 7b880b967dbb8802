//! Depthwise convolutions and pools: the same bytes as plain loops over the rule of TFLite.

use scrimp::backend::Dispatch;
use scrimp::fixedpoint::{Multiplier, Rounding, requantize};
use scrimp::nn::{Activation, AveragePool2dS8, DepthwiseConv2dS8, MaxPool2dS8, QuantS8, Requant, Window2d};
use scrimp::shape::Nhwc;
use scrimp::{Error, Quantization};

use crate::Failure;
use crate::buffer::Guarded;

const PICTURES: usize = 2;
const MOST_OUTPUTS: usize = 36;
/// Of a filter and of a picture.
const MOST_WEIGHTS: usize = 16 * MOST_OUTPUTS;
const MOST: usize = 2400;
const ROOM: usize = MOST + 8;

/// Channels, outputs of a channel, height, width, kernel, stride, dilation, whether edges are padded.
type Case = (usize, usize, [usize; 2], [usize; 2], [usize; 2], [usize; 2], bool);

const CASES: [Case; 30] = [
    // Channels below, at and above what vectors and words hold.
    (1, 1, [5, 6], [3, 3], [1, 1], [1, 1], true),
    (2, 1, [5, 8], [3, 3], [1, 1], [1, 1], true),
    (3, 1, [5, 6], [3, 3], [1, 1], [1, 1], true),
    (4, 1, [4, 8], [3, 3], [1, 1], [1, 1], true),
    (5, 1, [4, 5], [3, 3], [2, 2], [1, 1], true),
    (8, 1, [5, 6], [3, 3], [1, 1], [1, 1], true),
    (8, 1, [6, 5], [3, 3], [1, 1], [1, 1], true),
    (8, 1, [5, 6], [3, 3], [2, 1], [1, 1], false),
    (15, 1, [4, 5], [3, 3], [1, 1], [1, 1], true),
    (16, 1, [5, 6], [3, 3], [1, 1], [1, 1], true),
    (17, 1, [4, 4], [3, 3], [2, 2], [1, 1], true),
    (20, 1, [5, 5], [3, 3], [1, 1], [1, 1], false),
    (35, 1, [3, 5], [3, 3], [1, 2], [1, 1], true),
    // Windows of which most lies outside.
    (16, 1, [1, 1], [3, 3], [1, 1], [1, 1], true),
    (16, 1, [1, 4], [3, 3], [1, 1], [1, 1], true),
    (18, 1, [2, 3], [3, 3], [1, 1], [2, 2], true),
    (6, 1, [1, 5], [2, 1], [1, 1], [4, 1], true),
    // Other kernels.
    (20, 1, [7, 1], [7, 1], [1, 1], [1, 1], false),
    (20, 1, [9, 2], [4, 1], [1, 1], [1, 1], false),
    (6, 1, [9, 2], [5, 1], [2, 1], [1, 1], true),
    (18, 1, [3, 7], [1, 4], [1, 1], [1, 1], true),
    (7, 1, [4, 7], [2, 3], [1, 3], [1, 1], true),
    (16, 1, [5, 6], [1, 1], [2, 1], [1, 1], false),
    (17, 1, [4, 6], [2, 3], [1, 1], [2, 2], true),
    (4, 1, [6, 6], [5, 5], [1, 1], [1, 1], true),
    (17, 1, [6, 4], [4, 4], [1, 1], [1, 1], true),
    // Pictures that go tile by tile, whose rows do not fit at once or do.
    (4, 1, [3, 90], [3, 3], [1, 1], [1, 1], true),
    (5, 1, [4, 60], [3, 5], [2, 1], [1, 1], true),
    // Several outputs of a channel.
    (1, 8, [5, 6], [3, 3], [2, 2], [1, 1], true),
    (3, 2, [4, 5], [3, 3], [1, 1], [1, 1], true),
];

fn unexpected(_: Error) -> Failure {
    Failure::new("an error")
}

/// Painted codes, the ends among them.
fn code(i: usize) -> i8 {
    match i % 19 {
        0 => i8::MIN,
        1 => i8::MAX,
        _ => ((i * 89 % 251) as i32 - 125) as i8,
    }
}

/// Weights without -128, with which some loops do not go, and once with it.
fn weight(i: usize, has_least: bool) -> i8 {
    code(3 * i + 1).max(if has_least { i8::MIN } else { -127 })
}

/// Of a channel; with `has_none` some have no shift.
fn multiplier(o: usize, has_none: bool) -> Multiplier {
    if has_none && o.is_multiple_of(3) {
        return Multiplier { mantissa: if o == 6 { 0 } else { 1_234_567_890 }, shift: 0 };
    }
    Multiplier { mantissa: (1 << 30) + (o % 13) as i32 * 77_777_777, shift: -6 - (o % 3) as i32 }
}

/// All cases, with zero points of an activation and of neither end, and ranges.
pub(crate) fn convolutions<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    for (i, case) in CASES.iter().enumerate() {
        let zero_point = [-128, 0, 5][i % 3];
        one(d, at, case, (zero_point, Activation::None), false, false).map_err(|failure| failure.row(i, at))?;
    }
    for (zero_point, has_least, has_none) in [(3, false, false), (-128, true, false), (-3, false, true)] {
        let case = (17, 1, [4, 5], [3, 3], [1, 1], [1, 1], true);
        one(d, at, &case, (zero_point, Activation::Relu6), has_least, has_none)?;
    }
    Ok(())
}

fn one<D: Dispatch>(
    d: D,
    at: usize,
    &(channels, multiple, size, kernel, stride, dilation, same): &Case,
    (zero_point, activation): (i32, Activation),
    has_least: bool,
    has_none: bool,
) -> Result<(), Failure> {
    let outputs = channels * multiple;
    let shape = Nhwc::new(PICTURES, size[0], size[1], channels).map_err(unexpected)?;
    let window = if same { Window2d::same } else { Window2d::valid };
    let window = window(shape, kernel, stride, dilation).map_err(unexpected)?;
    let quant = QuantS8::new(Quantization::new(0.1, zero_point), Quantization::new(0.05, -7), activation);
    let quant = quant.map_err(unexpected)?;
    let mut weights = [0; MOST_WEIGHTS];
    let weights = &mut weights[..kernel[0] * kernel[1] * outputs];
    weights.iter_mut().enumerate().for_each(|(i, w)| *w = weight(i, has_least));
    let bias: [i32; MOST_OUTPUTS] = core::array::from_fn(|o| code(5 * o).into());
    let multipliers: [Multiplier; MOST_OUTPUTS] = core::array::from_fn(|o| multiplier(o, has_none));
    let (mut folded, mut mantissa, mut shift) = ([0; MOST_OUTPUTS], [0; MOST_OUTPUTS], [0; MOST_OUTPUTS]);
    let tables = (&mut folded[..outputs], &mut mantissa[..outputs], &mut shift[..outputs]);
    let requant = Requant::build_depthwise(tables, weights, &quant, &bias[..outputs], &multipliers[..outputs])
        .map_err(unexpected)?;
    let layer = DepthwiseConv2dS8::new(window, weights, requant, quant).map_err(unexpected)?;
    let [height, width] = window.output_size();
    let mut x = Guarded::<i8, ROOM>::filled(at, PICTURES * size[0] * size[1] * channels, code);
    let mut y = Guarded::<i8, ROOM>::new(3 - at, PICTURES * height * width * outputs);
    layer.run_on(d, x.row(), y.row()).map_err(unexpected)?;
    x.check()?;
    y.check()?;
    let before = window.before();
    for (i, &got) in y.row().iter().enumerate() {
        let (o, pixel) = (i % outputs, i / outputs);
        let (picture, row, col) = (pixel / width / height, pixel / width % height, pixel % width);
        let mut sum = bias[o];
        for tap in 0..kernel[0] * kernel[1] {
            let (k, l) = (tap / kernel[1], tap % kernel[1]);
            let r = (row * stride[0] + k * dilation[0]).wrapping_sub(before[0]);
            let c = (col * stride[1] + l * dilation[1]).wrapping_sub(before[1]);
            if r < size[0] && c < size[1] {
                let place = ((picture * size[0] + r) * size[1] + c) * channels + o / multiple;
                sum += (i32::from(code(place)) - zero_point) * i32::from(weights[tap * outputs + o]);
            }
        }
        let scaled = requantize(sum, multiplier(o, has_none), Rounding::Double) - 7;
        let want = scaled.clamp(quant.min.into(), quant.max.into());
        if i32::from(got) != want {
            return Err(Failure::new("other bytes").element(i, want.into(), got.into()));
        }
    }
    Ok(())
}

/// Pools of channels below, at and above what a vector holds; one of so many taps that sums of 16 bits do not do.
pub(crate) fn pools<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    const CASES: [Case; 7] = [
        (3, 1, [4, 5], [2, 2], [2, 2], [1, 1], false),
        (16, 1, [4, 5], [2, 2], [2, 2], [1, 1], false),
        (17, 1, [5, 4], [3, 3], [1, 1], [1, 1], true),
        (35, 1, [3, 4], [3, 2], [2, 1], [1, 1], true),
        (16, 1, [5, 6], [5, 6], [1, 1], [1, 1], false),
        (16, 1, [13, 20], [13, 20], [1, 1], [1, 1], false),
        (16, 1, [16, 16], [16, 16], [1, 1], [1, 1], false),
    ];
    for (case, &(channels, _, size, kernel, stride, dilation, same)) in CASES.iter().enumerate() {
        let shape = Nhwc::new(1, size[0], size[1], channels).map_err(unexpected)?;
        let window = if same { Window2d::same } else { Window2d::valid };
        let window = window(shape, kernel, stride, dilation).map_err(unexpected)?;
        let codes = Quantization::new(0.05, -7);
        let mean = AveragePool2dS8::new(window, codes, Activation::None).map_err(unexpected)?;
        let most = MaxPool2dS8::new(window, codes, Activation::Relu).map_err(unexpected)?;
        let [height, width] = window.output_size();
        // With many taps all of the least code, whose sum is the largest.
        let is_large = size[0] > 9;
        let of = |i: usize| if is_large { i8::MIN } else { code(i) };
        let mut x = Guarded::<i8, 4200>::filled(at, size[0] * size[1] * channels, of);
        let mut means = Guarded::<i8, 720>::new(3 - at, height * width * channels);
        let mut largest = Guarded::<i8, 720>::new(at, height * width * channels);
        mean.run_on(d, x.row(), means.row()).map_err(unexpected)?;
        most.run_on(d, x.row(), largest.row()).map_err(unexpected)?;
        means.check()?;
        largest.check()?;
        let before = window.before();
        for i in 0..height * width * channels {
            let (c, row, col) = (i % channels, i / channels / width, i / channels % width);
            let (mut sum, mut taps, mut max) = (0, 0, i32::from(i8::MIN));
            for tap in 0..kernel[0] * kernel[1] {
                let r = (row * stride[0] + tap / kernel[1]).wrapping_sub(before[0]);
                let l = (col * stride[1] + tap % kernel[1]).wrapping_sub(before[1]);
                if r < size[0] && l < size[1] {
                    let x = i32::from(of((r * size[1] + l) * channels + c));
                    (sum, taps, max) = (sum + x, taps + 1, max.max(x));
                }
            }
            // Half away from zero; and not below the zero point.
            let mean = if sum < 0 { (sum - taps / 2) / taps } else { (sum + taps / 2) / taps };
            for (want, got) in [(mean, means.row()[i]), (max.max(-7), largest.row()[i])] {
                if want != i32::from(got) {
                    return Err(Failure::new("other bytes").row(case, at).element(i, want.into(), got.into()));
                }
            }
        }
    }
    Ok(())
}
