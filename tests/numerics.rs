//! The output bits of every integer kernel over fixed inputs, as a digest: they are the same on every backend, and change
//! only on purpose. A change that is meant goes into the table below and into CHANGELOG.md under "Numerics".

use std::cell::RefCell;

use scrimp::backend::Dispatch;
use scrimp::bits::{Weights, Width, double_round, double_round_masked, nest, nest_planes, unnest};
use scrimp::fixedpoint::{
    Logit, Multiplier, Probability, Rounding, exp_on_negative_values, one_over_one_plus_x, reciprocal,
    rounded_reciprocal,
};
use scrimp::nn::{
    AttentionAdaLog, AttentionScales, BatchMatMulS8, BatchMatMulS16, BatchShape, CodeForm, LinearS8, LinearS16,
    QuantS8, Requant, RequantS16, attend_adalog_on,
};
use scrimp::quant::{
    AdaLog, CodeLinear, CodeProduct, GELU_SHIFT, GeluCodes, GeluForm, GeluLadder, GeluS8, Log2, LogSqrt2, LogitBias,
    LogitCodes, MASKED, PackedKeys, PackedValues, Symbols, Ties, Uniform, ValueRange, packed_len,
};
use scrimp::softmax::two_pass_q_on;
use scrimp::{LogSoftmaxS8, OnlineQ, Rows, SoftmaxQ, SoftmaxS8, SoftmaxS16, StablemaxQ, StablemaxS8};

/// What each kernel gives.
const DIGESTS: [(&str, u64); 52] = [
    ("LogitCodes::anchored", 0x0C22_5B6D_4C92_4117),
    ("LogitCodes::with_thresholds", 0x0C22_5B6D_4C92_4117),
    ("LogitCodes::normalized", 0xA545_2C05_C5D4_92F2),
    ("LogitCodes::run_s8", 0xFF43_5234_4AB0_0F10),
    ("CodeProduct::run", 0x5D23_AC46_D7C3_373E),
    ("CodeProduct::sums", 0xDAD5_9E94_0532_0482),
    ("attend_adalog", 0xB39C_F25D_9C3B_D247),
    ("CodeLinear::run", 0xB30F_E62A_8BA8_5257),
    ("exp_on_negative_values", 0x8434_CF1A_8242_FFA9),
    ("one_over_one_plus_x", 0xE4B6_69C9_7D00_06B2),
    ("reciprocal", 0x6E71_49F6_2948_9CD0),
    ("rounded_reciprocal", 0x7F96_B93E_4427_66E4),
    ("double_round and nest", 0x127B_CBE8_AB0E_535F),
    ("Multiplier::from_real", 0xA00A_CF95_C628_3A51),
    ("LinearS8::run", 0xC766_F644_0A77_E862),
    ("LinearS16::run", 0x9F54_069D_5F8E_7E88),
    ("BatchMatMulS8::run", 0x685B_255B_E3EB_A046),
    ("BatchMatMulS16::run", 0xEAC7_3D89_FE89_A773),
    ("SoftmaxS8::run", 0x18B4_0015_87D6_A86F),
    ("SoftmaxS8::run_s16", 0xB80D_EB88_687D_572E),
    ("LogSoftmaxS8::run", 0xD175_87DA_E312_3933),
    ("StablemaxS8::run", 0x7B42_5306_2291_2E04),
    ("StablemaxS8::run_s16", 0xB2AB_3D2D_7065_03E6),
    ("SoftmaxS16::run", 0x0947_60B3_CABE_6AA3),
    ("SoftmaxQ::run of i8 to u8", 0x71EF_9673_B343_F3CE),
    ("two_pass_q of i8 to u8", 0xD794_7E4B_D5F4_58F3),
    ("OnlineQ::write of i8 to u8", 0xD794_7E4B_D5F4_58F3),
    ("StablemaxQ::run of i8 to u8", 0x5250_2EE7_F008_08D3),
    ("SoftmaxQ::run of i8 to u16", 0x0D43_4525_546F_E4E5),
    ("two_pass_q of i8 to u16", 0x9FB1_F9CB_9A57_1579),
    ("OnlineQ::write of i8 to u16", 0x9FB1_F9CB_9A57_1579),
    ("StablemaxQ::run of i8 to u16", 0x8458_7ACF_A652_6669),
    ("SoftmaxQ::run of i16 to u16", 0x3FCA_9EE4_7A6A_2769),
    ("two_pass_q of i16 to u16", 0x0F1A_C1C4_814C_A486),
    ("OnlineQ::write of i16 to u16", 0x0F1A_C1C4_814C_A486),
    ("StablemaxQ::run of i16 to u16", 0x50FA_5514_2A41_1AD8),
    ("SoftmaxQ::run of i16 to u32", 0x3157_38AA_DED5_00B9),
    ("two_pass_q of i16 to u32", 0x27BF_75FA_0864_279D),
    ("OnlineQ::write of i16 to u32", 0x27BF_75FA_0864_279D),
    ("StablemaxQ::run of i16 to u32", 0x7448_9C69_A49A_D22F),
    ("SoftmaxQ::run of i32 to u8", 0xD2AB_C296_D53D_02B8),
    ("two_pass_q of i32 to u8", 0x9FEA_8D9C_FEBB_6F3F),
    ("OnlineQ::write of i32 to u8", 0x9FEA_8D9C_FEBB_6F3F),
    ("StablemaxQ::run of i32 to u8", 0xB602_3926_DA01_888E),
    ("SoftmaxQ::run of i32 to u32", 0x214F_4842_693B_381C),
    ("two_pass_q of i32 to u32", 0x89C8_DDD0_5487_0FEE),
    ("OnlineQ::write of i32 to u32", 0x89C8_DDD0_5487_0FEE),
    ("StablemaxQ::run of i32 to u32", 0xDE6C_DC06_51C3_F465),
    ("AdaLog", 0x8524_692A_2BE4_85A1),
    ("AdaLog's codecs", 0xD21A_6646_6455_6A25),
    ("Log2 and LogSqrt2", 0xF982_59E4_7903_380B),
    ("Uniform", 0xD4D4_5949_AF4C_E43D),
];

