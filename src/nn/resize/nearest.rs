//! The nearest pixel.
//!
//! TFLite finds it in f32: `floor((i + 1/2) * scale)`, or rounded, with `scale` an f32 quotient. Where that product is nearly
//! an integer, its rounding decides. It is done here in integers, so that a target without a floating-point unit needs no
//! library for it: the product of two exact numbers, rounded to 24 bits, ties to even.

use super::super::copy;
use super::super::moves::MoveElement;
use super::{Align, Sizes};
use crate::error::{Arg, Error, length};

/// Each pixel of the output is one of the input: TFLite's `RESIZE_NEAREST_NEIGHBOR`.
///
/// # Accuracy
/// TFLite's pixels, the roundings of its f32 included.
///
/// # Example
/// ```
/// use scrimp::nn::{Align, ResizeNearest};
/// static TWICE: ResizeNearest = scrimp::expect!(ResizeNearest::new([1, 1, 2, 1], [1, 4], Align {
///     corners: false,
///     half_pixel_centers: true,
/// }));
/// let mut y = [0i8; 4];
/// TWICE.run(&[5, 7], &mut y)?;
/// assert_eq!(y, [5, 5, 7, 7]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResizeNearest {
    sizes: Sizes,
    scales: [Scale; 2],
    align: Align,
}

/// An f32: `mantissa / 2^shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Scale {
    mantissa: u32,
    shift: u32,
}

impl Scale {
    const fn new(x: usize, y: usize, align: Align) -> Self {
        let scale = if align.corners && y > 1 { (x - 1) as f32 / (y - 1) as f32 } else { x as f32 / y as f32 };
        let bits = scale.to_bits();
        if bits == 0 {
            return Self { mantissa: 0, shift: 0 };
        }
        // From 2^-16 to 2^16, so that the shift is 7 to 39.
        Self { mantissa: (bits & 0x7F_FFFF) | 0x80_0000, shift: 150u32.wrapping_sub(bits >> 23) }
    }

    /// The pixel that output `i` of a side is.
    #[inline(always)]
    const fn index(self, align: Align, i: usize, last: usize) -> usize {
        // In halves: below 2^18, so that the product is below 2^42.
        let halves = (i as u64).wrapping_mul(2).wrapping_add(align.half_pixel_centers as u64);
        let product = halves.wrapping_mul(self.mantissa as u64);
        let drop = 40u32.saturating_sub(product.leading_zeros());
        let half = 1u64.wrapping_shl(drop) >> 1;
        let odd = product.wrapping_shr(drop) & 1;
        let even = half.saturating_sub(1).wrapping_add(if drop == 0 { 0 } else { odd });
        let rounded = product.wrapping_add(even).wrapping_shr(drop).wrapping_shl(drop);
        let shift = self.shift.wrapping_add(1);
        let up = if align.corners { 1u64.wrapping_shl(shift) >> 1 } else { 0 };
        let index = rounded.wrapping_add(up).wrapping_shr(shift) as usize;
        if index < last { index } else { last }
    }
}

impl ResizeNearest {
    /// A picture of `[batch, height, width, channels]` gets the height and width of `size`.
    ///
    /// # Errors
    /// `Error::Empty` if something is zero; `Error::TooLarge` for a side beyond 65,536.
    pub const fn new(shape: [usize; 4], size: [usize; 2], align: Align) -> Result<Self, Error> {
        match Sizes::new(shape, size) {
            Ok(sizes) => {
                let scales = [Scale::new(shape[1], size[0], align), Scale::new(shape[2], size[1], align)];
                Ok(Self { sizes, scales, align })
            }
            Err(error) => Err(error),
        }
    }

    /// Resizes.
    ///
    /// # Errors
    /// `Error::Length` if `x` or `y` has not the length of its shape; `y` is then untouched.
    #[inline]
    pub fn run<T: MoveElement>(&self, x: &[T], y: &mut [T]) -> Result<(), Error> {
        let [of_x, of_y] = self.sizes.elements();
        length(Arg::X, of_x, x.len())?;
        length(Arg::Y, of_y, y.len())?;
        T::run_nearest(self, x, y);
        Ok(())
    }
}

pub(in super::super) fn run<T: Copy>(of: &ResizeNearest, x: &[T], y: &mut [T]) {
    let ResizeNearest { sizes: Sizes { x: [height, width], y: [rows, cols], channels, .. }, scales, align } = *of;
    let channels = channels.max(1);
    let (of_row, of_picture) = (width.wrapping_mul(channels), height.wrapping_mul(width).wrapping_mul(channels));
    let y_row = cols.wrapping_mul(channels).max(1);
    for (x, y) in x.chunks_exact(of_picture.max(1)).zip(y.chunks_exact_mut(y_row.wrapping_mul(rows).max(1))) {
        // The row before, and the row of the input that it was.
        let mut before: Option<(usize, &[T])> = None;
        for (i, y) in y.chunks_exact_mut(y_row).enumerate() {
            let row = scales[0].index(align, i, height.wrapping_sub(1));
            match before {
                Some((same, from)) if same == row => copy(from, y),
                _ => {
                    let x = x.get(row.wrapping_mul(of_row)..).unwrap_or(&[]);
                    for (j, y) in y.chunks_exact_mut(channels).enumerate() {
                        let col = scales[1].index(align, j, width.wrapping_sub(1));
                        copy(x.get(col.wrapping_mul(channels)..).unwrap_or(&[]), y);
                    }
                }
            }
            before = Some((row, y));
        }
    }
}
