//! Element-wise layers, tables, conversions and reductions on every backend, against the oracle: random shapes, and scales and
//! zero points to the ends of what is taken.

use proptest::prelude::*;
use scrimp::error::{Arg, Rule};
use scrimp::nn::{
    Activation, Add, AddS8, AddS16, ArgMax, Broadcast, Dequantize, L2NormS8, LogisticS16, Mean, MeanS8, MeanS16,
    MinMax, Mul, MulS8, Prelu, PreluS8, Quantize, Reduce, Reduction, Rescale, Rsqrt, RsqrtS8, RsqrtS16, SlopesS16,
    SquaredDifference, SquaredDifferenceS8, TableS8, TableS16, TanhS16,
};
use scrimp::{Error, Quantization, Rows};
use scrimp_reference::elementwise as oracle;

/// A stream of numbers that every machine makes the same.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 13
    }

    /// Codes, the ends more often than others.
    fn codes<T: TryFrom<i64>>(&mut self, n: usize, bits: u32) -> Vec<T> {
        let (min, max) = oracle::ends(bits);
        let mut code = || match self.next() % 16 {
            0 => min,
            1 => max,
            _ => min + (self.next() >> 8) as i64 % (max - min + 1),
        };
        (0..n).map(|_| T::try_from(code()).ok().unwrap()).collect()
    }
}

/// Runs `$check(token)` for every backend that this machine has.
macro_rules! on_each_backend {
    ($check:expr) => {{
        macro_rules! run {
            ($name:ident, $token:expr) => {
                if let Some(token) = $token {
                    $check(stringify!($name), token);
                }
            };
        }
        scrimp::for_each_backend!(run);
    }};
}

fn of(q: Quantization) -> oracle::Quant {
    (q.scale, q.zero_point)
}

/// Scales over many powers of two, with all their bits.
fn scale() -> impl Strategy<Value = f32> {
    (-14i32..4, 1.0f32..2.0).prop_map(|(power, fraction)| fraction * 2f32.powi(power))
}

fn quantization_s8() -> impl Strategy<Value = Quantization> {
    (scale(), prop_oneof![Just(-128), Just(127), Just(0), -128i32..128]).prop_map(|(s, z)| Quantization::new(s, z))
}

fn quantization_s16() -> impl Strategy<Value = Quantization> {
    // Powers of two, and what is nearly one, are special to some functions.
    let power = (-14i32..-8, prop_oneof![Just(1.0f32), Just(1.000_6), Just(0.999_4), Just(1.001)]);
    let near_power = power.prop_map(|(power, fraction)| fraction * 2f32.powi(power));
    prop_oneof![4 => scale().prop_map(|s| s / 64.0), 1 => near_power].prop_map(|s| Quantization::new(s, 0))
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::None), Just(Activation::Relu), Just(Activation::Relu6), Just(Activation::ReluN1To1)]
}

/// Two shapes that go together: up to four axes, each of one or both operands, leading ones left out at times.
fn shapes() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    (prop::collection::vec((1usize..6, 0..4), 0..7), 0..4usize, 0..4usize).prop_map(|(axes, less_a, less_b)| {
        let side = |missing: i32, less: usize| {
            let shape = axes.iter().map(|&(extent, kind)| if kind == missing { 1 } else { extent });
            let shape: Vec<usize> = shape.collect();
            let ones = shape.iter().take_while(|&&extent| extent == 1).count();
            shape[less.min(ones)..].to_vec()
        };
        (side(2, less_a), side(3, less_b))
    })
}

/// Codes of one type, the result of the oracle for each pair, and what the layer gives.
struct Pairs<T> {
    shape: Broadcast,
    first: Vec<T>,
    second: Vec<T>,
    want: Vec<T>,
}

impl<T: Copy + TryFrom<i64> + Into<i64> + PartialEq + core::fmt::Debug> Pairs<T> {
    fn new(a: &[usize], b: &[usize], bits: u32, seed: u64, pair: impl Fn(i64, i64) -> i64) -> Self {
        let shape = Broadcast::new(a, b).unwrap();
        let mut noise = Noise(seed | 1);
        let (first, second) = (noise.codes(a.iter().product(), bits), noise.codes(b.iter().product(), bits));
        let (of_result, places) = oracle::broadcast(a, b);
        assert_eq!(shape.output(), of_result.iter().product::<usize>());
        assert_eq!((shape.first(), shape.second()), (first.len(), second.len()));
        let both = |&(i, k): &(usize, usize)| {
            let (x, y): (T, T) = (first[i], second[k]);
            T::try_from(pair(x.into(), y.into())).ok().unwrap()
        };
        let want = places.iter().map(both).collect();
        Self { shape, first, second, want }
    }

