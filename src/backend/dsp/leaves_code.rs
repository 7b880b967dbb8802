//! The loops of `code_rows` in assembly. Two numbers lie in a halfword, `256 a + (b + 128)`: one dual multiply-accumulate takes
//! both, one more the lower alone, and a difference gives the upper.
//!
//! Every leaf takes counts that are not zero.
#![allow(unsafe_code, reason = "naked functions")]

use core::arch::naked_asm;

use crate::backend::code_rows::masked_nibbles;

/// Logits of a block.
pub(super) const BLOCK: usize = 16;
/// Lengths of rows of blocks, up to 2^16, have no other bits.
pub(super) const COLS: usize = 0xFFF0;

/// The largest of `blocks` blocks of 16. 54 instructions a block.
///
/// Alignment: `ldm` of `x`, words by its type.
///
/// # Safety
/// `x` is valid for them, and there is one at least.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn max(x: *const i32, blocks: usize) -> i32 {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r9}}",
        "ldr r12, [r0]",
        "2:",
        ".rept 2",
        "ldm r0!, {{r2-r9}}",
        ".irp r, r2, r3, r4, r5, r6, r7, r8, r9",
        "cmp \\r, r12",
        "it gt",
        "movgt r12, \\r",
        ".endr",
        ".endr",
        "subs r1, #1",
        "bne 2b",
        "mov r0, r12",
        "pop {{r4-r9}}",
        "bx lr",
    )
}

/// 4-bit codes of `blocks` blocks of 16: `min((max - x) factor / 2^32 to nearest, 15)`. 68 instructions a block.
///
/// Alignment: `ldm` of `x`, words by its type. `y` may start anywhere: `str` takes any address.
///
/// # Safety
/// `x` is valid for them, `y` for 8 bytes a block, and there is one at least. `factor` is not negative.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn nibbles(x: *const i32, blocks: usize, max: i32, factor: i32, y: *mut u8) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r11, lr}}",
        "ldr r12, [sp, #36]",
        "2:",
        ".rept 2",
        "ldm r0!, {{r4-r11}}",
        ".irp r, r4, r5, r6, r7, r8, r9, r10, r11",
        "qsub \\r, r2, \\r",
        "smmulr \\r, \\r, r3",
        "usat \\r, #4, \\r",
        ".endr",
        "orr r4, r4, r5, lsl #4",
        "orr r4, r4, r6, lsl #8",
        "orr r4, r4, r7, lsl #12",
        "orr r4, r4, r8, lsl #16",
        "orr r4, r4, r9, lsl #20",
        "orr r4, r4, r10, lsl #24",
        "orr r4, r4, r11, lsl #28",
        "str r4, [r12], #4",
        ".endr",
        "subs r1, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// A row whose largest element is below -2^30: there `i32::MIN` need not be far from it.
///
/// # Safety
/// As [`rows`], of one row; `factor` is that of 2^32.
unsafe extern "C" fn rare_row(x: *const i32, blocks: usize, factor: i32, y: *mut u8) {
    // SAFETY: the caller's.
    let x = unsafe { core::slice::from_raw_parts(x, BLOCK * blocks) };
    // SAFETY: the caller's.
    let y = unsafe { core::slice::from_raw_parts_mut(y, BLOCK / 2 * blocks) };
    masked_nibbles(x, factor / 2, y);
}

