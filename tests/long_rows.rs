//! Rows beyond the caches, where softmax and StableMax take their two-pass forms: at the switch-over of each backend, one
//! below and one above it, apart, in place and from odd addresses, against the f64 oracles.

use scrimp::Rows;
use scrimp::backend::Dispatch;
use scrimp::softmax::{
    softmax_f32_in_place_on, softmax_f32_on, stablemax_f32_in_place_on, stablemax_f32_on, two_pass_f32_on,
};
use scrimp_reference::{ops, stablemax as reference};

/// What `softmax` promises: relative, plus 2^-126.
const BOUND: f64 = 1.5e-6;
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// Noise from -1 to 1 that every machine makes the same.
fn noise(n: usize) -> Vec<f32> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

#[track_caller]
fn check(what: &str, y: &[f32], want: &[f64]) {
    assert_eq!(y.len(), want.len());
    let n = want.len();
    for (i, (&y, &want)) in y.iter().zip(want).enumerate() {
        let error = (f64::from(y) - want).abs();
        let allowed = BOUND * want + TINY;
        assert!(error <= allowed, "{what} of {n}: [{i}] is {y:e} instead of {want:e}");
    }
}

fn same(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// From which length on this backend's softmax has two passes; `backend/<name>.md` has the measurements.
fn switch_over(backend: &str) -> usize {
    match backend {
        "avx512" => 1 << 22,
        "avx2" => 1 << 23,
        _ => usize::MAX,
    }
}

/// A length with the second form, where there is one: for all that is looked at only once.
fn long(backend: &str) -> usize {
    if switch_over(backend) == usize::MAX { 1 << 22 } else { switch_over(backend) }
}

/// Lengths: 4M for every backend, and where it changes its form.
fn lengths(backend: &str) -> Vec<usize> {
    let from = switch_over(backend);
    let mut lengths = vec![1 << 22];
    if from < usize::MAX {
        lengths.extend([from - 1, from, from + 1]);
    }
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

/// Near one another; far apart; and so far away that a pair of mantissa and exponent does not hold them, which
/// the two-pass form hands to three passes.
const KINDS: [(f32, f32); 3] = [(1.0, 0.0), (60.0, -30.0), (5.0, 3e5)];

fn softmax<D: Dispatch>(d: D, backend: &str) {
    for n in lengths(backend) {
        // Only the first of them on all lengths: each takes an f64 oracle of millions of elements.
        for (kind, (spread, offset)) in KINDS.into_iter().enumerate() {
            if kind > 0 && n != long(backend) {
                continue;
            }
            // From an odd address to another: neither is aligned to a register.
            let x: Vec<f32> = noise(n + 1).iter().map(|v| v * spread + offset).collect();
            let (x, rows) = (&x[1..], Rows::one(n).unwrap());
            let mut room = vec![7.0; n + 4];
            let want = ops::softmax(&wide(x));
            softmax_f32_on(d, x, &mut room[3..n + 3], rows).unwrap();
            check(&format!("{backend}: softmax"), &room[3..n + 3], &want);
            assert!(same(&room[..3], &[7.0; 3]) && same(&room[n + 3..], &[7.0]), "written beside the row");

            let mut in_place = x.to_vec();
            softmax_f32_in_place_on(d, &mut in_place, rows).unwrap();
            check(&format!("{backend}: softmax in place"), &in_place, &want);
            if kind == 0 {
                // Two passes from there on.
                two_pass_f32_on(d, x, &mut in_place, rows).unwrap();
                let is_two_pass = same(&in_place, &room[3..n + 3]);
                // Below it the bytes may happen to be the same.
                assert!(is_two_pass || n < switch_over(backend), "{backend}: not two passes at {n}");
            }
        }
    }
}

fn stablemax<D: Dispatch>(d: D, backend: &str) {
    for n in lengths(backend) {
        // The last kind leaves no sum that is plain: `s` of each is far below the smallest share.
        for (kind, (spread, offset)) in [(20.0, 0.0), (1e4, -3e4), (1e3, -1e37)].into_iter().enumerate() {
            if kind > 0 && n != long(backend) {
                continue;
            }
            let x: Vec<f32> = noise(n + 1).iter().map(|v| v * spread + offset).collect();
            let (x, rows) = (&x[1..], Rows::one(n).unwrap());
            let mut room = vec![7.0; n + 4];
            let want = reference::stablemax(&wide(x));
            stablemax_f32_on(d, x, &mut room[3..n + 3], rows).unwrap();
            check(&format!("{backend}: stablemax"), &room[3..n + 3], &want);
            assert!(same(&room[..3], &[7.0; 3]) && same(&room[n + 3..], &[7.0]), "written beside the row");
            let mut in_place = x.to_vec();
            stablemax_f32_in_place_on(d, &mut in_place, rows).unwrap();
            check(&format!("{backend}: stablemax in place"), &in_place, &want);
        }
    }
}

/// A masked element, a NaN and an infinity in the last place of a row of two passes are seen.
fn special<D: Dispatch>(d: D, backend: &str) {
    let n = long(backend);
    let (mut x, rows, mut y) = (noise(n), Rows::one(n).unwrap(), vec![7.0; n]);
    x[n - 1] = f32::NEG_INFINITY;
    softmax_f32_on(d, &x, &mut y, rows).unwrap();
    assert!(y[n - 1].to_bits() == 0 && y[n - 2] > 0.0);
    stablemax_f32_on(d, &x, &mut y, rows).unwrap();
    assert!(y[n - 1].to_bits() == 0 && y[n - 2] > 0.0);
    for poison in [f32::NAN, f32::INFINITY] {
        x[n - 1] = poison;
        softmax_f32_on(d, &x, &mut y, rows).unwrap();
        assert!(y.iter().all(|v| v.is_nan()), "{backend}: {poison} in softmax");
        y.fill(7.0);
        stablemax_f32_on(d, &x, &mut y, rows).unwrap();
        assert!(y.iter().all(|v| v.is_nan()), "{backend}: {poison} in stablemax");
    }
    x.fill(f32::NEG_INFINITY);
    softmax_f32_on(d, &x, &mut y, rows).unwrap();
    assert!(y.iter().all(|v| v.to_bits() == 0), "{backend}: a masked row of softmax");
    y.fill(7.0);
    stablemax_f32_on(d, &x, &mut y, rows).unwrap();
    assert!(y.iter().all(|v| v.to_bits() == 0), "{backend}: a masked row of stablemax");
}

macro_rules! long_rows {
    ($name:ident, $token:expr) => {
        // One test a backend, so that few of the rows are in memory at a time.
        #[test]
        fn $name() {
            let Some(token) = $token else { return eprintln!("skipped: this CPU lacks it") };
            softmax(token, stringify!($name));
            stablemax(token, stringify!($name));
            special(token, stringify!($name));
        }
    };
}
scrimp::for_each_backend!(long_rows);
