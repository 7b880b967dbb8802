//! Convolutions and pools of 8-bit pictures (batch, height, width, channels), with TFLite's bytes.

use scrimp::Quantization;
use scrimp::Rows;
use scrimp::bits::{Weights, Width};
use scrimp::nn::{Activation, AveragePool2dS8, Conv2dS8, DepthwiseConv2dS8, MaxPool2dS8, Window2d};
use scrimp::shape::Nhwc;

use crate::layers::{Kind, Params, Scales, Tables, fill};
use crate::pointer::between;
use crate::{Status, shared, slice, slice_mut};

/// How a kernel moves over pictures. TFLite's SAME pads `max(0, (output - 1) * stride + (kernel - 1) * dilation + 1 - input)`
/// in all, the smaller half before.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Window {
    /// Pictures.
    pub batches: usize,
    /// Rows of a picture.
    pub height: usize,
    /// Columns of a picture.
    pub width: usize,
    /// Channels of a picture.
    pub channels: usize,
    /// Rows of the kernel.
    pub kernel_height: usize,
    /// Columns of the kernel.
    pub kernel_width: usize,
    /// Rows from output to output.
    pub stride_height: usize,
    /// Columns from output to output.
    pub stride_width: usize,
    /// Rows from tap to tap, 1 for an ordinary kernel.
    pub dilation_height: usize,
    /// Columns from tap to tap.
    pub dilation_width: usize,
    /// Rows of padding above.
    pub pad_top: usize,
    /// Rows of padding below.
    pub pad_bottom: usize,
    /// Columns of padding on the left.
    pub pad_left: usize,
    /// Columns of padding on the right.
    pub pad_right: usize,
}

impl Window {
    fn window(&self) -> Result<Window2d, Status> {
        let input = Nhwc::new(self.batches, self.height, self.width, self.channels)?;
        Ok(Window2d::padded(
            input,
            [self.kernel_height, self.kernel_width],
            [self.stride_height, self.stride_width],
            [self.dilation_height, self.dilation_width],
            [self.pad_top, self.pad_left],
            [self.pad_bottom, self.pad_right],
        )?)
    }

    /// Weights of a convolution, a row an output.
    fn shape(&self, outputs: usize) -> Result<Rows, Status> {
        let taps = self.kernel_height.checked_mul(self.kernel_width).ok_or(Status::Size)?;
        Ok(Rows::new(outputs, taps.checked_mul(self.channels).ok_or(Status::Size)?)?)
    }

    /// Weights of a depthwise convolution.
    fn taps(&self, outputs: usize) -> Result<usize, Status> {
        let taps = self.kernel_height.checked_mul(self.kernel_width).ok_or(Status::Size)?;
        taps.checked_mul(outputs).ok_or(Status::Size)
    }
}

/// Fills the tables of a convolution.
///
/// # Safety
/// Every pointer is to what its type and documentation say; `weights` are `[outputs][kernel_height][kernel_width][channels]`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scrimp_convolve_s8_init(
    window: *const Window,
    params: *const Params,
    scales: *const Scales,
    weights: *const i8,
    outputs: usize,
    tables: *const Tables,
) -> Status {
    let run = || -> Result<(), Status> {
        // SAFETY: as this function's.
        let shape = unsafe { shared(window) }?.shape(outputs)?;
        // SAFETY: as this function's.
        let quant = unsafe { shared(params) }?.quant()?;
        // SAFETY: as this function's.
        let scales = unsafe { shared(scales) }?;
        // SAFETY: as this function's.
        let tables = unsafe { shared(tables) }?;
        // SAFETY: as this function's.
        let weights = Weights::s8(unsafe { slice(weights, shape.elements()) }?, shape)?;
        // SAFETY: as this function's.
        unsafe { fill(&Kind::Rows(&weights), outputs, &quant, scales, tables) }
    };
    run().into()
}

/// Runs a convolution: the bytes of `arm_convolve_s8`.
///
/// # Safety
/// As `scrimp_convolve_s8_init`, which has filled the tables; `input` and `output` have the sizes that follow from the window,
/// `scratch` has `scratch_bytes`, all apart.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scrimp_convolve_s8(
    window: *const Window,
    params: *const Params,
    tables: *const Tables,
    weights: *const i8,
    outputs: usize,
    input: *const i8,
    output: *mut i8,
    scratch: *mut i8,
    scratch_bytes: usize,
) -> Status {
    let run = || -> Result<(), Status> {
        // SAFETY: as this function's.
        let window = unsafe { shared(window) }?;
        let shape = window.shape(outputs)?;
        // SAFETY: as this function's.
        let quant = unsafe { shared(params) }?.quant()?;
        // SAFETY: as this function's.
        let tables = unsafe { shared(tables) }?;
        // SAFETY: as this function's.
        let requant = unsafe { tables.read(outputs) }?;
        // SAFETY: as this function's.
        let weights = Weights::s8(unsafe { slice(weights, shape.elements()) }?, shape)?;
        let widths = [(Width::W8, requant)];
        let layer = Conv2dS8::new(window.window()?, weights, &widths, quant)?;
        // SAFETY: as this function's.
        let x = unsafe { slice(input, window.window()?.input().elements()) }?;
        // SAFETY: as this function's.
        let y = unsafe { slice_mut(output, layer.output()?.elements()) }?;
        // SAFETY: as this function's.
        let scratch = unsafe { slice_mut(scratch, scratch_bytes) }?;
        Ok(layer.run(x, y, scratch)?)
    };
    run().into()
}

