//! Loops over f32 rows for the single-precision FPU of Cortex-M4F, M7 and M33.
//!
//! The exponential reads a table of 64 powers (Tang 1989): `d = x - max`, `n = round(-64 d log2 e)`, `r = d + n ln2 / 64`,
//! `2 e^d = 2^(1 - n/64) (1 + r + r^2/2)`. The table starts at 2, not at 1, so that all powers stay legal bit patterns;
//! the factor cancels when the row is divided by its sum. `exp` is off by at most 1.4 ULP.
//!
//! `.fpu` stands in each function, as naked functions do not get the target's features from the compiler.
#![allow(unsafe_code, reason = "loops in assembly")]

use core::arch::naked_asm;

use crate::backend::InOut;

/// The largest element; `-inf` if there is none. A positive NaN wins, a negative one is skipped.
#[inline(always)]
pub(super) fn max(x: &[f32]) -> f32 {
    if x.is_empty() {
        return f32::NEG_INFINITY;
    }
    // SAFETY: `x` is valid for its length, which is not 0.
    let max = unsafe { max_of_bits(x.as_ptr(), x.len()) };
    f32::from_bits(max)
}

/// See [`F32Rows::exp_and_sum`](crate::backend::F32Rows::exp_and_sum).
#[inline(always)]
pub(super) fn exp_and_sum(mut row: InOut<'_, f32>, max: f32) -> f32 {
    let n = row.len();
    let (x, y) = row.pointers();
    // SAFETY: both are valid for `n` elements and each is read before it is written.
    let sum = unsafe { exp_row(x, y, n, max.to_bits()) };
    f32::from_bits(sum)
}

/// `y[i] *= factor`.
#[inline(always)]
pub(super) fn scale(y: &mut [f32], factor: f32) {
    // SAFETY: `y` is valid for its length.
    unsafe { scale_row(y.as_mut_ptr(), y.len(), factor.to_bits()) };
}

/// Entry `i`: the bits of `2^(1 - i/64)` plus `i << 17`, so that `POWERS[n % 64] - (n << 17)` is `2^(1 - n/64)`.
static POWERS: [u32; 64] = {
    let mut powers = [0; 64];
    let mut i = 0;
    while i < 64 {
        // The Taylor series of 2 e^-z, to f64's precision.
        let z = i as f64 * (core::f64::consts::LN_2 / 64.0);
        let (mut sum, mut term, mut k) = (0.0, 2.0, 0.0);
        while k < 24.0 {
            sum += term;
            k += 1.0;
            term *= -z / k;
        }
        powers[i] = (sum as f32).to_bits() + ((i as u32) << 17);
        i += 1;
    }
    powers
};

const STEP: f64 = core::f64::consts::LN_2 / 64.0;
/// `ln2 / 64` in two parts.
const STEP_HI: f32 = STEP as f32;
const STEP_LO: f32 = (STEP - STEP_HI as f64) as f32;
/// `-64 log2 e`.
const STEPS: f32 = -64.0 * core::f32::consts::LOG2_E;

/// The bits of the largest of `n > 0` elements.
///
/// As signed integers, f32 are in order as long as one has no sign; only if all have one they are looked through again, for
/// the smallest without regard to sign.
///
/// Alignment: `ldm` of `x`, words by its type.
#[unsafe(naked)]
unsafe extern "C" fn max_of_bits(x: *const f32, n: usize) -> u32 {
    naked_asm!(
        r"
        push {{r4-r11}}
        mov r3, r1
        mov r2, r0
        ldr r12, [r0]
        subs r1, #8
        blo 2f
    1:
        ldm r0!, {{r4-r11}}
        .irp r, r4, r5, r6, r7, r8, r9, r10, r11
        cmp \r, r12
        it gt
        movgt r12, \r
        .endr
        subs r1, #8
        bhs 1b
    2:
        adds r1, #8
        beq 4f
    3:
        ldr r4, [r0], #4
        cmp r4, r12
        it gt
        movgt r12, r4
        subs r1, #1
        bne 3b
    4:
        cmp r12, #0
        bge 9f
        subs r3, #8
        blo 6f
    5:
        ldm r2!, {{r4-r11}}
        .irp r, r4, r5, r6, r7, r8, r9, r10, r11
        cmp \r, r12
        it lo
        movlo r12, \r
        .endr
        subs r3, #8
        bhs 5b
    6:
        adds r3, #8
        beq 9f
    7:
        ldr r4, [r2], #4
        cmp r4, r12
        it lo
        movlo r12, r4
        subs r3, #1
        bne 7b
    9:
        mov r0, r12
        pop {{r4-r11}}
        bx lr
        "
    )
}

