//! Products of two matrices of random activations, both with a zero point.

use core::hint::black_box;

use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{BatchMatMulS8, BatchShape};

use crate::{Meter, Noise, ROWS};

/// Rows, depth and columns.
pub(crate) const fn shape(n: usize) -> [usize; 3] {
    if n == 64 { [64, 32, 64] } else { [n, n, n] }
}

/// The right matrix row by row.
pub(crate) fn s8(n: usize, meter: &mut Meter) {
    run(n, false, meter);
}

/// The right matrix column by column, as attention has its keys.
pub(crate) fn s8_transposed(n: usize, meter: &mut Meter) {
    run(n, true, meter);
}

fn run(n: usize, is_transposed: bool, meter: &mut Meter) {
    match n {
        16 => product::<256, 256, 256, 320>(shape(n), is_transposed, meter),
        64 => product::<2048, 2048, 4096, 640>(shape(n), is_transposed, meter),
        _ => {}
    }
}

#[inline(never)]
fn product<const LHS: usize, const RHS: usize, const Y: usize, const SCRATCH: usize>(
    [rows, depth, cols]: [usize; 3],
    is_transposed: bool,
    meter: &mut Meter,
) {
    let rhs = if is_transposed { [1, 1, cols, depth] } else { [1, 1, depth, cols] };
    let Ok(shape) = BatchShape::new([1, 1, rows, depth], rhs, false, is_transposed) else { return };
    let by = Multiplier { mantissa: 1_500_000_000, shift: -9 };
    let Ok(product) = BatchMatMulS8::new(by, [128, -3], 5) else { return };
    let (mut lhs, mut rhs, mut y, mut scratch) = ([0i8; LHS], [0i8; RHS], [0i8; Y], [0; SCRATCH]);
    let Some(scratch) = scratch.get_mut(..shape.scratch()) else { return };
    for row in 0..ROWS {
        let mut noise = Noise::new(row as u32);
        lhs.fill_with(|| noise.s8());
        rhs.fill_with(|| noise.s8());
        meter.count(&mut || {
            let (lhs, rhs) = (black_box(lhs.as_slice()), black_box(rhs.as_slice()));
            let _ = black_box(black_box(&product).run(lhs, rhs, black_box(&mut y), black_box(&shape), scratch));
        });
    }
}
