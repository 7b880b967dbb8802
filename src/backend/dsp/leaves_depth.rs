//! The loops of `depth_rows` in assembly: four channels at a time.
//!
//! Two taps of a row are one pair of halfwords a channel: `pkhbt` and `pkhtb` put bytes of both beside each other and `sxtb16`
//! widens them, 6 instructions for 8 numbers; `smlad` is then two products. Weights lie as such pairs, doubled, as `smmlar` wants
//! sums; those of a tap without a second one as channels (0, 2) and (1, 3), as `sxtb16` widens a word.
//!
//! Naked functions do not get the target's features from the compiler, hence `.arch` in each.
#![allow(unsafe_code, reason = "naked functions")]

use core::arch::naked_asm;

/// What a loop takes: outputs in lines, whose windows lie inside.
#[repr(C)]
pub(super) struct Job {
    /// The first tap of the first output.
    pub(super) x: *const i8,
    pub(super) y: *mut i8,
    /// Four, doubled.
    pub(super) bias: *const i32,
    /// The weights of the first tap.
    pub(super) w: *const u32,
    /// [`Table`] or [`AnyTable`], as the loop takes it.
    pub(super) tables: *const i32,
    /// Pairs of taps of a row, and whether there is one more.
    pub(super) pairs: u32,
    pub(super) odd: u32,
    /// Rows of taps, not none.
    pub(super) rows: u32,
    /// Bytes from tap to tap in a row.
    pub(super) x_tap: usize,
    /// Bytes from behind a row of taps to the next; the loop of 3 x 3 taps takes those from row to row.
    pub(super) x_row: usize,
    /// Outputs of a line, not none, and bytes from one to the next.
    pub(super) outputs: u32,
    pub(super) x_output: usize,
    pub(super) y_output: usize,
    /// Lines, not none, and bytes from behind a line to the next.
    pub(super) lines: u32,
    pub(super) x_line: usize,
    pub(super) y_line: usize,
}

/// What a channel's outputs are made with.
#[repr(C)]
pub(super) struct Table {
    /// Not negative.
    pub(super) mantissa: i32,
    /// What is added before the shift: half a step and the output's zero point.
    pub(super) half: i32,
    /// One less than the shift to the right.
    pub(super) right: i32,
}

/// The same for any shift.
#[repr(C)]
pub(super) struct AnyTable {
    pub(super) mantissa: i32,
    pub(super) half: i32,
    /// The shift to the right.
    pub(super) right: i32,
    /// The sign bit, or 0 if nothing is shifted, and so nothing taken off below zero.
    pub(super) sign: i32,
}

/// Two taps, of which the second is `[r0, r12]`.
macro_rules! two_taps {
    () => {
        "ldr r2, [r0]
        ldr r3, [r0, r12]
        pkhbt r4, r2, r3, lsl #16
        pkhtb r3, r3, r2, asr #16
        ldrd r5, r6, [r1], #8
        sxtb16 r2, r4
        sxtb16 r4, r4, ror #8
        smlad r8, r2, r5, r8
        smlad r9, r4, r6, r9
        ldrd r5, r6, [r1], #8
        sxtb16 r2, r3
        sxtb16 r3, r3, ror #8
        smlad r10, r2, r5, r10
        smlad r11, r3, r6, r11"
    };
}

macro_rules! one_tap {
    ($x:literal) => {
        concat!(
            "ldr r2, ",
            $x,
            "
        ldrd r5, r6, [r1], #8
        sxtb16 r4, r2
        sxtb16 r2, r2, ror #8
        smlabb r8, r4, r5, r8
        smlatt r10, r4, r5, r10
        smlabb r9, r2, r6, r9
        smlatt r11, r2, r6, r11"
        )
    };
}

/// Outputs of four doubled sums, to `[r7]`, by the tables from r1 on.
///
/// SRDHM is `smmul` of the doubled sum with rounding; what RDPOT adds before its shift, less 1 if the product is negative,
/// and the zero point ride in the accumulator of `smmlar`; the last place of the shift is the one of `ssat`.
macro_rules! outputs {
    () => {
        concat!(one_output!("r8", "0"), one_output!("r9", "1"), one_output!("r10", "2"), one_output!("r11", "3"))
    };
}

macro_rules! one_output {
    ($sum:literal, $at:literal) => {
        concat!(
            "ldm r1!, {{r2, r3, r4}}\nadd r3, r3, ",
            $sum,
            ", asr #31\nsmmlar ",
            $sum,
            ", ",
            $sum,
            ", r2, r3\nasr ",
            $sum,
            ", r4\nssat ",
            $sum,
            ", #8, ",
            $sum,
            ", asr #1\nstrb ",
            $sum,
            ", [r7, #",
            $at,
            "]\n"
        )
    };
}

