//! What the codes of a tensor stand for.

/// The scale and the zero point of a tensor: a code `q` stands for the number `scale * (q - zero_point)`, as in TFLite.
///
/// Whether they are usable is checked by the constructor that takes them.
///
/// ```
/// use scrimp::Quantization;
/// const OUTPUT: Quantization = Quantization::new(0.25, -3);
/// assert_eq!(OUTPUT.dequantize(5), 2.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Quantization {
    /// The step from one code to the next: positive and finite.
    pub scale: f32,
    /// The code of 0.
    pub zero_point: i32,
}

impl Quantization {
    /// With this scale and zero point.
    #[must_use]
    pub const fn new(scale: f32, zero_point: i32) -> Self {
        Self { scale, zero_point }
    }

    /// The number that a code stands for: the product in f64, rounded once, as TFLite's `DEQUANTIZE` does it.
    #[must_use]
    pub const fn dequantize(self, code: i32) -> f32 {
        (self.scale as f64 * (code as i64 - self.zero_point as i64) as f64) as f32
    }

    /// The code of 8 bits nearest to a number, `round(x / scale) + zero_point`, halves away from zero and clamped; the quotient
    /// in f32, as TFLite's `QUANTIZE` has it. NaN is taken for 0.
    ///
    /// ```
    /// use scrimp::Quantization;
    /// const INPUT: Quantization = Quantization::new(0.25, -3);
    /// assert_eq!([-0.125, 0.124, 2.0, 99.0].map(|x| INPUT.quantize_s8(x)), [-4, -3, 5, 127]);
    /// ```
    #[must_use]
    pub const fn quantize_s8(self, x: f32) -> i8 {
        let steps = (x / self.scale) as f64;
        let half = if steps < 0.0 { -0.5 } else { 0.5 };
        // The conversion cuts off and saturates.
        let code = ((steps + half) as i64).saturating_add(self.zero_point as i64);
        // Not `clamp`, which is no `const fn`.
        if code > i8::MAX as i64 {
            i8::MAX
        } else if code < i8::MIN as i64 {
            i8::MIN
        } else {
            code as i8
        }
    }

    /// Whether the scale is a positive, finite number.
    #[must_use]
    pub const fn has_usable_scale(self) -> bool {
        self.scale > 0.0 && self.scale < f32::INFINITY
    }

    /// Whether it is usable for codes of 8 bits: also the zero point is -128 to 127.
    #[must_use]
    pub const fn fits_s8(self) -> bool {
        self.has_usable_scale() && self.zero_point >= i8::MIN as i32 && self.zero_point <= i8::MAX as i32
    }

    /// Whether it is usable for codes of 16 bits: also the zero point is 0, the only one that TFLite has there.
    #[must_use]
    pub const fn fits_s16(self) -> bool {
        self.has_usable_scale() && self.zero_point == 0
    }
}
