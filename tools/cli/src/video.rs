//! `scrimp deblur FRAMES... --out-dir DIR`: a film, frame by frame, each with the one before it.

use core::time::Duration;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use image::RgbImage;
use indicatif::{ProgressBar, ProgressStyle};
use scrimp::lmdvit::{LmdVit, Stats};

use crate::deblur::{Choice, deblur, same_size};
use crate::output;
use crate::picture::{self, Picture};

/// Deblurs frames into files of the same names. The first frame has none before it, so it is seen with the second, as if the film
/// ran backwards.
///
/// # Errors
/// For whatever is wrong with a file or folder; frames before it are then written.
pub fn run(net: &LmdVit<'_>, given: &[PathBuf], out_dir: &Path) -> Result<()> {
    let frames = frames(given)?;
    ensure!(frames.len() >= 2, "a film has at least two frames; for one photo: scrimp deblur INPUT OUTPUT");
    fs::create_dir_all(out_dir).with_context(|| format!("cannot make {}", out_dir.display()))?;
    let outputs = frames.iter().map(|frame| Ok(out_dir.join(frame.file_name().context("a frame has no name")?)));
    let outputs = outputs.collect::<Result<Vec<_>>>()?;
    for path in &outputs {
        picture::format(path)?;
    }
    let inputs: Vec<&Path> = frames.iter().map(PathBuf::as_path).collect();
    output::check(&outputs.iter().map(PathBuf::as_path).collect::<Vec<_>>(), &inputs)?;

    let bar = ProgressBar::new(frames.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} frames, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    let (mut sum, mut time) = (Stats::default(), Duration::ZERO);
    let mut before: Option<RgbImage> = None;
    let mut ahead: Option<Picture> = None;
    for (i, (path, out)) in frames.iter().zip(&outputs).enumerate() {
        let photo = ahead.take().map_or_else(|| Picture::open(path), Ok)?;
        if let Some(next) = frames.get(1).filter(|_| i == 0) {
            let next_photo = Picture::open(next)?;
            before = Some(next_photo.rgb.clone());
            ahead = Some(next_photo);
        }
        let previous = before.as_ref().context("there are two frames")?;
        let (path, size, want) = match i {
            0 => (&frames[1], previous.dimensions(), photo.rgb.dimensions()),
            _ => (path, photo.rgb.dimensions(), previous.dimensions()),
        };
        same_size(path, size, want)?;
        let start = Instant::now();
        let result = deblur(net, &photo.rgb, Some(previous), &Choice::Own)?;
        time += start.elapsed();
        sum.add(&result.stats);
        let kept = photo.rgb.clone();
        let encoded = Picture { rgb: result.rgb, ..photo }.encode(out)?;
        output::write(&[(out.as_path(), encoded.as_slice())])?;
        before = Some(kept);
        bar.inc(1);
    }
    bar.finish_and_clear();
    output::print(&format!(
        "{} frames, {:.1} a second without files; {:.1} % of cells active, {:.1} million multiply-accumulates a frame\n",
        frames.len(),
        frames.len() as f64 / time.as_secs_f64().max(1e-9),
        100.0 * sum.active_cells as f64 / sum.cells.max(1) as f64,
        sum.macs() as f64 / 1e6 / frames.len() as f64,
    ))
}

/// The frames in order: as listed, or those of a folder by name.
fn frames(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut frames = Vec::new();
    for path in given {
        if path.is_dir() {
            let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
            let mut found = BTreeSet::new();
            for entry in entries {
                let file = entry?.path();
                if file.is_file() && picture::format(&file).is_ok() {
                    found.insert(file);
                }
            }
            ensure!(!found.is_empty(), "{}: no PNG or JPEG files in it", path.display());
            frames.extend(found);
        } else {
            frames.push(path.clone());
        }
    }
    Ok(frames)
}