/// FNV-1a.
#[derive(Clone, Copy)]
struct Digest(u64);

impl Digest {
    const fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    fn add(&mut self, numbers: impl IntoIterator<Item: Into<i64>>) {
        for number in numbers {
            for byte in number.into().to_le_bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
            }
        }
    }
}

/// Compares with the table; all of a test at once, so that one run shows every change.
#[derive(Default)]
struct Report(RefCell<Vec<String>>);

impl Report {
    fn check(&self, name: &str, digest: Digest) {
        let want = DIGESTS.iter().find(|(there, _)| *there == name).map(|(_, digest)| *digest);
        if want != Some(digest.0) {
            self.0.borrow_mut().push(format!("    (\"{name}\", {:#018x}),", digest.0));
        }
    }

    /// The same on every backend, the first of which is the portable one.
    fn on_every_backend(&self, name: &str, all: &[(&str, Digest)]) {
        for (backend, digest) in all {
            assert_eq!(digest.0, all[0].1.0, "{name}: {backend} differs from {}", all[0].0);
        }
        self.check(name, all[0].1);
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let wrong = self.0.borrow();
        assert!(wrong.is_empty() || std::thread::panicking(), "not what the table has:\n{}", wrong.join("\n"));
    }
}

/// Runs a generic function under every backend that this CPU has: `[(name, result)]`.
macro_rules! on_every_backend {
    ($run:expr) => {{
        let mut all = Vec::new();
        macro_rules! on {
            ($name:ident, $token:expr) => {
                if let Some(token) = $token {
                    all.push((stringify!($name), $run(token)));
                }
            };
        }
        scrimp::for_each_backend!(on);
        all
    }};
}

