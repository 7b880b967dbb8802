//! Instruction sets: a token each, and the choice between them.
//!
//! A [`Backend`] is a zero-sized token that exists only where its instruction set may be used: having one is the proof.
//! A [`Kernel`] is a piece of work with one generic [`Kernel::eval`]; every token recompiles that one body under its own
//! instruction set ([`Dispatch::dispatch`]), so a backend is useful before it overrides anything. [`Auto`] takes the best
//! one: on x86 with feature `std` at run time, elsewhere at compile time, where it costs nothing.
//!
//! ```
//! use scrimp::backend::{Dispatch, Kernel, Backend, Scalar, Auto};
//! struct Name;
//! impl Kernel for Name {
//!     type Output = &'static str;
//!     fn eval<B: Backend>(self, _: B) -> &'static str { B::NAME }
//! }
//! assert_eq!(Scalar.dispatch(Name), "scalar");
//! println!("this machine runs {}", Auto.dispatch(Name));
//! ```
//!
//! A token cannot be forged:
//!
//! ```compile_fail
//! let token = scrimp::backend::Avx2(());
//! ```
//!
//! Nor can a primitive be called or replaced from outside (`tests/closed.rs` has more of these):
//!
//! ```compile_fail
//! struct Max<'a>(&'a [i8]);
//! impl scrimp::backend::Kernel for Max<'_> {
//!     type Output = i8;
//!     fn eval<B: scrimp::backend::Backend>(self, b: B) -> i8 { b.max_s8(self.0) }
//! }
//! ```
//!
//! `--cfg scrimp_backend="scalar"` (or `dsp`, `helium`, `neon`, `avx2`, `avx512`) in `RUSTFLAGS` forces the choice; a
//! value whose features the build lacks does not compile.

pub(crate) mod arena;
mod code_rows;
mod depth_rows;
mod dot_rows;
mod exp_rows;
mod f32_rows;
mod in_out;
mod mat_rows;
mod pair_rows;
mod pool_rows;
mod q_rows;
mod s8_rows;
mod scalar;
mod stable_rows;
#[cfg(scrimp_has = "x86")]
mod stable_vector;
mod step_rows;
#[cfg(all(target_arch = "arm", scrimp_has = "thumb2"))]
mod tiles;
#[cfg(any(scrimp_has = "x86", scrimp_has = "neon"))]
mod vector;
#[cfg(scrimp_has = "x86")]
mod wide;
pub(crate) use code_rows::{
    CodeRows, CodeStep, KEY_CHANNELS, KEY_GROUP, LEAST_MAX, NibbleRows, PLAIN, Requantize, VALUE_CHANNELS, VALUE_KEYS,
    keys_words, values_words,
};
pub(crate) use depth_rows::{Axis, DepthRows, DepthS8};
pub(crate) use dot_rows::{
    BiasS16, Codes, Data, DotRows, Folded, LayerS8, LayerS16, Lines, OutputsS8, OutputsS16, Rows, masked, row_term,
};
pub use dot_rows::{Format, Layout};
pub(crate) use f32_rows::F32Rows;
pub(crate) use in_out::InOut;
pub(crate) use mat_rows::{MatRows, MatS8, scratch as mat_scratch};
pub(crate) use pair_rows::{Other, Outputs as PairOutputs, PairRows, ProductS8, SquareS8, SumS8, Term};
pub(crate) use pool_rows::{CHANNELS as POOL_CHANNELS, PoolRows, Taps};
pub(crate) use q_rows::QRows;
pub(crate) use s8_rows::{HALF_Q19, Quotient, S8Row, S8Rows, S8Values, Weights};
pub use scalar::Scalar;
pub(crate) use stable_rows::StableRows;
pub(crate) use step_rows::{Filters, StepRows};

#[cfg(scrimp_has = "x86")]
mod avx2;
#[cfg(scrimp_has = "x86")]
pub use avx2::Avx2;

#[cfg(scrimp_has = "x86")]
mod avx512;
#[cfg(scrimp_has = "x86")]
pub use avx512::{Avx512, Avx512Vnni};

#[cfg(scrimp_has = "neon")]
mod neon;
#[cfg(scrimp_has = "neon")]
pub use neon::{Neon, NeonDotprod, NeonI8mm};

#[cfg(all(target_arch = "arm", scrimp_has = "helium"))]
mod helium;
#[cfg(all(target_arch = "arm", scrimp_has = "helium"))]
pub use helium::Helium;

#[cfg(all(target_arch = "arm", scrimp_has = "dsp"))]
mod dsp;
#[cfg(all(target_arch = "arm", scrimp_has = "dsp"))]
pub use dsp::Dsp;

use crate::math::{Arith, ArithOps};

