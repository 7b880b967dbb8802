//! The README's "Run your own model", as a newcomer does it: a crate outside this repository made of the snippets as they
//! stand there, run on the host and on a Cortex-M4F under QEMU.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::board::HANG;
use crate::process::{self, LONG};
use crate::setup::Toolchain;
use crate::{starter, workspace};

const TARGET: &str = "thumbv7em-none-eabihf";
/// What the model is given, and what comes out: `scrimp run tests/vectors/tflite/perceptron.tflite`.
const FEATURES: &str = "[-128, -90, -60, -30, -10, 0, 10, 20, 40, 60, 90, 127]";

/// The program round the README's lines, on the host.
const ON_THE_HOST: &str = "fn main() {
    let features = FEATURES;
    LINES
    println!(\"{scores:?}\");
}
";

/// The program round the README's lines, on a board.
const ON_A_BOARD: &str = "#![no_std]
#![no_main]
#![forbid(unsafe_code)]

#[cortex_m_rt::entry]
fn main() -> ! {
    let features = FEATURES;
    LINES
    semihosting::println!(\"{scores:?}\");
    semihosting::process::exit(0)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    semihosting::process::abort()
}
";

/// Builds and runs both crates; they print the same.
pub(crate) fn run() -> Result<()> {
    let readme = fs::read_to_string(workspace::path("README.md"))?;
    let section = readme.split("## Run your own model").nth(1).context("the README has no such section")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks: Vec<&str> = section.split("```").skip(1).step_by(2).collect();
    let block = |language: &str, at: usize| -> Result<&str> {
        let of: Vec<&str> = blocks.iter().filter_map(|block| block.strip_prefix(&format!("{language}\n"))).collect();
        of.get(at).copied().with_context(|| format!("the README's section has no {language} block {at}"))
    };
    let (dependencies, script) = (block("toml", 0)?, block("rust,ignore", 0)?);
    let (module, lines) = (block("rust,ignore", 1)?, block("rust,ignore", 2)?);
    for (what, text, most) in [("build.rs", script, 4), ("main.rs", module, 1), ("main.rs", lines, 2)] {
        ensure!(text.lines().count() <= most, "{what} of the README has more lines than it says");
    }
    let folder = std::env::temp_dir().join(format!("scrimp-newcomer-{}", std::process::id()));
    let result = (|| {
        let host = Crate { folder: folder.join("host"), dependencies, script, module, lines };
        let on_host = host.run_on_host()?;
        let on_board = Crate { folder: folder.join("board"), ..host }.run_on_board()?;
        ensure!(on_host == on_board, "the host says {on_host}, the board {on_board}");
        ensure!(on_host == expected()?, "both say {on_host}, the executor {}", expected()?);
        println!("        {}", on_host.trim_end());
        Ok(())
    })();
    let _ = fs::remove_dir_all(&folder);
    result
}

/// What the host executor gives.
fn expected() -> Result<String> {
    let model = scrimp_build::Model::tflite(workspace::path("tests/vectors/tflite/perceptron.tflite"))?;
    let mut executor = scrimp_build::Executor::new(model.graph())?;
    let features: Vec<i8> = serde_json::from_str(FEATURES)?;
    executor.set_input(0, &features.iter().map(|x| x.cast_unsigned()).collect::<Vec<_>>())?;
    executor.run()?;
    let scores = model.graph().outputs.first().map(|&id| executor.tensor(id)).context("an output")?;
    let scores: Vec<i8> = scores.iter().map(|score| score.cast_signed()).collect();
    Ok(format!("{scores:?}\n"))
}

struct Crate<'a> {
    folder: PathBuf,
    dependencies: &'a str,
    script: &'a str,
    module: &'a str,
    lines: &'a str,
}

impl Crate<'_> {
    /// Writes the crate; what the README does not say (its name, a board's runtime) is added.
    fn write(&self, program: &str, more: &str) -> Result<()> {
        let put = |name: &str, text: &str| -> Result<()> {
            let path = self.folder.join(name);
            fs::create_dir_all(path.parent().context("a folder")?)?;
            Ok(fs::write(path, text)?)
        };
        let package = "[package]\nname = \"newcomer\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n";
        put("Cargo.toml", &format!("{package}{}\n{more}\n[workspace]\n", self.dependencies))?;
        put("build.rs", self.script)?;
        let program = program.replace("FEATURES", FEATURES).replace("LINES", self.lines.trim_end());
        // Attributes of the crate stand first.
        let at = program.rfind("#![").map_or(0, |at| at + program[at..].find('\n').unwrap_or(0) + 1);
        put("src/main.rs", &format!("{}{}{}", &program[..at], self.module, &program[at..]))?;
        // The checkout beside the crate, and the versions of other crates that are here already.
        let root = workspace::root().canonicalize()?;
        let beside = self.folder.with_file_name("scrimp");
        if !beside.exists() {
            std::os::unix::fs::symlink(&root, beside)?;
        }
        put(".cargo/config.toml", &format!("[target.{TARGET}]\nrustflags = [\"-Clink-arg=-Tlink.x\"]\n"))?;
        fs::copy(root.join("Cargo.lock"), self.folder.join("Cargo.lock"))?;
        let models = self.folder.join("models");
        fs::create_dir_all(&models)?;
        fs::copy(root.join("tests/vectors/tflite/perceptron.tflite"), models.join("keyword.tflite"))?;
        fs::copy(root.join("boards/mps2-an386/memory.x"), self.folder.join("memory.x"))?;
        Ok(())
    }

    /// In the folder of the starter, which builds the same dependencies.
    fn cargo(&self, target: &str) -> Command {
        let mut cargo = workspace::cargo(["build"]);
        starter::quick(cargo.current_dir(&self.folder), target);
        cargo
    }

    fn run_on_host(&self) -> Result<String> {
        self.write(ON_THE_HOST, "")?;
        process::run("build a newcomer's crate", &mut self.cargo(""), LONG)?.check()?;
        let program = workspace::path("target/starter/debug/newcomer");
        Ok(process::run("run it", &mut Command::new(program), LONG)?.check()?.stdout)
    }

    fn run_on_board(&self) -> Result<String> {
        let more = "[dependencies.cortex-m-rt]\nversion = \"0.7\"\n[dependencies.semihosting]\nversion = \"0.1.25\"\n\
                    features = [\"stdio\"]\n";
        self.write(ON_A_BOARD, more)?;
        let mut cargo = self.cargo(TARGET);
        cargo.args(["--target", TARGET]);
        Toolchain::for_target(TARGET)?.apply(&mut cargo, TARGET);
        process::run("build a newcomer's firmware", &mut cargo, LONG)?.check()?;
        let program = workspace::path("target/starter").join(TARGET).join("debug/newcomer");
        let mut emulator = Command::new("qemu-system-arm");
        emulator.args(["-M", "mps2-an386", "-nographic", "-semihosting-config", "enable=on,target=native", "-kernel"]);
        Ok(process::run("run it", emulator.arg(Path::new(&program)), HANG)?.check()?.stdout)
    }
}
