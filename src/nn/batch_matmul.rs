//! Products of two matrices of activations, in batches: TFLite's `BatchMatMul` on 8 and 16 bits.
//!
//! ```text
//! y[b][r][c] = clamp(m Σ_k (lhs[b][r][k] + lhs_offset) (rhs[b][k][c] + rhs_offset) + output_offset)
//! ```
//! Both matrices come with every call, so nothing is packed. Columns go sixteen at a time where the right matrix is stored
//! as it is, one at a time where it is stored transposed, which makes each product one of two rows.

use super::requant::{MOST_DEPTH, is_usable};
use crate::backend::{Auto, Backend, Dispatch, Kernel};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::{Multiplier, Rounding, requantize, requantize_s64};

/// Columns of a tile.
const TILE: usize = 16;

/// How two batches of matrices lie in memory: two batch axes, of which 1 goes with any other number, then rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BatchShape {
    lhs: [usize; 2],
    rhs: [usize; 2],
    rows: usize,
    depth: usize,
    cols: usize,
    lhs_is_transposed: bool,
    rhs_is_transposed: bool,
}

impl BatchShape {
    /// `lhs` is `[b0, b1, rows, depth]`, or `[b0, b1, depth, rows]` if it is transposed (TFLite's `adj_x`); `rhs` is
    /// `[b0, b1, depth, cols]`, or `[b0, b1, cols, depth]` (`adj_y`).
    ///
    /// # Errors
    /// `Error::Empty` if an axis is zero; `Error::Length` if the depths differ, or a batch axis differs and neither is 1;
    /// `Error::TooLarge` beyond a depth of 32,768, or if a matrix has more elements than can be counted.
    ///
    /// # Example
    /// ```
    /// use scrimp::nn::BatchShape;
    /// let shape = BatchShape::new([1, 2, 3, 4], [2, 1, 5, 4], false, true)?;
    /// assert_eq!(shape.output(), [2, 2, 3, 5]);
    /// # Ok::<(), scrimp::Error>(())
    /// ```
    pub const fn new(
        lhs: [usize; 4],
        rhs: [usize; 4],
        lhs_is_transposed: bool,
        rhs_is_transposed: bool,
    ) -> Result<Self, Error> {
        let (rows, depth) = if lhs_is_transposed { (lhs[3], lhs[2]) } else { (lhs[2], lhs[3]) };
        let (rhs_depth, cols) = if rhs_is_transposed { (rhs[3], rhs[2]) } else { (rhs[2], rhs[3]) };
        if rows == 0 {
            return Err(Error::Empty { what: Arg::Rows });
        }
        if cols == 0 {
            return Err(Error::Empty { what: Arg::Cols });
        }
        if depth == 0 {
            return Err(Error::Empty { what: Arg::Depth });
        }
        if let Err(error) = length(Arg::Depth, depth, rhs_depth) {
            return Err(error);
        }
        if depth > MOST_DEPTH {
            return Err(Error::TooLarge { what: Arg::Depth, max: MOST_DEPTH, got: depth });
        }
        let mut axis = 0;
        while axis < 2 {
            let (l, r) = (lhs[axis], rhs[axis]);
            if l == 0 || r == 0 {
                return Err(Error::Empty { what: Arg::Batch });
            }
            if l != r && l != 1 && r != 1 {
                return Err(Error::Length { what: Arg::Batch, want: l, got: r });
            }
            axis += 1;
        }
        let shape = Self {
            lhs: [lhs[0], lhs[1]],
            rhs: [rhs[0], rhs[1]],
            rows,
            depth,
            cols,
            lhs_is_transposed,
            rhs_is_transposed,
        };
        let [b0, b1, ..] = shape.output();
        match (
            product([lhs[0], lhs[1], rows, depth]),
            product([rhs[0], rhs[1], depth, cols]),
            product([b0, b1, rows, cols]),
        ) {
            (Some(_), Some(_), Some(_)) => Ok(shape),
            _ => Err(Error::TooLarge { what: Arg::Rows, max: usize::MAX / depth, got: rows }),
        }
    }

