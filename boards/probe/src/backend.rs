//! `scrimp::backend`: the tokens and the primitives.

use core::hint::black_box;

use scrimp::backend::{self, Backend, Dispatch, F32Rows, InOut, Kernel};
use scrimp::math::Arith;

use crate::{on_each_backend, slice, slice_mut};

pub(crate) fn calls() {
    black_box(backend::name());
    on_each_backend!(primitives);
    tokens();
}

fn primitives<D: Dispatch>(backend: D) {
    black_box(Dispatch::run(backend, Primitives(slice(&[1.0; 40]), slice(&[2.0; 40]))));
}

struct Primitives<'a>(&'a [f32], &'a [f32]);

impl Kernel for Primitives<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> f32 {
        let Self(x, y) = self;
        let sums = F32Rows::dot(b, x, y) + F32Rows::sum_f32(b, x) + F32Rows::max_f32(b, y);
        let mut row = [0.5; 40];
        let sum = F32Rows::exp_and_sum(b, InOut::apart(x, slice_mut(&mut row)), 1.0);
        F32Rows::scale_f32(b, slice_mut(&mut row), sum);
        black_box(F32Rows::exp_and_sum(b, InOut::in_place(slice_mut(&mut row)), 1.0));
        Arith::fma(b, sums, Arith::sqrt(b, sums), sums)
    }
}

#[cfg(target_arch = "aarch64")]
fn tokens() {
    use scrimp::backend::{Neon, NeonDotprod, NeonI8mm};
    if let Some(neon) = Neon::new() {
        black_box(Neon::dotprod(neon).map(NeonDotprod::neon));
        black_box(Neon::i8mm(neon).map(NeonI8mm::neon));
    }
}

#[cfg(not(target_arch = "aarch64"))]
fn tokens() {}
