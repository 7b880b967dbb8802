//! Element-wise layers, tables, conversions and reductions: the same bytes as plain loops over the rule of TFLite.

use scrimp::backend::Dispatch;
use scrimp::fixedpoint::{Multiplier, Rounding, requantize};
use scrimp::nn::{
    Activation, Add, AddS8, ArgMax, Broadcast, Dequantize, L2NormS8, Mean, MinMaxS8, Mul, PreluS8, Quantize, ReduceS8,
    Reduction, Rescale, Rsqrt, SlopesS16, SquaredDifference, TableS8, TableS16,
};
use scrimp::{Error, Quantization, Rows};

use crate::Failure;
use crate::buffer::{Element, Guarded};

const MOST: usize = 40;
/// Rows of a shape that repeats an operand.
const ROWS: usize = 3;
const ROOM: usize = ROWS * MOST + 8;

const X1: Quantization = Quantization::new(0.037, -11);
const X2: Quantization = Quantization::new(0.021, 40);
const Y: Quantization = Quantization::new(0.05, 3);
const WIDE: Quantization = Quantization::new(0.000_91, 0);
const WIDER: Quantization = Quantization::new(0.001_3, 0);

fn unexpected(_: Error) -> Failure {
    Failure::new("an error")
}

/// Painted codes, the ends among them.
fn code(i: usize) -> i8 {
    match i % 17 {
        0 => i8::MIN,
        1 => i8::MAX,
        _ => ((i * 89 % 251) as i32 - 125) as i8,
    }
}

fn wide(i: usize) -> i16 {
    i16::from(code(i)).wrapping_mul(257).wrapping_add((i * 31 % 127) as i16)
}

fn scaled(x: i32, real: f64) -> i32 {
    let multiplier = Multiplier::from_real(real).unwrap_or(Multiplier::ZERO);
    requantize(x, multiplier, Rounding::Double)
}

fn real(of: Quantization) -> f64 {
    of.scale.into()
}

/// `x1 + x2` or `x1 - x2`.
fn sum(x1: i32, x2: i32, [a, b, y]: [Quantization; 3], places: u32, is_difference: bool) -> i32 {
    let twice = 2.0 * if a.scale > b.scale { real(a) } else { real(b) };
    let factors = [real(a) / twice, real(b) / twice, twice / (f64::from(1u32 << places) * real(y))];
    let first = scaled((x1 - a.zero_point) << places, factors[0]);
    let second = scaled((x2 - b.zero_point) << places, factors[1]);
    scaled(if is_difference { first - second } else { first + second }, factors[2]) + y.zero_point
}

/// The shapes of the usual cases, for rows of `n`: what the second operand is, and where element `i` finds its own.
type Shape = (fn(usize) -> Result<Broadcast, Error>, fn(usize, usize) -> usize);
const SHAPES: [Shape; 4] = [
    (|n| Broadcast::new(&[ROWS, n], &[ROWS, n]), |i, _| i),
    (|n| Broadcast::new(&[ROWS, n], &[]), |_, _| 0),
    (|n| Broadcast::new(&[ROWS, n], &[n]), |i, n| i % n),
    (|n| Broadcast::new(&[ROWS, n], &[ROWS, 1]), |i, n| i / n),
];

