//! `scrimp::shape`.

use core::hint::black_box;

use scrimp::error::Arg;
use scrimp::shape::{Nhwc, Rows};

pub(crate) fn calls() {
    let _ = black_box(Rows::one(black_box(3)));
    if let Ok(rows) = Rows::new(black_box(2), black_box(3)) {
        black_box((Rows::rows(rows), Rows::cols(rows), Rows::elements(rows)));
        let _ = black_box(Rows::check(rows, black_box(Arg::X), black_box(6)));
    }
    if let Ok(shape) = Nhwc::new(black_box(1), black_box(2), black_box(3), black_box(4)) {
        black_box((Nhwc::batch(shape), Nhwc::height(shape), Nhwc::width(shape), Nhwc::channels(shape)));
        let _ = black_box((Nhwc::elements(shape), Nhwc::check(shape, black_box(Arg::X), black_box(24))));
    }
}
