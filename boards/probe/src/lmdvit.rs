//! `scrimp::lmdvit`.

use core::hint::black_box;

use scrimp::Error;
use scrimp::backend::Dispatch;
use scrimp::lmdvit::{
    Config, Features, Frame, LmdVit, MaskLayer, Policy, Sizes, Stats, TensorSpec, TensorSpecs, Tile, Tiles, Watch,
    Workspace,
};
use scrimp::model::Model;

use crate::any::{any, slice, slice_mut, values};
use crate::model::BYTES;
use crate::on_each_backend;

pub(crate) fn calls() {
    black_box(MaskLayer::pad(any(MaskLayer { kernel: 3, stride: 2, dilation: 1, outputs: 4 })));
    let _ = black_box(Config::of_model(slice(&BYTES)));
    if let Ok(config) = Config::from_bytes(slice(&BYTES)) {
        config_calls(&black_box(config));
    }
    let _ = black_box(net_calls());
    let _ = black_box(tile_calls());
    on_each_backend!(on);
}

/// With whatever the fields may hold.
fn config_calls(config: &Config) {
    let k = any(1);
    black_box(Config::to_bytes(config));
    let _ = black_box(Config::check(config));
    black_box((Config::stages(config), Config::level(config, k), Config::is_decoder(config, k)));
    black_box((Config::width(config, k), Config::cell(config), Config::unit(config), Config::tokens(config)));
    black_box(Config::reach(config));
    black_box((Config::in_channels(config), Config::out_channels(config), Config::cells(config, k, k)));
    let _ = black_box(Config::all_macs(config, k, k));
    black_box(Config::motion_bytes(config, k, k));
    if let Ok(sizes) = Config::sizes(config, k, k) {
        black_box(Sizes::bytes(&black_box(sizes)));
    }
    let mut specs = Config::tensors(config);
    if let Some(spec) = TensorSpecs::next(&mut specs) {
        let spec = black_box(spec);
        black_box((TensorSpec::shape(&spec), TensorSpec::orientation(&spec)));
    }
}

fn tile_calls() -> Result<(), Error> {
    let (width, height, side, overlap) = any((40, 30, 16, 4));
    values!(let rgb = [0; 48]);
    let mut out = [0; 48];
    let frame = Frame::new(rgb, width, height)?;
    black_box((Frame::width(&frame), Frame::height(&frame), Frame::rgb(&frame)));
    let mut tiles = Tiles::new(width, height, side, overlap)?;
    black_box(Tiles::size_hint(&tiles));
    if let Some(tile) = Tiles::next(&mut tiles) {
        // Its fields are public, so they may hold anything.
        let tile = black_box(tile);
        let _ = black_box(Frame::tile(&frame, &tile));
        let _ = black_box(Tile::read(&tile, &frame, slice_mut(&mut out)));
        let _ = black_box(Tile::write(&tile, rgb, slice_mut(&mut out), width));
    }
    Ok(())
}

/// Buffers that are too small, which the compiler does not know.
struct Buffers {
    features: [f32; 8],
    scratch: [f32; 8],
    cells: [u8; 8],
    out: [u8; 48],
    out_f32: [f32; 48],
}

impl Buffers {
    const fn new() -> Self {
        Self { features: [0.0; 8], scratch: [0.0; 8], cells: [0; 8], out: [0; 48], out_f32: [0.0; 48] }
    }

    fn work(&mut self) -> (Workspace<'_>, &mut [u8], &mut [f32]) {
        let work = Workspace {
            features: slice_mut(&mut self.features),
            scratch: slice_mut(&mut self.scratch),
            cells: slice_mut(&mut self.cells),
        };
        (work, slice_mut(&mut self.out), slice_mut(&mut self.out_f32))
    }
}

fn net() -> Result<LmdVit<'static>, Error> {
    LmdVit::new(&Model::from_bytes_trusted(slice(&BYTES))?).map(black_box)
}

fn frame() -> Result<Frame<'static>, Error> {
    let (width, height) = any((4, 4));
    Frame::new(slice(&[7; 48]), width, height)
}

fn policy() -> Policy<'static> {
    if any(true) {
        Policy::Groups { cells: slice(&[1; 4]), vectors: slice(&[[300, -400]; 2]) }
    } else {
        black_box(Policy::Cells(slice(&[1; 4])))
    }
}

fn net_calls() -> Result<(), Error> {
    let (net, frame, mut buffers) = (net()?, frame()?, Buffers::new());
    black_box(LmdVit::config(&net));
    let (mut work, out, _) = buffers.work();
    let stats = LmdVit::run(&net, frame, black_box(Some(frame)), policy(), out, &mut work)?;
    let mut sum = black_box(stats);
    Stats::add(&mut sum, &stats);
    black_box(Stats::macs(&sum));
    let _ = black_box(LmdVit::decide(&net, frame, black_box(Some(frame)), out, &mut work));
    let (mut vectors, mut area) = ([[0; 2]; 2], [0; 48]);
    let _ = black_box(LmdVit::motion(&net, frame, frame, out, slice_mut(&mut vectors), slice_mut(&mut area)));
    let _ = black_box(LmdVit::with_shutter(net, any(0.25)));
    Ok(())
}

fn on<D: Dispatch>(backend: D) {
    let (Ok(net), Ok(frame)) = (net(), frame()) else { return };
    let (previous, mut buffers) = (black_box(Some(frame)), Buffers::new());
    let (mut work, out, out_f32) = buffers.work();
    let _ = black_box(LmdVit::decide_on(&net, backend, frame, previous, out, &mut work));
    let _ = black_box(LmdVit::run_on(&net, backend, frame, previous, policy(), out, &mut work));
    let _ = black_box(LmdVit::run_f32_on(&net, backend, frame, previous, policy(), out_f32, &mut work, &mut Look));
}

/// Looks at everything there is to see.
struct Look;

impl Watch for Look {
    fn cell_logits(&mut self, logits: &[f32]) {
        black_box(logits);
    }

    fn in_proj(&mut self, features: Features<'_>) {
        black_box((Features::width(&features), Features::height(&features)));
    }

    fn predictor(&mut self, stage: usize, predictor: usize, y: usize, x: usize, logits: [f32; 2]) {
        black_box((stage, predictor, y, x, logits));
    }

    fn window(&mut self, stage: usize, block: usize, active: bool) {
        black_box((stage, block, active));
    }

    fn block(&mut self, _: usize, _: usize, features: Features<'_>) {
        let (y, x) = any((3, 5));
        black_box(Features::at(&features, y, x));
    }
}
