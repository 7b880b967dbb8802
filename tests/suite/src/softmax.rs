//! Every form of the f32 softmax against an f64 oracle, and all of them through one table of special values.

use scrimp::error::Arg;
use scrimp::softmax::{
    Mask, MaskedRow, OnlineSoftmax, SoftmaxF32, log_softmax_f32_in_place_on, log_softmax_f32_on,
    softmax_f32_in_place_on, softmax_f32_on, three_pass_f32_in_place_on, three_pass_f32_on, two_pass_f32_in_place_on,
    two_pass_f32_on,
};
use scrimp::{Error, Rows, backend::Dispatch};

use crate::Failure;
use crate::buffer::{Guarded, paint};

const MAX_LEN: usize = 67;
const OFFSETS: usize = 16;
const ROOM: usize = MAX_LEN + 2 * OFFSETS;

type Apart<D> = fn(D, &[f32], &mut [f32], Rows) -> Result<(), Error>;

/// One way to a softmax.
struct Form<D> {
    apart: Apart<D>,
    in_place: fn(D, &mut [f32], Rows) -> Result<(), Error>,
    /// Gives logarithms.
    log: bool,
}

const fn softmax<D: Dispatch>() -> Form<D> {
    Form { apart: softmax_f32_on, in_place: softmax_f32_in_place_on, log: false }
}

const fn three_pass<D: Dispatch>() -> Form<D> {
    Form { apart: three_pass_f32_on, in_place: three_pass_f32_in_place_on, log: false }
}

const fn two_pass<D: Dispatch>() -> Form<D> {
    Form { apart: two_pass_f32_on, in_place: two_pass_f32_in_place_on, log: false }
}

const fn log_softmax<D: Dispatch>() -> Form<D> {
    Form { apart: log_softmax_f32_on, in_place: log_softmax_f32_in_place_on, log: true }
}

const fn online<D: Dispatch>() -> Form<D> {
    Form { apart: online_apart, in_place: online_in_place, log: false }
}

fn online_apart<D: Dispatch>(d: D, x: &[f32], y: &mut [f32], rows: Rows) -> Result<(), Error> {
    rows.check(Arg::X, x.len())?;
    rows.check(Arg::Y, y.len())?;
    for (x, y) in x.chunks(rows.cols()).zip(y.chunks_mut(rows.cols())) {
        pieces(d, x).write_on(d, x, y)?;
    }
    Ok(())
}

fn online_in_place<D: Dispatch>(d: D, x: &mut [f32], rows: Rows) -> Result<(), Error> {
    rows.check(Arg::X, x.len())?;
    x.chunks_mut(rows.cols()).try_for_each(|row| pieces(d, row).write_in_place_on(d, row))
}

/// Pushes a row in pieces, to two states that are merged.
fn pieces<D: Dispatch>(d: D, row: &[f32]) -> OnlineSoftmax {
    let mut states = [OnlineSoftmax::new(); 2];
    for (i, piece) in row.chunks(5).enumerate() {
        states[i % 2].push_on(d, piece);
    }
    let [mut all, other] = states;
    all.merge(&other);
    all
}

/// The bound of every form.
fn close(got: f32, want: f64) -> bool {
    if want.is_infinite() {
        return f64::from(got).to_bits() == want.to_bits();
    }
    (f64::from(got) - want).abs() <= 1.5e-6 * want.abs() + f64::from(f32::MIN_POSITIVE)
}

pub(crate) fn f32<D: Dispatch>(backend: D) -> Result<(), Failure> {
    form(backend, &softmax())
}

pub(crate) fn three_pass_f32<D: Dispatch>(backend: D) -> Result<(), Failure> {
    form(backend, &three_pass())
}

pub(crate) fn two_pass_f32<D: Dispatch>(backend: D) -> Result<(), Failure> {
    form(backend, &two_pass())
}

pub(crate) fn log_f32<D: Dispatch>(backend: D) -> Result<(), Failure> {
    form(backend, &log_softmax())
}

pub(crate) fn online_f32<D: Dispatch>(backend: D) -> Result<(), Failure> {
    form(backend, &online())
}

