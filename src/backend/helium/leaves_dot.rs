//! The loops of `dot_rows` in assembly: eight outputs at a time, each with an accumulator in an even register, sixteen
//! inputs a block. `vmlava.s8` is sixteen products.
//!
//! The accumulators start from what is in `start` (one `ldm`) and go to `sums` (one `stm`), which may be the same. A loop over several blocks is
//! entered in its middle for what is not a whole turn, so any number of blocks costs the same.
//!
//! Naked functions do not get the target's features from the compiler, hence `.cpu` in each.
#![allow(unsafe_code, reason = "naked functions")]

use core::arch::naked_asm;

use crate::backend::dot_rows::Lines;

/// What a loop needs besides its pointers.
#[repr(C)]
pub(super) struct Turn {
    /// Blocks of sixteen inputs, not none.
    pub(super) blocks: u32,
    /// Bytes from a group's last block to the next group; of bytes those of four outputs.
    pub(super) skip: u32,
    /// End of the sums.
    pub(super) end: *mut i32,
    /// Where the loop reads its second operand: the lower plane.
    pub(super) low: *const u32,
    /// Half a step of the width in the lowest byte.
    pub(super) half: u32,
    /// The width's bits in the lowest byte.
    pub(super) mask: u32,
    /// What all accumulators start from, where that is not `start`.
    pub(super) first: i32,
    /// Inputs behind the blocks, fewer than sixteen; loops over bytes only.
    pub(super) tail: u32,
}

/// The frame of all loops: r1 weights, r3 activations, r5 turns, r7 start, r9 sums; r11 for the inner loop.
///
/// `$bytes` is the length of one block's code, of which `$unroll` make a turn. On the stack: activations, turns, entry, end
/// of the sums, skip, first, eight words of room.
macro_rules! loop_of {
    (
        $unroll:literal, $bytes:literal, [$($before:literal),*], [$($start:literal),*], [$($inner:expr),* $(,)?],
        [$($after:literal),* $(,)?], [$($restore:literal),*]
    ) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r11, lr}}",
            "ldr r4, [sp, #36]",
            // Turns, and how many blocks the first one leaves out.
            "ldrd r5, r6, [r4]",
            concat!("add r8, r5, #", $unroll, " - 1"),
            concat!("movs r10, #", $unroll),
            "udiv r8, r8, r10",
            "mul r10, r8, r10",
            "sub r10, r10, r5",
            concat!("movs r11, #", $bytes),
            "adr.w r12, 2f",
            "mla r10, r10, r11, r12",
            "orr r10, r10, #1",
            "ldr r11, [r4, #8]",
            "ldr r12, [r4, #24]",
            "sub sp, #56",
            "strd r0, r8, [sp]",
            "strd r10, r11, [sp, #8]",
            "strd r6, r12, [sp, #16]",
            "mov r7, r2",
            "mov r9, r3",
            "ldr r11, [r4, #12]",
            $($before,)*
            ".p2align 2",
            "3:",
            $($start,)*
            "ldrd r3, r5, [sp]",
            "ldr pc, [sp, #8]",
            ".p2align 2",
            "2:",
            concat!(".rept ", $unroll),
            $($inner,)*
            ".endr",
            "subs r5, #1",
            "bne.w 2b",
            $($after,)*
            "ldr r5, [sp, #16]",
            "add r1, r5",
            "ldr r5, [sp, #12]",
            "cmp r9, r5",
            "bne.w 3b",
            $($restore,)*
            "add sp, #56",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// The frame of loops over bytes: r1 and r11 the weights of four outputs each, r3 activations, r5 turns, r7 start, r9 sums.
