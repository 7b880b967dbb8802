//! SVDF and LSTM against their oracles, step after step, on every backend.

use scrimp::backend::Dispatch;
use scrimp::bits::{Layout, Weights, Width, packed_words};
use scrimp::error::{Arg, Rule};
use scrimp::fixedpoint::{Multiplier, SigmoidS16};
use scrimp::nn::{
    FoldedS8, LstmGate, LstmGates, LstmQuant, LstmS8, LstmShape, LstmState, Svdf, SvdfOutput, SvdfState, fold_bias,
};
use scrimp::{Error, Rows};
use scrimp_reference::recurrent as oracle;

/// A stream of numbers that every machine makes the same.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16
    }

    /// A number from `least` to `most`.
    fn of(&mut self, least: i64, most: i64) -> i64 {
        least + (self.next() >> 8) as i64 % (most - least + 1)
    }

    fn many(&mut self, n: usize, least: i64, most: i64) -> Vec<i64> {
        (0..n).map(|_| if self.of(0, 9) == 0 { least } else { self.of(least, most) }).collect()
    }
}

fn s8(x: &[i64]) -> Vec<i8> {
    x.iter().map(|&x| i8::try_from(x).unwrap()).collect()
}

fn multiplier((mantissa, shift): (i64, i32)) -> Multiplier {
    Multiplier { mantissa: mantissa as i32, shift }
}

/// The bias with the zero point in it.
fn folded(weights: &[i64], bias: &[i64], inputs: usize, zero_point: i64) -> Vec<i32> {
    bias.iter().zip(weights.chunks(inputs)).map(|(b, w)| (b - zero_point * w.iter().sum::<i64>()) as i32).collect()
}

/// Weights as they are, or in another order.
fn packed<'a>(codes: &'a [i8], shape: Rows, layout: Layout, words: &'a mut Vec<u32>) -> Weights<'a> {
    let rows = Weights::s8(codes, shape).unwrap();
    if layout == Layout::Rows {
        return rows;
    }
    words.resize(packed_words(rows.format(), layout, shape), 0);
    rows.pack_into(rows.format(), layout, Width::W8, words, &mut []).unwrap()
}

const LAYOUTS: [Layout; 4] = [Layout::Rows, Layout::Dsp, Layout::Helium, Layout::Wide];

fn svdf_on<D: Dispatch, T: SvdfState + TryFrom<i64> + Into<i64>>(backend: D, seed: u64, most: i64) {
    let mut noise = Noise(seed);
    for round in 0..40 {
        let (inputs, units, rank, memory, rows) =
            (noise.of(1, 40), noise.of(1, 9), noise.of(1, 3), noise.of(1, 12), noise.of(1, 2));
        let [inputs, rank, memory, rows] = [inputs, rank, memory, rows].map(|n| n as usize);
        let filters = units as usize * rank;
        let is_wide = most > 127;
        let of = oracle::Svdf {
            feature: noise.many(filters * inputs, -128, 127),
            // Of 16 bits no more than that no sum leaves 32, where the reference is undefined.
            time: noise.many(filters * memory, if is_wide { -1800 } else { -128 }, if is_wide { 1800 } else { 127 }),
            bias: noise.many(units as usize, -30_000, 30_000),
            rank,
            memory,
            zero_points: [noise.of(-128, 127), if is_wide { 0 } else { noise.of(-128, 127) }, noise.of(-128, 127)],
            // From hardly anything to saturation.
            multipliers: [
                oracle::multiplier(2f64.powi(-noise.of(0, 14) as i32) * 1.37),
                oracle::multiplier(2f64.powi(-noise.of(0, if is_wide { 24 } else { 18 }) as i32) * 0.71),
            ],
            most,
        };
        let codes = s8(&of.feature);
        let mut words = Vec::new();
        let weights = packed(&codes, Rows::new(filters, inputs).unwrap(), LAYOUTS[round % 4], &mut words);
        let bias = folded(&of.feature, &vec![0; filters], inputs, of.zero_points[0]);
        let feature = FoldedS8::new(weights, &bias, multiplier(of.multipliers[0])).unwrap();
        let time: Vec<T> = of.time.iter().map(|&t| T::try_from(t).ok().unwrap()).collect();
        let bias: Vec<i32> = of.bias.iter().map(|&b| b as i32).collect();
        let output =
            SvdfOutput { bias: &bias, multiplier: multiplier(of.multipliers[1]), zero_point: of.zero_points[2] as i32 };
        let layer = Svdf::new(feature, &time, rank, of.zero_points[1] as i32, output).unwrap();
        assert_eq!((layer.scratch(), layer.state()), (filters, filters * memory));
        let mut want_state = vec![of.zero_points[1]; rows * filters * memory];
        let mut state: Vec<T> = want_state.iter().map(|&s| T::try_from(s).ok().unwrap()).collect();
        for step in 0..2 * memory {
            let x = noise.many(rows * inputs, -128, 127);
            let states = want_state.chunks_mut(filters * memory);
            let want: Vec<i64> = x.chunks(inputs).zip(states).flat_map(|(x, state)| of.step(x, state)).collect();
            let mut y = vec![0; rows * units as usize];
            layer.run_on(backend, &s8(&x), &mut state, &mut y, &mut vec![7; filters + 1]).unwrap();
            assert_eq!(y, s8(&want), "step {step} of {of:?}");
            let state: Vec<i64> = state.iter().map(|&s| s.into()).collect();
            assert_eq!(state, want_state, "state at step {step}");
        }
    }
}

