//! `scrimp::math`, under each backend.

use core::hint::black_box;

use scrimp::backend::{Backend, Dispatch, Kernel};
use scrimp::math::{Ext, exp, exp_of_difference, ext_exp, gelu, sigmoid};

use crate::any::any;
use crate::on_each_backend;

pub(crate) fn calls() {
    on_each_backend!(functions);
}

fn functions<D: Dispatch>(backend: D) {
    black_box(Dispatch::dispatch(backend, Functions(any(-0.5))));
}

struct Functions(f32);

impl Kernel for Functions {
    type Output = ([f32; 4], Ext, bool);

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) -> Self::Output {
        let (m, n) = ext_exp(b, self.0);
        let sum = Ext::plus(Ext { m: f64::from(m), n }, black_box(Ext::ZERO));
        let functions = [exp(b, self.0), sigmoid(b, self.0), gelu(b, self.0), exp_of_difference(b, self.0, self.0)];
        (functions, sum, Ext::is_exact::<B>(sum))
    }
}
