//! ⊥Grad: the part of a gradient that is perpendicular to its weights (Prieto et al. 2025, arXiv 2501.04697).
//!
//! ```text
//! g' = g - (w·g / w·w) w            rescaled: g' |g| / |g'|
//! ```
//! In a network that is homogeneous in its weights, moving along `w` only makes the logits larger; once the training data
//! fit, that is where the gradient points, and where training gets stuck.
//!
//! What we changed: no epsilon (weights of only zeros leave the gradient as it is); products are formed again with both
//! tensors scaled by a power of two where they would leave the range of f32; and a perpendicular part so small that it is the
//! rounding of `g` (below 2^-20 of it) is not blown up to the length of `g`.

use crate::backend::{Auto, Backend, Dispatch, Kernel};
use crate::error::{Arg, Error};

/// Takes from a gradient the part along its weights: `g -= (w·g / w·w) w`.
///
/// `w`, `g`: one parameter tensor and its gradient, flattened, f32. Apply it to weight matrices and convolutions. Do not
/// apply it to biases and scales of norms, nor to a tensor of one element: that would lose all of its gradient.
///
/// # Accuracy
/// Each element within 1e-6 of the length of `g` (against f64, `tests/stablemax.rs`).
///
/// # Cost
/// Four multiplications and additions an element, in two passes.
///
/// # Errors
/// `Error::Length` if `g` is not as long as `w`, `Error::Empty` if both are empty; `g` is then untouched.
///
/// # Example
/// ```
/// let mut g = [1.0, 2.0];
/// scrimp::perp_grad(&[3.0, 4.0], &mut g)?;
/// assert!((g[0] + 0.32).abs() < 1e-6 && (g[1] - 0.24).abs() < 1e-6);
/// # Ok::<(), scrimp::Error>(())
/// ```
pub fn perp_grad(w: &[f32], g: &mut [f32]) -> Result<(), Error> {
    perp_grad_on(Auto, w, g)
}

/// [`perp_grad`] under a backend of your choice.
///
/// # Errors
/// As [`perp_grad`].
pub fn perp_grad_on<D: Dispatch>(backend: D, w: &[f32], g: &mut [f32]) -> Result<(), Error> {
    project(backend, w, g, false)
}

/// [`perp_grad`], then as long as the gradient was before, which is what the paper's code does.
///
/// Near convergence nearly all of a gradient may lie along the weights; the small rest then still makes steps of full size.
/// A rest below 2^-20 of the gradient is rounding, and stays as small as it is.
///
/// # Accuracy
/// As [`perp_grad`].
///
/// # Cost
/// Two multiplications and additions an element more than [`perp_grad`].
///
/// # Errors
/// As [`perp_grad`].
///
/// # Example
/// ```
/// let mut g = [1.0, 2.0];
/// scrimp::perp_grad_rescaled(&[3.0, 4.0], &mut g)?;
/// assert!((g[0] + 1.788_854_4).abs() < 1e-6 && (g[1] - 1.341_640_8).abs() < 1e-6);
/// # Ok::<(), scrimp::Error>(())
/// ```
pub fn perp_grad_rescaled(w: &[f32], g: &mut [f32]) -> Result<(), Error> {
    perp_grad_rescaled_on(Auto, w, g)
}

/// [`perp_grad_rescaled`] under a backend of your choice.
///
/// # Errors
/// As [`perp_grad`].
pub fn perp_grad_rescaled_on<D: Dispatch>(backend: D, w: &[f32], g: &mut [f32]) -> Result<(), Error> {
    project(backend, w, g, true)
}

fn project<D: Dispatch>(backend: D, w: &[f32], g: &mut [f32], keep_norm: bool) -> Result<(), Error> {
    crate::error::length(Arg::Gradient, w.len(), g.len())?;
    if w.is_empty() {
        return Err(Error::Empty { what: Arg::Weights });
    }
    backend.dispatch(PerpGrad { w, g, keep_norm });
    Ok(())
}

