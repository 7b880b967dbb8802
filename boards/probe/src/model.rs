//! `scrimp::model`.

use core::hint::black_box;

use scrimp::model::{Element, Model, Tensor, Tensors, crc32};

use crate::slice;

/// Bytes of a model that the compiler cannot look into.
pub(crate) static BYTES: [u8; 64] = [0; 64];

pub(crate) fn calls() {
    black_box(crc32(slice(&BYTES)));
    let _ = black_box(Model::from_bytes(slice(&BYTES)));
    let Ok(model) = Model::from_bytes_trusted(slice(&BYTES)) else { return };
    let model = black_box(model);
    black_box((Model::config(&model), Model::len(&model), Model::is_empty(&model), Model::size(&model)));
    let mut tensors = Model::tensors(&model);
    black_box(Tensors::next(&mut tensors));
    let Some(tensor) = Model::tensor(&model, black_box(1)) else { return };
    let tensor = black_box(tensor);
    black_box((Tensor::name(&tensor), Tensor::shape(&tensor), Tensor::bytes(&tensor), Tensor::scales(&tensor)));
    black_box((Tensor::as_f32(&tensor), Tensor::as_i8(&tensor), Tensor::reads_at(&tensor, black_box(4))));
    black_box(Element::bytes(Tensor::element(&tensor), black_box(5)));
}