/// Fills the tables of a depthwise convolution; `outputs` is a multiple of the channels.
///
/// # Safety
/// Every pointer is to what its type and documentation say; `weights` are `[kernel_height][kernel_width][outputs]`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scrimp_depthwise_conv_s8_init(
    window: *const Window,
    params: *const Params,
    scales: *const Scales,
    weights: *const i8,
    outputs: usize,
    tables: *const Tables,
) -> Status {
    let run = || -> Result<(), Status> {
        // SAFETY: as this function's.
        let taps = unsafe { shared(window) }?.taps(outputs)?;
        // SAFETY: as this function's.
        let quant = unsafe { shared(params) }?.quant()?;
        // SAFETY: as this function's.
        let scales = unsafe { shared(scales) }?;
        // SAFETY: as this function's.
        let tables = unsafe { shared(tables) }?;
        // SAFETY: as this function's.
        let weights = unsafe { slice(weights, taps) }?;
        // SAFETY: as this function's.
        unsafe { fill(&Kind::Depthwise(weights), outputs, &quant, scales, tables) }
    };
    run().into()
}

/// Runs a depthwise convolution: the bytes of `arm_depthwise_conv_s8`.
///
/// # Safety
/// As `scrimp_depthwise_conv_s8_init`, which has filled the tables; `input` and `output` have the sizes that follow from the
/// window, apart from all else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scrimp_depthwise_conv_s8(
    window: *const Window,
    params: *const Params,
    tables: *const Tables,
    weights: *const i8,
    outputs: usize,
    input: *const i8,
    output: *mut i8,
) -> Status {
    let run = || -> Result<(), Status> {
        // SAFETY: as this function's.
        let window = unsafe { shared(window) }?;
        // SAFETY: as this function's.
        let quant = unsafe { shared(params) }?.quant()?;
        // SAFETY: as this function's.
        let tables = unsafe { shared(tables) }?;
        // SAFETY: as this function's.
        let requant = unsafe { tables.read(outputs) }?;
        // SAFETY: as this function's.
        let weights = unsafe { slice(weights, window.taps(outputs)?) }?;
        let layer = DepthwiseConv2dS8::new(window.window()?, weights, requant, quant)?;
        let inputs = window.window()?.input().elements();
        let outputs = layer.output()?.elements();
        // SAFETY: as this function's.
        unsafe { between((input, inputs), (output, outputs), |x, y| layer.run(x, y)) }
    };
    run().into()
}

/// The largest code under each window: the bytes of `arm_max_pool_s8`.
///
/// # Safety
/// `window` points to one; `input` and `output` have the sizes that follow from it, apart.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scrimp_max_pool_s8(window: *const Window, input: *const i8, output: *mut i8) -> Status {
    let run = || -> Result<(), Status> {
        // SAFETY: as this function's.
        let window = unsafe { shared(window) }?.window()?;
        let pool = MaxPool2dS8::new(window, Quantization::new(1.0, 0), Activation::None)?;
        let outputs = window.output(window.input().channels())?.elements();
        // SAFETY: as this function's.
        unsafe { between((input, window.input().elements()), (output, outputs), |x, y| pool.run(x, y)) }
    };
    run().into()
}

/// The mean of the codes under each window, those of the padding left out: the bytes of `arm_avgpool_s8`.
///
/// # Safety
/// As `scrimp_max_pool_s8`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scrimp_avgpool_s8(window: *const Window, input: *const i8, output: *mut i8) -> Status {
    let run = || -> Result<(), Status> {
        // SAFETY: as this function's.
        let window = unsafe { shared(window) }?.window()?;
        let pool = AveragePool2dS8::new(window, Quantization::new(1.0, 0), Activation::None)?;
        let outputs = window.output(window.input().channels())?.elements();
        // SAFETY: as this function's.
        unsafe { between((input, window.input().elements()), (output, outputs), |x, y| pool.run(x, y)) }
    };
    run().into()
}

#[cfg(test)]
mod tests {
    use scrimp::nn::{QuantS8, Requant};

    use super::*;

    /// `SCRIMP_CONVOLVE_S8_SCRATCH` of scrimp.h.
    const fn most(depth: usize) -> usize {
        if depth < 256 { 512 } else { 2 * depth }
    }

    #[test]
    fn the_header_has_enough_scratch() {
        let quant = QuantS8::PLAIN;
        let mut largest = 0;
        for (kernel, channels) in
            [(1, 1), (1, 300), (3, 1), (3, 3), (3, 16), (3, 28), (3, 29), (3, 64), (5, 41), (7, 120)]
        {
            for stride in [1, 2, 3] {
                let depth = kernel * kernel * channels;
                let input = Nhwc::new(1, 9, 11, channels).expect("a picture");
                let window = Window2d::same(input, [kernel; 2], [stride; 2], [1, 1]).expect("a window");
                let codes = vec![1; 2 * depth];
                let weights = Weights::s8(&codes, Rows::new(2, depth).expect("rows")).expect("weights");
                let widths = [(Width::W8, Requant::new(&[0; 2], &[1 << 30; 2], &[0; 2]).expect("tables"))];
                let conv = Conv2dS8::new(window, weights, &widths, quant).expect("a convolution");
                assert!(conv.scratch() <= most(depth), "{kernel} {channels} {stride}: {}", conv.scratch());
                largest = largest.max(conv.scratch());
            }
        }
        assert!(largest > 4096, "no case needed any");
    }
}
