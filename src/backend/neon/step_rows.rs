//! What layers with a memory do besides products.

use super::Neon;
use crate::backend::StepRows;

impl StepRows for Neon {}
