//! `scrimp::bits` and the integer layers of `scrimp::nn`.

use core::hint::black_box;

use scrimp::Rows;
use scrimp::backend::Dispatch;
use scrimp::bits::{
    Cost, Format, Governor, Ladder, Layout, Pareto, Step, Weights, Width, double_round, double_round_masked, nest,
    nest_planes, pack_s4, packed_words, unnest,
};
use scrimp::fixedpoint::{Multiplier, Rounding, requantize, requantize_s64};
use scrimp::nn::{
    BatchMatMulS8, BatchMatMulS16, BatchShape, DynamicLinearS8, LinearS8, LinearS16, QuantS8, Requant, RequantS16,
    RequantTable,
};

use crate::any::{any, slice, slice_mut, values};
use crate::on_each_backend;

pub(crate) fn calls() {
    codes();
    weights();
    governor();
    let scale = any(Multiplier { mantissa: 1 << 30, shift: -3 });
    black_box(requantize(any(5), scale, any(Rounding::Single)));
    black_box(requantize_s64(any(5), scale));
    on_each_backend!(on);
    let (mut y, mut sums, mut wide) = ([0; 8], [0; 8], [0; 8]);
    with_layer(&mut |layer| {
        let _ = black_box(LinearS8::run(layer, values!([1; 8]), slice_mut(&mut y), any(2)));
        let _ = black_box(LinearS8::sums(layer, values!([1; 8]), slice_mut(&mut sums), any(2)));
        let _ = black_box(LinearS8::refine(layer, values!([1; 8]), slice_mut(&mut sums), any(2)));
        let _ = black_box(LinearS8::finish(layer, slice(&sums), slice_mut(&mut y), any(2)));
    });
    with_layer_s16(&mut |layer| {
        let _ = black_box(LinearS16::run(layer, values!([1; 8]), slice_mut(&mut wide), any(2)));
        black_box(LinearS16::width(layer));
        let _ = black_box(LinearS16::with_width(*layer, any(Width::W4)));
    });
    let mut room = [0; 160];
    if let Some(layer) = dynamic() {
        black_box(DynamicLinearS8::scratch(&layer));
        let _ = black_box(DynamicLinearS8::run(
            &layer,
            values!([1; 4]),
            values!([1; 4]),
            slice_mut(&mut y),
            slice_mut(&mut room),
        ));
    }
    if let Some((product, product_s16, shape)) = products() {
        black_box(BatchShape::output(&shape));
        black_box(BatchShape::scratch(&shape));
        values!(let lhs = [1; 4]);
        let (y, room) = (slice_mut(&mut y), slice_mut(&mut room));
        let _ = black_box(BatchMatMulS8::run(&product, lhs, values!([1; 4]), y, &shape, room));
        let _ = black_box(BatchMatMulS16::run(
            &product_s16,
            values!([1; 4]),
            values!([1; 4]),
            slice_mut(&mut wide),
            &shape,
        ));
    }
}

fn codes() {
    let width = any(Width::W4);
    black_box(Width::from_bits(any(3)));
    black_box((Width::bits(width), Width::dropped(width)));
    black_box((double_round(any(5), width), double_round_masked(any(5), width)));
    black_box((nest(any(5)), unnest(any(5), any(5), width)));
    let (mut high, mut low) = ([0; 4], [0; 4]);
    let _ = black_box(nest_planes(values!([1; 8]), slice_mut(&mut high), slice_mut(&mut low)));
    let _ = black_box(pack_s4(values!([1; 8]), slice_mut(&mut high)));
}

fn weights() {
    let Ok(shape) = Rows::new(any(2), any(4)) else { return };
    let (format, layout, width) = (any(Format::Raw8), any(Layout::BEST), any(Width::W4));
    black_box(packed_words(format, layout, shape));
    let (mut ram, mut words, mut low) = ([0; 8], [0; 128], [0; 64]);
    values!(let codes = [1; 8]);
    values!(let high = [1; 4]);
    values!(let packed = [1; 128]);
    let views = [
        Weights::s8(codes, shape),
        Weights::raw8(codes, shape),
        Weights::s4(high, shape),
        Weights::nest(high, high, shape),
        Weights::packed(format, layout, packed, slice(&[]), shape),
    ];
    for weights in views.into_iter().flatten() {
        black_box((Weights::shape(&weights), Weights::format(&weights), Weights::layout(&weights)));
        black_box((Weights::has(&weights, width), Weights::bytes_read(&weights, width)));
        black_box(Weights::code(&weights, width, any(1), any(1)));
        black_box(Weights::sum(&weights, width, any(1)));
        let _ = black_box(Weights::switch_into(&weights, width, slice_mut(&mut ram)));
        let (words, low) = (slice_mut(&mut words), slice_mut(&mut low));
        let _ = black_box(Weights::pack_into(&weights, format, layout, width, words, low));
    }
}

fn governor() {
    let cost = any(Cost { cycles: 100, bytes: 10, energy: 0 });
    let costs = [cost];
    let steps = any([Step { layer: 0, from: Width::W8, to: Width::W4, saved: cost }]);
    values!(let top = [Width::W8]);
    let ladder = Ladder::new(top, cost, slice(&steps));
    let pareto = Pareto::new(any(1), top, slice(&costs));
    let governors = [ladder.map(Governor::with_ladder), pareto.map(Governor::with_pareto)];
    for mut governor in governors.into_iter().flatten() {
        black_box(Governor::width(&governor, any(0)));
        black_box((Governor::cost(&governor), Governor::position(&governor)));
        black_box(Governor::choose(&mut governor, any(cost)));
        black_box(Governor::step_down(&mut governor));
        black_box(Governor::step_up(&mut governor));
        Governor::measured_cycles(&mut governor, any(90));
        Governor::measured_energy(&mut governor, any(90));
    }
}

