// error[E0603]: trait `S8Rows` is private
#[derive(Clone, Copy)]
struct Liar;

impl scrimp::backend::S8Rows for Liar {
    fn max_s8(self, _: &[i8]) -> i8 {
        -128
    }
}

fn main() {}
