//! `scrimp::softmax`.

use core::hint::black_box;

use scrimp::Rows;
use scrimp::backend::Dispatch;
use scrimp::softmax::{softmax_f32, softmax_f32_in_place, softmax_f32_in_place_on, softmax_f32_on};

use crate::{on_each_backend, slice, slice_mut};

pub(crate) fn calls() {
    if let Ok(rows) = Rows::new(black_box(2), black_box(8)) {
        let mut y = [0.0; 16];
        let _ = black_box(softmax_f32(slice(&[1.0; 16]), slice_mut(&mut y), rows));
        let _ = black_box(softmax_f32_in_place(slice_mut(&mut y), rows));
    }
    on_each_backend!(on);
}

fn on<D: Dispatch>(backend: D) {
    if let Ok(rows) = Rows::new(black_box(2), black_box(8)) {
        let mut y = [0.0; 16];
        let _ = black_box(softmax_f32_on(backend, slice(&[1.0; 16]), slice_mut(&mut y), rows));
        let _ = black_box(softmax_f32_in_place_on(backend, slice_mut(&mut y), rows));
        black_box(y);
    }
}
