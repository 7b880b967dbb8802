//! Mean, sum, maximum and minimum along any axes (TFLite's `MEAN`, `SUM`, `REDUCE_MAX`, `REDUCE_MIN`).

use core::marker::PhantomData;

use super::at_least_one;
use super::code::{Activated, Code, check, for_activated};
use crate::backend::{Auto, Backend, Dispatch, Kernel};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::{Multiplier, Quantization, Rounding, requantize};

/// Most axes.
const AXES: usize = 6;

/// Neighbouring results that are worked out together.
const TILE: usize = 16;

/// A shape, and those of its axes along which elements are combined into one.
///
/// Having one tells you that no axis is zero and that the elements can be counted. Neighbouring axes of one kind have become
/// one.
///
/// # Example
/// ```
/// use scrimp::nn::Reduction;
/// static SHAPE: Reduction = scrimp::expect!(Reduction::new(&[1, 7, 7, 64], &[1, 2]));
/// assert_eq!((SHAPE.input(), SHAPE.output(), SHAPE.terms()), (3136, 64, 49));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reduction {
    /// Extents, the innermost one first; behind the last one they are 1.
    extents: [u32; AXES],
    /// Bit `k`: axis `k` stays.
    stays: u8,
}

impl Reduction {
    /// Of a tensor of this shape, the outermost axis first, along `axes`; none of them leaves all elements as they are.
    ///
    /// # Errors
    /// `Error::TooLarge` for more than 6 axes, for an axis that is not there and for 2^31 elements or more, `Error::Empty` for
    /// an axis of zero.
    pub const fn new(shape: &[usize], axes: &[usize]) -> Result<Self, Error> {
        if shape.len() > AXES {
            return Err(Error::TooLarge { what: Arg::Axes, max: AXES, got: shape.len() });
        }
        let (mut reduced, mut i) = (0u8, 0);
        while i < axes.len() {
            if axes[i] >= shape.len() {
                return Err(Error::TooLarge { what: Arg::Axes, max: shape.len().saturating_sub(1), got: axes[i] });
            }
            reduced |= 1 << axes[i];
            i += 1;
        }
        let mut of = Self { extents: [1; AXES], stays: 0 };
        let (mut elements, mut used, mut i) = (1usize, 0, shape.len());
        while i > 0 {
            i -= 1;
            let extent = shape[i];
            if extent == 0 {
                return Err(Error::Empty { what: Arg::Axes });
            }
            elements = match elements.checked_mul(extent) {
                Some(elements) if elements < 1 << 31 => elements,
                _ => return Err(Error::TooLarge { what: Arg::Axes, max: (1 << 31) - 1, got: extent }),
            };
            if extent > 1 {
                let stays = reduced >> i & 1 ^ 1;
                if used == 0 || of.stays >> (used - 1) != stays {
                    of.stays |= stays << used;
                    used += 1;
                }
                // At most one for each axis: the test keeps a bounds check out.
                if used >= 1 && used <= AXES {
                    of.extents[used - 1] *= extent as u32;
                }
            }
        }
        Ok(of)
    }

    /// Elements that go in.
    #[must_use]
    pub const fn input(&self) -> usize {
        self.output() * self.terms()
    }

    /// Elements that come out.
    #[must_use]
    pub const fn output(&self) -> usize {
        self.product(true)
    }

    /// Elements that make one.
    #[must_use]
    pub const fn terms(&self) -> usize {
        self.product(false)
    }

    const fn product(&self, of_those_that_stay: bool) -> usize {
        let (mut product, mut k) = (1, 0);
        while k < AXES {
            if (self.stays >> k & 1 != 0) == of_those_that_stay {
                product *= self.extents[k] as usize;
            }
            k += 1;
        }
        product
    }

    /// The same extents with those axes left out that are not of the kind: places along them, as steps in the input.
    fn walk(&self, along_those_that_stay: bool) -> Walk {
        let (mut walk, mut step) = (Walk { extents: [1; AXES], steps: [0; AXES], at: [0; AXES], place: 0 }, 1);
        for k in 0..AXES {
            if (self.stays >> k & 1 != 0) == along_those_that_stay {
                walk.extents[k] = self.extents[k];
            }
            walk.steps[k] = step;
            step = step.wrapping_mul(self.extents[k] as usize);
        }
        walk
    }

