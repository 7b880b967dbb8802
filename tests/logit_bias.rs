//! Biases and masks of logits: what would wrap saturates, and only what is masked is masked, on every backend.

use scrimp::Rows;
use scrimp::quant::{AdaLog, LogitBias, LogitCodes, MASKED, Symbols, packed_len, unpack};

/// Codes of one row with a bias.
fn codes_of(logits: &[i32], bias: LogitBias<'_>) -> Vec<u8> {
    const ADALOG: AdaLog = scrimp::expect!(AdaLog::new(4, 37, 1.0, Symbols::TopIsZero));
    // A code is an octave: 1000 steps.
    let codes: LogitCodes<16> = LogitCodes::anchored(&ADALOG, core::f64::consts::LN_2 / 1000.0).unwrap();
    let rows = Rows::one(logits.len()).unwrap();
    let mut all: Vec<(&str, Vec<u8>)> = Vec::new();
    macro_rules! on {
        ($name:ident, $token:expr) => {
            if let Some(token) = $token {
                let mut packed = vec![0; packed_len(4, logits.len())];
                codes.run_biased_on(token, logits, bias, &mut packed, rows).unwrap();
                let mut unpacked = vec![0; logits.len()];
                unpack(4, &packed, &mut unpacked).unwrap();
                all.push((stringify!($name), unpacked));
            }
        };
    }
    scrimp::for_each_backend!(on);
    for (name, codes) in &all {
        assert_eq!(*codes, all[0].1, "{name} differs from {}", all[0].0);
    }
    all.swap_remove(0).1
}

#[test]
fn a_bias_saturates_and_only_what_is_masked_is_masked() {
    const ZERO: u8 = 15;
    let add = |logits: &[i32], bias: &[i32]| codes_of(logits, LogitBias::Add(bias));
    assert_eq!(add(&[0, 0, 0], &[0, -1000, -3000]), [0, 1, 3]);
    // Beyond the top both are the largest number, so that neither is ahead.
    assert_eq!(add(&[i32::MAX, i32::MAX - 1000, 0], &[1000, 2000, 0]), [0, 0, ZERO]);
    assert_eq!(add(&[i32::MAX - 1000, i32::MAX - 3000, 0], &[0, 0, 0]), [0, 2, ZERO]);
    assert_eq!(add(&[i32::MAX - 1000, i32::MAX - 3000, 0], &[1000, 1000, 0]), [0, 2, ZERO]);
    assert_eq!(add(&[i32::MAX, 5, 0], &[i32::MAX, i32::MAX, 0]), [0, 0, ZERO]);
    // Beyond the bottom they are the least number that is not masked: they take part.
    let low = MASKED + 1;
    assert_eq!(add(&[low, low + 1000, low + 2000], &[-1000, -1000, -1000]), [1, 1, 0]);
    assert_eq!(add(&[low, low, low], &[-1, -1_000_000, low]), [0, 0, 0]);
    assert_eq!(add(&[-2, -2, 0], &[i32::MIN + 1, i32::MIN + 1, MASKED]), [0, 0, ZERO]);
    // Masked stays masked, whichever side says so.
    assert_eq!(add(&[0, 0, 1000], &[MASKED, 0, MASKED]), [ZERO, 0, ZERO]);
    assert_eq!(add(&[MASKED, 0, MASKED], &[i32::MAX, 0, MASKED]), [ZERO, 0, ZERO]);
    assert_eq!(add(&[MASKED, MASKED, MASKED], &[0, i32::MAX, 1]), [ZERO; 3]);
    let mask = |logits: &[i32], mask: &[bool]| codes_of(logits, LogitBias::Mask(mask));
    assert_eq!(mask(&[2000, 1000, 0], &[false, true, true]), [ZERO, 0, 1]);
    assert_eq!(mask(&[2000, 1000, 0], &[true, false, true]), [0, ZERO, 2]);
    assert_eq!(mask(&[2000, MASKED, 0], &[false, true, false]), [ZERO; 3]);
    assert_eq!(codes_of(&[2000, 1000, MASKED], LogitBias::None), [0, 1, ZERO]);
}
