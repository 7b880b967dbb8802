//! LMD-ViT against golden files that a PyTorch implementation of the same specification wrote
//! (`tools/train/golden.py`), against the f64 oracle, and against itself under every condition that must not matter.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use scrimp::backend::{Auto, Dispatch};
use scrimp::error::{Arg, Error};
use scrimp::lmdvit::{Config, Decision, Features, Frame, LmdVit, MAX_GROUPS, Policy, Stats, Watch, Workspace};
use scrimp_cli::blob::Bytes;
use scrimp_cli::convert::{floats, pack};
use scrimp_cli::description::Description;
use scrimp_reference::lmdvit as reference;
use serde_json::Value;

/// What f32 may differ by from PyTorch's f32.
const TOLERANCE: f32 = 1e-4;
const NETS: [&str; 6] = ["paper", "cells", "odd", "motion", "mini", "mini_predictors"];

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/lmdvit")
}

/// A network and what PyTorch computed with it.
struct Golden {
    blob: Bytes,
    file: Vec<u8>,
    cases: Vec<Case>,
}

#[derive(Clone, Copy)]
struct Case {
    index: usize,
    two_frames: bool,
    given_cells: bool,
}

impl Golden {
    fn open(name: &str) -> Self {
        let description = std::fs::read_to_string(vectors().join(format!("{name}.toml"))).expect("a description");
        let config = Description::parse(&description).and_then(|d| d.config()).expect("a description");
        let file = std::fs::read(vectors().join(format!("{name}.safetensors"))).expect("golden files");
        let tensors = SafeTensors::deserialize(&file).expect("safetensors");
        let blob = Bytes::new(&pack(&config, &tensors, "net/").expect("a network"));
        let (_, header) = SafeTensors::read_metadata(&file).expect("metadata");
        let cases: Value =
            serde_json::from_str(&header.metadata().as_ref().expect("metadata")["cases"]).expect("cases");
        let cases = cases.as_array().expect("a list").iter().enumerate().map(|(index, case)| Case {
            index,
            two_frames: case["frames"] == 2,
            given_cells: case["policy"] == "cells",
        });
        let cases = cases.collect();
        Self { blob, file, cases }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.file).expect("safetensors")
    }

    fn net(&self) -> LmdVit<'_> {
        LmdVit::new(&self.blob.model().expect("a model")).expect("a network")
    }
}

/// One case, ready to run.
struct Input {
    image: Vec<u8>,
    previous: Option<Vec<u8>>,
    cells: Option<Vec<u8>>,
    width: usize,
    height: usize,
}

impl Input {
    fn new(golden: &Golden, case: Case) -> Self {
        let tensors = golden.tensors();
        let get = |name: &str| tensors.tensor(&format!("case{}/{name}", case.index)).expect(name);
        let image = get("image");
        let (height, width) = (image.shape()[0], image.shape()[1]);
        let (rows, cols) = golden.net().config().cells(width, height);
        let cells = case.given_cells.then(|| {
            let map = get("cells");
            let across = map.shape()[1];
            (0..rows * cols).map(|i| map.data()[i / cols * across + i % cols]).collect()
        });
        let previous = case.two_frames.then(|| get("previous").data().to_vec());
        Self { image: image.data().to_vec(), previous, cells, width, height }
    }

    fn frame(&self) -> Frame<'_> {
        Frame::new(&self.image, self.width, self.height).expect("a frame")
    }

    fn previous(&self) -> Option<Frame<'_>> {
        self.previous.as_ref().map(|p| Frame::new(p, self.width, self.height).expect("a frame"))
    }

    fn policy(&self) -> Policy<'_> {
        self.cells.as_ref().map_or(Policy::Own, |cells| Policy::Cells(cells))
    }
}

/// Runs with buffers of exactly the promised size, full of garbage.
fn run<D: Dispatch, W: Watch>(
    d: D,
    net: &LmdVit<'_>,
    input: &Input,
    policy: Policy<'_>,
    watch: &mut W,
) -> (Vec<f32>, Stats) {
    let sizes = net.config().sizes(input.width, input.height).expect("sizes");
    let (mut features, mut scratch) = (vec![f32::NAN; sizes.features], vec![f32::NAN; sizes.scratch]);
    let mut cells = vec![0xA5; sizes.cells];
    let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut cells };
    let mut out = vec![f32::NAN; input.image.len()];
    let stats = net
        .run_f32_on(d, input.frame(), input.previous(), policy, &mut out, &mut work, watch)
        .expect("the lengths are right");
    (out, stats)
}

