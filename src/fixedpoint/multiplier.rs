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
    /// The one of 0.
    pub const ZERO: Self = Self { mantissa: 0, shift: 0 };

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
            return Some(Self::ZERO);
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
            return Some(Self::ZERO);
        }
        if shift > 30 {
            return Some(Self { mantissa: i32::MAX, shift: 30 });
        }
        Some(Self { mantissa: mantissa as i32, shift })
    }
    /// As [`Multiplier::from_real`], and [`Multiplier::ZERO`] for 0.
    #[must_use]
    pub const fn from_non_negative(real: f64) -> Option<Self> {
        if real == 0.0 { Some(Self::ZERO) } else { Self::from_real(real) }
    }

    /// `input * weight / output`, as TFLite Micro takes it: the product in f64, where it is exact. `None` unless the result is
    /// usable; a weight's scale of 0 gives 0.
    ///
    /// ```
    /// use scrimp::fixedpoint::Multiplier;
    /// assert_eq!(Multiplier::of_scales(0.5, 0.25, 0.25), Multiplier::from_real(0.5));
    /// ```
    #[must_use]
    pub const fn of_scales(input: f32, weight: f32, output: f32) -> Option<Self> {
        Self::from_non_negative(input as f64 * weight as f64 / output as f64)
    }

    /// `input * weight / output`, as LiteRT up to 1.2 takes it for fully connected layers with one scale and for products of
    /// activations: **the product is rounded to f32**, the division is f64. That decides the last bits of the mantissa.
    ///
    /// ```
    /// use scrimp::fixedpoint::Multiplier;
    /// let (rounded, exact) = (Multiplier::of_scales_f32(0.1, 0.3, 0.7), Multiplier::of_scales(0.1, 0.3, 0.7));
    /// assert_ne!(rounded, exact);
    /// ```
    #[must_use]
    pub const fn of_scales_f32(input: f32, weight: f32, output: f32) -> Option<Self> {
        Self::from_non_negative((input * weight) as f64 / output as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::Multiplier;

    #[test]
    fn products_of_scales_have_tflites_precision() {
        // 0.1f32 * 0.3f32 has 48 bits; the quotients differ in the last bits of the mantissa.
        let (f64_product, f32_product) = (0.1f32 as f64 * 0.3f32 as f64, (0.1f32 * 0.3f32) as f64);
        let output = 0.7f32 as f64;
        assert_eq!(Multiplier::of_scales(0.1, 0.3, 0.7), Multiplier::from_real(f64_product / output));
        assert_eq!(Multiplier::of_scales_f32(0.1, 0.3, 0.7), Multiplier::from_real(f32_product / output));
        assert_ne!(Multiplier::of_scales(0.1, 0.3, 0.7), Multiplier::of_scales_f32(0.1, 0.3, 0.7));
    }

    #[test]
    fn zero_is_a_multiplier_and_what_is_no_number_is_none() {
        assert_eq!(Multiplier::from_non_negative(0.0), Some(Multiplier::ZERO));
        assert_eq!(Multiplier::from_real(0.0), None);
        assert_eq!(Multiplier::of_scales(0.1, 0.0, 0.7), Some(Multiplier::ZERO));
        assert_eq!(Multiplier::of_scales(0.1, 0.3, 0.0), None);
        assert_eq!(Multiplier::of_scales(0.0, 0.3, 0.0), None);
        assert_eq!(Multiplier::of_scales_f32(f32::NAN, 0.3, 1.0), None);
        // Below 2^-32 nothing is left; 2^-32 itself counts.
        assert_eq!(Multiplier::from_non_negative(2f64.powi(-33)), Some(Multiplier::ZERO));
        assert_eq!(Multiplier::from_non_negative(2f64.powi(-32)), Some(Multiplier { mantissa: 1 << 30, shift: -31 }));
    }
}
