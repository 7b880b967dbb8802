//! Sizes and symbols of a linked program.

use std::fs;
use std::path::Path;

use anyhow::Result;
use object::elf::{self, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE};
use object::{File, Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind};
use serde::{Deserialize, Serialize};

/// Bytes by kind of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Sizes {
    /// Machine code.
    pub(crate) text: u64,
    /// Constants, the vector table among them.
    pub(crate) rodata: u64,
    /// Variables with a value at start, which lie in flash and in RAM.
    pub(crate) data: u64,
    /// Variables that start as zero or as nothing, without the stack.
    pub(crate) bss: u64,
}

/// A function or a constant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) size: u64,
}

/// Sizes and the largest symbols of a program.
pub(crate) fn measure(program: &Path, largest: usize) -> Result<(Sizes, Vec<Symbol>)> {
    let bytes = fs::read(program)?;
    let file = File::parse(&*bytes)?;
    let mut sizes = Sizes::default();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
        let has = |flag: elf::SectionFlags| sh_flags.0 & flag.0 != 0;
        if !has(SHF_ALLOC) || section.name()? == ".stack" {
            continue;
        }
        let kind = if has(SHF_EXECINSTR) {
            &mut sizes.text
        } else if section.kind() == SectionKind::UninitializedData {
            &mut sizes.bss
        } else if has(SHF_WRITE) {
            &mut sizes.data
        } else {
            &mut sizes.rodata
        };
        *kind += section.size();
    }
    let mut symbols = Vec::new();
    for symbol in file.symbols() {
        if matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data) && symbol.name()? != "boot_stack" {
            symbols.push(Symbol { name: demangled(symbol.name()?), size: symbol.size() });
        }
    }
    symbols.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
    symbols.truncate(largest);
    Ok((sizes, symbols))
}

/// A symbol's name as it is written in Rust.
pub(crate) fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
