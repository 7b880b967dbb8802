//! Rows of 8-bit integers: weights by gather, quotients four at a time, tables of outputs looked up sixteen at a time.
#![allow(unsafe_code, reason = "whole loops in assembly: there are no intrinsics for MVE")]

use core::arch::asm;
use core::mem::MaybeUninit;

use super::Helium;
use crate::backend::s8_rows::{self, HALF_Q19};
use crate::backend::{InOut, Quotient, S8Row, S8Rows, S8Values, Weights};

/// From these lengths on a row gets a table of its 256 outputs: `Once` has more outputs that are not zero than `Twice`.
const TWICE: usize = 112;
const ONCE: usize = 200;

impl S8Rows for Helium {
    /// 0.2 instructions an element; portable 0.3.
    #[inline(always)]
    fn max_s8(self, x: &[i8]) -> i8 {
        let mut max = i32::from(i8::MIN);
        if x.is_empty() {
            return i8::MIN;
        }
        // SAFETY: reads the row, the lanes of its tail only.
        // Alignment: by bytes.
        unsafe {
            asm!(
                "dlstp.8 lr, {len}",
                "2:",
                "vldrb.s8 q0, [{x}], #16",
                "vmaxv.s8 {max}, q0",
                "letp lr, 2b",
                len = in(reg) x.len(),
                x = inout(reg) x.as_ptr() => _,
                max = inout(reg) max,
                out("q0") _, out("lr") _,
                options(nostack, readonly),
            );
        }
        max as i8
    }

    /// 0.8 instructions an element; portable 2.5.
    #[inline(always)]
    fn sum_s8(self, x: S8Values<'_>, weights: &Weights) -> u32 {
        sum_s8(x, weights)
    }

    /// 1.1 instructions an element; portable 2.8.
    #[inline(always)]
    fn sum_q19_s8(self, x: S8Values<'_>, weights: &Weights) -> u32 {
        sum_q19_s8(x, weights)
    }

    /// One by one 1.8 instructions an element, by a table 0.3 and 2.4 an entry; portable 20 and 4.
    #[inline(always)]
    fn quotients_s8(self, row: S8Row<'_, i8>, weights: &Weights, quotient: Quotient) {
        let (len, top) = (row.len(), row.top());
        // A quotient of 256 would come out as 0.
        let full = quotient.of(weights[255], 256) == 256;
        match quotient {
            Quotient::Twice { factor, shift } if full || len >= TWICE => {
                by_table_twice(row.into_rows(), top, weights, factor, shift);
            }
            Quotient::Twice { factor, shift } => twice_s8(row.into_rows(), top, weights, factor, shift),
            Quotient::Once { shift: ..=32, .. } => rare_s8(row, weights, quotient),
            Quotient::Once { factor, shift } if full || len >= ONCE => {
                by_table_once(row.into_rows(), top, weights, factor, shift - 32);
            }
            Quotient::Once { factor, shift } => once_s8(row.into_rows(), top, weights, factor, shift - 32),
        }
    }

    /// 2.1 instructions an element; portable 20, and 6 by a table.
    #[inline(always)]
    fn quotients_s16(self, row: S8Row<'_, i16>, weights: &Weights, quotient: Quotient) {
        let top = row.top();
        match quotient {
            Quotient::Twice { factor, shift } => twice_s16(row.into_rows(), top, weights, factor, shift),
            Quotient::Once { shift: ..=32, .. } => rare_s16(row, weights, quotient),
            Quotient::Once { factor, shift } => once_s16(row.into_rows(), top, weights, factor, shift - 32),
        }
    }
}

/// Rows whose sum is tiny.
#[cold]
#[inline(never)]
fn rare_s8(row: S8Row<'_, i8>, weights: &Weights, quotient: Quotient) {
    s8_rows::quotients_s8(row, weights, quotient);
}

/// Rows whose sum is tiny.
#[cold]
#[inline(never)]
fn rare_s16(row: S8Row<'_, i16>, weights: &Weights, quotient: Quotient) {
    s8_rows::quotients_s16(row, weights, quotient);
}

