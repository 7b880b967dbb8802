//! Fully connected layer on 8-bit activations, with weights that are read at any of their widths.

use super::element::RowLayer;
use super::requant::{self, MOST_DEPTH, QuantS8, Requant};
use crate::backend::{Auto, Backend, Codes, Dispatch, DotRows, Kernel, LayerS8, OutputsS8, Rows};
use crate::bits::{Weights, Width};
use crate::error::{Arg, Error, Rule, length};

/// A fully connected layer of integers:
/// `y[r][o] = clamp(m[o] (bias[o] + Σ_i (x[r][i] + input_offset) (w[o][i] + filter_offset)) + output_offset)`.
///
/// `x`: `rows x inputs`, i8; `y`: `rows x outputs`, i8; `m` is a mantissa and a shift, one for each output. TFLite's
/// `FullyConnected` and what CMSIS-NN calls `arm_fully_connected_s8`, `_per_channel_s8` and `_s4`, and at narrower widths
/// the same with the weights that [`double_round_masked`](crate::bits::double_round_masked) gives.
///
/// # Accuracy
/// TFLite's bytes on every backend; [`Rounding::Single`](crate::fixedpoint::Rounding)
/// gives those of its single-rounding builds.
///
/// # Cost
/// Instructions a multiply-accumulate for 64 x 64 / 256 x 256, QEMU, weights in [`Layout::BEST`](crate::bits::Layout): README.
/// 9 bytes of tables an output and width.
#[derive(Clone, Copy, Debug)]
pub struct LinearS8<'a> {
    weights: Weights<'a>,
    widths: &'a [(Width, Requant<'a>)],
    quant: QuantS8,
    width: Width,
    is_plain: bool,
    /// All of it as a backend takes it at this width.
    layer: LayerS8<'a>,
}

impl<'a> LinearS8<'a> {
    /// A layer that runs at each width of `widths`, the first one to begin with.
    ///
    /// # Errors
    /// `Error::Empty` without a width; `Error::TooLarge` beyond 2^20 inputs; `Error::Length` if a table has not an entry
    /// for each output; `Error::Config` if the weights lack a width, an offset is outside its type or `min > max`.
    pub const fn new(weights: Weights<'a>, widths: &'a [(Width, Requant<'a>)], quant: QuantS8) -> Result<Self, Error> {
        if let Err(error) = quant.check() {
            return Err(error);
        }
        let (outputs, depth) = (weights.shape().rows(), weights.shape().cols());
        if depth > MOST_DEPTH {
            return Err(Error::TooLarge { what: Arg::Depth, max: MOST_DEPTH, got: depth });
        }
        let mut is_plain = true;
        let mut i = 0;
        while i < widths.len() {
            let (width, requant) = &widths[i];
            if !weights.has(*width) {
                return Err(Error::Config { what: Rule::BitWidth });
            }
            if let Err(error) = length(Arg::Multiplier, outputs, requant.outputs()) {
                return Err(error);
            }
            is_plain = is_plain && requant.is_plain(depth, &quant);
            i += 1;
        }
        let [(width, requant), ..] = widths else { return Err(Error::Empty { what: Arg::Multiplier }) };
        match requant::layer(&weights, *width, requant, &quant, is_plain) {
            Some(layer) => Ok(Self { weights, widths, quant, width: *width, is_plain, layer }),
            None => Err(Error::Config { what: Rule::BitWidth }),
        }
    }

    /// The width it runs at.
    #[must_use]
    pub const fn width(&self) -> Width {
        self.width
    }

    /// The weights.
    #[must_use]
    pub const fn weights(&self) -> Weights<'a> {
        self.weights
    }

    /// The layer at its width as a backend takes it.
    #[inline(always)]
    pub(super) const fn layer(&self) -> &LayerS8<'a> {
        &self.layer
    }

