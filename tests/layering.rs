//! Data flows one way: what a module of `src/` may import from the others, where `unsafe` and `std` may stand, and
//! that the library is stable Rust. Read from the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, ItemUse, Macro, Path as RustPath, UseTree};

/// A module, and the modules it may name: the line of the design. `math` knows no backend, as its functions are generic
/// over its own trait `Arith`, which every backend implements.
const MAY_IMPORT: [(&str, &[&str]); 14] = [
    ("error", &[]),
    ("math", &["error"]),
    ("shape", &["math", "error"]),
    ("fixedpoint", &["math", "error"]),
    ("backend", &["fixedpoint", "shape", "math", "error"]),
    ("softmax", &["backend", "fixedpoint", "shape", "math", "error"]),
    ("quant", &["backend", "fixedpoint", "shape", "math", "error"]),
    ("bits", &["backend", "fixedpoint", "shape", "math", "error"]),
    ("nn", &["softmax", "quant", "bits", "backend", "fixedpoint", "shape", "math", "error"]),
    // Of `backend` only the casts and the arena, which are `unsafe` inside.
    ("model", &["bits", "backend", "shape", "error"]),
    ("lmdvit", &["nn", "model", "softmax", "quant", "bits", "backend", "fixedpoint", "shape", "math", "error"]),
    ("vit", &["nn", "model", "softmax", "quant", "bits", "backend", "fixedpoint", "shape", "math", "error"]),
    ("trace", &[]),
    // The root has no logic: it names everything to re-export it.
    ("lib", &["*"]),
];

#[test]
fn modules_import_only_what_stands_below_them() {
    let mut wrong = Vec::new();
    for file in sources() {
        let module = module_of(&file);
        let may = MAY_IMPORT.iter().find(|(name, _)| *name == module);
        let (_, may) = may.unwrap_or_else(|| panic!("src/{module} is not in this test's table"));
        for named in named_modules(&file) {
            if named != module && !may.contains(&"*") && !may.contains(&named.as_str()) {
                wrong.push(format!("{} names crate::{named}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stands_only_in_backends() {
    for file in sources().into_iter().filter(|file| module_of(file) != "backend") {
        let text = code(&file);
        assert!(!has_word(&text, "unsafe"), "unsafe in {}", file.display());
    }
    // The compiler enforces it, as long as the attribute is there.
    let root = syn::parse_file(&fs::read_to_string(root().join("src/lib.rs")).unwrap()).unwrap();
    for item in root.items {
        let syn::Item::Mod(module) = item else { continue };
        let forbids = |attribute: &Attribute| is_attribute(attribute, "forbid", "unsafe_code");
        assert!(
            module.ident == "backend" || module.attrs.iter().any(forbids),
            "src/lib.rs lacks #[forbid(unsafe_code)] on {}",
            module.ident
        );
    }
}

#[test]
fn the_library_is_stable_rust_without_std() {
    for file in sources() {
        let text = code(&file);
        assert!(!text.contains("# ! [feature"), "a nightly feature in {}", file.display());
        assert!(!text.contains("core :: intrinsics"), "intrinsics in {}", file.display());
        assert!(!text.contains("extern crate alloc"), "a heap in {}", file.display());
        let may_use_std = module_of(&file) == "backend" || file.ends_with("lib.rs");
        assert!(may_use_std || !has_word(&text, "std"), "std in {}", file.display());
    }
    // In backends, `std` stands behind its feature: a build without it is one of xtask's steps.
}

/// The modules that a file names as `crate::module`, also in expressions.
fn named_modules(file: &Path) -> BTreeSet<String> {
    struct Names(BTreeSet<String>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_item_use(&mut self, item: &'ast ItemUse) {
            if let UseTree::Path(path) = &item.tree
                && path.ident == "crate"
            {
                first_names(&path.tree, &mut self.0);
            }
        }

        fn visit_path(&mut self, path: &'ast RustPath) {
            let mut names = path.segments.iter().map(|segment| segment.ident.to_string());
            if names.next().is_some_and(|name| name == "crate") {
                self.0.extend(names.next());
            }
            visit::visit_path(self, path);
        }

        fn visit_macro(&mut self, item: &'ast Macro) {
            visit::visit_macro(self, item);
            let text = item.tokens.to_string();
            for rest in text.split("crate :: ").skip(1) {
                self.0.extend(rest.split_whitespace().next().map(str::to_owned));
            }
        }
    }
    let mut names = Names(BTreeSet::new());
    names.visit_file(&syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap());
    // Macros and re-exports at the root belong to no module.
    names.0.into_iter().filter(|name| MAY_IMPORT.iter().any(|(module, _)| module == name)).collect()
}

fn first_names(tree: &UseTree, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => drop(names.insert(path.ident.to_string())),
        UseTree::Name(name) => drop(names.insert(name.ident.to_string())),
        UseTree::Rename(name) => drop(names.insert(name.ident.to_string())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| first_names(tree, names)),
        UseTree::Glob(_) => panic!("`use crate::*` hides what is imported"),
    }
}

fn is_attribute(attribute: &Attribute, name: &str, argument: &str) -> bool {
    attribute.path().is_ident(name) && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident(argument))
}

/// The tokens of a file without its comments, docs included, with a blank between any two.
fn code(file: &Path) -> String {
    struct Docs;
    impl syn::visit_mut::VisitMut for Docs {
        fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
            attributes.retain(|attribute| !attribute.path().is_ident("doc"));
        }
    }
    let mut parsed = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap();
    syn::visit_mut::VisitMut::visit_file_mut(&mut Docs, &mut parsed);
    quote::ToTokens::to_token_stream(&parsed).to_string()
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|part| part == word)
}

/// The top module that a file of `src/` belongs to.
fn module_of(file: &Path) -> String {
    let below = file.strip_prefix(root().join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a load or store asks of its address is not checked by every emulator (QEMU up to 10.0 lets MVE do anything), but by
/// silicon: whoever writes a loop for a Cortex-M says beside it why its addresses are right.
#[test]
fn loops_in_assembly_say_what_alignment_they_need() {
    let mut seen = 0;
    for core in ["scalar", "dsp", "helium"] {
        for file in sources().into_iter().filter(|file| file.parent().is_some_and(|folder| folder.ends_with(core))) {
            let text = fs::read_to_string(root().join(&file)).unwrap();
            let loops = text.matches("#[unsafe(naked)]").count() + text.matches(" asm!(\n").count();
            let notes = text.matches("Alignment: ").count();
            assert_eq!(notes, loops, "{}: {loops} loops, {notes} lines `Alignment: ...`", file.display());
            seen += loops;
        }
    }
    assert!(seen > 40, "the sources were not read: {seen} loops");
}

/// Every Rust file of `src/`.
fn sources() -> Vec<PathBuf> {
    let mut folders = vec![root().join("src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}
