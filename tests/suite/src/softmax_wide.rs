//! Rows of f32 with spreads on both sides of what fast paths take, and `exp` alone.

use scrimp::backend::Dispatch;
use scrimp::softmax::{softmax_f32_on, three_pass_f32_on};
use scrimp::{Error, Rows};

use crate::Failure;

const MAX_LEN: usize = 300;

/// Every pair of a spread and an offset, on rows whose groups differ in how far they reach down.
pub(crate) fn f32<D: Dispatch>(backend: D) -> Result<(), Failure> {
    let mut noise = Noise(1);
    for len in [1, 7, 20, 65, MAX_LEN] {
        for spread in [1.0, 21.0, 22.5, 31.0, 33.0, 60.0, 88.0, 300.0] {
            for offset in [0.0, 100.0, -3e4] {
                // Mostly near the top; some groups of eight reach down.
                let x: [f32; MAX_LEN] = core::array::from_fn(|i| {
                    let depth = if i / 8 % 3 == 1 { spread } else { 15.0 };
                    offset - depth * noise.unit()
                });
                check(backend, x.get(..len).unwrap_or_default())?;
            }
        }
    }
    // One at the top and many equal ones: every addition to a sum rounds the same way.
    for low in [-0.3, -1.0, -2.6] {
        let x: [f32; MAX_LEN] = core::array::from_fn(|i| if i == 0 { 0.0 } else { low });
        check(backend, &x)?;
    }
    Ok(())
}

fn check<D: Dispatch>(backend: D, row: &[f32]) -> Result<(), Failure> {
    let mut y = [0.0; MAX_LEN];
    let y = y.get_mut(..row.len()).unwrap_or_default();
    Rows::one(row.len())
        .and_then(|rows| softmax_f32_on(backend, row, y, rows))
        .map_err(|_: Error| Failure::new("an error"))?;
    let max = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = row.iter().map(|&v| libm::exp(f64::from(v) - max)).sum();
    for (i, (&x, &y)) in row.iter().zip(&*y).enumerate() {
        let want = libm::exp(f64::from(x) - max) / sum;
        let close = (f64::from(y) - want).abs() <= 1.5e-6 * want + f64::from(f32::MIN_POSITIVE);
        if !close {
            return Err(Failure::new("outside the bound").row(row.len(), 0).element(i, want, y.into()));
        }
    }
    Ok(())
}

/// The exponentials that a softmax is made of, seen as quotients of its outputs: within 2 ULP, and one more for the quotient.
pub(crate) fn exp<D: Dispatch>(backend: D) -> Result<(), Failure> {
    const STEP: usize = 48_611; // a prime; 23,000 values in all
    let mut bits = (-0.0f32).to_bits() as usize;
    let last = (-87.336_54f32).to_bits() as usize;
    while bits <= last {
        // The last one is the maximum, so that differences from it are exact.
        let mut x = [0.0; 65];
        for (i, x) in x.iter_mut().take(64).enumerate() {
            *x = f32::from_bits((bits + i * STEP).min(last) as u32);
        }
        let mut y = [0.0; 65];
        Rows::one(65)
            .and_then(|rows| three_pass_f32_on(backend, &x, &mut y, rows))
            .map_err(|_: Error| Failure::new("an error"))?;
        let k = f64::from(y[64]);
        let mut total = 0.0;
        for (i, (&x, &y)) in x.iter().zip(&y).enumerate() {
            let want = libm::exp(f64::from(x));
            let ulp = f64::from((want as f32).next_up()) - f64::from(want as f32);
            let close = (f64::from(y) / k - want).abs() <= 3.0 * ulp + f64::from(f32::MIN_POSITIVE) / k;
            if !close {
                return Err(Failure::new("off by more than 3 ULP").element(i, want, f64::from(y) / k));
            }
            total += f64::from(y);
        }
        if (total - 1.0).abs() > 3e-7 {
            return Err(Failure::new("the sum is not that of the elements").element(0, 1.0, total));
        }
        bits += 64 * STEP;
    }
    Ok(())
}

/// Uniform numbers from 0 to 1 that every machine makes the same.
struct Noise(u32);

impl Noise {
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1u32 << 24) as f32
    }
}
