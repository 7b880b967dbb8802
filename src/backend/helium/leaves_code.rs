//! The loops of `code_rows` in assembly.
//!
//! Every leaf takes counts that are not zero, but where it says any.
#![allow(unsafe_code, reason = "naked functions")]

use core::arch::naked_asm;

use crate::backend::code_rows::masked_nibbles;

/// Logits of a block.
pub(super) const BLOCK: usize = 16;
/// Lengths of rows of blocks, up to 2^16, have no other bits.
pub(super) const COLS: usize = 0xFFF0;

/// The largest of `n` elements, any number; `i32::MIN` for none. 3 instructions for 4 elements.
///
/// Alignment: `vldrw` of `x`, words by its type.
///
/// # Safety
/// `x` is valid for them.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn max(x: *const i32, n: usize) -> i32 {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "mov r2, #0x80000000",
        "lsrs r3, r1, #4",
        "beq 3f",
        "dls lr, r3",
        "2:",
        ".rept 4",
        "vldrw.u32 q0, [r0], #16",
        "vmaxv.s32 r2, q0",
        ".endr",
        "le lr, 2b",
        "3:",
        "ands r1, r1, #15",
        "beq 5f",
        "dlstp.32 lr, r1",
        "4:",
        "vldrw.u32 q0, [r0], #16",
        "vmaxv.s32 r2, q0",
        "letp lr, 4b",
        "5:",
        "mov r0, r2",
        "pop {{r7, pc}}",
    )
}

/// 4-bit codes of `blocks` blocks of 16: `min((max - x) factor / 2^31 to nearest, 15)`. 16 instructions a block.
///
/// Alignment: `vld2` of `x`, words by its type. `y` may start anywhere: it is stored by bytes, as MVE takes no halfword
/// from an odd address.
///
/// # Safety
/// `x` is valid for them, `y` for 8 bytes a block, and there is one at least.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn nibbles(x: *const i32, blocks: usize, max: i32, factor: i32, y: *mut u8) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, lr}}",
        "vpush {{d12-d15}}",
        "ldr r12, [sp, #40]",
        "vdup.32 q7, r2",
        "vdup.32 q6, r3",
        // A sum that saturates ends in 15.
        "movw r4, #0xFFF0",
        "movt r4, #0x7FFF",
        "mov r3, r12",
        "dls lr, r1",
        "2:",
        // Even elements and the odd ones behind them, eight and eight.
        "vld20.32 {{q0, q1}}, [r0]",
        "vld21.32 {{q0, q1}}, [r0]!",
        "vld20.32 {{q2, q3}}, [r0]",
        "vld21.32 {{q2, q3}}, [r0]!",
        "vqsub.s32 q0, q7, q0",
        "vqsub.s32 q1, q7, q1",
        "vqsub.s32 q2, q7, q2",
        "vqsub.s32 q3, q7, q3",
        "vqrdmlash.s32 q0, q6, r4",
        "vqrdmlash.s32 q1, q6, r4",
        "vqrdmlash.s32 q2, q6, r4",
        "vqrdmlash.s32 q3, q6, r4",
        // A byte a lane; what lies above it is not stored.
        "vsli.32 q0, q1, #4",
        "vsli.32 q2, q3, #4",
        "vstrb.32 q0, [r3], #4",
        "vstrb.32 q2, [r3], #4",
        "le lr, 2b",
        "vpop {{d12-d15}}",
        "pop {{r4, pc}}",
    )
}

/// A row whose largest element is below -2^30: there `i32::MIN` need not be far from it.
///
/// # Safety
/// As [`rows`], of one row.
unsafe extern "C" fn rare_row(x: *const i32, cols: usize, y: *mut u8, factor: i32) {
    // SAFETY: the caller's.
    let x = unsafe { core::slice::from_raw_parts(x, cols) };
    // SAFETY: the caller's.
    let y = unsafe { core::slice::from_raw_parts_mut(y, cols / 2) };
    masked_nibbles(x, factor, y);
}

