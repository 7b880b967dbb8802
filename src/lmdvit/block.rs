//! A transformer block on one window, in place.
//!
//! ```text
//! u  = LN1(z) (+ modulator)
//! z1 = z + proj(attention(u))
//! z2 = z1 + fc2(gelu(depthwise(gelu(fc1(LN2(z1))))))        the depthwise convolution stays inside the window
//! ```

use super::config::Config;
use super::layout::Grid;
use super::weights::Weights;
use super::window::Window;
use crate::backend::{Backend, Dispatch, Kernel};
use crate::nn::attention::{QUERIES, WindowAttention};
use crate::nn::depthwise::Depthwise;
use crate::nn::matmul::{MatMul, Start};
use crate::nn::{LayerNorm, add, gelu_f32_in_place_on};

/// The weights of a block.
pub(crate) struct Block<'m> {
    config: Config,
    channels: usize,
    heads: usize,
    norm1: LayerNorm<'m>,
    modulator: &'m [f32],
    q: (&'m [f32], &'m [f32]),
    kv: (&'m [f32], &'m [f32]),
    position_bias: &'m [f32],
    proj: (&'m [f32], &'m [f32]),
    norm2: LayerNorm<'m>,
    fc1: (&'m [f32], &'m [f32]),
    depthwise: (&'m [f32], &'m [f32]),
    fc2: (&'m [f32], &'m [f32]),
}

impl<'m> Block<'m> {
    /// Block `b` of stage `k`; `None` never happens after the weights were checked.
    pub(crate) fn new(config: &Config, weights: &Weights<'m>, k: usize, b: usize) -> Option<Self> {
        let start = config.block_start(k, b);
        let modulated = config.modulated(k);
        let rest = start + 2 + usize::from(modulated);
        let pair = |i: usize| (weights.get(rest + i), weights.get(rest + i + 1));
        Some(Self {
            config: *config,
            channels: config.width(k),
            heads: config.heads(k),
            norm1: weights.norm(start)?,
            modulator: if modulated { weights.get(start + 2) } else { &[] },
            q: pair(0),
            kv: pair(2),
            position_bias: weights.get(rest + 4),
            proj: pair(5),
            norm2: weights.norm(rest + 7)?,
            fc1: pair(9),
            depthwise: pair(11),
            fc2: pair(13),
        })
    }

    /// Runs the block on one window of `features` and returns the multiply-accumulates done.
    pub(crate) fn run<D: Dispatch>(
        &self,
        d: D,
        window: Window,
        grid: &Grid,
        features: &mut [f32],
        scratch: &mut [f32],
    ) -> Option<u64> {
        let (t, c) = (self.config.tokens(), self.channels);
        let hidden = self.config.ffn_ratio * c;
        let (z, rest) = scratch.split_at_mut_checked(t * c)?;
        let (u, rest) = rest.split_at_mut_checked(t * c)?;
        let mut macs = 0;

        window.gather(grid, features, z);
        self.norm1.run_on(d, z, u).ok()?;
        add(self.modulator, u);

        {
            let (q, rest) = rest.split_at_mut_checked(t * c)?;
            let (k, rest) = rest.split_at_mut_checked(t * c)?;
            let (v, rest) = rest.split_at_mut_checked(t * c)?;
            let scores = rest.get_mut(..QUERIES * t)?;
            macs += linear(d, t, (u, c), (self.q.0, c), Start::Bias(self.q.1), (q, c));
            // Keys first into the place of the values, then transposed.
            macs += linear(d, t, (u, c), (self.kv.0, 2 * c), Start::Bias(self.kv.1), (v, c));
            d.dispatch(Transpose { from: v, cols: c, to: k });
            macs += linear(d, t, (u, c), (self.kv.0.get(c..)?, 2 * c), Start::Bias(self.kv.1.get(c..)?), (v, c));
            let side = self.config.window;
            let out = &mut *u;
            let seam = window.seam(grid);
            let position_bias = self.position_bias;
            d.dispatch(WindowAttention {
                q,
                k,
                v,
                position_bias,
                seam,
                scores,
                out,
                side,
                heads: self.heads,
                channels: c,
            });
            macs += 2 * (t * t) as u64 * c as u64;
            macs += linear(d, t, (u, c), (self.proj.0, c), Start::Bias(self.proj.1), (q, c));
            add(q, z);
        }

        self.norm2.run_on(d, z, u).ok()?;
        let (first, rest) = rest.split_at_mut_checked(t * hidden)?;
        let second = rest.get_mut(..t * hidden)?;
        macs += linear(d, t, (u, c), (self.fc1.0, hidden), Start::Bias(self.fc1.1), (first, hidden));
        gelu_f32_in_place_on(d, first);
        d.dispatch(Depthwise {
            x: first,
            weight: self.depthwise.0,
            bias: self.depthwise.1,
            y: second,
            side: self.config.window,
            channels: hidden,
            padding: self.config.leff_padding,
        });
        macs += (9 * t * hidden) as u64;
        gelu_f32_in_place_on(d, second);
        macs += linear(d, t, (second, hidden), (self.fc2.0, c), Start::Bias(self.fc2.1), (u, c));
        add(u, z);
        window.scatter(grid, z, features);
        Some(macs)
    }
}

/// A linear layer on `rows` tokens; each slice comes with its inputs, row length or outputs.
#[inline]
pub(super) fn linear<D: Dispatch>(
    d: D,
    rows: usize,
    (x, inputs): (&[f32], usize),
    (w, w_stride): (&[f32], usize),
    start: Start<'_>,
    (y, outputs): (&mut [f32], usize),
) -> u64 {
    d.dispatch(MatMul { x, x_stride: inputs, w, w_stride, start, y, y_stride: outputs, rows, inputs, outputs });
    rows as u64 * (inputs * outputs) as u64
}

/// `to[c][r] = from[r][c]`.
struct Transpose<'a> {
    from: &'a [f32],
    cols: usize,
    to: &'a mut [f32],
}

impl Kernel for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let cols = self.cols.max(1);
        let rows = (self.from.len() / cols).max(1);
        for (c, to) in self.to.chunks_exact_mut(rows).enumerate() {
            for (to, from) in to.iter_mut().zip(self.from.iter().skip(c).step_by(cols)) {
                *to = *from;
            }
        }
    }
}
