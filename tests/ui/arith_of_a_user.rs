// error[E0277]: ArithOps
#[derive(Clone, Copy)]
struct Mine;

impl scrimp::math::Arith for Mine {}

fn main() {}
