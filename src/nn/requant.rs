//! From the sums of a layer to its outputs: bias, multiplier and shift of each output, at one width.

use super::activation::Activation;
use crate::backend::{LayerS8, OutputsS8};
use crate::bits::{Weights, Width};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::{Multiplier, Quantization, Rounding};

/// The largest output offset of the fast loops: at a shift of -22 they keep it in the same 32 bits as the sum.
const PLAIN_OFFSET: u32 = 255;

/// Most inputs of a layer. From 32,768 on a sum of products with zero points can wrap around at 32 bits; TFLite's does too.
pub(super) const MOST_DEPTH: usize = 1 << 20;

/// What is common to all outputs of an 8-bit layer. Offsets are TFLite's: the input's and the filter's are their zero
/// points with the sign turned over, the output's is its zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct QuantS8 {
    /// Added to every input, -255 to 255.
    pub input_offset: i32,
    /// Added to every weight, -255 to 255.
    pub filter_offset: i32,
    /// Added to every output before the clamp, whatever it is; the sum saturates. Beyond -255 to 255 only the slow loops hold.
    pub output_offset: i32,
    /// The least output: `output_offset` for a fused ReLU.
    pub min: i8,
    /// The largest output.
    pub max: i8,
    /// TFLite's default is twice.
    pub rounding: Rounding,
}

impl QuantS8 {
    /// No offsets, no clamp but that of the type.
    pub const PLAIN: Self = Self {
        input_offset: 0,
        filter_offset: 0,
        output_offset: 0,
        min: i8::MIN,
        max: i8::MAX,
        rounding: Rounding::Double,
    };

    /// For an input and an output that are quantized so, and an activation; the weights' zero point is 0, as those of
    /// convolutions always are.
    ///
    /// # Errors
    /// `Error::Config` unless both have a positive, finite scale and a zero point of 8 bits.
    ///
    /// # Example
    /// See [`Conv2dS8`](super::Conv2dS8).
    pub const fn new(input: Quantization, output: Quantization, activation: Activation) -> Result<Self, Error> {
        if !input.has_usable_scale() || !output.has_usable_scale() {
            return Err(Error::Config { what: Rule::Scale });
        }
        if !input.fits_s8() || !output.fits_s8() {
            return Err(Error::Config { what: Rule::ZeroPoint });
        }
        let (min, max) = activation.range_s8(output);
        Ok(Self {
            input_offset: -input.zero_point,
            filter_offset: 0,
            output_offset: output.zero_point,
            min,
            max,
            rounding: Rounding::Double,
        })
    }

    /// The input's zero point, where it has to be a code.
    pub(super) const fn input_zero_point(&self) -> Result<i8, Error> {
        if self.input_offset < -(i8::MAX as i32) || self.input_offset > -(i8::MIN as i32) {
            return Err(Error::Config { what: Rule::ZeroPoint });
        }
        Ok(-self.input_offset as i8)
    }

    pub(super) const fn check(&self) -> Result<(), Error> {
        let input = self.input_offset >= -255 && self.input_offset <= 255;
        let filter = self.filter_offset >= -255 && self.filter_offset <= 255;
        if !(input && filter) {
            return Err(Error::Config { what: Rule::ZeroPoint });
        }
        if self.min > self.max {
            return Err(Error::Config { what: Rule::OutputRange });
        }
        Ok(())
    }
}

impl Default for QuantS8 {
    fn default() -> Self {
        Self::PLAIN
    }
}

/// Bias, multiplier and shift of each output at one width: 9 bytes an output.
///
/// The bias has the input's zero point folded in, which needs the sum of the weights at that width; [`Requant::build`] does
/// it. A multiplier may be negative, for a channel whose weights are stored with the sign turned over. Per-width refits
/// (`<W, q> / <q, q>`) and bias corrections are other numbers in the table of their width.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Requant<'a> {
    pub(super) bias: &'a [i32],
    pub(super) mantissa: &'a [i32],
    pub(super) shift: &'a [i8],
}

