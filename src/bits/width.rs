//! How many bits of a weight are read.

/// How many bits of a weight are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Width {
    /// 2 bits: -2 to 1.
    W2 = 2,
    /// 3 bits: -4 to 3.
    W3 = 3,
    /// 4 bits: -8 to 7.
    W4 = 4,
    /// 5 bits: -16 to 15.
    W5 = 5,
    /// 6 bits: -32 to 31.
    W6 = 6,
    /// 7 bits: -64 to 63.
    W7 = 7,
    /// All 8 bits.
    W8 = 8,
}

impl Width {
    /// Every width, the narrowest first.
    pub const ALL: [Self; 7] = [Self::W2, Self::W3, Self::W4, Self::W5, Self::W6, Self::W7, Self::W8];

    /// 2 to 8.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self as u32
    }

    /// Bits that are rounded away: 6 to 0.
    #[inline(always)]
    #[must_use]
    pub const fn dropped(self) -> u32 {
        8 - self as u32
    }

    /// The width of `bits` bits; `None` unless they are 2 to 8.
    ///
    /// ```
    /// use scrimp::bits::Width;
    /// assert_eq!(Width::from_bits(4), Some(Width::W4));
    /// assert_eq!(Width::from_bits(9), None);
    /// ```
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        Some(match bits {
            2 => Self::W2,
            3 => Self::W3,
            4 => Self::W4,
            5 => Self::W5,
            6 => Self::W6,
            7 => Self::W7,
            8 => Self::W8,
            _ => return None,
        })
    }
}
