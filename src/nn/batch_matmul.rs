//! Products of two matrices of activations, in batches: TFLite's `BatchMatMul` on 8 and 16 bits.
//!
//! ```text
//! y[b][r][c] = clamp(m Σ_k (lhs[b][r][k] + lhs_offset) (rhs[b][k][c] + rhs_offset) + output_offset)
//! ```
//! Both matrices come with every call. Where a backend has a loop for it, the right one is packed in the caller's scratch, a tile of
//! columns at a time, and all rows pass that. In plain Rust nothing is packed: columns go sixteen at a time where the right matrix
//! is stored as it is, one at a time where it is stored transposed, which makes each product one of two rows.

use super::at_least_one;
use super::requant::{MOST_DEPTH, QuantS8, is_usable};
use crate::backend::{Auto, Backend, Dispatch, Kernel, MatRows, MatS8, mat_scratch};
use crate::error::{Arg, Error, Rule, length};
use crate::fixedpoint::{Multiplier, Rounding, requantize, requantize_s64};
use crate::shape::Rows;

/// Columns of a tile.
const TILE: usize = 16;

/// How two batches of matrices lie in memory: two batch axes (or three), of which 1 goes with any other number, then rows and
/// columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BatchShape {
    lhs: [usize; 3],
    rhs: [usize; 3],
    rows: usize,
    depth: usize,
    cols: usize,
    lhs_is_transposed: bool,
    rhs_is_transposed: bool,
    /// Elements of both inputs and of the output.
    elements: [usize; 3],
}

impl BatchShape {
    /// `lhs` is `[b0, b1, rows, depth]`, or `[b0, b1, depth, rows]` if it is transposed (TFLite's `adj_x`); `rhs` is
    /// `[b0, b1, depth, cols]`, or `[b0, b1, cols, depth]` (`adj_y`).
    ///
    /// # Errors
    /// `Error::Empty` if an axis is zero; `Error::Length` if the depths differ, or a batch axis differs and neither is 1;
    /// `Error::TooLarge` beyond a depth of 2^20, or if a matrix has more elements than can be counted.
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
        Self {
            lhs: [1, lhs[0], lhs[1]],
            rhs: [1, rhs[0], rhs[1]],
            rows,
            depth,
            cols,
            lhs_is_transposed,
            rhs_is_transposed,
            elements: [0; 3],
        }
        .checked()
    }

    /// The same with a batch axis more, outside of the others.
    ///
    /// # Errors
    /// `Error::Empty` if it is zero, `Error::Length` if it differs and neither is 1, `Error::TooLarge` if a matrix has more
    /// elements than can be counted.
    pub const fn with_outer(mut self, lhs: usize, rhs: usize) -> Result<Self, Error> {
        self.lhs[0] = lhs;
        self.rhs[0] = rhs;
        self.checked()
    }

    const fn checked(self) -> Result<Self, Error> {
        let mut axis = 0;
        while axis < 3 {
            let (l, r) = (self.lhs[axis], self.rhs[axis]);
            if l == 0 || r == 0 {
                return Err(Error::Empty { what: Arg::Batch });
            }
            if l != r && l != 1 && r != 1 {
                return Err(Error::Length { what: Arg::Batch, want: l, got: r });
            }
            axis += 1;
        }
        let Self { lhs, rhs, rows, depth, cols, .. } = self;
        match (product(lhs, rows, depth), product(rhs, depth, cols), product(self.batches(), rows, cols)) {
            (Some(l), Some(r), Some(y)) => Ok(Self { elements: [l, r, y], ..self }),
            _ => Err(Error::TooLarge { what: Arg::Rows, max: usize::MAX / at_least_one(depth), got: rows }),
        }
    }

    /// The last four axes of the output.
    #[must_use]
    pub const fn output(&self) -> [usize; 4] {
        let [_, b0, b1] = self.batches();
        [b0, b1, self.rows, self.cols]
    }

    /// Elements of `scratch` for a product on 8 bits: up to 18 for each row of the right matrix, however many columns there are.
    #[must_use]
    pub const fn scratch(&self) -> usize {
        mat_scratch(self.depth, self.cols)
    }

    /// The batch axes of the output.
    const fn batches(&self) -> [usize; 3] {
        let (mut batches, mut axis) = (self.lhs, 0);
        while axis < 3 {
            if self.rhs[axis] > batches[axis] {
                batches[axis] = self.rhs[axis];
            }
            axis += 1;
        }
        batches
    }

    fn check(&self, lhs: usize, rhs: usize, y: usize) -> Result<(), Error> {
        length(Arg::Lhs, self.elements[0], lhs)?;
        length(Arg::Rhs, self.elements[1], rhs)?;
        length(Arg::Y, self.elements[2], y)
    }
}

