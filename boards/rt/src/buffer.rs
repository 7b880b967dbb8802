//! Large buffers that are lent out once.
#![allow(unsafe_code, reason = "a static that becomes one exclusive borrow")]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

use zerocopy::FromZeros;

/// A `&'static mut` to zeros, from the board's largest RAM; `None` the second time the line is reached.
///
/// ```
/// let image = scrimp_rt::buffer!([f32; 64 * 64]).ok_or("taken twice")?;
/// image[0] = 1.0;
/// # Ok::<(), &str>(())
/// ```
/// A board with a second RAM gives the section `.bss.big` a place in its `memory.x`.
#[macro_export]
macro_rules! buffer {
    ($type:ty) => {{
        #[cfg_attr(target_os = "none", unsafe(link_section = ".bss.big"))]
        static BUFFER: $crate::Buffer<$type> = $crate::Buffer::new();
        // Apart, because start-up code zeroes no second RAM.
        static TAKEN: $crate::Taken = $crate::Taken::new();
        // SAFETY: this is the macro, and both statics are this line's alone.
        unsafe { BUFFER.take(&TAKEN) }
    }};
}

/// Memory for [`buffer!`].
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Buffer<T>(UnsafeCell<MaybeUninit<T>>);

/// Whether a [`Buffer`] is lent out.
#[derive(Debug)]
pub struct Taken(AtomicBool);

impl Taken {
    /// Not yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "only `buffer!` makes one")]
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Notes it; gives whether it was so before.
    #[cfg(target_has_atomic = "8")]
    fn set(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }

    /// The M0 has no swap; it has one core, and interrupts are the caller's to keep away.
    #[cfg(not(target_has_atomic = "8"))]
    fn set(&self) -> bool {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(true, Ordering::Relaxed);
        before
    }
}

// SAFETY: the content is reached only through `take`, which lends it once.
unsafe impl<T: Send> Sync for Buffer<T> {}

impl<T: FromZeros> Buffer<T> {
    /// Memory whose content does not matter yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "only `buffer!` makes one")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    /// The one exclusive borrow, zeroed.
    ///
    /// # Safety
    /// For [`buffer!`] only: no other `Taken` is ever used with this buffer, and on a core without an atomic swap no interrupt
    /// reaches the same line.
    #[doc(hidden)]
    #[expect(clippy::mut_from_ref, reason = "`taken` makes it exclusive")]
    pub unsafe fn take(&'static self, taken: &'static Taken) -> Option<&'static mut T> {
        if taken.set() {
            return None;
        }
        // SAFETY: the caller pairs each buffer with one `Taken`, so no other borrow exists.
        let memory = unsafe { &mut *self.0.get() };
        // SAFETY: `T: FromZeros`, so zeros are a value; the pointer covers exactly one `T`.
        unsafe { memory.as_mut_ptr().write_bytes(0, 1) };
        // SAFETY: just written.
        Some(unsafe { memory.assume_init_mut() })
    }
}
