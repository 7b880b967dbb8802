//! The hand-written loops over rows of f32 for instruction sets with intrinsics: one body, whose few operations each token
//! maps to its own.
#![allow(unsafe_code, reason = "loads and stores by pointer; `InOut` says what is valid")]

use super::InOut;
use crate::math::{Arith, Below, Ext, ext_coefficients, ext_exp, largest_exponent};

/// A register of f32, and what the loops do with it. A token is the proof that the instructions are there.
pub(super) trait Vector: Arith {
    /// The register.
    type V: Copy;
    /// Elements of a register.
    const WIDTH: usize;

    fn splat(self, v: f32) -> Self::V;
    /// # Safety
    /// `from` is valid for [`Vector::WIDTH`] elements.
    unsafe fn load(self, from: *const f32) -> Self::V;
    /// # Safety
    /// `to` is valid for [`Vector::WIDTH`] elements.
    unsafe fn store(self, to: *mut f32, v: Self::V);
    /// A store past the caches; [`Vector::fence`] follows the last.
    ///
    /// # Safety
    /// `to` is valid for [`Vector::WIDTH`] elements, and aligned to as many bytes as they have.
    unsafe fn stream(self, to: *mut f32, v: Self::V);
    fn fence(self);
    /// Asks for the line at an address, which may be anything.
    fn prefetch(self, from: *const f32);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, one rounding.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger; `b` if one is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The bits shifted left by 23.
    fn power(self, bits: Self::V) -> Self::V;
    /// The sum of the lanes, as a tree.
    fn sum(self, v: Self::V) -> f32;
    /// The largest lane, none of which is NaN.
    fn top(self, v: Self::V) -> f32;
}

/// Registers in flight.
const UNROLL: usize = 4;
/// Elements whose partial sums stay in f32: 64 terms a lane of AVX2.
const BLOCK: usize = 2048;
/// How far ahead of a block's exponentials its successor's elements are asked for.
const AHEAD: usize = BLOCK;
/// The same for a pass that only walks forwards.
const NEXT: usize = 512;
/// Elements of a cache line.
const LINE: usize = 16;

/// Longest register of all.
const WIDEST: usize = 16;

/// Shows the row register by register, and to which of [`UNROLL`] accumulators each belongs (a constant
/// everywhere, or the accumulators would live in memory); writes what comes back. The last one is filled up with `pad`.
#[inline(always)]
fn walk<S: Vector>(s: S, mut row: InOut<'_, f32>, pad: f32, mut f: impl FnMut(usize, S::V) -> S::V) {
    let len = row.len();
    let (x, y) = row.pointers();
    let mut at = 0;
    while len - at >= UNROLL * S::WIDTH {
        let mut v = [s.splat(0.0); UNROLL];
        for i in 0..UNROLL {
            // SAFETY: `UNROLL` registers are left.
            v[i] = unsafe { s.load(x.wrapping_add(at + i * S::WIDTH)) };
        }
        for i in 0..UNROLL {
            v[i] = f(i, v[i]);
        }
        for i in 0..UNROLL {
            // SAFETY: as above, and all that is overwritten was read.
            unsafe { s.store(y.wrapping_add(at + i * S::WIDTH), v[i]) };
        }
        at += UNROLL * S::WIDTH;
    }
    while len - at >= S::WIDTH {
        // SAFETY: a register is left.
        let v = f(0, unsafe { s.load(x.wrapping_add(at)) });
        // SAFETY: as above.
        unsafe { s.store(y.wrapping_add(at), v) };
        at += S::WIDTH;
    }
    if at < len {
        let mut rest = [pad; WIDEST];
        for i in 0..(len - at).min(WIDEST) {
            // SAFETY: `at + i < len`.
            rest[i] = unsafe { x.wrapping_add(at + i).read() };
        }
        // SAFETY: the array is at least a register long.
        let v = f(0, unsafe { s.load(rest.as_ptr()) });
        // SAFETY: as above.
        unsafe { s.store(rest.as_mut_ptr(), v) };
        for i in 0..(len - at).min(WIDEST) {
            // SAFETY: `at + i < len`, and the element was read.
            unsafe { y.wrapping_add(at + i).write(rest[i]) };
        }
    }
}

