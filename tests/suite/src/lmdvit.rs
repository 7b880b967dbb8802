//! A miniature LMD-ViT of 3 channels on a 16x16 image against PyTorch.

use scrimp::backend::Dispatch;
use scrimp::lmdvit::{Config, Frame, LmdVit, Policy, Sizes, Workspace};
use scrimp::model::Model;

use crate::Failure;

const SIDE: usize = 16;
const MODEL: &[u8] = scrimp::include_model!("../../vectors/lmdvit/mini.scrimp");
const CONFIG: Config = scrimp::expect!(Config::of_model(MODEL));
const SIZES: Sizes = scrimp::expect!(CONFIG.sizes(SIDE, SIDE));

/// The image's bytes, then PyTorch's output as little-endian f32; `tests/lmdvit.rs` keeps it current.
static CASE: &[u8] = include_bytes!("../../vectors/lmdvit/mini.case");
const PIXELS: usize = 3 * SIDE * SIDE;

/// The network's own decision and every window; wrong buffers; untouched pixels.
pub(crate) fn mini<D: Dispatch>(backend: D) -> Result<(), Failure> {
    let unexpected = |_| Failure::new("an error");
    let (image, theirs) = CASE.split_at(PIXELS);
    let model = Model::from_bytes(MODEL).map_err(unexpected)?;
    let net = LmdVit::new(&model).map_err(unexpected)?;
    let frame = Frame::new(image, SIDE, SIDE).map_err(unexpected)?;
    let (mut features, mut scratch) = ([f32::NAN; SIZES.features], [f32::NAN; SIZES.scratch]);
    let mut cells = [0xA5; SIZES.cells];
    let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut cells };

    let mut out = [0.0; PIXELS];
    let stats = net.run_f32_on(backend, frame, None, Policy::Own, &mut out, &mut work, &mut ()).map_err(unexpected)?;
    for (i, (&got, want)) in out.iter().zip(theirs.as_chunks().0).enumerate() {
        let want = f32::from_le_bytes(*want);
        let close = (got - want).abs() <= 1e-4; // not so for a NaN
        if !close {
            return Err(Failure::new("not PyTorch's").element(i, want.into(), got.into()));
        }
    }
    if stats.active_windows == 0 || stats.active_windows == stats.windows {
        return Err(Failure::new("nothing was pruned, or everything"));
    }

    let mut bytes = [0; PIXELS];
    net.run_on(backend, frame, None, Policy::None, &mut bytes, &mut work).map_err(unexpected)?;
    Failure::first("a run without windows changed the image", image, &bytes)?;
    let Workspace { features, .. } = &mut work;
    let (short, _) = core::mem::take(features).split_at_mut(SIZES.features - 1);
    work.features = short;
    if net.run_on(backend, frame, None, Policy::All, &mut bytes, &mut work).is_ok() || bytes != image {
        return Err(Failure::new("a short buffer is taken, or the output written before an error"));
    }
    Ok(())
}