/// Both of the above for `rows` rows of `cols` elements. 23 instructions for 16 elements.
///
/// Alignment: `vldm` and `vld2` of `x`, words by its type; `y` by bytes, as in [`nibbles`].
///
/// # Safety
/// `x` is valid for them, `y` for half as many bytes; `cols` is a multiple of 16, and neither number is zero.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn rows(x: *const i32, cols: usize, y: *mut u8, factor: i32, rows: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, lr}}",
        "vpush {{d8, d9}}",
        "ldr r5, [sp, #32]",
        "lsrs r1, r1, #4",
        // A vector less a scalar is one instruction, so distances and factor are both negative.
        "rsbs r3, r3, #0",
        "vdup.32 q4, r3",
        // A sum that saturates ends in 15.
        "movw r6, #0xFFF0",
        "movt r6, #0x7FFF",
        "2:",
        "mov r12, #0x80000000",
        "mov r4, r0",
        "dls lr, r1",
        "3:",
        "vldmia r4!, {{d0-d7}}",
        "vmaxv.s32 r12, q0",
        "vmaxv.s32 r12, q1",
        "vmaxv.s32 r12, q2",
        "vmaxv.s32 r12, q3",
        "le lr, 3b",
        "cmp r12, #0xC0000000",
        "blt 5f",
        "dls lr, r1",
        "4:",
        // Even elements and the odd ones behind them, eight and eight.
        "vld20.32 {{q0, q1}}, [r0]",
        "vld21.32 {{q0, q1}}, [r0]!",
        "vld20.32 {{q2, q3}}, [r0]",
        "vld21.32 {{q2, q3}}, [r0]!",
        "vqsub.s32 q0, q0, r12",
        "vqsub.s32 q1, q1, r12",
        "vqsub.s32 q2, q2, r12",
        "vqsub.s32 q3, q3, r12",
        "vqrdmlash.s32 q0, q4, r6",
        "vqrdmlash.s32 q1, q4, r6",
        "vqrdmlash.s32 q2, q4, r6",
        "vqrdmlash.s32 q3, q4, r6",
        // A byte a lane; what lies above it is not stored.
        "vsli.32 q0, q1, #4",
        "vsli.32 q2, q3, #4",
        "vstrb.32 q0, [r2], #4",
        "vstrb.32 q2, [r2], #4",
        "le lr, 4b",
        "subs r5, #1",
        "bne 2b",
        "vpop {{d8, d9}}",
        "pop {{r4, r5, r6, pc}}",
        "5:",
        "push {{r0-r3}}",
        "lsls r1, r1, #4",
        "rsbs r3, r3, #0",
        "bl {rare_row}",
        "pop {{r0-r3}}",
        "add r0, r0, r1, lsl #6",
        "add r2, r2, r1, lsl #3",
        "subs r5, #1",
        "bne 2b",
        "vpop {{d8, d9}}",
        "pop {{r4, r5, r6, pc}}",
        rare_row = sym rare_row,
    )
}

/// Products of a query with `groups` groups of 8 keys, of one block of 16 channels and `more` further ones. 19 instructions a block
/// and group, and 7 a group.
///
/// Alignment: `query` and `keys` by bytes; `stm` of `y`, words by its type.
///
/// # Safety
/// `query` is valid for 16 bytes a block, `keys` for 128 bytes a block and group, `y` for 8 words a group, and there is a group at
/// least; `more` may be zero.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn logits(query: *const i8, keys: *const u32, groups: usize, y: *mut i32, more: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "mov r11, r3",
        "mov r9, r2",
        "mov r7, r0",
        "2:",
        "ldr r5, [sp, #36]",
        "mov r3, r7",
        "vldrb.u8 q0, [r3], #16",
        ".irp r, r0, r2, r4, r6, r8, r10, r12, lr",
        "vldrb.u8 q1, [r1], #16",
        "vmlav.s8 \\r, q0, q1",
        ".endr",
        "cbz r5, 4f",
        "3:",
        "vldrb.u8 q0, [r3], #16",
        ".irp r, r0, r2, r4, r6, r8, r10, r12, lr",
        "vldrb.u8 q1, [r1], #16",
        "vmlava.s8 \\r, q0, q1",
        ".endr",
        "subs r5, #1",
        "bne 3b",
        "4:",
        "stm r11!, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        "subs r9, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// Weights of 64 codes times values, `groups` groups of 4 channels; gives the sum of the weights. A weight is two bytes, both signed,
