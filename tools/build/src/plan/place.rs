//! Puts blocks of memory that live for a while into as little memory as can be found.
//!
//! A block lives from one time to another, both included; blocks that live at one time must lie apart. Each order of the
//! blocks gives a placement, every block as low as those before it leave room (first fit). We try several natural orders,
//! then all orders of a small model (with a bound on the work), or random changes of the best order of a larger one, and stop
//! at the lower bound. Everything is deterministic.

/// Blocks begin and end at multiples of it.
pub(crate) const ALIGNMENT: usize = scrimp::model::ALIGNMENT;

/// How many blocks may be tried in all, so that a large model takes well under a second even in an unoptimized build.
const WORK: usize = 300_000;

/// Most blocks of a model whose orders are all tried.
const SMALL: usize = 10;

/// Memory that is needed for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Bytes, a multiple of [`ALIGNMENT`].
    pub(crate) size: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The output `over` may lie over the input `under` if it begins at least `before` bytes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shift {
    pub(crate) over: usize,
    pub(crate) under: usize,
    /// A multiple of [`ALIGNMENT`].
    pub(crate) before: usize,
}

/// Where blocks lie, and how much memory that takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) offsets: Vec<usize>,
    pub(crate) total: usize,
}

/// No placement takes less: the most that lives at one time, and that time.
pub(crate) fn lower_bound(blocks: &[Block], shifts: &[Shift]) -> (usize, usize) {
    let end = blocks.iter().map(|block| block.end).max().unwrap_or(0);
    let mut most = (0, 0);
    for time in 0..=end {
        let mut sum: usize = alive(blocks, time).map(|(_, block)| block.size).sum();
        for shift in shifts.iter().filter(|shift| blocks[shift.over].start == time) {
            let (over, under) = (blocks[shift.over].size, blocks[shift.under].size);
            sum -= (over + under).saturating_sub(over.max(under + shift.before));
        }
        if sum > most.0 {
            most = (sum, time);
        }
    }
    most
}

fn alive(blocks: &[Block], time: usize) -> impl Iterator<Item = (usize, &Block)> {
    blocks.iter().enumerate().filter(move |(_, block)| block.start <= time && time <= block.end)
}

/// The best placement that was found.
pub(crate) fn place(blocks: &[Block], shifts: &[Shift]) -> Placement {
    let search = Search::new(blocks, shifts);
    let (bound, _) = lower_bound(blocks, shifts);
    let mut best: Option<(Placement, Vec<usize>)> = None;
    for order in natural_orders(blocks) {
        let placement = search.first_fit(&order);
        if best.as_ref().is_none_or(|(best, _)| placement.total < best.total) {
            best = Some((placement, order));
        }
    }
    let Some((mut best, mut order)) = best else { return Placement { offsets: Vec::new(), total: 0 } };
    if best.total > bound && blocks.len() <= SMALL {
        search.all_orders(&mut best, bound);
    }
    // Random changes: one block earlier in the order. Ties are taken, so that plateaus are crossed.
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let mut current = best.total;
    for _ in 0..WORK / search.cost.max(1) {
        if best.total <= bound {
            break;
        }
        let from = next(order.len());
        let to = next(from + 1);
        let mut changed = order.clone();
        let block = changed.remove(from);
        changed.insert(to, block);
        let placement = search.first_fit(&changed);
        if placement.total <= current {
            current = placement.total;
            order = changed;
            if placement.total < best.total {
                best = placement;
            }
        }
    }
    best
}

