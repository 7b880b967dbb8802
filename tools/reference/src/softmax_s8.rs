//! 8-bit softmax as TFLite's reference kernels define it, step by step in plain integers, and StableMax in f64.

/// `a b / 2^31`, ties away from zero by gemmlowp's nudge.
#[must_use]
pub fn high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = i128::from(a) * i128::from(b);
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    ((product + nudge) / (1 << 31)) as i32
}

/// `x / 2^shift`, ties away from zero.
#[must_use]
pub fn shift_right(x: i32, shift: u32) -> i32 {
    let (magnitude, power) = (i128::from(x).abs(), 1i128 << shift);
    ((2 * magnitude + power) / (2 * power)) as i32 * x.signum()
}

/// `x 2^shift`, saturated.
fn shift_left(x: i32, shift: u32) -> i32 {
    (i128::from(x) << shift).clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

/// `e^a`, Q5.26 to Q0.31, for `a <= 0`.
#[must_use]
pub fn exp(a: i32) -> i32 {
    if a == 0 {
        return i32::MAX;
    }
    let quarter = 1i64 << 24;
    let last = i64::from(a).rem_euclid(quarter) - quarter;
    let x = (last * 32 + (1 << 28)) as i32; // in Q0.31, plus 1/8
    let x2 = high_mul(x, x);
    let x3 = high_mul(x2, x);
    let x4 = high_mul(x2, x2);
    let c = 1_895_147_668;
    let series = high_mul(shift_right(x4, 2) + x3, 715_827_883) + x2;
    let mut e = c + high_mul(c, x + shift_right(series, 1));
    let quarters = (last - i64::from(a)) / quarter;
    for (bit, power) in
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242].into_iter().enumerate()
    {
        if quarters >> bit & 1 == 1 {
            e = high_mul(e, power);
        }
    }
    e
}

/// `1 / (1 + x)`, Q0.31.
#[must_use]
pub fn reciprocal(x: i32) -> i32 {
    let d = ((i64::from(x) + (1 << 31)) / 2) as i32;
    let mut y = 1_515_870_810 + high_mul(d, -1_010_580_540);
    for _ in 0..3 {
        y += shift_left(high_mul(y, (1 << 29) - high_mul(d, y)), 2);
    }
    shift_left(y, 1)
}

/// TFLite's integers for a scale: multiplier, left shift, smallest distance that counts.
#[must_use]
pub fn parameters(scale: f64, beta: f64) -> (i32, i32, i32) {
    let real = (beta * scale * f64::from(1 << 26)).min(2_147_483_647.0);
    let mut shift = 0;
    while real / 2f64.powi(shift) >= 1.0 {
        shift += 1;
    }
    let mut mantissa = (real / 2f64.powi(shift) * 2f64.powi(31)).round();
    if mantissa >= 2f64.powi(31) {
        mantissa /= 2.0;
        shift += 1;
    }
    let diff_min = -(31.0 * 2f64.powi(26 - shift)).floor();
    (mantissa as i32, shift, diff_min as i32)
}

/// The exponential of every distance 0 to 255 below the maximum.
#[must_use]
pub fn exponentials(multiplier: i32, shift: i32, diff_min: i32) -> Vec<i32> {
    let of = |d: i32| if -d < diff_min { 0 } else { exp(high_mul(-d << shift, multiplier)) };
    (0..256).map(of).collect()
}

/// Softmax of a row, outputs of 8 or 16 bits less their half: the reference where it is defined, else the exact quotient.
#[must_use]
pub fn softmax(x: &[i8], exponentials: &[i32], bits: u32) -> Vec<i32> {
    let max = x.iter().copied().max().map_or(0, i32::from);
    let e: Vec<i32> = x.iter().map(|&x| exponentials[(max - i32::from(x)) as usize]).collect();
    let sum: i64 = e.iter().map(|&e| i64::from(shift_right(e, 12))).sum();
    let half = 1 << (bits - 1);
    if sum < if bits == 8 { 1 << 28 } else { 1 << 31 } {
        let headroom = (sum as i32).leading_zeros();
        let factor = reciprocal((((sum as u64) << headroom) - (1 << 31)) as i32);
        let shift = 12 + 31 - bits - headroom;
        e.iter().map(|&e| shift_right(high_mul(factor, e), shift).min(2 * half - 1) - half).collect()
    } else {
        let sum: i128 = e.iter().map(|&e| i128::from(e)).sum();
        e.iter().map(|&e| (((i128::from(e) << (bits + 1)) + sum) / (2 * sum)) as i32 - half).collect()
    }
}

/// Log-softmax in units of 1/16 less 127, of `scale x` in f64.
#[must_use]
pub fn log_softmax(x: &[i8], scale: f64) -> Vec<f64> {
    let max = x.iter().copied().max().map_or(0.0, f64::from);
    let sum: f64 = x.iter().map(|&x| (scale * (f64::from(x) - max)).exp()).sum();
    x.iter().map(|&x| 16.0 * (scale * (f64::from(x) - max) - sum.ln()) + 127.0).collect()
}

/// The rule of fixed-point StableMax: terms in units of 2^-16, outputs of `bits` bits less their half.
#[must_use]
pub fn stablemax(x: &[i8], scale: f64, bits: u32) -> Vec<i32> {
    let s = |x: i8| {
        let x = scale * f64::from(x);
        (65_536.0 * if x < 0.0 { 1.0 / (1.0 - x) } else { 1.0 + x }).round() as i128
    };
    let sum: i128 = x.iter().map(|&x| s(x)).sum();
    let h = 128 - sum.leading_zeros();
    let factor = ((1i128 << (h + 31)) + sum) / (2 * sum);
    let shift = h + 30 - bits;
    let half = 1 << (bits - 1);
    x.iter().map(|&x| (((s(x) * factor + (1 << (shift - 1))) >> shift) as i32).min(2 * half - 1) - half).collect()
}

/// Real StableMax of `scale x`.
#[must_use]
pub fn stablemax_real(x: &[i8], scale: f64) -> Vec<f64> {
    let s = |x: i8| if x < 0 { 1.0 / (1.0 - scale * f64::from(x)) } else { 1.0 + scale * f64::from(x) };
    let sum: f64 = x.iter().map(|&x| s(x)).sum();
    x.iter().map(|&x| s(x) / sum).collect()
}
