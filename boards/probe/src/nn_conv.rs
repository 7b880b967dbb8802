//! Convolutions and pools of `scrimp::nn`.

use core::hint::black_box;

use scrimp::backend::Dispatch;
use scrimp::bits::{Weights, Width};
use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{
    Activation, AveragePool2dS8, AveragePool2dS16, Conv2dS8, Conv2dS16, DepthwiseConv2dS8, DepthwiseConv2dS16,
    MaxPool2dS8, MaxPool2dS16, QuantS8, Requant, RequantS16, RequantTable, TransposeConv2dS8, TransposeConv2dS16,
    TransposeShape2d, Window2d,
};
use scrimp::shape::Nhwc;
use scrimp::{Error, Quantization, Rows};

use crate::any::{slice, slice_mut};
use crate::on_each_backend;

pub(crate) fn calls() {
    let _ = black_box(shapes());
    let _ = black_box(with_s8(&mut |kernels| {
        let KernelsS8 { conv, depthwise, transpose, average, most } = kernels;
        let (mut y, mut scratch) = ([0; 64], [0; 64]);
        let _ = black_box(Conv2dS8::run(conv, slice(&[1; 64]), slice_mut(&mut y), slice_mut(&mut scratch)));
        let _ = black_box(DepthwiseConv2dS8::run(depthwise, slice(&[1; 64]), slice_mut(&mut y)));
        let _ = black_box(TransposeConv2dS8::run(transpose, slice(&[1; 64]), slice_mut(&mut y)));
        let _ = black_box(AveragePool2dS8::run(average, slice(&[1; 64]), slice_mut(&mut y)));
        let _ = black_box(MaxPool2dS8::run(most, slice(&[1; 64]), slice_mut(&mut y)));
    }));
    let _ = black_box(with_s16(&mut |kernels| {
        let KernelsS16 { conv, depthwise, transpose, average, most } = kernels;
        let (mut y, mut scratch) = ([0; 64], [0; 64]);
        let _ = black_box(Conv2dS16::run(conv, slice(&[1; 64]), slice_mut(&mut y), slice_mut(&mut scratch)));
        let _ = black_box(DepthwiseConv2dS16::run(depthwise, slice(&[1; 64]), slice_mut(&mut y)));
        let _ = black_box(TransposeConv2dS16::run(transpose, slice(&[1; 64]), slice_mut(&mut y)));
        let _ = black_box(AveragePool2dS16::run(average, slice(&[1; 64]), slice_mut(&mut y)));
        let _ = black_box(MaxPool2dS16::run(most, slice(&[1; 64]), slice_mut(&mut y)));
    }));
    on_each_backend!(on);
}

fn picture() -> Result<Nhwc, Error> {
    Nhwc::new(black_box(1), black_box(4), black_box(4), black_box(2))
}

fn shapes() -> Result<(), Error> {
    let pair = || black_box([2, 2]);
    let _ = black_box(Window2d::valid(picture()?, pair(), pair(), pair()));
    let _ = black_box(Window2d::padded(picture()?, pair(), pair(), pair(), pair(), pair()));
    let window = Window2d::same(picture()?, pair(), pair(), pair())?;
    black_box((Window2d::input(&window), Window2d::kernel(&window), Window2d::before(&window)));
    let _ = black_box((Window2d::output_size(&window), Window2d::output(&window, black_box(3))));
    let _ = black_box(TransposeShape2d::valid(picture()?, picture()?, pair(), pair()));
    let _ = black_box(TransposeShape2d::padded(picture()?, picture()?, pair(), pair(), pair()));
    let shape = TransposeShape2d::same(picture()?, picture()?, pair(), pair())?;
    black_box((TransposeShape2d::input(&shape), TransposeShape2d::output(&shape), TransposeShape2d::before(&shape)));
    Ok(())
}

struct KernelsS8<'a> {
    conv: &'a Conv2dS8<'a>,
    depthwise: &'a DepthwiseConv2dS8<'a>,
    transpose: &'a TransposeConv2dS8<'a>,
    average: &'a AveragePool2dS8,
    most: &'a MaxPool2dS8,
}