impl<'a> Requant<'a> {
    /// From tables that are ready: `y = (sum + bias) * mantissa / 2^31 * 2^shift`, a positive shift to the left.
    ///
    /// # Errors
    /// `Error::Length` unless all are of one length, `Error::Config` if a shift is not -31 to 30 or a mantissa is `i32::MIN`.
    pub const fn new(bias: &'a [i32], mantissa: &'a [i32], shift: &'a [i8]) -> Result<Self, Error> {
        if let Err(error) = length(Arg::Multiplier, bias.len(), mantissa.len()) {
            return Err(error);
        }
        if let Err(error) = length(Arg::Shift, bias.len(), shift.len()) {
            return Err(error);
        }
        let mut i = 0;
        while i < mantissa.len() && i < shift.len() {
            if !is_usable(mantissa[i], shift[i] as i32) {
                return Err(Error::Config { what: Rule::Scale });
            }
            i += 1;
        }
        Ok(Self { bias, mantissa, shift })
    }

    /// Fills the tables for `weights` at `width`, from TFLite's bias (none if it is empty) and multipliers, one for all
    /// outputs or one for each.
    ///
    /// # Errors
    /// `Error::Length` unless the tables (and `bias`) have an entry for each output, and `multipliers` too or one;
    /// `Error::Config` if the weights have no such width, or a multiplier or offset is not usable. The tables are then
    /// untouched.
    pub const fn build(
        tables: (&'a mut [i32], &'a mut [i32], &'a mut [i8]),
        weights: &Weights<'_>,
        width: Width,
        quant: &QuantS8,
        bias: &[i32],
        multipliers: &[Multiplier],
    ) -> Result<Self, Error> {
        let (folded, mantissa, shift) = tables;
        let outputs = weights.shape().rows();
        if let Err(error) = check_tables(outputs, folded.len(), mantissa.len(), shift.len()) {
            return Err(error);
        }
        if !bias.is_empty()
            && let Err(error) = length(Arg::Bias, outputs, bias.len())
        {
            return Err(error);
        }
        if let Err(error) = quant.check() {
            return Err(error);
        }
        if let Err(error) = check_multipliers(outputs, multipliers) {
            return Err(error);
        }
        if !weights.has(width) {
            return Err(Error::Config { what: Rule::BitWidth });
        }
        let depth = weights.shape().cols() as i32;
        let constant = depth.wrapping_mul(quant.input_offset).wrapping_mul(quant.filter_offset);
        let mut o = 0;
        while o < folded.len() && o < mantissa.len() && o < shift.len() {
            let of_sum =
                if quant.input_offset == 0 { 0 } else { quant.input_offset.wrapping_mul(weights.sum(width, o)) };
            let bias = if o < bias.len() { bias[o] } else { 0 };
            folded[o] = bias.wrapping_add(of_sum).wrapping_add(constant);
            let Multiplier { mantissa: m, shift: s } = multiplier_of(multipliers, o);
            mantissa[o] = m;
            shift[o] = s as i8;
            o += 1;
        }
        Self::new(folded, mantissa, shift)
    }

    /// The same for the weights of a [`DepthwiseConv2dS8`](super::DepthwiseConv2dS8), `[tap][output]`.
    ///
    /// # Errors
    /// As [`Requant::build`], and `Error::Length` unless the weights are a multiple of the outputs; `Error::Config` if the
    /// filter has an offset.
    pub const fn build_depthwise(
        tables: (&'a mut [i32], &'a mut [i32], &'a mut [i8]),
        weights: &[i8],
        quant: &QuantS8,
        bias: &[i32],
        multipliers: &[Multiplier],
    ) -> Result<Self, Error> {
        let (folded, mantissa, shift) = tables;
        let outputs = folded.len();
        if outputs == 0 {
            return Err(Error::Empty { what: Arg::Bias });
        }
        if let Err(error) = check_tables(outputs, folded.len(), mantissa.len(), shift.len()) {
            return Err(error);
        }
        let taps = weights.len() / outputs;
        if let Err(error) = length(Arg::Weights, taps * outputs, weights.len()) {
            return Err(error);
        }
        if !bias.is_empty()
            && let Err(error) = length(Arg::Bias, outputs, bias.len())
        {
            return Err(error);
        }
        if let Err(error) = quant.check() {
            return Err(error);
        }
        if quant.filter_offset != 0 {
            return Err(Error::Config { what: Rule::ZeroPoint });
        }
        if let Err(error) = check_multipliers(outputs, multipliers) {
            return Err(error);
        }
        let mut o = 0;
        while o < folded.len() && o < mantissa.len() && o < shift.len() {
            let (mut sum, mut at) = (0i32, o);
            while at < weights.len() {
                sum = sum.wrapping_add(weights[at] as i32);
                at += outputs;
            }
            let bias = if o < bias.len() { bias[o] } else { 0 };
            folded[o] = bias.wrapping_add(quant.input_offset.wrapping_mul(sum));
            let Multiplier { mantissa: m, shift: s } = multiplier_of(multipliers, o);
            mantissa[o] = m;
            shift[o] = s as i8;
            o += 1;
        }
        Self::new(folded, mantissa, shift)
    }

    /// Outputs that it has entries for.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Whether the fast loops hold for it.
    pub(super) const fn is_plain(&self, depth: usize, quant: &QuantS8) -> bool {
        let weight = 128 + quant.filter_offset.unsigned_abs() as usize;
        let most = depth.saturating_mul(128).saturating_mul(weight);
        let mut i = 0;
        while i < self.bias.len() && i < self.shift.len() {
            let sum = most.saturating_add(self.bias[i].unsigned_abs() as usize);
            if sum >= 1 << 30 || self.shift[i] > -1 || self.shift[i] < -22 {
                return false;
            }
            i += 1;
        }
        matches!(quant.rounding, Rounding::Double) && quant.output_offset.unsigned_abs() <= PLAIN_OFFSET
    }

    #[inline(always)]
    pub(super) const fn outputs_s8(&self, quant: &QuantS8, is_plain: bool) -> OutputsS8<'a> {
        OutputsS8 {
            bias: self.bias,
            mantissa: self.mantissa,
            shift: self.shift,
            offset: quant.output_offset,
            min: quant.min,
            max: quant.max,
            rounding: quant.rounding,
            is_plain,
        }
    }
}

/// [`Requant`] with its tables inside: for weights that are known when the program is built, it then lives in flash.
///
/// # Example
/// ```
/// use scrimp::Rows;
/// use scrimp::bits::{Weights, Width};
/// use scrimp::fixedpoint::Multiplier;
/// use scrimp::nn::{LinearS8, QuantS8, Requant, RequantTable};
/// static WEIGHTS: Weights = scrimp::expect!(Weights::raw8(&[100, -3, 8, 127], scrimp::expect!(Rows::new(2, 2))));
/// const QUANT: QuantS8 = QuantS8 { input_offset: 5, ..QuantS8::PLAIN };
/// const SCALE: [Multiplier; 1] = [Multiplier { mantissa: 1 << 30, shift: -6 }]; // 1/128
/// static AT_8: RequantTable<2> = scrimp::expect!(RequantTable::new(&WEIGHTS, Width::W8, &QUANT, &[], &SCALE));
/// static AT_4: RequantTable<2> = scrimp::expect!(RequantTable::new(&WEIGHTS, Width::W4, &QUANT, &[], &SCALE));
/// static WIDTHS: [(Width, Requant); 2] = [(Width::W8, AT_8.by_ref()), (Width::W4, AT_4.by_ref())];
/// static LAYER: LinearS8 = scrimp::expect!(LinearS8::new(WEIGHTS, &WIDTHS, QUANT));
/// let mut y = [0; 2];
/// LAYER.run(&[10, 20], &mut y, 1)?;
/// assert_eq!(y, [11, 26]);
/// LAYER.with_width(Width::W4)?.run(&[10, 20], &mut y, 1)?;
/// assert_eq!(y, [11, 24]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequantTable<const N: usize> {
    bias: [i32; N],
    mantissa: [i32; N],
    shift: [i8; N],
}

