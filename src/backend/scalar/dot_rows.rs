//! Products with weights stored row by row on a core with Thumb-2 but without the DSP extension, a Cortex-M3: four rows at a
//! time share each activation, in registers.
//!
//! One product an instruction, so loads are what can be saved: with the step behind the load (`ldrsb t, [w], #1`) a product
//! takes 2.4 instructions, with nibbles 2.9. LLVM spills what four sums and five pointers need.
//! Counts are in `backend/scalar.md`. A Cortex-M0 has neither these loads nor the registers: it runs the portable loops.
//!
//! Naked functions do not get the target's features from the compiler, hence `.arch` in each.
#![allow(unsafe_code, reason = "naked functions")]

use core::arch::naked_asm;

use super::Scalar;
use crate::backend::dot_rows::{self, Codes, Data, DotRows, LayerS8, Rows};
#[cfg(scrimp_picked = "scalar")]
use crate::backend::dot_rows::{Lines, OutputsS8, RunS8, row_term, rows_of};

impl DotRows for Scalar {
    #[inline(always)]
    fn linear_s8(self, layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
        #[cfg(scrimp_picked = "scalar")]
        layer.run_chosen(rows, y);
        #[cfg(not(scrimp_picked = "scalar"))]
        dot_rows::linear_s8_by(row_sums, layer, rows, y);
    }

    #[inline(always)]
    fn add_sums_s8(self, codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
        dot_rows::add_sums_s8_by(row_sums, codes, x, sums);
    }
}

/// What runs a layer: bytes, of which networks are, by a loop that links no other.
#[cfg(scrimp_picked = "scalar")]
pub(crate) const fn choose_s8(codes: &Codes<'_>, outputs: &OutputsS8<'_>) -> RunS8 {
    fn run_plain(layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
        let shape = (layer.codes().depth(), layer.codes().outputs());
        rows.each(shape, y, Lines::copy, |x, step, y| plain_rows(layer, x, step, y));
    }
    fn run_bytes(layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
        dot_rows::linear_s8_by(byte_sums, layer, rows, y);
    }
    fn run_any(layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
        dot_rows::linear_s8_by(row_sums, layer, rows, y);
    }
    match codes.data() {
        Data::Bytes(_) if codes.dropped() == 0 && outputs.is_plain => run_plain,
        Data::Bytes(_) if codes.dropped() == 0 => run_bytes,
        _ => run_any,
    }
}

/// Outputs at a time.
#[cfg(scrimp_picked = "scalar")]
const CHUNK: usize = 32;

/// Rows through a plain layer of bytes.
#[cfg(scrimp_picked = "scalar")]
#[inline(never)]
fn plain_rows(layer: &LayerS8<'_>, x: &[i8], step: usize, y: &mut [i8]) {
    let (codes, outputs) = (layer.codes(), layer.outputs());
    let mut room = core::mem::MaybeUninit::<[i32; CHUNK]>::uninit();
    let room: *mut i32 = room.as_mut_ptr().cast();
    for (x, y) in rows_of(x, step, codes.depth()).zip(y.chunks_exact_mut(codes.outputs().max(1))) {
        let row = row_term(x, layer.filter_offset());
        for ((first, y), bias) in (0..).step_by(CHUNK).zip(y.chunks_mut(CHUNK)).zip(outputs.bias.chunks(CHUNK)) {
            let n = y.len().min(bias.len());
            for (o, &bias) in bias.iter().enumerate().take(n) {
                // SAFETY: at most `CHUNK` of them.
                unsafe { room.wrapping_add(o).write(bias.wrapping_add(row)) };
            }
            // SAFETY: so many were written.
            let sums = unsafe { core::slice::from_raw_parts_mut(room, n) };
            byte_sums(codes, x, first, n, sums);
            let tables = Tables {
                mantissa: outputs.mantissa.as_ptr().wrapping_add(first),
                shift: outputs.shift.as_ptr().wrapping_add(first),
                twice_offset: 2 * outputs.offset + 1,
            };
            // SAFETY: `n` sums and outputs, not none, and the tables have an entry for each output; shifts and sums are within bounds,
            // as the layer is plain.
            unsafe { plain_outputs(sums.as_ptr(), y.as_mut_ptr(), n, &raw const tables) };
            if outputs.min > i8::MIN || outputs.max < i8::MAX {
                for y in y {
                    *y = (*y).min(outputs.max).max(outputs.min);
                }
            }
        }
    }
}