fn assert_close(what: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= TOLERANCE, "{what}: element {i} is {a}, PyTorch has {b}");
    }
}

/// Compares every intermediate on the way.
struct Against<'g> {
    tensors: SafeTensors<'g>,
    case: usize,
    compared: usize,
    window: usize,
}

impl Against<'_> {
    fn tensor(&self, name: &str) -> Option<Vec<f32>> {
        Some(floats(self.tensors.tensor(&format!("case{}/{name}", self.case)).ok()?.data()))
    }

    fn features(&mut self, name: &str, features: Features<'_>) {
        let Some(theirs) = self.tensor(name) else { return };
        let positions = (0..features.height()).flat_map(|y| (0..features.width()).map(move |x| (y, x)));
        let ours: Vec<f32> = positions.flat_map(|(y, x)| features.at(y, x).iter().copied()).collect();
        assert_close(name, &ours, &theirs);
        self.compared += 1;
    }
}

impl Watch for Against<'_> {
    const DENSE: bool = true;

    fn cell_logits(&mut self, logits: &[f32]) {
        let theirs = self.tensor("cell_logits").expect("cell_logits");
        assert_close("cell_logits", logits, &theirs);
        self.compared += 1;
    }

    fn in_proj(&mut self, features: Features<'_>) {
        self.features("in_proj", features);
    }

    fn predictor(&mut self, stage: usize, predictor: usize, y: usize, x: usize, logits: [f32; 2]) {
        let name = format!("stage{stage}.predictor{predictor}");
        let Ok(view) = self.tensors.tensor(&format!("case{}/{name}", self.case)) else { return };
        let (width, theirs) = (view.shape()[1], floats(view.data()));
        assert_close(&name, &logits, &theirs[2 * (y * width + x)..][..2]);
        self.compared += 1;
    }

    fn window(&mut self, stage: usize, block: usize, active: bool) {
        let name = format!("case{}/stage{stage}.block{block}.windows", self.case);
        if let Ok(view) = self.tensors.tensor(&name) {
            assert_eq!(view.data()[self.window] != 0, active, "{name}, window {}", self.window);
            self.compared += 1;
        }
        self.window += 1;
    }

    fn block(&mut self, stage: usize, block: usize, features: Features<'_>) {
        self.window = 0;
        self.features(&format!("stage{stage}.block{block}"), features);
    }
}

fn golden_on<D: Dispatch>(d: D) {
    for name in NETS {
        let golden = Golden::open(name);
        let mut pruned = false;
        for &case in &golden.cases {
            let input = Input::new(&golden, case);
            let mut against = Against { tensors: golden.tensors(), case: case.index, compared: 0, window: 0 };
            let theirs = against.tensor("output").expect("an output");
            let (ours, stats) = run(d, &golden.net(), &input, input.policy(), &mut against);
            assert_close(&format!("{name} case {}", case.index), &ours, &theirs);
            assert!(case.index > 0 || against.compared > 5, "{name}: only {} things compared", against.compared);
            assert!(stats.active_windows > 0, "{name}: {stats:?}");
            pruned |= stats.active_windows < stats.windows;
            if let Some(theirs) = against.tensor("output_all") {
                let (ours, stats) = run(d, &golden.net(), &input, Policy::All, &mut ());
                assert_close(&format!("{name} case {} all", case.index), &ours, &theirs);
                assert_eq!(stats.active_windows, stats.windows);
            }
        }
        assert!(pruned, "{name}: no case has a pruned window");
    }
}

macro_rules! golden {
    ($name:ident, $token:expr) => {
        mod $name {
            #[test]
            fn golden_files() {
                match $token {
                    Some(d) => super::golden_on(d),
                    None => eprintln!("{} skipped: this CPU lacks it", stringify!($name)),
                }
            }
        }
    };
}
scrimp::for_each_backend!(golden);

