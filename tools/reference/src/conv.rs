//! TFLite's convolutions and pools over pictures, one output at a time in exact arithmetic, as their definitions have it.

use crate::bits::{requantize, requantize_s64};

/// Batch, height, width, channels.
pub type Shape = [usize; 4];

/// What TFLite's file says of a window.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// SAME, or VALID.
    pub same: bool,
    /// Height and width.
    pub kernel: [usize; 2],
    /// Steps of outputs in the input.
    pub stride: [usize; 2],
    /// Steps of taps in the input.
    pub dilation: [usize; 2],
}

impl Window {
    fn reach(&self, axis: usize) -> i64 {
        (self.kernel[axis] as i64 - 1) * self.dilation[axis] as i64 + 1
    }

    /// How many outputs an axis of `size` has; 0 where the kernel does not fit.
    #[must_use]
    pub fn outputs(&self, axis: usize, size: usize) -> usize {
        let (size, stride) = (size as i64, self.stride[axis] as i64);
        let outputs =
            if self.same { (size + stride - 1) / stride } else { (size + stride - self.reach(axis)) / stride };
        outputs.max(0) as usize
    }

    /// Rows above or columns to the left of the first.
    #[must_use]
    pub fn before(&self, axis: usize, size: usize) -> usize {
        let last = (self.outputs(axis, size) as i64 - 1) * self.stride[axis] as i64;
        ((last + self.reach(axis) - size as i64).max(0) / 2) as usize
    }

    /// The position that a tap of an output reads, if it is inside.
    #[must_use]
    pub fn position(&self, axis: usize, size: usize, output: usize, tap: usize) -> Option<usize> {
        let at = output * self.stride[axis] + tap * self.dilation[axis];
        at.checked_sub(self.before(axis, size)).filter(|&at| at < size)
    }
}

/// How a sum becomes an output.
#[derive(Clone, Copy, Debug)]
pub enum Sums {
    /// Of 32 bits that wrap around, two roundings: 8 bits, and 16 bits whose bias is int32.
    Bits32,
    /// Of 64 bits, a multiplier of 16 bits: 16 bits whose bias is int64.
    Bits64,
}

/// What is common to the outputs.
#[derive(Clone, Copy, Debug)]
pub struct Quant {
    /// The code of 0 of the input.
    pub input: i64,
    /// The code of 0 of the output.
    pub output: i64,
    /// The least output.
    pub min: i64,
    /// The largest output.
    pub max: i64,
    /// How sums become outputs.
    pub sums: Sums,
}

impl Quant {
    fn finish(&self, sum: i64, mantissa: i32, shift: i32) -> i64 {
        let y = match self.sums {
            Sums::Bits32 => requantize(i64::from(sum as i32), mantissa, shift, false),
            Sums::Bits64 => i64::from(requantize_s64(sum, mantissa, shift)),
        };
        (y + self.output).clamp(self.min, self.max)
    }
}

/// Bias, mantissa and shift of each output.
pub type Tables<'a> = (&'a [i64], &'a [i32], &'a [i32]);

fn at([_, height, width, channels]: Shape, [b, i, j, c]: Shape) -> usize {
    ((b * height + i) * width + j) * channels + c
}

fn each([batch, height, width, channels]: Shape) -> impl Iterator<Item = Shape> {
    let pixels = (0..batch).flat_map(move |b| (0..height).flat_map(move |i| (0..width).map(move |j| [b, i, j])));
    pixels.flat_map(move |[b, i, j]| (0..channels).map(move |c| [b, i, j, c]))
}

/// Weights `[output][kernel row][kernel column][channel]`; fewer channels than the picture's make groups.
#[must_use]
pub fn conv_2d(window: Window, quant: Quant, x: &[i64], shape: Shape, w: &[i64], tables: Tables<'_>) -> Vec<i64> {
    let (bias, mantissa, shift) = tables;
    let [batch, height, width, channels] = shape;
    let [kh, kw] = window.kernel;
    let outputs = bias.len();
    let seen = w.len() / (outputs * kh * kw);
    let groups = channels / seen;
    let out = [batch, window.outputs(0, height), window.outputs(1, width), outputs];
    let of = |[b, i, j, o]: Shape| {
        let mut sum = bias[o];
        for k in 0..kh {
            for l in 0..kw {
                let (Some(row), Some(col)) = (window.position(0, height, i, k), window.position(1, width, j, l)) else {
                    continue;
                };
                for c in 0..seen {
                    let channel = o / (outputs / groups) * seen + c;
                    sum += w[at([outputs, kh, kw, seen], [o, k, l, c])]
                        * (x[at(shape, [b, row, col, channel])] - quant.input);
                }
            }
        }
        quant.finish(sum, mantissa[o], shift[o])
    };
    each(out).map(of).collect()
}

