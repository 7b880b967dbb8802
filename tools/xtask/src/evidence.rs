//! What quantizers cost trained models, as `scrimp evaluate` measured it, as tables for the README.

use std::fs;

use anyhow::{Context, Result};
use scrimp_cli::evaluate::Record;

use crate::workspace;

const RECORD: &str = "tests/expected/adalog.json";

/// A table a model. One line for each part and width, wide codes first; quantizers across: accuracy, and the paired difference
/// to f32.
pub(crate) fn table() -> Result<String> {
    let text = fs::read_to_string(workspace::path(RECORD)).with_context(|| RECORD)?;
    let records: Vec<Record> = serde_json::from_str(&text).with_context(|| RECORD)?;
    let mut tables = Vec::new();
    for float in records.iter().filter(|r| r.bits == 32) {
        let of: Vec<&Record> = records.iter().filter(|r| r.model == float.model && r.bits < 32).collect();
        let mut quantizers: Vec<&str> = Vec::new();
        let mut lines: Vec<(&str, u32)> = Vec::new();
        for r in &of {
            if !quantizers.contains(&r.quantizer.as_str()) {
                quantizers.push(&r.quantizer);
            }
            if !lines.contains(&(&r.part, r.bits)) {
                lines.push((&r.part, r.bits));
            }
        }
        lines.sort_by(|a, b| (a.0, b.1).cmp(&(b.0, a.1)));
        let Record { model, accuracy, error, inputs, .. } = float;
        let mut table =
            format!("{model}, f32: {accuracy:.2} ± {error:.2} % of {inputs} test inputs\n\n| codes | bits |");
        quantizers.iter().for_each(|name| table += &format!(" {name} |"));
        table += &format!("\n| --- | --- |{}\n", " --- |".repeat(quantizers.len()));
        for (part, bits) in lines {
            table += &format!("| {part} | {bits} |");
            for name in &quantizers {
                let same = |r: &&&Record| r.part == part && r.bits == bits && r.quantizer == *name;
                let cell = of.iter().find(same).map_or("-".into(), |r| {
                    format!("{:.2} ({:+.2} ± {:.2})", r.accuracy, r.difference, r.difference_error)
                });
                table += &format!(" {cell} |");
            }
            table += "\n";
        }
        tables.push(table);
    }
    Ok(tables.join("\n"))
}
