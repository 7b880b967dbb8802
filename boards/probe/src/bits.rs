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

use crate::{on_each_backend, slice, slice_mut};

pub(crate) fn calls() {
    codes();
    weights();
    governor();
    let scale = black_box(Multiplier { mantissa: 1 << 30, shift: -3 });
    black_box(requantize(black_box(5), scale, black_box(Rounding::Single)));
    black_box(requantize_s64(black_box(5), scale));
    on_each_backend!(on);
    let (mut y, mut sums, mut wide) = ([0; 8], [0; 8], [0; 8]);
    with_layer(&mut |layer| {
        let _ = black_box(LinearS8::run(layer, slice(&[1; 8]), slice_mut(&mut y), black_box(2)));
        let _ = black_box(LinearS8::sums(layer, slice(&[1; 8]), slice_mut(&mut sums), black_box(2)));
        let _ = black_box(LinearS8::refine(layer, slice(&[1; 8]), slice_mut(&mut sums), black_box(2)));
        let _ = black_box(LinearS8::finish(layer, slice(&sums), slice_mut(&mut y), black_box(2)));
    });
    if let Some(layer) = layer_s16() {
        let _ = black_box(LinearS16::run(&layer, slice(&[1; 8]), slice_mut(&mut wide), black_box(2)));
        black_box(LinearS16::width(&layer));
        let _ = black_box(LinearS16::with_width(layer, black_box(Width::W4)));
    }
    if let Some(layer) = dynamic() {
        let _ = black_box(DynamicLinearS8::run(&layer, slice(&[1; 4]), slice(&[1; 4]), slice_mut(&mut y)));
    }
    if let Some((product, product_s16, shape)) = products() {
        black_box(BatchShape::output(&shape));
        let _ = black_box(BatchMatMulS8::run(&product, slice(&[1; 4]), slice(&[1; 4]), slice_mut(&mut y), &shape));
        let _ =
            black_box(BatchMatMulS16::run(&product_s16, slice(&[1; 4]), slice(&[1; 4]), slice_mut(&mut wide), &shape));
    }
}

fn codes() {
    let width = black_box(Width::W4);
    black_box(Width::from_bits(black_box(3)));
    black_box((Width::bits(width), Width::dropped(width)));
    black_box((double_round(black_box(5), width), double_round_masked(black_box(5), width)));
    black_box((nest(black_box(5)), unnest(black_box(5), black_box(5), width)));
    let (mut high, mut low) = ([0; 4], [0; 4]);
    let _ = black_box(nest_planes(slice(&[1; 8]), slice_mut(&mut high), slice_mut(&mut low)));
    let _ = black_box(pack_s4(slice(&[1; 8]), slice_mut(&mut high)));
}

fn weights() {
    let Ok(shape) = Rows::new(black_box(2), black_box(4)) else { return };
    let (format, layout, width) = black_box((Format::Raw8, Layout::BEST, Width::W4));
    black_box(packed_words(format, layout, shape));
    let (mut ram, mut words, mut low) = ([0; 8], [0; 128], [0; 64]);
    let views = [
        Weights::s8(slice(&[1; 8]), shape),
        Weights::raw8(slice(&[1; 8]), shape),
        Weights::s4(slice(&[1; 4]), shape),
        Weights::nest(slice(&[1; 4]), slice(&[1; 4]), shape),
        Weights::packed(format, layout, slice(&[1; 128]), slice(&[]), shape),
    ];
    for weights in views.into_iter().flatten() {
        black_box((Weights::shape(&weights), Weights::format(&weights), Weights::layout(&weights)));
        black_box((Weights::has(&weights, width), Weights::bytes_read(&weights, width)));
        black_box(Weights::code(&weights, width, black_box(1), black_box(1)));
        black_box(Weights::sum(&weights, width, black_box(1)));
        let _ = black_box(Weights::switch_into(&weights, width, slice_mut(&mut ram)));
        let (words, low) = (slice_mut(&mut words), slice_mut(&mut low));
        let _ = black_box(Weights::pack_into(&weights, format, layout, width, words, low));
    }
}

fn governor() {
    let cost = black_box(Cost { cycles: 100, bytes: 10, energy: 0 });
    let costs = [cost];
    let steps = black_box([Step { layer: 0, from: Width::W8, to: Width::W4, saved: cost }]);
    let ladder = Ladder::new(slice(&[Width::W8]), cost, slice(&steps));
    let pareto = Pareto::new(black_box(1), slice(&[Width::W8]), slice(&costs));
    let governors = [ladder.map(Governor::with_ladder), pareto.map(Governor::with_pareto)];
    for mut governor in governors.into_iter().flatten() {
        black_box(Governor::width(&governor, black_box(0)));
        black_box((Governor::cost(&governor), Governor::position(&governor)));
        black_box(Governor::choose(&mut governor, cost));
        black_box(Governor::step_down(&mut governor));
        black_box(Governor::step_up(&mut governor));
        Governor::measured_cycles(&mut governor, black_box(90));
        Governor::measured_energy(&mut governor, black_box(90));
    }
}

