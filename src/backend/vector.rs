//! The hand-written loops over rows of f32 for instruction sets with intrinsics: one body, whose few operations each token
//! maps to its own.
#![allow(unsafe_code, reason = "loads and stores by pointer; `InOut` says what is valid")]

#[cfg(target_arch = "x86_64")]
use core::cell::Cell;

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

    /// What [`Vector::exp`] needs to know.
    type Exp: Copy;
    /// The largest `|n|` that it takes.
    const LARGEST: f32;
    /// Whether an element whose exponent is far above `n` gives nonsense, and not infinity.
    const WRAPS: bool;
    /// Exponentials as multiples of `2^n`, an integer, times a factor from 0 to 1, of elements whose exponents are at most `n`.
    fn below(self, n: f32, factor: f32) -> Self::Exp;
    /// `factor e^x / 2^n`; 0 far below, NaN for NaN.
    fn exp(self, exp: Self::Exp, x: Self::V) -> Self::V;
    /// `sum + factor e^x / 2^n`.
    #[inline(always)]
    fn add_exp(self, exp: Self::Exp, x: Self::V, sum: Self::V) -> Self::V {
        self.add(sum, self.exp(exp, x))
    }

    /// The first `n` elements, fewer than [`Vector::WIDTH`], and `pad` for the others.
    ///
    /// # Safety
    /// `from` is valid for `n` elements.
    #[inline(always)]
    unsafe fn load_part(self, from: *const f32, n: usize, pad: f32) -> Self::V {
        let mut all = [pad; WIDEST];
        for i in 0..n.min(WIDEST) {
            // SAFETY: `i < n`.
            all[i] = unsafe { from.wrapping_add(i).read() };
        }
        // SAFETY: the array is at least a register long.
        unsafe { self.load(all.as_ptr()) }
    }

    /// Stores the first `n` elements, fewer than [`Vector::WIDTH`].
    ///
    /// # Safety
    /// `to` is valid for `n` elements.
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, n: usize, v: Self::V) {
        let mut all = [0.0; WIDEST];
        // SAFETY: the array is at least a register long.
        unsafe { self.store(all.as_mut_ptr(), v) };
        for i in 0..n.min(WIDEST) {
            // SAFETY: `i < n`.
            unsafe { to.wrapping_add(i).write(all[i]) };
        }
    }
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
        // SAFETY: so many elements are left.
        let v = f(0, unsafe { s.load_part(x.wrapping_add(at), len - at, pad) });
        // SAFETY: as above, and they were read.
        unsafe { s.store_part(y.wrapping_add(at), len - at, v) };
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
        // SAFETY: so many elements are left.
        f(0, unsafe { s.load_part(start.wrapping_add(at), len - at, pad) });
    }
}

/// [`Vector::exp`] as a polynomial times a power of two (`math::ext`).
#[derive(Clone, Copy)]
pub(super) struct Polynomial<S: Vector> {
    shift: S::V,
    lowest: S::V,
    factor: S::V,
}

impl<S: Vector> Polynomial<S> {
    pub(super) const LARGEST: f32 = largest_exponent::<S>();

    #[inline(always)]
    pub(super) fn new(s: S, n: f32, factor: f32) -> Self {
        let below = Below::new(n);
        Self { shift: s.splat(below.shift()), lowest: s.splat(below.lowest()), factor: s.splat(factor) }
    }