/// Numbers that every machine makes the same (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    /// From `low` to `high`.
    fn from(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    fn s8(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| self.next() as i8).collect()
    }

    fn s16(&mut self, n: usize) -> Vec<i16> {
        (0..n).map(|_| self.next() as i16).collect()
    }
}

/// Lengths of rows: short, odd, at and beyond the forms that kernels change at.
const LENGTHS: [usize; 12] = [1, 2, 3, 15, 64, 97, 255, 257, 1000, 1025, 4096, 4100];

/// Rows over all of the type, and near one another.
fn rows(bits: u32) -> Vec<Vec<i64>> {
    let mut noise = Noise(0x5C21_3B77);
    let (low, high) = (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1);
    let mut rows = vec![vec![low; 3], vec![high; 3], vec![low, high], vec![0; 70], vec![high, low, low, high]];
    for n in LENGTHS {
        for range in [high, high / 16, 20] {
            let middle = noise.from(low + range, high - range);
            rows.push((0..n).map(|_| middle + noise.from(-range, range)).collect());
        }
    }
    rows
}

fn one(cols: usize) -> Rows {
    Rows::one(cols).unwrap()
}

#[test]
fn functions_of_integers() {
    let report = Report::default();
    let all = |f: &dyn Fn(u32) -> i64| {
        let (mut digest, mut noise) = (Digest::new(), Noise(9));
        let ends = [0, 1, 2, 3, 1 << 15, 1 << 16, 1 << 30, i32::MAX as u32, 1 << 31, u32::MAX - 1, u32::MAX];
        digest.add(ends.into_iter().chain((0..20_000).map(|_| noise.next() as u32)).map(f));
        digest
    };
    report.check("exp_on_negative_values", all(&|x| exp_on_negative_values(-((x >> 1) as i32)).into()));
    report.check("one_over_one_plus_x", all(&|x| one_over_one_plus_x((x >> 1) as i32).into()));
    report.check("reciprocal", all(&|x| reciprocal(x | 1 << 31).into()));
    report.check("rounded_reciprocal", all(&|x| rounded_reciprocal(x).into()));
    let mut digest = Digest::new();
    for code in i8::MIN..=i8::MAX {
        for width in Width::ALL {
            let (high, low) = nest(code);
            digest.add([double_round(code, width), double_round_masked(code, width), high, unnest(high, low, width)]);
            digest.add([low]);
        }
    }
    report.check("double_round and nest", digest);
    let mut digest = Digest::new();
    for e in -700..620 {
        for f in [1.0, 1.1, 1.3, 1.999_999_999_8, 1.999_999_999_9] {
            if let Some(Multiplier { mantissa, shift }) = Multiplier::from_real(f * libm::exp2(f64::from(e) / 20.0)) {
                digest.add([mantissa, shift]);
            }
        }
    }
    report.check("Multiplier::from_real", digest);
}

fn softmax_s8<D: Dispatch>(d: D) -> [Digest; 5] {
    let mut digests = [Digest::new(); 5];
    for scale in [0.003, 0.1, 1.0] {
        let softmax = SoftmaxS8::new(scale, 1.0).unwrap();
        let (log, stable) = (LogSoftmaxS8::new(scale).unwrap(), StablemaxS8::new(scale).unwrap());
        for row in rows(8) {
            let x: Vec<i8> = row.iter().map(|&x| x as i8).collect();
            let (mut y, mut y16, n) = (vec![0i8; x.len()], vec![0i16; x.len()], one(x.len()));
            softmax.run_on(d, &x, &mut y, n).unwrap();
            digests[0].add(y.iter().copied());
            softmax.run_s16_on(d, &x, &mut y16, n).unwrap();
            digests[1].add(y16.iter().copied());
            log.run_on(d, &x, &mut y, n).unwrap();
            digests[2].add(y.iter().copied());
            stable.run_on(d, &x, &mut y, n).unwrap();
            digests[3].add(y.iter().copied());
            stable.run_s16_on(d, &x, &mut y16, n).unwrap();
            digests[4].add(y16.iter().copied());
        }
    }
    digests
}

