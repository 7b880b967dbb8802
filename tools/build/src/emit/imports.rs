//! Turns full paths into imports: `scrimp::nn::LinearS8::new(..)` becomes `LinearS8::new(..)` and a `use`.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{import, version_order};

/// Names that are imported, and from where.
#[derive(Debug)]
pub(super) struct Imports {
    /// Names that the module defines itself.
    taken: BTreeSet<String>,
    /// The module that each name comes from.
    from: BTreeMap<String, String>,
}

impl Imports {
    /// None yet; these names are not free.
    pub(super) fn new(taken: impl IntoIterator<Item = String>) -> Self {
        Self { taken: taken.into_iter().collect(), from: BTreeMap::new() }
    }

    /// The text with its paths shortened.
    pub(super) fn shorten(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("scrimp::") {
            let is_start = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            out += &rest[..at];
            rest = &rest[at..];
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
            // A path in angle brackets (`Slot::<i8>`) ends before the colons.
            let path = rest[..end].trim_end_matches(':');
            out += &if is_start { self.short(path) } else { path.to_owned() };
            rest = &rest[path.len()..];
        }
        out + rest
    }

    fn short(&mut self, path: &str) -> String {
        let segments: Vec<&str> = path.split("::").collect();
        // Up to the first type; a function or macro is last.
        let is_type = |segment: &&str| segment.starts_with(|c: char| c.is_ascii_uppercase());
        let last = segments.iter().position(is_type).unwrap_or(segments.len() - 1);
        let (module, name) = (segments[..last].join("::"), segments[last]);
        if self.taken.contains(name) || self.from.get(name).is_some_and(|from| *from != module) {
            return path.to_owned();
        }
        self.from.insert(name.to_owned(), module);
        segments[last..].join("::")
    }

    /// The `use` lines.
    pub(super) fn text(&self) -> String {
        let mut modules: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, module) in &self.from {
            modules.entry(module).or_default().push(name.clone());
        }
        let mut lines: Vec<(String, String)> = Vec::new();
        for (module, mut names) in modules {
            names.sort_by(|a, b| version_order(a, b));
            // What is sorted: a single name as the path that it is, a list after all names.
            let key = if let [name] = names.as_slice() { format!("{module}::{name}") } else { format!("{module}::{{") };
            lines.push((key, import(module, &names)));
        }
        lines.sort_by(|(a, _), (b, _)| version_order(a, b));
        lines.into_iter().map(|(_, line)| line).collect()
    }
}
