//! AdaLog codes of GELU outputs times the weights of a linear layer, with the bias re-parameterised (Wu et al. 2024, arXiv
//! 2407.12951).
//!
//! ```text
//! codes stand for x' = GELU(x) + delta >= 0      b' = b - delta Σ_j W^_oj
//! y_o = Σ_j T[c_j] w_oj  -  z_o Σ_j T[c_j]  +  b'_o        in units of s s_w[o] / (M 2^F)
//! ```
//! Ours: instead of `delta` the value that `delta` itself is quantized to may be taken off ([`Shift::SelfConsistent`](super::Shift::SelfConsistent)), since most
//! inputs are 0.

use super::adalog::AdaLog;
use super::pack::{Unpacked, packed_len};
use super::product::{most_terms, weights};
use crate::backend::{Auto, Backend, Dispatch, Kernel};
use crate::error::{Arg, Error, Rule, length};
use crate::math::real;
use crate::shape::Rows;

/// Inputs whose weights are looked up at once.
const TILE: usize = 64;

/// A linear layer on packed codes. `N` is `2^bits` or more.
///
/// `codes`: a row of packed codes for each token. `w`: `[output][input]`, i8; `zero_points`: one an output, or one for all.
/// `bias`, `y`: i32 in units of `s s_w[o] / (M 2^F)`, from [`CodeLinear::fold`].
///
/// # Accuracy
/// Exact integers modulo 2^32; the constructor chooses `F` so that sums over `inputs` inputs stay within i32 (the bias is
/// the caller's).
///
/// # Cost
/// A look-up an input and token, a multiply-accumulate an input, output and token, in portable code.
///
/// # Example
/// ```
/// use scrimp::{Rows, quant::{AdaLog, CodeLinear, GELU_SHIFT, Shift, Symbols}};
/// const ADALOG: AdaLog = scrimp::expect!(AdaLog::new(4, 15, 3.0, Symbols::TopIsZero));
/// static LINEAR: CodeLinear = scrimp::expect!(CodeLinear::new(&ADALOG, 4, 8));
/// // Row of weights 5 9 2 14 with zero point 7 and scale 0.02, bias 0.1:
/// let bias = LINEAR.fold(0.1, 0.02, 2, ADALOG.taken_off(GELU_SHIFT, Shift::Paper))?;
/// let mut y = [0];
/// LINEAR.run(&[0xFA, 0x06], &[5, 9, 2, 14], &[7], &[bias], &mut y, Rows::one(4)?)?;
/// let real = f64::from(y[0]) * LINEAR.unit() * 0.02;
/// assert!((real - (0.0932 + 0.02 * (-2.0 * 0.18125 - 5.0 * 0.55 + 7.0 * 3.0))).abs() < 1e-3);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CodeLinear<const N: usize = 16> {
    table: [i16; N],
    bits: u32,
    inputs: usize,
    unit: f64,
}

impl<const N: usize> CodeLinear<N> {
    /// For `inputs` inputs and weights with `|w - zero_point| <= magnitude`.
    ///
    /// # Errors
    /// `Error::TooLarge` if no number of fraction bits keeps sums within i32, `Error::Config` if the symbols do not fit the bits,
    /// `Error::Length` if `N` is below `2^bits`, `Error::Empty` for no inputs.
    pub const fn new(adalog: &AdaLog, inputs: usize, magnitude: u8) -> Result<Self, Error> {
        if inputs == 0 {
            return Err(Error::Empty { what: Arg::Cols });
        }
        let mut fraction_bits = adalog.fraction_bits();
        while inputs > most_terms(adalog.weight(0, fraction_bits), magnitude as u32) {
            if fraction_bits == 0 {
                let max = most_terms(adalog.weight(0, 0), magnitude as u32);
                return Err(Error::TooLarge { what: Arg::Cols, max, got: inputs });
            }
            fraction_bits -= 1;
        }
        let table = match weights(adalog, fraction_bits) {
            Ok(table) => table,
            Err(error) => return Err(error),
        };
        let unit = adalog.scale() / (adalog.largest_mantissa() as u64 * (1u64 << fraction_bits)) as f64;
        Ok(Self { table, bits: adalog.bits(), inputs, unit })
    }

    /// `s / (M 2^F)`: times an output's weight scale it is the unit of its bias and sum.
    #[must_use]
    pub const fn unit(&self) -> f64 {
        self.unit
    }

