//! A quantized layer as the library's kernels take it: packed codes, and integers for every width.

use anyhow::{Context, Result, ensure};
use scrimp::Rows;
use scrimp::bits::{Format, Layout, NEST_CAP, Weights, Width, packed_words};
use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{LinearS8, QuantS8, Requant};

use super::layer::{QuantizedLayer, Reading, Rule, fits};

/// Any backend runs it; it is the fast one of a PC.
const LAYOUT: Layout = Layout::Wide;

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

/// A layer that runs. Double Rounding has one pair of nibble planes, from which the library makes the 8-bit weights of each
/// width ([`Weights::pack_into`]), the form that is fast on a PC; floor and mid-rise are masked here. The 8-bit kernel reads
/// either.
#[derive(Debug)]
pub struct IntegerLayer {
    layer: QuantizedLayer,
    shape: Rows,
    quant: QuantS8,
    widths: Vec<Stored>,
}

#[derive(Debug)]
struct Stored {
    width: Width,
    packed: Packed,
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
        let mut this = Self { shape, quant, widths: Vec::new(), layer };
        // A network of one width may use all of the range.
        let fits = this.layer.codes.iter().all(|&q| q <= NEST_CAP);
        let format = if fits { Format::Nest84 } else { Format::Raw8 };
        let stored = Packed::new(Weights::s8(&this.layer.codes, shape)?, format, Width::W8, shape)?;
        for reading in this.layer.readings.clone() {
            let width = reading.width;
            let packed = if this.layer.rule == Rule::Round {
                Packed::new(stored.view(shape)?, Format::S8, width, shape)?
            } else {
                let masked: Vec<i8> = this.layer.codes.iter().map(|&q| this.layer.rule.value(q, width)).collect();
                Packed::new(Weights::s8(&masked, shape)?, Format::S8, Width::W8, shape)?
            };
            let integers = this.integers_of(&reading, packed.view(shape)?)?;
            this.widths.push(Stored { width, packed, integers });
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

    /// Runs `rows` rows: f32 to s8, the library's kernel with the weights of `width`, back to f32.
    ///
    /// # Errors
    /// If the layer has no such width, or a length is wrong.
    pub fn run(&self, width: Width, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        let stored = self.widths.iter().find(|stored| stored.width == width);
        let stored = stored.with_context(|| format!("the layer has no width of {} bits", width.bits()))?;
        let Integers { bias, mantissa, shift } = &stored.integers;
        let widths = [(Width::W8, Requant::new(bias, mantissa, shift)?)];
        let kernel = LinearS8::new(stored.packed.view(self.shape)?, &widths, self.quant)?;
        let codes: Vec<i8> = x.iter().map(|&v| self.layer.input.encode(v)).collect();
        let mut out = vec![0i8; y.len()];
        kernel.run(&codes, &mut out, rows)?;
        for (y, code) in y.iter_mut().zip(out) {
            *y = self.layer.output.decode(code);
        }
        Ok(())
    }

    fn integers_of(&self, reading: &Reading, weights: Weights<'_>) -> Result<Integers> {
        let (mut bias, mut multipliers) = (Vec::new(), Vec::new());
        for ((&scale, &gain), &real) in self.layer.scale.iter().zip(&reading.gain).zip(&reading.bias) {
            let step = f64::from(self.layer.input.scale) * f64::from(scale) * f64::from(gain);
            ensure!(fits(real, step), "a bias of {real} is too many steps of {step:e}");
            bias.push((f64::from(real) / step).round() as i32);
            let ratio = step.abs() / f64::from(self.layer.output.scale);
            let one = Multiplier::from_real(ratio).with_context(|| format!("{ratio:e} is no multiplier"))?;
            multipliers.push(if step < 0.0 { Multiplier { mantissa: -one.mantissa, ..one } } else { one });
        }
        let count = bias.len();
        let mut made = Integers { bias: vec![0; count], mantissa: vec![0; count], shift: vec![0; count] };
        let tables = (made.bias.as_mut_slice(), made.mantissa.as_mut_slice(), made.shift.as_mut_slice());
        Requant::build(tables, &weights, Width::W8, &self.quant, &bias, &multipliers)?;
        Ok(made)
    }
}

#[derive(Debug)]
struct Packed {
    format: Format,
    words: Vec<u32>,
    low: Vec<u32>,
}

impl Packed {
    /// The weights at a width.
    fn new(weights: Weights<'_>, format: Format, width: Width, shape: Rows) -> Result<Self> {
        let count = packed_words(format, LAYOUT, shape);
        let (mut words, mut low) = (vec![0; count], vec![0; if format == Format::Nest84 { count } else { 0 }]);
        weights.pack_into(format, LAYOUT, width, &mut words, &mut low)?;
        Ok(Self { format, words, low })
    }

    fn view(&self, shape: Rows) -> Result<Weights<'_>> {
        Ok(Weights::packed(self.format, LAYOUT, &self.words, &self.low, shape)?)
    }
}
