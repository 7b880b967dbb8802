//! The loops of `pair_rows` in assembly, four elements a turn.
//!
//! Sums and products come doubled, as `smmlar` wants them. It is SRDHM; what RDPOT adds before its shift, less 1 if the number is
//! negative, and the zero point ride in its accumulator; the last place of the shift is the one of `ssat`.
//!
//! Naked functions do not get the target's features from the compiler, hence `.arch` in each.
#![allow(unsafe_code, reason = "naked functions")]

use core::arch::naked_asm;

/// Numbers of a row. What is `other_...` is of the second operand.
#[repr(C)]
pub(super) struct Numbers {
    /// What a code is shifted left by 21 and added to; factor; what is added before the shift to the right.
    pub(super) other_c: i32,
    pub(super) other_mantissa: i32,
    pub(super) other_half: i32,
    pub(super) other_right: i32,
    /// `code k + c`, and what is multiplied with the other.
    pub(super) k: i32,
    pub(super) c: i32,
    pub(super) other_k: i32,
    pub(super) mantissa: i32,
    /// Half a step and the zero point before the shift.
    pub(super) half: i32,
    /// One less than the shift.
    pub(super) right: i32,
    /// Fours.
    pub(super) n: u32,
}

/// Mantissa r8, half r9, shift r10; `$t` is lost.
macro_rules! output {
    ($v:literal, $t:literal) => {
        concat!(
            "add ",
            $t,
            ", r9, ",
            $v,
            ", asr #31\nsmmlar ",
            $v,
            ", ",
            $v,
            ", r8, ",
            $t,
            "\nasr ",
            $v,
            ", r10\nssat ",
            $v,
            ", #8, ",
            $v,
            ", asr #1\nstrb ",
            $v,
            ", [r2], #1\n"
        )
    };
}

/// Start: r0 and r1 operands, r2 output; then r4, r5, r6 and r8 to r11 the numbers from `k` on.
macro_rules! loop_of {
    ([$($before:literal),* $(,)?], [$($inner:expr),* $(,)?]) => {
        naked_asm!(
            ".arch armv7e-m",
            "push {{r4-r11, lr}}",
            "add r12, r3, #16",
            "ldm r12, {{r4-r6, r8-r11}}",
            $($before,)*
            "2:",
            ".rept 4",
            $($inner,)*
            ".endr",
            "subs r11, #1",
            "bne 2b",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// `x k + c`: 7 instructions an element.
///
/// Alignment: rows by bytes; `ldm` of `numbers`, words by its type.
///
/// # Safety
/// The rows are valid for `numbers.n` fours, not none; element by element, what is written may be what was read.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn affine(x: *const i8, _: *const i8, y: *mut i8, numbers: *const Numbers) {
    loop_of!([], ["ldrsb r3, [r0], #1", "mla r3, r3, r4, r5", output!("r3", "r12")])
}

/// `x k + c + other other_k`: 9 instructions an element.
///
/// Alignment: as [`affine`].
///
/// # Safety
/// As [`affine`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn sum(x: *const i8, other: *const i8, y: *mut i8, numbers: *const Numbers) {
    loop_of!(
        [],
        [
            "ldrsb r3, [r0], #1",
            "ldrsb r12, [r1], #1",
            "mla r3, r3, r4, r5",
            "mla r3, r12, r6, r3",
            output!("r3", "r12"),
        ]
    )
}

/// `c + other_k` times `x` rounded to the common scale: 11 instructions an element.
///
/// Alignment: as [`affine`].
///
/// # Safety
/// As [`affine`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn rounded(x: *const i8, _: *const i8, y: *mut i8, numbers: *const Numbers) {
    loop_of!(
        // Half and shift of the number that is rounded take the places of `k` and of the second operand.
        ["ldrd r7, lr, [r3]", "ldrd r4, r1, [r3, #8]"],
        [
            "ldrsb r3, [r0], #1",
            "add r3, r7, r3, lsl #21",
            "smmlar r12, r3, lr, r4",
            "add r3, r12, r3, asr #31",
            "asr r3, r1",
            "mla r3, r3, r6, r5",
            output!("r3", "r12"),
        ]
    )
}

/// `(x k + c)²`: 9 instructions an element.
///
/// Alignment: as [`affine`].
///
/// # Safety
/// As [`affine`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn square(x: *const i8, _: *const i8, y: *mut i8, numbers: *const Numbers) {
    loop_of!([], ["ldrsb r3, [r0], #1", "mla r3, r3, r4, r5", "mul r3, r3, r3", "lsl r3, r3, #1", output!("r3", "r12")])
}

/// `(x + c) (other + other_c)`: 10 instructions an element.
///
/// Alignment: as [`affine`].
///
/// # Safety
/// As [`affine`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn product(x: *const i8, other: *const i8, y: *mut i8, numbers: *const Numbers) {
    loop_of!(
        ["ldr lr, [r3]"],
        [
            "ldrsb r3, [r0], #1",
            "ldrsb r12, [r1], #1",
            "add r3, r5",
            "add r12, lr, r12, lsl #1",
            "mul r3, r3, r12",
            output!("r3", "r12"),
        ]
    )
}

/// `x k + c + other_k` times the other rounded to the common scale: 14 instructions an element.
///
/// Alignment: as [`affine`].
///
/// # Safety
/// As [`affine`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn rounded_sum(x: *const i8, other: *const i8, y: *mut i8, numbers: *const Numbers) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r11, lr}}",
        "ldr lr, [r3, #40]",
        "2:",
        "ldm r3!, {{r4-r7}}",
        ".irp v, r8, r9, r10, r11",
        "ldrsb \\v, [r1], #1",
        "add \\v, r4, \\v, lsl #21",
        "smmlar r12, \\v, r5, r6",
        "add \\v, r12, \\v, asr #31",
        "asr \\v, r7",
        ".endr",
        "ldm r3!, {{r4-r6}}",
        ".irp v, r8, r9, r10, r11",
        "ldrsb r12, [r0], #1",
        "mla r12, r12, r4, r5",
        "mla \\v, \\v, r6, r12",
        ".endr",
        "ldm r3, {{r4-r6}}",
        ".irp v, r8, r9, r10, r11",
        "add r12, r5, \\v, asr #31",
        "smmlar \\v, \\v, r4, r12",
        "asr \\v, r6",
        "ssat \\v, #8, \\v, asr #1",
        "strb \\v, [r2], #1",
        ".endr",
        "sub r3, r3, #28",
        "subs lr, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}
