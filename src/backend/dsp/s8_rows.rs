//! Rows of 8-bit integers: bytes compared four at a time, weights indexed by signed elements, `umlal` for quotients.
//!
//! What holds assembly is never inlined: LLVM takes a `.rept` for one instruction, and in a large function it then puts constants
//! out of the reach of their loads ("out of range pc-relative fixup value").
#![allow(unsafe_code, reason = "whole loops in assembly: one instruction in an `asm!` each is reordered and spilled")]

use core::arch::asm;
use core::mem::MaybeUninit;

use super::Dsp;
use crate::backend::s8_rows::{self, index};
use crate::backend::{InOut, Quotient, S8Row, S8Rows, S8Values, Weights};

/// From these lengths on a row gets a table of its 256 outputs: `Once` has more outputs that are not zero than `Twice`.
const S8_TWICE: usize = 128;
const S8_ONCE: usize = 200;
const S16_TWICE: usize = 240;
const S16_ONCE: usize = 360;

impl S8Rows for Dsp {
    /// 0.9 instructions an element; portable 5.9.
    #[inline(never)]
    fn max_s8(self, x: &[i8]) -> i8 {
        if x.len() < 4 {
            return x.iter().copied().fold(i8::MIN, Ord::max);
        }
        let max: u32;
        // SAFETY: reads the first word, as many whole words behind it as leave four bytes or more, and the row's last four bytes: at least four
        // there are, and none beyond them.
        // Alignment: a word may start anywhere, as `ldr` takes any address.
        unsafe {
            asm!(
                "ldr {m}, [{x}], #4",
                "lsrs {n}, {len}, #4",
                "beq 3f",
                "2:",
                "ldr {a}, [{x}], #4",
                "ldr {b}, [{x}], #4",
                "ssub8 {t}, {m}, {a}",
                "sel {m}, {m}, {a}",
                "ldr {a}, [{x}], #4",
                "ssub8 {t}, {m}, {b}",
                "sel {m}, {m}, {b}",
                "ldr {b}, [{x}], #4",
                "ssub8 {t}, {m}, {a}",
                "sel {m}, {m}, {a}",
                "ssub8 {t}, {m}, {b}",
                "sel {m}, {m}, {b}",
                "subs {n}, #1",
                "bne 2b",
                "3:",
                "ands {n}, {len}, #12",
                "beq 5f",
                "4:",
                "ldr {a}, [{x}], #4",
                "ssub8 {t}, {m}, {a}",
                "sel {m}, {m}, {a}",
                "subs {n}, #4",
                "bne 4b",
                // The last word once more, or what of it was left out.
                "5:",
                "ldr {a}, [{end}, #-4]",
                "ssub8 {t}, {m}, {a}",
                "sel {m}, {m}, {a}",
                "ror {a}, {m}, #16",
                "ssub8 {t}, {m}, {a}",
                "sel {m}, {m}, {a}",
                "ror {a}, {m}, #8",
                "ssub8 {t}, {m}, {a}",
                "sel {m}, {m}, {a}",
                x = inout(reg) x.as_ptr() => _,
                end = in(reg) x.as_ptr_range().end,
                len = in(reg) x.len() - 4,
                n = out(reg) _,
                m = out(reg) max, a = out(reg) _, b = out(reg) _, t = out(reg) _,
                options(nostack, readonly),
            );
        }
        max as i8
    }

