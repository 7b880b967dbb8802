//! `scrimp::nn`: element-wise layers, tables, conversions and reductions.

use core::hint::black_box;

use scrimp::backend::{Dispatch, Scalar};
use scrimp::nn::{
    Activated, Activation, Add, ArgMax, Broadcast, Code, Dequantize, FromCodes, L2NormS8, LogisticS16, MapF32, Mean,
    MinMax, Mul, Prelu, Quantize, Reduce, Reduction, Rescale, Rsqrt, SlopesS16, SquaredDifference, TableS8, TableS16,
    TanhS16,
};
use scrimp::{Quantization, Rows};

use crate::any::{Vary, slice, slice_mut};
use crate::on_each_backend;

pub(crate) fn calls() {
    of_pairs::<i8>(&[1; 8]);
    of_pairs::<i16>(&[1; 8]);
    tables();
    reductions::<i8>(&[1; 8]);
    reductions::<i16>(&[1; 8]);
    conversions();
    maps(None::<Scalar>);
    on_each_backend!(on);
}

fn quantization() -> Quantization {
    black_box(Quantization::new(0.1, 0))
}

fn shape() -> Option<Broadcast> {
    let shape = Broadcast::new(slice(&[2, 4]), slice(&[4])).ok()?;
    black_box((Broadcast::first(&shape), Broadcast::second(&shape), Broadcast::output(&shape)));
    black_box((Broadcast::swapped(shape), Broadcast::is_first_whole(&shape)));
    Some(black_box(shape))
}

/// One layer of each kind, of which each constructor is called.
struct Pairs<T> {
    add: Add<T>,
    mul: Mul<T>,
    squared: SquaredDifference<T>,
    min_max: MinMax<T>,
    prelu: Prelu<T>,
}

impl<T: Activated + Vary> Pairs<T> {
    fn new() -> Option<Self> {
        let (shape, q, activation) = (shape()?, quantization(), black_box(Activation::Relu6));
        let _ = black_box(Add::<T>::sub(shape, q, q, q, activation));
        let _ = black_box(Add::<T>::reverse_sub(shape, q, q, q, activation));
        let pairs = Self {
            add: Add::new(shape, q, q, q, activation).ok()?,
            mul: Mul::new(shape, q, q, q, activation).ok()?,
            squared: SquaredDifference::new(shape, q, q, q).ok()?,
            min_max: if black_box(true) { MinMax::maximum(shape) } else { MinMax::minimum(shape) },
            prelu: Prelu::new(shape, q, q, q).ok()?,
        };
        black_box((Add::shape(&pairs.add), Mul::shape(&pairs.mul), SquaredDifference::shape(&pairs.squared)));
        black_box((MinMax::shape(&pairs.min_max), Prelu::shape(&pairs.prelu)));
        Some(pairs)
    }
}

fn of_pairs<T: Activated + Vary>(x: &[T; 8]) {
    let Some(Pairs { add, mul, squared, min_max, prelu }) = Pairs::<T>::new() else { return };
    let (mut y, slopes) = (*x, [1; 4]);
    let (x, y, other) = (slice(x), slice_mut(&mut y), slice(&x[..4]));
    let _ = black_box((Add::run(&add, x, other, y), Add::run_in_place(&add, y, other)));
    let _ = black_box((Mul::run(&mul, x, other, y), Mul::run_in_place(&mul, y, other)));
    let _ = black_box(SquaredDifference::run(&squared, x, other, y));
    let _ = black_box(SquaredDifference::run_in_place(&squared, y, other));
    let _ = black_box((MinMax::run(&min_max, x, other, y), MinMax::run_in_place(&min_max, y, other)));
    let _ = black_box((Prelu::run(&prelu, x, slice(&slopes), y), Prelu::run_in_place(&prelu, y, slice(&slopes))));
}

