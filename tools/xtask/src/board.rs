//! The boards: what their `config.toml` says, how a program is built for one and run on its emulator.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use toml::{Table, Value};
use wait_timeout::ChildExt;

use crate::newer::Qemu;
use crate::process::{self, Finished, LONG};
use crate::setup::Toolchain;
use crate::workspace;

/// What boards build is below this; `SCRIMP_BOARDS_DIR` names another place, for two runs side by side.
fn boards_dir() -> String {
    std::env::var("SCRIMP_BOARDS_DIR").unwrap_or_else(|_| "target/boards".into())
}

/// A run on an emulator that takes longer than this hangs. The longest take a minute where nothing else runs, so that a machine
/// twenty times as slow still passes; builds and host tests have no limit.
pub(crate) const HANG: Duration = Duration::from_secs(20 * 60);

/// One emulated board.
#[derive(Clone)]
pub(crate) struct Board {
    /// The folder of boards/.
    pub(crate) name: String,
    /// The first line of its configuration.
    pub(crate) about: String,
    /// The target triple.
    pub(crate) target: String,
    /// The backend that it is for.
    pub(crate) backend: String,
    /// What `SCRIMP_SUITE` is set to, build by build, so that the conformance suite fits the flash; empty if all of it does.
    suite_parts: Vec<String>,
    /// The emulator and its arguments, all but the program.
    runner: Vec<String>,
    /// How programs for it are built.
    profile: &'static str,
}

/// What boards run, and what is counted and weighed.
const FIRMWARE: &str = "firmware";
/// The same code, linked without optimisation across crates: for many programs whose results alone count.
const RESULTS: &str = "results";

impl Board {
    /// Every folder of boards/ with a configuration.
    pub(crate) fn all() -> Result<Vec<Self>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(workspace::path("boards"))? {
            let entry = entry?;
            if entry.path().join("config.toml").exists() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort_unstable();
        names.iter().map(|name| Self::read(name)).collect()
    }

    /// The boards of these names; all if there are none.
    pub(crate) fn some(names: &[String]) -> Result<Vec<Self>> {
        if names.is_empty() { Self::all() } else { names.iter().map(|name| Self::find(name)).collect() }
    }

    /// The board of this name.
    pub(crate) fn find(name: &str) -> Result<Self> {
        let all = Self::all()?;
        let names: Vec<_> = all.iter().map(|board| board.name.clone()).collect();
        let found = all.into_iter().find(|board| board.name == name);
        found.with_context(|| format!("no board is named {name}; there are {}", names.join(", ")))
    }

    fn read(name: &str) -> Result<Self> {
        let path = format!("boards/{name}/config.toml");
        let text = fs::read_to_string(workspace::path(&path))?;
        let table: Table = text.parse().with_context(|| path.clone())?;
        let target = text_at(&table, &["build", "target"]).with_context(|| path.clone())?.to_owned();
        // Cargo looks a target up by its dotted name, so `thumbv8m.main-none-eabihf` is two tables and takes no quotes.
        let keys: Vec<&str> = ["target"].into_iter().chain(target.split('.')).chain(["runner"]).collect();
        let runner = text_at(&table, &keys).with_context(|| path.clone())?;
        let runner = runner.split_whitespace().map(str::to_owned).collect();
        let backend = text_at(&table, &["env", "SCRIMP_BACKEND"]).with_context(|| path.clone())?.to_owned();
        let parts = table["env"].get("SCRIMP_SUITE_PARTS").and_then(Value::as_str).unwrap_or_default();
        let suite_parts = parts.split_whitespace().map(str::to_owned).collect();
        let about = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        let about = about.split(": `cargo").next().unwrap_or_default().to_owned();
        Ok(Self { name: name.to_owned(), about, target, backend, suite_parts, runner, profile: FIRMWARE })
    }

    /// The examples that run on this board: all, but for those that `[package.metadata.boards]` keeps to others.
    pub(crate) fn examples(&self) -> Result<Vec<String>> {
        let manifest: Table = fs::read_to_string(workspace::path("Cargo.toml"))?.parse()?;
        let limits = manifest["package"].get("metadata").and_then(|metadata| metadata.get("boards"));
        let mut examples = Vec::new();
        for entry in fs::read_dir(workspace::path("examples"))? {
            let path = entry?.path();
            let (Some("rs"), Some(name)) = (extension(&path), path.file_stem()) else { continue };
            let name = name.to_string_lossy().into_owned();
            let boards = limits.and_then(|limits| limits.get(&name)).and_then(Value::as_array);
            if boards.is_none_or(|boards| boards.iter().any(|board| board.as_str() == Some(&self.name))) {
                examples.push(name);
            }
        }
        examples.sort_unstable();
        Ok(examples)
    }

    /// Where cargo builds for this board: boards of one target share a `core`, those of different ones can build side by side.
    fn target_dir(&self) -> Result<String> {
        let below = if self.toolchain()? == Toolchain::Debian { "debian/" } else { "" };
        Ok(format!("{}/{below}{}", boards_dir(), self.target))
    }

    /// Who builds for this board.
    pub(crate) fn toolchain(&self) -> Result<Toolchain> {
        Toolchain::for_target(&self.target)
    }

    /// Cargo, told to build for this board; package and program are the caller's to add.
    pub(crate) fn cargo(&self, subcommand: &str) -> Result<Command> {
        let config = format!("boards/{}/config.toml", self.name);
        let mut cargo = workspace::cargo([subcommand, "--profile", self.profile, "--target-dir", &self.target_dir()?]);
        cargo.args(["--config", &config]);
        self.toolchain()?.apply(&mut cargo, &self.target);
        Ok(cargo)
    }

