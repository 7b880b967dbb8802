//! Two tensors element by element, the smaller one repeated: numpy's rule.

use crate::error::{Arg, Error, length};

/// Most axes.
const AXES: usize = 6;

/// The shapes of two operands and of their result: axes are compared from the last one on, and of two that differ one must be
/// 1, which is repeated; a missing axis counts as 1.
///
/// Having one tells you that the shapes fit, that no axis is zero and that the result can be counted. Neighbouring axes that
/// behave alike have become one, so that the usual cases are one loop (equal shapes, a single number) or two (a row, a column).
///
/// # Example
/// ```
/// use scrimp::nn::Broadcast;
/// static SHAPE: Broadcast = scrimp::expect!(Broadcast::new(&[1, 5, 4, 3], &[3]));
/// assert_eq!((SHAPE.first(), SHAPE.second(), SHAPE.output()), (60, 3, 60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Broadcast {
    /// Extents, the innermost one first; behind the last one they are 1.
    extents: [u32; AXES],
    /// Bit `k`: the first operand moves along axis `k`.
    first: u8,
    /// The same of the second one.
    second: u8,
}

impl Broadcast {
    /// Of operands of these shapes, up to 6 axes each, the outermost one first; no axis is a single number.
    ///
    /// # Errors
    /// `Error::TooLarge` for more axes or for a result of 2^31 elements, `Error::Empty` for an axis of zero, `Error::Length`
    /// if two axes differ and neither is 1.
    pub const fn new(first: &[usize], second: &[usize]) -> Result<Self, Error> {
        let axes = if first.len() > second.len() { first.len() } else { second.len() };
        if axes > AXES {
            return Err(Error::TooLarge { what: Arg::Axes, max: AXES, got: axes });
        }
        let mut shape = Self { extents: [1; AXES], first: 0, second: 0 };
        let (mut elements, mut used, mut k) = (1usize, 0, 0);
        while k < axes {
            let (a, b) = (from_end(first, k), from_end(second, k));
            if a == 0 || b == 0 {
                return Err(Error::Empty { what: Arg::Axes });
            }
            if a != b && a != 1 && b != 1 {
                return Err(Error::Length { what: Arg::Rhs, want: a, got: b });
            }
            let extent = if a == 1 { b } else { a };
            elements = match elements.checked_mul(extent) {
                Some(elements) if elements < 1 << 31 => elements,
                _ => return Err(Error::TooLarge { what: Arg::Axes, max: (1 << 31) - 1, got: extent }),
            };
            if extent > 1 {
                let (a, b) = ((a > 1) as u8, (b > 1) as u8);
                let alike = used > 0 && shape.first >> (used - 1) == a && shape.second >> (used - 1) == b;
                if !alike {
                    shape.first |= a << used;
                    shape.second |= b << used;
                    used += 1;
                }
                // At most one for each axis: the test keeps a bounds check out.
                if used >= 1 && used <= AXES {
                    shape.extents[used - 1] *= extent as u32;
                }
            }
            k += 1;
        }
        if used == 0 {
            // One element: both are walked along.
            shape.first = 1;
            shape.second = 1;
        }
        Ok(shape)
    }

    /// Elements of the first operand.
    #[must_use]
    pub const fn first(&self) -> usize {
        self.elements(self.first)
    }

    /// Elements of the second operand.
    #[must_use]
    pub const fn second(&self) -> usize {
        self.elements(self.second)
    }

    /// Elements of the result.
    #[must_use]
    pub const fn output(&self) -> usize {
        self.elements(u8::MAX)
    }

    /// The same with the operands exchanged.
    #[must_use]
    pub const fn swapped(self) -> Self {
        Self { extents: self.extents, first: self.second, second: self.first }
    }

    /// Whether the first operand has the result's shape, so that it may be overwritten by it.
    #[must_use]
    pub const fn is_first_whole(&self) -> bool {
        self.first() == self.output()
    }

    /// Whether the innermost loop walks along the first operand.
    #[inline(always)]
    pub(super) const fn walks_first(&self) -> bool {
        self.first & 1 != 0
    }

    /// `Ok` if these are the lengths of the operands and of the result.
    pub(super) const fn check(&self, first: usize, second: usize, y: usize) -> Result<(), Error> {
        if let Err(error) = length(Arg::Lhs, self.first(), first) {
            return Err(error);
        }
        if let Err(error) = length(Arg::Rhs, self.second(), second) {
            return Err(error);
        }
        length(Arg::Y, self.output(), y)
    }

    const fn elements(&self, along: u8) -> usize {
        let (mut elements, mut k) = (1, 0);
        while k < AXES {
            if along >> k & 1 != 0 {
                elements *= self.extents[k] as usize;
            }
            k += 1;
        }
        elements
    }