    /// The layer at another width: nothing is copied or computed.
    ///
    /// # Errors
    /// `Error::Config` if it has no table for it.
    pub const fn with_width(mut self, width: Width) -> Result<Self, Error> {
        match self.set_width(width) {
            Ok(()) => Ok(self),
            Err(error) => Err(error),
        }
    }

    /// Runs at another width from now on.
    ///
    /// # Errors
    /// `Error::Config` if it has no table for it; the width is then as before.
    pub const fn set_width(&mut self, width: Width) -> Result<(), Error> {
        let mut i = 0;
        while i < self.widths.len() {
            let (there, requant) = &self.widths[i];
            if there.bits() == width.bits()
                && let Some(layer) = requant::layer(&self.weights, width, requant, &self.quant, self.is_plain)
            {
                self.width = width;
                self.layer = layer;
                return Ok(());
            }
            i += 1;
        }
        Err(Error::Config { what: Rule::BitWidth })
    }

    /// Runs the layer on `rows` rows of `x`.
    ///
    /// # Errors
    /// `Error::Length` if `x` is not `rows x inputs` or `y` not `rows x outputs`; `y` is then untouched.
    ///
    /// # Example
    /// See [`RequantTable`](super::RequantTable).
    #[inline]
    pub fn run(&self, x: &[i8], y: &mut [i8], rows: usize) -> Result<(), Error> {
        self.run_on(Auto, x, y, rows)
    }

    /// [`LinearS8::run`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`LinearS8::run`].
    pub fn run_on<D: Dispatch>(&self, backend: D, x: &[i8], y: &mut [i8], rows: usize) -> Result<(), Error> {
        self.check(rows, Arg::X, x.len(), Arg::Y, y.len())?;
        backend.dispatch(Run { layer: &self.layer, x, y });
        Ok(())
    }

    /// The sums alone, `sums[r][o] = Σ_i x[r][i] (w[o][i] + filter_offset)`, to be refined or finished.
    ///
    /// # Errors
    /// `Error::Length` if `x` is not `rows x inputs` or `sums` not `rows x outputs`; `sums` is then untouched.
    ///
    /// # Example
    /// An answer at 4 bits, and later the one at 8 for the lower plane's half of the work:
    /// ```
    /// use scrimp::Rows;
    /// use scrimp::bits::{Weights, Width};
    /// use scrimp::fixedpoint::Multiplier;
    /// use scrimp::nn::{LinearS8, QuantS8, RequantTable};
    /// let weights = Weights::nest(&[0x07], &[0x4C], Rows::new(1, 2)?)?; // 116 and -4
    /// let scale = [Multiplier { mantissa: 1 << 30, shift: -6 }];
    /// let table = RequantTable::<1>::new(&weights, Width::W8, &QuantS8::PLAIN, &[], &scale)?;
    /// let widths = [(Width::W4, table.by_ref()), (Width::W8, table.by_ref())];
    /// let layer = LinearS8::new(weights, &widths, QuantS8::PLAIN)?;
    /// let (mut sums, mut y) = ([0], [0]);
    /// layer.sums(&[10, 20], &mut sums, 1)?;
    /// layer.finish(&sums, &mut y, 1)?;
    /// assert_eq!((sums, y), ([1120], [9]));
    /// layer.refine(&[10, 20], &mut sums, 1)?;
    /// assert_eq!(sums, [1080]);
    /// # Ok::<(), scrimp::Error>(())
    /// ```
    #[inline]
    pub fn sums(&self, x: &[i8], sums: &mut [i32], rows: usize) -> Result<(), Error> {
        self.sums_on(Auto, x, sums, rows)
    }

    /// [`LinearS8::sums`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`LinearS8::sums`].
    pub fn sums_on<D: Dispatch>(&self, backend: D, x: &[i8], sums: &mut [i32], rows: usize) -> Result<(), Error> {
        self.check(rows, Arg::X, x.len(), Arg::Sums, sums.len())?;
        backend.dispatch(Sums {
            codes: self.layer.codes(),
            filter_offset: self.layer.filter_offset(),
            x,
            sums,
            is_new: true,
        });
        Ok(())
    }