    /// 3.1 instructions an element; portable 6.
    #[inline(never)]
    fn sum_s8(self, x: S8Values<'_>, weights: &Weights) -> u32 {
        let sum: u32;
        // SAFETY: reads all of `x` and nothing else of it, and an entry of `weights` for each element, as none exceeds `top`.
        // Alignment: `x` by bytes; `ldr` of `weights`, words by its type.
        unsafe {
            asm!(
                "lsrs {n}, {len}, #4",
                "beq 3f",
                "2:",
                ".rept 4",
                "ldrsb {a}, [{x}], #1",
                "ldrsb {b}, [{x}], #1",
                "ldr {a}, [{base}, {a}, lsl #2]",
                "ldr {b}, [{base}, {b}, lsl #2]",
                "add {sum}, {a}",
                "ldrsb {a}, [{x}], #1",
                "add {sum}, {b}",
                "ldrsb {b}, [{x}], #1",
                "ldr {a}, [{base}, {a}, lsl #2]",
                "ldr {b}, [{base}, {b}, lsl #2]",
                "add {sum}, {a}",
                "add {sum}, {b}",
                ".endr",
                "subs {n}, #1",
                "bne 2b",
                "3:",
                "ands {n}, {len}, #15",
                "beq 5f",
                "4:",
                "ldrsb {a}, [{x}], #1",
                "ldr {a}, [{base}, {a}, lsl #2]",
                "add {sum}, {a}",
                "subs {n}, #1",
                "bne 4b",
                "5:",
                x = inout(reg) x.x().as_ptr() => _,
                base = in(reg) base(weights, x.top()),
                len = in(reg) x.x().len(),
                n = out(reg) _,
                sum = inout(reg) 0u32 => sum,
                a = out(reg) _, b = out(reg) _,
                options(nostack, readonly),
            );
        }
        sum
    }

    /// 3.1 instructions an element; portable 7.
    #[inline(never)]
    fn sum_q19_s8(self, x: S8Values<'_>, weights: &Weights) -> u32 {
        let sum: u32;
        // SAFETY: as in `sum_s8`.
        // Alignment: as there.
        unsafe {
            asm!(
                "lsrs {n}, {len}, #4",
                "beq 3f",
                "2:",
                ".rept 4",
                "ldrsb {a}, [{x}], #1",
                "ldrsb {b}, [{x}], #1",
                "ldr {a}, [{base}, {a}, lsl #2]",
                "ldr {b}, [{base}, {b}, lsl #2]",
                "add {sum}, {sum}, {a}, lsr #12",
                "ldrsb {a}, [{x}], #1",
                "add {sum}, {sum}, {b}, lsr #12",
                "ldrsb {b}, [{x}], #1",
                "ldr {a}, [{base}, {a}, lsl #2]",
                "ldr {b}, [{base}, {b}, lsl #2]",
                "add {sum}, {sum}, {a}, lsr #12",
                "add {sum}, {sum}, {b}, lsr #12",
                ".endr",
                "subs {n}, #1",
                "bne 2b",
                "3:",
                "ands {n}, {len}, #15",
                "beq 5f",
                "4:",
                "ldrsb {a}, [{x}], #1",
                "ldr {a}, [{base}, {a}, lsl #2]",
                "add {sum}, {sum}, {a}, lsr #12",
                "subs {n}, #1",
                "bne 4b",
                "5:",
                x = inout(reg) x.x().as_ptr() => _,
                base = in(reg) base(weights, x.top()),
                len = in(reg) x.x().len(),
                n = out(reg) _,
                sum = inout(reg) 0u32 => sum,
                a = out(reg) _, b = out(reg) _,
                options(nostack, readonly),
            );
        }
        sum
    }

    /// One by one 6.9 instructions an element, by a table 3.1 and 9 an entry; portable 20 and 6.
    #[inline(always)]
    fn quotients_s8(self, row: S8Row<'_, i8>, weights: &Weights, quotient: Quotient) {
        let Some(by) = MultiplyAdd::of(quotient) else { return rare_s8(row, weights, quotient) };
        let (twice, full) = (matches!(quotient, Quotient::Twice { .. }), by.apply(weights[255]) > 255);
        if full && !twice {
            return rare_s8(row, weights, quotient);
        }
        let top = row.top();
        if full || row.len() >= if twice { S8_TWICE } else { S8_ONCE } {
            return by.by_table_i8(row.into_rows(), top, weights);
        }
        let mut rows = row.into_rows();
        let words = rows.split_off_front(rows.len() & !3);
        by.words(words, top, weights);
        rows.map(|x| (by.apply(weights[index(x, top)]) as u8 ^ 0x80) as i8);
    }

