//! The loops of `dot_rows` in assembly: four outputs at a time, which share words, sixteen inputs a turn.
//!
//! Two outputs in a halfword (`256 a + b + 128`): `smlad` with the word gives both sums mixed, `uxtb16` and `smlad` the sum of
//! `b` alone, so 3 instructions are 4 products. Four nibbles in a halfword: the same with masks, 7 for 8 products. Sums
//! that are mixed may wrap, as only their difference counts; hence at most [`BLOCK`] inputs at a time.
//!
//! Naked functions do not get the target's features from the compiler, hence `.arch` in each.
#![allow(unsafe_code, reason = "naked functions")]

use core::arch::naked_asm;

use crate::backend::dot_rows::Lines;

/// Inputs at a time: `BLOCK * 128 * 128` is below 2^23, as up to 496 would be; more would take too much stack.
pub(super) const BLOCK: usize = 256;

/// What a loop needs besides its pointers.
#[repr(C)]
pub(super) struct Turn {
    /// Bytes of one group's weights in this block.
    pub(super) bytes: u32,
    /// Bytes from there to the next group.
    pub(super) skip: u32,
    /// What is taken off the sums of offset weights, for each loop another multiple of the sum of activations.
    pub(super) less: i32,
    /// Lower plane.
    pub(super) low: *const u32,
    /// Half a step of the width in each byte.
    pub(super) half: u32,
    /// The width's bits in each byte.
    pub(super) mask: u32,
}

/// Widens `blocks` of 16 activations to halfwords, in the pairs (0, 2), (1, 3) of each four; gives their sum. 27
/// instructions a block.
///
/// Alignment: `x` may start anywhere: `ldr` takes any address; `strd` of `wide`, words by its type.
///
/// # Safety
/// `x` is valid for that many blocks, not none, `wide` for as many.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn widen(x: *const i8, blocks: usize, wide: *mut u32) -> i32 {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r6, lr}}",
        "movs r6, #0",
        "mov r12, #0x00010001",
        "2:",
        ".rept 4",
        "ldr r3, [r0], #4",
        "sxtb16 r4, r3",
        "sxtb16 r5, r3, ror #8",
        "smlad r6, r4, r12, r6",
        "smlad r6, r5, r12, r6",
        "strd r4, r5, [r2], #8",
        ".endr",
        "subs r1, #1",
        "bne 2b",
        "mov r0, r6",
        "pop {{r4-r6, pc}}",
    )
}

/// Both words of four activations of each of two rows, r4 and r5, and their sums.
macro_rules! widen_fours {
    () => {
        "sxtb16 r6, r4
        sxtb16 r7, r5
        sxtb16 r8, r4, ror #8
        sxtb16 r9, r5, ror #8
        smlad r10, r6, r12, r10
        smlad r11, r7, r12, r11
        smlad r10, r8, r12, r10
        smlad r11, r9, r12, r11
        stm r3!, {{r6-r9}}"
    };
}

/// Widens lines of activations of each of two rows, in the pairs of [`widen`]; a word of `x0` and a word of `x1` take turns.
/// Zeros stand behind a line up to a multiple of four. The sum of `x0` is the low half of the result, that of `x1` the high
/// one. 46 instructions for twice 16, 11 a line.
///
/// Alignment: `x0` and `x1` may start anywhere: `ldr` takes any address; `stm` of `wide`, words by its type, and so are those of
/// `lines` and the stack for `ldrd`.
///
/// # Safety
/// There is a line, none is empty, and all lines of a patch are within what `x0` and `x1` are valid for; `wide` is valid for as
/// many words as they have elements, each line rounded up to four.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn widen_two(x0: *const i8, x1: *const i8, lines: *const Lines, wide: *mut u32) -> u64 {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r11, lr}}",
        "ldrd r4, r5, [r2, #8]",
        "ldr r6, [r2]",
        "mov r2, r4",
        "sub r4, r6, r4",
        "push {{r4, r5}}",
        "mov r10, #0",
        "mov r11, #0",
        "mov r12, #0x00010001",
        "8:",
        "lsrs lr, r2, #4",
        "beq 3f",
        "2:",
        ".rept 4",
        "ldr r4, [r0], #4",
        "ldr r5, [r1], #4",
        widen_fours!(),
        ".endr",
        "subs lr, #1",
        "bne 2b",
        "3:",
        "ands lr, r2, #12",
        "beq 5f",
        "4:",
        "ldr r4, [r0], #4",
        "ldr r5, [r1], #4",
        widen_fours!(),
        "subs lr, #4",
        "bne 4b",
        "5:",
        "ands lr, r2, #3",
        "beq 7f",
        "ldrb r4, [r0]",
        "ldrb r5, [r1]",
        "cmp lr, #2",
        "blo 6f",
        "ldrb r6, [r0, #1]",
        "ldrb r7, [r1, #1]",
        "orr r4, r4, r6, lsl #8",
        "orr r5, r5, r7, lsl #8",
        "beq 6f",
        "ldrb r6, [r0, #2]",
        "ldrb r7, [r1, #2]",
        "orr r4, r4, r6, lsl #16",
        "orr r5, r5, r7, lsl #16",
        "6:",
        "add r0, lr",
        "add r1, lr",
        widen_fours!(),
        "7:",
        "ldrd r4, r5, [sp]",
        "add r0, r4",
        "add r1, r4",
        "subs r5, #1",
        "str r5, [sp, #4]",
        "bne 8b",
        "mov r0, r10",
        "mov r1, r11",
        "add sp, #8",
        "pop {{r4-r11, pc}}",
    )
}

