//! AVERAGE_POOL_2D and MAX_POOL_2D.

use anyhow::{Result, ensure};
use scrimp::Quantization;
use scrimp::nn::{Activation, AveragePool2dS8, AveragePool2dS16, MaxPool2dS8, MaxPool2dS16};
use scrimp::shape::Nhwc;

use super::layer::{Moves, activation_of, comes_out, input, nhwc, positive, quantization, quantization_text};
use crate::emit::Emitter;
use crate::graph::Element;
use crate::lower::{Cx, Lowered};
use crate::op::{self, Around};
use crate::operator::{Args, Io, Operator};

#[derive(Debug)]
struct Pool {
    input: Nhwc,
    moves: Moves,
    codes: Quantization,
    activation: Activation,
    kernel: Kernel,
}

#[derive(Debug)]
enum Kernel {
    AverageS8(AveragePool2dS8),
    AverageS16(AveragePool2dS16),
    MaxS8(MaxPool2dS8),
    MaxS16(MaxPool2dS16),
}

pub(crate) fn lower(cx: &Cx<'_>, pool: &op::Pool, is_average: bool) -> Result<Lowered> {
    cx.counts(1..=1, 1)?;
    let (id, x) = input(cx, 0)?;
    let y = cx.y(0)?;
    ensure!(x.element == y.element, "its input is {x}, but its output {y}");
    let (codes, of_output) = (quantization(x)?, quantization(y)?);
    ensure!(
        codes == of_output,
        "its input has {codes:?}, but its output {of_output:?}: a pool keeps the codes as they are"
    );
    let input = nhwc(x)?;
    let moves = Moves {
        same: pool.same,
        around: Around::default(),
        kernel: [positive(pool.filter_h, "window")?, positive(pool.filter_w, "window")?],
        stride: [positive(pool.stride_h, "stride")?, positive(pool.stride_w, "stride")?],
        dilation: [1, 1],
    };
    let window = moves.window(input)?;
    comes_out(y, window.output(input.channels())?)?;
    let activation = activation_of(pool.activation)?;
    let kernel = match (is_average, x.element == Element::I8) {
        (true, true) => Kernel::AverageS8(AveragePool2dS8::new(window, codes, activation)?),
        (true, false) => Kernel::AverageS16(AveragePool2dS16::new(window, codes, activation)?),
        (false, true) => Kernel::MaxS8(MaxPool2dS8::new(window, codes, activation)?),
        (false, false) => Kernel::MaxS16(MaxPool2dS16::new(window, codes, activation)?),
    };
    Ok(Lowered::kernel(Pool { input, moves, codes, activation, kernel }, vec![id]))
}

impl Operator for Pool {
    fn kernel(&self) -> &'static str {
        match self.kernel {
            Kernel::AverageS8(_) => "AveragePool2dS8",
            Kernel::AverageS16(_) => "AveragePool2dS16",
            Kernel::MaxS8(_) => "MaxPool2dS8",
            Kernel::MaxS16(_) => "MaxPool2dS16",
        }
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        match &self.kernel {
            Kernel::AverageS8(pool) => pool.run(io.x(0), io.y(0))?,
            Kernel::AverageS16(pool) => pool.run(io.x(0), io.y(0))?,
            Kernel::MaxS8(pool) => pool.run(io.x(0), io.y(0))?,
            Kernel::MaxS16(pool) => pool.run(io.x(0), io.y(0))?,
        }
        Ok(())
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let (window, codes) = (self.moves.text(self.input), quantization_text(self.codes));
        let (kernel, activation) = (self.kernel(), self.activation);
        let name = out.layer(
            "POOL",
            &format!("scrimp::nn::{kernel}"),
            &format!("scrimp::nn::{kernel}::new({window}, {codes}, scrimp::nn::Activation::{activation:?})"),
        );
        format!("{name}.run({}, {})", args.x[0], args.y[0])
    }
}
