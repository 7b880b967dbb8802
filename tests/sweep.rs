//! No arithmetic overflows, whatever a caller gives: every public function with extreme arguments (0, the ends of each type,
//! numbers whose products wrap, NaN, slices that are too short), many times, with overflow checks on.
//!
//! The calls are those of `boards/probe`, and `tests/probe_coverage.rs` sees to it that none is missing. The same runs on boards,
//! where `usize` has 32 bits (`cargo xtask test "overflow checks"`).

use core::sync::atomic::{AtomicU32, Ordering};
use std::collections::BTreeMap;
use std::sync::Mutex;

const ITERATIONS: u32 = 4000;

#[test]
fn no_argument_makes_a_public_function_panic() {
    // The checks are there.
    let most = core::hint::black_box(u32::MAX);
    assert!(std::panic::catch_unwind(|| core::hint::black_box(most + 1)).is_err(), "built without overflow checks");
    let from: u32 = std::env::var("SCRIMP_SWEEP_FROM").map_or(0, |seed| seed.parse().unwrap());
    // Each place once, with the seed that leads there.
    static PLACES: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());
    static SEED: AtomicU32 = AtomicU32::new(0);
    std::panic::set_hook(Box::new(|panic| {
        let seed = SEED.load(Ordering::Relaxed);
        PLACES.lock().unwrap().entry(panic.to_string()).or_insert(seed);
    }));
    for seed in from..from + ITERATIONS {
        SEED.store(seed, Ordering::Relaxed);
        let _ = std::panic::catch_unwind(|| scrimp_probe::sweep(seed));
    }
    let _ = std::panic::take_hook();
    let places = PLACES.lock().unwrap();
    assert!(places.is_empty(), "each again by SCRIMP_SWEEP_FROM and its number: {places:#?}");
}
