//! Convolutions: the same bytes as plain loops over the rule of TFLite, whichever way patches take to the products.

use scrimp::backend::Dispatch;
use scrimp::bits::{Format, Layout, Weights, Width, packed_words};
use scrimp::fixedpoint::{Multiplier, Rounding, requantize};
use scrimp::nn::{Activation, Conv2dS8, QuantS8, Requant, Window2d};
use scrimp::shape::Nhwc;
use scrimp::{Error, Quantization, Rows};

use crate::Failure;
use crate::bits::noise;
use crate::buffer::Guarded;

/// Room for the largest of [`SPECS`]: inputs, weights, packed words, outputs, scratch.
const INPUTS: usize = 600;
const WEIGHTS: usize = 5 * 264;
const WORDS: usize = 16 * 264 / 4;
const ROOM: usize = 288;
const SCRATCH: usize = 528;
const MOST: usize = 8;

/// A convolution that follows from its shape.
struct Spec {
    /// Height, width, channels.
    input: [usize; 3],
    kernel: [usize; 2],
    stride: usize,
    dilation: usize,
    is_same: bool,
    outputs: usize,
    is_relu: bool,
}

#[rustfmt::skip]
const SPECS: [Spec; 8] = [
    // Runs of patches inside, others over each edge; a depth that is no whole word.
    Spec { input: [6, 9, 3], kernel: [3, 3], stride: 1, dilation: 1, is_same: true, outputs: 5, is_relu: true },
    Spec { input: [5, 12, 4], kernel: [3, 3], stride: 2, dilation: 1, is_same: true, outputs: 8, is_relu: false },
    // Few patches, most of them over an edge.
    Spec { input: [5, 6, 1], kernel: [4, 3], stride: 2, dilation: 1, is_same: true, outputs: 7, is_relu: true },
    // Pixels as they lie, an odd number of them.
    Spec { input: [1, 7, 40], kernel: [1, 1], stride: 1, dilation: 1, is_same: false, outputs: 6, is_relu: false },
    // In one piece: apart, side by side, and one upon the other.
    Spec { input: [3, 9, 20], kernel: [1, 1], stride: 2, dilation: 1, is_same: true, outputs: 4, is_relu: true },
    Spec { input: [2, 10, 6], kernel: [1, 3], stride: 1, dilation: 1, is_same: false, outputs: 3, is_relu: false },
    // Deeper than what is widened at a time.
    Spec { input: [2, 9, 33], kernel: [2, 4], stride: 1, dilation: 1, is_same: false, outputs: 5, is_relu: true },
    // Tap by tap.
    Spec { input: [4, 9, 2], kernel: [2, 2], stride: 1, dilation: 2, is_same: true, outputs: 8, is_relu: false },
];

fn unexpected(_: Error) -> Failure {
    Failure::new("a right call is an error")
}

impl Spec {
    const INPUT: Quantization = Quantization::new(0.5, 5);

    fn window(&self) -> Result<Window2d, Error> {
        let [height, width, channels] = self.input;
        let input = Nhwc::new(1, height, width, channels)?;
        let (stride, dilation) = ([self.stride; 2], [self.dilation; 2]);
        if self.is_same {
            Window2d::same(input, self.kernel, stride, dilation)
        } else {
            Window2d::valid(input, self.kernel, stride, dilation)
        }
    }

    fn depth(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.input[2]
    }

    fn quant(&self) -> Result<QuantS8, Error> {
        let (zero_point, activation) = if self.is_relu { (-128, Activation::Relu) } else { (3, Activation::None) };
        QuantS8::new(Self::INPUT, Quantization::new(1.0, zero_point), activation)
    }

    fn x(&self, at: usize) -> i8 {
        noise(5 * at + self.outputs)
    }

    fn weight(&self, at: usize) -> i8 {
        noise(3 * at + self.depth())
    }

    fn bias(o: usize) -> i32 {
        i32::from(noise(o)) * 53
    }

    fn multiplier(&self, o: usize) -> Multiplier {
        let bits = usize::BITS - self.depth().leading_zeros();
        Multiplier { mantissa: 1_400_000_000 - 1_000_003 * o as i32, shift: -(5 + bits as i32 / 2 + o as i32 % 3) }
    }

