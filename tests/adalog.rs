//! AdaLog against its definition in f64, the vectors of its specification, and itself on every backend.

use scrimp::backend::{Dispatch, Scalar};
use scrimp::nn::{AttentionAdaLog, AttentionScales, CodeForm, attend_adalog_on};
use scrimp::quant::{
    AdaLog, CodeLinear, CodeProduct, GELU_SHIFT, GeluCodes, GeluForm, GeluLadder, GeluS8, Log2, LogSqrt2, LogitBias,
    LogitCodes, MASKED, PackedKeys, PackedValues, Shift, Symbols, Ties, Uniform, ValueRange, pack, packed_len, unpack,
};
use scrimp::{Error, Rows};
use scrimp_reference::adalog::{self as reference, AdaLog as Reference};

fn adalog(bits: u32, q: u32, scale: f64, symbols: Symbols) -> AdaLog {
    AdaLog::new(bits, q, scale, symbols).expect("valid")
}

fn oracle(of: &AdaLog) -> Reference {
    Reference { bits: of.bits(), q: of.q(), scale: of.scale(), full: of.symbols() == Symbols::Full }
}

/// Random numbers that every machine makes the same.
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 20
    }

    fn below(&mut self, n: i64) -> i64 {
        self.bits() as i64 % n
    }

    fn s8(&mut self) -> i8 {
        (self.bits() >> 8) as i8
    }
}

// The specification's vectors.

#[test]
fn tables() {
    let check = |bits, q, e: &[u32], m: &[u32], t: &[i16]| {
        let adalog = adalog(bits, q, 1.0, Symbols::Full);
        let codes = 0..1u16 << bits;
        assert_eq!(codes.clone().map(|c| adalog.shift(c)).collect::<Vec<_>>(), e);
        assert_eq!(codes.clone().map(|c| adalog.mantissa(c)).collect::<Vec<_>>(), m);
        assert_eq!(codes.map(|c| adalog.weight(c, adalog.fraction_bits())).collect::<Vec<_>>(), t);
    };
    check(
        3,
        45,
        &[0, 1, 2, 3, 4, 6, 7, 8],
        &[14, 12, 10, 9, 8, 13, 11, 10],
        &[28672, 12288, 5120, 2304, 1024, 416, 176, 80],
    );
    check(
        4,
        25,
        &[0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9, 10],
        &[30, 19, 24, 29, 18, 23, 29, 18, 23, 28, 18, 22, 28, 17, 22, 27],
        &[30720, 19456, 12288, 7424, 4608, 2944, 1856, 1152, 736, 448, 288, 176, 112, 68, 44, 27],
    );
    check(
        4,
        37,
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        &[30; 16],
        &[30720, 15360, 7680, 3840, 1920, 960, 480, 240, 120, 60, 30, 15, 8, 4, 2, 1],
    );
    check(2, 60, &[0, 1, 3, 4], &[6, 4, 5, 3], &[24576, 8192, 2560, 768]);
    for bits in 2..=8 {
        for q in 1..=137 {
            let of = adalog(bits, q, 1.0, Symbols::Full);
            for code in 0..=1 << bits {
                let (of, want) = (&of, &oracle(&of));
                let c = u32::from(code);
                if code < 1 << bits {
                    assert_eq!((of.shift(code), of.mantissa(code)), (want.shift(c), want.mantissa(c)));
                }
                let weight = of.weight(code, of.fraction_bits());
                assert_eq!(i64::from(weight), want.weight(c, of.fraction_bits()), "{bits} {q} {code}");
                assert!((of.value(code) - want.value(c)).abs() <= 1e-14 * want.value(c));
            }
        }
    }
}

#[test]
fn quantize_and_ties() {
    let x = [1.0, 0.9, 0.75, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001, 1e-4, 0.0];
    let encode = |bits, q| {
        let mut codes = [0u16; 14];
        adalog(bits, q, 1.0, Symbols::Full).codec().encode(&x, &mut codes).expect("fits");
        codes
    };
    assert_eq!(encode(4, 25), [0, 0, 1, 1, 3, 3, 5, 6, 8, 10, 11, 15, 16, 16]);
    assert_eq!(encode(3, 45), [0, 0, 0, 1, 1, 2, 3, 4, 5, 5, 6, 8, 8, 8]);
    assert_eq!(encode(4, 20), [0, 0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 16, 16]);
    let mut values = [0.0; 4];
    adalog(4, 25, 1.0, Symbols::Full).codec().decode(&[1u16, 3, 6, 15], &mut values).expect("fits");
    for (got, want) in values.iter().zip([0.633_333_33, 0.241_666_67, 0.060_416_67, 0.000_878_91]) {
        assert!((f64::from(*got) - want).abs() < 4e-8, "{got}");
    }
    // Half way: to even, or up.
    let ties = [0.5f32, 0.125, 1.0 / 32.0, 1.0 / 128.0];
    let mut codes = [0u8; 4];
    let even = adalog(4, 74, 1.0, Symbols::Full);
    even.codec().encode(&ties, &mut codes).expect("fits");
    assert_eq!(codes, [0, 2, 2, 4]);
    even.with_ties(Ties::Up).codec().encode(&ties, &mut codes).expect("fits");
    assert_eq!(codes, [1, 2, 3, 4]);
    let fixed = ties.map(|x| (x * 65_536.0) as u16);
    even.fixed_codec(1.0 / 65_536.0).expect("valid").encode(&fixed, &mut codes).expect("fits");
    assert_eq!(codes, [0, 2, 2, 4]);
    even.with_ties(Ties::Up).fixed_codec(1.0 / 65_536.0).expect("valid").encode(&fixed, &mut codes).expect("fits");
    assert_eq!(codes, [1, 2, 3, 4]);
}

