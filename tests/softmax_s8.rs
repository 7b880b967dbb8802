//! 8-bit softmax, log-softmax and StableMax: TFLite's vectors, the oracle, and the rules beyond them, on every backend.

use scrimp::backend::Dispatch;
use scrimp::error::{Arg, Rule};
use scrimp::fixedpoint::{exp_on_negative_values, ln_of_at_least_one, one_over_one_plus_x, rounded_reciprocal};
use scrimp::{Error, LogSoftmaxS8, Rows, SoftmaxS8, SoftmaxS8Ref, StablemaxS8};
use scrimp_reference::softmax_s8 as oracle;
use serde_json::Value;

/// Numbers that every machine makes the same (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A row of values `range` apart at most, somewhere in i8.
    fn row(&mut self, n: usize, range: u64) -> Vec<i8> {
        let low = self.below(257 - range) as i64 - 128;
        (0..n).map(|_| (low + self.below(range) as i64) as i8).collect()
    }
}

#[test]
fn exponential_of_every_distance_for_64_scales() {
    for i in 0..64 {
        let scale = 1.37 * f64::from(i + 1) / 64.0 * if i % 2 == 0 { 1.0 } else { 0.01 };
        let (multiplier, shift, diff_min) = oracle::parameters(scale, 1.0);
        for d in 0..256 {
            if -d < diff_min {
                continue;
            }
            let a = oracle::high_mul(-d << shift, multiplier);
            assert_eq!(exp_on_negative_values(a), oracle::exp(a), "scale {scale}, distance {d}");
            let real = (f64::from(a) / f64::from(1 << 26)).exp() * 2f64.powi(31);
            assert!((f64::from(oracle::exp(a)) - real).abs() < 600.0, "{a}");
        }
    }
}

#[test]
fn exponential_of_known_and_random_arguments() {
    for (quarters, e) in [
        (0, 2_147_483_647),
        (1, 1_672_462_419),
        (2, 1_302_515_042),
        (4, 790_015_308),
        (8, 290_630_390),
        (16, 39_332_546),
        (32, 720_401),
        (64, 242),
        (124, 0),
    ] {
        assert_eq!(exp_on_negative_values(-quarters << 24), e);
    }
    let mut noise = Noise(1);
    for i in 0..400_000 {
        let a = -((noise.next() as u32 >> (1 + i % 20)) as i32);
        assert_eq!(exp_on_negative_values(a), oracle::exp(a), "{a}");
    }
    assert_eq!(exp_on_negative_values(i32::MIN), oracle::exp(i32::MIN));
}

#[test]
fn reciprocal_at_the_edges_and_at_random() {
    let mut noise = Noise(2);
    let edges = (0..3000).chain(i32::MAX - 3000..=i32::MAX);
    let powers = (0..31).flat_map(|k| [(1 << k) - 1, 1 << k, (1 << k) + 1].map(|x: i32| x.max(0)));
    let random = (0..400_000).map(|_| noise.next() as i32 & i32::MAX);
    for x in edges.chain(powers).chain(random) {
        let got = one_over_one_plus_x(x);
        assert_eq!(got, oracle::reciprocal(x), "{x}");
        let real = 2f64.powi(62) / (2f64.powi(31) + f64::from(x));
        assert!((f64::from(got) - real).abs() < 7.0, "{x}: {got} instead of {real}");
    }
    assert_eq!(one_over_one_plus_x(0), 2_147_483_647);
    assert_eq!(one_over_one_plus_x(1 << 30), 1_431_655_762);
}

#[test]
fn rounded_reciprocal_is_rounded() {
    let mut noise = Noise(8);
    let edges = (0..3000).map(|i| (1 << 31) + i).chain(u32::MAX - 3000..=u32::MAX);
    let halves = (1 << 15..=u16::MAX.into()).flat_map(|h: u32| [h << 16, h << 16 | 0xFFFF]);
    for d in edges.chain(halves).chain((0..2_000_000).map(|_| noise.next() as u32 | 1 << 31)) {
        let want = ((1u128 << 63) + u128::from(d)) / (2 * u128::from(d));
        assert_eq!(u128::from(rounded_reciprocal(d)), want, "{d}");
    }
}

