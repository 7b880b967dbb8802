//! `scrimp::backend`: the tokens and the primitives.

use core::hint::black_box;

use scrimp::backend::{self, Backend, Dispatch, F32Rows, InOut, Kernel, Quotient, S8Row, S8Rows};
use scrimp::math::Arith;

use crate::{on_each_backend, slice, slice_mut};

pub(crate) fn calls() {
    black_box(backend::name());
    on_each_backend!(primitives);
    tokens();
}

fn primitives<D: Dispatch>(backend: D) {
    black_box(Dispatch::run(backend, Primitives(slice(&[1.0; 40]), slice(&[2.0; 40]))));
    black_box(Dispatch::run(backend, OfS8(slice(&[1; 40]))));
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
        black_box((F32Rows::sum_of_exp(b, x, 1.0), F32Rows::ext_exp_sum(b, x)));
        F32Rows::exp_times(b, InOut::in_place(slice_mut(&mut row)), 1.0, 0.5);
        black_box(F32Rows::softmax_of_plain(b, InOut::in_place(slice_mut(&mut row))));
        F32Rows::ext_exp_scale(b, InOut::apart(x, slice_mut(&mut row)), 0.5, 1.0);
        Arith::fma(b, sums, Arith::sqrt(b, sums), sums)
    }
}

struct OfS8<'a>(&'a [i8]);

impl Kernel for OfS8<'_> {
    type Output = u32;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> u32 {
        let weights = black_box([3; 256]);
        let (mut y, mut wide) = ([0; 40], [0; 40]);
        black_box(S8Rows::max_s8(b, self.0));
        let row = S8Row::unbounded(InOut::apart(self.0, slice_mut(&mut y)));
        let sum = S8Rows::sum_s8(b, S8Row::values(&row), &weights);
        S8Rows::quotients_s8(b, row, &weights, Quotient::Once { factor: black_box(3), shift: black_box(40) });
        let row = S8Row::below_max(b, InOut::apart(self.0, slice_mut(&mut wide)));
        let sum = sum.wrapping_add(S8Rows::sum_q19_s8(b, S8Row::values(&row), &weights));
        S8Rows::quotients_s16(b, row, &weights, Quotient::Twice { factor: black_box(3), shift: black_box(25) });
        black_box((y, wide));
        sum
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