#[test]
fn product_of_the_specification() {
    let adalog = adalog(4, 25, 1.0, Symbols::TopIsZero);
    let range = ValueRange { zero_point: 6, low: 0, high: 15 };
    let product: CodeProduct = CodeProduct::new(&adalog, range, 4).expect("valid");
    let v = [3, 15, 7, 0, 12, 9, 1, 14];
    let queries = Rows::new(2, 4).expect("valid");
    // The first row has code 15 of 17 symbols, which is zero here: 27 (v - 6) less than in the specification.
    let codes = [0x30, 0xFF, 0x22, 0x95];
    let mut y = [0; 4];
    product.run(&codes, &v, &mut y, queries).expect("fits");
    assert_eq!(y, [-84_574 - 27 * 6, 232_017 - 27 * 3, -9_152, 49_280]);
    let mut buckets = [0; 4];
    product.run_buckets(&codes, &v, &mut buckets, queries).expect("fits");
    assert_eq!(y, buckets);
    let mut sums = [0; 2];
    product.sums(&codes, &mut sums, queries).expect("fits");
    assert_eq!(sums, [38_144, 27_968]);
}

#[test]
fn gelu_of_the_specification() {
    let full = adalog(4, 15, 3.0, Symbols::Full);
    let x = [-10.0, -2.0, -0.7518, -0.3, 0.0, 0.5, 1.0, 2.0, 3.0];
    let codes = x.map(|x| full.code_of(reference::gelu(x) + GELU_SHIFT));
    assert_eq!(codes, [10, 11, 16, 14, 10, 6, 4, 1, 0]);
    let values = [0.181_25, 0.1375, 0.0, 0.059_375, 0.181_25, 0.55, 0.95, 2.3, 3.0];
    for (code, want) in codes.into_iter().zip(values) {
        assert!((full.value(code) - want).abs() < 1e-12);
    }
    assert!((full.taken_off(GELU_SHIFT, Shift::SelfConsistent) - 0.181_25).abs() < 1e-12);
    let linear: CodeLinear = CodeLinear::new(&adalog(4, 15, 3.0, Symbols::TopIsZero), 4, 15).expect("valid");
    for (bias, scale, sum, want) in [(0.1, 0.02, 2, 0.093_201_150_3), (-0.2, 0.05, -2, -0.183_002_875_7)] {
        let folded = linear.fold(bias, scale, sum, GELU_SHIFT).expect("fits");
        assert!((f64::from(folded) * linear.unit() * scale - want).abs() <= 0.51 * linear.unit() * scale);
    }
}

#[test]
fn logits_of_the_specification() {
    let adalog = adalog(4, 25, 1.0, Symbols::TopIsZero);
    let logits = [1200, 950, 1180, -300, 400, 1100, 0, -2500];
    let one = Rows::one(8).expect("valid");
    let run = |codes: LogitCodes| {
        let mut packed = [0; 4];
        codes.run(&logits, &mut packed, one).expect("fits");
        let mut codes = [0; 8];
        unpack(4, &packed, &mut codes).expect("fits");
        codes
    };
    let anchored = LogitCodes::anchored(&adalog, 0.002).expect("valid");
    assert!(anchored.is_exact());
    assert_eq!(run(anchored), [0, 1, 0, 6, 3, 0, 5, 15]);
    assert_eq!(run(anchored.with_thresholds()), [0, 1, 0, 6, 3, 0, 5, 15]);
    assert_eq!(run(LogitCodes::normalized(&adalog, 0.002).expect("valid")), [3, 4, 3, 9, 6, 3, 8, 15]);
}

#[test]
fn open_vectors() {
    let text = include_str!("vectors/quant/adalog.json");
    let file: serde_json::Value = serde_json::from_str(text).expect("JSON");
    for case in file["cases"].as_array().expect("cases") {
        let numbers = |value: &serde_json::Value| -> Vec<f64> {
            value["data"].as_array().expect("data").iter().map(|v| v.as_f64().expect("number")).collect()
        };
        let integer = |name: &str| u32::try_from(case["params"][name].as_u64().expect("integer")).expect("u32");
        let symbols = if case["params"]["symbols"] == "full" { Symbols::Full } else { Symbols::TopIsZero };
        let adalog = adalog(integer("bits"), integer("q"), case["params"]["scale"].as_f64().expect("scale"), symbols);
        let x: Vec<f32> = numbers(&case["inputs"]["x"]).into_iter().map(|x| x as f32).collect();
        let mut codes = vec![0u16; x.len()];
        adalog.codec().encode(&x, &mut codes).expect("fits");
        let want = numbers(&case["outputs"]["codes"]);
        assert!(codes.iter().zip(want).all(|(&c, w)| f64::from(c).total_cmp(&w).is_eq()), "{}", case["name"]);
    }
}

// Sweeps.

