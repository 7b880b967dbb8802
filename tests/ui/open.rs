//! Compiles: what users do with tokens, and the ground that the other files stand on.
use scrimp::backend::{Auto, Backend, Dispatch, Kernel, Layout, NAME, Scalar, name};

struct Name;

impl Kernel for Name {
    type Output = &'static str;
    fn eval<B: Backend>(self, _: B) -> &'static str {
        B::NAME
    }
}

fn main() {
    println!("{} {} {} {NAME} {:?}", Auto.dispatch(Name), Scalar.dispatch(Name), name(), Layout::BEST);
    println!("{}", scrimp::math::exp(Scalar, -1.0));
}
