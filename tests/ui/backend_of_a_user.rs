// error[E0277]: S8Rows
#[derive(Clone, Copy)]
struct Mine;

impl scrimp::backend::Dispatch for Mine {
    fn dispatch<K: scrimp::backend::Kernel>(self, kernel: K) -> K::Output {
        scrimp::backend::Scalar.dispatch(kernel)
    }
}

impl scrimp::backend::Backend for Mine {
    const NAME: &'static str = "mine";
}

fn main() {}
