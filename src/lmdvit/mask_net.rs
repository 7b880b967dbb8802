//! The mask net: a few convolutions over the image, one logit a cell.

use super::config::CellNet;
use super::frame::Frame;
use super::layout::Layout;
use super::weights::Weights;
use crate::backend::Dispatch;
use crate::nn::copy;

/// Runs the net whose first tensor is `start`; the logits come to stand in the returned part of `features`, row by row.
/// Also returns the multiply-accumulates done.
#[expect(clippy::too_many_arguments, reason = "the state of a run")]
pub(crate) fn logits<'f, D: Dispatch>(
    d: D,
    layout: &Layout,
    net: &CellNet,
    (weights, start): (&Weights<'_>, usize),
    frame: &Frame<'_>,
    previous: Option<&Frame<'_>>,
    features: &'f mut [f32],
    scratch: &mut [f32],
) -> (&'f mut [f32], u64) {
    let mut macs = 0;
    let mut side = layout.padded();
    let mut inputs = if previous.is_some() { 4 } else { 3 };
    // Layers go from one end of the buffer to the other and back; `layout` made room for any two neighbours.
    let mut at_end = true;
    for (i, layer) in net.layers.iter().take(net.count).enumerate() {
        let out_side = (side.0 / layer.stride.max(1), side.1 / layer.stride.max(1));
        let length = out_side.0 * out_side.1 * layer.outputs;
        at_end = !at_end;
        let (input, output) = if at_end {
            let middle = features.len().saturating_sub(length);
            let Some((input, output)) = features.split_at_mut_checked(middle) else { break };
            (input, output)
        } else {
            let Some((output, input)) = features.split_at_mut_checked(length) else { break };
            // What the layer before left lies at the end.
            let from = input.len().saturating_sub(side.0 * side.1 * inputs);
            (input.get_mut(from..).unwrap_or(&mut []), output)
        };
        let relu = i + 1 < net.count;
        let first = i == 0;
        let pixels = (0..out_side.0).flat_map(|y| (0..out_side.1).map(move |x| (y, x)));
        macs += weights.conv(start + 2 * i).run(
            d,
            scratch,
            pixels,
            |(y, x), patch| {
                let mut taps = patch.chunks_exact_mut(inputs.max(1));
                for ky in 0..layer.kernel {
                    for kx in 0..layer.kernel {
                        let Some(tap) = taps.next() else { return };
                        // Shifted by the border, so that nothing is negative.
                        let (py, px) = (y * layer.stride + ky * layer.dilation, x * layer.stride + kx * layer.dilation);
                        let inside = (layer.pad()..layer.pad() + side.0).contains(&py)
                            && (layer.pad()..layer.pad() + side.1).contains(&px);
                        if !inside {
                            tap.fill(0.0);
                            continue;
                        }
                        let (iy, ix) = (py - layer.pad(), px - layer.pad());
                        if first {
                            pixel(frame, previous, iy, ix, tap);
                        } else if let Some(from) = input.get((iy * side.1 + ix) * inputs..) {
                            copy(from, tap);
                        }
                    }
                }
            },
            |(y, x), result| {
                let Some(to) = output.get_mut((y * out_side.1 + x) * layer.outputs..) else { return };
                for (to, &value) in to.iter_mut().zip(result.iter()) {
                    *to = if relu && value < 0.0 { 0.0 } else { value };
                }
            },
        );
        side = out_side;
        inputs = layer.outputs;
    }
    let length = side.0 * side.1;
    let from = if at_end { features.len().saturating_sub(length) } else { 0 };
    (features.get_mut(from..from + length).unwrap_or(&mut []), macs)
}

/// Red, green, blue and, with a frame before, the mean of their absolute differences; all from 0 to 1.
fn pixel(frame: &Frame<'_>, previous: Option<&Frame<'_>>, y: usize, x: usize, tap: &mut [f32]) {
    let now = frame.pixel(y, x);
    for (to, &value) in tap.iter_mut().zip(&now) {
        *to = f32::from(value) / 255.0;
    }
    if let (Some(previous), Some(difference)) = (previous, tap.get_mut(3)) {
        let sum: u16 = now.iter().zip(previous.pixel(y, x)).map(|(&a, b)| u16::from(a.abs_diff(b))).sum();
        *difference = f32::from(sum) / 765.0;
    }
}
