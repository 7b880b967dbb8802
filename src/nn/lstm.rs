//! A long short-term memory (Hochreiter and Schmidhuber 1997) on i8, with a cell state of i16, as TFLite Micro computes it.
//!
//! For each step, with `P` and `R` products that are each requantized to i16 in units of 2^-12 before they are added, and every
//! sum saturated to its type:
//! ```text
//! i, f, o = logistic(P x + R h)      g = tanh(P x + R h)
//! c = clip(f c + i g)                y = h = o tanh(c)
//! ```
//! Hidden and cell state are the caller's: they go on from call to call until the caller resets them.

use zerocopy::{FromBytes, IntoBytes};

use super::folded::FoldedS8;
use super::requant::is_usable;
use crate::backend::{Auto, Backend, Dispatch, Kernel};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::{Multiplier, SigmoidS16};

/// The weights of one gate: the product with the input and that with the hidden state, both in units of 2^-12.
#[derive(Clone, Copy, Debug)]
pub struct LstmGate<'a> {
    /// `[units][inputs]`, the gate's bias and the input's zero point in its bias.
    pub input: FoldedS8<'a>,
    /// `[units][units]`, the hidden state's zero point in its bias.
    pub recurrent: FoldedS8<'a>,
}

/// The four gates, in TFLite's order.
#[derive(Clone, Copy, Debug)]
pub struct LstmGates<'a> {
    /// What of the new goes into the cell.
    pub input: LstmGate<'a>,
    /// What of the cell stays.
    pub forget: LstmGate<'a>,
    /// The new.
    pub cell: LstmGate<'a>,
    /// What of the cell is shown.
    pub output: LstmGate<'a>,
}

/// Units of an LSTM's states.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LstmQuant {
    /// The cell's scale: a power of two (the nearest one is taken), 2^-30 to 1.
    pub cell_scale: f32,
    /// The cell is kept within plus and minus this; 0 for no clip.
    pub cell_clip: f32,
    /// The hidden state's scale.
    pub hidden_scale: f32,
    /// The hidden state's zero point, -128 to 127.
    pub hidden_zero_point: i32,
}

/// Which axes of `x` and `y` are the sequences and which the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LstmShape {
    /// Sequences.
    pub batch: usize,
    /// Steps of each.
    pub steps: usize,
    /// Whether `x` is `[steps][batch][inputs]`, and not `[batch][steps][inputs]`.
    pub time_major: bool,
}

/// What an LSTM remembers from step to step, a row for each sequence.
#[derive(Debug)]
pub struct LstmState<'a> {
    /// `[batch][units]`, at its zero point to begin with.
    pub hidden: &'a mut [i8],
    /// `[batch][units]`, 0 to begin with.
    pub cell: &'a mut [i16],
}

/// An LSTM layer: TFLite's `UNIDIRECTIONAL_SEQUENCE_LSTM` without peepholes, projection and layer normalization.
///
/// # Accuracy
/// The bytes of TFLite Micro's reference, on every backend. (With CMSIS-NN, TFLite Micro forgets both states between calls;
/// LiteRT's integer LSTM is another algorithm.)
///
/// # Example
/// One unit that sees one input:
/// ```
/// use scrimp::Rows;
/// use scrimp::bits::Weights;
/// use scrimp::fixedpoint::Multiplier;
/// use scrimp::nn::{FoldedS8, LstmGate, LstmGates, LstmQuant, LstmS8, LstmShape, LstmState};
/// let one = Weights::s8(&[100], Rows::new(1, 1)?)?;
/// let product = FoldedS8::new(one, &[0], Multiplier { mantissa: 1 << 30, shift: 1 })?;
/// let gate = LstmGate { input: product, recurrent: product };
/// let gates = LstmGates { input: gate, forget: gate, cell: gate, output: gate };
/// let quant =
///     LstmQuant { cell_scale: 1.0 / 2048.0, cell_clip: 10.0, hidden_scale: 1.0 / 128.0, hidden_zero_point: 0 };
/// let layer = LstmS8::new(gates, quant, LstmShape { batch: 1, steps: 2, time_major: false })?;
/// let (mut hidden, mut cell, mut y, mut scratch) = ([0], [0], [0; 2], [0; 2]);
/// layer.run(&[50, 50], &mut LstmState { hidden: &mut hidden, cell: &mut cell }, &mut y, &mut scratch)?;
/// assert_eq!((y, hidden), ([56, 108], [108])); // 0.441, 0.846
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LstmS8<'a> {
    gates: LstmGates<'a>,
    /// The cell's scale as it stands for the argument of tanh.
    curve: SigmoidS16,
    clip: [i16; 2],
    /// From a product of two gates to the cell.
    to_cell: Multiplier,
    /// From a gate and the cell's tanh to the hidden state.
    to_hidden: Multiplier,
    hidden_zero_point: i32,
    shape: LstmShape,
}

