//! Softmax of 8-bit logits, with the bytes of TFLite's reference kernels.
//!
//! ```text
//! e_i = exp(beta scale (x_i - max x))      Q0.31, from a table of 256 entries
//! y_i = e_i / Σ_j e_j                      i8 in units of 1/256, or i16 in units of 1/65536
//! ```
//! The reference (TFLite's `reference_ops::Softmax`, on gemmlowp's fixed point) works each exponential out twice, in 27
//! multiplications. Here the 256 that there are stand in a table ([`Weights`]), the reciprocal of the sum is the
//! reference's own, and its two roundings are done as one. Where the reference is not defined, as its sum leaves 32 bits or
//! its shift goes beyond 31, the same exponentials are divided by their exact sum.

use super::exp_table::Distance;
use crate::backend::{Auto, Backend, Dispatch, HALF_Q19, InOut, Kernel, Quotient, S8Row, S8Values, Weights};
use crate::error::{Arg, Error};
use crate::fixedpoint::one_over_one_plus_x;
use crate::shape::Rows;

/// Most elements of a row.
pub(crate) const MOST_COLS: usize = 1 << 16;

/// Elements whose sum in Q12.19 fits 32 bits whatever they are.
const GROUP: usize = 4096;

/// Softmax of i8 rows to i8 or i16, its table inside: for one known when the program is built, which then lives in flash.
///
/// `x`: `rows x cols`, any zero point, `beta * scale` the distance of one step. `y`: as i8 in units of 1/256 with zero
/// point -128, or as i16 in units of 1/65536 with zero point -32768. Rows of up to 65,536.
///
/// # Accuracy
/// The bytes of TFLite's reference kernel, on every backend, while `Σ exp(x - max)` is below 512 (i8) or 4096 (i16).
/// Beyond, where the reference is not defined: the same exponentials over their exact sum, rounded half up.
/// Against real softmax half a unit of the output; 1 is not representable and comes out as 255/256 or 65535/65536.
///
/// # Cost
/// Instructions an element for rows of 64 / 256 / 1000 full-range logits, QEMU: to i8 14.8 / 9.7 / 7.7 on Cortex-M4,
/// 5.6 / 2.8 / 1.8 on Cortex-M55; to i16 15.6 / 12.3 / 8.4 and 5.6 / 3.9 / 3.5. 1 KiB for the table.
///
/// # Example
/// ```
/// use scrimp::{Rows, SoftmaxS8};
/// static SOFTMAX: SoftmaxS8 = scrimp::expect!(SoftmaxS8::new(1.0 / 16.0, 1.0));
/// let mut y = [0; 2];
/// SOFTMAX.run(&[16, 0], &mut y, Rows::one(2)?)?;
/// assert_eq!(y, [59, -59]); // 187/256 and 69/256
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)] // C has the table in memory of its own (tools/capi)
pub struct SoftmaxS8 {
    table: Weights,
}

impl SoftmaxS8 {
    /// The softmax of `beta * scale * x`.
    ///
    /// # Errors
    /// `Error::Config` unless both are positive and their product is above 2^-26.
    pub const fn new(scale: f64, beta: f64) -> Result<Self, Error> {
        match Distance::from_scale(scale, beta) {
            Ok(distance) => Ok(Self { table: distance.table() }),
            Err(error) => Err(error),
        }
    }

    /// From TFLite's integers: `(x - max) * 2^shift * multiplier / 2^31` in Q5.26, negligible where `x - max < diff_min`.
    ///
    /// # Errors
    /// `Error::Config` unless `multiplier` is positive, `shift` 0 to 31, `diff_min` not positive, and Q5.26 not left.
    pub const fn from_multiplier(multiplier: i32, shift: i32, diff_min: i32) -> Result<Self, Error> {
        match Distance::from_multiplier(multiplier, shift, diff_min) {
            Ok(distance) => Ok(Self { table: distance.table() }),
            Err(error) => Err(error),
        }
    }

