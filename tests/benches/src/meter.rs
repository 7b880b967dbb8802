//! Counts what a call costs.

use scrimp_rt::Ticks;

/// Calls that are counted as one: a board's timer ticks once in 16 to 63 instructions.
const CALLS: u32 = 16;

/// Sums up what calls cost.
#[derive(Debug, Default)]
#[expect(missing_copy_implementations, reason = "a copy would count into nothing")]
pub struct Meter {
    units: u64,
    calls: u32,
}

impl Meter {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts calls of `work`, less what calls of nothing cost; the first call is not counted.
    pub fn count(&mut self, work: &mut dyn FnMut()) {
        work();
        let all = time(work);
        self.units += all.saturating_sub(time(&mut || ()));
        self.calls += CALLS;
    }

    /// Units a call.
    pub(crate) fn mean(&self) -> f64 {
        self.units as f64 / f64::from(self.calls)
    }
}

#[inline(never)]
fn time(work: &mut dyn FnMut()) -> u64 {
    let start = Ticks::now();
    for _ in 0..CALLS {
        work();
    }
    start.elapsed()
}
