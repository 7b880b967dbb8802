//! The element types of the fixed-point kernels.

pub(crate) mod sealed {
    /// What a kernel needs to know of an input type.
    pub trait Logit: Copy {
        /// Bits of it.
        const BITS: u32;

        /// The number as stored.
        fn widen(self) -> i32;

        /// The row, if it is one of i16.
        #[inline(always)]
        fn as_s16(_: &[Self]) -> Option<&[i16]> {
            None
        }
    }

    /// What a kernel needs to know of an output type.
    pub trait Probability: Copy {
        /// Fractional bits, all there are.
        const BITS: u32;

        /// Of a number with 32 fractional bits, those that fit.
        fn from_top(bits: u32) -> Self;

        /// The nearest one to `number / 2^BITS`; 1 and more give the largest.
        fn saturate(number: u64) -> Self;

        /// The number as stored.
        fn widen(self) -> u32;

        /// The row, if it is one of u16.
        #[inline(always)]
        fn as_u16(_: &mut [Self]) -> Option<&mut [u16]> {
            None
        }
    }
}

/// A signed integer type for logits with fractional bits: `i8`, `i16`, `i32`.
pub trait Logit: sealed::Logit {}

/// An unsigned integer type for probabilities, all bits fractional: `u8` (`U0F8`), `u16` (`U0F16`), `u32` (`U0F32`).
pub trait Probability: sealed::Probability {}

macro_rules! logit {
    ($type:ty $(, $as_s16:item)?) => {
        impl sealed::Logit for $type {
            const BITS: u32 = <$type>::BITS;

            #[inline(always)]
            fn widen(self) -> i32 {
                i32::from(self)
            }

            $(#[inline(always)] $as_s16)?
        }

        impl Logit for $type {}
    };
}

logit!(i8);
logit!(
    i16,
    fn as_s16(row: &[Self]) -> Option<&[i16]> {
        Some(row)
    }
);
logit!(i32);

macro_rules! probability {
    ($type:ty $(, $as_u16:item)?) => {
        impl sealed::Probability for $type {
            const BITS: u32 = <$type>::BITS;

            #[inline(always)]
            fn from_top(bits: u32) -> Self {
                (bits >> (32 - <$type>::BITS)) as Self
            }

            #[inline(always)]
            fn saturate(number: u64) -> Self {
                if number > u64::from(<$type>::MAX) { <$type>::MAX } else { number as Self }
            }

            #[inline(always)]
            fn widen(self) -> u32 {
                u32::from(self)
            }

            $(#[inline(always)] $as_u16)?
        }

        impl Probability for $type {}
    };
}

probability!(u8);
probability!(
    u16,
    fn as_u16(row: &mut [Self]) -> Option<&mut [u16]> {
        Some(row)
    }
);
probability!(u32);