///
/// `$block` are the instructions behind the load of sixteen activations to q0, `$bytes` long with it; `$unroll` of them make
/// a turn. The last block, if it is no whole one, has zeros for what is not there. On the stack: activations, turns, entry,
/// end of the sums, bytes of four outputs, elements of the last block, two words more.
macro_rules! bytes_of {
    ($unroll:literal, $bytes:literal, $skip:literal, [$($before:literal),*], [$($block:expr),* $(,)?]) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r11, lr}}",
            "ldr r4, [sp, #36]",
            // Turns, and how many blocks the first one leaves out.
            "ldrd r5, r6, [r4]",
            concat!("add r8, r5, #", $unroll, " - 1"),
            concat!("movs r10, #", $unroll),
            "udiv r8, r8, r10",
            "mul r10, r8, r10",
            "sub r10, r10, r5",
            concat!("movs r11, #", $bytes),
            "adr.w r12, 2f",
            "mla r10, r10, r11, r12",
            "adr.w r12, 4f",
            "cmp r5, #0",
            "it eq",
            "moveq r10, r12",
            "orr r10, r10, #1",
            "ldr r11, [r4, #8]",
            "ldr r12, [r4, #28]",
            "sub sp, #32",
            "strd r0, r8, [sp]",
            "strd r10, r11, [sp, #8]",
            "strd r6, r12, [sp, #16]",
            "mov r7, r2",
            "mov r9, r3",
            "add r11, r1, r6",
            $($before,)*
            ".p2align 2",
            "3:",
            "ldm r7!, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
            "ldrd r3, r5, [sp]",
            "ldr pc, [sp, #8]",
            ".p2align 2",
            "2:",
            concat!(".rept ", $unroll),
            "vldrb.u8 q0, [r3], #16",
            $($block,)*
            ".endr",
            "subs r5, #1",
            "bne.w 2b",
            ".p2align 2",
            "4:",
            "ldr r5, [sp, #20]",
            $skip,
            "vctp.8 r5",
            "vpst",
            "vldrbt.u8 q0, [r3]",
            $($block,)*
            "5:",
            "stm r9!, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
            // Both have come to the end of their four outputs.
            "mov r1, r11",
            "ldrd r3, r5, [sp, #12]",
            "add r11, r5",
            "cmp r9, r3",
            "bne.w 3b",
            "add sp, #32",
            "pop {{r4-r11, pc}}",
        )
    };
}

macro_rules! one_output {
    ($w:literal, $sum:literal) => {
        concat!("vldrb.u8 q1, [", $w, "], #16\nvmlava.s8 ", $sum, ", q0, q1\n")
    };
}

/// 8-bit weights. 17 instructions for 128 products.
///
/// Alignment: `x` and `w` by bytes; `ldrd` and `ldm` of `turn` and `start`, `stm` of `sums`, words by their types; the
/// frame is words of the stack.
///
/// # Safety
/// `x` is valid for `turn.blocks` blocks and `turn.tail` elements, together not none, `w` for the blocks, the last one whole, of
/// eight outputs a group, `start` and `sums` for eight elements a group up to `turn.end`, not none.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn s8(x: *const i8, w: *const u32, start: *const i32, sums: *mut i32, turn: *const Turn) {
    bytes_of!(
        "8",
        "68",
        "cbz r5, 5f",
        [],
        [
            one_output!("r1", "r0"),
            one_output!("r1", "r2"),
            one_output!("r1", "r4"),
            one_output!("r1", "r6"),
            one_output!("r11", "r8"),
            one_output!("r11", "r10"),
            one_output!("r11", "r12"),
            one_output!("r11", "lr"),
        ]
    )
}

/// The first four or two outputs of a group; r0 activations, r1 weights, r2 biases.
macro_rules! few_of {
    ([$($start:literal),*], [$($block:literal),*], [$($end:literal),*]) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r8, lr}}",
            "ldr r5, [sp, #24]",
            $($start,)*
            "dlstp.8 lr, r5",
            "2:",
            "vldrb.u8 q0, [r0], #16",
            $($block,)*
            "letp lr, 2b",
            $($end,)*
            "pop {{r4-r8, pc}}",
        )
    };
}

/// As [`s8`] for the first four outputs of a group. 10 instructions for 64 products.
///
/// Alignment: as [`s8`].
///
/// # Safety
/// `x` is valid for `depth` elements, not none, `w` for the blocks of four outputs, the last one whole, `bias` and `sums` for four
/// elements.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn s8_four(x: *const i8, w: *const u32, bias: *const i32, sums: *mut i32, depth: usize) {
    few_of!(
        ["ldr r4, [r2]", "ldr r6, [r2, #4]", "ldr r8, [r2, #8]", "ldr r12, [r2, #12]"],
        [
            "vldrb.u8 q1, [r1], #16",
            "vmlava.s8 r4, q0, q1",
            "vldrb.u8 q1, [r1], #16",
            "vmlava.s8 r6, q0, q1",
            "vldrb.u8 q1, [r1], #16",
            "vmlava.s8 r8, q0, q1",
            "vldrb.u8 q1, [r1], #16",
            "vmlava.s8 r12, q0, q1"
        ],
        ["stm r3, {{r4, r6, r8, r12}}"]
    )
}