/// A layer of two outputs and four inputs.
fn with_layer(call: &mut dyn FnMut(&LinearS8<'_>)) {
    let Ok(shape) = Rows::new(black_box(2), black_box(4)) else { return };
    let Ok(weights) = Weights::nest(slice(&[1; 4]), slice(&[1; 4]), shape) else { return };
    let quant = black_box(QuantS8::default());
    let scale = black_box([Multiplier { mantissa: 1 << 30, shift: -3 }]);
    let width = black_box(Width::W4);
    let (mut bias, mut mantissa, mut shift) = ([0; 2], [0; 2], [0; 2]);
    let tables = (slice_mut(&mut bias), slice_mut(&mut mantissa), slice_mut(&mut shift));
    let built = Requant::build(tables, &weights, width, &quant, slice(&[]), &scale);
    let table = RequantTable::<2>::new(&weights, width, &quant, slice(&[]), &scale);
    let ready = Requant::new(slice(&[1; 2]), slice(&[1; 2]), slice(&[-1; 2]));
    let (Ok(built), Ok(table), Ok(ready)) = (built, table, ready) else { return };
    black_box(Requant::outputs(&built));
    let widths = [(width, built), (Width::W8, RequantTable::by_ref(&table)), (Width::W2, ready)];
    let Ok(mut layer) = LinearS8::new(weights, slice(&widths), quant) else { return };
    black_box((LinearS8::width(&layer), LinearS8::weights(&layer)));
    let _ = black_box(LinearS8::set_width(&mut layer, black_box(Width::W8)));
    let _ = black_box(LinearS8::with_width(layer, black_box(Width::W8)));
    call(&layer);
}

fn layer_s16() -> Option<LinearS16<'static>> {
    static WIDTHS: [(Width, RequantS16<'static>); 1] =
        [(Width::W8, scrimp::expect!(RequantS16::new(&[0; 2], &[1; 2], &[-1; 2])))];
    let shape = Rows::new(black_box(2), black_box(4)).ok()?;
    let _ = black_box(RequantS16::new(slice(&[1; 2]), slice(&[1; 2]), slice(&[-1; 2])));
    let weights = Weights::raw8(slice(&[1; 8]), shape).ok()?;
    LinearS16::new(weights, slice(&WIDTHS), black_box(-5), black_box(5)).ok()
}

fn products() -> Option<(BatchMatMulS8, BatchMatMulS16, BatchShape)> {
    let scale = black_box(Multiplier { mantissa: 1 << 30, shift: -3 });
    let product = BatchMatMulS8::new(scale, black_box([1, 1]), black_box(1)).ok()?;
    let product = BatchMatMulS8::with_range(product, black_box(-5), black_box(5)).ok()?;
    let product = BatchMatMulS8::with_rounding(product, black_box(Rounding::Double));
    let product_s16 = BatchMatMulS16::new(scale, black_box(-5), black_box(5)).ok()?;
    let axes = black_box([1, 1, 2, 2]);
    let outer = BatchShape::new(axes, axes, black_box(true), black_box(false)).ok()?;
    let _ = black_box(BatchShape::with_outer(outer, black_box(2), black_box(1)));
    Some((product, product_s16, BatchShape::new(axes, axes, black_box(true), black_box(false)).ok()?))
}

fn dynamic() -> Option<DynamicLinearS8<'static>> {
    let shape = Rows::new(black_box(2), black_box(2)).ok()?;
    let scale = black_box(Multiplier { mantissa: 1 << 30, shift: -3 });
    DynamicLinearS8::new(black_box(2), shape, slice(&[1; 2]), scale, black_box(QuantS8::PLAIN)).ok()
}

fn on<D: Dispatch>(backend: D) {
    let (mut y, mut sums, mut wide) = ([0; 8], [0; 8], [0; 8]);
    if let Some(layer) = dynamic() {
        let _ = black_box(DynamicLinearS8::run_on(&layer, backend, slice(&[1; 4]), slice(&[1; 4]), slice_mut(&mut y)));
    }
    with_layer(&mut |layer| {
        let _ = black_box(LinearS8::run_on(layer, backend, slice(&[1; 8]), slice_mut(&mut y), black_box(2)));
        let _ = black_box(LinearS8::sums_on(layer, backend, slice(&[1; 8]), slice_mut(&mut sums), black_box(2)));
        let _ = black_box(LinearS8::refine_on(layer, backend, slice(&[1; 8]), slice_mut(&mut sums), black_box(2)));
        let _ = black_box(LinearS8::finish_on(layer, backend, slice(&sums), slice_mut(&mut y), black_box(2)));
    });
    if let Some(layer) = layer_s16() {
        let _ = black_box(LinearS16::run_on(&layer, backend, slice(&[1; 8]), slice_mut(&mut wide), black_box(2)));
    }
    if let Some((product, product_s16, shape)) = products() {
        let (lhs, rhs) = (slice(&[1; 4]), slice(&[1; 4]));
        let _ = black_box(BatchMatMulS8::run_on(&product, backend, lhs, rhs, slice_mut(&mut y), &shape));
        let (lhs, rhs) = (slice(&[1; 4]), slice(&[1; 4]));
        let _ = black_box(BatchMatMulS16::run_on(&product_s16, backend, lhs, rhs, slice_mut(&mut wide), &shape));
    }
}