    /// The output `o` of pixel `i`, `j`.
    fn output(&self, window: &Window2d, quant: &QuantS8, [i, j, o]: [usize; 3]) -> i8 {
        let [height, width, channels] = self.input;
        let [top, left] = window.before();
        let mut sum = Self::bias(o);
        for k in 0..self.kernel[0] {
            for l in 0..self.kernel[1] {
                let row = (i * self.stride + k * self.dilation).wrapping_sub(top);
                let col = (j * self.stride + l * self.dilation).wrapping_sub(left);
                if row >= height || col >= width {
                    continue;
                }
                for c in 0..channels {
                    let x = i32::from(self.x((row * width + col) * channels + c)) + quant.input_offset;
                    let w = self.weight(o * self.depth() + (k * self.kernel[1] + l) * channels + c);
                    sum += x * i32::from(w);
                }
            }
        }
        let y = requantize(sum, self.multiplier(o), Rounding::Double) + quant.output_offset;
        y.clamp(quant.min.into(), quant.max.into()) as i8
    }

    fn check<D: Dispatch>(&self, d: D, at: usize, weights: Weights<'_>) -> Result<(), Failure> {
        let failed = |failure: Failure| failure.row(self.depth(), self.outputs);
        let (window, quant, n) = (self.window().map_err(unexpected)?, self.quant().map_err(unexpected)?, self.outputs);
        let (mut bias, mut mantissa, mut shift) = ([0; MOST], [0; MOST], [0; MOST]);
        let biases: [i32; MOST] = core::array::from_fn(Self::bias);
        let multipliers: [Multiplier; MOST] = core::array::from_fn(|o| self.multiplier(o));
        let tables = (&mut bias[..n], &mut mantissa[..n], &mut shift[..n]);
        let requant = Requant::build(tables, &weights, Width::W8, &quant, &biases[..n], &multipliers[..n]);
        let widths = [(Width::W8, requant.map_err(unexpected)?)];
        let conv = Conv2dS8::new(window, weights, &widths, quant).map_err(unexpected)?;
        let [height, width] = window.output_size();
        let mut x = Guarded::<i8, { INPUTS + 4 }>::filled(at, self.input.iter().product(), |at| self.x(at));
        let mut y = Guarded::<i8, { ROOM + 4 }>::new(3 - at, height * width * n);
        let mut scratch = Guarded::<i8, { SCRATCH + 4 }>::new(at, conv.scratch());
        conv.run_on(d, x.row(), y.row(), scratch.row()).map_err(unexpected)?;
        x.check().map_err(failed)?;
        y.check().map_err(failed)?;
        scratch.check().map_err(failed)?;
        for (at, &got) in y.row().iter().enumerate() {
            let want = self.output(&window, &quant, [at / n / width, at / n % width, at % n]);
            if got != want {
                let rule = match weights.layout() {
                    Layout::Rows => "other bytes, weights in rows",
                    _ => "other bytes, packed weights",
                };
                return Err(failed(Failure::new(rule).element(at, want.into(), got.into())));
            }
        }
        Ok(())
    }
}

/// `Conv2dS8` of each way, with weights in rows and in the layout of this build.
pub(crate) fn conv_2d<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    for spec in &SPECS {
        let shape = Rows::new(spec.outputs, spec.depth()).map_err(unexpected)?;
        let codes: [i8; WEIGHTS] = core::array::from_fn(|at| spec.weight(at));
        let rows = Weights::s8(&codes[..shape.elements()], shape).map_err(unexpected)?;
        spec.check(d, at, rows)?;
        if Layout::BEST != Layout::Rows {
            let mut room = [0; WORDS];
            let words = &mut room[..packed_words(Format::S8, Layout::BEST, shape)];
            rows.pack_into(Format::S8, Layout::BEST, Width::W8, words, &mut []).map_err(unexpected)?;
            spec.check(d, at, Weights::packed(Format::S8, Layout::BEST, words, &[], shape).map_err(unexpected)?)?;
        }
    }
    Ok(())
}
