//! The quantizers that are compared, each by the library's own kernels.

use core::fmt;

use anyhow::{Result, bail};
use scrimp::Rows;
use scrimp::quant::{
    AdaLog, GELU_SHIFT, Log2, LogCodec, LogSqrt2, LogitCodes, MASKED, Shift, Symbols, Uniform, unpack,
};

/// A kind of quantizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Uniform steps.
    Uniform,
    /// Base 2.
    Log2,
    /// Base sqrt 2.
    LogSqrt2,
    /// AdaLog as the paper: of a softmax the codes of its probabilities.
    AdaLog,
    /// AdaLog with our changes: of a softmax max-anchored codes, of GELU the self-consistent shift.
    Ours,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Uniform, Self::Log2, Self::LogSqrt2, Self::AdaLog, Self::Ours];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uniform => "uniform",
            Self::Log2 => "log2",
            Self::LogSqrt2 => "log-sqrt2",
            Self::AdaLog => "AdaLog, as the paper",
            Self::Ours => "AdaLog, ours",
        })
    }
}

/// Parameters that a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// The kind.
    pub kind: Kind,
    /// Bits of a code.
    pub bits: u32,
    /// One step, or the value of code 0.
    pub scale: f64,
    /// The base's numerator, for AdaLog.
    pub q: u32,
    /// The code of 0, for uniform codes.
    pub zero_point: u8,
}

impl Parameters {
    /// A constant of the library that has them.
    #[must_use]
    pub fn rust(&self) -> String {
        let Self { bits, scale, q, zero_point, .. } = self;
        match self.kind {
            Kind::Uniform => format!("scrimp::expect!(Uniform::new({bits}, {:?}, {zero_point}))", *scale as f32),
            Kind::Log2 => format!("scrimp::expect!(Log2::new({bits}, {scale:?}, Symbols::TopIsZero))"),
            Kind::LogSqrt2 => format!("scrimp::expect!(LogSqrt2::new({bits}, {scale:?}, Symbols::TopIsZero))"),
            Kind::AdaLog | Kind::Ours => {
                format!("scrimp::expect!(AdaLog::new({bits}, {q}, {scale:?}, Symbols::TopIsZero))")
            }
        }
    }

    /// The type of that constant.
    #[must_use]
    pub fn rust_type(&self) -> &'static str {
        match self.kind {
            Kind::Uniform => "Uniform",
            Kind::Log2 => "Log2",
            Kind::LogSqrt2 => "LogSqrt2",
            Kind::AdaLog | Kind::Ours => "AdaLog",
        }
    }

    fn adalog(&self) -> Result<AdaLog> {
        Ok(AdaLog::new(self.bits, self.q, self.scale, Symbols::TopIsZero)?)
    }

    fn codec(&self) -> Result<LogCodec> {
        Ok(match self.kind {
            Kind::Log2 => Log2::new(self.bits, self.scale, Symbols::TopIsZero)?.codec(),
            Kind::LogSqrt2 => LogSqrt2::new(self.bits, self.scale, Symbols::TopIsZero)?.codec(),
            Kind::AdaLog | Kind::Ours => self.adalog()?.codec(),
            Kind::Uniform => bail!("uniform codes have no logarithm"),
        })
    }
}

/// One step of the integer logits that stand for scores.
pub const LOGIT: f64 = 1.0 / 4096.0;

/// Scores to quantized probabilities.
#[derive(Debug)]
pub enum Softmax {
    /// Probabilities first, then codes.
    Uniform(Uniform),
    /// As above.
    Log(Box<LogCodec>),
    /// Codes straight from integer logits; the value of each code, and whether a row is divided by its sum.
    Codes(Box<LogitCodes<256>>, Vec<f32>, u32, bool),
}

impl Softmax {
    /// The softmax with these parameters.
    ///
    /// # Errors
    /// If they are impossible.
    pub fn new(parameters: &Parameters) -> Result<Self> {
        Ok(match parameters.kind {
            Kind::Uniform => Self::Uniform(Uniform::new(parameters.bits, parameters.scale as f32, 0)?),
            Kind::Log2 | Kind::LogSqrt2 => Self::Log(Box::new(parameters.codec()?)),
            Kind::AdaLog => {
                let adalog = parameters.adalog()?;
                let values = (0..256).map(|c| adalog.value(c) as f32).collect();
                Self::Codes(Box::new(LogitCodes::normalized(&adalog, LOGIT)?), values, parameters.bits, false)
            }
            Kind::Ours => {
                let adalog = parameters.adalog()?;
                let weight = |c| f32::from(adalog.weight(c, adalog.fraction_bits()));
                let values = (0..256).map(weight).collect();
                Self::Codes(Box::new(LogitCodes::anchored(&adalog, LOGIT)?), values, parameters.bits, true)
            }
        })
    }