#[test]
fn the_oracle_agrees() {
    for name in NETS {
        let golden = Golden::open(name);
        let (net, model) = (golden.net(), golden.blob.model().expect("a model"));
        for &case in &golden.cases {
            let input = Input::new(&golden, case);
            if input.image.len() > 3 * 40 * 40 {
                continue; // the small ones see every path, and the oracle is slow
            }
            let image = (&input.image[..], input.width, input.height);
            let given = |policy| reference::run(&model, net.config(), image, input.previous.as_deref(), &policy);
            let own = match &input.cells {
                None => reference::Policy::Own,
                Some(cells) => reference::Policy::Cells(cells.iter().map(|&c| c != 0).collect()),
            };
            for (theirs, policy) in [(given(own), input.policy()), (given(reference::Policy::All), Policy::All)] {
                assert!(theirs.margin > 1e-4, "{name}: a decision is too close to call");
                let (ours, stats) = run(Auto, &net, &input, policy, &mut ());
                let theirs_active = theirs.windows.iter().flatten().flatten().filter(|&&a| a).count();
                assert_eq!(stats.active_windows, theirs_active, "{name}");
                let theirs: Vec<f32> = theirs.rgb.iter().map(|&v| v as f32).collect();
                assert_close(&format!("{name} case {} against f64", case.index), &ours, &theirs);
            }
        }
    }
}

/// A watch that only changes how a run goes.
struct Dense;
impl Watch for Dense {
    const DENSE: bool = true;
}
struct Reverse;
impl Watch for Reverse {
    const REVERSE: bool = true;
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn leaving_out_unread_features_changes_no_bit_and_neither_does_the_order_of_windows() {
    for name in NETS {
        let golden = Golden::open(name);
        for &case in &golden.cases {
            let input = Input::new(&golden, case);
            let (plain, stats) = run(Auto, &golden.net(), &input, input.policy(), &mut ());
            let (dense, dense_stats) = run(Auto, &golden.net(), &input, input.policy(), &mut Dense);
            let (reverse, _) = run(Auto, &golden.net(), &input, input.policy(), &mut Reverse);
            assert_eq!(bits(&plain), bits(&dense), "{name} case {}", case.index);
            assert_eq!(bits(&plain), bits(&reverse), "{name} case {}", case.index);
            assert_eq!(stats.window_macs, dense_stats.window_macs);
            assert!(stats.conv_macs <= dense_stats.conv_macs);
        }
    }
}

#[test]
fn every_map_of_cells_agrees_with_the_oracle() {
    // Single cells, corners, lines and noise: what the convolutions leave out must never be read.
    for name in ["cells", "odd"] {
        let golden = Golden::open(name);
        let (net, model) = (golden.net(), golden.blob.model().expect("a model"));
        let input = Input { cells: None, ..Input::new(&golden, golden.cases[0]) };
        let (rows, cols) = net.config().cells(input.width, input.height);
        for seed in 0..24u32 {
            let on = |i: usize| match seed {
                0..4 => i == [0, cols - 1, (rows - 1) * cols, rows * cols - 1][seed as usize],
                4..8 => i / cols == seed as usize % rows,
                8..12 => i % cols == seed as usize % cols,
                _ => (i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(97)) >> 7 & 7 == 0,
            };
            let cells: Vec<u8> = (0..rows * cols).map(|i| u8::from(on(i))).collect();
            let policy = reference::Policy::Cells(cells.iter().map(|&c| c != 0).collect());
            let image = (&input.image[..], input.width, input.height);
            let theirs = reference::run(&model, net.config(), image, None, &policy);
            let (ours, _) = run(Auto, &net, &input, Policy::Cells(&cells), &mut ());
            let theirs: Vec<f32> = theirs.rgb.iter().map(|&v| v as f32).collect();
            assert_close(&format!("{name} map {seed}"), &ours, &theirs);
        }
    }
}

#[test]
fn no_active_cell_means_that_nothing_runs() {
    for name in NETS {
        let golden = Golden::open(name);
        let input = Input::new(&golden, golden.cases[0]);
        let net = golden.net();
        let sizes = net.config().sizes(input.width, input.height).expect("sizes");
        let (mut features, mut scratch) = (vec![0.0; sizes.features], vec![0.0; sizes.scratch]);
        let mut cells = vec![0; sizes.cells];
        let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut cells };
        let mut out = vec![0; input.image.len()];
        let stats = net.run(input.frame(), None, Policy::None, &mut out, &mut work).expect("the lengths are right");
        assert_eq!(out, input.image);
        assert_eq!((stats.active_cells, stats.active_windows, stats.macs()), (0, 0, 0), "{name}");
    }
}

