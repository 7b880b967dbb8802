//! The memory of a generated model: typed slots of one arena, whose places are known when the program is built.
//!
//! A [`Slot`] is a type: what it holds, where it begins, how long it is. [`Arena::pick`] lends several at once, and the
//! build fails unless what is written lies apart from everything else, aligned and inside. So nothing is checked when the
//! program runs, and generated code needs no `unsafe`.

#![allow(unsafe_code, reason = "slots of an arena, and a static that becomes one exclusive borrow")]

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, Ordering};

/// What slots and constants are aligned to, in bytes.
pub const ALIGNMENT: usize = 16;

/// Bytes that start at a multiple of [`ALIGNMENT`]; what [`include_model!`](crate::include_model) puts into flash.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(
    /// The bytes.
    pub T,
);

/// A type that any bytes are a value of.
pub trait Plain: sealed::Plain + Copy + 'static {}

mod sealed {
    /// Any bytes are a value, and it has no padding; see [`super::Plain`].
    pub trait Plain {}
    pub trait Place {
        const AT: usize;
        const END: usize;
        const IS_SET: bool;
        type Lent<'a>;
        /// # Safety
        /// `base` points to [`super::ALIGNMENT`]-aligned memory of at least `END` initialized bytes, valid for `'a`; for
        /// that time nothing else reads what is written, or writes what is read.
        unsafe fn lend<'a>(base: *mut u8) -> Self::Lent<'a>;
    }
    pub trait Places {
        const PLACES: &'static [(usize, usize, bool)];
        type Lent<'a>;
        /// # Safety
        /// As [`Place::lend`], for all of them at once.
        unsafe fn lend<'a>(base: *mut u8) -> Self::Lent<'a>;
    }
}

macro_rules! plain {
    ($($type:ty)+) => { $(
        impl sealed::Plain for $type {}
        impl Plain for $type {}
    )+ };
}
plain!(i8 u8 i16 u16 i32 u32 i64 u64 f32);

/// `LEN` elements of `T` from byte `AT` of an arena.
#[derive(Clone, Copy, Debug)]
pub struct Slot<T, const AT: usize, const LEN: usize>(PhantomData<fn() -> T>);

/// A slot that is read: `&[T; LEN]`.
#[derive(Clone, Copy, Debug)]
pub struct Get<S>(PhantomData<fn() -> S>);

/// A slot that is written: `&mut [T; LEN]`.
#[derive(Clone, Copy, Debug)]
pub struct Set<S>(PhantomData<fn() -> S>);

/// [`Get`] or [`Set`] of a [`Slot`].
pub trait Place: sealed::Place {}

/// A tuple of up to twelve [`Place`]s; [`Arena::pick`] lends a tuple of references to arrays for it.
pub trait Places: sealed::Places {}

impl<T: Plain, const AT: usize, const LEN: usize> sealed::Place for Get<Slot<T, AT, LEN>> {
    const AT: usize = place::<T>(AT);
    const END: usize = AT + LEN * size_of::<T>();
    const IS_SET: bool = false;
    type Lent<'a> = &'a [T; LEN];

    #[inline(always)]
    unsafe fn lend<'a>(base: *mut u8) -> &'a [T; LEN] {
        // SAFETY: inside the memory, as the caller says.
        let at = unsafe { base.add(Self::AT) }.cast::<[T; LEN]>();
        // SAFETY: `place` has checked the alignment, any bytes are a `T`, and the caller vouches for the rest.
        unsafe { &*at }
    }
}

impl<T: Plain, const AT: usize, const LEN: usize> sealed::Place for Set<Slot<T, AT, LEN>> {
    const AT: usize = place::<T>(AT);
    const END: usize = AT + LEN * size_of::<T>();
    const IS_SET: bool = true;
    type Lent<'a> = &'a mut [T; LEN];

    #[inline(always)]
    unsafe fn lend<'a>(base: *mut u8) -> &'a mut [T; LEN] {
        // SAFETY: inside the memory, as the caller says.
        let at = unsafe { base.add(Self::AT) }.cast::<[T; LEN]>();
        // SAFETY: `place` has checked the alignment, any bytes are a `T`, and the caller vouches for the rest.
        unsafe { &mut *at }
    }
}

impl<T: Plain, const AT: usize, const LEN: usize> Place for Get<Slot<T, AT, LEN>> {}
impl<T: Plain, const AT: usize, const LEN: usize> Place for Set<Slot<T, AT, LEN>> {}

/// A place that a `T` can stand at, or no program.
const fn place<T>(at: usize) -> usize {
    assert!(at.is_multiple_of(align_of::<T>()), "a slot is misaligned");
    at
}

macro_rules! places {
    ($($place:ident)+) => {
        impl<$($place: Place),+> sealed::Places for ($($place,)+) {
            const PLACES: &'static [(usize, usize, bool)] = &[$(($place::AT, $place::END, $place::IS_SET)),+];
            type Lent<'a> = ($($place::Lent<'a>,)+);

            #[inline(always)]
            unsafe fn lend<'a>(base: *mut u8) -> Self::Lent<'a> {
                // SAFETY: the caller vouches for all of them.
                ($(unsafe { $place::lend(base) },)+)
            }
        }

        impl<$($place: Place),+> Places for ($($place,)+) {}
    };
}
places!(A);
places!(A B);
places!(A B C);
places!(A B C D);
places!(A B C D E);
places!(A B C D E F);
places!(A B C D E F G);
places!(A B C D E F G H);
places!(A B C D E F G H I);
places!(A B C D E F G H I J);
places!(A B C D E F G H I J K);
places!(A B C D E F G H I J K L);

