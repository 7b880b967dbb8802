//! Logits to AdaLog codes without an exponential.
//!
//! A code of a softmax is a uniform quantization of the logit's distance from the largest, and one number a row:
//! ```text
//! -log_B A_k = kappa D_k + Lambda      D = max L - L      kappa = unit log2(e) r / q      Lambda = (r / q) log2 Σ exp(-unit D)
//! anchored:    c_k = round(kappa D_k)              exp(x - max x) in AdaLog's codes: no Σ, the maximum has code 0
//! normalized:  c_k = round(kappa D_k + Lambda)     the paper's codes (Wu et al. 2024, arXiv 2407.12951)
//! ```
//! Anchored codes belong to a quantizer of their own, with a scale a row; the sum that is missing is put right after the
//! product with the values. That a log-quantized softmax is a uniform quantization of its logits is known (EXAQ, arXiv
//! 2410.03185, for one); the arbitrary base and the search for it on the output are AdaLog's. Ties go upwards.

use super::adalog::AdaLog;
use super::bias::{LogitBias, MASKED};
use super::grid::Symbols;
use super::log_sum::LogSum;
use super::pack::{packed_len, stream};
use crate::backend::{Auto, Backend, CodeStep, Dispatch, Kernel, LEAST_MAX, NibbleRows};
use crate::error::{Arg, Error, Rule, length};
use crate::math::real;
use crate::shape::Rows;

/// The largest distance that a code may need, so that every distance of a masked logit is far beyond.
const MOST_DISTANCE: f64 = (1u32 << 29) as f64;

/// Rows of integer logits to packed AdaLog codes. `N` is `2^bits` or more.
///
/// `logits`: `rows x cols`, i32 or i8, in steps of `unit`; [`MASKED`] (`i32::MIN`) takes no part. `codes`: each row packed as
/// [`pack`](super::pack()) does, from a byte of its own. A row that is masked as a whole gives zero symbols.
///
/// # Accuracy
/// Anchored: the codes of real arithmetic for every logit if [`LogitCodes::is_exact`], or after [`LogitCodes::with_thresholds`];
/// otherwise next to a boundary a code may be its neighbour (`kappa` is rounded to 2^-31). Normalized: the sum is good to about
/// 1 %, which moves up to 0.5 % of 4-bit codes by one. The same bytes on every backend.
///
/// # Cost
/// Anchored, 4 bits, instructions a logit at n = 64 / 256, QEMU: `src/backend/dsp.md` and `helium.md`. `4 N + 48` bytes.
///
/// # Example
/// ```
/// use scrimp::{Rows, quant::{AdaLog, LogitCodes, Symbols}};
/// const ADALOG: AdaLog = scrimp::expect!(AdaLog::new(4, 25, 1.0, Symbols::TopIsZero));
/// static CODES: LogitCodes = scrimp::expect!(LogitCodes::anchored(&ADALOG, 0.002));
/// let mut codes = [0; 4];
/// CODES.run(&[1200, 950, 1180, -300, 400, 1100, 0, -2500], &mut codes, Rows::one(8)?)?;
/// assert_eq!(codes, [0x10, 0x60, 0x03, 0xF5]); // 0 1 0 6 3 0 5 Z
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LogitCodes<const N: usize = 16> {
    bits: u32,
    /// Number of codes, and the zero symbol.
    codes: u32,
    step: CodeStep,
    /// Entry `j - 1` is the smallest distance whose code is `j` or more.
    first: [u32; N],
    is_exact: bool,
    by_thresholds: bool,
    /// Anchored codes of 4 bits by multiplication with a shift of 31: those for which backends have loops over rows.
    is_plain: bool,
    /// What makes codes the paper's.
    sum: Option<LogSum>,
}

