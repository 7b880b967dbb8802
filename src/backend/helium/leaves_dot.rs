//! The loops of `dot_rows` in assembly: eight outputs at a time, each with an accumulator in an even register, sixteen
//! inputs a block. `vmlava.s8` is sixteen products.
//!
//! The accumulators start from what is in `start` (one `ldm`) and go to `sums` (one `stm`), which may be the same. A loop over several blocks is
//! entered in its middle for what is not a whole turn, so any number of blocks costs the same.
//!
//! Naked functions do not get the target's features from the compiler, hence `.cpu` in each.
#![allow(unsafe_code, reason = "naked functions")]

use core::arch::naked_asm;

/// What a loop needs besides its pointers.
#[repr(C)]
pub(super) struct Turn {
    /// Blocks of sixteen inputs, not none.
    pub(super) blocks: u32,
    /// Bytes from a group's last block to the next group.
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

macro_rules! one_output {
    ($sum:literal) => {
        concat!("vldrb.u8 q1, [r1], #16\nvmlava.s8 ", $sum, ", q0, q1\n")
    };
}

/// 8-bit weights. 17 instructions for 128 products.
///
/// Alignment: `x` and `w` by bytes; `ldrd` and `ldm` of `turn` and `start`, `stm` of `sums`, words by their types; the
/// frame is words of the stack.
///
/// # Safety
/// `x` is valid for `turn.blocks` blocks, `w` for that many of eight outputs a group, `start` and `sums` for eight elements
/// a group up to `turn.end`, not none.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn s8(x: *const i8, w: *const u32, start: *const i32, sums: *mut i32, turn: *const Turn) {
    loop_of!(
        "8",
        "68",
        [],
        ["ldm r7!, {{r0, r2, r4, r6, r8, r10, r12, lr}}"],
        [
            "vldrb.u8 q0, [r3], #16",
            one_output!("r0"),
            one_output!("r2"),
            one_output!("r4"),
            one_output!("r6"),
            one_output!("r8"),
            one_output!("r10"),
            one_output!("r12"),
            one_output!("lr"),
        ],
        ["stm r9!, {{r0, r2, r4, r6, r8, r10, r12, lr}}"],
        []
    )
}

macro_rules! one_rounded {
    ($sum:literal) => {
        concat!("vldrb.u8 q1, [r1], #16\nvqadd.s8 q1, q1, q2\nvand q1, q1, q3\nvmlava.s8 ", $sum, ", q0, q1\n")
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
    loop_of!(
        "4",
        "132",
        ["ldrd r5, r6, [r4, #16]", "vdup.8 q2, r5", "vdup.8 q3, r6"],
        ["ldm r7!, {{r0, r2, r4, r6, r8, r10, r12, lr}}"],
        [
            "vldrb.u8 q0, [r3], #16",
            one_rounded!("r0"),
            one_rounded!("r2"),
            one_rounded!("r4"),
            one_rounded!("r6"),
            one_rounded!("r8"),
            one_rounded!("r10"),
            one_rounded!("r12"),
            one_rounded!("lr"),
        ],
        ["stm r9!, {{r0, r2, r4, r6, r8, r10, r12, lr}}"],
        []
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