fn tables() {
    let (q, activation, slope) = (quantization(), black_box(Activation::Relu), black_box(0.1));
    let tables = [
        TableS8::logistic(q, TableS8::LOGISTIC),
        TableS8::tanh(q, TableS8::TANH),
        TableS8::hard_swish(q, q),
        TableS8::relu(q, q, activation),
        TableS8::clamp(q, activation),
        TableS8::leaky_relu(q, q, slope),
        TableS8::abs(q, q),
        TableS8::rsqrt(q, q),
        TableS8::requantize(q, q),
        TableS8::gelu(q, q),
        TableS8::gelu_tanh(q, q),
        TableS8::elu(q, q),
        TableS8::exp(q, q),
        TableS8::log(q, q),
    ];
    let mut y = [0; 8];
    for table in tables.into_iter().flatten() {
        black_box(TableS8::from_table(*TableS8::table(&table)));
        let _ = black_box(TableS8::run(&table, slice(&[1; 8]), slice_mut(&mut y)));
        TableS8::run_in_place(&table, slice_mut(&mut y));
    }
    let mut y = [0; 8];
    for table in [TableS16::gelu(q, q), TableS16::gelu_tanh(q, q), TableS16::exp(q, q), TableS16::log(q, q)] {
        let Ok(table) = table else { return };
        let _ = black_box(TableS16::run(&table, slice(&[1; 8]), slice_mut(&mut y)));
        TableS16::run_in_place(&table, slice_mut(&mut y));
    }
    if let (Ok(logistic), Ok(tanh)) = (LogisticS16::new(q), TanhS16::new(q)) {
        let _ = black_box(LogisticS16::run(&logistic, slice(&[1; 8]), slice_mut(&mut y)));
        LogisticS16::run_in_place(&logistic, slice_mut(&mut y));
        let _ = black_box(TanhS16::run(&tanh, slice(&[1; 8]), slice_mut(&mut y)));
        TanhS16::run_in_place(&tanh, slice_mut(&mut y));
    }
    for slopes in [SlopesS16::relu(q, q, activation), SlopesS16::leaky_relu(q, q, slope), SlopesS16::abs(q, q)] {
        let Ok(slopes) = slopes else { return };
        let _ = black_box(SlopesS16::run(&slopes, slice(&[1; 8]), slice_mut(&mut y)));
        SlopesS16::run_in_place(&slopes, slice_mut(&mut y));
    }
}

fn maps(backend: Option<impl Dispatch>) {
    let maps = [
        MapF32::abs(),
        MapF32::neg(),
        MapF32::square(),
        MapF32::sqrt(),
        MapF32::rsqrt(),
        MapF32::exp(),
        MapF32::log(),
        MapF32::elu(),
        MapF32::tanh(),
        MapF32::logistic(),
        MapF32::hard_swish(),
        MapF32::gelu(),
        MapF32::gelu_tanh(),
        MapF32::leaky_relu(black_box(0.1)),
        MapF32::relu(black_box(Activation::Relu6)),
    ];
    let mut y = [0.0; 8];
    for map in maps {
        match backend {
            Some(backend) => {
                let _ = black_box(MapF32::run_on(&map, backend, slice(&[1.0; 8]), slice_mut(&mut y)));
                MapF32::run_in_place_on(&map, backend, slice_mut(&mut y));
            }
            None => {
                let _ = black_box(MapF32::run(&map, slice(&[1.0; 8]), slice_mut(&mut y)));
                MapF32::run_in_place(&map, slice_mut(&mut y));
            }
        }
    }
}

/// A shape of 2 x 4 along one of its axes.
fn reduction() -> Option<Reduction> {
    let of = Reduction::new(slice(&[2, 4]), slice(&[1])).ok()?;
    black_box((Reduction::input(&of), Reduction::output(&of), Reduction::terms(&of)));
    Some(black_box(of))
}