    /// Builds every example that runs here, side by side; the conformance suite not if it comes in parts.
    pub(crate) fn build_examples(&self) -> Result<()> {
        let mut cargo = self.cargo("build")?;
        cargo.args(["-p", "scrimp"]);
        for example in self.examples()?.iter().filter(|example| self.parts(example).is_empty()) {
            cargo.args(["--example", example]);
        }
        process::run(&format!("build the examples for {}", self.name), &mut cargo, LONG)?.check().map(drop)
    }

    /// Builds an example of the library; gives the program's path.
    pub(crate) fn build_example(&self, example: &str) -> Result<PathBuf> {
        self.build_part(example, "")
    }

    /// As [`Board::build_example`], but the conformance suite in as many programs as the board's flash wants.
    pub(crate) fn build_parts(&self, example: &str) -> Result<Vec<PathBuf>> {
        match self.parts(example) {
            [] => Ok(vec![self.build_example(example)?]),
            parts => parts.iter().map(|part| self.build_part(example, part)).collect(),
        }
    }

    fn build_part(&self, example: &str, part: &str) -> Result<PathBuf> {
        if is_package(example) {
            return self.build_package(example);
        }
        let there = self.examples()?;
        ensure!(
            there.iter().any(|name| name == example),
            "no example {example} for {}; there are {}",
            self.name,
            there.join(", ")
        );
        self.build_any(example, part)
    }

    /// Builds an example that is a package of its own, with a build script.
    pub(crate) fn build_package(&self, example: &str) -> Result<PathBuf> {
        let mut cargo = self.cargo("build")?;
        cargo.args(["-p", example]);
        process::run(&format!("build {example} for {}", self.name), &mut cargo, LONG)?.check()?;
        self.keep(example, "")
    }

    /// Also builds an example that is not on this board's list.
    pub(crate) fn build_any(&self, example: &str, part: &str) -> Result<PathBuf> {
        let mut cargo = self.cargo("build")?;
        cargo.args(["-p", "scrimp", "--example", example]);
        let mut what = format!("build {example} for {}", self.name);
        if !part.is_empty() {
            cargo.env("SCRIMP_SUITE", part);
            what += &format!(": {part}");
        }
        process::run(&what, &mut cargo, LONG)?.check()?;
        self.keep(&format!("examples/{example}"), part)
    }

    fn parts(&self, example: &str) -> &[String] {
        if example == "conformance" { &self.suite_parts } else { &[] }
    }

    /// Copies what cargo built for the target to a place of this board, because boards share targets; `part` is added to the
    /// name.
    pub(crate) fn keep(&self, built: &str, part: &str) -> Result<PathBuf> {
        let built = workspace::path(self.target_dir()?).join(&self.target).join(self.profile).join(built);
        let folder = workspace::path(boards_dir()).join("run").join(&self.name);
        fs::create_dir_all(&folder)?;
        let name = built.file_name().unwrap_or_default().to_string_lossy();
        let kept = folder.join(if part.is_empty() { name.into_owned() } else { format!("{name}-{part}") });
        fs::copy(&built, &kept).with_context(|| format!("{}", built.display()))?;
        Ok(kept)
    }

    /// The same board with programs that build fast; their counts and sizes say nothing.
    pub(crate) fn for_results(&self) -> Self {
        Self { profile: RESULTS, ..self.clone() }
    }

    /// The same board on another emulator.
    pub(crate) fn under(&self, qemu: &Qemu) -> Result<Self> {
        Ok(Self { runner: qemu.start(&self.runner)?, ..self.clone() })
    }

    /// Runs a program on the emulator; catches its output and ends it after `limit`.
    pub(crate) fn run(&self, program: &Path, args: &[impl AsRef<str>], limit: Duration) -> Result<Finished> {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        process::run(&format!("run {name} on {}", self.name), &mut self.emulator(program, args)?, limit)
    }

    /// As [`Board::run`], but the output goes where this program's goes.
    pub(crate) fn run_attached(&self, program: &Path, args: &[impl AsRef<str>], limit: Duration) -> Result<()> {
        let mut child = self.emulator(program, args)?.stdin(Stdio::null()).spawn()?;
        let Some(status) = child.wait_timeout(limit)? else {
            child.kill()?;
            child.wait()?;
            bail!("no end after {} s", limit.as_secs());
        };
        ensure!(status.success(), "{status}");
        Ok(())
    }

    fn emulator(&self, program: &Path, args: &[impl AsRef<str>]) -> Result<Command> {
        let (emulator, options) = self.runner.split_first().context("the runner is empty")?;
        let mut command = Command::new(emulator);
        command.current_dir(workspace::root()).args(options).arg(program);
        let args: Vec<_> = args.iter().map(AsRef::as_ref).collect();
        for arg in &args {
            ensure!(!arg.contains([' ', '\t']), "a board's arguments cannot contain blanks: {arg}");
        }
        if !args.is_empty() {
            command.args(["-append", &args.join(" ")]);
        }
        Ok(command)
    }
}

fn is_package(example: &str) -> bool {
    workspace::path(format!("examples/{example}/Cargo.toml")).exists()
}

fn extension(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

fn text_at<'a>(table: &'a Table, keys: &[&str]) -> Result<&'a str> {
    let (first, rest) = keys.split_first().context("no key")?;
    let value = rest.iter().try_fold(table.get(*first), |value, key| value.map(|value| value.get(*key)));
    value.flatten().and_then(Value::as_str).with_context(|| format!("{} is missing", keys.join(".")))
}
