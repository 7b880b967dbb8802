//! The TOML description of what `scrimp quantize` shall do.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use scrimp::bits::Width;
use serde::Deserialize;

use super::layer::{Affine, Rule, Scale, Settings};

/// A description file.
///
/// ```toml
/// kind = "quantize"
/// widths = [8, 6, 4, 3, 2]
/// scale = "absmax"              # or { sigma = 3.0 }, or "search"
///
/// [instructions]                # optional: per multiply-accumulate; without it the ladder saves flash bytes
/// 8 = 1.89
/// 4 = 1.05
///
/// [[layer]]
/// name = "head"
/// pinned = true                 # 8 bits at every width of the network
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    kind: String,
    widths: Vec<u32>,
    #[serde(default)]
    rule: Rule,
    #[serde(default)]
    scale: Scale,
    #[serde(default = "yes")]
    flip: bool,
    #[serde(default = "yes")]
    refit: bool,
    #[serde(default = "yes")]
    correct_bias: bool,
    #[serde(default)]
    instructions: BTreeMap<String, f64>,
    /// The layers, in the order in which they run.
    #[serde(rename = "layer")]
    pub layers: Vec<LayerEntry>,
}

/// One layer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerEntry {
    /// What stands before `.weight` and `.bias` in the weights, and before `.x` in the calibration file.
    pub name: String,
    /// 8 bits always.
    #[serde(default)]
    pub pinned: bool,
    /// Rows that run for one inference.
    #[serde(default = "one")]
    pub rows: usize,
    /// Scale and zero point of the input, where they are known.
    input: Option<(f32, i32)>,
    /// Mean diagonal of the loss' Hessian: then the sensitivity is this times the squared error of the weights, else it
    /// is the measured error of the outputs.
    pub trace: Option<f64>,
}

impl LayerEntry {
    /// The input codes, where they are given.
    #[must_use]
    pub fn input(&self) -> Option<Affine> {
        self.input.map(|(scale, zero)| Affine { scale, zero })
    }
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

impl Description {
    /// Reads a description.
    ///
    /// # Errors
    /// If it is no TOML, or a value is out of range.
    pub fn parse(text: &str) -> Result<Self> {
        let this: Self = toml::from_str(text)?;
        ensure!(this.kind == "quantize", "kind is {:?}, \"quantize\" needed", this.kind);
        ensure!(!this.layers.is_empty(), "there is no [[layer]]");
        ensure!(this.rule == Rule::Round, "rule: files hold Double Rounding only");
        this.settings(false)?;
        if let Scale::Sigma(sigmas) = this.scale {
            ensure!(sigmas.is_finite() && sigmas > 0.0, "sigma must be a positive number");
        }
        for layer in &this.layers {
            ensure!(this.layers.iter().filter(|l| l.name == layer.name).count() == 1, "{} is there twice", layer.name);
            let input = layer.input();
            let fits = |a: Affine| a.scale.is_finite() && a.scale > 0.0 && (-128..=127).contains(&a.zero);
            ensure!(input.is_none_or(fits), "{}: input must be [scale above 0, zero point of -128 to 127]", layer.name);
            ensure!(layer.rows > 0, "{}: rows must be at least 1", layer.name);
            let good = |trace: f64| trace.is_finite() && trace >= 0.0;
            ensure!(layer.trace.is_none_or(good), "{}: trace must be a number that is not below 0", layer.name);
        }
        for (width, each) in &this.instructions {
            let known = width.parse().ok().and_then(Width::from_bits).is_some_and(|w| w.bits().to_string() == *width);
            ensure!(known, "[instructions]: {width} is none of 2 to 8");
            ensure!(each.is_finite() && *each > 0.0, "[instructions]: {width} must be a positive number");
        }
        let all: Vec<_> = this.settings(false)?.widths;
        ensure!(
            this.instructions.is_empty() || all.iter().all(|&width| this.instructions(width).is_some()),
            "[instructions] needs every width"
        );
        Ok(this)
    }

    /// What the layers are quantized with.
    ///
    /// # Errors
    /// If a width is none.
    pub fn settings(&self, pinned: bool) -> Result<Settings> {
        let mut widths = Vec::new();
        for &bits in &self.widths {
            widths.push(Width::from_bits(bits).with_context(|| format!("widths: {bits} is none of 2 to 8"))?);
        }
        ensure!(widths.first() == Some(&Width::W8), "widths must start with 8");
        ensure!(widths.windows(2).all(|w| w[0].bits() > w[1].bits()), "widths must fall");
        if pinned {
            widths.truncate(1);
        }
        let Self { rule, scale, flip, refit, correct_bias, .. } = *self;
        Ok(Settings { widths, rule, scale, flip, refit, correct_bias })
    }

    /// Instructions a multiply-accumulate, where they are given.
    #[must_use]
    pub fn instructions(&self, width: Width) -> Option<f64> {
        self.instructions.get(&width.bits().to_string()).copied()
    }
}