    /// The same with the table borrowed.
    #[inline]
    #[must_use]
    pub const fn by_ref(&self) -> SoftmaxS8Ref<'_> {
        SoftmaxS8Ref { table: &self.table }
    }

    /// Softmax of each row, to i8.
    ///
    /// # Errors
    /// `Error::Length` if `x` or `y` is not `rows x cols`, `Error::TooLarge` for more than 65,536 columns; `y` is then
    /// untouched.
    #[inline]
    pub fn run(&self, x: &[i8], y: &mut [i8], rows: Rows) -> Result<(), Error> {
        self.by_ref().run(x, y, rows)
    }

    /// [`SoftmaxS8::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SoftmaxS8::run`].
    #[inline]
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i8], y: &mut [i8], rows: Rows) -> Result<(), Error> {
        self.by_ref().run_on(backend, x, y, rows)
    }

    /// [`SoftmaxS8::run`] that overwrites its input.
    ///
    /// # Errors
    /// As [`SoftmaxS8::run`]; `x` is then untouched.
    #[inline]
    pub fn run_in_place(&self, x: &mut [i8], rows: Rows) -> Result<(), Error> {
        self.by_ref().run_in_place(x, rows)
    }

    /// [`SoftmaxS8::run_in_place`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SoftmaxS8::run_in_place`].
    #[inline]
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [i8], rows: Rows) -> Result<(), Error> {
        self.by_ref().run_in_place_on(backend, x, rows)
    }

    /// Softmax of each row, to i16.
    ///
    /// # Errors
    /// As [`SoftmaxS8::run`].
    #[inline]
    pub fn run_s16(&self, x: &[i8], y: &mut [i16], rows: Rows) -> Result<(), Error> {
        self.by_ref().run_s16(x, y, rows)
    }

    /// [`SoftmaxS8::run_s16`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SoftmaxS8::run`].
    #[inline]
    pub fn run_s16_on<D: Dispatch>(&self, backend: D, x: &[i8], y: &mut [i16], rows: Rows) -> Result<(), Error> {
        self.by_ref().run_s16_on(backend, x, y, rows)
    }
}

/// [`SoftmaxS8`] with its table in a buffer of the caller, for a scale that is known only when the program runs.
///
/// # Example
/// ```
/// use scrimp::{Rows, SoftmaxS8Ref};
/// let mut table = [0; 256];
/// let softmax = SoftmaxS8Ref::build(&mut table, 1.0 / 16.0, 1.0)?;
/// let mut y = [0; 2];
/// softmax.run_s16(&[16, 0], &mut y, Rows::one(2)?)?;
/// assert_eq!(y, [15_143, -15_143]);
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SoftmaxS8Ref<'a> {
    table: &'a Weights,
}

impl<'a> SoftmaxS8Ref<'a> {
    /// Fills `table` for the softmax of `beta * scale * x`.
    ///
    /// # Errors
    /// As [`SoftmaxS8::new`]; `table` is then untouched.
    pub const fn build(table: &'a mut Weights, scale: f64, beta: f64) -> Result<Self, Error> {
        match Distance::from_scale(scale, beta) {
            Ok(distance) => distance.fill(table),
            Err(error) => return Err(error),
        }
        Ok(Self { table })
    }

    /// Fills `table` from TFLite's integers, as [`SoftmaxS8::from_multiplier`].
    ///
    /// # Errors
    /// As [`SoftmaxS8::from_multiplier`]; `table` is then untouched.
    pub const fn from_multiplier(
        table: &'a mut Weights,
        multiplier: i32,
        shift: i32,
        diff_min: i32,
    ) -> Result<Self, Error> {
        match Distance::from_multiplier(multiplier, shift, diff_min) {
            Ok(distance) => distance.fill(table),
            Err(error) => return Err(error),
        }
        Ok(Self { table })
    }

    /// As [`SoftmaxS8::run`].
    ///
    /// # Errors
    /// As [`SoftmaxS8::run`].
    #[inline]
    pub fn run(&self, x: &[i8], y: &mut [i8], rows: Rows) -> Result<(), Error> {
        self.run_on(Auto, x, y, rows)
    }

    /// [`SoftmaxS8Ref::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SoftmaxS8::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i8], y: &mut [i8], rows: Rows) -> Result<(), Error> {
        check(rows, x.len(), y.len())?;
        backend.dispatch(ToS8 { table: self.table, matrix: InOut::apart(x, y), cols: rows.cols() });
        Ok(())
    }

    /// As [`SoftmaxS8::run_in_place`].
    ///
    /// # Errors
    /// As [`SoftmaxS8::run_in_place`].
    #[inline]
    pub fn run_in_place(&self, x: &mut [i8], rows: Rows) -> Result<(), Error> {
        self.run_in_place_on(Auto, x, rows)
    }

    /// [`SoftmaxS8Ref::run_in_place`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SoftmaxS8::run_in_place`].
    pub fn run_in_place_on<D: Dispatch>(&self, backend: D, x: &mut [i8], rows: Rows) -> Result<(), Error> {
        check(rows, x.len(), x.len())?;
        backend.dispatch(ToS8 { table: self.table, matrix: InOut::in_place(x), cols: rows.cols() });
        Ok(())
    }

    /// As [`SoftmaxS8::run_s16`].
    ///
    /// # Errors
    /// As [`SoftmaxS8::run`].
    #[inline]
    pub fn run_s16(&self, x: &[i8], y: &mut [i16], rows: Rows) -> Result<(), Error> {
        self.run_s16_on(Auto, x, y, rows)
    }

    /// [`SoftmaxS8Ref::run_s16`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`SoftmaxS8::run`].
    pub fn run_s16_on<D: Dispatch>(&self, backend: D, x: &[i8], y: &mut [i16], rows: Rows) -> Result<(), Error> {
        check(rows, x.len(), y.len())?;
        backend.dispatch(ToS16 { table: self.table, matrix: InOut::apart(x, y), cols: rows.cols() });
        Ok(())
    }
}