/// Two outputs in each halfword of a word, for the two words that belong to one pair of activations.
macro_rules! two_words {
    ($w0:literal, $w1:literal, $x:literal) => {
        concat!(
            "smlad r9, ",
            $w0,
            ", ",
            $x,
            ", r9\n",
            "uxtb16 ",
            $w0,
            ", ",
            $w0,
            "\n",
            "smlad r8, ",
            $w0,
            ", ",
            $x,
            ", r8\n",
            "smlad r11, ",
            $w1,
            ", ",
            $x,
            ", r11\n",
            "uxtb16 ",
            $w1,
            ", ",
            $w1,
            "\n",
            "smlad r10, ",
            $w1,
            ", ",
            $x,
            ", r10\n"
        )
    };
}

/// The frame of all loops. Before the inner loop: r0 weights, r1 activations, r8 to r11 zero. Behind it: r2 to take
/// off, r8 to r11 the outputs, doubled.
///
/// On the stack: activations, `less`, bytes of a group, bytes between groups, groups, sums, end of the group's weights.
macro_rules! loop_of {
    ([$($before:literal),*], [$($inner:expr),* $(,)?], [$($after:literal),* $(,)?]) => {
        naked_asm!(
            ".arch armv7e-m",
            "push {{r4-r11, lr}}",
            "sub sp, #28",
            "ldr r4, [sp, #64]",
            "ldr r5, [r4, #8]",
            "str r1, [sp]",
            "str r5, [sp, #4]",
            "ldrd r6, r7, [r4]",
            "strd r6, r7, [sp, #8]",
            "strd r2, r3, [sp, #16]",
            $($before,)*
            "add r5, r0, r6",
            "str r5, [sp, #24]",
            "mov r8, #0",
            "3:",
            "mov r9, r8",
            "mov r10, r8",
            "mov r11, r8",
            "2:",
            $($inner,)*
            "ldr r4, [sp, #24]",
            "cmp r0, r4",
            "bne 2b",
            "ldm sp, {{r1, r2, r4, r5, r6, r7}}",
            $($after,)*
            "stm r7!, {{r8-r11}}",
            "mov r8, #0",
            "add r0, r5",
            "add r4, r0",
            "subs r6, #1",
            "str r4, [sp, #24]",
            "strd r6, r7, [sp, #16]",
            "bne 3b",
            "add sp, #28",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// 8-bit weights, the lower bytes with 128 added; takes off 256 times the sum. 57 instructions for 64 products.
///
/// Alignment: `ldm`, `stm` and `ldrd` of words by their types; the frame is words of the stack.
///
/// # Safety
/// `w` is valid for `groups` groups as `turn` says, not none and not of no bytes, `x` for as many pairs as a group has
/// words of two, `sums` for four elements a group.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn s8(w: *const u32, x: *const u32, groups: usize, sums: *mut i32, turn: *const Turn) {
    loop_of!(
        [],
        [
            "ldm r1!, {{r2, r3, r12, lr}}",
            "ldm r0!, {{r4-r7}}",
            two_words!("r4", "r5", "r2"),
            two_words!("r6", "r7", "r3"),
            "ldm r0!, {{r4-r7}}",
            two_words!("r4", "r5", "r12"),
            two_words!("r6", "r7", "lr"),
            "ldm r1!, {{r2, r3, r12, lr}}",
            "ldm r0!, {{r4-r7}}",
            two_words!("r4", "r5", "r2"),
            two_words!("r6", "r7", "r3"),
            "ldm r0!, {{r4-r7}}",
            two_words!("r4", "r5", "r12"),
            two_words!("r6", "r7", "lr"),
        ],
        [
            "sub r9, r9, r8",
            "sub r11, r11, r10",
            "asr r9, #7",
            "asr r11, #7",
            "rsb r8, r2, r8, lsl #1",
            "rsb r10, r2, r10, lsl #1",
        ]
    )
}

/// What a loop over one row needs besides its pointers.
#[repr(C)]
pub(super) struct TurnOfOne {
    /// Fours of inputs, not none.
    pub(super) fours: u32,
    /// Bytes from a group's weights to those of the next group.
    pub(super) skip: u32,
    /// 256 times the sum of the activations.
    pub(super) less: i32,
}

/// The loop over one row: r0 weights, r1 activations, r8 to r11 the sums. It is entered in its middle for what is no whole turn of
/// eight fours, which are `$bytes` of code each.
///
/// On the stack: activations, entry, their end, `less`, sums, skip, groups.
macro_rules! loop_of_one {
    ($bytes:literal, [$($clear:literal),*], [$($four:expr),* $(,)?], [$($after:literal),*]) => {
        naked_asm!(
            ".arch armv7e-m",
            "push {{r4-r11, lr}}",
            "ldr r4, [sp, #36]",
            "sub sp, #28",
            "ldm r4, {{r5, r6, r7}}",
            "adr.w r9, 2f",
            // Fours that the first turn leaves out.
            "rsb r10, r5, #0",
            "and r10, r10, #7",
            concat!("movs r11, #", $bytes),
            "mla r9, r10, r11, r9",
            "orr r9, r9, #1",
            "add r5, r1, r5, lsl #3",
            "strd r1, r9, [sp]",
            "strd r5, r7, [sp, #8]",
            "strd r3, r6, [sp, #16]",
            "str r2, [sp, #24]",
            "3:",
            "ldr r1, [sp]",
            "mov r8, #0",
            "mov r9, #0",
            $($clear,)*
            "ldr pc, [sp, #4]",
            ".p2align 2",
            "2:",
            ".rept 8",
            "ldm.w r1!, {{r2, r3}}",
            "ldm.w r0!, {{r4-r7}}",
            $($four,)*
            ".endr",
            "ldr r2, [sp, #8]",
            "cmp r1, r2",
            "bne.w 2b",
            "ldr r2, [sp, #12]",
            "sub r9, r9, r8",
            "asr r9, #7",
            "rsb r8, r2, r8, lsl #1",
            $($after,)*
            "ldrd r3, r4, [sp, #16]",
            "stm r3!, {{r8-r11}}",
            "str r3, [sp, #16]",
            "add r0, r4",
            "ldr r2, [sp, #24]",
            "subs r2, #1",
            "str r2, [sp, #24]",
            "bne.w 3b",
            "add sp, #28",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// As [`s8`], by fours of inputs. 115 instructions for 128 products, 28 for four sums.
///
/// Alignment: as [`s8`].
///
/// # Safety
/// `w` is valid for `groups` groups as `turn` says, not none, `x` for two words for each four of inputs, `sums` for four elements a
/// group.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn s8_one(
    w: *const u32,
    x: *const u32,
    groups: usize,
    sums: *mut i32,
    turn: *const TurnOfOne,
) {
    loop_of_one!(
        "56",
        ["mov r10, #0", "mov r11, #0"],
        [two_words!("r4", "r5", "r2"), two_words!("r6", "r7", "r3"),],
        ["sub r11, r11, r10", "asr r11, #7", "rsb r10, r2, r10, lsl #1"]
    )
}

/// [`s8_one`] of which only the first two outputs of a group count. 67 instructions for 64 products.
///
/// Alignment: as [`s8`].
///
/// # Safety
/// As [`s8_one`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn s8_one_pair(
    w: *const u32,
    x: *const u32,
    groups: usize,
    sums: *mut i32,
    turn: *const TurnOfOne,
) {
    loop_of_one!(
        "32",
        [],
        [
            "smlad r9, r4, r2, r9",
            "uxtb16 r4, r4",
            "smlad r8, r4, r2, r8",
            "smlad r9, r6, r3, r9",
            "uxtb16 r6, r6",
            "smlad r8, r6, r3, r8",
        ],
        []
    )
}

/// [`widen`] of any number of activations; zeros stand behind them up to a multiple of four. 27 instructions for 16.
///
/// Alignment: as [`widen`].
///
/// # Safety
/// `x` is valid for `n` elements, not none, `wide` for as many words of two, rounded up to four elements.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn widen_row(x: *const i8, n: usize, wide: *mut u32) -> i32 {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r6, lr}}",
        "movs r6, #0",
        "mov r12, #0x00010001",
        "lsrs lr, r1, #4",
        "beq 3f",
        "2:",
        ".rept 4",
        "ldr r3, [r0], #4",
        "sxtb16 r4, r3",
        "sxtb16 r5, r3, ror #8",
        "smlad r6, r4, r12, r6",
        "smlad r6, r5, r12, r6",
        "strd r4, r5, [r2], #8",
        ".endr",
        "subs lr, #1",
        "bne 2b",
        "3:",
        "ands lr, r1, #12",
        "beq 5f",
        "4:",
        "ldr r3, [r0], #4",
        "sxtb16 r4, r3",
        "sxtb16 r5, r3, ror #8",
        "smlad r6, r4, r12, r6",
        "smlad r6, r5, r12, r6",
        "strd r4, r5, [r2], #8",
        "subs lr, #4",
        "bne 4b",
        "5:",
        "ands r1, r1, #3",
        "beq 7f",
        "ldrb r3, [r0]",
        "cmp r1, #2",
        "blo 6f",
        "ldrb r4, [r0, #1]",
        "orr r3, r3, r4, lsl #8",
        "beq 6f",
        "ldrb r4, [r0, #2]",
        "orr r3, r3, r4, lsl #16",
        "6:",
        "sxtb16 r4, r3",
        "sxtb16 r5, r3, ror #8",
        "smlad r6, r4, r12, r6",
        "smlad r6, r5, r12, r6",
        "strd r4, r5, [r2]",
        "7:",
        "mov r0, r6",
        "pop {{r4-r6, pc}}",
    )
}

/// What a loop over two rows needs besides its pointers.
#[repr(C)]
pub(super) struct TurnOfTwo {
    /// Fours of inputs in this block, not none.
    pub(super) fours: u32,
    /// Bytes from a group's weights in this block to those of the next group.
    pub(super) skip: u32,
    /// 256 times the sum of each row's activations.
    pub(super) less: [i32; 2],
}

/// A word of two outputs times the pairs r2, r3 of two rows; `$low0` to `$mixed1` are the sums of the rows.
macro_rules! two_rows {
    ($w:literal, $low0:literal, $low1:literal, $mixed0:literal, $mixed1:literal) => {
        concat!(
            "smlad ", $mixed0, ", ", $w, ", r2, ", $mixed0, "\n", "smlad ", $mixed1, ", ", $w, ", r3, ", $mixed1, "\n",
            "uxtb16 ", $w, ", ", $w, "\n", "smlad ", $low0, ", ", $w, ", r2, ", $low0, "\n", "smlad ", $low1, ", ", $w,
            ", r3, ", $low1, "\n",
        )
    };
}

/// The same for the first pair.
macro_rules! two_first_rows {
    ($w:literal, $low0:literal, $low1:literal, $mixed0:literal, $mixed1:literal) => {
        concat!(
            "smuad ", $mixed0, ", ", $w, ", r2\n", "smuad ", $mixed1, ", ", $w, ", r3\n", "uxtb16 ", $w, ", ", $w,
            "\n", "smuad ", $low0, ", ", $w, ", r2\n", "smuad ", $low1, ", ", $w, ", r3\n",
        )
    };
}

/// The loop over two rows: r0 weights, r1 activations, r4 to r11 the sums, of each output both rows side by side. The first pair
/// stands before it, so that no sum needs to be cleared; it is entered in its middle for what is no whole turn of eight pairs,
/// which are 48 bytes of code each.
///
/// On the stack: activations, entry, `less` twice, end of the activations, sums, their end, skip.
macro_rules! loop_of_two {
    ([$($after:literal),* $(,)?]) => {
        naked_asm!(
            ".arch armv7e-m",
            "push {{r4-r11, lr}}",
            "ldr r4, [sp, #36]",
            "sub sp, #32",
            "ldm r4, {{r5, r6, r7, r8}}",
            "adr.w r9, 2f",
            // Pairs but the first that the first turn leaves out.
            "mvn r10, #0",
            "sub r10, r10, r5, lsl #1",
            "adds r10, #2",
            "and r10, r10, #7",
            "movs r11, #48",
            "mla r9, r10, r11, r9",
            "orr r9, r9, #1",
            "add r5, r1, r5, lsl #4",
            "strd r1, r9, [sp]",
            "strd r7, r8, [sp, #8]",
            "add r2, r3, r2, lsl #5",
            "strd r5, r3, [sp, #16]",
            "strd r2, r6, [sp, #24]",
            "3:",
            "ldr r1, [sp]",
            "ldrd r2, r3, [r1], #8",
            "ldrd r12, lr, [r0], #8",
            two_first_rows!("r12", "r4", "r5", "r6", "r7"),
            two_first_rows!("lr", "r8", "r9", "r10", "r11"),
            "ldr pc, [sp, #4]",
            ".p2align 2",
            "2:",
            ".rept 8",
            "ldrd r2, r3, [r1], #8",
            "ldrd r12, lr, [r0], #8",
            two_rows!("r12", "r4", "r5", "r6", "r7"),
            two_rows!("lr", "r8", "r9", "r10", "r11"),
            ".endr",
            "ldr r2, [sp, #16]",
            "cmp r1, r2",
            "bne.w 2b",
            "ldrd r2, r3, [sp, #8]",
            "sub r6, r6, r4",
            "sub r7, r7, r5",
            "sub r10, r10, r8",
            "sub r11, r11, r9",
            "asr r6, #7",
            "asr r7, #7",
            "asr r10, #7",
            "asr r11, #7",
            "rsb r4, r2, r4, lsl #1",
            "rsb r5, r3, r5, lsl #1",
            "rsb r8, r2, r8, lsl #1",
            "rsb r9, r3, r9, lsl #1",
            "ldr r3, [sp, #20]",
            $($after,)*
            "stm r3!, {{r4-r11}}",
            "ldrd r2, r12, [sp, #24]",
            "str r3, [sp, #20]",
            "add r0, r12",
            "cmp r3, r2",
            "bne.w 3b",
            "add sp, #32",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// As [`s8`] for two rows side by side, which share the weights; 99 instructions for 128 products.
///
/// Alignment: as [`s8`].
///
/// # Safety
/// `w` is valid for `groups` groups as `turn` says, not none, `x` for as many pairs of both rows as a group has, `sums` for
/// eight elements a group: of each output the doubled sums of both rows.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn s8_two(
    w: *const u32,
    x: *const u32,
    groups: usize,
    sums: *mut i32,
    turn: *const TurnOfTwo,
) {
    loop_of_two!([])
}

/// [`s8_two`] on top of what stands in `sums`.
///
/// Alignment: as [`s8_two`].
///
/// # Safety
/// As [`s8_two`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn add_s8_two(
    w: *const u32,
    x: *const u32,
    groups: usize,
    sums: *mut i32,
    turn: *const TurnOfTwo,
) {
    loop_of_two!([
        "ldm r3, {{r1, r2, r12, lr}}",
        "add r4, r1",
        "add r5, r2",
        "add r6, r12",
        "add r7, lr",
        "add lr, r3, #16",
        "ldm lr, {{r1, r2, r12, lr}}",
        "add r8, r1",
        "add r9, r2",
        "add r10, r12",
        "add r11, lr",
    ])
}

/// As [`s8`] for weights as they are, the lower bytes made so on the way. 73 instructions for 64 products.
///
/// Alignment: as [`s8`].
///
/// # Safety
/// As [`s8`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn raw8(w: *const u32, x: *const u32, groups: usize, sums: *mut i32, turn: *const Turn) {
    loop_of!(
        [],
        [
            ".rept 4",
            "ldrd r2, r3, [r1], #8",
            "ldm r0!, {{r4-r7}}",
            "eor r4, #0x00800080",
            "eor r5, #0x00800080",
            "eor r6, #0x00800080",
            "eor r7, #0x00800080",
            two_words!("r4", "r5", "r2"),
            two_words!("r6", "r7", "r3"),
            ".endr",
        ],
        [
            "sub r9, r9, r8",
            "sub r11, r11, r10",
            "asr r9, #7",
            "asr r11, #7",
            "rsb r8, r2, r8, lsl #1",
            "rsb r10, r2, r10, lsl #1",
        ]
    )
}

/// As [`raw8`], the weights rounded to a width on the way. 107 instructions for 64 products.
///
/// Alignment: as [`s8`].
///
/// # Safety
/// As [`s8`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn rounded(
    w: *const u32,
    x: *const u32,
    groups: usize,
    sums: *mut i32,
    turn: *const Turn,
) {
    loop_of!(
        ["ldrd r12, lr, [r4, #16]"],
        [
            ".rept 4",
            "ldrd r2, r3, [r1], #8",
            "ldm r0!, {{r4-r7}}",
            ".irp w, r4, r5, r6, r7",
            "qadd8 \\w, \\w, r12",
            "and \\w, \\w, lr",
            "eor \\w, #0x00800080",
            ".endr",
            two_words!("r4", "r5", "r2"),
            two_words!("r6", "r7", "r3"),
            ".endr",
        ],
        [
            "sub r9, r9, r8",
            "sub r11, r11, r10",
            "asr r9, #7",
            "asr r11, #7",
            "rsb r8, r2, r8, lsl #1",
            "rsb r10, r2, r10, lsl #1",
        ]
    )
}

