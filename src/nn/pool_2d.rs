//! Pools over pictures in integers: TFLite's `AVERAGE_POOL_2D` and `MAX_POOL_2D`.
//!
//! Both are of codes: input and output have the same scale and zero point. The mean is that of the taps inside, of which there
//! are fewer at the edges, rounded half away from zero *in codes*.

use core::marker::PhantomData;
use core::num::NonZeroU32;

use super::activation::Activation;
use super::element::{Blocks, LANES};
use super::window::{Inside, Pixels, Window2d};
use crate::backend::{Auto, Backend, Dispatch, Kernel, POOL_CHANNELS, Taps};
use crate::error::{Arg, Error, Rule};
use crate::fixedpoint::Quantization;

/// Most taps: no sum of 16 bits reaches 2^31.
const MOST_TAPS: usize = 1 << 16;

/// What a pool needs to know of its elements.
trait Element: Copy {
    const LEAST: i32;

    fn widen(self) -> i32;

    fn narrow(code: i32) -> Self;

    /// The same as bytes, where elements are.
    fn bytes(x: &[Self]) -> Option<&[i8]>;
}

impl Element for i8 {
    const LEAST: i32 = Self::MIN as i32;

    #[inline(always)]
    fn widen(self) -> i32 {
        i32::from(self)
    }

    #[inline(always)]
    fn narrow(code: i32) -> Self {
        code as Self
    }

    #[inline(always)]
    fn bytes(x: &[Self]) -> Option<&[i8]> {
        Some(x)
    }
}

impl Element for i16 {
    const LEAST: i32 = Self::MIN as i32;

    #[inline(always)]
    fn widen(self) -> i32 {
        i32::from(self)
    }

    #[inline(always)]
    fn narrow(code: i32) -> Self {
        code as Self
    }

    #[inline(always)]
    fn bytes(_: &[Self]) -> Option<&[i8]> {
        None
    }
}

/// What follows from shape and activation.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Plan {
    window: Window2d,
    min: i32,
    max: i32,
}

impl Plan {
    const fn new(window: Window2d, min: i32, max: i32) -> Result<Self, Error> {
        if window.taps() > MOST_TAPS {
            return Err(Error::TooLarge { what: Arg::Kernel, max: MOST_TAPS, got: window.taps() });
        }
        if !window.has_no_empty_window() {
            return Err(Error::Config { what: Rule::EmptyWindow });
        }
        match window.output(window.input().channels()) {
            Ok(_) => Ok(Self { window, min, max }),
            Err(error) => Err(error),
        }
    }

    const fn s8(window: Window2d, codes: Quantization, activation: Activation) -> Result<Self, Error> {
        if !codes.has_usable_scale() {
            return Err(Error::Config { what: Rule::Scale });
        }
        if !codes.fits_s8() {
            return Err(Error::Config { what: Rule::ZeroPoint });
        }
        let (min, max) = activation.range_s8(codes);
        Self::new(window, min as i32, max as i32)
    }

    const fn s16(window: Window2d, codes: Quantization, activation: Activation) -> Result<Self, Error> {
        if !codes.has_usable_scale() {
            return Err(Error::Config { what: Rule::Scale });
        }
        if !codes.fits_s16() {
            return Err(Error::Config { what: Rule::ZeroPoint });
        }
        let (min, max) = activation.range_s16(codes);
        Self::new(window, min as i32, max as i32)
    }

    fn run<D: Dispatch, T: Element, F: Fold>(&self, backend: D, _: F, x: &[T], y: &mut [T]) -> Result<(), Error> {
        let input = self.window.input();
        input.check(Arg::X, x.len())?;
        self.window.output(input.channels())?.check(Arg::Y, y.len())?;
        backend.dispatch(Run::<T, F> { plan: self, fold: PhantomData, x, y });
        Ok(())
    }
}

/// What is done with the taps of a window.
trait Fold: Copy {
    fn start<T: Element>() -> i32;

    fn add(sum: i32, x: i32) -> i32;

