//! One operator, lowered to a kernel of the library: what the executor runs, the planner places and the generator writes.

use core::fmt::Debug;

use anyhow::Result;
use bytemuck::AnyBitPattern;
use bytemuck::NoUninit;

use crate::emit::Emitter;
use crate::graph::Element;

/// An operator of a model as a kernel of scrimp: everything about it is decided, and constants are inside.
///
/// A file of `ops/` makes one from a node. To add an operator: a variant in [`Op`](crate::op::Op) if there is none, a
/// function that lowers it (`fn(&Cx) -> Result<Lowered>`), and a line in [`ops::lower`](crate::ops::lower).
pub(crate) trait Operator: Debug {
    /// The library's type or function, for listings: `LinearS8`.
    fn kernel(&self) -> &'static str;

    /// Runs it on the host by the library's kernel.
    fn run(&self, io: &mut Io<'_>) -> Result<()>;

    /// The buffer that the kernel wants beside inputs and outputs.
    fn scratch(&self) -> Scratch {
        Scratch::NONE
    }

    /// Multiply-accumulates of one run.
    fn macs(&self) -> u64 {
        0
    }

    /// Whether the output may lie over an input.
    fn overlay(&self) -> Overlay {
        Overlay::None
    }

    /// Whether the call that [`Operator::emit`] writes for these arguments cannot fail and so gives nothing back.
    fn is_total(&self, _: &Args) -> bool {
        false
    }

    /// Writes the layer's `static` (its constructor with readable constants; big arrays go into the weights file) and
    /// returns the text of the call, an expression such as `LINEAR_0.run(x0, y0, 1)`; of several calls, one a line.
    fn emit(&self, out: &mut Emitter<'_>, args: &Args) -> String;
}

/// Elements of a buffer that lives only while an operator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scratch {
    pub(crate) element: Element,
    pub(crate) len: usize,
}

impl Scratch {
    pub(crate) const NONE: Self = Self { element: Element::I8, len: 0 };

    pub(crate) const fn bytes(self) -> usize {
        self.element.bytes(self.len)
    }
}

/// Where an output may lie. The planner may use it or not: a kernel that allows an overlay can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overlay {
    /// Apart from every input.
    None,
    /// Output 0 may take the place of any of these inputs, byte for byte; the kernel then has a form in place.
    Exact(&'static [usize]),
    /// Output 0 may lie over input 0 if it begins at least so many bytes before it; the kernel then takes one slice that
    /// begins with the output and ends with the input.
    Shifted(usize),
}

/// The buffers of one run, each aligned to 16 bytes.
#[derive(Debug)]
pub(crate) struct Io<'a> {
    /// Activations that are read; empty where [`Io::in_place`] names it.
    pub(crate) inputs: Vec<&'a [u8]>,
    /// What is written.
    pub(crate) outputs: Vec<&'a mut [u8]>,
    /// Variables that are read and written.
    pub(crate) states: Vec<&'a mut [u8]>,
    /// As many bytes as [`Operator::scratch`] wants, of any contents.
    pub(crate) scratch: &'a mut [u8],
    /// The input whose bytes lie in output 0.
    pub(crate) in_place: Option<usize>,
    /// Whether output 0 is one slice that begins with the output and ends with input 0.
    pub(crate) is_shifted: bool,
}

impl<'a> Io<'a> {
    /// Input `k`.
    pub(crate) fn x<T: AnyBitPattern>(&self, k: usize) -> &'a [T] {
        bytemuck::cast_slice(self.inputs[k])
    }

    /// Output `k`.
    pub(crate) fn y<T: AnyBitPattern + NoUninit>(&mut self, k: usize) -> &mut [T] {
        bytemuck::cast_slice_mut(self.outputs[k])
    }

    /// Output `k` and the scratch.
    pub(crate) fn y_scratch<T, S>(&mut self, k: usize) -> (&mut [T], &mut [S])
    where
        T: AnyBitPattern + NoUninit,
        S: AnyBitPattern + NoUninit,
    {
        (bytemuck::cast_slice_mut(self.outputs[k]), bytemuck::cast_slice_mut(self.scratch))
    }
}

/// The names that a call finds its buffers by, each a slice of its tensor's element type and of its exact length.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    /// Inputs, `&[T]`; the one at [`Args::in_place`] does not exist.
    pub(crate) x: Vec<String>,
    /// Outputs, `&mut [T]`.
    pub(crate) y: Vec<String>,
    /// Variables, `&mut [T]`.
    pub(crate) state: Vec<String>,
    /// `&mut [T]` of the scratch's element.
    pub(crate) scratch: String,
    /// The input that lies where output 0 does: the call is the kernel's form in place, on `y[0]`.
    pub(crate) in_place: Option<usize>,
    /// Whether `y[0]` is one slice that begins with the output and ends with input 0.
    pub(crate) is_shifted: bool,
}
