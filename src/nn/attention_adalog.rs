//! Attention of one head in 8-bit integers with probabilities as AdaLog codes (Wu et al. 2024, arXiv 2407.12951), one query at a
//! time: no more than one row of logits exists, and no exponential.
//!
//! ```text
//! L_k = q · k_k + bias_k      c = codes(L)      y = Σ_k T[c_k] (v_k - z) / Σ_k T[c_k]     (anchored)
//! ```
//! With the paper's codes the sum is not divided by, as it is in the codes. Keys and values are packed when they are written;
//! 2 to 4 bits.

use zerocopy::IntoBytes;

use crate::backend::{
    Auto, Backend, CodeRows, Dispatch, KEY_CHANNELS, Kernel, PLAIN, Requantize, VALUE_CHANNELS, VALUE_KEYS,
};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::{Multiplier, rounded_reciprocal};
use crate::quant::{AdaLog, CodeProduct, LogitBias, LogitCodes, PackedKeys, PackedValues, ValueRange};
use crate::shape::Rows;

/// Which codes an attention uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CodeForm {
    /// Of `exp(x - max x)`; the output is divided by the sum of the codes' weights: a true mean of the values.
    #[default]
    Anchored,
    /// The paper's, of the softmax.
    Normalized,
}

/// Scales and zero points of an attention's tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttentionScales {
    /// One step of a logit: the product of the scales of queries and keys, times `1 / sqrt(d)`.
    pub logit: f64,
    /// One step of a value.
    pub value: f64,
    /// Zero point and range of the values.
    pub values: ValueRange,
    /// One step of an output.
    pub output: f64,
    /// Zero point of the outputs.
    pub output_zero_point: i8,
}

/// What an attention with AdaLog codes is made of, built once; run by [`attend_adalog`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttentionAdaLog {
    codes: LogitCodes<16>,
    product: CodeProduct<16>,
    /// What a weighted sum of values is multiplied by; anchored, before it is divided by the weights' sum.
    factor: Multiplier,
    form: CodeForm,
    /// The factor of anchored codes, if backends have loops over rows for it, or 0.
    step: i32,
    zero_point: i8,
    most_keys: usize,
}