/// As [`s8`] for the first two outputs of a group. 6 instructions for 32 products.
///
/// Alignment: as [`s8`].
///
/// # Safety
/// As [`s8_four`], with two elements in `bias` and `sums`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn s8_two_outputs(
    x: *const i8,
    w: *const u32,
    bias: *const i32,
    sums: *mut i32,
    depth: usize,
) {
    few_of!(
        ["ldr r4, [r2]", "ldr r6, [r2, #4]"],
        ["vldrb.u8 q1, [r1, #16]", "vmlava.s8 r6, q0, q1", "vldrb.u8 q1, [r1], #64", "vmlava.s8 r4, q0, q1"],
        ["strd r4, r6, [r3]"]
    )
}

macro_rules! one_rounded {
    ($w:literal, $sum:literal) => {
        concat!("vldrb.u8 q1, [", $w, "], #16\nvqadd.s8 q1, q1, q2\nvand q1, q1, q3\nvmlava.s8 ", $sum, ", q0, q1\n")
    };
}

/// 8-bit weights, rounded to a width on the way. 33 instructions for 128 products.
///
/// Alignment: as [`s8`].
///
/// # Safety
/// As [`s8`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn rounded(
    x: *const i8,
    w: *const u32,
    start: *const i32,
    sums: *mut i32,
    turn: *const Turn,
) {
    bytes_of!(
        "4",
        "132",
        "cmp r5, #0\nbeq.w 5f",
        ["ldrd r5, r6, [r4, #16]", "vdup.8 q2, r5", "vdup.8 q3, r6"],
        [
            one_rounded!("r1", "r0"),
            one_rounded!("r1", "r2"),
            one_rounded!("r1", "r4"),
            one_rounded!("r1", "r6"),
            one_rounded!("r11", "r8"),
            one_rounded!("r11", "r10"),
            one_rounded!("r11", "r12"),
            one_rounded!("r11", "lr"),
        ]
    )
}

/// What a loop over two rows needs besides its pointers.
#[repr(C)]
pub(super) struct TurnOfTwo {
    pub(super) x: [*const i8; 2],
    /// Whole blocks of sixteen inputs.
    pub(super) blocks: u32,
    /// Inputs behind them, fewer than sixteen.
    pub(super) tail: u32,
    /// End of the sums.
    pub(super) end: *mut i32,
}

macro_rules! output_of_two {
    ($sum0:literal, $sum1:literal) => {
        concat!("vldrb.u8 q2, [r1], #16\nvmlava.s8 ", $sum0, ", q0, q2\nvmlava.s8 ", $sum1, ", q1, q2\n")
    };
}

/// As [`s8`] for two rows, which share the weights of four outputs. 14 instructions for 128 products.
///
/// Alignment: as [`s8`].
///
/// # Safety
/// The rows of `turn` are valid for its blocks and tail, together not none, `w` for the blocks, the last one whole, of four outputs
/// a group, `start` for four elements a group, `sums` for eight, four of each row, up to `turn.end`, not none.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn s8_two(w: *const u32, start: *const i32, sums: *mut i32, turn: *const TurnOfTwo) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "ldm r3, {{r3, r4, r5, r6, r7}}",
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
        "sub sp, #24",
        "strd r3, r4, [sp]",
        "strd r8, r10, [sp, #8]",
        "strd r6, r7, [sp, #16]",
        "mov r9, r1",
        "mov r11, r2",
        "mov r1, r0",
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
        output_of_two!("r0", "r8"),
        output_of_two!("r2", "r10"),
        output_of_two!("r4", "r12"),
        output_of_two!("r6", "lr"),
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
        output_of_two!("r0", "r8"),
        output_of_two!("r2", "r10"),
        output_of_two!("r4", "r12"),
        output_of_two!("r6", "lr"),
        "5:",
        "stm r11!, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        "ldr r5, [sp, #20]",
        "cmp r11, r5",
        "bne.w 3b",
        "add sp, #24",
        "pop {{r4-r11, pc}}",
    )
}