/// Runs a layer of two operands for all short rows of all usual shapes, out of place and in place.
fn pairs<T: Element + Default + Into<i32>, L>(
    code: fn(usize) -> T,
    make: impl Fn(Broadcast) -> Result<L, Error>,
    apart: impl Fn(&L, &[T], &[T], &mut [T]) -> Result<(), Error>,
    in_place: impl Fn(&L, &mut [T], &[T]) -> Result<(), Error>,
    want: impl Fn(i32, i32) -> i32,
) -> Result<(), Failure> {
    let mut second = [T::default(); ROOM];
    for (i, x) in second.iter_mut().enumerate() {
        *x = code(7 * i + 3);
    }
    for n in 1..=MOST {
        for (shape, place) in SHAPES {
            let shape = shape(n).map_err(unexpected)?;
            let layer = make(shape).map_err(unexpected)?;
            let (offset, second) = (n % 4, &second[..shape.second()]);
            let mut x = Guarded::<T, ROOM>::new(offset, shape.first());
            let mut y = Guarded::<T, ROOM>::new(3 - offset, shape.output());
            for (i, x) in x.row().iter_mut().enumerate() {
                *x = code(i + n);
            }
            apart(&layer, x.row(), second, y.row()).map_err(unexpected)?;
            in_place(&layer, x.row(), second).map_err(unexpected)?;
            x.check()?;
            y.check()?;
            for (i, (&over, &got)) in x.row().iter().zip(y.row().iter()).enumerate() {
                let want = want(code(i + n).into(), second[place(i, n)].into());
                for got in [over, got] {
                    if got.into() != want {
                        return Err(Failure::new("other bytes").row(n, offset).element(
                            i,
                            want.into(),
                            got.into().into(),
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}

fn s8(x: i32) -> i32 {
    x.clamp(-128, 127)
}

fn s16(x: i32) -> i32 {
    x.clamp(-32_768, 32_767)
}

pub(crate) fn add<D: Dispatch>(d: D) -> Result<(), Failure> {
    let (none, wide_of) = (Activation::None, [WIDE, WIDER, WIDER]);
    let (min, max) = Activation::Relu6.range_s8(Y);
    // Either operand has the larger scale, or both have it.
    for (x1, x2) in [(X1, X2), (X2, X1), (X1, Quantization::new(X1.scale, 50))] {
        let (of, reverse) = ([x1, x2, Y], [x2, x1, Y]);
        pairs::<i8, AddS8>(
            code,
            |shape| AddS8::new(shape, x1, x2, Y, Activation::Relu6),
            |layer, a, b, y| layer.run_on(d, a, b, y),
            |layer, a, b| layer.run_in_place_on(d, a, b),
            |a, b| sum(a, b, of, 20, false).clamp(min.into(), max.into()),
        )?;
        pairs::<i8, AddS8>(
            code,
            |shape| AddS8::sub(shape, x1, x2, Y, none),
            |layer, a, b, y| layer.run_on(d, a, b, y),
            |layer, a, b| layer.run_in_place_on(d, a, b),
            |a, b| s8(sum(a, b, of, 20, true)),
        )?;
        pairs::<i8, AddS8>(
            code,
            |shape| AddS8::reverse_sub(shape, x1, x2, Y, none),
            |layer, a, b, y| layer.run_on(d, a, b, y),
            |layer, a, b| layer.run_in_place_on(d, a, b),
            |a, b| s8(sum(b, a, reverse, 20, true)),
        )?;
    }
    pairs::<i16, Add<i16>>(
        wide,
        |shape| Add::new(shape, WIDE, WIDER, WIDER, none),
        |layer, a, b, y| layer.run_on(d, a, b, y),
        |layer, a, b| layer.run_in_place_on(d, a, b),
        |a, b| s16(sum(a, b, wide_of, 15, false)),
    )
}

pub(crate) fn mul<D: Dispatch>(d: D) -> Result<(), Failure> {
    let none = Activation::None;
    pairs::<i8, Mul<i8>>(
        code,
        |shape| Mul::new(shape, X1, X2, Y, none),
        |layer, a, b, y| layer.run_on(d, a, b, y),
        |layer, a, b| layer.run_in_place_on(d, a, b),
        |a, b| {
            let product = (a - X1.zero_point) * (b - X2.zero_point);
            s8(scaled(product, real(X1) * real(X2) / real(Y)) + Y.zero_point)
        },
    )?;
    pairs::<i16, Mul<i16>>(
        wide,
        |shape| Mul::new(shape, WIDE, WIDER, WIDER, none),
        |layer, a, b, y| layer.run_on(d, a, b, y),
        |layer, a, b| layer.run_in_place_on(d, a, b),
        |a, b| s16(scaled(a * b, real(WIDE) * real(WIDER) / real(WIDER))),
    )?;
    for (x1, x2) in [(X1, X2), (X2, X1)] {
        pairs::<i8, SquaredDifference<i8>>(
            code,
            |shape| SquaredDifference::new(shape, x1, x2, Y),
            |layer, a, b, y| layer.run_on(d, a, b, y),
            |layer, a, b| layer.run_in_place_on(d, a, b),
            |a, b| {
                let twice = 2.0 * real(X1);
                let first = scaled((a - x1.zero_point) << 7, real(x1) / twice);
                let difference = first - scaled((b - x2.zero_point) << 7, real(x2) / twice);
                let divisor = f64::from((1 << 14) as f32 * Y.scale);
                s8(scaled(difference * difference, twice * twice / divisor) + Y.zero_point)
            },
        )?;
    }
    // A fused activation, and a product that is larger than its operands.
    let (min, max) = Activation::Relu.range_s8(Y);
    pairs::<i8, Mul<i8>>(
        code,
        |shape| Mul::new(shape, X1, X2, Y, Activation::Relu),
        |layer, a, b, y| layer.run_on(d, a, b, y),
        |layer, a, b| layer.run_in_place_on(d, a, b),
        |a, b| {
            let product = (a - X1.zero_point) * (b - X2.zero_point);
            (scaled(product, real(X1) * real(X2) / real(Y)) + Y.zero_point).clamp(min.into(), max.into())
        },
    )?;
    const FINE: Quantization = Quantization::new(0.000_1, -3);
    pairs::<i8, Mul<i8>>(
        code,
        |shape| Mul::new(shape, X1, X2, FINE, none),
        |layer, a, b, y| layer.run_on(d, a, b, y),
        |layer, a, b| layer.run_in_place_on(d, a, b),
        |a, b| {
            let product = (a - X1.zero_point) * (b - X2.zero_point);
            s8(scaled(product, real(X1) * real(X2) / real(FINE)).wrapping_add(FINE.zero_point))
        },
    )
}

pub(crate) fn min_max<D: Dispatch>(d: D) -> Result<(), Failure> {
    for is_max in [true, false] {
        pairs::<i8, MinMaxS8>(
            code,
            |shape| Ok(if is_max { MinMaxS8::maximum(shape) } else { MinMaxS8::minimum(shape) }),
            |layer, a, b, y| layer.run_on(d, a, b, y),
            |layer, a, b| layer.run_in_place_on(d, a, b),
            |a, b| if is_max { a.max(b) } else { a.min(b) },
        )?;
    }
    pairs::<i8, PreluS8>(
        code,
        |shape| PreluS8::new(shape, X1, X2, Y),
        |layer, a, b, y| layer.run_on(d, a, b, y),
        |layer, a, b| layer.run_in_place_on(d, a, b),
        |a, b| {
            let x = a - X1.zero_point;
            let y = if x >= 0 {
                scaled(x, real(X1) / real(Y))
            } else {
                scaled(x * (b - X2.zero_point), real(X1) * real(X2) / real(Y))
            };
            s8(y + Y.zero_point)
        },
    )
}

/// All codes through tables whose results are known, and 16-bit functions.
pub(crate) fn tables<D: Dispatch>(d: D) -> Result<(), Failure> {
    static LOGISTIC: TableS8 = scrimp::expect!(TableS8::logistic(X1, TableS8::LOGISTIC));
    static GELU: TableS8 = scrimp::expect!(TableS8::gelu(X1, Y));
    static EXP: TableS16 = scrimp::expect!(TableS16::exp(WIDE, WIDER));
    static LEAKY: SlopesS16 = scrimp::expect!(SlopesS16::leaky_relu(WIDE, WIDER, 0.3));
    let mut x = [0i8; 256];
    for (i, x) in x.iter_mut().enumerate() {
        *x = i as u8 as i8;
    }
    for (table, name) in [(&LOGISTIC, "logistic"), (&GELU, "gelu")] {
        let (mut y, mut over) = ([0; 256], x);
        table.run_on(d, &x, &mut y).map_err(unexpected)?;
        table.run_in_place_on(d, &mut over);
        if y != *table.table() || over != *table.table() {
            return Err(Failure::new(name));
        }
    }
    // Against the functions, within half a unit and what the fixed point adds.
    for (i, (&logistic, &gelu)) in LOGISTIC.table().iter().zip(GELU.table()).enumerate() {
        let at = f64::from(X1.dequantize((i as u8 as i8).into()));
        let close = |got: i8, want: f64| (f64::from(got) - want.clamp(-128.0, 127.0)).abs() < 0.502;
        if !close(logistic, 256.0 / (1.0 + libm::exp(-at)) - 128.0) {
            return Err(Failure::new("logistic is off").element(i, at, logistic.into()));
        }
        let gelu_at = at * 0.5 * libm::erfc(-at / core::f64::consts::SQRT_2);
        if !close(gelu, gelu_at / real(Y) + f64::from(Y.zero_point)) {
            return Err(Failure::new("gelu is off").element(i, gelu_at, gelu.into()));
        }
    }
    let codes: [i16; 67] = core::array::from_fn(wide);
    let (mut exp, mut leaky) = (codes, codes);
    EXP.run_in_place_on(d, &mut exp);
    LEAKY.run_in_place_on(d, &mut leaky);
    for (i, &x) in codes.iter().enumerate() {
        let want = libm::exp(f64::from(WIDE.dequantize(x.into()))) / real(WIDER);
        if (f64::from(exp[i]) - want.min(32_767.0)).abs() > 2.0 + 1e-3 * want {
            return Err(Failure::new("exp is off").element(i, want, exp[i].into()));
        }
        let slope = if x < 0 { WIDE.scale * 0.3 / WIDER.scale } else { WIDE.scale / WIDER.scale };
        let want = s16(scaled(x.into(), slope.into()));
        if i32::from(leaky[i]) != want {
            return Err(Failure::new("leaky_relu is off").element(i, want.into(), leaky[i].into()));
        }
    }
    let rsqrt = Rsqrt::<i16>::new(WIDE, WIDER).map_err(unexpected)?;
    let mut roots = codes;
    rsqrt.run_in_place_on(d, &mut roots);
    for (i, &x) in codes.iter().enumerate() {
        let want = if x > 0 { 1.0 / libm::sqrt(real(WIDE) * f64::from(x)) / real(WIDER) } else { 32_767.0 };
        if (f64::from(roots[i]) - want.min(32_767.0)).abs() > 0.51 + 1e-5 * want {
            return Err(Failure::new("rsqrt is off").element(i, want, roots[i].into()));
        }
    }
    Ok(())
}

pub(crate) fn conversions<D: Dispatch>(d: D) -> Result<(), Failure> {
    let to_u8 = Rescale::<i8, u8>::new(Quantization::new(0.5, -128), Quantization::new(0.5, 0)).map_err(unexpected)?;
    let to_s8 = Rescale::<i16, i8>::new(WIDE, Y).map_err(unexpected)?;
    let to_s32 = Rescale::<i16, i32>::new(WIDE, Quantization::new(1e-7, 5)).map_err(unexpected)?;
    let quantize = Quantize::<i8>::new(Y).map_err(unexpected)?;
    let dequantize = Dequantize::<i8>::new(X1).map_err(unexpected)?;
    for n in 1..=MOST {
        let x: [i8; MOST] = core::array::from_fn(|i| code(i + n));
        let w: [i16; MOST] = core::array::from_fn(|i| wide(i + n));
        let (mut u, mut y) = (Guarded::<u8, ROOM>::new(n % 4, n), Guarded::<i8, ROOM>::new(n % 3, n));
        let (mut long, mut r) = (Guarded::<i32, ROOM>::new(n % 2, n), Guarded::<f32, ROOM>::new(n % 2, n));
        to_u8.run_on(d, &x[..n], u.row()).map_err(unexpected)?;
        to_s8.run_on(d, &w[..n], y.row()).map_err(unexpected)?;
        to_s32.run_on(d, &w[..n], long.row()).map_err(unexpected)?;
        dequantize.run_on(d, &x[..n], r.row()).map_err(unexpected)?;
        let mut back = [0i8; MOST];
        quantize.run_on(d, r.row(), &mut back[..n]).map_err(unexpected)?;
        u.check()?;
        y.check()?;
        long.check()?;
        r.check()?;
        for i in 0..n {
            let narrow = s8(scaled(w[i].into(), real(WIDE) / real(Y)) + Y.zero_point);
            let exact = scaled(w[i].into(), real(WIDE) / f64::from(1e-7f32)) + 5;
            let number = X1.dequantize(x[i].into());
            let rounded = libm::roundf(number / Y.scale) as i32 + Y.zero_point;
            let right = u.row()[i] == x[i] as u8 ^ 0x80
                && i32::from(y.row()[i]) == narrow
                && long.row()[i] == exact
                && r.row()[i].to_bits() == number.to_bits()
                && i32::from(back[i]) == s8(rounded);
            if !right {
                return Err(Failure::new("other bytes").row(n, 0).element(i, x[i].into(), w[i].into()));
            }
        }
    }
    Ok(())
}

/// Rows, columns and both, of all short widths.
pub(crate) fn reductions<D: Dispatch>(d: D) -> Result<(), Failure> {
    for n in 1..=MOST {
        let x: [i8; ROWS * MOST] = core::array::from_fn(|i| code(i + n));
        let x = &x[..ROWS * n];
        for (axes, results, place) in [
            (&[1][..], ROWS, (|i, n| i / n) as fn(usize, usize) -> usize),
            (&[0], n, |i, n| i % n),
            (&[0, 1], 1, |_, _| 0),
            (&[], ROWS * n, |i, _| i),
        ] {
            let shape = Reduction::new(&[ROWS, n], axes).map_err(unexpected)?;
            let mean = Mean::<i8>::new(shape, X1, Y).map_err(unexpected)?;
            let mut y = Guarded::<i8, ROOM>::new(n % 4, results);
            let mut max = Guarded::<i8, ROOM>::new(n % 3, results);
            mean.run_on(d, x, y.row()).map_err(unexpected)?;
            ReduceS8::max(shape).run_on(d, x, max.row()).map_err(unexpected)?;
            y.check()?;
            max.check()?;
            for r in 0..results {
                let of_result =
                    || x.iter().enumerate().filter(move |&(i, _)| place(i, n) == r).map(|(_, &x)| i32::from(x));
                let (terms, sum) = (of_result().count() as i32, of_result().sum::<i32>());
                let Multiplier { mantissa, shift } =
                    Multiplier::from_real(real(X1) / real(Y)).unwrap_or(Multiplier::ZERO);
                let by = terms.ilog2();
                let divided = ((i64::from(mantissa) << by) / i64::from(terms)) as i32;
                let multiplier = Multiplier { mantissa: divided, shift: shift - by as i32 };
                let want = s8(requantize(sum - terms * X1.zero_point, multiplier, Rounding::Double) + Y.zero_point);
                if i32::from(y.row()[r]) != want {
                    return Err(Failure::new("another mean").row(n, r).element(r, want.into(), y.row()[r].into()));
                }
                if of_result().max() != Some(max.row()[r].into()) {
                    return Err(Failure::new("another maximum").row(n, r));
                }
            }
        }
        let arg_max = ArgMax::<i8, i32>::max([ROWS, n, 1]).map_err(unexpected)?;
        let mut at = [0; ROWS];
        arg_max.run_on(d, x, &mut at).map_err(unexpected)?;
        for (row, &at) in x.chunks(n).zip(&at) {
            let is_first = row
                .iter()
                .enumerate()
                .all(|(i, &x)| if i < at as usize { x < row[at as usize] } else { x <= row[at as usize] });
            if !is_first {
                return Err(Failure::new("not the first of the largest").row(n, 0));
            }
        }
        let norm = L2NormS8::new(X1).map_err(unexpected)?;
        let mut y = Guarded::<i8, ROOM>::new(n % 4, ROWS * n);
        norm.run_on(d, x, y.row(), Rows::new(ROWS, n).map_err(unexpected)?).map_err(unexpected)?;
        y.check()?;
        for (x, y) in x.chunks(n).zip(y.row().chunks(n)) {
            let above = |x: i8| f64::from(i32::from(x) - X1.zero_point);
            let length = libm::sqrt(x.iter().map(|&x| above(x) * above(x)).sum());
            for (&x, &y) in x.iter().zip(y) {
                let want = (128.0 * above(x) / length).clamp(-128.0, 127.0);
                if (f64::from(y) - want).abs() > 0.502 {
                    return Err(Failure::new("not of length one").row(n, 0).element(0, want, y.into()));
                }
            }
        }
    }
    Ok(())
}