/// Owned gates of the library.
struct Gates {
    codes: Vec<[Vec<i8>; 2]>,
    words: Vec<[Vec<u32>; 2]>,
    bias: Vec<[Vec<i32>; 2]>,
}

fn lstm_on<D: Dispatch>(backend: D) {
    let mut noise = Noise(77);
    for round in 0..32 {
        let (inputs, units) = (noise.of(1, 30) as usize, noise.of(1, 20) as usize);
        let zero_points = [noise.of(-128, 127), if round % 3 == 0 { 0 } else { noise.of(-128, 127) }];
        let mut gate = || oracle::Gate {
            input: noise.many(units * inputs, -128, 127),
            recurrent: noise.many(units * units, -128, 127),
            bias: noise.many(units, -40_000, 40_000),
            multipliers: [0, 1].map(|_| oracle::multiplier(2f64.powi(-noise.of(0, 8) as i32) * 1.1)),
        };
        let gates = [gate(), gate(), gate(), gate()];
        let cell_power = [-12, -11, -15, -9, -8, -14][noise.of(0, 5) as usize];
        let cell_clip = [0.0, 10.0, 0.3, 1000.0][noise.of(0, 3) as usize];
        let hidden_scale = [1.0 / 128.0, 0.007_654_28, 0.003, 0.02][noise.of(0, 3) as usize];
        let cell_scale = 2f32.powi(cell_power);
        let of = oracle::Lstm {
            gates,
            zero_points,
            cell_power,
            clip: (cell_clip > 0.0).then(|| (f64::from(cell_clip) / f64::from(cell_scale)).min(32_767.0) as i64),
            hidden_scale: f64::from(hidden_scale),
        };
        let quant = LstmQuant { cell_scale, cell_clip, hidden_scale, hidden_zero_point: zero_points[1] as i32 };
        let shape = LstmShape {
            batch: noise.of(1, 3) as usize,
            steps: noise.of(1, 6) as usize,
            time_major: noise.of(0, 1) == 1,
        };
        let mut owned = Gates {
            codes: of.gates.iter().map(|g| [s8(&g.input), s8(&g.recurrent)]).collect(),
            words: vec![[Vec::new(), Vec::new()]; 4],
            bias: of
                .gates
                .iter()
                .map(|g| {
                    let recurrent = folded(&g.recurrent, &vec![0; units], units, zero_points[1]);
                    [folded(&g.input, &g.bias, inputs, zero_points[0]), recurrent]
                })
                .collect(),
        };
        let mut parts = owned.codes.iter().zip(&mut owned.words).zip(&owned.bias).zip(&of.gates).map(
            |(((codes, words), bias), gate)| {
                let [of_input, of_recurrent] = words;
                let layout = LAYOUTS[round % 4];
                let input = packed(&codes[0], Rows::new(units, inputs).unwrap(), layout, of_input);
                let recurrent = packed(&codes[1], Rows::new(units, units).unwrap(), layout, of_recurrent);
                LstmGate {
                    input: FoldedS8::new(input, &bias[0], multiplier(gate.multipliers[0])).unwrap(),
                    recurrent: FoldedS8::new(recurrent, &bias[1], multiplier(gate.multipliers[1])).unwrap(),
                }
            },
        );
        let mut next = || parts.next().unwrap();
        let gates = LstmGates { input: next(), forget: next(), cell: next(), output: next() };
        let layer = LstmS8::new(gates, quant, shape).unwrap();
        assert_eq!((layer.units(), layer.scratch()), (units, 2 * units));

        let LstmShape { batch, steps, time_major } = shape;
        let mut want_hidden = vec![zero_points[1]; batch * units];
        let mut want_cell = vec![0; batch * units];
        let (mut hidden, mut cell) = (s8(&want_hidden), vec![0i16; batch * units]);
        // The state goes on from call to call.
        for call in 0..2 {
            let x = noise.many(batch * steps * inputs, -128, 127);
            let mut want = vec![0; batch * steps * units];
            for b in 0..batch {
                let (hidden, cell) = (&mut want_hidden[b * units..][..units], &mut want_cell[b * units..][..units]);
                for t in 0..steps {
                    let row = if time_major { t * batch + b } else { b * steps + t };
                    of.step(&x[row * inputs..][..inputs], hidden, cell);
                    want[row * units..][..units].copy_from_slice(hidden);
                }
            }
            let mut y = vec![0; want.len()];
            let mut state = LstmState { hidden: &mut hidden, cell: &mut cell };
            layer.run_on(backend, &s8(&x), &mut state, &mut y, &mut vec![-1; 2 * units]).unwrap();
            assert_eq!(y, s8(&want), "call {call} of round {round}, {shape:?}, {quant:?}");
            let got: Vec<i64> = cell.iter().map(|&c| c.into()).collect();
            assert_eq!((got, &hidden), (want_cell.clone(), &s8(&want_hidden)));
        }
    }
}