impl<const N: usize> RequantTable<N> {
    /// As [`Requant::build`].
    ///
    /// # Errors
    /// As [`Requant::build`].
    pub const fn new(
        weights: &Weights<'_>,
        width: Width,
        quant: &QuantS8,
        bias: &[i32],
        multipliers: &[Multiplier],
    ) -> Result<Self, Error> {
        let mut table = Self { bias: [0; N], mantissa: [0; N], shift: [0; N] };
        let tables = (table.bias.as_mut_slice(), table.mantissa.as_mut_slice(), table.shift.as_mut_slice());
        match Requant::build(tables, weights, width, quant, bias, multipliers) {
            Ok(_) => Ok(table),
            Err(error) => Err(error),
        }
    }

    /// As [`Requant::build_depthwise`].
    ///
    /// # Errors
    /// As [`Requant::build_depthwise`].
    pub const fn depthwise(
        weights: &[i8],
        quant: &QuantS8,
        bias: &[i32],
        multipliers: &[Multiplier],
    ) -> Result<Self, Error> {
        let mut table = Self { bias: [0; N], mantissa: [0; N], shift: [0; N] };
        let tables = (table.bias.as_mut_slice(), table.mantissa.as_mut_slice(), table.shift.as_mut_slice());
        match Requant::build_depthwise(tables, weights, quant, bias, multipliers) {
            Ok(_) => Ok(table),
            Err(error) => Err(error),
        }
    }

