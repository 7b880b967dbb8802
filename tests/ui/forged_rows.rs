// error[E0603]: struct `InOut` is private
// error[E0624]: associated function `apart` is private
fn main() {
    let mut y = [0; 4];
    let _ = scrimp::backend::InOut::apart(&[0i8; 4], &mut y);
}
