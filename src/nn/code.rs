//! The integer types that activations are stored in.

use crate::backend::InOut;
use crate::error::{Error, Rule};
use crate::fixedpoint::Quantization;

pub(crate) mod sealed {
    use crate::backend::InOut;

    /// What a kernel needs to know of a type of codes.
    pub trait Code: Copy {
        /// The least code.
        const MIN: i32;
        /// The largest code.
        const MAX: i32;
        /// The least and the largest zero point that TFLite has there.
        const ZERO_POINTS: (i32, i32);

        /// The code as a number.
        fn widen(self) -> i32;

        /// The nearest code.
        fn saturate(code: i32) -> Self;

        /// A row and a second one as bytes, where codes are `i8`.
        #[allow(private_interfaces, reason = "nobody outside can name the trait")]
        fn bytes<'a, 'b>(row: InOut<'a, Self>, other: &'b [Self])
        -> Result<(InOut<'a, i8>, &'b [i8]), InOut<'a, Self>>;
    }
}

/// A type of codes: `i8`, `i16`; at the edges of a network also `u8` and `i32`.
pub trait Code: sealed::Code {}

/// A type of codes that layers work on: `i8` or `i16`.
///
/// What a layer does is compiled here, once for each of them, and not where it is called.
pub trait Activated:
    Code
    + super::add::sealed::Entry
    + super::mul::sealed::EntryMul
    + super::mul::sealed::EntrySquare
    + super::min_max::sealed::Entry
    + super::prelu::sealed::Entry
    + super::reduce::sealed::EntryMean
    + super::reduce::sealed::EntryReduce
    + super::rsqrt::sealed::Entry
    + super::arg_max::sealed::Entry
{
}

macro_rules! code {
    ($type:ty, $zero_points:expr, $bytes:expr) => {
        impl sealed::Code for $type {
            const MIN: i32 = <$type>::MIN as i32;
            const MAX: i32 = <$type>::MAX as i32;
            const ZERO_POINTS: (i32, i32) = $zero_points;

            #[inline(always)]
            fn widen(self) -> i32 {
                i32::from(self)
            }

            #[inline(always)]
            #[allow(clippy::cast_lossless, reason = "also for i32 itself")]
            fn saturate(code: i32) -> Self {
                code.clamp(Self::MIN as i32, Self::MAX as i32) as Self
            }

            #[allow(private_interfaces, reason = "nobody outside can name the trait")]
            #[inline(always)]
            fn bytes<'a, 'b>(
                row: InOut<'a, Self>,
                other: &'b [Self],
            ) -> Result<(InOut<'a, i8>, &'b [i8]), InOut<'a, Self>> {
                $bytes(row, other)
            }
        }

        impl Code for $type {}
    };
}

code!(i8, (-128, 127), |row, other| Ok((row, other)));
code!(u8, (0, 255), |row, _| Err(row));
code!(i16, (0, 0), |row, _| Err(row));
code!(i32, (i32::MIN, i32::MAX), |row, _| Err(row));

/// Implements a sealed trait of entry points for both types that layers work on.
macro_rules! for_activated {
    ($entry:ident) => {
        $entry!(i8);
        $entry!(i16);
    };
}
pub(super) use for_activated;

impl Activated for i8 {}
impl Activated for i16 {}

/// `Ok` if codes of type `T` that a layer works on can be quantized so.
pub(super) const fn check<T: Code>(of: Quantization) -> Result<(), Error> {
    check_within(of, T::ZERO_POINTS)
}

/// The same for codes that are only converted, whose zero point may be any code.
pub(super) const fn check_any<T: Code>(of: Quantization) -> Result<(), Error> {
    check_within(of, (T::MIN, T::MAX))
}

const fn check_within(of: Quantization, (least, most): (i32, i32)) -> Result<(), Error> {
    if !of.has_usable_scale() {
        return Err(Error::Config { what: Rule::Scale });
    }
    if of.zero_point < least || of.zero_point > most {
        return Err(Error::Config { what: Rule::ZeroPoint });
    }
    Ok(())
}
