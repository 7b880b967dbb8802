//! Layers and matrix products of 8-bit integers beside `rten-gemm`: `n x n` weights packed before, `n` rows of activations or one.
//!
//! Ours goes all the way to 8-bit outputs (`linear_s8`) or stops at the sums (`linear_s8_sums`); the rival stops at sums.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions};
use rten_tensor::NdTensorView;
use scrimp::Rows;
use scrimp::backend::Dispatch;
use scrimp::bits::{Format, Layout, Weights, Width, packed_words};
use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{LinearS8, QuantS8, Requant};
use serde_json::{Value, json};

use crate::timing::cpu_ns;

/// The rival and its version.
const RIVAL: &str = "rten-gemm 0.27";
/// A sample is at least this long.
const SAMPLE_NS: f64 = 2e5;
/// Samples of each contender in a round, which the least counts of: fewer where they take longer than this together.
const SAMPLES: usize = 200;
const ROUND_NS: f64 = 2e8;
/// Fewer than these are none.
const LEAST_SAMPLES: usize = 8;

/// Times everything and prints a table.
pub fn run<D: Dispatch>(token: D, backend: &str, rounds: usize, file: Option<&Path>) -> Result<()> {
    let rten = GemmExecutor::<u8, i8, i32>::default();
    println!("scrimp's backend {backend}, {RIVAL}'s kernel {}, {}", rten.kernel_name(), crate::report::cpu());
    println!("ps a multiply-accumulate, CPU time, one thread; in brackets ours / {RIVAL}\n");
    println!("{:>6} {:>6}  {:>20}  {:>20}  {:>12}", "n", "rows", "linear_s8", "linear_s8_sums", "rten-gemm");
    let source = json!({
        "machine": crate::report::cpu(),
        "rustc": version(),
        "rustflags": option_env!("RUSTFLAGS").unwrap_or(""),
        "command": std::env::args().skip(1).fold("scrimp-bench".to_owned(), |all, arg| all + " " + &arg),
        "rival_kernel": rten.kernel_name(),
    });
    let mut records = vec![source];
    for n in [64, 256, 512, 1024] {
        for rows in [n, 1] {
            let [ours, sums, rival] = case(token, &rten, n, rows, rounds)?;
            let cell = |ps: f64| format!("{ps:.2} [{:.3}]", ps / rival);
            println!("{n:>6} {rows:>6}  {:>20}  {:>20}  {rival:>12.2}", cell(ours), cell(sums));
            let suffix = if rows == 1 { "_vector" } else { "" };
            for (kernel, value) in [("linear_s8", ours), ("linear_s8_sums", sums)] {
                records.push(record(&format!("{kernel}{suffix}"), backend, n, value, None));
            }
            records.push(record(&format!("linear_s8{suffix}"), "its own", n, rival, Some(ours / rival)));
        }
    }
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, serde_json::to_string_pretty(&records)? + "\n").with_context(|| file.display().to_string())
}

fn record(kernel: &str, backend: &str, n: usize, value: f64, ratio: Option<f64>) -> Value {
    let round = |value: f64| (value * 1e4).round() / 1e4;
    let mut record = json!({
        "kernel": kernel, "board": "host", "backend": backend, "n": n, "unit": "ps/MAC", "value": round(value),
    });
    if let Some(ratio) = ratio {
        record["peer"] = json!(RIVAL);
        record["ratio"] = json!(round(ratio));
    }
    record
}