#[test]
fn codes_are_those_of_real_arithmetic() {
    let mut noise = Noise::new(1);
    for bits in 2..=8 {
        for q in [1, 2, 7, 10, 15, 25, 37, 60, 74, 90, 137] {
            for symbols in [Symbols::Full, Symbols::TopIsZero] {
                let of = adalog(bits, q, 0.37, symbols);
                let oracle = oracle(&of);
                let x: Vec<f32> = (0..4000)
                    .map(|i| (0.5f32).powf(i as f32 / 130.0) * (0.5 + noise.below(1000) as f32 / 1000.0))
                    .chain([0.0, -0.0, -1.0, f32::NAN, f32::INFINITY, f32::MAX, 1e-45, f32::MIN_POSITIVE])
                    .collect();
                let mut codes = vec![0u16; x.len()];
                of.codec().encode(&x, &mut codes).expect("fits");
                for (&x, &code) in x.iter().zip(&codes) {
                    let level = oracle.level(f64::from(x));
                    // Next to a boundary f64 itself may be wrong.
                    let near = (level - level.floor() - 0.5).abs() < 1e-9;
                    assert!(near || u32::from(code) == oracle.code(f64::from(x)), "{bits} {q} {x}: {code}");
                }
                let fixed: Vec<u32> = (0..1 << 16).collect();
                let mut codes = vec![0u16; fixed.len()];
                of.fixed_codec(1.0 / 65_536.0).expect("valid").encode(&fixed, &mut codes).expect("fits");
                for (&x, &code) in fixed.iter().zip(&codes) {
                    let x = f64::from(x) / 65_536.0;
                    let level = oracle.level(x);
                    let near = (level - level.floor() - 0.5).abs() < 1e-9;
                    assert!(near || u32::from(code) == oracle.code(x), "{bits} {q} {x}: {code}");
                }
            }
        }
    }
}

#[test]
fn log2_and_log_sqrt2() {
    let x: Vec<f32> = (0..2000).map(|i| 1.1 * (0.5f32).powf(i as f32 / 90.3)).collect();
    for bits in 2..=8 {
        let limit = (1u32 << bits) - 1;
        let (base2, base_sqrt2) = (
            Log2::new(bits, 0.9, Symbols::TopIsZero).expect("valid"),
            LogSqrt2::new(bits, 0.9, Symbols::TopIsZero).expect("valid"),
        );
        for (factor, codec) in [(1.0, base2.codec()), (2.0, base_sqrt2.codec())] {
            let (mut codes, mut values) = (vec![0u8; x.len()], vec![0.0; x.len()]);
            codec.encode(&x, &mut codes).expect("fits");
            codec.decode(&codes, &mut values).expect("fits");
            for ((&x, &code), &value) in x.iter().zip(&codes).zip(&values) {
                let level = -(f64::from(x) / 0.9).min(1.0).log2() * factor;
                let want = (level.round() as u32).min(limit);
                assert!((level.fract() - 0.5).abs() < 1e-6 || u32::from(code) == want, "{bits} {x}");
                let real = if code == limit as u8 { 0.0 } else { 0.9 * (-f64::from(code) / factor).exp2() };
                assert!((f64::from(value) - real).abs() <= 1e-7 * real);
            }
        }
        let half = LogSqrt2::new(bits, 0.9, Symbols::TopIsZero).expect("valid").value(2);
        assert!((half - 0.45).abs() < 1e-12 && (base2.value(1) - 0.45).abs() < 1e-12);
    }
}

#[test]
fn uniform_codes() {
    let uniform = Uniform::new(3, 0.25, 2).expect("valid");
    let mut codes = [0; 9];
    let x = [-9.0, -0.5, -0.126, 0.0, 0.125, 0.375, 1.2, 9.0, f32::NAN];
    uniform.encode(&x, &mut codes).expect("fits");
    assert_eq!(codes, [0, 0, 1, 2, 2, 4, 7, 7, 2]);
    let mut back = [0.0; 9];
    uniform.decode(&codes, &mut back).expect("fits");
    assert!((back[7] - 1.25).abs() < 1e-6 && (back[0] + 0.5).abs() < 1e-6);
    assert!(uniform.encode(&x, &mut codes[..8]).is_err() && uniform.decode(&codes, &mut back[..8]).is_err());
}

#[test]
fn packing_goes_there_and_back() {
    let mut noise = Noise::new(2);
    for bits in 2..=8 {
        for n in 0..70 {
            let codes: Vec<u8> = (0..n).map(|_| noise.below(1 << bits) as u8).collect();
            let mut packed = vec![0; packed_len(bits, n)];
            pack(bits, &codes, &mut packed).expect("fits");
            let stream: Vec<u32> = (0..n * bits as usize).map(|i| u32::from(packed[i / 8] >> (i % 8)) & 1).collect();
            for (chunk, &code) in stream.chunks(bits as usize).zip(&codes) {
                assert_eq!(chunk.iter().rev().fold(0, |all, bit| all * 2 + bit), u32::from(code));
            }
            let unused = 8 * packed.len() - n * bits as usize;
            assert!(n == 0 || packed[packed.len() - 1].leading_ones() as usize >= unused);
            let mut back = vec![0; n];
            unpack(bits, &packed, &mut back).expect("fits");
            assert_eq!(codes, back);
        }
    }
    assert_eq!(packed_len(8, usize::MAX), usize::MAX);
    assert!(pack(1, &[0], &mut [0]).is_err() && pack(9, &[0], &mut [0, 0]).is_err());
    assert!(pack(4, &[0], &mut []).is_err() && unpack(4, &[0], &mut [0; 3]).is_err());
}

