//! Operators of `scrimp::nn` that move elements, and those with a memory.

use core::hint::black_box;

use scrimp::Rows;
use scrimp::backend::Dispatch;
use scrimp::bits::Weights;
use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{
    Align, FoldedS8, Gather, LstmGate, LstmGates, LstmQuant, LstmS8, LstmShape, LstmState, Mirror, MirrorAxis,
    MirrorPad, Move, MoveAxis, MoveElement, ResizeBilinear, ResizeNearest, Svdf, SvdfOutput, fold_bias,
};

use crate::any::{Vary, slice, slice_mut};
use crate::on_each_backend;

pub(crate) fn calls() {
    elements(1i8);
    elements(1u8);
    elements(1i16);
    elements(1i32);
    elements(1i64);
    elements(1f32);
    on_each_backend!(on);
    let (mut y, mut wide, mut scratch) = ([0; 8], [0; 8], [0; 8]);
    if let Some(bilinear) = bilinear() {
        let _ = black_box(ResizeBilinear::run(&bilinear, slice(&[1i8; 4]), slice_mut(&mut y)));
        let _ = black_box(ResizeBilinear::run(&bilinear, slice(&[1i16; 4]), slice_mut(&mut wide)));
    }
    if let Some(svdf) = svdf(&[1i8; 4]) {
        black_box((Svdf::scratch(&svdf), Svdf::state(&svdf)));
        let mut state = [0; 8];
        let _ = black_box(Svdf::run(
            &svdf,
            slice(&[1; 2]),
            slice_mut(&mut state),
            slice_mut(&mut y),
            slice_mut(&mut scratch),
        ));
    }
    if let Some(svdf) = svdf(&[1i16; 4]) {
        let _ = black_box(Svdf::run(
            &svdf,
            slice(&[1; 2]),
            slice_mut(&mut wide),
            slice_mut(&mut y),
            slice_mut(&mut scratch),
        ));
    }
    if let Some(lstm) = lstm() {
        black_box((LstmS8::units(&lstm), LstmS8::scratch(&lstm)));
        let mut hidden = [0; 4];
        let mut state = LstmState { hidden: slice_mut(&mut hidden), cell: slice_mut(&mut wide) };
        let _ = black_box(LstmS8::run(&lstm, slice(&[1; 4]), &mut state, slice_mut(&mut y), slice_mut(&mut scratch)));
    }
}

fn elements<T: MoveElement + Vary>(one: T) {
    let (x, mut y) = ([one; 16], [one; 16]);
    let axes = black_box([MoveAxis { count: 2, x: -1, y: 2 }; 3]);
    let shape = black_box([2, 3, 4]);
    let moves = [
        Move::new(axes, black_box(2), black_box([1, 16]), black_box([1, 16])),
        Move::slice(shape, black_box([0, 1, 1]), black_box([1, -1, 2]), black_box([1, 2, 2])),
        Move::place(shape, black_box([2, 4, 4]), black_box([0, 1, 0])),
        Move::transpose(shape, black_box([2, 0, 1])),
    ];
    for moved in moves.into_iter().flatten() {
        black_box((Move::axes(&moved), Move::piece(&moved), Move::first(&moved), Move::elements(&moved)));
        let _ = black_box(Move::run(&moved, slice(&x), slice_mut(&mut y)));
        let _ = black_box(Move::run_filled(&moved, one, slice(&x), slice_mut(&mut y)));
    }
    let shape = black_box([1, 2, 2, 4]);
    for moved in [Move::space_to_depth(shape, black_box(2)), Move::depth_to_space(shape, black_box(2))] {
        let _ = black_box(moved.map(|moved| Move::run(&moved, slice(&x), slice_mut(&mut y))));
    }
    let axes = black_box([MirrorAxis { count: 3, before: 1, after: 2 }; 2]);
    if let Ok(pad) = MirrorPad::new(axes, black_box(Mirror::Reflect)) {
        let _ = black_box(MirrorPad::run(&pad, slice(&x), slice_mut(&mut y)));
    }
    if let Ok(gather) = Gather::new(black_box(1), black_box(2), black_box(2), black_box(3), black_box(2)) {
        let _ = black_box(Gather::run(&gather, slice(&x), slice(&[1; 3]), slice_mut(&mut y)));
    }
    if let Ok(nearest) = ResizeNearest::new(shape, black_box([3, 3]), black_box(Align::default())) {
        let _ = black_box(ResizeNearest::run(&nearest, slice(&x), slice_mut(&mut y)));
    }
}

fn bilinear() -> Option<ResizeBilinear> {
    ResizeBilinear::new(black_box([1, 2, 2, 1]), black_box([2, 4]), black_box(Align::default())).ok()
}

fn product() -> Option<FoldedS8<'static>> {
    let shape = Rows::new(black_box(2), black_box(2)).ok()?;
    let weights = Weights::s8(slice(&[1; 4]), shape).ok()?;
    let _ = black_box(fold_bias::<2>(&weights, slice(&[1; 2]), black_box(3)));
    FoldedS8::new(weights, slice(&[1; 2]), black_box(Multiplier { mantissa: 1 << 30, shift: -3 })).ok()
}

fn svdf<T>(time: &[T]) -> Option<Svdf<'_, T>> {
    let multiplier = black_box(Multiplier { mantissa: 1 << 30, shift: -3 });
    let output = SvdfOutput { bias: slice(&[]), multiplier, zero_point: black_box(3) };
    Svdf::new(product()?, slice(time), black_box(1), black_box(2), output).ok()
}

fn lstm() -> Option<LstmS8<'static>> {
    let gate = LstmGate { input: product()?, recurrent: product()? };
    let gates = LstmGates { input: gate, forget: gate, cell: gate, output: gate };
    let quant = LstmQuant { cell_scale: 0.001, cell_clip: 10.0, hidden_scale: 0.01, hidden_zero_point: 3 };
    LstmS8::new(gates, black_box(quant), black_box(LstmShape { batch: 1, steps: 2, time_major: false })).ok()
}

fn on<D: Dispatch>(backend: D) {
    let (mut y, mut wide, mut scratch) = ([0; 8], [0; 8], [0; 8]);
    if let Some(bilinear) = bilinear() {
        let _ = black_box(ResizeBilinear::run_on(&bilinear, backend, slice(&[1i8; 4]), slice_mut(&mut y)));
        let _ = black_box(ResizeBilinear::run_on(&bilinear, backend, slice(&[1i16; 4]), slice_mut(&mut wide)));
    }
    if let Some(svdf) = svdf(&[1i8; 4]) {
        let (mut state, scratch) = ([0; 8], slice_mut(&mut scratch));
        let _ =
            black_box(Svdf::run_on(&svdf, backend, slice(&[1; 2]), slice_mut(&mut state), slice_mut(&mut y), scratch));
    }
    if let Some(svdf) = svdf(&[1i16; 4]) {
        let scratch = slice_mut(&mut scratch);
        let _ =
            black_box(Svdf::run_on(&svdf, backend, slice(&[1; 2]), slice_mut(&mut wide), slice_mut(&mut y), scratch));
    }
    if let Some(lstm) = lstm() {
        let mut hidden = [0; 4];
        let mut state = LstmState { hidden: slice_mut(&mut hidden), cell: slice_mut(&mut wide) };
        let scratch = slice_mut(&mut scratch);
        let _ = black_box(LstmS8::run_on(&lstm, backend, slice(&[1; 4]), &mut state, slice_mut(&mut y), scratch));
    }
}
