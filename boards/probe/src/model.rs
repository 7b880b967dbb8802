//! `scrimp::model`.

use core::hint::black_box;

use scrimp::model::{Aligned, Arena, Constants, Element, Get, Model, Once, Set, Slot, Tensor, Tensors, crc32};

use crate::any::{any, slice};

/// Bytes of a model that the compiler cannot look into.
pub(crate) static BYTES: [u8; 64] = [0; 64];

/// Constants that the compiler cannot look into, and the memory of a generated model.
static ALIGNED: Aligned<[u8; 64]> = Aligned([0; 64]);
static ARENA: Once<Arena<64>> = Once::new(Arena::new());

fn generated() {
    let constants = black_box(Constants::new(black_box(&ALIGNED)));
    let (at, len) = (any(16), any(4));
    let _ = black_box((Constants::i8s(&constants, at, len), Constants::u8s(&constants, at, len)));
    let _ = black_box((Constants::i16s(&constants, at, len), Constants::i32s(&constants, at, len)));
    let _ = black_box((Constants::words(&constants, at, len), Constants::i64s(&constants, at, len)));
    let _ = black_box(Constants::f32s(&constants, at, len));
    let Some(arena) = Once::take(&ARENA) else { return };
    let (x, y) = Arena::pick::<(Get<Slot<i8, 0, 16>>, Set<Slot<i16, 32, 16>>)>(arena);
    for (y, &x) in y.iter_mut().zip(black_box(x)) {
        *y = x.into();
    }
    black_box(y);
    black_box((Arena::<16>::default(), Once::new(1)));
}

pub(crate) fn calls() {
    generated();
    black_box(crc32(slice(&BYTES)));
    let _ = black_box(Model::from_bytes(slice(&BYTES)));
    let Ok(model) = Model::from_bytes_trusted(slice(&BYTES)) else { return };
    let model = black_box(model);
    black_box((Model::config(&model), Model::len(&model), Model::is_empty(&model), Model::size(&model)));
    let mut tensors = Model::tensors(&model);
    black_box(Tensors::next(&mut tensors));
    let Some(tensor) = Model::tensor(&model, any(1)) else { return };
    let tensor = black_box(tensor);
    black_box((Tensor::name(&tensor), Tensor::shape(&tensor), Tensor::bytes(&tensor), Tensor::scales(&tensor)));
    black_box((Tensor::as_f32(&tensor), Tensor::as_i8(&tensor), Tensor::reads_at(&tensor, any(4))));
    black_box(Element::bytes(Tensor::element(&tensor), any(5)));
}