    fn finish(sum: i32, taps: NonZeroU32) -> i32;

    /// Of several channels by a loop of the backend's.
    fn wide<B: Backend>(b: B, x: &[i8], taps: &Taps) -> Option<[i32; POOL_CHANNELS]>;
}

#[derive(Clone, Copy)]
struct Mean;

impl Fold for Mean {
    #[inline(always)]
    fn start<T: Element>() -> i32 {
        0
    }

    #[inline(always)]
    fn add(sum: i32, x: i32) -> i32 {
        sum.wrapping_add(x)
    }

    #[inline(always)]
    fn finish(sum: i32, taps: NonZeroU32) -> i32 {
        let rounded = (sum.unsigned_abs() + taps.get() / 2) / taps;
        if sum < 0 { -(rounded as i32) } else { rounded as i32 }
    }

    #[inline(always)]
    fn wide<B: Backend>(b: B, x: &[i8], taps: &Taps) -> Option<[i32; POOL_CHANNELS]> {
        b.sums_s8(x, taps)
    }
}

#[derive(Clone, Copy)]
struct Most;

impl Fold for Most {
    #[inline(always)]
    fn start<T: Element>() -> i32 {
        T::LEAST
    }

    #[inline(always)]
    fn add(most: i32, x: i32) -> i32 {
        most.max(x)
    }

    #[inline(always)]
    fn finish(most: i32, _: NonZeroU32) -> i32 {
        most
    }

    #[inline(always)]
    fn wide<B: Backend>(b: B, x: &[i8], taps: &Taps) -> Option<[i32; POOL_CHANNELS]> {
        b.most_s8(x, taps)
    }
}

macro_rules! pool {
    ($name:ident, $element:ty, $plan:ident, $fold:ident, $what:literal, $example:literal) => {
        #[doc = $what]
        ///
        /// # Accuracy
        /// TFLite's bytes on every backend.
        ///
        /// # Example
        /// ```
        /// use scrimp::Quantization;
        #[doc = concat!("use scrimp::nn::{Activation, ", stringify!($name), ", Window2d};")]
        /// use scrimp::shape::Nhwc;
        /// let window = Window2d::valid(Nhwc::new(1, 2, 2, 1)?, [2, 2], [2, 2], [1, 1])?;
        #[doc = concat!("let pool = ", stringify!($name), "::new(window, Quantization::new(0.1, 0), Activation::None)?;")]
        /// let mut y = [0];
        /// pool.run(&[1, -5, -7, 2], &mut y)?;
        #[doc = $example]
        /// # Ok::<(), scrimp::Error>(())
        /// ```
        #[derive(Clone, Copy, Debug)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name(Plan);

        impl $name {
            /// For codes of this scale and zero point.
            ///
            /// # Errors
            /// `Error::TooLarge` beyond 65,536 taps; `Error::Config` if the scale is not positive and finite, the zero point
            /// not of the type (16 bits have none), or a window lies wholly beyond the edges.
            pub const fn new(window: Window2d, codes: Quantization, activation: Activation) -> Result<Self, Error> {
                match Plan::$plan(window, codes, activation) {
                    Ok(plan) => Ok(Self(plan)),
                    Err(error) => Err(error),
                }
            }

            /// Runs it.
            ///
            /// # Errors
            /// `Error::Length` if a slice is not of its shape; `y` is then untouched.
            pub fn run(&self, x: &[$element], y: &mut [$element]) -> Result<(), Error> {
                self.run_on(Auto, x, y)
            }

            #[doc = concat!("[`", stringify!($name), "::run`] under a backend of your choice.")]
            ///
            /// # Errors
            #[doc = concat!("As [`", stringify!($name), "::run`].")]
            pub fn run_on<D: Dispatch>(&self, backend: D, x: &[$element], y: &mut [$element]) -> Result<(), Error> {
                self.0.run(backend, $fold, x, y)
            }
        }
    };
}

