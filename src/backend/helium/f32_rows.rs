//! Rows of f32: maximum, exponentials and scaling as loops in assembly; counts are in `backend/helium.md`.
//!
//! Naked functions do not get the target's features from the compiler, hence `.cpu` in each. Rows are taken by 16 elements,
//! the rest under tail predication.
#![allow(unsafe_code, reason = "loops in assembly")]

use core::arch::naked_asm;

use super::Helium;
use crate::backend::{F32Rows, InOut};

impl F32Rows for Helium {
    #[inline(always)]
    fn max_f32(self, x: &[f32]) -> f32 {
        // SAFETY: `x` is valid for its length.
        let max = unsafe { max_row(x.as_ptr(), x.len()) };
        f32::from_bits(max)
    }

    #[inline(always)]
    fn exp_and_sum(self, mut row: InOut<'_, f32>, max: f32) -> f32 {
        let n = row.len();
        let (x, y) = row.pointers();
        // SAFETY: both are valid for `n` elements and each is read before it is written.
        let sum = unsafe { exp_row(x, y, n, max.to_bits()) };
        f32::from_bits(sum)
    }

    #[inline(always)]
    fn scale_f32(self, y: &mut [f32], factor: f32) {
        // SAFETY: `y` is valid for its length.
        unsafe { scale_row(y.as_mut_ptr(), y.len(), factor.to_bits()) };
    }
}

/// The bits of the largest of `n` elements; `-inf` for none.
///
/// Alignment: `vldrw` of `x`, words by its type.
#[unsafe(naked)]
unsafe extern "C" fn max_row(x: *const f32, n: usize) -> u32 {
    naked_asm!(
        r"
        .cpu cortex-m55
        push {{r4, lr}}
        movs r2, #0
        movt r2, #0xFF80
        lsrs r3, r1, #4
        wls lr, r3, 2f
    1:
        vldrw.u32 q0, [r0], #16
        vldrw.u32 q1, [r0], #16
        vldrw.u32 q2, [r0], #16
        vldrw.u32 q3, [r0], #16
        vmaxnmv.f32 r2, q0
        vmaxnmv.f32 r2, q1
        vmaxnmv.f32 r2, q2
        vmaxnmv.f32 r2, q3
        le lr, 1b
    2:
        ands r1, #15
        wlstp.32 lr, r1, 4f
    3:
        vldrw.u32 q0, [r0], #16
        vmaxnmv.f32 r2, q0
        letp lr, 3b
    4:
        mov r0, r2
        pop {{r4, pc}}
        "
    )
}

