//! `scrimp::nn`.

use core::hint::black_box;

use scrimp::backend::Dispatch;
use scrimp::nn::{Activation, LayerNorm, Linear, gelu_f32_in_place, gelu_f32_in_place_on};
use scrimp::{Quantization, Rows};

use crate::any::{any, slice, slice_mut, values};
use crate::on_each_backend;

pub(crate) fn calls() {
    let output = Quantization::new(any(0.1), any(3));
    let activation = any(Activation::Relu6);
    black_box((Activation::range_s8(activation, output), Activation::range_s16(activation, output)));
    let mut y = [0.0; 16];
    gelu_f32_in_place(slice_mut(&mut y));
    if let Some(linear) = linear() {
        let _ = black_box(Linear::run(&linear, values!([1.0; 8]), slice_mut(&mut y), any(2)));
    }
    values!(let weight = [1.0; 4]);
    values!(let bias = [0.0; 4]);
    if let Ok(norm) = LayerNorm::new(weight, bias) {
        let _ = black_box(LayerNorm::run(&norm, values!([1.0; 16]), slice_mut(&mut y)));
    }
    on_each_backend!(on);
}

fn linear() -> Option<Linear<'static>> {
    let shape = Rows::new(any(8), any(4)).ok()?;
    Linear::new(slice(&[1.0; 32]), slice(&[0.0; 8]), shape).ok()
}

fn on<D: Dispatch>(backend: D) {
    let mut y = [0.0; 16];
    gelu_f32_in_place_on(backend, slice_mut(&mut y));
    if let Some(linear) = linear() {
        let _ = black_box(Linear::run_on(&linear, backend, values!([1.0; 8]), slice_mut(&mut y), any(2)));
    }
    values!(let weight = [1.0; 4]);
    values!(let bias = [0.0; 4]);
    if let Ok(norm) = LayerNorm::new(weight, bias) {
        let _ = black_box(LayerNorm::run_on(&norm, backend, values!([1.0; 16]), slice_mut(&mut y)));
    }
}
