//! `scrimp::softmax`, the 16-bit and fixed-point forms.

use core::hint::black_box;

use fixed::types::{I8F8, I16F16, U0F8, U0F16};
use scrimp::Rows;
use scrimp::backend::Dispatch;
use scrimp::fixedpoint::{Logit, Probability};
use scrimp::softmax::{OnlineQ, SoftmaxQ, SoftmaxS16, StablemaxQ, softmax_q, two_pass_q, two_pass_q_on};

use crate::any::{Vary, any, any_of, slice, slice_mut, values};
use crate::on_each_backend;

pub(crate) fn calls() {
    if let (Ok(softmax), Ok(rows)) = (SoftmaxS16::new(any(0.1), any(1.0)), Rows::new(any(2), any(8))) {
        let mut y = [0; 16];
        let _ = black_box(SoftmaxS16::run(&softmax, values!([1; 16]), slice_mut(&mut y), rows));
        let _ = black_box(SoftmaxS16::run_in_place(&softmax, slice_mut(&mut y), rows));
    }
    formats::<i8, u8>(1, 0);
    formats::<i8, u16>(1, 0);
    formats::<i8, u32>(1, 0);
    formats::<i16, u8>(1, 0);
    formats::<i16, u16>(1, 0);
    formats::<i16, u32>(1, 0);
    formats::<i32, u8>(1, 0);
    formats::<i32, u16>(1, 0);
    formats::<i32, u32>(1, 0);
    if let Ok(rows) = Rows::new(any(2), any(8)) {
        let mut y = [U0F16::ZERO; 16];
        let _ = black_box(softmax_q(values!([I8F8::ZERO; 16]), slice_mut(&mut y), rows));
        let mut y = [U0F8::ZERO; 16];
        let _ = black_box(softmax_q(values!([I16F16::ZERO; 16]), slice_mut(&mut y), rows));
    }
    on_each_backend!(on);
}

fn formats<X: Logit + Vary, Y: Probability + Vary>(x: X, y: Y) {
    let x = any_of([x; 16]);
    let x = slice(&x);
    let mut y = [y; 16];
    if let (Ok(softmax), Ok(rows)) = (SoftmaxQ::new(any(8)), Rows::new(any(2), any(8))) {
        let _ = black_box(SoftmaxQ::run(&softmax, x, slice_mut(&mut y), rows));
        let _ = black_box(two_pass_q(&softmax, x, slice_mut(&mut y), rows));
        let mut state = OnlineQ::new(&softmax);
        OnlineQ::push(&mut state, x);
        let other = black_box(state);
        let _ = black_box(OnlineQ::merge(&mut state, &other));
        let _ = black_box(OnlineQ::write(&state, x, slice_mut(&mut y)));
    }
    if let (Ok(stablemax), Ok(rows)) = (StablemaxQ::new(any(8)), Rows::new(any(2), any(8))) {
        let _ = black_box(StablemaxQ::run(&stablemax, x, slice_mut(&mut y), rows));
    }
}

fn on<D: Dispatch>(backend: D) {
    let Ok(rows) = Rows::new(any(2), any(8)) else { return };
    let mut y = [0; 16];
    if let Ok(softmax) = SoftmaxS16::from_multiplier(any(5), any(5)) {
        let _ = black_box(SoftmaxS16::run_on(&softmax, backend, values!([1; 16]), slice_mut(&mut y), rows));
        let _ = black_box(SoftmaxS16::run_in_place_on(&softmax, backend, slice_mut(&mut y), rows));
    }
    let mut y = [0u16; 16];
    if let Ok(softmax) = SoftmaxQ::from_scale(any(0.001)) {
        let _ = black_box(SoftmaxQ::run_on(&softmax, backend, values!([1i16; 16]), slice_mut(&mut y), rows));
        let _ = black_box(two_pass_q_on(backend, &softmax, values!([1i16; 16]), slice_mut(&mut y), rows));
    }
    if let Ok(stablemax) = StablemaxQ::new(any(8)) {
        let _ = black_box(StablemaxQ::run_on(&stablemax, backend, values!([1i16; 16]), slice_mut(&mut y), rows));
    }
}
