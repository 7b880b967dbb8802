//! Layers with a memory: the same states and outputs as arithmetic written out here, step after step.

use scrimp::backend::Dispatch;
use scrimp::bits::Weights;
use scrimp::fixedpoint::{Multiplier, Rounding, SigmoidS16, requantize};
use scrimp::nn::{
    FoldedS8, LstmGate, LstmGates, LstmQuant, LstmS8, LstmShape, LstmState, Svdf, SvdfOutput, SvdfState, fold_bias,
};
use scrimp::{Error, Rows};

use crate::Failure;
use crate::buffer::Guarded;

const INPUTS: usize = 19;
const STEPS: usize = 7;

fn unexpected(_: Error) -> Failure {
    Failure::new("a right call is an error")
}

/// Numbers without a pattern, over all of i8.
const fn noise(i: usize) -> i8 {
    let x = (i as u32).wrapping_add(1).wrapping_mul(0x9E37_79B9);
    ((x ^ x >> 15).wrapping_mul(0x85EB_CA6B) >> 24) as i8
}

/// `m Σ_i w[i] (x[i] - zero)` with a bias.
fn product(w: &[i8], x: &[i8], zero: i32, bias: i32, m: Multiplier) -> i32 {
    let sum: i32 = w.iter().zip(x).map(|(&w, &x)| i32::from(w) * (i32::from(x) - zero)).sum();
    requantize(sum + bias, m, Rounding::Double)
}

fn compare(what: &'static str, got: &[i8], want: impl Fn(usize) -> i8) -> Result<(), Failure> {
    match got.iter().enumerate().find(|&(at, &got)| got != want(at)) {
        None => Ok(()),
        Some((at, &got)) => Err(Failure::new(what).element(at, want(at).into(), got.into())),
    }
}

const UNITS: usize = 3;
const RANK: usize = 2;
const FILTERS: usize = UNITS * RANK;
const MEMORY: usize = 5;

/// Both types of state.
pub(crate) fn svdf<D: Dispatch>(d: D) -> Result<(), Failure> {
    let time: [i8; FILTERS * MEMORY] = core::array::from_fn(|i| noise(3 * i));
    svdf_of::<D, i8>(d, &time, -11, -8)?;
    let time: [i16; FILTERS * MEMORY] = core::array::from_fn(|i| i16::from(noise(5 * i)) * 250);
    svdf_of::<D, i16>(d, &time, 0, -16)
}

fn svdf_of<D: Dispatch, T: SvdfState + Into<i32> + TryFrom<i32> + Default>(
    d: D,
    time: &[T; FILTERS * MEMORY],
    zero: i32,
    shift: i32,
) -> Result<(), Failure> {
    const BIAS: [i32; UNITS] = [100, -2000, 30];
    let codes: [i8; FILTERS * INPUTS] = core::array::from_fn(noise);
    let shape = Rows::new(FILTERS, INPUTS).map_err(unexpected)?;
    let weights = Weights::s8(&codes, shape).map_err(unexpected)?;
    let folded = fold_bias::<FILTERS>(&weights, &[], 7).map_err(unexpected)?;
    let of_feature = Multiplier { mantissa: 1_400_000_000, shift: -6 };
    let of_time = Multiplier { mantissa: 1_700_000_000, shift };
    let feature = FoldedS8::new(weights, &folded, of_feature).map_err(unexpected)?;
    let output = SvdfOutput { bias: &BIAS, multiplier: of_time, zero_point: -20 };
    let layer = Svdf::new(feature, time, RANK, zero, output).map_err(unexpected)?;
    let start = T::try_from(zero).unwrap_or_default();
    let mut state = [start; FILTERS * MEMORY];
    let mut want_state = [zero; FILTERS * MEMORY];
    for step in 0..STEPS {
        let x: [i8; INPUTS] = core::array::from_fn(|i| noise(i + 31 * step));
        let mut y = Guarded::<i8, 12>::new(step % 4, UNITS);
        layer.run_on(d, &x, &mut state, y.row(), &mut [7; FILTERS]).map_err(unexpected)?;
        y.check()?;
        let mut want = [0; UNITS];
        for (u, want) in want.iter_mut().enumerate() {
            let mut sum = BIAS[u];
            for f in u * RANK..(u + 1) * RANK {
                let memory = &mut want_state[f * MEMORY..][..MEMORY];
                memory.copy_within(1.., 0);
                let new = product(&codes[f * INPUTS..][..INPUTS], &x, 7, 0, of_feature) + zero;
                // What does not fit the type goes to its end.
                memory[MEMORY - 1] = if T::try_from(new).is_ok() {
                    new
                } else {
                    (if size_of::<T>() == 1 { 127.5f32 } else { 32_767.5 } * new.signum() as f32 - 0.5) as i32
                };
                let time = &time[f * MEMORY..][..MEMORY];
                sum += memory.iter().zip(time).map(|(&s, &t)| (s - zero) * t.into()).sum::<i32>();
            }
            *want = (requantize(sum, of_time, Rounding::Double) - 20).clamp(-128, 127) as i8;
        }
        compare("another output of an SVDF", y.row(), |at| want[at])?;
        if state.iter().zip(want_state).any(|(&s, want)| s.into() != want) {
            return Err(Failure::new("another state of an SVDF").row(step, 0));
        }
    }
    Ok(())
}

const CELLS: usize = 5;