/// As [`walk`], without writing; asks for each line `ahead` elements before it is read, if that is not 0.
#[inline(always)]
fn show<S: Vector>(s: S, x: &[f32], pad: f32, ahead: usize, mut f: impl FnMut(usize, S::V)) {
    let (start, len) = (x.as_ptr(), x.len());
    let mut at = 0;
    while len - at >= UNROLL * S::WIDTH {
        for i in 0..UNROLL {
            if ahead > 0 && i * S::WIDTH % LINE == 0 {
                s.prefetch(start.wrapping_add(at + i * S::WIDTH + ahead));
            }
            // SAFETY: `UNROLL` registers are left.
            f(i, unsafe { s.load(start.wrapping_add(at + i * S::WIDTH)) });
        }
        at += UNROLL * S::WIDTH;
    }
    while len - at >= S::WIDTH {
        // SAFETY: a register is left.
        f(0, unsafe { s.load(start.wrapping_add(at)) });
        at += S::WIDTH;
    }
    if at < len {
        let mut rest = [pad; WIDEST];
        for i in 0..(len - at).min(WIDEST) {
            // SAFETY: `at + i < len`.
            rest[i] = unsafe { start.wrapping_add(at + i).read() };
        }
        // SAFETY: the array is at least a register long.
        f(0, unsafe { s.load(rest.as_ptr()) });
    }
}

/// `e^x / 2^n` of a register of elements whose exponents are at most `n` (`math::ext`).
#[derive(Clone, Copy)]
struct Exp<S: Vector> {
    s: S,
    shift: S::V,
    lowest: S::V,
}

impl<S: Vector> Exp<S> {
    #[inline(always)]
    fn below(s: S, n: f32) -> Self {
        let below = Below::new(n);
        Self { s, shift: s.splat(below.shift()), lowest: s.splat(below.lowest()) }
    }

    /// `(m, 2^(n_x - n))`.
    #[inline(always)]
    fn of(self, x: S::V) -> (S::V, S::V) {
        let s = self.s;
        let [log2_e, minus_hi, minus_lo, p0, p1, p2, p3, p4, p5] = ext_coefficients();
        let x = s.max(self.lowest, x);
        let shifted = s.mul_add(x, s.splat(log2_e), self.shift);
        let n = s.sub(shifted, self.shift);
        let t = s.mul_add(n, s.splat(minus_lo), s.mul_add(n, s.splat(minus_hi), x));
        let p = s.mul_add(s.splat(p5), t, s.splat(p4));
        let p = s.mul_add(p, t, s.splat(p3));
        let p = s.mul_add(p, t, s.splat(p2));
        let p = s.mul_add(p, t, s.splat(p1));
        (s.mul_add(p, t, s.splat(p0)), s.power(shifted))
    }

    /// `factor e^x / 2^n`.
    #[inline(always)]
    fn times(self, factor: S::V, x: S::V) -> S::V {
        let (m, power) = self.of(x);
        self.s.mul(self.s.mul(m, factor), power)
    }
}

/// [`F32Rows::max_f32`](super::F32Rows::max_f32).
#[inline(always)]
pub(super) fn max<S: Vector>(s: S, x: &[f32]) -> f32 {
    let mut tops = [s.splat(f32::NEG_INFINITY); UNROLL];
    show(
        s,
        x,
        f32::NEG_INFINITY,
        0,
        #[inline(always)]
        |i, x| tops[i] = s.max(x, tops[i]),
    );
    s.top(s.max(s.max(tops[0], tops[1]), s.max(tops[2], tops[3])))
}

/// [`F32Rows::scale_f32`](super::F32Rows::scale_f32).
#[inline(always)]
pub(super) fn scale<S: Vector>(s: S, y: &mut [f32], factor: f32) {
    let factor = s.splat(factor);
    walk(
        s,
        InOut::in_place(y),
        0.0,
        #[inline(always)]
        |_, y| s.mul(y, factor),
    );
}

/// `y = e^x / 2^n` and its sum, blocks merged in f64; `None` if `n` is beyond what is exact.
#[inline(always)]
pub(super) fn exp_and_sum<S: Vector>(s: S, mut row: InOut<'_, f32>, max: f32) -> Option<f32> {
    let (_, n) = ext_exp(s, max);
    let fits = n.abs() <= largest_exponent::<S>(); // false for NaN
    if !fits {
        return None;
    }
    let exp = Exp::below(s, n);
    let mut first = block_and_sum(exp, row.split_off_front(BLOCK));
    if !row.is_empty() {
        let mut sum = f64::from(first);
        while !row.is_empty() {
            sum += f64::from(block_and_sum(exp, row.split_off_front(BLOCK)));
        }
        first = sum as f32;
    }
    Some(first)
}

