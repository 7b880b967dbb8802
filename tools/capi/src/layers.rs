//! Fully connected layers, with TFLite's bytes.

use scrimp::Rows;
use scrimp::bits::{Weights, Width};
use scrimp::fixedpoint::{Multiplier, Rounding};
use scrimp::nn::{LinearS8, QuantS8, Requant};

use crate::{Status, shared, slice, slice_mut};

/// What is common to all outputs of an 8-bit layer, in the terms of CMSIS-NN: offsets of the input and the filter are zero
/// points with the sign turned over, the output's is its zero point.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Params {
    /// Minus the input's zero point, -255 to 255.
    pub input_offset: i32,
    /// Minus the weights' zero point, -255 to 255; 0 for convolutions.
    pub filter_offset: i32,
    /// The output's zero point.
    pub output_offset: i32,
    /// The least output: `output_offset` for a fused ReLU, -128 for none.
    pub activation_min: i32,
    /// The largest output.
    pub activation_max: i32,
}

/// The tables of a layer, `outputs` elements each, in your memory: `scrimp_..._init` fills them once, runs read them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Tables {
    /// Biases, with the input's zero point folded in.
    pub bias: *mut i32,
    /// Mantissas of the multipliers.
    pub multiplier: *mut i32,
    /// Shifts of the multipliers.
    pub shift: *mut i8,
}

/// Bias and scale of the outputs, as TFLite's tools and CMSIS-NN have them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Scales {
    /// One for each output, or null.
    pub bias: *const i32,
    /// Mantissas in units of 2^-31, `channels` of them.
    pub multiplier: *const i32,
    /// Powers of two, `channels` of them; positive is a left shift.
    pub shift: *const i32,
    /// 1, or as many as outputs.
    pub channels: usize,
}

impl Params {
    pub(crate) fn quant(&self) -> Result<QuantS8, Status> {
        let code = |x: i32| i8::try_from(x).map_err(|_| Status::Parameter);
        Ok(QuantS8 {
            input_offset: self.input_offset,
            filter_offset: self.filter_offset,
            output_offset: self.output_offset,
            min: code(self.activation_min)?,
            max: code(self.activation_max)?,
            rounding: Rounding::Double,
        })
    }
}

impl Tables {
    /// What a run reads.
    ///
    /// # Safety
    /// All three are `outputs` elements, filled.
    pub(crate) unsafe fn read<'a>(&self, outputs: usize) -> Result<Requant<'a>, Status> {
        // SAFETY: as this function's.
        let bias = unsafe { slice(self.bias.cast_const(), outputs) }?;
        // SAFETY: as this function's.
        let multiplier = unsafe { slice(self.multiplier.cast_const(), outputs) }?;
        // SAFETY: as this function's.
        let shift = unsafe { slice(self.shift.cast_const(), outputs) }?;
        Ok(Requant::new(bias, multiplier, shift)?)
    }
}

/// Which weights tables are for.
pub(crate) enum Kind<'a> {
    /// A row an output.
    Rows(&'a Weights<'a>),
    /// `[tap][output]`.
    Depthwise(&'a [i8]),
}