    /// `(m, 2^(n_x - n))`.
    #[inline(always)]
    pub(super) fn of(self, s: S, x: S::V) -> (S::V, S::V) {
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
    pub(super) fn exp(self, s: S, x: S::V) -> S::V {
        let (m, power) = self.of(s, x);
        s.mul(s.mul(m, self.factor), power)
    }

    /// `sum + factor e^x / 2^n`.
    #[inline(always)]
    pub(super) fn add_exp(self, s: S, x: S::V, sum: S::V) -> S::V {
        let (m, power) = self.of(s, x);
        s.mul_add(s.mul(m, self.factor), power, sum)
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

/// Exponents are taken off `2^-40` where no maximum was looked for: then sums from `2^-40` to `2^86` are [`is_plain`].
const CENTRE: f32 = -40.0;

/// No plain sum has an element of more: `2^86`.
const TOP: f32 = 59.0;

/// Whether a sum of `e^x / 2^CENTRE` has neither overflowed nor lost more than `2^-126` of a probability; false for NaN.
#[inline(always)]
fn is_plain(sum: f32) -> bool {
    const HIGHEST: f32 = f32::from_bits((127 + 126) << 23);
    (1.0..HIGHEST).contains(&sum)
}

/// [`F32Rows::softmax_of_plain`](super::F32Rows::softmax_of_plain) of a row that fills at most `N` registers.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub(super) fn plain_in_registers<S: Vector, const N: usize>(s: S, row: InOut<'_, f32>) -> bool {
    let exp = s.below(CENTRE, 1.0);
    let tops = Cell::new(Tops::new(s));
    in_registers::<S, N>(
        s,
        row,
        #[inline(always)]
        |i, x| {
            tops.set(tops.get().with(s, i, x));
            s.exp(exp, x)
        },
        #[inline(always)]
        |sum| is_plain(sum) && tops.get().are_plain(s),
    )
}

/// `y = f(x) / Σ f(x)` of a row that fills at most `N` registers, where it stays until it is written; `false`, with nothing
/// written, if `fits` refuses the sum. `f(-inf)` is 0.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub(super) fn in_registers<S: Vector, const N: usize>(
    s: S,
    mut row: InOut<'_, f32>,
    mut f: impl FnMut(usize, S::V) -> S::V,
    fits: impl Fn(f32) -> bool,
) -> bool {
    let len = row.len();
    let (x, y) = row.pointers();
    let mut v = [s.splat(f32::NEG_INFINITY); N];
    for i in 0..N {
        let at = i * S::WIDTH;
        if at + S::WIDTH <= len {
            // SAFETY: a register is left.
            v[i] = unsafe { s.load(x.wrapping_add(at)) };
        } else if at < len {
            // SAFETY: so many elements are left.
            v[i] = unsafe { s.load_part(x.wrapping_add(at), len - at, f32::NEG_INFINITY) };
        }
    }
    let mut sums = [s.splat(0.0); UNROLL];
    for i in 0..N {
        v[i] = f(i % UNROLL, v[i]);
        sums[i % UNROLL] = if i < UNROLL { v[i] } else { s.add(sums[i % UNROLL], v[i]) };
    }
    let sum = total(s, sums);
    if !fits(sum) {
        return false;
    }
    let factor = s.splat(1.0 / sum);
    for i in 0..N {
        let at = i * S::WIDTH;
        let v = s.mul(v[i], factor);
        if at + S::WIDTH <= len {
            // SAFETY: a register is left, and all of the row was read.
            unsafe { s.store(y.wrapping_add(at), v) };
        } else if at < len {
            // SAFETY: so many elements are left, and all of the row was read.
            unsafe { s.store_part(y.wrapping_add(at), len - at, v) };
        }
    }
    true
}

/// [`F32Rows::softmax_of_plain`](super::F32Rows::softmax_of_plain) of any row, but not in place: the input is looked at
/// again if it was not plain.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub(super) fn plain<S: Vector>(s: S, mut row: InOut<'_, f32>) -> bool {
    if row.is_in_place() {
        return false;
    }
    let exp = s.below(CENTRE, 1.0);
    let mut tops = Tops::new(s);
    let sum = blocks_and_sum(
        s,
        row.again(),
        #[inline(always)]
        |i, x| {
            tops = tops.with(s, i, x);
            s.exp(exp, x)
        },
    );
    let is_plain = is_plain(sum) && tops.are_plain(s);
    if is_plain {
        scale(s, row.output(), 1.0 / sum);
    }
    is_plain
}

/// The largest elements, for those whose [exponentials wrap](Vector::WRAPS); costs nothing elsewhere.
#[derive(Clone, Copy)]
#[cfg(target_arch = "x86_64")]
struct Tops<S: Vector>([S::V; UNROLL]);

#[cfg(target_arch = "x86_64")]
impl<S: Vector> Tops<S> {
    #[inline(always)]
    fn new(s: S) -> Self {
        Self([s.splat(f32::NEG_INFINITY); UNROLL])
    }

    #[inline(always)]
    fn with(mut self, s: S, i: usize, x: S::V) -> Self {
        if S::WRAPS {
            self.0[i] = s.max(x, self.0[i]);
        }
        self
    }

    /// Whether none is beyond what [`is_plain`] lets a sum be.
    #[inline(always)]
    fn are_plain(&self, s: S) -> bool {
        let [a, b, c, d] = self.0;
        !S::WRAPS || s.top(s.max(s.max(a, b), s.max(c, d))) < TOP
    }
}

/// `y = e^x / 2^n` and its sum, blocks merged in f64; `None` if `n` is beyond what is exact.
#[inline(always)]
pub(super) fn exp_and_sum<S: Vector>(s: S, row: InOut<'_, f32>, max: f32) -> Option<f32> {
    let (_, n) = ext_exp(s, max);
    let fits = n.abs() <= S::LARGEST; // false for NaN
    if !fits {
        return None;
    }
    let exp = s.below(n, 1.0);
    Some(blocks_and_sum(
        s,
        row,
        #[inline(always)]
        |_, x| s.exp(exp, x),
    ))
}

