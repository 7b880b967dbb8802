//! The loop over two rows and four columns that DSP and Thumb-2 share: products of words that stand side by side, outputs made
//! in registers.
//!
//! With the DSP extension a word is two numbers of 16 bits, on a core without it one of 32.
#![allow(unsafe_code, reason = "naked functions")]

use super::mat_rows::MatS8;

/// What a loop needs besides its pointers.
#[repr(C)]
pub(crate) struct Turn {
    /// Words of a column, two or more.
    words: u32,
    y0: *mut i8,
    y1: *mut i8,
    mantissa: i32,
    /// The output's offset and half a step, both shifted as sums are before the last shift.
    half: i32,
    /// To the right, 1 to 22.
    shift: u32,
}

/// The loop: r0 columns, r1 rows, r4 to r11 the sums, of each column both rows side by side. The first words stand before it, so
/// that no sum needs to be cleared; it is entered in its middle for what is no whole turn of eight words, which are 44
/// bytes of code each.
///
/// `$first` multiplies, `$next` adds to it, `$round` makes a doubled sum times r2 plus lr of what is in its register, rounded
/// half up.
///
/// On the stack: rows, entry, end of the rows, groups, both outputs, mantissa, half, shift, columns.
macro_rules! tile {
    ($arch:literal, $first:literal, $next:literal, [$($before:literal),*], $round:ident, [$($after:literal),*]) => {
        core::arch::naked_asm!(
            $arch,
            "push {{r4-r11, lr}}",
            "sub sp, #44",
            "ldm r3, {{r4-r9}}",
            "adr.w r10, 2f",
            // Words but the first that the first turn leaves out.
            "rsb r11, r4, #1",
            "and r11, r11, #7",
            "movs r12, #44",
            "mla r10, r11, r12, r10",
            "orr r10, r10, #1",
            "add r4, r1, r4, lsl #3",
            "strd r1, r10, [sp]",
            "strd r4, r2, [sp, #8]",
            "strd r5, r6, [sp, #16]",
            "strd r7, r8, [sp, #24]",
            "str r9, [sp, #32]",
            "3:",
            "ldr r1, [sp]",
            "ldrd r2, r3, [r1], #8",
            "ldrd r12, lr, [r0], #8",
            concat!($first, " r4, r12, r2"),
            concat!($first, " r5, r12, r3"),
            concat!($first, " r6, lr, r2"),
            concat!($first, " r7, lr, r3"),
            "ldrd r12, lr, [r0], #8",
            concat!($first, " r8, r12, r2"),
            concat!($first, " r9, r12, r3"),
            concat!($first, " r10, lr, r2"),
            concat!($first, " r11, lr, r3"),
            "ldr pc, [sp, #4]",
            ".p2align 2",
            "2:",
            ".rept 8",
            "ldrd r2, r3, [r1], #8",
            "ldrd r12, lr, [r0], #8",
            concat!($next, " r4, r12, r2, r4"),
            concat!($next, " r5, r12, r3, r5"),
            concat!($next, " r6, lr, r2, r6"),
            concat!($next, " r7, lr, r3, r7"),
            "ldrd r12, lr, [r0], #8",
            concat!($next, " r8, r12, r2, r8"),
            concat!($next, " r9, r12, r3, r9"),
            concat!($next, " r10, lr, r2, r10"),
            concat!($next, " r11, lr, r3, r11"),
            ".endr",
            "ldr r2, [sp, #8]",
            "cmp r1, r2",
            "bne.w 2b",
            "ldrd r2, r3, [sp, #24]",
            "ldr r12, [sp, #32]",
            "ldr r1, [sp, #16]",
            $($before,)*
            $round!("r4", "#0"),
            $round!("r6", "#1"),
            $round!("r8", "#2"),
            $round!("r10", "#3"),
            "adds r1, #4",
            "str r1, [sp, #16]",
            "ldr r1, [sp, #20]",
            $round!("r5", "#0"),
            $round!("r7", "#1"),
            $round!("r9", "#2"),
            $round!("r11", "#3"),
            "adds r1, #4",
            "str r1, [sp, #20]",
            $($after,)*
            "ldr r1, [sp, #12]",
            "subs r1, #1",
            "str r1, [sp, #12]",
            "bne.w 3b",
            "add sp, #44",
            "pop {{r4-r11, pc}}",
        )
    };
}
pub(crate) use tile;

