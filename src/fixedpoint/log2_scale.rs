//! From a difference of logits to a power of two: `e^(-s d) = 2^-t` with `t = d s log2 e`.

use core::f64::consts::LOG2_E;

use super::exp2_long;

/// Fractional bits of `t`.
const BITS: u32 = 26;
/// Half a unit of `k`, so that the integer part becomes the nearest integer.
const HALF: i64 = 1 << (BITS - 1);

/// The factor `s log2 e`, as a 32-bit mantissa and a shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Log2Scale {
    /// `t = d * mantissa >> shift`, in units of 2^-26.
    mantissa: u32,
    shift: u32,
    /// The factor in units of 2^-38 where it fits 31 bits: enough for a row of i16, whose `t` is then below 512.
    short: Option<i32>,
}

impl Log2Scale {
    /// For logits in units of `unit`. `None` unless `unit` is positive and finite.
    pub(crate) const fn new(unit: f64) -> Option<Self> {
        if !(unit > 0.0 && unit < f64::INFINITY) {
            return None;
        }
        let factor = unit * LOG2_E;
        // A step of one then already makes e^-44, which is 0 beside e^0 = 1 in every format.
        if factor >= 63.0 {
            return Some(Self { mantissa: u32::MAX, shift: 0, short: None });
        }
        // All differences together are below 2^-28.
        if factor < 1.0 / (1u64 << 60) as f64 {
            return Some(Self { mantissa: 0, shift: 0, short: Some(0) });
        }
        // `factor = 1.f * 2^e`, to 32 bits.
        let bits = factor.to_bits();
        let e = (bits >> 52) as i32 - 1023;
        let fraction = (bits & ((1 << 52) - 1)) | (1 << 52);
        let mut mantissa = (fraction + (1 << 20)) >> 21;
        let mut e = e;
        if mantissa > u32::MAX as u64 {
            mantissa >>= 1;
            e += 1;
        }
        // -60 <= e <= 5, so 0 <= shift <= 65; beyond 63 nothing would be left of a product.
        let shift = (5 - e) as u32;
        if shift > 63 {
            return Some(Self { mantissa: 0, shift: 0, short: Some(0) });
        }
        Some(Self { mantissa: mantissa as u32, shift, short: short(mantissa, shift) })
    }

    /// Whether both are of one unit, as far as results show.
    pub(crate) const fn is(self, other: Self) -> bool {
        self.mantissa == other.mantissa && self.shift == other.shift
    }

    /// The factor in units of 2^-38, if that is below 2^31 - 2^22.
    #[inline(always)]
    pub(crate) const fn short(self) -> Option<i32> {
        self.short
    }

    /// `e^-d` in units of 2^-46; at most 2^46.
    #[inline(always)]
    pub(crate) fn exp_of_difference(self, d: u32) -> u64 {
        const LARGEST: u64 = 63 << BITS;
        let t = (u64::from(d) * u64::from(self.mantissa)) >> (self.shift & 63);
        let t = (if t > LARGEST { LARGEST } else { t }) as u32 + HALF as u32;
        let (k, p) = (t >> BITS, exp2_long(fraction(t)));
        ((p as u64) << 16) >> (k & 63)
    }

    /// `e^x = m * 2^n`, with `m` about 1 in units of 2^-30.
    #[inline(always)]
    pub(crate) fn exp_pair(self, x: i32) -> (u32, i64) {
        // `e^x = 2^-(-t)`: the fraction is the negative one's.
        let t = ((i64::from(x) * -i64::from(self.mantissa)) >> (self.shift & 63)).wrapping_add(HALF);
        (exp2_long(fraction(t as u32)) as u32, -(t >> BITS))
    }
}

/// What `t + HALF` has below the nearest integer of `t`, signed, in units of 2^-32.
#[inline(always)]
const fn fraction(t: u32) -> i32 {
    ((t << (32 - BITS)) ^ (1 << 31)) as i32
}

const fn short(mantissa: u64, shift: u32) -> Option<i32> {
    if shift < 13 {
        return None;
    }
    let down = shift - 12;
    let value = (mantissa + (1 << (down - 1))) >> down;
    if value < (1 << 31) - (1 << 22) { Some(value as i32) } else { None }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "53 bits are enough")]
mod tests {
    use super::Log2Scale;

    #[test]
    fn all_16_bit_differences() {
        let one = (1u64 << 46) as f64;
        for unit in [1.0, 0.1, 1.0 / 256.0, 1.0 / 32_768.0, 0.000_391, 3e-9, 100.0] {
            let scale = Log2Scale::new(unit).unwrap();
            for d in (0..1 << 16).chain((0..u32::MAX).step_by(1_000_003)) {
                let exact = libm::exp(-unit * f64::from(d));
                let got = scale.exp_of_difference(d) as f64 / one;
                assert!((got - exact).abs() <= 1.5e-8 * exact + 2.0 / one, "exp(-{unit} * {d}) = {got}, not {exact}");
            }
            // Larger units are taken as one that is large enough.
            for x in (i32::MIN..=i32::MAX).step_by(1_000_003).chain(-100..100).filter(|_| unit < 44.0) {
                let (m, n) = scale.exp_pair(x);
                let t = libm::log2(f64::from(m) / (1u64 << 30) as f64) + n as f64;
                let exact = unit * f64::from(x) * core::f64::consts::LOG2_E;
                assert!((t - exact).abs() <= 2e-8 + exact.abs() * 3e-10, "log2 exp({unit} * {x}) = {t}, not {exact}");
            }
        }
    }

    #[test]
    fn extreme_units() {
        for unit in [f64::MIN_POSITIVE, 1e-300, 1e-18, 1e-17, 1e-16, 43.6, 44.0, 1e300] {
            let scale = Log2Scale::new(unit).unwrap();
            for d in [0, 1, 2, u32::MAX] {
                let exact = libm::exp(-unit * f64::from(d));
                let got = scale.exp_of_difference(d) as f64 / (1u64 << 46) as f64;
                assert!((got - exact).abs() <= 2e-8, "exp(-{unit} * {d}) = {got}, not {exact}");
            }
        }
        for unit in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Log2Scale::new(unit).is_none());
        }
    }
}
