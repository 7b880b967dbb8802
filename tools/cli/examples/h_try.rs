//! scratch
use anyhow::Result;
use scrimp::bits::Width;
use scrimp_cli::calibration::record;
use scrimp_cli::dataset::*;
use scrimp_cli::quantize::{integer::IntegerLayer, layer::*};
use scrimp_cli::transformer::*;
use std::path::Path;
struct P(Vec<IntegerLayer>, Width);
impl Hooks for P {
    fn linear(&self, _: &Transformer, layer: Layer, x: &[f32], y: &mut [f32], rows: usize) -> Result<()> {
        let w = if matches!(layer, Layer::Stem1 | Layer::Head) { Width::W8 } else { self.1 };
        self.0[layer.index()].run(w, x, y, rows)
    }
}
fn main() -> Result<()> {
    let net = Transformer::load(Path::new("tools/train/weights/vit-fashion.safetensors"))?;
    let val = Dataset::load(Path::new(FOLDER), Split::Validation)?.first(500);
    let seen = Dataset::load(Path::new(FOLDER), Split::Train)?.first(60);
    let rows = record(&net, &seen.pictures)?;
    let acc = |h: &P| -> Result<f64> {
        let c = classes(&net.logits(&val.pictures, h)?);
        Ok(c.iter().zip(&val.labels).filter(|(a, b)| a == b).count() as f64 / 5.0)
    };
    for n in [1, 5, 7] {
        let (flip, refit, bias, stem) = (n & 1 > 0, n & 2 > 0, n & 4 > 0, n & 8 > 0);
        let mut layers = Vec::new();
        for (layer, x) in Layer::all().into_iter().zip(&rows) {
            let pinned = matches!(layer, Layer::Stem1 | Layer::Head);
            let scale = if stem { Scale::Search } else { Scale::Absmax };
            let s = Settings {
                widths: if pinned {
                    vec![Width::W8]
                } else {
                    vec![Width::W8, Width::W6, Width::W4, Width::W3, Width::W2]
                },
                rule: Rule::Round,
                scale,
                flip,
                refit,
                correct_bias: bias,
            };
            let d = net.dense(layer);
            let input = (layer == Layer::Stem1).then_some(Affine { scale: 1.0 / (255.0 * 0.3530), zero: 73 - 128 });
            layers.push(IntegerLayer::new(quantize(Source { weight: &d.weight, bias: &d.bias, x }, &s, input)?)?);
        }
        let mut p = P(layers, Width::W2);
        let two = acc(&p)?;
        p.1 = Width::W4;
        println!("flip {flip} refit {refit} bias {bias} search {stem}: {two} {}", acc(&p)?);
    }
    Ok(())
}