    /// Out of place, and over the first operand where that is as large as the result.
    fn check(
        &self,
        name: &str,
        apart: impl Fn(&[T], &[T], &mut [T]) -> Result<(), Error>,
        in_place: impl Fn(&mut [T], &[T]) -> Result<(), Error>,
    ) {
        let zero = T::try_from(0).ok().unwrap();
        let mut y = vec![zero; self.want.len()];
        apart(&self.first, &self.second, &mut y).unwrap();
        assert_eq!(y, self.want, "{name}");
        let mut over = self.first.clone();
        if self.shape.is_first_whole() {
            in_place(&mut over, &self.second).unwrap();
            assert_eq!(over, self.want, "{name}, in place");
        } else {
            let wrong = Error::Length { what: Arg::Y, want: self.want.len(), got: over.len() };
            assert_eq!(in_place(&mut over, &self.second), Err(wrong));
            assert_eq!(over, self.first, "touched");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn add_and_sub_s8(
        (a, b) in shapes(), q1 in quantization_s8(), q2 in quantization_s8(), q in quantization_s8(),
        activation in activation(), seed: u64,
    ) {
        let (min, max) = activation.range_s8(q);
        let of = [of(q1), of(q2), of(q)];
        let range = (min.into(), max.into());
        let sum = Pairs::<i8>::new(&a, &b, 8, seed, |x1, x2| oracle::add(x1, x2, of, 8, range));
        let add = AddS8::new(sum.shape, q1, q2, q, activation).unwrap();
        let difference = Pairs::<i8>::new(&a, &b, 8, seed, |x1, x2| oracle::sub(x1, x2, of, 8, range));
        let sub = AddS8::sub(sum.shape, q1, q2, q, activation).unwrap();
        let reversed = [of[1], of[0], of[2]];
        let reverse = Pairs::<i8>::new(&a, &b, 8, seed, |x1, x2| oracle::sub(x2, x1, reversed, 8, range));
        let reverse_sub = AddS8::reverse_sub(sum.shape, q1, q2, q, activation).unwrap();
        on_each_backend!(|name, d| {
            sum.check(name, |a, b, y| add.run_on(d, a, b, y), |a, b| add.run_in_place_on(d, a, b));
            difference.check(name, |a, b, y| sub.run_on(d, a, b, y), |a, b| sub.run_in_place_on(d, a, b));
            reverse.check(name, |a, b, y| reverse_sub.run_on(d, a, b, y), |a, b| reverse_sub.run_in_place_on(d, a, b));
        });
    }

    #[test]
    fn add_and_sub_s16(
        (a, b) in shapes(), q1 in quantization_s16(), q2 in quantization_s16(), q in quantization_s16(),
        activation in activation(), seed: u64,
    ) {
        let (min, max) = activation.range_s16(q);
        let of = [of(q1), of(q2), of(q)];
        let range = (min.into(), max.into());
        // The sum must not need a factor of 1.
        prop_assume!(q1.scale.max(q2.scale) < 16_000.0 * q.scale);
        let sum = Pairs::<i16>::new(&a, &b, 16, seed, |x1, x2| oracle::add(x1, x2, of, 16, range));
        let add = AddS16::new(sum.shape, q1, q2, q, activation).unwrap();
        let difference = Pairs::<i16>::new(&a, &b, 16, seed, |x1, x2| oracle::sub(x1, x2, of, 16, range));
        let sub = AddS16::sub(sum.shape, q1, q2, q, activation).unwrap();
        on_each_backend!(|name, d| {
            sum.check(name, |a, b, y| add.run_on(d, a, b, y), |a, b| add.run_in_place_on(d, a, b));
            difference.check(name, |a, b, y| sub.run_on(d, a, b, y), |a, b| sub.run_in_place_on(d, a, b));
        });
    }

    #[test]
    fn mul_and_squared_difference_s8(
        (a, b) in shapes(), q1 in quantization_s8(), q2 in quantization_s8(), q in quantization_s8(),
        activation in activation(), seed: u64,
    ) {
        let (min, max) = activation.range_s8(q);
        let of = [of(q1), of(q2), of(q)];
        let range = (min.into(), max.into());
        let product = Pairs::<i8>::new(&a, &b, 8, seed, |x1, x2| oracle::mul(x1, x2, of, range));
        let mul = MulS8::new(product.shape, q1, q2, q, activation).unwrap();
        let square = Pairs::<i8>::new(&a, &b, 8, seed, |x1, x2| oracle::squared_difference(x1, x2, of, 8));
        let squared = SquaredDifferenceS8::new(product.shape, q1, q2, q).unwrap();
        on_each_backend!(|name, d| {
            product.check(name, |a, b, y| mul.run_on(d, a, b, y), |a, b| mul.run_in_place_on(d, a, b));
            square.check(name, |a, b, y| squared.run_on(d, a, b, y), |a, b| squared.run_in_place_on(d, a, b));
        });
    }

    #[test]
    fn mul_and_squared_difference_s16(
        (a, b) in shapes(), q1 in quantization_s16(), q2 in quantization_s16(), q in quantization_s16(),
        activation in activation(), seed: u64,
    ) {
        let (min, max) = activation.range_s16(q);
        let of = [of(q1), of(q2), of(q)];
        let range = (min.into(), max.into());
        let product = Pairs::<i16>::new(&a, &b, 16, seed, |x1, x2| oracle::mul(x1, x2, of, range));
        let mul = Mul::<i16>::new(product.shape, q1, q2, q, activation).unwrap();
        let square = Pairs::<i16>::new(&a, &b, 16, seed, |x1, x2| oracle::squared_difference(x1, x2, of, 16));
        let squared = SquaredDifference::<i16>::new(product.shape, q1, q2, q).unwrap();
        on_each_backend!(|name, d| {
            product.check(name, |a, b, y| mul.run_on(d, a, b, y), |a, b| mul.run_in_place_on(d, a, b));
            square.check(name, |a, b, y| squared.run_on(d, a, b, y), |a, b| squared.run_in_place_on(d, a, b));
        });
    }

    #[test]
    fn maximum_and_minimum((a, b) in shapes(), seed: u64) {
        let pairs = Pairs::<i8>::new(&a, &b, 8, seed, i64::max);
        let wide = Pairs::<i16>::new(&a, &b, 16, seed, i64::min);
        let (max, min) = (MinMax::<i8>::maximum(pairs.shape), MinMax::<i16>::minimum(wide.shape));
        on_each_backend!(|name, d| {
            pairs.check(name, |a, b, y| max.run_on(d, a, b, y), |a, b| max.run_in_place_on(d, a, b));
            wide.check(name, |a, b, y| min.run_on(d, a, b, y), |a, b| min.run_in_place_on(d, a, b));
        });
    }

    #[test]
    fn prelu(
        (a, b) in shapes(), q1 in quantization_s8(), slopes in quantization_s8(), q in quantization_s8(),
        wide1 in quantization_s16(), wide in quantization_s16(), seed: u64,
    ) {
        let (whole, places) = oracle::broadcast(&a, &b);
        let shape = Broadcast::new(&whole, &b).unwrap();
        let mut noise = Noise(seed | 1);
        let (x, x16): (Vec<i8>, Vec<i16>) = (noise.codes(places.len(), 8), noise.codes(places.len(), 16));
        let alpha: Vec<i8> = noise.codes(b.iter().product(), 8);
        let (_, places) = oracle::broadcast(&whole, &b);
        let prelu = Prelu::<i8>::new(shape, q1, slopes, q).unwrap();
        let prelu16 = Prelu::<i16>::new(shape, wide1, slopes, wide).unwrap();
        on_each_backend!(|name, d| {
            let (mut y, mut y16) = (vec![0; x.len()], x16.clone());
            prelu.run_on(d, &x, &alpha, &mut y).unwrap();
            prelu16.run_in_place_on(d, &mut y16, &alpha).unwrap();
            for (&(i, k), (&y, &y16)) in places.iter().zip(y.iter().zip(&y16)) {
                let quants = [of(q1), of(slopes), of(q)];
                assert_eq!(i64::from(y), oracle::prelu(x[i].into(), alpha[k].into(), quants, 8), "{name}");
                let quants = [of(wide1), of(slopes), of(wide)];
                assert_eq!(i64::from(y16), oracle::prelu(x16[i].into(), alpha[k].into(), quants, 16), "{name}");
            }
        });
    }

    #[test]
    fn tables_of_8_bits(x in quantization_s8(), y in quantization_s8(), slope in -2.0f32..2.0, activation in activation()) {
        let both = [of(x), of(y)];
        let (min, max) = activation.range_s8(y);
        let (least, most) = activation.range_s8(x);
        let check = |name: &str, table: Result<TableS8, Error>, want: &dyn Fn(i64) -> i64| {
            let table = table.unwrap();
            for code in i8::MIN..=i8::MAX {
                let got = table.table()[usize::from(code as u8)];
                assert_eq!(i64::from(got), want(code.into()), "{name} of {code}: {x:?} {y:?}");
            }
        };
        check("relu", TableS8::relu(x, y, activation), &|code| oracle::relu(code, both, (min.into(), max.into())));
        check("clamp", TableS8::clamp(x, activation), &|code| code.max(least.into()).min(most.into()));
        check("leaky_relu", TableS8::leaky_relu(x, y, slope), &|code| oracle::leaky_relu(code, both, slope, 8));
        check("abs", TableS8::abs(x, y), &|code| oracle::abs(code, both, 8));
        check("requantize", TableS8::requantize(x, y), &|code| oracle::rescale(code, both, (-128, 127)));
        check("rsqrt", TableS8::rsqrt(x, y), &|code| oracle::rsqrt(code, both, 8).unwrap_or(127));
        check("logistic", TableS8::logistic(x, TableS8::LOGISTIC), &|code| oracle::logistic(code, of(x)));
        check("tanh", TableS8::tanh(x, TableS8::TANH), &|code| oracle::tanh(code, of(x)));
        if x.scale / 128.0 / y.scale < 0.99 {
            check("hard_swish", TableS8::hard_swish(x, y), &|code| oracle::hard_swish(code, both));
        } else if x.scale / 128.0 / y.scale > 1.0 {
            assert_eq!(TableS8::hard_swish(x, y), Err(Error::Config { what: Rule::Scale }));
        }
        check("elu", TableS8::elu(x, y), &|code| {
            oracle::of_f32(code, both, |x| if x < 0.0 { f64::from(x).exp() as f32 - 1.0 } else { x })
        });
        check("exp", TableS8::exp(x, y), &|code| oracle::of_f32(code, both, |x| f64::from(x).exp() as f32));
        check("log", TableS8::log(x, y), &|code| {
            if code <= i64::from(x.zero_point) { -128 } else { oracle::of_f32(code, both, |x| f64::from(x).ln() as f32) }
        });
        check("gelu", TableS8::gelu(x, y), &|code| oracle::of_f32(code, both, gelu));
        check("gelu_tanh", TableS8::gelu_tanh(x, y), &|code| oracle::of_f32(code, both, gelu_tanh));
    }

    #[test]
    fn functions_of_16_bits(x in quantization_s16(), y in quantization_s16(), slope in -2.0f32..2.0, seed: u64, activation in activation()) {
        let both = [of(x), of(y)];
        let (min, max) = activation.range_s16(y);
        let codes: Vec<i16> = Noise(seed | 1).codes(300, 16);
        let relu = SlopesS16::relu(x, y, activation).unwrap();
        let leaky = SlopesS16::leaky_relu(x, y, slope).unwrap();
        let abs = SlopesS16::abs(x, y).unwrap();
        let rsqrt = Rsqrt::<i16>::new(x, y).unwrap();
        let gelu_table = TableS16::gelu(x, y).unwrap();
        let tanh_table = TableS16::gelu_tanh(x, y).unwrap();
        let exp_table = TableS16::exp(x, y).unwrap();
        let log_table = TableS16::log(x, y).unwrap();
        let (logistic, tanh) = (LogisticS16::new(x).unwrap(), TanhS16::new(x).unwrap());
        let least = -32_768.0 * y.scale;
        let of_gelu = oracle::table_s16(x.scale, y.scale, gelu);
        let of_tanh = oracle::table_s16(x.scale, y.scale, gelu_tanh);
        let of_exp = oracle::table_s16(x.scale, y.scale, |x| f64::from(x).exp() as f32);
        let of_log = oracle::table_s16(x.scale, y.scale, |x| if x <= 0.0 { least } else { f64::from(x).ln() as f32 });
        on_each_backend!(|name, d| {
            let run = |what: &str, of: &dyn Fn(&mut [i16]), want: &dyn Fn(i16) -> i64| {
                let mut got = codes.clone();
                of(&mut got);
                for (&code, &got) in codes.iter().zip(&got) {
                    assert_eq!(i64::from(got), want(code), "{name}: {what} of {code}");
                }
            };
            run("relu", &|x| relu.run_in_place_on(d, x), &|c| oracle::relu(c.into(), both, (min.into(), max.into())));
            run("leaky_relu", &|x| leaky.run_in_place_on(d, x), &|c| oracle::leaky_relu(c.into(), both, slope, 16));
            run("abs", &|x| abs.run_in_place_on(d, x), &|c| oracle::abs(c.into(), both, 16));
            run("logistic", &|x| logistic.run_in_place_on(d, x), &|c| oracle::logistic_s16(c.into(), x.scale));
            run("tanh", &|x| tanh.run_in_place_on(d, x), &|c| oracle::tanh_s16(c.into(), x.scale));
            run("rsqrt", &|x| rsqrt.run_in_place_on(d, x), &|c| oracle::rsqrt(c.into(), both, 16).unwrap_or(32_767));
            run("gelu", &|x| gelu_table.run_in_place_on(d, x), &|c| oracle::look_up_s16(c, &of_gelu).into());
            run("gelu_tanh", &|x| tanh_table.run_in_place_on(d, x), &|c| oracle::look_up_s16(c, &of_tanh).into());
            // Where an entry saturates, what lies beside it is LiteRT's own business: it converts what does not fit.
            if (x.scale * 32_768.0).exp() / y.scale < 32_000.0 {
                run("exp", &|x| exp_table.run_in_place_on(d, x), &|c| oracle::look_up_s16(c, &of_exp).into());
            }
            run("log", &|x| log_table.run_in_place_on(d, x), &|c| oracle::look_up_s16(c, &of_log).into());
        });
    }

    #[test]
    fn conversions(s1 in scale(), s2 in scale(), z8 in -128i32..128, y8 in -128i32..128, zu in 0i32..256, z16 in -32_768i32..32_768, z32 in -1000i32..1000, seed: u64) {
        let mut noise = Noise(seed | 1);
        let (x8, x16): (Vec<i8>, Vec<i16>) = (noise.codes(100, 8), noise.codes(100, 16));
        let x32: Vec<i32> = noise.codes(100, 32);
        let xu: Vec<u8> = x8.iter().map(|&x| x as u8).collect();
        let q = Quantization::new;
        macro_rules! rescale {
            ($d:expr, $x:expr, $qx:expr, $y:ty, $qy:expr) => {{
                let rescale = Rescale::<_, $y>::new($qx, $qy).unwrap();
                let mut y = vec![0; $x.len()];
                rescale.run_on($d, &$x, &mut y).unwrap();
                for (&x, &y) in $x.iter().zip(&y) {
                    let range = (i64::from(<$y>::MIN), i64::from(<$y>::MAX));
                    assert_eq!(i64::from(y), oracle::rescale(x.into(), [of($qx), of($qy)], range), "{x} {:?} {:?}", $qx, $qy);
                }
            }};
        }
        on_each_backend!(|_, d| {
            rescale!(d, x8, q(s1, z8), i8, q(s2, y8));
            rescale!(d, x8, q(s1, z8), u8, q(s2, zu));
            rescale!(d, xu, q(s1, zu), i8, q(s2, y8));
            rescale!(d, x8, q(s1, -128), u8, q(s1, 0));
            rescale!(d, x8, q(s1, z8), i16, q(s2, z16));
            rescale!(d, x8, q(s1, z8), i32, q(s2, z32));
            rescale!(d, x16, q(s1, z16), i8, q(s2, y8));
            rescale!(d, x16, q(s1, 0), i16, q(s2, 0));
            rescale!(d, x16, q(s1, z16), i32, q(s2, z32));
            rescale!(d, x32, q(s1, z32), i8, q(s2, y8));
            rescale!(d, x32, q(s1, z32), i16, q(s2, 0));
            let in_place = Rescale::<i8, i8>::new(q(s1, z8), q(s2, y8)).unwrap();
            let (mut apart, mut over) = (vec![0; x8.len()], x8.clone());
            in_place.run(&x8, &mut apart).unwrap();
            in_place.run_in_place_on(d, &mut over);
            assert_eq!(apart, over);
            let mut real = vec![0.0; 100];
            Dequantize::new(q(s1, z16)).unwrap().run_on(d, &x16, &mut real).unwrap();
            for (&x, &y) in x16.iter().zip(&real) {
                assert_eq!(y.to_bits(), oracle::dequantize(x.into(), (s1, z16)).to_bits());
            }
            let (mut y8s, mut yus, mut y16s) = (vec![0i8; 100], vec![0u8; 100], vec![0i16; 100]);
            Quantize::new(q(s2, y8)).unwrap().run_on(d, &real, &mut y8s).unwrap();
            Quantize::new(q(s2, zu)).unwrap().run_on(d, &real, &mut yus).unwrap();
            Quantize::new(q(s2, z16)).unwrap().run_on(d, &real, &mut y16s).unwrap();
            for (i, &x) in real.iter().enumerate() {
                assert_eq!(i64::from(y8s[i]), oracle::quantize(x, (s2, y8), (-128, 127)));
                assert_eq!(i64::from(yus[i]), oracle::quantize(x, (s2, zu), (0, 255)));
                assert_eq!(i64::from(y16s[i]), oracle::quantize(x, (s2, z16), (-32_768, 32_767)));
            }
        });
    }

    #[test]
    fn reductions(shape in prop::collection::vec(1usize..6, 1..7), wide in 1usize..40, axes in 0u8..128, x in quantization_s8(), y in quantization_s8(), x16 in quantization_s16(), y16 in quantization_s16(), seed: u64) {
        let mut shape = shape;
        *shape.last_mut().unwrap() = wide;
        let axes: Vec<usize> = (0..shape.len()).filter(|k| axes >> k & 1 != 0).collect();
        let of_shape = Reduction::new(&shape, &axes).unwrap();
        let (to, results) = oracle::reduction(&shape, &axes);
        assert_eq!((of_shape.input(), of_shape.output()), (to.len(), results));
        let mut noise = Noise(seed | 1);
        let (codes, codes16): (Vec<i8>, Vec<i16>) = (noise.codes(to.len(), 8), noise.codes(to.len(), 16));
        let group = |codes: &dyn Fn(usize) -> i64, result: usize| -> Vec<i64> {
            (0..to.len()).filter(|&i| to[i] == result).map(codes).collect()
        };
        let group8: Vec<_> = (0..results).map(|r| group(&|i| codes[i].into(), r)).collect();
        let group16: Vec<_> = (0..results).map(|r| group(&|i| codes16[i].into(), r)).collect();
        let quants = [of(x), of(y)];
        let quants16 = [of(x16), of(y16)];
        on_each_backend!(|name, d| {
            let (mut got, mut got16) = (vec![0i8; results], vec![0i16; results]);
            let mut check = |what: &str, run: &dyn Fn(&mut [i8]), want: &dyn Fn(&[i64]) -> i64| {
                run(&mut got);
                for (&got, group) in got.iter().zip(&group8) {
                    assert_eq!(i64::from(got), want(group), "{name}: {what} of {shape:?} along {axes:?}");
                }
            };
            let mean = MeanS8::new(of_shape, x, y).unwrap();
            check("mean", &|y| mean.run_on(d, &codes, y).unwrap(), &|group| oracle::mean(group, quants, 8, false));
            let sum = MeanS8::sum(of_shape, x, y).unwrap();
            check("sum", &|y| sum.run_on(d, &codes, y).unwrap(), &|group| oracle::mean(group, quants, 8, true));
            let max = Reduce::<i8>::max(of_shape);
            check("max", &|y| max.run_on(d, &codes, y).unwrap(), &|group| *group.iter().max().unwrap());
            let min = Reduce::<i8>::min(of_shape);
            check("min", &|y| min.run_on(d, &codes, y).unwrap(), &|group| *group.iter().min().unwrap());
            let mean = MeanS16::new(of_shape, x16, y16).unwrap();
            mean.run_on(d, &codes16, &mut got16).unwrap();
            for (&got, group) in got16.iter().zip(&group16) {
                assert_eq!(i64::from(got), oracle::mean(group, quants16, 16, false), "{name}");
            }
        });
    }

    #[test]
    fn places_of_the_largest(outer in 1usize..4, axis in 1usize..40, inner in 1usize..4, few in 1i64..100, seed: u64) {
        let mut noise = Noise(seed | 1);
        let x: Vec<i8> = (0..outer * axis * inner).map(|_| (noise.next() as i64 % few - 50) as i8).collect();
        let (max, min) = (ArgMax::<i8, i32>::max([outer, axis, inner]).unwrap(), ArgMax::<i8, i64>::min([outer, axis, inner]).unwrap());
        on_each_backend!(|_, d| {
            let (mut y, mut y64) = (vec![0i32; outer * inner], vec![0i64; outer * inner]);
            max.run_on(d, &x, &mut y).unwrap();
            min.run_on(d, &x, &mut y64).unwrap();
            for o in 0..outer {
                for i in 0..inner {
                    let column: Vec<i8> = (0..axis).map(|k| x[(o * axis + k) * inner + i]).collect();
                    let first = |of: i8| column.iter().position(|&x| x == of).unwrap();
                    assert_eq!(y[o * inner + i] as usize, first(*column.iter().max().unwrap()));
                    assert_eq!(y64[o * inner + i] as usize, first(*column.iter().min().unwrap()));
                }
            }
        });
    }

    #[test]
    fn rows_of_length_one(rows in 1usize..4, cols in 1usize..80, zero_point in -128i32..128, small: bool, seed: u64) {
        let mut noise = Noise(seed | 1);
        let mut x: Vec<i8> = noise.codes(rows * cols, 8);
        if small {
            x.iter_mut().for_each(|x| *x = (zero_point + i32::from(*x) % 2).clamp(-128, 127) as i8);
        }
        let norm = L2NormS8::new(Quantization::new(0.1, zero_point)).unwrap();
        let shape = Rows::new(rows, cols).unwrap();
        on_each_backend!(|_, d| {
            let (mut y, mut over) = (vec![0; x.len()], x.clone());
            norm.run_on(d, &x, &mut y, shape).unwrap();
            norm.run_in_place_on(d, &mut over, shape).unwrap();
            assert_eq!(y, over);
            for (x, y) in x.chunks(cols).zip(y.chunks(cols)) {
                let x: Vec<i64> = x.iter().map(|&x| x.into()).collect();
                let y: Vec<i64> = y.iter().map(|&y| y.into()).collect();
                assert_eq!(y, oracle::l2_norm(&x, zero_point.into()));
            }
        });
    }
}

fn gelu(x: f32) -> f32 {
    0.5 * x * libm_erfc(f64::from(x * -core::f32::consts::FRAC_1_SQRT_2)) as f32
}

fn gelu_tanh(x: f32) -> f32 {
    0.5 * x * (1.0 + f64::from(0.797_884_6_f32 * (x + 0.044_715 * x * x * x)).tanh() as f32)
}

/// `erfc` by the trapezoidal rule, which is good to the last bits for such a function: `∫ e^(-x² - 2xt - t²) dt` from 0 on.
fn libm_erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - libm_erfc(-x);
    }
    // e^(-(x + t)²) falls to nothing within 7; Simpson's rule with small steps.
    let (n, h) = (2000, 7.0 / 2000.0);
    let f = |i: usize| (-(2.0 * x + i as f64 * h) * (i as f64 * h)).exp();
    let inner: f64 = (1..n).map(|i| if i % 2 == 1 { 4.0 * f(i) } else { 2.0 * f(i) }).sum();
    (f(0) + inner + f(n)) * h / 3.0 * 2.0 / core::f64::consts::PI.sqrt() * (-x * x).exp()
}