/// `Ok` if the call is right.
#[inline]
pub(crate) fn check(rows: Rows, x: usize, y: usize) -> Result<(), Error> {
    rows.check(Arg::X, x)?;
    rows.check(Arg::Y, y)?;
    if rows.cols() > MOST_COLS {
        return Err(Error::TooLarge { what: Arg::Cols, max: MOST_COLS, got: rows.cols() });
    }
    Ok(())
}

struct ToS8<'a> {
    table: &'a Weights,
    matrix: InOut<'a, i8>,
    cols: usize,
}

impl Kernel for ToS8<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(mut self, b: B) {
        while !self.matrix.is_empty() {
            let row = S8Row::below_max(b, self.matrix.split_off_front(self.cols));
            match reciprocal(sum_q19(b, row.values(), self.table), 8) {
                Some(quotient) => b.quotients_s8(row, self.table, quotient),
                None => divided_s8(row, self.table),
            }
        }
    }
}

struct ToS16<'a> {
    table: &'a Weights,
    matrix: InOut<'a, i8, i16>,
    cols: usize,
}

impl Kernel for ToS16<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(mut self, b: B) {
        while !self.matrix.is_empty() {
            let row = S8Row::below_max(b, self.matrix.split_off_front(self.cols));
            match reciprocal(sum_q19(b, row.values(), self.table), 16) {
                Some(quotient) => b.quotients_s16(row, self.table, quotient),
                None => divided_s16(row, self.table),
            }
        }
    }
}

/// The sum of the exponentials, each rounded to Q12.19.
#[inline(always)]
pub(crate) fn sum_q19<B: Backend>(b: B, row: S8Values<'_>, table: &Weights) -> u64 {
    if row.x().len() <= GROUP {
        return u64::from(b.sum_q19_s8(row, table));
    }
    row.groups(GROUP).map(|group| u64::from(b.sum_q19_s8(group, table))).sum()
}

/// The reference's quotient for outputs of 8 or 16 bits; `None` where it has none.
#[inline(always)]
const fn reciprocal(sum: u64, bits: u32) -> Option<Quotient> {
    // A right shift of up to 31, and a sum below 2^31.
    if sum >> (if bits == 8 { 28 } else { 31 }) != 0 {
        return None;
    }
    let sum = sum as u32;
    let zeros = sum.leading_zeros() & 31;
    let factor = one_over_one_plus_x(((sum << zeros) & 0x7FFF_FFFF) as i32) as u32;
    Some(Quotient::Twice { factor, shift: (43 - bits).wrapping_sub(zeros) & 31 })
}

/// Rows whose sum is beyond the reference, to i8.
#[cold]
#[inline(never)]
fn divided_s8(row: S8Row<'_, i8>, table: &Weights) {
    let sum = sum_q31(row.values(), table);
    let mut y = [i8::MIN; 256];
    for (y, &weight) in y.iter_mut().zip(table).rev() {
        let Some(quotient @ 1..) = quotient(weight, 8, sum) else { break };
        *y = (quotient as u8 ^ 0x80) as i8;
    }
    row.look_up(&y);
}

/// Rows whose sum is beyond the reference, to i16.
#[cold]
#[inline(never)]
fn divided_s16(row: S8Row<'_, i16>, table: &Weights) {
    let sum = sum_q31(row.values(), table);
    let mut y = [i16::MIN; 256];
    for (y, &weight) in y.iter_mut().zip(table).rev() {
        let Some(quotient @ 1..) = quotient(weight, 16, sum) else { break };
        *y = (quotient as u16 ^ 0x8000) as i16;
    }
    row.look_up(&y);
}

/// The sum of the exponentials in Q0.31, exact.
fn sum_q31(row: S8Values<'_>, table: &Weights) -> u64 {
    row.weights(table).map(|weight| u64::from(weight.wrapping_sub(HALF_Q19))).sum()
}

/// `exponential * 2^bits / sum`, half up. Far below `2^bits`, as the sum is large.
fn quotient(weight: u32, bits: u32, sum: u64) -> Option<u64> {
    let dividend = u64::from(weight.wrapping_sub(HALF_Q19)).wrapping_shl(bits);
    dividend.wrapping_add(sum >> 1).checked_div(sum)
}
