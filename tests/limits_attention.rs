//! Limits of attention with AdaLog codes: keys, scales and lengths. What stands exactly at a limit is taken and computed right,
//! what stands one beyond is refused with its name and both numbers.

use scrimp::error::{Arg, Rule};
use scrimp::nn::{AttentionAdaLog, AttentionScales, CodeForm, attend_adalog};
use scrimp::quant::{AdaLog, LogitBias, PackedKeys, PackedValues, Symbols, ValueRange};
use scrimp::{Error, Rows};

const fn config(what: Rule) -> Error {
    Error::Config { what }
}

const fn too_large(what: Arg, max: usize, got: usize) -> Error {
    Error::TooLarge { what, max, got }
}

const TOP: Symbols = Symbols::TopIsZero;

/// 4 bits: the largest weight is 30 << 10.
const ADALOG: AdaLog = scrimp::expect!(AdaLog::new(4, 37, 1.0, TOP));
const WEIGHT: i32 = 30 << 10;

#[test]
fn keys_and_scales_of_attention() {
    let scales = AttentionScales { logit: 0.01, value: 0.1, values: ValueRange::S8, output: 0.1, output_zero_point: 3 };
    let most = (i32::MAX / (WEIGHT * 128)) as usize;
    for form in [CodeForm::Anchored, CodeForm::Normalized] {
        let of = |scales: &AttentionScales, keys| AttentionAdaLog::new(&ADALOG, form, scales, keys);
        assert_eq!(of(&scales, most).map(drop), Ok(()));
        assert_eq!(of(&scales, most + 1).map(drop), Err(too_large(Arg::Keys, most, most + 1)));
        assert_eq!(of(&scales, 0).map(drop), Err(Error::Empty { what: Arg::Keys }));
        let five = AdaLog::new(5, 37, 1.0, TOP).unwrap();
        assert_eq!(AttentionAdaLog::new(&five, form, &scales, 4).map(drop), Err(config(Rule::Bits)));
        let full = AdaLog::new(4, 37, 1.0, Symbols::Full).unwrap();
        assert_eq!(AttentionAdaLog::new(&full, form, &scales, 4).map(drop), Err(config(Rule::Symbols)));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for wrong in [
                AttentionScales { logit: bad, ..scales },
                AttentionScales { value: bad, ..scales },
                AttentionScales { output: bad, ..scales },
            ] {
                assert_eq!(of(&wrong, 4).map(drop), Err(config(Rule::Scale)), "{wrong:?}");
            }
        }
        // Both negative is no positive ratio.
        let wrong = AttentionScales { value: -0.1, output: -0.1, ..scales };
        assert_eq!(of(&wrong, 4).map(drop), Err(config(Rule::Scale)));
        let at = AttentionScales { value: 256.0, output: 1.0, ..scales };
        assert_eq!(of(&AttentionScales { value: 256.0f64.next_up(), ..at }, 4).map(drop), Err(config(Rule::Scale)));
        assert_eq!(of(&at, 4).map(drop), Ok(()));

        // At the limit of keys, with the largest values: they come out.
        let attention = of(&scales, most).unwrap();
        let run = |keys: usize, value: i8| {
            let (k_shape, v_shape) = (Rows::new(keys, 4).unwrap(), Rows::new(keys, 2).unwrap());
            let (mut k, mut v) = (vec![0; PackedKeys::words(k_shape)], vec![0; PackedValues::words(v_shape)]);
            let k = PackedKeys::pack(&vec![1; 4 * keys], &mut k, k_shape)?;
            let v = PackedValues::pack(&vec![value; 2 * keys], &mut v, v_shape)?;
            let mut scratch = vec![0; AttentionAdaLog::scratch_words(k_shape)];
            let mut y = [77; 2];
            let result = attend_adalog(&attention, &[0; 4], &k, &v, LogitBias::None, &mut y, &mut scratch);
            result.map(|()| y)
        };
        assert_eq!(run(most + 1, 1), Err(too_large(Arg::Keys, most, most + 1)));
        for value in [-100i8, 100] {
            let y = run(most, value).unwrap();
            let want = match form {
                CodeForm::Anchored => [value + 3; 2],
                // 1/546 is 9.09 octaves: code 9 is 2^-9, so the weights' sum is 546/512.
                CodeForm::Normalized => [(f64::from(value) * 546.0 / 512.0).round() as i8 + 3; 2],
            };
            assert_eq!(y, want, "{form:?}");
        }
    }
}

#[test]
fn lengths_of_attention() {
    let scales = AttentionScales { logit: 0.01, value: 0.1, values: ValueRange::S8, output: 0.1, output_zero_point: 0 };
    let attention = AttentionAdaLog::new(&ADALOG, CodeForm::Anchored, &scales, 8).unwrap();
    // Two queries, three keys of four channels, values of two.
    let (k_shape, v_shape) = (Rows::new(3, 4).unwrap(), Rows::new(3, 2).unwrap());
    let (mut k, mut v) = (vec![0; PackedKeys::words(k_shape)], vec![0; PackedValues::words(v_shape)]);
    let k = PackedKeys::pack(&[1; 12], &mut k, k_shape).unwrap();
    let v = PackedValues::pack(&[50; 6], &mut v, v_shape).unwrap();
    let need = AttentionAdaLog::scratch_words(k_shape);
    let length = |what, want, got| Err(Error::Length { what, want, got });
    let bias = [0; 7];
    for (q, bias, y, scratch, want) in [
        (8, LogitBias::None, 4, need, Ok(())),
        (8, LogitBias::Add(&bias[..6]), 4, need, Ok(())),
        (8, LogitBias::Add(&bias[..3]), 4, need + 1, Ok(())),
        (8, LogitBias::Add(&bias[..5]), 4, need, length(Arg::LogitBias, 6, 5)),
        (8, LogitBias::Add(&bias[..7]), 4, need, length(Arg::LogitBias, 6, 7)),
        (8, LogitBias::Mask(&[true; 4]), 4, need, length(Arg::LogitBias, 6, 4)),
        (8, LogitBias::Mask(&[true; 3]), 4, need, Ok(())),
        (7, LogitBias::None, 4, need, length(Arg::Queries, 4, 7)),
        (9, LogitBias::None, 4, need, length(Arg::Queries, 8, 9)),
        (3, LogitBias::None, 4, need, Err(Error::Empty { what: Arg::Rows })),
        (8, LogitBias::None, 3, need, length(Arg::Y, 4, 3)),
        (8, LogitBias::None, 5, need, length(Arg::Y, 4, 5)),
        (8, LogitBias::None, 4, need - 1, length(Arg::Scratch, need, need - 1)),
    ] {
        let mut y = vec![77; y];
        let got = attend_adalog(&attention, &vec![1; q], &k, &v, bias, &mut y, &mut vec![0; scratch]);
        assert_eq!(got, want, "{bias:?}");
        assert!(y.iter().all(|&y| y == if want.is_ok() { 50 } else { 77 }), "{y:?}");
    }
    let fewer = Rows::new(2, 2).unwrap();
    let mut words = vec![0; PackedValues::words(fewer)];
    let v = PackedValues::pack(&[50; 4], &mut words, fewer).unwrap();
    let got = attend_adalog(&attention, &[1; 8], &k, &v, LogitBias::None, &mut [0; 4], &mut vec![0; need]);
    assert_eq!(got, length(Arg::Values, 3, 2));
}
