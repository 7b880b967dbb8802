//! Runs a program with its output caught, a time limit, and a sign of life for whoever waits.

use core::time::Duration;
use std::ffi::OsStr;
use std::io::{IsTerminal, Read, stderr};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use wait_timeout::ChildExt;

/// What a program did.
pub(crate) struct Finished {
    /// Its exit status; `None` if it ran out of time.
    status: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// How long it took.
    pub(crate) time: Duration,
    command: String,
}

impl Finished {
    /// Whether it ended by itself with exit code 0.
    pub(crate) fn success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Fails, with the end of the output as text, unless it was a success.
    pub(crate) fn check(self) -> Result<Self> {
        if self.success() {
            return Ok(self);
        }
        let why = match self.status {
            Some(status) => format!("{status}"),
            None => format!("no end after {} s", self.time.as_secs()),
        };
        bail!("{}{}{why}: {}", tail(&self.stdout), tail(&self.stderr), self.command);
    }
}

/// Builds and host tests end by themselves, and how long that takes depends on the machine: no limit.
pub(crate) const LONG: Option<Duration> = None;

/// Runs `command` and catches its output; `what` is shown meanwhile. After `limit` it is ended: for emulators, whose program
/// may hang.
pub(crate) fn run(what: &str, command: &mut Command, limit: impl Into<Option<Duration>>) -> Result<Finished> {
    let _progress = Progress::start(what);
    let text = describe(command);
    let start = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {text}"))?;
    let (stdout, out) = collect(child.stdout.take());
    let (stderr, err) = collect(child.stderr.take());
    let status = match limit.into() {
        Some(limit) => child.wait_timeout(limit)?,
        None => Some(child.wait()?),
    };
    if status.is_none() {
        child.kill()?;
        child.wait()?;
    } else {
        // After a kill, a grandchild may hold the pipe: then take what is there.
        out.join().ok();
        err.join().ok();
    }
    Ok(Finished { status, stdout: taken(&stdout), stderr: taken(&stderr), time: start.elapsed(), command: text })
}

/// The command as one would type it, with the environment that was set for it.
pub(crate) fn describe(command: &Command) -> String {
    let quote = |text: &OsStr| {
        let text = text.to_string_lossy();
        let plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_=./:,+@".contains(c));
        if plain { text.into_owned() } else { format!("'{text}'") }
    };
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={}", name.to_string_lossy(), quote(value)));
        }
    }
    words.push(quote(command.get_program()));
    words.extend(command.get_args().map(quote));
    words.join(" ")
}

type Bytes = Arc<Mutex<Vec<u8>>>;

fn collect(pipe: Option<impl Read + Send + 'static>) -> (Bytes, JoinHandle<()>) {
    let bytes = Bytes::default();
    let sink = Arc::clone(&bytes);
    let thread = thread::spawn(move || {
        let mut buffer = [0; 4096];
        let Some(mut pipe) = pipe else { return };
        while let Ok(n @ 1..) = pipe.read(&mut buffer) {
            if let Ok(mut sink) = sink.lock() {
                sink.extend_from_slice(&buffer[..n]);
            }
        }
    });
    (bytes, thread)
}

fn taken(bytes: &Bytes) -> String {
    bytes.lock().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The last lines of an output.
fn tail(text: &str) -> String {
    const LINES: usize = 60;
    let lines: Vec<_> = text.lines().collect();
    let skipped = lines.len().saturating_sub(LINES);
    lines[skipped..].iter().map(|line| format!("{line}\n")).collect()
}

/// A sign of life while something runs: a spinner on a terminal, one line elsewhere.
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Shows `what` until dropped.
    pub(crate) fn start(what: &str) -> Self {
        if !is_interactive() {
            eprintln!("... {what}");
            return Self(None);
        }
        let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}");
        let bar = ProgressBar::new_spinner().with_message(what.to_owned());
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(Some(bar))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Whether somebody looks at a terminal.
pub(crate) fn is_interactive() -> bool {
    stderr().is_terminal() && !in_ci()
}

/// Whether this is a run whose verdict counts, where what cannot be compared is a failure.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !["", "0", "false"].contains(&value.as_str()))
}
