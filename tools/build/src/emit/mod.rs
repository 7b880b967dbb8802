//! Writes a model as Rust: what layers put into the file.

/// Collects the `static`s of the layers and the one file of their constants.
#[derive(Debug)]
pub(crate) struct Emitter<'a> {
    node: usize,
    docs: &'a str,
    data: Vec<u8>,
    layers: Vec<Layer>,
}

/// One documented `static`.
#[derive(Debug)]
struct Layer {
    docs: String,
    name: String,
    ty: String,
    constructor: String,
}

impl Emitter<'_> {
    /// Puts elements into the weights file, from a multiple of 16 bytes on; an expression of type `&'static [i8]`.
    pub(crate) fn i8s(&mut self, elements: &[i8]) -> String {
        self.put("i8s", elements)
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

    /// As [`Emitter::i8s`], of type `&'static [u32]`.
    pub(crate) fn words(&mut self, elements: &[u32]) -> String {
        self.put("words", elements)
    }

    /// Equal arrays are stored once.
    fn put<T: bytemuck::NoUninit>(&mut self, method: &str, elements: &[T]) -> String {
        let bytes = bytemuck::cast_slice::<T, u8>(elements);
        let place = (0..self.data.len()).step_by(16).find(|&at| self.data[at..].starts_with(bytes));
        let at = place.unwrap_or_else(|| {
            self.data.resize(self.data.len().next_multiple_of(16), 0);
            let at = self.data.len();
            self.data.extend_from_slice(bytes);
            at
        });
        format!("DATA.{method}({at}, {})", elements.len())
    }

    /// Adds a `static` of this type, made by a constructor that gives a `Result`, documented by what the node does, and
    /// named by the kind of its kernel and its operator's number, which comes back.
    pub(crate) fn layer(&mut self, kind: &str, ty: &str, constructor: &str) -> String {
        let mut name = format!("{kind}_{}", self.node);
        for part in 1.. {
            if self.layers.iter().all(|layer| layer.name != name) {
                break;
            }
            name = format!("{kind}_{}_{part}", self.node);
        }
        let layer = Layer {
            docs: self.docs.to_owned(),
            name: name.clone(),
            ty: ty.to_owned(),
            constructor: constructor.to_owned(),
        };
        self.layers.push(layer);
        name
    }
}
