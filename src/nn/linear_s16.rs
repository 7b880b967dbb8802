//! Fully connected layer on 16-bit activations, with weights that are read at any of their widths.

use super::element::RowLayer;
use super::requant::is_usable;
use crate::backend::{Auto, Backend, BiasS16, Dispatch, Kernel, LayerS16, OutputsS16, Rows};
use crate::bits::{Weights, Width};
use crate::error::{Arg, Error, Rule, length};

/// Most inputs: a sum stays within 47 bits.
const MOST_DEPTH: usize = 1 << 20;

/// Bias, multiplier and shift of each output at one width, for 16-bit activations.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequantS16<'a> {
    pub(super) bias: BiasS16<'a>,
    pub(super) mantissa: &'a [i32],
    pub(super) shift: &'a [i8],
}

impl<'a> RequantS16<'a> {
    /// `y = (sum + bias) * mantissa / 2^31 * 2^shift`, a positive shift to the left; sums of 64 bits, the mantissa rounded to
    /// 16 bits ([`requantize_s64`](crate::fixedpoint::requantize_s64)): TFLite's rule where the bias is int64 or absent.
    ///
    /// # Errors
    /// `Error::Length` unless all are of one length; `Error::Config` if a shift is not -31 to 14, a mantissa is `i32::MIN`,
    /// or a bias beyond 2^46.
    pub const fn new(bias: &'a [i64], mantissa: &'a [i32], shift: &'a [i8]) -> Result<Self, Error> {
        if let Err(error) = check(bias.len(), mantissa, shift, 14) {
            return Err(error);
        }
        let mut i = 0;
        while i < bias.len() {
            if bias[i].unsigned_abs() > 1 << 46 {
                return Err(Error::Config { what: Rule::Scale });
            }
            i += 1;
        }
        Ok(Self { bias: BiasS16::Wide(bias), mantissa, shift })
    }

    /// The same with sums of 32 bits that wrap around, and all bits of the mantissa
    /// ([`requantize`](crate::fixedpoint::requantize), two roundings): TFLM's rule where the bias is int32.
    ///
    /// # Errors
    /// `Error::Length` unless all are of one length; `Error::Config` if a shift is not -31 to 30 or a mantissa is `i32::MIN`.
    pub const fn narrow(bias: &'a [i32], mantissa: &'a [i32], shift: &'a [i8]) -> Result<Self, Error> {
        match check(bias.len(), mantissa, shift, 30) {
            Ok(()) => Ok(Self { bias: BiasS16::Narrow(bias), mantissa, shift }),
            Err(error) => Err(error),
        }
    }

    /// Outputs that it has entries for.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.mantissa.len()
    }

    #[inline(always)]
    pub(super) const fn outputs_s16(&self, min: i16, max: i16) -> OutputsS16<'a> {
        OutputsS16 { bias: self.bias, mantissa: self.mantissa, shift: self.shift, min, max }
    }
}

const fn check(outputs: usize, mantissa: &[i32], shift: &[i8], most: i8) -> Result<(), Error> {
    if let Err(error) = length(Arg::Multiplier, outputs, mantissa.len()) {
        return Err(error);
    }
    if let Err(error) = length(Arg::Shift, outputs, shift.len()) {
        return Err(error);
    }
    let mut i = 0;
    while i < mantissa.len() && i < shift.len() {
        if !is_usable(mantissa[i], shift[i] as i32) || shift[i] > most {
            return Err(Error::Config { what: Rule::Scale });
        }
        i += 1;
    }
    Ok(())
}