#[test]
fn pixels_outside_active_cells_are_the_inputs_and_bytes_round_half_up() {
    for name in ["cells", "odd", "mini"] {
        let golden = Golden::open(name);
        for &case in &golden.cases {
            let input = Input::new(&golden, case);
            let net = golden.net();
            let sizes = net.config().sizes(input.width, input.height).expect("sizes");
            let (mut features, mut scratch) = (vec![0.0; sizes.features], vec![0.0; sizes.scratch]);
            let mut bytes = vec![0; sizes.cells];
            let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut bytes };
            let (rows, cols) = net.config().cells(input.width, input.height);
            let mut map = vec![0; rows * cols];
            if let Some(cells) = &input.cells {
                map.copy_from_slice(cells);
            } else {
                net.decide(input.frame(), input.previous(), &mut map, &mut work).expect("the lengths are right");
            }
            let mut out = vec![0; input.image.len()];
            let stats = net
                .run(input.frame(), input.previous(), input.policy(), &mut out, &mut work)
                .expect("the lengths are right");
            assert_eq!(stats.active_cells, map.iter().filter(|&&c| c != 0).count());
            let (exact, _) = run(Auto, &net, &input, input.policy(), &mut ());
            let side = net.config().cell();
            let mut outside = 0;
            for (i, (&ours, &before)) in out.iter().zip(&input.image).enumerate() {
                let (y, x) = (i / 3 / input.width, i / 3 % input.width);
                if map[y / side * cols + x / side] == 0 {
                    assert_eq!(ours, before);
                    outside += 1;
                } else {
                    assert_eq!(ours, (exact[i].clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
                }
            }
            assert!(outside > 0);
        }
    }
}

#[test]
fn the_work_is_what_the_formula_says() {
    for name in NETS {
        let golden = Golden::open(name);
        for &case in &golden.cases {
            let input = Input::new(&golden, case);
            let net = golden.net();
            let config = net.config();
            let (_, stats) = run(Auto, &net, &input, Policy::All, &mut ());
            assert_eq!(stats.macs(), config.all_macs(input.width, input.height).expect("sizes"), "{name}");

            // Own decisions: the windows that ran, each at its stage's price; convolutions all; predictors all.
            let mut count = Count { config: *config, window_macs: 0 };
            let (_, stats) = run(Auto, &net, &input, input.policy(), &mut count);
            assert_eq!(stats.window_macs, count.window_macs, "{name}");
            if matches!(config.decision, Decision::Predictors { .. }) && input.cells.is_none() {
                assert_eq!(stats.predictor_macs, predictor_macs(config, &input), "{name}");
            }
        }
    }
}

struct Count {
    config: Config,
    window_macs: u64,
}

impl Watch for Count {
    fn window(&mut self, stage: usize, _: usize, active: bool) {
        let (c, r) = (self.config.width(stage), self.config.ffn_ratio);
        let position = 4 * c * c + 2 * self.config.tokens() * c + 2 * r * c * c + 9 * r * c;
        self.window_macs += u64::from(active) * (self.config.tokens() * position) as u64;
    }
}

fn predictor_macs(config: &Config, input: &Input) -> u64 {
    let side = |pixels: usize| pixels.div_ceil(config.unit()) * config.unit() / config.space_to_depth;
    let positions = side(input.width) * side(input.height);
    (0..config.stages())
        .map(|k| {
            let c = config.width(k);
            let position = 2 * c * c + c * (c / 2) + (c / 2) * (c / 4) + (c / 4) * 2;
            ((positions >> (2 * config.level(k))) * position * config.depths[k].min(2)) as u64
        })
        .sum()
}

#[test]
fn a_change_in_one_window_stays_there() {
    // One level, one unshifted block, no mask net in between: pixels of other windows must not move.
    let golden = Golden::open("mini");
    let input = Input::new(&golden, golden.cases[0]);
    let net = golden.net();
    let mut first = Blocks::default();
    run(Auto, &net, &input, Policy::All, &mut first);
    let mut changed = Input::new(&golden, golden.cases[0]);
    for (i, byte) in changed.image.iter_mut().enumerate() {
        let (y, x) = (i / 3 / input.width, i / 3 % input.width);
        // The middle of window (1, 1), out of reach of the first convolution's border.
        if (5..7).contains(&y) && (5..7).contains(&x) {
            *byte = byte.wrapping_add((i * 37 % 251) as u8);
        }
    }
    let mut second = Blocks::default();
    run(Auto, &net, &changed, Policy::All, &mut second);
    let mut moved = 0;
    for (i, (a, b)) in first.0[0].iter().zip(&second.0[0]).enumerate() {
        let (y, x) = (i / input.width, i % input.width);
        if (4..8).contains(&y) && (4..8).contains(&x) {
            moved += usize::from(bits(a) != bits(b));
        } else {
            assert_eq!(bits(a), bits(b), "position {y}, {x}");
        }
    }
    assert_eq!(moved, 16, "attention reaches the whole window");
}

#[test]
fn a_shifted_window_reaches_its_wrapped_partners_and_nothing_else() {
    // Only the cell in the top left corner: the one shifted window that holds it lies in all four corners.
    let golden = Golden::open("mini");
    let input = Input::new(&golden, golden.cases[0]);
    let net = golden.net();
    let (rows, cols) = net.config().cells(input.width, input.height);
    let mut cells = vec![0; rows * cols];
    cells[0] = 1;
    let mut blocks = Blocks::default();
    let (_, stats) = run(Auto, &net, &input, Policy::Cells(&cells), &mut blocks);
    assert_eq!(stats.active_windows, 2);
    let corner = |at: usize, side: usize| at < 2 || at >= side - 2;
    for (i, (plain, shifted)) in blocks.0[0].iter().zip(&blocks.0[1]).enumerate() {
        let (y, x) = (i / input.width, i % input.width);
        let reached = corner(y, input.height) && corner(x, input.width);
        assert_eq!(bits(plain) != bits(shifted), reached, "position {y}, {x}");
    }
}

/// Keeps the features after each block of the first stage.
#[derive(Default)]
struct Blocks(Vec<Vec<Vec<f32>>>);

impl Watch for Blocks {
    const DENSE: bool = true;

    fn block(&mut self, stage: usize, _: usize, features: Features<'_>) {
        if stage == 0 {
            let positions = (0..features.height()).flat_map(|y| (0..features.width()).map(move |x| (y, x)));
            self.0.push(positions.map(|(y, x)| features.at(y, x).to_vec()).collect());
        }
    }
}

#[test]
fn the_mini_models_are_current() {
    for name in ["mini", "mini_predictors"] {
        let golden = Golden::open(name);
        let committed = std::fs::read(vectors().join(format!("{name}.scrimp"))).unwrap_or_default();
        let base = format!("tests/vectors/lmdvit/{name}");
        assert!(
            golden.blob.bytes() == committed,
            "{base}.scrimp is stale; mend it with\n    cargo run -p scrimp-cli -- convert --prefix net/ {base}.safetensors {base}.toml {base}.scrimp"
        );
    }
}

#[test]
fn the_case_for_boards_is_current() {
    let golden = Golden::open("mini");
    let tensors = golden.tensors();
    let get = |name| tensors.tensor(name).expect("a tensor").data().to_vec();
    let case = [get("case0/image"), get("case0/output")].concat();
    let path = vectors().join("mini.case");
    if std::env::var_os("SCRIMP_OVERWRITE").is_some() {
        std::fs::write(&path, &case).expect("a file");
    }
    assert!(
        std::fs::read(&path).unwrap_or_default() == case,
        "mini.case is stale; mend it with\n    SCRIMP_OVERWRITE=1 cargo test --features std --test lmdvit current"
    );
}

#[test]
fn every_buffer_is_used_to_its_last_element() {
    for name in NETS {
        let golden = Golden::open(name);
        for &case in &golden.cases {
            let input = Input::new(&golden, case);
            let net = golden.net();
            let sizes = net.config().sizes(input.width, input.height).expect("sizes");
            // Longer than needed: what lies beyond must stay as it is.
            let (mut features, mut scratch) = (vec![-0.0; sizes.features + 64], vec![-0.0; sizes.scratch + 64]);
            let mut cells = vec![0xA5; sizes.cells + 64];
            let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut cells };
            let mut out = vec![0; input.image.len()];
            for policy in [Policy::Own, Policy::All] {
                net.run(input.frame(), input.previous(), policy, &mut out, &mut work).expect("the lengths are right");
            }
            let used = |values: &[f32]| values.iter().rposition(|v| v.to_bits() != (-0.0f32).to_bits());
            assert_eq!(used(&features).map(|i| i + 1), Some(sizes.features), "{name}: features");
            assert_eq!(used(&scratch).map(|i| i + 1), Some(sizes.scratch), "{name}: scratch");
            let last = cells.iter().rposition(|&c| c != 0xA5).map(|i| i + 1);
            // Motion has room for as many groups as there can be, which no picture this small has.
            let spare = if net.config().motion { 4 * (MAX_GROUPS - 1) } else { 0 };
            assert!(last.is_some_and(|last| (sizes.cells - spare..=sizes.cells).contains(&last)), "{name}: cells");
        }
    }
}

