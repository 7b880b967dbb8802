//! From a user's int8 `.tflite` model to kernels of `scrimp`: a reader, a graph, a host executor.
//!
//! ```text
//! model.tflite --tflite::read--> Graph --Executor::new--> kernels, run tensor by tensor on the host
//! ```

#![allow(clippy::std_instead_of_core, clippy::alloc_instead_of_core, reason = "this runs on the host only")]

#[expect(dead_code, reason = "the generator comes next")]
mod emit;
mod execute;
mod graph;
mod lower;
mod op;
#[expect(dead_code, reason = "the generator comes next")]
mod operator;
mod ops;
pub mod tflite;

pub use execute::{Executor, StepInfo};
pub use graph::{Element, Graph, Node, Quant, Tensor, TensorId};
pub use lower::refusals;
pub use op::{Conv, Fused, Lstm, Op, Pool, Resize, Strided};
