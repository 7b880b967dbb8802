//! The 16-bit and fixed-point softmax forms against TFLite's rule and the exact probabilities, on every backend.

use core::fmt::Debug;
use std::sync::LazyLock;

use scrimp::backend::Scalar;
use scrimp::error::Rule;
use scrimp::fixedpoint::{Logit, Probability};
use scrimp::softmax::two_pass_q_on;
use scrimp::{Error, OnlineQ, Rows, SoftmaxQ, SoftmaxS16, StablemaxQ, two_pass_q};
use scrimp_reference::softmax_q::{self as reference, TfliteS16};

static TFLITE: LazyLock<TfliteS16> = LazyLock::new(TfliteS16::default);

fn one(n: usize) -> Rows {
    Rows::one(n).expect("not empty")
}

/// Random numbers that every machine makes the same.
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, n: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as i64 % n
    }
}

/// Rows of numbers between `min` and `max` of many kinds.
fn rows(n: usize, min: i64, max: i64) -> Vec<Vec<i64>> {
    let mut noise = Noise::new(n as u64);
    let range = max - min + 1;
    let mut rows = vec![vec![min; n], vec![max; n], vec![0; n]];
    for spread in [2, 20, 300, 5_000, 70_000, 1 << 20, 1 << 32] {
        let spread = range.min(spread);
        let low = min + noise.below(range - spread + 1);
        rows.push((0..n).map(|_| low + noise.below(spread)).collect());
        // Close to the maximum of what can be.
        rows.push((0..n).map(|_| max - noise.below(spread)).collect());
    }
    // One dominant logit among masked ones, and among others a certain distance away.
    for distance in [1, 100, 1_000, 2_839, 5_678, 8_000, range - 1] {
        let mut row = vec![max - distance.min(range - 1); n];
        row[n / 2] = max;
        rows.push(row);
    }
    rows
}

// TFLite's rule.

#[test]
fn vectors_of_tflite() {
    let text = include_str!("vectors/softmax/softmax_s16.json");
    let file: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let mut cases = 0;
    for case in file["cases"].as_array().expect("cases") {
        let ints = |side: &str, name: &str| -> Vec<i16> {
            let data = case[side][name]["data"].as_array().expect("data");
            data.iter().map(|v| i16::try_from(v.as_i64().expect("integer")).expect("i16")).collect()
        };
        let (x, want) = (ints("inputs", "x"), ints("outputs", "y"));
        let params = &case["params"];
        let integer = |name: &str| i32::try_from(params[name].as_i64().expect("integer")).expect("i32");
        let softmax = SoftmaxS16::from_multiplier(integer("input_mult"), integer("input_left_shift")).expect("valid");
        if let Some(scale) = params["input_scale"].as_f64() {
            let beta = params["beta"].as_f64().expect("beta");
            assert_eq!(SoftmaxS16::new(scale, beta), Ok(softmax), "{}", case["name"]);
        }
        let shape = &case["inputs"]["x"]["shape"];
        let extent = |i: usize| usize::try_from(shape[i].as_u64().expect("shape")).expect("usize");
        let rows = Rows::new(extent(0), extent(1)).expect("not empty");
        macro_rules! on {
            ($name:ident, $token:expr) => {
                if let Some(token) = $token {
                    let mut y = vec![0; x.len()];
                    softmax.run_on(token, &x, &mut y, rows).expect("fits");
                    assert_eq!(y, want, "{} on {}", case["name"], stringify!($name));
                    let mut y = x.clone();
                    softmax.run_in_place_on(token, &mut y, rows).expect("fits");
                    assert_eq!(y, want, "{} in place on {}", case["name"], stringify!($name));
                }
            };
        }
        scrimp::for_each_backend!(on);
        cases += 1;
    }
    assert_eq!(cases, 40);
}

#[test]
fn s16_is_tflites_rule_at_every_length_and_scale() {
    let narrow = |row: Vec<i64>| -> Vec<i16> { row.iter().map(|&v| i16::try_from(v).expect("i16")).collect() };
    for n in (1..=40).chain([64, 255, 1000, 65_536]) {
        for (i, x) in rows(n, -32_768, 32_767).into_iter().map(narrow).enumerate() {
            // Every shift is met by some row.
            for shift in [(i + n) as i32 % 62 - 31, (i * 7 + n) as i32 % 20 - 6] {
                let multiplier = (1 << 30) + (i * 12_345_677 + n * 789_001) as i32 % (1 << 30);
                let softmax = SoftmaxS16::from_multiplier(multiplier, shift).expect("valid");
                let want = TFLITE.row(&x, multiplier, shift);
                macro_rules! on {
                    ($name:ident, $token:expr) => {
                        if let Some(token) = $token {
                            let mut y = vec![0; n];
                            softmax.run_on(token, &x, &mut y, one(n)).expect("fits");
                            assert!(y == want, "row {i} of {n}, {multiplier} << {shift}, {}", stringify!($name));
                        }
                    };
                }
                scrimp::for_each_backend!(on);
            }
        }
    }
}

