//! The loops of `depth_rows` in assembly: sixteen channels at a time.
//!
//! The products of two taps fit 16 bits together, as no weight is -128: `vmullb.s8` and `vmullt.s8` make those of the even and
//! the odd channels, and only the sum of two is widened. Sums so lie in four vectors, every fourth channel in each, as `vld4`
//! loads tables and as narrowing puts them side by side again.
//!
//! Naked functions do not get the target's features from the compiler, hence `.cpu` in each.
#![allow(unsafe_code, reason = "naked functions")]

use core::arch::naked_asm;

/// What a loop takes: outputs in lines, whose windows lie inside.
#[repr(C)]
pub(super) struct Job {
    /// The first tap of the first output.
    pub(super) x: *const i8,
    pub(super) y: *mut i8,
    /// The weights of the first tap.
    pub(super) w: *const i8,
    /// Sixteen of each.
    pub(super) bias: *const i32,
    pub(super) mantissa: *const i32,
    pub(super) shift: *const i8,
    /// Pairs of taps of a row, and whether there is one more.
    pub(super) pairs: u32,
    pub(super) odd: u32,
    /// Rows of taps, not none.
    pub(super) rows: u32,
    /// Bytes from tap to tap in a row, of the picture and of the weights, which also go on so from row to row.
    pub(super) x_tap: usize,
    pub(super) w_tap: usize,
    /// Bytes from row to row of taps; the loop of any number of taps takes those from behind a row to the next.
    pub(super) x_row: usize,
    /// Bytes of an output that are written.
    pub(super) lanes: u32,
    /// Outputs of a line, not none, and bytes from one to the next.
    pub(super) outputs: u32,
    pub(super) x_output: usize,
    pub(super) y_output: usize,
    /// Lines, not none, and bytes from behind a line to the next.
    pub(super) lines: u32,
    pub(super) x_line: usize,
    pub(super) y_line: usize,
    pub(super) offset: i32,
    pub(super) min: i32,
    pub(super) max: i32,
}

/// Two taps; `$second` and `$next` stand where their pointers may move.
///
/// Four vectors are not enough to keep the second tap's weights for both of its products: they are read twice.
macro_rules! two_taps {
    ($x0:literal, $w0:literal, $second:literal, $x1:literal, $w1:literal, $next:literal) => {
        concat!(
            "vldrb.u8 q0, ",
            $x0,
            "\nvldrb.u8 q1, ",
            $w0,
            "\n",
            $second,
            "\nvmullb.s8 q2, q0, q1\nvmullt.s8 q0, q0, q1\nvldrb.u8 q1, ",
            $x1,
            "\nvldrb.u8 q3, ",
            $w1,
            "\nvmullb.s8 q3, q1, q3\nvadd.i16 q2, q2, q3\nvldrb.u8 q3, ",
            $w1,
            "\nvmullt.s8 q1, q1, q3\nvadd.i16 q0, q0, q1\n",
            $next,
            "\n",
            widen_and_add!()
        )
    };
}

/// One tap.
macro_rules! one_tap {
    ($x:literal, $w:literal) => {
        concat!(
            "vldrb.u8 q0, ",
            $x,
            "\nvldrb.u8 q1, ",
            $w,
            "\nvmullb.s8 q2, q0, q1\nvmullt.s8 q0, q0, q1\n",
            widen_and_add!()
        )
    };
}

macro_rules! widen_and_add {
    () => {
        "vmovlb.s16 q1, q2\nvadd.i32 q4, q4, q1\nvmovlt.s16 q2, q2\nvadd.i32 q6, q6, q2\n\
        vmovlb.s16 q1, q0\nvadd.i32 q5, q5, q1\nvmovlt.s16 q0, q0\nvadd.i32 q7, q7, q0\n"
    };
}

/// What RDPOT takes off numbers below zero, and shifts in q0 to q3 from r9 on. The shifts are all below zero.
macro_rules! all_shift {
    () => {
        concat!(".irp q, 4, 5, 6, 7\nvshr.s32 q0, q\\q, #31\nvadd.i32 q\\q, q\\q, q0\n.endr\n", load_shifts!())
    };
}

/// The same where shifts may be 0: nothing is taken off there.
macro_rules! some_shift {
    () => {
        concat!(
            load_shifts!(),
            "mov r9, #-1\n",
            taken_off!("q0", "q4"),
            taken_off!("q1", "q5"),
            taken_off!("q2", "q6"),
            taken_off!("q3", "q7"),
            "ldr r9, [r7, #48]\nvctp.8 r9\n"
        )
    };
}

macro_rules! taken_off {
    ($shift:literal, $sum:literal) => {
        concat!("vptt.s32 lt, ", $shift, ", zr\nvcmpt.s32 lt, ", $sum, ", zr\nvaddt.i32 ", $sum, ", ", $sum, ", r9\n")
    };
}

