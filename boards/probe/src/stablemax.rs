//! StableMax in `scrimp::softmax`.

use core::hint::black_box;

use scrimp::Rows;
use scrimp::backend::Dispatch;
use scrimp::softmax::{
    log_stablemax_f32, log_stablemax_f32_in_place, log_stablemax_f32_in_place_on, log_stablemax_f32_on, perp_grad,
    perp_grad_on, perp_grad_rescaled, perp_grad_rescaled_on, stablemax_cross_entropy, stablemax_cross_entropy_on,
    stablemax_f32, stablemax_f32_in_place, stablemax_f32_in_place_on, stablemax_f32_on,
};

use crate::any::{any, slice_mut, values};
use crate::on_each_backend;

pub(crate) fn calls() {
    if let Ok(rows) = Rows::new(any(2), any(8)) {
        let (mut y, mut loss) = ([0.0; 16], [0.0; 2]);
        let (y, loss) = (slice_mut(&mut y), slice_mut(&mut loss));
        values!(let x = [1.0; 16]);
        let _ = black_box(stablemax_f32(x, y, rows));
        let _ = black_box(stablemax_f32_in_place(y, rows));
        let _ = black_box(log_stablemax_f32(x, y, rows));
        let _ = black_box(log_stablemax_f32_in_place(y, rows));
        let _ = black_box(stablemax_cross_entropy(x, values!([1, 2]), y, Some(loss), rows));
        let _ = black_box(stablemax_cross_entropy(x, values!([1, 2]), y, None, rows));
        let _ = black_box(perp_grad(x, y));
        let _ = black_box(perp_grad_rescaled(x, y));
    }
    on_each_backend!(on);
}

fn on<D: Dispatch>(backend: D) {
    if let Ok(rows) = Rows::new(any(2), any(8)) {
        let (mut y, mut loss) = ([0.0; 16], [0.0; 2]);
        let (y, loss) = (slice_mut(&mut y), slice_mut(&mut loss));
        values!(let x = [1.0; 16]);
        let _ = black_box(stablemax_f32_on(backend, x, y, rows));
        let _ = black_box(stablemax_f32_in_place_on(backend, y, rows));
        let _ = black_box(log_stablemax_f32_on(backend, x, y, rows));
        let _ = black_box(log_stablemax_f32_in_place_on(backend, y, rows));
        let _ = black_box(stablemax_cross_entropy_on(backend, x, values!([1, 2]), y, Some(loss), rows));
        let _ = black_box(perp_grad_on(backend, x, y));
        let _ = black_box(perp_grad_rescaled_on(backend, x, y));
    }
}
