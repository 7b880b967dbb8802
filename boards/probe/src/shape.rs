//! `scrimp::shape`.

use core::hint::black_box;

use scrimp::error::Arg;
use scrimp::shape::Rows;

pub(crate) fn calls() {
    let _ = black_box(Rows::one(black_box(3)));
    if let Ok(rows) = Rows::new(black_box(2), black_box(3)) {
        black_box((Rows::rows(rows), Rows::cols(rows), Rows::elements(rows)));
        let _ = black_box(Rows::check(rows, black_box(Arg::X), black_box(6)));
    }
}