    /// One by one 7.7 instructions an element, by a table 3.1 and 9 an entry; portable 20 and 6.
    #[inline(always)]
    fn quotients_s16(self, row: S8Row<'_, i16>, weights: &Weights, quotient: Quotient) {
        let Some(by) = MultiplyAdd::of(quotient) else { return rare_s16(row, weights, quotient) };
        let (twice, full) = (matches!(quotient, Quotient::Twice { .. }), by.apply(weights[255]) > 65_535);
        if full && !twice {
            return rare_s16(row, weights, quotient);
        }
        let top = row.top();
        if full || row.len() >= if twice { S16_TWICE } else { S16_ONCE } {
            return by.by_table_i16(row.into_rows(), top, weights);
        }
        let mut rows = row.into_rows();
        let pairs = rows.split_off_front(rows.len() & !1);
        by.pairs(pairs, top, weights);
        rows.map(|x| (by.apply(weights[index(x, top)]) as u16 ^ 0x8000) as i16);
    }
}

/// The portable body, for rows of `Once` that are tiny or may reach 1.
#[cold]
#[inline(never)]
fn rare_s8(row: S8Row<'_, i8>, weights: &Weights, quotient: Quotient) {
    s8_rows::quotients_s8(row, weights, quotient);
}

/// The portable body, for rows of `Once` that are tiny or may reach 1.
#[cold]
#[inline(never)]
fn rare_s16(row: S8Row<'_, i16>, weights: &Weights, quotient: Quotient) {
    s8_rows::quotients_s16(row, weights, quotient);
}

/// Where the entry of 0 would stand, so that a signed element is the index.
#[inline(always)]
const fn base<T>(table: &[T; 256], top: i8) -> *const T {
    table.as_ptr().wrapping_offset(255 - top as isize)
}

/// `((w factor + addend) >> 32) >> shift`
#[derive(Clone, Copy)]
struct MultiplyAdd {
    factor: u32,
    low: u32,
    high: u32,
    shift: u32,
}

impl MultiplyAdd {
    #[inline(always)]
    const fn of(quotient: Quotient) -> Option<Self> {
        match quotient.as_multiply_add() {
            Some((factor, addend, shift)) => {
                Some(Self { factor, low: addend as u32, high: (addend >> 32) as u32, shift })
            }
            None => None,
        }
    }

    #[inline(always)]
    const fn apply(self, weight: u32) -> u32 {
        let addend = (self.high as u64) << 32 | self.low as u64;
        ((weight as u64 * self.factor as u64).wrapping_add(addend) >> 32) as u32 >> self.shift
    }

    /// Four outputs at a time, none of them over 255.
    #[inline(never)]
    fn words(self, mut rows: InOut<'_, i8>, top: i8, weights: &Weights) {
        let len = rows.len();
        if len == 0 {
            return;
        }
        let (x, y) = rows.pointers();
        // SAFETY: reads and writes `len` elements, a multiple of four that is not zero, each four read before they are
        // written, and reads an entry of `weights` for each, as none exceeds `top`.
        // Alignment: `x` by bytes; a word of `y` may start anywhere, as `str` takes any address.
        unsafe {
            asm!(
                ".macro scrimp_quotient to",
                "ldrsb {e}, [{x}], #1",
                "mov {lo}, {low}",
                "mov \\to, {high}",
                "ldr {e}, [{base}, {e}, lsl #2]",
                "umlal {lo}, \\to, {e}, {factor}",
                "lsr \\to, \\to, {shift}",
                ".endm",
                "2:",
                "scrimp_quotient {a}",
                "scrimp_quotient {b}",
                "orr {a}, {a}, {b}, lsl #8",
                "scrimp_quotient {b}",
                "orr {a}, {a}, {b}, lsl #16",
                "scrimp_quotient {b}",
                "orr {a}, {a}, {b}, lsl #24",
                "eor {a}, {a}, #0x80808080",
                "str {a}, [{y}], #4",
                "subs {len}, #4",
                "bne 2b",
                ".purgem scrimp_quotient",
                x = inout(reg) x => _,
                y = inout(reg) y => _,
                len = inout(reg) len => _,
                base = in(reg) base(weights, top),
                factor = in(reg) self.factor, low = in(reg) self.low, high = in(reg) self.high, shift = in(reg) self.shift,
                a = out(reg) _, b = out(reg) _, e = out(reg) _, lo = out(reg) _,
                options(nostack),
            );
        }
    }

