//! Integer layers at every width, in every format and layout: the same bytes as portable code written out here.

use scrimp::backend::Dispatch;
use scrimp::bits::{Format, Layout, NEST_CAP, Weights, Width, double_round_masked, nest_planes, pack_s4, packed_words};
use scrimp::fixedpoint::{Multiplier, Rounding, requantize, requantize_s64};
use scrimp::nn::{BatchMatMulS8, BatchShape, LinearS8, LinearS16, QuantS8, Requant, RequantS16};
use scrimp::{Error, Rows};

use crate::Failure;
use crate::buffer::Guarded;

const FORMATS: [Format; 4] = [Format::S8, Format::S4, Format::Raw8, Format::Nest84];
const PACKED: [Layout; 3] = [Layout::Dsp, Layout::Helium, Layout::Wide];
/// Rows of activations.
const ROWS: usize = 2;

fn unexpected(_: Error) -> Failure {
    Failure::new("a right call is an error")
}

/// Numbers without a pattern, over all of i8.
pub(crate) const fn noise(i: usize) -> i8 {
    let x = (i as u32).wrapping_add(1).wrapping_mul(0x9E37_79B9);
    ((x ^ x >> 15).wrapping_mul(0x85EB_CA6B) >> 24) as i8
}

/// A layer that follows from its shape, format and width.
#[derive(Clone, Copy)]
struct Spec {
    outputs: usize,
    depth: usize,
    format: Format,
    width: Width,
    quant: QuantS8,
}

impl Spec {
    fn new(outputs: usize, depth: usize, format: Format, width: Width) -> Self {
        let seed = outputs + depth;
        let is_clamped = seed % 2 == 1;
        let quant = QuantS8 {
            input_offset: if seed.is_multiple_of(3) { 0 } else { noise(seed).into() },
            filter_offset: if seed.is_multiple_of(4) { -15 } else { 0 },
            // Of five, one at the end of what the fast loops take and one beyond it.
            output_offset: match seed % 5 {
                0 => 255 * i32::from(noise(seed + 1).signum()),
                1 => -300,
                _ => noise(seed + 1).into(),
            },
            min: if is_clamped { -90 } else { i8::MIN },
            max: if is_clamped { 101 } else { i8::MAX },
            rounding: if seed.is_multiple_of(7) { Rounding::Single } else { Rounding::Double },
        };
        Self { outputs, depth, format, width, quant }
    }

    /// What is stored.
    fn code(&self, at: usize) -> i8 {
        let code = noise(at + self.outputs);
        match self.format {
            Format::S4 => code >> 4,
            Format::Nest84 => code.min(NEST_CAP),
            Format::S8 | Format::Raw8 => code,
        }
    }

    /// What the kernel weighs.
    fn weight(&self, at: usize) -> i8 {
        if self.format == Format::S4 { self.code(at) } else { double_round_masked(self.code(at), self.width) }
    }

    fn x(&self, at: usize) -> i8 {
        noise(3 * at + self.depth)
    }

    fn bias(&self, o: usize) -> i32 {
        i32::from(noise(o)) * 37
    }

    fn multiplier(&self, o: usize) -> Multiplier {
        let bits = usize::BITS - self.depth.leading_zeros();
        let sign = if o % 3 == 1 { -1 } else { 1 };
        // One shift in a few shapes is to the left, which the fast loops leave to others.
        let shift = if o == 2 && self.depth.is_multiple_of(5) { 1 } else { -(5 + bits as i32 / 2 + o as i32 % 3) };
        Multiplier { mantissa: sign * (1_500_000_000 - 1_000_003 * o as i32), shift }
    }

    fn sum(&self, r: usize, o: usize) -> i32 {
        let product = |i| {
            let x = i32::from(self.x(r * self.depth + i)) + self.quant.input_offset;
            x * (i32::from(self.weight(o * self.depth + i)) + self.quant.filter_offset)
        };
        (0..self.depth).map(product).sum()
    }

    fn output(&self, r: usize, o: usize) -> i8 {
        let y = requantize(self.sum(r, o) + self.bias(o), self.multiplier(o), self.quant.rounding);
        (y + self.quant.output_offset).clamp(self.quant.min.into(), self.quant.max.into()) as i8
    }