fn softmax_s16<D: Dispatch>(d: D) -> Digest {
    let mut digest = Digest::new();
    for scale in [0.000_1, 0.001, 0.1] {
        let softmax = SoftmaxS16::new(scale, 1.0).unwrap();
        for row in rows(16) {
            let x: Vec<i16> = row.iter().map(|&x| x as i16).collect();
            let mut y = vec![0; x.len()];
            softmax.run_on(d, &x, &mut y, one(x.len())).unwrap();
            digest.add(y);
        }
    }
    digest
}

/// Softmax, its two-pass form, what comes in pieces, and StableMax.
fn softmax_q<D: Dispatch, X: Logit + TryFrom<i64>, Y: Probability + Default + Into<i64>>(
    d: D,
    bits: u32,
) -> [Digest; 4] {
    let mut digests = [Digest::new(); 4];
    for fraction_bits in [0, 4, 8, 12, 20, 31] {
        let softmax = SoftmaxQ::new(fraction_bits).unwrap();
        let stable = StablemaxQ::new(fraction_bits).unwrap();
        for row in rows(bits) {
            let x: Vec<X> = row.iter().map(|&x| X::try_from(x).ok().unwrap()).collect();
            let (mut y, n) = (vec![Y::default(); x.len()], one(x.len()));
            softmax.run_on(d, &x, &mut y, n).unwrap();
            digests[0].add(y.iter().copied());
            two_pass_q_on(d, &softmax, &x, &mut y, n).unwrap();
            digests[1].add(y.iter().copied());
            let (front, back) = x.split_at(x.len() / 3);
            let (mut state, mut other) = (OnlineQ::new(&softmax), OnlineQ::new(&softmax));
            state.push(back);
            other.push(front);
            state.merge(&other);
            state.write(&x, &mut y).unwrap();
            digests[2].add(y.iter().copied());
            stable.run_on(d, &x, &mut y, n).unwrap();
            digests[3].add(y.iter().copied());
        }
    }
    digests
}

#[test]
fn softmax_of_integers() {
    let report = Report::default();
    let all = on_every_backend!(softmax_s8);
    let names =
        ["SoftmaxS8::run", "SoftmaxS8::run_s16", "LogSoftmaxS8::run", "StablemaxS8::run", "StablemaxS8::run_s16"];
    for (i, name) in names.into_iter().enumerate() {
        report.on_every_backend(name, &all.iter().map(|(b, d)| (*b, d[i])).collect::<Vec<_>>());
    }
    report.on_every_backend("SoftmaxS16::run", &on_every_backend!(softmax_s16));
    macro_rules! q {
        ($x:ty, $y:ty) => {
            let all = on_every_backend!(|token| softmax_q::<_, $x, $y>(token, <$x>::BITS));
            for (i, kernel) in
                ["SoftmaxQ::run", "two_pass_q", "OnlineQ::write", "StablemaxQ::run"].into_iter().enumerate()
            {
                let name = format!("{kernel} of {} to {}", stringify!($x), stringify!($y));
                report.on_every_backend(&name, &all.iter().map(|(b, d)| (*b, d[i])).collect::<Vec<_>>());
            }
        };
    }
    q!(i8, u8);
    q!(i8, u16);
    q!(i16, u16);
    q!(i16, u32);
    q!(i32, u8);
    q!(i32, u32);
}