    /// Makes sums of 8 bits of those of 4: adds the products with the lower plane.
    ///
    /// # Errors
    /// As [`LinearS8::sums`], and `Error::Missing` if the weights are not nested or their lower plane is not there.
    #[inline]
    pub fn refine(&self, x: &[i8], sums: &mut [i32], rows: usize) -> Result<(), Error> {
        self.refine_on(Auto, x, sums, rows)
    }

    /// [`LinearS8::refine`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`LinearS8::refine`].
    pub fn refine_on<D: Dispatch>(&self, backend: D, x: &[i8], sums: &mut [i32], rows: usize) -> Result<(), Error> {
        self.check(rows, Arg::X, x.len(), Arg::Sums, sums.len())?;
        let codes = self.weights.residuals().ok_or(Error::Missing { what: Arg::LowPlane })?;
        backend.dispatch(Sums { codes: &codes, filter_offset: 0, x, sums, is_new: false });
        Ok(())
    }

    /// Outputs of sums, with the tables of the present width.
    ///
    /// # Errors
    /// `Error::Length` if `sums` or `y` is not `rows x outputs`; `y` is then untouched.
    #[inline]
    pub fn finish(&self, sums: &[i32], y: &mut [i8], rows: usize) -> Result<(), Error> {
        self.finish_on(Auto, sums, y, rows)
    }

    /// [`LinearS8::finish`] under a backend of your choice.
    ///
    /// # Errors
    /// As [`LinearS8::finish`].
    pub fn finish_on<D: Dispatch>(&self, backend: D, sums: &[i32], y: &mut [i8], rows: usize) -> Result<(), Error> {
        let outputs = self.weights.shape().rows();
        length(Arg::Sums, rows.saturating_mul(outputs), sums.len())?;
        length(Arg::Y, rows.saturating_mul(outputs), y.len())?;
        backend.dispatch(Finish { outputs: self.layer.outputs(), sums, y });
        Ok(())
    }

    fn check(&self, rows: usize, x: Arg, x_len: usize, y: Arg, y_len: usize) -> Result<(), Error> {
        let shape = self.weights.shape();
        length(x, rows.saturating_mul(shape.cols()), x_len)?;
        length(y, rows.saturating_mul(shape.rows()), y_len)
    }
}

struct Run<'a> {
    layer: &'a LayerS8<'a>,
    x: &'a [i8],
    y: &'a mut [i8],
}

impl Kernel for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        self.layer.rows(b, Rows::of(self.x, self.layer.codes().depth()), self.y);
    }
}

struct Sums<'a> {
    codes: &'a Codes<'a>,
    filter_offset: i32,
    x: &'a [i8],
    sums: &'a mut [i32],
    is_new: bool,
}

impl Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, b: B) {
        let Self { codes, filter_offset, x, sums, is_new } = self;
        if is_new {
            let rows = x.chunks_exact(codes.depth().max(1)).zip(sums.chunks_exact_mut(codes.outputs().max(1)));
            for (x, sums) in rows {
                sums.fill(crate::backend::row_term(x, filter_offset));
            }
        }
        DotRows::add_sums_s8(b, codes, x, sums);
    }
}

struct Finish<'a> {
    outputs: &'a OutputsS8<'a>,
    sums: &'a [i32],
    y: &'a mut [i8],
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<B: Backend>(self, _: B) {
        let outputs = self.outputs.bias.len().max(1);
        for (sums, y) in self.sums.chunks_exact(outputs).zip(self.y.chunks_exact_mut(outputs)) {
            for ((o, &sum), y) in sums.iter().enumerate().zip(y) {
                *y = self.outputs.of(o, sum);
            }
        }
    }
}