/// Every difference of logits that a code can tell apart, and some beyond, in seven settings.
#[test]
fn every_logit_has_the_code_of_real_arithmetic() {
    for (bits, q, unit) in [
        (4, 25, 0.002),
        (4, 10, 1.6e-4),
        (4, 37, 1.0 / 16.0),
        (3, 31, 0.0007),
        (2, 60, 0.01),
        (4, 12, 0.9),
        (4, 137, 0.05),
        (3, 20, 3e-5),
    ] {
        let of = adalog(bits, q, 1.0, Symbols::TopIsZero);
        let oracle = oracle(&of);
        let codes: LogitCodes = LogitCodes::anchored(&of, unit).expect("valid");
        let kappa = unit * core::f64::consts::LOG2_E * 37.0 / f64::from(q);
        let reach = (20.0 / kappa) as i32 + 50;
        let logits: Vec<i32> = (0..=reach).map(|d| 1000 - d).chain([-1_000_000_000, MASKED]).collect();
        for chunk in logits.chunks(60_000) {
            // The largest is in every row.
            let row: Vec<i32> = core::iter::once(1000).chain(chunk.iter().copied()).collect();
            let given: Vec<_> = row.iter().map(|&l| (l != MASKED).then_some(i64::from(l))).collect();
            let want = oracle.anchored(&given, unit);
            let rows = Rows::one(row.len()).expect("valid");
            let run = |codes: &LogitCodes| {
                let mut packed = vec![0; codes.packed_len(row.len())];
                codes.run(&row, &mut packed, rows).expect("fits");
                let mut unpacked = vec![0; row.len()];
                unpack(bits, &packed, &mut unpacked).expect("fits");
                unpacked.into_iter().map(u32::from).collect::<Vec<_>>()
            };
            assert_eq!(run(&codes.with_thresholds()), want, "{bits} {q} {unit}");
            let fast = run(&codes);
            if codes.is_exact() {
                assert_eq!(fast, want, "{bits} {q} {unit}");
            }
            let differ =
                fast.iter().zip(&want).filter(|(a, b)| a != b).inspect(|(a, b)| assert_eq!(a.abs_diff(**b), 1));
            assert!(differ.count() <= 2, "{bits} {q} {unit}");
        }
    }
}

/// The paper's codes: few differ, by one, and only next to a boundary.
#[test]
fn normalized_codes_are_nearly_the_papers() {
    let mut noise = Noise::new(3);
    let (mut differ, mut all) = (0, 0);
    for (q, unit, scale) in [(25, 0.002, 1.0), (18, 0.01, 0.5), (37, 0.0625, 1.0), (45, 0.3, 1.0)] {
        let of = adalog(4, q, scale, Symbols::TopIsZero);
        let oracle = oracle(&of);
        let codes: LogitCodes = LogitCodes::normalized(&of, unit).expect("valid");
        for n in [1, 2, 5, 64, 197, 1000] {
            for _ in 0..20 {
                let spread = (noise.below(8) + 1) as f64 / unit;
                let logits: Vec<i32> = (0..n).map(|_| (noise.below(2001) as f64 / 1000.0 * spread) as i32).collect();
                let mut packed = vec![0; codes.packed_len(n)];
                codes.run(&logits, &mut packed, Rows::one(n).expect("valid")).expect("fits");
                let mut got = vec![0; n];
                unpack(4, &packed, &mut got).expect("fits");
                let given: Vec<_> = logits.iter().map(|&l| Some(i64::from(l))).collect();
                for (&got, level) in got.iter().zip(oracle.softmax_levels(&given, unit)) {
                    let level = level.expect("not masked").max(0.0);
                    let want = (level + 0.5).floor().min(15.0);
                    all += 1;
                    if (f64::from(got) - want).abs() > 0.0 {
                        differ += 1;
                        let distance = (level - level.floor() - 0.5).abs();
                        assert!(
                            distance < 0.05 && (f64::from(got) - want).abs() < 1.5,
                            "{q} {unit} {n}: {level} {got}"
                        );
                    }
                }
            }
        }
    }
    assert!(differ * 200 < all, "{differ} of {all}");
}

#[test]
fn gelu_tables_and_ladders() {
    for (bits, q, scale, symbols) in [(4, 15, 3.0, Symbols::TopIsZero), (3, 30, 2.0, Symbols::TopIsZero)] {
        let of = adalog(bits, q, scale, symbols);
        let one = Rows::one(256).expect("valid");
        let all: Vec<i8> = (-128..=127).collect();
        let codes = GeluCodes::new(&of, 0.04, -20, GELU_SHIFT, GeluForm::Erf).expect("valid");
        let mut packed = vec![0; packed_len(bits, 256)];
        codes.run(&all, &mut packed, one).expect("fits");
        let mut got = vec![0; 256];
        unpack(bits, &packed, &mut got).expect("fits");
        for (&x, &code) in all.iter().zip(&got) {
            let y = reference::gelu(0.04 * f64::from(i32::from(x) + 20)) + GELU_SHIFT;
            assert_eq!(u16::from(code), of.code_of(y), "{x}");
        }
        for step in [0.001, 0.013, 1.0, 40.0] {
            let ladder: GeluLadder = GeluLadder::new(&of, step, GELU_SHIFT, GeluForm::Erf).expect("valid");
            let x: Vec<i32> = (-20_000..20_000).chain([i32::MIN, i32::MAX, -1 << 20, 1 << 20]).collect();
            let mut packed = vec![0; packed_len(bits, x.len())];
            ladder.run(&x, &mut packed, Rows::one(x.len()).expect("valid")).expect("fits");
            let mut got = vec![0; x.len()];
            unpack(bits, &packed, &mut got).expect("fits");
            for (&x, &code) in x.iter().zip(&got) {
                let y = reference::gelu(step * f64::from(x)) + GELU_SHIFT;
                assert_eq!(u16::from(code), of.code_of(y), "{step} {x}");
            }
        }
    }
}