/// Layers at every width, with and without zero points, plain and not.
fn layers<D: Dispatch>(d: D) -> [Digest; 2] {
    let (mut digests, mut noise) = ([Digest::new(); 2], Noise(77));
    for (outputs, depth) in [(1, 1), (3, 7), (17, 33), (64, 64), (5, 300)] {
        let shape = Rows::new(outputs, depth).unwrap();
        let codes: Vec<i8> = noise.s8(outputs * depth).iter().map(|&c| c.min(119)).collect();
        let bytes = codes.len().div_ceil(2);
        let (mut high, mut low) = (vec![0; bytes], vec![0; bytes]);
        nest_planes(&codes, &mut high, &mut low).unwrap();
        let raw = Weights::raw8(&codes, shape).unwrap();
        let s4 = Weights::s4(&high, shape).unwrap();
        let nested = Weights::nest(&high, &low, shape).unwrap();
        let x = noise.s8(2 * depth);
        let x16 = noise.s16(2 * depth);
        let bias: Vec<i32> = (0..outputs).map(|_| noise.from(-5000, 5000) as i32).collect();
        for (weights, width) in Width::ALL.into_iter().flat_map(|w| [(raw, w), (nested, w)]).chain([(s4, Width::W4)]) {
            for (rounding, shift) in [(Rounding::Double, -9), (Rounding::Single, -9), (Rounding::Double, 2)] {
                let quant = QuantS8 {
                    input_offset: noise.from(-128, 128) as i32,
                    filter_offset: noise.from(-1, 1) as i32 * 3,
                    output_offset: noise.from(-100, 100) as i32,
                    min: -120,
                    max: 110,
                    rounding,
                };
                let by: Vec<_> = (0..outputs)
                    .map(|_| Multiplier { mantissa: noise.from(1 << 30, (1 << 31) - 1) as i32, shift })
                    .collect();
                let (mut b, mut m, mut s) = (vec![0; outputs], vec![0; outputs], vec![0; outputs]);
                let tables = (&mut b[..], &mut m[..], &mut s[..]);
                let requant = Requant::build(tables, &weights, width, &quant, &bias, &by).unwrap();
                let widths = [(width, requant)];
                let mut y = vec![0; 2 * outputs];
                LinearS8::new(weights, &widths, quant).unwrap().run_on(d, &x, &mut y, 2).unwrap();
                digests[0].add(y);
                let bias: Vec<i64> = bias.iter().map(|&b| i64::from(b) << 8).collect();
                let mantissa: Vec<_> = by.iter().map(|by| by.mantissa).collect();
                let shifts = vec![shift as i8 - 4; outputs];
                let widths = [(width, RequantS16::new(&bias, &mantissa, &shifts).unwrap())];
                let mut y = vec![0; 2 * outputs];
                let layer = LinearS16::new(weights, &widths, i16::MIN, 30_000).unwrap();
                layer.run_on(d, &x16, &mut y, 2).unwrap();
                digests[1].add(y);
            }
        }
    }
    digests
}

fn products<D: Dispatch>(d: D) -> [Digest; 2] {
    let (mut digests, mut noise) = ([Digest::new(); 2], Noise(78));
    for (rows, depth, cols) in [(1, 1, 1), (2, 5, 3), (3, 40, 17), (5, 16, 33)] {
        for (lhs_turned, rhs_turned) in [(false, false), (false, true), (true, false), (true, true)] {
            let (l, r) = (
                if lhs_turned { [depth, rows] } else { [rows, depth] },
                if rhs_turned { [cols, depth] } else { [depth, cols] },
            );
            let shape = BatchShape::new([2, 1, l[0], l[1]], [1, 3, r[0], r[1]], lhs_turned, rhs_turned).unwrap();
            let n = shape.output().iter().product();
            let (lhs, rhs) = (noise.s8(2 * rows * depth), noise.s8(3 * depth * cols));
            let by = Multiplier { mantissa: noise.from(1 << 30, (1 << 31) - 1) as i32, shift: -9 };
            let offsets = [noise.from(-128, 128) as i32, noise.from(-128, 128) as i32];
            for rounding in [Rounding::Double, Rounding::Single] {
                let product = BatchMatMulS8::new(by, offsets, 7).unwrap().with_rounding(rounding);
                let mut y = vec![0; n];
                product.with_range(-100, 99).unwrap().run_on(d, &lhs, &rhs, &mut y, &shape).unwrap();
                digests[0].add(y);
            }
            let (lhs, rhs) = (noise.s16(2 * rows * depth), noise.s16(3 * depth * cols));
            let mut y = vec![0; n];
            let product = BatchMatMulS16::new(Multiplier { shift: -17, ..by }, -32_000, 31_000).unwrap();
            product.run_on(d, &lhs, &rhs, &mut y, &shape).unwrap();
            digests[1].add(y);
        }
    }
    digests
}