/// Orders that tend to be good.
fn natural_orders(blocks: &[Block]) -> Vec<Vec<usize>> {
    let length = |block: &Block| block.end - block.start + 1;
    let by = |key: &dyn Fn(&Block) -> (usize, usize)| {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|&i| {
            let (first, second) = key(&blocks[i]);
            (core::cmp::Reverse(first), core::cmp::Reverse(second), i)
        });
        order
    };
    let mut orders = vec![
        by(&|block| (block.size, length(block))),
        by(&|block| (length(block), block.size)),
        by(&|block| (block.size.saturating_mul(length(block)), block.size)),
        by(&|block| (usize::MAX - block.start, block.size)),
        by(&|block| (block.end, block.size)),
    ];
    // Where the most lives first, the largest there first.
    let end = blocks.iter().map(|block| block.end).max().unwrap_or(0);
    let mut times: Vec<usize> = (0..=end).collect();
    times.sort_by_key(|&time| core::cmp::Reverse(alive(blocks, time).map(|(_, block)| block.size).sum::<usize>()));
    let mut order = Vec::new();
    for time in times {
        let mut there: Vec<usize> = alive(blocks, time).map(|(i, _)| i).filter(|i| !order.contains(i)).collect();
        there.sort_by_key(|&i| (core::cmp::Reverse(blocks[i].size), i));
        order.extend(there);
    }
    orders.push(order);
    orders
}

/// Blocks, and which of them meet.
struct Search<'a> {
    blocks: &'a [Block],
    /// Of each block those that live with it, and by how much the two may overlap.
    meets: Vec<Vec<Meeting>>,
    /// Blocks that one placement looks at.
    cost: usize,
}

/// Another block that lives at the same time: `mine` may not begin in `other - below + 1 .. other + above`.
#[derive(Clone, Copy)]
struct Meeting {
    other: usize,
    below: usize,
    above: usize,
}

impl<'a> Search<'a> {
    fn new(blocks: &'a [Block], shifts: &[Shift]) -> Self {
        let mut meets = Vec::new();
        for (i, mine) in blocks.iter().enumerate() {
            let mut list = Vec::new();
            for (other, block) in blocks.iter().enumerate() {
                if other == i || mine.size == 0 || block.size == 0 || mine.start > block.end || block.start > mine.end {
                    continue;
                }
                let (mut below, mut above) = (mine.size, block.size);
                for shift in shifts {
                    if (shift.over, shift.under) == (i, other) {
                        below = below.min(shift.before);
                    }
                    if (shift.over, shift.under) == (other, i) {
                        above = above.min(shift.before);
                    }
                }
                list.push(Meeting { other, below, above });
            }
            meets.push(list);
        }
        let cost = meets.iter().map(|list| list.len() + 1).sum();
        Self { blocks, meets, cost }
    }

    /// Each block in turn as low as it can lie.
    fn first_fit(&self, order: &[usize]) -> Placement {
        let mut offsets = vec![usize::MAX; self.blocks.len()];
        let mut total = 0;
        let mut forbidden = Vec::new();
        for &i in order {
            offsets[i] = self.lowest(i, &offsets, &mut forbidden);
            total = total.max(offsets[i] + self.blocks[i].size);
        }
        Placement { offsets, total }
    }

    /// The lowest place of a block beside those that are placed.
    fn lowest(&self, i: usize, offsets: &[usize], forbidden: &mut Vec<(usize, usize)>) -> usize {
        forbidden.clear();
        for meeting in &self.meets[i] {
            let at = offsets[meeting.other];
            if at != usize::MAX {
                // First and last multiple of the alignment at which it cannot begin.
                forbidden.push(((at + ALIGNMENT).saturating_sub(meeting.below), at + meeting.above));
            }
        }
        forbidden.sort_unstable();
        let mut place = 0;
        for &(from, to) in forbidden.iter() {
            if place < from {
                break;
            }
            place = place.max(to);
        }
        place
    }

    /// Tries all orders, as far as the work allows, dropping those that cannot become better.
    fn all_orders(&self, best: &mut Placement, bound: usize) {
        let mut offsets = vec![usize::MAX; self.blocks.len()];
        let mut work = WORK;
        self.orders_below(&mut offsets, 0, best, bound, &mut work);
    }