/// What is refused, and that nothing is touched then.
#[test]
fn refusals() {
    let q = Quantization::new;
    let (good, wide) = (q(0.5, 0), q(0.5, 0));
    let shape = Broadcast::new(&[2, 3], &[3]).unwrap();
    let scale = Error::Config { what: Rule::Scale };
    let zero_point = Error::Config { what: Rule::ZeroPoint };
    for bad in [q(0.0, 0), q(-1.0, 0), q(f32::NAN, 0), q(f32::INFINITY, 0)] {
        for of in [[bad, good, good], [good, bad, good], [good, good, bad]] {
            let [a, b, c] = of;
            assert_eq!(AddS8::new(shape, a, b, c, Activation::None).unwrap_err(), scale);
            assert_eq!(AddS8::sub(shape, a, b, c, Activation::None).unwrap_err(), scale);
            assert_eq!(MulS8::new(shape, a, b, c, Activation::None).unwrap_err(), scale);
            assert_eq!(SquaredDifferenceS8::new(shape, a, b, c).unwrap_err(), scale);
            assert_eq!(PreluS8::new(shape, a, b, c).unwrap_err(), scale);
        }
        for of in [[bad, good], [good, bad]] {
            let [x, y] = of;
            assert_eq!(TableS8::relu(x, y, Activation::None).unwrap_err(), scale);
            assert_eq!(TableS8::requantize(x, y).unwrap_err(), scale);
            assert_eq!(TableS8::gelu(x, y).unwrap_err(), scale);
            assert_eq!(TableS8::hard_swish(x, y).unwrap_err(), scale);
            assert_eq!(TableS16::exp(x, y).unwrap_err(), scale);
            assert_eq!(SlopesS16::abs(x, y).unwrap_err(), scale);
            assert_eq!(RsqrtS8::new(x, y).unwrap_err(), scale);
            assert_eq!(Rescale::<i8, i8>::new(x, y).unwrap_err(), scale);
            assert_eq!(MeanS8::new(Reduction::new(&[2], &[0]).unwrap(), x, y).unwrap_err(), scale);
        }
        assert_eq!(TableS8::logistic(bad, TableS8::LOGISTIC).unwrap_err(), scale);
        assert_eq!(TableS8::clamp(bad, Activation::Relu).unwrap_err(), scale);
        assert_eq!(L2NormS8::new(bad).unwrap_err(), scale);
        assert_eq!(Quantize::<i8>::new(bad).unwrap_err(), scale);
        assert_eq!(Dequantize::<i8>::new(bad).unwrap_err(), scale);
    }
    assert_eq!(TableS8::leaky_relu(good, good, f32::NAN).unwrap_err(), scale);
    for (at, beyond) in [(-128, -129), (127, 128)] {
        assert!(AddS8::new(shape, q(0.5, at), good, good, Activation::None).is_ok());
        assert_eq!(AddS8::new(shape, q(0.5, beyond), good, good, Activation::None).unwrap_err(), zero_point);
        assert_eq!(MulS8::new(shape, good, good, q(0.5, beyond), Activation::None).unwrap_err(), zero_point);
        assert_eq!(TableS8::abs(good, q(0.5, beyond)).unwrap_err(), zero_point);
    }
    for z in [-1, 1] {
        assert_eq!(AddS16::new(shape, wide, q(0.5, z), wide, Activation::None).unwrap_err(), zero_point);
        assert_eq!(MeanS16::new(Reduction::new(&[2], &[0]).unwrap(), q(0.5, z), wide).unwrap_err(), zero_point);
        assert_eq!(RsqrtS16::new(q(0.5, z), wide).unwrap_err(), zero_point);
    }
    assert!(Rescale::<i16, i32>::new(q(0.5, -32_768), wide).is_ok());
    assert_eq!(Rescale::<i16, i32>::new(q(0.5, -32_769), wide).unwrap_err(), zero_point);
    assert_eq!(TableS8::logistic(good, good).unwrap_err(), zero_point);
    assert_eq!(TableS8::tanh(good, TableS8::LOGISTIC).unwrap_err(), zero_point);
    // A factor of 1 for the sum, and half of it.
    let (at, beyond) = (q(2f32.powi(-20), 0), q(2f32.powi(-19), 0));
    assert!(AddS8::new(shape, q(0.5, 0), good, q(2f32.powi(-19), 0), Activation::None).is_ok());
    assert_eq!(AddS8::new(shape, q(0.5, 0), good, at, Activation::None).unwrap_err(), scale);
    assert!(AddS8::new(shape, q(0.25, 0), good, beyond, Activation::None).is_ok());
    assert_eq!(AddS16::new(shape, good, good, q(2f32.powi(-15), 0), Activation::None).unwrap_err(), scale);
    assert!(AddS16::new(shape, good, good, q(2f32.powi(-14), 0), Activation::None).is_ok());
    // A smaller tensor cannot be overwritten by a larger one.
    let wider = Broadcast::new(&[3], &[2, 3]).unwrap();
    let smaller = Error::Length { what: Arg::X, want: 6, got: 3 };
    assert_eq!(PreluS8::new(wider, good, good, good).unwrap_err(), smaller);
}