const fn product(batches: [usize; 3], rows: usize, cols: usize) -> Option<usize> {
    let (axes, mut all, mut i) = ([batches[0], batches[1], batches[2], rows, cols], 1usize, 0);
    while i < 5 {
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
/// let (mut y, mut scratch) = ([0; 2], [0; 100]);
/// product.run(&[10, 20], &[1, 2, 3, 4], &mut y, &shape, &mut scratch[..shape.scratch()])?;
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
    /// `Error::Length` if a slice is not of its shape, or `scratch` shorter than [`BatchShape::scratch`]; `y` is then untouched.
    #[inline]
    pub fn run(
        &self,
        lhs: &[i8],
        rhs: &[i8],
        y: &mut [i8],
        shape: &BatchShape,
        scratch: &mut [i32],
    ) -> Result<(), Error> {
        self.run_on(Auto, lhs, rhs, y, shape, scratch)
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
        scratch: &mut [i32],
    ) -> Result<(), Error> {
        shape.check(lhs.len(), rhs.len(), y.len())?;
        at_least(scratch, shape.scratch())?;
        backend.dispatch(Product { rule: self, lhs, rhs, y, shape, scratch });
        Ok(())
    }
}

/// A fully connected layer whose weights are activations: they come with every call, `[output][input]`, and so are not packed.
///
/// # Accuracy
/// TFLite's bytes on every backend.
///
/// # Example
/// ```
/// use scrimp::Rows;
/// use scrimp::fixedpoint::Multiplier;
/// use scrimp::nn::{DynamicLinearS8, QuantS8};
/// let eighth = Multiplier { mantissa: 1 << 30, shift: -2 };
/// let layer = DynamicLinearS8::new(1, Rows::new(2, 2)?, &[8, -8], eighth, QuantS8::PLAIN)?;
/// let (mut y, mut scratch) = ([0; 2], [0; 100]);
/// layer.run(&[10, 20], &[1, 2, 3, 4], &mut y, &mut scratch[..layer.scratch()])?;
/// assert_eq!(y, [7, 13]); // 58 / 8, 102 / 8
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DynamicLinearS8<'a> {
    shape: BatchShape,
    product: BatchMatMulS8,
    /// For each output, or empty.
    bias: &'a [i32],
}

impl<'a> DynamicLinearS8<'a> {
    /// For `rows` rows and weights of `shape`, outputs of inputs; without a bias if that is empty.
    ///
    /// # Errors
    /// `Error::Empty` without rows; `Error::Length` if there is a bias, but not for each output; `Error::TooLarge` beyond 2^20
    /// inputs; `Error::Config` if the multiplier or an offset is not usable or `min > max`.
    pub const fn new(
        rows: usize,
        shape: Rows,
        bias: &'a [i32],
        multiplier: Multiplier,
        quant: QuantS8,
    ) -> Result<Self, Error> {
        if let Err(error) = quant.check() {
            return Err(error);
        }
        let QuantS8 { input_offset, filter_offset, output_offset, min, max, rounding } = quant;
        if !bias.is_empty()
            && let Err(error) = length(Arg::Bias, shape.rows(), bias.len())
        {
            return Err(error);
        }
        let shape = match BatchShape::new([1, 1, rows, shape.cols()], [1, 1, shape.rows(), shape.cols()], false, true) {
            Ok(shape) => shape,
            Err(error) => return Err(error),
        };
        match BatchMatMulS8::new(multiplier, [input_offset, filter_offset], output_offset) {
            Ok(product) => Ok(Self { shape, product: BatchMatMulS8 { min, max, rounding, ..product }, bias }),
            Err(error) => Err(error),
        }
    }