/// ps a multiply-accumulate of our layer, of our sums and of the rival: medians over rounds of the least of a round.
fn case<D: Dispatch>(
    token: D,
    rten: &GemmExecutor<u8, i8, i32>,
    n: usize,
    rows: usize,
    rounds: usize,
) -> Result<[f64; 3]> {
    let mut seed = 0x9E37_79B9_7F4A_7C15u64 ^ n as u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 32) as u8
    };
    let codes: Vec<i8> = (0..n * n).map(|_| next() as i8).collect();
    let x: Vec<i8> = (0..rows * n).map(|_| next() as i8).collect();
    let shape = Rows::new(n, n)?;
    let mut words = vec![0; packed_words(Format::S8, Layout::Wide, shape)];
    let weights =
        Weights::s8(&codes, shape)?.pack_into(Format::S8, Layout::Wide, Width::W8, &mut words, &mut [])?;
    let (mut bias, mut mantissa, mut shift) = (vec![0; n], vec![0; n], vec![0; n]);
    let quant = QuantS8 { input_offset: 128, output_offset: -3, ..QuantS8::PLAIN };
    let scale = [Multiplier { mantissa: 1_500_000_000, shift: -9 }];
    let tables = (&mut bias[..], &mut mantissa[..], &mut shift[..]);
    let widths = [(Width::W8, Requant::build(tables, &weights, Width::W8, &quant, &[], &scale)?)];
    let layer = LinearS8::new(weights, &widths, quant)?;

    // The rival takes unsigned activations and the weights transposed. It has no path for one row and packed weights.
    let unsigned: Vec<u8> = x.iter().map(|&x| (x as u8) ^ 0x80).collect();
    let transposed = NdTensorView::from_data([n, n], &codes[..]);
    let transposed = transposed.transposed();
    let a = NdTensorView::from_data([rows, n], &unsigned[..]);
    let packed = rten.prepack_b(transposed);
    let contiguous = transposed.to_contiguous();

    let (mut y, mut sums, mut theirs) = (vec![0i8; rows * n], vec![0i32; rows * n], vec![0i32; rows * n]);
    layer.sums_on(token, &x, &mut sums, rows)?;
    let rival = |out: &mut [i32], b: GemmInputB<'_, i8>| {
        rten.gemm(out, GemmInputA::Unpacked(a), b, GemmOptions::default()).map_err(|e| anyhow::anyhow!("{e}"))
    };
    rival(&mut theirs, GemmInputB::Packed(&packed))?;
    // Theirs has 128 added to each activation.
    for (at, (&ours, &theirs)) in sums.iter().zip(&theirs).enumerate() {
        let of_weights: i32 = codes[at % n * n..][..n].iter().map(|&w| i32::from(w)).sum();
        ensure!(ours + 128 * of_weights == theirs, "other sums than the rival's");
    }

    let mut contenders: Vec<Box<dyn FnMut() + '_>> = vec![
        Box::new(|| layer.run_on(token, black_box(&x), black_box(&mut y), rows).expect("the lengths are right")),
        Box::new(|| layer.sums_on(token, black_box(&x), black_box(&mut sums), rows).expect("the lengths are right")),
        Box::new({
            let (mut out, packed) = (vec![0; rows * n], &packed);
            move || rival(black_box(&mut out), GemmInputB::Packed(packed)).expect("the shapes are right")
        }),
        Box::new({
            let mut out = vec![0; rows * n];
            move || rival(black_box(&mut out), GemmInputB::Unpacked(*contiguous.view())).expect("the shapes are right")
        }),
        Box::new({
            let mut out = vec![0; rows * n];
            move || rival(black_box(&mut out), GemmInputB::Unpacked(transposed)).expect("the shapes are right")
        }),
    ];
    let calls: Vec<usize> = contenders.iter_mut().map(|run| calls_a_sample(run)).collect();
    let longest = contenders.iter_mut().zip(&calls).map(|(run, &calls)| sample(run, calls) * calls as f64);
    let samples = ((ROUND_NS / longest.fold(SAMPLE_NS, f64::max)) as usize).clamp(LEAST_SAMPLES, SAMPLES);
    let mut least = vec![vec![f64::INFINITY; rounds]; contenders.len()];
    for round in 0..rounds {
        for _ in 0..samples {
            for (i, run) in contenders.iter_mut().enumerate() {
                least[i][round] = least[i][round].min(sample(run, calls[i]));
            }
        }
    }
    let ps = |samples: &Vec<f64>| {
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        1e3 * sorted[sorted.len() / 2] / (n * n * rows) as f64
    };
    let [ours, sums, packed, unpacked, transposed] = [0, 1, 2, 3, 4].map(|i| ps(&least[i]));
    // Whatever its user would take.
    Ok([ours, sums, packed.min(unpacked).min(transposed)])
}

fn calls_a_sample(run: &mut Box<dyn FnMut() + '_>) -> usize {
    sample(run, 2);
    let mut calls = 1;
    while sample(run, calls) * (calls as f64) < SAMPLE_NS {
        calls *= 2;
    }
    calls
}

/// ns a call.
fn sample(run: &mut Box<dyn FnMut() + '_>, calls: usize) -> f64 {
    let start = cpu_ns();
    for _ in 0..calls {
        run();
    }
    (cpu_ns() - start) / calls as f64
}

fn version() -> String {
    let output = Command::new("rustc").arg("--version").output();
    output.map_or_else(|_| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
