// error[E0624]: method `logits_s8` is private
fn call<B: scrimp::backend::Backend>(b: B) {
    B::logits_s8(b, &[1; 99], &[0; 8], &mut [0; 8], &mut [0; 8]);
}

fn main() {
    call(scrimp::backend::Scalar);
}
