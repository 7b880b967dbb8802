//! f32 functions written for vector units: no branches, no tables, stated error.
//!
//! They are generic over [`Arith`], the way a backend multiplies and adds; every
//! [`Backend`](crate::backend::Backend) is one.

mod exp;
mod gelu;
mod ln;

pub use exp::{exp, exp_of_difference, sigmoid};
pub use gelu::gelu;
pub(crate) use ln::ln_parts;

/// How an instruction set multiplies and adds.
pub trait Arith: Copy {
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
