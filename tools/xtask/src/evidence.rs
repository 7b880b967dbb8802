//! What quantizers cost real models, as `scrimp evaluate` measured it, as tables for the README.

use std::fs;

use anyhow::{Context, Result};
use scrimp_cli::evaluate::Record;

use crate::workspace;

const RECORD: &str = "tests/expected/adalog.json";

/// One line for each model, part and width; quantizers across: accuracy, and the paired difference to f32.
pub(crate) fn table() -> Result<String> {
    let text = fs::read_to_string(workspace::path(RECORD)).with_context(|| RECORD)?;
    let records: Vec<Record> = serde_json::from_str(&text).with_context(|| RECORD)?;
    let mut quantizers: Vec<&str> = Vec::new();
    let mut lines: Vec<(&str, &str, u32)> = Vec::new();
    for r in records.iter().filter(|r| r.bits < 32) {
        if !quantizers.contains(&r.quantizer.as_str()) {
            quantizers.push(&r.quantizer);
        }
        let line = (r.model.as_str(), r.part.as_str(), r.bits);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let mut table = String::from("| model | codes | bits |");
    quantizers.iter().for_each(|name| table += &format!(" {name} |"));
    table += &format!("\n| --- | --- | --- |{}\n", " --- |".repeat(quantizers.len()));
    for (model, part, bits) in lines {
        table += &format!("| {model} | {part} | {bits} |");
        for name in &quantizers {
            let same = |r: &&Record| r.model == model && r.part == part && r.bits == bits && r.quantizer == *name;
            let cell = records.iter().find(same).map_or("-".into(), |r| {
                format!("{:.2} ({:+.2} ± {:.2})", r.accuracy, r.difference, r.difference_error)
            });
            table += &format!(" {cell} |");
        }
        table += "\n";
    }
    for r in records.iter().filter(|r| r.bits == 32) {
        table += &format!("\n{}, f32: {:.2} ± {:.2} % of {} test inputs.\n", r.model, r.accuracy, r.error, r.inputs);
    }
    Ok(table)
}
