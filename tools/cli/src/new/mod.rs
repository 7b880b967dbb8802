//! `scrimp new`: a firmware project that runs a `.tflite` model.
//!
//! The files are in `project/`, with names in double braces for what depends on the board and the model.

mod sample;

use core::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;
use scrimp_build::{Executor, Graph, Model, TensorId, layout_of};

use crate::chip::{BOARDS, Board};
use crate::{output, run};

/// The model of a project that is given none, and one of its inputs: six made-up sounds, see examples/data.
const KEYWORD: &[u8] = include_bytes!("keyword.tflite");
const BEEPS: &[u8] = include_bytes!("beeps.npy");
const SOUNDS: &str = "[\"silence\", \"noise\", \"rising\", \"falling\", \"beeps\", \"warble\"]";

/// What the command is given.
#[derive(Args, Debug)]
pub struct Options {
    /// The project's folder, which is made; its name is the package's
    project: PathBuf,
    /// What it runs on
    #[arg(long, value_parser = PossibleValuesParser::new(BOARDS.iter().map(|board| board.name)))]
    board: String,
    /// The model; by default a small one that hears six made-up sounds
    #[arg(long, value_name = "MODEL.tflite")]
    model: Option<PathBuf>,
    /// An input of the model for the first run, in any form that `scrimp run` takes; by default numbers that mean nothing
    #[arg(long, value_name = "FILE", requires = "model")]
    input: Vec<PathBuf>,
    /// A checkout of scrimp, or a version; by default the checkout that this program was built from
    #[arg(long, value_name = "PATH|VERSION")]
    scrimp: Option<String>,
}

impl Options {
    /// A project of the own model, for a board.
    #[must_use]
    pub fn new(project: impl Into<PathBuf>, board: &str) -> Self {
        Self { project: project.into(), board: board.to_owned(), model: None, input: Vec::new(), scrimp: None }
    }
}

/// Makes the project.
///
/// # Errors
/// If the folder is there, the model cannot be run, or a file cannot be written.
pub fn run(options: &Options) -> Result<()> {
    let folder = &options.project;
    let files = files(options)?;
    ensure!(!folder.exists(), "{} is there already; a project is made in a folder of its own", folder.display());
    if let Err(error) = write(folder, &files) {
        // The folder is ours, and half a project is none.
        let _ = fs::remove_dir_all(folder);
        return Err(error);
    }
    output::print(&format!("{0}: `cargo run` there starts it, `cargo test-host` tests it\n", folder.display()))
}