    fn check(&self, x: usize, y: usize) -> Result<(), Error> {
        length(Arg::X, self.input(), x)?;
        length(Arg::Y, self.output(), y)
    }
}

/// A walk over some axes of a tensor, the innermost one fastest.
struct Walk {
    extents: [u32; AXES],
    steps: [usize; AXES],
    at: [u32; AXES],
    place: usize,
}

impl Walk {
    /// On by `by` along the innermost axis, which divides its extent or is it, or to the next place; starts again at the end.
    #[inline(always)]
    fn advance(&mut self, by: u32) {
        let mut by = by;
        for k in 0..AXES {
            self.at[k] = self.at[k].wrapping_add(by);
            self.place = self.place.wrapping_add(self.steps[k].wrapping_mul(by as usize));
            if self.at[k] < self.extents[k] {
                return;
            }
            self.place = self.place.wrapping_sub(self.steps[k].wrapping_mul(self.at[k] as usize));
            self.at[k] = 0;
            by = 1;
        }
    }
}

/// How two numbers become one, and what a result is made of.
trait Combine<T>: Copy {
    /// Where it starts.
    const START: i32;

    /// One more element.
    fn with(self, sum: i32, x: T) -> i32;

    /// A sum with another one.
    fn join(self, sum: i32, other: i32) -> i32;

    /// The code of a result.
    fn finish(self, sum: i32) -> T;
}

struct Run<'a, C, T> {
    of: &'a Reduction,
    combine: C,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Code, C: Combine<T>> Kernel for Run<'_, C, T> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let Self { of, combine, x, y } = self;
        let inner = of.extents[0] as usize;
        let mut results = of.walk(true);
        if of.stays & 1 != 0 {
            // Results lie side by side: some at a time, and all elements of each of them.
            let terms = of.terms();
            for row in y.chunks_exact_mut(inner.max(1)) {
                for tile in row.chunks_mut(TILE) {
                    let mut sums = [C::START; TILE];
                    let mut places = of.walk(false);
                    for _ in 0..terms {
                        let x = x.get(results.place.wrapping_add(places.place)..).unwrap_or_default();
                        for ((sum, &x), _) in sums.iter_mut().zip(x).zip(tile.iter()) {
                            *sum = combine.with(*sum, x);
                        }
                        places.advance(1);
                    }
                    for (y, &sum) in tile.iter_mut().zip(&sums) {
                        *y = combine.finish(sum);
                    }
                    results.advance(tile.len() as u32);
                }
            }
        } else {
            // Elements of a result lie side by side.
            let rows = of.terms() / inner.max(1);
            for y in y {
                let mut sum = C::START;
                let mut places = of.walk(false);
                for _ in 0..rows {
                    let x = x.get(results.place.wrapping_add(places.place)..).unwrap_or_default();
                    let of_row = x.iter().take(inner).fold(C::START, |sum, &x| combine.with(sum, x));
                    sum = combine.join(sum, of_row);
                    places.advance(inner as u32);
                }
                *y = combine.finish(sum);
                results.advance(1);
            }
        }
    }
}

/// Mean or sum along some axes: `y = clamp(m (Σ x - n z1) + z)`: [`MeanS8`], [`MeanS16`].
///
/// `m` is `s1 / s`, for a mean divided by the number of terms `n`, on the mantissa and truncated, as TFLite does it.
///
/// # Accuracy
/// The bytes of TFLite Micro's reference kernels (`MEAN`, `SUM`), on every backend.
///
/// # Example
/// ```
/// use scrimp::Quantization;
/// use scrimp::nn::{MeanS8, Reduction};
/// const X: Quantization = Quantization::new(0.5, 0);
/// static SHAPE: Reduction = scrimp::expect!(Reduction::new(&[2, 3], &[1]));
/// static MEAN: MeanS8 = scrimp::expect!(MeanS8::new(SHAPE, X, X));
/// let mut y = [0; 2];
/// MEAN.run(&[1, 2, 3, -4, -4, -4], &mut y)?;
/// assert_eq!(y, [2, -4]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mean<T> {
    shape: Reduction,
    multiplier: Multiplier,
    of_x: i32,
    of_y: i32,
    codes: PhantomData<T>,
}

