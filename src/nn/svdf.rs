//! SVDF: fully connected layers over time by filters of rank one (Nakkiran et al., "Compressing Deep Neural Networks using a
//! Rank-Constrained Topology", Interspeech 2015), as TFLite computes it on integers.
//!
//! ```text
//! state[f] = state[f] shifted by one place, and behind it clamp(m1 Σ_i (x[i] - zx) feature[f][i] + zs)
//! y[u]     = clamp(m2 (bias[u] + Σ_r Σ_t (state[u rank + r][t] - zs) time[u rank + r][t]) + zy)
//! ```
//! The state is the caller's: one call is one step in time.

use super::folded::FoldedS8;
use super::requant::is_usable;
use crate::backend::{Auto, Backend, Dispatch, Filters, Kernel, StepRows};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::Multiplier;

mod sealed {
    use crate::backend::Backend;

    /// What the kernel needs to know of a state's type.
    pub trait State: Copy {
        /// All filters by a loop of the backend; false, and nothing done, if it has none.
        fn remember<B: Backend>(b: B, filters: (&[Self], usize, i32), state: &mut [Self], sums: &mut [i32]) -> bool;

        /// The number as stored.
        fn widen(self) -> i32;

        /// The nearest one.
        fn saturate(x: i32) -> Self;
    }
}

/// Types of an SVDF's state and of its weights over time: `i8` and `i16`.
pub trait SvdfState: sealed::State {}

macro_rules! states {
    ($($type:ty, $loop:expr;)*) => {$(
        impl sealed::State for $type {
            #[inline(always)]
            fn remember<B: Backend>(b: B, filters: (&[Self], usize, i32), state: &mut [Self], sums: &mut [i32]) -> bool {
                $loop(b, filters, state, sums)
            }

            #[inline(always)]
            fn widen(self) -> i32 {
                self.into()
            }

            #[inline(always)]
            fn saturate(x: i32) -> Self {
                x.max(Self::MIN.into()).min(Self::MAX.into()) as Self
            }
        }

        impl SvdfState for $type {}
    )*};
}

states!(
    i8, by_loop;
    i16, |_, _, _, _| false;
);

#[inline(always)]
fn by_loop<B: Backend>(
    b: B,
    (time, memory, zero_point): (&[i8], usize, i32),
    state: &mut [i8],
    sums: &mut [i32],
) -> bool {
    StepRows::remember_s8(b, &Filters { time, memory, zero_point }, state, sums)
}

/// What becomes of an SVDF's sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SvdfOutput<'a> {
    /// Added to the sum of each unit; none if it is empty.
    pub bias: &'a [i32],
    /// The state's scale times that of the weights over time, by the output's.
    pub multiplier: Multiplier,
    /// The output's zero point, -128 to 127.
    pub zero_point: i32,
}

/// An SVDF layer on i8 with a state of `T`; see the module's head for the formula.
///
/// # Accuracy
/// The bytes of TFLite Micro, on every backend, as long as its sums fit 32 bits. Its option for a fused activation has no effect there, and none here.
///
/// # Example
/// A unit of rank 1 that remembers two steps:
/// ```
/// use scrimp::Rows;
/// use scrimp::bits::Weights;
/// use scrimp::fixedpoint::Multiplier;
/// use scrimp::nn::{FoldedS8, Svdf, SvdfOutput};
/// let half = Multiplier { mantissa: 1 << 30, shift: 0 };
/// let feature = FoldedS8::new(Weights::s8(&[2, 2], Rows::new(1, 2)?)?, &[0], half)?;
/// let output = SvdfOutput { bias: &[], multiplier: half, zero_point: 0 };
/// let layer = Svdf::new(feature, &[1i8, 2], 1, 0, output)?;
/// let (mut state, mut y, mut scratch) = ([0; 2], [0; 1], [0; 1]);
/// layer.run(&[3, 4], &mut state, &mut y, &mut scratch)?;
/// assert_eq!((state, y), ([0, 7], [7]));
/// layer.run(&[0, 1], &mut state, &mut y, &mut scratch)?;
/// assert_eq!((state, y), ([7, 1], [5])); // 9 / 2, rounded up
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Svdf<'a, T> {
    feature: FoldedS8<'a>,
    time: &'a [T],
    rank: usize,
    state_zero_point: i32,
    output: SvdfOutput<'a>,
    /// Steps that are remembered.
    memory: usize,
}

impl<'a, T> Svdf<'a, T> {
    /// `time` is `[filters][memory]`; filters are the outputs of `feature`, and `rank` of them make a unit.
    ///
    /// # Errors
    /// `Error::Empty` if `rank` or `time` is; `Error::Length` if the rank does not divide the filters, the filters not `time`,
    /// or there is not a bias for each unit; `Error::TooLarge` for a memory beyond 32,768; `Error::Config` if a zero point is
    /// not that of an i8 or a multiplier is not usable.
    pub const fn new(
        feature: FoldedS8<'a>,
        time: &'a [T],
        rank: usize,
        state_zero_point: i32,
        output: SvdfOutput<'a>,
    ) -> Result<Self, Error> {
        let filters = feature.shape()[0];
        if rank == 0 || filters == 0 {
            return Err(Error::Empty { what: Arg::Rows });
        }
        if time.is_empty() {
            return Err(Error::Empty { what: Arg::Table });
        }
        if !filters.is_multiple_of(rank) {
            return Err(Error::Length { what: Arg::Weights, want: rank, got: filters });
        }
        if !time.len().is_multiple_of(filters) {
            return Err(Error::Length { what: Arg::Table, want: filters, got: time.len() });
        }
        let memory = time.len() / filters;
        if memory > 1 << 15 {
            return Err(Error::TooLarge { what: Arg::Depth, max: 1 << 15, got: memory });
        }
        if !output.bias.is_empty()
            && let Err(error) = length(Arg::Bias, filters / rank, output.bias.len())
        {
            return Err(error);
        }
        let points = [state_zero_point, output.zero_point];
        if points[0] < -128 || points[0] > 127 || points[1] < -128 || points[1] > 127 {
            return Err(Error::Config { what: Rule::ZeroPoint });
        }
        if !is_usable(output.multiplier.mantissa, output.multiplier.shift) {
            return Err(Error::Config { what: Rule::Scale });
        }
        Ok(Self { feature, time, rank, state_zero_point, output, memory })
    }

