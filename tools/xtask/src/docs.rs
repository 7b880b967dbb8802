//! The figures and plots of the README and of the pages in docs: every one stands in a committed record, and this puts it there or
//! draws it.
//!
//! A block starts with `<!-- begin NAME -->` and ends with `<!-- end NAME -->`; what lies between is generated.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::board::Board;
use crate::{accuracy, bench, demo, evidence, models, quality, record, size, switching, workspace};

/// Where blocks stand.
const PAGES: [&str; 7] = [
    "README.md",
    "docs/softmax.md",
    "docs/adalog.md",
    "docs/bit-switching.md",
    "docs/deblurring.md",
    "docs/boards.md",
    "docs/testing.md",
];

/// Rewrites the blocks, or with `check` fails if that would change anything.
pub(crate) fn run(check: bool) -> Result<()> {
    let read = |page: &&str| fs::read_to_string(workspace::path(page)).with_context(|| (*page).to_owned());
    let before = PAGES.iter().map(read).collect::<Result<Vec<_>>>()?;
    let record = demo::record()?;
    let mut texts = before.clone();
    for (name, block) in [
        ("headlines", headlines()?),
        ("support", support()?),
        ("demo", demo::table(&record.rows) + &record::built_with([record.rustc.as_str()].into_iter())),
        ("saved", demo::saved(&record.rows)?.join("\n") + "\n"),
        ("ram", demo::ram_line(&record.ram) + "\n"),
        ("quality", quality::table()?),
        ("switching", switching::table()?),
        ("models", models::quoted()?),
        ("counts", bench::counts()?),
        ("host softmax", bench::host_table()?),
        ("bits counts", bench::bits()?),
        ("host linear", bench::linear_table()?),
        ("adalog counts", bench::adalog()?),
        ("adalog evidence", evidence::table()?),
        ("sizes", size::table(&Board::all()?)?),
    ] {
        let mut pages = texts.iter_mut().filter(|text| text.contains(&format!("<!-- begin {name} -->")));
        let (page, second) = (pages.next().with_context(|| format!("no page has a block {name}"))?, pages.next());
        ensure!(second.is_none(), "two pages have a block {name}");
        *page = replace(page, name, &block)?;
    }
    for (path, text) in [
        (accuracy::PLOT, accuracy::svg()?),
        (bench::HOST_PLOT, bench::host_svg()?),
        (switching::PLOT, switching::svg()?),
        (models::PAGE, models::page()?),
    ] {
        if check {
            let there = fs::read_to_string(workspace::path(path)).unwrap_or_default();
            ensure!(there == text, "{path} does not show its record; mend it with `cargo xtask docs`");
        } else {
            fs::write(workspace::path(path), text)?;
        }
    }
    for ((page, before), text) in PAGES.iter().zip(before).zip(texts) {
        if check {
            ensure!(text == before, "{page} does not show what tests/expected holds; mend it with `cargo xtask docs`");
        } else {
            fs::write(workspace::path(page), text)?;
        }
    }
    Ok(())
}

/// A few figures of the records, for a first look.
fn headlines() -> Result<String> {
    let boards = ["mps2-an386", "mps3-an547"].map(Board::find).into_iter().collect::<Result<Vec<_>>>()?;
    let records = boards.iter().map(bench::committed).collect::<Result<Vec<_>>>()?;
    let mut text = String::from("| | Cortex-M4F | Cortex-M55 |\n| --- | --- | --- |\n");
    for (what, kernel, n, factor, digits) in [
        ("`softmax_s8`, an element of a row of 256 (CMSIS-NN: 517 and 75)", "softmax_s8", 256, 1.0, 1),
        ("an 8-bit layer, a multiply-accumulate, 256 x 256 (CMSIS-NN: 2.1 and 0.20)", "linear_s8", 256, 1.0, 2),
        (
            "a row of attention with 4-bit codes, 64 keys of 32 channels (CMSIS-NN: 44,700 and 6,500)",
            "attend_adalog",
            64,
            64.0,
            0,
        ),
    ] {
        text += &format!("| {what} |");
        for records in &records {
            let found = records.iter().find(|record| record.kernel == kernel && record.n == n && record.peer.is_none());
            let found = found.with_context(|| format!("no record of {kernel} at {n}"))?;
            text += &format!(" {:.digits$} |", found.value * factor);
        }
        text += "\n";
    }
    let ratios = models::ratios("kws_ref_model", &boards)?;
    text +=
        &format!("| a keyword network (`kws_ref_model`), of TFLite Micro + CMSIS-NN's | {} |\n", ratios.join(" | "));
    Ok(text + "\n" + &quality::sentence()?)
}

/// Which families of loops a backend has of its own: a file that only takes the portable ones is a few lines.
fn support() -> Result<String> {
    const BACKENDS: [&str; 5] = ["dsp", "helium", "neon", "avx2", "avx512"];
    const FEW_LINES: usize = 10;
    let mut text =
        format!("| kernels | scalar | {} |\n| --- |{}\n", BACKENDS.join(" | "), " --- |".repeat(BACKENDS.len() + 1));
    for (kernels, family) in [
        ("fully connected, convolutions, 8 bits and below", "dot_rows"),
        ("depthwise convolutions, 8 bits", "depth_rows"),
        ("batch matrix products, SVDF, LSTM", "mat_rows"),
        ("sums, products of two tensors", "pair_rows"),
        ("pools", "pool_rows"),
        ("softmax, StableMax of 8 and 16 bits", "s8_rows"),
        ("softmax in fixed point", "q_rows"),
        ("softmax, layers in f32", "f32_rows"),
        ("StableMax in f32", "stable_rows"),
        ("AdaLog codes and products", "code_rows"),
    ] {
        text += &format!("| {kernels} | one body |");
        for backend in BACKENDS {
            let file = format!("src/backend/{backend}/{family}.rs");
            let lines = fs::read_to_string(workspace::path(&file)).with_context(|| file)?.lines().count();
            text += if lines > FEW_LINES { " hand |" } else { " one body |" };
        }
        text += "\n";
    }
    Ok(text)
}

fn replace(text: &str, name: &str, block: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let missing = || format!("no whole block {name}");
    let (head, rest) = text.split_once(&begin).with_context(missing)?;
    let (_, tail) = rest.split_once(&end).with_context(missing)?;
    Ok(format!("{head}{begin}{block}{end}{tail}"))
}
