//! What layers with a memory do besides products: results of one multiplier in 32 bits, filters over time, outputs of 8 bits.

use crate::fixedpoint::{Multiplier, Rounding, SigmoidS16, requantize};

/// Filters over time: each remembers as many codes as it has weights.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "arm"), allow(dead_code, reason = "only devices have loops"))]
pub(crate) struct Filters<'a> {
    /// `[filters][memory]`.
    pub(crate) time: &'a [i8],
    pub(crate) memory: usize,
    /// The codes' zero point, of an i8.
    pub(crate) zero_point: i32,
}

#[cfg_attr(not(target_arch = "arm"), allow(dead_code, reason = "only devices have loops"))]
impl Filters<'_> {
    /// Whether there is a sum for each filter, and both slices are whole ones.
    #[inline(always)]
    pub(crate) fn fit(&self, state: &[i8], sums: &[i32]) -> bool {
        self.memory.checked_mul(sums.len()) == Some(self.time.len()) && state.len() == self.time.len()
    }
}

/// What a backend can speed up. Every backend gives the same bytes.
pub(crate) trait StepRows: Copy {
    /// `x = m x`, both roundings.
    #[inline(always)]
    fn requantize_s32(self, x: &mut [i32], multiplier: Multiplier) {
        for x in x {
            *x = requantize(*x, multiplier, Rounding::Double);
        }
    }

    /// `state[f]` goes one place on, `clamp(sums[f] + zero point)` behind it; then `sums[f] = Σ (state[f] - zero point)
    /// time[f]`. False, and nothing done, if there is no loop for it.
    #[inline(always)]
    fn remember_s8(self, _filters: &Filters<'_>, _state: &mut [i8], _sums: &mut [i32]) -> bool {
        false
    }

    /// The logistic function of all codes.
    #[inline(always)]
    fn logistic_s16(self, x: &mut [i16], curve: SigmoidS16) {
        for x in x {
            *x = curve.logistic(*x);
        }
    }

    /// Their tanh.
    #[inline(always)]
    fn tanh_s16(self, x: &mut [i16], curve: SigmoidS16) {
        for x in x {
            *x = curve.tanh(*x);
        }
    }

    /// `y = clamp(x + offset)`; the offset is that of an i8.
    #[inline(always)]
    fn saturate_s8(self, x: &[i32], offset: i32, y: &mut [i8]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x.saturating_add(offset).clamp(-128, 127) as i8;
        }
    }
}