#[test]
fn logarithm_is_close() {
    let mut noise = Noise(3);
    for i in 0..400_000u64 {
        let x = (1 << 19) + (noise.next() as i32 & i32::MAX >> (1 + i % 11));
        let real = (f64::from(x) / f64::from(1 << 19)).ln();
        let got = f64::from(ln_of_at_least_one(x)) / f64::from(1 << 26);
        assert!((got - real).abs() < 1e-6, "{x}: {got} instead of {real}");
    }
}

#[test]
fn parameters_are_checked() {
    let bad = Err(Error::Config { what: Rule::Scale });
    for (scale, beta) in [
        (0.0, 1.0),
        (-1.0, -1.0),
        (1.0, 0.0),
        (f64::NAN, 1.0),
        (1.0, f64::NAN),
        (2f64.powi(-26), 1.0),
        (1e-300, 1e-300),
    ] {
        assert_eq!(SoftmaxS8::new(scale, beta).map(|_| ()), bad, "{scale} {beta}");
        let mut table = [7; 256];
        assert_eq!(SoftmaxS8Ref::build(&mut table, scale, beta).map(|_| ()), bad);
        assert_eq!(table, [7; 256]);
    }
    assert_eq!(LogSoftmaxS8::new(0.0).map(|_| ()), bad);
    for scale in [0.0, -1.0, f64::NAN, 16.1, f64::INFINITY] {
        assert_eq!(StablemaxS8::new(scale).map(|_| ()), bad, "{scale}");
    }
    for (multiplier, shift, diff_min) in
        [(0, 19, -255), (-1, 19, -255), (1 << 30, -1, -1), (1 << 30, 32, 0), (1 << 30, 23, 1), (1 << 30, 24, -248)]
    {
        assert_eq!(SoftmaxS8::from_multiplier(multiplier, shift, diff_min).map(|_| ()), bad);
    }
    for scale in [2f64.powi(-25), 1e-3, 0.1, 1.0, 15.9, 16.0, 31.9, 32.0, 1e300, f64::INFINITY] {
        let by_scale = SoftmaxS8::new(scale, 1.0).unwrap();
        let (multiplier, shift, diff_min) = oracle::parameters(scale, 1.0);
        let by_multiplier = SoftmaxS8::from_multiplier(multiplier, shift, diff_min).unwrap();
        assert_eq!(format!("{by_scale:?}"), format!("{by_multiplier:?}"), "scale {scale}");
    }
}

/// Every way to call softmax, against the oracle.
fn same_as_oracle<D: Dispatch>(d: D, x: &[i8], cols: usize, softmax: &SoftmaxS8, exponentials: &[i32], what: &str) {
    let rows = Rows::new(x.len() / cols, cols).unwrap();
    let want = |bits| -> Vec<i32> { x.chunks(cols).flat_map(|x| oracle::softmax(x, exponentials, bits)).collect() };
    let mut y = vec![0; x.len()];
    softmax.run_on(d, x, &mut y, rows).unwrap();
    assert!(y.iter().map(|&y| i32::from(y)).eq(want(8)), "s8 {what}");
    let mut in_place = x.to_vec();
    softmax.run_in_place_on(d, &mut in_place, rows).unwrap();
    assert_eq!(in_place, y, "in place {what}");
    let mut wide = vec![0; x.len()];
    softmax.run_s16_on(d, x, &mut wide, rows).unwrap();
    assert!(wide.iter().map(|&y| i32::from(y)).eq(want(16)), "s16 {what}");
}

fn random_rows<D: Dispatch>(d: D) {
    let mut noise = Noise(4);
    for case in 0..600u64 {
        let shift = 17 + (case % 11) as i32;
        let multiplier = (1 << 30) | (noise.next() as i32 & 0x3FFF_FFFF);
        let diff_min = -((31i64 << 26 >> shift) as i32);
        let softmax = SoftmaxS8::from_multiplier(multiplier, shift, diff_min).unwrap();
        let exponentials = oracle::exponentials(multiplier, shift, diff_min);
        let cols = 1 + noise.below(600) as usize;
        let range = [256, 100, 30, 8, 2, 1][noise.below(6) as usize];
        let mut x = noise.row(2 * cols, range);
        if case % 5 == 0 {
            x[cols / 2] = 127; // one logit above all others
        }
        same_as_oracle(d, &x, cols, &softmax, &exponentials, &format!("case {case}, cols {cols}, shift {shift}"));
    }
}

