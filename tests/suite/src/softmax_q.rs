//! The 16-bit and fixed-point softmax forms: the same bytes on every backend and board, as checksums of the whole output.

use scrimp::backend::Dispatch;
use scrimp::softmax::two_pass_q_on;
use scrimp::{Error, OnlineQ, Rows, SoftmaxQ, SoftmaxS16, StablemaxQ};

use crate::Failure;
use crate::buffer::{Element, Guarded};
use crate::digest::Digest;

const MAX_LEN: usize = 67;
const OFFSETS: usize = 16;
const ROOM: usize = MAX_LEN + 2 * OFFSETS;

/// A kernel for rows of `X` and `Y`.
type Run<'a, X, Y> = &'a mut dyn FnMut(&[X], &mut [Y], Rows) -> Result<(), Error>;

/// TFLite's rule, at scales of every kind: shifts to the left, to the right, and further than 32 bits have room for.
pub(crate) fn s16<D: Dispatch>(backend: D, at: usize, all: &mut Digest<'_>) -> Result<(), Failure> {
    for (multiplier, shift) in [
        (1_717_960_704, 2),
        (1_717_960_704, -2),
        (1 << 30, 0),
        (2_147_483_647, 13),
        (1 << 30, 14),
        (1_500_000_001, 27),
        (1_300_000_001, -14),
        (1_300_000_001, -15),
        (1 << 30, -31),
    ] {
        let softmax = SoftmaxS16::from_multiplier(multiplier, shift).map_err(|_| Failure::new("an error"))?;
        let mut apart = |x: &[i16], y: &mut [i16], rows| softmax.run_on(backend, x, y, rows);
        every_row(at, s16_values, &mut apart, all)?;
        let mut in_place = |x: &[i16], y: &mut [i16], rows| {
            y.copy_from_slice(x);
            softmax.run_in_place_on(backend, y, rows)
        };
        every_row(at, s16_values, &mut in_place, all)?;
    }
    all.is(1_378_700_981)
}

/// Every pair of formats in general, and i16 to u16 in the form that backends speed up.
pub(crate) fn q<D: Dispatch>(backend: D, at: usize, all: &mut Digest<'_>) -> Result<(), Failure> {
    for unit in [1.0 / 256.0, 1.0 / 32_768.0, 1.0 / 300.0, 0.25, 1e-12] {
        let softmax = SoftmaxQ::from_scale(unit).map_err(|_| Failure::new("an error"))?;
        let mut run = |x: &[i16], y: &mut [u16], rows| softmax.run_on(backend, x, y, rows);
        every_row(at, s16_values, &mut run, all)?;
    }
    let softmax = SoftmaxQ::new(4).map_err(|_| Failure::new("an error"))?;
    let mut run = |x: &[i8], y: &mut [u8], rows| softmax.run_on(backend, x, y, rows);
    every_row(at, |i, kind| (s16_values(i, kind) >> 8) as i8, &mut run, all)?;
    let softmax = SoftmaxQ::new(16).map_err(|_| Failure::new("an error"))?;
    let mut run = |x: &[i32], y: &mut [u32], rows| softmax.run_on(backend, x, y, rows);
    every_row(at, |i, kind| i32::from(s16_values(i, kind)) << 7, &mut run, all)?;
    all.is(0x4200_2400)
}

/// Two passes; and the same row in blocks of two states.
pub(crate) fn two_pass<D: Dispatch>(backend: D, at: usize, all: &mut Digest<'_>) -> Result<(), Failure> {
    let softmax = SoftmaxQ::new(8).map_err(|_| Failure::new("an error"))?;
    let mut run = |x: &[i16], y: &mut [u16], rows| two_pass_q_on(backend, &softmax, x, y, rows);
    every_row(at, s16_values, &mut run, all)?;
    let mut run = |x: &[i16], y: &mut [u32], _: Rows| {
        let (front, back) = x.split_at(x.len() / 3);
        let (mut state, mut other) = (OnlineQ::new(&softmax), OnlineQ::new(&softmax));
        state.push(back);
        other.push(front);
        state.merge(&other)?;
        state.write(x, y)
    };
    every_row(at, s16_values, &mut run, all)?;
    all.is(1_043_559_127)
}

/// Divisions of 32 and of 64 bits.
pub(crate) fn stable<D: Dispatch>(backend: D, at: usize, all: &mut Digest<'_>) -> Result<(), Failure> {
    let softmax = StablemaxQ::new(8).map_err(|_| Failure::new("an error"))?;
    let mut run = |x: &[i16], y: &mut [u16], rows| softmax.run_on(backend, x, y, rows);
    every_row(at, s16_values, &mut run, all)?;
    let mut run = |x: &[i16], y: &mut [u32], rows| softmax.run_on(backend, x, y, rows);
    every_row(at, s16_values, &mut run, all)?;
    all.is(3_387_345_060)
}

/// Element `i` of a row of a kind: spread over the whole range, dense, one far above the others, all the least, all the
/// same.
fn s16_values(i: usize, kind: usize) -> i16 {
    let painted = (i as u32).wrapping_add(1).wrapping_mul(0x9E37_79B1);
    match kind {
        0 => (painted >> 16) as i16,
        1 => (painted >> 24) as i16,
        2 => 30_000 - (painted >> 20) as i16,
        3 if i % 23 == 5 => i16::MAX,
        3 | 4 => i16::MIN,
        _ => 77,
    }
}

/// Runs all lengths, at offsets that change with them, of all kinds, and adds up what comes out.
fn every_row<X: Element, Y: Element + Output>(
    at: usize,
    value: impl Fn(usize, usize) -> X,
    run: Run<'_, X, Y>,
    all: &mut Digest<'_>,
) -> Result<(), Failure> {
    for len in 1..=MAX_LEN {
        for kind in 0..6 {
            let offset = (len + 3 * kind + at) % OFFSETS;
            let mut x = Guarded::<X, ROOM>::new(offset, len);
            let mut y = Guarded::<Y, ROOM>::new((offset * 7 + 1) % OFFSETS, len);
            for (i, x) in x.row().iter_mut().enumerate() {
                *x = value(i + len, kind);
            }
            let rows = Rows::one(len).map_err(|_| Failure::new("an error"))?;
            run(x.row(), y.row(), rows).map_err(|_| Failure::new("an error"))?;
            x.check()?;
            y.check()?;
            all.row(len, kind);
            for y in y.row() {
                all.add(y.bits());
            }
        }
    }
    Ok(())
}

/// What comes out, as bits.
trait Output: Copy {
    fn bits(self) -> u32;
}

macro_rules! bits {
    ($($type:ty)*) => {$(
        impl Output for $type {
            fn bits(self) -> u32 {
                self as u32
            }
        }
    )*};
}

bits!(u8 i16 u16 u32);