    /// Runs it as `weights` inside canaries, once at a stroke and once by its sums.
    fn check<D: Dispatch, const OUTPUTS: usize, const INPUTS: usize, const ROOM: usize>(
        &self,
        d: D,
        at: usize,
        weights: Weights<'_>,
    ) -> Result<(), Failure> {
        let Self { outputs, depth, width, quant, .. } = *self;
        let failed = |failure: Failure| failure.row(depth, outputs);
        let (mut bias, mut mantissa, mut shift) = ([0; OUTPUTS], [0; OUTPUTS], [0; OUTPUTS]);
        let tables = (&mut bias[..outputs], &mut mantissa[..outputs], &mut shift[..outputs]);
        let biases: [i32; OUTPUTS] = core::array::from_fn(|o| self.bias(o));
        let multipliers: [Multiplier; OUTPUTS] = core::array::from_fn(|o| self.multiplier(o));
        let requant = Requant::build(tables, &weights, width, &quant, &biases[..outputs], &multipliers[..outputs])
            .map_err(unexpected)?;
        let widths = [(width, requant)];
        let layer = LinearS8::new(weights, &widths, quant).map_err(unexpected)?;
        let offset = (outputs + depth + at) % 4;
        let mut x = Guarded::<i8, INPUTS>::new(offset, ROWS * depth);
        x.row().iter_mut().enumerate().for_each(|(at, x)| *x = self.x(at));
        let mut y = Guarded::<i8, ROOM>::new(3 - offset, ROWS * outputs);
        layer.run_on(d, x.row(), y.row(), ROWS).map_err(unexpected)?;
        x.check().map_err(failed)?;
        y.check().map_err(failed)?;
        for (at, &got) in y.row().iter().enumerate() {
            let want = self.output(at / outputs, at % outputs);
            if got != want {
                let rule = match (weights.layout(), weights.format()) {
                    (Layout::Rows, _) => "other bytes, weights in rows",
                    (_, Format::S8) => "other bytes, packed weights of 8 bits",
                    (_, Format::S4) => "other bytes, packed weights of 4 bits",
                    (_, Format::Raw8) => "other bytes, packed weights rounded on the way",
                    (_, Format::Nest84) => "other bytes, packed nested weights",
                };
                return Err(failed(Failure::new(rule).element(at, want.into(), got.into())));
            }
        }
        let mut sums = Guarded::<i32, ROOM>::new(offset, ROWS * outputs);
        layer.sums_on(d, x.row(), sums.row(), ROWS).map_err(unexpected)?;
        sums.check().map_err(failed)?;
        let mut finished = Guarded::<i8, ROOM>::new(offset, ROWS * outputs);
        layer.finish_on(d, sums.row(), finished.row(), ROWS).map_err(unexpected)?;
        Failure::first("other bytes by way of the sums", y.row(), finished.row()).map_err(failed)?;
        // Refined from 4 bits, the sums are those of 8.
        if self.format == Format::Nest84 && width == Width::W4 {
            layer.refine_on(d, x.row(), sums.row(), ROWS).map_err(unexpected)?;
            sums.check().map_err(failed)?;
            let of_8 = Self { width: Width::W8, ..*self };
            for (at, &got) in sums.row().iter().enumerate() {
                let (r, o) = (at / outputs, at % outputs);
                let without_offset = Self { quant: QuantS8 { input_offset: 0, ..quant }, ..of_8 };
                let want = without_offset.sum(r, o);
                if got != want {
                    return Err(failed(Failure::new("other sums after refining").element(at, want.into(), got.into())));
                }
            }
        }
        Ok(())
    }
}

/// A layer of a shape in every format and layout, at the widths.
fn layers<
    D: Dispatch,
    const CODES: usize,
    const WORDS: usize,
    const OUTPUTS: usize,
    const INPUTS: usize,
    const ROOM: usize,
