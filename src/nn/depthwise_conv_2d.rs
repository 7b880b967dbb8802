//! Depthwise convolutions over pictures in integers: TFLite's `DEPTHWISE_CONV_2D`.
//!
//! ```text
//! y[b][i][j][o] = clamp(m[o] (bias[o] + Σ_{k,l} w[k][l][o] (x[b][i s - p + k d][j s - p + l d][o / multiplier] - zero_point)) + output)
//! ```
//! A few channels at a time keep their sums in registers while the taps go by. Which taps lie inside is worked out once an
//! output pixel. The input's zero point is folded into the bias; for a tap outside, whose input counts as 0 and so has the
//! zero point as its code, the product with that is added.

use super::at_least_one;
use super::element::{Blocks, LANES, Rule};
use super::linear_s16::RequantS16;
use super::requant::{MOST_DEPTH, QuantS8, Requant};
use super::window::{Inside, Pixels, Window2d};
use crate::backend::{Auto, Backend, DepthS8, Dispatch, Kernel, OutputsS8, OutputsS16, has_depth_loop};
use crate::error::{Arg, Error, Rule as Broken, length};
use crate::shape::Nhwc;

/// What follows from the shapes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Plan {
    window: Window2d,
    outputs: usize,
    /// Outputs of a channel.
    multiplier: usize,
}

impl Plan {
    const fn new(window: Window2d, weights: usize, outputs: usize) -> Result<Self, Error> {
        if window.taps() > MOST_DEPTH {
            return Err(Error::TooLarge { what: Arg::Kernel, max: MOST_DEPTH, got: window.taps() });
        }
        let channels = window.input().channels();
        let multiplier = outputs / at_least_one(channels);
        if multiplier == 0 || multiplier * channels != outputs {
            return Err(Error::Config { what: Broken::Groups });
        }
        if let Err(error) = length(Arg::Weights, window.taps().saturating_mul(outputs), weights) {
            return Err(error);
        }
        if let Err(error) = window.output(outputs) {
            return Err(error);
        }
        Ok(Self { window, outputs, multiplier })
    }

    const fn output(&self) -> Result<Nhwc, Error> {
        self.window.output(self.outputs)
    }

    fn check(&self, x: usize, y: usize) -> Result<(), Error> {
        self.window.input().check(Arg::X, x)?;
        self.output()?.check(Arg::Y, y)
    }
}

/// A depthwise convolution of 8-bit pictures, with weights `[kernel row][kernel column][output]`.
///
/// The number of outputs is a multiple of the input's channels: output `o` sees channel `o / multiplier`.
///
/// # Accuracy
/// TFLite's bytes on every backend.
///
/// # Example
/// ```
/// use scrimp::fixedpoint::Multiplier;
/// use scrimp::nn::{Activation, DepthwiseConv2dS8, QuantS8, RequantTable, Window2d};
/// use scrimp::shape::Nhwc;
/// use scrimp::Quantization;
/// const WEIGHTS: [i8; 4] = [1, 10, 1, -10]; // one row of two taps, two channels
/// const QUANT: QuantS8 =
///     scrimp::expect!(QuantS8::new(Quantization::new(1.0, 3), Quantization::new(1.0, 0), Activation::None));
/// const ONE: [Multiplier; 1] = [Multiplier::of_scales(1.0, 1.0, 1.0).unwrap()];
/// const WINDOW: Window2d =
///     scrimp::expect!(Window2d::valid(scrimp::expect!(Nhwc::new(1, 1, 3, 2)), [1, 2], [1, 1], [1, 1]));
/// static TABLE: RequantTable<2> = scrimp::expect!(RequantTable::depthwise(&WEIGHTS, &QUANT, &[], &ONE));
/// static CONV: DepthwiseConv2dS8 = scrimp::expect!(DepthwiseConv2dS8::new(WINDOW, &WEIGHTS, TABLE.by_ref(), QUANT));
/// let mut y = [0; 4];
/// CONV.run(&[4, 5, 6, 7, 8, 9], &mut y)?;
/// assert_eq!(y, [4, -20, 8, -20]); // (4 - 3) + (6 - 3), 10 (5 - 3) - 10 (7 - 3), ...
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseConv2dS8<'a> {
    plan: Plan,
    weights: &'a [i8],
    requant: Requant<'a>,
    quant: QuantS8,
    /// The code of 0.
    pad: i8,
    is_plain: bool,
    /// The same if shifts of 0 count.
    has_plain_or_no_shifts: bool,
    /// What runs it on the device that this build is for: the other loops are then not linked for it.
    run: RunS8,
}