impl<'a> LstmS8<'a> {
    /// With its gates and the units of its states.
    ///
    /// # Errors
    /// `Error::Length` if the gates have not one shape; `Error::Empty` without sequences or steps; `Error::Config` if a scale
    /// is not usable, the clip below zero, or the zero point not that of an i8.
    pub const fn new(gates: LstmGates<'a>, quant: LstmQuant, shape: LstmShape) -> Result<Self, Error> {
        let LstmGates { input, forget, cell, output } = gates;
        let [units, inputs] = input.input.shape();
        let all = [&input, &forget, &cell, &output];
        let mut k = 0;
        while k < 4 {
            let ([a, b], [c, d]) = (all[k].input.shape(), all[k].recurrent.shape());
            let pairs = [(a, units), (b, inputs), (c, units), (d, units)];
            let mut i = 0;
            while i < 4 {
                if let Err(error) = length(Arg::Weights, pairs[i].1, pairs[i].0) {
                    return Err(error);
                }
                i += 1;
            }
            k += 1;
        }
        if shape.batch == 0 {
            return Err(Error::Empty { what: Arg::Batch });
        }
        if shape.steps == 0 {
            return Err(Error::Empty { what: Arg::Rows });
        }
        if quant.hidden_zero_point < -128 || quant.hidden_zero_point > 127 {
            return Err(Error::Config { what: Rule::ZeroPoint });
        }
        let scales = (
            power_of_two(quant.cell_scale),
            Multiplier::from_real(PRODUCT / quant.cell_scale as f64),
            Multiplier::from_real(PRODUCT / quant.hidden_scale as f64),
        );
        let (Some(power), Some(to_cell), Some(to_hidden)) = scales else {
            return Err(Error::Config { what: Rule::Scale });
        };
        let Ok(curve) = SigmoidS16::from_power(power) else { return Err(Error::Config { what: Rule::Scale }) };
        let usable = is_usable(to_cell.mantissa, to_cell.shift) && is_usable(to_hidden.mantissa, to_hidden.shift);
        if !usable || quant.cell_clip < 0.0 || quant.cell_clip.is_nan() {
            return Err(Error::Config { what: Rule::Scale });
        }
        // Truncated, and at most the type's.
        let clip = (quant.cell_clip as f64 / quant.cell_scale as f64) as i16;
        Ok(Self {
            gates,
            curve,
            clip: if quant.cell_clip > 0.0 { [clip.wrapping_neg(), clip] } else { [i16::MIN, i16::MAX] },
            to_cell,
            to_hidden,
            hidden_zero_point: quant.hidden_zero_point,
            shape,
        })
    }

    /// Units: the elements of a row of the states and of `y`.
    #[must_use]
    pub const fn units(&self) -> usize {
        self.gates.input.input.shape()[0]
    }

    /// Elements of `scratch`: two a unit.
    #[must_use]
    pub const fn scratch(&self) -> usize {
        self.units().saturating_mul(2)
    }

    /// Runs all steps of all sequences.
    ///
    /// # Errors
    /// `Error::Length` if a slice is not of its shape, or `scratch` shorter than [`LstmS8::scratch`]; nothing is then touched.
    #[inline]
    pub fn run(&self, x: &[i8], state: &mut LstmState<'_>, y: &mut [i8], scratch: &mut [i32]) -> Result<(), Error> {
        self.run_on(Auto, x, state, y, scratch)
    }

    /// [`LstmS8::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`LstmS8::run`].
    pub fn run_on<D: Dispatch>(
        &self,
        backend: D,
        x: &[i8],
        state: &mut LstmState<'_>,
        y: &mut [i8],
        scratch: &mut [i32],
    ) -> Result<(), Error> {
        let LstmShape { batch, steps, .. } = self.shape;
        let [units, inputs] = self.gates.input.input.shape();
        let rows = batch.saturating_mul(steps);
        length(Arg::X, rows.saturating_mul(inputs), x.len())?;
        length(Arg::Y, rows.saturating_mul(units), y.len())?;
        length(Arg::State, batch.saturating_mul(units), state.hidden.len())?;
        length(Arg::State, batch.saturating_mul(units), state.cell.len())?;
        let want = self.scratch();
        let got = scratch.len();
        match scratch.split_at_mut_checked(units) {
            Some((sums, pairs)) if got >= want => {
                backend.dispatch(Sequences { of: self, x, hidden: state.hidden, cell: state.cell, y, sums, pairs });
                Ok(())
            }
            _ => Err(Error::Length { what: Arg::Scratch, want, got }),
        }
    }
}

/// The unit of a product of two gates: 2^-30.
const PRODUCT: f64 = 1.0 / (1u64 << 30) as f64;