/// The same by tables for any shift, 0 among them.
macro_rules! outputs_and_no_shift {
    () => {
        concat!(one_of_any!("r8", "0"), one_of_any!("r9", "1"), one_of_any!("r10", "2"), one_of_any!("r11", "3"))
    };
}

macro_rules! one_of_any {
    ($sum:literal, $at:literal) => {
        concat!(
            "ldm r1!, {{r2, r3, r4, r5}}\nand r5, r5, ",
            $sum,
            "\nadd r3, r3, r5, asr #31\nsmmlar ",
            $sum,
            ", ",
            $sum,
            ", r2, r3\nasr ",
            $sum,
            ", r4\nssat ",
            $sum,
            ", #8, ",
            $sum,
            "\nstrb ",
            $sum,
            ", [r7, #",
            $at,
            "]\n"
        )
    };
}

macro_rules! any_taps {
    ($outputs:ident) => {
        naked_asm!(
            ".arch armv7e-m",
            "push {{r4-r11, lr}}",
            "sub sp, #20",
            "str r0, [sp]",
            "ldrd r2, r3, [r0]",
            "ldr r12, [r0, #32]",
            "ldr r4, [r0, #52]",
            "strd r2, r3, [sp, #4]",
            "str r4, [sp, #16]",
            "3:",
            "ldr r6, [sp]",
            "ldr r2, [r6, #40]",
            "str r2, [sp, #12]",
            "4:",
            "ldrd r2, r1, [r6, #8]",
            "ldr r7, [r6, #28]",
            "ldr r0, [sp, #4]",
            "ldm r2, {{r8-r11}}",
            "5:",
            "ldr lr, [r6, #20]",
            "cmp lr, #0",
            "beq 7f",
            "6:",
            two_taps!(),
            "add r0, r0, r12, lsl #1",
            "subs lr, #1",
            "bne 6b",
            "ldr r6, [sp]",
            "7:",
            "ldr r2, [r6, #24]",
            "cbz r2, 8f",
            one_tap!("[r0]"),
            "add r0, r12",
            "ldr r6, [sp]",
            "8:",
            "ldr r2, [r6, #36]",
            "subs r7, #1",
            "add r0, r2",
            "bne 5b",
            "ldr r1, [r6, #16]",
            "ldr r7, [sp, #8]",
            $outputs!(),
            "ldr r0, [sp, #4]",
            "ldrd r2, r3, [r6, #44]",
            "ldr r4, [sp, #12]",
            "add r0, r2",
            "add r7, r3",
            "subs r4, #1",
            "strd r0, r7, [sp, #4]",
            "str r4, [sp, #12]",
            "bne 4b",
            "ldrd r2, r3, [r6, #56]",
            "ldr r4, [sp, #16]",
            "add r0, r2",
            "add r7, r3",
            "subs r4, #1",
            "strd r0, r7, [sp, #4]",
            "str r4, [sp, #16]",
            "bne 3b",
            "add sp, #20",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// Any number of taps: 17 instructions for 8 products, 10 for a last 4, and 9 a row of them; 45 an output of four channels.
///
/// Alignment: `ldr` of pictures takes any address, `y` by bytes; `ldrd` and `ldm` of `job`, bias, weights and tables, words by
/// their types; the frame is words of the stack.
///
/// # Safety
/// The pointers of `job` are valid for what it says, the counts among it not 0, and `job.y` does not overlap what is read.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn taps(job: *const Job) {
    any_taps!(outputs)
}

/// The same for layers of which some channels have a shift of 0, with their tables: 4 instructions more an output.
///
/// Alignment: as [`taps`].
///
/// # Safety
/// As [`taps`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn taps_and_no_shift(job: *const Job) {
    any_taps!(outputs_and_no_shift)
}

/// 3 x 3 taps: 68 instructions for 36 products, and 33 an output of four channels.
///
/// Alignment: as [`taps`].
///
/// # Safety
/// As [`taps`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn three_by_three(job: *const Job) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r11, lr}}",
        "sub sp, #36",
        "mov r8, r0",
        "ldrd r0, r7, [r8]",
        "ldrd r1, r2, [r8, #8]",
        "ldr r3, [r8, #16]",
        "ldrd r12, lr, [r8, #32]",
        "ldr r4, [r8, #40]",
        "ldrd r5, r6, [r8, #44]",
        // Bias, weights, tables.
        "strd r1, r2, [sp]",
        "str r3, [sp, #8]",
        // From behind the last row to the next output, and from output to output.
        "sub r5, r5, lr, lsl #1",
        "strd r5, r6, [sp, #12]",
        // Bytes of a line of outputs, and the job.
        "mul r4, r4, r6",
        "ldr r5, [r8, #52]",
        "strd r4, r8, [sp, #24]",
        "str r5, [sp, #32]",
        "3:",
        "ldr r4, [sp, #24]",
        "add r4, r7",
        "str r4, [sp, #20]",
        "4:",
        "ldrd r2, r1, [sp]",
        "ldm r2, {{r8-r11}}",
        two_taps!(),
        one_tap!("[r0, r12, lsl #1]"),
        "add r0, lr",
        two_taps!(),
        one_tap!("[r0, r12, lsl #1]"),
        "add r0, lr",
        two_taps!(),
        one_tap!("[r0, r12, lsl #1]"),
        "ldr r1, [sp, #8]",
        outputs!(),
        "ldrd r2, r3, [sp, #12]",
        "ldr r4, [sp, #20]",
        "add r0, r2",
        "add r7, r3",
        "cmp r7, r4",
        "bne 4b",
        "ldr r6, [sp, #28]",
        "ldrd r2, r3, [r6, #56]",
        "ldr r4, [sp, #32]",
        "add r0, r2",
        "add r7, r3",
        "subs r4, #1",
        "str r4, [sp, #32]",
        "bne 3b",
        "add sp, #36",
        "pop {{r4-r11, pc}}",
    )
}

