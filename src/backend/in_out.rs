//! Input and output of a pass over a row: two slices, or one that is overwritten.
#![allow(
    unsafe_code,
    reason = "one body for out of place and in place needs pointers; the constructors keep them sound"
)]

use core::marker::PhantomData;
use core::slice;

/// A row that is read and a row of the same length that is written, which may be the same row.
///
/// Having one tells you: both are valid for its number of elements, and either they do not overlap or they are one.
/// Whoever reads element `i` must do so before element `i` is written.
#[derive(Debug)]
pub(crate) struct InOut<'a, X, Y = X> {
    x: *const X,
    y: *mut Y,
    len: usize,
    lives: PhantomData<(&'a [X], &'a mut [Y])>,
}

#[allow(dead_code, reason = "backends use what they need")]
impl<'a, X: Copy, Y: Copy> InOut<'a, X, Y> {
    /// Two rows; the longer one is cut to the other's length.
    #[inline(always)]
    pub(crate) fn apart(x: &'a [X], y: &'a mut [Y]) -> Self {
        Self {
            x: x.as_ptr(),
            y: y.as_mut_ptr(),
            len: if x.len() < y.len() { x.len() } else { y.len() },
            lives: PhantomData,
        }
    }

    /// Number of elements.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where to read and where to write, for assembly.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn pointers(&mut self) -> (*const X, *mut Y) {
        (self.x, self.y)
    }

    /// Whether the row that is read is the one that is written.
    #[inline(always)]
    #[must_use]
    pub(crate) fn is_in_place(&self) -> bool {
        core::ptr::eq(self.x.cast::<u8>(), self.y.cast::<u8>())
    }

    /// The same rows once more, for a further pass.
    #[inline(always)]
    pub(crate) const fn again(&mut self) -> InOut<'_, X, Y> {
        InOut { x: self.x, y: self.y, len: self.len, lives: PhantomData }
    }

    /// The input, while the output is left alone.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn input(&self) -> &[X] {
        // SAFETY: valid for `len` elements, and nothing is written while the borrow lasts.
        unsafe { slice::from_raw_parts(self.x, self.len) }
    }

    /// The output, while the input is left alone.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn output(&mut self) -> &mut [Y] {
        // SAFETY: valid for `len` elements, and nothing else is read or written while the borrow lasts.
        unsafe { slice::from_raw_parts_mut(self.y, self.len) }
    }

    /// Takes the first `n` elements off; all if there are fewer.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn split_off_front(&mut self, n: usize) -> Self {
        let n = if n < self.len { n } else { self.len };
        let front = Self { x: self.x, y: self.y, len: n, lives: PhantomData };
        // SAFETY: `n <= len`, so this is the row's end at most.
        self.x = unsafe { self.x.add(n) };
        // SAFETY: as above.
        self.y = unsafe { self.y.add(n) };
        self.len -= n;
        front
    }

    /// `y[i] = f(x[i])`.
    #[inline(always)]
    pub(crate) fn map(self, mut f: impl FnMut(X) -> Y) {
        for i in 0..self.len {
            // SAFETY: `i < len`.
            let x = unsafe { self.x.add(i) };
            // SAFETY: `i < len`.
            let y = unsafe { self.y.add(i) };
            // SAFETY: both are valid, and element `i` is read before it is written.
            let v = unsafe { x.read() };
            // SAFETY: as above.
            unsafe { y.write(f(v)) };
        }
    }

    /// `y[i] = f(x[i], other[i])`, as far as all of them go.
    #[inline(always)]
    pub(crate) fn map_with<O: Copy>(self, other: &[O], mut f: impl FnMut(X, O) -> Y) {
        for (i, &other) in other.iter().enumerate().take(self.len) {
            // SAFETY: `i < len`.
            let x = unsafe { self.x.add(i) };
            // SAFETY: `i < len`.
            let y = unsafe { self.y.add(i) };
            // SAFETY: both are valid, and element `i` is read before it is written; `other` is shared, so it is none of them.
            let v = unsafe { x.read() };
            // SAFETY: as above.
            unsafe { y.write(f(v, other)) };
        }
    }

    /// Shows every whole group of `N` elements, a copy of the input and the output; gives the rest, fewer than `N`.
    #[inline(always)]
    pub(crate) fn for_each_group<const N: usize>(mut self, mut f: impl FnMut(&[X; N], &mut [Y; N])) -> Self {
        while self.len >= N && N > 0 {
            let group = self.split_off_front(N);
            // SAFETY: `N` elements are valid, and arrays are aligned as their elements; nothing writes while it is copied.
            let x = unsafe { group.x.cast::<[X; N]>().read() };
            // SAFETY: as above, and the input is not looked at any more.
            let y = unsafe { &mut *group.y.cast::<[Y; N]>() };
            f(&x, y);
        }
        self
    }
}

impl<'a, X: Copy> InOut<'a, X, X> {
    /// One row that is overwritten.
    #[inline(always)]
    pub(crate) fn in_place(row: &'a mut [X]) -> Self {
        let y = row.as_mut_ptr();
        Self { x: y, y, len: row.len(), lives: PhantomData }
    }
}
