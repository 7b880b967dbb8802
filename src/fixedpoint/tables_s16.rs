//! The two tables of TFLite's 16-bit softmax: `e^x` on [-10, 0] and `1/(1 + x)` on [0, 1], 512 intervals each, with linear
//! interpolation.
//!
//! An entry is the function's value less half of the interpolation's error in the middle of the interval, all of it
//! rounded (`LUTPopulate` of TFLite). TFLite Micro computes in f32, and CMSIS-NN has the same numbers as constants; so does
//! this. LiteRT (2.3.0) computes in f64, where two of the reciprocals come out different by one.

/// Intervals of a table.
const STEPS: usize = 512;
/// The value 1.
const UNIT: f32 = 32_768.0;

/// `e^x`: base and slope in one word, so that an interpolation reads memory once.
///
/// The lower 22 bits are `128 base + 64`, the upper 10 the slope: the value at offset `o` of 128 is bits 7 to 21 of
/// `word + slope * o`.
pub(crate) static EXP: [u32; STEPS] = packed_exp();

static RECIPROCAL: [i16; STEPS + 1] = table(&reciprocals());

/// `e^x`, both in units of 2^-15, for `x = (index - 65535) * 10 / 65535`.
#[inline(always)]
#[must_use]
pub(crate) fn exp_s16(index: u16) -> u16 {
    let word = EXP.get(usize::from(index >> 7)).copied().unwrap_or(0);
    let sum = word.wrapping_add((word >> 22) * u32::from(index & 127));
    (sum >> 7 & 0x7FFF) as u16
}

/// `1 / (1 + x)` in units of 2^-15 for `x = index / 65535`.
#[inline(always)]
#[must_use]
pub(crate) fn reciprocal_s16(index: u16) -> i16 {
    let at = usize::from(index >> 7);
    let base = RECIPROCAL.get(at).copied().unwrap_or(0);
    let next = RECIPROCAL.get(at + 1).copied().unwrap_or(0);
    let slope = i32::from(next) - i32::from(base);
    (i32::from(base) + ((slope * i32::from(index & 127) + 64) >> 7)) as i16
}

const fn packed_exp() -> [u32; STEPS] {
    let entries = table(&exponentials());
    let mut words = [0; STEPS];
    let mut i = 0;
    while i < STEPS {
        // The function rises: no slope is negative, and none reaches 1024.
        let slope = (entries[i + 1] - entries[i]) as u32;
        words[i] = slope << 22 | (entries[i] as u32 * 128 + 64);
        i += 1;
    }
    words
}

/// Entries from the values of a function at the ends and the middles of the intervals, alternating.
const fn table(values: &[f32; 2 * STEPS + 1]) -> [i16; STEPS + 1] {
    let mut entries = [0; STEPS + 1];
    let mut i = 0;
    while i < STEPS {
        let sample = round(values[2 * i] * UNIT);
        let interpolated = round((values[2 * i + 2] * UNIT + sample) / 2.0);
        let middle = round(values[2 * i + 1] * UNIT);
        entries[i] = saturate(sample - round((interpolated - middle) / 2.0));
        i += 1;
    }
    entries[STEPS] = saturate(round(values[2 * STEPS] * UNIT));
    entries
}

/// `1 / (1 + i/1024)`.
const fn reciprocals() -> [f32; 2 * STEPS + 1] {
    let mut values = [0.0; 2 * STEPS + 1];
    let mut i = 0;
    while i <= 2 * STEPS {
        values[i] = 1.0 / (1.0 + i as f32 / (2 * STEPS) as f32);
        i += 1;
    }
    values
}

/// `e^(10 (i - 1024) / 1024)`: every 64th from a Taylor series, so that no error adds up, the others by multiplication.
const fn exponentials() -> [f32; 2 * STEPS + 1] {
    let step = exp_small(10.0 / (2 * STEPS) as f64);
    let back = exp_small(-0.625);
    let mut values = [0.0; 2 * STEPS + 1];
    let mut end = 1.0f64;
    let mut block = 2 * STEPS / 64;
    values[2 * STEPS] = 1.0;
    while block > 0 {
        block -= 1;
        end *= back;
        let mut value = end;
        let mut i = 0;
        while i < 64 {
            values[64 * block + i] = value as f32;
            value *= step;
            i += 1;
        }
    }
    values
}

/// `e^x` for `|x| < 1`, by its series.
const fn exp_small(x: f64) -> f64 {
    let mut sum = 1.0;
    let mut k = 24;
    while k > 0 {
        sum = 1.0 + sum * x / k as f64;
        k -= 1;
    }
    sum
}

/// To nearest, ties away from zero; below 2^23 in size.
const fn round(x: f32) -> f32 {
    let half = if x < 0.0 { -0.5 } else { 0.5 };
    // f64 holds the sum exactly.
    (x as f64 + half) as i32 as f32
}

const fn saturate(x: f32) -> i16 {
    if x > 32_767.0 { i16::MAX } else { x as i16 }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
mod tests {
    use super::{STEPS, exp_s16, exponentials, reciprocal_s16, table};

    #[test]
    fn the_table_is_the_one_of_libm() {
        let values: [f32; 2 * STEPS + 1] =
            core::array::from_fn(|i| libm::exp(10.0 * (i as f64 - 1024.0) / 1024.0) as f32);
        for (i, (ours, theirs)) in exponentials().iter().zip(&values).enumerate() {
            assert!((f64::from(*ours) / f64::from(*theirs) - 1.0).abs() < 1.3e-7, "{i}");
        }
        assert_eq!(table(&exponentials()), table(&values));
    }

    #[test]
    fn all_65536_exponentials_and_reciprocals() {
        for index in 0..=u16::MAX {
            let x = (f64::from(index) - 65_535.0) * 10.0 / 65_535.0;
            let error = f64::from(exp_s16(index)) - 32_768.0 * libm::exp(x);
            assert!(error.abs() < 6.5, "exp({x}) is off by {error} units");
            let error = f64::from(reciprocal_s16(index)) - 32_768.0 / (1.0 + f64::from(index) / 65_535.0);
            assert!(error.abs() < 2.1, "1/(1 + {index}/65535) is off by {error} units");
        }
        // The last step of the interpolation is never reached.
        assert_eq!((exp_s16(u16::MAX), exp_s16(0)), (32_762, 2));
    }
}