type RunS8 = for<'a, 'b, 'c, 'd> fn(&'a DepthwiseConv2dS8<'b>, &'c [i8], &'d mut [i8]);

impl<'a> DepthwiseConv2dS8<'a> {
    /// With the tables of [`Requant::build_depthwise`], which say how many outputs there are.
    ///
    /// # Errors
    /// `Error::Length` if the weights are not a tap and output each; `Error::Config` if the outputs are no multiple of the
    /// channels, an offset is outside its type, the filter has one, or `min > max`; `Error::TooLarge` beyond 2^20 taps.
    pub const fn new(window: Window2d, weights: &'a [i8], requant: Requant<'a>, quant: QuantS8) -> Result<Self, Error> {
        if let Err(error) = quant.check() {
            return Err(error);
        }
        if quant.filter_offset != 0 {
            return Err(Error::Config { what: Broken::ZeroPoint });
        }
        let pad = match quant.input_zero_point() {
            Ok(pad) => pad,
            Err(error) => return Err(error),
        };
        match Plan::new(window, weights.len(), requant.outputs()) {
            Ok(plan) => {
                let is_plain = requant.is_plain(window.taps(), &quant);
                let has_plain_or_no_shifts = has_plain_or_no_shifts(&requant, window.taps(), &quant);
                let run: RunS8 = run_portable;
                let mut of = Self { plan, weights, requant, quant, pad, is_plain, has_plain_or_no_shifts, run };
                if let Some(layer) = of.layer()
                    && has_depth_loop(&layer)
                {
                    of.run = run_by_backend;
                }
                Ok(of)
            }
            Err(error) => Err(error),
        }
    }

    /// The shape of what comes out.
    ///
    /// # Errors
    /// None: `new` has checked it.
    pub const fn output(&self) -> Result<Nhwc, Error> {
        self.plan.output()
    }

    /// Runs it.
    ///
    /// # Errors
    /// `Error::Length` if a slice is not of its shape; `y` is then untouched.
    pub fn run(&self, x: &[i8], y: &mut [i8]) -> Result<(), Error> {
        if cfg!(not(target_arch = "arm")) {
            return self.run_on(Auto, x, y);
        }
        self.plan.check(x.len(), y.len())?;
        (self.run)(self, x, y);
        Ok(())
    }

    /// [`DepthwiseConv2dS8::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`DepthwiseConv2dS8::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i8], y: &mut [i8]) -> Result<(), Error> {
        self.plan.check(x.len(), y.len())?;
        match self.layer() {
            Some(layer) if backend.dispatch(HasLoop { layer }) => backend.dispatch(ByBackend { layer, x, y }),
            _ => backend.dispatch(self.portable(x, y)),
        }
        Ok(())
    }

    const fn portable<'r>(&'r self, x: &'r [i8], y: &'r mut [i8]) -> Run<'r, OutputsS8<'r>> {
        let rule = self.requant.outputs_s8(&self.quant, self.is_plain);
        Run { plan: &self.plan, weights: self.weights, rule, pad: self.pad, x, y }
    }

    /// The layer as loops of a backend take it; `None` if there cannot be one.
    const fn layer(&self) -> Option<DepthS8<'a>> {
        if self.plan.multiplier != 1 {
            return None;
        }
        let outputs = self.requant.outputs_s8(&self.quant, self.is_plain);
        DepthS8::new(self.weights, outputs, self.has_plain_or_no_shifts, self.pad, self.plan.window.axes())
    }
}