    /// The four axes of the output.
    #[must_use]
    pub const fn output(&self) -> [usize; 4] {
        let [l0, l1] = self.lhs;
        let [r0, r1] = self.rhs;
        [if l0 > r0 { l0 } else { r0 }, if l1 > r1 { l1 } else { r1 }, self.rows, self.cols]
    }

    fn check(&self, lhs: usize, rhs: usize, y: usize) -> Result<(), Error> {
        let [b0, b1, rows, cols] = self.output();
        length(Arg::Lhs, self.lhs[0] * self.lhs[1] * rows * self.depth, lhs)?;
        length(Arg::Rhs, self.rhs[0] * self.rhs[1] * self.depth * cols, rhs)?;
        length(Arg::Y, b0 * b1 * rows * cols, y)
    }
}

const fn product(axes: [usize; 4]) -> Option<usize> {
    let (mut all, mut i) = (1usize, 0);
    while i < 4 {
        match all.checked_mul(axes[i]) {
            Some(product) => all = product,
            None => return None,
        }
        i += 1;
    }
    Some(all)
}

/// A product of two batches of i8 matrices; offsets are TFLite's, the inputs' being their zero points with the sign turned over.
///
/// # Accuracy
/// The bytes of TFLite and CMSIS-NN (`arm_batch_matmul_s8`), on every backend.
///
/// # Example
/// ```
/// use scrimp::fixedpoint::Multiplier;
/// use scrimp::nn::{BatchMatMulS8, BatchShape};
/// let product = BatchMatMulS8::new(Multiplier { mantissa: 1 << 30, shift: -2 }, [3, 0], 1)?; // 1/8
/// let shape = BatchShape::new([1, 1, 1, 2], [1, 1, 2, 2], false, false)?;
/// let mut y = [0; 2];
/// product.run(&[10, 20], &[1, 2, 3, 4], &mut y, &shape)?;
/// assert_eq!(y, [11, 16]); // 82 / 8 + 1, 118 / 8 + 1
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BatchMatMulS8 {
    multiplier: Multiplier,
    offsets: [i32; 2],
    output_offset: i32,
    min: i8,
    max: i8,
    rounding: Rounding,
}

impl BatchMatMulS8 {
    /// With the offsets of both inputs and of the output. The output's may be any number: it is added before the clamp, and the
    /// sum saturates.
    ///
    /// # Errors
    /// `Error::Config` if the multiplier's shift is not -31 to 30, or an input's offset not -255 to 255.
    pub const fn new(multiplier: Multiplier, offsets: [i32; 2], output_offset: i32) -> Result<Self, Error> {
        if !is_usable(multiplier.mantissa, multiplier.shift) {
            return Err(Error::Config { what: Rule::Scale });
        }
        let [lhs, rhs] = offsets;
        if !(lhs >= -255 && lhs <= 255 && rhs >= -255 && rhs <= 255) {
            return Err(Error::Config { what: Rule::ZeroPoint });
        }
        Ok(Self { multiplier, offsets, output_offset, min: i8::MIN, max: i8::MAX, rounding: Rounding::Double })
    }

    /// With a narrower range of outputs.
    ///
    /// # Errors
    /// `Error::Config` if `min > max`.
    pub const fn with_range(self, min: i8, max: i8) -> Result<Self, Error> {
        if min > max { Err(Error::Config { what: Rule::OutputRange }) } else { Ok(Self { min, max, ..self }) }
    }

    /// With another rounding than TFLite's default.
    #[must_use]
    pub const fn with_rounding(self, rounding: Rounding) -> Self {
        Self { rounding, ..self }
    }

    /// Multiplies.
    ///
    /// # Errors
    /// `Error::Length` if a slice is not of its shape; `y` is then untouched.
    #[inline]
    pub fn run(&self, lhs: &[i8], rhs: &[i8], y: &mut [i8], shape: &BatchShape) -> Result<(), Error> {
        self.run_on(Auto, lhs, rhs, y, shape)
    }