/// Fills tables, or leaves them alone.
///
/// # Safety
/// Every pointer of `scales` and `tables` is null or as many elements as its documentation says, all apart.
pub(crate) unsafe fn fill(
    kind: &Kind<'_>,
    outputs: usize,
    quant: &QuantS8,
    scales: &Scales,
    tables: &Tables,
) -> Result<(), Status> {
    let Scales { channels, .. } = *scales;
    if channels != 1 && channels != outputs {
        return Err(Status::Size);
    }
    // SAFETY: as this function's.
    let mantissas = unsafe { slice(scales.multiplier, channels) }?;
    // SAFETY: as this function's.
    let shifts = unsafe { slice(scales.shift, channels) }?;
    // SAFETY: as this function's.
    let bias = unsafe { slice(scales.bias, if scales.bias.is_null() { 0 } else { outputs }) }?;
    // SAFETY: as this function's.
    let folded = unsafe { slice_mut(tables.bias, outputs) }?;
    // SAFETY: as this function's.
    let mantissa = unsafe { slice_mut(tables.multiplier, outputs) }?;
    // SAFETY: as this function's.
    let shift = unsafe { slice_mut(tables.shift, outputs) }?;
    // What `Requant::new` will ask of each, before anything is written.
    for (&mantissa, &shift) in mantissas.iter().zip(shifts) {
        let shift = i8::try_from(shift).map_err(|_| Status::Parameter)?;
        Requant::new(&[0], &[mantissa], &[shift])?;
    }
    let plain = [Multiplier::ZERO];
    let to = (&mut *folded, &mut *mantissa, &mut *shift);
    match kind {
        Kind::Rows(weights) => Requant::build(to, weights, Width::W8, quant, bias, &plain)?,
        Kind::Depthwise(weights) => Requant::build_depthwise(to, weights, quant, bias, &plain)?,
    };
    let of = mantissas.iter().zip(shifts).cycle();
    for ((mantissa, shift), (&m, &s)) in mantissa.iter_mut().zip(shift).zip(of) {
        *mantissa = m;
        *shift = s as i8;
    }
    Ok(())
}

/// Fills the tables of a fully connected layer of `inputs` inputs and `outputs` outputs.
///
/// # Safety
/// Every pointer is to what its type and documentation say; `weights` are `outputs * inputs`, all inputs of an output side by side.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scrimp_fully_connected_s8_init(
    params: *const Params,
    scales: *const Scales,
    weights: *const i8,
    inputs: usize,
    outputs: usize,
    tables: *const Tables,
) -> Status {
    let run = || -> Result<(), Status> {
        let shape = Rows::new(outputs, inputs)?;
        // SAFETY: as this function's.
        let quant = unsafe { shared(params) }?.quant()?;
        // SAFETY: as this function's.
        let scales = unsafe { shared(scales) }?;
        // SAFETY: as this function's.
        let tables = unsafe { shared(tables) }?;
        // SAFETY: as this function's.
        let weights = Weights::s8(unsafe { slice(weights, shape.elements()) }?, shape)?;
        // SAFETY: as this function's.
        unsafe { fill(&Kind::Rows(&weights), outputs, &quant, scales, tables) }
    };
    run().into()
}

/// Runs a fully connected layer on `batches` rows of inputs: the bytes of `arm_fully_connected_s8` and
/// `arm_fully_connected_per_channel_s8`.
///
/// # Safety
/// As `scrimp_fully_connected_s8_init`, which has filled the tables; `input` is `batches * inputs` elements, `output`
/// `batches * outputs`, apart from all else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scrimp_fully_connected_s8(
    params: *const Params,
    tables: *const Tables,
    weights: *const i8,
    inputs: usize,
    outputs: usize,
    input: *const i8,
    batches: usize,
    output: *mut i8,
) -> Status {
    let run = || -> Result<(), Status> {
        let shape = Rows::new(outputs, inputs)?;
        let (given, taken) = (Rows::new(batches, inputs)?, Rows::new(batches, outputs)?);
        // SAFETY: as this function's.
        let quant = unsafe { shared(params) }?.quant()?;
        // SAFETY: as this function's.
        let tables = unsafe { shared(tables) }?;
        // SAFETY: as this function's.
        let requant = unsafe { tables.read(outputs) }?;
        // SAFETY: as this function's.
        let weights = Weights::s8(unsafe { slice(weights, shape.elements()) }?, shape)?;
        let widths = [(Width::W8, requant)];
        let layer = LinearS8::new(weights, &widths, quant)?;
        // SAFETY: as this function's.
        let x = unsafe { slice(input, given.elements()) }?;
        // SAFETY: as this function's.
        let y = unsafe { slice_mut(output, taken.elements()) }?;
        Ok(layer.run(x, y, batches)?)
    };
    run().into()
}