/// Four outputs in each halfword of a word.
macro_rules! four_outputs {
    ($w:literal, $x:literal) => {
        concat!(
            "smlad r11, ",
            $w,
            ", ",
            $x,
            ", r11\n",
            "and ",
            $w,
            ", ",
            $w,
            ", r3\n",
            "smlad r10, ",
            $w,
            ", ",
            $x,
            ", r10\n",
            "uxtb16 ",
            $w,
            ", ",
            $w,
            "\n",
            "smlad r9, ",
            $w,
            ", ",
            $x,
            ", r9\n",
            "and ",
            $w,
            ", ",
            $w,
            ", #0x000F000F\n",
            "smlad r8, ",
            $w,
            ", ",
            $x,
            ", r8\n"
        )
    };
}

/// The loop over words of four outputs, each of them first changed by `$change`.
macro_rules! nibbles {
    ([$($change:literal),*], [$($after:literal),* $(,)?]) => {
        loop_of!(
            ["movw r3, #0x0FFF", "movt r3, #0x0FFF"],
            [
                ".rept 2",
                "ldm r0!, {{r4-r7}}",
                $($change,)*
                "ldrd r2, r12, [r1], #8",
                four_outputs!("r4", "r2"),
                four_outputs!("r5", "r12"),
                "ldrd r2, r12, [r1], #8",
                four_outputs!("r6", "r2"),
                four_outputs!("r7", "r12"),
                ".endr",
            ],
            [$($after),*]
        )
    };
}

