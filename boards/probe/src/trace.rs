//! `scrimp::trace`.

use core::hint::black_box;

use scrimp::trace::Marker;

pub(crate) fn calls() {
    let mut marker = Marker::new(scrimp_rt::led());
    black_box(Marker::around(&mut marker, || black_box(1)));
    black_box(Marker::into_pin(marker));
}