/// A layer of two outputs and four inputs.
fn with_layer(call: &mut dyn FnMut(&LinearS8<'_>)) {
    let Ok(shape) = Rows::new(any(2), any(4)) else { return };
    values!(let plane = [1; 4]);
    let Ok(weights) = Weights::nest(plane, plane, shape) else { return };
    let quant = any(QuantS8::default());
    let scale = any([Multiplier { mantissa: 1 << 30, shift: -3 }]);
    let width = any(Width::W4);
    let (mut bias, mut mantissa, mut shift) = ([0; 2], [0; 2], [0; 2]);
    let tables = (slice_mut(&mut bias), slice_mut(&mut mantissa), slice_mut(&mut shift));
    let built = Requant::build(tables, &weights, width, &quant, slice(&[]), &scale);
    let table = RequantTable::<2>::new(&weights, width, &quant, slice(&[]), &scale);
    values!(let ready_bias = [1; 2]);
    values!(let ready_mantissa = [1; 2]);
    values!(let ready_shift = [-1; 2]);
    let ready = Requant::new(ready_bias, ready_mantissa, ready_shift);
    let (Ok(built), Ok(table), Ok(ready)) = (built, table, ready) else { return };
    black_box(Requant::outputs(&built));
    let widths = [(width, built), (Width::W8, RequantTable::by_ref(&table)), (Width::W2, ready)];
    let Ok(mut layer) = LinearS8::new(weights, slice(&widths), quant) else { return };
    black_box((LinearS8::width(&layer), LinearS8::weights(&layer)));
    let _ = black_box(LinearS8::set_width(&mut layer, any(Width::W8)));
    let _ = black_box(LinearS8::with_width(layer, any(Width::W8)));
    call(&layer);
}

/// A layer on 16 bits of two outputs and four inputs.
fn with_layer_s16(call: &mut dyn FnMut(&LinearS16<'_>)) {
    let Ok(shape) = Rows::new(any(2), any(4)) else { return };
    values!(let bias = [1; 2]);
    values!(let mantissa = [1; 2]);
    values!(let shift = [-1; 2]);
    let Ok(requant) = RequantS16::new(bias, mantissa, shift) else { return };
    let widths = [(any(Width::W8), requant), (Width::W4, requant)];
    values!(let codes = [1; 8]);
    let Ok(weights) = Weights::raw8(codes, shape) else { return };
    if let Ok(layer) = LinearS16::new(weights, slice(&widths), any(-5), any(5)) {
        call(&layer);
    }
}

fn products() -> Option<(BatchMatMulS8, BatchMatMulS16, BatchShape)> {
    let scale = any(Multiplier { mantissa: 1 << 30, shift: -3 });
    let product = BatchMatMulS8::new(scale, any([1, 1]), any(1)).ok()?;
    let product = BatchMatMulS8::with_range(product, any(-5), any(5)).ok()?;
    let product = BatchMatMulS8::with_rounding(product, any(Rounding::Double));
    let product_s16 = BatchMatMulS16::new(scale, any(-5), any(5)).ok()?;
    let axes = any([1, 1, 2, 2]);
    let outer = BatchShape::new(axes, axes, any(true), any(false)).ok()?;
    let _ = black_box(BatchShape::with_outer(outer, any(2), any(1)));
    Some((product, product_s16, BatchShape::new(axes, axes, any(true), any(false)).ok()?))
}

fn dynamic() -> Option<DynamicLinearS8<'static>> {
    let shape = Rows::new(black_box(2), black_box(2)).ok()?;
    let scale = black_box(Multiplier { mantissa: 1 << 30, shift: -3 });
    DynamicLinearS8::new(black_box(2), shape, slice(&[1; 2]), scale, black_box(QuantS8::PLAIN)).ok()
}

fn on<D: Dispatch>(backend: D) {
    let (mut y, mut sums, mut wide, mut room) = ([0; 8], [0; 8], [0; 8], [0; 160]);
    if let Some(layer) = dynamic() {
        let _ = black_box(DynamicLinearS8::run_on(
            &layer,
            backend,
            slice(&[1; 4]),
            slice(&[1; 4]),
            slice_mut(&mut y),
            slice_mut(&mut room),
        ));
    }
    with_layer(&mut |layer| {
        let _ = black_box(LinearS8::run_on(layer, backend, values!([1; 8]), slice_mut(&mut y), any(2)));
        let _ = black_box(LinearS8::sums_on(layer, backend, values!([1; 8]), slice_mut(&mut sums), any(2)));
        let _ = black_box(LinearS8::refine_on(layer, backend, values!([1; 8]), slice_mut(&mut sums), any(2)));
        let _ = black_box(LinearS8::finish_on(layer, backend, slice(&sums), slice_mut(&mut y), any(2)));
    });
    with_layer_s16(&mut |layer| {
        let _ = black_box(LinearS16::run_on(layer, backend, values!([1; 8]), slice_mut(&mut wide), any(2)));
    });
    if let Some((product, product_s16, shape)) = products() {
        values!(let lhs = [1; 4]);
        let _ = black_box(BatchMatMulS8::run_on(
            &product,
            backend,
            lhs,
            values!([1; 4]),
            slice_mut(&mut y),
            &shape,
            slice_mut(&mut room),
        ));
        values!(let lhs = [1; 4]);
        let _ = black_box(BatchMatMulS16::run_on(
            &product_s16,
            backend,
            lhs,
            values!([1; 4]),
            slice_mut(&mut wide),
            &shape,
        ));
    }
}