/// Displacements are integers: those of Python, and a run that is told them gives the bytes of one that finds them.
#[test]
fn motion_is_found_as_in_python_and_can_be_given() {
    let golden = Golden::open("motion");
    let tensors = golden.tensors();
    for &case in &golden.cases {
        let input = Input::new(&golden, case);
        let net = golden.net();
        let sizes = net.config().sizes(input.width, input.height).expect("sizes");
        let (mut features, mut scratch) = (vec![f32::NAN; sizes.features], vec![f32::NAN; sizes.scratch]);
        let mut cells = vec![0xA5; sizes.cells];
        let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut cells };
        let (rows, cols) = net.config().cells(input.width, input.height);
        let mut map = vec![0; rows * cols];
        match &input.cells {
            Some(given) => map.copy_from_slice(given),
            None => {
                net.decide(input.frame(), input.previous(), &mut map, &mut work).expect("the lengths are right");
            }
        }
        let previous = input.previous().expect("two frames");
        let theirs = tensors.tensor(&format!("case{}/vectors", case.index)).expect("vectors");
        let theirs: Vec<i32> =
            theirs.data().as_chunks::<4>().0.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect();
        let mut vectors = [[i16::MIN; 2]; MAX_GROUPS];
        let mut area = vec![0xA5; net.config().motion_bytes(input.width, input.height)];
        let groups = net.motion(input.frame(), previous, &mut map, &mut vectors, &mut area).expect("room");
        let ours: Vec<i32> = vectors[..groups].iter().flatten().map(|&v| v.into()).collect();
        assert_eq!(ours, theirs, "case {}", case.index);
        assert!(ours.iter().any(|&v| v != 0), "case {}: nothing moves", case.index);

        // One place too few: an error that says how many there are.
        let mut again = map.clone();
        let mut few = vectors;
        let short = &mut few[..groups - 1];
        let error = net.motion(input.frame(), previous, &mut again, short, &mut area).expect_err("no room");
        assert_eq!(error, Error::TooLarge { what: Arg::Groups, max: groups - 1, got: groups });

        let mut found = vec![0; input.image.len()];
        net.run(input.frame(), input.previous(), input.policy(), &mut found, &mut work).expect("a run");
        let mut told = vec![0; input.image.len()];
        let policy = Policy::Groups { cells: &map, vectors: &vectors[..groups] };
        net.run(input.frame(), input.previous(), policy, &mut told, &mut work).expect("a run");
        assert_eq!(found, told, "case {}", case.index);
        let policy = Policy::Groups { cells: &map, vectors: &[] };
        net.run(input.frame(), input.previous(), policy, &mut told, &mut work).expect("a run");
        assert_ne!(found, told, "case {}: motion changes nothing", case.index);
        let slow = net.with_shutter(0.25).expect("a shutter");
        slow.run(input.frame(), input.previous(), input.policy(), &mut told, &mut work).expect("a run");
        assert_ne!(found, told, "case {}: the shutter changes nothing", case.index);
        let missing = net.run(input.frame(), None, Policy::All, &mut told, &mut work).expect_err("one frame");
        assert_eq!(missing, Error::Missing { what: Arg::Previous });
    }
}

