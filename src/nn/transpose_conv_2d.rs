//! Transposed convolutions over pictures in integers: TFLite's `TRANSPOSE_CONV`.
//!
//! ```text
//! y[b][i][j][o] = clamp(m[o] (bias[o] + Σ w[o][k][l][c] (x[b][u][v][c] - zero_point)) + output)    over all u s + k - p = i, v s + l - p = j
//! ```
//! TFLite scatters each input over the outputs, which takes a buffer of sums as large as the output. Here each output gathers
//! the inputs that reach it, every `s`-th tap of the kernel, so that nothing is stored in between.

use super::element::Rule;
use super::linear_s16::RequantS16;
use super::requant::{MOST_DEPTH, QuantS8, Requant};
use crate::backend::{Auto, Backend, Dispatch, Kernel};
use crate::error::{Arg, Error, Rule as Broken, length};
use crate::shape::Nhwc;

/// Most of a kernel's or stride's side, and of a side of the output with its padding.
const MOST: usize = 1 << 30;

/// The shapes of a transposed convolution, height before width in every pair.
///
/// ```
/// use scrimp::nn::TransposeShape2d;
/// use scrimp::shape::Nhwc;
/// let shape = TransposeShape2d::same(Nhwc::new(1, 4, 4, 8)?, Nhwc::new(1, 8, 8, 3)?, [3, 3], [2, 2])?;
/// assert_eq!(shape.before(), [0, 0]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TransposeShape2d {
    input: Nhwc,
    output: Nhwc,
    kernel: [usize; 2],
    stride: [usize; 2],
    before: [usize; 2],
}

impl TransposeShape2d {
    /// TFLite's SAME: the padding is that of a convolution over the *output*.
    ///
    /// # Errors
    /// `Error::Empty` if a number is zero, `Error::TooLarge` if one is beyond 2^30, `Error::Length` if the batches differ.
    pub const fn same(input: Nhwc, output: Nhwc, kernel: [usize; 2], stride: [usize; 2]) -> Result<Self, Error> {
        let sides = [output.height(), output.width()];
        let mut before = [0, 0];
        let mut axis = 0;
        while axis < 2 {
            if stride[axis] == 0 {
                return Err(Error::Empty { what: Arg::Stride });
            }
            let reach =
                (sides[axis].div_ceil(stride[axis]) - 1).saturating_mul(stride[axis]).saturating_add(kernel[axis]);
            before[axis] = reach.saturating_sub(sides[axis]) / 2;
            axis += 1;
        }
        Self::padded(input, output, kernel, stride, before)
    }

    /// TFLite's VALID: no padding.
    ///
    /// # Errors
    /// As [`TransposeShape2d::same`].
    pub const fn valid(input: Nhwc, output: Nhwc, kernel: [usize; 2], stride: [usize; 2]) -> Result<Self, Error> {
        Self::padded(input, output, kernel, stride, [0, 0])
    }

    /// So many rows and columns of what comes out are cut off above and to the left; the output's shape says what is cut off
    /// below and to the right, or, where no input reaches, filled.
    ///
    /// # Errors
    /// As [`TransposeShape2d::same`].
    pub const fn padded(
        input: Nhwc,
        output: Nhwc,
        kernel: [usize; 2],
        stride: [usize; 2],
        before: [usize; 2],
    ) -> Result<Self, Error> {
        if let Err(error) = length(Arg::Batch, input.batch(), output.batch()) {
            return Err(error);
        }
        let (sides, outs) = ([input.height(), input.width()], [output.height(), output.width()]);
        let mut axis = 0;
        while axis < 2 {
            let numbers = [
                (Arg::Kernel, kernel[axis]),
                (Arg::Stride, stride[axis]),
                (if axis == 0 { Arg::Height } else { Arg::Width }, sides[axis]),
                (Arg::Output, outs[axis]),
                (Arg::Padding, before[axis].saturating_add(1)),
            ];
            let mut i = 0;
            while i < numbers.len() {
                let (what, number) = numbers[i];
                if number == 0 {
                    return Err(Error::Empty { what });
                }
                if number > MOST {
                    return Err(Error::TooLarge { what, max: MOST, got: number });
                }
                i += 1;
            }
            axis += 1;
        }
        Ok(Self { input, output, kernel, stride, before })
    }

    /// What goes in.
    #[must_use]
    pub const fn input(&self) -> Nhwc {
        self.input
    }

    /// What comes out.
    #[must_use]
    pub const fn output(&self) -> Nhwc {
        self.output
    }

