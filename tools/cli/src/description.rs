//! The TOML description of a network: the human's form of [`scrimp::lmdvit::Config`].

use anyhow::{Result, anyhow, bail, ensure};
use scrimp::lmdvit::{
    CellNet, Cells, Config, Decision, MAX_LEVELS, MAX_MASK_LAYERS, MAX_STAGES, MaskLayer, Padding, Skip,
};
use serde::{Deserialize, Serialize};

/// A description file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    kind: String,
    name: String,
    network: Network,
    #[serde(skip_serializing_if = "Option::is_none")]
    cells: Option<CellsSection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predictors: Option<PredictorsSection>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Network {
    space_to_depth: usize,
    widths: Vec<usize>,
    depths: Vec<usize>,
    heads: Vec<usize>,
    window: usize,
    ffn_ratio: usize,
    skip: SkipName,
    down_kernel: usize,
    in_slope: f32,
    leff_padding: PaddingName,
    modulator: bool,
    gate: bool,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    motion: bool,
    decision: DecisionName,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum SkipName {
    Add,
    Concat,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum PaddingName {
    Reflect,
    Zero,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum DecisionName {
    Cells,
    Predictors,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CellsSection {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dilate: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold_previous: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dilate_previous: Option<usize>,
    /// kernel, stride, dilation, outputs
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<[usize; 4]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layers_previous: Option<Vec<[usize; 4]>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PredictorsSection {
    beta: f32,
}

impl Description {
    /// Parses a description.
    ///
    /// # Errors
    /// With the line at fault.
    pub fn parse(text: &str) -> Result<Self> {
        let this: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(start).filter(|&b| b == b'\n').count();
            anyhow!("line {line}: {}", error.message().replace('\n', " "))
        })?;
        if this.kind != "lmdvit" {
            bail!("kind = {:?} is unknown; this version knows \"lmdvit\"", this.kind);
        }
        Ok(this)
    }

    /// The configuration it describes.
    ///
    /// # Errors
    /// If the network cannot exist.
    pub fn config(&self) -> Result<Config> {
        let n = &self.network;
        let levels = n.widths.len();
        ensure!(
            (1..=MAX_LEVELS).contains(&levels) && n.depths.len() == 2 * levels - 1 && n.heads.len() == 2 * levels - 1,
            "1 to {MAX_LEVELS} widths and 2 * widths - 1 depths and heads needed"
        );
        let decision = match n.decision {
            DecisionName::Predictors => match (&self.predictors, &self.cells) {
                (Some(p), None) => Decision::Predictors { beta: p.beta },
                _ => bail!("decision = \"predictors\" needs a [predictors] section and no [cells]"),
            },
            DecisionName::Cells => match (&self.cells, &self.predictors) {
                (Some(cells), None) => Decision::Cells(cells.nets()?),
                _ => bail!("decision = \"cells\" needs a [cells] section and no [predictors]"),
            },
        };
        let config = Config {
            space_to_depth: n.space_to_depth,
            levels,
            widths: fill(&n.widths),
            depths: fill::<MAX_STAGES>(&n.depths),
            heads: fill(&n.heads),
            window: n.window,
            ffn_ratio: n.ffn_ratio,
            skip: match n.skip {
                SkipName::Add => Skip::Add,
                SkipName::Concat => Skip::Concat,
            },
            down_kernel: n.down_kernel,
            in_slope: n.in_slope,
            leff_padding: match n.leff_padding {
                PaddingName::Reflect => Padding::Reflect,
                PaddingName::Zero => Padding::Zero,
            },
            modulator: n.modulator,
            gate: n.gate,
            motion: n.motion,
            decision,
        };
        config.check()?;
        Ok(config)
    }

    /// The description of a configuration.
    #[must_use]
    pub fn of(config: &Config, name: &str) -> Self {
        let stages = config.stages();
        let (cells, predictors) = match config.decision {
            Decision::Predictors { beta } => (None, Some(PredictorsSection { beta })),
            Decision::Cells(Cells { single, previous }) => (
                Some(CellsSection {
                    threshold: single.map(|s| s.threshold),
                    dilate: single.map(|s| s.dilate),
                    threshold_previous: previous.map(|p| p.threshold),
                    dilate_previous: previous.map(|p| p.dilate),
                    layers: single.map(|s| layers(&s)),
                    layers_previous: previous.map(|p| layers(&p)),
                }),
                None,
            ),
        };
        Self {
            kind: "lmdvit".into(),
            name: name.into(),
            network: Network {
                space_to_depth: config.space_to_depth,
                widths: config.widths[..config.levels].to_vec(),
                depths: config.depths[..stages].to_vec(),
                heads: config.heads[..stages].to_vec(),
                window: config.window,
                ffn_ratio: config.ffn_ratio,
                skip: match config.skip {
                    Skip::Add => SkipName::Add,
                    Skip::Concat => SkipName::Concat,
                },
                down_kernel: config.down_kernel,
                in_slope: config.in_slope,
                leff_padding: match config.leff_padding {
                    Padding::Reflect => PaddingName::Reflect,
                    Padding::Zero => PaddingName::Zero,
                },
                modulator: config.modulator,
                gate: config.gate,
                motion: config.motion,
                decision: if cells.is_some() { DecisionName::Cells } else { DecisionName::Predictors },
            },
            cells,
            predictors,
        }
    }

    /// The text of the file.
    ///
    /// # Errors
    /// Never for what [`of`](Self::of) made.
    pub fn to_text(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }
}

impl CellsSection {
    fn nets(&self) -> Result<Cells> {
        let single = match &self.layers {
            None => {
                ensure!(self.threshold.is_none() && self.dilate.is_none(), "threshold and dilate need layers");
                None
            }
            Some(layers) => {
                let (Some(threshold), Some(dilate)) = (self.threshold, self.dilate) else {
                    bail!("layers need threshold and dilate");
                };
                Some(net(layers, threshold, dilate)?)
            }
        };
        let previous = match &self.layers_previous {
            None => {
                ensure!(
                    self.threshold_previous.is_none() && self.dilate_previous.is_none(),
                    "threshold_previous and dilate_previous need layers_previous"
                );
                None
            }
            Some(layers) => {
                let threshold = self.threshold_previous.or(self.threshold);
                let dilate = self.dilate_previous.or(self.dilate);
                let (Some(threshold), Some(dilate)) = (threshold, dilate) else {
                    bail!("layers_previous need threshold_previous and dilate_previous");
                };
                Some(net(layers, threshold, dilate)?)
            }
        };
        Ok(Cells { single, previous })
    }
}

fn net(layers: &[[usize; 4]], threshold: f32, dilate: usize) -> Result<CellNet> {
    ensure!(layers.len() <= MAX_MASK_LAYERS, "a mask net has at most {MAX_MASK_LAYERS} layers");
    let layer = |&[kernel, stride, dilation, outputs]: &[usize; 4]| MaskLayer { kernel, stride, dilation, outputs };
    let mut all = [MaskLayer::default(); MAX_MASK_LAYERS];
    for (to, from) in all.iter_mut().zip(layers) {
        *to = layer(from);
    }
    Ok(CellNet { threshold, dilate, layers: all, count: layers.len() })
}

fn layers(net: &CellNet) -> Vec<[usize; 4]> {
    net.layers[..net.count].iter().map(|l| [l.kernel, l.stride, l.dilation, l.outputs]).collect()
}

fn fill<const N: usize>(values: &[usize]) -> [usize; N] {
    let mut all = [0; N];
    for (to, &from) in all.iter_mut().zip(values) {
        *to = from;
    }
    all
}