fn reductions<T: Activated + Vary>(x: &[T; 8]) {
    let Some(of) = reduction() else { return };
    let q = quantization();
    let mut y = *x;
    let (x, y) = (slice(x), slice_mut(&mut y));
    let _ = black_box(Mean::<T>::sum(of, q, q));
    if let (Ok(mean), Some(y)) = (Mean::<T>::new(of, q, q), y.get_mut(..2)) {
        black_box(Mean::shape(&mean));
        let _ = black_box(Mean::run(&mean, x, y));
        let reduce = if black_box(true) { Reduce::max(of) } else { Reduce::min(of) };
        black_box(Reduce::shape(&reduce));
        let _ = black_box(Reduce::run(&reduce, x, y));
    }
    if let Ok(rsqrt) = Rsqrt::<T>::new(q, q) {
        let _ = black_box(Rsqrt::run(&rsqrt, x, y));
        Rsqrt::run_in_place(&rsqrt, y);
    }
    let mut at = [0i32; 2];
    let _ = black_box(ArgMax::<T, i64>::min(black_box([2, 4, 1])));
    if let Ok(arg_max) = ArgMax::<T, i32>::max(black_box([2, 4, 1])) {
        let _ = black_box(ArgMax::run(&arg_max, x, slice_mut(&mut at)));
    }
}

fn conversions() {
    let q = quantization();
    let (mut real, mut y8, mut y16, mut yu) = ([0.0; 8], [0i8; 8], [0i16; 8], [0u8; 8]);
    if let (Ok(to), Ok(from)) = (Quantize::<i8>::new(q), Dequantize::<i8>::new(q)) {
        let _ = black_box(Quantize::run(&to, slice(&[1.0; 8]), slice_mut(&mut y8)));
        let _ = black_box(Dequantize::run(&from, slice(&[1; 8]), slice_mut(&mut real)));
    }
    rescale::<i8, i8>(&[1; 8], &mut y8);
    rescale::<i8, u8>(&[1; 8], &mut yu);
    rescale::<i16, i8>(&[1; 8], &mut y8);
    rescale::<i8, i16>(&[1; 8], &mut y16);
    rescale::<i16, i32>(&[1; 8], &mut [0; 8]);
    if let Ok(rescale) = Rescale::<i8, i8>::new(q, q) {
        Rescale::run_in_place(&rescale, slice_mut(&mut y8));
    }
    let rows = Rows::new(black_box(2), black_box(4));
    if let (Ok(norm), Ok(rows)) = (L2NormS8::new(q), rows) {
        let _ = black_box(L2NormS8::run(&norm, slice(&[1; 8]), slice_mut(&mut y8), rows));
        let _ = black_box(L2NormS8::run_in_place(&norm, slice_mut(&mut y8), rows));
    }
}

fn rescale<X: Code, Y: FromCodes<X> + Vary>(x: &[X; 8], y: &mut [Y; 8]) {
    if let Ok(rescale) = Rescale::<X, Y>::new(quantization(), quantization()) {
        let _ = black_box(Rescale::run(&rescale, slice(x), slice_mut(y)));
    }
}