impl<const N: usize> LogitCodes<N> {
    /// Max-anchored codes: a quantizer of `exp(x - max x)`, whose scale plays no part.
    ///
    /// # Errors
    /// `Error::Config` if the symbols do not fit the bits, or `unit` is not positive, or so small that a code covers more
    /// than 2^29 logits; `Error::Length` if `N` is below `2^bits`.
    pub const fn anchored(adalog: &AdaLog, unit: f64) -> Result<Self, Error> {
        if N < 1 << adalog.bits() {
            return Err(Error::Length { what: Arg::Table, want: 1 << adalog.bits(), got: N });
        }
        if !matches!(adalog.symbols(), Symbols::TopIsZero) {
            return Err(Error::Config { what: Rule::Symbols });
        }
        let kappa = unit * core::f64::consts::LOG2_E * 37.0 / adalog.q() as f64;
        let codes = adalog.codes() as u32;
        if !(unit > 0.0 && unit < f64::INFINITY && (codes as f64 - 0.5) / kappa < MOST_DISTANCE) {
            return Err(Error::Config { what: Rule::Scale });
        }
        // Beyond it, the next logit is zero already.
        let kappa = if kappa > 512.0 { 512.0 } else { kappa };
        let mut first = [0; N];
        let mut j = 1;
        while j <= codes && j as usize <= N {
            first[j as usize - 1] = real::ceil((j as f64 - 0.5) / kappa) as u32;
            j += 1;
        }
        let (step, is_exact) = fit(kappa, &first, codes);
        let is_plain = adalog.bits() == 4 && step.shift == 31;
        Ok(Self { bits: adalog.bits(), codes, step, first, is_exact, by_thresholds: false, is_plain, sum: None })
    }

    /// The paper's codes, of the softmax itself.
    ///
    /// # Errors
    /// As [`LogitCodes::anchored`].
    pub const fn normalized(adalog: &AdaLog, unit: f64) -> Result<Self, Error> {
        let mut codes = match Self::anchored(adalog, unit) {
            Ok(codes) => codes,
            Err(error) => return Err(error),
        };
        let octaves = unit * core::f64::consts::LOG2_E;
        let octaves = if octaves > 32.0 { 32.0 } else { octaves };
        codes.sum = match LogSum::new(octaves, adalog.q(), adalog.scale(), codes.step.shift) {
            Ok(sum) => Some(sum),
            Err(error) => return Err(error),
        };
        codes.is_plain = false;
        Ok(codes)
    }

    /// The same with anchored codes by bisection in exact thresholds instead of a multiplication.
    #[must_use]
    pub const fn with_thresholds(mut self) -> Self {
        self.by_thresholds = true;
        self.is_plain = false;
        self
    }

    /// Whether the multiplication gives the codes of real arithmetic for every anchored logit.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// Bytes of a row of `cols` codes.
    #[must_use]
    pub const fn packed_len(&self, cols: usize) -> usize {
        packed_len(self.bits, cols)
    }

    /// The codes of each row of i32 logits.
    ///
    /// # Errors
    /// `Error::Length` if `logits` is not `rows x cols` or `codes` not `rows` times [`LogitCodes::packed_len`],
    /// `Error::TooLarge` for more than 65,536 columns; `codes` is then untouched.
    #[inline]
    pub fn run(&self, logits: &[i32], codes: &mut [u8], rows: Rows) -> Result<(), Error> {
        self.run_on(Auto, logits, codes, rows)
    }

