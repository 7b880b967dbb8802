//! TFLite's element-wise operators on integers, one element at a time, in i64 and with the precision of each product that the
//! reference kernels have. Zero points and scales are given as `(scale, zero point)`; results are codes, clamped.

use crate::bits::requantize;
use crate::softmax_s8::{exp, high_mul, reciprocal, shift_right};

/// A scale and a zero point.
pub type Quant = (f32, i32);

/// TFLite's `QuantizeMultiplier`: mantissa and shift.
#[must_use]
pub fn multiplier(real: f64) -> (i32, i32) {
    if real == 0.0 {
        return (0, 0);
    }
    let (mut fraction, mut shift) = (real, 0);
    while fraction >= 1.0 {
        fraction /= 2.0;
        shift += 1;
    }
    while fraction < 0.5 {
        fraction *= 2.0;
        shift -= 1;
    }
    let mut mantissa = (fraction * 2f64.powi(31)).round() as i64;
    if mantissa == 1 << 31 {
        mantissa /= 2;
        shift += 1;
    }
    if shift < -31 { (0, 0) } else { (mantissa as i32, shift) }
}

/// `MultiplyByQuantizedMultiplier`; a shift to the left wraps around at 32 bits.
#[must_use]
pub fn scaled(x: i64, (mantissa, shift): (i32, i32)) -> i64 {
    requantize(x, mantissa, shift, false)
}

