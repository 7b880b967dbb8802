//! Arguments that the compiler knows nothing about; with feature `sweep`, extreme ones among them.
//!
//! A probe writes `any(4)` for a number and `values!([1; 8])` for a slice of numbers. On its own that is a `black_box`. In a sweep
//! one number in eight is another one, from 0 and the ends of its type to what makes a product wrap, contents of slices are any
//! numbers, and one slice in eight is too short. Everything follows from the seed.

#[cfg(not(feature = "sweep"))]
use core::hint::black_box;

/// One iteration of a sweep.
#[cfg(feature = "sweep")]
pub(crate) use sweep::start;

/// Something that a sweep has other values for.
#[cfg(not(feature = "sweep"))]
pub(crate) trait Vary {}

#[cfg(not(feature = "sweep"))]
impl<T> Vary for T {}

/// A value that may be another.
#[cfg(not(feature = "sweep"))]
pub(crate) fn any<T>(given: T) -> T {
    black_box(given)
}

/// Any numbers.
#[cfg(not(feature = "sweep"))]
pub(crate) fn any_of<T>(given: T) -> T {
    given
}

/// A slice of unknown length.
#[cfg(not(feature = "sweep"))]
pub(crate) fn slice<T>(of: &[T]) -> &[T] {
    black_box(of)
}

/// A mutable slice of unknown length.
#[cfg(not(feature = "sweep"))]
pub(crate) fn slice_mut<T>(of: &mut [T]) -> &mut [T] {
    black_box(of)
}

/// A slice of numbers, for an argument; `values!(let x = [1; 8]);` names it.
#[cfg(not(feature = "sweep"))]
macro_rules! values {
    (let $name:ident = $array:expr) => {
        let $name = $crate::any::slice(&$array);
    };
    ($array:expr) => {
        $crate::any::slice(&$array)
    };
}

/// A slice of numbers, for an argument; `values!(let x = [1; 8]);` names it.
#[cfg(feature = "sweep")]
macro_rules! values {
    (let $name:ident = $array:expr) => {
        let $name = $crate::any::any_of($array);
        let $name = $crate::any::slice(&$name);
    };
    ($array:expr) => {
        $crate::any::slice(&$crate::any::any_of($array))
    };
}
pub(crate) use values;

#[cfg(feature = "sweep")]
pub(crate) use sweep::{Vary, any, any_of, slice, slice_mut};

#[cfg(feature = "sweep")]
mod sweep {
    use core::hint::black_box;
    use core::sync::atomic::{AtomicU32, Ordering};

    use fixed::types::{I8F8, I16F16, U0F8, U0F16};
    use scrimp::bits::{Cost, Format, Layout, Step, Width};
    use scrimp::error::Arg;
    use scrimp::fixedpoint::{Multiplier, Rounding};
    use scrimp::lmdvit::MaskLayer;
    use scrimp::nn::{Activation, CodeForm, QuantS8};
    use scrimp::quant::{GeluForm, Shift, Symbols, Ties, ValueRange};
    use scrimp::softmax::MaskedRow;

    /// Where the row of numbers is that decides; one thread only.
    static STATE: AtomicU32 = AtomicU32::new(1);

    /// Begins an iteration.
    pub(crate) fn start(seed: u32) {
        STATE.store(seed.wrapping_mul(0x9E37_79B9) | 1, Ordering::Relaxed);
    }

    fn noise() -> u32 {
        let mut x = STATE.load(Ordering::Relaxed);
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        STATE.store(x, Ordering::Relaxed);
        x.wrapping_mul(0x9E37_79B9) >> 7
    }

    fn below(n: usize) -> usize {
        noise() as usize % n.max(1)
    }

    /// Something that a sweep has other values for.
    pub(crate) trait Vary: Copy {
        /// Another one.
        fn other(self) -> Self;

        /// A field or an element: every second one is another.
        fn part(self) -> Self {
            if noise().is_multiple_of(2) { self.other() } else { self }
        }
    }

    macro_rules! integers {
        ($($type:ty)*) => {$(
            impl Vary for $type {
                fn other(self) -> Self {
                    let bit = (1 as Self).wrapping_shl(noise());
                    let some = (u64::from(noise()) << 32 | u64::from(noise()) << 8) as Self;
                    // The last but two: times a small factor, it wraps.
                    let choice = [
                        0, 1, 2, Self::MAX, Self::MIN, Self::MAX - 1, Self::MIN + 1, Self::MAX / 2, Self::MAX / 2 + 1, bit,
                        bit.wrapping_sub(1), bit.wrapping_neg(), self.wrapping_add(1), self.wrapping_sub(1),
                        Self::MAX / (2 + below(15) as Self) + 1, some, some >> (Self::BITS / 2),
                    ];
                    choice[below(choice.len())]
                }
            }
        )*};
    }