impl AttentionAdaLog {
    /// For heads of up to `keys` keys.
    ///
    /// # Errors
    /// `Error::Config` unless `adalog` has 2 to 4 bits with `Symbols::TopIsZero`, scales are positive and finite, a logit's is not too
    /// small for the codes, and the value's is at most 2^8 of the output's; `Error::TooLarge` if a sum over `keys` keys could leave
    /// i32.
    pub const fn new(adalog: &AdaLog, form: CodeForm, scales: &AttentionScales, keys: usize) -> Result<Self, Error> {
        if adalog.bits() > 4 {
            return Err(Error::Config { what: Rule::Bits });
        }
        let codes = match form {
            CodeForm::Anchored => LogitCodes::anchored(adalog, scales.logit),
            CodeForm::Normalized => LogitCodes::normalized(adalog, scales.logit),
        };
        let (codes, product) = match (codes, CodeProduct::new(adalog, scales.values, keys)) {
            (Ok(codes), Ok(product)) => (codes, product),
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let ratio = scales.value / scales.output;
        let real = match form {
            CodeForm::Anchored => ratio,
            CodeForm::Normalized => {
                ratio * adalog.scale() / (adalog.largest_mantissa() << adalog.fraction_bits()) as f64
            }
        };
        if !(scales.value > 0.0 && scales.output > 0.0 && ratio <= 256.0) {
            return Err(Error::Config { what: Rule::Scale });
        }
        let Some(factor) = Multiplier::from_real(real) else { return Err(Error::Config { what: Rule::Scale }) };
        if factor.mantissa == 0 || factor.shift > 9 || (matches!(form, CodeForm::Normalized) && factor.shift > -1) {
            return Err(Error::Config { what: Rule::Scale });
        }
        let step = match codes.factor() {
            Some(step) => step,
            None => 0,
        };
        Ok(Self { codes, product, factor, form, step, zero_point: scales.output_zero_point, most_keys: keys })
    }

    /// Words of scratch for heads of `keys x channels`: the row of logits, its codes, a row of sums, the query.
    #[must_use]
    pub const fn scratch_words(shape: Rows) -> usize {
        scratch_words(PackedValues::padded_keys(shape.rows()), PackedValues::padded_channels(shape.cols()))
    }

    /// How sums are turned to outputs in a row whose weights have this sum.
    #[inline(always)]
    const fn requantize(&self, sum: i32) -> Requantize {
        let offset = self.product.zero_point().wrapping_mul(sum);
        let zero = Requantize { offset, factor: 0, shift: 1, zero_point: self.zero_point };
        let Multiplier { mantissa, shift } = self.factor;
        if sum <= 0 {
            return zero;
        }
        let (factor, right) = match self.form {
            CodeForm::Normalized => (mantissa, -shift),
            CodeForm::Anchored => {
                // 1 / sum = reciprocal 2^(zeros - 62)
                let zeros = (sum as u32).leading_zeros();
                let reciprocal = rounded_reciprocal((sum as u32).wrapping_shl(zeros));
                let product = ((reciprocal as u64 * mantissa as u64 + (1 << 30)) >> 31) as u32;
                let factor = if product > i32::MAX as u32 { i32::MAX } else { product as i32 };
                (factor, 31 - zeros as i32 - shift)
            }
        };
        if right > 31 {
            return zero; // less than half of a step
        }
        // Not reached below 1: a sum is one weight of 2^14 or more, unless all codes are tiny.
        let shift = if right < 1 { 1 } else { right as u32 };
        Requantize { offset, factor, shift, zero_point: self.zero_point }
    }
}

/// For numbers of keys and channels that are padded already.
#[inline(always)]
const fn scratch_words(keys: usize, channels: usize) -> usize {
    keys + keys / 8 + channels + channels.div_ceil(KEY_CHANNELS) * (KEY_CHANNELS / 2)
}

/// Attention of `queries` over packed keys and values: `y = softmax(q k^T) v` with the softmax as codes.
///
/// `q`: `queries x channels`, i8 with its zero point taken off already (keys may have any: it cancels). `bias`: for each query and
/// key, or for each key. `y`: `queries x channels` of the values. A query whose keys are all masked gives the output's zero
/// point.
///
/// # Accuracy
/// Logits, sums and weights are exact integers; a weighted sum is scaled to the output by a factor of 31 bits, rounded
/// twice. What the codes lose is in the README. The same bytes on every backend.
///
/// # Cost
/// A row of 64 keys, d = 32, 4 bits: README; `scratch` [`AttentionAdaLog::scratch_words`].
///
/// # Errors
/// `Error::Length` if `q` is not rows of the keys' channels, `y` not as many rows of the values' channels, keys and values differ in
/// number, `bias` fits neither, or `scratch` is too short; `Error::TooLarge` for more keys than the parameters allow; `Error::Config`
/// if keys or values were packed for another backend; `y` is then untouched.
///
/// # Example
/// ```
/// use scrimp::Rows;
/// use scrimp::nn::{AttentionAdaLog, AttentionScales, CodeForm, attend_adalog};
/// use scrimp::quant::{AdaLog, LogitBias, PackedKeys, PackedValues, Symbols, ValueRange};
/// const SHAPE: Rows = scrimp::expect!(Rows::new(2, 4)); // keys, channels
/// const SCALES: AttentionScales =
///     AttentionScales { logit: 0.001, value: 0.1, values: ValueRange::S8, output: 0.1, output_zero_point: 0 };
/// const ADALOG: AdaLog = scrimp::expect!(AdaLog::new(4, 12, 1.0, Symbols::TopIsZero));
/// static ATTENTION: AttentionAdaLog = scrimp::expect!(AttentionAdaLog::new(&ADALOG, CodeForm::Anchored, &SCALES, 64));
/// let (mut k, mut v) = ([0; PackedKeys::words(SHAPE)], [0; PackedValues::words(SHAPE)]);
/// let k = PackedKeys::pack(&[10, 0, 0, 0, 0, 10, 0, 0], &mut k, SHAPE)?;
/// let v = PackedValues::pack(&[100, 0, 0, 0, 0, 100, 0, 0], &mut v, SHAPE)?;
/// let (mut y, mut scratch) = ([0; 4], [0; AttentionAdaLog::scratch_words(SHAPE)]);
/// attend_adalog(&ATTENTION, &[110, 0, 0, 0], &k, &v, LogitBias::None, &mut y, &mut scratch)?;
/// assert_eq!(y, [76, 24, 0, 0]); // e^1.1 : 1 is 75 : 25; in codes it is 2^(60/37) : 1
/// # Ok::<(), scrimp::Error>(())
/// ```
#[inline]
pub fn attend_adalog(
    attention: &AttentionAdaLog,
    q: &[i8],
    k: &PackedKeys<'_>,
    v: &PackedValues<'_>,
    bias: LogitBias<'_>,
    y: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), Error> {
    attend_adalog_on(Auto, attention, q, k, v, bias, y, scratch)
}

/// [`attend_adalog`] under a backend of your choice.
///
/// # Errors
/// As [`attend_adalog`].
#[expect(clippy::too_many_arguments, reason = "an attention's")]
pub fn attend_adalog_on<D: Dispatch>(
    backend: D,
    attention: &AttentionAdaLog,
    q: &[i8],
    k: &PackedKeys<'_>,
    v: &PackedValues<'_>,
    bias: LogitBias<'_>,
    y: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), Error> {
    let (keys, width, channels) = (k.shape().rows(), k.shape().cols(), v.shape().cols());
    let queries = q.len().checked_div(width).unwrap_or(0);
    let is_whole = keys.is_multiple_of(VALUE_KEYS)
        && width.is_multiple_of(KEY_CHANNELS)
        && channels.is_multiple_of(VALUE_CHANNELS);
    if is_whole
        && attention.step != 0
        && matches!(bias, LogitBias::None)
        && keys <= attention.most_keys
        && keys == v.shape().rows()
        && queries > 0
        && q.len() == queries.wrapping_mul(width)
        && y.len() == queries.wrapping_mul(channels)
        && scratch.len() >= scratch_words(keys, if width > channels { width } else { channels })
        && backend.dispatch(Whole { attention, q, k, v, y: &mut *y, scratch: &mut *scratch })
    {
        return Ok(());
    }
    attend_rest_on(backend, attention, q, k, v, bias, y, scratch)
}

/// All but [`Whole`]; here every error is found.
#[inline(never)]
#[expect(clippy::too_many_arguments, reason = "an attention's")]
fn attend_rest_on<D: Dispatch>(
    backend: D,
    attention: &AttentionAdaLog,
    q: &[i8],
    k: &PackedKeys<'_>,
    v: &PackedValues<'_>,
    bias: LogitBias<'_>,
    y: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), Error> {
    let keys = k.shape().rows();
    if keys > attention.most_keys {
        return Err(Error::TooLarge { what: Arg::Keys, max: attention.most_keys, got: keys });
    }
    length(Arg::Values, keys, v.shape().rows())?;
    let queries = Rows::new(q.len().checked_div(k.shape().cols()).unwrap_or(0), keys)?;
    length(Arg::Queries, queries.rows().saturating_mul(k.shape().cols()), q.len())?;
    length(Arg::Y, queries.rows().saturating_mul(v.shape().cols()), y.len())?;
    bias.check(queries)?;
    let wider = if k.shape().cols() > v.shape().cols() { k.shape() } else { v.shape() };
    let (want, got) = (AttentionAdaLog::scratch_words(wider), scratch.len());
    let scratch = scratch.get_mut(..want).ok_or(Error::Length { what: Arg::Scratch, want, got })?;
    // Two kernels, so that what one form needs is not prepared for the other.
    match attention.form {
        CodeForm::Anchored => backend.dispatch(Attend::<false> { attention, q, k, v, bias, y, scratch }),
        CodeForm::Normalized => backend.dispatch(Attend::<true> { attention, q, k, v, bias, y, scratch }),
    }
}

/// Rows of anchored codes without a bias, for heads in which nothing needs padding.
struct Whole<'a> {
    attention: &'a AttentionAdaLog,
    q: &'a [i8],
    k: &'a PackedKeys<'a>,
    v: &'a PackedValues<'a>,
    y: &'a mut [i8],
    scratch: &'a mut [u32],
}

