//! The mean of four pixels, weighted by how near they are.
//!
//! TFLite's integer form: positions and weights in units of 1/1024, `p = i * scale` or `i * scale + scale/2 - 512`, from the
//! scale rounded to such a unit; the sum of the four products is in units of 2^-20 and rounded once, ties away from zero. That
//! sum is taken here column by column, which is the same number.

use super::{Align, Sizes};
use crate::backend::{Auto, Backend, Dispatch, Kernel};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::rounding_shift_right;

/// 1, in units of positions and weights.
const ONE: i32 = 1 << 10;

mod sealed {
    /// What the loop needs to know of a type.
    pub trait Pixel: Copy {
        /// The number as stored.
        fn widen(self) -> i32;

        /// `(a (1024 - weight) + b weight) / 2^20`, rounded, for a weight of 0 to 1023.
        fn mean(a: i32, b: i32, weight: i32) -> Self;
    }
}

/// Types of pixels that a mean is taken of: `i8` and `i16`.
pub trait BilinearPixel: sealed::Pixel {}

impl sealed::Pixel for i8 {
    #[inline(always)]
    fn widen(self) -> i32 {
        self.into()
    }

    #[inline(always)]
    fn mean(a: i32, b: i32, weight: i32) -> Self {
        // `a` and `b` are of 18 bits.
        rounding_shift_right(a.wrapping_mul(ONE.wrapping_sub(weight)).wrapping_add(b.wrapping_mul(weight)), 20) as Self
    }
}

impl sealed::Pixel for i16 {
    #[inline(always)]
    fn widen(self) -> i32 {
        self.into()
    }

    #[inline(always)]
    fn mean(a: i32, b: i32, weight: i32) -> Self {
        let product = |x: i32, weight: i32| i64::from(x).wrapping_mul(weight.into());
        let sum = product(a, ONE.wrapping_sub(weight)).wrapping_add(product(b, weight));
        (sum.wrapping_add((1 << 19) - i64::from(sum <= 0)) >> 20) as Self
    }
}

impl BilinearPixel for i8 {}
impl BilinearPixel for i16 {}

/// Each pixel of the output is a weighted mean of four of the input: TFLite's `RESIZE_BILINEAR` on integers.
///
/// # Accuracy
/// TFLite's bytes, on every backend. (Beyond 500 times the size, where its rounded scale leads it out of the picture, the
/// edge goes on.)
///
/// # Example
/// ```
/// use scrimp::nn::{Align, ResizeBilinear};
/// let twice = ResizeBilinear::new([1, 1, 2, 1], [1, 4], Align { corners: false, half_pixel_centers: true })?;
/// let mut y = [0i8; 4];
/// twice.run(&[0, 100], &mut y)?;
/// assert_eq!(y, [0, 25, 75, 100]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResizeBilinear {
    sizes: Sizes,
    scales: [i32; 2],
    half_pixel_centers: bool,
}

impl ResizeBilinear {
    /// A picture of `[batch, height, width, channels]` gets the height and width of `size`.
    ///
    /// # Errors
    /// `Error::Empty` if something is zero; `Error::TooLarge` for a side beyond 65,536; `Error::Config` if `align` says both.
    pub const fn new(shape: [usize; 4], size: [usize; 2], align: Align) -> Result<Self, Error> {
        if align.corners && align.half_pixel_centers {
            return Err(Error::Config { what: Rule::Align });
        }
        match Sizes::new(shape, size) {
            Ok(sizes) => Ok(Self {
                sizes,
                scales: [scale(shape[1], size[0], align), scale(shape[2], size[1], align)],
                half_pixel_centers: align.half_pixel_centers,
            }),
            Err(error) => Err(error),
        }
    }

    /// Resizes.
    ///
    /// # Errors
    /// `Error::Length` if `x` or `y` has not the length of its shape; `y` is then untouched.
    #[inline]
    pub fn run<T: BilinearPixel>(&self, x: &[T], y: &mut [T]) -> Result<(), Error> {
        self.run_on(Auto, x, y)
    }

    /// [`ResizeBilinear::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`ResizeBilinear::run`].
    pub fn run_on<D: Dispatch, T: BilinearPixel>(&self, backend: D, x: &[T], y: &mut [T]) -> Result<(), Error> {
        let [of_x, of_y] = self.sizes.elements();
        length(Arg::X, of_x, x.len())?;
        length(Arg::Y, of_y, y.len())?;
        backend.dispatch(Run { of: self, x, y });
        Ok(())
    }

    /// The two neighbours of pixel `i` of a side, and the weight of the second.
    #[inline(always)]
    fn neighbours(&self, side: usize, i: usize) -> (usize, usize, i32) {
        let [scale, last] = [self.scales[side], (self.sizes.x[side] as i32).wrapping_sub(1)];
        let half = if self.half_pixel_centers { (scale >> 1).wrapping_sub(ONE / 2) } else { 0 };
        let position = (i as i32).wrapping_mul(scale).wrapping_add(half);
        // Before the first centre both are the first pixel, and behind the last one both the last.
        let inside = position.max(0);
        let (low, high) = (inside >> 10, inside.wrapping_add(ONE - 1) >> 10);
        (low.min(last) as usize, high.min(last) as usize, inside & (ONE - 1))
    }
}

/// Input pixels for one of the output, in units of 1/1024.
const fn scale(x: usize, y: usize, align: Align) -> i32 {
    let (x, y) = if align.corners && y > 1 { (x - 1, y - 1) } else { (x, y) };
    // Sides are at most 65,536 and at least 1, as `Sizes` has them.
    match (x as u32 * ONE as u32 + y as u32 / 2).checked_div(y as u32) {
        Some(scale) => scale as i32,
        None => 0,
    }
}

struct Run<'a, T> {
    of: &'a ResizeBilinear,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: BilinearPixel> Kernel for Run<'_, T> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let Self { of, x, y } = self;
        let Sizes { x: [height, width], y: [rows, cols], channels, .. } = of.sizes;
        let channels = channels.max(1);
        let (of_row, of_picture) = (width.wrapping_mul(channels), height.wrapping_mul(width).wrapping_mul(channels));
        let y_row = cols.wrapping_mul(channels).max(1);
        for (x, y) in x.chunks_exact(of_picture.max(1)).zip(y.chunks_exact_mut(y_row.wrapping_mul(rows).max(1))) {
            for (i, y) in y.chunks_exact_mut(y_row).enumerate() {
                let (upper, lower, down) = of.neighbours(0, i);
                let up = ONE.wrapping_sub(down);
                let row = |at: usize| x.get(at.wrapping_mul(of_row)..).unwrap_or(&[]);
                let (upper, lower) = (row(upper), row(lower));
                for (j, y) in y.chunks_exact_mut(channels).enumerate() {
                    let (left, right, across) = of.neighbours(1, j);
                    let pixel = |row, at: usize| <[T]>::get(row, at.wrapping_mul(channels)..).unwrap_or(&[]);
                    let lefts = pixel(upper, left).iter().zip(pixel(lower, left));
                    let rights = pixel(upper, right).iter().zip(pixel(lower, right));
                    for ((y, (a, c)), (b, d)) in y.iter_mut().zip(lefts).zip(rights) {
                        let column = |upper: T, lower: T| {
                            upper.widen().wrapping_mul(up).wrapping_add(lower.widen().wrapping_mul(down))
                        };
                        *y = T::mean(column(*a, *c), column(*b, *d), across);
                    }
                }
            }
        }
    }
}