/// Both of the above for `rows` rows of `blocks` blocks; `factor` is that of 2^31. 116 instructions a block.
///
/// Alignment: as [`nibbles`].
///
/// # Safety
/// `x` is valid for them, `y` for 8 bytes a block, and neither number is zero.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn rows(x: *const i32, blocks: usize, factor: i32, y: *mut u8, rows: usize) {
    naked_asm!(
        ".arch armv7e-m",
        ".macro scrimp_max",
        "ldm r0!, {{r4-r11}}",
        ".irp r, r4, r5, r6, r7, r8, r9, r10, r11",
        "cmp \\r, r12",
        "it gt",
        "movgt r12, \\r",
        ".endr",
        ".endm",
        ".macro scrimp_codes",
        "ldm r0!, {{r4-r11}}",
        ".irp r, r4, r5, r6, r7, r8, r9, r10, r11",
        "qsub \\r, r12, \\r",
        "smmulr \\r, \\r, r2",
        "usat \\r, #4, \\r",
        ".endr",
        "orr r4, r4, r5, lsl #4",
        "orr r4, r4, r6, lsl #8",
        "orr r4, r4, r7, lsl #12",
        "orr r4, r4, r8, lsl #16",
        "orr r4, r4, r9, lsl #20",
        "orr r4, r4, r10, lsl #24",
        "orr r4, r4, r11, lsl #28",
        "str r4, [r3], #4",
        ".endm",
        "push {{r4-r11, lr}}",
        // A high word is half of what the shift of 31 gives.
        "lsls r2, r2, #1",
        "1:",
        "mov r12, #0x80000000",
        "lsrs lr, r1, #1",
        "str r0, [sp, #-4]!",
        "bcc 2f",
        "scrimp_max",
        "scrimp_max",
        "cmp lr, #0",
        "beq 3f",
        "2:",
        "scrimp_max",
        "scrimp_max",
        "scrimp_max",
        "scrimp_max",
        "subs lr, #1",
        "bne 2b",
        "3:",
        "ldr r0, [sp], #4",
        "cmp r12, #0xC0000000",
        "blt 7f",
        "lsrs lr, r1, #1",
        "bcc 4f",
        "scrimp_codes",
        "scrimp_codes",
        "cmp lr, #0",
        "beq 6f",
        "4:",
        "scrimp_codes",
        "scrimp_codes",
        "scrimp_codes",
        "scrimp_codes",
        "subs lr, #1",
        "bne 4b",
        "6:",
        "ldr r12, [sp, #36]",
        "subs r12, #1",
        "str r12, [sp, #36]",
        "bne 1b",
        "pop {{r4-r11, pc}}",
        "7:",
        "sub sp, #4",
        "push {{r0-r3}}",
        "bl {rare_row}",
        "pop {{r0-r3}}",
        "add sp, #4",
        "add r0, r0, r1, lsl #6",
        "add r3, r3, r1, lsl #3",
        "b 6b",
        ".purgem scrimp_max",
        ".purgem scrimp_codes",
        rare_row = sym rare_row,
    )
}

/// Widens `words` words of four i8 each to pairs of halfwords (0, 2), (1, 3); gives the sum of all. 8 instructions a word.
///
/// Alignment: `x` may start anywhere: `ldr` takes any address; `strd` of `y`, words by its type.
///
/// # Safety
/// `x` is valid for the words, `y` for twice as many, and there is one at least.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn widen(x: *const i8, words: usize, y: *mut u32) -> i32 {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r6}}",
        "movs r6, #0",
        "mov r12, #0x00010001",
        "2:",
        "ldr r3, [r0], #4",
        "sxtb16 r4, r3",
        "sxtb16 r5, r3, ror #8",
        "smlad r6, r4, r12, r6",
        "smlad r6, r5, r12, r6",
        "strd r4, r5, [r2], #8",
        "subs r1, #1",
        "bne 2b",
        "mov r0, r6",
        "pop {{r4-r6}}",
        "bx lr",
    )
}

/// Products of a widened query with `groups` groups of 4 keys of `blocks` blocks of 16 channels. 59 instructions a block and
/// 20 a group.
///
/// Alignment: `ldm` and `stm` of words by their types, `ldm` and `strd` of the stack.
///
/// # Safety
/// `keys` is valid for 16 words a block and group, `query` for 8 a block, `y` for 4 a group, and no count is zero. `surplus` is
/// 128 times the query's sum.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn logits(
    keys: *const u32,
    query: *const u32,
    groups: usize,
    y: *mut i32,
    blocks: usize,
    surplus: i32,
) {
    naked_asm!(
        ".arch armv7e-m",
        ".macro scrimp_pairs a0, a1",
        "smlad r9, r4, \\a0, r9",
        "uxtb16 r4, r4",
        "smlad r8, r4, \\a0, r8",
        "smlad r11, r5, \\a0, r11",
        "uxtb16 r5, r5",
        "smlad r10, r5, \\a0, r10",
        "smlad r9, r6, \\a1, r9",
        "uxtb16 r6, r6",
        "smlad r8, r6, \\a1, r8",
        "smlad r11, r7, \\a1, r11",
        "uxtb16 r7, r7",
        "smlad r10, r7, \\a1, r10",
        ".endm",
        "push {{r4-r11, lr}}",
        "ldr r4, [sp, #36]",
        "ldr r5, [sp, #40]",
        "lsl r12, r4, #6",
        "push {{r1, r2, r3, r5, r12}}",
        "2:",
        "ldr r12, [sp, #16]",
        "add r12, r0, r12",
        "push {{r12}}",
        "mov r8, #0",
        "mov r9, #0",
        "mov r10, #0",
        "mov r11, #0",
        "3:",
        ".rept 2",
        "ldm r1!, {{r2, r3, r12, lr}}",
        "ldm r0!, {{r4-r7}}",
        "scrimp_pairs r2, r3",
        "ldm r0!, {{r4-r7}}",
        "scrimp_pairs r12, lr",
        ".endr",
        "ldr r4, [sp]",
        "cmp r0, r4",
        "bne 3b",
        "add sp, #4",
        "ldm sp, {{r1, r2, r3, r5}}",
        "sub r9, r9, r8",
        "sub r11, r11, r10",
        "asr r9, #8",
        "asr r11, #8",
        "sub r8, r8, r5",
        "sub r10, r10, r5",
        "stm r3!, {{r8-r11}}",
        "subs r2, #1",
        "strd r2, r3, [sp, #4]",
        "bne 2b",
        "add sp, #20",
        "pop {{r4-r11, pc}}",
        ".purgem scrimp_pairs",
    )
}

