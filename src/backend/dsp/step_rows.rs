//! What layers with a memory do besides products. Counts are in `backend/dsp.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use core::arch::naked_asm;

use super::Dsp;
use crate::backend::step_rows::{Filters, StepRows};

impl StepRows for Dsp {
    #[inline(always)]
    fn remember_s8(self, filters: &Filters<'_>, state: &mut [i8], sums: &mut [i32]) -> bool {
        let Filters { time, memory, zero_point } = *filters;
        if !filters.fit(state, sums) || memory == 0 || !memory.is_multiple_of(4) || sums.is_empty() {
            return false;
        }
        let of = Weigh { fours: memory / 4, zero_point, n: sums.len() };
        // SAFETY: so many filters, not none, of so many fours of codes, not none, and their sums.
        unsafe { remember(state.as_mut_ptr(), time.as_ptr(), sums.as_mut_ptr(), &raw const of) };
        true
    }
}

/// What [`remember`] needs besides its pointers.
#[repr(C)]
struct Weigh {
    fours: usize,
    zero_point: i32,
    n: usize,
}

/// [`StepRows::remember_s8`]: 11 instructions for 4 codes, 15 a filter.
///
/// Alignment: `state` and `time` may start anywhere: `ldr` and `str` take any address; `ldm` of `of`, `ldr` and `str` of `sums`, words
/// by their types.
///
/// # Safety
/// `state` and `time` are valid for `of.n` filters, not none, of `of.fours` of four codes, not none, `sums` for as many.
#[unsafe(naked)]
unsafe extern "C" fn remember(state: *mut i8, time: *const i8, sums: *mut i32, of: *const Weigh) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r11, lr}}",
        "ldm r3, {{r3, r4, r5}}",
        // The zero point taken off both halves of a word.
        "rsb r12, r4, #0",
        "pkhbt r12, r12, r12, lsl #16",
        "push {{r4, r5}}",
        "3:",
        "ldr r4, [sp]",
        "ldr r6, [r2]",
        "add r6, r4",
        "ssat r6, #8, r6",
        "mov r11, #0",
        "subs lr, r3, #1",
        "beq 4f",
        "2:",
        "ldr r7, [r0, #1]",
        "ldr r8, [r1], #4",
        "str r7, [r0], #4",
        "sxtab16 r9, r12, r7",
        "sxtb16 r10, r8",
        "smlad r11, r9, r10, r11",
        "sxtab16 r9, r12, r7, ror #8",
        "sxtb16 r10, r8, ror #8",
        "smlad r11, r9, r10, r11",
        "subs lr, #1",
        "bne 2b",
        "4:",
        // The last four with the new one.
        "ldr r7, [r0]",
        "ldr r8, [r1], #4",
        "lsr r7, r7, #8",
        "orr r7, r7, r6, lsl #24",
        "str r7, [r0], #4",
        "sxtab16 r9, r12, r7",
        "sxtb16 r10, r8",
        "smlad r11, r9, r10, r11",
        "sxtab16 r9, r12, r7, ror #8",
        "sxtb16 r10, r8, ror #8",
        "smlad r11, r9, r10, r11",
        "str r11, [r2], #4",
        "ldr r5, [sp, #4]",
        "subs r5, #1",
        "str r5, [sp, #4]",
        "bne 3b",
        "add sp, #8",
        "pop {{r4-r11, pc}}",
    )
}
