//! The loops of `q_rows` in assembly, any number of elements, the last ones under tail predication.
//!
//! Naked functions do not get the target's features from the compiler, hence `.cpu` in each.
#![allow(unsafe_code, reason = "naked functions")]

use core::arch::naked_asm;

/// The largest of `n` elements; `i16::MIN` for none. 3 instructions for 8 elements.
///
/// Alignment: `vldrh` of `x`, halfwords by its type.
///
/// # Safety
/// `x` is valid for `n` elements.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn max(x: *const i16, n: usize) -> i32 {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "movw r2, #0x8000",
        "wlstp.16 lr, r1, 3f",
        "2:",
        "vldrh.u16 q0, [r0], #16",
        "vmaxv.s16 r2, q0",
        "letp lr, 2b",
        "3:",
        "sxth r0, r2",
        "pop {{r7, pc}}",
    )
}

/// TFLite's exponentials; gives their sum. 20 instructions for 4 elements.
///
/// `constants`: maximum; left shift of a difference; multiplier; half of the right shift's unit, less one; minus the right
/// shift.
///
/// Alignment: `vldrh` and `vstrh` of `x` and `y`, halfwords by their types; `ldm` of `constants` and the gather from
/// `table`, words by theirs.
///
/// # Safety
/// `x` and `y` are valid for `n` elements and are one row or do not overlap; `table` has 512 words.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn exp_s16(
    x: *const i16,
    y: *mut i16,
    n: usize,
    table: *const u32,
    constants: *const [i32; 5],
) -> u32 {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "ldr r12, [sp, #36]",
        "ldm r12, {{r5-r9}}",
        "movw r10, #0xFFFF",
        "movs r4, #0",
        "wlstp.32 lr, r2, 3f",
        "2:",
        "vldrh.s32 q0, [r0], #8",
        "vsub.i32 q0, q0, r5",
        "vqshl.s32 q0, r6",
        "vqrdmulh.s32 q0, q0, r7",
        "vadd.i32 q0, q0, r8",
        "vshl.s32 q0, r9",
        "vadd.i32 q0, q0, r10",
        // Cut to 16 bits, at the top of the word.
        "vqshlu.s32 q0, q0, #16",
        "vshr.u32 q1, q0, #23",
        "vldrw.u32 q2, [r3, q1, uxtw #2]",
        "vshl.i32 q0, q0, #9",
        "vshr.u32 q0, q0, #25",
        // base * 128 + 64 + slope * offset.
        "vshr.u32 q1, q2, #22",
        "vmul.i32 q0, q0, q1",
        "vadd.i32 q0, q0, q2",
        "vshl.i32 q0, q0, #10",
        "vshr.u32 q0, q0, #17",
        "vaddva.u32 r4, q0",
        "vstrh.32 q0, [r1], #8",
        "letp lr, 2b",
        "3:",
        "mov r0, r4",
        "pop {{r4-r11, pc}}",
    )
}

/// `y = y * factor / 2^-left` to nearest, at most `i16::MAX`. 6 instructions for 4 elements.
///
/// Alignment: `vldrh` and `vstrh` of `y`, halfwords by its type.
///
/// # Safety
/// `y` is valid for `n` elements.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn scale_s16(y: *mut i16, n: usize, factor: i32, left: i32) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "movw r12, #0x7FFF",
        "vdup.32 q3, r12",
        "wlstp.32 lr, r1, 3f",
        "2:",
        "vldrh.s32 q0, [r0]",
        "vmul.i32 q0, q0, r2",
        "vrshl.s32 q0, r3",
        "vmin.s32 q0, q0, q3",
        "vstrh.32 q0, [r0], #8",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}

/// `exp_s16_u16` of [`QRows`](crate::backend::QRows). 23 instructions for 4 elements.
///
/// `constants`: what is added to the exponent; the sign bit; `f^3` and `f^4`, `f^2`, `f`, 1 of the polynomial; factor of an
/// element; the lower half of the third one.
///
/// Alignment: `vldrh` and `vstrh` of `x` and `y`, halfwords by their types; `ldm` and `ldrd` of `constants`, words by
/// its type.
///
/// # Safety
/// `x` and `y` are valid for `n` elements and are one row or do not overlap.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn exp_s16_u16(x: *const i16, y: *mut u16, n: usize, constants: *const [i32; 8]) -> u64 {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d11}}",
        "ldm r3!, {{r6-r11}}",
        "ldrd r4, r5, [r3]",
        "vdup.32 q3, r4",
        "vdup.32 q4, r5",
        "movs r4, #31",
        "vdup.32 q5, r4",
        "movw r12, #0x8000",
        "movs r4, #0",
        "movs r5, #0",
        "wlstp.32 lr, r2, 3f",
        "2:",
        "vldrh.s32 q0, [r0], #8",
        "vshl.i32 q0, q0, #16",
        "vmulh.s32 q0, q0, q3",
        "vadd.i32 q0, q0, r6",
        // Nearest integer of the exponent, and the signed rest.
        "vshr.u32 q1, q0, #22",
        "vshl.i32 q0, q0, #10",
        "vadd.i32 q0, q0, r7",
        "vmulh.s32 q2, q0, q4",
        "vadd.i32 q2, q2, r8",
        "vrmulh.s32 q2, q2, q0",
        "vadd.i32 q2, q2, r9",
        "vrmulh.s32 q2, q2, q0",
        "vadd.i32 q2, q2, r10",
        "vrmulh.s32 q2, q2, q0",
        "vadd.i32 q2, q2, r11",
        "vmin.u32 q1, q1, q5",
        "vneg.s32 q1, q1",
        "vshl.u32 q2, q2, q1",
        "vaddlva.u32 r4, r5, q2",
        "vshr.u32 q2, q2, #14",
        "vadd.i32 q2, q2, r12",
        "vstrh.32 q2, [r1], #8",
        "letp lr, 2b",
        "3:",
        "vpop {{d8-d11}}",
        "mov r0, r4",
        "mov r1, r5",
        "pop {{r4-r11, pc}}",
    )
}

/// `y = (y * reciprocal / 2^16 + offset) / 2^14`, `y` as a signed number, all cut. 7 instructions for 4 elements.
///
/// Alignment: `vldrh` and `vstrh` of `y`, halfwords by its type.
///
/// # Safety
/// `y` is valid for `n` elements.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn scale_u16(y: *mut u16, n: usize, reciprocal: i32, offset: i32) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "vdup.32 q3, r2",
        "wlstp.32 lr, r1, 3f",
        "2:",
        "vldrh.s32 q0, [r0]",
        "vshl.i32 q0, q0, #16",
        "vmulh.s32 q0, q0, q3",
        "vadd.i32 q0, q0, r3",
        "vshr.u32 q0, q0, #14",
        "vstrh.32 q0, [r0], #8",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}