    /// Elements of `scratch`: up to 18 an input.
    #[must_use]
    pub const fn scratch(&self) -> usize {
        self.shape.scratch()
    }

    /// Runs it.
    ///
    /// # Errors
    /// `Error::Length` if a slice is not of its shape, or `scratch` shorter than [`DynamicLinearS8::scratch`]; `y` is then
    /// untouched.
    #[inline]
    pub fn run(&self, x: &[i8], weights: &[i8], y: &mut [i8], scratch: &mut [i32]) -> Result<(), Error> {
        self.run_on(Auto, x, weights, y, scratch)
    }

    /// [`DynamicLinearS8::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`DynamicLinearS8::run`].
    pub fn run_on<D: Dispatch>(
        &self,
        backend: D,
        x: &[i8],
        weights: &[i8],
        y: &mut [i8],
        scratch: &mut [i32],
    ) -> Result<(), Error> {
        self.shape.check(x.len(), weights.len(), y.len())?;
        at_least(scratch, self.scratch())?;
        backend.dispatch(Product { rule: self, lhs: x, rhs: weights, y, shape: &self.shape, scratch });
        Ok(())
    }
}

impl Arithmetic for DynamicLinearS8<'_> {
    type Element = i8;
    type Sum = i32;

    #[inline(always)]
    fn add(&self, sum: i32, l: i8, r: i8) -> i32 {
        self.product.add(sum, l, r)
    }

    #[inline(always)]
    fn output(&self, col: usize, sum: i32) -> i8 {
        self.product.output(col, sum.wrapping_add(self.bias.get(col).copied().unwrap_or(0)))
    }

    #[inline(always)]
    fn by_loop<B: Backend>(&self, b: B, shape: &BatchShape, of: Operands<'_, i8>) -> bool {
        self.bias.is_empty() && self.product.by_loop(b, shape, of)
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
        backend.dispatch(Product { rule: self, lhs, rhs, y, shape, scratch: &mut [] });
        Ok(())
    }
}

/// Scratch may be longer.
fn at_least(scratch: &[i32], want: usize) -> Result<(), Error> {
    if scratch.len() < want {
        return Err(Error::Length { what: Arg::Scratch, want, got: scratch.len() });
    }
    Ok(())
}

/// What differs between the element types.
trait Arithmetic {
    type Element: Copy;
    type Sum: Copy + Default;

    /// `sum + (l + offset) (r + offset)`.
    fn add(&self, sum: Self::Sum, l: Self::Element, r: Self::Element) -> Self::Sum;

    /// The output of a column.
    fn output(&self, col: usize, sum: Self::Sum) -> Self::Element;

    /// One product by a loop of the backend; false, and nothing done, if it has none.
    #[inline(always)]
    fn by_loop<B: Backend>(&self, _: B, _: &BatchShape, _: Operands<'_, Self::Element>) -> bool {
        false
    }
}

/// The matrices of one product, and scratch.
struct Operands<'a, T> {
    lhs: &'a [T],
    rhs: &'a [T],
    y: &'a mut [T],
    scratch: &'a mut [i32],
}

impl Arithmetic for BatchMatMulS8 {
    type Element = i8;
    type Sum = i32;

    #[inline(always)]
    fn add(&self, sum: i32, l: i8, r: i8) -> i32 {
        sum.wrapping_add((i32::from(l) + self.offsets[0]).wrapping_mul(i32::from(r) + self.offsets[1]))
    }