/// Weights of codes, two in a word; gives their sum. 8 instructions a byte.
///
/// Alignment: `codes` by bytes; `ldrh` of `table` and `str` of `y` by their types.
///
/// # Safety
/// `codes` is valid for `bytes` bytes, an even number that is not zero, `y` for as many words.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn weights(codes: *const u8, bytes: usize, table: *const [i16; 16], y: *mut u32) -> i32 {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r6}}",
        "movs r6, #0",
        "mov r12, #0x00010001",
        "2:",
        ".rept 2",
        "ldrb r4, [r0], #1",
        "and r5, r4, #15",
        "lsr r4, #4",
        "ldrh r5, [r2, r5, lsl #1]",
        "ldrh r4, [r2, r4, lsl #1]",
        "orr r5, r5, r4, lsl #16",
        "smlad r6, r5, r12, r6",
        "str r5, [r3], #4",
        ".endr",
        "subs r1, #2",
        "bne 2b",
        "mov r0, r6",
        "pop {{r4-r6}}",
        "bx lr",
    )
}

/// Keys of one call of [`product`], beyond which its sums may leave 32 bits.
pub(super) const MOST_KEYS: usize = 512;

/// Weights times values: `eights` times 8 keys, `groups` groups of 4 channels. 32 instructions for 8 keys and 4 channels, and 26 a
/// group.
///
/// Alignment: `ldrd` and `strd` of words by their types and of the stack.
///
/// # Safety
/// `weights` is valid for 4 words for 8 keys, `values` for 8 words for those and a group, `y` for 4 a group; no count is zero and
/// there are at most 512 keys. `surplus` is 128 times the sum of all weights, none of which is negative.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn product(
    weights: *const u32,
    values: *const u32,
    eights: usize,
    y: *mut i32,
    groups: usize,
    surplus: i32,
) {
    naked_asm!(
        ".arch armv7e-m",
        ".macro scrimp_pair t",
        "ldrd r10, r11, [r1], #8",
        "smlald r4, r5, r10, \\t",
        "uxtb16 r10, r10",
        "smlad r6, r10, \\t, r6",
        "smlald r7, r8, r11, \\t",
        "uxtb16 r11, r11",
        "smlad r9, r11, \\t, r9",
        ".endm",
        "push {{r4-r11, lr}}",
        "ldr r4, [sp, #36]",
        "ldr r5, [sp, #40]",
        "push {{r0, r2, r3, r4, r5}}",
        "2:",
        "mov r4, #0",
        "mov r5, #0",
        "mov r6, #0",
        "mov r7, #0",
        "mov r8, #0",
        "mov r9, #0",
        "3:",
        ".rept 2",
        "ldrd r12, lr, [r0], #8",
        "scrimp_pair r12",
        "scrimp_pair lr",
        ".endr",
        "subs r2, #1",
        "bne 3b",
        // The lower sums are below 2^32, and not negative.
        "ldrd r0, r12, [sp, #12]",
        "subs r4, r4, r6",
        "sbc r5, r5, #0",
        "lsr r4, #8",
        "orr r4, r4, r5, lsl #24",
        "subs r7, r7, r9",
        "sbc r8, r8, #0",
        "lsr r7, #8",
        "orr r7, r7, r8, lsl #24",
        "sub r6, r6, r12",
        "sub r9, r9, r12",
        "strd r6, r4, [r3], #8",
        "strd r9, r7, [r3], #8",
        "subs r12, r0, #1",
        "str r12, [sp, #12]",
        "ldrd r0, r2, [sp]",
        "bne 2b",
        "add sp, #20",
        "pop {{r4-r11, pc}}",
        ".purgem scrimp_pair",
    )
}