impl Kernel for Whole<'_> {
    /// Whether it was done; if not, `y` is untouched.
    type Output = bool;

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) -> bool {
        let Self { attention, q, k, v, y, scratch } = self;
        let layout = <B as CodeRows>::LAYOUT;
        let (Ok(key_words), Ok(value_words)) = (k.for_layout(layout), v.for_layout(layout)) else { return false };
        // Portable bodies gain nothing by it.
        if layout == PLAIN {
            return false;
        }
        let (keys, channels) = (k.shape().rows(), v.shape().cols());
        let Ok(one_row) = Rows::one(keys) else { return false };
        let (row, rest) = scratch.split_at_mut_checked(keys).unwrap_or_default();
        let (codes, rest) = rest.split_at_mut_checked(keys / 8).unwrap_or_default();
        let (sums, spare) = rest.split_at_mut_checked(channels).unwrap_or_default();
        let sums: &mut [i32] = zerocopy::transmute_mut!(sums);
        let codes = codes.as_mut_bytes();
        let (mut q, mut y) = (q, y);
        while let (Some((one, next)), Some((to, rest))) =
            (q.split_at_checked(k.shape().cols()), y.split_at_mut_checked(channels))
        {
            let logits: &mut [i32] = zerocopy::transmute_mut!(&mut *row);
            b.logits_s8(one, key_words, logits, spare);
            if !b.rows_nibbles_s32(logits, one_row, attention.step, codes) {
                return false; // known by the lengths, so in the first row
            }
            // The logits are done with: their place is scratch.
            let sum = b.product_nibbles(codes, value_words, attention.product.table(), sums, row);
            b.requantize_s8(sums, attention.requantize(sum), to);
            (q, y) = (next, rest);
        }
        true
    }
}