    /// [`LogitCodes::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`LogitCodes::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, logits: &[i32], codes: &mut [u8], rows: Rows) -> Result<(), Error> {
        if !self.is_plain {
            return self.run_biased_on(backend, logits, LogitBias::None, codes, rows);
        }
        let rows = NibbleRows::new(logits, rows, codes)?;
        backend.dispatch(Plain { codes: self, rows });
        Ok(())
    }

    /// [`LogitCodes::run`] with a bias or a mask.
    ///
    /// # Errors
    /// As [`LogitCodes::run`]; also `Error::Length` if `bias` has neither `rows x cols` elements nor `cols`.
    #[inline]
    pub fn run_biased(&self, logits: &[i32], bias: LogitBias<'_>, codes: &mut [u8], rows: Rows) -> Result<(), Error> {
        self.run_biased_on(Auto, logits, bias, codes, rows)
    }

    /// [`LogitCodes::run_biased`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`LogitCodes::run_biased`].
    pub fn run_biased_on<D: Dispatch>(
        &self,
        backend: D,
        logits: &[i32],
        bias: LogitBias<'_>,
        codes: &mut [u8],
        rows: Rows,
    ) -> Result<(), Error> {
        self.check(logits.len(), codes.len(), rows)?;
        bias.check(rows)?;
        backend.dispatch(Biased { codes: self, logits, bias, y: codes, rows });
        Ok(())
    }

    /// The codes of each row of i8 logits with a bias or a mask.
    ///
    /// # Errors
    /// As [`LogitCodes::run_biased`].
    #[inline]
    pub fn run_s8(&self, logits: &[i8], bias: LogitBias<'_>, codes: &mut [u8], rows: Rows) -> Result<(), Error> {
        self.run_s8_on(Auto, logits, bias, codes, rows)
    }

    /// [`LogitCodes::run_s8`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`LogitCodes::run_biased`].
    pub fn run_s8_on<D: Dispatch>(
        &self,
        backend: D,
        logits: &[i8],
        bias: LogitBias<'_>,
        codes: &mut [u8],
        rows: Rows,
    ) -> Result<(), Error> {
        self.check(logits.len(), codes.len(), rows)?;
        bias.check(rows)?;
        backend.dispatch(Biased { codes: self, logits, bias, y: codes, rows });
        Ok(())
    }

    #[inline(always)]
    fn check(&self, logits: usize, codes: usize, rows: Rows) -> Result<(), Error> {
        if rows.cols() > NibbleRows::MOST_COLS {
            return Err(Error::TooLarge { what: Arg::Cols, max: NibbleRows::MOST_COLS, got: rows.cols() });
        }
        rows.check(Arg::X, logits)?;
        // No more bytes than logits, so this cannot overflow.
        let bytes = (rows.cols() * self.bits as usize).div_ceil(8);
        length(Arg::Codes, rows.rows().wrapping_mul(bytes), codes)
    }

    /// Packs one row of logits whose largest is `max`, in `bits` bits a code.
    #[inline(always)]
    fn row<L: Copy + Into<i32>>(&self, logits: &[L], bias: LogitBias<'_>, max: i32, bits: u32, y: &mut [u8]) {
        if max == MASKED {
            return y.fill(0xFF);
        }
        let all = logits.iter().enumerate().map(|(i, &logit)| bias.apply(i, logit.into()));
        let zero = self.codes;
        match &self.sum {
            Some(sum) => {
                let terms =
                    all.clone().map(|logit| if logit == MASKED { 0 } else { sum.term(max.saturating_sub(logit)) });
                let lambda = sum.lambda(terms.fold(0u32, u32::wrapping_add));
                let CodeStep { factor, shift } = self.step;
                let start = lambda.wrapping_add(1i64.wrapping_shl(shift.wrapping_sub(1)));
                let codes = all.map(|logit| {
                    let product = i64::from(max.saturating_sub(logit)).wrapping_mul(factor.into()).wrapping_add(start);
                    // A scale below the largest probability: the code is cut to 0.
                    let code = product.max(0).wrapping_shr(shift) as u64;
                    if logit == MASKED || code > u64::from(zero) { zero } else { code as u32 }
                });
                stream(bits, codes, y);
            }
            None if self.by_thresholds => {
                let first = self.first.get(..zero as usize).unwrap_or(&[]);
                stream(bits, all.map(|logit| bisect(first, logit, max, zero)), y);
            }
            None => {
                let step = self.step;
                let code = |logit: i32| step.code(max.saturating_sub(logit)).min(zero);
                stream(bits, all.map(|logit| if logit == MASKED { zero } else { code(logit) }), y);
            }
        }
    }

    /// The factor of `factor / 2^31`, if anchored codes are found by multiplying with that.
    pub(crate) const fn factor(&self) -> Option<i32> {
        if self.sum.is_none() && !self.by_thresholds && self.step.shift == 31 { Some(self.step.factor) } else { None }
    }

    /// Packs one row of anchored codes in 4 bits each, without a bias, by multiplication. Codes of fewer bits may come out as
    /// up to 15 instead of their zero symbol.
    #[inline(always)]
    pub(crate) fn nibbles_on<B: Backend>(&self, b: B, logits: &[i32], y: &mut [u8]) {
        let max = b.row_nibbles_s32(logits, self.step, y);
        if max < LEAST_MAX {
            self.rare_nibbles(logits, max, y);
        }
    }

    /// Rows for which the backend has no loop: apart on a core, so that what it needs is not prepared for the others.
    #[cfg_attr(target_arch = "arm", inline(never))]
    #[cfg_attr(not(target_arch = "arm"), inline(always))]
    pub(crate) fn row_by_row<B: Backend>(&self, b: B, rows: NibbleRows<'_>) {
        rows.for_each(
            #[inline(always)]
            |row, to| self.nibbles_on(b, row, to),
        );
    }

    /// Apart, so that what it needs is not prepared in every call.
    #[cold]
    #[inline(never)]
    fn rare_nibbles(&self, logits: &[i32], max: i32, y: &mut [u8]) {
        self.row(logits, LogitBias::None, max, 4, y);
    }

    /// Packs one row in 4 bits each, without a bias, in any form.
    #[inline(always)]
    pub(crate) fn any_nibbles_on<B: Backend>(&self, b: B, logits: &[i32], y: &mut [u8]) {
        let max = b.max_s32(logits);
        self.row(logits, LogitBias::None, max, 4, y);
    }
}