    /// Two outputs at a time, none of them over 65535.
    #[inline(never)]
    fn pairs(self, mut rows: InOut<'_, i8, i16>, top: i8, weights: &Weights) {
        let len = rows.len();
        if len == 0 {
            return;
        }
        let (x, y) = rows.pointers();
        // SAFETY: as in `words`, with a multiple of two; `x` and `y` are not one row, as their elements differ in size.
        // Alignment: as in `words`.
        unsafe {
            asm!(
                ".macro scrimp_quotient to",
                "ldrsb {e}, [{x}], #1",
                "mov {lo}, {low}",
                "mov \\to, {high}",
                "ldr {e}, [{base}, {e}, lsl #2]",
                "umlal {lo}, \\to, {e}, {factor}",
                "lsr \\to, \\to, {shift}",
                ".endm",
                "2:",
                "scrimp_quotient {a}",
                "scrimp_quotient {b}",
                "orr {a}, {a}, {b}, lsl #16",
                "eor {a}, {a}, #0x80008000",
                "str {a}, [{y}], #4",
                "subs {len}, #2",
                "bne 2b",
                ".purgem scrimp_quotient",
                x = inout(reg) x => _,
                y = inout(reg) y => _,
                len = inout(reg) len => _,
                base = in(reg) base(weights, top),
                factor = in(reg) self.factor, low = in(reg) self.low, high = in(reg) self.high, shift = in(reg) self.shift,
                a = out(reg) _, b = out(reg) _, e = out(reg) _, lo = out(reg) _,
                options(nostack),
            );
        }
    }

    /// A table of the outputs of all weights first, and then each element looked up in it.
    #[inline(never)]
    fn by_table_i8(self, mut rows: InOut<'_, i8>, top: i8, weights: &Weights) {
        let mut table = MaybeUninit::<Aligned<[i8; 256]>>::uninit();
        let start = table.as_mut_ptr();
        // SAFETY: fills the table with the least output, and then writes outputs from its end down to its start at most, for
        // as many entries of `weights` from their end.
        // Alignment: `strd` of the table, which `Aligned` is for; `ldr` of `weights`, words by its type.
        unsafe {
            asm!(
                ".rept 32",
                "strd {e}, {e}, [{y}], #8",
                ".endr",
                "2:",
                ".rept 8",
                "ldr {e}, [{w}, #-4]!",
                "mov {lo}, {low}",
                "mov {v}, {high}",
                "umlal {lo}, {v}, {e}, {factor}",
                "lsrs {v}, {v}, {shift}",
                "eor {v}, {v}, #0x80",
                "strb {v}, [{y}, #-1]!",
                ".endr",
                // Zero, and so are all below.
                "beq 3f",
                "cmp {y}, {start}",
                "bne 2b",
                "3:",
                start = in(reg) start,
                y = inout(reg) start => _,
                w = inout(reg) weights.as_ptr_range().end => _,
                factor = in(reg) self.factor, low = in(reg) self.low, high = in(reg) self.high, shift = in(reg) self.shift,
                e = inout(reg) 0x8080_8080u32 => _, v = out(reg) _, lo = out(reg) _,
                options(nostack),
            );
        }
        // SAFETY: all of it was written above.
        let Aligned(table) = unsafe { table.assume_init_mut() };
        if self.apply(weights[255]) > 255 {
            table[255] = i8::MAX; // one element is as good as all of the sum, and it is the largest
        }
        let len = rows.len();
        let (x, y) = rows.pointers();
        // SAFETY: reads and writes `len` elements, each read before it is written, and reads an entry of the table for each,
        // as none exceeds `top`.
        // Alignment: all by the size of its elements.
        unsafe {
            asm!(
                "lsrs {n}, {len}, #4",
                "beq 3f",
                "2:",
                ".rept 8",
                "ldrsb {a}, [{x}], #1",
                "ldrsb {b}, [{x}], #1",
                "ldrb {a}, [{base}, {a}]",
                "ldrb {b}, [{base}, {b}]",
                "strb {a}, [{y}], #1",
                "strb {b}, [{y}], #1",
                ".endr",
                "subs {n}, #1",
                "bne 2b",
                "3:",
                "ands {n}, {len}, #15",
                "beq 5f",
                "4:",
                "ldrsb {a}, [{x}], #1",
                "ldrb {a}, [{base}, {a}]",
                "strb {a}, [{y}], #1",
                "subs {n}, #1",
                "bne 4b",
                "5:",
                x = inout(reg) x => _,
                y = inout(reg) y => _,
                base = in(reg) base(table, top),
                len = in(reg) len,
                n = out(reg) _,
                a = out(reg) _, b = out(reg) _,
                options(nostack),
            );
        }
    }

