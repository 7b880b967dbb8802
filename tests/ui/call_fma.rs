// error[E0624]: method `fma` is private
fn call<B: scrimp::backend::Backend>(b: B) -> f32 {
    b.fma(1.0, 2.0, 3.0)
}

fn main() {
    call(scrimp::backend::Scalar);
}
