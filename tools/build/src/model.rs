//! What a build script calls: a model file in, Rust and weights out.

use core::fmt;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use scrimp::bits::Layout;
use sha2::{Digest as _, Sha256};

use crate::emit::{self, Head};
use crate::graph::Graph;
use crate::lower::{Work, lower};
use crate::plan::{Plan, plan};
use crate::rewrite::rewrite;
use crate::tflite;

/// Why a model cannot be compiled: what is wrong, where, and what would help.
pub struct Error(anyhow::Error);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

/// The same text: it is what cargo shows of a build script whose `main` returns it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Error {}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

/// A model on its way to code.
///
/// In a `build.rs`, of a crate that depends on `scrimp` and builds with `scrimp-build`:
/// ```no_run
/// fn main() -> Result<(), scrimp_build::Error> {
///     scrimp_build::Model::tflite("models/keyword.tflite")?.max_arena(32 << 10).compile()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    graph: Graph,
    file: String,
    sha256: String,
    stem: String,
    layout: Option<Layout>,
    max_arena: Option<usize>,
}

/// Generated code, and what is known of it.
#[derive(Clone, Debug)]
pub struct Code {
    /// The module; it includes the constants as `<name>.bin` from beside it.
    pub rust: String,
    /// The constants.
    pub data: Vec<u8>,
    /// The model's type in the module.
    pub type_name: String,
    /// Whether variables live from run to run; then the type has `reset`.
    pub has_state: bool,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// The least that any plan could take.
    pub lower_bound: usize,
    /// Multiply-accumulates of one run.
    pub macs: u64,
    /// The arena as a drawing, a line for each operator.
    pub drawing: String,
    /// What runs, in order.
    pub operators: Vec<Operator>,
    /// What lies in the arena, and while which operators.
    pub blocks: Vec<MapBlock>,
}

/// Generated code for firmware in C.
#[derive(Clone, Debug)]
pub struct CCode {
    /// The module that the functions call, and its constants.
    pub code: Code,
    /// What C includes.
    pub header: String,
    /// A Rust module beside the other one, with the functions that the header declares.
    pub functions: String,
}

/// An operator of generated code.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Its place in the file.
    pub index: usize,
    /// The format's name of it.
    pub name: String,
    /// The library's type or function; empty if nothing runs.
    pub kernel: String,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of the arena that are in use while it runs.
    pub live_bytes: usize,
}

/// Memory of one or several tensors, or of an operator's scratch.
#[derive(Clone, Debug)]
pub struct MapBlock {
    /// What lies there.
    pub label: String,
    /// First byte.
    pub offset: usize,
    /// How many.
    pub bytes: usize,
    /// The first and the last operator that it lives for, by their places in [`Code::operators`].
    pub operators: (usize, usize),
}

impl Model {
    /// Reads and checks a `.tflite` file. The code is named after it.
    ///
    /// # Errors
    /// If the file cannot be read, or is no model.
    pub fn tflite(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let read = || -> Result<Self> {
            let file = fs::read(path)?;
            Self::from_tflite(&name, &file)
        };
        let mut model = read().with_context(|| path.display().to_string())?;
        model.file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if env::var_os("OUT_DIR").is_some() && env::var_os("CARGO_MANIFEST_DIR").is_some() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
        Ok(model)
    }

    /// The same of a file's bytes.
    ///
    /// # Errors
    /// If they are no model.
    pub fn from_tflite(name: &str, file: &[u8]) -> Result<Self> {
        let graph = tflite::read(name, file)?;
        let sha256 = Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect();
        let file = format!("{name}.tflite");
        Ok(Self { graph, file, sha256, stem: name.to_owned(), layout: None, max_arena: None })
    }

