//! `scrimp::shape`.

use core::hint::black_box;

use scrimp::error::Arg;
use scrimp::shape::{Nhwc, Rows};

use crate::any::any;

pub(crate) fn calls() {
    let _ = black_box(Rows::one(any(3)));
    if let Ok(rows) = Rows::new(any(2), any(3)) {
        black_box((Rows::rows(rows), Rows::cols(rows), Rows::elements(rows)));
        let _ = black_box(Rows::check(rows, any(Arg::X), any(6)));
    }
    if let Ok(shape) = Nhwc::new(any(1), any(2), any(3), any(4)) {
        black_box((Nhwc::batch(shape), Nhwc::height(shape), Nhwc::width(shape), Nhwc::channels(shape)));
        let _ = black_box((Nhwc::elements(shape), Nhwc::check(shape, any(Arg::X), any(24))));
    }
}
