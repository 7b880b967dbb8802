//! How a window moves over a picture: kernel, stride, dilation and padding of convolutions and pools, as TFLite defines
//! them.
//!
//! ```text
//! reach  = (kernel - 1) dilation + 1
//! SAME:  output = ceil(input / stride), padding = max(0, (output - 1) stride + reach - input), the smaller half before
//! VALID: output = (input - reach) / stride + 1, no padding
//! ```

use crate::backend::Axis;
use crate::error::{Arg, Error};
use crate::shape::Nhwc;

/// Most of what a window's numbers, and a padded side, may be.
const MOST: u64 = i32::MAX as u64;

/// A window over pictures of a shape, height before width in every pair.
///
/// Having one tells you that there is at least one output, and that no position overflows.
///
/// ```
/// use scrimp::nn::Window2d;
/// use scrimp::shape::Nhwc;
/// let window = Window2d::same(Nhwc::new(1, 96, 96, 3)?, [3, 3], [2, 2], [1, 1])?;
/// // 48 outputs reach over 97 rows: the odd one of padding stands behind the last row.
/// assert_eq!((window.output_size(), window.before()), ([48, 48], [0, 0]));
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window2d {
    input: Nhwc,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    before: [usize; 2],
    output: [usize; 2],
}

/// Who chooses the padding.
#[derive(Clone, Copy)]
enum Padding {
    Same,
    /// So many rows or columns before and after.
    Given([usize; 2], [usize; 2]),
}

impl Window2d {
    /// TFLite's SAME: so many outputs as the stride fits into the input, whatever the kernel.
    ///
    /// # Errors
    /// `Error::Empty` if a number is zero, `Error::TooLarge` if one, or what the window reaches over, is beyond 2^31.
    pub const fn same(
        input: Nhwc,
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
    ) -> Result<Self, Error> {
        Self::new(input, kernel, stride, dilation, Padding::Same)
    }

    /// TFLite's VALID: the window stays inside.
    ///
    /// # Errors
    /// As [`Window2d::same`], and `Error::TooLarge` if the kernel is larger than the picture.
    pub const fn valid(
        input: Nhwc,
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
    ) -> Result<Self, Error> {
        Self::padded(input, kernel, stride, dilation, [0, 0], [0, 0])
    }

    /// VALID over a picture that is padded: a `PAD` that was folded into its convolution.
    ///
    /// # Errors
    /// As [`Window2d::valid`].
    pub const fn padded(
        input: Nhwc,
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        before: [usize; 2],
        after: [usize; 2],
    ) -> Result<Self, Error> {
        Self::new(input, kernel, stride, dilation, Padding::Given(before, after))
    }

    const fn new(
        input: Nhwc,
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        padding: Padding,
    ) -> Result<Self, Error> {
        let size = [input.height(), input.width()];
        let mut window = Self { input, kernel, stride, dilation, before: [0, 0], output: [0, 0] };
        let mut axis = 0;
        while axis < 2 {
            let numbers = [
                (if axis == 0 { Arg::Height } else { Arg::Width }, size[axis]),
                (Arg::Kernel, kernel[axis]),
                (Arg::Stride, stride[axis]),
                (Arg::Dilation, dilation[axis]),
            ];
            let mut i = 0;
            while i < numbers.len() {
                let (what, number) = numbers[i];
                if number == 0 {
                    return Err(Error::Empty { what });
                }
                if number as u64 > MOST {
                    return Err(Error::TooLarge { what, max: MOST as usize, got: number });
                }
                i += 1;
            }
            let (input, stride) = (size[axis] as u64, stride[axis] as u64);
            let reach = (kernel[axis] as u64 - 1) * dilation[axis] as u64 + 1;
            if reach > MOST {
                return Err(Error::TooLarge { what: Arg::Kernel, max: MOST as usize, got: kernel[axis] });
            }
            let (before, output, padded) = match padding {
                Padding::Same => {
                    let output = input.div_ceil(stride);
                    let end = (output - 1) * stride + reach;
                    let total = end.saturating_sub(input);
                    (total / 2, output, input + total)
                }
                Padding::Given(before, after) => {
                    let (before, after) = (before[axis] as u64, after[axis] as u64);
                    if before > MOST || after > MOST {
                        return Err(Error::TooLarge {
                            what: Arg::Padding,
                            max: MOST as usize,
                            got: if before > after { before } else { after } as usize,
                        });
                    }
                    let padded = input + before + after;
                    if reach > padded {
                        return Err(Error::TooLarge { what: Arg::Kernel, max: padded as usize, got: reach as usize });
                    }
                    (before, (padded - reach) / stride + 1, padded)
                }
            };
            if padded > MOST {
                return Err(Error::TooLarge { what: Arg::Padding, max: MOST as usize, got: (padded - input) as usize });
            }
            window.before[axis] = before as usize;
            window.output[axis] = output as usize;
            axis += 1;
        }
        Ok(window)
    }

