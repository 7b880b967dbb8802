//! Windows of pools, sixteen channels at a time. Counts are in `backend/helium.md`.
#![allow(unsafe_code, reason = "loops in assembly")]

use core::arch::naked_asm;

use super::Helium;
use crate::backend::pool_rows::{CHANNELS, PoolRows, Taps};

/// Most taps whose sum fits 16 bits.
const MOST_TAPS: usize = 256;

impl PoolRows for Helium {
    #[inline(always)]
    fn sums_s8(self, x: &[i8], taps: &Taps) -> Option<[i32; CHANNELS]> {
        if !taps.are_inside(x) || taps.rows.saturating_mul(taps.cols) > MOST_TAPS {
            return None;
        }
        let mut sums = [0i16; CHANNELS];
        // SAFETY: all taps lie inside of `x`.
        unsafe { add(x.as_ptr(), taps.rows, taps.row, &Row::of(taps), &mut sums) };
        Some(sums.map(i32::from))
    }

    #[inline(always)]
    fn most_s8(self, x: &[i8], taps: &Taps) -> Option<[i32; CHANNELS]> {
        if !taps.are_inside(x) {
            return None;
        }
        let mut most = [0i8; CHANNELS];
        // SAFETY: all taps lie inside of `x`.
        unsafe { largest(x.as_ptr(), taps.rows, taps.row, &Row::of(taps), &mut most) };
        Some(most.map(i32::from))
    }
}

/// Taps of a row.
#[repr(C)]
struct Row {
    cols: usize,
    col: usize,
}

impl Row {
    #[inline(always)]
    const fn of(taps: &Taps) -> Self {
        Self { cols: taps.cols, col: taps.col }
    }
}

/// Sums of sixteen channels. 6 instructions a tap.
///
/// Alignment: `x` by bytes; `ldrd` of `of` and `vstrh.16` of `sums`, by their types.
///
/// # Safety
/// All taps, sixteen bytes each, are there, and there is one; at most 256.
#[unsafe(naked)]
unsafe extern "C" fn add(x: *const i8, rows: usize, row: usize, of: &Row, sums: &mut [i16; CHANNELS]) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r6, lr}}",
        "ldrd r5, r6, [r3]",
        "ldr r12, [sp, #16]",
        "vmov.i32 q0, #0",
        "vmov.i32 q1, #0",
        "2:",
        "mov r4, r0",
        "dls lr, r5",
        "3:",
        "vldrb.s16 q2, [r4]",
        "vldrb.s16 q3, [r4, #8]",
        "add r4, r6",
        "vadd.i16 q0, q0, q2",
        "vadd.i16 q1, q1, q3",
        "le lr, 3b",
        "add r0, r2",
        "subs r1, #1",
        "bne 2b",
        "vstrh.16 q0, [r12]",
        "vstrh.16 q1, [r12, #16]",
        "pop {{r4-r6, pc}}",
    )
}

/// The largest codes of sixteen channels. 4 instructions a tap.
///
/// Alignment: `x` and `most` by bytes; `ldrd` of `of`, by its type.
///
/// # Safety
/// All taps, sixteen bytes each, are there, and there is one.
#[unsafe(naked)]
unsafe extern "C" fn largest(x: *const i8, rows: usize, row: usize, of: &Row, most: &mut [i8; CHANNELS]) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r6, lr}}",
        "ldrd r5, r6, [r3]",
        "ldr r12, [sp, #16]",
        "vldrb.u8 q0, [r0]",
        "2:",
        "mov r4, r0",
        "dls lr, r5",
        "3:",
        "vldrb.u8 q1, [r4]",
        "add r4, r6",
        "vmax.s8 q0, q0, q1",
        "le lr, 3b",
        "add r0, r2",
        "subs r1, #1",
        "bne 2b",
        "vstrb.8 q0, [r12]",
        "pop {{r4-r6, pc}}",
    )
}
