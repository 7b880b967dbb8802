// error[E0624]: method `max_s8` is private
use scrimp::backend::{Backend, Dispatch, Kernel, Scalar};

struct Max<'a>(&'a [i8]);

impl Kernel for Max<'_> {
    type Output = i8;
    fn eval<B: Backend>(self, b: B) -> i8 {
        b.max_s8(self.0)
    }
}

fn main() {
    println!("{}", Scalar.dispatch(Max(&[1, 2])));
}