/// What outputs are made with.
#[cfg(scrimp_picked = "scalar")]
#[repr(C)]
struct Tables {
    mantissa: *const i32,
    shift: *const i8,
    /// Twice the output's offset, and 1.
    twice_offset: i32,
}

/// Outputs of sums with their bias, as i8 without a further clamp: 16 instructions each. The first rounding is the carry of the
/// product's lower half; what the second one adds before its shift and the offset ride in that addition.
///
/// Alignment: `ldm` of `tables`, `ldr` of `sums` and mantissas, words by their types; shifts and `y` by bytes.
///
/// # Safety
/// `sums`, `y` and the tables are valid for `n`, not none. Shifts are -22 to -1, and no sum reaches 2^30.
#[cfg(scrimp_picked = "scalar")]
#[unsafe(naked)]
unsafe extern "C" fn plain_outputs(sums: *const i32, y: *mut i8, n: usize, tables: *const Tables) {
    naked_asm!(
        ".arch armv7-m",
        "push {{r4-r9, lr}}",
        "ldm r3, {{r3, r4, r5}}",
        "2:",
        "ldr r6, [r0], #4",
        "ldr r7, [r3], #4",
        "ldrsb r8, [r4], #1",
        "add r6, r6",
        "mvn r8, r8",
        "eor r9, r6, r7",
        "lsl r12, r5, r8",
        "add r12, r12, r9, asr #31",
        "smull r9, r6, r6, r7",
        "adds r9, r9",
        "adc r6, r6, r12",
        "asr r6, r8",
        "ssat r6, #8, r6, asr #1",
        "strb r6, [r1], #1",
        "subs r2, #1",
        "bne 2b",
        "pop {{r4-r9, pc}}",
    )
}

/// [`row_sums`] of bytes that are read as they are.
#[cfg(scrimp_picked = "scalar")]
#[inline(always)]
fn byte_sums(codes: &Codes<'_>, x: &[i8], first: usize, n: usize, sums: &mut [i32]) {
    let Data::Bytes(w) = codes.data() else { return };
    let depth = codes.depth();
    let whole = n.min(sums.len()) / 4 * 4;
    let mut done = 0;
    if x.len() == depth && (first + whole) <= codes.outputs() && whole > 0 {
        let turn = Turn { depth, fours: whole / 4, drop: 0, half: 0 };
        // SAFETY: as in `row_sums`.
        unsafe {
            bytes(w.as_ptr().cast::<u8>().wrapping_add(first * depth), x.as_ptr(), sums.as_mut_ptr(), &raw const turn)
        };
        done = whole;
    }
    if x.len() != depth || first + n > codes.outputs() {
        return;
    }
    for (o, sum) in sums.iter_mut().enumerate().take(n).skip(done) {
        let w = w.as_ptr().wrapping_add((first + o) * depth);
        // SAFETY: a row of the weights, and as many activations, not none.
        *sum = sum.wrapping_add(unsafe { one_row(w, x.as_ptr(), depth) });
    }
}

/// The products of one row: 3 instructions each.
///
/// Alignment: by bytes.
///
/// # Safety
/// `w` and `x` are valid for `depth`, not none.
#[cfg(scrimp_picked = "scalar")]
#[unsafe(naked)]
unsafe extern "C" fn one_row(w: *const i8, x: *const i8, depth: usize) -> i32 {
    naked_asm!(
        ".arch armv7-m",
        "push {{r4, lr}}",
        "mov r12, #0",
        "lsrs lr, r2, #3",
        "beq 3f",
        "2:",
        ".rept 8",
        "ldrsb r3, [r0], #1",
        "ldrsb r4, [r1], #1",
        "mla r12, r3, r4, r12",
        ".endr",
        "subs lr, #1",
        "bne 2b",
        "3:",
        "ands r2, r2, #7",
        "beq 5f",
        "4:",
        "ldrsb r3, [r0], #1",
        "ldrsb r4, [r1], #1",
        "mla r12, r3, r4, r12",
        "subs r2, #1",
        "bne 4b",
        "5:",
        "mov r0, r12",
        "pop {{r4, pc}}",
    )
}

/// What a loop needs besides its pointers.
#[repr(C)]
struct Turn {
    /// Activations.
    depth: usize,
    /// Fours of rows.
    fours: usize,
    /// Bits that the width drops.
    drop: u32,
    /// Half of the last bit that it keeps.
    half: u32,
}