/// Around and beyond the sums where the reference ends.
fn flat_rows<D: Dispatch>(d: D) {
    for (scale, range) in [(1.0 / 16.0, 1), (1.0 / 16.0, 3), (1e-4, 256), (0.5, 4), (1.0 / 64.0, 256)] {
        let (multiplier, shift, diff_min) = oracle::parameters(scale, 1.0);
        let softmax = SoftmaxS8::new(scale, 1.0).unwrap();
        let exponentials = oracle::exponentials(multiplier, shift, diff_min);
        let mut noise = Noise(5);
        let lengths =
            (400..5000).step_by(97).chain(505..520).chain(4090..4100).chain([8191, 8192, 8193, 16_384, 65_536]);
        for cols in lengths {
            let mut x = noise.row(cols, range);
            x[cols - 1] = x[cols - 1].saturating_add(3);
            same_as_oracle(d, &x, cols, &softmax, &exponentials, &format!("scale {scale}, cols {cols}"));
        }
    }
}

fn log_rows<D: Dispatch>(d: D) {
    let mut noise = Noise(6);
    for case in 0..300 {
        let scale = [0.5, 0.0784, 1.0 / 16.0, 0.01, 1e-3, 20.0][case % 6];
        let softmax = LogSoftmaxS8::new(scale).unwrap();
        let cols = if case < 290 { 1 + noise.below(600) as usize } else { 4000 + 6837 * (case - 290) };
        let x = noise.row(cols, [256, 40, 1][case % 3]);
        let mut y = vec![0; cols];
        let rows = Rows::one(cols).unwrap();
        softmax.run_on(d, &x, &mut y, rows).unwrap();
        let (_, _, diff_min) = oracle::parameters(scale, 1.0);
        let max = i32::from(*x.iter().max().unwrap());
        for ((&x, &y), want) in x.iter().zip(&y).zip(oracle::log_softmax(&x, scale)) {
            let negligible = i32::from(x) - max < diff_min;
            assert!(
                (f64::from(y) - want.max(-128.0)).abs() < 0.51 || negligible && y == -128,
                "case {case}, cols {cols}, scale {scale}: {y} instead of {want}"
            );
        }
        let mut in_place = x.clone();
        softmax.run_in_place_on(d, &mut in_place, rows).unwrap();
        assert_eq!(in_place, y);
    }
}

fn stable_rows<D: Dispatch>(d: D) {
    let mut noise = Noise(7);
    for case in 0..600usize {
        let scale = [1.0 / 16.0, 1.0, 1.0 / 64.0, 0.1, 16.0, 1e-9][case % 6];
        let stablemax = StablemaxS8::new(scale).unwrap();
        let cols = if case < 570 { 1 + noise.below(600) as usize } else { 1000 + 2000 * (case - 570) };
        let x = noise.row(cols, [256, 40, 1, 256, 256][case % 5]);
        let rows = Rows::one(cols).unwrap();
        let mut y = vec![0; cols];
        stablemax.run_on(d, &x, &mut y, rows).unwrap();
        let what = format!("case {case}, cols {cols}, scale {scale}");
        assert!(y.iter().map(|&y| i32::from(y)).eq(oracle::stablemax(&x, scale, 8)), "s8 {what}");
        let mut in_place = x.clone();
        stablemax.run_in_place_on(d, &mut in_place, rows).unwrap();
        assert_eq!(in_place, y);
        let mut wide = vec![0; cols];
        stablemax.run_s16_on(d, &x, &mut wide, rows).unwrap();
        assert!(wide.iter().map(|&y| i32::from(y)).eq(oracle::stablemax(&x, scale, 16)), "s16 {what}");
        for ((&y, &wide), real) in y.iter().zip(&wide).zip(oracle::stablemax_real(&x, scale)) {
            assert!((f64::from(y) + 128.0 - 256.0 * real).abs() <= 1.0, "s8 {what}");
            if scale <= 1.0 / 16.0 {
                assert!((f64::from(wide) + 32_768.0 - 65_536.0 * real).abs() <= 4.0, "s16 {what}: {wide} {real}");
            }
        }
    }
    // From the specification: F = 4; {16, 32, 48} -> 2/9, 3/9, 4/9.
    let mut y = [0; 3];
    StablemaxS8::new(1.0 / 16.0).unwrap().run_s16_on(d, &[16, 32, 48], &mut y, Rows::one(3).unwrap()).unwrap();
    assert_eq!(y.map(|y| i32::from(y) + 32_768), [14_564, 21_845, 29_127]);
}

