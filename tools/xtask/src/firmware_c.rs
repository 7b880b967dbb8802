//! Firmware in C: what `scrimp compile --c` and tools/capi make, linked by `arm-none-eabi-gcc` and run under QEMU; and the
//! header of tools/capi, which is drawn from its sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use scrimp_cli::chip::Board as Listed;
use scrimp_cli::compile_c;

use crate::board::{Board, HANG};
use crate::process::{self, LONG};
use crate::setup::Toolchain;
use crate::{starter, workspace};

/// One of each kind: no divider and no FPU; DSP; Helium.
pub(crate) const BOARDS_OF_C: [&str; 3] = ["microbit", "mps2-an386", "mps3-an547"];
const GCC: &str = "arm-none-eabi-gcc";
const HEADER: &str = "tools/capi/include/scrimp.h";
/// What a program that calls `scrimp_softmax_s8` alone may weigh, with vectors and start-up.
const ONE_FUNCTION: u64 = 9 << 10;

/// Writes the header.
pub(crate) fn write_header() -> Result<()> {
    let path = workspace::path(HEADER);
    fs::create_dir_all(path.parent().context("a folder")?)?;
    Ok(fs::write(path, header()?)?)
}

/// Fails if the header is not what the sources say.
pub(crate) fn check_header() -> Result<()> {
    let there = fs::read_to_string(workspace::path(HEADER)).unwrap_or_default();
    ensure!(there == header()?, "{HEADER} is not what tools/capi/src says: run `cargo xtask header`");
    Ok(())
}

fn header() -> Result<String> {
    let folder = workspace::path("tools/capi");
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).map_err(|why| anyhow!(why))?;
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in ["status", "softmax", "layers", "pictures"] {
        builder = builder.with_src(folder.join(format!("src/{source}.rs")));
    }
    let mut text = Vec::new();
    builder.generate()?.write(&mut text);
    // For C, "Safety" is what every call is about, and an intra-doc heading is none.
    Ok(String::from_utf8(text)?.replace(" * # Safety\n", " * Pointers:\n"))
}

/// The model and the kernels on one board.
pub(crate) fn check(board: &Board) -> Result<()> {
    let listed = Listed::find(&board.name).context("no such board")?;
    let folder = std::env::temp_dir().join(format!("scrimp-c-{}-{}", board.name, std::process::id()));
    fs::create_dir_all(&folder)?;
    let result = model(board, listed, &folder).and_then(|()| kernels(board, listed, &folder));
    let _ = fs::remove_dir_all(&folder);
    result
}

/// As a user does it, but for the optimisation of the kernels.
fn model(board: &Board, listed: &Listed, folder: &Path) -> Result<()> {
    let made = folder.join("keyword");
    let file = workspace::path("examples/data/keyword.tflite");
    compile_c::run(&[file], &made, listed.chip.name, None, None)?;
    fs::copy(workspace::path("Cargo.lock"), made.join("Cargo.lock"))?;
    let mut cargo = workspace::cargo(["build"]);
    starter::quick(cargo.current_dir(&made), &board.target);
    Toolchain::for_target(&board.target)?.apply(&mut cargo, &board.target);
    process::run("build a model for C", &mut cargo, LONG)?.check()?;
    let archive = workspace::path("target/starter").join(&board.target).join("debug/libkeyword.a");
    let program = link(listed, folder, "keyword", &[&made.join("include")], &archive)?;
    let said = board.run(&program, &[""; 0], HANG)?.check()?.stdout;
    let expected = format!("output {:?}\nheard: beeps\n", starter::keyword(&beeps()?)?);
    ensure!(said == expected, "the executor says\n{expected}and {} in C\n{said}", board.name);
    println!("        {}: {}", board.name, expected.lines().next().unwrap_or_default());
    Ok(())
}

/// The archive of all kernels: what they give, that none can panic, and what one alone weighs.
fn kernels(board: &Board, listed: &Listed, folder: &Path) -> Result<()> {
    let mut cargo = board.cargo("rustc")?;
    cargo.args(["-p", "scrimp-capi", "--lib", "--crate-type", "staticlib"]);
    process::run(&format!("build libscrimp.a for {}", board.name), &mut cargo, LONG)?.check()?;
    let archive = board.keep("libscrimp_capi.a", "")?;
    let include = workspace::path("tools/capi/include");
    let program = link(listed, folder, "kernels", &[&include], &archive)?;
    let said = board.run(&program, &[""; 0], HANG)?;
    ensure!(said.success() && said.stdout.ends_with("refusals\n"), "{}: {}", board.name, said.stdout);
    let one = link(listed, folder, "one", &[&include], &archive)?;
    let (kernels, one) = (weigh(&program)?, weigh(&one)?);
    println!(
        "        {}: {} lines of kernels.c, {} bytes; one.c {} bytes",
        board.name,
        said.stdout.lines().count(),
        kernels.0,
        one.0
    );
    let exported: Vec<&String> = one.1.iter().filter(|name| name.starts_with("scrimp_")).collect();
    ensure!(exported == ["scrimp_softmax_s8", "scrimp_softmax_s8_init"], "one.c has linked {exported:?}");
    ensure!(one.0 <= ONE_FUNCTION, "one.c weighs {} bytes, at most {ONE_FUNCTION} wanted", one.0);
    let panics: Vec<&String> =
        kernels.1.iter().filter(|name| name.contains("panic") || name.contains("rust_begin")).collect();
    ensure!(panics.is_empty(), "kernels can panic: {panics:?}");
    Ok(())
}

/// Compiles one of examples/c against an archive.
fn link(board: &Listed, folder: &Path, name: &str, include: &[&Path], archive: &Path) -> Result<PathBuf> {
    let here = workspace::path("examples/c");
    let program = folder.join(name).with_extension("elf");
    let mut gcc = Command::new(GCC);
    gcc.args(board.chip.gcc.split(' ')).args(["-std=c11", "-Os", "-Wall", "-Wextra", "-Werror", "-ffunction-sections"]);
    gcc.arg(format!("-I{}", here.display())).args(include.iter().map(|folder| format!("-I{}", folder.display())));
    for source in [name, "startup", "semihosting"] {
        gcc.arg(here.join(source).with_extension("c"));
    }
    gcc.arg(archive).args(["-nostartfiles", "-Wl,--gc-sections", "-T"]).arg(here.join("link.ld"));
    if board.machine != "microbit" {
        // Kernels that are not optimised have more on the stack.
        gcc.arg("-Wl,--defsym=ram_bytes=0x40000,--defsym=stack_bytes=0x20000");
    }
    process::run(&format!("link {name}.c for {}", board.name), gcc.arg("-o").arg(&program), LONG)?.check()?;
    Ok(program)
}

/// Bytes of code and constants, and the names of functions, sorted.
fn weigh(program: &Path) -> Result<(u64, Vec<String>)> {
    let bytes = fs::read(program)?;
    let file = object::File::parse(&*bytes)?;
    let size = file.section_by_name(".text").context("no .text")?.size();
    let mut names: Vec<String> = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text)
        .filter_map(|symbol| symbol.name().ok().map(str::to_owned))
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok((size, names))
}

/// The input that the C program has.
fn beeps() -> Result<Vec<u8>> {
    let text = fs::read_to_string(workspace::path("examples/c/beeps.h"))?;
    let numbers = text.split(['{', '}']).nth(1).context("beeps.h has no numbers")?;
    let numbers = numbers.split(',').map(str::trim).filter(|number| !number.is_empty());
    numbers.map(|number| Ok(number.parse::<i8>()?.cast_unsigned())).collect()
}