/// `256 upper + lower`. 57 instructions a group and 46.
///
/// Alignment: `codes` and `values` by bytes; `vldrh` of `table` and `stm` of `y` by their types; the stack by bytes.
///
/// # Safety
/// `codes` is valid for 32 bytes, `table` for reading, `values` for 256 bytes a group, `y` for 4 words a group, and there is a group
/// at least.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn product(
    codes: *const u8,
    table: *const [i16; 16],
    values: *const u32,
    y: *mut i32,
    groups: usize,
) -> i32 {
    naked_asm!(
        ".cpu cortex-m55",
        ".macro scrimp_four multiply, upper, lower",
        "vldrb.u8 q0, [r1], #16",
        "\\multiply r0, q0, \\upper",
        "\\multiply r2, q0, \\lower",
        "vldrb.u8 q0, [r1], #16",
        "\\multiply r4, q0, \\upper",
        "\\multiply r6, q0, \\lower",
        "vldrb.u8 q0, [r1], #16",
        "\\multiply r8, q0, \\upper",
        "\\multiply r10, q0, \\lower",
        "vldrb.u8 q0, [r1], #16",
        "\\multiply r12, q0, \\upper",
        "\\multiply lr, q0, \\lower",
        ".endm",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "sub sp, #64",
        "mov r5, r3",
        "ldr r7, [sp, #164]",
        // The table's bytes: upper ones, lower ones.
        "mov r3, sp",
        "vldrh.u16 q0, [r1]",
        "vldrh.u16 q1, [r1, #16]",
        "vstrb.16 q0, [r3, #16]",
        "vstrb.16 q1, [r3, #24]",
        "vrshr.s16 q0, q0, #8",
        "vrshr.s16 q1, q1, #8",
        "vstrb.16 q0, [r3]",
        "vstrb.16 q1, [r3, #8]",
        "add r9, r3, #16",
        // Even keys of 32, then odd ones.
        "vmov.i8 q7, #15",
        "vldrb.u8 q0, [r0]",
        "vand q5, q0, q7",
        "vshr.u8 q0, q0, #4",
        "vldrb.u8 q1, [r3, q5]",
        "vldrb.u8 q2, [r9, q5]",
        "vldrb.u8 q3, [r3, q0]",
        "vldrb.u8 q4, [r9, q0]",
        "vaddv.s8 r4, q1",
        "vaddv.s8 r6, q2",
        "vaddva.s8 r4, q3",
        "vaddva.s8 r6, q4",
        "vldrb.u8 q0, [r0, #16]",
        "vand q6, q0, q7",
        "vshr.u8 q0, q0, #4",
        "vldrb.u8 q5, [r3, q6]",
        "vldrb.u8 q7, [r9, q6]",
        "vaddva.s8 r4, q5",
        "vaddva.s8 r6, q7",
        "vstrb.8 q7, [sp, #32]",
        "vldrb.u8 q6, [r9, q0]",
        "vldrb.u8 q7, [r3, q0]",
        "vaddva.s8 r6, q6",
        "vaddva.s8 r4, q7",
        "vstrb.8 q6, [sp, #48]",
        "add r11, r6, r4, lsl #8",
        "mov r1, r2",
        "2:",
        "scrimp_four vmlav.s8, q1, q2",
        "scrimp_four vmlava.s8, q3, q4",
        // There are seven registers for the eight vectors of weights.
        "vldrb.u8 q6, [sp, #32]",
        "scrimp_four vmlava.s8, q5, q6",
        "vldrb.u8 q6, [sp, #48]",
        "scrimp_four vmlava.s8, q7, q6",
        "add r0, r2, r0, lsl #8",
        "add r4, r6, r4, lsl #8",
        "add r8, r10, r8, lsl #8",
        "add r12, lr, r12, lsl #8",
        "stm r5!, {{r0, r4, r8, r12}}",
        "subs r7, #1",
        "bne 2b",
        "mov r0, r11",
        "add sp, #64",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
        ".purgem scrimp_four",
    )
}

/// Sums to outputs, any number of them. 10 instructions for 4.
///
/// `constants`: offset; factor; minus the shift; zero point.
///
/// Alignment: `ldm` of `constants` and `vldrw` of `x`, words by their types; `y` by bytes.
///
/// # Safety
/// `x` and `y` are valid for `n` elements.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn requantize(x: *const i32, y: *mut i8, n: usize, constants: *const [i32; 4]) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r6, lr}}",
        "ldm r3, {{r3, r4, r5, r6}}",
        "movs r12, #127",
        "vdup.32 q1, r12",
        "vmvn q2, q1",
        "wlstp.32 lr, r2, 3f",
        "2:",
        "vldrw.u32 q0, [r0], #16",
        "vsub.i32 q0, q0, r3",
        "vqrdmulh.s32 q0, q0, r4",
        "vrshl.s32 q0, r5",
        "vadd.i32 q0, q0, r6",
        "vmin.s32 q0, q0, q1",
        "vmax.s32 q0, q0, q2",
        "vstrb.32 q0, [r1], #4",
        "letp lr, 2b",
        "3:",
        "pop {{r4-r6, pc}}",
    )
}
