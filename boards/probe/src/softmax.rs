//! `scrimp::softmax`.

use core::hint::black_box;

use scrimp::Rows;
use scrimp::backend::Dispatch;
use scrimp::softmax::{
    Mask, MaskedRow, OnlineSoftmax, SoftmaxF32, log_softmax_f32, log_softmax_f32_in_place, log_softmax_f32_in_place_on,
    log_softmax_f32_on, softmax_f32, softmax_f32_in_place, softmax_f32_in_place_on, softmax_f32_on, three_pass_f32,
    three_pass_f32_in_place, three_pass_f32_in_place_on, three_pass_f32_on, two_pass_f32, two_pass_f32_in_place,
    two_pass_f32_in_place_on, two_pass_f32_on,
};

use crate::any::{any, slice_mut, values};
use crate::on_each_backend;

pub(crate) fn calls() {
    if let Ok(rows) = Rows::new(any(2), any(8)) {
        values!(let x = [1.0; 16]);
        let mut y = [0.0; 16];
        let y = slice_mut(&mut y);
        let _ = black_box(softmax_f32(x, y, rows));
        let _ = black_box(softmax_f32_in_place(y, rows));
        let _ = black_box(three_pass_f32(x, y, rows));
        let _ = black_box(three_pass_f32_in_place(y, rows));
        let _ = black_box(two_pass_f32(x, y, rows));
        let _ = black_box(two_pass_f32_in_place(y, rows));
        let _ = black_box(log_softmax_f32(x, y, rows));
        let _ = black_box(log_softmax_f32_in_place(y, rows));
        let softmax = SoftmaxF32::default();
        let _ = black_box(SoftmaxF32::run(&softmax, x, y, rows, Mask::None));
        let _ = black_box(SoftmaxF32::run_in_place(&softmax, y, rows, Mask::default()));
        let mut state = OnlineSoftmax::default();
        OnlineSoftmax::push(&mut state, x);
        let _ = black_box(OnlineSoftmax::write(&state, x, y));
        let _ = black_box(OnlineSoftmax::write_in_place(&state, y));
        black_box(OnlineSoftmax::log_sum_exp(&state));
    }
    on_each_backend!(on);
    on_each_backend!(masked);
    on_each_backend!(online);
}

fn on<D: Dispatch>(backend: D) {
    if let Ok(rows) = Rows::new(any(2), any(8)) {
        values!(let x = [1.0; 16]);
        let mut y = [0.0; 16];
        let y = slice_mut(&mut y);
        let _ = black_box(softmax_f32_on(backend, x, y, rows));
        let _ = black_box(softmax_f32_in_place_on(backend, y, rows));
        let _ = black_box(three_pass_f32_on(backend, x, y, rows));
        let _ = black_box(three_pass_f32_in_place_on(backend, y, rows));
        let _ = black_box(two_pass_f32_on(backend, x, y, rows));
        let _ = black_box(two_pass_f32_in_place_on(backend, y, rows));
        let _ = black_box(log_softmax_f32_on(backend, x, y, rows));
        let _ = black_box(log_softmax_f32_in_place_on(backend, y, rows));
    }
}

fn masked<D: Dispatch>(backend: D) {
    if let Ok(rows) = Rows::new(any(2), any(8)) {
        values!(let x = [1.0; 16]);
        let mut y = [0.0; 16];
        let y = slice_mut(&mut y);
        let softmax = SoftmaxF32::with_scale(SoftmaxF32::new(), any(0.5));
        let softmax = SoftmaxF32::with_strides(softmax, any(8), any(8));
        let softmax = SoftmaxF32::with_masked_row(softmax, any(MaskedRow::Nan));
        let past = any(3);
        for mask in [Mask::Additive(x), Mask::Boolean(values!([true; 16])), Mask::Causal { past }, Mask::None] {
            let _ = black_box(SoftmaxF32::run_on(&softmax, backend, x, y, rows, mask));
            let _ = black_box(SoftmaxF32::run_in_place_on(&softmax, backend, y, rows, mask));
        }
    }
}

fn online<D: Dispatch>(backend: D) {
    values!(let x = [1.0; 16]);
    let mut y = [0.0; 16];
    let y = slice_mut(&mut y);
    let mut state = OnlineSoftmax::with_masked_row(OnlineSoftmax::new(), any(MaskedRow::Nan));
    OnlineSoftmax::push_on(&mut state, backend, x);
    let other = black_box(state);
    OnlineSoftmax::merge(&mut state, &other);
    let _ = black_box(OnlineSoftmax::write_on(&state, backend, x, y));
    let _ = black_box(OnlineSoftmax::write_in_place_on(&state, backend, y));
}
