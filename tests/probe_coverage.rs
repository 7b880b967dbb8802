//! The panic gate is as good as its list of calls: every public function in `src/` is called by `boards/probe`.
//!
//! `unreachable_pub` is denied in this workspace, so whatever is `pub` in `src/` is public. Functions are compared by
//! name, methods by `Type::method`, methods of traits by `Trait::method`; a trait that users implement counts as
//! called where the probe implements it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Expr, ExprCall, ExprPath, ImplItem, Item, ItemImpl, ItemTrait, TraitItem, Type, Visibility};

/// Instruction sets that no board has.
const HOST_ONLY: [&str; 2] = ["src/backend/avx2", "src/backend/avx512"];
/// What the probe reaches through `scrimp::for_each_backend!`: these types exist only on some boards.
const BY_MACRO: [&str; 2] = ["Dsp::new", "Helium::new"];
/// Traits of `core` whose methods count as public functions of a public type. The promise leaves out `Debug`, `Display`
/// and `Format`; derived traits have no code of ours.
const FOREIGN: [&str; 6] = ["Default", "From", "Index", "IndexMut", "Iterator", "TryFrom"];

#[test]
fn the_probe_calls_every_public_function() {
    let files: Vec<_> = sources("src").iter().filter(|file| !is_host_only(file)).map(|file| parse(file)).collect();
    let items = files.iter().flat_map(|file| &file.items);
    let mut public = Public { types: items.filter_map(public_type).collect(), functions: BTreeSet::new() };
    files.iter().for_each(|file| public.visit_file(file));
    let public = public.functions;
    assert!(public.len() > 20, "the sources were not read: {public:?}");

    let mut called: BTreeSet<_> = BY_MACRO.iter().map(|&name| name.to_owned()).collect();
    for file in sources("boards/probe/src") {
        Called(&mut called).visit_file(&parse(&file));
    }
    let missing: Vec<_> = public.difference(&called).map(String::as_str).collect();
    assert!(missing.is_empty(), "boards/probe does not call (as `Type::method(..)`): {}", missing.join(", "));
}

fn is_host_only(file: &Path) -> bool {
    HOST_ONLY.iter().any(|host| file.parent().is_some_and(|folder| folder.ends_with(host)))
}

fn public_type(item: &Item) -> Option<String> {
    match item {
        Item::Struct(item) if is_public(&item.vis) => Some(item.ident.to_string()),
        Item::Enum(item) if is_public(&item.vis) => Some(item.ident.to_string()),
        _ => None,
    }
}

/// Collects what is public.
struct Public {
    types: BTreeSet<String>,
    functions: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Public {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Fn(function) if is_public(&function.vis) => {
                self.functions.insert(function.sig.ident.to_string());
            }
            Item::Trait(item) if is_public(&item.vis) => self.methods_of_trait(item),
            Item::Impl(item) => self.methods_of_type(item),
            // A test module or a private one inside a file has nothing public.
            Item::Mod(_) => {}
            _ => visit::visit_item(self, item),
        }
    }
}

impl Public {
    fn methods_of_trait(&mut self, item: &ItemTrait) {
        for method in &item.items {
            if let TraitItem::Fn(method) = method {
                self.functions.insert(format!("{}::{}", item.ident, method.sig.ident));
            }
        }
    }

    fn methods_of_type(&mut self, item: &ItemImpl) {
        let Type::Path(of) = &*item.self_ty else { return };
        let Some(of) = of.path.segments.last() else { return };
        let of_trait = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
        let foreign = of_trait.is_some_and(|name| FOREIGN.iter().any(|foreign| name.ident == foreign));
        for method in &item.items {
            if let ImplItem::Fn(method) = method
                && (foreign && self.types.contains(&of.ident.to_string()) || is_public(&method.vis))
            {
                self.functions.insert(format!("{}::{}", of.ident, method.sig.ident));
            }
        }
    }
}

/// Collects what is called.
struct Called<'a>(&'a mut BTreeSet<String>);

impl<'ast> Visit<'ast> for Called<'_> {
    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func {
            self.add(path);
        }
        visit::visit_expr_call(self, call);
    }

    // `option.map(Type::method)`
    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        self.add(path);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if let Some(name) = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last()) {
            for method in &item.items {
                if let ImplItem::Fn(method) = method {
                    self.0.insert(format!("{}::{}", name.ident, method.sig.ident));
                }
            }
        }
        visit::visit_item_impl(self, item);
    }
}

impl Called<'_> {
    fn add(&mut self, path: &ExprPath) {
        let names: Vec<_> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let Some(name) = names.last() {
            self.0.insert(name.clone());
        }
        if let [.., of, name] = &names[..] {
            self.0.insert(format!("{of}::{name}"));
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn parse(file: &Path) -> syn::File {
    syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every Rust file below `folder`.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
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
