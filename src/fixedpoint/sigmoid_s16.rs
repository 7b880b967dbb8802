//! The logistic function and tanh of 16-bit codes, by TFLite's one table of both and linear interpolation.
//!
//! The table holds `1 / (1 + e^-x)` at `x = i/24` for 256 values of `i`; tanh reads it by `tanh x = 2 logistic(2x) - 1`, and
//! both are mirrored for negative arguments. The function is concave there, so that interpolation stays below it: entries are
//! raised by half of what that makes (a sixteenth of the second difference), and the last one is the largest code.

use crate::error::{Error, Rule};

/// Intervals of the table, and one.
const ENTRIES: usize = 256;

pub(crate) static SIGMOID: [u16; ENTRIES] = table();

/// `logistic` and `tanh` of 16-bit codes in a given unit; results are in units of 2^-15.
///
/// # Accuracy
/// TFLite's bytes (`LOGISTIC`, `TANH` of int16, and the gates of its LSTM). Within 1.5 units of the functions; from `|x|` of 10.6 on
/// the logistic function is 1 or 32,767, and from half of that on tanh -32,767 or 32,767.
///
/// # Cost
/// 512 bytes of table in flash, two reads and two multiplications an element.
///
/// # Example
/// ```
/// use scrimp::fixedpoint::SigmoidS16;
/// let of = SigmoidS16::Q3_12;
/// assert_eq!(of.logistic(0), 1 << 14);
/// assert_eq!(of.logistic(4096), 23_956); // 0.73106
/// assert_eq!(of.tanh(-4096), -24_956); // -0.76159
/// assert_eq!(SigmoidS16::new(1.0 / 4096.0)?.tanh(100), of.tanh(100));
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct SigmoidS16 {
    /// `code * multiplier / 2^shift` is the argument in units of 1/(3 * 4096).
    multiplier: i32,
    shift: u32,
}

impl SigmoidS16 {
    /// Codes in units of 2^-12, as the gates of an LSTM have them.
    pub const Q3_12: Self = Self { multiplier: 3, shift: 0 };

    /// Codes in units of `scale`, as TFLite takes its multiplier from it: 15 bits of it, truncated.
    ///
    /// # Errors
    /// `Error::Config` unless `scale` is positive and below 16/3, where products no longer fit 32 bits.
    pub const fn new(scale: f32) -> Result<Self, Error> {
        if !(scale > 0.0 && scale < 16.0 / 3.0) {
            return Err(Error::Config { what: Rule::Scale });
        }
        let mut multiplier = scale as f64 * 4096.0 * 3.0;
        let mut shift = 0;
        while multiplier <= 32_767.0 / 2.0 && shift <= 30 {
            shift += 1;
            multiplier *= 2.0;
        }
        Ok(Self { multiplier: multiplier as i32, shift })
    }

    /// Codes in units of `2^log2`, the way of an LSTM's cell state: exact to the left, truncated to the right.
    ///
    /// # Errors
    /// `Error::Config` unless `log2` is -43 to 2.
    pub const fn from_power(log2: i32) -> Result<Self, Error> {
        match log2 {
            -12..=2 => Ok(Self { multiplier: 3 << (log2 + 12), shift: 0 }),
            -43..=-13 => Ok(Self { multiplier: 3, shift: (-12 - log2) as u32 }),
            _ => Err(Error::Config { what: Rule::Scale }),
        }
    }

    /// `1 / (1 + e^-x)` of a code.
    #[inline]
    #[must_use]
    pub const fn logistic(self, code: i16) -> i16 {
        let x = self.argument(code);
        let size = x.unsigned_abs();
        let sum = match interval((size >> 9) as usize) {
            Some((low, high)) => (low << 9) + (size & 0x1FF) * (high - low),
            None => 0x7FFF << 10,
        };
        let rounded = if x >= 0 { sum + (1 << 9) } else { (1 << 25) - sum + (1 << 9) - 1 };
        (rounded >> 10) as i16
    }

    /// `tanh x` of a code.
    #[inline]
    #[must_use]
    pub const fn tanh(self, code: i16) -> i16 {
        let x = self.argument(code);
        let size = x.unsigned_abs();
        let sum = match interval((size >> 8) as usize) {
            Some((low, high)) => (low << 8) + (size & 0xFF) * (high - low),
            None => 0xFFFF << 8,
        } as i32;
        let rounded = if x >= 0 { sum - (1 << 23) + (1 << 7) } else { (1 << 23) - sum + (1 << 7) - 1 };
        (rounded >> 8) as i16
    }

