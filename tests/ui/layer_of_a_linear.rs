// error[E0599]: no method named `layer`
fn look(linear: &scrimp::nn::LinearS8<'_>) {
    let _ = linear.layer();
}

fn main() {
    let _ = look;
}
