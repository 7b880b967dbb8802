//! Times the kernels of scrimp beside other crates on this host, one thread.
//!
//! `cargo run --release --manifest-path tools/bench/Cargo.toml -- softmax`

mod buffer;
mod contenders;
mod linear;
mod report;
mod timing;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use scrimp::backend::{Auto, Avx2, Avx512, Dispatch, Scalar};

/// Times the kernels of scrimp beside other crates.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Softmax of one row of uniform random logits in [-10, 10]
    Softmax(Options),
    /// Layers of 8-bit integers, square weights, as many rows or one
    Linear(LinearOptions),
}

/// How to time.
#[derive(clap::Args)]
struct Options {
    /// Row lengths; k and M are 2^10 and 2^20
    #[arg(long, value_delimiter = ',', default_value = "64,256,1k,4k,64k,1M,4M,16M,64M", value_parser = length)]
    sizes: Vec<usize>,
    /// The instruction set of scrimp; rivals choose for themselves
    #[arg(long, value_enum, default_value = "auto")]
    backend: Backend,
    /// Times everything is measured; medians are taken over them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only contenders whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Also write the records to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// How to time layers.
#[derive(clap::Args)]
struct LinearOptions {
    /// The instruction set of scrimp; the rival chooses for itself
    #[arg(long, value_enum, default_value = "auto")]
    backend: Backend,
    /// Times everything is measured; medians are taken over them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Also write the records to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Backend {
    Auto,
    Scalar,
    Avx2,
    Avx512,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Softmax(options) => match options.backend {
            Backend::Auto => softmax(&options, scrimp::backend::name(), Some(Auto)),
            Backend::Scalar => softmax(&options, "scalar", Some(Scalar)),
            Backend::Avx2 => softmax(&options, "avx2", Avx2::new()),
            Backend::Avx512 => softmax(&options, "avx512", Avx512::new()),
        },
        Command::Linear(options) => match options.backend {
            Backend::Auto => linear(&options, scrimp::backend::name(), Some(Auto)),
            Backend::Scalar => linear(&options, "scalar", Some(Scalar)),
            Backend::Avx2 => linear(&options, "avx2", Avx2::new()),
            Backend::Avx512 => linear(&options, "avx512", Avx512::new()),
        },
    }
}

fn linear<D: Dispatch>(options: &LinearOptions, backend: &str, token: Option<D>) -> Result<()> {
    let Some(token) = token else { bail!("this CPU lacks {backend}") };
    linear::run(token, backend, options.rounds, options.json.as_deref())
}

fn softmax<D: Dispatch + 'static>(options: &Options, backend: &str, token: Option<D>) -> Result<()> {
    let Some(token) = token else { bail!("this CPU lacks {backend}") };
    let mut contenders = contenders::all(token);
    contenders.retain(|c| options.only.is_empty() || options.only.iter().any(|part| c.name.contains(part.as_str())));
    report::header(backend, &contenders);
    let mut table = report::Table::new(backend, &contenders);
    for &n in &options.sizes {
        table.add(n, &timing::measure(&mut contenders, n, options.rounds));
    }
    table.finish(options.json.as_deref())
}

/// `64`, `4k`, `16M`.
fn length(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M') => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    match digits.parse::<usize>() {
        Ok(n) if n > 0 => Ok(n * unit),
        _ => Err(format!("`{text}` is no length")),
    }
}