    #[inline(always)]
    fn output(&self, _: usize, sum: i32) -> i8 {
        let y = requantize(sum, self.multiplier, self.rounding).saturating_add(self.output_offset);
        y.min(i32::from(self.max)).max(i32::from(self.min)) as i8
    }

    #[inline(always)]
    fn by_loop<B: Backend>(&self, b: B, shape: &BatchShape, of: Operands<'_, i8>) -> bool {
        let Self { multiplier, offsets, output_offset, min, max, rounding } = *self;
        let BatchShape { rows, depth, cols, lhs_is_transposed, rhs_is_transposed, .. } = *shape;
        let product = MatS8 {
            rows,
            depth,
            cols,
            lhs_is_transposed,
            rhs_is_transposed,
            offsets,
            multiplier,
            output_offset,
            min,
            max,
            rounding,
        };
        MatRows::product_s8(b, &product, of.lhs, of.rhs, of.y, of.scratch)
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
    fn output(&self, _: usize, sum: i64) -> i16 {
        requantize_s64(sum, self.multiplier).min(i32::from(self.max)).max(i32::from(self.min)) as i16
    }
}

struct Product<'a, R: Arithmetic> {
    rule: &'a R,
    lhs: &'a [R::Element],
    rhs: &'a [R::Element],
    y: &'a mut [R::Element],
    shape: &'a BatchShape,
    scratch: &'a mut [i32],
}

impl<R: Arithmetic> Kernel for Product<'_, R> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let Self { rule, lhs, rhs, y, shape, scratch } = self;
        let [b0, b1, rows, cols] = shape.output();
        let [outer, ..] = shape.batches();
        if y.len() == rows * cols && rule.by_loop(b, shape, Operands { lhs, rhs, y: &mut *y, scratch: &mut *scratch }) {
            return;
        }
        let mut matrices = y.chunks_exact_mut((rows * cols).max(1));
        for batch in (0..outer).flat_map(|o| (0..b0).flat_map(move |i0| (0..b1).map(move |i1| [o, i0, i1]))) {
            let Some(y) = matrices.next() else { return };
            let lhs = one(lhs, shape.lhs, batch, rows * shape.depth);
            let rhs = one(rhs, shape.rhs, batch, cols * shape.depth);
            if rule.by_loop(b, shape, Operands { lhs, rhs, y, scratch }) {
                continue;
            }
            for (r, y) in y.chunks_exact_mut(cols.max(1)).enumerate() {
                // The row's elements, `step` apart.
                let (first, step) = if shape.lhs_is_transposed { (r, rows) } else { (r * shape.depth, 1) };
                let row = lhs.get(first..).unwrap_or(&[]);
                let row = row.get(..shape.depth.wrapping_sub(1).wrapping_mul(step).wrapping_add(1)).unwrap_or(&[]);
                if shape.rhs_is_transposed {
                    for ((c, rhs), y) in rhs.chunks_exact(shape.depth.max(1)).enumerate().zip(y) {
                        *y = rule.output(c, dot(rule, row, step, rhs));
                    }
                } else {
                    tiles(rule, row, step, rhs, y);
                }
            }
        }
    }
}

/// The matrix of a batch that goes with an output's.
#[inline(always)]
fn one<T>(all: &[T], batches: [usize; 3], at: [usize; 3], elements: usize) -> &[T] {
    let index = batches.iter().zip(at).fold(0usize, |index, (&n, at)| index * n + if n == 1 { 0 } else { at });
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
        for ((c, y), sum) in (first..).zip(y).zip(sums) {
            *y = rule.output(c, sum);
        }
        first += TILE;
    }
    for (c, y) in (first..).zip(rest) {
        let column = rhs.get(c..).unwrap_or(&[]).iter().step_by(cols);
        let sum =
            row.iter().step_by(step.max(1)).zip(column).fold(R::Sum::default(), |sum, (&l, &r)| rule.add(sum, l, r));
        *y = rule.output(c, sum);
    }
}