    fn orders_below(&self, offsets: &mut [usize], total: usize, best: &mut Placement, bound: usize, work: &mut usize) {
        let mut is_complete = true;
        let mut forbidden = Vec::new();
        for i in 0..self.blocks.len() {
            if offsets[i] != usize::MAX {
                continue;
            }
            is_complete = false;
            let Some(left) = work.checked_sub(self.meets[i].len() + 1) else { return };
            *work = left;
            let place = self.lowest(i, offsets, &mut forbidden);
            let total = total.max(place + self.blocks[i].size);
            if total < best.total && best.total > bound {
                offsets[i] = place;
                self.orders_below(offsets, total, best, bound, work);
                offsets[i] = usize::MAX;
            }
        }
        if is_complete && total < best.total {
            *best = Placement { offsets: offsets.to_vec(), total };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(size: usize, start: usize, end: usize) -> Block {
        Block { size, start, end }
    }

    /// No two that meet overlap, beyond what a shift allows.
    fn check(blocks: &[Block], shifts: &[Shift], placement: &Placement) {
        for i in 0..blocks.len() {
            for j in 0..i {
                let (a, b) = (blocks[i], blocks[j]);
                let (at, other) = (placement.offsets[i], placement.offsets[j]);
                let apart = a.start > b.end || b.start > a.end || at + a.size <= other || other + b.size <= at;
                let shifted = shifts.iter().any(|s| {
                    ((s.over, s.under) == (i, j) && at + s.before <= other)
                        || ((s.over, s.under) == (j, i) && other + s.before <= at)
                });
                assert!(apart || shifted, "{i} at {at} and {j} at {other}");
            }
            assert!(placement.offsets[i] + blocks[i].size <= placement.total);
        }
        assert!(placement.total >= lower_bound(blocks, shifts).0);
    }

    #[test]
    fn a_chain_needs_its_largest_pair() {
        let blocks = [block(64, 0, 1), block(32, 1, 2), block(96, 2, 3), block(16, 3, 4)];
        let placement = place(&blocks, &[]);
        check(&blocks, &[], &placement);
        assert_eq!(placement.total, 128);
    }

    #[test]
    fn a_shifted_output_lies_over_its_input() {
        let blocks = [block(64, 0, 1), block(64, 1, 2)];
        let shifts = [Shift { over: 1, under: 0, before: 16 }];
        let placement = place(&blocks, &shifts);
        check(&blocks, &shifts, &placement);
        assert_eq!((placement.total, placement.offsets), (80, vec![16, 0]));
        assert_eq!(place(&blocks, &[]).total, 128);
    }

    #[test]
    fn all_orders_find_what_the_natural_ones_miss() {
        // First fit by size or by time leaves a hole here.
        let blocks =
            [block(16, 0, 4), block(48, 0, 1), block(32, 1, 3), block(48, 3, 5), block(32, 4, 6), block(64, 5, 7)];
        let placement = place(&blocks, &[]);
        check(&blocks, &[], &placement);
        assert_eq!(placement.total, lower_bound(&blocks, &[]).0);
    }

    #[test]
    fn random_blocks_never_overlap_and_stay_near_the_bound() {
        let mut random = 7u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((random >> 33) % below) as usize
        };
        for round in 0..300 {
            let count = 1 + next(40);
            let blocks: Vec<Block> = (0..count)
                .map(|_| {
                    let start = next(20);
                    block(16 * next(30), start, start + next(6))
                })
                .collect();
            let shifts: Vec<Shift> = (0..next(4))
                .map(|_| Shift { over: next(count as u64), under: next(count as u64), before: 16 * next(5) })
                .filter(|s| s.over != s.under && blocks[s.under].end == blocks[s.over].start)
                .filter(|s| blocks[s.under].start < blocks[s.over].start)
                .collect();
            // Two shifts of one pair would be two answers.
            let shifts = if shifts.is_empty() { shifts } else { vec![shifts[0]] };
            let placement = place(&blocks, &shifts);
            check(&blocks, &shifts, &placement);
            assert_eq!(placement, place(&blocks, &shifts), "round {round}");
        }
        assert_eq!(place(&[], &[]).total, 0);
    }
}