    /// Names the generated files, and the type after them.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.stem);
        self
    }

    /// Fails if the arena needs more bytes.
    #[must_use]
    pub const fn max_arena(mut self, bytes: usize) -> Self {
        self.max_arena = Some(bytes);
        self
    }

    /// Packs weights for this layout, and not for that of the library which the build script's crate is built with.
    #[must_use]
    pub const fn layout(mut self, layout: Layout) -> Self {
        self.layout = Some(layout);
        self
    }

    /// What is compiled.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Writes `<name>.rs` and `<name>.bin` to `OUT_DIR`, for the backend that `scrimp` has in this build.
    ///
    /// # Errors
    /// If an operator is not supported, the arena is larger than allowed, or this is no build script of a crate that
    /// depends on `scrimp`.
    pub fn compile(self) -> Result<(), Error> {
        let folder = env::var_os("OUT_DIR").context("OUT_DIR is not set: `compile` is for build scripts");
        let folder = PathBuf::from(folder?);
        let layout = match self.layout {
            Some(layout) => layout,
            None => dep_layout()?,
        };
        let stem = self.stem.clone();
        Ok(self.layout(layout).code()?.write(&folder, &stem)?)
    }

    /// Generates the code, for the host's layout if none was named.
    ///
    /// # Errors
    /// If an operator is not supported, or the arena is larger than allowed.
    pub fn code(&self) -> Result<Code> {
        let layout = self.layout.unwrap_or(Layout::BEST);
        let graph = &rewrite(&self.graph)?;
        let work = lower(graph, layout)?;
        let plan = plan(graph, &work)?;
        if let Some(max) = self.max_arena {
            check_arena(graph, &work, &plan, max)?;
        }
        let Self { file, sha256, stem, .. } = self.clone();
        let module = emit::write(&Head { file, sha256, stem, layout }, graph, &work, &plan)?;
        Ok(Code {
            rust: module.rust,
            data: module.data,
            type_name: module.name,
            has_state: module.has_state,
            arena_bytes: plan.arena,
            lower_bound: plan.lower_bound,
            macs: work.iter().map(|w| if let Work::Step(step) = w { step.operator.macs() } else { 0 }).sum(),
            drawing: plan.drawing(graph, &work),
            operators: operators(graph, &work, &plan),
            blocks: blocks(graph, &work, &plan),
        })
    }
}

impl Model {
    /// Generates the code, a header and C functions for a crate that depends on `scrimp-capi`.
    ///
    /// # Errors
    /// As [`Model::code`]; also if the model's name is no name in C.
    pub fn c_code(&self) -> Result<CCode> {
        let Self { graph, stem, file, sha256, .. } = self;
        let is_name = stem.starts_with(|c: char| c.is_ascii_lowercase())
            && stem.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        ensure!(is_name, "{stem} is no name for functions of C: lower case letters, digits and _");
        let code = self.code()?;
        let model = emit::CModel {
            stem,
            file,
            sha256,
            type_name: &code.type_name,
            arena: code.arena_bytes,
            has_state: code.has_state,
            graph,
        };
        let (header, functions) = (model.header(), model.functions());
        Ok(CCode { code, header, functions })
    }
}

fn operators(graph: &Graph, work: &[Work], plan: &Plan) -> Vec<Operator> {
    let live = |i: usize| plan.blocks.iter().filter(move |placed| placed.block.start <= i + 1 && i < placed.block.end);
    let operator = |(i, work): (usize, &Work)| {
        let (node, kernel, macs) = match work {
            Work::Step(step) => (step.node, step.operator.kernel(), step.operator.macs()),
            Work::Alias { node, .. } => (*node, if plan.steps[i].is_copy() { "copy" } else { "" }, 0),
        };
        let node = &graph.nodes[node];
        let live_bytes = live(i).map(|placed| placed.block.size).sum();
        Operator { index: node.index, name: node.op.name().to_owned(), kernel: kernel.to_owned(), macs, live_bytes }
    };
    work.iter().enumerate().map(operator).collect()
}