    /// The pictures that it moves over.
    #[must_use]
    pub const fn input(&self) -> Nhwc {
        self.input
    }

    /// Height and width of the kernel.
    #[must_use]
    pub const fn kernel(&self) -> [usize; 2] {
        self.kernel
    }

    /// From one window to the next, down and to the right.
    pub(super) const fn stride(&self) -> [usize; 2] {
        self.stride
    }

    /// Rows above and columns left of the picture that the first window covers.
    #[must_use]
    pub const fn before(&self) -> [usize; 2] {
        self.before
    }

    /// Height and width of what comes out.
    #[must_use]
    pub const fn output_size(&self) -> [usize; 2] {
        self.output
    }

    /// What comes out, with so many channels.
    ///
    /// # Errors
    /// `Error::Empty` without channels, `Error::TooLarge` if the elements are too many to count.
    pub const fn output(&self, channels: usize) -> Result<Nhwc, Error> {
        Nhwc::new(self.input.batch(), self.output[0], self.output[1], channels)
    }

    /// Rows and columns as loops of a backend take them.
    pub(super) const fn axes(&self) -> [Axis; 2] {
        let Self { input, kernel, stride, dilation, before, output } = *self;
        let [height, width] = [input.height(), input.width()];
        [
            Axis {
                input: height,
                output: output[0],
                kernel: kernel[0],
                stride: stride[0],
                dilation: dilation[0],
                before: before[0],
            },
            Axis {
                input: width,
                output: output[1],
                kernel: kernel[1],
                stride: stride[1],
                dilation: dilation[1],
                before: before[1],
            },
        ]
    }

    /// Taps of the kernel.
    pub(super) const fn taps(&self) -> usize {
        self.kernel[0].saturating_mul(self.kernel[1])
    }

    /// Elements from one tap of a row to the next, and from one row of taps to the next.
    #[inline(always)]
    pub(super) const fn steps(&self) -> [usize; 2] {
        let pixel = self.input.channels();
        [self.dilation[0] * self.input.width() * pixel, self.dilation[1] * pixel]
    }

    /// Where a patch begins whose first tap inside is at these positions.
    #[inline(always)]
    pub(super) const fn start(&self, row: &Inside, col: &Inside) -> usize {
        (row.at * self.input.width() + col.at) * self.input.channels()
    }

    /// Whether neighbouring taps of a row are neighbouring pixels.
    #[inline(always)]
    pub(super) const fn is_dense(&self) -> bool {
        self.dilation[1] == 1
    }

    /// Whether every pixel is a patch: 1 x 1 with stride 1 and nothing around.
    pub(super) const fn is_pointwise(&self) -> bool {
        self.taps() == 1 && self.stride[0] == 1 && self.stride[1] == 1 && self.stays_inside()
    }

    /// Whether every patch lies in one piece in the picture.
    pub(super) const fn is_whole(&self) -> bool {
        let rows = self.kernel[0] == 1 || (self.dilation[0] == 1 && self.kernel[1] == self.input.width());
        let cols = self.kernel[1] == 1 || self.dilation[1] == 1;
        rows && cols && self.stays_inside()
    }

    /// Whether no window reaches over an edge.
    const fn stays_inside(&self) -> bool {
        let size = [self.input.height(), self.input.width()];
        let mut axis = 0;
        while axis < 2 {
            let last = (self.output[axis] - 1) * self.stride[axis];
            if self.before[axis] > 0 || last + (self.kernel[axis] - 1) * self.dilation[axis] >= size[axis] {
                return false;
            }
            axis += 1;
        }
        true
    }

    /// Whether every window has a tap inside.
    pub(super) const fn has_no_empty_window(&self) -> bool {
        let size = [self.input.height(), self.input.width()];
        let mut axis = 0;
        while axis < 2 {
            let last = (self.output[axis] - 1) * self.stride[axis];
            // Pools have a dilation of 1: taps are in a row.
            if self.before[axis] >= self.kernel[axis] || last >= size[axis] + self.before[axis] {
                return false;
            }
            axis += 1;
        }
        true
    }

