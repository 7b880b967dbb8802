//! TFLite's layers with a memory, SVDF and LSTM, on integers.

use std::sync::LazyLock;

/// A real number as a 31-bit fraction and a power of two.
#[must_use]
pub fn multiplier(real: f64) -> (i64, i32) {
    if real == 0.0 {
        return (0, 0);
    }
    let (mut fraction, mut exponent) = (real, 0);
    while fraction >= 1.0 {
        fraction /= 2.0;
        exponent += 1;
    }
    while fraction < 0.5 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let mut mantissa = (fraction * 2f64.powi(31)).round() as i64;
    if mantissa == 1 << 31 {
        mantissa /= 2;
        exponent += 1;
    }
    if exponent < -31 { (0, 0) } else { (mantissa, exponent) }
}

/// `x * multiplier`, rounded twice.
#[must_use]
pub fn scaled(x: i64, (mantissa, exponent): (i64, i32)) -> i64 {
    let product = (x << exponent.max(0)) * mantissa;
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    let high = (product + nudge) / (1 << 31);
    let shift = (-exponent).max(0) as u32;
    // To nearest, ties away from zero.
    let half = if shift == 0 { 0 } else { 1i64 << (shift - 1) };
    if high >= 0 { (high + half) >> shift } else { -((-high + half) >> shift) }
}

/// An SVDF layer.
#[derive(Clone, Debug)]
pub struct Svdf {
    /// `[filters][inputs]`.
    pub feature: Vec<i64>,
    /// `[filters][memory]`.
    pub time: Vec<i64>,
    /// One a unit.
    pub bias: Vec<i64>,
    /// Filters of a unit.
    pub rank: usize,
    /// Steps remembered.
    pub memory: usize,
    /// Zero points of the input, the state and the output.
    pub zero_points: [i64; 3],
    /// From feature sums to the state, and from sums over time to the output.
    pub multipliers: [(i64, i32); 2],
    /// The largest number of the state's type.
    pub most: i64,
}

impl Svdf {
    /// One step of one row; `state` is `[filters][memory]`.
    #[must_use]
    pub fn step(&self, x: &[i64], state: &mut [i64]) -> Vec<i64> {
        let [zx, zs, zy] = self.zero_points;
        state.rotate_left(1);
        let filters = self.time.len() / self.memory;
        let mut sums = Vec::new();
        for f in 0..filters {
            let row = &self.feature[f * x.len()..][..x.len()];
            let sum = row.iter().zip(x).map(|(w, x)| w * (x - zx)).sum();
            let memory = &mut state[f * self.memory..][..self.memory];
            memory[self.memory - 1] = (scaled(sum, self.multipliers[0]) + zs).clamp(-self.most - 1, self.most);
            let time = &self.time[f * self.memory..][..self.memory];
            sums.push(time.iter().zip(memory).map(|(w, s)| w * (*s - zs)).sum::<i64>());
        }
        sums.chunks(self.rank)
            .zip(&self.bias)
            .map(|(sums, bias)| {
                let sum = bias + sums.iter().sum::<i64>();
                (scaled(sum, self.multipliers[1]) + zy).clamp(-128, 127)
            })
            .collect()
    }
}

static TABLE: LazyLock<Vec<i64>> = LazyLock::new(sigmoid_table);

/// `1 / (1 + e^-x)` at 24ths, in units of 2^-16, as TFLite's table of 256 has it.
fn sigmoid_table() -> Vec<i64> {
    let exact = |i: f64| 65_536.0 / (1.0 + (-i / 24.0).exp());
    let entry = |i: usize| {
        let i = i as f64;
        (exact(i) - (exact(i + 1.0) - 2.0 * exact(i) + exact(i - 1.0)) / 16.0).round() as i64
    };
    (0..255).map(entry).chain([65_535]).collect()
}

/// The logistic function of `x / (3 * 4096)`, in units of 2^-15.
#[must_use]
pub fn logistic_s16(x: i64) -> i64 {
    let (index, rest) = ((x.abs() >> 9) as usize, x.abs() & 511);
    let table = &*TABLE;
    let y = if index >= 255 { 0x7FFF << 10 } else { (table[index] << 9) + rest * (table[index + 1] - table[index]) };
    (if x >= 0 { y + (1 << 9) } else { (1 << 25) - y + (1 << 9) - 1 }) >> 10
}

/// tanh of `x / (3 * 4096)`, in units of 2^-15.
#[must_use]
pub fn tanh_s16(x: i64) -> i64 {
    let (index, rest) = ((x.abs() >> 8) as usize, x.abs() & 255);
    let table = &*TABLE;
    let y = if index >= 255 { 0xFFFF << 8 } else { (table[index] << 8) + rest * (table[index + 1] - table[index]) };
    (if x >= 0 { y - (1 << 23) + (1 << 7) } else { -y + (1 << 23) + (1 << 7) - 1 }) >> 8
}

/// One gate of an LSTM.
#[derive(Clone, Debug)]
pub struct Gate {
    /// `[units][inputs]`.
    pub input: Vec<i64>,
    /// `[units][units]`.
    pub recurrent: Vec<i64>,
    /// One a unit.
    pub bias: Vec<i64>,
    /// From either sum to units of 2^-12.
    pub multipliers: [(i64, i32); 2],
}

/// An LSTM layer; gates in the order input, forget, cell, output.
#[derive(Clone, Debug)]
pub struct Lstm {
    /// The gates.
    pub gates: [Gate; 4],
    /// Zero points of the input and of the hidden state.
    pub zero_points: [i64; 2],
    /// The cell's scale is 2 to this.
    pub cell_power: i32,
    /// The cell's bound, or `None`.
    pub clip: Option<i64>,
    /// The hidden state's scale.
    pub hidden_scale: f64,
}

impl Lstm {
    /// One step: both states are changed, the hidden one is the output.
    pub fn step(&self, x: &[i64], hidden: &mut [i64], cell: &mut [i64]) {
        let s16 = |x: i64| x.clamp(-32_768, 32_767);
        let product = |w: &[i64], x: &[i64], zero: i64| w.iter().zip(x).map(|(w, x)| w * (x - zero)).sum::<i64>();
        let before = hidden.to_vec();
        let sum = |gate: &Gate, u: usize| {
            let input = gate.bias[u] + product(&gate.input[u * x.len()..][..x.len()], x, self.zero_points[0]);
            let weights = &gate.recurrent[u * before.len()..][..before.len()];
            let recurrent = product(weights, &before, self.zero_points[1]);
            s16(s16(scaled(input, gate.multipliers[0])) + s16(scaled(recurrent, gate.multipliers[1])))
        };
        let [input, forget, new, output] = &self.gates;
        for u in 0..cell.len() {
            let [i, f, o] = [input, forget, output].map(|gate| logistic_s16(3 * sum(gate, u)));
            let g = tanh_s16(3 * sum(new, u));
            let kept = s16(scaled(f * cell[u], multiplier(2f64.powi(-15))));
            let added = s16(scaled(i * g, multiplier(2f64.powi(-30) / 2f64.powi(self.cell_power))));
            cell[u] = s16(kept + added);
            if let Some(clip) = self.clip {
                cell[u] = cell[u].clamp(-clip, clip);
            }
            let shift = 15 + self.cell_power - 3;
            let argument =
                if shift < 0 { (cell[u] * 3 + (1 << (-shift - 1))) >> -shift } else { cell[u] * (3 << shift) };
            let shown = scaled(tanh_s16(argument) * o, multiplier(2f64.powi(-30) / self.hidden_scale));
            hidden[u] = (shown + self.zero_points[1]).clamp(-128, 127);
        }
    }
}
