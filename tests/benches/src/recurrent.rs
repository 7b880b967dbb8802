//! One step of layers with a memory, weights in the layout of the backend.

use core::hint::black_box;

use scrimp::Rows;
use scrimp::bits::{Format, Layout, Weights, Width, packed_words};
use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{FoldedS8, LstmGate, LstmGates, LstmQuant, LstmS8, LstmShape, LstmState, Svdf, SvdfOutput};

use crate::{Meter, Noise, ROWS};

const FEATURE: Multiplier = Multiplier { mantissa: 1_400_000_000, shift: -9 };
const TIME: Multiplier = Multiplier { mantissa: 1_800_000_000, shift: -8 };
const GATE: Multiplier = Multiplier { mantissa: 1_300_000_000, shift: -3 };

/// Filters, their memory, and inputs.
pub(crate) const fn shape(n: usize) -> [usize; 3] {
    if n == 64 { [64, 8, 16] } else { [n, n, n] }
}

/// Units of the LSTM, and inputs.
pub(crate) const UNITS: usize = 32;

/// In the layout of the backend, if `room` is large enough.
fn packed<'a>(codes: &'a [i8], shape: Rows, room: &'a mut [u32]) -> Option<Weights<'a>> {
    let rows = Weights::s8(codes, shape).ok()?;
    if Layout::BEST == Layout::Rows {
        return Some(rows);
    }
    let room = room.get_mut(..packed_words(Format::S8, Layout::BEST, shape))?;
    rows.pack_into(Format::S8, Layout::BEST, Width::W8, room, &mut []).ok()
}

pub(crate) fn svdf(n: usize, meter: &mut Meter) {
    count_svdf(n, meter).unwrap_or_default();
}

#[inline(never)]
fn count_svdf(n: usize, meter: &mut Meter) -> Option<()> {
    let [filters, memory, inputs] = shape(n);
    let mut noise = Noise::new(n as u32);
    let (mut codes, mut time, mut room) = ([0i8; 1024], [0i8; 1024], [0u32; 256]);
    codes.fill_with(|| noise.s8());
    time.fill_with(|| noise.s8());
    let (mut state, mut y, mut scratch, bias) = ([0i8; 1024], [0i8; 64], [0i32; 64], [100i32; 64]);
    let bias = bias.get(..filters)?;
    let weights = packed(codes.get(..filters * inputs)?, Rows::new(filters, inputs).ok()?, &mut room)?;
    let feature = FoldedS8::new(weights, bias, FEATURE).ok()?;
    let output = SvdfOutput { bias, multiplier: TIME, zero_point: -128 };
    let layer = Svdf::new(feature, time.get(..filters * memory)?, 1, -13, output).ok()?;
    let (state, y) = (state.get_mut(..filters * memory)?, y.get_mut(..filters)?);
    for row in 0..ROWS {
        let mut noise = Noise::new(row as u32);
        let mut x = [0i8; 64];
        x.fill_with(|| noise.s8());
        let x = x.get(..inputs)?;
        meter.count(&mut || {
            let _ = black_box(black_box(&layer).run(black_box(x), state, black_box(&mut *y), &mut scratch));
        });
    }
    Some(())
}

pub(crate) fn lstm(_: usize, meter: &mut Meter) {
    count_lstm(meter).unwrap_or_default();
}

#[inline(never)]
fn count_lstm(meter: &mut Meter) -> Option<()> {
    const CODES: usize = UNITS * UNITS;
    let mut noise = Noise::new(3);
    let (mut codes, mut room) = ([0i8; CODES], [0u32; CODES / 4]);
    codes.fill_with(|| noise.s8() / 2);
    let bias = [50i32; UNITS];
    let weights = packed(&codes, Rows::new(UNITS, UNITS).ok()?, &mut room)?;
    let product = FoldedS8::new(weights, &bias, GATE).ok()?;
    let gate = LstmGate { input: product, recurrent: product };
    let quant =
        LstmQuant { cell_scale: 1.0 / 2048.0, cell_clip: 10.0, hidden_scale: 1.0 / 128.0, hidden_zero_point: -1 };
    let gates = LstmGates { input: gate, forget: gate, cell: gate, output: gate };
    let layer = LstmS8::new(gates, quant, LstmShape { batch: 1, steps: 1, time_major: false }).ok()?;
    let (mut hidden, mut cell, mut y, mut scratch) = ([0i8; UNITS], [0i16; UNITS], [0i8; UNITS], [0i32; 2 * UNITS]);
    for row in 0..ROWS {
        let mut noise = Noise::new(row as u32);
        let mut x = [0i8; UNITS];
        x.fill_with(|| noise.s8());
        meter.count(&mut || {
            let state = &mut LstmState { hidden: &mut hidden, cell: &mut cell };
            let _ = black_box(black_box(&layer).run(black_box(&x), state, black_box(&mut y), &mut scratch));
        });
    }
    Some(())
}
