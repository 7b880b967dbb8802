//! Bytes that are the same on every backend and board, where they are too many to be listed: their checksum is known, and
//! each can be seen, so that two machines that differ can be compared element by element.

use crate::Failure;

/// One of the numbers that a checksum is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Length of the row.
    pub len: usize,
    /// What tells rows of one length apart: the offset, the kind of data or the like, as the case counts it.
    pub kind: usize,
    /// The element of the row.
    pub index: usize,
    /// Its bits.
    pub bits: u32,
}

/// FNV-1a over words.
pub(crate) struct Digest<'a> {
    hash: u32,
    next: Value,
    seen: Option<&'a mut dyn FnMut(&Value)>,
}

impl<'a> Digest<'a> {
    /// Nothing yet; every number is shown to `seen`.
    pub(crate) fn new(seen: Option<&'a mut dyn FnMut(&Value)>) -> Self {
        Self { hash: 0x811C_9DC5, next: Value { len: 0, kind: 0, index: 0, bits: 0 }, seen }
    }

    /// What follows is a row of this length and kind.
    pub(crate) const fn row(&mut self, len: usize, kind: usize) {
        self.next = Value { len, kind, index: 0, bits: 0 };
    }

    /// The next number.
    pub(crate) fn add(&mut self, bits: u32) {
        self.hash = (self.hash ^ bits).wrapping_mul(0x0100_0193);
        self.next.bits = bits;
        if let Some(seen) = &mut self.seen {
            seen(&self.next);
        }
        self.next.index += 1;
    }

    /// Fails if the checksum of all of them is another one.
    pub(crate) fn is(&self, want: u32) -> Result<(), Failure> {
        if self.hash == want { Ok(()) } else { Err(Failure::checksum(want, self.hash)) }
    }
}