    /// A table of the outputs of all weights first, and then each element looked up in it.
    #[inline(never)]
    fn by_table_i16(self, mut rows: InOut<'_, i8, i16>, top: i8, weights: &Weights) {
        let mut table = MaybeUninit::<Aligned<[i16; 256]>>::uninit();
        let start = table.as_mut_ptr();
        // SAFETY: fills the table with the least output, and then writes outputs from its end down to its start at most, for
        // as many entries of `weights` from their end.
        // Alignment: `strd` of the table, which `Aligned` is for; `ldr` of `weights`, words by its type.
        unsafe {
            asm!(
                ".rept 64",
                "strd {e}, {e}, [{y}], #8",
                ".endr",
                "2:",
                ".rept 8",
                "ldr {e}, [{w}, #-4]!",
                "mov {lo}, {low}",
                "mov {v}, {high}",
                "umlal {lo}, {v}, {e}, {factor}",
                "lsrs {v}, {v}, {shift}",
                "eor {v}, {v}, #0x8000",
                "strh {v}, [{y}, #-2]!",
                ".endr",
                // Zero, and so are all below.
                "beq 3f",
                "cmp {y}, {start}",
                "bne 2b",
                "3:",
                start = in(reg) start,
                y = inout(reg) start => _,
                w = inout(reg) weights.as_ptr_range().end => _,
                factor = in(reg) self.factor, low = in(reg) self.low, high = in(reg) self.high, shift = in(reg) self.shift,
                e = inout(reg) 0x8000_8000u32 => _, v = out(reg) _, lo = out(reg) _,
                options(nostack),
            );
        }
        // SAFETY: all of it was written above.
        let Aligned(table) = unsafe { table.assume_init_mut() };
        if self.apply(weights[255]) > 65_535 {
            table[255] = i16::MAX; // one element is as good as all of the sum, and it is the largest
        }
        let len = rows.len();
        let (x, y) = rows.pointers();
        // SAFETY: reads and writes `len` elements, each read before it is written, and reads an entry of the table for each,
        // as none exceeds `top`.
        // Alignment: all by the size of its elements.
        unsafe {
            asm!(
                "lsrs {n}, {len}, #4",
                "beq 3f",
                "2:",
                ".rept 8",
                "ldrsb {a}, [{x}], #1",
                "ldrsb {b}, [{x}], #1",
                "ldrh {a}, [{base}, {a}, lsl #1]",
                "ldrh {b}, [{base}, {b}, lsl #1]",
                "strh {a}, [{y}], #2",
                "strh {b}, [{y}], #2",
                ".endr",
                "subs {n}, #1",
                "bne 2b",
                "3:",
                "ands {n}, {len}, #15",
                "beq 5f",
                "4:",
                "ldrsb {a}, [{x}], #1",
                "ldrh {a}, [{base}, {a}, lsl #1]",
                "strh {a}, [{y}], #2",
                "subs {n}, #1",
                "bne 4b",
                "5:",
                x = inout(reg) x => _,
                y = inout(reg) y => _,
                base = in(reg) base(table, top),
                len = in(reg) len,
                n = out(reg) _,
                a = out(reg) _, b = out(reg) _,
                options(nostack),
            );
        }
    }
}

/// For `strd`, which takes whole words only.
#[repr(align(8))]
struct Aligned<T>(T);