fn blocks(graph: &Graph, work: &[Work], plan: &Plan) -> Vec<MapBlock> {
    let last = work.len().saturating_sub(1);
    let block = |placed: &crate::plan::Placed| MapBlock {
        label: match placed.tensors.as_slice() {
            [] => "scratch".to_owned(),
            tensors => {
                let names: Vec<String> = tensors.iter().map(|id| graph.tensors[id.0].to_string()).collect();
                names.join(", ")
            }
        },
        offset: placed.offset,
        bytes: placed.block.size,
        operators: (placed.block.start.saturating_sub(1), placed.block.end.saturating_sub(1).min(last)),
    };
    plan.blocks.iter().filter(|placed| placed.block.size > 0).map(block).collect()
}

fn check_arena(graph: &Graph, work: &[Work], plan: &Plan, max: usize) -> Result<()> {
    if plan.arena <= max {
        return Ok(());
    }
    let node = match work.get(plan.peak) {
        Some(Work::Step(step)) => step.node,
        Some(&Work::Alias { node, .. }) => node,
        None => bail!("the arena needs {} bytes, at most {max} allowed", plan.arena),
    };
    let node = &graph.nodes[node];
    let tensors = node.inputs.iter().flatten().chain(&node.outputs).map(|id| &graph.tensors[id.0]);
    let largest = tensors.filter(|t| !t.is_constant()).max_by_key(|t| t.bytes());
    let largest = largest.map_or_else(String::new, |t| format!("; its largest tensor is {t}, {} bytes", t.bytes()));
    bail!(
        "the arena needs {} bytes, at most {max} allowed (max_arena): {node} needs the most{largest}. \
             A smaller input or fewer channels there would help",
        plan.arena
    )
}

impl Code {
    /// Writes `<name>.rs` and `<name>.bin` into a folder, both or none; a file that already has these bytes is left alone.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<()> {
        for (extension, bytes) in [("bin", self.data.as_slice()), ("rs", self.rust.as_bytes())] {
            let path = folder.join(format!("{name}.{extension}"));
            if fs::read(&path).is_ok_and(|there| there == bytes) {
                continue;
            }
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// The layout that the library's build script has published.
fn dep_layout() -> Result<Layout> {
    let name = env::var("DEP_SCRIMP_LAYOUT").map_err(|_| {
        anyhow!("DEP_SCRIMP_LAYOUT is not set: the crate of this build script must depend on `scrimp` ([dependencies])")
    })?;
    layout_named(&name)
        .with_context(|| format!("scrimp was built for a layout that this scrimp-build does not know: {name}"))
}

fn layout_named(name: &str) -> Option<Layout> {
    [Layout::Rows, Layout::Dsp, Layout::Helium, Layout::Wide].into_iter().find(|layout| format!("{layout:?}") == name)
}

/// The layout that the library reads fastest on a target: a backend (`dsp`, `helium`, ...), a CPU (`cortex-m55`), or a target
/// triple.
///
/// # Errors
/// If it is none that we know.
pub fn layout_of(target: &str) -> Result<Layout> {
    Ok(match target {
        "dsp" | "cortex-m4" | "cortex-m7" | "cortex-m33" | "cortex-m35p" => Layout::Dsp,
        "helium" | "cortex-m52" | "cortex-m55" | "cortex-m85" => Layout::Helium,
        "avx2" | "avx512" | "host" if cfg!(target_arch = "x86_64") => Layout::Wide,
        "scalar" | "neon" | "cortex-m0" | "cortex-m0plus" | "cortex-m3" | "cortex-m23" | "cortex-a53" | "host" => {
            Layout::Rows
        }
        _ if target.starts_with("thumbv7em") => Layout::Dsp,
        _ if target.starts_with("x86_64") || target.starts_with("avx") => Layout::Wide,
        _ => {
            let known = ["thumb", "arm", "aarch64", "riscv"].iter().any(|family| target.starts_with(family));
            ensure!(
                known,
                "target {target} is unknown: name a backend (scalar, dsp, helium, neon, avx2, avx512), a CPU or a target triple"
            );
            Layout::Rows
        }
    })
}
