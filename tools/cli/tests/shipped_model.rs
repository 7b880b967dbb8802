//! The model that ships, on pictures without blur and on extremes: what it decides, and that it stays finite.

use std::path::Path;

use image::RgbImage;
use scrimp::lmdvit::LmdVit;
use scrimp_cli::blob::Bytes;
use scrimp_cli::deblur::{Choice, MODEL, MOTION_MODEL, deblur};

/// Cells that may be active in a photo without any blur, by the frames that the decision saw: a little above the worst
/// of the two photos here, 20.3 % and 0.0 %. The average over many is in the README.
const SHARP: [f64; 2] = [0.22, 0.001];

/// Of the model that the tool takes for so many frames.
fn share(picture: &RgbImage, previous: Option<&RgbImage>) -> f64 {
    let bytes = Bytes::new(if previous.is_some() { MOTION_MODEL } else { MODEL });
    let model = bytes.model().expect("a model");
    let net = LmdVit::new(&model).expect("a network");
    let result = deblur(&net, picture, previous, &Choice::Own).expect("it runs");
    result.stats.active_cells as f64 / result.stats.cells as f64
}

#[test]
fn sharp_photos_keep_most_cells_inactive() {
    for name in ["spoon", "dandelion"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../examples/data/{name}_sharp.png"));
        let photo = image::open(path).expect("a photo").into_rgb8();
        let (one, two) = (share(&photo, None), share(&photo, Some(&photo)));
        println!("{name}: {:.1} % of cells from one frame, {:.1} % from two", 100.0 * one, 100.0 * two);
        assert!(one <= SHARP[0] && two <= SHARP[1], "{name}: {one} from one frame, {two} from two");
    }
}

#[test]
fn extremes_are_decided_and_run() {
    let picture = |f: fn(u32, u32) -> u8| RgbImage::from_fn(128, 96, |x, y| image::Rgb([f(x, y); 3]));
    for (name, picture) in [
        ("black", picture(|_, _| 0)),
        ("white", picture(|_, _| 255)),
        ("checkerboard", picture(|x, y| if (x + y) % 2 == 0 { 255 } else { 0 })),
        ("one bright pixel", picture(|x, y| if (x, y) == (60, 40) { 255 } else { 0 })),
    ] {
        let (one, two) = (share(&picture, None), share(&picture, Some(&picture)));
        println!("{name}: {:.1} % of cells from one frame, {:.1} % from two", 100.0 * one, 100.0 * two);
        assert!(two <= SHARP[1], "{name}: nothing moved, but {two} of the cells are active");
        let bytes = Bytes::new(MODEL);
        let model = bytes.model().expect("a model");
        let net = LmdVit::new(&model).expect("a network");
        let all = deblur(&net, &picture, None, &Choice::All).expect("it runs").rgb;
        let moved = all.as_raw().iter().zip(picture.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
        println!("    all windows change a colour by {:.2} on average", moved as f64 / all.len() as f64);
    }
}

#[test]
fn the_models_are_the_trained_weights() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, shipped) in [("lmdvit-t16", MODEL), ("lmdvit-t16-motion", MOTION_MODEL)] {
        let file = |ending: &str| root.join(format!("tools/train/weights/{name}.{ending}"));
        let weights = std::fs::read(file("safetensors")).expect("weights");
        let text = std::fs::read_to_string(file("toml")).expect("a description");
        let config =
            scrimp_cli::description::Description::parse(&text).and_then(|d| d.config()).expect("a description");
        let tensors = safetensors::SafeTensors::deserialize(&weights).expect("safetensors");
        let model = scrimp_cli::convert::pack(&config, &tensors, "").expect("a model");
        assert!(
            model == shipped,
            "examples/data/{name}.scrimp is stale; mend it with\n    w=tools/train/weights/{name}; cargo run -p scrimp-cli -- convert $w.safetensors $w.toml examples/data/{name}.scrimp"
        );
    }
}

/// Both demonstration photos, two frames: better inside the blur and as a whole.
#[test]
fn the_photos_of_the_demonstration_get_better() {
    let file = |name: String| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../examples/data/{name}.png"));
        image::open(path).expect("a picture").into_rgb8()
    };
    let bytes = Bytes::new(MOTION_MODEL);
    let net = LmdVit::new(&bytes.model().expect("a model")).expect("a network");
    for (name, least) in [("spoon", 2.0), ("dandelion", 1.0)] {
        let [blurred, previous, sharp, mask] =
            ["", "_previous", "_sharp", "_mask"].map(|suffix| file(format!("{name}{suffix}")));
        let out = deblur(&net, &blurred, Some(&previous), &Choice::Own).expect("it runs").rgb;
        let psnr = |picture: &RgbImage, inside: bool| {
            let pixels =
                picture.pixels().zip(sharp.pixels()).zip(mask.pixels()).filter(|(_, m)| !inside || m.0[0] > 127);
            let (mut sum, mut count) = (0.0, 0.0);
            for ((a, b), _) in pixels {
                sum += a.0.iter().zip(b.0).map(|(&a, b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>();
                count += 3.0;
            }
            -10.0 * (sum / count / 65_025.0_f64).log10()
        };
        let gain = |inside| psnr(&out, inside) - psnr(&blurred, inside);
        println!("{name}: {:+.2} dB inside the blur, {:+.2} dB as a whole", gain(true), gain(false));
        assert!(gain(true) >= least && gain(false) >= least - 0.1, "{name}: {} and {} dB", gain(true), gain(false));
    }
}