    /// The argument in units of 1/(3 * 4096).
    #[inline(always)]
    const fn argument(self, code: i16) -> i32 {
        let half = 1i32.wrapping_shl(self.shift) >> 1;
        let half = if self.shift == 31 { 1 << 30 } else { half };
        (code as i32).wrapping_mul(self.multiplier).wrapping_add(half).wrapping_shr(self.shift)
    }
}

/// Both ends of an interval; `None` beyond the last one.
#[inline(always)]
const fn interval(at: usize) -> Option<(u32, u32)> {
    if at + 1 < ENTRIES { Some((SIGMOID[at] as u32, SIGMOID[at + 1] as u32)) } else { None }
}

const fn table() -> [u16; ENTRIES] {
    // From i = -1 to 256, in units of 2^-16.
    let mut values = [0.0f64; ENTRIES + 2];
    // e^(-1/24), by its series.
    let (mut step, mut k) = (1.0, 16);
    while k > 0 {
        step = 1.0 - step / 24.0 / k as f64;
        k -= 1;
    }
    let mut e = 1.0 / step;
    let mut i = 0;
    while i < values.len() {
        values[i] = 65_536.0 / (1.0 + e);
        e *= step;
        i += 1;
    }
    let mut entries = [u16::MAX; ENTRIES];
    let mut i = 0;
    while i + 1 < ENTRIES {
        let second_difference = values[i] - 2.0 * values[i + 1] + values[i + 2];
        entries[i] = (values[i + 1] - second_difference / 16.0 + 0.5) as u16;
        i += 1;
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::{SIGMOID, SigmoidS16};

    #[test]
    fn the_table_is_the_one_of_libm() {
        let sigmoid = |i: f64| 65_536.0 / (1.0 + libm::exp(-i / 24.0));
        for (i, &entry) in SIGMOID.iter().enumerate().take(255) {
            let at = i as f64;
            let second = sigmoid(at + 1.0) - 2.0 * sigmoid(at) + sigmoid(at - 1.0);
            assert_eq!(i64::from(entry), libm::round(sigmoid(at) - second / 16.0) as i64, "{i}");
        }
        // Some that plain rounding does not give.
        assert_eq!(
            [4, 28, 29, 65, 103, 255].map(|i: usize| SIGMOID[i]),
            [35_493, 49_975, 50_464, 61_441, 64_652, 65_535]
        );
    }

    #[test]
    fn all_65536_codes() {
        let (mut of_logistic, mut of_tanh) = (0.0f64, 0.0f64);
        for code in i16::MIN..=i16::MAX {
            let x = f64::from(code) / 4096.0;
            let logistic = 32_768.0 / (1.0 + libm::exp(-x));
            of_logistic = of_logistic.max((f64::from(SigmoidS16::Q3_12.logistic(code)) - logistic).abs());
            let tanh = 32_768.0 * libm::tanh(x);
            of_tanh = of_tanh.max((f64::from(SigmoidS16::Q3_12.tanh(code)) - tanh).abs());
        }
        assert!(of_logistic < 1.1 && of_tanh < 1.5, "{of_logistic} {of_tanh}");
        let of = SigmoidS16::Q3_12;
        assert_eq!((of.tanh(i16::MIN), of.tanh(i16::MAX)), (-32_767, 32_767));
        let of = SigmoidS16::from_power(-11).unwrap();
        assert_eq!((of.logistic(i16::MIN), of.logistic(i16::MAX)), (1, 32_767));
    }

    #[test]
    fn units_at_the_limits_and_beyond() {
        // A power of two is exact either way.
        for log2 in -12..=2i16 {
            let scale = libm::exp2f(f32::from(log2));
            let log2 = log2.into();
            let (of_scale, of_power) = (SigmoidS16::new(scale).unwrap(), SigmoidS16::from_power(log2).unwrap());
            for code in (i16::MIN..=i16::MAX).step_by(7) {
                assert_eq!(of_scale.logistic(code), of_power.logistic(code), "{log2} {code}");
                assert_eq!(of_scale.tanh(code), of_power.tanh(code), "{log2} {code}");
            }
        }
        for scale in [0.0, -1.0, 5.333_333_5, f32::INFINITY, f32::NAN] {
            assert!(SigmoidS16::new(scale).is_err(), "{scale}");
        }
        assert!(SigmoidS16::from_power(3).is_err() && SigmoidS16::from_power(-44).is_err());
        for of in [SigmoidS16::new(5.333_333), SigmoidS16::new(f32::MIN_POSITIVE), SigmoidS16::from_power(-43)] {
            let of = of.unwrap();
            for code in [i16::MIN, -1, 0, 1, i16::MAX] {
                assert!((0..=i16::MAX).contains(&of.logistic(code)));
                let _ = of.tanh(code);
            }
        }
        assert_eq!(SigmoidS16::from_power(-43).unwrap().logistic(i16::MAX), 1 << 14);
    }
}
