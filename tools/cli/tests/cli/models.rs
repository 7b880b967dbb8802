//! `scrimp inspect`.

use std::process::{Command, Stdio};

use scrimp_cli::description::Description;

use crate::{Folder, model};

#[test]
fn inspect_shows_sizes_and_tensors() {
    let folder = Folder::new();
    for name in ["paper", "cells", "odd", "mini", "mini_predictors"] {
        let blob = model(name, |_| ());
        folder.put("m.scrimp", &blob);
        let short = folder.run(&["inspect", "m.scrimp"]);
        assert_eq!((short.code, short.stderr.as_str()), (Some(0), ""), "{name}");
        assert!(short.stdout.starts_with(&format!("{} bytes, ", blob.len())), "{name}: {}", short.stdout);
        assert!(short.stdout.contains(" 128 x 128 ") && short.stdout.contains("RAM"), "{name}: {}", short.stdout);
        // The middle is a description as `convert` takes it.
        let start = short.stdout.find("kind = ").expect("a description");
        let end = short.stdout.find("\nimage").expect("a table");
        let config = Description::parse(&short.stdout[start..end]).and_then(|d| d.config()).expect("a description");

        let long = folder.run(&["inspect", "m.scrimp", "--tensors"]).stdout;
        assert!(long.starts_with(&short.stdout), "{name}");
        for spec in config.tensors() {
            let shape = format!("F32 {:?}", spec.shape());
            let line = |line: &str| line.starts_with(&format!("{spec} ")) && line.ends_with(&shape);
            assert!(long.lines().any(line), "{name}: {spec} {shape}");
        }
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let folder = Folder::new();
    folder.put("m.scrimp", model("mini", |_| ()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_scrimp"));
    command.args(["inspect", "m.scrimp", "--tensors"]).current_dir(folder.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("an end");
    assert!(output.status.success() && output.stderr.is_empty());
}
