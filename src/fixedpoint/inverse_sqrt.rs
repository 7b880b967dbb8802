//! `1 / sqrt x` of an integer as a multiplier, bit for bit as TFLite's `GetInvSqrtQuantizedMultiplierExp` has it: five Newton
//! steps in Q3.28 from 1.

use super::{Multiplier, rounding_shift_right, saturating_doubling_high_mul as mul};

/// `1 / sqrt x` for `x >= 1`; 0 and less count as 1. The mantissa is from 2^29 up, the shift not positive.
pub(crate) const fn inverse_sqrt(x: i32) -> Multiplier {
    const THREE_HALVES: i32 = (1 << 28) + (1 << 27);
    const ROOT_OF_HALF: i32 = 1_518_500_250;
    if x <= 1 {
        return Multiplier { mantissa: i32::MAX, shift: 0 };
    }
    let (mut x, mut shift) = (x, -11i32);
    while x >= 1 << 29 {
        x /= 4;
        shift -= 1;
    }
    // To [2^27, 2^29) by an even number of places.
    let pairs = (x.leading_zeros() - 1) / 2 - 1;
    shift += pairs as i32;
    x <<= 2 * pairs;
    let half = rounding_shift_right(x >> 1, 1);
    let mut y = 1 << 28;
    let mut step = 0;
    while step < 5 {
        let cube = saturating_shift_left(mul(mul(y, y), y), 6);
        y = saturating_shift_left(mul(THREE_HALVES, y).wrapping_sub(mul(half, cube)), 3);
        step += 1;
    }
    let mantissa = mul(y, ROOT_OF_HALF);
    if shift > 0 { Multiplier { mantissa: mantissa << shift, shift: 0 } } else { Multiplier { mantissa, shift } }
}

const fn saturating_shift_left(x: i32, by: u32) -> i32 {
    let exact = (x as i64) << by;
    if exact > i32::MAX as i64 {
        i32::MAX
    } else if exact < i32::MIN as i64 {
        i32::MIN
    } else {
        exact as i32
    }
}

#[cfg(test)]
mod tests {
    use super::inverse_sqrt;

    #[test]
    fn close_to_the_root_of_every_size() {
        let mut worst = 0.0f64;
        let sizes = (2..70_000).chain((0..31).flat_map(|bits| [(1 << bits) - 1, 1 << bits])).chain([i32::MAX]);
        for x in sizes.filter(|&x| x > 1) {
            let m = inverse_sqrt(x);
            assert!(m.shift <= 0 && m.mantissa > 0, "{x}: {m:?}");
            let got = f64::from(m.mantissa) / 2_147_483_648.0 * libm::exp2(f64::from(m.shift));
            worst = worst.max((got * libm::sqrt(f64::from(x)) - 1.0).abs());
        }
        assert!(worst < 1.3e-6, "{worst:e}");
        assert_eq!([inverse_sqrt(i32::MIN), inverse_sqrt(0)], [inverse_sqrt(1); 2]);
    }
}