#[test]
fn svdf_and_lstm_on_every_backend() {
    macro_rules! backend {
        ($name:ident, $token:expr) => {
            if let Some(token) = $token {
                svdf_on::<_, i8>(token, 5, 127);
                svdf_on::<_, i16>(token, 6, 32_767);
                lstm_on(token);
            }
        };
    }
    scrimp::for_each_backend!(backend);
}

#[test]
fn the_table_of_both_curves() {
    for code in i16::MIN..=i16::MAX {
        let x = i64::from(code);
        assert_eq!(i64::from(SigmoidS16::Q3_12.logistic(code)), oracle::logistic_s16(3 * x), "{code}");
        assert_eq!(i64::from(SigmoidS16::Q3_12.tanh(code)), oracle::tanh_s16(3 * x), "{code}");
        for scale in [0.000_3f32, 0.001, 0.3, 1.0 / 3.0, 5.3] {
            // TFLite's multiplier: doubled until it has 15 bits, then truncated.
            let (mut m, mut shift) = (f64::from(scale) * 12_288.0, 0);
            while m <= 32_767.0 / 2.0 && shift <= 30 {
                (m, shift) = (m * 2.0, shift + 1);
            }
            let half = if shift > 0 { 1 << (shift - 1) } else { 0 };
            let x = (x * m as i64 + half) >> shift;
            let of = SigmoidS16::new(scale).unwrap();
            assert_eq!(i64::from(of.logistic(code)), oracle::logistic_s16(x), "{code} at {scale}");
            assert_eq!(i64::from(of.tanh(code)), oracle::tanh_s16(x), "{code} at {scale}");
        }
    }
}

const ONE: Multiplier = Multiplier { mantissa: 1 << 30, shift: 1 };

fn shape(rows: usize, cols: usize) -> Rows {
    Rows::new(rows, cols).unwrap()
}