/// Four gates of noise, one call of some steps and one of one.
pub(crate) fn lstm<D: Dispatch>(d: D) -> Result<(), Failure> {
    const ZERO: i32 = -4;
    let of_input = Multiplier { mantissa: 1_500_000_000, shift: -3 };
    let of_hidden = Multiplier { mantissa: 1_200_000_000, shift: -2 };
    let input: [[i8; CELLS * INPUTS]; 4] = core::array::from_fn(|g| core::array::from_fn(|i| noise(i + 100 * g)));
    let hidden: [[i8; CELLS * CELLS]; 4] = core::array::from_fn(|g| core::array::from_fn(|i| noise(7 * i + g)));
    let bias: [[i32; CELLS]; 4] = core::array::from_fn(|g| core::array::from_fn(|i| i32::from(noise(i * g)) * 90));
    let shapes = (Rows::new(CELLS, INPUTS).map_err(unexpected)?, Rows::new(CELLS, CELLS).map_err(unexpected)?);
    let mut folded = [[[0; CELLS]; 2]; 4];
    for (g, folded) in folded.iter_mut().enumerate() {
        let (of_x, of_h) = (Weights::s8(&input[g], shapes.0), Weights::s8(&hidden[g], shapes.1));
        folded[0] = fold_bias(&of_x.map_err(unexpected)?, &bias[g], -128).map_err(unexpected)?;
        folded[1] = fold_bias(&of_h.map_err(unexpected)?, &[], ZERO).map_err(unexpected)?;
    }
    let gate = |g: usize| -> Result<LstmGate<'_>, Error> {
        let (of_x, of_h) = (Weights::s8(&input[g], shapes.0)?, Weights::s8(&hidden[g], shapes.1)?);
        let input = FoldedS8::new(of_x, &folded[g][0], of_input)?;
        Ok(LstmGate { input, recurrent: FoldedS8::new(of_h, &folded[g][1], of_hidden)? })
    };
    let gates = LstmGates {
        input: gate(0).map_err(unexpected)?,
        forget: gate(1).map_err(unexpected)?,
        cell: gate(2).map_err(unexpected)?,
        output: gate(3).map_err(unexpected)?,
    };
    let quant =
        LstmQuant { cell_scale: 1.0 / 2048.0, cell_clip: 0.9, hidden_scale: 1.0 / 100.0, hidden_zero_point: ZERO };
    let (mut h, mut c) = ([ZERO as i8; CELLS], [0i16; CELLS]);
    let (mut want_h, mut want_c) = (h, c);
    // 2^-30 by the scales of the cell and of the hidden state.
    let to_cell = Multiplier { mantissa: 1 << 30, shift: -18 };
    let unit = f64::from(1.0 / 1024.0f32);
    let to_hidden = Multiplier::from_real(unit * unit * unit / f64::from(1.0 / 100.0f32));
    let Some(to_hidden) = to_hidden else { return Err(Failure::new("no multiplier")) };
    for (steps, first) in [(STEPS, 0), (1, 40)] {
        let x: [i8; STEPS * INPUTS] = core::array::from_fn(|i| noise(first + 3 * i));
        let x = &x[..steps * INPUTS];
        let shape = LstmShape { batch: 1, steps, time_major: steps == 1 };
        let layer = LstmS8::new(gates, quant, shape).map_err(unexpected)?;
        let mut y = Guarded::<i8, { STEPS * CELLS + 8 }>::new(3, steps * CELLS);
        let mut state = LstmState { hidden: &mut h, cell: &mut c };
        layer.run_on(d, x, &mut state, y.row(), &mut [-7; 2 * CELLS]).map_err(unexpected)?;
        y.check()?;
        for (step, x) in x.chunks_exact(INPUTS).enumerate() {
            let before = want_h;
            for u in 0..CELLS {
                let sum = |g: usize| {
                    let of_x = product(&input[g][u * INPUTS..][..INPUTS], x, -128, bias[g][u], of_input);
                    let of_h = product(&hidden[g][u * CELLS..][..CELLS], &before, ZERO, 0, of_hidden);
                    let s16 = |x: i32| x.clamp(-32_768, 32_767);
                    s16(s16(of_x) + s16(of_h)) as i16
                };
                let curve = SigmoidS16::Q3_12;
                let [i, f, o] = [0, 1, 3].map(|g| i32::from(curve.logistic(sum(g))));
                let g = i32::from(curve.tanh(sum(2)));
                let kept = requantize(
                    f * i32::from(want_c[u]),
                    Multiplier { mantissa: 1 << 30, shift: -14 },
                    Rounding::Double,
                );
                let added = requantize(i * g, to_cell, Rounding::Double);
                // 0.9 * 2048, truncated.
                want_c[u] = (kept + added).clamp(-1843, 1843) as i16;
                let Ok(of_cell) = SigmoidS16::from_power(-11) else { return Err(Failure::new("no curve")) };
                let shown = requantize(i32::from(of_cell.tanh(want_c[u])) * o, to_hidden, Rounding::Double);
                want_h[u] = (shown + ZERO).clamp(-128, 127) as i8;
            }
            compare("another output of an LSTM", &y.row()[step * CELLS..][..CELLS], |at| want_h[at])?;
        }
        compare("another hidden state", &h, |at| want_h[at])?;
        if c != want_c {
            return Err(Failure::new("another cell"));
        }
    }
    Ok(())
}
