//! The host tool of scrimp.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use scrimp_cli::{
    bench, calibrate, check, classify, compile, convert, deblur, evaluate, inspect, new, output, profile, quantize,
    replay, run, switching,
};

/// Models and pictures for the scrimp inference library.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Turn safetensors and a TOML description into a model, or a model back into both
    Convert {
        /// WEIGHTS.safetensors DESCRIPTION.toml OUT.scrimp, or MODEL.scrimp OUT.safetensors OUT.toml
        #[arg(num_args = 3, value_names = ["FROM", "DESCRIPTION", "TO"])]
        files: Vec<PathBuf>,
        /// What stands before each name in the safetensors file
        #[arg(long, default_value = "")]
        prefix: String,
    },
    /// Turn a .tflite model into a Rust module that runs it, and the file of its constants
    Compile(compile::Options),
    /// Make a firmware project that runs a .tflite model, on an emulator at first: `cargo run` in its folder
    New(new::Options),
    /// What a .tflite model costs on an emulated board: instructions, flash and RAM, by operator
    Profile(profile::Options),
    /// Run a .tflite model on the host beside golden tensors; exit code 1 if any byte differs
    Check {
        /// MODEL.tflite GOLDEN.safetensors
        #[arg(num_args = 2, value_names = ["MODEL", "GOLDEN"], required_unless_present = "cases")]
        files: Vec<PathBuf>,
        /// A file of single-operator models with their inputs and outputs
        #[arg(long, value_name = "FILE.safetensors", conflicts_with = "files")]
        cases: Option<PathBuf>,
    },
    /// Run a .tflite model on the host
    Run {
        /// The model
        model: PathBuf,
        /// For each input an array (.npy), a picture (.png, .jpg) or raw bytes; or one .safetensors file with in0, in1, ...
        #[arg(required = true)]
        inputs: Vec<PathBuf>,
        /// Write the outputs here, as safetensors
        #[arg(short, long, value_name = "FILE.safetensors")]
        output: Option<PathBuf>,
    },
    /// Show what is in a model, .scrimp or .tflite
    Inspect {
        /// The model
        model: PathBuf,
        /// Also list every tensor
        #[arg(long)]
        tensors: bool,
    },
    /// Remove local motion blur from a photo
    Deblur(deblur::Options),
    /// Run the small Fashion-MNIST transformer of tools/train over the test split, in f32
    Classify(classify::Options),
    /// Quantize layers to one nested INT8 array that runs at several widths, with a ladder for the governor
    Quantize(quantize::Options),
    /// Measure bit switching on the small Fashion-MNIST transformer: every method and width, the whole test split
    Switching(switching::Options),
    /// Find the parameters of AdaLog and other quantizers from dumped activations
    Calibrate(calibrate::Options),
    /// Measure what quantizers cost the small transformer on Fashion-MNIST
    Evaluate(evaluate::Options),
    /// Run test vectors (kernel-vectors/1, JSON) through the library; exit code 1 if any differs
    Replay {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Time kernels beside other crates: runs tools/bench, which has its own --help
    Bench {
        /// What tools/bench is given: `softmax`, and options after it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Convert { files, prefix } => match files.as_slice() {
            [from, description, to] => convert::run(from, description, to, &prefix),
            _ => unreachable!("clap counts them"),
        },
        Command::Compile(options) => compile::run(&options),
        Command::New(options) => new::run(&options),
        Command::Profile(options) => profile::run(&options),
        Command::Check { files, cases } => {
            let result = match (cases, files.as_slice()) {
                (Some(file), _) => check::cases(&file),
                (None, [model, golden]) => check::model(model, golden),
                _ => unreachable!("clap counts them"),
            };
            match result {
                Ok(false) => return ExitCode::FAILURE,
                result => result.map(drop),
            }
        }
        Command::Run { model, inputs, output } => run::run(&model, &inputs, output.as_deref()),
        Command::Inspect { model, tensors } => inspect::run(&model, tensors),
        Command::Calibrate(options) => calibrate::run(&options),
        Command::Evaluate(options) => evaluate::run(&options),
        Command::Deblur(options) => deblur::run(&options),
        Command::Classify(options) => classify::run(&options),
        Command::Quantize(options) => quantize::run(&options),
        Command::Switching(options) => switching::run(&options),
        Command::Replay { files } => match replay::run(&files) {
            Ok(false) => return ExitCode::FAILURE,
            result => result.map(drop),
        },
        Command::Bench { arguments } => bench::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("scrimp: {error:#}").replace('\n', " "));
            ExitCode::from(2)
        }
    }
}