macro_rules! load_shifts {
    () => {
        "vld40.32 {{q0, q1, q2, q3}}, [r9]
        vld41.32 {{q0, q1, q2, q3}}, [r9]
        vld42.32 {{q0, q1, q2, q3}}, [r9]
        vld43.32 {{q0, q1, q2, q3}}, [r9]
        "
    };
}

/// The frame of the loops: r4 output's window, r5 output, r6 outputs left of the line, r7 the job; r10 to r12 offset, least
/// and largest output; on the stack the lines left and the shifts. The taps leave r4 to r7 and r10 to r12.
///
/// `vqrdmulh` is SRDHM; RDPOT is `vrshl` of a number that is one less if negative.
macro_rules! loop_of {
    ($round:ident, [$($before:literal),* $(,)?], [$($taps:expr),* $(,)?]) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r11, lr}}",
            "vpush {{d8-d15}}",
            "sub sp, #76",
            "mov r7, r0",
            "add r12, r7, #76",
            "ldm r12, {{r10, r11, r12}}",
            "ldr r0, [r7, #20]",
            "add r1, sp, #4",
            ".irp at, 0, 1, 2, 3",
            "vldrb.s32 q0, [r0, #4 * \\at]",
            "vstrw.32 q0, [r1, #16 * \\at]",
            ".endr",
            "ldr r8, [r7, #64]",
            "ldr r9, [r7, #48]",
            "str r8, [sp]",
            "vctp.8 r9",
            "ldrd r4, r5, [r7]",
            $($before,)*
            "3:",
            "ldr r6, [r7, #52]",
            "4:",
            "ldr r9, [r7, #12]",
            "vld40.32 {{q4, q5, q6, q7}}, [r9]",
            "vld41.32 {{q4, q5, q6, q7}}, [r9]",
            "vld42.32 {{q4, q5, q6, q7}}, [r9]",
            "vld43.32 {{q4, q5, q6, q7}}, [r9]",
            "ldr r1, [r7, #8]",
            $($taps,)*
            "ldr r8, [r7, #16]",
            "add r9, sp, #4",
            "vld40.32 {{q0, q1, q2, q3}}, [r8]",
            "vld41.32 {{q0, q1, q2, q3}}, [r8]",
            "vld42.32 {{q0, q1, q2, q3}}, [r8]",
            "vld43.32 {{q0, q1, q2, q3}}, [r8]",
            "vqrdmulh.s32 q4, q4, q0",
            "vqrdmulh.s32 q5, q5, q1",
            "vqrdmulh.s32 q6, q6, q2",
            "vqrdmulh.s32 q7, q7, q3",
            $round!(),
            "vrshl.s32 q4, q4, q0",
            "vrshl.s32 q5, q5, q1",
            "vrshl.s32 q6, q6, q2",
            "vrshl.s32 q7, q7, q3",
            "vqmovnb.s32 q0, q4",
            "vqmovnt.s32 q0, q6",
            "vqmovnb.s32 q1, q5",
            "vqmovnt.s32 q1, q7",
            "vqadd.s16 q0, q0, r10",
            "vqadd.s16 q1, q1, r10",
            "vdup.8 q3, r11",
            "vqmovnb.s16 q2, q0",
            "vqmovnt.s16 q2, q1",
            "vmax.s8 q2, q2, q3",
            "vdup.8 q3, r12",
            "vmin.s8 q2, q2, q3",
            "ldrd r8, r9, [r7, #56]",
            "vpst",
            "vstrbt.8 q2, [r5]",
            "add r4, r8",
            "add r5, r9",
            "subs r6, #1",
            "bne.w 4b",
            "ldrd r8, r9, [r7, #68]",
            "add r4, r8",
            "add r5, r9",
            "ldr r8, [sp]",
            "subs r8, #1",
            "str r8, [sp]",
            "bne.w 3b",
            "add sp, #76",
            "vpop {{d8-d15}}",
            "pop {{r4-r11, pc}}",
        )
    };
}

macro_rules! any_taps {
    ($round:ident) => {
        loop_of!(
            $round,
            ["ldrd r2, r3, [r7, #36]"],
            [
                "mov r0, r4",
                "ldr r8, [r7, #32]",
                "5:",
                "ldr r9, [r7, #24]",
                "wls lr, r9, 7f",
                "6:",
                two_taps!("[r0]", "[r1]", "add r0, r2\nadd r1, r3", "[r0]", "[r1]", "add r0, r2\nadd r1, r3"),
                "le lr, 6b",
                "7:",
                "ldr r9, [r7, #28]",
                "cmp r9, #0",
                "beq 8f",
                one_tap!("[r0]", "[r1]"),
                "add r0, r2",
                "add r1, r3",
                "8:",
                "ldr r9, [r7, #44]",
                "add r0, r9",
                "subs r8, #1",
                "bne 5b",
            ]
        )
    };
}

