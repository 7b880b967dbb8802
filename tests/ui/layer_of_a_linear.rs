// error[E0624]: method `layer` is private
fn look(linear: &scrimp::nn::LinearS8<'_>) {
    let _ = linear.layer();
}

fn main() {
    let _ = look;
}