/// Weights of four channels as the loops take them, `rows` of `pairs` of taps and perhaps one more. 17 instructions a pair.
///
/// Alignment: `ldr` of weights takes any address; `strd` of `words`, words by their type.
///
/// # Safety
/// The weights of all taps are there, `w_tap` bytes apart, and room for four words a pair and two a last tap. There is a row.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn pack(w: *const i8, w_tap: usize, words: *mut u32, shape: &Shape) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r9, lr}}",
        "ldm r3, {{r7, r8, r9}}",
        "2:",
        "movs lr, r7",
        "beq 4f",
        "3:",
        "ldr r3, [r0]",
        "ldr r4, [r0, r1]",
        "add r0, r0, r1, lsl #1",
        "pkhbt r5, r3, r4, lsl #16",
        "pkhtb r4, r4, r3, asr #16",
        "sxtb16 r12, r5",
        "sxtb16 r5, r5, ror #8",
        "sxtb16 r6, r4",
        "sxtb16 r4, r4, ror #8",
        "sadd16 r12, r12, r12",
        "sadd16 r5, r5, r5",
        "sadd16 r6, r6, r6",
        "sadd16 r4, r4, r4",
        "strd r12, r5, [r2], #8",
        "strd r6, r4, [r2], #8",
        "subs lr, #1",
        "bne 3b",
        "4:",
        "cmp r8, #0",
        "beq 5f",
        "ldr r3, [r0]",
        "add r0, r1",
        "sxtb16 r4, r3",
        "sxtb16 r5, r3, ror #8",
        "sadd16 r4, r4, r4",
        "sadd16 r5, r5, r5",
        "strd r4, r5, [r2], #8",
        "5:",
        "subs r9, #1",
        "bne 2b",
        "pop {{r4-r9, pc}}",
    )
}

/// Taps of a kernel.
#[repr(C)]
pub(super) struct Shape {
    /// Pairs of a row, and whether there is one more.
    pub(super) pairs: u32,
    pub(super) odd: u32,
    pub(super) rows: u32,
}

/// What pixels are copied from and to.
#[repr(C)]
pub(super) struct Copy {
    /// Pixels of a row, not none, and bytes from one to the next.
    pub(super) pixels: u32,
    pub(super) from_pixel: usize,
    /// Rows, not none, and bytes from one to the next.
    pub(super) rows: u32,
    pub(super) from_row: usize,
    pub(super) to_row: usize,
}

/// Copies a word of each pixel of some rows to words side by side, 3 instructions each.
///
/// Alignment: `ldr` of pixels takes any address; `ldm` of `of`, `strd` of words, by their types.
///
/// # Safety
/// The pixels are there, and room for their words.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn copy(from: *const i8, to: *mut u32, of: *const Copy) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r10, lr}}",
        "ldm r2, {{r2-r6}}",
        "2:",
        "mov r7, r0",
        "mov r8, r1",
        "lsrs lr, r2, #1",
        "beq 4f",
        "3:",
        "ldr r9, [r7]",
        "ldr r10, [r7, r3]",
        "add r7, r7, r3, lsl #1",
        "strd r9, r10, [r8], #8",
        "subs lr, #1",
        "bne 3b",
        "4:",
        "lsls lr, r2, #31",
        "beq 5f",
        "ldr r9, [r7]",
        "str r9, [r8]",
        "5:",
        "add r0, r5",
        "add r1, r6",
        "subs r4, #1",
        "bne 2b",
        "pop {{r4-r10, pc}}",
    )
}