/// Least and largest code of `bits` bits.
#[must_use]
pub fn ends(bits: u32) -> (i64, i64) {
    (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
}

/// Clamped, as the number of 32 bits that it is in the reference.
fn clamp(x: i64, (min, max): (i64, i64)) -> i64 {
    i64::from(x as i32).max(min).min(max)
}

/// The common scale of two operands and three multipliers, in f64.
fn sum(x1: i64, x2: i64, of: [Quant; 3], bits: u32, range: (i64, i64), sign: i64) -> i64 {
    let [s1, s2, s] = of.map(|(scale, _)| f64::from(scale));
    let (twice, left) = (2.0 * s1.max(s2), if bits == 8 { 20 } else { 15 });
    let factors = [s1 / twice, s2 / twice, twice / (f64::from(1 << left) * s)];
    let term = |x: i64, k: usize| scaled((x - i64::from(of[k].1)) << left, multiplier(factors[k]));
    clamp(scaled(term(x1, 0) + sign * term(x2, 1), multiplier(factors[2])) + i64::from(of[2].1), range)
}

/// `ADD`.
#[must_use]
pub fn add(x1: i64, x2: i64, of: [Quant; 3], bits: u32, range: (i64, i64)) -> i64 {
    sum(x1, x2, of, bits, range, 1)
}

/// `SUB`.
#[must_use]
pub fn sub(x1: i64, x2: i64, of: [Quant; 3], bits: u32, range: (i64, i64)) -> i64 {
    sum(x1, x2, of, bits, range, -1)
}

/// `MUL`.
#[must_use]
pub fn mul(x1: i64, x2: i64, of: [Quant; 3], range: (i64, i64)) -> i64 {
    let [s1, s2, s] = of.map(|(scale, _)| f64::from(scale));
    let product = (x1 - i64::from(of[0].1)) * (x2 - i64::from(of[1].1));
    clamp(scaled(product, multiplier(s1 * s2 / s)) + i64::from(of[2].1), range)
}

/// `SQUARED_DIFFERENCE`.
#[must_use]
pub fn squared_difference(x1: i64, x2: i64, of: [Quant; 3], bits: u32) -> i64 {
    let [s1, s2, _] = of.map(|(scale, _)| f64::from(scale));
    let (twice, left) = (2.0 * s1.max(s2), if bits == 8 { 7 } else { 0 });
    let term = |x: i64, k: usize, s: f64| scaled((x - i64::from(of[k].1)) << left, multiplier(s / twice));
    let difference = term(x1, 0, s1) - term(x2, 1, s2);
    let to_output = twice * twice / f64::from((1 << (2 * left)) as f32 * of[2].0);
    clamp(scaled(difference * difference, multiplier(to_output)) + i64::from(of[2].1), ends(bits))
}

/// `PRELU`, with one slope.
#[must_use]
pub fn prelu(x: i64, slope: i64, of: [Quant; 3], bits: u32) -> i64 {
    let [sx, sa, s] = of.map(|(scale, _)| f64::from(scale));
    let x = x - i64::from(of[0].1);
    let y = if x >= 0 {
        scaled(x, multiplier(sx / s))
    } else {
        scaled(x * (slope - i64::from(of[1].1)), multiplier(sx * sa / s))
    };
    clamp(y + i64::from(of[2].1), ends(bits))
}

/// `LEAKY_RELU`, also with a negative slope.
#[must_use]
pub fn leaky_relu(x: i64, of: [Quant; 2], slope: f32, bits: u32) -> i64 {
    let [(sx, zx), (sy, zy)] = of;
    let x = x - i64::from(zx);
    let negative = f64::from(sx * slope / sy);
    let y = if x >= 0 {
        scaled(x, multiplier(f64::from(sx / sy)))
    } else {
        scaled(x, multiplier(negative.abs())) * if negative < 0.0 { -1 } else { 1 }
    };
    clamp(y + i64::from(zy), ends(bits))
}

/// `RELU` and its kin, with a change of scale.
#[must_use]
pub fn relu(x: i64, of: [Quant; 2], range: (i64, i64)) -> i64 {
    let [(sx, zx), (sy, zy)] = of;
    clamp(scaled(x - i64::from(zx), multiplier(f64::from(sx / sy))) + i64::from(zy), range)
}

/// `ABS`.
#[must_use]
pub fn abs(x: i64, of: [Quant; 2], bits: u32) -> i64 {
    let [(sx, zx), (sy, zy)] = of;
    let x = (x - i64::from(zx)).abs();
    let x = if sx.to_bits() == sy.to_bits() { x } else { scaled(x, multiplier(f64::from(sx / sy))) };
    clamp(x + i64::from(zy), ends(bits))
}

/// `QUANTIZE` from codes to codes within `range`.
#[must_use]
pub fn rescale(x: i64, of: [Quant; 2], range: (i64, i64)) -> i64 {
    let [(sx, zx), (sy, zy)] = of;
    clamp(scaled(x - i64::from(zx), multiplier(f64::from(sx) / f64::from(sy))) + i64::from(zy), range)
}

/// `QUANTIZE` from f32.
#[must_use]
pub fn quantize(x: f32, (scale, zero_point): Quant, range: (i64, i64)) -> i64 {
    ((x / scale).round() as i64).saturating_add(zero_point.into()).clamp(range.0, range.1)
}

/// `DEQUANTIZE`.
#[must_use]
pub fn dequantize(x: i64, (scale, zero_point): Quant) -> f32 {
    (f64::from(scale) * (x - i64::from(zero_point)) as f64) as f32
}

/// `e^a` for `a <= 0` of Q4.27, by way of Q5.26: the reference's quarters, one bit finer.
fn exp_q4(a: i32) -> i32 {
    if a == 0 {
        return i32::MAX;
    }
    let quarter = 1i64 << 25;
    let last = i64::from(a).rem_euclid(quarter) - quarter;
    // In the last quarter both have the same polynomial, of the same number in Q0.31.
    let mut e = exp_of_last_quarter((last * 16) as i32);
    let quarters = (last - i64::from(a)) / quarter;
    for (bit, power) in [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401].iter().enumerate()
    {
        if quarters >> bit & 1 == 1 {
            e = high_mul(e, *power);
        }
    }
    e
}

/// `e^a` for `a` of Q0.31 from -1/4 up to 0.
fn exp_of_last_quarter(a: i32) -> i32 {
    let x = a + (1 << 28);
    let (x2, c) = (high_mul(x, x), 1_895_147_668);
    let (x3, x4) = (high_mul(x2, x), high_mul(x2, x2));
    let series = high_mul(shift_right(x4, 2) + x3, 715_827_883) + x2;
    c + high_mul(c, x + shift_right(series, 1))
}

/// What comes before `LOGISTIC` and `TANH`: the argument in Q4.27, or the end beyond it.
fn sigmoid_argument(x: i64, (scale, zero_point): Quant) -> Result<i32, i64> {
    let x = x - i64::from(zero_point);
    let (mantissa, shift) = multiplier(f64::from(scale) * 2f64.powi(27));
    let radius = (15.0 * 2f64.powi(27 - shift)).floor() as i64;
    if x <= -radius {
        Err(-128)
    } else if x >= radius {
        Err(127)
    } else {
        Ok(scaled(x, (mantissa, shift)) as i32)
    }
}

/// `LOGISTIC` of 8 bits.
#[must_use]
pub fn logistic(x: i64, of: Quant) -> i64 {
    let a = match sigmoid_argument(x, of) {
        Ok(a) => a,
        Err(end) => return end,
    };
    let positive = reciprocal(exp_q4(-a.abs()));
    let y = match a.signum() {
        1 => positive,
        0 => 1 << 30,
        _ => i32::MAX - positive,
    };
    clamp(i64::from(shift_right(y, 23)) - 128, ends(8))
}

/// `TANH` of 8 bits.
#[must_use]
pub fn tanh(x: i64, of: Quant) -> i64 {
    let a = match sigmoid_argument(x, of) {
        Ok(a) => a,
        Err(end) => return end,
    };
    // The same word in Q5.26 is twice the number.
    let e = exp(-a.abs());
    let d = ((i64::from(e) + (1 << 31)) / 2) as i32;
    let mut y = 1_515_870_810i64 + i64::from(high_mul(d, -1_010_580_540));
    for _ in 0..3 {
        let error = (1 << 29) - high_mul(d, y as i32);
        y += i64::from(high_mul(y as i32, error)) << 2;
    }
    let of_size = ((y - (1 << 29)) << 2).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    clamp(i64::from(shift_right(of_size * a.signum(), 24)), ends(8))
}

/// The argument of `LOGISTIC` and `TANH` of 16 bits in units of 1/(3 * 4096): scales that are nearly one of `powers` of two count
/// as it.
fn argument_s16(x: i64, scale: f32, powers: &[i32]) -> i64 {
    let log2 = scale.ln() * (1.0 / 2f32.ln());
    if let Some(&power) = powers.iter().find(|&&power| (log2 - power as f32).abs() < 1e-3) {
        return x * (3 << (power + 12));
    }
    let (mut multiplier, mut shift) = (f64::from(scale) * 4096.0 * 3.0, 0);
    while multiplier <= 32_767.0 / 2.0 && shift <= 30 {
        multiplier *= 2.0;
        shift += 1;
    }
    (x * multiplier as i64 + (1 << shift >> 1)) >> shift
}

/// The table that both read: TFLite's `sigmoid_table_uint16`, whose entries were made by this rule but for the last one.
fn sigmoid_table(i: i64) -> i64 {
    let sigmoid = |i: f64| 65_536.0 / (1.0 + (-i / 24.0).exp());
    let at = i as f64;
    if i == 255 {
        return 65_535;
    }
    (sigmoid(at) - (sigmoid(at + 1.0) - 2.0 * sigmoid(at) + sigmoid(at - 1.0)) / 16.0).round() as i64
}

/// `LOGISTIC` of 16 bits.
#[must_use]
pub fn logistic_s16(x: i64, scale: f32) -> i64 {
    let x = argument_s16(x, scale, &[-12]);
    let at = x.abs() >> 9;
    let y = if at >= 255 {
        0x7FFF << 10
    } else {
        (sigmoid_table(at) << 9) + (x.abs() & 0x1FF) * (sigmoid_table(at + 1) - sigmoid_table(at))
    };
    (if x >= 0 { y + (1 << 9) } else { (1 << 25) - y + (1 << 9) - 1 }) >> 10
}

/// `TANH` of 16 bits.
#[must_use]
pub fn tanh_s16(x: i64, scale: f32) -> i64 {
    let x = argument_s16(x, scale, &[-12, -11]);
    let at = x.abs() >> 8;
    let y = if at >= 255 {
        0xFFFF << 8
    } else {
        (sigmoid_table(at) << 8) + (x.abs() & 0xFF) * (sigmoid_table(at + 1) - sigmoid_table(at))
    };
    (if x >= 0 { y - (1 << 23) + (1 << 7) } else { (1 << 23) - y + (1 << 7) - 1 }) >> 8
}

/// `HARD_SWISH` of 8 bits, in 16-bit steps.
#[must_use]
pub fn hard_swish(x: i64, of: [Quant; 2]) -> i64 {
    let [(sx, zx), (sy, zy)] = of;
    let sat = |x: i64| x.clamp(-32_768, 32_767);
    // SaturatingRoundingDoublingHighMul of 16 bits.
    let high = |a: i64, b: i64| {
        let product = a * b;
        (product + if product >= 0 { 1 << 14 } else { 1 - (1 << 14) }) / (1 << 15)
    };
    let narrow = |mantissa: i32| ((i64::from(mantissa) + (1 << 15)) >> 16).min(0x7FFF);
    let fine = sx * (1.0 / 128.0);
    let (m, e) = multiplier(f64::from(fine / sy));
    let (m_relu, e_relu) = multiplier(f64::from(fine / (3.0 / 32_768.0)));
    let value = sat((x - i64::from(zx)) * 128);
    let on_output_scale = high(value, narrow(m));
    let mut relu = value;
    if e_relu > 0 {
        relu = sat(relu << (e_relu - 1).min(20));
    }
    relu = high(relu, narrow(m_relu));
    if e_relu > 0 {
        relu = sat(relu << 1);
    }
    if e_relu < 0 {
        relu = i64::from(shift_right(relu as i32, -e_relu as u32));
    }
    let relu = (relu + (1 << 15)) >> 1;
    let product = relu * on_output_scale / (1 << 15);
    clamp(i64::from(shift_right(product as i32, -e as u32)) + i64::from(zy), ends(8))
}

/// `GetInvSqrtQuantizedMultiplierExp`: mantissa, and shift to the left.
#[must_use]
pub fn inverse_sqrt(x: i64) -> (i32, i32) {
    if x <= 1 {
        return (i32::MAX, 0);
    }
    let (mut x, mut shift) = (x, 11);
    while x >= 1 << 29 {
        x /= 4;
        shift += 1;
    }
    while x < 1 << 27 {
        x *= 4;
        shift -= 1;
    }
    let saturated = |x: i64| x.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    let half = shift_right((x / 2) as i32, 1);
    let mut y = 1 << 28;
    for _ in 0..5 {
        let cube = saturated(i64::from(high_mul(high_mul(y, y), y)) * 64);
        y = saturated(i64::from(high_mul(3 << 27, y) - high_mul(half, cube)) * 8);
    }
    let mantissa = high_mul(y, 1_518_500_250);
    if shift < 0 { (mantissa << -shift, 0) } else { (mantissa, -shift) }
}

/// `RSQRT`; `None` for a negative number.
#[must_use]
pub fn rsqrt(x: i64, of: [Quant; 2], bits: u32) -> Option<i64> {
    let [(sx, zx), (sy, zy)] = of;
    let x = x - i64::from(zx);
    if x < 0 {
        return None;
    }
    if x == 0 {
        return Some(ends(bits).1);
    }
    let (m, e) = multiplier(1.0 / f64::from(sx.sqrt() * sy));
    let (m_root, e_root) = inverse_sqrt(x);
    let root = scaled(1, (m_root, e_root + 20));
    Some(clamp(scaled(root, (m, e - 20)) + i64::from(zy), ends(bits)))
}

/// A table of f32 for 8 bits: `round(f(s1 (x - z1)) (1 / s)) + z`.
#[must_use]
pub fn of_f32(x: i64, of: [Quant; 2], function: impl Fn(f32) -> f32) -> i64 {
    let [(sx, zx), (sy, zy)] = of;
    let real = sx * (x - i64::from(zx)) as f32;
    let (min, max) = ends(8);
    ((function(real) * (1.0 / sy)).round() as i64).saturating_add(zy.into()).clamp(min, max)
}

/// Table entries of f32 for 16 bits, 512 intervals and the end.
#[must_use]
pub fn table_s16(sx: f32, sy: f32, function: impl Fn(f32) -> f32) -> Vec<i16> {
    let (least, most) = (sx * -32_768.0, sx * 32_767.0);
    let step = (most - least) / 512.0;
    let to_output = 65_536.0 / (sy * 32_767.0 - sy * -32_768.0);
    let mut table = Vec::new();
    for i in 0..512 {
        let at = |i: f32| least + i * step;
        let sample = (function(at(i as f32)) * to_output).round();
        let next = function(at((i + 1) as f32)) * to_output;
        let middle = (function(at(i as f32) + step / 2.0) * to_output).round();
        let bias = ((((next + sample) / 2.0).round() - middle) / 2.0).round();
        table.push((sample - bias).clamp(-32_768.0, 32_767.0) as i16);
    }
    table.push((function(most) * to_output).round().clamp(-32_768.0, 32_767.0) as i16);
    table
}

/// `LUTLookup`.
#[must_use]
pub fn look_up_s16(x: i16, table: &[i16]) -> i16 {
    let at = (256 + (i32::from(x) >> 7)) as usize;
    let slope = table[at + 1].wrapping_sub(table[at]);
    (i32::from(table[at]) + ((i32::from(slope) * (i32::from(x) & 0x7F) + 64) >> 7)) as i16
}

/// The result's shape and, for each of its elements, where the two operands have theirs: numpy's rule.
#[must_use]
pub fn broadcast(first: &[usize], second: &[usize]) -> (Vec<usize>, Vec<(usize, usize)>) {
    let axes = first.len().max(second.len());
    let extended = |shape: &[usize]| [vec![1; axes - shape.len()], shape.to_vec()].concat();
    let (a, b) = (extended(first), extended(second));
    let shape: Vec<usize> = a.iter().zip(&b).map(|(&a, &b)| a.max(b)).collect();
    let place = |at: &[usize], of: &[usize]| at.iter().zip(of).fold(0, |place, (&at, &of)| place * of + at % of);
    let places = (0..shape.iter().product()).map(|flat: usize| {
        let at = unravel(flat, &shape);
        (place(&at, &a), place(&at, &b))
    });
    let places = places.collect();
    (shape, places)
}

/// For each element of a tensor of this shape, which result it goes to when `axes` are reduced, and how many results there are.
#[must_use]
pub fn reduction(shape: &[usize], axes: &[usize]) -> (Vec<usize>, usize) {
    let kept: Vec<usize> = (0..shape.len()).filter(|k| !axes.contains(k)).collect();
    let to = |flat: usize| {
        let at = unravel(flat, shape);
        kept.iter().fold(0, |place, &k| place * shape[k] + at[k])
    };
    ((0..shape.iter().product()).map(to).collect(), kept.iter().map(|&k| shape[k]).product())
}

fn unravel(flat: usize, shape: &[usize]) -> Vec<usize> {
    let (mut flat, mut at) = (flat, vec![0; shape.len()]);
    for (at, &extent) in at.iter_mut().zip(shape).rev() {
        *at = flat % extent;
        flat /= extent;
    }
    at
}

/// `MEAN` or `SUM` of codes that make one result.
#[must_use]
pub fn mean(x: &[i64], of: [Quant; 2], bits: u32, is_sum: bool) -> i64 {
    let [(sx, zx), (sy, zy)] = of;
    let n = x.len() as i64;
    let (mut mantissa, mut shift) = multiplier(f64::from(sx) / f64::from(sy));
    if !is_sum {
        let by = (63 - n.leading_zeros() as i32).min(32).min(31 + shift);
        mantissa = ((i64::from(mantissa) << by) / n) as i32;
        shift -= by;
    }
    let sum = x.iter().sum::<i64>() - n * i64::from(zx);
    clamp(scaled(sum, (mantissa, shift)) + i64::from(zy), ends(bits))
}

/// `L2_NORMALIZATION` of a row.
#[must_use]
pub fn l2_norm(x: &[i64], zero_point: i64) -> Vec<i64> {
    let (mantissa, shift) = inverse_sqrt(x.iter().map(|x| (x - zero_point).pow(2)).sum());
    x.iter().map(|x| clamp(scaled(x - zero_point, (mantissa, shift + 7)), ends(8))).collect()
}
