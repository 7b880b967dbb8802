//! Writes a model as Rust: what layers put into the file, and the module round them.

mod c;
mod format;
mod imports;
mod module;

use std::collections::HashMap;

use crate::graph::{Graph, Tensor, TensorId};
use crate::lower::Step;
pub(crate) use c::Model as CModel;
pub(crate) use module::{Head, write};

/// Collects the `static`s of the layers and the one file of their constants.
#[derive(Debug)]
pub(crate) struct Emitter<'a> {
    graph: &'a Graph,
    node: usize,
    docs: String,
    data: Vec<u8>,
    /// Where equal arrays lie.
    places: HashMap<Vec<u8>, usize>,
    items: Vec<Item>,
}

/// One `static` or `const`.
#[derive(Debug)]
struct Item {
    docs: String,
    /// `static` or `const`.
    keyword: &'static str,
    name: String,
    ty: String,
    value: String,
}

impl<'a> Emitter<'a> {
    fn new(graph: &'a Graph) -> Self {
        Self { graph, node: 0, docs: String::new(), data: Vec::new(), places: HashMap::new(), items: Vec::new() }
    }

    /// Says which node layers belong to from now on, and their documentation.
    fn begin(&mut self, step: &Step) {
        let node = &self.graph.nodes[step.node];
        let list = |ids: &[TensorId]| -> String {
            ids.iter().map(|&id| module::described(self.graph, id)).collect::<Vec<_>>().join(", ")
        };
        let (ins, outs) = (list(&step.inputs), list(&step.outputs));
        let mut docs = format!("/// {} {}: {ins} -> {outs}\n", node.index, node.op.name());
        if let Some(&id) = step.outputs.first()
            && !self.graph.tensors[id.0].name.is_empty()
        {
            docs += &format!("/// (`{}`)\n", module::comment(&self.graph.tensors[id.0].name));
        }
        self.docs = docs;
        self.node = node.index;
    }

    /// Adds what a variable starts with; its name.
    fn start(&mut self, tensor: &Tensor, value: String) -> String {
        let name = format!("START_{}", self.items.iter().filter(|item| item.name.starts_with("START_")).count());
        let docs = format!("/// What `{}` starts with.\n", module::comment(&tensor.name));
        let ty = format!("&[{}]", tensor.element.rust());
        self.items.push(Item { docs, keyword: "static", name: name.clone(), ty, value });
        name
    }

    /// Puts elements into the weights file, from a multiple of 16 bytes on; an expression of type `&'static [i8]`.
    pub(crate) fn i8s(&mut self, elements: &[i8]) -> String {
        self.put("i8s", elements)
    }

    /// As [`Emitter::i8s`], of type `&'static [u8]`.
    pub(crate) fn u8s(&mut self, elements: &[u8]) -> String {
        self.put("u8s", elements)
    }

    /// As [`Emitter::i8s`], of type `&'static [i16]`.
    pub(crate) fn i16s(&mut self, elements: &[i16]) -> String {
        self.put("i16s", elements)
    }

    /// As [`Emitter::i8s`], of type `&'static [i32]`.
    pub(crate) fn i32s(&mut self, elements: &[i32]) -> String {
        self.put("i32s", elements)
    }

    /// As [`Emitter::i8s`], of type `&'static [i64]`.
    pub(crate) fn i64s(&mut self, elements: &[i64]) -> String {
        self.put("i64s", elements)
    }

    /// As [`Emitter::i8s`], of type `&'static [f32]`.
    pub(crate) fn f32s(&mut self, elements: &[f32]) -> String {
        self.put("f32s", elements)
    }

    /// As [`Emitter::i8s`], of type `&'static [u32]`.
    pub(crate) fn words(&mut self, elements: &[u32]) -> String {
        self.put("words", elements)
    }

    /// Equal arrays are stored once.
    fn put<T: bytemuck::NoUninit>(&mut self, method: &str, elements: &[T]) -> String {
        if elements.is_empty() {
            return "&[]".to_owned();
        }
        let bytes = bytemuck::cast_slice::<T, u8>(elements);
        let at = match self.places.get(bytes) {
            Some(&at) => at,
            None => {
                self.data.resize(self.data.len().next_multiple_of(16), 0);
                let at = self.data.len();
                self.data.extend_from_slice(bytes);
                self.places.insert(bytes.to_vec(), at);
                at
            }
        };
        format!("scrimp::expect!(DATA.{method}({at}, {}))", elements.len())
    }

    /// Adds a `static` of this type, made by a constructor that gives a `Result`, documented by what the node does, and
    /// named by the kind of its kernel and its operator's number, which comes back.
    ///
    /// Types and constructors name everything in full (`scrimp::nn::LinearS8`); the module then imports it.
    pub(crate) fn layer(&mut self, kind: &str, ty: &str, constructor: &str) -> String {
        let docs = self.docs.clone();
        self.item("static", kind, ty, &format!("scrimp::expect!({constructor})"), docs)
    }

    /// Adds a `static` that a layer refers to, of this type and value: a constructor's arguments are freed unless they are
    /// one.
    pub(crate) fn table(&mut self, kind: &str, ty: &str, value: &str) -> String {
        self.item("static", kind, ty, value, String::new())
    }

    /// Adds a `const`, for what a call is given: shapes and the like.
    pub(crate) fn constant(&mut self, kind: &str, ty: &str, value: &str) -> String {
        self.item("const", kind, ty, value, String::new())
    }

    fn item(&mut self, keyword: &'static str, kind: &str, ty: &str, value: &str, docs: String) -> String {
        let mut name = format!("{kind}_{}", self.node);
        for part in 1.. {
            if self.items.iter().all(|item| item.name != name) {
                break;
            }
            name = format!("{kind}_{}_{part}", self.node);
        }
        let item = Item { docs, keyword, name: name.clone(), ty: ty.to_owned(), value: value.to_owned() };
        self.items.push(item);
        name
    }
}
