//! GELU of a slice (Hendrycks and Gimpel 2016, arXiv 1606.08415), exact form.

use crate::backend::{Auto, Backend, Dispatch, Kernel};
use crate::math::gelu;

/// `x = x * Phi(x)` for each element, `Phi` the normal distribution function.
///
/// # Accuracy
/// At most 2e-6 absolute (against f64, `tests/accuracy.rs`).
///
/// # Example
/// ```
/// let mut x = [-10.0, 0.0, 10.0];
/// scrimp::nn::gelu_f32_in_place(&mut x);
/// assert_eq!(x, [0.0, 0.0, 10.0]);
/// ```
pub fn gelu_f32_in_place(x: &mut [f32]) {
    gelu_f32_in_place_on(Auto, x);
}

/// [`gelu_f32_in_place`] under a backend of your choice.
pub fn gelu_f32_in_place_on<D: Dispatch>(backend: D, x: &mut [f32]) {
    backend.dispatch(Gelu(x));
}

struct Gelu<'a>(&'a mut [f32]);

impl Kernel for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        for x in self.0 {
            *x = gelu(b, *x);
        }
    }
}
