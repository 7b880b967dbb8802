//! What layers with a memory do besides products.

use super::Avx2;
use crate::backend::StepRows;

impl StepRows for Avx2 {}
