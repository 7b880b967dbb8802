//! From a user's int8 `.tflite` model to kernels of `scrimp`: a reader, a graph, a host executor.
//!
//! ```text
//! model.tflite --tflite::read--> Graph --Executor::new--> kernels, run tensor by tensor on the host
//! ```

#![allow(clippy::std_instead_of_core, clippy::alloc_instead_of_core, reason = "this runs on the host only")]

mod emit;
mod execute;
mod execute_plan;
mod graph;
mod lower;
mod model;
mod op;
#[allow(dead_code, reason = "no kernel runs yet over an input that is shifted against its output")]
mod operator;
mod ops;
mod plan;
mod rewrite;
pub mod tflite;

pub use execute::{Executor, StepInfo};
pub use execute_plan::ArenaExecutor;
pub use graph::{Element, Graph, Node, Quant, Tensor, TensorId};
pub use lower::refusals;
pub use model::{CCode, Code, Error, MapBlock, Model, Operator, layout_of};
pub use op::{Around, Conv, Fused, Lstm, Op, Pool, Resize, Strided};
pub use rewrite::rewrite;