/// A fully connected layer on i16: `y[r][o] = clamp(m[o] (bias[o] + Σ_i x[r][i] w[o][i]))`, without zero points, as 16-bit
/// tensors have none.
///
/// # Accuracy
/// The bytes of TFLite and CMSIS-NN (`arm_fully_connected_s16`), on every backend: exact sums in 64 bits, a multiplier of
/// 16 bits, one rounding.
///
/// # Example
/// ```
/// use scrimp::Rows;
/// use scrimp::bits::{Weights, Width};
/// use scrimp::nn::{LinearS16, RequantS16};
/// let weights = Weights::raw8(&[100, -3], Rows::new(1, 2)?)?;
/// let requant = RequantS16::new(&[7], &[1 << 30], &[-6])?; // 1/128
/// let widths = [(Width::W8, requant), (Width::W4, requant)];
/// let layer = LinearS16::new(weights, &widths, i16::MIN, i16::MAX)?;
/// let mut y = [0];
/// layer.run(&[1000, 2000], &mut y, 1)?;
/// assert_eq!(y, [734]);
/// layer.with_width(Width::W4)?.run(&[1000, 2000], &mut y, 1)?;
/// assert_eq!(y, [750]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LinearS16<'a> {
    weights: Weights<'a>,
    widths: &'a [(Width, RequantS16<'a>)],
    min: i16,
    max: i16,
    width: Width,
    requant: RequantS16<'a>,
}

impl<'a> LinearS16<'a> {
    /// A layer that runs at each width of `widths`, the first one to begin with; outputs are at least `min`, at most `max`.
    ///
    /// # Errors
    /// `Error::Empty` without a width; `Error::TooLarge` beyond 2^20 inputs; `Error::Length` if a table has not an entry for
    /// each output; `Error::Config` if the weights lack a width or `min > max`.
    pub const fn new(
        weights: Weights<'a>,
        widths: &'a [(Width, RequantS16<'a>)],
        min: i16,
        max: i16,
    ) -> Result<Self, Error> {
        if min > max {
            return Err(Error::Config { what: Rule::OutputRange });
        }
        let shape = weights.shape();
        if shape.cols() > MOST_DEPTH {
            return Err(Error::TooLarge { what: Arg::Depth, max: MOST_DEPTH, got: shape.cols() });
        }
        let mut i = 0;
        while i < widths.len() {
            if !weights.has(widths[i].0) {
                return Err(Error::Config { what: Rule::BitWidth });
            }
            if let Err(error) = length(Arg::Multiplier, shape.rows(), widths[i].1.outputs()) {
                return Err(error);
            }
            i += 1;
        }
        match widths {
            [(width, requant), ..] => Ok(Self { weights, widths, min, max, width: *width, requant: *requant }),
            [] => Err(Error::Empty { what: Arg::Multiplier }),
        }
    }

    /// The width it runs at.
    #[must_use]
    pub const fn width(&self) -> Width {
        self.width
    }

    /// The layer at its width as a backend takes it ([`DotRows`]); `None` never happens after `new`.
    pub(super) const fn layer(&self) -> Option<LayerS16<'a>> {
        match self.weights.codes(self.width) {
            Some(codes) => Some(LayerS16 { codes, outputs: self.requant.outputs_s16(self.min, self.max) }),
            None => None,
        }
    }

    /// The layer at another width: nothing is copied or computed.
    ///
    /// # Errors
    /// `Error::Config` if it has no table for it.
    pub const fn with_width(mut self, width: Width) -> Result<Self, Error> {
        let mut i = 0;
        while i < self.widths.len() {
            if self.widths[i].0.bits() == width.bits() {
                self.width = width;
                self.requant = self.widths[i].1;
                return Ok(self);
            }
            i += 1;
        }
        Err(Error::Config { what: Rule::BitWidth })
    }

    /// Runs the layer on `rows` rows of `x`.
    ///
    /// # Errors
    /// `Error::Length` if `x` is not `rows x inputs` or `y` not `rows x outputs`; `y` is then untouched.
    #[inline]
    pub fn run(&self, x: &[i16], y: &mut [i16], rows: usize) -> Result<(), Error> {
        self.run_on(Auto, x, y, rows)
    }

    /// [`LinearS16::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`LinearS16::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i16], y: &mut [i16], rows: usize) -> Result<(), Error> {
        let shape = self.weights.shape();
        length(Arg::X, rows.saturating_mul(shape.cols()), x.len())?;
        length(Arg::Y, rows.saturating_mul(shape.rows()), y.len())?;
        if let Some(layer) = self.layer() {
            backend.dispatch(Run { layer, x, y });
        }
        Ok(())
    }
}

struct Run<'a> {
    layer: LayerS16<'a>,
    x: &'a [i16],
    y: &'a mut [i16],
}

impl Kernel for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        self.layer.rows(b, Rows::of(self.x, self.layer.codes.depth()), self.y);
    }
}