>(
    d: D,
    at: usize,
    outputs: usize,
    depth: usize,
    widths: &[Width],
) -> Result<(), Failure> {
    let shape = Rows::new(outputs, depth).map_err(unexpected)?;
    let (n, bytes) = (outputs * depth, (outputs * depth).div_ceil(2));
    for format in FORMATS {
        let spec = |width| Spec::new(outputs, depth, format, width);
        let mut codes = Guarded::<i8, CODES>::filled(at, n, |at| spec(Width::W8).code(at));
        let codes = &*codes.row();
        // The lower plane starts where the upper one ends.
        let mut nibbles = Guarded::<u8, CODES>::new(at, 2 * bytes);
        let (high, low) = nibbles.row().split_at_mut(bytes);
        let rows = match format {
            Format::S8 => Weights::s8(codes, shape),
            Format::Raw8 => Weights::raw8(codes, shape),
            Format::S4 => pack_s4(codes, high).and_then(|()| Weights::s4(high, shape)),
            Format::Nest84 => nest_planes(codes, high, low).and_then(|()| Weights::nest(high, low, shape)),
        };
        let rows = rows.map_err(unexpected)?;
        for &width in widths.iter().filter(|&&width| rows.has(width)) {
            spec(width).check::<D, OUTPUTS, INPUTS, ROOM>(d, at, rows)?;
        }
        for layout in PACKED {
            let (mut words, mut low) = ([0u32; WORDS], [0u32; WORDS]);
            let length = packed_words(format, layout, shape);
            let low = &mut low[..if format == Format::Nest84 { length } else { 0 }];
            let all = if format == Format::S4 { Width::W4 } else { Width::W8 };
            let packed = rows.pack_into(format, layout, all, &mut words[..length], low).map_err(unexpected)?;
            for &width in widths.iter().filter(|&&width| packed.has(width)) {
                spec(width).check::<D, OUTPUTS, INPUTS, ROOM>(d, at, packed)?;
            }
        }
    }
    Ok(())
}

const SOME: [Width; 4] = [Width::W8, Width::W4, Width::W3, Width::W6];

/// Shapes round every block, group and padding.
pub(crate) fn linear<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    for (outputs, depth) in [(1, 1), (2, 3), (4, 8), (5, 15), (7, 16), (3, 17), (8, 18), (9, 31), (12, 10), (10, 33)] {
        layers::<D, 352, 192, 12, 72, 32>(d, at, outputs, depth, &SOME)?;
    }
    layers::<D, 352, 192, 12, 72, 32>(d, at, 8, 32, &Width::ALL)
}

/// More outputs than are worked on at a time, and more inputs than a block.
pub(crate) fn linear_wide<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    for (outputs, depth) in [(4, 496), (5, 497), (3, 512), (9, 1003), (67, 48), (64, 80), (131, 64), (128, 20)] {
        layers::<D, 9104, 4100, 132, 2012, 270>(d, at, outputs, depth, &[Width::W8, Width::W4, Width::W2])?;
    }
    Ok(())
}

/// 16-bit activations: sums beyond 32 bits.
pub(crate) fn linear_s16<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    const OUTPUTS: usize = 5;
    const DEPTH: usize = 301;
    let shape = Rows::new(OUTPUTS, DEPTH).map_err(unexpected)?;
    let codes: [i8; OUTPUTS * DEPTH] = core::array::from_fn(|i| if i < DEPTH { -128 } else { noise(i) });
    let mut x = Guarded::<i16, { DEPTH + 4 }>::filled(at, DEPTH, |i| {
        if i.is_multiple_of(9) { i16::MIN } else { i16::from(noise(2 * i)) * 250 }
    });
    let x = &*x.row();
    let bias: [i64; OUTPUTS] = core::array::from_fn(|o| i64::from(noise(o)) << 20);
    let mantissa = [1 << 30, i32::MAX, 1_300_000_000, -1_300_000_000, 1_700_000_001];
    let shift = [-14, -15, -9, -13, -20];
    let requant = RequantS16::new(&bias, &mantissa, &shift).map_err(unexpected)?;
    for width in Width::ALL {
        let widths = [(width, requant)];
        let weights = Weights::raw8(&codes, shape).map_err(unexpected)?;
        let layer = LinearS16::new(weights, &widths, -30_000, i16::MAX).map_err(unexpected)?;
        let mut y = Guarded::<i16, 9>::new(at, OUTPUTS);
        layer.run_on(d, x, y.row(), 1).map_err(unexpected)?;
        y.check()?;
        for (o, &got) in y.row().iter().enumerate() {
            let weight = |i: usize| i64::from(double_round_masked(codes[o * DEPTH + i], width));
            let sum: i64 = (0..DEPTH).map(|i| i64::from(x[i]) * weight(i)).sum();
            let multiplier = Multiplier { mantissa: mantissa[o], shift: shift[o].into() };
            let want = requantize_s64(sum + bias[o], multiplier).clamp(-30_000, 32_767);
            if i32::from(got) != want {
                return Err(Failure::new("other numbers").row(DEPTH, o).element(o, want.into(), got.into()));
            }
        }
    }
    Ok(())
}

