//! Activations that are fused into the layer before them: for integers a narrower range of codes.

use crate::fixedpoint::Quantization;

/// What a layer does to its outputs last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `min(max(x, -1), 1)`.
    ReluN1To1,
}

impl Activation {
    /// The least and the largest code of an output of 8 bits that is quantized so.
    ///
    /// `z + round(bound / scale)`, the quotient in f32, half away from zero, as TFLite's `CalculateActivationRangeQuantized`
    /// has it.
    ///
    /// ```
    /// use scrimp::{Quantization, nn::Activation};
    /// assert_eq!(Activation::Relu6.range_s8(Quantization::new(0.1, -10)), (-10, 50));
    /// ```
    #[must_use]
    pub const fn range_s8(self, output: Quantization) -> (i8, i8) {
        let (min, max) = self.range(output, i8::MIN as i32, i8::MAX as i32);
        (min as i8, max as i8)
    }

    /// The least and the largest code of an output of 16 bits that is quantized so.
    #[must_use]
    pub const fn range_s16(self, output: Quantization) -> (i16, i16) {
        let (min, max) = self.range(output, i16::MIN as i32, i16::MAX as i32);
        (min as i16, max as i16)
    }

    /// Within `least..=most`.
    const fn range(self, output: Quantization, least: i32, most: i32) -> (i32, i32) {
        let (min, max) = match self {
            Self::None => (least, most),
            Self::Relu => (code_of(0.0, output), most),
            Self::Relu6 => (code_of(0.0, output), code_of(6.0, output)),
            Self::ReluN1To1 => (code_of(-1.0, output), code_of(1.0, output)),
        };
        (within(min, least, most), within(max, least, most))
    }
}

/// The code of a number, ends of `i32` if it lies beyond them.
const fn code_of(number: f32, output: Quantization) -> i32 {
    // A quotient of f32 and a half are exact in f64; conversions truncate and saturate.
    let quotient = (number / output.scale) as f64;
    let rounded = if quotient < 0.0 { quotient - 0.5 } else { quotient + 0.5 } as i32;
    rounded.saturating_add(output.zero_point)
}

const fn within(code: i32, least: i32, most: i32) -> i32 {
    if code < least {
        least
    } else if code > most {
        most
    } else {
        code
    }
}

#[cfg(test)]
mod tests {
    use super::{Activation, Quantization};

    #[test]
    fn ranges_are_tflites() {
        let at = |scale, zero_point| Quantization::new(scale, zero_point);
        assert_eq!(Activation::None.range_s8(at(1.0, 5)), (-128, 127));
        assert_eq!(Activation::Relu.range_s8(at(1.0, 5)), (5, 127));
        // 6 / 0.8 = 7.5 exactly in f32 goes away from zero.
        assert_eq!(Activation::Relu6.range_s8(at(0.8, 5)), (5, 13));
        assert_eq!(Activation::ReluN1To1.range_s8(at(0.4, 0)), (-3, 3));
        // Beyond the type on either side, and a scale so small that the quotient has no i32.
        assert_eq!(Activation::Relu6.range_s8(at(0.01, -128)), (-128, 127));
        assert_eq!(Activation::Relu6.range_s8(at(1e-30, 0)), (0, 127));
        assert_eq!(Activation::ReluN1To1.range_s8(at(1e-30, 3)), (-128, 127));
        assert_eq!(Activation::ReluN1To1.range_s16(at(0.000_03, 0)), (-32768, 32767));
        assert_eq!(Activation::Relu6.range_s16(at(0.001, 0)), (0, 6000));
    }
}
