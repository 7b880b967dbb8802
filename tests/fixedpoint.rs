//! The logarithm of TFLite's log-softmax, bit for bit: results of a transcription of gemmlowp's steps into exact
//! integers, made once outside of this repository.

use scrimp::fixedpoint::ln_of_at_least_one;

/// `x` in Q12.19, `ln x` in Q5.26: at 1, around powers of 2 and of their roots, where the function's parts meet, and at
/// the end of the range.
const LOGARITHMS: [(i32, i32); 31] = [
    (524288, 0),
    (524289, 128),
    (600000, 9052214),
    (741455, 23258142),
    (741456, 23258232),
    (800000, 28358232),
    (1000000, 43333142),
    (1048575, 46516256),
    (1048576, 46516320),
    (1048577, 46516384),
    (1482910, 69774462),
    (1482911, 69774506),
    (2000000, 89849462),
    (5242880, 154523870),
    (12345678, 211998256),
    (52428800, 309047740),
    (123456789, 366522130),
    (268435455, 418646878),
    (268435456, 418646878),
    (400000000, 445413520),
    (536870912, 465163198),
    (759250124, 488421358),
    (759250125, 488421358),
    (800000000, 491929840),
    (1073741824, 511679518),
    (1518500249, 534937678),
    (1518500250, 534937678),
    (1518500251, 534937678),
    (2000000000, 553421070),
    (2147483646, 558195838),
    (2147483647, 558195838),
];

#[test]
fn known_logarithms() {
    for (x, want) in LOGARITHMS {
        assert_eq!(ln_of_at_least_one(x), want, "{x}");
    }
}

/// FNV-1a of 100,000 results in little endian, over all of the range.
#[test]
fn a_hundred_thousand_logarithms() {
    let mut digest = 0xCBF2_9CE4_8422_2325u64;
    for i in 0..100_000 {
        for byte in ln_of_at_least_one((1 << 19) + i * 21_467).to_le_bytes() {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }
    assert_eq!(digest, 0xC021_D0FB_4313_5C8E);
}
