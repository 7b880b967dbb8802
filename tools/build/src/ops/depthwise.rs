//! DEPTHWISE_CONV_2D: weights `[1][kernel row][kernel column][output]`.

use anyhow::{Result, bail, ensure};
use scrimp::nn::{DepthwiseConv2dS8, DepthwiseConv2dS16, Requant, Window2d};
use scrimp::shape::Nhwc;

use super::conv::{Kernel, lower_with, moves};
use super::layer::{Moves, Quant, TablesS8, TablesS16, bias_s8, comes_out, input, multipliers, nhwc};
use crate::emit::Emitter;
use crate::graph::Element;
use crate::lower::{Cx, Lowered};
use crate::op;
use crate::operator::{Args, Io, Operator};

#[derive(Debug)]
struct Depthwise {
    input: Nhwc,
    moves: Moves,
    window: Window2d,
    outputs: usize,
    weights: Vec<i8>,
    tables: Tables,
    quant: Quant,
}

#[derive(Debug)]
enum Tables {
    S8(TablesS8),
    S16(TablesS16),
}

pub(crate) fn lower(cx: &Cx<'_>, conv: &op::Conv, multiplier: i32) -> Result<Lowered> {
    cx.counts(2..=3, 1)?;
    let (id, x) = input(cx, 0)?;
    let (w, y) = (cx.x(1)?, cx.y(0)?);
    let input = nhwc(x)?;
    let &[1, height, width, outputs] = w.shape.as_slice() else {
        bail!("its weights are {w}, four axes are needed, the first of extent 1")
    };
    ensure!(
        i64::from(multiplier) * input.channels() as i64 == outputs as i64,
        "its weights are {w}, but {} channels with a multiplier of {multiplier} need {} outputs",
        input.channels(),
        i64::from(multiplier) * input.channels() as i64
    );
    let (codes, kernel) = (w.i8s()?, [height, width]);
    let is_wide = x.element == Element::I8 || cx.optional_x(2).is_none_or(|bias| bias.element == Element::I64);
    ensure!(is_wide, "its bias is {}; int64 is needed where activations are int16", cx.x(2)?);
    if input.channels() == 1 {
        // A convolution has faster loops.
        let of = |o: usize| codes.iter().skip(o).step_by(outputs).copied();
        let codes = (0..outputs).flat_map(of).collect();
        return lower_with(cx, conv, Kernel { codes, kernel, channels: 1, outputs, tensor: w });
    }
    let moves = moves(conv, kernel)?;
    let window = moves.window(input)?;
    comes_out(y, window.output(outputs)?)?;
    let quant = Quant::new(x, y, conv.activation)?;
    let multipliers = multipliers(&quant, w, outputs)?;
    let bias = cx.optional_x(2);
    let tables = if x.element == Element::I8 {
        let mut tables = TablesS8::new(outputs);
        Requant::build_depthwise(tables.fill(), &codes, &quant.s8()?, &bias_s8(bias, outputs)?, &multipliers)?;
        Tables::S8(tables)
    } else {
        Tables::S16(TablesS16::new(outputs, bias, &multipliers, false)?)
    };
    let depthwise = Depthwise { input, moves, window, outputs, weights: codes, tables, quant };
    // Everything that the constructor refuses is refused here, not when it runs.
    match depthwise.tables {
        Tables::S8(_) => depthwise.with_s8(|_| Ok(()))?,
        Tables::S16(_) => depthwise.with_s16(|_| Ok(()))?,
    }
    Ok(Lowered::kernel(depthwise, vec![id]))
}

impl Depthwise {
    fn with_s8<T>(&self, use_it: impl FnOnce(&DepthwiseConv2dS8<'_>) -> Result<T>) -> Result<T> {
        let Tables::S8(tables) = &self.tables else { bail!("it is one of 16 bits") };
        use_it(&DepthwiseConv2dS8::new(self.window, &self.weights, tables.requant()?, self.quant.s8()?)?)
    }

    fn with_s16<T>(&self, use_it: impl FnOnce(&DepthwiseConv2dS16<'_>) -> Result<T>) -> Result<T> {
        let Tables::S16(tables) = &self.tables else { bail!("it is one of 8 bits") };
        let (min, max) = self.quant.range_s16();
        use_it(&DepthwiseConv2dS16::new(self.window, &self.weights, tables.requant()?, min, max)?)
    }
}

impl Operator for Depthwise {
    fn kernel(&self) -> &'static str {
        match self.tables {
            Tables::S8(_) => "DepthwiseConv2dS8",
            Tables::S16(_) => "DepthwiseConv2dS16",
        }
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        match self.tables {
            Tables::S8(_) => self.with_s8(|conv| Ok(conv.run(io.x(0), io.y(0))?)),
            Tables::S16(_) => self.with_s16(|conv| Ok(conv.run(io.x(0), io.y(0))?)),
        }
    }

    fn macs(&self) -> u64 {
        let ([height, width], [rows, cols]) = (self.window.output_size(), self.window.kernel());
        (self.input.batch() * height * width * self.outputs * rows * cols) as u64
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let weights = out.i8s(&self.weights);
        let window = self.moves.text(self.input);
        let (kernel, requant, rest) = match &self.tables {
            Tables::S8(tables) => ("DepthwiseConv2dS8", tables.emit(out), self.quant.text_s8()),
            Tables::S16(tables) => ("DepthwiseConv2dS16", tables.emit(out), self.quant.text_s16()),
        };
        let name = out.layer(
            "DEPTHWISE",
            &format!("scrimp::nn::{kernel}<'static>"),
            &format!("scrimp::nn::{kernel}::new({window}, {weights}, {requant}, {rest})"),
        );
        format!("{name}.run({}, {})", args.x[0], args.y[0])
    }
}
