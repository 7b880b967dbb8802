//! What every layer of the small transformer sees: rows for `scrimp quantize` and for the ranges of activations.

use std::sync::Mutex;

use anyhow::Result;
use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::dataset::PIXELS;
use crate::encoder::{Dense, Hooks, Layer};
use crate::transformer::{LAYERS, Transformer};

/// Input rows of each layer, in the order of [`Layer::all`].
pub type Rows = Vec<Vec<f32>>;

struct Recorder(Mutex<Rows>);

impl Hooks for Recorder {
    fn linear(&self, layer: Layer, dense: &Dense, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        // A panic of another thread is the test runner's business.
        let mut all = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(seen) = all.get_mut(layer.index()) {
            seen.extend_from_slice(x);
        }
        dense.run(x, y, rows)
    }
}

/// Runs pictures one by one, so that the order of the rows is always the same.
///
/// # Errors
/// If the pictures are not whole ones.
pub fn record(net: &Transformer, pictures: &[u8]) -> Result<Rows> {
    let recorder = Recorder(Mutex::new(vec![Vec::new(); LAYERS]));
    for picture in pictures.chunks(PIXELS) {
        net.logits(picture, &recorder)?;
    }
    Ok(recorder.0.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// The rows as a safetensors file, `NAME.x` of each layer.
///
/// # Errors
/// If it cannot be made.
pub fn dump(rows: &Rows) -> Result<Vec<u8>> {
    let bytes: Vec<Vec<u8>> = rows.iter().map(|x| x.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let mut views = Vec::new();
    for (layer, bytes) in Layer::all().iter().zip(&bytes) {
        let inputs = layer.shape().0;
        views.push((format!("{layer}.x"), TensorView::new(Dtype::F32, vec![bytes.len() / 4 / inputs, inputs], bytes)?));
    }
    Ok(serialize(views, None)?)
}