/// Any number of taps: 24 instructions for 32 products, 17 for a last 16, 7 a row of them; 53 an output of sixteen channels.
///
/// Alignment: pictures and weights by bytes; `vld4` of bias, mantissas and shifts, words by their types; `ldrd` and `ldm` of
/// `job`; the frame is words of the stack.
///
/// # Safety
/// The pointers of `job` are valid for what it says, the counts among it not 0, and `job.y` does not overlap what is read.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn taps(job: *const Job) {
    any_taps!(all_shift)
}

/// The same for layers of which some channels have a shift of 0: 7 instructions more an output.
///
/// Alignment: as [`taps`].
///
/// # Safety
/// As [`taps`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn taps_and_no_shift(job: *const Job) {
    any_taps!(some_shift)
}

/// 3 x 3 taps, whose weights lie sixteen after sixteen: 94 instructions for 144 products, and 52 an output of sixteen channels.
///
/// Alignment: as [`taps`].
///
/// # Safety
/// As [`taps`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn three_by_three(job: *const Job) {
    loop_of!(
        all_shift,
        ["ldr r2, [r7, #36]", "ldr r3, [r7, #44]"],
        [
            "add r1, #16",
            "add r9, r4, r2",
            two_taps!("[r4]", "[r1, #-16]", "", "[r9]", "[r1]", "add r9, r4, r2, lsl #1\nadd r0, r4, r3"),
            two_taps!("[r9]", "[r1, #16]", "", "[r0]", "[r1, #32]", "add r9, r0, r2\nadd r8, r0, r2, lsl #1"),
            two_taps!("[r9]", "[r1, #48]", "", "[r8]", "[r1, #64]", "add r0, r3\nadd r9, r0, r2"),
            two_taps!("[r0]", "[r1, #80]", "", "[r9]", "[r1, #96]", "add r9, r0, r2, lsl #1"),
            one_tap!("[r9]", "[r1, #112]"),
        ]
    )
}

/// The same for pixels that lie sixteen bytes after sixteen bytes: 88 instructions.
///
/// Alignment: as [`taps`].
///
/// # Safety
/// As [`taps`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn three_by_three_dense(job: *const Job) {
    loop_of!(
        all_shift,
        ["ldr r3, [r7, #44]"],
        [
            "add r1, #16",
            "add r0, r4, r3",
            "add r8, r0, r3",
            two_taps!("[r4]", "[r1, #-16]", "", "[r4, #16]", "[r1]", ""),
            two_taps!("[r4, #32]", "[r1, #16]", "", "[r0]", "[r1, #32]", ""),
            two_taps!("[r0, #16]", "[r1, #48]", "", "[r0, #32]", "[r1, #64]", ""),
            two_taps!("[r8]", "[r1, #80]", "", "[r8, #16]", "[r1, #96]", ""),
            one_tap!("[r8, #32]", "[r1, #112]"),
        ]
    )
}

/// What pixels are copied from and to.
#[repr(C)]
pub(super) struct Copy {
    pub(super) from: *const i8,
    pub(super) to: *mut i8,
    /// Pixels of a row, not none, and bytes from one to the next.
    pub(super) pixels: u32,
    pub(super) from_pixel: usize,
    pub(super) to_pixel: usize,
    /// Rows, not none, and bytes from one to the next.
    pub(super) rows: u32,
    pub(super) from_row: usize,
    pub(super) to_row: usize,
    /// Bytes of a pixel, at most sixteen.
    pub(super) lanes: u32,
}

/// Copies up to sixteen bytes of each pixel of some rows, 6 instructions each.
///
/// Alignment: pixels by bytes; `ldm` of `of`, words by its type.
///
/// # Safety
/// The pixels are there, and room for each of them.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn copy(of: *const Copy) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "ldm r0, {{r0-r8}}",
        "vctp.8 r8",
        "2:",
        "mov r9, r0",
        "mov r10, r1",
        "dls lr, r2",
        "3:",
        "vpstt",
        "vldrbt.u8 q0, [r9]",
        "vstrbt.8 q0, [r10]",
        "add r9, r3",
        "add r10, r4",
        "le lr, 3b",
        "add r0, r6",
        "add r1, r7",
        "subs r5, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// The same of whole pixels of sixteen bytes, to places sixteen bytes apart: 4 instructions each.
///
/// Alignment: as [`copy`].
///
/// # Safety
/// As [`copy`].
#[unsafe(naked)]
pub(super) unsafe extern "C" fn copy_whole(of: *const Copy) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r10, lr}}",
        "ldm r0, {{r0-r7}}",
        "2:",
        "mov r9, r0",
        "mov r10, r1",
        "dls lr, r2",
        "3:",
        "vldrb.u8 q0, [r9]",
        "add r9, r3",
        "vstrb.8 q0, [r10], #16",
        "le lr, 3b",
        "add r0, r6",
        "add r1, r7",
        "subs r5, #1",
        "bne 2b",
        "pop {{r4-r10, pc}}",
    )
}
