//! LMD-ViT on random configurations, weights, images and policies against the f64 oracle, which computes everything
//! everywhere: what the library leaves out must not show.

use proptest::prelude::*;
use proptest::sample::select;
use scrimp::backend::Auto;
use scrimp::lmdvit::{
    CellNet, Cells, Config, Decision, Frame, LmdVit, MAX_LEVELS, MAX_STAGES, MaskLayer, Padding, Policy, Skip,
    Workspace,
};
use scrimp_cli::blob::{Bytes, Entry, write};
use scrimp_reference::lmdvit as reference;

/// Everything one case needs.
#[derive(Clone, Debug)]
struct Case {
    config: Config,
    seed: u64,
    width: usize,
    height: usize,
    two_frames: bool,
    /// Cells given by hand: one in so many, 0 for the network's own decision, 1 for all.
    one_in: u64,
}

/// Numbers from -1 to 1 (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }
}

fn cell_net(stride: usize, dilate: usize, threshold: f32) -> CellNet {
    let mut layers = [MaskLayer::default(); 8];
    layers[0] = MaskLayer { kernel: stride, stride, dilation: 1, outputs: 3 };
    layers[1] = MaskLayer { kernel: 3, stride: 1, dilation: 2, outputs: 2 };
    layers[2] = MaskLayer { kernel: 1, stride: 1, dilation: 1, outputs: 1 };
    CellNet { threshold, dilate, layers, count: 3 }
}

prop_compose! {
    fn config()(
        levels in 1usize..=4,
        space_to_depth in 1usize..=2,
        window in select(vec![2usize, 4, 6]),
        ffn_ratio in 1usize..=3,
        concat: bool,
        down_kernel in select(vec![2usize, 4]),
        in_slope in select(vec![1.0f32, 0.01]),
        reflect: bool,
        modulator: bool,
        gate: bool,
        predictors: bool,
        beta in select(vec![0.5f32, 0.4, 0.999_999]),
        dilate in 0usize..=2,
        threshold in select(vec![0.0f32, 0.05, 1e30]),
        sizes in prop::array::uniform5(1usize..=3),
        heads in prop::array::uniform9(1usize..=2),
        depths in prop::array::uniform9(1usize..=3),
    ) -> Config {
        let stages = 2 * levels - 1;
        // Even, so that two heads divide; at least 4, as predictors need.
        let mut widths = [0; MAX_LEVELS];
        for l in 0..levels {
            widths[l] = 2 + 2 * sizes[l];
        }
        let keep = |all: [usize; MAX_STAGES]| core::array::from_fn(|k| if k < stages { all[k] } else { 0 });
        let stride = space_to_depth * window / 2;
        let nets = Cells {
            single: Some(cell_net(stride, dilate, threshold)),
            previous: Some(cell_net(stride, 0, 0.0)),
        };
        Config {
            space_to_depth,
            levels,
            widths,
            depths: keep(depths),
            heads: keep(heads),
            window,
            ffn_ratio,
            skip: if concat { Skip::Concat } else { Skip::Add },
            down_kernel,
            in_slope,
            leff_padding: if reflect { Padding::Reflect } else { Padding::Zero },
            modulator,
            gate,
            motion: false,
            decision: if predictors { Decision::Predictors { beta } } else { Decision::Cells(nets) },
        }
    }
}

prop_compose! {
    fn case()(
        config in config(),
        seed in 1u64..,
        width in 1usize..=40,
        height in 1usize..=40,
        two_frames: bool,
        one_in in select(vec![0u64, 0, 0, 1, 2, 9]),
    ) -> Case {
        let two_frames = two_frames && matches!(config.decision, Decision::Cells(_));
        Case { config, seed, width, height, two_frames, one_in }
    }
}

fn model(config: &Config, random: &mut Random) -> Bytes {
    let entries: Vec<Entry> = config
        .tensors()
        .map(|spec| {
            let name = spec.to_string();
            let shape = spec.shape().to_vec();
            let inputs: usize = shape[..shape.len() - 1].iter().product();
            // Sums of about 1, so that nothing saturates; normalisations scale by about 1.
            let spread = if shape.len() > 1 { (3.0 / inputs as f32).sqrt().min(1.0) } else { 0.3 };
            let centre = if name.contains("norm") && name.ends_with("weight") { 1.0 } else { 0.0 };
            let data = (0..shape.iter().product()).map(|_| centre + spread * random.next()).collect();
            Entry { name, shape, data }
        })
        .collect();
    Bytes::new(&write(&config.to_bytes(), &entries).expect("a model"))
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let Case { config, width, height, .. } = case;
    let mut random = Random(case.seed | 1);
    let bytes = model(config, &mut random);
    let model = bytes.model().expect("a model");
    let net = LmdVit::new(&model).expect("a network");
    prop_assert_eq!(net.config(), config);
    let mut picture = || (0..3 * width * height).map(|_| ((random.next() + 1.0) * 127.9) as u8).collect::<Vec<u8>>();
    let image = picture();
    let previous = case.two_frames.then(picture);
    let (rows, cols) = config.cells(*width, *height);
    let cells: Vec<u8> = (0..rows * cols)
        .map(|_| u8::from(u64::from(random.next().to_bits()).is_multiple_of(case.one_in.max(1))))
        .collect();

    let (policy, theirs) = match case.one_in {
        0 => (Policy::Own, reference::Policy::Own),
        1 => (Policy::All, reference::Policy::All),
        _ => (Policy::Cells(&cells), reference::Policy::Cells(cells.iter().map(|&c| c != 0).collect())),
    };
    let theirs = reference::run(&model, config, (&image, *width, *height), previous.as_deref(), &theirs);
    prop_assume!(theirs.margin > 1e-4); // closer, and f32 may rightly decide otherwise

    let sizes = config.sizes(*width, *height).expect("sizes");
    let (mut features, mut scratch) = (vec![f32::NAN; sizes.features], vec![f32::NAN; sizes.scratch]);
    let mut bytes = vec![0xA5; sizes.cells];
    let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut bytes };
    let frame = Frame::new(&image, *width, *height).expect("a frame");
    let before = previous.as_ref().map(|p| Frame::new(p, *width, *height).expect("a frame"));
    let mut out = vec![f32::NAN; image.len()];
    let stats =
        net.run_f32_on(Auto, frame, before, policy, &mut out, &mut work, &mut ()).expect("the lengths are right");

    let active = theirs.windows.iter().flatten().flatten().filter(|&&a| a).count();
    // The library does not even look at windows where no cell is active.
    prop_assert_eq!(stats.active_windows, active);
    for (i, (&ours, &theirs)) in out.iter().zip(&theirs.rgb).enumerate() {
        prop_assert!((f64::from(ours) - theirs).abs() <= 2e-4, "element {}: {} instead of {}", i, ours, theirs);
        if active == 0 {
            prop_assert_eq!(ours.to_bits(), (f32::from(image[i]) / 255.0).to_bits());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_library_is_the_oracle(case in case()) {
        check(&case)?;
    }
}
