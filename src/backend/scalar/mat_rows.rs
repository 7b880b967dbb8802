//! Products of matrices on a core with Thumb-2 but without the DSP extension: both widened to words with their offsets, then
//! `mla` on two rows and four columns. Counts are in `backend/scalar.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use core::arch::naked_asm;

use super::Scalar;
use crate::backend::mat_rows::{MatRows, MatS8};
use crate::backend::tiles::{self, Tiles, Turn, tile};

impl MatRows for Scalar {
    #[inline(always)]
    fn product_s8(self, of: &MatS8, lhs: &[i8], rhs: &[i8], y: &mut [i8], scratch: &mut [i32]) -> bool {
        product(of, lhs, rhs, y, scratch)
    }
}

#[inline(never)]
fn product(of: &MatS8, lhs: &[i8], rhs: &[i8], y: &mut [i8], scratch: &mut [i32]) -> bool {
    tiles::product::<Words>(of, lhs, rhs, y, scratch)
}

/// A word an input.
struct Words;

/// All inputs of some lines, where no loop of this file fits.
#[inline(never)]
fn put_all(to: &mut [i32], lines: usize, of: &dyn Fn(usize, usize) -> i32) {
    for (k, to) in to.chunks_exact_mut(lines.max(1)).enumerate() {
        for (line, to) in to.iter_mut().enumerate() {
            *to = of(line, k);
        }
    }
}

impl Tiles for Words {
    const INPUTS: usize = 1;
    const WORDS: usize = 1;

    #[inline(always)]
    fn pack(of: &MatS8, rhs: &[i8], c: usize, to: &mut [i32]) {
        let MatS8 { depth, cols, offsets: [_, offset], rhs_is_transposed, .. } = *of;
        if c + 4 > cols || to.len() < 4 * depth {
            return put_all(to, 4, &|line, k| i32::from(of.right(rhs, k, c + line)).wrapping_add(offset));
        }
        // From a column to the next, and from an input to the next.
        let (start, line, step) = if rhs_is_transposed { (c * depth, depth, 1) } else { (c, 1, cols) };
        let from = rhs.as_ptr().wrapping_add(start);
        let step = Step { line, step, offset };
        // SAFETY: four columns of all inputs, not none, are in `rhs`, and have room.
        unsafe { widen_four(from, depth, to.as_mut_ptr(), &raw const step) };
    }

    #[inline(always)]
    fn widen(of: &MatS8, lhs: &[i8], rows: [usize; 2], to: &mut [i32]) {
        let MatS8 { depth, offsets: [offset, _], lhs_is_transposed, .. } = *of;
        if lhs_is_transposed || to.len() < 2 * depth {
            return put_all(to, 2, &|line, k| {
                let r = if line == 0 { rows[0] } else { rows[1] };
                i32::from(of.left(lhs, r, k)).wrapping_add(offset)
            });
        }
        let [x0, x1] = rows.map(|r| lhs.as_ptr().wrapping_add(r * depth));
        // SAFETY: both rows of all inputs, not none, are in `lhs`, and have room.
        unsafe { widen_two(x0, x1, depth, to.as_mut_ptr(), offset) };
    }

    #[inline(always)]
    unsafe fn run(columns: *const i32, rows: *const i32, groups: usize, turn: *const Turn) {
        // SAFETY: the caller's.
        unsafe { two_by_four(columns, rows, groups, turn) }
    }
}

/// How columns lie.
#[repr(C)]
struct Step {
    /// Bytes from one to the next.
    line: usize,
    /// Bytes from one input to the next.
    step: usize,
    offset: i32,
}

/// Two rows, an offset added. 22 instructions for twice 4.
///
/// Alignment: rows by bytes; `strd` of `to`, words by its type.
///
/// # Safety
/// Both rows are valid for `n` elements, not none, `to` for two words each.
#[unsafe(naked)]
unsafe extern "C" fn widen_two(x0: *const i8, x1: *const i8, n: usize, to: *mut i32, offset: i32) {
    naked_asm!(
        ".arch armv7-m",
        "push {{r4-r6, lr}}",
        "ldr r12, [sp, #16]",
        "lsrs r6, r2, #2",
        "beq 3f",
        "2:",
        ".rept 4",
        "ldrsb r4, [r0], #1",
        "ldrsb r5, [r1], #1",
        "add r4, r12",
        "add r5, r12",
        "strd r4, r5, [r3], #8",
        ".endr",
        "subs r6, #1",
        "bne 2b",
        "3:",
        "ands r6, r2, #3",
        "beq 5f",
        "4:",
        "ldrsb r4, [r0], #1",
        "ldrsb r5, [r1], #1",
        "add r4, r12",
        "add r5, r12",
        "strd r4, r5, [r3], #8",
        "subs r6, #1",
        "bne 4b",
        "5:",
        "pop {{r4-r6, pc}}",
    )
}

/// Four columns, an offset added. 12 instructions for 4.
///
/// Alignment: columns by bytes; `stm` of `to` and `ldm` of `step`, words by their types.
///
/// # Safety
/// Four columns, as `step` says they lie, are valid for `n` elements, not none, `to` for four words each.
#[unsafe(naked)]
unsafe extern "C" fn widen_four(w: *const i8, n: usize, to: *mut i32, step: *const Step) {
    naked_asm!(
        ".arch armv7-m",
        "push {{r4-r9, lr}}",
        "ldm r3, {{r3, r8, r12}}",
        // Columns 1 to 3 from column 0.
        "lsl r9, r3, #1",
        "add lr, r9, r3",
        "2:",
        "ldrsb r4, [r0]",
        "ldrsb r5, [r0, r3]",
        "ldrsb r6, [r0, r9]",
        "ldrsb r7, [r0, lr]",
        "add r0, r8",
        "add r4, r12",
        "add r5, r12",
        "add r6, r12",
        "add r7, r12",
        "stm r2!, {{r4-r7}}",
        "subs r1, #1",
        "bne 2b",
        "pop {{r4-r9, pc}}",
    )
}

/// An output of a sum in a register: both roundings, the first by the carry of the product's lower half.
macro_rules! output {
    ($sum:literal, $at:literal) => {
        concat!(
            "add ",
            $sum,
            ", ",
            $sum,
            "\nadd lr, r3, ",
            $sum,
            ", asr #31\nsmull r0, ",
            $sum,
            ", ",
            $sum,
            ", r2\nadds r0, r0\nadc ",
            $sum,
            ", ",
            $sum,
            ", lr\nasr ",
            $sum,
            ", r12\nssat ",
            $sum,
            ", #8, ",
            $sum,
            "\nstrb ",
            $sum,
            ", [r1, ",
            $at,
            "]\n",
        )
    };
}

/// 179 instructions for 128 products, 82 for eight outputs.
///
/// Alignment: `ldrd` of `columns` and `rows`, `ldm` of `turn`, words by their types; the frame is words of the stack; outputs by
/// bytes.
///
/// # Safety
/// As [`Tiles::run`].
#[unsafe(naked)]
unsafe extern "C" fn two_by_four(columns: *const i32, rows: *const i32, groups: usize, turn: *const Turn) {
    tile!(".arch armv7-m", "mul", "mla", ["str r0, [sp, #36]"], output, ["ldr r0, [sp, #36]"])
}
