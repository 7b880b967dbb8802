//! StableMax in `scrimp::softmax`.

use core::hint::black_box;

use scrimp::Rows;
use scrimp::backend::{Backend, Dispatch, InOut, Kernel, StableRows};
use scrimp::softmax::{
    log_stablemax_f32, log_stablemax_f32_in_place, log_stablemax_f32_in_place_on, log_stablemax_f32_on, perp_grad,
    perp_grad_on, perp_grad_rescaled, perp_grad_rescaled_on, stablemax_cross_entropy, stablemax_cross_entropy_on,
    stablemax_f32, stablemax_f32_in_place, stablemax_f32_in_place_on, stablemax_f32_on,
};

use crate::{on_each_backend, slice, slice_mut};

pub(crate) fn calls() {
    if let Ok(rows) = Rows::new(black_box(2), black_box(8)) {
        let (mut y, mut loss) = ([0.0; 16], [0.0; 2]);
        let (x, y, loss) = (slice(&[1.0; 16]), slice_mut(&mut y), slice_mut(&mut loss));
        let _ = black_box(stablemax_f32(x, y, rows));
        let _ = black_box(stablemax_f32_in_place(y, rows));
        let _ = black_box(log_stablemax_f32(x, y, rows));
        let _ = black_box(log_stablemax_f32_in_place(y, rows));
        let _ = black_box(stablemax_cross_entropy(x, slice(&[1, 2]), y, Some(loss), rows));
        let _ = black_box(stablemax_cross_entropy(x, slice(&[1, 2]), y, None, rows));
        let _ = black_box(perp_grad(x, y));
        let _ = black_box(perp_grad_rescaled(x, y));
    }
    on_each_backend!(on);
}

fn on<D: Dispatch>(backend: D) {
    if let Ok(rows) = Rows::new(black_box(2), black_box(8)) {
        let (mut y, mut loss) = ([0.0; 16], [0.0; 2]);
        let (x, y, loss) = (slice(&[1.0; 16]), slice_mut(&mut y), slice_mut(&mut loss));
        let _ = black_box(stablemax_f32_on(backend, x, y, rows));
        let _ = black_box(stablemax_f32_in_place_on(backend, y, rows));
        let _ = black_box(log_stablemax_f32_on(backend, x, y, rows));
        let _ = black_box(log_stablemax_f32_in_place_on(backend, y, rows));
        let _ = black_box(stablemax_cross_entropy_on(backend, x, slice(&[1, 2]), y, Some(loss), rows));
        let _ = black_box(perp_grad_on(backend, x, y));
        let _ = black_box(perp_grad_rescaled_on(backend, x, y));
        black_box(Dispatch::run(backend, Primitives(x, y)));
    }
}

struct Primitives<'a>(&'a [f32], &'a mut [f32]);

impl Kernel for Primitives<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<B: Backend>(self, b: B) -> f32 {
        black_box(StableRows::stable_whole(b, InOut::apart(self.0, self.1), f32::is_finite));
        StableRows::stable_and_sum(b, InOut::apart(self.0, self.1))
    }
}