/// [`Mean`] of 8-bit codes.
pub type MeanS8 = Mean<i8>;
/// [`Mean`] of 16-bit codes, whose zero points are 0.
pub type MeanS16 = Mean<i16>;

impl<T: Activated> Mean<T> {
    /// The mean.
    ///
    /// # Errors
    /// `Error::Config` if a scale or zero point is not usable (a zero point of 16-bit codes is 0), `Error::TooLarge` for so
    /// many terms that their sum may leave 32 bits.
    pub const fn new(shape: Reduction, x: Quantization, y: Quantization) -> Result<Self, Error> {
        match Self::sum(shape, x, y) {
            Ok(mut of) => {
                let Multiplier { mantissa, shift } = of.multiplier;
                let terms = at_least_one(shape.terms());
                // The largest shift that keeps 31 bits of the mantissa, unless the multiplier is then too small for one.
                let log2 = terms.ilog2() as i32;
                let by = if log2 < 31 + shift { log2 } else { 31 + shift };
                // Checked, though there is at least one term: not every compiler still knows that here, and would keep a panic.
                if let Some(mantissa) = ((mantissa as i64) << by).checked_div(terms as i64) {
                    of.multiplier = Multiplier { mantissa: mantissa as i32, shift: shift - by };
                }
                Ok(of)
            }
            Err(error) => Err(error),
        }
    }

    /// The sum.
    ///
    /// # Errors
    /// As [`Mean::new`].
    pub const fn sum(shape: Reduction, x: Quantization, y: Quantization) -> Result<Self, Error> {
        if let Err(error) = check::<T>(x) {
            return Err(error);
        }
        if let Err(error) = check::<T>(y) {
            return Err(error);
        }
        let most = (i32::MAX / (T::MAX - T::MIN)) as usize;
        if shape.terms() > most {
            return Err(Error::TooLarge { what: Arg::Axes, max: most, got: shape.terms() });
        }
        match Multiplier::from_real(x.scale as f64 / y.scale as f64) {
            Some(multiplier) => {
                Ok(Self { shape, multiplier, of_x: x.zero_point, of_y: y.zero_point, codes: PhantomData })
            }
            None => Err(Error::Config { what: Rule::Scale }),
        }
    }

    /// The shape and its axes.
    #[must_use]
    pub const fn shape(&self) -> &Reduction {
        &self.shape
    }

    /// Writes the results to `y`.
    ///
    /// # Errors
    /// `Error::Length` if a slice has not as many elements as the shape says; `y` is then untouched.
    pub fn run(&self, x: &[T], y: &mut [T]) -> Result<(), Error> {
        self.shape.check(x.len(), y.len())?;
        <T as sealed::EntryMean>::run(self, x, y);
        Ok(())
    }

    /// [`Mean::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Mean::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[T], y: &mut [T]) -> Result<(), Error> {
        self.shape.check(x.len(), y.len())?;
        mean_on(backend, self, x, y);
        Ok(())
    }
}

pub(crate) mod sealed {
    use super::{Mean, Reduce};

    /// What [`Mean`] does, compiled here.
    pub trait EntryMean: Sized {
        /// Of checked lengths.
        fn run(of: &Mean<Self>, x: &[Self], y: &mut [Self]);
    }

    /// What [`Reduce`] does, compiled here.
    pub trait EntryReduce: Sized {
        /// Of checked lengths.
        fn run(of: &Reduce<Self>, x: &[Self], y: &mut [Self]);
    }
}

macro_rules! entry {
    ($type:ty) => {
        impl sealed::EntryMean for $type {
            fn run(of: &Mean<Self>, x: &[Self], y: &mut [Self]) {
                mean_on(Auto, of, x, y);
            }
        }

        impl sealed::EntryReduce for $type {
            fn run(of: &Reduce<Self>, x: &[Self], y: &mut [Self]) {
                reduce_on(Auto, of, x, y);
            }
        }
    };
}
for_activated!(entry);