/// `y[i] = 2 exp(x[i] - max)`; gives the bits of `2 Σ y[i]`.
///
/// Eight elements at a time while none is more than 22 below the maximum (`n < 2048`): there the rounding of `x - max` costs
/// at most 2^-20. Groups that reach lower go element by element, with the part of the difference that was rounded off
/// (Knuth's TwoSum) and 0 where the result would be denormal; so do the last up to seven. The sums of eight are added
/// with compensation (Kahan 1965), so that the error does not grow with the row.
///
/// Alignment: `vldm` and `vstm` of `x` and `y`, words by their types; `vldm` of constants behind `.p2align 2`.
#[unsafe(naked)]
unsafe extern "C" fn exp_row(x: *const f32, y: *mut f32, n: usize, max: u32) -> u32 {
    naked_asm!(
        r"
        .fpu fpv4-sp-d16
        // s16 max, s17 -64 log2 e, s18 and s19 ln2 / 64, s20 1/2, s21 sum, s22 what the sum lacks, s24 0
        .macro scrimp_reduce d, n
        vfma.f32 \d, \n, s18
        vfma.f32 \d, \n, s19
        vmul.f32 \n, \d, \d
        vfma.f32 \d, \n, s20
        .endm
        .macro scrimp_power n
        and r12, \n, #63
        ldr r12, [r3, r12, lsl #2]
        sub \n, r12, \n, lsl #17
        .endm
        .macro scrimp_add v
        vsub.f32 \v, \v, s22
        vadd.f32 s25, s21, \v
        vsub.f32 s22, s25, s21
        vsub.f32 s22, s22, \v
        vmov.f32 s21, s25
        .endm

        push {{r4-r11, lr}}
        vpush {{s16-s25}}
        vmov s16, r3
        adr.w r3, 8f
        vldm r3, {{s17-s22}}
        movw r3, #:lower16:{powers}
        movt r3, #:upper16:{powers}
        vmov.f32 s24, s21
        subs r2, #8
        blo 3f
    1:
        vldm r0!, {{s0-s7}}
        .irp i, 0, 1, 2, 3, 4, 5, 6, 7
        vsub.f32 s\i, s\i, s16
        .endr
        vmul.f32 s8, s0, s17
        vmul.f32 s9, s1, s17
        vmul.f32 s10, s2, s17
        vmul.f32 s11, s3, s17
        vmul.f32 s12, s4, s17
        vmul.f32 s13, s5, s17
        vmul.f32 s14, s6, s17
        vmul.f32 s15, s7, s17
        .irp i, 8, 9, 10, 11, 12, 13, 14, 15
        vcvtr.s32.f32 s\i, s\i
        .endr
        vmov r4, r5, s8, s9
        vmov r6, r7, s10, s11
        vmov r8, r9, s12, s13
        vmov r10, r11, s14, s15
        orr lr, r4, r5
        orr lr, lr, r6
        orr lr, lr, r7
        orr lr, lr, r8
        orr lr, lr, r9
        orr lr, lr, r10
        orr lr, lr, r11
        cmp lr, #2048
        bhs 2f
        .irp i, 8, 9, 10, 11, 12, 13, 14, 15
        vcvt.f32.s32 s\i, s\i
        .endr
        scrimp_reduce s0, s8
        scrimp_reduce s1, s9
        scrimp_reduce s2, s10
        scrimp_reduce s3, s11
        scrimp_reduce s4, s12
        scrimp_reduce s5, s13
        scrimp_reduce s6, s14
        scrimp_reduce s7, s15
        .irp r, r4, r5, r6, r7, r8, r9, r10, r11
        scrimp_power \r
        .endr
        vmov s8, s9, r4, r5
        vmov s10, s11, r6, r7
        vmov s12, s13, r8, r9
        vmov s14, s15, r10, r11
        vfma.f32 s8, s8, s0
        vfma.f32 s9, s9, s1
        vfma.f32 s10, s10, s2
        vfma.f32 s11, s11, s3
        vfma.f32 s12, s12, s4
        vfma.f32 s13, s13, s5
        vfma.f32 s14, s14, s6
        vfma.f32 s15, s15, s7
        vadd.f32 s0, s8, s9
        vadd.f32 s1, s10, s11
        vadd.f32 s2, s12, s13
        vadd.f32 s3, s14, s15
        vadd.f32 s0, s0, s1
        vadd.f32 s2, s2, s3
        vadd.f32 s0, s0, s2
        scrimp_add s0
        vstm r1!, {{s8-s15}}
        subs r2, #8
        bhs 1b
        b 3f

    2:  // this group reaches low
        sub r0, #32
        mov r5, #8
        b 4f
    3:  // the rest
        adds r5, r2, #8
        beq 7f
    4:
        vmov.f32 s23, s24
    5:
        vldm r0!, {{s0}}
        vsub.f32 s1, s0, s16
        vsub.f32 s2, s1, s0
        vsub.f32 s3, s1, s2
        vsub.f32 s0, s0, s3
        vadd.f32 s2, s16, s2
        vsub.f32 s0, s0, s2
        vmul.f32 s2, s1, s17
        vcvtr.s32.f32 s2, s2
        vmov r4, s2
        vcvt.f32.s32 s2, s2
        vfma.f32 s1, s2, s18
        vfma.f32 s1, s2, s19
        vadd.f32 s1, s1, s0
        vmul.f32 s2, s1, s1
        vfma.f32 s1, s2, s20
        and r12, r4, #63
        ldr r12, [r3, r12, lsl #2]
        cmp r4, #8128 // where 2 e^d is the smallest normal number
        sub r4, r12, r4, lsl #17
        itt hi
        movhi r4, #0
        vmovhi.f32 s1, s24
        vmov s2, r4
        vfma.f32 s2, s2, s1
        vadd.f32 s23, s23, s2
        vstm r1!, {{s2}}
        subs r5, #1
        bne 5b
        scrimp_add s23
        cmp r2, #0
        blt 7f
        subs r2, #8
        bhs 1b
        b 3b
    7:
        vmov r0, s21
        vpop {{s16-s25}}
        pop {{r4-r11, pc}}
        .purgem scrimp_reduce
        .purgem scrimp_power
        .purgem scrimp_add
        .p2align 2
    8:
        .long {steps}, {hi}, {lo}, 0x3F000000, 0, 0
        ",
        powers = sym POWERS,
        steps = const STEPS.to_bits(),
        hi = const STEP_HI.to_bits(),
        lo = const STEP_LO.to_bits(),
    )
}

/// `y[i] *= factor`, given by its bits.
///
/// Alignment: `vldm` and `vstm` of `y`, words by its type.
#[unsafe(naked)]
unsafe extern "C" fn scale_row(y: *mut f32, n: usize, factor: u32) {
    naked_asm!(
        r"
        .fpu fpv4-sp-d16
        vpush {{s16}}
        vmov s16, r2
        subs r1, #16
        blo 2f
    1:
        vldm r0, {{s0-s15}}
        .irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vmul.f32 s\i, s\i, s16
        .endr
        vstm r0!, {{s0-s15}}
        subs r1, #16
        bhs 1b
    2:
        adds r1, #16
        beq 4f
    3:
        vldr s0, [r0]
        vmul.f32 s0, s0, s16
        vstm r0!, {{s0}}
        subs r1, #1
        bne 3b
    4:
        vpop {{s16}}
        bx lr
        "
    )
}