#[inline(always)]
fn bisect(first: &[u32], logit: i32, max: i32, zero: u32) -> u32 {
    if logit == MASKED {
        return zero;
    }
    let distance = max.saturating_sub(logit) as u32;
    first.partition_point(|&first| distance >= first) as u32
}

/// A factor and shift that stand for `kappa`; whether they give every code of the thresholds.
const fn fit(kappa: f64, first: &[u32], codes: u32) -> (CodeStep, bool) {
    // Below 2^30, so that twice the factor is an i32.
    let mut shift = 31;
    while shift > 1 && kappa * (1u64 << shift) as f64 >= (1u64 << 30) as f64 - 1.0 {
        shift -= 1;
    }
    let nearest = real::round(kappa * (1u64 << shift) as f64) as u64;
    // distance * factor reaches (j - 1/2) 2^shift first at distance first[j - 1].
    let (mut low, mut high) = (0, (1u64 << 30) - 1);
    let mut j = 1;
    while j <= codes as usize && j <= first.len() {
        let edge = (2 * j as u64 - 1) << (shift - 1);
        let distance = if first[j - 1] == 0 { 1 } else { first[j - 1] as u64 };
        let least = edge.div_ceil(distance);
        if least > low {
            low = least;
        }
        if distance > 1 {
            let most = edge.div_ceil(distance - 1) - 1;
            if most < high {
                high = most;
            }
        }
        j += 1;
    }
    let is_exact = low <= high;
    let factor = if !is_exact {
        nearest
    } else if nearest < low {
        low
    } else if nearest > high {
        high
    } else {
        nearest
    };
    (CodeStep { factor: factor as i32, shift }, is_exact)
}

/// Anchored codes of 4 bits by multiplication.
struct Plain<'a, const N: usize> {
    codes: &'a LogitCodes<N>,
    rows: NibbleRows<'a>,
}

impl<const N: usize> Kernel for Plain<'_, N> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        if let Some(rows) = b.rows_nibbles_s32(self.rows, self.codes.step.factor) {
            self.codes.row_by_row(b, rows);
        }
    }
}

struct Biased<'a, L, const N: usize> {
    codes: &'a LogitCodes<N>,
    logits: &'a [L],
    bias: LogitBias<'a>,
    y: &'a mut [u8],
    rows: Rows,
}

impl<L: Copy + Into<i32>, const N: usize> Kernel for Biased<'_, L, N> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let cols = self.rows.cols();
        let bytes = self.codes.packed_len(cols);
        let rows = self.logits.chunks_exact(cols.max(1)).zip(self.y.chunks_exact_mut(bytes.max(1)));
        for (row, (logits, y)) in rows.enumerate() {
            let bias = self.bias.row(row, cols);
            let all = logits.iter().enumerate().map(|(i, &logit)| bias.apply(i, logit.into()));
            let max = all.fold(MASKED, i32::max);
            self.codes.row(logits, bias, max, self.codes.bits, y);
        }
    }
}