    /// The taps that lie inside for output `out` of axis 0 (rows) or 1 (columns).
    #[inline(always)]
    pub(super) fn inside(&self, axis: usize, out: usize) -> Inside {
        let size = if axis == 0 { self.input.height() } else { self.input.width() };
        let (kernel, dilation, before) = (self.kernel[axis & 1], self.dilation[axis & 1].max(1), self.before[axis & 1]);
        // In the picture with its padding.
        let start = out * self.stride[axis & 1];
        let room = (size + before).saturating_sub(start);
        let end = if (kernel - 1) * dilation < room { kernel } else { room.div_ceil(dilation) };
        let first = if start < before { (before - start).div_ceil(dilation).min(end) } else { 0 };
        Inside { first, end, at: (start + first * dilation).saturating_sub(before) }
    }
}

/// Taps `first..end` of a window lie inside, the first of them at `at`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside {
    pub(super) first: usize,
    pub(super) end: usize,
    pub(super) at: usize,
}

impl Inside {
    #[inline(always)]
    pub(super) const fn len(&self) -> usize {
        self.end - self.first
    }
}

/// The outputs of a window in order, row by row, each with its taps inside.
pub(super) struct Pixels<'a> {
    window: &'a Window2d,
    row: Inside,
    next: [usize; 2],
    /// Columns from here on, so many, have all of their taps inside.
    inner: [usize; 2],
}

impl<'a> Pixels<'a> {
    #[inline(always)]
    pub(super) fn of(window: &'a Window2d) -> Self {
        let (stride, before) = (window.stride[1].max(1), window.before[1]);
        let first = before.div_ceil(stride);
        // The last tap of column `j` is at `j stride - before + reach`.
        let reach = (window.kernel[1] - 1) * window.dilation[1];
        let room = (window.input.width() + before).saturating_sub(reach);
        let end = room.div_ceil(stride).min(window.output[1]);
        Self { window, row: window.inside(0, 0), next: [0, 0], inner: [first, end.saturating_sub(first)] }
    }

    /// Rows inside of the next row of them, which are all passed over.
    #[inline(always)]
    pub(super) fn next_row(&mut self) -> Inside {
        let row = self.row;
        self.next[0] = if self.next[0] + 1 == self.window.output[0] { 0 } else { self.next[0] + 1 };
        self.row = self.window.inside(0, self.next[0]);
        row
    }

    /// How many in a row from the next one on have all of their taps inside.
    #[inline(always)]
    pub(super) fn ahead(&self) -> usize {
        let (col, [first, n]) = (self.next[1], self.inner);
        if self.row.len() == self.window.kernel[0] && col >= first { (first + n).saturating_sub(col) } else { 0 }
    }

    /// Rows and columns inside of the next one; it starts over after the last.
    #[inline(always)]
    pub(super) fn next(&mut self) -> (Inside, Inside) {
        let (row, col, _) = self.run(1);
        (row, col)
    }

    /// The same for as many in a row, at most `most`, as have all columns inside; the columns are those of the first.
    #[inline(always)]
    pub(super) fn run(&mut self, most: usize) -> (Inside, Inside, usize) {
        let [row, col] = self.next;
        let mut run = 1;
        let taps = if col.wrapping_sub(self.inner[0]) < self.inner[1] {
            run = most.min(self.inner[0] + self.inner[1] - col);
            let at = col * self.window.stride[1] - self.window.before[1];
            Inside { first: 0, end: self.window.kernel[1], at }
        } else {
            self.window.inside(1, col)
        };
        let taps = (self.row, taps, run);
        self.next[1] = col + run;
        if self.next[1] == self.window.output[1] {
            let row = if row + 1 == self.window.output[0] { 0 } else { row + 1 };
            self.next = [row, 0];
            self.row = self.window.inside(0, row);
        }
        taps
    }
}

#[cfg(test)]
mod tests {
    use super::{Arg, Error, Nhwc, Window2d};

    fn picture(height: usize, width: usize) -> Nhwc {
        Nhwc::new(2, height, width, 3).unwrap()
    }

