//! How much work lies between two moments.

use crate::machine;

/// A moment.
///
/// ```
/// let start = scrimp_rt::Ticks::now();
/// // ... the work ...
/// println!("{} {}", start.elapsed(), scrimp_rt::UNIT);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(u64);

impl Ticks {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        Self(machine::counter())
    }

    /// [`UNIT`](crate::UNIT)s since `self`: instructions on an emulated board (a count, not cycles; one timer tick is
    /// 16 to 63 of them), nanoseconds on the host.
    #[must_use]
    pub fn elapsed(self) -> u64 {
        machine::units(machine::counter().wrapping_sub(self.0))
    }
}