/// How columns and rows are laid out in words, and the loops over them.
pub(crate) trait Tiles {
    /// Words of four columns for each so many inputs.
    const INPUTS: usize;
    /// Words of a column that so many inputs are.
    const WORDS: usize;

    /// Puts all inputs of four columns from `c` on, their offset added, into words.
    fn pack(of: &MatS8, rhs: &[i8], c: usize, to: &mut [i32]);

    /// Puts all inputs of both rows, their offset added, into words.
    fn widen(of: &MatS8, lhs: &[i8], rows: [usize; 2], to: &mut [i32]);

    /// The loop.
    ///
    /// # Safety
    /// `columns` are valid for `turn.words` of four columns for each of `groups`, `rows` for as many of two, both outputs for four
    /// elements a group; there is a group. `turn` is that of a plain product.
    unsafe fn run(columns: *const i32, rows: *const i32, groups: usize, turn: *const Turn);
}

/// The product by those loops; false if it is not plain or the scratch too short.
#[inline(always)]
pub(crate) fn product<T: Tiles>(of: &MatS8, lhs: &[i8], rhs: &[i8], y: &mut [i8], scratch: &mut [i32]) -> bool {
    let MatS8 { rows, depth, cols, .. } = *of;
    if !of.is_plain() || !of.fits(lhs, rhs, y) {
        return false;
    }
    let words = depth.div_ceil(T::INPUTS) * T::WORDS;
    let Some((x, w)) = scratch.split_at_mut_checked(2 * words) else { return false };
    // Whole groups that have room.
    let groups = w.len() / (4 * words).max(1);
    if groups == 0 {
        return false;
    }
    let mut first = 0;
    while first < cols {
        let n = (cols - first).min(4 * groups);
        for (group, to) in w.chunks_exact_mut((4 * words).max(1)).take(n.div_ceil(4)).enumerate() {
            T::pack(of, rhs, first + 4 * group, to);
        }
        let (whole, some) = (n / 4, n % 4);
        let mut r = 0;
        while r < rows {
            // A row alone goes with itself.
            let next = (r + 1).min(rows - 1);
            T::widen(of, lhs, [r, next], x);
            let [mut y0, mut y1] = [r, next].map(|r| y.as_mut_ptr().wrapping_add(r * cols + first));
            let shift = of.multiplier.shift.unsigned_abs();
            let mut turn = Turn {
                words: words as u32,
                y0,
                y1,
                mantissa: of.multiplier.mantissa,
                half: (2 * of.output_offset + 1) << (shift - 1).min(31),
                shift,
            };
            if whole > 0 {
                // SAFETY: so many groups are packed, both rows too, of two words or more, and their outputs are in `y`; the product is
                // plain.
                unsafe { T::run(w.as_ptr(), x.as_ptr(), whole, &raw const turn) };
            }
            if some > 0 {
                let mut last = [[0i8; 4]; 2];
                let [last0, last1] = &mut last;
                (turn.y0, turn.y1) = (last0.as_mut_ptr(), last1.as_mut_ptr());
                (y0, y1) = (y0.wrapping_add(4 * whole), y1.wrapping_add(4 * whole));
                // SAFETY: as above: one group more is packed; the outputs are `last`.
                unsafe { T::run(w.as_ptr().wrapping_add(whole * 4 * words), x.as_ptr(), 1, &raw const turn) };
                for (y, last) in [(y0, last[0]), (y1, last[1])] {
                    for (i, value) in last.into_iter().take(some).enumerate() {
                        // SAFETY: the last columns of a row of `y`.
                        unsafe { y.wrapping_add(i).write(value) };
                    }
                }
            }
            r += 2;
        }
        first += n;
    }
    of.clamp(y);
    true
}