    #[test]
    fn same_pads_the_smaller_half_before() {
        // 5 rows, 3 taps, stride 2: 3 outputs over 7 rows. 4 columns, stride 2: 2 outputs over 5 columns.
        let window = Window2d::same(picture(5, 4), [3, 3], [2, 2], [1, 1]).unwrap();
        assert_eq!((window.output_size(), window.before()), ([3, 2], [1, 0]));
        let of = |row| {
            let inside = window.inside(0, row);
            (inside.first, inside.end, inside.at)
        };
        assert_eq!([of(0), of(1), of(2)], [(1, 3, 0), (0, 3, 1), (0, 2, 3)]);
        assert!(!window.is_whole() && window.has_no_empty_window());
    }

    #[test]
    fn dilated_taps_may_all_lie_outside() {
        let window = Window2d::same(picture(1, 9), [2, 1], [1, 1], [4, 1]).unwrap();
        assert_eq!((window.output_size(), window.before()), ([1, 9], [2, 0]));
        let inside = window.inside(0, 0);
        assert_eq!((inside.first, inside.end), (1, 1));
    }

    #[test]
    fn valid_ends_where_the_kernel_does_not_fit() {
        let window = Window2d::valid(picture(5, 6), [5, 2], [3, 3], [1, 2]).unwrap();
        assert_eq!(window.output_size(), [1, 2]);
        assert_eq!(window.output(7), Nhwc::new(2, 1, 2, 7));
        assert_eq!(
            Window2d::valid(picture(5, 6), [6, 1], [1, 1], [1, 1]),
            Err(Error::TooLarge { what: Arg::Kernel, max: 5, got: 6 })
        );
    }

    #[test]
    fn what_lies_in_one_piece() {
        let whole =
            |kernel, stride, dilation| Window2d::valid(picture(6, 4), kernel, stride, dilation).unwrap().is_whole();
        assert!(whole([1, 1], [2, 2], [1, 1]));
        assert!(whole([1, 3], [1, 1], [1, 1]));
        assert!(whole([3, 4], [1, 1], [1, 1]));
        assert!(!whole([3, 4], [1, 1], [2, 1]));
        assert!(!whole([3, 3], [1, 1], [1, 1]));
        assert!(!whole([1, 2], [1, 1], [1, 2]));
        assert!(Window2d::valid(picture(6, 4), [1, 1], [1, 1], [1, 1]).unwrap().is_pointwise());
        assert!(!Window2d::valid(picture(6, 4), [1, 1], [1, 2], [1, 1]).unwrap().is_pointwise());
        assert!(!Window2d::padded(picture(6, 4), [1, 1], [1, 1], [1, 1], [0, 1], [0, 0]).unwrap().is_whole());
        assert!(!Window2d::padded(picture(6, 4), [1, 1], [1, 1], [1, 1], [0, 0], [1, 0]).unwrap().is_whole());
    }

    #[test]
    fn each_number_is_checked() {
        let one = [1, 1];
        assert_eq!(Window2d::same(picture(3, 3), [0, 1], one, one), Err(Error::Empty { what: Arg::Kernel }));
        assert_eq!(Window2d::same(picture(3, 3), one, [1, 0], one), Err(Error::Empty { what: Arg::Stride }));
        assert_eq!(Window2d::same(picture(3, 3), one, one, [0, 1]), Err(Error::Empty { what: Arg::Dilation }));
        let most = i32::MAX as usize;
        let large = |what, got| Err(Error::TooLarge { what, max: most, got });
        assert!(Window2d::same(picture(3, 3), [1, 1], [most, 1], one).is_ok());
        assert_eq!(Window2d::same(picture(3, 3), one, [most + 1, 1], one), large(Arg::Stride, most + 1));
        assert_eq!(Window2d::same(picture(3, 3), [3, 1], one, [most, 1]), large(Arg::Kernel, 3));
        assert_eq!(Window2d::padded(picture(3, 3), one, one, one, [most, 0], [0, 0]), large(Arg::Padding, most));
        assert_eq!(
            Window2d::padded(picture(3, 3), one, one, one, [0, 0], [0, most + 1]),
            large(Arg::Padding, most + 1)
        );
        let empty = |before, after| {
            !Window2d::padded(picture(3, 3), [2, 1], one, one, [before, 0], [after, 0]).unwrap().has_no_empty_window()
        };
        assert_eq!([empty(1, 1), empty(2, 0), empty(0, 2)], [false, true, true]);
    }
}
