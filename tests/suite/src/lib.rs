//! The conformance suite: one list of cases, run on every backend of the host and on every board.
//!
//! A case is a function generic over [`Dispatch`], listed once in `walk`; the front-ends are `tests/conformance.rs`
//! (host) and `examples/conformance.rs` (host and boards).
#![no_std]

mod adalog;
mod bits;
mod buffer;
mod elementwise;
mod failure;
mod lmdvit;
mod nn;
mod part;
mod softmax;
mod softmax_q;
mod softmax_s8;
mod softmax_wide;
mod stablemax;

use scrimp::backend::{Auto, Dispatch};

pub use failure::Failure;

/// One check under one backend.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "a closure has none")]
pub struct Case<'a> {
    /// What is checked: the public function or type, in snake case.
    pub name: &'static str,
    /// The backend it is checked under.
    pub backend: &'static str,
    /// Bytes of RAM that it needs at least, all of it stack; boards check that this is enough.
    pub ram: usize,
    check: Option<&'a dyn Fn() -> Result<(), Failure>>,
}

impl Case<'_> {
    /// Whether this machine has the backend.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.check.is_some()
    }

    /// Runs the check; `None` if this machine lacks the backend.
    #[must_use]
    pub fn run(&self) -> Option<Result<(), Failure>> {
        self.check.map(|check| check())
    }
}

/// Shows every case under every backend of this target, and under the one that plain functions take (`auto`).
///
/// On a board `auto` is one of the listed backends, chosen when the library was compiled; there a second copy of the whole
/// suite would prove nothing new and would not fit the flash of a micro:bit, so `auto` is left out.
pub fn for_each(visit: &mut dyn FnMut(&Case<'_>)) {
    macro_rules! backend {
        ($name:ident, $token:expr) => {
            walk(stringify!($name), $token, visit);
        };
    }
    if !cfg!(target_os = "none") {
        walk("auto", Some(Auto), visit);
    }
    scrimp::for_each_backend!(backend);
}

const KIB: usize = 1024;

/// The list of cases, in the parts of [`part`].
fn walk<D: Dispatch>(backend: &'static str, token: Option<D>, visit: &mut dyn FnMut(&Case<'_>)) {
    let mut case = |name, ram, check: fn(D) -> Result<(), Failure>| {
        let with_token = token.map(|token| move || check(token));
        let check = with_token.as_ref().map(|run| run as &dyn Fn() -> _);
        visit(&Case { name, backend, ram, check });
    };
    if part::SOFTMAX {
        case("softmax_f32", 7 * KIB, softmax::f32);
        case("softmax_f32_wide", 13 * KIB, softmax_wide::f32);
        case("softmax_f32_special", 6 * KIB, softmax::f32_special);
        case("softmax_f32_masked", 6 * KIB, softmax::f32_masked);
        case("three_pass_f32", 5 * KIB, softmax::three_pass_f32);
        case("two_pass_f32", 5 * KIB, softmax::two_pass_f32);
        case("log_softmax_f32", 5 * KIB, softmax::log_f32);
        case("online_softmax", 5 * KIB, softmax::online_f32);
        case("exp_and_sum", 5 * KIB, softmax_wide::exp);
        case("stablemax_f32", 5 * KIB, stablemax::f32);
        case("stablemax_cross_entropy", 4 * KIB, stablemax::training);
    }
    if part::FIXED {
        case("softmax_s8", 6 * KIB, softmax_s8::softmax);
        case("softmax_s8_s16", 6 * KIB, softmax_s8::softmax_s16);
        case("log_softmax_s8", 6 * KIB, softmax_s8::log_softmax);
        case("stablemax_s8", 6 * KIB, softmax_s8::stablemax);
        case("softmax_s16", 5 * KIB, softmax_q::s16);
        case("softmax_q", 5 * KIB, softmax_q::q);
        case("two_pass_q", 5 * KIB, softmax_q::two_pass);
        case("stablemax_q", 5 * KIB, softmax_q::stable);
    }
    if part::QUANT {
        case("adalog_codes", 4 * KIB, adalog::codes);
        case("adalog_codes_rows", 4 * KIB, adalog::rows_of_codes);
        case("adalog_product", 14 * KIB, adalog::product);
        case("attend_adalog", 14 * KIB, adalog::attention);
        case("attend_adalog_whole", 24 * KIB, adalog::whole_heads);
        case("adalog_gelu", 4 * KIB, adalog::gelu);
    }
    if part::BITS {
        case("linear_s8", 7 * KIB, bits::linear);
        case("linear_s8_wide", 80 * KIB, bits::linear_wide);
        case("linear_s16", 6 * KIB, bits::linear_s16);
        case("batch_matmul_s8", 4 * KIB, bits::batch_matmul);
    }
    if part::ELEMENTWISE {
        case("add_s8", 4 * KIB, elementwise::add);
        case("mul_s8", 4 * KIB, elementwise::mul);
        case("min_max_s8", 4 * KIB, elementwise::min_max);
        case("table_s8", 4 * KIB, elementwise::tables);
        case("rescale", 4 * KIB, elementwise::conversions);
        case("mean_s8", 4 * KIB, elementwise::reductions);
    }
    if part::NN {
        case("linear", 8 * KIB, nn::linear);
        case("layer_norm", 5 * KIB, nn::layer_norm);
        case("gelu_f32_in_place", 5 * KIB, nn::gelu);
        case("lmdvit", 26 * KIB, lmdvit::mini);
    }
}
