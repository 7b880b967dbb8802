//! The loops of `q_rows` in assembly: LLVM spills constants and extends each halfword on its own.
//!
//! Every leaf takes a number of whole blocks that is not zero. Rows may start at any halfword, so words are read by `ldr`,
//! which takes any address, and never by `ldm` or `ldrd`. Naked functions do not get the target's features from the
//! compiler, hence `.arch` in each; every core of this backend has its instructions.
#![allow(unsafe_code, reason = "naked functions")]

use core::arch::naked_asm;

/// Elements of a block of [`max`].
pub(super) const MAX: usize = 16;
/// Elements of a block of the exponentials.
pub(super) const EXP: usize = 4;
/// Elements of a block of the scalings.
pub(super) const SCALE: usize = 8;

/// The largest of `blocks` blocks of 16. 26 instructions a block.
///
/// Alignment: words at any halfword, by `ldr`.
///
/// # Safety
/// `x` is valid for them, and there is one at least.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn max(x: *const i16, blocks: usize) -> i32 {
    naked_asm!(
        ".arch armv7e-m",
        "ldr r2, [r0]",
        "2:",
        ".rept 8",
        "ldr r3, [r0], #4",
        "ssub16 r12, r2, r3",
        "sel r2, r2, r3",
        ".endr",
        "subs r1, #1",
        "bne 2b",
        "ror r3, r2, #16",
        "ssub16 r12, r2, r3",
        "sel r2, r2, r3",
        "sxth r0, r2",
        "bx lr",
    )
}

/// TFLite's exponentials; gives their sum. 25 instructions a pair, 52 a block.
///
/// `constants`: factor of an element, a power of two as a halfword; minus the maximum times that; multiplier; the table's last
/// index, shifted as the product, with what rounds it; right shift of the product.
///
/// Alignment: words of `x` and `y` at any halfword, by `ldr` and `str`; `ldm` of `constants`, words by its type.
///
/// # Safety
/// `x` and `y` are valid for `blocks` blocks of 4, not none, and are one row or do not overlap; `table` has 512 words.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn exp_s16(
    x: *const i16,
    y: *mut i16,
    blocks: usize,
    table: *const u32,
    constants: *const [i32; 5],
) -> u32 {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r11, lr}}",
        "ldr r12, [sp, #36]",
        "ldm r12, {{r4-r8}}",
        "add r2, r0, r2, lsl #3",
        "mov r9, #0",
        "2:",
        ".rept 2",
        "ldr r10, [r0], #4",
        // Differences of both elements, times the factor.
        "smlabb r11, r10, r4, r5",
        "smlatb r10, r10, r4, r5",
        // Steps of the table.
        "smmlar r11, r11, r6, r7",
        "smmlar r10, r10, r6, r7",
        "asr r11, r8",
        "asr r10, r8",
        "usat r11, #16, r11",
        "usat r10, #16, r10",
        // base * 128 + 64 + slope * offset.
        "lsr r12, r11, #7",
        "and r11, r11, #127",
        "ldr r12, [r3, r12, lsl #2]",
        "lsr lr, r12, #22",
        "mla r11, lr, r11, r12",
        "lsr r12, r10, #7",
        "and r10, r10, #127",
        "ldr r12, [r3, r12, lsl #2]",
        "lsr lr, r12, #22",
        "mla r10, lr, r10, r12",
        "ubfx r11, r11, #7, #15",
        "ubfx r10, r10, #7, #15",
        "add r9, r9, r11",
        "add r9, r9, r10",
        "orr r11, r11, r10, lsl #16",
        "str r11, [r1], #4",
        ".endr",
        "cmp r0, r2",
        "bne 2b",
        "mov r0, r9",
        "pop {{r4-r11, pc}}",
    )
}

/// `y = (y * factor / 2^16 + offset) / 2^15`, all cut. 26 instructions a block.
///
/// Alignment: words at any halfword, by `ldr` and `str`.
///
/// # Safety
/// `y` is valid for `blocks` blocks of 8, not none.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn scale_s16(y: *mut i16, blocks: usize, factor: i32, offset: i32) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4, lr}}",
        "2:",
        ".rept 4",
        "ldr r12, [r0]",
        "smlawb r4, r2, r12, r3",
        "smlawt lr, r2, r12, r3",
        "lsl lr, lr, #1",
        "pkhtb r12, lr, r4, asr #15",
        "str r12, [r0], #4",
        ".endr",
        "subs r1, #1",
        "bne 2b",
        "pop {{r4, pc}}",
    )
}

/// `exp_s16_u16` of [`QRows`](crate::backend::QRows). 26 instructions a pair, 55 a block.
///
/// `constants`: factor of an element; what is added to it; the coefficients of the polynomial, from the highest.
///
/// Alignment: as [`exp_s16`].
///
/// # Safety
/// `x` and `y` are valid for `blocks` blocks of 4, not none, and are one row or do not overlap.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn exp_s16_u16(
    x: *const i16,
    y: *mut u16,
    blocks: usize,
    constants: *const [i32; 6],
) -> u64 {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r11, lr}}",
        "add r2, r0, r2, lsl #3",
        // All other registers are taken: the end waits on the stack.
        "push {{r2, r3}}",
        "ldm r3, {{r4-r9}}",
        "mov r10, #0",
        "mov lr, #0",
        "2:",
        ".rept 2",
        "ldr r2, [r0], #4",
        "smlawb r3, r4, r2, r5",
        "smlawt r2, r4, r2, r5",
        // Nearest integer of the exponent, and the signed rest.
        "usat r11, #5, r3, asr #22",
        "lsl r3, r3, #10",
        "eor r3, r3, #0x80000000",
        "smlawb r12, r3, r6, r6",
        "smmlar r12, r3, r12, r7",
        "smmlar r12, r3, r12, r8",
        "smmlar r12, r3, r12, r9",
        "lsr r12, r12, r11",
        "usat r11, #5, r2, asr #22",
        "lsl r2, r2, #10",
        "eor r2, r2, #0x80000000",
        "smlawb r3, r2, r6, r6",
        "smmlar r3, r2, r3, r7",
        "smmlar r3, r2, r3, r8",
        "smmlar r3, r2, r3, r9",
        "lsr r3, r3, r11",
        "add r11, r12, r3",
        "adds r10, r10, r11",
        "adc lr, lr, #0",
        // The upper 16 of 30 bits of each, the sign bit turned over.
        "lsl r3, r3, #2",
        "pkhtb r3, r3, r12, asr #14",
        "eor r3, r3, #0x80008000",
        "str r3, [r1], #4",
        ".endr",
        "ldr r2, [sp]",
        "cmp r0, r2",
        "bne 2b",
        "mov r0, r10",
        "mov r1, lr",
        "add sp, #8",
        "pop {{r4-r11, pc}}",
    )
}

/// `y = (y * reciprocal / 2^16 + offset) / 2^14`, `y` as a signed number, all cut. 26 instructions a block.
///
/// Alignment: words at any halfword, by `ldr` and `str`.
///
/// # Safety
/// `y` is valid for `blocks` blocks of 8, not none.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn scale_u16(y: *mut u16, blocks: usize, reciprocal: i32, offset: i32) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4, lr}}",
        "2:",
        ".rept 4",
        "ldr r12, [r0]",
        "smlawb r4, r2, r12, r3",
        "smlawt lr, r2, r12, r3",
        "lsl lr, lr, #2",
        "pkhtb r12, lr, r4, asr #14",
        "str r12, [r0], #4",
        ".endr",
        "subs r1, #1",
        "bne 2b",
        "pop {{r4, pc}}",
    )
}
