//! The typed shell over the fixed-point softmax: formats of crate `fixed`, checked when the program is compiled.

use bytemuck::TransparentWrapper;
use fixed::types::extra::{LeEqU8, LeEqU16, LeEqU32};
use fixed::types::{U0F8, U0F16, U0F32};
use fixed::{FixedI8, FixedI16, FixedI32};

use super::SoftmaxQ;
use crate::error::Error;
use crate::fixedpoint::{Logit, Probability};
use crate::shape::Rows;

/// A format for logits: 8, 16 or 32 bits, signed, up to 31 of them fractional.
pub trait FixedLogit: TransparentWrapper<Self::Integer> + Sized {
    /// What it is stored as.
    type Integer: Logit;
    /// The softmax of this format.
    const SOFTMAX: SoftmaxQ;
}

/// A format for probabilities: `U0F8`, `U0F16` or `U0F32`.
pub trait FixedProbability: TransparentWrapper<Self::Integer> + Sized {
    /// What it is stored as.
    type Integer: Probability;
}

macro_rules! logit {
    ($fixed:ident, $bound:ident, $integer:ty) => {
        impl<Frac: $bound> FixedLogit for $fixed<Frac> {
            type Integer = $integer;
            const SOFTMAX: SoftmaxQ = crate::expect!(SoftmaxQ::new(Frac::U32));
        }
    };
}

logit!(FixedI8, LeEqU8, i8);
logit!(FixedI16, LeEqU16, i16);
logit!(FixedI32, LeEqU32, i32);

impl FixedProbability for U0F8 {
    type Integer = u8;
}

impl FixedProbability for U0F16 {
    type Integer = u16;
}

impl FixedProbability for U0F32 {
    type Integer = u32;
}

/// [`SoftmaxQ`] of rows of fixed-point numbers: `y[r][c] = exp(x[r][c]) / Σ_j exp(x[r][j])`.
///
/// `x`: `rows x cols`, a signed format of 8, 16 or 32 bits; `y`: the same shape, `U0F8`, `U0F16` or `U0F32`. Accuracy and cost
/// are those of [`SoftmaxQ`].
///
/// # Errors
/// `Error::Length` if `x` or `y` is not `rows x cols`, `Error::TooLarge` beyond 65,536 columns; `y` is then untouched.
///
/// # Example
/// ```
/// use fixed::types::{I8F8, U0F16};
/// use scrimp::{Rows, softmax_q};
/// let x = [1.0, 0.0].map(I8F8::from_num);
/// let mut y = [U0F16::ZERO; 2];
/// softmax_q::<I8F8, U0F16>(&x, &mut y, Rows::one(2)?)?;
/// assert!((y[0].to_num::<f64>() - 0.731_058_579).abs() < 1.0 / 65_536.0);
/// # Ok::<(), scrimp::Error>(())
/// ```
/// Other formats do not compile:
/// ```compile_fail
/// use fixed::types::{I8F8, I1F15};
/// scrimp::softmax_q::<I8F8, I1F15>(&[], &mut [], scrimp::Rows::one(1).unwrap());
/// ```
pub fn softmax_q<X: FixedLogit, Y: FixedProbability>(x: &[X], y: &mut [Y], rows: Rows) -> Result<(), Error> {
    X::SOFTMAX.run(X::peel_slice(x), Y::peel_slice_mut(y), rows)
}
