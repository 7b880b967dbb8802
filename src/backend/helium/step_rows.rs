//! What layers with a memory do besides products. Counts are in `backend/helium.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use core::arch::naked_asm;

use super::Helium;
use crate::backend::step_rows::{Filters, StepRows};
use crate::fixedpoint::{Multiplier, SIGMOID_S16, SigmoidS16};

impl StepRows for Helium {
    #[inline(always)]
    fn requantize_s32(self, x: &mut [i32], multiplier: Multiplier) {
        let Multiplier { mantissa, shift } = multiplier;
        // SAFETY: all of `x`.
        unsafe { requantize(x.as_mut_ptr(), x.len(), mantissa, shift) };
    }

    #[inline(always)]
    fn remember_s8(self, filters: &Filters<'_>, state: &mut [i8], sums: &mut [i32]) -> bool {
        remember(filters, state, sums)
    }

    #[inline(always)]
    fn logistic_s16(self, x: &mut [i16], curve: SigmoidS16) {
        // SAFETY: all of `x`, and the table.
        unsafe { logistic(x.as_mut_ptr(), x.len(), SIGMOID_S16.as_ptr(), &raw const curve) };
    }

    #[inline(always)]
    fn tanh_s16(self, x: &mut [i16], curve: SigmoidS16) {
        // SAFETY: all of `x`, and the table.
        unsafe { tanh(x.as_mut_ptr(), x.len(), SIGMOID_S16.as_ptr(), &raw const curve) };
    }

    #[inline(always)]
    fn saturate_s8(self, x: &[i32], offset: i32, y: &mut [i8]) {
        // SAFETY: as many as there are of both.
        unsafe { saturate(x.as_ptr(), y.as_mut_ptr(), x.len().min(y.len()), offset) };
    }
}

#[inline(never)]
fn remember(filters: &Filters<'_>, state: &mut [i8], sums: &mut [i32]) -> bool {
    let Filters { time, memory, zero_point } = *filters;
    // A scatter's steps are 16 bits.
    if !filters.fit(state, sums) || memory == 0 || sums.is_empty() || state.len() > 0xFFFF {
        return false;
    }
    let (n, last) = (sums.len(), state.as_mut_ptr().wrapping_add(memory - 1));
    // SAFETY: all of the state but its first code goes one place on.
    unsafe { go_on(state.as_mut_ptr(), state.len() - 1) };
    // SAFETY: the last code of each of `n` filters, not none, and their sums.
    unsafe { put_last(sums.as_ptr(), last, n, memory, zero_point) };
    let of = Weigh { sums: sums.as_mut_ptr(), memory, zero_point };
    let leaf = if memory == 8 { weigh_eight } else { weigh };
    // SAFETY: `n` filters, not none, of the memory, and their sums.
    unsafe { leaf(state.as_ptr(), time.as_ptr(), n, &raw const of) };
    true
}

/// [`StepRows::requantize_s32`]. 9 instructions for 4.
///
/// Alignment: `vldrw` and `vstrw` of `x`, words by its type.
///
/// # Safety
/// `x` is valid for `n` elements. The shift is -31 to 30.
#[unsafe(naked)]
unsafe extern "C" fn requantize(x: *mut i32, n: usize, mantissa: i32, shift: i32) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, lr}}",
        // To the left, to the right, and all ones if there is something to round behind the product.
        "bic r12, r3, r3, asr #31",
        "and r3, r3, r3, asr #31",
        "asr r4, r3, #31",
        "vdup.32 q2, r4",
        "wlstp.32 lr, r1, 3f",
        "2:",
        "vldrw.u32 q0, [r0]",
        "vshl.s32 q0, r12",
        "vqrdmulh.s32 q0, q0, r2",
        "vshr.s32 q1, q0, #31",
        "vand q1, q1, q2",
        "vadd.i32 q0, q0, q1",
        "vrshl.s32 q0, r3",
        "vstrw.32 q0, [r0], #16",
        "letp lr, 2b",
        "3:",
        "pop {{r4, pc}}",
    )
}