/// 4-bit weights, the lower three of four with 8 added; takes off 16 times the sum. 65 instructions for 64 products.
///
/// Alignment: as [`s8`].
///
/// # Safety
/// As [`s8`], with words of four outputs.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn s4(w: *const u32, x: *const u32, groups: usize, sums: *mut i32, turn: *const Turn) {
    nibbles!(
        [],
        [
            "sub r11, r11, r10",
            "sub r10, r10, r9",
            "sub r9, r9, r8",
            "asr r11, #11",
            "rsb r10, r2, r10, asr #7",
            "rsb r9, r2, r9, asr #3",
            "rsb r8, r2, r8, lsl #1",
        ]
    )
}

/// As [`s4`] for a lower plane, where all four nibbles have 8 added. 73 instructions for 64 products.
///
/// Alignment: as [`s8`].
///
/// # Safety
/// As [`s4`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn residuals(
    w: *const u32,
    x: *const u32,
    groups: usize,
    sums: *mut i32,
    turn: *const Turn,
) {
    nibbles!(
        ["eor r4, #0x80008000", "eor r5, #0x80008000", "eor r6, #0x80008000", "eor r7, #0x80008000"],
        [
            "sub r11, r11, r10",
            "sub r10, r10, r9",
            "sub r9, r9, r8",
            "asr r11, #11",
            "rsb r10, r2, r10, asr #7",
            "rsb r9, r2, r9, asr #3",
            "rsb r8, r2, r8, lsl #1",
        ]
    )
}