/// What a product is made of.
struct Product {
    multiplier: Multiplier,
    offsets: [i32; 2],
    output: i32,
    range: [i8; 2],
}

/// Both matrices as they are and transposed, one batch for several: shapes around what loops do at a time, and multipliers that
/// they know and do not know.
pub(crate) fn batch_matmul<D: Dispatch>(d: D, at: usize) -> Result<(), Failure> {
    let multiplier = Multiplier { mantissa: 1_234_567_890, shift: -8 };
    let product = Product { multiplier, offsets: [128, -7], output: 5, range: [-128, 127] };
    let range = Product { multiplier, offsets: [-127, 0], output: -128, range: [-120, 90] };
    let left = Multiplier { mantissa: -1_234_567_890, shift: 0 };
    let left = Product { multiplier: left, offsets: [0, 3], output: 0, range: [-128, 127] };
    for (layer, sizes) in [
        (&product, [3, 9, 18]),
        (&product, [1, 2, 4]),
        (&product, [2, 31, 5]),
        (&product, [5, 16, 67]),
        (&product, [4, 1, 6]),
        (&range, [2, 35, 33]),
        (&range, [3, 20, 3]),
        (&left, [2, 5, 6]),
    ] {
        for transposed in [[false, false], [false, true], [true, false], [true, true]] {
            one_batch_matmul(d, at, layer, sizes, transposed)?;
        }
    }
    Ok(())
}

fn one_batch_matmul<D: Dispatch>(
    d: D,
    at: usize,
    &Product { multiplier, offsets, output, range: [min, max] }: &Product,
    [rows, depth, cols]: [usize; 3],
    [l, r]: [bool; 2],
) -> Result<(), Failure> {
    const BATCHES: usize = 2;
    let mut lhs = Guarded::<i8, 90>::filled(at, rows * depth, noise);
    let lhs = &*lhs.row();
    let mut rhs = Guarded::<i8, 2400>::filled(4 - at, BATCHES * cols * depth, |i| noise(i + 77));
    let rhs = &*rhs.row();
    let lhs_axes = if l { [1, 1, depth, rows] } else { [1, 1, rows, depth] };
    let rhs_axes = if r { [1, BATCHES, cols, depth] } else { [1, BATCHES, depth, cols] };
    let shape = BatchShape::new(lhs_axes, rhs_axes, l, r).map_err(unexpected)?;
    let mut y = Guarded::<i8, 700>::new(4 + at, BATCHES * rows * cols);
    let mut scratch = [0x5A5A_5A5A; 1000];
    let want = shape.scratch();
    let Some(scratch) = scratch.get_mut(..want) else { return Err(Failure::new("more scratch than there is")) };
    let product = BatchMatMulS8::new(multiplier, offsets, output).and_then(|product| product.with_range(min, max));
    product.map_err(unexpected)?.run_on(d, lhs, rhs, y.row(), &shape, scratch).map_err(unexpected)?;
    y.check()?;
    for (at, &got) in y.row().iter().enumerate() {
        let (b, row, col) = (at / (rows * cols), at / cols % rows, at % cols);
        let one = |k: usize| {
            let x = lhs[if l { k * rows + row } else { row * depth + k }];
            let w = rhs[b * cols * depth + if r { col * depth + k } else { k * cols + col }];
            (i32::from(x) + offsets[0]) * (i32::from(w) + offsets[1])
        };
        let sum = (0..depth).map(one).sum();
        let want = (requantize(sum, multiplier, Rounding::Double) + output).clamp(min.into(), max.into());
        if i32::from(got) != want {
            return Err(Failure::new("other bytes").row(cols, 0).element(at, want.into(), got.into()));
        }
    }
    Ok(())
}
