//! Convolutions over pictures in integers: TFLite's `CONV_2D`.
//!
//! ```text
//! y[b][i][j][o] = clamp(m[o] (bias[o] + Σ_{k,l,c} w[o][k][l][c] (x[b][i s - p + k d][j s - p + l d][c] - zero_point)) + output)
//! ```
//! A pixel of the output is one row through a fully connected layer, whose inputs are the patch of the picture under the
//! kernel: where patches lie in one piece nothing is copied, otherwise a few at a time are gathered into the scratch. What
//! lies beyond the edges counts as 0, whose code is the input's zero point: so a patch is padded with that.

use super::at_least_one;
use super::element::RowLayer;
use super::linear_s8::LinearS8;
use super::linear_s16::{LinearS16, RequantS16};
use super::requant::{QuantS8, Requant};
use super::window::{Inside, Pixels, Window2d};
use crate::backend::{Auto, Backend, Dispatch, Kernel, Layout, Lines, Rows};
use crate::bits::{Format, Weights, Width};
use crate::error::{Arg, Error, Rule, length};
use crate::shape::Nhwc;

/// Elements of scratch up to which more than two patches are gathered at a time.
const SMALL: usize = 512;
/// Inputs of an output from which on it is one.
const LARGE: usize = 1024;
/// Most patches at a time.
const PATCHES: usize = 4;
/// Patches in a row that are worth leaving to the backend.
const LONG: usize = 4;

/// What follows from the shapes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Plan {
    window: Window2d,
    /// Inputs and outputs are divided into so many groups, each of which sees its own inputs only.
    groups: usize,
    outputs: usize,
    /// Inputs of an output.
    depth: usize,
    way: Way,
}

/// Where patches come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Way {
    /// All pixels are patches, one behind the other.
    AsTheyLie,
    /// A patch lies in one piece in the picture, and those of a row of the output at even distances: so far from one to the
    /// next.
    Whole(usize),
    /// So many at a time are put together in the scratch.
    Gathered(usize),
}

impl Plan {
    const fn new(window: Window2d, weights: &Weights<'_>) -> Result<Self, Error> {
        let (outputs, depth) = (weights.shape().rows(), weights.shape().cols());
        let (taps, channels) = (window.taps(), window.input().channels());
        // The channels that an output sees.
        let seen = depth / at_least_one(taps);
        if seen * taps != depth || seen == 0 {
            return Err(Error::Length { what: Arg::Depth, want: taps.saturating_mul(channels), got: depth });
        }
        let groups = channels / at_least_one(seen);
        if groups * seen != channels || !outputs.is_multiple_of(groups) {
            return Err(Error::Config { what: Rule::Groups });
        }
        let is_rows = matches!(weights.layout(), Layout::Rows) && matches!(weights.format(), Format::S8 | Format::Raw8);
        if groups > 1 && !is_rows {
            return Err(Error::Config { what: Rule::Layout });
        }
        if let Err(error) = window.output(outputs) {
            return Err(error);
        }
        let way = if groups == 1 && window.is_pointwise() {
            Way::AsTheyLie
        } else if groups == 1 && window.is_whole() {
            Way::Whole(window.stride()[1].saturating_mul(channels))
        } else if groups > 1 || depth >= LARGE {
            Way::Gathered(1)
        } else {
            let [height, width] = window.output_size();
            let patches = SMALL / at_least_one(depth);
            let patches = if patches < PATCHES { patches } else { PATCHES };
            // An even number, as two share the weights.
            let patches = if patches < 2 { 2 } else { patches & !1 };
            let pixels = height.saturating_mul(width);
            Way::Gathered(if pixels < patches { pixels } else { patches })
        };
        Ok(Self { window, groups, outputs, depth, way })
    }

    const fn scratch(&self) -> usize {
        match self.way {
            Way::AsTheyLie | Way::Whole(_) => 0,
            Way::Gathered(patches) => patches * self.depth,
        }
    }

    const fn output(&self) -> Result<Nhwc, Error> {
        self.window.output(self.outputs)
    }

    fn check(&self, x: usize, y: usize, scratch: usize) -> Result<(), Error> {
        self.window.input().check(Arg::X, x)?;
        self.output()?.check(Arg::Y, y)?;
        if scratch < self.scratch() { length(Arg::Scratch, self.scratch(), scratch) } else { Ok(()) }
    }
}