/// The memory that a model works in, `BYTES` of it, zero at first.
///
/// # Example
/// ```
/// use scrimp::model::{Arena, Get, Set, Slot};
/// type X = Slot<i8, 0, 3>;
/// type Sum = Slot<i32, 16, 1>;
/// let mut arena = Arena::<32>::new();
/// let (x,) = arena.pick::<(Set<X>,)>();
/// *x = [1, 2, 3];
/// let (x, sum) = arena.pick::<(Get<X>, Set<Sum>)>();
/// sum[0] = x.iter().map(|&x| i32::from(x)).sum();
/// assert_eq!(*sum, [6]);
/// ```
/// What is written must lie apart from everything else that is lent with it:
/// ```compile_fail
/// use scrimp::model::{Arena, Get, Set, Slot};
/// let _ = Arena::<32>::new().pick::<(Get<Slot<i8, 0, 20>>, Set<Slot<i32, 16, 1>>)>();
/// ```
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Arena<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> Arena<BYTES> {
    /// An arena of zeros, for a `static` or a variable.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; BYTES])
    }

    /// Lends slots, all at once. That they lie apart is checked when the program is built.
    #[inline(always)]
    #[must_use]
    pub fn pick<P: Places>(&mut self) -> P::Lent<'_> {
        const { check(P::PLACES, BYTES) };
        // SAFETY: `self` is aligned and borrowed for as long as what is lent; `check` has seen that all lies inside, and
        // that what is written lies apart.
        unsafe { P::lend(self.0.as_mut_ptr()) }
    }
}

impl<const BYTES: usize> Default for Arena<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// No program unless all places lie inside and what is written lies apart.
const fn check(places: &[(usize, usize, bool)], bytes: usize) {
    let mut i = 0;
    while i < places.len() {
        let (at, end, is_set) = places[i];
        assert!(end <= bytes, "a slot lies beyond the arena");
        let mut j = 0;
        while j < i {
            let (other_at, other_end, is_other_set) = places[j];
            let is_apart = end <= other_at || other_end <= at;
            assert!(is_apart || !(is_set || is_other_set), "a slot that is written lies over another one");
            j += 1;
        }
        i += 1;
    }
}

/// `len` elements from byte `at` on; `None` unless they lie inside and aligned.
pub(crate) const fn view<T: Plain>(bytes: &Aligned<[u8]>, at: usize, len: usize) -> Option<&[T]> {
    let Some(size) = len.checked_mul(size_of::<T>()) else { return None };
    let Some(end) = at.checked_add(size) else { return None };
    if end > bytes.0.len() || !at.is_multiple_of(align_of::<T>()) {
        return None;
    }
    // SAFETY: `at` is inside.
    let start = unsafe { bytes.0.as_ptr().add(at) }.cast::<T>();
    // SAFETY: `Aligned` is aligned to 16 and `at` to a `T`; the elements lie inside, and any bytes are a `T`.
    Some(unsafe { core::slice::from_raw_parts(start, len) })
}

/// A value in a `static` that is lent out once, for good.
///
/// ```
/// use scrimp::model::{Arena, Once};
/// static ARENA: Once<Arena<64>> = Once::new(Arena::new());
/// let arena: &'static mut Arena<64> = ARENA.take().expect("nobody has it");
/// assert!(ARENA.take().is_none());
/// # let _ = arena;
/// ```
#[derive(Debug)]
pub struct Once<T> {
    value: UnsafeCell<T>,
    is_taken: AtomicBool,
}

// SAFETY: the value is reached only through `take`, which lends it to one caller only.
unsafe impl<T: Send> Sync for Once<T> {}

impl<T> Once<T> {
    /// One that nobody has taken.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self { value: UnsafeCell::new(value), is_taken: AtomicBool::new(false) }
    }

    /// The value, for the first one who asks.
    #[must_use]
    #[expect(clippy::mut_from_ref, reason = "lent once only")]
    pub fn take(&'static self) -> Option<&'static mut T> {
        if swap(&self.is_taken) {
            return None;
        }
        // SAFETY: only one caller ever finds the flag unset, so this is the only reference.
        Some(unsafe { &mut *self.value.get() })
    }
}

/// Sets a flag; says whether it was set.
#[cfg(target_has_atomic = "8")]
fn swap(flag: &AtomicBool) -> bool {
    flag.swap(true, Ordering::Relaxed)
}

/// Sets a flag; says whether it was set. A Cortex-M0 has no instruction for it, so interrupts wait meanwhile; the family has
/// one core.
#[cfg(not(target_has_atomic = "8"))]
fn swap(flag: &AtomicBool) -> bool {
    let mask: u32;
    // SAFETY: reads the interrupt mask and sets it; nothing else changes.
    unsafe {
        core::arch::asm!("mrs {mask}, primask", "cpsid i", mask = out(reg) mask, options(nostack, preserves_flags))
    };
    let was = flag.load(Ordering::Relaxed);
    flag.store(true, Ordering::Relaxed);
    // SAFETY: sets the interrupt mask to what it was.
    unsafe { core::arch::asm!("msr primask, {mask}", mask = in(reg) mask, options(nostack, preserves_flags)) };
    was
}