#[inline(always)]
fn block_and_sum<S: Vector>(exp: Exp<S>, block: InOut<'_, f32>) -> f32 {
    let s = exp.s;
    let mut sums = [s.splat(0.0); UNROLL];
    walk(
        s,
        block,
        f32::NEG_INFINITY,
        #[inline(always)]
        |i, x| {
            let (m, power) = exp.of(x);
            let y = s.mul(m, power);
            sums[i] = s.add(sums[i], y);
            y
        },
    );
    total(s, sums)
}

/// `Σ e^x / 2^n` of a block.
#[inline(always)]
fn sum_of_block<S: Vector>(s: S, x: &[f32], n: f32, ahead: usize) -> f32 {
    let exp = Exp::below(s, n);
    let mut sums = [s.splat(0.0); UNROLL];
    show(
        s,
        x,
        f32::NEG_INFINITY,
        ahead,
        #[inline(always)]
        |i, x| {
            let (m, power) = exp.of(x);
            sums[i] = s.mul_add(m, power, sums[i]);
        },
    );
    total(s, sums)
}

#[inline(always)]
fn total<S: Vector>(s: S, sums: [S::V; UNROLL]) -> f32 {
    s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
}

/// [`F32Rows::sum_of_exp`](super::F32Rows::sum_of_exp) of elements of at most `max`, if its exponent is exact.
#[inline(always)]
pub(super) fn sum_of_exp<S: Vector>(s: S, x: &[f32], max: f32) -> Option<f64> {
    let (m, n) = ext_exp(s, max);
    let fits = n.abs() <= largest_exponent::<S>(); // false for NaN
    if !fits {
        return None;
    }
    let mut sum = 0.0;
    for block in x.chunks(BLOCK) {
        sum += f64::from(sum_of_block(s, block, n, 0));
    }
    Some(sum / f64::from(m))
}

/// [`F32Rows::ext_exp_sum`](super::F32Rows::ext_exp_sum).
#[inline(always)]
pub(super) fn ext_exp_sum<S: Vector>(s: S, x: &[f32]) -> Ext {
    let mut sum = Ext::ZERO;
    for block in x.chunks(BLOCK) {
        let (_, n) = ext_exp(s, max(s, block));
        sum = sum.plus(Ext { m: f64::from(sum_of_block(s, block, n, AHEAD)), n });
    }
    sum
}

/// [`F32Rows::ext_exp_scale`](super::F32Rows::ext_exp_scale); rows of `stream_from` elements are written past the caches.
#[inline(always)]
pub(super) fn ext_exp_scale<S: Vector>(s: S, mut row: InOut<'_, f32>, factor: f32, n: f32, stream_from: usize) {
    let exp = Exp::below(s, n);
    let factor = s.splat(factor);
    let (x, y) = row.pointers();
    // In place, the lines are in the caches when they are written.
    if row.len() >= stream_from && !core::ptr::eq(x, y) {
        let bytes = S::WIDTH * size_of::<f32>();
        let ahead = y.align_offset(bytes).min(row.len());
        walk(
            s,
            row.split_off_front(ahead),
            0.0,
            #[inline(always)]
            |_, x| exp.times(factor, x),
        );
        let groups = row.len() / (UNROLL * S::WIDTH);
        let mut front = row.split_off_front(groups * UNROLL * S::WIDTH);
        let (x, y) = front.pointers();
        for group in 0..groups {
            for i in 0..UNROLL {
                let at = (group * UNROLL + i) * S::WIDTH;
                if i * S::WIDTH % LINE == 0 {
                    s.prefetch(x.wrapping_add(at + NEXT));
                }
                // SAFETY: within `front`.
                let v = exp.times(factor, unsafe { s.load(x.wrapping_add(at)) });
                // SAFETY: within `front`, which begins aligned to a register.
                unsafe { s.stream(y.wrapping_add(at), v) };
            }
        }
        s.fence();
    }
    walk(
        s,
        row,
        0.0,
        #[inline(always)]
        |_, x| exp.times(factor, x),
    );
}