/// The exponent of the nearest power of two, in proportion.
const fn power_of_two(scale: f32) -> Option<i32> {
    if !(scale >= f32::MIN_POSITIVE && scale < f32::INFINITY) {
        return None;
    }
    let bits = scale.to_bits();
    // The fraction of the square root of two.
    Some((bits >> 23) as i32 - 127 + ((bits & 0x7F_FFFF) > 0x35_04F3) as i32)
}

struct Sequences<'a> {
    of: &'a LstmS8<'a>,
    x: &'a [i8],
    hidden: &'a mut [i8],
    cell: &'a mut [i16],
    y: &'a mut [i8],
    sums: &'a mut [i32],
    /// Room for two codes of 16 bits a unit.
    pairs: &'a mut [i32],
}

impl Kernel for Sequences<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let Self { of, x, hidden, cell, y, sums, pairs } = self;
        let LstmShape { batch, steps, time_major } = of.shape;
        let [units, inputs] = of.gates.input.input.shape();
        let Ok(codes) = <[i16]>::mut_from_bytes(pairs.as_mut_bytes()) else { return };
        let Some((codes, gate)) = codes.split_at_mut_checked(units) else { return };
        let states = hidden.chunks_exact_mut(units.max(1)).zip(cell.chunks_exact_mut(units.max(1)));
        for (sequence, (hidden, cell)) in states.enumerate() {
            for step in 0..steps {
                let row = if time_major {
                    step.wrapping_mul(batch).wrapping_add(sequence)
                } else {
                    sequence.wrapping_mul(steps).wrapping_add(step)
                };
                let x = x.get(row.wrapping_mul(inputs)..).and_then(|x| x.get(..inputs)).unwrap_or(&[]);
                of.step(b, x, hidden, cell, (sums, codes, gate));
                super::copy(hidden, y.get_mut(row.wrapping_mul(units)..).unwrap_or(&mut []));
            }
        }
    }
}

impl LstmS8<'_> {
    /// One step of one sequence, with room for a sum and for two codes a unit.
    #[inline(always)]
    fn step<B: Backend>(
        &self,
        b: B,
        x: &[i8],
        hidden: &mut [i8],
        cell: &mut [i16],
        (sums, codes, gate): (&mut [i32], &mut [i16], &mut [i16]),
    ) {
        let unit = SigmoidS16::Q3_12;
        codes_of_gate(b, &self.gates.forget, x, hidden, sums, codes);
        b.logistic_s16(codes, unit);
        for (cell, &forget) in cell.iter_mut().zip(codes.iter()) {
            *cell = keep(forget, *cell);
        }
        codes_of_gate(b, &self.gates.input, x, hidden, sums, codes);
        b.logistic_s16(codes, unit);
        super::copy(codes, gate);
        codes_of_gate(b, &self.gates.cell, x, hidden, sums, codes);
        b.tanh_s16(codes, unit);
        products(codes, gate, sums);
        b.requantize_s32(sums, self.to_cell);
        for (cell, &new) in cell.iter_mut().zip(sums.iter()) {
            *cell = cell.saturating_add(saturate(new)).max(self.clip[0]).min(self.clip[1]);
        }
        codes_of_gate(b, &self.gates.output, x, hidden, sums, codes);
        b.logistic_s16(codes, unit);
        super::copy(cell, gate);
        b.tanh_s16(gate, self.curve);
        products(codes, gate, sums);
        b.requantize_s32(sums, self.to_hidden);
        b.saturate_s8(sums, self.hidden_zero_point, hidden);
    }
}

/// The two products of a gate, each saturated to i16, and their sum so too.
#[inline(always)]
fn codes_of_gate<B: Backend>(b: B, gate: &LstmGate<'_>, x: &[i8], hidden: &[i8], sums: &mut [i32], codes: &mut [i16]) {
    gate.input.row(b, x, sums);
    for (code, &sum) in codes.iter_mut().zip(sums.iter()) {
        *code = saturate(sum);
    }
    gate.recurrent.row(b, hidden, sums);
    for (code, &sum) in codes.iter_mut().zip(sums.iter()) {
        *code = code.saturating_add(saturate(sum));
    }
}

/// `sums = a b`.
#[inline(always)]
fn products(a: &[i16], b: &[i16], sums: &mut [i32]) {
    for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
        *sum = i32::from(a).wrapping_mul(b.into());
    }
}

/// `forget cell 2^-15`, both roundings: of 2^-1, half up, and of 2^-14, half away from zero.
#[inline(always)]
fn keep(forget: i16, cell: i16) -> i16 {
    let half = i32::from(forget).wrapping_mul(cell.into()).wrapping_add(1) >> 1;
    saturate((half + (1 << 13) - i32::from(half < 0)) >> 14)
}

#[inline(always)]
fn saturate(x: i32) -> i16 {
    x.max(i16::MIN.into()).min(i16::MAX.into()) as i16
}
