//! A positive real number as TFLite's integer kernels take it: a 31-bit fraction and a power of two.

/// `mantissa / 2^31 * 2^shift`, with `mantissa` in `[2^30, 2^31)`, or 0 for a number too small to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Multiplier {
    /// The fraction, in units of 2^-31.
    pub mantissa: i32,
    /// The power of two; positive is a left shift.
    pub shift: i32,
}

impl Multiplier {
    /// The nearest one to `real`, ties away from zero, as TFLite's `QuantizeMultiplier` makes it: below 2^-32 it is zero.
    /// `None` unless `real` is positive and finite, and below 2^31.
    ///
    /// ```
    /// use scrimp::fixedpoint::Multiplier;
    /// assert_eq!(Multiplier::from_real(0.75), Some(Multiplier { mantissa: 3 << 29, shift: 0 }));
    /// assert_eq!(Multiplier::from_real(-1.0), None);
    /// ```
    #[must_use]
    pub const fn from_real(real: f64) -> Option<Self> {
        if !(real > 0.0 && real < (1u64 << 31) as f64) {
            return None;
        }
        if real < f64::MIN_POSITIVE {
            return Some(Self { mantissa: 0, shift: 0 });
        }
        // `real = 1.f * 2^e`; as a fraction in [0.5, 1) the exponent is one more.
        let bits = real.to_bits();
        let mut shift = (bits >> 52) as i32 - 1022;
        let fraction = (bits & ((1 << 52) - 1)) | (1 << 52);
        let mut mantissa = (fraction + (1 << 21)) >> 22;
        if mantissa == 1 << 31 {
            mantissa >>= 1;
            shift += 1;
        }
        if shift < -31 {
            return Some(Self { mantissa: 0, shift: 0 });
        }
        if shift > 30 {
            return Some(Self { mantissa: i32::MAX, shift: 30 });
        }
        Some(Self { mantissa: mantissa as i32, shift })
    }
}