#[test]
fn layers_of_integers() {
    let report = Report::default();
    let all = on_every_backend!(layers);
    for (i, name) in ["LinearS8::run", "LinearS16::run"].into_iter().enumerate() {
        report.on_every_backend(name, &all.iter().map(|(b, d)| (*b, d[i])).collect::<Vec<_>>());
    }
    let all = on_every_backend!(products);
    for (i, name) in ["BatchMatMulS8::run", "BatchMatMulS16::run"].into_iter().enumerate() {
        report.on_every_backend(name, &all.iter().map(|(b, d)| (*b, d[i])).collect::<Vec<_>>());
    }
}

const TOP: Symbols = Symbols::TopIsZero;

/// The quantizers: bits, base, scale.
fn quantizers() -> Vec<AdaLog> {
    let mut all = Vec::new();
    for (bits, q, scale) in
        [(2, 74, 1.0), (3, 45, 0.7), (4, 25, 1.0), (4, 37, 2.0), (4, 12, 1.0), (6, 7, 1.0), (8, 1, 3.0)]
    {
        all.push(AdaLog::new(bits, q, scale, TOP).unwrap());
    }
    all
}

#[test]
fn tables_of_quantizers() {
    let report = Report::default();
    let mut tables = [Digest::new(); 4];
    let x: Vec<f32> = (0..4000).map(|i| libm::exp2f((i - 3000) as f32 / 200.0)).collect();
    let fixed: Vec<u32> = (0..4000).map(|i| libm::exp2f(i as f32 / 125.5) as u32).collect();
    let mut codes = vec![0u16; x.len()];
    for adalog in quantizers() {
        for adalog in [adalog, adalog.with_ties(Ties::Up)] {
            for code in 0..=adalog.codes() {
                let weight = adalog.weight(code, adalog.fraction_bits());
                tables[0].add([adalog.mantissa(code), adalog.shift(code)]);
                tables[0].add([weight]);
            }
            adalog.codec().encode(&x, &mut codes).unwrap();
            tables[1].add(codes.iter().copied());
            adalog.fixed_codec(1.0 / 65_536.0).unwrap().encode(&fixed, &mut codes).unwrap();
            tables[1].add(codes.iter().copied());
        }
    }
    for bits in 2..=8 {
        let (two, root) = (Log2::new(bits, 1.5, TOP).unwrap(), LogSqrt2::new(bits, 1.5, Symbols::Full).unwrap());
        two.codec().encode(&x, &mut codes).unwrap();
        tables[2].add(codes.iter().copied());
        root.codec().encode(&x, &mut codes).unwrap();
        tables[2].add(codes.iter().copied());
        root.fixed_codec(0.001).unwrap().encode(&fixed, &mut codes).unwrap();
        tables[2].add(codes.iter().copied());
        let mut codes = vec![0u8; x.len()];
        Uniform::new(bits, 0.37, 3).unwrap().encode(&x, &mut codes).unwrap();
        tables[3].add(codes);
    }
    for (digest, name) in tables.into_iter().zip(["AdaLog", "AdaLog's codecs", "Log2 and LogSqrt2", "Uniform"]) {
        report.check(name, digest);
    }
}