/// Both curves: q0 the argument's sign, q1 its size, r1 the table and r5 its second entry.
///
/// `$bits` are those between two entries, `$mask` all of them, `$last` the largest size before the last entry, `$beyond` what
/// comes out behind it; `$mirror` makes of q3 what it is at the negative argument where q0 says so.
macro_rules! curve {
    ($bits:literal, $mask:literal, $last:literal, $beyond:literal, [$($mirror:literal),*], $round:literal) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r8, lr}}",
            "vpush {{d8-d15}}",
            "adds r5, r2, #2",
            // The multiplier, half a step, and the shift to the left.
            "ldrd r3, r4, [r3]",
            "movs r6, #1",
            "lsls r6, r4",
            "lsrs r6, r6, #1",
            "rsbs r4, r4, #0",
            "movs r7, #254",
            "vdup.32 q5, r7",
            concat!("movw r7, #", $mask),
            "vdup.32 q6, r7",
            concat!("ldr r7, =", $beyond),
            "vdup.32 q7, r7",
            concat!("ldr r7, =", $last),
            "mvn r8, #0",
            "lsl r8, r8, #23",
            "wlstp.32 lr, r1, 3f",
            "2:",
            "vldrh.s32 q0, [r0]",
            "vmul.i32 q0, q0, r3",
            "vadd.i32 q0, q0, r6",
            "vshl.s32 q0, r4",
            "vabs.s32 q1, q0",
            "vshr.s32 q0, q0, #31",
            concat!("vshr.u32 q2, q1, #", $bits),
            "vmin.u32 q2, q2, q5",
            "vldrh.u32 q3, [r2, q2, uxtw #1]",
            "vldrh.u32 q4, [r5, q2, uxtw #1]",
            "vsub.i32 q4, q4, q3",
            "vand q2, q1, q6",
            "vmul.i32 q4, q4, q2",
            concat!("vshl.i32 q3, q3, #", $bits),
            "vadd.i32 q3, q3, q4",
            "vcmp.u32 hi, q1, r7",
            "vpsel q3, q7, q3",
            $($mirror,)*
            concat!("vrshr.s32 q3, q3, #", $round),
            "vstrh.32 q3, [r0], #8",
            "letp lr, 2b",
            "3:",
            "vpop {{d8-d15}}",
            "pop {{r4-r8, pc}}",
            ".ltorg",
        )
    };
}

/// [`SigmoidS16::logistic`]. 23 instructions for 4.
///
/// Alignment: `x` and the table by halfwords, `ldrd` of `of`, words by its type; `vpush` to the stack.
///
/// # Safety
/// `x` is valid for `n` codes, the table is that of `SigmoidS16`.
#[unsafe(naked)]
unsafe extern "C" fn logistic(x: *mut i16, n: usize, table: *const u16, of: *const SigmoidS16) {
    curve!(
        "9",
        "0x1FF",
        "130559",
        "0x1FFFC00",
        ["veor q3, q3, q0", "vshl.i32 q0, q0, #25", "vsub.i32 q3, q3, q0"],
        "10"
    )
}

/// [`SigmoidS16::tanh`]. 22 instructions for 4.
///
/// Alignment: as [`logistic`].
///
/// # Safety
/// As [`logistic`].
#[unsafe(naked)]
unsafe extern "C" fn tanh(x: *mut i16, n: usize, table: *const u16, of: *const SigmoidS16) {
    curve!("8", "0xFF", "65279", "0xFFFF00", ["vadd.i32 q3, q3, r8", "veor q3, q3, q0"], "8")
}

/// [`StepRows::saturate_s8`]. 5 instructions for 4.
///
/// Alignment: `vldrw` of `x`, words by its type; `y` by bytes.
///
/// # Safety
/// `x` and `y` are valid for `n` elements.
#[unsafe(naked)]
unsafe extern "C" fn saturate(x: *const i32, y: *mut i8, n: usize, offset: i32) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "vmov.i32 q2, #127",
        "vmvn.i32 q3, #127",
        "wlstp.32 lr, r2, 3f",
        "2:",
        "vldrw.u32 q0, [r0], #16",
        "vqadd.s32 q0, q0, r3",
        "vmin.s32 q0, q0, q2",
        "vmax.s32 q0, q0, q3",
        "vstrb.32 q0, [r1], #4",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}

