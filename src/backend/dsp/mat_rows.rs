//! Products of matrices: both widened to 16 bits with their offsets, then `smlad` on two rows and four columns. Counts are in
//! `backend/dsp.md`.
#![allow(unsafe_code, reason = "leaves in assembly")]

use core::arch::naked_asm;

use super::Dsp;
use crate::backend::mat_rows::{MatRows, MatS8};
use crate::backend::tiles::{self, Tiles, Turn, tile};

impl MatRows for Dsp {
    #[inline(always)]
    fn product_s8(self, of: &MatS8, lhs: &[i8], rhs: &[i8], y: &mut [i8], scratch: &mut [i32]) -> bool {
        product(of, lhs, rhs, y, scratch)
    }
}

#[inline(never)]
fn product(of: &MatS8, lhs: &[i8], rhs: &[i8], y: &mut [i8], scratch: &mut [i32]) -> bool {
    tiles::product::<Halves>(of, lhs, rhs, y, scratch)
}

/// Two words a column for four inputs: the pairs (0, 2) and (1, 3), as `sxtab16` widens them.
struct Halves;

/// Both halves of a word.
#[inline(always)]
const fn twice(offset: i32) -> u32 {
    (offset as u16 as u32).wrapping_mul(0x0001_0001)
}

/// Puts input `k` of the line that is number `line` of `lines` into its half of a word.
#[inline(always)]
fn put(to: &mut [i32], lines: usize, line: usize, k: usize, value: i32) {
    let at = (k / 4 * 2 + k % 2) * lines + line;
    if let Some(word) = to.get_mut(at) {
        let shift = k % 4 / 2 * 16;
        *word = (*word & !(0xFFFF << shift)) | ((value & 0xFFFF) << shift);
    }
}

/// Inputs from `first` on, a multiple of four, of some lines; zeros behind the last one.
#[inline(never)]
fn put_some(to: &mut [i32], lines: usize, (first, depth): (usize, usize), of: &dyn Fn(usize, usize) -> i32) {
    to.get_mut(first / 2 * lines..).unwrap_or(&mut []).fill(0);
    for line in 0..lines {
        for k in first..depth {
            put(to, lines, line, k, of(line, k));
        }
    }
}

impl Tiles for Halves {
    const INPUTS: usize = 4;
    const WORDS: usize = 2;

    #[inline(always)]
    fn pack(of: &MatS8, rhs: &[i8], c: usize, to: &mut [i32]) {
        let MatS8 { depth, cols, offsets: [_, offset], rhs_is_transposed, .. } = *of;
        let mut fours = 0;
        if c + 4 <= cols && depth >= 4 && to.len() >= depth / 4 * 8 {
            fours = depth / 4;
            let to = to.as_mut_ptr();
            if rhs_is_transposed {
                let from = rhs.as_ptr().wrapping_add(c * depth);
                // SAFETY: four columns of so many fours, not none, are in `rhs`, and have room.
                unsafe { pack_columns(from, depth, fours, to, twice(offset)) };
            } else {
                let from = rhs.as_ptr().wrapping_add(c);
                // SAFETY: four columns of so many fours of rows, not none, are in `rhs`, and have room.
                unsafe { pack_rows(from, cols, fours, to, twice(offset)) };
            }
        }
        if fours * 4 < depth {
            put_some(to, 4, (fours * 4, depth), &|line, k| i32::from(of.right(rhs, k, c + line)).wrapping_add(offset));
        }
    }

    #[inline(always)]
    fn widen(of: &MatS8, lhs: &[i8], rows: [usize; 2], to: &mut [i32]) {
        let MatS8 { depth, offsets: [offset, _], lhs_is_transposed, .. } = *of;
        let mut fours = 0;
        if !lhs_is_transposed && depth >= 4 && to.len() >= depth / 4 * 4 {
            fours = depth / 4;
            let [x0, x1] = rows.map(|r| lhs.as_ptr().wrapping_add(r * depth));
            // SAFETY: so many fours of both rows, not none, are in `lhs`, and have room.
            unsafe { widen_rows(x0, x1, fours, to.as_mut_ptr(), twice(offset)) };
        }
        if fours * 4 < depth {
            put_some(to, 2, (fours * 4, depth), &|line, k| {
                let r = if line == 0 { rows[0] } else { rows[1] };
                i32::from(of.left(lhs, r, k)).wrapping_add(offset)
            });
        }
    }

    #[inline(always)]
    unsafe fn run(columns: *const i32, rows: *const i32, groups: usize, turn: *const Turn) {
        // SAFETY: the caller's.
        unsafe { two_by_four(columns, rows, groups, turn) }
    }
}

