//! Attention inside one window, with relative position bias (Swin, arXiv 2103.14030), four query rows at a time: the
//! matrix of all scores never exists.
//!
//! ```text
//! s_j = (q_i · k_j) / sqrt(d) + bias[i][j]      (keys of another region of a wrapped window are left out)
//! out_i = Σ_j softmax(s)_j v_j
//! ```

use super::matmul::{MatMul, Start};
use crate::backend::{Backend, Kernel};
use crate::math::ArithOps;
use crate::softmax::row_in_place;

/// Query rows whose scores are held at once.
pub(crate) const QUERIES: usize = 4;

/// One window of `side x side` tokens of `heads * d` channels.
pub(crate) struct WindowAttention<'a> {
    /// `[tokens][channels]`.
    pub(crate) q: &'a [f32],
    /// `[channels][tokens]`: transposed, so that scores need no sum over lanes.
    pub(crate) k: &'a [f32],
    /// `[tokens][channels]`.
    pub(crate) v: &'a [f32],
    /// `[heads][2 side - 1][2 side - 1]`, entry `[key row - query row + side - 1][key column - query column + side - 1]`.
    pub(crate) position_bias: &'a [f32],
    /// Two numbers split a wrapped window: tokens see each other only on the same side of both.
    pub(crate) seam: Seam,
    /// Room for [`QUERIES`] rows of scores.
    pub(crate) scores: &'a mut [f32],
    /// `[tokens][channels]`.
    pub(crate) out: &'a mut [f32],
    pub(crate) side: usize,
    pub(crate) heads: usize,
    pub(crate) channels: usize,
}

/// Where a window that wraps round the image is cut: rows from `row` on and columns from `col` on lie at the other
/// edge. `side` where there is no cut.
#[derive(Clone, Copy)]
pub(crate) struct Seam {
    pub(crate) row: usize,
    pub(crate) col: usize,
}

impl Kernel for WindowAttention<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let Self { q, k, v, position_bias, seam, scores, out, side, heads, channels } = self;
        let tokens = side * side;
        let d = channels / heads.max(1);
        let scale = 1.0 / ArithOps::sqrt(b, d as f32);
        let table = (2 * side - 1) * (2 * side - 1);
        let whole = seam.row >= side && seam.col >= side;
        for h in 0..heads {
            let c = h * d;
            let (Some(q), Some(k), Some(v)) = (q.get(c..), k.get(c * tokens..), v.get(c..)) else { return };
            let Some(bias) = position_bias.get(h * table..) else { return };
            let mut i = 0;
            while i < tokens {
                let rows = QUERIES.min(tokens - i);
                let Some(q) = q.get(i * channels..) else { return };
                MatMul {
                    x: q,
                    x_stride: channels,
                    w: k,
                    w_stride: tokens,
                    start: Start::Zero,
                    y: scores,
                    y_stride: tokens,
                    rows,
                    inputs: d,
                    outputs: tokens,
                }
                .eval(b);
                for (r, row) in scores.chunks_exact_mut(tokens.max(1)).take(rows).enumerate() {
                    let (yi, xi) = ((i + r) / side.max(1), (i + r) % side.max(1));
                    for (yj, run) in row.chunks_exact_mut(side.max(1)).enumerate() {
                        let at = (yj + side - 1 - yi) * (2 * side - 1) + (side - 1 - xi);
                        let Some(bias) = bias.get(at..) else { return };
                        for (s, &bias) in run.iter_mut().zip(bias) {
                            *s = b.fma(*s, scale, bias);
                        }
                        if !whole {
                            for (xj, s) in run.iter_mut().enumerate() {
                                if (yj < seam.row) != (yi < seam.row) || (xj < seam.col) != (xi < seam.col) {
                                    *s = f32::NEG_INFINITY;
                                }
                            }
                        }
                    }
                    row_in_place(b, row);
                }
                let Some(out) = out.get_mut(i * channels + c..) else { return };
                MatMul {
                    x: scores,
                    x_stride: tokens,
                    w: v,
                    w_stride: channels,
                    start: Start::Zero,
                    y: out,
                    y_stride: channels,
                    rows,
                    inputs: tokens,
                    outputs: d,
                }
                .eval(b);
                i += QUERIES;
            }
        }
    }
}
