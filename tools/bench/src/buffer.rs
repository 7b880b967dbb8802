//! Memory in huge pages, as pages of 4 KiB would measure the address translation.

use std::ops::{Deref, DerefMut};

/// f32 elements, zero at first.
pub struct Buffer {
    map: *mut libc::c_void,
    start: *mut f32,
    len: usize,
    bytes: usize,
}

const HUGE_PAGE: usize = 2 << 20;

impl Buffer {
    /// `len` elements.
    pub fn new(len: usize) -> Self {
        let bytes = (len * size_of::<f32>()).next_multiple_of(HUGE_PAGE) + HUGE_PAGE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new anonymous mapping.
        let map = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        assert!(map != libc::MAP_FAILED, "no memory for {len} elements");
        // SAFETY: the mapping is ours; the call only advises.
        unsafe { libc::madvise(map, bytes, libc::MADV_HUGEPAGE) };
        let start = map.cast::<u8>();
        // SAFETY: the mapping is a huge page longer than asked for.
        let start = unsafe { start.add(start.align_offset(HUGE_PAGE)) };
        Self { map, start: start.cast(), len, bytes }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing looks at it any more.
        unsafe { libc::munmap(self.map, self.bytes) };
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: mapped, `len` elements long.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}
