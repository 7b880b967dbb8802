//! What `scrimp quantize` says about what it wrote.

use serde::Serialize;

use super::ladder::Rung;
use super::layer::Quality;

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Layer by layer.
    pub layers: Vec<LayerReport>,
    /// Steps down, the cheapest loss first.
    pub ladder: Vec<Rung>,
    /// Of the costs.
    pub unit: &'static str,
}

/// One layer.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    pub(super) name: String,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    /// Channels that are stored with the other sign.
    pub(super) flipped: usize,
    pub(super) widths: Vec<WidthReport>,
}

/// One width of one layer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct WidthReport {
    pub(super) bits: u32,
    #[serde(flatten)]
    pub(super) quality: Quality,
    /// Bytes of weights that a pass reads.
    pub(super) flash_bytes: usize,
    pub(super) cost: f64,
    pub(super) error: f64,
}
