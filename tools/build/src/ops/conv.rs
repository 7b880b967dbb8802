//! CONV_2D; and DEPTHWISE_CONV_2D of one channel, which is a convolution whose weights lie otherwise.

use anyhow::{Context as _, Result, bail, ensure};
use scrimp::Rows;
use scrimp::bits::{Layout, Width};
use scrimp::nn::{Conv2dS8, Conv2dS16, Requant, Window2d};
use scrimp::shape::Nhwc;

use super::layer::{
    Moves, Packed, Quant, TablesS8, TablesS16, bias_s8, comes_out, input, multipliers, nhwc, positive, sums_of,
};
use crate::emit::Emitter;
use crate::graph::{Element, Tensor};
use crate::lower::{Cx, Lowered};
use crate::op;
use crate::operator::{Args, Io, Operator, Scratch};

#[derive(Debug)]
struct Conv {
    input: Nhwc,
    moves: Moves,
    window: Window2d,
    shape: Rows,
    weights: Packed,
    tables: Tables,
    quant: Quant,
    scratch: usize,
}

#[derive(Debug)]
enum Tables {
    S8(TablesS8),
    S16(TablesS16),
}

/// The weights of a convolution, `[output][kernel row][kernel column][channel]`.
pub(super) struct Kernel<'a> {
    pub(super) codes: Vec<i8>,
    /// The last three extents.
    pub(super) kernel: [usize; 2],
    pub(super) channels: usize,
    pub(super) outputs: usize,
    /// Where the scales are.
    pub(super) tensor: &'a Tensor,
}

pub(crate) fn lower(cx: &Cx<'_>, conv: &op::Conv) -> Result<Lowered> {
    let w = cx.x(1)?;
    let &[outputs, height, width, channels] = w.shape.as_slice() else {
        bail!("its weights are {w}, four axes are needed")
    };
    lower_with(cx, conv, Kernel { codes: w.i8s()?, kernel: [height, width], channels, outputs, tensor: w })
}

/// Whatever operator the weights come from.
pub(super) fn lower_with(cx: &Cx<'_>, conv: &op::Conv, kernel: Kernel<'_>) -> Result<Lowered> {
    cx.counts(2..=3, 1)?;
    let (id, x) = input(cx, 0)?;
    let y = cx.y(0)?;
    let input = nhwc(x)?;
    let Kernel { codes, kernel, channels, outputs, tensor } = kernel;
    let moves = moves(conv, kernel)?;
    let window = moves.window(input)?;
    comes_out(y, window.output(outputs)?)?;
    ensure!(
        channels > 0 && input.channels().is_multiple_of(channels),
        "its weights are {tensor}, but its input {x} has {} channels",
        input.channels()
    );
    let is_grouped = channels != input.channels();
    let shape = Rows::new(outputs, kernel[0] * kernel[1] * channels).with_context(|| format!("weights {tensor}"))?;
    let quant = Quant::new(x, y, conv.activation)?;
    let multipliers = multipliers(&quant, tensor, outputs)?;
    let sums = sums_of(&codes, shape.cols());
    let weights = Packed::pack(codes, shape, if is_grouped { Layout::Rows } else { cx.layout })?;
    let bias = cx.optional_x(2);
    let tables = if x.element == Element::I8 {
        let mut tables = TablesS8::new(outputs);
        let bias = bias_s8(bias, outputs)?;
        Requant::build(tables.fill(), &weights.weights(shape)?, Width::W8, &quant.s8()?, &bias, &multipliers)?;
        tables.settle(&sums, shape.cols(), &quant.s8()?);
        Tables::S8(tables)
    } else {
        Tables::S16(TablesS16::new(outputs, bias, &multipliers, true)?)
    };
    let mut conv = Conv { input, moves, window, shape, weights, tables, quant, scratch: 0 };
    // Everything that the constructor refuses is refused here, not when it runs.
    conv.scratch = match conv.tables {
        Tables::S8(_) => conv.with_s8(|conv| Ok(conv.scratch()))?,
        Tables::S16(_) => conv.with_s16(|conv| Ok(conv.scratch()))?,
    };
    Ok(Lowered::kernel(conv, vec![id]))
}

/// How the window of a convolution moves.
pub(super) fn moves(conv: &op::Conv, kernel: [usize; 2]) -> Result<Moves> {
    Ok(Moves {
        same: conv.same,
        around: conv.around,
        kernel,
        stride: [positive(conv.stride_h, "stride")?, positive(conv.stride_w, "stride")?],
        dilation: [positive(conv.dilation_h, "dilation")?, positive(conv.dilation_w, "dilation")?],
    })
}

impl Conv {
    fn with_s8<T>(&self, use_it: impl FnOnce(&Conv2dS8<'_>) -> Result<T>) -> Result<T> {
        let Tables::S8(tables) = &self.tables else { bail!("it is one of 16 bits") };
        let widths = [(Width::W8, tables.requant()?)];
        use_it(&Conv2dS8::new(self.window, self.weights.weights(self.shape)?, &widths, self.quant.s8()?)?)
    }

    fn with_s16<T>(&self, use_it: impl FnOnce(&Conv2dS16<'_>) -> Result<T>) -> Result<T> {
        let Tables::S16(tables) = &self.tables else { bail!("it is one of 8 bits") };
        let (widths, (min, max)) = ([(Width::W8, tables.requant()?)], self.quant.range_s16());
        use_it(&Conv2dS16::new(self.window, self.weights.weights(self.shape)?, &widths, min, max)?)
    }
}

impl Operator for Conv {
    fn kernel(&self) -> &'static str {
        match self.tables {
            Tables::S8(_) => "Conv2dS8",
            Tables::S16(_) => "Conv2dS16",
        }
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        match self.tables {
            Tables::S8(_) => self.with_s8(|conv| {
                let x = io.x(0);
                let (y, scratch) = io.y_scratch(0);
                Ok(conv.run(x, y, scratch)?)
            }),
            Tables::S16(_) => self.with_s16(|conv| {
                let x = io.x(0);
                let (y, scratch) = io.y_scratch(0);
                Ok(conv.run(x, y, scratch)?)
            }),
        }
    }

    fn scratch(&self) -> Scratch {
        let element = match self.tables {
            Tables::S8(_) => Element::I8,
            Tables::S16(_) => Element::I16,
        };
        Scratch { element, len: self.scratch }
    }

    fn macs(&self) -> u64 {
        let [height, width] = self.window.output_size();
        (self.input.batch() * height * width) as u64 * self.shape.elements() as u64
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let weights = self.weights.emit(self.shape, out);
        let window = self.moves.text(self.input);
        let (kernel, widths, rest) = match &self.tables {
            Tables::S8(tables) => ("Conv2dS8", tables.emit_widths(out), self.quant.text_s8()),
            Tables::S16(tables) => ("Conv2dS16", tables.emit_widths(out), self.quant.text_s16()),
        };
        let name = out.layer(
            "CONV",
            &format!("scrimp::nn::{kernel}<'static>"),
            &format!("scrimp::nn::{kernel}::new({window}, {weights}, &{widths}, {rest})"),
        );
        format!("{name}.run({}, {}, {})", args.x[0], args.y[0], args.scratch)
    }
}
