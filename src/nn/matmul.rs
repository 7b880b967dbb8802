//! The matrix product that linear layers, convolutions and both products of attention are made of.
//!
//! ```text
//! y[r][o] = bias[o] + Σ_i x[r][i] w[i][o]          (bias or 0)
//! ```
//! Outputs go in tiles of 16, 8, 4 and 1, four rows at a time: the tile's sums stay in registers while `w` is walked
//! row by row, so no sum over lanes is ever needed.

use crate::backend::{Backend, Kernel};

/// What the sums start from.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    /// Zero.
    Zero,
    /// `bias[o]`.
    Bias(&'a [f32]),
}

/// `y = start + x w`. Rows of `x` and `y` start `x_stride` and `y_stride` apart, rows of `w` `w_stride`.
///
/// Slices that are too short end the product early; callers check shapes before.
pub(crate) struct MatMul<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) x_stride: usize,
    pub(crate) w: &'a [f32],
    pub(crate) w_stride: usize,
    pub(crate) start: Start<'a>,
    pub(crate) y: &'a mut [f32],
    pub(crate) y_stride: usize,
    pub(crate) rows: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

impl Kernel for MatMul<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let Self { x, x_stride, w, w_stride, start, y, y_stride, rows, inputs, outputs } = self;
        let (x_stride, w_stride, y_stride) = (x_stride.max(1), w_stride.max(1), y_stride.max(1));
        let mut o = 0;
        while o < outputs {
            let left = outputs - o;
            let Some(w) = w.get(o..) else { return };
            let tile = Tile { x, x_stride, w, w_stride, start, y_stride, rows, inputs, o };
            o += match left {
                16.. => tile.run::<B, 16>(b, y),
                8.. => tile.run::<B, 8>(b, y),
                4.. => tile.run::<B, 4>(b, y),
                _ => tile.run::<B, 1>(b, y),
            };
        }
    }
}

/// One column tile of the product, from output `o` on.
struct Tile<'a> {
    x: &'a [f32],
    x_stride: usize,
    w: &'a [f32],
    w_stride: usize,
    start: Start<'a>,
    y_stride: usize,
    rows: usize,
    inputs: usize,
    o: usize,
}

impl Tile<'_> {
    #[inline(always)]
    fn run<B: Backend, const N: usize>(&self, b: B, y: &mut [f32]) -> usize {
        let mut x = self.x;
        let mut y = y;
        let mut rows = self.rows;
        while rows >= 4 {
            let four = (4 * self.y_stride).min(y.len());
            let Some((y4, y_rest)) = core::mem::take(&mut y).split_at_mut_checked(four) else { break };
            self.four::<B, N>(b, x, y4);
            x = x.get(4 * self.x_stride..).unwrap_or(&[]);
            y = y_rest;
            rows -= 4;
        }
        for (x, y) in x.chunks(self.x_stride).zip(y.chunks_mut(self.y_stride)).take(rows) {
            self.one::<B, N>(b, x, y);
        }
        N
    }

    #[inline(always)]
    fn first<const N: usize>(&self) -> [f32; N] {
        let Start::Bias(bias) = self.start else { return [0.0; N] };
        bias.get(self.o..).and_then(|s| s.first_chunk::<N>()).copied().unwrap_or([0.0; N])
    }

    #[inline(always)]
    fn store<const N: usize>(&self, y: &mut [f32], sums: [f32; N]) {
        if let Some(y) = y.get_mut(self.o..).and_then(|s| s.first_chunk_mut::<N>()) {
            *y = sums;
        }
    }

    #[inline(always)]
    fn one<B: Backend, const N: usize>(&self, b: B, x: &[f32], y: &mut [f32]) {
        let mut s = self.first::<N>();
        for (&x, w) in x.iter().zip(self.w.chunks(self.w_stride)).take(self.inputs) {
            let Some(w) = w.first_chunk::<N>() else { break };
            for j in 0..N {
                s[j] = b.fma(x, w[j], s[j]);
            }
        }
        self.store(y, s);
    }

    #[inline(always)]
    fn four<B: Backend, const N: usize>(&self, b: B, x: &[f32], y: &mut [f32]) {
        let mut x_rows = x.chunks(self.x_stride);
        let mut y_rows = y.chunks_mut(self.y_stride);
        let (Some(x0), Some(x1), Some(x2), Some(x3)) = (x_rows.next(), x_rows.next(), x_rows.next(), x_rows.next())
        else {
            return;
        };
        let (Some(y0), Some(y1), Some(y2), Some(y3)) = (y_rows.next(), y_rows.next(), y_rows.next(), y_rows.next())
        else {
            return;
        };
        let mut s0 = self.first::<N>();
        let (mut s1, mut s2, mut s3) = (s0, s0, s0);
        let xs = x0.iter().zip(x1).zip(x2).zip(x3);
        for ((((&x0, &x1), &x2), &x3), w) in xs.zip(self.w.chunks(self.w_stride)).take(self.inputs) {
            let Some(w) = w.first_chunk::<N>() else { break };
            for j in 0..N {
                s0[j] = b.fma(x0, w[j], s0[j]);
                s1[j] = b.fma(x1, w[j], s1[j]);
                s2[j] = b.fma(x2, w[j], s2[j]);
                s3[j] = b.fma(x3, w[j], s3[j]);
            }
        }
        self.store(y0, s0);
        self.store(y1, s1);
        self.store(y2, s2);
        self.store(y3, s3);
    }
}
