//! Pointers of C as references, those that can be told to be wrong refused.

use scrimp::Error;

use crate::Status;

/// What a pointer points to, for reading.
///
/// # Errors
/// `Status::Pointer` if it is null or misaligned.
///
/// # Safety
/// Anything else points to an initialized `T` that nobody writes to while the reference lives.
pub unsafe fn shared<'a, T>(pointer: *const T) -> Result<&'a T, Status> {
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Status::Pointer);
    }
    // SAFETY: not null, aligned; the caller vouches for the rest.
    Ok(unsafe { &*pointer })
}

/// What a pointer points to, for writing.
///
/// # Errors
/// `Status::Pointer` if it is null or misaligned.
///
/// # Safety
/// Anything else points to an initialized `T` that nobody else reads or writes while the reference lives.
pub unsafe fn exclusive<'a, T>(pointer: *mut T) -> Result<&'a mut T, Status> {
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Status::Pointer);
    }
    // SAFETY: not null, aligned; the caller vouches for the rest.
    Ok(unsafe { &mut *pointer })
}

/// As many elements as `len`, for reading; a null pointer is none at all.
///
/// # Errors
/// `Status::Pointer` if it is misaligned, or null with a `len`; `Status::Size` beyond half of the memory.
///
/// # Safety
/// As [`shared`], for all of them.
pub unsafe fn slice<'a, T>(pointer: *const T, len: usize) -> Result<&'a [T], Status> {
    if len == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Status::Pointer);
    }
    if len > isize::MAX as usize / size_of::<T>() {
        return Err(Status::Size);
    }
    // SAFETY: not null, aligned, not too long; the caller vouches for the rest.
    Ok(unsafe { core::slice::from_raw_parts(pointer, len) })
}

/// As many elements as `len`, for writing; a null pointer is none at all.
///
/// # Errors
/// As [`slice`].
///
/// # Safety
/// As [`exclusive`], for all of them.
pub unsafe fn slice_mut<'a, T>(pointer: *mut T, len: usize) -> Result<&'a mut [T], Status> {
    if len == 0 {
        return Ok(&mut []);
    }
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Status::Pointer);
    }
    if len > isize::MAX as usize / size_of::<T>() {
        return Err(Status::Size);
    }
    // SAFETY: not null, aligned, not too long; the caller vouches for the rest.
    Ok(unsafe { core::slice::from_raw_parts_mut(pointer, len) })
}

/// Runs `of` from `inputs` elements to `outputs` elements.
///
/// # Errors
/// As [`slice`] and [`slice_mut`], or as `of`.
///
/// # Safety
/// As [`slice`] for `input` and [`slice_mut`] for `output`.
pub(crate) unsafe fn between<X, Y>(
    (input, inputs): (*const X, usize),
    (output, outputs): (*mut Y, usize),
    of: impl FnOnce(&[X], &mut [Y]) -> Result<(), Error>,
) -> Result<(), Status> {
    // SAFETY: as this function's.
    let x = unsafe { slice(input, inputs) }?;
    // SAFETY: as this function's.
    let y = unsafe { slice_mut(output, outputs) }?;
    Ok(of(x, y)?)
}
