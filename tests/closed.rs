//! The vector layer is private: its assembly trusts what safe code of this crate tells it, so nothing of it can be named,
//! called, built or replaced from outside.
//!
//! Each file of `tests/ui` is a user's program and begins with the errors that the compiler must find in it, as a code and some
//! words; `open.rs` has none and must compile, so that the others do not fail for a wrong reason.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn nothing_but_the_public_names_compiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let user = Path::new(env!("CARGO_TARGET_TMPDIR")).join("user");
    let programs = user.join("src/bin");
    fs::create_dir_all(&programs).unwrap();
    let manifest = format!(
        "[package]\nname = \"user\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nscrimp = {{ path = {:?} }}\n",
        root.to_str().unwrap()
    );
    fs::write(user.join("Cargo.toml"), manifest).unwrap();
    // The versions that are here already: nothing is fetched.
    fs::copy(root.join("Cargo.lock"), user.join("Cargo.lock")).unwrap();
    let files: Vec<_> = fs::read_dir(root.join("tests/ui")).unwrap().map(|file| file.unwrap().path()).collect();
    for file in &files {
        fs::copy(file, programs.join(file.file_name().unwrap())).unwrap();
    }

    let output = Command::new(env!("CARGO"))
        .args(["check", "--bins", "--keep-going", "--offline", "--message-format=json"])
        .env("CARGO_TARGET_DIR", user.join("target"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(&user)
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let messages: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reported = String::from_utf8_lossy(&output.stderr);
    assert!(files.len() > 5 && messages.len() > files.len(), "cargo did not get far: {reported}");

    for file in &files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(file).unwrap();
        let wanted: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("// error")).collect();
        let of_this = |message: &&Value| message["target"]["name"] == name && message["message"]["level"] == "error";
        let found: Vec<_> = messages
            .iter()
            .filter(of_this)
            .map(|message| &message["message"])
            .filter(|error| !error["code"].is_null())
            .map(|error| {
                format!("[{}]: {}", error["code"]["code"].as_str().unwrap(), error["rendered"].as_str().unwrap())
            })
            .collect();
        let wanted: Vec<_> = wanted.iter().map(|wanted| wanted.split_once(": ").unwrap()).collect();
        for (code, words) in &wanted {
            let is_it = |error: &String| error.starts_with(code) && error.contains(words);
            assert!(found.iter().any(is_it), "{name} should give error{code}: {words}; it gives {found:?}");
        }
        for error in &found {
            assert!(
                wanted.iter().any(|(code, _)| error.starts_with(code)),
                "{name} does not stand on its ground: {error}"
            );
        }
    }
    let built = messages.iter().filter(|message| message["reason"] == "compiler-artifact");
    assert!(built.clone().any(|artifact| artifact["target"]["name"] == "open"), "open.rs must compile: {reported}");
}
