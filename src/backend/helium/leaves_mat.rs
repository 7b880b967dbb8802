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

/// Pairs of rows, and what becomes of them.
#[repr(C)]
pub(super) struct Pairs {
    pub(super) x: [*const i8; 2],
    /// Whole blocks of sixteen inputs.
    pub(super) blocks: u32,
    /// Inputs behind them, fewer than sixteen.
    pub(super) tail: u32,
    /// Columns as [`pack_columns`] lays them.
    pub(super) words: *const i32,
    /// What each of them starts from.
    pub(super) starts: *const i32,
    /// Room for two sums of each column, rounded up to four.
    pub(super) sums: *mut i32,
    pub(super) end: *mut i32,
    pub(super) y: [*mut i8; 2],
    /// Columns.
    pub(super) n: usize,
    pub(super) depth: usize,
    pub(super) mantissa: i32,
    /// To the left, -31 to -1.
    pub(super) shift: i32,
    pub(super) offset: i32,
    /// What times the sum of a row is added to its sums.
    pub(super) rhs_offset: i32,
    pub(super) min: i32,
    pub(super) max: i32,
    /// Bytes from a pair of rows to the next, and of their outputs.
    pub(super) x_step: usize,
    pub(super) y_step: usize,
    /// Pairs of rows.
    pub(super) pairs: usize,
    /// For the loop.
    pub(super) terms: [i32; 2],
}

macro_rules! column_of_two {
    ($sum0:literal, $sum1:literal) => {
        concat!("vldrb.u8 q2, [r1], #16\nvmlava.s8 ", $sum0, ", q0, q2\nvmlava.s8 ", $sum1, ", q1, q2\n")
    };
}

/// All rows, two by two, through a tile of columns: 14 instructions for 128 products and 5 for twice 16 inputs' sums, as
/// `leaves_dot::s8_two`; then outputs with one multiplier, 21 for twice 4: `vqrdmulh` is SRDHM, RDPOT is `vrshl` of a number that
/// is one less if negative. What stands around it is 30 instructions a pair of rows and 13 a group of columns.
///
/// On the stack: both rows, turns, entry, tail, end of the sums, `pairs`.
///
/// Alignment: `ldrd` and `ldr` of `pairs`, `ldm` of its starts, `stm` and `vldrw` of its sums, words by their types; rows,
/// columns and outputs by bytes; `vpush` to the stack.
///
/// # Safety
/// All that `pairs` names is there: so many pairs of rows, not none, of a depth that is its blocks and tail and not 0, columns, which
/// are not none, with starts and room for sums, rounded up to four, and outputs.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn rows_by_columns(pairs: *mut Pairs) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d11}}",
        "sub sp, #32",
        "str r0, [sp, #24]",
        "ldrd r3, r4, [r0]",
        "ldrd r5, r6, [r0, #8]",
        "ldr r7, [r0, #28]",
        "ldrd r8, r9, [r0, #64]",
        "vdup.32 q4, r8",
        "vdup.32 q5, r9",
        // Turns of eight blocks, and how many of them the first one leaves out.
        "add r8, r5, #7",
        "lsrs r8, r8, #3",
        "rsb r10, r5, r8, lsl #3",
        "movs r9, #56",
        "adr.w r12, 2f",
        "mla r10, r10, r9, r12",
        "adr.w r12, 4f",
        "cmp r5, #0",
        "it eq",
        "moveq r10, r12",
        "orr r10, r10, #1",
        "strd r3, r4, [sp]",
        "strd r8, r10, [sp, #8]",
        "strd r6, r7, [sp, #16]",
        "6:",
        "ldr r12, [sp, #24]",
        "ldr r5, [r12, #60]",
        "cbz r5, 7f",
        "ldrd r0, r1, [sp]",
        "ldr r2, [r12, #44]",
        "movs r4, #0",
        "movs r6, #0",
        "dlstp.8 lr, r2",
        "8:",
        "vldrb.u8 q0, [r0], #16",
        "vldrb.u8 q1, [r1], #16",
        "vaddva.s8 r4, q0",
        "vaddva.s8 r6, q1",
        "letp lr, 8b",
        "mul r4, r4, r5",
        "mul r6, r6, r5",
        "strd r4, r6, [r12, #84]",
        "7:",
        "ldrd r1, r9, [r12, #16]",
        "ldr r11, [r12, #24]",
        ".p2align 2",
        "3:",
        "ldm r9, {{r0, r2, r4, r6}}",
        "ldm r9!, {{r8, r10, r12, lr}}",
        "ldrd r3, r7, [sp]",
        "ldr r5, [sp, #8]",
        "ldr pc, [sp, #12]",
        ".p2align 2",
        "2:",
        ".rept 8",
        "vldrb.u8 q0, [r3], #16",
        "vldrb.u8 q1, [r7], #16",
        column_of_two!("r0", "r8"),
        column_of_two!("r2", "r10"),
        column_of_two!("r4", "r12"),
        column_of_two!("r6", "lr"),
        ".endr",
        "subs r5, #1",
        "bne.w 2b",
        ".p2align 2",
        "4:",
        "ldr r5, [sp, #16]",
        "cbz r5, 5f",
        "vctp.8 r5",
        "vpstt",
        "vldrbt.u8 q0, [r3]",
        "vldrbt.u8 q1, [r7]",
        column_of_two!("r0", "r8"),
        column_of_two!("r2", "r10"),
        column_of_two!("r4", "r12"),
        column_of_two!("r6", "lr"),
        "5:",
        "stm r11!, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        "ldr r5, [sp, #20]",
        "cmp r11, r5",
        "bne.w 3b",
        "ldr r12, [sp, #24]",
        "ldr r0, [r12, #24]",
        "ldrd r1, r2, [r12, #32]",
        "ldr r3, [r12, #40]",
        "ldrd r4, r5, [r12, #48]",
        "ldr r6, [r12, #56]",
        "ldrd r9, r10, [r12, #84]",
        "dlstp.32 lr, r3",
        "9:",
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
        "letp lr, 9b",
        "ldrd r1, r2, [r12, #32]",
        "ldrd r3, r4, [r12, #72]",
        "add r1, r4",
        "add r2, r4",
        "strd r1, r2, [r12, #32]",
        "ldrd r0, r1, [sp]",
        "add r0, r3",
        "add r1, r3",
        "strd r0, r1, [sp]",
        "ldr r5, [r12, #80]",
        "subs r5, #1",
        "str r5, [r12, #80]",
        "bne.w 6b",
        "add sp, #32",
        "vpop {{d8-d11}}",
        "pop {{r4-r11, pc}}",
    )
}