    /// Elements of `scratch`.
    #[must_use]
    pub const fn scratch(&self) -> usize {
        self.feature.shape()[0]
    }

    /// Elements of the state of one row.
    #[must_use]
    pub const fn state(&self) -> usize {
        self.time.len()
    }
}

impl<T: SvdfState> Svdf<'_, T> {
    /// One step for each row of `x`, `[rows][inputs]`; each has a row in `state`, `[rows][filters][memory]`, which is at
    /// the state's zero point to begin with, and in `y`, `[rows][units]`.
    ///
    /// # Errors
    /// `Error::Length` if a slice is not of its shape, or `scratch` shorter than [`Svdf::scratch`]; nothing is then touched.
    #[inline]
    pub fn run(&self, x: &[i8], state: &mut [T], y: &mut [i8], scratch: &mut [i32]) -> Result<(), Error> {
        self.run_on(Auto, x, state, y, scratch)
    }

    /// [`Svdf::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Svdf::run`].
    pub fn run_on<D: Dispatch>(
        &self,
        backend: D,
        x: &[i8],
        state: &mut [T],
        y: &mut [i8],
        scratch: &mut [i32],
    ) -> Result<(), Error> {
        let [filters, inputs] = self.feature.shape();
        let rows = x.len() / inputs.max(1);
        length(Arg::X, rows.max(1).saturating_mul(inputs), x.len())?;
        length(Arg::State, rows.saturating_mul(self.time.len()), state.len())?;
        length(Arg::Y, rows.saturating_mul(filters / self.rank.max(1)), y.len())?;
        let Some(sums) = scratch.get_mut(..filters) else {
            return Err(Error::Length { what: Arg::Scratch, want: filters, got: scratch.len() });
        };
        backend.dispatch(Step { of: self, x, state, y, sums });
        Ok(())
    }
}

struct Step<'a, T> {
    of: &'a Svdf<'a, T>,
    x: &'a [i8],
    state: &'a mut [T],
    y: &'a mut [i8],
    sums: &'a mut [i32],
}

impl<T: SvdfState> Kernel for Step<'_, T> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let Self { of, x, state, y, sums } = self;
        let [filters, inputs] = of.feature.shape();
        let (memory, rank) = (of.memory.max(1), of.rank.max(1));
        let states = state.chunks_exact_mut(memory.wrapping_mul(filters).max(1));
        let rows = y.chunks_exact_mut((filters / rank).max(1));
        for ((x, state), y) in x.chunks_exact(inputs.max(1)).zip(states).zip(rows) {
            of.feature.row(b, x, sums);
            if !T::remember(b, (of.time, memory, of.state_zero_point), state, sums) {
                let filters = state.chunks_exact_mut(memory).zip(of.time.chunks_exact(memory));
                for ((state, time), sum) in filters.zip(sums.iter_mut()) {
                    *sum = remember(state, time, of.state_zero_point, sum.wrapping_add(of.state_zero_point));
                }
            }
            // The sums of a unit's filters, with its bias, to the front.
            if rank == 1 {
                for (sum, &bias) in sums.iter_mut().zip(of.output.bias) {
                    *sum = sum.wrapping_add(bias);
                }
            }
            for u in 0..if rank == 1 { 0 } else { y.len() } {
                let own = sums.get(u * rank..).and_then(|sums| sums.get(..rank)).unwrap_or(&[]);
                let bias = of.output.bias.get(u).copied().unwrap_or(0);
                let sum = own.iter().fold(bias, |all, &sum| all.wrapping_add(sum));
                if let Some(first) = sums.get_mut(u) {
                    *first = sum;
                }
            }
            let units = sums.get_mut(..y.len()).unwrap_or(&mut []);
            b.requantize_s32(units, of.output.multiplier);
            b.saturate_s8(units, of.output.zero_point, y);
        }
    }
}

/// Puts `new` behind what a filter remembers, and weighs all of it.
#[inline(always)]
fn remember<T: SvdfState>(state: &mut [T], time: &[T], zero_point: i32, new: i32) -> i32 {
    let len = state.len();
    state.copy_within(1.min(len).., 0);
    if let Some(last) = state.last_mut() {
        *last = T::saturate(new);
    }
    let products = state.iter().zip(time).map(|(s, t)| s.widen().wrapping_sub(zero_point).wrapping_mul(t.widen()));
    products.fold(0i32, i32::wrapping_add)
}
