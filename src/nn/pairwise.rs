//! What layers of two operands share: the walk over their rows, of which each is one loop.

use super::broadcast::Broadcast;
use crate::backend::{Backend, Dispatch, InOut, Kernel, Other};

/// A function of two codes, `X` the operand that may be overwritten.
pub(super) trait Pair<X: Copy, O: Copy>: Copy {
    /// The code of the result.
    fn of(self, x: X, other: O) -> X;

    /// A row of them, of an element of `other` for each or of its first one for all.
    #[inline(always)]
    fn row<B: Backend>(self, _: B, row: InOut<'_, X>, other: &[O], is_each: bool) {
        in_rust(self, row, other, is_each);
    }
}

/// [`Pair::row`] where the backend has no loop of its own.
#[inline(always)]
pub(super) fn in_rust<X: Copy, O: Copy>(pair: impl Pair<X, O>, row: InOut<'_, X>, other: &[O], is_each: bool) {
    if is_each {
        row.map_with(other, |x, other| pair.of(x, other));
    } else if let Some(&other) = other.first() {
        row.map(|x| pair.of(x, other));
    }
}

/// The second operand as loops of a backend take it; `None` if there is none.
#[inline(always)]
pub(super) fn other(other: &[i8], is_each: bool) -> Option<Other<'_>> {
    if is_each { Some(Other::Each(other)) } else { other.first().map(|&one| Other::One(one)) }
}

/// `y = pair(x, other)`, where `x` and `other` are the first and the second operand of `shape`, whose rows walk along `x`.
pub(super) fn apart<D: Dispatch, X: Copy, O: Copy>(
    backend: D,
    shape: &Broadcast,
    pair: impl Pair<X, O>,
    x: &[X],
    other: &[O],
    y: &mut [X],
) {
    backend.dispatch(EachRow { shape, pair, x: Some(x), other, y });
}

/// `x = pair(x, other)`, where `x` is a whole first operand.
pub(super) fn in_place<D: Dispatch, X: Copy, O: Copy>(
    backend: D,
    shape: &Broadcast,
    pair: impl Pair<X, O>,
    x: &mut [X],
    other: &[O],
) {
    backend.dispatch(EachRow { shape, pair, x: None, other, y: x });
}

struct EachRow<'a, P, X, O> {
    shape: &'a Broadcast,
    pair: P,
    /// `None`: it is `y`.
    x: Option<&'a [X]>,
    other: &'a [O],
    y: &'a mut [X],
}

impl<X: Copy, O: Copy, P: Pair<X, O>> Kernel for EachRow<'_, P, X, O> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let Self { shape, pair, x, other, y } = self;
        let mut at = shape.rows();
        for y in y.chunks_exact_mut(shape.row().max(1)) {
            let row = match x {
                Some(x) => InOut::apart(x.get(at.first..).unwrap_or_default(), y),
                None => InOut::in_place(y),
            };
            let other = other.get(at.second..).unwrap_or_default();
            pair.row(b, row, other, shape.walks_second());
            at.advance();
        }
    }
}