    integers!(i8 u8 i16 u16 i32 u32 i64 u64 usize);

    macro_rules! floats {
        ($($type:ty, $bits:ty;)*) => {$(
            impl Vary for $type {
                fn other(self) -> Self {
                    let power = Self::from_bits((noise() as $bits).wrapping_shl(Self::MANTISSA_DIGITS - 1));
                    let some = Self::from_bits((noise() as $bits).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as $bits));
                    let choice = [
                        0.0, -0.0, 1.0, -1.0, Self::MIN_POSITIVE, -Self::MIN_POSITIVE, Self::EPSILON, Self::MAX, Self::MIN,
                        Self::INFINITY, Self::NEG_INFINITY, Self::NAN, Self::from_bits(1), 1.0 / Self::MAX, power, some,
                        self + self, self / 256.0, self * 65_536.0, -self,
                    ];
                    choice[below(choice.len())]
                }
            }
        )*};
    }

    floats! { f32, u32; f64, u64; }

    impl Vary for bool {
        fn other(self) -> Self {
            !self
        }
    }

    macro_rules! choices {
        ($($type:ty: $($value:expr),*;)*) => {$(
            impl Vary for $type {
                fn other(self) -> Self {
                    let choice = [$($value),*];
                    choice[below(choice.len())]
                }
            }
        )*};
    }

    choices! {
        Arg: Arg::X, Arg::Y, Arg::Channels;
        Activation: Activation::None, Activation::Relu, Activation::Relu6, Activation::ReluN1To1;
        CodeForm: CodeForm::Anchored, CodeForm::Normalized;
        Format: Format::S8, Format::S4, Format::Raw8, Format::Nest84;
        GeluForm: GeluForm::Erf, GeluForm::Tanh;
        Layout: Layout::Rows, Layout::Dsp, Layout::Helium, Layout::Wide;
        MaskedRow: MaskedRow::Zeros, MaskedRow::Nan;
        Rounding: Rounding::Double, Rounding::Single;
        Shift: Shift::Paper, Shift::SelfConsistent;
        Symbols: Symbols::Full, Symbols::TopIsZero;
        Ties: Ties::Even, Ties::Up;
        Width: Width::W8, Width::W6, Width::W4, Width::W3, Width::W2;
    }

    macro_rules! structs {
        ($($type:ident { $($field:ident),* })*) => {$(
            impl Vary for $type {
                fn other(self) -> Self {
                    let Self { $($field),* } = self;
                    Self { $($field: $field.part()),* }
                }
            }
        )*};
    }

    structs! {
        Cost { cycles, bytes, energy }
        MaskLayer { kernel, stride, dilation, outputs }
        Multiplier { mantissa, shift }
        QuantS8 { input_offset, filter_offset, output_offset, min, max, rounding }
        Step { layer, from, to, saved }
        ValueRange { zero_point, low, high }
    }

    macro_rules! fixed {
        ($($type:ty)*) => {$(
            impl Vary for $type {
                fn other(self) -> Self {
                    Self::from_bits(self.to_bits().other())
                }
            }
        )*};
    }

    fixed!(I8F8 I16F16 U0F8 U0F16);

    impl<T: Vary, const N: usize> Vary for [T; N] {
        fn other(self) -> Self {
            self.map(Vary::part)
        }
    }

    macro_rules! tuples {
        ($($($name:ident)*;)*) => {$(
            impl<$($name: Vary),*> Vary for ($($name,)*) {
                #[expect(non_snake_case, reason = "names of types")]
                fn other(self) -> Self {
                    let ($($name,)*) = self;
                    ($($name.part(),)*)
                }
            }
        )*};
    }

    tuples! { A B; A B C; A B C D; }

    /// A value that may be another.
    pub(crate) fn any<T: Vary>(given: T) -> T {
        black_box(if noise().is_multiple_of(8) { given.other() } else { given })
    }

    /// Any numbers.
    pub(crate) fn any_of<T: Vary, const N: usize>(given: [T; N]) -> [T; N] {
        black_box(given.other())
    }

    /// A slice that may be too short.
    pub(crate) fn slice<T>(of: &[T]) -> &[T] {
        let len = if noise().is_multiple_of(8) { below(of.len() + 1) } else { of.len() };
        &of[..len]
    }

    /// A slice of any numbers that may be too short.
    pub(crate) fn slice_mut<T: Vary>(of: &mut [T]) -> &mut [T] {
        of.iter_mut().for_each(|v| *v = v.part());
        let len = if noise().is_multiple_of(8) { below(of.len() + 1) } else { of.len() };
        &mut of[..len]
    }
}