macro_rules! two_nested {
    ($high:literal, $low:literal) => {
        concat!(
            "vldrb.u8 q1, [r1], #16\nvand q2, q1, q3\nvshl.i8 q1, q1, #4\nvmlava.s8 ",
            $high,
            ", q0, q2\nvmlava.s8 ",
            $low,
            ", q0, q1\n"
        )
    };
}

/// The upper plane of nested weights, on the scale of 8 bits. 21 instructions for 128 products.
///
/// Alignment: as [`s8`].
///
/// # Safety
/// As [`s8`], with half as many weights.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn nest4(
    x: *const i8,
    w: *const u32,
    start: *const i32,
    sums: *mut i32,
    turn: *const Turn,
) {
    loop_of!(
        "4",
        "84",
        ["movs r5, #0xF0", "vdup.8 q3, r5"],
        ["ldm r7!, {{r0, r2, r4, r6, r8, r10, r12, lr}}"],
        [
            "vldrb.u8 q0, [r3], #16",
            two_nested!("r0", "r8"),
            two_nested!("r2", "r10"),
            two_nested!("r4", "r12"),
            two_nested!("r6", "lr"),
        ],
        ["stm r9!, {{r0, r2, r4, r6, r8, r10, r12, lr}}"],
        []
    )
}

macro_rules! two_merged {
    ($high:literal, $low:literal) => {
        concat!(
            "vldrb.u8 q1, [r1], #16\nvldrb.u8 q2, [r11], #16\nvmov q3, q1\nvsri.8 q3, q2, #4\nvsli.8 q2, q1, #4\nvmlava.s8 ",
            $high, ", q0, q3\nvmlava.s8 ", $low, ", q0, q2\n"
        )
    };
}

/// Nested weights at 8 bits, each with 8 added. 29 instructions for 128 products.
///
/// Alignment: as [`s8`], the lower plane too by bytes.
///
/// # Safety
/// As [`nest4`], and `turn.low` is the lower plane, as long as the upper one.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn nest8(
    x: *const i8,
    w: *const u32,
    start: *const i32,
    sums: *mut i32,
    turn: *const Turn,
) {
    loop_of!(
        "4",
        "116",
        [],
        ["ldm r7!, {{r0, r2, r4, r6, r8, r10, r12, lr}}"],
        [
            "vldrb.u8 q0, [r3], #16",
            two_merged!("r0", "r8"),
            two_merged!("r2", "r10"),
            two_merged!("r4", "r12"),
            two_merged!("r6", "lr"),
        ],
        ["stm r9!, {{r0, r2, r4, r6, r8, r10, r12, lr}}", "ldr r5, [sp, #16]", "add r11, r5"],
        []
    )
}

macro_rules! two_merged_rounded {
    ($high:literal, $low:literal) => {
        concat!(
            "vldrb.u8 q1, [r1], #16\nvldrb.u8 q2, [r11], #16\nvmov q3, q1\nvsri.8 q3, q2, #4\nvsli.8 q2, q1, #4\n",
            "vqadd.s8 q3, q3, q4\nvand q3, q3, q5\nvmlava.s8 ",
            $high,
            ", q0, q3\n",
            "vqadd.s8 q2, q2, q4\nvand q2, q2, q5\nvmlava.s8 ",
            $low,
            ", q0, q2\n"
        )
    };
}

/// Nested weights rounded to a width on the way; `turn.half` is 8 less, which the nibbles have added. 45 instructions for 128
/// products.
///
/// Alignment: as [`nest8`]; `vldm` and `vstm` of the frame, whose words are the stack's.
///
/// # Safety
/// As [`nest8`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn nest_rounded(
    x: *const i8,
    w: *const u32,
    start: *const i32,
    sums: *mut i32,
    turn: *const Turn,
) {
    loop_of!(
        "4",
        "180",
        ["add r10, sp, #24", "vstmia r10, {{d8-d11}}", "ldrd r5, r6, [r4, #16]", "vdup.8 q4, r5", "vdup.8 q5, r6"],
        ["ldm r7!, {{r0, r2, r4, r6, r8, r10, r12, lr}}"],
        [
            "vldrb.u8 q0, [r3], #16",
            two_merged_rounded!("r0", "r8"),
            two_merged_rounded!("r2", "r10"),
            two_merged_rounded!("r4", "r12"),
            two_merged_rounded!("r6", "lr"),
        ],
        ["stm r9!, {{r0, r2, r4, r6, r8, r10, r12, lr}}", "ldr r5, [sp, #16]", "add r11, r5"],
        ["add r10, sp, #24", "vldmia r10, {{d8-d11}}"]
    )
}

