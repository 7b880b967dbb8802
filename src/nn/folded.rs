//! A product of a row of i8 with stored weights that is requantized by one multiplier to something else than i8: what an
//! LSTM's gates and an SVDF's features are made of.

use super::requant::{MOST_DEPTH, is_usable};
use crate::backend::{Backend, DotRows, Folded};
use crate::bits::{Weights, Width};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::Multiplier;

/// `m (bias[o] + Σ_i x[i] w[o][i])`, rounded twice as TFLite does, with the input's zero point folded into the bias
/// ([`fold_bias`]).
#[derive(Clone, Copy, Debug)]
pub struct FoldedS8<'a>(Folded<'a>);

impl<'a> FoldedS8<'a> {
    /// With a folded bias for each output. The weights are read at 8 bits, or at 4 where they have no 8.
    ///
    /// # Errors
    /// `Error::Length` unless there is a bias for each output; `Error::TooLarge` beyond 32,768 inputs; `Error::Config` if the
    /// multiplier's shift is not -31 to 30 or its mantissa is `i32::MIN`.
    pub const fn new(weights: Weights<'a>, bias: &'a [i32], multiplier: Multiplier) -> Result<Self, Error> {
        let (outputs, depth) = (weights.shape().rows(), weights.shape().cols());
        if let Err(error) = length(Arg::Bias, outputs, bias.len()) {
            return Err(error);
        }
        if depth > MOST_DEPTH {
            return Err(Error::TooLarge { what: Arg::Depth, max: MOST_DEPTH, got: depth });
        }
        if !is_usable(multiplier.mantissa, multiplier.shift) {
            return Err(Error::Config { what: Rule::Scale });
        }
        match weights.codes(width_of(&weights)) {
            Some(codes) => Ok(Self(Folded { codes, bias, multiplier, is_plain: is_plain(depth, bias, multiplier) })),
            None => Err(Error::Config { what: Rule::BitWidth }),
        }
    }

    /// Outputs and inputs.
    pub(super) const fn shape(&self) -> [usize; 2] {
        [self.0.codes.outputs(), self.0.codes.depth()]
    }

    /// The results of one row, in `sums`.
    #[inline(always)]
    pub(super) fn row<B: Backend>(&self, b: B, x: &[i8], sums: &mut [i32]) {
        /// Once in a firmware, however many gates there are. Where instruction sets are chosen at run time it must be inlined
        /// into its caller.
        #[inline(never)]
        fn shared<B: Backend>(b: B, of: &Folded<'_>, x: &[i8], sums: &mut [i32]) {
            DotRows::folded_s8(b, of, x, sums);
        }
        if cfg!(target_arch = "arm") { shared(b, &self.0, x, sums) } else { DotRows::folded_s8(b, &self.0, x, sums) }
    }
}

/// Whether fast loops hold; see [`Folded::is_plain`].
const fn is_plain(depth: usize, bias: &[i32], Multiplier { mantissa, shift }: Multiplier) -> bool {
    if mantissa <= 0 || shift < -22 {
        return false;
    }
    let (mut most, mut o) = (0, 0);
    while o < bias.len() {
        let size = bias[o].unsigned_abs() as u64;
        most = if size > most { size } else { most };
        o += 1;
    }
    let left = if shift > 0 { shift as u32 } else { 0 };
    // A product of two i8 is at most 2^14; neither bias nor depth comes near what would overflow.
    (most + ((depth as u64) << 14)) << left < 1 << 30
}

/// The bias of each output (none if it is empty) and what the input's zero point adds: `bias[o] - zero_point Σ_i w[o][i]`.
///
/// # Errors
/// `Error::Length` unless there are `N` outputs and as many entries of `bias`, or none; `Error::Config` unless the zero point
/// is -128 to 127.
///
/// # Example
/// ```
/// use scrimp::Rows;
/// use scrimp::bits::Weights;
/// let weights = Weights::s8(&[1, 2, 3, 4], Rows::new(2, 2)?)?;
/// assert_eq!(scrimp::nn::fold_bias(&weights, &[100, 200], -10)?, [130, 270]);
/// # Ok::<(), scrimp::Error>(())
/// ```
pub const fn fold_bias<const N: usize>(
    weights: &Weights<'_>,
    bias: &[i32],
    zero_point: i32,
) -> Result<[i32; N], Error> {
    if let Err(error) = length(Arg::Bias, weights.shape().rows(), N) {
        return Err(error);
    }
    if !bias.is_empty()
        && let Err(error) = length(Arg::Bias, N, bias.len())
    {
        return Err(error);
    }
    if zero_point < -128 || zero_point > 127 {
        return Err(Error::Config { what: Rule::ZeroPoint });
    }
    let width = width_of(weights);
    let mut folded = [0i32; N];
    let mut o = 0;
    while o < N {
        let of_bias = if o < bias.len() { bias[o] } else { 0 };
        let of_zero = if zero_point == 0 { 0 } else { zero_point.wrapping_mul(weights.sum(width, o)) };
        folded[o] = of_bias.wrapping_sub(of_zero);
        o += 1;
    }
    Ok(folded)
}

const fn width_of(weights: &Weights<'_>) -> Width {
    if weights.has(Width::W8) { Width::W8 } else { Width::W4 }
}
