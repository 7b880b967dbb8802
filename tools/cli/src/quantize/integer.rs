//! A quantized layer as the library's kernels take it: codes, and integers for every width.

use anyhow::{Context, Result, ensure};
use scrimp::Rows;
use scrimp::bits::{Weights, Width};
use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{LinearS8, QuantS8, Requant};

use super::layer::{QuantizedLayer, Reading, Rule};

/// Integers of one width: `y = (sum + bias) * mantissa / 2^31 * 2^shift`, one of each an output.
#[derive(Clone, Debug)]
pub struct Integers {
    /// In units of the input's step times the weights', the input's zero point folded in.
    pub bias: Vec<i32>,
    /// The fraction; negative where the channel is stored with the other sign.
    pub mantissa: Vec<i32>,
    /// The power of two.
    pub shift: Vec<i8>,
}

/// A layer that runs. Floor and mid-rise have codes of their own at each width: masked ones on the 8-bit scale, which the
/// 8-bit kernel reads. Double Rounding has one array, and the kernel reads it at the width.
#[derive(Debug)]
pub struct IntegerLayer {
    layer: QuantizedLayer,
    shape: Rows,
    quant: QuantS8,
    /// Masked codes of floor and mid-rise, one array a width.
    masked: Vec<Vec<i8>>,
    widths: Vec<Stored>,
}

#[derive(Debug)]
struct Stored {
    width: Width,
    /// The width that the kernel runs at.
    kernel: Width,
    /// The place in `masked`, if it is there.
    masked: Option<usize>,
    integers: Integers,
}

impl IntegerLayer {
    /// Packs a layer.
    ///
    /// # Errors
    /// If an integer does not fit.
    pub fn new(layer: QuantizedLayer) -> Result<Self> {
        let shape = Rows::new(layer.scale.len(), layer.inputs())?;
        let quant = QuantS8 { input_offset: -layer.input.zero, output_offset: layer.output.zero, ..QuantS8::PLAIN };
        let mut this = Self { shape, quant, masked: Vec::new(), widths: Vec::new(), layer };
        for reading in this.layer.readings.clone() {
            let width = reading.width;
            let (kernel, masked) = if this.layer.rule == Rule::Round {
                (width, None)
            } else {
                this.masked.push(this.layer.codes.iter().map(|&q| this.layer.rule.value(q, width)).collect());
                (Width::W8, Some(this.masked.len() - 1))
            };
            let integers = this.integers_of(&reading, kernel, masked)?;
            this.widths.push(Stored { width, kernel, masked, integers });
        }
        Ok(this)
    }

    /// The layer.
    #[must_use]
    pub fn layer(&self) -> &QuantizedLayer {
        &self.layer
    }

    /// The integers of a width.
    #[must_use]
    pub fn integers(&self, width: Width) -> Option<&Integers> {
        self.widths.iter().find(|stored| stored.width == width).map(|stored| &stored.integers)
    }

    /// Runs `rows` rows: f32 to s8, the library's kernel at `width`, back to f32.
    ///
    /// # Errors
    /// If the layer has no such width, or a length is wrong.
    pub fn run(&self, width: Width, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        let stored = self.widths.iter().find(|stored| stored.width == width);
        let stored = stored.with_context(|| format!("the layer has no width of {} bits", width.bits()))?;
        let Integers { bias, mantissa, shift } = &stored.integers;
        let widths = [(stored.kernel, Requant::new(bias, mantissa, shift)?)];
        let kernel = LinearS8::new(self.weights(stored.masked)?, &widths, self.quant)?;
        let codes: Vec<i8> = x.iter().map(|&v| self.layer.input.encode(v)).collect();
        let mut out = vec![0i8; y.len()];
        kernel.run(&codes, &mut out, rows)?;
        for (y, code) in y.iter_mut().zip(out) {
            *y = self.layer.output.decode(code);
        }
        Ok(())
    }

    fn weights(&self, masked: Option<usize>) -> Result<Weights<'_>> {
        Ok(match masked {
            Some(n) => Weights::s8(&self.masked[n], self.shape)?,
            None => Weights::raw8(&self.layer.codes, self.shape)?,
        })
    }

    fn integers_of(&self, reading: &Reading, kernel: Width, masked: Option<usize>) -> Result<Integers> {
        let (mut bias, mut multipliers) = (Vec::new(), Vec::new());
        for ((&scale, &gain), &real) in self.layer.scale.iter().zip(&reading.gain).zip(&reading.bias) {
            let step = f64::from(self.layer.input.scale) * f64::from(scale) * f64::from(gain);
            let units = (f64::from(real) / step).round();
            // The other half of the range is for the sums.
            ensure!(units.abs() < f64::from(1 << 30), "a bias of {real} is too many steps of {step:e}");
            bias.push(units as i32);
            let ratio = step.abs() / f64::from(self.layer.output.scale);
            let one = Multiplier::from_real(ratio).with_context(|| format!("{ratio:e} is no multiplier"))?;
            multipliers.push(if step < 0.0 { Multiplier { mantissa: -one.mantissa, ..one } } else { one });
        }
        let count = bias.len();
        let mut made = Integers { bias: vec![0; count], mantissa: vec![0; count], shift: vec![0; count] };
        let tables = (made.bias.as_mut_slice(), made.mantissa.as_mut_slice(), made.shift.as_mut_slice());
        let weights = self.weights(masked)?;
        Requant::build(tables, &weights, kernel, &self.quant, &bias, &multipliers)?;
        Ok(made)
    }
}
