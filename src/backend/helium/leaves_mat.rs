//! The loops of `mat_rows` in assembly.
//!
//! Naked functions do not get the target's features from the compiler, hence `.cpu` in each.
#![allow(unsafe_code, reason = "naked functions")]

use core::arch::naked_asm;

/// How columns lie, and where they go.
#[repr(C)]
pub(super) struct Columns {
    pub(super) depth: usize,
    /// Bytes from a column to the next.
    pub(super) column: usize,
    /// Bytes from an input to the next; of no meaning where they lie side by side.
    pub(super) input: usize,
    /// Their sums.
    pub(super) sums: *mut i32,
    /// Bytes from a group of four columns to the next, less 64.
    pub(super) group: usize,
}

/// Packs columns whose inputs lie side by side as [`leaves_dot::s8_two`](super::leaves_dot::s8_two) takes weights, and sums them up.
/// 4 instructions for 16, 14 a column.
///
/// Alignment: `from` and `to` by bytes; `ldm` of `columns`, `str` of its sums, words by their types.
///
/// # Safety
/// There are `n` columns, not none, of a depth that is not 0; `to` is valid for groups of four of them, each column rounded up to
/// sixteen, the sums for `n`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn pack_columns(from: *const i8, to: *mut i8, n: usize, columns: *const Columns) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r10, lr}}",
        "ldm r3, {{r4, r5, r6, r7, r8}}",
        "movs r10, #0",
        "3:",
        "mov r6, r0",
        "mov r3, r1",
        "movs r12, #0",
        "dlstp.8 lr, r4",
        "2:",
        "vldrb.u8 q0, [r6], #16",
        "vaddva.s8 r12, q0",
        "vstrb.8 q0, [r3], #64",
        "letp lr, 2b",
        "str r12, [r7], #4",
        "add r0, r5",
        "adds r1, #16",
        "add r10, #1",
        "tst r10, #3",
        "it eq",
        "addeq r1, r8",
        "subs r2, #1",
        "bne 3b",
        "pop {{r4-r10, pc}}",
    )
}

/// The same where inputs lie apart: gathers of eight. 7 instructions for 8, 16 a column.
///
/// Alignment: as [`pack_columns`].
///
/// # Safety
/// As [`pack_columns`]; seven times `columns.input` is below 2^16.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn pack_rows(from: *const i8, to: *mut i8, n: usize, columns: *const Columns) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "ldm r3, {{r4, r5, r6, r7, r8}}",
        "movs r10, #0",
        "vidup.u16 q1, r10, #1",
        "vmul.i16 q1, q1, r6",
        "lsl r6, r6, #3",
        "movs r10, #0",
        "3:",
        "mov r9, r0",
        "mov r3, r1",
        "movs r12, #0",
        // Eight bytes on, then to the next block of sixteen.
        "movs r11, #8",
        "dlstp.16 lr, r4",
        "2:",
        "vldrb.s16 q0, [r9, q1]",
        "vaddva.s16 r12, q0",
        "vstrb.16 q0, [r3]",
        "add r9, r6",
        "add r3, r11",
        "eor r11, r11, #48",
        "letp lr, 2b",
        "str r12, [r7], #4",
        "add r0, r5",
        "adds r1, #16",
        "add r10, #1",
        "tst r10, #3",
        "it eq",
        "addeq r1, r8",
        "subs r2, #1",
        "bne 3b",
        "pop {{r4-r11, pc}}",
    )
}

/// The sums of two rows, that of `x0` in the lower half. 5 instructions for twice 16.
///
/// Alignment: by bytes.
///
/// # Safety
/// Both are valid for `n` elements, not none.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn sum_two(x0: *const i8, x1: *const i8, n: usize) -> u64 {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, lr}}",
        "movs r4, #0",
        "movs r6, #0",
        "dlstp.8 lr, r2",
        "2:",
        "vldrb.u8 q0, [r0], #16",
        "vldrb.u8 q1, [r1], #16",
        "vaddva.s8 r4, q0",
        "vaddva.s8 r6, q1",
        "letp lr, 2b",
        "mov r0, r4",
        "mov r1, r6",
        "pop {{r4, r5, r6, pc}}",
    )
}

/// What outputs are made with.
#[repr(C)]
pub(super) struct Outputs {
    pub(super) mantissa: i32,
    /// To the left, -31 to -1.
    pub(super) shift: i32,
    pub(super) offset: i32,
    pub(super) min: i32,
    pub(super) max: i32,
    /// Added to the sums of each row.
    pub(super) terms: [i32; 2],
}

/// Outputs of two rows, whose sums stand by fours, with one multiplier. 21 instructions for twice 4.
///
/// `vqrdmulh` is SRDHM; RDPOT is `vrshl` of a number that is one less if negative.
///
/// Alignment: `ldm` of `outputs`, `vldrw` of `sums`, words by their types; `y0` and `y1` by bytes.
///
/// # Safety
/// `sums` are valid for two of each of `n` outputs, rounded up to four, `y0` and `y1` for `n`, not none.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn outputs_two(
    sums: *const i32,
    y0: *mut i8,
    y1: *mut i8,
    n: usize,
    outputs: *const Outputs,
) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r10, lr}}",
        "vpush {{d8-d11}}",
        "ldr r4, [sp, #64]",
        "ldm r4, {{r4, r5, r6, r7, r8, r9, r10}}",
        "vdup.32 q4, r7",
        "vdup.32 q5, r8",
        "dlstp.32 lr, r3",
        "2:",
        "vldrw.u32 q0, [r0], #16",
        "vldrw.u32 q1, [r0], #16",
        "vadd.i32 q0, q0, r9",
        "vadd.i32 q1, q1, r10",
        "vqrdmulh.s32 q0, q0, r4",
        "vqrdmulh.s32 q1, q1, r4",
        "vshr.s32 q2, q0, #31",
        "vshr.s32 q3, q1, #31",
        "vadd.i32 q0, q0, q2",
        "vadd.i32 q1, q1, q3",
        "vrshl.s32 q0, r5",
        "vrshl.s32 q1, r5",
        "vadd.i32 q0, q0, r6",
        "vadd.i32 q1, q1, r6",
        "vmax.s32 q0, q0, q4",
        "vmax.s32 q1, q1, q4",
        "vmin.s32 q0, q0, q5",
        "vmin.s32 q1, q1, q5",
        "vstrb.32 q0, [r1], #4",
        "vstrb.32 q1, [r2], #4",
        "letp lr, 2b",
        "vpop {{d8-d11}}",
        "pop {{r4-r10, pc}}",
    )
}
