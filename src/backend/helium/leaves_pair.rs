//! The loops of `pair_rows` in assembly: four elements a vector, under tail predication.
//!
//! `vqrdmulh` is SRDHM; RDPOT is `vrshl` of a number that is one less if negative. `vmlas` takes a code to the scale of a sum, its zero
//! point included.
//!
//! Naked functions do not get the target's features from the compiler, hence `.cpu` in each.
#![allow(unsafe_code, reason = "naked functions")]

use core::arch::naked_asm;

/// Numbers of a row. What is `other_...` is of the second operand.
#[repr(C)]
pub(super) struct Numbers {
    pub(super) n: u32,
    /// `code k + c`.
    pub(super) k: i32,
    pub(super) c: i32,
    pub(super) other_k: i32,
    pub(super) other_c: i32,
    pub(super) other_mantissa: i32,
    /// To the left, so below zero.
    pub(super) other_shift: i32,
    pub(super) mantissa: i32,
    pub(super) shift: i32,
    pub(super) zero_point: i32,
    pub(super) min: i32,
    pub(super) max: i32,
}

/// Start: r0 and r1 operands, r2 output, r3 numbers. Then r4 and r5 `k` and `c`, r6, r7, r8 and r9 the same of the other with its mantissa
/// and shift, r10 mantissa, r11 shift, r12 zero point; q4 `k`, q5 and q6 the ends.
macro_rules! loop_of {
    ([$($before:literal),* $(,)?], [$($inner:literal),* $(,)?]) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r12, lr}}",
            "vpush {{d8-d15}}",
            "ldrd r4, r5, [r3, #40]",
            "vdup.32 q5, r4",
            "vdup.32 q6, r5",
            "ldr lr, [r3], #4",
            "ldm r3, {{r4-r12}}",
            "vdup.32 q4, r4",
            $($before,)*
            "wlstp.32 lr, lr, 3f",
            "2:",
            $($inner,)*
            "vqrdmulh.s32 q0, q0, r10",
            "vshr.s32 q1, q0, #31",
            "vadd.i32 q0, q0, q1",
            "vrshl.s32 q0, r11",
            "vadd.i32 q0, q0, r12",
            "vmax.s32 q0, q0, q5",
            "vmin.s32 q0, q0, q6",
            "vstrb.32 q0, [r2], #4",
            "letp lr, 2b",
            "3:",
            "vpop {{d8-d15}}",
            "pop {{r4-r12, pc}}",
        )
    };
}

/// `x k + c`: 11 instructions for 4 elements.
///
/// Alignment: rows by bytes; `ldm` of `numbers`, words by its type; the frame is words of the stack.
///
/// # Safety
/// The rows are valid for `numbers.n` elements; element by element, what is written may be what was read.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn affine(x: *const i8, _: *const i8, y: *mut i8, numbers: *const Numbers) {
    loop_of!([], ["vldrb.s32 q0, [r0], #4", "vmlas.s32 q0, q4, r5"])
}

/// `x k + c + other other_k`: 13 instructions for 4 elements.
///
/// Alignment: as [`affine`].
///
/// # Safety
/// As [`affine`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn sum(x: *const i8, other: *const i8, y: *mut i8, numbers: *const Numbers) {
    loop_of!([], ["vldrb.s32 q0, [r0], #4", "vldrb.s32 q1, [r1], #4", "vmlas.s32 q0, q4, r5", "vmla.s32 q0, q1, r6"])
}

/// `x k + c + other_k` times the other rounded to the common scale: 18 instructions for 4 elements.
///
/// Alignment: as [`affine`].
///
/// # Safety
/// As [`affine`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn rounded_sum(x: *const i8, other: *const i8, y: *mut i8, numbers: *const Numbers) {
    loop_of!(
        ["mov r4, #0x100000", "vdup.32 q7, r4"],
        [
            "vldrb.s32 q0, [r1], #4",
            "vldrb.s32 q1, [r0], #4",
            "vmlas.s32 q0, q7, r7",
            "vmlas.s32 q1, q4, r5",
            "vqrdmulh.s32 q0, q0, r8",
            "vshr.s32 q2, q0, #31",
            "vadd.i32 q0, q0, q2",
            "vrshl.s32 q0, r9",
            "vmla.s32 q1, q0, r6",
            "vmov q0, q1",
        ]
    )
}

/// `c + other_k` times `x` rounded to the common scale: 16 instructions for 4 elements.
///
/// Alignment: as [`affine`].
///
/// # Safety
/// As [`affine`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn rounded(x: *const i8, _: *const i8, y: *mut i8, numbers: *const Numbers) {
    loop_of!(
        ["mov r4, #0x100000", "vdup.32 q7, r4", "vdup.32 q4, r6"],
        [
            "vldrb.s32 q0, [r0], #4",
            "vmlas.s32 q0, q7, r7",
            "vqrdmulh.s32 q0, q0, r8",
            "vshr.s32 q2, q0, #31",
            "vadd.i32 q0, q0, q2",
            "vrshl.s32 q0, r9",
            "vmlas.s32 q0, q4, r5",
        ]
    )
}

/// `(x + c) (other + other_c)`: 14 instructions for 4 elements.
///
/// Alignment: as [`affine`].
///
/// # Safety
/// As [`affine`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn product(x: *const i8, other: *const i8, y: *mut i8, numbers: *const Numbers) {
    loop_of!(
        [],
        [
            "vldrb.s32 q0, [r0], #4",
            "vldrb.s32 q1, [r1], #4",
            "vadd.i32 q0, q0, r5",
            "vadd.i32 q1, q1, r7",
            "vmul.i32 q0, q0, q1",
        ]
    )
}

/// `(x k + c)²`: 12 instructions for 4 elements.
///
/// Alignment: as [`affine`].
///
/// # Safety
/// As [`affine`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn square(x: *const i8, _: *const i8, y: *mut i8, numbers: *const Numbers) {
    loop_of!([], ["vldrb.s32 q0, [r0], #4", "vmlas.s32 q0, q4, r5", "vmul.i32 q0, q0, q0"])
}