type Leaf = unsafe extern "C" fn(*const u8, *const i8, *mut i32, *const Turn);

/// [`dot_rows::row_sums`], by the loops of this file where there is one.
#[inline(never)]
fn row_sums(codes: &Codes<'_>, x: &[i8], first: usize, n: usize, sums: &mut [i32]) {
    let (depth, drop) = (codes.depth(), codes.dropped());
    let whole = n.min(sums.len()) / 4 * 4;
    let is_possible = x.len() == depth && (first + whole) <= codes.outputs() && whole > 0;
    let mut run = |leaf: Leaf, w: *const u8, start: usize| {
        let turn = Turn { depth, fours: whole / 4, drop, half: (1 << drop) >> 1 };
        // SAFETY: the rows from `first` on, `whole` of them, are within the weights, which are as long as the shape asks for;
        // `x` has `depth` activations, and there are `whole` sums.
        unsafe { leaf(w.wrapping_add(start), x.as_ptr(), sums.as_mut_ptr(), &raw const turn) };
        whole
    };
    let start = first * depth;
    let done = match codes.data() {
        _ if !is_possible => 0,
        Data::Bytes(w) => run(if drop == 0 { bytes } else { rounded }, w.as_ptr().cast(), start),
        // Rows of an odd number of nibbles begin within a byte.
        _ if !depth.is_multiple_of(2) => 0,
        Data::Nibbles(w) => run(nibbles, w.as_ptr(), start / 2),
        Data::Residuals(low) => run(residuals, low.as_ptr(), start / 2),
        Data::Planes(high, _) if drop == 4 => run(high_nibbles, high.as_ptr(), start / 2),
        // code = 16 high + (low - 8), as no code is above 119.
        Data::Planes(high, low) if drop == 0 && !low.is_empty() => {
            run(high_nibbles, high.as_ptr(), start / 2);
            run(residuals, low.as_ptr(), start / 2)
        }
        _ => 0,
    };
    if done < n {
        dot_rows::row_sums(codes, x, first + done, n - done, sums.get_mut(done..).unwrap_or(&mut []));
    }
}

