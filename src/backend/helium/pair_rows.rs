//! Rows of two operands: the loops of `leaves_pair`. Counts are in `backend/helium.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use super::Helium;
use super::leaves_pair::{self, Numbers};
use crate::backend::InOut;
use crate::backend::pair_rows::{Other, Outputs, PairRows, ProductS8, SquareS8, SumS8, Term};

impl PairRows for Helium {
    const HAS_PAIR_LOOPS: bool = true;

    #[inline(always)]
    fn add_pairs_s8(self, of: &SumS8, row: InOut<'_, i8>, other: Other<'_>) {
        sum(of, row, other);
    }

    #[inline(always)]
    fn multiply_pairs_s8(self, of: &ProductS8, row: InOut<'_, i8>, other: Other<'_>) {
        product(of, row, other);
    }

    #[inline(always)]
    fn square_s8(self, of: &SquareS8, row: InOut<'_, i8>) {
        square(of, row);
    }
}

type Leaf = unsafe extern "C" fn(*const i8, *const i8, *mut i8, *const Numbers);

/// Numbers of outputs alone.
#[inline(always)]
fn numbers(of: &Outputs) -> Numbers {
    Numbers {
        n: 0,
        k: 0,
        c: 0,
        other_k: 0,
        other_c: 0,
        other_mantissa: 0,
        other_shift: 0,
        mantissa: of.mantissa,
        shift: (of.right as i32).wrapping_neg(),
        zero_point: of.zero_point,
        min: of.min.into(),
        max: of.max.into(),
    }
}

/// `code k + c` of an exact term.
#[inline(always)]
const fn exact(of: &Term) -> [i32; 2] {
    let k = of.sign << 19;
    [k, k.wrapping_mul(of.zero_point).wrapping_neg()]
}

/// Puts a term that is rounded in the place of the other.
#[inline(always)]
fn round(of: &Term, numbers: &mut Numbers) {
    numbers.other_k = of.sign;
    numbers.other_c = (of.zero_point << 20).wrapping_neg();
    numbers.other_mantissa = of.mantissa;
    numbers.other_shift = (of.right as i32).wrapping_neg();
}

#[inline(never)]
fn sum(of: &SumS8, mut row: InOut<'_, i8>, other: Other<'_>) {
    let mut numbers = numbers(&of.outputs);
    let (x, y) = row.pointers();
    let n = match other {
        Other::Each(other) => row.len().min(other.len()),
        Other::One(_) => row.len(),
    };
    numbers.n = n as u32;
    let (leaf, x, other): (Leaf, _, _) = match other {
        Other::One(other) => {
            let constant = of.second.of(other);
            if of.first.is_exact() {
                let [k, c] = exact(&of.first);
                (numbers.k, numbers.c) = (k, c.wrapping_add(constant));
                (leaves_pair::affine, x, x)
            } else {
                numbers.c = constant;
                round(&of.first, &mut numbers);
                (leaves_pair::rounded, x, x)
            }
        }
        Other::Each(other) => {
            let (one, two, x, other) = if of.first.is_exact() {
                (&of.first, &of.second, x, other.as_ptr())
            } else {
                (&of.second, &of.first, other.as_ptr(), x)
            };
            [numbers.k, numbers.c] = exact(one);
            if two.is_exact() {
                let [k, c] = exact(two);
                (numbers.other_k, numbers.c) = (k, numbers.c.wrapping_add(c));
                (leaves_pair::sum, x, other)
            } else {
                round(two, &mut numbers);
                (leaves_pair::rounded_sum, x, other)
            }
        }
    };
    // SAFETY: `n` elements of each row, and the output is the first operand or none of them.
    unsafe { leaf(x, other, y, &raw const numbers) };
}

#[inline(never)]
fn product(of: &ProductS8, mut row: InOut<'_, i8>, other: Other<'_>) {
    let mut numbers = numbers(&of.outputs);
    let [first, second] = of.zero_points;
    let (x, y) = row.pointers();
    let (leaf, other): (Leaf, _) = match other {
        Other::One(other) => {
            numbers.n = row.len() as u32;
            numbers.k = i32::from(other).wrapping_sub(second);
            numbers.c = numbers.k.wrapping_mul(first).wrapping_neg();
            (leaves_pair::affine, x)
        }
        Other::Each(other) => {
            numbers.n = row.len().min(other.len()) as u32;
            (numbers.c, numbers.other_c) = (first.wrapping_neg(), second.wrapping_neg());
            (leaves_pair::product, other.as_ptr())
        }
    };
    // SAFETY: as above.
    unsafe { leaf(x, other, y, &raw const numbers) };
}

#[inline(never)]
fn square(of: &SquareS8, mut row: InOut<'_, i8>) {
    let mut numbers = numbers(&of.outputs);
    let (x, y) = row.pointers();
    numbers.n = row.len() as u32;
    (numbers.k, numbers.c) = (of.k, of.c);
    // SAFETY: as above.
    unsafe { leaves_pair::square(x, x, y, &raw const numbers) };
}
