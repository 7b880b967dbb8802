//! Rows of f32 for StableMax.

use super::Avx512;
use crate::backend::StableRows;

impl StableRows for Avx512 {}