fn mean_on<D: Dispatch, T: Code>(backend: D, of: &Mean<T>, x: &[T], y: &mut [T]) {
    let offset = (of.shape.terms() as i32).wrapping_mul(of.of_x);
    let combine = Sum { offset, multiplier: of.multiplier, zero_point: of.of_y };
    backend.dispatch(Run { of: &of.shape, combine, x, y });
}

fn reduce_on<D: Dispatch, T: Code>(backend: D, of: &Reduce<T>, x: &[T], y: &mut [T]) {
    backend.dispatch(Run { of: &of.shape, combine: Largest { flip: of.flip }, x, y });
}

#[derive(Clone, Copy)]
struct Sum {
    offset: i32,
    multiplier: Multiplier,
    zero_point: i32,
}

impl<T: Code> Combine<T> for Sum {
    const START: i32 = 0;

    #[inline(always)]
    fn with(self, sum: i32, x: T) -> i32 {
        sum.wrapping_add(x.widen())
    }

    #[inline(always)]
    fn join(self, sum: i32, other: i32) -> i32 {
        sum.wrapping_add(other)
    }

    #[inline(always)]
    fn finish(self, sum: i32) -> T {
        let scaled = requantize(sum.wrapping_sub(self.offset), self.multiplier, Rounding::Double);
        T::saturate(scaled.wrapping_add(self.zero_point))
    }
}

/// The largest or the smallest code along some axes: [`ReduceS8`], [`ReduceS16`]. Input and output are quantized alike.
///
/// # Example
/// ```
/// use scrimp::nn::{ReduceS8, Reduction};
/// static MAX: ReduceS8 = ReduceS8::max(scrimp::expect!(Reduction::new(&[2, 3], &[0])));
/// let mut y = [0; 3];
/// MAX.run(&[1, 9, -3, 4, 5, -6], &mut y)?;
/// assert_eq!(y, [4, 9, -3]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reduce<T> {
    shape: Reduction,
    /// All bits turn over on the way in and out for a minimum, 0 for a maximum.
    flip: i32,
    codes: PhantomData<T>,
}

/// [`Reduce`] of 8-bit codes.
pub type ReduceS8 = Reduce<i8>;
/// [`Reduce`] of 16-bit codes.
pub type ReduceS16 = Reduce<i16>;

impl<T: Activated> Reduce<T> {
    /// The largest one.
    #[must_use]
    pub const fn max(shape: Reduction) -> Self {
        Self { shape, flip: 0, codes: PhantomData }
    }

    /// The smallest one.
    #[must_use]
    pub const fn min(shape: Reduction) -> Self {
        Self { shape, flip: -1, codes: PhantomData }
    }

    /// The shape and its axes.
    #[must_use]
    pub const fn shape(&self) -> &Reduction {
        &self.shape
    }

    /// Writes the results to `y`.
    ///
    /// # Errors
    /// `Error::Length` if a slice has not as many elements as the shape says; `y` is then untouched.
    pub fn run(&self, x: &[T], y: &mut [T]) -> Result<(), Error> {
        self.shape.check(x.len(), y.len())?;
        <T as sealed::EntryReduce>::run(self, x, y);
        Ok(())
    }

    /// [`Reduce::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`Reduce::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[T], y: &mut [T]) -> Result<(), Error> {
        self.shape.check(x.len(), y.len())?;
        reduce_on(backend, self, x, y);
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Largest {
    flip: i32,
}

impl<T: Code> Combine<T> for Largest {
    const START: i32 = i32::MIN;

    #[inline(always)]
    fn with(self, sum: i32, x: T) -> i32 {
        sum.max(x.widen() ^ self.flip)
    }

    #[inline(always)]
    fn join(self, sum: i32, other: i32) -> i32 {
        sum.max(other)
    }

    #[inline(always)]
    fn finish(self, sum: i32) -> T {
        T::saturate(sum ^ self.flip)
    }
}