/// The frame of all loops: r0, r4 to r6 the weights of four rows, r1 activations, r7 to r10 the sums; `$step` is repeated
/// for four activations a turn, then runs alone for what is left.
///
/// On the stack: activations, sums, end of the activations, half, drop, what is left of `fours`, bytes of a row.
macro_rules! loop_of {
    ($bytes:literal, [$($before:literal),*], $repeat:literal, [$($step:expr),* $(,)?], [$($after:literal),* $(,)?]) => {
        naked_asm!(
            ".arch armv7-m",
            "push {{r4-r11, lr}}",
            "sub sp, #28",
            "ldrd r4, r5, [r3]",
            "ldrd r6, r7, [r3, #8]",
            "add r8, r1, r4",
            "strd r1, r2, [sp]",
            "strd r8, r7, [sp, #8]",
            "strd r6, r5, [sp, #16]",
            $bytes,
            "str r4, [sp, #24]",
            "3:",
            "ldrd r1, r2, [sp]",
            "ldr r12, [sp, #24]",
            "ldr lr, [sp, #8]",
            "add r4, r0, r12",
            "add r5, r4, r12",
            "add r6, r5, r12",
            "mov r7, #0",
            "mov r8, #0",
            "mov r9, #0",
            "mov r10, #0",
            "sub lr, r1",
            "bic lr, #3",
            "add lr, r1",
            $($before,)*
            "cmp r1, lr",
            "beq 4f",
            "2:",
            $repeat,
            $($step,)*
            ".endr",
            "cmp r1, lr",
            "bne 2b",
            "4:",
            "ldr lr, [sp, #8]",
            "cmp r1, lr",
            "beq 6f",
            "5:",
            $($step,)*
            "cmp r1, lr",
            "bne 5b",
            "6:",
            $($after,)*
            "ldr r1, [sp, #4]",
            "ldm r1, {{r2, r3, r11, r12}}",
            "add r7, r2",
            "add r8, r3",
            "add r9, r11",
            "add r10, r12",
            "stm r1!, {{r7-r10}}",
            "ldr r2, [sp, #20]",
            "str r1, [sp, #4]",
            // The next four begin where the last row ends.
            "mov r0, r6",
            "subs r2, #1",
            "str r2, [sp, #20]",
            "bne 3b",
            "add sp, #28",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// A weight of each row times the activation r11.
macro_rules! byte {
    ($w:literal, $sum:literal, $t:literal) => {
        concat!("ldrsb ", $t, ", [", $w, "], #1\nmla ", $sum, ", ", $t, ", r11, ", $sum)
    };
}

/// The same, rounded.
macro_rules! rounded_byte {
    ($w:literal, $sum:literal) => {
        concat!(
            "ldrsb r12, [",
            $w,
            "], #1\nadd r12, r2\nssat r12, #8, r12\nasr r12, r3\nmla ",
            $sum,
            ", r12, r11, ",
            $sum
        )
    };
}

/// Two weights of a row times the activations r11, r12.
macro_rules! two_nibbles {
    ($w:literal, $sum:literal, $turned:literal) => {
        concat!(
            "ldrb r3, [",
            $w,
            "], #1\n",
            $turned,
            "sbfx r2, r3, #0, #4\nsbfx r3, r3, #4, #4\nmla ",
            $sum,
            ", r2, r11, ",
            $sum,
            "\nmla ",
            $sum,
            ", r3, r12, ",
            $sum
        )
    };
}

/// The loops of nibbles, with what is done to a byte before.
macro_rules! nibbles_of {
    ($turned:literal, [$($after:literal),*]) => {
        loop_of!(
            "lsr r4, #1",
            [],
            ".rept 2",
            [
                "ldrsb r11, [r1], #1",
                "ldrsb r12, [r1], #1",
                two_nibbles!("r0", "r7", $turned),
                two_nibbles!("r4", "r8", $turned),
                two_nibbles!("r5", "r9", $turned),
                two_nibbles!("r6", "r10", $turned),
            ],
            [$($after),*]
        )
    };
}

/// Alignment: `w` and `x` by bytes; `ldrd` of `turn`, `ldm` and `stm` of `sums`, words by their types; the frame is
/// words of the stack.
///
/// # Safety
/// `w` holds `4 fours` rows of `depth` weights, `x` `depth` activations, `sums` `4 fours` sums; neither number is 0.
#[unsafe(naked)]
unsafe extern "C" fn bytes(w: *const u8, x: *const i8, sums: *mut i32, turn: *const Turn) {
    loop_of!(
        "",
        [],
        ".rept 4",
        [
            "ldrsb r11, [r1], #1",
            byte!("r0", "r7", "r2"),
            byte!("r4", "r8", "r3"),
            byte!("r5", "r9", "r12"),
            byte!("r6", "r10", "r2"),
        ],
        []
    )
}

/// Alignment: as [`bytes`].
///
/// # Safety
/// As [`bytes`].
#[unsafe(naked)]
unsafe extern "C" fn rounded(w: *const u8, x: *const i8, sums: *mut i32, turn: *const Turn) {
    loop_of!(
        "",
        ["ldrd r2, r3, [sp, #12]"],
        ".rept 4",
        [
            "ldrsb r11, [r1], #1",
            rounded_byte!("r0", "r7"),
            rounded_byte!("r4", "r8"),
            rounded_byte!("r5", "r9"),
            rounded_byte!("r6", "r10"),
        ],
        ["lsl r7, r3", "lsl r8, r3", "lsl r9, r3", "lsl r10, r3"]
    )
}

/// Alignment: as [`bytes`].
///
/// # Safety
/// As [`bytes`]; two weights a byte, and `depth` is even.
#[unsafe(naked)]
unsafe extern "C" fn nibbles(w: *const u8, x: *const i8, sums: *mut i32, turn: *const Turn) {
    nibbles_of!("", [])
}

/// Nibbles that count 16 times.
///
/// Alignment: as [`bytes`].
///
/// # Safety
/// As [`nibbles`].
#[unsafe(naked)]
unsafe extern "C" fn high_nibbles(w: *const u8, x: *const i8, sums: *mut i32, turn: *const Turn) {
    nibbles_of!("", ["lsl r7, #4", "lsl r8, #4", "lsl r9, #4", "lsl r10, #4"])
}

/// Unsigned nibbles less 8: the highest bit turned over makes two's complement of them.
///
/// Alignment: as [`bytes`].
///
/// # Safety
/// As [`nibbles`].
#[unsafe(naked)]
unsafe extern "C" fn residuals(w: *const u8, x: *const i8, sums: *mut i32, turn: *const Turn) {
    nibbles_of!("eor r3, #0x88\n", [])
}