/// Widens four inputs at a time of each of two rows and adds an offset; a word of `x0` and a word of `x1` take turns. 30
/// instructions for twice 16.
///
/// Alignment: `x0` and `x1` may start anywhere: `ldr` takes any address; `stm` of `to`, words by its type.
///
/// # Safety
/// `x0` and `x1` are valid for `fours` of four, not none, `to` for four words each.
#[unsafe(naked)]
unsafe extern "C" fn widen_rows(x0: *const i8, x1: *const i8, fours: usize, to: *mut i32, offset: u32) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r9, lr}}",
        "ldr r12, [sp, #28]",
        "lsrs lr, r2, #2",
        "beq 3f",
        "2:",
        ".rept 4",
        "ldr r4, [r0], #4",
        "ldr r5, [r1], #4",
        "sxtab16 r6, r12, r4",
        "sxtab16 r7, r12, r5",
        "sxtab16 r8, r12, r4, ror #8",
        "sxtab16 r9, r12, r5, ror #8",
        "stm r3!, {{r6-r9}}",
        ".endr",
        "subs lr, #1",
        "bne 2b",
        "3:",
        "ands r2, r2, #3",
        "beq 5f",
        "4:",
        "ldr r4, [r0], #4",
        "ldr r5, [r1], #4",
        "sxtab16 r6, r12, r4",
        "sxtab16 r7, r12, r5",
        "sxtab16 r8, r12, r4, ror #8",
        "sxtab16 r9, r12, r5, ror #8",
        "stm r3!, {{r6-r9}}",
        "subs r2, #1",
        "bne 4b",
        "5:",
        "pop {{r4-r9, pc}}",
    )
}

/// Widens four inputs at a time of each of four columns, `step` bytes apart, and adds an offset. 17 instructions for 16.
///
/// Alignment: `w` may start anywhere: `ldr` takes any address; `stm` and `strd` of `to`, words by its type.
///
/// # Safety
/// Each column is valid for `fours` of four, not none, `to` for eight words each.
#[unsafe(naked)]
unsafe extern "C" fn pack_columns(w: *const i8, step: usize, fours: usize, to: *mut i32, offset: u32) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r11, lr}}",
        "ldr r12, [sp, #36]",
        "add r10, r0, r1, lsl #1",
        "add r11, r10, r1",
        "add r1, r0",
        "2:",
        "ldr r4, [r0], #4",
        "ldr r5, [r1], #4",
        "ldr r6, [r10], #4",
        "ldr r7, [r11], #4",
        "sxtab16 r8, r12, r4",
        "sxtab16 r9, r12, r5",
        "strd r8, r9, [r3], #8",
        "sxtab16 r8, r12, r6",
        "sxtab16 r9, r12, r7",
        "strd r8, r9, [r3], #8",
        "sxtab16 r4, r12, r4, ror #8",
        "sxtab16 r5, r12, r5, ror #8",
        "sxtab16 r6, r12, r6, ror #8",
        "sxtab16 r7, r12, r7, ror #8",
        "stm r3!, {{r4-r7}}",
        "subs r2, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// The same of columns that lie side by side, inputs `step` bytes apart. 26 instructions for 16.
///
/// Alignment: as [`pack_columns`].
///
/// # Safety
/// Each of `fours` of four inputs, not none, is valid for four columns, `to` for eight words each.
#[unsafe(naked)]
unsafe extern "C" fn pack_rows(w: *const i8, step: usize, fours: usize, to: *mut i32, offset: u32) {
    naked_asm!(
        ".arch armv7e-m",
        "push {{r4-r11, lr}}",
        "ldr r12, [sp, #36]",
        "2:",
        "ldr r4, [r0]",
        "ldr r5, [r0, r1]",
        "add r0, r0, r1, lsl #1",
        "ldr r6, [r0]",
        "ldr r7, [r0, r1]",
        "add r0, r0, r1, lsl #1",
        "sxtab16 r8, r12, r4",
        "sxtab16 r9, r12, r4, ror #8",
        "sxtab16 lr, r12, r6",
        "sxtab16 r6, r12, r6, ror #8",
        "pkhtb r10, lr, r8, asr #16",
        "pkhtb r11, r6, r9, asr #16",
        "pkhbt r8, r8, lr, lsl #16",
        "pkhbt r9, r9, r6, lsl #16",
        "stm r3!, {{r8-r11}}",
        "sxtab16 r8, r12, r5",
        "sxtab16 r9, r12, r5, ror #8",
        "sxtab16 lr, r12, r7",
        "sxtab16 r6, r12, r7, ror #8",
        "pkhtb r10, lr, r8, asr #16",
        "pkhtb r11, r6, r9, asr #16",
        "pkhbt r8, r8, lr, lsl #16",
        "pkhbt r9, r9, r6, lsl #16",
        "stm r3!, {{r8-r11}}",
        "subs r2, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// An output of a sum in a register: both roundings, as `leaves_dot::outputs`.
macro_rules! output {
    ($sum:literal, $at:literal) => {
        concat!(
            "add ",
            $sum,
            ", ",
            $sum,
            "\nadd lr, r3, ",
            $sum,
            ", asr #31\nsmmlar ",
            $sum,
            ", ",
            $sum,
            ", r2, lr\nasr ",
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

/// 91 instructions for 128 products, 64 for eight outputs.
///
/// Alignment: `ldrd` of `columns` and `rows`, `ldm` of `turn`, words by their types; the frame is words of the stack; outputs by
/// bytes.
///
/// # Safety
/// As [`Tiles::run`].
#[unsafe(naked)]
unsafe extern "C" fn two_by_four(columns: *const i32, rows: *const i32, groups: usize, turn: *const Turn) {
    tile!(".arch armv7e-m", "smuad", "smlad", [], output, [])
}
