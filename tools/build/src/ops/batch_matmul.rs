//! BATCH_MATMUL: products of matrices in batches, either of which may be constant.

use anyhow::{Context as _, Result, bail, ensure};
use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{BatchMatMulS8, BatchMatMulS16, BatchShape};

use super::fully_connected::multiplier;
use super::layer::{Quant, multiplier_text};
use crate::emit::Emitter;
use crate::graph::{Element, TensorId};
use crate::lower::{Cx, Lowered};
use crate::op::Fused;
use crate::operator::{Args, Io, Operator, Scratch};

#[derive(Debug)]
struct Product {
    kernel: Kernel,
    multiplier: Multiplier,
    quant: Quant,
    rhs_zero: i32,
    dims: Dims,
    operands: [Operand; 2],
}

#[derive(Debug)]
enum Kernel {
    S8(BatchMatMulS8),
    S16(BatchMatMulS16),
}

/// Where a matrix comes from.
#[derive(Debug)]
enum Operand {
    /// This activation of the step.
    Input(usize),
    S8(Vec<i8>),
    S16(Vec<i16>),
}

/// Extents as [`BatchShape`] takes them: an outer batch axis, and four more.
#[derive(Clone, Copy, Debug)]
struct Dims {
    outer: [usize; 2],
    lhs: [usize; 4],
    rhs: [usize; 4],
    adj: [bool; 2],
}

pub(crate) fn lower(cx: &Cx<'_>, adj_x: bool, adj_y: bool) -> Result<Lowered> {
    cx.counts(2..=2, 1)?;
    let (lhs, rhs, y) = (cx.x(0)?, cx.x(1)?, cx.y(0)?);
    ensure!(
        matches!(lhs.element, Element::I8 | Element::I16) && lhs.element == rhs.element,
        "its inputs are {lhs} and {rhs}; int8 or int16 is needed here: convert with full integer quantization"
    );
    let of = Dims::new(&lhs.shape, &rhs.shape, [adj_x, adj_y]);
    let (dims, want) = of.with_context(|| format!("{lhs} times {rhs}"))?;
    ensure!(y.shape == want, "its output is {y}, but {want:?} comes out");
    let quant = Quant::new(lhs, y, Fused::None)?;
    let (_, rhs_zero) = rhs.quantization()?;
    ensure!(lhs.element == Element::I8 || rhs_zero == 0, "{rhs} has zero point {rhs_zero}; int16 has none");
    let multiplier = multiplier(&quant, rhs)?;
    let kernel = if lhs.element == Element::I8 {
        let offsets = [-quant.input.zero_point, -rhs_zero];
        Kernel::S8(BatchMatMulS8::new(multiplier, offsets, quant.output.zero_point)?)
    } else {
        Kernel::S16(BatchMatMulS16::new(multiplier, i16::MIN, i16::MAX)?)
    };
    let mut inputs: Vec<TensorId> = Vec::new();
    let mut operand = |k: usize| -> Result<Operand> {
        let tensor = cx.x(k)?;
        Ok(match (tensor.is_constant(), tensor.element) {
            (true, Element::I8) => Operand::S8(tensor.i8s()?),
            (true, _) => Operand::S16(tensor.i16s()?),
            (false, _) => {
                inputs.push(cx.input(k)?);
                Operand::Input(inputs.len() - 1)
            }
        })
    };
    let operands = [operand(0)?, operand(1)?];
    Ok(Lowered::kernel(Product { kernel, multiplier, quant, rhs_zero, dims, operands }, inputs))
}

impl Dims {
    /// And the shape of the output.
    fn new(lhs: &[usize], rhs: &[usize], adj: [bool; 2]) -> Result<(Self, Vec<usize>)> {
        let split = |shape: &[usize]| match shape {
            [batches @ .., rows, cols] => Ok((batches.to_vec(), [*rows, *cols])),
            _ => bail!("a matrix has two axes"),
        };
        let ((mut l, l_matrix), (mut r, r_matrix)) = (split(lhs)?, split(rhs)?);
        // The shorter list of batch axes is the inner part of the longer.
        while l.len() < r.len() {
            l.insert(0, 1);
        }
        while r.len() < l.len() {
            r.insert(0, 1);
        }
        let mut output: Vec<usize> = l.iter().zip(&r).map(|(&l, &r)| l.max(r)).collect();
        // Neighbouring axes that broadcast alike are one.
        let mut axes: Vec<[usize; 2]> = Vec::new();
        for pair in l.into_iter().zip(r).map(|(l, r)| [l, r]).filter(|&pair| pair != [1, 1]) {
            match axes.last_mut() {
                Some(last) if kind(*last) == kind(pair) => *last = [last[0] * pair[0], last[1] * pair[1]],
                _ => axes.push(pair),
            }
        }
        ensure!(axes.len() <= 3, "more than three batch axes that broadcast differently are not supported");
        while axes.len() < 3 {
            axes.insert(0, [1, 1]);
        }
        let of = |side: usize, [rows, cols]: [usize; 2]| [axes[1][side], axes[2][side], rows, cols];
        let dims = Self { outer: axes[0], lhs: of(0, l_matrix), rhs: of(1, r_matrix), adj };
        let [.., rows, cols] = dims.shape()?.output();
        output.extend([rows, cols]);
        Ok((dims, output))
    }