fn on<D: Dispatch>(backend: D) {
    of_pairs_on::<i8, D>(backend, &[1; 8]);
    of_pairs_on::<i16, D>(backend, &[1; 8]);
    reductions_on::<i8, D>(backend, &[1; 8]);
    maps(Some(backend));
    let q = quantization();
    let (mut y8, mut y16, mut real) = ([0; 8], [0; 8], [0.0; 8]);
    if let (Ok(table), Ok(wide)) = (TableS8::abs(q, q), TableS16::exp(q, q)) {
        let _ = black_box(TableS8::run_on(&table, backend, slice(&[1; 8]), slice_mut(&mut y8)));
        TableS8::run_in_place_on(&table, backend, slice_mut(&mut y8));
        let _ = black_box(TableS16::run_on(&wide, backend, slice(&[1; 8]), slice_mut(&mut y16)));
        TableS16::run_in_place_on(&wide, backend, slice_mut(&mut y16));
    }
    if let (Ok(logistic), Ok(tanh)) = (LogisticS16::new(q), TanhS16::new(q)) {
        let _ = black_box(LogisticS16::run_on(&logistic, backend, slice(&[1; 8]), slice_mut(&mut y16)));
        LogisticS16::run_in_place_on(&logistic, backend, slice_mut(&mut y16));
        let _ = black_box(TanhS16::run_on(&tanh, backend, slice(&[1; 8]), slice_mut(&mut y16)));
        TanhS16::run_in_place_on(&tanh, backend, slice_mut(&mut y16));
    }
    if let Ok(slopes) = SlopesS16::abs(q, q) {
        let _ = black_box(SlopesS16::run_on(&slopes, backend, slice(&[1; 8]), slice_mut(&mut y16)));
        SlopesS16::run_in_place_on(&slopes, backend, slice_mut(&mut y16));
    }
    if let (Ok(to), Ok(from)) = (Quantize::<i8>::new(q), Dequantize::<i8>::new(q)) {
        let _ = black_box(Quantize::run_on(&to, backend, slice(&[1.0; 8]), slice_mut(&mut y8)));
        let _ = black_box(Dequantize::run_on(&from, backend, slice(&[1; 8]), slice_mut(&mut real)));
    }
    if let Ok(rescale) = Rescale::<i8, i8>::new(q, q) {
        let _ = black_box(Rescale::run_on(&rescale, backend, slice(&[1; 8]), slice_mut(&mut y8)));
        Rescale::run_in_place_on(&rescale, backend, slice_mut(&mut y8));
    }
    let rows = Rows::new(black_box(2), black_box(4));
    if let (Ok(norm), Ok(rows)) = (L2NormS8::new(q), rows) {
        let _ = black_box(L2NormS8::run_on(&norm, backend, slice(&[1; 8]), slice_mut(&mut y8), rows));
        let _ = black_box(L2NormS8::run_in_place_on(&norm, backend, slice_mut(&mut y8), rows));
    }
}

fn of_pairs_on<T: Activated + Vary, D: Dispatch>(backend: D, x: &[T; 8]) {
    let Some(Pairs { add, mul, squared, min_max, prelu }) = Pairs::<T>::new() else { return };
    let (mut y, slopes) = (*x, [1; 4]);
    let (x, y, other) = (slice(x), slice_mut(&mut y), slice(&x[..4]));
    let slopes = slice(&slopes);
    let _ = black_box((Add::run_on(&add, backend, x, other, y), Add::run_in_place_on(&add, backend, y, other)));
    let _ = black_box((Mul::run_on(&mul, backend, x, other, y), Mul::run_in_place_on(&mul, backend, y, other)));
    let _ = black_box(SquaredDifference::run_on(&squared, backend, x, other, y));
    let _ = black_box(SquaredDifference::run_in_place_on(&squared, backend, y, other));
    let _ = black_box(MinMax::run_on(&min_max, backend, x, other, y));
    let _ = black_box(MinMax::run_in_place_on(&min_max, backend, y, other));
    let _ = black_box(Prelu::run_on(&prelu, backend, x, slopes, y));
    let _ = black_box(Prelu::run_in_place_on(&prelu, backend, y, slopes));
}

fn reductions_on<T: Activated + Vary, D: Dispatch>(backend: D, x: &[T; 8]) {
    let Some(of) = reduction() else { return };
    let q = quantization();
    let mut y = *x;
    let (x, y) = (slice(x), slice_mut(&mut y));
    if let (Ok(mean), Some(y)) = (Mean::<T>::new(of, q, q), y.get_mut(..2)) {
        let _ = black_box(Mean::run_on(&mean, backend, x, y));
        let _ = black_box(Reduce::run_on(&Reduce::<T>::max(of), backend, x, y));
    }
    if let Ok(rsqrt) = Rsqrt::<T>::new(q, q) {
        let _ = black_box(Rsqrt::run_on(&rsqrt, backend, x, y));
        Rsqrt::run_in_place_on(&rsqrt, backend, y);
    }
    let mut at = [0i32; 2];
    if let Ok(arg_max) = ArgMax::<T, i32>::max(black_box([2, 4, 1])) {
        let _ = black_box(ArgMax::run_on(&arg_max, backend, x, slice_mut(&mut at)));
    }
}