/// A convolution of 8-bit pictures.
///
/// Weights are a layer's, `[output][kernel row][kernel column][channel]`, in any format and layout, and run at any of their
/// widths. A depth that is a part of all channels makes groups: output `o` of `outputs` then sees the channels of group
/// `o groups / outputs`. Grouped weights must be bytes in [`Layout::Rows`].
///
/// # Accuracy
/// TFLite's bytes on every backend.
///
/// # Cost
/// That of [`LinearS8`] for each output pixel, and a copy of its patch where it does not lie in one piece: 1 x 1 kernels,
/// and those as wide as the picture, or one row high, that need no padding, are not copied.
///
/// # Example
/// ```
/// use scrimp::bits::{Weights, Width};
/// use scrimp::fixedpoint::Multiplier;
/// use scrimp::nn::{Activation, Conv2dS8, QuantS8, Requant, RequantTable, Window2d};
/// use scrimp::shape::Nhwc;
/// use scrimp::{Quantization, Rows};
/// // One channel in, one out: the sum of a 3 x 3 neighbourhood, times 0.5.
/// const INPUT: Quantization = Quantization::new(0.5, -1);
/// const QUANT: QuantS8 = scrimp::expect!(QuantS8::new(INPUT, Quantization::new(1.0, 0), Activation::Relu));
/// const SCALE: [Multiplier; 1] = [Multiplier::of_scales(0.5, 1.0, 1.0).unwrap()];
/// const WINDOW: Window2d =
///     scrimp::expect!(Window2d::same(scrimp::expect!(Nhwc::new(1, 2, 3, 1)), [3, 3], [1, 1], [1, 1]));
/// static WEIGHTS: Weights = scrimp::expect!(Weights::s8(&[1; 9], scrimp::expect!(Rows::new(1, 9))));
/// static TABLE: RequantTable<1> = scrimp::expect!(RequantTable::new(&WEIGHTS, Width::W8, &QUANT, &[], &SCALE));
/// static WIDTHS: [(Width, Requant); 1] = [(Width::W8, TABLE.by_ref())];
/// static CONV: Conv2dS8 = scrimp::expect!(Conv2dS8::new(WINDOW, WEIGHTS, &WIDTHS, QUANT));
/// let (mut y, mut scratch) = ([0; 6], [0; CONV.scratch()]);
/// CONV.run(&[0, 1, 2, 3, 4, 5], &mut y, &mut scratch)?;
/// assert_eq!(y, [6, 11, 8, 6, 11, 8]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Conv2dS8<'a> {
    plan: Plan,
    /// The code of 0.
    pad: i8,
    layer: LinearS8<'a>,
}

impl<'a> Conv2dS8<'a> {
    /// A convolution that runs at each width of `widths`, the first one to begin with. The tables are those of
    /// [`Requant::build`].
    ///
    /// # Errors
    /// `Error::Length` if the weights' depth is no multiple of the kernel's taps, or a table has not an entry for each output;
    /// `Error::Config` if groups do not divide the channels or are not in rows, or the input's offset is not that of an i8;
    /// and those of [`LinearS8::new`].
    pub const fn new(
        window: Window2d,
        weights: Weights<'a>,
        widths: &'a [(Width, Requant<'a>)],
        quant: QuantS8,
    ) -> Result<Self, Error> {
        let plan = match Plan::new(window, &weights) {
            Ok(plan) => plan,
            Err(error) => return Err(error),
        };
        let layer = match LinearS8::new(weights, widths, quant) {
            Ok(layer) => layer,
            Err(error) => return Err(error),
        };
        match quant.input_zero_point() {
            Ok(pad) => Ok(Self { plan, pad, layer }),
            Err(error) => Err(error),
        }
    }

    /// Elements of scratch that a run needs.
    #[must_use]
    pub const fn scratch(&self) -> usize {
        self.plan.scratch()
    }

    /// The shape of what comes out.
    ///
    /// # Errors
    /// None: `new` has checked it.
    pub const fn output(&self) -> Result<Nhwc, Error> {
        self.plan.output()
    }

    /// Runs at another width from now on.
    ///
    /// # Errors
    /// `Error::Config` if it has no table for it; the width is then as before.
    pub const fn set_width(&mut self, width: Width) -> Result<(), Error> {
        self.layer.set_width(width)
    }

    /// The width it runs at.
    #[must_use]
    pub const fn width(&self) -> Width {
        self.layer.width()
    }

    /// Runs it; `scratch` is at least [`Conv2dS8::scratch`] long.
    ///
    /// # Errors
    /// `Error::Length` if a slice is not of its shape; `y` is then untouched.
    pub fn run(&self, x: &[i8], y: &mut [i8], scratch: &mut [i8]) -> Result<(), Error> {
        self.run_on(Auto, x, y, scratch)
    }

    /// [`Conv2dS8::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Conv2dS8::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i8], y: &mut [i8], scratch: &mut [i8]) -> Result<(), Error> {
        self.plan.check(x.len(), y.len(), scratch.len())?;
        backend.dispatch(Run { plan: &self.plan, layer: self.layer.layer(), pad: self.pad, x, y, scratch });
        Ok(())
    }
}