fn with_s8(call: &mut dyn FnMut(&KernelsS8<'_>)) -> Result<(), Error> {
    let codes = Quantization::new(black_box(0.1), black_box(3));
    let quant = QuantS8::new(codes, codes, black_box(Activation::Relu))?;
    let pair = || black_box([2, 2]);
    let window = Window2d::same(picture()?, pair(), pair(), black_box([1, 1]))?;
    let scale = black_box([Multiplier { mantissa: 1 << 30, shift: -3 }]);
    let weights = Weights::s8(slice(&[1; 16]), Rows::new(black_box(2), black_box(8))?)?;
    let ready = Requant::new(slice(&[1; 2]), slice(&[1; 2]), slice(&[-1; 2]))?;
    let widths = black_box([(Width::W8, ready)]);
    let mut conv = Conv2dS8::new(window, weights, &widths, quant)?;
    black_box((Conv2dS8::scratch(&conv), Conv2dS8::width(&conv)));
    let _ = black_box((Conv2dS8::output(&conv), Conv2dS8::set_width(&mut conv, black_box(Width::W8))));
    let (mut bias, mut mantissa, mut shift) = ([0; 2], [0; 2], [0; 2]);
    let tables = (slice_mut(&mut bias), slice_mut(&mut mantissa), slice_mut(&mut shift));
    let _ = black_box(RequantTable::<2>::depthwise(slice(&[1; 8]), &quant, slice(&[]), &scale));
    let requant = Requant::build_depthwise(tables, slice(&[1; 8]), &quant, slice(&[]), &scale)?;
    let depthwise = DepthwiseConv2dS8::new(window, slice(&[1; 8]), requant, quant)?;
    let _ = black_box(DepthwiseConv2dS8::output(&depthwise));
    let shape = TransposeShape2d::same(picture()?, picture()?, pair(), pair())?;
    let transpose = TransposeConv2dS8::new(shape, slice(&[1; 16]), ready, quant)?;
    let average = AveragePool2dS8::new(window, codes, black_box(Activation::None))?;
    let most = MaxPool2dS8::new(window, codes, black_box(Activation::None))?;
    call(&KernelsS8 { conv: &conv, depthwise: &depthwise, transpose: &transpose, average: &average, most: &most });
    Ok(())
}

struct KernelsS16<'a> {
    conv: &'a Conv2dS16<'a>,
    depthwise: &'a DepthwiseConv2dS16<'a>,
    transpose: &'a TransposeConv2dS16<'a>,
    average: &'a AveragePool2dS16,
    most: &'a MaxPool2dS16,
}

fn with_s16(call: &mut dyn FnMut(&KernelsS16<'_>)) -> Result<(), Error> {
    let pair = || black_box([2, 2]);
    let (min, max) = black_box((-5, 5));
    let window = Window2d::same(picture()?, pair(), pair(), black_box([1, 1]))?;
    let weights = Weights::s8(slice(&[1; 16]), Rows::new(black_box(2), black_box(8))?)?;
    let requant = RequantS16::new(slice(&[1; 2]), slice(&[1; 2]), slice(&[-1; 2]))?;
    let narrow = RequantS16::narrow(slice(&[1; 2]), slice(&[1; 2]), slice(&[-1; 2]))?;
    black_box(RequantS16::outputs(&narrow));
    let widths = black_box([(Width::W8, narrow)]);
    let conv = Conv2dS16::new(window, weights, &widths, min, max)?;
    black_box(Conv2dS16::scratch(&conv));
    let _ = black_box(Conv2dS16::output(&conv));
    let depthwise = DepthwiseConv2dS16::new(window, slice(&[1; 8]), requant, min, max)?;
    let _ = black_box(DepthwiseConv2dS16::output(&depthwise));
    let shape = TransposeShape2d::same(picture()?, picture()?, pair(), pair())?;
    let transpose = TransposeConv2dS16::new(shape, slice(&[1; 16]), requant, min, max)?;
    let codes = Quantization::new(black_box(0.1), black_box(0));
    let average = AveragePool2dS16::new(window, codes, black_box(Activation::None))?;
    let most = MaxPool2dS16::new(window, codes, black_box(Activation::None))?;
    call(&KernelsS16 { conv: &conv, depthwise: &depthwise, transpose: &transpose, average: &average, most: &most });
    Ok(())
}

fn on<D: Dispatch>(backend: D) {
    let _ = black_box(with_s8(&mut |kernels| {
        let KernelsS8 { conv, depthwise, transpose, average, most } = kernels;
        let (mut y, mut scratch) = ([0; 64], [0; 64]);
        let _ = black_box(Conv2dS8::run_on(conv, backend, slice(&[1; 64]), slice_mut(&mut y), slice_mut(&mut scratch)));
        let _ = black_box(DepthwiseConv2dS8::run_on(depthwise, backend, slice(&[1; 64]), slice_mut(&mut y)));
        let _ = black_box(TransposeConv2dS8::run_on(transpose, backend, slice(&[1; 64]), slice_mut(&mut y)));
        let _ = black_box(AveragePool2dS8::run_on(average, backend, slice(&[1; 64]), slice_mut(&mut y)));
        let _ = black_box(MaxPool2dS8::run_on(most, backend, slice(&[1; 64]), slice_mut(&mut y)));
    }));
    let _ = black_box(with_s16(&mut |kernels| {
        let KernelsS16 { conv, depthwise, transpose, average, most } = kernels;
        let (mut y, mut scratch) = ([0; 64], [0; 64]);
        let _ =
            black_box(Conv2dS16::run_on(conv, backend, slice(&[1; 64]), slice_mut(&mut y), slice_mut(&mut scratch)));
        let _ = black_box(DepthwiseConv2dS16::run_on(depthwise, backend, slice(&[1; 64]), slice_mut(&mut y)));
        let _ = black_box(TransposeConv2dS16::run_on(transpose, backend, slice(&[1; 64]), slice_mut(&mut y)));
        let _ = black_box(AveragePool2dS16::run_on(average, backend, slice(&[1; 64]), slice_mut(&mut y)));
        let _ = black_box(MaxPool2dS16::run_on(most, backend, slice(&[1; 64]), slice_mut(&mut y)));
    }));
}
