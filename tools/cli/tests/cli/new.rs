//! `scrimp new`: what it writes and what it refuses. Whether projects build and run is a step of `cargo xtask test`.

use std::path::Path;

use scrimp_cli::chip::BOARDS;

use crate::Folder;

const MODEL: &[u8] = include_bytes!("../../../../tests/vectors/tflite/perceptron.tflite");

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn a_project_has_what_cargo_and_the_linker_need() {
    let folder = Folder::new();
    folder.put("My-Net 2.tflite", MODEL);
    let run = folder.run(&["new", "blinky", "--board", "generic-cortex-m55", "--model", "My-Net 2.tflite"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stderr);
    let text = |name: &str| String::from_utf8(folder.get(&format!("blinky/{name}"))).expect("text");
    assert_eq!(folder.get("blinky/models/my_net_2.tflite"), MODEL);
    let manifest: toml::Table = text("Cargo.toml").parse().expect("TOML");
    let path = manifest["dependencies"]["scrimp"]["path"].as_str().expect("a path");
    assert_eq!(Path::new(path), root().canonicalize().expect("the checkout"));
    let config: toml::Table = text(".cargo/config.toml").parse().expect("TOML");
    assert_eq!(config["build"]["target"].as_str(), Some("thumbv8m.main-none-eabihf"));
    assert!(text(".cargo/config.toml").contains("+mve.fp"), "no Helium");
    assert!(text("memory.x").starts_with("/* Those of QEMU's mps3-an547"), "{}", text("memory.x"));
    assert!(text("src/main.rs").contains("my_net_2::MyNet2::take()"), "{}", text("src/main.rs"));
    for (name, _) in [("src/main.rs", 0), ("src/lib.rs", 0), ("build.rs", 0), ("README.md", 0), ("Cargo.toml", 0)] {
        assert!(!text(name).contains("{{"), "a name is left in {name}");
    }
    // Ten lines of Rust more would not be forty.
    assert!(text("src/main.rs").lines().count() <= 40);
}

#[test]
fn an_input_of_the_user_is_the_sample() {
    let folder = Folder::new();
    folder.put("net.tflite", MODEL);
    folder.put("x.bin", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255]);
    let args = ["new", "p", "--board", "microbit", "--model", "net.tflite", "--input", "x.bin", "--scrimp", "0.1"];
    assert_eq!(folder.run(&args).code, Some(0));
    let sample = String::from_utf8(folder.get("p/src/sample.rs")).expect("text");
    assert!(sample.contains("INPUT: [i8; 12] = [\n    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -1,\n];"), "{sample}");
    let manifest = String::from_utf8(folder.get("p/Cargo.toml")).expect("text");
    assert!(manifest.contains("\nscrimp = \"0.1\"\n") && manifest.contains("\nscrimp-build = \"0.1\"\n"), "{manifest}");
}

#[test]
fn refusals_leave_nothing() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("there")).expect("a folder");
    folder.put("there/file", "mine");
    folder.put("net.tflite", &MODEL[..100]);
    for (args, why) in [
        (&["new", "there", "--board", "microbit"][..], "is there already"),
        (&["new", "2fast", "--board", "microbit"], "begins with a letter"),
        (&["new", "match", "--board", "microbit"], "a word of Rust"),
        (&["new", "scrimp", "--board", "microbit"], "the name of a crate"),
        (&["new", "p", "--board", "pdp-11"], "generic-cortex-m4f"),
        (&["new", "p", "--board", "microbit", "--scrimp", "there"], "no checkout of scrimp"),
        (&["new", "p", "--board", "microbit", "--model", "net.tflite"], "net.tflite"),
        (&["new", "p", "--board", "microbit", "--input", "there/file"], "--model"),
    ] {
        let run = folder.run(args);
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(why), "{args:?}: {}", run.stderr);
        assert!(!folder.path().join("p").exists(), "{args:?}");
    }
    assert_eq!(folder.get("there/file"), b"mine");
}

/// The table of the tool says the same as `boards/`.
#[test]
fn boards_are_those_of_the_repository() {
    let mut seen = 0;
    for board in BOARDS.iter().filter(|board| !board.is_generic()) {
        let folder = root().join("boards").join(board.name);
        let config = std::fs::read_to_string(folder.join("config.toml")).expect(board.name);
        for text in [
            format!("target = \"{}\"", board.chip.target),
            format!("-M {} ", board.machine),
            format!("SCRIMP_BACKEND = \"{}\"", board.chip.backend),
        ] {
            assert!(config.contains(&text), "{}: {text}", board.name);
        }
        let flags: String = board.chip.rustflags.iter().map(|flag| format!("\"{flag}\", ")).collect();
        assert!(config.contains(&format!("rustflags = [{flags}\"-Clink-arg")), "{}: {flags}", board.name);
        // Where memory begins; the stack is the front part of the RAM.
        let memory = std::fs::read_to_string(folder.join("memory.x")).expect(board.name);
        let begins = |text: &str, name: &str| -> String {
            let rest = text.split(&format!("  {name}")).nth(1).expect(name);
            rest.split("ORIGIN = ").nth(1).expect(name).split(',').next().expect(name).to_owned()
        };
        assert_eq!(begins(board.memory, "FLASH"), begins(&memory, "FLASH"), "{}", board.name);
        assert_eq!(begins(board.memory, "STACK"), begins(&memory, "RAM"), "{}", board.name);
        seen += 1;
    }
    assert_eq!(seen, 6);
}

/// Every file that docs/first-firmware.md shows is the file: of a project, or of the repository.
#[test]
fn the_page_shows_what_is_written() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["new", "firmware", "--board", "mps2-an386"]).code, Some(0));
    let page = std::fs::read_to_string(root().join("docs/first-firmware.md")).expect("the page");
    let checkout = root().canonicalize().expect("the checkout");
    let mut shown = 0;
    for part in page.split("<!-- file: ").skip(1) {
        let (name, rest) = part.split_once(" -->\n```").expect("a block after the name");
        let block = rest.split_once('\n').expect("a language").1.split("```").next().expect("a block");
        let text = match std::fs::read_to_string(folder.path().join("firmware").join(name)) {
            Ok(text) => text.replace(checkout.to_str().expect("UTF-8"), "../scrimp"),
            Err(_) => std::fs::read_to_string(root().join(name)).expect(name),
        };
        assert_eq!(block, text, "{name} is another one on docs/first-firmware.md");
        shown += 1;
    }
    assert_eq!(shown, 7);
}