/// A wrong call is an error, and the output is left alone.
fn wrong_calls<D: Dispatch>(d: D) {
    let softmax = SoftmaxS8::new(0.1, 1.0).unwrap();
    let rows = Rows::new(2, 3).unwrap();
    let (mut y, mut wide) = ([5i8; 6], [5i16; 6]);
    let length = |what, got| Err(Error::Length { what, want: 6, got });
    assert_eq!(softmax.run_on(d, &[0; 5], &mut y, rows), length(Arg::X, 5));
    assert_eq!(softmax.run_on(d, &[0; 6], &mut y[..5], rows), length(Arg::Y, 5));
    assert_eq!(softmax.run_s16_on(d, &[0; 7], &mut wide, rows), length(Arg::X, 7));
    assert_eq!(softmax.run_in_place_on(d, &mut y[..4], rows), length(Arg::X, 4));
    let long = Rows::one(65_537).unwrap();
    let too_long = Err(Error::TooLarge { what: Arg::Cols, max: 65_536, got: 65_537 });
    let (x, mut long_y) = (vec![0; 65_537], vec![5; 65_537]);
    assert_eq!(softmax.run_on(d, &x, &mut long_y, long), too_long);
    assert_eq!(LogSoftmaxS8::new(0.1).unwrap().run_on(d, &x, &mut long_y, long), too_long);
    assert_eq!(StablemaxS8::new(0.1).unwrap().run_on(d, &x, &mut long_y, long), too_long);
    assert!(y == [5; 6] && wide == [5; 6] && long_y.iter().all(|&y| y == 5));
}

/// TFLite's own outputs.
fn vectors<D: Dispatch>(d: D) {
    for file in ["softmax_s8", "softmax_s8_s16", "log_softmax_s8"] {
        let path = format!("{}/tests/vectors/softmax/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let cases = json["cases"].as_array().unwrap();
        assert!(cases.len() >= 10);
        for case in cases {
            let (x, want) = (data(&case["inputs"]["x"]), data(&case["outputs"]["y"]));
            let shape = &case["inputs"]["x"]["shape"];
            let rows = Rows::new(shape[0].as_u64().unwrap() as usize, shape[1].as_u64().unwrap() as usize).unwrap();
            let x: Vec<i8> = x.iter().map(|&x| x as i8).collect();
            let (mut y, mut wide) = (vec![0i8; x.len()], vec![0i16; x.len()]);
            let name = case["name"].as_str().unwrap();
            let got: Vec<i64> = match file {
                "softmax_s8" => {
                    softmax_of(&case["params"], name).run_on(d, &x, &mut y, rows).unwrap();
                    y.iter().map(|&y| y.into()).collect()
                }
                "softmax_s8_s16" => {
                    softmax_of(&case["params"], name).run_s16_on(d, &x, &mut wide, rows).unwrap();
                    wide.iter().map(|&y| y.into()).collect()
                }
                _ => {
                    let scale = case["params"]["input_scale"].as_f64().unwrap();
                    LogSoftmaxS8::new(scale).unwrap().run_on(d, &x, &mut y, rows).unwrap();
                    y.iter().map(|&y| y.into()).collect()
                }
            };
            assert_eq!(got, want, "{file}: {name}");
        }
    }
}

fn data(tensor: &Value) -> Vec<i64> {
    tensor["data"].as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect()
}

/// From both sets of parameters where both are there; they must agree.
fn softmax_of(params: &Value, name: &str) -> SoftmaxS8 {
    let integer = |key: &str| params[key].as_i64().unwrap() as i32;
    let softmax =
        SoftmaxS8::from_multiplier(integer("input_mult"), integer("input_left_shift"), integer("diff_min")).unwrap();
    if let (Some(scale), Some(beta)) = (params["input_scale"].as_f64(), params["beta"].as_f64()) {
        let by_scale = SoftmaxS8::new(scale, beta).unwrap();
        assert_eq!(format!("{softmax:?}"), format!("{by_scale:?}"), "{name}");
    }
    softmax
}

macro_rules! on_each {
    ($name:ident, $token:expr) => {
        mod $name {
            on_each!(@ $token; vectors, random_rows, flat_rows, log_rows, stable_rows, wrong_calls);
        }
    };
    (@ $token:expr; $($test:ident),*) => {
        $(#[test]
        fn $test() {
            $token.map(super::$test).unwrap_or_else(|| eprintln!("skipped: this CPU lacks it"));
        })*
    };
}
scrimp::for_each_backend!(on_each);