macro_rules! two_nibbles {
    ($mixed:literal, $low:literal) => {
        concat!(
            "vldrb.u8 q1, [r1], #16\nvand q2, q1, q3\nvmlava.s8 ",
            $mixed,
            ", q0, q1\nvmlava.s8 ",
            $low,
            ", q0, q2\n"
        )
    };
}

/// Start and end of the loops on nibbles: mixed sums of both in the first four accumulators, those of the lower one, which
/// has 8 added, in the others; all start from what takes the 8 off again.
macro_rules! nibbles {
    ($bytes:literal, [$($before:literal),*], [$($inner:expr),* $(,)?]) => {
        loop_of!(
            "4", $bytes, ["movs r5, #0x0F", "vdup.8 q3, r5" $(, $before)*],
            [
                "ldr r0, [sp, #20]",
                "mov r2, r0",
                "mov r4, r0",
                "mov r6, r0",
                "mov r8, r0",
                "mov r10, r0",
                "mov r12, r0",
                "mov lr, r0"
            ],
            [$($inner),*],
            [
                // Not to the sums: the loop may start from them.
                "add r5, sp, #24",
                "stm r5, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
                "vldrw.u32 q0, [r5]",
                "vldrw.u32 q1, [r5, #16]",
                "vsub.i32 q0, q0, q1",
                "vshr.s32 q0, q0, #4",
                "vldrw.u32 q2, [r7], #16",
                "vadd.i32 q0, q0, q2",
                "vldrw.u32 q2, [r7], #16",
                "vadd.i32 q1, q1, q2",
                "vstrw.32 q0, [r9], #16",
                "vstrw.32 q1, [r9], #16",
            ],
            []
        )
    };
}

/// 4-bit weights, the second of a byte with 8 added. 17 instructions for 128 products.
///
/// Alignment: as [`s8`]; `vldrw` and `vstrw` of `start`, `sums` and the frame, words all.
///
/// # Safety
/// As [`nest4`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn s4(x: *const i8, w: *const u32, start: *const i32, sums: *mut i32, turn: *const Turn) {
    nibbles!(
        "68",
        [],
        [
            "vldrb.u8 q0, [r3], #16",
            two_nibbles!("r0", "r8"),
            two_nibbles!("r2", "r10"),
            two_nibbles!("r4", "r12"),
            two_nibbles!("r6", "lr"),
        ]
    )
}

macro_rules! two_residuals {
    ($mixed:literal, $low:literal) => {
        concat!(
            "vldrb.u8 q1, [r1], #16\nveor q1, q1, q2\nvmlava.s8 ",
            $mixed,
            ", q0, q1\nvand q1, q1, q3\nvmlava.s8 ",
            $low,
            ", q0, q1\n"
        )
    };
}

/// A lower plane, both weights of a byte with 8 added. 21 instructions for 128 products.
///
/// Alignment: as [`s4`].
///
/// # Safety
/// As [`nest4`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn residuals(
    x: *const i8,
    w: *const u32,
    start: *const i32,
    sums: *mut i32,
    turn: *const Turn,
) {
    loop_of!(
        "4",
        "84",
        ["movs r5, #0x0F", "vdup.8 q3, r5"],
        [
            "ldr r0, [sp, #20]",
            "movs r2, #0x80",
            "vdup.8 q2, r2",
            "mov r2, r0",
            "mov r4, r0",
            "mov r6, r0",
            "mov r8, r0",
            "mov r10, r0",
            "mov r12, r0",
            "mov lr, r0"
        ],
        [
            "vldrb.u8 q0, [r3], #16",
            two_residuals!("r0", "r8"),
            two_residuals!("r2", "r10"),
            two_residuals!("r4", "r12"),
            two_residuals!("r6", "lr"),
        ],
        [
            // Not to the sums: the loop may start from them.
            "add r5, sp, #24",
            "stm r5, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
            "vldrw.u32 q0, [r5]",
            "vldrw.u32 q1, [r5, #16]",
            "vsub.i32 q0, q0, q1",
            "vshr.s32 q0, q0, #4",
            "vldrw.u32 q2, [r7], #16",
            "vadd.i32 q0, q0, q2",
            "vldrw.u32 q2, [r7], #16",
            "vadd.i32 q1, q1, q2",
            "vstrw.32 q0, [r9], #16",
            "vstrw.32 q1, [r9], #16",
        ],
        []
    )
}