#[test]
fn folded_biases() {
    let weights = Weights::s8(&[1, -2, 3, 4, 5, 6], shape(2, 3)).unwrap();
    assert_eq!(fold_bias(&weights, &[10, 20], -128), Ok([10 + 256, 20 + 1920]));
    assert_eq!(fold_bias(&weights, &[], 127), Ok([-254, -1905]));
    let length = |want, got| Error::Length { what: Arg::Bias, want, got };
    assert_eq!(fold_bias::<3>(&weights, &[], 0), Err(length(2, 3)));
    assert_eq!(fold_bias::<2>(&weights, &[1], 0), Err(length(2, 1)));
    for zero_point in [-129, 128] {
        assert_eq!(fold_bias::<2>(&weights, &[], zero_point), Err(Error::Config { what: Rule::ZeroPoint }));
    }
}

#[test]
fn refusals_of_products_and_svdf() {
    let codes = [1i8; 6];
    let weights = Weights::s8(&codes, shape(3, 2)).unwrap();
    let length = |what, want, got| Error::Length { what, want, got };
    assert_eq!(FoldedS8::new(weights, &[0; 2], ONE).unwrap_err(), length(Arg::Bias, 3, 2));
    let scale = Error::Config { what: Rule::Scale };
    for bad in [Multiplier { mantissa: i32::MIN, shift: 0 }, Multiplier { shift: 31, ..ONE }] {
        assert_eq!(FoldedS8::new(weights, &[0; 3], bad).unwrap_err(), scale);
    }
    const MOST: usize = 1 << 20;
    let deep = vec![0i8; MOST + 1];
    assert!(FoldedS8::new(Weights::s8(&deep[1..], shape(1, MOST)).unwrap(), &[0], ONE).is_ok());
    let too_deep = FoldedS8::new(Weights::s8(&deep, shape(1, MOST + 1)).unwrap(), &[0], ONE);
    assert_eq!(too_deep.unwrap_err(), Error::TooLarge { what: Arg::Depth, max: MOST, got: MOST + 1 });

    let feature = FoldedS8::new(weights, &[0; 3], ONE).unwrap();
    let output = SvdfOutput { bias: &[], multiplier: ONE, zero_point: 0 };
    let new = |time: &'static [i8], rank, zero, output| Svdf::new(feature, time, rank, zero, output).map(|_| ());
    static TIME: [i8; 3 * 32_769] = [0; 3 * 32_769];
    assert_eq!(new(&TIME[..6], 3, 0, output), Ok(()));
    assert_eq!(new(&TIME[..6], 0, 0, output), Err(Error::Empty { what: Arg::Rows }));
    assert_eq!(new(&TIME[..6], 2, 0, output), Err(length(Arg::Weights, 2, 3)));
    assert_eq!(new(&TIME[..5], 1, 0, output), Err(length(Arg::Table, 3, 5)));
    assert_eq!(new(&[], 1, 0, output), Err(Error::Empty { what: Arg::Table }));
    assert_eq!(new(&TIME[..3 * 32_768], 1, 0, output), Ok(()));
    assert_eq!(new(&TIME, 1, 0, output), Err(Error::TooLarge { what: Arg::Depth, max: 32_768, got: 32_769 }));
    assert_eq!(new(&TIME[..6], 1, 0, SvdfOutput { bias: &[1; 2], ..output }), Err(length(Arg::Bias, 3, 2)));
    for zero in [-129, 128] {
        let point = Err(Error::Config { what: Rule::ZeroPoint });
        assert_eq!(new(&TIME[..6], 1, zero, output), point);
        assert_eq!(new(&TIME[..6], 1, 0, SvdfOutput { zero_point: zero, ..output }), point);
    }
    assert_eq!(
        new(&TIME[..6], 1, 0, SvdfOutput { multiplier: Multiplier { shift: -32, ..ONE }, ..output }),
        Err(scale)
    );

    let layer = Svdf::new(feature, &TIME[..6], 3, 0, output).unwrap();
    let (mut state, mut y, mut scratch) = ([9i8; 6], [9i8; 1], [9; 3]);
    assert_eq!(layer.run(&[1; 3], &mut state, &mut y, &mut scratch), Err(length(Arg::X, 2, 3)));
    assert_eq!(layer.run(&[], &mut state, &mut y, &mut scratch), Err(length(Arg::X, 2, 0)));
    assert_eq!(layer.run(&[1; 2], &mut state[..5], &mut y, &mut scratch), Err(length(Arg::State, 6, 5)));
    assert_eq!(layer.run(&[1; 2], &mut state, &mut [], &mut scratch), Err(length(Arg::Y, 1, 0)));
    assert_eq!(layer.run(&[1; 2], &mut state, &mut y, &mut scratch[..2]), Err(length(Arg::Scratch, 3, 2)));
    assert_eq!((state, y, scratch), ([9; 6], [9], [9; 3]));
}