/// Where the entry of 0 would stand, so that a signed element is the index: a gather's offsets wrap.
#[inline(always)]
const fn base(weights: &Weights, top: i8) -> *const u32 {
    weights.as_ptr().wrapping_offset(255 - top as isize)
}

macro_rules! sum {
    ($name:ident, $($op:literal),*) => {
        #[inline(always)]
        fn $name(x: S8Values<'_>, weights: &Weights) -> u32 {
            let sum: u32;
            // SAFETY: reads all of `x` and nothing else of it, and an entry of `weights` for each element, as none exceeds
            // `top`.
            // Alignment: `x` by bytes; the gather from `weights`, words by its type.
            unsafe {
                asm!(
                    "lsrs r3, r1, #4",
                    "beq 3f",
                    "dls lr, r3",
                    "2:",
                    ".rept 4",
                    "vldrb.s32 q0, [r0], #4",
                    "vldrw.u32 q1, [r2, q0, uxtw #2]",
                    $($op,)*
                    "vaddva.u32 r4, q1",
                    ".endr",
                    "le lr, 2b",
                    "3:",
                    "ands r1, r1, #15",
                    "beq 5f",
                    "dlstp.32 lr, r1",
                    "4:",
                    "vldrb.s32 q0, [r0], #4",
                    "vldrw.u32 q1, [r2, q0, uxtw #2]",
                    $($op,)*
                    "vaddva.u32 r4, q1",
                    "letp lr, 4b",
                    "5:",
                    inout("r0") x.x().as_ptr() => _,
                    inout("r1") x.x().len() => _,
                    in("r2") base(weights, x.top()),
                    out("r3") _,
                    inout("r4") 0u32 => sum,
                    out("q0") _, out("q1") _, out("lr") _,
                    options(nostack, readonly),
                );
            }
            sum
        }
    };
}
sum!(sum_s8,);
sum!(sum_q19_s8, "vshr.u32 q1, q1, #12");

macro_rules! one_by_one {
    ($name:ident, $y:ty, [$($op:literal),*], $store:literal, $half:literal) => {
        #[inline(always)]
        fn $name(mut rows: InOut<'_, i8, $y>, top: i8, weights: &Weights, factor: u32, shift: u32) {
            let len = rows.len();
            let (x, y) = rows.pointers();
            // SAFETY: reads and writes `len` elements, the lanes of their tail only, each four read before they are written,
            // and an entry of `weights` for each, as none exceeds `top`.
            // Alignment: `x` by bytes, `y` by bytes, or halfwords by its type; the gather from `weights`, words by its type.
            unsafe {
                asm!(
                    "vdup.32 q2, r4",
                    "mvn r9, #0",
                    "vdup.32 q3, r9",
                    "vshr.u32 q3, q3, #16",
                    "lsrs r9, r1, #4",
                    "beq 3f",
                    "dls lr, r9",
                    "2:",
                    ".rept 4",
                    "vldrb.s32 q0, [r0], #4",
                    "vldrw.u32 q1, [r2, q0, uxtw #2]",
                    $($op,)*
                    "vsub.i32 q1, q1, r12",
                    $store,
                    ".endr",
                    "le lr, 2b",
                    "3:",
                    "ands r9, r1, #15",
                    "beq 5f",
                    "dlstp.32 lr, r9",
                    "4:",
                    "vldrb.s32 q0, [r0], #4",
                    "vldrw.u32 q1, [r2, q0, uxtw #2]",
                    $($op,)*
                    "vsub.i32 q1, q1, r12",
                    $store,
                    "letp lr, 4b",
                    "5:",
                    inout("r0") x => _,
                    in("r1") len,
                    in("r2") base(weights, top),
                    inout("r3") y => _,
                    in("r4") factor,
                    in("r5") shift.wrapping_neg(),
                    in("r8") HALF_Q19,
                    out("r9") _,
                    in("r12") $half,
                    out("q0") _, out("q1") _, out("q2") _, out("q3") _, out("lr") _,
                    options(nostack),
                );
            }
        }
    };
}
one_by_one!(
    twice_s8,
    i8,
    ["vsub.i32 q1, q1, r8", "vqrdmulh.s32 q1, q1, r4", "vrshl.s32 q1, r5"],
    "vstrb.32 q1, [r3], #4",
    128
);
one_by_one!(once_s8, i8, ["vmulh.u32 q1, q1, q2", "vrshl.u32 q1, r5"], "vstrb.32 q1, [r3], #4", 128);
one_by_one!(
    twice_s16,
    i16,
    ["vsub.i32 q1, q1, r8", "vqrdmulh.s32 q1, q1, r4", "vrshl.s32 q1, r5", "vmin.u32 q1, q1, q3"],
    "vstrh.32 q1, [r3], #8",
    32_768
);
one_by_one!(
    once_s16,
    i16,
    ["vmulh.u32 q1, q1, q2", "vrshl.u32 q1, r5", "vmin.u32 q1, q1, q3"],
    "vstrh.32 q1, [r3], #8",
    32_768
);