#[test]
fn gelu_to_s8_is_tflites() {
    let text = include_str!("vectors/quant/gelu_s8.json");
    let file: serde_json::Value = serde_json::from_str(text).expect("JSON");
    for case in file["cases"].as_array().expect("cases") {
        let ints = |side: &str, name: &str| -> Vec<i8> {
            let data = case[side][name]["data"].as_array().expect("data");
            data.iter().map(|v| i8::try_from(v.as_i64().expect("integer")).expect("i8")).collect()
        };
        let params = &case["params"];
        let tensor = |name: &str| {
            let zero_point = params[format!("{name}_zero_point")].as_i64().expect("integer");
            (params[format!("{name}_scale")].as_f64().expect("scale"), i8::try_from(zero_point).expect("i8"))
        };
        let gelu = GeluS8::new(tensor("input"), tensor("output"), GeluForm::Erf).expect("valid");
        let x = ints("inputs", "x");
        let mut y = vec![0; x.len()];
        gelu.run(&x, &mut y).expect("fits");
        assert_eq!(y, ints("outputs", "y"), "{}", case["name"]);
    }
    let tanh = GeluS8::new((0.1, 0), (0.1, 0), GeluForm::Tanh).expect("valid");
    let mut y = [0; 3];
    tanh.run(&[-10, 0, 10], &mut y).expect("fits");
    assert_eq!(y, [-2, 0, 8]);
}

// Products and attention on every backend.

/// Every form of the product gives the sums of the definition.
#[test]
fn products_are_exact() {
    let mut noise = Noise::new(5);
    for (bits, q) in [(2, 60), (3, 45), (4, 25), (4, 10), (6, 12), (8, 5)] {
        let of = adalog(bits, q, 1.0, Symbols::TopIsZero);
        for (keys, width) in [(1, 1), (3, 5), (16, 4), (64, 32), (100, 7), (197, 64), (250, 33)] {
            let product: CodeProduct<256> =
                CodeProduct::new(&of, ValueRange { zero_point: -3, low: -128, high: 127 }, keys).expect("valid");
            let codes: Vec<u8> = (0..2 * keys).map(|_| noise.below(1 << bits) as u8).collect();
            let v: Vec<i8> = (0..keys * width).map(|_| noise.s8()).collect();
            let queries = Rows::new(2, keys).expect("valid");
            let mut packed = Vec::new();
            for row in codes.chunks(keys) {
                let mut bytes = vec![0; packed_len(bits, keys)];
                pack(bits, row, &mut bytes).expect("fits");
                packed.extend(bytes);
            }
            let weight = |code: u8| i64::from(of.weight(code.into(), of.fraction_bits()));
            let want: Vec<i32> = (0..2 * width)
                .map(|i| {
                    let row = codes[i / width * keys..][..keys].iter().zip(v.chunks(width));
                    row.map(|(&c, v)| weight(c) * (i64::from(v[i % width]) + 3)).sum::<i64>() as i32
                })
                .collect();
            let mut y = vec![0; 2 * width];
            product.run(&packed, &v, &mut y, queries).expect("fits");
            assert_eq!(y, want, "{bits} {keys} {width}");
            product.run_buckets(&packed, &v, &mut y, queries).expect("fits");
            assert_eq!(y, want, "{bits} {keys} {width}");
            if bits == 4 {
                packed_products(&of, &packed, &v, Rows::new(keys, width).expect("valid"), &want);
            }
        }
    }
}

fn packed_products(of: &AdaLog, codes: &[u8], v: &[i8], shape: Rows, want: &[i32]) {
    let range = ValueRange { zero_point: -3, low: -128, high: 127 };
    let product: CodeProduct = CodeProduct::new(of, range, shape.rows()).expect("valid");
    macro_rules! on {
        ($name:ident, $token:expr) => {
            if let Some(token) = $token {
                let mut words = vec![7; PackedValues::words(shape)];
                let v = PackedValues::pack_on(token, v, &mut words, shape).expect("fits");
                let mut y = vec![0; want.len()];
                let mut scratch = vec![7; CodeProduct::scratch_words(shape)];
                product.run_packed_on(token, codes, &v, &mut y, &mut scratch).expect("fits");
                assert_eq!(y, want, "{}", stringify!($name));
            }
        };
    }
    scrimp::for_each_backend!(on);
}

struct Case {
    q: Vec<i8>,
    k: Vec<i8>,
    v: Vec<i8>,
    keys: Rows,
    queries: usize,
}

impl Case {
    fn new(noise: &mut Noise, queries: usize, keys: usize, width: usize) -> Self {
        let mut fill = |n: usize| (0..n).map(|_| noise.s8()).collect::<Vec<_>>();
        let keys_shape = Rows::new(keys, width).expect("valid");
        Self { q: fill(queries * width), k: fill(keys * width), v: fill(keys * width), keys: keys_shape, queries }
    }

    fn run<D: Dispatch>(&self, d: D, attention: &AttentionAdaLog, bias: LogitBias<'_>) -> Vec<i8> {
        let (mut k, mut v) = (vec![3; PackedKeys::words(self.keys)], vec![3; PackedValues::words(self.keys)]);
        let k = PackedKeys::pack_on(d, &self.k, &mut k, self.keys).expect("fits");
        let v = PackedValues::pack_on(d, &self.v, &mut v, self.keys).expect("fits");
        let mut y = vec![0; self.queries * self.keys.cols()];
        let mut scratch = vec![9; AttentionAdaLog::scratch_words(self.keys)];
        attend_adalog_on(d, attention, &self.q, &k, &v, bias, &mut y, &mut scratch).expect("fits");
        y
    }

