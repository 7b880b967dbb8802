//! `scrimp::softmax` of 8-bit integers.

use core::hint::black_box;

use scrimp::backend::Dispatch;
use scrimp::{LogSoftmaxS8, Rows, SoftmaxS8, SoftmaxS8Ref, StablemaxS8};

use crate::any::{any, slice_mut, values};
use crate::on_each_backend;

pub(crate) fn calls() {
    let mut table = [0; 256];
    if let (Ok(rows), Ok(softmax)) = (Rows::new(any(2), any(8)), SoftmaxS8::new(any(0.1), any(1.0))) {
        let (mut y, mut wide) = ([0; 16], [0; 16]);
        let _ = black_box(SoftmaxS8::run(&softmax, values!([1; 16]), slice_mut(&mut y), rows));
        let _ = black_box(SoftmaxS8::run_in_place(&softmax, slice_mut(&mut y), rows));
        let _ = black_box(SoftmaxS8::run_s16(&softmax, values!([1; 16]), slice_mut(&mut wide), rows));
    }
    if let (Ok(rows), Ok(softmax)) = (Rows::new(any(2), any(8)), SoftmaxS8Ref::build(&mut table, any(0.1), any(1.0))) {
        let (mut y, mut wide) = ([0; 16], [0; 16]);
        let _ = black_box(SoftmaxS8Ref::run(&softmax, values!([1; 16]), slice_mut(&mut y), rows));
        let _ = black_box(SoftmaxS8Ref::run_in_place(&softmax, slice_mut(&mut y), rows));
        let _ = black_box(SoftmaxS8Ref::run_s16(&softmax, values!([1; 16]), slice_mut(&mut wide), rows));
    }
    if let (Ok(rows), Ok(log_softmax), Ok(stablemax)) =
        (Rows::new(any(2), any(8)), LogSoftmaxS8::new(any(0.1)), StablemaxS8::new(any(0.1)))
    {
        let (mut y, mut wide) = ([0; 16], [0; 16]);
        let _ = black_box(LogSoftmaxS8::run(&log_softmax, values!([1; 16]), slice_mut(&mut y), rows));
        let _ = black_box(LogSoftmaxS8::run_in_place(&log_softmax, slice_mut(&mut y), rows));
        let _ = black_box(StablemaxS8::run(&stablemax, values!([1; 16]), slice_mut(&mut y), rows));
        let _ = black_box(StablemaxS8::run_in_place(&stablemax, slice_mut(&mut y), rows));
        let _ = black_box(StablemaxS8::run_s16(&stablemax, values!([1; 16]), slice_mut(&mut wide), rows));
    }
    let _ = black_box(SoftmaxS8Ref::from_multiplier(&mut table, any(1 << 30), any(23), any(-248)));
    on_each_backend!(on);
}

fn on<D: Dispatch>(backend: D) {
    let Ok(rows) = Rows::new(any(2), any(8)) else { return };
    let (mut y, mut wide) = ([0; 16], [0; 16]);
    if let Ok(softmax) = SoftmaxS8::from_multiplier(any(1 << 30), any(23), any(-248)) {
        let _ = black_box(SoftmaxS8::run_on(&softmax, backend, values!([1; 16]), slice_mut(&mut y), rows));
        let _ = black_box(SoftmaxS8::run_in_place_on(&softmax, backend, slice_mut(&mut y), rows));
        let _ = black_box(SoftmaxS8::run_s16_on(&softmax, backend, values!([1; 16]), slice_mut(&mut wide), rows));
        let softmax = SoftmaxS8::by_ref(&softmax);
        let _ = black_box(SoftmaxS8Ref::run_on(&softmax, backend, values!([1; 16]), slice_mut(&mut y), rows));
        let _ = black_box(SoftmaxS8Ref::run_in_place_on(&softmax, backend, slice_mut(&mut y), rows));
        let _ = black_box(SoftmaxS8Ref::run_s16_on(&softmax, backend, values!([1; 16]), slice_mut(&mut wide), rows));
    }
    if let (Ok(log_softmax), Ok(stablemax)) = (LogSoftmaxS8::new(any(0.1)), StablemaxS8::new(any(0.1))) {
        let _ = black_box(LogSoftmaxS8::run_on(&log_softmax, backend, values!([1; 16]), slice_mut(&mut y), rows));
        let _ = black_box(LogSoftmaxS8::run_in_place_on(&log_softmax, backend, slice_mut(&mut y), rows));
        let _ = black_box(StablemaxS8::run_on(&stablemax, backend, values!([1; 16]), slice_mut(&mut y), rows));
        let _ = black_box(StablemaxS8::run_in_place_on(&stablemax, backend, slice_mut(&mut y), rows));
        let _ = black_box(StablemaxS8::run_s16_on(&stablemax, backend, values!([1; 16]), slice_mut(&mut wide), rows));
    }
}
