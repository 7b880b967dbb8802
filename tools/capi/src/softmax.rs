//! Softmax of 8-bit and 16-bit rows, with TFLite's bytes.

use scrimp::{Rows, SoftmaxS8, SoftmaxS8Ref, SoftmaxS16};

use crate::pointer::between;
use crate::{Status, exclusive, shared};

/// The table of a softmax of 8-bit rows, 1 KiB in your memory: `scrimp_softmax_s8_init` fills it once, runs read it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SoftmaxTable {
    /// Of no meaning to anybody else.
    pub words: [u32; 256],
}

const _: () = assert!(size_of::<SoftmaxS8>() == size_of::<SoftmaxTable>());
const _: () = assert!(align_of::<SoftmaxS8>() == align_of::<SoftmaxTable>());

/// Fills the table, from the integers that `arm_softmax_s8` takes: `exp((x - max) * mult / 2^31 * 2^shift)` in Q5.26, 0 where
/// `x - max < diff_min`.
///
/// # Safety
/// `table` points to a table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scrimp_softmax_s8_init(
    table: *mut SoftmaxTable,
    mult: i32,
    shift: i32,
    diff_min: i32,
) -> Status {
    // SAFETY: as this function's.
    let table = unsafe { exclusive(table) };
    let fill = |table: &mut SoftmaxTable| -> Result<(), Status> {
        SoftmaxS8Ref::from_multiplier(&mut table.words, mult, shift, diff_min)?;
        Ok(())
    };
    table.and_then(fill).into()
}

/// Softmax of `num_rows` rows of `row_size` codes, to codes of scale 1/256 and zero point -128: the bytes of `arm_softmax_s8`.
///
/// # Safety
/// `table` was filled by `scrimp_softmax_s8_init`; `input` and `output` are `num_rows * row_size` elements, apart.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scrimp_softmax_s8(
    table: *const SoftmaxTable,
    input: *const i8,
    num_rows: usize,
    row_size: usize,
    output: *mut i8,
) -> Status {
    let run = || -> Result<(), Status> {
        let rows = Rows::new(num_rows, row_size)?;
        // SAFETY: as this function's; what `init` has filled is a `SoftmaxS8`, which is its table and nothing else.
        let softmax = unsafe { shared(table.cast::<SoftmaxS8>()) }?;
        let (input, output) = ((input, rows.elements()), (output, rows.elements()));
        // SAFETY: as this function's.
        unsafe { between(input, output, |x, y| softmax.run(x, y, rows)) }
    };
    run().into()
}

/// The same to 16-bit codes of scale 1/65536 and zero point -32768: the bytes of `arm_softmax_s8_s16`.
///
/// # Safety
/// As `scrimp_softmax_s8`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scrimp_softmax_s8_s16(
    table: *const SoftmaxTable,
    input: *const i8,
    num_rows: usize,
    row_size: usize,
    output: *mut i16,
) -> Status {
    let run = || -> Result<(), Status> {
        let rows = Rows::new(num_rows, row_size)?;
        // SAFETY: as this function's; what `init` has filled is a `SoftmaxS8`, which is its table and nothing else.
        let softmax = unsafe { shared(table.cast::<SoftmaxS8>()) }?;
        let (input, output) = ((input, rows.elements()), (output, rows.elements()));
        // SAFETY: as this function's.
        unsafe { between(input, output, |x, y| softmax.run_s16(x, y, rows)) }
    };
    run().into()
}

/// Softmax of rows of 16-bit codes, to codes of scale 1/32768: the bytes of `arm_softmax_s16`. No table: `mult` and `shift`
/// are the scale of the input in units of 10/65535.
///
/// # Safety
/// `input` and `output` are `num_rows * row_size` elements, apart.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn scrimp_softmax_s16(
    input: *const i16,
    num_rows: usize,
    row_size: usize,
    mult: i32,
    shift: i32,
    output: *mut i16,
) -> Status {
    let run = || -> Result<(), Status> {
        let rows = Rows::new(num_rows, row_size)?;
        let softmax = SoftmaxS16::from_multiplier(mult, shift)?;
        let (input, output) = ((input, rows.elements()), (output, rows.elements()));
        // SAFETY: as this function's.
        unsafe { between(input, output, |x, y| softmax.run(x, y, rows)) }
    };
    run().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: [i8; 6] = [16, 0, -7, 127, -128, 126];

    /// What the library gives, and that a pointer that is none is refused.
    #[test]
    fn eight_bits_to_sixteen_are_the_librarys() {
        let rows = Rows::new(2, 3).expect("rows");
        let mut wanted = [0; 6];
        let softmax = SoftmaxS8::from_multiplier(1 << 30, 23, -248).expect("a softmax");
        softmax.run_s16(&X, &mut wanted, rows).expect("the lengths are right");
        let (mut table, mut y) = (SoftmaxTable { words: [0; 256] }, [0; 6]);
        // SAFETY: all arrays are here and long enough.
        let status = unsafe { scrimp_softmax_s8_init(&raw mut table, 1 << 30, 23, -248) };
        assert_eq!(status, Status::Ok);
        // SAFETY: as above.
        let status = unsafe { scrimp_softmax_s8_s16(&raw const table, X.as_ptr(), 2, 3, y.as_mut_ptr()) };
        assert_eq!((status, y), (Status::Ok, wanted));
        // SAFETY: as above, but for a null pointer, which is refused.
        let status = unsafe { scrimp_softmax_s8_s16(core::ptr::null(), X.as_ptr(), 2, 3, y.as_mut_ptr()) };
        assert_eq!(status, Status::Pointer);
    }

    #[test]
    fn sixteen_bits_are_the_librarys() {
        let x = X.map(|x| i16::from(x) * 200);
        let (mut wanted, mut y) = ([0; 6], [0; 6]);
        let softmax = SoftmaxS16::from_multiplier(1 << 30, 2).expect("a softmax");
        softmax.run(&x, &mut wanted, Rows::new(2, 3).expect("rows")).expect("the lengths are right");
        // SAFETY: both arrays are here and long enough.
        let status = unsafe { scrimp_softmax_s16(x.as_ptr(), 2, 3, 1 << 30, 2, y.as_mut_ptr()) };
        assert_eq!((status, y), (Status::Ok, wanted));
        assert!(y[0] > y[1] && y[1] > y[2], "a poor test: {y:?}");
        // SAFETY: no row is refused before anything is read.
        let status = unsafe { scrimp_softmax_s16(x.as_ptr(), 0, 3, 1 << 30, 2, y.as_mut_ptr()) };
        assert_eq!(status, Status::Size);
    }
}
