//! f32 functions written for vector units: no branches, no tables, stated error.
//!
//! They are generic over [`Arith`], the way a backend multiplies and adds; every
//! [`Backend`](crate::backend::Backend) is one.

pub(crate) mod constant;
mod exp;
mod ext;
mod gelu;
mod ln;
pub(crate) mod real;

pub use exp::{exp, exp_of_difference, sigmoid};
#[allow(unused_imports, reason = "the last is for hand-written loops")]
pub(crate) use ext::{Below, ext_coefficients, largest_exponent};
pub use ext::{Ext, ext_exp};
pub use gelu::gelu;
pub(crate) use ln::ln_parts;

/// How an instruction set multiplies and adds: every backend's token is one, and nothing else can be.
#[allow(private_bounds, reason = "the seal: what stands behind it is called by this crate only")]
pub trait Arith: ArithOps {}

impl<A: ArithOps> Arith for A {}

/// What [`Arith`] stands for.
pub(crate) trait ArithOps: Copy {
    /// Whether [`ArithOps::fma`] rounds once.
    const FUSED: bool = false;

    /// `a * b + c`; with one rounding where the hardware fuses, with two elsewhere.
    #[inline(always)]
    fn fma(self, a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }

    /// Square root, correctly rounded.
    #[inline(always)]
    fn sqrt(self, x: f32) -> f32 {
        libm::sqrtf(x)
    }
}