/// [`Requant::is_plain`], if shifts of 0 counted as such: where a channel's weights are large beside all others.
const fn has_plain_or_no_shifts(requant: &Requant<'_>, taps: usize, quant: &QuantS8) -> bool {
    let Requant { bias, mantissa, shift } = *requant;
    let mut o = 0;
    while o < shift.len() && o < bias.len() && o < mantissa.len() {
        // One channel, with a shift that is plain in place of 0.
        let plain = if shift[o] == 0 { -1 } else { shift[o] };
        let one = Requant { bias: &[bias[o]], mantissa: &[mantissa[o]], shift: &[plain] };
        if !one.is_plain(taps, quant) {
            return false;
        }
        o += 1;
    }
    true
}

fn run_portable(of: &DepthwiseConv2dS8<'_>, x: &[i8], y: &mut [i8]) {
    Auto.dispatch(of.portable(x, y));
}

fn run_by_backend(of: &DepthwiseConv2dS8<'_>, x: &[i8], y: &mut [i8]) {
    if let Some(layer) = of.layer() {
        Auto.dispatch(ByBackend { layer, x, y });
    }
}

struct HasLoop<'a> {
    layer: DepthS8<'a>,
}

impl Kernel for HasLoop<'_> {
    type Output = bool;

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) -> bool {
        b.has_depth_loop(&self.layer)
    }
}

/// There is a loop for the layer.
struct ByBackend<'a> {
    layer: DepthS8<'a>,
    x: &'a [i8],
    y: &'a mut [i8],
}

impl Kernel for ByBackend<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        b.depthwise_s8(&self.layer, self.x, self.y);
    }
}

/// A depthwise convolution of 16-bit pictures, which have no zero points.
///
/// # Accuracy
/// TFLite's bytes on every backend.
///
/// # Example
/// ```
/// use scrimp::nn::{DepthwiseConv2dS16, RequantS16, Window2d};
/// use scrimp::shape::Nhwc;
/// let window = Window2d::same(Nhwc::new(1, 1, 3, 1)?, [1, 3], [1, 1], [1, 1])?;
/// let half = RequantS16::new(&[0], &[1 << 30], &[0])?;
/// let conv = DepthwiseConv2dS16::new(window, &[1, 2, 1], half, i16::MIN, i16::MAX)?;
/// let mut y = [0; 3];
/// conv.run(&[1000, 2000, 3000], &mut y)?;
/// assert_eq!(y, [2000, 4000, 4000]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DepthwiseConv2dS16<'a> {
    plan: Plan,
    weights: &'a [i8],
    requant: RequantS16<'a>,
    min: i16,
    max: i16,
}

impl<'a> DepthwiseConv2dS16<'a> {
    /// Outputs are at least `min`, at most `max`.
    ///
    /// # Errors
    /// As [`DepthwiseConv2dS8::new`].
    pub const fn new(
        window: Window2d,
        weights: &'a [i8],
        requant: RequantS16<'a>,
        min: i16,
        max: i16,
    ) -> Result<Self, Error> {
        if min > max {
            return Err(Error::Config { what: Broken::OutputRange });
        }
        match Plan::new(window, weights.len(), requant.outputs()) {
            Ok(plan) => Ok(Self { plan, weights, requant, min, max }),
            Err(error) => Err(error),
        }
    }

    /// The shape of what comes out.
    ///
    /// # Errors
    /// None: `new` has checked it.
    pub const fn output(&self) -> Result<Nhwc, Error> {
        self.plan.output()
    }

    /// Runs it.
    ///
    /// # Errors
    /// `Error::Length` if a slice is not of its shape; `y` is then untouched.
    pub fn run(&self, x: &[i16], y: &mut [i16]) -> Result<(), Error> {
        self.run_on(Auto, x, y)
    }

    /// [`DepthwiseConv2dS16::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`DepthwiseConv2dS16::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i16], y: &mut [i16]) -> Result<(), Error> {
        self.plan.check(x.len(), y.len())?;
        let rule: OutputsS16<'_> = self.requant.outputs_s16(self.min, self.max);
        backend.dispatch(Run { plan: &self.plan, weights: self.weights, rule, pad: 0, x, y });
        Ok(())
    }
}