/// Whether the device that this build is for has a loop for a depthwise convolution.
#[cfg(all(target_arch = "arm", scrimp_picked = "dsp", scrimp_has = "dsp"))]
pub(crate) use dsp::has_depth_loop;
#[cfg(all(target_arch = "arm", scrimp_picked = "helium", scrimp_has = "helium"))]
pub(crate) use helium::has_depth_loop;
#[cfg(not(all(
    target_arch = "arm",
    any(all(scrimp_picked = "dsp", scrimp_has = "dsp"), all(scrimp_picked = "helium", scrimp_has = "helium"))
)))]
pub(crate) const fn has_depth_loop(_: &DepthS8<'_>) -> bool {
    false
}

/// What runs a layer of integers on the device that this build is for ([`LayerS8`]).
#[cfg(all(target_arch = "arm", scrimp_picked = "dsp", scrimp_has = "dsp"))]
use dsp::choose_s8;
#[cfg(all(target_arch = "arm", scrimp_picked = "helium", scrimp_has = "helium"))]
use helium::choose_s8;
#[cfg(all(target_arch = "arm", scrimp_picked = "scalar", scrimp_has = "thumb2"))]
use scalar::choose_s8;
/// What runs a layer of integers where nothing is faster than plain Rust, or the machine is asked when the program runs.
#[cfg(not(all(
    target_arch = "arm",
    any(
        all(scrimp_picked = "dsp", scrimp_has = "dsp"),
        all(scrimp_picked = "helium", scrimp_has = "helium"),
        all(scrimp_picked = "scalar", scrimp_has = "thumb2"),
    )
)))]
const fn choose_s8(codes: &Codes<'_>, _: &OutputsS8<'_>) -> dot_rows::RunS8 {
    dot_rows::choose_portable_s8(codes)
}

/// A proof that an instruction set may be used.
///
/// The tokens of this module are all there are, and what they speed up is called by this crate's kernels only: its assembly
/// trusts what it is told about lengths.
// The primitives stand in one trait a kernel family, with the same file in every backend's folder. Their default methods are
// the portable bodies; a backend overrides one where a measurement in `backend/<name>.md` shows a gain. They are all
// `#[inline(always)]`, so that they are compiled under the caller's instruction set. Traits that only this crate can name
// seal both `Backend` and the methods it takes over from them: whoever is outside cannot call those either.
#[allow(private_bounds, reason = "the seal")]
pub trait Backend:
    Dispatch
    + Arith
    + F32Rows
    + S8Rows
    + QRows
    + StableRows
    + CodeRows
    + DotRows
    + DepthRows
    + PairRows
    + PoolRows
    + MatRows
    + StepRows
{
    /// The name that `scrimp_backend` knows it by.
    const NAME: &'static str;
}

/// Partial sums of the portable reductions: enough for two AVX2 registers or four of Helium and NEON.
pub(crate) const LANES: usize = 16;

/// Adds the lanes as a tree, the same one for every backend.
#[inline(always)]
pub(crate) fn fold(lanes: [f32; LANES]) -> f32 {
    let mut sums = lanes;
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0]
}

/// The larger of two, `b` if `a` is NaN; unlike `f32::max` it is one instruction.
#[inline(always)]
pub(crate) fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// Work that every backend compiles for itself. `eval` and all it calls are `#[inline(always)]`.
pub trait Kernel {
    /// What `eval` gives back.
    type Output;

    /// Does the work.
    fn eval<B: Backend>(self, backend: B) -> Self::Output;
}

/// Something that can run a [`Kernel`]: a token, or [`Auto`].
pub trait Dispatch: Copy {
    /// Runs the kernel under this instruction set.
    fn dispatch<K: Kernel>(self, kernel: K) -> K::Output;
}

/// The best backend of this build, or with feature `std` on x86 of this machine.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Auto;

impl Dispatch for Auto {
    #[inline]
    fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        #[cfg(all(scrimp_has = "x86", any(scrimp_picked = "runtime", scrimp_picked = "avx512")))]
        if let Some(token) = Avx512::new() {
            return token.dispatch(kernel);
        }
        #[cfg(all(
            scrimp_has = "x86",
            any(scrimp_picked = "runtime", scrimp_picked = "avx512", scrimp_picked = "avx2")
        ))]
        if let Some(token) = Avx2::new() {
            return token.dispatch(kernel);
        }
        #[cfg(all(scrimp_has = "neon", scrimp_picked = "neon"))]
        return Neon::token().dispatch(kernel);
        #[cfg(all(target_arch = "arm", scrimp_picked = "helium", scrimp_has = "helium"))]
        return Helium::token().dispatch(kernel);
        #[cfg(all(target_arch = "arm", scrimp_picked = "dsp", scrimp_has = "dsp"))]
        return Dsp::token().dispatch(kernel);
        #[allow(unreachable_code, reason = "the portable path is always the last line")]
        Scalar.dispatch(kernel)
    }
}

