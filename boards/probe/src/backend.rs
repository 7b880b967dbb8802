//! `scrimp::backend`: the tokens, and a kernel of a user.

use core::hint::black_box;

use scrimp::backend::{self, Backend, Dispatch, Kernel};

use crate::on_each_backend;

pub(crate) fn calls() {
    black_box(backend::name());
    on_each_backend!(a_users_kernel);
    tokens();
}

fn a_users_kernel<D: Dispatch>(backend: D) {
    black_box(Dispatch::dispatch(backend, Name));
}

struct Name;

impl Kernel for Name {
    type Output = &'static str;

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) -> &'static str {
        B::NAME
    }
}

#[cfg(target_arch = "aarch64")]
fn tokens() {
    use scrimp::backend::{Neon, NeonDotprod, NeonI8mm};
    if let Some(neon) = Neon::new() {
        black_box(Neon::dotprod(neon).map(NeonDotprod::neon));
        black_box(Neon::i8mm(neon).map(NeonI8mm::neon));
    }
}

#[cfg(not(target_arch = "aarch64"))]
fn tokens() {}