/// The upper plane of nested weights, on the scale of 8 bits; takes off 256 times the sum. 65 instructions for 64 products.
///
/// Alignment: as [`s8`].
///
/// # Safety
/// As [`s4`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn nest4(w: *const u32, x: *const u32, groups: usize, sums: *mut i32, turn: *const Turn) {
    nibbles!(
        [],
        [
            "sub r11, r11, r10",
            "sub r10, r10, r9",
            "sub r9, r9, r8",
            "asr r11, #7",
            "rsb r10, r2, r10, asr #3",
            "rsb r9, r2, r9, lsl #1",
            "rsb r8, r2, r8, lsl #5",
        ]
    )
}

/// Both planes of one word merged to bytes: of outputs 3 and 1, then of 2 and 0.
macro_rules! merged {
    ($high:literal, $low:literal, $x:literal) => {
        concat!(
            "eor r12, ",
            $high,
            ", ",
            $low,
            ", lsr #4\n",
            "and r12, r12, #0x0F0F0F0F\n",
            "eor r12, ",
            $high,
            ", r12\n",
            "smlad r11, r12, ",
            $x,
            ", r11\n",
            "uxtb16 r12, r12\n",
            "smlad r9, r12, ",
            $x,
            ", r9\n",
            "eor r12, ",
            $low,
            ", ",
            $high,
            ", lsl #4\n",
            "and r12, r12, #0xF0F0F0F0\n",
            "eor r12, ",
            $low,
            ", r12\n",
            "eor r12, r12, #0x80008000\n",
            "smlad r10, r12, ",
            $x,
            ", r10\n",
            "uxtb16 r12, r12\n",
            "smlad r8, r12, ",
            $x,
            ", r8\n"
        )
    };
}

