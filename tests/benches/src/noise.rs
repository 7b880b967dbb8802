//! Inputs that every machine makes the same.

/// A stream of uniform random numbers (xorshift and a multiplication).
#[derive(Clone, Copy, Debug)]
pub struct Noise(u32);

impl Noise {
    /// A stream of its own for each seed.
    #[must_use]
    pub const fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9) | 1)
    }

    /// 32 random bits.
    pub const fn bits(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0.wrapping_mul(0x9E37_79B1)
    }

    /// From -1 to 1.
    pub const fn unit(&mut self) -> f32 {
        (self.bits() >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    }

    /// Every i8.
    pub const fn s8(&mut self) -> i8 {
        (self.bits() >> 24) as i8
    }

    /// Every i16.
    pub const fn s16(&mut self) -> i16 {
        (self.bits() >> 16) as i16
    }
}