/// What outputs are made with.
#[repr(C)]
pub(super) struct Tables {
    pub(super) mantissa: *const i32,
    /// Added to every sum.
    pub(super) term: i32,
    pub(super) shift: *const i8,
    pub(super) offset: i32,
    pub(super) min: i32,
    pub(super) max: i32,
}

/// Outputs of sums with their bias. 13 instructions for 4 outputs.
///
/// `vqrdmulh` is SRDHM; RDPOT is `vrshl` of a number that is one less if negative.
///
/// Alignment: `ldm` of `tables`, `vldrw` of `sums` and mantissas, words by their types; shifts and `y` by bytes.
///
/// # Safety
/// `sums`, `y` and the tables are valid for `n` elements. Shifts are -31 to -1.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn outputs(sums: *const i32, y: *mut i8, n: usize, tables: *const Tables) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r7, lr}}",
        "ldm r3, {{r3, r4, r5, r6, r7, r12}}",
        "vdup.32 q2, r7",
        "vdup.32 q3, r12",
        "wlstp.32 lr, r2, 3f",
        "2:",
        "vldrw.u32 q0, [r0], #16",
        "vldrw.u32 q1, [r3], #16",
        "vadd.i32 q0, q0, r4",
        "vqrdmulh.s32 q0, q0, q1",
        "vshr.s32 q1, q0, #31",
        "vadd.i32 q0, q0, q1",
        "vldrb.s32 q1, [r5], #4",
        "vrshl.s32 q0, q0, q1",
        "vadd.i32 q0, q0, r6",
        "vmax.s32 q0, q0, q2",
        "vmin.s32 q0, q0, q3",
        "vstrb.32 q0, [r1], #4",
        "letp lr, 2b",
        "3:",
        "pop {{r4-r7, pc}}",
    )
}

/// One multiplier for all outputs.
#[repr(C)]
pub(super) struct One {
    pub(super) mantissa: i32,
    /// The output's offset and half a step, both shifted to the left as a product is.
    pub(super) half: i32,
    /// From a product to an output in the highest byte.
    pub(super) left: i32,
}

/// `$nudge` is what negative products get.
macro_rules! outputs_of_one {
    ([$($nudge:literal),* $(,)?]) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4, r5, r7, lr}}",
            "ldm r3, {{r3, r4, r5}}",
            "wlstp.32 lr, r2, 3f",
            "2:",
            "vldrw.u32 q0, [r0], #16",
            "vqrdmulh.s32 q0, q0, r3",
            $($nudge,)*
            "vadd.i32 q0, q0, r4",
            "vqshl.s32 q0, r5",
            "vshr.s32 q0, q0, #24",
            "vstrb.32 q0, [r1], #4",
            "letp lr, 2b",
            "3:",
            "pop {{r4, r5, r7, pc}}",
        )
    };
}

/// [`outputs`] with one multiplier, of all of i8: `vqshl` saturates. 9 instructions for 4.
///
/// Alignment: `ldm` of `one`, `vldrw` of `sums`, words by their types; `y` by bytes.
///
/// # Safety
/// `sums` and `y` are valid for `n` elements.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn outputs_one(sums: *const i32, y: *mut i8, n: usize, one: *const One) {
    outputs_of_one!(["vshr.s32 q1, q0, #31", "vadd.i32 q0, q0, q1"])
}

/// [`outputs_one`] where the output's offset is -128: negative products saturate whichever way they round. 7 instructions for 4.
///
/// Alignment: as [`outputs_one`].
///
/// # Safety
/// As [`outputs_one`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn outputs_one_above(sums: *const i32, y: *mut i8, n: usize, one: *const One) {
    outputs_of_one!([])
}