pub(crate) fn write(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    for (name, bytes) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Every file of the project.
fn files(options: &Options) -> Result<Vec<(String, Vec<u8>)>> {
    let package = package_name(&options.project)?;
    let board = Board::find(&options.board).context("no such board")?;
    let (file, stem) = match &options.model {
        None => (KEYWORD.to_vec(), "keyword".to_owned()),
        Some(path) => {
            let file = fs::read(path).with_context(|| path.display().to_string())?;
            (file, path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
        }
    };
    let module = module_name(&stem);
    let about_model = || options.model.as_ref().map_or_else(|| module.clone(), |path| path.display().to_string());
    let model = Model::from_tflite(&module, &file).with_context(about_model)?;
    let graph = model.graph();
    let code = model.clone().layout(layout_of(board.chip.backend)?).code().with_context(about_model)?;
    let given = match (&options.model, options.input.as_slice()) {
        (None, _) => Some(vec![run::array(&graph.tensors[graph.inputs[0].0], BEEPS)?]),
        (Some(_), []) => None,
        (Some(_), inputs) => Some(run::read_inputs(graph, inputs)?),
    };
    let inputs = given.map_or_else(|| graph.inputs.iter().map(|&id| sample::ramp(graph, id)).collect(), Ok)?;
    let mut executor = Executor::new(graph).with_context(about_model)?;
    for (k, bytes) in inputs.iter().enumerate() {
        executor.set_input(k, bytes)?;
    }
    executor.run()?;
    let samples = sample::module(&executor, &inputs)?;

    let scrimp = Scrimp::find(options.scrimp.as_deref())?;
    let emulator = format!("QEMU's {}", board.machine);
    let arena = code.arena_bytes.next_multiple_of(1024) >> 10;
    let (labels, heard) = if options.model.is_none() { labels(&module) } else { Default::default() };
    let values = [
        ("package", package.clone()),
        ("crate", package.replace('-', "_")),
        ("about", board.about.to_owned()),
        ("target", board.chip.target.to_owned()),
        ("rustflags", board.chip.rustflags.iter().map(|flag| format!("\"{flag}\", ")).collect()),
        ("machine", board.machine.to_owned()),
        ("emulator", emulator),
        ("scrimp_build", scrimp.crate_at("tools/build")?),
        ("scrimp", scrimp.crate_at("")?),
        ("module", module.clone()),
        ("type", code.type_name),
        ("max_arena", format!("{arena} << 10")),
        ("inputs", names(graph.inputs.len(), "&sample::INPUT").join(", ")),
        ("outputs", tuple(&names(graph.outputs.len(), "output"))),
        ("checks_in_test", checks(graph.outputs.len(), "        ")),
        ("checks", checks(graph.outputs.len(), "    ")),
        ("prints", prints(graph) + &heard),
        ("labels", labels),
        ("memory_note", if board.is_generic() { ": fill in those of yours" } else { "" }.to_owned()),
    ];
    let fill = |text: &str| -> Vec<u8> {
        let mut text = text.to_owned();
        for (name, value) in &values {
            text = text.replace(&format!("{{{{{name}}}}}"), value);
        }
        text.into_bytes()
    };
    let mut memory = String::new();
    if board.is_generic() {
        let _ = writeln!(
            memory,
            "/* Those of QEMU's {}, so that `cargo run` works at once. Your chip's are in its data sheet. */",
            board.machine
        );
    }
    memory += board.memory;
    Ok(vec![
        ("Cargo.toml".into(), fill(include_str!("project/Cargo.toml.in"))),
        (".cargo/config.toml".into(), fill(include_str!("project/config.toml.in"))),
        (".gitignore".into(), fill(include_str!("project/gitignore.in"))),
        ("README.md".into(), fill(include_str!("project/README.md.in"))),
        ("build.rs".into(), fill(include_str!("project/build.rs.in"))),
        ("memory.x".into(), memory.into_bytes()),
        (format!("models/{module}.tflite"), file),
        ("src/lib.rs".into(), fill(include_str!("project/src/lib.rs.in"))),
        ("src/main.rs".into(), fill(include_str!("project/src/main.rs.in"))),
        ("src/sample.rs".into(), samples.into_bytes()),
    ])
}

/// The folder's name, if cargo takes it.
pub(crate) fn package_name(project: &Path) -> Result<String> {
    let name = project.file_name().and_then(|name| name.to_str()).context("it needs a name")?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    ensure!(is_name, "{name}: a package's name is letters, digits, - and _, and begins with a letter");
    let taken = ["scrimp", "scrimp-build", "cortex-m-rt", "semihosting", "core", "std", "alloc", "test", "proc-macro"];
    let is_free = !taken.contains(&name.replace('_', "-").as_str()) && !is_keyword(name);
    ensure!(is_free, "{name} is the name of a crate or a word of Rust: a project needs another");
    Ok(name.to_owned())
}

/// The model's name as a module.
pub(crate) fn module_name(stem: &str) -> String {
    let clean = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = stem.chars().map(clean).collect();
    let name = name.trim_matches('_');
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase()) && !is_keyword(name) && name != "sample";
    if is_name { name.to_owned() } else { format!("model_{name}").trim_end_matches('_').to_owned() }
}

fn is_keyword(name: &str) -> bool {
    const KEYWORDS: &str = " abstract as async await become box break const continue crate do dyn else enum extern false final \
         fn for gen if impl in let loop macro match mod move mut override priv pub ref return self static struct super trait \
         true try type typeof union unsafe unsized use virtual where while yield ";
    KEYWORDS.contains(&format!(" {name} "))
}

/// Where the library's crates come from.
pub(crate) enum Scrimp {
    /// A version of the registry.
    Version(String),
    /// A checkout.
    Path(PathBuf),
}

impl Scrimp {
    /// What `--scrimp` says; without it the checkout that this program was built from, if it is there.
    ///
    /// # Errors
    /// If it is neither a checkout nor a version.
    pub(crate) fn find(given: Option<&str>) -> Result<Self> {
        let is_version = |text: &str| text.starts_with(|c: char| c.is_ascii_digit() || "^~=".contains(c));
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let is_checkout =
            |path: &Path| path.join("tools/build/Cargo.toml").exists() && path.join("src/lib.rs").exists();
        let path = match given {
            Some(version) if is_version(version) && !Path::new(version).exists() => {
                return Ok(Self::Version(version.to_owned()));
            }
            Some(path) => PathBuf::from(path),
            None if is_checkout(&built_from) => built_from,
            // Installed from the registry.
            None => return Ok(Self::Version(env!("CARGO_PKG_VERSION").to_owned())),
        };
        ensure!(is_checkout(&path), "{} is no checkout of scrimp, and no version", path.display());
        Ok(Self::Path(path.canonicalize()?))
    }

    /// A dependency's value in Cargo.toml, for the crate in this folder of the checkout.
    ///
    /// # Errors
    /// If the checkout's path is not UTF-8.
    pub(crate) fn crate_at(&self, folder: &str) -> Result<String> {
        Ok(match self {
            Self::Version(version) => format!("\"{version}\""),
            Self::Path(path) => {
                let path = if folder.is_empty() { path.clone() } else { path.join(folder) };
                let path = path.to_str().context("the checkout's path is not UTF-8")?;
                format!("{{ path = {} }}", toml::Value::from(path))
            }
        })
    }
}

/// `name`, or `name_0`, `name_1`, ... as generated code numbers them.
fn names(count: usize, name: &str) -> Vec<String> {
    if count == 1 { vec![name.to_owned()] } else { (0..count).map(|k| format!("{name}_{k}")).collect() }
}

fn tuple(names: &[String]) -> String {
    if let [one] = names { one.clone() } else { format!("({})", names.join(", ")) }
}

/// Compares every output with the sample.
fn checks(outputs: usize, indent: &str) -> String {
    let pairs = names(outputs, "output").into_iter().zip(names(outputs, "sample::OUTPUT"));
    pairs.map(|(output, sample)| format!("{indent}assert_eq!(*{output}, {sample});\n")).collect()
}

/// Prints every output: all of a short one, else how it begins.
fn prints(graph: &Graph) -> String {
    const SHORT: usize = 16;
    let of = |(name, id): (String, &TensorId)| {
        let elements = graph.tensors[id.0].elements();
        if elements <= SHORT {
            format!("    println!(\"{name} {{{name}:?}}\");\n")
        } else {
            format!("    println!(\"{name} {{:?}} and so on, {elements} in all\", &{name}[..{SHORT}]);\n")
        }
    };
    names(graph.outputs.len(), "output").into_iter().zip(&graph.outputs).map(of).collect()
}

/// For the own model: what its outputs stand for, and the lines that say which was heard.
fn labels(module: &str) -> (String, String) {
    let labels = format!("\n/// What the outputs stand for.\nconst SOUNDS: [&str; 6] = {SOUNDS};\n");
    let heard = format!(
        "    let (&code, sound) = output.iter().zip(SOUNDS).max().expect(\"six of them\");\n    \
         let percent = 100.0 * {module}::OUTPUT.dequantize(code.into());\n    \
         println!(\"heard: {{sound}}, {{percent:.0}} %\");\n"
    );
    (labels, heard)
}