pool!(AveragePool2dS8, i8, s8, Mean, "The mean of each window of 8-bit pictures.", "assert_eq!(y, [-2]); // -9 / 4");
pool!(
    AveragePool2dS16,
    i16,
    s16,
    Mean,
    "The mean of each window of 16-bit pictures.",
    "assert_eq!(y, [-2]); // -9 / 4"
);
pool!(MaxPool2dS8, i8, s8, Most, "The largest code of each window of 8-bit pictures.", "assert_eq!(y, [2]);");
pool!(MaxPool2dS16, i16, s16, Most, "The largest code of each window of 16-bit pictures.", "assert_eq!(y, [2]);");

struct Run<'a, T, F> {
    plan: &'a Plan,
    fold: PhantomData<F>,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Element, F: Fold> Kernel for Run<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let Self { plan, x, mut y, .. } = self;
        let window = plan.window;
        let input = window.input();
        let (channels, [height, width]) = (input.channels(), window.output_size());
        let mut pixels = Pixels::of(&window);
        let mut pictures = x;
        while !y.is_empty() {
            for _ in 0..height * width {
                let Some((now, rest)) = core::mem::take(&mut y).split_at_mut_checked(channels.max(1)) else { return };
                y = rest;
                let (row, col) = pixels.next();
                let taps = NonZeroU32::new((row.len() * col.len()) as u32).unwrap_or(NonZeroU32::MIN);
                if plan.pixel::<B, T, F>(b, pictures, (&row, &col), taps, now) {
                    continue;
                }
                for (c, is_block) in Blocks::of(channels, false) {
                    let y = now.get_mut(c..).unwrap_or(&mut []);
                    if is_block {
                        plan.channels::<T, F, LANES>(pictures, (&row, &col), c, taps, y);
                    } else {
                        plan.channels::<T, F, 1>(pictures, (&row, &col), c, taps, y);
                    }
                }
            }
            pictures = pictures.get(input.height() * input.width() * channels..).unwrap_or(&[]);
        }
    }
}

impl Plan {
    /// All channels of one output pixel by a loop of the backend's; `false` if there is none.
    #[inline(always)]
    fn pixel<B: Backend, T: Element, F: Fold>(
        &self,
        b: B,
        x: &[T],
        (row, col): (&Inside, &Inside),
        taps: NonZeroU32,
        y: &mut [T],
    ) -> bool {
        let Some(x) = T::bytes(x) else { return false };
        let Some(last) = y.len().checked_sub(POOL_CHANNELS) else { return false };
        let [row_step, col_step] = self.window.steps();
        let window = Taps { rows: row.len(), cols: col.len(), row: row_step, col: col_step };
        let start = self.window.start(row, col);
        let mut c = 0;
        while c < y.len() {
            // The last few overlap those before them.
            let at = c.min(last);
            let Some(sums) = F::wide(b, x.get(start + at..).unwrap_or_default(), &window) else { return false };
            for (y, sum) in y.iter_mut().skip(at).zip(sums) {
                *y = T::narrow(F::finish(sum, taps).min(self.max).max(self.min));
            }
            c += POOL_CHANNELS;
        }
        true
    }

    /// `N` channels of one output pixel, from `c` on.
    #[inline(always)]
    fn channels<T: Element, F: Fold, const N: usize>(
        &self,
        x: &[T],
        (row, col): (&Inside, &Inside),
        c: usize,
        taps: NonZeroU32,
        y: &mut [T],
    ) {
        let [row_step, col_step] = self.window.steps();
        let mut sums = [F::start::<T>(); N];
        let mut start = self.window.start(row, col) + c;
        for _ in 0..row.len() {
            let mut x = x.get(start..).unwrap_or(&[]);
            for _ in 0..col.len() {
                let Some(from) = x.first_chunk::<N>() else { break };
                for j in 0..N {
                    sums[j] = F::add(sums[j], from[j].widen());
                }
                x = x.get(col_step..).unwrap_or(&[]);
            }
            start += row_step;
        }
        for (y, sum) in y.iter_mut().zip(sums) {
            *y = T::narrow(F::finish(sum, taps).min(self.max).max(self.min));
        }
    }
}