#[test]
fn refusals_of_lstm() {
    let codes = [1i8; 12];
    let product = |rows, cols| {
        FoldedS8::new(Weights::s8(&codes[..rows * cols], shape(rows, cols)).unwrap(), &[0; 3][..rows], ONE).unwrap()
    };
    let gate = LstmGate { input: product(3, 2), recurrent: product(3, 3) };
    let gates = LstmGates { input: gate, forget: gate, cell: gate, output: gate };
    let quant = LstmQuant { cell_scale: 1.0 / 2048.0, cell_clip: 10.0, hidden_scale: 0.01, hidden_zero_point: 0 };
    let sequence = LstmShape { batch: 2, steps: 2, time_major: false };
    let new = |gates, quant, shape| LstmS8::new(gates, quant, shape).map(|_| ());
    assert_eq!(new(gates, quant, sequence), Ok(()));
    let length = |what, want, got| Err(Error::Length { what, want, got });
    let wide = LstmGate { input: product(3, 1), ..gate };
    assert_eq!(new(LstmGates { forget: wide, ..gates }, quant, sequence), length(Arg::Weights, 2, 1));
    let few = LstmGate { input: product(2, 2), ..gate };
    assert_eq!(new(LstmGates { cell: few, ..gates }, quant, sequence), length(Arg::Weights, 3, 2));
    let odd = LstmGate { recurrent: product(3, 2), ..gate };
    assert_eq!(new(LstmGates { output: odd, ..gates }, quant, sequence), length(Arg::Weights, 3, 2));
    assert_eq!(new(LstmGates { input: odd, ..gates }, quant, sequence), length(Arg::Weights, 3, 2));
    assert_eq!(new(gates, quant, LstmShape { batch: 0, ..sequence }), Err(Error::Empty { what: Arg::Batch }));
    assert_eq!(new(gates, quant, LstmShape { steps: 0, ..sequence }), Err(Error::Empty { what: Arg::Rows }));
    for hidden_zero_point in [-129, 128] {
        let point = Err(Error::Config { what: Rule::ZeroPoint });
        assert_eq!(new(gates, LstmQuant { hidden_zero_point, ..quant }, sequence), point);
    }
    let scale = Err(Error::Config { what: Rule::Scale });
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY, 8.0, 1e-30] {
        assert_eq!(new(gates, LstmQuant { cell_scale: bad, ..quant }, sequence), scale, "{bad}");
    }
    for bad in [0.0, -1.0, f32::NAN] {
        assert_eq!(new(gates, LstmQuant { hidden_scale: bad, ..quant }, sequence), scale, "{bad}");
    }
    for bad in [-1.0, f32::NAN] {
        assert_eq!(new(gates, LstmQuant { cell_clip: bad, ..quant }, sequence), scale, "{bad}");
    }

    let layer = LstmS8::new(gates, quant, sequence).unwrap();
    let (mut hidden, mut cell, mut y, mut scratch) = ([9i8; 6], [9i16; 6], [9i8; 12], [9; 6]);
    let x = [1; 8];
    let mut run = |x: &[i8], h, c, y_len, s_len| {
        let mut state = LstmState { hidden: &mut hidden[..h], cell: &mut cell[..c] };
        layer.run(x, &mut state, &mut y[..y_len], &mut scratch[..s_len])
    };
    assert_eq!(run(&x[..7], 6, 6, 12, 6), length(Arg::X, 8, 7));
    assert_eq!(run(&x, 5, 6, 12, 6), length(Arg::State, 6, 5));
    assert_eq!(run(&x, 6, 5, 12, 6), length(Arg::State, 6, 5));
    assert_eq!(run(&x, 6, 6, 11, 6), length(Arg::Y, 12, 11));
    assert_eq!(run(&x, 6, 6, 12, 5), length(Arg::Scratch, 6, 5));
    assert_eq!((hidden, cell, y, scratch), ([9; 6], [9; 6], [9; 12], [9; 6]));
}