/// A convolution of 16-bit pictures, which have no zero points.
///
/// # Accuracy
/// TFLite's bytes on every backend.
///
/// # Example
/// ```
/// use scrimp::bits::{Weights, Width};
/// use scrimp::nn::{Conv2dS16, RequantS16, Window2d};
/// use scrimp::shape::Nhwc;
/// use scrimp::Rows;
/// let window = Window2d::valid(Nhwc::new(1, 1, 4, 1)?, [1, 2], [1, 1], [1, 1])?;
/// let weights = Weights::s8(&[1, -1], Rows::new(1, 2)?)?;
/// let widths = [(Width::W8, RequantS16::new(&[0], &[1 << 30], &[1])?)]; // 1
/// let conv = Conv2dS16::new(window, weights, &widths, i16::MIN, i16::MAX)?;
/// let mut y = [0; 3];
/// conv.run(&[100, 300, 600, 1000], &mut y, &mut [])?;
/// assert_eq!(y, [-200, -300, -400]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Conv2dS16<'a> {
    plan: Plan,
    layer: LinearS16<'a>,
}

impl<'a> Conv2dS16<'a> {
    /// A convolution that runs at each width of `widths`, the first one to begin with; outputs are at least `min`, at most
    /// `max`.
    ///
    /// # Errors
    /// As [`Conv2dS8::new`], with those of [`LinearS16::new`].
    pub const fn new(
        window: Window2d,
        weights: Weights<'a>,
        widths: &'a [(Width, RequantS16<'a>)],
        min: i16,
        max: i16,
    ) -> Result<Self, Error> {
        let plan = match Plan::new(window, &weights) {
            Ok(plan) => plan,
            Err(error) => return Err(error),
        };
        match LinearS16::new(weights, widths, min, max) {
            Ok(layer) => Ok(Self { plan, layer }),
            Err(error) => Err(error),
        }
    }

    /// Elements of scratch that a run needs.
    #[must_use]
    pub const fn scratch(&self) -> usize {
        self.plan.scratch()
    }

    /// The shape of what comes out.
    ///
    /// # Errors
    /// None: `new` has checked it.
    pub const fn output(&self) -> Result<Nhwc, Error> {
        self.plan.output()
    }

    /// Runs it; `scratch` is at least [`Conv2dS16::scratch`] long.
    ///
    /// # Errors
    /// `Error::Length` if a slice is not of its shape; `y` is then untouched.
    pub fn run(&self, x: &[i16], y: &mut [i16], scratch: &mut [i16]) -> Result<(), Error> {
        self.run_on(Auto, x, y, scratch)
    }

    /// [`Conv2dS16::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Conv2dS16::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i16], y: &mut [i16], scratch: &mut [i16]) -> Result<(), Error> {
        self.plan.check(x.len(), y.len(), scratch.len())?;
        if let Some(layer) = self.layer.layer() {
            backend.dispatch(Run { plan: &self.plan, layer: &layer, pad: 0, x, y, scratch });
        }
        Ok(())
    }
}

struct Run<'a, L: RowLayer> {
    plan: &'a Plan,
    layer: &'a L,
    pad: L::Element,
    x: &'a [L::Element],
    y: &'a mut [L::Element],
    scratch: &'a mut [L::Element],
}

