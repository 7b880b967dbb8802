//! What is added to logits: relative position bias and masks, in units of the logits.

use crate::error::{Arg, Error};
use crate::shape::Rows;

/// A logit that takes no part.
pub const MASKED: i32 = i32::MIN;

/// What is added to logits before they are compared.
///
/// Slices hold `rows x cols` elements, or `cols` that serve every row.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LogitBias<'a> {
    /// Nothing.
    #[default]
    None,
    /// Relative position bias and the like, in units of the logits; [`MASKED`] masks.
    Add(&'a [i32]),
    /// `true` takes part, `false` is masked.
    Mask(&'a [bool]),
}

impl<'a> LogitBias<'a> {
    pub(crate) const fn check(&self, rows: Rows) -> Result<(), Error> {
        let got = match self {
            Self::None => return Ok(()),
            Self::Add(bias) => bias.len(),
            Self::Mask(mask) => mask.len(),
        };
        if got == rows.cols() { Ok(()) } else { rows.check(Arg::LogitBias, got) }
    }

    /// The part for one row.
    #[inline(always)]
    pub(crate) fn row(self, row: usize, cols: usize) -> Self {
        #[inline(always)]
        fn part<T>(all: &[T], row: usize, cols: usize) -> &[T] {
            let start = if all.len() == cols { 0 } else { row.wrapping_mul(cols) };
            all.get(start..).and_then(|rest| rest.get(..cols)).unwrap_or(&[])
        }
        match self {
            Self::None => Self::None,
            Self::Add(bias) => Self::Add(part(bias, row, cols)),
            Self::Mask(mask) => Self::Mask(part(mask, row, cols)),
        }
    }

    /// The logit `i` of a row with what is added; saturates, but only what is masked becomes [`MASKED`].
    #[inline(always)]
    pub(crate) fn apply(&self, i: usize, logit: i32) -> i32 {
        match self {
            Self::None => logit,
            Self::Add(bias) => match bias.get(i) {
                Some(&MASKED) => MASKED,
                Some(&bias) if logit != MASKED => logit.saturating_add(bias).max(MASKED + 1),
                _ => logit,
            },
            Self::Mask(mask) => {
                if mask.get(i) == Some(&false) {
                    MASKED
                } else {
                    logit
                }
            }
        }
    }

    /// Adds it to a row.
    #[inline(always)]
    pub(crate) fn apply_to(&self, logits: &mut [i32]) {
        if !matches!(self, Self::None) {
            for (i, logit) in logits.iter_mut().enumerate() {
                *logit = self.apply(i, *logit);
            }
        }
    }
}