#[test]
fn the_specification_of_s16() {
    let softmax = SoftmaxS16::new(1.0 / 2048.0, 1.0).expect("valid");
    let run = |x: &[i16]| {
        let mut y = vec![0; x.len()];
        softmax.run(x, &mut y, one(x.len())).expect("fits");
        y
    };
    assert_eq!(run(&[0, 0]), [16_384, 16_384]);
    assert_eq!(run(&[2048, 0]), [23_955, 8_814]);
    assert_eq!(run(&[4096, 2048, 0, -2048]), [21_098, 7_763, 2_855, 1_051]);
    assert_eq!(run(&[5]), [32_767]);
    // The floor: exp(-10) for whatever lies below.
    let mut masked = vec![-32_768; 4096];
    masked[0] = 32_767;
    let y = run(&masked);
    assert_eq!(y[0], 26_214);
    assert!(y[1..].iter().all(|&y| y == 2));
}

// Against the exact probabilities.

trait Element: Copy + PartialEq + Debug + Default {
    const MIN: i64;
    const MAX: i64;
    fn of(value: i64) -> Self;
    fn value(self) -> i64;
}

macro_rules! element {
    ($($type:ty)*) => {$(
        impl Element for $type {
            const MIN: i64 = <$type>::MIN as i64;
            const MAX: i64 = <$type>::MAX as i64;
            fn of(value: i64) -> Self {
                Self::try_from(value).expect("in range")
            }
            fn value(self) -> i64 {
                i64::from(self)
            }
        }
    )*};
}
element!(i8 i16 i32 u8 u16 u32);

/// What may be lost of a result, in its units.
fn bound<Y: Element>(units: f64) -> f64 {
    if Y::MAX > 65_535 { 256.0 } else { units }
}

fn compare<Y: Element>(what: &str, y: &[Y], exact: &[f64], units: f64) {
    let one = Y::MAX as f64 + 1.0;
    for (i, (y, p)) in y.iter().zip(exact).enumerate() {
        let error = (y.value() as f64 - p * one).abs();
        // 1 itself is one unit away.
        assert!(
            error < bound::<Y>(units) || y.value() == Y::MAX && error <= 1.0,
            "{what}, element {i}: {y:?}, not {}",
            p * one
        );
    }
}

fn forms<X: Element + Logit, Y: Element + Probability>() {
    for n in [1, 2, 3, 16, 17, 100, 1024, 1025, 65_536] {
        for (i, row) in rows(n, X::MIN, X::MAX).into_iter().enumerate() {
            let x: Vec<X> = row.iter().map(|&v| X::of(v)).collect();
            let bits = [0, 4, 8, 12, 16, 24, 31];
            for (j, fraction_bits) in bits.into_iter().enumerate().filter(|(j, _)| n <= 17 || (i + j) % 3 == 0) {
                let what = format!("row {i} of {n}, {fraction_bits} fractional bits");
                let unit = 0.5f64.powi(fraction_bits as i32);
                let mut softmax = SoftmaxQ::new(fraction_bits).expect("valid");
                let mut exact = reference::softmax(&row, unit);
                if j == 3 {
                    softmax = SoftmaxQ::from_scale(unit * 1.1).expect("valid");
                    exact = reference::softmax(&row, unit * 1.1);
                }
                form(&format!("softmax_q, {what}"), &exact, 1.0, |y: &mut [Y]| softmax.run_on(Scalar, &x, y, one(n)));
                form(&format!("two_pass_q, {what}"), &exact, 0.51, |y: &mut [Y]| {
                    two_pass_q_on(Scalar, &softmax, &x, y, one(n))
                });
                form(&format!("online_q, {what}"), &exact, 0.51, |y: &mut [Y]| online(&softmax, &x, y));
                let exact = reference::stablemax(&row, unit);
                let stablemax = StablemaxQ::new(fraction_bits).expect("valid");
                form(&format!("stablemax_q, {what}"), &exact, 1.0, |y: &mut [Y]| stablemax.run(&x, y, one(n)));
                same_bytes::<X, Y>(&softmax, &x);
            }
        }
    }
}