/// `y = f(x)` and its sum, blocks merged in f64; `f(-inf)` is 0.
#[inline(always)]
pub(super) fn blocks_and_sum<S: Vector>(s: S, mut row: InOut<'_, f32>, mut f: impl FnMut(usize, S::V) -> S::V) -> f32 {
    let first = block_and_sum(s, row.split_off_front(BLOCK), &mut f);
    if row.is_empty() {
        return first;
    }
    let mut sum = f64::from(first);
    while !row.is_empty() {
        sum += f64::from(block_and_sum(s, row.split_off_front(BLOCK), &mut f));
    }
    sum as f32
}

#[inline(always)]
fn block_and_sum<S: Vector>(s: S, block: InOut<'_, f32>, f: &mut impl FnMut(usize, S::V) -> S::V) -> f32 {
    let mut sums = [s.splat(0.0); UNROLL];
    walk(
        s,
        block,
        f32::NEG_INFINITY,
        #[inline(always)]
        |i, x| {
            let y = f(i, x);
            sums[i] = s.add(sums[i], y);
            y
        },
    );
    total(s, sums)
}

/// `Σ e^x / 2^n` of a block.
#[inline(always)]
fn sum_of_block<S: Vector>(s: S, x: &[f32], n: f32, ahead: usize) -> f32 {
    let exp = s.below(n, 1.0);
    let mut sums = [s.splat(0.0); UNROLL];
    show(
        s,
        x,
        f32::NEG_INFINITY,
        ahead,
        #[inline(always)]
        |i, x| sums[i] = s.add_exp(exp, x, sums[i]),
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
    let fits = n.abs() <= S::LARGEST; // false for NaN
    if !fits {
        return None;
    }
    let mut sum = 0.0;
    for block in x.chunks(BLOCK) {
        sum += f64::from(sum_of_block(s, block, n, 0));
    }
    Some(sum / f64::from(m))
}

/// [`F32Rows::ext_exp_sum`](super::F32Rows::ext_exp_sum). A block looks for its maximum only if its sum is not plain.
#[inline(always)]
pub(super) fn ext_exp_sum<S: Vector>(s: S, x: &[f32]) -> Ext {
    let mut sum = Ext::ZERO;
    for block in x.chunks(BLOCK) {
        let plain = sum_of_block(s, block, CENTRE, AHEAD);
        let is_plain = is_plain(plain) && (!S::WRAPS || max(s, block) < TOP);
        sum = sum.plus(if is_plain {
            Ext { m: f64::from(plain), n: CENTRE }
        } else {
            let (_, n) = ext_exp(s, max(s, block));
            Ext { m: f64::from(sum_of_block(s, block, n, 0)), n }
        });
    }
    sum
}

/// [`F32Rows::ext_exp_scale`](super::F32Rows::ext_exp_scale); rows of `stream_from` elements are written past the caches.
#[inline(always)]
pub(super) fn ext_exp_scale<S: Vector>(s: S, row: InOut<'_, f32>, factor: f32, n: f32, stream_from: usize) {
    let exp = s.below(n, factor);
    // In place, the lines are in the caches when they are written.
    if row.len() >= stream_from && !row.is_in_place() {
        stream(
            s,
            row,
            #[inline(always)]
            |x| s.exp(exp, x),
        );
    } else {
        walk(
            s,
            row,
            0.0,
            #[inline(always)]
            |_, x| s.exp(exp, x),
        );
    }
}

/// `y = f(x)`, written past the caches.
#[inline(always)]
pub(super) fn stream<S: Vector>(s: S, mut row: InOut<'_, f32>, f: impl Fn(S::V) -> S::V) {
    let bytes = S::WIDTH * size_of::<f32>();
    let (_, y) = row.pointers();
    let ahead = y.align_offset(bytes).min(row.len());
    walk(
        s,
        row.split_off_front(ahead),
        0.0,
        #[inline(always)]
        |_, x| f(x),
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
            let v = f(unsafe { s.load(x.wrapping_add(at)) });
            // SAFETY: within `front`, which begins aligned to a register.
            unsafe { s.stream(y.wrapping_add(at), v) };
        }
    }
    s.fence();
    walk(
        s,
        row,
        0.0,
        #[inline(always)]
        |_, x| f(x),
    );
}

/// `Σ f(x)`, blocks merged in f64; `f(-inf)` is 0.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub(super) fn sum_of<S: Vector>(s: S, x: &[f32], f: impl Fn(S::V) -> S::V) -> f32 {
    let mut sum = 0.0;
    for block in x.chunks(BLOCK) {
        let mut sums = [s.splat(0.0); UNROLL];
        show(
            s,
            block,
            f32::NEG_INFINITY,
            AHEAD,
            #[inline(always)]
            |i, x| sums[i] = s.add(sums[i], f(x)),
        );
        sum += f64::from(total(s, sums));
    }
    sum as f32
}