    /// The same with the tables borrowed.
    #[must_use]
    pub const fn by_ref(&self) -> Requant<'_> {
        Requant { bias: &self.bias, mantissa: &self.mantissa, shift: &self.shift }
    }
}

const fn check_tables(outputs: usize, bias: usize, mantissa: usize, shift: usize) -> Result<(), Error> {
    if let Err(error) = length(Arg::Bias, outputs, bias) {
        return Err(error);
    }
    if let Err(error) = length(Arg::Multiplier, outputs, mantissa) {
        return Err(error);
    }
    length(Arg::Shift, outputs, shift)
}

const fn check_multipliers(outputs: usize, multipliers: &[Multiplier]) -> Result<(), Error> {
    if multipliers.len() != 1
        && let Err(error) = length(Arg::Multiplier, outputs, multipliers.len())
    {
        return Err(error);
    }
    let mut i = 0;
    while i < multipliers.len() {
        if !is_usable(multipliers[i].mantissa, multipliers[i].shift) {
            return Err(Error::Config { what: Rule::Scale });
        }
        i += 1;
    }
    Ok(())
}

pub(super) const fn is_usable(mantissa: i32, shift: i32) -> bool {
    mantissa != i32::MIN && shift >= -31 && shift <= 30
}

const fn multiplier_of(multipliers: &[Multiplier], o: usize) -> Multiplier {
    if o < multipliers.len() {
        multipliers[o]
    } else if !multipliers.is_empty() {
        multipliers[0]
    } else {
        Multiplier { mantissa: 0, shift: 0 }
    }
}

/// The layer as a backend takes it.
#[inline(always)]
pub(super) const fn layer<'a>(
    weights: &Weights<'a>,
    width: Width,
    requant: &Requant<'a>,
    quant: &QuantS8,
    is_plain: bool,
) -> Option<LayerS8<'a>> {
    match weights.codes(width) {
        Some(codes) => LayerS8::new(codes, quant.filter_offset, requant.outputs_s8(quant, is_plain)),
        None => None,
    }
}