    /// The rows of the result, one after the other.
    pub(super) fn rows(&self) -> RowsOfPairs {
        RowsOfPairs { shape: *self, at: [0; AXES], first: 0, second: 0 }
    }

    /// Elements of a row.
    #[inline(always)]
    pub(super) const fn row(&self) -> usize {
        self.extents[0] as usize
    }

    /// Whether the innermost loop walks along the second operand.
    #[inline(always)]
    pub(super) const fn walks_second(&self) -> bool {
        self.second & 1 != 0
    }
}

/// Where the rows of a result find their operands.
#[derive(Debug)]
pub(super) struct RowsOfPairs {
    shape: Broadcast,
    at: [u32; AXES],
    /// Where the first operand of the row at hand starts.
    pub(super) first: usize,
    /// The same of the second one.
    pub(super) second: usize,
}

impl RowsOfPairs {
    /// On to the next row; after the last one it starts again.
    pub(super) fn advance(&mut self) {
        let Broadcast { extents, first, second } = self.shape;
        let step = |along: u8, extent: u32| if along & 1 != 0 { extent as usize } else { 1 };
        // Elements of what lies further inside.
        let (mut of_first, mut of_second) = (step(first, extents[0]), step(second, extents[0]));
        for k in 1..AXES {
            let (first, second, extent) = (first >> k, second >> k, extents[k]);
            let (by_first, by_second) =
                (if first & 1 != 0 { of_first } else { 0 }, if second & 1 != 0 { of_second } else { 0 });
            self.at[k] += 1;
            self.first = self.first.wrapping_add(by_first);
            self.second = self.second.wrapping_add(by_second);
            if self.at[k] < extent {
                return;
            }
            self.at[k] = 0;
            self.first = self.first.wrapping_sub(by_first.wrapping_mul(extent as usize));
            self.second = self.second.wrapping_sub(by_second.wrapping_mul(extent as usize));
            of_first = of_first.wrapping_mul(step(first, extent));
            of_second = of_second.wrapping_mul(step(second, extent));
        }
    }
}

const fn from_end(axes: &[usize], k: usize) -> usize {
    let at = axes.len().wrapping_sub(k).wrapping_sub(1);
    if at < axes.len() { axes[at] } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::{Broadcast, Error};

    #[test]
    fn axes_that_behave_alike_are_one() {
        let loops = |a: &[usize], b: &[usize]| {
            let shape = Broadcast::new(a, b).unwrap();
            let used = shape.extents.iter().rposition(|&extent| extent > 1).map_or(1, |last| last + 1);
            (shape.extents[..used].to_vec(), shape.first, shape.second)
        };
        assert_eq!(loops(&[2, 3, 4], &[2, 3, 4]), ([24].to_vec(), 1, 1));
        assert_eq!(loops(&[2, 1, 3, 4], &[]), ([24].to_vec(), 1, 0));
        assert_eq!(loops(&[1], &[7, 3]), ([21].to_vec(), 0, 1));
        assert_eq!(loops(&[2, 3, 4], &[4]), ([4, 6].to_vec(), 3, 1));
        assert_eq!(loops(&[2, 3, 4], &[2, 3, 1]), ([4, 6].to_vec(), 3, 2));
        assert_eq!(loops(&[4, 1], &[1, 5]), ([5, 4].to_vec(), 2, 1));
        assert_eq!(loops(&[], &[]), ([1].to_vec(), 1, 1));
        assert_eq!(
            loops(&[2, 1, 2, 1, 2, 1], &[1, 3, 1, 3, 1, 3]),
            ([3, 2, 3, 2, 3, 2].to_vec(), 0b10_1010, 0b01_0101)
        );
    }

    #[test]
    fn what_does_not_fit() {
        use crate::error::Arg;
        let empty = Error::Empty { what: Arg::Axes };
        assert_eq!(Broadcast::new(&[1; 7], &[1]), Err(Error::TooLarge { what: Arg::Axes, max: 6, got: 7 }));
        assert_eq!(Broadcast::new(&[2, 0], &[1]), Err(empty));
        assert_eq!(Broadcast::new(&[2, 1], &[0]), Err(empty));
        assert_eq!(Broadcast::new(&[2, 3], &[2]), Err(Error::Length { what: Arg::Rhs, want: 3, got: 2 }));
        assert!(Broadcast::new(&[1 << 15, 1], &[(1 << 16) - 1]).is_ok());
        assert!(Broadcast::new(&[1 << 15, 1], &[1 << 16]).is_err());
    }
}
