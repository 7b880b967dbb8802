//! `OnlineSoftmax::log_sum_exp`, on every backend: against f64, at the ends of f32, after merging, and for what has no
//! logarithm.

use scrimp::backend::Dispatch;
use scrimp::softmax::OnlineSoftmax;

const MASKED: f32 = f32::NEG_INFINITY;

fn pushed<D: Dispatch>(d: D, blocks: &[&[f32]]) -> OnlineSoftmax {
    let mut state = OnlineSoftmax::new();
    for block in blocks {
        state.push_on(d, block);
    }
    state
}

/// `ln Σ exp(x)` in f64, from the largest.
fn oracle(blocks: &[&[f32]]) -> f64 {
    let max = blocks.iter().flat_map(|b| b.iter()).fold(f64::NEG_INFINITY, |max, &x| max.max(f64::from(x)));
    let sum: f64 = blocks.iter().flat_map(|b| b.iter()).map(|&x| libm::exp(f64::from(x) - max)).sum();
    max + libm::log(sum)
}

fn log_sums<D: Dispatch>(d: D, backend: &str) {
    let wave: Vec<f32> = (0..5000).map(|i| ((i * 37 % 1009) as f32) / 100.0 - 5.0).collect();
    let cases: [&[&[f32]]; 14] = [
        &[&[0.0]],
        &[&[-3.25]],
        &[&[0.0, 0.0]],
        &[&[1.0, 2.0, 3.0]],
        &[&[3.0], &[2.0], &[1.0]],
        &[&[1.0], &[2.0], &[3.0], &[]],
        &[&[MASKED, 2.0, MASKED], &[MASKED]],
        &[&[MASKED], &[MASKED, -7.0]],
        &[&[1000.0, 1000.0]],
        &[&[-1e30, -1e30]],
        &[&[f32::MAX; 20]],
        &[&[-f32::MAX; 3]],
        &[&[f32::MAX, -f32::MAX]],
        &[&wave, &wave[..1023], &wave[..1025]],
    ];
    for blocks in cases {
        let got = f64::from(pushed(d, blocks).log_sum_exp());
        let want = oracle(blocks);
        // Half of a unit of f32, and the error of the exponentials.
        let allowed = 1.2e-7 * want.abs() + 1.5e-6;
        assert!((got - want).abs() <= allowed, "{backend}: {got} instead of {want}");
        // The same of two states that are merged, either way round, with one of nothing between them.
        let (front, back) = blocks.split_at(blocks.len() / 2);
        for (a, b) in [(front, back), (back, front)] {
            let mut state = pushed(d, a);
            state.merge(&OnlineSoftmax::new());
            state.merge(&pushed(d, b));
            assert!((f64::from(state.log_sum_exp()) - want).abs() <= allowed, "{backend}: merged");
        }
    }
}

fn special<D: Dispatch>(d: D, backend: &str) {
    let of = |blocks: &[&[f32]]| pushed(d, blocks).log_sum_exp();
    let masked = MASKED.to_bits();
    assert_eq!(of(&[]).to_bits(), masked, "{backend}: nothing");
    assert_eq!(of(&[&[], &[]]).to_bits(), masked, "{backend}: empty blocks");
    assert_eq!(of(&[&[MASKED; 3], &[MASKED; 2000]]).to_bits(), masked, "{backend}: all masked");
    for poison in [f32::NAN, f32::INFINITY] {
        for blocks in [
            &[&[poison][..]] as &[&[f32]],
            &[&[1.0, poison, 2.0]],
            &[&[MASKED, poison, MASKED]],
            &[&[MASKED], &[poison]],
            &[&[poison], &[MASKED]],
            &[&[poison], &[5.0], &[f32::MAX]],
            &[&[f32::MAX], &[poison], &[5.0]],
        ] {
            assert!(of(blocks).is_nan(), "{backend}: {poison} in {blocks:?}");
            let (front, back) = blocks.split_at(1);
            for (a, b) in [(front, back), (back, front)] {
                let mut state = pushed(d, a);
                state.merge(&pushed(d, b));
                assert!(state.log_sum_exp().is_nan(), "{backend}: {poison} merged in {blocks:?}");
            }
        }
    }
    // Exactly the logarithm of a count.
    for n in [1usize, 2, 3, 1024, 1025, 100_000] {
        let x = vec![0.0; n];
        let got = of(&[&x]);
        assert!((f64::from(got) - libm::log(n as f64)).abs() < 1e-6, "{backend}: {got} of {n} zeros");
    }
}

macro_rules! online {
    ($name:ident, $token:expr) => {
        #[test]
        fn $name() {
            let Some(token) = $token else { return eprintln!("skipped: this CPU lacks it") };
            log_sums(token, stringify!($name));
            special(token, stringify!($name));
        }
    };
}
scrimp::for_each_backend!(online);