/// More groups than can move: those beyond stay active and stand still, as in a run.
#[test]
fn groups_beyond_the_most_stand_still() {
    let golden = Golden::open("motion");
    let net = golden.net();
    let cell = net.config().cell();
    let (rows, cols) = (32, 34); // every second cell of every second row: 16 * 17 = 272 groups
    let (width, height) = (cols * cell, rows * cell);
    let alone = |i: usize| u8::from((i / cols).is_multiple_of(2) && (i % cols).is_multiple_of(2));
    let mut map: Vec<u8> = (0..rows * cols).map(alone).collect();
    let picture: Vec<u8> = (0..3 * width * height).map(|i| (i * i % 251) as u8).collect();
    let frame = Frame::new(&picture, width, height).expect("a frame");
    let mut vectors = [[i16::MIN; 2]; MAX_GROUPS];
    let mut area = vec![0xA5; net.config().motion_bytes(width, height)];
    let groups = net.motion(frame, frame, &mut map, &mut vectors, &mut area).expect("room");
    assert_eq!(groups, MAX_GROUPS);
    assert_eq!(vectors, [[0; 2]; MAX_GROUPS], "nothing moved");
    let labels: Vec<u8> = map.iter().copied().filter(|&label| label != 0).collect();
    let wanted: Vec<u8> = (1..=250).chain([255; 272 - 250]).collect();
    assert_eq!(labels, wanted);
    assert!((0..rows * cols).all(|i| (map[i] != 0) == (alone(i) != 0)));
}
