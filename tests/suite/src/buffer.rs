//! Rows with painted data inside larger buffers whose rest must stay as it was.

use crate::Failure;

/// An element that can be painted and compared bit by bit.
pub(crate) trait Element: Copy {
    /// Stands wherever a kernel must not write.
    const CANARY: Self;

    /// Whether both have the same bits.
    fn same(self, other: Self) -> bool;

    /// For a failure.
    fn number(self) -> f64;
}

impl Element for f32 {
    const CANARY: Self = Self::from_bits(0x7FA5_A5A5);

    fn same(self, other: Self) -> bool {
        self.to_bits() == other.to_bits()
    }

    fn number(self) -> f64 {
        self.into()
    }
}

macro_rules! elements {
    ($($type:ty, $canary:expr;)*) => {$(
        impl Element for $type {
            const CANARY: Self = $canary;

            fn same(self, other: Self) -> bool {
                self == other
            }

            fn number(self) -> f64 {
                self.into()
            }
        }
    )*};
}

elements! {
    i8, 0x5A;
    u8, 0xA5;
    i16, 0x5A5A;
    u16, 0xA5A5;
    i32, 0x5A5A_5A5A;
    u32, 0xA5A5_A5A5;
}

/// Data of period 251, a prime, so that no shift by a vector width looks the same: -15.625 to 15.625 in eighths.
#[expect(clippy::cast_precision_loss, reason = "below 251")]
pub(crate) fn paint(i: usize) -> f32 {
    (i * 89 % 251) as f32 / 8.0 - 15.625
}

/// `LEN` elements of which a window is the row under test and the rest canaries.
///
/// The buffer starts at a multiple of 16 bytes, so that an offset says where in a word or vector the row starts.
#[repr(C, align(16))]
pub(crate) struct Guarded<T, const LEN: usize> {
    all: [T; LEN],
    offset: usize,
    len: usize,
}

impl<T: Element, const LEN: usize> Guarded<T, LEN> {
    /// A row of `len` elements at `offset`.
    #[inline(always)]
    pub(crate) const fn new(offset: usize, len: usize) -> Self {
        Self { all: [T::CANARY; LEN], offset, len }
    }

    /// A row that is read: of `len` elements at `offset`, each made by `f`.
    #[inline(always)]
    pub(crate) fn filled(offset: usize, len: usize, f: impl Fn(usize) -> T) -> Self {
        let mut guarded = Self::new(offset, len);
        guarded.fill(offset, len, f);
        guarded
    }

    /// Makes it such a row, in place: a copy would not fit the stack of a micro:bit.
    pub(crate) fn fill(&mut self, offset: usize, len: usize, f: impl Fn(usize) -> T) {
        self.all.fill(T::CANARY);
        (self.offset, self.len) = (offset, len);
        self.row().iter_mut().enumerate().for_each(|(i, v)| *v = f(i));
    }

    /// The row.
    pub(crate) fn row(&mut self) -> &mut [T] {
        &mut self.all[self.offset..self.offset + self.len]
    }

    /// Fails if anything outside the row was written.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let row = self.offset..self.offset + self.len;
        let hit = |&(i, v): &(usize, &T)| !row.contains(&i) && !v.same(T::CANARY);
        match self.all.iter().enumerate().find(hit) {
            None => Ok(()),
            Some((i, v)) => Err(self.written("written outside the row; elements count from the buffer's start", i, *v)),
        }
    }

    /// Fails if the row was written.
    pub(crate) fn check_untouched(&self) -> Result<(), Failure> {
        match self.all.iter().position(|v| !v.same(T::CANARY)) {
            None => Ok(()),
            Some(i) => Err(self.written("output written before an error", i, self.all[i])),
        }
    }

    fn written(&self, rule: &'static str, i: usize, got: T) -> Failure {
        Failure::new(rule).row(self.len, self.offset).element(i, T::CANARY.number(), got.number())
    }
}