/// Nested weights at 8 bits; takes off 16 and 272 times the sum, `turn.less` being 16 times. 119 instructions for 64
/// products.
///
/// Alignment: as [`s8`]; `ldrd` of the lower plane too.
///
/// # Safety
/// As [`s4`], and `turn.low` is the lower plane, as long as the upper one.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn nest8(w: *const u32, x: *const u32, groups: usize, sums: *mut i32, turn: *const Turn) {
    loop_of!(
        ["ldr lr, [r4, #12]"],
        [
            ".rept 4",
            "ldrd r4, r5, [r0], #8",
            "ldrd r6, r7, [lr], #8",
            "ldrd r2, r3, [r1], #8",
            merged!("r4", "r6", "r2"),
            merged!("r5", "r7", "r3"),
            ".endr",
        ],
        [
            // The planes keep step.
            "add lr, r5",
            "add r3, r2, r2, lsl #4",
            "sub r11, r11, r9",
            "sub r10, r10, r8",
            "rsb r11, r2, r11, asr #7",
            "rsb r10, r2, r10, asr #7",
            "rsb r9, r3, r9, lsl #1",
            "rsb r8, r3, r8, lsl #1",
        ]
    )
}

/// [`merged`] bytes rounded, between two words: all signed, then the lower ones of a halfword with 128 added.
macro_rules! merged_rounded {
    ($high:literal, $low:literal, $x:literal) => {
        concat!(
            "eor r12, ",
            $high,
            ", ",
            $low,
            ", lsr #4\nand r12, r12, #0x0F0F0F0F\neor r12, ",
            $high,
            ", r12\n",
            "eor r12, r12, #0x00800080\nqadd8 r12, r12, r5\nand r12, r12, r7\neor r12, r12, #0x00800080\n",
            "smlad r11, r12, ",
            $x,
            ", r11\nuxtb16 r12, r12\nsmlad r9, r12, ",
            $x,
            ", r9\n",
            "eor r12, ",
            $low,
            ", ",
            $high,
            ", lsl #4\nand r12, r12, #0xF0F0F0F0\neor r12, ",
            $low,
            ", r12\n",
            "eor r12, r12, #0x80808080\nqadd8 r12, r12, r5\nand r12, r12, r7\neor r12, r12, #0x00800080\n",
            "smlad r10, r12, ",
            $x,
            ", r10\nuxtb16 r12, r12\nsmlad r8, r12, ",
            $x,
            ", r8\n"
        )
    };
}

/// Nested weights rounded to a width on the way; `turn.half` is 8 less, which the nibbles have added; takes off 256 times the
/// sum. 189 instructions for 64 products.
///
/// Alignment: as [`nest8`].
///
/// # Safety
/// As [`nest8`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn nest_rounded(
    w: *const u32,
    x: *const u32,
    groups: usize,
    sums: *mut i32,
    turn: *const Turn,
) {
    loop_of!(
        ["ldr lr, [r4, #12]"],
        [
            // The frame's end takes both registers.
            "ldr r5, [sp, #64]",
            "ldrd r5, r7, [r5, #16]",
            ".rept 8",
            "ldr r4, [r0], #4",
            "ldr r6, [lr], #4",
            "ldr r2, [r1], #4",
            merged_rounded!("r4", "r6", "r2"),
            ".endr",
        ],
        [
            // The planes keep step.
            "add lr, r5",
            "sub r11, r11, r9",
            "sub r10, r10, r8",
            "asr r11, #7",
            "asr r10, #7",
            "rsb r9, r2, r9, lsl #1",
            "rsb r8, r2, r8, lsl #1",
        ]
    )
}

/// What outputs are made with.
#[repr(C)]
pub(super) struct Tables {
    pub(super) bias: *const i32,
    pub(super) mantissa: *const i32,
    pub(super) shift: *const i8,
    /// Twice the output's zero point, and 1.
    pub(super) twice_offset: i32,
}