    fn shape(&self) -> Result<BatchShape> {
        let Self { outer: [l, r], lhs, rhs, adj: [adj_x, adj_y] } = *self;
        Ok(BatchShape::new(lhs, rhs, adj_x, adj_y)?.with_outer(l, r)?)
    }
}

/// How an axis broadcasts: not, or from one side.
fn kind([l, r]: [usize; 2]) -> (bool, bool) {
    (l == 1, r == 1)
}

impl Operator for Product {
    fn kernel(&self) -> &'static str {
        match self.kernel {
            Kernel::S8(_) => "BatchMatMulS8",
            Kernel::S16(_) => "BatchMatMulS16",
        }
    }

    fn run(&self, io: &mut Io<'_>) -> Result<()> {
        let shape = self.dims.shape()?;
        let [lhs, rhs] = &self.operands;
        match &self.kernel {
            Kernel::S8(product) => {
                let of = |operand| match operand {
                    &Operand::Input(k) => Ok(io.x(k)),
                    Operand::S8(codes) => Ok(codes.as_slice()),
                    Operand::S16(_) => bail!("a matrix is one of 16 bits"),
                };
                let (lhs, rhs) = (of(lhs)?, of(rhs)?);
                let (y, scratch) = io.y_scratch(0);
                product.run(lhs, rhs, y, &shape, scratch)?;
            }
            Kernel::S16(product) => {
                let of = |operand| match operand {
                    &Operand::Input(k) => Ok(io.x(k)),
                    Operand::S16(codes) => Ok(codes.as_slice()),
                    Operand::S8(_) => bail!("a matrix is one of 8 bits"),
                };
                let (lhs, rhs) = (of(lhs)?, of(rhs)?);
                product.run(lhs, rhs, io.y(0), &shape)?;
            }
        }
        Ok(())
    }

    fn scratch(&self) -> Scratch {
        let len = match self.kernel {
            Kernel::S8(_) => self.dims.shape().map_or(0, |shape| shape.scratch()),
            Kernel::S16(_) => 0,
        };
        Scratch { element: Element::I32, len }
    }

    fn macs(&self) -> u64 {
        let Dims { outer, lhs: [l0, l1, l_rows, l_cols], rhs: [r0, r1, r_rows, r_cols], adj } = self.dims;
        let (rows, depth) = if adj[0] { (l_cols, l_rows) } else { (l_rows, l_cols) };
        let cols = if adj[1] { r_rows } else { r_cols };
        (outer[0].max(outer[1]) * l0.max(r0) * l1.max(r1)) as u64 * (rows * depth * cols) as u64
    }

    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String {
        let Self { multiplier, quant, rhs_zero, dims, .. } = self;
        let multiplier = multiplier_text(*multiplier);
        let (ty, constructor) = match self.kernel {
            Kernel::S8(_) => {
                let (lhs, rhs, y) = (-quant.input.zero_point, -rhs_zero, quant.output.zero_point);
                ("scrimp::nn::BatchMatMulS8", format!("new({multiplier}, [{lhs}, {rhs}], {y})"))
            }
            Kernel::S16(_) => ("scrimp::nn::BatchMatMulS16", format!("new({multiplier}, i16::MIN, i16::MAX)")),
        };
        let name = out.layer("PRODUCT", ty, &format!("{ty}::{constructor}"));
        let Dims { outer: [outer_l, outer_r], lhs, rhs, adj: [adj_x, adj_y] } = dims;
        let mut shape = format!("scrimp::expect!(scrimp::nn::BatchShape::new({lhs:?}, {rhs:?}, {adj_x}, {adj_y}))");
        if (*outer_l, *outer_r) != (1, 1) {
            shape = format!("scrimp::expect!({shape}.with_outer({outer_l}, {outer_r}))");
        }
        let shape = out.table("SHAPE", "scrimp::nn::BatchShape", &shape);
        let mut of = |operand: &Operand| match operand {
            Operand::Input(k) => args.x[*k].clone(),
            Operand::S8(codes) => out.i8s(codes),
            Operand::S16(codes) => out.i16s(codes),
        };
        let (lhs, rhs) = (of(&self.operands[0]), of(&self.operands[1]));
        let scratch = match self.kernel {
            Kernel::S8(_) => format!(", {}", args.scratch),
            Kernel::S16(_) => String::new(),
        };
        format!("{name}.run({lhs}, {rhs}, {}, &{shape}{scratch})", args.y[0])
    }
}