    /// Scores to probabilities, in place, row by row.
    ///
    /// # Errors
    /// If the shape is wrong.
    pub fn apply(&self, scores: &mut [f32], rows: Rows) -> Result<()> {
        match self {
            Self::Uniform(uniform) => {
                scrimp::softmax_f32_in_place(scores, rows)?;
                let mut codes = vec![0; scores.len()];
                uniform.encode(scores, &mut codes)?;
                uniform.decode(&codes, scores)?;
            }
            Self::Log(codec) => {
                scrimp::softmax_f32_in_place(scores, rows)?;
                let mut codes = vec![0u8; scores.len()];
                codec.encode(scores, &mut codes)?;
                codec.decode(&codes, scores)?;
            }
            Self::Codes(logit_codes, values, bits, divided) => {
                let logits: Vec<i32> = scores.chunks(rows.cols()).flat_map(logits).collect();
                let bytes = logit_codes.packed_len(rows.cols());
                let mut packed = vec![0; rows.rows() * bytes];
                logit_codes.run(&logits, &mut packed, rows)?;
                let mut codes = vec![0; rows.cols()];
                for (row, packed) in scores.chunks_mut(rows.cols()).zip(packed.chunks(bytes)) {
                    unpack(*bits, packed, &mut codes)?;
                    row.iter_mut().zip(&codes).for_each(|(y, &c)| *y = values[usize::from(c)]);
                    if *divided {
                        let sum: f32 = row.iter().sum();
                        row.iter_mut().for_each(|y| *y /= sum.max(f32::MIN_POSITIVE));
                    }
                }
            }
        }
        Ok(())
    }
}

/// A row of scores as integer logits below the largest one: a softmax depends on nothing else, and so any score fits.
fn logits(row: &[f32]) -> impl Iterator<Item = i32> {
    let whole = |score: f32| (f64::from(score) / LOGIT).round();
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let most = if most == f32::NEG_INFINITY { 0.0 } else { whole(most) };
    row.iter().map(move |&score| match score {
        f32::NEG_INFINITY => MASKED,
        _ => (whole(score) - most).max(f64::from(MASKED + 1)) as i32,
    })
}

/// GELU's outputs to quantized ones.
#[derive(Debug)]
pub enum Gelu {
    /// Codes of the outputs.
    Uniform(Uniform),
    /// Codes of the shifted outputs; what is taken off again.
    Log(Box<LogCodec>, f32),
}

impl Gelu {
    /// The quantizer with these parameters.
    ///
    /// # Errors
    /// If they are impossible.
    pub fn new(parameters: &Parameters) -> Result<Self> {
        Ok(match parameters.kind {
            Kind::Uniform => {
                Self::Uniform(Uniform::new(parameters.bits, parameters.scale as f32, parameters.zero_point)?)
            }
            Kind::Ours => {
                let off = parameters.adalog()?.taken_off(GELU_SHIFT, Shift::SelfConsistent);
                Self::Log(Box::new(parameters.codec()?), off as f32)
            }
            _ => Self::Log(Box::new(parameters.codec()?), GELU_SHIFT as f32),
        })
    }

    /// GELU's outputs to what their codes mean, in place.
    ///
    /// # Errors
    /// None that the library's kernels have for slices of one length.
    pub fn apply(&self, x: &mut [f32]) -> Result<()> {
        let mut codes = vec![0u8; x.len()];
        match self {
            Self::Uniform(uniform) => {
                uniform.encode(x, &mut codes)?;
                uniform.decode(&codes, x)?;
            }
            Self::Log(codec, off) => {
                x.iter_mut().for_each(|x| *x += GELU_SHIFT as f32);
                codec.encode(x, &mut codes)?;
                codec.decode(&codes, x)?;
                x.iter_mut().for_each(|x| *x -= off);
            }
        }
        Ok(())
    }
}