struct Attend<'a, const NORMALIZED: bool> {
    attention: &'a AttentionAdaLog,
    q: &'a [i8],
    k: &'a PackedKeys<'a>,
    v: &'a PackedValues<'a>,
    bias: LogitBias<'a>,
    y: &'a mut [i8],
    scratch: &'a mut [u32],
}

impl<const NORMALIZED: bool> Kernel for Attend<'_, NORMALIZED> {
    type Output = Result<(), Error>;

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) -> Result<(), Error> {
        let Self { attention, q, k, v, bias, y, scratch } = self;
        let key_words = k.for_layout(<B as CodeRows>::LAYOUT)?;
        let value_words = v.for_layout(<B as CodeRows>::LAYOUT)?;
        let (keys, padded) = (k.shape().rows(), PackedValues::padded_keys(k.shape().rows()));
        let channels = PackedValues::padded_channels(v.shape().cols());
        let (row, rest) = scratch.split_at_mut_checked(padded).unwrap_or_default();
        let (codes, rest) = rest.split_at_mut_checked(padded / 8).unwrap_or_default();
        let (sums, spare) = rest.split_at_mut_checked(channels).unwrap_or_default();
        let sums: &mut [i32] = zerocopy::transmute_mut!(sums);
        let codes = codes.as_mut_bytes();
        if keys != padded {
            codes.fill(0xFF); // the keys beyond the last have no weight
        }
        let (mut q, mut y, mut query) = (q, y, 0);
        while let (Some((one, next)), Some((to, rest))) =
            (q.split_at_checked(k.shape().cols()), y.split_at_mut_checked(v.shape().cols()))
        {
            if one.is_empty() {
                break;
            }
            let logits: &mut [i32] = zerocopy::transmute_mut!(&mut *row);
            b.logits_s8(one, key_words, logits.get_mut(..k.padded()).unwrap_or_default(), spare);
            let logits = logits.get_mut(..keys).unwrap_or_default();
            bias.row(query, keys).apply_to(logits);
            let packed = codes.get_mut(..keys.div_ceil(2)).unwrap_or_default();
            if NORMALIZED {
                attention.codes.any_nibbles_on(b, logits, packed);
            } else {
                let row = Rows::one(keys).ok().filter(|_| attention.step != 0);
                if !row.is_some_and(|row| b.rows_nibbles_s32(logits, row, attention.step, packed)) {
                    attention.codes.nibbles_on(b, logits, packed);
                }
            }
            // The logits are done with: their place is scratch.
            let sum = b.product_nibbles(codes, value_words, attention.product.table(), sums, row);
            b.requantize_s8(sums, attention.requantize(sum), to);
            (q, y, query) = (next, rest, query + 1);
        }
        Ok(())
    }
}