    /// [`BatchMatMulS8::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`BatchMatMulS8::run`].
    pub fn run_on<D: Dispatch>(
        &self,
        backend: D,
        lhs: &[i8],
        rhs: &[i8],
        y: &mut [i8],
        shape: &BatchShape,
    ) -> Result<(), Error> {
        shape.check(lhs.len(), rhs.len(), y.len())?;
        backend.run(Product { rule: self, lhs, rhs, y, shape });
        Ok(())
    }
}

/// A product of two batches of i16 matrices, without zero points, as 16-bit tensors have none.
///
/// # Accuracy
/// The bytes of TFLite and CMSIS-NN (`arm_batch_matmul_s16`), on every backend: exact sums in 64 bits, a multiplier of 16
/// bits, one rounding.
///
/// # Example
/// ```
/// use scrimp::fixedpoint::Multiplier;
/// use scrimp::nn::{BatchMatMulS16, BatchShape};
/// let product = BatchMatMulS16::new(Multiplier { mantissa: 1 << 30, shift: -2 }, i16::MIN, i16::MAX)?; // 1/8
/// let shape = BatchShape::new([1, 1, 1, 2], [1, 1, 2, 2], false, true)?;
/// let mut y = [0; 2];
/// product.run(&[10, 20], &[1, 2, 3, 4], &mut y, &shape)?;
/// assert_eq!(y, [6, 14]); // 50 / 8, 110 / 8
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BatchMatMulS16 {
    multiplier: Multiplier,
    min: i16,
    max: i16,
}

impl BatchMatMulS16 {
    /// Outputs are at least `min`, at most `max`.
    ///
    /// # Errors
    /// `Error::Config` if the multiplier's shift is not -31 to 14 or `min > max`.
    pub const fn new(multiplier: Multiplier, min: i16, max: i16) -> Result<Self, Error> {
        if !is_usable(multiplier.mantissa, multiplier.shift) || multiplier.shift > 14 {
            return Err(Error::Config { what: Rule::Scale });
        }
        if min > max {
            return Err(Error::Config { what: Rule::OutputRange });
        }
        Ok(Self { multiplier, min, max })
    }

    /// Multiplies.
    ///
    /// # Errors
    /// `Error::Length` if a slice is not of its shape; `y` is then untouched.
    #[inline]
    pub fn run(&self, lhs: &[i16], rhs: &[i16], y: &mut [i16], shape: &BatchShape) -> Result<(), Error> {
        self.run_on(Auto, lhs, rhs, y, shape)
    }

    /// [`BatchMatMulS16::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`BatchMatMulS16::run`].
    pub fn run_on<D: Dispatch>(
        &self,
        backend: D,
        lhs: &[i16],
        rhs: &[i16],
        y: &mut [i16],
        shape: &BatchShape,
    ) -> Result<(), Error> {
        shape.check(lhs.len(), rhs.len(), y.len())?;
        backend.run(Product { rule: self, lhs, rhs, y, shape });
        Ok(())
    }
}

/// What differs between the element types.
trait Arithmetic {
    type Element: Copy;
    type Sum: Copy + Default;

    /// `sum + (l + offset) (r + offset)`.
    fn add(&self, sum: Self::Sum, l: Self::Element, r: Self::Element) -> Self::Sum;

    fn output(&self, sum: Self::Sum) -> Self::Element;
}

impl Arithmetic for BatchMatMulS8 {
    type Element = i8;
    type Sum = i32;

    #[inline(always)]
    fn add(&self, sum: i32, l: i8, r: i8) -> i32 {
        sum.wrapping_add((i32::from(l) + self.offsets[0]).wrapping_mul(i32::from(r) + self.offsets[1]))
    }

    #[inline(always)]
    fn output(&self, sum: i32) -> i8 {
        let y = requantize(sum, self.multiplier, self.rounding).saturating_add(self.output_offset);
        y.min(i32::from(self.max)).max(i32::from(self.min)) as i8
    }
}

impl Arithmetic for BatchMatMulS16 {
    type Element = i16;
    type Sum = i64;

    #[inline(always)]
    fn add(&self, sum: i64, l: i16, r: i16) -> i64 {
        sum.wrapping_add(i64::from(i32::from(l) * i32::from(r)))
    }