/// All lengths and offsets with painted data, apart and in place.
fn form<D: Dispatch>(backend: D, form: &Form<D>) -> Result<(), Failure> {
    for len in 1..=MAX_LEN {
        let mut want = [0.0; MAX_LEN];
        let want = &mut want[..len];
        oracle(form.log, want, |i| paint(i + len));
        for offset in 0..OFFSETS {
            let mut x = Guarded::<f32, ROOM>::new(offset, len);
            let mut y = Guarded::<f32, ROOM>::new(OFFSETS - offset, len);
            for (i, x) in x.row().iter_mut().enumerate() {
                *x = paint(i + len);
            }
            call(backend, form, x.row(), y.row(), Rows::one(len))?;
            x.check()?;
            y.check()?;
            compare(want, y.row()).map_err(|failure| failure.row(len, offset))?;
            Rows::one(len)
                .and_then(|rows| (form.in_place)(backend, x.row(), rows))
                .map_err(|_| Failure::new("an error"))?;
            x.check()?;
            compare(want, x.row()).map_err(|failure| failure.row(len, offset))?;
        }
    }
    several_rows(backend, form)?;
    wrong_length(backend, form)
}

/// Several rows at once give what each gives alone.
fn several_rows<D: Dispatch>(backend: D, form: &Form<D>) -> Result<(), Failure> {
    const COLS: usize = 21;
    let x: [f32; 3 * COLS] = core::array::from_fn(paint);
    let mut y = [0.0; 3 * COLS];
    call(backend, form, &x, &mut y, Rows::new(3, COLS))?;
    for (x, y) in x.chunks_exact(COLS).zip(y.chunks_exact(COLS)) {
        let mut alone = [0.0; COLS];
        call(backend, form, x, &mut alone, Rows::one(COLS))?;
        if alone.iter().zip(y).any(|(a, b)| a.to_bits() != b.to_bits()) {
            return Err(Failure::new("a row among rows differs from the row alone").row(COLS, 0));
        }
    }
    Ok(())
}

/// A wrong length is an error and leaves the output alone.
fn wrong_length<D: Dispatch>(backend: D, form: &Form<D>) -> Result<(), Failure> {
    for (x_len, y_len) in [(5, 6), (6, 5), (7, 6), (6, 7), (0, 6), (6, 0)] {
        let x = [1.0; 7];
        let mut y = Guarded::<f32, 8>::new(0, y_len);
        if call(backend, form, &x[..x_len], y.row(), Rows::one(6)).is_ok() {
            return Err(Failure::new("a wrong length is taken").row(x_len, 0));
        }
        y.check_untouched()?;
    }
    Ok(())
}

/// A row of `rest` with one element that is `one`.
type Special = (f32, f32);
const MAX: f32 = f32::MAX;
const MASKED: f32 = f32::NEG_INFINITY;
/// Extremes of f32, and the values of the design's table.
const SPECIAL: [Special; 19] = [
    // One element against the rest.
    (-MAX, MAX),
    (MAX, -MAX),
    (0.0, 80.0),
    (0.0, -104.5),
    (0.0, MASKED),
    (MASKED, -3.0),
    (MASKED, MAX),
    (-MAX, 1.0),
    (1e6, 1_000_001.0),
    (1e-40, 0.0),
    // One element poisons the whole row, even among masked ones.
    (0.0, f32::NAN),
    (MASKED, f32::NAN),
    (0.0, f32::INFINITY),
    (MASKED, f32::INFINITY),
    // All the same; the last is fully masked.
    (0.0, 0.0),
    (1.0e-40, 1.0e-40),
    (-MAX, -MAX),
    (MAX, MAX),
    (MASKED, MASKED),
];

/// Every form, apart and in place, through the table.
pub(crate) fn f32_special<D: Dispatch>(backend: D) -> Result<(), Failure> {
    for form in [softmax(), three_pass(), two_pass(), log_softmax(), online()] {
        for len in 1..=MAX_LEN {
            for hot in [0, len / 2, len - 1] {
                for (rest, one) in SPECIAL {
                    let value = |i| if i == hot { one } else { rest };
                    let mut want = [0.0; MAX_LEN];
                    let want = &mut want[..len];
                    oracle(form.log, want, value);
                    let mut x: [f32; MAX_LEN] = core::array::from_fn(value);
                    let mut y = [0.0; MAX_LEN];
                    call(backend, &form, &x[..len], &mut y[..len], Rows::one(len))?;
                    compare(want, &y[..len]).map_err(|failure| failure.row(len, 0))?;
                    let x = &mut x[..len];
                    Rows::one(len)
                        .and_then(|rows| (form.in_place)(backend, x, rows))
                        .map_err(|_| Failure::new("an error"))?;
                    compare(want, x).map_err(|failure| failure.row(len, 0))?;
                }
            }
        }
    }
    Ok(())
}