/// Puts `x[1..=n]` where `x[..n]` is. 3 instructions for 16.
///
/// Alignment: by bytes.
///
/// # Safety
/// `x` is valid for `n + 1` elements.
#[unsafe(naked)]
unsafe extern "C" fn go_on(x: *mut i8, n: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "wlstp.8 lr, r1, 3f",
        "2:",
        "vldrb.u8 q0, [r0, #1]",
        "vstrb.8 q0, [r0], #16",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}

/// Puts `clamp(x + offset)` to every `step`-th place of `y`. 7 instructions for 4.
///
/// Alignment: `vldrw` of `x`, words by its type; `y` by bytes.
///
/// # Safety
/// `x` is valid for `n` elements, not none, `y` for as many, so far apart.
#[unsafe(naked)]
unsafe extern "C" fn put_last(x: *const i32, y: *mut i8, n: usize, step: usize, offset: i32) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, lr}}",
        "ldr r12, [sp, #8]",
        "movs r4, #0",
        "vidup.u32 q1, r4, #1",
        "vmul.i32 q1, q1, r3",
        "lsl r3, r3, #2",
        "vmov.i32 q2, #127",
        "vmvn.i32 q3, #127",
        "dlstp.32 lr, r2",
        "2:",
        "vldrw.u32 q0, [r0], #16",
        "vadd.i32 q0, q0, r12",
        "vmin.s32 q0, q0, q2",
        "vmax.s32 q0, q0, q3",
        "vstrb.32 q0, [r1, q1]",
        "vadd.i32 q1, q1, r3",
        "letp lr, 2b",
        "pop {{r4, pc}}",
    )
}

/// What [`weigh`] needs besides its pointers.
#[repr(C)]
struct Weigh {
    sums: *mut i32,
    memory: usize,
    zero_point: i32,
}

/// Sums of filters: 5 instructions for 16 codes, 11 a filter.
///
/// Alignment: `state` and `time` by bytes; `ldm` of `of`, `str` of its sums, words by their types.
///
/// # Safety
/// `state` and `time` are valid for `n` filters, not none, of a memory that is not 0, the sums for as many.
#[unsafe(naked)]
unsafe extern "C" fn weigh(state: *const i8, time: *const i8, n: usize, of: *const Weigh) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r8, lr}}",
        "ldm r3, {{r3, r5, r7}}",
        "3:",
        "movs r4, #0",
        "movs r6, #0",
        "mov r8, r0",
        "mov r12, r1",
        "dlstp.8 lr, r5",
        "2:",
        "vldrb.u8 q0, [r8], #16",
        "vldrb.u8 q1, [r12], #16",
        "vmlava.s8 r4, q0, q1",
        "vaddva.s8 r6, q1",
        "letp lr, 2b",
        "mls r4, r6, r7, r4",
        "str r4, [r3], #4",
        "add r0, r5",
        "add r1, r5",
        "subs r2, #1",
        "bne 3b",
        "pop {{r4-r8, pc}}",
    )
}

/// [`weigh`] of a memory of 8: 6 instructions a filter.
///
/// Alignment: as [`weigh`].
///
/// # Safety
/// As [`weigh`].
#[unsafe(naked)]
unsafe extern "C" fn weigh_eight(state: *const i8, time: *const i8, n: usize, of: *const Weigh) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, lr}}",
        "ldr r12, [r3, #8]",
        "ldr r3, [r3]",
        "rsb r12, r12, #0",
        "dls lr, r2",
        "2:",
        "vldrb.s16 q0, [r0], #8",
        "vldrb.s16 q1, [r1], #8",
        "vadd.i16 q0, q0, r12",
        "vmlav.s16 r4, q0, q1",
        "str r4, [r3], #4",
        "le lr, 2b",
        "pop {{r4, pc}}",
    )
}