impl<L: RowLayer> Kernel for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let Self { plan, layer, pad, x, mut y, scratch } = self;
        let Plan { window, groups, outputs, depth, way } = *plan;
        let (outputs, depth, groups) = (outputs.max(1), depth.max(1), groups.max(1));
        if way == Way::AsTheyLie {
            return layer.rows(b, Rows::of(x, depth), y);
        }
        let input = window.input();
        let [height, width] = window.output_size();
        let (picture, seen) = (input.height() * input.width() * input.channels(), input.channels() / groups);
        let mut pixels = Pixels::of(&window);
        // Output pixels of this picture that are still to come.
        let mut left = height * width;
        let mut pictures = x;
        while !y.is_empty() {
            let mut is_run = false;
            let n = match way {
                Way::AsTheyLie | Way::Whole(_) => width,
                Way::Gathered(patches) => match pixels.ahead() / 2 * 2 {
                    ahead if ahead >= LONG && patches > 1 && groups == 1 && window.is_dense() => {
                        is_run = true;
                        ahead
                    }
                    _ => patches.min(left),
                },
            };
            let Some((now, rest)) = core::mem::take(&mut y).split_at_mut_checked(n * outputs) else { return };
            y = rest;
            if groups > 1 {
                let (row, col) = pixels.next();
                let patch = scratch.get_mut(..depth).unwrap_or(&mut []);
                let n = (outputs / groups).max(1);
                for (group, now) in now.chunks_exact_mut(n).enumerate() {
                    let x = pictures.get(group * seen..).unwrap_or(&[]);
                    gather::<L, B>(b, &window, (&row, &col), x, seen, pad, patch);
                    let Some(part) = layer.part(group * n, n) else { return };
                    part.rows(b, Rows::of(patch, depth), now);
                }
            } else if is_run {
                let (row, col, _) = pixels.run(n);
                let lines = lines(&window, (&row, &col), seen, n);
                let x = pictures.get(window.start(&row, &col)..).unwrap_or(&[]);
                layer.rows(b, Rows::gathered(x, lines.from_patch, lines, scratch), now);
            } else {
                let (patches, step) = match way {
                    Way::Whole(step) => {
                        let row = pixels.next_row();
                        let start = window.start(&row, &window.inside(1, 0));
                        let end = start + width.saturating_sub(1) * step + depth;
                        (pictures.get(start..end).unwrap_or(&[]), step)
                    }
                    Way::AsTheyLie | Way::Gathered(_) => {
                        let mut to = scratch.get_mut(..n * depth).unwrap_or(&mut []);
                        while !to.is_empty() {
                            let (row, col, run) = pixels.run(to.len() / depth);
                            let Some((now, rest)) = to.split_at_mut_checked(run * depth) else { return };
                            gather::<L, B>(b, &window, (&row, &col), pictures, seen, pad, now);
                            to = rest;
                        }
                        (scratch.get(..n * depth).unwrap_or(&[]), depth)
                    }
                };
                layer.rows(b, Rows::of(patches, step), now);
            }
            left = left.saturating_sub(n);
            if left == 0 {
                left = height * width;
                pictures = pictures.get(picture..).unwrap_or(&[]);
            }
        }
    }
}

/// The lines of some patches side by side, of which these taps lie inside.
#[inline(always)]
fn lines(window: &Window2d, (row, col): (&Inside, &Inside), seen: usize, patches: usize) -> Lines {
    let [row_step, _] = window.steps();
    let [height, width] = window.kernel();
    Lines {
        from_step: row_step,
        to_step: width * seen,
        len: col.len() * seen,
        n: row.len(),
        patches,
        from_patch: window.stride()[1].saturating_mul(window.input().channels()),
        to_patch: height * width * seen,
    }
}

/// Copies the `seen` channels of every tap of some patches side by side, `pad` for taps that lie outside.
#[inline(always)]
fn gather<L: RowLayer, B: Backend>(
    b: B,
    window: &Window2d,
    (row, col): (&Inside, &Inside),
    x: &[L::Element],
    seen: usize,
    pad: L::Element,
    to: &mut [L::Element],
) {
    let patch = (window.taps() * seen).max(1);
    let patches = to.len() / patch;
    let lines = lines(window, (row, col), seen, patches);
    if lines.n * lines.len < patch {
        to.fill(pad);
    }
    let first = row.first * lines.to_step + col.first * seen;
    let (Some(x), Some(to)) = (x.get(window.start(row, col)..), to.get_mut(first..)) else { return };
    if window.is_dense() && seen == window.input().channels() {
        return L::copy_lines(b, lines, x, to);
    }
    // Tap by tap: a line is then a patch.
    let [_, col_step] = window.steps();
    let taps = Lines {
        from_step: col_step,
        to_step: seen,
        len: seen,
        n: col.len(),
        patches: row.len(),
        from_patch: lines.from_step,
        to_patch: lines.to_step,
    };
    for k in 0..patches {
        let (Some(x), Some(to)) = (x.get(k * lines.from_patch..), to.get_mut(k * patch..)) else { return };
        L::copy_lines(b, taps, x, to);
    }
}
