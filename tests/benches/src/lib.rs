//! What is counted on boards and timed on the host: one list, `walk`; the front-end is `examples/bench.rs`.
//!
//! A figure is the mean over [`ROWS`] different inputs, the public call included, tables and parameters built before. Under
//! an emulator with `-icount` it counts instructions, and is the same each time.
#![no_std]

mod adalog;
mod batch_matmul;
mod linear;
mod meter;
mod noise;
mod peers;
mod recurrent;
mod softmax;
mod softmax_q;
mod softmax_s8;
mod stablemax;

pub use meter::Meter;
pub use noise::Noise;

/// Inputs that a figure is the mean of.
pub const ROWS: usize = 8;

/// One kernel at one row length.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "a function has none worth printing")]
pub struct Bench {
    /// The public function or type, in snake case.
    pub kernel: &'static str,
    /// The library and its version, if it is not ours.
    pub peer: Option<&'static str>,
    /// Elements of a row, or of a side of a square matrix.
    pub n: usize,
    /// What the units are divided by: elements, or products.
    work: usize,
    /// Bytes of stack that it needs at least.
    pub ram: usize,
    body: fn(usize, &mut Meter),
}

impl Bench {
    /// Units ([`scrimp_rt::UNIT`]) an element, or a multiply-accumulate.
    #[must_use]
    pub fn run(&self) -> f64 {
        let mut meter = Meter::new();
        (self.body)(self.n, &mut meter);
        meter.mean() / self.work as f64
    }
}

const KIB: usize = 1024;

/// Shows every bench.
pub fn walk(visit: &mut dyn FnMut(&Bench)) {
    let mut bench = |kernel, sizes: &[usize], bytes_an_element, body| {
        for &n in sizes {
            visit(&Bench { kernel, peer: None, n, work: n, ram: n * bytes_an_element + 4 * KIB, body });
        }
    };
    bench("softmax_f32", &[64, 256, 1000], 8, softmax::f32);
    bench("softmax_s8", &[64, 256, 1000], 2, softmax_s8::softmax);
    bench("softmax_s8_s16", &[64, 256, 1000], 3, softmax_s8::softmax_s16);
    bench("log_softmax_s8", &[64, 256, 1000], 2, softmax_s8::log_softmax);
    bench("stablemax_s8", &[64, 256, 1000], 2, softmax_s8::stablemax);
    bench("stablemax_s8_s16", &[64, 256, 1000], 3, softmax_s8::stablemax_s16);
    bench("stablemax_f32", &[64, 256, 1000], 8, stablemax::f32);
    bench("log_stablemax_f32", &[256], 8, stablemax::log);
    bench("stablemax_cross_entropy", &[256], 8, stablemax::gradient);
    bench("perp_grad", &[256], 8, stablemax::perp);
    bench("softmax_s16", &[64, 256, 1000], 4, softmax_q::s16);
    bench("softmax_q", &[64, 256, 1000], 4, softmax_q::q);
    bench("two_pass_q", &[64, 256, 1000], 4, softmax_q::two_pass);
    bench("stablemax_q", &[64, 256, 1000], 4, softmax_q::stable);
    bench("three_pass_f32", &[256], 8, softmax::three_pass);
    bench("two_pass_f32", &[256], 8, softmax::two_pass);
    bench("log_softmax_f32", &[256], 8, softmax::log_softmax);
    bench("online_softmax", &[256], 8, softmax::online);
    bench("softmax_f32_scaled", &[256], 8, softmax::scaled);
    bench("adalog_codes", &[64, 256], 5, adalog::codes);
    // 64 keys of 32 channels: their values, packed, and keys; on the row's figure see the function.
    bench("attend_adalog", &[64], 128, adalog::attend);
    let work = 64 * adalog::CHANNELS;
    visit(&Bench { kernel: "adalog_product", peer: None, n: 64, work, ram: 10 * KIB, body: adalog::product });
    let mut layer = |kernel, body| {
        for n in [32, 64, 256] {
            // Weights row by row and packed, each as bytes and as planes.
            visit(&Bench { kernel, peer: None, n, work: n * n, ram: n * n * 4 + n * 20 + 4 * KIB, body });
        }
    };
    layer("linear_s8", linear::s8);
    layer("linear_s4", linear::s4);
    layer("linear_nest8", linear::nest8);
    layer("linear_nest4", linear::nest4);
    layer("linear_nest3", linear::nest3);
    layer("linear_raw3", linear::raw3);
    // Heads and small layers, where what a call costs beside its products is seen.
    for (kernel, n, outputs) in linear::SMALL {
        visit(&Bench { kernel, peer: None, n, work: n * outputs, ram: 8 * KIB, body: linear::small });
    }
    for n in [32, 64] {
        let [filters, memory, inputs] = recurrent::shape(n);
        let work = filters * (memory + inputs);
        visit(&Bench { kernel: "svdf", peer: None, n, work, ram: 8 * KIB, body: recurrent::svdf });
    }
    let work = 8 * recurrent::UNITS * recurrent::UNITS;
    visit(&Bench { kernel: "lstm_s8", peer: None, n: recurrent::UNITS, work, ram: 8 * KIB, body: recurrent::lstm });
    let mut product = |kernel, body| {
        for n in [16, 64] {
            let work = batch_matmul::shape(n).iter().product();
            visit(&Bench { kernel, peer: None, n, work, ram: 4 * n * n + 4 * KIB, body });
        }
    };
    product("batch_matmul_s8", batch_matmul::s8);
    product("batch_matmul_s8_transposed", batch_matmul::s8_transposed);
    let mut peer = |kernel, bytes_an_element, body| {
        for n in [64, 256, 1000] {
            let ram = n * bytes_an_element + 4 * KIB;
            visit(&Bench { kernel, peer: Some(peers::EMBEDDED_NN), n, work: n, ram, body });
        }
    };
    peer("softmax_s8", 2, peers::s8);
    peer("softmax_f32", 8, peers::f32);
}
