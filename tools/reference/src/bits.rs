//! Weights at a narrower width (arXiv 2502.01199) and TFLite's integer layers, in exact or f64 arithmetic.

/// The paper's second rounding, `clip(round(q / 2^(8 - width)))`, halves upwards.
#[must_use]
pub fn double_round(q: i8, width: u32) -> i8 {
    let half = f64::from(1u32 << (width - 1));
    let scaled = f64::from(q) / f64::from(1u32 << (8 - width));
    (scaled + 0.5).floor().clamp(-half, half - 1.0) as i8
}

/// The same as the authors' code has it: halves to even.
#[must_use]
pub fn double_round_even(q: i8, width: u32) -> i8 {
    let half = f64::from(1u32 << (width - 1));
    (f64::from(q) / f64::from(1u32 << (8 - width))).round_ties_even().clamp(-half, half - 1.0) as i8
}

/// The weight on the scale of the 8-bit code: what a width's kernel must be equal to when run at 8 bits.
#[must_use]
pub fn masked(q: i8, width: u32) -> i8 {
    (i32::from(double_round(q, width)) << (8 - width)) as i8
}

/// What is common to a layer's outputs, in TFLite's terms.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// Added to every input.
    pub input_offset: i32,
    /// Added to every weight.
    pub filter_offset: i32,
    /// Added to every output.
    pub output_offset: i32,
    /// The least output.
    pub min: i32,
    /// The largest output.
    pub max: i32,
    /// Whether requantization rounds once.
    pub single: bool,
}

/// `x * mantissa / 2^31 * 2^shift` with gemmlowp's two roundings, or with one; with two, the left shift is one of 32 bits.
#[must_use]
pub fn requantize(x: i64, mantissa: i32, shift: i32, single: bool) -> i64 {
    if single {
        // floor(v + 1/2) of a number with 62 fractional bits at most.
        let product = i128::from(x) * i128::from(mantissa);
        let total = 31 - shift;
        return ((product + (1i128 << (total - 1))) >> total).clamp(i32::MIN.into(), i32::MAX.into()) as i64;
    }
    let shifted = (i128::from(x) << shift.max(0)) as i32;
    let high = crate::softmax_s8::high_mul(shifted, mantissa);
    i64::from(crate::softmax_s8::shift_right(high, (-shift).max(0) as u32))
}

/// One row through a fully connected layer, `w[output][input]`, one bias, mantissa and shift an output.
#[must_use]
pub fn linear_s8(x: &[i8], w: &[i8], bias: &[i32], mantissa: &[i32], shift: &[i32], layer: Layer) -> Vec<i8> {
    let row = |o: usize| &w[o * x.len()..(o + 1) * x.len()];
    let of = |o: usize| {
        let products = x.iter().zip(row(o)).map(|(&x, &w)| {
            (i64::from(x) + i64::from(layer.input_offset)) * (i64::from(w) + i64::from(layer.filter_offset))
        });
        let sum = products.sum::<i64>() + i64::from(bias[o]);
        let y = requantize(sum, mantissa[o], shift[o], layer.single) + i64::from(layer.output_offset);
        y.clamp(layer.min.into(), layer.max.into()) as i8
    };
    (0..bias.len()).map(of).collect()
}

/// One row of 16-bit activations: the mantissa rounded to 16 bits, one rounding of the product.
#[must_use]
pub fn linear_s16(x: &[i16], w: &[i8], bias: &[i64], mantissa: &[i32], shift: &[i32]) -> Vec<i16> {
    let of = |o: usize| {
        let row = &w[o * x.len()..(o + 1) * x.len()];
        let sum: i64 = x.iter().zip(row).map(|(&x, &w)| i64::from(x) * i64::from(w)).sum::<i64>() + bias[o];
        requantize_s64(sum, mantissa[o], shift[o])
    };
    (0..bias.len()).map(of).collect()
}

/// TFLite's requantization of 64-bit sums: the result is cut off to 32 bits, then clamped.
#[must_use]
pub fn requantize_s64(sum: i64, mantissa: i32, shift: i32) -> i16 {
    let reduced = ((i128::from(mantissa) + (1 << 15)) >> 16).min(0x7FFF);
    let total = 15 - shift;
    let y = ((i128::from(sum) * reduced + (1i128 << (total - 1))) >> total) as i32;
    y.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}
