//! The quality that `tools/train/evaluate.py` measured on the test split, as a table for the README.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::workspace;

const RECORD: &str = "tests/expected/deblur_quality.json";

/// What this page reads of the record.
#[derive(Deserialize)]
struct Record {
    forms: BTreeMap<String, Form>,
}

#[derive(Deserialize)]
struct Form {
    modes: BTreeMap<String, Mode>,
}

#[derive(Deserialize)]
struct Mode {
    gain_blur_db: f64,
    whole_image_change_db: f64,
    share_falling_over_0_1_db: f64,
    cell_recall: f64,
    active_over_blurred_cells: f64,
    mac_ratio_to_all: f64,
    changed_pixels_outside_active_cells: f64,
    active_share_without_blur: Option<f64>,
}

/// What the model that follows the motion gains.
pub(crate) fn sentence() -> Result<String> {
    let text = fs::read_to_string(workspace::path(RECORD)).with_context(|| RECORD)?;
    let record: Record = serde_json::from_str(&text).with_context(|| RECORD)?;
    let mode = record.forms.get("lmdvit-t16-motion").and_then(|form| form.modes.get("two_frame_own"));
    let mode = mode.with_context(|| format!("{RECORD} has no lmdvit-t16-motion"))?;
    Ok(format!(
        "Deblurring from two frames: {:+.2} dB inside the blur, {:+.2} dB over the whole picture, {:.1} % of the pictures fall by more \
         than 0.1 dB; {:.2} of the work of all windows (the test split of `tools/train`).\n",
        mode.gain_blur_db,
        mode.whole_image_change_db,
        100.0 * mode.share_falling_over_0_1_db,
        mode.mac_ratio_to_all
    ))
}

/// One line for each form and mode.
pub(crate) fn table() -> Result<String> {
    let text = fs::read_to_string(workspace::path(RECORD)).with_context(|| RECORD)?;
    let record: Record = serde_json::from_str(&text).with_context(|| RECORD)?;
    let mut table = String::from(
        "| model | windows | gain in the blur (dB) | whole picture (dB) | pictures that fall by > 0.1 dB | recall of cells | \
         active / blurred cells | active cells without blur | work / all windows | pixels changed outside |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (name, form) in &record.forms {
        for (mode, m) in &form.modes {
            let still = m.active_share_without_blur.map_or("-".into(), |s| format!("{:.1} %", 100.0 * s));
            table += &format!(
                "| {name} | {} | {:+.2} | {:+.2} | {:.1} % | {:.2} | {:.2} | {still} | {:.2} | {} |\n",
                mode.replace('_', " "),
                m.gain_blur_db,
                m.whole_image_change_db,
                100.0 * m.share_falling_over_0_1_db,
                m.cell_recall,
                m.active_over_blurred_cells,
                m.mac_ratio_to_all,
                m.changed_pixels_outside_active_cells,
            );
        }
    }
    Ok(table)
}