    /// Rows and columns that are cut off above and to the left.
    #[must_use]
    pub const fn before(&self) -> [usize; 2] {
        self.before
    }

    /// `Ok` if a layer has these weights and so many outputs.
    const fn check(&self, weights: usize, outputs: usize) -> Result<(), Error> {
        let taps = self.kernel[0].saturating_mul(self.kernel[1]);
        let depth = taps.saturating_mul(self.input.channels());
        if depth > MOST_DEPTH {
            return Err(Error::TooLarge { what: Arg::Depth, max: MOST_DEPTH, got: depth });
        }
        if let Err(error) = length(Arg::Channels, outputs, self.output.channels()) {
            return Err(error);
        }
        length(Arg::Weights, depth.saturating_mul(outputs), weights)
    }

    fn run<D: Dispatch, R: Rule>(
        &self,
        backend: D,
        weights: &[i8],
        (rule, offset): (R, i32),
        x: &[R::Element],
        y: &mut [R::Element],
    ) -> Result<(), Error> {
        self.input.check(Arg::X, x.len())?;
        self.output.check(Arg::Y, y.len())?;
        backend.dispatch(Run { shape: self, weights, rule, offset, x, y });
        Ok(())
    }

    /// The taps of an axis that reach output `at`.
    #[inline(always)]
    fn taps(&self, axis: usize, at: usize) -> Taps {
        let (kernel, stride) = (self.kernel[axis & 1], self.stride[axis & 1].max(1));
        let size = if axis == 0 { self.input.height() } else { self.input.width() };
        let at = at + self.before[axis & 1];
        let (input, tap) = (at / stride, at % stride);
        // Input `input - t` with tap `tap + t stride`.
        let first = (input + 1).saturating_sub(size);
        let end = if tap < kernel { ((kernel - 1 - tap) / stride + 1).min(input + 1) } else { 0 };
        Taps { input: input.saturating_sub(first), tap: tap + first * stride, n: end.saturating_sub(first) }
    }
}

/// `n` taps, the first of them `tap` with input `input`; then every stride-th tap, and an input less each.
#[derive(Clone, Copy)]
struct Taps {
    input: usize,
    tap: usize,
    n: usize,
}

/// A transposed convolution of 8-bit pictures, with weights `[output][kernel row][kernel column][channel]`.
///
/// # Accuracy
/// TFLite's bytes on every backend.
///
/// # Example
/// ```
/// use scrimp::nn::{Activation, QuantS8, Requant, TransposeConv2dS8, TransposeShape2d};
/// use scrimp::shape::Nhwc;
/// use scrimp::Quantization;
/// let (input, output) = (Nhwc::new(1, 1, 2, 1)?, Nhwc::new(1, 1, 5, 1)?);
/// let shape = TransposeShape2d::valid(input, output, [1, 3], [1, 2])?;
/// let quant = QuantS8::new(Quantization::new(1.0, 1), Quantization::new(1.0, 0), Activation::None)?;
/// // The bias is TFLite's, nothing is folded into it; the multiplier is 1.
/// let requant = Requant::new(&[0], &[1 << 30], &[1])?;
/// let conv = TransposeConv2dS8::new(shape, &[1, 2, 3], requant, quant)?;
/// let mut y = [0; 5];
/// conv.run(&[11, 21], &mut y)?;
/// assert_eq!(y, [10, 20, 50, 40, 60]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TransposeConv2dS8<'a> {
    shape: TransposeShape2d,
    weights: &'a [i8],
    requant: Requant<'a>,
    quant: QuantS8,
}