/// Outputs of doubled sums, as i8 without a further clamp. 51 instructions for 4 outputs.
///
/// SRDHM is `smmul` of the doubled sum with rounding; what RDPOT adds before its shift, less 1 if the product is negative,
/// and the zero point ride in the accumulator of `smmlar`; the last place of the shift is the one of `ssat`.
///
/// Alignment: `ldm` of `tables`, `ldrd` of `sums` and biases, words by their types; shifts and `y` by bytes.
///
/// # Safety
/// `sums` and `y` are valid for `fours` of four, not none, and so are the tables. Shifts are -22 to -1, and no sum with its
/// bias reaches 2^30.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn outputs(sums: *const i32, y: *mut i8, fours: usize, tables: *const Tables) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r11, lr}}",
        "mov r7, r2",
        "ldm r3, {{r3, r4, r5, r6}}",
        "2:",
        ".rept 2",
        "ldrd r9, r10, [r0], #8",
        "ldrd r11, r12, [r3], #8",
        "add r9, r9, r11, lsl #1",
        "add r10, r10, r12, lsl #1",
        ".irp v, r9, r10",
        "ldr r11, [r4], #4",
        "ldrsb lr, [r5], #1",
        "eor r2, \\v, r11",
        "mvn lr, lr",
        "lsl r12, r6, lr",
        "add r12, r12, r2, asr #31",
        "smmlar \\v, \\v, r11, r12",
        "asr \\v, lr",
        "ssat \\v, #8, \\v, asr #1",
        "strb \\v, [r1], #1",
        ".endr",
        ".endr",
        "subs r7, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// [`outputs`] of an output of two rows; `$nudge` puts into lr what is added to the sum `$v`.
macro_rules! output_of_two {
    ([$($nudge:literal),*], $c:literal) => {
        concat!(
            "ldrd r8, r9, [r0], #8\n",
            "ldr r10, [r3], #4\n",
            "add r8, r8, r10, lsl #1\n",
            "add r9, r9, r10, lsl #1\n",
            "ldr r10, [r4], #4\n",
            "ldrsb r11, [r5], #1\n",
            "mvn r11, r11\n",
            "lsl r12, r6, r11\n",
            $("eor lr, r8, r10\n", $nudge, "\n",)*
            "smmlar r8, r8, r10, ", $c, "\n",
            $("eor lr, r9, r10\n", $nudge, "\n",)*
            "smmlar r9, r9, r10, ", $c, "\n",
            "asr r8, r11\n",
            "asr r9, r11\n",
            "ssat r8, #8, r8, asr #1\n",
            "ssat r9, #8, r9, asr #1\n",
            "strb r8, [r1], #1\n",
            "strb r9, [r2], #1\n",
        )
    };
}

macro_rules! outputs_of_two {
    ([$($nudge:literal),*], $c:literal) => {
        naked_asm!(
            ".arch armv7e-m",
            "push {{r4-r11, lr}}",
            "mov r7, r3",
            "ldr r3, [sp, #36]",
            "ldm r3, {{r3, r4, r5, r6}}",
            "subs r7, #4",
            "blo 3f",
            "2:",
            ".rept 4",
            output_of_two!([$($nudge),*], $c),
            ".endr",
            "subs r7, #4",
            "bhs 2b",
            "3:",
            "adds r7, #4",
            "beq 5f",
            "4:",
            output_of_two!([$($nudge),*], $c),
            "subs r7, #1",
            "bne 4b",
            "5:",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// [`outputs`] of two rows, whose doubled sums stand side by side. 83 instructions for twice 4 outputs.
///
/// Alignment: as [`outputs`].
///
/// # Safety
/// `sums` are valid for two of each of `n` outputs, `y0`, `y1` and the tables for `n`. Shifts and sums as [`outputs`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn outputs_two(
    sums: *const i32,
    y0: *mut i8,
    y1: *mut i8,
    n: usize,
    tables: *const Tables,
) {
    outputs_of_two!(["add lr, r12, lr, asr #31"], "lr")
}

/// [`outputs_two`] where no output is below the zero point: negative products round to one that is not above it, and are clamped
/// whichever way they round. 67 instructions for twice 4 outputs.
///
/// Alignment: as [`outputs`].
///
/// # Safety
/// As [`outputs_two`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn outputs_two_above(
    sums: *const i32,
    y0: *mut i8,
    y1: *mut i8,
    n: usize,
    tables: *const Tables,
) {
    outputs_of_two!([], "r12")
}

/// One multiplier for all outputs.
#[repr(C)]
pub(super) struct One {
    pub(super) mantissa: i32,
    /// The output's offset and half a step, both shifted to the left as a product is.
    pub(super) half: i32,
    /// To the right, 1 to 22.
    pub(super) right: u32,
}

/// [`outputs`] with one multiplier, of any number of sums. 8 instructions each.
///
/// Alignment: `ldm` of `one`, `ldrd` and `ldr` of `sums` and `bias`, words by their types; `y` by bytes.
///
/// # Safety
/// `sums`, `bias` and `y` are valid for `n`, not none; no sum with its bias reaches 2^30. The mantissa is positive.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn outputs_one(sums: *const i32, bias: *const i32, y: *mut i8, n: usize, one: *const One) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r10, lr}}",
        "ldr r4, [sp, #32]",
        "ldm r4, {{r4, r5, r6}}",
        "subs r3, #2",
        "blo 3f",
        "2:",
        "ldrd r7, r8, [r0], #8",
        "ldrd r9, r10, [r1], #8",
        "add r7, r7, r9, lsl #1",
        "add r8, r8, r10, lsl #1",
        "add r9, r5, r7, asr #31",
        "add r10, r5, r8, asr #31",
        "smmlar r7, r7, r4, r9",
        "smmlar r8, r8, r4, r10",
        "asr r7, r6",
        "asr r8, r6",
        "ssat r7, #8, r7",
        "ssat r8, #8, r8",
        "strb r7, [r2], #1",
        "strb r8, [r2], #1",
        "subs r3, #2",
        "bhs 2b",
        "3:",
        "adds r3, #1",
        "bne 4f",
        "ldr r7, [r0]",
        "ldr r9, [r1]",
        "add r7, r7, r9, lsl #1",
        "add r9, r5, r7, asr #31",
        "smmlar r7, r7, r4, r9",
        "asr r7, r6",
        "ssat r7, #8, r7",
        "strb r7, [r2]",
        "4:",
        "pop {{r4-r10, pc}}",
    )
}