    #[inline(always)]
    fn output(&self, sum: i64) -> i16 {
        requantize_s64(sum, self.multiplier).min(i32::from(self.max)).max(i32::from(self.min)) as i16
    }
}

struct Product<'a, R: Arithmetic> {
    rule: &'a R,
    lhs: &'a [R::Element],
    rhs: &'a [R::Element],
    y: &'a mut [R::Element],
    shape: &'a BatchShape,
}

impl<R: Arithmetic> Kernel for Product<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<B: Backend>(self, _: B) {
        let Self { rule, lhs, rhs, y, shape } = self;
        let [b0, b1, rows, cols] = shape.output();
        let mut matrices = y.chunks_exact_mut((rows * cols).max(1));
        for i0 in 0..b0 {
            for i1 in 0..b1 {
                let Some(y) = matrices.next() else { return };
                let lhs = one(lhs, shape.lhs, [i0, i1], rows * shape.depth);
                let rhs = one(rhs, shape.rhs, [i0, i1], cols * shape.depth);
                for (r, y) in y.chunks_exact_mut(cols.max(1)).enumerate() {
                    // The row's elements, `step` apart.
                    let (first, step) = if shape.lhs_is_transposed { (r, rows) } else { (r * shape.depth, 1) };
                    let row = lhs.get(first..).unwrap_or(&[]);
                    let row = row.get(..shape.depth.wrapping_sub(1).wrapping_mul(step).wrapping_add(1)).unwrap_or(&[]);
                    if shape.rhs_is_transposed {
                        for (rhs, y) in rhs.chunks_exact(shape.depth.max(1)).zip(y) {
                            *y = rule.output(dot(rule, row, step, rhs));
                        }
                    } else {
                        tiles(rule, row, step, rhs, y);
                    }
                }
            }
        }
    }
}

/// The matrix of a batch that goes with an output's.
#[inline(always)]
fn one<T>(all: &[T], batch: [usize; 2], at: [usize; 2], elements: usize) -> &[T] {
    let [b0, b1] = batch;
    let index = (if b0 == 1 { 0 } else { at[0] }) * b1 + if b1 == 1 { 0 } else { at[1] };
    let start = index.wrapping_mul(elements);
    all.get(start..start.wrapping_add(elements)).unwrap_or(&[])
}

#[inline(always)]
fn dot<R: Arithmetic>(rule: &R, row: &[R::Element], step: usize, rhs: &[R::Element]) -> R::Sum {
    if step == 1 {
        return row.iter().zip(rhs).fold(R::Sum::default(), |sum, (&l, &r)| rule.add(sum, l, r));
    }
    row.iter().step_by(step.max(1)).zip(rhs).fold(R::Sum::default(), |sum, (&l, &r)| rule.add(sum, l, r))
}

/// One row of the output, the right matrix stored row by row.
#[inline(always)]
fn tiles<R: Arithmetic>(rule: &R, row: &[R::Element], step: usize, rhs: &[R::Element], y: &mut [R::Element]) {
    let cols = y.len().max(1);
    let mut first = 0;
    let (tiles, rest) = y.as_chunks_mut::<TILE>();
    for y in tiles {
        let mut sums = [R::Sum::default(); TILE];
        for (&l, rhs) in row.iter().step_by(step.max(1)).zip(rhs.chunks_exact(cols)) {
            let Some(rhs) = rhs.get(first..).and_then(|rhs| rhs.first_chunk::<TILE>()) else { break };
            for (sum, &r) in sums.iter_mut().zip(rhs) {
                *sum = rule.add(*sum, l, r);
            }
        }
        for (y, sum) in y.iter_mut().zip(sums) {
            *y = rule.output(sum);
        }
        first += TILE;
    }
    for (c, y) in (first..).zip(rest) {
        let column = rhs.get(c..).unwrap_or(&[]).iter().step_by(cols);
        let sum =
            row.iter().step_by(step.max(1)).zip(column).fold(R::Sum::default(), |sum, (&l, &r)| rule.add(sum, l, r));
        *y = rule.output(sum);
    }
}