impl<'a> TransposeConv2dS8<'a> {
    /// With tables of [`Requant::new`]: biases as they are.
    ///
    /// # Errors
    /// `Error::Length` if weights or tables are not of the shape; `Error::TooLarge` beyond 2^20 inputs of an output;
    /// `Error::Config` if an offset is outside its type, the filter has one, or `min > max`.
    pub const fn new(
        shape: TransposeShape2d,
        weights: &'a [i8],
        requant: Requant<'a>,
        quant: QuantS8,
    ) -> Result<Self, Error> {
        if let Err(error) = quant.check() {
            return Err(error);
        }
        if quant.filter_offset != 0 {
            return Err(Error::Config { what: Broken::ZeroPoint });
        }
        match shape.check(weights.len(), requant.outputs()) {
            Ok(()) => Ok(Self { shape, weights, requant, quant }),
            Err(error) => Err(error),
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// `Error::Length` if a slice is not of its shape; `y` is then untouched.
    pub fn run(&self, x: &[i8], y: &mut [i8]) -> Result<(), Error> {
        self.run_on(Auto, x, y)
    }

    /// [`TransposeConv2dS8::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`TransposeConv2dS8::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i8], y: &mut [i8]) -> Result<(), Error> {
        let rule = self.requant.outputs_s8(&self.quant, false);
        self.shape.run(backend, self.weights, (rule, self.quant.input_offset), x, y)
    }
}

/// A transposed convolution of 16-bit pictures, which have no zero points.
///
/// # Accuracy
/// TFLite's bytes on every backend.
///
/// # Example
/// ```
/// use scrimp::nn::{RequantS16, TransposeConv2dS16, TransposeShape2d};
/// use scrimp::shape::Nhwc;
/// let (input, output) = (Nhwc::new(1, 1, 2, 1)?, Nhwc::new(1, 1, 4, 1)?);
/// let shape = TransposeShape2d::same(input, output, [1, 2], [1, 2])?;
/// let one = RequantS16::new(&[0], &[1 << 30], &[1])?;
/// let conv = TransposeConv2dS16::new(shape, &[1, 3], one, i16::MIN, i16::MAX)?;
/// let mut y = [0; 4];
/// conv.run(&[100, 200], &mut y)?;
/// assert_eq!(y, [100, 300, 200, 600]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TransposeConv2dS16<'a> {
    shape: TransposeShape2d,
    weights: &'a [i8],
    requant: RequantS16<'a>,
    min: i16,
    max: i16,
}

impl<'a> TransposeConv2dS16<'a> {
    /// Outputs are at least `min`, at most `max`.
    ///
    /// # Errors
    /// As [`TransposeConv2dS8::new`].
    pub const fn new(
        shape: TransposeShape2d,
        weights: &'a [i8],
        requant: RequantS16<'a>,
        min: i16,
        max: i16,
    ) -> Result<Self, Error> {
        if min > max {
            return Err(Error::Config { what: Broken::OutputRange });
        }
        match shape.check(weights.len(), requant.outputs()) {
            Ok(()) => Ok(Self { shape, weights, requant, min, max }),
            Err(error) => Err(error),
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// `Error::Length` if a slice is not of its shape; `y` is then untouched.
    pub fn run(&self, x: &[i16], y: &mut [i16]) -> Result<(), Error> {
        self.run_on(Auto, x, y)
    }

    /// [`TransposeConv2dS16::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`TransposeConv2dS16::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i16], y: &mut [i16]) -> Result<(), Error> {
        self.shape.run(backend, self.weights, (self.requant.outputs_s16(self.min, self.max), 0), x, y)
    }
}

struct Run<'a, R: Rule> {
    shape: &'a TransposeShape2d,
    weights: &'a [i8],
    rule: R,
    /// Added to every input.
    offset: i32,
    x: &'a [R::Element],
    y: &'a mut [R::Element],
}

impl<R: Rule> Kernel for Run<'_, R> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let Self { shape, weights, rule, offset, x, y } = self;
        let TransposeShape2d { input, output, kernel: [height, width], stride, .. } = *shape;
        let channels = input.channels();
        let picture = input.height() * input.width() * channels;
        let line = input.width() * channels;
        let mut pixels = y.chunks_exact_mut(output.channels().max(1));
        let mut pictures = x;
        for _ in 0..output.batch() {
            for i in 0..output.height() {
                let rows = shape.taps(0, i);
                for j in 0..output.width() {
                    let cols = shape.taps(1, j);
                    let Some(y) = pixels.next() else { return };
                    for (o, y) in y.iter_mut().enumerate() {
                        let mut sum = R::Sum::default();
                        for r in 0..rows.n {
                            let mut at = (rows.input - r) * line + cols.input * channels;
                            let tap = (o * height + rows.tap + r * stride[0]) * width + cols.tap;
                            let mut weight = tap * channels;
                            for _ in 0..cols.n {
                                let (x, w) = (pictures.get(at..), weights.get(weight..));
                                for (&x, &w) in x.unwrap_or(&[]).iter().zip(w.unwrap_or(&[])).take(channels) {
                                    sum = R::add(sum, R::widen(x) + offset, w);
                                }
                                at = at.wrapping_sub(channels);
                                weight += stride[1] * channels;
                            }
                        }
                        rule.finish(o, [sum], core::slice::from_mut(y));
                    }
                }
            }
            pictures = pictures.get(picture..).unwrap_or(&[]);
        }
    }
}