/// Blocks in three states.
fn online<X: Logit, Y: Probability>(softmax: &SoftmaxQ, x: &[X], y: &mut [Y]) -> Result<(), Error> {
    let mut states = [OnlineQ::new(softmax); 3];
    for (i, block) in x.chunks(7).enumerate() {
        states[i % 3].push(block);
    }
    let [mut all, second, third] = states;
    all.merge(&third)?;
    all.merge(&second)?;
    all.write(x, y)
}

fn form<Y: Element>(what: &str, exact: &[f64], units: f64, run: impl FnOnce(&mut [Y]) -> Result<(), Error>) {
    let mut y = vec![Y::default(); exact.len()];
    run(&mut y).expect("fits");
    compare(what, &y, exact, units);
}

fn same_bytes<X: Element + Logit, Y: Element + Probability>(softmax: &SoftmaxQ, x: &[X]) {
    let run = |y: &mut [Y], token: &dyn Fn(&mut [Y])| {
        token(y);
    };
    let mut want = vec![Y::default(); x.len()];
    softmax.run_on(Scalar, x, &mut want, one(x.len())).expect("fits");
    macro_rules! on {
        ($name:ident, $token:expr) => {
            if let Some(token) = $token {
                let mut y = vec![Y::default(); x.len()];
                run(&mut y, &|y| softmax.run_on(token, x, y, one(x.len())).expect("fits"));
                assert!(y == want, "{} differs from scalar", stringify!($name));
            }
        };
    }
    scrimp::for_each_backend!(on);
}

#[test]
fn i8_to_u8() {
    forms::<i8, u8>();
}

#[test]
fn i8_to_u16() {
    forms::<i8, u16>();
}

#[test]
fn i8_to_u32() {
    forms::<i8, u32>();
}

#[test]
fn i16_to_u8() {
    forms::<i16, u8>();
}

#[test]
fn i16_to_u16() {
    forms::<i16, u16>();
}

#[test]
fn i16_to_u32() {
    forms::<i16, u32>();
}

#[test]
fn i32_to_u8() {
    forms::<i32, u8>();
}

#[test]
fn i32_to_u16() {
    forms::<i32, u16>();
}

#[test]
fn i32_to_u32() {
    forms::<i32, u32>();
}

/// Whatever the unit: one element, one far above the others, at each end of the row.
fn certain<X: Element + Logit, Y: Element + Probability + PartialEq>(largest: Y) {
    let (least, most) = (X::of(X::MIN), X::of(X::MAX));
    for fraction_bits in [0, 3, 8, 15, 31] {
        let softmax = SoftmaxQ::new(fraction_bits).expect("valid");
        let run = |x: &[X], far: usize| {
            let n = x.len();
            let mut ys = [vec![Y::default(); n], vec![Y::default(); n], vec![Y::default(); n]];
            softmax.run(x, &mut ys[0], one(n)).expect("fits");
            two_pass_q(&softmax, x, &mut ys[1], one(n)).expect("fits");
            online(&softmax, x, &mut ys[2]).expect("fits");
            for y in ys {
                for (i, y) in y.into_iter().enumerate() {
                    assert!(y == if i == far { largest } else { Y::default() }, "element {i} of {n}, {fraction_bits}");
                }
            }
        };
        for x in [least, X::of(-1), X::of(0), X::of(77), most] {
            run(&[x], 0);
        }
        let spread = (X::MAX - X::MIN) as f64 * 0.5f64.powi(fraction_bits as i32);
        if spread > 45.0 {
            for far in [0, 1, 4] {
                run(&core::array::from_fn::<X, 5, _>(|i| if i == far { most } else { least }), far);
            }
        }
    }
}

#[test]
fn a_probability_of_one_is_the_largest_number() {
    certain::<i8, u8>(u8::MAX);
    certain::<i16, u16>(u16::MAX);
    certain::<i32, u16>(u16::MAX);
    certain::<i8, u32>(u32::MAX);
    certain::<i16, u32>(u32::MAX);
    certain::<i32, u32>(u32::MAX);
}

#[test]
fn the_floor_of_s16_is_gone() {
    let mut x = vec![-32_768i16; 4096];
    x[0] = 32_767;
    let mut y = vec![0u16; 4096];
    SoftmaxQ::new(11).expect("valid").run(&x, &mut y, one(4096)).expect("fits");
    assert_eq!(y[0], 65_535);
    assert!(y[1..].iter().all(|&y| y == 0));
}