#[test]
fn lengths() {
    let q = Quantization::new(0.5, 0);
    let shape = Broadcast::new(&[2, 3], &[3]).unwrap();
    let add = Add::<i8>::new(shape, q, q, q, Activation::None).unwrap();
    assert_eq!(add.shape(), &shape);
    let length = |what, want, got| Err(Error::Length { what, want, got });
    let mut y = [9; 6];
    assert_eq!(add.run(&[0; 5], &[0; 3], &mut y), length(Arg::Lhs, 6, 5));
    assert_eq!(add.run(&[0; 6], &[0; 4], &mut y), length(Arg::Rhs, 3, 4));
    assert_eq!(add.run(&[0; 6], &[0; 3], &mut y[..5]), length(Arg::Y, 6, 5));
    assert_eq!(y, [9; 6]);
    let table = TableS8::from_table([0; 256]);
    assert_eq!(table.run(&[0; 5], &mut y), length(Arg::Y, 5, 6));
    assert_eq!(Rescale::<i8, i8>::new(q, q).unwrap().run(&[0; 5], &mut y), length(Arg::Y, 5, 6));
    assert_eq!(Quantize::<i8>::new(q).unwrap().run(&[0.0; 5], &mut y), length(Arg::Y, 5, 6));
    let mean = Mean::<i8>::new(Reduction::new(&[2, 6], &[0]).unwrap(), q, q).unwrap();
    assert_eq!(mean.run(&[0; 11], &mut y), length(Arg::X, 12, 11));
    assert_eq!(mean.run(&[0; 12], &mut y[..5]), length(Arg::Y, 6, 5));
    let arg_max = ArgMax::<i8, i32>::max([1, 4, 2]).unwrap();
    assert_eq!(arg_max.run(&[0; 8], &mut [0]), length(Arg::Y, 2, 1));
    assert_eq!(arg_max.run(&[0; 7], &mut [0; 2]), length(Arg::X, 8, 7));
    assert_eq!(y, [9; 6]);
    assert!(ArgMax::<i8, i32>::max([1, 0, 1]).is_err() && ArgMax::<i8, i32>::min([1 << 15, 1 << 15, 2]).is_err());
    assert!(ArgMax::<i8, i32>::min([1 << 15, 1 << 15, 1]).is_ok());
    // Many terms: 255 times their number must fit 31 bits.
    let most = i32::MAX as usize / 255;
    let many = |n| MeanS8::sum(Reduction::new(&[n], &[0]).unwrap(), q, q);
    assert!(many(most).is_ok());
    assert_eq!(many(most + 1).unwrap_err(), Error::TooLarge { what: Arg::Axes, max: most, got: most + 1 });
    assert!(Reduction::new(&[1; 6], &[5]).is_ok());
    assert_eq!(Reduction::new(&[1; 7], &[]), Err(Error::TooLarge { what: Arg::Axes, max: 6, got: 7 }));
    assert_eq!(Reduction::new(&[1; 6], &[6]), Err(Error::TooLarge { what: Arg::Axes, max: 5, got: 6 }));
    assert_eq!(Reduction::new(&[2, 0], &[]), Err(Error::Empty { what: Arg::Axes }));
    let rows = Rows::new(1, (1 << 15) + 1).unwrap();
    let long = vec![1; rows.cols()];
    let norm = L2NormS8::new(q).unwrap();
    let mut y = vec![9; rows.cols()];
    let wrong = Err(Error::TooLarge { what: Arg::Cols, max: 1 << 15, got: rows.cols() });
    assert_eq!(norm.run(&long, &mut y, rows), wrong);
    assert!(norm.run(&long[1..], &mut y[1..], Rows::one(1 << 15).unwrap()).is_ok());
}