/// Weights `[kernel row][kernel column][output]`.
#[must_use]
pub fn depthwise(window: Window, quant: Quant, x: &[i64], shape: Shape, w: &[i64], tables: Tables<'_>) -> Vec<i64> {
    let (bias, mantissa, shift) = tables;
    let [batch, height, width, channels] = shape;
    let [kh, kw] = window.kernel;
    let outputs = bias.len();
    let out = [batch, window.outputs(0, height), window.outputs(1, width), outputs];
    let of = |[b, i, j, o]: Shape| {
        let mut sum = bias[o];
        for k in 0..kh {
            for l in 0..kw {
                if let (Some(row), Some(col)) = (window.position(0, height, i, k), window.position(1, width, j, l)) {
                    let x = x[at(shape, [b, row, col, o / (outputs / channels)])];
                    sum += w[at([1, kh, kw, outputs], [0, k, l, o])] * (x - quant.input);
                }
            }
        }
        quant.finish(sum, mantissa[o], shift[o])
    };
    each(out).map(of).collect()
}

/// Scatters each input over the outputs, as TFLite does; weights `[output][kernel row][kernel column][channel]`. The window
/// is that of the convolution from `out` to `shape`.
#[must_use]
pub fn transpose_conv(
    window: Window,
    quant: Quant,
    x: &[i64],
    [shape, out]: [Shape; 2],
    w: &[i64],
    tables: Tables<'_>,
) -> Vec<i64> {
    let (bias, mantissa, shift) = tables;
    let [kh, kw] = window.kernel;
    let [_, height, width, outputs] = out;
    let mut sums = vec![0; out.iter().product()];
    for [b, u, v, c] in each(shape) {
        for (k, l) in (0..kh).flat_map(|k| (0..kw).map(move |l| (k, l))) {
            let row = (u * window.stride[0] + k).checked_sub(window.before(0, height)).filter(|&row| row < height);
            let col = (v * window.stride[1] + l).checked_sub(window.before(1, width)).filter(|&col| col < width);
            let (Some(row), Some(col)) = (row, col) else { continue };
            for o in 0..outputs {
                sums[at(out, [b, row, col, o])] +=
                    w[at([outputs, kh, kw, shape[3]], [o, k, l, c])] * (x[at(shape, [b, u, v, c])] - quant.input);
            }
        }
    }
    let of = |index: Shape| {
        let o = index[3];
        quant.finish(sums[at(out, index)] + bias[o], mantissa[o], shift[o])
    };
    each(out).map(of).collect()
}

/// The taps inside of each window and channel, in some order.
fn pool(window: Window, x: &[i64], shape: Shape, of: impl Fn(&[i64]) -> i64) -> Vec<i64> {
    let [batch, height, width, channels] = shape;
    let [kh, kw] = window.kernel;
    let taps = |[b, i, j, c]: Shape| -> Vec<i64> {
        let positions = (0..kh).flat_map(|k| (0..kw).map(move |l| (k, l)));
        let inside =
            positions.filter_map(|(k, l)| Some((window.position(0, height, i, k)?, window.position(1, width, j, l)?)));
        inside.map(|(row, col)| x[at(shape, [b, row, col, c])]).collect()
    };
    each([batch, window.outputs(0, height), window.outputs(1, width), channels]).map(|i| of(&taps(i))).collect()
}

/// The mean of codes, half away from zero.
#[must_use]
pub fn average_pool(window: Window, x: &[i64], shape: Shape, min: i64, max: i64) -> Vec<i64> {
    let mean = |taps: &[i64]| {
        let (sum, n) = (taps.iter().sum::<i64>(), taps.len() as i64);
        // C's division truncates.
        (if sum > 0 { (sum + n / 2) / n } else { (sum - n / 2) / n }).clamp(min, max)
    };
    pool(window, x, shape, mean)
}

/// The largest code.
#[must_use]
pub fn max_pool(window: Window, x: &[i64], shape: Shape, min: i64, max: i64) -> Vec<i64> {
    pool(window, x, shape, |taps| taps.iter().copied().max().unwrap_or(min).clamp(min, max))
}