#[test]
fn gelu_of_integers() {
    let report = Report::default();
    let mut digests = [Digest::new(); 3];
    let bytes: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    let words: Vec<i32> = (-6000..6000).map(|i| i * i * i / 1000).chain([i32::MIN, i32::MAX]).collect();
    for form in [GeluForm::Erf, GeluForm::Tanh] {
        for (x, y) in [((0.05, 0), (0.04, -100)), ((0.003, -128), (0.003, 0)), ((0.1, 50), (0.02, 10))] {
            let mut out = vec![0; 256];
            GeluS8::new(x, y, form).unwrap().run(&bytes, &mut out).unwrap();
            digests[0].add(out);
        }
        for adalog in quantizers().into_iter().filter(|adalog| adalog.bits() <= 4) {
            for (scale, zero_point) in [(0.05, 0), (0.02, -128)] {
                let mut codes = vec![0; packed_len(adalog.bits(), 256)];
                let of = GeluCodes::new(&adalog, scale, zero_point, GELU_SHIFT, form).unwrap();
                of.run(&bytes, &mut codes, one(256)).unwrap();
                digests[1].add(codes);
            }
            let mut codes = vec![0; packed_len(adalog.bits(), words.len())];
            let of: GeluLadder = GeluLadder::new(&adalog, 0.000_1, GELU_SHIFT, form).unwrap();
            of.run(&words, &mut codes, one(words.len())).unwrap();
            digests[2].add(codes);
        }
    }
    for (digest, name) in digests.into_iter().zip(["GeluS8", "GeluCodes", "GeluLadder"]) {
        report.check(name, digest);
    }
}

/// Anchored codes, by thresholds too, and the paper's; with biases and of i8.
fn logit_codes<D: Dispatch>(d: D) -> [Digest; 4] {
    let (mut digests, mut noise) = ([Digest::new(); 4], Noise(5));
    for adalog in quantizers() {
        for unit in [0.000_3, 0.01, 0.4] {
            let anchored = LogitCodes::<256>::anchored(&adalog, unit).unwrap();
            let normalized = LogitCodes::<256>::normalized(&adalog, unit).unwrap();
            for n in [1, 2, 15, 64, 97, 512] {
                let logits: Vec<i32> = (0..n).map(|_| noise.from(-5000, 5000) as i32).collect();
                let bytes = noise.s8(n);
                let bias: Vec<i32> =
                    (0..n).map(|_| if noise.from(0, 9) == 0 { MASKED } else { noise.from(-900, 900) as i32 }).collect();
                let mut codes = vec![0; packed_len(adalog.bits(), n)];
                for (to, of) in [(0, anchored), (1, anchored.with_thresholds()), (2, normalized)] {
                    of.run_on(d, &logits, &mut codes, one(n)).unwrap();
                    digests[to].add(codes.iter().copied());
                    of.run_biased_on(d, &logits, LogitBias::Add(&bias), &mut codes, one(n)).unwrap();
                    digests[to].add(codes.iter().copied());
                    of.run_s8_on(d, &bytes, LogitBias::Add(&bias), &mut codes, one(n)).unwrap();
                    digests[3].add(codes.iter().copied());
                }
            }
        }
    }
    digests
}

