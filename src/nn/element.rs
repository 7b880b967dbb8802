//! What layers on pictures share between 8 and 16 bits: rows through a layer, and sums that become outputs.

use crate::backend::{Backend, DotRows, LayerS8, LayerS16, Lines, OutputsS8, OutputsS16, Rows};

/// A fully connected layer as a backend takes it.
pub(super) trait RowLayer: Copy {
    type Element: Copy;

    /// Rows through the layer into rows of `y`.
    fn rows<B: Backend>(&self, b: B, rows: Rows<'_, Self::Element>, y: &mut [Self::Element]);

    /// Copies lines.
    fn copy_lines<B: Backend>(b: B, lines: Lines, from: &[Self::Element], to: &mut [Self::Element]);

    /// Some of its outputs as a layer of their own, where weights lie row by row.
    fn part(&self, first: usize, n: usize) -> Option<Self>;
}

impl RowLayer for LayerS8<'_> {
    type Element = i8;

    #[inline(always)]
    fn rows<B: Backend>(&self, b: B, rows: Rows<'_, i8>, y: &mut [i8]) {
        /// The loops once in a firmware, however many kernels end in them. Where instruction sets are chosen at run time they
        /// must be inlined into their caller.
        #[inline(never)]
        fn shared<B: Backend>(b: B, layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
            DotRows::linear_s8(b, layer, rows, y);
        }
        if cfg!(target_arch = "arm") { shared(b, self, rows, y) } else { DotRows::linear_s8(b, self, rows, y) }
    }

    #[inline(always)]
    fn copy_lines<B: Backend>(b: B, lines: Lines, from: &[i8], to: &mut [i8]) {
        DotRows::copy_lines_s8(b, lines, from, to);
    }

    #[inline(always)]
    fn part(&self, first: usize, n: usize) -> Option<Self> {
        LayerS8::part(self, first, n)
    }
}

impl RowLayer for LayerS16<'_> {
    type Element = i16;

    #[inline(always)]
    fn rows<B: Backend>(&self, b: B, rows: Rows<'_, i16>, y: &mut [i16]) {
        #[inline(never)]
        fn shared<B: Backend>(b: B, layer: &LayerS16<'_>, rows: Rows<'_, i16>, y: &mut [i16]) {
            DotRows::linear_s16(b, layer, rows, y);
        }
        if cfg!(target_arch = "arm") { shared(b, self, rows, y) } else { DotRows::linear_s16(b, self, rows, y) }
    }

    #[inline(always)]
    fn copy_lines<B: Backend>(_: B, lines: Lines, from: &[i16], to: &mut [i16]) {
        lines.copy(from, to);
    }

    #[inline(always)]
    fn part(&self, first: usize, n: usize) -> Option<Self> {
        LayerS16::part(self, first, n)
    }
}

/// How products are summed up and what becomes of a sum.
pub(super) trait Rule: Copy {
    type Element: Copy;
    type Sum: Copy + Default;

    /// `sum + x w`.
    fn add(sum: Self::Sum, x: i32, w: i8) -> Self::Sum;

    fn widen(x: Self::Element) -> i32;

    /// The outputs from `o` on, of sums without their bias.
    fn finish<const N: usize>(&self, o: usize, sums: [Self::Sum; N], y: &mut [Self::Element]);
}

impl Rule for OutputsS8<'_> {
    type Element = i8;
    type Sum = i32;

    #[inline(always)]
    fn add(sum: i32, x: i32, w: i8) -> i32 {
        sum.wrapping_add(x * i32::from(w))
    }

    #[inline(always)]
    fn widen(x: i8) -> i32 {
        i32::from(x)
    }

    #[inline(always)]
    fn finish<const N: usize>(&self, o: usize, sums: [i32; N], y: &mut [i8]) {
        let (Some(bias), Some(mantissa), Some(shift), Some(y)) = (
            chunk::<_, N>(self.bias, o),
            chunk::<_, N>(self.mantissa, o),
            chunk::<_, N>(self.shift, o),
            y.first_chunk_mut::<N>(),
        ) else {
            return;
        };
        for j in 0..N {
            y[j] = self.quantize(sums[j].wrapping_add(bias[j]), mantissa[j], shift[j]);
        }
    }
}

impl Rule for OutputsS16<'_> {
    type Element = i16;
    type Sum = i64;

    #[inline(always)]
    fn add(sum: i64, x: i32, w: i8) -> i64 {
        sum.wrapping_add(i64::from(x * i32::from(w)))
    }

    #[inline(always)]
    fn widen(x: i16) -> i32 {
        i32::from(x)
    }

    #[inline(always)]
    fn finish<const N: usize>(&self, o: usize, sums: [i64; N], y: &mut [i16]) {
        for (j, (y, sum)) in y.iter_mut().zip(sums).enumerate() {
            *y = self.of(o + j, sum);
        }
    }
}

/// `N` elements from `at` on.
#[inline(always)]
pub(super) fn chunk<T, const N: usize>(from: &[T], at: usize) -> Option<&[T; N]> {
    from.get(at..)?.first_chunk::<N>()
}

/// Channels that are worked on at a time: as many as sums fit the registers of a vector unit, or of a core without one.
pub(super) const LANES: usize = if cfg!(all(target_arch = "arm", not(scrimp_picked = "helium"))) { 4 } else { 8 };

/// Divides channels into blocks of [`LANES`], the last of which may overlap the one before it; fewer channels stand alone.
pub(super) struct Blocks {
    next: usize,
    channels: usize,
    is_wide: bool,
}

impl Blocks {
    /// None of [`LANES`] if `is_narrow`.
    #[inline(always)]
    pub(super) const fn of(channels: usize, is_narrow: bool) -> Self {
        Self { next: 0, channels, is_wide: channels >= LANES && !is_narrow }
    }
}

impl Iterator for Blocks {
    /// The first channel, and whether it is a block.
    type Item = (usize, bool);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, bool)> {
        let at = self.next;
        if at >= self.channels {
            return None;
        }
        if self.is_wide {
            self.next = at + LANES;
            Some((at.min(self.channels - LANES), true))
        } else {
            self.next = at + 1;
            Some((at, false))
        }
    }
}
