//! A quantized layer as the library's kernels take it: nibble planes or codes, and integers for every width.

use anyhow::{Context, Result, ensure};
use scrimp::Rows;
use scrimp::bits::{Format, Layout, Weights, Width, packed_words};
use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{LinearS8, QuantS8, Requant};

use super::layer::{QuantizedLayer, Reading, Rule};

/// Integers of one width: `y = (sum + bias) * multiplier / 2^31 * 2^shift`, one of each an output.
#[derive(Clone, Debug, Default)]
pub struct Integers {
    /// In units of the input's step times the weights', the input's zero point folded in.
    pub bias: Vec<i32>,
    /// The fraction; negative where the channel is stored with the other sign.
    pub multiplier: Vec<i32>,
    /// The power of two.
    pub shift: Vec<i8>,
}

/// A layer that runs.
#[derive(Debug)]
pub struct IntegerLayer {
    layer: QuantizedLayer,
    shape: Rows,
    stored: Vec<Stored>,
}

/// Weights and integers of one width. Floor and mid-rise have codes of their own at each width: the masked ones on the
/// 8-bit scale, which the 8-bit kernel reads. Double Rounding has one array, and the kernel does the reading.
#[derive(Debug)]
struct Stored {
    width: Width,
    kernel: Width,
    words: usize,
    integers: Integers,
}

/// What the kernels read, packed for this machine.
#[derive(Debug)]
struct Packed {
    format: Format,
    words: Vec<u32>,
    low: Vec<u32>,
}

/// A layer with its packed weights.
#[derive(Debug)]
pub struct Runner {
    layer: IntegerLayer,
    packed: Vec<Packed>,
}

impl Runner {
    /// Packs a layer.
    ///
    /// # Errors
    /// If a width or an integer does not fit.
    pub fn new(layer: QuantizedLayer) -> Result<Self> {
        let shape = Rows::new(layer.scale.len(), layer.inputs())?;
        let mut packed = Vec::new();
        let mut stored = Vec::new();
        if layer.rule == Rule::Round {
            packed.push(pack(Format::Nest84, &layer.codes, shape)?);
        }
        for reading in &layer.readings {
            let (kernel, words) = if layer.rule == Rule::Round {
                (reading.width, 0)
            } else {
                let masked: Vec<i8> = layer.codes.iter().map(|&q| layer.rule.value(q, reading.width)).collect();
                packed.push(pack(Format::S8, &masked, shape)?);
                (Width::W8, packed.len() - 1)
            };
            let weights = packed.get(words).context("just pushed")?.view(shape)?;
            let integers = integers(&layer, reading, &weights, kernel)?;
            stored.push(Stored { width: reading.width, kernel, words, integers });
        }
        Ok(Self { layer: IntegerLayer { layer, shape, stored }, packed })
    }

    /// The layer.
    #[must_use]
    pub fn layer(&self) -> &QuantizedLayer {
        &self.layer.layer
    }

    /// The integers of a width.
    #[must_use]
    pub fn integers(&self, width: Width) -> Option<&Integers> {
        self.layer.stored.iter().find(|stored| stored.width == width).map(|stored| &stored.integers)
    }

    /// Bytes of weights that a pass at this width reads from two nibble planes.
    ///
    /// # Errors
    /// If the codes do not fit.
    pub fn bytes_read(&self, width: Width) -> Result<usize> {
        let nested = pack(Format::Nest84, &self.layer.layer.codes, self.layer.shape)?;
        Ok(nested.view(self.layer.shape)?.bytes_read(width))
    }

    /// Runs `rows` rows: to s8, the library's kernel at `width`, back to f32.
    ///
    /// # Errors
    /// If the layer has no such width, or a length is wrong.
    pub fn run(&self, width: Width, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        let IntegerLayer { layer, shape, stored } = &self.layer;
        let stored = stored.iter().find(|s| s.width == width);
        let stored = stored.with_context(|| format!("no width of {} bits", width.bits()))?;
        let Integers { bias, multiplier, shift } = &stored.integers;
        let weights = self.packed.get(stored.words).context("packed in `new`")?.view(*shape)?;
        let widths = [(stored.kernel, Requant::new(bias, multiplier, shift)?)];
        let kernel = LinearS8::new(weights, &widths, quant(layer))?;
        let codes: Vec<i8> = x.iter().map(|&v| layer.input.encode(v)).collect();
        let mut out = vec![0i8; y.len()];
        kernel.run(&codes, &mut out, rows)?;
        for (y, code) in y.iter_mut().zip(out) {
            *y = layer.output.decode(code);
        }
        Ok(())
    }
}

impl Packed {
    fn view(&self, shape: Rows) -> Result<Weights<'_>> {
        Ok(Weights::packed(self.format, Layout::BEST, &self.words, &self.low, shape)?)
    }
}

fn pack(format: Format, codes: &[i8], shape: Rows) -> Result<Packed> {
    let count = packed_words(format, Layout::BEST, shape);
    let mut words = vec![0; count];
    let mut low = vec![0; if format == Format::Nest84 { count } else { 0 }];
    Weights::s8(codes, shape)?.pack_into(format, Layout::BEST, Width::W8, &mut words, &mut low)?;
    Ok(Packed { format, words, low })
}

fn quant(layer: &QuantizedLayer) -> QuantS8 {
    QuantS8 { input_offset: -layer.input.zero, output_offset: layer.output.zero, ..QuantS8::default() }
}

fn integers(layer: &QuantizedLayer, reading: &Reading, weights: &Weights<'_>, kernel: Width) -> Result<Integers> {
    let mut out = Integers::default();
    let channels = layer.scale.iter().zip(&reading.gain).zip(&reading.bias);
    for ((&scale, &gain), &bias) in channels {
        let step = f64::from(layer.input.scale) * f64::from(scale) * f64::from(gain);
        let units = (f64::from(bias) / step).round();
        // Half of the range is for the sums.
        ensure!(units.abs() < f64::from(1 << 30), "a bias of {bias} is too many steps of {step:e}");
        out.bias.push(units as i32);
        let real = Multiplier::from_real(step.abs() / f64::from(layer.output.scale)).context("a scale is no number")?;
        out.multiplier.push(if step < 0.0 { -real.mantissa } else { real.mantissa });
        out.shift.push(real.shift as i8);
    }
    let plain = out.bias.clone();
    Requant::fold(weights, kernel, &quant(layer), &plain, &mut out.bias)?;
    Ok(out)
}