/// Scale, masks and strides give the plain softmax of what they make of the input.
pub(crate) fn f32_masked<D: Dispatch>(backend: D) -> Result<(), Failure> {
    const ROWS: usize = 3;
    const COLS: usize = 21;
    const STRIDES: [usize; 2] = [24, 23];
    let Ok(rows) = Rows::new(ROWS, COLS) else { return Err(Failure::new("an error")) };
    let additive: [f32; ROWS * COLS] = core::array::from_fn(|i| if i % 5 == 3 { MASKED } else { paint(7 * i) });
    // The middle row is fully masked.
    let boolean: [bool; ROWS * COLS] = core::array::from_fn(|i| i % 4 != 1 && i / COLS != 1);
    let cases = [
        Mask::None,
        Mask::Additive(&additive),
        Mask::Additive(&additive[..COLS]),
        Mask::Boolean(&boolean),
        Mask::Boolean(&boolean[..COLS]),
        Mask::Causal { past: 4 },
        Mask::Causal { past: 0 },
        Mask::Causal { past: usize::MAX },
    ];
    for (number, mask) in cases.into_iter().enumerate() {
        for scale in [1.0, 0.35] {
            let softmax = SoftmaxF32::new().with_scale(scale).with_strides(STRIDES[0], STRIDES[1]);
            let (mut x, mut y) = ([0.0; ROWS * STRIDES[0]], [0.5; ROWS * STRIDES[1]]);
            for (i, x) in x.iter_mut().enumerate() {
                *x = paint(3 * i + 1);
            }
            softmax.run_on(backend, &x, &mut y, rows, mask).map_err(|_| Failure::new("an error"))?;
            let mut packed: [f32; ROWS * COLS] = core::array::from_fn(|i| x[i / COLS * STRIDES[0] + i % COLS]);
            softmax.run_in_place_on(backend, &mut x, rows, mask).map_err(|_| Failure::new("an error"))?;
            for r in 0..ROWS {
                let mut want = [0.0; COLS];
                oracle(false, &mut want, |c| {
                    let z = packed[r * COLS + c] * scale;
                    let masked = match mask {
                        Mask::Additive(mask) => return z + mask[if mask.len() == COLS { c } else { r * COLS + c }],
                        Mask::Boolean(mask) => !mask[if mask.len() == COLS { c } else { r * COLS + c }],
                        Mask::Causal { past } => c > past.saturating_add(r),
                        Mask::None => false,
                    };
                    if masked { MASKED } else { z }
                });
                compare(&want, &y[r * STRIDES[1]..][..COLS]).map_err(|failure| failure.row(r, number))?;
                compare(&want, &x[r * STRIDES[0]..][..COLS]).map_err(|failure| failure.row(r, number))?;
                if y[r * STRIDES[1] + COLS..][..2].iter().any(|v| v.to_bits() != 0.5f32.to_bits()) {
                    return Err(Failure::new("written between rows").row(r, number));
                }
            }
            // A fully masked row is NaN for those who ask.
            let nan = SoftmaxF32::new().with_scale(scale).with_masked_row(MaskedRow::Nan);
            nan.run_in_place_on(backend, &mut packed, rows, mask).map_err(|_| Failure::new("an error"))?;
            let full = matches!(mask, Mask::Boolean(mask) if mask.len() > COLS);
            if packed[COLS].is_nan() != full || packed[0].is_nan() {
                return Err(Failure::new("NaN in the wrong row").row(1, number));
            }
        }
    }
    hidden_is_zero(backend, rows)?;
    refusals(backend, rows)
}