    /// In real numbers, from exact codes.
    fn real(&self, of: &AdaLog, form: CodeForm, scales: &AttentionScales, bias: &[i32]) -> Vec<f64> {
        let (keys, width) = (self.keys.rows(), self.keys.cols());
        let oracle = oracle(of);
        let mut y = Vec::new();
        for (i, q) in self.q.chunks(width).enumerate() {
            let logits: Vec<Option<i64>> = (0..keys)
                .map(|k| {
                    let dot: i64 = q.iter().zip(&self.k[k * width..]).map(|(&q, &k)| i64::from(q) * i64::from(k)).sum();
                    let bias = if bias.is_empty() { 0 } else { bias[i * keys + k] };
                    (bias != MASKED).then_some(dot + i64::from(bias))
                })
                .collect();
            let codes: Vec<u32> = match form {
                CodeForm::Anchored => oracle.anchored(&logits, scales.logit),
                // Their own test says how near they are to the paper's.
                CodeForm::Normalized => {
                    let row: Vec<i32> = logits.iter().map(|l| l.map_or(MASKED, |l| l as i32)).collect();
                    let codes: LogitCodes = LogitCodes::normalized(of, scales.logit).expect("valid");
                    let mut packed = vec![0; codes.packed_len(keys)];
                    codes.run(&row, &mut packed, Rows::one(keys).expect("valid")).expect("fits");
                    let mut unpacked = vec![0; keys];
                    unpack(of.bits(), &packed, &mut unpacked).expect("fits");
                    unpacked.into_iter().map(u32::from).collect()
                }
            };
            let weight = |code: u32| oracle.weight(code, of.fraction_bits()) as f64;
            let sum: f64 = codes.iter().map(|&c| weight(c)).sum();
            let unit = match form {
                CodeForm::Anchored => scales.value / sum.max(1.0),
                CodeForm::Normalized => {
                    scales.value * of.scale() / f64::from(of.largest_mantissa() << of.fraction_bits())
                }
            };
            for j in 0..width {
                let total: f64 = (0..keys)
                    .map(|k| {
                        let v = i32::from(self.v[k * width + j]) - i32::from(scales.values.zero_point);
                        weight(codes[k]) * f64::from(v)
                    })
                    .sum();
                y.push(total * unit / scales.output + f64::from(scales.output_zero_point));
            }
        }
        y
    }
}

#[test]
fn attention_is_that_of_real_arithmetic_on_every_backend() {
    let mut noise = Noise::new(7);
    let values = ValueRange { zero_point: 5, low: -128, high: 127 };
    for (bits, q) in [(4, 12), (4, 25), (3, 31), (2, 40)] {
        let of = adalog(bits, q, 1.0, Symbols::TopIsZero);
        for (keys, width) in [(1, 1), (7, 3), (16, 16), (49, 32), (64, 32), (65, 20), (197, 64), (240, 8)] {
            let case = Case::new(&mut noise, 3, keys, width);
            let logit = 1.0 / (600.0 * (width as f64).sqrt());
            let scales = AttentionScales { logit, value: 0.02, values, output: 0.015, output_zero_point: -4 };
            let bias: Vec<i32> = (0..3 * keys)
                .map(|i| if noise.below(3) == 0 || i / keys == 2 { MASKED } else { noise.below(2000) as i32 })
                .collect();
            for form in [CodeForm::Anchored, CodeForm::Normalized] {
                let attention = AttentionAdaLog::new(&of, form, &scales, keys).expect("valid");
                for bias in [&[][..], &bias] {
                    let added = if bias.is_empty() { LogitBias::None } else { LogitBias::Add(bias) };
                    let got = case.run(Scalar, &attention, added);
                    let want = case.real(&of, form, &scales, bias);
                    for (i, (&got, &want)) in got.iter().zip(&want).enumerate() {
                        let error = (f64::from(got) - want.clamp(-128.0, 127.0)).abs();
                        assert!(error <= 0.51, "{bits} {keys} {width} {form:?} {i}: {got}, not {want}");
                    }
                    macro_rules! on {
                        ($name:ident, $token:expr) => {
                            if let Some(token) = $token {
                                assert_eq!(case.run(token, &attention, added), got, "{}", stringify!($name));
                            }
                        };
                    }
                    scrimp::for_each_backend!(on);
                }
            }
        }
    }
}

#[test]
fn masked_rows_and_biased_codes() {
    let of = adalog(4, 25, 1.0, Symbols::TopIsZero);
    for codes in [LogitCodes::<16>::anchored(&of, 0.01), LogitCodes::normalized(&of, 0.01)] {
        let codes = codes.expect("valid");
        let rows = Rows::new(2, 3).expect("valid");
        let mut packed = [0; 4];
        codes.run(&[MASKED; 6], &mut packed, rows).expect("fits");
        assert_eq!(packed, [0xFF; 4]);
        // Far below zero the distance of a masked logit no longer shows.
        codes.run(&[i32::MIN + 9, MASKED, i32::MIN + 9, 5, MASKED, 5], &mut packed, rows).expect("fits");
        assert_eq!((packed[0] >> 4, packed[1] >> 4, packed[2] >> 4), (15, 15, 15));
        assert_eq!((packed[0] & 15, packed[1] & 15), (packed[2] & 15, packed[3] & 15));
        let logits = [1, 2, 3, 4, 5, 6];
        let bias = [100, MASKED, 3, 4, 5, 6];
        let sum = [101, MASKED, 6, 8, 10, 12];
        let (mut one, mut other) = ([0; 4], [0; 4]);
        codes.run(&sum, &mut one, rows).expect("fits");
        codes.run_biased(&logits, LogitBias::Add(&bias), &mut other, rows).expect("fits");
        assert_eq!(one, other);
        codes.run_s8(&logits.map(|l| l as i8), LogitBias::Add(&bias), &mut other, rows).expect("fits");
        assert_eq!(one, other);
        let mask = [true, false, true];
        codes.run(&[1, MASKED, 3, 4, MASKED, 6], &mut one, rows).expect("fits");
        codes.run_biased(&logits, LogitBias::Mask(&mask), &mut other, rows).expect("fits");
        assert_eq!(one, other);
        assert!(codes.run_biased(&logits, LogitBias::Mask(&[true; 4]), &mut other, rows).is_err());
    }
}