    /// The folded bias `b - taken_off s_w Σ (w - z)` in units of the sum.
    ///
    /// # Errors
    /// `Error::Config` if it does not fit an i32, or a number is not finite.
    pub const fn fold(&self, bias: f64, weight_scale: f64, weight_sum: i64, taken_off: f64) -> Result<i32, Error> {
        let folded = (bias - taken_off * weight_scale * weight_sum as f64) / (self.unit * weight_scale);
        if !(folded >= i32::MIN as f64 && folded <= i32::MAX as f64) {
            return Err(Error::Config { what: Rule::Scale });
        }
        Ok(real::round(folded) as i32)
    }

    /// Runs the layer on rows of `tokens.cols()` codes.
    ///
    /// # Errors
    /// `Error::Length` if `tokens` does not have the constructor's number of inputs, `codes` is not rows of packed codes, `w` not
    /// `outputs x inputs` for the `outputs` that `bias` has, `zero_points` neither one nor `outputs`, or `y` not
    /// `tokens x outputs`; `y` is then untouched.
    #[inline]
    pub fn run(
        &self,
        codes: &[u8],
        w: &[i8],
        zero_points: &[i8],
        bias: &[i32],
        y: &mut [i32],
        tokens: Rows,
    ) -> Result<(), Error> {
        self.run_on(Auto, codes, w, zero_points, bias, y, tokens)
    }

    /// [`CodeLinear::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`CodeLinear::run`].
    #[expect(clippy::too_many_arguments, reason = "a layer's")]
    pub fn run_on<D: Dispatch>(
        &self,
        backend: D,
        codes: &[u8],
        w: &[i8],
        zero_points: &[i8],
        bias: &[i32],
        y: &mut [i32],
        tokens: Rows,
    ) -> Result<(), Error> {
        length(Arg::Cols, self.inputs, tokens.cols())?;
        length(Arg::Codes, tokens.rows().saturating_mul(packed_len(self.bits, self.inputs)), codes.len())?;
        length(Arg::Weights, bias.len().saturating_mul(self.inputs), w.len())?;
        if zero_points.len() != 1 {
            length(Arg::ZeroPoints, bias.len(), zero_points.len())?;
        }
        length(Arg::Y, tokens.rows().saturating_mul(bias.len()), y.len())?;
        backend.dispatch(Tokens { linear: self, codes, w, zero_points, bias, y });
        Ok(())
    }
}

struct Tokens<'a, const N: usize> {
    linear: &'a CodeLinear<N>,
    codes: &'a [u8],
    w: &'a [i8],
    zero_points: &'a [i8],
    bias: &'a [i32],
    y: &'a mut [i32],
}

impl<const N: usize> Kernel for Tokens<'_, N> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let Self { linear, codes, w, zero_points, bias, y } = self;
        let bytes = packed_len(linear.bits, linear.inputs).max(1);
        let common = if zero_points.len() == 1 { zero_points.first().copied() } else { None };
        for (codes, y) in codes.chunks_exact(bytes).zip(y.chunks_exact_mut(bias.len().max(1))) {
            y.iter_mut().zip(bias).for_each(|(y, &bias)| *y = bias);
            let mut codes = Unpacked::new(linear.bits, codes);
            let mut from = 0;
            while from < linear.inputs {
                let count = TILE.min(linear.inputs - from);
                let mut tile = [0i16; TILE];
                let mut sum = 0i32;
                for (weight, code) in tile.iter_mut().take(count).zip(&mut codes) {
                    *weight = linear.table.get(code).copied().unwrap_or(0);
                    sum = sum.wrapping_add(i32::from(*weight));
                }
                for ((o, y), w) in y.iter_mut().enumerate().zip(w.chunks_exact(linear.inputs.max(1))) {
                    let zero_point = common.or_else(|| zero_points.get(o).copied()).unwrap_or(0);
                    let part = w.get(from..).unwrap_or(&[]).iter().zip(&tile);
                    let dot = part.fold(0i32, |dot, (&w, &t)| dot.wrapping_add(i32::from(w) * i32::from(t)));
                    *y = y.wrapping_add(dot).wrapping_sub(sum.wrapping_mul(i32::from(zero_point)));
                }
                from += TILE;
            }
        }
    }
}