/// `y[i] = exp(x[i] - max)`; gives the bits of `Σ y[i]`.
///
/// `d = x - max`, `n = round(d log2 e)`, `t = d - n ln2` in two parts, a polynomial of degree 5 (spec 1.3, minimax on
/// `|t| <= ln2/2`), `n` added to its exponent: at most 2 ULP.
///
/// 16 elements at a time while none is more than 32 below the maximum: there the rounding of `x - max` costs at most 2^-20.
/// Groups that reach lower go through the second loop, which keeps the part of the difference that was rounded off (Knuth's
/// TwoSum) and gives 0 where the result would be denormal; so does the rest of a row. The lanes' sums are added with
/// compensation (Kahan 1965), so that the error does not grow with the row.
///
/// Alignment: `vldrw` and `vstrw` of `x` and `y`, words by their types; `ldm` of constants behind `.p2align 2`; the
/// stack.
#[unsafe(naked)]
unsafe extern "C" fn exp_row(x: *const f32, y: *mut f32, n: usize, max: u32) -> u32 {
    naked_asm!(
        r"
        .cpu cortex-m55
        // r2 max, r3 log2 e, r4 and r5 -ln2, r6 to r11 the polynomial; q6 sum, q7 what the sum lacks
        .macro scrimp_polynomial p, t
        vmul.f32 \p, \t, r6
        vadd.f32 \p, \p, r7
        vfmas.f32 \p, \t, r8
        vfmas.f32 \p, \t, r9
        vfmas.f32 \p, \t, r10
        vfmas.f32 \p, \t, r11
        .endm
        .macro scrimp_exp d
        vmul.f32 q4, \d, r3
        vrintn.f32 q4, q4
        vfma.f32 \d, q4, r4
        vfma.f32 \d, q4, r5
        vcvt.s32.f32 q4, q4
        vshl.i32 q4, q4, #23
        scrimp_polynomial q5, \d
        vadd.i32 \d, q5, q4
        .endm
        .macro scrimp_add v
        vsub.f32 \v, \v, q7
        vadd.f32 q1, q6, \v
        vsub.f32 q7, q1, q6
        vsub.f32 q7, q7, \v
        vmov q6, q1
        .endm

        push {{r2-r11, lr}}
        vpush {{d8-d15}}
        lsrs r12, r2, #4
        mov r2, r3
        adr.w r3, 9f
        ldm r3, {{r3-r11}}
        vmov.i32 q6, #0
        vmov.i32 q7, #0
        wls lr, r12, 3f
        mov r12, #0
    1:
        vldrw.u32 q0, [r0], #16
        vldrw.u32 q1, [r0], #16
        vldrw.u32 q2, [r0], #16
        vldrw.u32 q3, [r0], #16
        vsub.f32 q0, q0, r2
        vsub.f32 q1, q1, r2
        vsub.f32 q2, q2, r2
        vsub.f32 q3, q3, r2
        vminnmv.f32 r12, q0
        vminnmv.f32 r12, q1
        vminnmv.f32 r12, q2
        vminnmv.f32 r12, q3
        cmp r12, #0xC2000000 // -32; of negative numbers the lower one has the higher bits
        bhi 2f
        scrimp_exp q0
        vstrw.32 q0, [r1], #16
        scrimp_exp q1
        vstrw.32 q1, [r1], #16
        scrimp_exp q2
        vstrw.32 q2, [r1], #16
        scrimp_exp q3
        vstrw.32 q3, [r1], #16
        vadd.f32 q0, q0, q1
        vadd.f32 q2, q2, q3
        vadd.f32 q0, q0, q2
        scrimp_add q0
        le lr, 1b
        b 3f

    2:  // this group reaches low
        str lr, [sp, #68]
        sub r0, #64
        mov r12, #16
        b 4f
    3:  // the rest
        mov r12, #0
        str r12, [sp, #68]
        ldr r12, [sp, #64]
        ands r12, r12, #15
        beq 6f
    4:
        mov lr, r12
        movw r12, #0xAC4F
        movt r12, #0xC2AE
        vdup.32 q4, r12 // the logarithm of the smallest normal number
        vmov.i32 q5, #0
        dlstp.32 lr, lr // from here on, lanes beyond the row are left alone
    5:
        vldrw.u32 q0, [r0], #16
        vsub.f32 q1, q0, r2
        vsub.f32 q2, q1, q0
        vsub.f32 q3, q1, q2
        vsub.f32 q0, q0, q3
        vadd.f32 q2, q2, r2
        vsub.f32 q0, q0, q2
        vcmp.f32 gt, q4, q1 // not `lt` with the operands turned, which is true for NaN
        vmul.f32 q2, q1, r3
        vrintn.f32 q2, q2
        vfma.f32 q1, q2, r4
        vfma.f32 q1, q2, r5
        vadd.f32 q1, q1, q0
        vcvt.s32.f32 q2, q2
        vshl.i32 q2, q2, #23
        scrimp_polynomial q3, q1
        vadd.i32 q3, q3, q2
        vmov.i32 q0, #0
        vpsel q3, q0, q3
        vstrw.32 q3, [r1], #16
        vadd.f32 q5, q5, q3
        letp lr, 5b
        scrimp_add q5
        ldr r12, [sp, #68]
        cmp r12, #0
        beq 6f
        mov lr, r12
        mov r12, #0
        le lr, 1b
        b 3b
    6:
        vadd.f32 s24, s24, s25
        vadd.f32 s26, s26, s27
        vadd.f32 s24, s24, s26
        vmov r0, s24
        vpop {{d8-d15}}
        pop {{r2-r11, pc}}
        .purgem scrimp_polynomial
        .purgem scrimp_exp
        .purgem scrimp_add
        .p2align 2
    9:
        .long 0x3FB8AA3B // log2 e
        .long 0xBF317218, 0x3102E308 // -ln2
        .long 0x3C07CFCE, 0x3D2B9D0D, 0x3E2AAD40, 0x3EFFFEE3, 0x3F7FFFFB, 0x3F800000
        "
    )
}

/// `y[i] *= factor`, given by its bits.
///
/// Alignment: `vldrw` and `vstrw` of `y`, words by its type.
#[unsafe(naked)]
unsafe extern "C" fn scale_row(y: *mut f32, n: usize, factor: u32) {
    naked_asm!(
        r"
        .cpu cortex-m55
        push {{r4, lr}}
        lsrs r3, r1, #4
        wls lr, r3, 2f
    1:
        vldrw.u32 q0, [r0]
        vldrw.u32 q1, [r0, #16]
        vldrw.u32 q2, [r0, #32]
        vldrw.u32 q3, [r0, #48]
        vmul.f32 q0, q0, r2
        vmul.f32 q1, q1, r2
        vmul.f32 q2, q2, r2
        vmul.f32 q3, q3, r2
        vstrw.32 q0, [r0], #16
        vstrw.32 q1, [r0], #16
        vstrw.32 q2, [r0], #16
        vstrw.32 q3, [r0], #16
        le lr, 1b
    2:
        ands r1, #15
        wlstp.32 lr, r1, 4f
    3:
        vldrw.u32 q0, [r0]
        vmul.f32 q0, q0, r2
        vstrw.32 q0, [r0], #16
        letp lr, 3b
    4:
        pop {{r4, pc}}
        "
    )
}