#[test]
fn linear_layers_are_exact() {
    let mut noise = Noise::new(11);
    for (bits, q) in [(3, 30), (4, 15), (6, 8), (8, 4)] {
        let of = adalog(bits, q, 3.0, Symbols::TopIsZero);
        for (inputs, outputs, tokens) in [(1, 1, 1), (64, 5, 2), (100, 3, 2), (200, 7, 3)] {
            let linear: CodeLinear<256> = CodeLinear::new(&of, inputs, 255).expect("valid");
            let codes: Vec<u8> = (0..tokens * inputs).map(|_| noise.below(1 << bits) as u8).collect();
            let packed: Vec<u8> = codes
                .chunks(inputs)
                .flat_map(|row| {
                    let mut bytes = vec![0; packed_len(bits, inputs)];
                    pack(bits, row, &mut bytes).expect("fits");
                    bytes
                })
                .collect();
            let w: Vec<i8> = (0..inputs * outputs).map(|_| noise.s8()).collect();
            let zero_points: Vec<i8> = (0..outputs).map(|_| noise.s8()).collect();
            let bias: Vec<i32> = (0..outputs).map(|_| noise.below(1000) as i32).collect();
            let fraction_bits = (f64::from(of.largest_mantissa()) * linear.unit() / 3.0).recip().log2().round() as u32;
            for zero_points in [&zero_points[..], &zero_points[..1]] {
                let mut y = vec![0; tokens * outputs];
                let rows = Rows::new(tokens, inputs).expect("valid");
                linear.run(&packed, &w, zero_points, &bias, &mut y, rows).expect("fits");
                for (i, &got) in y.iter().enumerate() {
                    let (token, o) = (i / outputs, i % outputs);
                    let zero_point = i64::from(zero_points[if zero_points.len() == 1 { 0 } else { o }]);
                    let terms = codes[token * inputs..][..inputs].iter().zip(&w[o * inputs..]);
                    let sum: i64 = terms
                        .map(|(&c, &w)| i64::from(of.weight(c.into(), fraction_bits)) * (i64::from(w) - zero_point))
                        .sum();
                    assert_eq!(i64::from(got), sum + i64::from(bias[o]));
                }
            }
        }
    }
}

// Bad input.

#[test]
fn bad_parameters_are_errors() {
    let new = |bits, q, scale| AdaLog::new(bits, q, scale, Symbols::TopIsZero);
    for bad in [new(1, 25, 1.0), new(9, 25, 1.0), new(4, 0, 1.0), new(4, 138, 1.0), new(4, 25, 0.0)] {
        assert!(matches!(bad, Err(Error::Config { .. })));
    }
    assert!(new(4, 25, -1.0).is_err() && new(4, 25, f64::NAN).is_err() && new(4, 25, f64::INFINITY).is_err());
    assert!(Log2::new(9, 1.0, Symbols::Full).is_err() && LogSqrt2::new(4, 0.0, Symbols::Full).is_err());
    for (bits, scale, zero_point) in
        [(1, 1.0, 0), (9, 1.0, 0), (4, 0.0, 0), (4, f32::NAN, 0), (4, -1.0, 0), (4, 1.0, 16)]
    {
        assert!(Uniform::new(bits, scale, zero_point).is_err());
    }
    let (top, full) = (adalog(4, 25, 1.0, Symbols::TopIsZero), adalog(4, 25, 1.0, Symbols::Full));
    for unit in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-12] {
        assert!(LogitCodes::<16>::anchored(&top, unit).is_err() && LogitCodes::<16>::normalized(&top, unit).is_err());
    }
    assert!(LogitCodes::<16>::anchored(&full, 0.1).is_err() && LogitCodes::<8>::anchored(&top, 0.1).is_err());
    assert!(LogitCodes::<16>::anchored(&top, 1e300).is_ok());
    let range = |low, high| ValueRange { zero_point: 0, low, high };
    for (range, most) in [(range(-15, 15), 4660), (range(-127, 127), 550), (ValueRange::S8, 546)] {
        assert!(CodeProduct::<16>::new(&top, range, most).is_ok());
        let error = CodeProduct::<16>::new(&top, range, most + 1).map(drop);
        assert!(matches!(error, Err(Error::TooLarge { max, .. }) if max == most), "{error:?}");
    }
    assert!(CodeProduct::<16>::with_fraction_bits(&top, ValueRange::S8, 4000, 7).is_ok());
    assert!(CodeProduct::<16>::with_fraction_bits(&top, ValueRange::S8, 4, 11).is_err());
    assert!(CodeProduct::<16>::new(&full, ValueRange::S8, 4).is_err());
    assert!(CodeProduct::<8>::new(&top, ValueRange::S8, 4).is_err());
    assert!(CodeProduct::<16>::new(&top, ValueRange::S8, 0).is_err());
    assert!(CodeLinear::<16>::new(&top, 0, 8).is_err() && CodeLinear::<16>::new(&full, 8, 8).is_err());
    assert!(CodeLinear::<16>::new(&top, 3072, 255).is_ok() && CodeLinear::<16>::new(&top, 1 << 30, 255).is_err());
    let linear: CodeLinear = CodeLinear::new(&top, 4, 15).expect("valid");
    assert!(linear.fold(1e30, 0.1, 0, 0.17).is_err() && linear.fold(f64::NAN, 0.1, 0, 0.17).is_err());
    assert!(top.fixed_codec(0.0).is_err() && top.fixed_codec(f64::NAN).is_err());
    assert!(GeluS8::new((0.0, 0), (1.0, 0), GeluForm::Erf).is_err());
    assert!(GeluCodes::new(&full, 0.1, 0, 0.17, GeluForm::Erf).is_err());
    assert!(GeluCodes::new(&top, 0.1, 0, f64::NAN, GeluForm::Erf).is_err());
    assert!(GeluLadder::<16>::new(&top, f64::NAN, 0.17, GeluForm::Erf).is_err());
    assert!(GeluLadder::<8>::new(&top, 0.1, 0.17, GeluForm::Erf).is_err());
    let scales = AttentionScales { logit: 0.01, value: 1.0, values: ValueRange::S8, output: 1.0, output_zero_point: 0 };
    let attention = |of: &AdaLog, scales, keys| AttentionAdaLog::new(of, CodeForm::Anchored, &scales, keys);
    assert!(attention(&top, scales, 64).is_ok() && attention(&top, scales, 547).is_err());
    assert!(attention(&adalog(6, 25, 1.0, Symbols::TopIsZero), scales, 64).is_err());
    for bad in [0.0, -1.0, f64::NAN, 1e-9] {
        assert!(attention(&top, AttentionScales { output: bad, ..scales }, 64).is_err());
        assert!(attention(&top, AttentionScales { value: bad * 1e-9, ..scales }, 64).is_err());
        assert!(attention(&top, AttentionScales { logit: bad * 1e-9, ..scales }, 64).is_err());
    }
}