/// What a boolean or causal mask hides is 0, whatever stands there and in the places that are seen.
fn hidden_is_zero<D: Dispatch>(backend: D, rows: Rows) -> Result<(), Failure> {
    let (cols, elements) = (rows.cols(), rows.elements());
    let boolean: [bool; MAX_LEN] = core::array::from_fn(|i| i % 3 != 0);
    for (number, mask) in
        [Mask::Boolean(&boolean[..elements]), Mask::Boolean(&boolean[..cols]), Mask::Causal { past: 7 }]
            .into_iter()
            .enumerate()
    {
        let seen = |r: usize, c: usize| match mask {
            Mask::Boolean(mask) => mask[if mask.len() == cols { c } else { r * cols + c }],
            _ => c <= 7 + r,
        };
        // A NaN that is seen makes all that is seen one, an infinity too; one that is hidden does nothing.
        for (special, at) in [(f32::NAN, 2), (f32::INFINITY, 7), (f32::NAN, 15), (f32::NAN, 0), (f32::INFINITY, 18)] {
            for softmax in [SoftmaxF32::new(), SoftmaxF32::new().with_scale(0.5).with_masked_row(MaskedRow::Nan)] {
                let mut x = Guarded::<f32, MAX_LEN>::new(1, elements);
                for (i, x) in x.row().iter_mut().enumerate() {
                    *x = if i % cols == at { special } else { paint(i) };
                }
                let mut y = Guarded::<f32, MAX_LEN>::new(0, elements);
                softmax.run_on(backend, x.row(), y.row(), rows, mask).map_err(|_| Failure::new("an error"))?;
                softmax.run_in_place_on(backend, x.row(), rows, mask).map_err(|_| Failure::new("an error"))?;
                for of in [&mut x, &mut y] {
                    of.check()?;
                    for (i, &got) in of.row().iter().enumerate() {
                        let (r, c) = (i / cols, i % cols);
                        let right = if seen(r, c) { got.is_nan() == seen(r, at) } else { got.to_bits() == 0 };
                        if !right {
                            let want = if seen(r, c) { f64::NAN } else { 0.0 };
                            return Err(Failure::new("a mask does not hide").row(at, number).element(
                                i,
                                want,
                                got.into(),
                            ));
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// Wrong masks and strides are errors and leave the output alone.
fn refusals<D: Dispatch>(backend: D, rows: Rows) -> Result<(), Failure> {
    let (x, elements) = ([1.0; MAX_LEN], rows.elements());
    let cases = [
        (0, 0, elements, Mask::Additive(&x[..22])),
        (0, 0, elements, Mask::Boolean(&[true; 20])),
        (20, 0, elements, Mask::None),
        (0, 20, elements, Mask::None),
        (22, 0, 64, Mask::None),
        (0, 0, elements + 1, Mask::None),
    ];
    for (number, (x_stride, y_stride, len, mask)) in cases.into_iter().enumerate() {
        let mut y = Guarded::<f32, MAX_LEN>::new(0, elements);
        let softmax = SoftmaxF32::new().with_strides(x_stride, y_stride);
        if softmax.run_on(backend, &x[..len], y.row(), rows, mask).is_ok() {
            return Err(Failure::new("a wrong mask, stride or length is taken").row(len, number));
        }
        y.check_untouched()?;
    }
    Ok(())
}

fn compare(want: &[f64], got: &[f32]) -> Result<(), Failure> {
    for (i, (&want, &got)) in want.iter().zip(got).enumerate() {
        if !(close(got, want) || want.is_nan() && got.is_nan()) {
            return Err(Failure::new("outside the bound").element(i, want, got.into()));
        }
    }
    Ok(())
}

fn call<D: Dispatch>(
    backend: D,
    form: &Form<D>,
    x: &[f32],
    y: &mut [f32],
    rows: Result<Rows, Error>,
) -> Result<(), Failure> {
    rows.and_then(|rows| (form.apart)(backend, x, y, rows)).map_err(|_| Failure::new("an error"))
}

/// Softmax, or its logarithm, in f64.
fn oracle(log: bool, y: &mut [f64], x: impl Fn(usize) -> f32) {
    let (masked, n) = (if log { f64::NEG_INFINITY } else { 0.0 }, y.len());
    if (0..n).any(|i| x(i).is_nan() || x(i) == f32::INFINITY) {
        y.fill(f64::NAN);
        return;
    }
    let at = (0..n).fold(0, |at, i| if x(i) > x(at) { i } else { at });
    let max = x(at);
    if max == MASKED {
        y.fill(masked);
        return;
    }
    let exp = |i| libm::exp(f64::from(x(i)) - f64::from(max));
    let others = (0..n).filter(|&i| i != at).map(exp).sum::<f64>();
    for (i, y) in y.iter_mut().enumerate() {
        *y = if log {
            let log = f64::from(x(i)) - f64::from(max) - libm::log1p(others);
            if log < -f64::from(MAX) * (1.0 + 1e-8) { masked } else { log }
        } else {
            exp(i) / (1.0 + others)
        };
    }
}