struct PerpGrad<'a> {
    w: &'a [f32],
    g: &'a mut [f32],
    keep_norm: bool,
}

impl Kernel for PerpGrad<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let Self { w, g, keep_norm } = self;
        let (mut w_scale, mut g_scale) = (1.0, 1.0);
        let mut products = Products::of(b, w, g);
        if !products.are_plain() {
            (w_scale, g_scale) = (to_one(w), to_one(g));
            products = Products::scaled(b, w, g, w_scale, g_scale);
        }
        let Products { ww, wg, gg } = products;
        if ww.to_bits() == 0 {
            return;
        }
        let part = (wg / ww) as f32;
        let back = 1.0 / g_scale;
        for (g, &w) in g.iter_mut().zip(w) {
            // Scaled, the products stay in range; the scale is taken off again exactly.
            *g = b.fma(-part, w * w_scale, *g * g_scale) * back;
        }
        if keep_norm {
            let left = square(b, g, g_scale);
            const ROUNDING: f64 = 1.0 / (1u64 << 40) as f64;
            if left > gg * ROUNDING {
                b.scale_f32(g, libm::sqrt(gg / left) as f32);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Products {
    ww: f64,
    wg: f64,
    gg: f64,
}

impl Products {
    #[inline(always)]
    fn of<B: Backend>(b: B, w: &[f32], g: &[f32]) -> Self {
        let mut all = Self { ww: 0.0, wg: 0.0, gg: 0.0 };
        for (w, g) in w.chunks(BLOCK).zip(g.chunks(BLOCK)) {
            all.add(Self { ww: f64::from(b.dot(w, w)), wg: f64::from(b.dot(w, g)), gg: f64::from(b.dot(g, g)) });
        }
        all
    }

    #[inline(always)]
    fn scaled<B: Backend>(b: B, w: &[f32], g: &[f32], w_scale: f32, g_scale: f32) -> Self {
        let mut all = Self { ww: 0.0, wg: 0.0, gg: 0.0 };
        for (w, g) in w.chunks(PART).zip(g.chunks(PART)) {
            let (mut ws, mut gs) = ([0.0; PART], [0.0; PART]);
            ws.iter_mut().zip(w).for_each(|(to, v)| *to = v * w_scale);
            gs.iter_mut().zip(g).for_each(|(to, v)| *to = v * g_scale);
            all.add(Self::of(b, &ws, &gs));
        }
        all
    }

    #[inline(always)]
    fn add(&mut self, other: Self) {
        self.ww += other.ww;
        self.wg += other.wg;
        self.gg += other.gg;
    }

    /// Whether no product can have left the range in which f32 are exact to the bound.
    #[inline(always)]
    fn are_plain(self) -> bool {
        let plain = |square: f64| (1e-24..=1e30).contains(&square);
        plain(self.ww) && plain(self.gg)
    }
}

/// Elements whose products are added in f32; blocks are merged in f64.
const BLOCK: usize = 256;
/// Elements that are scaled at once.
const PART: usize = 64;

/// `Σ (v scale)^2`.
#[inline(always)]
fn square<B: Backend>(b: B, v: &[f32], scale: f32) -> f64 {
    let mut sum = 0.0;
    for part in v.chunks(PART) {
        let mut scaled = [0.0; PART];
        scaled.iter_mut().zip(part).for_each(|(to, v)| *to = v * scale);
        sum += f64::from(b.dot(&scaled, &scaled));
    }
    sum
}

/// The power of two that brings the largest element to about 1; 1 if there is none but zeros and NaN.
#[cold]
#[inline(never)]
fn to_one(v: &[f32]) -> f32 {
    let largest = v.iter().fold(0, |largest: u32, v| largest.max(v.abs().to_bits()));
    // An exponent of 127 is that of 1; the reciprocal's must stay that of a normal number, and so must its own.
    let exponent = (largest >> 23).clamp(1, 252);
    f32::from_bits((254 - exponent) << 23)
}