#[test]
fn errors_leave_outputs_alone() {
    let of = adalog(4, 25, 1.0, Symbols::TopIsZero);
    let mut codes = [7u8; 4];
    assert!(of.codec().encode(&[1.0; 3], &mut codes).is_err());
    let eight = adalog(8, 5, 1.0, Symbols::Full).codec();
    assert!(matches!(eight.encode(&[0.0; 4], &mut codes), Err(Error::TooLarge { .. })));
    assert!(eight.encode(&[0.0; 4], &mut [0u16; 4]).is_ok());
    let rows = Rows::one(8).expect("valid");
    let logit_codes: LogitCodes = LogitCodes::anchored(&of, 0.1).expect("valid");
    assert!(logit_codes.run(&[0; 7], &mut codes, rows).is_err());
    assert!(logit_codes.run(&[0; 8], &mut codes[..3], rows).is_err());
    assert_eq!(codes, [7; 4]);
    let product: CodeProduct = CodeProduct::new(&of, ValueRange::S8, 8).expect("valid");
    let mut y = [7; 2];
    assert!(product.run(&codes[..3], &[0; 16], &mut y, rows).is_err());
    assert!(product.run(&codes, &[0; 15], &mut y, rows).is_err());
    assert!(product.run(&[7; 5], &[0; 18], &mut y, Rows::one(9).expect("valid")).is_err());
    assert!(product.run(&codes, &[0; 16], &mut y[..0], rows).is_err());
    let shape = Rows::new(8, 2).expect("valid");
    let (mut k, mut v) = (vec![1; PackedKeys::words(shape)], vec![1; PackedValues::words(shape)]);
    assert!(
        PackedKeys::pack(&[0; 15], &mut k, shape).is_err() && PackedValues::pack(&[0; 16], &mut v[1..], shape).is_err()
    );
    assert!(k.iter().chain(&v).all(|&w| w == 1));
    let k = PackedKeys::pack(&[0; 16], &mut k, shape).expect("fits");
    let v = PackedValues::pack(&[0; 16], &mut v, shape).expect("fits");
    assert!(product.run_packed(&codes, &v, &mut y, &mut [0; 3]).is_err());
    let scales = AttentionScales { logit: 0.01, value: 1.0, values: ValueRange::S8, output: 1.0, output_zero_point: 0 };
    let attention = AttentionAdaLog::new(&of, CodeForm::Anchored, &scales, 8).expect("valid");
    let mut scratch = vec![0; AttentionAdaLog::scratch_words(shape)];
    let mut out = [7i8; 2];
    let attend = |q: &[i8], bias: LogitBias<'_>, y: &mut [i8], scratch: &mut [u32]| {
        scrimp::nn::attend_adalog(&attention, q, &k, &v, bias, y, scratch)
    };
    assert!(attend(&[0; 3], LogitBias::None, &mut out, &mut scratch).is_err());
    assert!(attend(&[], LogitBias::None, &mut [], &mut scratch).is_err());
    assert!(attend(&[0; 2], LogitBias::None, &mut out[..1], &mut scratch).is_err());
    assert!(attend(&[0; 2], LogitBias::Add(&[0; 3]), &mut out, &mut scratch).is_err());
    let short = scratch.len() - 1;
    assert!(attend(&[0; 2], LogitBias::None, &mut out, &mut scratch[..short]).is_err());
    assert_eq!((y, out), ([7; 2], [7; 2]));
    assert!(attend(&[0; 2], LogitBias::None, &mut out, &mut scratch).is_ok());
}