/// One output of each of four channels of two rows; `$nudge` is what negative products get.
macro_rules! outputs_of_two {
    ([$($nudge:literal),* $(,)?]) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r10, lr}}",
            "vpush {{d8-d11}}",
            "ldr r4, [sp, #64]",
            "ldm r4, {{r4, r5, r6, r7, r8, r10}}",
            "vdup.32 q4, r8",
            "vdup.32 q5, r10",
            "wlstp.32 lr, r3, 3f",
            "2:",
            "vldrw.u32 q2, [r4], #16",
            "vldrw.u32 q0, [r0], #16",
            "vldrw.u32 q1, [r0], #16",
            "vqrdmulh.s32 q0, q0, q2",
            "vqrdmulh.s32 q1, q1, q2",
            $($nudge,)*
            "vldrb.s32 q2, [r6], #4",
            "vrshl.s32 q0, q0, q2",
            "vrshl.s32 q1, q1, q2",
            "vadd.i32 q0, q0, r7",
            "vadd.i32 q1, q1, r7",
            "vmax.s32 q0, q0, q4",
            "vmax.s32 q1, q1, q4",
            "vmin.s32 q0, q0, q5",
            "vmin.s32 q1, q1, q5",
            "vstrb.32 q0, [r1], #4",
            "vstrb.32 q1, [r2], #4",
            "letp lr, 2b",
            "3:",
            "vpop {{d8-d11}}",
            "pop {{r4-r10, pc}}",
        )
    };
}

/// [`outputs`] of two rows, whose sums stand by fours, without a term. 21 instructions for twice 4 outputs.
///
/// Alignment: as [`outputs`].
///
/// # Safety
/// `sums` are valid for two of each of `n` outputs, rounded up to four, `y0`, `y1` and the tables for `n`. Shifts as
/// [`outputs`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn outputs_two(
    sums: *const i32,
    y0: *mut i8,
    y1: *mut i8,
    n: usize,
    tables: *const Tables,
) {
    outputs_of_two!(["vshr.s32 q2, q0, #31", "vshr.s32 q3, q1, #31", "vadd.i32 q0, q0, q2", "vadd.i32 q1, q1, q3",])
}

/// [`outputs_two`] where no output is below the zero point: negative products round to one that is not above it, and are clamped
/// whichever way they round. 17 instructions for twice 4 outputs.
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
    outputs_of_two!([])
}

/// The sum of `n` elements. 3 instructions for 16.
///
/// Alignment: by bytes.
///
/// # Safety
/// `x` is valid for `n` elements.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn sum(x: *const i8, n: usize) -> i32 {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "movs r2, #0",
        "wlstp.8 lr, r1, 3f",
        "2:",
        "vldrb.u8 q0, [r0], #16",
        "vaddva.s8 r2, q0",
        "letp lr, 2b",
        "3:",
        "mov r0, r2",
        "pop {{r7, pc}}",
    )
}

/// Copies lines: 6 instructions for one of up to 16 bytes, else 8 and 3 for 16; and 7 a patch.
///
/// Alignment: by bytes; `ldm` of `lines`, words by their types.
///
/// # Safety
/// There is a line, none is empty, and all of them are within what `from` and `to` are valid for.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn copy_lines(from: *const i8, to: *mut i8, lines: *const Lines) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "ldm r2, {{r2, r3, r4, r5, r6, r7, r8}}",
        "cmp r4, #16",
        "bhi 3f",
        "vctp.8 r4",
        "6:",
        "mov r9, r0",
        "mov r10, r1",
        "dls lr, r5",
        "2:",
        "vpstt",
        "vldrbt.u8 q0, [r9]",
        "vstrbt.8 q0, [r10]",
        "add r9, r2",
        "add r10, r3",
        "le lr, 2b",
        "add r0, r7",
        "add r1, r8",
        "subs r6, #1",
        "bne 6b",
        "pop {{r4-r11, pc}}",
        "3:",
        "push {{r0, r1, r5}}",
        "7:",
        "mov r9, r0",
        "mov r10, r1",
        "wlstp.8 lr, r4, 5f",
        "4:",
        "vldrb.u8 q0, [r9], #16",
        "vstrb.8 q0, [r10], #16",
        "letp lr, 4b",
        "5:",
        "add r0, r2",
        "add r1, r3",
        "subs r5, #1",
        "bne 7b",
        "pop {{r0, r1, r5}}",
        "add r0, r7",
        "add r1, r8",
        "subs r6, #1",
        "bne 3b",
        "pop {{r4-r11, pc}}",
    )
}
