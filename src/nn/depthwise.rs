//! The 3x3 depthwise convolution inside one window (W-LeFF of Uformer, arXiv 2106.03106).

use crate::backend::{Backend, Kernel};

/// What stands beyond the window's edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Padding {
    /// The row or column inside the edge once more: -1 is 1, `side` is `side - 2`. The paper's.
    Reflect,
    /// Zeros.
    Zero,
}

/// `y[p][c] = bias[c] + Σ_k x[p + k][c] weight[k][c]` over the nine neighbours `k` of each position of a
/// `side x side` window.
pub(crate) struct Depthwise<'a> {
    pub(crate) x: &'a [f32],
    /// `[3][3][channels]`.
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) y: &'a mut [f32],
    pub(crate) side: usize,
    pub(crate) channels: usize,
    pub(crate) padding: Padding,
}

impl Kernel for Depthwise<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let Self { x, weight, bias, y, side, channels, padding } = self;
        for (p, y) in y.chunks_exact_mut(channels.max(1)).enumerate() {
            let (row, col) = (p / side.max(1), p % side.max(1));
            for (y, &bias) in y.iter_mut().zip(bias) {
                *y = bias;
            }
            for (k, w) in weight.chunks_exact(channels.max(1)).enumerate() {
                let Some(r) = neighbour(row, k / 3, side, padding) else { continue };
                let Some(c) = neighbour(col, k % 3, side, padding) else { continue };
                let Some(x) = x.get((r * side + c) * channels..) else { continue };
                for ((y, &x), &w) in y.iter_mut().zip(x).zip(w) {
                    *y = b.fma(x, w, *y);
                }
            }
        }
    }
}

/// The position that tap `k` (0, 1, 2) of a window row or column reads.
#[inline(always)]
fn neighbour(at: usize, k: usize, side: usize, padding: Padding) -> Option<usize> {
    let padded = at + k; // one to the right of where it lies
    if (1..=side).contains(&padded) {
        Some(padded - 1)
    } else {
        match padding {
            Padding::Zero => None,
            Padding::Reflect => Some(if padded == 0 { 1 } else { side.saturating_sub(2) }),
        }
    }
}
