//! What layers with a memory do besides products.

use super::Avx512;
use crate::backend::StepRows;

impl StepRows for Avx512 {}