/// One multiplier for all.
#[repr(C)]
pub(super) struct Scale {
    pub(super) mantissa: i32,
    /// To the left, before the product.
    pub(super) left: u32,
    /// Half a step of the shift to the right.
    pub(super) half: i32,
    /// To the right, at most 22.
    pub(super) right: u32,
    /// -1 if there is one.
    pub(super) nudge: i32,
}

/// Doubled sums with their biases, both roundings as in [`outputs`]. 8.5 instructions each.
///
/// Alignment: `ldm` of `scale`, `ldr` and `str` of `sums`, `bias` and `y`, words by their types.
///
/// # Safety
/// `sums`, `bias` and `y` are valid for `n`, not none; no sum with its bias, shifted to the left, reaches 2^30.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn scaled(sums: *const i32, bias: *const i32, y: *mut i32, n: usize, scale: *const Scale) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r11, lr}}",
        "ldr r4, [sp, #36]",
        "ldm r4, {{r4, r5, r6, r7, r8}}",
        "subs r3, #2",
        "blo 3f",
        "2:",
        "ldrd r9, r10, [r0], #8",
        "ldrd r11, r12, [r1], #8",
        "add r9, r9, r11, lsl #1",
        "add r10, r10, r12, lsl #1",
        "lsl r9, r9, r5",
        "lsl r10, r10, r5",
        "and r11, r8, r9, asr #31",
        "and r12, r8, r10, asr #31",
        "add r11, r6",
        "add r12, r6",
        "smmlar r9, r9, r4, r11",
        "smmlar r10, r10, r4, r12",
        "asr r9, r7",
        "asr r10, r7",
        "strd r9, r10, [r2], #8",
        "subs r3, #2",
        "bhs 2b",
        "3:",
        "adds r3, #1",
        "bne 4f",
        "ldr r9, [r0]",
        "ldr r11, [r1]",
        "add r9, r9, r11, lsl #1",
        "lsl r9, r9, r5",
        "and r11, r8, r9, asr #31",
        "add r11, r6",
        "smmlar r9, r9, r4, r11",
        "asr r9, r7",
        "str r9, [r2]",
        "4:",
        "pop {{r4-r11, pc}}",
    )
}

/// Copies lines: 10 instructions for 16 bytes, 4 for what is left of words and of bytes, 13 a line, 6 a patch.
///
/// Alignment: `ldr` and `str` take any address; `ldm` of `lines`, words by their types.
///
/// # Safety
/// There is a line, none is empty, and all of them are within what `from` and `to` are valid for.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn copy_lines(from: *const i8, to: *mut i8, lines: *const Lines) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r11, lr}}",
        "mov lr, r2",
        "ldm lr!, {{r2, r3, r4, r5}}",
        "ldr r11, [lr]",
        "lsr r6, r4, #4",
        "ubfx r7, r4, #2, #2",
        "and r4, r4, #3",
        "9:",
        "push {{r0, r1, r5, r11}}",
        "2:",
        "mov r8, r0",
        "mov r9, r1",
        "movs r10, r6",
        "beq 4f",
        "3:",
        ".rept 4",
        "ldr r11, [r8], #4",
        "str r11, [r9], #4",
        ".endr",
        "subs r10, #1",
        "bne 3b",
        "4:",
        "movs r10, r7",
        "beq 6f",
        "5:",
        "ldr r11, [r8], #4",
        "str r11, [r9], #4",
        "subs r10, #1",
        "bne 5b",
        "6:",
        "movs r10, r4",
        "beq 8f",
        "7:",
        "ldrb r11, [r8], #1",
        "strb r11, [r9], #1",
        "subs r10, #1",
        "bne 7b",
        "8:",
        "add r0, r2",
        "add r1, r3",
        "subs r5, #1",
        "bne 2b",
        "pop {{r0, r1, r5, r11}}",
        "ldrd r8, r9, [lr, #4]",
        "add r0, r8",
        "add r1, r9",
        "subs r11, #1",
        "bne 9b",
        "pop {{r4-r11, pc}}",
    )
}