macro_rules! by_table {
    ($name:ident, $($op:literal),*) => {
        /// A table of the outputs of all weights first, of the largest to begin with, so that the index is the distance from
        /// the bound, and then each element looked up in it.
        #[inline(always)]
        fn $name(mut rows: InOut<'_, i8>, top: i8, weights: &Weights, factor: u32, shift: u32) {
            let len = rows.len();
            if len == 0 {
                return;
            }
            let (x, y) = rows.pointers();
            let mut table = MaybeUninit::<[i8; 256]>::uninit();
            // SAFETY: fills the table with the least output, and then writes outputs from its start to its end at most, for as
            // many entries of `weights` from their end.
            // Alignment: the table by bytes; the gather from `weights`, words by its type.
            unsafe {
                asm!(
                    "vdup.8 q2, r12",
                    ".rept 16",
                    "vstrb.8 q2, [r3], #16",
                    ".endr",
                    "vdup.32 q2, r4",
                    "mov r9, #255",
                    "vdup.32 q3, r9",
                    // Byte offsets 0, -4, -8, -12.
                    "mov lr, #0",
                    "vidup.u32 q0, lr, #4",
                    "vneg.s32 q0, q0",
                    "2:",
                    ".rept 4",
                    "vldrw.u32 q1, [r2, q0]",
                    $($op,)*
                    "vmin.u32 q1, q1, q3",
                    "vsub.i32 q1, q1, r12",
                    "vstrb.32 q1, [r0], #4",
                    "sub r2, #16",
                    ".endr",
                    // Zero, and so are all further ones.
                    "vmov.32 r9, q1[3]",
                    "cmn r9, #128",
                    "beq 3f",
                    "cmp r0, r3",
                    "bne 2b",
                    "3:",
                    inout("r0") table.as_mut_ptr() => _,
                    inout("r2") &raw const weights[255] => _,
                    inout("r3") table.as_mut_ptr() => _,
                    in("r4") factor,
                    in("r5") shift.wrapping_neg(),
                    in("r8") HALF_Q19,
                    out("r9") _,
                    in("r12") 128,
                    out("q0") _, out("q1") _, out("q2") _, out("q3") _, out("lr") _,
                    options(nostack),
                );
            }
            // SAFETY: reads and writes `len` elements, the lanes of their tail only, each sixteen read before they are
            // written; any byte is an index of the table, all of which was written above.
            // Alignment: by bytes.
            unsafe {
                asm!(
                    "vdup.8 q2, {top}",
                    "dlstp.8 lr, {len}",
                    "2:",
                    "vldrb.u8 q0, [{x}], #16",
                    "vsub.i8 q0, q2, q0",
                    "vldrb.u8 q1, [{table}, q0]",
                    "vstrb.8 q1, [{y}], #16",
                    "letp lr, 2b",
                    top = in(reg) i32::from(top),
                    len = in(reg) len,
                    x = inout(reg) x => _,
                    y = inout(reg) y => _,
                    table = in(reg) table.as_ptr(),
                    out("q0") _, out("q1") _, out("q2") _, out("lr") _,
                    options(nostack),
                );
            }
        }
    };
}
by_table!(by_table_twice, "vsub.i32 q1, q1, r8", "vqrdmulh.s32 q1, q1, r4", "vrshl.s32 q1, r5");
by_table!(by_table_once, "vmulh.u32 q1, q1, q2", "vrshl.u32 q1, r5");