struct Run<'a, R: Rule> {
    plan: &'a Plan,
    weights: &'a [i8],
    rule: R,
    pad: R::Element,
    x: &'a [R::Element],
    y: &'a mut [R::Element],
}

impl<R: Rule> Kernel for Run<'_, R> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let Self { plan, weights, rule, pad, x, mut y } = self;
        let Plan { window, outputs, multiplier } = *plan;
        let input = window.input();
        let [height, width] = window.output_size();
        let mut pixels = Pixels::of(&window);
        let mut pictures = x;
        while !y.is_empty() {
            for _ in 0..height * width {
                let Some((now, rest)) = core::mem::take(&mut y).split_at_mut_checked(outputs.max(1)) else { return };
                y = rest;
                let (row, col) = pixels.next();
                let patch = Patch { pictures, weights, pad: R::widen(pad), plan, row, col };
                for (o, is_block) in Blocks::of(outputs, multiplier > 1) {
                    let y = now.get_mut(o..).unwrap_or(&mut []);
                    if is_block {
                        patch.outputs::<R, LANES>(&rule, o, o, y);
                    } else {
                        let channel = if multiplier > 1 { o / multiplier } else { o };
                        patch.outputs::<R, 1>(&rule, channel, o, y);
                    }
                }
            }
            pictures = pictures.get(input.height() * input.width() * input.channels()..).unwrap_or(&[]);
        }
    }
}

/// The window of one output pixel.
struct Patch<'a, T> {
    pictures: &'a [T],
    weights: &'a [i8],
    /// The code of 0.
    pad: i32,
    plan: &'a Plan,
    row: Inside,
    col: Inside,
}

impl<T: Copy> Patch<'_, T> {
    /// `N` outputs from `o` on, of the channels from `channel` on.
    #[inline(always)]
    fn outputs<R: Rule<Element = T>, const N: usize>(&self, rule: &R, channel: usize, o: usize, y: &mut [T]) {
        let Self { pictures, weights, pad, plan, row, col } = self;
        let Plan { window, outputs, .. } = plan;
        let mut weights = *weights;
        let ([row_step, col_step], [kernel, line]) = (window.steps(), window.kernel());
        let mut sums = [R::Sum::default(); N];
        let mut start = window.start(row, col) + channel;
        for k in 0..kernel {
            let taps = weights.get(o..).unwrap_or(&[]);
            if k < row.first || k >= row.end {
                missing::<R, N>(&mut sums, taps, *outputs, line, *pad);
            } else {
                missing::<R, N>(&mut sums, taps, *outputs, col.first, *pad);
                let mut taps = taps.get(col.first * outputs..).unwrap_or(&[]);
                let mut x = pictures.get(start..).unwrap_or(&[]);
                for _ in 0..col.len() {
                    let (Some(w), Some(from)) = (taps.first_chunk::<N>(), x.first_chunk::<N>()) else { break };
                    for j in 0..N {
                        sums[j] = R::add(sums[j], R::widen(from[j]), w[j]);
                    }
                    taps = taps.get(*outputs..).unwrap_or(&[]);
                    x = x.get(col_step..).unwrap_or(&[]);
                }
                missing::<R, N>(&mut sums, taps, *outputs, line - col.end, *pad);
                start += row_step;
            }
            weights = weights.get(line * outputs..).unwrap_or(&[]);
        }
        rule.finish(o, sums, y);
    }
}

/// Adds the products with `n` taps that lie outside.
#[inline(always)]
fn missing<R: Rule, const N: usize>(sums: &mut [R::Sum; N], taps: &[i8], step: usize, n: usize, pad: i32) {
    if pad == 0 {
        return;
    }
    let mut taps = taps;
    for _ in 0..n {
        let Some(w) = taps.first_chunk::<N>() else { return };
        for j in 0..N {
            sums[j] = R::add(sums[j], pad, w[j]);
        }
        taps = taps.get(step..).unwrap_or(&[]);
    }
}
