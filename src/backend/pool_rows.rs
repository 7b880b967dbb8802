//! Windows of 8-bit pictures for pools: sums and largest codes of channels that lie side by side.

/// Channels at a time.
pub(crate) const CHANNELS: usize = 16;

/// The taps of a window: so many rows and columns, and elements from one to the next.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(all(target_arch = "arm", scrimp_has = "helium")), allow(dead_code, reason = "only Helium has loops"))]
pub(crate) struct Taps {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row: usize,
    pub(crate) col: usize,
}

#[cfg_attr(not(all(target_arch = "arm", scrimp_has = "helium")), allow(dead_code, reason = "only Helium has loops"))]
impl Taps {
    /// Whether all of them lie inside of `x`, with as many channels, and there is one.
    #[inline(always)]
    pub(crate) fn are_inside(&self, x: &[i8]) -> bool {
        let Self { rows, cols, row, col } = *self;
        let last = |n: usize, step: usize| n.checked_sub(1).and_then(|n| n.checked_mul(step));
        let end =
            last(rows, row).and_then(|at| at.checked_add(last(cols, col)?)).and_then(|at| at.checked_add(CHANNELS));
        end.is_some_and(|end| end <= x.len())
    }
}

/// What a backend can speed up in pools. Every backend gives the same bytes.
pub(crate) trait PoolRows: Copy {
    /// The sums of the first channels of a window that starts with `x`; `None` if there is no loop for it.
    #[inline(always)]
    fn sums_s8(self, _x: &[i8], _taps: &Taps) -> Option<[i32; CHANNELS]> {
        None
    }

    /// Their largest codes.
    #[inline(always)]
    fn most_s8(self, _x: &[i8], _taps: &Taps) -> Option<[i32; CHANNELS]> {
        None
    }
}
