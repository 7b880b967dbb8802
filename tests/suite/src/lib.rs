//! The conformance suite: one list of cases, run on every backend of the host and on every board.
//!
//! A case is a function generic over [`Dispatch`], listed once in `walk`; the front-ends are `tests/conformance.rs`
//! (host) and `examples/conformance.rs` (host and boards).
#![no_std]

mod adalog;
mod bits;
mod buffer;
mod conv;
mod depthwise;
mod digest;
mod elementwise;
mod failure;
mod lmdvit;
mod moves;
mod nn;
mod part;
mod recurrent;
mod softmax;
mod softmax_q;
mod softmax_s8;
mod softmax_wide;
mod stablemax;

use scrimp::backend::{Auto, Dispatch};

pub use digest::Value;
pub use failure::Failure;

use digest::Digest;

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
    check: Option<&'a Run<'a>>,
}

/// What runs a case.
type Run<'a> = dyn Fn(Seen<'_>) -> Result<(), Failure> + 'a;

/// Who sees the numbers of a checksum.
type Seen<'a> = Option<&'a mut dyn FnMut(&Value)>;

impl Case<'_> {
    /// Whether this machine has the backend.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.check.is_some()
    }

    /// Runs the check; `None` if this machine lacks the backend.
    #[must_use]
    pub fn run(&self) -> Option<Result<(), Failure>> {
        self.check.map(|check| check(None))
    }

    /// Runs the check and shows the numbers of which it knows only a checksum, to compare two machines element by element.
    pub fn values(&self, seen: &mut dyn FnMut(&Value)) {
        // What is found wrong is told by `run`.
        let _ = self.check.map(|check| check(Some(seen)));
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

/// What a case does.
#[derive(Clone, Copy)]
enum Check<D> {
    /// Tries rows of f32 at all places of a vector itself.
    Once(fn(D) -> Result<(), Failure>),
    /// Is run with bytes, and halfwords by twice as much, that start 0, 1, 2 and 3 behind a multiple of 16.
    At(fn(D, usize) -> Result<(), Failure>),
}

impl<D: Dispatch> Check<D> {
    fn run(self, token: D) -> Result<(), Failure> {
        match self {
            Self::Once(check) => check(token),
            Self::At(check) => (0..4).try_for_each(|at| check(token, at).map_err(|failure| failure.at(at))),
        }
    }
}

/// The list of cases, in the parts of [`part`].
fn walk<D: Dispatch>(backend: &'static str, token: Option<D>, visit: &mut dyn FnMut(&Case<'_>)) {
    // Those that know a checksum of their results.
    let mut summed = |name, ram, check: fn(D, usize, &mut Digest<'_>) -> Result<(), Failure>| {
        let with_token = token.map(|token| {
            move |mut seen: Seen<'_>| {
                // The bytes are the same at every place: one of them is shown.
                let mut at_place = |at| check(token, at, &mut Digest::new(seen.take()));
                (0..4).try_for_each(|at| at_place(at).map_err(|failure| failure.at(at)))
            }
        });
        let check = with_token.as_ref().map(|run| run as &dyn Fn(Seen<'_>) -> _);
        visit(&Case { name, backend, ram, check });
    };
    if part::FIXED {
        summed("softmax_s16", 9 * KIB, softmax_q::s16);
        summed("softmax_q", 9 * KIB, softmax_q::q);
        summed("two_pass_q", 9 * KIB, softmax_q::two_pass);
        summed("stablemax_q", 9 * KIB, softmax_q::stable);
    }
    if part::QUANT {
        summed("adalog_codes", 7 * KIB, adalog::codes);
        summed("adalog_gelu", 7 * KIB, adalog::gelu);
        summed("attend_adalog", 15 * KIB, adalog::attention);
    }
    let mut case = |name, ram, check: Check<D>| {
        let with_token = token.map(|token| move |_: Seen<'_>| check.run(token));
        let check = with_token.as_ref().map(|run| run as &dyn Fn(Seen<'_>) -> _);
        visit(&Case { name, backend, ram, check });
    };
    use Check::{At, Once};
    if part::SOFTMAX {
        case("softmax_f32", 7 * KIB, Once(softmax::f32));
        case("softmax_f32_wide", 13 * KIB, Once(softmax_wide::f32));
        case("softmax_f32_special", 6 * KIB, Once(softmax::f32_special));
        case("softmax_f32_masked", 6 * KIB, Once(softmax::f32_masked));
        case("three_pass_f32", 5 * KIB, Once(softmax::three_pass_f32));
        case("two_pass_f32", 5 * KIB, Once(softmax::two_pass_f32));
        case("log_softmax_f32", 5 * KIB, Once(softmax::log_f32));
        case("online_softmax", 5 * KIB, Once(softmax::online_f32));
        case("exp_and_sum", 5 * KIB, Once(softmax_wide::exp));
        case("stablemax_f32", 5 * KIB, Once(stablemax::f32));
        case("stablemax_cross_entropy", 4 * KIB, Once(stablemax::training));
    }
    if part::FIXED {
        case("softmax_s8", 9 * KIB, At(softmax_s8::softmax));
        case("softmax_s8_s16", 9 * KIB, At(softmax_s8::softmax_s16));
        case("log_softmax_s8", 9 * KIB, At(softmax_s8::log_softmax));
        case("stablemax_s8", 9 * KIB, At(softmax_s8::stablemax));
    }
    if part::QUANT {
        case("adalog_codes_rows", 7 * KIB, At(adalog::rows_of_codes));
        case("adalog_product", 14 * KIB, At(adalog::product));
        case("attend_adalog_whole", 25 * KIB, At(adalog::whole_heads));
    }
    if part::BITS {
        case("linear_s8", 10 * KIB, At(bits::linear));
        case("linear_s8_wide", 80 * KIB, At(bits::linear_wide));
        case("conv_2d_s8", 14 * KIB, At(conv::conv_2d));
        case("linear_s16", 8 * KIB, At(bits::linear_s16));
        case("batch_matmul_s8", 10 * KIB, At(bits::batch_matmul));
        case("depthwise_conv2d_s8", 12 * KIB, At(depthwise::convolutions));
        case("pool_2d_s8", 12 * KIB, At(depthwise::pools));
    }
    if part::MOVES {
        case("move", 8 * KIB, Once(moves::moves));
        case("resize", 8 * KIB, Once(moves::resize));
        case("svdf", 7 * KIB, Once(recurrent::svdf));
        case("lstm_s8", 9 * KIB, Once(recurrent::lstm));
    }
    if part::ELEMENTWISE {
        case("add_s8", 7 * KIB, Once(elementwise::add));
        case("mul_s8", 7 * KIB, Once(elementwise::mul));
        case("min_max_s8", 7 * KIB, Once(elementwise::min_max));
        case("table_s8", 7 * KIB, Once(elementwise::tables));
        case("rescale", 7 * KIB, Once(elementwise::conversions));
        case("mean_s8", 7 * KIB, Once(elementwise::reductions));
    }
    if part::NN {
        case("linear", 11 * KIB, Once(nn::linear));
        case("layer_norm", 5 * KIB, Once(nn::layer_norm));
        case("gelu_f32_in_place", 5 * KIB, Once(nn::gelu));
        case("lmdvit", 26 * KIB, Once(lmdvit::mini));
    }
}
