//! The table on the screen and the records in a file.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::contenders::{Contender, RIVAL};

/// Says what is measured.
pub fn header(backend: &str, contenders: &[Contender]) {
    println!("{} contenders, scrimp's backend {backend}, {}", contenders.len(), cpu());
    println!("ns an element, CPU time, one thread; in brackets ours / {RIVAL}\n");
}

/// Figures of all row lengths.
pub struct Table<'a> {
    backend: &'a str,
    names: Vec<(&'static str, Option<&'static str>)>,
    rows: Vec<(usize, Vec<f64>)>,
}

impl<'a> Table<'a> {
    pub fn new(backend: &'a str, contenders: &[Contender]) -> Self {
        let names: Vec<_> = contenders.iter().map(|c| (c.name, c.peer)).collect();
        print!("{:>6}", "n");
        for (name, peer) in &names {
            let name = peer.map_or_else(|| (*name).to_owned(), |peer| short(name, peer));
            print!("  {name:>20}");
        }
        println!();
        Self { backend, names, rows: Vec::new() }
    }

    pub fn add(&mut self, n: usize, ns: &[f64]) {
        print!("{:>6}", length(n));
        for (i, (_, peer)) in self.names.iter().enumerate() {
            let ratio = match (peer, self.rival(i)) {
                (None, Some(rival)) => format!(" [{:.3}]", ns[i] / ns[rival]),
                _ => String::new(),
            };
            print!("  {:>20}", format!("{:.4}{ratio}", ns[i]));
        }
        println!();
        self.rows.push((n, ns.to_vec()));
    }

    /// The last lines, and the file.
    pub fn finish(&self, file: Option<&Path>) -> Result<()> {
        let place = |name| self.names.iter().position(|&(n, peer)| n == name && peer.is_none());
        if let (Some(two), Some(three)) = (place("two_pass_f32"), place("three_pass_f32")) {
            println!();
            for (n, ns) in self.rows.iter().filter(|(n, _)| *n >= 1 << 24) {
                println!("two passes are {:.2} times as fast as three at {}", ns[three] / ns[two], length(*n));
            }
        }
        let Some(file) = file else { return Ok(()) };
        let text = serde_json::to_string_pretty(&self.records())? + "\n";
        std::fs::write(file, text).with_context(|| file.display().to_string())
    }

    /// The rival's column for one of ours.
    fn rival(&self, ours: usize) -> Option<usize> {
        self.names.iter().position(|&(name, peer)| peer == Some(RIVAL) && kernel_of(self.names[ours].0) == name)
    }

    fn records(&self) -> Vec<Value> {
        let source = json!({
            "machine": cpu(),
            "rustc": output("rustc", &["--version"]),
            "rustflags": option_env!("RUSTFLAGS").unwrap_or(""),
            "command": std::env::args().skip(1).fold("scrimp-bench".to_owned(), |all, arg| all + " " + &arg),
        });
        let mut records = vec![source];
        for (n, ns) in &self.rows {
            for (i, (kernel, peer)) in self.names.iter().enumerate() {
                let mut record = json!({
                    "kernel": kernel, "board": "host", "backend": self.backend, "n": n, "unit": "ns/element",
                    "value": round(ns[i]),
                });
                if let Some(peer) = peer {
                    record["peer"] = json!(peer);
                    record["backend"] = json!("its own");
                    let ours = self.names.iter().position(|&(name, peer)| name == *kernel && peer.is_none());
                    if let Some(ours) = ours {
                        record["ratio"] = json!(round(ns[ours] / ns[i]));
                    }
                }
                records.push(record);
            }
        }
        records
    }
}

/// What a form is compared with.
fn kernel_of(name: &str) -> &str {
    if name.starts_with("log_") { "log_softmax_f32" } else { "softmax_f32" }
}

fn short(name: &str, peer: &str) -> String {
    let crate_name = peer.split(' ').next().unwrap_or(peer);
    if name.starts_with("log_") { format!("{crate_name} log") } else { crate_name.to_owned() }
}

fn length(n: usize) -> String {
    match n {
        n if n % (1 << 20) == 0 => format!("{}M", n >> 20),
        n if n % (1 << 10) == 0 => format!("{}k", n >> 10),
        n => n.to_string(),
    }
}

fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

pub fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split(':').nth(1)).map_or("?", str::trim).to_owned()
    };
    format!("{} family {} model {}", field("model name"), field("cpu family"), field("model\t"))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