fn code_products<D: Dispatch>(d: D) -> [Digest; 4] {
    let (mut digests, mut noise) = ([Digest::new(); 4], Noise(6));
    for adalog in quantizers().into_iter().filter(|adalog| adalog.bits() <= 4) {
        for (keys, channels) in [(1, 1), (7, 3), (32, 16), (50, 20), (64, 32)] {
            for values in [ValueRange::S8, ValueRange { zero_point: -7, low: -128, high: 127 }] {
                let queries = Rows::new(3, keys).unwrap();
                let codes: Vec<u8> = (0..3 * packed_len(adalog.bits(), keys)).map(|_| noise.next() as u8).collect();
                let (v, shape) = (noise.s8(keys * channels), Rows::new(keys, channels).unwrap());
                let product: CodeProduct = CodeProduct::new(&adalog, values, keys).unwrap();
                let mut y = vec![0; 3 * channels];
                product.run_on(d, &codes, &v, &mut y, queries).unwrap();
                digests[0].add(y.iter().copied());
                let mut buckets = vec![0; 3 * channels];
                product.run_buckets_on(d, &codes, &v, &mut buckets, queries).unwrap();
                assert_eq!(buckets, y);
                let mut sums = [0; 3];
                product.sums(&codes, &mut sums, queries).unwrap();
                digests[1].add(sums);
                if adalog.bits() == 4 {
                    let mut words = vec![0; PackedValues::words(shape)];
                    let packed = PackedValues::pack_on(d, &v, &mut words, shape).unwrap();
                    let mut scratch = vec![0; CodeProduct::scratch_words(shape)];
                    let mut same = vec![0; 3 * channels];
                    product.run_packed_on(d, &codes, &packed, &mut same, &mut scratch).unwrap();
                    assert_eq!(same, y);
                }
                // An attention over the same values.
                for form in [CodeForm::Anchored, CodeForm::Normalized] {
                    let scales =
                        AttentionScales { logit: 0.002, value: 0.1, values, output: 0.07, output_zero_point: -9 };
                    let attention = AttentionAdaLog::new(&adalog, form, &scales, keys).unwrap();
                    let k_shape = Rows::new(keys, 16).unwrap();
                    let (mut k, mut v_words) =
                        (vec![0; PackedKeys::words(k_shape)], vec![0; PackedValues::words(shape)]);
                    let k = PackedKeys::pack_on(d, &noise.s8(16 * keys), &mut k, k_shape).unwrap();
                    let v = PackedValues::pack_on(d, &v, &mut v_words, shape).unwrap();
                    let wider = if channels > 16 { shape } else { k_shape };
                    let mut scratch = vec![0; AttentionAdaLog::scratch_words(wider)];
                    let q = noise.s8(3 * 16);
                    let bias: Vec<i32> = (0..keys).map(|_| noise.from(-900, 900) as i32).collect();
                    for bias in [LogitBias::None, LogitBias::Add(&bias)] {
                        let mut y = vec![0i8; 3 * channels];
                        attend_adalog_on(d, &attention, &q, &k, &v, bias, &mut y, &mut scratch).unwrap();
                        digests[2].add(y);
                    }
                }
                let linear: CodeLinear = CodeLinear::new(&adalog, keys, 200).unwrap();
                let bias: Vec<i32> = (0..channels).map(|_| noise.from(-1000, 1000) as i32).collect();
                let zero_points = noise.s8(channels);
                let w = noise.s8(channels * keys);
                let mut y = vec![0; 3 * channels];
                linear.run_on(d, &codes, &w, &zero_points, &bias, &mut y, queries).unwrap();
                digests[3].add(y.iter().copied());
                linear.run_on(d, &codes, &w, &zero_points[..1], &bias, &mut y, queries).unwrap();
                digests[3].add(y);
            }
        }
    }
    digests
}

#[test]
fn codes_and_their_products() {
    let report = Report::default();
    let all = on_every_backend!(logit_codes);
    let names = ["LogitCodes::anchored", "LogitCodes::with_thresholds", "LogitCodes::normalized", "LogitCodes::run_s8"];
    for (i, name) in names.into_iter().enumerate() {
        report.on_every_backend(name, &all.iter().map(|(b, d)| (*b, d[i])).collect::<Vec<_>>());
    }
    let all = on_every_backend!(code_products);
    for (i, name) in
        ["CodeProduct::run", "CodeProduct::sums", "attend_adalog", "CodeLinear::run"].into_iter().enumerate()
    {
        report.on_every_backend(name, &all.iter().map(|(b, d)| (*b, d[i])).collect::<Vec<_>>());
    }
}