/// Every difference of two logits: both elements of a row of two, all 65,536 of them.
#[test]
fn all_16_bit_differences() {
    for fraction_bits in [8, 12, 15] {
        let softmax = SoftmaxQ::new(fraction_bits).expect("valid");
        let unit = 0.5f64.powi(fraction_bits as i32);
        for d in 0..65_536i64 {
            let low = -32_768 + (65_535 - d) / 2;
            let x = [low as i16, (low + d) as i16];
            let mut y = [0u16; 2];
            softmax.run(&x, &mut y, one(2)).expect("fits");
            compare("two logits", &y, &reference::softmax(&[low, low + d], unit), 1.0);
        }
    }
}

#[test]
fn the_specification_of_stablemax() {
    let run = |fraction_bits, x: &[i16]| {
        let mut y = vec![0u16; x.len()];
        StablemaxQ::new(fraction_bits).expect("valid").run(x, &mut y, one(x.len())).expect("fits");
        y
    };
    // In 15 bits: 7282, 10923, 14564 and 4681, 9362, 18725.
    let halved = |y: Vec<u16>| y.iter().map(|&y| y.div_ceil(2)).collect::<Vec<_>>();
    assert_eq!(halved(run(4, &[16, 32, 48])), [7_282, 10_923, 14_564]);
    assert_eq!(halved(run(4, &[-16, 0, 16])), [4_681, 9_363, 18_725]);
    assert_eq!(run(8, &[2560, 0, -2560]), [59_623, 5_420, 493]);
}

/// Exponentials of other units are other numbers: their sums are not added.
#[test]
fn states_of_other_units_do_not_merge() {
    let [of_8, of_9] = [8, 9].map(|bits| OnlineQ::new(&SoftmaxQ::new(bits).expect("valid")));
    let mut state = of_8;
    state.push(&[3i16, -5]);
    let before = state;
    let mut other = of_9;
    other.push(&[7i16]);
    assert_eq!(state.merge(&other), Err(Error::Config { what: Rule::Scale }));
    assert_eq!(state, before, "touched by an error");
    assert_eq!(state.merge(&of_9), Err(Error::Config { what: Rule::Scale }), "of nothing, but of another unit");
    let mut same = OnlineQ::new(&SoftmaxQ::from_scale(1.0 / 256.0).expect("valid"));
    same.push(&[7i16]);
    assert_eq!(state.merge(&same), Ok(()));
    assert_ne!(state, before);
}

#[test]
fn errors_leave_the_output_alone() {
    let softmax = SoftmaxQ::new(8).expect("valid");
    let s16 = SoftmaxS16::new(0.01, 1.0).expect("valid");
    let stable = StablemaxQ::new(8).expect("valid");
    let mut y = [7u16; 4];
    let mut z = [7i16; 4];
    assert!(softmax.run(&[0i16; 3], &mut y, one(4)).is_err());
    assert!(softmax.run(&[0i16; 4], &mut y, one(5)).is_err());
    assert!(stable.run(&[0i16; 3], &mut y, one(4)).is_err());
    assert!(two_pass_q(&softmax, &[0i16; 3], &mut y, one(4)).is_err());
    assert!(OnlineQ::new(&softmax).write(&[0i16; 4], &mut y).is_err());
    assert!(OnlineQ::new(&softmax).write(&[0i16; 3], &mut y).is_err());
    assert!(s16.run(&[0; 3], &mut z, one(4)).is_err());
    assert!(s16.run_in_place(&mut z, one(5)).is_err());
    let (long, mut out) = (vec![0i16; 65_537], vec![7u16; 65_537]);
    assert!(matches!(softmax.run(&long, &mut out, one(65_537)), Err(Error::TooLarge { .. })));
    assert!(out.iter().all(|&v| v == 7) && y == [7; 4] && z == [7; 4]);
    assert!(SoftmaxQ::new(32).is_err() && SoftmaxQ::from_scale(-1.0).is_err() && StablemaxQ::new(32).is_err());
    assert!(SoftmaxS16::new(0.0, 1.0).is_err() && SoftmaxS16::from_multiplier(-1, 0).is_err());
    assert!(SoftmaxS16::from_multiplier(1 << 30, 31).is_err() && SoftmaxS16::from_multiplier(1 << 30, -32).is_err());
}