/// The backend that [`Auto`] is in this build; `"runtime"` where the CPU is asked when the program runs.
pub const NAME: &str = if cfg!(scrimp_picked = "helium") {
    "helium"
} else if cfg!(scrimp_picked = "dsp") {
    "dsp"
} else if cfg!(scrimp_picked = "neon") {
    "neon"
} else if cfg!(scrimp_picked = "avx512") {
    "avx512"
} else if cfg!(scrimp_picked = "avx2") {
    "avx2"
} else if cfg!(scrimp_picked = "runtime") {
    "runtime"
} else {
    "scalar"
};

/// The backend that [`Auto`] takes on this machine.
#[must_use]
pub fn name() -> &'static str {
    struct Name;
    impl Kernel for Name {
        type Output = &'static str;
        #[inline(always)]
        fn eval<B: Backend>(self, _: B) -> &'static str {
            B::NAME
        }
    }
    Auto.dispatch(Name)
}

/// Expands `$m!(name, token)` once for each backend of this target; `token` is an `Option`.
///
/// The list that tests and benches share:
///
/// ```
/// macro_rules! print { ($name:ident, $token:expr) => { println!("{}: {}", stringify!($name), $token.is_some()) } }
/// scrimp::for_each_backend!(print);
/// ```
#[macro_export]
macro_rules! for_each_backend {
    ($m:ident) => {
        $m!(scalar, ::core::option::Option::Some($crate::backend::Scalar));
        $crate::__for_each_native_backend!($m);
    };
}

#[doc(hidden)]
#[macro_export]
#[cfg(scrimp_has = "x86")]
macro_rules! __for_each_native_backend {
    ($m:ident) => {
        $m!(avx2, $crate::backend::Avx2::new());
        $m!(avx512, $crate::backend::Avx512::new());
    };
}

#[doc(hidden)]
#[macro_export]
#[cfg(scrimp_has = "neon")]
macro_rules! __for_each_native_backend {
    ($m:ident) => {
        $m!(neon, $crate::backend::Neon::new());
    };
}

#[doc(hidden)]
#[macro_export]
#[cfg(all(target_arch = "arm", scrimp_has = "helium"))]
macro_rules! __for_each_native_backend {
    ($m:ident) => {
        $m!(helium, $crate::backend::Helium::new());
    };
}

#[doc(hidden)]
#[macro_export]
#[cfg(all(target_arch = "arm", scrimp_has = "dsp", not(scrimp_has = "helium")))]
macro_rules! __for_each_native_backend {
    ($m:ident) => {
        $m!(dsp, $crate::backend::Dsp::new());
    };
}

#[doc(hidden)]
#[macro_export]
#[cfg(not(any(
    scrimp_has = "x86",
    scrimp_has = "neon",
    all(target_arch = "arm", any(scrimp_has = "helium", scrimp_has = "dsp"))
)))]
macro_rules! __for_each_native_backend {
    ($m:ident) => {};
}

// A forced backend whose features are missing must not fall back in silence.
#[cfg(all(
    scrimp_backend = "avx2",
    not(all(target_arch = "x86_64", target_feature = "avx2", target_feature = "fma", target_feature = "bmi2"))
))]
compile_error!(
    "scrimp_backend=\"avx2\" needs x86_64 with target features avx2, fma and bmi2: add -Ctarget-feature=+avx2,+fma,+bmi2"
);
#[cfg(all(
    scrimp_backend = "avx512",
    not(all(
        target_arch = "x86_64",
        target_feature = "avx2",
        target_feature = "fma",
        target_feature = "bmi2",
        target_feature = "avx512f",
        target_feature = "avx512bw",
        target_feature = "avx512dq",
        target_feature = "avx512vl"
    ))
))]
compile_error!(
    "scrimp_backend=\"avx512\" needs x86_64 with target features bmi2, avx512f, avx512bw, avx512dq and avx512vl: add -Ctarget-feature=+bmi2,+avx512f,+avx512bw,+avx512dq,+avx512vl"
);
#[cfg(all(scrimp_backend = "neon", not(scrimp_has = "neon")))]
compile_error!("scrimp_backend=\"neon\" needs target_arch aarch64 with target feature neon");
#[cfg(all(scrimp_backend = "helium", not(all(target_arch = "arm", scrimp_has = "helium"))))]
compile_error!(
    "scrimp_backend=\"helium\" needs a thumbv8m.main target with MVE: add -Ctarget-cpu=cortex-m33 -Ctarget-feature=+mve.fp,+lob"
);
#[cfg(all(scrimp_backend = "dsp", not(all(target_arch = "arm", scrimp_has = "dsp"))))]
compile_error!(
    "scrimp_backend=\"dsp\" needs an Arm M-profile target with the DSP extension: thumbv7em, or -Ctarget-cpu=cortex-m33"
);
