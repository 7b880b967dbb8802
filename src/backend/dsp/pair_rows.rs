//! Rows of two operands: the loops of `leaves_pair`. Counts are in `backend/dsp.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use super::Dsp;
use super::leaves_pair::{self, Numbers};
use crate::backend::InOut;
use crate::backend::pair_rows::{Other, Outputs, PairRows, ProductS8, SquareS8, SumS8, Term};

impl PairRows for Dsp {
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
    let right = of.right.wrapping_sub(1);
    Numbers {
        other_c: 0,
        other_mantissa: 0,
        other_half: 0,
        other_right: 0,
        k: 0,
        c: 0,
        other_k: 0,
        mantissa: of.mantissa,
        half: (2 * of.zero_point + 1).wrapping_shl(right),
        right: right as i32,
        n: 0,
    }
}

/// `code k + c` of an exact term, doubled.
#[inline(always)]
const fn exact(of: &Term) -> [i32; 2] {
    let k = of.sign << 20;
    [k, k.wrapping_mul(of.zero_point).wrapping_neg()]
}

/// Puts a term that is rounded in the place of the other, doubled.
#[inline(always)]
fn round(of: &Term, numbers: &mut Numbers) {
    numbers.other_k = 2 * of.sign;
    numbers.other_c = (of.zero_point << 21).wrapping_neg();
    numbers.other_mantissa = of.mantissa;
    numbers.other_half = 1i32.wrapping_shl(of.right.wrapping_sub(1));
    numbers.other_right = of.right as i32;
}

/// Runs a loop over a row, and over copies of its last few elements, then limits what came out.
#[inline(always)]
fn run(
    leaf: Leaf,
    numbers: &mut Numbers,
    row: &mut InOut<'_, i8>,
    other: Option<&[i8]>,
    is_swapped: bool,
    of: &Outputs,
) {
    let n = match other {
        Some(other) => row.len().min(other.len()),
        None => row.len(),
    };
    let of_row = |numbers: &mut Numbers, mut row: InOut<'_, i8>, other: Option<&[i8]>, fours: usize| {
        numbers.n = fours as u32;
        let (x, y) = row.pointers();
        let other = other.map_or(x, <[i8]>::as_ptr);
        let (x, other) = if is_swapped { (other, x) } else { (x, other) };
        // SAFETY: so many fours of each row, not none, and the output is the first operand or none of them.
        unsafe { leaf(x, other, y, &raw const *numbers) };
        if of.min > i8::MIN || of.max < i8::MAX {
            row.output().iter_mut().for_each(|y| *y = (*y).min(of.max).max(of.min));
        }
    };
    let whole = n & !3;
    if whole > 0 {
        of_row(numbers, row.split_off_front(whole), other, whole / 4);
    }
    if n > whole {
        let (mut x, mut second, mut y) = ([0; 4], [0; 4], [0; 4]);
        x.iter_mut().zip(row.input()).for_each(|(to, &from)| *to = from);
        let rest = other.and_then(|other| other.get(whole..)).unwrap_or_default();
        second.iter_mut().zip(rest).for_each(|(to, &from)| *to = from);
        of_row(numbers, InOut::apart(&x, &mut y), other.map(|_| second.as_slice()), 1);
        row.output().iter_mut().zip(y).take(n - whole).for_each(|(to, from)| *to = from);
    }
}
#[inline(never)]
fn sum(of: &SumS8, mut row: InOut<'_, i8>, other: Other<'_>) {
    let mut numbers = numbers(&of.outputs);
    match other {
        Other::One(other) => {
            let constant = of.second.of(other).wrapping_mul(2);
            let leaf: Leaf = if of.first.is_exact() {
                let [k, c] = exact(&of.first);
                (numbers.k, numbers.c) = (k, c.wrapping_add(constant));
                leaves_pair::affine
            } else {
                numbers.c = constant;
                round(&of.first, &mut numbers);
                leaves_pair::rounded
            };
            run(leaf, &mut numbers, &mut row, None, false, &of.outputs);
        }
        Other::Each(other) => {
            let is_swapped = !of.first.is_exact();
            let (one, two) = if is_swapped { (&of.second, &of.first) } else { (&of.first, &of.second) };
            [numbers.k, numbers.c] = exact(one);
            let leaf: Leaf = if two.is_exact() {
                let [k, c] = exact(two);
                (numbers.other_k, numbers.c) = (k, numbers.c.wrapping_add(c));
                leaves_pair::sum
            } else {
                round(two, &mut numbers);
                leaves_pair::rounded_sum
            };
            run(leaf, &mut numbers, &mut row, Some(other), is_swapped, &of.outputs);
        }
    }
}

#[inline(never)]
fn product(of: &ProductS8, mut row: InOut<'_, i8>, other: Other<'_>) {
    let mut numbers = numbers(&of.outputs);
    let [first, second] = of.zero_points;
    match other {
        Other::One(other) => {
            numbers.k = 2 * i32::from(other).wrapping_sub(second);
            numbers.c = numbers.k.wrapping_mul(first).wrapping_neg();
            run(leaves_pair::affine, &mut numbers, &mut row, None, false, &of.outputs);
        }
        Other::Each(other) => {
            (numbers.c, numbers.other_c) = (first.wrapping_neg(), second.wrapping_mul(-2));
            run(leaves_pair::product, &mut numbers, &mut row, Some(other), false, &of.outputs);
        }
    }
}

#[inline(never)]
fn square(of: &SquareS8, mut row: InOut<'_, i8>) {
    let mut numbers = numbers(&of.outputs);
    (numbers.k, numbers.c) = (of.k, of.c);
    run(leaves_pair::square, &mut numbers, &mut row, None, false, &of.outputs);
}
